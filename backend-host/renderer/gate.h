/* The renderer's side of the scheduler: work for the GPU passes here. It asks the arbiter before a
 * batch starts unless a grant or a lease lasts, sees when the GPU has finished it, and reports what
 * it cost. protocol/grant.h has the pages. One thread (the ring thread); nothing here blocks.
 *
 *	device                       gate                            fences
 *	bn_gate_enter() ──────────▶  a grant? else it is asked for
 *	  false: the command parks (park.c) until bn_gate_ready()
 *	  true: into the GL library
 *	bn_gate_started() ────────▶  a fence behind it, unless ─────▶ bn_fences_wait()
 *	                             the command's own follows
 *	                             batch finished, cost known ◀──── bn_gate_gpu_done()
 *	                             grant given back, if due
 */
#ifndef BN_RENDERER_GATE_H
#define BN_RENDERER_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/grant.h"
#include "protocol/virgl_walk.h"
#include "scheduler/cost.h"

struct bn_fences;
struct bn_gate; /* opaque */

struct bn_gate_listener {
	/* The context has run too long and is lost. From bn_gate_dispatch() or a fence: mark it,
	 * destroy nothing. */
	void (*context_lost)(void *data, uint32_t ctx_id);
	/* Quarantine began or ended. From bn_gate_dispatch(). */
	void (*quarantine)(void *data, bool on);
};

struct bn_gate_config {
	int request_fd, grant_fd; /* the page pair; taken over whatever the result */
	int arbiter_bell, bell;   /* eventfds; taken over whatever the result */
	const struct bn_gate_listener *listener;
	void *data;
	uint64_t (*now)(void *data); /* NULL: CLOCK_MONOTONIC */
	uint64_t (*cpu)(void *data); /* NULL: processor time of this process */
};

/* -ENOMEM, -EINVAL (pages of the wrong size, no eventfd), -EPERM (pages without seals). */
int bn_gate_create(struct bn_gate **out, const struct bn_gate_config *config);
/* NULL is allowed. */
void bn_gate_destroy(struct bn_gate *gate);
/* The processor draws: a batch costs the lesser of the time until its fence and of processor time,
 * so that nobody pays for having been preempted. */
void bn_gate_set_software(struct bn_gate *gate, bool software);
/* Where the GPU's own clock is asked for a batch; see bn_gl_meter_read() in gl.h. */
struct bn_gate_meter {
	bool (*read)(void *data, uint64_t id, uint64_t *ns);
	void *data;
};
/* Batches that are looked at are metered from here on, copied; NULL: by their fences alone. */
void bn_gate_set_meter(struct bn_gate *gate, const struct bn_gate_meter *meter);
bool bn_gate_metered(const struct bn_gate *gate);
/* Batches end by fences of these; NULL: when they are started. */
void bn_gate_set_fences(struct bn_gate *gate, struct bn_fences *fences);

/* Readable when bn_gate_dispatch() has something to do. */
int bn_gate_fd(const struct bn_gate *gate);
void bn_gate_dispatch(struct bn_gate *gate);

/* ---- batches ---- */

/* What a batch is, from bn_gate_enter() to bn_gate_started(). */
struct bn_gate_batch {
	enum bn_cost_kind kind;
	uint32_t ctx_id; /* 0: none */
	struct bn_virgl_work work;
	bool compiles;
	bool cold;      /* one of its context's first: the driver may compile shaders of its own, and make memory */
	unsigned piece; /* which one of its command, from 0 */
	bool more;      /* other pieces follow */
	bool fenced;    /* the command gets a GPU fence of its own right behind this batch */
	/* Filled in by bn_gate_enter(): */
	uint64_t predicted_ns;
	bool sampled; /* the prediction is a real one, and something is to be learnt */
	bool metered; /* the GPU's clock is to be asked; then, until bn_gate_started(): */
	uint64_t meter; /* what for, 0: nothing */
};

/* Predicted cost at which streams are to be cut now; 0: not at all. */
uint64_t bn_gate_batch_max(const struct bn_gate *gate);
/* A bn_virgl_cost for cutting; data is the gate. */
uint64_t bn_gate_estimate(void *gate, const struct bn_virgl_work *work);

/* True: the batch has begun, give it to the GL library and call bn_gate_started() next. False: it
 * has been asked for; try the same batch again when bn_gate_ready(). */
bool bn_gate_enter(struct bn_gate *gate, struct bn_gate_batch *batch);
/* The GL library has it; error: it refused. */
void bn_gate_started(struct bn_gate *gate, const struct bn_gate_batch *batch, bool error);
/* Whether what was refused may be tried again. Cheap. */
bool bn_gate_ready(const struct bn_gate *gate);
/* Nothing is queued any more: a grant is given back once the GPU is done. To be called whenever the
 * ring runs dry. */
void bn_gate_idle(struct bn_gate *gate);
/* What comes next waits for something else than the GPU: no grant is kept for it. */
void bn_gate_pause(struct bn_gate *gate);
/* The batch that was refused is not wanted any more. A grant that comes for it is given back. */
void bn_gate_withdraw(struct bn_gate *gate);
/* Every context was destroyed and all that was at the GPU is done: the VM begins anew. */
void bn_gate_reset(struct bn_gate *gate);
bool bn_gate_quarantined(const struct bn_gate *gate);
/* The context was destroyed, its batches are over. */
void bn_gate_forget_context(struct bn_gate *gate, uint32_t ctx_id);

/* For fence.c: a fence made now covers all batches up to this number … */
uint64_t bn_gate_mark(const struct bn_gate *gate);
/* … and they are finished when it is (fences are reported in the order of their making). */
void bn_gate_gpu_done(struct bn_gate *gate, uint64_t mark);

/* Work that the ring thread does by itself (read-backs): no grant, but it is charged. */
struct bn_gate_span {
	uint64_t start_ns, cpu_ns;
};
void bn_gate_span_begin(struct bn_gate *gate, struct bn_gate_span *span);
void bn_gate_span_end(struct bn_gate *gate, const struct bn_gate_span *span);

/* ---- frames ---- */

/* What a frame took, from the flush before it to its own; see struct bn_link_frame. */
struct bn_gate_frame {
	uint64_t queued_ns, done_ns, wait_ns, gpu_ns, response_ns;
	uint32_t batches, cuts;
};
/* The guest flushed a scanout: the next frame begins. Returns the number of the one that ended. */
uint64_t bn_gate_frame_end(struct bn_gate *gate);
/* When the GPU has finished what the flush waited for. All zero when that was too long ago. */
void bn_gate_frame_done(struct bn_gate *gate, uint64_t number, struct bn_gate_frame *frame);

#endif
