/* From the ring (trace.c) to the writer (trace_json.c). */
#ifndef BN_SCHEDULER_TRACE_PRIV_H
#define BN_SCHEDULER_TRACE_PRIV_H

#include "scheduler/trace.h"

struct bn_trace_event {
	uint64_t number, start_ns, end_ns, value;
	uint32_t detail;
	uint8_t kind, vm;
};

struct bn_trace_names {
	const char *(*vm)(void *data, unsigned vm);
	const char *(*event)(void *data, uint64_t number);
	void *data;
};

/* events are in order: by start, around before within. The number written, or -errno. */
long bn_trace_write_json(FILE *out, const struct bn_trace_event *events, size_t count,
	const struct bn_trace_names *names);

#endif
