/* The real arbiter with its thread, and renderers that keep or break the rules of the page pair.
 * What has to happen is waited for, far longer than it takes; nothing is measured. */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <wayland-server-core.h>

#include "arbiter.h"
#include "common/clock.h"
#include "cpu.h"
#include "fake_renderer.h"

#define MS BN_NS_PER_MS
#define LONG_MS 20000

static struct wl_event_loop *loop;
static struct bn_arbiter *arbiter;
static unsigned seen[BN_ARBITER_LATE + 1][BN_POLICY_VMS_MAX + 1];

static void handle_event(void *data, const struct bn_arbiter_event *event)
{
	seen[event->kind][event->vm]++;
}

static bool heard(enum bn_arbiter_event_kind kind, unsigned vm)
{
	uint64_t end = bn_now_ns() + LONG_MS * MS;
	while (!seen[kind][vm] && bn_now_ns() < end)
		wl_event_loop_dispatch(loop, 50);
	return seen[kind][vm] > 0;
}

static const struct bn_arbiter_vm plain = {
	.policy = {.vm_class = BN_CLASS_INTERACTIVE,
		.period_ns = 16 * MS,
		.share = 100,
		.batch_max_ns = 2 * MS,
		.ahead_max_ns = 4 * MS},
	.watchdog_ns = 30 * MS,
	.trips_max = 3,
};

static void begin(enum bn_policy_kind policy, bool software, unsigned vms)
{
	const struct bn_arbiter_config config = {
		.policy = policy,
		.machine = {.in_flight = 1, .dispatch_ns = 100000, .lead_ns = 2 * MS},
		.software = software,
		.event = handle_event,
	};
	for (unsigned k = 0; k <= BN_ARBITER_LATE; k++) {
		for (unsigned i = 0; i <= BN_POLICY_VMS_MAX; i++)
			seen[k][i] = 0;
	}
	loop = wl_event_loop_create();
	CU_ASSERT_EQUAL_FATAL(bn_arbiter_create(&arbiter, loop, &config), 0);
	struct bn_arbiter_vm params = plain;
	/* Where the order is tested, nobody is to trip over a slow test. */
	if (policy != BN_POLICY_RESERVE)
		params.watchdog_ns = 600 * BN_NS_PER_S;
	for (unsigned i = 0; i < vms; i++)
		CU_ASSERT_EQUAL(bn_arbiter_vm_set(arbiter, i, "vm", &params, true, NULL), 0);
}

/* So that it is not taken for silent, however slow the test is. */
static void pretend_busy(struct fake_renderer *f)
{
	FAKE_PUT(f, busy, 1);
}

static void end(void)
{
	bn_arbiter_destroy(arbiter);
	wl_event_loop_destroy(loop);
}

/* Renderers of VMs 0 and 1: most tests need no others. */
static struct fake_renderer a, b;

static void begin_two(enum bn_policy_kind policy, bool software)
{
	begin(policy, software, 2);
	CU_ASSERT_TRUE_FATAL(fake_init(&a, arbiter, 0));
	CU_ASSERT_TRUE_FATAL(fake_init(&b, arbiter, 1));
}

static void end_two(void)
{
	fake_finish(&a);
	fake_finish(&b);
	end();
}

/* Asks, and gets what it asked for. */
static void gain(struct fake_renderer *f)
{
	fake_ask(f, MS);
	CU_ASSERT_TRUE(fake_granted(f, LONG_MS));
}

/* Does nothing, or burns processor time, until it is killed. */
static pid_t start_process(bool burn)
{
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (volatile unsigned i = 0;; i++) {
		if (!burn)
			pause();
	}
}

static void end_process(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* ---- order ---- */

static void test_fifo(void)
{
	struct fake_renderer f[3];
	begin(BN_POLICY_FIFO, false, 3);
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_TRUE_FATAL(fake_init(&f[i], arbiter, i));
	for (unsigned i = 0; i < 3; i++)
		pretend_busy(&f[i]);
	gain(&f[2]);
	CU_ASSERT_EQUAL(f[2].grant->kind, BN_GRANT_BATCH);
	/* One after the other, each told before the next asks. */
	static const unsigned order[] = {1, 0};
	for (unsigned i = 0; i < 2; i++) {
		struct bn_arbiter_stats s = {0};
		fake_ask(&f[order[i]], MS);
		while (!s.policy.waiting)
			bn_arbiter_stats(arbiter, order[i], &s);
	}
	CU_ASSERT_EQUAL(f[0].grant->grant + f[1].grant->grant, 0);
	fake_return(&f[2]);
	CU_ASSERT_TRUE(fake_granted(&f[1], LONG_MS));
	CU_ASSERT_EQUAL(f[0].grant->grant, 0);
	fake_return(&f[1]);
	CU_ASSERT_TRUE(fake_granted(&f[0], LONG_MS));
	/* Gone with a grant: the next one goes on. */
	fake_ask(&f[1], MS);
	fake_finish(&f[0]);
	CU_ASSERT_TRUE(fake_granted(&f[1], LONG_MS));
	fake_finish(&f[1]);
	fake_finish(&f[2]);
	end();
}

static void test_classes(void)
{
	struct fake_renderer f[3];
	struct bn_arbiter_vm params = plain;
	begin(BN_POLICY_PRIORITY, false, 3);
	params.policy.vm_class = BN_CLASS_SAFETY;
	params.policy.budget_ns = 4 * MS;
	params.watchdog_ns = 600 * BN_NS_PER_S;
	CU_ASSERT_EQUAL(bn_arbiter_vm_set(arbiter, 2, "vm", &params, true, NULL), 0);
	for (unsigned i = 0; i < 3; i++) {
		struct bn_arbiter_stats s = {0};
		CU_ASSERT_TRUE_FATAL(fake_init(&f[i], arbiter, i));
		pretend_busy(&f[i]);
		fake_ask(&f[i], MS);
		/* The first has it before the others ask. */
		while (!s.policy.running && (i == 0 || !s.policy.waiting))
			bn_arbiter_stats(arbiter, i, &s);
	}
	CU_ASSERT_TRUE(fake_granted(&f[0], LONG_MS));
	fake_return(&f[0]);
	CU_ASSERT_TRUE(fake_granted(&f[2], LONG_MS));
	CU_ASSERT_EQUAL(f[1].grant->grant, 0);
	for (unsigned i = 0; i < 3; i++)
		fake_finish(&f[i]);
	end();
}

/* ---- a lease and the race for it ---- */

/* BN_TEST_ROUNDS=100000 for a soak. */
#define ROUNDS 20000

struct racer {
	struct fake_renderer f;
	bool inside, stop;
	unsigned long batches;
};

static void *race(void *data)
{
	struct racer *r = data;
	while (!__atomic_load_n(&r->stop, __ATOMIC_SEQ_CST)) {
		fake_ask(&r->f, 1000);
		if (!fake_granted(&r->f, 100))
			continue;
		while (fake_begin(&r->f)) {
			__atomic_store_n(&r->inside, true, __ATOMIC_SEQ_CST);
			r->batches++;
			__atomic_store_n(&r->inside, false, __ATOMIC_SEQ_CST);
			fake_end(&r->f, 10);
			if (__atomic_load_n(&r->stop, __ATOMIC_SEQ_CST))
				break;
		}
		fake_return(&r->f);
	}
	return NULL;
}

static bool becomes(unsigned vm, bool running)
{
	struct bn_arbiter_stats s;
	uint64_t give_up = bn_now_ns() + LONG_MS * MS;
	do {
		bn_arbiter_stats(arbiter, vm, &s);
		if (s.policy.running == running)
			return true;
		sched_yield();
	} while (bn_now_ns() < give_up);
	return false;
}

/* Either the arbiter sees that the renderer is busy, or the renderer that the lease is gone. */
static void test_race(void)
{
	struct racer r = {0};
	pthread_t thread;
	unsigned long both = 0, lost = 0;
	const char *given = getenv("BN_TEST_ROUNDS");
	unsigned long rounds = given ? strtoul(given, NULL, 10) : ROUNDS;
	begin(BN_POLICY_NONE, false, 1);
	CU_ASSERT_TRUE_FATAL(fake_init(&r.f, arbiter, 0));
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, race, &r), 0);
	for (unsigned long i = 0; i < rounds && lost == 0; i++) {
		lost += !becomes(0, true);
		bn_arbiter_hold(arbiter, 0, true);
		lost += !becomes(0, false);
		for (unsigned look = 0; look < 20; look++)
			both += __atomic_load_n(&r.inside, __ATOMIC_SEQ_CST);
		bn_arbiter_hold(arbiter, 0, false);
	}
	__atomic_store_n(&r.stop, true, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(both, 0);
	CU_ASSERT_EQUAL(lost, 0);
	CU_ASSERT_TRUE(r.batches > 0);
	struct bn_arbiter_stats s;
	bn_arbiter_stats(arbiter, 0, &s);
	CU_ASSERT_TRUE(s.policy.leases >= rounds);
	fake_finish(&r.f);
	end();
}

/* A lease is taken back from a renderer that is busy, too, and it hears of it. */
static void test_revoke(void)
{
	begin_two(BN_POLICY_RESERVE, false);
	gain(&a);
	CU_ASSERT_EQUAL(a.grant->kind, BN_GRANT_LEASE);
	CU_ASSERT_TRUE(fake_begin(&a));
	fake_ask(&b, MS);
	while (FAKE_GET(&a, revoked) < a.held)
		sched_yield();
	CU_ASSERT_EQUAL(FAKE_GET(&b, grant), 0);
	CU_ASSERT_TRUE(FAKE_GET(&a, batch_max_ns) > 0); /* from now on its streams are cut */
	fake_end(&a, MS);
	CU_ASSERT_FALSE(fake_begin(&a));
	fake_return(&a);
	CU_ASSERT_TRUE(fake_granted(&b, LONG_MS));
	CU_ASSERT_TRUE(fake_begin(&b));
	end_two();
}

/* ---- those who break the rules ---- */

static void test_stuck(void)
{
	begin_two(BN_POLICY_RESERVE, true);
	gain(&a);
	CU_ASSERT_TRUE(fake_begin(&a));
	fake_ask(&b, MS);
	CU_ASSERT_TRUE(heard(BN_ARBITER_TRIPPED, 0));
	CU_ASSERT_EQUAL(FAKE_GET(&a, lose_batch), a.batch);
	/* The processor does something else meanwhile. */
	CU_ASSERT_TRUE(fake_granted(&b, LONG_MS));
	CU_ASSERT_TRUE(heard(BN_ARBITER_STUCK, 0));
	CU_ASSERT_EQUAL(seen[BN_ARBITER_STUCK][1], 0);
	end_two();
}

/* A GPU does not: the others wait for the end. */
static void test_trip_gpu(void)
{
	begin_two(BN_POLICY_RESERVE, false);
	gain(&a);
	CU_ASSERT_TRUE(fake_begin(&a));
	fake_ask(&b, MS);
	CU_ASSERT_TRUE(heard(BN_ARBITER_TRIPPED, 0));
	CU_ASSERT_EQUAL(FAKE_GET(&b, grant), 0);
	fake_end(&a, 40 * MS);
	fake_return(&a);
	CU_ASSERT_TRUE(fake_granted(&b, LONG_MS));
	end_two();
}

static void test_quarantine(void)
{
	struct bn_arbiter_stats s;
	begin_two(BN_POLICY_RESERVE, false);
	for (unsigned i = 0; i < plain.trips_max; i++) {
		gain(&a);
		CU_ASSERT_TRUE(fake_begin(&a));
		fake_ask(&b, MS);
		seen[BN_ARBITER_TRIPPED][0] = 0;
		CU_ASSERT_TRUE(heard(BN_ARBITER_TRIPPED, 0));
		fake_end(&a, 40 * MS);
		fake_return(&a);
		CU_ASSERT_TRUE(fake_granted(&b, LONG_MS));
		fake_return(&b);
	}
	CU_ASSERT_TRUE(heard(BN_ARBITER_QUARANTINED, 0));
	CU_ASSERT_EQUAL(FAKE_GET(&a, quarantine), 1);
	bn_arbiter_stats(arbiter, 0, &s);
	CU_ASSERT_TRUE(s.quarantined);
	CU_ASSERT_EQUAL(s.trips, plain.trips_max);
	/* It stays so for the next renderer, and there are no grants. */
	fake_finish(&a);
	CU_ASSERT_TRUE_FATAL(fake_init(&a, arbiter, 0));
	CU_ASSERT_EQUAL(FAKE_GET(&a, quarantine), 1);
	fake_ask(&a, MS);
	gain(&b);
	fake_return(&b);
	CU_ASSERT_FALSE(fake_granted(&a, 50));
	bn_arbiter_pardon(arbiter, 0);
	CU_ASSERT_TRUE(fake_granted(&a, LONG_MS));
	CU_ASSERT_EQUAL(FAKE_GET(&a, quarantine), 0);
	end_two();
}

static void test_silent(void)
{
	struct bn_arbiter_stats s;
	begin_two(BN_POLICY_FIFO, false);
	pretend_busy(&b);
	gain(&a);
	fake_ask(&b, MS);
	CU_ASSERT_TRUE(heard(BN_ARBITER_SILENT, 0));
	CU_ASSERT_TRUE(fake_granted(&b, LONG_MS));
	/* It comes back, too late: that grant is over, and b's is not. */
	CU_ASSERT_FALSE(fake_begin(&a));
	fake_return(&a);
	fake_ask(&a, MS);
	do {
		bn_arbiter_stats(arbiter, 0, &s);
	} while (!s.policy.waiting);
	bn_arbiter_stats(arbiter, 1, &s);
	CU_ASSERT_TRUE(s.policy.running);
	fake_return(&b);
	CU_ASSERT_TRUE(fake_granted(&a, LONG_MS));
	end_two();
}

/* The same with a process that was stopped while it was busy; it does not come back. */
static void test_stopped(void)
{
	pid_t pid = start_process(false);
	begin_two(BN_POLICY_RESERVE, true);
	bn_arbiter_process(arbiter, 0, pid);
	gain(&a);
	CU_ASSERT_TRUE(fake_begin(&a));
	kill(pid, SIGSTOP);
	fake_ask(&b, MS);
	CU_ASSERT_TRUE(heard(BN_ARBITER_SILENT, 0));
	CU_ASSERT_TRUE(fake_granted(&b, LONG_MS));
	CU_ASSERT_TRUE(heard(BN_ARBITER_STUCK, 0));
	end_two();
	end_process(pid);
}

static void test_ignores(void)
{
	struct bn_arbiter_stats s;
	begin_two(BN_POLICY_RESERVE, false);
	gain(&b);
	CU_ASSERT_TRUE(fake_begin(&b));
	/* No grant was ever given to this one. */
	FAKE_PUT(&a, batch, 1);
	FAKE_PUT(&a, batch_start_ns, bn_now_ns());
	FAKE_PUT(&a, busy, 1);
	fake_ring(&a);
	CU_ASSERT_TRUE(heard(BN_ARBITER_IGNORES, 0));
	bn_arbiter_stats(arbiter, 0, &s);
	CU_ASSERT_EQUAL(s.ignored, 1);
	CU_ASSERT_TRUE(s.policy.held);
	/* It stops, and is let go after a while. */
	FAKE_PUT(&a, batches, 1);
	FAKE_PUT(&a, batch_start_ns, 0);
	FAKE_PUT(&a, busy, 0);
	fake_end(&b, MS);
	fake_return(&b);
	gain(&a);
	CU_ASSERT_EQUAL(seen[BN_ARBITER_IGNORES][1], 0);
	end_two();
}

/* One that says nothing at all and draws: its processor time gives it away. */
/* One that holds a grant and claims more and more GPU time, or more and more batches, without ever being at one: the
 * first moves nothing, the second has had its time when it is over. */
static void test_keeps(bool moves)
{
	uint64_t give_up = bn_now_ns() + LONG_MS * MS;
	begin_two(BN_POLICY_RESERVE, true);
	gain(&b);
	fake_ask(&a, MS);
	fake_return(&b);
	fake_ask(&b, MS);
	/* Until both ask at the time: then it is a grant for one batch, and nobody takes it back. */
	while (bn_now_ns() < give_up) {
		if (fake_granted(&a, 1)) {
			if (FAKE_GET(&a, kind) == BN_GRANT_BATCH)
				break;
			fake_return(&a);
			fake_ask(&a, MS);
		}
		if (fake_granted(&b, 1)) {
			fake_return(&b);
			fake_ask(&b, MS);
		}
	}
	FAKE_PUT(&a, gpu_ns, UINT64_MAX);
	for (uint64_t batches = 1; !fake_granted(&b, 5) && bn_now_ns() < give_up; batches++) {
		if (moves)
			FAKE_PUT(&a, batches, batches);
	}
	CU_ASSERT_EQUAL(b.held, b.page->want);
	CU_ASSERT_TRUE(heard(moves ? BN_ARBITER_IGNORES : BN_ARBITER_SILENT, 0));
	CU_ASSERT_EQUAL(seen[BN_ARBITER_IGNORES][1] + seen[BN_ARBITER_SILENT][1], 0);
	end_two();
}

static void test_keeps_still(void)
{
	test_keeps(false);
}

static void test_keeps_counting(void)
{
	test_keeps(true);
}

static void test_burns(void)
{
	struct fake_renderer c;
	pid_t pid = start_process(true);
	begin(BN_POLICY_FIFO, true, 3);
	CU_ASSERT_TRUE_FATAL(fake_init(&a, arbiter, 0));
	CU_ASSERT_TRUE_FATAL(fake_init(&b, arbiter, 1));
	CU_ASSERT_TRUE_FATAL(fake_init(&c, arbiter, 2));
	/* It has asked once, so it is past its start; the process burns while it holds nothing. */
	gain(&a);
	fake_return(&a);
	bn_arbiter_process(arbiter, 0, pid);
	uint64_t give_up = bn_now_ns() + LONG_MS * MS;
	while (!seen[BN_ARBITER_IGNORES][0] && bn_now_ns() < give_up) {
		gain(&b);
		fake_ask(&c, MS);
		CU_ASSERT_TRUE(fake_begin(&b));
		wl_event_loop_dispatch(loop, 20);
		fake_end(&b, MS);
		fake_return(&b);
		CU_ASSERT_TRUE(fake_granted(&c, LONG_MS));
		fake_return(&c);
	}
	CU_ASSERT_TRUE(seen[BN_ARBITER_IGNORES][0] > 0);
	CU_ASSERT_EQUAL(seen[BN_ARBITER_IGNORES][1] + seen[BN_ARBITER_IGNORES][2], 0);
	fake_finish(&a);
	fake_finish(&b);
	fake_finish(&c);
	end();
	end_process(pid);
}

/* Every number as wrong as it can be; the neighbour is served as if nothing were. */
static void test_lies(void)
{
	begin_two(BN_POLICY_RESERVE, true);
	for (unsigned i = 0; i < 2000; i++) {
		uint64_t *words = (uint64_t *)a.page;
		for (unsigned w = 0; w < sizeof(*a.page) / sizeof(*words); w++) {
			uint64_t value = (uint64_t)random() << (random() % 64);
			__atomic_store_n(&words[w], i % 3 ? value : UINT64_MAX, __ATOMIC_SEQ_CST);
		}
		fake_ring(&a);
		if (i % 50)
			continue;
		gain(&b);
		if (fake_begin(&b))
			fake_end(&b, 1000);
		fake_return(&b);
	}
	struct bn_arbiter_stats s;
	bn_arbiter_stats(arbiter, 1, &s);
	CU_ASSERT_EQUAL(s.trips + s.ignored + s.quarantines, 0);
	end_two();
}

static void *ring_without_end(void *data)
{
	struct racer *r = data;
	while (!__atomic_load_n(&r->stop, __ATOMIC_SEQ_CST))
		fake_ring(&r->f);
	return NULL;
}

static void test_bells(void)
{
	struct racer r = {0};
	pthread_t thread;
	begin(BN_POLICY_FIFO, false, 2);
	CU_ASSERT_TRUE_FATAL(fake_init(&r.f, arbiter, 0));
	CU_ASSERT_TRUE_FATAL(fake_init(&b, arbiter, 1));
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, ring_without_end, &r), 0);
	for (unsigned i = 0; i < 500; i++) {
		gain(&b);
		fake_return(&b);
	}
	__atomic_store_n(&r.stop, true, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);
	fake_finish(&r.f);
	fake_finish(&b);
	end();
}

/* ---- what the main thread asks ---- */

static uint64_t wakeups(void)
{
	struct bn_arbiter_totals totals;
	bn_arbiter_totals(arbiter, &totals);
	return totals.wakeups;
}

/* A refresh while nobody waits for the GPU decides nothing, and wakes nobody. */
static void test_release(void)
{
	const struct timespec moment = {.tv_nsec = MS};
	begin_two(BN_POLICY_NONE, false); /* nothing is due by time there */
	gain(&a);
	nanosleep(&moment, NULL);
	uint64_t before = wakeups();
	for (unsigned i = 0; i < 20; i++) {
		bn_arbiter_released(arbiter, 0, bn_now_ns());
		nanosleep(&moment, NULL);
	}
	/* What came before them may be heard late; each of them would be one. */
	CU_ASSERT(wakeups() <= before + 3);
	/* What is behind them is heard. */
	gain(&b);
	CU_ASSERT(wakeups() > before);
	end_two();
}

/* With somebody who waits the thread has to look. */
static void test_release_awaited(void)
{
	begin_two(BN_POLICY_NONE, false);
	gain(&a);
	bn_arbiter_hold(arbiter, 1, true);
	fake_ask(&b, MS);
	CU_ASSERT_FALSE(fake_granted(&b, 20));
	uint64_t before = wakeups(), end_ns = bn_now_ns() + LONG_MS * MS;
	bn_arbiter_released(arbiter, 1, bn_now_ns());
	while (wakeups() == before && bn_now_ns() < end_ns)
		sched_yield();
	CU_ASSERT(wakeups() > before);
	bn_arbiter_hold(arbiter, 1, false);
	CU_ASSERT_TRUE(fake_granted(&b, LONG_MS));
	end_two();
}

static void test_admission(void)
{
	struct bn_arbiter_vm cluster = plain, now;
	struct bn_admission result;
	begin(BN_POLICY_RESERVE, false, 0);
	cluster.policy.vm_class = BN_CLASS_SAFETY;
	cluster.policy.budget_ns = 5 * MS;
	cluster.policy.batches = 4;
	CU_ASSERT_EQUAL(bn_arbiter_vm_set(arbiter, 0, "cluster", &cluster, false, &result), 0);
	CU_ASSERT_TRUE(result.admitted);
	CU_ASSERT_EQUAL(bn_arbiter_vm_set(arbiter, 1, "other", &plain, false, &result), 0);
	/* More than its period has room for. */
	cluster.policy.budget_ns = 15 * MS;
	CU_ASSERT_EQUAL(bn_arbiter_vm_set(arbiter, 0, "cluster", &cluster, false, &result), -EPERM);
	CU_ASSERT_FALSE(result.vm[0].admitted);
	CU_ASSERT_TRUE(result.vm[0].remedy[0] != '\0');
	bn_arbiter_vm_params(arbiter, 0, &now);
	CU_ASSERT_EQUAL(now.policy.budget_ns, 5 * MS);
	/* Batches of the other one that are too long for it. */
	struct bn_arbiter_vm other = plain;
	other.policy.batch_max_ns = 12 * MS;
	CU_ASSERT_EQUAL(bn_arbiter_vm_set(arbiter, 1, "other", &other, false, &result), -EPERM);
	bn_arbiter_admit(arbiter, 1, &other, &result);
	CU_ASSERT_FALSE(result.admitted);
	bn_arbiter_admit(arbiter, 1, NULL, &result);
	CU_ASSERT_TRUE(result.admitted);
	CU_ASSERT_EQUAL(bn_arbiter_vm_set(arbiter, 1, "other", &other, true, &result), 0);
	CU_ASSERT_FALSE(result.admitted);
	end();
}

static bool process_becomes(const struct bn_cpu_process *p, enum bn_cpu_state state)
{
	uint64_t give_up = bn_now_ns() + LONG_MS * MS;
	while (bn_cpu_process_state(p) != state) {
		if (bn_now_ns() > give_up)
			return false;
		sched_yield();
	}
	return true;
}

static void test_hold(void)
{
	struct bn_cpu_process *p;
	pid_t pid = start_process(false);
	CU_ASSERT_EQUAL_FATAL(bn_cpu_process_create(&p, pid, NULL), 0);
	begin(BN_POLICY_RESERVE, false, 1);
	CU_ASSERT_TRUE_FATAL(fake_init(&a, arbiter, 0));
	bn_arbiter_process(arbiter, 0, pid);
	bn_arbiter_hold(arbiter, 0, true);
	CU_ASSERT_TRUE(process_becomes(p, BN_CPU_STATE_STOPPED));
	fake_ask(&a, MS);
	CU_ASSERT_FALSE(fake_granted(&a, 50));
	bn_arbiter_hold(arbiter, 0, false);
	CU_ASSERT_TRUE(process_becomes(p, BN_CPU_STATE_WAITING));
	CU_ASSERT_TRUE(fake_granted(&a, LONG_MS));
	bn_arbiter_hold(arbiter, 0, true);
	CU_ASSERT_TRUE(process_becomes(p, BN_CPU_STATE_STOPPED));
	/* Whoever is detached is let go. */
	fake_finish(&a);
	CU_ASSERT_TRUE(process_becomes(p, BN_CPU_STATE_WAITING));
	end();
	bn_cpu_process_destroy(p);
	end_process(pid);
}

static void test_many(void)
{
	struct fake_renderer f[BN_POLICY_COMPOSITOR];
	begin(BN_POLICY_FIFO, false, BN_POLICY_COMPOSITOR);
	for (unsigned i = 0; i < BN_POLICY_COMPOSITOR; i++) {
		CU_ASSERT_TRUE_FATAL(fake_init(&f[i], arbiter, i));
		fake_ask(&f[i], MS);
	}
	for (unsigned i = 0; i < BN_POLICY_COMPOSITOR; i++) {
		CU_ASSERT_TRUE(fake_granted(&f[i], LONG_MS));
		fake_return(&f[i]);
	}
	struct bn_arbiter_fds fds;
	CU_ASSERT_EQUAL(bn_arbiter_attach(arbiter, 0, &fds), -EBUSY);
	CU_ASSERT_EQUAL(bn_arbiter_attach(arbiter, BN_POLICY_VMS_MAX, &fds), -EINVAL);
	for (unsigned i = 0; i < BN_POLICY_COMPOSITOR; i++)
		fake_finish(&f[i]);
	end();
}

/* Stops this process, all threads of it, for so long. */
static void stop_everything(unsigned ms)
{
	pid_t self = getpid(), child = fork();
	CU_ASSERT_TRUE_FATAL(child >= 0);
	if (child == 0) {
		kill(self, SIGSTOP);
		usleep(1000 * ms);
		kill(self, SIGCONT);
		_exit(0);
	}
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		continue;
}

/* Nobody was run for a while: the arbiter knows since when it was due. */
static void test_stalled(void)
{
	begin_two(BN_POLICY_FIFO, false);
	gain(&a);
	pretend_busy(&a);
	fake_ask(&b, MS); /* now there is something to watch, every few milliseconds */
	uint64_t from, to, stalled = 0, give_up = bn_now_ns() + LONG_MS * MS;
	do { /* it may have been at work just then, and so not waited for a time */
		from = bn_now_ns();
		stop_everything(100);
		wl_event_loop_dispatch(loop, 20);
		to = bn_now_ns();
		stalled = bn_arbiter_stalled(arbiter, from, to);
		CU_ASSERT_TRUE(stalled <= to - from);
	} while (stalled < 50 * MS && to < give_up);
	CU_ASSERT_TRUE(stalled >= 50 * MS);
	CU_ASSERT_TRUE(heard(BN_ARBITER_LATE, BN_POLICY_VMS_MAX));
	/* Of a part of the time only that part. */
	CU_ASSERT_TRUE(bn_arbiter_stalled(arbiter, from, from + 60 * MS) <= 60 * MS);
	CU_ASSERT_EQUAL(bn_arbiter_stalled(arbiter, to, to), 0);
	CU_ASSERT_EQUAL(bn_arbiter_stalled(arbiter, to + BN_NS_PER_S, to + 2 * BN_NS_PER_S), 0);
	fake_return(&a);
	end_two();
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"in the order of asking", test_fifo},
		{"by class", test_classes},
		{"a host that runs nobody", test_stalled},
		{"a lease and its revocation race", test_race},
		{"a busy lease is waited for", test_revoke},
		{"a batch without end on a CPU rasteriser", test_stuck},
		{"a batch that is too long on a GPU", test_trip_gpu},
		{"quarantine and pardon", test_quarantine},
		{"a grant that is not used", test_silent},
		{"a renderer that was stopped", test_stopped},
		{"batches without a grant", test_ignores},
		{"GPU time claimed without an end", test_keeps_still},
		{"batches claimed without an end", test_keeps_counting},
		{"processor time without a grant", test_burns},
		{"a page full of lies", test_lies},
		{"a bell that never stops", test_bells},
		{"a refresh that nobody waits for", test_release},
		{"a refresh that somebody waits for", test_release_awaited},
		{"admission refuses what breaks a guarantee", test_admission},
		{"held and let go", test_hold},
		{"32 renderers", test_many},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("arbiter", tests);
}
