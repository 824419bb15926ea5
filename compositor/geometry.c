/* Where a picture comes to lie, and which part of it is seen: crop, reflect, turn, scale, cut at
 * the output's edges, in this order. Lengths are whole pixels until the last step, which goes back
 * from what can be seen to the source: there they are 1/65536 pixel, and exact for what is not
 * scaled. Nothing overflows: sizes of places end at BN_PLACE_MAX (2^16), of pictures at 2^13. */
#include <drm_mode.h>

#include "output_impl.h"

#define ONE 65536

/* Edges of a rectangle, in pixels or parts of them. */
struct box {
	int64_t x0, y0, x1, y1;
};

static struct box mirror(const struct box *box, int64_t width, int64_t height, uint32_t transform)
{
	struct box to = *box;

	if (transform & DRM_MODE_REFLECT_X) {
		to.x0 = width - box->x1;
		to.x1 = width - box->x0;
	}
	if (transform & DRM_MODE_REFLECT_Y) {
		to.y0 = height - box->y1;
		to.y1 = height - box->y0;
	}
	return to;
}

/* A box in a picture of width × height, in the picture turned. */
static struct box turn(const struct box *box, int64_t width, int64_t height, uint32_t transform)
{
	struct box b = mirror(box, width, height, transform);

	switch (transform & DRM_MODE_ROTATE_MASK) {
	case DRM_MODE_ROTATE_90:
		return (struct box){b.y0, width - b.x1, b.y1, width - b.x0};
	case DRM_MODE_ROTATE_180:
		return (struct box){width - b.x1, height - b.y1, width - b.x0, height - b.y0};
	case DRM_MODE_ROTATE_270:
		return (struct box){height - b.y1, b.x0, height - b.y0, b.x1};
	default:
		return b;
	}
}

/* The way back. width × height: of the picture before it was turned. */
static struct box turn_back(const struct box *b, int64_t width, int64_t height, uint32_t transform)
{
	struct box to = *b;

	switch (transform & DRM_MODE_ROTATE_MASK) {
	case DRM_MODE_ROTATE_90:
		to = (struct box){width - b->y1, b->x0, width - b->y0, b->x1};
		break;
	case DRM_MODE_ROTATE_180:
		to = (struct box){width - b->x1, height - b->y1, width - b->x0, height - b->y0};
		break;
	case DRM_MODE_ROTATE_270:
		to = (struct box){b->y0, height - b->x1, b->y1, height - b->x0};
		break;
	}
	return mirror(&to, width, height, transform);
}

static bool is_turned(uint32_t transform)
{
	return transform & (DRM_MODE_ROTATE_90 | DRM_MODE_ROTATE_270);
}

static struct bn_rect crop_of(const struct bn_layer *layer)
{
	struct bn_rect crop = layer->place.crop;

	if (crop.width == 0 || crop.height == 0)
		crop = (struct bn_rect){0, 0, layer->current.src_width, layer->current.src_height};
	return crop;
}

/* Pixels of [from, to) of length source pixels that are covered wholly when the length becomes
 * size, moved by at and cut at 0 and limit. */
static bool scale_span(int64_t from, int64_t to, int64_t length, int64_t size, int64_t at,
	int64_t limit, int64_t *start, int64_t *end)
{
	*start = at + (from * size + length - 1) / length;
	*end = at + to * size / length;
	if (*start < 0)
		*start = 0;
	if (*end > limit)
		*end = limit;
	return *start < *end;
}

/* Where a part of the scanout (in its pixels) can be seen, and what of it, in 1/65536 pixel. */
static bool place_part(const struct bn_layer *layer, const struct bn_rect *part, struct bn_rect *at,
	struct box *source)
{
	const struct bn_output_config *config = &layer->output->config;
	const struct bn_place *place = &layer->place;
	struct bn_rect crop = crop_of(layer), seen;
	struct bn_rect to = bn_place_rect(place, crop.width, crop.height);
	uint32_t width = is_turned(place->transform) ? crop.height : crop.width;
	uint32_t height = is_turned(place->transform) ? crop.width : crop.height;
	struct box box, on;

	if (!bn_rect_intersect(part, &crop, &seen))
		return false;
	box.x0 = (int64_t)seen.x - crop.x;
	box.y0 = (int64_t)seen.y - crop.y;
	box.x1 = box.x0 + seen.width;
	box.y1 = box.y0 + seen.height;
	box = turn(&box, crop.width, crop.height, place->transform);
	if (!scale_span(box.x0, box.x1, width, to.width, to.x, config->width, &on.x0, &on.x1) ||
		!scale_span(
			box.y0, box.y1, height, to.height, to.y, config->height, &on.y0, &on.y1))
		return false;
	*at = (struct bn_rect){(int32_t)on.x0, (int32_t)on.y0, (uint32_t)(on.x1 - on.x0),
		(uint32_t)(on.y1 - on.y0)};
	box.x0 = (on.x0 - to.x) * width * ONE / to.width;
	box.x1 = (on.x1 - to.x) * width * ONE / to.width;
	box.y0 = (on.y0 - to.y) * height * ONE / to.height;
	box.y1 = (on.y1 - to.y) * height * ONE / to.height;
	box = turn_back(
		&box, (int64_t)crop.width * ONE, (int64_t)crop.height * ONE, place->transform);
	*source = (struct box){box.x0 + (int64_t)crop.x * ONE, box.y0 + (int64_t)crop.y * ONE,
		box.x1 + (int64_t)crop.x * ONE, box.y1 + (int64_t)crop.y * ONE};
	return true;
}

/* The same turn with as few bits as possible, so that what needs no turning is seen not to: two
 * reflections are half a turn, and half a turn of a reflection is the other reflection. */
static uint32_t simplest(uint32_t transform)
{
	uint32_t reflect = transform & DRM_MODE_REFLECT_MASK;
	uint32_t turned = transform & DRM_MODE_ROTATE_MASK;
	unsigned quarters = turned == DRM_MODE_ROTATE_90    ? 1
			    : turned == DRM_MODE_ROTATE_180 ? 2
			    : turned == DRM_MODE_ROTATE_270 ? 3
							    : 0;

	if (reflect == DRM_MODE_REFLECT_MASK) {
		reflect = 0;
		quarters = (quarters + 2) % 4;
	} else if (reflect && quarters >= 2) {
		reflect ^= DRM_MODE_REFLECT_MASK;
		quarters -= 2;
	}
	return DRM_MODE_ROTATE_0 << quarters | reflect;
}

static bool has_picture(const struct bn_layer *layer)
{
	const struct bn_frame *frame = &layer->current;

	return !layer->dead && frame->buffer && frame->src_width > 0 && frame->src_height > 0 &&
	       !layer->place.hidden && layer->place.alpha > 0;
}

static void set_source(struct bn_geometry *geometry, const struct box *source)
{
	geometry->src_x = (uint32_t)source->x0;
	geometry->src_y = (uint32_t)source->y0;
	geometry->src_width = (uint32_t)(source->x1 - source->x0);
	geometry->src_height = (uint32_t)(source->y1 - source->y0);
}

bool bn_layer_geometry(const struct bn_layer *layer, struct bn_geometry *geometry)
{
	const struct bn_frame *frame = &layer->current;
	struct bn_rect all = {0, 0, frame->src_width, frame->src_height};
	const struct bn_buffer_attrs *attrs;
	uint32_t transform = layer->place.transform;
	struct box source;

	if (!has_picture(layer) || !place_part(layer, &all, &geometry->at, &source))
		return false;
	attrs = bn_buffer_attrs(frame->buffer);
	source.x0 += (int64_t)frame->src_x * ONE;
	source.x1 += (int64_t)frame->src_x * ONE;
	source.y0 += (int64_t)frame->src_y * ONE;
	source.y1 += (int64_t)frame->src_y * ONE;
	if (attrs->y_invert) {
		source = mirror(&source, 0, (int64_t)attrs->height * ONE, DRM_MODE_REFLECT_Y);
		transform ^= DRM_MODE_REFLECT_Y;
	}
	set_source(geometry, &source);
	geometry->transform = simplest(transform);
	return true;
}

/* Cut at the layer's edges: a guest draws on no pixel that another guest may own. */
bool bn_cursor_geometry(const struct bn_layer *layer, struct bn_geometry *geometry)
{
	const struct bn_cursor *cursor = &layer->cursor;
	struct bn_rect scanout = {0, 0, layer->current.src_width, layer->current.src_height};
	int64_t x = (int64_t)cursor->x - cursor->hot_x, y = (int64_t)cursor->y - cursor->hot_y;
	struct bn_rect part = {(int32_t)x, (int32_t)y, BN_CURSOR_SIZE, BN_CURSOR_SIZE};
	struct box source;

	if (!cursor->visible || !has_picture(layer) || x < INT32_MIN || y < INT32_MIN ||
		!bn_rect_intersect(&part, &scanout, &part) ||
		!place_part(layer, &part, &geometry->at, &source))
		return false;
	source.x0 -= x * ONE;
	source.x1 -= x * ONE;
	source.y0 -= y * ONE;
	source.y1 -= y * ONE;
	set_source(geometry, &source);
	geometry->transform = simplest(layer->place.transform);
	return true;
}

bool bn_geometry_is_scaled(const struct bn_geometry *geometry)
{
	uint64_t width = (uint64_t)geometry->at.width * ONE;
	uint64_t height = (uint64_t)geometry->at.height * ONE;
	bool turned = is_turned(geometry->transform);

	return geometry->src_x % ONE != 0 || geometry->src_y % ONE != 0 ||
	       geometry->src_width != (turned ? height : width) ||
	       geometry->src_height != (turned ? width : height);
}

void bn_geometry_turned_source(
	const struct bn_geometry *geometry, uint32_t width, uint32_t height, struct bn_rect *source)
{
	struct box box = {geometry->src_x, geometry->src_y,
		(int64_t)geometry->src_x + geometry->src_width,
		(int64_t)geometry->src_y + geometry->src_height};

	box = turn(&box, (int64_t)width * ONE, (int64_t)height * ONE, geometry->transform);
	*source = (struct bn_rect){(int32_t)box.x0, (int32_t)box.y0, (uint32_t)(box.x1 - box.x0),
		(uint32_t)(box.y1 - box.y0)};
}

bool bn_geometry_cut(struct bn_geometry *geometry, const struct bn_rect *rect)
{
	struct bn_rect at;
	struct box box;

	if (!bn_rect_intersect(&geometry->at, rect, &at))
		return false;
	if (bn_geometry_is_scaled(geometry))
		return true;
	box.x0 = ((int64_t)at.x - geometry->at.x) * ONE;
	box.y0 = ((int64_t)at.y - geometry->at.y) * ONE;
	box.x1 = box.x0 + (int64_t)at.width * ONE;
	box.y1 = box.y0 + (int64_t)at.height * ONE;
	box = turn_back(&box, geometry->src_width, geometry->src_height, geometry->transform);
	geometry->at = at;
	geometry->src_x += (uint32_t)box.x0;
	geometry->src_y += (uint32_t)box.y0;
	geometry->src_width = (uint32_t)(box.x1 - box.x0);
	geometry->src_height = (uint32_t)(box.y1 - box.y0);
	return true;
}

bool bn_geometry_is_plain(const struct bn_geometry *geometry)
{
	return geometry->transform == DRM_MODE_ROTATE_0 && !bn_geometry_is_scaled(geometry);
}
