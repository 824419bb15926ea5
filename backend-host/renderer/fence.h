/* Answers that wait: for the GPU, for a display, for their turn. fence.c explains the rules. One
 * thread (the ring thread). */
#ifndef BN_RENDERER_FENCE_H
#define BN_RENDERER_FENCE_H

#include <stdbool.h>
#include <stdint.h>
#include <wayland-util.h>

#include "gl.h"
#include "virtqueue.h"

struct bn_fences;
struct bn_gate;

struct bn_fences_ops {
	/* The request is to be completed now; its response is already in guest memory. */
	void (*answer)(void *data, struct bn_vq_request *request, uint32_t written);
};

/* Where an answer stands: unfenced (at once when done), on the device's one timeline, or on that
 * of a context's ring. */
struct bn_fence_key {
	bool fenced;
	bool ring; /* INFO_RING_IDX: the timeline is (ctx_id, ring_idx) */
	uint32_t ctx_id;
	uint8_t ring_idx;
};

/* Flushes are numbered per scanout, from 1: bit i of mask says that number[i] of scanout i
 * counts. */
struct bn_flush_set {
	uint16_t mask;
	uint64_t number[BN_LINK_SCANOUTS];
};

/* A context's unpresented flushes; part of the context. */
struct bn_hold {
	struct wl_list link; /* bn_fences.holds */
	struct bn_flush_set oldest;
	uint64_t newest[BN_LINK_SCANOUTS];
};

/* stats may be NULL. */
struct bn_fences *bn_fences_create(
	const struct bn_fences_ops *ops, void *data, struct bn_stats *stats);
/* Answers nothing any more: call bn_fences_reset() first if requests wait. NULL is allowed. */
void bn_fences_destroy(struct bn_fences *fences);
/* gl may be NULL. */
void bn_fences_set_gl(struct bn_fences *fences, struct bn_gl *gl);
/* Told which batches are finished; NULL: nobody is. */
void bn_fences_set_gate(struct bn_fences *fences, struct bn_gate *gate);

void bn_hold_init(struct bn_fences *fences, struct bn_hold *hold);
void bn_hold_finish(struct bn_hold *hold);
/* This context has something in flush `number` of that scanout, which is on its way to the
 * display. */
void bn_hold_add(struct bn_hold *hold, unsigned scanout, uint64_t number);

/* The request is done; it is answered now or in its turn. */
void bn_fences_done(struct bn_fences *fences, const struct bn_fence_key *key,
	struct bn_vq_request *request, uint32_t written);
/* … done when the GPU has finished all that ctx_id submitted so far. hold may be NULL; it must
 * live until bn_fences_ctx_gone(). */
void bn_fences_gpu(struct bn_fences *fences, const struct bn_fence_key *key, uint32_t ctx_id,
	const struct bn_hold *hold, struct bn_vq_request *request, uint32_t written);
/* … done when all these flushes are presented. */
void bn_fences_flush(struct bn_fences *fences, const struct bn_fence_key *key,
	const struct bn_flush_set *flushes, struct bn_vq_request *request, uint32_t written);
/* Calls done(data, false) when the GPU has finished what these contexts submitted so far,
 * perhaps before it returns; done(data, true) from bn_fences_reset(). -ENOMEM (then it is not
 * called). */
int bn_fences_wait(struct bn_fences *fences, const uint32_t *ctx_ids, unsigned n,
	void (*done)(void *data, bool cancelled), void *data);

/* From bn_gl_listener.fence. Contexts finish in order: earlier fences of that context are done
 * too. */
void bn_fences_gpu_done(struct bn_fences *fences, uint32_t ctx_id, uint64_t fence_id);
/* The context is about to go: its fences will never be reported. Its batches are the caller's to
 * end (bn_gate_forget_context()), once the GPU is done with them. */
void bn_fences_ctx_gone(struct bn_fences *fences, uint32_t ctx_id);
/* Flushes up to this number of the scanout are presented (or never will be). */
void bn_fences_presented(struct bn_fences *fences, unsigned scanout, uint64_t number);
/* on: nothing waits for displays any more, now and later; off: they count again. */
void bn_fences_ignore_displays(struct bn_fences *fences, bool on);
bool bn_fences_ignoring_displays(const struct bn_fences *fences);
/* Everything is answered at once, waits are cancelled. Batches are not ended: the GPU may still be
 * at them (bn_gate_reset()). */
void bn_fences_reset(struct bn_fences *fences);
/* GPU fences not yet done. */
unsigned bn_fences_gpu_pending(const struct bn_fences *fences);

#endif
