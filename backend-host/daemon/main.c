/* binnacled: the host service. It owns what must survive a guest: the vhost-user connection of
 * each VM, the displays, the control socket. Guest memory and guest commands are for the
 * renderers, one sandboxed process per VM, which it starts, watches and replaces. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "probe.h"
#include "sandbox/sandbox.h"
#include "service.h"

#ifndef BN_CONFIG_PATH
#define BN_CONFIG_PATH "/etc/binnacle/binnacle.ini"
#endif

static const char usage[] =
	"usage: binnacled [-c FILE] [OPTION…]\n"
	"Shares one GPU and its displays between virtual machines.\n"
	"\n"
	"  -c, --config FILE    the configuration (default " BN_CONFIG_PATH ")\n"
	"      --check-config   only check the configuration\n"
	"      --probe          print what this host offers to guests, and why not more\n"
	"      --json           with --probe: as JSON\n"
	"      --log LEVEL      error, warn, info or debug (default: the file's, else info)\n"
	"      --renderer PATH  the renderer program (default: $BINNACLE_RENDERER, the build\n"
	"                       tree's, or the installed one)\n"
	"      --no-sandbox     run renderers unconfined: for debugging only\n"
	"  -h, --help           print this\n"
	"      --version        print the version\n";

struct options {
	const char *config, *renderer, *log;
	bool check, probe, json, no_sandbox;
};

enum { OPT_CHECK = 256, OPT_PROBE, OPT_JSON, OPT_LOG, OPT_RENDERER, OPT_NO_SANDBOX, OPT_VERSION };

static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"check-config", no_argument, NULL, OPT_CHECK},
	{"probe", no_argument, NULL, OPT_PROBE},
	{"json", no_argument, NULL, OPT_JSON},
	{"log", required_argument, NULL, OPT_LOG},
	{"renderer", required_argument, NULL, OPT_RENDERER},
	{"no-sandbox", no_argument, NULL, OPT_NO_SANDBOX},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPT_VERSION},
	{0},
};

/* Returns -1 to go on, or the exit status. */
static int take_option(struct options *o, int option)
{
	switch (option) {
	case 'c':
		o->config = optarg;
		return -1;
	case OPT_CHECK:
		o->check = true;
		return -1;
	case OPT_PROBE:
		o->probe = true;
		return -1;
	case OPT_JSON:
		o->json = true;
		return -1;
	case OPT_LOG:
		o->log = optarg;
		return -1;
	case OPT_RENDERER:
		o->renderer = optarg;
		return -1;
	case OPT_NO_SANDBOX:
		o->no_sandbox = true;
		return -1;
	case 'h':
		fputs(usage, stdout);
		return 0;
	case OPT_VERSION:
		puts("binnacled " BN_VERSION);
		return 0;
	default:
		fputs("Try 'binnacled --help'.\n", stderr);
		return 2;
	}
}

static int parse_options(struct options *o, int argc, char **argv)
{
	int option;
	while ((option = getopt_long(argc, argv, "c:h", long_options, NULL)) >= 0) {
		int status = take_option(o, option);
		if (status >= 0)
			return status;
	}
	enum bn_log_level level;
	if (optind < argc)
		fprintf(stderr, "binnacled: '%s' is not expected\n", argv[optind]);
	else if (o->log && !bn_log_level_parse(o->log, &level))
		fprintf(stderr, "binnacled: --log takes error, warn, info or debug\n");
	else if (o->json && !o->probe)
		fprintf(stderr, "binnacled: --json goes with --probe\n");
	else
		return -1;
	return 2;
}

/* In a build tree this program is …/daemon/binnacled and its renderer
 * …/renderer/binnacle-renderer. */
static bool find_beside(char out[PATH_MAX])
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n <= 0)
		return false;
	self[n] = '\0';
	char *slash = strrchr(self, '/');
	if (!slash)
		return false;
	*slash = '\0';
	return snprintf(out, PATH_MAX, "%s/../renderer/binnacle-renderer", self) < PATH_MAX &&
	       access(out, X_OK) == 0;
}

static const char *find_renderer(const struct options *o, char buffer[PATH_MAX])
{
	const char *path = o->renderer;
	if (!path || !path[0])
		path = getenv("BINNACLE_RENDERER");
	if (!path || !path[0])
		path = find_beside(buffer) ? buffer : BN_LIBEXECDIR "/binnacle-renderer";
	if (access(path, X_OK) < 0) {
		bn_error("the renderer %s: %s; name it with --renderer", path, strerror(errno));
		return NULL;
	}
	return path;
}

static int read_settings(struct bn_settings *settings, const char *path)
{
	struct bn_config_errors errors = {0};
	int ret = bn_settings_read(settings, path, &errors);
	for (size_t i = 0; i < errors.count; i++) {
		if (errors.list[i].line > 0)
			fprintf(stderr, "%s:%d: %s\n", path, errors.list[i].line,
				errors.list[i].text);
		else
			fprintf(stderr, "%s: %s\n", path, errors.list[i].text);
	}
	bn_config_errors_finish(&errors);
	return ret;
}

static const char *level_name(enum bn_log_level level)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	return names[level];
}

static int serve(const struct bn_settings *settings, const struct bn_renderer_program *program)
{
	static struct bn_service service;
	if (!program->sandbox)
		bn_warn("--no-sandbox: renderers run UNCONFINED; a hostile guest may take over "
			"this "
			"user's account");
	int ret = bn_service_init(&service, settings, program);
	if (ret == 0)
		bn_service_run(&service);
	bn_service_finish(&service);
	return ret == 0 ? 0 : 1;
}

static int find_and_serve(const struct options *o, const struct bn_settings *settings)
{
	char buffer[PATH_MAX];
	/* As it is now: what the compositor sets for itself is not for renderers. */
	char **env = bn_sandbox_env();
	const struct bn_renderer_program program = {
		.path = find_renderer(o, buffer),
		.log_level = level_name(settings->log),
		.env = env,
		.sandbox = !o->no_sandbox,
	};
	int status = program.path && env ? serve(settings, &program) : 1;
	free(env);
	return status;
}

int main(int argc, char **argv)
{
	static struct bn_settings settings;
	struct options o = {.config = BN_CONFIG_PATH};
	char buffer[PATH_MAX];
	int status = parse_options(&o, argc, argv);
	if (status >= 0)
		return status;
	enum bn_log_level level = BN_LOG_INFO;
	if (o.log)
		bn_log_level_parse(o.log, &level);
	bn_log_init(level, "binnacled");
	if (o.probe) {
		const char *renderer = find_renderer(&o, buffer);
		return renderer ? bn_probe(renderer, o.json) : 1;
	}
	if (read_settings(&settings, o.config) < 0)
		return 1;
	if (o.check) {
		printf("%s: ok (%zu VMs, %zu outputs)\n", o.config, settings.num_vms,
			settings.num_outputs);
		return 0;
	}
	if (o.log)
		settings.log = level;
	bn_log_init(settings.log, "binnacled");
	return find_and_serve(&o, &settings);
}
