/* commit FRAMES: how long the compositor takes for a commit of 12 layers on this machine: decision, composition of what has no plane, and the calls. The display
 * controller is data (tests/unit/mock_kms.h, like an RK3588), so what the kernel and its driver do is not in it. Two scenes: one that stays, and one of which a layer moves
 * with each frame, so that each has a plan to be made. One JSON object each. */
#include <drm_fourcc.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/fd.h"
#include "kms_impl.h"
#include "mock_kms.h"
#include "unit.h"

#define LAYERS 12u
#define WIDTH 100u
#define HEIGHT 90u
#define PERIOD (BN_NS_PER_S / 60)

static struct {
	uint64_t now;
	struct wl_event_loop *loop;
	struct bn_output *output;
	struct bn_layer *layer[LAYERS];
	struct bn_buffer *buffer[LAYERS][2]; /* flipped between */
} rig;

static uint64_t clock_now(void *data)
{
	return rig.now;
}

static void handle_presented(void *data, const struct bn_frame *frame, enum bn_presented how, uint64_t when_ns)
{
}

static const struct bn_layer_listener listener = {.presented = handle_presented};

static struct bn_buffer *make_buffer(uint32_t width, uint32_t height)
{
	struct bn_buffer_attrs attrs = {
		.kind = BN_BUFFER_MEMFD,
		.width = width,
		.height = height,
		.fourcc = DRM_FORMAT_XRGB8888,
		.modifier = DRM_FORMAT_MOD_LINEAR,
		.planes = 1,
		.stride = {width * 4},
		.fd = {bn_memfd_create_pages("bench", (size_t)width * height * 4), -1, -1, -1},
	};
	struct bn_buffer *buffer;

	if (attrs.fd[0] < 0 || bn_buffer_create(&buffer, &attrs, NULL, NULL) < 0)
		exit(1);
	return buffer;
}

static void submit(unsigned layer, unsigned frame)
{
	struct bn_buffer *buffer = rig.buffer[layer][frame % 2];
	const struct bn_buffer_attrs *attrs = bn_buffer_attrs(buffer);
	struct bn_frame f = {.buffer = buffer,
		.src_width = attrs->width,
		.src_height = attrs->height,
		.damage_width = attrs->width,
		.damage_height = attrs->height,
		.flush_ns = rig.now};

	bn_layer_submit(rig.layer[layer], &f);
}

/* The lowest covers the display, the others lie in rows. */
static void place(unsigned i, int32_t offset)
{
	struct bn_place p = bn_place_default;

	p.z = (int32_t)i;
	p.at.x = i == 0 ? 0 : (int32_t)((i - 1) % 5 * 120) + offset;
	p.at.y = i == 0 ? 0 : (int32_t)((i - 1) / 5 * 140);
	bn_layer_set_place(rig.layer[i], &p);
}

static void open_rig(void)
{
	struct bn_output_config config = {.name = "bench", .kind = BN_OUTPUT_KMS, .width = 640, .height = 480, .refresh_mhz = 60000, .card = "/dev/dri/card0"};
	struct bn_clock clock = {clock_now, NULL};

	rig.now = BN_NS_PER_S;
	rig.loop = wl_event_loop_create();
	mock_kms_start(&mock_rk3588);
	if (bn_output_create_clocked(&rig.output, rig.loop, &config, &clock) < 0)
		exit(1);
	for (unsigned i = 0; i < LAYERS; i++) {
		rig.layer[i] = bn_layer_create(rig.output, &listener, NULL);
		for (unsigned k = 0; k < 2; k++)
			rig.buffer[i][k] = make_buffer(i ? WIDTH : 640, i ? HEIGHT : 480);
		bn_layer_set_owner(rig.layer[i], "layer", 0, 0);
		place(i, 0);
	}
}

static void close_rig(void)
{
	for (unsigned i = 0; i < LAYERS; i++)
		bn_layer_destroy(rig.layer[i]);
	bn_output_destroy(rig.output);
	for (unsigned i = 0; i < 2 * LAYERS; i++)
		bn_buffer_drop(rig.buffer[i / 2][i % 2]);
	mock_kms_stop();
	wl_event_loop_destroy(rig.loop);
}

static void print_result(const char *scene, unsigned count)
{
	struct bn_output_status s;

	bn_output_status(rig.output, &s);
	printf("\n{\"name\": \"%s\", \"frames\": %u, \"commits\": %llu, \"tests\": %llu, \"planes_used\": %u, \"composed\": %llu, \"composed_bytes\": %llu, "
	       "\"commit_p50_us\": %.1f, \"commit_p99_us\": %.1f, \"commit_max_us\": %.1f}\n",
		scene, count, (unsigned long long)s.commits, (unsigned long long)s.tests, s.planes_used, (unsigned long long)s.composed,
		(unsigned long long)s.composed_bytes, (double)bn_histogram_quantile(&s.commit, 0.5) / 1e3,
		(double)bn_histogram_quantile(&s.commit, 0.99) / 1e3, (double)s.commit.max_ns / 1e3);
}

static void run_scene(const char *name, unsigned count, bool moves)
{
	open_rig();
	for (unsigned frame = 0; frame < count; frame++) {
		if (moves)
			place(3, (int32_t)(frame % 20));
		for (unsigned i = 0; i < LAYERS; i++)
			submit(i, frame);
		rig.now += PERIOD / 2;
		wl_event_loop_dispatch(rig.loop, 0);
		bn_pacer_run(&rig.output->pacer);
		wl_event_loop_dispatch(rig.loop, 0);
		rig.now += PERIOD / 2;
		mock_kms_vblank(rig.now);
		wl_event_loop_dispatch(rig.loop, 0);
	}
	print_result(name, count);
	close_rig();
}

static unsigned frames;

static void steady(void)
{
	run_scene("native-steady", frames, false);
}

static void moving(void)
{
	run_scene("native-moving", frames, true);
}

/* The mock checks what it is asked with CUnit. */
int main(int argc, char **argv)
{
	static const CU_TestInfo scenes[] = {{"a scene that stays", steady}, {"one that moves", moving}, CU_TEST_INFO_NULL};
	int n = argc == 2 ? atoi(argv[1]) : 0;

	if (n < 1) {
		fprintf(stderr, "usage: commit FRAMES\n");
		return 2;
	}
	frames = (unsigned)n;
	return bn_unit_main("commit", scenes);
}
