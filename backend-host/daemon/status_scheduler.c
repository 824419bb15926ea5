#include "status_scheduler.h"

#include <json-c/json.h>

#include "common/clock.h"
#include "compositor/gpu.h"
#include "control_priv.h"
#include "json_add.h"
#include "service.h"

/* Frame times in an answer: enough for a sparkline. */
#define RECENT 60u

const char *bn_policy_name(enum bn_policy_kind kind)
{
	static const char *const names[] = {"none", "fifo", "priority", "reserve"};
	return names[kind <= BN_POLICY_RESERVE ? kind : BN_POLICY_NONE];
}

const char *bn_vm_class_name(enum bn_vm_class vm_class)
{
	static const char *const names[] = {"background", "interactive", "safety"};
	return names[vm_class <= BN_CLASS_SAFETY ? vm_class : BN_CLASS_BACKGROUND];
}

void bn_status_scheduler_init(struct bn_status_scheduler *s, struct bn_service *service)
{
	struct bn_arbiter *arbiter = service->context.arbiter;
	s->service = service;
	bn_arbiter_admit(arbiter, BN_POLICY_VMS_MAX, NULL, &s->admission);
	bn_arbiter_totals(arbiter, &s->totals);
}

/* What it composes on the GPU. */
static void add_compositor(struct json_object *scheduler, const struct bn_status_scheduler *s)
{
	struct json_object *o = json_object_new_object();
	struct bn_gpu_totals totals;
	struct bn_arbiter_stats stats;
	bn_gpu_totals(&totals);
	bn_arbiter_stats(s->service->context.arbiter, BN_POLICY_COMPOSITOR, &stats);
	bn_json_add_uint(o, "pictures", totals.pictures);
	bn_json_add_uint(o, "failed", totals.failed);
	bn_json_add_ms(o, "gpu_ms", totals.gpu_ns);
	bn_json_add_ms(o, "gpu_max_ms", totals.max_ns);
	bn_json_add_ms(o, "period_max_ms", s->service->composing.max_ns);
	bn_json_add_ms(o, "predicted_ms", bn_composing_predict(&s->service->composing));
	bn_json_add_uint(o, "grants", stats.policy.grants);
	bn_json_add_uint(o, "expired", s->totals.composing_expired);
	json_object_object_add(scheduler, "compositor", o);
}

void bn_status_add_scheduler(struct json_object *status, const struct bn_status_scheduler *s)
{
	const struct bn_arbiter_config *config = bn_arbiter_config(s->service->context.arbiter);
	const struct bn_histogram *decision = &s->totals.decision;
	struct json_object *o = json_object_new_object();
	bn_json_add_text(o, "policy", bn_policy_name(config->policy));
	bn_json_add_bool(o, "realtime", s->totals.realtime);
	bn_json_add_bool(o, "software", config->software);
	bn_json_add_us(o, "decision_p50_us", bn_histogram_quantile(decision, 0.50));
	bn_json_add_us(o, "decision_p99_us", bn_histogram_quantile(decision, 0.99));
	bn_json_add_us(o, "decision_max_us", decision->max_ns);
	bn_json_add_uint(o, "wakeups", s->totals.wakeups);
	bn_json_add_uint(o, "late", s->totals.late);
	bn_json_add_bool(o, "admitted", s->admission.admitted);
	bn_json_add_number(o, "utilisation", s->admission.utilisation);
	add_compositor(o, s);
	json_object_object_add(status, "scheduler", o);
}

static void add_params(struct json_object *o, const struct bn_policy_vm *p)
{
	bn_json_add_text(o, "class", bn_vm_class_name(p->vm_class));
	bn_json_add_ms(o, "period_ms", p->period_ns);
	bn_json_add_ms(o, "budget_ms", p->budget_ns);
	bn_json_add_uint(o, "share", p->share);
	bn_json_add_ms(o, "batch_max_ms", p->batch_max_ns);
}

static void add_policy(struct json_object *o, const struct bn_policy_stats *p)
{
	bn_json_add_ms(o, "gpu_ms", p->gpu_ns);
	bn_json_add_uint(o, "grants", p->grants);
	bn_json_add_uint(o, "leases", p->leases);
	bn_json_add_uint(o, "revokes", p->revokes);
	bn_json_add_uint(o, "overruns", p->overruns);
	bn_json_add_ms(o, "debt_ms", p->debt_ns);
	bn_json_add_ms(o, "budget_left_ms", p->budget_left_ns);
	bn_json_add_uint(o, "guard_waits", p->guard_waits);
	bn_json_add_uint(o, "demotions", p->demotions);
	bn_json_add_bool(o, "demoted", p->demoted);
	bn_json_add_bool(o, "held", p->held);
}

static void add_arbiter(struct json_object *o, const struct bn_arbiter_stats *s)
{
	const struct bn_request_page *page = &s->page;
	double covered = page->predictions
				 ? 100.0 * (double)page->covered / (double)page->predictions
				 : 100.0;
	bn_json_add_ms(o, "wait_p50_ms", bn_histogram_quantile(&s->wait, 0.50));
	bn_json_add_ms(o, "wait_p99_ms", bn_histogram_quantile(&s->wait, 0.99));
	bn_json_add_ms(o, "wait_p999_ms", bn_histogram_quantile(&s->wait, 0.999));
	bn_json_add_ms(o, "wait_max_ms", s->wait.max_ns);
	bn_json_add_uint(o, "batches", page->batches);
	bn_json_add_uint(o, "cuts", page->cuts);
	/* The renderer's own word: no more than all. */
	bn_json_add_number(o, "coverage_percent", covered > 100.0 ? 100.0 : covered);
	bn_json_add_bool(o, "attached", s->attached);
	bn_json_add_bool(o, "quarantined", s->quarantined);
	bn_json_add_uint(o, "trips", s->trips);
	bn_json_add_uint(o, "quarantines", s->quarantines);
	bn_json_add_uint(o, "ignored", s->ignored);
	bn_json_add_ms(o, "cpu_ms", s->cpu_ns);
}

/* Since the question before; two questions in a row share their stretch of time. */
static double gpu_percent(struct bn_control_seen *seen, uint64_t gpu_ns)
{
	uint64_t now = bn_now_ns(), elapsed = now - seen->at_ns;
	uint64_t used = gpu_ns > seen->gpu_ns ? gpu_ns - seen->gpu_ns : 0;
	double percent = elapsed > 0 ? 100.0 * (double)used / (double)elapsed : 0.0;
	if (elapsed >= 200 * BN_NS_PER_MS) {
		seen->gpu_ns = gpu_ns;
		seen->at_ns = now;
	}
	return percent > 100.0 ? 100.0 : percent;
}

void bn_status_add_vm(struct json_object *vm, const struct bn_status_scheduler *s, unsigned index,
	const struct bn_monitor *monitor)
{
	struct bn_arbiter *arbiter = s->service->context.arbiter;
	struct json_object *o = json_object_new_object();
	struct bn_arbiter_vm params;
	struct bn_arbiter_stats stats;
	bn_arbiter_vm_params(arbiter, index, &params);
	bn_arbiter_stats(arbiter, index, &stats);
	add_params(o, &params.policy);
	add_policy(o, &stats.policy);
	add_arbiter(o, &stats);
	bn_json_add_number(o, "gpu_percent",
		gpu_percent(&s->service->control->seen[index], stats.policy.gpu_ns));
	bn_json_add_ms(o, "bound_ms", monitor->target.bound_ns);
	bn_json_add_uint(o, "bound_violations", monitor->frame.bound_violations);
	bn_json_add_bool(o, "admitted", s->admission.vm[index].admitted);
	json_object_object_add(vm, "scheduler", o);
}

static void add_misses(struct json_object *o, const struct bn_monitor_frames *f)
{
	struct json_object *causes = json_object_new_object();
	bn_json_add_uint(o, "misses", f->misses);
	bn_json_add_uint(o, "missed_frames", f->missed_frames);
	bn_json_add_uint(o, "longest_miss_run", f->longest_run);
	for (unsigned i = BN_MISS_NONE + 1; i < BN_MISS_CAUSES; i++)
		bn_json_add_uint(causes, bn_miss_cause_name(i), f->causes[i]);
	json_object_object_add(o, "miss_causes", causes);
	bn_json_add_uint(o, "over_budget", f->over_budget);
	bn_json_add_uint(o, "idle", f->idle);
}

void bn_status_add_frames(struct json_object *vm, const struct bn_monitor *m)
{
	const struct bn_monitor_frames *f = &m->frame;
	struct json_object *o = json_object_new_object();
	struct json_object *times = json_object_new_array();
	uint64_t recent[RECENT];
	unsigned n = bn_monitor_recent(m, recent, RECENT);
	for (unsigned i = 0; i < n; i++)
		json_object_array_add(times, bn_json_new_ms(recent[i]));
	bn_json_add_uint(o, "count", f->time.count);
	bn_json_add_ms(o, "p50_ms", bn_histogram_quantile(&f->time, 0.50));
	bn_json_add_ms(o, "p99_ms", bn_histogram_quantile(&f->time, 0.99));
	bn_json_add_ms(o, "p999_ms", bn_histogram_quantile(&f->time, 0.999));
	bn_json_add_ms(o, "max_ms", f->time.max_ns);
	bn_json_add_number(o, "mean_ms", f->mean_ns / 1e6);
	bn_json_add_number(o, "stddev_ms", bn_monitor_stddev(m) / 1e6);
	add_misses(o, f);
	bn_json_add_ms(o, "response_p50_ms", bn_histogram_quantile(&f->response, 0.50));
	bn_json_add_ms(o, "response_p99_ms", bn_histogram_quantile(&f->response, 0.99));
	bn_json_add_ms(o, "response_max_ms", f->response.max_ns);
	bn_json_add_ms(o, "guest_p50_ms", bn_histogram_quantile(&f->guest, 0.50));
	bn_json_add_ms(o, "guest_p99_ms", bn_histogram_quantile(&f->guest, 0.99));
	bn_json_add_ms(o, "wait_p99_ms", bn_histogram_quantile(&f->wait, 0.99));
	bn_json_add_ms(o, "wait_max_ms", f->wait.max_ns);
	bn_json_add_ms(o, "gpu_p50_ms", bn_histogram_quantile(&f->gpu, 0.50));
	bn_json_add_ms(o, "gpu_p99_ms", bn_histogram_quantile(&f->gpu, 0.99));
	bn_json_add_ms(o, "gpu_max_ms", f->gpu.max_ns);
	bn_json_add_ms(o, "period_ms", m->target.period_ns);
	json_object_object_add(o, "recent_ms", times);
	json_object_object_add(vm, "frame", o);
}
