/* Events, the GPU, and renderers as backend-host/renderer/gate.h has them. */
#include <stdlib.h>
#include <string.h>

#include "world.h"

/* Trips within this time lead to quarantine, which lasts as long. */
#define WATCHDOG_WINDOW (60 * S)
#define WATCHDOG_TRIPS 3u

/* ---- the GPU ---- */

static void gpu_start(struct world *w)
{
	w->gpu_end = w->gpu_count > 0 ? w->now + w->gpu[0].left : NEVER;
}

static bool safety(const struct world *w, unsigned vm)
{
	return w->vm[vm].guest->policy.vm_class == BN_CLASS_SAFETY;
}

/* A GPU that can interrupt puts safety batches first, others wait with what they have left. */
static unsigned gpu_place(struct world *w, unsigned vm)
{
	unsigned place = 0;

	if (!w->scenario->machine.preemptive || !safety(w, vm))
		return w->gpu_count;
	while (place < w->gpu_count && safety(w, w->gpu[place].vm))
		place++;
	if (place == 0 && w->gpu_count > 0)
		w->gpu[0].left = w->gpu_end - w->now;
	return place;
}

static void gpu_push(struct world *w, unsigned vm, uint64_t cost, uint64_t predicted)
{
	const struct bn_policy_machine *m = &w->scenario->machine;
	struct vm *v = &w->vm[vm];
	unsigned place;

	if (w->gpu_count == GPU_QUEUE)
		abort(); /* ten VMs with at most 16 batches each */
	place = gpu_place(w, vm);
	memmove(&w->gpu[place + 1], &w->gpu[place], (w->gpu_count - place) * sizeof(*w->gpu));
	w->gpu[place] = (struct batch){.vm = vm,
		.cost = cost,
		.predicted = predicted,
		.left = cost + m->batch_overhead_ns / 2 +
			psim_below(&w->random, m->batch_overhead_ns / 2 + 1)};
	w->gpu_count++;
	v->at_gpu++;
	v->at_gpu_predicted += predicted;
	if (place == 0)
		gpu_start(w);
}

/* ---- the arbiter ---- */

/* It is awake: it sees in the pages what everyone has used. */
static void arbiter_charge(struct world *w)
{
	while (w->uncharged) {
		unsigned i = (unsigned)__builtin_ctz(w->uncharged);
		struct vm *vm = &w->vm[i];

		w->uncharged &= w->uncharged - 1;
		w->policy->charge(w->state, i, vm->uncharged, vm->uncharged_predicted, w->now);
		vm->uncharged = vm->uncharged_predicted = 0;
	}
}

static void renderer_ask(struct world *w, unsigned i)
{
	struct vm *vm = &w->vm[i];

	if (vm->queued == 0 || vm->waiting || vm->holding)
		return;
	guest_head(w, vm);
	vm->waiting = true;
	w->policy->request(w->state, i, vm->head_predicted, w->now);
}

static void renderer_return(struct world *w, unsigned i)
{
	struct vm *vm = &w->vm[i];

	if (vm->announced && vm->queued == 0)
		w->policy->withdraw(w->state, i, w->now);
	vm->holding = vm->announced = false;
	if (vm->batches_in_grant == 0 && vm->kind != BN_GRANT_LEASE)
		w->result->empty_grants++;
	w->policy->give_back(w->state, i, w->now);
	renderer_ask(w, i);
}

static void arbiter_grant(struct world *w, const struct bn_policy_decision *d)
{
	const struct bn_policy_machine *m = &w->scenario->machine;
	struct vm *vm = &w->vm[d->vm];

	vm->waiting = false;
	vm->holding = vm->starting = true;
	vm->revoked = false;
	vm->kind = d->kind;
	vm->allow = d->allow_ns;
	vm->until = d->until_ns;
	vm->used = 0;
	vm->batches_in_grant = 0;
	w->result->grants++;
	w->result->leases += d->kind == BN_GRANT_LEASE;
	/* Most often as late as it may be. */
	*world_slot(w, d->vm, SLOT_START) =
		w->now + (psim_below(&w->random, 2) ? m->dispatch_ns
						    : psim_below(&w->random, m->dispatch_ns + 1));
}

/* Leases without work end at once, anything else when the GPU has finished it. */
static void arbiter_revoke(struct world *w, unsigned i)
{
	struct vm *vm = &w->vm[i];

	w->result->revokes++;
	vm->revoked = true;
	if (vm->at_gpu > 0 || !vm->holding)
		return;
	vm->starting = false;
	*world_slot(w, i, SLOT_START) = NEVER;
	renderer_return(w, i);
}

static void arbiter_decide(struct world *w)
{
	struct bn_policy_decision d;

	for (;;) {
		w->policy->next(w->state, w->now, &d);
		w->result->decisions++;
		if (d.what == BN_DECIDE_GRANT)
			arbiter_grant(w, &d);
		else if (d.what == BN_DECIDE_REVOKE)
			arbiter_revoke(w, d.vm);
		else
			break;
	}
	w->policy_wake = d.wake_ns;
}

/* ---- renderers ---- */

/* Room at the GPU for one more batch of this VM. A grant of batches has one there at a time: the
 * next one starts when it is known what the last one cost. */
static bool renderer_room(const struct world *w, const struct vm *vm)
{
	if (vm->at_gpu == 0 || vm->kind == BN_GRANT_FRAME)
		return true;
	if (w->policy->ahead)
		return vm->at_gpu < w->policy->ahead;
	return vm->kind == BN_GRANT_LEASE && vm->at_gpu < w->scenario->machine.in_flight &&
	       vm->at_gpu_predicted <= vm->guest->policy.ahead_max_ns;
}

/* The head would end in time, as predicted, behind what is at the GPU. */
static bool renderer_in_time(const struct world *w, const struct vm *vm)
{
	uint64_t predicted = vm->head_predicted, limit = vm->guest->policy.batch_max_ns;

	if (predicted > limit)
		predicted = limit;
	return vm->until == NEVER || w->now + vm->at_gpu_predicted + predicted <= vm->until;
}

static bool renderer_allowed(const struct vm *vm)
{
	return vm->batches_in_grant == 0 || vm->kind == BN_GRANT_LEASE ||
	       (vm->allow >= vm->used && vm->head_predicted <= vm->allow - vm->used);
}

/* Starts what may be started. True: the grant is over, but for what is at the GPU. */
static bool renderer_run(struct world *w, unsigned i)
{
	struct vm *vm = &w->vm[i];

	while (vm->queued > 0 && !vm->waiting) {
		guest_head(w, vm);
		if (vm->revoked || !renderer_allowed(vm))
			return true;
		if (!renderer_room(w, vm))
			return false;
		if (!renderer_in_time(w, vm))
			return true;
		vm->used += vm->head_predicted;
		vm->batches_in_grant++;
		gpu_push(w, i, vm->head, vm->head_predicted);
		guest_taken(vm);
	}
	return vm->revoked || vm->kind == BN_GRANT_BATCH || !vm->open;
}

/* Under a lease that must end before the next batch would: asks although it holds one. */
static void renderer_ask_on(struct world *w, unsigned i)
{
	struct vm *vm = &w->vm[i];

	vm->waiting = true;
	arbiter_charge(w);
	w->policy->request(w->state, i, vm->head_predicted, w->now);
}

static bool renderer_hold(struct world *w, unsigned i)
{
	struct vm *vm = &w->vm[i];

	if (!renderer_run(w, i))
		return false;
	if (vm->kind == BN_GRANT_LEASE && !vm->revoked) {
		if (vm->queued == 0 || vm->waiting)
			return false;
		renderer_ask_on(w, i);
		return true;
	}
	if (vm->at_gpu > 0)
		return false;
	arbiter_charge(w);
	renderer_return(w, i);
	return true;
}

/* A frame's grant is kept while nothing is queued, and the arbiter is told so. */
static bool renderer_tell(struct world *w, unsigned i)
{
	struct vm *vm = &w->vm[i];

	if (!vm->holding || vm->kind != BN_GRANT_FRAME || vm->revoked || !vm->open)
		return false;
	if (vm->queued > 0 && vm->at_gpu == 0 && vm->batches_in_grant > 0) {
		arbiter_charge(w);
		guest_head(w, vm);
		vm->announced = true;
		w->policy->request(w->state, i, vm->head_predicted, w->now);
		return true;
	}
	if (vm->queued > 0 || vm->at_gpu > 0)
		return false;
	arbiter_charge(w);
	vm->announced = false;
	w->policy->withdraw(w->state, i, w->now);
	return true;
}

/* Something has changed for this renderer. True: the arbiter has been woken. */
static bool renderer_wake(struct world *w, unsigned i)
{
	struct vm *vm = &w->vm[i];
	bool told;

	if (vm->starting)
		return false;
	if (!vm->holding) {
		if (vm->queued == 0 || vm->waiting)
			return false;
		arbiter_charge(w);
		renderer_ask(w, i);
		return true;
	}
	told = renderer_tell(w, i);
	return renderer_hold(w, i) || told;
}

/* ---- events ---- */

static void watchdog_trip(struct world *w, unsigned i)
{
	struct vm *vm = &w->vm[i];

	w->result->trips++;
	if (vm->trips == 0 || w->now - vm->first_trip > WATCHDOG_WINDOW) {
		vm->trips = 0;
		vm->first_trip = w->now;
	}
	if (++vm->trips < WATCHDOG_TRIPS)
		return;
	vm->trips = 0;
	vm->held = w->window_spoiled = true;
	w->result->quarantines++;
	arbiter_charge(w);
	w->policy->hold(w->state, i, true, w->now);
	vm->revoked = true;
	*world_slot(w, i, SLOT_SHOWN) = w->now + WATCHDOG_WINDOW;
}

static void event_gpu(struct world *w)
{
	struct batch done = w->gpu[0];
	struct vm *vm = &w->vm[done.vm];
	uint64_t watchdog = w->scenario->watchdog_ns;
	bool ended = false;

	memmove(&w->gpu[0], &w->gpu[1], --w->gpu_count * sizeof(*w->gpu));
	gpu_start(w);
	vm->at_gpu--;
	vm->at_gpu_predicted -= done.predicted;
	if (done.cost > done.predicted)
		vm->used += done.cost - done.predicted;
	vm->uncharged += done.cost;
	vm->uncharged_predicted += done.predicted;
	vm->window += done.cost;
	w->uncharged |= 1u << done.vm;
	w->result->gpu[done.vm] += done.cost;
	w->result->batches[done.vm]++;
	if (watchdog && done.cost > watchdog && w->policy->hold && !safety(w, done.vm))
		watchdog_trip(w, done.vm);
	if (vm->queued == 0 && vm->at_gpu == 0)
		ended = guest_dry(w, done.vm);
	if (ended) {
		measure_done(w, done.vm);
		arbiter_charge(w);
		w->policy->frame_end(w->state, done.vm, w->now);
	}
	if (renderer_wake(w, done.vm) || ended)
		arbiter_decide(w);
}

static void event_guest(struct world *w, unsigned i)
{
	struct vm *vm = &w->vm[i];
	bool waited = vm->waiting;

	if (guest_timer(w, i)) {
		if (renderer_wake(w, i))
			arbiter_decide(w);
	} else if (waited) {
		vm->waiting = false;
		vm->head = 0;
		arbiter_charge(w);
		w->policy->withdraw(w->state, i, w->now);
		arbiter_decide(w);
	}
}

static void event_start(struct world *w, unsigned i)
{
	w->vm[i].starting = false;
	*world_slot(w, i, SLOT_START) = NEVER;
	if (renderer_wake(w, i))
		arbiter_decide(w);
}

/* A display has shown the VM's frame; of a VM without one: its quarantine is over. */
static void event_shown(struct world *w, unsigned i)
{
	struct vm *vm = &w->vm[i];

	*world_slot(w, i, SLOT_SHOWN) = NEVER;
	arbiter_charge(w);
	if (vm->held) {
		vm->held = false;
		w->window_spoiled = true;
		w->policy->hold(w->state, i, false, w->now);
	} else {
		if (vm->release != NEVER)
			measure_shown(w, i);
		w->policy->release(w->state, i, w->now, w->now);
		guest_shown(w, i);
	}
	arbiter_decide(w);
}

static void event(struct world *w, unsigned slot)
{
	if (slot < w->count * SLOT_KINDS) {
		unsigned i = slot / SLOT_KINDS;

		switch (slot % SLOT_KINDS) {
		case SLOT_GUEST:
			event_guest(w, i);
			break;
		case SLOT_START:
			event_start(w, i);
			break;
		default:
			event_shown(w, i);
		}
	} else {
		w->policy_wake = NEVER;
		arbiter_charge(w);
		arbiter_decide(w);
	}
}

/* The earliest of all timers; the GPU's end comes before others of the same time. */
static void step(struct world *w)
{
	unsigned slots = w->count * SLOT_KINDS, first = slots;
	uint64_t at = w->policy_wake;

	for (unsigned i = 0; i < slots; i++) {
		if (w->at[i] < at) {
			at = w->at[i];
			first = i;
		}
	}
	if (at < w->now) /* a wake-up for a time that has passed */
		at = w->now;
	if (w->window_start + S <= at && w->window_start + S <= w->gpu_end) {
		measure_pass(w, w->window_start + S);
		measure_window(w);
		return;
	}
	w->result->events++;
	measure_pass(w, w->gpu_end <= at ? w->gpu_end : at);
	if (w->gpu_end <= at)
		event_gpu(w);
	else
		event(w, first);
}

static int begin(struct world *w, uint64_t seed)
{
	const struct psim_scenario *s = w->scenario;
	struct bn_admission *admission = malloc(sizeof(*admission));

	if (!admission)
		return -1;
	psim_admit(s, admission);
	measure_begin(w, admission);
	free(admission);
	w->random = seed;
	w->count = psim_guests(s);
	w->gpu_end = w->policy_wake = NEVER;
	for (unsigned i = 0; i < w->count * SLOT_KINDS; i++)
		w->at[i] = NEVER;
	for (unsigned i = 0; i < w->count; i++) {
		w->vm[i].guest = &s->guests[i];
		w->vm[i].random = psim_random(&w->random);
		w->policy->vm_set(w->state, i, &s->guests[i].policy, 0);
		guest_begin(w, i);
	}
	return 0;
}

int psim_run(const struct psim_scenario *s, const struct psim_policy *policy, uint64_t frames,
	uint64_t seed, struct psim_result *out)
{
	struct world *w = calloc(1, sizeof(*w));
	uint64_t limit = frames * 6 * s->guests[0].policy.period_ns;

	memset(out, 0, sizeof(*out));
	if (!w)
		return -1;
	w->scenario = s;
	w->policy = policy;
	w->result = out;
	w->state = policy->create(policy, s->told ? s->told : &s->machine);
	if (!w->state || begin(w, seed) < 0) {
		free(w);
		return -1;
	}
	while (out->frames[0].frames < frames && w->now < limit)
		step(w);
	measure_end(w);
	policy->destroy(w->state);
	free(w);
	return 0;
}
