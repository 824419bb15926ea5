/* The decision. In BN_POLICY_RESERVE it goes through these steps and stops at the first that has
 * something to say:
 *
 *	compositor   its batch goes to the GPU at once, whatever is there; until it is done,
 *	             nothing more is granted
 *	revocation   of leases when somebody else asks, of frame grants that are not used or
 *	             last too long, of batches not yet started when a frame waits; of leases and
 *	             batches when the compositor works. A frame that has begun goes on
 *	safety       a VM with budget left; waits for best-effort grants at the GPU, and while
 *	             it waits, or its frame is open, nobody below comes in
 *	best effort  a free place among the k: reservations that the batch fits into, by
 *	             deadline (when more is reserved than there is: the same part of each); then
 *	             by virtual runtime; then safety VMs without budget. Each only if the laxity
 *	             guard agrees. */
#include <string.h>

#include "policy_priv.h"

void bn_next_give(struct bn_policy *p, unsigned vm, uint32_t kind, uint64_t allow_ns,
	uint64_t until_ns, struct bn_policy_decision *out)
{
	struct bn_vm *v = &p->vms[vm];
	v->grant = kind;
	v->grant_ns = v->keep_from_ns = p->now_ns;
	v->until_ns = until_ns;
	v->allow_ns = v->par.batch_max_ns;
	v->used_ns = v->advance = 0;
	v->dry = false;
	v->reserved = kind == BN_GRANT_FRAME;
	v->recalled = false;
	v->open |= (p->safety & BN_BIT(vm)) != 0;
	p->granted |= BN_BIT(vm);
	p->waiting &= ~BN_BIT(vm);
	if (kind != BN_GRANT_BATCH)
		p->revocable |= BN_BIT(vm);
	if (kind != BN_GRANT_FRAME && vm != BN_POLICY_COMPOSITOR)
		p->best |= BN_BIT(vm);
	if (kind == BN_GRANT_LEASE)
		p->leases |= BN_BIT(vm);
	if (kind == BN_GRANT_FRAME)
		p->frames |= BN_BIT(vm);
	v->stats.grants++;
	v->stats.leases += kind == BN_GRANT_LEASE;
	out->what = BN_DECIDE_GRANT;
	out->vm = vm;
	out->kind = kind;
	out->allow_ns = allow_ns > 0 ? allow_ns : 1;
	out->until_ns = until_ns;
}

static void revoke(struct bn_policy *p, unsigned vm, struct bn_policy_decision *out)
{
	p->revocable &= ~BN_BIT(vm);
	p->vms[vm].recalled = true;
	p->vms[vm].stats.revokes++;
	out->what = BN_DECIDE_REVOKE;
	out->vm = vm;
}

/* ---- the plain kinds ---- */

static void next_none(struct bn_policy *p, struct bn_policy_decision *out)
{
	uint64_t ready = p->waiting & ~p->granted & ~p->held;
	if (p->revocable & p->held)
		revoke(p, bn_lowest(p->revocable & p->held), out);
	else if (ready)
		bn_next_give(p, bn_lowest(ready), BN_GRANT_LEASE, UINT64_MAX, UINT64_MAX, out);
}

static void next_one(struct bn_policy *p, struct bn_policy_decision *out)
{
	uint64_t ready = p->waiting & ~p->held;
	if (p->granted || !ready)
		return;
	unsigned best = bn_lowest(ready), best_class = 0;
	for (uint64_t m = ready; m; m &= m - 1) {
		unsigned vm = bn_lowest(m), class = 0;
		if (p->kind == BN_POLICY_PRIORITY)
			class = vm == BN_POLICY_COMPOSITOR ? BN_CLASS_SAFETY + 1
							   : p->vms[vm].par.vm_class;
		if (vm != best &&
			(class < best_class ||
				(class == best_class && p->vms[vm].seq > p->vms[best].seq)))
			continue;
		best = vm;
		best_class = class;
	}
	bn_next_give(p, best, BN_GRANT_BATCH, p->vms[best].predicted_ns, UINT64_MAX, out);
}

/* ---- revocation ---- */

static bool lease_is_over(
	const struct bn_policy *p, unsigned vm, uint64_t others, struct bn_policy_decision *out)
{
	const struct bn_vm *v = &p->vms[vm];
	if (others)
		return true;
	/* It asks although it has a lease: its next batch would end too late. */
	if (!(p->waiting & BN_BIT(vm)) || v->until_ns == UINT64_MAX)
		return false;
	uint64_t head = v->predicted_ns > v->cost_ns ? v->predicted_ns : v->cost_ns;
	uint64_t end = bn_less(v->until_ns, head);
	if (p->now_ns > end)
		return true;
	bn_wake_at(out, end + 1);
	return false;
}

static bool frame_is_over(
	const struct bn_policy *p, unsigned vm, uint64_t others, struct bn_policy_decision *out)
{
	const struct bn_vm *v = &p->vms[vm];
	if (!others)
		return false;
	/* Longer than a frame may take, or a period: it does not work, or not with its budget. */
	uint64_t end = bn_least(v->grant_ns + v->par.period_ns, bn_server_keep_end(p, v));
	if (v->dry)
		end = bn_least(end, v->dry_ns + v->par.gap_ns);
	if (v->left_ns <= 0 || p->now_ns >= end)
		return true;
	bn_wake_at(out, end);
	return false;
}

/* An open frame goes first, then the earliest end of a period; BN_POLICY_VMS_MAX: none. */
static unsigned most_urgent(const struct bn_policy *p, uint64_t ready)
{
	unsigned best = BN_POLICY_VMS_MAX;
	for (uint64_t m = ready & p->safety; m; m &= m - 1) {
		unsigned vm = bn_lowest(m);
		const struct bn_vm *v = &p->vms[vm];
		if (bn_server_spent(p, v))
			continue;
		const struct bn_vm *b = &p->vms[best == BN_POLICY_VMS_MAX ? vm : best];
		if (best == BN_POLICY_VMS_MAX || v->open > b->open ||
			(v->open == b->open && bn_server_due(v) < bn_server_due(b)))
			best = vm;
	}
	return best;
}

static bool composes(const struct bn_policy *p)
{
	return (p->granted & BN_COMPOSITOR_BIT) != 0;
}

/* Batches are short only as far as their predictions are true, and a grant may allow several. So no
 * more of them are started when a frame waits, or a picture is composed. */
static bool recall_batches(struct bn_policy *p, struct bn_policy_decision *out)
{
	if (p->machine.preemptive || !p->best)
		return false;
	uint64_t ready = p->waiting & ~p->granted & ~p->held;
	if (!composes(p) && most_urgent(p, ready) == BN_POLICY_VMS_MAX)
		return false;
	for (uint64_t m = p->best & ~p->leases; m; m &= m - 1) {
		if (p->vms[bn_lowest(m)].recalled)
			continue;
		revoke(p, bn_lowest(m), out);
		return true;
	}
	return false;
}

static bool next_revoke(struct bn_policy *p, struct bn_policy_decision *out)
{
	uint64_t asking = p->waiting & ~p->held & ~BN_COMPOSITOR_BIT;
	for (uint64_t m = p->revocable; m; m &= m - 1) {
		unsigned vm = bn_lowest(m);
		uint64_t others = asking & ~BN_BIT(vm);
		bool over = p->held & BN_BIT(vm);
		if (!over && p->vms[vm].grant == BN_GRANT_LEASE)
			over = composes(p) || lease_is_over(p, vm, others, out);
		else if (!over)
			over = frame_is_over(p, vm, others, out);
		if (over) {
			revoke(p, vm, out);
			return true;
		}
	}
	return recall_batches(p, out);
}

/* ---- safety ---- */

/* The safety VMs for whose frame the GPU is kept although nothing of it waits for a grant. */
static uint64_t keeping(const struct bn_policy *p, uint64_t *until_ns)
{
	uint64_t mask = p->frames;
	for (uint64_t m = p->safety & ~p->held & ~p->granted & ~p->waiting; m; m &= m - 1) {
		unsigned vm = bn_lowest(m);
		const struct bn_vm *v = &p->vms[vm];
		uint64_t end = v->dry_ns + v->par.gap_ns;
		if (!v->open || !v->dry || bn_server_spent(p, v) || p->now_ns >= end)
			continue;
		mask |= BN_BIT(vm);
		*until_ns = bn_least(*until_ns, end);
	}
	return mask;
}

/* Nobody else has or wants the GPU, nor did a moment ago. */
bool bn_next_alone(const struct bn_policy *p, unsigned vm)
{
	uint64_t busy = ((p->waiting & ~p->held) | p->granted) & ~BN_COMPOSITOR_BIT;
	return busy == BN_BIT(vm) &&
	       (!p->contended || p->now_ns - p->contended_ns >= BN_POLICY_QUIET_NS);
}

static void give_safety(struct bn_policy *p, unsigned vm, struct bn_policy_decision *out)
{
	struct bn_guard guard;
	bn_guard_look(p, vm, &guard);
	if (guard.latest_ns == UINT64_MAX && bn_next_alone(p, vm))
		bn_next_give(p, vm, BN_GRANT_LEASE, UINT64_MAX, UINT64_MAX, out);
	else
		bn_next_give(p, vm, BN_GRANT_FRAME, (uint64_t)p->vms[vm].left_ns, UINT64_MAX, out);
}

/* True: best-effort VMs stay outside. */
static bool next_safety(struct bn_policy *p, uint64_t ready, struct bn_policy_decision *out)
{
	uint64_t until_ns = UINT64_MAX;
	uint64_t kept = keeping(p, &until_ns);
	unsigned vm = most_urgent(p, ready);
	if (vm < BN_POLICY_VMS_MAX && !kept && (!p->best || p->machine.preemptive)) {
		give_safety(p, vm, out);
		return true;
	}
	if (kept && ready)
		bn_wake_at(out, until_ns);
	return kept || vm < BN_POLICY_VMS_MAX;
}

static void next_reserve(struct bn_policy *p, struct bn_policy_decision *out)
{
	uint64_t free = p->waiting & ~p->granted & ~p->held;
	if (free & BN_COMPOSITOR_BIT) {
		bn_next_give(p, BN_POLICY_COMPOSITOR, BN_GRANT_BATCH,
			p->vms[BN_POLICY_COMPOSITOR].predicted_ns, UINT64_MAX, out);
		p->vms[BN_POLICY_COMPOSITOR].allow_ns = p->vms[BN_POLICY_COMPOSITOR].cost_ns;
		return;
	}
	uint64_t busy = ((p->waiting & ~p->held) | p->granted) & ~BN_COMPOSITOR_BIT;
	if (busy & (busy - 1)) {
		p->contended = true;
		p->contended_ns = p->now_ns;
	}
	bn_server_refill(p, p->safety | p->servers);
	if (next_revoke(p, out) || composes(p))
		return;
	if (!next_safety(p, free, out))
		bn_next_best(p, free, out);
}

void bn_policy_next(struct bn_policy *p, uint64_t now_ns, struct bn_policy_decision *out)
{
	if (now_ns > p->now_ns)
		p->now_ns = now_ns;
	*out = (struct bn_policy_decision){.wake_ns = UINT64_MAX};
	if (p->kind == BN_POLICY_NONE)
		next_none(p, out);
	else if (p->kind == BN_POLICY_RESERVE)
		next_reserve(p, out);
	else
		next_one(p, out);
	if (out->what != BN_DECIDE_WAIT)
		out->wake_ns = UINT64_MAX;
}
