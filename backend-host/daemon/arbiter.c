/* Life of the arbiter, and what it has to say. */
#include "arbiter_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <wayland-server-core.h>

#include "common/fd.h"
#include "common/log.h"

/* ---- events ---- */

void bn_arbiter_emit(struct bn_arbiter *a, enum bn_arbiter_event_kind kind, unsigned vm,
	uint64_t now, uint64_t value, uint64_t limit)
{
	/* The oldest go: what must be acted on is said again. */
	if (a->event_next - a->event_first == BN_ARBITER_EVENTS)
		a->event_first++;
	a->events[a->event_next++ % BN_ARBITER_EVENTS] = (struct bn_arbiter_event){
		.kind = kind, .vm = vm, .time_ns = now, .value_ns = value, .limit_ns = limit};
	bn_event_signal_own(a->event_fd);
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
	return bn_arbiter_run(a);
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
	if (a->config.composing_max_ns == 0)
		a->config.composing_max_ns = BN_ARBITER_COMPOSING_MAX_NS;
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
	bn_event_signal_own(a->control);
	pthread_join(a->thread, NULL);
	bn_arbiter_compose_finish(a);
	for (unsigned i = 0; i < BN_POLICY_VMS_MAX; i++) {
		bn_arbiter_pages_forget(&a->vm[i]);
		bn_cpu_process_destroy(a->vm[i].cpu);
	}
	forget(a);
}
