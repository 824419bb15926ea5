/* What guests do with their time, and what their batches cost. */
#include "world.h"

static bool one_in(struct vm *vm, unsigned n)
{
	return n > 0 && psim_below(&vm->random, n) == 0;
}

uint64_t world_next_vblank(const struct world *w, const struct psim_guest *g, uint64_t after)
{
	uint64_t period = g->policy.period_ns, phase = g->phase;

	if (after <= phase)
		return phase;
	return phase + (after - phase + period - 1) / period * period;
}

uint64_t psim_guest_time(const struct psim_guest *g)
{
	return g->think.max + g->gaps * g->gap.max;
}

void guest_begin(struct world *w, unsigned i)
{
	struct vm *vm = &w->vm[i];
	const struct psim_guest *g = vm->guest;
	uint64_t first = 0;

	switch (g->kind) {
	case PSIM_FRAMES:
	case PSIM_WAKES:
		/* The display shows its first picture, which is nobody's frame. */
		vm->release = NEVER;
		*world_slot(w, i, SLOT_SHOWN) = g->phase;
		return;
	case PSIM_BURSTS:
		first = g->phase;
		break;
	default:
		first = psim_below(&vm->random, MS);
	}
	*world_slot(w, i, SLOT_GUEST) = first;
}

static void frame_begin(struct vm *vm)
{
	const struct psim_guest *g = vm->guest;

	vm->open = true;
	vm->unqueued = (unsigned)psim_within(&vm->random, g->batches);
	vm->frame_left = psim_within(&vm->random, one_in(vm, g->rare) ? g->rare_cost : g->cost);
	/* Most often as many gaps as it can, for they are what hurts. */
	vm->gaps_left = one_in(vm, 4) ? (unsigned)psim_below(&vm->random, g->gaps + 1) : g->gaps;
	if (vm->gaps_left >= vm->unqueued)
		vm->gaps_left = vm->unqueued - 1;
	vm->response = 0;
}

static void frame_queue(struct world *w, struct vm *vm)
{
	unsigned n = vm->unqueued;

	if (vm->gaps_left > 0) {
		n = 1 + (unsigned)psim_below(&vm->random, vm->unqueued - vm->gaps_left);
		vm->gaps_left--;
	}
	vm->unqueued -= n;
	vm->queued += n;
	vm->queued_since = w->now;
}

bool guest_timer(struct world *w, unsigned i)
{
	struct vm *vm = &w->vm[i];
	const struct psim_guest *g = vm->guest;
	uint64_t *slot = world_slot(w, i, SLOT_GUEST);

	*slot = NEVER;
	switch (g->kind) {
	case PSIM_FRAMES:
	case PSIM_WAKES:
		if (!vm->open)
			frame_begin(vm);
		frame_queue(w, vm);
		break;
	case PSIM_BURSTS:
		if (vm->queued < 64)
			vm->queued += (unsigned)psim_within(&vm->random, g->batches);
		*slot = w->now + g->sleep.min;
		break;
	case PSIM_FICKLE:
		if (vm->queued == 0) {
			vm->queued = 1;
			*slot = w->now + psim_within(&vm->random, g->think);
		} else if (vm->waiting) {
			vm->queued = 0;
			*slot = w->now + psim_within(&vm->random, g->sleep);
		}
		break;
	default:
		vm->queued = 1;
	}
	return vm->queued > 0;
}

/* About an equal part of what is left, and all of it for the last batch; a best-effort VM's is cut
 * to its longest, overhead included. */
static uint64_t frame_piece(const struct world *w, struct vm *vm)
{
	unsigned left = vm->unqueued + vm->queued;
	uint64_t mean = vm->frame_left / left, piece = vm->frame_left;
	uint64_t limit = vm->guest->policy.batch_max_ns - w->scenario->machine.batch_overhead_ns;

	if (left > 1)
		piece = mean / 2 + psim_below(&vm->random, mean + 1);
	if (vm->guest->policy.vm_class != BN_CLASS_SAFETY && piece > limit)
		piece = limit;
	return piece > 0 ? piece : 1;
}

static uint64_t predict(struct vm *vm)
{
	const struct psim_guest *g = vm->guest;
	bool lies = false;

	if (g->lie > 1) {
		lies = vm->in_turn >= g->honest;
		if (++vm->in_turn >= g->honest + g->lies)
			vm->in_turn = 0;
	}
	if (lies)
		return vm->head / g->lie + 1;
	if (one_in(vm, 100)) /* the quantile that the cost model aims at */
		return vm->head - vm->head / 16;
	return vm->head + psim_below(&vm->random, vm->head / 8 + 1);
}

void guest_head(struct world *w, struct vm *vm)
{
	const struct psim_guest *g = vm->guest;

	if (vm->head)
		return;
	if (guest_has_display(g)) {
		vm->head = frame_piece(w, vm);
		vm->frame_left -= vm->head < vm->frame_left ? vm->head : vm->frame_left;
	} else if (one_in(vm, g->rare)) {
		vm->head = psim_within(&vm->random, g->rare_cost);
	} else {
		vm->head = psim_within(
			&vm->random, !w->policy->cuts && g->uncut.max ? g->uncut : g->cost);
	}
	vm->head_predicted = predict(vm);
}

void guest_taken(struct vm *vm)
{
	vm->head = 0;
	if (vm->guest->kind != PSIM_SATURATES)
		vm->queued--;
}

bool guest_dry(struct world *w, unsigned i)
{
	struct vm *vm = &w->vm[i];
	const struct psim_guest *g = vm->guest;

	if (g->kind == PSIM_FICKLE)
		*world_slot(w, i, SLOT_GUEST) = w->now + psim_within(&vm->random, g->sleep);
	if (!guest_has_display(g))
		return false;
	vm->response += w->now - vm->queued_since;
	if (vm->unqueued > 0) {
		*world_slot(w, i, SLOT_GUEST) = w->now + psim_within(&vm->random, g->gap);
		return false;
	}
	vm->open = false;
	*world_slot(w, i, SLOT_SHOWN) =
		world_next_vblank(w, g, w->now + w->scenario->machine.lead_ns);
	return true;
}

void guest_shown(struct world *w, unsigned i)
{
	struct vm *vm = &w->vm[i];
	const struct psim_guest *g = vm->guest;

	vm->release = w->now;
	if (g->kind == PSIM_WAKES)
		vm->release += psim_within(&vm->random, g->sleep);
	*world_slot(w, i, SLOT_GUEST) = vm->release + psim_within(&vm->random, g->think);
}
