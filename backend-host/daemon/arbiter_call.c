/* What the main thread asks of the arbiter. Each call changes a little under the lock and wakes the
 * thread, which does the rest. */
#include "arbiter_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/fd.h"
#include "common/log.h"

static uint64_t begin(struct bn_arbiter *a)
{
	pthread_mutex_lock(&a->lock);
	return bn_now_ns();
}

static void end(struct bn_arbiter *a)
{
	pthread_mutex_unlock(&a->lock);
	bn_event_signal_own(a->control);
}

/* Whether a decision is due if something changes: leases that nobody asks for stay what they are. */
static bool anybody_waits(const struct bn_arbiter *a)
{
	for (uint64_t m = a->attached; m; m &= m - 1) {
		const struct bn_arbiter_vm_state *v = &a->vm[bn_arbiter_first(m)];
		if (v->asking || (v->holding && v->kind == BN_GRANT_FRAME))
			return true;
	}
	return false;
}

/* ---- parameters ---- */

/* The set as it is, or with that VM changed. */
static void test_admission(const struct bn_arbiter *a, unsigned vm,
	const struct bn_arbiter_vm *params, struct bn_admission *out)
{
	const struct bn_policy_vm *vms[BN_POLICY_VMS_MAX] = {0};
	const char *names[BN_POLICY_VMS_MAX] = {0};
	for (unsigned i = 0; i < BN_POLICY_VMS_MAX; i++) {
		if (a->vm[i].known) {
			vms[i] = &a->vm[i].params.policy;
			names[i] = a->vm[i].name;
		}
	}
	if (params && vm < BN_POLICY_VMS_MAX)
		vms[vm] = &params->policy;
	bn_admission_test(out, &a->config.machine, vms, names);
}

/* Whether somebody who had a guarantee would not have it any more, or the changed VM would ask for
 * one that cannot be given. */
static bool breaks(const struct bn_admission *before, const struct bn_admission *after, unsigned vm)
{
	for (unsigned i = 0; i < BN_POLICY_VMS_MAX; i++) {
		const struct bn_admission_vm *b = &before->vm[i], *n = &after->vm[i];
		if (n->present && !n->admitted && (i == vm || (b->present && b->admitted)))
			return true;
	}
	return false;
}

static void set_params(struct bn_arbiter *a, unsigned vm, const struct bn_arbiter_vm *params)
{
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	uint64_t now = bn_now_ns();
	v->params = *params;
	if (v->params.trips_max > BN_ARBITER_TRIPS_MAX)
		v->params.trips_max = BN_ARBITER_TRIPS_MAX;
	v->known = true;
	bn_policy_vm_set(a->policy, vm, &params->policy, now);
	bn_arbiter_publish_limits(a, vm, now);
	bn_arbiter_apply_cpu(a, vm, now);
}

int bn_arbiter_vm_set(struct bn_arbiter *a, unsigned vm, const char *name,
	const struct bn_arbiter_vm *params, bool force, struct bn_admission *admission)
{
	struct bn_admission before, after;
	if (vm >= BN_POLICY_VMS_MAX)
		return -EINVAL;
	begin(a);
	test_admission(a, vm, NULL, &before);
	test_admission(a, vm, params, &after);
	/* Whatever reserves nothing takes nothing from others. */
	bool refused = !force && a->config.policy == BN_POLICY_RESERVE &&
		       breaks(&before, &after, vm);
	if (!refused) {
		snprintf(a->vm[vm].name, sizeof(a->vm[vm].name), "%s", name);
		set_params(a, vm, params);
	}
	end(a);
	if (admission)
		*admission = after;
	return refused ? -EPERM : 0;
}

void bn_arbiter_admit(struct bn_arbiter *a, unsigned vm, const struct bn_arbiter_vm *params,
	struct bn_admission *out)
{
	begin(a);
	test_admission(a, vm, params, out);
	pthread_mutex_unlock(&a->lock);
}

void bn_arbiter_vm_params(struct bn_arbiter *a, unsigned vm, struct bn_arbiter_vm *out)
{
	begin(a);
	*out = a->vm[vm].params;
	out->watchdog_ns = bn_arbiter_watchdog(a, vm);
	pthread_mutex_unlock(&a->lock);
}

const struct bn_arbiter_config *bn_arbiter_config(const struct bn_arbiter *a)
{
	return &a->config;
}

/* ---- renderers ---- */

static void default_params(struct bn_arbiter *a, unsigned vm)
{
	const struct bn_arbiter_vm params = {
		.policy = {.vm_class = BN_CLASS_INTERACTIVE,
			.period_ns = BN_NS_PER_S / 60,
			.share = 100,
			.batch_max_ns = 2 * BN_NS_PER_MS,
			.ahead_max_ns = 4 * BN_NS_PER_MS},
		.trips_max = 3,
	};
	snprintf(a->vm[vm].name, sizeof(a->vm[vm].name), "%u", vm);
	set_params(a, vm, &params);
}

static void init_renderer(struct bn_arbiter *a, unsigned vm, uint64_t now)
{
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	v->attached = true;
	a->attached |= BN_VM_BIT(vm);
	v->ready = v->asking = v->holding = v->revoking = v->dry = false;
	v->attached_ns = v->gpu_seen_at_ns = v->rings_at_ns = now;
	v->active_ns = 0;
	v->page = (struct bn_request_page){0};
	v->rings = 0;
	v->number = 0;
	v->gpu_seen_ns = v->predicted_seen_ns = v->charge_ns = v->charge_predicted_ns = 0;
	v->predicted_left_ns = 0;
	bn_arbiter_watch_reset(&v->watch, now);
	BN_PAGE_PUT(v, until_ns, UINT64_MAX);
	BN_PAGE_PUT_SEQ(v, quarantine, v->quarantined);
	bn_arbiter_update_hold(a, vm, now);
	bn_arbiter_publish_limits(a, vm, now);
}

int bn_arbiter_attach(struct bn_arbiter *a, unsigned vm, struct bn_arbiter_fds *out)
{
	*out = (struct bn_arbiter_fds){-1, -1, -1, -1};
	if (vm >= BN_POLICY_VMS_MAX || a->vm[vm].attached)
		return vm >= BN_POLICY_VMS_MAX ? -EINVAL : -EBUSY;
	/* Nobody else uses the pages of a VM that is not attached. */
	int ret = bn_arbiter_pages_make(&a->vm[vm], out);
	if (ret < 0)
		return ret;
	uint64_t now = begin(a);
	if (!a->vm[vm].known)
		default_params(a, vm);
	init_renderer(a, vm, now);
	end(a);
	return 0;
}

void bn_arbiter_process(struct bn_arbiter *a, unsigned vm, pid_t pid)
{
	struct bn_cpu_process *cpu;
	int ret = bn_cpu_process_create(&cpu, pid, &a->config.cpus);
	if (ret < 0) {
		bn_warn("%s: its renderer's processor time cannot be metered: %s", a->vm[vm].name,
			strerror(-ret));
		return;
	}
	uint64_t now = begin(a);
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	struct bn_cpu_process *old = v->cpu;
	v->cpu = cpu;
	v->cpu_seen_ns = v->meter_gpu_ns = 0;
	v->cpu_seen_at_ns = now;
	v->held_since_meter = v->class_known = v->class_failed = v->frozen = false;
	v->fifo_spent = false;
	v->fifo_credit_ns = 0;
	bn_arbiter_apply_cpu(a, vm, now);
	end(a);
	bn_cpu_process_destroy(old);
}

void bn_arbiter_cgroup(struct bn_arbiter *a, unsigned vm, struct bn_cgroup *group)
{
	begin(a);
	a->vm[vm].cgroup = group;
	end(a);
}

void bn_arbiter_detach(struct bn_arbiter *a, unsigned vm)
{
	uint64_t now = begin(a);
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	struct bn_cpu_process *cpu = v->cpu;
	v->cpu = NULL;
	if (v->attached) {
		a->attached &= ~BN_VM_BIT(vm);
		v->attached = v->ready = v->asking = v->holding = v->revoking = false;
		bn_policy_withdraw(a->policy, vm, now);
		bn_policy_return(a->policy, vm, now);
		bn_arbiter_watch_reset(&v->watch, now);
		bn_arbiter_update_hold(a, vm, now);
		bn_arbiter_pages_forget(v);
	}
	end(a);
	bn_cpu_process_destroy(cpu);
}

void bn_arbiter_released(struct bn_arbiter *a, unsigned vm, uint64_t release_ns)
{
	uint64_t now = begin(a);
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	if (v->attached)
		BN_PAGE_PUT_SEQ(v, release_ns, release_ns);
	if (v->known)
		bn_policy_release(a->policy, vm, release_ns, now);
	bool news = anybody_waits(a);
	pthread_mutex_unlock(&a->lock);
	if (news) /* one wake-up less for each refresh of a VM that is alone */
		bn_event_signal_own(a->control);
}

uint64_t bn_arbiter_stalled(struct bn_arbiter *a, uint64_t from_ns, uint64_t to_ns)
{
	uint64_t sum = 0;
	pthread_mutex_lock(&a->lock);
	for (unsigned i = 0; i < BN_ARBITER_STALLS; i++) {
		uint64_t from = a->stalls[i].from_ns, to = a->stalls[i].to_ns;
		from = from > from_ns ? from : from_ns;
		to = to < to_ns ? to : to_ns;
		sum += to > from ? to - from : 0;
	}
	pthread_mutex_unlock(&a->lock);
	return sum;
}

void bn_arbiter_pardon(struct bn_arbiter *a, unsigned vm)
{
	uint64_t now = begin(a);
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	v->quarantined = false;
	memset(v->watch.trip_times, 0, sizeof(v->watch.trip_times));
	v->watch.level = 0;
	v->watch.punished = false;
	if (v->attached) {
		BN_PAGE_PUT_SEQ(v, quarantine, 0);
		bn_event_signal(v->renderer_bell);
	}
	bn_arbiter_update_hold(a, vm, now);
	bn_arbiter_apply_cpu(a, vm, now);
	end(a);
}

void bn_arbiter_hold(struct bn_arbiter *a, unsigned vm, bool hold)
{
	uint64_t now = begin(a);
	a->vm[vm].hold = hold;
	bn_arbiter_update_hold(a, vm, now);
	bn_arbiter_apply_cpu(a, vm, now);
	end(a);
}

/* ---- figures ---- */

void bn_arbiter_stats(struct bn_arbiter *a, unsigned vm, struct bn_arbiter_stats *out)
{
	uint64_t now = begin(a);
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	uint64_t active_ns = v->active_ns;
	if (v->attached)
		bn_arbiter_look(a, vm, now);
	bool news = v->active_ns != active_ns;
	bn_policy_stats(a->policy, vm, &out->policy);
	out->page = v->page;
	out->wait = v->wait;
	out->cpu_ns = bn_arbiter_cpu_time(v);
	out->trips = v->trips;
	out->quarantines = v->quarantines;
	out->ignored = v->ignored;
	out->quarantined = v->quarantined;
	out->attached = v->attached;
	pthread_mutex_unlock(&a->lock);
	if (news) /* the thread decides what follows from it */
		bn_event_signal_own(a->control);
}

void bn_arbiter_reset_figures(struct bn_arbiter *a, unsigned vm)
{
	pthread_mutex_lock(&a->lock);
	bn_histogram_init(vm < BN_POLICY_VMS_MAX ? &a->vm[vm].wait : &a->totals.decision);
	pthread_mutex_unlock(&a->lock);
}

void bn_arbiter_totals(struct bn_arbiter *a, struct bn_arbiter_totals *out)
{
	begin(a);
	*out = a->totals;
	pthread_mutex_unlock(&a->lock);
}
