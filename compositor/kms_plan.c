/* Which layer goes to which plane, with the driver's consent.
 *
 * 0. What opaque layers hide has no part in it.
 * 1. A scene of a shape seen before: its plan is known, nobody is asked. A shape is formats, sizes, sources, scaling,
 *    turns, order, rights, and which planes are to be had; not what is in the buffers, nor where the cursor is.
 * 2. The first guess by what planes are known to do (kms_assign.c): one test, and in nearly all scenes the answer.
 * 3. libliftoff searches, where the order of the planes is fixed.
 * 4. One layer after the other, those with the highest right first, each tested with those that were let in before.
 *
 * In all of them a layer of higher right has its plane before one of lower right. The tests for one scene end at
 * BN_KMS_TESTS_MAX. */
#include <errno.h>
#include <string.h>
#include <xf86drmMode.h>

#include "common/log.h"
#include "kms_impl.h"

#define BIT(i) (1ull << (i))
/* A plan that took more tests than that is worth keeping when layers move. */
#define COSTLY_TESTS 3
/* Then a better one is looked for. */
#define COSTLY_USES 120
/* Planes that one layer is tried on. */
#define TRIES 3

int bn_kms_plan_try(
	struct bn_kms_planner *planner, struct bn_kms_scene *scene, const struct bn_kms_plan *plan)
{
	if (planner->tests >= BN_KMS_TESTS_MAX)
		return -EINVAL;
	planner->tests++;
	return planner->test(scene, plan);
}

static bool is_refusal(int error)
{
	return error == -EINVAL || error == -ERANGE || error == -ENOSPC || error == -EOPNOTSUPP;
}

/* ---- shapes ---- */

static void mix(uint64_t *key, uint64_t value)
{
	*key = (*key ^ value) * 0x9e3779b97f4a7c15u;
	*key ^= *key >> 29;
}

static void mix_rect(uint64_t *key, const struct bn_rect *rect)
{
	mix(key, (uint64_t)(uint32_t)rect->x << 32 | (uint32_t)rect->y);
	mix(key, (uint64_t)rect->width << 32 | rect->height);
}

/* Who is there, wherever it lies. */
static uint64_t cast_key(const struct bn_kms_scene *scene)
{
	uint64_t key = scene->usable;

	mix(&key, scene->count);
	mix(&key, (uint64_t)scene->output->config.width << 32 | scene->output->config.height);
	for (unsigned i = 0; i < scene->count; i++) {
		const struct bn_kms_item *item = &scene->items[i];

		mix(&key, item->layer->age << 8 | (uint64_t)item->right << 4 |
				  (uint64_t)item->cursor << 3 | (uint64_t)item->plain << 2 |
				  (uint64_t)item->blend << 1 | (item->fb != 0));
		mix(&key, (uint64_t)item->fourcc << 32 | item->at.transform << 16 | item->alpha);
		mix(&key, item->modifier);
		mix(&key, (uint64_t)item->encoding << 8 | item->range);
	}
	return key;
}

static uint64_t scene_key(const struct bn_kms_scene *scene)
{
	uint64_t key = cast_key(scene);

	for (unsigned i = 0; i < scene->count; i++) {
		const struct bn_kms_item *item = &scene->items[i];

		mix_rect(&key, &item->block);
		if (item->cursor)
			continue;
		mix(&key, (uint64_t)item->fb_width << 32 | item->fb_height);
		mix(&key, (uint64_t)item->at.src_x << 32 | item->at.src_y);
		mix(&key, (uint64_t)item->at.src_width << 32 | item->at.src_height);
	}
	return key ? key : 1;
}

static struct bn_kms_plan *find_plan(struct bn_kms_planner *planner, uint64_t key)
{
	for (unsigned i = 0; i < BN_KMS_PLANS_MAX; i++) {
		if (planner->cache[i].key != key)
			continue;
		planner->cache[i].used = ++planner->uses;
		return &planner->cache[i].plan;
	}
	return NULL;
}

static struct bn_kms_plan *keep_plan(
	struct bn_kms_planner *planner, uint64_t key, const struct bn_kms_plan *plan)
{
	struct bn_kms_plan *known = find_plan(planner, key);
	unsigned oldest = 0;

	if (known) {
		*known = *plan;
		return known;
	}
	for (unsigned i = 1; i < BN_KMS_PLANS_MAX; i++) {
		if (planner->cache[i].used < planner->cache[oldest].used)
			oldest = i;
	}
	planner->cache[oldest].key = key;
	planner->cache[oldest].used = ++planner->uses;
	planner->cache[oldest].plan = *plan;
	return &planner->cache[oldest].plan;
}

/* ---- searching ---- */

static uint64_t all_of(const struct bn_kms_scene *scene)
{
	return scene->count == 64 ? UINT64_MAX : BIT(scene->count) - 1;
}

/* Items that some plane could show. */
static uint64_t candidates(const struct bn_kms_scene *scene, uint8_t *reasons)
{
	uint64_t set = 0;

	for (unsigned i = 0; i < scene->count; i++) {
		if (!(scene->present & BIT(i))) {
			reasons[i] = BN_KMS_HIDDEN;
			continue;
		}
		for (unsigned p = 0; p < scene->card->plane_count && !(set & BIT(i)); p++) {
			if (bn_kms_plane_can(scene, p, i))
				set |= BIT(i);
		}
		if (!(set & BIT(i)))
			reasons[i] = scene->items[i].fb ? BN_KMS_NO_FORMAT : BN_KMS_NO_BUFFER;
	}
	return set;
}

static void note(uint8_t *reasons, uint64_t before, uint64_t after, uint8_t reason)
{
	for (unsigned i = 0; i < BN_KMS_ITEMS_MAX; i++) {
		if ((before & ~after) & BIT(i))
			reasons[i] = reason;
	}
}

/* As many of the wanted as planes can be found for, the least important left out first. */
static uint64_t assign_most(const struct bn_kms_scene *scene, uint64_t wanted, bool strict,
	const uint64_t *refused, uint8_t *reasons, struct bn_kms_plan *plan)
{
	for (;;) {
		uint64_t left = bn_kms_stackable(scene, wanted);

		note(reasons, wanted, left, BN_KMS_STACKING);
		wanted = left;
		if (wanted == 0 || bn_kms_assign(scene, wanted, strict, refused, plan))
			break;
		left = wanted & ~BIT(bn_kms_least(scene, wanted));
		note(reasons, wanted, left, BN_KMS_NO_PLANE_LEFT);
		wanted = left;
	}
	if (wanted == 0 && !bn_kms_assign(scene, 0, strict, refused, plan))
		bn_kms_assign_none(scene, plan);
	return wanted;
}

/* The first guess. What it finds out about the primary plane is kept. */
static int guess(struct bn_kms_planner *planner, struct bn_kms_scene *scene, uint64_t wanted,
	uint8_t *reasons, struct bn_kms_plan *plan)
{
	uint8_t tried[BN_KMS_ITEMS_MAX];
	int r;

	memcpy(tried, reasons, sizeof(tried));
	assign_most(scene, wanted, planner->strict, NULL, tried, plan);
	r = bn_kms_plan_try(planner, scene, plan);
	if (r < 0 && is_refusal(r) && !planner->strict) {
		memcpy(tried, reasons, sizeof(tried));
		assign_most(scene, wanted, true, NULL, tried, plan);
		r = bn_kms_plan_try(planner, scene, plan);
		planner->strict = r == 0;
	}
	if (r == 0)
		memcpy(plan->reason, tried, sizeof(tried));
	return r;
}

/* Whether the driver takes the item beside those that are in. It may be on another plane than the first that comes to
 * mind: scalers and the like are not everywhere, and nobody says where. */
static int let_in(struct bn_kms_planner *planner, struct bn_kms_scene *scene, uint64_t in,
	unsigned item, uint64_t *refused, uint8_t *reason)
{
	struct bn_kms_plan plan;
	int r = -ENOSPC;

	*reason = BN_KMS_NO_PLANE_LEFT;
	for (unsigned n = 0; n < TRIES; n++) {
		if (bn_kms_stackable(scene, in | BIT(item)) != (in | BIT(item)) ||
			!bn_kms_assign(scene, in | BIT(item), true, refused, &plan))
			return r;
		r = bn_kms_plan_try(planner, scene, &plan);
		if (r == 0 || !is_refusal(r))
			return r;
		*reason = BN_KMS_REFUSED;
		refused[item] |= BIT(plan.plane[item]);
	}
	return r;
}

static int next_by_right(const struct bn_kms_scene *scene, uint64_t set)
{
	int best = -1;

	for (unsigned i = 0; i < scene->count; i++) {
		if ((set & BIT(i)) &&
			(best < 0 || scene->items[i].right >= scene->items[best].right))
			best = (int)i;
	}
	return best;
}

/* Those let in, with all the rest composed: less and less, until the driver agrees. */
static int settle(struct bn_kms_planner *planner, struct bn_kms_scene *scene, uint64_t in,
	const uint64_t *refused, uint8_t *reasons, struct bn_kms_plan *plan)
{
	int r;

	for (;;) {
		in = assign_most(scene, in, true, refused, reasons, plan);
		r = bn_kms_plan_try(planner, scene, plan);
		if (r == 0 || !is_refusal(r) || in == 0 || planner->tests >= BN_KMS_TESTS_MAX)
			break;
		reasons[bn_kms_least(scene, in)] = BN_KMS_REFUSED;
		in &= ~BIT(bn_kms_least(scene, in));
	}
	if (r < 0 && is_refusal(r)) {
		bn_kms_assign_none(scene, plan);
		r = 0;
	}
	memcpy(plan->reason, reasons, BN_KMS_ITEMS_MAX);
	return r;
}

static int one_by_one(struct bn_kms_planner *planner, struct bn_kms_scene *scene, uint64_t wanted,
	uint8_t *reasons, struct bn_kms_plan *plan)
{
	uint64_t in = 0, seen = scene->present, refused[BN_KMS_ITEMS_MAX] = {0};
	int r = 0;

	/* Those that have not had their turn are as if they were not there. */
	scene->present = seen & ~wanted;
	while (wanted != 0 && (r == 0 || is_refusal(r))) {
		unsigned item = (unsigned)next_by_right(scene, wanted);

		wanted &= ~BIT(item);
		scene->present |= BIT(item);
		r = let_in(planner, scene, in, item, refused, &reasons[item]);
		if (r == 0)
			in |= BIT(item);
	}
	scene->present = seen;
	if (r < 0 && !is_refusal(r))
		return r;
	return settle(planner, scene, in, refused, reasons, plan);
}

/* No layer without a plane stands above one with a plane in right, as far as planes could show both. */
static int search(
	struct bn_kms_planner *planner, struct bn_kms_scene *scene, struct bn_kms_plan *plan)
{
	uint8_t reasons[BN_KMS_ITEMS_MAX] = {0};
	uint64_t wanted = candidates(scene, reasons);
	int r = guess(planner, scene, wanted, reasons, plan);

	if (r == 0 || !is_refusal(r))
		return r;
	/* It never sets zpos, so it has the less to choose from where that can be set. */
	if (!bn_kms_order_is_free(scene) && bn_kms_liftoff_plan(planner, scene, wanted, plan))
		return 0;
	return one_by_one(planner, scene, wanted, reasons, plan);
}

static bool reuse_costly(struct bn_kms_planner *planner, struct bn_kms_scene *scene, uint64_t cast)
{
	return planner->costly_cast == cast && planner->costly_uses < COSTLY_USES &&
	       bn_kms_plan_is_right(scene, &planner->costly) &&
	       bn_kms_plan_try(planner, scene, &planner->costly) == 0;
}

const struct bn_kms_plan *bn_kms_plan(struct bn_kms_planner *planner, struct bn_kms_scene *scene)
{
	uint64_t key = scene_key(scene), cast;
	struct bn_kms_plan *known, plan;
	int r;

	/* For those that it knows to be hidden, it has no plane. */
	scene->present = all_of(scene);
	known = find_plan(planner, key);
	if (known)
		return known;
	planner->tests = 0;
	scene->present = bn_kms_seen(scene);
	cast = cast_key(scene);
	mix(&cast, scene->present);
	if (reuse_costly(planner, scene, cast)) {
		planner->costly_uses++;
		return keep_plan(planner, key, &planner->costly);
	}
	r = search(planner, scene, &plan);
	if (r < 0) {
		/* Not the plan's fault: the commit will say the same. */
		bn_kms_assign_none(scene, &planner->costly);
		planner->costly_cast = 0;
		return &planner->costly;
	}
	if (planner->tests > COSTLY_TESTS) {
		planner->costly = plan;
		planner->costly_cast = cast;
		planner->costly_uses = 0;
	}
	return keep_plan(planner, key, &plan);
}

const struct bn_kms_plan *bn_kms_plan_refused(
	struct bn_kms_planner *planner, struct bn_kms_scene *scene)
{
	struct bn_kms_plan plan;
	uint64_t seen = bn_kms_seen(scene);

	bn_kms_assign_none(scene, &plan);
	for (unsigned i = 0; i < scene->count; i++)
		plan.reason[i] = !(seen & BIT(i))       ? BN_KMS_HIDDEN
				 : scene->items[i].fb ? BN_KMS_REFUSED
						      : BN_KMS_NO_BUFFER;
	planner->costly_cast = 0;
	return keep_plan(planner, scene_key(scene), &plan);
}

void bn_kms_planner_forget(struct bn_kms_planner *planner)
{
	memset(planner->cache, 0, sizeof(planner->cache));
	planner->costly_cast = 0;
}

void bn_kms_planner_finish(struct bn_kms_planner *planner)
{
	bn_kms_liftoff_destroy(planner->liftoff);
	planner->liftoff = NULL;
}
