/* Batches that do not end, grants that nobody uses, work without a grant. */
#include "arbiter_priv.h"

#define WATCHDOG_SOFTWARE_NS (100 * BN_NS_PER_MS)
/* Policies that do not cut streams: only what never ends is too long. */
#define WATCHDOG_UNCUT_NS BN_NS_PER_S

/* A batch that compiles shaders may take that much longer, all of them together the second figure
 * in ten seconds: so that the flag is of no use for anything else. */
#define COMPILE_BATCH_NS BN_NS_PER_S
#define COMPILE_BUCKET_NS (3 * BN_NS_PER_S)
#define COMPILE_REFILL(ns) ((ns) / 10 * 3)

#define TRIPS_WINDOW_NS (60 * BN_NS_PER_S)
#define STUCK_FACTOR 10u
#define STUCK_MIN_NS BN_NS_PER_S
/* STUCK is said again when nobody did anything about it. */
#define STUCK_AGAIN_NS BN_NS_PER_S

#define SILENT_NS (50 * BN_NS_PER_MS)
/* One of its threads is running or would run: it may be about to start a batch. */
#define SILENT_RUNNABLE_NS (500 * BN_NS_PER_MS)
#define SILENT_STUCK_NS (2 * BN_NS_PER_S)

/* Looks with a sign of work without a grant, until it is held against the renderer. */
#define OFFENCES_MAX 3u
#define OFFENCE_FORGOTTEN_NS (200 * BN_NS_PER_MS)
#define BURNING_MAX 5u
#define BURNING_PERCENT 70u
/* A renderer that starts has shaders and resources to restore before it asks for anything. */
#define START_NS (5 * BN_NS_PER_S)
#define PUNISH_NS (200 * BN_NS_PER_MS)
#define PUNISH_LEVEL_MAX 6u
#define PUNISH_FORGOTTEN_NS (60 * BN_NS_PER_S)

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t greatest(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t since(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

void bn_arbiter_watch_reset(struct bn_arbiter_watch *w, uint64_t now)
{
	struct bn_arbiter_watch old = *w;
	*w = (struct bn_arbiter_watch){.compile_left_ns = old.compile_left_ns,
		.compile_at_ns = old.compile_at_ns,
		.trips_next = old.trips_next,
		.level = old.level,
		.punished_ns = old.punished_ns,
		.quiet_ns = now};
	for (unsigned i = 0; i < BN_ARBITER_TRIPS_MAX; i++)
		w->trip_times[i] = old.trip_times[i];
	if (old.compile_at_ns == 0) {
		w->compile_left_ns = COMPILE_BUCKET_NS;
		w->compile_at_ns = now;
	}
}

/* ---- batches ---- */

static bool compiles(const struct bn_arbiter_vm_state *v)
{
	return v->page.flags & BN_REQUEST_COMPILES;
}

uint64_t bn_arbiter_watchdog(const struct bn_arbiter *a, unsigned vm)
{
	const struct bn_arbiter_vm *params = &a->vm[vm].params;
	if (params->watchdog_ns != 0)
		return params->watchdog_ns;
	if (a->config.policy != BN_POLICY_RESERVE)
		return WATCHDOG_UNCUT_NS;
	if (a->config.software)
		return WATCHDOG_SOFTWARE_NS;
	return 2 * params->policy.batch_max_ns;
}

static uint64_t limit_of(const struct bn_arbiter *a, unsigned vm)
{
	const struct bn_arbiter_vm_state *v = &a->vm[vm];
	const struct bn_arbiter_watch *w = &v->watch;
	uint64_t limit = bn_arbiter_watchdog(a, vm);
	if (compiles(v))
		limit += least(COMPILE_BATCH_NS, w->compile_used_ns + w->compile_left_ns);
	return limit;
}

/* It counts from when somebody else was there to be kept waiting. */
static uint64_t start_of(const struct bn_arbiter_watch *w)
{
	return greatest(w->start_ns, w->limits_ns);
}

uint64_t bn_arbiter_watch_deadline(const struct bn_arbiter *a, unsigned vm)
{
	const struct bn_arbiter_watch *w = &a->vm[vm].watch;
	if (!w->on || w->tripped || w->limits_ns == 0)
		return UINT64_MAX;
	return start_of(w) + limit_of(a, vm);
}

void bn_arbiter_watch_look(struct bn_arbiter_vm_state *v, uint64_t now)
{
	struct bn_arbiter_watch *w = &v->watch;
	const struct bn_request_page *p = &v->page;
	if (p->busy == 0) {
		w->on = false;
		return;
	}
	if (compiles(v))
		w->compiled_ns = now;
	/* The same batch again: it began when we saw it first, whatever is said now. */
	if (w->on && p->batch == w->batch)
		return;
	w->on = true;
	w->batch = p->batch;
	w->start_ns = p->batch_start_ns ? p->batch_start_ns : now;
	w->cpu_known = false;
	w->compile_used_ns = 0;
}

/* How long the batch has been running. On a CPU rasteriser only processor time counts: it may have
 * had to stand back behind others. */
static uint64_t elapsed(struct bn_arbiter *a, unsigned vm, uint64_t now)
{
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	struct bn_arbiter_watch *w = &v->watch;
	uint64_t wall = since(now, start_of(w));
	if (!a->config.software || !v->cpu)
		return wall;
	uint64_t cpu = bn_arbiter_cpu_time(v);
	if (!w->cpu_known) {
		w->cpu_known = true;
		w->cpu_ns = cpu;
		w->cpu_at_ns = now;
	}
	return least(wall, cpu - w->cpu_ns + since(w->cpu_at_ns, start_of(w)));
}

static void use_compile_allowance(
	struct bn_arbiter *a, unsigned vm, uint64_t ran_ns, uint64_t now)
{
	struct bn_arbiter_watch *w = &a->vm[vm].watch;
	w->compile_left_ns = least(COMPILE_BUCKET_NS,
		w->compile_left_ns + COMPILE_REFILL(since(now, w->compile_at_ns)));
	w->compile_at_ns = now;
	if (!compiles(&a->vm[vm]))
		return;
	uint64_t over = since(ran_ns, bn_arbiter_watchdog(a, vm));
	uint64_t take = least(since(over, w->compile_used_ns), w->compile_left_ns);
	w->compile_used_ns += take;
	w->compile_left_ns -= take;
}

static void quarantine(struct bn_arbiter *a, unsigned vm, uint64_t now)
{
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	v->quarantined = true;
	v->quarantines++;
	BN_PAGE_PUT_SEQ(v, quarantine, 1);
	bn_arbiter_ring(a, vm);
	bn_arbiter_emit(a, BN_ARBITER_QUARANTINED, vm, now, v->params.trips_max, 0);
	bn_arbiter_update_hold(a, vm, now);
}

static void count_trip(struct bn_arbiter *a, unsigned vm, uint64_t now)
{
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	struct bn_arbiter_watch *w = &v->watch;
	unsigned recent = 0;
	v->trips++;
	w->trip_times[w->trips_next++ % BN_ARBITER_TRIPS_MAX] = now;
	for (unsigned i = 0; i < BN_ARBITER_TRIPS_MAX; i++)
		recent += w->trip_times[i] != 0 && now - w->trip_times[i] < TRIPS_WINDOW_NS;
	if (!v->quarantined && recent >= v->params.trips_max)
		quarantine(a, vm, now);
}

static void trip(struct bn_arbiter *a, unsigned vm, uint64_t ran_ns, uint64_t limit, uint64_t now)
{
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	struct bn_arbiter_watch *w = &v->watch;
	w->tripped = true;
	w->trip_ns = now;
	w->lost_batch = w->batch;
	w->stuck_ns = 0;
	BN_PAGE_PUT_SEQ(v, lose_batch, w->batch);
	bn_arbiter_ring(a, vm);
	bn_arbiter_emit(a, BN_ARBITER_TRIPPED, vm, now, ran_ns, limit);
	count_trip(a, vm, now);
	/* A CPU rasteriser can do something else meanwhile; a GPU cannot. */
	if (a->config.software)
		bn_arbiter_take(a, vm, now);
	bn_arbiter_update_hold(a, vm, now);
}

static void say_stuck(struct bn_arbiter *a, unsigned vm, uint64_t ran_ns, uint64_t limit, uint64_t now)
{
	struct bn_arbiter_watch *w = &a->vm[vm].watch;
	if (w->stuck_ns != 0 && now - w->stuck_ns < STUCK_AGAIN_NS)
		return;
	w->stuck_ns = now;
	bn_arbiter_emit(a, BN_ARBITER_STUCK, vm, now, ran_ns, limit);
}

static void watch_tripped(struct bn_arbiter *a, unsigned vm, uint64_t now)
{
	struct bn_arbiter_watch *w = &a->vm[vm].watch;
	uint64_t limit = greatest(STUCK_MIN_NS, STUCK_FACTOR * bn_arbiter_watchdog(a, vm));
	if (!w->on || w->batch != w->lost_batch) {
		w->tripped = false;
		bn_arbiter_update_hold(a, vm, now);
	} else if (now - w->trip_ns > limit) {
		say_stuck(a, vm, since(now, w->start_ns), limit, now);
	}
}

/* Held back for a while, the longer the more often. limit_ns: what it was allowed of what it used; 0: nothing. */
static void punish(
	struct bn_arbiter *a, unsigned vm, uint64_t used_ns, uint64_t limit_ns, uint64_t now)
{
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	struct bn_arbiter_watch *w = &v->watch;
	if (w->level == 0 || now - w->punished_ns > PUNISH_FORGOTTEN_NS)
		w->level = 0;
	if (w->level < PUNISH_LEVEL_MAX)
		w->level++;
	w->punished = true;
	w->punished_ns = now;
	w->punished_until_ns = now + (PUNISH_NS << (w->level - 1));
	w->offences = w->burning = 0;
	w->burnt_ns = 0;
	w->started_max = bn_arbiter_page_started(v);
	v->ignored++;
	bn_arbiter_emit(a, BN_ARBITER_IGNORES, vm, now, used_ns, limit_ns);
	bn_arbiter_update_hold(a, vm, now);
}

/* A page can claim new batches for ever; how long a grant lasts does not depend on its word. */
static bool overdue(struct bn_arbiter *a, unsigned vm, uint64_t *held_ns, uint64_t now)
{
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	struct bn_arbiter_watch *w = &v->watch;
	if (!v->holding || (v->kind == BN_GRANT_LEASE && !v->revoking) ||
		!bn_arbiter_others_ask(a, vm)) {
		w->hold_number = 0;
		return false;
	}
	uint64_t cpu = v->cpu ? bn_arbiter_cpu_time(v) : 0;
	if (w->hold_number != v->number) {
		w->hold_number = v->number;
		w->hold_cpu_ns = cpu;
	}
	uint64_t begin = v->revoking ? v->revoked_ns : v->granted_ns;
	uint64_t allowed = least(v->allow_ns, BN_NS_PER_S) + v->params.policy.ahead_max_ns +
			   4 * bn_arbiter_watchdog(a, vm) + COMPILE_BATCH_NS;
	uint64_t ran = since(now, begin);
	if (a->config.software && v->cpu && w->on)
		ran = least(ran, cpu - w->hold_cpu_ns);
	*held_ns = since(now, begin);
	return ran > allowed;
}

static void watch_batch(struct bn_arbiter *a, unsigned vm, uint64_t now)
{
	struct bn_arbiter_watch *w = &a->vm[vm].watch;
	if (w->tripped) {
		watch_tripped(a, vm, now);
		return;
	}
	uint64_t held;
	if (overdue(a, vm, &held, now)) {
		if (w->on) {
			trip(a, vm, held, bn_arbiter_watchdog(a, vm), now);
		} else {
			/* Every look found it between two batches: it says so. */
			bn_arbiter_take(a, vm, now);
			punish(a, vm, held, bn_arbiter_watchdog(a, vm), now);
		}
		return;
	}
	if (!w->on || w->limits_ns == 0)
		return;
	uint64_t ran = elapsed(a, vm, now);
	use_compile_allowance(a, vm, ran, now);
	uint64_t limit = limit_of(a, vm);
	if (ran > limit)
		trip(a, vm, ran, limit, now);
}

/* ---- silence ---- */

/* Whether nothing has moved for that long because nothing will. */
static bool is_silent(struct bn_arbiter *a, unsigned vm, uint64_t quiet_ns)
{
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	if (!v->cpu)
		return v->page.busy == 0;
	enum bn_cpu_state state = bn_cpu_process_state(v->cpu);
	if (state == BN_CPU_STATE_STOPPED || state == BN_CPU_STATE_GONE)
		return true;
	if (state == BN_CPU_STATE_RUNNABLE)
		return v->page.busy == 0 && quiet_ns > SILENT_RUNNABLE_NS;
	if (v->page.busy == 0)
		return true;
	/* Waiting for a GPU may be right; for itself it is not. */
	uint64_t cpu = bn_arbiter_cpu_time(v);
	return a->config.software && cpu - v->watch.quiet_cpu_ns < BN_NS_PER_MS;
}

static void watch_silence(struct bn_arbiter *a, unsigned vm, uint64_t now)
{
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	struct bn_arbiter_watch *w = &v->watch;
	const struct bn_request_page *p = &v->page;
	/* GPU time is no sign of life: a claim of any size is let in bit by bit, and so rises for ever. */
	uint64_t sum = p->want * 7 + p->returned * 5 + p->busy * 3 + p->batches;
	if (sum != w->quiet_sum) {
		w->quiet_sum = sum;
		w->quiet_ns = now;
		w->quiet_cpu_ns = v->cpu ? bn_arbiter_cpu_time(v) : 0;
		w->silent = false;
		bn_arbiter_update_hold(a, vm, now);
		return;
	}
	uint64_t quiet = since(now, greatest(w->quiet_ns, v->granted_ns));
	if (v->frozen || w->tripped || quiet < SILENT_NS)
		return;
	if (v->holding && bn_arbiter_others_ask(a, vm) && is_silent(a, vm, quiet)) {
		w->silent = true;
		w->stuck_ns = 0;
		bn_arbiter_emit(a, BN_ARBITER_SILENT, vm, now, quiet, SILENT_NS);
		bn_arbiter_take(a, vm, now);
		bn_arbiter_update_hold(a, vm, now);
	}
	if (w->silent && quiet > SILENT_STUCK_NS && bn_arbiter_others_active(a, vm))
		say_stuck(a, vm, quiet, SILENT_STUCK_NS, now);
}

/* ---- work without a grant ---- */

/* A batch is there that no grant was held for. One that a renderer takes back at once, since it sees
 * that its lease is gone, is not counted in `batch`. */
static bool offends(const struct bn_arbiter_vm_state *v)
{
	const struct bn_request_page *p = &v->page;
	if (v->holding)
		return false;
	return p->batches > v->watch.started_max ||
	       (p->busy > 0 && p->batch_start_ns != 0 && p->batch > v->watch.started_max);
}

static void watch_offences(
	struct bn_arbiter *a, unsigned vm, const struct bn_arbiter_metered *m, uint64_t now)
{
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	struct bn_arbiter_watch *w = &v->watch;
	if (w->punished || w->tripped || v->hold)
		return;
	if (offends(v)) {
		w->offences++;
		w->offence_ns = now;
	} else if (now - w->offence_ns > OFFENCE_FORGOTTEN_NS) {
		w->offences = 0;
	}
	if (w->offences >= OFFENCES_MAX) {
		punish(a, vm, w->offences * BN_ARBITER_TICK_NS, 0, now);
		return;
	}
	bool starting = !v->ready && now - v->attached_ns < START_NS;
	if (m->wall_ns == 0 || starting)
		return;
	if (m->granted || m->used_ns * 100 < m->wall_ns * BURNING_PERCENT ||
		!bn_arbiter_others_ask(a, vm)) {
		w->burning = 0;
		w->burnt_ns = 0;
		return;
	}
	w->burnt_ns += m->used_ns;
	if (++w->burning >= BURNING_MAX)
		punish(a, vm, w->burnt_ns, 0, now);
}

void bn_arbiter_watch_tick(struct bn_arbiter *a, unsigned vm, uint64_t now)
{
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	struct bn_arbiter_watch *w = &v->watch;
	struct bn_arbiter_metered metered;
	if (w->punished && now >= w->punished_until_ns) {
		w->punished = false;
		w->started_max = bn_arbiter_page_started(v);
		bn_arbiter_update_hold(a, vm, now);
	}
	bn_arbiter_meter(a, vm, now, &metered);
	if (a->config.policy != BN_POLICY_NONE) {
		if (w->tripped || !offends(v)) /* an offence is another matter */
			watch_batch(a, vm, now);
		watch_silence(a, vm, now);
		watch_offences(a, vm, &metered, now);
	}
	bn_arbiter_apply_cpu(a, vm, now);
}
