/* Outputs on a real display controller: what the hardware writes back is what a reference renderer says. Needs a card that is
 * free: vkms in tests/uml-host/run.sh, or on another machine the one that BN_TEST_CARD names. */
#include <drm_fourcc.h>
#include <drm_mode.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xf86drm.h>

#include "kms_rig.h"

#define WIDTH 640u
#define HEIGHT 480u

static struct kms_rig rig;
static struct wl_event_loop *loop;

static const char *card_name(void)
{
	const char *name = getenv("BN_TEST_CARD");

	return name ? name : "/dev/dri/card0";
}

static bool is_vkms(void)
{
	return strcmp(kms_rig_status(&rig).driver, "vkms") == 0;
}

static void open_rig(void)
{
	loop = wl_event_loop_create();
	CU_ASSERT_EQUAL_FATAL(kms_rig_open(&rig, loop, card_name(), "", WIDTH, HEIGHT, 60000), 0);
}

static void close_rig(void)
{
	kms_rig_close(&rig);
	wl_event_loop_destroy(loop);
}

static enum bn_shown_how how(const struct bn_layer *layer)
{
	struct bn_layer_shown shown;

	bn_layer_shown(layer, &shown);
	return shown.how;
}

static void test_first_picture(void)
{
	uint64_t start = bn_now_ns(), opened;
	struct bn_output_status status;
	unsigned before = kms_rig_presented[BN_PRESENTED_SHOWN];

	open_rig();
	opened = bn_now_ns();
	kms_rig_layer(&rig, 0xff305080, 0, 0, WIDTH, HEIGHT);
	CU_ASSERT(kms_rig_settle(&rig));
	printf("(open %.1f ms, shown after %.1f ms) ", (double)(opened - start) / 1e6,
		(double)(bn_now_ns() - start) / 1e6);
	CU_ASSERT_EQUAL(kms_rig_presented[BN_PRESENTED_SHOWN], before + 1);
	CU_ASSERT_EQUAL(kms_rig_distance(&rig), 0);
	status = kms_rig_status(&rig);
	CU_ASSERT(status.connected && status.active);
	CU_ASSERT(status.connector[0] != '\0');
	CU_ASSERT_EQUAL(status.planes_used, 1);
	printf("(%s, %s on %s, %u planes) ", status.driver, status.connector, status.card,
		status.planes);
	CU_ASSERT_EQUAL(how(rig.scene.layers[0]), BN_SHOWN_PLANE);
	close_rig();
}

/* How five bits become eight is the hardware's own choice. */
static bool has_rgb565(void)
{
	for (unsigned i = 0; i < rig.scene.count; i++) {
		const struct bn_frame *frame = bn_layer_current(rig.scene.layers[i]);

		if (frame->buffer && bn_buffer_attrs(frame->buffer)->fourcc == DRM_FORMAT_RGB565)
			return true;
	}
	return false;
}

static void random_scenes(uint64_t seed, unsigned count, unsigned kinds, unsigned tolerance)
{
	unsigned worst = 0;

	open_rig();
	for (unsigned i = 0; i < count; i++) {
		struct scene_random random = {seed + i};
		unsigned layers = 1 + scene_random_below(&random, 14), distance;

		for (unsigned k = 0; k < layers; k++)
			scene_fixture_add(&rig.scene, &random, kinds);
		distance = kms_rig_distance(&rig);
		if (distance == 1 && has_rgb565())
			distance = 0;
		if (distance > tolerance)
			printf("[seed %llu: %u] ", (unsigned long long)(seed + i), distance);
		if (distance > worst)
			worst = distance;
		kms_rig_clear(&rig);
	}
	CU_ASSERT(worst <= tolerance);
	printf("(worst %u, %.1f tests a scene) ", worst,
		(double)kms_rig_status(&rig).tests / count);
	close_rig();
}

static void test_plain(void)
{
	random_scenes(1, 40, SCENE_PLAIN, 0);
}

static void test_turned(void)
{
	random_scenes(1000, 40, SCENE_TURNED, 0);
}

/* Two ways to round. */
static void test_yuv(void)
{
	random_scenes(2000, 30, SCENE_TURNED | SCENE_YUV, 1);
}

static void test_scaled(void)
{
	random_scenes(3000, 20, SCENE_TURNED | SCENE_SCALED, 9);
}

static void test_twelve_layers(void)
{
	struct bn_output_status status;
	unsigned on_planes = 0;

	open_rig();
	for (int i = 0; i < 12; i++)
		kms_rig_layer(&rig, 0xff000000 | (uint32_t)(i * 0x151d25), 20 + i * 30, 10 + i * 20,
			120, 90);
	CU_ASSERT_EQUAL(kms_rig_distance(&rig), 0);
	for (unsigned i = 0; i < 12; i++) {
		struct bn_layer_shown shown;

		bn_layer_shown(rig.scene.layers[i], &shown);
		on_planes += shown.how == BN_SHOWN_PLANE;
		CU_ASSERT((shown.how == BN_SHOWN_PLANE) == (shown.why[0] == '\0'));
	}
	status = kms_rig_status(&rig);
	printf("(%u of 12 on planes, %u of %u planes used) ", on_planes, status.planes_used,
		status.planes);
	if (is_vkms()) {
		CU_ASSERT_EQUAL(on_planes, 8); /* the primary plane must be filled: composed */
		CU_ASSERT_EQUAL(status.planes_used, 9);
	}
	close_rig();
}

/* More layers than planes, below one that fills the display: it has the only plane. */
static void test_covered(void)
{
	struct bn_place place = bn_place_default;
	struct bn_output_status before, after;
	struct bn_layer_shown shown;
	struct bn_layer *cover;

	open_rig();
	for (int i = 0; i < 12; i++)
		kms_rig_layer(&rig, 0xff000000 | (uint32_t)(i * 0x151d25), 20 + i * 30, 10 + i * 20,
			120, 90);
	cover = kms_rig_layer(&rig, 0xff204080, 0, 0, WIDTH, HEIGHT);
	CU_ASSERT_EQUAL(kms_rig_distance(&rig), 0);
	bn_layer_shown(rig.scene.layers[3], &shown);
	CU_ASSERT_EQUAL(shown.how, BN_SHOWN_NOT);
	CU_ASSERT_PTR_NOT_NULL(strstr(shown.why, "opaque layers above"));
	before = kms_rig_status(&rig);
	CU_ASSERT_EQUAL(before.planes_used, 1);
	for (unsigned i = 0; i < 6; i++) {
		struct bn_buffer *buffer = kms_rig_buffer(0xff808080 + i, 120, 90);

		kms_rig_submit(rig.scene.layers[3], buffer);
		CU_ASSERT(kms_rig_settle(&rig));
		bn_buffer_drop(buffer);
	}
	after = kms_rig_status(&rig);
	CU_ASSERT_EQUAL(after.flips - before.flips, 6);
	CU_ASSERT_EQUAL(after.composed, before.composed);
	place.hidden = true;
	bn_layer_set_place(cover, &place);
	CU_ASSERT_EQUAL(kms_rig_distance(&rig), 0);
	CU_ASSERT(how(rig.scene.layers[3]) != BN_SHOWN_NOT);
	CU_ASSERT(kms_rig_status(&rig).planes_used > 1);
	close_rig();
}

static void test_every_order(void)
{
	struct bn_layer *layers[4];

	open_rig();
	for (int i = 0; i < 4; i++)
		layers[i] = kms_rig_layer(&rig, 0xff000000 | (uint32_t)(0x3f1020 * (i + 1)),
			100 + 40 * (i & 1), 80 + 30 * (i >> 1), 150, 130);
	for (unsigned p = 0; p < 256; p++) {
		int32_t z[4] = {p & 3, p >> 2 & 3, p >> 4 & 3, p >> 6 & 3};

		if ((1u << z[0] | 1u << z[1] | 1u << z[2] | 1u << z[3]) != 15)
			continue;
		for (unsigned i = 0; i < 4; i++) {
			struct bn_place place = *bn_layer_place(layers[i]);

			place.z = z[i];
			bn_layer_set_place(layers[i], &place);
		}
		CU_ASSERT_EQUAL(kms_rig_distance(&rig), 0);
		for (unsigned i = 0; i < 4; i++)
			CU_ASSERT_EQUAL(how(layers[i]), BN_SHOWN_PLANE);
	}
	close_rig();
}

static void test_steady_scene(void)
{
	struct bn_buffer *buffers[2];
	struct bn_output_status before, after;

	open_rig();
	for (int i = 0; i < 12; i++)
		kms_rig_layer(
			&rig, 0xff102030 * (uint32_t)(i + 1) | 0xff000000, i * 40, i * 25, 90, 70);
	buffers[0] = kms_rig_buffer(0xff808080, 90, 70);
	buffers[1] = kms_rig_buffer(0xff10c0c0, 90, 70);
	CU_ASSERT(kms_rig_settle(&rig));
	before = kms_rig_status(&rig);
	for (unsigned i = 0; i < 120; i++) {
		for (unsigned k = 4; k < 12; k++)
			kms_rig_submit(rig.scene.layers[k], buffers[i & 1]);
		CU_ASSERT(kms_rig_settle(&rig));
	}
	after = kms_rig_status(&rig);
	CU_ASSERT_EQUAL(after.tests, before.tests);
	CU_ASSERT_EQUAL(after.commits - before.commits, 120);
	CU_ASSERT_EQUAL(after.composed, before.composed);
	CU_ASSERT_EQUAL(after.failed, 0);
	CU_ASSERT_EQUAL(kms_rig_distance(&rig), 0);
	printf("(commit p50 %.0f µs, p99 %.0f µs; %llu late of %llu; %llu pixel bytes) ",
		(double)bn_histogram_quantile(&after.commit, 0.5) / 1e3,
		(double)bn_histogram_quantile(&after.commit, 0.99) / 1e3,
		(unsigned long long)after.late, (unsigned long long)after.flips,
		(unsigned long long)(after.composed_bytes - before.composed_bytes));
	for (unsigned i = 0; i < 2; i++)
		bn_buffer_drop(buffers[i]);
	close_rig();
}

/* Only what changed is drawn. */
static void test_damage(void)
{
	struct bn_frame frame = {.src_width = 200,
		.src_height = 200,
		.damage_x = 50,
		.damage_y = 60,
		.damage_width = 10,
		.damage_height = 5};
	struct bn_buffer *buffer = kms_rig_buffer(0x80202020, 200, 200);
	struct bn_place place = bn_place_default;
	struct bn_layer *layer;

	open_rig();
	layer = kms_rig_layer(&rig, 0xff445566, 0, 0, 200, 200);
	place.at = (struct bn_rect){100, 100, 0, 0};
	place.alpha = 0x8080; /* which vkms cannot: composed */
	bn_layer_set_place(layer, &place);
	frame.buffer = buffer;
	bn_layer_submit(layer, &frame);
	CU_ASSERT(kms_rig_settle(&rig));
	for (unsigned i = 0; i < 6; i++) {
		uint64_t bytes = kms_rig_status(&rig).composed_bytes;

		bn_layer_submit(layer, &frame);
		CU_ASSERT(kms_rig_distance(&rig) <= 1);
		if (i > 2 && how(layer) == BN_SHOWN_COMPOSED)
			CU_ASSERT(kms_rig_status(&rig).composed_bytes - bytes <= 3 * 50 * 4);
	}
	bn_buffer_drop(buffer);
	close_rig();
}

/* Other layers come, cover everything that they may, and ask for every plane. */
static void test_safety_under_attack(void)
{
	struct bn_place place = bn_place_default;
	struct bn_layer *safety;

	open_rig();
	safety = kms_rig_layer(&rig, 0xffff0000, 300, 200, 64, 48);
	place.at = (struct bn_rect){300, 200, 0, 0};
	place.role = BN_ROLE_SAFETY;
	place.z = 5;
	bn_layer_set_place(safety, &place);
	for (int i = 0; i < 23; i++) {
		struct bn_layer *layer = kms_rig_layer(
			&rig, 0xff00ff00 - (uint32_t)i * 0x700, i * 17, i * 11, 300, 250);

		bn_layer_set_owner(layer, "attacker", 1, i & 1 ? 8 : 0);
		if (i >= 12) { /* above it in the stack, beside it on the display */
			place = *bn_layer_place(layer);
			place.role = BN_ROLE_NORMAL;
			place.z = 9;
			place.at = (struct bn_rect){i * 17, 260 + i, 0, 0};
			bn_layer_set_place(layer, &place);
		}
		CU_ASSERT_EQUAL(kms_rig_distance(&rig), 0);
		CU_ASSERT_EQUAL(how(safety), BN_SHOWN_PLANE);
	}
	CU_ASSERT(kms_rig_status(&rig).composed > 0);
	close_rig();
}

/* Planes that are one VM's are not taken away by another's layers. */
static void test_reservation(void)
{
	struct bn_layer *own[2];

	open_rig();
	for (int i = 0; i < 2; i++) {
		own[i] = kms_rig_layer(&rig, 0xff0000ff, 20 + 200 * i, 20, 100, 100);
		bn_layer_set_owner(own[i], "own", 1, 2);
	}
	for (int i = 0; i < 16; i++) {
		kms_rig_layer(
			&rig, 0xff00ff00 + (uint32_t)i, (i % 4) * 130, 140 + (i / 4) * 70, 110, 60);
		CU_ASSERT_EQUAL(kms_rig_distance(&rig), 0);
		CU_ASSERT_EQUAL(how(own[0]), BN_SHOWN_PLANE);
		CU_ASSERT_EQUAL(how(own[1]), BN_SHOWN_PLANE);
	}
	close_rig();
}

/* The same buffer twice: all of it, and a part of it, turned, in another layer. */
static void test_map_in_cluster(void)
{
	struct bn_place place = bn_place_default;
	struct bn_layer *map;
	struct bn_buffer *buffer = kms_rig_buffer(0xff33aa55, 400, 300);

	open_rig();
	kms_rig_layer(&rig, 0xff111111, 0, 0, WIDTH, HEIGHT);
	map = kms_rig_layer(&rig, 0, 0, 0, 8, 8);
	place.crop = (struct bn_rect){40, 30, 200, 120};
	place.at = (struct bn_rect){250, 100, 0, 0};
	bn_layer_set_place(map, &place);
	kms_rig_submit(map, buffer);
	CU_ASSERT_EQUAL(kms_rig_distance(&rig), 0);
	CU_ASSERT_EQUAL(how(map), BN_SHOWN_PLANE);
	CU_ASSERT_EQUAL(kms_rig_status(&rig).planes_used, 2);
	place.transform = DRM_MODE_ROTATE_90;
	bn_layer_set_place(map, &place);
	CU_ASSERT_EQUAL(kms_rig_distance(&rig), 0);
	CU_ASSERT_EQUAL(how(map), BN_SHOWN_PLANE);
	bn_buffer_drop(buffer);
	close_rig();
}

static void test_cursor(void)
{
	static uint32_t pixels[BN_CURSOR_SIZE * BN_CURSOR_SIZE];
	struct bn_plane_status planes[BN_OUTPUT_PLANES_MAX];
	struct bn_output_status before;
	bool found = false;
	unsigned n;

	for (unsigned i = 0; i < BN_CURSOR_SIZE * BN_CURSOR_SIZE; i++)
		pixels[i] = i % 3 == 0 ? 0 : 0xff000000 | i * 77;
	open_rig();
	kms_rig_layer(&rig, 0xff405060, 50, 40, 400, 300);
	bn_layer_set_cursor(rig.scene.layers[0], pixels, 5, 7);
	bn_layer_move_cursor(rig.scene.layers[0], 100, 100);
	CU_ASSERT_EQUAL(kms_rig_distance(&rig), 0);
	n = bn_output_planes(rig.scene.output, planes, BN_OUTPUT_PLANES_MAX);
	for (unsigned i = 0; i < n; i++)
		found |= strcmp(planes[i].layer, "layer 0 cursor") == 0;
	CU_ASSERT(found);
	before = kms_rig_status(&rig);
	for (int i = 0; i < 30; i++) {
		bn_layer_move_cursor(rig.scene.layers[0], i * 17 - 30, i * 13 - 40);
		CU_ASSERT_EQUAL(kms_rig_distance(&rig), 0);
	}
	/* Nobody is asked for that: it comes and goes at the edges, that is two shapes. */
	CU_ASSERT(kms_rig_status(&rig).tests - before.tests <= 4);
	/* Under another layer it has no plane. */
	kms_rig_layer(&rig, 0xff777777, 60, 60, 100, 100);
	bn_layer_move_cursor(rig.scene.layers[0], 30, 30);
	CU_ASSERT_EQUAL(kms_rig_distance(&rig), 0);
	bn_layer_set_cursor(rig.scene.layers[0], NULL, 0, 0);
	CU_ASSERT_EQUAL(kms_rig_distance(&rig), 0);
	close_rig();
}

static void test_second_instance(void)
{
	pid_t child;
	int status;

	open_rig();
	fflush(stdout);
	child = fork();
	if (child == 0) {
		struct kms_rig other;
		struct wl_event_loop *own = wl_event_loop_create();

		_exit(kms_rig_open(&other, own, card_name(), "", WIDTH, HEIGHT, 60000) == -EBUSY
				? 0
				: 1);
	}
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	kms_rig_layer(&rig, 0xff123456, 10, 10, 100, 100);
	CU_ASSERT_EQUAL(kms_rig_distance(&rig), 0);
	close_rig();
}

static void test_wrong_names(void)
{
	struct kms_rig other;

	open_rig();
	CU_ASSERT_EQUAL(
		kms_rig_open(&other, loop, "/dev/dri/card77", "", 640, 480, 60000), -ENOENT);
	CU_ASSERT(kms_rig_open(&other, loop, "nosuchdriver", "", 640, 480, 60000) < 0);
	CU_ASSERT_EQUAL(
		kms_rig_open(&other, loop, card_name(), "HDMI-Z-9", 640, 480, 60000), -ENXIO);
	if (is_vkms()) /* it has one, and that is taken */
		CU_ASSERT_EQUAL(
			kms_rig_open(&other, loop, card_name(), "", 640, 480, 60000), -ENXIO);
	kms_rig_layer(&rig, 0xff123456, 10, 10, 100, 100);
	CU_ASSERT_EQUAL(kms_rig_distance(&rig), 0);
	close_rig();
}

/* So many frames were shown since; false: that takes too long. */
static bool presented(unsigned count)
{
	for (unsigned i = 0; i < 1000 && kms_rig_presented[BN_PRESENTED_SHOWN] < count; i++)
		kms_rig_run(loop, 10);
	return kms_rig_presented[BN_PRESENTED_SHOWN] == count;
}

static bool is_active(const struct kms_rig *of, bool active)
{
	for (unsigned i = 0; i < 1000 && kms_rig_status(of).active != active; i++)
		kms_rig_run(loop, 10);
	return kms_rig_status(of).active == active;
}

static void test_master_lost(void)
{
	const struct bn_kms_output *ko;
	unsigned before;

	open_rig();
	ko = bn_kms_output_of(rig.scene.output);
	kms_rig_layer(&rig, 0xff123456, 10, 10, 100, 100);
	CU_ASSERT_EQUAL(kms_rig_distance(&rig), 0);
	CU_ASSERT_EQUAL(drmDropMaster(ko->card->fd), 0);
	before = kms_rig_presented[BN_PRESENTED_SHOWN];
	/* Guests go on all the same. */
	for (unsigned i = 0; i < 5; i++) {
		struct bn_buffer *buffer = kms_rig_buffer(0xff00aa00 + i, 100, 100);

		kms_rig_submit(rig.scene.layers[0], buffer);
		bn_buffer_drop(buffer);
		CU_ASSERT(presented(before + i + 1));
	}
	CU_ASSERT(!kms_rig_status(&rig).active);
	CU_ASSERT_EQUAL(how(rig.scene.layers[0]), BN_SHOWN_NOT);
	/* It asks every second, and nobody else has it. */
	CU_ASSERT(is_active(&rig, true));
	CU_ASSERT_EQUAL(kms_rig_distance(&rig), 0);
	close_rig();
}

/* Two displays on one card: one is unplugged and returns, the other notices nothing. */
static void test_unplug(void)
{
	struct kms_rig a, b;
	char path[32] = "";
	unsigned shown;

	if (!kms_card_make(2)) {
		printf("(this kernel makes no second card, not run) ");
		CU_ASSERT_PTR_NULL(getenv("BN_TEST_DMABUF"));
		return;
	}
	for (unsigned i = 1; i < 16 && path[0] == '\0'; i++) {
		snprintf(path, sizeof(path), "/dev/dri/card%u", i);
		if (access(path, F_OK) < 0)
			path[0] = '\0';
	}
	loop = wl_event_loop_create();
	CU_ASSERT_EQUAL_FATAL(kms_rig_open(&a, loop, path, "", 640, 480, 60000), 0);
	/* The other has a refresh rate of its own. */
	CU_ASSERT_EQUAL_FATAL(kms_rig_open(&b, loop, path, "", 800, 600, 56250), 0);
	CU_ASSERT(abs((int)bn_output_config(a.scene.output)->refresh_mhz - 60000) < 100);
	CU_ASSERT(abs((int)bn_output_config(b.scene.output)->refresh_mhz - 56250) < 100);
	kms_rig_layer(&a, 0xffaa0000, 10, 10, 100, 100);
	kms_rig_layer(&b, 0xff00aa00, 20, 20, 100, 100);
	CU_ASSERT_EQUAL(kms_rig_distance(&a), 0);
	CU_ASSERT_EQUAL(kms_rig_distance(&b), 0);
	for (unsigned round = 0; round < 3; round++) {
		CU_ASSERT(kms_card_plug(0, false));
		CU_ASSERT(is_active(&a, false));
		CU_ASSERT(!kms_rig_status(&a).connected);
		shown = kms_rig_presented[BN_PRESENTED_SHOWN];
		for (unsigned i = 0; i < 10; i++) {
			struct bn_buffer *buffer = kms_rig_buffer(0xff00aa00 + i, 100, 100);

			kms_rig_submit(a.scene.layers[0], buffer);
			kms_rig_submit(b.scene.layers[0], buffer);
			bn_buffer_drop(buffer);
			CU_ASSERT(presented(shown + 2 * i + 2));
		}
		CU_ASSERT_EQUAL(kms_rig_distance(&b), 0);
		CU_ASSERT(kms_card_plug(0, true));
		CU_ASSERT(is_active(&a, true));
		CU_ASSERT_EQUAL(kms_rig_distance(&a), 0);
	}
	CU_ASSERT_EQUAL(kms_rig_status(&a).unplugged, 3);
	CU_ASSERT_EQUAL(kms_rig_status(&b).unplugged, 0);
	CU_ASSERT_EQUAL(kms_rig_status(&b).failed, 0);
	kms_rig_close(&a);
	kms_rig_close(&b);
	wl_event_loop_destroy(loop);
	kms_card_remove();
}

static const CU_TestInfo tests[] = {
	{"the first picture comes at once", test_first_picture},
	{"random scenes", test_plain},
	{"random scenes, turned", test_turned},
	{"random scenes with video", test_yuv},
	{"random scenes, scaled", test_scaled},
	{"twelve layers", test_twelve_layers},
	{"layers that an opaque one covers", test_covered},
	{"overlap in every order", test_every_order},
	{"a steady scene asks nothing", test_steady_scene},
	{"only what changed is drawn", test_damage},
	{"a safety layer under attack", test_safety_under_attack},
	{"planes reserved for a VM", test_reservation},
	{"a map in the cluster", test_map_in_cluster},
	{"cursors", test_cursor},
	{"a second instance on the card", test_second_instance},
	{"names that are not there", test_wrong_names},
	{"the master is lost", test_master_lost},
	{"a display is unplugged and returns", test_unplug},
	CU_TEST_INFO_NULL,
};

int main(void)
{
	return bn_unit_main("kms", tests);
}
