/* The arbiter's thread: it sleeps until a bell rings or something is due, looks, decides, wakes. */
#include "arbiter_priv.h"

#include <poll.h>
#include <sys/prctl.h>

#include "common/fd.h"


#define LATE_NS (5 * BN_NS_PER_MS)
#define LATE_AGAIN_NS BN_NS_PER_S
/* A wake-up that is due: still a moment later, so that no fault can keep the processor busy. */
#define SOONEST_NS (20 * BN_NS_PER_US)
/* While others wait for a frame grant to be used or not. */
#define FRAME_POLL_MIN_NS (100 * BN_NS_PER_US)
#define FRAME_POLL_MAX_NS BN_NS_PER_MS

/* A bell may ring that often in a row, and once more in each stretch of time; then it is not heard
 * until the stretch is over. A renderer that rings without end would keep a thread busy that goes
 * before everybody else's. */
#define RINGS_MAX 32u
#define RING_NS (100 * BN_NS_PER_US)

/* ---- who is there ---- */

bool bn_arbiter_others_ask(const struct bn_arbiter *a, unsigned vm)
{
	for (uint64_t m = a->attached & ~BN_VM_BIT(vm); m; m &= m - 1) {
		const struct bn_arbiter_vm_state *v = &a->vm[bn_arbiter_first(m)];
		if (v->asking && !v->policy_held)
			return true;
	}
	return false;
}

bool bn_arbiter_others_active(const struct bn_arbiter *a, unsigned vm)
{
	return (a->active & ~BN_VM_BIT(vm)) != 0;
}

static bool recently(const struct bn_arbiter_vm_state *v, uint64_t now)
{
	return v->active_ns != 0 && now - v->active_ns < BN_ARBITER_ACTIVE_NS;
}

static void find_active(struct bn_arbiter *a, uint64_t now)
{
	uint64_t before = a->active;
	a->active = a->safety = 0;
	for (uint64_t m = a->attached; m; m &= m - 1) {
		unsigned i = bn_arbiter_first(m);
		const struct bn_arbiter_vm_state *v = &a->vm[i];
		bool safety = v->params.policy.vm_class == BN_CLASS_SAFETY;
		if (v->policy_held)
			continue;
		if (safety || v->asking || v->holding || recently(v, now))
			a->active |= BN_VM_BIT(i);
		if (safety)
			a->safety |= BN_VM_BIT(i);
	}
	bool changed = bn_arbiter_compose_recent(a, now) || a->active != before;
	for (uint64_t m = changed ? a->attached : 0; m; m &= m - 1)
		bn_arbiter_publish_limits(a, bn_arbiter_first(m), now);
}

void bn_arbiter_update_hold(struct bn_arbiter *a, unsigned vm, uint64_t now)
{
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	/* What did not end, or does not move, gets no more until it does. */
	bool hold = v->hold || v->quarantined || v->watch.punished || v->watch.tripped ||
		    v->watch.silent;
	if (hold == v->policy_held)
		return;
	v->policy_held = hold;
	bn_policy_hold(a->policy, vm, hold, now);
}

/* ---- the thread ---- */

/* How soon the watch has to look at that VM; 0: not at all. */
static uint64_t tick_of(const struct bn_arbiter *a, unsigned vm, uint64_t now)
{
	const struct bn_arbiter_vm_state *v = &a->vm[vm];
	const struct bn_arbiter_watch *w = &v->watch;
	if (a->config.policy == BN_POLICY_NONE && !v->cpu)
		return 0;
	if (w->punished || w->tripped || w->silent || v->revoking)
		return BN_ARBITER_TICK_NS;
	if (a->config.policy == BN_POLICY_NONE)
		return 0;
	if (v->asking || (v->holding && v->kind != BN_GRANT_LEASE) || recently(v, now))
		return BN_ARBITER_TICK_NS;
	return v->class_known && v->cpu_class == BN_CPU_SAFETY ? BN_ARBITER_SLOW_TICK_NS : 0;
}

static void plan_tick(struct bn_arbiter *a, uint64_t now)
{
	uint64_t in = 0;
	for (uint64_t m = a->attached; m; m &= m - 1) {
		uint64_t t = tick_of(a, bn_arbiter_first(m), now);
		if (t != 0 && (in == 0 || t < in))
			in = t;
	}
	a->tick_ns = in == 0 ? UINT64_MAX : a->last_tick_ns + in;
	if (a->tick_ns < now) /* the first after a pause */
		a->tick_ns = now;
	for (uint64_t m = a->attached; m; m &= m - 1) {
		uint64_t deadline = bn_arbiter_watch_deadline(a, bn_arbiter_first(m));
		/* A past one was looked at: it goes by processor time. */
		if (deadline > now && deadline < a->tick_ns)
			a->tick_ns = deadline + 1;
	}
}

static void tick(struct bn_arbiter *a, uint64_t now)
{
	a->last_tick_ns = now;
	for (uint64_t m = a->attached; m; m &= m - 1)
		bn_arbiter_watch_tick(a, bn_arbiter_first(m), now);
}

static void write_notes(struct bn_arbiter *a)
{
	for (unsigned i = 0; i < a->note_count; i++) {
		const struct bn_arbiter_note *n = &a->notes[i];
		bn_trace_add(a->config.trace, n->kind, n->vm, n->start_ns, n->end_ns, n->value,
			n->detail);
		if (n->kind == BN_TRACE_WAIT)
			bn_histogram_add(&a->vm[n->vm].wait,
				n->end_ns > n->start_ns ? n->end_ns - n->start_ns : 0);
	}
	a->note_count = 0;
}

void bn_arbiter_note(struct bn_arbiter *a, const struct bn_arbiter_note *note)
{
	if (a->note_count == BN_ARBITER_NOTES)
		write_notes(a);
	a->notes[a->note_count++] = *note;
}

void bn_arbiter_ring(struct bn_arbiter *a, unsigned vm)
{
	a->ringing |= BN_VM_BIT(vm);
}

/* Only now: to wake somebody takes longer than to decide. */
static void ring_all(struct bn_arbiter *a)
{
	for (uint64_t m = a->ringing & a->attached; m; m &= m - 1)
		bn_event_signal(a->vm[bn_arbiter_first(m)].renderer_bell);
	a->ringing = 0;
}

/* Whose page says something that no bell tells of: whether a frame grant is used. The others' are looked
 * at when they ring, when their lease is revoked, and by the watch. */
static uint64_t silent_pages(const struct bn_arbiter *a)
{
	uint64_t mask = 0;
	for (uint64_t m = a->attached; m; m &= m - 1) {
		const struct bn_arbiter_vm_state *v = &a->vm[bn_arbiter_first(m)];
		if (v->holding && v->kind == BN_GRANT_FRAME)
			mask |= m & -m;
	}
	return mask;
}

struct ears {
	struct pollfd fds[BN_POLICY_VMS_MAX + 1 + BN_ARBITER_PICTURES];
	unsigned vm[BN_POLICY_VMS_MAX + 1];
	nfds_t count, all; /* bells; and behind them what the compositor waits for */
};

/* The fds may be others by now: a bell that rings is one that is there. */
static bool rings(const struct bn_arbiter *a, const struct ears *ears, nfds_t i)
{
	const struct bn_arbiter_vm_state *v = &a->vm[ears->vm[i]];
	return ears->fds[i].revents && v->attached && v->bell == ears->fds[i].fd;
}

/* All, when the main thread did. */
static uint64_t who_rang(const struct bn_arbiter *a, const struct ears *ears)
{
	uint64_t rang = ears->fds[0].revents ? a->attached : 0;
	for (nfds_t i = 1; i < ears->count; i++)
		rang |= rings(a, ears, i) ? BN_VM_BIT(ears->vm[i]) : 0;
	return rang;
}

static void silence(struct bn_arbiter *a, const struct ears *ears)
{
	if (ears->fds[0].revents)
		bn_event_drain(a->control);
	for (nfds_t i = 1; i < ears->count; i++) {
		struct bn_arbiter_vm_state *v = &a->vm[ears->vm[i]];
		if (!rings(a, ears, i))
			continue;
		bn_event_drain(v->bell);
		v->rings++;
	}
}

static void look_at(struct bn_arbiter *a, uint64_t vms, uint64_t now)
{
	for (uint64_t m = vms & a->attached; m; m &= m - 1)
		bn_arbiter_look(a, bn_arbiter_first(m), now);
}

static void decide(struct bn_arbiter *a, uint64_t now)
{
	find_active(a, now);
	bn_arbiter_decide(a, now);
}

/* Bells are silenced after the decision that they called for, and what came in between is seen by a second
 * look: so the system call is not in the way of a grant. */
static void step(struct bn_arbiter *a, const struct ears *ears, uint64_t now)
{
	uint64_t rang = ears ? who_rang(a, ears) : 0;
	bn_arbiter_compose_look(a, now);
	look_at(a, rang | silent_pages(a), now);
	decide(a, now);
	uint64_t done = bn_now_ns();
	bn_histogram_add(&a->totals.decision, done > now ? done - now : 0);
	ring_all(a);
	if (ears)
		silence(a, ears);
	bool watch = now >= a->tick_ns;
	look_at(a, watch ? a->attached : rang, done);
	if (watch)
		tick(a, done);
	decide(a, done);
	ring_all(a);
	write_notes(a);
	plan_tick(a, done);
}

static uint64_t least(uint64_t x, uint64_t y)
{
	return x < y ? x : y;
}

/* When something has to be looked at that no bell tells of. */
static uint64_t wake_time(const struct bn_arbiter *a, uint64_t now)
{
	uint64_t wake = least(least(a->policy_wake_ns, a->tick_ns), bn_arbiter_compose_wake(a));
	for (uint64_t m = a->attached; m; m &= m - 1) {
		unsigned i = bn_arbiter_first(m);
		const struct bn_arbiter_vm_state *v = &a->vm[i];
		if (v->muted)
			wake = least(wake, v->rings_at_ns + RING_NS);
		if (v->holding && v->kind == BN_GRANT_FRAME && bn_arbiter_others_ask(a, i)) {
			uint64_t poll_ns = least(v->params.policy.gap_ns / 2, FRAME_POLL_MAX_NS);
			wake = least(wake, now + (poll_ns > FRAME_POLL_MIN_NS
								 ? poll_ns
								 : FRAME_POLL_MIN_NS));
		}
	}
	return wake;
}

/* Whether the bell is listened to. */
static bool may_ring(struct bn_arbiter_vm_state *v, uint64_t now)
{
	uint64_t stretches = (now - v->rings_at_ns) / RING_NS;
	if (stretches > 0) {
		v->rings = stretches >= v->rings ? 0 : v->rings - (unsigned)stretches;
		v->rings_at_ns = now;
	}
	v->muted = v->rings >= RINGS_MAX;
	return !v->muted;
}

static void listen_to(struct bn_arbiter *a, struct ears *ears, uint64_t now)
{
	ears->fds[0] = (struct pollfd){.fd = a->control, .events = POLLIN};
	ears->count = 1;
	for (uint64_t m = a->attached; m; m &= m - 1) {
		unsigned i = bn_arbiter_first(m);
		struct bn_arbiter_vm_state *v = &a->vm[i];
		if (!may_ring(v, now))
			continue;
		ears->fds[ears->count] = (struct pollfd){.fd = v->bell, .events = POLLIN};
		ears->vm[ears->count++] = i;
	}
	ears->all = ears->count + bn_arbiter_compose_fds(a, ears->fds + ears->count);
}

/* asleep: since when the thread waits; what was due before that, it was late with by itself. */
static void note_lateness(struct bn_arbiter *a, uint64_t wake, uint64_t asleep, uint64_t now)
{
	if (wake != UINT64_MAX && wake < asleep)
		wake = asleep;
	if (wake == UINT64_MAX || now < wake || now - wake < BN_ARBITER_STALL_NS)
		return;
	a->stalls[a->stall_next].from_ns = wake;
	a->stalls[a->stall_next].to_ns = now;
	a->stall_next = (a->stall_next + 1) % BN_ARBITER_STALLS;
	if (now - wake < LATE_NS)
		return;
	a->totals.late++;
	bn_trace_add(a->config.trace, BN_TRACE_LATE, BN_TRACE_NO_VM, now, now, now - wake, 0);
	if (a->late_at_ns != 0 && now - a->late_at_ns < LATE_AGAIN_NS)
		return;
	a->late_at_ns = now;
	bn_arbiter_emit(a, BN_ARBITER_LATE, BN_POLICY_VMS_MAX, now, now - wake, LATE_NS);
}

static struct timespec timeout_until(uint64_t wake, uint64_t now)
{
	uint64_t ns = wake > now + SOONEST_NS ? wake - now : SOONEST_NS;
	return (struct timespec){
		.tv_sec = (time_t)(ns / BN_NS_PER_S), .tv_nsec = (long)(ns % BN_NS_PER_S)};
}

void *bn_arbiter_run(void *data)
{
	struct bn_arbiter *a = data;
	struct ears ears;
	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	pthread_mutex_lock(&a->lock);
	while (!a->quit) {
		uint64_t now = bn_now_ns(), asleep = now;
		listen_to(a, &ears, now);
		uint64_t wake = wake_time(a, now);
		struct timespec timeout = timeout_until(wake, now);
		pthread_mutex_unlock(&a->lock);
		int n = ppoll(ears.fds, ears.all, wake == UINT64_MAX ? NULL : &timeout, NULL);
		now = bn_now_ns();
		pthread_mutex_lock(&a->lock);
		a->totals.wakeups++;
		note_lateness(a, wake, asleep, now);
		step(a, n > 0 ? &ears : NULL, now);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}
