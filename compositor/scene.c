/* Checks a scene as a whole. Rectangles are bounded first, so that what is computed from them fits. */
#include "compositor/scene.h"

#include <drm_mode.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Farther away, or larger, is a mistake. Twice the largest output. */
#define FAR 16384
#define SCALE_MAX 16u
#define TURNED (DRM_MODE_ROTATE_90 | DRM_MODE_ROTATE_270)
#define REFLECTED (DRM_MODE_REFLECT_X | DRM_MODE_REFLECT_Y)

struct check {
	const struct bn_scene *scene;
	const struct bn_scene_world *world;
	void (*report)(void *data, const struct bn_scene_layer *layer, const char *fault);
	void *data;
	unsigned faults;
	/* Of each layer: its output, NULL when it is unknown or the layer's numbers are wrong (then
	 * nothing is computed from them). */
	const struct bn_output_config *output[BN_SCENE_LAYERS_MAX];
};

__attribute__((format(printf, 3, 4))) static void fault(
	struct check *c, const struct bn_scene_layer *layer, const char *fmt, ...)
{
	char text[256];
	int len = snprintf(text, sizeof(text), "layer %s: ", layer->name);
	va_list args;

	c->faults++;
	if (!c->report)
		return;
	va_start(args, fmt);
	vsnprintf(text + len, sizeof(text) - (size_t)len, fmt, args);
	va_end(args);
	c->report(c->data, layer, text);
}

/* ---- one layer ---- */

static bool is_zero(const struct bn_rect *r)
{
	return r->x == 0 && r->y == 0 && r->width == 0 && r->height == 0;
}

static bool is_near(int32_t n)
{
	return n >= -FAR && n <= FAR;
}

static bool rect_good(const struct bn_rect *r)
{
	return is_near(r->x) && is_near(r->y) && r->width >= 1 && r->width <= FAR &&
	       r->height >= 1 && r->height <= FAR;
}

static bool has_size(const struct bn_place *place)
{
	return place->at.width != 0 || place->at.height != 0;
}

static bool has_crop(const struct bn_place *place)
{
	return !is_zero(&place->crop);
}

static bool check_crop(struct check *c, const struct bn_scene_layer *layer)
{
	const struct bn_rect *crop = &layer->place.crop;

	if (!has_crop(&layer->place) || (rect_good(crop) && crop->x >= 0 && crop->y >= 0))
		return true;
	fault(c, layer,
		"crop=%d,%d,%u,%u is no part of a screen; X,Y,WIDTH,HEIGHT with X and Y from 0 and "
		"sizes from 1 to %d is expected",
		crop->x, crop->y, crop->width, crop->height, FAR);
	return false;
}

static bool check_at(struct check *c, const struct bn_scene_layer *layer)
{
	struct bn_rect at = layer->place.at;

	if (!is_near(at.x) || !is_near(at.y)) {
		fault(c, layer, "at=%d,%d is too far away; from %d to %d is expected", at.x, at.y,
			-FAR, FAR);
		return false;
	}
	if (has_size(&layer->place) && !rect_good(&at)) {
		fault(c, layer, "size=%ux%u: each side from 1 to %d is expected", at.width,
			at.height, FAR);
		return false;
	}
	return true;
}

static bool check_transform(struct check *c, const struct bn_scene_layer *layer)
{
	uint32_t rotate = layer->place.transform & DRM_MODE_ROTATE_MASK;

	/* At most one turn. */
	if ((layer->place.transform & ~(DRM_MODE_ROTATE_MASK | (uint32_t)REFLECTED)) == 0 &&
		(rotate & (rotate - 1)) == 0)
		return true;
	fault(c, layer, "0x%x is no way to turn it; rotate= 0, 90, 180 or 270 is expected",
		layer->place.transform);
	return false;
}

static bool check_role(struct check *c, const struct bn_scene_layer *layer)
{
	if (layer->place.role == BN_ROLE_NORMAL || layer->place.role == BN_ROLE_SAFETY)
		return true;
	fault(c, layer, "role %d is not for scenes; role=normal or role=safety is expected",
		(int)layer->place.role);
	return false;
}

/* What a layer comes to be. Without a size of its own and without a crop it is as large as the
 * guest's picture, for which the output's size stands. */
static struct bn_rect nominal(
	const struct bn_scene_layer *layer, const struct bn_output_config *output)
{
	return bn_place_rect(&layer->place, output->width, output->height);
}

/* The most of the output that it can take up, whatever the guest shows. */
static struct bn_rect reach(
	const struct bn_scene_layer *layer, const struct bn_output_config *output)
{
	struct bn_rect r = nominal(layer, output);

	if (has_size(&layer->place) || has_crop(&layer->place))
		return r;
	r.width = r.height = 3 * FAR; /* beyond the output's edges, wherever it begins */
	return r;
}

static bool holds(const struct bn_rect *outer, const struct bn_rect *inner)
{
	struct bn_rect common;

	return bn_rect_intersect(outer, inner, &common) && common.width == inner->width &&
	       common.height == inner->height;
}

static bool check_openings(struct check *c, const struct bn_scene_layer *layer)
{
	bool good = layer->num_openings <= BN_SCENE_OPENINGS_MAX;

	if (!good)
		fault(c, layer, "%u openings; at most %d are expected", layer->num_openings,
			BN_SCENE_OPENINGS_MAX);
	for (unsigned i = 0; good && i < layer->num_openings; i++) {
		const struct bn_rect *o = &layer->openings[i];

		if (is_zero(o) || rect_good(o))
			continue;
		fault(c, layer,
			"opening.%u=%d,%d,%u,%u is no part of an output; X,Y,WIDTH,HEIGHT with "
			"sizes from 1 to %d is expected",
			i, o->x, o->y, o->width, o->height, FAR);
		good = false;
	}
	return good;
}

static void check_openings_inside(
	struct check *c, const struct bn_scene_layer *layer, const struct bn_rect *at)
{
	for (unsigned i = 0; i < layer->num_openings; i++) {
		const struct bn_rect *o = &layer->openings[i];

		if (is_zero(o))
			continue;
		if (layer->place.role != BN_ROLE_SAFETY)
			fault(c, layer,
				"opening.%u= is for layers with role=safety, others may be covered "
				"anyway",
				i);
		else if (!holds(at, o))
			fault(c, layer,
				"opening.%u=%d,%d,%u,%u lies outside of the layer, which is at "
				"%d,%d and %ux%u large; output pixels are expected",
				i, o->x, o->y, o->width, o->height, at->x, at->y, at->width,
				at->height);
	}
}

static void check_scale(struct check *c, const struct bn_scene_layer *layer)
{
	struct bn_place unscaled = layer->place;
	struct bn_rect from;
	const struct bn_rect *to = &layer->place.at;

	if (!has_size(&layer->place) || !has_crop(&layer->place))
		return;
	unscaled.at = (struct bn_rect){0};
	from = bn_place_rect(&unscaled, 0, 0);
	if (to->width > from.width * SCALE_MAX || from.width > to->width * SCALE_MAX ||
		to->height > from.height * SCALE_MAX || from.height > to->height * SCALE_MAX)
		fault(c, layer,
			"%ux%u of the screen as %ux%u: at most %u times larger or smaller is "
			"expected",
			from.width, from.height, to->width, to->height, SCALE_MAX);
}

static void check_safety(struct check *c, const struct bn_scene_layer *layer,
	const struct bn_rect *at, const struct bn_rect *whole)
{
	if (layer->place.role != BN_ROLE_SAFETY)
		return;
	if (layer->place.hidden)
		fault(c, layer, "a safety layer is never hidden; hidden=no or role=normal is "
				"expected");
	if (layer->place.alpha != BN_ALPHA_OPAQUE || layer->place.blend)
		fault(c, layer, "a safety layer is opaque; alpha=100 and blend=no are expected");
	if (!holds(whole, at))
		fault(c, layer,
			"a safety layer is wholly on its output; %ux%u at %d,%d does not fit into "
			"%ux%u: another at=, size= or crop= is expected",
			at->width, at->height, at->x, at->y, whole->width, whole->height);
}

static void check_on_output(struct check *c, const struct bn_scene_layer *layer,
	const struct bn_output_config *output)
{
	const struct bn_rect whole = {.width = output->width, .height = output->height};
	const struct bn_rect at = nominal(layer, output);

	check_scale(c, layer);
	if (!bn_rect_intersect(&whole, &at, NULL))
		fault(c, layer,
			"it lies outside of output %s: %ux%u at %d,%d of %ux%u; another at= is "
			"expected",
			output->name, at.width, at.height, at.x, at.y, whole.width, whole.height);
	else
		check_safety(c, layer, &at, &whole);
	check_openings_inside(c, layer, &at);
}

static const struct bn_output_config *find_output(
	struct check *c, const struct bn_scene_layer *layer)
{
	char names[128] = "";
	size_t len = 0;

	for (size_t i = 0; i < c->world->num_outputs; i++) {
		const struct bn_output_config *o = c->world->outputs[i];

		if (strcmp(o->name, layer->output) == 0)
			return o;
		if (len < sizeof(names))
			len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s",
				i ? ", " : "", o->name);
	}
	if (layer->output[0])
		fault(c, layer, "there is no output '%s'; outputs are: %s", layer->output,
			names[0] ? names : "none");
	else
		fault(c, layer, "it is on no output; output= is expected, one of: %s",
			names[0] ? names : "none");
	return NULL;
}

static void check_source(struct check *c, const struct bn_scene_layer *layer)
{
	unsigned scanouts = 0;

	if (!layer->vm[0])
		fault(c, layer, "it shows nothing; vm= is expected");
	else if (!c->world->vm_scanouts(c->world->data, layer->vm, &scanouts))
		fault(c, layer, "there is no vm '%s'; the name of a [vm NAME] section is expected",
			layer->vm);
	else if (layer->scanout >= scanouts)
		fault(c, layer, "vm %s has no scanout %u; scanout.%u=OUTPUT in [vm %s] is expected",
			layer->vm, layer->scanout, layer->scanout, layer->vm);
}

static void check_name(struct check *c, size_t i)
{
	const struct bn_scene_layer *layer = &c->scene->layers[i];

	if (!layer->name[0])
		fault(c, layer, "it has no name");
	for (size_t k = 0; k < i; k++) {
		if (strcmp(c->scene->layers[k].name, layer->name) != 0)
			continue;
		fault(c, layer,
			"another layer has that name (scanout.N= makes layers named VM, VM.1, VM.2 "
			"…); a name of its own is expected");
		return;
	}
}

static void check_layer(struct check *c, size_t i)
{
	const struct bn_scene_layer *layer = &c->scene->layers[i];
	const struct bn_output_config *output;
	bool good;

	check_name(c, i);
	output = find_output(c, layer);
	check_source(c, layer);
	good = check_crop(c, layer);
	good = check_at(c, layer) && good;
	good = check_transform(c, layer) && good;
	good = check_role(c, layer) && good;
	good = check_openings(c, layer) && good;
	if (!output || !good)
		return;
	c->output[i] = output;
	check_on_output(c, layer, output);
}

/* ---- layers among each other ---- */

/* Whether all of r lies within the openings from number `from` on: what the first of them leaves
 * over, up to four strips around it, must lie within the rest. */
static bool within_openings(
	const struct bn_scene_layer *layer, const struct bn_rect *r, unsigned from)
{
	struct bn_rect o, part;
	int32_t right, bottom;

	if (from >= layer->num_openings)
		return false;
	if (!bn_rect_intersect(r, &layer->openings[from], &o))
		return within_openings(layer, r, from + 1);
	right = o.x + (int32_t)o.width;
	bottom = o.y + (int32_t)o.height;
	part = (struct bn_rect){r->x, r->y, r->width, (uint32_t)(o.y - r->y)};
	if (part.height && !within_openings(layer, &part, from + 1))
		return false;
	part = (struct bn_rect){r->x, bottom, r->width, r->height - part.height - o.height};
	if (part.height && !within_openings(layer, &part, from + 1))
		return false;
	part = (struct bn_rect){r->x, o.y, (uint32_t)(o.x - r->x), o.height};
	if (part.width && !within_openings(layer, &part, from + 1))
		return false;
	part = (struct bn_rect){right, o.y, r->width - part.width - o.width, o.height};
	return !part.width || within_openings(layer, &part, from + 1);
}

static bool is_above(const struct bn_scene *scene, size_t a, size_t b)
{
	int32_t za = scene->layers[a].place.z, zb = scene->layers[b].place.z;

	return za != zb ? za > zb : a > b;
}

/* Two layers of one output, `over` above `under`, which is a safety layer. */
static void check_cover(struct check *c, size_t over, size_t under)
{
	const struct bn_scene_layer *o = &c->scene->layers[over], *u = &c->scene->layers[under];
	const struct bn_rect ro = reach(o, c->output[over]), ru = nominal(u, c->output[under]);
	const char *what = o->place.role == BN_ROLE_SAFETY ? "overlaps" : "covers";
	struct bn_rect common;

	if (o->place.hidden || !bn_rect_intersect(&ro, &ru, &common) ||
		within_openings(u, &common, 0))
		return;
	fault(c, o,
		"it %s safety layer %s on output %s at %d,%d %ux%u; another place%s, or an "
		"opening.N= of %s is expected",
		what, u->name, u->output, common.x, common.y, common.width, common.height,
		o->place.role == BN_ROLE_SAFETY ? "" : ", a lower z=", u->name);
}

static void check_pairs(struct check *c, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		size_t over = is_above(c->scene, i, k) ? i : k, under = over == i ? k : i;

		if (!c->output[k] || c->output[k] != c->output[i])
			continue;
		if (c->scene->layers[under].place.role == BN_ROLE_SAFETY)
			check_cover(c, over, under);
	}
}

/* The first layer for which there is no room any more gets the blame. */
static void check_room(struct check *c, size_t i)
{
	unsigned before = 0;

	for (size_t k = 0; k < i; k++)
		before += strcmp(c->scene->layers[k].output, c->scene->layers[i].output) == 0;
	if (before == BN_OUTPUT_LAYERS_MAX)
		fault(c, &c->scene->layers[i],
			"output %s has %d layers already; at most that many are expected",
			c->scene->layers[i].output, BN_OUTPUT_LAYERS_MAX);
}

unsigned bn_scene_check(const struct bn_scene *scene, const struct bn_scene_world *world,
	void (*report)(void *data, const struct bn_scene_layer *layer, const char *fault),
	void *data)
{
	struct check c = {.scene = scene, .world = world, .report = report, .data = data};

	for (size_t i = 0; i < scene->num_layers && i < BN_SCENE_LAYERS_MAX; i++) {
		check_layer(&c, i);
		if (!c.output[i])
			continue;
		check_room(&c, i);
		check_pairs(&c, i);
	}
	return c.faults;
}

struct bn_scene_layer *bn_scene_find(struct bn_scene *scene, const char *name)
{
	for (size_t i = 0; i < scene->num_layers; i++) {
		if (strcmp(scene->layers[i].name, name) == 0)
			return &scene->layers[i];
	}
	return NULL;
}
