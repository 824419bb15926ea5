/* A frame's way from its release to its present, and why it was late. */
#include "scheduler/monitor.h"

#include <math.h>

#include "common/clock.h"

/* A guest that begins so many periods after its release had nothing to draw until then. */
#define IDLE_PERIODS 4

/* No stamp of a period can be that long; keeps sums from overflowing. */
#define LONGEST_NS (3600 * BN_NS_PER_S)

const char *bn_miss_cause_name(unsigned cause)
{
	static const char *const names[BN_MISS_CAUSES] = {
		"none", "guest", "scheduler", "gpu", "compositor", "host"};
	return names[cause < BN_MISS_CAUSES ? cause : 0];
}

static uint64_t clip(uint64_t value, uint64_t low, uint64_t high)
{
	return value < low ? low : value > high ? high : value;
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The renderer may say anything: what comes out is in order, and no duration is longer than the
 * time there was. */
static void put_in_order(
	struct bn_monitor_frame *f, const struct bn_monitor_stamps *s, uint64_t present_ns)
{
	uint64_t from = f->release_ns;
	f->present_ns = present_ns;
	f->gpu_work = s->queued_ns != 0;
	f->flush_ns = clip(s->flush_ns, from, present_ns);
	f->queued_ns = f->gpu_work ? clip(s->queued_ns, from, present_ns) : f->flush_ns;
	f->done_ns = s->done_ns ? clip(s->done_ns, f->queued_ns, present_ns)
				: max(f->flush_ns, f->queued_ns);
	/* It may have been queued before the release, while the frame before it was shown. */
	uint64_t longest = f->gpu_work && s->queued_ns < present_ns
				   ? min(present_ns - s->queued_ns, LONGEST_NS)
				   : 0;
	f->response_ns = min(s->response_ns, longest);
	f->wait_ns = min(s->wait_ns, longest);
	f->gpu_ns = min(s->gpu_ns, longest);
}

static bool is_idle(const struct bn_monitor_frame *f, uint64_t period)
{
	uint64_t limit = period ? IDLE_PERIODS * period : BN_NS_PER_S;
	return min(f->queued_ns, f->flush_ns) - f->release_ns > limit;
}

/* Refreshes between release and present in which the frame was not there: 0 when it came with the
 * first. */
static uint32_t missed(const struct bn_monitor_frame *f)
{
	if (!f->period_ns)
		return 0;
	uint64_t refreshes = (f->present_ns - f->release_ns + f->period_ns / 2) / f->period_ns;
	return refreshes > 1 ? (uint32_t)min(refreshes - 1, UINT32_MAX) : 0;
}

/* Who made a late frame late: the first in its way who took more than was his. */
static enum bn_miss_cause cause_of(
	const struct bn_monitor_frame *f, const struct bn_monitor_target *t)
{
	uint64_t window = f->period_ns > t->lead_ns ? f->period_ns - t->lead_ns : 0;
	uint64_t deadline = f->release_ns + window;
	uint64_t complete = max(f->done_ns, f->flush_ns);
	if (complete <= deadline)
		return BN_MISS_COMPOSITOR;
	/* Without a bound the frame gets what its batches took on the GPU. */
	uint64_t needed = t->bound_ns ? t->bound_ns : f->gpu_ns;
	if (f->queued_ns + needed > deadline)
		return BN_MISS_GUEST;
	uint64_t late = complete - deadline;
	uint64_t allowed = t->bound_ns > t->budget_ns ? t->bound_ns - t->budget_ns : 0;
	if (t->bound_ns ? f->wait_ns > allowed : f->wait_ns >= late)
		return BN_MISS_SCHEDULER;
	if (t->budget_ns && f->gpu_ns > t->budget_ns)
		return BN_MISS_GPU;
	/* All within its limits, so the rest of the time had nothing queued; or there are no limits,
	 * and then it is whoever had the greater part. */
	if (t->bound_ns && f->response_ns <= t->bound_ns)
		return BN_MISS_GUEST;
	return f->response_ns >= (complete - f->release_ns) / 2 ? BN_MISS_GPU : BN_MISS_GUEST;
}

static void find_lateness(struct bn_monitor_frame *f, const struct bn_monitor_target *t)
{
	uint64_t window = f->period_ns > t->lead_ns ? f->period_ns - t->lead_ns : 0;
	uint64_t deadline = f->release_ns + window;
	uint64_t complete = max(f->done_ns, f->flush_ns);
	f->late_ns = complete > deadline ? complete - deadline : 0;
	f->lost_since_ns = f->late_ns ? f->release_ns : complete;
}

bool bn_monitor_blame_host(
	struct bn_monitor *m, struct bn_monitor_frame *f, uint64_t stalled_ns)
{
	if (!f->missed || f->cause == BN_MISS_HOST || stalled_ns == 0 || stalled_ns < f->late_ns)
		return false;
	m->frame.causes[f->cause] -= f->missed;
	f->cause = BN_MISS_HOST;
	m->frame.causes[f->cause] += f->missed;
	return true;
}

static void check_bound(struct bn_monitor_frame *f, const struct bn_monitor_target *t)
{
	f->over_budget = t->budget_ns && f->gpu_ns > t->budget_ns;
	/* The bound holds for a frame of that budget. */
	f->over_bound = t->bound_ns && !f->over_budget && f->response_ns > t->bound_ns;
}

static void count_time(struct bn_monitor_frames *c, uint64_t ns)
{
	c->recent[c->time.count % BN_MONITOR_RECENT] = ns;
	bn_histogram_add(&c->time, ns);
	double delta = (double)ns - c->mean_ns;
	c->mean_ns += delta / (double)c->time.count;
	c->m2 += delta * ((double)ns - c->mean_ns);
}

static void count(struct bn_monitor_frames *c, const struct bn_monitor_frame *f)
{
	if (f->gpu_work) {
		bn_histogram_add(&c->response, f->response_ns);
		bn_histogram_add(&c->wait, f->wait_ns);
		bn_histogram_add(&c->gpu, f->gpu_ns);
	}
	c->bound_violations += f->over_bound;
	c->over_budget += f->over_budget;
	if (!f->release_ns)
		return;
	if (f->idle) {
		c->idle++;
		return;
	}
	count_time(c, f->present_ns - f->release_ns);
	bn_histogram_add(&c->guest, f->queued_ns - f->release_ns);
	c->missed_frames += f->missed > 0;
	c->misses += f->missed;
	c->causes[f->cause] += f->missed;
	c->longest_run = max(c->longest_run, f->missed);
}

void bn_monitor_frame(struct bn_monitor *m, unsigned track, uint64_t refresh_ns,
	const struct bn_monitor_stamps *stamps, uint64_t present_ns, struct bn_monitor_frame *out)
{
	struct bn_monitor_frame f = {0};
	uint64_t *released = &m->released_ns[track % BN_MONITOR_TRACKS];
	/* Of a display whose clock steps back: the frame before it says nothing. */
	if (*released <= present_ns)
		f.release_ns = *released;
	*released = present_ns;
	put_in_order(&f, stamps, present_ns);
	check_bound(&f, &m->target);
	if (f.release_ns) {
		f.period_ns = refresh_ns ? max(refresh_ns, m->target.period_ns) : 0;
		f.idle = is_idle(&f, f.period_ns);
		f.missed = f.idle ? 0 : missed(&f);
		f.cause = f.missed ? cause_of(&f, &m->target) : BN_MISS_NONE;
		if (f.missed)
			find_lateness(&f, &m->target);
	}
	count(&m->frame, &f);
	if (out)
		*out = f;
}

double bn_monitor_stddev(const struct bn_monitor *m)
{
	const struct bn_monitor_frames *c = &m->frame;
	return c->time.count > 1 && c->m2 > 0.0 ? sqrt(c->m2 / (double)c->time.count) : 0.0;
}

unsigned bn_monitor_recent(const struct bn_monitor *m, uint64_t *out, unsigned limit)
{
	const struct bn_monitor_frames *c = &m->frame;
	uint64_t n = min(min(c->time.count, BN_MONITOR_RECENT), limit);
	for (uint64_t i = 0; i < n; i++)
		out[i] = c->recent[(c->time.count - n + i) % BN_MONITOR_RECENT];
	return (unsigned)n;
}
