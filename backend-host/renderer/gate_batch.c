/* Batches at the GPU, in the order of their start, and what each one cost.
 *
 * The GPU does one after the other, so a batch costs the time from its start, or from the end of
 * the one before it if that came later, to its fence:
 *
 *	start 1   start 2         fence 1        fence 2
 *	  ├──────────┼───────────────┤              │
 *	  └───────── cost 1 ─────────┴─── cost 2 ───┘
 *
 * The ring thread may see a fence late (it was in the GL library with the next batch): then the
 * next one's cost is smaller by as much, and the sum stays right.
 *
 * Where the GPU has a clock (bn_gate_meter), a batch costs what that says, but
 * - at least the time that the GL library took with it: the GPU was held for it meanwhile, and a
 *   guest must not have that for nothing with streams that give the processor work only;
 * - at most the time from its start to its fence, and in sum no more than fences have seen: a
 *   clock that is wrong, or counts what others did in between, cannot make anything dearer. */
#include "common/clock.h"
#include "fence.h"
#include "gate_priv.h"

/* Under an uncontended lease one in so many batches is predicted and learnt from, and no more than
 * one in that time: the model stays awake, and the others cost next to nothing. (To ask for processor time,
 * twice, takes as long as a tenth of the smallest batches do.) */
#define SAMPLE 8u
#define SAMPLE_NS BN_NS_PER_MS

static struct bn_gate_record *record_at(struct bn_gate *gate, uint64_t number)
{
	return &gate->records[number % BN_GATE_RECORDS];
}

static bool contended(const struct bn_gate *gate)
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
	batch->sampled = contended(gate) || sample_due(gate, now);
	batch->predicted_ns = batch->sampled ? bn_cost_predict(gate->cost, &key)
					     : bn_cost_estimate(gate->cost, &batch->work);
	batch->metered = batch->sampled && gate->meter.read && batch->kind == BN_COST_SUBMIT;
}

uint64_t bn_gate_estimate(void *data, const struct bn_virgl_work *work)
{
	struct bn_gate *gate = data;

	return bn_cost_estimate(gate->cost, work);
}

/* What the page says of the batch that the GPU is at. A reader that finds batch_start_ns 0 has come
 * in between. */
static void publish_head(struct bn_gate *gate)
{
	const struct bn_gate_record *rec = record_at(gate, gate->finished + 1);

	__atomic_store_n(&gate->page->batch_start_ns, 0, __ATOMIC_SEQ_CST);
	if (bn_gate_unfinished(gate) == 0) {
		bn_gate_flag(gate, BN_REQUEST_COMPILES, false);
		return;
	}
	BN_GATE_PUT(gate, batch, rec->number);
	BN_GATE_PUT(gate, batch_ctx, rec->ctx_id);
	BN_GATE_PUT(gate, batch_predicted_ns, rec->predicted_ns);
	bn_gate_flag(gate, BN_REQUEST_COMPILES, rec->compiles);
	__atomic_store_n(&gate->page->batch_start_ns,
		bn_gate_greater(rec->start_ns, gate->last_end_ns), __ATOMIC_RELEASE);
}

void bn_gate_begin(struct bn_gate *gate, const struct bn_gate_batch *batch, uint64_t now)
{
	struct bn_gate_record *rec = record_at(gate, ++gate->started);

	rec->number = gate->started;
	rec->start_ns = now;
	rec->cpu_start_ns = batch->sampled ? bn_gate_cpu(gate) : 0;
	rec->cpu_end_ns = 0;
	rec->meter = rec->library_ns = rec->gpu_ns = 0;
	rec->predicted_ns = batch->predicted_ns;
	rec->frame = gate->frame;
	rec->kind = batch->kind;
	rec->ctx_id = batch->ctx_id;
	rec->done = rec->error = false;
	rec->sampled = batch->sampled;
	rec->compiles = batch->compiles;
	if (batch->sampled)
		rec->work = batch->work;
	gate->flight_ns = bn_gate_sum(gate->flight_ns, batch->predicted_ns);
	if (bn_gate_unfinished(gate) == 1)
		publish_head(gate);
}

uint64_t bn_gate_outstanding(struct bn_gate *gate, uint64_t now)
{
	const struct bn_gate_record *rec = record_at(gate, gate->finished + 1);

	if (bn_gate_unfinished(gate) == 0)
		return 0;
	return bn_gate_since(gate->flight_ns,
		bn_gate_since(now, bn_gate_greater(rec->start_ns, gate->last_end_ns)));
}

/* ---- the end ---- */

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

static uint64_t cost_of(struct bn_gate *gate, const struct bn_gate_record *rec)
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

static void learn(struct bn_gate *gate, const struct bn_gate_record *rec, uint64_t cost)
{
	const struct bn_cost_key key = {rec->kind, rec->ctx_id, &rec->work};

	BN_GATE_PUT(gate, predictions, gate->mine.predictions + 1);
	BN_GATE_PUT(gate, predicted_total_ns, gate->mine.predicted_total_ns + rec->predicted_ns);
	if (cost <= rec->predicted_ns)
		BN_GATE_PUT(gate, covered, gate->mine.covered + 1);
	if (!rec->error)
		bn_cost_learn(gate->cost, &key, cost, rec->compiles);
}

static void finish_first(struct bn_gate *gate)
{
	struct bn_gate_record *rec = record_at(gate, gate->finished + 1);
	struct bn_gate_frame_slot *slot = bn_gate_frame_get(gate, rec->frame);
	uint64_t cost = cost_of(gate, rec);

	gate->finished++;
	gate->flight_ns = bn_gate_since(gate->flight_ns, rec->predicted_ns);
	gate->last_end_ns = bn_gate_greater(gate->last_end_ns, rec->end_ns);
	gate->last_cpu_ns = bn_gate_greater(gate->last_cpu_ns, rec->cpu_end_ns);
	BN_GATE_PUT(gate, batches, gate->mine.batches + 1);
	BN_GATE_PUT(gate, gpu_ns, gate->mine.gpu_ns + cost);
	if (rec->sampled)
		learn(gate, rec, cost);
	if (!slot)
		return;
	slot->frame.gpu_ns += cost;
	slot->frame.done_ns = rec->end_ns;
	slot->active_end_ns = bn_gate_active(gate, rec->end_ns);
}

/* Takes those out at the front that are done. */
static void progress(struct bn_gate *gate, uint64_t now)
{
	uint64_t before = gate->finished;

	while (gate->finished < gate->started && record_at(gate, gate->finished + 1)->done)
		finish_first(gate);
	if (gate->finished == before)
		return;
	if (bn_gate_unfinished(gate) == 0)
		gate->unclaimed_ns = 0;
	gate->retry = true;
	publish_head(gate);
	BN_GATE_PUT_SEQ(gate, busy, bn_gate_unfinished(gate));
	bn_gate_active_look(gate, now);
	bn_gate_check_lose(gate);
	bn_gate_settle(gate);
}

static void record_done(struct bn_gate *gate, struct bn_gate_record *rec, uint64_t now)
{
	if (rec->done)
		return;
	rec->done = true;
	rec->end_ns = now;
	if (rec->cpu_start_ns != 0)
		rec->cpu_end_ns = bn_gate_cpu(gate);
	if (rec->meter == 0 || !gate->meter.read(gate->meter.data, rec->meter, &rec->gpu_ns))
		rec->gpu_ns = 0;
}

void bn_gate_gpu_done(struct bn_gate *gate, uint64_t mark)
{
	uint64_t now;

	if (mark > gate->started)
		mark = gate->started;
	if (mark <= gate->finished)
		return;
	now = bn_gate_now(gate);
	for (uint64_t n = gate->finished + 1; n <= mark; n++)
		record_done(gate, record_at(gate, n), now);
	progress(gate, now);
}

uint64_t bn_gate_mark(const struct bn_gate *gate)
{
	return gate->started;
}

/* Its end is seen by the mark of the fence. */
static void fence_done(void *data, bool cancelled)
{
}

void bn_gate_started(struct bn_gate *gate, const struct bn_gate_batch *batch, bool error)
{
	struct bn_gate_record *rec = record_at(gate, gate->started);
	struct bn_gate_frame_slot *slot = bn_gate_frame_get(gate, gate->frame);
	uint64_t now;

	rec->error = error;
	rec->meter = batch->metered ? batch->meter : 0;
	if (rec->meter != 0)
		rec->library_ns = bn_gate_since(bn_gate_now(gate), rec->start_ns);
	slot->frame.batches++;
	if (batch->piece == 0 && batch->more) {
		slot->frame.cuts++;
		BN_GATE_PUT(gate, cuts, gate->mine.cuts + 1);
	}
	if (gate->fences && batch->fenced && !batch->more && !error)
		return;
	/* A resource is made when the library has returned; under a grant it is looked at more
	 * closely whether the GPU has to do with it, too. */
	if (gate->fences && (batch->kind != BN_COST_CREATE || contended(gate)) &&
		bn_fences_wait(gate->fences, &rec->ctx_id, 1, fence_done, NULL) == 0)
		return;
	now = bn_gate_now(gate);
	record_done(gate, rec, now);
	progress(gate, now);
}

void bn_gate_forget_context(struct bn_gate *gate, uint32_t ctx_id)
{
	uint64_t now = bn_gate_now(gate);

	for (unsigned i = 0; i < BN_GATE_RECORDS; i++) {
		struct bn_gate_record *rec = &gate->records[i];

		if (rec->ctx_id != ctx_id || rec->number == 0)
			continue;
		if (rec->number > gate->finished)
			record_done(gate, rec, now);
		rec->sampled = false;
		rec->ctx_id = 0; /* the number may be given to another one */
	}
	progress(gate, now);
	bn_cost_forget(gate->cost, ctx_id);
}

/* Looked at when the arbiter rings, and when a batch ends: it may have said so without our having
 * heard it yet, or while the batch ended. Places of finished batches are not cleared, so the
 * context is still known then. */
void bn_gate_check_lose(struct bn_gate *gate)
{
	uint64_t number = BN_GATE_GET(gate, lose_batch);
	const struct bn_gate_record *rec = record_at(gate, number);

	if (number <= gate->lose_seen || number > gate->finished)
		return;
	gate->lose_seen = number;
	if (rec->number != number || rec->ctx_id == 0)
		return;
	BN_GATE_PUT(gate, contexts_lost, gate->mine.contexts_lost + 1);
	if (gate->config.listener)
		gate->config.listener->context_lost(gate->config.data, rec->ctx_id);
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
