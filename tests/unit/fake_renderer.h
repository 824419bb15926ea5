/* A renderer that keeps, or breaks, the rules of protocol/grant.h as a test wants it. */
#ifndef BN_TESTS_FAKE_RENDERER_H
#define BN_TESTS_FAKE_RENDERER_H

#include <stdbool.h>
#include <stdint.h>

#include "arbiter.h"

struct fake_renderer {
	struct bn_arbiter *arbiter;
	unsigned vm;
	int arbiter_bell, bell;
	struct bn_request_page *page;
	const struct bn_grant_page *grant;
	uint64_t held; /* number of the grant; 0: none */
	uint64_t batch;
};

/* Attaches it; false on failure. */
bool fake_init(struct fake_renderer *f, struct bn_arbiter *arbiter, unsigned vm);
/* Detaches it. */
void fake_finish(struct fake_renderer *f);

void fake_ring(struct fake_renderer *f);
void fake_ask(struct fake_renderer *f, uint64_t predicted_ns);
/* Takes a grant that is newer than the one held; false when none has come in that time. */
bool fake_granted(struct fake_renderer *f, int timeout_ms);
/* Starts a batch as the protocol says; false: the grant is gone. */
bool fake_begin(struct fake_renderer *f);
void fake_end(struct fake_renderer *f, uint64_t cost_ns);
void fake_return(struct fake_renderer *f);

#define FAKE_PUT(f, member, value) __atomic_store_n(&(f)->page->member, value, __ATOMIC_SEQ_CST)
#define FAKE_GET(f, member) __atomic_load_n(&(f)->grant->member, __ATOMIC_SEQ_CST)

#endif
