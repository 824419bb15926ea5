/* YUV to RGB. Each channel is computed to 1/65535 of its range, rounded there and then to eight
 * bits: what display hardware that works in 16 bits shows. */
#include <string.h>

#include "pixels.h"

/* 65535ths of a channel, in 1/2^32, for each step of a sample from its zero. */
struct matrix {
	int64_t y, r_v, g_u, g_v, b_u;
	int32_t y_zero, c_zero;
};

/* The weights of red and blue in luma: ITU-R BT.601, BT.709, BT.2020. */
static const struct {
	double red, blue;
} weights[] = {
	[BN_ENCODING_BT601] = {0.299, 0.114},
	[BN_ENCODING_BT709] = {0.2126, 0.0722},
	[BN_ENCODING_BT2020] = {0.2627, 0.0593},
};

static int64_t fixed(double value)
{
	return (int64_t)(value * 4294967296.0 + (value < 0 ? -0.5 : 0.5));
}

static struct matrix matrix_of(const struct bn_buffer_attrs *attrs, unsigned bits)
{
	double red = weights[attrs->encoding].red, blue = weights[attrs->encoding].blue;
	double green = 1.0 - red - blue;
	bool full = attrs->range == BN_RANGE_FULL;
	uint32_t scale = 1u << (bits - 8), top = (1u << bits) - 1;
	double y = 65535.0 / (full ? top : 219.0 * scale);
	double c = 65535.0 / (full ? top : 224.0 * scale);

	return (struct matrix){
		.y = fixed(y),
		.r_v = fixed(c * 2.0 * (1.0 - red)),
		.g_u = fixed(-c * 2.0 * blue * (1.0 - blue) / green),
		.g_v = fixed(-c * 2.0 * red * (1.0 - red) / green),
		.b_u = fixed(c * 2.0 * (1.0 - blue)),
		.y_zero = full ? 0 : (int32_t)(16 * scale),
		.c_zero = (int32_t)(128 * scale),
	};
}

static uint32_t channel(int64_t value)
{
	int64_t rounded = (value + (1ll << 31)) >> 32;

	if (rounded < 0)
		rounded = 0;
	if (rounded > 65535)
		rounded = 65535;
	return ((uint32_t)rounded + 128) / 257;
}

static uint32_t rgb_of(const struct matrix *m, int32_t y, int32_t u, int32_t v)
{
	int64_t luma = m->y * (y - m->y_zero);

	u -= m->c_zero;
	v -= m->c_zero;
	return channel(luma + m->r_v * v) << 16 | channel(luma + m->g_u * u + m->g_v * v) << 8 |
	       channel(luma + m->b_u * u);
}

/* One of the three samples along a row of the picture. */
struct walk {
	const uint8_t *row;
	uint32_t step, hsub;
	unsigned bits;
};

static struct walk walk_row(const struct bn_format_sample *sample, unsigned bits,
	const struct bn_buffer_attrs *attrs, const uint8_t *const *planes, uint32_t y)
{
	return (struct walk){
		.row = planes[sample->plane] + sample->offset +
		       (size_t)attrs->stride[sample->plane] * (y / sample->vsub),
		.step = sample->step,
		.hsub = sample->hsub,
		.bits = bits,
	};
}

static int32_t sample_at(const struct walk *walk, uint32_t x)
{
	const uint8_t *at = walk->row + (size_t)(x / walk->hsub) * walk->step;

	if (walk->bits == 8)
		return *at;
	return (at[0] | at[1] << 8) >> (16 - walk->bits);
}

pixman_image_t *bn_yuv_convert(const struct bn_buffer_attrs *attrs, const struct bn_format *format,
	const uint8_t *const *planes, const struct bn_rect *part, bool upside_down)
{
	pixman_image_t *image = pixman_image_create_bits_no_clear(
		PIXMAN_x8r8g8b8, (int)part->width, (int)part->height, NULL, 0);
	struct matrix matrix = matrix_of(attrs, format->bits);
	uint8_t *to;

	if (!image)
		return NULL;
	to = (uint8_t *)pixman_image_get_data(image);
	for (uint32_t i = 0; i < part->height; i++) {
		uint32_t y = (uint32_t)part->y + (upside_down ? part->height - 1 - i : i);
		struct walk luma = walk_row(&format->y, format->bits, attrs, planes, y);
		struct walk u = walk_row(&format->u, format->bits, attrs, planes, y);
		struct walk v = walk_row(&format->v, format->bits, attrs, planes, y);
		uint32_t *pixel = (uint32_t *)(void *)to;

		for (uint32_t x = (uint32_t)part->x; x < (uint32_t)part->x + part->width; x++)
			*pixel++ = rgb_of(
				&matrix, sample_at(&luma, x), sample_at(&u, x), sample_at(&v, x));
		to += pixman_image_get_stride(image);
	}
	return image;
}
