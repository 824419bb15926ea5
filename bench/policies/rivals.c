/* What the rivals have in common is who asks and who holds; the rest is one function each:
 *
 *	round-robin  a Mali arbiter's: the GPU is one VM's for 7 ms, then it must yield; whoever
 *	             has nothing to do is passed over
 *	fair         virtual runtime by weight; who wakes up does not get the past
 *	timegraph    fixed priority; a reservation is enforced after the fact: who has used it up
 *	             waits for the next period, and starts that with what it took too much
 *	queue-ahead  XSched's first level: strict priority, but up to 8 commands of each queue are
 *	             at the GPU already
 *	edf-cbs      constant-bandwidth servers by earliest deadline, others behind them
 *
 * All but queue-ahead have one batch at the GPU at a time. */
#include "rivals.h"

#include <stdlib.h>

#include "protocol/grant.h"

#define SLICE (7 * MS)
#define QUEUE_AHEAD 8u

struct member {
	struct bn_policy_vm params;
	bool present, waiting, running, revoked;
	uint64_t predicted, order; /* order: of asking */
	double runtime;            /* fair: weighted */
	int64_t budget;            /* reservations: what is left of it */
	uint64_t deadline;         /* … and until when it lasts */
};

struct rival {
	enum rival_kind kind;
	struct member vm[PSIM_VMS];
	unsigned running;
	uint64_t orders;
	double runtime; /* fair: of who ran last */
	unsigned owner; /* round-robin */
	uint64_t slice_end;
};

static void *rival_create(const struct psim_policy *policy, const struct bn_policy_machine *machine)
{
	struct rival *r = calloc(1, sizeof(*r));

	if (r)
		r->kind = (enum rival_kind)policy->kind;
	return r;
}

static void rival_vm_set(void *p, unsigned vm, const struct bn_policy_vm *params, uint64_t now)
{
	struct member *m = &((struct rival *)p)->vm[vm];

	m->params = *params;
	m->present = true;
	m->budget = (int64_t)params->budget_ns;
	m->deadline = now + params->period_ns;
}

/* CBS: who wakes up with more left than its bandwidth covers until the deadline gets a new one. */
static void cbs_wake(struct member *m, uint64_t now)
{
	const struct bn_policy_vm *p = &m->params;

	if (p->budget_ns > 0 && (now >= m->deadline || (double)m->budget * (double)p->period_ns >
							       (double)(m->deadline - now) *
								       (double)p->budget_ns)) {
		m->deadline = now + p->period_ns;
		m->budget = (int64_t)p->budget_ns;
	}
}

static void rival_request(void *p, unsigned vm, uint64_t predicted, uint64_t now)
{
	struct rival *r = p;
	struct member *m = &r->vm[vm];

	if (!m->waiting)
		m->order = r->orders++;
	m->waiting = true;
	m->predicted = predicted;
	if (r->kind == RIVAL_FAIR && m->runtime < r->runtime)
		m->runtime = r->runtime;
	if (r->kind == RIVAL_EDF_CBS)
		cbs_wake(m, now);
}

static void rival_withdraw(void *p, unsigned vm, uint64_t now)
{
	((struct rival *)p)->vm[vm].waiting = false;
}

static void rival_release(void *p, unsigned vm, uint64_t release, uint64_t now)
{
}

static void rival_frame_end(void *p, unsigned vm, uint64_t now)
{
}

static void rival_charge(void *p, unsigned vm, uint64_t actual, uint64_t predicted, uint64_t now)
{
	struct rival *r = p;
	struct member *m = &r->vm[vm];

	m->runtime += (double)actual / (m->params.share ? m->params.share : 1);
	m->budget -= (int64_t)actual;
	while (r->kind == RIVAL_EDF_CBS && m->params.budget_ns > 0 && m->budget <= 0) {
		m->budget += (int64_t)m->params.budget_ns;
		m->deadline += m->params.period_ns;
	}
}

static void rival_give_back(void *p, unsigned vm, uint64_t now)
{
	struct rival *r = p;

	r->vm[vm].running = r->vm[vm].revoked = false;
	r->running--;
}

static void wait_until(struct bn_policy_decision *out, uint64_t wake)
{
	*out = (struct bn_policy_decision){.what = BN_DECIDE_WAIT, .wake_ns = wake};
}

static void grant(struct rival *r, struct bn_policy_decision *out, unsigned vm, uint64_t allow,
	uint64_t until)
{
	struct member *m = &r->vm[vm];

	m->waiting = false;
	m->running = true;
	r->running++;
	*out = (struct bn_policy_decision){.what = BN_DECIDE_GRANT,
		.vm = vm,
		.kind = BN_GRANT_BATCH,
		.allow_ns = allow,
		.until_ns = until,
		.wake_ns = UINT64_MAX};
}

static void revoke(struct rival *r, struct bn_policy_decision *out, unsigned vm)
{
	r->vm[vm].revoked = true;
	*out = (struct bn_policy_decision){
		.what = BN_DECIDE_REVOKE, .vm = vm, .wake_ns = UINT64_MAX};
}

/* The waiting VM that comes before all others; PSIM_VMS: none. */
static unsigned first_of(struct rival *r, bool (*may)(const struct member *),
	bool (*before)(const struct member *a, const struct member *b))
{
	unsigned best = PSIM_VMS;

	for (unsigned i = 0; i < PSIM_VMS; i++) {
		struct member *m = &r->vm[i];

		if (!m->waiting || (may && !may(m)))
			continue;
		if (best == PSIM_VMS || before(m, &r->vm[best]))
			best = i;
	}
	return best;
}

static void grant_first(struct rival *r, struct bn_policy_decision *out, unsigned vm)
{
	if (vm == PSIM_VMS)
		wait_until(out, UINT64_MAX);
	else
		grant(r, out, vm, 0, UINT64_MAX);
}

/* ---- round-robin ---- */

static void round_robin_next(void *p, uint64_t now, struct bn_policy_decision *out)
{
	struct rival *r = p;

	if (r->running) {
		struct member *m = &r->vm[r->owner];

		if (now < r->slice_end || m->revoked)
			wait_until(out, m->revoked ? UINT64_MAX : r->slice_end);
		else
			revoke(r, out, r->owner);
		return;
	}
	for (unsigned i = 1; i <= PSIM_VMS; i++) {
		unsigned vm = (r->owner + i) % PSIM_VMS;

		if (!r->vm[vm].waiting)
			continue;
		r->owner = vm;
		r->slice_end = now + SLICE;
		grant(r, out, vm, UINT64_MAX, UINT64_MAX);
		return;
	}
	wait_until(out, UINT64_MAX);
}

/* ---- fair ---- */

static bool less_runtime(const struct member *a, const struct member *b)
{
	return a->runtime < b->runtime;
}

static void fair_next(void *p, uint64_t now, struct bn_policy_decision *out)
{
	struct rival *r = p;
	unsigned vm = r->running ? PSIM_VMS : first_of(r, NULL, less_runtime);

	if (vm != PSIM_VMS)
		r->runtime = r->vm[vm].runtime;
	grant_first(r, out, vm);
}

/* ---- timegraph ---- */

static bool has_budget(const struct member *m)
{
	return m->params.budget_ns > 0 && m->budget > 0;
}

static bool has_no_reservation(const struct member *m)
{
	return m->params.budget_ns == 0;
}

static bool higher_class(const struct member *a, const struct member *b)
{
	if (a->params.vm_class != b->params.vm_class)
		return a->params.vm_class > b->params.vm_class;
	return a->order < b->order;
}

/* Returns when the next reservation is renewed. */
static uint64_t timegraph_renew(struct rival *r, uint64_t now)
{
	uint64_t wake = UINT64_MAX;

	for (unsigned i = 0; i < PSIM_VMS; i++) {
		struct member *m = &r->vm[i];
		int64_t full = (int64_t)m->params.budget_ns;

		if (!m->present || full == 0)
			continue;
		while (m->deadline <= now) {
			m->deadline += m->params.period_ns;
			m->budget = m->budget + full < full ? m->budget + full : full;
		}
		if (m->waiting && m->deadline < wake)
			wake = m->deadline;
	}
	return wake;
}

static void timegraph_next(void *p, uint64_t now, struct bn_policy_decision *out)
{
	struct rival *r = p;
	uint64_t wake = timegraph_renew(r, now);
	unsigned vm = PSIM_VMS;

	if (!r->running) {
		vm = first_of(r, has_budget, higher_class);
		if (vm == PSIM_VMS)
			vm = first_of(r, has_no_reservation, higher_class);
	}
	if (vm == PSIM_VMS)
		wait_until(out, r->running ? UINT64_MAX : wake);
	else
		grant(r, out, vm, 0, UINT64_MAX);
}

/* ---- queue-ahead ---- */

static void queue_ahead_next(void *p, uint64_t now, struct bn_policy_decision *out)
{
	struct rival *r = p;
	int top = -1;

	for (unsigned i = 0; i < PSIM_VMS; i++) {
		const struct member *m = &r->vm[i];

		if ((m->waiting || m->running) && (int)m->params.vm_class > top)
			top = (int)m->params.vm_class;
	}
	for (unsigned i = 0; i < PSIM_VMS; i++) {
		const struct member *m = &r->vm[i];

		if ((int)m->params.vm_class < top && m->running && !m->revoked) {
			revoke(r, out, i);
			return;
		}
		if ((int)m->params.vm_class == top && m->waiting && !m->running) {
			grant(r, out, i, UINT64_MAX, UINT64_MAX);
			return;
		}
	}
	wait_until(out, UINT64_MAX);
}

/* ---- edf-cbs ---- */

static bool has_server(const struct member *m)
{
	return m->params.budget_ns > 0;
}

static bool earlier_deadline(const struct member *a, const struct member *b)
{
	return a->deadline != b->deadline ? a->deadline < b->deadline : a->order < b->order;
}

static void edf_cbs_next(void *p, uint64_t now, struct bn_policy_decision *out)
{
	struct rival *r = p;
	unsigned vm = PSIM_VMS;

	if (!r->running) {
		vm = first_of(r, has_server, earlier_deadline);
		if (vm == PSIM_VMS)
			vm = first_of(r, NULL, less_runtime);
	}
	grant_first(r, out, vm);
}

#define RIVAL(id, NAME, WHAT, KIND, AHEAD)      \
	const struct psim_policy rival_##id = { \
		.name = NAME,                   \
		.what = WHAT,                   \
		.create = rival_create,         \
		.destroy = free,                \
		.vm_set = rival_vm_set,         \
		.request = rival_request,       \
		.withdraw = rival_withdraw,     \
		.release = rival_release,       \
		.frame_end = rival_frame_end,   \
		.charge = rival_charge,         \
		.give_back = rival_give_back,   \
		.next = id##_next,              \
		.ahead = AHEAD,                 \
		.kind = KIND,                   \
	}

RIVAL(round_robin, "round-robin", "7 ms a VM, then it must yield (Mali arbiter)", RIVAL_ROUND_ROBIN,
	1);
RIVAL(fair, "fair", "fair virtual runtime by weight", RIVAL_FAIR, 1);
RIVAL(timegraph, "timegraph", "fixed priority, reservations enforced afterwards (TimeGraph)",
	RIVAL_TIMEGRAPH, 1);
RIVAL(queue_ahead, "queue-ahead-8", "priority, 8 commands of each queue ahead (XSched level 1)",
	RIVAL_QUEUE_AHEAD, QUEUE_AHEAD);
RIVAL(edf_cbs, "edf-cbs", "earliest deadline first, constant-bandwidth servers", RIVAL_EDF_CBS, 1);
