/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "parts.h"

#define ROW_Y 50.0f
#define LINE 2.2f
#define PI ((float)M_PI)

static void arc(struct bn_canvas *canvas, float x, float y, float radius, float from, float to,
	struct bn_colour c)
{
	const float centre[2] = {x, y}, angles[2] = {from, to};
	const struct bn_colour colours[2] = {c, c};

	bn_canvas_ring(canvas, centre, radius, LINE, angles, 0.0f, colours);
}

/* A line through points of an icon, closed when the last is the first. */
static void path(struct bn_canvas *canvas, float x, float y, const float *points, int count,
	struct bn_colour c)
{
	for (int i = 0; i + 1 < count; i++)
		bn_canvas_stroke(canvas, x + points[2 * i], y + points[2 * i + 1],
			x + points[2 * i + 2], y + points[2 * i + 3], LINE, c);
}

static void draw_arrow(struct bn_canvas *canvas, float x, float y, float side, struct bn_colour c)
{
	const float head[6] = {x + side * 16, y, x + side * 1, y - 13, x + side * 1, y + 13};
	const float rect[4] = {side > 0 ? x - 14 : x - 1, y - 5.5f, 15, 11};
	const struct bn_colour colours[2] = {c, c};

	bn_canvas_triangle(canvas, head, c);
	bn_canvas_box(canvas, rect, 1.0f, 0.0f, colours);
}

static void draw_left(struct bn_canvas *canvas, float x, float y, struct bn_colour c)
{
	draw_arrow(canvas, x, y, -1.0f, c);
}

static void draw_right(struct bn_canvas *canvas, float x, float y, struct bn_colour c)
{
	draw_arrow(canvas, x, y, 1.0f, c);
}

/* Half a lamp with its beams, level for the high beam, falling for the lights. */
static void draw_lamp(struct bn_canvas *canvas, float x, float y, float fall, struct bn_colour c)
{
	static const float face[] = {1, -9, 1, 9};

	path(canvas, x, y, face, 2, c);
	arc(canvas, x + 1, y, 9.0f, -0.5f * PI, 0.5f * PI, c);
	for (int i = -3; i <= 3; i += 2) {
		float dy = (float)i * 2.7f;

		bn_canvas_stroke(canvas, x - 3, y + dy, x - 14, y + dy + fall, LINE, c);
	}
}

static void draw_high_beam(struct bn_canvas *canvas, float x, float y, struct bn_colour c)
{
	draw_lamp(canvas, x, y, 0.0f, c);
}

static void draw_lights(struct bn_canvas *canvas, float x, float y, struct bn_colour c)
{
	draw_lamp(canvas, x, y, 4.0f, c);
}

static void draw_belt(struct bn_canvas *canvas, float x, float y, struct bn_colour c)
{
	static const float body[] = {-8, 13, -8, 3, -4, -2, 4, -2, 8, 3, 8, 13};
	static const float strap[] = {6, -1, -7, 12};

	bn_canvas_disc(canvas, x, y - 9, 4.2f, 0.0f, c);
	path(canvas, x, y, body, 6, c);
	path(canvas, x, y, strap, 2, c);
}

static void draw_wheel(struct bn_canvas *canvas, float x, float y, struct bn_colour c)
{
	arc(canvas, x, y, 10.0f, 0.0f, 2.0f * PI, c);
	arc(canvas, x, y, 14.5f, -0.27f * PI, 0.27f * PI, c);
	arc(canvas, x, y, 14.5f, 0.73f * PI, 1.27f * PI, c);
}

static void draw_abs(struct bn_canvas *canvas, float x, float y, struct bn_colour c)
{
	draw_wheel(canvas, x, y, c);
	bn_canvas_text(canvas, "ABS", x, y + 3.0f, 6.2f, 0.22f, BN_CENTRE, c);
}

static void draw_brake(struct bn_canvas *canvas, float x, float y, struct bn_colour c)
{
	draw_wheel(canvas, x, y, c);
	bn_canvas_text(canvas, "!", x, y + 5.5f, 11.0f, 0.2f, BN_CENTRE, c);
}

static void draw_engine(struct bn_canvas *canvas, float x, float y, struct bn_colour c)
{
	static const float block[] = {-9, -5, -5, -5, -2, -8, 6, -8, 9, -4, 12, -4, 12, 7, 9, 7, 6,
		10, -4, 10, -7, 6, -9, 6, -9, -5};
	static const float pipe[] = {-14, -3, -14, 5}, joint[] = {-14, 1, -9, 1};
	static const float top[] = {-3, -12, 7, -12}, neck[] = {2, -12, 2, -8};

	path(canvas, x, y, block, 13, c);
	path(canvas, x, y, pipe, 2, c);
	path(canvas, x, y, joint, 2, c);
	path(canvas, x, y, top, 2, c);
	path(canvas, x, y, neck, 2, c);
}

static void draw_battery(struct bn_canvas *canvas, float x, float y, struct bn_colour c)
{
	static const float box[] = {-13, -6, 13, -6, 13, 10, -13, 10, -13, -6};
	static const float minus[] = {-9, 2, -3, 2}, plus[] = {3, 2, 9, 2},
			   across[] = {6, -1, 6, 5};
	static const float left[] = {-9, -9, -5, -9}, right[] = {5, -9, 9, -9};

	path(canvas, x, y, box, 5, c);
	path(canvas, x, y, minus, 2, c);
	path(canvas, x, y, plus, 2, c);
	path(canvas, x, y, across, 2, c);
	path(canvas, x, y, left, 2, c);
	path(canvas, x, y, right, 2, c);
}

static const struct {
	unsigned bit;
	float x;
	unsigned rgb;
	void (*draw)(struct bn_canvas *canvas, float x, float y, struct bn_colour c);
} lamps[] = {
	{BN_TURN_LEFT, 444, 0x2ee66b, draw_left},
	{BN_LIGHTS, 508, 0x2ee66b, draw_lights},
	{BN_HIGH_BEAM, 552, 0x3d8bff, draw_high_beam},
	{BN_ABS, 596, 0xffb020, draw_abs},
	{BN_ENGINE, 640, 0xffb020, draw_engine},
	{BN_BATTERY, 684, 0xff4038, draw_battery},
	{BN_SEAT_BELT, 728, 0xff4038, draw_belt},
	{BN_BRAKE, 772, 0xff4038, draw_brake},
	{BN_TURN_RIGHT, 836, 0x2ee66b, draw_right},
};

#define LAMPS (sizeof(lamps) / sizeof(lamps[0]))

void bn_telltales_draw_unlit(struct bn_canvas *canvas)
{
	for (size_t i = 0; i < LAMPS; i++)
		lamps[i].draw(canvas, lamps[i].x, ROW_Y, bn_hex(0x18212c, 1.0f));
}

void bn_telltales_draw(struct bn_canvas *canvas, unsigned lit)
{
	for (size_t i = 0; i < LAMPS; i++) {
		if (!(lit & lamps[i].bit))
			continue;
		bn_canvas_disc(
			canvas, lamps[i].x, ROW_Y, 8.0f, 40.0f, bn_light(lamps[i].rgb, 0.28f));
		lamps[i].draw(canvas, lamps[i].x, ROW_Y, bn_hex(lamps[i].rgb, 1.0f));
	}
}
