/* Which best-effort VM goes next, and what it may do. */
#include "policy_priv.h"

/* Who goes first: the lowest rank, then the lowest key. */
struct choice {
	unsigned vm, rank;
	uint64_t key;
	bool reserved;
	struct bn_guard guard;
};
enum { RANK_STARVED, RANK_RESERVED, RANK_SLACK, RANK_OVERDRAWN };

static uint64_t vrt_of(const struct bn_vm *v, uint64_t ns)
{
	return ns * BN_POLICY_VRT / v->weight;
}

/* The least virtual runtimes at the GPU, which others must not run away from while those cannot ask: of
 * grants in slack, and of grants that go against a budget now and in slack later. */
struct pace {
	uint64_t slack, reserved;
	uint64_t booked;   /* of the latter, of time within the budget */
	uint64_t stale_ns; /* when the first of them is too old to be waited for */
};

static struct pace look_at_pace(const struct bn_policy *p)
{
	struct pace pace = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
	for (uint64_t m = p->best; m; m &= m - 1) {
		const struct bn_vm *v = &p->vms[bn_lowest(m)];
		if (p->now_ns >= v->stale_ns)
			continue;
		pace.stale_ns = bn_least(pace.stale_ns, v->stale_ns);
		if (!v->reserved) {
			pace.slack = bn_least(pace.slack, v->vrt);
			continue;
		}
		pace.reserved = bn_least(pace.reserved, v->vrt);
		pace.booked = bn_least(pace.booked, v->booked_vrt);
	}
	return pace;
}

static void rank(struct bn_policy *p, unsigned vm, struct choice *c)
{
	struct bn_vm *v = &p->vms[vm];
	c->vm = vm;
	c->reserved = false;
	if (p->safety & BN_BIT(vm)) {
		c->rank = RANK_OVERDRAWN;
		c->key = v->seq;
	} else if (p->servers & BN_BIT(vm) && bn_server_fits(v)) {
		c->rank = RANK_RESERVED;
		c->key = p->overbooked ? v->booked_vrt : bn_server_due(v);
		c->reserved = true;
	} else {
		c->rank = RANK_SLACK;
		c->key = v->vrt;
		v->refused = true;
	}
	if (c->rank != RANK_OVERDRAWN && p->now_ns - v->ask_ns > BN_POLICY_STARVED_NS) {
		c->rank = RANK_STARVED;
		c->key = v->ask_ns;
	}
}

static bool goes_before(const struct bn_policy *p, const struct choice *a, const struct choice *b)
{
	if (a->rank != b->rank)
		return a->rank < b->rank;
	if (a->key != b->key)
		return a->key < b->key;
	const struct bn_vm *va = &p->vms[a->vm], *vb = &p->vms[b->vm];
	if (va->par.vm_class != vb->par.vm_class)
		return va->par.vm_class > vb->par.vm_class;
	return va->seq < vb->seq;
}

/* What safety VMs may take until then. */
static uint64_t safety_until(const struct bn_policy *p, uint64_t ns)
{
	uint64_t sum = 0;
	for (uint64_t m = p->safety; m; m &= m - 1) {
		const struct bn_vm *v = &p->vms[bn_lowest(m)];
		uint64_t times = bn_less(ns, p->now_ns) / v->par.period_ns + 1;
		sum += times * (v->par.budget_ns + v->par.batches * p->machine.batch_overhead_ns);
	}
	return sum;
}

/* What has to be done by `due_ns`, if those that have reserved it get it and go on asking, and behind
 * what else that is at the GPU. */
static uint64_t demand(const struct bn_policy *p, uint64_t due_ns)
{
	uint64_t sum = 0;
	for (uint64_t m = p->best; m; m &= m - 1) {
		const struct bn_vm *v = &p->vms[bn_lowest(m)];
		if (!v->reserved || v->left_ns <= 0 || bn_server_due(v) > due_ns) {
			sum += bn_less(v->allow_ns, v->used_ns);
			continue;
		}
		uint64_t left = (uint64_t)v->left_ns;
		sum += left + (left / v->par.batch_max_ns + 1) * p->machine.dispatch_ns;
	}
	return sum;
}

/* Each time that a VM asks again, the others at the GPU are in front of it. One that would not get what
 * it has reserved until its deadline that way is left alone with its likes. */
static bool harms_reservation(
	const struct bn_policy *p, const struct choice *c, struct bn_policy_decision *out)
{
	uint64_t cost = p->vms[c->vm].par.batch_max_ns;
	for (uint64_t m = p->best; m; m &= m - 1) {
		const struct bn_vm *v = &p->vms[bn_lowest(m)];
		uint64_t due = bn_server_due(v);
		if (!v->reserved || v->left_ns <= 0 || p->now_ns >= v->stale_ns ||
			(c->reserved && (p->overbooked || c->key <= due)))
			continue;
		if (p->now_ns + cost + demand(p, due) + safety_until(p, due) <= due)
			continue;
		bn_wake_at(out, bn_least(due, v->stale_ns));
		return true;
	}
	return false;
}

/* The VM has run ahead of those that it shares slack with, by a batch, or by more from one that is busy with
 * its budget. */
static bool runs_away(const struct bn_policy *p, const struct choice *c, const struct pace *pace,
	struct bn_policy_decision *out)
{
	const struct bn_vm *v = &p->vms[c->vm];
	uint64_t batch = vrt_of(v, v->par.batch_max_ns);
	if (bn_less(v->vrt, pace->slack) <= batch &&
		bn_less(v->vrt, pace->reserved) <= BN_POLICY_LEAD * batch)
		return false;
	bn_wake_at(out, pace->stale_ns);
	return true;
}

/* The same among those that have reserved more than there is. */
static bool overdraws(const struct bn_policy *p, const struct choice *c, const struct pace *pace,
	struct bn_policy_decision *out)
{
	const struct bn_vm *v = &p->vms[c->vm];
	if (!p->overbooked || !c->reserved ||
		bn_less(v->booked_vrt, pace->booked) <= bn_server_booked(v, v->par.batch_max_ns))
		return false;
	bn_wake_at(out, pace->stale_ns);
	return true;
}

/* True when it may not go beside those at the GPU. */
static bool stays_behind(const struct bn_policy *p, const struct choice *c, const struct pace *pace,
	struct bn_policy_decision *out)
{
	const struct bn_vm *v = &p->vms[c->vm];
	if (!p->best || c->rank == RANK_STARVED)
		return false;
	if (!harms_reservation(p, c, out) && !overdraws(p, c, pace, out) &&
		(c->rank != RANK_SLACK || !runs_away(p, c, pace, out)))
		return false;
	if (c->rank != RANK_OVERDRAWN)
		bn_wake_at(out, v->ask_ns + BN_POLICY_STARVED_NS + 1);
	if (c->rank == RANK_SLACK && p->servers & BN_BIT(c->vm))
		bn_wake_at(out, bn_server_due(v));
	return true;
}

static void give_best(struct bn_policy *p, const struct choice *c, uint64_t outstanding_ns,
	struct bn_policy_decision *out)
{
	struct bn_vm *v = &p->vms[c->vm];
	uint64_t until = c->guard.latest_ns;
	if (until != UINT64_MAX)
		until = bn_less(until, p->machine.dispatch_ns + outstanding_ns);
	if (bn_next_alone(p, c->vm) && p->now_ns + v->predicted_ns <= until) {
		bn_next_give(p, c->vm, BN_GRANT_LEASE, UINT64_MAX, until, out);
		return;
	}
	/* Small batches share a grant; of what cannot be cut there is one in it, which must not
	 * be refused by `until` either. */
	uint64_t most = v->par.batch_max_ns;
	if (c->reserved && v->cost_ns <= (uint64_t)v->left_ns)
		most = bn_least(most, (uint64_t)v->left_ns);
	uint64_t allow = most * BN_TRUST_ONE / v->trust.scale;
	uint64_t head = bn_least(v->predicted_ns, v->par.batch_max_ns);
	if (v->predicted_ns > v->par.batch_max_ns)
		until = UINT64_MAX;
	bn_next_give(p, c->vm, BN_GRANT_BATCH, allow > head ? allow : head, until, out);
	v->allow_ns = most;
	v->stale_ns =
		p->now_ns + BN_POLICY_STALE * (outstanding_ns + most + p->machine.dispatch_ns);
	v->reserved = c->reserved;
	if (c->reserved && v->booked_vrt > p->booked_floor)
		p->booked_floor = v->booked_vrt;
	if (!c->reserved)
		bn_server_advance(v, v->cost_ns);
}

/* True when the batch may start, as far as the next safety frame is concerned. */
static bool guard_agrees(struct bn_policy *p, const struct choice *c, uint64_t outstanding_ns,
	struct bn_policy_decision *out)
{
	struct bn_vm *v = &p->vms[c->vm];
	if (c->guard.latest_ns == UINT64_MAX ||
		p->now_ns + outstanding_ns + v->cost_ns + p->machine.dispatch_ns <=
			c->guard.latest_ns)
		return true;
	bn_wake_at(out, c->guard.opens_ns);
	if (!v->guard_waited)
		v->stats.guard_waits++;
	v->guard_waited = true;
	return false;
}

/* The virtual runtime of whoever is furthest behind only rises. */
static void raise_floor(struct bn_policy *p, uint64_t ready, uint64_t pace_vrt)
{
	uint64_t least = pace_vrt;
	for (uint64_t m = ready & ~p->safety; m; m &= m - 1)
		least = bn_least(least, p->vms[bn_lowest(m)].vrt);
	if (least != UINT64_MAX && least > p->vrt_floor)
		p->vrt_floor = least;
}

/* Safety VMs without budget come first again when they get one: at once, if the GPU is free for them
 * then. */
static void wake_overdrawn(
	const struct bn_policy *p, uint64_t ready, struct bn_policy_decision *out)
{
	if (p->best && !p->machine.preemptive)
		return;
	for (uint64_t m = ready & p->safety; m; m &= m - 1)
		bn_wake_at(out, bn_server_due(&p->vms[bn_lowest(m)]));
}

void bn_next_best(struct bn_policy *p, uint64_t ready, struct bn_policy_decision *out)
{
	if (!ready)
		return;
	wake_overdrawn(p, ready, out);
	/* Whoever has a lease, even one that is being taken back, may use all places. */
	if (p->leases || (unsigned)__builtin_popcountll(p->best) >= p->machine.in_flight)
		return;
	uint64_t outstanding = bn_guard_outstanding(p);
	struct pace pace = look_at_pace(p);
	struct bn_guard general;
	bn_guard_look(p, BN_POLICY_COMPOSITOR, &general);
	struct choice best = {.vm = BN_POLICY_VMS_MAX};
	for (uint64_t m = ready; m; m &= m - 1) {
		struct choice c;
		unsigned vm = bn_lowest(m);
		rank(p, vm, &c);
		if (stays_behind(p, &c, &pace, out))
			continue;
		c.guard = general;
		if (c.rank == RANK_OVERDRAWN)
			bn_guard_look(p, vm, &c.guard);
		if (guard_agrees(p, &c, outstanding, out) &&
			(best.vm == BN_POLICY_VMS_MAX || goes_before(p, &c, &best)))
			best = c;
	}
	if (best.vm == BN_POLICY_VMS_MAX)
		return;
	raise_floor(p, ready, bn_least(pace.slack, pace.reserved));
	give_best(p, &best, outstanding, out);
}
