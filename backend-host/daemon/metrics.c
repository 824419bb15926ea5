#include "metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "arbiter.h"
#include "common/clock.h"
#include "compositor/gpu.h"
#include "metrics_watch.h"
#include "service.h"
#include "status_scheduler.h"

/* What is known of one VM. */
struct sample {
	const char *name;
	struct bn_vm_info info;
	struct bn_monitor monitor;
	struct bn_arbiter_stats arbiter;
	struct bn_arbiter_vm params;
	bool admitted;
};

struct writer {
	FILE *out;
	struct sample *sample;
	size_t count;
};

/* A value as it is at some place of a sample. */
enum type { U64, U32, FLAG };
struct family {
	const char *name, *help;
	bool counter; /* else a gauge */
	enum type type;
	size_t offset;
	double scale;
};

#define NS 1e-9
#define MONITOR(member) offsetof(struct sample, monitor.member)
#define ARBITER(member) offsetof(struct sample, arbiter.member)
#define STATS(member) offsetof(struct sample, info.stats.member)
#define ABOUT(member) offsetof(struct sample, info.about.member)
#define PARAMS(member) offsetof(struct sample, params.policy.member)

static const struct family families[] = {
	{"frames_flushed_total", "Frames that the guest flushed.", true, U64,
		MONITOR(frames_flushed), 1},
	{"frames_presented_total", "Frames that a display has shown.", true, U64,
		MONITOR(frames_presented), 1},
	{"frames_superseded_total", "Frames replaced by a newer one before a display showed them.",
		true, U64, MONITOR(frames_superseded), 1},
	{"faults_total", "Errors answered to the guest, and faults of its renderer.", true, U64,
		MONITOR(faults), 1},
	{"renderer_restarts_total", "Renderers replaced after they died.", true, U64,
		MONITOR(restarts), 1},
	{"frames_missed_total", "Frames that came at least one refresh late.", true, U64,
		MONITOR(frame.missed_frames), 1},
	{"frames_idle_total", "Frames that the guest began long after their release: not timed.",
		true, U64, MONITOR(frame.idle), 1},
	{"frame_longest_miss_run", "Most refreshes missed one after the other.", false, U64,
		MONITOR(frame.longest_run), 1},
	{"bound_violations_total", "Frames within their budget that took longer than the bound.",
		true, U64, MONITOR(frame.bound_violations), 1},
	{"frames_over_budget_total", "Frames that used more GPU time than the budget.", true, U64,
		MONITOR(frame.over_budget), 1},
	{"bound_seconds", "Longest response that the admission test promises; 0: none.", false, U64,
		MONITOR(target.bound_ns), NS},
	{"gpu_timestamps", "1 where GPU time is taken from the GPU's own timestamps.", false, U32,
		ABOUT(timestamps), 1},
	{"gpu_seconds_total", "GPU time charged.", true, U64, ARBITER(policy.gpu_ns), NS},
	{"gpu_reserved_seconds_total", "GPU time charged within a reservation.", true, U64,
		ARBITER(policy.reserved_ns), NS},
	{"renderer_cpu_seconds_total", "Processor time of the renderer and its children.", true,
		U64, ARBITER(cpu_ns), NS},
	{"grants_total", "Grants given.", true, U64, ARBITER(policy.grants), 1},
	{"leases_total", "Leases given.", true, U64, ARBITER(policy.leases), 1},
	{"revokes_total", "Leases and frame grants taken back.", true, U64, ARBITER(policy.revokes),
		1},
	{"budget_overruns_total", "Times that the budget was exceeded.", true, U64,
		ARBITER(policy.overruns), 1},
	{"guard_waits_total", "Times that the laxity guard kept it waiting.", true, U64,
		ARBITER(policy.guard_waits), 1},
	{"demotions_total", "Times that it was put behind the others for wrong costs.", true, U64,
		ARBITER(policy.demotions), 1},
	{"debt_seconds", "GPU time used too much, to be paid back.", false, U64,
		ARBITER(policy.debt_ns), NS},
	{"budget_left_seconds", "What is left of the budget in this period.", false, U64,
		ARBITER(policy.budget_left_ns), NS},
	{"demoted", "1 while it stands behind the others.", false, FLAG, ARBITER(policy.demoted),
		1},
	{"held", "1 while it gets no grants.", false, FLAG, ARBITER(policy.held), 1},
	{"quarantined", "1 while it is in quarantine.", false, FLAG, ARBITER(quarantined), 1},
	{"watchdog_trips_total", "Batches that ran too long.", true, U64, ARBITER(trips), 1},
	{"quarantines_total", "Times that it was put in quarantine.", true, U64,
		ARBITER(quarantines), 1},
	{"grants_ignored_total", "Times that its renderer used the GPU without a grant.", true, U64,
		ARBITER(ignored), 1},
	{"batches_total", "Batches finished, as the renderer says.", true, U64,
		ARBITER(page.batches), 1},
	{"batches_predicted_total",
		"Batches that had a prediction: under a lease that nobody contends, few.", true,
		U64, ARBITER(page.predictions), 1},
	{"batches_covered_total", "Batches that took no longer than predicted.", true, U64,
		ARBITER(page.covered), 1},
	{"cuts_total", "Submits that were cut into batches.", true, U64, ARBITER(page.cuts), 1},
	{"period_seconds", "Period of the reservation.", false, U64, PARAMS(period_ns), NS},
	{"budget_seconds", "GPU time reserved in each period.", false, U64, PARAMS(budget_ns), NS},
	{"share", "Weight when unreserved time is shared.", false, U32, PARAMS(share), 1},
	{"admitted", "1 when the admission test holds for it.", false, FLAG,
		offsetof(struct sample, admitted), 1},
	{"commands_total", "Commands taken from the control queue.", true, U64, STATS(commands), 1},
	{"command_errors_total", "Commands answered with an error.", true, U64, STATS(errors), 1},
	{"submits_total", "Command streams submitted.", true, U64, STATS(submits), 1},
	{"submit_bytes_total", "Bytes of command streams.", true, U64, STATS(submit_bytes), 1},
	{"copy_in_bytes_total", "Pixels copied from the guest by a processor.", true, U64,
		STATS(copy_bytes_in), 1},
	{"copy_out_bytes_total", "Pixels read back for outputs without dma-bufs.", true, U64,
		STATS(copy_bytes_out), 1},
	{"zero_copy_frames_total", "Frames handed on without a copy.", true, U64,
		STATS(zero_copy_frames), 1},
	{"release_waits_total", "Commands that waited for a display to let go of what they draw into.",
		true, U64, STATS(release_waits), 1},
	{"release_timeouts_total", "… that went on without: the picture may have torn.", true, U64,
		STATS(release_timeouts), 1},
	{"contexts", "Contexts alive.", false, U64, STATS(contexts), 1},
	{"resources", "Resources alive.", false, U64, STATS(resources), 1},
	{"resource_bytes", "Host memory of resources.", false, U64, STATS(resource_bytes), 1},
	{"context_losses_total", "Contexts lost.", true, U64, STATS(context_losses), 1},
};

/* Sums and counts of summaries are histograms' own, and so begin anew with a reset, as counters
 * may. */
static const struct summary {
	const char *name, *help;
	size_t offset;
} summaries[] = {
	{"frame_time_seconds", "From a frame's release to its present.", MONITOR(frame.time)},
	{"frame_response_seconds", "Time in which a frame had something queued or at the GPU.",
		MONITOR(frame.response)},
	{"frame_guest_seconds", "From a frame's release to its first batch.", MONITOR(frame.guest)},
	{"frame_wait_seconds", "Time that a frame's batches waited for grants.",
		MONITOR(frame.wait)},
	{"frame_gpu_seconds", "GPU time of a frame.", MONITOR(frame.gpu)},
	{"latency_seconds", "From the flush to the present.", MONITOR(latency)},
	{"grant_wait_seconds", "From asking for a grant to having it.", ARBITER(wait)},
};

static void write_label(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			fputs("\\n", out);
		else if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else
			fputc(*text, out);
	}
}

static void write_head(
	FILE *out, const char *prefix, const char *name, const char *help, const char *type)
{
	fprintf(out, "# HELP binnacle_%s%s %s\n# TYPE binnacle_%s%s %s\n", prefix, name, help,
		prefix, name, type);
}

static double value_of(const struct sample *s, const struct family *f)
{
	const char *at = (const char *)s + f->offset;
	switch (f->type) {
	case U64:
		return (double)*(const uint64_t *)at * f->scale;
	case U32:
		return (double)*(const uint32_t *)at * f->scale;
	case FLAG:
		return *(const bool *)at ? 1.0 : 0.0;
	}
	return 0.0;
}

static void write_families(const struct writer *w)
{
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		const struct family *f = &families[i];
		write_head(w->out, "vm_", f->name, f->help, f->counter ? "counter" : "gauge");
		for (size_t v = 0; v < w->count; v++) {
			fprintf(w->out, "binnacle_vm_%s{vm=\"", f->name);
			write_label(w->out, w->sample[v].name);
			fprintf(w->out, "\"} %.15g\n", value_of(&w->sample[v], f));
		}
	}
}

static void write_misses(const struct writer *w)
{
	static const char name[] = "refreshes_missed_total";
	write_head(w->out, "vm_", name, "Refreshes without the frame that was due, by cause.",
		"counter");
	for (size_t v = 0; v < w->count; v++) {
		for (unsigned cause = BN_MISS_NONE + 1; cause < BN_MISS_CAUSES; cause++) {
			fprintf(w->out, "binnacle_vm_%s{vm=\"", name);
			write_label(w->out, w->sample[v].name);
			fprintf(w->out, "\",cause=\"%s\"} %llu\n", bn_miss_cause_name(cause),
				(unsigned long long)w->sample[v].monitor.frame.causes[cause]);
		}
	}
}

/* vm NULL: of the whole service. */
static void write_labels(FILE *out, const char *vm, const char *quantile)
{
	if (!vm && !quantile)
		return;
	fputc('{', out);
	if (vm) {
		fputs("vm=\"", out);
		write_label(out, vm);
		fputs(quantile ? "\"," : "\"", out);
	}
	if (quantile)
		fprintf(out, "quantile=\"%s\"", quantile);
	fputc('}', out);
}

static void write_summary(FILE *out, const char *prefix, const char *name, const char *vm,
	const struct bn_histogram *h)
{
	static const struct {
		const char *text;
		double q;
	} quantiles[] = {{"0.5", 0.5}, {"0.99", 0.99}, {"0.999", 0.999}, {"1", 1.0}};
	for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
		fprintf(out, "binnacle_%s%s", prefix, name);
		write_labels(out, vm, quantiles[i].text);
		if (h->count)
			fprintf(out, " %.9g\n",
				(double)bn_histogram_quantile(h, quantiles[i].q) * NS);
		else
			fputs(" NaN\n", out);
	}
	fprintf(out, "binnacle_%s%s_sum", prefix, name);
	write_labels(out, vm, NULL);
	fprintf(out, " %.15g\nbinnacle_%s%s_count", (double)h->sum_ns * NS, prefix, name);
	write_labels(out, vm, NULL);
	fprintf(out, " %llu\n", (unsigned long long)h->count);
}

static void write_summaries(const struct writer *w)
{
	for (size_t i = 0; i < sizeof(summaries) / sizeof(summaries[0]); i++) {
		const struct summary *s = &summaries[i];
		write_head(w->out, "vm_", s->name, s->help, "summary");
		for (size_t v = 0; v < w->count; v++) {
			const char *at = (const char *)&w->sample[v] + s->offset;
			write_summary(w->out, "vm_", s->name, w->sample[v].name,
				(const struct bn_histogram *)at);
		}
	}
}

static void write_one(FILE *out, const char *name, const char *help, const char *type, double value)
{
	write_head(out, "", name, help, type);
	fprintf(out, "binnacle_%s %.15g\n", name, value);
}

static void write_service(FILE *out, const struct bn_status_scheduler *s)
{
	const struct bn_service *service = s->service;
	const struct bn_arbiter_config *config = bn_arbiter_config(service->context.arbiter);
	write_head(out, "", "info", "Always 1; what runs is in the labels.", "gauge");
	fprintf(out, "binnacle_info{version=\"%s\",policy=\"%s\",software=\"%d\"} 1\n", BN_VERSION,
		bn_policy_name(config->policy), config->software);
	write_one(out, "uptime_seconds", "Since the service started.", "gauge",
		(double)(bn_now_ns() - service->started_ns) * NS);
	write_one(out, "scheduler_admitted", "1 when every guarantee holds.", "gauge",
		s->admission.admitted);
	write_one(out, "scheduler_utilisation", "Reserved part of the GPU.", "gauge",
		s->admission.utilisation);
	write_one(out, "scheduler_realtime", "1 when the arbiter runs as SCHED_FIFO.", "gauge",
		s->totals.realtime);
	write_one(out, "scheduler_wakeups_total", "Times that the arbiter woke up.", "counter",
		(double)s->totals.wakeups);
	write_one(out, "scheduler_late_total", "Times that the arbiter was run too late.",
		"counter", (double)s->totals.late);
	write_head(
		out, "", "scheduler_decision_seconds", "From a doorbell to the grants.", "summary");
	write_summary(out, "", "scheduler_decision_seconds", NULL, &s->totals.decision);
}

static void write_composing(
	FILE *out, const struct bn_service *service, const struct bn_arbiter_totals *scheduler)
{
	struct bn_gpu_totals totals;
	bn_gpu_totals(&totals);
	write_one(out, "composed_by_gpu_total", "Pictures that a GPU composed.", "counter",
		(double)totals.pictures);
	write_one(out, "composed_by_gpu_failed_total",
		"Pictures that it was to compose and the CPU did.", "counter", (double)totals.failed);
	write_one(out, "composed_by_gpu_seconds_total", "GPU time that they took.", "counter",
		(double)totals.gpu_ns * NS);
	write_one(out, "composed_by_gpu_expired_total",
		"Times that such pictures took more than 100 ms in a row and VMs were let in.", "counter",
		(double)scheduler->composing_expired);
	write_one(out, "composed_by_gpu_period_seconds",
		"The most of it within one period; compositor-time is to be no less.", "gauge",
		(double)service->composing.max_ns * NS);
}

#define OUTPUT_FIGURE(member) offsetof(struct bn_output_status, member)

static const struct {
	const char *name, *help, *type;
	size_t at;
	bool narrow; /* unsigned, not uint64_t */
} output_figures[] = {
	{"output_frames_total", "Refreshes that showed something new.", "counter",
		OUTPUT_FIGURE(flips), false},
	{"output_late_total", "Of them, those that came a refresh or more late.", "counter",
		OUTPUT_FIGURE(late), false},
	{"output_commits_failed_total", "Atomic commits refused by the driver.", "counter",
		OUTPUT_FIGURE(failed), false},
	{"output_composed_total", "Pictures composed.", "counter", OUTPUT_FIGURE(composed), false},
	{"output_composed_bytes_total", "Pixel bytes that the CPU wrote for them.", "counter",
		OUTPUT_FIGURE(composed_bytes), false},
	{"output_unplugged_total", "Times that the connector dropped out.", "counter",
		OUTPUT_FIGURE(unplugged), false},
	{"output_planes", "Planes that the output may use.", "gauge", OUTPUT_FIGURE(planes), true},
	{"output_planes_used", "Planes that show something.", "gauge", OUTPUT_FIGURE(planes_used),
		true},
};

static uint64_t output_figure(const struct bn_output_status *s, size_t figure)
{
	const char *at = (const char *)s + output_figures[figure].at;
	return output_figures[figure].narrow ? *(const unsigned *)(const void *)at
					     : *(const uint64_t *)(const void *)at;
}

/* One output after the other, for their status is large; the lines are kept until all have been. */
static void write_outputs(FILE *out, const struct bn_service *service)
{
	const size_t n = service->displays.count;
	const size_t figures = sizeof(output_figures) / sizeof(output_figures[0]);
	uint64_t values[BN_SETTINGS_OUTPUTS_MAX][sizeof(output_figures) / sizeof(output_figures[0])];
	for (size_t i = 0; i < n; i++) {
		struct bn_output_status s;
		bn_output_status(service->displays.display[i].output, &s);
		for (size_t k = 0; k < figures; k++)
			values[i][k] = output_figure(&s, k);
	}
	for (size_t k = 0; k < figures; k++) {
		write_head(out, "", output_figures[k].name, output_figures[k].help,
			output_figures[k].type);
		for (size_t i = 0; i < n; i++) {
			fprintf(out, "binnacle_%s{output=\"", output_figures[k].name);
			write_label(out, bn_display_name(&service->displays.display[i]));
			fprintf(out, "\"} %llu\n", (unsigned long long)values[i][k]);
		}
	}
}

static void take_samples(struct writer *w, const struct bn_status_scheduler *s)
{
	struct bn_arbiter *arbiter = s->service->context.arbiter;
	for (unsigned i = 0; i < w->count; i++) {
		struct sample *v = &w->sample[i];
		bn_vm_describe(s->service->vm[i], &v->info);
		v->name = v->info.settings->name;
		v->monitor = *v->info.monitor;
		bn_arbiter_stats(arbiter, i, &v->arbiter);
		bn_arbiter_vm_params(arbiter, i, &v->params);
		v->admitted = s->admission.vm[i].admitted;
	}
}

char *bn_metrics_text(struct bn_service *service, size_t *size)
{
	struct bn_status_scheduler scheduler;
	struct writer w = {.count = service->num_vms};
	char *text = NULL;
	w.sample = calloc(w.count + 1, sizeof(*w.sample));
	w.out = w.sample ? open_memstream(&text, size) : NULL;
	if (!w.out) {
		free(w.sample);
		return NULL;
	}
	bn_status_scheduler_init(&scheduler, service);
	take_samples(&w, &scheduler);
	write_service(w.out, &scheduler);
	write_composing(w.out, scheduler.service, &scheduler.totals);
	write_outputs(w.out, service);
	write_families(&w);
	write_misses(&w);
	write_summaries(&w);
	bn_metrics_watch(w.out, service);
	free(w.sample);
	if (fclose(w.out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
