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
 * next one's cost is smaller by as much, and the sum stays right. */
#include "fence.h"
#include "gate_priv.h"

static struct bn_gate_record *record_at(struct bn_gate *gate, uint64_t number)
{
	return &gate->records[number % BN_GATE_RECORDS];
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
	bn_gate_flag(gate, BN_REQUEST_COMPILES, rec->compiles || rec->cold);
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
	rec->cold = batch->cold;
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

static void finish_first(struct bn_gate *gate)
{
	struct bn_gate_record *rec = record_at(gate, gate->finished + 1);
	struct bn_gate_frame_slot *slot = bn_gate_frame_get(gate, rec->frame);
	uint64_t cost = bn_gate_cost(gate, rec);

	gate->finished++;
	gate->flight_ns = bn_gate_since(gate->flight_ns, rec->predicted_ns);
	gate->last_end_ns = bn_gate_greater(gate->last_end_ns, rec->end_ns);
	gate->last_cpu_ns = bn_gate_greater(gate->last_cpu_ns, rec->cpu_end_ns);
	BN_GATE_PUT(gate, batches, gate->mine.batches + 1);
	BN_GATE_PUT(gate, gpu_ns, gate->mine.gpu_ns + cost);
	if (rec->sampled)
		bn_gate_learn(gate, rec, cost);
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
	if (gate->fences && (batch->kind != BN_COST_CREATE || bn_gate_contended(gate)) &&
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
