/* Time. Everything that decides by time takes a clock from outside, so that tests run on
 * simulated time. */
#ifndef BN_COMMON_CLOCK_H
#define BN_COMMON_CLOCK_H

#include <stdint.h>

#define BN_NS_PER_S 1000000000ull
#define BN_NS_PER_MS 1000000ull
#define BN_NS_PER_US 1000ull

/* CLOCK_MONOTONIC in nanoseconds: the clock of all stamps that two processes compare. */
uint64_t bn_now_ns(void);

/* An injected clock: now(data) in nanoseconds. bn_clock_monotonic is the real one. */
struct bn_clock {
	uint64_t (*now)(void *data);
	void *data;
};
extern const struct bn_clock bn_clock_monotonic;
static inline uint64_t bn_clock_now(const struct bn_clock *clock)
{
	return clock->now(clock->data);
}

#endif
