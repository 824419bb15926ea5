/* The gate's grants: every way in which one comes, is used and goes. */
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/fd.h"
#include "gate_fixture.h"

static int fd_ok(unsigned which)
{
	return which < 2 ? bn_memfd_create("page", BN_GRANT_PAGE_SIZE)
			 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static int create_with(unsigned wrong, int fd)
{
	struct bn_gate_config config = {
		.request_fd = wrong == 0 ? fd : fd_ok(0),
		.grant_fd = wrong == 1 ? fd : fd_ok(1),
		.arbiter_bell = wrong == 2 ? fd : fd_ok(2),
		.bell = wrong == 3 ? fd : fd_ok(3),
	};
	struct bn_gate *gate;
	int error = bn_gate_create(&gate, &config);

	EQ(gate == NULL, error < 0);
	bn_gate_destroy(gate);
	return error;
}

/* Whatever is wrong, all fds are closed: unit.c counts them. */
static void test_create(void)
{
	EQ(create_with(9, -1), 0);
	for (unsigned i = 0; i < 4; i++)
		YES(create_with(i, -1) < 0);
	for (unsigned i = 0; i < 2; i++) {
		int fd = memfd_create("unsealed", MFD_CLOEXEC);

		EQ(ftruncate(fd, BN_GRANT_PAGE_SIZE), 0);
		EQ(create_with(i, fd), -EPERM);
		EQ(create_with(i, bn_memfd_create("big", 2 * BN_GRANT_PAGE_SIZE)), -EINVAL);
		EQ(create_with(i, bn_memfd_create("small", 100)), -EINVAL);
		EQ(create_with(i, eventfd(0, EFD_CLOEXEC)), -EINVAL);
	}
	EQ(create_with(2, bn_memfd_create("page", BN_GRANT_PAGE_SIZE)), -EINVAL);
	bn_gate_destroy(NULL);
}

static void test_batch_grant(void)
{
	setup();
	NO(start());
	EQ(a.request->want, 1);
	YES(a.request->predicted_ns > 0);
	YES(a.request->flags & BN_REQUEST_FRAME_OPEN);
	EQ(a.request->frame_queued_ns, a.now);
	EQ(a.request->busy, 0);
	YES(fake_arbiter_rung(&a));
	NO(bn_gate_ready(a.gate));
	NO(start()); /* asked for once */
	NO(fake_arbiter_rung(&a));
	a.now += 3 * MS;
	fake_arbiter_grant(&a, BN_GRANT_BATCH, 100 * MS, UINT64_MAX);
	YES(bn_gate_ready(a.gate));
	YES(start());
	EQ(a.request->busy, 1);
	EQ(a.request->batch, 1);
	EQ(a.request->batch_ctx, 1);
	EQ(a.request->batch_start_ns, a.now);
	EQ(a.request->batch_predicted_ns, a.request->predicted_ns);
	EQ(a.request->wait_ns, 3 * MS);
	EQ(gl.fences, 1);
	bn_gate_idle(a.gate);
	EQ(a.request->returned, 0); /* the GPU is at it */
	a.now += 2 * MS;
	finish(1);
	EQ(a.request->returned, 1);
	YES(fake_arbiter_rung(&a));
	EQ(a.request->busy, 0);
	EQ(a.request->batch_start_ns, 0);
	EQ(a.request->gpu_ns, 2 * MS);
	EQ(a.request->batches, 1);
	EQ(a.request->predictions, 1);
	NO(start());
	EQ(a.request->want, 2);
	teardown();
}

/* Idle first, then done; done first, then idle; and a grant that is used on in between. */
static void test_give_back(void)
{
	setup();
	NO(start());
	fake_arbiter_grant(&a, BN_GRANT_BATCH, 100 * MS, UINT64_MAX);
	YES(start());
	bn_gate_idle(a.gate);
	YES(start()); /* still ours */
	finish(1);
	EQ(a.request->busy, 1);
	finish(1);
	EQ(a.request->returned, 0); /* the ring has not said that it is empty */
	bn_gate_idle(a.gate);
	EQ(a.request->returned, 1);
	fake_arbiter_rung(&a);
	bn_gate_idle(a.gate);
	NO(fake_arbiter_rung(&a));
	teardown();
}

static void test_allowance(void)
{
	uint64_t cost;

	setup();
	cost = predicted();
	fake_arbiter_grant(&a, BN_GRANT_BATCH, 2 * cost, UINT64_MAX);
	EQ(a.request->returned, 1); /* it had been withdrawn */
	NO(start());
	EQ(a.request->want, 2);
	fake_arbiter_grant(&a, BN_GRANT_BATCH, 2 * cost, UINT64_MAX);
	YES(start());
	YES(start());
	NO(start());
	EQ(a.request->want, 3); /* asked for while the GPU is at the others */
	EQ(a.request->returned, 1);
	finish(2);
	EQ(a.request->returned, 2);
	fake_arbiter_grant(&a, BN_GRANT_BATCH, 0, UINT64_MAX);
	YES(start()); /* at least one */
	NO(start());
	teardown();
}

static void test_until(void)
{
	uint64_t cost;

	setup();
	cost = predicted();
	fake_arbiter_grant(&a, BN_GRANT_BATCH, 0, 0);
	NO(start());
	fake_arbiter_grant(&a, BN_GRANT_BATCH, 100 * MS, a.now + 2 * cost);
	YES(start());
	YES(start());
	a.now += cost / 2;
	NO(start()); /* there is room for another half */
	finish(2);
	EQ(a.request->returned, 2);
	NO(start());
	cost = a.request->predicted_ns; /* it has learnt */
	fake_arbiter_grant(&a, BN_GRANT_BATCH, 100 * MS, a.now + cost - 1);
	NO(start());
	EQ(a.request->returned, 3);
	EQ(a.request->want, 4);
	/* What cannot be cut is taken for as long as a batch may be. */
	a.grant->batch_max_ns = cost / 2;
	fake_arbiter_grant(&a, BN_GRANT_BATCH, 100 * MS, a.now + cost / 2 + 1);
	YES(start());
	finish(1);
	teardown();
}

static void test_lease(void)
{
	setup();
	fake_arbiter_lease(&a);
	for (unsigned i = 0; i < 20; i++)
		YES(start());
	bn_gate_idle(a.gate);
	EQ(a.request->busy, 20);
	EQ(a.request->want, 0);
	finish(20);
	EQ(a.request->busy, 0);
	EQ(a.request->returned, 0);
	EQ(a.request->batches, 20);
	EQ(a.request->predictions, 1); /* all at one time */
	NO(fake_arbiter_rung(&a));
	teardown();
}

static void test_revoke(void)
{
	setup();
	fake_arbiter_lease(&a);
	/* Nothing at the GPU: over at once, given back when it is heard. */
	fake_arbiter_revoke(&a);
	EQ(a.request->returned, 1);
	YES(fake_arbiter_rung(&a));
	NO(start());
	EQ(a.request->want, 2);
	fake_arbiter_lease(&a);
	YES(start());
	YES(start());
	fake_arbiter_revoke(&a);
	EQ(a.request->returned, 1);
	NO(start());
	EQ(a.request->want, 3);
	finish(1);
	EQ(a.request->returned, 1);
	finish(1);
	EQ(a.request->returned, 2);
	/* Not heard of yet: seen by looking. */
	fake_arbiter_lease(&a);
	a.grant->revoked = 3;
	NO(start());
	EQ(a.request->busy, 0);
	EQ(a.request->returned, 3);
	EQ(a.request->want, 4);
	fake_arbiter_lease(&a);
	YES(start());
	a.grant->revoked = 4;
	finish(1);
	EQ(a.request->returned, 4);
	/* A grant that is over before it is seen. */
	a.grant->revoked = 5;
	fake_arbiter_grant(&a, BN_GRANT_BATCH, 100 * MS, UINT64_MAX);
	EQ(a.request->returned, 5);
	teardown();
}

static void test_frame_grant(void)
{
	setup();
	NO(start());
	fake_arbiter_grant(&a, BN_GRANT_FRAME, 100 * MS, UINT64_MAX);
	YES(start());
	bn_gate_idle(a.gate);
	finish(1);
	EQ(a.request->returned, 0); /* the frame is not complete */
	fake_arbiter_rung(&a);
	YES(start());
	bn_gate_frame_end(a.gate);
	YES(fake_arbiter_rung(&a));
	EQ(a.request->frames, 1);
	EQ(a.request->frame_queued_ns, 0);
	NO(a.request->flags & BN_REQUEST_FRAME_OPEN);
	NO(start()); /* the next frame's */
	EQ(a.request->want, 2);
	EQ(a.request->returned, 0);
	finish(1);
	EQ(a.request->returned, 1);
	/* In a gap it can be taken back. */
	fake_arbiter_grant(&a, BN_GRANT_FRAME, 100 * MS, UINT64_MAX);
	YES(start());
	finish(1);
	bn_gate_idle(a.gate);
	fake_arbiter_revoke(&a);
	EQ(a.request->returned, 2);
	teardown();
}

static void test_ahead(void)
{
	uint64_t cost;

	setup();
	cost = predicted();
	a.grant->ahead_max_ns = cost + cost / 2;
	fake_arbiter_lease(&a);
	YES(start());
	YES(start());
	NO(start());
	NO(bn_gate_ready(a.gate));
	NO(fake_arbiter_rung(&a)); /* it is the GPU that is waited for */
	EQ(a.request->want, 1);
	finish(1);
	YES(bn_gate_ready(a.gate));
	YES(start());
	finish(2);
	EQ(a.request->wait_ns, 0);
	teardown();
}

static void test_withdraw(void)
{
	setup();
	NO(start());
	a.now += MS;
	bn_gate_withdraw(a.gate);
	EQ(a.request->wait_ns, MS);
	NO(bn_gate_ready(a.gate));
	fake_arbiter_grant(&a, BN_GRANT_FRAME, 100 * MS, UINT64_MAX);
	EQ(a.request->returned, 1);
	/* A lease may stay. */
	NO(start());
	bn_gate_withdraw(a.gate);
	fake_arbiter_lease(&a);
	EQ(a.request->returned, 1);
	YES(start());
	finish(1);
	teardown();
}

static void test_reset(void)
{
	setup();
	NO(start());
	fake_arbiter_grant(&a, BN_GRANT_FRAME, 100 * MS, UINT64_MAX);
	YES(start());
	YES(start());
	bn_fences_reset(fences); /* nobody will tell any more */
	EQ(a.request->busy, 2);
	bn_gate_forget_context(a.gate, 1);
	EQ(a.request->busy, 0);
	EQ(a.request->returned, 0);
	bn_gate_reset(a.gate);
	EQ(a.request->returned, 1);
	NO(a.request->flags & BN_REQUEST_FRAME_OPEN);
	gl.fences = 0;
	NO(start());
	fake_arbiter_grant(&a, BN_GRANT_FRAME, 100 * MS, UINT64_MAX);
	YES(start());
	bn_fences_reset(fences);
	bn_gate_reset(a.gate);
	EQ(a.request->busy, 0);
	EQ(a.request->returned, 2);
	teardown();
}

static void test_quarantine(void)
{
	setup();
	fake_arbiter_ring(&a);
	EQ(quarantines, 0);
	a.grant->quarantine = 1;
	fake_arbiter_ring(&a);
	YES(quarantined && bn_gate_quarantined(a.gate));
	a.grant->quarantine = 77;
	fake_arbiter_ring(&a);
	EQ(quarantines, 1);
	a.grant->quarantine = 0;
	fake_arbiter_ring(&a);
	NO(quarantined || bn_gate_quarantined(a.gate));
	EQ(quarantines, 2);
	teardown();
}

static void test_hostile_page(void)
{
	setup();
	fake_arbiter_grant(&a, 77, UINT64_MAX, UINT64_MAX); /* no such kind */
	EQ(a.request->returned, 1);
	NO(start());
	EQ(a.request->want, 2);
	fake_arbiter_grant(&a, BN_GRANT_NONE, UINT64_MAX, UINT64_MAX);
	NO(start());
	EQ(a.request->returned, 2);
	/* A number that has no successor is none. */
	a.grant->kind = BN_GRANT_LEASE;
	a.grant->grant = UINT64_MAX;
	fake_arbiter_ring(&a);
	NO(start());
	EQ(a.request->want, 3);
	a.grant->grant = 1; /* backwards: old news */
	fake_arbiter_ring(&a);
	NO(start());
	a.grant->grant = 2;
	fake_arbiter_lease(&a);
	YES(start());
	YES(start());
	finish(2);
	a.grant->revoked = UINT64_MAX;
	NO(start());
	a.grant->batch_max_ns = 1;
	YES(bn_gate_batch_max(a.gate) >= 1000);
	a.grant->batch_max_ns = 0;
	EQ(bn_gate_batch_max(a.gate), 0);
	teardown();
}

/* ---- both sides at once ---- */

#define ROUNDS 20000u
static uint32_t inside, ended;

static void *renderer_thread(void *data)
{
	while (!__atomic_load_n(&ended, __ATOMIC_SEQ_CST)) {
		struct bn_gate_batch b = batch(1);

		if (!bn_gate_enter(a.gate, &b)) {
			sched_yield();
			continue;
		}
		__atomic_store_n(&inside, 1, __ATOMIC_SEQ_CST);
		for (unsigned i = 0; i < 50; i++)
			__asm__ volatile("" ::: "memory");
		__atomic_store_n(&inside, 0, __ATOMIC_SEQ_CST);
		bn_gate_started(a.gate, &b, false);
	}
	return NULL;
}

static uint64_t returned(void)
{
	return __atomic_load_n(&a.request->returned, __ATOMIC_SEQ_CST);
}

/* A lease is taken back again and again while batches start: once it is over for the arbiter, none
 * is being executed. */
static void test_both_sides(void)
{
	unsigned violations = 0, at_once = 0;
	pthread_t thread;

	setup();
	bn_gate_set_fences(a.gate, NULL); /* batches end when they are started */
	inside = ended = 0;
	EQ(pthread_create(&thread, NULL, renderer_thread, NULL), 0);
	a.grant->kind = BN_GRANT_LEASE;
	a.grant->until_ns = UINT64_MAX;
	for (uint64_t n = 1; n <= ROUNDS; n++) {
		__atomic_store_n(&a.grant->grant, n, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(&a.request->batches, __ATOMIC_RELAXED) < n)
			sched_yield();
		__atomic_store_n(&a.grant->revoked, n, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&a.request->busy, __ATOMIC_SEQ_CST) == 0) {
			at_once++;
		} else {
			while (returned() < n)
				sched_yield();
		}
		for (unsigned i = 0; i < 4000; i++) /* longer than the way from there to here */
			violations += __atomic_load_n(&inside, __ATOMIC_SEQ_CST);
	}
	__atomic_store_n(&ended, 1, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);
	EQ(violations, 0);
	YES(at_once > 0);
	teardown();
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"create", test_create},
		{"batch grant", test_batch_grant},
		{"give back", test_give_back},
		{"allowance", test_allowance},
		{"until", test_until},
		{"lease", test_lease},
		{"revoke", test_revoke},
		{"frame grant", test_frame_grant},
		{"queue-ahead", test_ahead},
		{"withdraw", test_withdraw},
		{"reset", test_reset},
		{"quarantine", test_quarantine},
		{"hostile page", test_hostile_page},
		{"both sides at once", test_both_sides},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("gate", tests);
}
