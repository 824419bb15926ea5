/* What is to be seen at each watch, told to the judge: at each vblank of its output, and by the timer
 * when time alone tells something.
 *
 * While something covers a region, what is scanned out there is the cover; then the layers below
 * are put together by the CPU, and judged in its place. */
#include <errno.h>
#include <string.h>

#include <wayland-server-core.h>

#include "common/clock.h"
#include "picture.h"
#include "watchdog_priv.h"

struct bn_layer *bn_watch_layer(const struct bn_watch *w)
{
	struct bn_layer *layers[BN_OUTPUT_LAYERS_MAX];
	unsigned n = bn_output_layers(w->screen->display->output, layers, BN_OUTPUT_LAYERS_MAX);
	for (unsigned i = 0; i < n; i++) {
		if (strcmp(bn_layer_name(layers[i]), w->settings->layer) == 0)
			return layers[i];
	}
	return NULL;
}

bool bn_watch_is_shown(const struct bn_layer *layer)
{
	return layer && bn_layer_current(layer)->buffer && !bn_layer_place(layer)->hidden;
}

static const char *source_name(enum bn_read_source source)
{
	static const char *const names[] = {"layer", "composed", "writeback"};
	return names[source];
}

/* Where the watch and its cover lie, by where the layer lies. */
static void place_watch(struct bn_watch *w, const struct bn_layer *layer)
{
	const struct bn_settings_watch *s = w->settings;
	const struct bn_rect *layer_at = &bn_layer_place(layer)->at;
	struct bn_rect cover = s->cover;
	w->at = s->region;
	w->at.x += layer_at->x;
	w->at.y += layer_at->y;
	cover.x += layer_at->x;
	cover.y += layer_at->y;
	bn_cover_place(&w->cover, &cover);
}

/* Fills in what is to be seen there; its time, if that is not the last vblank's. */
static void read_pixels(struct bn_watch *w, struct bn_watch_sample *sample)
{
	struct bn_output *output = w->screen->display->output;
	struct bn_read_info info = {.source = BN_READ_LAYER};
	int ret;
	w->covered = bn_output_is_covered(output, &w->at);
	if (w->covered)
		ret = bn_output_read_below(output, &w->at, w->all->pixels);
	else
		ret = bn_output_read(output, &w->at, w->all->pixels, &info);
	/* Nothing is written back of this picture, or it is yet to be: until then what it was made of
	 * is judged. */
	if (ret == -EAGAIN && !w->covered) {
		info = (struct bn_read_info){.source = BN_READ_LAYER};
		ret = bn_output_read_below(output, &w->at, w->all->pixels);
	}
	w->source = source_name(info.source);
	if (ret == 0) {
		sample->crc = bn_picture_crc(w->all->pixels, (size_t)w->at.width * w->at.height);
		if (info.when_ns != 0)
			sample->when_ns = info.when_ns;
		return;
	}
	sample->what = ret == -EINVAL                          ? BN_WATCH_NOTHING
		       : ret == -EAGAIN || ret == -ETIMEDOUT ? BN_WATCH_UNKNOWN
							     : BN_WATCH_NEVER;
	if (sample->what == BN_WATCH_NEVER && bn_log_gate(&w->complaints))
		bn_warn("watch %s: what output %s shows there cannot be read: %s",
			w->settings->name, bn_watch_output(w), strerror(-ret));
}

/* No pixels are wanted, but that the display answers. */
static void read_nothing(struct bn_watch *w, struct bn_watch_sample *sample)
{
	struct bn_output *output = w->screen->display->output;
	const struct bn_rect corner = {w->at.x, w->at.y, 1, 1};
	struct bn_read_info info = {.source = BN_READ_LAYER};
	uint32_t pixel;
	if (bn_output_read(output, &corner, &pixel, &info) == -ETIMEDOUT)
		sample->what = BN_WATCH_UNKNOWN;
	w->source = source_name(info.source);
}

static void follow_refresh(struct bn_watch *w)
{
	uint32_t mhz = bn_output_config(w->screen->display->output)->refresh_mhz;
	uint64_t refresh = bn_watch_refresh(w->screen);
	if (mhz != w->refresh_mhz)
		bn_watchdog_set_refresh(w->all->judge, bn_watch_index(w), refresh,
			refresh / BN_WATCH_GRACE_PARTS);
	w->refresh_mhz = mhz;
}

/* When the guest flushed what is seen of it. */
static uint64_t content_of(const struct bn_frame *frame)
{
	return frame->content_ns ? frame->content_ns : frame->flush_ns;
}

static void look(struct bn_watch *w, uint64_t when_ns)
{
	struct bn_watch_sample sample = {.what = BN_WATCH_NOTHING, .when_ns = when_ns};
	const struct bn_layer *layer = bn_watch_layer(w);
	follow_refresh(w);
	if (layer)
		place_watch(w, layer);
	if (bn_watch_is_shown(layer)) {
		sample.what = BN_WATCH_SEEN;
		sample.frame_ns = content_of(bn_layer_current(layer));
		if (bn_watchdog_wants_pixels(w->all->judge, bn_watch_index(w)))
			read_pixels(w, &sample);
		else
			read_nothing(w, &sample);
		/* Of a display that is not known to show it nobody gets anything newer. */
		if (sample.what == BN_WATCH_UNKNOWN)
			sample.frame_ns = w->frame_ns;
		w->frame_ns = sample.frame_ns;
	}
	if (layer && !bn_layer_current(layer)->buffer && bn_now_ns() < w->arriving_ns)
		sample.what = BN_WATCH_UNKNOWN;
	w->retry = sample.what == BN_WATCH_UNKNOWN;
	w->retry_ns = when_ns + bn_watch_refresh(w->screen);
	bn_watchdog_sample(w->all->judge, bn_watch_index(w), &sample);
}

/* ---- when ---- */

void bn_watch_arm(struct bn_watchdogs *all)
{
	uint64_t due = bn_watchdog_deadline(all->judge), now = bn_now_ns();
	int ms = 0; /* none */
	for (unsigned i = 0; i < all->num_watches; i++) {
		if (all->watch[i].retry && all->watch[i].retry_ns < due)
			due = all->watch[i].retry_ns;
	}
	if (all->poked)
		due = now;
	if (due != UINT64_MAX) {
		uint64_t wait = due > now ? (due - now + BN_NS_PER_MS - 1) / BN_NS_PER_MS : 1;
		ms = wait > 1000000 ? 1000000 : wait < 1 ? 1 : (int)wait;
	}
	if (all->timer)
		wl_event_source_timer_update(all->timer, ms);
}

void bn_watch_handle_vblank(void *data, uint64_t when_ns)
{
	struct bn_watch_screen *s = data;
	bn_watch_follow_outputs(s->all, bn_now_ns());
	for (unsigned i = 0; i < s->all->num_watches; i++) {
		struct bn_watch *w = &s->all->watch[i];
		if (w->screen == s && !w->paused)
			look(w, when_ns);
	}
	bn_watch_settle(s->all);
}

static void handle_idle(void *data)
{
	struct bn_watchdogs *all = data;
	uint64_t now = bn_now_ns();
	all->idle = NULL;
	all->poked = false;
	bn_watch_follow_outputs(all, now);
	for (unsigned i = 0; i < all->num_watches; i++) {
		struct bn_watch *w = &all->watch[i];
		if (w->retry && now >= w->retry_ns)
			look(w, now);
	}
	bn_watchdog_tick(all->judge, now);
	bn_watch_settle(all);
}

void bn_watch_forget_idle(struct bn_watchdogs *all)
{
	if (all->idle)
		wl_event_source_remove(all->idle);
	all->idle = NULL;
}

/* A loop that is late, on a busy machine, may have a vblank to tell of that was in time: that goes before. */
int bn_watch_handle_timer(void *data)
{
	struct bn_watchdogs *all = data;
	if (!all->idle)
		all->idle = wl_event_loop_add_idle(all->loop, handle_idle, all);
	if (!all->idle)
		handle_idle(all);
	return 0;
}
