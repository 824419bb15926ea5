/* Grants: asking, holding, giving back. protocol/grant.h has the rules and why the order of the
 * loads and stores below matters. What the arbiter writes is bounded here all the same: a fault
 * there must not become one here. */
#include "gate_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"

/* Cutting finer than this would cost more than it is good for. */
#define BATCH_MIN_NS (20 * BN_NS_PER_US)
/* Of what nothing is known about yet. */
#define UNKNOWN_NS (2 * BN_NS_PER_MS)
/* Grants are numbered from 1; so many are not given in any machine's life. */
#define NUMBER_MAX (UINT64_MAX / 2)

static uint64_t now_default(void *data)
{
	return bn_now_ns();
}

static uint64_t cpu_default(void *data)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * BN_NS_PER_S + (uint64_t)t.tv_nsec;
}

/* ---- life ---- */

/* NULL with *error set. */
static void *page_map(int fd, int prot, int *error)
{
	struct stat st;
	void *map;

	*error = bn_memfd_check(fd, BN_GRANT_PAGE_SIZE);
	if (*error == 0 && (fstat(fd, &st) < 0 || st.st_size != BN_GRANT_PAGE_SIZE))
		*error = -EINVAL;
	if (*error < 0)
		return NULL;
	map = mmap(NULL, BN_GRANT_PAGE_SIZE, prot, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		*error = -errno;
		return NULL;
	}
	return map;
}

static int pages_map(struct bn_gate *gate, const struct bn_gate_config *config)
{
	int error;

	gate->page = page_map(config->request_fd, PROT_READ | PROT_WRITE, &error);
	if (gate->page)
		gate->grant = page_map(config->grant_fd, PROT_READ, &error);
	return error;
}

static int bells_take(struct bn_gate *gate, struct bn_gate_config *config)
{
	bn_notifier_init(&gate->arbiter, config->arbiter_bell);
	config->arbiter_bell = -1;
	gate->bell = config->bell;
	config->bell = -1;
	if (gate->arbiter.kind != BN_NOTIFIER_EVENTFD)
		return -EINVAL;
	return bn_fd_set_nonblock(gate->bell, true);
}

int bn_gate_create(struct bn_gate **out, const struct bn_gate_config *config)
{
	struct bn_gate *gate = calloc(1, sizeof(*gate));
	struct bn_gate_config c = *config;
	int error = -ENOMEM;

	*out = NULL;
	if (gate) {
		gate->bell = gate->arbiter.fd = -1;
		gate->cost = bn_cost_create(UNKNOWN_NS);
		gate->config = c;
		if (!c.now)
			gate->config.now = now_default;
		if (!c.cpu)
			gate->config.cpu = cpu_default;
		if (gate->cost)
			error = bells_take(gate, &c);
		if (error == 0)
			error = pages_map(gate, &c);
	}
	bn_fd_close(&c.request_fd);
	bn_fd_close(&c.grant_fd);
	bn_fd_close(&c.arbiter_bell);
	bn_fd_close(&c.bell);
	if (error < 0) {
		bn_gate_destroy(gate);
		return error;
	}
	bn_gate_frame_start(gate);
	*out = gate;
	return 0;
}

void bn_gate_destroy(struct bn_gate *gate)
{
	if (!gate)
		return;
	if (gate->page)
		munmap(gate->page, BN_GRANT_PAGE_SIZE);
	if (gate->grant)
		munmap((void *)(uintptr_t)gate->grant, BN_GRANT_PAGE_SIZE);
	bn_notifier_finish(&gate->arbiter);
	bn_fd_close(&gate->bell);
	bn_cost_destroy(gate->cost);
	free(gate);
}

void bn_gate_set_software(struct bn_gate *gate, bool software)
{
	gate->software = software;
}

void bn_gate_set_meter(struct bn_gate *gate, const struct bn_gate_meter *meter)
{
	gate->meter = meter ? *meter : (struct bn_gate_meter){0};
}

bool bn_gate_metered(const struct bn_gate *gate)
{
	return gate->meter.read != NULL;
}

void bn_gate_set_fences(struct bn_gate *gate, struct bn_fences *fences)
{
	gate->fences = fences;
}

int bn_gate_fd(const struct bn_gate *gate)
{
	return gate->bell;
}

uint64_t bn_gate_batch_max(const struct bn_gate *gate)
{
	uint64_t max = BN_GATE_GET(gate, batch_max_ns);

	return max == 0 || max >= BATCH_MIN_NS ? max : BATCH_MIN_NS;
}

bool bn_gate_quarantined(const struct bn_gate *gate)
{
	return gate->quarantined;
}

bool bn_gate_ready(const struct bn_gate *gate)
{
	return gate->retry;
}

/* ---- taking and giving back ---- */

void bn_gate_ring(struct bn_gate *gate)
{
	bn_notifier_signal(&gate->arbiter);
}

static bool revoked(const struct bn_gate *gate)
{
	return BN_GATE_GET_SEQ(gate, revoked) >= gate->held.number;
}

/* A grant that is newer than the one looked at last takes its place. Written as a whole before its
 * number: a number that changed meanwhile says that another one is being written. */
static void adopt(struct bn_gate *gate)
{
	uint64_t number = BN_GATE_GET_SEQ(gate, grant), again, allow, until;
	uint32_t kind;

	for (unsigned tries = 0; number > gate->seen && number <= NUMBER_MAX && tries < 4;
		tries++) {
		kind = BN_GATE_GET_SEQ(gate, kind);
		allow = BN_GATE_GET_SEQ(gate, allow_ns);
		until = BN_GATE_GET_SEQ(gate, until_ns);
		again = BN_GATE_GET_SEQ(gate, grant);
		if (again != number) {
			number = again;
			continue;
		}
		gate->seen = number;
		gate->held.number = number;
		gate->held.kind = kind;
		gate->held.allow_ns = allow;
		gate->held.until_ns = until;
		gate->held.used_ns = 0;
		gate->held.any = false;
		gate->held.over = kind < BN_GRANT_BATCH || kind > BN_GRANT_LEASE || revoked(gate);
		return;
	}
}

void bn_gate_settle(struct bn_gate *gate)
{
	if (gate->held.number == 0 || bn_gate_unfinished(gate) > 0)
		return;
	if (!gate->held.over && revoked(gate))
		gate->held.over = true;
	if (!gate->held.over && !(gate->dry && gate->held.kind == BN_GRANT_BATCH))
		return;
	BN_GATE_PUT_SEQ(gate, returned, gate->held.number);
	gate->held.number = 0;
	bn_gate_ring(gate);
}

/* ---- asking ---- */

/* The policy takes a batch that cannot be cut for one of the longest length that is allowed, or it
 * could never let it in; so does this. */
static bool fits(struct bn_gate *gate, const struct bn_gate_batch *batch, uint64_t now)
{
	uint64_t max = bn_gate_batch_max(gate), predicted = batch->predicted_ns, end;

	end = bn_gate_sum(now, bn_gate_outstanding(gate, now));
	end = bn_gate_sum(end, max ? bn_gate_lesser(predicted, max) : predicted);
	if (end > gate->held.until_ns)
		return false;
	return !gate->held.any || bn_gate_sum(gate->held.used_ns, predicted) <= gate->held.allow_ns;
}

/* Whether what the GPU already has leaves room. */
static bool room(struct bn_gate *gate, uint64_t now)
{
	uint64_t ahead = BN_GATE_GET(gate, ahead_max_ns);

	if (bn_gate_unfinished(gate) == BN_GATE_RECORDS)
		return false;
	return gate->held.kind != BN_GRANT_LEASE || ahead == 0 ||
	       bn_gate_outstanding(gate, now) <= ahead;
}

/* From here on the arbiter sees that we are busy, or we have seen that it took the grant back. */
static bool claim(struct bn_gate *gate)
{
	BN_GATE_PUT_SEQ(gate, busy, bn_gate_unfinished(gate) + 1);
	if (!revoked(gate))
		return true;
	BN_GATE_PUT_SEQ(gate, busy, bn_gate_unfinished(gate));
	gate->held.over = true;
	return false;
}

static bool held(const struct bn_gate *gate)
{
	return gate->held.number != 0 && !gate->held.over;
}

static bool may_start(struct bn_gate *gate, const struct bn_gate_batch *batch, uint64_t now)
{
	if (!held(gate))
		return false;
	if (gate->held.kind != BN_GRANT_LEASE && !fits(gate, batch, now)) {
		gate->held.over = true;
		return false;
	}
	return claim(gate);
}

static void ask(struct bn_gate *gate, const struct bn_gate_batch *batch, uint64_t now)
{
	uint64_t number = gate->seen + 1;

	if (gate->wait_since_ns == 0)
		gate->wait_since_ns = now;
	bn_gate_settle(gate);
	if (gate->mine.want >= number && gate->mine.predicted_ns == batch->predicted_ns)
		return;
	BN_GATE_PUT(gate, predicted_ns, batch->predicted_ns);
	BN_GATE_PUT_SEQ(gate, want, number);
	bn_gate_ring(gate);
}

static void waited(struct bn_gate *gate, uint64_t now)
{
	struct bn_gate_frame_slot *slot = bn_gate_frame_get(gate, gate->frame);
	uint64_t ns = bn_gate_since(now, gate->wait_since_ns);

	if (gate->wait_since_ns == 0)
		return;
	gate->wait_since_ns = 0;
	slot->frame.wait_ns += ns;
	BN_GATE_PUT(gate, wait_ns, gate->mine.wait_ns + ns);
}

bool bn_gate_enter(struct bn_gate *gate, struct bn_gate_batch *batch)
{
	uint64_t now = bn_gate_now(gate);

	gate->retry = false;
	gate->dry = false;
	adopt(gate);
	bn_gate_predict(gate, batch, now);
	bn_gate_frame_work(gate, now);
	if (held(gate) && !room(gate, now))
		return false; /* a fence will be done */
	if (!may_start(gate, batch, now)) {
		ask(gate, batch, now);
		return false;
	}
	waited(gate, now);
	gate->held.any = true;
	gate->held.used_ns = bn_gate_sum(gate->held.used_ns, batch->predicted_ns);
	bn_gate_begin(gate, batch, now);
	return true;
}

void bn_gate_idle(struct bn_gate *gate)
{
	if (gate->dry)
		return;
	gate->dry = true;
	bn_gate_settle(gate);
}

void bn_gate_pause(struct bn_gate *gate)
{
	if (gate->held.number != 0 && gate->held.kind == BN_GRANT_FRAME)
		gate->held.over = true;
	gate->dry = true;
	bn_gate_settle(gate);
}

void bn_gate_withdraw(struct bn_gate *gate)
{
	uint64_t now = bn_gate_now(gate);

	waited(gate, now);
	gate->retry = false;
	bn_gate_active_look(gate, now);
	bn_gate_idle(gate);
}

void bn_gate_reset(struct bn_gate *gate)
{
	bn_gate_withdraw(gate);
	bn_gate_gpu_done(gate, gate->started);
	if (gate->held.number != 0 && gate->held.kind != BN_GRANT_LEASE)
		gate->held.over = true;
	bn_gate_settle(gate);
	bn_gate_frame_start(gate);
}

/* ---- the arbiter has rung ---- */

static void check_quarantine(struct bn_gate *gate)
{
	bool on = BN_GATE_GET(gate, quarantine) != 0;

	if (on == gate->quarantined)
		return;
	gate->quarantined = on;
	if (gate->config.listener)
		gate->config.listener->quarantine(gate->config.data, on);
}

void bn_gate_dispatch(struct bn_gate *gate)
{
	bn_event_drain(gate->bell);
	adopt(gate);
	/* It was asked for, and is not wanted any more. */
	if (gate->held.number != 0 && gate->held.kind != BN_GRANT_LEASE &&
		gate->wait_since_ns == 0 && !gate->held.any)
		gate->held.over = true;
	bn_gate_settle(gate);
	bn_gate_check_lose(gate);
	check_quarantine(gate);
	gate->retry = true;
}
