/* The trace in Chrome's JSON format ("Trace Event Format"): a process per VM, in it threads as
 * tracks. Spans of one track must be apart or one within the other, so each kind of work has
 * tracks of its own, and what overlaps goes to the next one of them. */
#include <errno.h>
#include <stdlib.h>

#include "protocol/grant.h"
#include "scheduler/monitor.h"
#include "trace_priv.h"

enum group { GROUP_FRAMES, GROUP_GPU, GROUP_WAITS, GROUP_EVENTS, GROUPS };

/* 16 displays' frames may overlap; more than that of anything is a mistake in what was recorded,
 * and left out. */
#define LANES 16u
#define DEPTH 8u
#define PROCESSES 256u

static const struct kind {
	const char *name;
	enum group group;
	bool instant;
} kinds[BN_TRACE_KINDS] = {
	[BN_TRACE_FRAME] = {"frame", GROUP_FRAMES, false},
	[BN_TRACE_GUEST] = {"guest", GROUP_FRAMES, false},
	[BN_TRACE_WAIT] = {"wait", GROUP_WAITS, false},
	[BN_TRACE_GRANT] = {"grant", GROUP_GPU, false},
	[BN_TRACE_BATCH] = {"batch", GROUP_GPU, false},
	[BN_TRACE_DISPLAY] = {"display", GROUP_FRAMES, false},
	[BN_TRACE_MISS] = {"miss", GROUP_FRAMES, true},
	[BN_TRACE_EVENT] = {"event", GROUP_EVENTS, true},
	[BN_TRACE_LATE] = {"arbiter late", GROUP_EVENTS, true},
};

static const char *const group_names[GROUPS] = {"frames", "GPU", "waits", "events"};

/* A track: the ends of the spans that are open where we are. */
struct lane {
	uint64_t end_ns[DEPTH];
	unsigned depth;
	bool used;
};

struct process {
	struct lane lane[GROUPS][LANES];
};

struct writer {
	FILE *out;
	const struct bn_trace_names *names;
	struct process *process[PROCESSES];
	bool comma;
};

static bool lane_takes(struct lane *l, uint64_t start_ns, uint64_t end_ns)
{
	while (l->depth > 0 && l->end_ns[l->depth - 1] <= start_ns)
		l->depth--;
	if (l->depth == DEPTH || (l->depth > 0 && end_ns > l->end_ns[l->depth - 1]))
		return false;
	l->end_ns[l->depth++] = end_ns;
	return true;
}

/* The track for an event, or -1. */
static int find_lane(struct process *p, const struct bn_trace_event *e)
{
	struct lane *lanes = p->lane[kinds[e->kind].group];
	for (unsigned i = 0; i < LANES; i++) {
		if (!kinds[e->kind].instant && !lane_takes(&lanes[i], e->start_ns, e->end_ns))
			continue;
		lanes[i].used = true;
		return (int)i;
	}
	return -1;
}

static void write_text(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static void next_object(struct writer *w)
{
	fputs(w->comma ? ",\n" : "\n", w->out);
	w->comma = true;
}

static void write_us(FILE *out, const char *key, uint64_t ns)
{
	fprintf(out, ",\"%s\":%llu.%03u", key, (unsigned long long)(ns / 1000),
		(unsigned)(ns % 1000));
}

static void write_ms_arg(FILE *out, const char *key, uint64_t ns)
{
	fprintf(out, ",\"args\":{\"%s\":%.6f}", key, (double)ns / 1e6);
}

static const char *grant_name(uint32_t kind)
{
	static const char *const names[] = {"grant", "batch grant", "frame grant", "lease"};
	return names[kind <= BN_GRANT_LEASE ? kind : 0];
}

static void write_name(struct writer *w, const struct bn_trace_event *e)
{
	const char *text = kinds[e->kind].name;
	char frame[64];
	if (e->kind == BN_TRACE_EVENT) {
		const char *event = w->names->event(w->names->data, e->value);
		text = event ? event : text;
	} else if (e->kind == BN_TRACE_GRANT) {
		text = grant_name(e->detail);
	} else if (e->kind == BN_TRACE_MISS || (e->kind == BN_TRACE_FRAME && e->value > 0)) {
		snprintf(frame, sizeof(frame), "%s: %llu missed (%s)", kinds[e->kind].name,
			(unsigned long long)e->value, bn_miss_cause_name(e->detail));
		text = frame;
	}
	write_text(w->out, text);
}

static void write_args(FILE *out, const struct bn_trace_event *e)
{
	switch (e->kind) {
	case BN_TRACE_FRAME:
	case BN_TRACE_MISS:
		fprintf(out, ",\"args\":{\"missed\":%llu,\"cause\":\"%s\"}",
			(unsigned long long)e->value, bn_miss_cause_name(e->detail));
		break;
	case BN_TRACE_GRANT:
		write_ms_arg(out, "gpu_ms", e->value);
		break;
	case BN_TRACE_BATCH:
		write_ms_arg(out, "predicted_ms", e->value);
		break;
	case BN_TRACE_LATE:
		write_ms_arg(out, "late_ms", e->value);
		break;
	case BN_TRACE_EVENT:
		fprintf(out, ",\"args\":{\"number\":%llu}", (unsigned long long)e->value);
		break;
	default:
		break;
	}
}

static void write_event(struct writer *w, const struct bn_trace_event *e, int lane)
{
	const struct kind *k = &kinds[e->kind];
	next_object(w);
	fputs("{\"name\":", w->out);
	write_name(w, e);
	fprintf(w->out, ",\"cat\":\"%s\",\"ph\":\"%s\",\"pid\":%u,\"tid\":%u", k->name,
		k->instant ? "i" : "X", e->vm + 1u,
		(unsigned)k->group * LANES + (unsigned)lane + 1);
	write_us(w->out, "ts", e->start_ns);
	if (k->instant)
		fputs(",\"s\":\"t\"", w->out);
	else
		write_us(w->out, "dur", e->end_ns - e->start_ns);
	write_args(w->out, e);
	fputc('}', w->out);
}

static void write_meta(struct writer *w, const char *what, unsigned pid, unsigned tid)
{
	next_object(w);
	fprintf(w->out, "{\"name\":\"%s\",\"ph\":\"M\",\"pid\":%u,\"tid\":%u,\"args\":{", what, pid,
		tid);
}

static void write_track_names(struct writer *w, unsigned vm)
{
	const char *name = vm == BN_TRACE_NO_VM ? "binnacled" : w->names->vm(w->names->data, vm);
	char number[16];
	snprintf(number, sizeof(number), "vm %u", vm);
	write_meta(w, "process_name", vm + 1, 0);
	fputs("\"name\":", w->out);
	write_text(w->out, name ? name : number);
	fputs("}}", w->out);
	for (unsigned i = 0; i < GROUPS * LANES; i++) {
		if (!w->process[vm]->lane[i / LANES][i % LANES].used)
			continue;
		write_meta(w, "thread_name", vm + 1, i + 1);
		fprintf(w->out, "\"name\":\"%s\"}}", group_names[i / LANES]);
		write_meta(w, "thread_sort_index", vm + 1, i + 1);
		fprintf(w->out, "\"sort_index\":%u}}", i);
	}
}

static long write_all(struct writer *w, const struct bn_trace_event *events, size_t count)
{
	long written = 0;
	fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[", w->out);
	for (size_t i = 0; i < count; i++) {
		struct process **p = &w->process[events[i].vm];
		if (!*p)
			*p = calloc(1, sizeof(**p));
		if (!*p)
			return -ENOMEM;
		int lane = find_lane(*p, &events[i]);
		if (lane < 0)
			continue;
		write_event(w, &events[i], lane);
		written++;
	}
	for (unsigned vm = 0; vm < PROCESSES; vm++) {
		if (w->process[vm])
			write_track_names(w, vm);
	}
	fputs("\n]}\n", w->out);
	if (fflush(w->out) != 0 || ferror(w->out))
		return errno ? -errno : -EIO;
	return written;
}

long bn_trace_write_json(FILE *out, const struct bn_trace_event *events, size_t count,
	const struct bn_trace_names *names)
{
	struct writer w = {.out = out, .names = names};
	errno = 0;
	long ret = write_all(&w, events, count);
	for (unsigned i = 0; i < PROCESSES; i++)
		free(w.process[i]);
	return ret;
}
