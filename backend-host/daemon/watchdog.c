/* Watches, their covers and the outputs that they are on.
 *
 *   vblank ──▶ look at each watch of the output ──▶ the judge ──▶ settle: covers, boot picture,
 *   timer ───▶ the judge's deadlines                                      events, hooks
 */
#include "watchdog_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wayland-server-core.h>

#include "common/clock.h"

/* Covers of watches lie above those of outputs, and those above boot pictures. */
enum { Z_BOOT, Z_OUTPUT, Z_WATCH };

unsigned bn_watch_index(const struct bn_watch *w)
{
	return (unsigned)(w - w->all->watch);
}

const struct bn_watch_status *bn_watch_status(const struct bn_watch *w)
{
	return bn_watchdog_status(w->all->judge, bn_watch_index(w));
}

const char *bn_watch_output(const struct bn_watch *w)
{
	return bn_display_name(w->screen->display);
}

uint64_t bn_watch_refresh(const struct bn_watch_screen *s)
{
	return 1000 * BN_NS_PER_S / bn_output_config(s->display->output)->refresh_mhz;
}

/* ---- life ---- */

static int init_cover(struct bn_cover *cover, struct bn_watch_screen *s, const char *name, const char *path,
	int32_t z, void (*presented)(void *data, uint64_t when_ns), void *data)
{
	char full[64];
	if (!path[0])
		return 0;
	snprintf(full, sizeof(full), "(%s)", name);
	int ret = bn_cover_init(cover, s->display->output, full, path, z);
	cover->presented = presented;
	cover->data = data;
	return ret;
}

static int init_screen(
	struct bn_watch_screen *s, const struct bn_settings_output *settings, struct bn_displays *displays)
{
	s->settings = settings;
	s->display = bn_displays_find(displays, settings->config.name);
	if (!s->display)
		return -ENOENT;
	int ret = init_cover(&s->boot, s, "boot", settings->boot, Z_BOOT, bn_watch_boot_shown, s);
	if (ret == 0)
		ret = init_cover(&s->fallback, s, "fallback", settings->fallback, Z_OUTPUT,
			bn_watch_fallback_shown, s);
	return ret;
}

struct bn_watch_screen *bn_watch_screen_of(struct bn_watchdogs *all, const char *output)
{
	for (unsigned i = 0; i < all->num_screens; i++) {
		if (strcmp(bn_display_name(all->screen[i].display), output) == 0)
			return &all->screen[i];
	}
	return NULL;
}

static int init_watch(struct bn_watch *w, const struct bn_settings_watch *settings)
{
	w->settings = settings;
	w->screen = bn_watch_screen_of(w->all, settings->output);
	w->source = "";
	bn_histogram_init(&w->reaction);
	bn_watch_hook_init(&w->hook, w->all->loop, settings->hook);
	return w->screen ? init_cover(&w->cover, w->screen, settings->name, settings->fallback,
				   Z_WATCH, bn_watch_cover_shown, w)
			 : -ENOENT;
}

static int init_judge(struct bn_watchdogs *all)
{
	struct bn_watch_rule rules[BN_WATCH_REGIONS_MAX];
	const struct bn_settings *settings = all->settings;
	for (unsigned i = 0; i < all->num_watches; i++) {
		const struct bn_settings_watch *s = &settings->watches[i];
		uint64_t refresh = bn_watch_refresh(all->watch[i].screen);
		rules[i] = (struct bn_watch_rule){
			.expect = settings->crcs + s->first_expect,
			.num_expect = s->num_expect,
			.absent = settings->crcs + s->first_absent,
			.num_absent = s->num_absent,
			.change_ns = s->change_ns,
			.age_ns = s->age_ns,
			.start_ns = s->start_ns,
			.bad_frames = s->bad_frames,
			.good_frames = s->good_frames,
			.refresh_ns = refresh,
			.grace_ns = refresh / BN_WATCH_GRACE_PARTS,
		};
	}
	return bn_watchdog_create(
		&all->judge, rules, all->num_watches, bn_now_ns(), bn_watch_handle_changed, all);
}

static int init_all(struct bn_watchdogs *all, struct bn_displays *displays)
{
	const struct bn_settings *settings = all->settings;
	size_t largest = 1;
	int ret = 0;
	for (; ret == 0 && all->num_screens < settings->num_outputs;) {
		struct bn_watch_screen *s = &all->screen[all->num_screens++];
		s->all = all;
		ret = init_screen(s, &settings->outputs[all->num_screens - 1], displays);
	}
	for (; ret == 0 && all->num_watches < settings->num_watches;) {
		struct bn_watch *w = &all->watch[all->num_watches++];
		w->all = all;
		ret = init_watch(w, &settings->watches[all->num_watches - 1]);
		size_t size = (size_t)w->settings->region.width * w->settings->region.height;
		largest = size > largest ? size : largest;
	}
	if (ret < 0)
		return ret;
	all->pixels = calloc(largest, sizeof(*all->pixels));
	all->timer = wl_event_loop_add_timer(all->loop, bn_watch_handle_timer, all);
	return all->pixels && all->timer ? init_judge(all) : -ENOMEM;
}

static bool has_watch(const struct bn_watch_screen *s)
{
	for (unsigned i = 0; i < s->all->num_watches; i++) {
		if (s->all->watch[i].screen == s)
			return true;
	}
	return false;
}

int bn_watchdogs_create(struct bn_watchdogs **out, struct wl_event_loop *loop,
	const struct bn_settings *settings, struct bn_displays *displays)
{
	struct bn_watchdogs *all = calloc(1, sizeof(*all));
	*out = NULL;
	if (!all)
		return -ENOMEM;
	all->loop = loop;
	all->settings = settings;
	int ret = init_all(all, displays);
	if (ret < 0) {
		bn_error("the watchdog: %s", strerror(-ret));
		bn_watchdogs_destroy(all);
		return ret;
	}
	for (unsigned i = 0; i < all->num_screens; i++) {
		struct bn_watch_screen *s = &all->screen[i];
		if (s->boot.layer || s->fallback.layer || has_watch(s))
			bn_watch_observe(s);
	}
	bn_watch_follow_outputs(all, bn_now_ns());
	bn_watch_settle(all);
	*out = all;
	return 0;
}

void bn_watchdogs_destroy(struct bn_watchdogs *all)
{
	if (!all)
		return;
	for (unsigned i = 0; i < all->num_screens; i++) {
		struct bn_watch_screen *s = &all->screen[i];
		bn_watch_unobserve(s);
		bn_cover_finish(&s->boot);
		bn_cover_finish(&s->fallback);
	}
	for (unsigned i = 0; i < all->num_watches; i++) {
		bn_cover_finish(&all->watch[i].cover);
		bn_watch_hook_finish(&all->watch[i].hook);
	}
	if (all->timer)
		wl_event_source_remove(all->timer);
	bn_watch_forget_idle(all);
	bn_watchdog_destroy(all->judge);
	free(all->pixels);
	free(all);
}

void bn_watchdogs_set_events(struct bn_watchdogs *all, struct bn_events *events)
{
	all->events = events;
}

/* ---- for people ---- */

void bn_watchdogs_describe(
	const struct bn_watchdogs *all, unsigned index, struct bn_watch_info *out)
{
	static const char *const states[] = {"waiting", "live", "fallback"};
	const struct bn_watch *w = &all->watch[index];
	const struct bn_watch_status *status = bn_watch_status(w);
	*out = (struct bn_watch_info){
		.settings = w->settings,
		.status = status,
		.state = states[status->state],
		.reason = !w->paused                   ? ""
			  : w->screen->display->enabled ? "output inactive"
							: "output off",
		.output = bn_watch_output(w),
		.source = w->source,
		.at = w->at,
		.covered = w->covered,
		.shown_ns = w->shown_ns,
		.reaction = w->reaction,
		.refresh_ns = bn_watch_refresh(w->screen),
		.hook_runs = w->hook.runs,
	};
	if (status->state == BN_WATCH_FALLBACK && w->settings->event_only)
		out->state = "fault";
	if (w->paused)
		out->state = "paused";
}

void bn_watchdogs_reset(struct bn_watchdogs *all, unsigned index)
{
	struct bn_watch *w = &all->watch[index];
	bn_watchdog_reset(all->judge, index, bn_now_ns());
	bn_histogram_init(&w->reaction);
	w->failed_ns = w->shown_ns = 0;
	bn_watch_settle(all);
}

void bn_watchdogs_boot(const struct bn_watchdogs *all, unsigned index, struct bn_boot_info *out)
{
	const struct bn_watch_screen *s = &all->screen[index];
	const struct bn_cover *cover = s->boot.layer ? &s->boot : &s->fallback;
	*out = (struct bn_boot_info){
		.output = bn_display_name(s->display),
		.exists = cover->layer != NULL,
		.shown = cover->layer && !s->released,
		.first_ns = s->first_ns,
		.after_ns = s->first_ns ? s->first_ns - all->settings->begun_ns : 0,
		.times = s->times,
	};
}
