/* The scene and its pace. While the compositor answers frame callbacks, they say when the next
 * commit goes out: one commit between two callbacks, with the newest frame of each layer. The
 * callback hangs on the topmost picture, because a compositor may send none for a surface that
 * is covered. When no callback comes for a while (the window is hidden, the compositor hangs),
 * the output is stalled: the pacer's vblanks latch and report frames, as on a headless output,
 * until the callback comes after all. */
#include <stdlib.h>
#include <time.h>

#include "common/log.h"
#include "wayland_impl.h"

/* How long a frame waits for the compositor: two periods of the output, and never so little that
 * a slower display looks like a hidden window. */
#define STALL_MIN_NS (50 * BN_NS_PER_MS)

struct bn_wl_flight {
	struct wl_list link;
	struct bn_wl *wl;
	struct wp_presentation_feedback *feedback;
	uint64_t commit;
	uint64_t sent_ns;
};

static void flight_destroy(struct bn_wl_flight *flight)
{
	wl_list_remove(&flight->link);
	wp_presentation_feedback_destroy(flight->feedback);
	free(flight);
}

void bn_wl_drop_frame(struct bn_wl *wl)
{
	if (wl->frame)
		wl_callback_destroy(wl->frame);
	wl->frame = NULL;
	wl->frame_surface = NULL;
}

void bn_wl_scene_finish(struct bn_wl *wl)
{
	struct bn_wl_flight *flight, *next;

	bn_wl_drop_frame(wl);
	wl_list_for_each_safe(flight, next, &wl->flights, link) flight_destroy(flight);
}

/* The compositor's stamp, on our clock. */
static uint64_t to_monotonic(const struct bn_wl *wl, uint64_t ns)
{
	uint64_t now = bn_pacer_now(&wl->output->pacer), theirs;
	struct timespec ts;

	if (clock_gettime((clockid_t)wl->clock_id, &ts) < 0)
		return now;
	theirs = (uint64_t)ts.tv_sec * BN_NS_PER_S + (uint64_t)ts.tv_nsec;
	return theirs > ns && theirs - ns < now ? now - (theirs - ns) : now;
}

static void handle_sync_output(
	void *data, struct wp_presentation_feedback *feedback, struct wl_output *wl_output)
{
}

static void land(struct bn_wl_flight *flight, uint64_t when_ns)
{
	struct bn_output *output = flight->wl->output;
	uint64_t commit = flight->commit;

	/* Whatever the phase of the display is, one refresh would have been enough. */
	if (when_ns >= flight->sent_ns + 2 * bn_pacer_period(&output->pacer))
		output->counters.late++;
	flight_destroy(flight);
	bn_output_report(output, commit, when_ns);
}

static void handle_presented(void *data, struct wp_presentation_feedback *feedback,
	uint32_t tv_sec_hi, uint32_t tv_sec_lo, uint32_t tv_nsec, uint32_t refresh, uint32_t seq_hi,
	uint32_t seq_lo, uint32_t flags)
{
	struct bn_wl_flight *flight = data;
	uint64_t seconds = (uint64_t)tv_sec_hi << 32 | tv_sec_lo;

	land(flight, to_monotonic(flight->wl, seconds * BN_NS_PER_S + tv_nsec));
}

/* Never seen, but the guest must not wait for it. */
static void handle_discarded(void *data, struct wp_presentation_feedback *feedback)
{
	struct bn_wl_flight *flight = data;

	land(flight, bn_pacer_now(&flight->wl->output->pacer));
}

static const struct wp_presentation_feedback_listener feedback_listener = {
	.sync_output = handle_sync_output,
	.presented = handle_presented,
	.discarded = handle_discarded,
};

static void request_feedback(struct bn_wl *wl, struct wl_surface *surface)
{
	struct bn_wl_flight *flight;
	uint64_t oldest;

	if (!wl->presentation || !bn_output_oldest(wl->output, &oldest))
		return;
	flight = calloc(1, sizeof(*flight));
	if (!flight)
		return; /* the stall timer reports */
	flight->wl = wl;
	flight->commit = wl->output->commit;
	flight->sent_ns = bn_pacer_now(&wl->output->pacer);
	flight->feedback = wp_presentation_feedback(wl->presentation, surface);
	if (!flight->feedback) {
		free(flight);
		return;
	}
	wp_presentation_feedback_add_listener(flight->feedback, &feedback_listener, flight);
	wl_list_insert(wl->flights.prev, &flight->link);
}

static void handle_frame(void *data, struct wl_callback *callback, uint32_t time_ms)
{
	struct bn_wl *wl = data;

	bn_wl_drop_frame(wl);
	wl->stalled = false;
	bn_output_note_active(wl->output);
	if (!wl->presentation)
		bn_output_report(wl->output, wl->frame_commit, bn_pacer_now(&wl->output->pacer));
	if (wl->dirty)
		bn_wl_schedule(wl);
}

static const struct wl_callback_listener frame_listener = {.done = handle_frame};

static void request_frame(struct bn_wl *wl, struct wl_surface *surface)
{
	if (wl->frame)
		return;
	wl->frame = wl_surface_frame(surface);
	if (!wl->frame)
		return;
	wl_callback_add_listener(wl->frame, &frame_listener, wl);
	wl->frame_surface = surface;
	wl->frame_commit = wl->output->commit;
}

static bool is_open(const struct bn_wl *wl)
{
	return wl->configured && !wl->blocked && !wl->lost;
}

static bool may_commit(const struct bn_wl *wl)
{
	return is_open(wl) && (!wl->frame || wl->output->config.free_running);
}

static void commit_scene(struct bn_wl *wl, bool feedback)
{
	struct wl_surface *top = wl->surface, *shown;
	struct bn_layer *layer;

	wl->dirty = false;
	bn_wl_window_draw(wl);
	wl_list_for_each(layer, &wl->output->layers, link)
	{
		shown = bn_wl_layer_update(wl, layer);
		if (shown)
			top = shown;
	}
	bn_wl_layers_stack(wl);
	wl->output->counters.commits++;
	request_frame(wl, top);
	if (feedback)
		request_feedback(wl, top);
	if (top != wl->surface)
		wl_surface_commit(top);
	wl_surface_commit(wl->surface);
	bn_wl_flush(wl);
}

static uint64_t stall_ns(const struct bn_wl *wl)
{
	uint64_t two = 2 * bn_pacer_period(&wl->output->pacer);

	return two > STALL_MIN_NS ? two : STALL_MIN_NS;
}

/* Only while a frame waits: a still picture wakes nobody. */
static void arm_stall_timer(struct bn_wl *wl)
{
	struct bn_pacer *pacer = &wl->output->pacer;
	uint64_t oldest;

	if (!bn_output_oldest(wl->output, &oldest))
		return;
	if (wl->stalled)
		bn_pacer_arm(pacer, bn_pacer_vblank_after(pacer, bn_pacer_now(pacer)));
	else
		bn_pacer_arm(pacer, oldest + stall_ns(wl));
}

void bn_wl_schedule(struct bn_wl *wl)
{
	wl->dirty = true;
	if (wl->output->config.free_running || may_commit(wl))
		bn_output_soon(wl->output);
	if (!wl->output->config.free_running)
		arm_stall_timer(wl);
}

static void run_free(struct bn_wl *wl)
{
	uint64_t commit = bn_output_latch(wl->output, UINT64_MAX);

	if (is_open(wl))
		commit_scene(wl, false);
	bn_output_report(wl->output, commit, bn_pacer_now(&wl->output->pacer));
}

void bn_wl_soon(struct bn_wl *wl)
{
	if (wl->output->config.free_running) {
		run_free(wl);
	} else if (wl->dirty && may_commit(wl)) {
		bn_output_latch(wl->output, UINT64_MAX);
		commit_scene(wl, true);
	}
}

/* The compositor shows nothing: as a headless output does it, but committed, so that a window
 * that comes back has the newest picture. */
static void stalled_vblank(struct bn_wl *wl, uint64_t now_ns)
{
	uint64_t when = bn_pacer_vblank_at(&wl->output->pacer, now_ns);
	uint64_t commit = bn_output_latch(wl->output, when);

	if (is_open(wl))
		commit_scene(wl, false);
	bn_output_report(wl->output, commit, when);
}

void bn_wl_tick(struct bn_wl *wl, uint64_t now_ns)
{
	uint64_t oldest;

	if (wl->output->config.free_running || (wl->dirty && may_commit(wl))) {
		bn_wl_soon(wl);
	} else if (bn_output_oldest(wl->output, &oldest)) {
		if (!wl->stalled && now_ns >= oldest + stall_ns(wl)) {
			bn_debug("output %s: the compositor asks for no frames, pacing by timer",
				wl->output->config.name);
			wl->stalled = true;
			bn_output_note_active(wl->output);
		}
		if (wl->stalled)
			stalled_vblank(wl, now_ns);
	}
	if (!wl->output->config.free_running)
		arm_stall_timer(wl);
}
