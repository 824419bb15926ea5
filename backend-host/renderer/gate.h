/* The renderer's side of the scheduler: work for the GPU passes here. It cuts a command stream into
 * batches, asks the arbiter before a batch starts unless a lease lasts, and reports what each batch
 * cost. protocol/grant.h has the pages; device.c parks a command that has to wait. One thread (the
 * ring thread); nothing here blocks. */
#ifndef BN_RENDERER_GATE_H
#define BN_RENDERER_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "fence.h"
#include "gl.h"
#include "protocol/grant.h"
#include "protocol/virgl_walk.h"
#include "scheduler/cost.h"

struct bn_gate; /* opaque */

struct bn_gate_listener {
	/* A grant has come for what bn_gate_enter() had refused. From bn_gate_dispatch() only. */
	void (*opened)(void *data);
	/* The context has run too long and is lost. From bn_gate_dispatch() or a fence. */
	void (*context_lost)(void *data, uint32_t ctx_id);
	/* Quarantine began or ended. */
	void (*quarantine)(void *data, bool on);
};

struct bn_gate_config {
	int request_fd, grant_fd; /* the page pair; taken over whatever the result */
	int arbiter_bell, bell;   /* eventfds; taken over whatever the result */
	const struct bn_gate_listener *listener;
	void *data;
	uint64_t (*now)(void *data); /* NULL: CLOCK_MONOTONIC */
	bool software; /* cost is the lesser of the time until the fence and processor time */
};

/* -ENOMEM, -EINVAL (pages of the wrong size or without seals). */
int bn_gate_create(struct bn_gate **out, const struct bn_gate_config *config);
/* NULL is allowed. */
void bn_gate_destroy(struct bn_gate *gate);
/* Only once it is known what draws. */
void bn_gate_set_software(struct bn_gate *gate, bool software);
/* Batches end by fences of these. */
void bn_gate_set_fences(struct bn_gate *gate, struct bn_fences *fences);

/* Readable when bn_gate_dispatch() has something to do. */
int bn_gate_fd(const struct bn_gate *gate);
void bn_gate_dispatch(struct bn_gate *gate);

/* What a batch is, from its start to its end. */
struct bn_gate_batch {
	enum bn_cost_kind kind;
	uint32_t ctx_id;
	struct bn_virgl_work work;
	bool compiles;
	uint64_t predicted_ns; /* filled in by bn_gate_enter() */
};

/* Predicted cost at which streams are to be cut now; 0: not at all. */
uint64_t bn_gate_batch_max(const struct bn_gate *gate);
/* For cutting: bn_cost_estimate() of this renderer's model. */
uint64_t bn_gate_estimate(void *gate, const struct bn_virgl_work *work);

/* True: the batch may start now, and bn_gate_started() is called next. False: it has been asked
 * for; opened() will come, then ask again with the same batch. */
bool bn_gate_enter(struct bn_gate *gate, struct bn_gate_batch *batch);
/* Its commands are with the GL library (bn_gl_submit() or the like has returned; start_ns is from
 * before that call): a fence is put behind them, unless a lease lasts and the command's own fence
 * will do. error: the library refused it. */
void bn_gate_started(struct bn_gate *gate, const struct bn_gate_batch *batch, uint64_t start_ns, bool error);
/* Nothing is queued any more: a grant is given back once the GPU is done. To be called whenever the
 * ring runs dry. */
void bn_gate_idle(struct bn_gate *gate);
/* The request that waited for a grant is not wanted any more (its VM was reset). */
void bn_gate_withdraw(struct bn_gate *gate);
/* The GPU has finished everything: called from fence.c's count. */
void bn_gate_gpu_idle(struct bn_gate *gate);
bool bn_gate_quarantined(const struct bn_gate *gate);
void bn_gate_forget_context(struct bn_gate *gate, uint32_t ctx_id);

/* What a frame took, from the flush before it to its own. */
struct bn_gate_frame {
	uint64_t queued_ns, done_ns, wait_ns, gpu_ns, response_ns;
	uint32_t batches, cuts;
};
/* The guest flushed a scanout: fills *frame with what is known now and begins the next one; done_ns
 * and gpu_ns become final when the flush's fences are done: ask bn_gate_frame_done() then. */
uint64_t bn_gate_frame_end(struct bn_gate *gate); /* returns the frame's number */
/* Called when the GPU has finished what the frame's flush waited for. */
void bn_gate_frame_done(struct bn_gate *gate, uint64_t number, struct bn_gate_frame *frame);

#endif
