/* What the parts of the policy share.
 *
 *	policy.c         the events: who asks, who has been granted what
 *	policy_next.c    the decision
 *	policy_best.c    … among best-effort VMs
 *	policy_server.c  budgets, debts, virtual runtime
 *	policy_guard.c   the laxity guard
 *	policy_trust.c   who lies about cost
 */
#ifndef BN_POLICY_PRIV_H
#define BN_POLICY_PRIV_H

#include "protocol/grant.h"
#include "scheduler/policy.h"

/* No time or cost is taken to be longer: sums of some of them stay far from an overflow. */
#define BN_POLICY_LONGEST_NS (UINT64_C(1) << 40)
/* Whoever asks again that soon after its last grant has not been idle in between: it keeps its
 * place, deadline and virtual runtime. The round trip of a guest that waits for its own work. */
#define BN_POLICY_CONTINUES_NS UINT64_C(1000000)
/* No lease for that long after two VMs wanted the GPU: it would be revoked at once. */
#define BN_POLICY_QUIET_NS UINT64_C(2000000)
/* Without a grant for that long, a VM goes before reservations once. */
#define BN_POLICY_STARVED_NS UINT64_C(1000000000)
/* Debt beyond that many budgets is forgiven (of a safety VM: beyond half of one), and so is a lead
 * in virtual runtime of more than that many longest batches: nobody waits for ever. */
#define BN_POLICY_DEBT_MAX 8
/* A grant that lasts that many times longer than it and what is in front of it should does not keep others
 * back any more. */
#define BN_POLICY_STALE 2
/* Batches by which a VM in slack may run ahead of one that is busy with its budget. */
#define BN_POLICY_LEAD 4
/* Units of virtual runtime in a nanosecond of a VM with share 1. */
#define BN_POLICY_VRT 64u

/* Cost that goes beyond the prediction by more than a quarter is a lie, short batches apart. */
#define BN_TRUST_FLOOR_NS UINT64_C(50000)
#define BN_TRUST_WINDOW 64u
/* Lies in the window from which on predictions are corrected. */
#define BN_TRUST_LIES_MAX 16u
/* That many charges as a liar: demoted. */
#define BN_TRUST_DEMOTE 256u
/* Back after that many charges and that much time with hardly a lie (at most these in the
 * window). */
#define BN_TRUST_HONEST 512u
#define BN_TRUST_HONEST_NS UINT64_C(5000000000)
#define BN_TRUST_HONEST_LIES 4u
/* Share of a demoted VM: divided by that. */
#define BN_TRUST_SHARE_DIVISOR 8u
/* Ratios are counted in sixteenths, in classes of a quarter octave up to 2^20. */
#define BN_TRUST_ONE 16u
#define BN_TRUST_CLASSES 84u

struct bn_trust {
	uint64_t lies; /* of the last 64 charges, the newest in bit 0 */
	uint8_t ring[BN_TRUST_WINDOW], count[BN_TRUST_CLASSES];
	unsigned next, filled;
	uint32_t scale;         /* predictions are multiplied by it, in sixteenths */
	uint32_t lying, honest; /* charges in a row */
	uint64_t honest_ns;     /* since when */
	bool demoted;
};

struct bn_vm {
	struct bn_policy_vm par; /* all within bounds; batch_max_ns is never 0 */
	uint64_t weight, util;   /* util: budget / period in 2^-20 */

	/* What it asks for. */
	uint64_t seq, ask_ns, predicted_ns;
	uint64_t cost_ns; /* predicted, corrected for lies, clipped */
	bool guard_waited;
	uint64_t idle_ns; /* when it last had neither a grant nor a wish */

	/* What it has. */
	uint32_t grant; /* enum bn_grant_kind */
	bool reserved;  /* goes against its budget */
	bool recalled;  /* a grant of batches that has been revoked */
	uint64_t grant_ns, until_ns, stale_ns;
	uint64_t allow_ns, used_ns; /* true cost it may come to, charged so far */
	uint64_t advance;           /* virtual runtime charged ahead of the first charge */

	/* The server. */
	uint64_t start_ns; /* of the period */
	int64_t left_ns;   /* negative: debt */
	int64_t filled_ns; /* what the period began with */
	bool refused;      /* in this period a batch did not fit into what was left */
	uint64_t vrt;
	uint64_t booked_vrt; /* of time within the budget, by what is reserved */

	/* The frame of a safety VM. */
	bool open, done; /* between first batch and flush; flushed since the release */
	bool released;
	uint64_t dry_ns; /* nothing queued since */
	bool dry;
	uint64_t kept_ns;      /* the GPU was kept for it in this period, before what goes on now */
	uint64_t keep_from_ns; /* until then it has been counted */
	uint64_t release_ns, frame_used_ns, others_ns;

	struct bn_trust trust;
	struct bn_policy_stats stats;
};

struct bn_policy {
	enum bn_policy_kind kind;
	struct bn_policy_machine machine;
	uint64_t now_ns, seq, vrt_floor;
	uint64_t contended_ns;
	bool contended;
	/* More is reserved than there is: deadlines mean nothing then, so reservations get the same
	 * part each. */
	bool overbooked;
	uint64_t booked_floor; /* what the last of them began with */
	/* A bit for each VM. */
	uint64_t present, waiting, granted, held;
	uint64_t safety;  /* safety VMs with a budget */
	uint64_t servers; /* others with a budget */
	uint64_t best;    /* best-effort grants at the GPU: batches and leases of VMs */
	uint64_t leases, frames;
	uint64_t revocable; /* leases and frame grants that have not been revoked */
	struct bn_vm vms[BN_POLICY_VMS_MAX];
};

#define BN_BIT(vm) (UINT64_C(1) << (vm))
#define BN_COMPOSITOR_BIT BN_BIT(BN_POLICY_COMPOSITOR)

/* for (uint64_t m = mask; m; m &= m - 1) { unsigned vm = bn_lowest(m); … } */
static inline unsigned bn_lowest(uint64_t mask)
{
	return (unsigned)__builtin_ctzll(mask);
}

static inline uint64_t bn_least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t bn_less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* Its server's next replenishment. */
static inline uint64_t bn_server_due(const struct bn_vm *v)
{
	return v->start_ns + v->par.period_ns;
}

/* ---- policy.c ---- */

/* Brings everything within bounds; a batch_max_ns of 0 (not cut) becomes a second. */
void bn_policy_take_machine(struct bn_policy_machine *machine);
void bn_policy_take_params(struct bn_policy_vm *to, const struct bn_policy_vm *from);

/* ---- policy_server.c ---- */

/* Weight, server and masks after parameters or demotion changed. */
void bn_server_configure(struct bn_policy *p, unsigned vm);
/* Virtual runtime of that much time within its budget. */
uint64_t bn_server_booked(const struct bn_vm *v, uint64_t ns);
/* A period begins now with a full budget. */
void bn_server_start(struct bn_policy *p, struct bn_vm *v);
/* A-priori enforcement: the head batch fits into what is left of the budget. One that is longer than a
 * whole budget could never; it goes while anything is left, and the rest is debt. */
static inline bool bn_server_fits(const struct bn_vm *v)
{
	if (v->left_ns <= 0)
		return false;
	return v->cost_ns <= (uint64_t)v->left_ns || v->cost_ns > v->par.budget_ns;
}
/* Until when the GPU may be kept for a safety VM that holds a grant of a frame now. */
uint64_t bn_server_keep_end(const struct bn_policy *p, const struct bn_vm *v);
/* It gives a grant of a frame back. */
void bn_server_keep(const struct bn_policy *p, struct bn_vm *v);
/* Its queue has been dry until now: the GPU was kept for as long as a gap, whoever wanted it. */
void bn_server_keep_gap(const struct bn_policy *p, struct bn_vm *v);
/* It has had what it may have in this period: GPU time, or time in which nobody was let in. */
bool bn_server_spent(const struct bn_policy *p, const struct bn_vm *v);
/* Brings the budgets of these VMs up to date. */
void bn_server_refill(struct bn_policy *p, uint64_t mask);
/* A display has shown a frame: the safety VM's period begins there. */
void bn_server_release(struct bn_vm *v, uint64_t release_ns);
/* The VM asks after having been idle. */
void bn_server_wake(struct bn_policy *p, unsigned vm);
/* A grant in slack counts from its start, and is corrected by the first charge. */
void bn_server_advance(struct bn_vm *v, uint64_t cost_ns);
void bn_server_retract(struct bn_vm *v);
void bn_server_charge(struct bn_policy *p, unsigned vm, uint64_t actual_ns);

/* ---- policy_next.c ---- */

/* A grant, put into *out. */
void bn_next_give(struct bn_policy *p, unsigned vm, uint32_t kind, uint64_t allow_ns,
	uint64_t until_ns, struct bn_policy_decision *out);
/* Nobody else has or wants the GPU, nor did a moment ago. */
bool bn_next_alone(const struct bn_policy *p, unsigned vm);
static inline void bn_wake_at(struct bn_policy_decision *out, uint64_t ns)
{
	out->wake_ns = bn_least(out->wake_ns, ns);
}

/* ---- policy_best.c ---- */

/* One of the VMs in `ready` gets a grant, if there is a free place and the guard agrees. */
void bn_next_best(struct bn_policy *p, uint64_t ready, struct bn_policy_decision *out);

/* ---- policy_guard.c ---- */

struct bn_guard {
	uint64_t latest_ns; /* best-effort work must be done then; UINT64_MAX: no matter */
	uint64_t opens_ns;  /* when that limit is gone, should nothing happen until then */
};

/* For work of VM `vm` itself, which its own frames need not be guarded from. */
void bn_guard_look(const struct bn_policy *p, unsigned vm, struct bn_guard *guard);
/* What may still be done at the GPU by best-effort grants. */
uint64_t bn_guard_outstanding(const struct bn_policy *p);
/* How long the GPU is kept for a frame of a safety VM at most, the compositor's work apart. */
uint64_t bn_guard_frame(const struct bn_policy_machine *machine, const struct bn_policy_vm *vm);
/* Frames of other safety VMs that can come into a frame of vms[vm], in time. */
uint64_t bn_guard_others(const struct bn_policy_machine *machine,
	const struct bn_policy_vm *const vms[BN_POLICY_VMS_MAX], unsigned vm);

/* ---- policy_trust.c ---- */

void bn_trust_init(struct bn_trust *t);
/* True when the VM has just been demoted or pardoned. */
bool bn_trust_learn(struct bn_trust *t, uint64_t actual_ns, uint64_t predicted_ns, uint64_t now_ns);
static inline uint64_t bn_trust_cost(const struct bn_trust *t, uint64_t predicted_ns)
{
	return t->scale == BN_TRUST_ONE ? predicted_ns : predicted_ns * t->scale / BN_TRUST_ONE;
}

#endif
