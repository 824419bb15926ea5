#include "common/histogram.h"

#include <string.h>

/* Bucket layout: values in µs, 32 per octave. Octave 0 is 1 µs … 2 µs, so the nanosecond value
 * is used to split it: the leading bit of ns / 1000 would give only one bucket there. A value is
 * therefore scaled to 1/1024 µs first. */
#define SUB 32u
#define SUB_BITS 5
#define SCALE_BITS 10

static uint64_t to_units(uint64_t ns)
{
	const uint64_t limit = UINT64_MAX >> SCALE_BITS;
	return ns > limit ? UINT64_MAX / 1000 : (ns << SCALE_BITS) / 1000;
}

static unsigned bucket_of(uint64_t ns)
{
	uint64_t units = to_units(ns);
	if (units < (1ull << SCALE_BITS))
		return 0;
	unsigned top = 63 - (unsigned)__builtin_clzll(units);
	unsigned octave = top - SCALE_BITS;
	unsigned sub = (unsigned)(units >> (top - SUB_BITS)) & (SUB - 1);
	unsigned bucket = octave * SUB + sub;
	return bucket < BN_HISTOGRAM_BUCKETS ? bucket : BN_HISTOGRAM_BUCKETS - 1;
}

/* The middle of a bucket in nanoseconds. */
static uint64_t bucket_value(unsigned bucket)
{
	unsigned octave = bucket / SUB, sub = bucket % SUB;
	unsigned shift = octave + SCALE_BITS - SUB_BITS;
	uint64_t low = (uint64_t)(SUB + sub) << shift;
	uint64_t units = low + (1ull << shift) / 2;
	return units * 1000 >> SCALE_BITS;
}

void bn_histogram_init(struct bn_histogram *h)
{
	memset(h, 0, sizeof(*h));
}

void bn_histogram_add(struct bn_histogram *h, uint64_t ns)
{
	if (h->count == 0 || ns < h->min_ns)
		h->min_ns = ns;
	if (ns > h->max_ns)
		h->max_ns = ns;
	h->count++;
	/* Saturates: a mean that is too small after 584 years of waiting beats one that wrapped. */
	if (__builtin_add_overflow(h->sum_ns, ns, &h->sum_ns))
		h->sum_ns = UINT64_MAX;
	uint32_t *bucket = &h->buckets[bucket_of(ns)];
	if (*bucket != UINT32_MAX)
		(*bucket)++;
}

uint64_t bn_histogram_quantile(const struct bn_histogram *h, double q)
{
	if (h->count == 0)
		return 0;
	/* Written so that NaN is taken as 0. */
	if (!(q > 0.0))
		return h->min_ns;
	if (q >= 1.0)
		return h->max_ns;
	double wanted = q * (double)h->count;
	uint64_t seen = 0;
	for (unsigned i = 0; i < BN_HISTOGRAM_BUCKETS; i++) {
		seen += h->buckets[i];
		if (!h->buckets[i] || (double)seen < wanted)
			continue;
		uint64_t value = i == BN_HISTOGRAM_BUCKETS - 1 ? h->max_ns : bucket_value(i);
		if (value < h->min_ns)
			return h->min_ns;
		return value > h->max_ns ? h->max_ns : value;
	}
	return h->max_ns;
}

uint64_t bn_histogram_mean(const struct bn_histogram *h)
{
	return h->count ? h->sum_ns / h->count : 0;
}
