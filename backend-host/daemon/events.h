/* What happened, for people: faults, trips, quarantines, changes. The last ones are kept, each goes
 * to the log, into the trace, and to whoever follows. Main thread only. */
#ifndef BN_DAEMON_EVENTS_H
#define BN_DAEMON_EVENTS_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "arbiter.h"
#include "scheduler/trace.h"
#include "settings.h"

#define BN_EVENTS_KEPT 256u
#define BN_EVENTS_TEXT_MAX 256
#define BN_EVENTS_NO_VM BN_POLICY_VMS_MAX

enum bn_event_kind {
	BN_EVENT_TRIPPED,
	BN_EVENT_STUCK,
	BN_EVENT_QUARANTINED,
	BN_EVENT_PARDONED,
	BN_EVENT_IGNORES,
	BN_EVENT_SILENT,
	BN_EVENT_OVERRUN,
	BN_EVENT_DEMOTED,
	BN_EVENT_LATE,
	BN_EVENT_BOUND,   /* a frame took longer than the admission test promises */
	BN_EVENT_MISSED,  /* a safety VM's frame was not on display when it had to be */
	BN_EVENT_FAULT,   /* a renderer broke a rule or died */
	BN_EVENT_RESTART, /* … and is back */
	BN_EVENT_CHANGED, /* somebody changed a VM's parameters */
	BN_EVENT_WATCHDOG,  /* safety content is not what it must be */
	BN_EVENT_RECOVERED, /* … and is again */
	BN_EVENT_SCENE,     /* a display has another mode, with which the scene does not go */
	BN_EVENT_KINDS,
};

struct bn_event {
	uint64_t number;      /* from 1 */
	uint64_t time_ns;     /* CLOCK_MONOTONIC */
	struct timespec wall; /* CLOCK_REALTIME */
	unsigned vm;          /* BN_EVENTS_NO_VM: none */
	enum bn_event_kind kind;
	char text[BN_EVENTS_TEXT_MAX]; /* printable ASCII */
};

struct bn_events; /* opaque */

/* settings names the VMs; it and the trace (which may be NULL) must outlive it. NULL without
 * memory. */
struct bn_events *bn_events_create(const struct bn_settings *settings, struct bn_trace *trace);
/* NULL is allowed. */
void bn_events_destroy(struct bn_events *events);

/* Something happened. It is logged at its 1st, 10th, 100th … time for that kind and VM. A VM that
 * has more than 32 events within a second gets no more of them into the list until it is over;
 * the next one in the list says how many were left out. events may be NULL: then it is not even
 * logged. */
void bn_events_add(struct bn_events *events, unsigned vm, enum bn_event_kind kind, const char *fmt,
	...) __attribute__((format(printf, 4, 5)));
/* The same for what the log has already. */
void bn_events_note(struct bn_events *events, unsigned vm, enum bn_event_kind kind,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* What the arbiter says, in words. */
void bn_events_arbiter(struct bn_events *events, const struct bn_arbiter_event *event);

/* The oldest event kept with that number or a later one; NULL: none. Valid until the next
 * bn_events_add(). */
const struct bn_event *bn_events_from(const struct bn_events *events, uint64_t number);
/* The number that the next event will have. */
uint64_t bn_events_next(const struct bn_events *events);
/* "tripped" and so on. */
const char *bn_event_kind_name(enum bn_event_kind kind);
/* "" for none. */
const char *bn_event_vm_name(const struct bn_events *events, unsigned vm);
/* Is told of each event in the list from now on; NULL: nobody. */
void bn_events_follow(struct bn_events *events,
	void (*added)(void *data, const struct bn_event *event), void *data);

#endif
