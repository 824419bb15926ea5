/* The gate with an arbiter by hand, its batches ending by fences of the fake GL library. */
#ifndef BN_TESTS_GATE_FIXTURE_H
#define BN_TESTS_GATE_FIXTURE_H

#include "fake_arbiter.h"
#include "fake_gl.h"
#include "fence.h"
#include "gate.h"
#include "unit.h"

#define MS 1000000ull
#define EQ CU_ASSERT_EQUAL
#define YES CU_ASSERT_TRUE
#define NO CU_ASSERT_FALSE

extern struct fake_arbiter a;
extern struct bn_gl gl;
extern struct bn_fences *fences;
/* What the listener was told. */
extern unsigned lost, last_lost, quarantines;
extern bool quarantined;

void setup(void);
void teardown(void);
/* A batch of that context, not yet asked for. */
struct bn_gate_batch batch(uint32_t ctx);
bool enter(struct bn_gate_batch *b);
/* One batch of context 1 into the GPU; false when it has to wait. */
bool start(void);
/* The GPU finishes the oldest n fences. */
void finish(unsigned n);
/* Of such a batch; asks for a grant and withdraws. */
uint64_t predicted(void);

#endif
