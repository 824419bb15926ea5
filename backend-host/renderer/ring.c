/* The ring thread's loop. While the control ring has requests, kicks are suppressed and batches
 * are executed, with a look at the other sources (link, fences) between them. When it is empty,
 * the loop may spin for a moment before it sleeps: a guest that waits for an answer before it
 * sends the next request comes back within microseconds, and a sleep and a wake-up cost more
 * than that. It spins only while that has been paying off, so an idle device costs nothing. */
#include <errno.h>
#include <sched.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "renderer.h"

#define BATCH 64
#define BATCH_NS (2 * BN_NS_PER_MS) /* then the link gets its turn */
/* A guest that waits for one answer before it sends the next request is back within 100 µs when
 * it is emulated (bench/run latency), sooner under KVM. */
#define SPIN_NS (200 * BN_NS_PER_US)
#define SPIN_YIELD_NS (80 * BN_NS_PER_US) /* longer than this: others need the CPU */
#define SPIN_PAUSES 32 /* between looks at the clock and at who else wants this CPU */
#define SPIN_SCORE_MAX 8
/* A stop waits so long for the scheduler: longer than any period, shorter than a person's patience
 * with a VMM that stands still. */
#define HURRY_MS 1000
#define SPIN_SCORE_MIN 2u /* spin from here on */

static int handle_kick(int fd, uint32_t mask, void *data)
{
	struct bn_renderer *r = data;

	bn_event_drain(bn_vq_kick_fd(r->vq[0]));
	bn_ring_activate(r);
	return 0;
}

static int handle_gl(int fd, uint32_t mask, void *data)
{
	struct bn_renderer *r = data;

	bn_gl_dispatch(r->gl);
	return 0;
}

static int handle_gate(int fd, uint32_t mask, void *data)
{
	struct bn_renderer *r = data;

	bn_gate_dispatch(r->gate);
	return 0;
}

static int handle_hurry(void *data)
{
	struct bn_renderer *r = data;

	if (!r->stop.pending || !bn_device_parked(r->dev))
		return 0;
	bn_warn("the control queue is stopped while a command waits for the scheduler: it is "
		"answered with an error");
	bn_device_unpark(r->dev);
	return 0;
}

/* The timer is not taken back when a wait ends: this may be another one's. */
static int handle_display(void *data)
{
	struct bn_renderer *r = data;

	if (r->display.number == bn_release_waiting(r->dev) && bn_release_overdue(r->dev))
		wl_event_source_timer_update(r->display.timer, BN_RELEASE_MS);
	return 0;
}

static int handle_cursor(int fd, uint32_t mask, void *data)
{
	struct bn_renderer *r = data;

	bn_cursor_dispatch(r->cursor);
	return 0;
}

int bn_ring_init(struct bn_renderer *r)
{
	cpu_set_t cpus;

	/* On one CPU the guest could not run while we spin. */
	r->spin_allowed = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) > 1;
	r->cursor_source = wl_event_loop_add_fd(
		r->loop, bn_cursor_fd(r->cursor), WL_EVENT_READABLE, handle_cursor, r);
	if (r->gl)
		r->gl_source = wl_event_loop_add_fd(
			r->loop, bn_gl_fd(r->gl), WL_EVENT_READABLE, handle_gl, r);
	r->gate_source = wl_event_loop_add_fd(
		r->loop, bn_gate_fd(r->gate), WL_EVENT_READABLE, handle_gate, r);
	r->stop.timer = wl_event_loop_add_timer(r->loop, handle_hurry, r);
	r->display.timer = wl_event_loop_add_timer(r->loop, handle_display, r);
	bn_gate_dispatch(r->gate); /* the VM may be in quarantine from before */
	return r->cursor_source && (!r->gl || r->gl_source) && r->gate_source && r->stop.timer &&
			       r->display.timer
		       ? 0
		       : -ENOMEM;
}

int bn_ring_start(struct bn_renderer *r)
{
	/* Requests may have come before the kick fd did. */
	bn_ring_activate(r);
	if (bn_vq_kick_fd(r->vq[0]) < 0)
		return 0;
	r->kick_source = wl_event_loop_add_fd(
		r->loop, bn_vq_kick_fd(r->vq[0]), WL_EVENT_READABLE, handle_kick, r);
	return r->kick_source ? 0 : -ENOMEM;
}

void bn_ring_stop(struct bn_renderer *r)
{
	if (r->kick_source)
		wl_event_source_remove(r->kick_source);
	r->kick_source = NULL;
	r->active = false;
}

void bn_ring_hurry(struct bn_renderer *r)
{
	if (bn_device_parked(r->dev))
		wl_event_source_timer_update(r->stop.timer, HURRY_MS);
}

void bn_ring_activate(struct bn_renderer *r)
{
	if (r->active || !bn_vq_running(r->vq[0]) || (r->stop.pending && r->stop.index == 0))
		return;
	r->active = true;
	bn_vq_suppress_kicks(r->vq[0], true);
}

static void notify(struct bn_renderer *r)
{
	if (!r->dirty)
		return;
	r->dirty = false;
	bn_vq_notify(r->vq[0]);
}

/* True when there may be more, and it may be taken. */
static bool batch(struct bn_renderer *r)
{
	uint64_t end = bn_now_ns() + BATCH_NS;
	struct bn_vq_request *request;
	bool replayed;
	int n = 0, got = 0;

	while (n < BATCH && (got = bn_vq_pop(r->vq[0], &request, &replayed)) > 0) {
		bn_device_execute(r->dev, request, replayed);
		n++;
		if (bn_device_parked(r->dev) || bn_now_ns() > end)
			break;
	}
	if (got == -EPROTO) {
		bn_ring_stop(r);
		bn_link_fault(r, false, "the guest's control queue is broken and was stopped");
	}
	if (n > 0 && r->gl)
		bn_gl_poll(r->gl);
	notify(r);
	return got > 0 && !bn_device_parked(r->dev);
}

/* ---- spinning ---- */

static void score(struct bn_renderer *r, int change)
{
	int value = (int)r->spin_score + change;

	if (value < 0)
		value = 0;
	r->spin_score = value > SPIN_SCORE_MAX ? SPIN_SCORE_MAX : (unsigned)value;
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* True when there is something to do. */
static bool spin(struct bn_renderer *r)
{
	uint64_t end, now, before;

	if (!r->spin_allowed || r->spin_score < SPIN_SCORE_MIN)
		return false;
	now = bn_now_ns();
	end = now + SPIN_NS;
	do {
		if (bn_vq_pending(r->vq[0]) || (r->gl && bn_gl_poll(r->gl))) {
			score(r, 1);
			notify(r);
			return true;
		}
		for (unsigned i = 0; i < SPIN_PAUSES; i++)
			relax();
		/* Whoever else is ready runs first: the guest itself, a rasteriser's threads. Where there
		 * is someone, a sleeper is woken sooner than a spinner gets its turn. */
		before = bn_now_ns();
		sched_yield();
		now = bn_now_ns();
	} while (now < end && now - before < SPIN_YIELD_NS);
	score(r, -2);
	return false;
}

/* A sleep so short that spinning would have bridged it speaks for spinning next time. */
static void slept(struct bn_renderer *r)
{
	uint64_t ns = bn_now_ns() - r->slept_ns;

	bn_stat_add(&r->stats->wakeups, 1);
	score(r, ns < SPIN_NS ? 1 : -1);
}

static void work(struct bn_renderer *r)
{
	if (batch(r) || !r->active || bn_device_parked(r->dev))
		return;
	bn_gate_idle(r->gate);
	if (spin(r))
		return;
	if (bn_vq_suppress_kicks(r->vq[0], false))
		bn_vq_suppress_kicks(r->vq[0], true); /* something came in the last moment */
	else
		r->active = false;
}

static void finish_stop(struct bn_renderer *r)
{
	struct bn_vq *vq = r->vq[r->stop.index];
	uint16_t base = 0;
	bool done;

	if (!r->stop.pending)
		return;
	bn_device_lock(r->dev);
	done = bn_vq_inflight(vq) == 0;
	if (done)
		base = bn_vq_stop(vq);
	pthread_mutex_unlock(&r->dev->lock);
	if (!done)
		return;
	r->stop.pending = false;
	bn_link_ack(r, r->stop.seq, 0, base);
	bn_link_listen(r, true);
}

static bool may_work(const struct bn_renderer *r)
{
	return r->active && !bn_link_crowded(r) && !bn_device_parked(r->dev);
}

/* A parked command may be tried again. A fence that is seen while we look for one says so as well as
 * the arbiter's bell does, and nothing else would wake us for it. */
static bool may_resume(const struct bn_renderer *r)
{
	if (bn_release_waiting(r->dev))
		return bn_release_over(r->dev);
	return bn_device_parked(r->dev) && bn_gate_ready(r->gate);
}

/* The ring has a parked command behind it before it goes on. */
static void resume(struct bn_renderer *r)
{
	if (!may_resume(r))
		return;
	bn_device_resume(r->dev);
	/* What the GPU has done by now is told at once: the next piece may wait for it. */
	if (r->gl)
		bn_gl_poll(r->gl);
	if (!r->active && !bn_device_parked(r->dev))
		bn_gate_idle(r->gate);
}

/* A display that does not let go is not waited for without end. */
static void watch_display(struct bn_renderer *r)
{
	uint64_t number = bn_release_waiting(r->dev);

	if (number == 0 || number == r->display.number)
		return;
	r->display.number = number;
	wl_event_source_timer_update(r->display.timer, BN_RELEASE_MS);
}

void bn_ring_run(struct bn_renderer *r)
{
	while (!r->quit) {
		bool sleep;

		resume(r);
		if (may_work(r))
			work(r);
		sleep = !may_work(r);
		/* Fences over work that was done already, made since the last batch (cursors),
		 * wake nobody. */
		if (sleep && r->gl)
			bn_gl_poll(r->gl);
		sleep = sleep && !may_resume(r);
		notify(r);
		finish_stop(r);
		if (r->quit)
			break;
		watch_display(r);
		r->slept_ns = sleep ? bn_now_ns() : 0;
		if (wl_event_loop_dispatch(r->loop, sleep ? -1 : 0) < 0) {
			bn_link_fault(r, true, "the event loop failed");
			break;
		}
		if (sleep)
			slept(r);
		notify(r);
	}
}
