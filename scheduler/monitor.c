#include "scheduler/monitor.h"

#include <string.h>

#include "common/clock.h"

/* A longer gap means that the guest had nothing to draw, not that a frame took so long. */
#define IDLE_NS BN_NS_PER_S

void bn_monitor_init(struct bn_monitor *m)
{
	memset(m, 0, sizeof(*m));
	bn_histogram_init(&m->latency);
	bn_histogram_init(&m->interval);
}

void bn_monitor_flushed(struct bn_monitor *m)
{
	m->frames_flushed++;
}

void bn_monitor_presented(struct bn_monitor *m, uint64_t flush_ns, uint64_t present_ns)
{
	bn_histogram_add(&m->latency, flush_ns < present_ns ? present_ns - flush_ns : 0);
	/* Stamps of different outputs may come out of order: such a pair is no interval. */
	if (m->frames_presented > 0 && present_ns >= m->last_present_ns &&
		present_ns - m->last_present_ns <= IDLE_NS)
		bn_histogram_add(&m->interval, present_ns - m->last_present_ns);
	m->frames_presented++;
	m->last_present_ns = present_ns;
	m->recent[m->recent_next] = present_ns;
	m->recent_next = (m->recent_next + 1) % BN_MONITOR_RECENT;
}

void bn_monitor_superseded(struct bn_monitor *m)
{
	m->frames_superseded++;
}

void bn_monitor_set_target(struct bn_monitor *m, const struct bn_monitor_target *target)
{
	m->target = *target;
}

void bn_monitor_reset(struct bn_monitor *m)
{
	bn_histogram_init(&m->latency);
	bn_histogram_init(&m->interval);
	memset(&m->frame, 0, sizeof(m->frame));
}

double bn_monitor_fps(const struct bn_monitor *m, uint64_t now_ns)
{
	uint64_t kept =
		m->frames_presented < BN_MONITOR_RECENT ? m->frames_presented : BN_MONITOR_RECENT;
	uint64_t count = 0, first = UINT64_MAX, last = 0;
	for (uint64_t i = 0; i < kept; i++) {
		uint64_t stamp = m->recent[i];
		if (stamp > now_ns || now_ns - stamp > BN_NS_PER_S)
			continue;
		count++;
		if (stamp < first)
			first = stamp;
		if (stamp > last)
			last = stamp;
	}
	if (count < 2 || last == first)
		return 0.0;
	/* From stamp to stamp, not per second of window: right also when the guest has only just
	 * begun, or draws so fast that the ring holds less than a second. A guest that has
	 * stopped drawing is measured up to now. */
	uint64_t span = last - first;
	if (now_ns - last > 2 * span / (count - 1))
		span = now_ns - first;
	return (double)(count - 1) * (double)BN_NS_PER_S / (double)span;
}
