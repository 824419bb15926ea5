/* Watches of outputs that show nothing for a while, and that come back: a headless output that says of itself whatever the
 * test wants. Times go by for real; nothing depends on how long something takes. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <drm_fourcc.h>
#include <wayland-server-core.h>

#include "common/clock.h"
#include "common/fd.h"
#include "output_impl.h"
#include "events.h"
#include "watchdog.h"

#define LIMIT_MS 100
#define LONGER_MS (4 * LIMIT_MS)

static struct wl_event_loop *loop;
static struct bn_settings settings;
static struct bn_displays displays;
static struct bn_watchdogs *dogs;
static struct bn_output_impl impl; /* as headless, but … */
static bool active, hung;
static struct bn_layer *layer;
static struct bn_buffer *buffer;

static bool is_active(const struct bn_output *output)
{
	return active;
}

static int read_output(struct bn_output *output, const struct bn_rect *rect, uint32_t *pixels,
	struct bn_read_info *info)
{
	return hung ? -ETIMEDOUT : bn_output_read_layers(output, rect, pixels, info);
}

static void handle_presented(
	void *data, const struct bn_frame *frame, enum bn_presented how, uint64_t when_ns)
{
}

static const struct bn_layer_listener listener = {.presented = handle_presented};

static void set_active(bool value)
{
	active = value;
	bn_output_note_active(displays.display[0].output);
}

static void run(unsigned ms)
{
	uint64_t end = bn_now_ns() + ms * BN_NS_PER_MS;
	while (bn_now_ns() < end)
		wl_event_loop_dispatch(loop, 5);
}

static void show(bool something)
{
	struct bn_frame frame = {.flush_ns = bn_now_ns()};
	if (something) {
		frame.buffer = buffer;
		frame.src_width = frame.src_height = 8;
	}
	bn_layer_submit(layer, &frame);
}

static struct bn_watch_info info(void)
{
	struct bn_watch_info i;
	bn_watchdogs_describe(dogs, 0, &i);
	return i;
}

static uint64_t failures(void)
{
	struct bn_watch_info i = info();
	uint64_t n = 0;
	for (unsigned f = 0; f < BN_WATCH_FAULTS; f++)
		n += i.status->count[f];
	return n;
}

/* Drawing meanwhile, if wanted. */
static bool gets(const char *state, bool drawing)
{
	for (unsigned i = 0; i < 1000; i++) {
		if (strcmp(info().state, state) == 0)
			return true;
		if (drawing)
			show(true);
		run(5);
	}
	printf("\n%s, not %s\n", info().state, state);
	return false;
}

static void open_all(uint64_t start_ns)
{
	int fd = bn_memfd_create("test", 8 * 8 * 4);
	const struct bn_buffer_attrs attrs = {.kind = BN_BUFFER_MEMFD,
		.width = 8,
		.height = 8,
		.fourcc = DRM_FORMAT_XRGB8888,
		.planes = 1,
		.fd = {fd, -1, -1, -1},
		.stride = {8 * 4}};
	loop = wl_event_loop_create();
	settings = (struct bn_settings){.num_outputs = 1, .num_watches = 1};
	settings.outputs[0].config = (struct bn_output_config){.name = "dash",
		.kind = BN_OUTPUT_HEADLESS,
		.width = 64,
		.height = 48,
		.refresh_mhz = 100000};
	settings.watches[0] = (struct bn_settings_watch){.name = "alive",
		.layer = "view",
		.output = "dash",
		.region = {0, 0, 8, 8},
		.age_ns = LIMIT_MS * BN_NS_PER_MS,
		.start_ns = start_ns,
		.bad_frames = 1,
		.good_frames = 1,
		.event_only = true};
	CU_ASSERT_EQUAL_FATAL(bn_displays_init(&displays, loop, &settings), 0);
	struct bn_output *output = displays.display[0].output;
	impl = *output->impl;
	impl.active = is_active;
	impl.read = read_output;
	hung = false;
	output->impl = &impl;
	CU_ASSERT_EQUAL_FATAL(bn_watchdogs_create(&dogs, loop, &settings, &displays), 0);
	CU_ASSERT_EQUAL_FATAL(bn_buffer_create(&buffer, &attrs, NULL, NULL), 0);
	layer = bn_layer_create(output, &listener, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(layer);
	bn_layer_set_owner(layer, "view", 0, 0);
}

static void close_all(void)
{
	bn_watchdogs_destroy(dogs);
	bn_layer_destroy(layer);
	bn_buffer_drop(buffer);
	bn_displays_finish(&displays);
	wl_event_loop_destroy(loop);
}

/* As when another session is in front: no frame is missed, and the age of what is there counts from its return. */
static void test_away(void)
{
	active = true;
	open_all(0);
	CU_ASSERT_TRUE(gets("live", true));
	CU_ASSERT_STRING_EQUAL(info().reason, "");
	set_active(false);
	CU_ASSERT_TRUE(gets("paused", false));
	CU_ASSERT_STRING_EQUAL(info().reason, "output inactive");
	CU_ASSERT_TRUE(info().status->paused);
	uint64_t before = failures();
	run(LONGER_MS);
	show(true); /* guests are paced meanwhile */
	run(LONGER_MS);
	CU_ASSERT_STRING_EQUAL(info().state, "paused");
	CU_ASSERT_EQUAL(failures(), before);
	set_active(true);
	CU_ASSERT_TRUE(gets("live", true));
	CU_ASSERT_EQUAL(failures(), before);
	/* And the rule is what it was. */
	CU_ASSERT_TRUE(gets("fault", false));
	CU_ASSERT_EQUAL(failures(), before + 1);
	CU_ASSERT_EQUAL(info().status->last, BN_WATCH_STALE);
	CU_ASSERT_TRUE(gets("live", true));
	close_all();
}

/* A guest that stopped meanwhile is found when the display is back, though it brings no picture. */
static void test_back_and_still(void)
{
	active = true;
	open_all(0);
	CU_ASSERT_TRUE(gets("live", true));
	set_active(false);
	CU_ASSERT_TRUE(gets("paused", true));
	uint64_t before = failures();
	run(LONGER_MS);
	CU_ASSERT_EQUAL(failures(), before);
	set_active(true);
	CU_ASSERT_TRUE(gets("fault", false));
	CU_ASSERT_EQUAL(failures(), before + 1);
	close_all();
}

/* A scanout that is gone when the display is back is awaited as at the start, which may take as long. */
static void test_gone_meanwhile(void)
{
	active = false;
	open_all(LONGER_MS * BN_NS_PER_MS);
	CU_ASSERT_STRING_EQUAL(info().state, "paused");
	run(2 * LONGER_MS);
	CU_ASSERT_STRING_EQUAL(info().state, "paused"); /* start-within waits, too */
	CU_ASSERT_EQUAL(failures(), 0);
	set_active(true);
	CU_ASSERT_TRUE(gets("live", true));
	uint64_t before = failures();
	set_active(false);
	CU_ASSERT_TRUE(gets("paused", false));
	show(false);
	run(LONGER_MS);
	set_active(true);
	CU_ASSERT_TRUE(gets("waiting", false));
	CU_ASSERT_EQUAL(failures(), before);
	CU_ASSERT_TRUE(gets("fault", false));
	CU_ASSERT_EQUAL(failures(), before + 1);
	CU_ASSERT_EQUAL(info().status->last, BN_WATCH_MISSING);
	close_all();
}

/* Switched off by somebody: all begins as at the start. */
static void test_off(void)
{
	active = true;
	open_all(0);
	CU_ASSERT_TRUE(gets("live", true));
	uint64_t before = failures();
	bn_display_set_enabled(&displays.display[0], false);
	bn_watchdogs_display_changed(dogs);
	CU_ASSERT_TRUE(gets("paused", false));
	CU_ASSERT_STRING_EQUAL(info().reason, "output off");
	/* Gone as well, and back before it is on again. */
	set_active(false);
	run(20);
	set_active(true);
	run(LONGER_MS);
	CU_ASSERT_STRING_EQUAL(info().state, "paused");
	bn_display_set_enabled(&displays.display[0], true);
	bn_watchdogs_display_changed(dogs);
	CU_ASSERT_TRUE(gets("waiting", false));
	CU_ASSERT_TRUE(gets("live", true));
	CU_ASSERT_EQUAL(failures(), before);
	close_all();
}

/* A display that does not answer shows something old, however well its guests do. */
static void test_hung(void)
{
	active = true;
	open_all(0);
	CU_ASSERT_TRUE(gets("live", true));
	uint64_t before = failures();
	hung = true;
	CU_ASSERT_TRUE(gets("fault", true));
	CU_ASSERT_EQUAL(failures(), before + 1);
	CU_ASSERT_EQUAL(info().status->last, BN_WATCH_STALE);
	hung = false;
	CU_ASSERT_TRUE(gets("live", true));
	close_all();
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"away", test_away},
		{"back, and nothing moves", test_back_and_still},
		{"gone meanwhile", test_gone_meanwhile},
		{"switched off", test_off},
		{"hung", test_hung},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("watch_output", tests);
}
