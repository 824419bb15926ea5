/* The vtable of outputs on a display controller, and when is done what. */
#include <drm_mode.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xf86drm.h>

#include "common/log.h"
#include "kms_impl.h"

/* A commit is sent at least so long before the vblank that it is for. */
#define MARGIN_NS 1500000u
/* A layer that brought a frame so many refreshes ago or less is expected to bring another. */
#define EXPECTED_REFRESHES 2
/* After a display was unplugged, until its CRTC is switched off: for the flip that was under way. */
#define OFF_NS (50 * BN_NS_PER_MS)
/* bn_kms_output.latch_ns: it is decided when this turn of the loop is over, with all that it brings. */
#define SOON 1u
/* Until it is looked again whether the writeback hardware can bear another commit. */
#define HOLD_NS (2 * BN_NS_PER_MS)

bool bn_kms_output_on(const struct bn_kms_output *ko)
{
	return ko->connected && ko->card->active;
}

struct bn_kms_layer *bn_kms_layer_of(struct bn_layer *layer)
{
	if (!layer->impl_data)
		layer->impl_data = calloc(1, sizeof(struct bn_kms_layer));
	return layer->impl_data;
}

/* Frames do not wait for the display. */
static bool is_virtual(const struct bn_kms_output *ko)
{
	return !bn_kms_output_on(ko) || ko->stuck;
}

/* ---- when ---- */

static bool has_new_frame(struct bn_layer *layer)
{
	return layer->queued > 0 && bn_layer_queued(layer, layer->queued - 1)->commit == 0;
}

/* When the last frame came of the layers that have no new one; 0: there are none. */
static uint64_t last_of_others(const struct bn_kms_output *ko)
{
	uint64_t last = 0;
	struct bn_layer *layer;

	wl_list_for_each(layer, &ko->output->layers, link)
	{
		const struct bn_kms_layer *kl = layer->impl_data;

		if (kl && kl->last_ns > last && !has_new_frame(layer))
			last = kl->last_ns;
	}
	return last;
}

static uint64_t margin(const struct bn_kms_output *ko)
{
	uint64_t period = bn_pacer_period(&ko->output->pacer);
	uint64_t wanted = MARGIN_NS + 2 * ko->cost_ns;

	return wanted < period / 2 ? wanted : period / 2;
}

/* When to commit what is there; 0: at once. Some layer is likely to bring a frame before the next vblank, beside
 * those that have, when it did lately. */
static uint64_t latch_time(const struct bn_kms_output *ko)
{
	const struct bn_pacer *pacer = &ko->output->pacer;
	uint64_t last = last_of_others(ko), now, vblank;

	if (ko->modeset || (last == 0 && !ko->unpaced))
		return 0;
	now = bn_pacer_now(pacer);
	if (ko->unpaced && now < ko->slot_ns + bn_pacer_period(pacer))
		return ko->slot_ns + bn_pacer_period(pacer);
	if (last == 0)
		return 0;
	vblank = bn_pacer_vblank_after(pacer, now);
	if (now - last >= EXPECTED_REFRESHES * bn_pacer_period(pacer) || vblank - now <= margin(ko))
		return 0;
	return vblank - margin(ko);
}

static void earliest(uint64_t *deadline, uint64_t ns)
{
	if (ns != 0 && (*deadline == 0 || ns < *deadline))
		*deadline = ns;
}

void bn_kms_output_arm(struct bn_kms_output *ko)
{
	struct bn_pacer *pacer = &ko->output->pacer;
	uint64_t deadline = 0;

	earliest(&deadline, ko->off_ns);
	if (ko->serial != 0)
		earliest(&deadline, ko->timeout_ns);
	else if (bn_kms_output_on(ko)) {
		earliest(&deadline, ko->retry_ns);
		/* Once the loop is idle it comes without a timer. */
		earliest(&deadline, ko->output->idle ? 0 : ko->latch_ns);
		earliest(&deadline, ko->stuck ? 0 : ko->capture_ns);
	}
	if (is_virtual(ko) && bn_output_unlatched(ko->output))
		earliest(&deadline, bn_pacer_vblank_after(pacer, bn_pacer_now(pacer)));
	if (ko->output->config.free_running && !ko->output->idle && bn_output_unlatched(ko->output))
		earliest(&deadline, bn_pacer_now(pacer));
	bn_pacer_set(pacer, deadline);
	bn_output_note_active(ko->output);
}

static bool wants_commit(const struct bn_kms_output *ko)
{
	return bn_kms_output_on(ko) && !ko->stuck && ko->serial == 0 && ko->retry_ns == 0 &&
	       (ko->dirty || ko->modeset || bn_output_unlatched(ko->output));
}

static void commit(struct bn_kms_output *ko)
{
	if (bn_kms_writeback_hold(ko))
		ko->latch_ns = bn_pacer_now(&ko->output->pacer) + HOLD_NS;
	else
		bn_kms_commit(ko);
}

void bn_kms_output_go_on(struct bn_kms_output *ko)
{
	if (wants_commit(ko)) {
		ko->latch_ns = SOON;
		bn_output_soon(ko->output);
	}
	bn_kms_output_arm(ko);
}

static void kms_schedule(struct bn_output *output)
{
	struct bn_kms_output *ko = bn_kms_output_of(output);

	/* It is asked already: a scanout brings its frame to one layer after the other. */
	if (output->idle && ko->latch_ns == SOON)
		return;
	if (output->config.free_running && bn_output_unlatched(output))
		bn_output_soon(output);
	bn_kms_output_go_on(ko);
}

static void commit_in_time(struct bn_kms_output *ko)
{
	ko->latch_ns = latch_time(ko);
	if (ko->latch_ns == 0)
		commit(ko);
}

/* Everybody is told at once; the display follows as fast as it can. */
static void run_free(struct bn_kms_output *ko)
{
	uint64_t now = bn_pacer_now(&ko->output->pacer);

	if (!bn_output_unlatched(ko->output))
		return;
	bn_output_report(ko->output, bn_output_latch(ko->output, UINT64_MAX), now);
	ko->dirty = true;
}

static void kms_soon(struct bn_output *output)
{
	struct bn_kms_output *ko = bn_kms_output_of(output);

	if (output->config.free_running)
		run_free(ko);
	if (wants_commit(ko))
		commit_in_time(ko);
	else if (ko->latch_ns == SOON)
		ko->latch_ns = 0;
	bn_kms_output_arm(ko);
}

static void virtual_vblank(struct bn_kms_output *ko, uint64_t now)
{
	uint64_t when = bn_pacer_vblank_at(&ko->output->pacer, now);

	ko->dirty = true;
	bn_output_report(ko->output, bn_output_latch(ko->output, when), when);
}

/* The CRTC of an unplugged display; what is still under way there ends first. */
static void try_off(struct bn_kms_output *ko, uint64_t now)
{
	ko->off_ns = 0;
	if (ko->connected || !ko->card->active)
		return;
	if (bn_kms_writeback_busy(ko))
		ko->off_ns = now + OFF_NS;
	else
		bn_kms_commit_off(ko);
}

static void commit_if_due(struct bn_kms_output *ko, uint64_t now)
{
	if (ko->retry_ns != 0 && now >= ko->retry_ns)
		commit(ko);
	else if (ko->stuck || ko->latch_ns == 0 || now < ko->latch_ns)
		return;
	else if (ko->latch_ns == SOON)
		commit_in_time(ko);
	else
		commit(ko);
}

static void kms_tick(struct bn_output *output, uint64_t now)
{
	struct bn_kms_output *ko = bn_kms_output_of(output);

	if (output->config.free_running)
		run_free(ko);
	else if (is_virtual(ko) && bn_output_unlatched(output))
		virtual_vblank(ko, now);
	if (ko->off_ns != 0 && now >= ko->off_ns)
		try_off(ko, now);
	if (ko->serial != 0 && now >= ko->timeout_ns)
		bn_kms_flip_timeout(ko);
	if (ko->capture_ns != 0 && now >= ko->capture_ns && !is_virtual(ko) && ko->serial == 0 &&
		ko->retry_ns == 0)
		ko->latch_ns = now;
	if (bn_kms_output_on(ko) && ko->serial == 0)
		commit_if_due(ko, now);
	bn_kms_output_arm(ko);
}

/* ---- the display comes and goes ---- */

static void switch_off(struct bn_kms_output *ko)
{
	bn_kms_abandon(ko);
	/* What a commit that failed had latched. */
	bn_output_report(ko->output, ko->latched, bn_pacer_now(&ko->output->pacer));
	ko->stuck = false;
	ko->retry_ns = ko->latch_ns = ko->capture_ns = 0;
	ko->failures = 0;
	ko->modeset = true;
}

static void come_back(struct bn_kms_output *ko)
{
	bn_kms_planner_forget(&ko->planner);
	ko->planner.strict = false;
	ko->modeset = true;
	ko->dirty = true;
	bn_kms_output_go_on(ko);
}

void bn_kms_output_card_changed(struct bn_kms_output *ko)
{
	if (ko->card->active)
		come_back(ko);
	else
		switch_off(ko);
	bn_kms_output_arm(ko);
}

static void plugged(struct bn_kms_output *ko, const struct bn_kms_connector *connector)
{
	const struct bn_output_config *config = &ko->output->config;
	const struct bn_output_config before = *config;

	if (bn_kms_output_set_mode(ko, connector) < 0)
		return;
	if (config->width != before.width || config->height != before.height) {
		bn_kms_compose_finish(ko);
		ko->output->places++;
		bn_output_touch(ko->output, NULL);
	}
	bn_kms_connector_model(ko->card->fd, ko->connector, ko->model, sizeof(ko->model));
	ko->connected = true;
	ko->off_ns = 0;
	bn_info("output %s: %s is there: %s, %ux%u at %.2f Hz", ko->output->config.name, ko->name,
		ko->model[0] ? ko->model : "a display that says no name", ko->output->config.width,
		ko->output->config.height, ko->output->config.refresh_mhz / 1000.0);
	come_back(ko);
	if (config->width != before.width || config->height != before.height ||
		config->refresh_mhz != before.refresh_mhz || config->width_mm != before.width_mm ||
		config->height_mm != before.height_mm)
		bn_output_note_mode(ko->output);
}

static void unplugged(struct bn_kms_output *ko)
{
	ko->connected = false;
	ko->output->counters.unplugged++;
	bn_warn("output %s: %s was unplugged: its guests go on without it", ko->output->config.name,
		ko->name);
	switch_off(ko);
	ko->off_ns = bn_pacer_now(&ko->output->pacer) + OFF_NS;
}

/* The kernel wants the link trained again (link-status), or the display offers other modes. */
static bool needs_setting_up(struct bn_kms_output *ko, const struct bn_kms_connector *connector)
{
	const drmModeModeInfo *mode = bn_kms_mode_choose(connector->modes, connector->mode_count,
		ko->want_width, ko->want_height, ko->want_mhz);
	struct bn_kms_prop props[BN_KMS_CONNECTOR_PROPS];

	if (mode && memcmp(mode, &ko->mode, sizeof(*mode)) != 0)
		return true;
	return bn_kms_props_read(ko->card->fd, ko->connector, DRM_MODE_OBJECT_CONNECTOR,
		       bn_kms_connector_props, BN_KMS_CONNECTOR_PROPS, props) == 0 &&
	       props[BN_KMS_LINK_STATUS].id && props[BN_KMS_LINK_STATUS].value != 0;
}

void bn_kms_output_probed(struct bn_kms_output *ko, const struct bn_kms_connector *connector)
{
	if (connector->connected && (!ko->connected || needs_setting_up(ko, connector)))
		plugged(ko, connector);
	else if (!connector->connected && ko->connected)
		unplugged(ko);
	bn_kms_output_arm(ko);
}

/* ---- starting ---- */

static void output_free(struct bn_kms_output *ko)
{
	struct bn_kms_card *card = ko->card;

	wl_list_remove(&ko->link);
	for (unsigned p = 0; p < card->plane_count; p++) {
		if (card->planes[p].owner == ko->output)
			card->planes[p].owner = NULL;
	}
	bn_kms_planner_finish(&ko->planner);
	bn_kms_writeback_finish(ko);
	bn_kms_compose_finish(ko);
	bn_kms_cursor_finish(ko);
	if (ko->mode_blob)
		drmModeDestroyPropertyBlob(card->fd, ko->mode_blob);
	drmModeAtomicFree(ko->request);
	bn_kms_card_put(card);
	free(ko);
}

static void init(struct bn_kms_output *ko, struct bn_output *output)
{
	const struct bn_output_config *config = &output->config;

	ko->output = output;
	ko->want_width = config->preferred_mode ? 0 : config->width;
	ko->want_height = config->height;
	ko->want_mhz = config->refresh_mhz;
	ko->given_mm = config->width_mm != 0 || config->height_mm != 0;
	ko->planner.test = bn_kms_request_test;
	ko->pictures.latest = ko->cursor.latest = -1;
	ko->pending = ko->shown = ko->lost = (struct bn_kms_held){.picture = -1, .cursor = -1};
	wl_list_init(&ko->link);
	output->impl_data = ko;
}

static int kms_start(struct bn_output *output)
{
	const struct bn_output_config *config = &output->config;
	struct bn_kms_output *ko = calloc(1, sizeof(*ko));
	int r;

	if (!ko)
		return -ENOMEM;
	r = bn_kms_card_get(&ko->card, output->loop, config->card, config->connector, config->name);
	if (r < 0) {
		free(ko);
		return r;
	}
	init(ko, output);
	if (ko->card->waiting) {
		bn_warn("output %s: this session is in the background: its display is set up "
			"when it comes to the front; guests go on without it",
			config->name);
		bn_kms_output_wait(ko, ko->card);
		return 0;
	}
	r = bn_kms_output_find_place(ko);
	if (r == 0)
		return 0;
	if (output->idle)
		wl_event_source_remove(output->idle);
	output->idle = NULL;
	output_free(ko);
	output->impl_data = NULL;
	return r;
}

static void kms_stop(struct bn_output *output)
{
	struct bn_kms_output *ko = bn_kms_output_of(output);

	ko->serial = 0;
	bn_kms_writeback_finish(ko);
	if (bn_kms_output_on(ko))
		bn_kms_commit_off(ko);
	bn_kms_held_release(&ko->pending);
	bn_kms_held_release(&ko->shown);
	bn_kms_held_release(&ko->lost);
	output_free(ko);
}

static void kms_resize(struct bn_output *output)
{
	struct bn_kms_output *ko = bn_kms_output_of(output);
	struct bn_kms_connector c;

	ko->want_width = output->config.width;
	ko->want_height = output->config.height;
	ko->want_mhz = output->config.refresh_mhz;
	if (!ko->connected || bn_kms_connector_read(ko->card->fd, ko->connector, false, &c) < 0)
		return;
	if (bn_kms_output_set_mode(ko, &c) == 0) {
		bn_kms_compose_finish(ko);
		bn_kms_planner_forget(&ko->planner);
	}
	bn_kms_connector_finish(&c);
}

static void kms_layer_finish(struct bn_layer *layer)
{
	struct bn_kms_output *ko = bn_kms_output_of(layer->output);
	struct bn_kms_layer *kl = layer->impl_data;

	if (kl)
		bn_kms_compose_forget(ko, kl);
	free(kl);
	layer->impl_data = NULL;
	if (ko->cursor.layer == layer)
		ko->cursor.layer = NULL;
	/* The plan that is shown names it. */
	ko->has_plan = false;
}

const struct bn_output_impl bn_kms_impl = {
	.start = kms_start,
	.stop = kms_stop,
	.schedule = kms_schedule,
	.soon = kms_soon,
	.tick = kms_tick,
	.resize = kms_resize,
	.layer_finish = kms_layer_finish,
	.shown = bn_kms_shown,
	.planes = bn_kms_planes,
	.active = bn_kms_active,
	.status = bn_kms_status,
	.read = bn_kms_read,
	.observe = bn_kms_writeback_observe,
};
