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

static struct json_object *do_status(
	struct bn_control_client *client, struct json_object *request, int *fd)
{
	struct json_object *answer = bn_status_json(client->control->service);
	json_object_object_add(answer, "ok", json_object_new_boolean(true));
	return answer;
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
	{"outputs", bn_control_outputs},
	{"planes", bn_control_planes},
	{"scene", bn_control_scene},
	{"screenshot", bn_control_screenshot},
	{"output", bn_control_output},
	{"quit", do_quit},
	{"reset", do_reset},
	{"admit", bn_control_admit},
	{"vm", bn_control_change},
	{"metrics", bn_control_metrics},
	{"trace", bn_control_record},
	{"events", bn_control_events},
	{"watchdog", bn_control_watchdog},
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
