/* The scene over the control socket: looked at, and changed as a whole or not at all. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <drm_mode.h>
#include <json-c/json.h>

#include "control_priv.h"
#include "events.h"
#include "json_add.h"
#include "protocol/control.h"
#include "scene.h"
#include "service.h"

/* ---- looking ---- */

static void add_int(struct json_object *o, const char *key, int64_t value)
{
	json_object_object_add(o, key, json_object_new_int64(value));
}

static struct json_object *rect_json(const struct bn_rect *r)
{
	struct json_object *o = json_object_new_object();
	add_int(o, "x", r->x);
	add_int(o, "y", r->y);
	add_int(o, "width", r->width);
	add_int(o, "height", r->height);
	return o;
}

static void add_transform(struct json_object *o, uint32_t transform)
{
	static const char *const reflections[] = {"none", "x", "y", "xy"};
	uint32_t turn = transform & DRM_MODE_ROTATE_MASK;
	unsigned quarter = 0;
	while (turn > 1u << quarter)
		quarter++;
	add_int(o, "rotate", quarter * 90);
	bn_json_add_text(o, "reflect",
		reflections[(transform & DRM_MODE_REFLECT_MASK) / DRM_MODE_REFLECT_X]);
}

static void add_place(struct json_object *o, const struct bn_scene_layer *l)
{
	const struct bn_place *p = &l->place;
	struct json_object *openings = json_object_new_array();
	add_int(o, "x", p->at.x);
	add_int(o, "y", p->at.y);
	/* 0: that of the picture, or of its crop. */
	add_int(o, "width", p->at.width);
	add_int(o, "height", p->at.height);
	if (p->crop.width)
		json_object_object_add(o, "crop", rect_json(&p->crop));
	add_transform(o, p->transform);
	bn_json_add_number(o, "alpha", p->alpha * 100.0 / BN_ALPHA_OPAQUE);
	bn_json_add_bool(o, "blend", p->blend);
	add_int(o, "z", p->z);
	bn_json_add_text(o, "role", p->role == BN_ROLE_SAFETY ? "safety" : "normal");
	bn_json_add_bool(o, "hidden", p->hidden);
	for (unsigned i = 0; i < l->num_openings; i++) {
		if (l->openings[i].width)
			json_object_array_add(openings, rect_json(&l->openings[i]));
	}
	json_object_object_add(o, "openings", openings);
}

static void add_shown(struct json_object *o, const struct bn_layer *layer)
{
	static const char *const how[] = {"no", "plane", "composed"};
	struct bn_layer_shown shown;
	bn_layer_shown(layer, &shown);
	bn_json_add_text(o, "shown", how[shown.how]);
	bn_json_add_uint(o, "plane", shown.plane_id);
	bn_json_add_text(o, "why", shown.why);
}

/* What its guest shows, as it lies on the output; nothing when it shows nothing. */
static void add_picture(
	struct json_object *o, const struct bn_scene_layer *l, const struct bn_layer *layer)
{
	const struct bn_frame *frame = bn_layer_current(layer);
	if (!frame->buffer)
		return;
	const struct bn_rect at = bn_place_rect(&l->place, frame->src_width, frame->src_height);
	json_object_object_add(o, "at", rect_json(&at));
	add_int(o, "screen_width", frame->src_width);
	add_int(o, "screen_height", frame->src_height);
}

static struct json_object *layer_json(const struct bn_stage *stage, size_t i)
{
	const struct bn_scene_layer *l = &bn_stage_scene(stage)->layers[i];
	struct json_object *o = json_object_new_object();
	bn_json_add_text(o, "name", l->name);
	bn_json_add_text(o, "output", l->output);
	bn_json_add_text(o, "vm", l->vm);
	bn_json_add_uint(o, "scanout", l->scanout);
	add_place(o, l);
	add_shown(o, bn_stage_layer(stage, i));
	add_picture(o, l, bn_stage_layer(stage, i));
	return o;
}

/* The lowest layer of the display that lies above *i (of all, when *i is none's number). */
static bool next_above(const struct bn_stage *stage, const struct bn_display *d, size_t *i)
{
	const size_t n = bn_stage_scene(stage)->num_layers;
	size_t best = n;
	for (size_t k = 0; k < n; k++) {
		if (bn_stage_display(stage, k) == d && (*i >= n || bn_stage_above(stage, k, *i)) &&
			k != *i && (best == n || bn_stage_above(stage, best, k)))
			best = k;
	}
	*i = best;
	return best < n;
}

/* Of one display, lowest first. */
void bn_control_add_layers(
	struct json_object *layers, const struct bn_stage *stage, const struct bn_display *display)
{
	size_t i = BN_SCENE_LAYERS_MAX;
	while (next_above(stage, display, &i))
		json_object_array_add(layers, layer_json(stage, i));
}

static struct json_object *show(struct bn_service *service)
{
	struct json_object *answer = bn_control_success();
	struct json_object *layers = json_object_new_array();
	for (size_t i = 0; i < service->displays.count; i++)
		bn_control_add_layers(layers, service->stage, &service->displays.display[i]);
	json_object_object_add(answer, "layers", layers);
	return answer;
}

/* ---- faults ---- */

static void add_fault(struct json_object *faults, int line, const char *layer, const char *text)
{
	struct json_object *o = json_object_new_object();
	add_int(o, "line", line);
	bn_json_add_text(o, "layer", layer);
	bn_json_add_text(o, "text", text);
	json_object_array_add(faults, o);
}

void bn_control_report_fault(
	void *data, const struct bn_scene_layer *layer, const char *fault)
{
	add_fault(data, layer->line, layer->name, fault);
}

/* An answer with all faults, of which the first is the error; takes them over. */
struct json_object *bn_control_faults(struct json_object *faults)
{
	struct json_object *text = NULL, *answer;
	json_object_object_get_ex(json_object_array_get_idx(faults, 0), "text", &text);
	answer = bn_control_failure("%s; nothing is changed",
		text ? json_object_get_string(text) : "it is not possible");
	json_object_object_add(answer, "faults", faults);
	return answer;
}

/* ---- changing ---- */

/* One for all requests: it is too large for the stack. */
static struct bn_scene next;

static struct json_object *take_over(struct bn_service *service, const char *what)
{
	struct json_object *faults = json_object_new_array();
	int ret = bn_stage_set(service->stage, &next, bn_control_report_fault, faults);
	if (ret == -EINVAL)
		return bn_control_faults(faults);
	json_object_put(faults);
	if (ret == -ENOSPC)
		return bn_control_failure("an output has no room for so many layers at once; "
					  "fewer are expected; nothing is changed");
	if (ret < 0)
		return bn_control_failure("%s; nothing is changed", strerror(-ret));
	bn_events_add(service->context.events, BN_EVENTS_NO_VM, BN_EVENT_CHANGED, "scene: %s", what);
	return bn_control_success();
}

static struct json_object *no_layer(const char *name)
{
	char names[320] = "";
	size_t len = 0;
	for (size_t i = 0; i < next.num_layers && len < sizeof(names); i++)
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", i ? ", " : "",
			next.layers[i].name);
	return bn_control_failure("there is no layer '%.64s'; layers are: %s", name,
		names[0] ? names : "none");
}

static struct json_object *read_keys(struct bn_scene_layer *l, struct json_object *set)
{
	if (!set)
		return NULL;
	if (!json_object_is_type(set, json_type_object))
		return bn_control_failure("\"set\" takes an object of keys and values");
	json_object_object_foreach(set, key, value)
	{
		const char *text = json_object_get_string(value), *expected = NULL;
		if (!bn_settings_layer_key(l, key, text ? text : "", &expected))
			return bn_control_failure(
				"layer %s: %.32s=%.64s: %s is expected; nothing is changed",
				l->name, key, text ? text : "", expected ? expected : "another value");
	}
	return NULL;
}

static bool name_valid(const char *name)
{
	size_t len = strspn(
		name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
	return len >= 1 && len < BN_OUTPUT_NAME_MAX && name[len] == '\0';
}

static struct json_object *add_layer(const char *name, struct json_object *set)
{
	struct bn_scene_layer *l = &next.layers[next.num_layers];
	if (!name_valid(name))
		return bn_control_failure(
			"'%.64s' is no layer's name; 1 to 31 characters a-z A-Z 0-9 - _ . are "
			"expected",
			name);
	if (bn_scene_find(&next, name))
		return bn_control_failure("there is a layer %s already; another name, or set "
					  "instead of add, is expected",
			name);
	if (next.num_layers == BN_SCENE_LAYERS_MAX)
		return bn_control_failure(
			"there are %d layers; at most that many are expected", BN_SCENE_LAYERS_MAX);
	*l = (struct bn_scene_layer){.place = bn_place_default};
	strcpy(l->name, name);
	next.num_layers++;
	return read_keys(l, set);
}

/* NULL or the error. */
static struct json_object *change(struct json_object *request)
{
	const char *what = bn_control_text(request, "do"), *name = bn_control_text(request, "layer");
	struct json_object *set = NULL;
	struct bn_scene_layer *l = name ? bn_scene_find(&next, name) : NULL;
	json_object_object_get_ex(request, "set", &set);
	if (!what || !name)
		return bn_control_failure("a change has \"do\" and \"layer\"");
	if (strcmp(what, "add") == 0)
		return add_layer(name, set);
	if (strcmp(what, "set") != 0 && strcmp(what, "remove") != 0)
		return bn_control_failure("\"do\" takes set, add or remove");
	if (!l)
		return no_layer(name);
	if (strcmp(what, "set") == 0)
		return read_keys(l, set);
	next.num_layers--;
	memmove(l, l + 1, (size_t)(next.layers + next.num_layers - l) * sizeof(*l));
	return NULL;
}

static struct json_object *do_changes(struct bn_service *service, struct json_object *changes)
{
	char what[160] = "";
	size_t len = 0;
	if (!json_object_is_type(changes, json_type_array) || json_object_array_length(changes) == 0)
		return bn_control_failure("\"changes\" takes a list of changes");
	next = *bn_stage_scene(service->stage);
	/* Its lines are of a file that is not asked about. */
	for (size_t i = 0; i < next.num_layers; i++)
		next.layers[i].line = 0;
	for (size_t i = 0; i < json_object_array_length(changes); i++) {
		struct json_object *c = json_object_array_get_idx(changes, i), *error = change(c);
		if (error)
			return error;
		if (len < sizeof(what))
			len += (size_t)snprintf(what + len, sizeof(what) - len, "%s%s %s",
				i ? ", " : "", bn_control_text(c, "do"), bn_control_text(c, "layer"));
	}
	return take_over(service, what);
}

static struct json_object *load(struct bn_service *service, const char *text)
{
	struct bn_config_errors errors = {0};
	int ret = bn_settings_scene_text(service->settings, &next, text, strlen(text), &errors);
	if (ret == 0) {
		bn_config_errors_finish(&errors);
		return take_over(service, "loaded");
	}
	struct json_object *faults = json_object_new_array();
	for (size_t i = 0; i < errors.count; i++)
		add_fault(faults, errors.list[i].line, "", errors.list[i].text);
	bn_config_errors_finish(&errors);
	return bn_control_faults(faults);
}

struct json_object *bn_control_scene(
	struct bn_control_client *client, struct json_object *request, int *fd)
{
	struct bn_service *service = client->control->service;
	struct json_object *changes = NULL, *reset = NULL;
	const char *text = bn_control_text(request, "load");
	if (json_object_object_get_ex(request, "changes", &changes))
		return do_changes(service, changes);
	if (text)
		return load(service, text);
	if (!json_object_object_get_ex(request, "reset", &reset))
		return show(service);
	if (!json_object_get_boolean(reset))
		return bn_control_failure("\"reset\" takes true");
	next = service->settings->scene;
	return take_over(service, "as in the configuration");
}
