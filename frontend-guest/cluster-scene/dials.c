/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>

#include "parts.h"

#define PI ((float)M_PI)
#define FIRST (0.75f * PI)
#define SWEEP (1.5f * PI)
#define RIM 203.0f
#define TRACK 187.0f
#define TRACK_WIDTH 9.0f
#define HUB 94.0f
#define RED_LINE 6.5f

struct dial {
	float centre[2];
	float max, major, minor; /* the scale, and its steps */
	unsigned low, high;      /* colours of the value's arc */
};

static const struct dial speed_dial = {{236, 252}, BN_MAX_SPEED, 20, 10, 0x1057ff, 0x2fe3ff};
static const struct dial rpm_dial = {{1044, 252}, BN_MAX_RPM, 1, 0.5f, 0x1057ff, 0x2fe3ff};

static float angle_of(const struct dial *dial, float value)
{
	return FIRST + SWEEP * fmaxf(0.0f, fminf(1.0f, value / dial->max));
}

static void ring(struct bn_canvas *canvas, const struct dial *dial, float radius, float width,
	float from, float to, float soft, struct bn_colour a, struct bn_colour b)
{
	const float angles[2] = {from, to};
	const struct bn_colour colours[2] = {a, b};

	bn_canvas_ring(canvas, dial->centre, radius, width, angles, soft, colours);
}

static void ray(struct bn_canvas *canvas, const struct dial *dial, float angle, float inner,
	float outer, float width, struct bn_colour colour)
{
	float x = cosf(angle), y = sinf(angle);

	bn_canvas_stroke(canvas, dial->centre[0] + x * inner, dial->centre[1] + y * inner,
		dial->centre[0] + x * outer, dial->centre[1] + y * outer, width, colour);
}

static void draw_scale(struct bn_canvas *canvas, const struct dial *dial, float red_from)
{
	int ticks = (int)(dial->max / dial->minor + 0.5f),
	    per_major = (int)(dial->major / dial->minor + 0.5f);
	char text[8];
	float at;

	for (int i = 0; i <= ticks; i++) {
		float value = (float)i * dial->minor, a = angle_of(dial, value);
		bool major = i % per_major == 0;
		struct bn_colour c = value >= red_from ? bn_hex(0xff4a3d, major ? 1.0f : 0.8f)
						       : bn_hex(0xdfe8f2, major ? 0.95f : 0.45f);

		ray(canvas, dial, a, major ? 160.0f : 167.0f, 176.0f, major ? 3.0f : 1.6f, c);
		if (!major)
			continue;
		snprintf(text, sizeof(text), "%d", (int)value);
		/* The numeral's edge, not its middle, keeps its distance from the tick. */
		at = 150.0f - 0.5f * bn_text_width(text, 15.0f) * fabsf(cosf(a)) -
		     7.5f * fabsf(sinf(a));
		bn_canvas_text(canvas, text, dial->centre[0] + cosf(a) * at,
			dial->centre[1] + sinf(a) * at + 7.5f, 15.0f, 0.13f, BN_CENTRE, c);
	}
}

static void draw_face(struct bn_canvas *canvas, const struct dial *dial)
{
	float x = dial->centre[0], y = dial->centre[1];

	/* Light from behind, the plate, and a rim that catches light from above. */
	bn_canvas_disc(canvas, x, y, 205.0f, 150.0f, bn_hex(0x123a63, 0.55f));
	bn_canvas_disc(canvas, x, y, RIM, 0.0f, bn_hex(0x05080d, 1.0f));
	bn_canvas_disc(canvas, x, y, 120.0f, 150.0f, bn_light(0x14304f, 0.55f));
	ring(canvas, dial, RIM, 2.0f, -PI, -0.5f * PI, 0.0f, bn_hex(0x2b3a4d, 1),
		bn_hex(0xa9c0da, 1));
	ring(canvas, dial, RIM, 2.0f, -0.5f * PI, 0, 0.0f, bn_hex(0xa9c0da, 1),
		bn_hex(0x2b3a4d, 1));
	ring(canvas, dial, RIM, 2.0f, 0, PI, 0.0f, bn_hex(0x2b3a4d, 1), bn_hex(0x2b3a4d, 1));
	ring(canvas, dial, TRACK, TRACK_WIDTH, FIRST, FIRST + SWEEP, 0.0f, bn_hex(0x1a2533, 1),
		bn_hex(0x1a2533, 1));
	/* The hub stands above the plate: a shadow around it, then its own plate and edge. */
	bn_canvas_disc(canvas, x, y + 4.0f, HUB + 12.0f, 44.0f, bn_hex(0x000000, 0.75f));
	bn_canvas_disc(canvas, x, y, HUB, 0.0f, bn_hex(0x080d15, 1.0f));
	bn_canvas_disc(canvas, x, y - 12.0f, 50.0f, 90.0f, bn_light(0x1b3c61, 0.5f));
	ring(canvas, dial, HUB, 1.6f, 0, PI, 0.0f, bn_hex(0x27384c, 1), bn_hex(0x27384c, 1));
	ring(canvas, dial, HUB, 1.6f, PI, 2 * PI, 0.0f, bn_hex(0x27384c, 1), bn_hex(0x5f7fa3, 1));
}

/* A short gauge in the gap at the bottom: its track, or the level in it. */
static void draw_level(
	struct bn_canvas *canvas, const struct dial *dial, float level, struct bn_colour colour)
{
	const int pieces = 8;

	for (int i = 0; i < pieces; i++) {
		float a = PI * (0.66f - 0.32f * (float)i / (float)pieces);

		if ((float)i < level * (float)pieces)
			ring(canvas, dial, TRACK, 7.0f, a, a - 0.1f, 0.0f, colour, colour);
	}
}

static void draw_label(
	struct bn_canvas *canvas, const struct dial *dial, const char *low, const char *high)
{
	struct bn_colour c = bn_hex(0x8fa3ba, 0.9f);

	draw_level(canvas, dial, 1.0f, bn_hex(0x1a2533, 1.0f));
	bn_canvas_text(canvas, low, dial->centre[0] - 72.0f, dial->centre[1] + 152.0f, 11.0f, 0.14f,
		BN_CENTRE, c);
	bn_canvas_text(canvas, high, dial->centre[0] + 72.0f, dial->centre[1] + 152.0f, 11.0f,
		0.14f, BN_CENTRE, c);
}

void bn_dials_draw_faces(struct bn_canvas *canvas)
{
	struct bn_colour grey = bn_hex(0x8fa3ba, 1.0f), red = bn_hex(0xd8281e, 0.85f);

	draw_face(canvas, &speed_dial);
	draw_scale(canvas, &speed_dial, 1e9f);
	draw_label(canvas, &speed_dial, "E", "F");
	bn_canvas_text(canvas, "km/h", speed_dial.centre[0], speed_dial.centre[1] + 52.0f, 13.0f,
		0.13f, BN_CENTRE, grey);
	draw_face(canvas, &rpm_dial);
	ring(canvas, &rpm_dial, TRACK, TRACK_WIDTH, angle_of(&rpm_dial, RED_LINE), FIRST + SWEEP,
		0.0f, red, red);
	draw_scale(canvas, &rpm_dial, RED_LINE);
	draw_label(canvas, &rpm_dial, "C", "H");
	bn_canvas_text(canvas, "1000 rpm", rpm_dial.centre[0], rpm_dial.centre[1] + 52.0f, 11.0f,
		0.13f, BN_CENTRE, grey);
}

static void draw_needle(struct bn_canvas *canvas, const struct dial *dial, float value)
{
	static const float widths[2] = {7.0f, 2.6f}, glow[2] = {8.0f, 5.0f};
	const struct bn_colour colours[2] = {bn_hex(0xff3b1f, 1.0f), bn_hex(0xffb39c, 1.0f)};
	const struct bn_colour light[2] = {bn_light(0xff2a10, 0.20f), bn_light(0xff4a28, 0.55f)};
	float a = angle_of(dial, value), x = cosf(a), y = sinf(a);
	float from[2] = {dial->centre[0] + x * (HUB + 6.0f), dial->centre[1] + y * (HUB + 6.0f)};
	float to[2] = {dial->centre[0] + x * 190.0f, dial->centre[1] + y * 190.0f};

	bn_canvas_line(canvas, from, to, glow, 22.0f, light);
	bn_canvas_line(canvas, from, to, widths, 0.0f, colours);
}

static void draw_value(struct bn_canvas *canvas, const struct dial *dial, float value, bool red)
{
	float a = angle_of(dial, value);
	struct bn_colour low = bn_hex(dial->low, 1.0f),
			 high = bn_hex(red ? 0xff4030 : dial->high, 1.0f);

	if (a - FIRST > 0.005f) {
		ring(canvas, dial, TRACK, 8.0f, FIRST, a, 18.0f, bn_light(dial->low, 0.30f),
			bn_light(red ? 0xff4030 : dial->high, 0.45f));
		ring(canvas, dial, TRACK, TRACK_WIDTH, FIRST, a, 0.0f, low, high);
	}
	draw_needle(canvas, dial, value);
}

void bn_dials_draw(struct bn_canvas *canvas, const struct bn_vehicle *vehicle)
{
	struct bn_colour white = bn_hex(0xf4f8fc, 1.0f);
	char text[16];

	draw_value(canvas, &speed_dial, vehicle->speed_needle.value, false);
	draw_value(canvas, &rpm_dial, vehicle->rpm_needle.value,
		vehicle->rpm_needle.value >= RED_LINE);
	draw_level(canvas, &speed_dial, vehicle->fuel, bn_hex(0xa9bdd2, 0.95f));
	draw_level(canvas, &rpm_dial, 0.5f, bn_hex(0xa9bdd2, 0.95f));

	snprintf(text, sizeof(text), "%d", (int)(vehicle->speed + 0.5f));
	bn_canvas_text(canvas, text, speed_dial.centre[0], speed_dial.centre[1] + 24.0f, 58.0f,
		0.105f, BN_CENTRE, white);
	if (vehicle->gear > 0)
		snprintf(text, sizeof(text), "D%d", vehicle->gear);
	else
		snprintf(text, sizeof(text), "P");
	bn_canvas_text(canvas, text, rpm_dial.centre[0], rpm_dial.centre[1] + 24.0f, 58.0f, 0.105f,
		BN_CENTRE, white);
}
