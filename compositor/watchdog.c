#include "compositor/watchdog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NEVER UINT64_MAX
#define BLIND_REFRESHES 8

struct region {
	struct bn_watch_rule rule; /* its sets are in bn_watchdog.sets */
	struct bn_watch_status status;
	bool seen;     /* there was a sample */
	bool nothing;  /* … that showed nothing */
	bool never;    /* … that nobody can read */
	bool expected; /* … within `expect`, if there is one */
	bool absent;   /* … outside of `absent` */
	uint64_t now_ns;
	uint64_t picture_ns; /* the newest picture's time */
	uint64_t changed_ns, frame_ns;
	uint64_t claimed_ns; /* what frame_ns was said to be, to know the frame again */
	uint64_t fresh_ns;   /* no frame counts as older: the last pause ended then */
	/* From when on it is known to be frozen, stale, blind, and late for its start. */
	uint64_t frozen_at, stale_at, blind_at, start_at;
	uint64_t counted_ns; /* when the last picture was counted, or one that stayed */
	unsigned bad, good;  /* in a row */
	uint64_t deadline;
};

struct bn_watchdog {
	struct region *region;
	unsigned count;
	uint32_t *sets;
	void (*changed)(void *data, unsigned region);
	void *data;
};

static uint64_t add(uint64_t a, uint64_t b)
{
	return a > NEVER - b ? NEVER : a + b;
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

const char *bn_watch_fault_name(enum bn_watch_fault fault)
{
	static const char *const names[BN_WATCH_FAULTS] = {
		"ok", "missing", "wrong", "present", "frozen", "stale", "unreadable"};
	return fault < BN_WATCH_FAULTS ? names[fault] : "?";
}

/* ---- what is the matter ---- */

static bool wants_pixels(const struct bn_watch_rule *rule)
{
	return rule->num_expect > 0 || rule->num_absent > 0 || rule->change_ns > 0;
}

static bool may_be_nothing(const struct bn_watch_rule *rule)
{
	return rule->num_expect == 0 && rule->change_ns == 0 && rule->age_ns == 0;
}

static bool contains(const uint32_t *set, unsigned count, uint32_t crc)
{
	for (unsigned i = 0; i < count; i++) {
		if (set[i] == crc)
			return true;
	}
	return false;
}

/* Of its newest sample, at that time. */
static enum bn_watch_fault verdict(const struct region *r, uint64_t at)
{
	if (r->never || at >= r->blind_at)
		return BN_WATCH_UNREADABLE;
	if (!r->seen)
		return BN_WATCH_MISSING;
	if (r->nothing)
		return may_be_nothing(&r->rule) ? BN_WATCH_OK : BN_WATCH_MISSING;
	if (!r->expected)
		return BN_WATCH_WRONG;
	if (!r->absent)
		return BN_WATCH_PRESENT;
	if (at >= r->frozen_at)
		return BN_WATCH_FROZEN;
	if (at >= r->stale_at)
		return BN_WATCH_STALE;
	return BN_WATCH_OK;
}

/* When the rule was broken, rather than when that was found. */
static uint64_t broken_since(const struct region *r, enum bn_watch_fault fault, uint64_t at)
{
	if (fault == BN_WATCH_FROZEN)
		return min(at, add(r->changed_ns, r->rule.change_ns));
	if (fault == BN_WATCH_STALE)
		return min(at, add(r->frame_ns, r->rule.age_ns));
	return at;
}

/* ---- counting ---- */

static void enter(struct bn_watchdog *w, struct region *r, enum bn_watch_state state, uint64_t at)
{
	struct bn_watch_status *s = &r->status;
	s->state = state;
	s->since_ns = at;
	if (state == BN_WATCH_FALLBACK) {
		s->last = s->fault;
		s->count[s->fault]++;
		s->failed_ns = r->bad > 1 ? at : broken_since(r, s->fault, at);
	}
	r->bad = r->good = 0;
	if (w->changed)
		w->changed(w->data, (unsigned)(r - w->region));
}

static bool has_failed(const struct region *r, uint64_t at)
{
	switch (r->status.state) {
	case BN_WATCH_LIVE:
		return r->bad >= r->rule.bad_frames;
	case BN_WATCH_WAITING:
		return at >= r->start_at;
	default:
		return false;
	}
}

/* A picture, or one that has stayed. */
static void count(struct bn_watchdog *w, struct region *r, uint64_t at)
{
	struct bn_watch_status *s = &r->status;
	s->fault = verdict(r, at);
	r->counted_ns = at;
	if (s->fault != BN_WATCH_OK) {
		r->good = 0;
		r->bad++;
		if (has_failed(r, at))
			enter(w, r, BN_WATCH_FALLBACK, at);
		return;
	}
	r->bad = 0;
	if (r->blind_at != NEVER || s->state == BN_WATCH_LIVE)
		return;
	if (++r->good >= r->rule.good_frames)
		enter(w, r, BN_WATCH_LIVE, at);
}

/* When something happens to the region if no picture comes. */
static uint64_t next(const struct region *r)
{
	enum bn_watch_state state = r->status.state;
	uint64_t stays = add(r->counted_ns, add(r->rule.refresh_ns, r->rule.refresh_ns / 2));
	if (verdict(r, r->now_ns) == BN_WATCH_OK) {
		uint64_t at = min(r->blind_at, min(r->frozen_at, r->stale_at));
		return state == BN_WATCH_LIVE || r->blind_at != NEVER ? at : min(at, stays);
	}
	if (state == BN_WATCH_LIVE)
		return stays;
	return state == BN_WATCH_WAITING ? r->start_at : NEVER;
}

/* Ends: a region that is bad fails, one that is good becomes live, and both take a bounded number
 * of steps. */
static void advance(struct bn_watchdog *w, struct region *r, uint64_t now)
{
	now = min(now, NEVER - 1);
	while (!r->status.paused) {
		uint64_t due = next(r);
		if (due > now || due == NEVER)
			break;
		r->now_ns = max(r->now_ns, due);
		count(w, r, r->now_ns);
	}
	r->now_ns = max(r->now_ns, now);
}

/* ---- samples ---- */

static void take_unknown(struct region *r, bool never)
{
	if (never)
		r->never = true;
	else if (r->blind_at == NEVER)
		r->blind_at = add(r->now_ns, r->rule.blind_ns);
}

/* When a rule about time is known to be broken, if nothing comes before. */
static uint64_t broken_at(
	const struct bn_watch_rule *rule, uint64_t last_ns, uint64_t limit_ns, uint64_t at)
{
	uint64_t end = add(last_ns, limit_ns);
	if (limit_ns == 0)
		return NEVER;
	return at > end ? at : add(end, rule->grace_ns);
}

/* late: a newer one has been told of, so that it says nothing of when something changed. */
static void take_picture(struct region *r, uint32_t crc, bool nothing, bool late)
{
	const struct bn_watch_rule *rule = &r->rule;
	uint64_t at = r->now_ns;
	if (!r->seen || (!late && (r->nothing != nothing || r->status.crc != crc)))
		r->changed_ns = at;
	r->frozen_at = broken_at(rule, r->changed_ns, rule->change_ns, at);
	r->nothing = nothing;
	r->status.crc = late ? r->status.crc : crc;
	r->expected = rule->num_expect == 0 || contains(rule->expect, rule->num_expect, crc);
	r->absent = nothing || !contains(rule->absent, rule->num_absent, crc);
	r->blind_at = NEVER;
	r->never = false;
	r->seen = true;
}

static void take_age(struct region *r, uint64_t frame_ns)
{
	const struct bn_watch_rule *rule = &r->rule;
	uint64_t at = r->now_ns;
	/* A frame from the future does not get younger by being looked at again. */
	if (frame_ns != r->claimed_ns || !r->seen)
		r->frame_ns = max(min(frame_ns, at), r->fresh_ns);
	r->claimed_ns = frame_ns;
	r->stale_at = broken_at(rule, r->frame_ns, rule->age_ns, at);
}

static void settle(struct region *r)
{
	r->deadline = NEVER;
	if (r->status.paused)
		return;
	r->deadline = next(r);
	r->status.fault = verdict(r, r->now_ns);
}

void bn_watchdog_sample(
	struct bn_watchdog *w, unsigned region, const struct bn_watch_sample *sample)
{
	struct region *r = &w->region[region];
	bool known = sample->what == BN_WATCH_SEEN || sample->what == BN_WATCH_NOTHING;
	bool pixels = wants_pixels(&r->rule);
	bool late = sample->when_ns < r->picture_ns;
	if (r->status.paused)
		return;
	r->picture_ns = max(r->picture_ns, min(sample->when_ns, NEVER - 1));
	/* What was due before this picture. */
	if (sample->when_ns > 0)
		advance(w, r, sample->when_ns - 1);
	r->now_ns = max(r->now_ns, min(sample->when_ns, NEVER - 1));
	take_age(r, sample->frame_ns);
	if (known || !pixels)
		take_picture(
			r, pixels ? sample->crc : 0, sample->what == BN_WATCH_NOTHING, late);
	else
		take_unknown(r, sample->what == BN_WATCH_NEVER);
	if (known || !pixels || r->never) {
		r->status.pictures++;
		count(w, r, r->now_ns);
		r->status.bad += r->status.fault != BN_WATCH_OK;
	}
	advance(w, r, r->now_ns);
	settle(r);
}

void bn_watchdog_tick(struct bn_watchdog *w, uint64_t now_ns)
{
	for (unsigned i = 0; i < w->count; i++) {
		advance(w, &w->region[i], now_ns);
		settle(&w->region[i]);
	}
}

uint64_t bn_watchdog_deadline(const struct bn_watchdog *w)
{
	uint64_t at = NEVER;
	for (unsigned i = 0; i < w->count; i++)
		at = min(at, w->region[i].deadline);
	return at;
}

const struct bn_watch_status *bn_watchdog_status(const struct bn_watchdog *w, unsigned region)
{
	return &w->region[region].status;
}

bool bn_watchdog_wants_pixels(const struct bn_watchdog *w, unsigned region)
{
	return wants_pixels(&w->region[region].rule);
}

void bn_watchdog_pause(struct bn_watchdog *w, unsigned region, uint64_t now_ns)
{
	struct region *r = &w->region[region];
	advance(w, r, now_ns);
	r->status.paused = true;
	settle(r);
}

/* As at the start. */
static void wait_again(struct bn_watchdog *w, struct region *r)
{
	r->start_at = r->rule.start_ns ? add(r->now_ns, r->rule.start_ns) : NEVER;
	if (r->status.state != BN_WATCH_WAITING)
		enter(w, r, BN_WATCH_WAITING, r->now_ns);
}

void bn_watchdog_resume(struct bn_watchdog *w, unsigned region, bool keep, uint64_t now_ns)
{
	struct region *r = &w->region[region];
	if (!r->status.paused)
		return;
	r->status.paused = false;
	r->now_ns = max(r->now_ns, min(now_ns, NEVER - 1));
	uint64_t at = r->now_ns;
	r->bad = r->good = 0;
	r->blind_at = NEVER;
	r->counted_ns = r->changed_ns = r->frame_ns = r->fresh_ns = at;
	if (r->seen) {
		r->frozen_at = broken_at(&r->rule, at, r->rule.change_ns, at);
		r->stale_at = broken_at(&r->rule, at, r->rule.age_ns, at);
	}
	if (!keep)
		r->seen = false;
	if (!keep || r->status.state == BN_WATCH_WAITING)
		wait_again(w, r);
	settle(r);
}

void bn_watchdog_reset(struct bn_watchdog *w, unsigned region, uint64_t now_ns)
{
	struct region *r = &w->region[region];
	struct bn_watch_status *s = &r->status;
	advance(w, r, now_ns);
	memset(s->count, 0, sizeof(s->count));
	s->pictures = s->bad = 0;
	s->last = BN_WATCH_OK;
	s->failed_ns = 0;
	if (s->state == BN_WATCH_FALLBACK) {
		r->counted_ns = r->now_ns;
		wait_again(w, r);
	}
	settle(r);
}

static void set_refresh(struct bn_watch_rule *rule, uint64_t refresh_ns, uint64_t grace_ns)
{
	rule->refresh_ns = refresh_ns ? refresh_ns : 1;
	rule->grace_ns = grace_ns;
}

void bn_watchdog_set_refresh(
	struct bn_watchdog *w, unsigned region, uint64_t refresh_ns, uint64_t grace_ns)
{
	struct region *r = &w->region[region];
	set_refresh(&r->rule, refresh_ns, grace_ns);
	settle(r);
}

/* ---- life ---- */

static bool rule_is_valid(const struct bn_watch_rule *rule)
{
	return rule->num_expect <= BN_WATCH_SET_MAX && rule->num_absent <= BN_WATCH_SET_MAX &&
	       rule->bad_frames <= BN_WATCH_FRAMES_MAX && rule->good_frames <= BN_WATCH_FRAMES_MAX;
}

static const uint32_t *copy_set(uint32_t **to, const uint32_t *from, unsigned count)
{
	const uint32_t *set = *to;
	if (count > 0)
		memcpy(*to, from, count * sizeof(*from));
	*to += count;
	return set;
}

static void region_init(
	struct region *r, const struct bn_watch_rule *rule, uint32_t **sets, uint64_t now)
{
	*r = (struct region){
		.rule = *rule,
		.status = {.since_ns = now},
		.now_ns = now,
		.counted_ns = now,
		.frozen_at = NEVER,
		.stale_at = NEVER,
		.blind_at = NEVER,
		.start_at = rule->start_ns ? add(now, rule->start_ns) : NEVER,
	};
	r->rule.expect = copy_set(sets, rule->expect, rule->num_expect);
	r->rule.absent = copy_set(sets, rule->absent, rule->num_absent);
	r->rule.bad_frames += rule->bad_frames == 0;
	r->rule.good_frames += rule->good_frames == 0;
	set_refresh(&r->rule, rule->refresh_ns, rule->grace_ns);
	if (rule->blind_ns == 0)
		r->rule.blind_ns =
			min(r->rule.refresh_ns, NEVER / BLIND_REFRESHES) * BLIND_REFRESHES;
	settle(r);
}

int bn_watchdog_create(struct bn_watchdog **out, const struct bn_watch_rule *rules, unsigned count,
	uint64_t now_ns, void (*changed)(void *data, unsigned region), void *data)
{
	size_t pictures = 0;
	*out = NULL;
	for (unsigned i = 0; count <= BN_WATCH_REGIONS_MAX && i < count; i++) {
		if (!rule_is_valid(&rules[i]))
			return -EINVAL;
		pictures += rules[i].num_expect + rules[i].num_absent;
	}
	struct bn_watchdog *w = count <= BN_WATCH_REGIONS_MAX ? calloc(1, sizeof(*w)) : NULL;
	if (!w)
		return count <= BN_WATCH_REGIONS_MAX ? -ENOMEM : -EINVAL;
	w->region = calloc(count + 1, sizeof(*w->region));
	w->sets = calloc(pictures + 1, sizeof(*w->sets));
	if (!w->region || !w->sets) {
		bn_watchdog_destroy(w);
		return -ENOMEM;
	}
	uint32_t *sets = w->sets;
	for (unsigned i = 0; i < count; i++)
		region_init(&w->region[i], &rules[i], &sets, now_ns);
	w->count = count;
	w->changed = changed;
	w->data = data;
	*out = w;
	return 0;
}

void bn_watchdog_destroy(struct bn_watchdog *w)
{
	if (!w)
		return;
	free(w->region);
	free(w->sets);
	free(w);
}
