/* What composing takes of the GPU, against what admission was told that it takes (I of the bound; [core] compositor-time).
 * Composing never waits for a grant; that it keeps to its term is watched here. */
#ifndef BN_DAEMON_COMPOSING_H
#define BN_DAEMON_COMPOSING_H

#include <stdbool.h>
#include <stdint.h>

struct bn_composing {
	uint64_t period_ns; /* over which it is added up */
	uint64_t limit_ns;
	bool promised;     /* there is a bound that it is part of */
	uint64_t since_ns; /* the period under way; 0: none yet */
	uint64_t sum_ns, max_ns;
	unsigned long log_over;
};

/* Counts from now on what this process composes on a GPU; composing must stay until bn_composing_finish(). */
void bn_composing_init(
	struct bn_composing *composing, uint64_t period_ns, uint64_t limit_ns, bool promised);
/* Never initialized, all zero, is allowed. */
void bn_composing_finish(struct bn_composing *composing);
/* A picture took gpu_ns. */
void bn_composing_add(struct bn_composing *composing, uint64_t gpu_ns, uint64_t now_ns);

#endif
