/* Where a layer comes to lie, by hand and at the limits; test_compose.c looks at every pixel. */
#include <drm_fourcc.h>
#include <drm_mode.h>
#include <string.h>

#include "scene_fixture.h"
#include "unit.h"

#define R0 DRM_MODE_ROTATE_0
#define R90 DRM_MODE_ROTATE_90
#define R180 DRM_MODE_ROTATE_180
#define R270 DRM_MODE_ROTATE_270
#define FX DRM_MODE_REFLECT_X
#define FY DRM_MODE_REFLECT_Y
#define F(x) ((uint32_t)((x) * 65536.0))

/* A layer on an output of 100 × 80 that shows all of a picture of 40 × 20. */
struct rig {
	struct scene_fixture scene;
	struct bn_layer *layer;
	struct bn_buffer *buffer;
};

static void rig_init(struct rig *rig, bool y_invert)
{
	struct scene_random random = {1};

	scene_fixture_init(&rig->scene, 100, 80);
	scene_fixture_add(&rig->scene, &random, SCENE_PLAIN);
	rig->layer = rig->scene.layers[0];
	do {
		rig->buffer = scene_buffer(&random, DRM_FORMAT_XRGB8888, 40, 20);
		if (bn_buffer_attrs(rig->buffer)->y_invert == y_invert)
			break;
		bn_buffer_drop(rig->buffer);
	} while (true);
}

static void show(struct rig *rig, struct bn_rect source, const struct bn_place *place)
{
	struct bn_frame frame = {
		.buffer = rig->buffer,
		.src_x = (uint32_t)source.x,
		.src_y = (uint32_t)source.y,
		.src_width = source.width,
		.src_height = source.height,
	};

	bn_layer_set_place(rig->layer, place);
	bn_layer_submit(rig->layer, &frame);
	scene_fixture_show(&rig->scene);
}

static void rig_finish(struct rig *rig)
{
	bn_buffer_drop(rig->buffer);
	scene_fixture_finish(&rig->scene);
}

static void assert_same(const struct bn_geometry *seen, const struct bn_geometry *want)
{
	CU_ASSERT_EQUAL(seen->at.x, want->at.x);
	CU_ASSERT_EQUAL(seen->at.y, want->at.y);
	CU_ASSERT_EQUAL(seen->at.width, want->at.width);
	CU_ASSERT_EQUAL(seen->at.height, want->at.height);
	CU_ASSERT_EQUAL(seen->src_x, want->src_x);
	CU_ASSERT_EQUAL(seen->src_y, want->src_y);
	CU_ASSERT_EQUAL(seen->src_width, want->src_width);
	CU_ASSERT_EQUAL(seen->src_height, want->src_height);
	CU_ASSERT_EQUAL(seen->transform, want->transform);
}

struct sample {
	struct bn_rect source, crop, at;
	uint32_t transform;
	struct bn_geometry want;
	bool plain;
};

static void check(const struct sample *samples, size_t count, bool y_invert)
{
	struct rig rig;

	rig_init(&rig, y_invert);
	for (size_t i = 0; i < count; i++) {
		const struct sample *s = &samples[i];
		struct bn_place place = bn_place_default;
		struct bn_geometry seen;

		place.crop = s->crop;
		place.at = s->at;
		place.transform = s->transform;
		show(&rig, s->source, &place);
		CU_ASSERT_FATAL(bn_layer_geometry(rig.layer, &seen));
		assert_same(&seen, &s->want);
		CU_ASSERT_EQUAL(bn_geometry_is_plain(&seen), s->plain);
	}
	rig_finish(&rig);
}

#define ALL {0, 0, 40, 20}

static void test_samples(void)
{
	static const struct sample samples[] = {
		{ALL, {0}, {3, 4, 0, 0}, 0, {{3, 4, 40, 20}, 0, 0, F(40), F(20), R0}, true},
		/* a part of the picture, and of that again */
		{{10, 5, 8, 9}, {0}, {0}, R0, {{0, 0, 8, 9}, F(10), F(5), F(8), F(9), R0}, true},
		{{10, 5, 8, 9}, {2, 3, 4, 5}, {7, 7, 0, 0}, R0,
			{{7, 7, 4, 5}, F(12), F(8), F(4), F(5), R0}, true},
		/* a crop over the scanout's edges keeps its place */
		{{10, 5, 8, 9}, {-3, 6, 20, 20}, {1, 1, 0, 0}, R0,
			{{4, 1, 8, 3}, F(10), F(11), F(8), F(3), R0}, true},
		/* cut at the output's edges */
		{ALL, {0}, {-10, 70, 0, 0}, R0, {{0, 70, 30, 10}, F(10), 0, F(30), F(10), R0},
			true},
		{ALL, {0}, {95, -19, 0, 0}, R0, {{95, 0, 5, 1}, 0, F(19), F(5), F(1), R0}, true},
		/* twice as wide, half as high, cut */
		{ALL, {0}, {-7, 0, 80, 10}, R0, {{0, 0, 73, 10}, F(3.5), 0, F(36.5), F(20), R0},
			false},
		/* turned: what the output's left edge cuts off is the picture's top, and so on */
		{ALL, {0}, {-5, 0, 0, 0}, R90, {{0, 0, 15, 40}, 0, F(5), F(40), F(15), R90}, false},
		{ALL, {0}, {0, -5, 0, 0}, R90, {{0, 0, 20, 35}, 0, 0, F(35), F(20), R90}, false},
		{ALL, {0}, {-5, -6, 0, 0}, R180, {{0, 0, 35, 14}, 0, 0, F(35), F(14), R180}, false},
		{ALL, {0}, {-5, 0, 0, 0}, R270, {{0, 0, 15, 40}, 0, 0, F(40), F(15), R270}, false},
		{ALL, {0}, {0, -5, 0, 0}, R270, {{0, 0, 20, 35}, F(5), 0, F(35), F(20), R270},
			false},
		{ALL, {0}, {-5, -6, 0, 0}, R0 | FX,
			{{0, 0, 35, 14}, 0, F(6), F(35), F(14), R0 | FX}, false},
		{ALL, {0}, {-5, -6, 0, 0}, R0 | FY,
			{{0, 0, 35, 14}, F(5), 0, F(35), F(14), R0 | FY}, false},
		/* reflected, then turned */
		{ALL, {0}, {-5, 0, 0, 0}, R90 | FX,
			{{0, 0, 15, 40}, 0, F(5), F(40), F(15), R90 | FX}, false},
		{ALL, {0}, {0, -5, 0, 0}, R90 | FX,
			{{0, 0, 20, 35}, F(5), 0, F(35), F(20), R90 | FX}, false},
		/* the same with fewer bits */
		{ALL, {0}, {0}, R180 | FX | FY, {{0, 0, 40, 20}, 0, 0, F(40), F(20), R0}, true},
		{ALL, {0}, {0}, R0 | FX | FY, {{0, 0, 40, 20}, 0, 0, F(40), F(20), R180}, false},
		{ALL, {0}, {0}, R180 | FX, {{0, 0, 40, 20}, 0, 0, F(40), F(20), R0 | FY}, false},
		{ALL, {0}, {0}, R270 | FY, {{0, 0, 20, 40}, 0, 0, F(40), F(20), R90 | FX}, false},
		/* turned and scaled: 40 × 20 becomes 20 × 40, and that 30 × 80 */
		{ALL, {0}, {0, -1, 30, 80}, R90, {{0, 0, 30, 79}, 0, 0, F(39.5), F(20), R90},
			false},
		/* of several turns the first, and bits that mean nothing */
		{ALL, {0}, {0}, R90 | R180 | 1u << 20, {{0, 0, 20, 40}, 0, 0, F(40), F(20), R90},
			false},
	};

	check(samples, sizeof(samples) / sizeof(samples[0]), false);
}

static void test_upside_down(void)
{
	static const struct sample samples[] = {
		{ALL, {0}, {3, 4, 0, 0}, R0, {{3, 4, 40, 20}, 0, 0, F(40), F(20), R0 | FY}, false},
		{ALL, {0}, {0}, R0 | FY, {{0, 0, 40, 20}, 0, 0, F(40), F(20), R0}, true},
		{{1, 2, 30, 10}, {0}, {0, -4, 0, 0}, R0,
			{{0, 0, 30, 6}, F(1), F(8), F(30), F(6), R0 | FY}, false},
		{ALL, {0}, {0}, R180, {{0, 0, 40, 20}, 0, 0, F(40), F(20), R0 | FX}, false},
		{ALL, {0}, {0}, R90, {{0, 0, 20, 40}, 0, 0, F(40), F(20), R90 | FY}, false},
	};

	check(samples, sizeof(samples) / sizeof(samples[0]), true);
}

static void assert_unseen(struct rig *rig, const struct bn_place *place, const char *why)
{
	struct bn_rect all = ALL;
	struct bn_geometry geometry;
	struct bn_layer_shown shown;

	show(rig, all, place);
	CU_ASSERT(!bn_layer_geometry(rig->layer, &geometry));
	bn_layer_shown(rig->layer, &shown);
	CU_ASSERT_EQUAL(shown.how, BN_SHOWN_NOT);
	CU_ASSERT_STRING_EQUAL(shown.why, why);
}

static void test_unseen(void)
{
	static const struct bn_rect outside[] = {{-40, 0, 0, 0}, {100, 0, 0, 0}, {0, -20, 0, 0},
		{0, 80, 0, 0}, {INT32_MAX, INT32_MIN, 0, 0}, {INT32_MIN, 0, UINT32_MAX, 1}};
	static const struct bn_rect crops[] = {{40, 0, 10, 10}, {-10, 0, 10, 10}, {0, 20, 1, 1},
		{INT32_MAX, INT32_MAX, 1, 1}, {INT32_MIN, INT32_MIN, UINT32_MAX, UINT32_MAX}};
	struct bn_place place = bn_place_default;
	struct bn_layer_shown shown;
	struct bn_rect none = {0, 0, 0, 20}, all = ALL;
	struct rig rig;

	rig_init(&rig, false);
	bn_layer_shown(rig.layer, &shown);
	CU_ASSERT_EQUAL(shown.how, BN_SHOWN_NOT);
	CU_ASSERT_STRING_EQUAL(shown.why, "no frame yet, or its scanout is off");
	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
		place.at = outside[i];
		assert_unseen(&rig, &place, "outside of the output");
	}
	place.at = bn_place_default.at;
	for (size_t i = 0; i < sizeof(crops) / sizeof(crops[0]); i++) {
		place.crop = crops[i];
		assert_unseen(&rig, &place, "outside of the output");
	}
	place = bn_place_default;
	place.hidden = true;
	assert_unseen(&rig, &place, "hidden");
	place = bn_place_default;
	place.alpha = 0;
	assert_unseen(&rig, &place, "its alpha is 0");
	place = bn_place_default;
	show(&rig, all, &place);
	bn_layer_shown(rig.layer, &shown);
	CU_ASSERT_EQUAL(shown.how, BN_SHOWN_COMPOSED);
	CU_ASSERT_STRING_EQUAL(shown.why, "this output has no planes");
	show(&rig, none, &place);
	bn_layer_shown(rig.layer, &shown);
	CU_ASSERT_EQUAL(shown.how, BN_SHOWN_NOT);
	rig_finish(&rig);
}

static void test_cursor(void)
{
	static const uint32_t pixels[BN_CURSOR_SIZE * BN_CURSOR_SIZE];
	struct bn_place place = bn_place_default;
	struct bn_rect all = ALL;
	struct bn_geometry seen;
	struct rig rig;

	rig_init(&rig, true); /* which is the picture's affair alone */
	place.at = (struct bn_rect){10, 10, 0, 0};
	CU_ASSERT(!bn_cursor_geometry(rig.layer, &seen));
	show(&rig, all, &place);
	bn_layer_set_cursor(rig.layer, pixels, 4, 2);
	bn_layer_move_cursor(rig.layer, 6, 0);
	CU_ASSERT(bn_cursor_geometry(rig.layer, &seen));
	assert_same(&seen, &(struct bn_geometry){{12, 10, 38, 20}, 0, F(2), F(38), F(20), R0});
	CU_ASSERT(bn_geometry_is_plain(&seen));
	/* cut by the crop, as its layer is */
	place.crop = (struct bn_rect){10, 5, 10, 10};
	place.transform = R180;
	show(&rig, all, &place);
	CU_ASSERT(bn_cursor_geometry(rig.layer, &seen));
	assert_same(&seen, &(struct bn_geometry){{10, 10, 10, 10}, F(8), F(7), F(10), F(10), R180});
	/* scaled with it */
	place.at = (struct bn_rect){0, 0, 20, 20};
	place.transform = 0;
	show(&rig, all, &place);
	bn_layer_move_cursor(rig.layer, 18, 9);
	CU_ASSERT(bn_cursor_geometry(rig.layer, &seen));
	assert_same(&seen, &(struct bn_geometry){{8, 4, 12, 16}, 0, 0, F(6), F(8), R0});
	bn_layer_move_cursor(rig.layer, 24, 9);
	CU_ASSERT(!bn_cursor_geometry(rig.layer, &seen));
	bn_layer_move_cursor(rig.layer, INT32_MIN, INT32_MAX);
	CU_ASSERT(!bn_cursor_geometry(rig.layer, &seen));
	rig_finish(&rig);
}

/* Whatever a place says: nothing outside of the output, nothing outside of the buffer. */
static void test_limits(void)
{
	static const int32_t positions[] = {
		INT32_MIN, INT32_MIN + 1, -(1 << 20), -100, -1, 0, 1, 39, 99, 1 << 20, INT32_MAX};
	static const uint32_t sizes[] = {0, 1, 3, 40, 101, 1 << 20, UINT32_MAX};
	struct scene_random random = {7};
	struct rig rig;
	unsigned seen = 0;

	rig_init(&rig, true);
	for (unsigned i = 0; i < 20000; i++) {
		struct bn_place place = bn_place_default;
		struct bn_rect all = ALL;
		struct bn_geometry g;

		place.crop.x = positions[scene_random_below(&random, 11)];
		place.crop.y = positions[scene_random_below(&random, 11)];
		place.crop.width = sizes[scene_random_below(&random, 7)];
		place.crop.height = sizes[scene_random_below(&random, 7)];
		place.at.x = positions[scene_random_below(&random, 11)];
		place.at.y = positions[scene_random_below(&random, 11)];
		place.at.width = sizes[scene_random_below(&random, 7)];
		place.at.height = sizes[scene_random_below(&random, 7)];
		place.transform = (uint32_t)scene_random_next(&random);
		show(&rig, all, &place);
		if (!bn_layer_geometry(rig.layer, &g))
			continue;
		seen++;
		CU_ASSERT_FATAL(g.at.x >= 0 && g.at.y >= 0);
		CU_ASSERT_FATAL(g.at.width >= 1 && g.at.width <= 100u - (uint32_t)g.at.x);
		CU_ASSERT_FATAL(g.at.height >= 1 && g.at.height <= 80u - (uint32_t)g.at.y);
		CU_ASSERT_FATAL(g.src_x <= F(40) && g.src_width <= F(40) - g.src_x);
		CU_ASSERT_FATAL(g.src_y <= F(20) && g.src_height <= F(20) - g.src_y);
		CU_ASSERT_FATAL(g.src_width > 0 && g.src_height > 0);
	}
	CU_ASSERT(seen > 1000);
	rig_finish(&rig);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"samples", test_samples},
		{"pictures stored upside down", test_upside_down},
		{"what cannot be seen, and why", test_unseen},
		{"cursors", test_cursor},
		{"limits", test_limits},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("geometry", tests);
}
