/* The test guest: a front end, its memory and two virtqueues put together, with requests that are
 * waited for one by one or many at a time. Everything is done by the caller's thread; a wait that
 * passes TG_DEADLINE_S reports a hang and answers "no answer". */
#ifndef TG_VM_H
#define TG_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <linux/virtio_gpu.h>

#include "front.h"
#include "mem.h"
#include "ring.h"

enum tg_queue { TG_CONTROL = 0, TG_CURSOR = 1, TG_QUEUES = 2 };

/* What a wait returns instead of a response type when the device does not answer. */
#define TG_NO_ANSWER 0u
/* … when it answered, but not as the specification wants: fewer bytes than a header, or a fence
 * that is not echoed. */
#define TG_BAD_ANSWER 1u

struct tg_options {
	uint64_t memory;  /* bytes, default 64 MiB */
	unsigned regions; /* the memory is cut into that many, with holes between; default 1 */
	uint16_t control_size, cursor_size; /* default 256 and 16 */
	uint64_t features_off;              /* device features not to take */
	uint64_t protocol_off;              /* protocol features not to take */
	bool mem_table; /* announce memory by SET_MEM_TABLE even if ADD_MEM_REG may be used */
};

struct tg_vm {
	struct tg_options options;
	struct tg_front front;
	struct tg_mem mem;
	struct tg_ring ring[TG_QUEUES];
	bool running[TG_QUEUES];
	bool indirect;  /* send requests through indirect tables (default: when negotiated) */
	uint32_t chunk; /* readable data is cut into descriptors of that size (default TG_PAGE) */
	uint64_t next_fence;  /* used by tg_fence */
	unsigned outstanding; /* requests that are not answered */
};

/* Connects, negotiates, announces memory and starts both rings. NULL options: the defaults. 0 or
 * -errno (said on stderr); tg_vm_close is right in either case. */
int tg_vm_open(struct tg_vm *vm, const char *socket, const struct tg_options *options);
/* Hangs up without a word, as a killed VMM does, and frees everything, requests that were not
 * answered included. */
void tg_vm_close(struct tg_vm *vm);

/* The steps of tg_vm_open. Prepare makes memory and rings only; connect, announce and start are
 * then repeatable on it (stop and resume, reconnect). */
int tg_vm_prepare(struct tg_vm *vm, const struct tg_options *options);
int tg_vm_connect(struct tg_vm *vm, const char *socket);
int tg_vm_announce(struct tg_vm *vm); /* all regions */
int tg_vm_add_region(struct tg_vm *vm, int slot);
int tg_vm_remove_region(struct tg_vm *vm, int slot);
/* SET_FEATURES and both rings. */
int tg_vm_start(struct tg_vm *vm);
/* One ring from the given base: NUM, BASE, ADDR, KICK, CALL, ENABLE. */
int tg_vm_start_ring(struct tg_vm *vm, unsigned queue, uint16_t base);
/* After a device reset: frees every request that was not answered, and starts the rings' books
 * anew. */
void tg_vm_forget(struct tg_vm *vm);
/* Returns the base or -errno. */
int tg_vm_stop_ring(struct tg_vm *vm, unsigned queue);

/* A request that was sent. */
struct tg_request {
	struct tg_vm *vm;
	unsigned queue;
	uint64_t addr; /* guest address of the readable part, the writable one follows */
	size_t bytes;  /* allocated */
	uint32_t out_len, in_len;
	uint64_t in_addr;
	bool done;
	unsigned answers;                /* times the device answered: 1 when done */
	uint32_t written;                /* as the device says */
	struct virtio_gpu_ctrl_hdr sent; /* copy of the command's header */
};

/* Sends a command: `out` pieces are copied into guest memory; the device may write in_len bytes.
 * The request is freed by tg_finish, or by tg_vm_close or tg_vm_forget if it was not answered; NULL
 * when the ring or the memory is full. */
struct tg_request *tg_submit(
	struct tg_vm *vm, unsigned queue, const struct iovec *out, unsigned n, uint32_t in_len);
/* The same without a kick. */
struct tg_request *tg_queue_up(
	struct tg_vm *vm, unsigned queue, const struct iovec *out, unsigned n, uint32_t in_len);
/* Takes whatever the device has answered on that queue, without waiting. */
void tg_collect(struct tg_vm *vm, unsigned queue);
/* Whether it is answered, after tg_collect. */
bool tg_done(struct tg_request *request);
/* Waits for the answer; false at the deadline. */
bool tg_wait(struct tg_request *request);
/* The same with a deadline of its own, to see that something is *not* answered. */
bool tg_wait_ms(struct tg_request *request, int timeout_ms);
/* Waits, copies up to size bytes of the answer, checks the fence echo, frees the request. Returns
 * the response type. NULL gives TG_NO_ANSWER. */
uint32_t tg_finish(struct tg_request *request, void *answer, size_t size);
/* Submit and finish in one. */
uint32_t tg_command(struct tg_vm *vm, const void *command, size_t len, void *answer, size_t size);

/* A new fence id, for virtio_gpu_ctrl_hdr.fence_id; sets the flag too. */
uint64_t tg_fence(struct tg_vm *vm, struct virtio_gpu_ctrl_hdr *hdr);
/* Waits until the request with that fence id among n is answered. */
bool tg_wait_fence(struct tg_request **requests, unsigned n, uint64_t fence_id);

uint64_t tg_now_ns(void);

#endif
