/* What VMs are promised: the admission test and changes at run time. */
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "command.h"
#include "json.h"
#include "text.h"

/* {"KEY": "VALUE", …} of words KEY=VALUE; NULL when one is no such word, which is then said. */
static struct json_object *settings_of(int argc, char **argv)
{
	struct json_object *set = json_object_new_object();
	for (int i = 0; i < argc; i++) {
		char key[64];
		const char *equals = strchr(argv[i], '=');
		size_t len = equals ? (size_t)(equals - argv[i]) : 0;
		if (len == 0 || len >= sizeof(key)) {
			fprintf(stderr, "binnaclectl: '%s': KEY=VALUE is expected\n", argv[i]);
			json_object_put(set);
			return NULL;
		}
		memcpy(key, argv[i], len);
		key[len] = '\0';
		bn_json_add_text(set, key, equals + 1);
	}
	return set;
}

/* The test in words, whatever became of it. */
static void print_test(FILE *out, struct json_object *answer)
{
	const char *text = bn_json_text(answer, "text");
	bn_text_print(out, text);
	if (text[0] && text[strlen(text) - 1] != '\n')
		fputc('\n', out);
}

/* A script may ask whether all is admitted: 1 when it is not. */
static int show_test(const struct bn_ctl_options *o, struct json_object *answer)
{
	struct json_object *admission = bn_json_member(answer, "admission");
	if (o->given & BN_OPTION_JSON) {
		if (bn_ctl_print_json(admission) != 0)
			return 1;
	} else {
		print_test(stdout, answer);
	}
	return fflush(stdout) == 0 && bn_json_bool(admission, "admitted") ? 0 : 1;
}

int bn_cmd_admit(const struct bn_ctl_options *o, int argc, char **argv)
{
	struct json_object *answer, *set, *request;
	if (argc == 2) {
		fprintf(stderr, "binnaclectl: what would be different about VM %s?\n", argv[1]);
		return bn_ctl_bad_usage();
	}
	request = bn_json_request("admit");
	if (argc > 2) {
		set = settings_of(argc - 2, argv + 2);
		if (!set) {
			json_object_put(request);
			return bn_ctl_bad_usage();
		}
		bn_json_add_text(request, "vm", argv[1]);
		json_object_object_add(request, "set", set);
	}
	int ret = bn_ctl_request(o, request, &answer);
	if (ret == 0)
		ret = show_test(o, answer);
	json_object_put(answer);
	return ret;
}

static int set_vm(const struct bn_ctl_options *o, struct json_object *request)
{
	struct json_object *answer;
	int ret = bn_ctl_request(o, request, &answer);
	/* Refused: the test shows why. Done: what the VM is promised now. */
	if (o->given & BN_OPTION_JSON && answer)
		bn_ctl_print_json(answer);
	else
		print_test(ret == 0 ? stdout : stderr, answer);
	json_object_put(answer);
	return ret == 0 && fflush(stdout) == 0 ? 0 : 1;
}

int bn_cmd_vm(const struct bn_ctl_options *o, int argc, char **argv)
{
	struct json_object *request = bn_json_request("vm"), *set;
	bn_json_add_text(request, "vm", argv[1]);
	if (argc == 3 && strcmp(argv[2], "pardon") == 0) {
		json_object_object_add(request, "pardon", json_object_new_boolean(true));
		return bn_ctl_order(o, request);
	}
	set = argc > 3 && strcmp(argv[2], "set") == 0 ? settings_of(argc - 3, argv + 3) : NULL;
	if (!set) {
		json_object_put(request);
		return bn_ctl_bad_usage();
	}
	json_object_object_add(request, "set", set);
	return set_vm(o, request);
}
