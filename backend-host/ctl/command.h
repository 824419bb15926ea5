/* The commands of binnaclectl, in groups of a file each. A command gets its words (argv[0] is its
 * own name), has been given no option that it does not know, and returns the exit status: 0, 1
 * (failed, refused), 2 (wrong usage). */
#ifndef BN_CTL_COMMAND_H
#define BN_CTL_COMMAND_H

#include <stdbool.h>

struct json_object;

/* Which of them a command takes. */
enum {
	BN_OPTION_JSON = 1,
	BN_OPTION_ONCE = 2,
	BN_OPTION_INTERVAL = 4,
	BN_OPTION_SECONDS = 8,
	BN_OPTION_LAST = 16,
	BN_OPTION_FOLLOW = 32,
	BN_OPTION_ASCII = 64,
	BN_OPTION_LAYER = 128,
};

struct bn_ctl_options {
	char socket[256];
	unsigned given; /* BN_OPTION_… */
	double interval, seconds;
};

/* Says so, and returns 2. */
int bn_ctl_bad_usage(void);
/* Asks, taking the request over. 0 with the answer; 1 with or without one, the reason is printed.
 * The caller's to put. */
int bn_ctl_request(
	const struct bn_ctl_options *o, struct json_object *request, struct json_object **answer);
/* The same where nobody wants the answer. */
int bn_ctl_order(const struct bn_ctl_options *o, struct json_object *request);
/* Prints the answer as JSON. 0 or 1. */
int bn_ctl_print_json(struct json_object *answer);

/* cmd_service.c */
int bn_cmd_status(const struct bn_ctl_options *o, int argc, char **argv);
int bn_cmd_quit(const struct bn_ctl_options *o, int argc, char **argv);
/* cmd_output.c */
int bn_cmd_screenshot(const struct bn_ctl_options *o, int argc, char **argv);
int bn_cmd_output(const struct bn_ctl_options *o, int argc, char **argv);
int bn_cmd_outputs(const struct bn_ctl_options *o, int argc, char **argv);
int bn_cmd_planes(const struct bn_ctl_options *o, int argc, char **argv);
/* cmd_scene.c */
int bn_cmd_scene(const struct bn_ctl_options *o, int argc, char **argv);
/* cmd_scheduler.c */
int bn_cmd_admit(const struct bn_ctl_options *o, int argc, char **argv);
int bn_cmd_vm(const struct bn_ctl_options *o, int argc, char **argv);
/* cmd_monitor.c */
int bn_cmd_metrics(const struct bn_ctl_options *o, int argc, char **argv);
int bn_cmd_trace(const struct bn_ctl_options *o, int argc, char **argv);
int bn_cmd_events(const struct bn_ctl_options *o, int argc, char **argv);
int bn_cmd_reset(const struct bn_ctl_options *o, int argc, char **argv);
/* cmd_watchdog.c */
int bn_cmd_watchdog(const struct bn_ctl_options *o, int argc, char **argv);
/* cmd_top.c */
int bn_cmd_top(const struct bn_ctl_options *o, int argc, char **argv);

#endif
