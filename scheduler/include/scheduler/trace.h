/* A flight recorder: the last events of the whole service in fixed memory, always on, some tens of
 * nanoseconds an event, written from any thread without a lock. Read out as Chrome's JSON trace
 * format, which Perfetto (ui.perfetto.dev) opens: a track per VM with frames, batches and waits. */
#ifndef BN_SCHEDULER_TRACE_H
#define BN_SCHEDULER_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum bn_trace_kind {
	BN_TRACE_FRAME,	  /* span: release → present; value: missed refreshes, detail: bn_miss_cause */
	BN_TRACE_GUEST,	  /* span: release → first batch queued */
	BN_TRACE_WAIT,	  /* span: grant wanted → granted */
	BN_TRACE_GRANT,	  /* span: granted → returned; value: GPU ns charged, detail: bn_grant_kind */
	BN_TRACE_BATCH,	  /* span: one batch at the GPU; value: its predicted ns */
	BN_TRACE_DISPLAY, /* span: GPU done → present */
	BN_TRACE_MISS,	  /* instant; value: refreshes missed, detail: bn_miss_cause */
	BN_TRACE_EVENT,	  /* instant; value: number of the event in the event log */
	BN_TRACE_LATE,	  /* instant: the arbiter was late by value ns */
	BN_TRACE_KINDS,
};

struct bn_trace; /* opaque */

#define BN_TRACE_NO_VM 255u

/* Keeps the last `events` events (rounded up to a power of two; 40 bytes each). NULL without
 * memory. */
struct bn_trace *bn_trace_create(uint32_t events);
void bn_trace_destroy(struct bn_trace *trace);
/* end_ns = start_ns for instants. trace may be NULL. */
void bn_trace_add(struct bn_trace *trace, enum bn_trace_kind kind, unsigned vm, uint64_t start_ns,
	uint64_t end_ns, uint64_t value, unsigned detail);
/* Whether everything since from_ns is still there: false once newer events have taken the place of
 * some that came after it. */
bool bn_trace_covers(const struct bn_trace *trace, uint64_t from_ns);
/* Everything that ended at from_ns or later, in order. vm_name(data, i) names the tracks, NULL for
 * no such VM; event_text(data, number) the text of an EVENT, NULL when forgotten. Returns the number
 * of events or -errno of the writing. */
long bn_trace_write(struct bn_trace *trace, FILE *out, uint64_t from_ns,
	const char *(*vm_name)(void *data, unsigned vm),
	const char *(*event_text)(void *data, uint64_t number), void *data);

#endif
