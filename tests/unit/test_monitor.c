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

/* ---- a frame's way ---- */

#define MS BN_NS_PER_MS
#define T (16 * MS)

static const struct bn_monitor_target target = {
	.period_ns = T, .lead_ns = 2 * MS, .bound_ns = 9 * MS, .budget_ns = 5 * MS};

/* A frame that is in time, counted from its release; present is at the next refresh. */
static struct bn_monitor_stamps good(uint64_t release)
{
	return (struct bn_monitor_stamps){
		.queued_ns = release + 1 * MS,
		.flush_ns = release + 6 * MS,
		.done_ns = release + 7 * MS,
		.wait_ns = 1 * MS,
		.gpu_ns = 4 * MS,
		.response_ns = 6 * MS,
	};
}

static void begin(void)
{
	const struct bn_monitor_stamps first = good(START - T);
	bn_monitor_init(&m);
	bn_monitor_set_target(&m, &target);
	bn_monitor_frame(&m, 0, T, &first, START, NULL);
}

/* The frame after begin(), shown so many refreshes late. */
static enum bn_miss_cause late(struct bn_monitor_stamps stamps, unsigned refreshes)
{
	struct bn_monitor_frame f;
	uint64_t misses = m.frame.misses;
	bn_monitor_frame(&m, 0, T, &stamps, START + (1 + refreshes) * T, &f);
	CU_ASSERT_EQUAL(f.missed, refreshes);
	CU_ASSERT_EQUAL(m.frame.misses, misses + refreshes);
	CU_ASSERT_EQUAL(m.frame.causes[f.cause], refreshes);
	return f.cause;
}

static void test_frame_steady(void)
{
	struct bn_monitor_frame f;
	begin();
	CU_ASSERT_EQUAL(m.frame.time.count, 0); /* the first has no release */
	CU_ASSERT_EQUAL(m.frame.response.count, 1);
	for (unsigned i = 0; i < 200; i++) {
		const struct bn_monitor_stamps s = good(START + i * T);
		/* A refresh is never quite on time: ±0.4 ms. */
		uint64_t present = START + (i + 1) * T + (i % 2 ? 400000 : 0);
		bn_monitor_frame(&m, 0, T, &s, present, &f);
		CU_ASSERT_FALSE(f.idle || f.over_bound || f.over_budget);
		CU_ASSERT_EQUAL(f.missed, 0);
	}
	CU_ASSERT_EQUAL(m.frame.time.count, 200);
	CU_ASSERT_EQUAL(m.frame.misses, 0);
	CU_ASSERT_TRUE(about(m.frame.mean_ns, (double)T));
	CU_ASSERT_TRUE(about(bn_monitor_stddev(&m), 0.4 * MS));
	CU_ASSERT_TRUE(about((double)bn_histogram_quantile(&m.frame.response, 0.5), 6.0 * MS));
	CU_ASSERT_TRUE(about((double)bn_histogram_quantile(&m.frame.wait, 0.5), 1.0 * MS));
	CU_ASSERT_TRUE(bn_histogram_quantile(&m.frame.guest, 0.5) <= 1 * MS);
	uint64_t recent[60];
	CU_ASSERT_EQUAL(bn_monitor_recent(&m, recent, 60), 60);
	CU_ASSERT_EQUAL(recent[59], T + 400000);
	CU_ASSERT_EQUAL(recent[58], T - 400000);
	bn_monitor_reset(&m);
	CU_ASSERT_EQUAL(m.frame.time.count, 0);
	CU_ASSERT_EQUAL(bn_monitor_stddev(&m), 0.0);
	CU_ASSERT_EQUAL(bn_monitor_recent(&m, recent, 60), 0);
	CU_ASSERT_EQUAL(m.target.bound_ns, target.bound_ns);
}

static void test_causes(void)
{
	struct bn_monitor_stamps s = good(START);
	begin();
	CU_ASSERT_EQUAL(late(s, 1), BN_MISS_COMPOSITOR);

	begin(); /* queued R before the deadline (14 ms) is early enough, later is not */
	s.queued_ns = START + 5 * MS + 1;
	s.done_ns = START + 15 * MS;
	CU_ASSERT_EQUAL(late(s, 2), BN_MISS_GUEST);

	begin();
	s.queued_ns = START + 5 * MS;
	s.wait_ns = 4 * MS + 1; /* the bound allows for 9 − 5 */
	s.response_ns = 10 * MS;
	CU_ASSERT_EQUAL(late(s, 1), BN_MISS_SCHEDULER);
	CU_ASSERT_EQUAL(m.frame.bound_violations, 1);

	begin();
	s.wait_ns = 4 * MS;
	s.gpu_ns = 5 * MS + 1;
	CU_ASSERT_EQUAL(late(s, 1), BN_MISS_GPU);
	CU_ASSERT_EQUAL(m.frame.bound_violations, 0);
	CU_ASSERT_EQUAL(m.frame.over_budget, 1);

	begin(); /* all within its limits, but with gaps in which it drew nothing */
	s = good(START);
	s.flush_ns = START + 15 * MS;
	s.done_ns = START + 15 * MS;
	CU_ASSERT_EQUAL(late(s, 3), BN_MISS_GUEST);
	CU_ASSERT_EQUAL(m.frame.longest_run, 3);
	CU_ASSERT_EQUAL(m.frame.missed_frames, 1);
}

/* What the host withheld is its fault when that was enough to be late. */
static void test_host(void)
{
	struct bn_monitor_frame f;
	struct bn_monitor_stamps s = good(START);
	begin();
	s.queued_ns = START + 12 * MS;
	s.flush_ns = s.done_ns = START + 17 * MS; /* 3 ms after the deadline */
	bn_monitor_frame(&m, 0, T, &s, START + 2 * T, &f);
	CU_ASSERT_EQUAL(f.cause, BN_MISS_GUEST);
	CU_ASSERT_EQUAL(f.late_ns, 3 * MS);
	CU_ASSERT_EQUAL(f.lost_since_ns, START);
	CU_ASSERT_FALSE(bn_monitor_blame_host(&m, &f, 0));
	CU_ASSERT_FALSE(bn_monitor_blame_host(&m, &f, 3 * MS - 1));
	CU_ASSERT_EQUAL(m.frame.causes[BN_MISS_GUEST], 1);
	CU_ASSERT_TRUE(bn_monitor_blame_host(&m, &f, 3 * MS));
	CU_ASSERT_EQUAL(f.cause, BN_MISS_HOST);
	CU_ASSERT_EQUAL(m.frame.causes[BN_MISS_GUEST], 0);
	CU_ASSERT_EQUAL(m.frame.causes[BN_MISS_HOST], 1);
	CU_ASSERT_FALSE(bn_monitor_blame_host(&m, &f, 3 * MS)); /* once */
	CU_ASSERT_EQUAL(m.frame.causes[BN_MISS_HOST], 1);

	begin(); /* done in time, and not shown for two refreshes: a stall since then explains it */
	s = good(START);
	bn_monitor_frame(&m, 0, T, &s, START + 3 * T, &f);
	CU_ASSERT_EQUAL(f.cause, BN_MISS_COMPOSITOR);
	CU_ASSERT_EQUAL(f.lost_since_ns, s.done_ns);
	CU_ASSERT_FALSE(bn_monitor_blame_host(&m, &f, 0));
	CU_ASSERT_TRUE(bn_monitor_blame_host(&m, &f, MS));
	CU_ASSERT_EQUAL(m.frame.causes[BN_MISS_HOST], 2);
	CU_ASSERT_EQUAL(m.frame.misses, 2);

	begin(); /* what was not missed has nobody to blame */
	s = good(START);
	bn_monitor_frame(&m, 0, T, &s, START + T, &f);
	CU_ASSERT_FALSE(bn_monitor_blame_host(&m, &f, 10 * MS));
	CU_ASSERT_EQUAL(m.frame.causes[BN_MISS_HOST], 0);
}

static void test_causes_without_bound(void)
{
	const struct bn_monitor_target none = {.period_ns = T};
	struct bn_monitor_stamps s = {0};
	begin();
	bn_monitor_set_target(&m, &none);
	s.flush_ns = START + 17 * MS; /* no GPU work at all */
	CU_ASSERT_EQUAL(late(s, 1), BN_MISS_GUEST);

	begin();
	bn_monitor_set_target(&m, &none);
	s = good(START);
	s.done_ns = START + 20 * MS;
	s.response_ns = 19 * MS;
	s.wait_ns = 15 * MS;
	CU_ASSERT_EQUAL(late(s, 1), BN_MISS_SCHEDULER);

	begin();
	bn_monitor_set_target(&m, &none);
	s.wait_ns = 0;
	s.gpu_ns = 14 * MS;
	CU_ASSERT_EQUAL(late(s, 1), BN_MISS_GPU);
	CU_ASSERT_EQUAL(m.frame.bound_violations, 0);
}

static void test_idle(void)
{
	struct bn_monitor_frame f;
	struct bn_monitor_stamps s = good(START + 4 * T);
	begin(); /* it begins 4 T and a bit after the release */
	bn_monitor_frame(&m, 0, T, &s, START + 5 * T, &f);
	CU_ASSERT_TRUE(f.idle);
	CU_ASSERT_EQUAL(m.frame.idle, 1);
	CU_ASSERT_EQUAL(m.frame.time.count, 0);
	CU_ASSERT_EQUAL(m.frame.misses, 0);
	begin(); /* it began in time and took that long: a miss */
	s.queued_ns = START + 1 * MS;
	s.response_ns = 70 * MS;
	s.gpu_ns = 70 * MS;
	bn_monitor_frame(&m, 0, T, &s, START + 5 * T, &f);
	CU_ASSERT_FALSE(f.idle);
	CU_ASSERT_EQUAL(m.frame.misses, 4);
}

static void test_periods(void)
{
	struct bn_monitor_frame f;
	struct bn_monitor_stamps s = good(START);
	begin(); /* a display that paces nobody */
	bn_monitor_frame(&m, 0, 0, &s, START + 3 * T, &f);
	CU_ASSERT_EQUAL(f.missed, 0);
	begin(); /* 30 Hz wanted of a faster display */
	bn_monitor_frame(&m, 0, T / 2, &s, START + T, &f);
	CU_ASSERT_EQUAL(f.missed, 0);
	begin(); /* a display that is slower than wanted */
	bn_monitor_frame(&m, 0, 2 * T, &s, START + 2 * T, &f);
	CU_ASSERT_EQUAL(f.missed, 0);
	begin(); /* two displays are apart */
	bn_monitor_frame(&m, 1, T, &s, START + T / 2, &f);
	CU_ASSERT_EQUAL(f.release_ns, 0);
	bn_monitor_frame(&m, 0, T, &s, START + T, &f);
	CU_ASSERT_EQUAL(f.release_ns, START);
}

/* Whatever a renderer says: order, and no more time than there was. */
static void test_hostile_stamps(void)
{
	static const uint64_t values[] = {
		0, 1, START - T, START, START + 1, START + T, START + 9 * T, UINT64_MAX};
	const unsigned n = sizeof(values) / sizeof(values[0]);
	for (unsigned i = 0; i < n * n * n * n; i++) {
		const struct bn_monitor_stamps s = {
			.queued_ns = values[i % n],
			.flush_ns = values[i / n % n],
			.done_ns = values[i / n / n % n],
			.wait_ns = values[i / n / n / n % n],
			.gpu_ns = values[i % n],
			.response_ns = values[i / n % n],
		};
		struct bn_monitor_frame f;
		begin();
		bn_monitor_frame(&m, i, T, &s, START + 3 * T, NULL);
		bn_monitor_frame(&m, 0, T, &s, START + 3 * T, &f);
		bool ok = f.release_ns <= f.queued_ns && f.queued_ns <= f.done_ns &&
			  f.done_ns <= f.present_ns && f.release_ns <= f.flush_ns &&
			  f.flush_ns <= f.present_ns && f.missed <= 2 &&
			  (f.missed == 0) == (f.cause == BN_MISS_NONE) &&
			  f.wait_ns <= 3600 * BN_NS_PER_S && f.response_ns <= 3600 * BN_NS_PER_S;
		CU_ASSERT_TRUE_FATAL(ok);
	}
	/* A display's clock steps back. */
	const struct bn_monitor_stamps s = good(START);
	struct bn_monitor_frame f;
	begin();
	bn_monitor_frame(&m, 0, T, &s, START - T, &f);
	CU_ASSERT_EQUAL(f.release_ns, 0);
	CU_ASSERT_EQUAL(m.frame.time.count, 0);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"a steady guest", test_steady},
		{"rates beyond and below the ring", test_rates},
		{"beginning, stopping, pausing", test_begin_and_stop},
		{"stamps that cannot be", test_lying_stamps},
		{"superseded frames", test_superseded},
		{"a frame's way, in time", test_frame_steady},
		{"who made it late", test_causes},
		{"a host that does not run us", test_host},
		{"… without a bound", test_causes_without_bound},
		{"idle guests miss nothing", test_idle},
		{"periods of displays and VMs", test_periods},
		{"a frame's stamps that cannot be", test_hostile_stamps},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("monitor", tests);
}
