/* What a batch will cost: learnt from what batches like it did cost. One per renderer; pure, fixed
 * memory.
 *
 * Batches are classed by content (kind of work, and powers of two of its sizes) and by context. A
 * class remembers its last 64 costs; the prediction is a high quantile of them plus a margin, moves
 * up at once and down slowly. A class never seen is predicted from a linear model of the sizes,
 * fitted as costs come in, and at first by the given default. */
#ifndef BN_SCHEDULER_COST_H
#define BN_SCHEDULER_COST_H

#include <stdint.h>

#include "protocol/virgl_walk.h"

enum bn_cost_kind {
	BN_COST_SUBMIT,
	BN_COST_TRANSFER, /* TRANSFER_TO/FROM_HOST_3D: work.transfer_bytes */
	BN_COST_CREATE,   /* a 3D resource: work.transfer_bytes, its size */
};

struct bn_cost_key {
	enum bn_cost_kind kind;
	uint32_t ctx_id;
	const struct bn_virgl_work *work;
};

struct bn_cost; /* opaque */

/* unknown_ns: predicted for what nothing is known about. NULL without memory. */
struct bn_cost *bn_cost_create(uint64_t unknown_ns);
void bn_cost_destroy(struct bn_cost *cost);
/* Of one batch, in nanoseconds: with about 99 % certainty it takes no longer. */
uint64_t bn_cost_predict(struct bn_cost *cost, const struct bn_cost_key *key);
/* A cheap guess for cutting, monotonic in every member of work: from the linear model alone. */
uint64_t bn_cost_estimate(const struct bn_cost *cost, const struct bn_virgl_work *work);
/* A batch predicted so has cost that. compiled: it had shaders to compile, so it says nothing about
 * the next one of its class. */
void bn_cost_learn(struct bn_cost *cost, const struct bn_cost_key *key, uint64_t actual_ns,
	bool compiled);
/* Forgets a context's classes. */
void bn_cost_forget(struct bn_cost *cost, uint32_t ctx_id);

#endif
