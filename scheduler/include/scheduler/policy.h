/* Who may use the GPU next. Pure: no I/O, no threads, no clock of its own; every call brings the
 * time (nanoseconds, never falling; a step back is taken as standing still). The arbiter drives it
 * with real renderers, tests and bench/run policies with simulated ones.
 *
 * The GPU takes batches and cannot be interrupted within one. A VM asks for its head batch, gets a
 * grant, uses it, gives it back; what it used is charged. Which VM is next:
 *
 *	safety       a reserved server: `budget` every `period`, at top priority. From the first
 *	             batch of a frame to its flush nobody else is let in, unless the VM has had
 *	             nothing queued for `gap`, or its budget is used up (then it stands behind
 *	             the others until the next period, and what it took too much is a debt).
 *	interactive, a constant-bandwidth server each when `budget` is set, earliest deadline first;
 *	background   time that nobody has reserved or claims goes by weighted virtual runtime of
 *	             `share`, interactive VMs before background ones by weight only.
 *
 * Before a best-effort batch is started the laxity guard asks whether the next safety frame could
 * still be done in time behind it.
 *
 * The compositor (BN_POLICY_COMPOSITOR) goes before all of them. It does not wait for its grant: asking
 * says that its work is at the GPU or about to be. While it has one, no VM is given any; a batch or
 * a frame of a safety VM that has begun goes on, and the compositor's work is behind it or beside it.
 * With FIFO and PRIORITY it is one that asks among others, with PRIORITY before all. */
#ifndef BN_SCHEDULER_POLICY_H
#define BN_SCHEDULER_POLICY_H

#include <stdbool.h>
#include <stdint.h>

/* 32 VMs, and the compositor's own work. */
#define BN_POLICY_VMS_MAX 33u
#define BN_POLICY_COMPOSITOR 32u

enum bn_policy_kind {
	BN_POLICY_NONE,     /* everyone at once: the GPU's own order */
	BN_POLICY_FIFO,     /* one batch at a time, in the order of asking */
	BN_POLICY_PRIORITY, /* one at a time, by class, then in the order of asking */
	BN_POLICY_RESERVE,  /* all of the above */
};

enum bn_vm_class { BN_CLASS_BACKGROUND, BN_CLASS_INTERACTIVE, BN_CLASS_SAFETY };

/* The GPU and what is around it. */
struct bn_policy_machine {
	unsigned in_flight;         /* k: best-effort grants at the GPU at a time, 1–4 */
	uint64_t dispatch_ns;       /* σ: from the end of one batch to the start of the next */
	uint64_t batch_overhead_ns; /* δ: of each batch */
	uint64_t compositor_ns;     /* I: GPU time of the compositor in one period */
	uint64_t lead_ns;           /* S: a frame must be done that long before the vblank */
	/* A batch of a lower class is interrupted within dispatch_ns, whatever its length: a CPU
	 * rasteriser whose threads have priorities. Its length then blocks nobody. */
	bool preemptive;
};

struct bn_policy_vm {
	enum bn_vm_class vm_class;
	uint64_t period_ns;    /* T; of a safety VM the refresh period of its display */
	uint64_t budget_ns;    /* Q: GPU time reserved in each period; 0: none */
	uint32_t share;        /* 1–1000: weight when unreserved time is shared */
	uint64_t batch_max_ns; /* L: longest batch, to which streams are cut */
	uint64_t ahead_max_ns; /* most predicted time that may wait at the GPU */
	/* Safety only: */
	uint64_t gap_ns;       /* how long the GPU is kept for a frame that has nothing queued */
	unsigned gaps;         /* g: how often in a frame more than that passes */
	unsigned batches;      /* n: batches of a frame */
};

struct bn_policy; /* opaque */

/* -ENOMEM, -EINVAL. */
int bn_policy_create(struct bn_policy **out, enum bn_policy_kind kind,
	const struct bn_policy_machine *machine);
void bn_policy_destroy(struct bn_policy *policy);

/* Adds the VM or changes its parameters, which take effect at once (a budget from the next
 * period). */
void bn_policy_vm_set(
	struct bn_policy *p, unsigned vm, const struct bn_policy_vm *params, uint64_t now_ns);
/* Everything that it had is over; debt is forgiven only with the VM. */
void bn_policy_vm_remove(struct bn_policy *p, unsigned vm, uint64_t now_ns);

/* ---- what happens ---- */

/* The VM has work: its head batch would take predicted_ns (clipped to its batch_max for decisions
 * when greater: what cannot be cut cannot be refused for ever). Again: the prediction changed. */
void bn_policy_request(struct bn_policy *p, unsigned vm, uint64_t predicted_ns, uint64_t now_ns);
/* It has none any more. */
void bn_policy_withdraw(struct bn_policy *p, unsigned vm, uint64_t now_ns);
/* A display has shown the VM's last frame: the next one may begin at release_ns (≤ now). */
void bn_policy_release(struct bn_policy *p, unsigned vm, uint64_t release_ns, uint64_t now_ns);
/* The VM has flushed: its frame is complete. */
void bn_policy_frame_end(struct bn_policy *p, unsigned vm, uint64_t now_ns);
/* GPU time used by its grant since the last charge, and what had been predicted for it. May come
 * while the grant (a lease) lasts; the compositor's at any time. */
void bn_policy_charge(struct bn_policy *p, unsigned vm, uint64_t actual_ns, uint64_t predicted_ns,
	uint64_t now_ns);
/* The VM's grant is over, and the GPU has finished all of it. */
void bn_policy_return(struct bn_policy *p, unsigned vm, uint64_t now_ns);
/* No grants for it (quarantine, a hold) until this is called with false. */
void bn_policy_hold(struct bn_policy *p, unsigned vm, bool hold, uint64_t now_ns);

/* ---- what is to be done ---- */

enum bn_decision {
	BN_DECIDE_WAIT,   /* nothing, until something happens or wake_ns */
	BN_DECIDE_GRANT,  /* give `vm` what the members say */
	BN_DECIDE_REVOKE, /* take back vm's grant: it starts no more; bn_policy_return() follows */
};

struct bn_policy_decision {
	enum bn_decision what;
	unsigned vm;
	uint32_t kind; /* enum bn_grant_kind of protocol/grant.h */
	uint64_t allow_ns, until_ns;
	uint64_t wake_ns; /* UINT64_MAX: no need */
};

/* To be called again and again until it says WAIT. Each GRANT and each REVOKE is taken as carried
 * out. */
void bn_policy_next(struct bn_policy *p, uint64_t now_ns, struct bn_policy_decision *out);

/* ---- what became of it ---- */

struct bn_policy_stats {
	uint64_t gpu_ns;      /* charged */
	uint64_t reserved_ns; /* … within a reservation */
	uint64_t grants, leases, revokes;
	uint64_t overruns;    /* times a budget was exceeded */
	uint64_t debt_ns;     /* now */
	uint64_t budget_left_ns;
	uint64_t guard_waits; /* times the laxity guard kept it waiting */
	uint64_t demotions;
	bool demoted, held, waiting, running;
};
void bn_policy_stats(const struct bn_policy *p, unsigned vm, struct bn_policy_stats *out);

#endif
