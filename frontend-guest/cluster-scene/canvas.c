/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "canvas.h"
#include "gl.h"

#define DESIGN_WIDTH 1280.0f
#define DESIGN_HEIGHT 480.0f
#define MAX_VERTICES 200000

static const char vertex_source[] =
	"attribute vec2 position;\n"
	"attribute vec2 local;\n"
	"attribute vec4 shape;\n"
	"attribute vec4 colour;\n"
	"uniform vec4 view;\n"
	"varying vec2 at;\n"
	"varying vec4 form;\n"
	"varying vec4 tint;\n"
	"void main() {\n"
	"	gl_Position = vec4(position * view.xy + view.zw, 0.0, 1.0);\n"
	"	at = local;\n"
	"	form = shape;\n"
	"	tint = colour;\n"
	"}\n";

/* Distance to a box with round corners, as coverage. */
static const char fragment_source[] =
	"#ifdef GL_FRAGMENT_PRECISION_HIGH\n"
	"precision highp float;\n"
	"#else\n"
	"precision mediump float;\n"
	"#endif\n"
	"varying vec2 at;\n"
	"varying vec4 form;\n"
	"varying vec4 tint;\n"
	"void main() {\n"
	"	float d = length(max(abs(at) - form.xy, 0.0)) - form.z;\n"
	"	float cover = clamp(0.5 - d / form.w, 0.0, 1.0);\n"
	"	gl_FragColor = tint * (cover * cover * (3.0 - 2.0 * cover));\n"
	"}\n";

static const char *const attributes[] = {"position", "local", "shape", "colour", NULL};

bool bn_canvas_init(struct bn_canvas *canvas, int width, int height)
{
	float sx = (float)width / DESIGN_WIDTH, sy = (float)height / DESIGN_HEIGHT;

	*canvas = (struct bn_canvas){.width = width, .height = height};
	canvas->scale = sx < sy ? sx : sy;
	canvas->left = ((float)width / canvas->scale - DESIGN_WIDTH) / 2.0f;
	canvas->top = ((float)height / canvas->scale - DESIGN_HEIGHT) / 2.0f;
	canvas->program = bn_gl_program(vertex_source, fragment_source, attributes);
	if (!canvas->program)
		return false;
	canvas->view = glGetUniformLocation(canvas->program, "view");
	glGenBuffers(1, &canvas->buffer);
	return true;
}

void bn_canvas_finish(struct bn_canvas *canvas)
{
	glDeleteProgram(canvas->program);
	glDeleteBuffers(1, &canvas->buffer);
	free(canvas->vertices);
	*canvas = (struct bn_canvas){0};
}

static void set_pointers(void)
{
	static const struct {
		GLint count;
		size_t offset;
	} fields[] = {
		{2, offsetof(struct bn_vertex, x)},
		{2, offsetof(struct bn_vertex, u)},
		{4, offsetof(struct bn_vertex, half_u)},
		{4, offsetof(struct bn_vertex, colour)},
	};

	for (GLuint i = 0; i < 4; i++) {
		glEnableVertexAttribArray(i);
		glVertexAttribPointer(i, fields[i].count, GL_FLOAT, GL_FALSE,
			sizeof(struct bn_vertex), (const void *)fields[i].offset);
	}
}

void bn_canvas_flush(struct bn_canvas *canvas)
{
	float sx = 2.0f * canvas->scale / (float)canvas->width;
	float sy = -2.0f * canvas->scale / (float)canvas->height;

	if (canvas->count == 0)
		return;
	glUseProgram(canvas->program);
	glUniform4f(canvas->view, sx, sy, canvas->left * sx - 1.0f, canvas->top * sy + 1.0f);
	glBindBuffer(GL_ARRAY_BUFFER, canvas->buffer);
	glBufferData(GL_ARRAY_BUFFER, (GLsizeiptr)(canvas->count * sizeof(*canvas->vertices)),
		canvas->vertices, GL_STREAM_DRAW);
	set_pointers();
	glEnable(GL_BLEND);
	glBlendFunc(GL_ONE, GL_ONE_MINUS_SRC_ALPHA);
	glDrawArrays(GL_TRIANGLES, 0, (GLsizei)canvas->count);
	canvas->count = 0;
}

struct bn_colour bn_rgba(float r, float g, float b, float a)
{
	return (struct bn_colour){r * a, g * a, b * a, a};
}

struct bn_colour bn_hex(unsigned rgb, float a)
{
	return bn_rgba((float)(rgb >> 16 & 255) / 255.0f, (float)(rgb >> 8 & 255) / 255.0f,
		(float)(rgb & 255) / 255.0f, a);
}

struct bn_colour bn_light(unsigned rgb, float strength)
{
	struct bn_colour c = bn_hex(rgb, strength);

	c.a = 0.0f;
	return c;
}

/* Room for n vertices, NULL when there is none: the shape is then left out. */
static struct bn_vertex *reserve(struct bn_canvas *canvas, size_t n)
{
	if (canvas->count + n > canvas->capacity) {
		size_t capacity = canvas->capacity ? canvas->capacity * 2 : 4096;
		struct bn_vertex *grown;

		if (capacity > MAX_VERTICES)
			return NULL;
		grown = realloc(canvas->vertices, capacity * sizeof(*grown));
		if (!grown)
			return NULL;
		canvas->vertices = grown;
		canvas->capacity = capacity;
	}
	canvas->count += n;
	return canvas->vertices + canvas->count - n;
}

/* Corners in the order of a strip: 0 1 2, 2 1 3. */
static void quad(struct bn_canvas *canvas, const struct bn_vertex corners[4])
{
	static const int order[6] = {0, 1, 2, 2, 1, 3};
	struct bn_vertex *out = reserve(canvas, 6);

	for (int i = 0; out && i < 6; i++)
		out[i] = corners[order[i]];
}

static float edge(const struct bn_canvas *canvas, float soft)
{
	float pixel = 1.3f / canvas->scale;

	return soft > pixel ? soft : pixel;
}

void bn_canvas_disc(struct bn_canvas *canvas, float x, float y, float radius, float soft,
	struct bn_colour colour)
{
	const float rect[4] = {x - radius, y - radius, 2.0f * radius, 2.0f * radius};
	const struct bn_colour colours[2] = {colour, colour};

	bn_canvas_box(canvas, rect, radius, soft, colours);
}

void bn_canvas_box(struct bn_canvas *canvas, const float rect[4], float radius, float soft,
	const struct bn_colour colours[2])
{
	float s = edge(canvas, soft), w = rect[2] / 2.0f, h = rect[3] / 2.0f;
	float x = rect[0] + w, y = rect[1] + h;
	struct bn_vertex corners[4];

	for (int i = 0; i < 4; i++) {
		float u = (i & 1 ? 1.0f : -1.0f) * (w + s / 2.0f);
		float v = (i & 2 ? 1.0f : -1.0f) * (h + s / 2.0f);

		corners[i] = (struct bn_vertex){
			x + u, y + v, u, v, w - radius, h - radius, radius, s, colours[i >> 1]};
	}
	quad(canvas, corners);
}

void bn_canvas_line(struct bn_canvas *canvas, const float from[2], const float to[2],
	const float widths[2], float soft, const struct bn_colour colours[2])
{
	float dx = to[0] - from[0], dy = to[1] - from[1];
	float length = sqrtf(dx * dx + dy * dy), s = edge(canvas, soft);
	float half = length / 2.0f;
	struct bn_vertex corners[4];

	if (length > 0.0f) {
		dx /= length;
		dy /= length;
	} else {
		dx = 1.0f;
	}
	for (int i = 0; i < 4; i++) {
		int end = i >> 1;
		float r = widths[end] / 2.0f, pad = r + s / 2.0f;
		float u = end ? half + pad : -half - pad, v = i & 1 ? pad : -pad;
		float mx = (from[0] + to[0]) / 2.0f, my = (from[1] + to[1]) / 2.0f;

		corners[i] = (struct bn_vertex){mx + dx * u - dy * v, my + dy * u + dx * v, u, v,
			half, 0.0f, r, s, colours[end]};
	}
	quad(canvas, corners);
}

void bn_canvas_stroke(struct bn_canvas *canvas, float x0, float y0, float x1, float y1, float width,
	struct bn_colour colour)
{
	const float from[2] = {x0, y0}, to[2] = {x1, y1}, widths[2] = {width, width};
	const struct bn_colour colours[2] = {colour, colour};

	bn_canvas_line(canvas, from, to, widths, 0.0f, colours);
}

static struct bn_colour mix(const struct bn_colour c[2], float t)
{
	return (struct bn_colour){
		c[0].r + (c[1].r - c[0].r) * t,
		c[0].g + (c[1].g - c[0].g) * t,
		c[0].b + (c[1].b - c[0].b) * t,
		c[0].a + (c[1].a - c[0].a) * t,
	};
}

void bn_canvas_ring(struct bn_canvas *canvas, const float centre[2], float radius, float width,
	const float angles[2], float soft, const struct bn_colour colours[2])
{
	float s = edge(canvas, soft), pad = width / 2.0f + s / 2.0f;
	float sweep = angles[1] - angles[0];
	/* So many pieces that the chord stays within a fifth of a pixel of the arc. */
	float step = 2.0f * acosf(1.0f - 0.2f / (radius * canvas->scale + 1.0f));
	int n = (int)ceilf(fabsf(sweep) / step);
	struct bn_vertex c[4];

	for (int i = 0; i <= n && n > 0; i++) {
		float t = (float)i / (float)n, a = angles[0] + sweep * t;
		float x = cosf(a), y = sinf(a);

		for (int j = 0; j < 2; j++) {
			float v = j ? pad : -pad;

			c[j] = c[j + 2];
			c[j + 2] = (struct bn_vertex){centre[0] + x * (radius + v),
				centre[1] + y * (radius + v), 0.0f, v, 0.0f, 0.0f, width / 2.0f, s,
				mix(colours, t)};
		}
		if (i > 0)
			quad(canvas, c);
	}
}

void bn_canvas_triangle(struct bn_canvas *canvas, const float points[6], struct bn_colour colour)
{
	struct bn_vertex *out = reserve(canvas, 3);

	for (int i = 0; out && i < 3; i++)
		out[i] = (struct bn_vertex){points[2 * i], points[2 * i + 1], 0.0f, 0.0f, 1.0f,
			1.0f, 1.0f, 1.0f, colour};
	/* The outline gives the edge its smoothness, and small round corners. */
	for (int i = 0; i < 3; i++) {
		const float *a = points + 2 * i, *b = points + 2 * ((i + 1) % 3);

		bn_canvas_stroke(canvas, a[0], a[1], b[0], b[1], 1.5f, colour);
	}
}

void bn_canvas_quad(
	struct bn_canvas *canvas, const float points[8], const struct bn_colour colours[2])
{
	struct bn_vertex corners[4];

	for (int i = 0; i < 4; i++)
		corners[i] = (struct bn_vertex){points[2 * i], points[2 * i + 1], 0.0f, 0.0f, 1.0f,
			1.0f, 1.0f, 1.0f, colours[i >> 1]};
	quad(canvas, corners);
}
