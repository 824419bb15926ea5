/* The pace of a headless output on a clock that the tests set: nothing here sleeps or measures. */
#include <drm_fourcc.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd.h"
#include "output_impl.h"
#include "unit.h"

#define START_NS 5000000000ull
#define HISTORY 256

struct rig {
	uint64_t now;
	struct wl_event_loop *loop;
	struct bn_output *output;
	struct bn_layer *layer;
	unsigned reports;
	struct report {
		uint64_t seq, when_ns;
		enum bn_presented how;
		bool locked;
	} report[HISTORY];
	unsigned resubmit;        /* times that the listener submits again */
	bool destroy;             /* the listener destroys the layer */
	struct bn_layer *restack; /* the listener puts it on top */
	unsigned released, destroyed;
};

static uint64_t rig_now(void *data)
{
	return ((struct rig *)data)->now;
}

static struct bn_frame frame_of(struct bn_buffer *buffer, uint64_t seq)
{
	struct bn_frame frame = {.buffer = buffer, .seq = seq, .src_width = 64, .src_height = 32};

	return frame;
}

static void submit(struct rig *rig, struct bn_buffer *buffer, uint64_t seq)
{
	struct bn_frame frame = frame_of(buffer, seq);

	bn_layer_submit(rig->layer, &frame);
}

static void handle_presented(
	void *data, const struct bn_frame *frame, enum bn_presented how, uint64_t when_ns)
{
	struct rig *rig = data;

	CU_ASSERT_FATAL(rig->reports < HISTORY);
	rig->report[rig->reports++] = (struct report){
		frame->seq, when_ns, how, frame->buffer && bn_buffer_locked(frame->buffer)};
	if (rig->restack) {
		struct bn_place place = *bn_layer_place(rig->restack);

		place.z++;
		bn_layer_set_place(rig->restack, &place);
	}
	if (rig->destroy) {
		rig->destroy = false;
		bn_layer_destroy(rig->layer);
		rig->layer = NULL;
	} else if (rig->resubmit > 0) {
		rig->resubmit--;
		submit(rig, frame->buffer, frame->seq + 1000);
	}
}

static const struct bn_layer_listener listener = {.presented = handle_presented};

static void handle_release(void *data, struct bn_buffer *buffer)
{
	((struct rig *)data)->released++;
}

static void handle_destroy(void *data, struct bn_buffer *buffer)
{
	((struct rig *)data)->destroyed++;
}

static const struct bn_buffer_listener buffer_listener = {
	.release = handle_release,
	.destroy = handle_destroy,
};

static struct bn_buffer *buffer_new(struct rig *rig)
{
	struct bn_buffer_attrs attrs = {
		.kind = BN_BUFFER_MEMFD,
		.width = 64,
		.height = 32,
		.fourcc = DRM_FORMAT_XRGB8888,
		.modifier = DRM_FORMAT_MOD_LINEAR,
		.planes = 1,
		.stride = {64 * 4},
		.fd = {bn_memfd_create("test", 64 * 4 * 32), -1, -1, -1},
	};
	struct bn_buffer *buffer;

	CU_ASSERT_EQUAL_FATAL(bn_buffer_create(&buffer, &attrs, &buffer_listener, rig), 0);
	return buffer;
}

static const struct bn_output_config config_60 = {
	.name = "test",
	.kind = BN_OUTPUT_HEADLESS,
	.width = 64,
	.height = 32,
	.refresh_mhz = 60000,
};

static void rig_init(struct rig *rig, const struct bn_output_config *config)
{
	struct bn_clock clock = {rig_now, rig};

	memset(rig, 0, sizeof(*rig));
	rig->now = START_NS;
	rig->loop = wl_event_loop_create();
	CU_ASSERT_EQUAL_FATAL(bn_output_create_clocked(&rig->output, rig->loop, config, &clock), 0);
	rig->layer = bn_layer_create(rig->output, &listener, rig);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rig->layer);
}

static void rig_finish(struct rig *rig)
{
	bn_layer_destroy(rig->layer);
	bn_output_destroy(rig->output);
	wl_event_loop_destroy(rig->loop);
}

static void run_at(struct rig *rig, uint64_t now)
{
	rig->now = now;
	bn_pacer_run(&rig->output->pacer);
}

/* The k-th vblank by another road than the code's: long division of one large product. */
static uint64_t vblank(uint64_t k, uint64_t mhz)
{
	__extension__ unsigned __int128 product = k;

	return START_NS + (uint64_t)(product * 1000000000000u / mhz);
}

static void assert_report(
	const struct rig *rig, unsigned i, uint64_t seq, enum bn_presented how, uint64_t when_ns)
{
	CU_ASSERT_FATAL(i < rig->reports);
	CU_ASSERT_EQUAL(rig->report[i].seq, seq);
	CU_ASSERT_EQUAL(rig->report[i].how, how);
	CU_ASSERT_EQUAL(rig->report[i].when_ns, when_ns);
}

static void test_presents_at_grid(void)
{
	struct bn_buffer *buffer;
	struct rig rig;

	rig_init(&rig, &config_60);
	buffer = buffer_new(&rig);
	rig.now += 1000000;
	submit(&rig, buffer, 1);
	CU_ASSERT_EQUAL(rig.output->pacer.deadline_ns, vblank(1, 60000));
	run_at(&rig, vblank(1, 60000) - 1);
	CU_ASSERT_EQUAL(rig.reports, 0);
	/* woken late: the grid's time counts */
	run_at(&rig, vblank(1, 60000) + 70000);
	CU_ASSERT_EQUAL(rig.reports, 1);
	assert_report(&rig, 0, 1, BN_PRESENTED_SHOWN, vblank(1, 60000));
	CU_ASSERT(rig.report[0].locked);
	CU_ASSERT_EQUAL(bn_output_frames(rig.output), 1);
	bn_buffer_drop(buffer);
	CU_ASSERT_EQUAL(rig.destroyed, 0); /* still shown */
	rig_finish(&rig);
	CU_ASSERT_EQUAL(rig.destroyed, 1);
}

static void test_idle_arms_nothing(void)
{
	struct bn_buffer *buffer;
	uint32_t cursor[BN_CURSOR_SIZE * BN_CURSOR_SIZE] = {0};
	struct rig rig;

	rig_init(&rig, &config_60);
	buffer = buffer_new(&rig);
	CU_ASSERT_EQUAL(rig.output->pacer.deadline_ns, 0);
	submit(&rig, buffer, 1);
	run_at(&rig, vblank(1, 60000));
	CU_ASSERT_EQUAL(rig.output->pacer.deadline_ns, 0);
	bn_layer_move_cursor(rig.layer, 5, 5); /* hidden */
	bn_layer_set_position(rig.layer, 0, 0);
	CU_ASSERT_EQUAL(rig.output->pacer.deadline_ns, 0);
	bn_layer_set_cursor(rig.layer, cursor, 0, 0);
	run_at(&rig, vblank(2, 60000));
	CU_ASSERT_EQUAL(rig.output->pacer.deadline_ns, 0);
	bn_buffer_drop(buffer);
	rig_finish(&rig);
}

static void handle_shown(void *data, uint64_t when_ns)
{
	uint64_t *when = data;

	CU_ASSERT(when_ns > *when);
	*when = when_ns;
}

/* A place, a cursor, a layer that goes: shown at a vblank, counted and told, once. */
static void test_changes_are_shown(void)
{
	uint32_t cursor[BN_CURSOR_SIZE * BN_CURSOR_SIZE] = {0};
	struct bn_place place = bn_place_default;
	struct bn_output_status *status = calloc(1, sizeof(*status));
	struct bn_buffer *buffer;
	uint64_t when = 0;
	struct rig rig;

	rig_init(&rig, &config_60);
	buffer = buffer_new(&rig);
	bn_output_set_observer(rig.output, handle_shown, &when);
	bn_layer_set_position(rig.layer, 1, 1); /* nothing to be seen of it */
	CU_ASSERT_EQUAL(rig.output->pacer.deadline_ns, 0);
	submit(&rig, buffer, 1);
	run_at(&rig, vblank(1, 60000));
	CU_ASSERT_EQUAL(when, vblank(1, 60000));
	place.at.x = 7;
	place.z = 2;
	bn_layer_set_place(rig.layer, &place);
	bn_layer_set_cursor(rig.layer, cursor, 0, 0);
	run_at(&rig, vblank(3, 60000) + 5);
	CU_ASSERT_EQUAL(when, vblank(3, 60000));
	CU_ASSERT_EQUAL(rig.reports, 1);
	CU_ASSERT_EQUAL(bn_output_frames(rig.output), 2);
	run_at(&rig, vblank(4, 60000));
	CU_ASSERT_EQUAL(when, vblank(3, 60000));
	bn_layer_destroy(rig.layer);
	rig.layer = NULL;
	run_at(&rig, vblank(5, 60000));
	CU_ASSERT_EQUAL(when, vblank(5, 60000));
	bn_output_set_observer(rig.output, NULL, NULL);
	CU_ASSERT_EQUAL(bn_output_set_mode(rig.output, 32, 32, 60000), 0);
	run_at(&rig, vblank(6, 60000));
	CU_ASSERT_EQUAL(when, vblank(5, 60000));
	bn_output_status(rig.output, status);
	CU_ASSERT_EQUAL(status->flips, 4);
	CU_ASSERT_EQUAL(status->late, 1); /* the place, by one refresh */
	CU_ASSERT(status->connected && status->active);
	free(status);
	bn_buffer_drop(buffer);
	rig_finish(&rig);
}

/* Listeners change heights while frames are being reported: every frame is, once. */
static void test_restacking_listener(void)
{
	struct bn_layer *layers[4];
	struct bn_buffer *buffer;
	struct rig rig;

	rig_init(&rig, &config_60);
	buffer = buffer_new(&rig);
	for (int i = 0; i < 4; i++) {
		struct bn_frame frame = frame_of(buffer, (uint64_t)i);

		layers[i] = bn_layer_create(rig.output, &listener, &rig);
		bn_layer_submit(layers[i], &frame);
	}
	rig.restack = layers[0];
	run_at(&rig, vblank(1, 60000));
	CU_ASSERT_EQUAL(rig.reports, 4);
	for (int i = 0; i < 4; i++)
		bn_layer_destroy(layers[i]);
	bn_buffer_drop(buffer);
	rig_finish(&rig);
}

/* Only the newest waits; what was damaged before it is still to be shown. */
static void test_newest_only(void)
{
	struct rig rig;
	struct bn_buffer *a, *b;

	rig_init(&rig, &config_60);
	a = buffer_new(&rig);
	b = buffer_new(&rig);
	bn_layer_set_newest_only(rig.layer, true);
	for (uint64_t seq = 1; seq <= 200; seq++) {
		struct bn_frame frame = frame_of(seq % 2 ? a : b, seq);

		rig.now += 1000;
		bn_layer_submit(rig.layer, &frame);
		CU_ASSERT_EQUAL(rig.reports, seq - 1);
		CU_ASSERT_TRUE(seq == 1 || (rig.report[seq - 2].how == BN_PRESENTED_SUPERSEDED &&
						   rig.report[seq - 2].seq == seq - 1));
		CU_ASSERT_TRUE(bn_buffer_locked(frame.buffer));
		CU_ASSERT_FALSE(bn_buffer_locked(seq % 2 ? b : a));
	}
	CU_ASSERT_EQUAL(rig.released, 199);
	/* A frame that is submitted after the vblank, but before the loop gets to it, does not
	 * miss it because of its being newer. */
	rig.now = START_NS + 20000000;
	submit(&rig, a, 201);
	run_at(&rig, rig.now + 1);
	CU_ASSERT_EQUAL_FATAL(rig.reports, 201);
	CU_ASSERT_EQUAL(rig.report[200].how, BN_PRESENTED_SHOWN);
	CU_ASSERT_EQUAL(rig.report[200].seq, 201);
	CU_ASSERT_PTR_EQUAL(bn_layer_current(rig.layer)->buffer, a);
	bn_buffer_drop(a);
	bn_buffer_drop(b);
	rig_finish(&rig);
	CU_ASSERT_EQUAL(rig.destroyed, 2);
}

static void test_supersedes(void)
{
	struct bn_buffer *a, *b;
	struct rig rig;

	rig_init(&rig, &config_60);
	a = buffer_new(&rig);
	b = buffer_new(&rig);
	submit(&rig, a, 1);
	submit(&rig, b, 2);
	submit(&rig, a, 3);
	submit(&rig, b, 4);
	CU_ASSERT_EQUAL(rig.reports, 0);
	run_at(&rig, vblank(1, 60000));
	CU_ASSERT_EQUAL(rig.reports, 4);
	assert_report(&rig, 0, 1, BN_PRESENTED_SUPERSEDED, vblank(1, 60000));
	assert_report(&rig, 2, 3, BN_PRESENTED_SUPERSEDED, vblank(1, 60000));
	assert_report(&rig, 3, 4, BN_PRESENTED_SHOWN, vblank(1, 60000));
	CU_ASSERT(rig.report[0].locked);
	CU_ASSERT_EQUAL(bn_output_frames(rig.output), 1);
	CU_ASSERT_FALSE(bn_buffer_locked(a));
	CU_ASSERT_EQUAL(rig.released, 1);
	CU_ASSERT(bn_buffer_locked(b));
	bn_buffer_drop(a);
	bn_buffer_drop(b);
	rig_finish(&rig);
	CU_ASSERT_EQUAL(rig.destroyed, 2);
}

static void test_grid_does_not_drift(void)
{
	static const uint32_t rates[] = {1000, 23976, 59940, 60000, 74973, 144000, 999999, 1000000};
	struct rig rig;

	rig_init(&rig, &config_60);
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct bn_pacer *pacer = &rig.output->pacer;

		bn_pacer_set_refresh(pacer, rates[i]);
		pacer->origin_ns = START_NS;
		for (uint64_t k = 0; k < 40000000000u; k = k * 3 + 1) {
			uint64_t at = vblank(k, rates[i]);

			CU_ASSERT_EQUAL(bn_pacer_vblank_at(pacer, at), at);
			CU_ASSERT_EQUAL(bn_pacer_vblank_after(pacer, at), vblank(k + 1, rates[i]));
			CU_ASSERT_EQUAL(bn_pacer_vblank_at(pacer, vblank(k + 1, rates[i]) - 1), at);
		}
	}
	rig_finish(&rig);
}

static void test_late_wakeup_skips(void)
{
	struct bn_buffer *buffer;
	struct rig rig;

	rig_init(&rig, &config_60);
	buffer = buffer_new(&rig);
	submit(&rig, buffer, 1);
	/* Three vblanks have passed unseen; a frame came in just now, before the timer was
	 * looked at. */
	rig.now = vblank(4, 60000) + 2000000;
	submit(&rig, buffer, 2);
	bn_pacer_run(&rig.output->pacer);
	CU_ASSERT_EQUAL(rig.reports, 1);
	assert_report(&rig, 0, 1, BN_PRESENTED_SHOWN, vblank(4, 60000));
	CU_ASSERT_EQUAL(rig.output->pacer.deadline_ns, vblank(5, 60000));
	run_at(&rig, vblank(5, 60000));
	CU_ASSERT_EQUAL(rig.reports, 2);
	assert_report(&rig, 1, 2, BN_PRESENTED_SHOWN, vblank(5, 60000));
	CU_ASSERT_EQUAL(rig.output->pacer.deadline_ns, 0);
	CU_ASSERT_EQUAL(bn_output_frames(rig.output), 2);
	bn_buffer_drop(buffer);
	rig_finish(&rig);
}

static void test_submit_at_vblank_waits(void)
{
	struct bn_buffer *buffer;
	struct rig rig;

	rig_init(&rig, &config_60);
	buffer = buffer_new(&rig);
	rig.now = vblank(7, 60000);
	submit(&rig, buffer, 1);
	CU_ASSERT_EQUAL(rig.output->pacer.deadline_ns, vblank(8, 60000));
	bn_buffer_drop(buffer);
	rig_finish(&rig);
	CU_ASSERT_EQUAL(rig.reports, 1);
	CU_ASSERT_EQUAL(rig.report[0].how, BN_PRESENTED_DISCARDED);
	CU_ASSERT_EQUAL(rig.destroyed, 1);
}

static void nothing_fires(void *data, uint64_t now_ns)
{
	++*(unsigned *)data;
}

/* System calls for the timer: none for what it does already, none to be rid of it. */
static void test_timer_is_left_alone(void)
{
	struct wl_event_loop *loop = wl_event_loop_create();
	struct rig rig = {.now = START_NS};
	struct bn_clock clock = {rig_now, &rig};
	struct bn_pacer pacer;
	unsigned fired = 0;

	CU_ASSERT_EQUAL(bn_pacer_init(&pacer, loop, &clock, 60000, nothing_fires, &fired), 0);
	bn_pacer_set(&pacer, START_NS + 100);
	CU_ASSERT_EQUAL(pacer.armed_ns, START_NS + 100);
	bn_pacer_set(&pacer, 0);
	CU_ASSERT_EQUAL(pacer.deadline_ns, 0);
	CU_ASSERT_EQUAL(pacer.armed_ns, START_NS + 100);
	/* It rings for nothing, once. */
	rig.now = START_NS + 100;
	bn_pacer_expired(&pacer);
	CU_ASSERT_EQUAL(fired, 0);
	CU_ASSERT_EQUAL(pacer.armed_ns, 0);
	/* Whatever the deadline is, the timer rings then, earlier or later. */
	bn_pacer_set(&pacer, START_NS + 300);
	bn_pacer_set(&pacer, 0);
	bn_pacer_set(&pacer, START_NS + 400);
	CU_ASSERT_EQUAL(pacer.armed_ns, START_NS + 400);
	bn_pacer_set(&pacer, START_NS + 200);
	CU_ASSERT_EQUAL(pacer.armed_ns, START_NS + 200);
	rig.now = START_NS + 200;
	bn_pacer_expired(&pacer);
	CU_ASSERT_EQUAL(fired, 1);
	CU_ASSERT_EQUAL(pacer.deadline_ns, 0);
	CU_ASSERT_EQUAL(pacer.armed_ns, 0);
	bn_pacer_finish(&pacer);
	wl_event_loop_destroy(loop);
}

static void test_listener_submits(void)
{
	struct bn_buffer *buffer;
	struct rig rig;

	rig_init(&rig, &config_60);
	buffer = buffer_new(&rig);
	rig.resubmit = 2;
	submit(&rig, buffer, 1);
	for (unsigned k = 1; k <= 4; k++)
		run_at(&rig, vblank(k, 60000));
	CU_ASSERT_EQUAL(rig.reports, 3);
	assert_report(&rig, 1, 1001, BN_PRESENTED_SHOWN, vblank(2, 60000));
	assert_report(&rig, 2, 2001, BN_PRESENTED_SHOWN, vblank(3, 60000));
	CU_ASSERT_EQUAL(rig.output->pacer.deadline_ns, 0);
	bn_buffer_drop(buffer);
	rig_finish(&rig);
}

static void test_listener_destroys_layer(void)
{
	struct bn_layer *other;
	struct bn_buffer *buffer;
	struct bn_frame frame;
	struct rig rig;

	rig_init(&rig, &config_60);
	buffer = buffer_new(&rig);
	other = bn_layer_create(rig.output, &listener, &rig);
	submit(&rig, buffer, 1);
	submit(&rig, buffer, 2);
	frame = frame_of(buffer, 50);
	bn_layer_submit(other, &frame);
	rig.destroy = true;
	run_at(&rig, vblank(1, 60000));
	CU_ASSERT_EQUAL(rig.reports, 3);
	assert_report(&rig, 0, 1, BN_PRESENTED_SUPERSEDED, vblank(1, 60000));
	assert_report(&rig, 1, 2, BN_PRESENTED_DISCARDED, vblank(1, 60000));
	assert_report(&rig, 2, 50, BN_PRESENTED_SHOWN, vblank(1, 60000));
	CU_ASSERT_EQUAL(wl_list_length(&rig.output->layers), 1);
	bn_layer_destroy(other);
	bn_buffer_drop(buffer);
	rig_finish(&rig);
	CU_ASSERT_EQUAL(rig.destroyed, 1);
}

static void test_queue_is_bounded(void)
{
	struct bn_buffer *buffer;
	struct rig rig;

	rig_init(&rig, &config_60);
	buffer = buffer_new(&rig);
	for (unsigned i = 0; i < BN_LAYER_QUEUE + 10; i++)
		submit(&rig, buffer, i);
	CU_ASSERT_EQUAL(rig.reports, 10);
	assert_report(&rig, 9, 9, BN_PRESENTED_SUPERSEDED, START_NS);
	run_at(&rig, vblank(1, 60000));
	CU_ASSERT_EQUAL(rig.reports, BN_LAYER_QUEUE + 10);
	for (unsigned i = 0; i < rig.reports; i++)
		CU_ASSERT_EQUAL(rig.report[i].seq, i);
	CU_ASSERT_EQUAL(rig.report[rig.reports - 1].how, BN_PRESENTED_SHOWN);
	bn_buffer_drop(buffer);
	rig_finish(&rig);
}

static void test_free_running(void)
{
	struct bn_output_config config = config_60;
	struct bn_buffer *buffer;
	struct rig rig;

	config.free_running = true;
	rig_init(&rig, &config);
	buffer = buffer_new(&rig);
	rig.resubmit = 1;
	submit(&rig, buffer, 1);
	rig.now += 10;
	CU_ASSERT_EQUAL(rig.reports, 0);
	wl_event_loop_dispatch_idle(rig.loop);
	/* The one that the listener submitted does not keep the loop in its idle callbacks. */
	CU_ASSERT_EQUAL(rig.reports, 1);
	assert_report(&rig, 0, 1, BN_PRESENTED_SHOWN, START_NS + 10);
	bn_pacer_run(&rig.output->pacer);
	CU_ASSERT_EQUAL(rig.reports, 2);
	assert_report(&rig, 1, 1001, BN_PRESENTED_SHOWN, START_NS + 10);
	CU_ASSERT_EQUAL(rig.output->pacer.deadline_ns, 0);
	bn_buffer_drop(buffer);
	rig_finish(&rig);
}

static void test_layers_latch_together(void)
{
	struct bn_layer *other;
	struct bn_buffer *buffer;
	struct bn_frame off = {.buffer = NULL, .seq = 9};
	struct rig rig;

	rig_init(&rig, &config_60);
	buffer = buffer_new(&rig);
	other = bn_layer_create(rig.output, &listener, &rig);
	submit(&rig, buffer, 1);
	rig.now += 3;
	bn_layer_submit(other, &off);
	run_at(&rig, vblank(1, 60000));
	CU_ASSERT_EQUAL(rig.reports, 2);
	assert_report(&rig, 1, 9, BN_PRESENTED_SHOWN, vblank(1, 60000));
	CU_ASSERT_EQUAL(bn_output_frames(rig.output), 1);
	/* A scanout turned off lets go of the buffer. */
	off.seq = 10;
	bn_layer_submit(rig.layer, &off);
	run_at(&rig, vblank(2, 60000));
	CU_ASSERT_FALSE(bn_buffer_locked(buffer));
	CU_ASSERT_EQUAL(rig.released, 1);
	bn_layer_destroy(other);
	bn_buffer_drop(buffer);
	rig_finish(&rig);
}

static void test_set_mode(void)
{
	struct bn_buffer *buffer;
	struct rig rig;

	rig_init(&rig, &config_60);
	buffer = buffer_new(&rig);
	CU_ASSERT_EQUAL(bn_output_set_mode(rig.output, 0, 32, 60000), -EINVAL);
	CU_ASSERT_EQUAL(bn_output_set_mode(rig.output, 64, 8193, 60000), -EINVAL);
	CU_ASSERT_EQUAL(bn_output_set_mode(rig.output, 64, 32, 999), -EINVAL);
	CU_ASSERT_EQUAL(bn_output_set_mode(rig.output, 64, 32, 1000001), -EINVAL);
	rig.now = START_NS + 123;
	CU_ASSERT_EQUAL(bn_output_set_mode(rig.output, 128, 16, 120000), 0);
	CU_ASSERT_EQUAL(bn_output_config(rig.output)->width, 128);
	submit(&rig, buffer, 1);
	CU_ASSERT_EQUAL(rig.output->pacer.deadline_ns, vblank(1, 120000) + 123);
	bn_buffer_drop(buffer);
	rig_finish(&rig);
}

static void test_limits(void)
{
	struct bn_layer *layers[BN_OUTPUT_LAYERS_MAX];
	struct bn_output_config config = config_60;
	struct bn_output *output;
	struct rig rig;

	config.width = 0;
	CU_ASSERT_EQUAL(bn_output_create(&output, NULL, &config), -EINVAL);
	config = config_60;
	memset(config.name, 'x', sizeof(config.name));
	CU_ASSERT_EQUAL(bn_output_create(&output, NULL, &config), -EINVAL);
	bn_output_destroy(NULL);
	bn_layer_destroy(NULL);

	rig_init(&rig, &config_60);
	for (unsigned i = 1; i < BN_OUTPUT_LAYERS_MAX; i++)
		CU_ASSERT_PTR_NOT_NULL((layers[i] = bn_layer_create(rig.output, &listener, &rig)));
	CU_ASSERT_PTR_NULL(bn_layer_create(rig.output, &listener, &rig));
	for (unsigned i = 1; i < BN_OUTPUT_LAYERS_MAX; i++)
		bn_layer_destroy(layers[i]);
	rig_finish(&rig);
}

static void test_hostile_rectangles(void)
{
	struct bn_buffer *buffer;
	struct bn_frame frame;
	struct rig rig;

	rig_init(&rig, &config_60);
	buffer = buffer_new(&rig);
	frame = frame_of(buffer, 1);
	frame.src_x = UINT32_MAX;
	frame.src_y = 30;
	frame.src_width = frame.src_height = UINT32_MAX;
	frame.damage_x = 60;
	frame.damage_width = UINT32_MAX;
	bn_layer_submit(rig.layer, &frame);
	run_at(&rig, vblank(1, 60000));
	CU_ASSERT_EQUAL(rig.layer->current.src_width, 0);
	CU_ASSERT_EQUAL(rig.layer->current.src_height, 2);
	CU_ASSERT_EQUAL(rig.layer->current.damage_x + rig.layer->current.damage_width, 64);
	bn_buffer_drop(buffer);
	rig_finish(&rig);
}

static void submit_damage(struct rig *rig, struct bn_buffer *buffer, uint32_t x, uint32_t y)
{
	struct bn_frame frame = frame_of(buffer, 1);

	frame.damage_x = x;
	frame.damage_y = y;
	frame.damage_width = frame.damage_height = 4;
	bn_layer_submit(rig->layer, &frame);
}

static void test_damage_gathers(void)
{
	struct bn_buffer *a, *b;
	struct bn_frame *shown;
	struct rig rig;

	rig_init(&rig, &config_60);
	a = buffer_new(&rig);
	b = buffer_new(&rig);
	shown = &rig.layer->current;
	submit_damage(&rig, a, 1, 1);
	run_at(&rig, vblank(1, 60000));
	CU_ASSERT_EQUAL(shown->damage_width, 64); /* a new buffer is new all over */
	rig.layer->fresh = false;
	submit_damage(&rig, a, 8, 10);
	submit_damage(&rig, a, 20, 2);
	run_at(&rig, vblank(2, 60000));
	CU_ASSERT(shown->damage_x == 8 && shown->damage_y == 2);
	CU_ASSERT(shown->damage_width == 16 && shown->damage_height == 12);
	rig.layer->fresh = false;
	submit_damage(&rig, b, 1, 1);
	submit_damage(&rig, a, 1, 1);
	run_at(&rig, vblank(3, 60000));
	CU_ASSERT_EQUAL(shown->damage_height, 32); /* another buffer was in between */
	bn_buffer_drop(a);
	bn_buffer_drop(b);
	rig_finish(&rig);
}

/* The real timer, without looking at how long it takes. */
static void test_timer_fires(void)
{
	struct rig rig = {.now = START_NS};
	struct bn_output_config config = config_60;
	struct bn_buffer *buffer;

	config.refresh_mhz = 1000000;
	rig.loop = wl_event_loop_create();
	CU_ASSERT_EQUAL_FATAL(bn_output_create(&rig.output, rig.loop, &config), 0);
	rig.layer = bn_layer_create(rig.output, &listener, &rig);
	buffer = buffer_new(&rig);
	rig.resubmit = 3;
	submit(&rig, buffer, 1);
	while (rig.reports < 4)
		wl_event_loop_dispatch(rig.loop, -1);
	for (unsigned i = 1; i < 4; i++) {
		uint64_t gap = rig.report[i].when_ns - rig.report[i - 1].when_ns;

		CU_ASSERT(gap > 0 && gap % 1000000 == 0);
	}
	bn_buffer_drop(buffer);
	rig_finish(&rig);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"a frame is presented at the grid's time", test_presents_at_grid},
		{"nothing pending arms no timer", test_idle_arms_nothing},
		{"places, cursors, layers that go are shown and told", test_changes_are_shown},
		{"a listener changes heights", test_restacking_listener},
		{"a newer frame supersedes", test_supersedes},
		{"a newer frame takes the place of one that waits", test_newest_only},
		{"the grid does not drift in years", test_grid_does_not_drift},
		{"a late wake-up skips vblanks", test_late_wakeup_skips},
		{"a frame at the vblank waits for the next", test_submit_at_vblank_waits},
		{"a listener may submit", test_listener_submits},
		{"a listener may destroy its layer", test_listener_destroys_layer},
		{"waiting frames are bounded", test_queue_is_bounded},
		{"free running", test_free_running},
		{"layers latch together, an empty frame lets go", test_layers_latch_together},
		{"mode", test_set_mode},
		{"limits and NULL", test_limits},
		{"rectangles past the buffer are cut", test_hostile_rectangles},
		{"damage of frames never shown is kept", test_damage_gathers},
		{"the timer is left alone", test_timer_is_left_alone},
		{"the timer fires on the grid", test_timer_fires},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("output", tests);
}
