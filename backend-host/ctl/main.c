/* binnaclectl: looks into a running binnacled and tells it things, over its control socket. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "client.h"
#include "common/fd.h"
#include "picture.h"
#include "table.h"

static const char usage[] =
	"usage: binnaclectl [--socket PATH] COMMAND\n"
	"\n"
	"  status [--json]                  what VMs and displays do\n"
	"  screenshot OUTPUT FILE.png       what a display shows now\n"
	"  output OUTPUT mode WxH[@HZ]      changes a display's mode\n"
	"  output OUTPUT on|off             plugs a display in or out, as guests see it\n"
	"  quit                             stops the service\n"
	"\n"
	"  --socket PATH   the control socket (default: $XDG_RUNTIME_DIR/binnacle/control,\n"
	"                  else /run/binnacle/control)\n"
	"  --help          print this\n"
	"  --version       print the version\n";

struct options {
	char socket[256];
	bool json;
};

static struct json_object *new_request(const char *command)
{
	struct json_object *request = json_object_new_object();
	json_object_object_add(request, "command", json_object_new_string(command));
	return request;
}

static void add_text(struct json_object *request, const char *key, const char *value)
{
	json_object_object_add(request, key, json_object_new_string(value));
}

/* Asks; takes the request over. The answer, and the fd that came along when fd is not NULL. */
static struct json_object *ask(const struct options *o, struct json_object *request, int *fd)
{
	int unwanted = -1;
	struct json_object *answer = bn_ctl_ask(o->socket, request, fd ? fd : &unwanted);
	json_object_put(request);
	bn_fd_close(&unwanted);
	return answer;
}

static int ask_only(const struct options *o, struct json_object *request)
{
	struct json_object *answer = ask(o, request, NULL);
	json_object_put(answer);
	return answer ? 0 : 1;
}

static int do_status(const struct options *o, int argc, char **argv)
{
	struct json_object *answer = ask(o, new_request("status"), NULL);
	if (!answer)
		return 1;
	if (o->json)
		puts(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PRETTY));
	else
		bn_ctl_print_status(stdout, answer);
	json_object_put(answer);
	return fflush(stdout) == 0 ? 0 : 1;
}

static uint32_t number(struct json_object *answer, const char *key)
{
	struct json_object *value;
	int64_t n =
		json_object_object_get_ex(answer, key, &value) ? json_object_get_int64(value) : 0;
	return n > 0 && n <= UINT32_MAX ? (uint32_t)n : 0;
}

static int do_screenshot(const struct options *o, int argc, char **argv)
{
	struct bn_ctl_picture picture = {.fd = -1};
	struct json_object *request = new_request("screenshot");
	add_text(request, "output", argv[1]);
	struct json_object *answer = ask(o, request, &picture.fd);
	if (!answer)
		return 1;
	picture.width = number(answer, "width");
	picture.height = number(answer, "height");
	picture.stride = number(answer, "stride");
	int ret = bn_ctl_write_png(argv[2], &picture);
	bn_fd_close(&picture.fd);
	json_object_put(answer);
	return ret == 0 ? 0 : 1;
}

static int bad_usage(void)
{
	fputs("Try 'binnaclectl --help'.\n", stderr);
	return 2;
}

static int do_output(const struct options *o, int argc, char **argv)
{
	struct json_object *request = new_request("output");
	add_text(request, "output", argv[1]);
	if (argc == 4 && strcmp(argv[2], "mode") == 0) {
		add_text(request, "mode", argv[3]);
	} else if (argc == 3 && (strcmp(argv[2], "on") == 0 || strcmp(argv[2], "off") == 0)) {
		json_object_object_add(
			request, "enabled", json_object_new_boolean(strcmp(argv[2], "on") == 0));
	} else {
		json_object_put(request);
		return bad_usage();
	}
	return ask_only(o, request);
}

static int do_quit(const struct options *o, int argc, char **argv)
{
	return ask_only(o, new_request("quit"));
}

static const struct {
	const char *name;
	int argc_min, argc_max; /* with the name */
	int (*run)(const struct options *o, int argc, char **argv);
} commands[] = {
	{"status", 1, 1, do_status},
	{"screenshot", 3, 3, do_screenshot},
	{"output", 3, 4, do_output},
	{"quit", 1, 1, do_quit},
};

static int run_command(const struct options *o, int argc, char **argv)
{
	for (size_t i = 0; argc > 0 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[0], commands[i].name) != 0)
			continue;
		if (argc < commands[i].argc_min || argc > commands[i].argc_max)
			return bad_usage();
		return commands[i].run(o, argc, argv);
	}
	if (argc > 0)
		fprintf(stderr, "binnaclectl: '%s' is no command\n", argv[0]);
	return bad_usage();
}

enum { OPT_SOCKET = 256, OPT_JSON, OPT_VERSION };

static const struct option long_options[] = {
	{"socket", required_argument, NULL, OPT_SOCKET},
	{"json", no_argument, NULL, OPT_JSON},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPT_VERSION},
	{0},
};

int main(int argc, char **argv)
{
	struct options o = {0};
	int option;
	bn_ctl_default_socket(o.socket, sizeof(o.socket));
	while ((option = getopt_long(argc, argv, "h", long_options, NULL)) >= 0) {
		switch (option) {
		case OPT_SOCKET:
			snprintf(o.socket, sizeof(o.socket), "%s", optarg);
			break;
		case OPT_JSON:
			o.json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case OPT_VERSION:
			puts("binnaclectl " BN_VERSION);
			return 0;
		default:
			return bad_usage();
		}
	}
	return run_command(&o, argc - optind, argv + optind);
}
