#include "scheduler/admission.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "policy_priv.h"

/* Numbers that a remedy names are rounded down to that, and a batch is not cut shorter. */
#define STEP_NS UINT64_C(10000)
#define SHORTEST_BATCH_NS UINT64_C(100000)
/* A sum of fractions that may be off by that much still counts as 1. */
#define LOAD_MARGIN 1e-9

struct input {
	struct bn_policy_machine machine;
	struct bn_policy_vm vms[BN_POLICY_VMS_MAX];
	const struct bn_policy_vm *list[BN_POLICY_VMS_MAX];
	const char *const *names;
};

static double ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

static uint64_t step_down(uint64_t ns)
{
	return ns - ns % STEP_NS;
}

/* "what of vm NAME: …" */
static void remedy(const struct input *in, struct bn_admission_vm *a, const char *what, unsigned vm,
	const char *format, ...) __attribute__((format(printf, 5, 6)));
static void remedy(const struct input *in, struct bn_admission_vm *a, const char *what, unsigned vm,
	const char *format, ...)
{
	char number[16];
	const char *name = in->names ? in->names[vm] : NULL;
	if (!name) {
		snprintf(number, sizeof(number), "%u", vm);
		name = number;
	}
	int len = snprintf(a->remedy, sizeof(a->remedy), "%s of vm %.64s: ", what, name);
	va_list args;
	va_start(args, format);
	vsnprintf(a->remedy + len, sizeof(a->remedy) - (size_t)len, format, args);
	va_end(args);
}

static bool is_safety(const struct input *in, unsigned vm)
{
	return in->list[vm] && in->list[vm]->vm_class == BN_CLASS_SAFETY;
}

static bool has_budget(const struct input *in, unsigned vm)
{
	return in->list[vm] && in->list[vm]->budget_ns > 0 && in->list[vm]->period_ns > 0;
}

/* ---- safety ---- */

/* The longest batches that can be in the way of vm's frame: best-effort VMs', and those of other
 * safety VMs that have used up their budgets. *second_ns: of the VM next to it. */
static unsigned longest_batch(
	const struct input *in, unsigned vm, uint64_t *l_ns, uint64_t *second_ns)
{
	unsigned longest = BN_POLICY_VMS_MAX;
	*l_ns = *second_ns = 0;
	for (unsigned i = 0; i < BN_POLICY_COMPOSITOR; i++) {
		if (!in->list[i] || i == vm)
			continue;
		uint64_t l = in->list[i]->batch_max_ns;
		if (l > *l_ns) {
			*second_ns = *l_ns;
			*l_ns = l;
			longest = i;
		} else if (l > *second_ns) {
			*second_ns = l;
		}
	}
	return longest;
}

static uint64_t bound(const struct bn_admission_vm *a)
{
	return (a->g + UINT64_C(1)) * (a->k * a->l_ns + a->sigma_ns) + a->c_ns +
	       a->n * a->delta_ns + a->i_ns + a->others_ns;
}

/* The most that one term may be, all others being what they are. */
static bool suggest_batch(
	const struct input *in, struct bn_admission_vm *a, unsigned longest, uint64_t second_ns)
{
	uint64_t rest = bound(a) - (a->g + UINT64_C(1)) * a->k * a->l_ns;
	if (a->k == 0 || longest == BN_POLICY_VMS_MAX || rest > a->d_ns)
		return false;
	uint64_t most = step_down((a->d_ns - rest) / (a->g + UINT64_C(1)) / a->k);
	if (most < SHORTEST_BATCH_NS || most < second_ns)
		return false;
	remedy(in, a, "batch-max", longest, "at most %.2f ms", ms(most));
	return true;
}

static bool suggest_budget(
	const struct input *in, struct bn_admission_vm *a, unsigned vm, uint64_t least_ns)
{
	uint64_t rest = bound(a) - a->c_ns;
	uint64_t most = step_down(bn_less(a->d_ns, rest));
	if (most == 0 || most < least_ns)
		return false;
	remedy(in, a, "budget", vm, "at most %.2f ms", ms(most));
	return true;
}

static bool suggest_gaps(const struct input *in, struct bn_admission_vm *a, unsigned vm)
{
	uint64_t each = a->k * a->l_ns + a->sigma_ns, rest = bound(a) - a->g * each;
	if (a->g == 0 || rest > a->d_ns)
		return false;
	remedy(in, a, "gaps", vm, "at most %u", (unsigned)((a->d_ns - rest) / each));
	return true;
}

static bool suggest_in_flight(struct bn_admission_vm *a)
{
	struct bn_admission_vm less = *a;
	while (less.k > 1) {
		less.k--;
		if (bound(&less) > a->d_ns)
			continue;
		snprintf(a->remedy, sizeof(a->remedy), "batches in flight: at most %u", less.k);
		return true;
	}
	return false;
}

static void suggest(const struct input *in, struct bn_admission_vm *a, unsigned vm,
	unsigned longest, uint64_t second_ns)
{
	/* Half a budget is hardly what the VM needs: then it is not the first thing to name. */
	if (suggest_batch(in, a, longest, second_ns) || suggest_budget(in, a, vm, a->c_ns / 2) ||
		suggest_gaps(in, a, vm) || suggest_in_flight(a) || suggest_budget(in, a, vm, 0))
		return;
	remedy(in, a, "period", vm, "at least %.2f ms",
		ms(step_down(bound(a) + a->s_ns + STEP_NS - 1)));
}

static void test_safety(const struct input *in, struct bn_admission_vm *a, unsigned vm)
{
	const struct bn_policy_vm *v = in->list[vm];
	uint64_t second_ns;
	unsigned longest = longest_batch(in, vm, &a->l_ns, &second_ns);
	a->g = v->gaps;
	a->k = in->machine.preemptive ? 0 : in->machine.in_flight;
	a->n = v->batches;
	a->sigma_ns = in->machine.dispatch_ns;
	a->c_ns = v->budget_ns;
	a->delta_ns = in->machine.batch_overhead_ns;
	a->i_ns = in->machine.compositor_ns;
	a->t_ns = v->period_ns;
	a->s_ns = in->machine.lead_ns;
	a->d_ns = bn_less(a->t_ns, a->s_ns);
	if (v->period_ns == 0) {
		a->r_ns = bound(a);
		remedy(in, a, "period", vm, "it has to be set");
		return;
	}
	a->others_ns = bn_guard_others(&in->machine, in->list, vm);
	a->r_ns = bound(a);
	if (v->budget_ns == 0) {
		uint64_t most = step_down(bn_less(a->d_ns, a->r_ns));
		remedy(in, a, "budget", vm, "it has to be set, to at most %.2f ms", ms(most));
		return;
	}
	a->admitted = a->r_ns <= a->d_ns;
	if (!a->admitted)
		suggest(in, a, vm, longest, second_ns);
}

/* ---- constant-bandwidth servers ---- */

/* Deadline order; VMs without a reservation have none and come last. */
static bool comes_after(const struct input *in, unsigned j, unsigned i)
{
	uint64_t ti = in->list[i]->period_ns, tj = in->list[j]->period_ns;
	if (is_safety(in, j))
		return tj > ti;
	return !has_budget(in, j) || tj > ti || (tj == ti && j > i);
}

static uint64_t frame_of(const struct input *in, unsigned vm)
{
	return in->list[vm]->budget_ns + in->list[vm]->batches * in->machine.batch_overhead_ns;
}

/* The part of the GPU that the VM has reserved. */
static double rate(const struct input *in, unsigned vm)
{
	if (!has_budget(in, vm))
		return 0;
	uint64_t used = is_safety(in, vm) ? frame_of(in, vm) : in->list[vm]->budget_ns;
	return (double)used / (double)in->list[vm]->period_ns;
}

/* What cannot be interrupted and may be in front of vm i: batches, or a whole frame. *longest: whose
 * batch, BN_POLICY_VMS_MAX if it is no batch; *second_ns: blocking without that VM. */
static uint64_t blocking(const struct input *in, unsigned i, unsigned *longest, uint64_t *second_ns)
{
	uint64_t most = 0;
	*longest = BN_POLICY_VMS_MAX;
	*second_ns = 0;
	for (unsigned j = 0; j < BN_POLICY_COMPOSITOR; j++) {
		if (j == i || !in->list[j] || !comes_after(in, j, i))
			continue;
		uint64_t b =
			in->machine.in_flight * in->list[j]->batch_max_ns + in->machine.dispatch_ns;
		bool frame = is_safety(in, j);
		if (frame)
			b = frame_of(in, j);
		if (b <= most) {
			*second_ns = b > *second_ns ? b : *second_ns;
			continue;
		}
		*second_ns = most;
		most = b;
		*longest = frame ? BN_POLICY_VMS_MAX : j;
	}
	return most;
}

static double compositor_rate(const struct input *in)
{
	uint64_t period = UINT64_MAX;
	for (unsigned i = 0; i < BN_POLICY_COMPOSITOR; i++)
		if (is_safety(in, i) && in->list[i]->period_ns > 0)
			period = bn_least(period, in->list[i]->period_ns);
	return period == UINT64_MAX ? 0 : (double)in->machine.compositor_ns / (double)period;
}

static void suggest_server(const struct input *in, struct bn_admission_vm *a, unsigned vm,
	double sum, unsigned longest, uint64_t second_ns)
{
	const struct bn_policy_vm *v = in->list[vm];
	double room = (1 - sum) * (double)v->period_ns;
	if (longest < BN_POLICY_VMS_MAX && room > (double)in->machine.dispatch_ns) {
		uint64_t most = step_down(
			((uint64_t)(room + 0.5) - in->machine.dispatch_ns) / in->machine.in_flight);
		if (most >= SHORTEST_BATCH_NS && (double)second_ns <= room + 0.5) {
			remedy(in, a, "batch-max", longest, "at most %.2f ms", ms(most));
			return;
		}
	}
	double most = (1 - a->load) * (double)v->period_ns + (double)v->budget_ns;
	if (most >= (double)STEP_NS)
		remedy(in, a, "budget", vm, "at most %.2f ms",
			ms(step_down((uint64_t)(most + 0.5))));
	else
		remedy(in, a, "budget", vm, "none, others have reserved too much");
}

static void test_server(const struct input *in, struct bn_admission_vm *a, unsigned vm)
{
	const struct bn_policy_vm *v = in->list[vm];
	if (v->budget_ns == 0) {
		a->admitted = true;
		return;
	}
	if (v->period_ns == 0) {
		remedy(in, a, "period", vm, "it has to be set for a budget");
		return;
	}
	/* Safety VMs come first whatever their periods. */
	double sum = compositor_rate(in) + rate(in, vm);
	for (unsigned j = 0; j < BN_POLICY_COMPOSITOR; j++)
		if (j != vm && has_budget(in, j) && (is_safety(in, j) || !comes_after(in, j, vm)))
			sum += rate(in, j);
	unsigned longest;
	uint64_t second_ns;
	a->t_ns = v->period_ns;
	a->c_ns = v->budget_ns;
	a->k = in->machine.in_flight;
	a->sigma_ns = in->machine.dispatch_ns;
	a->blocking_ns = blocking(in, vm, &longest, &second_ns);
	a->load = sum + (double)a->blocking_ns / (double)v->period_ns;
	a->admitted = a->load <= 1 + LOAD_MARGIN;
	if (!a->admitted)
		suggest_server(in, a, vm, sum, longest, second_ns);
}

/* ---- all of them ---- */

static void take(struct input *in, const struct bn_policy_machine *machine,
	const struct bn_policy_vm *const vms[BN_POLICY_VMS_MAX], const char *const *names)
{
	memset(in, 0, sizeof(*in));
	in->names = names;
	in->machine = *machine;
	bn_policy_take_machine(&in->machine);
	for (unsigned i = 0; i < BN_POLICY_COMPOSITOR; i++) {
		if (!vms[i])
			continue;
		bn_policy_take_params(&in->vms[i], vms[i]);
		in->list[i] = &in->vms[i];
	}
}

void bn_admission_test(struct bn_admission *out, const struct bn_policy_machine *machine,
	const struct bn_policy_vm *const vms[BN_POLICY_VMS_MAX],
	const char *const names[BN_POLICY_VMS_MAX])
{
	struct input in;
	take(&in, machine, vms, names);
	memset(out, 0, sizeof(*out));
	out->admitted = true;
	out->utilisation = compositor_rate(&in);
	for (unsigned i = 0; i < BN_POLICY_COMPOSITOR; i++) {
		struct bn_admission_vm *a = &out->vm[i];
		if (!in.list[i])
			continue;
		a->present = true;
		a->vm_class = in.list[i]->vm_class;
		if (is_safety(&in, i))
			test_safety(&in, a, i);
		else
			test_server(&in, a, i);
		out->utilisation += rate(&in, i);
		out->admitted &= a->admitted;
	}
}
