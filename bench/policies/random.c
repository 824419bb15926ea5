/* Scenarios at random: what no one has thought of. */
#include "world.h"

static uint64_t between(uint64_t *random, uint64_t min, uint64_t max)
{
	return psim_within(random, (struct psim_span){min, max});
}

static struct psim_span span(uint64_t *random, uint64_t min, uint64_t max)
{
	uint64_t a = between(random, min, max), b = between(random, min, max);

	return a < b ? (struct psim_span){a, b} : (struct psim_span){b, a};
}

/* Its batches stay within batch_max: at least so many that an uneven one does. */
static void safety_guest(struct psim_guest *g, uint64_t *random, uint64_t budget)
{
	uint64_t cost = budget - budget / 8;

	*g = (struct psim_guest){.name = "safety",
		.kind = psim_below(random, 4) ? PSIM_FRAMES : PSIM_WAKES,
		.policy = {.vm_class = BN_CLASS_SAFETY,
			.period_ns = PSIM_REFRESH,
			.budget_ns = budget,
			.share = 100,
			.batch_max_ns = between(random, 500 * US, 3 * MS),
			.ahead_max_ns = 2 * MS,
			.gap_ns = between(random, 0, 500 * US)},
		.cost = span(random, cost / 4, cost),
		.rare_cost = {cost - cost / 10, cost},
		.rare = 10,
		.think = span(random, 10 * US, 1 * MS),
		.sleep = span(random, 0, 60 * MS),
		.phase = psim_below(random, PSIM_REFRESH)};
	g->policy.batches = (unsigned)between(random, 1, 12);
	g->batches = span(random, 1, g->policy.batches);
	g->gaps = (unsigned)psim_below(random, 3);
	g->policy.gaps = g->gaps;
	g->gap = span(random, 10 * US, 1 * MS);
}

static void neighbour(struct psim_guest *g, uint64_t *random, uint64_t longest)
{
	static const enum psim_guest_kind kinds[] = {
		PSIM_SATURATES, PSIM_SATURATES, PSIM_BURSTS, PSIM_FICKLE, PSIM_FRAMES};
	uint64_t most = between(random, 100 * US, longest);

	*g = (struct psim_guest){.name = "neighbour",
		.kind = kinds[psim_below(random, sizeof(kinds) / sizeof(*kinds))],
		.policy = {.vm_class = psim_below(random, 2) ? BN_CLASS_BACKGROUND
							     : BN_CLASS_INTERACTIVE,
			.period_ns = psim_below(random, 2) ? PSIM_REFRESH
							   : between(random, 4 * MS, 100 * MS),
			.share = (uint32_t)between(random, 1, 1000),
			.batch_max_ns = most,
			.ahead_max_ns = most},
		.cost = span(random, 5 * US, most - 20 * US),
		.batches = span(random, 1, 12),
		.think = span(random, 1 * US, 3 * MS),
		.sleep = span(random, 1 * US, 20 * MS),
		.phase = psim_below(random, PSIM_REFRESH)};
	if (psim_below(random, 3) == 0)
		g->policy.budget_ns = between(random, 500 * US, g->policy.period_ns / 2);
	if (g->kind == PSIM_FRAMES) {
		uint64_t frame = g->batches.min * (most - 20 * US) / 2;

		g->cost = span(random, frame / 4, frame);
	}
	if (psim_below(random, 3) == 0) {
		g->lie = (unsigned)between(random, 2, 100);
		g->honest = (unsigned)psim_below(random, 150);
		g->lies = (unsigned)between(random, 1, 50);
	}
}

void psim_random_scenario(struct psim_scenario *s, uint64_t seed)
{
	uint64_t random = seed, longest;
	unsigned n = 0, others;

	*s = (struct psim_scenario){.name = "random",
		.what = "any",
		.machine = {.in_flight = (unsigned)between(&random, 1, 4),
			.dispatch_ns = between(&random, 1 * US, 200 * US),
			.batch_overhead_ns = between(&random, 0, 20 * US),
			.lead_ns = between(&random, 0, 4 * MS)}};
	s->machine.preemptive = psim_below(&random, 8) == 0;
	longest = between(&random, 300 * US, 3 * MS);
	safety_guest(&s->guests[n++], &random, between(&random, 500 * US, 8 * MS));
	if (psim_below(&random, 4) == 0)
		safety_guest(&s->guests[n++], &random, between(&random, 200 * US, 2 * MS));
	others = (unsigned)between(&random, 1, 6);
	while (others-- > 0)
		neighbour(&s->guests[n++], &random, longest);
}
