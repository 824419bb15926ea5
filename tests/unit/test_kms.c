/* Outputs on display controllers that are only data: who gets which plane, what is composed, and what becomes of frames when
 * the driver does not do what it should. */
#include <drm_fourcc.h>
#include <drm_mode.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/fd.h"
#include "kms_impl.h"
#include "mock_kms.h"
#include "reference.h"
#include "scene_fixture.h"
#include "unit.h"

#define WIDTH 640u
#define HEIGHT 480u
#define PERIOD (BN_NS_PER_S / 60)

struct shown {
	struct bn_layer *layer;
	unsigned submitted, answered, presented;
	uint64_t last_ns;
};

static struct {
	uint64_t now;
	struct wl_event_loop *loop;
	struct bn_output *output[2];
	unsigned outputs;
	struct shown layers[BN_OUTPUT_LAYERS_MAX];
	unsigned count;
	unsigned observed;
} rig;

static uint64_t clock_now(void *data)
{
	return rig.now;
}

static void handle_presented(
	void *data, const struct bn_frame *frame, enum bn_presented how, uint64_t when_ns)
{
	struct shown *shown = data;

	shown->answered++;
	shown->presented += how == BN_PRESENTED_SHOWN;
	if (how == BN_PRESENTED_SHOWN)
		shown->last_ns = when_ns;
}

static const struct bn_layer_listener listener = {.presented = handle_presented};

static struct bn_kms_output *kms(unsigned i)
{
	return bn_kms_output_of(rig.output[i]);
}

/* Everything that the loop has to do. */
static void run_loop(void)
{
	for (unsigned i = 0; i < 2; i++)
		wl_event_loop_dispatch(rig.loop, 0);
}

static void open_rig(const struct mock_hw *hw, unsigned outputs)
{
	struct bn_output_config config = {.name = "test",
		.kind = BN_OUTPUT_KMS,
		.width = WIDTH,
		.height = HEIGHT,
		.refresh_mhz = 60000,
		.card = "/dev/dri/card0"};
	struct bn_clock clock = {clock_now, NULL};

	memset(&rig, 0, sizeof(rig));
	rig.now = BN_NS_PER_S;
	rig.loop = wl_event_loop_create();
	mock_kms_start(hw);
	for (; rig.outputs < outputs; rig.outputs++)
		CU_ASSERT_EQUAL_FATAL(bn_output_create_clocked(
					      &rig.output[rig.outputs], rig.loop, &config, &clock),
			0);
}

static void remove_layers(void)
{
	for (unsigned i = 0; i < rig.count; i++) {
		bn_layer_destroy(rig.layers[i].layer);
		CU_ASSERT_EQUAL(rig.layers[i].answered, rig.layers[i].submitted);
	}
	rig.count = 0;
}

static void close_rig(void)
{
	remove_layers();
	for (unsigned i = 0; i < rig.outputs; i++)
		bn_output_destroy(rig.output[i]);
	mock_kms_stop();
	wl_event_loop_destroy(rig.loop);
}

static struct bn_buffer *make_buffer(uint32_t colour, uint32_t width, uint32_t height)
{
	size_t size = (size_t)width * height * 4;
	struct bn_buffer_attrs attrs = {
		.kind = BN_BUFFER_MEMFD,
		.width = width,
		.height = height,
		.fourcc = DRM_FORMAT_XRGB8888,
		.modifier = DRM_FORMAT_MOD_LINEAR,
		.planes = 1,
		.stride = {width * 4},
		.fd = {bn_memfd_create_pages("test", size), -1, -1, -1},
	};
	uint32_t *pixels = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, attrs.fd[0], 0);
	struct bn_buffer *buffer;

	CU_ASSERT_FATAL(pixels != MAP_FAILED);
	for (size_t i = 0; i < size / 4; i++)
		pixels[i] = colour;
	munmap(pixels, size);
	CU_ASSERT_EQUAL_FATAL(bn_buffer_create(&buffer, &attrs, NULL, NULL), 0);
	return buffer;
}

static void submit_buffer(struct shown *shown, struct bn_buffer *buffer)
{
	const struct bn_buffer_attrs *attrs = bn_buffer_attrs(buffer);
	struct bn_frame frame = {
		.buffer = buffer,
		.src_width = attrs->width,
		.src_height = attrs->height,
		.damage_width = attrs->width,
		.damage_height = attrs->height,
		.flush_ns = rig.now,
	};

	shown->submitted++;
	bn_layer_submit(shown->layer, &frame);
}

static void submit(struct shown *shown, uint32_t colour, uint32_t width, uint32_t height)
{
	struct bn_buffer *buffer = make_buffer(colour, width, height);

	submit_buffer(shown, buffer);
	bn_buffer_drop(buffer);
}

static struct shown *add_layer(unsigned output, uint32_t colour, const struct bn_place *place,
	uint32_t width, uint32_t height)
{
	struct shown *shown = &rig.layers[rig.count++];

	*shown = (struct shown){.layer = bn_layer_create(rig.output[output], &listener, shown)};
	CU_ASSERT_PTR_NOT_NULL_FATAL(shown->layer);
	bn_layer_set_place(shown->layer, place);
	submit(shown, colour, width, height);
	return shown;
}

static void run_timers(void)
{
	run_loop();
	for (unsigned i = 0; i < rig.outputs; i++)
		bn_pacer_run(&rig.output[i]->pacer);
	run_loop();
}

/* A millisecond at a time to the next vblank, which comes. */
static void pass_refresh(void)
{
	uint64_t end = rig.now + PERIOD;

	for (; rig.now + BN_NS_PER_MS < end; rig.now += BN_NS_PER_MS)
		run_timers();
	rig.now = end;
	mock_kms_vblank(rig.now);
	run_timers();
}

static void settle(void)
{
	for (unsigned i = 0; i < 4; i++)
		pass_refresh();
}

static enum bn_shown_how how(const struct shown *shown)
{
	struct bn_layer_shown out;

	bn_layer_shown(shown->layer, &out);
	return out.how;
}

/* What is scanned out is what is to be shown. */
static bool picture_is_right(unsigned output)
{
	static uint32_t seen[WIDTH * HEIGHT], want[WIDTH * HEIGHT];

	mock_kms_render(kms(output)->crtc_index, seen);
	CU_ASSERT(reference_render_output(rig.output[output], want));
	return memcmp(seen, want, sizeof(seen)) == 0;
}

static void check_invariants(unsigned output, uint64_t seed)
{
	bool right = picture_is_right(output);

	CU_ASSERT(right);
	if (!right)
		printf("[%s seed %llu] ", mock.hw->name, (unsigned long long)seed);
	CU_ASSERT(mock_kms_composed_on(kms(output)->crtc_index) <= 1);
}

/* ---- random scenes ---- */

static struct bn_place random_place(
	struct scene_random *random, uint32_t *width, uint32_t *height, bool scale)
{
	struct bn_place place = bn_place_default;

	*width = 8 + scene_random_below(random, 200);
	*height = 8 + scene_random_below(random, 150);
	place.at.x = scene_random_between(random, -20, WIDTH - 10);
	place.at.y = scene_random_between(random, -20, HEIGHT - 10);
	if (scale && scene_random_below(random, 3) == 0) {
		place.at.width = *width / 2 + scene_random_below(random, 3 * *width);
		place.at.height = *height / 2 + scene_random_below(random, 3 * *height);
	}
	if (scene_random_below(random, 6) == 0) {
		*width = WIDTH;
		*height = HEIGHT;
		place.at = (struct bn_rect){0};
	}
	place.z = scene_random_between(random, -2, 2);
	return place;
}

static void build_scene(struct scene_random *random, unsigned output, bool scale)
{
	unsigned layers = 1 + scene_random_below(random, 12);

	for (unsigned i = 0; i < layers && rig.count < BN_OUTPUT_LAYERS_MAX; i++) {
		uint32_t width, height;
		struct bn_place place = random_place(random, &width, &height, scale);

		add_layer(output, (uint32_t)scene_random_next(random) & 0xffffff, &place, width,
			height);
	}
}

static void random_scenes(const struct mock_hw *hw, unsigned count, bool scale)
{
	unsigned most = 0, total = 0, planes = 0;

	open_rig(hw, 1);
	for (unsigned i = 0; i < count; i++) {
		struct scene_random random = {i};
		unsigned before = mock.tests, own = (unsigned)rig.output[0]->counters.tests;

		build_scene(&random, 0, scale);
		settle();
		check_invariants(0, i);
		own = (unsigned)rig.output[0]->counters.tests - own;
		CU_ASSERT(own <= 2 * BN_KMS_TESTS_MAX); /* the scene, and it without layers */
		most = own > most ? own : most;
		total += mock.tests - before;
		planes += mock_kms_planes_on(0);
		remove_layers();
	}
	CU_ASSERT_EQUAL(rig.output[0]->counters.failed, 0);
	CU_ASSERT_EQUAL(mock.most_pending, 0);
	printf("(%.1f planes, %.1f tests a scene, %u of ours at most) ", (double)planes / count,
		(double)total / count, most);
	close_rig();
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
		struct shown *safety;

		open_rig(hw, 1);
		place.at = (struct bn_rect){500, 380, 0, 0};
		place.role = BN_ROLE_SAFETY;
		place.z = scene_random_between(&random, -3, 3);
		safety = add_layer(0, 0xff0000, &place, 100, 80);
		for (unsigned i = 0; i < 16; i++) {
			uint32_t width, height;

			place = random_place(&random, &width, &height, true);
			/* Above it only beside it. */
			if (place.z >= safety->layer->place.z) {
				place.at = (struct bn_rect){
					(int32_t)i * 20, (int32_t)i * 10, 150, 100};
				width = 150;
				height = 100;
			}
			add_layer(0, 0x00ff00 + i, &place, width, height);
			bn_layer_set_owner(rig.layers[rig.count - 1].layer, "other", i & 1, 4);
			settle();
			CU_ASSERT_EQUAL(how(safety), BN_SHOWN_PLANE);
			check_invariants(0, seed);
		}
		close_rig();
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
	struct shown *own;

	open_rig(&mock_dpu, 1);
	place.at = (struct bn_rect){10, 10, 0, 0};
	own = add_layer(0, 0x0000ff, &place, 60, 60);
	bn_layer_set_owner(own->layer, "own", 7, 1);
	for (int32_t i = 0; i < 15; i++) {
		place.at = (struct bn_rect){(i % 5) * 120, 80 + (i / 5) * 100, 0, 0};
		place.z = i;
		add_layer(0, 0x00ff00 + (uint32_t)i, &place, 100, 80);
		settle();
		CU_ASSERT_EQUAL(how(own), BN_SHOWN_PLANE);
		check_invariants(0, (uint64_t)i);
	}
	close_rig();
}

/* A safety layer that fills the display at the bottom, and more on top of it than there are planes: what is composed lies
 * above it. */
static void test_composed_above(void)
{
	struct bn_place place = bn_place_default;
	struct shown *safety;

	open_rig(&mock_dpu, 1);
	place.role = BN_ROLE_SAFETY;
	safety = add_layer(0, 0x303030, &place, WIDTH, HEIGHT);
	for (int32_t i = 0; i < 12; i++) {
		place = bn_place_default;
		place.z = 1;
		place.at = (struct bn_rect){20 + i * 30, 20 + i * 20, 0, 0};
		add_layer(0, 0x00ff00 + (uint32_t)i * 16, &place, 100, 80);
	}
	settle();
	CU_ASSERT_EQUAL(how(safety), BN_SHOWN_PLANE);
	CU_ASSERT_EQUAL(mock_kms_composed_on(0), 1);
	check_invariants(0, 0);
	close_rig();
}

/* Two displays share their planes: neither takes what the other shows. */
static void test_two_outputs(void)
{
	open_rig(&mock_rk3588, 2);
	for (unsigned i = 0; i < 20; i++) {
		struct scene_random random = {5000 + i};

		for (unsigned k = 0; k < 8; k++) {
			uint32_t width, height;
			struct bn_place place = random_place(&random, &width, &height, true);

			add_layer(k & 1, (uint32_t)scene_random_next(&random) & 0xffffff, &place,
				width, height);
		}
		settle();
		settle();
		check_invariants(0, i);
		check_invariants(1, i);
		remove_layers();
	}
	CU_ASSERT_EQUAL(mock.most_pending, 0);
	close_rig();
}

/* ---- no tests in a steady scene ---- */

static void test_steady(void)
{
	struct bn_buffer *buffers[2] = {
		make_buffer(0x112233, 100, 80), make_buffer(0x332211, 100, 80)};
	struct bn_output_status status;
	unsigned tests, commits;

	open_rig(&mock_dpu, 1);
	for (int32_t i = 0; i < 12; i++) {
		struct bn_place place = bn_place_default;

		place.at = (struct bn_rect){i * 40, i * 30, i == 3 ? 200 : 0, i == 3 ? 90 : 0};
		add_layer(0, 0x101010 * (uint32_t)i, &place, 100, 80);
	}
	settle();
	tests = mock.tests;
	commits = mock.commits;
	for (unsigned i = 0; i < 300; i++) {
		for (unsigned k = 0; k < 12; k++)
			submit_buffer(&rig.layers[k], buffers[i & 1]);
		pass_refresh();
	}
	CU_ASSERT_EQUAL(mock.tests, tests);
	CU_ASSERT_EQUAL(mock.commits, commits + 300);
	CU_ASSERT_EQUAL(rig.layers[0].presented, 301);
	check_invariants(0, 0);
	bn_output_status(rig.output[0], &status);
	printf("(12 layers: commit p50 %.0f µs, p99 %.0f µs) ",
		(double)bn_histogram_quantile(&status.commit, 0.5) / 1e3,
		(double)bn_histogram_quantile(&status.commit, 0.99) / 1e3);
	close_rig();
	for (unsigned i = 0; i < 2; i++)
		bn_buffer_drop(buffers[i]);
}

/* ---- when ---- */

/* Guests that draw for so long after each flip: one refresh each, whatever the phase between them. */
static void pace(uint64_t draw_a, uint64_t draw_b)
{
	uint64_t draw[2] = {draw_a, draw_b}, due[2] = {0, 0};
	struct bn_place place = bn_place_default;

	open_rig(&mock_dpu, 1);
	for (int32_t i = 0; i < 2; i++) {
		place.at.x = 200 * i;
		add_layer(0, 0x808080, &place, 100, 100);
	}
	for (unsigned step = 0; step < 33 * 60; step++) {
		for (unsigned i = 0; i < 2; i++) {
			struct shown *s = &rig.layers[i];

			if (s->answered == s->submitted && due[i] == 0)
				due[i] = s->last_ns + draw[i];
			if (due[i] != 0 && rig.now >= due[i]) {
				due[i] = 0;
				submit(s, step, 100, 100);
			}
		}
		run_timers();
		rig.now += PERIOD / 33;
		if (step % 33 == 32)
			mock_kms_vblank(rig.now);
		run_timers();
	}
	for (unsigned i = 0; i < 2; i++)
		CU_ASSERT(rig.layers[i].presented >= 57);
	close_rig();
}

static void test_pacing(void)
{
	pace(2 * BN_NS_PER_MS, 2 * BN_NS_PER_MS);
	pace(2 * BN_NS_PER_MS, 9 * BN_NS_PER_MS);
	pace(12 * BN_NS_PER_MS, 1 * BN_NS_PER_MS);
	pace(500, 13 * BN_NS_PER_MS);
}

/* ---- what goes wrong ---- */

static unsigned answered_of(const struct shown *shown)
{
	return shown->submitted - shown->answered;
}

/* Frames come and are answered while the driver does what it likes; when that ends, the picture is right. */
static void suffer(const struct mock_hw *hw, struct mock_faults faults, uint64_t seed)
{
	struct scene_random random = {seed};

	open_rig(hw, 1);
	mock.random = seed;
	build_scene(&random, 0, true);
	mock.faults = faults;
	for (unsigned i = 0; i < 120; i++) {
		struct shown *s = &rig.layers[scene_random_below(&random, rig.count)];
		struct bn_place place = *bn_layer_place(s->layer);

		submit(s, (uint32_t)scene_random_next(&random) & 0xffffff,
			8 + scene_random_below(&random, 200), 8 + scene_random_below(&random, 150));
		if (scene_random_below(&random, 5) == 0) {
			place.at.x = scene_random_between(&random, -20, WIDTH - 10);
			bn_layer_set_place(s->layer, &place);
		}
		pass_refresh();
		CU_ASSERT(mock_kms_composed_on(0) <= 1);
		CU_ASSERT(answered_of(s) < 40);
	}
	mock.faults = (struct mock_faults){0};
	for (unsigned i = 0; i < 90; i++)
		pass_refresh();
	for (unsigned i = 0; i < rig.count; i++)
		CU_ASSERT_EQUAL(answered_of(&rig.layers[i]), 0);
	check_invariants(0, seed);
	CU_ASSERT_EQUAL(mock.most_pending, 0);
	close_rig();
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
	struct shown *s;
	unsigned before;

	open_rig(&mock_rk3588, 1);
	s = add_layer(0, 0x123456, &place, 100, 100);
	settle();
	mock.faults.lose_flips = true;
	before = s->presented;
	/* Long enough for the commit to be given up, and for those after it to be refused. */
	for (unsigned i = 0; i < 220; i++) {
		if (answered_of(s) < 2)
			submit(s, i, 100, 100);
		pass_refresh();
	}
	CU_ASSERT(s->presented > before + 150);
	CU_ASSERT(!kms(0)->serial || kms(0)->stuck);
	mock.faults.lose_flips = false;
	for (unsigned i = 0; i < 120; i++)
		pass_refresh();
	CU_ASSERT(!kms(0)->stuck);
	submit(s, 0xabcdef, 100, 100);
	settle();
	check_invariants(0, 0);
	CU_ASSERT_EQUAL(answered_of(s), 0);
	close_rig();
}

static void wait_for_probe(void)
{
	for (unsigned i = 0; i < 20; i++)
		wl_event_loop_dispatch(rig.loop, 10);
}

static void count_call(void *data)
{
	unsigned *calls = data;

	(*calls)++;
}

static void test_unplug(void)
{
	struct bn_place place = bn_place_default;
	struct shown *a, *b;
	unsigned changes[2] = {0};

	open_rig(&mock_rk3588, 2);
	for (unsigned i = 0; i < 2; i++)
		bn_output_set_active_handler(rig.output[i], count_call, &changes[i]);
	a = add_layer(0, 0x123456, &place, 100, 100);
	b = add_layer(1, 0x654321, &place, 100, 100);
	settle();
	for (unsigned round = 0; round < 3; round++) {
		unsigned shown = b->presented;

		submit(a, 1, 100, 100);
		run_timers(); /* a commit is under way */
		mock.unplugged[0] = true;
		bn_kms_probe_all(kms(0)->card);
		wait_for_probe();
		CU_ASSERT(!kms(0)->connected);
		CU_ASSERT(!bn_output_active(rig.output[0]));
		CU_ASSERT_EQUAL(changes[0], 2 * round + 1);
		for (unsigned i = 0; i < 10; i++) {
			submit(a, i, 100, 100);
			submit(b, i, 100, 100);
			pass_refresh();
			pass_refresh();
		}
		CU_ASSERT_EQUAL(answered_of(a), 0);
		CU_ASSERT_EQUAL(b->presented, shown + 10);
		CU_ASSERT(!mock_kms_is_active(kms(0)->crtc_index));
		check_invariants(1, round);
		mock.unplugged[0] = false;
		bn_kms_probe_all(kms(0)->card);
		wait_for_probe();
		settle();
		CU_ASSERT(kms(0)->connected);
		CU_ASSERT(bn_output_active(rig.output[0]));
		CU_ASSERT_EQUAL(changes[0], 2 * round + 2);
		check_invariants(0, round);
	}
	CU_ASSERT_EQUAL(changes[1], 0);
	CU_ASSERT_EQUAL(rig.output[0]->counters.unplugged, 3);
	CU_ASSERT_EQUAL(rig.output[1]->counters.failed, 0);
	close_rig();
}

static void test_master(void)
{
	struct bn_place place = bn_place_default;
	struct shown *s;

	open_rig(&mock_imx8, 1);
	s = add_layer(0, 0x123456, &place, 100, 100);
	settle();
	mock.faults.no_master = true;
	for (unsigned i = 0; i < 10; i++) {
		submit(s, i, 100, 100);
		pass_refresh();
		pass_refresh();
		CU_ASSERT_EQUAL(answered_of(s), 0);
	}
	CU_ASSERT(!bn_kms_output_on(kms(0)));
	mock.faults.no_master = false;
	bn_kms_card_set_active(kms(0)->card, true);
	settle();
	check_invariants(0, 0);
	close_rig();
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

	open_rig(&mock_imx8, 1);
	strcpy(config.card, "/dev/dri/card0");
	CU_ASSERT_EQUAL(bn_output_create(&output, rig.loop, &config), -ENXIO);
	strcpy(config.connector, "HDMI-A-1");
	CU_ASSERT_EQUAL(bn_output_create(&output, rig.loop, &config), -ENXIO);
	strcpy(config.card, "mock-imx8");
	CU_ASSERT_EQUAL(bn_output_create(&output, rig.loop, &config), -ENXIO);
	strcpy(config.card, "other");
	CU_ASSERT(bn_output_create(&output, rig.loop, &config) < 0);
	strcpy(config.card, "/dev/dri/card9");
	CU_ASSERT_EQUAL(bn_output_create(&output, rig.loop, &config), -ENOENT);
	close_rig();
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
	{"two displays share planes", test_two_outputs},
	{"a steady scene asks nothing", test_steady},
	{"two guests on one display", test_pacing},
	{"refused tests", test_refused_tests},
	{"refused commits", test_refused_commits},
	{"busy", test_busy},
	{"everything at once", test_everything_at_once},
	{"flips that never arrive", test_lost_flips},
	{"unplugged and back", test_unplug},
	{"the master is lost", test_master},
	CU_TEST_INFO_NULL,
};

int main(void)
{
	return bn_unit_main("kms", tests);
}
