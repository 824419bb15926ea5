/* Who meets whom. Times are of a mid-range embedded GPU at 60 Hz. */
#include <string.h>

#include "model.h"

#define T PSIM_REFRESH
#define SPAN(a, b) {.min = (a), .max = (b)}

#define MACHINE(k, ...)                       \
	{.in_flight = (k),                    \
		.dispatch_ns = 50 * US,       \
		.batch_overhead_ns = 20 * US, \
		.lead_ns = 2 * MS,            \
		__VA_ARGS__}

/* ---- terms: budget Q, longest batch L, N batches and G gaps of a frame ---- */

#define SAFETY(Q, L, N, G)            \
	{.vm_class = BN_CLASS_SAFETY, \
		.period_ns = T,       \
		.budget_ns = (Q),     \
		.share = 100,         \
		.batch_max_ns = (L),  \
		.ahead_max_ns = (L),  \
		.gap_ns = 200 * US,   \
		.gaps = (G),          \
		.batches = (N)}
#define SERVER(Q, L)                       \
	{.vm_class = BN_CLASS_INTERACTIVE, \
		.period_ns = T,            \
		.budget_ns = (Q),          \
		.share = 100,              \
		.batch_max_ns = (L),       \
		.ahead_max_ns = (L)}
#define BACKGROUND(SHARE, L)              \
	{.vm_class = BN_CLASS_BACKGROUND, \
		.period_ns = T,           \
		.share = (SHARE),         \
		.batch_max_ns = (L),      \
		.ahead_max_ns = (L)}

/* ---- guests; what sets one apart from its like comes last ---- */

/* Nearly always 3 to 4 ms in two to four batches, at worst 5 ms; the budget has a tenth more, for
 * grants are counted in predictions. */
#define CLUSTER(KIND, G, ...)                              \
	{.name = "cluster",                                \
		.kind = (KIND),                            \
		.policy = SAFETY(5600 * US, 2 * MS, 4, G), \
		.cost = SPAN(3 * MS, 4 * MS),              \
		.rare_cost = SPAN(4 * MS, 5 * MS),         \
		.rare = 50,                                \
		.batches = SPAN(2, 4),                     \
		.think = SPAN(200 * US, 1 * MS),           \
		.gaps = (G),                               \
		.gap = SPAN(300 * US, 1 * MS),             \
		__VA_ARGS__}
#define STEADY CLUSTER(PSIM_FRAMES, 0)

/* Draws at 60 Hz as well; one frame in 20 takes five times as long. */
#define COCKPIT(NAME, PHASE, Q, LO, HI)                \
	{.name = NAME,                                 \
		.kind = PSIM_FRAMES,                   \
		.policy = SERVER(Q, 2 * MS),           \
		.cost = SPAN(LO, HI),                  \
		.rare_cost = SPAN(5 * (LO), 5 * (HI)), \
		.rare = 20,                            \
		.batches = SPAN(8, 12),                \
		.think = SPAN(200 * US, 2 * MS),       \
		.phase = (PHASE)}
/* Always has work, from LO to HI a batch. */
#define BUSY(NAME, POLICY, LO, HI, ...) \
	{.name = NAME, .kind = PSIM_SATURATES, .policy = POLICY, .cost = SPAN(LO, HI), __VA_ARGS__}
#define HOG(NAME, SHARE, ...) \
	BUSY(NAME, BACKGROUND(SHARE, 2 * MS), 100 * US, 1980 * US, __VA_ARGS__)
#define GIANT HOG("giant", 100, .rare_cost = SPAN(10 * MS, 50 * MS), .rare = 2000)

const struct psim_scenario psim_scenarios[] = {
	{.name = "hogs",
		.what = "two neighbours that always have work",
		.machine = MACHINE(2),
		.guests = {STEADY, HOG("hog1", 100), HOG("hog2", 100)}},
	{.name = "gaps",
		.what = "the cluster's queue runs dry twice in a frame",
		.machine = MACHINE(1),
		.guests = {CLUSTER(PSIM_FRAMES, 2),
			BUSY("hog1", BACKGROUND(100, 1 * MS), 50 * US, 980 * US),
			BUSY("hog2", BACKGROUND(100, 1 * MS), 50 * US, 980 * US)}},
	{.name = "liars",
		.what = "neighbours announce 1/40 of the cost, and are honest in between",
		.machine = MACHINE(2),
		.guests = {STEADY,
			BUSY("liar1", BACKGROUND(100, 2 * MS), 1500 * US, 1980 * US, .honest = 90,
				.lies = 12, .lie = 40),
			BUSY("liar2", BACKGROUND(100, 2 * MS), 1000 * US, 1980 * US, .honest = 7,
				.lies = 200, .lie = 40),
			HOG("honest", 100)}},
	{.name = "giant",
		.what = "one batch in 2000 of a neighbour takes 10-50 ms and cannot be cut",
		.machine = MACHINE(2),
		.watchdog_ns = 4 * MS,
		.beyond_bounds = true,
		.guests = {STEADY, GIANT, HOG("hog", 100)}},
	{.name = "giant-cpu",
		.what = "the same where the GPU can interrupt (CPU rasteriser with priorities)",
		.machine = MACHINE(2, .preemptive = true),
		.watchdog_ns = 4 * MS,
		.guests = {STEADY, GIANT, HOG("hog", 100)}},
	{.name = "cockpit",
		.what = "a bursty cockpit with a reservation, and a neighbour with endless work",
		.machine = MACHINE(2),
		.guests = {STEADY, COCKPIT("cockpit", 5 * MS, 4 * MS, 2500 * US, 3500 * US),
			HOG("hog", 100)}},
	{.name = "eight",
		.what = "8 VMs: cluster, telltale, two cockpits, four with endless work",
		.machine = MACHINE(1),
		.guests = {STEADY,
			{.name = "telltale",
				.kind = PSIM_FRAMES,
				.policy = SAFETY(600 * US, 600 * US, 1, 0),
				.cost = SPAN(300 * US, 500 * US),
				.batches = SPAN(1, 1),
				.think = SPAN(100 * US, 1 * MS),
				.phase = 7 * MS},
			COCKPIT("cockpit1", 3 * MS, 2 * MS, 1200 * US, 1700 * US),
			COCKPIT("cockpit2", 9 * MS, 2 * MS, 1200 * US, 1700 * US), HOG("hog1", 100),
			HOG("hog2", 100), HOG("hog3", 200), HOG("hog4", 400)}},
	{.name = "overload",
		.what = "more is reserved than there is (cluster 34 %, others 110 %)",
		.machine = MACHINE(2),
		.guests = {STEADY, BUSY("greedy1", SERVER(10 * MS, 2 * MS), 100 * US, 1980 * US),
			BUSY("greedy2", SERVER(8333 * US, 2 * MS), 100 * US, 1980 * US),
			HOG("hog", 100)}},
	{.name = "wakes",
		.what = "the cluster sleeps, and wakes at any time",
		.machine = MACHINE(2),
		.guests = {CLUSTER(PSIM_WAKES, 0, .sleep = SPAN(0, 100 * MS)), HOG("hog1", 100),
			HOG("hog2", 100)}},
	{.name = "shares",
		.what = "four neighbours with shares 1:2:3:4",
		.machine = MACHINE(2),
		.guests = {STEADY, HOG("share1", 100), HOG("share2", 200), HOG("share3", 300),
			HOG("share4", 400)}},
	{.name = "attack",
		.what = "neighbours strike at the vblank, ask and take it back, submit dust",
		.machine = MACHINE(2),
		.guests = {STEADY,
			{.name = "burst",
				.kind = PSIM_BURSTS,
				.policy = BACKGROUND(100, 2 * MS),
				.cost = SPAN(1900 * US, 1980 * US),
				.batches = SPAN(4, 8),
				.sleep = SPAN(T, T),
				.phase = 10 * US},
			{.name = "fickle",
				.kind = PSIM_FICKLE,
				.policy = BACKGROUND(1000, 2 * MS),
				.cost = SPAN(1900 * US, 1980 * US),
				.think = SPAN(10 * US, 2 * MS),
				.sleep = SPAN(10 * US, 1 * MS)},
			BUSY("dust", BACKGROUND(1, 2 * MS), 5 * US, 60 * US)}},
	{.name = "runaway",
		.what = "a second safety VM needs 20 times what it has reserved",
		.machine = MACHINE(1),
		.guests = {STEADY,
			{.name = "runaway",
				.kind = PSIM_FRAMES,
				.faulty = true,
				.policy = SAFETY(1 * MS, 500 * US, 3, 0),
				.cost = SPAN(18 * MS, 22 * MS),
				.batches = SPAN(60, 70),
				.think = SPAN(100 * US, 1 * MS),
				.phase = 7 * MS},
			HOG("hog", 100)}},
	{.name = "uncut",
		.what = "neighbours submit 5-9 ms at a time, which only Binnacle cuts; a gap",
		.machine = MACHINE(1),
		.guests = {CLUSTER(PSIM_FRAMES, 1),
			BUSY("hog1", BACKGROUND(100, 2 * MS), 1000 * US, 1980 * US,
				.uncut = SPAN(5 * MS, 9 * MS)),
			BUSY("hog2", BACKGROUND(100, 2 * MS), 1000 * US, 1980 * US,
				.uncut = SPAN(5 * MS, 9 * MS))}},
};

void psim_isolation(struct psim_scenario *out, unsigned neighbours)
{
	static const struct psim_guest half =
		BUSY("half", SERVER(T / 2, 1 * MS), 100 * US, 980 * US);
	static const struct psim_guest hog = HOG("hog", 1000);

	*out = (struct psim_scenario){.name = "isolation",
		.what = "half of the GPU reserved for a VM",
		.machine = MACHINE(2),
		.guests = {half}};
	for (unsigned i = 1; i <= neighbours && i < PSIM_VMS; i++)
		out->guests[i] = hog;
}

const unsigned psim_scenario_count = sizeof(psim_scenarios) / sizeof(*psim_scenarios);

const struct psim_scenario *psim_scenario_find(const char *name)
{
	for (unsigned i = 0; i < psim_scenario_count; i++) {
		if (strcmp(psim_scenarios[i].name, name) == 0)
			return &psim_scenarios[i];
	}
	return NULL;
}

const struct psim_policy *psim_policy_find(const char *name)
{
	for (unsigned i = 0; psim_policies[i]; i++) {
		if (strcmp(psim_policies[i]->name, name) == 0)
			return psim_policies[i];
	}
	return NULL;
}

unsigned psim_guests(const struct psim_scenario *s)
{
	unsigned n = 0;

	while (n < PSIM_VMS && s->guests[n].kind != PSIM_NOBODY)
		n++;
	return n;
}

void psim_admit(const struct psim_scenario *s, struct bn_admission *out)
{
	const struct bn_policy_vm *vms[BN_POLICY_VMS_MAX] = {NULL};

	for (unsigned i = 0; i < psim_guests(s); i++)
		vms[i] = &s->guests[i].policy;
	bn_admission_test(out, &s->machine, vms, NULL);
}
