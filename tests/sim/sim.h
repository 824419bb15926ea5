/* What the simulations share: a seeded generator, checks that name the seed, and simulated time
 * in which nothing happens but by events. bn_now_ns() and bn_clock_monotonic of common/ are
 * replaced by simulated time in every program that links sim.c, so the code under test never
 * sees a real clock. */
#ifndef BN_TESTS_SIM_H
#define BN_TESTS_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "unit.h"

#define US 1000ull
#define MS 1000000ull
#define S 1000000000ull

/* ---- random numbers ---- */

struct sim_random {
	uint64_t state;
};

/* BINNACLE_TEST_SEED, or a fixed number; `stream` keeps the users apart. Names the seed on
 * stdout once. */
struct sim_random sim_random(uint64_t stream);
uint64_t sim_next(struct sim_random *r);
/* 0 … n - 1; n > 0. */
uint64_t sim_below(struct sim_random *r, uint64_t n);
static inline bool sim_one_in(struct sim_random *r, uint64_t n)
{
	return sim_below(r, n) == 0;
}

struct sim_range {
	uint64_t min, max; /* both included */
};
uint64_t sim_within(struct sim_random *r, struct sim_range range);

/* ---- checks ---- */

/* Cheap when true; else one line with place, seed and simulated time (the first ten of a test),
 * and the test fails. */
#define SIM_CHECK(condition, ...)                                                \
	do {                                                                     \
		if (!(condition))                                                \
			sim_failed(__FILE__, __LINE__, #condition, __VA_ARGS__); \
	} while (0)
void sim_failed(const char *file, int line, const char *condition, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* At the end of each test: fails it if a check failed since the last call. */
void sim_settle(void);

/* ---- time ---- */

uint64_t sim_now(void);

typedef void sim_event(void *data, uint64_t arg);
/* Calls run(data, arg) at `at` (or now, if that has passed); events of one time run in the order
 * of these calls. */
void sim_at(uint64_t at, sim_event *run, void *data, uint64_t arg);
/* Runs the next event; false if it lies after `until` or there is none: then it is `until`. */
bool sim_step(uint64_t until);
/* Forgets all events. Time goes on. */
void sim_clear(void);
/* Back to an earlier time, without events. */
void sim_rewind(uint64_t to);

#endif
