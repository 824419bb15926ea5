/* The service as a whole. */
#include <stdio.h>

#include <json-c/json.h>

#include "command.h"
#include "json.h"
#include "table.h"

int bn_cmd_status(const struct bn_ctl_options *o, int argc, char **argv)
{
	struct json_object *answer;
	int ret = bn_ctl_request(o, bn_json_request("status"), &answer);
	if (ret == 0 && o->given & BN_OPTION_JSON) {
		ret = bn_ctl_print_json(answer);
	} else if (ret == 0) {
		bn_ctl_print_status(stdout, answer);
		ret = fflush(stdout) == 0 ? 0 : 1;
	}
	json_object_put(answer);
	return ret;
}

int bn_cmd_quit(const struct bn_ctl_options *o, int argc, char **argv)
{
	return bn_ctl_order(o, bn_json_request("quit"));
}
