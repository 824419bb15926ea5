/* What a batch costs: predicted before, known behind.
 *
 * That is the time between fences (gate_batch.c has the picture); on a processor that draws, no more
 * than processor time.
 *
 * Where the GPU has a clock (bn_gate_meter), a batch costs what that says, but
 * - at least the time that the GL library took with it: the GPU was held for it meanwhile, and a
 *   guest must not have that for nothing with streams that give the processor work only;
 * - at most the time from its start to its fence, and in sum no more than fences have seen: a
 *   clock that is wrong, or counts what others did in between, cannot make anything dearer. */
#include "common/clock.h"
#include "gate_priv.h"

/* Under an uncontended lease one in so many batches is predicted and learnt from, and no more than
 * one in that time: the model stays awake, and the others cost next to nothing. (To ask for processor time,
 * twice, takes as long as a tenth of the smallest batches do.) */
#define SAMPLE 8u
#define SAMPLE_NS BN_NS_PER_MS

bool bn_gate_contended(const struct bn_gate *gate)
{
	return gate->held.number == 0 || gate->held.kind != BN_GRANT_LEASE ||
	       BN_GATE_GET(gate, batch_max_ns) != 0 || BN_GATE_GET(gate, ahead_max_ns) != 0;
}

static bool sample_due(struct bn_gate *gate, uint64_t now)
{
	if (++gate->unsampled < SAMPLE || bn_gate_since(now, gate->sampled_at_ns) < SAMPLE_NS)
		return false;
	gate->unsampled = 0;
	gate->sampled_at_ns = now;
	return true;
}

void bn_gate_predict(struct bn_gate *gate, struct bn_gate_batch *batch, uint64_t now)
{
	const struct bn_cost_key key = {batch->kind, batch->ctx_id, &batch->work};

	if (batch->sampled)
		return;
	batch->metered = false;
	batch->sampled = bn_gate_contended(gate) || sample_due(gate, now);
	batch->predicted_ns = batch->sampled ? bn_cost_predict(gate->cost, &key)
					     : bn_cost_estimate(gate->cost, &batch->work);
	batch->metered = batch->sampled && gate->meter.read && batch->kind == BN_COST_SUBMIT;
}

uint64_t bn_gate_estimate(void *data, const struct bn_virgl_work *work)
{
	struct bn_gate *gate = data;

	return bn_cost_estimate(gate->cost, work);
}

/* ---- known ---- */

/* By the GPU's clock, of which no more is believed than fences have seen. */
static uint64_t metered(struct bn_gate *gate, const struct bn_gate_record *rec, uint64_t between)
{
	uint64_t seen = bn_gate_sum(gate->unclaimed_ns, between);
	uint64_t whole = bn_gate_since(rec->end_ns, rec->start_ns);
	uint64_t cost = bn_gate_greater(rec->gpu_ns, rec->library_ns);

	cost = bn_gate_lesser(cost, bn_gate_lesser(seen, whole));
	gate->unclaimed_ns = seen - cost;
	return cost;
}

uint64_t bn_gate_cost(struct bn_gate *gate, const struct bn_gate_record *rec)
{
	uint64_t start = bn_gate_greater(rec->start_ns, gate->last_end_ns);
	uint64_t cost = bn_gate_since(rec->end_ns, start);
	uint64_t cpu;

	if (rec->gpu_ns != 0)
		return metered(gate, rec, cost);
	if (rec->cpu_start_ns == 0 || rec->cpu_end_ns == 0)
		return cost;
	cpu = bn_gate_since(rec->cpu_end_ns, bn_gate_greater(rec->cpu_start_ns, gate->last_cpu_ns));
	return cpu < cost ? cpu : cost;
}

void bn_gate_learn(struct bn_gate *gate, const struct bn_gate_record *rec, uint64_t cost)
{
	const struct bn_cost_key key = {rec->kind, rec->ctx_id, &rec->work};

	BN_GATE_PUT(gate, predictions, gate->mine.predictions + 1);
	BN_GATE_PUT(gate, predicted_total_ns, gate->mine.predicted_total_ns + rec->predicted_ns);
	if (cost <= rec->predicted_ns)
		BN_GATE_PUT(gate, covered, gate->mine.covered + 1);
	if (!rec->error)
		bn_cost_learn(gate->cost, &key, cost, rec->compiles);
}

/* ---- work without a grant ---- */

void bn_gate_span_begin(struct bn_gate *gate, struct bn_gate_span *span)
{
	span->start_ns = bn_gate_now(gate);
	span->cpu_ns = bn_gate_cpu(gate);
}

void bn_gate_span_end(struct bn_gate *gate, const struct bn_gate_span *span)
{
	uint64_t cost = bn_gate_since(bn_gate_now(gate), span->start_ns);
	uint64_t cpu = bn_gate_since(bn_gate_cpu(gate), span->cpu_ns);

	if (gate->software && cpu < cost)
		cost = cpu;
	BN_GATE_PUT(gate, gpu_ns, gate->mine.gpu_ns + cost);
}
