#include "metrics_watch.h"

#include "service.h"
#include "watchdog.h"

/* Names of watches and outputs need no escapes. */
static void head(FILE *out, const char *name, const char *help, const char *type)
{
	fprintf(out, "# HELP binnacle_%s %s\n# TYPE binnacle_%s %s\n", name, help, name, type);
}

static void write_states(FILE *out, const struct bn_watchdogs *dogs, unsigned count)
{
	struct bn_watch_info w;
	head(out, "watch_live", "1 while what is shown is as it must be.", "gauge");
	for (unsigned i = 0; i < count; i++) {
		bn_watchdogs_describe(dogs, i, &w);
		fprintf(out, "binnacle_watch_live{watch=\"%s\",output=\"%s\"} %d\n",
			w.settings->name, w.output,
			w.status->state == BN_WATCH_LIVE && !w.status->paused);
	}
	head(out, "watch_paused", "1 while its output shows nothing.", "gauge");
	for (unsigned i = 0; i < count; i++) {
		bn_watchdogs_describe(dogs, i, &w);
		fprintf(out, "binnacle_watch_paused{watch=\"%s\",output=\"%s\"} %d\n",
			w.settings->name, w.output, w.status->paused);
	}
	head(out, "watch_pictures_total", "Pictures judged.", "counter");
	for (unsigned i = 0; i < count; i++) {
		bn_watchdogs_describe(dogs, i, &w);
		fprintf(out, "binnacle_watch_pictures_total{watch=\"%s\"} %llu\n", w.settings->name,
			(unsigned long long)w.status->pictures);
	}
}

static void write_failures(FILE *out, const struct bn_watchdogs *dogs, unsigned count)
{
	struct bn_watch_info w;
	head(out, "watch_failures_total", "Times that a watch failed, by fault.", "counter");
	for (unsigned i = 0; i < count; i++) {
		bn_watchdogs_describe(dogs, i, &w);
		for (enum bn_watch_fault f = BN_WATCH_OK + 1; f < BN_WATCH_FAULTS; f++)
			fprintf(out,
				"binnacle_watch_failures_total{watch=\"%s\",fault=\"%s\"} %llu\n",
				w.settings->name, bn_watch_fault_name(f),
				(unsigned long long)w.status->count[f]);
	}
}

static void write_reactions(FILE *out, const struct bn_watchdogs *dogs, unsigned count)
{
	struct bn_watch_info w;
	head(out, "watch_reaction_max_seconds",
		"Longest time from a fault that could be known to its fallback on the display.",
		"gauge");
	for (unsigned i = 0; i < count; i++) {
		bn_watchdogs_describe(dogs, i, &w);
		fprintf(out, "binnacle_watch_reaction_max_seconds{watch=\"%s\"} %.9g\n",
			w.settings->name, (double)w.reaction.max_ns * 1e-9);
	}
}

void bn_metrics_watch(FILE *out, const struct bn_service *service)
{
	unsigned count = (unsigned)service->settings->num_watches;
	if (count == 0)
		return;
	write_states(out, service->watchdogs, count);
	write_failures(out, service->watchdogs, count);
	write_reactions(out, service->watchdogs, count);
}
