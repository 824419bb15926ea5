/* Displays over the control socket: how they do, what is on their planes, what they show. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "common/config.h"
#include "control_priv.h"
#include "json_add.h"
#include "scene.h"
#include "service.h"
#include "status.h"

/* ---- names ---- */

static void list_names(const struct bn_service *service, char *names, size_t size)
{
	size_t len = 0;
	names[0] = '\0';
	for (size_t i = 0; i < service->displays.count && len < size; i++)
		len += (size_t)snprintf(names + len, size - len, "%s%s", i ? ", " : "",
			bn_display_name(&service->displays.display[i]));
	if (!names[0])
		snprintf(names, size, "none");
}

static struct bn_display *display_of(
	struct bn_service *service, struct json_object *request, struct json_object **error)
{
	const char *name = bn_control_text(request, "output");
	struct bn_display *d = name ? bn_displays_find(&service->displays, name) : NULL;
	char names[256];
	if (d)
		return d;
	list_names(service, names, sizeof(names));
	*error = bn_control_failure(
		"there is no output '%.64s'; outputs are: %s", name ? name : "", names);
	return NULL;
}

/* ---- pictures ---- */

static struct json_object *picture(
	int ret, uint32_t *pixels, uint32_t width, uint32_t height, const char *what, int *fd)
{
	struct json_object *answer;
	if (ret == -ENOENT)
		return bn_control_failure("%s shows nothing", what);
	if (ret == -ENOTSUP)
		return bn_control_failure("%s shows GPU memory that a CPU cannot read", what);
	if (ret == -EAGAIN)
		return bn_control_failure(
			"what %s shows is not known at this moment; try again", what);
	if (ret == 0) {
		*fd = bn_control_memfd("binnacle-screenshot", pixels, (size_t)width * height * 4);
		ret = *fd < 0 ? *fd : 0;
	}
	if (ret < 0)
		return bn_control_failure("%s: %s", what, strerror(-ret));
	answer = bn_control_success();
	bn_json_add_uint(answer, "width", width);
	bn_json_add_uint(answer, "height", height);
	bn_json_add_uint(answer, "stride", (uint64_t)width * 4);
	bn_json_add_text(answer, "format", "XR24");
	return answer;
}

static struct json_object *picture_of_output(struct bn_display *d, int *fd)
{
	uint32_t *pixels = NULL, width = 0, height = 0;
	char what[64];
	int ret = bn_output_capture(d->output, &pixels, &width, &height);
	snprintf(what, sizeof(what), "output %s", bn_display_name(d));
	struct json_object *answer = picture(ret, pixels, width, height, what, fd);
	free(pixels);
	return answer;
}

/* What the watchdog would see of it: from as near to the display as can be. */
static struct json_object *picture_of_scanout(struct bn_display *d, int *fd)
{
	static const char *const sources[] = {"layer", "composed", "writeback"};
	const struct bn_output_config *config = bn_output_config(d->output);
	const struct bn_rect all = {0, 0, config->width, config->height};
	struct bn_read_info info = {0};
	char what[96];
	uint32_t *pixels = calloc((size_t)all.width * all.height, sizeof(*pixels));
	int ret = pixels ? bn_output_read(d->output, &all, pixels, &info) : -ENOMEM;
	snprintf(what, sizeof(what), "output %s", bn_display_name(d));
	struct json_object *answer = picture(ret, pixels, all.width, all.height, what, fd);
	if (ret == 0 && *fd >= 0) {
		bn_json_add_text(answer, "source", sources[info.source]);
		bn_json_add_uint(answer, "shown_ns", info.when_ns);
	}
	free(pixels);
	return answer;
}

static struct json_object *picture_of_layer(struct bn_layer *layer, const char *name, int *fd)
{
	uint32_t *pixels = NULL, width = 0, height = 0;
	char what[64];
	int ret = bn_layer_capture(layer, &pixels, &width, &height);
	snprintf(what, sizeof(what), "layer %s", name);
	struct json_object *answer = picture(ret, pixels, width, height, what, fd);
	free(pixels);
	return answer;
}

/* "name" is an output's, or else a layer's. */
struct json_object *bn_control_screenshot(
	struct bn_control_client *client, struct json_object *request, int *fd)
{
	struct bn_service *service = client->control->service;
	const char *layer = bn_control_text(request, "layer");
	const char *name = bn_control_text(request, "name");
	struct json_object *error = NULL, *scanout = NULL;
	struct bn_display *d;
	size_t i;
	if (!layer && !name) {
		d = display_of(service, request, &error);
		if (!d)
			return error;
		json_object_object_get_ex(request, "scanout", &scanout);
		return json_object_get_boolean(scanout) ? picture_of_scanout(d, fd)
							: picture_of_output(d, fd);
	}
	d = name ? bn_displays_find(&service->displays, name) : NULL;
	if (d)
		return picture_of_output(d, fd);
	if (!layer)
		layer = name;
	if (bn_stage_find(service->stage, layer, &i))
		return picture_of_layer(bn_stage_layer(service->stage, i), layer, fd);
	if (!name)
		return bn_control_failure(
			"there is no layer '%.64s'; binnaclectl scene lists them", layer);
	char names[256];
	list_names(service, names, sizeof(names));
	return bn_control_failure("there is no output or layer '%.64s'; outputs are: %s; binnaclectl "
				  "scene lists the layers",
		name, names);
}

/* ---- how they do ---- */

struct json_object *bn_control_outputs(
	struct bn_control_client *client, struct json_object *request, int *fd)
{
	struct bn_service *service = client->control->service;
	struct json_object *answer = bn_control_success();
	struct json_object *outputs = json_object_new_array();
	for (size_t i = 0; i < service->displays.count; i++)
		json_object_array_add(
			outputs, bn_status_output_json(service, &service->displays.display[i]));
	json_object_object_add(answer, "outputs", outputs);
	return answer;
}

static struct json_object *planes_json(struct bn_service *service, const struct bn_display *d)
{
	struct bn_plane_status planes[BN_OUTPUT_PLANES_MAX];
	unsigned n = bn_output_planes(d->output, planes, BN_OUTPUT_PLANES_MAX);
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();
	struct json_object *layers = json_object_new_array();
	bn_json_add_text(o, "name", bn_display_name(d));
	bn_json_add_text(o, "kind", bn_status_output_kind(d));
	for (unsigned i = 0; i < n; i++) {
		struct json_object *p = json_object_new_object();
		bn_json_add_uint(p, "id", planes[i].id);
		bn_json_add_text(p, "type", planes[i].type);
		bn_json_add_text(p, "layer", planes[i].layer);
		json_object_array_add(list, p);
	}
	json_object_object_add(o, "planes", list);
	bn_control_add_layers(layers, service->stage, d);
	json_object_object_add(o, "layers", layers);
	return o;
}

struct json_object *bn_control_planes(
	struct bn_control_client *client, struct json_object *request, int *fd)
{
	struct bn_service *service = client->control->service;
	struct json_object *answer, *outputs = json_object_new_array(), *error = NULL;
	const struct bn_display *only = NULL;
	if (json_object_object_get_ex(request, "output", NULL)) {
		only = display_of(service, request, &error);
		if (!only) {
			json_object_put(outputs);
			return error;
		}
	}
	answer = bn_control_success();
	for (size_t i = 0; i < service->displays.count; i++) {
		if (!only || only == &service->displays.display[i])
			json_object_array_add(
				outputs, planes_json(service, &service->displays.display[i]));
	}
	json_object_object_add(answer, "outputs", outputs);
	return answer;
}

/* ---- changing one ---- */

static struct json_object *set_mode(
	struct bn_control *control, struct bn_display *d, const char *mode)
{
	struct bn_stage *stage = control->service->stage;
	unsigned width, height, refresh = bn_output_config(d->output)->refresh_mhz;
	if (!bn_config_mode(mode, &width, &height, &refresh))
		return bn_control_failure(
			"'%.64s' is no mode; WIDTHxHEIGHT[@HZ] is expected", mode);
	struct json_object *faults = json_object_new_array();
	if (bn_stage_check_mode(stage, d, width, height, bn_control_report_fault, faults) > 0)
		return bn_control_faults(faults);
	json_object_put(faults);
	int ret = bn_display_set_mode(d, width, height, refresh);
	if (ret < 0)
		return bn_control_failure("output %s cannot take %.64s: %s", bn_display_name(d),
			mode, strerror(-ret));
	return NULL;
}

struct json_object *bn_control_output(
	struct bn_control_client *client, struct json_object *request, int *fd)
{
	struct json_object *answer = NULL, *enabled = NULL;
	struct bn_display *d = display_of(client->control->service, request, &answer);
	if (!d)
		return answer;
	const char *mode = bn_control_text(request, "mode");
	bool has_enabled = json_object_object_get_ex(request, "enabled", &enabled);
	if (!mode && !has_enabled)
		return bn_control_failure("\"mode\" or \"enabled\" is expected");
	if (has_enabled && !json_object_is_type(enabled, json_type_boolean))
		return bn_control_failure("\"enabled\" takes true or false");
	if (mode)
		answer = set_mode(client->control, d, mode);
	if (answer)
		return answer;
	if (has_enabled)
		bn_display_set_enabled(d, json_object_get_boolean(enabled));
	return bn_control_success();
}
