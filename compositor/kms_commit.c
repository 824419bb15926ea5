/* Commits, their flips, and what goes wrong with either. */
#include <errno.h>
#include <string.h>
#include <xf86drm.h>

#include "common/log.h"
#include "kms_impl.h"

#define BIT(i) (1ull << (i))
/* A flip that takes longer, and three refreshes, is not waited for by guests; after so long again it is given up, and the
 * display set up again, which can be seen. A display that is switched on takes its time. */
#define FLIP_MS 200
#define GIVE_UP_MS 2000
#define MODESET_MS 3000
/* These are looked at on a grid. */
#define TIMEOUT_STEP_NS (100 * BN_NS_PER_MS)
/* After an error, doubled each time. */
#define RETRY_FIRST_MS 2
#define RETRY_MAX_MS 1000
/* Errors in a row, after which frames no longer wait for this display. */
#define FAILURES_MAX 8

/* ---- what a commit holds ---- */

void bn_kms_held_release(struct bn_kms_held *held)
{
	for (unsigned i = 0; i < held->count; i++)
		bn_buffer_unlock(held->buffers[i]);
	*held = (struct bn_kms_held){.picture = -1, .cursor = -1};
}

bool bn_kms_is_held(const struct bn_kms_output *ko, bool cursor, int index)
{
	const struct bn_kms_held *all[] = {&ko->pending, &ko->shown, &ko->lost};

	for (unsigned i = 0; i < 3; i++) {
		if ((cursor ? all[i]->cursor : all[i]->picture) == index)
			return true;
	}
	return false;
}

static void hold(struct bn_kms_output *ko, const struct bn_kms_plan *plan, int picture)
{
	struct bn_kms_held *held = &ko->pending;

	held->picture = picture;
	held->planes = plan->picture >= 0 ? BIT(plan->picture) : 0;
	for (unsigned i = 0; i < plan->count; i++) {
		const struct bn_kms_item *item = &ko->scene.items[i];

		if (plan->plane[i] < 0)
			continue;
		held->planes |= BIT(plan->plane[i]);
		if (item->cursor)
			held->cursor = ko->cursor.latest;
		else if (held->count < BN_OUTPUT_LAYERS_MAX)
			held->buffers[held->count++] = bn_buffer_lock(item->layer->current.buffer);
	}
}

/* Planes are ours from the commit that uses them to the flip of the one that does not. */
static void claim_planes(struct bn_kms_output *ko)
{
	uint64_t ours = ko->pending.planes | ko->shown.planes | ko->lost.planes | BIT(ko->primary);

	for (unsigned p = 0; p < ko->card->plane_count; p++) {
		struct bn_kms_plane *plane = &ko->card->planes[p];

		if (ours & BIT(p)) {
			plane->owner = ko->output;
			plane->lit = true;
		} else if (plane->owner == ko->output) {
			plane->owner = NULL;
			plane->lit = false;
		}
	}
}

/* ---- committing ---- */

/* When each layer brought its newest frame, for bn_kms_output_go_on(). */
static void note_times(struct bn_kms_output *ko)
{
	struct bn_layer *layer;

	wl_list_for_each(layer, &ko->output->layers, link)
	{
		const struct bn_queued *newest =
			layer->queued ? bn_layer_queued(layer, layer->queued - 1) : NULL;
		struct bn_kms_layer *kl = bn_kms_layer_of(layer);

		if (kl && newest && newest->commit == 0)
			kl->last_ns = newest->submit_ns;
	}
}

/* What each layer's plan is, for people; and that it has been looked at. */
static void note_plan(struct bn_kms_output *ko, const struct bn_kms_plan *plan)
{
	struct bn_layer *layer;

	wl_list_for_each(layer, &ko->output->layers, link)
	{
		struct bn_kms_layer *kl = layer->impl_data;

		layer->fresh = false;
		if (kl)
			kl->how = BN_SHOWN_NOT;
	}
	for (unsigned i = 0; i < plan->count; i++) {
		struct bn_kms_layer *kl = ko->scene.items[i].layer->impl_data;

		if (!kl || ko->scene.items[i].cursor)
			continue;
		kl->plane = plan->plane[i];
		kl->how = plan->plane[i] >= 0                  ? BN_SHOWN_PLANE
			  : plan->reason[i] == BN_KMS_HIDDEN ? BN_SHOWN_NOT
							     : BN_SHOWN_COMPOSED;
		kl->why = plan->reason[i] == BN_KMS_NO_BUFFER ? ko->scene.items[i].why : NULL;
	}
	ko->plan = *plan;
	ko->has_plan = true;
}

static void flush_memory(struct bn_kms_output *ko, const struct bn_kms_plan *plan)
{
	for (unsigned i = 0; i < plan->count; i++) {
		const struct bn_kms_item *item = &ko->scene.items[i];

		if (plan->plane[i] >= 0 && !item->cursor && item->layer->fresh)
			bn_kms_fb_flush(ko->card, item->layer->current.buffer);
	}
}

static int send(struct bn_kms_output *ko, const struct bn_kms_plan *plan, int picture)
{
	uint32_t flags = DRM_MODE_ATOMIC_NONBLOCK | DRM_MODE_PAGE_FLIP_EVENT;
	uint64_t serial = ++ko->card->serial;
	int r = bn_kms_request_build(ko, &ko->scene, plan, picture);

	if (r == 0)
		r = bn_kms_damage_add(ko, plan);
	if (r == 0)
		r = bn_kms_writeback_add(ko, ko->request);
	if (ko->modeset)
		flags |= DRM_MODE_ATOMIC_ALLOW_MODESET;
	if (r == 0)
		r = drmModeAtomicCommit(
			ko->card->fd, ko->request, flags, (void *)(uintptr_t)serial);
	bn_kms_writeback_committed(ko, r == 0);
	ko->output->counters.commits++;
	if (r == 0)
		ko->serial = serial;
	else
		ko->output->counters.failed++;
	return r;
}

/* Draws what the plan leaves over, and commits. */
static int show(struct bn_kms_output *ko, const struct bn_kms_plan *plan)
{
	int picture;
	int r = bn_kms_compose(ko, plan, &picture);

	if (r < 0)
		return r;
	flush_memory(ko, plan);
	r = send(ko, plan, picture);
	if (r < 0)
		return r;
	bn_kms_damage_committed(ko);
	if (picture >= 0)
		bn_kms_compose_committed(ko, picture);
	hold(ko, plan, picture);
	claim_planes(ko);
	note_plan(ko, plan);
	return 0;
}

static bool is_refusal(int error)
{
	return error == -EINVAL || error == -ERANGE || error == -ENOSPC || error == -EOPNOTSUPP;
}

/* The plan, and when the driver will not have it after all, the composed picture alone, the last time with everything
 * set anew. */
static int show_somehow(struct bn_kms_output *ko)
{
	int r = show(ko, bn_kms_plan(&ko->planner, &ko->scene));

	if (!is_refusal(r))
		return r;
	if (bn_log_gate(&ko->log_refused))
		bn_warn("output %s: the driver refused what it had agreed to (%s): everything is "
			"composed in this scene",
			ko->output->config.name, strerror(-r));
	r = show(ko, bn_kms_plan_refused(&ko->planner, &ko->scene));
	if (!is_refusal(r) || ko->modeset)
		return r;
	ko->modeset = true;
	return show(ko, bn_kms_plan_refused(&ko->planner, &ko->scene));
}

/* Up to the next step: so the timer is not set for each frame. */
static uint64_t round_up(uint64_t ns)
{
	return (ns / TIMEOUT_STEP_NS + 1) * TIMEOUT_STEP_NS;
}

/* The refresh that a commit is for where the driver has none: on time to half of one, or when it comes. */
static uint64_t slot_of(const struct bn_kms_output *ko, uint64_t began)
{
	uint64_t period = bn_pacer_period(&ko->output->pacer), due = ko->slot_ns + period;

	return began >= due && began - due < period / 2 ? due : began;
}

/* began, ended: the commit, by the pacer's clock. */
static void wait_for_flip(struct bn_kms_output *ko, uint64_t began, uint64_t ended)
{
	struct bn_pacer *pacer = &ko->output->pacer;
	uint64_t wait = ko->modeset ? MODESET_MS * BN_NS_PER_MS
				    : FLIP_MS * BN_NS_PER_MS + 3 * bn_pacer_period(pacer);

	ko->target_ns = ko->modeset ? 0 : bn_pacer_vblank_after(pacer, began);
	ko->slot_ns = slot_of(ko, began);
	/* From here on: what was composed first may have taken its time. */
	ko->timeout_ns = round_up(ended + wait);
	ko->modeset = false;
	ko->failures = ko->stuck ? ko->failures : 0;
}

static void fail(struct bn_kms_output *ko, int error, uint64_t now)
{
	uint64_t wait = (uint64_t)RETRY_FIRST_MS << (ko->failures < 10 ? ko->failures : 10);

	ko->has_plan = false;
	if (error == -EACCES || error == -EPERM)
		bn_kms_card_lost(ko->card);
	if (!ko->card->active)
		return;
	ko->failures++;
	ko->dirty = true;
	ko->retry_ns = now + (wait < RETRY_MAX_MS ? wait : RETRY_MAX_MS) * BN_NS_PER_MS;
	if (ko->failures < FAILURES_MAX && error == -EBUSY)
		return;
	if (!ko->stuck && bn_log_gate(&ko->log_busy))
		bn_error("output %s: %s shows nothing new: %s; its guests go on without it, and it "
			 "is "
			 "tried again",
			ko->output->config.name, ko->name, strerror(-error));
	ko->stuck = true;
	ko->modeset = true;
	bn_output_report(ko->output, ko->latched, now);
}

/* What a commit costs is the machine's time, also where the pacer goes by a clock of its own. */
static uint64_t machine_time(const struct bn_pacer *pacer, uint64_t now)
{
	return pacer->timer_fd >= 0 ? now : bn_now_ns();
}

void bn_kms_commit(struct bn_kms_output *ko)
{
	struct bn_pacer *pacer = &ko->output->pacer;
	uint64_t began = bn_pacer_now(pacer), ended, start = machine_time(pacer, began), cost;
	int r;

	ko->dirty = false;
	ko->retry_ns = ko->latch_ns = ko->capture_ns = 0;
	note_times(ko);
	ko->latched = bn_output_latch(ko->output, UINT64_MAX);
	bn_kms_scene_gather(ko);
	r = show_somehow(ko);
	if (r < 0) {
		fail(ko, r, began);
		return;
	}
	ended = bn_pacer_now(pacer);
	cost = machine_time(pacer, ended) - start;
	bn_histogram_add(&ko->output->counters.commit, cost);
	ko->cost_ns += (cost > ko->cost_ns ? (cost - ko->cost_ns) / 2 : 0);
	ko->cost_ns -= ko->cost_ns / 16;
	wait_for_flip(ko, began, ended);
}

void bn_kms_commit_off(struct bn_kms_output *ko)
{
	uint32_t flags = DRM_MODE_ATOMIC_NONBLOCK | DRM_MODE_ATOMIC_ALLOW_MODESET;
	int r = bn_kms_request_off(ko);

	if (r == 0)
		r = drmModeAtomicCommit(ko->card->fd, ko->request, flags, NULL);
	if (r < 0)
		bn_debug("output %s: %s could not be switched off: %s", ko->output->config.name,
			ko->name, strerror(-r));
	ko->modeset = true;
}

/* ---- flips ---- */

void bn_kms_flip(struct bn_kms_output *ko, uint64_t serial, uint64_t when_ns)
{
	struct bn_pacer *pacer = &ko->output->pacer;
	bool was_stuck = ko->stuck;

	if (serial != ko->serial) {
		/* The one given up has come after all: the CRTC is free. */
		if (ko->stuck && ko->serial == 0)
			ko->retry_ns = bn_pacer_now(pacer);
		bn_kms_output_arm(ko);
		return;
	}
	if (ko->target_ns && when_ns > ko->target_ns + bn_pacer_period(pacer) / 2)
		ko->output->counters.late++;
	if (was_stuck)
		bn_info("output %s: %s shows pictures again", ko->output->config.name, ko->name);
	ko->serial = ko->timeout_ns = 0;
	ko->failures = 0;
	ko->stuck = false;
	pacer->origin_ns = ko->unpaced ? ko->slot_ns : when_ns;
	bn_kms_held_release(&ko->lost);
	bn_kms_held_release(&ko->shown);
	ko->shown = ko->pending;
	ko->pending = (struct bn_kms_held){.picture = -1, .cursor = -1};
	claim_planes(ko);
	/* Frames that were reported meanwhile are not in it. */
	bn_kms_writeback_flipped(ko, was_stuck ? 0 : serial, when_ns);
	bn_output_report(ko->output, ko->latched, when_ns);
	bn_kms_output_go_on(ko);
}

void bn_kms_abandon(struct bn_kms_output *ko)
{
	uint64_t now = bn_pacer_now(&ko->output->pacer);

	if (ko->serial == 0)
		return;
	ko->serial = ko->timeout_ns = 0;
	ko->modeset = true;
	ko->dirty = true;
	/* That another commit went out says that the one before had been shown. */
	bn_kms_held_release(&ko->shown);
	ko->shown = ko->lost;
	ko->lost = ko->pending;
	ko->pending = (struct bn_kms_held){.picture = -1, .cursor = -1};
	bn_output_report(ko->output, ko->latched, now);
}

void bn_kms_flip_timeout(struct bn_kms_output *ko)
{
	uint64_t now = bn_pacer_now(&ko->output->pacer);

	if (!ko->stuck) {
		if (bn_log_gate(&ko->log_flip))
			bn_error(
				"output %s: a page flip of %s is overdue: its guests go on without "
				"the display",
				ko->output->config.name, ko->name);
		ko->stuck = true;
		ko->dirty = true;
		ko->timeout_ns = now + GIVE_UP_MS * BN_NS_PER_MS;
		bn_output_report(ko->output, ko->latched, now);
		return;
	}
	if (bn_log_gate(&ko->log_lost))
		bn_error("output %s: a page flip of %s did not come: the display is set up again",
			ko->output->config.name, ko->name);
	ko->failures++;
	ko->retry_ns = now + FLIP_MS * BN_NS_PER_MS;
	bn_kms_abandon(ko);
}
