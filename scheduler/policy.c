#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy_priv.h"

/* Longest batch of a VM whose streams are not cut. */
#define UNCUT_NS UINT64_C(1000000000)
#define SHARE_MAX 1000u
#define BATCHES_MAX 1024u
#define IN_FLIGHT_MAX 4u

static uint64_t bounded(uint64_t ns)
{
	return bn_least(ns, BN_POLICY_LONGEST_NS);
}

void bn_policy_take_machine(struct bn_policy_machine *machine)
{
	if (machine->in_flight == 0)
		machine->in_flight = 1;
	if (machine->in_flight > IN_FLIGHT_MAX)
		machine->in_flight = IN_FLIGHT_MAX;
	machine->dispatch_ns = bounded(machine->dispatch_ns);
	machine->batch_overhead_ns = bounded(machine->batch_overhead_ns);
	machine->compositor_ns = bounded(machine->compositor_ns);
	machine->lead_ns = bounded(machine->lead_ns);
}

void bn_policy_take_params(struct bn_policy_vm *to, const struct bn_policy_vm *from)
{
	*to = *from;
	if ((unsigned)to->vm_class > BN_CLASS_SAFETY)
		to->vm_class = BN_CLASS_BACKGROUND;
	to->period_ns = bounded(to->period_ns);
	to->budget_ns = bounded(to->budget_ns);
	to->share = to->share == 0 ? 1 : to->share > SHARE_MAX ? SHARE_MAX : to->share;
	to->batch_max_ns = to->batch_max_ns ? bounded(to->batch_max_ns) : UNCUT_NS;
	to->gap_ns = bounded(to->gap_ns);
	to->gaps = to->gaps > BATCHES_MAX ? BATCHES_MAX : to->gaps;
	to->batches = to->batches > BATCHES_MAX ? BATCHES_MAX : to->batches;
}

static void add_vm(struct bn_policy *p, unsigned vm)
{
	struct bn_vm *v = &p->vms[vm];
	memset(v, 0, sizeof(*v));
	bn_trust_init(&v->trust);
	v->vrt = p->vrt_floor;
	v->idle_ns = p->now_ns;
	p->present |= BN_BIT(vm);
}

static void add_compositor(struct bn_policy *p)
{
	const struct bn_policy_vm params = {.vm_class = BN_CLASS_SAFETY, .share = SHARE_MAX};
	bn_policy_vm_set(p, BN_POLICY_COMPOSITOR, &params, p->now_ns);
}

int bn_policy_create(
	struct bn_policy **out, enum bn_policy_kind kind, const struct bn_policy_machine *machine)
{
	bool reserve = kind == BN_POLICY_RESERVE;
	if ((unsigned)kind > BN_POLICY_RESERVE || machine->in_flight > IN_FLIGHT_MAX ||
		(reserve && machine->in_flight == 0))
		return -EINVAL;
	struct bn_policy *p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->kind = kind;
	p->machine = *machine;
	bn_policy_take_machine(&p->machine);
	add_compositor(p);
	*out = p;
	return 0;
}

void bn_policy_destroy(struct bn_policy *policy)
{
	free(policy);
}

/* Takes the time; NULL for a VM that does not exist. */
static struct bn_vm *known(struct bn_policy *p, unsigned vm, uint64_t now_ns)
{
	if (now_ns > p->now_ns)
		p->now_ns = now_ns;
	if (vm >= BN_POLICY_VMS_MAX || !(p->present & BN_BIT(vm)))
		return NULL;
	return &p->vms[vm];
}

static void set_cost(struct bn_vm *v)
{
	v->cost_ns = bn_least(bn_trust_cost(&v->trust, v->predicted_ns), v->par.batch_max_ns);
}

void bn_policy_vm_set(
	struct bn_policy *p, unsigned vm, const struct bn_policy_vm *params, uint64_t now_ns)
{
	if (vm >= BN_POLICY_VMS_MAX)
		return;
	if (!known(p, vm, now_ns))
		add_vm(p, vm);
	struct bn_policy_vm *par = &p->vms[vm].par;
	bn_policy_take_params(par, params);
	/* No period, no budget. */
	par->budget_ns = bn_least(par->budget_ns, par->period_ns);
	bn_server_configure(p, vm);
	set_cost(&p->vms[vm]);
}

void bn_policy_vm_remove(struct bn_policy *p, unsigned vm, uint64_t now_ns)
{
	struct bn_vm *v = known(p, vm, now_ns);
	if (!v)
		return;
	uint64_t others = ~BN_BIT(vm);
	p->present &= others;
	p->waiting &= others;
	p->granted &= others;
	p->held &= others;
	p->best &= others;
	p->leases &= others;
	p->frames &= others;
	p->revocable &= others;
	memset(v, 0, sizeof(*v));
	v->par.share = 1;
	bn_server_configure(p, vm);
	if (vm == BN_POLICY_COMPOSITOR)
		add_compositor(p);
}

static void end_dry(const struct bn_policy *p, struct bn_vm *v)
{
	if (v->dry)
		bn_server_keep_gap(p, v);
	v->dry = false;
}

void bn_policy_request(struct bn_policy *p, unsigned vm, uint64_t predicted_ns, uint64_t now_ns)
{
	struct bn_vm *v = known(p, vm, now_ns);
	if (!v)
		return;
	v->predicted_ns = bounded(predicted_ns);
	set_cost(v);
	end_dry(p, v);
	if (p->waiting & BN_BIT(vm))
		return;
	p->waiting |= BN_BIT(vm);
	v->seq = ++p->seq;
	v->ask_ns = p->now_ns;
	v->guard_waited = false;
	if (!(p->granted & BN_BIT(vm)) && p->now_ns - v->idle_ns > BN_POLICY_CONTINUES_NS)
		bn_server_wake(p, vm);
}

static void run_dry(struct bn_policy *p, struct bn_vm *v)
{
	if ((!v->open && v->grant != BN_GRANT_FRAME) || v->dry)
		return;
	v->dry = true;
	v->dry_ns = p->now_ns;
}

void bn_policy_withdraw(struct bn_policy *p, unsigned vm, uint64_t now_ns)
{
	struct bn_vm *v = known(p, vm, now_ns);
	if (!v)
		return;
	bool granted = p->granted & BN_BIT(vm);
	if (!granted && p->waiting & BN_BIT(vm))
		v->idle_ns = p->now_ns;
	p->waiting &= ~BN_BIT(vm);
	if (!granted || v->grant == BN_GRANT_FRAME)
		run_dry(p, v);
}

void bn_policy_release(struct bn_policy *p, unsigned vm, uint64_t release_ns, uint64_t now_ns)
{
	struct bn_vm *v = known(p, vm, now_ns);
	if (!v || !(p->safety & BN_BIT(vm)))
		return;
	if (release_ns > p->now_ns)
		release_ns = p->now_ns;
	if (v->released && release_ns <= v->release_ns)
		return;
	bn_server_refill(p, BN_BIT(vm));
	bn_server_release(v, release_ns);
}

void bn_policy_frame_end(struct bn_policy *p, unsigned vm, uint64_t now_ns)
{
	struct bn_vm *v = known(p, vm, now_ns);
	if (!v)
		return;
	v->open = false;
	v->done = true;
	if (v->grant != BN_GRANT_FRAME)
		v->dry = false;
	v->frame_used_ns = 0;
}

void bn_policy_charge(struct bn_policy *p, unsigned vm, uint64_t actual_ns, uint64_t predicted_ns,
	uint64_t now_ns)
{
	struct bn_vm *v = known(p, vm, now_ns);
	if (!v || !((p->granted | BN_COMPOSITOR_BIT) & BN_BIT(vm)))
		return;
	bn_server_refill(p, BN_BIT(vm) & (p->safety | p->servers));
	bn_server_retract(v);
	bn_server_charge(p, vm, bounded(actual_ns));
	/* A safety VM's predictions decide nothing: it has a budget, and pays with a debt. */
	if (p->kind != BN_POLICY_RESERVE || v->par.vm_class == BN_CLASS_SAFETY)
		return;
	if (!bn_trust_learn(&v->trust, bounded(actual_ns), bounded(predicted_ns), p->now_ns))
		return;
	if (v->trust.demoted)
		v->stats.demotions++;
	bn_server_configure(p, vm);
}

void bn_policy_return(struct bn_policy *p, unsigned vm, uint64_t now_ns)
{
	struct bn_vm *v = known(p, vm, now_ns);
	if (!v || !(p->granted & BN_BIT(vm)))
		return;
	bool lease = v->grant == BN_GRANT_LEASE;
	if (v->grant == BN_GRANT_FRAME) {
		if (v->dry)
			bn_server_keep_gap(p, v);
		bn_server_keep(p, v);
		v->dry = v->dry && v->open;
	}
	bn_server_retract(v);
	v->grant = BN_GRANT_NONE;
	v->reserved = false;
	p->granted &= ~BN_BIT(vm);
	p->best &= ~BN_BIT(vm);
	p->leases &= ~BN_BIT(vm);
	p->frames &= ~BN_BIT(vm);
	p->revocable &= ~BN_BIT(vm);
	v->idle_ns = p->now_ns;
	if (!(p->waiting & BN_BIT(vm)))
		run_dry(p, v);
	/* What it did under a lease was nobody's time, so its budget has been standing still. */
	if (lease)
		bn_server_wake(p, vm);
}

void bn_policy_hold(struct bn_policy *p, unsigned vm, bool hold, uint64_t now_ns)
{
	struct bn_vm *v = known(p, vm, now_ns);
	if (!v || hold == !!(p->held & BN_BIT(vm)))
		return;
	p->held ^= BN_BIT(vm);
	if (hold)
		return;
	/* No credit for the time in which it was not let in. */
	v->ask_ns = p->now_ns;
	bn_server_wake(p, vm);
}

void bn_policy_stats(const struct bn_policy *p, unsigned vm, struct bn_policy_stats *out)
{
	memset(out, 0, sizeof(*out));
	if (vm >= BN_POLICY_VMS_MAX || !(p->present & BN_BIT(vm)))
		return;
	const struct bn_vm *v = &p->vms[vm];
	*out = v->stats;
	if (v->left_ns < 0)
		out->debt_ns = (uint64_t)-v->left_ns;
	else
		out->budget_left_ns = (uint64_t)v->left_ns;
	out->demoted = v->trust.demoted;
	out->held = p->held & BN_BIT(vm);
	out->waiting = p->waiting & BN_BIT(vm);
	out->running = p->granted & BN_BIT(vm);
}
