/* What watches follow: outputs that show nothing for a while, and layers that a scene puts on another
 * output. */
#include "watchdog_priv.h"

#include <stdio.h>
#include <string.h>

#include <wayland-server-core.h>

#include "common/clock.h"
#include "scene.h"

/* A frame of a layer that goes to another output is on its way there, behind one commit that was under
 * way before. */
#define ARRIVING_REFRESHES 4

/* ---- outputs that show nothing ---- */

static void pause_watch(struct bn_watch *w, uint64_t now_ns)
{
	w->paused = true;
	w->retry = false;
	w->was_off = false;
	bn_watchdog_pause(w->all->judge, bn_watch_index(w), now_ns);
}

/* What is there again is looked at after a refresh, if no picture comes before. */
static void resume_watch(struct bn_watch *w, uint64_t now_ns)
{
	bool keep = !w->was_off && bn_watch_is_shown(bn_watch_layer(w));
	w->paused = false;
	w->retry = true;
	w->retry_ns = now_ns + bn_watch_refresh(w->screen);
	bn_watchdog_resume(w->all->judge, bn_watch_index(w), keep, now_ns);
}

void bn_watch_follow_outputs(struct bn_watchdogs *all, uint64_t now_ns)
{
	for (unsigned i = 0; i < all->num_watches; i++) {
		struct bn_watch *w = &all->watch[i];
		const struct bn_display *d = w->screen->display;
		bool shows = d->enabled && bn_output_active(d->output);
		if (shows == !w->paused) {
			w->was_off = w->was_off || !d->enabled;
			continue;
		}
		if (shows)
			resume_watch(w, now_ns);
		else
			pause_watch(w, now_ns);
		w->was_off = w->was_off || !d->enabled;
	}
}

/* Not at once: whoever tells of it is in the midst of something. */
static void poke(struct bn_watchdogs *all)
{
	all->poked = true;
	bn_watch_arm(all);
}

static void handle_active(void *data)
{
	struct bn_watch_screen *s = data;
	poke(s->all);
}

void bn_watchdogs_display_changed(struct bn_watchdogs *all)
{
	poke(all);
}

void bn_watch_observe(struct bn_watch_screen *s)
{
	if (s->watched)
		return;
	s->watched = true;
	bn_output_set_observer(s->display->output, bn_watch_handle_vblank, s);
	bn_output_set_active_handler(s->display->output, handle_active, s);
}

void bn_watch_unobserve(struct bn_watch_screen *s)
{
	if (!s->watched)
		return;
	s->watched = false;
	bn_output_set_observer(s->display->output, NULL, NULL);
	bn_output_set_active_handler(s->display->output, NULL, NULL);
}

/* ---- layers that go elsewhere ---- */

static bool is_within(const struct bn_rect *rect, const struct bn_output_config *config)
{
	const struct bn_rect all = {0, 0, config->width, config->height};
	struct bn_rect common;
	return bn_rect_intersect(rect, &all, &common) && common.width == rect->width &&
	       common.height == rect->height;
}

/* Makes ready to watch it there. false: *text says why that cannot be. */
static bool prepare_watch(struct bn_watch *w, const struct bn_scene_layer *l,
	struct bn_watch_screen *to, char *text, size_t size)
{
	const struct bn_settings_watch *s = w->settings;
	const struct bn_output_config *config = bn_output_config(to->display->output);
	const struct bn_rect at = {l->place.at.x + s->region.x, l->place.at.y + s->region.y,
		s->region.width, s->region.height};
	if (!is_within(&at, config)) {
		snprintf(text, size,
			"layer %s: watch %s would look at %ux%u at %d,%d, which is not within output "
			"%s (%ux%u); a place with its region on the output is expected",
			l->name, s->name, at.width, at.height, at.x, at.y, l->output, config->width,
			config->height);
		return false;
	}
	if (!s->event_only && !w->cover.layer && !to->fallback.layer) {
		snprintf(text, size,
			"layer %s: watch %s shows the fallback of output %s at a fault, and output %s "
			"has none; fallback=FILE.png in [output %s] or in [watch %s] is expected",
			l->name, s->name, bn_watch_output(w), l->output, l->output, s->name);
		return false;
	}
	if (w->cover.layer)
		w->spare = bn_cover_layer(&w->cover, to->display->output);
	if (w->cover.layer && !w->spare) {
		snprintf(text, size,
			"layer %s: output %s has no room for the fallback of watch %s; fewer layers "
			"there are expected",
			l->name, l->output, s->name);
		return false;
	}
	w->next = to;
	return true;
}

static const struct bn_scene_layer *find_layer(const struct bn_scene *scene, const char *name)
{
	for (size_t i = 0; i < scene->num_layers; i++) {
		if (strcmp(scene->layers[i].name, name) == 0)
			return &scene->layers[i];
	}
	return NULL;
}

/* What is watched and goes to another output is watched there, or does not go. */
static unsigned prepare(
	void *data, const struct bn_scene *scene, bn_stage_report report, void *report_data)
{
	struct bn_watchdogs *all = data;
	unsigned faults = 0;
	for (unsigned i = 0; i < all->num_watches; i++) {
		struct bn_watch *w = &all->watch[i];
		const struct bn_scene_layer *l = find_layer(scene, w->settings->layer);
		struct bn_watch_screen *to = l ? bn_watch_screen_of(all, l->output) : NULL;
		char text[320];
		if (!to || to == w->screen || prepare_watch(w, l, to, text, sizeof(text)))
			continue;
		faults++;
		if (report)
			report(report_data, l, text);
	}
	return faults;
}

static void go(struct bn_watch *w)
{
	bn_watch_observe(w->next);
	w->screen = w->next;
	w->retry = !w->paused;
	w->retry_ns = bn_now_ns() + 2 * bn_watch_refresh(w->screen);
	w->arriving_ns = bn_now_ns() + ARRIVING_REFRESHES * bn_watch_refresh(w->screen);
	if (w->spare)
		bn_cover_take(&w->cover, w->spare);
}

static void done(void *data, bool taken)
{
	struct bn_watchdogs *all = data;
	for (unsigned i = 0; i < all->num_watches; i++) {
		struct bn_watch *w = &all->watch[i];
		if (taken && w->next)
			go(w);
		else
			bn_layer_destroy(w->spare);
		w->next = NULL;
		w->spare = NULL;
	}
	bn_watch_follow_outputs(all, bn_now_ns());
	bn_watch_settle(all);
}

void bn_watchdogs_guard(struct bn_watchdogs *all, struct bn_stage *stage)
{
	static const struct bn_stage_guard guard = {.prepare = prepare, .done = done};
	bn_stage_set_guard(stage, &guard, all);
}
