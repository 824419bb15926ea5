/* Displays. */
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "client.h"
#include "command.h"
#include "common/fd.h"
#include "json.h"
#include "picture.h"
#include "scene_table.h"

static uint32_t side(struct json_object *answer, const char *key)
{
	uint64_t n = bn_json_count(answer, key);
	return n <= UINT32_MAX ? (uint32_t)n : 0;
}

int bn_cmd_screenshot(const struct bn_ctl_options *o, int argc, char **argv)
{
	struct bn_ctl_picture picture = {.fd = -1};
	struct json_object *answer, *request = bn_json_request("screenshot");
	char path[128];
	snprintf(path, sizeof(path), "%.100s.png", argv[1]);
	bn_json_add_text(request, o->given & BN_OPTION_LAYER ? "layer" : "name", argv[1]);
	int ret = bn_ctl_ask(o->socket, request, &answer, &picture.fd);
	json_object_put(request);
	if (ret == 0) {
		picture.width = side(answer, "width");
		picture.height = side(answer, "height");
		picture.stride = side(answer, "stride");
		ret = bn_ctl_write_png(argc > 2 ? argv[2] : path, &picture);
	}
	bn_fd_close(&picture.fd);
	json_object_put(answer);
	return ret == 0 ? 0 : 1;
}

/* Asks, taking the request over, and prints the answer. */
static int look(const struct bn_ctl_options *o, struct json_object *request,
	void (*print)(FILE *out, struct json_object *answer))
{
	struct json_object *answer;
	int ret = bn_ctl_request(o, request, &answer);
	if (ret == 0 && o->given & BN_OPTION_JSON) {
		ret = bn_ctl_print_json(answer);
	} else if (ret == 0) {
		print(stdout, answer);
		ret = fflush(stdout) == 0 ? 0 : 1;
	}
	json_object_put(answer);
	return ret;
}

int bn_cmd_outputs(const struct bn_ctl_options *o, int argc, char **argv)
{
	return look(o, bn_json_request("outputs"), bn_ctl_print_outputs);
}

int bn_cmd_planes(const struct bn_ctl_options *o, int argc, char **argv)
{
	struct json_object *request = bn_json_request("planes");
	if (argc > 1)
		bn_json_add_text(request, "output", argv[1]);
	return look(o, request, bn_ctl_print_planes);
}

int bn_cmd_output(const struct bn_ctl_options *o, int argc, char **argv)
{
	struct json_object *request = bn_json_request("output");
	bn_json_add_text(request, "output", argv[1]);
	if (argc == 4 && strcmp(argv[2], "mode") == 0) {
		bn_json_add_text(request, "mode", argv[3]);
	} else if (argc == 3 && (strcmp(argv[2], "on") == 0 || strcmp(argv[2], "off") == 0)) {
		json_object_object_add(
			request, "enabled", json_object_new_boolean(strcmp(argv[2], "on") == 0));
	} else {
		json_object_put(request);
		return bn_ctl_bad_usage();
	}
	return bn_ctl_order(o, request);
}
