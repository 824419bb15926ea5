#include "report.h"

#include <string.h>

#define MS_OF(ns) ((double)(ns) / 1e6)

struct psim_result *report_cell(const struct report *r, unsigned scenario, unsigned policy)
{
	return &r->cells[scenario * r->policies + policy];
}

static bool was_run(const struct report *r, unsigned scenario)
{
	return report_cell(r, scenario, 0)->events > 0;
}

static double part(uint64_t a, uint64_t b)
{
	return b ? (double)a / (double)b : 0;
}

double report_isolation(const struct report *r, unsigned n)
{
	double alone = part(r->isolation[0].gpu[0], r->isolation[0].elapsed) / 2;

	return alone > 0 ? part(r->isolation[n].gpu[0], r->isolation[n].elapsed) / alone : 0;
}

bool report_kept(const struct report *r)
{
	for (unsigned s = 0; s < psim_scenario_count; s++) {
		const struct psim_result *c = report_cell(r, s, 0);

		for (unsigned i = 0; i < PSIM_VMS; i++) {
			const struct psim_frames *f = &c->frames[i];

			if (f->promised && (f->missed > 0 || f->beyond > 0))
				return false;
		}
	}
	return true;
}

/* ---- the table ---- */

static void print_promise(FILE *out, const struct psim_scenario *s, const struct psim_result *r)
{
	for (unsigned i = 0; i < psim_guests(s); i++) {
		const struct psim_frames *f = &r->frames[i];

		if (s->guests[i].policy.vm_class != BN_CLASS_SAFETY || s->guests[i].faulty)
			continue;
		fprintf(out, "  %s: R %.2f ms + guest %.2f ms, D %.2f ms: %s\n", s->guests[i].name,
			MS_OF(f->bound), MS_OF(psim_guest_time(&s->guests[i])), MS_OF(f->deadline),
			f->promised        ? "admitted"
			: s->beyond_bounds ? "a batch may be longer than any bound"
					   : "not admitted");
	}
}

static void print_row(FILE *out, const struct report *r, unsigned s, unsigned p)
{
	const struct psim_result *c = report_cell(r, s, p);
	struct psim_frames f;

	psim_safety(&psim_scenarios[s], c, &f);
	fprintf(out, "  %-14s %9.4f %5llu %7llu  %6.2f %6.2f %6.2f %6.2f %7.2f  %6.2f %6.1f",
		psim_policies[p]->name, 100 * part(f.missed, f.due),
		(unsigned long long)f.longest_run, (unsigned long long)f.beyond,
		MS_OF(bn_histogram_quantile(&f.response, 0.5)),
		MS_OF(bn_histogram_quantile(&f.response, 0.99)),
		MS_OF(bn_histogram_quantile(&f.response, 0.999)), MS_OF(f.response.max_ns),
		psim_response_deviation(&f) / 1e6, psim_present_deviation(&f) / 1e6,
		100 * psim_others(&psim_scenarios[s], c));
	fprintf(out, " %6.1f %6.2f %8.1f %9llu\n", 100 * part(c->slack_used, c->slack),
		100 * c->share_error_max, f.frames ? (double)c->decisions / (double)f.frames : 0,
		(unsigned long long)f.frames);
}

static const char heading[] = "  %-14s %9s %5s %7s  %6s %6s %6s %6s %7s  %6s %6s %6s %6s %8s %9s\n";

static void print_scenario(FILE *out, const struct report *r, unsigned s)
{
	fprintf(out, "\n%s: %s\n", psim_scenarios[s].name, psim_scenarios[s].what);
	print_promise(out, &psim_scenarios[s], report_cell(r, s, 0));
	fprintf(out, heading, "", "missed %", "run", "> R", "p50", "p99", "p99.9", "max", "std",
		"shown", "others", "slack", "share", "decided", "frames");
	for (unsigned p = 0; p < r->policies; p++)
		print_row(out, r, s, p);
}

void report_print(FILE *out, const struct report *r, const struct report_options *o)
{
	uint64_t events = 0, frames = 0;

	fprintf(out,
		"Simulated GPU, batches are not interrupted; safety VMs at 60 Hz; times in ms.\n"
		"missed %%: refreshes without the frame that was due; run: the longest one; > R: "
		"frames beyond the\nadmission bound; p50 to std: response, from the first batch "
		"queued to the GPU's end of the frame;\nshown: std-dev of release to present; "
		"others: GPU time of all other VMs in %%; slack: of the time\nthat nobody had "
		"claimed, %% used; share: largest error of a VM's share in any second, %%\n"
		"(with liars: what an honest VM lacks); decided: decisions per frame\n");
	for (unsigned s = 0; s < psim_scenario_count; s++) {
		if (was_run(r, s))
			print_scenario(out, r, s);
		for (unsigned p = 0; p < r->policies; p++)
			events += report_cell(r, s, p)->events;
		for (unsigned i = 0; i < PSIM_VMS; i++)
			if (report_cell(r, s, 0)->frames[i].bound)
				frames += report_cell(r, s, 0)->frames[i].frames;
	}
	if (r->isolation[0].events) {
		fprintf(out, "\nisolation: a VM with 50 %% reserved, of half its solo rate, beside "
			     "1-7 neighbours:");
		for (unsigned n = 1; n < 8; n++)
			fprintf(out, " %.1f %%", 100 * report_isolation(r, n));
		fputc('\n', out);
	}
	fprintf(out,
		"\nBinnacle: %llu frames of safety VMs, %s; %.0f million events in %.1f s (%.2f "
		"µs of processor each), seed %llu\n",
		(unsigned long long)frames,
		report_kept(r) ? "every promise kept" : "A PROMISE WAS BROKEN",
		(double)events / 1e6, r->seconds,
		events ? r->cpu_seconds * 1e6 / (double)events : 0, (unsigned long long)o->seed);
}

/* ---- JSON ---- */

static void json_cell(FILE *out, const struct report *r, unsigned s, unsigned p)
{
	const struct psim_result *c = report_cell(r, s, p);
	struct psim_frames f;

	psim_safety(&psim_scenarios[s], c, &f);
	fprintf(out,
		"{\"policy\": \"%s\", \"frames\": %llu, \"refreshes\": %llu, \"missed\": %llu, "
		"\"longest_run\": %llu, \"beyond_bound\": %llu, ",
		psim_policies[p]->name, (unsigned long long)f.frames, (unsigned long long)f.due,
		(unsigned long long)f.missed, (unsigned long long)f.longest_run,
		(unsigned long long)f.beyond);
	fprintf(out,
		"\"response_ms\": {\"p50\": %.3f, \"p99\": %.3f, \"p999\": %.3f, \"max\": %.3f, "
		"\"std\": %.3f}, \"present_refreshes\": {\"p50\": %u, \"p99\": %u, \"p999\": %u}, "
		"\"present_std_ms\": %.3f, ",
		MS_OF(bn_histogram_quantile(&f.response, 0.5)),
		MS_OF(bn_histogram_quantile(&f.response, 0.99)),
		MS_OF(bn_histogram_quantile(&f.response, 0.999)), MS_OF(f.response.max_ns),
		psim_response_deviation(&f) / 1e6, psim_present_quantile(&f, 0.5),
		psim_present_quantile(&f, 0.99), psim_present_quantile(&f, 0.999),
		psim_present_deviation(&f) / 1e6);
	fprintf(out,
		"\"others_gpu\": %.5f, \"gpu_busy\": %.5f, \"slack_use\": %.5f, "
		"\"share_error_max\": %.5f, \"share_error_mean\": %.5f, \"decisions\": %llu, "
		"\"grants\": %llu, \"leases\": %llu, \"revokes\": %llu, \"guard_waits\": %llu, "
		"\"demotions\": %llu, \"trips\": %llu, \"simulated_s\": %.0f}",
		psim_others(&psim_scenarios[s], c), part(c->busy, c->elapsed),
		part(c->slack_used, c->slack), c->share_error_max,
		c->windows ? c->share_error_sum / (double)c->windows : 0,
		(unsigned long long)c->decisions, (unsigned long long)c->grants,
		(unsigned long long)c->leases, (unsigned long long)c->revokes,
		(unsigned long long)c->guard_waits, (unsigned long long)c->demotions,
		(unsigned long long)c->trips, (double)c->elapsed / 1e9);
}

static void json_scenario(FILE *out, const struct report *r, unsigned s)
{
	const struct psim_frames *f = &report_cell(r, s, 0)->frames[0];

	fprintf(out,
		"  {\"scenario\": \"%s\", \"what\": \"%s\", \"promised\": %s, \"bound_ms\": %.3f, "
		"\"deadline_ms\": %.3f, \"results\": [\n",
		psim_scenarios[s].name, psim_scenarios[s].what, f->promised ? "true" : "false",
		MS_OF(f->bound), MS_OF(f->deadline));
	for (unsigned p = 0; p < r->policies; p++) {
		fputs("    ", out);
		json_cell(out, r, s, p);
		fputs(p + 1 < r->policies ? ",\n" : "\n  ]}", out);
	}
}

void report_json(FILE *out, const struct report *r, const struct report_options *o)
{
	bool any = false;

	fprintf(out,
		"{\"benchmark\": \"policies\", \"simulated\": true, \"seed\": %llu, \"seconds\": "
		"%.1f, \"promises_kept\": %s, \"isolation\": [",
		(unsigned long long)o->seed, r->seconds, report_kept(r) ? "true" : "false");
	for (unsigned n = 1; n < 8; n++)
		fprintf(out, "%s%.4f", n > 1 ? ", " : "", report_isolation(r, n));
	fputs("], \"scenarios\": [\n", out);
	for (unsigned s = 0; s < psim_scenario_count; s++) {
		if (!was_run(r, s))
			continue;
		if (any)
			fputs(",\n", out);
		json_scenario(out, r, s);
		any = true;
	}
	fputs("\n]}\n", out);
}
