/* From a flush to a frame at the daemon.
 *
 * A 2D resource is its own frame: its memfd is announced once and named in each frame. A 3D
 * resource is exported as a dma-buf if the driver can, else read back into a pool of three memfds.
 * Either way the frame leaves only when the GPU has finished what the contexts that see the
 * resource submitted before the flush, and nothing here waits for that: the flush puts a fence, and
 * job_done() goes on.
 *
 * A finished GL picture waits, in `ready`, while the one before it on that scanout is not presented
 * yet (fence.c says what that is good for), or while all slots of the pool are with the daemon. One
 * waits at most: the newest, which speaks for those it replaced.
 *
 * A picture that leaves without a copy is the guest's own buffer. From its flush until the daemon's
 * RELEASE the guest does not draw into it, once it has gone on to another one: release.c. */
#include <drm_fourcc.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "device.h"

#define PIXEL_SIZE 4u
/* Whole-resource buffers announced at a time: with three slots for each of 16 scanouts this
 * stays under BN_LINK_BUFFERS_MAX. */
#define ANNOUNCED_MAX 200u

static void send(struct bn_device *dev, uint32_t type, const void *payload, size_t size)
{
	dev->config.ops->send(dev->config.data, type, payload, size, NULL, 0);
}

/* ---- buffers ---- */

static void buffer_gone(struct bn_device *dev, struct bn_resource *res)
{
	struct bn_link_u64 gone = {.value = res->buffer_id};

	if (res->buffer_id == 0)
		return;
	send(dev, BN_LINK_BUFFER_GONE, &gone, sizeof(gone));
	res->buffer_id = 0;
	res->shown.seq = 0; /* no release will come */
	res->export_tried = false;
	dev->announced--;
}

static bool shown(const struct bn_device *dev, const struct bn_resource *res)
{
	for (unsigned i = 0; i < dev->config.num_scanouts; i++) {
		if (dev->scanout[i].res_id == res->id)
			return true;
	}
	return false;
}

/* Those on display too, if `all`. */
static void forget_hidden_buffers(struct bn_device *dev, bool all)
{
	struct bn_resource *res;
	uint32_t at = 0;

	while ((res = bn_idmap_next(&dev->resources, &at))) {
		if (!shown(dev, res) && (all || res->shown.seq == 0))
			buffer_gone(dev, res);
	}
}

static void buffer_new(
	struct bn_device *dev, struct bn_resource *res, struct bn_link_buffer *msg, const int *fds)
{
	if (dev->announced >= ANNOUNCED_MAX)
		forget_hidden_buffers(dev, false);
	if (dev->announced >= ANNOUNCED_MAX)
		forget_hidden_buffers(dev, true);
	msg->id = ++dev->next_buffer_id;
	res->buffer_id = msg->id;
	dev->announced++;
	dev->config.ops->send(
		dev->config.data, BN_LINK_BUFFER_NEW, msg, sizeof(*msg), fds, msg->planes);
}

static void announce_2d(struct bn_device *dev, struct bn_resource *res)
{
	struct bn_link_buffer msg = {
		.kind = BN_LINK_BUFFER_MEMFD,
		.width = res->width,
		.height = res->height,
		.fourcc = bn_format_fourcc(res->format),
		.modifier = DRM_FORMAT_MOD_LINEAR,
		.planes = 1,
		.stride[0] = res->width * PIXEL_SIZE,
	};

	if (res->buffer_id == 0)
		buffer_new(dev, res, &msg, &res->fd);
}

/* Tried once: a driver that cannot export one resource of this kind will not be able to later. */
static void announce_3d(struct bn_device *dev, struct bn_resource *res)
{
	struct bn_gl_scanout out = {0};
	struct bn_link_buffer msg;

	if (res->buffer_id != 0 || res->export_tried)
		return;
	res->export_tried = true;
	if (bn_gl_export(dev->gl, res->id, &out) != 0)
		return;
	msg = (struct bn_link_buffer){
		.kind = BN_LINK_BUFFER_DMABUF,
		.width = out.width,
		.height = out.height,
		.fourcc = out.fourcc,
		.modifier = out.modifier,
		.planes = out.planes,
		.y_invert = out.y_invert,
	};
	memcpy(msg.stride, out.stride, sizeof(msg.stride));
	memcpy(msg.offset, out.offset, sizeof(msg.offset));
	buffer_new(dev, res, &msg, out.fd);
	bn_fds_close(out.fd, out.planes);
}

/* ---- frames ---- */

/* These flushes wait no longer, whether a display showed them or they never will be shown. */
static void flushes_over(struct bn_device *dev, unsigned index, uint64_t number)
{
	struct bn_scanout *so = &dev->scanout[index];

	if (number > so->presented)
		so->presented = number;
	bn_fences_presented(dev->fences, index, number);
}

static void frame_send(struct bn_device *dev, unsigned index, uint64_t buffer,
	const struct virtio_gpu_rect *src, uint64_t number, uint64_t flush_ns,
	const struct bn_gate_frame *took)
{
	struct bn_scanout *so = &dev->scanout[index];
	struct bn_link_frame msg = {
		.seq = ++dev->frame_seq,
		.buffer = buffer,
		.flush_ns = flush_ns,
		.scanout = index,
		.again = dev->again,
		.src_x = src->x,
		.src_y = src->y,
		.src_width = src->width,
		.src_height = src->height,
		.damage_x = so->damage.x,
		.damage_y = so->damage.y,
		.damage_width = so->damage.width,
		.damage_height = so->damage.height,
		.queued_ns = took->queued_ns,
		.done_ns = took->done_ns,
		.wait_ns = took->wait_ns,
		.gpu_ns = took->gpu_ns,
		.response_ns = took->response_ns,
		.batches = took->batches,
		.cuts = took->cuts,
	};

	/* The next one speaks for it: presents cover all earlier frames. */
	if (so->nsent == BN_SENT_MAX)
		memmove(so->sent, so->sent + 1, --so->nsent * sizeof(so->sent[0]));
	so->sent[so->nsent].seq = msg.seq;
	so->sent[so->nsent++].number = number;
	so->sent_number = number;
	so->ready.valid = so->ready.valid && so->ready.number > number;
	memset(&so->damage, 0, sizeof(so->damage));
	send(dev, BN_LINK_FRAME, &msg, sizeof(msg));
}

static bool read_back(
	struct bn_device *dev, struct bn_scanout *so, struct bn_resource *res, struct bn_slot *slot)
{
	struct virtio_gpu_rect r = slot->stale;
	struct bn_gate_span span;
	bool ok;

	if (r.width == 0 || r.height == 0)
		return true;
	if (dev->gate)
		bn_gate_span_begin(dev->gate, &span);
	ok = bn_gl_read_back(dev->gl, res->id, r.x, r.y, r.width, r.height, slot->pixels,
		     so->pool_width * PIXEL_SIZE) == 0;
	if (dev->gate)
		bn_gate_span_end(dev->gate, &span);
	if (!ok)
		return false;
	memset(&slot->stale, 0, sizeof(slot->stale));
	bn_stat_add(&dev->stats->copy_bytes_out, (uint64_t)r.width * r.height * PIXEL_SIZE);
	return true;
}

static bool pool_busy(const struct bn_scanout *so)
{
	for (unsigned i = 0; i < BN_SLOTS; i++) {
		if (so->slot[i].busy)
			return true;
	}
	return false;
}

/* Fills a slot and sends it. False: nothing was sent; then either a slot comes back later (the
 * picture waits) or there is no way to show it. */
static bool ready_copy(struct bn_device *dev, unsigned index, struct bn_resource *res)
{
	struct bn_scanout *so = &dev->scanout[index];
	struct bn_gl_scanout info;
	struct bn_slot *slot;

	if (bn_gl_scanout_info(dev->gl, res->id, &info) != 0) {
		so->ready.valid = false;
		return false;
	}
	slot = bn_pool_get(dev, so, &info);
	if (!slot) {
		so->ready.valid = pool_busy(so);
		return false;
	}
	so->ready.valid = false;
	if (!read_back(dev, so, res, slot))
		return false;
	slot->busy = true;
	so->sent_serial = res->serial;
	frame_send(dev, index, slot->buffer_id, &so->ready.src, so->ready.number,
		so->ready.flush_ns, &so->ready.took);
	return true;
}

static void ready_send(struct bn_device *dev, unsigned index)
{
	struct bn_scanout *so = &dev->scanout[index];
	struct bn_resource *res = bn_resource_get_serial(dev, so->ready.res_id, so->ready.serial);

	if (so->nsent > 0)
		return; /* bn_scanout_presented() comes back to it */
	if (!res) {
		so->ready.valid = false;
		flushes_over(dev, index, so->ready.number);
		return;
	}
	announce_3d(dev, res);
	if (res->buffer_id != 0) {
		so->ready.valid = false;
		so->sent_serial = res->serial;
		bn_stat_add(&dev->stats->zero_copy_frames, 1);
		frame_send(dev, index, res->buffer_id, &so->ready.src, so->ready.number,
			so->ready.flush_ns, &so->ready.took);
		res->shown.seq = dev->frame_seq;
	} else if (!ready_copy(dev, index, res) && !so->ready.valid) {
		flushes_over(dev, index, so->ready.number);
	}
}

void bn_scanout_presented(struct bn_device *dev, const struct bn_link_presented *p)
{
	struct bn_scanout *so = &dev->scanout[p->scanout];
	uint64_t number = 0;
	unsigned n = 0;

	while (n < so->nsent && so->sent[n].seq <= p->seq)
		number = so->sent[n++].number;
	if (n == 0)
		return;
	so->nsent -= n;
	memmove(so->sent, so->sent + n, so->nsent * sizeof(so->sent[0]));
	/* The next picture is read before the guest can draw over it. */
	if (so->ready.valid)
		ready_send(dev, p->scanout);
	flushes_over(dev, p->scanout, number);
}

void bn_scanout_released(struct bn_device *dev, const struct bn_link_release *r)
{
	if (r->buffer == 0)
		return;
	bn_release_got(dev, r);
	for (unsigned i = 0; i < dev->config.num_scanouts; i++) {
		struct bn_scanout *so = &dev->scanout[i];

		for (unsigned k = 0; k < BN_SLOTS; k++) {
			if (so->slot[k].buffer_id != r->buffer)
				continue;
			so->slot[k].busy = false;
			if (so->ready.valid)
				ready_send(dev, i);
			return;
		}
	}
}

/* ---- flushes ---- */

struct flush_job {
	struct bn_device *dev;
	unsigned index;
	struct bn_ready picture;
	struct virtio_gpu_rect damage;
	uint64_t frame; /* of the gate */
};

static void job_done(void *data, bool cancelled)
{
	struct flush_job *job = data;
	struct bn_device *dev = job->dev;
	struct bn_scanout *so = &dev->scanout[job->index];
	struct bn_resource *res =
		bn_resource_get_serial(dev, job->picture.res_id, job->picture.serial);

	if (res)
		res->shown.drawing--;
	if (cancelled) {
		free(job);
		return;
	}
	/* Applied now, not at the flush: a slot read in between would have caught half of this
	 * drawing and be taken for up to date. */
	if (dev->gate)
		bn_gate_frame_done(dev->gate, job->frame, &job->picture.took);
	bn_pool_damage(so, &job->damage);
	bn_rect_join(&so->damage, &job->damage);
	if (job->picture.number <= so->sent_number ||
		(so->ready.valid && job->picture.number < so->ready.number)) {
		/* A newer frame is on its way, or waits to be, and speaks for this flush, too. */
	} else if (so->res_id == 0) {
		flushes_over(dev, job->index, job->picture.number);
	} else {
		/* Even if the scanout shows another resource by now: that one is not finished,
		 * and a guest that is always one frame ahead would never be seen. */
		so->ready = job->picture;
		ready_send(dev, job->index);
	}
	free(job);
}

static void flush_3d(struct bn_device *dev, unsigned index, struct bn_resource *res,
	const struct virtio_gpu_rect *r, uint64_t number, uint64_t now, uint64_t frame)
{
	struct bn_scanout *so = &dev->scanout[index];
	struct flush_job *job = calloc(1, sizeof(*job));
	struct bn_attachment *at;
	uint32_t *ids = NULL;
	unsigned n;

	if (!job || bn_resource_contexts(res, &ids, &n) < 0)
		goto error;
	job->dev = dev;
	job->index = index;
	job->frame = frame;
	job->picture = (struct bn_ready){
		.valid = true,
		.serial = res->serial,
		.res_id = res->id,
		.src = so->src,
		.number = number,
		.flush_ns = now,
	};
	job->damage = *r;
	if (so->flushed_serial != res->serial) /* another picture: all of it is new to the slots */
		job->damage = (struct virtio_gpu_rect){.width = res->width, .height = res->height};
	so->flushed_serial = res->serial;
	wl_list_for_each(at, &res->attachments, resource_link)
		bn_hold_add(&at->context->hold, index, number);
	res->shown.drawing++;
	if (bn_fences_wait(dev->fences, ids, n, job_done, job) < 0) {
		res->shown.drawing--;
		goto error;
	}
	free(ids);
	return;

error:
	free(ids);
	free(job);
	flushes_over(dev, index, number);
}

static void flush_2d(struct bn_device *dev, unsigned index, struct bn_resource *res,
	const struct virtio_gpu_rect *r, uint64_t number, uint64_t now)
{
	const struct bn_gate_frame nothing = {0};
	struct bn_scanout *so = &dev->scanout[index];

	so->flushed_serial = res->serial;
	bn_rect_join(&so->damage, r);
	announce_2d(dev, res);
	so->sent_serial = res->serial;
	bn_stat_add(&dev->stats->zero_copy_frames, 1);
	frame_send(dev, index, res->buffer_id, &so->src, number, now, &nothing);
}

void bn_scanout_flush(struct bn_device *dev, struct bn_resource *res,
	const struct virtio_gpu_rect *r, struct bn_flush_set *set)
{
	uint64_t now = bn_now_ns(), frame = 0;

	if (dev->gate && shown(dev, res))
		frame = bn_gate_frame_end(dev->gate);
	for (unsigned i = 0; i < dev->config.num_scanouts; i++) {
		struct bn_scanout *so = &dev->scanout[i];

		if (so->res_id != res->id)
			continue;
		so->number++;
		set->mask |= 1u << i;
		set->number[i] = so->number;
		bn_release_flushed(dev, res, i);
		if (res->is_3d)
			flush_3d(dev, i, res, r, so->number, now, frame);
		else
			flush_2d(dev, i, res, r, so->number, now);
		if (so->presented >= set->number[i]) /* over before it began */
			set->mask &= ~(1u << i);
	}
}

/* ---- what a scanout shows ---- */

void bn_scanout_set(struct bn_device *dev, unsigned index, struct bn_resource *res,
	const struct virtio_gpu_rect *src)
{
	struct bn_scanout *so = &dev->scanout[index];

	if (so->res_id == res->id && memcmp(&so->src, src, sizeof(*src)) == 0)
		return;
	so->res_id = res->id;
	so->src = *src;
	/* The visible part moved or is another picture. */
	so->flushed_serial = 0;
	bn_state_scanout(dev, index);
}

void bn_scanout_off(struct bn_device *dev, unsigned index)
{
	struct bn_scanout *so = &dev->scanout[index];
	const struct virtio_gpu_rect nothing = {0};
	const struct bn_gate_frame no_work = {0};

	if (so->res_id == 0)
		return;
	so->res_id = 0;
	so->newest_serial = 0;
	so->ready.valid = false;
	memset(&so->damage, 0, sizeof(so->damage));
	frame_send(dev, index, 0, &nothing, so->number, bn_now_ns(), &no_work);
	so->nsent = 0;
	bn_pool_finish(dev, so);
	flushes_over(dev, index, so->number);
	bn_state_scanout(dev, index);
}

void bn_scanout_forget(struct bn_device *dev, struct bn_resource *res)
{
	for (unsigned i = 0; i < dev->config.num_scanouts; i++) {
		struct bn_scanout *so = &dev->scanout[i];

		if (so->res_id == res->id)
			bn_scanout_off(dev, i);
		if (so->ready.valid && so->ready.serial == res->serial) {
			so->ready.valid = false;
			flushes_over(dev, i, so->ready.number);
		}
		/* Its picture never comes, and takes no place. */
		if (so->newest_serial == res->serial && so->sent_serial != res->serial)
			so->newest_serial = so->sent_serial;
	}
	buffer_gone(dev, res);
	bn_release_forget(res);
}
