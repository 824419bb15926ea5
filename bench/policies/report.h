/* The results of bench/run policies as a table, as JSON and as a picture. */
#ifndef BN_BENCH_POLICIES_REPORT_H
#define BN_BENCH_POLICIES_REPORT_H

#include <stdio.h>

#include "model.h"

struct report_options {
	uint64_t frames, rival_frames, seed;
	unsigned threads;
	const char *only, *json, *plot, *markdown; /* NULL: not wanted */
};

struct report {
	unsigned policies;
	struct psim_result *cells;       /* by scenario, then by policy */
	struct psim_result isolation[8]; /* by number of neighbours */
	double seconds, cpu_seconds;
};

struct psim_result *report_cell(const struct report *r, unsigned scenario, unsigned policy);
void report_print(FILE *out, const struct report *r, const struct report_options *o);
void report_json(FILE *out, const struct report *r, const struct report_options *o);
/* An overview, and a table for each scenario. */
void report_markdown(FILE *out, const struct report *r, const struct report_options *o);
/* Response times in one of the scenarios that were run, as SVG. */
void report_plot(FILE *out, const struct report *r, const struct report_options *o);
/* Nothing that Binnacle had promised was broken. */
bool report_kept(const struct report *r);
/* GPU time of the VM with half a GPU beside n neighbours, as a part of half of what it has alone. */
double report_isolation(const struct report *r, unsigned n);

#endif
