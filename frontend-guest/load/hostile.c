/* SPDX-License-Identifier: MIT */
/*
 * binnacle-hostile: a guest that means harm to its neighbours on the GPU, by one means or by each
 * in turn. It needs no rights in its guest that any program with a GPU does not have.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "hostile.h"

struct options {
	int mode; /* -1: each in turn */
	int turn, strength, seconds;
};

static volatile sig_atomic_t stopped;

static void handle_signal(int number)
{
	stopped = 1;
}

static void report(const struct bn_hostile_mode *mode, unsigned long strikes, double seconds)
{
	printf("HOSTILE %s: %.1f a second\n", mode->name, (double)strikes / seconds);
	fflush(stdout);
}

/* One mode for its turn. */
static void attack(
	struct bn_hostile *h, const struct bn_hostile_mode *mode, const struct options *options)
{
	double start = bn_load_now(), t = start, end = start + options->turn;
	unsigned long strikes = 0;

	while (!stopped && t < end) {
		mode->strike(h);
		h->number++;
		strikes++;
		t = bn_load_now();
	}
	report(mode, strikes, t - start);
	bn_load_restore(&h->load);
}

static int run(const struct options *options)
{
	struct bn_hostile h;
	int err = bn_hostile_init(&h, options->strength);
	double start = bn_load_now();

	if (err)
		return err;
	for (int turn = 0; !stopped; turn++) {
		int mode = options->mode >= 0 ? options->mode : turn % bn_hostile_mode_count;

		attack(&h, &bn_hostile_modes[mode], options);
		if (options->seconds && bn_load_now() - start >= options->seconds)
			break;
	}
	if (h.failures)
		printf("HOSTILE refused %lu times\n", h.failures);
	bn_hostile_finish(&h);
	return 0;
}

/* ---- command line ---- */

static int usage(FILE *out)
{
	fprintf(out, "usage: binnacle-hostile [OPTION…]\n"
		     "  --mode NAME|all   what to do (default all, each in turn):\n");
	for (int i = 0; i < bn_hostile_mode_count; i++)
		fprintf(out, "      %-9s %s\n", bn_hostile_modes[i].name, bn_hostile_modes[i].what);
	fprintf(out, "  --turn SECONDS    length of a turn (default 5)\n"
		     "  --strength N      1–100, size of each blow (default 20)\n"
		     "  --seconds N       ends after N seconds\n");
	return out == stdout ? 0 : 2;
}

static bool parse_mode(const char *text, int *mode)
{
	*mode = -1;
	if (strcmp(text, "all") == 0)
		return true;
	for (int i = 0; i < bn_hostile_mode_count; i++) {
		if (strcmp(text, bn_hostile_modes[i].name) == 0)
			*mode = i;
	}
	return *mode >= 0;
}

static bool set_option(struct options *o, int name, const char *value)
{
	switch (name) {
	case 'm':
		return parse_mode(value, &o->mode);
	case 't':
		return bn_load_number(value, 1, 100000, &o->turn);
	case 'x':
		return bn_load_number(value, 1, 100, &o->strength);
	case 's':
		return bn_load_number(value, 1, 1000000, &o->seconds);
	default:
		return false;
	}
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"mode", required_argument, NULL, 'm'},
		{"turn", required_argument, NULL, 't'},
		{"strength", required_argument, NULL, 'x'},
		{"seconds", required_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct options options = {.mode = -1, .turn = 5, .strength = 20};
	int c;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 'h')
			return usage(stdout);
		if (!set_option(&options, c, optarg))
			return usage(stderr);
	}
	if (optind != argc)
		return usage(stderr);
	signal(SIGINT, handle_signal);
	signal(SIGTERM, handle_signal);
	return run(&options) ? 1 : 0;
}
