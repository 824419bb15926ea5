/* The arbiter's inside.
 *
 *	arbiter.c        life, events
 *	arbiter_thread.c when it looks, decides and wakes others
 *	arbiter_call.c   what the main thread asks for
 *	arbiter_page.c   the page pair: made, read with every number bounded, written
 *	arbiter_grant.c  what the pages say goes to the policy, what it decides goes to the pages
 *	arbiter_compose.c the compositor's own work at the GPU
 *	arbiter_watch.c  batches that do not end, grants that are not used, work without a grant
 *	arbiter_cpu.c    processor time and processor classes of renderers
 *
 * Everything is done under the lock, by the arbiter's thread but for a call's own small change. */
#ifndef BN_DAEMON_ARBITER_PRIV_H
#define BN_DAEMON_ARBITER_PRIV_H

#include <poll.h>
#include <pthread.h>

#include "arbiter.h"
#include "common/clock.h"
#include "cpu.h"
#include "settings.h"

struct wl_event_source;

/* How often the watch looks while there is something to watch. */
#define BN_ARBITER_TICK_NS (10 * BN_NS_PER_MS)
/* … and while a renderer with SCHED_FIFO is merely there. */
#define BN_ARBITER_SLOW_TICK_NS (100 * BN_NS_PER_MS)
/* A VM that did something within that time may come back at any moment. */
#define BN_ARBITER_ACTIVE_NS BN_NS_PER_S
#define BN_ARBITER_EVENTS 128u
#define BN_ARBITER_NOTES 64u
#define BN_ARBITER_TRIPS_MAX 60u
#define BN_ARBITER_STALLS 64u
/* Shorter ones are not remembered. */
#define BN_ARBITER_STALL_NS BN_NS_PER_MS

/* Pictures of the compositor at the GPU; of more than that the oldest is not waited for. */
#define BN_ARBITER_PICTURES 16u
#define BN_ARBITER_COMPOSING_MAX_NS (100 * BN_NS_PER_MS)

/* How a renderer is kept from the processor, the gentler first. */
enum bn_squeeze { BN_SQUEEZE_NONE, BN_SQUEEZE_IDLE, BN_SQUEEZE_DUTY };

/* What the watch remembers of a VM. */
struct bn_arbiter_watch {
	/* The batch at the GPU, as far as we have seen; on: there is one. */
	bool on;
	uint64_t batch, start_ns;
	bool cpu_known;
	uint64_t cpu_ns, cpu_at_ns; /* its processor time at that time */
	uint64_t compile_used_ns;
	/* The same for the grant that is held. */
	uint64_t hold_number, hold_cpu_ns;
	/* A limit on batches is in force since; 0: none is. */
	uint64_t limits_ns;
	/* The batch ran too long. */
	bool tripped;
	uint64_t trip_ns, lost_batch, stuck_ns;
	uint64_t trip_times[BN_ARBITER_TRIPS_MAX];
	unsigned trips_next;
	/* Allowance for batches that compile, as a bucket. */
	uint64_t compile_left_ns, compile_at_ns;
	uint64_t compiled_ns; /* when it was seen compiling last */
	/* Nothing has moved since; silent: it lost a grant for that. */
	uint64_t quiet_ns, quiet_sum;
	uint64_t quiet_cpu_ns;
	bool silent;
	/* Work without a grant: batches that it may have started; signs of it in a row. */
	uint64_t started_max;
	unsigned offences, burning;
	uint64_t offence_ns, burnt_ns;
	unsigned level;
	uint64_t punished_until_ns, punished_ns;
	bool punished;
};

struct bn_arbiter_vm_state {
	char name[BN_SETTINGS_NAME_MAX];
	bool known; /* bn_arbiter_vm_set() was called */
	struct bn_arbiter_vm params;

	/* The renderer. */
	bool attached, ready; /* ready: it has asked once */
	uint64_t attached_ns;
	int request_fd, bell, renderer_bell;
	const struct bn_request_page *request;
	struct bn_grant_page *grant;
	struct bn_request_page page; /* as read last, bounded */
	uint64_t active_ns;	     /* its page changed last */
	/* A bell that rings more often than a batch can take is listened to less often. */
	unsigned rings;
	uint64_t rings_at_ns;
	bool muted;

	/* Its grant. */
	uint64_t number;
	bool holding, revoking, dry;
	uint32_t kind;
	uint64_t allow_ns, granted_ns, revoked_ns, predicted_left_ns;
	uint64_t gpu_at_grant_ns;
	bool asking;
	uint64_t ask_ns;

	/* Charges. */
	uint64_t gpu_seen_ns, gpu_seen_at_ns; /* of the page; when that moved last */
	uint64_t predicted_seen_ns;
	uint64_t charge_ns, charge_predicted_ns; /* due */
	uint64_t overruns_seen, overrun_at_ns;
	bool demoted_seen;

	/* The processor. */
	struct bn_cpu_process *cpu; /* NULL: none yet */
	struct bn_cgroup *cgroup;
	uint64_t cpu_seen_ns, cpu_seen_at_ns, meter_gpu_ns;
	bool held_since_meter;
	uint64_t drm_seen_ns, drm_at_ns;
	int64_t fifo_credit_ns;
	bool fifo_spent;
	enum bn_cpu_class cpu_class;
	bool class_known, class_failed;
	enum bn_squeeze squeeze;
	bool frozen;

	bool hold;	/* bn_arbiter_hold() */
	bool quarantined;
	bool policy_held; /* what the policy was told */

	struct bn_arbiter_watch watch;
	struct bn_histogram wait;
	uint64_t trips, quarantines, ignored;
};

/* For the trace, when there is time. */
struct bn_arbiter_note {
	enum bn_trace_kind kind;
	unsigned vm, detail;
	uint64_t start_ns, end_ns, value;
};

struct bn_arbiter_picture {
	int fence;
	uint64_t since_ns, predicted_ns;
};

struct bn_arbiter_composing {
	bool begun; /* one is being drawn; it is not at the GPU as a whole */
	uint64_t begun_ns, predicted_ns;
	struct bn_arbiter_picture picture[BN_ARBITER_PICTURES]; /* at the GPU, the oldest first */
	unsigned pictures;
	bool asking, holding; /* what the policy knows */
	uint64_t asked_ns;
	bool recent; /* streams are cut for it: it may come back at any moment */
	/* Not all were done in time: nobody is kept out until one is seen done again. */
	bool unreliable;
};

struct bn_arbiter {
	struct bn_arbiter_config config;
	bool may_raise; /* see bn_cpu_may_raise() */
	pthread_t thread;
	pthread_mutex_t lock;
	bool quit;
	int control, event_fd; /* eventfds: to the thread, to the main loop */
	struct wl_event_source *event_source;
	struct bn_policy *policy;
	struct bn_arbiter_vm_state vm[BN_POLICY_VMS_MAX];
	/* A bit for each VM with a renderer; for each that may want the GPU at any moment; of them,
	 * safety VMs; for each whose renderer is to be rung when the decision is made. */
	uint64_t attached, active, safety, ringing;
	uint64_t tick_ns; /* the next; UINT64_MAX: none */
	uint64_t last_tick_ns;
	uint64_t policy_wake_ns;
	uint64_t late_at_ns;
	/* When it was due and not run, a ring. */
	struct {
		uint64_t from_ns, to_ns;
	} stalls[BN_ARBITER_STALLS];
	uint64_t stall_next;
	struct bn_arbiter_composing composing;
	struct bn_arbiter_totals totals;
	struct bn_arbiter_event events[BN_ARBITER_EVENTS];
	uint64_t event_first, event_next;
	struct bn_arbiter_note notes[BN_ARBITER_NOTES];
	unsigned note_count;
};

/* Those below are called with the lock held. */

/* ---- arbiter.c ---- */
void bn_arbiter_emit(struct bn_arbiter *a, enum bn_arbiter_event_kind kind, unsigned vm,
	uint64_t now, uint64_t value, uint64_t limit);

/* ---- arbiter_thread.c ---- */
void *bn_arbiter_run(void *arbiter);
/* Goes to the trace when the thread has made its decision. */
void bn_arbiter_note(struct bn_arbiter *a, const struct bn_arbiter_note *note);
/* Its renderer hears of what was written for it when the thread has made its decision. */
void bn_arbiter_ring(struct bn_arbiter *a, unsigned vm);
/* Another VM wants the GPU and does not have it. */
bool bn_arbiter_others_ask(const struct bn_arbiter *a, unsigned vm);
/* Another one may want it at any moment. */
bool bn_arbiter_others_active(const struct bn_arbiter *a, unsigned vm);
/* Tells the policy whether the VM is held, if that changed. */
void bn_arbiter_update_hold(struct bn_arbiter *a, unsigned vm, uint64_t now);

/* ---- arbiter_page.c ---- */
int bn_arbiter_pages_make(struct bn_arbiter_vm_state *v, struct bn_arbiter_fds *out);
void bn_arbiter_pages_forget(struct bn_arbiter_vm_state *v);
/* Takes a copy into v->page; true when something in it had changed. */
bool bn_arbiter_page_read(struct bn_arbiter_vm_state *v, uint64_t now);
/* Newest number of a batch that may have been started as things are. */
uint64_t bn_arbiter_page_started(const struct bn_arbiter_vm_state *v);

/* ---- arbiter_grant.c ---- */
/* Reads the page and tells the policy what is new. */
void bn_arbiter_look(struct bn_arbiter *a, unsigned vm, uint64_t now);
/* Carries out what the policy decides until it wants to wait. */
void bn_arbiter_decide(struct bn_arbiter *a, uint64_t now);
/* Its grant is over for the policy, whatever the renderer does. */
void bn_arbiter_take(struct bn_arbiter *a, unsigned vm, uint64_t now);
void bn_arbiter_publish_limits(struct bn_arbiter *a, unsigned vm, uint64_t now);

/* ---- arbiter_compose.c ---- */
/* Finds out what is done, or has taken too long. */
void bn_arbiter_compose_look(struct bn_arbiter *a, uint64_t now);
/* The policy has granted the compositor what it asked for. */
void bn_arbiter_compose_granted(struct bn_arbiter *a);
/* Whether it has composed lately, brought up to date; true if that changed. */
bool bn_arbiter_compose_recent(struct bn_arbiter *a, uint64_t now);
/* When it will have taken too long, if a VM waits; otherwise UINT64_MAX. */
uint64_t bn_arbiter_compose_wake(const struct bn_arbiter *a);
/* What to listen to meanwhile; their number. */
unsigned bn_arbiter_compose_fds(
	const struct bn_arbiter *a, struct pollfd fds[BN_ARBITER_PICTURES]);
void bn_arbiter_compose_finish(struct bn_arbiter *a);

/* ---- arbiter_watch.c ---- */
/* What was read last, seen by the watch. */
void bn_arbiter_watch_look(struct bn_arbiter_vm_state *v, uint64_t now);
void bn_arbiter_watch_tick(struct bn_arbiter *a, unsigned vm, uint64_t now);
/* When the batch at the GPU will have run too long; UINT64_MAX: there is none. */
uint64_t bn_arbiter_watch_deadline(const struct bn_arbiter *a, unsigned vm);
/* How long one batch of that VM may run. */
uint64_t bn_arbiter_watchdog(const struct bn_arbiter *a, unsigned vm);
void bn_arbiter_watch_reset(struct bn_arbiter_watch *w, uint64_t now);

/* ---- arbiter_cpu.c ---- */
/* Compares what the kernel counts with what the page says, since the last time. */
struct bn_arbiter_metered {
	uint64_t wall_ns; /* 0: too short to say anything */
	uint64_t used_ns;
	bool granted; /* it held a grant in a part of it */
};
void bn_arbiter_meter(
	struct bn_arbiter *a, unsigned vm, uint64_t now, struct bn_arbiter_metered *out);
/* Brings class and freezing up to date. */
void bn_arbiter_apply_cpu(struct bn_arbiter *a, unsigned vm, uint64_t now);
uint64_t bn_arbiter_cpu_time(struct bn_arbiter_vm_state *v);

/* for (uint64_t m = mask; m; m &= m - 1) { unsigned vm = bn_arbiter_first(m); … } */
static inline unsigned bn_arbiter_first(uint64_t mask)
{
	return (unsigned)__builtin_ctzll(mask);
}
#define BN_VM_BIT(vm) (UINT64_C(1) << (vm))

#define BN_PAGE_GET(v, member) __atomic_load_n(&(v)->request->member, __ATOMIC_RELAXED)
#define BN_PAGE_GET_SEQ(v, member) __atomic_load_n(&(v)->request->member, __ATOMIC_SEQ_CST)
#define BN_PAGE_PUT(v, member, value) __atomic_store_n(&(v)->grant->member, value, __ATOMIC_RELAXED)
#define BN_PAGE_PUT_SEQ(v, member, value)                                                          \
	__atomic_store_n(&(v)->grant->member, value, __ATOMIC_SEQ_CST)

#endif
