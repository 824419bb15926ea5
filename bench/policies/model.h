/* A GPU that takes batches and is not interrupted within one, renderers that obey grants, guests
 * that behave or do not, displays that show a frame at the first vblank with enough lead: in
 * simulated time, in one thread, from a seed. Whoever shares the GPU out sits behind a table of
 * functions: the service's policy library or a rival. */
#ifndef BN_BENCH_POLICIES_MODEL_H
#define BN_BENCH_POLICIES_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/histogram.h"
#include "scheduler/admission.h"
#include "scheduler/policy.h"

#define US 1000ull
#define MS 1000000ull
#define S 1000000000ull

/* 60 Hz. */
#define PSIM_REFRESH 16666667ull
#define PSIM_VMS 10u

/* ---- who shares the GPU out ---- */

/* The functions are those of scheduler/policy.h. */
struct psim_policy {
	const char *name, *what;
	/* NULL without memory. */
	void *(*create)(const struct psim_policy *policy, const struct bn_policy_machine *machine);
	void (*destroy)(void *p);
	void (*vm_set)(void *p, unsigned vm, const struct bn_policy_vm *params, uint64_t now);
	void (*request)(void *p, unsigned vm, uint64_t predicted, uint64_t now);
	void (*withdraw)(void *p, unsigned vm, uint64_t now);
	void (*release)(void *p, unsigned vm, uint64_t release, uint64_t now);
	void (*frame_end)(void *p, unsigned vm, uint64_t now);
	void (*charge)(void *p, unsigned vm, uint64_t actual, uint64_t predicted, uint64_t now);
	void (*give_back)(void *p, unsigned vm, uint64_t now);
	void (*hold)(void *p, unsigned vm, bool hold, uint64_t now); /* NULL: has no such thing */
	void (*next)(void *p, uint64_t now, struct bn_policy_decision *out);
	/* Library only: guard waits and demotions of a VM; NULL: has none. */
	void (*stats)(void *p, unsigned vm, struct bn_policy_stats *out);
	unsigned ahead; /* batches of one grant at the GPU; 0: by ahead_max_ns and in_flight */
	bool cuts;      /* long submits are cut to batch_max_ns */
	int kind;       /* for create() */
};

/* Binnacle first; NULL ends the list. */
extern const struct psim_policy *const psim_policies[];
const struct psim_policy *psim_policy_find(const char *name);

/* ---- guests ---- */

enum psim_guest_kind {
	PSIM_NOBODY,
	PSIM_FRAMES,    /* a frame whenever a display has shown the last one */
	PSIM_WAKES,     /* … and then sleeps for `sleep` */
	PSIM_SATURATES, /* always has a batch queued */
	PSIM_BURSTS,    /* `batches` at once, every `sleep.min`, `phase` after the vblank */
	PSIM_FICKLE,    /* like SATURATES; asks, waits for `think`, takes it back, sleeps, … */
};

struct psim_span {
	uint64_t min, max; /* both included */
};

struct psim_guest {
	const char *name;
	enum psim_guest_kind kind;
	struct bn_policy_vm policy;
	struct psim_span cost;      /* GPU time: of a frame, otherwise of a batch */
	struct psim_span rare_cost; /* … of one in `rare` */
	unsigned rare;
	struct psim_span uncut;   /* … of a batch where nobody cuts; 0: the same */
	struct psim_span batches; /* of a frame or a burst */
	struct psim_span think;   /* guest CPU time before the first batch */
	struct psim_span sleep;
	unsigned gaps;        /* most times that the queue runs dry within a frame */
	struct psim_span gap; /* guest CPU time there */
	uint64_t phase;
	bool faulty; /* of class safety, but breaks its own terms: nothing is promised to it */
	/* Batches in turn: `honest`, then `lies` that are announced at 1/`lie` of their cost. */
	unsigned honest, lies, lie;
};

struct psim_scenario {
	const char *name, *what;
	struct bn_policy_machine machine;
	const struct bn_policy_machine *told; /* what the policy believes of it; NULL: the truth */
	uint64_t watchdog_ns; /* a batch longer than that is a trip; three in a minute: held back */
	/* A guest does what no bound covers: nothing is promised. */
	bool beyond_bounds;
	struct psim_guest guests[PSIM_VMS];
};

extern const struct psim_scenario psim_scenarios[];
extern const unsigned psim_scenario_count;
const struct psim_scenario *psim_scenario_find(const char *name);
/* A VM with half of the GPU reserved and endless work, beside that many (≤ 7) others. */
void psim_isolation(struct psim_scenario *out, unsigned neighbours);
/* One or two safety VMs, one to six others; often admitted. */
void psim_random_scenario(struct psim_scenario *out, uint64_t seed);
unsigned psim_guests(const struct psim_scenario *s);
/* Admission of the scenario's VMs. */
void psim_admit(const struct psim_scenario *s, struct bn_admission *out);
/* Most time that the guest itself takes within a frame, which is not in R. */
uint64_t psim_guest_time(const struct psim_guest *g);

/* ---- what came of it ---- */

#define PSIM_REFRESHES 64u

/* Frames of one VM with a display. */
struct psim_frames {
	uint64_t frames, due, missed, longest_run; /* refreshes but for `frames` */
	uint64_t shown_after[PSIM_REFRESHES];      /* frames by refreshes from release to present */
	uint64_t beyond;                           /* frames whose response was longer than R */
	/* First of these, in simulated time. */
	uint64_t beyond_at, missed_at;
	/* First batch queued → GPU done, less the time the guest left its queue dry. */
	struct bn_histogram response;
	struct bn_histogram done; /* release → GPU done */
	uint64_t present_sum;     /* release → present */
	double response_square, present_square;
	/* To be compared with the response; 0: not of class safety or not admitted. */
	uint64_t bound, deadline;
	/* Admitted, and the guest's own time fits as well: no miss is allowed. */
	bool promised;
};

struct psim_result {
	struct psim_frames frames[PSIM_VMS];
	uint64_t gpu[PSIM_VMS], batches[PSIM_VMS];
	uint64_t guard_waits, demotions, trips, quarantines;
	uint64_t elapsed, busy;     /* simulated time, and the part in which the GPU had work */
	uint64_t slack, slack_used; /* outside cluster frames and guard while others had work */
	uint64_t windows;           /* of one second, for the shares of saturating VMs */
	double share_error_sum, share_error_max;
	uint64_t decisions, grants, leases, revokes, empty_grants, events;
};

/* Until the first VM has had `frames` frames, or should have had six times as many. -ENOMEM. */
int psim_run(const struct psim_scenario *s, const struct psim_policy *policy, uint64_t frames,
	uint64_t seed, struct psim_result *out);
void psim_merge(struct psim_result *into, const struct psim_result *add);
/* All safety VMs taken together, but for faulty ones. */
void psim_safety(
	const struct psim_scenario *s, const struct psim_result *r, struct psim_frames *out);
/* GPU time of everyone but the safety VMs, as a part of the elapsed time. */
double psim_others(const struct psim_scenario *s, const struct psim_result *r);
double psim_response_deviation(const struct psim_frames *f); /* ns */
double psim_present_deviation(const struct psim_frames *f);  /* ns */
/* Refreshes from release to present. */
unsigned psim_present_quantile(const struct psim_frames *f, double q);

#endif
