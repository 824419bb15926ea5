/* Layers drawn by the CPU. What is not scaled is copied pixel by pixel, turned or not; what is
 * scaled is filtered, and nothing outside of its source is ever read for that. */
#include <drm_mode.h>
#include <errno.h>

#include "output_impl.h"
#include "pixels.h"

#define ONE 65536u

/* Buffers that are read from until all is drawn: layers often show parts of the same one. */
struct kept {
	struct bn_buffer *buffers[BN_COMPOSE_ITEMS_MAX];
	unsigned count;
};

struct canvas {
	pixman_image_t *image;
	int32_t x, y; /* of its first pixel, on the output */
	struct kept *kept; /* NULL: there is one picture only */
};

/* A picture that is ready to be drawn. */
struct picture {
	pixman_image_t *image;
	int32_t x, y; /* of the image's first pixel, in the picture */
	uint16_t alpha;
	bool blend;
};

static pixman_fixed_t ratio(uint32_t source, uint32_t size)
{
	return (pixman_fixed_t)(((uint64_t)source + size / 2) / size);
}

/* From pixels of the place to those of the picture's image. */
static pixman_transform_t matrix_of(const struct bn_geometry *g, const struct picture *picture)
{
	pixman_fixed_t width = (pixman_fixed_t)g->src_width, height = (pixman_fixed_t)g->src_height;
	pixman_fixed_t xx = 0, xy = 0, x = 0, yx = 0, yy = 0, y = 0;

	switch (g->transform & DRM_MODE_ROTATE_MASK) {
	case DRM_MODE_ROTATE_90:
		xy = -ratio(g->src_width, g->at.height);
		yx = ratio(g->src_height, g->at.width);
		x = width;
		break;
	case DRM_MODE_ROTATE_180:
		xx = -ratio(g->src_width, g->at.width);
		yy = -ratio(g->src_height, g->at.height);
		x = width;
		y = height;
		break;
	case DRM_MODE_ROTATE_270:
		xy = ratio(g->src_width, g->at.height);
		yx = -ratio(g->src_height, g->at.width);
		y = height;
		break;
	default:
		xx = ratio(g->src_width, g->at.width);
		yy = ratio(g->src_height, g->at.height);
		break;
	}
	if (g->transform & DRM_MODE_REFLECT_X) {
		xx = -xx;
		xy = -xy;
		x = width - x;
	}
	if (g->transform & DRM_MODE_REFLECT_Y) {
		yx = -yx;
		yy = -yy;
		y = height - y;
	}
	x += (pixman_fixed_t)g->src_x - pixman_int_to_fixed(picture->x);
	y += (pixman_fixed_t)g->src_y - pixman_int_to_fixed(picture->y);
	return (pixman_transform_t){{{xx, xy, x}, {yx, yy, y}, {0, 0, pixman_fixed_1}}};
}

static bool set_matrix(const struct bn_geometry *g, const struct picture *picture)
{
	pixman_transform_t matrix = matrix_of(g, picture);

	if (!pixman_image_set_transform(picture->image, &matrix))
		return false;
	if (!bn_geometry_is_scaled(g))
		return pixman_image_set_filter(picture->image, PIXMAN_FILTER_NEAREST, NULL, 0);
	pixman_image_set_repeat(picture->image, PIXMAN_REPEAT_PAD);
	return pixman_image_set_filter(picture->image, PIXMAN_FILTER_BILINEAR, NULL, 0);
}

static pixman_image_t *alpha_mask(uint16_t alpha)
{
	/* pixman keeps the upper eight bits. */
	uint16_t rounded = (uint16_t)((alpha * 255u + 32767) / 65535 * 257);
	pixman_color_t color = {.alpha = rounded};

	return pixman_image_create_solid_fill(&color);
}

static int draw(
	const struct canvas *canvas, const struct bn_geometry *g, const struct picture *picture)
{
	bool solid = picture->alpha == BN_ALPHA_OPAQUE;
	pixman_image_t *mask = solid ? NULL : alpha_mask(picture->alpha);
	int src_x = 0, src_y = 0;

	if (!solid && !mask)
		return -ENOMEM;
	if (bn_geometry_is_plain(g)) {
		src_x = (int)(g->src_x / ONE) - picture->x;
		src_y = (int)(g->src_y / ONE) - picture->y;
	} else if (!set_matrix(g, picture)) {
		if (mask)
			pixman_image_unref(mask);
		return -ENOMEM;
	}
	pixman_image_composite32(solid && !picture->blend ? PIXMAN_OP_SRC : PIXMAN_OP_OVER,
		picture->image, mask, canvas->image, src_x, src_y, 0, 0, g->at.x - canvas->x,
		g->at.y - canvas->y, (int)g->at.width, (int)g->at.height);
	if (mask)
		pixman_image_unref(mask);
	return 0;
}

/* Pixels that the source touches. */
static struct bn_rect source_pixels(const struct bn_geometry *g)
{
	uint32_t x = g->src_x / ONE, y = g->src_y / ONE;

	return (struct bn_rect){(int32_t)x, (int32_t)y,
		(g->src_x + g->src_width + ONE - 1) / ONE - x,
		(g->src_y + g->src_height + ONE - 1) / ONE - y};
}

/* For a buffer that is open. */
static void keep(struct kept *kept, struct bn_buffer *buffer)
{
	for (unsigned i = 0; i < kept->count; i++) {
		if (kept->buffers[i] == buffer)
			return;
	}
	if (kept->count == BN_COMPOSE_ITEMS_MAX)
		return;
	kept->buffers[kept->count++] = buffer;
	bn_pixels_keep(buffer);
}

static void let_go(const struct kept *kept)
{
	for (unsigned i = 0; i < kept->count; i++)
		bn_pixels_let_go(kept->buffers[i]);
}

static int draw_buffer(const struct canvas *canvas, struct bn_buffer *buffer,
	const struct bn_geometry *geometry, uint16_t alpha, bool blend)
{
	bool upside_down = geometry->transform & DRM_MODE_REFLECT_Y;
	struct bn_rect part = source_pixels(geometry);
	struct bn_geometry g = *geometry;
	struct bn_pixels pixels;
	struct picture picture = {.x = part.x, .y = part.y, .alpha = alpha, .blend = blend};
	int r = bn_pixels_open(&pixels, buffer, &part, upside_down, blend);

	if (r < 0)
		return r;
	if (upside_down) {
		/* Read from the last row up, which leaves nothing to be turned in most cases. */
		g.transform ^= DRM_MODE_REFLECT_Y;
		g.src_y = (2 * (uint32_t)part.y + part.height) * ONE - g.src_y - g.src_height;
	}
	picture.image = pixels.image;
	r = draw(canvas, &g, &picture);
	if (canvas->kept)
		keep(canvas->kept, buffer);
	bn_pixels_close(&pixels);
	return r;
}

static int draw_cursor(
	const struct canvas *canvas, struct bn_layer *layer, const struct bn_geometry *geometry)
{
	struct bn_rect part = source_pixels(geometry);
	struct picture picture = {
		.x = part.x,
		.y = part.y,
		.alpha = layer->place.alpha,
		.blend = true,
		.image = pixman_image_create_bits_no_clear(PIXMAN_a8r8g8b8, (int)part.width,
			(int)part.height, layer->cursor.pixels + part.y * BN_CURSOR_SIZE + part.x,
			BN_CURSOR_SIZE * 4),
	};
	int r;

	if (!picture.image)
		return -ENOMEM;
	r = draw(canvas, geometry, &picture);
	pixman_image_unref(picture.image);
	return r;
}

/* Keeps what of the geometry is drawn: pixels that are not are not even converted. */
static bool cut_geometry(
	const struct canvas *canvas, struct bn_geometry *geometry, pixman_region32_t *region)
{
	struct bn_rect rect = {canvas->x, canvas->y,
		(uint32_t)pixman_image_get_width(canvas->image),
		(uint32_t)pixman_image_get_height(canvas->image)};
	pixman_box32_t box;

	if (!bn_geometry_cut(geometry, &rect))
		return false;
	box = *pixman_region32_extents(region);
	rect = (struct bn_rect){
		box.x1, box.y1, (uint32_t)(box.x2 - box.x1), (uint32_t)(box.y2 - box.y1)};
	return bn_geometry_cut(geometry, &rect);
}

static int draw_item(
	const struct canvas *canvas, const struct bn_compose_item *item, pixman_region32_t *region)
{
	struct bn_layer *layer = item->layer;
	struct bn_geometry geometry;

	if (item->cursor)
		return bn_cursor_geometry(layer, &geometry) &&
				       cut_geometry(canvas, &geometry, region)
			       ? draw_cursor(canvas, layer, &geometry)
			       : 0;
	return bn_layer_geometry(layer, &geometry) && cut_geometry(canvas, &geometry, region)
		       ? draw_buffer(canvas, layer->current.buffer, &geometry, layer->place.alpha,
				 layer->place.blend)
		       : 0;
}

/* The region in the canvas's own pixels is its clip. */
static bool set_clip(const struct canvas *canvas, pixman_region32_t *region)
{
	pixman_region32_t moved;
	bool ok;

	pixman_region32_init(&moved);
	ok = pixman_region32_copy(&moved, region);
	if (ok) {
		pixman_region32_translate(&moved, -canvas->x, -canvas->y);
		ok = pixman_image_set_clip_region32(canvas->image, &moved);
	}
	pixman_region32_fini(&moved);
	return ok;
}

uint64_t bn_compose_area(pixman_region32_t *region)
{
	uint64_t sum = 0;
	int n;
	pixman_box32_t *box = pixman_region32_rectangles(region, &n);

	for (int i = 0; i < n; i++)
		sum += (uint64_t)(box[i].x2 - box[i].x1) * (uint64_t)(box[i].y2 - box[i].y1);
	return sum;
}

static int draw_part(void *data, const struct bn_compose_item *item, pixman_region32_t *region)
{
	const struct canvas *canvas = data;

	if (!set_clip(canvas, region))
		return -ENOMEM;
	item->layer->output->drawn_pixels += bn_compose_area(region);
	return draw_item(canvas, item, region);
}

int bn_compose_items(pixman_image_t *dst, int32_t x, int32_t y, const struct bn_compose_item *items,
	unsigned count, pixman_region32_t *region)
{
	struct kept kept = {.count = 0};
	struct canvas canvas = {dst, x, y, &kept};
	pixman_region32_t part;
	int r = -ENOMEM;

	pixman_region32_init_rect(&part, x, y, (unsigned)pixman_image_get_width(dst),
		(unsigned)pixman_image_get_height(dst));
	if (!region || pixman_region32_intersect(&part, &part, region))
		r = bn_compose_each(items, count, &part, draw_part, &canvas);
	let_go(&kept);
	pixman_image_set_clip_region32(dst, NULL);
	pixman_region32_fini(&part);
	return r;
}

int bn_compose_at(pixman_image_t *dst, int32_t x, int32_t y, struct bn_layer *const *layers,
	unsigned count, bool cursors, pixman_region32_t *region)
{
	struct bn_compose_item items[BN_COMPOSE_ITEMS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < count && i < BN_OUTPUT_LAYERS_MAX; i++) {
		items[n++] = (struct bn_compose_item){layers[i], false};
		if (cursors)
			items[n++] = (struct bn_compose_item){layers[i], true};
	}
	return bn_compose_items(dst, x, y, items, n, region);
}

int bn_compose_layers(pixman_image_t *dst, struct bn_layer *const *layers, unsigned count,
	bool cursors, pixman_region32_t *region)
{
	return bn_compose_at(dst, 0, 0, layers, count, cursors, region);
}

int bn_compose_cursor(pixman_image_t *dst, int32_t x, int32_t y, struct bn_layer *layer)
{
	struct canvas canvas = {dst, x, y, NULL};
	struct bn_geometry geometry;

	return bn_cursor_geometry(layer, &geometry) ? draw_cursor(&canvas, layer, &geometry) : 0;
}

/* The picture of width × height at (x, y) of the buffer seen upright. */
static int draw_upright(pixman_image_t *dst, struct bn_buffer *buffer, uint32_t x, uint32_t y,
	uint32_t width, uint32_t height)
{
	const struct bn_buffer_attrs *attrs = bn_buffer_attrs(buffer);
	struct canvas canvas = {dst, 0, 0, NULL};
	struct bn_geometry geometry = {
		.at = {0, 0, width, height},
		.src_x = x * ONE,
		.src_y = (attrs->y_invert ? attrs->height - y - height : y) * ONE,
		.src_width = width * ONE,
		.src_height = height * ONE,
		.transform = DRM_MODE_ROTATE_0 | (attrs->y_invert ? DRM_MODE_REFLECT_Y : 0),
	};

	return draw_buffer(&canvas, buffer, &geometry, BN_ALPHA_OPAQUE, false);
}

int bn_compose_whole(pixman_image_t *dst, struct bn_buffer *buffer)
{
	const struct bn_buffer_attrs *attrs = bn_buffer_attrs(buffer);

	return draw_upright(dst, buffer, 0, 0, attrs->width, attrs->height);
}

int bn_compose_frame(pixman_image_t *dst, const struct bn_frame *frame)
{
	return draw_upright(dst, frame->buffer, frame->src_x, frame->src_y, frame->src_width,
		frame->src_height);
}
