/* A vhost-user front end as QEMU is one, on the real socket of the service: blocking, with a
 * deadline on every wait that only guards against hangs. It can also send anything at all
 * (tg_front_send, tg_front_send_bytes), to see what a back end makes of it. One thread. */
#ifndef TG_FRONT_H
#define TG_FRONT_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/vhost_user.h"

/* Seconds that any wait may last before the test fails. */
#define TG_DEADLINE_S 20

struct tg_front {
	int sock;          /* owned; -1: not connected */
	int backend_req;   /* our end of the back end's own request channel; -1: none */
	uint64_t offered;  /* device features, before negotiation */
	uint64_t features; /* set by tg_front_handshake from offered and the caller's mask */
	uint64_t protocol; /* protocol features in force */
};

/* Connects; 0 or -errno. Closes nothing that was open before: init first. */
int tg_front_connect(struct tg_front *f, const char *path);
/* Hangs up. */
void tg_front_close(struct tg_front *f);

/* One message; flags go into the header beside the version. fds stay the caller's. 0 or -errno. */
int tg_front_send(struct tg_front *f, uint32_t request, uint32_t flags, const void *payload,
	uint32_t size, const int *fds, size_t nfds);
/* Bytes as they are, with fds: for messages that are not well formed. */
int tg_front_send_bytes(
	struct tg_front *f, const void *bytes, size_t len, const int *fds, size_t nfds);
/* The answer to `request`: at most max bytes of payload. Returns its size, -EPROTO when something
 * else came, -ECONNRESET at end of file, -ETIMEDOUT. */
int tg_front_reply(struct tg_front *f, uint32_t request, void *payload, uint32_t max);
/* 0 when the back end has hung up or does so before the deadline, -ETIMEDOUT otherwise. What it
 * still sends is skipped. */
int tg_front_wait_hangup(struct tg_front *f);

/* A request that is answered with a u64. */
int tg_front_get_u64(struct tg_front *f, uint32_t request, uint64_t *out);
/* A request without an answer of its own, confirmed through REPLY_ACK (or, without that feature, a
 * GET_FEATURES as a barrier). -EREMOTEIO when the back end answers that it failed. */
int tg_front_set(struct tg_front *f, uint32_t request, const void *payload, uint32_t size,
	const int *fds, size_t nfds);
int tg_front_set_u64(struct tg_front *f, uint32_t request, uint64_t value);
/* SET_VRING_KICK, CALL or ERR; fd -1 sends the "no fd" bit. */
int tg_front_set_ring_fd(struct tg_front *f, uint32_t request, unsigned index, int fd);
/* SET_VRING_NUM, BASE, ENABLE. */
int tg_front_set_ring(struct tg_front *f, uint32_t request, unsigned index, unsigned num);
/* GET_VRING_BASE: stops the ring. The base, or -errno. */
int tg_front_stop_ring(struct tg_front *f, unsigned index);
/* Device configuration; 0 or -errno. */
int tg_front_get_config(struct tg_front *f, uint32_t offset, void *out, uint32_t size);
int tg_front_set_config(struct tg_front *f, uint32_t offset, const void *bytes, uint32_t size);

/* What QEMU does when it realizes the device: features, protocol features (those offered and in
 * protocol_mask), owner, slots, back-end request channel. Device features become offered &
 * feature_mask; SET_FEATURES itself comes when the driver starts (tg_vm_start). */
int tg_front_handshake(struct tg_front *f, uint64_t feature_mask, uint64_t protocol_mask);
/* A request that came on the back end's channel (BN_VU_BACKEND_*), acknowledged if wanted;
 * -ETIMEDOUT after timeout_ms. */
int tg_front_backend_request(struct tg_front *f, int timeout_ms);

#endif
