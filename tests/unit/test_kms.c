/* Outputs on display controllers that are only data: who gets which plane, and what is composed. */
#include <drm_fourcc.h>
#include <drm_mode.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/fd.h"
#include "kms_fixture.h"
#include "reference.h"

static void random_scenes(const struct mock_hw *hw, unsigned count, bool scale)
{
	unsigned most = 0, total = 0, planes = 0;

	kms_open_rig(hw, 1);
	for (unsigned i = 0; i < count; i++) {
		struct scene_random random = {i};
		unsigned before = mock.tests, own = (unsigned)kms_rig.output[0]->counters.tests;

		kms_build_scene(&random, 0, scale);
		kms_settle();
		kms_check_invariants(0, i);
		own = (unsigned)kms_rig.output[0]->counters.tests - own;
		CU_ASSERT(own <= 2 * BN_KMS_TESTS_MAX); /* the scene, and it without layers */
		most = own > most ? own : most;
		total += mock.tests - before;
		planes += mock_kms_planes_on(0);
		kms_remove_layers();
	}
	CU_ASSERT_EQUAL(kms_rig.output[0]->counters.failed, 0);
	CU_ASSERT_EQUAL(mock.most_pending, 0);
	printf("(%.1f planes, %.1f tests a scene, %u of ours at most) ", (double)planes / count,
		(double)total / count, most);
	kms_close_rig();
}

static void test_imx8(void)
{
	random_scenes(&mock_imx8, 40, true);
}

static void test_rk3588(void)
{
	random_scenes(&mock_rk3588, 40, true);
}

static void test_dpu(void)
{
	random_scenes(&mock_dpu, 40, true);
}

/* ---- rights ---- */

/* Whatever the others do, and wherever the safety layer lies in the stack. */
static void attack(const struct mock_hw *hw)
{
	for (unsigned seed = 0; seed < 6; seed++) {
		struct scene_random random = {1000 + seed};
		struct bn_place place = bn_place_default;
		struct kms_shown *safety;

		kms_open_rig(hw, 1);
		place.at = (struct bn_rect){500, 380, 0, 0};
		place.role = BN_ROLE_SAFETY;
		place.z = scene_random_between(&random, -3, 3);
		safety = kms_add_layer(0, 0xff0000, &place, 100, 80);
		for (unsigned i = 0; i < 16; i++) {
			uint32_t width, height;

			place = kms_random_place(&random, &width, &height, true);
			/* Above it only beside it. */
			if (place.z >= safety->layer->place.z) {
				place.at = (struct bn_rect){
					(int32_t)i * 20, (int32_t)i * 10, 150, 100};
				width = 150;
				height = 100;
			}
			kms_add_layer(0, 0x00ff00 + i, &place, width, height);
			bn_layer_set_owner(
				kms_rig.layers[kms_rig.count - 1].layer, "other", i & 1, 4);
			kms_settle();
			CU_ASSERT_EQUAL(kms_shown_how(safety), BN_SHOWN_PLANE);
			kms_check_invariants(0, seed);
		}
		kms_close_rig();
	}
}

static void test_safety(void)
{
	attack(&mock_imx8);
	attack(&mock_rk3588);
	attack(&mock_dpu);
}

static void test_reservation(void)
{
	struct bn_place place = bn_place_default;
	struct kms_shown *own;

	kms_open_rig(&mock_dpu, 1);
	place.at = (struct bn_rect){10, 10, 0, 0};
	own = kms_add_layer(0, 0x0000ff, &place, 60, 60);
	bn_layer_set_owner(own->layer, "own", 7, 1);
	for (int32_t i = 0; i < 15; i++) {
		place.at = (struct bn_rect){(i % 5) * 120, 80 + (i / 5) * 100, 0, 0};
		place.z = i;
		kms_add_layer(0, 0x00ff00 + (uint32_t)i, &place, 100, 80);
		kms_settle();
		CU_ASSERT_EQUAL(kms_shown_how(own), BN_SHOWN_PLANE);
		kms_check_invariants(0, (uint64_t)i);
	}
	kms_close_rig();
}

/* A safety layer that fills the display at the bottom, and more on top of it than there are planes: what is composed lies
 * above it. */
static void test_composed_above(void)
{
	struct bn_place place = bn_place_default;
	struct kms_shown *safety;

	kms_open_rig(&mock_dpu, 1);
	place.role = BN_ROLE_SAFETY;
	safety = kms_add_layer(0, 0x303030, &place, WIDTH, HEIGHT);
	for (int32_t i = 0; i < 12; i++) {
		place = bn_place_default;
		place.z = 1;
		place.at = (struct bn_rect){20 + i * 30, 20 + i * 20, 0, 0};
		kms_add_layer(0, 0x00ff00 + (uint32_t)i * 16, &place, 100, 80);
	}
	kms_settle();
	CU_ASSERT_EQUAL(kms_shown_how(safety), BN_SHOWN_PLANE);
	CU_ASSERT_EQUAL(mock_kms_composed_on(0), 1);
	kms_check_invariants(0, 0);
	kms_close_rig();
}

static bool is_covered(const struct kms_shown *shown)
{
	struct bn_layer_shown out;

	bn_layer_shown(shown->layer, &out);
	return out.how == BN_SHOWN_NOT && strstr(out.why, "opaque layers above");
}

/* Four layers in a row at the bottom, the last above the place at which the two halves of the display meet. */
static void add_row(struct kms_shown **row)
{
	struct bn_place place = bn_place_default;

	for (int32_t i = 0; i < 4; i++) {
		place.at.x = 20 + 90 * i;
		place.at.y = 100;
		row[i] = kms_add_layer(0, 0x404040 * (uint32_t)i + 255, &place, 80, 60);
	}
}

static void set_place(struct kms_shown *shown, const struct bn_place *place, unsigned covered)
{
	bn_layer_set_place(shown->layer, place);
	kms_settle();
	kms_check_invariants(0, covered);
	for (unsigned i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(is_covered(&kms_rig.layers[i]), i < covered);
}

/* What opaque layers cover has no plane, and is composed by nobody; its guest goes on. */
static void covered(const struct mock_hw *hw)
{
	struct bn_place place = bn_place_default;
	struct kms_shown *row[4], *half, *other;
	unsigned composed;

	kms_open_rig(hw, 1);
	add_row(row);
	place.z = 1;
	half = kms_add_layer(0, 0x00a0ff, &place, WIDTH / 2, HEIGHT);
	set_place(half, &place, 3);
	place.at.x = WIDTH / 2;
	other = kms_add_layer(0, 0x0000a0, &place, WIDTH / 2, HEIGHT);
	set_place(other, &place, 4);
	composed = mock_kms_composed_on(0);
	CU_ASSERT_EQUAL(mock_kms_planes_on(0), 2 + composed);
	for (unsigned i = 0; i < 8; i++) {
		kms_submit(row[1], 0x808000 + i, 80, 60);
		kms_pass_refresh();
	}
	CU_ASSERT_EQUAL(kms_unanswered(row[1]), 0);
	CU_ASSERT_EQUAL(row[1]->presented, 9);
	/* Elsewhere, hidden itself, or below them: they are back, with what they drew meanwhile. */
	place.hidden = true;
	set_place(other, &place, 3);
	place.hidden = false;
	place.at = (struct bn_rect){-100, 0, 0, 0};
	set_place(half, &place, 2);
	place.z = -1;
	set_place(half, &place, 0);
	CU_ASSERT_EQUAL(kms_rig.output[0]->counters.failed, 0);
	kms_close_rig();
}

static void test_covered(void)
{
	covered(&mock_imx8);
	covered(&mock_rk3588);
	covered(&mock_dpu);
}

/* Two displays share their planes: neither takes what the other shows. */
static void test_two_outputs(void)
{
	kms_open_rig(&mock_rk3588, 2);
	for (unsigned i = 0; i < 20; i++) {
		struct scene_random random = {5000 + i};

		for (unsigned k = 0; k < 8; k++) {
			uint32_t width, height;
			struct bn_place place = kms_random_place(&random, &width, &height, true);

			kms_add_layer(k & 1, (uint32_t)scene_random_next(&random) & 0xffffff,
				&place, width, height);
		}
		kms_settle();
		kms_settle();
		kms_check_invariants(0, i);
		kms_check_invariants(1, i);
		kms_remove_layers();
	}
	CU_ASSERT_EQUAL(mock.most_pending, 0);
	kms_close_rig();
}

/* ---- no tests in a steady scene ---- */

static void test_steady(void)
{
	struct bn_buffer *buffers[2] = {
		kms_make_buffer(0x112233, 100, 80), kms_make_buffer(0x332211, 100, 80)};
	struct bn_output_status status;
	unsigned tests, commits;

	kms_open_rig(&mock_dpu, 1);
	for (int32_t i = 0; i < 12; i++) {
		struct bn_place place = bn_place_default;

		place.at = (struct bn_rect){i * 40, i * 30, i == 3 ? 200 : 0, i == 3 ? 90 : 0};
		kms_add_layer(0, 0x101010 * (uint32_t)i, &place, 100, 80);
	}
	kms_settle();
	tests = mock.tests;
	commits = mock.commits;
	for (unsigned i = 0; i < 300; i++) {
		for (unsigned k = 0; k < 12; k++)
			kms_submit_buffer(&kms_rig.layers[k], buffers[i & 1]);
		kms_pass_refresh();
	}
	CU_ASSERT_EQUAL(mock.tests, tests);
	CU_ASSERT_EQUAL(mock.commits, commits + 300);
	CU_ASSERT_EQUAL(kms_rig.layers[0].presented, 301);
	kms_check_invariants(0, 0);
	bn_output_status(kms_rig.output[0], &status);
	printf("(12 layers: commit p50 %.0f µs, p99 %.0f µs) ",
		(double)bn_histogram_quantile(&status.commit, 0.5) / 1e3,
		(double)bn_histogram_quantile(&status.commit, 0.99) / 1e3);
	kms_close_rig();
	for (unsigned i = 0; i < 2; i++)
		bn_buffer_drop(buffers[i]);
}

/* ---- when ---- */

/* Guests that draw for so long after each flip: one refresh each, whatever the phase between them. */
static void pace(uint64_t draw_a, uint64_t draw_b)
{
	uint64_t draw[2] = {draw_a, draw_b}, due[2] = {0, 0};
	struct bn_place place = bn_place_default;

	kms_open_rig(&mock_dpu, 1);
	for (int32_t i = 0; i < 2; i++) {
		place.at.x = 200 * i;
		kms_add_layer(0, 0x808080, &place, 100, 100);
	}
	for (unsigned step = 0; step < 33 * 60; step++) {
		for (unsigned i = 0; i < 2; i++) {
			struct kms_shown *s = &kms_rig.layers[i];

			if (s->answered == s->submitted && due[i] == 0)
				due[i] = s->last_ns + draw[i];
			if (due[i] != 0 && kms_rig.now >= due[i]) {
				due[i] = 0;
				kms_submit(s, step, 100, 100);
			}
		}
		kms_run_timers();
		kms_rig.now += PERIOD / 33;
		if (step % 33 == 32)
			mock_kms_vblank(kms_rig.now);
		kms_run_timers();
	}
	for (unsigned i = 0; i < 2; i++)
		CU_ASSERT(kms_rig.layers[i].presented >= 57);
	kms_close_rig();
}

static void test_pacing(void)
{
	pace(2 * BN_NS_PER_MS, 2 * BN_NS_PER_MS);
	pace(2 * BN_NS_PER_MS, 9 * BN_NS_PER_MS);
	pace(12 * BN_NS_PER_MS, 1 * BN_NS_PER_MS);
	pace(500, 13 * BN_NS_PER_MS);
}

/* A driver that tells of each flip at once: guests that draw for so long are shown once for each refresh of the mode, and a late
 * one as soon as it is there. */
static void flip_at_once(uint64_t draw_ns, unsigned least, unsigned most)
{
	struct bn_place place = bn_place_default;
	struct mock_hw hw = mock_imx8;
	struct kms_shown *s;
	uint64_t due = 0;

	hw.no_vblank = true;
	kms_open_rig(&hw, 1);
	s = kms_add_layer(0, 0x808080, &place, WIDTH, HEIGHT);
	for (unsigned step = 0; step < 33 * 60; step++) {
		if (s->answered == s->submitted && due == 0)
			due = kms_rig.now + draw_ns;
		if (due != 0 && kms_rig.now >= due) {
			due = 0;
			kms_submit(s, step, WIDTH, HEIGHT);
		}
		kms_run_timers();
		mock_kms_vblank(kms_rig.now);
		kms_run_timers();
		kms_rig.now += PERIOD / 33;
	}
	CU_ASSERT(s->presented >= least && s->presented <= most);
	CU_ASSERT_EQUAL(kms_rig.output[0]->counters.late, 0);
	kms_close_rig();
}

static void test_no_vblank(void)
{
	flip_at_once(0, 59, 61);
	flip_at_once(10 * BN_NS_PER_MS, 59, 61);
	/* 25 ms and half a millisecond's step each. */
	flip_at_once(25 * BN_NS_PER_MS, 38, 41);
}

/* How often the timer was set while `layers` layers brought a frame with each refresh, all in one turn of the loop. */
static unsigned timer_settings(unsigned layers, unsigned refreshes)
{
	const struct bn_pacer *pacer;
	struct bn_place place = bn_place_default;
	unsigned settings = 0;

	kms_open_rig(&mock_dpu, 1);
	for (unsigned i = 0; i < layers; i++) {
		place.at.x = 100 * (int32_t)i;
		kms_add_layer(0, 0x808080, &place, 100, 100);
	}
	kms_settle();
	pacer = &kms_rig.output[0]->pacer;
	for (unsigned k = 0; k < refreshes; k++) {
		uint64_t armed = pacer->armed_ns;

		for (unsigned i = 0; i < layers; i++) {
			kms_submit(&kms_rig.layers[i], k, 100, 100);
			settings += pacer->armed_ns != armed;
			armed = pacer->armed_ns;
		}
		kms_run_timers();
		settings += pacer->armed_ns != armed;
		armed = pacer->armed_ns;
		kms_pass_refresh();
		settings += pacer->armed_ns != armed;
		for (unsigned i = 0; i < layers; i++)
			CU_ASSERT_EQUAL(kms_unanswered(&kms_rig.layers[i]), 0);
	}
	kms_close_rig();
	return settings;
}

/* What is put off with each flip is not set anew with each, and frames that come together wait for nobody. */
static void test_timer(void)
{
	CU_ASSERT(timer_settings(1, 60) <= 11);
	CU_ASSERT(timer_settings(5, 60) <= 11);
}

/* ---- modes and names ---- */

static void test_modes(void)
{
	drmModeModeInfo modes[] = {
		{.hdisplay = 1920,
			.vdisplay = 720,
			.htotal = 2000,
			.vtotal = 750,
			.clock = 90000,
			.type = DRM_MODE_TYPE_PREFERRED},
		{.hdisplay = 1280, .vdisplay = 720, .htotal = 1650, .vtotal = 750, .clock = 74250},
		{.hdisplay = 1280, .vdisplay = 720, .htotal = 1980, .vtotal = 750, .clock = 74250},
		{.hdisplay = 9000, .vdisplay = 720, .htotal = 9100, .vtotal = 750, .clock = 400000},
	};

	CU_ASSERT_EQUAL(bn_kms_mode_refresh(&modes[0]), 60000);
	CU_ASSERT_EQUAL(bn_kms_mode_refresh(&modes[1]), 60000);
	CU_ASSERT_EQUAL(bn_kms_mode_refresh(&modes[2]), 50000);
	CU_ASSERT_PTR_EQUAL(bn_kms_mode_choose(modes, 4, 0, 0, 0), &modes[0]);
	CU_ASSERT_PTR_EQUAL(bn_kms_mode_choose(modes, 4, 1280, 720, 60000), &modes[1]);
	CU_ASSERT_PTR_EQUAL(bn_kms_mode_choose(modes, 4, 1280, 720, 51000), &modes[2]);
	CU_ASSERT_PTR_EQUAL(bn_kms_mode_choose(modes, 4, 1900, 700, 60000), &modes[0]);
	CU_ASSERT_PTR_NULL(bn_kms_mode_choose(modes, 0, 0, 0, 0));
	CU_ASSERT_PTR_NULL(bn_kms_mode_choose(&modes[3], 1, 0, 0, 0));
}

static void test_names(void)
{
	struct bn_output_config config = {.name = "second",
		.kind = BN_OUTPUT_KMS,
		.width = WIDTH,
		.height = HEIGHT,
		.refresh_mhz = 60000};
	struct bn_output *output;

	kms_open_rig(&mock_imx8, 1);
	strcpy(config.card, "/dev/dri/card0");
	CU_ASSERT_EQUAL(bn_output_create(&output, kms_rig.loop, &config), -ENXIO);
	strcpy(config.connector, "HDMI-A-1");
	CU_ASSERT_EQUAL(bn_output_create(&output, kms_rig.loop, &config), -ENXIO);
	strcpy(config.card, "mock-imx8");
	CU_ASSERT_EQUAL(bn_output_create(&output, kms_rig.loop, &config), -ENXIO);
	strcpy(config.card, "other");
	CU_ASSERT(bn_output_create(&output, kms_rig.loop, &config) < 0);
	strcpy(config.card, "/dev/dri/card9");
	CU_ASSERT_EQUAL(bn_output_create(&output, kms_rig.loop, &config), -ENOENT);
	kms_close_rig();
}

static const CU_TestInfo tests[] = {
	{"modes", test_modes},
	{"names", test_names},
	{"random scenes on an i.MX8", test_imx8},
	{"random scenes on an RK3588", test_rk3588},
	{"random scenes on a Snapdragon", test_dpu},
	{"a safety layer under attack", test_safety},
	{"planes reserved for a VM", test_reservation},
	{"what is composed lies above", test_composed_above},
	{"layers that opaque ones cover", test_covered},
	{"two displays share planes", test_two_outputs},
	{"a steady scene asks nothing", test_steady},
	{"two guests on one display", test_pacing},
	{"a display without a vblank", test_no_vblank},
	{"the timer is seldom set", test_timer},
	CU_TEST_INFO_NULL,
};

int main(void)
{
	return bn_unit_main("kms", tests);
}
