/* libliftoff's search, for scenes that the first guess does not fit. It stacks planes by their zpos, or in the order in
 * which they were made known to it, which is therefore that of the kernel; it composes at the bottom only. What it
 * finds is checked like any other plan. */
#include <drm_fourcc.h>
#include <libliftoff.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "kms_impl.h"

#define BIT(i) (1ull << (i))
/* Times that layers of low right are composed to make room for those of a high one. */
#define ROUNDS 4
#define SEARCH_NS 500000

struct bn_kms_liftoff {
	struct bn_kms_card *card;
	struct liftoff_device *device;
	struct liftoff_output *output;
	struct liftoff_plane *planes[64];
	uint64_t known; /* planes that it was told of */
};

static void forget_planes(struct bn_kms_liftoff *liftoff)
{
	for (unsigned p = 0; p < 64; p++) {
		if (liftoff->planes[p])
			liftoff_plane_destroy(liftoff->planes[p]);
		liftoff->planes[p] = NULL;
	}
	liftoff->known = 0;
}

void bn_kms_liftoff_destroy(struct bn_kms_liftoff *liftoff)
{
	if (!liftoff)
		return;
	if (liftoff->output)
		liftoff_output_destroy(liftoff->output);
	forget_planes(liftoff);
	if (liftoff->device)
		liftoff_device_destroy(liftoff->device);
	free(liftoff);
}

static struct bn_kms_liftoff *liftoff_create(struct bn_kms_card *card, uint32_t crtc)
{
	struct bn_kms_liftoff *liftoff = calloc(1, sizeof(*liftoff));

	if (!liftoff)
		return NULL;
	liftoff_log_set_priority(LIFTOFF_SILENT);
	liftoff->card = card;
	liftoff->device = liftoff_device_create(card->fd);
	if (liftoff->device)
		liftoff->output = liftoff_output_create(liftoff->device, crtc);
	if (liftoff->output)
		return liftoff;
	bn_kms_liftoff_destroy(liftoff);
	return NULL;
}

/* Lowest first: those it cannot order by zpos, it takes as stacked in this order. Cursors have their own way. */
static bool tell_planes(struct bn_kms_liftoff *liftoff, uint64_t usable)
{
	if (liftoff->known == usable)
		return true;
	forget_planes(liftoff);
	for (unsigned p = 0; p < liftoff->card->plane_count; p++) {
		if (!(usable & BIT(p)))
			continue;
		liftoff->planes[p] =
			liftoff_plane_create(liftoff->device, liftoff->card->planes[p].id);
		if (!liftoff->planes[p])
			return false;
	}
	liftoff->known = usable;
	return true;
}

struct search {
	struct bn_kms_liftoff *liftoff;
	struct bn_kms_scene *scene;
	struct liftoff_layer *layers[BN_KMS_ITEMS_MAX];
	struct liftoff_layer *picture;
	uint64_t composed; /* items */
};

static void set_item(struct liftoff_layer *layer, const struct bn_kms_item *item, unsigned height)
{
	const struct bn_rect *at = &item->at.at;
	uint32_t rotate = DRM_MODE_ROTATE_0;

	liftoff_layer_set_property(layer, "FB_ID", item->fb);
	liftoff_layer_set_property(layer, "CRTC_X", (uint64_t)at->x);
	liftoff_layer_set_property(layer, "CRTC_Y", (uint64_t)at->y);
	liftoff_layer_set_property(layer, "CRTC_W", at->width);
	liftoff_layer_set_property(layer, "CRTC_H", at->height);
	liftoff_layer_set_property(layer, "SRC_X", item->at.src_x);
	liftoff_layer_set_property(layer, "SRC_Y", item->at.src_y);
	liftoff_layer_set_property(layer, "SRC_W", item->at.src_width);
	liftoff_layer_set_property(layer, "SRC_H", item->at.src_height);
	liftoff_layer_set_property(layer, "zpos", height);
	if (item->at.transform != rotate)
		liftoff_layer_set_property(layer, "rotation", item->at.transform);
	if (item->alpha != BN_ALPHA_OPAQUE)
		liftoff_layer_set_property(layer, "alpha", item->alpha);
}

/* The picture, with whatever is composed drawn into it later. */
static bool add_picture(struct search *search)
{
	struct bn_kms_output *ko = bn_kms_output_of(search->scene->output);
	struct bn_kms_item item = {
		.at = {.at = {0, 0, search->scene->output->config.width,
			       search->scene->output->config.height},
			.transform = DRM_MODE_ROTATE_0},
		.alpha = BN_ALPHA_OPAQUE,
	};

	if (bn_kms_compose_prepare(ko) < 0)
		return false;
	item.fb = ko->pictures.dumb[0].fb_opaque;
	item.at.src_width = item.at.at.width << 16;
	item.at.src_height = item.at.at.height << 16;
	search->picture = liftoff_layer_create(search->liftoff->output);
	if (!search->picture || item.fb == 0)
		return false;
	set_item(search->picture, &item, 0);
	liftoff_output_set_composition_layer(search->liftoff->output, search->picture);
	return true;
}

static bool add_layers(struct search *search)
{
	for (unsigned i = 0; i < search->scene->count; i++) {
		if (!(search->scene->present & BIT(i)))
			continue;
		search->layers[i] = liftoff_layer_create(search->liftoff->output);
		if (!search->layers[i])
			return false;
		set_item(search->layers[i], &search->scene->items[i], i + 1);
		if (search->composed & BIT(i))
			liftoff_layer_set_fb_composited(search->layers[i]);
	}
	return add_picture(search);
}

static void remove_layers(struct search *search)
{
	for (unsigned i = 0; i < search->scene->count; i++) {
		if (search->layers[i])
			liftoff_layer_destroy(search->layers[i]);
		search->layers[i] = NULL;
	}
	if (search->picture)
		liftoff_layer_destroy(search->picture);
	search->picture = NULL;
}

static int apply(struct search *search)
{
	struct bn_kms_output *ko = bn_kms_output_of(search->scene->output);
	drmModeAtomicReq *request = drmModeAtomicAlloc();
	uint32_t flags = ko->modeset ? DRM_MODE_ATOMIC_ALLOW_MODESET : 0;
	int r = request ? 0 : -1;

	if (r == 0 && ko->modeset)
		r = bn_kms_request_modeset(ko, request);
#if BN_LIFTOFF_OPTIONS
	struct liftoff_output_apply_options options = {.timeout_ns = SEARCH_NS};

	if (r == 0)
		r = liftoff_output_apply(search->liftoff->output, request, flags, &options);
#else
	if (r == 0)
		r = liftoff_output_apply(search->liftoff->output, request, flags);
#endif
	drmModeAtomicFree(request);
	return r;
}

static int plane_of(const struct search *search, struct liftoff_layer *layer)
{
	struct liftoff_plane *plane = layer ? liftoff_layer_get_plane(layer) : NULL;

	for (unsigned p = 0; plane && p < 64; p++) {
		if (search->liftoff->planes[p] == plane)
			return (int)p;
	}
	return -1;
}

static void read_plan(const struct search *search, struct bn_kms_plan *plan)
{
	bn_kms_assign_none(search->scene, plan);
	plan->ordered = false;
	memset(plan->zpos, -1, sizeof(plan->zpos));
	plan->picture = (int8_t)plane_of(search, search->picture);
	plan->picture_below = plan->picture >= 0;
	for (unsigned i = 0; i < plan->count; i++) {
		plan->plane[i] = (int8_t)plane_of(search, search->layers[i]);
		plan->reason[i] = plan->plane[i] >= 0         ? BN_KMS_FITS
				  : !search->layers[i]        ? BN_KMS_HIDDEN
				  : search->composed & BIT(i) ? BN_KMS_NO_PLANE_LEFT
							      : BN_KMS_REFUSED;
	}
}

/* One that has a plane while one of higher right that wants it has none; -1: there is none such. */
static int usurper(const struct search *search, const struct bn_kms_plan *plan)
{
	enum bn_kms_right highest = BN_KMS_ANY;
	uint64_t below = 0;

	for (unsigned i = 0; i < plan->count; i++) {
		if (plan->plane[i] < 0 && !(search->composed & BIT(i)) &&
			search->scene->items[i].right > highest)
			highest = search->scene->items[i].right;
	}
	for (unsigned i = 0; i < plan->count; i++) {
		if (plan->plane[i] >= 0 && search->scene->items[i].right < highest)
			below |= BIT(i);
	}
	return bn_kms_least(search->scene, below);
}

static bool run(struct search *search, struct bn_kms_plan *plan)
{
	bool found = add_layers(search) && apply(search) == 0;

	if (found)
		read_plan(search, plan);
	remove_layers(search);
	return found;
}

bool bn_kms_liftoff_plan(struct bn_kms_planner *planner, struct bn_kms_scene *scene,
	uint64_t wanted, struct bn_kms_plan *plan)
{
	struct bn_kms_output *ko = bn_kms_output_of(scene->output);
	struct search search = {.scene = scene, .composed = ~wanted};

	if (!planner->liftoff)
		planner->liftoff = liftoff_create(scene->card, ko->crtc);
	search.liftoff = planner->liftoff;
	if (!search.liftoff || !tell_planes(search.liftoff, scene->usable))
		return false;
	for (unsigned round = 0; round < ROUNDS; round++) {
		int other;

		if (!run(&search, plan))
			return false;
		other = usurper(&search, plan);
		if (other < 0)
			return bn_kms_plan_is_right(scene, plan) &&
			       bn_kms_plan_try(planner, scene, plan) == 0;
		search.composed |= BIT(other);
	}
	return false;
}
