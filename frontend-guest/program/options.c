/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

#include "options.h"

/* What getopt says of an option of the table: its row and this, which is no character. */
#define ROW 0x100

bool bn_option_flag(const struct bn_option *option, const char *text)
{
	*(bool *)option->value = true;
	return true;
}

bool bn_option_text(const struct bn_option *option, const char *text)
{
	*(const char **)option->value = text;
	return true;
}

bool bn_option_number(const struct bn_option *option, const char *text)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || *end || n < (long)option->min || n > (long)option->max)
		return false;
	*(int *)option->value = (int)n;
	return true;
}

bool bn_option_real(const struct bn_option *option, const char *text)
{
	char *end;
	double x = strtod(text, &end);

	if (end == text || *end || !(x >= option->min && x <= option->max))
		return false;
	*(double *)option->value = x;
	return true;
}

bool bn_option_size(const struct bn_option *option, const char *text)
{
	int *side = option->value, width, height;
	char rest;

	if (sscanf(text, "%dx%d%c", &width, &height, &rest) != 2 || width < option->min ||
		width > option->max || height < option->min || height > option->max)
		return false;
	side[0] = width;
	side[1] = height;
	return true;
}

int bn_options_read(int argc, char **argv, const struct bn_option *table, void (*usage)(FILE *out))
{
	struct option longs[BN_OPTIONS_MAX + 2] = {{"help", no_argument, NULL, 'h'}};
	bool good = true;
	int c;

	for (int i = 0; table[i].name; i++) {
		assert(i < BN_OPTIONS_MAX);
		longs[i + 1] = (struct option){.name = table[i].name,
			.has_arg =
				table[i].read == bn_option_flag ? no_argument : required_argument,
			.val = ROW + i};
	}
	while (good && (c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 'h') {
			usage(stdout);
			return 0;
		}
		good = c >= ROW && table[c - ROW].read(&table[c - ROW], optarg);
	}
	if (good && optind == argc)
		return -1;
	usage(stderr);
	return 2;
}
