#include "zero-copy/buffer.h"

#include <assert.h>
#include <drm_fourcc.h>
#include <errno.h>
#include <linux/magic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/fd.h"

#define PIXELS_MAX 8192u
/* Of memfds: keeps what a buffer makes us map within 512 MiB. */
#define STRIDE_MAX (2u * 4u * PIXELS_MAX)
#define PLANES_MAX 4u
#define OWNERS_MAX 8u

struct attachment {
	const void *owner; /* NULL: unused */
	void *object;
	void (*free)(void *object);
};

struct bn_buffer {
	struct bn_buffer_attrs attrs;
	struct bn_buffer_listener listener;
	void *data;
	unsigned locks;
	bool dropped;
	uint8_t *map; /* NULL for dma-bufs */
	size_t map_size;
	size_t pixels; /* offset of the first pixel in map */
	struct attachment attachments[OWNERS_MAX];
};

unsigned bn_fourcc_bytes(uint32_t fourcc)
{
	switch (fourcc) {
	case DRM_FORMAT_XRGB8888:
	case DRM_FORMAT_ARGB8888:
	case DRM_FORMAT_XBGR8888:
	case DRM_FORMAT_ABGR8888:
	case DRM_FORMAT_RGBX8888:
	case DRM_FORMAT_RGBA8888:
	case DRM_FORMAT_BGRX8888:
	case DRM_FORMAT_BGRA8888:
		return 4;
	case DRM_FORMAT_RGB565:
		return 2;
	default:
		return 0;
	}
}

/* How many fds of attrs the caller hands over. */
static uint32_t fd_count(const struct bn_buffer_attrs *attrs)
{
	if (attrs->kind == BN_BUFFER_MEMFD)
		return 1;
	return attrs->planes < PLANES_MAX ? attrs->planes : PLANES_MAX;
}

static bool picture_valid(const struct bn_buffer_attrs *attrs)
{
	return attrs->width >= 1 && attrs->width <= PIXELS_MAX && attrs->height >= 1 &&
	       attrs->height <= PIXELS_MAX && bn_fourcc_bytes(attrs->fourcc) > 0;
}

static bool is_on(int fd, unsigned long magic)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && (unsigned long)fs.f_type == magic;
}

/* Maps the pages that hold the picture, not more: the offset is the producer's choice. */
static int map_memfd(struct bn_buffer *buffer)
{
	const struct bn_buffer_attrs *attrs = &buffer->attrs;
	size_t start = attrs->offset[0] & ~((size_t)sysconf(_SC_PAGESIZE) - 1);
	size_t end = attrs->offset[0] + (size_t)attrs->stride[0] * attrs->height;
	void *map = mmap(NULL, end - start, PROT_READ, MAP_SHARED, attrs->fd[0], start);

	if (map == MAP_FAILED)
		return -errno;
	buffer->map = map;
	buffer->map_size = end - start;
	buffer->pixels = attrs->offset[0] - start;
	return 0;
}

static int init_memfd(struct bn_buffer *buffer)
{
	const struct bn_buffer_attrs *attrs = &buffer->attrs;
	uint32_t stride = attrs->stride[0];
	int err;

	/* Words are what pixman and the shared-memory protocols count in. */
	if (attrs->planes != 1 || attrs->modifier != DRM_FORMAT_MOD_LINEAR ||
		stride < attrs->width * bn_fourcc_bytes(attrs->fourcc) || stride > STRIDE_MAX ||
		stride % 4 || attrs->offset[0] % 4)
		return -EINVAL;
	err = bn_memfd_check(attrs->fd[0], attrs->offset[0] + (uint64_t)stride * attrs->height);
	if (err < 0)
		return err;
	/* Sealed or not, reading a hole of a huge page file faults when the pool is empty. */
	if (is_on(attrs->fd[0], HUGETLBFS_MAGIC))
		return -EINVAL;
	return map_memfd(buffer);
}

static bool plane_valid(const struct bn_buffer_attrs *attrs, uint32_t plane)
{
	uint64_t row = (uint64_t)attrs->width * bn_fourcc_bytes(attrs->fourcc);
	uint32_t stride = attrs->stride[plane], offset = attrs->offset[plane];
	off_t size;

	if (stride == 0 || !is_on(attrs->fd[plane], DMA_BUF_MAGIC))
		return false;
	size = lseek(attrs->fd[plane], 0, SEEK_END);
	if (size < 0 || offset >= (uint64_t)size)
		return false;
	/* What other layouts take, only the driver that imports them can tell. */
	if (attrs->modifier != DRM_FORMAT_MOD_LINEAR)
		return true;
	return stride >= row &&
	       offset + (uint64_t)stride * (attrs->height - 1) + row <= (uint64_t)size;
}

static int init_dmabuf(const struct bn_buffer_attrs *attrs)
{
	if (attrs->planes < 1 || attrs->planes > PLANES_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < attrs->planes; i++) {
		if (!plane_valid(attrs, i))
			return -EINVAL;
	}
	return 0;
}

static int buffer_init(struct bn_buffer *buffer)
{
	if (!picture_valid(&buffer->attrs))
		return -EINVAL;
	switch (buffer->attrs.kind) {
	case BN_BUFFER_MEMFD:
		return init_memfd(buffer);
	case BN_BUFFER_DMABUF:
		return init_dmabuf(&buffer->attrs);
	}
	return -EINVAL;
}

/* Planes that are not there must not look as if they were. */
static void copy_attrs(struct bn_buffer_attrs *out, const struct bn_buffer_attrs *attrs)
{
	uint32_t n = fd_count(attrs);

	*out = *attrs;
	for (uint32_t i = n; i < PLANES_MAX; i++) {
		out->fd[i] = -1;
		out->stride[i] = 0;
		out->offset[i] = 0;
	}
}

static void buffer_free(struct bn_buffer *buffer)
{
	if (buffer->map)
		munmap(buffer->map, buffer->map_size);
	bn_fds_close(buffer->attrs.fd, PLANES_MAX);
	free(buffer);
}

int bn_buffer_create(struct bn_buffer **out, const struct bn_buffer_attrs *attrs,
	const struct bn_buffer_listener *listener, void *data)
{
	struct bn_buffer *buffer = calloc(1, sizeof(*buffer));
	int err;

	*out = NULL;
	if (!buffer) {
		struct bn_buffer_attrs unused = *attrs;

		bn_fds_close(unused.fd, fd_count(attrs));
		return -ENOMEM;
	}
	copy_attrs(&buffer->attrs, attrs);
	if (listener)
		buffer->listener = *listener;
	buffer->data = data;
	err = buffer_init(buffer);
	if (err < 0) {
		buffer_free(buffer);
		return err;
	}
	*out = buffer;
	return 0;
}

static void buffer_destroy(struct bn_buffer *buffer)
{
	if (buffer->listener.destroy)
		buffer->listener.destroy(buffer->data, buffer);
	for (size_t i = 0; i < OWNERS_MAX; i++) {
		struct attachment p = buffer->attachments[i];

		buffer->attachments[i].owner = NULL;
		if (p.owner && p.free)
			p.free(p.object);
	}
	assert(buffer->locks == 0);
	buffer_free(buffer);
}

void bn_buffer_drop(struct bn_buffer *buffer)
{
	if (!buffer)
		return;
	assert(!buffer->dropped);
	buffer->dropped = true;
	if (buffer->locks == 0)
		buffer_destroy(buffer);
}

struct bn_buffer *bn_buffer_lock(struct bn_buffer *buffer)
{
	buffer->locks++;
	return buffer;
}

void bn_buffer_unlock(struct bn_buffer *buffer)
{
	if (!buffer)
		return;
	assert(buffer->locks > 0);
	if (--buffer->locks > 0)
		return;
	/* Last in both branches: a producer may drop the buffer in its release. */
	if (buffer->dropped)
		buffer_destroy(buffer);
	else if (buffer->listener.release)
		buffer->listener.release(buffer->data, buffer);
}

bool bn_buffer_locked(const struct bn_buffer *buffer)
{
	return buffer->locks > 0;
}

const struct bn_buffer_attrs *bn_buffer_attrs(const struct bn_buffer *buffer)
{
	return &buffer->attrs;
}

const void *bn_buffer_pixels(const struct bn_buffer *buffer)
{
	return buffer->map ? buffer->map + buffer->pixels : NULL;
}

/* The owner's slot, or with owner NULL a free one. */
static struct attachment *find_attachment(const struct bn_buffer *buffer, const void *owner)
{
	for (size_t i = 0; i < OWNERS_MAX; i++) {
		if (buffer->attachments[i].owner == owner)
			return (struct attachment *)&buffer->attachments[i];
	}
	return NULL;
}

int bn_buffer_set_private(
	struct bn_buffer *buffer, const void *owner, void *object, void (*free)(void *object))
{
	struct attachment *p = find_attachment(buffer, owner);
	struct attachment old = {0};

	assert(owner);
	if (p)
		old = *p;
	else
		p = find_attachment(buffer, NULL);
	if (!p)
		return -ENOSPC;
	*p = (struct attachment){owner, object, free};
	if (old.free)
		old.free(old.object);
	return 0;
}

void *bn_buffer_get_private(const struct bn_buffer *buffer, const void *owner)
{
	struct attachment *p = owner ? find_attachment(buffer, owner) : NULL;

	return p ? p->object : NULL;
}

void bn_buffer_clear_private(struct bn_buffer *buffer, const void *owner)
{
	struct attachment *p = owner ? find_attachment(buffer, owner) : NULL;

	if (p)
		*p = (struct attachment){0};
}
