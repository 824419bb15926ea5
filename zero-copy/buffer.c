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
#include "zero-copy/format.h"

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

struct map {
	uint8_t *base; /* NULL: not mapped */
	size_t size;
	size_t pixels; /* offset of the first byte of the plane */
};

struct bn_buffer {
	struct bn_buffer_attrs attrs;
	struct bn_buffer_listener listener;
	void *data;
	unsigned locks;
	bool dropped;
	struct map maps[BN_FORMAT_PLANES_MAX]; /* of dma-bufs none */
	struct attachment attachments[OWNERS_MAX];
};

unsigned bn_fourcc_bytes(uint32_t fourcc)
{
	const struct bn_format *format = bn_format_find(fourcc);

	return format && format->bits == 0 ? format->plane[0].bytes : 0;
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
	       attrs->height <= PIXELS_MAX && bn_format_find(attrs->fourcc) &&
	       (unsigned)attrs->encoding <= BN_ENCODING_BT2020 &&
	       (unsigned)attrs->range <= BN_RANGE_FULL;
}

static bool is_on(int fd, unsigned long magic)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && (unsigned long)fs.f_type == magic;
}

static uint64_t plane_size(const struct bn_buffer_attrs *attrs, unsigned plane)
{
	const struct bn_format *format = bn_format_find(attrs->fourcc);

	return (uint64_t)attrs->stride[plane] * bn_format_rows(format, plane, attrs->height);
}

/* Maps the pages that hold the plane, not more: the offset is the producer's choice. */
static int map_plane(struct bn_buffer *buffer, unsigned plane)
{
	const struct bn_buffer_attrs *attrs = &buffer->attrs;
	uint32_t offset = attrs->offset[plane];
	size_t start = offset & ~((size_t)sysconf(_SC_PAGESIZE) - 1);
	size_t size = offset - start + (size_t)plane_size(attrs, plane);
	void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, attrs->fd[0], (off_t)start);

	if (map == MAP_FAILED)
		return -errno;
	buffer->maps[plane] = (struct map){map, size, offset - start};
	return 0;
}

/* Words are what pixman and the shared-memory protocols count in; YUV is read sample by sample. */
static uint32_t alignment(const struct bn_format *format)
{
	return format->bits == 0 ? 4 : format->bits == 8 ? 1 : 2;
}

static int check_memfd_plane(
	const struct bn_buffer_attrs *attrs, const struct bn_format *format, unsigned plane)
{
	uint32_t stride = attrs->stride[plane], align = alignment(format);

	if (stride < bn_format_row(format, plane, attrs->width) || stride > STRIDE_MAX ||
		stride % align || attrs->offset[plane] % align)
		return -EINVAL;
	return bn_memfd_check(attrs->fd[0], attrs->offset[plane] + plane_size(attrs, plane));
}

static int init_memfd(struct bn_buffer *buffer)
{
	const struct bn_buffer_attrs *attrs = &buffer->attrs;
	const struct bn_format *format = bn_format_find(attrs->fourcc);
	int err = 0;

	if (attrs->planes != format->planes || attrs->modifier != DRM_FORMAT_MOD_LINEAR)
		return -EINVAL;
	for (unsigned i = 0; i < format->planes && err == 0; i++)
		err = check_memfd_plane(attrs, format, i);
	if (err < 0)
		return err;
	/* Sealed or not, reading a hole of a huge page file faults when the pool is empty. */
	if (is_on(attrs->fd[0], HUGETLBFS_MAGIC))
		return -EINVAL;
	for (unsigned i = 0; i < format->planes && err == 0; i++)
		err = map_plane(buffer, i);
	return err;
}

static bool plane_valid(const struct bn_buffer_attrs *attrs, uint32_t plane)
{
	const struct bn_format *format = bn_format_find(attrs->fourcc);
	uint32_t stride = attrs->stride[plane], offset = attrs->offset[plane];
	uint64_t row, rows;
	off_t size;

	if (stride == 0 || !is_on(attrs->fd[plane], DMA_BUF_MAGIC))
		return false;
	size = lseek(attrs->fd[plane], 0, SEEK_END);
	if (size < 0 || offset >= (uint64_t)size)
		return false;
	/* What other layouts take, only the driver that imports them can tell. */
	if (attrs->modifier != DRM_FORMAT_MOD_LINEAR)
		return true;
	row = bn_format_row(format, plane, attrs->width);
	rows = bn_format_rows(format, plane, attrs->height);
	return stride >= row && offset + stride * (rows - 1) + row <= (uint64_t)size;
}

static int init_dmabuf(const struct bn_buffer_attrs *attrs)
{
	const struct bn_format *format = bn_format_find(attrs->fourcc);

	if (attrs->planes < format->planes || attrs->planes > PLANES_MAX ||
		(attrs->modifier == DRM_FORMAT_MOD_LINEAR && attrs->planes != format->planes))
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
	uint32_t fds = fd_count(attrs);

	*out = *attrs;
	for (uint32_t i = fds; i < PLANES_MAX; i++)
		out->fd[i] = -1;
	for (uint32_t i = attrs->planes; i < PLANES_MAX; i++) {
		out->stride[i] = 0;
		out->offset[i] = 0;
	}
}

static void buffer_free(struct bn_buffer *buffer)
{
	for (unsigned i = 0; i < BN_FORMAT_PLANES_MAX; i++) {
		if (buffer->maps[i].base)
			munmap(buffer->maps[i].base, buffer->maps[i].size);
	}
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
	return bn_buffer_plane(buffer, 0);
}

const void *bn_buffer_plane(const struct bn_buffer *buffer, unsigned plane)
{
	const struct map *map;

	if (plane >= BN_FORMAT_PLANES_MAX)
		return NULL;
	map = &buffer->maps[plane];
	return map->base ? map->base + map->pixels : NULL;
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
