/* The results as Markdown: an overview for the documentation, and every figure. */
#include <string.h>

#include "report.h"

#define MS_OF(ns) ((double)(ns) / 1e6)

static double percent(uint64_t a, uint64_t b)
{
	return b ? 100 * (double)a / (double)b : 0;
}

static bool was_run(const struct report *r, unsigned scenario)
{
	return report_cell(r, scenario, 0)->events > 0;
}

static void put_missed(FILE *out, const struct psim_frames *f)
{
	if (f->missed == 0)
		fputs(" 0 |", out);
	else
		fprintf(out, " %.*f |", percent(f->missed, f->due) < 0.1 ? 4 : 2,
			percent(f->missed, f->due));
}

/* Missed refreshes: a line for each scenario, a column for each policy. */
static void overview(FILE *out, const struct report *r)
{
	fputs("Missed refreshes of the safety VMs in %:\n\n| scenario |", out);
	for (unsigned p = 0; p < r->policies; p++)
		fprintf(out, " %s |", psim_policies[p]->name);
	fputs("\n|---|", out);
	for (unsigned p = 0; p < r->policies; p++)
		fputs("---:|", out);
	for (unsigned s = 0; s < psim_scenario_count; s++) {
		if (!was_run(r, s))
			continue;
		fprintf(out, "\n| **%s**: %s |", psim_scenarios[s].name, psim_scenarios[s].what);
		for (unsigned p = 0; p < r->policies; p++) {
			struct psim_frames f;

			psim_safety(&psim_scenarios[s], report_cell(r, s, p), &f);
			put_missed(out, &f);
		}
	}
	fputs("\n\n", out);
}

static void put_response(FILE *out, const struct psim_frames *f)
{
	fprintf(out, " %.2f | %.2f | %.2f |", MS_OF(bn_histogram_quantile(&f->response, 0.5)),
		MS_OF(bn_histogram_quantile(&f->response, 0.999)), MS_OF(f->response.max_ns));
}

static bool has_shares(const struct psim_scenario *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < psim_guests(s); i++)
		n += s->guests[i].kind == PSIM_SATURATES;
	return n > 1;
}

static void put_others(FILE *out, const struct psim_scenario *s, const struct psim_result *c)
{
	fprintf(out, " %.1f | %.1f |", 100 * psim_others(s, c), percent(c->slack_used, c->slack));
	if (has_shares(s))
		fprintf(out, " %.2f |", 100 * c->share_error_max);
	else
		fputs(" – |", out);
}

/* What is promised, and what came of it. */
static void promises(FILE *out, const struct report *r)
{
	fputs("Binnacle against its own bound, times in ms:\n\n"
	      "| scenario | frames | bound R | beyond R | p50 | p99.9 | longest | others % | "
	      "slack used % | share error % |\n"
	      "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
		out);
	for (unsigned s = 0; s < psim_scenario_count; s++) {
		const struct psim_result *c = report_cell(r, s, 0);
		struct psim_frames f;

		if (!was_run(r, s))
			continue;
		psim_safety(&psim_scenarios[s], c, &f);
		fprintf(out, "| %s | %llu |", psim_scenarios[s].name, (unsigned long long)f.frames);
		if (f.promised)
			fprintf(out, " %.2f | %llu |", MS_OF(f.bound),
				(unsigned long long)f.beyond);
		else
			fputs(" none | – |", out);
		put_response(out, &f);
		put_others(out, &psim_scenarios[s], c);
		fputc('\n', out);
	}
	fputc('\n', out);
}

static void every_figure(FILE *out, const struct report *r, unsigned s)
{
	fprintf(out,
		"\n## %s\n\n%c%s.\n\n"
		"| policy | missed %% | longest run | beyond R | p50 | p99.9 | longest | std-dev | "
		"others %% | slack used %% | share error %% | frames |\n"
		"|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
		psim_scenarios[s].name,
		psim_scenarios[s].what[0] >= 'a' && psim_scenarios[s].what[0] <= 'z'
			? psim_scenarios[s].what[0] - 'a' + 'A'
			: psim_scenarios[s].what[0],
		psim_scenarios[s].what + 1);
	for (unsigned p = 0; p < r->policies; p++) {
		const struct psim_result *c = report_cell(r, s, p);
		struct psim_frames f;

		psim_safety(&psim_scenarios[s], c, &f);
		fprintf(out, "| %s |", psim_policies[p]->name);
		put_missed(out, &f);
		fprintf(out, " %llu | %llu |", (unsigned long long)f.longest_run,
			(unsigned long long)f.beyond);
		put_response(out, &f);
		fprintf(out, " %.2f |", psim_response_deviation(&f) / 1e6);
		put_others(out, &psim_scenarios[s], c);
		fprintf(out, " %llu |\n", (unsigned long long)f.frames);
	}
}

static void isolation(FILE *out, const struct report *r)
{
	if (r->isolation[0].events == 0)
		return;
	fputs("Isolation: of half of what it has alone, a VM with half of the GPU reserved keeps, "
	      "beside one to seven neighbours,",
		out);
	for (unsigned n = 1; n < 8; n++)
		fprintf(out, "%s %.1f", n > 1 ? "," : "", 100 * report_isolation(r, n));
	fputs(" %. What is beyond 100 is its share of what nobody has reserved.\n", out);
}

void report_markdown(FILE *out, const struct report *r, const struct report_options *o)
{
	fprintf(out,
		"# Sharing a simulated GPU\n\n"
		"Made by `bench/run policies` (%.0f s, seed %llu): the policy library and seven "
		"other ways to share a GPU, in\n"
		"simulated time. Batches are not interrupted but in `giant-cpu`; safety VMs run at "
		"60 Hz. Everyone's streams are cut\n"
		"to batches as Binnacle cuts them, which is a gift to the others; in `uncut` only "
		"Binnacle's are.\n\n",
		r->seconds, (unsigned long long)o->seed);
	overview(out, r);
	promises(out, r);
	isolation(out, r);
	fputs("\nTimes are in ms, from the first batch queued to the GPU's end of the frame. "
	      "*Slack "
	      "used*: of the time that no safety\n"
	      "frame needed, while others had work. *Share error*: the largest of any VM in any "
	      "second that always has work; with\n"
	      "liars, what an honest VM lacked.\n",
		out);
	for (unsigned s = 0; s < psim_scenario_count; s++)
		if (was_run(r, s))
			every_figure(out, r, s);
}
