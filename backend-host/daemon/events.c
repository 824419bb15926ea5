#include "events.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"

/* So that one VM cannot push everybody else's events out of the list. */
#define PER_SECOND 32u

struct vm {
	unsigned long gate[BN_EVENT_KINDS];
	uint64_t second_ns; /* when the second began that `count` counts */
	unsigned count;
	unsigned long left_out;
};

struct bn_events {
	const struct bn_settings *settings;
	struct bn_trace *trace;
	struct bn_event event[BN_EVENTS_KEPT]; /* event n is at n % BN_EVENTS_KEPT */
	uint64_t next;
	struct vm vm[BN_POLICY_VMS_MAX + 1];
	void (*added)(void *data, const struct bn_event *event);
	void *data;
};

struct bn_events *bn_events_create(const struct bn_settings *settings, struct bn_trace *trace)
{
	struct bn_events *e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	e->settings = settings;
	e->trace = trace;
	e->next = 1;
	return e;
}

void bn_events_destroy(struct bn_events *events)
{
	free(events);
}

const char *bn_event_kind_name(enum bn_event_kind kind)
{
	static const char *const names[BN_EVENT_KINDS] = {
		[BN_EVENT_TRIPPED] = "tripped",
		[BN_EVENT_STUCK] = "stuck",
		[BN_EVENT_QUARANTINED] = "quarantined",
		[BN_EVENT_PARDONED] = "pardoned",
		[BN_EVENT_IGNORES] = "ignores",
		[BN_EVENT_SILENT] = "silent",
		[BN_EVENT_OVERRUN] = "overrun",
		[BN_EVENT_DEMOTED] = "demoted",
		[BN_EVENT_LATE] = "late",
		[BN_EVENT_BOUND] = "bound",
		[BN_EVENT_MISSED] = "missed",
		[BN_EVENT_FAULT] = "fault",
		[BN_EVENT_RESTART] = "restart",
		[BN_EVENT_CHANGED] = "changed",
		[BN_EVENT_WATCHDOG] = "watchdog",
		[BN_EVENT_RECOVERED] = "recovered",
		[BN_EVENT_SCENE] = "scene",
	};
	return kind < BN_EVENT_KINDS ? names[kind] : "?";
}

const char *bn_event_vm_name(const struct bn_events *e, unsigned vm)
{
	return vm < e->settings->num_vms ? e->settings->vms[vm].name : "";
}

uint64_t bn_events_next(const struct bn_events *e)
{
	return e->next;
}

const struct bn_event *bn_events_from(const struct bn_events *e, uint64_t number)
{
	uint64_t oldest = e->next > BN_EVENTS_KEPT ? e->next - BN_EVENTS_KEPT : 1;
	if (number < oldest)
		number = oldest;
	return number < e->next ? &e->event[number % BN_EVENTS_KEPT] : NULL;
}

void bn_events_follow(
	struct bn_events *e, void (*added)(void *data, const struct bn_event *event), void *data)
{
	e->added = added;
	e->data = data;
}

static enum bn_log_level level_of(enum bn_event_kind kind)
{
	switch (kind) {
	case BN_EVENT_PARDONED:
	case BN_EVENT_RESTART:
	case BN_EVENT_CHANGED:
	case BN_EVENT_RECOVERED:
		return BN_LOG_INFO;
	default:
		return BN_LOG_WARN;
	}
}

static void log_event(const struct bn_events *e, const struct bn_event *event, unsigned long times)
{
	const char *name = bn_event_vm_name(e, event->vm);
	char often[48] = "";
	if (times > 1)
		snprintf(often, sizeof(often), " (%lu times by now)", times);
	bn_log(level_of(event->kind), "%s%s%s%s", name, name[0] ? ": " : "", event->text, often);
}

/* Whether it may be in the list. */
static bool admit(struct vm *vm, struct bn_event *event)
{
	if (vm->count == 0 || event->time_ns - vm->second_ns >= BN_NS_PER_S) {
		vm->second_ns = event->time_ns;
		vm->count = 0;
	}
	if (vm->count == PER_SECOND) {
		vm->left_out++;
		return false;
	}
	vm->count++;
	return true;
}

static void make_printable(char *text)
{
	for (; *text; text++) {
		if (*text < 0x20 || *text > 0x7e)
			*text = '?';
	}
}

static void keep(struct bn_events *e, struct bn_event *event)
{
	struct vm *vm = &e->vm[event->vm];
	char more[48] = "";
	if (vm->left_out)
		snprintf(more, sizeof(more), " (%lu more before it)", vm->left_out);
	vm->left_out = 0;
	event->number = e->next++;
	struct bn_event *kept = &e->event[event->number % BN_EVENTS_KEPT];
	*kept = *event;
	snprintf(kept->text, sizeof(kept->text), "%.200s%s", event->text, more);
	bn_trace_add(e->trace, BN_TRACE_EVENT,
		event->vm < BN_EVENTS_NO_VM ? event->vm : BN_TRACE_NO_VM, event->time_ns,
		event->time_ns, event->number, event->kind);
	if (e->added)
		e->added(e->data, kept);
}

static void add(struct bn_events *e, unsigned vm, enum bn_event_kind kind, bool log,
	const char *fmt, va_list args)
{
	if (!e || kind >= BN_EVENT_KINDS)
		return;
	struct bn_event event = {.time_ns = bn_now_ns(), .kind = kind};
	event.vm = vm < BN_EVENTS_NO_VM ? vm : BN_EVENTS_NO_VM;
	clock_gettime(CLOCK_REALTIME, &event.wall);
	vsnprintf(event.text, sizeof(event.text), fmt, args);
	make_printable(event.text);
	struct vm *v = &e->vm[event.vm];
	if (log && bn_log_gate(&v->gate[kind]))
		log_event(e, &event, v->gate[kind]);
	if (admit(v, &event))
		keep(e, &event);
}

void bn_events_add(struct bn_events *e, unsigned vm, enum bn_event_kind kind, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	add(e, vm, kind, true, fmt, args);
	va_end(args);
}

void bn_events_note(struct bn_events *e, unsigned vm, enum bn_event_kind kind, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	add(e, vm, kind, false, fmt, args);
	va_end(args);
}

void bn_events_arbiter(struct bn_events *e, const struct bn_arbiter_event *event)
{
	double value = (double)event->value_ns / 1e6, limit = (double)event->limit_ns / 1e6;
	unsigned vm = event->vm;
	switch (event->kind) {
	case BN_ARBITER_TRIPPED:
		bn_events_add(e, vm, BN_EVENT_TRIPPED,
			"a batch ran for %.1f ms, %.1f are allowed: its context is lost", value,
			limit);
		break;
	case BN_ARBITER_STUCK:
		bn_events_add(e, vm, BN_EVENT_STUCK,
			"a batch does not end (%.1f ms, %.1f are allowed): the renderer is "
			"replaced",
			value, limit);
		break;
	case BN_ARBITER_QUARANTINED:
		bn_events_add(e, vm, BN_EVENT_QUARANTINED,
			"too many batches ran too long: no GPU until the guest resets its device "
			"or 'binnaclectl vm NAME pardon'");
		break;
	case BN_ARBITER_IGNORES:
		if (event->limit_ns)
			bn_events_add(e, vm, BN_EVENT_IGNORES,
				"the renderer kept the GPU for %.1f ms without a batch of more "
				"than %.1f: it is held back",
				value, limit);
		else
			bn_events_add(e, vm, BN_EVENT_IGNORES,
				"the renderer used the GPU without a grant (%.1f ms): it is held "
				"back",
				value);
		break;
	case BN_ARBITER_SILENT:
		bn_events_add(e, vm, BN_EVENT_SILENT,
			"the renderer holds a grant and has done nothing for %.1f ms: it is "
			"replaced",
			value);
		break;
	case BN_ARBITER_OVERRUN:
		bn_events_add(e, vm, BN_EVENT_OVERRUN,
			"used %.1f ms of the GPU in a period, its budget is %.1f ms%s", value,
			limit, event->compiles ? ": it compiled shaders" : "");
		break;
	case BN_ARBITER_DEMOTED:
		bn_events_add(e, vm, BN_EVENT_DEMOTED,
			"its batches keep taking longer than they look: it stands behind the "
			"others");
		break;
	case BN_ARBITER_LATE:
		bn_events_add(e, vm, BN_EVENT_LATE,
			"the arbiter was run %.1f ms late: something else has its processor",
			value);
		break;
	}
}
