#include "detail.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include <json-c/json.h>

#include "json.h"
#include "text.h"

/* Where the next line goes. */
struct page {
	struct bn_grid *g;
	unsigned row, end;
};

__attribute__((format(printf, 4, 5))) static void line(
	struct page *p, uint8_t style, const char *title, const char *fmt, ...)
{
	char text[512];
	va_list args;
	if (p->row >= p->end)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	bn_grid_text(p->g, p->row, 0, 9, BN_STYLE_HEAD, title);
	bn_grid_text(p->g, p->row++, 9, p->g->cols, style, text);
}

/* A number in a ring of buffers, enough of them for one line. */
static const char *num(struct json_object *object, const char *key, unsigned decimals)
{
	static char ring[16][BN_TEXT_NUMBER];
	static unsigned next;
	char *buffer = ring[next++ % 16];
	return bn_text_number(buffer, bn_json_number(object, key), 9, decimals);
}

static double mib(struct json_object *object, const char *key)
{
	return (double)bn_json_count(object, key) / (1 << 20);
}

static unsigned long long count(struct json_object *object, const char *key)
{
	return (unsigned long long)bn_json_count(object, key);
}

static void draw_frames(struct page *p, const struct bn_view_vm *vm)
{
	struct json_object *f = vm->frame, *causes = bn_json_member(f, "miss_causes");
	bool missed = bn_json_number(f, "misses") > 0;
	line(p, 0, "frames", "%s shown, %s fps, period %s ms   mean %s  std-dev %s ms",
		num(f, "count", 0), num(vm->vm, "fps", 2), num(f, "period_ms", 2),
		num(f, "mean_ms", 2), num(f, "stddev_ms", 3));
	line(p, 0, " time", "p50 %s  p99 %s  p99.9 %s  max %s ms  (release to display)",
		num(f, "p50_ms", 2), num(f, "p99_ms", 2), num(f, "p999_ms", 2),
		num(f, "max_ms", 2));
	line(p, 0, " of it", "guest p50 %s p99 %s  GPU p50 %s p99 %s  wait p99 %s max %s ms",
		num(f, "guest_p50_ms", 2), num(f, "guest_p99_ms", 2), num(f, "gpu_p50_ms", 2),
		num(f, "gpu_p99_ms", 2), num(f, "wait_p99_ms", 2), num(f, "wait_max_ms", 2));
	line(p, missed ? BN_STYLE_WARN : 0, "misses",
		"%s in %s frames, run %s  guest %s scheduler %s GPU %s compositor %s host %s",
		num(f, "misses", 0), num(f, "missed_frames", 0), num(f, "longest_miss_run", 0),
		num(causes, "guest", 0), num(causes, "scheduler", 0), num(causes, "gpu", 0),
		num(causes, "compositor", 0), num(causes, "host", 0));
}

static struct json_object *admission_of(struct json_object *admission, const char *name)
{
	unsigned n;
	struct json_object *vms = bn_json_array(admission, "vms", &n);
	for (unsigned i = 0; i < n; i++) {
		struct json_object *vm = json_object_array_get_idx(vms, i);
		if (strcmp(bn_json_text(vm, "name"), name) == 0)
			return vm;
	}
	return NULL;
}

/* R = (g+1)·(k·L + σ) + C + n·δ + I + others, with the numbers put in. */
static void draw_bound(struct page *p, const struct bn_view_vm *vm, struct json_object *admission)
{
	struct json_object *a = admission_of(admission, bn_json_text(vm->vm, "name"));
	const char *dot = p->g->ascii ? "*" : "·";
	bool admitted = bn_json_bool(a, "admitted");
	double r = bn_json_number(a, "bound_ms"), d = bn_json_number(a, "deadline_ms");
	bool fits = r <= d;
	if (!a) {
		line(p, 0, "bound", "not known (the service has not said)");
		return;
	}
	if (isnan(r)) {
		line(p, admitted ? 0 : BN_STYLE_BAD, "reserve", "load %s, blocking %s ms: %s",
			num(a, "load", 2), num(a, "blocking_ms", 2),
			admitted ? "admitted" : bn_json_text(a, "remedy"));
		return;
	}
	line(p, admitted ? 0 : BN_STYLE_BAD, "bound R",
		"(%s+1)%s(%s%s%s + %s) + %s + %s%s%s + %s + %s = %s %s %s", num(a, "gaps", 0), dot,
		num(a, "in_flight", 0), dot, num(a, "batch_max_ms", 2), num(a, "dispatch_ms", 2),
		num(a, "cost_ms", 2), num(a, "batches", 0), dot, num(a, "overhead_ms", 2),
		num(a, "compositor_ms", 2), num(a, "others_ms", 2), num(a, "bound_ms", 2),
		p->g->ascii ? (fits ? "<=" : ">") : (fits ? "≤" : ">"), num(a, "deadline_ms", 2));
	if (admitted)
		line(p, bn_json_count(vm->scheduler, "bound_violations") ? BN_STYLE_BAD : 0, "",
			"admitted; measured: response p50 %s p99 %s max %s ms, %s beyond the bound",
			num(vm->frame, "response_p50_ms", 2), num(vm->frame, "response_p99_ms", 2),
			num(vm->frame, "response_max_ms", 2),
			num(vm->scheduler, "bound_violations", 0));
	else
		line(p, BN_STYLE_BAD, "", "NOT ADMITTED: %s", bn_json_text(a, "remedy"));
}

static void draw_gpu(struct page *p, const struct bn_view_vm *vm)
{
	struct json_object *s = vm->scheduler;
	char used[BN_TEXT_NUMBER], gpu[BN_TEXT_NUMBER];
	line(p, 0, "GPU", "%s %%; budget %s of %s ms, %s %% used; share %s; debt %s ms",
		bn_text_number(gpu, vm->number[BN_COL_GPU], 5, 1), num(s, "budget_ms", 2),
		num(s, "period_ms", 2), bn_text_number(used, vm->used * 100, 5, 0),
		num(s, "share", 0), num(s, "debt_ms", 2));
	line(p, 0, "waits", "p50 %s  p99 %s  p99.9 %s  max %s ms; guard held it %s times",
		num(s, "wait_p50_ms", 2), num(s, "wait_p99_ms", 2), num(s, "wait_p999_ms", 2),
		num(s, "wait_max_ms", 2), num(s, "guard_waits", 0));
	line(p, 0, "batches", "%s in %s ms, %s cut (at %s ms), as predicted or cheaper: %s %%",
		num(s, "batches", 0), num(s, "gpu_ms", 0), num(s, "cuts", 0),
		num(s, "batch_max_ms", 2), num(s, "coverage_percent", 2));
	line(p, vm->number[BN_COL_FAULTS] > 0 || vm->bad ? BN_STYLE_WARN : 0, "faults",
		"%s, %s restarts; watchdog %s, quarantine %s, demoted %s, no grant %s",
		num(vm->vm, "faults", 0), num(vm->vm, "restarts", 0), num(s, "trips", 0),
		num(s, "quarantines", 0), num(s, "demotions", 0), num(s, "ignored", 0));
}

static void draw_memory(struct page *p, const struct bn_view_vm *vm)
{
	line(p, 0, "memory", "%.1f of %.0f MiB in %llu resources; copied %.1f MiB in, %.1f out",
		mib(vm->vm, "resource_bytes"), mib(vm->vm, "memory_max"),
		count(vm->vm, "resources"), mib(vm->vm, "copy_bytes_in"),
		mib(vm->vm, "copy_bytes_out"));
}

/* Where the screen is taller than 24 lines. */
static void draw_more(struct page *p, const struct bn_view_vm *vm)
{
	struct json_object *s = vm->scheduler;
	line(p, 0, "grants", "%s, %s leases, %s revoked, %s overruns of the budget",
		num(s, "grants", 0), num(s, "leases", 0), num(s, "revokes", 0),
		num(s, "overruns", 0));
	line(p, 0, "others", "%s frames over their GPU budget, %s not timed (guest began late)",
		num(vm->frame, "over_budget", 0), num(vm->frame, "idle", 0));
	line(p, 0, "objects", "%llu contexts, %llu frames shown without a copy",
		count(vm->vm, "contexts"), count(vm->vm, "zero_copy_frames"));
}

/* One bin: "< 16.33 ms █████   123". */
static void draw_bin(struct page *p, const struct bn_view_vm *vm, unsigned i, uint64_t most)
{
	char label[64], number[BN_TEXT_NUMBER];
	uint64_t n = vm->past->bins[i];
	bool last = i == BN_VIEW_BINS - 1, missed = i >= BN_VIEW_BINS - BN_VIEW_BINS_MISSED;
	unsigned width = p->g->cols > 40 ? p->g->cols - 30 : 10;
	if (p->row >= p->end)
		return;
	snprintf(label, sizeof(label), "%s %.2f ms", last ? "from" : "<",
		bn_view_bin_end[last ? i - 1 : i] * vm->period_ms);
	bn_grid_right(p->g, p->row, 0, 14, 0, label);
	for (unsigned k = 0; k < width && n > 0; k++) {
		uint32_t c = bn_text_bar((double)n / (double)most, k, width, p->g->ascii);
		bool tip = k == 0 && (c == 0x2591 || c == '.'); /* one of many still shows */
		if (tip)
			c = p->g->ascii ? '|' : 0x258f;
		if (c != 0x2591 && c != '.')
			bn_grid_cell(p->g, p->row, 15 + k, c, missed ? BN_STYLE_BAD : 0);
	}
	bn_grid_right(p->g, p->row++, 15 + width + 1, 12, missed && n ? BN_STYLE_BAD : 0,
		bn_text_number(number, (double)n, 12, 0));
}

static void draw_histogram(struct page *p, const struct bn_view_vm *vm)
{
	uint64_t most = 1;
	if (!vm->past || !vm->past->binned || !(vm->period_ms > 0))
		return;
	for (unsigned i = 0; i < BN_VIEW_BINS; i++)
		most = vm->past->bins[i] > most ? vm->past->bins[i] : most;
	line(p, BN_STYLE_DIM, "frame", "times of the %llu frames that were looked at here",
		(unsigned long long)vm->past->binned);
	for (unsigned i = 0; i < BN_VIEW_BINS; i++)
		draw_bin(p, vm, i, most);
}

void bn_detail_draw(struct bn_grid *g, unsigned first, unsigned rows, const struct bn_view_vm *vm,
	struct json_object *admission)
{
	struct page p = {.g = g, .row = first, .end = first + rows};
	const char *gl = bn_json_text(vm->vm, "gl_renderer");
	line(&p, vm->bad ? BN_STYLE_BAD : BN_STYLE_HEAD, "VM", "%s   class %s   %s   %s", vm->name,
		vm->class_name[0] ? vm->class_name : "-", vm->state[0] ? vm->state : "-",
		gl[0] ? gl : "2D only");
	draw_frames(&p, vm);
	draw_bound(&p, vm, admission);
	draw_gpu(&p, vm);
	draw_memory(&p, vm);
	draw_histogram(&p, vm);
	draw_more(&p, vm);
}
