#include "renderer_process.h"

#include "common/clock.h"

#define WINDOW_NS (10 * BN_NS_PER_S)
#define WAIT_MS 1000

unsigned bn_backoff_death(struct bn_backoff *backoff, uint64_t now_ns)
{
	/* The slot that is written next holds the oldest death: the fifth from now. */
	backoff->death_ns[backoff->next] = now_ns;
	backoff->next = (backoff->next + 1) % BN_BACKOFF_DEATHS;
	uint64_t fifth = backoff->death_ns[backoff->next];
	return fifth != 0 && now_ns - fifth < WINDOW_NS ? WAIT_MS : 0;
}
