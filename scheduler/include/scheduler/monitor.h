/* Always-on figures of one VM in fixed memory: frames, their latency from flush to present, frame
 * intervals, faults; and each frame's way from its release to its present, with the refreshes that
 * it missed and who is to blame. Pure: stamps come from the caller (CLOCK_MONOTONIC nanoseconds).
 * The daemon owns one per VM.
 *
 * A frame's release is the present of the frame before it: from then on the guest may draw. With T
 * its period, S the compositor's lead and R the bound of the admission test, a frame is in time when
 * it is done at release + T − S, and the scheduler promises it to a guest that begins R before. */
#ifndef BN_SCHEDULER_MONITOR_H
#define BN_SCHEDULER_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/histogram.h"

/* Frame times kept to compute a rate over the last second or so. */
#define BN_MONITOR_RECENT 128
/* Displays of a VM whose frames are timed apart: its scanouts. */
#define BN_MONITOR_TRACKS 16

enum bn_miss_cause {
	BN_MISS_NONE,
	BN_MISS_GUEST,	    /* it began, or flushed, too late to make it */
	BN_MISS_SCHEDULER,  /* its batches waited for longer than the bound allows for */
	BN_MISS_GPU,	    /* they took longer than the budget */
	BN_MISS_COMPOSITOR, /* done in time, and not shown */
	BN_MISS_HOST,	    /* the host withheld the processor for longer than the frame was late */
	BN_MISS_CAUSES,
};
/* "guest" and so on; "none" for anything else. */
const char *bn_miss_cause_name(unsigned cause);

/* What a VM's frames are measured by. 0: not known. */
struct bn_monitor_target {
	uint64_t period_ns; /* T */
	uint64_t lead_ns;   /* S */
	uint64_t bound_ns;  /* R, where the VM is admitted */
	uint64_t budget_ns; /* GPU time of a frame */
};

/* A frame's stamps as the renderer says (bn_link_frame): not to be trusted. */
struct bn_monitor_stamps {
	uint64_t queued_ns, flush_ns, done_ns; /* queued, done 0: it had no GPU work */
	uint64_t wait_ns, gpu_ns, response_ns;
};

/* What became of a frame, with stamps in an order that can be: release ≤ queued ≤ done ≤ present,
 * release ≤ flush ≤ present. */
struct bn_monitor_frame {
	uint64_t release_ns; /* 0: the first frame; the figures below then say nothing */
	uint64_t queued_ns, flush_ns, done_ns, present_ns;
	uint64_t wait_ns, gpu_ns, response_ns;
	uint64_t period_ns; /* T that it was measured by; 0: it had none */
	uint32_t missed;    /* refreshes */
	/* Of a missed one: how much sooner it had to be, and since when that could have been lost.
	 * Done in time but not shown: late_ns is 0, and it could be lost from then on. */
	uint64_t late_ns, lost_since_ns;
	enum bn_miss_cause cause;
	bool gpu_work;
	bool idle;	/* the guest had nothing to draw at first: not counted */
	bool over_bound; /* within its budget, and yet slower than R */
	bool over_budget;
};

/* Figures of frames, which bn_monitor_reset() clears. */
struct bn_monitor_frames {
	struct bn_histogram time;     /* release → present */
	struct bn_histogram guest;    /* release → first batch queued; without one, → flush */
	struct bn_histogram response; /* time with something queued or at the GPU */
	struct bn_histogram wait;     /* of a frame's batches for grants, in sum */
	struct bn_histogram gpu;      /* cost of a frame's batches */
	double mean_ns, m2;	      /* of `time`, Welford's */
	uint64_t idle;		      /* frames that the guest began long after their release */
	uint64_t missed_frames, misses; /* frames that came late, refreshes without them */
	uint64_t longest_run;	      /* of refreshes missed one after the other */
	uint64_t causes[BN_MISS_CAUSES]; /* of `misses` */
	uint64_t bound_violations, over_budget;
	uint64_t recent[BN_MONITOR_RECENT]; /* frame times, a ring; count: time.count */
};

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
	struct bn_monitor_target target;
	uint64_t released_ns[BN_MONITOR_TRACKS]; /* the last present of each display; 0: none yet */
	struct bn_monitor_frames frame;
};

void bn_monitor_init(struct bn_monitor *m);
void bn_monitor_flushed(struct bn_monitor *m);
/* A frame flushed at flush_ns is on display since present_ns. A flush stamp that lies after the
 * present stamp (a lying renderer) counts as 0 latency. */
void bn_monitor_presented(struct bn_monitor *m, uint64_t flush_ns, uint64_t present_ns);
/* The same frame's whole way; to be called besides bn_monitor_presented(). track: the display
 * (scanout) that shows it, below BN_MONITOR_TRACKS. refresh_ns: that display's period, 0 when it
 * paces nobody. T is the longer one of that and the target's. out may be NULL. */
void bn_monitor_frame(struct bn_monitor *m, unsigned track, uint64_t refresh_ns,
	const struct bn_monitor_stamps *stamps, uint64_t present_ns, struct bn_monitor_frame *out);
/* A frame that bn_monitor_frame() has just counted as missed, and which the host is to blame for:
 * it did not run what was ready to run (stalled_ns of it since frame->lost_since_ns) for at least as
 * long as the frame was late. Says whether it is so; then the miss is counted with that cause. */
bool bn_monitor_blame_host(
	struct bn_monitor *m, struct bn_monitor_frame *frame, uint64_t stalled_ns);
/* From the next frame on. */
void bn_monitor_set_target(struct bn_monitor *m, const struct bn_monitor_target *target);
/* Histograms (latency and interval too) and misses begin anew; counters and releases stay. */
void bn_monitor_reset(struct bn_monitor *m);
/* Standard deviation of the frame time in nanoseconds; 0.0 with fewer than two frames. */
double bn_monitor_stddev(const struct bn_monitor *m);
/* The last frame times, oldest first: at most `max`, returns how many. */
unsigned bn_monitor_recent(const struct bn_monitor *m, uint64_t *out, unsigned max);
void bn_monitor_superseded(struct bn_monitor *m);
/* Frames per second over the presents of the last second before now; 0.0 when there were fewer
 * than two. */
double bn_monitor_fps(const struct bn_monitor *m, uint64_t now_ns);

#endif
