/* Outputs on a real display controller whose composed picture a GPU draws (here Mesa's rasteriser, into the card's own
 * memory): what the hardware writes back is what a reference renderer says. Needs a card as test_kms does. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "arbiter.h"
#include "common/clock.h"
#include "composing.h"
#include "fake_renderer.h"
#include "kms_rig.h"

#define WIDTH 640u
#define HEIGHT 480u

static struct kms_rig rig;
static struct wl_event_loop *loop;
static struct bn_gpu_totals before;

static struct bn_compose_gl *gpu(void)
{
	return bn_kms_output_of(rig.scene.output)->card->gl;
}

/* Something that no plane of vkms can do. */
static struct bn_layer *half_transparent(uint32_t colour, int32_t x, int32_t y)
{
	struct bn_layer *layer = kms_rig_layer(&rig, colour, x, y, 200, 150);
	struct bn_place place = *bn_layer_place(layer);

	place.alpha = 0x8080;
	bn_layer_set_place(layer, &place);
	return layer;
}

static void open_rig(void)
{
	const char *name = getenv("BN_TEST_CARD");

	loop = wl_event_loop_create();
	CU_ASSERT_EQUAL_FATAL(
		kms_rig_open(&rig, loop, name ? name : "/dev/dri/card0", "", WIDTH, HEIGHT, 60000),
		0);
	CU_ASSERT_PTR_NULL(gpu());
	/* The CPU composes until the GPU is ready, and nobody waits for that. */
	half_transparent(0xff336699, 40, 30);
	CU_ASSERT(kms_rig_settle(&rig));
	CU_ASSERT_PTR_NOT_NULL_FATAL(gpu());
	CU_ASSERT_TRUE_FATAL(bn_compose_gl_wait(gpu()));
	kms_rig_clear(&rig);
	bn_gpu_totals(&before);
}

static void close_rig(void)
{
	kms_rig_close(&rig);
	wl_event_loop_destroy(loop);
}

static uint64_t drawn(void)
{
	struct bn_gpu_totals now;

	bn_gpu_totals(&now);
	CU_ASSERT_EQUAL(now.failed, before.failed);
	return now.pictures - before.pictures;
}

static bool may_begin;
static unsigned told;

static bool handle_begin(void *data)
{
	return may_begin;
}

static void handle_done(void *data, uint64_t gpu_ns)
{
	told++;
}

static const struct bn_gpu_hooks hooks = {.begin = handle_begin, .done = handle_done};

/* What is on the display, as the hardware writes it back. */
static void see(uint32_t *pixels)
{
	struct bn_rect all = {0, 0, WIDTH, HEIGHT};
	struct bn_read_info info = {0};
	int r = -EAGAIN;

	CU_ASSERT(kms_rig_settle(&rig));
	for (unsigned i = 0; i < 200 && r == -EAGAIN; i++) {
		r = bn_output_read(rig.scene.output, &all, pixels, &info);
		if (r == -EAGAIN)
			kms_rig_run(loop, 10);
	}
	CU_ASSERT_EQUAL(r, 0);
	CU_ASSERT_EQUAL(info.source, BN_READ_WRITEBACK);
}

static void submit_again(void)
{
	for (unsigned i = 0; i < rig.scene.count; i++) {
		struct bn_frame frame = *bn_layer_current(rig.scene.layers[i]);

		frame.damage_x = frame.damage_y = 0;
		frame.damage_width = frame.damage_height = UINT32_MAX;
		bn_layer_submit(rig.scene.layers[i], &frame);
	}
}

/* The same scene composed by the CPU and by the GPU; whatever vkms makes of the planes is the same both times. */
static unsigned compare(const struct scene_random *random, unsigned kinds)
{
	static uint32_t by_cpu[WIDTH * HEIGHT], by_gpu[WIDTH * HEIGHT];
	struct scene_random r = *random;
	unsigned layers = 1 + scene_random_below(&r, 14), distance;

	may_begin = false;
	for (unsigned k = 0; k < layers; k++)
		scene_fixture_add(&rig.scene, &r, kinds);
	see(by_cpu);
	may_begin = true;
	submit_again();
	see(by_gpu);
	distance = reference_distance(by_cpu, by_gpu, WIDTH * HEIGHT, NULL);
	kms_rig_clear(&rig);
	return distance;
}

static void random_scenes(uint64_t seed, unsigned count, unsigned kinds, unsigned tolerance)
{
	unsigned worst = 0;

	open_rig();
	bn_gpu_set_hooks(&hooks);
	for (unsigned i = 0; i < count; i++) {
		struct scene_random random = {seed + i};
		unsigned distance = compare(&random, kinds);

		if (distance > tolerance)
			printf("[seed %llu: %u] ", (unsigned long long)(seed + i), distance);
		if (distance > worst)
			worst = distance;
	}
	bn_gpu_set_hooks(NULL);
	CU_ASSERT(worst <= tolerance);
	CU_ASSERT(drawn() >= count / 4);
	printf("(worst %u; %llu of %u scenes have a part that is composed) ", worst,
		(unsigned long long)drawn(), count);
	close_rig();
}

static void test_mixed(void)
{
	random_scenes(5000, 16, SCENE_MIXED | SCENE_TURNED | SCENE_CURSORS, 0);
}

static void test_scaled(void)
{
	random_scenes(6000, 10, SCENE_SCALED | SCENE_TURNED | SCENE_YUV | SCENE_MIXED, 9);
}

/* The same frames drawn by the one and by the other in turns: the picture on the display never shows which. */
static void test_in_turns(void)
{
	struct bn_layer *layers[3];
	struct bn_buffer *buffers[2] = {
		kms_rig_buffer(0xff10c0c0, 200, 150), kms_rig_buffer(0xffc01080, 200, 150)};

	open_rig();
	kms_rig_layer(&rig, 0xff223344, 0, 0, WIDTH, HEIGHT);
	for (int i = 0; i < 3; i++)
		layers[i] = half_transparent(
			0xff000000 | 0x3f1020 * (uint32_t)(i + 1), 60 + 70 * i, 50 + 60 * i);
	bn_gpu_set_hooks(&hooks);
	for (unsigned i = 0; i < 24; i++) {
		may_begin = i / 3 % 2 == 0;
		kms_rig_submit(layers[i % 3], buffers[i / 2 % 2]);
		CU_ASSERT(kms_rig_distance(&rig) <= 1);
	}
	bn_gpu_set_hooks(NULL);
	CU_ASSERT_EQUAL(drawn(), 12);
	CU_ASSERT(told > 0);
	for (unsigned i = 0; i < 2; i++)
		bn_buffer_drop(buffers[i]);
	close_rig();
}

/* A reset: the CPU goes on at once, the GPU takes over again later. */
static void test_reset(void)
{
	struct bn_buffer *buffers[2] = {
		kms_rig_buffer(0xff10c0c0, 200, 150), kms_rig_buffer(0xffc01080, 200, 150)};
	struct bn_layer *layer;

	open_rig();
	layer = half_transparent(0xff993300, 100, 100);
	CU_ASSERT(kms_rig_distance(&rig) <= 1);
	CU_ASSERT_EQUAL(drawn(), 1);
	bn_compose_gl_lose(gpu());
	kms_rig_submit(layer, buffers[0]);
	CU_ASSERT(kms_rig_distance(&rig) <= 1);
	CU_ASSERT_EQUAL(drawn(), 1);
	CU_ASSERT_TRUE(bn_compose_gl_wait(gpu()));
	kms_rig_submit(layer, buffers[1]);
	CU_ASSERT(kms_rig_distance(&rig) <= 1);
	CU_ASSERT_EQUAL(drawn(), 2);
	for (unsigned i = 0; i < 2; i++)
		bn_buffer_drop(buffers[i]);
	close_rig();
}

/* Only what changed is drawn, and the CPU touches what lies in its own memory alone. */
static void test_damage(void)
{
	struct bn_frame frame = {.src_width = 200,
		.src_height = 150,
		.damage_x = 50,
		.damage_y = 60,
		.damage_width = 10,
		.damage_height = 5};
	struct bn_layer *layer;

	open_rig();
	layer = half_transparent(0xff445566, 100, 100);
	frame.buffer = kms_rig_buffer(0xff202020, 200, 150);
	bn_layer_submit(layer, &frame);
	CU_ASSERT(kms_rig_settle(&rig));
	for (unsigned i = 0; i < 6; i++) {
		uint64_t bytes = kms_rig_status(&rig).composed_bytes;

		bn_layer_submit(layer, &frame);
		CU_ASSERT(kms_rig_distance(&rig) <= 1);
		/* One pixel around it is read for what is scaled. */
		if (i > 2)
			CU_ASSERT(kms_rig_status(&rig).composed_bytes - bytes <= 3 * 12 * 7 * 4);
	}
	bn_buffer_drop(frame.buffer);
	close_rig();
}

/* Without writeback the composed picture itself is looked at, in memory that the GPU wrote. */
static void test_read(void)
{
	struct bn_rect all = {0, 0, WIDTH, HEIGHT};
	struct bn_read_info info = {0};
	static uint32_t seen[WIDTH * HEIGHT], want[WIDTH * HEIGHT];
	int r;

	open_rig();
	bn_output_set_observer(rig.scene.output, NULL, NULL);
	half_transparent(0xff773322, 300, 200);
	half_transparent(0xff112277, 350, 250);
	CU_ASSERT(kms_rig_settle(&rig));
	r = bn_output_read(rig.scene.output, &all, seen, &info);
	CU_ASSERT_EQUAL(r, 0);
	CU_ASSERT_EQUAL(info.source, BN_READ_COMPOSED);
	CU_ASSERT_TRUE(reference_render_output(rig.scene.output, want));
	CU_ASSERT_EQUAL(reference_distance(seen, want, WIDTH * HEIGHT, NULL), 0);
	CU_ASSERT(drawn() > 0);
	close_rig();
}

/* The service's arbiter hears of it: a VM's lease is called back, and given again when nothing is composed. */
static void test_scheduled(void)
{
	const struct bn_arbiter_config config = {
		.policy = BN_POLICY_RESERVE, .machine = {.in_flight = 1}};
	struct bn_buffer *buffers[2] = {
		kms_rig_buffer(0xff10c0c0, 200, 150), kms_rig_buffer(0xffc01080, 200, 150)};
	struct bn_composing composing;
	struct bn_arbiter *arbiter;
	struct bn_arbiter_stats stats;
	struct bn_gpu_totals totals;
	struct fake_renderer vm;
	struct bn_layer *layer;
	unsigned pictures = 0;

	open_rig();
	CU_ASSERT_EQUAL_FATAL(bn_arbiter_create(&arbiter, loop, &config), 0);
	CU_ASSERT_TRUE_FATAL(fake_init(&vm, arbiter, 0));
	bn_composing_init(&composing, arbiter, BN_NS_PER_S / 60, 0, false);
	fake_ask(&vm, BN_NS_PER_MS);
	CU_ASSERT_TRUE(fake_granted(&vm, 20000));
	CU_ASSERT_EQUAL(vm.grant->kind, BN_GRANT_LEASE);
	layer = half_transparent(0xff336699, 40, 30);
	/* A picture may be done before the arbiter's thread was run; one after the other, it is seen. */
	for (; pictures < 1000 && FAKE_GET(&vm, revoked) < vm.held; pictures++) {
		kms_rig_submit(layer, buffers[pictures % 2]);
		CU_ASSERT_FATAL(kms_rig_settle(&rig));
	}
	CU_ASSERT_EQUAL(FAKE_GET(&vm, revoked), vm.held);
	CU_ASSERT(drawn() >= pictures);
	fake_return(&vm);
	fake_ask(&vm, BN_NS_PER_MS);
	CU_ASSERT_TRUE(fake_granted(&vm, 20000));
	bn_arbiter_stats(arbiter, BN_POLICY_COMPOSITOR, &stats);
	bn_gpu_totals(&totals);
	CU_ASSERT(stats.policy.grants > 0);
	CU_ASSERT_FALSE(stats.policy.running || stats.policy.waiting);
	CU_ASSERT_EQUAL(stats.policy.gpu_ns, totals.gpu_ns - before.gpu_ns);
	printf("(%u pictures) ", pictures);
	bn_composing_finish(&composing);
	fake_finish(&vm);
	bn_arbiter_destroy(arbiter);
	for (unsigned i = 0; i < 2; i++)
		bn_buffer_drop(buffers[i]);
	close_rig();
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"random scenes", test_mixed},
		{"random scenes, scaled", test_scaled},
		{"GPU and CPU in turns", test_in_turns},
		{"a reset", test_reset},
		{"only what changed is drawn", test_damage},
		{"the picture is read", test_read},
		{"VMs are kept out", test_scheduled},
		CU_TEST_INFO_NULL,
	};

	bn_compose_gl_use = BN_COMPOSE_GL_SOFTWARE;
	return bn_unit_main("kms_gl", tests);
}
