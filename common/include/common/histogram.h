/* A histogram of durations in fixed memory: log-linear buckets (32 per octave, so within 3.2 %
 * of the true value) from 1 µs to 134 s; smaller and larger values count in the first and last
 * bucket, min and max are exact. */
#ifndef BN_COMMON_HISTOGRAM_H
#define BN_COMMON_HISTOGRAM_H

#include <stdint.h>

#define BN_HISTOGRAM_BUCKETS (32 * 27)

struct bn_histogram {
	uint64_t count, sum_ns, min_ns, max_ns;
	uint32_t buckets[BN_HISTOGRAM_BUCKETS];
};

void bn_histogram_init(struct bn_histogram *h);
void bn_histogram_add(struct bn_histogram *h, uint64_t ns);
/* The value below which the given share (0.0–1.0) of the values lies; 0 when empty. */
uint64_t bn_histogram_quantile(const struct bn_histogram *h, double q);
/* 0 when empty. */
uint64_t bn_histogram_mean(const struct bn_histogram *h);

#endif
