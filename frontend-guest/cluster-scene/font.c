/* SPDX-License-Identifier: MIT */
/*
 * A stroke font in the manner of road signs: straight lines and arcs of ellipses with round ends.
 * A glyph lives in a box 6 units high (the base line is 0, y upwards) and has its own width.
 */
#include <math.h>
#include <string.h>

#include "canvas.h"

#define CAP_HEIGHT 6.0f
#define GAP 1.5f

/* A line x0 y0 x1 y1, or an arc: centre, radii, and angles in degrees, counter-clockwise. */
struct stroke {
	char kind;
	float v[6];
};

struct glyph {
	char character;
	float width;
	struct stroke strokes[6];
};

/* clang-format off */
#define L(...) {'L', {__VA_ARGS__}}
#define A(...) {'A', {__VA_ARGS__}}

static const struct glyph glyphs[] = {
	{'0', 3.8f, {L(0, 1.9f, 0, 4.1f), L(3.8f, 1.9f, 3.8f, 4.1f),
		A(1.9f, 4.1f, 1.9f, 1.9f, 0, 180), A(1.9f, 1.9f, 1.9f, 1.9f, 180, 360)}},
	{'1', 2.2f, {L(0, 4.6f, 1.8f, 6), L(1.8f, 6, 1.8f, 0)}},
	{'2', 3.8f, {A(1.9f, 4.15f, 1.85f, 1.85f, -38, 168), L(3.36f, 3.01f, 0, 0),
		L(0, 0, 3.8f, 0)}},
	{'3', 3.8f, {A(1.85f, 4.5f, 1.65f, 1.5f, -90, 155),
		A(1.85f, 1.5f, 1.95f, 1.5f, -158, 90)}},
	{'4', 4.0f, {L(3, 0, 3, 6), L(3, 6, 0, 1.6f), L(0, 1.6f, 4, 1.6f)}},
	{'5', 3.8f, {L(3.4f, 6, 0.5f, 6), L(0.5f, 6, 0.25f, 3.2f),
		A(1.8f, 1.95f, 2, 1.95f, -155, 140)}},
	{'6', 3.8f, {A(1.9f, 1.9f, 1.9f, 1.9f, 0, 360), A(3.4f, 1.9f, 3.4f, 4.1f, 100, 180)}},
	{'7', 3.8f, {L(0, 6, 3.8f, 6), L(3.8f, 6, 1.3f, 0)}},
	{'8', 3.8f, {A(1.9f, 4.5f, 1.6f, 1.5f, 0, 360), A(1.9f, 1.5f, 1.9f, 1.5f, 0, 360)}},
	{'9', 3.8f, {A(1.9f, 4.1f, 1.9f, 1.9f, 0, 360), A(0.4f, 4.1f, 3.4f, 4.1f, -80, 0)}},
	{'A', 4.2f, {L(0, 0, 2.1f, 6), L(2.1f, 6, 4.2f, 0), L(0.75f, 2, 3.45f, 2)}},
	{'B', 3.8f, {L(0, 0, 0, 6), L(0, 6, 2.1f, 6), L(0, 3.1f, 2.1f, 3.1f), L(0, 0, 2.2f, 0),
		A(2.1f, 4.55f, 1.5f, 1.45f, -90, 90), A(2.2f, 1.55f, 1.6f, 1.55f, -90, 90)}},
	{'C', 3.9f, {A(2.2f, 3.8f, 2.2f, 2.2f, 40, 180), L(0, 2.2f, 0, 3.8f),
		A(2.2f, 2.2f, 2.2f, 2.2f, 180, 320)}},
	{'D', 4.0f, {L(0, 0, 0, 6), L(0, 6, 1.7f, 6), L(0, 0, 1.7f, 0),
		A(1.7f, 3, 2.3f, 3, -90, 90)}},
	{'E', 3.4f, {L(0, 0, 0, 6), L(0, 6, 3.4f, 6), L(0, 3.1f, 2.9f, 3.1f),
		L(0, 0, 3.4f, 0)}},
	{'F', 3.4f, {L(0, 0, 0, 6), L(0, 6, 3.4f, 6), L(0, 3.1f, 2.9f, 3.1f)}},
	{'G', 4.1f, {A(2.2f, 3.8f, 2.2f, 2.2f, 40, 180), L(0, 2.2f, 0, 3.8f),
		A(2.15f, 2.2f, 2.15f, 2.2f, 180, 360), L(4.3f, 2.2f, 4.3f, 2.9f),
		L(4.3f, 2.9f, 2.5f, 2.9f)}},
	{'H', 4.0f, {L(0, 0, 0, 6), L(4, 0, 4, 6), L(0, 3.1f, 4, 3.1f)}},
	{'I', 0.2f, {L(0.1f, 0, 0.1f, 6)}},
	{'J', 3.0f, {L(3, 6, 3, 1.6f), A(1.5f, 1.6f, 1.5f, 1.6f, 190, 360)}},
	{'K', 3.8f, {L(0, 0, 0, 6), L(0, 2.2f, 3.7f, 6), L(1.3f, 3.5f, 3.8f, 0)}},
	{'L', 3.3f, {L(0, 0, 0, 6), L(0, 0, 3.3f, 0)}},
	{'M', 5.0f, {L(0, 0, 0, 6), L(0, 6, 2.5f, 1.8f), L(2.5f, 1.8f, 5, 6), L(5, 6, 5, 0)}},
	{'N', 4.2f, {L(0, 0, 0, 6), L(0, 6, 4.2f, 0), L(4.2f, 0, 4.2f, 6)}},
	{'O', 4.4f, {L(0, 2.2f, 0, 3.8f), L(4.4f, 2.2f, 4.4f, 3.8f),
		A(2.2f, 3.8f, 2.2f, 2.2f, 0, 180), A(2.2f, 2.2f, 2.2f, 2.2f, 180, 360)}},
	{'P', 3.8f, {L(0, 0, 0, 6), L(0, 6, 2.1f, 6), L(0, 2.7f, 2.1f, 2.7f),
		A(2.1f, 4.35f, 1.7f, 1.65f, -90, 90)}},
	{'Q', 4.4f, {L(0, 2.2f, 0, 3.8f), L(4.4f, 2.2f, 4.4f, 3.8f),
		A(2.2f, 3.8f, 2.2f, 2.2f, 0, 180), A(2.2f, 2.2f, 2.2f, 2.2f, 180, 360),
		L(2.8f, 1.6f, 4.4f, 0)}},
	{'R', 3.9f, {L(0, 0, 0, 6), L(0, 6, 2.1f, 6), L(0, 2.8f, 2.1f, 2.8f),
		A(2.1f, 4.4f, 1.7f, 1.6f, -90, 90), L(2, 2.8f, 3.9f, 0)}},
	{'S', 3.8f, {A(1.9f, 4.5f, 1.75f, 1.5f, 40, 270), A(1.9f, 1.5f, 1.9f, 1.5f, -140, 90)}},
	{'T', 4.0f, {L(0, 6, 4, 6), L(2, 6, 2, 0)}},
	{'U', 4.0f, {L(0, 6, 0, 2), L(4, 6, 4, 2), A(2, 2, 2, 2, 180, 360)}},
	{'V', 4.2f, {L(0, 6, 2.1f, 0), L(2.1f, 0, 4.2f, 6)}},
	{'W', 5.8f, {L(0, 6, 1.4f, 0), L(1.4f, 0, 2.9f, 5), L(2.9f, 5, 4.4f, 0),
		L(4.4f, 0, 5.8f, 6)}},
	{'X', 4.0f, {L(0, 0, 4, 6), L(0, 6, 4, 0)}},
	{'Y', 4.0f, {L(0, 6, 2, 2.8f), L(4, 6, 2, 2.8f), L(2, 2.8f, 2, 0)}},
	{'Z', 3.8f, {L(0, 6, 3.8f, 6), L(3.8f, 6, 0, 0), L(0, 0, 3.8f, 0)}},
	{'h', 3.2f, {L(0, 0, 0, 6), A(1.6f, 2.5f, 1.6f, 1.7f, 0, 180), L(3.2f, 0, 3.2f, 2.5f)}},
	{'k', 3.0f, {L(0, 0, 0, 6), L(0, 1.6f, 2.8f, 4.2f), L(1, 2.6f, 3, 0)}},
	{'m', 5.2f, {L(0, 0, 0, 4.2f), A(1.3f, 2.8f, 1.3f, 1.4f, 0, 180), L(2.6f, 0, 2.6f, 2.8f),
		A(3.9f, 2.8f, 1.3f, 1.4f, 0, 180), L(5.2f, 0, 5.2f, 2.8f)}},
	{'p', 3.4f, {L(0, -1.6f, 0, 4.2f), A(1.7f, 2.1f, 1.7f, 2.1f, 0, 360)}},
	{'r', 1.9f, {L(0, 0, 0, 4.2f), A(1.7f, 2.5f, 1.7f, 1.7f, 80, 180)}},
	{'x', 2.8f, {L(0, 0.3f, 2.8f, 3.7f), L(0, 3.7f, 2.8f, 0.3f)}},
	{'/', 2.4f, {L(0, -0.6f, 2.4f, 6.4f)}},
	{':', 0.2f, {L(0.1f, 1.2f, 0.1f, 1.25f), L(0.1f, 4, 0.1f, 4.05f)}},
	{'.', 0.2f, {L(0.1f, 0, 0.1f, 0.05f)}},
	{'-', 2.4f, {L(0, 2.8f, 2.4f, 2.8f)}},
	{'+', 2.8f, {L(0, 2.8f, 2.8f, 2.8f), L(1.4f, 1.4f, 1.4f, 4.2f)}},
	{'%', 4.6f, {L(0.6f, 0, 4, 6), A(0.9f, 4.9f, 0.9f, 1.1f, 0, 360),
		A(3.7f, 1.1f, 0.9f, 1.1f, 0, 360)}},
	{'!', 0.2f, {L(0.1f, 2, 0.1f, 6), L(0.1f, 0, 0.1f, 0.05f)}},
	/* The degree sign. */
	{'*', 1.4f, {A(0.7f, 5.2f, 0.7f, 0.8f, 0, 360)}},
};
/* clang-format on */

static const struct glyph *find(char c)
{
	for (size_t i = 0; i < sizeof(glyphs) / sizeof(glyphs[0]); i++) {
		if (glyphs[i].character == c)
			return &glyphs[i];
	}
	return NULL;
}

static float advance(char c)
{
	const struct glyph *glyph = find(c);

	return (glyph ? glyph->width : 1.4f) + GAP;
}

float bn_text_width(const char *text, float height)
{
	float width = 0.0f;

	for (; *text; text++)
		width += advance(*text);
	return width > 0.0f ? (width - GAP) * height / CAP_HEIGHT : 0.0f;
}

static void draw_arc(struct bn_canvas *canvas, const float v[6], float x, float y, float unit,
	float width, struct bn_colour colour)
{
	float sweep = v[5] - v[4], size = fmaxf(v[2], v[3]) * unit * canvas->scale;
	/* Overlapping round ends hide the corners, so a few pieces do. */
	int n = (int)ceilf(fabsf(sweep) / 360.0f * (8.0f + 3.2f * sqrtf(size)));
	float px = 0.0f, py = 0.0f;

	for (int i = 0; i <= n; i++) {
		float a = (v[4] + sweep * (float)i / (float)n) * (float)M_PI / 180.0f;
		float qx = x + (v[0] + v[2] * cosf(a)) * unit,
		      qy = y - (v[1] + v[3] * sinf(a)) * unit;

		if (i > 0)
			bn_canvas_stroke(canvas, px, py, qx, qy, width, colour);
		px = qx;
		py = qy;
	}
}

static void draw_glyph(struct bn_canvas *canvas, const struct glyph *glyph, float x, float y,
	float unit, float width, struct bn_colour colour)
{
	for (int i = 0; i < 6 && glyph->strokes[i].kind; i++) {
		const float *v = glyph->strokes[i].v;

		if (glyph->strokes[i].kind == 'A')
			draw_arc(canvas, v, x, y, unit, width, colour);
		else
			bn_canvas_stroke(canvas, x + v[0] * unit, y - v[1] * unit, x + v[2] * unit,
				y - v[3] * unit, width, colour);
	}
}

float bn_canvas_text(struct bn_canvas *canvas, const char *text, float x, float y, float height,
	float weight, enum bn_align align, struct bn_colour colour)
{
	float unit = height / CAP_HEIGHT, total = bn_text_width(text, height);

	if (align == BN_CENTRE)
		x -= total / 2.0f;
	else if (align == BN_RIGHT)
		x -= total;
	for (; *text; text++) {
		const struct glyph *glyph = find(*text);

		if (glyph)
			draw_glyph(canvas, glyph, x, y, unit, height * weight, colour);
		x += advance(*text) * unit;
	}
	return total;
}
