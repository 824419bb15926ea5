#include "command.h"

#include <stdio.h>

#include <json-c/json.h>

#include "client.h"

int bn_ctl_bad_usage(void)
{
	fputs("Try 'binnaclectl --help'.\n", stderr);
	return 2;
}

int bn_ctl_request(
	const struct bn_ctl_options *o, struct json_object *request, struct json_object **answer)
{
	int ret = bn_ctl_ask(o->socket, request, answer, NULL);
	json_object_put(request);
	return ret == 0 ? 0 : 1;
}

int bn_ctl_order(const struct bn_ctl_options *o, struct json_object *request)
{
	struct json_object *answer;
	int ret = bn_ctl_request(o, request, &answer);
	json_object_put(answer);
	return ret;
}

int bn_ctl_print_json(struct json_object *answer)
{
	puts(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PRETTY));
	return fflush(stdout) == 0 ? 0 : 1;
}
