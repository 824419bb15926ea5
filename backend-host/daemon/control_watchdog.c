/* The watchdog over the control socket. */
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "common/clock.h"
#include "control_priv.h"
#include "json_add.h"
#include "service.h"
#include "watchdog.h"

static struct json_object *rect_json(const struct bn_rect *r)
{
	struct json_object *o = json_object_new_object();
	json_object_object_add(o, "x", json_object_new_int(r->x));
	json_object_object_add(o, "y", json_object_new_int(r->y));
	bn_json_add_uint(o, "width", r->width);
	bn_json_add_uint(o, "height", r->height);
	return o;
}

/* "expect 3, change 100 ms, age 50 ms" */
static void add_rule(struct json_object *o, const struct bn_settings_watch *s)
{
	char text[160] = "", *at = text;
	const struct {
		const char *name, *unit;
		uint64_t value;
	} parts[] = {
		{"expect", "", s->num_expect},
		{"absent", "", s->num_absent},
		{"change", " ms", s->change_ns / BN_NS_PER_MS},
		{"age", " ms", s->age_ns / BN_NS_PER_MS},
	};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i].value)
			at += snprintf(at, (size_t)(text + sizeof(text) - at), "%s%s %llu%s",
				at > text ? ", " : "", parts[i].name,
				(unsigned long long)parts[i].value, parts[i].unit);
	}
	bn_json_add_text(o, "rule", text);
}

static struct json_object *counts_json(const struct bn_watch_status *status)
{
	struct json_object *counts = json_object_new_object();
	for (enum bn_watch_fault f = BN_WATCH_OK + 1; f < BN_WATCH_FAULTS; f++)
		bn_json_add_uint(counts, bn_watch_fault_name(f), status->count[f]);
	return counts;
}

static void add_reaction(struct json_object *o, const struct bn_watch_info *w)
{
	const struct bn_watch_status *status = w->status;
	const struct bn_histogram *h = &w->reaction;
	bn_json_add_uint(o, "failed_ns", status->failed_ns);
	bn_json_add_uint(o, "shown_ns", w->shown_ns);
	bn_json_add_uint(o, "reactions", h->count);
	bn_json_add_ms(o, "reaction_p50_ms", bn_histogram_quantile(h, 0.5));
	bn_json_add_ms(o, "reaction_p99_ms", bn_histogram_quantile(h, 0.99));
	bn_json_add_ms(o, "reaction_max_ms", h->max_ns);
	bn_json_add_ms(o, "refresh_ms", w->refresh_ns);
}

static struct json_object *watch_json(const struct bn_watchdogs *watchdogs, unsigned index)
{
	struct json_object *o = json_object_new_object();
	struct bn_watch_info w;
	char crc[16];
	bn_watchdogs_describe(watchdogs, index, &w);
	uint64_t failures = 0, now = bn_now_ns();
	for (unsigned i = 0; i < BN_WATCH_FAULTS; i++)
		failures += w.status->count[i];
	snprintf(crc, sizeof(crc), "%08x", w.status->crc);
	bn_json_add_text(o, "name", w.settings->name);
	bn_json_add_text(o, "layer", w.settings->layer);
	bn_json_add_text(o, "output", w.output);
	json_object_object_add(o, "at", rect_json(&w.at));
	add_rule(o, w.settings);
	bn_json_add_text(o, "state", w.state);
	bn_json_add_text(o, "reason", w.reason);
	bn_json_add_ms(o, "since_ms", now > w.status->since_ns ? now - w.status->since_ns : 0);
	bn_json_add_text(o, "source", w.source);
	bn_json_add_bool(o, "covered", w.covered);
	bn_json_add_text(o, "fault", bn_watch_fault_name(w.status->fault));
	bn_json_add_text(o, "last_fault", bn_watch_fault_name(w.status->last));
	bn_json_add_uint(o, "failures", failures);
	json_object_object_add(o, "count", counts_json(w.status));
	bn_json_add_uint(o, "pictures", w.status->pictures);
	bn_json_add_uint(o, "bad", w.status->bad);
	bn_json_add_text(o, "crc", crc);
	add_reaction(o, &w);
	bn_json_add_uint(o, "hook_runs", w.hook_runs);
	return o;
}

static struct json_object *boots_json(const struct bn_service *service)
{
	struct json_object *list = json_object_new_array();
	for (unsigned i = 0; i < service->settings->num_outputs; i++) {
		struct bn_boot_info boot;
		bn_watchdogs_boot(service->watchdogs, i, &boot);
		if (!boot.exists)
			continue;
		struct json_object *o = json_object_new_object();
		bn_json_add_text(o, "output", boot.output);
		bn_json_add_bool(o, "shown", boot.shown);
		bn_json_add_uint(o, "first_ns", boot.first_ns);
		bn_json_add_ms(o, "after_ms", boot.after_ns);
		bn_json_add_uint(o, "times", boot.times);
		json_object_array_add(list, o);
	}
	return list;
}

static struct json_object *reset(struct bn_service *service, const char *name)
{
	char names[256] = "";
	size_t len = 0;
	for (unsigned i = 0; i < service->settings->num_watches; i++) {
		const char *n = service->settings->watches[i].name;
		if (strcmp(n, name) == 0) {
			bn_watchdogs_reset(service->watchdogs, i);
			return bn_control_success();
		}
		if (len < sizeof(names))
			len += (size_t)snprintf(
				names + len, sizeof(names) - len, "%s%s", i ? ", " : "", n);
	}
	return bn_control_failure(
		"there is no watch '%.64s'; watches are: %s", name, names[0] ? names : "none");
}

struct json_object *bn_control_watchdog(
	struct bn_control_client *client, struct json_object *request, int *fd)
{
	struct bn_service *service = client->control->service;
	const char *name = bn_control_text(request, "reset");
	if (name)
		return reset(service, name);
	struct json_object *answer = bn_control_success(), *list = json_object_new_array();
	for (unsigned i = 0; i < service->settings->num_watches; i++)
		json_object_array_add(list, watch_json(service->watchdogs, i));
	json_object_object_add(answer, "watches", list);
	json_object_object_add(answer, "boot", boots_json(service));
	return answer;
}
