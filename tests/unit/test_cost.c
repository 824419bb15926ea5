#include "unit.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "scheduler/cost.h"

#define UNKNOWN 2000000u
#define US 1000.0

static struct bn_cost *cost;
static struct bn_virgl_work work;
static struct bn_cost_key key;

static uint64_t seed = 1;
static double random1(void)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (double)(seed >> 11) / (double)(1ull << 53);
}

/* Normal, by the sum of twelve. */
static double normal(void)
{
	double sum = -6;
	for (unsigned i = 0; i < 12; i++)
		sum += random1();
	return sum;
}

static void begin(void)
{
	bn_cost_destroy(cost);
	cost = bn_cost_create(UNKNOWN);
	CU_ASSERT_PTR_NOT_NULL_FATAL(cost);
	work = (struct bn_virgl_work){.commands = 120,
		.draws = 20,
		.vertices = 4000,
		.pixels = 800 * 480 * 20,
		.shader_pixels = 800ull * 480 * 20 * 60};
	key = (struct bn_cost_key){BN_COST_SUBMIT, 1, &work};
}

static void end(void)
{
	bn_cost_destroy(cost);
	cost = NULL;
}

static uint64_t ns(double value)
{
	return value > 0 ? (uint64_t)value : 0;
}

/* How often the actual cost stayed within the prediction, and how much was predicted for each unit
 * that was taken. */
struct score {
	unsigned within, count;
	double predicted, actual;
};

static void score(struct score *s, uint64_t actual)
{
	uint64_t predicted = bn_cost_predict(cost, &key);
	s->within += actual <= predicted;
	s->count++;
	s->predicted += (double)predicted;
	s->actual += (double)actual;
	bn_cost_learn(cost, &key, actual, false);
}

static void check(const struct score *s, const char *what)
{
	double coverage = (double)s->within / s->count, ratio = s->predicted / s->actual;
	printf("(%s: %.2f %% within, ×%.2f) ", what, coverage * 100, ratio);
	CU_ASSERT_TRUE(coverage >= 0.98);
	CU_ASSERT_TRUE(ratio <= 1.5);
	CU_ASSERT_TRUE(ratio >= 1.0);
}

/* Costs that scatter around one value. */
static void test_stationary(void)
{
	for (unsigned sigma = 2; sigma <= 12; sigma += 5) {
		begin();
		struct score s = {0};
		for (unsigned i = 0; i < 100; i++)
			bn_cost_learn(
				cost, &key, ns(3000 * US * (1 + normal() * sigma / 100)), false);
		for (unsigned i = 0; i < 20000; i++)
			score(&s, ns(3000 * US * (1 + normal() * sigma / 100)));
		char text[32];
		snprintf(text, sizeof(text), "%u %% noise", sigma);
		check(&s, text);
	}
	end();
}

/* Sizes that vary, and costs with them, through many classes. */
static void test_varied(void)
{
	begin();
	struct score s = {0};
	for (unsigned i = 0; i < 40000; i++) {
		double size = 1 + random1() * 6;
		work.draws = (uint32_t)(10 * size);
		work.commands = (uint32_t)(60 * size);
		work.vertices = (uint64_t)(2000 * size);
		work.pixels = (uint64_t)(4e6 * size);
		work.shader_pixels = work.pixels * 60;
		uint64_t actual = ns(
			(work.draws * 40 * US + (double)work.pixels * 0.3) * (1 + normal() * 0.04));
		if (i >= 2000)
			score(&s, actual);
		else
			bn_cost_learn(cost, &key, actual, false);
	}
	check(&s, "varied");
	end();
}

/* A load with two costs of the same content: the dear one counts. */
static void test_two_costs(void)
{
	begin();
	struct score s = {0};
	for (unsigned i = 0; i < 10000; i++) {
		double base = random1() < 0.3 ? 4000 * US : 3000 * US;
		uint64_t actual = ns(base * (1 + normal() * 0.03));
		if (i > 64)
			score(&s, actual);
		else
			bn_cost_learn(cost, &key, actual, false);
	}
	check(&s, "two costs");
	end();
}

static void test_step_up(void)
{
	begin();
	for (unsigned i = 0; i < 200; i++)
		bn_cost_learn(cost, &key, 1000000 + i % 10 * 1000, false);
	CU_ASSERT_TRUE(bn_cost_predict(cost, &key) < 1200000);
	bn_cost_learn(cost, &key, 8000000, false);
	CU_ASSERT_TRUE(bn_cost_predict(cost, &key) >= 8000000);
	end();
}

static void test_slow_fall(void)
{
	begin();
	for (unsigned i = 0; i < 200; i++)
		bn_cost_learn(cost, &key, 8000000, false);
	uint64_t before = bn_cost_predict(cost, &key), last = before;
	unsigned half = 0, i;
	for (i = 1; i < 400; i++) {
		bn_cost_learn(cost, &key, 1000000, false);
		uint64_t now = bn_cost_predict(cost, &key);
		CU_ASSERT_TRUE(now <= last && now >= last - last / 12);
		last = now;
		if (!half && now <= before / 2)
			half = i;
	}
	CU_ASSERT_TRUE(half >= 64); /* a whole window is believed first */
	CU_ASSERT_TRUE(last < 1200000);
	end();
}

static void test_unknown(void)
{
	begin();
	CU_ASSERT_EQUAL(bn_cost_predict(cost, &key), UNKNOWN);
	/* One of the same content, context and kind is known at once, with a wide margin. */
	bn_cost_learn(cost, &key, 1000000, false);
	uint64_t known = bn_cost_predict(cost, &key);
	CU_ASSERT_TRUE(known >= 1250000 && known <= 2000000);
	/* What compiled says nothing. */
	bn_cost_learn(cost, &key, 90000000, true);
	CU_ASSERT_EQUAL(bn_cost_predict(cost, &key), known);
	/* Another kind is not known. */
	key.kind = BN_COST_TRANSFER;
	CU_ASSERT_EQUAL(bn_cost_predict(cost, &key), UNKNOWN);
	end();
}

static void sized(double size)
{
	work = (struct bn_virgl_work){.commands = (uint32_t)(50 * size),
		.draws = (uint32_t)(8 * size),
		.vertices = (uint64_t)(900 * size),
		.pixels = (uint64_t)(1e6 * size),
		.shader_pixels = (uint64_t)(5e7 * size)};
}

/* Of sizes never seen the linear model says something near, not too little. */
static void test_linear(void)
{
	begin();
	double low = 1e9, high = 0;
	for (unsigned i = 0; i < 500; i++) {
		sized(1 + i % 50 * 0.2);
		bn_cost_learn(cost, &key, ns(500 * US * (1 + i % 50 * 0.2)), false);
	}
	key.ctx_id = 99; /* a new context: no class */
	for (double size = 1.5; size < 30; size *= 1.3) {
		sized(size);
		double ratio = (double)bn_cost_predict(cost, &key) / (500 * US * size);
		low = ratio < low ? ratio : low;
		high = ratio > high ? ratio : high;
	}
	printf("(×%.2f–%.2f) ", low, high);
	CU_ASSERT_TRUE(low >= 1.0);
	CU_ASSERT_TRUE(high <= 3.0);
	end();
}

/* More of anything is never guessed to cost less, whatever was learnt. */
static void test_monotonic(void)
{
	begin();
	for (unsigned i = 0; i < 3000; i++) {
		struct bn_virgl_work less = {0}, more;
		uint32_t *m = (uint32_t *)&less;
		for (unsigned k = 0; k < 10; k++)
			m[k] = (uint32_t)(random1() * 1000);
		less.vertices = (uint64_t)(random1() * 1e6);
		less.pixels = (uint64_t)(random1() * 1e8);
		less.shader_pixels = (uint64_t)(random1() * 1e10);
		less.transfer_bytes = (uint64_t)(random1() * 1e7);
		less.copy_pixels = (uint64_t)(random1() * 1e7);
		less.compute_groups = (uint64_t)(random1() * 1e5);
		work = less;
		bn_cost_learn(cost, &key, ns(random1() * 1e7), false);
		more = less;
		switch (i % 16) {
		case 10:
			more.vertices *= 2;
			break;
		case 11:
			more.pixels *= 2;
			break;
		case 12:
			more.shader_pixels *= 2;
			break;
		case 13:
			more.transfer_bytes *= 2;
			break;
		case 14:
			more.copy_pixels *= 2;
			break;
		case 15:
			more.compute_groups *= 2;
			break;
		default:
			((uint32_t *)&more)[i % 16] += 100;
		}
		CU_ASSERT_TRUE(bn_cost_estimate(cost, &more) >= bn_cost_estimate(cost, &less));
	}
	end();
}

static void test_forget(void)
{
	begin();
	bn_cost_learn(cost, &key, 1000000, false);
	key.ctx_id = 2;
	bn_cost_learn(cost, &key, 1000000, false);
	bn_cost_forget(cost, 1);
	uint64_t known = bn_cost_predict(cost, &key);
	bn_cost_learn(cost, &key, 1000000, false);
	CU_ASSERT_TRUE(bn_cost_predict(cost, &key) < known); /* still a class, more certain */
	for (unsigned i = 0; i < 100; i++)
		bn_cost_learn(cost, &key, 1000000, false);
	uint64_t certain = bn_cost_predict(cost, &key);
	key.ctx_id = 1;
	CU_ASSERT_TRUE(bn_cost_predict(cost, &key) > certain); /* only the linear model is left */
	bn_cost_forget(cost, 12345);
	bn_cost_destroy(NULL);
	end();
}

/* Of many classes the ones in use stay. */
static void test_bounded(void)
{
	begin();
	for (unsigned i = 0; i < 200; i++)
		bn_cost_learn(cost, &key, 1000000, false);
	uint64_t certain = bn_cost_predict(cost, &key);
	for (uint32_t ctx = 100; ctx < 20000; ctx++) {
		struct bn_cost_key other = {BN_COST_SUBMIT, ctx, &work};
		bn_cost_learn(cost, &other, 50000000, false);
		/* Others come between two uses of this one, yet not more than there is room for. */
		if (ctx % 16 == 0)
			CU_ASSERT_EQUAL(bn_cost_predict(cost, &key), certain);
	}
	end();
}

static void test_hostile(void)
{
	begin();
	memset(&work, 0xff, sizeof(work));
	bn_cost_learn(cost, &key, UINT64_MAX, false);
	uint64_t most = bn_cost_predict(cost, &key);
	CU_ASSERT_TRUE(most >= 60000000000ull && most <= 120000000000ull);
	CU_ASSERT_TRUE(bn_cost_estimate(cost, &work) <= 60000000000ull);
	memset(&work, 0, sizeof(work));
	bn_cost_learn(cost, &key, 0, false);
	CU_ASSERT_TRUE(bn_cost_predict(cost, &key) < 1000);
	key.kind = (enum bn_cost_kind)77;
	key.ctx_id = UINT32_MAX;
	bn_cost_predict(cost, &key);
	bn_cost_learn(cost, &key, 5, false);
	/* And it still learns. */
	sized(3);
	key.kind = BN_COST_SUBMIT;
	for (unsigned i = 0; i < 200; i++)
		bn_cost_learn(cost, &key, 1500000, false);
	uint64_t now = bn_cost_predict(cost, &key);
	CU_ASSERT_TRUE(now >= 1500000 && now < 1700000);
	end();
}

/* Not a test: what it takes. */
static void test_speed(void)
{
	begin();
	struct timespec t[2];
	uint64_t sum = 0;
	const unsigned rounds = 200000;
	clock_gettime(CLOCK_MONOTONIC, &t[0]);
	for (unsigned i = 0; i < rounds; i++) {
		key.ctx_id = i % 16;
		sum += bn_cost_predict(cost, &key);
		bn_cost_learn(cost, &key, 1000000 - i, false);
	}
	clock_gettime(CLOCK_MONOTONIC, &t[1]);
	double took =
		(double)(t[1].tv_sec - t[0].tv_sec) * 1e9 + (double)(t[1].tv_nsec - t[0].tv_nsec);
	printf("(%.0f ns to predict and learn, ", took / rounds);
	clock_gettime(CLOCK_MONOTONIC, &t[0]);
	for (unsigned i = 0; i < rounds; i++) {
		work.commands = i;
		sum += bn_cost_estimate(cost, &work);
	}
	clock_gettime(CLOCK_MONOTONIC, &t[1]);
	took = (double)(t[1].tv_sec - t[0].tv_sec) * 1e9 + (double)(t[1].tv_nsec - t[0].tv_nsec);
	printf("%.0f ns to estimate) ", took / rounds);
	CU_ASSERT_TRUE(sum > 0);
	end();
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"stationary", test_stationary},
		{"varied", test_varied},
		{"two costs", test_two_costs},
		{"step up", test_step_up},
		{"slow fall", test_slow_fall},
		{"unknown", test_unknown},
		{"linear", test_linear},
		{"monotonic", test_monotonic},
		{"forget", test_forget},
		{"bounded", test_bounded},
		{"hostile", test_hostile},
		{"speed", test_speed},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("cost", tests);
}
