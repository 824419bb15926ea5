/* Always-on figures of one VM in fixed memory: frames, their latency from flush to present,
 * frame intervals, faults. Pure: stamps come from the caller (CLOCK_MONOTONIC nanoseconds). The
 * daemon owns one per VM. */
#ifndef BN_SCHEDULER_MONITOR_H
#define BN_SCHEDULER_MONITOR_H

#include <stdint.h>

#include "common/histogram.h"

/* Frame times kept to compute a rate over the last second or so. */
#define BN_MONITOR_RECENT 128

struct bn_monitor {
	uint64_t frames_flushed;      /* frames that the guest flushed */
	uint64_t frames_presented;    /* … that an output showed */
	uint64_t frames_superseded;   /* … replaced by a newer one before being shown */
	uint64_t faults;              /* errors answered to the guest, renderer faults */
	uint64_t restarts;            /* renderer replaced after it died */
	struct bn_histogram latency;  /* flush taken from the ring → on display */
	struct bn_histogram interval; /* present → present without gaps over 1 s (idle) */
	uint64_t last_present_ns;
	uint64_t recent[BN_MONITOR_RECENT]; /* present stamps, a ring */
	uint32_t recent_next;
};

void bn_monitor_init(struct bn_monitor *m);
void bn_monitor_flushed(struct bn_monitor *m);
/* A frame flushed at flush_ns is on display since present_ns. A flush stamp that lies after the
 * present stamp (a lying renderer) counts as 0 latency. */
void bn_monitor_presented(struct bn_monitor *m, uint64_t flush_ns, uint64_t present_ns);
void bn_monitor_superseded(struct bn_monitor *m);
/* Frames per second over the presents of the last second before now; 0.0 when there were fewer
 * than two. */
double bn_monitor_fps(const struct bn_monitor *m, uint64_t now_ns);

#endif
