/* The policy in the simulated GPU of bench/policies, in short: what it promises it keeps, against
 * guests that lie, strike and overrun; and the harness does see it when a promise is broken. */
#include <stdlib.h>

#include "model.h"
#include "sim.h"

/* Of the cluster, in each scenario from each seed. */
#define FRAMES 10000u
#define SEEDS 4u
/* Scenarios at random. */
#define SETS 2000u
#define SET_FRAMES 300u

static struct psim_result result;

static void run(const struct psim_scenario *s, const char *policy, uint64_t frames, uint64_t seed)
{
	CU_ASSERT_EQUAL_FATAL(psim_run(s, psim_policy_find(policy), frames, seed, &result), 0);
}

static const struct psim_scenario *scenario(const char *name)
{
	const struct psim_scenario *s = psim_scenario_find(name);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	return s;
}

/* ---- what is promised ---- */

/* The number of frames for which something is promised. */
static uint64_t check_result(const struct psim_scenario *s, uint64_t seed)
{
	uint64_t frames = 0;

	for (unsigned i = 0; i < psim_guests(s); i++) {
		const struct psim_frames *f = &result.frames[i];

		if (!f->promised)
			continue;
		frames += f->frames;
		SIM_CHECK(f->missed == 0, "%s, %s, run %llu: first miss at %.6f s", s->name,
			s->guests[i].name, (unsigned long long)seed, (double)f->missed_at / 1e9);
		SIM_CHECK(f->beyond == 0,
			"%s, %s, run %llu: a response of %.3f ms, the bound is %.3f; at %.6f s",
			s->name, s->guests[i].name, (unsigned long long)seed,
			(double)f->response.max_ns / 1e6, (double)f->bound / 1e6,
			(double)f->beyond_at / 1e9);
	}
	return frames;
}

static void test_promises(void)
{
	struct sim_random random = sim_random(1);
	uint64_t frames = 0;

	for (unsigned s = 0; s < psim_scenario_count; s++) {
		for (unsigned i = 0; i < SEEDS; i++) {
			uint64_t seed = sim_next(&random), n;

			run(&psim_scenarios[s], "binnacle", FRAMES, seed);
			SIM_CHECK(result.frames[0].frames == FRAMES, "%s: %llu frames",
				psim_scenarios[s].name,
				(unsigned long long)result.frames[0].frames);
			n = check_result(&psim_scenarios[s], seed);
			SIM_CHECK((n == 0) == psim_scenarios[s].beyond_bounds,
				"%s: promised %llu frames", psim_scenarios[s].name,
				(unsigned long long)n);
			frames += n;
		}
	}
	SIM_CHECK(frames >= 200000, "only %llu frames", (unsigned long long)frames);
	sim_settle();
}

/* Whatever the machine and the guests: what is admitted is kept. */
static void test_random(void)
{
	struct sim_random random = sim_random(8);
	unsigned admitted = 0;

	for (unsigned i = 0; i < SETS; i++) {
		uint64_t seed = sim_next(&random);
		struct psim_scenario s;

		psim_random_scenario(&s, seed);
		run(&s, "binnacle", SET_FRAMES, seed);
		admitted += check_result(&s, seed) > 0;
	}
	SIM_CHECK(admitted >= SETS / 4, "only %u of %u sets were admitted", admitted, SETS);
	sim_settle();
}

/* A batch that nobody can cut hurts the frames that it meets, and no others. */
static void test_giant(void)
{
	const struct psim_scenario *s = scenario("giant");
	struct sim_random random = sim_random(2);

	run(s, "binnacle", FRAMES, sim_next(&random));
	SIM_CHECK(result.trips >= 3 && result.quarantines >= 1, "%llu trips",
		(unsigned long long)result.trips);
	SIM_CHECK(result.frames[0].beyond <= 4 * result.trips, "%llu frames late for %llu trips",
		(unsigned long long)result.frames[0].beyond, (unsigned long long)result.trips);
	SIM_CHECK(result.frames[0].longest_run <= 4, "%llu refreshes",
		(unsigned long long)result.frames[0].longest_run);
	sim_settle();
}

/* ---- what the others get ---- */

static void check_slack(const char *name, double least, double share_error)
{
	struct sim_random random = sim_random(3);

	run(scenario(name), "binnacle", FRAMES / 2, sim_next(&random));
	SIM_CHECK((double)result.slack_used >= least * (double)result.slack, "%s: %.2f %% used",
		name, 100 * (double)result.slack_used / (double)result.slack);
	SIM_CHECK(result.windows >= 50 && result.share_error_max <= share_error,
		"%s: %.2f %% in %llu windows", name, 100 * result.share_error_max,
		(unsigned long long)result.windows);
	sim_settle();
}

static void test_slack(void)
{
	check_slack("hogs", 0.95, 0.02);
	check_slack("gaps", 0.95, 0.02);
	check_slack("eight", 0.95, 0.02);
	check_slack("wakes", 0.95, 0.02);
	check_slack("uncut", 0.95, 0.02);
	/* One VM alone beside the cluster has all the slack, of the share it is sure. */
	check_slack("runaway", 0.95, 0.02);
}

static void test_shares(void)
{
	check_slack("shares", 0.95, 0.02);
}

static void test_isolation(void)
{
	struct sim_random random = sim_random(4);
	struct psim_scenario s;
	double alone;

	psim_isolation(&s, 0);
	run(&s, "binnacle", 300, sim_next(&random));
	alone = (double)result.gpu[0] / (double)result.elapsed;
	SIM_CHECK(alone > 0.9, "alone it has %.3f of the GPU", alone);
	for (unsigned n = 1; n <= 7; n++) {
		double half;

		psim_isolation(&s, n);
		run(&s, "binnacle", 300, sim_next(&random));
		half = (double)result.gpu[0] / (double)result.elapsed;
		SIM_CHECK(half >= 0.98 * alone / 2, "%u neighbours: %.3f of half of it", n,
			half / alone * 2);
	}
	sim_settle();
}

/* ---- the harness sees failures ---- */

static void test_fifo_misses(void)
{
	struct sim_random random = sim_random(5);

	run(scenario("hogs"), "fifo", FRAMES / 5, sim_next(&random));
	SIM_CHECK(result.frames[0].promised && result.frames[0].missed > 0 &&
			  result.frames[0].beyond > 0,
		"%llu missed", (unsigned long long)result.frames[0].missed);
	sim_settle();
}

/* Batches so long that the bound admits nothing: then it is the laxity guard that keeps frames in
 * time, and without it (the policy believes that frames may be done later) they are not. */
static void test_guard(void)
{
	struct sim_random random = sim_random(6);
	struct psim_scenario s = *scenario("hogs");
	struct bn_policy_machine told = s.machine;

	for (unsigned i = 1; i <= 2; i++) {
		s.guests[i].policy.batch_max_ns = 6 * MS;
		s.guests[i].policy.ahead_max_ns = 6 * MS;
		s.guests[i].cost.min = 3 * MS;
		s.guests[i].cost.max = 5900 * US;
	}
	run(&s, "binnacle", FRAMES / 2, sim_next(&random));
	SIM_CHECK(!result.frames[0].promised && result.frames[0].bound == 0, "admitted: R %.3f ms",
		(double)result.frames[0].bound / 1e6);
	SIM_CHECK(result.frames[0].missed == 0 && result.guard_waits > 0,
		"%llu missed, first at %.6f s", (unsigned long long)result.frames[0].missed,
		(double)result.frames[0].missed_at / 1e9);

	told.lead_ns = 0;
	s.told = &told;
	s.guests[0].policy.budget_ns = 4 * MS;
	run(&s, "binnacle", FRAMES / 2, sim_next(&random));
	SIM_CHECK(result.frames[0].missed > 0, "no frame was missed without the guard");
	sim_settle();
}

/* The same seed gives the same run. */
static void test_repeats(void)
{
	static struct psim_result first;

	run(scenario("attack"), "binnacle", 2000, 7);
	first = result;
	run(scenario("attack"), "binnacle", 2000, 7);
	SIM_CHECK(first.events == result.events && first.elapsed == result.elapsed &&
			  first.frames[0].response.sum_ns == result.frames[0].response.sum_ns,
		"%llu and %llu events", (unsigned long long)first.events,
		(unsigned long long)result.events);
	run(scenario("attack"), "binnacle", 2000, 8);
	SIM_CHECK(first.elapsed != result.elapsed ||
			  first.frames[0].response.sum_ns != result.frames[0].response.sum_ns,
		"another seed changes nothing");
	sim_settle();
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"admitted sets: no miss, no response beyond the bound", test_promises},
		{"any set: what is admitted is kept", test_random},
		{"a batch that cannot be cut: trips, quarantine", test_giant},
		{"slack is used", test_slack},
		{"shares 1:2:3:4 within 2 %", test_shares},
		{"half of the GPU, whatever the neighbours", test_isolation},
		{"FIFO misses", test_fifo_misses},
		{"the laxity guard alone, and without it", test_guard},
		{"a seed is a run", test_repeats},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("policies", tests);
}
