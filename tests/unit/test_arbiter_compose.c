/* The compositor as a client of the arbiter: VMs are kept out while a picture is at the GPU, and no longer. Fences are
 * eventfds here. What has to happen is waited for, far longer than it takes; nothing is measured. */
#include "unit.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include <wayland-server-core.h>

#include "arbiter.h"
#include "common/clock.h"
#include "common/fd.h"
#include "fake_renderer.h"

#define MS BN_NS_PER_MS
#define LONG_MS 20000
/* More than the arbiter keeps. */
#define MANY 20

static struct wl_event_loop *loop;
static struct bn_arbiter *arbiter;
static struct bn_trace *trace;
static struct fake_renderer a, b;

static void begin_limited(enum bn_policy_kind policy, unsigned vms, uint64_t max_ns)
{
	const struct bn_arbiter_vm params = {
		.policy = {.vm_class = BN_CLASS_INTERACTIVE,
			.period_ns = 16 * MS,
			.share = 100,
			.batch_max_ns = 2 * MS,
			.ahead_max_ns = 4 * MS},
		.watchdog_ns = 600 * BN_NS_PER_S,
		.trips_max = 3,
	};
	trace = bn_trace_create(4096);
	const struct bn_arbiter_config config = {
		.policy = policy,
		.machine = {.in_flight = 1, .dispatch_ns = 100000, .lead_ns = 2 * MS},
		.trace = trace,
		.composing_max_ns = max_ns,
	};
	loop = wl_event_loop_create();
	CU_ASSERT_EQUAL_FATAL(bn_arbiter_create(&arbiter, loop, &config), 0);
	struct fake_renderer *f[] = {&a, &b};
	for (unsigned i = 0; i < vms; i++) {
		CU_ASSERT_EQUAL(bn_arbiter_vm_set(arbiter, i, "vm", &params, true, NULL), 0);
		CU_ASSERT_TRUE_FATAL(fake_init(f[i], arbiter, i));
		/* So that it is not taken for silent, however slow the test is. */
		FAKE_PUT(f[i], busy, 1);
	}
}

/* Where something else is tested, no time runs out, however slow the test is. */
static void begin(enum bn_policy_kind policy, unsigned vms)
{
	begin_limited(policy, vms, 600 * BN_NS_PER_S);
}

static void end(unsigned vms)
{
	struct fake_renderer *f[] = {&a, &b};
	for (unsigned i = 0; i < vms; i++)
		fake_finish(f[i]);
	bn_arbiter_destroy(arbiter);
	wl_event_loop_destroy(loop);
	bn_trace_destroy(trace);
}

static uint64_t wakeups(void)
{
	struct bn_arbiter_totals t;
	bn_arbiter_totals(arbiter, &t);
	return t.wakeups;
}

static uint64_t expired(void)
{
	struct bn_arbiter_totals t;
	bn_arbiter_totals(arbiter, &t);
	return t.composing_expired;
}

static struct bn_policy_stats stats(unsigned vm)
{
	struct bn_arbiter_stats s;
	bn_arbiter_stats(arbiter, vm, &s);
	return s.policy;
}

/* The compositor has what it asked for. */
static bool composes(void)
{
	uint64_t give_up = bn_now_ns() + LONG_MS * MS;
	while (!stats(BN_POLICY_COMPOSITOR).running && bn_now_ns() < give_up)
		sched_yield();
	return stats(BN_POLICY_COMPOSITOR).running;
}

/* The arbiter knows that it asks, has decided since, and it has nothing. */
static bool kept_out(struct fake_renderer *f)
{
	uint64_t before = FAKE_GET(f, grant), give_up = bn_now_ns() + LONG_MS * MS;
	while (!stats(f->vm).waiting && bn_now_ns() < give_up)
		sched_yield();
	for (uint64_t woken = wakeups(); wakeups() < woken + 2 && bn_now_ns() < give_up;) {
		fake_ring(f);
		sched_yield();
	}
	return stats(f->vm).waiting && !stats(f->vm).running && FAKE_GET(f, grant) == before;
}

/* Asks, and gets what it asked for. */
static void gain(struct fake_renderer *f)
{
	fake_ask(f, MS);
	CU_ASSERT_TRUE(fake_granted(f, LONG_MS));
}

static bool recalled(struct fake_renderer *f)
{
	uint64_t give_up = bn_now_ns() + LONG_MS * MS;
	while (FAKE_GET(f, revoked) < f->held && bn_now_ns() < give_up)
		sched_yield();
	return FAKE_GET(f, revoked) >= f->held;
}

static int fence(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

static void done(int *fd)
{
	bn_event_signal(*fd);
	bn_fd_close(fd);
}

/* ---- with reservations ---- */

static void test_lease(void)
{
	begin(BN_POLICY_RESERVE, 1);
	gain(&a);
	CU_ASSERT_EQUAL(a.grant->kind, BN_GRANT_LEASE);
	for (unsigned i = 0; i < 50; i++) {
		int fd = fence();
		CU_ASSERT_TRUE(bn_arbiter_compose_begin(arbiter, MS));
		/* It was at the GPU: what runs ends, no more is started. */
		CU_ASSERT_TRUE_FATAL(recalled(&a));
		CU_ASSERT_FALSE(fake_begin(&a));
		fake_return(&a);
		fake_ask(&a, MS);
		CU_ASSERT_TRUE(composes());
		CU_ASSERT_TRUE(i > 0 || kept_out(&a));
		bn_arbiter_compose_queued(arbiter, fd);
		CU_ASSERT_TRUE(i > 0 || kept_out(&a));
		bn_arbiter_compose_charge(arbiter, MS);
		done(&fd);
		CU_ASSERT_TRUE_FATAL(fake_granted(&a, LONG_MS));
		CU_ASSERT_EQUAL(a.grant->kind, BN_GRANT_LEASE);
	}
	CU_ASSERT_FALSE(stats(BN_POLICY_COMPOSITOR).running);
	CU_ASSERT_EQUAL(stats(BN_POLICY_COMPOSITOR).grants, 50);
	CU_ASSERT_EQUAL(stats(BN_POLICY_COMPOSITOR).gpu_ns, 50 * MS);
	CU_ASSERT_EQUAL(stats(0).revokes, 50);
	CU_ASSERT_EQUAL(expired(), 0);
	end(1);
}

/* Nobody's streams are too long for a display, while one is composed for. */
static void test_cut(void)
{
	uint64_t give_up = bn_now_ns() + LONG_MS * MS;
	begin(BN_POLICY_RESERVE, 1);
	gain(&a);
	CU_ASSERT_EQUAL(FAKE_GET(&a, batch_max_ns), 0);
	CU_ASSERT_TRUE(bn_arbiter_compose_begin(arbiter, MS));
	CU_ASSERT_TRUE(recalled(&a));
	CU_ASSERT_EQUAL(FAKE_GET(&a, batch_max_ns), 2 * MS);
	bn_arbiter_compose_queued(arbiter, -1);
	fake_return(&a);
	/* In a second without pictures it is forgotten. */
	while (FAKE_GET(&a, batch_max_ns) && bn_now_ns() < give_up) {
		fake_ring(&a);
		sched_yield();
	}
	CU_ASSERT_EQUAL(FAKE_GET(&a, batch_max_ns), 0);
	end(1);
}

/* A batch that is at the GPU ends; then the other one does not come in before the picture is done. */
static void test_batch(void)
{
	int fd = fence();
	begin(BN_POLICY_RESERVE, 2);
	/* Both want it: a's is no lease. */
	gain(&a);
	fake_ask(&b, MS);
	CU_ASSERT_TRUE(recalled(&a));
	fake_return(&a);
	CU_ASSERT_TRUE(fake_granted(&b, LONG_MS));
	fake_ask(&a, MS);
	CU_ASSERT_TRUE(recalled(&b) || b.grant->kind == BN_GRANT_BATCH);
	fake_return(&b);
	CU_ASSERT_TRUE(fake_granted(&a, LONG_MS));
	CU_ASSERT_TRUE(fake_begin(&a));
	fake_ask(&b, MS);
	CU_ASSERT_TRUE(bn_arbiter_compose_begin(arbiter, MS));
	CU_ASSERT_TRUE(composes());
	CU_ASSERT_TRUE(recalled(&a));
	bn_arbiter_compose_queued(arbiter, fd);
	CU_ASSERT_TRUE(stats(0).running);
	fake_end(&a, MS);
	fake_return(&a);
	CU_ASSERT_TRUE(kept_out(&b));
	done(&fd);
	CU_ASSERT_TRUE(fake_granted(&b, LONG_MS));
	end(2);
}

/* Nothing is at the GPU in the end, or it is waited for by the compositor itself. */
static void test_failed(void)
{
	begin(BN_POLICY_RESERVE, 1);
	for (unsigned i = 0; i < 4; i++) {
		CU_ASSERT_TRUE(bn_arbiter_compose_begin(arbiter, MS));
		fake_ask(&a, MS);
		CU_ASSERT_TRUE(composes());
		CU_ASSERT_TRUE(kept_out(&a));
		if (i % 2)
			bn_arbiter_compose_failed(arbiter);
		else
			bn_arbiter_compose_queued(arbiter, -1);
		CU_ASSERT_TRUE(fake_granted(&a, LONG_MS));
		fake_return(&a);
	}
	/* Out of order they do no harm. */
	bn_arbiter_compose_failed(arbiter);
	bn_arbiter_compose_queued(arbiter, -1);
	CU_ASSERT_FALSE(stats(BN_POLICY_COMPOSITOR).running);
	end(1);
}

/* Several displays: the last of their pictures counts, in whatever order they are done. */
static void test_several(void)
{
	static const unsigned order[] = {1, 2, 0};
	int fd[3], before = bn_fd_count();
	begin(BN_POLICY_RESERVE, 1);
	for (unsigned i = 0; i < 3; i++) {
		fd[i] = fence();
		CU_ASSERT_TRUE(bn_arbiter_compose_begin(arbiter, MS));
		bn_arbiter_compose_queued(arbiter, fd[i]);
	}
	fake_ask(&a, MS);
	CU_ASSERT_TRUE(composes());
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_TRUE(kept_out(&a));
		done(&fd[order[i]]);
	}
	CU_ASSERT_TRUE(fake_granted(&a, LONG_MS));
	CU_ASSERT_EQUAL(stats(BN_POLICY_COMPOSITOR).grants, 1);
	fake_return(&a);
	/* More than it keeps: the oldest are forgotten. */
	int many[MANY];
	for (unsigned i = 0; i < MANY; i++) {
		many[i] = fence();
		bn_arbiter_compose_begin(arbiter, MS);
		bn_arbiter_compose_queued(arbiter, many[i]);
	}
	fake_ask(&a, MS);
	CU_ASSERT_TRUE(composes());
	for (unsigned i = MANY; i-- > 4;) {
		CU_ASSERT_TRUE(kept_out(&a));
		done(&many[i]);
	}
	CU_ASSERT_TRUE(fake_granted(&a, LONG_MS));
	for (unsigned i = 0; i < 4; i++)
		bn_fd_close(&many[i]);
	end(1);
	CU_ASSERT_EQUAL(bn_fd_count(), before);
}

/* The GPU is not kept for ever, and not again for pictures that do not end. */
static void test_expires(void)
{
	int never = fence(), soon = fence();
	begin_limited(BN_POLICY_RESERVE, 1, 20 * MS);
	CU_ASSERT_TRUE(bn_arbiter_compose_begin(arbiter, MS));
	bn_arbiter_compose_queued(arbiter, never);
	gain(&a);
	CU_ASSERT_EQUAL(expired(), 1);
	fake_return(&a);
	CU_ASSERT_FALSE(bn_arbiter_compose_begin(arbiter, MS));
	gain(&a);
	bn_arbiter_compose_queued(arbiter, never);
	fake_return(&a);
	CU_ASSERT_EQUAL(expired(), 1);
	/* One ends: the next is waited for again, though nobody says what became of it. */
	CU_ASSERT_FALSE(bn_arbiter_compose_begin(arbiter, MS));
	bn_arbiter_compose_queued(arbiter, soon);
	done(&soon);
	CU_ASSERT_TRUE(bn_arbiter_compose_begin(arbiter, MS));
	gain(&a);
	CU_ASSERT_EQUAL(expired(), 2);
	bn_arbiter_compose_queued(arbiter, never);
	/* Waited for by the compositor: it is through. */
	CU_ASSERT_FALSE(bn_arbiter_compose_begin(arbiter, MS));
	bn_arbiter_compose_queued(arbiter, -1);
	CU_ASSERT_TRUE(bn_arbiter_compose_begin(arbiter, MS));
	bn_arbiter_compose_failed(arbiter);
	end(1);
	bn_fd_close(&never);
}

static uint64_t cpu_now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * BN_NS_PER_S + (uint64_t)t.tv_nsec;
}

/* Displays whose VMs are idle do not wake the arbiter. */
static void test_idle(void)
{
	begin(BN_POLICY_RESERVE, 1);
	gain(&a);
	fake_return(&a);
	while (stats(0).running)
		sched_yield();
	uint64_t before = wakeups(), rounds = 1000, start = cpu_now_ns();
	for (unsigned i = 0; i < rounds; i++) {
		int fd = fence();
		CU_ASSERT_TRUE(bn_arbiter_compose_begin(arbiter, MS));
		bn_arbiter_compose_queued(arbiter, fd);
		done(&fd);
	}
	printf("(%.1f us of the main thread for each) ",
		(double)(cpu_now_ns() - start) / 1e3 / (double)rounds);
	/* The watch ticks for a second after the VM was there. */
	CU_ASSERT(wakeups() - before < rounds / 2);
	/* All are done, as whoever asks next finds out. */
	gain(&a);
	CU_ASSERT_EQUAL(expired(), 0);
	end(1);
}

/* ---- the other policies ---- */

static void test_in_turn(enum bn_policy_kind policy, bool first)
{
	int fd = fence();
	begin(policy, 2);
	gain(&a);
	fake_ask(&b, MS);
	CU_ASSERT_TRUE(kept_out(&b));
	CU_ASSERT_TRUE(bn_arbiter_compose_begin(arbiter, MS));
	bn_arbiter_compose_queued(arbiter, fd);
	CU_ASSERT_TRUE(stats(BN_POLICY_COMPOSITOR).waiting);
	fake_return(&a);
	if (first) {
		CU_ASSERT_TRUE(composes());
		CU_ASSERT_TRUE(kept_out(&b));
		done(&fd);
		CU_ASSERT_TRUE(fake_granted(&b, LONG_MS));
	} else {
		CU_ASSERT_TRUE(fake_granted(&b, LONG_MS));
		fake_ask(&a, MS);
		CU_ASSERT_TRUE(kept_out(&a));
		fake_return(&b);
		CU_ASSERT_TRUE(composes());
		CU_ASSERT_TRUE(kept_out(&a));
		done(&fd);
		CU_ASSERT_TRUE(fake_granted(&a, LONG_MS));
	}
	CU_ASSERT_EQUAL(stats(BN_POLICY_COMPOSITOR).grants, 1);
	end(2);
}

static void test_fifo(void)
{
	test_in_turn(BN_POLICY_FIFO, false);
}

static void test_priority(void)
{
	test_in_turn(BN_POLICY_PRIORITY, true);
}

/* Done before it was its turn: it asks no more. */
static void test_done_before(void)
{
	begin(BN_POLICY_FIFO, 2);
	gain(&a);
	CU_ASSERT_TRUE(bn_arbiter_compose_begin(arbiter, MS));
	CU_ASSERT_TRUE(stats(BN_POLICY_COMPOSITOR).waiting);
	bn_arbiter_compose_queued(arbiter, -1);
	CU_ASSERT_FALSE(stats(BN_POLICY_COMPOSITOR).waiting);
	bn_arbiter_compose_charge(arbiter, 3 * MS);
	fake_ask(&b, MS);
	fake_return(&a);
	CU_ASSERT_TRUE(fake_granted(&b, LONG_MS));
	CU_ASSERT_EQUAL(stats(BN_POLICY_COMPOSITOR).grants, 0);
	CU_ASSERT_EQUAL(stats(BN_POLICY_COMPOSITOR).gpu_ns, 3 * MS);
	end(2);
}

static void test_none(void)
{
	int fd = fence();
	begin(BN_POLICY_NONE, 2);
	gain(&a);
	CU_ASSERT_TRUE(bn_arbiter_compose_begin(arbiter, MS));
	bn_arbiter_compose_queued(arbiter, fd);
	gain(&b);
	CU_ASSERT_EQUAL(FAKE_GET(&a, revoked), 0);
	CU_ASSERT_FALSE(stats(BN_POLICY_COMPOSITOR).waiting);
	CU_ASSERT_EQUAL(stats(BN_POLICY_COMPOSITOR).grants, 0);
	bn_fd_close(&fd);
	end(2);
}

/* ---- the trace ---- */

static const char *name_of(void *data, unsigned vm)
{
	return vm == BN_POLICY_COMPOSITOR ? "compositor" : NULL;
}

static const char *no_event(void *data, uint64_t number)
{
	return NULL;
}

static void test_trace(void)
{
	char *text = NULL;
	size_t size = 0;
	int fd = fence();
	begin(BN_POLICY_NONE, 0);
	CU_ASSERT_TRUE(bn_arbiter_compose_begin(arbiter, MS));
	bn_arbiter_compose_queued(arbiter, fd);
	done(&fd);
	CU_ASSERT_TRUE(bn_arbiter_compose_begin(arbiter, 2 * MS));
	bn_arbiter_compose_queued(arbiter, -1);
	CU_ASSERT_TRUE(bn_arbiter_compose_begin(arbiter, 3 * MS));
	bn_arbiter_compose_failed(arbiter);
	FILE *out = open_memstream(&text, &size);
	CU_ASSERT_EQUAL(bn_trace_write(trace, out, 1, name_of, no_event, NULL), 2);
	fclose(out);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"compositor\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"predicted_ms\":1.0"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"predicted_ms\":2.0"));
	free(text);
	end(0);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"a lease is called back", test_lease},
		{"streams are cut", test_cut},
		{"a batch ends, nobody follows", test_batch},
		{"nothing is at the GPU", test_failed},
		{"several at once", test_several},
		{"not for ever", test_expires},
		{"nobody is woken for nothing", test_idle},
		{"FIFO: in its turn", test_fifo},
		{"priority: before all", test_priority},
		{"done before its turn", test_done_before},
		{"none: nobody is kept out", test_none},
		{"trace", test_trace},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("arbiter_compose", tests);
}
