/* What composing takes of the GPU, added up in periods. */
#include "composing.h"

#include "common/clock.h"
#include "compositor/gpu.h"
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

	bn_composing_init(&c, 16 * MS, 3 * MS, true);
	CU_ASSERT_EQUAL(c.max_ns, 0);
	CU_ASSERT_EQUAL(c.limit_ns, 3 * MS);
	bn_composing_finish(&c);
	bn_composing_finish(&never);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"periods", test_periods},
		{"without a promise", test_no_promise},
		{"init and finish", test_life},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("composing", tests);
}
