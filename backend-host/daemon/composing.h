/* What the compositor does on a GPU, told to the arbiter, so that no VM gets in behind it; and what that takes, against what
 * admission was told that it takes (I of the bound; [core] compositor-time). Composing never waits for a grant. */
#ifndef BN_DAEMON_COMPOSING_H
#define BN_DAEMON_COMPOSING_H

#include <stdbool.h>
#include <stdint.h>

struct bn_arbiter;

struct bn_composing {
	struct bn_arbiter *arbiter; /* NULL: nobody is told */
	uint64_t period_ns;         /* over which it is added up */
	uint64_t limit_ns;
	bool promised;     /* there is a bound that it is part of */
	uint64_t since_ns; /* the period under way; 0: none yet */
	uint64_t sum_ns, max_ns;
	uint64_t
		estimate_ns; /* of a picture: quick to rise, slow to fall; 0: none has been measured */
	unsigned long log_over, log_expired;
};

/* Counts from now on what this process composes on a GPU, and tells the arbiter (may be NULL); both must stay until
 * bn_composing_finish(). */
void bn_composing_init(struct bn_composing *composing, struct bn_arbiter *arbiter,
	uint64_t period_ns, uint64_t limit_ns, bool promised);
/* Never initialized, all zero, is allowed. */
void bn_composing_finish(struct bn_composing *composing);
/* A picture took gpu_ns. */
void bn_composing_add(struct bn_composing *composing, uint64_t gpu_ns, uint64_t now_ns);
/* What the next one will take; no more than limit_ns, if there is one, and that as long as nothing is known. */
uint64_t bn_composing_predict(const struct bn_composing *composing);

#endif
