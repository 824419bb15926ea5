#include "pixels.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <linux/dma-buf.h>
#include <poll.h>
#include <stdint.h>
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

static int map_dmabuf(struct bn_pixels *pixels, const struct bn_buffer_attrs *attrs)
{
	uint64_t end = attrs->offset[0] + (uint64_t)attrs->stride[0] * (attrs->height - 1) +
		       (uint64_t)attrs->width * bn_fourcc_bytes(attrs->fourcc);
	off_t size = lseek(attrs->fd[0], 0, SEEK_END);

	if (attrs->planes != 1 || attrs->modifier != DRM_FORMAT_MOD_LINEAR || size < 0 ||
		(uint64_t)size < end)
		return -ENOTSUP;
	if (!dmabuf_is_idle(attrs->fd[0]))
		return -EAGAIN;
	if (sync_dmabuf(attrs->fd[0], DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ) < 0)
		return -ENOTSUP;
	pixels->map_size = (size_t)end;
	pixels->fd = attrs->fd[0];
	pixels->map = mmap(NULL, pixels->map_size, PROT_READ, MAP_SHARED, pixels->fd, 0);
	if (pixels->map == MAP_FAILED) {
		pixels->map = NULL;
		sync_dmabuf(pixels->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
		return -ENOTSUP;
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

int bn_pixels_open(struct bn_pixels *pixels, struct bn_buffer *buffer, const struct bn_rect *part,
	bool upside_down, bool alpha)
{
	const struct bn_buffer_attrs *attrs = bn_buffer_attrs(buffer);
	pixman_format_code_t format = pixman_format(attrs->fourcc, alpha);
	const uint8_t *base = bn_buffer_pixels(buffer);
	int r;

	*pixels = (struct bn_pixels){.fd = -1};
	if (!format)
		return -ENOTSUP;
	if (!base) {
		r = map_dmabuf(pixels, attrs);
		if (r < 0)
			return r;
		base = (const uint8_t *)pixels->map + attrs->offset[0];
	}
	pixels->image = wrap(format, part, base, attrs->stride[0], upside_down);
	if (pixels->image)
		return 0;
	bn_pixels_close(pixels);
	return -ENOMEM;
}

void bn_pixels_close(struct bn_pixels *pixels)
{
	if (pixels->image)
		pixman_image_unref(pixels->image);
	if (pixels->map) {
		munmap(pixels->map, pixels->map_size);
		sync_dmabuf(pixels->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
	}
	*pixels = (struct bn_pixels){.fd = -1};
}
