/* What the control socket's commands do. */
#include "control_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "common/config.h"
#include "common/log.h"
#include "service.h"
#include "status.h"
#include "vm_monitor.h"

static struct bn_display *display_of(
	struct bn_service *service, struct json_object *request, struct json_object **error)
{
	const char *name = bn_control_text(request, "output");
	struct bn_display *d = name ? bn_displays_find(&service->displays, name) : NULL;
	char names[256] = "";
	size_t len = 0;
	if (d)
		return d;
	for (size_t i = 0; i < service->displays.count && len < sizeof(names); i++)
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", i ? ", " : "",
			bn_display_name(&service->displays.display[i]));
	*error = bn_control_failure("there is no output '%s'; outputs are: %s", name ? name : "",
		names[0] ? names : "none");
	return NULL;
}

static struct json_object *do_status(
	struct bn_control_client *client, struct json_object *request, int *fd)
{
	struct json_object *answer = bn_status_json(client->control->service);
	json_object_object_add(answer, "ok", json_object_new_boolean(true));
	return answer;
}

static struct json_object *do_screenshot(
	struct bn_control_client *client, struct json_object *request, int *fd)
{
	struct json_object *answer = NULL;
	const struct bn_display *d = display_of(client->control->service, request, &answer);
	if (!d)
		return answer;
	uint32_t *pixels = NULL, width, height;
	int ret = bn_output_capture(d->output, &pixels, &width, &height);
	if (ret == -ENOTSUP)
		return bn_control_failure(
			"output %s shows GPU memory that a CPU cannot read", bn_display_name(d));
	if (ret == -EAGAIN)
		return bn_control_failure(
			"a guest draws into what output %s shows; try again", bn_display_name(d));
	if (ret == 0) {
		*fd = bn_control_memfd("binnacle-screenshot", pixels, (size_t)width * height * 4);
		ret = *fd < 0 ? *fd : 0;
	}
	free(pixels);
	if (ret < 0)
		return bn_control_failure("%s", strerror(-ret));
	answer = bn_control_success();
	json_object_object_add(answer, "width", json_object_new_int64(width));
	json_object_object_add(answer, "height", json_object_new_int64(height));
	json_object_object_add(answer, "stride", json_object_new_int64((int64_t)width * 4));
	json_object_object_add(answer, "format", json_object_new_string("XR24"));
	return answer;
}

static struct json_object *do_output(
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
	if (mode) {
		unsigned width, height, refresh = bn_output_config(d->output)->refresh_mhz;
		if (!bn_config_mode(mode, &width, &height, &refresh))
			return bn_control_failure(
				"'%s' is no mode; WIDTHxHEIGHT[@HZ] is expected", mode);
		int ret = bn_display_set_mode(d, width, height, refresh);
		if (ret < 0)
			return bn_control_failure("output %s cannot take %s: %s",
				bn_display_name(d), mode, strerror(-ret));
		bn_control_follow_display(client->control, bn_display_name(d));
	}
	if (has_enabled)
		bn_display_set_enabled(d, json_object_get_boolean(enabled));
	return bn_control_success();
}

static struct json_object *do_quit(
	struct bn_control_client *client, struct json_object *request, int *fd)
{
	bn_info("stopping on request");
	client->control->service->quit = true;
	return bn_control_success();
}

static struct json_object *do_reset(
	struct bn_control_client *client, struct json_object *request, int *fd)
{
	struct bn_service *service = client->control->service;
	struct json_object *error = NULL;
	int vm = -1;
	if (json_object_object_get_ex(request, "vm", NULL)) {
		vm = bn_control_vm(client->control, request, &error);
		if (vm < 0)
			return error;
	}
	if (vm < 0)
		bn_arbiter_reset_figures(service->context.arbiter, BN_POLICY_VMS_MAX);
	for (size_t i = 0; i < service->num_vms; i++) {
		if (vm < 0 || (size_t)vm == i)
			bn_vm_reset_figures(service->vm[i]);
	}
	return bn_control_success();
}

static const struct {
	const char *name;
	struct json_object *(*run)(
		struct bn_control_client *client, struct json_object *request, int *fd);
} commands[] = {
	{"status", do_status},
	{"screenshot", do_screenshot},
	{"output", do_output},
	{"quit", do_quit},
	{"reset", do_reset},
	{"admit", bn_control_admit},
	{"vm", bn_control_change},
	{"metrics", bn_control_metrics},
	{"trace", bn_control_record},
	{"events", bn_control_events},
};
#define NUM_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static struct json_object *no_command(const char *name)
{
	char names[256] = "";
	size_t len = 0;
	for (size_t i = 0; i < NUM_COMMANDS && len < sizeof(names); i++)
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s",
			i == 0                  ? ""
			: i + 1 == NUM_COMMANDS ? " or "
						: ", ",
			commands[i].name);
	return bn_control_failure("'%s' is no command; %s is expected", name ? name : "", names);
}

struct json_object *bn_control_answer(struct bn_control_client *client, const char *text, int *fd)
{
	*fd = -1;
	struct json_object *request = json_tokener_parse(text);
	if (!json_object_is_type(request, json_type_object)) {
		json_object_put(request);
		return bn_control_failure("a JSON object is expected");
	}
	const char *command = bn_control_text(request, "command");
	struct json_object *answer = NULL;
	size_t i = 0;
	while (i < NUM_COMMANDS && (!command || strcmp(command, commands[i].name) != 0))
		i++;
	answer = i < NUM_COMMANDS ? commands[i].run(client, request, fd) : no_command(command);
	json_object_put(request);
	return answer;
}
