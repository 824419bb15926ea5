#include "pixels.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <linux/dma-buf.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

struct format {
	uint32_t fourcc;
	pixman_format_code_t opaque, alpha;
};

static const struct format formats[] = {
	{DRM_FORMAT_XRGB8888, PIXMAN_x8r8g8b8, PIXMAN_x8r8g8b8},
	{DRM_FORMAT_ARGB8888, PIXMAN_x8r8g8b8, PIXMAN_a8r8g8b8},
	{DRM_FORMAT_XBGR8888, PIXMAN_x8b8g8r8, PIXMAN_x8b8g8r8},
	{DRM_FORMAT_ABGR8888, PIXMAN_x8b8g8r8, PIXMAN_a8b8g8r8},
	{DRM_FORMAT_RGBX8888, PIXMAN_r8g8b8x8, PIXMAN_r8g8b8x8},
	{DRM_FORMAT_RGBA8888, PIXMAN_r8g8b8x8, PIXMAN_r8g8b8a8},
	{DRM_FORMAT_BGRX8888, PIXMAN_b8g8r8x8, PIXMAN_b8g8r8x8},
	{DRM_FORMAT_BGRA8888, PIXMAN_b8g8r8x8, PIXMAN_b8g8r8a8},
	{DRM_FORMAT_RGB565, PIXMAN_r5g6b5, PIXMAN_r5g6b5},
};

static pixman_format_code_t pixman_format(uint32_t fourcc, bool alpha)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (formats[i].fourcc == fourcc)
			return alpha ? formats[i].alpha : formats[i].opaque;
	}
	return 0;
}

static int sync_dmabuf(int fd, uint64_t flags)
{
	struct dma_buf_sync sync = {.flags = flags};
	int r;

	do
		r = ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync);
	while (r < 0 && (errno == EINTR || errno == EAGAIN));
	return r < 0 ? -errno : 0;
}

/* Whether the GPU has written all that it was to write. Frames come when that is so; a guest that
 * goes on drawing into the picture would make DMA_BUF_IOCTL_SYNC wait, and with it every other
 * guest. */
static bool dmabuf_is_idle(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

/* ---- mappings, kept as long as the buffer: making one anew for each frame costs a fault a page ---- */

struct mappings {
	void *base[BN_FORMAT_PLANES_MAX];
	size_t size[BN_FORMAT_PLANES_MAX];
	/* The kernel was told that the CPU reads; and how many of them still do. */
	unsigned readers[BN_FORMAT_PLANES_MAX];
	unsigned kept[BN_FORMAT_PLANES_MAX]; /* of these, by bn_pixels_keep() */
};

static const char mappings_owner;

static void free_mappings(void *object)
{
	struct mappings *m = object;

	for (unsigned i = 0; i < BN_FORMAT_PLANES_MAX; i++) {
		if (m->base[i])
			munmap(m->base[i], m->size[i]);
	}
	free(m);
}

static struct mappings *mappings_of(struct bn_buffer *buffer)
{
	struct mappings *m = bn_buffer_get_private(buffer, &mappings_owner);

	if (m)
		return m;
	m = calloc(1, sizeof(*m));
	if (m && bn_buffer_set_private(buffer, &mappings_owner, m, free_mappings) < 0) {
		free(m);
		m = NULL;
	}
	return m;
}

/* NULL: cannot be had. A dma-buf does not change its size. */
static void *kept_mapping(struct bn_buffer *buffer, unsigned plane, int fd, size_t end)
{
	struct mappings *m = mappings_of(buffer);
	void *map;
	off_t size;

	if (!m || m->base[plane])
		return m ? m->base[plane] : NULL;
	size = lseek(fd, 0, SEEK_END);
	if (size < 0 || (uint64_t)size < end)
		return NULL;
	map = mmap(NULL, end, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return NULL;
	m->base[plane] = map;
	m->size[plane] = end;
	return map;
}

static int begin_reading(struct bn_buffer *buffer, unsigned plane, size_t end)
{
	int fd = bn_buffer_attrs(buffer)->fd[plane];
	struct mappings *m = mappings_of(buffer);

	if (!m || m->readers[plane] == 0) {
		if (!dmabuf_is_idle(fd))
			return -EAGAIN;
		if (!kept_mapping(buffer, plane, fd, end) ||
			sync_dmabuf(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ) < 0)
			return -ENOTSUP;
		m = mappings_of(buffer);
	}
	m->readers[plane]++;
	return 0;
}

static void end_reading(struct bn_buffer *buffer, unsigned plane)
{
	struct mappings *m = mappings_of(buffer);

	if (--m->readers[plane] == 0)
		sync_dmabuf(bn_buffer_attrs(buffer)->fd[plane],
			DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
}

static int map_plane(struct bn_pixels *pixels, struct bn_buffer *buffer,
	const struct bn_format *format, unsigned plane)
{
	const struct bn_buffer_attrs *attrs = bn_buffer_attrs(buffer);
	uint64_t rows = bn_format_rows(format, plane, attrs->height);
	uint64_t end = attrs->offset[plane] + attrs->stride[plane] * (rows - 1) +
		       bn_format_row(format, plane, attrs->width);
	int r = begin_reading(buffer, plane, (size_t)end);

	if (r == 0)
		pixels->reading[plane] = buffer;
	return r;
}

/* Where the planes begin. */
static int find_planes(struct bn_pixels *pixels, struct bn_buffer *buffer,
	const struct bn_format *format, const uint8_t **planes)
{
	const struct bn_buffer_attrs *attrs = bn_buffer_attrs(buffer);
	int r;

	if (attrs->modifier != DRM_FORMAT_MOD_LINEAR)
		return -ENOTSUP;
	for (unsigned i = 0; i < format->planes; i++) {
		planes[i] = bn_buffer_plane(buffer, i);
		if (planes[i])
			continue;
		r = map_plane(pixels, buffer, format, i);
		if (r < 0)
			return r;
		planes[i] = (const uint8_t *)mappings_of(buffer)->base[i] + attrs->offset[i];
	}
	return 0;
}

/* pixman reads 32-bit words; a guest's offset and stride may be odd, then the rows are copied
 * first. */
static pixman_image_t *copy_rows(pixman_format_code_t format, uint32_t width, uint32_t height,
	const uint8_t *row, int64_t stride)
{
	pixman_image_t *image =
		pixman_image_create_bits_no_clear(format, (int)width, (int)height, NULL, 0);
	uint8_t *to;

	if (!image)
		return NULL;
	to = (uint8_t *)pixman_image_get_data(image);
	for (uint32_t y = 0; y < height; y++) {
		memcpy(to, row, (size_t)width * PIXMAN_FORMAT_BPP(format) / 8);
		to += pixman_image_get_stride(image);
		row += stride;
	}
	return image;
}

static pixman_image_t *wrap(pixman_format_code_t format, const struct bn_rect *part,
	const uint8_t *base, uint32_t pitch, bool upside_down)
{
	const uint8_t *row = base + (size_t)pitch * (uint32_t)part->y +
			     (size_t)part->x * PIXMAN_FORMAT_BPP(format) / 8;
	int64_t stride = pitch;

	if (upside_down) {
		row += (size_t)stride * (part->height - 1);
		stride = -stride;
	}
	if ((uintptr_t)row % 4 != 0 || stride % 4 != 0 || stride > INT32_MAX || stride < INT32_MIN)
		return copy_rows(format, part->width, part->height, row, stride);
	/* Only read from: pixman has no const. */
	return pixman_image_create_bits_no_clear(format, (int)part->width, (int)part->height,
		(uint32_t *)(uintptr_t)row, (int)stride);
}

static int open_image(struct bn_pixels *pixels, struct bn_buffer *buffer,
	const struct bn_rect *part, bool upside_down, bool alpha)
{
	const struct bn_buffer_attrs *attrs = bn_buffer_attrs(buffer);
	const struct bn_format *format = bn_format_find(attrs->fourcc);
	const uint8_t *planes[BN_FORMAT_PLANES_MAX] = {NULL};
	int r = find_planes(pixels, buffer, format, planes);

	if (r < 0)
		return r;
	if (format->bits != 0)
		pixels->image = bn_yuv_convert(attrs, format, planes, part, upside_down);
	else
		pixels->image = wrap(pixman_format(attrs->fourcc, alpha), part, planes[0],
			attrs->stride[0], upside_down);
	return pixels->image ? 0 : -ENOMEM;
}

int bn_pixels_open(struct bn_pixels *pixels, struct bn_buffer *buffer, const struct bn_rect *part,
	bool upside_down, bool alpha)
{
	int r;

	*pixels = (struct bn_pixels){0};
	r = open_image(pixels, buffer, part, upside_down, alpha);
	if (r < 0)
		bn_pixels_close(pixels);
	return r;
}

void bn_pixels_close(struct bn_pixels *pixels)
{
	if (pixels->image)
		pixman_image_unref(pixels->image);
	for (unsigned i = 0; i < BN_FORMAT_PLANES_MAX; i++) {
		if (pixels->reading[i])
			end_reading(pixels->reading[i], i);
	}
	*pixels = (struct bn_pixels){0};
}

void bn_pixels_keep(struct bn_buffer *buffer)
{
	struct mappings *m = bn_buffer_get_private(buffer, &mappings_owner);

	for (unsigned i = 0; m && i < BN_FORMAT_PLANES_MAX; i++) {
		if (m->readers[i] == 0)
			continue;
		m->readers[i]++;
		m->kept[i]++;
	}
}

void bn_pixels_let_go(struct bn_buffer *buffer)
{
	struct mappings *m = bn_buffer_get_private(buffer, &mappings_owner);

	for (unsigned i = 0; m && i < BN_FORMAT_PLANES_MAX; i++) {
		if (m->kept[i] == 0)
			continue;
		m->kept[i]--;
		end_reading(buffer, i);
	}
}
