#include <errno.h>
#include <string.h>

#include "common/fd.h"
#include "common/log.h"
#include "renderer.h"

/* A handler takes the fds that it keeps: it sets them to -1. */
typedef void handler(struct bn_renderer *r, const struct bn_link_header *header,
	const void *payload, int *fds, size_t nfds);

static void handle_displays(struct bn_renderer *r, const struct bn_link_header *header,
	const void *payload, int *fds, size_t nfds)
{
	/* The daemon tells the driver that something changed; the driver then asks. */
	memcpy(&r->dev->displays, payload, sizeof(r->dev->displays));
}

static void handle_features(struct bn_renderer *r, const struct bn_link_header *header,
	const void *payload, int *fds, size_t nfds)
{
	const struct bn_link_u64 *m = payload;

	r->dev->features = m->value;
	bn_debug("driver features 0x%llx", (unsigned long long)m->value);
}

/* ---- guest memory ---- */

/* Nobody may look at guest memory while it changes: the cursor thread is kept out by the lock,
 * the rings are parked, and the GL library has no pointers into it. */
static void memory_begin(struct bn_renderer *r)
{
	bn_device_memory_changes(r->dev);
	bn_backing_suspend_all(r->dev);
	bn_device_lock(r->dev);
	for (unsigned i = 0; i < BN_LINK_QUEUES; i++)
		bn_vq_park(r->vq[i]);
}

/* A front end that replaces its memory table removes everything first: a ring that is not there
 * now may come back with the next region. */
static void memory_end(struct bn_renderer *r)
{
	bool back = bn_vq_unpark(r->vq[0]);

	bn_vq_unpark(r->vq[1]);
	pthread_mutex_unlock(&r->dev->lock);
	bn_backing_resume_all(r->dev);
	bn_stat_set(&r->stats->guest_memory_bytes, bn_guest_memory_size(r->mem));
	if (back)
		bn_ring_activate(r);
	if (bn_vq_running(r->vq[1]) && !(r->stop.pending && r->stop.index == 1))
		bn_cursor_start(r->cursor);
}

static struct bn_guest_region region_of(const struct bn_link_region *m)
{
	return (struct bn_guest_region){
		.guest_addr = m->guest_addr,
		.size = m->size,
		.user_addr = m->user_addr,
		.mmap_offset = m->mmap_offset,
	};
}

static void handle_mem_add(struct bn_renderer *r, const struct bn_link_header *header,
	const void *payload, int *fds, size_t nfds)
{
	struct bn_guest_region region = region_of(payload);
	int error;

	memory_begin(r);
	error = bn_guest_memory_add(r->mem, &region, fds[0]);
	fds[0] = -1;
	memory_end(r);
	bn_link_ack(r, header->seq, error, 0);
}

static void handle_mem_remove(struct bn_renderer *r, const struct bn_link_header *header,
	const void *payload, int *fds, size_t nfds)
{
	struct bn_guest_region region = region_of(payload);
	int error;

	memory_begin(r);
	error = bn_guest_memory_remove(r->mem, &region);
	memory_end(r);
	bn_link_ack(r, header->seq, error, 0);
}

static void handle_mem_clear(struct bn_renderer *r, const struct bn_link_header *header,
	const void *payload, int *fds, size_t nfds)
{
	memory_begin(r);
	bn_guest_memory_clear(r->mem);
	memory_end(r);
	bn_link_ack(r, header->seq, 0, 0);
}

/* ---- rings ---- */

static int start_control(struct bn_renderer *r, const struct bn_link_vring *m, int kick_fd)
{
	int error = bn_vq_start(r->vq[0], m, r->dev->features, kick_fd);

	if (error < 0)
		return error;
	bn_fences_ignore_displays(r->dev->fences, false);
	error = bn_ring_start(r);
	if (error < 0) {
		/* A kick fd that cannot be waited for. The ring must be free for another one. */
		bn_ring_stop(r);
		bn_vq_stop(r->vq[0]);
		return error;
	}
	if (m->restore)
		bn_device_refill(r->dev);
	return 0;
}

static int start_cursor(struct bn_renderer *r, const struct bn_link_vring *m, int kick_fd)
{
	int error;

	bn_device_lock(r->dev);
	error = bn_vq_start(r->vq[1], m, r->dev->features, kick_fd);
	pthread_mutex_unlock(&r->dev->lock);
	if (error == 0)
		bn_cursor_start(r->cursor);
	return error;
}

static void handle_start(struct bn_renderer *r, const struct bn_link_header *header,
	const void *payload, int *fds, size_t nfds)
{
	const struct bn_link_vring *m = payload;
	int kick_fd = fds[0], error;

	fds[0] = -1;
	if (m->fresh && !bn_vq_running(r->vq[0])) {
		bn_cursor_forget(r->cursor);
		bn_device_reset(r->dev);
	}
	error = m->index == 0 ? start_control(r, m, kick_fd) : start_cursor(r, m, kick_fd);
	if (error < 0)
		bn_error("queue %u does not start: %s", m->index, strerror(-error));
	bn_link_ack(r, header->seq, error, 0);
}

static void handle_call(struct bn_renderer *r, const struct bn_link_header *header,
	const void *payload, int *fds, size_t nfds)
{
	const struct bn_link_u64 *m = payload;
	int fd = nfds > 0 ? fds[0] : -1;

	if (nfds > 0)
		fds[0] = -1;
	if (fd >= 0)
		bn_fd_set_nonblock(fd, true);
	bn_device_lock(r->dev);
	bn_vq_set_call(r->vq[m->value], fd);
	pthread_mutex_unlock(&r->dev->lock);
}

static void handle_stop(struct bn_renderer *r, const struct bn_link_header *header,
	const void *payload, int *fds, size_t nfds)
{
	const struct bn_link_u64 *m = payload;

	r->stop.pending = true;
	r->stop.index = (unsigned)m->value;
	r->stop.seq = header->seq;
	bn_link_listen(r, false);
	if (m->value == 0) {
		bn_ring_stop(r);
		bn_ring_hurry(r);
		bn_fences_ignore_displays(r->dev->fences, true);
	} else {
		bn_cursor_pause(r->cursor);
	}
}

static void handle_presented(struct bn_renderer *r, const struct bn_link_header *header,
	const void *payload, int *fds, size_t nfds)
{
	const struct bn_link_presented *m = payload;

	bn_scanout_released(r->dev, &m->released);
	bn_scanout_presented(r->dev, m);
}

static void handle_release(struct bn_renderer *r, const struct bn_link_header *header,
	const void *payload, int *fds, size_t nfds)
{
	const struct bn_link_release *m = payload;

	bn_scanout_released(r->dev, m);
}

static handler *const handlers[] = {
	[BN_LINK_DISPLAYS] = handle_displays,
	[BN_LINK_FEATURES] = handle_features,
	[BN_LINK_MEM_ADD] = handle_mem_add,
	[BN_LINK_MEM_REMOVE] = handle_mem_remove,
	[BN_LINK_MEM_CLEAR] = handle_mem_clear,
	[BN_LINK_VRING_START] = handle_start,
	[BN_LINK_VRING_CALL] = handle_call,
	[BN_LINK_VRING_STOP] = handle_stop,
	[BN_LINK_PRESENTED] = handle_presented,
	[BN_LINK_RELEASE] = handle_release,
};

void bn_link_handle(struct bn_renderer *r, const struct bn_link_header *header, const void *payload,
	int *fds, size_t nfds)
{
	if (header->type < sizeof(handlers) / sizeof(handlers[0]) && handlers[header->type])
		handlers[header->type](r, header, payload, fds, nfds);
	else
		bn_link_fault(r, true, "the daemon greeted this renderer twice");
	bn_fds_close(fds, nfds);
}
