/* What gate*.c share. Not for others. */
#ifndef BN_RENDERER_GATE_PRIV_H
#define BN_RENDERER_GATE_PRIV_H

#include "common/fd.h"
#include "gate.h"

/* Batches that may be unfinished at a time; a stream that would bring more waits. */
#define BN_GATE_RECORDS 256u
/* Frames that may be under way from their flush to their picture. */
#define BN_GATE_FRAMES 64u

/* A batch: started, and finished until its place is needed. */
struct bn_gate_record {
	uint64_t number;
	uint64_t start_ns, end_ns;
	uint64_t cpu_start_ns, cpu_end_ns; /* 0: not looked at */
	uint64_t meter;                    /* 0: not metered */
	uint64_t library_ns;               /* if metered: the GL library took so long with it */
	uint64_t gpu_ns;                   /* by the GPU's clock; 0: not known */
	uint64_t predicted_ns;
	uint64_t frame;
	enum bn_cost_kind kind;
	uint32_t ctx_id;
	bool done, sampled, compiles, cold, error;
	struct bn_virgl_work work; /* if sampled */
};

struct bn_gate_frame_slot {
	uint64_t number;
	uint64_t active_start_ns, active_end_ns; /* on the clock of bn_gate.active */
	struct bn_gate_frame frame;
};

struct bn_gate {
	struct bn_gate_config config;
	struct bn_request_page *page;
	const struct bn_grant_page *grant;
	struct bn_request_page mine; /* what we wrote into *page: that memory is never read */
	struct bn_notifier arbiter;
	int bell;
	bool software;
	struct bn_fences *fences;
	struct bn_gate_meter meter; /* read is NULL: none */
	struct bn_cost *cost;

	/* gate.c: the grant that is held; number 0: none */
	struct {
		uint64_t number;
		uint32_t kind;
		uint64_t allow_ns, until_ns, used_ns;
		bool any;  /* a batch was started with it */
		bool over; /* no more are; given back when the GPU is done */
	} held;
	uint64_t seen;          /* newest grant looked at */
	uint64_t wait_since_ns; /* a batch was refused for lack of a grant; 0: none */
	bool dry, retry, quarantined;

	/* gate_batch.c: finished < numbers of batches at the GPU ≤ started */
	uint64_t started, finished;
	uint64_t flight_ns; /* predicted for those */
	uint64_t last_end_ns, last_cpu_ns;
	uint64_t unclaimed_ns; /* since it was idle last, between fences and nobody's by its clock */
	uint64_t lose_seen;
	unsigned unsampled; /* batches since the last one that was */
	uint64_t sampled_at_ns;
	struct bn_gate_record records[BN_GATE_RECORDS];

	/* gate_frame.c */
	uint64_t frame; /* the current one */
	struct bn_gate_frame_slot frames[BN_GATE_FRAMES];
	/* Time with something queued or at the GPU, in sum. */
	struct {
		uint64_t since_ns, total_ns;
		bool on;
	} active;
};

#define BN_GATE_PUT(gate, member, value) \
	__atomic_store_n(&(gate)->page->member, (gate)->mine.member = (value), __ATOMIC_RELAXED)
/* For what the other side decides by: all stores before it are visible then, and it stands in one
 * order with our loads behind it. */
#define BN_GATE_PUT_SEQ(gate, member, value) \
	__atomic_store_n(&(gate)->page->member, (gate)->mine.member = (value), __ATOMIC_SEQ_CST)
#define BN_GATE_GET(gate, member) __atomic_load_n(&(gate)->grant->member, __ATOMIC_RELAXED)
#define BN_GATE_GET_SEQ(gate, member) __atomic_load_n(&(gate)->grant->member, __ATOMIC_SEQ_CST)

static inline uint64_t bn_gate_now(const struct bn_gate *gate)
{
	return gate->config.now(gate->config.data);
}
static inline uint64_t bn_gate_cpu(const struct bn_gate *gate)
{
	return gate->software ? gate->config.cpu(gate->config.data) : 0;
}
static inline uint64_t bn_gate_since(uint64_t later, uint64_t earlier)
{
	return later > earlier ? later - earlier : 0;
}
static inline uint64_t bn_gate_lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}
static inline uint64_t bn_gate_greater(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}
static inline uint64_t bn_gate_sum(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}
static inline unsigned bn_gate_unfinished(const struct bn_gate *gate)
{
	return (unsigned)(gate->started - gate->finished);
}

/* gate.c */
/* The GPU has nothing of ours any more, or a grant is over: gives it back if that is due. */
void bn_gate_settle(struct bn_gate *gate);
void bn_gate_ring(struct bn_gate *gate);

/* gate_cost.c */
/* Somebody else may come: every batch is looked at. */
bool bn_gate_contended(const struct bn_gate *gate);
void bn_gate_predict(struct bn_gate *gate, struct bn_gate_batch *batch, uint64_t now);
/* Of the first one at the GPU, which is done. */
uint64_t bn_gate_cost(struct bn_gate *gate, const struct bn_gate_record *rec);
/* From a batch that had a prediction. */
void bn_gate_learn(struct bn_gate *gate, const struct bn_gate_record *rec, uint64_t cost);

/* gate_batch.c */
/* The batch begins; `busy` is already published. */
void bn_gate_begin(struct bn_gate *gate, const struct bn_gate_batch *batch, uint64_t now);
/* How much longer the GPU will be busy with what it has, as predicted. */
uint64_t bn_gate_outstanding(struct bn_gate *gate, uint64_t now);
/* Looks whether the arbiter wants a context to be lost. */
void bn_gate_check_lose(struct bn_gate *gate);

/* gate_frame.c */
struct bn_gate_frame_slot *bn_gate_frame_get(struct bn_gate *gate, uint64_t number);
/* Work is queued: begins the frame, if it has not begun. */
void bn_gate_frame_work(struct bn_gate *gate, uint64_t now);
void bn_gate_frame_start(struct bn_gate *gate);
uint64_t bn_gate_active(const struct bn_gate *gate, uint64_t now);
/* Nothing may be queued or at the GPU any more. */
void bn_gate_active_look(struct bn_gate *gate, uint64_t now);
/* Sets one flag of the request page. */
void bn_gate_flag(struct bn_gate *gate, uint32_t flag, bool on);

#endif
