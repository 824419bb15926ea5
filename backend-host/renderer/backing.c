#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "device.h"

#define PIXEL_SIZE 4u

/* Host iovecs of all entries, or -EFAULT. */
static int iov_make(struct bn_device *dev, struct bn_backing *b)
{
	/* Entries that cross from one region into the next need more than one. */
	size_t max = (size_t)b->count + BN_GUEST_MEMORY_SLOTS, n = 0;
	struct iovec *iov = calloc(max, sizeof(*iov));

	if (!iov)
		return -ENOMEM;
	for (uint32_t i = 0; i < b->count; i++) {
		int r = bn_guest_memory_iov(
			dev->config.mem, b->entries[i].addr, b->entries[i].len, iov + n, max - n);

		if (r < 0) {
			free(iov);
			return -EFAULT;
		}
		n += (size_t)r;
	}
	free(b->iov);
	b->iov = iov;
	b->niov = (uint32_t)n;
	b->generation = bn_guest_memory_generation(dev->config.mem);
	return 0;
}

static int gl_give(struct bn_device *dev, struct bn_resource *res)
{
	int r;

	if (!res->is_3d || res->iov_in_gl)
		return 0;
	r = bn_gl_attach_iov(dev->gl, res->id, res->backing.iov, res->backing.niov);
	res->iov_in_gl = r == 0;
	return r == 0 ? 0 : -EINVAL;
}

static void gl_take(struct bn_device *dev, struct bn_resource *res)
{
	if (res->iov_in_gl)
		bn_gl_detach_iov(dev->gl, res->id);
	res->iov_in_gl = false;
}

int bn_backing_attach(struct bn_device *dev, struct bn_resource *res,
	struct bn_backing_entry *entries, uint32_t count, bool lazy)
{
	struct bn_backing *b = &res->backing;
	int r;

	if (count > BN_BACKING_TOTAL_MAX - dev->backing_entries) {
		free(entries);
		return -ENOMEM;
	}
	b->entries = entries;
	b->count = count;
	dev->backing_entries += count;
	b->size = 0;
	for (uint32_t i = 0; i < count; i++)
		b->size += entries[i].len;
	if (lazy)
		return 0;
	r = iov_make(dev, b);
	if (r == 0)
		r = gl_give(dev, res);
	if (r < 0)
		bn_backing_detach(dev, res);
	return r;
}

void bn_backing_detach(struct bn_device *dev, struct bn_resource *res)
{
	gl_take(dev, res);
	dev->backing_entries -= res->backing.count;
	free(res->backing.entries);
	free(res->backing.iov);
	memset(&res->backing, 0, sizeof(res->backing));
}

bool bn_backing_usable(struct bn_device *dev, struct bn_resource *res)
{
	struct bn_backing *b = &res->backing;

	if (!b->entries)
		return false;
	/* What the GL library holds is right: every removal of memory takes it away first. */
	if (res->iov_in_gl)
		return true;
	if (!b->iov || b->generation != bn_guest_memory_generation(dev->config.mem)) {
		free(b->iov);
		b->iov = NULL;
		b->niov = 0;
		if (iov_make(dev, b) < 0)
			return false;
	}
	return gl_give(dev, res) == 0;
}

void bn_backing_suspend_all(struct bn_device *dev)
{
	struct bn_resource *res;
	uint32_t at = 0;

	while ((res = bn_idmap_next(&dev->resources, &at)))
		gl_take(dev, res);
}

void bn_backing_resume_all(struct bn_device *dev)
{
	struct bn_resource *res;
	uint32_t at = 0;

	while ((res = bn_idmap_next(&dev->resources, &at))) {
		if (res->is_3d)
			bn_backing_usable(dev, res);
	}
}

/* A place in an iovec array that only moves forward, so that a picture of many rows and many
 * pages is not searched from the start for each row. */
struct place {
	const struct iovec *iov;
	uint32_t n;
	uint64_t before; /* bytes in front of iov[0] */
};

static void place_read(struct place *p, uint64_t offset, void *dst, uint64_t len)
{
	while (p->n > 0 && offset - p->before >= p->iov->iov_len) {
		p->before += p->iov->iov_len;
		p->iov++;
		p->n--;
	}
	bn_iov_read(p->iov, p->n, offset - p->before, dst, len);
}

static void transfer_rows(struct bn_resource *res, const struct virtio_gpu_rect *r, uint64_t offset)
{
	struct place place = {.iov = res->backing.iov, .n = res->backing.niov};
	uint64_t stride = (uint64_t)res->width * PIXEL_SIZE;
	uint8_t *dst = res->pixels + r->y * stride + (uint64_t)r->x * PIXEL_SIZE;

	if (r->width == res->width) {
		place_read(&place, offset, dst, r->height * stride);
		return;
	}
	for (uint32_t row = 0; row < r->height; row++)
		place_read(&place, offset + row * stride, dst + row * stride,
			(uint64_t)r->width * PIXEL_SIZE);
}

bool bn_transfer_2d(struct bn_device *dev, struct bn_resource *res, const struct virtio_gpu_rect *r,
	uint64_t offset)
{
	uint64_t stride = (uint64_t)res->width * PIXEL_SIZE;
	uint64_t need = (r->height - 1) * stride + (uint64_t)r->width * PIXEL_SIZE;
	/* What may be a cursor is also read by the cursor thread. */
	bool shared = res->width == BN_CURSOR_SIZE && res->height == BN_CURSOR_SIZE;

	if (!bn_backing_usable(dev, res) || offset > res->backing.size ||
		need > res->backing.size - offset)
		return false;
	if (shared)
		bn_device_lock(dev);
	transfer_rows(res, r, offset);
	if (shared)
		pthread_mutex_unlock(&dev->lock);
	bn_stat_add(&dev->stats->copy_bytes_in, (uint64_t)r->width * r->height * PIXEL_SIZE);
	return true;
}

void bn_device_refill(struct bn_device *dev)
{
	struct bn_resource *res;
	uint32_t at = 0;

	while ((res = bn_idmap_next(&dev->resources, &at))) {
		struct virtio_gpu_rect all = {.width = res->width, .height = res->height};

		if (!res->refill || !bn_transfer_2d(dev, res, &all, 0))
			continue;
		res->refill = false;
	}
	dev->again = true;
	for (unsigned i = 0; i < dev->config.num_scanouts; i++) {
		struct bn_flush_set nobody = {0};

		res = bn_resource_get(dev, dev->scanout[i].res_id);
		if (res && !res->is_3d)
			bn_scanout_flush(dev, res, &dev->scanout[i].src, &nobody);
	}
	dev->again = false;
}
