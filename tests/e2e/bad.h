/* What the tests of bad input have in common: a VM "evil" that breaks every rule and a VM "cluster"
 * beside it that must not notice. */
#ifndef BN_E2E_BAD_H
#define BN_E2E_BAD_H

#include <stdio.h>

#include "bystander.h"

/* Both outputs. */
#define W 128u
#define H 96u

/* evil's output is "centre"; evil has 64 MiB of host memory. */
extern struct e2e e;
extern struct bystander *cluster;

/* First and last test of each suite; the last also sees to it that the service holds no more fds
 * than after the first. */
void bad_start(void);
void bad_stop(void);

/* Connects as evil; false at a failure, asserted. */
bool bad_open(struct tg_vm *vm);
/* The VM still shows a frame, and nothing was answered twice. */
void bad_serves_on(struct tg_vm *vm);
/* The same, hangs up, and the VM beside it still shows frames. */
void bad_close(struct tg_vm *vm);
/* After a device that a driver has confused: reset, as a driver would, and on. */
void bad_reset(struct tg_vm *vm);

bool bad_is_error(uint32_t type);
/* asserts that a virtio-gpu answer is an error, whichever. */
#define IS_ERROR(call) bad_assert_error((call), #call, __FILE__, __LINE__)
void bad_assert_error(uint32_t got, const char *call, const char *file, int line);

#define RESOURCE VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID
#define PARAMETER VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER
#define SCANOUT VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID
#define CONTEXT VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID

#endif
