#include "scene.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "frames.h"
#include "scene_fit.h"

/* A layer of ours. A scanout's own layer, on the output that paces its guest, belongs to bn_frames. */
struct extra {
	struct wl_list link; /* bn_stage.extras */
	struct bn_frames_mirror mirror;
	struct bn_display *display;
	unsigned vm, scanout;
	bool planned; /* the scene that is being taken over has a use for it */
};

/* What shows a layer of the scene. */
struct actor {
	struct bn_display *display;
	unsigned vm;
	struct extra *extra; /* NULL: the scanout's own layer */
};

struct bn_stage {
	const struct bn_settings *settings;
	struct bn_displays *displays;
	struct bn_frames *const *frames;
	struct bn_scene scene;
	struct actor actor[BN_SCENE_LAYERS_MAX];  /* of the layers of the scene */
	struct actor planned[BN_SCENE_LAYERS_MAX]; /* of those of the next one */
	struct wl_list extras;
	void (*changed)(void *data);
	void *data;
	const struct bn_stage_guard *guard;
	void *guard_data;
	struct bn_scene_fit fit;
};

/* ---- checks ---- */

static void list_outputs(const struct bn_stage *stage, const struct bn_output_config **outputs)
{
	for (size_t i = 0; i < stage->displays->count; i++)
		outputs[i] = bn_output_config(stage->displays->display[i].output);
}

static unsigned check(const struct bn_stage *stage, const struct bn_scene *scene,
	bn_stage_report report, void *data)
{
	const struct bn_output_config *outputs[BN_SETTINGS_OUTPUTS_MAX];
	list_outputs(stage, outputs);
	return bn_settings_scene_check(
		stage->settings, scene, outputs, stage->displays->count, report, data);
}

unsigned bn_stage_check_mode(struct bn_stage *stage, const struct bn_display *display,
	uint32_t width, uint32_t height, bn_stage_report report, void *data)
{
	const struct bn_output_config *outputs[BN_SETTINGS_OUTPUTS_MAX];
	struct bn_output_config changed = *bn_output_config(display->output);
	unsigned before = check(stage, &stage->scene, NULL, NULL), after;
	changed.width = width;
	changed.height = height;
	list_outputs(stage, outputs);
	outputs[display - stage->displays->display] = &changed;
	after = bn_settings_scene_check(
		stage->settings, &stage->scene, outputs, stage->displays->count, NULL, NULL);
	if (after <= before)
		return 0;
	bn_settings_scene_check(
		stage->settings, &stage->scene, outputs, stage->displays->count, report, data);
	return after - before;
}

/* ---- who plays what ---- */

static unsigned vm_number(const struct bn_settings *settings, const char *name)
{
	for (unsigned i = 0; i < settings->num_vms; i++) {
		if (strcmp(settings->vms[i].name, name) == 0)
			return i;
	}
	return BN_SETTINGS_VMS_MAX;
}

static struct bn_layer *actor_layer(
	const struct bn_stage *stage, const struct actor *a, unsigned scanout)
{
	return a->extra ? a->extra->mirror.layer : bn_frames_layer(stage->frames[a->vm], scanout);
}

/* Whether a layer before number i has the scanout's own layer already. */
static bool own_taken(const struct bn_stage *stage, const struct bn_scene *scene, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (!stage->planned[k].extra && stage->planned[k].vm == stage->planned[i].vm &&
			scene->layers[k].scanout == scene->layers[i].scanout)
			return true;
	}
	return false;
}

static bool is_home(const struct bn_stage *stage, const struct bn_scene_layer *l, unsigned vm)
{
	return strcmp(stage->settings->vms[vm].scanout[l->scanout], l->output) == 0;
}

static struct extra *free_extra(struct bn_stage *stage, const struct actor *a, bool any,
	unsigned scanout)
{
	struct extra *e;
	wl_list_for_each(e, &stage->extras, link)
	{
		if (!e->planned && e->display == a->display &&
			(any || (e->vm == a->vm && e->scanout == scanout)))
			return e;
	}
	return NULL;
}

static struct extra *new_extra(struct bn_stage *stage, const struct actor *a)
{
	struct extra *e = calloc(1, sizeof(*e));
	struct bn_layer *layer =
		e ? bn_layer_create(a->display->output, &bn_frames_mirror_listener, NULL) : NULL;
	if (!layer) {
		free(e);
		return NULL;
	}
	bn_layer_set_newest_only(layer, true);
	e->mirror.layer = layer;
	wl_list_init(&e->mirror.link); /* not a mirror yet */
	e->display = a->display;
	e->vm = BN_SETTINGS_VMS_MAX;
	wl_list_insert(&stage->extras, &e->link);
	return e;
}

static void extra_destroy(struct extra *e)
{
	bn_frames_mirror_remove(&e->mirror);
	bn_layer_destroy(e->mirror.layer);
	wl_list_remove(&e->link);
	free(e);
}

/* One that shows that scanout there already is best. One that shows something else there is the
 * last resort, when the output has room for no other. */
static int plan_layer(struct bn_stage *stage, const struct bn_scene *scene, size_t i)
{
	const struct bn_scene_layer *l = &scene->layers[i];
	struct actor *a = &stage->planned[i];
	*a = (struct actor){
		.display = bn_displays_find(stage->displays, l->output),
		.vm = vm_number(stage->settings, l->vm),
	};
	assert(a->display && a->vm < stage->settings->num_vms);
	if (is_home(stage, l, a->vm) && !own_taken(stage, scene, i))
		return 0;
	a->extra = free_extra(stage, a, false, l->scanout);
	if (!a->extra)
		a->extra = new_extra(stage, a);
	if (!a->extra)
		a->extra = free_extra(stage, a, true, 0);
	if (!a->extra)
		return -ENOSPC;
	a->extra->planned = true;
	return 0;
}

static int plan(struct bn_stage *stage, const struct bn_scene *scene)
{
	struct extra *e, *tmp;
	int ret = 0;
	wl_list_for_each(e, &stage->extras, link) e->planned = false;
	for (size_t i = 0; ret == 0 && i < scene->num_layers; i++)
		ret = plan_layer(stage, scene, i);
	if (ret < 0) {
		/* Those that were made for it. */
		wl_list_for_each_safe(e, tmp, &stage->extras, link)
		{
			if (e->vm == BN_SETTINGS_VMS_MAX)
				extra_destroy(e);
		}
	}
	return ret;
}

/* ---- the change itself, in which nothing can fail ---- */

static void route(struct bn_stage *stage, struct extra *e, unsigned vm, unsigned scanout)
{
	if (e->vm == vm && e->scanout == scanout)
		return;
	bn_frames_mirror_remove(&e->mirror);
	e->vm = vm;
	e->scanout = scanout;
	bn_frames_mirror_add(stage->frames[vm], scanout, &e->mirror);
}

/* Layers of the same z lie in the order of the scene, whenever each of them was made. */
static int32_t height(const struct bn_stage *stage, size_t i)
{
	int32_t below = 0;
	for (size_t k = 0; k < stage->scene.num_layers; k++)
		below += stage->actor[k].display == stage->actor[i].display && k != i &&
			 bn_stage_above(stage, i, k);
	return below;
}

static void place_layer(struct bn_stage *stage, size_t i)
{
	const struct bn_scene_layer *l = &stage->scene.layers[i];
	const struct actor *a = &stage->actor[i];
	struct bn_layer *layer = actor_layer(stage, a, l->scanout);
	struct bn_place place = l->place;
	place.z = height(stage, i);
	bn_layer_set_owner(layer, l->name, a->vm, stage->settings->vms[a->vm].planes);
	bn_layer_set_place(layer, &place);
}

/* A scanout's own layer that has no part in the scene is there for the pace alone. */
static void hide_idle(struct bn_stage *stage, unsigned vm, unsigned scanout)
{
	struct bn_layer *own = bn_frames_layer(stage->frames[vm], scanout);
	struct bn_place place = bn_place_default;
	char name[BN_SCENE_NAME_MAX];
	for (size_t i = 0; i < stage->scene.num_layers; i++) {
		if (actor_layer(stage, &stage->actor[i], stage->scene.layers[i].scanout) == own)
			return;
	}
	place.hidden = true;
	snprintf(name, sizeof(name), "%s.%u (pace)", stage->settings->vms[vm].name, scanout);
	bn_layer_set_owner(own, name, vm, 0);
	bn_layer_set_place(own, &place);
}

static void hide_all_idle(struct bn_stage *stage)
{
	for (unsigned vm = 0; vm < stage->settings->num_vms; vm++) {
		for (unsigned n = 0; n < stage->settings->vms[vm].num_scanouts; n++) {
			if (bn_frames_layer(stage->frames[vm], n))
				hide_idle(stage, vm, n);
		}
	}
}

static void commit(struct bn_stage *stage, const struct bn_scene *scene)
{
	struct extra *e, *tmp;
	stage->scene = *scene;
	memcpy(stage->actor, stage->planned, scene->num_layers * sizeof(stage->actor[0]));
	wl_list_for_each_safe(e, tmp, &stage->extras, link)
	{
		if (!e->planned)
			extra_destroy(e);
	}
	for (size_t i = 0; i < scene->num_layers; i++) {
		if (stage->actor[i].extra)
			route(stage, stage->actor[i].extra, stage->actor[i].vm,
				scene->layers[i].scanout);
	}
	for (size_t i = 0; i < scene->num_layers; i++)
		place_layer(stage, i);
	hide_all_idle(stage);
	bn_scene_fit_planes(&stage->fit, stage->settings, stage->displays, scene);
	if (stage->changed)
		stage->changed(stage->data);
}

int bn_stage_set(
	struct bn_stage *stage, const struct bn_scene *scene, bn_stage_report report, void *data)
{
	const struct bn_stage_guard *guard = stage->guard;
	if (check(stage, scene, report, data) > 0)
		return -EINVAL;
	int ret = guard && guard->prepare(stage->guard_data, scene, report, data) > 0
			  ? -EINVAL
			  : plan(stage, scene);
	if (ret == 0) {
		commit(stage, scene);
		/* It has no faults. */
		bn_scene_fit_begin(&stage->fit, stage->settings, stage->displays);
		bn_scene_fit_end(&stage->fit, NULL);
	}
	if (guard)
		guard->done(stage->guard_data, ret == 0);
	return ret;
}

void bn_stage_set_guard(
	struct bn_stage *stage, const struct bn_stage_guard *guard, void *data)
{
	stage->guard = guard;
	stage->guard_data = data;
}

/* ---- displays that are not what they were ---- */

static void check_displays(
	struct bn_stage *stage, const struct bn_scene *scene, struct bn_events *events)
{
	bn_scene_fit_begin(&stage->fit, stage->settings, stage->displays);
	check(stage, scene, bn_scene_fit_fault, &stage->fit);
	if (bn_scene_fit_is_news(&stage->fit))
		check(stage, scene, bn_scene_fit_log, &stage->fit);
	bn_scene_fit_end(&stage->fit, events);
}

void bn_stage_displays_changed(struct bn_stage *stage, struct bn_events *events)
{
	check_displays(stage, &stage->scene, events);
	bn_scene_fit_planes(&stage->fit, stage->settings, stage->displays, &stage->scene);
}

/* ---- life ---- */

int bn_stage_create(struct bn_stage **out, const struct bn_settings *settings,
	struct bn_displays *displays, struct bn_frames *const *frames)
{
	struct bn_stage *stage = calloc(1, sizeof(*stage));
	if (!stage)
		return -ENOMEM;
	stage->settings = settings;
	stage->displays = displays;
	stage->frames = frames;
	wl_list_init(&stage->extras);
	check_displays(stage, &settings->scene, NULL);
	int ret = plan(stage, &settings->scene);
	if (ret < 0) {
		bn_error("the scene: no room for all layers: %s", strerror(-ret));
		free(stage);
		return ret;
	}
	commit(stage, &settings->scene);
	*out = stage;
	return 0;
}

void bn_stage_destroy(struct bn_stage *stage)
{
	struct extra *e, *tmp;
	if (!stage)
		return;
	wl_list_for_each_safe(e, tmp, &stage->extras, link) extra_destroy(e);
	free(stage);
}

/* ---- looking ---- */

const struct bn_scene *bn_stage_scene(const struct bn_stage *stage)
{
	return &stage->scene;
}

struct bn_layer *bn_stage_layer(const struct bn_stage *stage, size_t i)
{
	return actor_layer(stage, &stage->actor[i], stage->scene.layers[i].scanout);
}

struct bn_display *bn_stage_display(const struct bn_stage *stage, size_t i)
{
	return stage->actor[i].display;
}

bool bn_stage_find(const struct bn_stage *stage, const char *name, size_t *i)
{
	for (*i = 0; *i < stage->scene.num_layers; ++*i) {
		if (strcmp(stage->scene.layers[*i].name, name) == 0)
			return true;
	}
	return false;
}

bool bn_stage_above(const struct bn_stage *stage, size_t a, size_t b)
{
	int32_t za = stage->scene.layers[a].place.z, zb = stage->scene.layers[b].place.z;
	return za != zb ? za > zb : a > b;
}

void bn_stage_follow(struct bn_stage *stage, void (*changed)(void *data), void *data)
{
	stage->changed = changed;
	stage->data = data;
}
