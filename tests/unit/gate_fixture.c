#include "gate_fixture.h"

#include <string.h>

struct fake_arbiter a;
struct bn_gl gl;
struct bn_fences *fences;
unsigned lost, last_lost, quarantines;
bool quarantined;

static void handle_lost(void *data, uint32_t ctx_id)
{
	EQ(data, &a);
	lost++;
	last_lost = ctx_id;
}

static void handle_quarantine(void *data, bool on)
{
	quarantines++;
	quarantined = on;
}

static const struct bn_gate_listener listener = {
	.context_lost = handle_lost,
	.quarantine = handle_quarantine,
};

static void handle_answer(void *data, struct bn_vq_request *request, uint32_t written)
{
}

static const struct bn_fences_ops fences_ops = {.answer = handle_answer};

void setup(void)
{
	memset(&gl, 0, sizeof(gl));
	lost = last_lost = quarantines = 0;
	quarantined = false;
	fake_arbiter_init(&a, &listener);
	fences = bn_fences_create(&fences_ops, NULL, NULL);
	bn_fences_set_gl(fences, &gl);
	bn_fences_set_gate(fences, a.gate);
	bn_gate_set_fences(a.gate, fences);
}

void teardown(void)
{
	bn_fences_reset(fences);
	bn_fences_destroy(fences);
	fake_arbiter_finish(&a);
}

struct bn_gate_batch batch(uint32_t ctx)
{
	return (struct bn_gate_batch){.kind = BN_COST_SUBMIT, .ctx_id = ctx, .work.draws = 1};
}

bool enter(struct bn_gate_batch *b)
{
	return bn_gate_enter(a.gate, b);
}

bool start(void)
{
	struct bn_gate_batch b = batch(1);

	if (!enter(&b))
		return false;
	bn_gate_started(a.gate, &b, false);
	return true;
}

void finish(unsigned n)
{
	while (n-- > 0) {
		uint32_t ctx = gl.fence[0].ctx_id;
		uint64_t id = gl.fence[0].id;

		memmove(gl.fence, gl.fence + 1, --gl.fences * sizeof(gl.fence[0]));
		bn_fences_gpu_done(fences, ctx, id);
	}
}

uint64_t predicted(void)
{
	struct bn_gate_batch b = batch(1);

	NO(enter(&b));
	bn_gate_withdraw(a.gate);
	fake_arbiter_rung(&a);
	return b.predicted_ns;
}
