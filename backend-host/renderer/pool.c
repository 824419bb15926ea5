#include <string.h>
#include <sys/mman.h>

#include "common/fd.h"
#include "device.h"

#define PIXEL_SIZE 4u

void bn_rect_join(struct virtio_gpu_rect *to, const struct virtio_gpu_rect *r)
{
	uint32_t right, bottom;

	if (r->width == 0 || r->height == 0)
		return;
	if (to->width == 0 || to->height == 0) {
		*to = *r;
		return;
	}
	right = to->x + to->width > r->x + r->width ? to->x + to->width : r->x + r->width;
	bottom = to->y + to->height > r->y + r->height ? to->y + to->height : r->y + r->height;
	to->x = to->x < r->x ? to->x : r->x;
	to->y = to->y < r->y ? to->y : r->y;
	to->width = right - to->x;
	to->height = bottom - to->y;
}

static uint64_t pool_bytes(const struct bn_scanout *so)
{
	return (uint64_t)so->pool_width * so->pool_height * PIXEL_SIZE;
}

void bn_pool_finish(struct bn_device *dev, struct bn_scanout *so)
{
	for (unsigned i = 0; i < BN_SLOTS; i++) {
		struct bn_slot *slot = &so->slot[i];
		struct bn_link_u64 gone = {.value = slot->buffer_id};

		if (slot->buffer_id == 0)
			continue;
		dev->config.ops->send(
			dev->config.data, BN_LINK_BUFFER_GONE, &gone, sizeof(gone), NULL, 0);
		munmap(slot->pixels, pool_bytes(so));
		dev->pool_bytes -= pool_bytes(so);
		memset(slot, 0, sizeof(*slot));
	}
	so->pool_width = 0;
	so->pool_height = 0;
}

static bool slot_create(struct bn_device *dev, struct bn_scanout *so, struct bn_slot *slot)
{
	struct bn_link_buffer msg = {
		.kind = BN_LINK_BUFFER_MEMFD,
		.width = so->pool_width,
		.height = so->pool_height,
		.fourcc = so->pool_fourcc,
		.planes = 1,
		.stride[0] = so->pool_width * PIXEL_SIZE,
	};
	uint64_t max = dev->config.host_memory_max;
	int fd;

	/* On an account of their own: a guest whose resources fill its memory still has a display.
	 */
	if (max != 0 && (pool_bytes(so) > max || dev->pool_bytes > max - pool_bytes(so)))
		return false;
	fd = bn_memfd_create_pages("binnacle-readback", pool_bytes(so));
	if (fd < 0)
		return false;
	slot->pixels = mmap(NULL, pool_bytes(so), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (slot->pixels == MAP_FAILED) {
		slot->pixels = NULL;
		bn_fd_close(&fd);
		return false;
	}
	dev->pool_bytes += pool_bytes(so);
	msg.id = ++dev->next_buffer_id;
	slot->buffer_id = msg.id;
	slot->busy = false;
	slot->stale = (struct virtio_gpu_rect){.width = so->pool_width, .height = so->pool_height};
	dev->config.ops->send(dev->config.data, BN_LINK_BUFFER_NEW, &msg, sizeof(msg), &fd, 1);
	bn_fd_close(&fd);
	return true;
}

struct bn_slot *bn_pool_get(
	struct bn_device *dev, struct bn_scanout *so, const struct bn_gl_scanout *info)
{
	struct bn_slot *best = NULL;

	if (so->pool_width != info->width || so->pool_height != info->height ||
		so->pool_fourcc != info->fourcc) {
		bn_pool_finish(dev, so);
		so->pool_width = info->width;
		so->pool_height = info->height;
		so->pool_fourcc = info->fourcc;
	}
	/* The one that was filled last has the least to catch up with. */
	for (unsigned i = 0; i < BN_SLOTS; i++) {
		struct bn_slot *slot = &so->slot[i];

		if (slot->buffer_id == 0 || slot->busy)
			continue;
		if (!best || (uint64_t)slot->stale.width * slot->stale.height <
				     (uint64_t)best->stale.width * best->stale.height)
			best = slot;
	}
	for (unsigned i = 0; i < BN_SLOTS && !best; i++) {
		if (so->slot[i].buffer_id == 0)
			return slot_create(dev, so, &so->slot[i]) ? &so->slot[i] : NULL;
	}
	return best;
}

void bn_pool_damage(struct bn_scanout *so, const struct virtio_gpu_rect *r)
{
	struct virtio_gpu_rect cut = *r;

	/* It may be of a picture larger than the slots, which are made for the last one shown. */
	if (cut.x >= so->pool_width || cut.y >= so->pool_height)
		return;
	if (cut.width > so->pool_width - cut.x)
		cut.width = so->pool_width - cut.x;
	if (cut.height > so->pool_height - cut.y)
		cut.height = so->pool_height - cut.y;
	for (unsigned i = 0; i < BN_SLOTS; i++)
		bn_rect_join(&so->slot[i].stale, &cut);
}
