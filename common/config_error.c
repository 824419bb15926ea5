#include "config_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

void bn_config_error_add(struct bn_config_errors *errors, int line, const char *fmt, ...)
{
	if (errors->count >= BN_CONFIG_MAX_ERRORS)
		return;
	struct bn_config_error *list = realloc(errors->list, (errors->count + 1) * sizeof(*list));
	if (!list) {
		bn_error("config: out of memory");
		return;
	}
	errors->list = list;
	struct bn_config_error *error = &list[errors->count++];
	error->line = line;
	va_list args;
	va_start(args, fmt);
	vsnprintf(error->text, sizeof(error->text), fmt, args);
	va_end(args);
	if (errors->count == BN_CONFIG_MAX_ERRORS)
		snprintf(error->text, sizeof(error->text),
			"too many mistakes; the others are not listed");
	for (char *c = error->text; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	}
}

void bn_config_errors_finish(struct bn_config_errors *errors)
{
	free(errors->list);
	*errors = (struct bn_config_errors){0};
}

/* Levenshtein distance, in one row of the usual table. */
unsigned bn_edit_distance(const char *a, const char *b)
{
	enum { MAX = 48 };
	size_t na = strlen(a), nb = strlen(b);
	if (na >= MAX || nb >= MAX)
		return BN_SUGGEST_DISTANCE + 1;
	unsigned row[MAX + 1];
	for (size_t j = 0; j <= nb; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= na; i++) {
		unsigned diagonal = row[0];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= nb; j++) {
			unsigned best = diagonal + (a[i - 1] != b[j - 1]);
			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[nb];
}
