/* When an answer may go back to the guest.
 *
 * Order. Answers on one timeline go out in the order of their commands, because Linux signals
 * all earlier fences of a timeline when it sees any: to answer a later one first would tell a
 * guest that earlier work is done. Unfenced answers have no order.
 *
 *	timeline   [ submit A: done ] [ submit B: on the GPU ] [ flush: display ] [ create ]
 *	                goes out            all from here on wait for B, then for the flush
 *
 * Pacing. A flush is answered when a display shows it. Guests that draw on the CPU fence their
 * flushes and so follow the display by themselves. Guests that draw with GL do not (Linux puts
 * no fence on the flush of a GL framebuffer), and nothing else would slow them down. So while a
 * context has a flush that no display has shown yet, its finished GPU fences are held back. Mesa
 * waits, before it goes on to the next frame, for the fence of the one before, and falls into
 * step:
 *
 *	guest    submit 1, flush 1 │ submit 2 …waits for fence 1…        │ flush 2, submit 3 …
 *	GPU        ▒▒ done 1       │   ▒▒                                │
 *	display                    │                      vblank shows 1 │ → fence 1 goes out
 *
 * A fence is held for the newest flush before its submit, if that is still to be shown, else for
 * the oldest flush that is: its own frame, when the GPU took longer than the guest's way to the
 * flush. A guest whose kernel waits for the fence before it flushes (seen with Linux 7.2) is
 * never asked to show what it has not flushed. One whose kernel does not (6.12) may get one
 * frame ahead, when the GPU was quicker than its flush; scanout.c then keeps the second picture
 * back until the first was shown, and from there on each display refresh lets out one fence,
 * hence one frame.
 *
 * This holds answers, not work. What may not be drawn yet, because a display shows the buffer
 * itself, waits before it is executed: release.c.
 *
 * The hold is soft. A context that draws for several displays waits for whichever comes first: a
 * slow display must not slow a fast one. And when a later answer of the same timeline is ready
 * and not held (another context; a guest without ring indices has one timeline for all),
 * everything before it that is done goes out too: the guest would signal these fences anyway. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "fence.h"
#include "gate.h"

struct bn_answer {
	struct wl_list link; /* bn_timeline.answers, bn_fences.unordered */
	struct bn_vq_request *request;
	uint32_t written;
	bool gpu;  /* waits for the GPU */
	bool soft; /* `flushes` is a hold, else the answer itself waits for them */
	struct bn_flush_set flushes;
};

struct bn_timeline {
	struct wl_list link; /* bn_fences.timelines */
	struct bn_fence_key key;
	/* bn_answer.link, in the order of commands; never empty between calls */
	struct wl_list answers;
};

struct bn_wait {
	unsigned pending;
	void (*done)(void *data, bool cancelled);
	void *data;
};

/* One fence at the GPU, for an answer or for a wait. */
struct gpu_fence {
	struct wl_list link; /* bn_fences.gpu */
	uint32_t ctx_id;
	uint32_t id;
	struct bn_answer *answer;
	struct bn_timeline *timeline; /* of answer */
	const struct bn_hold *hold;
	/* The newest flushes of the context that were unpresented when this was made. */
	struct bn_flush_set before;
	struct bn_wait *wait;
	uint64_t mark; /* the batches that it covers */
};

struct bn_fences {
	const struct bn_fences_ops *ops;
	void *data;
	struct bn_stats *stats;
	struct bn_gl *gl;
	struct bn_gate *gate;
	struct wl_list timelines, unordered, gpu, holds;
	uint32_t next_id; /* below 2^32: virglrenderer's own fences are 32 bits wide */
	unsigned gpu_pending;
	uint64_t busy_since_ns;
	bool ignore_displays;
};

static void stat_add(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

struct bn_fences *bn_fences_create(
	const struct bn_fences_ops *ops, void *data, struct bn_stats *stats)
{
	struct bn_fences *fences = calloc(1, sizeof(*fences));

	if (!fences)
		return NULL;
	fences->ops = ops;
	fences->data = data;
	fences->stats = stats;
	wl_list_init(&fences->timelines);
	wl_list_init(&fences->unordered);
	wl_list_init(&fences->gpu);
	wl_list_init(&fences->holds);
	return fences;
}

void bn_fences_destroy(struct bn_fences *fences)
{
	free(fences);
}

void bn_fences_set_gl(struct bn_fences *fences, struct bn_gl *gl)
{
	fences->gl = gl;
}

void bn_fences_set_gate(struct bn_fences *fences, struct bn_gate *gate)
{
	fences->gate = gate;
}

void bn_hold_init(struct bn_fences *fences, struct bn_hold *hold)
{
	memset(hold, 0, sizeof(*hold));
	wl_list_insert(&fences->holds, &hold->link);
}

void bn_hold_finish(struct bn_hold *hold)
{
	wl_list_remove(&hold->link);
}

void bn_hold_add(struct bn_hold *hold, unsigned scanout, uint64_t number)
{
	if (!(hold->oldest.mask & 1u << scanout)) {
		hold->oldest.mask |= 1u << scanout;
		hold->oldest.number[scanout] = number;
	}
	hold->newest[scanout] = number;
}

static void hold_presented(struct bn_hold *hold, unsigned scanout, uint64_t number)
{
	if (!(hold->oldest.mask & 1u << scanout))
		return;
	if (hold->newest[scanout] <= number)
		hold->oldest.mask &= ~(1u << scanout);
	else if (hold->oldest.number[scanout] <= number)
		hold->oldest.number[scanout] = number + 1;
}

/* The unpresented flushes of a context, the newest of each scanout. */
static struct bn_flush_set hold_newest(const struct bn_hold *hold)
{
	struct bn_flush_set set = {.mask = hold ? hold->oldest.mask : 0};

	for (unsigned i = 0; i < BN_LINK_SCANOUTS; i++) {
		if (set.mask & 1u << i)
			set.number[i] = hold->newest[i];
	}
	return set;
}

/* What a fence that is done now is held for. */
static struct bn_flush_set hold_for(const struct bn_hold *hold, const struct bn_flush_set *before)
{
	struct bn_flush_set set = hold->oldest;

	for (unsigned i = 0; i < BN_LINK_SCANOUTS; i++) {
		if ((set.mask & before->mask & 1u << i) && before->number[i] > set.number[i])
			set.number[i] = before->number[i];
	}
	return set;
}

/* ---- answers and timelines ---- */

static void answer_out(struct bn_fences *fences, struct bn_answer *answer)
{
	wl_list_remove(&answer->link);
	fences->ops->answer(fences->data, answer->request, answer->written);
	free(answer);
}

static bool answer_done(const struct bn_answer *answer)
{
	return !answer->gpu && (answer->soft || answer->flushes.mask == 0);
}

static void timeline_drain(struct bn_fences *fences, struct bn_timeline *timeline)
{
	struct bn_answer *answer, *next, *last = NULL;

	wl_list_for_each(answer, &timeline->answers, link)
	{
		if (!answer_done(answer))
			break;
		if (answer->flushes.mask == 0)
			last = answer;
	}
	if (!last)
		return;
	wl_list_for_each_safe(answer, next, &timeline->answers, link)
	{
		bool end = answer == last;

		answer_out(fences, answer);
		if (end)
			break;
	}
	if (wl_list_empty(&timeline->answers)) {
		wl_list_remove(&timeline->link);
		free(timeline);
	}
}

static bool key_equal(const struct bn_fence_key *a, const struct bn_fence_key *b)
{
	return a->ring == b->ring &&
	       (!a->ring || (a->ctx_id == b->ctx_id && a->ring_idx == b->ring_idx));
}

static struct bn_timeline *timeline_find(struct bn_fences *fences, const struct bn_fence_key *key)
{
	struct bn_timeline *timeline;

	wl_list_for_each(timeline, &fences->timelines, link)
	{
		if (key_equal(&timeline->key, key))
			return timeline;
	}
	return NULL;
}

static struct bn_timeline *timeline_get(struct bn_fences *fences, const struct bn_fence_key *key)
{
	struct bn_timeline *timeline = timeline_find(fences, key);

	if (timeline)
		return timeline;
	timeline = calloc(1, sizeof(*timeline));
	if (!timeline)
		return NULL;
	timeline->key = *key;
	wl_list_init(&timeline->answers);
	wl_list_insert(&fences->timelines, &timeline->link);
	return timeline;
}

/* Queues an answer; NULL without memory: then it went out at once, which is early but never
 * lost. */
static struct bn_answer *answer_add(struct bn_fences *fences, const struct bn_fence_key *key,
	struct bn_vq_request *request, uint32_t written, struct bn_timeline **timeline)
{
	struct bn_answer *answer = calloc(1, sizeof(*answer));

	*timeline = NULL;
	if (answer && key->fenced) {
		*timeline = timeline_get(fences, key);
		if (!*timeline) {
			free(answer);
			answer = NULL;
		}
	}
	if (!answer) {
		fences->ops->answer(fences->data, request, written);
		return NULL;
	}
	answer->request = request;
	answer->written = written;
	wl_list_insert(
		*timeline ? (*timeline)->answers.prev : fences->unordered.prev, &answer->link);
	return answer;
}

static void answer_progress(
	struct bn_fences *fences, struct bn_answer *answer, struct bn_timeline *timeline)
{
	if (timeline)
		timeline_drain(fences, timeline);
	else if (answer_done(answer))
		answer_out(fences, answer);
}

void bn_fences_done(struct bn_fences *fences, const struct bn_fence_key *key,
	struct bn_vq_request *request, uint32_t written)
{
	struct bn_timeline *timeline;

	if (key->fenced && fences->stats)
		stat_add(&fences->stats->fences, 1);
	if (!key->fenced || !timeline_find(fences, key)) {
		fences->ops->answer(fences->data, request, written);
		return;
	}
	if (answer_add(fences, key, request, written, &timeline))
		timeline_drain(fences, timeline);
}

void bn_fences_flush(struct bn_fences *fences, const struct bn_fence_key *key,
	const struct bn_flush_set *flushes, struct bn_vq_request *request, uint32_t written)
{
	struct bn_timeline *timeline;
	struct bn_answer *answer;

	if (flushes->mask == 0 || fences->ignore_displays) {
		bn_fences_done(fences, key, request, written);
		return;
	}
	if (key->fenced && fences->stats)
		stat_add(&fences->stats->fences, 1);
	answer = answer_add(fences, key, request, written, &timeline);
	if (answer)
		answer->flushes = *flushes;
}

/* ---- the GPU ---- */

static void gpu_count(struct bn_fences *fences, int change)
{
	if (fences->gpu_pending == 0)
		fences->busy_since_ns = bn_now_ns();
	fences->gpu_pending += (unsigned)change;
	if (!fences->stats)
		return;
	__atomic_store_n(&fences->stats->fences_pending, fences->gpu_pending, __ATOMIC_RELAXED);
	if (fences->gpu_pending == 0)
		stat_add(&fences->stats->gpu_busy_ns, bn_now_ns() - fences->busy_since_ns);
}

/* No fence is to be had for batches up to this one: the newest that there is must do. */
static void gpu_uncovered(struct bn_fences *fences, uint64_t mark)
{
	struct gpu_fence *newest;

	if (!fences->gate)
		return;
	if (wl_list_empty(&fences->gpu)) {
		bn_gate_gpu_done(fences->gate, mark);
		return;
	}
	newest = wl_container_of(fences->gpu.prev, newest, link);
	newest->mark = mark;
}

static struct gpu_fence *gpu_fence_add(struct bn_fences *fences, uint32_t ctx_id)
{
	struct gpu_fence *fence = calloc(1, sizeof(*fence));

	if (!fence)
		return NULL;
	fence->ctx_id = ctx_id;
	if (++fences->next_id == 0)
		fences->next_id = 1;
	fence->id = fences->next_id;
	fence->mark = fences->gate ? bn_gate_mark(fences->gate) : 0;
	wl_list_insert(fences->gpu.prev, &fence->link);
	gpu_count(fences, 1);
	if (fences->gl && bn_gl_fence(fences->gl, ctx_id, fence->id) == 0)
		return fence;
	wl_list_remove(&fence->link);
	gpu_count(fences, -1);
	gpu_uncovered(fences, fence->mark);
	free(fence);
	return NULL;
}

void bn_fences_gpu(struct bn_fences *fences, const struct bn_fence_key *key, uint32_t ctx_id,
	const struct bn_hold *hold, struct bn_vq_request *request, uint32_t written)
{
	struct gpu_fence *fence;
	struct bn_timeline *timeline;
	struct bn_answer *answer;

	if (!key->fenced) {
		fences->ops->answer(fences->data, request, written);
		return;
	}
	if (fences->stats)
		stat_add(&fences->stats->fences, 1);
	answer = answer_add(fences, key, request, written, &timeline);
	if (!answer)
		return;
	fence = gpu_fence_add(fences, ctx_id);
	if (!fence) {
		timeline_drain(fences, timeline);
		return;
	}
	answer->gpu = true;
	fence->answer = answer;
	fence->timeline = timeline;
	fence->hold = hold;
	fence->before = hold_newest(hold);
}

int bn_fences_wait(struct bn_fences *fences, const uint32_t *ctx_ids, unsigned n,
	void (*done)(void *data, bool cancelled), void *data)
{
	struct bn_wait *wait = calloc(1, sizeof(*wait));

	if (!wait)
		return -ENOMEM;
	*wait = (struct bn_wait){.done = done, .data = data};
	for (unsigned i = 0; i < n; i++) {
		struct gpu_fence *fence = gpu_fence_add(fences, ctx_ids[i]);

		if (!fence)
			continue;
		fence->wait = wait;
		wait->pending++;
	}
	if (wait->pending == 0) {
		free(wait);
		done(data, false);
	}
	return 0;
}

static void wait_progress(struct bn_wait *wait, bool cancelled)
{
	if (--wait->pending > 0)
		return;
	wait->done(wait->data, cancelled);
	free(wait);
}

/* gone: the context is, not the GPU's work. */
static void gpu_fence_finish(struct bn_fences *fences, struct gpu_fence *fence, bool gone)
{
	struct bn_answer *answer = fence->answer;

	wl_list_remove(&fence->link);
	gpu_count(fences, -1);
	if (fences->gate && !gone)
		bn_gate_gpu_done(fences->gate, fence->mark);
	if (answer) {
		answer->gpu = false;
		if (!gone && fence->hold && !fences->ignore_displays) {
			answer->soft = true;
			answer->flushes = hold_for(fence->hold, &fence->before);
		}
		answer_progress(fences, answer, fence->timeline);
	} else {
		wait_progress(fence->wait, false);
	}
	free(fence);
}

/* The first fence of ctx_id, when it is not later than `id`. Looked up anew each time: finishing
 * one may add or finish others. */
static struct gpu_fence *gpu_first(struct bn_fences *fences, uint32_t ctx_id)
{
	struct gpu_fence *fence;

	wl_list_for_each(fence, &fences->gpu, link)
	{
		if (fence->ctx_id == ctx_id)
			return fence;
	}
	return NULL;
}

void bn_fences_gpu_done(struct bn_fences *fences, uint32_t ctx_id, uint64_t fence_id)
{
	struct gpu_fence *fence;

	while ((fence = gpu_first(fences, ctx_id)) &&
		(int32_t)(fence->id - (uint32_t)fence_id) <= 0)
		gpu_fence_finish(fences, fence, false);
}

void bn_fences_ctx_gone(struct bn_fences *fences, uint32_t ctx_id)
{
	struct gpu_fence *fence;

	while ((fence = gpu_first(fences, ctx_id)))
		gpu_fence_finish(fences, fence, true);
}

unsigned bn_fences_gpu_pending(const struct bn_fences *fences)
{
	return fences->gpu_pending;
}

/* ---- displays ---- */

static void answer_presented(struct bn_answer *answer, unsigned scanout, uint64_t number)
{
	struct bn_flush_set *flushes = &answer->flushes;

	if (!(flushes->mask & 1u << scanout) || flushes->number[scanout] > number)
		return;
	if (answer->soft)
		flushes->mask = 0;
	else
		flushes->mask &= ~(1u << scanout);
}

static void drain_all(struct bn_fences *fences)
{
	struct bn_timeline *timeline, *next_timeline;
	struct bn_answer *answer, *next;

	wl_list_for_each_safe(timeline, next_timeline, &fences->timelines, link)
		timeline_drain(fences, timeline);
	wl_list_for_each_safe(answer, next, &fences->unordered, link)
	{
		if (answer_done(answer))
			answer_out(fences, answer);
	}
}

void bn_fences_presented(struct bn_fences *fences, unsigned scanout, uint64_t number)
{
	struct bn_timeline *timeline;
	struct bn_answer *answer;
	struct bn_hold *hold;

	wl_list_for_each(hold, &fences->holds, link) hold_presented(hold, scanout, number);
	wl_list_for_each(timeline, &fences->timelines, link)
	{
		wl_list_for_each(answer, &timeline->answers, link)
			answer_presented(answer, scanout, number);
	}
	wl_list_for_each(answer, &fences->unordered, link)
		answer_presented(answer, scanout, number);
	drain_all(fences);
}

void bn_fences_ignore_displays(struct bn_fences *fences, bool on)
{
	fences->ignore_displays = on;
	if (!on)
		return;
	for (unsigned i = 0; i < BN_LINK_SCANOUTS; i++)
		bn_fences_presented(fences, i, UINT64_MAX);
}

bool bn_fences_ignoring_displays(const struct bn_fences *fences)
{
	return fences->ignore_displays;
}

void bn_fences_reset(struct bn_fences *fences)
{
	struct gpu_fence *fence, *next;

	bn_fences_ignore_displays(fences, true);
	wl_list_for_each_safe(fence, next, &fences->gpu, link)
	{
		wl_list_remove(&fence->link);
		gpu_count(fences, -1);
		if (fence->answer)
			fence->answer->gpu = false;
		else
			wait_progress(fence->wait, true);
		free(fence);
	}
	drain_all(fences);
	fences->ignore_displays = false;
}
