/* The other side of the page pair (protocol/grant.h), by hand, with a clock by hand. */
#ifndef BN_TESTS_FAKE_ARBITER_H
#define BN_TESTS_FAKE_ARBITER_H

#include "gate.h"

struct fake_arbiter {
	struct bn_request_page *request;
	struct bn_grant_page *grant;
	int arbiter_bell, bell;
	uint64_t now, cpu; /* nanoseconds, of the gate's clocks */
	struct bn_gate *gate;
};

/* listener may be NULL; its data is the fake, which is the clock, too. */
void fake_arbiter_init(struct fake_arbiter *a, const struct bn_gate_listener *listener);
void fake_arbiter_finish(struct fake_arbiter *a);
/* Grants the next number, rings, lets the gate hear it. */
void fake_arbiter_grant(
	struct fake_arbiter *a, uint32_t kind, uint64_t allow_ns, uint64_t until_ns);
void fake_arbiter_lease(struct fake_arbiter *a);
/* Everything granted so far is over; rings. */
void fake_arbiter_revoke(struct fake_arbiter *a);
/* Rings. */
void fake_arbiter_ring(struct fake_arbiter *a);
/* Whether the gate has rung since the last time. */
bool fake_arbiter_rung(struct fake_arbiter *a);

#endif
