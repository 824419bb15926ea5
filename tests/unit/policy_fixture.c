#include "policy_fixture.h"

struct bn_policy *p;
struct bn_policy_decision d;
uint64_t now;

void start_on(enum bn_policy_kind kind, const struct bn_policy_machine *machine)
{
	bn_policy_destroy(p);
	now = 1000 * MS;
	CU_ASSERT_EQUAL_FATAL(bn_policy_create(&p, kind, machine), 0);
}

void start(enum bn_policy_kind kind, unsigned in_flight)
{
	start_on(kind, &(const struct bn_policy_machine){.in_flight = in_flight,
			       .dispatch_ns = 50 * US,
			       .batch_overhead_ns = 150 * US,
			       .lead_ns = 2 * MS});
}

void add_safety(unsigned vm)
{
	bn_policy_vm_set(p, vm,
		&(const struct bn_policy_vm){.vm_class = BN_CLASS_SAFETY,
			.period_ns = T60,
			.budget_ns = 5 * MS,
			.share = 100,
			.batch_max_ns = 2 * MS,
			.gap_ns = 500 * US,
			.batches = 4},
		now);
}

void add_server(unsigned vm, uint64_t budget_ns, uint64_t period_ns)
{
	bn_policy_vm_set(p, vm,
		&(const struct bn_policy_vm){.vm_class = BN_CLASS_INTERACTIVE,
			.period_ns = period_ns,
			.budget_ns = budget_ns,
			.share = 100,
			.batch_max_ns = 2 * MS},
		now);
}

void add_vm(unsigned vm, enum bn_vm_class class, uint32_t share)
{
	bn_policy_vm_set(p, vm,
		&(const struct bn_policy_vm){
			.vm_class = class, .share = share, .batch_max_ns = 2 * MS},
		now);
}

void add_plain(unsigned vm, uint32_t share)
{
	add_vm(vm, BN_CLASS_BACKGROUND, share);
}

void ask(unsigned vm, uint64_t predicted_ns)
{
	bn_policy_request(p, vm, predicted_ns, now);
}

bool next(enum bn_decision what, unsigned vm)
{
	bn_policy_next(p, now, &d);
	return d.what == what && (what == BN_DECIDE_WAIT || d.vm == vm);
}

bool granted(unsigned vm, uint32_t kind)
{
	return next(BN_DECIDE_GRANT, vm) && d.kind == kind;
}

bool some_grant(void)
{
	bn_policy_next(p, now, &d);
	return d.what == BN_DECIDE_GRANT;
}

bool waits(uint64_t wake_ns)
{
	return next(BN_DECIDE_WAIT, 0) && d.wake_ns == wake_ns;
}

void give_back(unsigned vm, uint64_t used_ns)
{
	bn_policy_charge(p, vm, used_ns, used_ns, now);
	bn_policy_return(p, vm, now);
}

struct bn_policy_stats stats(unsigned vm)
{
	struct bn_policy_stats s;
	bn_policy_stats(p, vm, &s);
	return s;
}

void contend(unsigned a, unsigned b)
{
	ask(a, MS);
	ask(b, MS);
	while (bn_policy_next(p, now, &d), d.what == BN_DECIDE_GRANT) {
		bn_policy_return(p, d.vm, now);
		if (d.kind == BN_GRANT_FRAME)
			bn_policy_frame_end(p, d.vm, now);
	}
}

void open_frame(void)
{
	start(BN_POLICY_RESERVE, 2);
	add_safety(CLUSTER);
	add_plain(MAPS, 1);
	ask(MAPS, MS);
	ask(CLUSTER, MS);
	CU_ASSERT(granted(CLUSTER, BN_GRANT_FRAME) && d.allow_ns == 5 * MS && d.until_ns == NEVER);
}
