/* The running scene on headless outputs, with frames by hand: which layer shows what, whatever the scenes were before. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <drm_fourcc.h>
#include <wayland-server-core.h>

#include "common/fd.h"
#include "frames.h"
#include "scene.h"

static struct wl_event_loop *loop;
static struct bn_settings settings;
static struct bn_displays displays;
static struct bn_monitor monitor[2];
static struct bn_frames *frames[BN_SETTINGS_VMS_MAX];
static struct bn_stage *stage;
static struct bn_scene scene;
static uint64_t answered[2][2], seq[2]; /* of VM and scanout; of the VM */
static unsigned released[2], changes, faults;

/* VM 0 has a screen on output 0; VM 1 has one on each. */
static void make_settings(void)
{
	settings = (struct bn_settings){.num_outputs = 2, .num_vms = 2};
	for (unsigned i = 0; i < 2; i++) {
		settings.outputs[i].config = (struct bn_output_config){.kind = BN_OUTPUT_HEADLESS,
			.width = 64,
			.height = 48,
			.refresh_mhz = 1000000};
		snprintf(settings.outputs[i].config.name, BN_OUTPUT_NAME_MAX, "o%u", i);
		snprintf(settings.vms[i].name, BN_SETTINGS_NAME_MAX, "v%u", i);
		settings.vms[i].num_scanouts = i + 1;
		settings.vms[i].planes = i;
	}
	strcpy(settings.vms[0].scanout[0], "o0");
	strcpy(settings.vms[1].scanout[0], "o0");
	strcpy(settings.vms[1].scanout[1], "o1");
}

static void handle_send(void *data, enum bn_link_type type, const void *payload, size_t size)
{
	unsigned vm = (unsigned)(uintptr_t)data;
	const struct bn_link_presented *p = payload;
	if (type == BN_LINK_PRESENTED) {
		CU_ASSERT_TRUE(p->seq > answered[vm][p->scanout]);
		answered[vm][p->scanout] = p->seq;
	} else {
		const struct bn_link_release *r = payload;
		CU_ASSERT_TRUE(r->buffer >= 1 && r->buffer <= 3);
		CU_ASSERT_TRUE(r->seq >= 1 && r->seq <= seq[vm]);
		released[vm]++;
	}
}

static const struct bn_frames_listener listener = {.send = handle_send};

static void handle_change(void *data)
{
	changes++;
}

static struct bn_scene_layer *add(const char *name, unsigned vm, unsigned scanout, unsigned output)
{
	struct bn_scene_layer *l = &scene.layers[scene.num_layers++];
	*l = (struct bn_scene_layer){.scanout = scanout, .place = bn_place_default};
	snprintf(l->name, sizeof(l->name), "%s", name);
	snprintf(l->vm, sizeof(l->vm), "v%u", vm);
	snprintf(l->output, sizeof(l->output), "o%u", output);
	return l;
}

static void add_numbered(unsigned number, unsigned vm, unsigned scanout, unsigned output)
{
	char name[16];
	snprintf(name, sizeof(name), "n%u", number);
	add(name, vm, scanout, output);
}

static void test_start(void)
{
	memset(answered, 0, sizeof(answered));
	memset(seq, 0, sizeof(seq));
	loop = wl_event_loop_create();
	make_settings();
	settings.scene.num_layers = 0;
	scene.num_layers = 0;
	add("v0", 0, 0, 0);
	add("v1", 1, 0, 0);
	add("v1.1", 1, 1, 1);
	settings.scene = scene;
	CU_ASSERT_EQUAL_FATAL(bn_displays_init(&displays, loop, &settings), 0);
	for (unsigned vm = 0; vm < 2; vm++) {
		struct bn_output *outputs[2] = {
			displays.display[0].output, displays.display[1].output};
		bn_monitor_init(&monitor[vm]);
		frames[vm] = bn_frames_create(outputs, settings.vms[vm].num_scanouts, &monitor[vm],
			&listener, (void *)(uintptr_t)vm);
		CU_ASSERT_PTR_NOT_NULL_FATAL(frames[vm]);
	}
	CU_ASSERT_EQUAL_FATAL(bn_stage_create(&stage, &settings, &displays, frames), 0);
	bn_stage_follow(stage, handle_change, NULL);
	CU_ASSERT_PTR_EQUAL(bn_stage_layer(stage, 1), bn_frames_layer(frames[1], 0));
}

static void test_stop(void)
{
	bn_stage_destroy(stage);
	bn_frames_destroy(frames[0]);
	bn_frames_destroy(frames[1]);
	bn_displays_finish(&displays);
	wl_event_loop_destroy(loop);
}

/* ---- frames ---- */

static void announce(unsigned vm, uint64_t id)
{
	int fd = bn_memfd_create("test", 64 * 48 * 4);
	const struct bn_link_buffer m = {.id = id,
		.kind = BN_LINK_BUFFER_MEMFD,
		.width = 64,
		.height = 48,
		.fourcc = DRM_FORMAT_XRGB8888,
		.modifier = DRM_FORMAT_MOD_LINEAR,
		.planes = 1,
		.stride = {64 * 4}};
	const char *why = "";
	bool good = bn_frames_buffer_new(frames[vm], &m, &fd, 1, &why);
	if (!good)
		printf("\n%s\n", why);
	CU_ASSERT_TRUE_FATAL(good);
}

static void flush(unsigned vm, unsigned scanout, uint64_t id)
{
	const struct bn_link_frame m = {.seq = ++seq[vm],
		.buffer = id,
		.scanout = scanout,
		.src_width = 64,
		.src_height = 48,
		.damage_width = 64,
		.damage_height = 48};
	const char *why = "";
	CU_ASSERT_TRUE(bn_frames_frame(frames[vm], &m, &why));
}

/* A refresh is a millisecond; the number of turns only keeps a broken one from going on for ever. */
static void run_until_shown(void)
{
	const struct bn_scene *now = bn_stage_scene(stage);
	bool through = false;
	for (unsigned turn = 0; turn < 2000 && !through; turn++) {
		wl_event_loop_dispatch(loop, 5);
		through = answered[1][0] + answered[1][1] > 0 &&
			  (answered[1][0] == seq[1] || answered[1][1] == seq[1]) &&
			  answered[0][0] == seq[0];
		for (size_t i = 0; i < now->num_layers; i++)
			through = through && bn_layer_current(bn_stage_layer(stage, i))->buffer ==
						     bn_layer_current(
							     bn_frames_layer(frames[now->layers[i].vm[1] - '0'],
								     now->layers[i].scanout))
							     ->buffer;
	}
	CU_ASSERT_TRUE(through);
}

/* Each layer of the scene is one layer on its output, where and how the scene says. */
static void check_stage(const struct bn_scene *want)
{
	const struct bn_scene *now = bn_stage_scene(stage);
	CU_ASSERT_EQUAL_FATAL(now->num_layers, want->num_layers);
	for (size_t i = 0; i < now->num_layers; i++) {
		const struct bn_scene_layer *l = &want->layers[i];
		struct bn_layer *layer = bn_stage_layer(stage, i);
		struct bn_place place = *bn_layer_place(layer);
		size_t found;
		CU_ASSERT_STRING_EQUAL(bn_layer_name(layer), l->name);
		CU_ASSERT_STRING_EQUAL(bn_display_name(bn_stage_display(stage, i)), l->output);
		CU_ASSERT_TRUE(bn_stage_find(stage, l->name, &found) && found == i);
		CU_ASSERT_EQUAL(memcmp(&place.at, &l->place.at, sizeof(place.at)), 0);
		CU_ASSERT_EQUAL(place.hidden, l->place.hidden);
		for (size_t k = 0; k < i; k++) {
			CU_ASSERT_PTR_NOT_EQUAL(layer, bn_stage_layer(stage, k));
			if (bn_stage_display(stage, k) != bn_stage_display(stage, i))
				continue;
			CU_ASSERT_EQUAL(bn_layer_place(bn_stage_layer(stage, k))->z > place.z,
				l->place.z < want->layers[k].place.z);
			CU_ASSERT_NOT_EQUAL(bn_layer_place(bn_stage_layer(stage, k))->z, place.z);
		}
	}
}

static void count_fault(void *data, const struct bn_scene_layer *layer, const char *fault)
{
	faults++;
}

static int set(void)
{
	faults = 0;
	return bn_stage_set(stage, &scene, count_fault, NULL);
}

static void set_ok(void)
{
	unsigned before = changes;
	CU_ASSERT_EQUAL(set(), 0);
	CU_ASSERT_EQUAL(changes, before + 1);
	check_stage(&scene);
}

static void test_frames(void)
{
	for (unsigned vm = 0; vm < 2; vm++) {
		for (uint64_t id = 1; id <= 3; id++)
			announce(vm, id);
	}
	flush(0, 0, 1);
	flush(1, 0, 1);
	flush(1, 1, 2);
	run_until_shown();
	/* One that comes later shows what there is. */
	add("late", 0, 0, 1);
	add("again", 0, 0, 0)->place.z = -5;
	set_ok();
	run_until_shown();
	CU_ASSERT_PTR_NOT_NULL(bn_layer_current(bn_stage_layer(stage, 3))->buffer);
	flush(0, 0, 2);
	run_until_shown();
	CU_ASSERT_TRUE(released[0] >= 1); /* the first is nobody's any more */
	/* The renderer dies: pictures stay; the VM goes: they go. */
	bn_frames_renderer_gone(frames[0]);
	CU_ASSERT_PTR_NOT_NULL(bn_layer_current(bn_stage_layer(stage, 3))->buffer);
	seq[0] = answered[0][0] = 0;
	bn_frames_clear(frames[0]);
	for (unsigned turn = 0; turn < 2000 && bn_layer_current(bn_stage_layer(stage, 3))->buffer;
		turn++)
		wl_event_loop_dispatch(loop, 5);
	CU_ASSERT_PTR_NULL(bn_layer_current(bn_stage_layer(stage, 3))->buffer);
	announce(0, 1);
	flush(0, 0, 1);
	run_until_shown();
}

/* The scanout's own layer plays whatever is left for it, or hides. */
static void test_home(void)
{
	struct bn_layer *home = bn_frames_layer(frames[1], 1);
	scene.num_layers = 0;
	add("a", 1, 1, 0);
	set_ok();
	CU_ASSERT_TRUE(bn_layer_place(home)->hidden);
	flush(1, 1, 3); /* and paces nevertheless */
	run_until_shown();
	add("b", 1, 1, 1)->place.at.x = 7;
	add("c", 1, 1, 1);
	set_ok();
	CU_ASSERT_PTR_EQUAL(bn_stage_layer(stage, 1), home);
	scene.layers[1] = scene.layers[2];
	scene.num_layers = 2;
	set_ok();
	CU_ASSERT_PTR_EQUAL(bn_stage_layer(stage, 1), home);
	CU_ASSERT_FALSE(bn_layer_place(home)->hidden);
	flush(1, 1, 1);
	run_until_shown();
}

static void test_refused(void)
{
	const struct bn_scene before = *bn_stage_scene(stage);
	unsigned told = changes;
	add("bad", 0, 5, 0);
	add("worse", 0, 0, 7);
	CU_ASSERT_EQUAL(set(), -EINVAL);
	CU_ASSERT_EQUAL(faults, 2);
	CU_ASSERT_EQUAL(changes, told);
	check_stage(&before);
	scene = before;
	faults = 0;
	CU_ASSERT_EQUAL(bn_stage_check_mode(stage, &displays.display[0], 32, 32, count_fault, NULL), 0);
	scene.layers[0].place.role = BN_ROLE_SAFETY;
	scene.layers[0].place.at = (struct bn_rect){0, 0, 64, 48};
	set_ok();
	CU_ASSERT_EQUAL(bn_stage_check_mode(stage, &displays.display[0], 63, 48, count_fault, NULL), 1);
	CU_ASSERT_EQUAL(faults, 1);
	CU_ASSERT_EQUAL(bn_stage_check_mode(stage, &displays.display[0], 64, 48, NULL, NULL), 0);
}

static void test_room(void)
{
	scene.num_layers = 0;
	set_ok();
	/* On o1 there is the own layer of v1.1, hidden, and so room for 23 others. */
	for (unsigned i = 0; i < BN_OUTPUT_LAYERS_MAX; i++)
		add_numbered(i, 0, 0, 1);
	CU_ASSERT_EQUAL(set(), -ENOSPC);
	CU_ASSERT_EQUAL(faults, 0);
	CU_ASSERT_EQUAL(bn_stage_scene(stage)->num_layers, 0);
	scene.num_layers--;
	set_ok();
	run_until_shown();
	/* All of them go to another VM's screen, though there is room for none besides. */
	for (unsigned i = 0; i < scene.num_layers; i++)
		strcpy(scene.layers[i].vm, "v1");
	set_ok();
	run_until_shown();
	flush(1, 0, 2);
	run_until_shown();
	scene.num_layers = 0;
	set_ok();
}

static uint32_t random_state = 7;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % n;
}

static void random_scene(void)
{
	if (random_below(6) == 0)
		scene.num_layers = 0;
	while (scene.num_layers > 0 && random_below(2)) {
		unsigned i = random_below((uint32_t)scene.num_layers);
		scene.layers[i] = scene.layers[--scene.num_layers];
	}
	for (unsigned n = random_below(8); n > 0 && scene.num_layers < 60; n--) {
		unsigned vm = random_below(2), number = 0;
		char name[16];
		do
			snprintf(name, sizeof(name), "n%u", number++);
		while (bn_scene_find(&scene, name));
		add(name, vm, random_below(vm + 1), random_below(2));
	}
	for (size_t i = 0; i < scene.num_layers; i++) {
		struct bn_place *p = &scene.layers[i].place;
		if (random_below(3))
			continue;
		p->z = (int32_t)random_below(5) - 2;
		p->hidden = random_below(4) == 0;
		p->at.x = (int32_t)random_below(60);
	}
}

static void test_random(void)
{
	unsigned good = 0, full = 0;
	scene = *bn_stage_scene(stage);
	for (unsigned round = 0; round < 3000; round++) {
		const struct bn_scene before = *bn_stage_scene(stage);
		random_scene();
		int ret = set();
		CU_ASSERT_TRUE_FATAL(ret == 0 || ret == -ENOSPC || ret == -EINVAL);
		check_stage(ret == 0 ? &scene : &before);
		good += ret == 0;
		full += ret != 0;
		scene = *bn_stage_scene(stage);
		if (round % 50 == 0) {
			flush(0, 0, 1);
			flush(1, round / 50 % 2, 1 + round / 50 % 3);
			run_until_shown();
		}
	}
	printf("(%u shown, %u refused) ", good, full);
	CU_ASSERT_TRUE(good > 2000);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"the configuration's scene", test_start},
		{"frames go to all layers", test_frames},
		{"a scanout's own layer", test_home},
		{"what is refused changes nothing", test_refused},
		{"no room, and layers that change hands", test_room},
		{"random scenes, one after the other", test_random},
		{"the end", test_stop},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("stage", tests);
}
