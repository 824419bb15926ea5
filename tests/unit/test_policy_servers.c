/* Each rule of the policy for VMs that are not of class safety: servers, slack, liars; and holds and errors. */
#include "policy_fixture.h"

/* ---- servers ---- */

/* Two thirds to one third of what there is, whoever's period ends first. */
static void test_overbooked(void)
{
	for (unsigned early = 0; early < 2; early++) {
		start(BN_POLICY_RESERVE, 1);
		add_safety(CLUSTER);
		add_server(early ? REAR : COCKPIT, early ? 5 * MS : 10 * MS, T60);
		now += 5 * MS;
		add_server(early ? COCKPIT : REAR, early ? 10 * MS : 5 * MS, T60);
		contend(REAR, COCKPIT);
		unsigned count[2] = {0};
		ask(REAR, MS);
		ask(COCKPIT, MS);
		for (unsigned i = 0; i < 300; i++) {
			/* The cluster has the rest. */
			now += i % 10 ? 0 : 7 * MS;
			CU_ASSERT_FATAL(some_grant());
			unsigned vm = d.vm;
			count[vm == COCKPIT]++;
			now += MS;
			ask(vm, MS);
			give_back(vm, MS);
		}
		CU_ASSERT(count[0] >= 97 && count[0] <= 103);
		CU_ASSERT(count[1] >= 197 && count[1] <= 203);
	}
}

static void test_servers_edf(void)
{
	start(BN_POLICY_RESERVE, 1);
	add_server(COCKPIT, 4 * MS, 30 * MS);
	add_server(NAVI, 2 * MS, 10 * MS);
	add_vm(MAPS, BN_CLASS_INTERACTIVE, 1000);
	ask(MAPS, MS);
	ask(COCKPIT, MS);
	ask(NAVI, MS);
	/* By deadline, before anything without a reservation. */
	CU_ASSERT(granted(NAVI, BN_GRANT_BATCH) && d.allow_ns == 2 * MS);
	give_back(NAVI, 1500 * US);
	ask(NAVI, MS);
	/* A-priori: 1 ms does not fit into 0.5 ms, so it is slack's or the next period's. */
	CU_ASSERT(granted(COCKPIT, BN_GRANT_BATCH) && d.allow_ns == 2 * MS);
	give_back(COCKPIT, 2 * MS);
	ask(COCKPIT, 2 * MS);
	CU_ASSERT(granted(COCKPIT, BN_GRANT_BATCH));
	give_back(COCKPIT, 2 * MS);
	CU_ASSERT(granted(MAPS, BN_GRANT_BATCH));
	now += 10 * MS;
	ask(COCKPIT, MS);
	give_back(MAPS, MS);
	ask(MAPS, MS);
	/* Replenished at its period. */
	CU_ASSERT(granted(NAVI, BN_GRANT_BATCH));
	CU_ASSERT_EQUAL(stats(COCKPIT).reserved_ns, 4 * MS);
	CU_ASSERT_EQUAL(stats(NAVI).reserved_ns, 1500 * US);
}

static void test_allowance_of_the_rest(void)
{
	start(BN_POLICY_RESERVE, 1);
	add_server(NAVI, 2 * MS, 10 * MS);
	add_plain(MAPS, 1);
	contend(NAVI, MAPS);
	ask(NAVI, MS);
	CU_ASSERT(granted(NAVI, BN_GRANT_BATCH));
	give_back(NAVI, 1200 * US);
	ask(NAVI, 500 * US);
	ask(MAPS, MS);
	CU_ASSERT(granted(NAVI, BN_GRANT_BATCH) && d.allow_ns == 800 * US);
}

static void test_debt(void)
{
	start(BN_POLICY_RESERVE, 1);
	uint64_t start_ns = now;
	add_server(NAVI, 2 * MS, 10 * MS);
	add_vm(MAPS, BN_CLASS_INTERACTIVE, 1000);
	contend(NAVI, MAPS);
	ask(NAVI, MS);
	ask(MAPS, MS);
	CU_ASSERT(granted(NAVI, BN_GRANT_BATCH));
	now += 5 * MS;
	bn_policy_charge(p, NAVI, 5 * MS, 4 * MS, now);
	ask(NAVI, MS);
	bn_policy_return(p, NAVI, now);
	CU_ASSERT_EQUAL(stats(NAVI).debt_ns, 3 * MS);
	CU_ASSERT_EQUAL(stats(NAVI).overruns, 1);
	/* −3 → −1 → 1 ms: in slack in this period and the next, its own again in the third. */
	CU_ASSERT(granted(MAPS, BN_GRANT_BATCH));
	now = start_ns + 19 * MS;
	give_back(MAPS, MS);
	ask(MAPS, MS);
	CU_ASSERT_EQUAL(stats(NAVI).reserved_ns, 2 * MS);
	CU_ASSERT(granted(NAVI, BN_GRANT_BATCH) && d.allow_ns == 2 * MS);
	give_back(NAVI, MS);
	CU_ASSERT_EQUAL(stats(NAVI).debt_ns, MS);
	ask(MAPS, MS);
	ask(NAVI, MS);
	CU_ASSERT(granted(MAPS, BN_GRANT_BATCH));
	now = start_ns + 20 * MS;
	give_back(MAPS, MS);
	ask(MAPS, MS);
	CU_ASSERT(granted(NAVI, BN_GRANT_BATCH) && d.allow_ns == MS);
	/* However long it was, it is not for ever. */
	give_back(NAVI, 5000 * MS);
	CU_ASSERT_EQUAL(stats(NAVI).debt_ns, 16 * MS);
	CU_ASSERT(granted(MAPS, BN_GRANT_BATCH));
	now = start_ns + (20 + 90) * MS;
	give_back(MAPS, MS);
	ask(MAPS, MS);
	ask(NAVI, MS);
	CU_ASSERT(granted(NAVI, BN_GRANT_BATCH));
	CU_ASSERT_EQUAL(stats(NAVI).budget_left_ns, 2 * MS);
}

/* Whoever has slept cannot claim at the end of a period what it did not use before. */
static void test_server_wakes(void)
{
	start(BN_POLICY_RESERVE, 1);
	add_server(COCKPIT, 5 * MS, 20 * MS);
	add_server(NAVI, 2 * MS, 10 * MS);
	now += 19 * MS;
	ask(COCKPIT, MS);
	ask(NAVI, MS);
	/* Its deadline would be in 1 ms; now it is in 20. */
	CU_ASSERT(granted(NAVI, BN_GRANT_BATCH));
	give_back(NAVI, MS);
	CU_ASSERT(granted(COCKPIT, BN_GRANT_BATCH));
	/* A round trip is no sleep: it keeps its deadline. */
	give_back(COCKPIT, MS);
	now += 15 * MS;
	ask(COCKPIT, MS);
	ask(NAVI, MS);
	CU_ASSERT(granted(NAVI, BN_GRANT_BATCH));
	now += 500 * US;
	ask(NAVI, MS);
	give_back(NAVI, 0);
	CU_ASSERT(granted(NAVI, BN_GRANT_BATCH));
}

static void test_params_change(void)
{
	start(BN_POLICY_RESERVE, 1);
	add_server(NAVI, 2 * MS, 10 * MS);
	add_server(NAVI, 4 * MS, 10 * MS);
	CU_ASSERT_EQUAL(stats(NAVI).budget_left_ns, 2 * MS);
	now += 10 * MS;
	ask(NAVI, MS);
	CU_ASSERT_EQUAL(stats(NAVI).budget_left_ns, 4 * MS);
	/* No budget without a period; everything within bounds. */
	bn_policy_vm_set(p, NAVI, &(const struct bn_policy_vm){.budget_ns = MS}, now);
	add_plain(MAPS, 0);
	ask(MAPS, MS);
	CU_ASSERT(next(BN_DECIDE_GRANT, NAVI) || d.vm == MAPS);
}

/* ---- slack ---- */

/* MAPS and RADIO, always asking; k grants. Returns the GPU time of MAPS in per mille. */
static unsigned share_of_maps(
	unsigned in_flight, uint32_t maps, uint32_t radio, uint64_t cost_maps, uint64_t cost_radio)
{
	start(BN_POLICY_RESERVE, in_flight);
	add_plain(MAPS, maps);
	add_plain(RADIO, radio);
	ask(MAPS, cost_maps);
	ask(RADIO, cost_radio);
	unsigned queue[8], queued = 0;
	for (uint64_t end = now + 1000 * MS; now < end;) {
		while (bn_policy_next(p, now, &d), d.what == BN_DECIDE_GRANT)
			queue[queued++] = d.vm;
		CU_ASSERT_FATAL(queued > 0 && queued <= in_flight);
		/* The GPU takes them in order. */
		unsigned vm = queue[0];
		uint64_t cost = vm == MAPS ? cost_maps : cost_radio;
		memmove(queue, queue + 1, --queued * sizeof(queue[0]));
		now += cost;
		ask(vm, cost);
		give_back(vm, cost);
	}
	uint64_t a = stats(MAPS).gpu_ns, b = stats(RADIO).gpu_ns;
	return (unsigned)(a * 1000 / (a + b));
}

static void test_shares(void)
{
	static const struct {
		uint32_t maps, radio;
		uint64_t cost_maps, cost_radio;
	} cases[] = {
		{1, 1, MS, MS},
		{300, 100, MS, MS},
		{300, 100, 2 * MS, 100 * US},
		{300, 100, 100 * US, 2 * MS},
		{1, 9, MS, 500 * US},
		{1000, 250, 700 * US, 1900 * US},
	};
	for (unsigned k = 1; k <= 3; k++) {
		for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			double share = share_of_maps(k, cases[i].maps, cases[i].radio,
				cases[i].cost_maps, cases[i].cost_radio);
			double wanted = 1000.0 * cases[i].maps / (cases[i].maps + cases[i].radio);
			CU_ASSERT_DOUBLE_EQUAL(share, wanted, 20);
		}
	}
}

/* Small batches share a grant. */
static void test_allowance(void)
{
	start(BN_POLICY_RESERVE, 2);
	add_plain(MAPS, 1);
	add_plain(RADIO, 1);
	add_plain(NAVI, 1);
	ask(MAPS, 10 * US);
	ask(RADIO, 100 * MS);
	ask(NAVI, MS);
	CU_ASSERT(granted(MAPS, BN_GRANT_BATCH) && d.allow_ns == 2 * MS && d.until_ns == NEVER);
	CU_ASSERT(granted(RADIO, BN_GRANT_BATCH) && d.allow_ns == 2 * MS);
	/* k of them at once, no more. */
	CU_ASSERT(waits(NEVER));
	ask(MAPS, MS);
	CU_ASSERT(waits(NEVER));
}

static void test_no_credit(void)
{
	start(BN_POLICY_RESERVE, 1);
	add_plain(MAPS, 1);
	add_plain(RADIO, 1);
	add_plain(NAVI, 1);
	contend(MAPS, RADIO);
	for (unsigned i = 0; i < 100; i++) {
		ask(MAPS, MS);
		ask(RADIO, MS);
		CU_ASSERT(some_grant());
		now += MS;
		give_back(d.vm, MS);
	}
	/* Who slept while they had 50 ms each does not get 50 ms now. */
	uint64_t before = stats(NAVI).gpu_ns;
	for (unsigned i = 0; i < 30; i++) {
		ask(MAPS, MS);
		ask(RADIO, MS);
		ask(NAVI, MS);
		CU_ASSERT(some_grant());
		now += MS;
		give_back(d.vm, MS);
	}
	uint64_t got = stats(NAVI).gpu_ns - before;
	CU_ASSERT(got >= 9 * MS && got <= 12 * MS);
	/* Nor is one giant batch paid for with all its length: 8 longest ones. */
	ask(NAVI, MS);
	bn_policy_withdraw(p, MAPS, now);
	bn_policy_withdraw(p, RADIO, now);
	CU_ASSERT(granted(NAVI, BN_GRANT_BATCH));
	now += 1000 * MS;
	ask(NAVI, MS);
	give_back(NAVI, 1000 * MS);
	unsigned waited = 0;
	for (; waited < 100; waited++) {
		ask(MAPS, MS);
		ask(RADIO, MS);
		CU_ASSERT(some_grant());
		if (d.vm == NAVI)
			break;
		now += MS;
		give_back(d.vm, MS);
	}
	CU_ASSERT(waited >= 28 && waited <= 36);
}

/* With k = 2 the VM with the smaller share leaves its place empty rather than run away; not for a
 * renderer that does nothing with its grant, though. */
static void test_pace(void)
{
	start(BN_POLICY_RESERVE, 2);
	add_plain(MAPS, 1);
	add_plain(RADIO, 1);
	uint64_t granted_ns = now;
	ask(MAPS, 2 * MS);
	ask(RADIO, 2 * MS);
	CU_ASSERT(granted(MAPS, BN_GRANT_BATCH));
	CU_ASSERT(granted(RADIO, BN_GRANT_BATCH));
	now += MS;
	ask(RADIO, 2 * MS);
	give_back(RADIO, 2 * MS);
	CU_ASSERT(granted(RADIO, BN_GRANT_BATCH));
	now += 2 * MS;
	ask(RADIO, 2 * MS);
	give_back(RADIO, 3 * MS);
	CU_ASSERT(waits(granted_ns + 4 * MS + 100 * US));
	now = granted_ns + 4 * MS + 100 * US;
	CU_ASSERT(granted(RADIO, BN_GRANT_BATCH));
}

static void test_starved(void)
{
	/* 15 of 10 ms are reserved: nothing is left for MAPS but once a second. */
	start(BN_POLICY_RESERVE, 1);
	bn_policy_vm_set(p, NAVI,
		&(const struct bn_policy_vm){
			.period_ns = 10 * MS, .budget_ns = 10 * MS, .share = 1, .batch_max_ns = MS},
		now);
	add_server(COCKPIT, 5 * MS, 10 * MS);
	add_plain(MAPS, 1);
	unsigned times = 0;
	for (uint64_t end = now + 3500 * MS; now < end;) {
		ask(NAVI, MS);
		ask(COCKPIT, MS);
		ask(MAPS, MS);
		CU_ASSERT_FATAL(some_grant());
		times += d.vm == MAPS;
		now += MS;
		give_back(d.vm, MS);
	}
	CU_ASSERT_EQUAL(times, 3);
}

/* ---- liars ---- */

/* One grant, predicted 1 ms, that takes so long. */
static void run_once(unsigned vm, uint64_t actual_ns)
{
	ask(vm, MS);
	for (int i = 0; i < 3 && !next(BN_DECIDE_GRANT, vm); i++)
		if (d.what == BN_DECIDE_GRANT)
			give_back(d.vm, MS);
	CU_ASSERT(d.what == BN_DECIDE_GRANT && d.vm == vm);
	now += actual_ns;
	bn_policy_charge(p, vm, actual_ns, MS, now);
	bn_policy_return(p, vm, now);
}

static void test_liar_corrected(void)
{
	start(BN_POLICY_RESERVE, 1);
	add_server(NAVI, 5 * MS, 50 * MS);
	add_plain(MAPS, 1000);
	bn_policy_vm_set(p, NAVI,
		&(const struct bn_policy_vm){.period_ns = 50 * MS,
			.budget_ns = 5 * MS,
			.share = 100,
			.batch_max_ns = 10 * MS},
		now);
	/* A quarter of them, and a quarter too long each: within the rules. */
	for (unsigned i = 0; i < 64; i++)
		run_once(NAVI, i % 4 ? 1250 * US : 4 * MS);
	now += 500 * MS;
	ask(MAPS, MS);
	ask(NAVI, MS);
	CU_ASSERT(granted(NAVI, BN_GRANT_BATCH) && d.allow_ns == 5 * MS);
	give_back(NAVI, 0);
	bn_policy_withdraw(p, MAPS, now);
	/* One more: 1 ms is now taken for the 4 to 5 ms that it is, and for no more. */
	for (unsigned i = 0; i < 8; i++)
		run_once(NAVI, 4 * MS);
	now += 500 * MS;
	ask(MAPS, MS);
	ask(NAVI, MS);
	CU_ASSERT(granted(NAVI, BN_GRANT_BATCH));
	CU_ASSERT(d.allow_ns >= MS && d.allow_ns <= 1250 * US);
	give_back(NAVI, 0);
	/* 2 ms would be 8: more than its budget, so it goes behind in slack. */
	bn_policy_withdraw(p, MAPS, now);
	now += 500 * MS;
	ask(MAPS, MS);
	ask(NAVI, 2 * MS);
	CU_ASSERT(some_grant());
	give_back(d.vm, 0);
	CU_ASSERT_EQUAL(stats(NAVI).budget_left_ns, 5 * MS);
	/* Short batches are never lies: they are noise. */
	start(BN_POLICY_RESERVE, 1);
	add_plain(MAPS, 1);
	add_plain(RADIO, 1);
	contend(MAPS, RADIO);
	for (unsigned i = 0; i < 1000; i++) {
		ask(MAPS, 10 * US);
		CU_ASSERT(next(BN_DECIDE_GRANT, MAPS));
		bn_policy_charge(p, MAPS, 50 * US, 10 * US, now);
		bn_policy_return(p, MAPS, now);
	}
	CU_ASSERT_FALSE(stats(MAPS).demoted);
}

static void test_liar_demoted(void)
{
	start(BN_POLICY_RESERVE, 1);
	add_server(NAVI, 5 * MS, 50 * MS);
	unsigned lies = 0;
	for (; !stats(NAVI).demoted && lies < 1000; lies++)
		run_once(NAVI, 3 * MS);
	CU_ASSERT_EQUAL(lies, 16 + 256);
	CU_ASSERT_EQUAL(stats(NAVI).demotions, 1);
	/* No reservation any more, and an eighth of its share. */
	add_plain(MAPS, 13);
	now += 500 * MS;
	ask(MAPS, MS);
	ask(NAVI, MS);
	uint64_t reserved = stats(NAVI).reserved_ns;
	unsigned navi = 0;
	for (unsigned i = 0; i < 200; i++) {
		ask(MAPS, MS);
		ask(NAVI, MS);
		CU_ASSERT_FATAL(some_grant());
		navi += d.vm == NAVI;
		now += MS;
		give_back(d.vm, MS);
	}
	CU_ASSERT(navi >= 95 && navi <= 105);
	CU_ASSERT_EQUAL(stats(NAVI).reserved_ns, reserved);
	/* Honest for long: many charges, and 5 s. */
	uint64_t since = now;
	unsigned honest = 0;
	for (; stats(NAVI).demoted && honest < 20000; honest++)
		run_once(NAVI, MS);
	CU_ASSERT(honest > 512 && now - since >= 4800 * MS && now - since < 6000 * MS);
	CU_ASSERT_EQUAL(stats(NAVI).demotions, 1);
	/* A safety VM is not demoted: what it takes too much is a debt. */
	start(BN_POLICY_RESERVE, 1);
	add_safety(CLUSTER);
	for (unsigned i = 0; i < 1000; i++) {
		ask(CLUSTER, MS);
		CU_ASSERT_FATAL(next(BN_DECIDE_GRANT, CLUSTER));
		bn_policy_charge(p, CLUSTER, 9 * MS, MS, now);
		bn_policy_return(p, CLUSTER, now);
		now += T60;
	}
	CU_ASSERT_FALSE(stats(CLUSTER).demoted);
}

/* ---- the compositor, holds, errors ---- */

static void test_compositor(void)
{
	open_frame();
	/* Whatever is there. A frame that has begun goes on. */
	ask(BN_POLICY_COMPOSITOR, 300 * US);
	CU_ASSERT(granted(BN_POLICY_COMPOSITOR, BN_GRANT_BATCH) && d.allow_ns == 300 * US);
	CU_ASSERT(next(BN_DECIDE_WAIT, 0));
	/* Nobody is let in before it is done: not even the frame, if it has to ask again. */
	bn_policy_return(p, CLUSTER, now);
	ask(CLUSTER, MS);
	CU_ASSERT(waits(NEVER));
	give_back(BN_POLICY_COMPOSITOR, 200 * US);
	CU_ASSERT_EQUAL(stats(BN_POLICY_COMPOSITOR).gpu_ns, 200 * US);
	CU_ASSERT(granted(CLUSTER, BN_GRANT_FRAME));
}

static void test_compositor_recalls(void)
{
	/* It does not count as company of a VM that is alone. */
	start(BN_POLICY_RESERVE, 2);
	add_plain(MAPS, 1);
	add_plain(RADIO, 1);
	ask(MAPS, MS);
	CU_ASSERT(granted(MAPS, BN_GRANT_LEASE));
	for (unsigned i = 0; i < 3; i++) {
		ask(BN_POLICY_COMPOSITOR, 300 * US);
		CU_ASSERT(granted(BN_POLICY_COMPOSITOR, BN_GRANT_BATCH));
		CU_ASSERT(next(BN_DECIDE_REVOKE, MAPS));
		CU_ASSERT(waits(NEVER));
		bn_policy_return(p, MAPS, now);
		ask(MAPS, MS);
		CU_ASSERT(waits(NEVER));
		/* The next picture begins while the GPU is at this one: in its turn, before others. */
		ask(BN_POLICY_COMPOSITOR, 300 * US);
		CU_ASSERT(waits(NEVER));
		give_back(BN_POLICY_COMPOSITOR, 200 * US);
		CU_ASSERT(granted(BN_POLICY_COMPOSITOR, BN_GRANT_BATCH));
		give_back(BN_POLICY_COMPOSITOR, 200 * US);
		CU_ASSERT(granted(MAPS, BN_GRANT_LEASE));
	}
	/* Of batches that were granted, no more are started. */
	give_back(MAPS, 0);
	contend(MAPS, RADIO);
	ask(MAPS, MS);
	CU_ASSERT(granted(MAPS, BN_GRANT_BATCH));
	ask(BN_POLICY_COMPOSITOR, 300 * US);
	CU_ASSERT(granted(BN_POLICY_COMPOSITOR, BN_GRANT_BATCH));
	CU_ASSERT(next(BN_DECIDE_REVOKE, MAPS));
	CU_ASSERT(waits(NEVER));
}

static void test_hold(void)
{
	open_frame();
	bn_policy_hold(p, CLUSTER, true, now);
	CU_ASSERT(next(BN_DECIDE_REVOKE, CLUSTER));
	ask(CLUSTER, MS);
	bn_policy_return(p, CLUSTER, now);
	CU_ASSERT(granted(MAPS, BN_GRANT_LEASE) || d.kind == BN_GRANT_BATCH);
	CU_ASSERT_TRUE(stats(CLUSTER).held);
	CU_ASSERT_TRUE(stats(CLUSTER).waiting);
	CU_ASSERT(waits(NEVER));
	bn_policy_hold(p, CLUSTER, false, now);
	bn_policy_return(p, MAPS, now);
	CU_ASSERT(granted(CLUSTER, BN_GRANT_FRAME));
	/* A hold in a gap: the GPU is not kept for it. */
	open_frame();
	bn_policy_return(p, CLUSTER, now);
	bn_policy_hold(p, CLUSTER, true, now);
	CU_ASSERT(next(BN_DECIDE_GRANT, MAPS));
	/* An idle lessee that is held loses the lease. */
	start(BN_POLICY_RESERVE, 1);
	add_plain(MAPS, 1);
	ask(MAPS, MS);
	CU_ASSERT(granted(MAPS, BN_GRANT_LEASE));
	bn_policy_hold(p, MAPS, true, now);
	CU_ASSERT(next(BN_DECIDE_REVOKE, MAPS));
	CU_ASSERT(waits(NEVER));
}

static void test_remove(void)
{
	open_frame();
	bn_policy_vm_remove(p, CLUSTER, now);
	CU_ASSERT(next(BN_DECIDE_GRANT, MAPS));
	CU_ASSERT_EQUAL(stats(CLUSTER).grants, 0);
	bn_policy_vm_remove(p, MAPS, now);
	CU_ASSERT_FALSE(stats(MAPS).running);
	add_plain(RADIO, 1);
	ask(RADIO, MS);
	CU_ASSERT(next(BN_DECIDE_GRANT, RADIO));
}

static void test_wrong_order(void)
{
	open_frame();
	struct bn_policy_stats before = stats(MAPS), after;
	bn_policy_charge(p, MAPS, MS, MS, now);
	bn_policy_return(p, MAPS, now);
	bn_policy_frame_end(p, MAPS, now);
	bn_policy_release(p, MAPS, now, now);
	after = stats(MAPS);
	CU_ASSERT_EQUAL(after.gpu_ns, before.gpu_ns);
	CU_ASSERT_EQUAL(after.grants, 0);
	CU_ASSERT_TRUE(after.waiting && !after.running);
	static const unsigned nobody[] = {NAVI, 31, 33, 64, 65, 1000, ~0u};
	for (unsigned i = 0; i < sizeof(nobody) / sizeof(nobody[0]); i++) {
		bn_policy_request(p, nobody[i], MS, now);
		bn_policy_withdraw(p, nobody[i], now);
		bn_policy_release(p, nobody[i], now, now);
		bn_policy_frame_end(p, nobody[i], now);
		bn_policy_charge(p, nobody[i], MS, MS, now);
		bn_policy_return(p, nobody[i], now);
		bn_policy_hold(p, nobody[i], true, now);
		bn_policy_vm_remove(p, nobody[i], now);
		CU_ASSERT_EQUAL(stats(nobody[i]).gpu_ns, 0);
	}
	bn_policy_vm_set(p, 33, &(const struct bn_policy_vm){.share = 1}, now);
	CU_ASSERT(waits(now + KEPT_MAX));
	/* Time that goes back stands still. */
	bn_policy_return(p, CLUSTER, now - 500 * MS);
	uint64_t then = now;
	now -= 400 * MS;
	CU_ASSERT(waits(then + 500 * US));
	now = then + 500 * US;
	CU_ASSERT(next(BN_DECIDE_GRANT, MAPS));
}

int main(void)
{
	const CU_TestInfo tests[] = {
		{"more is reserved than there is", test_overbooked},
		{"servers by deadline", test_servers_edf},
		{"the allowance is what is left", test_allowance_of_the_rest},
		{"debt is carried", test_debt},
		{"servers that wake up", test_server_wakes},
		{"parameters change", test_params_change},
		{"shares", test_shares},
		{"small batches share a grant", test_allowance},
		{"no credit for sleeping, no endless debt", test_no_credit},
		{"nobody runs away", test_pace},
		{"nobody starves", test_starved},
		{"liars are corrected", test_liar_corrected},
		{"liars are demoted", test_liar_demoted},
		{"the compositor", test_compositor},
		{"the compositor recalls", test_compositor_recalls},
		{"holds", test_hold},
		{"a VM is removed", test_remove},
		{"calls in a wrong order", test_wrong_order},
		CU_TEST_INFO_NULL,
	};
	int failed = bn_unit_main("policy_servers", tests);
	bn_policy_destroy(p);
	return failed;
}
