/* Between the pages and the policy. */
#include "arbiter_priv.h"

/* The policy settles after a few decisions for each VM; a fault in it must not keep the thread. */
#define DECISIONS_MAX (8 * BN_POLICY_VMS_MAX)
#define OVERRUN_EVENT_NS BN_NS_PER_S
/* Used without a grant and owed, at most. */
#define CHARGE_MAX_NS BN_NS_PER_S

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t since(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

/* ---- charges ---- */

/* What the policy found while it took the charge. */
static void report_verdict(struct bn_arbiter *a, unsigned vm, uint64_t now)
{
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	struct bn_policy_stats s;
	bn_policy_stats(a->policy, vm, &s);
	if (s.demoted && !v->demoted_seen)
		bn_arbiter_emit(a, BN_ARBITER_DEMOTED, vm, now, 0, 0);
	v->demoted_seen = s.demoted;
	bool overrun = s.overruns > v->overruns_seen &&
		       v->params.policy.vm_class == BN_CLASS_SAFETY;
	v->overruns_seen = s.overruns;
	if (!overrun || (v->overrun_at_ns != 0 && now - v->overrun_at_ns < OVERRUN_EVENT_NS))
		return;
	v->overrun_at_ns = now;
	bn_arbiter_emit(a, BN_ARBITER_OVERRUN, vm, now, v->params.policy.budget_ns + s.debt_ns,
		v->params.policy.budget_ns);
	a->events[(a->event_next - 1) % BN_ARBITER_EVENTS].compiles =
		v->watch.compiled_ns != 0 &&
		since(now, v->watch.compiled_ns) < 2 * v->params.policy.period_ns;
}

/* Collects what the page says was used; the policy takes it while a grant is held. */
static void collect_charge(struct bn_arbiter_vm_state *v)
{
	uint64_t used = v->page.gpu_ns - v->gpu_seen_ns;
	uint64_t predicted = v->page.predicted_total_ns - v->predicted_seen_ns;
	v->gpu_seen_ns = v->page.gpu_ns;
	v->predicted_seen_ns = v->page.predicted_total_ns;
	v->charge_ns = least(v->charge_ns + used, CHARGE_MAX_NS);
	if (!v->holding || v->kind != BN_GRANT_BATCH) {
		v->charge_predicted_ns += used;
		return;
	}
	/* Not more than was predicted when the grant was asked for and given: what is said
	 * afterwards is easy to say. */
	predicted = least(predicted, v->predicted_left_ns);
	v->predicted_left_ns -= predicted;
	v->charge_predicted_ns += predicted;
}

static void charge(struct bn_arbiter *a, unsigned vm, uint64_t now)
{
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	if (!v->holding || v->charge_ns == 0)
		return;
	bn_policy_charge(a->policy, vm, v->charge_ns, v->charge_predicted_ns, now);
	v->charge_ns = v->charge_predicted_ns = 0;
	report_verdict(a, vm, now);
}

/* ---- the end of a grant ---- */

static void trace_grant(struct bn_arbiter *a, unsigned vm, uint64_t now)
{
	const struct bn_arbiter_vm_state *v = &a->vm[vm];
	uint64_t used = v->page.gpu_ns - least(v->gpu_at_grant_ns, v->page.gpu_ns);
	const struct bn_arbiter_note grant = {
		BN_TRACE_GRANT, vm, v->kind, v->granted_ns, now, used};
	bn_arbiter_note(a, &grant);
	if (used == 0 || v->kind != BN_GRANT_BATCH)
		return;
	uint64_t start = now - least(used, now - v->granted_ns);
	const struct bn_arbiter_note batch = {
		BN_TRACE_BATCH, vm, 0, start, now, v->page.batch_predicted_ns};
	bn_arbiter_note(a, &batch);
}

static void finish(struct bn_arbiter *a, unsigned vm, uint64_t now)
{
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	charge(a, vm, now);
	trace_grant(a, vm, now);
	v->holding = v->revoking = v->dry = false;
	v->charge_ns = v->charge_predicted_ns = 0;
	v->watch.started_max = bn_arbiter_page_started(v);
	/* The policy may have been told of a wish that only kept its frame open. */
	if (!v->asking)
		bn_policy_withdraw(a->policy, vm, now);
	bn_policy_return(a->policy, vm, now);
	bn_arbiter_publish_limits(a, vm, now);
}

void bn_arbiter_take(struct bn_arbiter *a, unsigned vm, uint64_t now)
{
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	if (!v->holding)
		return;
	BN_PAGE_PUT_SEQ(v, revoked, v->number);
	bn_arbiter_ring(a, vm);
	finish(a, vm, now);
}

/* ---- what the page says ---- */

/* A frame grant is used while there is work of the frame; a renderer says nothing of that, but we
 * see whether it is busy. */
static void look_at_frame(struct bn_arbiter *a, unsigned vm, uint64_t now)
{
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	bool dry = v->page.busy == 0;
	if (!v->holding || v->kind != BN_GRANT_FRAME || v->asking || dry == v->dry)
		return;
	v->dry = dry;
	if (dry)
		bn_policy_withdraw(a->policy, vm, now);
	else
		bn_policy_request(a->policy, vm, v->page.batch_predicted_ns, now);
}

static void look_at_wish(struct bn_arbiter *a, unsigned vm, uint64_t predicted_before, uint64_t now)
{
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	bool asks = v->page.want > v->number;
	if (asks && (!v->asking || v->page.predicted_ns != predicted_before))
		bn_policy_request(a->policy, vm, v->page.predicted_ns, now);
	else if (!asks && v->asking)
		bn_policy_withdraw(a->policy, vm, now);
	if (asks && !v->asking)
		v->ask_ns = now;
	v->asking = asks;
	if (asks && !v->ready) {
		v->ready = true;
		bn_arbiter_apply_cpu(a, vm, now);
	}
}

void bn_arbiter_look(struct bn_arbiter *a, unsigned vm, uint64_t now)
{
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	uint64_t frames = v->page.frames, predicted = v->page.predicted_ns;
	if (!bn_arbiter_page_read(v, now))
		return;
	bn_arbiter_watch_look(v, now);
	collect_charge(v);
	charge(a, vm, now);
	if (v->page.frames != frames)
		bn_policy_frame_end(a->policy, vm, now);
	bool asks = v->page.want > v->number;
	if (v->holding && v->page.returned >= v->number) {
		v->asking = v->asking && asks;
		finish(a, vm, now);
	}
	look_at_wish(a, vm, predicted, now);
	look_at_frame(a, vm, now);
}

/* ---- what is decided ---- */

/* Streams are cut, and little is queued ahead, while somebody else may come. */
void bn_arbiter_publish_limits(struct bn_arbiter *a, unsigned vm, uint64_t now)
{
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	const struct bn_policy_vm *p = &v->params.policy;
	bool reserve = a->config.policy == BN_POLICY_RESERVE;
	/* A batch that can be interrupted blocks no safety VM. */
	uint64_t others = a->active & ~BN_VM_BIT(vm);
	uint64_t kept = a->config.machine.preemptive ? others & ~a->safety : others;
	bool on = reserve && (kept || a->composing.recent);
	bool free = v->holding && !v->revoking && v->kind == BN_GRANT_FRAME;
	if (!v->attached)
		return;
	BN_PAGE_PUT(v, batch_max_ns, on && !free ? p->batch_max_ns : 0);
	BN_PAGE_PUT(v, ahead_max_ns, on ? p->ahead_max_ns : 0);
	bool watched = reserve ? others != 0
			       : a->config.policy != BN_POLICY_NONE &&
					 bn_arbiter_others_ask(a, vm);
	if (!watched)
		v->watch.limits_ns = 0;
	else if (v->watch.limits_ns == 0)
		v->watch.limits_ns = now;
}

static void give(struct bn_arbiter *a, const struct bn_policy_decision *d, uint64_t now)
{
	struct bn_arbiter_vm_state *v = &a->vm[d->vm];
	if (d->vm == BN_POLICY_COMPOSITOR) {
		bn_arbiter_compose_granted(a);
		return;
	}
	if (!v->attached) {
		bn_policy_withdraw(a->policy, d->vm, now);
		bn_policy_return(a->policy, d->vm, now);
		return;
	}
	v->holding = true;
	v->kind = d->kind;
	v->allow_ns = d->allow_ns;
	v->granted_ns = now;
	v->gpu_at_grant_ns = v->page.gpu_ns;
	v->dry = false;
	uint64_t most = d->allow_ns > v->page.predicted_ns ? d->allow_ns : v->page.predicted_ns;
	v->predicted_left_ns = most;
	v->held_since_meter = true;
	bn_arbiter_publish_limits(a, d->vm, now);
	BN_PAGE_PUT(v, kind, d->kind);
	BN_PAGE_PUT(v, allow_ns, d->allow_ns);
	BN_PAGE_PUT(v, until_ns, d->until_ns);
	BN_PAGE_PUT_SEQ(v, grant, ++v->number);
	bn_arbiter_ring(a, d->vm);
	if (!v->asking)
		return;
	v->asking = false;
	const struct bn_arbiter_note wait = {BN_TRACE_WAIT, d->vm, 0, v->ask_ns, now, 0};
	bn_arbiter_note(a, &wait);
}

/* Dekker's algorithm, see protocol/grant.h: `revoked` first, then `busy`. */
static void revoke(struct bn_arbiter *a, unsigned vm, uint64_t now)
{
	struct bn_arbiter_vm_state *v = &a->vm[vm];
	if (!v->holding)
		return;
	v->revoking = true;
	v->revoked_ns = now;
	bn_arbiter_publish_limits(a, vm, now);
	BN_PAGE_PUT_SEQ(v, revoked, v->number);
	bool busy = BN_PAGE_GET_SEQ(v, busy) != 0;
	/* Also says whether it is back already. */
	bn_arbiter_look(a, vm, now);
	if (!v->holding)
		return;
	if (busy)
		bn_arbiter_ring(a, vm);
	else
		finish(a, vm, now);
}

void bn_arbiter_decide(struct bn_arbiter *a, uint64_t now)
{
	struct bn_policy_decision d;
	for (unsigned i = 0; i < DECISIONS_MAX; i++) {
		bn_policy_next(a->policy, now, &d);
		if (d.what == BN_DECIDE_WAIT || d.vm >= BN_POLICY_VMS_MAX)
			break;
		if (d.what == BN_DECIDE_GRANT)
			give(a, &d, now);
		else
			revoke(a, d.vm, now);
	}
	a->policy_wake_ns = d.what == BN_DECIDE_WAIT ? d.wake_ns : now;
}
