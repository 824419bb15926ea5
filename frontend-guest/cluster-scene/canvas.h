/* SPDX-License-Identifier: MIT */
/*
 * Anti-aliased shapes for an instrument cluster. All shapes become triangles of one vertex
 * format, drawn by one shader: each vertex carries its position in the shape's own coordinates,
 * and the shader turns the distance to the edge into coverage. So a frame of hundreds of shapes
 * is one draw call that fills little more than what is seen.
 *
 * Units are those of the design (1280 × 480, y downwards); the canvas scales them to pixels.
 * Angles are radians, clockwise from the direction of x.
 */
#ifndef BN_CLUSTER_CANVAS_H
#define BN_CLUSTER_CANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <GLES2/gl2.h>

/* Premultiplied: an alpha of 0 with colour adds light. */
struct bn_colour {
	float r, g, b, a;
};

struct bn_vertex {
	float x, y;           /* design units */
	float u, v;           /* in the shape */
	float half_u, half_v; /* half of the shape's straight core */
	float radius, soft;   /* round part around the core; width of the edge */
	struct bn_colour colour;
};

struct bn_canvas {
	GLuint program, buffer;
	GLint view;
	struct bn_vertex *vertices;
	size_t count, capacity;
	int width, height; /* pixels */
	float scale, left, top;
};

enum bn_align { BN_LEFT, BN_CENTRE, BN_RIGHT };

/*
 * Makes the GL objects for a surface of this size in pixels. Returns false when the driver or
 * memory refuses.
 */
bool bn_canvas_init(struct bn_canvas *canvas, int width, int height);
void bn_canvas_finish(struct bn_canvas *canvas);

/* Draws what was added since the last flush into the bound framebuffer, and forgets it. */
void bn_canvas_flush(struct bn_canvas *canvas);

/* Straight colour and opacity to premultiplied; light adds instead of covering. */
struct bn_colour bn_rgba(float r, float g, float b, float a);
struct bn_colour bn_hex(unsigned rgb, float a);
struct bn_colour bn_light(unsigned rgb, float strength);

/* A soft of 0 means a sharp edge, one pixel wide. */
void bn_canvas_disc(struct bn_canvas *canvas, float x, float y, float radius, float soft,
	struct bn_colour colour);
void bn_canvas_line(struct bn_canvas *canvas, const float from[2], const float to[2],
	const float widths[2], float soft, const struct bn_colour colours[2]);
void bn_canvas_ring(struct bn_canvas *canvas, const float centre[2], float radius, float width,
	const float angles[2], float soft, const struct bn_colour colours[2]);
void bn_canvas_box(struct bn_canvas *canvas, const float rect[4], float radius, float soft,
	const struct bn_colour colours[2]);
void bn_canvas_triangle(struct bn_canvas *canvas, const float points[6], struct bn_colour colour);

/*
 * Four corners in the order of a strip; colours for the first and the last two. Its edges are not
 * smoothed.
 */
void bn_canvas_quad(
	struct bn_canvas *canvas, const float points[8], const struct bn_colour colours[2]);

/* A line of one width and colour. */
void bn_canvas_stroke(struct bn_canvas *canvas, float x0, float y0, float x1, float y1, float width,
	struct bn_colour colour);

/*
 * Text in a stroke font: digits, capitals, some small letters and signs; others leave a gap. y is
 * the base line, height that of a capital, weight the stroke's width as a part of it. Returns the
 * width.
 */
float bn_canvas_text(struct bn_canvas *canvas, const char *text, float x, float y, float height,
	float weight, enum bn_align align, struct bn_colour colour);
float bn_text_width(const char *text, float height);

#endif
