/* SPDX-License-Identifier: MIT */
/*
 * binnacle-hostile: a guest that means harm to its neighbours on the GPU, by one means or by each
 * in turn. It needs no rights in its guest that any program with a GPU does not have.
 */
#include <stdio.h>
#include <string.h>

#include "hostile.h"
#include "options.h"
#include "program.h"

struct options {
	int mode; /* -1: each in turn */
	int turn, strength, seconds;
};

static void report(const struct bn_hostile_mode *mode, unsigned long strikes, double seconds)
{
	printf("HOSTILE %s: %.1f a second\n", mode->name, (double)strikes / seconds);
	fflush(stdout);
}

/* One mode for its turn. */
static void attack(
	struct bn_hostile *h, const struct bn_hostile_mode *mode, const struct options *options)
{
	double start = bn_seconds(), t = start, end = start + options->turn;
	unsigned long strikes = 0;

	while (!bn_stopped && t < end) {
		mode->strike(h);
		h->number++;
		strikes++;
		t = bn_seconds();
	}
	report(mode, strikes, t - start);
	bn_load_restore(&h->load);
}

static int run(const struct options *options)
{
	struct bn_hostile h;
	int err = bn_hostile_init(&h, options->strength);
	double start = bn_seconds();

	if (err)
		return err;
	for (int turn = 0; !bn_stopped; turn++) {
		int mode = options->mode >= 0 ? options->mode : turn % bn_hostile_mode_count;

		attack(&h, &bn_hostile_modes[mode], options);
		if (options->seconds && bn_seconds() - start >= options->seconds)
			break;
	}
	if (h.failures)
		printf("HOSTILE refused %lu times\n", h.failures);
	bn_hostile_finish(&h);
	return 0;
}

/* ---- command line ---- */

static void usage(FILE *out)
{
	fprintf(out, "usage: binnacle-hostile [OPTION…]\n"
		     "  --mode NAME|all   what to do (default all, each in turn):\n");
	for (int i = 0; i < bn_hostile_mode_count; i++)
		fprintf(out, "      %-9s %s\n", bn_hostile_modes[i].name, bn_hostile_modes[i].what);
	fprintf(out, "  --turn SECONDS    length of a turn (default 5)\n"
		     "  --strength N      1–100, size of each blow (default 20)\n"
		     "  --seconds N       ends after N seconds\n");
}

static bool read_mode(const struct bn_option *option, const char *text)
{
	int *mode = option->value;

	*mode = -1;
	if (strcmp(text, "all") == 0)
		return true;
	for (int i = 0; i < bn_hostile_mode_count; i++) {
		if (strcmp(text, bn_hostile_modes[i].name) == 0)
			*mode = i;
	}
	return *mode >= 0;
}

int main(int argc, char **argv)
{
	static struct options options = {.mode = -1, .turn = 5, .strength = 20};
	static const struct bn_option table[] = {
		{"mode", read_mode, &options.mode},
		{"turn", bn_option_number, &options.turn, 1, 100000},
		{"strength", bn_option_number, &options.strength, 1, 100},
		{"seconds", bn_option_number, &options.seconds, 1, 1000000},
		{0},
	};
	int status = bn_options_read(argc, argv, table, usage);

	if (status >= 0)
		return status;
	bn_stop_by_signal();
	return run(&options) ? 1 : 0;
}
