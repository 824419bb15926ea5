#include "unit.h"

#include <math.h>
#include <stdbool.h>

#include "common/clock.h"
#include "scheduler/monitor.h"

#define START (1000 * BN_NS_PER_S)
#define FRAME (BN_NS_PER_S / 60)

static struct bn_monitor m;

static bool about(double value, double expected)
{
	return fabs(value - expected) <= 0.01 * expected;
}

/* Presents n frames from `from` on, every `step`; returns the last stamp. */
static uint64_t present(unsigned n, uint64_t from, uint64_t step)
{
	for (unsigned i = 0; i < n; i++) {
		bn_monitor_flushed(&m);
		bn_monitor_presented(&m, from + i * step - 5 * BN_NS_PER_MS, from + i * step);
	}
	return from + (n - 1) * step;
}

static void test_steady(void)
{
	bn_monitor_init(&m);
	CU_ASSERT_EQUAL(bn_monitor_fps(&m, START), 0.0);
	bn_monitor_presented(&m, START, START);
	CU_ASSERT_EQUAL(bn_monitor_fps(&m, START), 0.0);
	bn_monitor_init(&m);
	uint64_t last = present(300, START, FRAME);
	for (uint64_t after = 0; after < FRAME; after += FRAME / 10)
		CU_ASSERT_TRUE(about(bn_monitor_fps(&m, last + after), 60.0));
	CU_ASSERT_EQUAL(m.frames_flushed, 300);
	CU_ASSERT_EQUAL(m.frames_presented, 300);
	CU_ASSERT_EQUAL(m.latency.count, 300);
	CU_ASSERT_EQUAL(m.interval.count, 299);
	CU_ASSERT_EQUAL(bn_histogram_quantile(&m.latency, 0.5), 5 * BN_NS_PER_MS);
	CU_ASSERT_TRUE(about((double)bn_histogram_quantile(&m.interval, 0.5), (double)FRAME));
}

static void test_rates(void)
{
	const double rates[] = {2.0, 24.0, 59.94, 144.0, 500.0, 5000.0};
	for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		bn_monitor_init(&m);
		uint64_t step = (uint64_t)((double)BN_NS_PER_S / rates[i]);
		uint64_t last = present((unsigned)(rates[i] * 3), START, step);
		CU_ASSERT_TRUE(about(bn_monitor_fps(&m, last), rates[i]));
	}
}

static void test_begin_and_stop(void)
{
	bn_monitor_init(&m);
	uint64_t last = present(6, START, FRAME);
	CU_ASSERT_TRUE(about(bn_monitor_fps(&m, last), 60.0));
	/* A guest that stopped: the rate falls, and is 0 after a second. */
	CU_ASSERT_TRUE(bn_monitor_fps(&m, last + BN_NS_PER_S / 2) < 10.0);
	CU_ASSERT_EQUAL(bn_monitor_fps(&m, last + 2 * BN_NS_PER_S), 0.0);
	/* The pause is no frame interval. */
	present(2, last + 10 * BN_NS_PER_S, FRAME);
	CU_ASSERT_EQUAL(m.interval.count, 6);
	CU_ASSERT_TRUE(m.interval.max_ns <= FRAME);
}

static void test_lying_stamps(void)
{
	bn_monitor_init(&m);
	bn_monitor_presented(&m, UINT64_MAX, START);
	CU_ASSERT_EQUAL(m.latency.max_ns, 0);
	bn_monitor_presented(&m, 0, START - 10);
	CU_ASSERT_EQUAL(m.interval.count, 0);
	CU_ASSERT_EQUAL(m.frames_presented, 2);
	/* Presents in the future do not count yet, equal ones give no rate. */
	CU_ASSERT_EQUAL(bn_monitor_fps(&m, START - 100), 0.0);
	bn_monitor_init(&m);
	present(3, START, 0);
	CU_ASSERT_EQUAL(bn_monitor_fps(&m, START), 0.0);
}

static void test_superseded(void)
{
	bn_monitor_init(&m);
	bn_monitor_flushed(&m);
	bn_monitor_superseded(&m);
	CU_ASSERT_EQUAL(m.frames_flushed, 1);
	CU_ASSERT_EQUAL(m.frames_superseded, 1);
	CU_ASSERT_EQUAL(m.frames_presented, 0);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"a steady guest", test_steady},
		{"rates beyond and below the ring", test_rates},
		{"beginning, stopping, pausing", test_begin_and_stop},
		{"stamps that cannot be", test_lying_stamps},
		{"superseded frames", test_superseded},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("monitor", tests);
}
