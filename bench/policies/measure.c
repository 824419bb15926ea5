/* Counting: frames against their deadline and bound, slack, shares. */
#include <math.h>
#include <string.h>

#include "world.h"

void measure_begin(struct world *w, const struct bn_admission *admission)
{
	for (unsigned i = 0; i < psim_guests(w->scenario); i++) {
		const struct bn_admission_vm *a = &admission->vm[i];
		const struct psim_guest *g = &w->scenario->guests[i];
		struct psim_frames *f = &w->result->frames[i];

		bn_histogram_init(&f->response);
		bn_histogram_init(&f->done);
		f->deadline = g->policy.period_ns - w->scenario->machine.lead_ns;
		if (g->policy.vm_class != BN_CLASS_SAFETY || !a->admitted || g->faulty)
			continue;
		f->bound = a->r_ns;
		f->promised =
			!w->scenario->beyond_bounds && a->r_ns + psim_guest_time(g) <= f->deadline;
	}
}

/* ---- slack ---- */

/* Until when a batch of `predicted` may be started so that this VM's next frame is done in time. */
static uint64_t guard_of(const struct world *w, const struct vm *vm, uint64_t predicted)
{
	const struct bn_policy_machine *m = &w->scenario->machine;
	const struct bn_policy_vm *p = &vm->guest->policy;
	uint64_t shown = w->at[(size_t)(vm - w->vm) * SLOT_KINDS + SLOT_SHOWN];
	uint64_t release = shown != NEVER ? shown : vm->release;
	uint64_t need = m->lead_ns + p->budget_ns + p->batches * m->batch_overhead_ns +
			m->compositor_ns + predicted + m->dispatch_ns;

	/* One that sleeps may wake at any time, and is owed a whole period from then on. */
	if (vm->guest->kind == PSIM_WAKES || m->preemptive)
		return NEVER;
	return release + p->period_ns > need ? release + p->period_ns - need : 0;
}

/* Time from now to `to` in which someone with work is kept waiting though nobody uses the GPU and
 * no safety frame needs it. */
static uint64_t lost(const struct world *w, uint64_t to)
{
	uint64_t until = to, predicted = NEVER;

	for (unsigned i = 0; i < w->count; i++) {
		const struct vm *vm = &w->vm[i];

		if (vm->guest->policy.vm_class == BN_CLASS_SAFETY) {
			if (vm->open)
				return 0;
		} else if (vm->queued > 0 && !vm->held) {
			uint64_t mine = vm->head_predicted;

			if (mine > vm->guest->policy.batch_max_ns)
				mine = vm->guest->policy.batch_max_ns;
			if (mine < predicted)
				predicted = mine;
		}
	}
	if (predicted == NEVER)
		return 0;
	for (unsigned i = 0; i < w->count; i++) {
		uint64_t guard;

		if (w->vm[i].guest->policy.vm_class != BN_CLASS_SAFETY)
			continue;
		guard = guard_of(w, &w->vm[i], predicted);
		if (guard < until)
			until = guard;
	}
	return until > w->now ? until - w->now : 0;
}

void measure_pass(struct world *w, uint64_t to)
{
	uint64_t time = to - w->now;

	if (time == 0)
		return;
	if (w->gpu_count > 0) {
		w->result->busy += time;
		if (w->vm[w->gpu[0].vm].guest->policy.vm_class != BN_CLASS_SAFETY) {
			w->result->slack += time;
			w->result->slack_used += time;
		}
	} else {
		w->result->slack += lost(w, to);
	}
	w->now = to;
}

/* ---- frames ---- */

void measure_done(struct world *w, unsigned i)
{
	struct vm *vm = &w->vm[i];
	struct psim_frames *f = &w->result->frames[i];
	double response = (double)vm->response;

	bn_histogram_add(&f->response, vm->response);
	bn_histogram_add(&f->done, w->now - vm->release);
	f->response_square += response * response;
	if (f->bound && vm->response > f->bound) {
		if (f->beyond++ == 0)
			f->beyond_at = w->now;
	}
}

static void count_refreshes(struct world *w, unsigned i, uint64_t missed)
{
	struct psim_frames *f = &w->result->frames[i];

	f->due += missed + 1;
	f->missed += missed;
	if (missed > 0 && f->missed_at == 0)
		f->missed_at = w->now;
	if (missed > f->longest_run)
		f->longest_run = missed;
}

/* Which vblank it had to be: the first one by which every frame with a response of D is done. */
void measure_shown(struct world *w, unsigned i)
{
	struct vm *vm = &w->vm[i];
	const struct psim_guest *g = vm->guest;
	struct psim_frames *f = &w->result->frames[i];
	uint64_t period = g->policy.period_ns;
	uint64_t due = world_next_vblank(w, g, vm->release + period);
	uint64_t missed = w->now > due ? (w->now - due) / period : 0;
	uint64_t after = (w->now - vm->release + period - 1) / period;

	f->frames++;
	count_refreshes(w, i, missed);
	f->shown_after[after < PSIM_REFRESHES ? after : PSIM_REFRESHES - 1]++;
	f->present_sum += w->now - vm->release;
	f->present_square += (double)(w->now - vm->release) * (double)(w->now - vm->release);
}

void measure_end(struct world *w)
{
	struct bn_policy_stats stats;

	w->result->elapsed = w->now;
	for (unsigned i = 0; i < w->count; i++) {
		struct vm *vm = &w->vm[i];
		uint64_t period = vm->guest->policy.period_ns;

		/* A frame that was never shown is late too. */
		if (guest_has_display(vm->guest) && w->now > vm->release + 2 * period)
			count_refreshes(w, i, (w->now - vm->release) / period - 1);
		if (!w->policy->stats)
			continue;
		w->policy->stats(w->state, i, &stats);
		w->result->guard_waits += stats.guard_waits;
		w->result->demotions += stats.demotions;
	}
}

/* ---- shares ---- */

static bool wants_always(const struct vm *vm)
{
	return vm->guest->kind == PSIM_SATURATES && !vm->held;
}

struct window {
	uint64_t total, reserved;
	double shares;
};

/* What it should have had of the window: its reservation, or its part of that when more is
 * reserved than there was; what is left goes by share. */
static double fair(const struct window *all, const struct bn_policy_vm *p)
{
	double mine = 0, total = (double)all->total, reserved = (double)all->reserved;

	if (p->budget_ns)
		mine = (double)p->budget_ns * (double)S / (double)p->period_ns;
	if (reserved >= total)
		return mine / reserved * total;
	return mine + (total - reserved) * p->share / all->shares;
}

static bool any_lies(const struct world *w)
{
	for (unsigned i = 0; i < w->count; i++) {
		if (w->vm[i].guest->lie > 1)
			return true;
	}
	return false;
}

/* Who lies may get less than its share, and others more. */
static double share_error(const struct vm *vm, double fair, bool lies)
{
	if (lies && vm->guest->lie > 1)
		return 0;
	return lies ? fair - (double)vm->window : fabs((double)vm->window - fair);
}

/* Of those who always want more. */
void measure_window(struct world *w)
{
	struct window all = {0};
	bool lies = any_lies(w);
	double worst = 0;

	for (unsigned i = 0; i < w->count; i++) {
		const struct bn_policy_vm *p = &w->vm[i].guest->policy;

		if (!wants_always(&w->vm[i]))
			continue;
		all.total += w->vm[i].window;
		all.reserved += p->budget_ns ? p->budget_ns * S / p->period_ns : 0;
		all.shares += p->share;
	}
	for (unsigned i = 0; i < w->count; i++) {
		struct vm *vm = &w->vm[i];

		if (wants_always(vm) && all.total > 0) {
			double error = share_error(vm, fair(&all, &vm->guest->policy), lies) /
				       (double)all.total;

			if (error > worst)
				worst = error;
		}
		vm->window = 0;
	}
	w->window_start += S;
	if (w->window_spoiled) {
		w->window_spoiled = false;
		return;
	}
	w->result->windows++;
	w->result->share_error_sum += worst;
	if (worst > w->result->share_error_max)
		w->result->share_error_max = worst;
}
