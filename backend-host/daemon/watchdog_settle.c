/* What follows from the judge's word: covers, boot pictures, events, hooks. */
#include "common/clock.h"
#include "events.h"
#include "watchdog_priv.h"

/* ---- telling ---- */

static void tell(struct bn_watch *w)
{
	const struct bn_settings_watch *s = w->settings;
	const struct bn_watch_status *status = bn_watch_status(w);
	const char *output = bn_watch_output(w);
	struct bn_watch_hook_facts facts = {.watch = s->name,
		.layer = s->layer,
		.output = output,
		.state = "live",
		.fault = bn_watch_fault_name(status->last)};
	enum bn_watch_state before = w->told;
	w->new_state = false;
	/* Who heard of a fault is told of its end, whatever lies between. */
	if (status->state != BN_WATCH_WAITING)
		w->told = status->state;
	if (status->state == BN_WATCH_FALLBACK) {
		facts.state = s->event_only ? "fault" : "fallback";
		bn_events_add(w->all->events, BN_EVENTS_NO_VM, BN_EVENT_WATCHDOG,
			"watch %s: layer %s on output %s is %s%s", s->name, s->layer, output,
			facts.fault, s->event_only ? "" : ": its fallback is shown");
	} else if (status->state == BN_WATCH_LIVE && before == BN_WATCH_FALLBACK) {
		bn_events_add(w->all->events, BN_EVENTS_NO_VM, BN_EVENT_RECOVERED,
			"watch %s: layer %s on output %s is live again", s->name, s->layer, output);
	} else {
		return;
	}
	bn_watch_hook_run(&w->hook, &facts);
}

/* The judge's word; bn_watch_settle() does what follows from it, with the next vblank. */
void bn_watch_handle_changed(void *data, unsigned region)
{
	struct bn_watchdogs *all = data;
	struct bn_watch *w = &all->watch[region];
	w->new_state = true;
	if (bn_watch_status(w)->state == BN_WATCH_FALLBACK) {
		w->failed_ns = bn_watch_status(w)->failed_ns;
		w->shown_ns = 0;
	}
}

/* Whether something must stand in for it. */
static bool is_covered(const struct bn_watch *w)
{
	enum bn_watch_state state = bn_watch_status(w)->state;
	/* Before it was ever live the boot picture is enough. */
	bool booting = !w->screen->released && (w->screen->boot.layer || w->screen->fallback.layer);
	return !w->settings->event_only &&
	       (state == BN_WATCH_FALLBACK || (state == BN_WATCH_WAITING && !booting));
}

struct census {
	unsigned safety, safety_shown, shown;
};

static struct census count_layers(const struct bn_watch_screen *s)
{
	struct bn_layer *layers[BN_OUTPUT_LAYERS_MAX];
	unsigned n = bn_output_layers(s->display->output, layers, BN_OUTPUT_LAYERS_MAX);
	struct census c = {0};
	for (unsigned i = 0; i < n; i++) {
		enum bn_role role = bn_layer_place(layers[i])->role;
		if (role == BN_ROLE_FALLBACK)
			continue;
		c.shown += bn_watch_is_shown(layers[i]);
		c.safety += role == BN_ROLE_SAFETY;
		c.safety_shown += role == BN_ROLE_SAFETY && bn_watch_is_shown(layers[i]);
	}
	return c;
}

/* The watches of what the boot picture waits for: of safety layers, or of all where there are
 * none. */
static bool watches_pass(const struct bn_watch_screen *s, bool safety_only)
{
	for (unsigned i = 0; i < s->all->num_watches; i++) {
		const struct bn_watch *w = &s->all->watch[i];
		if (w->screen != s || bn_watch_status(w)->state == BN_WATCH_LIVE)
			continue;
		const struct bn_layer *layer = bn_watch_layer(w);
		if (!safety_only || !layer || bn_layer_place(layer)->role == BN_ROLE_SAFETY)
			return false;
	}
	return true;
}

static void release(struct bn_watch_screen *s)
{
	struct census c = count_layers(s);
	/* What is shown on a display that is switched off is not watched. */
	if (c.shown == 0 || !s->display->enabled)
		s->released = false;
	else if (!s->released)
		s->released = c.safety_shown == c.safety && watches_pass(s, c.safety > 0);
}

static void place_whole(const struct bn_watch_screen *s, struct bn_cover *cover)
{
	const struct bn_output_config *config = bn_output_config(s->display->output);
	bn_cover_place(cover, &(struct bn_rect){0, 0, config->width, config->height});
}

static void settle_screen(struct bn_watch_screen *s)
{
	bool common = false;
	release(s);
	for (unsigned i = 0; i < s->all->num_watches; i++) {
		struct bn_watch *w = &s->all->watch[i];
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

void bn_watch_settle(struct bn_watchdogs *all)
{
	for (unsigned i = 0; i < all->num_screens; i++) {
		if (all->screen[i].watched)
			settle_screen(&all->screen[i]);
	}
	for (unsigned i = 0; i < all->num_watches; i++) {
		if (all->watch[i].new_state)
			tell(&all->watch[i]);
	}
	bn_watch_arm(all);
}

/* ---- what was shown ---- */

static void note_reaction(struct bn_watch *w, uint64_t when_ns)
{
	if (w->failed_ns == 0 || w->shown_ns != 0)
		return;
	w->shown_ns = when_ns;
	bn_histogram_add(&w->reaction, when_ns > w->failed_ns ? when_ns - w->failed_ns : 0);
}

void bn_watch_cover_shown(void *data, uint64_t when_ns)
{
	struct bn_watch *w = data;
	if (bn_watch_status(w)->state == BN_WATCH_FALLBACK)
		note_reaction(w, when_ns);
}

static void note_boot(struct bn_watch_screen *s, uint64_t when_ns)
{
	s->times++;
	if (s->first_ns != 0)
		return;
	s->first_ns = when_ns;
	bn_info("output %s: boot picture shown after %.1f ms", bn_display_name(s->display),
		(double)(when_ns - s->all->settings->begun_ns) / 1e6);
}

void bn_watch_boot_shown(void *data, uint64_t when_ns)
{
	note_boot(data, when_ns);
}

/* The picture that an output has for all its watches, and at the start when there is no other. */
void bn_watch_fallback_shown(void *data, uint64_t when_ns)
{
	struct bn_watch_screen *s = data;
	if (!s->released && !s->boot.layer)
		note_boot(s, when_ns);
	for (unsigned i = 0; i < s->all->num_watches; i++) {
		struct bn_watch *w = &s->all->watch[i];
		if (w->screen == s && !w->cover.layer)
			bn_watch_cover_shown(w, when_ns);
	}
}
