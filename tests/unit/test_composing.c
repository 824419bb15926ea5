/* What composing takes of the GPU, added up in periods. */
#include "composing.h"

#include <wayland-server-core.h>

#include "arbiter.h"
#include "common/clock.h"
#include "compose_gl_count.h"
#include "unit.h"

#define MS BN_NS_PER_MS

static void test_periods(void)
{
	struct bn_composing c = {.period_ns = 16 * MS, .limit_ns = 2 * MS, .promised = true};

	/* Two displays in one period, each within the limit by itself. */
	bn_composing_add(&c, 1 * MS, 100 * MS);
	bn_composing_add(&c, 1 * MS, 108 * MS);
	CU_ASSERT_EQUAL(c.max_ns, 2 * MS);
	CU_ASSERT_EQUAL(c.log_over, 0);
	/* The next period begins with what comes then. */
	bn_composing_add(&c, 1 * MS, 116 * MS);
	bn_composing_add(&c, 1 * MS, 131 * MS);
	CU_ASSERT_EQUAL(c.max_ns, 2 * MS);
	CU_ASSERT_EQUAL(c.log_over, 0);
	bn_composing_add(&c, 1, 131 * MS);
	CU_ASSERT_EQUAL(c.max_ns, 2 * MS + 1);
	CU_ASSERT_EQUAL(c.log_over, 1);
	bn_composing_add(&c, 5 * MS, 900 * MS);
	CU_ASSERT_EQUAL(c.max_ns, 5 * MS);
	CU_ASSERT_EQUAL(c.log_over, 2);
}

/* Where nobody is promised anything, there is nothing to warn of. */
static void test_no_promise(void)
{
	struct bn_composing c = {.period_ns = 16 * MS};

	bn_composing_add(&c, 9 * MS, 100 * MS);
	CU_ASSERT_EQUAL(c.max_ns, 9 * MS);
	CU_ASSERT_EQUAL(c.log_over, 0);
}

static void test_life(void)
{
	struct bn_composing c, never = {0};

	bn_composing_init(&c, NULL, 16 * MS, 3 * MS, true);
	CU_ASSERT_EQUAL(c.max_ns, 0);
	CU_ASSERT_EQUAL(c.limit_ns, 3 * MS);
	bn_composing_finish(&c);
	bn_composing_finish(&never);
}

static void test_prediction(void)
{
	struct bn_composing c = {.period_ns = 16 * MS, .limit_ns = 3 * MS},
			    unlimited = {.period_ns = 1};

	CU_ASSERT_EQUAL(bn_composing_predict(&c), 3 * MS);
	CU_ASSERT_EQUAL(bn_composing_predict(&unlimited), 0);
	bn_composing_add(&c, MS, 1);
	CU_ASSERT_EQUAL(bn_composing_predict(&c), MS);
	/* Quick to rise, slow to fall. */
	bn_composing_add(&c, 2 * MS, 1);
	CU_ASSERT_EQUAL(bn_composing_predict(&c), 2 * MS);
	bn_composing_add(&c, MS, 1);
	CU_ASSERT_EQUAL(bn_composing_predict(&c), 2 * MS - MS / 8);
	bn_composing_add(&c, 9 * MS, 1);
	CU_ASSERT_EQUAL(bn_composing_predict(&c), 3 * MS);
	bn_composing_add(&unlimited, 9 * MS, 1);
	CU_ASSERT_EQUAL(bn_composing_predict(&unlimited), 9 * MS);
}

/* What the compositor does is told to the arbiter, until the end. */
static void test_arbiter(void)
{
	const struct bn_arbiter_config config = {
		.policy = BN_POLICY_RESERVE, .machine = {.in_flight = 1}};
	struct wl_event_loop *loop = wl_event_loop_create();
	struct bn_arbiter *arbiter;
	struct bn_arbiter_stats s;
	struct bn_composing c;

	CU_ASSERT_EQUAL_FATAL(bn_arbiter_create(&arbiter, loop, &config), 0);
	bn_composing_init(&c, arbiter, 16 * MS, 3 * MS, true);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_TRUE(bn_gpu_begin());
		bn_arbiter_stats(arbiter, BN_POLICY_COMPOSITOR, &s);
		CU_ASSERT_TRUE(s.policy.waiting || s.policy.running);
		if (i == 0)
			bn_gpu_drawn(-1);
		else
			bn_gpu_failed();
		bn_arbiter_stats(arbiter, BN_POLICY_COMPOSITOR, &s);
		CU_ASSERT_FALSE(s.policy.waiting || s.policy.running);
	}
	bn_gpu_done(2 * MS);
	bn_arbiter_stats(arbiter, BN_POLICY_COMPOSITOR, &s);
	CU_ASSERT_EQUAL(s.policy.gpu_ns, 2 * MS);
	CU_ASSERT_EQUAL(c.max_ns, 2 * MS);
	CU_ASSERT_EQUAL(bn_composing_predict(&c), 2 * MS);
	bn_composing_finish(&c);
	CU_ASSERT_TRUE(bn_gpu_begin());
	bn_arbiter_stats(arbiter, BN_POLICY_COMPOSITOR, &s);
	CU_ASSERT_FALSE(s.policy.waiting || s.policy.running);
	bn_arbiter_destroy(arbiter);
	wl_event_loop_destroy(loop);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"periods", test_periods},
		{"without a promise", test_no_promise},
		{"init and finish", test_life},
		{"prediction", test_prediction},
		{"the arbiter is told", test_arbiter},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("composing", tests);
}
