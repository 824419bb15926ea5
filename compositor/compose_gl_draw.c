/* One layer or cursor onto the target. */
#include <drm_fourcc.h>
#include <drm_mode.h>
#include <errno.h>
#include <math.h>

#include "compose_gl_impl.h"

#define ONE 65536.0f

/* From pixels of the place to those of the stored picture. */
struct turn {
	float xx, xy, yx, yy, x, y;
};

static struct turn turn_of(const struct bn_geometry *g)
{
	float width = (float)g->src_width / ONE, height = (float)g->src_height / ONE;
	float to_width = (float)g->at.width, to_height = (float)g->at.height;
	struct turn t = {0};

	switch (g->transform & DRM_MODE_ROTATE_MASK) {
	case DRM_MODE_ROTATE_90:
		t.xy = -width / to_height;
		t.yx = height / to_width;
		t.x = width;
		break;
	case DRM_MODE_ROTATE_180:
		t.xx = -width / to_width;
		t.yy = -height / to_height;
		t.x = width;
		t.y = height;
		break;
	case DRM_MODE_ROTATE_270:
		t.xy = width / to_height;
		t.yx = -height / to_width;
		t.y = height;
		break;
	default:
		t.xx = width / to_width;
		t.yy = height / to_height;
		break;
	}
	if (g->transform & DRM_MODE_REFLECT_X) {
		t.xx = -t.xx;
		t.xy = -t.xy;
		t.x = width - t.x;
	}
	if (g->transform & DRM_MODE_REFLECT_Y) {
		t.yx = -t.yx;
		t.yy = -t.yy;
		t.y = height - t.y;
	}
	t.x += (float)g->src_x / ONE;
	t.y += (float)g->src_y / ONE;
	return t;
}

/* The stored picture's pixels that the source touches: nothing else is read. */
static struct bn_rect source_pixels(const struct bn_geometry *g)
{
	uint32_t x = g->src_x >> 16, y = g->src_y >> 16;

	return (struct bn_rect){(int32_t)x, (int32_t)y,
		((g->src_x + g->src_width + 0xffff) >> 16) - x,
		((g->src_y + g->src_height + 0xffff) >> 16) - y};
}

static int32_t clamp(int32_t value, int32_t low, int32_t high)
{
	return value < low ? low : value > high ? high : value;
}

static void span(float a, float b, int32_t low, uint32_t length, int32_t *start, uint32_t *size)
{
	/* One more each way for what is mixed. */
	int32_t first = clamp((int32_t)floorf(fminf(a, b)) - 1, low, low + (int32_t)length - 1);
	int32_t last = clamp((int32_t)ceilf(fmaxf(a, b)), low, low + (int32_t)length - 1);

	*start = first;
	*size = (uint32_t)(last - first + 1);
}

/* Of the source, what a box of the output shows. */
static struct bn_rect needed(const struct bn_geometry *g, const struct turn *t,
	const struct bn_rect *source, const pixman_box32_t *box)
{
	float x1 = (float)(box->x1 - g->at.x), x2 = (float)(box->x2 - g->at.x);
	float y1 = (float)(box->y1 - g->at.y), y2 = (float)(box->y2 - g->at.y);
	struct bn_rect part;

	span(t->xx * x1 + t->xy * y1 + t->x, t->xx * x2 + t->xy * y2 + t->x, source->x,
		source->width, &part.x, &part.width);
	span(t->yx * x1 + t->yy * y1 + t->y, t->yx * x2 + t->yy * y2 + t->y, source->y,
		source->height, &part.y, &part.height);
	return part;
}

/* ---- what the programs are told ---- */

static void set_place(const struct bn_compose_gl_program *p, const struct bn_geometry *g,
	const struct turn *t, const struct bn_rect *source)
{
	const GLfloat turn[4] = {t->xx, t->yx, t->xy, t->yy};

	glUniformMatrix2fv(p->turn, 1, GL_FALSE, turn);
	glUniform2f(p->from, t->x, t->y);
	glUniform2f(p->at, (float)g->at.x, (float)g->at.y);
	glUniform4i(p->bounds, source->x, source->y, source->x + (int32_t)source->width - 1,
		source->y + (int32_t)source->height - 1);
}

/* Where in a 32-bit pixel red, green, blue and alpha are, in the order of memory. */
static const uint8_t *order_of(uint32_t fourcc)
{
	static const uint8_t argb[] = {2, 1, 0, 3}, abgr[] = {0, 1, 2, 3}, rgba[] = {3, 2, 1, 0},
			     bgra[] = {1, 2, 3, 0};

	switch (fourcc) {
	case DRM_FORMAT_XBGR8888:
	case DRM_FORMAT_ABGR8888:
		return abgr;
	case DRM_FORMAT_RGBX8888:
	case DRM_FORMAT_RGBA8888:
		return rgba;
	case DRM_FORMAT_BGRX8888:
	case DRM_FORMAT_BGRA8888:
		return bgra;
	default:
		return argb;
	}
}

static void set_mix(const struct bn_compose_gl_program *p, uint32_t fourcc, bool bytes, bool alpha)
{
	const uint8_t *order = order_of(bytes ? fourcc : DRM_FORMAT_ABGR8888);
	GLfloat mix[16] = {0};

	for (unsigned i = 0; i < (alpha ? 4 : 3); i++)
		mix[4 * order[i] + i] = 1.0f;
	glUniformMatrix4fv(p->mix, 1, GL_FALSE, mix);
	glUniform4f(p->bias, 0.0f, 0.0f, 0.0f, alpha ? 0.0f : 1.0f);
}

static void set_sample(GLint location, const struct bn_format_sample *s)
{
	glUniform4i(location, s->plane, s->offset, s->step, s->hsub);
}

/* As in yuv.c: 65535ths of a channel for each step of a sample. */
static void set_yuv(const struct bn_compose_gl_program *p, const struct bn_buffer_attrs *attrs,
	const struct bn_format *format)
{
	static const double weights[][2] = {
		[BN_ENCODING_BT601] = {0.299, 0.114},
		[BN_ENCODING_BT709] = {0.2126, 0.0722},
		[BN_ENCODING_BT2020] = {0.2627, 0.0593},
	};
	double red = weights[attrs->encoding][0], blue = weights[attrs->encoding][1];
	double green = 1.0 - red - blue, scale = 1u << (format->bits - 8);
	double top = (double)((1u << format->bits) - 1);
	bool full = attrs->range == BN_RANGE_FULL;
	double y = 65535.0 / (full ? top : 219.0 * scale),
	       c = 65535.0 / (full ? top : 224.0 * scale);
	const GLfloat matrix[9] = {(GLfloat)y, (GLfloat)y, (GLfloat)y, 0.0f,
		(GLfloat)(-c * 2.0 * blue * (1.0 - blue) / green),
		(GLfloat)(c * 2.0 * (1.0 - blue)), (GLfloat)(c * 2.0 * (1.0 - red)),
		(GLfloat)(-c * 2.0 * red * (1.0 - red) / green), 0.0f};
	GLint sub[2 * BN_FORMAT_PLANES_MAX];

	for (unsigned i = 0; i < BN_FORMAT_PLANES_MAX; i++) {
		sub[2 * i] = i < format->planes ? format->plane[i].hsub : 1;
		sub[2 * i + 1] = i < format->planes ? format->plane[i].vsub : 1;
	}
	glUniform2iv(p->sub, BN_FORMAT_PLANES_MAX, sub);
	set_sample(p->y, &format->y);
	set_sample(p->u, &format->u);
	set_sample(p->v, &format->v);
	glUniform1i(p->bits, format->bits);
	glUniformMatrix3fv(p->matrix, 1, GL_FALSE, matrix);
	glUniform2f(p->zero, full ? 0.0f : 16.0f * (float)scale, 128.0f * (float)scale);
}

static void set_source(
	const struct bn_compose_gl_program *p, const struct bn_compose_gl_source *s, bool alpha)
{
	const struct bn_buffer_attrs *attrs = bn_buffer_attrs(s->buffer);
	uint32_t fourcc = s->how == BN_COMPOSE_GL_CONVERTED ? DRM_FORMAT_ARGB8888 : attrs->fourcc;

	if (s->kind == BN_COMPOSE_GL_YUV) {
		set_yuv(p, attrs, s->format);
		return;
	}
	set_mix(p, fourcc, s->bytes, alpha && s->format->alpha);
	glUniform1i(p->deep, fourcc == DRM_FORMAT_RGB565 && !s->bytes);
	glUniform2f(p->size, (float)attrs->width, (float)attrs->height);
}

/* ---- drawing ---- */

static void draw_boxes(pixman_region32_t *region)
{
	int n;
	pixman_box32_t *box = pixman_region32_rectangles(region, &n);

	for (int i = 0; i < n; i++) {
		glScissor(box[i].x1, box[i].y1, box[i].x2 - box[i].x1, box[i].y2 - box[i].y1);
		glDrawArrays(GL_TRIANGLES, 0, 3);
	}
}

static void draw_seen(struct bn_compose_gl *gl, const struct bn_compose_gl_program *p,
	const struct bn_layer *layer, bool blend, pixman_region32_t *seen)
{
	unsigned alpha = (layer->place.alpha * 255u + 32767) / 65535;
	bool over = layer->place.alpha != BN_ALPHA_OPAQUE || blend;

	glUniform1f(p->alpha, (GLfloat)alpha);
	glUniform1i(p->over, over);
	if (over && gl->c.blend != BN_COMPOSE_GL_FETCH)
		glEnable(GL_BLEND);
	else
		glDisable(GL_BLEND);
	draw_boxes(seen);
}

static int draw_picture(struct bn_compose_gl *gl, const struct bn_layer *layer,
	const struct bn_geometry *g, pixman_region32_t *seen, uint64_t *copied)
{
	struct bn_rect source = source_pixels(g), part;
	struct turn turn = turn_of(g);
	const struct bn_compose_gl_program *p;
	struct bn_compose_gl_source *s;
	int r;

	part = needed(g, &turn, &source, pixman_region32_extents(seen));
	r = bn_compose_gl_source_get(gl, layer->current.buffer, &part, &s, copied);
	if (r < 0)
		return r;
	p = &gl->c.programs[s->kind][bn_geometry_is_scaled(g)];
	glUseProgram(p->id);
	set_place(p, g, &turn, &source);
	set_source(p, s, layer->place.blend);
	draw_seen(gl, p, layer, layer->place.blend, seen);
	return 0;
}

static void draw_cursor(struct bn_compose_gl *gl, const struct bn_layer *layer,
	const struct bn_geometry *g, pixman_region32_t *seen, uint64_t *copied)
{
	struct bn_rect source = source_pixels(g);
	struct turn turn = turn_of(g);
	const struct bn_compose_gl_program *p =
		&gl->c.programs[BN_COMPOSE_GL_RGB][bn_geometry_is_scaled(g)];

	glBindTexture(GL_TEXTURE_2D, gl->c.cursor);
	glTexSubImage2D(GL_TEXTURE_2D, 0, 0, 0, BN_CURSOR_SIZE, BN_CURSOR_SIZE, GL_RGBA,
		GL_UNSIGNED_BYTE, layer->cursor.pixels);
	*copied += sizeof(layer->cursor.pixels);
	glUseProgram(p->id);
	set_place(p, g, &turn, &source);
	set_mix(p, DRM_FORMAT_ARGB8888, true, true);
	glUniform1i(p->deep, false);
	draw_seen(gl, p, layer, true, seen);
}

int bn_compose_gl_draw_item(struct bn_compose_gl *gl, const struct bn_compose_item *item,
	pixman_region32_t *region, uint64_t *copied)
{
	pixman_region32_t seen;
	struct bn_geometry g;
	int r = 0;

	if (!(item->cursor ? bn_cursor_geometry(item->layer, &g)
			   : bn_layer_geometry(item->layer, &g)))
		return 0;
	pixman_region32_init_rect(&seen, g.at.x, g.at.y, g.at.width, g.at.height);
	if (!pixman_region32_intersect(&seen, &seen, region))
		r = -ENOMEM;
	else if (pixman_region32_not_empty(&seen) && item->cursor)
		draw_cursor(gl, item->layer, &g, &seen, copied);
	else if (pixman_region32_not_empty(&seen))
		r = draw_picture(gl, item->layer, &g, &seen, copied);
	pixman_region32_fini(&seen);
	return r;
}
