/* What becomes of frames when the driver, the display or another program does not do what it should. */
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

/* Frames come and are answered while the driver does what it likes; when that ends, the picture is right. */
static void suffer(const struct mock_hw *hw, struct mock_faults faults, uint64_t seed)
{
	struct scene_random random = {seed};

	kms_open_rig(hw, 1);
	mock.random = seed;
	kms_build_scene(&random, 0, true);
	mock.faults = faults;
	for (unsigned i = 0; i < 120; i++) {
		struct kms_shown *s = &kms_rig.layers[scene_random_below(&random, kms_rig.count)];
		struct bn_place place = *bn_layer_place(s->layer);

		kms_submit(s, (uint32_t)scene_random_next(&random) & 0xffffff,
			8 + scene_random_below(&random, 200), 8 + scene_random_below(&random, 150));
		if (scene_random_below(&random, 5) == 0) {
			place.at.x = scene_random_between(&random, -20, WIDTH - 10);
			bn_layer_set_place(s->layer, &place);
		}
		kms_pass_refresh();
		CU_ASSERT(mock_kms_composed_on(0) <= 1);
		CU_ASSERT(kms_unanswered(s) < 40);
	}
	mock.faults = (struct mock_faults){0};
	for (unsigned i = 0; i < 90; i++)
		kms_pass_refresh();
	for (unsigned i = 0; i < kms_rig.count; i++)
		CU_ASSERT_EQUAL(kms_unanswered(&kms_rig.layers[i]), 0);
	kms_check_invariants(0, seed);
	CU_ASSERT_EQUAL(mock.most_pending, 0);
	kms_close_rig();
}

static void suffer_everywhere(struct mock_faults faults)
{
	static const struct mock_hw *const all[] = {&mock_imx8, &mock_rk3588, &mock_dpu};

	for (unsigned i = 0; i < 9; i++)
		suffer(all[i % 3], faults, 100 + i);
}

static void test_refused_tests(void)
{
	suffer_everywhere((struct mock_faults){.refuse_tests = 40});
	suffer_everywhere((struct mock_faults){.refuse_tests = 100});
}

static void test_refused_commits(void)
{
	suffer_everywhere((struct mock_faults){.refuse_commits = 30});
	suffer_everywhere((struct mock_faults){.refuse_commits = 100});
}

static void test_busy(void)
{
	suffer_everywhere((struct mock_faults){.busy = 30});
	suffer_everywhere((struct mock_faults){.busy = 100});
}

static void test_everything_at_once(void)
{
	suffer_everywhere(
		(struct mock_faults){.refuse_tests = 30, .refuse_commits = 20, .busy = 20});
}

/* The guests go on, and when the hardware does, so do the pictures. */
static void test_lost_flips(void)
{
	struct bn_place place = bn_place_default;
	struct kms_shown *s;
	unsigned before;

	kms_open_rig(&mock_rk3588, 1);
	s = kms_add_layer(0, 0x123456, &place, 100, 100);
	kms_settle();
	mock.faults.lose_flips = true;
	before = s->presented;
	/* Long enough for the commit to be given up, and for those after it to be refused. */
	for (unsigned i = 0; i < 220; i++) {
		if (kms_unanswered(s) < 2)
			kms_submit(s, i, 100, 100);
		kms_pass_refresh();
	}
	CU_ASSERT(s->presented > before + 150);
	CU_ASSERT(!kms_output(0)->serial || kms_output(0)->stuck);
	mock.faults.lose_flips = false;
	for (unsigned i = 0; i < 120; i++)
		kms_pass_refresh();
	CU_ASSERT(!kms_output(0)->stuck);
	kms_submit(s, 0xabcdef, 100, 100);
	kms_settle();
	kms_check_invariants(0, 0);
	CU_ASSERT_EQUAL(kms_unanswered(s), 0);
	kms_close_rig();
}

static void wait_for_probe(void)
{
	for (unsigned i = 0; i < 20; i++)
		wl_event_loop_dispatch(kms_rig.loop, 10);
}

static void count_call(void *data)
{
	unsigned *calls = data;

	(*calls)++;
}

static void test_unplug(void)
{
	struct bn_place place = bn_place_default;
	struct kms_shown *a, *b;
	unsigned changes[2] = {0};

	kms_open_rig(&mock_rk3588, 2);
	for (unsigned i = 0; i < 2; i++)
		bn_output_set_active_handler(kms_rig.output[i], count_call, &changes[i]);
	a = kms_add_layer(0, 0x123456, &place, 100, 100);
	b = kms_add_layer(1, 0x654321, &place, 100, 100);
	kms_settle();
	for (unsigned round = 0; round < 3; round++) {
		unsigned shown = b->presented;

		kms_submit(a, 1, 100, 100);
		kms_run_timers(); /* a commit is under way */
		mock.unplugged[0] = true;
		bn_kms_probe_all(kms_output(0)->card);
		wait_for_probe();
		CU_ASSERT(!kms_output(0)->connected);
		CU_ASSERT(!bn_output_active(kms_rig.output[0]));
		CU_ASSERT_EQUAL(changes[0], 2 * round + 1);
		for (unsigned i = 0; i < 10; i++) {
			kms_submit(a, i, 100, 100);
			kms_submit(b, i, 100, 100);
			kms_pass_refresh();
			kms_pass_refresh();
		}
		CU_ASSERT_EQUAL(kms_unanswered(a), 0);
		CU_ASSERT_EQUAL(b->presented, shown + 10);
		CU_ASSERT(!mock_kms_is_active(kms_output(0)->crtc_index));
		kms_check_invariants(1, round);
		mock.unplugged[0] = false;
		bn_kms_probe_all(kms_output(0)->card);
		wait_for_probe();
		kms_settle();
		CU_ASSERT(kms_output(0)->connected);
		CU_ASSERT(bn_output_active(kms_rig.output[0]));
		CU_ASSERT_EQUAL(changes[0], 2 * round + 2);
		kms_check_invariants(0, round);
	}
	CU_ASSERT_EQUAL(changes[1], 0);
	CU_ASSERT_EQUAL(kms_rig.output[0]->counters.unplugged, 3);
	CU_ASSERT_EQUAL(kms_rig.output[1]->counters.failed, 0);
	kms_close_rig();
}

static void probe(void)
{
	bn_kms_probe_all(kms_output(0)->card);
	wait_for_probe();
}

/* What comes back in place of it: the picture is as large as it, its guests are paced as it is, and who asked is told. */
static void return_with(struct kms_shown *s, const struct mock_mode *modes,
	const struct mock_mode *expected, unsigned *calls, unsigned more)
{
	static uint32_t seen[WIDTH * HEIGHT], want[WIDTH * HEIGHT];
	const struct bn_output_config *config = bn_output_config(kms_rig.output[0]);
	unsigned before = *calls, wrong = 0;
	struct mock_mode mode;

	mock.modes[0] = modes;
	mock.unplugged[0] = false;
	probe();
	CU_ASSERT_EQUAL(*calls, before + more);
	CU_ASSERT_EQUAL(config->width, expected->width);
	CU_ASSERT_EQUAL(config->height, expected->height);
	CU_ASSERT(config->refresh_mhz / 1000 + 1 >= expected->hz &&
		  config->refresh_mhz / 1000 <= expected->hz);
	kms_submit(s, 0x334455, 100, 100);
	kms_settle();
	mode = mock_kms_mode(kms_output(0)->crtc_index);
	CU_ASSERT(mode.width == expected->width && mode.height == expected->height &&
		  mode.hz == expected->hz);
	CU_ASSERT_EQUAL(kms_unanswered(s), 0);
	mock_kms_render(kms_output(0)->crtc_index, seen);
	CU_ASSERT(reference_render_output(kms_rig.output[0], want));
	for (uint32_t y = 0; y < config->height; y++)
		wrong += memcmp(seen + y * WIDTH, want + y * config->width, config->width * 4) != 0;
	CU_ASSERT_EQUAL(wrong, 0);
}

static void test_other_mode(void)
{
	static const struct mock_mode small[] = {{320, 240, 75}, {0}},
				      same[] = {{640, 480, 60}, {0}},
				      both[] = {{512, 384, 60}, {640, 480, 60}, {0}},
				      slow[] = {{640, 480, 30}, {0}};
	struct bn_place place = bn_place_default;
	struct kms_shown *s;
	unsigned calls = 0;

	kms_open_rig(&mock_rk3588, 1);
	bn_output_set_mode_handler(kms_rig.output[0], count_call, &calls);
	place.at = (struct bn_rect){250, 200, 0, 0};
	s = kms_add_layer(0, 0x123456, &place, 100, 100);
	for (int32_t i = 0; i < 12; i++) {
		place.at.x = i * 20;
		kms_add_layer(0, 0x101010 * (uint32_t)i, &place, 100, 100);
	}
	kms_settle();
	mock.unplugged[0] = true;
	probe();
	return_with(s, small, small, &calls, 1);
	mock.unplugged[0] = true;
	probe();
	return_with(s, small, small, &calls, 0);
	/* 640×480 was asked for; the list changes while it is plugged in. */
	return_with(s, both, &both[1], &calls, 1);
	return_with(s, slow, slow, &calls, 1);
	mock.unplugged[0] = true;
	probe();
	return_with(s, same, same, &calls, 1);
	CU_ASSERT_EQUAL(kms_rig.output[0]->counters.failed, 0);
	kms_close_rig();
}

static void test_master(void)
{
	struct bn_place place = bn_place_default;
	struct kms_shown *s;

	kms_open_rig(&mock_imx8, 1);
	s = kms_add_layer(0, 0x123456, &place, 100, 100);
	kms_settle();
	mock.faults.no_master = true;
	for (unsigned i = 0; i < 10; i++) {
		kms_submit(s, i, 100, 100);
		kms_pass_refresh();
		kms_pass_refresh();
		CU_ASSERT_EQUAL(kms_unanswered(s), 0);
	}
	CU_ASSERT(!bn_kms_output_on(kms_output(0)));
	mock.faults.no_master = false;
	bn_kms_card_set_active(kms_output(0)->card, true);
	kms_settle();
	kms_check_invariants(0, 0);
	kms_close_rig();
}

static const CU_TestInfo tests[] = {
	{"refused tests", test_refused_tests},
	{"refused commits", test_refused_commits},
	{"busy", test_busy},
	{"everything at once", test_everything_at_once},
	{"flips that never arrive", test_lost_flips},
	{"unplugged and back", test_unplug},
	{"back with another mode", test_other_mode},
	{"the master is lost", test_master},
	CU_TEST_INFO_NULL,
};

int main(void)
{
	return bn_unit_main("kms_faults", tests);
}
