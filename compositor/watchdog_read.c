/* What lies below the stand-ins: the layers' own buffers put together without them. */
#include <errno.h>
#include <string.h>

#include "compositor/watchdog.h"
#include "output_impl.h"

unsigned bn_output_layers(const struct bn_output *output, struct bn_layer **out, unsigned max)
{
	struct bn_layer *layer;
	unsigned count = 0;

	wl_list_for_each(layer, &output->layers, link)
	{
		if (!layer->dead && count < max)
			out[count++] = layer;
	}
	return count;
}

static unsigned layers_below(const struct bn_output *output, struct bn_layer **out)
{
	unsigned all = bn_output_layers(output, out, BN_OUTPUT_LAYERS_MAX), count = 0;

	for (unsigned i = 0; i < all; i++) {
		if (out[i]->place.role != BN_ROLE_FALLBACK)
			out[count++] = out[i];
	}
	return count;
}

bool bn_output_is_covered(const struct bn_output *output, const struct bn_rect *rect)
{
	const struct bn_layer *layer;
	struct bn_geometry geometry;

	wl_list_for_each(layer, &output->layers, link)
	{
		if (layer->place.role == BN_ROLE_FALLBACK && bn_layer_geometry(layer, &geometry) &&
			bn_rect_intersect(&geometry.at, rect, NULL))
			return true;
	}
	return false;
}

static bool is_within(const struct bn_rect *rect, const struct bn_output_config *config)
{
	struct bn_rect all = {0, 0, config->width, config->height}, common;

	return bn_rect_intersect(rect, &all, &common) && common.width == rect->width &&
	       common.height == rect->height;
}

int bn_output_read_below(struct bn_output *output, const struct bn_rect *rect, uint32_t *pixels)
{
	struct bn_layer *layers[BN_OUTPUT_LAYERS_MAX];
	size_t size = (size_t)rect->width * rect->height;
	pixman_image_t *dst;
	int r;

	if (!is_within(rect, &output->config))
		return -EINVAL;
	dst = pixman_image_create_bits_no_clear(PIXMAN_x8r8g8b8, (int)rect->width,
		(int)rect->height, pixels, (int)(rect->width * 4));
	if (!dst)
		return -ENOMEM;
	memset(pixels, 0, size * sizeof(*pixels));
	r = bn_compose_at(dst, rect->x, rect->y, layers, layers_below(output, layers), true, NULL);
	pixman_image_unref(dst);
	for (size_t i = 0; i < size; i++)
		pixels[i] &= 0xffffff;
	return r;
}
