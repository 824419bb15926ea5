/* The arbiter: a thread of its own that hands the GPU to one renderer after the other, as the
 * policy (scheduler/policy.h) decides. It shares one page pair and two doorbells with each
 * renderer (protocol/grant.h). When the GPU is a CPU rasteriser it also decides which renderer's
 * threads get the processor. The calls below are for the daemon's main thread; each takes the
 * arbiter's lock for some microseconds. */
#ifndef BN_DAEMON_ARBITER_H
#define BN_DAEMON_ARBITER_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/histogram.h"
#include "protocol/grant.h"
#include "scheduler/admission.h"
#include "scheduler/policy.h"
#include "scheduler/trace.h"

struct bn_cgroup;
struct wl_event_loop;
struct bn_arbiter; /* opaque */

/* What the arbiter wants a person to know; on the main thread, from the loop. */
enum bn_arbiter_event_kind {
	BN_ARBITER_TRIPPED,	/* a batch ran longer than the VM's watchdog: context lost */
	BN_ARBITER_STUCK,	/* … and did not end after that either: the renderer must be replaced */
	BN_ARBITER_QUARANTINED,
	BN_ARBITER_IGNORES,	/* it used the GPU without a grant, or kept a grant: held back */
	/* It holds a grant and neither works nor gives it back: the grant is taken away. STUCK
	 * follows when it stays so for two seconds while others are there. */
	BN_ARBITER_SILENT,
	BN_ARBITER_OVERRUN,	/* a safety VM used more than its budget */
	BN_ARBITER_DEMOTED,	/* it keeps lying about cost */
	BN_ARBITER_LATE,	/* the arbiter itself was not run in time (value: by how much) */
};
struct bn_arbiter_event {
	enum bn_arbiter_event_kind kind;
	unsigned vm;	   /* BN_POLICY_VMS_MAX: none */
	uint64_t time_ns;  /* CLOCK_MONOTONIC */
	uint64_t value_ns; /* how long, how much */
	uint64_t limit_ns; /* of what was allowed */
	bool compiles;     /* OVERRUN: it was compiling shaders */
};

struct bn_arbiter_config {
	enum bn_policy_kind policy;
	struct bn_policy_machine machine; /* preemptive is given up without SCHED_FIFO */
	bool software;	  /* the GPU is a CPU rasteriser */
	bool realtime;	  /* ask for SCHED_FIFO; without the right to it a warning says how to get it */
	cpu_set_t cpus;	  /* where renderers may run; empty: anywhere */
	/* VMs are kept out for composed pictures that long in a row; then they are let in, whatever
	 * became of the pictures. 0: 100 ms. */
	uint64_t composing_max_ns;
	struct bn_trace *trace;
	void (*event)(void *data, const struct bn_arbiter_event *event);
	void *data;
};

/* Starts the thread. 0 or -errno. */
int bn_arbiter_create(
	struct bn_arbiter **out, struct wl_event_loop *loop, const struct bn_arbiter_config *config);
/* Every renderer must be detached. NULL is allowed. */
void bn_arbiter_destroy(struct bn_arbiter *arbiter);

struct bn_arbiter_vm {
	struct bn_policy_vm policy;
	/* Longest that one batch may run; 0: twice batch_max_ns, 100 ms of processor time on a CPU
	 * rasteriser, 1 s with policies that do not cut streams. */
	uint64_t watchdog_ns;
	unsigned trips_max;   /* trips within a minute that lead to quarantine */
};
/* Adds a VM or changes it. Refused with -EPERM when a guarantee (a safety VM's bound, another one's
 * reservation) would not hold any more, or not for this VM: then *admission says why and nothing changed; force skips the refusal (at start, where the
 * operator is told instead). admission may be NULL. */
int bn_arbiter_vm_set(struct bn_arbiter *arbiter, unsigned vm, const char *name,
	const struct bn_arbiter_vm *params, bool force, struct bn_admission *admission);
/* What bn_arbiter_vm_set() would say, nothing is changed; params NULL: as things are. */
void bn_arbiter_admit(struct bn_arbiter *arbiter, unsigned vm, const struct bn_arbiter_vm *params,
	struct bn_admission *out);
void bn_arbiter_vm_params(struct bn_arbiter *arbiter, unsigned vm, struct bn_arbiter_vm *out);
const struct bn_arbiter_config *bn_arbiter_config(const struct bn_arbiter *arbiter);

struct bn_arbiter_fds {
	int request, grant; /* memfds */
	int arbiter_bell, renderer_bell; /* eventfds */
};
/* A page pair for a new renderer of that VM; the fds are the caller's to send and to close. The
 * predecessor must be detached. 0 or -errno. */
int bn_arbiter_attach(struct bn_arbiter *arbiter, unsigned vm, struct bn_arbiter_fds *out);
/* The renderer's process, once it is started: its threads get their CPU class, now and later ones
 * by inheritance. */
void bn_arbiter_process(struct bn_arbiter *arbiter, unsigned vm, pid_t pid);
/* The group that the VM's renderers are in, for as long as the VM is there: then they are stopped
 * through it. NULL: by signals. */
void bn_arbiter_cgroup(struct bn_arbiter *arbiter, unsigned vm, struct bn_cgroup *group);
/* The renderer is gone: whatever it held is free. Quarantine stays. */
void bn_arbiter_detach(struct bn_arbiter *arbiter, unsigned vm);
/* A display has shown a frame of this VM at release_ns: its next one may begin. */
void bn_arbiter_released(struct bn_arbiter *arbiter, unsigned vm, uint64_t release_ns);
/* For how long, between two moments (CLOCK_MONOTONIC), the arbiter's thread was not run though it was
 * due: the host, or something with a higher priority, had the processor. What is seen of the last
 * 64 stalls of a millisecond or more while the thread waited for a time; a stall in which it had
 * none to wait for is not seen. */
uint64_t bn_arbiter_stalled(struct bn_arbiter *arbiter, uint64_t from_ns, uint64_t to_ns);
/* Out of quarantine, by a person or because the guest reset its device. */
void bn_arbiter_pardon(struct bn_arbiter *arbiter, unsigned vm);
/* Holds every thread of the renderer and its children (for work that never passes a grant, such as
 * Vulkan's), or lets them go on. */
void bn_arbiter_hold(struct bn_arbiter *arbiter, unsigned vm, bool hold);

/* A picture is about to be composed on the GPU, which is predicted to take that long. Until it is done no VM is
 * granted anything, and leases are called back; the picture waits for nothing. bn_arbiter_compose_queued() or
 * bn_arbiter_compose_failed() follows, before the next begins. With BN_POLICY_NONE it is only traced. False:
 * pictures did not end within composing_max_ns, and nobody is kept out until one is seen to end again. */
bool bn_arbiter_compose_begin(struct bn_arbiter *arbiter, uint64_t predicted_ns);
/* All of it is at the GPU; it is done when the fence (a sync_file; duplicated) is readable. -1: it is done. */
void bn_arbiter_compose_queued(struct bn_arbiter *arbiter, int fence);
/* There is nothing of it at the GPU. */
void bn_arbiter_compose_failed(struct bn_arbiter *arbiter);
/* Pictures took so much GPU time, as is known by now. */
void bn_arbiter_compose_charge(struct bn_arbiter *arbiter, uint64_t gpu_ns);

/* vm: BN_POLICY_COMPOSITOR has policy figures only. */
struct bn_arbiter_stats {
	struct bn_policy_stats policy;
	struct bn_request_page page;	/* the renderer's word, copied */
	struct bn_histogram wait;	/* want → grant */
	uint64_t cpu_ns;		/* processor time of the renderer and its children */
	uint64_t trips, quarantines, ignored;
	bool quarantined, attached;
};
void bn_arbiter_stats(struct bn_arbiter *arbiter, unsigned vm, struct bn_arbiter_stats *out);
/* That VM's histogram of waits begins anew; BN_POLICY_VMS_MAX: the one of decisions. Counters go
 * on. */
void bn_arbiter_reset_figures(struct bn_arbiter *arbiter, unsigned vm);
struct bn_arbiter_totals {
	struct bn_histogram decision; /* doorbell heard → grants written */
	uint64_t wakeups, late;
	uint64_t composing_expired; /* times that pictures took longer than composing_max_ns */
	bool realtime; /* SCHED_FIFO was had */
};
void bn_arbiter_totals(struct bn_arbiter *arbiter, struct bn_arbiter_totals *out);

#endif
