/* The Wayland output with a compositor that does as it is told: what that paints against the reference renderer, on
 * random scenes, with and without what compositors may offer, at several scales; pointer and touch. */
#include <drm_fourcc.h>
#include <linux/input-event-codes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "fake_host.h"
#include "reference.h"
#include "scene_fixture.h"
#include "unit.h"

#define WIDTH 60
#define HEIGHT 48
#define EVENTS 32

struct rig {
	struct fake_host *host;
	struct scene_fixture scene;
	struct bn_input_event events[EVENTS];
	unsigned event_count;
	unsigned shown;
};

/* Until both sides have nothing to say any more. */
static void settle(struct rig *rig)
{
	for (int i = 0; i < 12; i++) {
		rig->scene.now += BN_NS_PER_MS;
		wl_event_loop_dispatch(rig->scene.loop, 0);
		fake_host_dispatch(rig->host);
	}
}

static void count_shown(void *data, uint64_t when_ns)
{
	++*(unsigned *)data;
}

static void keep_event(void *data, const struct bn_input_event *event)
{
	struct rig *rig = data;

	CU_ASSERT_FATAL(rig->event_count < EVENTS);
	rig->events[rig->event_count++] = *event;
}

static void rig_init(struct rig *rig, const struct fake_host_config *config)
{
	struct bn_output_config output = {
		.name = "test",
		.kind = BN_OUTPUT_WAYLAND,
		.width = WIDTH,
		.height = HEIGHT,
		.refresh_mhz = 60000,
	};

	memset(rig, 0, sizeof(*rig));
	rig->host = fake_host_create(config);
	scene_fixture_init_output(&rig->scene, &output);
	bn_output_set_observer(rig->scene.output, count_shown, &rig->shown);
	bn_output_set_input_listener(rig->scene.output, keep_event, rig);
	settle(rig);
}

static void rig_finish(struct rig *rig)
{
	scene_fixture_finish(&rig->scene);
	fake_host_destroy(rig->host);
}

/* left, top: of the output on the display. */
static unsigned distance_at(struct rig *rig, uint32_t left, uint32_t top)
{
	static uint32_t want[WIDTH * HEIGHT], seen[4 * WIDTH * HEIGHT], part[WIDTH * HEIGHT];
	uint32_t width = left + WIDTH, height = top + HEIGHT;

	CU_ASSERT_FATAL(width * height <= 4 * WIDTH * HEIGHT);
	CU_ASSERT_FATAL(reference_render_output(rig->scene.output, want));
	fake_host_paint(rig->host, width, height, seen);
	for (uint32_t i = 0; i < WIDTH * HEIGHT; i++)
		part[i] = seen[(top + i / WIDTH) * width + left + i % WIDTH];
	return reference_distance(part, want, WIDTH * HEIGHT, NULL);
}

/* Another place and height for some. */
static void rearrange(struct rig *rig, struct scene_random *random)
{
	for (unsigned i = 0; i < rig->scene.count; i++) {
		struct bn_place place = *bn_layer_place(rig->scene.layers[i]);

		if (scene_random_below(random, 2))
			continue;
		place.at.x += scene_random_between(random, -9, 9);
		place.z = scene_random_between(random, -3, 3);
		place.hidden = scene_random_below(random, 4) == 0;
		place.alpha = scene_random_below(random, 2) ? BN_ALPHA_OPAQUE : 0x5678;
		bn_layer_set_place(rig->scene.layers[i], &place);
		bn_layer_move_cursor(rig->scene.layers[i], scene_random_between(random, -9, 50),
			scene_random_between(random, -9, 40));
	}
}

static void run_scene(uint64_t seed, const struct fake_host_config *config, unsigned kinds)
{
	struct scene_random random = {seed};
	struct rig rig;
	unsigned layers = 1 + scene_random_below(&random, 5), max = 0, shown;

	rig_init(&rig, config);
	for (unsigned i = 0; i < layers; i++)
		scene_fixture_add(&rig.scene, &random, kinds);
	settle(&rig);
	CU_ASSERT(rig.shown > 0);
	for (unsigned i = 0; i < 4; i++) {
		unsigned distance = distance_at(&rig, 0, 0);

		max = distance > max ? distance : max;
		if (i == 2) {
			bn_layer_destroy(rig.scene.layers[--rig.scene.count]);
		} else {
			rearrange(&rig, &random);
		}
		settle(&rig);
	}
	shown = rig.shown;
	settle(&rig);
	CU_ASSERT_EQUAL(rig.shown, shown); /* a still picture is told of once */
	if (max > (kinds & SCENE_YUV ? 1 : 0))
		printf("[seed %llu: %u] ", (unsigned long long)seed, max);
	CU_ASSERT(max <= (kinds & SCENE_YUV ? 1 : 0));
	rig_finish(&rig);
}

static void run_scenes(uint64_t seed, unsigned count, const struct fake_host_config *config)
{
	for (unsigned i = 0; i < count; i++)
		run_scene(seed + i, config,
			SCENE_TURNED | SCENE_MIXED | SCENE_CURSORS |
				(scene_random_below(&(struct scene_random){seed + i}, 3)
						? 0
						: SCENE_YUV));
}

static void test_all_offered(void)
{
	run_scenes(1000, 200, &(struct fake_host_config){.viewporter = true, .alpha = true});
}

static void test_no_alpha(void)
{
	run_scenes(2000, 100, &(struct fake_host_config){.viewporter = true});
}

static void test_bare(void)
{
	run_scenes(3000, 100, &(struct fake_host_config){0});
}

static void test_scales(void)
{
	static const uint32_t scales[] = {120, 150, 160, 180, 210, 240, 300, 100, 360};

	for (unsigned i = 0; i < sizeof(scales) / sizeof(scales[0]); i++)
		run_scenes(4000 + 100 * i, 30,
			&(struct fake_host_config){
				.viewporter = true, .alpha = true, .scale = scales[i]});
}

/* Who is shown how, and that it is said why. */
static void test_shown(void)
{
	struct fake_host_config config = {.viewporter = true, .scale = 180};
	struct scene_random random = {1};
	struct bn_place place = bn_place_default;
	struct bn_frame frame = {.src_width = UINT32_MAX, .src_height = UINT32_MAX};
	struct bn_layer_shown shown;
	struct rig rig;

	rig_init(&rig, &config);
	scene_fixture_add(&rig.scene, &random, SCENE_PLAIN);
	frame.buffer = scene_buffer(&random, DRM_FORMAT_XRGB8888, 20, 10);
	bn_layer_submit(rig.scene.layers[0], &frame);
	bn_buffer_drop(frame.buffer);
	bn_layer_shown(rig.scene.layers[0], &shown);
	CU_ASSERT_EQUAL(shown.how, BN_SHOWN_NOT);
	place.at = (struct bn_rect){3, 6, 30, 15};
	bn_layer_set_place(rig.scene.layers[0], &place);
	settle(&rig);
	bn_layer_shown(rig.scene.layers[0], &shown);
	CU_ASSERT_EQUAL(shown.how, BN_SHOWN_PLANE);
	CU_ASSERT_STRING_EQUAL(shown.why, "");
	place.at.x = 4;
	bn_layer_set_place(rig.scene.layers[0], &place);
	settle(&rig);
	bn_layer_shown(rig.scene.layers[0], &shown);
	CU_ASSERT_EQUAL(shown.how, BN_SHOWN_COMPOSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(shown.why, "fractional scale"));
	place.alpha = 5000;
	bn_layer_set_place(rig.scene.layers[0], &place);
	settle(&rig);
	bn_layer_shown(rig.scene.layers[0], &shown);
	CU_ASSERT_EQUAL(shown.how, BN_SHOWN_COMPOSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(shown.why, "alpha"));
	rig_finish(&rig);
}

/* The window is as many units as its pixels need, follows the scale, and its picture sits in the middle. */
static void test_window(void)
{
	struct fake_host_config config = {.viewporter = true, .alpha = true, .scale = 120};
	struct scene_random random = {5};
	uint32_t width, height;
	struct rig rig;

	rig_init(&rig, &config);
	scene_fixture_add(&rig.scene, &random, SCENE_TURNED);
	settle(&rig);
	fake_host_window(rig.host, &width, &height);
	CU_ASSERT(width == WIDTH && height == HEIGHT);
	fake_host_set_scale(rig.host, 180);
	settle(&rig);
	fake_host_window(rig.host, &width, &height);
	CU_ASSERT(width == 40 && height == 32);
	CU_ASSERT_EQUAL(distance_at(&rig, 0, 0), 0);
	fake_host_set_scale(rig.host, 130); /* 55.4 × 44.3 */
	settle(&rig);
	fake_host_window(rig.host, &width, &height);
	CU_ASSERT(width == 56 && height == 45);
	CU_ASSERT_EQUAL(distance_at(&rig, 0, 0), 0);
	fake_host_set_scale(rig.host, 0); /* nonsense */
	settle(&rig);
	fake_host_window(rig.host, &width, &height);
	CU_ASSERT_EQUAL(width, 56);
	fake_host_set_scale(rig.host, 240);
	fake_host_resize(rig.host, 40, 30);
	settle(&rig);
	fake_host_window(rig.host, &width, &height);
	CU_ASSERT(width == 40 && height == 30);
	CU_ASSERT_EQUAL(distance_at(&rig, 10, 6), 0); /* half of 40 - 30 and of 30 - 24 units */
	rig_finish(&rig);
}

static void assert_event(
	const struct bn_input_event *event, enum bn_input_kind kind, double x, double y)
{
	CU_ASSERT_EQUAL(event->kind, kind);
	CU_ASSERT_DOUBLE_EQUAL(event->x, x, 0.01);
	CU_ASSERT_DOUBLE_EQUAL(event->y, y, 0.01);
}

static void test_input(void)
{
	struct fake_host_config config = {
		.viewporter = true, .alpha = true, .scale = 180, .input = true};
	struct scene_random random = {5};
	struct rig rig;

	rig_init(&rig, &config);
	scene_fixture_add(&rig.scene, &random, SCENE_PLAIN);
	fake_host_resize(rig.host, 60, 42); /* 10 and 5 units around the picture */
	settle(&rig);
	fake_host_enter(rig.host, 10, 5);
	fake_host_motion(rig.host, 30.5, 25);
	fake_host_button(rig.host, BTN_LEFT, true);
	fake_host_button(rig.host, BTN_LEFT, false);
	fake_host_axis(rig.host, true, -10);
	fake_host_leave(rig.host);
	fake_host_touch(rig.host, 2, 0, 0);
	fake_host_touch_motion(rig.host, 2, 49.5, 36.5);
	fake_host_touch_up(rig.host, 2);
	fake_host_touch_cancel(rig.host);
	settle(&rig);
	CU_ASSERT_EQUAL_FATAL(rig.event_count, 10);
	assert_event(&rig.events[0], BN_INPUT_ENTER, 0, 0);
	assert_event(&rig.events[1], BN_INPUT_MOTION, 30.75, 30);
	CU_ASSERT_EQUAL(rig.events[1].time_ms, 7);
	CU_ASSERT(rig.events[2].kind == BN_INPUT_BUTTON && rig.events[2].pressed);
	CU_ASSERT_EQUAL(rig.events[2].button, BTN_LEFT);
	CU_ASSERT(rig.events[3].kind == BN_INPUT_BUTTON && !rig.events[3].pressed);
	CU_ASSERT(rig.events[4].kind == BN_INPUT_AXIS && rig.events[4].horizontal);
	CU_ASSERT_DOUBLE_EQUAL(rig.events[4].amount, -15, 0.01);
	CU_ASSERT_EQUAL(rig.events[5].kind, BN_INPUT_LEAVE);
	assert_event(&rig.events[6], BN_INPUT_TOUCH_DOWN, -15, -7.5);
	assert_event(&rig.events[7], BN_INPUT_TOUCH_MOTION, 59.25, 47.25);
	CU_ASSERT(rig.events[8].kind == BN_INPUT_TOUCH_UP && rig.events[8].touch == 2);
	CU_ASSERT_EQUAL(rig.events[9].kind, BN_INPUT_TOUCH_CANCEL);
	bn_output_set_input_listener(rig.scene.output, NULL, NULL);
	fake_host_motion(rig.host, 1, 1);
	settle(&rig);
	CU_ASSERT_EQUAL(rig.event_count, 10);
	rig_finish(&rig);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"a compositor that has everything", test_all_offered},
		{"one without alpha for layers", test_no_alpha},
		{"one that can do nothing", test_bare},
		{"fractional scales", test_scales},
		{"how layers are shown", test_shown},
		{"the window", test_window},
		{"pointer and touch", test_input},
		CU_TEST_INFO_NULL,
	};

	bn_log_init(BN_LOG_ERROR, "test_wayland");
	return bn_unit_main("wayland", tests);
}
