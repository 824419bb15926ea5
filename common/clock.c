#include "common/clock.h"

#include <time.h>

uint64_t bn_now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * BN_NS_PER_S + (uint64_t)t.tv_nsec;
}

static uint64_t now_monotonic(void *data)
{
	return bn_now_ns();
}

const struct bn_clock bn_clock_monotonic = {.now = now_monotonic};
