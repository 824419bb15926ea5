/* Pictures for people and for the watchdog: what an output or a layer shows, put together by the
 * CPU from the layers' own buffers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "output_impl.h"

/* Lowest first; their number. */
static unsigned list_layers(struct bn_output *output, struct bn_layer **layers)
{
	struct bn_layer *layer;
	unsigned count = 0;

	wl_list_for_each(layer, &output->layers, link)
	{
		if (!layer->dead && count < BN_OUTPUT_LAYERS_MAX)
			layers[count++] = layer;
	}
	return count;
}

static pixman_image_t *wrap(uint32_t *pixels, uint32_t width, uint32_t height)
{
	return pixman_image_create_bits_no_clear(
		PIXMAN_x8r8g8b8, (int)width, (int)height, pixels, (int)(width * 4));
}

/* What is copied as it is may have anything in X. */
static void clear_unused(uint32_t *pixels, size_t count)
{
	for (size_t i = 0; i < count; i++)
		pixels[i] &= 0xffffff;
}

/* Composes that part of the output over black. */
static int compose_part(struct bn_output *output, const struct bn_rect *rect, uint32_t *pixels)
{
	struct bn_layer *layers[BN_OUTPUT_LAYERS_MAX];
	unsigned count = list_layers(output, layers);
	size_t size = (size_t)rect->width * rect->height;
	pixman_image_t *dst = wrap(pixels, rect->width, rect->height);
	int r;

	if (!dst)
		return -ENOMEM;
	memset(pixels, 0, size * sizeof(*pixels));
	r = bn_compose_at(dst, rect->x, rect->y, layers, count, true, NULL);
	pixman_image_unref(dst);
	clear_unused(pixels, size);
	return r;
}

int bn_output_capture(
	struct bn_output *output, uint32_t **pixels, uint32_t *width, uint32_t *height)
{
	struct bn_rect all = {0, 0, output->config.width, output->config.height};
	uint32_t *bits = calloc((size_t)all.width * all.height, sizeof(*bits));
	int r;

	if (!bits)
		return -ENOMEM;
	r = compose_part(output, &all, bits);
	if (r < 0) {
		free(bits);
		return r;
	}
	*pixels = bits;
	*width = all.width;
	*height = all.height;
	return 0;
}

int bn_layer_capture(struct bn_layer *layer, uint32_t **pixels, uint32_t *width, uint32_t *height)
{
	const struct bn_frame *frame = &layer->current;
	pixman_image_t *dst;
	uint32_t *bits;
	int r = -ENOMEM;

	if (!frame->buffer || frame->src_width == 0 || frame->src_height == 0)
		return -ENOENT;
	bits = calloc((size_t)frame->src_width * frame->src_height, sizeof(*bits));
	dst = bits ? wrap(bits, frame->src_width, frame->src_height) : NULL;
	if (dst) {
		r = bn_compose_frame(dst, frame);
		pixman_image_unref(dst);
		clear_unused(bits, (size_t)frame->src_width * frame->src_height);
	}
	if (r < 0) {
		free(bits);
		return r;
	}
	*pixels = bits;
	*width = frame->src_width;
	*height = frame->src_height;
	return 0;
}

static bool is_within(const struct bn_rect *rect, const struct bn_output_config *config)
{
	struct bn_rect all = {0, 0, config->width, config->height}, common;

	return bn_rect_intersect(rect, &all, &common) && common.width == rect->width &&
	       common.height == rect->height;
}

int bn_output_read_layers(struct bn_output *output, const struct bn_rect *rect, uint32_t *pixels,
	struct bn_read_info *info)
{
	*info = (struct bn_read_info){
		.source = BN_READ_LAYER,
		.when_ns = output->shown_ns,
		.seq = output->shown_seq,
	};
	return compose_part(output, rect, pixels);
}

int bn_output_read(struct bn_output *output, const struct bn_rect *rect, uint32_t *pixels,
	struct bn_read_info *info)
{
	if (!is_within(rect, &output->config))
		return -EINVAL;
	if (output->impl->read)
		return output->impl->read(output, rect, pixels, info);
	return bn_output_read_layers(output, rect, pixels, info);
}
