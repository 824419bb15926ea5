/* Layers to planes without asking the driver: what fits by format, number and order.
 *
 *        stack of the scene        planes, lowest first
 *        cursor  ───────────────►  cursor
 *        map     ───────────────►  overlay 2
 *        a, b    ──┐ composed ──►  overlay 1   (transparent where nothing is drawn)
 *        cluster ──│────────────►  primary
 *
 * There is one composed picture at most, so one height has to be right for all that is in it. What
 * cannot have a plane because of that joins it (bn_kms_stackable). Where zpos can be set, planes
 * are put in the order that is wanted; elsewhere theirs is followed. Without any zpos, overlays
 * are stacked by their number. */
#include <drm_fourcc.h>
#include <drm_mode.h>
#include <string.h>
#include <xf86drmMode.h>

#include "kms_impl.h"

#define BIT(i) (1ull << (i))

/* What one plane is to show: an item, or the composed picture. */
#define PICTURE (-1)

struct stack {
	int elements[BN_KMS_ITEMS_MAX + 1]; /* lowest first */
	unsigned count;
};

static bool is_present(const struct bn_kms_scene *scene, unsigned i)
{
	return scene->present & BIT(i);
}

static bool overlap(const struct bn_kms_scene *scene, unsigned a, unsigned b)
{
	return bn_rect_intersect(&scene->items[a].block, &scene->items[b].block, NULL);
}

static bool covers_all(const struct bn_kms_scene *scene, int element)
{
	const struct bn_output_config *config = &scene->output->config;
	const struct bn_rect *at;

	if (element == PICTURE)
		return true;
	at = &scene->items[element].at.at;
	return !scene->items[element].cursor && at->x == 0 && at->y == 0 &&
	       at->width == config->width && at->height == config->height;
}

static bool can_colour(const struct bn_kms_plane *plane, const struct bn_kms_item *item)
{
	const struct bn_kms_prop *props = plane->props;

	if (!item->yuv)
		return true;
	/* Without the properties it is anybody's guess, and this the usual one. */
	if (!props[BN_KMS_ENCODING].id && item->encoding != BN_ENCODING_BT601)
		return false;
	if (!props[BN_KMS_RANGE].id && item->range != BN_RANGE_LIMITED)
		return false;
	return (!props[BN_KMS_ENCODING].id || plane->encodings[item->encoding] != UINT64_MAX) &&
	       (!props[BN_KMS_RANGE].id || plane->ranges[item->range] != UINT64_MAX);
}

bool bn_kms_plane_can(const struct bn_kms_scene *scene, unsigned number, unsigned i)
{
	const struct bn_kms_plane *plane = &scene->card->planes[number];
	const struct bn_kms_item *item = &scene->items[i];

	if (!(scene->usable & BIT(number)) || item->fb == 0)
		return false;
	if (plane->type == DRM_PLANE_TYPE_CURSOR && !(item->cursor && item->plain))
		return false;
	if ((item->at.transform & plane->rotations) != item->at.transform)
		return false;
	if (item->alpha != BN_ALPHA_OPAQUE && !plane->props[BN_KMS_ALPHA].id)
		return false;
	if (item->blend && !plane->blends)
		return false;
	return can_colour(plane, item) &&
	       bn_kms_plane_has_format(plane, item->fourcc, item->modifier);
}

/* The composed picture is XRGB8888 where nothing is below it, else ARGB8888. */
static bool can_picture(const struct bn_kms_scene *scene, unsigned number, bool below)
{
	const struct bn_kms_plane *plane = &scene->card->planes[number];

	if (!(scene->usable & BIT(number)) || plane->type == DRM_PLANE_TYPE_CURSOR)
		return false;
	if (below && bn_kms_plane_has_format(plane, DRM_FORMAT_XRGB8888, DRM_FORMAT_MOD_LINEAR))
		return true;
	return plane->blends &&
	       bn_kms_plane_has_format(plane, DRM_FORMAT_ARGB8888, DRM_FORMAT_MOD_LINEAR);
}

/* ---- heights ---- */

/* Between which of the wanted items the picture may lie: that many of them below it. */
static void picture_range(
	const struct bn_kms_scene *scene, uint64_t wanted, unsigned *low, unsigned *high)
{
	unsigned below = 0;

	*low = 0;
	*high = BN_KMS_ITEMS_MAX;
	for (unsigned p = 0; p < scene->count; p++) {
		if (!(wanted & BIT(p)))
			continue;
		for (unsigned c = 0; c < scene->count; c++) {
			if ((wanted & BIT(c)) || !is_present(scene, c) || !overlap(scene, p, c))
				continue;
			if (c > p && *low < below + 1)
				*low = below + 1;
			if (c < p && *high > below)
				*high = below;
		}
		below++;
	}
	if (*high > below)
		*high = below;
}

/* Items on planes that make the range empty. */
static uint64_t in_the_way(
	const struct bn_kms_scene *scene, uint64_t wanted, unsigned low, unsigned high)
{
	uint64_t set = 0;
	unsigned below = 0;

	for (unsigned p = 0; p < scene->count; p++) {
		if (!(wanted & BIT(p)))
			continue;
		for (unsigned c = 0; c < scene->count; c++) {
			if ((wanted & BIT(c)) || !is_present(scene, c) || !overlap(scene, p, c))
				continue;
			if ((c > p && below + 1 > high) || (c < p && below < low))
				set |= BIT(p);
		}
		below++;
	}
	return set;
}

int bn_kms_least(const struct bn_kms_scene *scene, uint64_t set)
{
	int least = -1;

	for (unsigned i = 0; i < scene->count; i++) {
		if ((set & BIT(i)) &&
			(least < 0 || scene->items[i].right < scene->items[least].right))
			least = (int)i;
	}
	return least;
}

uint64_t bn_kms_stackable(const struct bn_kms_scene *scene, uint64_t wanted)
{
	for (;;) {
		unsigned low, high;
		int least;

		picture_range(scene, wanted, &low, &high);
		if (low <= high)
			return wanted;
		least = bn_kms_least(scene, in_the_way(scene, wanted, low, high));
		wanted &= ~BIT(least);
	}
}

/* ---- from a stack to planes ---- */

static bool element_fits(const struct bn_kms_scene *scene, const struct stack *stack, unsigned e,
	unsigned plane, const uint64_t *refused)
{
	int element = stack->elements[e];

	if (scene->card->planes[plane].type == DRM_PLANE_TYPE_CURSOR)
		return false;
	if (element == PICTURE)
		return can_picture(scene, plane, e == 0);
	return bn_kms_plane_can(scene, plane, (unsigned)element) &&
	       !(refused && (refused[element] & BIT(plane)));
}

static void put(struct bn_kms_plan *plan, int element, unsigned plane)
{
	if (element == PICTURE)
		plan->picture = (int8_t)plane;
	else
		plan->plane[element] = (int8_t)plane;
}

/* Each element on the lowest plane above the one before: if any such row exists, this finds one. */
static bool place_in_order(const struct bn_kms_scene *scene, const struct stack *stack, bool strict,
	const uint64_t *refused, struct bn_kms_plan *plan)
{
	unsigned next = 0;

	for (unsigned e = 0; e < stack->count; e++) {
		while (next < scene->card->plane_count &&
			!element_fits(scene, stack, e, next, refused))
			next++;
		if (next == scene->card->plane_count)
			return false;
		if (e == 0 && strict && (int)next != scene->primary)
			return false;
		put(plan, stack->elements[e], next++);
	}
	return true;
}

static unsigned choices(const struct bn_kms_scene *scene, const struct stack *stack, unsigned e,
	uint64_t left, const uint64_t *refused)
{
	unsigned n = 0;

	for (unsigned p = 0; p < scene->card->plane_count; p++)
		n += (left & BIT(p)) && element_fits(scene, stack, e, p, refused);
	return n;
}

/* What a plane could do besides: the least able one that will do is taken. */
static unsigned ability(const struct bn_kms_plane *plane)
{
	return plane->format_count * 4 + (unsigned)__builtin_popcount(plane->rotations);
}

static int pick_plane(const struct bn_kms_scene *scene, const struct stack *stack, unsigned e,
	uint64_t left, bool strict, const uint64_t *refused)
{
	int best = -1;

	if (strict && (left & BIT(scene->primary)) && covers_all(scene, stack->elements[e]) &&
		element_fits(scene, stack, e, (unsigned)scene->primary, refused))
		return scene->primary;
	for (unsigned p = 0; p < scene->card->plane_count; p++) {
		if (!(left & BIT(p)) || !element_fits(scene, stack, e, p, refused) ||
			(strict && (int)p == scene->primary))
			continue;
		if (best < 0 ||
			ability(&scene->card->planes[p]) < ability(&scene->card->planes[best]))
			best = (int)p;
	}
	return best;
}

/* Order does not matter: those with the fewest choices choose first. */
static bool place_freely(const struct bn_kms_scene *scene, const struct stack *stack, bool strict,
	const uint64_t *refused, struct bn_kms_plan *plan)
{
	uint64_t left = scene->usable, done = 0;

	plan->ordered = true;
	for (unsigned n = 0; n < stack->count; n++) {
		unsigned chosen = 0, fewest = UINT32_MAX;
		int plane;

		for (unsigned e = 0; e < stack->count; e++) {
			unsigned c = choices(scene, stack, e, left, refused);

			if (!(done & BIT(e)) && c < fewest) {
				fewest = c;
				chosen = e;
			}
		}
		plane = pick_plane(scene, stack, chosen, left, strict, refused);
		if (plane < 0)
			return false;
		done |= BIT(chosen);
		left &= ~BIT(plane);
		put(plan, stack->elements[chosen], (unsigned)plane);
		plan->zpos[plane] = (int8_t)chosen;
	}
	return !strict || !(left & BIT(scene->primary));
}

bool bn_kms_order_is_free(const struct bn_kms_scene *scene)
{
	unsigned planes = (unsigned)__builtin_popcountll(scene->usable);

	for (unsigned p = 0; p < scene->card->plane_count; p++) {
		const struct bn_kms_plane *plane = &scene->card->planes[p];

		if ((scene->usable & BIT(p)) && plane->type != DRM_PLANE_TYPE_CURSOR &&
			(!plane->zpos_free || plane->zpos_max + 1 < planes))
			return false;
	}
	return true;
}

/* A cursor that nothing lies above goes to the cursor plane, which is on top of all. */
static uint64_t place_cursor(const struct bn_kms_scene *scene, uint64_t wanted,
	const uint64_t *refused, struct bn_kms_plan *plan)
{
	for (unsigned p = 0; p < scene->card->plane_count; p++) {
		if (scene->card->planes[p].type != DRM_PLANE_TYPE_CURSOR)
			continue;
		for (unsigned i = scene->count; i-- > 0;) {
			bool covered = false;

			if (!(wanted & BIT(i)) || !scene->items[i].cursor ||
				!bn_kms_plane_can(scene, p, i) ||
				(refused && (refused[i] & BIT(p))))
				continue;
			for (unsigned k = i + 1; k < scene->count; k++)
				covered |= is_present(scene, k) && overlap(scene, i, k);
			if (covered)
				continue;
			plan->plane[i] = (int8_t)p;
			plan->zpos[p] = (int8_t)scene->card->planes[p].zpos_max;
			return wanted & ~BIT(i);
		}
	}
	return wanted;
}

/* below counts all that are wanted; those not left have their plane already. */
static void build_stack(const struct bn_kms_scene *scene, uint64_t wanted, uint64_t left,
	bool picture, unsigned below, struct stack *stack)
{
	unsigned n = 0;

	stack->count = 0;
	for (unsigned i = 0; i < scene->count; i++) {
		if (!(wanted & BIT(i)))
			continue;
		if (picture && n == below)
			stack->elements[stack->count++] = PICTURE;
		if (left & BIT(i))
			stack->elements[stack->count++] = (int)i;
		n++;
	}
	if (picture && n <= below)
		stack->elements[stack->count++] = PICTURE;
}

static bool place(const struct bn_kms_scene *scene, const struct stack *stack, bool strict,
	const uint64_t *refused, struct bn_kms_plan *plan)
{
	plan->picture_below = stack->count > 0 && stack->elements[0] == PICTURE;
	if (bn_kms_order_is_free(scene))
		return place_freely(scene, stack, strict, refused, plan);
	return place_in_order(scene, stack, strict, refused, plan);
}

static void clear(const struct bn_kms_scene *scene, struct bn_kms_plan *plan)
{
	*plan = (struct bn_kms_plan){.count = scene->count, .picture = BN_KMS_NO_PICTURE};
	memset(plan->plane, BN_KMS_COMPOSED, sizeof(plan->plane));
	memset(plan->zpos, -1, sizeof(plan->zpos));
}

/* With the picture (or none) at that height. */
static bool attempt(const struct bn_kms_scene *scene, uint64_t wanted, bool picture, unsigned below,
	bool strict, const uint64_t *refused, struct bn_kms_plan *plan)
{
	struct stack stack;
	uint64_t left;

	clear(scene, plan);
	left = place_cursor(scene, wanted, refused, plan);
	build_stack(scene, wanted, left, picture, below, &stack);
	/* A primary plane that must cover the display gets an empty picture if nothing else does. */
	if (strict && (stack.count == 0 || !covers_all(scene, stack.elements[0]))) {
		if (picture)
			return false;
		build_stack(scene, wanted, left, true, 0, &stack);
	}
	return place(scene, &stack, strict, refused, plan);
}

bool bn_kms_assign(const struct bn_kms_scene *scene, uint64_t wanted, bool strict,
	const uint64_t *refused, struct bn_kms_plan *plan)
{
	bool picture = (scene->present & ~wanted) != 0;
	unsigned low, high;

	picture_range(scene, wanted, &low, &high);
	if (low > high)
		return false;
	if (!picture && attempt(scene, wanted, false, 0, strict, refused, plan))
		return true;
	if (!picture && strict)
		return false;
	/* Nothing is composed, and yet the bottom may need something opaque: then as below. */
	for (unsigned below = low; picture && below <= high; below++) {
		if (attempt(scene, wanted, true, below, strict, refused, plan))
			return true;
	}
	return false;
}

void bn_kms_assign_none(const struct bn_kms_scene *scene, struct bn_kms_plan *plan)
{
	clear(scene, plan);
	plan->picture = (int8_t)scene->primary;
	plan->picture_below = true;
	if (bn_kms_order_is_free(scene)) {
		plan->ordered = true;
		plan->zpos[scene->primary] = 0;
	}
}

/* ---- is it right? ---- */

static int height(const struct bn_kms_scene *scene, const struct bn_kms_plan *plan, int plane)
{
	if (scene->card->planes[plane].type == DRM_PLANE_TYPE_CURSOR)
		return 64;
	return plan->ordered ? plan->zpos[plane] : plane;
}

static bool planes_are_own(const struct bn_kms_scene *scene, const struct bn_kms_plan *plan)
{
	uint64_t used = plan->picture >= 0 ? BIT(plan->picture) : 0;

	if (used & ~scene->usable)
		return false;
	for (unsigned i = 0; i < scene->count; i++) {
		if (plan->plane[i] < 0)
			continue;
		if ((used & BIT(plan->plane[i])) ||
			!bn_kms_plane_can(scene, (unsigned)plan->plane[i], i))
			return false;
		used |= BIT(plan->plane[i]);
	}
	return true;
}

bool bn_kms_plan_is_right(const struct bn_kms_scene *scene, const struct bn_kms_plan *plan)
{
	if (plan->count != scene->count || !planes_are_own(scene, plan))
		return false;
	for (unsigned a = 0; a < scene->count; a++) {
		bool alone = plan->plane[a] >= 0;

		if (!is_present(scene, a))
			continue;
		if (!alone && plan->picture < 0)
			return false;
		if (alone && plan->picture_below && plan->picture >= 0 &&
			height(scene, plan, plan->plane[a]) < height(scene, plan, plan->picture))
			return false;
		for (unsigned b = a + 1; b < scene->count; b++) {
			int lower = alone ? plan->plane[a] : plan->picture;
			int upper = plan->plane[b] >= 0 ? plan->plane[b] : plan->picture;

			if (!is_present(scene, b) || !overlap(scene, a, b) ||
				(!alone && plan->plane[b] < 0))
				continue;
			if (upper < 0 || height(scene, plan, lower) >= height(scene, plan, upper))
				return false;
		}
	}
	return true;
}
