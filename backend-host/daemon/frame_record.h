/* What becomes of a VM's frames, told to those who count: its monitor, the arbiter, the trace, the
 * event log. Part of bn_frames. */
#ifndef BN_DAEMON_FRAME_RECORD_H
#define BN_DAEMON_FRAME_RECORD_H

#include <stdint.h>

#include "compositor/output.h"
#include "protocol/link.h"
#include "scheduler/monitor.h"

struct bn_arbiter;
struct bn_events;
struct bn_trace;

/* Frames between flush and present whose stamps are known; a power of two. Of a VM that flushes
 * faster than that the newest are, which are the ones to be shown. */
#define BN_FRAME_RECORD_PENDING 128u

struct bn_frame_record {
	struct bn_monitor *monitor;
	struct bn_arbiter *arbiter; /* NULL: none */
	unsigned vm;		    /* its number there */
	struct bn_trace *trace;	    /* NULL: none */
	struct bn_events *events;   /* NULL: none */
	struct {
		uint64_t seq;
		struct bn_monitor_stamps stamps;
	} pending[BN_FRAME_RECORD_PENDING];
};

/* A frame is on its way to a display, as number seq (not 0) of struct bn_frame. */
void bn_frame_record_submitted(
	struct bn_frame_record *record, uint64_t seq, const struct bn_link_frame *message);
/* That display, which is the VM's scanout of that index, shows it since when_ns. */
void bn_frame_record_shown(struct bn_frame_record *record, const struct bn_frame *frame,
	const struct bn_output *output, unsigned scanout, uint64_t when_ns);

#endif
