#include "frame_record.h"

#include "arbiter.h"
#include "common/clock.h"
#include "events.h"

void bn_frame_record_submitted(
	struct bn_frame_record *r, uint64_t seq, const struct bn_link_frame *m)
{
	const unsigned slot = seq % BN_FRAME_RECORD_PENDING;
	r->pending[slot].seq = seq;
	r->pending[slot].stamps = (struct bn_monitor_stamps){
		.queued_ns = m->queued_ns,
		.flush_ns = m->flush_ns,
		.done_ns = m->done_ns,
		.wait_ns = m->wait_ns,
		.gpu_ns = m->gpu_ns,
		.response_ns = m->response_ns,
	};
}

static struct bn_monitor_stamps stamps_of(
	const struct bn_frame_record *r, const struct bn_frame *frame)
{
	const unsigned slot = frame->seq % BN_FRAME_RECORD_PENDING;
	if (r->pending[slot].seq == frame->seq)
		return r->pending[slot].stamps;
	return (struct bn_monitor_stamps){.flush_ns = frame->flush_ns};
}

static void add_spans(const struct bn_frame_record *r, const struct bn_monitor_frame *f)
{
	/* An idle guest's frame begins when the guest does. */
	uint64_t begin = f->queued_ns < f->flush_ns ? f->queued_ns : f->flush_ns;
	if (f->release_ns && !f->idle)
		begin = f->release_ns;
	bn_trace_add(r->trace, BN_TRACE_FRAME, r->vm, begin, f->present_ns, f->missed, f->cause);
	if (begin < f->queued_ns)
		bn_trace_add(r->trace, BN_TRACE_GUEST, r->vm, begin, f->queued_ns, 0, 0);
	/* Stock guests flush when they have seen that the frame is done: that way is theirs. */
	uint64_t complete = f->done_ns > f->flush_ns ? f->done_ns : f->flush_ns;
	if (f->gpu_work && f->done_ns < complete)
		bn_trace_add(r->trace, BN_TRACE_GUEST, r->vm, f->done_ns, complete, 0, 0);
	if (complete < f->present_ns)
		bn_trace_add(r->trace, BN_TRACE_DISPLAY, r->vm, complete, f->present_ns, 0, 0);
	/* Where the first refresh was that it should have been on. */
	uint64_t missed = f->release_ns + f->period_ns;
	if (f->missed)
		bn_trace_add(r->trace, BN_TRACE_MISS, r->vm, missed, missed, f->missed, f->cause);
}

static double ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

static void find_out_why(struct bn_frame_record *r, struct bn_monitor_frame *f)
{
	if (r->arbiter)
		bn_monitor_blame_host(r->monitor, f,
			bn_arbiter_stalled(r->arbiter, f->lost_since_ns, f->present_ns));
	/* Only a safety VM has a budget of a frame, and only its misses are news. */
	if (!r->monitor->target.budget_ns)
		return;
	bn_events_add(r->events, r->vm, BN_EVENT_MISSED,
		"missed %u refresh%s because of the %s: %.2f ms too late, %.2f ms from release to "
		"display, first batch after %.2f, waited %.2f, GPU %.2f, done after %.2f, flushed "
		"after %.2f",
		f->missed, f->missed == 1 ? "" : "es", bn_miss_cause_name(f->cause),
		ms(f->late_ns), ms(f->present_ns - f->release_ns), ms(f->queued_ns - f->release_ns),
		ms(f->wait_ns), ms(f->gpu_ns), ms(f->done_ns - f->release_ns), ms(f->flush_ns - f->release_ns));
}

static void tell_over_bound(const struct bn_frame_record *r, const struct bn_monitor_frame *f)
{
	uint64_t stalled = r->arbiter ? bn_arbiter_stalled(r->arbiter, f->queued_ns, f->done_ns) : 0;
	bn_events_add(r->events, r->vm, BN_EVENT_BOUND,
		"a frame took %.2f ms, the bound is %.2f ms (it waited for %.2f ms, and used "
		"%.2f ms of the GPU; the host withheld the processor for %.2f ms)",
		ms(f->response_ns), ms(r->monitor->target.bound_ns), ms(f->wait_ns),
		ms(f->gpu_ns), ms(stalled));
}

void bn_frame_record_shown(struct bn_frame_record *r, const struct bn_frame *frame,
	const struct bn_output *output, unsigned scanout, uint64_t when_ns)
{
	const struct bn_output_config *config = bn_output_config(output);
	const struct bn_monitor_stamps stamps = stamps_of(r, frame);
	uint64_t refresh = config->free_running ? 0 : 1000 * BN_NS_PER_S / config->refresh_mhz;
	struct bn_monitor_frame f;
	bn_monitor_presented(r->monitor, frame->flush_ns, when_ns);
	bn_monitor_frame(r->monitor, scanout, refresh, &stamps, when_ns, &f);
	if (r->arbiter)
		bn_arbiter_released(r->arbiter, r->vm, when_ns);
	if (f.missed)
		find_out_why(r, &f);
	add_spans(r, &f);
	if (f.over_bound)
		tell_over_bound(r, &f);
}
