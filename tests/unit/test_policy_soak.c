/* Simulated guests, renderers and a GPU that takes batches in order and cannot be interrupted, let
 * loose on the policy: random admitted sets of VMs, a million events and more, every run the same.
 * And a storm of calls in no order at all. */
#include "unit.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "protocol/grant.h"
#include "scheduler/admission.h"
#include "scheduler/policy.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define S UINT64_C(1000000000)
#define NEVER UINT64_MAX

#define VMS 8u
#define QUEUE 64u
#define SEED 20261123
#define SETS 250u
#define SET_NS (4 * S)
/* Everyone begins within that time, and is a budget or two ahead or behind until SETTLED_NS. */
#define START_NS (20 * MS)
#define SETTLED_NS (120 * MS)

/* What the guest in a VM does. */
enum guest { GUEST_NONE, GUEST_FRAMES, GUEST_SATURATES, GUEST_BURSTS };

struct sim_vm {
	enum guest guest;
	struct bn_policy_vm par;

	/* The renderer. */
	uint32_t grant;
	bool asked, revoked, over; /* over: the grant is used up */
	uint64_t allow_ns, until_ns, asked_ns;
	unsigned started; /* under this grant */
	unsigned at_gpu;
	bool keeps; /* keeps a frame grant when its queue runs dry, instead of giving it back */

	/* Its queue: `queued` batches, the head of that cost. */
	unsigned queued;
	uint64_t head_ns;
	uint64_t timer_ns; /* the guest thinks until then */

	/* Frames. */
	uint64_t bound_ns, spare_ns; /* R, and D − R: what the guest may think */
	uint64_t vblank_ns, begun_ns, thought_ns, cost_left_ns;
	unsigned batches_left, gaps_left;
	bool in_frame, flushed, done, idle;
	bool due; /* the frame began with a release, so it is due at the next vblank */
	uint64_t done_ns;
	uint64_t frames, misses, late; /* late: beyond the bound */

	uint64_t window_ns, window_reserved_ns, waits_longest_ns;
};

static struct {
	struct bn_policy *policy;
	struct bn_policy_machine machine;
	struct sim_vm vms[VMS];
	uint64_t now, wake;
	struct {
		unsigned vm;
		uint64_t cost, occupies;
	} queue[QUEUE];
	unsigned queued;
	uint64_t gpu_done; /* of the head */
	uint64_t compositor_ns, window_end;
	bool settled; /* from here on windows count */
	unsigned compositor_at_gpu;
	uint64_t events, idle_wakes, wakes;
	uint64_t seed;
} sim;

static uint64_t draw(uint64_t below)
{
	sim.seed ^= sim.seed << 13;
	sim.seed ^= sim.seed >> 7;
	sim.seed ^= sim.seed << 17;
	return below ? sim.seed % below : 0;
}

static uint64_t between(uint64_t low, uint64_t high)
{
	return low + draw(high - low + 1);
}

/* ---- the GPU ---- */

static void submit(unsigned vm, uint64_t cost, uint64_t occupies)
{
	CU_ASSERT_FATAL(sim.queued < QUEUE);
	sim.queue[sim.queued].vm = vm;
	sim.queue[sim.queued].cost = cost;
	sim.queue[sim.queued++].occupies = occupies;
	/* Dispatch is part of a best-effort batch's cost, and apart from a frame's. */
	bool frame = vm < VMS && sim.vms[vm].guest == GUEST_FRAMES;
	if (sim.queued == 1)
		sim.gpu_done = sim.now + (frame ? sim.machine.dispatch_ns : 0) + occupies;
}

/* ---- renderers ---- */

static void ask(unsigned vm)
{
	struct sim_vm *v = &sim.vms[vm];
	if (!v->asked)
		v->asked_ns = sim.now;
	v->asked = true;
	bn_policy_request(sim.policy, vm, v->head_ns, sim.now);
}

static void draw_head(struct sim_vm *v)
{
	if (v->guest != GUEST_FRAMES)
		v->head_ns =
			between(draw(4) ? v->par.batch_max_ns / 2 : 20 * US, v->par.batch_max_ns);
	else if (v->batches_left <= 1)
		v->head_ns = v->cost_left_ns;
	else
		v->head_ns = draw(v->cost_left_ns * 2 / v->batches_left);
}

/* The flush, once the last batch of the frame is with the GPU. */
static void batch_of_frame(unsigned vm, struct sim_vm *v)
{
	v->cost_left_ns -= v->head_ns;
	v->batches_left--;
	if (v->batches_left > 0)
		return;
	v->flushed = true;
	bn_policy_frame_end(sim.policy, vm, sim.now);
}

static void start_batch(unsigned vm, struct sim_vm *v)
{
	/* A batch's overhead is part of L for best-effort VMs, and apart from C for frames. */
	bool frame = v->guest == GUEST_FRAMES;
	submit(vm, v->head_ns, v->head_ns + (frame ? sim.machine.batch_overhead_ns : 0));
	v->allow_ns -= v->head_ns < v->allow_ns ? v->head_ns : v->allow_ns;
	v->started++;
	v->at_gpu++;
	v->queued--;
	if (frame)
		batch_of_frame(vm, v);
	draw_head(v);
}

static bool may_start(unsigned vm, struct sim_vm *v)
{
	if (!v->grant || v->revoked || v->over || !v->queued)
		return false;
	if (v->grant == BN_GRANT_LEASE) {
		if (v->until_ns != NEVER && sim.now + v->head_ns > v->until_ns) {
			if (!v->asked)
				ask(vm);
			return false;
		}
		return v->at_gpu < sim.machine.in_flight || v->guest == GUEST_FRAMES;
	}
	bool fits = v->head_ns <= v->allow_ns || v->started == 0;
	uint64_t own = v->at_gpu ? v->par.batch_max_ns : 0;
	if (v->until_ns != NEVER && sim.now + own + v->head_ns > v->until_ns)
		fits = false;
	v->over |= !fits;
	return fits;
}

static void run_renderer(unsigned vm)
{
	struct sim_vm *v = &sim.vms[vm];
	while (may_start(vm, v))
		start_batch(vm, v);
	bool dry = !v->queued && !v->at_gpu;
	bool kept = v->keeps && v->grant == BN_GRANT_FRAME && v->in_frame && !v->flushed;
	if (dry && kept && v->grant && !v->revoked)
		bn_policy_withdraw(sim.policy, vm, sim.now);
	bool end = v->revoked || v->over || (dry && v->grant != BN_GRANT_LEASE && !kept);
	if (v->grant && end && !v->at_gpu) {
		v->grant = BN_GRANT_NONE;
		if (v->queued && draw(2))
			ask(vm);
		bn_policy_return(sim.policy, vm, sim.now);
	}
	if (!v->grant && v->queued && !v->asked)
		ask(vm);
	else if (v->grant == BN_GRANT_FRAME && v->keeps && v->queued)
		bn_policy_request(sim.policy, vm, v->head_ns, sim.now), v->asked = true;
}

/* ---- guests ---- */

/* Queues what comes before the next gap. */
static void queue_frame(struct sim_vm *v)
{
	unsigned part = v->batches_left;
	if (v->gaps_left > 0 && v->batches_left > 1)
		part = (unsigned)between(1, v->batches_left - 1);
	v->queued += part;
	v->timer_ns = NEVER;
}

static void begin_frame(struct sim_vm *v, bool at_release)
{
	v->in_frame = true;
	v->flushed = v->done = v->idle = false;
	v->batches_left = v->par.batches;
	v->gaps_left = (unsigned)draw(v->par.gaps + 1);
	v->cost_left_ns = draw(4) ? v->par.budget_ns : draw(v->par.budget_ns);
	v->thought_ns = 0;
	v->begun_ns = sim.now;
	draw_head(v);
	uint64_t think = draw(2) ? 0 : draw(v->spare_ns / 2 + 1);
	v->thought_ns += think;
	v->timer_ns = sim.now + think;
	v->due = at_release;
	v->frames++;
}

static void think_in_gap(struct sim_vm *v)
{
	if (v->in_frame && !v->flushed && !v->queued && !v->at_gpu && v->timer_ns == NEVER) {
		uint64_t left = v->spare_ns > v->thought_ns ? v->spare_ns - v->thought_ns : 0;
		uint64_t think = draw(left / (v->gaps_left + 1) + 1);
		/* As often as it has said, longer than the GPU is kept. */
		if (v->gaps_left == 0 && think >= v->par.gap_ns)
			think = v->par.gap_ns - 1;
		v->gaps_left -= v->gaps_left > 0;
		/* Dispatch after it is the guest's time, too. */
		v->thought_ns += think + sim.machine.dispatch_ns;
		v->timer_ns = sim.now + think;
	}
}

static void frame_done(struct sim_vm *v)
{
	v->in_frame = false;
	v->done = true;
	v->done_ns = sim.now;
	v->late += sim.now - v->begun_ns > v->bound_ns + v->thought_ns;
}

static void vblank(unsigned vm, struct sim_vm *v)
{
	/* In time is what was done a lead before. */
	v->vblank_ns += v->par.period_ns;
	bool shown = v->done && v->done_ns + sim.machine.lead_ns <= sim.now;
	v->misses += v->due && !shown;
	v->due = v->due && shown;
	if (shown) {
		v->done = false;
		bn_policy_release(sim.policy, vm, sim.now, sim.now);
		if (draw(50))
			begin_frame(v, true);
		else
			v->idle = true, v->due = false, v->timer_ns = sim.now + draw(100 * MS);
	}
}

static void timer(struct sim_vm *v)
{
	if (v->guest == GUEST_FRAMES) {
		if (v->idle && !v->in_frame)
			begin_frame(v, false);
		else
			queue_frame(v);
		return;
	}
	v->timer_ns = NEVER;
	v->queued = v->guest == GUEST_SATURATES ? UINT32_MAX / 2 : (unsigned)between(1, 30);
}

static void gpu_done(void)
{
	unsigned vm = sim.queue[0].vm;
	uint64_t cost = sim.queue[0].cost;
	memmove(sim.queue, sim.queue + 1, --sim.queued * sizeof(sim.queue[0]));
	sim.gpu_done = sim.queued ? sim.now + sim.queue[0].occupies : NEVER;
	bn_policy_charge(sim.policy, vm, cost, cost, sim.now);
	if (vm == BN_POLICY_COMPOSITOR) {
		sim.compositor_at_gpu = 0;
		bn_policy_return(sim.policy, vm, sim.now);
		return;
	}
	struct sim_vm *v = &sim.vms[vm];
	v->at_gpu--;
	if (v->guest == GUEST_FRAMES && v->flushed && v->in_frame && !v->at_gpu)
		frame_done(v);
	if (v->guest == GUEST_FRAMES)
		think_in_gap(v);
	if (v->guest == GUEST_BURSTS && !v->queued && !v->at_gpu && v->timer_ns == NEVER)
		v->timer_ns = sim.now + draw(20 * MS);
}

/* ---- what must hold ---- */

static void check_grant(const struct bn_policy_decision *d)
{
	const struct sim_vm *to = &sim.vms[d->vm];
	CU_ASSERT_FATAL(d->vm < VMS && to->guest != GUEST_NONE);
	CU_ASSERT_FATAL(!to->grant && to->asked);
	CU_ASSERT(!sim.compositor_at_gpu);
	unsigned best = 0;
	bool frame = d->kind == BN_GRANT_FRAME, lease = d->kind == BN_GRANT_LEASE;
	for (unsigned i = 0; i < VMS; i++) {
		const struct sim_vm *v = &sim.vms[i];
		bool there = v->grant || i == d->vm;
		best += there && (i == d->vm ? d->kind : v->grant) != BN_GRANT_FRAME;
		if (i == d->vm || !v->grant)
			continue;
		/* Neither a frame nor a lease has company. */
		CU_ASSERT(!frame && !lease);
		CU_ASSERT(v->grant == BN_GRANT_BATCH);
	}
	CU_ASSERT(best <= sim.machine.in_flight);
	CU_ASSERT(d->until_ns > sim.now);
	uint64_t waited = sim.now - to->asked_ns;
	if (waited > to->waits_longest_ns)
		sim.vms[d->vm].waits_longest_ns = waited;
}

static bool frame_waits(void)
{
	for (unsigned i = 0; i < VMS; i++)
		if (sim.vms[i].guest == GUEST_FRAMES && sim.vms[i].asked && !sim.vms[i].grant)
			return true;
	return false;
}

static void carry_out(const struct bn_policy_decision *d)
{
	if (d->what == BN_DECIDE_GRANT && d->vm == BN_POLICY_COMPOSITOR) {
		sim.compositor_at_gpu = 1;
		submit(d->vm, d->allow_ns, d->allow_ns);
		return;
	}
	struct sim_vm *v = &sim.vms[d->vm];
	if (d->what == BN_DECIDE_REVOKE) {
		CU_ASSERT(v->grant && !v->revoked);
		/* Batches only for a frame, or for what is composed. */
		CU_ASSERT(v->grant != BN_GRANT_BATCH || frame_waits() || sim.compositor_at_gpu);
		v->revoked = true;
	} else {
		check_grant(d);
		v->grant = d->kind;
		v->allow_ns = d->allow_ns;
		v->until_ns = d->until_ns;
		v->asked = v->revoked = v->over = false;
		v->started = 0;
	}
	run_renderer(d->vm);
}

static void decide(bool woken)
{
	struct bn_policy_decision d;
	unsigned calls = 0;
	while (bn_policy_next(sim.policy, sim.now, &d), d.what != BN_DECIDE_WAIT) {
		CU_ASSERT_FATAL(calls++ < 100);
		carry_out(&d);
	}
	CU_ASSERT_FATAL(d.wake_ns > sim.now);
	sim.wakes += woken;
	sim.idle_wakes += woken && calls == 0;
	sim.wake = d.wake_ns;
}

/* Once a second: shares of those that have work all the time, and reservations. */
static void check_window(void)
{
	uint64_t slack[VMS] = {0}, sum = 0, shares = 0;
	bool counts[VMS] = {false};
	for (unsigned i = 0; i < VMS; i++) {
		struct sim_vm *v = &sim.vms[i];
		struct bn_policy_stats s;
		bn_policy_stats(sim.policy, i, &s);
		uint64_t reserved = s.reserved_ns - v->window_reserved_ns;
		uint64_t used = s.gpu_ns - v->window_ns;
		v->window_ns = s.gpu_ns;
		v->window_reserved_ns = s.reserved_ns;
		CU_ASSERT_FALSE(s.demoted);
		if (v->guest != GUEST_SATURATES || !sim.settled)
			continue;
		if (v->par.budget_ns) {
			double due =
				(double)v->par.budget_ns * (double)S / (double)v->par.period_ns;
			CU_ASSERT((double)used + (double)v->par.budget_ns >= 0.98 * due);
		}
		/* What goes beyond a budget is paid back in the next: not slack. */
		counts[i] = s.overruns == 0;
		if (!counts[i])
			continue;
		slack[i] = used - reserved;
		sum += slack[i];
		shares += v->par.share;
	}
	for (unsigned i = 0; i < VMS && sum > S / 10; i++) {
		const struct sim_vm *v = &sim.vms[i];
		if (counts[i])
			CU_ASSERT_DOUBLE_EQUAL((double)slack[i] / (double)sum,
				(double)v->par.share / (double)shares, 0.02 * S / (double)sum);
	}
	sim.settled = true;
}

/* ---- sets of VMs ---- */

static void draw_safety(struct sim_vm *v)
{
	static const uint64_t periods[] = {16667 * US, 16667 * US, 33333 * US, 11111 * US};
	v->guest = GUEST_FRAMES;
	v->keeps = draw(2);
	v->par = (struct bn_policy_vm){.vm_class = BN_CLASS_SAFETY,
		.period_ns = periods[draw(4)],
		.budget_ns = between(MS, 8 * MS),
		.share = 100,
		.batch_max_ns = 2 * MS,
		.gap_ns = between(100 * US, MS),
		.gaps = (unsigned)draw(4),
		.batches = (unsigned)between(1, 6)};
}

static void draw_other(struct sim_vm *v)
{
	v->guest = draw(3) ? GUEST_SATURATES : GUEST_BURSTS;
	v->par = (struct bn_policy_vm){.vm_class = (enum bn_vm_class)draw(2),
		.share = (uint32_t)between(50, 400),
		.batch_max_ns = between(300 * US, 2500 * US)};
	if (draw(2)) {
		v->par.period_ns = between(10 * MS, 60 * MS);
		v->par.budget_ns = between(v->par.period_ns / 30, v->par.period_ns / 4);
	}
}

static bool draw_set(void)
{
	const struct bn_policy_vm *list[BN_POLICY_VMS_MAX] = {0};
	static struct bn_admission a;
	memset(sim.vms, 0, sizeof(sim.vms));
	sim.machine = (struct bn_policy_machine){.in_flight = (unsigned)between(1, 3),
		.dispatch_ns = draw(100 * US),
		.batch_overhead_ns = draw(200 * US),
		.compositor_ns = draw(2) * 400 * US,
		.lead_ns = 2 * MS};
	unsigned safety = (unsigned)draw(3), others = (unsigned)between(1, VMS - 2);
	for (unsigned i = 0; i < safety + others; i++) {
		if (i < safety)
			draw_safety(&sim.vms[i]);
		else
			draw_other(&sim.vms[i]);
		list[i] = &sim.vms[i].par;
	}
	bn_admission_test(&a, &sim.machine, list, NULL);
	for (unsigned i = 0; i < safety; i++) {
		sim.vms[i].bound_ns = a.vm[i].r_ns;
		sim.vms[i].spare_ns = a.vm[i].d_ns - a.vm[i].r_ns;
	}
	return a.admitted && a.utilisation < 0.85;
}

static void start_set(void)
{
	bn_policy_destroy(sim.policy);
	CU_ASSERT_EQUAL_FATAL(bn_policy_create(&sim.policy, BN_POLICY_RESERVE, &sim.machine), 0);
	sim.queued = sim.compositor_at_gpu = 0;
	sim.gpu_done = sim.wake = NEVER;
	sim.window_end = sim.now + SETTLED_NS;
	sim.settled = false;
	sim.compositor_ns = sim.machine.compositor_ns ? sim.now : NEVER;
	for (unsigned i = 0; i < VMS; i++) {
		struct sim_vm *v = &sim.vms[i];
		v->timer_ns = v->vblank_ns = NEVER;
		if (v->guest == GUEST_NONE)
			continue;
		bn_policy_vm_set(sim.policy, i, &v->par, sim.now);
		v->timer_ns = sim.now + draw(START_NS);
		draw_head(v);
		if (v->guest == GUEST_FRAMES) {
			v->idle = true;
			v->vblank_ns = sim.now + draw(v->par.period_ns) + MS;
		}
	}
}

static uint64_t next_time(void)
{
	uint64_t t = sim.wake;
	t = sim.gpu_done < t ? sim.gpu_done : t;
	t = sim.compositor_ns < t ? sim.compositor_ns : t;
	t = sim.window_end < t ? sim.window_end : t;
	for (unsigned i = 0; i < VMS; i++) {
		const struct sim_vm *v = &sim.vms[i];
		t = v->timer_ns < t ? v->timer_ns : t;
		t = v->vblank_ns < t ? v->vblank_ns : t;
	}
	return t;
}

static void compose(void)
{
	/* Once in a frame of the fastest display. */
	sim.compositor_ns += 16667 * US * 2;
	if (!sim.compositor_at_gpu)
		bn_policy_request(
			sim.policy, BN_POLICY_COMPOSITOR, sim.machine.compositor_ns, sim.now);
}

/* One thing happens. */
static void step(void)
{
	uint64_t before = sim.now;
	sim.now = next_time();
	CU_ASSERT_FATAL(sim.now >= before);
	bool woken = sim.now == sim.wake;
	sim.events++;
	if (sim.now == sim.gpu_done) {
		gpu_done();
		woken = false;
	}
	for (unsigned i = 0; i < VMS; i++) {
		struct sim_vm *v = &sim.vms[i];
		bool due = sim.now == v->vblank_ns || sim.now == v->timer_ns;
		if (sim.now == v->vblank_ns)
			vblank(i, v);
		if (sim.now == v->timer_ns)
			timer(v);
		woken = woken && !due;
		if (v->guest != GUEST_NONE)
			run_renderer(i);
	}
	if (sim.now == sim.compositor_ns)
		compose();
	if (sim.now == sim.window_end) {
		check_window();
		sim.window_end += S;
	}
	decide(woken);
}

static void check_set(unsigned set)
{
	for (unsigned i = 0; i < VMS; i++) {
		const struct sim_vm *v = &sim.vms[i];
		CU_ASSERT_EQUAL(v->misses, 0);
		CU_ASSERT_EQUAL(v->late, 0);
		/* Longer than a second is nobody kept out. */
		CU_ASSERT(v->waits_longest_ns < 1100 * MS);
		if (v->misses || v->late || v->waits_longest_ns >= 1100 * MS)
			fprintf(stderr,
				"set %u vm %u: %llu frames, %llu missed, %llu late, waited %llu "
				"us\n",
				set, i, (unsigned long long)v->frames,
				(unsigned long long)v->misses, (unsigned long long)v->late,
				(unsigned long long)(v->waits_longest_ns / US));
		if (v->guest == GUEST_FRAMES)
			CU_ASSERT(v->frames > 30);
	}
}

static void test_admitted_sets(void)
{
	sim.seed = SEED;
	sim.now = S;
	uint64_t frames = 0;
	for (unsigned set = 0; set < SETS; set++) {
		while (!draw_set())
			;
		start_set();
		uint64_t end = sim.now + SET_NS;
		while (sim.now < end)
			step();
		check_set(set);
		for (unsigned i = 0; i < VMS; i++)
			frames += sim.vms[i].frames;
	}
	printf("(%llu events, %llu frames, %llu of %llu wake-ups for nothing) ",
		(unsigned long long)sim.events, (unsigned long long)frames,
		(unsigned long long)sim.idle_wakes, (unsigned long long)sim.wakes);
	CU_ASSERT(sim.events > 1000000);
	CU_ASSERT(sim.idle_wakes * 10 < sim.events);
}

/* ---- the storm ---- */

static void storm_params(struct bn_policy_vm *par)
{
	static const uint64_t times[] = {0, 1, 10 * US, MS, 16667 * US, 10 * S, UINT64_MAX};
	*par = (struct bn_policy_vm){.vm_class = (enum bn_vm_class)draw(4),
		.period_ns = times[draw(7)],
		.budget_ns = times[draw(7)],
		.share = (uint32_t)draw(2000),
		.batch_max_ns = times[draw(7)],
		.ahead_max_ns = times[draw(7)],
		.gap_ns = times[draw(7)],
		.gaps = (unsigned)draw(1 << 20),
		.batches = (unsigned)draw(1 << 20)};
}

static void storm_call(struct bn_policy *p, uint64_t now)
{
	static const uint64_t costs[] = {0, 1, 100 * US, MS, MS, 5 * MS, S, UINT64_MAX};
	struct bn_policy_vm par;
	unsigned vm = (unsigned)draw(40), what = (unsigned)draw(24);
	if (what < 8)
		bn_policy_request(p, vm, costs[draw(8)], now);
	else if (what < 9)
		bn_policy_withdraw(p, vm, now);
	else if (what < 11)
		bn_policy_release(p, vm, now - draw(20 * MS), now);
	else if (what < 12)
		bn_policy_frame_end(p, vm, now);
	else if (what < 16)
		bn_policy_charge(p, vm, costs[draw(8)], costs[draw(8)], now);
	else if (what < 22)
		bn_policy_return(p, vm, now);
	else if (what < 23)
		bn_policy_hold(p, vm, draw(4) == 0, now);
	else if (draw(8) == 0)
		bn_policy_vm_remove(p, vm, now);
	else {
		storm_params(&par);
		bn_policy_vm_set(p, vm, &par, now);
	}
}

static void storm_decide(struct bn_policy *p, uint64_t now, uint64_t seen, unsigned in_flight)
{
	struct bn_policy_decision d;
	struct bn_policy_stats s;
	unsigned calls = 0;
	while (bn_policy_next(p, now, &d), d.what != BN_DECIDE_WAIT) {
		CU_ASSERT_FATAL(calls++ < 200 && d.vm < BN_POLICY_VMS_MAX);
		bn_policy_stats(p, d.vm, &s);
		CU_ASSERT(s.running && (d.what == BN_DECIDE_REVOKE || (!s.held && !s.waiting)));
		CU_ASSERT(d.what == BN_DECIDE_REVOKE || d.allow_ns > 0);
	}
	CU_ASSERT_FATAL(d.wake_ns > seen);
	unsigned running = 0;
	for (unsigned i = 0; i < BN_POLICY_COMPOSITOR; i++) {
		bn_policy_stats(p, i, &s);
		running += s.running;
	}
	CU_ASSERT(!in_flight || running <= in_flight);
}

static void test_storm(void)
{
	sim.seed = 4711;
	for (unsigned round = 0; round < 40; round++) {
		struct bn_policy_machine m = {.in_flight = (unsigned)between(1, 4),
			.dispatch_ns = draw(MS),
			.batch_overhead_ns = draw(MS),
			.compositor_ns = draw(MS),
			.lead_ns = draw(5 * MS),
			.preemptive = draw(3) == 0};
		enum bn_policy_kind kind =
			round % 4 ? BN_POLICY_RESERVE : (enum bn_policy_kind)(round / 4 % 3);
		/* Places of k; a frame on a preemptive GPU, and no policy, count no places. */
		unsigned places = kind == BN_POLICY_RESERVE ? m.in_flight : 1;
		if (kind == BN_POLICY_NONE || m.preemptive)
			places = 0;
		struct bn_policy *p;
		CU_ASSERT_EQUAL_FATAL(bn_policy_create(&p, kind, &m), 0);
		uint64_t now = 0, seen = 0;
		for (unsigned i = 0; i < 12000; i++) {
			now += draw(3) ? draw(MS) : draw(50 * MS);
			if (draw(100) == 0)
				now -= draw(now < S ? now + 1 : S);
			seen = now > seen ? now : seen;
			storm_call(p, now);
			storm_decide(p, now, seen, places);
		}
		bn_policy_destroy(p);
	}
}

int main(void)
{
	const CU_TestInfo tests[] = {
		{"admitted sets keep what was promised", test_admitted_sets},
		{"a storm of calls", test_storm},
		CU_TEST_INFO_NULL,
	};
	int failed = bn_unit_main("policy_soak", tests);
	bn_policy_destroy(sim.policy);
	return failed;
}
