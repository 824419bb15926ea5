/* bench/run policies: every policy in every scenario, on all processors; a table, and JSON.
 *
 *	policies [--frames N] [--rival-frames N] [--seed N] [--threads N]
 *	         [--only SCENARIO] [--json FILE] [--plot FILE] [--markdown FILE]
 *
 * frames: of the cluster under Binnacle, over all scenarios; rival-frames: of each rival in each. */
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

/* Binnacle's frames in a scenario are that many runs from different seeds. */
#define PARTS 8u
#define NEIGHBOURS_MAX 7u

struct job {
	const struct psim_scenario *scenario;
	const struct psim_policy *policy;
	uint64_t frames, seed;
	struct psim_result *into;
};

static struct {
	struct job *jobs;
	size_t count, next;
	pthread_mutex_t lock;
	bool failed;
} work = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct psim_scenario isolation[NEIGHBOURS_MAX + 1];

static bool take(struct job *job)
{
	bool any;

	pthread_mutex_lock(&work.lock);
	any = work.next < work.count;
	if (any)
		*job = work.jobs[work.next++];
	pthread_mutex_unlock(&work.lock);
	return any;
}

static void *worker(void *data)
{
	struct psim_result *result = malloc(sizeof(*result));
	struct job job;

	while (take(&job)) {
		int error =
			result ? psim_run(job.scenario, job.policy, job.frames, job.seed, result)
			       : -1;

		pthread_mutex_lock(&work.lock);
		if (error < 0)
			work.failed = true;
		else
			psim_merge(job.into, result);
		pthread_mutex_unlock(&work.lock);
	}
	free(result);
	return NULL;
}

static int run_all(unsigned threads)
{
	pthread_t thread[64];
	unsigned started = 0;

	while (started < threads && started < 64 &&
		pthread_create(&thread[started], NULL, worker, NULL) == 0)
		started++;
	if (started == 0)
		worker(NULL);
	while (started > 0)
		pthread_join(thread[--started], NULL);
	return work.failed ? -1 : 0;
}

/* ---- what is to be run ---- */

static void add(const struct psim_scenario *s, const struct psim_policy *policy, uint64_t frames,
	unsigned parts, uint64_t seed, struct psim_result *into)
{
	for (unsigned i = 0; i < parts; i++)
		work.jobs[work.count++] =
			(struct job){s, policy, frames / parts + 1, seed * 1000003u + i, into};
}

static void plan(struct report *r, const struct report_options *o)
{
	unsigned chosen = 0;

	for (unsigned s = 0; s < psim_scenario_count; s++)
		chosen += !o->only || strcmp(o->only, psim_scenarios[s].name) == 0;
	for (unsigned s = 0; s < psim_scenario_count; s++) {
		if (o->only && strcmp(o->only, psim_scenarios[s].name) != 0)
			continue;
		for (unsigned p = 0; p < r->policies; p++)
			add(&psim_scenarios[s], psim_policies[p],
				p == 0 ? o->frames / chosen : o->rival_frames, p == 0 ? PARTS : 1,
				o->seed + s, report_cell(r, s, p));
	}
	for (unsigned n = 0; n <= NEIGHBOURS_MAX && !o->only; n++) {
		psim_isolation(&isolation[n], n);
		add(&isolation[n], psim_policies[0], 500, 1, o->seed, &r->isolation[n]);
	}
}

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int make(struct report *r, const struct report_options *o)
{
	double from, cpu_from;
	int error;

	while (psim_policies[r->policies])
		r->policies++;
	r->cells = calloc((size_t)psim_scenario_count * r->policies, sizeof(*r->cells));
	work.jobs = calloc(psim_scenario_count * (PARTS + r->policies) + NEIGHBOURS_MAX + 1,
		sizeof(*work.jobs));
	if (!r->cells || !work.jobs)
		return -1;
	plan(r, o);
	from = seconds(CLOCK_MONOTONIC);
	cpu_from = seconds(CLOCK_PROCESS_CPUTIME_ID);
	error = run_all(o->threads);
	r->seconds = seconds(CLOCK_MONOTONIC) - from;
	r->cpu_seconds = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_from;
	return error;
}

static int write_file(const char *path, const struct report *r, const struct report_options *o,
	void (*write)(FILE *, const struct report *, const struct report_options *))
{
	FILE *file = fopen(path, "w");

	if (!file) {
		perror(path);
		return -1;
	}
	write(file, r, o);
	if (ferror(file) | fclose(file)) {
		perror(path);
		return -1;
	}
	return 0;
}

static void usage(void)
{
	fputs("usage: policies [--frames N] [--rival-frames N] [--seed N] [--threads N]\n"
	      "                [--only SCENARIO] [--json FILE] [--plot FILE]\n"
	      "                [--markdown FILE]\n",
		stderr);
	exit(2);
}

static uint64_t number(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (*end || !(value >= 1 && value <= 1e12))
		usage();
	return (uint64_t)value;
}

static void parse(struct report_options *o, int argc, char **argv)
{
	static const struct option options[] = {{"frames", required_argument, NULL, 'f'},
		{"rival-frames", required_argument, NULL, 'r'},
		{"seed", required_argument, NULL, 's'}, {"threads", required_argument, NULL, 't'},
		{"only", required_argument, NULL, 'o'}, {"json", required_argument, NULL, 'j'},
		{"plot", required_argument, NULL, 'p'}, {"markdown", required_argument, NULL, 'm'},
		{NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'f')
			o->frames = number(optarg);
		else if (c == 'r')
			o->rival_frames = number(optarg);
		else if (c == 's')
			o->seed = number(optarg);
		else if (c == 't')
			o->threads = (unsigned)number(optarg);
		else if (c == 'o')
			o->only = optarg;
		else if (c == 'j')
			o->json = optarg;
		else if (c == 'p')
			o->plot = optarg;
		else if (c == 'm')
			o->markdown = optarg;
		else
			usage();
	}
	if (optind < argc || (o->only && !psim_scenario_find(o->only)))
		usage();
}

int main(int argc, char **argv)
{
	struct report_options o = {.frames = 200000,
		.rival_frames = 10000,
		.seed = 20261121,
		.threads = (unsigned)sysconf(_SC_NPROCESSORS_ONLN)};
	struct report r = {0};
	int error;

	parse(&o, argc, argv);
	error = make(&r, &o);
	if (error < 0)
		fputs("policies: out of memory\n", stderr);
	else
		report_print(stdout, &r, &o);
	if (error == 0 && o.json)
		error = write_file(o.json, &r, &o, report_json);
	if (error == 0 && o.plot)
		error = write_file(o.plot, &r, &o, report_plot);
	if (error == 0 && o.markdown)
		error = write_file(o.markdown, &r, &o, report_markdown);
	if (error == 0 && !report_kept(&r))
		error = 1;
	free(r.cells);
	free(work.jobs);
	return error ? 1 : 0;
}
