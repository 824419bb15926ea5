#include "service.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <wayland-server-core.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/sd.h"
#include "compositor/gpu.h"
#include "control.h"
#include "cpu.h"
#include "events.h"
#include "metrics_http.h"
#include "scene.h"
#include "sockets.h"
#include "watchdog.h"

static int handle_signal(int signal_number, void *data)
{
	struct bn_service *s = data;
	bn_info("%s: stopping", strsignal(signal_number));
	s->quit = true;
	return 0;
}

static void handle_display(void *data, struct bn_display *display)
{
	struct bn_service *s = data;
	for (size_t i = 0; i < s->num_vms; i++)
		bn_vm_display_changed(s->vm[i], display);
	bn_control_follow_display(s->control, bn_display_name(display));
	bn_stage_displays_changed(s->stage, s->context.events);
	bn_watchdogs_display_changed(s->watchdogs);
}

/* ---- the service manager's watchdog: the only timer of an idle service, and only when it is
 * asked for ---- */

static unsigned watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	if (!usec || (pid && strtol(pid, NULL, 10) != (long)getpid()))
		return 0;
	unsigned long long value = strtoull(usec, NULL, 10) / 2000;
	return value > 0 && value < 3600 * 1000 ? (unsigned)value : 0;
}

static int handle_watchdog(void *data)
{
	struct bn_service *s = data;
	bn_sd_notify("WATCHDOG=1");
	wl_event_source_timer_update(s->watchdog, (int)watchdog_ms());
	return 0;
}

static int init_watchdog(struct bn_service *s)
{
	if (watchdog_ms() == 0)
		return 0;
	s->watchdog = wl_event_loop_add_timer(s->loop, handle_watchdog, s);
	return s->watchdog ? handle_watchdog(s) : -ENOMEM;
}

/* ---- start ---- */

/* Guest memory, rings and buffers of all VMs are fds here, and what is queued for a renderer
 * counts again. */
static void raise_fd_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		bn_warn("raising the limit of open files: %s", strerror(errno));
}

static int init_loop(struct bn_service *s)
{
	static const int numbers[2] = {SIGTERM, SIGINT};
	signal(SIGPIPE, SIG_IGN);
	s->loop = wl_event_loop_create();
	for (unsigned i = 0; s->loop && i < 2; i++) {
		s->signals[i] = wl_event_loop_add_signal(s->loop, numbers[i], handle_signal, s);
		if (!s->signals[i])
			return -ENOMEM;
	}
	return s->loop ? 0 : -ENOMEM;
}

/* Room for some ten seconds of a busy service; the pages come as they are written. */
#define TRACE_EVENTS (1u << 17)

static int init_records(struct bn_service *s)
{
	s->context.trace = bn_trace_create(TRACE_EVENTS);
	s->context.events = bn_events_create(s->settings, s->context.trace);
	return s->context.trace && s->context.events ? 0 : -ENOMEM;
}

/* ---- the scheduler ---- */

static void handle_arbiter(void *data, const struct bn_arbiter_event *event)
{
	struct bn_service *s = data;
	bn_events_arbiter(s->context.events, event);
	if (event->kind == BN_ARBITER_STUCK && event->vm < s->num_vms)
		bn_vm_stuck(s->vm[event->vm]);
}

static struct bn_arbiter_config arbiter_config(struct bn_service *s)
{
	const struct bn_settings *settings = s->settings;
	enum bn_policy_kind policy = bn_settings_policy_kind(settings);
	bool software = s->context.gpu.kind == BN_LINK_GPU_SURFACELESS;
	unsigned in_flight = settings->queue_depth;
	if (in_flight == 0)
		in_flight = software ? 1 : 2;
	return (struct bn_arbiter_config){
		.policy = policy,
		.machine = {
			.in_flight = in_flight,
			.dispatch_ns = settings->dispatch_ns,
			.batch_overhead_ns = settings->batch_overhead_ns,
			.compositor_ns = settings->compositor_ns,
			.lead_ns = settings->lead_ns,
			.preemptive = software,
		},
		.software = software,
		.realtime = settings->realtime == BN_SETTINGS_REALTIME_YES ||
			    (settings->realtime == BN_SETTINGS_REALTIME_AUTO &&
				    policy != BN_POLICY_NONE),
		.cpus = settings->gpu_cpus,
		.trace = s->context.trace,
		.event = handle_arbiter,
		.data = s,
	};
}

/* Every line of it, as the log knows no others. */
static void log_admission(struct bn_service *s, const struct bn_admission *a)
{
	const struct bn_arbiter_config *config = bn_arbiter_config(s->context.arbiter);
	const char *names[BN_POLICY_VMS_MAX] = {0};
	for (size_t i = 0; i < s->settings->num_vms; i++)
		names[i] = s->settings->vms[i].name;
	char *text = bn_admission_text(a, &config->machine, names,
		config->software ? "software" : s->context.gpu.path);
	char *rest = text, *line;
	while (rest && (line = strsep(&rest, "\n"))) {
		if (line[0])
			bn_info("admission: %s", line);
	}
	free(text);
	for (size_t i = 0; i < s->settings->num_vms; i++) {
		const struct bn_admission_vm *v = &a->vm[i];
		if (v->present && !v->admitted)
			bn_warn("%s: NOT ADMITTED: its frames may come late; %s", names[i],
				v->remedy);
	}
}

static void tell_arbiter(struct bn_service *s)
{
	struct bn_admission admission;
	for (unsigned i = 0; i < s->settings->num_vms; i++) {
		const struct bn_settings_vm *vm = &s->settings->vms[i];
		struct bn_arbiter_vm params;
		bn_settings_vm_policy(s->settings, vm, &params);
		bn_arbiter_vm_set(s->context.arbiter, i, vm->name, &params, true, NULL);
	}
	if (bn_arbiter_config(s->context.arbiter)->policy != BN_POLICY_RESERVE)
		return;
	bn_arbiter_admit(s->context.arbiter, BN_POLICY_VMS_MAX, NULL, &admission);
	log_admission(s, &admission);
}

/* Of the safety VMs, whose bound composing is a term of. */
static uint64_t shortest_period(const struct bn_settings *settings)
{
	uint64_t shortest = BN_NS_PER_S / 60;
	bool any = false;
	for (size_t i = 0; i < settings->num_vms; i++) {
		struct bn_arbiter_vm params;
		bn_settings_vm_policy(settings, &settings->vms[i], &params);
		if (params.policy.vm_class != BN_CLASS_SAFETY || params.policy.period_ns == 0 ||
			(any && params.policy.period_ns >= shortest))
			continue;
		shortest = params.policy.period_ns;
		any = true;
	}
	return shortest;
}

static int init_arbiter(struct bn_service *s)
{
	const struct bn_arbiter_config config = arbiter_config(s);
	struct bn_arbiter_totals totals;
	int ret = bn_arbiter_create(&s->context.arbiter, s->loop, &config);
	if (ret < 0) {
		bn_error("the scheduler: %s", strerror(-ret));
		return ret;
	}
	/* This thread completes page flips; renderers do not inherit it. */
	bn_arbiter_totals(s->context.arbiter, &totals);
	if (totals.realtime)
		ret = bn_cpu_realtime(BN_CPU_PRIORITY_LOOP);
	if (ret < 0)
		bn_warn("the main loop has no real-time priority: %s", strerror(-ret));
	tell_arbiter(s);
	bn_composing_init(&s->composing, s->context.arbiter, shortest_period(s->settings),
		s->settings->compositor_ns, config.policy == BN_POLICY_RESERVE);
	return 0;
}

static int init_vms(struct bn_service *s)
{
	for (; s->num_vms < s->settings->num_vms; s->num_vms++) {
		int ret = bn_vm_create(
			&s->vm[s->num_vms], &s->context, &s->settings->vms[s->num_vms],
			(unsigned)s->num_vms);
		if (ret < 0)
			return ret;
		s->frames[s->num_vms] = bn_vm_frames(s->vm[s->num_vms]);
	}
	return 0;
}

static void log_gpu(const struct bn_gpu *gpu)
{
	static const char *const kinds[] = {
		"none: guests get 2D only", "surfaceless", "render node"};
	bn_info("GPU: %s%s%s (%s)", kinds[gpu->kind], gpu->path[0] ? " " : "", gpu->path,
		gpu->reason);
}

int bn_service_init(struct bn_service *s, const struct bn_settings *settings,
	const struct bn_renderer_program *program)
{
	*s = (struct bn_service){.settings = settings, .started_ns = bn_now_ns()};
	raise_fd_limit();
	int ret = init_loop(s);
	if (ret == 0)
		ret = bn_gpu_choose(&s->context.gpu, settings);
	if (ret == 0)
		ret = bn_make_runtime_dir(settings->runtime_dir);
	bn_gpu_set_allowed(s->context.gpu.kind == BN_LINK_GPU_RENDER_NODE);
	if (ret == 0)
		ret = bn_displays_init(&s->displays, s->loop, settings);
	if (ret == 0) /* first of all, the boot pictures */
		ret = bn_watchdogs_create(&s->watchdogs, s->loop, settings, &s->displays);
	if (ret < 0)
		return ret;
	s->context.loop = s->loop;
	s->context.displays = &s->displays;
	s->context.program = *program;
	s->context.shader_cache = settings->shader_cache;
	s->context.cgroups = bn_cgroups_open();
	log_gpu(&s->context.gpu);
	ret = init_records(s);
	bn_watchdogs_set_events(s->watchdogs, s->context.events);
	if (ret == 0)
		ret = init_arbiter(s);
	if (ret < 0)
		return ret;
	ret = init_vms(s);
	if (ret == 0)
		ret = bn_stage_create(&s->stage, settings, &s->displays, s->frames);
	if (ret == 0)
		bn_watchdogs_guard(s->watchdogs, s->stage);
	if (ret == 0)
		ret = bn_control_create(&s->control, s);
	if (ret == 0)
		ret = bn_metrics_http_create(&s->metrics, s);
	if (ret == 0)
		ret = init_watchdog(s);
	if (ret < 0)
		return ret;
	s->displays.changed = handle_display;
	s->displays.data = s;
	for (size_t i = 0; i < s->num_vms; i++)
		bn_vm_start(s->vm[i]);
	return 0;
}

void bn_service_run(struct bn_service *s)
{
	char status[96];
	snprintf(status, sizeof(status), "STATUS=%zu VMs on %zu displays", s->num_vms,
		s->displays.count);
	bn_sd_notify("READY=1");
	bn_sd_notify(status);
	bn_info("ready after %.1f ms: %zu VMs, %zu displays, control socket %s",
		(double)(bn_now_ns() - s->started_ns) / 1e6, s->num_vms, s->displays.count,
		s->settings->control_socket);
	while (!s->quit) {
		if (wl_event_loop_dispatch(s->loop, -1) < 0 && errno != EINTR) {
			bn_error("the event loop: %s", strerror(errno));
			break;
		}
	}
	bn_sd_notify("STOPPING=1");
}

void bn_service_finish(struct bn_service *s)
{
	bn_metrics_http_destroy(s->metrics);
	bn_control_destroy(s->control);
	bn_watchdogs_destroy(s->watchdogs);
	s->displays.changed = NULL;
	for (size_t i = 0; i < s->num_vms; i++)
		bn_vm_stop(s->vm[i]);
	bn_stage_destroy(s->stage);
	while (s->num_vms > 0)
		bn_vm_destroy(s->vm[--s->num_vms]);
	bn_composing_finish(&s->composing);
	bn_arbiter_destroy(s->context.arbiter);
	bn_events_destroy(s->context.events);
	bn_trace_destroy(s->context.trace);
	bn_displays_finish(&s->displays);
	bn_cgroups_close(s->context.cgroups);
	if (s->watchdog)
		wl_event_source_remove(s->watchdog);
	for (unsigned i = 0; i < 2; i++) {
		if (s->signals[i])
			wl_event_source_remove(s->signals[i]);
	}
	if (s->loop)
		wl_event_loop_destroy(s->loop);
}
