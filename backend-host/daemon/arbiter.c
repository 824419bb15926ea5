/* Life of the arbiter, its thread, and what the main thread asks of it. */
#include "arbiter_priv.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <wayland-server-core.h>

#include "common/fd.h"
#include "common/log.h"

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

/* ---- events ---- */

void bn_arbiter_emit(struct bn_arbiter *a, enum bn_arbiter_event_kind kind, unsigned vm,
	uint64_t now, uint64_t value, uint64_t limit)
{
	/* The oldest go: what must be acted on is said again. */
	if (a->event_next - a->event_first == BN_ARBITER_EVENTS)
		a->event_first++;
	a->events[a->event_next++ % BN_ARBITER_EVENTS] = (struct bn_arbiter_event){
		.kind = kind, .vm = vm, .time_ns = now, .value_ns = value, .limit_ns = limit};
	bn_event_signal(a->event_fd);
}

static bool next_event(struct bn_arbiter *a, struct bn_arbiter_event *event)
{
	pthread_mutex_lock(&a->lock);
	bool any = a->event_first < a->event_next;
	if (any)
		*event = a->events[a->event_first++ % BN_ARBITER_EVENTS];
	pthread_mutex_unlock(&a->lock);
	return any;
}

static int handle_events(int fd, uint32_t mask, void *data)
{
	struct bn_arbiter *a = data;
	struct bn_arbiter_event event;
	bn_event_drain(fd);
	while (next_event(a, &event)) {
		if (a->config.event)
			a->config.event(a->config.data, &event);
	}
	return 0;
}

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
	for (uint64_t m = a->active != before ? a->attached : 0; m; m &= m - 1)
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
	for (uint64_t m = a->attached; m; m &= m - 1) {
		bn_arbiter_look(a, bn_arbiter_first(m), now);
		bn_arbiter_watch_tick(a, bn_arbiter_first(m), now);
	}
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

/* rang: those whose bell did. */
static void step(struct bn_arbiter *a, uint64_t rang, uint64_t now)
{
	for (uint64_t m = (rang | silent_pages(a)) & a->attached; m; m &= m - 1)
		bn_arbiter_look(a, bn_arbiter_first(m), now);
	find_active(a, now);
	bn_arbiter_decide(a, now);
	uint64_t done = bn_now_ns();
	bn_histogram_add(&a->totals.decision, done > now ? done - now : 0);
	ring_all(a);
	if (now >= a->tick_ns) {
		tick(a, now);
		find_active(a, now);
		bn_arbiter_decide(a, now);
		ring_all(a);
	}
	plan_tick(a, now);
}

static uint64_t least(uint64_t x, uint64_t y)
{
	return x < y ? x : y;
}

/* When something has to be looked at that no bell tells of. */
static uint64_t wake_time(const struct bn_arbiter *a, uint64_t now)
{
	uint64_t wake = least(a->policy_wake_ns, a->tick_ns);
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

struct ears {
	struct pollfd fds[BN_POLICY_VMS_MAX + 1];
	unsigned vm[BN_POLICY_VMS_MAX + 1];
	nfds_t count;
};

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
}

/* Whose bell rang; all, when the main thread did. The fds may be others by now: a bell that rings is one
 * that is there. */
static uint64_t heard(struct bn_arbiter *a, const struct ears *ears)
{
	uint64_t rang = 0;
	if (ears->fds[0].revents) {
		bn_event_drain(a->control);
		rang = a->attached;
	}
	for (nfds_t i = 1; i < ears->count; i++) {
		struct bn_arbiter_vm_state *v = &a->vm[ears->vm[i]];
		if (!ears->fds[i].revents || !v->attached || v->bell != ears->fds[i].fd)
			continue;
		bn_event_drain(v->bell);
		v->rings++;
		rang |= BN_VM_BIT(ears->vm[i]);
	}
	return rang;
}

static void note_lateness(struct bn_arbiter *a, uint64_t wake, uint64_t now)
{
	if (wake == UINT64_MAX || now < wake || now - wake < LATE_NS)
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

static void *run(void *data)
{
	struct bn_arbiter *a = data;
	struct ears ears;
	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	pthread_mutex_lock(&a->lock);
	while (!a->quit) {
		uint64_t now = bn_now_ns();
		listen_to(a, &ears, now);
		uint64_t wake = wake_time(a, now);
		struct timespec timeout = timeout_until(wake, now);
		pthread_mutex_unlock(&a->lock);
		int n = ppoll(ears.fds, ears.count, wake == UINT64_MAX ? NULL : &timeout, NULL);
		now = bn_now_ns();
		pthread_mutex_lock(&a->lock);
		a->totals.wakeups++;
		note_lateness(a, wake, now);
		step(a, n > 0 ? heard(a, &ears) : 0, now);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

/* ---- life ---- */

static void warn_realtime(int error)
{
	bn_warn("the arbiter has no real-time priority: %s. It needs CAP_SYS_NICE or systemd's "
		"LimitRTPRIO=%d; without it whatever else keeps the processors busy can delay "
		"frames, and no bound holds (realtime=no: not asked for)",
		strerror(-error), BN_CPU_PRIORITY_ARBITER);
}

struct start {
	struct bn_arbiter *arbiter;
	pthread_mutex_t *lock;
	pthread_cond_t *changed;
	bool done;
	int error;
};

/* Asks for the priority where it is needed: a new thread's attributes could only fail. */
static void *begin(void *data)
{
	struct start *start = data;
	struct bn_arbiter *a = start->arbiter;
	int error = a->config.realtime ? bn_cpu_realtime(BN_CPU_PRIORITY_ARBITER) : 0;
	pthread_mutex_lock(start->lock);
	start->error = error;
	start->done = true;
	pthread_cond_signal(start->changed);
	pthread_mutex_unlock(start->lock);
	/* bn_arbiter_create() lets go of it when all is set up. */
	return run(a);
}

static int start_thread(struct bn_arbiter *a)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
	struct start start = {.arbiter = a, .lock = &lock, .changed = &changed};
	int ret = -pthread_create(&a->thread, NULL, begin, &start);
	if (ret < 0)
		return ret;
	pthread_setname_np(a->thread, "arbiter");
	pthread_mutex_lock(&lock);
	while (!start.done)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	a->totals.realtime = a->config.realtime && start.error == 0;
	if (start.error < 0)
		warn_realtime(start.error);
	return 0;
}

static int init_lock(struct bn_arbiter *a)
{
	pthread_mutexattr_t attr;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	int ret = -pthread_mutex_init(&a->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	return ret;
}

static int init_fds(struct bn_arbiter *a, struct wl_event_loop *loop)
{
	a->control = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	a->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->control < 0 || a->event_fd < 0)
		return -errno;
	a->event_source =
		wl_event_loop_add_fd(loop, a->event_fd, WL_EVENT_READABLE, handle_events, a);
	return a->event_source ? 0 : -ENOMEM;
}

static void forget(struct bn_arbiter *a)
{
	if (a->event_source)
		wl_event_source_remove(a->event_source);
	bn_fd_close(&a->control);
	bn_fd_close(&a->event_fd);
	bn_policy_destroy(a->policy);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

/* With the thread's priority known: without it a CPU rasteriser cannot be interrupted in time. */
static int init_policy(struct bn_arbiter *a)
{
	if (a->config.software && !a->totals.realtime)
		a->config.machine.preemptive = false;
	return bn_policy_create(&a->policy, a->config.policy, &a->config.machine);
}

int bn_arbiter_create(
	struct bn_arbiter **out, struct wl_event_loop *loop, const struct bn_arbiter_config *config)
{
	struct bn_arbiter *a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->config = *config;
	a->control = a->event_fd = -1;
	a->tick_ns = a->policy_wake_ns = UINT64_MAX;
	a->may_raise = bn_cpu_may_raise();
	bn_histogram_init(&a->totals.decision);
	for (unsigned i = 0; i < BN_POLICY_VMS_MAX; i++)
		a->vm[i].bell = a->vm[i].renderer_bell = -1;
	int ret = init_lock(a);
	if (ret < 0) {
		free(a);
		return ret;
	}
	ret = init_fds(a, loop);
	if (ret < 0) {
		forget(a);
		return ret;
	}
	pthread_mutex_lock(&a->lock);
	ret = start_thread(a);
	bool started = ret == 0;
	if (started)
		ret = init_policy(a);
	a->quit = ret < 0;
	pthread_mutex_unlock(&a->lock);
	if (ret == 0) {
		*out = a;
		return 0;
	}
	if (started)
		pthread_join(a->thread, NULL);
	forget(a);
	return ret;
}

void bn_arbiter_destroy(struct bn_arbiter *a)
{
	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->quit = true;
	pthread_mutex_unlock(&a->lock);
	bn_event_signal(a->control);
	pthread_join(a->thread, NULL);
	for (unsigned i = 0; i < BN_POLICY_VMS_MAX; i++) {
		bn_arbiter_pages_forget(&a->vm[i]);
		bn_cpu_process_destroy(a->vm[i].cpu);
	}
	forget(a);
}
