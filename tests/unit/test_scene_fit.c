/* A scene on displays that are not what it was made for: other modes, fewer planes. The display controller is data. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <drm_fourcc.h>
#include <wayland-server-core.h>

#include "events.h"
#include "frames.h"
#include "kms_impl.h"
#include "mock_kms.h"
#include "scene.h"
#include "unit.h"

static struct wl_event_loop *loop;
static struct bn_settings settings;
static struct bn_displays displays;
static struct bn_monitor monitor[2];
static struct bn_frames *frames[BN_SETTINGS_VMS_MAX];
static struct bn_stage *stage;
static struct bn_events *events;
static unsigned changes;

/* ---- what is said ---- */

static int log_fd = -1, stderr_fd;

static void catch_log(void)
{
	fflush(stderr);
	log_fd = memfd_create("log", MFD_CLOEXEC);
	stderr_fd = dup(2);
	CU_ASSERT_FATAL(log_fd >= 0 && stderr_fd >= 0);
	dup2(log_fd, 2);
}

/* What was logged since catch_log(); valid until the next call. */
static const char *caught_log(void)
{
	static char text[16384];
	ssize_t n;
	fflush(stderr);
	dup2(stderr_fd, 2);
	close(stderr_fd);
	n = pread(log_fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	close(log_fd);
	return text;
}

static unsigned count_of(const char *text, const char *word)
{
	unsigned n = 0;
	while ((text = strstr(text, word))) {
		n++;
		text += strlen(word);
	}
	return n;
}

/* ---- the service ---- */

static void handle_changed(void *data, struct bn_display *display)
{
	changes++;
	bn_stage_displays_changed(stage, events);
}

static void handle_send(void *data, enum bn_link_type type, const void *payload, size_t size)
{
}

static const struct bn_frames_listener listener = {.send = handle_send};

static struct bn_scene_layer *add(const char *name, unsigned vm, int line)
{
	struct bn_scene_layer *l = &settings.scene.layers[settings.scene.num_layers++];
	*l = (struct bn_scene_layer){.place = bn_place_default, .line = line};
	snprintf(l->name, sizeof(l->name), "%s", name);
	snprintf(l->vm, sizeof(l->vm), "v%u", vm);
	strcpy(l->output, "panel");
	return l;
}

/* Two VMs with a screen each on one display; layers are the test's. */
static void prepare(const struct mock_hw *hw)
{
	settings = (struct bn_settings){.file = "car.ini", .num_outputs = 1, .num_vms = 2};
	settings.outputs[0].config = (struct bn_output_config){.name = "panel",
		.kind = BN_OUTPUT_KMS,
		.width = 1280,
		.height = 720,
		.refresh_mhz = 60000,
		.card = "/dev/dri/card0",
		.preferred_mode = true};
	for (unsigned i = 0; i < 2; i++) {
		snprintf(settings.vms[i].name, BN_SETTINGS_NAME_MAX, "v%u", i);
		strcpy(settings.vms[i].scanout[0], "panel");
		settings.vms[i].num_scanouts = 1;
		settings.vms[i].line = 10 + 5 * (int)i;
	}
	changes = 0;
	mock_kms_start(hw);
	loop = wl_event_loop_create();
	events = bn_events_create(&settings, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(events);
}

static void start(void)
{
	CU_ASSERT_EQUAL_FATAL(bn_displays_init(&displays, loop, &settings), 0);
	for (unsigned vm = 0; vm < 2; vm++) {
		struct bn_output *output = displays.display[0].output;
		bn_monitor_init(&monitor[vm]);
		frames[vm] = bn_frames_create(&output, 1, &monitor[vm], &listener, NULL);
		CU_ASSERT_PTR_NOT_NULL_FATAL(frames[vm]);
	}
	CU_ASSERT_EQUAL_FATAL(bn_stage_create(&stage, &settings, &displays, frames), 0);
	displays.changed = handle_changed;
}

static void stop(void)
{
	bn_stage_destroy(stage);
	bn_frames_destroy(frames[0]);
	bn_frames_destroy(frames[1]);
	bn_displays_finish(&displays);
	bn_events_destroy(events);
	wl_event_loop_destroy(loop);
	mock_kms_stop();
}

/* ---- modes ---- */

static void plug(const struct mock_mode *modes)
{
	for (unsigned i = 0; i < 2; i++) {
		mock.unplugged[0] = i == 0;
		mock.modes[0] = modes;
		bn_kms_probe_all(bn_kms_output_of(displays.display[0].output)->card);
		for (unsigned k = 0; k < 20; k++)
			wl_event_loop_dispatch(loop, 10);
	}
}

static const struct bn_event *last_event(void)
{
	return bn_events_from(events, bn_events_next(events) - 1);
}

static bool told_guests(uint32_t width, uint32_t height)
{
	struct bn_link_displays told;
	bn_displays_describe(&displays, &settings.vms[0], &told);
	return told.display[0].width == width && told.display[0].height == height;
}

static void test_mode(void)
{
	static const struct mock_mode large[] = {{640, 480, 60}, {0}},
				      small[] = {{320, 240, 60}, {0}};
	const char *text;
	prepare(&mock_rk3588);
	mock.modes[0] = large;
	add("gauges", 0, 20)->place = (struct bn_place){.at = {300, 200, 100, 100},
		.alpha = BN_ALPHA_OPAQUE,
		.transform = bn_place_default.transform,
		.role = BN_ROLE_SAFETY};
	add("map", 1, 30)->place.at = (struct bn_rect){400, 100, 100, 100};
	add("tuner", 1, 40)->place.at = (struct bn_rect){10, 10, 100, 100};
	start();
	CU_ASSERT(told_guests(640, 480));
	CU_ASSERT_EQUAL(bn_events_next(events), 1);
	catch_log();
	plug(small);
	text = caught_log();
	CU_ASSERT_EQUAL(changes, 1);
	CU_ASSERT(told_guests(320, 240));
	CU_ASSERT_EQUAL(
		count_of(text, "car.ini:20: the scene: layer gauges: a safety layer is "), 1);
	CU_ASSERT_EQUAL(count_of(text, "car.ini:30: the scene: layer map: it lies outside"), 1);
	CU_ASSERT_EQUAL(count_of(text, "the scene:"), 2);
	CU_ASSERT_EQUAL(count_of(text, "panel is 320x240 now: 2 layers there are not"), 1);
	CU_ASSERT_EQUAL_FATAL(bn_events_next(events), 2);
	CU_ASSERT_EQUAL(last_event()->kind, BN_EVENT_SCENE);
	CU_ASSERT_PTR_NOT_NULL(strstr(last_event()->text, "output panel is 320x240: layer gauges"));
	CU_ASSERT_EQUAL(bn_stage_scene(stage)->num_layers, 3);
	/* The same again: nothing is new. */
	catch_log();
	plug(small);
	CU_ASSERT_EQUAL(count_of(caught_log(), "the scene"), 0);
	CU_ASSERT_EQUAL(changes, 1);
	CU_ASSERT_EQUAL(bn_events_next(events), 2);
	catch_log();
	plug(large);
	CU_ASSERT_EQUAL(count_of(caught_log(), "the scene goes with it again"), 1);
	CU_ASSERT(told_guests(640, 480));
	CU_ASSERT_EQUAL(bn_events_next(events), 3);
	stop();
}

/* Seen when it starts; what it starts with is not to be undone by it. */
static void test_start(void)
{
	static const struct mock_mode small[] = {{320, 240, 60}, {0}};
	const char *text;
	prepare(&mock_rk3588);
	mock.modes[0] = small;
	add("map", 1, 30)->place.at = (struct bn_rect){400, 100, 100, 100};
	catch_log();
	start();
	text = caught_log();
	CU_ASSERT_EQUAL(count_of(text, "car.ini:30: the scene: layer map: it lies outside"), 1);
	CU_ASSERT_EQUAL(bn_stage_scene(stage)->num_layers, 1);
	stop();
}

/* ---- planes ---- */

static unsigned said_of_planes(const char *text)
{
	return count_of(text, "output panel has 3 planes for layers, and 5 are kept");
}

static void test_planes(void)
{
	struct bn_scene scene;
	const char *text;
	prepare(&mock_imx8); /* three planes */
	settings.vms[0].planes = 2;
	settings.vms[1].planes = 3;
	add("a", 0, 0);
	add("b", 1, 0)->place.z = 1;
	catch_log();
	start();
	text = caught_log();
	CU_ASSERT_EQUAL(said_of_planes(text), 1);
	CU_ASSERT_EQUAL(count_of(text, "car.ini:10: output"), 1);
	CU_ASSERT_EQUAL(count_of(text, "(planes= v0: 2, v1: 3)"), 1);
	/* Said once. */
	scene = *bn_stage_scene(stage);
	scene.layers[1].place.at.x = 10;
	catch_log();
	CU_ASSERT_EQUAL(bn_stage_set(stage, &scene, NULL, NULL), 0);
	CU_ASSERT_EQUAL(said_of_planes(caught_log()), 0);
	/* A VM without layers there keeps none; when it is back, that is said. */
	scene.num_layers = 1;
	CU_ASSERT_EQUAL(bn_stage_set(stage, &scene, NULL, NULL), 0);
	scene.num_layers = 2;
	catch_log();
	CU_ASSERT_EQUAL(bn_stage_set(stage, &scene, NULL, NULL), 0);
	CU_ASSERT_EQUAL(said_of_planes(caught_log()), 1);
	stop();
}

/* Safety layers take planes that nobody keeps; cursor planes are for cursors. */
static void test_planes_that_do(void)
{
	struct bn_scene scene;
	prepare(&mock_rk3588); /* six, its own primary plane among them, and the cursor's */
	settings.vms[0].planes = 4;
	add("a", 0, 0);
	add("b", 1, 0)->place.at = (struct bn_rect){200, 0, 50, 50};
	add("c", 1, 0)->place.at = (struct bn_rect){300, 0, 50, 50};
	add("d", 1, 0)->place.at = (struct bn_rect){400, 0, 50, 50};
	settings.scene.layers[0].place.at = (struct bn_rect){0, 0, 50, 50};
	catch_log();
	start();
	CU_ASSERT_EQUAL(count_of(caught_log(), "planes for layers"), 0);
	scene = *bn_stage_scene(stage);
	for (unsigned i = 1; i < 3; i++)
		scene.layers[i].place.role = BN_ROLE_SAFETY;
	catch_log();
	CU_ASSERT_EQUAL(bn_stage_set(stage, &scene, NULL, NULL), 0);
	CU_ASSERT_EQUAL(count_of(caught_log(), "planes for layers"), 0);
	scene.layers[3].place.role = BN_ROLE_SAFETY;
	catch_log();
	CU_ASSERT_EQUAL(bn_stage_set(stage, &scene, NULL, NULL), 0);
	CU_ASSERT_EQUAL(count_of(caught_log(), "has 6 planes for layers, and 7 are kept"), 1);
	stop();
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"a display comes back with another mode", test_mode},
		{"a display does not fit from the start", test_start},
		{"more planes are kept than there are", test_planes},
		{"no more planes are kept than there are", test_planes_that_do},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("scene_fit", tests);
}
