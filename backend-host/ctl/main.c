/* binnaclectl: looks into a running binnacled and tells it things, over its control socket. */
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "command.h"

static const char usage[] =
	"usage: binnaclectl [--socket PATH] COMMAND\n"
	"\n"
	"  top [--interval S] [--once] [--ascii]\n"
	"                                   VMs as they go: frame times, budgets, misses\n"
	"  status [--json]                  what VMs and displays do\n"
	"  admit [--json] [VM KEY=VALUE...] whether all guarantees hold, with these changes\n"
	"  vm VM set KEY=VALUE...           changes a VM's class, budget, share, ...\n"
	"  vm VM pardon                     takes a VM out of quarantine\n"
	"  events [--follow] [--json]       faults, quarantines and changes\n"
	"  metrics                          all figures, for Prometheus\n"
	"  trace [--seconds N] [--last] FILE\n"
	"                                   records (--last: what was) for ui.perfetto.dev\n"
	"  reset [VM]                       lets histograms and misses begin anew\n"
	"  watchdog [--json]                safety content: what is watched, and how it does\n"
	"  watchdog WATCH reset             counters begin anew\n"
	"  outputs [--json]                 displays: modes, planes, refreshes, latency\n"
	"  planes [--json] [OUTPUT]         which layer is on which plane, or why on none\n"
	"  screenshot [--layer] OUTPUT|LAYER [FILE.png]\n"
	"                                   what a display, or a layer, shows now\n"
	"  scene [--json]                   layers: what is shown where, and how\n"
	"  scene set|add LAYER KEY=VALUE... changes or adds layers, all or none of it:\n"
	"  scene remove LAYER...            join several with +\n"
	"  scene load FILE                  shows the [layer NAME] sections of FILE instead\n"
	"  scene reset                      shows what the configuration says\n"
	"  output OUTPUT mode WxH[@HZ]      changes a display's mode\n"
	"  output OUTPUT on|off             plugs a display in or out, as guests see it\n"
	"  quit                             stops the service\n"
	"\n"
	"  --socket PATH   the control socket (default: $XDG_RUNTIME_DIR/binnacle/control,\n"
	"                  else /run/binnacle/control)\n"
	"  --help          print this\n"
	"  --version       print the version\n";

static const struct {
	const char *name;
	int argc_min, argc_max; /* with the name */
	unsigned options;       /* that it takes */
	int (*run)(const struct bn_ctl_options *o, int argc, char **argv);
} commands[] = {
	{"top", 1, 1, BN_OPTION_INTERVAL | BN_OPTION_ONCE | BN_OPTION_ASCII, bn_cmd_top},
	{"status", 1, 1, BN_OPTION_JSON, bn_cmd_status},
	{"admit", 1, 64, BN_OPTION_JSON, bn_cmd_admit},
	{"vm", 3, 64, BN_OPTION_JSON, bn_cmd_vm},
	{"events", 1, 1, BN_OPTION_FOLLOW | BN_OPTION_JSON, bn_cmd_events},
	{"metrics", 1, 1, 0, bn_cmd_metrics},
	{"trace", 2, 2, BN_OPTION_SECONDS | BN_OPTION_LAST, bn_cmd_trace},
	{"reset", 1, 2, 0, bn_cmd_reset},
	{"watchdog", 1, 3, BN_OPTION_JSON, bn_cmd_watchdog},
	{"outputs", 1, 1, BN_OPTION_JSON, bn_cmd_outputs},
	{"planes", 1, 2, BN_OPTION_JSON, bn_cmd_planes},
	{"scene", 1, 4096, BN_OPTION_JSON, bn_cmd_scene},
	{"screenshot", 2, 3, BN_OPTION_LAYER, bn_cmd_screenshot},
	{"output", 3, 4, 0, bn_cmd_output},
	{"quit", 1, 1, 0, bn_cmd_quit},
};

enum { OPT_SOCKET = 256, OPT_VERSION, OPT_FLAG };

/* An option of commands is its bit behind OPT_FLAG. */
static const struct option long_options[] = {
	{"socket", required_argument, NULL, OPT_SOCKET},
	{"json", no_argument, NULL, OPT_FLAG + BN_OPTION_JSON},
	{"once", no_argument, NULL, OPT_FLAG + BN_OPTION_ONCE},
	{"interval", required_argument, NULL, OPT_FLAG + BN_OPTION_INTERVAL},
	{"seconds", required_argument, NULL, OPT_FLAG + BN_OPTION_SECONDS},
	{"last", no_argument, NULL, OPT_FLAG + BN_OPTION_LAST},
	{"follow", no_argument, NULL, OPT_FLAG + BN_OPTION_FOLLOW},
	{"ascii", no_argument, NULL, OPT_FLAG + BN_OPTION_ASCII},
	{"layer", no_argument, NULL, OPT_FLAG + BN_OPTION_LAYER},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPT_VERSION},
	{0},
};

static const char *option_name(unsigned bits)
{
	for (size_t i = 0; long_options[i].name; i++) {
		int bit = long_options[i].val - OPT_FLAG;
		if (bit > 0 && bits & (unsigned)bit)
			return long_options[i].name;
	}
	return "";
}

static int run_command(const struct bn_ctl_options *o, int argc, char **argv)
{
	for (size_t i = 0; argc > 0 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		unsigned strange = o->given & ~commands[i].options;
		if (strcmp(argv[0], commands[i].name) != 0)
			continue;
		if (strange)
			fprintf(stderr, "binnaclectl: %s takes no --%s\n", argv[0],
				option_name(strange));
		if (strange || argc < commands[i].argc_min || argc > commands[i].argc_max)
			return bn_ctl_bad_usage();
		return commands[i].run(o, argc, argv);
	}
	if (argc > 0)
		fprintf(stderr, "binnaclectl: '%s' is no command\n", argv[0]);
	return bn_ctl_bad_usage();
}

/* A number of seconds within the limits; says so when it is none. */
static bool seconds_of(const char *name, const char *text, double least, double most, double *out)
{
	char *end;
	*out = strtod(text, &end);
	if (end != text && !*end && *out >= least && *out <= most)
		return true;
	fprintf(stderr, "binnaclectl: --%s takes %g to %g seconds, not '%s'\n", name, least, most,
		text);
	return false;
}

static bool take_flag(struct bn_ctl_options *o, unsigned flag)
{
	o->given |= flag;
	if (flag == BN_OPTION_INTERVAL)
		return seconds_of("interval", optarg, 0.1, 3600, &o->interval);
	if (flag == BN_OPTION_SECONDS)
		return seconds_of("seconds", optarg, 0.1, 600, &o->seconds);
	return true;
}

int main(int argc, char **argv)
{
	struct bn_ctl_options o = {.interval = 1, .seconds = 10};
	int option;
	setlocale(LC_CTYPE, "");
	bn_ctl_default_socket(o.socket, sizeof(o.socket));
	while ((option = getopt_long(argc, argv, "h", long_options, NULL)) >= 0) {
		switch (option) {
		case OPT_SOCKET:
			snprintf(o.socket, sizeof(o.socket), "%s", optarg);
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case OPT_VERSION:
			puts("binnaclectl " BN_VERSION);
			return 0;
		default:
			if (option < OPT_FLAG || !take_flag(&o, (unsigned)(option - OPT_FLAG)))
				return bn_ctl_bad_usage();
		}
	}
	return run_command(&o, argc - optind, argv + optind);
}
