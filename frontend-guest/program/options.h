/* SPDX-License-Identifier: MIT */
/*
 * The command line of a guest program: long options only, described by a table. Each row says how
 * its value is read and where it goes.
 */
#ifndef BN_GUEST_OPTIONS_H
#define BN_GUEST_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

/* The most rows of a table. */
#define BN_OPTIONS_MAX 24

struct bn_option {
	const char *name; /* without the two dashes */
	/* Stores what text says; false: that is no value of this option. One of those below, or the
	 * program's own. */
	bool (*read)(const struct bn_option *option, const char *text);
	void *value;     /* the program's, of the type that read writes */
	double min, max; /* limits of a number, and of each side of a size */
};

/* bool: true when the option is there. It takes no value: text is NULL. */
bool bn_option_flag(const struct bn_option *option, const char *text);
/* const char *: the argument itself. */
bool bn_option_text(const struct bn_option *option, const char *text);
/* int: a whole number from min to max, which int holds. */
bool bn_option_number(const struct bn_option *option, const char *text);
/* double: from min to max. */
bool bn_option_real(const struct bn_option *option, const char *text);
/* int[2]: WIDTHxHEIGHT, each from min to max. */
bool bn_option_size(const struct bn_option *option, const char *text);

/*
 * Reads the command line by a table that ends with a row without a name. Returns -1 when the
 * program is to go on, else the exit status for it: 0 after --help, 2 after a mistake (getopt
 * names an unknown option). usage was printed then, on stdout or stderr.
 */
int bn_options_read(int argc, char **argv, const struct bn_option *table, void (*usage)(FILE *out));

#endif
