/* Watches, their covers and the outputs that they are on.
 *
 *   vblank ──▶ look() at each watch of the output ──▶ the judge ──▶ changed() ──▶ settle():
 *   timer ───▶ the judge's deadlines (a picture that does not come tells nobody)   covers, boot
 *                                                                      picture, events, hooks
 *
 * While something covers a region, what is scanned out there is the cover; then the layers below
 * are put together by the CPU, and judged in its place. */
#include "watchdog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wayland-server-core.h>

#include "common/clock.h"
#include "common/log.h"
#include "events.h"
#include "picture.h"
#include "watchdog_cover.h"
#include "watchdog_hook.h"

/* What the loop may take to tell of a picture, as a part of a refresh. */
#define GRACE_PARTS 4
/* Covers of watches lie above those of outputs, and those above boot pictures. */
enum { Z_BOOT, Z_OUTPUT, Z_WATCH };

struct screen;

struct watch {
	struct bn_watchdogs *all;
	struct screen *screen;
	const struct bn_settings_watch *settings;
	struct bn_cover cover; /* of its own, if it has a picture */
	struct bn_watch_hook hook;
	struct bn_rect at;
	const char *source;
	bool covered;
	bool retry;     /* the last picture could not be read: once more, at retry_ns */
	bool new_state; /* and nobody has been told */
	enum bn_watch_state told;
	uint64_t retry_ns, failed_ns, shown_ns;
	uint32_t refresh_mhz;
	struct bn_histogram reaction;
	unsigned long complaints;
};

struct screen {
	struct bn_watchdogs *all;
	const struct bn_settings_output *settings;
	struct bn_display *display;
	struct bn_cover boot, fallback;
	bool watched;  /* has an observer */
	bool released; /* what is shown is good: no boot picture */
	uint64_t first_ns, times;
};

struct bn_watchdogs {
	struct wl_event_loop *loop;
	const struct bn_settings *settings;
	struct bn_events *events;
	struct bn_watchdog *judge;
	struct wl_event_source *timer;
	struct watch watch[BN_WATCH_REGIONS_MAX];
	unsigned num_watches;
	struct screen screen[BN_SETTINGS_OUTPUTS_MAX];
	unsigned num_screens;
	uint32_t *pixels; /* room for the largest region */
};

static unsigned index_of(const struct watch *w)
{
	return (unsigned)(w - w->all->watch);
}

static const struct bn_watch_status *status_of(const struct watch *w)
{
	return bn_watchdog_status(w->all->judge, index_of(w));
}

static uint64_t refresh_of(const struct screen *s)
{
	return 1000 * BN_NS_PER_S / bn_output_config(s->display->output)->refresh_mhz;
}

/* ---- looking ---- */

static struct bn_layer *find_layer(const struct screen *s, const char *name)
{
	struct bn_layer *layers[BN_OUTPUT_LAYERS_MAX];
	unsigned n = bn_output_layers(s->display->output, layers, BN_OUTPUT_LAYERS_MAX);
	for (unsigned i = 0; i < n; i++) {
		if (strcmp(bn_layer_name(layers[i]), name) == 0)
			return layers[i];
	}
	return NULL;
}

static bool is_shown(const struct bn_layer *layer)
{
	return layer && bn_layer_current(layer)->buffer && !bn_layer_place(layer)->hidden;
}

static const char *source_name(enum bn_read_source source)
{
	static const char *const names[] = {"layer", "composed", "writeback"};
	return names[source];
}

/* Where the watch and its cover lie, by where the layer lies. */
static void place_watch(struct watch *w, const struct bn_layer *layer)
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
static void read_pixels(struct watch *w, struct bn_watch_sample *sample)
{
	struct bn_output *output = w->screen->display->output;
	struct bn_read_info info = {.source = BN_READ_LAYER};
	int ret;
	w->covered = bn_output_is_covered(output, &w->at);
	if (w->covered)
		ret = bn_output_read_below(output, &w->at, w->all->pixels);
	else
		ret = bn_output_read(output, &w->at, w->all->pixels, &info);
	w->source = source_name(info.source);
	if (ret == 0) {
		sample->crc = bn_picture_crc(w->all->pixels, (size_t)w->at.width * w->at.height);
		if (info.when_ns != 0)
			sample->when_ns = info.when_ns;
		return;
	}
	sample->what = ret == -EINVAL   ? BN_WATCH_NOTHING
		       : ret == -EAGAIN ? BN_WATCH_UNKNOWN
					: BN_WATCH_NEVER;
	if (sample->what == BN_WATCH_NEVER && bn_log_gate(&w->complaints))
		bn_warn("watch %s: what output %s shows there cannot be read: %s",
			w->settings->name, w->settings->output, strerror(-ret));
}

static void follow_refresh(struct watch *w)
{
	uint32_t mhz = bn_output_config(w->screen->display->output)->refresh_mhz;
	uint64_t refresh = refresh_of(w->screen);
	if (mhz != w->refresh_mhz)
		bn_watchdog_set_refresh(w->all->judge, index_of(w), refresh, refresh / GRACE_PARTS);
	w->refresh_mhz = mhz;
}

/* When the guest flushed what is seen of it. */
static uint64_t content_of(const struct bn_frame *frame)
{
	return frame->content_ns ? frame->content_ns : frame->flush_ns;
}

static void look(struct watch *w, uint64_t when_ns)
{
	struct bn_watch_sample sample = {.what = BN_WATCH_NOTHING, .when_ns = when_ns};
	const struct bn_layer *layer = find_layer(w->screen, w->settings->layer);
	follow_refresh(w);
	if (layer)
		place_watch(w, layer);
	if (is_shown(layer)) {
		sample.what = BN_WATCH_SEEN;
		sample.frame_ns = content_of(bn_layer_current(layer));
		if (bn_watchdog_wants_pixels(w->all->judge, index_of(w)))
			read_pixels(w, &sample);
		else
			w->source = "layer";
	}
	w->retry = sample.what == BN_WATCH_UNKNOWN;
	w->retry_ns = when_ns + refresh_of(w->screen);
	bn_watchdog_sample(w->all->judge, index_of(w), &sample);
}

/* ---- what follows from it ---- */

static void tell(struct watch *w)
{
	const struct bn_settings_watch *s = w->settings;
	const struct bn_watch_status *status = status_of(w);
	struct bn_watch_hook_facts facts = {.watch = s->name,
		.layer = s->layer,
		.output = s->output,
		.state = "live",
		.fault = bn_watch_fault_name(status->last)};
	enum bn_watch_state before = w->told;
	w->new_state = false;
	w->told = status->state;
	if (status->state == BN_WATCH_FALLBACK) {
		facts.state = s->event_only ? "fault" : "fallback";
		bn_events_add(w->all->events, BN_EVENTS_NO_VM, BN_EVENT_WATCHDOG,
			"watch %s: layer %s on output %s is %s%s", s->name, s->layer, s->output,
			facts.fault, s->event_only ? "" : ": its fallback is shown");
	} else if (status->state == BN_WATCH_LIVE && before == BN_WATCH_FALLBACK) {
		bn_events_add(w->all->events, BN_EVENTS_NO_VM, BN_EVENT_RECOVERED,
			"watch %s: layer %s on output %s is live again", s->name, s->layer,
			s->output);
	} else {
		return;
	}
	bn_watch_hook_run(&w->hook, &facts);
}

/* The judge's word; settle() does what follows from it, with the next vblank. */
static void handle_changed(void *data, unsigned region)
{
	struct bn_watchdogs *all = data;
	struct watch *w = &all->watch[region];
	w->new_state = true;
	if (status_of(w)->state == BN_WATCH_FALLBACK) {
		w->failed_ns = status_of(w)->failed_ns;
		w->shown_ns = 0;
	}
}

/* Whether something must stand in for it. */
static bool is_covered(const struct watch *w)
{
	enum bn_watch_state state = status_of(w)->state;
	/* Before it was ever live the boot picture is enough. */
	bool booting = !w->screen->released && (w->screen->boot.layer || w->screen->fallback.layer);
	return !w->settings->event_only &&
	       (state == BN_WATCH_FALLBACK || (state == BN_WATCH_WAITING && !booting));
}

struct census {
	unsigned safety, safety_shown, shown;
};

static struct census count_layers(const struct screen *s)
{
	struct bn_layer *layers[BN_OUTPUT_LAYERS_MAX];
	unsigned n = bn_output_layers(s->display->output, layers, BN_OUTPUT_LAYERS_MAX);
	struct census c = {0};
	for (unsigned i = 0; i < n; i++) {
		enum bn_role role = bn_layer_place(layers[i])->role;
		if (role == BN_ROLE_FALLBACK)
			continue;
		c.shown += is_shown(layers[i]);
		c.safety += role == BN_ROLE_SAFETY;
		c.safety_shown += role == BN_ROLE_SAFETY && is_shown(layers[i]);
	}
	return c;
}

/* The watches of what the boot picture waits for: of safety layers, or of all where there are
 * none. */
static bool watches_pass(const struct screen *s, bool safety_only)
{
	for (unsigned i = 0; i < s->all->num_watches; i++) {
		const struct watch *w = &s->all->watch[i];
		if (w->screen != s || status_of(w)->state == BN_WATCH_LIVE)
			continue;
		const struct bn_layer *layer = find_layer(s, w->settings->layer);
		if (!safety_only || !layer || bn_layer_place(layer)->role == BN_ROLE_SAFETY)
			return false;
	}
	return true;
}

static void release(struct screen *s)
{
	struct census c = count_layers(s);
	if (c.shown == 0)
		s->released = false;
	else if (!s->released)
		s->released = c.safety_shown == c.safety && watches_pass(s, c.safety > 0);
}

static void place_whole(const struct screen *s, struct bn_cover *cover)
{
	const struct bn_output_config *config = bn_output_config(s->display->output);
	bn_cover_place(cover, &(struct bn_rect){0, 0, config->width, config->height});
}

static void settle_screen(struct screen *s)
{
	bool common = false;
	release(s);
	for (unsigned i = 0; i < s->all->num_watches; i++) {
		struct watch *w = &s->all->watch[i];
		if (w->screen != s)
			continue;
		bn_cover_show(&w->cover, is_covered(w));
		common = common || (!w->cover.layer && is_covered(w));
	}
	place_whole(s, &s->boot);
	place_whole(s, &s->fallback);
	bn_cover_show(&s->boot, !s->released);
	bn_cover_show(&s->fallback, common || (!s->released && !s->boot.layer));
}

static void arm(struct bn_watchdogs *all)
{
	uint64_t due = bn_watchdog_deadline(all->judge), now = bn_now_ns();
	int ms = 0; /* none */
	for (unsigned i = 0; i < all->num_watches; i++) {
		if (all->watch[i].retry && all->watch[i].retry_ns < due)
			due = all->watch[i].retry_ns;
	}
	if (due != UINT64_MAX) {
		uint64_t wait = due > now ? (due - now + BN_NS_PER_MS - 1) / BN_NS_PER_MS : 1;
		ms = wait > 1000000 ? 1000000 : wait < 1 ? 1 : (int)wait;
	}
	if (all->timer)
		wl_event_source_timer_update(all->timer, ms);
}

static void settle(struct bn_watchdogs *all)
{
	for (unsigned i = 0; i < all->num_screens; i++) {
		if (all->screen[i].watched)
			settle_screen(&all->screen[i]);
	}
	for (unsigned i = 0; i < all->num_watches; i++) {
		if (all->watch[i].new_state)
			tell(&all->watch[i]);
	}
	arm(all);
}

static void handle_vblank(void *data, uint64_t when_ns)
{
	struct screen *s = data;
	for (unsigned i = 0; i < s->all->num_watches; i++) {
		if (s->all->watch[i].screen == s)
			look(&s->all->watch[i], when_ns);
	}
	settle(s->all);
}

static int handle_timer(void *data)
{
	struct bn_watchdogs *all = data;
	uint64_t now = bn_now_ns();
	for (unsigned i = 0; i < all->num_watches; i++) {
		struct watch *w = &all->watch[i];
		if (w->retry && now >= w->retry_ns)
			look(w, now);
	}
	bn_watchdog_tick(all->judge, now);
	settle(all);
	return 0;
}

/* ---- what was shown ---- */

static void note_reaction(struct watch *w, uint64_t when_ns)
{
	if (w->failed_ns == 0 || w->shown_ns != 0)
		return;
	w->shown_ns = when_ns;
	bn_histogram_add(&w->reaction, when_ns > w->failed_ns ? when_ns - w->failed_ns : 0);
}

static void handle_cover_shown(void *data, uint64_t when_ns)
{
	struct watch *w = data;
	if (status_of(w)->state == BN_WATCH_FALLBACK)
		note_reaction(w, when_ns);
}

static void note_boot(struct screen *s, uint64_t when_ns)
{
	s->times++;
	if (s->first_ns != 0)
		return;
	s->first_ns = when_ns;
	bn_info("output %s: boot picture shown after %.1f ms", bn_display_name(s->display),
		(double)(when_ns - s->all->settings->begun_ns) / 1e6);
}

static void handle_boot_shown(void *data, uint64_t when_ns)
{
	note_boot(data, when_ns);
}

/* The picture that an output has for all its watches, and at the start when there is no other. */
static void handle_fallback_shown(void *data, uint64_t when_ns)
{
	struct screen *s = data;
	if (!s->released && !s->boot.layer)
		note_boot(s, when_ns);
	for (unsigned i = 0; i < s->all->num_watches; i++) {
		struct watch *w = &s->all->watch[i];
		if (w->screen == s && !w->cover.layer)
			handle_cover_shown(w, when_ns);
	}
}

/* ---- life ---- */

static int init_cover(struct bn_cover *cover, struct screen *s, const char *name, const char *path,
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
	struct screen *s, const struct bn_settings_output *settings, struct bn_displays *displays)
{
	s->settings = settings;
	s->display = bn_displays_find(displays, settings->config.name);
	if (!s->display)
		return -ENOENT;
	int ret = init_cover(&s->boot, s, "boot", settings->boot, Z_BOOT, handle_boot_shown, s);
	if (ret == 0)
		ret = init_cover(&s->fallback, s, "fallback", settings->fallback, Z_OUTPUT,
			handle_fallback_shown, s);
	return ret;
}

static struct screen *screen_of(struct bn_watchdogs *all, const char *output)
{
	for (unsigned i = 0; i < all->num_screens; i++) {
		if (strcmp(bn_display_name(all->screen[i].display), output) == 0)
			return &all->screen[i];
	}
	return NULL;
}

static int init_watch(struct watch *w, const struct bn_settings_watch *settings)
{
	w->settings = settings;
	w->screen = screen_of(w->all, settings->output);
	w->source = "";
	bn_histogram_init(&w->reaction);
	bn_watch_hook_init(&w->hook, w->all->loop, settings->hook);
	return w->screen ? init_cover(&w->cover, w->screen, settings->name, settings->fallback,
				   Z_WATCH, handle_cover_shown, w)
			 : -ENOENT;
}

static int init_judge(struct bn_watchdogs *all)
{
	struct bn_watch_rule rules[BN_WATCH_REGIONS_MAX];
	const struct bn_settings *settings = all->settings;
	for (unsigned i = 0; i < all->num_watches; i++) {
		const struct bn_settings_watch *s = &settings->watches[i];
		uint64_t refresh = refresh_of(all->watch[i].screen);
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
			.grace_ns = refresh / GRACE_PARTS,
		};
	}
	return bn_watchdog_create(
		&all->judge, rules, all->num_watches, bn_now_ns(), handle_changed, all);
}

static int init_all(struct bn_watchdogs *all, struct bn_displays *displays)
{
	const struct bn_settings *settings = all->settings;
	size_t largest = 1;
	int ret = 0;
	for (; ret == 0 && all->num_screens < settings->num_outputs;) {
		struct screen *s = &all->screen[all->num_screens++];
		s->all = all;
		ret = init_screen(s, &settings->outputs[all->num_screens - 1], displays);
	}
	for (; ret == 0 && all->num_watches < settings->num_watches;) {
		struct watch *w = &all->watch[all->num_watches++];
		w->all = all;
		ret = init_watch(w, &settings->watches[all->num_watches - 1]);
		size_t size = (size_t)w->settings->region.width * w->settings->region.height;
		largest = size > largest ? size : largest;
	}
	if (ret < 0)
		return ret;
	all->pixels = calloc(largest, sizeof(*all->pixels));
	all->timer = wl_event_loop_add_timer(all->loop, handle_timer, all);
	return all->pixels && all->timer ? init_judge(all) : -ENOMEM;
}

static bool has_watch(const struct screen *s)
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
		struct screen *s = &all->screen[i];
		s->watched = s->boot.layer || s->fallback.layer || has_watch(s);
		if (s->watched)
			bn_output_set_observer(s->display->output, handle_vblank, s);
	}
	settle(all);
	*out = all;
	return 0;
}

void bn_watchdogs_destroy(struct bn_watchdogs *all)
{
	if (!all)
		return;
	for (unsigned i = 0; i < all->num_screens; i++) {
		struct screen *s = &all->screen[i];
		if (s->watched)
			bn_output_set_observer(s->display->output, NULL, NULL);
		bn_cover_finish(&s->boot);
		bn_cover_finish(&s->fallback);
	}
	for (unsigned i = 0; i < all->num_watches; i++) {
		bn_cover_finish(&all->watch[i].cover);
		bn_watch_hook_finish(&all->watch[i].hook);
	}
	if (all->timer)
		wl_event_source_remove(all->timer);
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
	const struct watch *w = &all->watch[index];
	const struct bn_watch_status *status = status_of(w);
	*out = (struct bn_watch_info){
		.settings = w->settings,
		.status = status,
		.state = states[status->state],
		.source = w->source,
		.at = w->at,
		.covered = w->covered,
		.shown_ns = w->shown_ns,
		.reaction = w->reaction,
		.refresh_ns = refresh_of(w->screen),
		.hook_runs = w->hook.runs,
	};
	if (status->state == BN_WATCH_FALLBACK && w->settings->event_only)
		out->state = "fault";
}

void bn_watchdogs_reset(struct bn_watchdogs *all, unsigned index)
{
	struct watch *w = &all->watch[index];
	bn_watchdog_reset(all->judge, index, bn_now_ns());
	bn_histogram_init(&w->reaction);
	w->failed_ns = w->shown_ns = 0;
	settle(all);
}

void bn_watchdogs_boot(const struct bn_watchdogs *all, unsigned index, struct bn_boot_info *out)
{
	const struct screen *s = &all->screen[index];
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
