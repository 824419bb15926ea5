/* The service's policy library as one of the policies compared, and what it offers as FIFO and as
 * static priority. */
#include <stddef.h>

#include "rivals.h"

static void *library_create(
	const struct psim_policy *policy, const struct bn_policy_machine *machine)
{
	struct bn_policy *p;

	if (bn_policy_create(&p, (enum bn_policy_kind)policy->kind, machine) < 0)
		return NULL;
	return p;
}

static void library_destroy(void *p)
{
	bn_policy_destroy(p);
}

static void library_vm_set(void *p, unsigned vm, const struct bn_policy_vm *params, uint64_t now)
{
	bn_policy_vm_set(p, vm, params, now);
}

static void library_request(void *p, unsigned vm, uint64_t predicted, uint64_t now)
{
	bn_policy_request(p, vm, predicted, now);
}

static void library_withdraw(void *p, unsigned vm, uint64_t now)
{
	bn_policy_withdraw(p, vm, now);
}

static void library_release(void *p, unsigned vm, uint64_t release, uint64_t now)
{
	bn_policy_release(p, vm, release, now);
}

static void library_frame_end(void *p, unsigned vm, uint64_t now)
{
	bn_policy_frame_end(p, vm, now);
}

static void library_charge(void *p, unsigned vm, uint64_t actual, uint64_t predicted, uint64_t now)
{
	bn_policy_charge(p, vm, actual, predicted, now);
}

static void library_give_back(void *p, unsigned vm, uint64_t now)
{
	bn_policy_return(p, vm, now);
}

static void library_hold(void *p, unsigned vm, bool hold, uint64_t now)
{
	bn_policy_hold(p, vm, hold, now);
}

static void library_next(void *p, uint64_t now, struct bn_policy_decision *out)
{
	bn_policy_next(p, now, out);
}

static void library_stats(void *p, unsigned vm, struct bn_policy_stats *out)
{
	bn_policy_stats(p, vm, out);
}

#define LIBRARY(id, NAME, WHAT, KIND, CUTS, HOLD) \
	static const struct psim_policy id = {    \
		.name = NAME,                     \
		.what = WHAT,                     \
		.create = library_create,         \
		.destroy = library_destroy,       \
		.vm_set = library_vm_set,         \
		.request = library_request,       \
		.withdraw = library_withdraw,     \
		.release = library_release,       \
		.frame_end = library_frame_end,   \
		.charge = library_charge,         \
		.give_back = library_give_back,   \
		.hold = HOLD,                     \
		.next = library_next,             \
		.stats = library_stats,           \
		.cuts = CUTS,                     \
		.kind = KIND,                     \
	}

LIBRARY(binnacle, "binnacle", "reservation, laxity guard, whole frames, cut batches",
	BN_POLICY_RESERVE, true, library_hold);
LIBRARY(fifo, "fifo", "one batch at a time, in the order of asking", BN_POLICY_FIFO, false, NULL);
LIBRARY(priority, "priority", "one batch at a time, by class", BN_POLICY_PRIORITY, false, NULL);

const struct psim_policy *const psim_policies[] = {
	&binnacle,
	&fifo,
	&priority,
	&rival_round_robin,
	&rival_fair,
	&rival_timegraph,
	&rival_queue_ahead,
	&rival_edf_cbs,
	NULL,
};
