#include "policy_priv.h"

/* A display's stamps jitter; whatever comes sooner than that part of a period after the last release
 * is no new period. */
#define RELEASE_EARLIEST(period) ((period) - (period) / 4)

#define UTIL_SHIFT 20

static void configure_masks(struct bn_policy *p, unsigned vm)
{
	struct bn_vm *v = &p->vms[vm];
	bool budget = v->par.budget_ns > 0 && vm != BN_POLICY_COMPOSITOR;
	bool safety = budget && v->par.vm_class == BN_CLASS_SAFETY;
	p->safety &= ~BN_BIT(vm);
	p->servers &= ~BN_BIT(vm);
	if (safety)
		p->safety |= BN_BIT(vm);
	else if (budget && !v->trust.demoted)
		p->servers |= BN_BIT(vm);
}

static void look_for_overbooking(struct bn_policy *p)
{
	uint64_t sum = 0;
	for (uint64_t m = p->safety | p->servers; m; m &= m - 1)
		sum += p->vms[bn_lowest(m)].util;
	p->overbooked = sum > UINT64_C(1) << UTIL_SHIFT;
}

void bn_server_configure(struct bn_policy *p, unsigned vm)
{
	struct bn_vm *v = &p->vms[vm];
	uint64_t had = (p->safety | p->servers) & BN_BIT(vm);
	configure_masks(p, vm);
	if (!(p->safety & BN_BIT(vm)))
		v->open = v->dry = v->released = false;
	v->weight = v->par.share;
	if (v->trust.demoted && v->par.vm_class != BN_CLASS_SAFETY)
		v->weight = (v->weight + BN_TRUST_SHARE_DIVISOR - 1) / BN_TRUST_SHARE_DIVISOR;
	v->util = v->par.period_ns ? (v->par.budget_ns << UTIL_SHIFT) / v->par.period_ns : 0;
	if (!had && (p->safety | p->servers) & BN_BIT(vm))
		bn_server_start(p, v);
	look_for_overbooking(p);

	const struct bn_policy_vm *vms[BN_POLICY_VMS_MAX] = {0};
	for (uint64_t m = p->safety; m; m &= m - 1)
		vms[bn_lowest(m)] = &p->vms[bn_lowest(m)].par;
	for (uint64_t m = p->safety; m; m &= m - 1)
		p->vms[bn_lowest(m)].others_ns = bn_guard_others(&p->machine, vms, bn_lowest(m));
}

uint64_t bn_server_booked(const struct bn_vm *v, uint64_t ns)
{
	return (ns << UTIL_SHIFT) / (v->util ? v->util : 1);
}

void bn_server_start(struct bn_policy *p, struct bn_vm *v)
{
	v->start_ns = p->now_ns;
	v->left_ns = v->filled_ns = (int64_t)v->par.budget_ns;
	v->kept_ns = 0;
}

/* In a period. */
static uint64_t keep_max(const struct bn_policy *p, const struct bn_vm *v)
{
	return bn_guard_frame(&p->machine, &v->par) + p->machine.compositor_ns;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* In this period, and not counted yet. */
static uint64_t keep_from(const struct bn_vm *v)
{
	return later(v->keep_from_ns, v->start_ns);
}

uint64_t bn_server_keep_end(const struct bn_policy *p, const struct bn_vm *v)
{
	return keep_from(v) + bn_less(keep_max(p, v), v->kept_ns);
}

void bn_server_keep(const struct bn_policy *p, struct bn_vm *v)
{
	v->kept_ns += bn_less(p->now_ns, keep_from(v));
	v->keep_from_ns = p->now_ns;
}

void bn_server_keep_gap(const struct bn_policy *p, struct bn_vm *v)
{
	uint64_t end = later(v->dry_ns + v->par.gap_ns, v->start_ns);
	if (v->grant == BN_GRANT_FRAME)
		v->keep_from_ns = keep_from(v) + bn_less(p->now_ns, end);
	else
		v->kept_ns += bn_less(bn_least(end, p->now_ns), later(v->dry_ns, keep_from(v)));
}

bool bn_server_spent(const struct bn_policy *p, const struct bn_vm *v)
{
	return v->left_ns <= 0 || v->kept_ns >= keep_max(p, v);
}

/* `periods` new budgets, of which the debt is paid first. What was left lapses, unless the VM had a batch
 * that did not fit into it: such a rest is added to the next budget, once. */
static void pay(struct bn_vm *v, uint64_t periods)
{
	int64_t budget = (int64_t)v->par.budget_ns, rest = 0;
	if (v->refused && v->left_ns > 0)
		rest = (int64_t)bn_least((uint64_t)v->left_ns, v->par.batch_max_ns);
	if (v->left_ns >= 0 || periods > BN_POLICY_DEBT_MAX + 1)
		v->left_ns = budget + rest;
	else
		v->left_ns += (int64_t)periods * budget;
	if (v->left_ns > budget + rest)
		v->left_ns = budget + rest;
	v->filled_ns = v->left_ns;
	v->kept_ns = 0;
	v->refused = false;
}

void bn_server_refill(struct bn_policy *p, uint64_t mask)
{
	for (uint64_t m = mask; m; m &= m - 1) {
		struct bn_vm *v = &p->vms[bn_lowest(m)];
		if (p->now_ns < bn_server_due(v))
			continue;
		uint64_t periods = (p->now_ns - v->start_ns) / v->par.period_ns;
		v->start_ns += periods * v->par.period_ns;
		pay(v, periods);
	}
}

void bn_server_release(struct bn_vm *v, uint64_t release_ns)
{
	bool soon = v->released && release_ns < v->release_ns + RELEASE_EARLIEST(v->par.period_ns);
	v->released = true;
	v->release_ns = release_ns;
	v->done = false;
	if (!v->open)
		v->frame_used_ns = 0;
	if (soon)
		return;
	/* A budget that came with the clock before the display's stamp is the same one. */
	if (release_ns >= v->start_ns + RELEASE_EARLIEST(v->par.period_ns))
		pay(v, 1);
	else if (v->left_ns >= 0)
		v->left_ns = v->filled_ns;
	v->start_ns = release_ns;
	v->kept_ns = 0;
}

/* The rule of a constant-bandwidth server: what is left may not be more than its rate allows until
 * the deadline; otherwise a new period begins. */
static void wake_server(struct bn_policy *p, struct bn_vm *v)
{
	uint64_t due = bn_server_due(v);
	uint64_t allowed = (bn_less(due, p->now_ns) * v->util) >> UTIL_SHIFT;
	if (v->left_ns >= 0 && (uint64_t)v->left_ns > allowed)
		bn_server_start(p, v);
}

void bn_server_wake(struct bn_policy *p, unsigned vm)
{
	struct bn_vm *v = &p->vms[vm];
	if (v->vrt < p->vrt_floor)
		v->vrt = p->vrt_floor;
	if (v->booked_vrt < p->booked_floor)
		v->booked_vrt = p->booked_floor;
	if (p->servers & BN_BIT(vm)) {
		bn_server_refill(p, BN_BIT(vm));
		wake_server(p, v);
	}
}

void bn_server_advance(struct bn_vm *v, uint64_t cost_ns)
{
	v->advance = cost_ns * BN_POLICY_VRT / v->weight;
	v->vrt += v->advance;
}

void bn_server_retract(struct bn_vm *v)
{
	v->vrt -= v->advance;
	v->advance = 0;
}

static void charge_slack(struct bn_policy *p, struct bn_vm *v, uint64_t actual_ns)
{
	uint64_t longest = BN_POLICY_DEBT_MAX * v->par.batch_max_ns;
	v->vrt += actual_ns * BN_POLICY_VRT / v->weight;
	uint64_t most = p->vrt_floor + longest * BN_POLICY_VRT / v->weight;
	if (v->grant == BN_GRANT_LEASE) {
		/* Alone: it sets the pace. */
		if (v->vrt > p->vrt_floor)
			p->vrt_floor = v->vrt;
	} else if (v->vrt > most) {
		v->vrt = most;
	}
}

static void charge_budget(struct bn_vm *v, uint64_t actual_ns)
{
	int64_t before = v->left_ns;
	int64_t budget = (int64_t)v->par.budget_ns;
	int64_t debt_max =
		v->par.vm_class == BN_CLASS_SAFETY ? budget / 2 : budget * BN_POLICY_DEBT_MAX;
	v->left_ns -= (int64_t)actual_ns;
	v->booked_vrt += bn_server_booked(v, actual_ns);
	if (before > 0)
		v->stats.reserved_ns += bn_least((uint64_t)before, actual_ns);
	if (v->left_ns >= 0)
		return;
	if (before >= 0)
		v->stats.overruns++;
	if (v->left_ns < -debt_max)
		v->left_ns = -debt_max;
}

void bn_server_charge(struct bn_policy *p, unsigned vm, uint64_t actual_ns)
{
	struct bn_vm *v = &p->vms[vm];
	v->used_ns += actual_ns;
	v->stats.gpu_ns += actual_ns;
	if (vm == BN_POLICY_COMPOSITOR)
		return;
	if (v->open)
		v->frame_used_ns += actual_ns;
	if (v->reserved)
		charge_budget(v, actual_ns);
	else
		charge_slack(p, v, actual_ns);
}
