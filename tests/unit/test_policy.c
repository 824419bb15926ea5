/* Each rule of the policy for safety VMs, leases and frames. test_policy_servers.c has those for the others;
 * test_policy_soak.c lets simulated renderers loose on it. */
#include "policy_fixture.h"

static void test_create(void)
{
	struct bn_policy *q = NULL;
	const struct bn_policy_machine none = {0}, five = {.in_flight = 5};
	CU_ASSERT_EQUAL(bn_policy_create(&q, BN_POLICY_RESERVE, &none), -EINVAL);
	CU_ASSERT_EQUAL(bn_policy_create(&q, BN_POLICY_RESERVE, &five), -EINVAL);
	CU_ASSERT_EQUAL(bn_policy_create(&q, BN_POLICY_RESERVE + 1, &none), -EINVAL);
	CU_ASSERT_EQUAL(bn_policy_create(&q, BN_POLICY_FIFO, &none), 0);
	bn_policy_destroy(q);
	bn_policy_destroy(NULL);
}

/* ---- the plain kinds ---- */

static void test_none(void)
{
	start(BN_POLICY_NONE, 1);
	add_safety(CLUSTER);
	add_plain(MAPS, 1);
	add_plain(RADIO, 1);
	ask(RADIO, 1);
	ask(MAPS, 1);
	ask(CLUSTER, 1);
	CU_ASSERT(granted(CLUSTER, BN_GRANT_LEASE) && d.until_ns == NEVER);
	CU_ASSERT(granted(MAPS, BN_GRANT_LEASE));
	CU_ASSERT(granted(RADIO, BN_GRANT_LEASE));
	CU_ASSERT(waits(NEVER));
	bn_policy_hold(p, MAPS, true, now);
	CU_ASSERT(next(BN_DECIDE_REVOKE, MAPS));
	ask(MAPS, 1);
	bn_policy_return(p, MAPS, now);
	CU_ASSERT(waits(NEVER));
	bn_policy_hold(p, MAPS, false, now);
	CU_ASSERT(granted(MAPS, BN_GRANT_LEASE));
}

static void test_fifo(void)
{
	start(BN_POLICY_FIFO, 2);
	add_safety(CLUSTER);
	add_plain(MAPS, 1);
	add_plain(RADIO, 1);
	ask(RADIO, 3 * MS);
	ask(CLUSTER, MS);
	ask(MAPS, 2 * MS);
	ask(RADIO, 4 * MS);
	CU_ASSERT(granted(RADIO, BN_GRANT_BATCH) && d.allow_ns == 4 * MS && d.until_ns == NEVER);
	CU_ASSERT(waits(NEVER));
	ask(RADIO, MS);
	bn_policy_return(p, RADIO, now);
	bn_policy_withdraw(p, CLUSTER, now);
	CU_ASSERT(granted(MAPS, BN_GRANT_BATCH));
	bn_policy_return(p, MAPS, now);
	CU_ASSERT(granted(RADIO, BN_GRANT_BATCH));
}

static void test_priority(void)
{
	start(BN_POLICY_PRIORITY, 2);
	add_safety(CLUSTER);
	add_server(COCKPIT, 0, 0);
	add_plain(MAPS, 1000);
	add_plain(RADIO, 1);
	ask(RADIO, MS);
	CU_ASSERT(granted(RADIO, BN_GRANT_BATCH));
	ask(MAPS, MS);
	ask(COCKPIT, MS);
	ask(CLUSTER, MS);
	ask(BN_POLICY_COMPOSITOR, MS);
	ask(RADIO, MS);
	CU_ASSERT(waits(NEVER));
	bn_policy_return(p, RADIO, now);
	static const unsigned order[] = {BN_POLICY_COMPOSITOR, CLUSTER, COCKPIT, MAPS, RADIO};
	for (unsigned i = 0; i < 5; i++) {
		CU_ASSERT(granted(order[i], BN_GRANT_BATCH));
		CU_ASSERT(waits(NEVER));
		bn_policy_return(p, order[i], now);
	}
}

/* ---- leases ---- */

static void test_lease(void)
{
	start(BN_POLICY_RESERVE, 2);
	add_plain(MAPS, 1);
	add_plain(RADIO, 1);
	ask(MAPS, MS);
	CU_ASSERT(granted(MAPS, BN_GRANT_LEASE) && d.until_ns == NEVER);
	CU_ASSERT(waits(NEVER));
	/* It costs nothing however long it lasts. */
	now += 3600 * 1000 * MS;
	CU_ASSERT(waits(NEVER));
	ask(RADIO, MS);
	CU_ASSERT(next(BN_DECIDE_REVOKE, MAPS));
	CU_ASSERT(waits(NEVER));
	bn_policy_return(p, MAPS, now);
	/* Whoever was alone a moment ago soon asks again: no lease that would be revoked at once. */
	CU_ASSERT(granted(RADIO, BN_GRANT_BATCH));
	ask(MAPS, MS);
	CU_ASSERT(granted(MAPS, BN_GRANT_BATCH));
	give_back(MAPS, MS);
	give_back(RADIO, MS);
	now += 2 * MS;
	ask(RADIO, MS);
	CU_ASSERT(granted(RADIO, BN_GRANT_LEASE));
	CU_ASSERT_EQUAL(stats(RADIO).leases, 1);
	CU_ASSERT_EQUAL(stats(RADIO).grants, 2);
	CU_ASSERT_EQUAL(stats(MAPS).revokes, 1);
	/* Two at once: none has a lease. */
	start(BN_POLICY_RESERVE, 2);
	add_plain(MAPS, 1);
	add_plain(RADIO, 1);
	ask(MAPS, MS);
	ask(RADIO, MS);
	CU_ASSERT(granted(MAPS, BN_GRANT_BATCH));
	CU_ASSERT(granted(RADIO, BN_GRANT_BATCH));
}

static void test_lease_until(void)
{
	start(BN_POLICY_RESERVE, 2);
	add_safety(CLUSTER);
	add_plain(MAPS, 1);
	bn_policy_release(p, CLUSTER, now, now);
	ask(MAPS, MS);
	/* release + T − S − (C + n δ) − σ */
	uint64_t latest = now + T60 - 2 * MS - 5 * MS - 600 * US;
	CU_ASSERT(granted(MAPS, BN_GRANT_LEASE) && d.until_ns == latest - 50 * US);
	/* The lessee asks because its batch would end too late. */
	uint64_t until = d.until_ns;
	now = until - MS;
	ask(MAPS, MS);
	CU_ASSERT(waits(now + 1));
	now++;
	CU_ASSERT(next(BN_DECIDE_REVOKE, MAPS));
	bn_policy_return(p, MAPS, now);
	CU_ASSERT(waits(latest + 1));
	/* What cannot be cut is no matter for a lease: it could not start under it. */
	start(BN_POLICY_RESERVE, 2);
	add_safety(CLUSTER);
	add_plain(MAPS, 1);
	bn_policy_release(p, CLUSTER, now, now);
	ask(MAPS, 50 * MS);
	CU_ASSERT(granted(MAPS, BN_GRANT_BATCH) && d.until_ns == NEVER);
}

static void test_lease_safety(void)
{
	start(BN_POLICY_RESERVE, 2);
	add_safety(CLUSTER);
	add_plain(MAPS, 1);
	bn_policy_release(p, CLUSTER, now, now);
	ask(CLUSTER, MS);
	CU_ASSERT(granted(CLUSTER, BN_GRANT_LEASE) && d.until_ns == NEVER);
	/* It costs none of its budget. */
	bn_policy_charge(p, CLUSTER, 4 * MS, 4 * MS, now);
	now += 4 * MS;
	ask(MAPS, MS);
	CU_ASSERT(next(BN_DECIDE_REVOKE, CLUSTER));
	CU_ASSERT(waits(NEVER));
	/* It was within a frame: the GPU is kept for the rest of it. */
	bn_policy_return(p, CLUSTER, now);
	CU_ASSERT(waits(now + 500 * US));
	ask(CLUSTER, MS);
	CU_ASSERT(granted(CLUSTER, BN_GRANT_FRAME) && d.allow_ns == 5 * MS);
}

/* ---- frames ---- */

static void test_frame(void)
{
	open_frame();
	/* Not for ever: a renderer that does nothing loses it. */
	CU_ASSERT(waits(now + KEPT_MAX));
	now += MS;
	bn_policy_charge(p, CLUSTER, MS, MS, now);
	CU_ASSERT(waits(now - MS + KEPT_MAX));
	/* It gives the grant back in the middle of the frame, and goes on. */
	bn_policy_return(p, CLUSTER, now);
	CU_ASSERT(waits(now + 500 * US));
	now += 400 * US;
	CU_ASSERT(waits(now + 100 * US));
	ask(CLUSTER, MS);
	CU_ASSERT(granted(CLUSTER, BN_GRANT_FRAME) && d.allow_ns == 4 * MS);
	bn_policy_frame_end(p, CLUSTER, now);
	CU_ASSERT(next(BN_DECIDE_WAIT, 0));
	/* Done: what is left of the budget is nobody's at once. */
	give_back(CLUSTER, MS);
	CU_ASSERT(granted(MAPS, BN_GRANT_BATCH));
	CU_ASSERT_EQUAL(stats(CLUSTER).reserved_ns, 2 * MS);
	CU_ASSERT_EQUAL(stats(CLUSTER).budget_left_ns, 3 * MS);
}

static void test_gap(void)
{
	open_frame();
	bn_policy_return(p, CLUSTER, now);
	now += 500 * US;
	CU_ASSERT(granted(MAPS, BN_GRANT_BATCH));
	/* The rest of the frame waits for the one batch, and goes before the next one. */
	ask(CLUSTER, MS);
	now += MS;
	give_back(MAPS, MS);
	ask(MAPS, MS);
	CU_ASSERT(granted(CLUSTER, BN_GRANT_FRAME));
	/* The same with the grant kept. */
	bn_policy_withdraw(p, CLUSTER, now);
	CU_ASSERT(waits(now + 500 * US));
	now += 499 * US;
	bn_policy_withdraw(p, CLUSTER, now);
	CU_ASSERT(waits(now + US));
	ask(CLUSTER, MS);
	now += 5 * MS;
	CU_ASSERT(next(BN_DECIDE_WAIT, 0));
	bn_policy_withdraw(p, CLUSTER, now);
	now += 500 * US;
	CU_ASSERT(next(BN_DECIDE_REVOKE, CLUSTER));
	CU_ASSERT(waits(NEVER));
	bn_policy_return(p, CLUSTER, now);
	CU_ASSERT(granted(MAPS, BN_GRANT_BATCH));
	/* Nobody wants it: nothing is revoked. */
	open_frame();
	bn_policy_withdraw(p, MAPS, now);
	bn_policy_withdraw(p, CLUSTER, now);
	now += 10 * MS;
	CU_ASSERT(waits(NEVER));
}

static void test_frame_stuck(void)
{
	open_frame();
	uint64_t start_ns = now;
	now += KEPT_MAX - 1;
	CU_ASSERT(waits(now + 1));
	now++;
	CU_ASSERT(next(BN_DECIDE_REVOKE, CLUSTER));
	CU_ASSERT_EQUAL(stats(CLUSTER).revokes, 1);
	/* It is one of many until its next period, whatever it says that it used. */
	ask(CLUSTER, MS);
	bn_policy_return(p, CLUSTER, now);
	CU_ASSERT(granted(MAPS, BN_GRANT_BATCH));
	CU_ASSERT(granted(CLUSTER, BN_GRANT_BATCH));
	give_back(MAPS, MS);
	give_back(CLUSTER, 0);
	now = start_ns + T60;
	ask(CLUSTER, MS);
	ask(MAPS, MS);
	CU_ASSERT(granted(CLUSTER, BN_GRANT_FRAME));
	CU_ASSERT(waits(now + KEPT_MAX));
}

/* A frame that thinks all the time, never for longer than the gap, and has hardly any work. */
static void test_frame_that_thinks(void)
{
	for (int keeps = 0; keeps < 2; keeps++) {
		open_frame();
		uint64_t start_ns = now;
		bool revoked = false;
		for (unsigned i = 0; i < 40 && !revoked; i++) {
			now += 50 * US;
			bn_policy_charge(p, CLUSTER, 50 * US, 50 * US, now);
			if (keeps)
				bn_policy_withdraw(p, CLUSTER, now);
			else
				bn_policy_return(p, CLUSTER, now);
			CU_ASSERT(next(BN_DECIDE_WAIT, 0));
			now += 450 * US;
			ask(CLUSTER, 50 * US);
			bn_policy_next(p, now, &d);
			revoked = keeps ? d.what == BN_DECIDE_REVOKE : d.vm == MAPS;
		}
		CU_ASSERT(revoked && now >= start_ns + KEPT_MAX);
		CU_ASSERT(now <= start_ns + KEPT_MAX + 500 * US);
		CU_ASSERT_EQUAL(stats(CLUSTER).debt_ns, 0);
	}
}

/* A grant that is kept beyond the flush lasts no longer than a gap. */
static void test_frame_kept_after_flush(void)
{
	open_frame();
	now += MS;
	bn_policy_frame_end(p, CLUSTER, now);
	bn_policy_withdraw(p, CLUSTER, now);
	CU_ASSERT(waits(now + 500 * US));
	bn_policy_frame_end(p, CLUSTER, now + 100 * US);
	now += 500 * US;
	CU_ASSERT(next(BN_DECIDE_REVOKE, CLUSTER));
	bn_policy_return(p, CLUSTER, now);
	CU_ASSERT(granted(MAPS, BN_GRANT_BATCH));
}

static void test_budget(void)
{
	open_frame();
	uint64_t start_ns = now;
	now += 6 * MS;
	bn_policy_charge(p, CLUSTER, 6 * MS, 3 * MS, now);
	CU_ASSERT(next(BN_DECIDE_REVOKE, CLUSTER));
	ask(CLUSTER, MS);
	bn_policy_return(p, CLUSTER, now);
	CU_ASSERT_EQUAL(stats(CLUSTER).overruns, 1);
	CU_ASSERT_EQUAL(stats(CLUSTER).debt_ns, MS);
	CU_ASSERT_EQUAL(stats(CLUSTER).reserved_ns, 5 * MS);
	/* Behind the others, though its frame is open … */
	CU_ASSERT(granted(MAPS, BN_GRANT_BATCH));
	CU_ASSERT(granted(CLUSTER, BN_GRANT_BATCH));
	CU_ASSERT(waits(NEVER));
	give_back(MAPS, MS);
	ask(MAPS, MS);
	give_back(CLUSTER, MS);
	/* … which is no debt … */
	CU_ASSERT_EQUAL(stats(CLUSTER).debt_ns, MS);
	CU_ASSERT(granted(MAPS, BN_GRANT_BATCH));
	give_back(MAPS, MS);
	/* … until the next period, in which the debt is missing. */
	now = start_ns + T60;
	ask(MAPS, MS);
	ask(CLUSTER, MS);
	CU_ASSERT(granted(CLUSTER, BN_GRANT_FRAME) && d.allow_ns == 4 * MS);
}

static void test_safety_debt_max(void)
{
	open_frame();
	give_back(CLUSTER, 500 * MS);
	CU_ASSERT_EQUAL(stats(CLUSTER).debt_ns, 2500 * US);
	bn_policy_frame_end(p, CLUSTER, now);
	bn_policy_release(p, CLUSTER, now, now);
	CU_ASSERT_EQUAL(stats(CLUSTER).debt_ns, 2500 * US);
	now += T60;
	bn_policy_release(p, CLUSTER, now, now);
	ask(CLUSTER, MS);
	CU_ASSERT(granted(CLUSTER, BN_GRANT_FRAME) && d.allow_ns == 2500 * US);
}

/* A period begins with the display's stamp, and not twice with the same one. */
static void test_release(void)
{
	open_frame();
	bn_policy_frame_end(p, CLUSTER, now);
	give_back(CLUSTER, 3 * MS);
	bn_policy_release(p, CLUSTER, now - 10 * MS, now);
	CU_ASSERT_EQUAL(stats(CLUSTER).budget_left_ns, 5 * MS);
	ask(CLUSTER, MS);
	CU_ASSERT(granted(CLUSTER, BN_GRANT_FRAME));
	give_back(CLUSTER, 3 * MS);
	now += MS;
	bn_policy_release(p, CLUSTER, now, now);
	CU_ASSERT_EQUAL(stats(CLUSTER).budget_left_ns, 2 * MS);
	bn_policy_release(p, CLUSTER, now - 5 * MS, now);
	bn_policy_release(p, CLUSTER, now + 500 * MS, now);
	CU_ASSERT_EQUAL(stats(CLUSTER).budget_left_ns, 2 * MS);
	now += T60 - MS;
	bn_policy_release(p, CLUSTER, now, now);
	CU_ASSERT_EQUAL(stats(CLUSTER).budget_left_ns, 5 * MS);
}

static void test_best_effort_first(void)
{
	for (int preemptive = 0; preemptive < 2; preemptive++) {
		start_on(BN_POLICY_RESERVE, &(const struct bn_policy_machine){
						    .in_flight = 2, .preemptive = preemptive});
		add_safety(CLUSTER);
		add_plain(MAPS, 1);
		add_plain(RADIO, 1);
		add_plain(NAVI, 1);
		ask(MAPS, MS);
		ask(RADIO, MS);
		CU_ASSERT(granted(MAPS, BN_GRANT_BATCH));
		CU_ASSERT(granted(RADIO, BN_GRANT_BATCH));
		ask(CLUSTER, MS);
		ask(NAVI, MS);
		if (preemptive) {
			CU_ASSERT(granted(CLUSTER, BN_GRANT_FRAME));
			CU_ASSERT(next(BN_DECIDE_WAIT, 0));
			continue;
		}
		/* What they have not started yet they do not start any more. */
		CU_ASSERT(next(BN_DECIDE_REVOKE, MAPS));
		CU_ASSERT(next(BN_DECIDE_REVOKE, RADIO));
		CU_ASSERT(waits(NEVER));
		/* Nobody else comes in while it waits. */
		give_back(MAPS, MS);
		CU_ASSERT(waits(NEVER));
		give_back(RADIO, MS);
		CU_ASSERT(granted(CLUSTER, BN_GRANT_FRAME));
		CU_ASSERT(waits(now + KEPT_MAX - 4 * 150 * US - 50 * US));
	}
}

static void test_preemptive_lease(void)
{
	start_on(BN_POLICY_RESERVE,
		&(const struct bn_policy_machine){.in_flight = 1, .preemptive = true});
	add_safety(CLUSTER);
	add_plain(MAPS, 1);
	ask(MAPS, MS);
	CU_ASSERT(granted(MAPS, BN_GRANT_LEASE));
	ask(CLUSTER, MS);
	CU_ASSERT(next(BN_DECIDE_REVOKE, MAPS));
	CU_ASSERT(granted(CLUSTER, BN_GRANT_FRAME));
	CU_ASSERT(waits(NEVER));
}

static void test_two_safety(void)
{
	start(BN_POLICY_RESERVE, 1);
	add_safety(CLUSTER);
	now += 5 * MS;
	add_safety(REAR);
	add_plain(MAPS, 1);
	ask(REAR, MS);
	ask(CLUSTER, MS);
	/* The one whose period ends first, although it asked last. */
	CU_ASSERT(granted(CLUSTER, BN_GRANT_FRAME));
	CU_ASSERT(waits(now + KEPT_MAX));
	bn_policy_return(p, CLUSTER, now);
	CU_ASSERT(waits(now + 500 * US));
	now += 500 * US;
	CU_ASSERT(granted(REAR, BN_GRANT_FRAME));
	/* Of two open frames, again the one whose period ends first. */
	ask(CLUSTER, MS);
	ask(REAR, MS);
	bn_policy_return(p, REAR, now);
	CU_ASSERT(granted(CLUSTER, BN_GRANT_FRAME));
	bn_policy_frame_end(p, CLUSTER, now);
	ask(CLUSTER, MS);
	bn_policy_return(p, CLUSTER, now);
	/* An open frame goes before a new one. */
	CU_ASSERT(granted(REAR, BN_GRANT_FRAME));
}

/* ---- the guard ---- */

static void test_guard(void)
{
	start(BN_POLICY_RESERVE, 2);
	add_safety(CLUSTER);
	add_plain(MAPS, 1);
	add_plain(RADIO, 1);
	uint64_t release = now, latest = release + T60 - (2 + 5) * MS - 600 * US;
	bn_policy_release(p, CLUSTER, release, now);
	now = latest - 50 * US - 2 * MS;
	contend(MAPS, RADIO);
	ask(MAPS, 2 * MS);
	CU_ASSERT(granted(MAPS, BN_GRANT_BATCH) && d.until_ns == latest - 50 * US);
	/* What the first may still do is in front of the second. */
	ask(RADIO, 100 * US);
	CU_ASSERT(waits(latest + 1));
	CU_ASSERT(waits(latest + 1));
	CU_ASSERT_EQUAL(stats(RADIO).guard_waits, 1);
	bn_policy_charge(p, MAPS, 1900 * US, 1900 * US, now);
	CU_ASSERT(granted(RADIO, BN_GRANT_BATCH) && d.until_ns == latest - 150 * US);
	give_back(MAPS, 0);
	give_back(RADIO, 0);
	now++;
	ask(MAPS, 2 * MS);
	CU_ASSERT(waits(latest + 1));
	/* A frame that has not begun by then is one for the refresh after. */
	now = latest + 1;
	CU_ASSERT(next(BN_DECIDE_GRANT, MAPS) && d.until_ns == latest + T60 - 50 * US);
}

static void test_guard_done(void)
{
	start(BN_POLICY_RESERVE, 1);
	add_safety(CLUSTER);
	add_plain(MAPS, 1);
	uint64_t release = now, latest = release + T60 - (2 + 5) * MS - 600 * US;
	bn_policy_release(p, CLUSTER, release, now);
	ask(MAPS, 2 * MS);
	ask(CLUSTER, MS);
	CU_ASSERT(granted(CLUSTER, BN_GRANT_FRAME));
	now += 3 * MS;
	/* In a gap, only the rest of the frame has to be done. */
	give_back(CLUSTER, 3 * MS);
	now = latest + 3 * MS - 2 * MS - 50 * US;
	CU_ASSERT(next(BN_DECIDE_GRANT, MAPS) && d.until_ns == latest + 3 * MS - 50 * US);
	give_back(MAPS, 0);
	now++;
	ask(MAPS, 2 * MS);
	CU_ASSERT(waits(latest + 3 * MS + 1));
	/* Done: the next release counts, and that one's whole frame. */
	bn_policy_frame_end(p, CLUSTER, now);
	CU_ASSERT(next(BN_DECIDE_GRANT, MAPS) && d.until_ns == latest + T60 - 50 * US);
}

static void test_guard_off(void)
{
	start(BN_POLICY_RESERVE, 1);
	add_safety(CLUSTER);
	add_plain(MAPS, 1);
	add_plain(RADIO, 1);
	contend(MAPS, RADIO);
	uint64_t release = now, latest = release + 2 * T60 - (2 + 5) * MS - 600 * US;
	bn_policy_release(p, CLUSTER, release, now);
	now = latest;
	ask(MAPS, 2 * MS);
	CU_ASSERT(waits(latest + 1));
	/* Two periods without a release: the cluster stands still. */
	now = latest + 1;
	CU_ASSERT(next(BN_DECIDE_GRANT, MAPS) && d.until_ns == latest + T60 - 50 * US);
	give_back(MAPS, 0);
	now = release + 2 * T60;
	ask(MAPS, 2 * MS);
	ask(RADIO, 2 * MS);
	CU_ASSERT(granted(MAPS, BN_GRANT_BATCH) && d.until_ns == NEVER);
	/* A frame too long for its period: the guard never opens, but ends. */
	start_on(BN_POLICY_RESERVE,
		&(const struct bn_policy_machine){.in_flight = 1, .lead_ns = 20 * MS});
	add_safety(CLUSTER);
	add_plain(MAPS, 1);
	bn_policy_release(p, CLUSTER, now, now);
	release = now;
	bn_policy_vm_set(
		p, MAPS, &(const struct bn_policy_vm){.share = 1, .batch_max_ns = 20 * MS}, now);
	ask(MAPS, 20 * MS);
	for (unsigned calls = 0; now < release + 2 * T60; calls++) {
		CU_ASSERT(next(BN_DECIDE_WAIT, 0) && d.wake_ns > now && calls < 10);
		now = d.wake_ns;
	}
	CU_ASSERT(granted(MAPS, BN_GRANT_LEASE) && now == release + 2 * T60);
	/* Batches that are interrupted need not be watched. */
	start_on(BN_POLICY_RESERVE, &(const struct bn_policy_machine){
					    .in_flight = 1, .lead_ns = 2 * MS, .preemptive = true});
	add_safety(CLUSTER);
	add_plain(MAPS, 1);
	bn_policy_release(p, CLUSTER, now, now);
	now += 9 * MS;
	ask(MAPS, 2 * MS);
	CU_ASSERT(granted(MAPS, BN_GRANT_LEASE) && d.until_ns == NEVER);
}

/* The frames of two safety VMs are one behind the other, so each is guarded from both. */
static void test_guard_two(void)
{
	start(BN_POLICY_RESERVE, 1);
	add_safety(CLUSTER);
	bn_policy_vm_set(p, REAR,
		&(const struct bn_policy_vm){.vm_class = BN_CLASS_SAFETY,
			.period_ns = T60,
			.budget_ns = 2 * MS,
			.batch_max_ns = MS,
			.gap_ns = 100 * US,
			.batches = 3},
		now);
	add_plain(MAPS, 1);
	bn_policy_release(p, CLUSTER, now, now);
	ask(MAPS, MS);
	uint64_t rear = 2 * MS + MS + 3 * (150 * US + 100 * US) + 50 * US;
	CU_ASSERT(granted(MAPS, BN_GRANT_LEASE));
	CU_ASSERT_EQUAL(d.until_ns, now + T60 - 2 * MS - (5 * MS + 600 * US) - rear - 50 * US);
}

int main(void)
{
	const CU_TestInfo tests[] = {
		{"create and destroy", test_create},
		{"none: everyone at once", test_none},
		{"fifo: in the order of asking", test_fifo},
		{"priority: by class, one at a time", test_priority},
		{"a lease for whoever is alone", test_lease},
		{"a lease ends where the guard says", test_lease_until},
		{"a safety VM's lease", test_lease_safety},
		{"nobody else within a frame", test_frame},
		{"a gap lets others in", test_gap},
		{"a frame that thinks all the time", test_frame_that_thinks},
		{"a frame's grant after its flush", test_frame_kept_after_flush},
		{"a frame grant does not last for ever", test_frame_stuck},
		{"a budget used up", test_budget},
		{"debt of a safety VM", test_safety_debt_max},
		{"periods begin with the display", test_release},
		{"safety waits for what runs, unless it is interrupted", test_best_effort_first},
		{"safety interrupts a lease", test_preemptive_lease},
		{"two safety VMs", test_two_safety},
		{"the guard", test_guard},
		{"the guard and a frame that is done", test_guard_done},
		{"the guard is off", test_guard_off},
		{"the guard of two safety VMs", test_guard_two},
		CU_TEST_INFO_NULL,
	};
	int failed = bn_unit_main("policy", tests);
	bn_policy_destroy(p);
	return failed;
}
