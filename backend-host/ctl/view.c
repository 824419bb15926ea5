#include "view.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "json.h"

const double bn_view_bin_end[BN_VIEW_BINS - 1] = {0.5, 0.98, 1.02, 1.1, 1.5, 2.5};

/* ---- between two answers ---- */

/* The VM's entry; a free one, or one whose VM is gone, when it is new. */
static struct bn_view_past *past_of(struct bn_view *view, const char *name, unsigned i)
{
	for (unsigned k = 0; k < BN_VIEW_VMS_MAX; k++) {
		if (strcmp(view->past[k].name, name) == 0)
			return &view->past[k];
	}
	for (unsigned k = 0; k < BN_VIEW_VMS_MAX; k++) {
		if (!view->past[k].name[0]) {
			snprintf(view->past[k].name, sizeof(view->past[k].name), "%s", name);
			return &view->past[k];
		}
	}
	view->past[i] = (struct bn_view_past){0};
	snprintf(view->past[i].name, sizeof(view->past[i].name), "%s", name);
	return &view->past[i];
}

static void bin(struct bn_view_past *past, double ms, double period_ms)
{
	unsigned i = 0;
	while (i < BN_VIEW_BINS - 1 && ms >= bn_view_bin_end[i] * period_ms)
		i++;
	past->bins[i]++;
	past->binned++;
}

/* The answer brings the last 60 frames; of them those count that are newer than the answer before. */
static void bin_fresh(struct bn_view_past *past, const struct bn_view_vm *vm, double frames)
{
	unsigned fresh = vm->recent;
	/* A count that went back was reset in between. */
	double more = frames >= past->frames ? frames - past->frames : frames;
	if (past->known && more < fresh)
		fresh = (unsigned)more;
	for (unsigned i = vm->recent - fresh; i < vm->recent && vm->period_ms > 0; i++)
		bin(past, vm->recent_ms[i], vm->period_ms);
}

static double or_zero(double n)
{
	return isfinite(n) ? n : 0;
}

static void compare(struct bn_view_past *past, struct bn_view_vm *vm, double time_ms)
{
	double gpu_ms = bn_json_number(vm->scheduler, "gpu_ms");
	double frames = or_zero(bn_json_number(vm->frame, "count"));
	double misses = vm->number[BN_COL_MISSES];
	double elapsed = time_ms - past->time_ms;
	vm->fresh_misses = NAN;
	/* Our own difference: the service's is since anybody's question before. */
	if (past->known && elapsed > 0 && gpu_ms >= past->gpu_ms)
		vm->number[BN_COL_GPU] = 100.0 * (gpu_ms - past->gpu_ms) / elapsed;
	if (past->known)
		vm->fresh_misses = misses >= past->misses ? misses - past->misses : misses;
	bin_fresh(past, vm, frames);
	past->known = true;
	past->time_ms = time_ms;
	past->gpu_ms = or_zero(gpu_ms);
	past->frames = frames;
	past->misses = or_zero(misses);
	vm->past = past;
}

void bn_view_forget(struct bn_view *view)
{
	for (unsigned i = 0; i < BN_VIEW_VMS_MAX; i++) {
		memset(view->past[i].bins, 0, sizeof(view->past[i].bins));
		view->past[i].binned = 0;
	}
}

/* ---- one answer ---- */

static void read_state(struct bn_view_vm *vm)
{
	vm->state = bn_json_text(vm->vm, "state");
	if (bn_json_bool(vm->scheduler, "quarantined")) {
		vm->state = "quarantined";
		vm->bad = true;
	} else if (bn_json_bool(vm->scheduler, "held")) {
		vm->state = "held";
		vm->bad = true;
	} else if (bn_json_bool(vm->scheduler, "demoted")) {
		vm->state = "demoted";
		vm->bad = true;
	} else if (strcmp(vm->state, "restarting") == 0) {
		vm->bad = true;
	}
}

static void read_recent(struct bn_view_vm *vm)
{
	unsigned n;
	struct json_object *recent = bn_json_array(vm->frame, "recent_ms", &n);
	unsigned first = n > BN_VIEW_RECENT_MAX ? n - BN_VIEW_RECENT_MAX : 0;
	for (unsigned i = first; i < n; i++) {
		double ms = json_object_get_double(json_object_array_get_idx(recent, i));
		vm->recent_ms[vm->recent++] = isfinite(ms) && ms > 0 ? ms : 0;
	}
}

/* The service of old had no "frame": its latencies are the next best thing. */
static double frame_number(const struct bn_view_vm *vm, const char *key, const char *old)
{
	if (bn_json_number(vm->frame, "count") == 0)
		return NAN; /* no frame yet: its times are no zeros */
	return vm->frame ? bn_json_number(vm->frame, key) : bn_json_number(vm->vm, old);
}

static void read_vm(struct bn_view_vm *vm, struct json_object *object)
{
	*vm = (struct bn_view_vm){
		.vm = object,
		.scheduler = bn_json_member(object, "scheduler"),
		.frame = bn_json_member(object, "frame"),
	};
	snprintf(vm->name, sizeof(vm->name), "%s", bn_json_text(object, "name"));
	vm->class_name = bn_json_text(vm->scheduler, "class");
	read_state(vm);
	for (unsigned i = 0; i < BN_COLUMNS; i++)
		vm->number[i] = NAN;
	vm->period_ms = bn_json_number(vm->frame, "period_ms");
	if (!(vm->period_ms > 0))
		vm->period_ms = bn_json_number(vm->scheduler, "period_ms");
	vm->budget_ms = bn_json_number(vm->scheduler, "budget_ms");
	vm->longest_run = bn_json_number(vm->frame, "longest_miss_run");
	vm->quarantines = bn_json_number(vm->scheduler, "quarantines");
	vm->number[BN_COL_FPS] = bn_json_number(object, "fps");
	vm->number[BN_COL_P50] = frame_number(vm, "p50_ms", "latency_p50_ms");
	vm->number[BN_COL_P99] = frame_number(vm, "p99_ms", "latency_p99_ms");
	vm->number[BN_COL_MAX] = frame_number(vm, "max_ms", "latency_max_ms");
	vm->number[BN_COL_GPU] = vm->scheduler ? bn_json_number(vm->scheduler, "gpu_percent")
					       : bn_json_number(object, "gpu_busy_percent");
	vm->number[BN_COL_WAIT] = bn_json_number(vm->scheduler, "wait_p99_ms");
	vm->number[BN_COL_MISSES] = bn_json_number(vm->frame, "misses");
	vm->number[BN_COL_FAULTS] = bn_json_number(object, "faults");
	read_recent(vm);
}

/* What the GPU did for the VM in one of its periods, on average since the answer before. */
static void read_budget(struct bn_view_vm *vm)
{
	double period = bn_json_number(vm->scheduler, "period_ms");
	vm->used = vm->budget_ms > 0 && period > 0
			   ? vm->number[BN_COL_GPU] / 100.0 * period / vm->budget_ms
			   : NAN;
	vm->number[BN_COL_BUDGET] = vm->used;
	vm->number[BN_COL_TIMES] = vm->recent ? vm->recent_ms[vm->recent - 1] : NAN;
}

void bn_view_read(struct bn_view *view, struct json_object *status)
{
	unsigned n;
	struct json_object *vms = bn_json_array(status, "vms", &n);
	double now = bn_json_number(status, "uptime_ms");
	view->count = n < BN_VIEW_VMS_MAX ? n : BN_VIEW_VMS_MAX;
	for (unsigned i = 0; i < view->count; i++) {
		struct bn_view_vm *vm = &view->vm[i];
		read_vm(vm, json_object_array_get_idx(vms, i));
		struct bn_view_past *past = past_of(view, vm->name, i);
		if (now < past->time_ms)
			past->known = false; /* another service than before */
		compare(past, vm, now);
		read_budget(vm);
	}
}

/* ---- order ---- */

static const char *name_of(const struct bn_view_vm *vm, enum bn_column column)
{
	return column == BN_COL_NAME    ? vm->name
	       : column == BN_COL_CLASS ? vm->class_name
					: vm->state;
}

/* Whether b belongs before a. */
static bool before(
	const struct bn_view_vm *a, const struct bn_view_vm *b, enum bn_column column, bool reverse)
{
	if (column <= BN_COL_STATE) {
		int diff = strcmp(name_of(b, column), name_of(a, column));
		return reverse ? diff > 0 : diff < 0;
	}
	double x = a->number[column], y = b->number[column];
	if (isnan(x) || isnan(y))
		return isnan(x) && !isnan(y);
	return reverse ? y < x : y > x;
}

void bn_view_sort(
	const struct bn_view *view, enum bn_column column, bool reverse, unsigned char *order)
{
	for (unsigned i = 0; i < view->count; i++) {
		unsigned k = i;
		for (; k > 0; k--) {
			if (!before(&view->vm[order[k - 1]], &view->vm[i], column, reverse))
				break;
			order[k] = order[k - 1];
		}
		order[k] = (unsigned char)i;
	}
}
