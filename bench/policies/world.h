/* The insides of the simulation: model.c runs it, guest.c decides what guests do, measure.c counts. */
#ifndef BN_BENCH_POLICIES_WORLD_H
#define BN_BENCH_POLICIES_WORLD_H

#include "model.h"
#include "protocol/grant.h"

#define NEVER UINT64_MAX
#define GPU_QUEUE 256u

enum slot_kind { SLOT_GUEST, SLOT_START, SLOT_SHOWN, SLOT_KINDS };

struct vm {
	const struct psim_guest *guest;
	uint64_t random;
	/* The guest. */
	bool open;         /* a frame is under way */
	unsigned unqueued; /* batches of it that are not queued yet */
	unsigned queued;   /* batches that wait in the renderer */
	unsigned gaps_left;
	unsigned in_turn;              /* of honest and lying batches */
	uint64_t frame_left;           /* GPU time of the frame for batches not taken yet */
	uint64_t head, head_predicted; /* the first of the queue; 0: not thought of yet */
	/* The renderer. */
	bool waiting, holding, starting, revoked, held;
	bool announced; /* under a grant of a frame: that there is more work, after there was none */
	uint32_t kind;
	uint64_t allow, until, used;
	unsigned at_gpu, batches_in_grant;
	uint64_t at_gpu_predicted;
	uint64_t uncharged, uncharged_predicted;
	/* The display. */
	uint64_t release, queued_since, response;
	unsigned run; /* of missed refreshes */
	/* Watchdog. */
	unsigned trips;
	uint64_t first_trip;
	/* GPU time in this window. */
	uint64_t window;
};

struct batch {
	unsigned vm;
	uint64_t cost, predicted, left;
};

struct world {
	const struct psim_scenario *scenario;
	const struct psim_policy *policy;
	void *state;
	struct psim_result *result;
	uint64_t now, last;
	unsigned count;
	uint64_t window_start;
	bool window_spoiled;           /* somebody was put in quarantine, or let out */
	uint64_t gpu_end, policy_wake; /* NEVER */
	uint64_t at[PSIM_VMS * SLOT_KINDS + 3];
	uint32_t uncharged; /* a bit for each VM */
	struct batch gpu[GPU_QUEUE];
	unsigned gpu_count;
	uint64_t random;
	struct vm vm[PSIM_VMS];
};

static inline uint64_t *world_slot(struct world *w, unsigned vm, enum slot_kind kind)
{
	return &w->at[vm * SLOT_KINDS + kind];
}

static inline uint64_t psim_random(uint64_t *state) /* splitmix64 */
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static inline uint64_t psim_below(uint64_t *state, uint64_t n)
{
	return (uint64_t)((unsigned __int128)psim_random(state) * n >> 64);
}

static inline uint64_t psim_within(uint64_t *state, struct psim_span span)
{
	return span.min + psim_below(state, span.max - span.min + 1);
}

/* ---- guest.c ---- */

/* At the start of time. */
void guest_begin(struct world *w, unsigned vm);
/* Its timer has run out: queues batches, or withdraws; true if the queue grew. */
bool guest_timer(struct world *w, unsigned vm);
/* Makes sure that vm->head is the cost of the queue's first batch. */
void guest_head(struct world *w, struct vm *vm);
/* The head has been taken. */
void guest_taken(struct vm *vm);
/* The GPU has finished everything that was queued; true when that was a frame's last. */
bool guest_dry(struct world *w, unsigned vm);
/* Its frame has been shown. */
void guest_shown(struct world *w, unsigned vm);
static inline bool guest_has_display(const struct psim_guest *g)
{
	return g->kind == PSIM_FRAMES || g->kind == PSIM_WAKES;
}
uint64_t world_next_vblank(const struct world *w, const struct psim_guest *g, uint64_t after);

/* ---- measure.c ---- */

void measure_begin(struct world *w, const struct bn_admission *admission);
/* Time goes on to `to`; nothing has happened in between. */
void measure_pass(struct world *w, uint64_t to);
void measure_done(struct world *w, unsigned vm);
void measure_shown(struct world *w, unsigned vm);
void measure_window(struct world *w);
void measure_end(struct world *w);

#endif
