/* The device side of a split virtqueue (VIRTIO 1.3 §2.7) in guest memory: INDIRECT_DESC,
 * EVENT_IDX, in-flight tracking outside the process. Everything in the ring is hostile;
 * descriptors are copied out before they are checked. */
#ifndef BN_RENDERER_VIRTQUEUE_H
#define BN_RENDERER_VIRTQUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "protocol/link.h"
#include "zero-copy/guest_memory.h"

/* The most descriptors that one chain may have, indirect ones included: 16 MiB of 4 KiB pages
 * and then some. */
#define BN_VQ_CHAIN_MAX 8192

/* One request taken from the ring. Freed by bn_vq_complete(). */
struct bn_vq_request {
	struct bn_vq *vq;
	uint16_t head;
	/* The chain was broken (loop, bad address, writable before readable, …): it holds what was
	 * sound before the fault; answer with an error. */
	bool chain_error;
	uint32_t nout, nin; /* entries */
	/* Device-readable, device-writable; they point into guest memory: read once. */
	struct iovec *out, *in;
	uint64_t out_len, in_len; /* bytes; each at most 4 GiB - 1 */
	uint64_t generation;      /* of the guest memory that the iovecs point into */
};

struct bn_vq; /* opaque */

/* inflight must outlive the queue; NULL: no tracking. */
struct bn_vq *bn_vq_create(
	struct bn_guest_memory *mem, struct bn_inflight_queue *inflight, unsigned index);
/* Requests that were taken and not completed are the caller's to complete or forget first. NULL
 * is allowed. */
void bn_vq_destroy(struct bn_vq *vq);

/* Takes ownership of kick_fd whatever the result. features: the driver's (INDIRECT_DESC,
 * EVENT_IDX matter). With vring->restore the base comes from the used index and the inflight
 * table, and the heads left in flight are handed out again by bn_vq_pop() first, in ring order,
 * with request marked through *replayed. -EINVAL, -EFAULT (ring not in guest memory). */
int bn_vq_start(
	struct bn_vq *vq, const struct bn_link_vring *vring, uint64_t features, int kick_fd);
/* Stops handing out requests, closes the kick fd. Returns the base to resume from. */
uint16_t bn_vq_stop(struct bn_vq *vq);
bool bn_vq_running(const struct bn_vq *vq);
int bn_vq_kick_fd(const struct bn_vq *vq);
/* Takes ownership of fd (-1: none). */
void bn_vq_set_call(struct bn_vq *vq, int fd);
/* Ring addresses again after guest memory changed; stops the queue and returns -EFAULT when they
 * are gone. */
int bn_vq_remap(struct bn_vq *vq);
/* Guest memory is about to change: the ring is not touched until bn_vq_unpark(), which returns
 * whether it is in guest memory (again). Meanwhile nothing is taken, and completions wait. */
void bn_vq_park(struct bn_vq *vq);
bool bn_vq_unpark(struct bn_vq *vq);

/* The next request: 1 and *out set; 0 when the ring is empty; -errno (-EPROTO: indices that
 * cannot be, the ring is stopped for good and a line logged). *replayed (may be NULL) tells that
 * it was in flight in a renderer that died. */
int bn_vq_pop(struct bn_vq *vq, struct bn_vq_request **out, bool *replayed);
/* Cheap test whether pop would find something, for spinning. */
bool bn_vq_pending(const struct bn_vq *vq);
/* Kick suppression: on = the driver need not kick (we are looking anyway). When it is turned
 * off, returns true if something arrived meanwhile. */
bool bn_vq_suppress_kicks(struct bn_vq *vq, bool on);
/* Answers: `written` bytes were written into request->in. Frees the request. The driver is not
 * told before bn_vq_notify(). Thread: the one that runs the queue. */
void bn_vq_complete(struct bn_vq_request *request, uint32_t written);
/* Signals the call fd if the driver wants to know about completions since the last time. */
void bn_vq_notify(struct bn_vq *vq);
/* Requests taken and not completed. */
unsigned bn_vq_inflight(const struct bn_vq *vq);

/* Copies between a flat buffer and the request, bounded by both; returns the bytes copied. */
uint64_t bn_iov_read(const struct iovec *iov, uint32_t n, uint64_t offset, void *buf, uint64_t len);
uint64_t bn_iov_write(
	const struct iovec *iov, uint32_t n, uint64_t offset, const void *buf, uint64_t len);

#endif
