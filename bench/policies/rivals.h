/* How others share a GPU out, each reduced to the rule by which it picks who is next. */
#ifndef BN_BENCH_POLICIES_RIVALS_H
#define BN_BENCH_POLICIES_RIVALS_H

#include "model.h"

enum rival_kind {
	RIVAL_ROUND_ROBIN,
	RIVAL_FAIR,
	RIVAL_TIMEGRAPH,
	RIVAL_QUEUE_AHEAD,
	RIVAL_EDF_CBS,
};

extern const struct psim_policy rival_round_robin, rival_fair, rival_timegraph, rival_queue_ahead,
	rival_edf_cbs;

#endif
