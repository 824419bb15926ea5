/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "parts.h"

/* A pinhole camera above the lane: a point z metres ahead and x metres aside is seen at … */
#define EYE_X 640.0f
#define HORIZON 158.0f
#define NEAR 4.0f
#define FAR 90.0f
#define HEIGHT_SCALE 860.0f
#define WIDTH_SCALE 214.0f
#define LANE 1.75f

static float screen_y(float z)
{
	return HORIZON + HEIGHT_SCALE / z;
}

static float screen_x(float x, float z)
{
	return EYE_X + x * WIDTH_SCALE / z;
}

/* Lines grow faint towards the horizon and towards the lower edge. */
static float visible(float z)
{
	float far = fminf(1.0f, (FAR - z) / 60.0f), near = fminf(1.0f, (z - NEAR) / 1.0f);

	return fmaxf(0.0f, far * near);
}

static void lane_line(
	struct bn_canvas *canvas, float x, float z0, float z1, unsigned rgb, float strength)
{
	float from[2] = {screen_x(x, z0), screen_y(z0)}, to[2] = {screen_x(x, z1), screen_y(z1)};
	float widths[2] = {fmaxf(1.0f, 26.0f / z0), fmaxf(1.0f, 26.0f / z1)};
	struct bn_colour colours[2] = {
		bn_hex(rgb, strength * visible(z0)), bn_hex(rgb, strength * visible(z1))};

	bn_canvas_line(canvas, from, to, widths, 0.0f, colours);
}

static void ground(struct bn_canvas *canvas, float left, float right, unsigned rgb, float strength)
{
	static const float steps[] = {NEAR, 5, 6.5f, 9, 14, 24, 45, FAR};

	for (int i = 0; i < 7; i++) {
		float z0 = steps[i], z1 = steps[i + 1];
		const float points[8] = {screen_x(left, z0), screen_y(z0), screen_x(right, z0),
			screen_y(z0), screen_x(left, z1), screen_y(z1), screen_x(right, z1),
			screen_y(z1)};
		const struct bn_colour colours[2] = {
			bn_hex(rgb, strength * visible(z0)), bn_hex(rgb, strength * visible(z1))};

		bn_canvas_quad(canvas, points, colours);
	}
}

void bn_road_draw_ground(struct bn_canvas *canvas)
{
	static const float edges[] = {NEAR, 5, 6.5f, 9, 14, 24, 45, FAR};

	bn_canvas_disc(canvas, EYE_X, HORIZON + 6.0f, 8.0f, 190.0f, bn_light(0x1d4a78, 0.55f));
	ground(canvas, -3.0f * LANE, 3.0f * LANE, 0x141d29, 0.85f);
	ground(canvas, -LANE, LANE, 0x1a62c8, 0.34f);
	for (int i = 0; i < 7; i++) {
		lane_line(canvas, -3.0f * LANE, edges[i], edges[i + 1], 0x9db4cc, 0.7f);
		lane_line(canvas, 3.0f * LANE, edges[i], edges[i + 1], 0x9db4cc, 0.7f);
	}
}

static void draw_dashes(struct bn_canvas *canvas, double distance)
{
	const float period = 9.0f, length = 4.0f;
	float phase = (float)fmod(distance, period);

	for (float z = NEAR - phase; z < FAR - length; z += period) {
		float z0 = fmaxf(z, NEAR), z1 = z + length;

		if (z1 <= NEAR + 0.1f)
			continue;
		lane_line(canvas, -LANE, z0, z1, 0xe9f1fa, 1.0f);
		lane_line(canvas, LANE, z0, z1, 0xe9f1fa, 1.0f);
	}
}

/* A car from behind, drawn in metres around the point where it stands. */
static void car_box(struct bn_canvas *canvas, float z, const float rect[4], float radius,
	const unsigned colours[2])
{
	float unit = WIDTH_SCALE / z, y = screen_y(z);
	const float r[4] = {EYE_X + rect[0] * unit, y - (rect[1] + rect[3]) * unit, rect[2] * unit,
		rect[3] * unit};
	const struct bn_colour c[2] = {bn_hex(colours[0], 1.0f), bn_hex(colours[1], 1.0f)};

	bn_canvas_box(canvas, r, radius * unit, 0.0f, c);
}

static void draw_car(struct bn_canvas *canvas, float z, bool braking)
{
	static const unsigned paint[2] = {0x8fa6bf, 0x4a5b70}, glass[2] = {0x0c1219, 0x1b2836};
	static const unsigned dark[2] = {0x232d39, 0x10161d}, lamp[2] = {0xff5a4a, 0xd01010};
	float unit = WIDTH_SCALE / z, y = screen_y(z);
	float glow = braking ? 0.95f : 0.45f;
	const float shadow[4] = {EYE_X - 1.05f * unit, y - 0.12f * unit, 2.1f * unit, 0.28f * unit};
	const struct bn_colour black[2] = {bn_hex(0x000000, 0.85f), bn_hex(0x000000, 0.85f)};

	bn_canvas_box(canvas, shadow, 0.14f * unit, 0.3f * unit, black);
	car_box(canvas, z, (const float[]){-0.86f, 0.02f, 0.26f, 0.5f}, 0.08f, dark);
	car_box(canvas, z, (const float[]){0.60f, 0.02f, 0.26f, 0.5f}, 0.08f, dark);
	car_box(canvas, z, (const float[]){-0.68f, 0.70f, 1.36f, 0.78f}, 0.26f, paint);
	car_box(canvas, z, (const float[]){-0.56f, 0.86f, 1.12f, 0.50f}, 0.16f, glass);
	car_box(canvas, z, (const float[]){-0.94f, 0.24f, 1.88f, 0.72f}, 0.22f, paint);
	car_box(canvas, z, (const float[]){-0.90f, 0.24f, 1.80f, 0.22f}, 0.10f, dark);
	car_box(canvas, z, (const float[]){-0.88f, 0.62f, 0.46f, 0.15f}, 0.06f, lamp);
	car_box(canvas, z, (const float[]){0.42f, 0.62f, 0.46f, 0.15f}, 0.06f, lamp);
	for (int side = -1; side <= 1; side += 2)
		bn_canvas_disc(canvas, EYE_X + (float)side * 0.66f * unit, y - 0.70f * unit,
			0.12f * unit, 0.75f * unit, bn_light(0xff2a18, glow));
}

static void draw_limit(struct bn_canvas *canvas, double distance)
{
	const char *limit = fmod(distance, 900.0) < 450.0 ? "130" : "100";
	const float centre[2] = {780.0f, 150.0f}, angles[2] = {0.0f, 2.0f * (float)M_PI};
	const struct bn_colour red[2] = {bn_hex(0xd7261c, 1.0f), bn_hex(0xd7261c, 1.0f)};

	bn_canvas_disc(canvas, centre[0], centre[1], 20.0f, 0.0f, bn_hex(0xf2f5f8, 1.0f));
	bn_canvas_ring(canvas, centre, 18.0f, 4.0f, angles, 0.0f, red);
	bn_canvas_text(canvas, limit, centre[0], centre[1] + 5.5f, 11.0f, 0.16f, BN_CENTRE,
		bn_hex(0x10151c, 1.0f));
}

void bn_road_draw(struct bn_canvas *canvas, const struct bn_vehicle *vehicle)
{
	float gap = 8.2f + 2.2f * sinf((float)vehicle->time * 0.21f);

	draw_dashes(canvas, vehicle->distance);
	draw_car(canvas, gap, cosf((float)vehicle->time * 0.21f) < -0.3f);
	draw_limit(canvas, vehicle->distance);
}
