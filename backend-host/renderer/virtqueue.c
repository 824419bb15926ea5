/* A split ring. What is in flight is written down twice: in `taken` for ourselves and in the
 * inflight table, which outlives the process, so that a successor answers each request exactly
 * once. The order of stores in complete_in_ring() is what makes that hold at every point at
 * which this process may be killed:
 *
 *	last_head = h | used->ring[i] = h | used->idx = i + 1 | inflight[h] = 0 | used_idx = i + 1
 *	      (a)              (b)                  (c)                (d)
 *
 * Killed at (a) or (b): used->idx has not moved, h is still marked, it is answered again by the
 * successor and the driver sees one answer. At (c) or (d): used->idx differs from used_idx, so
 * the successor knows that last_head was answered and clears its mark. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd.h"
#include "common/log.h"
#include "virtqueue_private.h"

struct bn_vq {
	struct bn_guest_memory *mem;
	struct bn_inflight_queue *inflight; /* may be NULL */
	unsigned index, num;
	bool running, event_idx, indirect;
	struct bn_link_vring addr;
	/* These three are NULL while the ring is not in guest memory. */
	const struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t last_avail; /* next entry of the available ring to take */
	uint16_t used_idx;   /* next entry of the used ring to fill */
	uint16_t signalled;  /* used_idx at the last decision to call the driver */
	bool signalled_valid;
	int kick_fd;
	struct bn_notifier call;
	unsigned inflight_count;
	uint8_t taken[BN_LINK_QUEUE_SIZE_MAX];
	uint16_t replay[BN_LINK_QUEUE_SIZE_MAX]; /* heads that a predecessor left, in ring order */
	unsigned replay_count, replay_next;
	struct {
		uint16_t head;
		uint32_t written;
	} parked[BN_LINK_QUEUE_SIZE_MAX]; /* completions while the ring was not in guest memory */
	unsigned nparked;
	unsigned long broken_chains;
	struct iovec scratch[BN_VQ_CHAIN_MAX];
};

static void complete_in_ring(struct bn_vq *vq, uint16_t head, uint32_t written);

#define load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define full_barrier() __atomic_thread_fence(__ATOMIC_SEQ_CST)

struct bn_vq *bn_vq_create(
	struct bn_guest_memory *mem, struct bn_inflight_queue *inflight, unsigned index)
{
	struct bn_vq *vq = calloc(1, sizeof(*vq));

	if (!vq)
		return NULL;
	vq->mem = mem;
	vq->inflight = inflight;
	vq->index = index;
	vq->kick_fd = -1;
	bn_notifier_init(&vq->call, -1);
	return vq;
}

void bn_vq_destroy(struct bn_vq *vq)
{
	if (!vq)
		return;
	bn_fd_close(&vq->kick_fd);
	bn_notifier_finish(&vq->call);
	free(vq);
}

static void *ring_part(struct bn_vq *vq, uint64_t user, uint64_t len, uintptr_t align)
{
	void *p = bn_guest_memory_at_user(vq->mem, user, len);

	return p && (uintptr_t)p % align == 0 ? p : NULL;
}

static void ring_unmap(struct bn_vq *vq)
{
	vq->desc = NULL;
	vq->avail = NULL;
	vq->used = NULL;
}

static bool ring_map(struct bn_vq *vq)
{
	uint64_t extra = vq->event_idx ? 2 : 0;

	vq->desc = ring_part(vq, vq->addr.desc_user, 16ull * vq->num, 16);
	vq->avail = ring_part(vq, vq->addr.avail_user, 4 + 2ull * vq->num + extra, 2);
	vq->used = ring_part(vq, vq->addr.used_user, 4 + 8ull * vq->num + extra, 4);
	if (vq->desc && vq->avail && vq->used)
		return true;
	ring_unmap(vq);
	return false;
}

/* Puts the heads left in flight in the order in which the driver offered them. The available
 * ring still shows where the last `num` were; a head that is not among them was overtaken by a
 * whole ring's worth of others, so it is older than all of these. */
static void replay_order(struct bn_vq *vq)
{
	uint8_t seen[BN_LINK_QUEUE_SIZE_MAX] = {0};
	uint16_t window[BN_LINK_QUEUE_SIZE_MAX];
	unsigned n = 0;

	/* Newest first: older mentions of a head are stale. */
	for (unsigned back = 1; back <= vq->num; back++) {
		uint16_t slot = (uint16_t)(vq->last_avail - back) & (vq->num - 1);
		uint16_t head = load_relaxed(&vq->avail->ring[slot]);

		if (head < vq->num && vq->inflight->inflight[head] == 1 && !seen[head]) {
			seen[head] = 1;
			window[n++] = head;
		}
	}
	vq->replay_count = 0;
	for (unsigned head = 0; head < vq->num; head++) {
		if (vq->inflight->inflight[head] == 1 && !seen[head])
			vq->replay[vq->replay_count++] = (uint16_t)head;
	}
	while (n > 0)
		vq->replay[vq->replay_count++] = window[--n];
}

static void ring_restore(struct bn_vq *vq)
{
	struct bn_inflight_queue *q = vq->inflight;
	uint16_t count = 0;

	if (q->used_idx != vq->used_idx && q->last_head < vq->num)
		q->inflight[q->last_head] = 0;
	q->used_idx = vq->used_idx;
	for (unsigned i = 0; i < vq->num; i++)
		count += q->inflight[i] == 1;
	vq->last_avail = (uint16_t)(vq->used_idx + count);
	replay_order(vq);
}

static void ring_begin(struct bn_vq *vq, const struct bn_link_vring *vring)
{
	memset(vq->taken, 0, sizeof(vq->taken));
	vq->replay_count = 0;
	vq->replay_next = 0;
	vq->nparked = 0;
	vq->signalled_valid = false;
	vq->used_idx = load_acquire(&vq->used->idx);
	vq->last_avail = (uint16_t)vring->base;
	if (vring->restore && vq->inflight) {
		ring_restore(vq);
	} else if (vq->inflight) {
		memset(vq->inflight, 0, sizeof(*vq->inflight));
		vq->inflight->used_idx = vq->used_idx;
	}
}

int bn_vq_start(struct bn_vq *vq, const struct bn_link_vring *vring, uint64_t features, int kick_fd)
{
	int r = -EINVAL;

	if (vq->running || vq->inflight_count > 0) {
		r = -EBUSY;
		goto error_fd;
	}
	if (vring->num == 0 || vring->num > BN_LINK_QUEUE_SIZE_MAX ||
		(vring->num & (vring->num - 1)) != 0 || vring->base > UINT16_MAX)
		goto error_fd;
	vq->num = vring->num;
	vq->addr = *vring;
	vq->event_idx = features & (1ull << VIRTIO_RING_F_EVENT_IDX);
	vq->indirect = features & (1ull << VIRTIO_RING_F_INDIRECT_DESC);
	r = -EFAULT;
	if (!ring_map(vq))
		goto error_fd;
	r = kick_fd >= 0 ? bn_fd_set_nonblock(kick_fd, true) : 0;
	if (r < 0)
		goto error_fd;
	bn_fd_close(&vq->kick_fd);
	vq->kick_fd = kick_fd;
	ring_begin(vq, vring);
	vq->running = true;
	bn_vq_suppress_kicks(vq, false);
	/* A predecessor may have been killed between an answer and its call, and the driver sleeps
	 * until it is called. */
	if (vring->restore)
		bn_vq_notify(vq);
	return 0;

error_fd:
	bn_fd_close(&kick_fd);
	return r;
}

uint16_t bn_vq_stop(struct bn_vq *vq)
{
	vq->running = false;
	bn_fd_close(&vq->kick_fd);
	return vq->last_avail;
}

bool bn_vq_running(const struct bn_vq *vq)
{
	return vq->running;
}

int bn_vq_kick_fd(const struct bn_vq *vq)
{
	return vq->kick_fd;
}

void bn_vq_set_call(struct bn_vq *vq, int fd)
{
	bn_notifier_finish(&vq->call);
	bn_notifier_init(&vq->call, fd);
	/* Answers given while there was no call fd, or to the old one at the wrong moment, are
	 * told again: a call too many is harmless. */
	vq->signalled_valid = false;
	bn_vq_notify(vq);
}

void bn_vq_park(struct bn_vq *vq)
{
	ring_unmap(vq);
}

bool bn_vq_unpark(struct bn_vq *vq)
{
	if ((!vq->running && vq->inflight_count == 0 && vq->nparked == 0) || vq->used)
		return true;
	if (!ring_map(vq))
		return false;
	for (unsigned i = 0; i < vq->nparked; i++)
		complete_in_ring(vq, vq->parked[i].head, vq->parked[i].written);
	vq->nparked = 0;
	bn_vq_notify(vq);
	return true;
}

int bn_vq_remap(struct bn_vq *vq)
{
	bn_vq_park(vq);
	if (bn_vq_unpark(vq))
		return 0;
	if (vq->running)
		bn_error("queue %u: its ring is no longer in guest memory, stopped", vq->index);
	vq->nparked = 0;
	bn_vq_stop(vq);
	return -EFAULT;
}

static int vq_broken(struct bn_vq *vq, const char *why, unsigned value)
{
	bn_error("queue %u: %s (%u), stopped", vq->index, why, value);
	bn_vq_stop(vq);
	return -EPROTO;
}

/* Looks at the next head of the available ring: 1, 0 when it is empty, -EPROTO. */
static int next_head(struct bn_vq *vq, uint16_t *head)
{
	uint16_t waiting = (uint16_t)(load_acquire(&vq->avail->idx) - vq->last_avail);

	if (waiting == 0)
		return 0;
	if (waiting > vq->num)
		return vq_broken(vq, "more requests offered than the ring holds", waiting);
	*head = load_relaxed(&vq->avail->ring[vq->last_avail & (vq->num - 1)]);
	if (*head >= vq->num)
		return vq_broken(vq, "head outside the ring", *head);
	if (vq->taken[*head])
		return vq_broken(vq, "head offered twice", *head);
	return 1;
}

static struct bn_vq_request *request_create(struct bn_vq *vq, uint16_t head)
{
	struct bn_chain chain = {.mem = vq->mem, .iov = vq->scratch, .indirect = vq->indirect};
	int r = bn_chain_read(&chain, vq->desc, vq->num, head);
	struct bn_vq_request *req;
	size_t n = chain.nout + chain.nin;

	req = malloc(sizeof(*req) + n * sizeof(struct iovec));
	if (!req)
		return NULL;
	*req = (struct bn_vq_request){
		.vq = vq,
		.head = head,
		.chain_error = r < 0,
		.nout = chain.nout,
		.nin = chain.nin,
		.out_len = chain.out_len,
		.in_len = chain.in_len,
		.generation = bn_guest_memory_generation(vq->mem),
	};
	req->out = (struct iovec *)(req + 1);
	req->in = req->out + chain.nout;
	memcpy(req->out, vq->scratch, n * sizeof(struct iovec));
	if (r < 0 && bn_log_gate(&vq->broken_chains))
		bn_warn("queue %u: broken descriptor chain at head %u: %s (%lu so far)", vq->index,
			head, strerror(-r), vq->broken_chains);
	return req;
}

int bn_vq_pop(struct bn_vq *vq, struct bn_vq_request **out, bool *replayed)
{
	bool again = vq->replay_next < vq->replay_count;
	uint16_t head;
	int r;

	if (!vq->running || !vq->used)
		return 0;
	if (again) {
		head = vq->replay[vq->replay_next];
	} else {
		r = next_head(vq, &head);
		if (r <= 0)
			return r;
	}
	*out = request_create(vq, head);
	if (!*out)
		return -ENOMEM;
	if (vq->inflight)
		store_release(&vq->inflight->inflight[head], 1);
	if (again)
		vq->replay_next++;
	else
		vq->last_avail++;
	vq->taken[head] = 1;
	vq->inflight_count++;
	if (replayed)
		*replayed = again;
	return 1;
}

bool bn_vq_pending(const struct bn_vq *vq)
{
	return vq->running && vq->used &&
	       (vq->replay_next < vq->replay_count ||
		       load_relaxed(&vq->avail->idx) != vq->last_avail);
}

static uint16_t *avail_event(struct bn_vq *vq)
{
	return (uint16_t *)((char *)vq->used + 4 + 8 * (size_t)vq->num);
}

bool bn_vq_suppress_kicks(struct bn_vq *vq, bool on)
{
	if (!vq->running || !vq->used)
		return false;
	if (on) {
		/* With EVENT_IDX nothing is to be written: the event index stays where it was,
		 * and the driver has passed it. */
		if (!vq->event_idx)
			__atomic_store_n(
				&vq->used->flags, VRING_USED_F_NO_NOTIFY, __ATOMIC_RELAXED);
		return false;
	}
	if (vq->event_idx)
		__atomic_store_n(avail_event(vq), vq->last_avail, __ATOMIC_RELAXED);
	else
		__atomic_store_n(&vq->used->flags, 0, __ATOMIC_RELAXED);
	/* Pairs with the driver's: it writes avail->idx, then looks whether to kick. */
	full_barrier();
	return bn_vq_pending(vq);
}

static void complete_in_ring(struct bn_vq *vq, uint16_t head, uint32_t written)
{
	struct bn_inflight_queue *q = vq->inflight;
	struct vring_used_elem *elem = &vq->used->ring[vq->used_idx & (vq->num - 1)];

	if (q)
		__atomic_store_n(&q->last_head, head, __ATOMIC_RELEASE);
	elem->id = head;
	elem->len = written;
	vq->used_idx++;
	store_release(&vq->used->idx, vq->used_idx);
	if (q) {
		store_release(&q->inflight[head], 0);
		store_release(&q->used_idx, vq->used_idx);
	}
}

void bn_vq_complete(struct bn_vq_request *request, uint32_t written)
{
	struct bn_vq *vq = request->vq;

	if (vq->used) {
		complete_in_ring(vq, request->head, written);
	} else if (vq->running) {
		vq->parked[vq->nparked].head = request->head;
		vq->parked[vq->nparked++].written = written;
	}
	vq->taken[request->head] = 0;
	vq->inflight_count--;
	free(request);
}

static bool driver_wants_call(struct bn_vq *vq)
{
	uint16_t old = vq->signalled;
	bool valid = vq->signalled_valid;

	full_barrier(); /* used->idx first, then what the driver says: it does the reverse */
	if (!vq->event_idx)
		return !(load_relaxed(&vq->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
	vq->signalled = vq->used_idx;
	vq->signalled_valid = true;
	return !valid ||
	       vring_need_event(load_relaxed(&vq->avail->ring[vq->num]), vq->used_idx, old);
}

void bn_vq_notify(struct bn_vq *vq)
{
	if (vq->used && vq->call.fd >= 0 && driver_wants_call(vq))
		bn_notifier_signal(&vq->call);
}

unsigned bn_vq_inflight(const struct bn_vq *vq)
{
	return vq->inflight_count;
}
