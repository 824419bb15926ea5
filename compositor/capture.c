/* The scene composed by the CPU: for screenshots, and for frames that a host compositor cannot
 * take as they are. */
#include <drm_fourcc.h>
#include <errno.h>
#include <linux/dma-buf.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "output_impl.h"

/* What can be seen of [position, position + length) through [0, limit). */
static bool clip_axis(int64_t position, uint32_t length, int64_t low, int64_t high, uint32_t *to,
	uint32_t *size, uint32_t *skipped)
{
	int64_t start = position > low ? position : low;
	int64_t end = position + length < high ? position + length : high;

	if (start >= end)
		return false;
	*to = (uint32_t)start;
	*size = (uint32_t)(end - start);
	*skipped = (uint32_t)(start - position);
	return true;
}

bool bn_layer_view(const struct bn_layer *layer, struct bn_view *view)
{
	const struct bn_output_config *config = &layer->output->config;
	const struct bn_frame *frame = &layer->current;

	if (layer->dead || !frame->buffer)
		return false;
	if (!clip_axis(layer->place.at.x, frame->src_width, 0, config->width, &view->x, &view->width,
		    &view->src_x) ||
		!clip_axis(layer->place.at.y, frame->src_height, 0, config->height, &view->y, &view->height,
			&view->src_y))
		return false;
	view->src_x += frame->src_x;
	view->src_y += frame->src_y;
	return true;
}

/* Cut at the layer's edges: a guest draws on no pixel that another guest may own. */
bool bn_cursor_view(const struct bn_layer *layer, struct bn_view *view)
{
	const struct bn_cursor *cursor = &layer->cursor;
	struct bn_view inside;
	int64_t x = (int64_t)layer->place.at.x + cursor->x - cursor->hot_x;
	int64_t y = (int64_t)layer->place.at.y + cursor->y - cursor->hot_y;

	if (!cursor->visible || !bn_layer_view(layer, &inside))
		return false;
	return clip_axis(x, BN_CURSOR_SIZE, inside.x, (int64_t)inside.x + inside.width, &view->x,
		       &view->width, &view->src_x) &&
	       clip_axis(y, BN_CURSOR_SIZE, inside.y, (int64_t)inside.y + inside.height, &view->y,
		       &view->height, &view->src_y);
}

/* The alpha of a frame means nothing: frames are opaque. */
static pixman_format_code_t pixman_format(uint32_t fourcc)
{
	switch (fourcc) {
	case DRM_FORMAT_XRGB8888:
	case DRM_FORMAT_ARGB8888:
		return PIXMAN_x8r8g8b8;
	case DRM_FORMAT_XBGR8888:
	case DRM_FORMAT_ABGR8888:
		return PIXMAN_x8b8g8r8;
	case DRM_FORMAT_RGBX8888:
	case DRM_FORMAT_RGBA8888:
		return PIXMAN_r8g8b8x8;
	case DRM_FORMAT_BGRX8888:
	case DRM_FORMAT_BGRA8888:
		return PIXMAN_b8g8r8x8;
	case DRM_FORMAT_RGB565:
		return PIXMAN_r5g6b5;
	default:
		return 0;
	}
}

struct mapping {
	void *base; /* NULL: nothing to unmap */
	size_t size;
	int fd;
	const uint8_t *pixels;
};

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

static int map_dmabuf(struct mapping *map, const struct bn_buffer_attrs *attrs)
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
	map->size = (size_t)end;
	map->fd = attrs->fd[0];
	map->base = mmap(NULL, map->size, PROT_READ, MAP_SHARED, map->fd, 0);
	if (map->base == MAP_FAILED) {
		map->base = NULL;
		sync_dmabuf(map->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
		return -ENOTSUP;
	}
	map->pixels = (const uint8_t *)map->base + attrs->offset[0];
	return 0;
}

static int map_buffer(struct mapping *map, struct bn_buffer *buffer)
{
	*map = (struct mapping){.pixels = bn_buffer_pixels(buffer)};
	return map->pixels ? 0 : map_dmabuf(map, bn_buffer_attrs(buffer));
}

static void unmap_buffer(struct mapping *map)
{
	if (!map->base)
		return;
	munmap(map->base, map->size);
	sync_dmabuf(map->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
}

/* pixman reads 32-bit words; a guest's offset and stride may be odd, then the rows are copied
 * first. */
static pixman_image_t *copy_rows(pixman_format_code_t format, const struct bn_buffer_attrs *attrs,
	const uint8_t *row, int64_t stride)
{
	pixman_image_t *image = pixman_image_create_bits_no_clear(
		format, (int)attrs->width, (int)attrs->height, NULL, 0);
	size_t length = (size_t)attrs->width * bn_fourcc_bytes(attrs->fourcc);
	uint8_t *to;

	if (!image)
		return NULL;
	to = (uint8_t *)pixman_image_get_data(image);
	for (uint32_t y = 0; y < attrs->height; y++) {
		memcpy(to, row, length);
		to += pixman_image_get_stride(image);
		row += stride;
	}
	return image;
}

/* The picture upright: a picture that is stored bottom up is read with a negative stride. */
static pixman_image_t *wrap_pixels(const struct bn_buffer_attrs *attrs, const uint8_t *pixels)
{
	pixman_format_code_t format = pixman_format(attrs->fourcc);
	int64_t stride = attrs->stride[0];

	if (!format)
		return NULL;
	if (attrs->y_invert) {
		pixels += (size_t)stride * (attrs->height - 1);
		stride = -stride;
	}
	if ((uintptr_t)pixels % 4 != 0 || stride % 4 != 0 || stride > INT32_MAX ||
		stride < INT32_MIN)
		return copy_rows(format, attrs, pixels, stride);
	/* Only read from: pixman has no const. */
	return pixman_image_create_bits_no_clear(format, (int)attrs->width, (int)attrs->height,
		(uint32_t *)(uintptr_t)pixels, (int)stride);
}

int bn_compose_buffer(pixman_image_t *dst, struct bn_buffer *buffer, const struct bn_view *view,
	uint32_t x, uint32_t y)
{
	struct mapping map;
	pixman_image_t *src;
	int r = map_buffer(&map, buffer);

	if (r < 0)
		return r;
	src = wrap_pixels(bn_buffer_attrs(buffer), map.pixels);
	if (src) {
		pixman_image_composite32(PIXMAN_OP_SRC, src, NULL, dst, (int)view->src_x,
			(int)view->src_y, 0, 0, (int)x, (int)y, (int)view->width,
			(int)view->height);
		pixman_image_unref(src);
	}
	unmap_buffer(&map);
	return src ? 0 : -ENOMEM;
}

static int compose_cursor(pixman_image_t *dst, struct bn_layer *layer)
{
	pixman_image_t *src;
	struct bn_view view;

	if (!bn_cursor_view(layer, &view))
		return 0;
	src = pixman_image_create_bits_no_clear(PIXMAN_a8r8g8b8, BN_CURSOR_SIZE, BN_CURSOR_SIZE,
		layer->cursor.pixels, BN_CURSOR_SIZE * 4);
	if (!src)
		return -ENOMEM;
	pixman_image_composite32(PIXMAN_OP_OVER, src, NULL, dst, (int)view.src_x, (int)view.src_y,
		0, 0, (int)view.x, (int)view.y, (int)view.width, (int)view.height);
	pixman_image_unref(src);
	return 0;
}

static int compose_scene(pixman_image_t *dst, struct bn_output *output)
{
	struct bn_layer *layer;
	struct bn_view view;
	int r = 0;

	wl_list_for_each(layer, &output->layers, link)
	{
		if (!bn_layer_view(layer, &view))
			continue;
		r = bn_compose_buffer(dst, layer->current.buffer, &view, view.x, view.y);
		if (r == 0)
			r = compose_cursor(dst, layer);
		if (r < 0)
			return r;
	}
	return 0;
}

int bn_output_capture(
	struct bn_output *output, uint32_t **pixels, uint32_t *width, uint32_t *height)
{
	uint32_t w = output->config.width, h = output->config.height;
	uint32_t *bits = calloc((size_t)w * h, sizeof(*bits));
	pixman_image_t *dst;
	int r;

	if (!bits)
		return -ENOMEM;
	dst = pixman_image_create_bits_no_clear(
		PIXMAN_x8r8g8b8, (int)w, (int)h, bits, (int)(w * 4));
	if (!dst) {
		free(bits);
		return -ENOMEM;
	}
	r = compose_scene(dst, output);
	pixman_image_unref(dst);
	if (r < 0) {
		free(bits);
		return r;
	}
	*pixels = bits;
	*width = w;
	*height = h;
	return 0;
}
