#include "unit.h"

#include <math.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/histogram.h"

static struct bn_histogram h;

static void test_empty(void)
{
	bn_histogram_init(&h);
	CU_ASSERT_EQUAL(bn_histogram_quantile(&h, 0.5), 0);
	CU_ASSERT_EQUAL(bn_histogram_mean(&h), 0);
}

static void test_one(void)
{
	bn_histogram_init(&h);
	bn_histogram_add(&h, 16666667);
	const double quantiles[] = {-1.0, 0.0, 0.5, 0.99, 1.0, 2.0, NAN};
	for (unsigned i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++)
		CU_ASSERT_EQUAL(bn_histogram_quantile(&h, quantiles[i]), 16666667);
	CU_ASSERT_EQUAL(bn_histogram_mean(&h), 16666667);
}

/* Each single value comes back within 3.2 %, over the whole range. */
static void test_precision(void)
{
	double worst = 0;
	for (uint64_t ns = BN_NS_PER_US; ns < 132 * BN_NS_PER_S; ns += ns / 77 + 1) {
		bn_histogram_init(&h);
		bn_histogram_add(&h, 0);
		bn_histogram_add(&h, ns);
		bn_histogram_add(&h, UINT64_MAX / 4);
		double error =
			fabs((double)bn_histogram_quantile(&h, 0.6) - (double)ns) / (double)ns;
		worst = error > worst ? error : worst;
	}
	CU_ASSERT_TRUE(worst < 0.032);
	CU_ASSERT_TRUE(worst > 0.001);
}

static void test_quantiles(void)
{
	bn_histogram_init(&h);
	for (uint64_t i = 1; i <= 1000; i++)
		bn_histogram_add(&h, i * BN_NS_PER_US * 10);
	CU_ASSERT_EQUAL(h.count, 1000);
	CU_ASSERT_EQUAL(bn_histogram_quantile(&h, 0.0), 10 * BN_NS_PER_US);
	CU_ASSERT_EQUAL(bn_histogram_quantile(&h, 1.0), 10 * BN_NS_PER_MS);
	CU_ASSERT_EQUAL(bn_histogram_mean(&h), 5005 * BN_NS_PER_US);
	uint64_t last = 0;
	for (int i = 1; i < 1000; i++) {
		uint64_t v = bn_histogram_quantile(&h, i / 1000.0);
		CU_ASSERT_TRUE(v >= last);
		CU_ASSERT_TRUE(fabs((double)v / (i * 10000.0) - 1.0) < 0.033);
		last = v;
	}
}

static void test_extremes(void)
{
	bn_histogram_init(&h);
	bn_histogram_add(&h, 0);
	bn_histogram_add(&h, 999);
	CU_ASSERT_TRUE(bn_histogram_quantile(&h, 0.9) <= 999);
	bn_histogram_add(&h, UINT64_MAX);
	bn_histogram_add(&h, UINT64_MAX);
	CU_ASSERT_EQUAL(h.min_ns, 0);
	CU_ASSERT_EQUAL(h.max_ns, UINT64_MAX);
	CU_ASSERT_EQUAL(h.buckets[0], 2);
	CU_ASSERT_EQUAL(h.buckets[BN_HISTOGRAM_BUCKETS - 1], 2);
	CU_ASSERT_EQUAL(bn_histogram_quantile(&h, 0.9), UINT64_MAX);
	CU_ASSERT_EQUAL(bn_histogram_mean(&h), UINT64_MAX / 4);
}

static uint64_t fake_now(void *data)
{
	return *(uint64_t *)data;
}

static void test_clock(void)
{
	uint64_t a = bn_clock_now(&bn_clock_monotonic), b = bn_now_ns();
	CU_ASSERT_TRUE(a > 0 && b >= a);
	uint64_t now = 42;
	const struct bn_clock clock = {fake_now, &now};
	CU_ASSERT_EQUAL(bn_clock_now(&clock), 42);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"empty", test_empty},
		{"one value is exact", test_one},
		{"precision", test_precision},
		{"quantiles", test_quantiles},
		{"extremes", test_extremes},
		{"clocks", test_clock},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("histogram", tests);
}
