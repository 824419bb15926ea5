#include "policy_priv.h"

/* After that many periods without a release the display is not waiting for the VM: it may begin a
 * frame at any time, and the bound alone counts. */
#define LIVE_PERIODS 2u

/* What has still to be done for its frame. */
static uint64_t needed(const struct bn_policy *p, const struct bn_vm *v)
{
	uint64_t used = v->open && !v->done ? v->frame_used_ns : 0;
	return bn_less(v->par.budget_ns, used) + v->par.batches * p->machine.batch_overhead_ns +
	       p->machine.compositor_ns + v->others_ns;
}

/* Until when others may be at the GPU if the frame that comes next is to be in time. A frame that
 * has not begun and cannot be in time any more is taken to be for the refresh after. */
static uint64_t latest(const struct bn_policy *p, const struct bn_vm *v)
{
	int64_t period = (int64_t)v->par.period_ns, now = (int64_t)p->now_ns;
	int64_t t = (int64_t)v->release_ns + period - (int64_t)p->machine.lead_ns -
		    (int64_t)needed(p, v);
	if (v->done)
		t += period;
	if (t < now)
		t += (now - t + period - 1) / period * period;
	return (uint64_t)t;
}

void bn_guard_look(const struct bn_policy *p, unsigned vm, struct bn_guard *guard)
{
	guard->latest_ns = guard->opens_ns = UINT64_MAX;
	if (p->machine.preemptive)
		return;
	for (uint64_t m = p->safety & ~p->held & ~BN_BIT(vm); m; m &= m - 1) {
		const struct bn_vm *v = &p->vms[bn_lowest(m)];
		uint64_t end = v->release_ns + LIVE_PERIODS * v->par.period_ns;
		if (!v->released || p->now_ns >= end)
			continue;
		uint64_t t = latest(p, v);
		if (t < guard->latest_ns) {
			guard->latest_ns = t;
			guard->opens_ns = bn_least(t + 1, end);
		}
	}
}

uint64_t bn_guard_outstanding(const struct bn_policy *p)
{
	uint64_t sum = 0;
	for (uint64_t m = p->best; m; m &= m - 1) {
		const struct bn_vm *v = &p->vms[bn_lowest(m)];
		sum += bn_less(v->allow_ns, v->used_ns);
	}
	return sum;
}

/* How often `other` can be in the way of a frame that has d_ns: between VMs whose frames wait, the earlier
 * deadline goes first, so each release within that time counts once, or the one before them if it is late.
 * A gap lets one more in, as long as there are more. */
static uint64_t times_within(const struct bn_policy_machine *machine,
	const struct bn_policy_vm *other, uint64_t d_ns, unsigned gaps)
{
	uint64_t other_d = bn_less(other->period_ns, machine->lead_ns);
	uint64_t without_gaps = d_ns / other->period_ns + 1;
	uint64_t at_most = (d_ns + other_d) / other->period_ns + 1;
	return bn_least(without_gaps + gaps, at_most);
}

/* Its budget, which the last batch may exceed; what each batch adds; gaps, in which it is kept for
 * a while; and the dispatch of each grant. */
uint64_t bn_guard_frame(const struct bn_policy_machine *machine, const struct bn_policy_vm *vm)
{
	return vm->budget_ns + vm->batch_max_ns +
	       vm->batches * (machine->batch_overhead_ns + vm->gap_ns) +
	       (vm->gaps + UINT64_C(1)) * machine->dispatch_ns;
}

uint64_t bn_guard_others(const struct bn_policy_machine *machine,
	const struct bn_policy_vm *const vms[BN_POLICY_VMS_MAX], unsigned vm)
{
	uint64_t d = bn_less(vms[vm]->period_ns, machine->lead_ns), sum = 0;
	for (unsigned i = 0; i < BN_POLICY_COMPOSITOR; i++) {
		const struct bn_policy_vm *o = vms[i];
		if (i == vm || !o || o->vm_class != BN_CLASS_SAFETY || o->period_ns == 0)
			continue;
		sum += times_within(machine, o, d, vms[vm]->gaps) * bn_guard_frame(machine, o);
	}
	return sum;
}
