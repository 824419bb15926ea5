#include "reference.h"

#include <drm_fourcc.h>
#include <drm_mode.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "output_impl.h"

/* Pixels of any picture, by their place in it. */
typedef uint32_t (*fetch)(const struct reference_layer *layer, int x, int y);

/* ---- one pixel of a buffer ---- */

static unsigned byte_at(const struct reference_layer *layer, int plane, int row, int offset)
{
	return layer
		->planes[plane][(size_t)layer->attrs->stride[plane] * (size_t)row + (size_t)offset];
}

static unsigned word_at(const struct reference_layer *layer, int plane, int row, int offset)
{
	return byte_at(layer, plane, row, offset) | byte_at(layer, plane, row, offset + 1) << 8;
}

static unsigned eight_bits(double value)
{
	double sixteen = floor(fmin(fmax(value, 0.0), 1.0) * 65535.0 + 0.5);

	return (unsigned)floor(sixteen / 257.0 + 0.5);
}

/* Samples of bits bits. */
static uint32_t from_yuv(
	const struct bn_buffer_attrs *attrs, unsigned bits, unsigned y, unsigned u, unsigned v)
{
	static const double kr[] = {0.299, 0.2126, 0.2627}, kb[] = {0.114, 0.0722, 0.0593};
	double r = kr[attrs->encoding], b = kb[attrs->encoding], unit = (double)(1u << (bits - 8));
	double luma, cb, cr;

	if (attrs->range == BN_RANGE_FULL) {
		double top = (double)((1u << bits) - 1);

		luma = y / top;
		cb = (u - 128.0 * unit) / top;
		cr = (v - 128.0 * unit) / top;
	} else {
		luma = (y - 16.0 * unit) / (219.0 * unit);
		cb = (u - 128.0 * unit) / (224.0 * unit);
		cr = (v - 128.0 * unit) / (224.0 * unit);
	}
	return 0xff000000u | eight_bits(luma + 2.0 * (1.0 - r) * cr) << 16 |
	       eight_bits(
		       luma - (2.0 * b * (1.0 - b) * cb + 2.0 * r * (1.0 - r) * cr) / (1.0 - r - b))
		       << 8 |
	       eight_bits(luma + 2.0 * (1.0 - b) * cb);
}

static uint32_t semi_planar(
	const struct reference_layer *l, int x, int y, int hsub, int vsub, bool v_first)
{
	unsigned first = byte_at(l, 1, y / vsub, x / hsub * 2);
	unsigned second = byte_at(l, 1, y / vsub, x / hsub * 2 + 1);

	return from_yuv(l->attrs, 8, byte_at(l, 0, y, x), v_first ? second : first,
		v_first ? first : second);
}

static uint32_t planar(
	const struct reference_layer *l, int x, int y, int hsub, int vsub, bool v_first)
{
	return from_yuv(l->attrs, 8, byte_at(l, 0, y, x),
		byte_at(l, v_first ? 2 : 1, y / vsub, x / hsub),
		byte_at(l, v_first ? 1 : 2, y / vsub, x / hsub));
}

static uint32_t deep(const struct reference_layer *l, int x, int y, unsigned bits)
{
	return from_yuv(l->attrs, bits, word_at(l, 0, y, x * 2) >> (16 - bits),
		word_at(l, 1, y / 2, x / 2 * 4) >> (16 - bits),
		word_at(l, 1, y / 2, x / 2 * 4 + 2) >> (16 - bits));
}

static uint32_t packed(const struct reference_layer *l, int x, int y, int y_at, int u_at, int v_at)
{
	int pair = x / 2 * 4;

	return from_yuv(l->attrs, 8, byte_at(l, 0, y, pair + y_at + x % 2 * 2),
		byte_at(l, 0, y, pair + u_at), byte_at(l, 0, y, pair + v_at));
}

/* Which byte of four each of a, r, g and b is; a below 0: none. */
static uint32_t rgb(const struct reference_layer *l, int x, int y, int a, int r, int g, int b)
{
	return (a < 0 ? 255u : byte_at(l, 0, y, x * 4 + a)) << 24 |
	       byte_at(l, 0, y, x * 4 + r) << 16 | byte_at(l, 0, y, x * 4 + g) << 8 |
	       byte_at(l, 0, y, x * 4 + b);
}

static uint32_t rgb565(unsigned word)
{
	unsigned r = word >> 11, g = word >> 5 & 63, b = word & 31;

	return 0xff000000u | (r << 3 | r >> 2) << 16 | (g << 2 | g >> 4) << 8 | (b << 3 | b >> 2);
}

static uint32_t stored_pixel(const struct reference_layer *l, int x, int y)
{
	switch (l->attrs->fourcc) {
	case DRM_FORMAT_XRGB8888:
		return rgb(l, x, y, -1, 2, 1, 0);
	case DRM_FORMAT_ARGB8888:
		return rgb(l, x, y, 3, 2, 1, 0);
	case DRM_FORMAT_XBGR8888:
		return rgb(l, x, y, -1, 0, 1, 2);
	case DRM_FORMAT_ABGR8888:
		return rgb(l, x, y, 3, 0, 1, 2);
	case DRM_FORMAT_RGBX8888:
		return rgb(l, x, y, -1, 3, 2, 1);
	case DRM_FORMAT_RGBA8888:
		return rgb(l, x, y, 0, 3, 2, 1);
	case DRM_FORMAT_BGRX8888:
		return rgb(l, x, y, -1, 1, 2, 3);
	case DRM_FORMAT_BGRA8888:
		return rgb(l, x, y, 0, 1, 2, 3);
	case DRM_FORMAT_RGB565:
		return rgb565(word_at(l, 0, y, x * 2));
	case DRM_FORMAT_NV12:
		return semi_planar(l, x, y, 2, 2, false);
	case DRM_FORMAT_NV21:
		return semi_planar(l, x, y, 2, 2, true);
	case DRM_FORMAT_NV16:
		return semi_planar(l, x, y, 2, 1, false);
	case DRM_FORMAT_NV61:
		return semi_planar(l, x, y, 2, 1, true);
	case DRM_FORMAT_NV24:
		return semi_planar(l, x, y, 1, 1, false);
	case DRM_FORMAT_NV42:
		return semi_planar(l, x, y, 1, 1, true);
	case DRM_FORMAT_P010:
		return deep(l, x, y, 10);
	case DRM_FORMAT_P012:
		return deep(l, x, y, 12);
	case DRM_FORMAT_P016:
		return deep(l, x, y, 16);
	case DRM_FORMAT_YUV420:
		return planar(l, x, y, 2, 2, false);
	case DRM_FORMAT_YVU420:
		return planar(l, x, y, 2, 2, true);
	case DRM_FORMAT_YUV422:
		return planar(l, x, y, 2, 1, false);
	case DRM_FORMAT_YVU422:
		return planar(l, x, y, 2, 1, true);
	case DRM_FORMAT_YUV444:
		return planar(l, x, y, 1, 1, false);
	case DRM_FORMAT_YVU444:
		return planar(l, x, y, 1, 1, true);
	case DRM_FORMAT_YUYV:
		return packed(l, x, y, 0, 1, 3);
	case DRM_FORMAT_YVYU:
		return packed(l, x, y, 0, 3, 1);
	case DRM_FORMAT_UYVY:
		return packed(l, x, y, 1, 0, 2);
	case DRM_FORMAT_VYUY:
		return packed(l, x, y, 1, 2, 0);
	}
	abort();
}

uint32_t reference_pixel(const struct reference_layer *layer, int x, int y, bool alpha)
{
	int row = layer->attrs->y_invert ? (int)layer->attrs->height - 1 - y : y;

	return stored_pixel(layer, x, row) | (alpha ? 0 : 0xff000000u);
}

static uint32_t fetch_scanout(const struct reference_layer *layer, int x, int y)
{
	return reference_pixel(layer, x + layer->source.x, y + layer->source.y, layer->place.blend);
}

static uint32_t fetch_cursor(const struct reference_layer *layer, int x, int y)
{
	return layer->cursor[(y - layer->cursor_y) * BN_CURSOR_SIZE + x - layer->cursor_x];
}

/* ---- where things are ---- */

/* All of how a layer sits on its output. c: crop, t: crop turned, r: on the output. */
struct seat {
	int cx, cy, cw, ch, tw, th, rx, ry, rw, rh;
	uint32_t transform;
};

static struct seat seat_of(const struct reference_layer *layer)
{
	const struct bn_place *p = &layer->place;
	bool cropped = p->crop.width && p->crop.height, turned, sized;
	struct seat s = {.transform = p->transform};

	s.cx = cropped ? p->crop.x : 0;
	s.cy = cropped ? p->crop.y : 0;
	s.cw = (int)(cropped ? p->crop.width : layer->source.width);
	s.ch = (int)(cropped ? p->crop.height : layer->source.height);
	turned = p->transform & (DRM_MODE_ROTATE_90 | DRM_MODE_ROTATE_270);
	s.tw = turned ? s.ch : s.cw;
	s.th = turned ? s.cw : s.ch;
	sized = p->at.width && p->at.height;
	s.rx = p->at.x;
	s.ry = p->at.y;
	s.rw = sized ? (int)p->at.width : s.tw;
	s.rh = sized ? (int)p->at.height : s.th;
	return s;
}

/* Back from a point of the turned crop to the crop. */
static void unturn(const struct seat *s, double *x, double *y)
{
	double p = *x, q = *y, w = s->cw, h = s->ch;

	if (s->transform & DRM_MODE_ROTATE_90) {
		*x = w - q;
		*y = p;
	} else if (s->transform & DRM_MODE_ROTATE_180) {
		*x = w - p;
		*y = h - q;
	} else if (s->transform & DRM_MODE_ROTATE_270) {
		*x = q;
		*y = h - p;
	}
	if (s->transform & DRM_MODE_REFLECT_X)
		*x = w - *x;
	if (s->transform & DRM_MODE_REFLECT_Y)
		*y = h - *y;
}

/* The edges of the output's pixel (x, y) in pixels of the scanout; false: that is not wholly in the part, nor in
 * the crop. The corners of what is scaled may be between two numbers that a double can hold: what is
 * nearer than a millionth of a pixel is there. */
static bool footprint(
	const struct seat *s, const struct bn_rect *part, int x, int y, double *min, double *max)
{
	double x0 = (double)(x - s->rx) * s->tw / s->rw, y0 = (double)(y - s->ry) * s->th / s->rh;
	double x1 = (double)(x - s->rx + 1) * s->tw / s->rw;
	double y1 = (double)(y - s->ry + 1) * s->th / s->rh;
	const double near = 1e-6;

	if (x < s->rx || y < s->ry || x - s->rx >= s->rw || y - s->ry >= s->rh)
		return false;
	unturn(s, &x0, &y0);
	unturn(s, &x1, &y1);
	min[0] = fmin(x0, x1) + s->cx;
	max[0] = fmax(x0, x1) + s->cx;
	min[1] = fmin(y0, y1) + s->cy;
	max[1] = fmax(y0, y1) + s->cy;
	return min[0] >= part->x - near && max[0] <= part->x + (double)part->width + near &&
	       min[1] >= part->y - near && max[1] <= part->y + (double)part->height + near;
}

/* ---- drawing ---- */

static unsigned mul(unsigned a, unsigned b)
{
	return (a * b * 2 + 255) / 510; /* a × b / 255, rounded */
}

static unsigned channel(uint32_t pixel, int shift)
{
	return pixel >> shift & 255;
}

static uint32_t over(uint32_t below, uint32_t pixel, uint16_t alpha)
{
	unsigned a = (unsigned)floor(alpha * 255.0 / 65535.0 + 0.5);
	unsigned through = 255 - mul(pixel >> 24, a);
	uint32_t result = 0;

	for (int shift = 0; shift < 24; shift += 8) {
		unsigned c = mul(channel(pixel, shift), a) + mul(channel(below, shift), through);

		result |= (c > 255 ? 255u : c) << shift;
	}
	return result;
}

/* Whole pixels that the source touches, as seen: nothing outside of them has a part in what is
 * interpolated. */
struct bounds {
	int x0, y0, x1, y1;
};

static int clamp(int value, int low, int high)
{
	return value < low ? low : value > high ? high : value;
}

static uint32_t interpolate(
	const struct reference_layer *layer, fetch get, const struct bounds *b, double x, double y)
{
	int left = (int)floor(x - 0.5), top = (int)floor(y - 0.5);
	double fx = x - 0.5 - left, fy = y - 0.5 - top;
	int xs[2] = {clamp(left, b->x0, b->x1 - 1), clamp(left + 1, b->x0, b->x1 - 1)};
	int ys[2] = {clamp(top, b->y0, b->y1 - 1), clamp(top + 1, b->y0, b->y1 - 1)};
	uint32_t result = 0;

	for (int shift = 0; shift < 32; shift += 8) {
		double sum = 0.0;

		for (int i = 0; i < 4; i++)
			sum += (i & 1 ? fx : 1.0 - fx) * (i & 2 ? fy : 1.0 - fy) *
			       channel(get(layer, xs[i & 1], ys[i >> 1]), shift);
		result |= (uint32_t)floor(sum + 0.5) << shift;
	}
	return result;
}

struct canvas {
	int width, height;
	uint32_t *pixels;
};

static bool find_bounds(const struct canvas *canvas, const struct seat *s,
	const struct bn_rect *part, struct bounds *b)
{
	double min[2], max[2], low[2] = {1e9, 1e9}, high[2] = {-1e9, -1e9};

	for (int i = 0; i < canvas->width * canvas->height; i++) {
		if (!footprint(s, part, i % canvas->width, i / canvas->width, min, max))
			continue;
		for (int axis = 0; axis < 2; axis++) {
			low[axis] = fmin(low[axis], min[axis]);
			high[axis] = fmax(high[axis], max[axis]);
		}
	}
	*b = (struct bounds){(int)floor(low[0] + 1e-6), (int)floor(low[1] + 1e-6),
		(int)ceil(high[0] - 1e-6), (int)ceil(high[1] - 1e-6)};
	return low[0] < high[0];
}

static void draw(const struct canvas *canvas, const struct reference_layer *layer,
	const struct bn_rect *part, fetch get)
{
	struct seat s = seat_of(layer);
	bool scaled = s.rw != s.tw || s.rh != s.th;
	struct bounds bounds;
	double min[2], max[2];

	if (!find_bounds(canvas, &s, part, &bounds))
		return;
	for (int i = 0; i < canvas->width * canvas->height; i++) {
		uint32_t pixel;

		if (!footprint(&s, part, i % canvas->width, i / canvas->width, min, max))
			continue;
		pixel = scaled ? interpolate(layer, get, &bounds, (min[0] + max[0]) / 2,
					 (min[1] + max[1]) / 2)
			       : get(layer, (int)floor(min[0] + 0.5), (int)floor(min[1] + 0.5));
		canvas->pixels[i] = over(canvas->pixels[i], pixel, layer->place.alpha);
	}
}

/* The common part of two rectangles; empty: of width 0. */
static struct bn_rect common(const struct bn_rect *a, const struct bn_rect *b)
{
	int64_t x0 = a->x > b->x ? a->x : b->x, y0 = a->y > b->y ? a->y : b->y;
	int64_t ax = (int64_t)a->x + a->width, bx = (int64_t)b->x + b->width;
	int64_t ay = (int64_t)a->y + a->height, by = (int64_t)b->y + b->height;
	int64_t x1 = ax < bx ? ax : bx, y1 = ay < by ? ay : by;

	if (x1 <= x0 || y1 <= y0)
		return (struct bn_rect){0};
	return (struct bn_rect){(int32_t)x0, (int32_t)y0, (uint32_t)(x1 - x0), (uint32_t)(y1 - y0)};
}

void reference_render(const struct reference_layer *layers, unsigned count, uint32_t width,
	uint32_t height, uint32_t *pixels)
{
	struct canvas canvas = {(int)width, (int)height, pixels};

	memset(pixels, 0, (size_t)width * height * 4);
	for (unsigned i = 0; i < count; i++) {
		const struct reference_layer *l = &layers[i];
		struct bn_rect scanout = {0, 0, l->source.width, l->source.height};
		struct bn_rect cursor = {l->cursor_x, l->cursor_y, BN_CURSOR_SIZE, BN_CURSOR_SIZE};

		if (l->place.hidden || scanout.width == 0 || scanout.height == 0)
			continue;
		draw(&canvas, l, &scanout, fetch_scanout);
		cursor = common(&cursor, &scanout);
		if (l->cursor && cursor.width > 0)
			draw(&canvas, l, &cursor, fetch_cursor);
	}
}

/* ---- outputs ---- */

static int by_height(const void *a, const void *b)
{
	const struct bn_layer *l = *(struct bn_layer *const *)a, *m = *(struct bn_layer *const *)b;
	int over_l = l->place.role == BN_ROLE_FALLBACK, over_m = m->place.role == BN_ROLE_FALLBACK;

	if (over_l != over_m)
		return over_l - over_m;
	if (l->place.z != m->place.z)
		return l->place.z < m->place.z ? -1 : 1;
	return l->age < m->age ? -1 : 1;
}

static bool map_plane(struct reference_layer *layer, uint32_t plane)
{
	int fd = layer->attrs->fd[plane];
	off_t size = lseek(fd, 0, SEEK_END);
	void *map = size > 0 ? mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

	if (map == MAP_FAILED)
		return false;
	layer->maps[plane] = map;
	layer->map_sizes[plane] = (size_t)size;
	layer->planes[plane] = (const uint8_t *)map + layer->attrs->offset[plane];
	return true;
}

bool reference_layer_init(struct reference_layer *layer, const struct bn_layer *of)
{
	const struct bn_frame *frame = &of->current;
	const struct bn_cursor *cursor = &of->cursor;

	*layer = (struct reference_layer){
		.attrs = bn_buffer_attrs(frame->buffer),
		.source = {(int32_t)frame->src_x, (int32_t)frame->src_y, frame->src_width,
			frame->src_height},
		.place = of->place,
		.cursor = cursor->visible ? cursor->pixels : NULL,
		.cursor_x = cursor->x - (int32_t)cursor->hot_x,
		.cursor_y = cursor->y - (int32_t)cursor->hot_y,
	};
	for (uint32_t i = 0; i < layer->attrs->planes && i < 3; i++) {
		layer->planes[i] = bn_buffer_plane(frame->buffer, i);
		if (!layer->planes[i] && !map_plane(layer, i))
			return false;
	}
	return true;
}

void reference_layer_finish(struct reference_layer *layer)
{
	for (unsigned i = 0; i < 3; i++) {
		if (layer->maps[i])
			munmap(layer->maps[i], layer->map_sizes[i]);
	}
}

bool reference_render_output(struct bn_output *output, uint32_t *pixels)
{
	struct bn_layer *sorted[BN_OUTPUT_LAYERS_MAX], *layer;
	struct reference_layer layers[BN_OUTPUT_LAYERS_MAX];
	unsigned count = 0;
	bool ok = true;

	wl_list_for_each(layer, &output->layers, link)
	{
		if (!layer->dead && layer->current.buffer)
			sorted[count++] = layer;
	}
	qsort(sorted, count, sizeof(sorted[0]), by_height);
	for (unsigned i = 0; i < count; i++)
		ok &= reference_layer_init(&layers[i], sorted[i]);
	if (ok)
		reference_render(
			layers, count, output->config.width, output->config.height, pixels);
	for (unsigned i = 0; i < count; i++)
		reference_layer_finish(&layers[i]);
	return ok;
}

unsigned reference_distance(const uint32_t *a, const uint32_t *b, size_t count, uint64_t *total)
{
	unsigned max = 0;
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++) {
		for (int shift = 0; shift < 24; shift += 8) {
			int d = abs((int)channel(a[i], shift) - (int)channel(b[i], shift));

			sum += (unsigned)d;
			if ((unsigned)d > max)
				max = (unsigned)d;
		}
	}
	if (total)
		*total = sum;
	return max;
}
