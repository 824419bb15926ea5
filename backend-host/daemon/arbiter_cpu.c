/* Processors: what a renderer uses of them, what it may.
 *
 * On a CPU rasteriser the processor is the GPU, and its clock is a meter that nobody can forge. An
 * honest page says less than the clock, as the renderer has other things to do too, and at most the
 * time that went by. So the page's word is taken as long as it comes to METER_PERCENT of the clock,
 * and below that the difference is charged. */
#include "arbiter_priv.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"

#define METER_PERCENT 75u
#define METER_MIN_NS BN_NS_PER_MS
/* The kernel's count of GPU time is in files: looked at seldom. */
#define DRM_NS (100 * BN_NS_PER_MS)
#define OWED_MAX_NS BN_NS_PER_S

/* SCHED_FIFO is kept while no more than twice the budget is used, a burst of that and a bit. */
#define FIFO_FACTOR 2u
#define FIFO_BURST_NS (2 * BN_NS_PER_MS)

#define DUTY_PERIOD_NS (100 * BN_NS_PER_MS)
#define DUTY_RUNS_NS (10 * BN_NS_PER_MS)

uint64_t bn_arbiter_cpu_time(struct bn_arbiter_vm_state *v)
{
	return v->cpu ? bn_cpu_process_time(v->cpu) : 0;
}

static void charge_difference(struct bn_arbiter_vm_state *v, uint64_t used, uint64_t wall)
{
	uint64_t said = v->page.gpu_ns - v->meter_gpu_ns;
	uint64_t least = used / 100 * METER_PERCENT;
	/* A tenth of the time is everybody's to decode and copy. */
	if (least <= said + wall / 10)
		return;
	uint64_t owed = least - said - wall / 10;
	if (v->charge_ns + owed > OWED_MAX_NS)
		return;
	v->charge_ns += owed;
	v->charge_predicted_ns += owed;
}

static void spend_credit(struct bn_arbiter_vm_state *v, uint64_t used, uint64_t wall)
{
	const struct bn_policy_vm *p = &v->params.policy;
	int64_t most = (int64_t)(FIFO_FACTOR * p->budget_ns + FIFO_BURST_NS);
	uint64_t income = wall;
	if (p->period_ns > 0 && FIFO_FACTOR * p->budget_ns < p->period_ns)
		income = wall * (FIFO_FACTOR * p->budget_ns) / p->period_ns;
	v->fifo_credit_ns += (int64_t)income - (int64_t)used;
	if (v->fifo_credit_ns > most)
		v->fifo_credit_ns = most;
	if (v->fifo_credit_ns < -most)
		v->fifo_credit_ns = -most;
	if (v->fifo_credit_ns < 0)
		v->fifo_spent = true;
	else if (v->fifo_credit_ns > most / 2)
		v->fifo_spent = false;
}

void bn_arbiter_meter(
	struct bn_arbiter *a, unsigned vm, uint64_t now, struct bn_arbiter_metered *out)
{
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	uint64_t wall = now > v->cpu_seen_at_ns ? now - v->cpu_seen_at_ns : 0;
	*out = (struct bn_arbiter_metered){0};
	if (!v->cpu || wall < (a->config.software ? METER_MIN_NS : DRM_NS))
		return;
	/* A process that used several processors still used one rasteriser. */
	uint64_t time = a->config.software ? bn_cpu_process_time(v->cpu)
					   : bn_cpu_process_gpu_time(v->cpu);
	uint64_t used = time > v->cpu_seen_ns ? time - v->cpu_seen_ns : 0;
	used = used < wall ? used : wall;
	out->wall_ns = wall;
	out->used_ns = used;
	out->granted = v->held_since_meter;
	if (v->held_since_meter)
		charge_difference(v, used, wall);
	if (a->config.software)
		spend_credit(v, used, wall);
	v->cpu_seen_ns = time;
	v->cpu_seen_at_ns = now;
	v->meter_gpu_ns = v->page.gpu_ns;
	v->held_since_meter = v->holding;
}

/* ---- classes ---- */

static enum bn_squeeze squeeze_of(const struct bn_arbiter *a, const struct bn_arbiter_vm_state *v)
{
	const struct bn_arbiter_watch *w = &v->watch;
	bool gentle = a->config.software && a->may_raise;
	if (w->punished)
		return gentle && w->level == 1 ? BN_SQUEEZE_IDLE : BN_SQUEEZE_DUTY;
	if (w->tripped && a->config.software)
		return gentle ? BN_SQUEEZE_IDLE : BN_SQUEEZE_DUTY;
	return BN_SQUEEZE_NONE;
}

static enum bn_cpu_class class_of(const struct bn_arbiter *a, const struct bn_arbiter_vm_state *v)
{
	enum bn_vm_class c = v->params.policy.vm_class;
	if (v->squeeze == BN_SQUEEZE_IDLE)
		return BN_CPU_IDLE;
	if (a->config.policy != BN_POLICY_RESERVE && a->config.policy != BN_POLICY_PRIORITY)
		return BN_CPU_NORMAL;
	/* Until it asks it starts, with much to compile: not before everything else. */
	if (c == BN_CLASS_SAFETY && a->totals.realtime && v->ready && !v->fifo_spent &&
		v->squeeze == BN_SQUEEZE_NONE)
		return BN_CPU_SAFETY;
	return c == BN_CLASS_BACKGROUND ? BN_CPU_BACKGROUND : BN_CPU_NORMAL;
}

static void apply_class(struct bn_arbiter *a, struct bn_arbiter_vm_state *v)
{
	enum bn_cpu_class c = class_of(a, v);
	if (!a->config.software || (v->class_known && v->cpu_class == c))
		return;
	if (!v->class_known && c == BN_CPU_NORMAL) {
		v->class_known = true;
		v->cpu_class = c;
		return;
	}
	int ret = bn_cpu_process_set_class(v->cpu, c);
	v->class_known = true;
	v->cpu_class = c;
	if (ret == 0 || ret == -ESRCH || v->class_failed)
		return;
	v->class_failed = true;
	bn_warn("%s: the processor class of its renderer cannot be changed: %s; what it does can "
		"delay the others (CAP_SYS_NICE, or systemd's LimitNICE= and LimitRTPRIO=, are "
		"needed)",
		v->name, strerror(-ret));
}

void bn_arbiter_apply_cpu(struct bn_arbiter *a, unsigned vm, uint64_t now)
{
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	if (!v->cpu)
		return;
	v->squeeze = squeeze_of(a, v);
	bool frozen = v->hold || (v->squeeze == BN_SQUEEZE_DUTY &&
					 now % DUTY_PERIOD_NS >= DUTY_RUNS_NS);
	apply_class(a, v);
	if (frozen == v->frozen)
		return;
	v->frozen = frozen;
	int ret = bn_cpu_process_freeze(v->cpu, v->cgroup, frozen);
	if (ret < 0 && ret != -ESRCH)
		bn_warn("%s: stopping its renderer, or letting it go on: %s", v->name,
			strerror(-ret));
}
