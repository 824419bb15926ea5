#include "composing.h"

#include <stddef.h>

#include "arbiter.h"
#include "common/clock.h"
#include "common/log.h"
#include "compositor/gpu.h"

/* Of what the estimate was too high, that part is taken off. */
#define FALL 8

static bool handle_begin(void *data)
{
	struct bn_composing *c = data;

	if (c->arbiter && !bn_arbiter_compose_begin(c->arbiter, bn_composing_predict(c)) &&
		bn_log_gate(&c->log_expired))
		bn_warn("pictures that the GPU composes did not end within 100 ms: VMs are not "
			"kept "
			"out for them until they do (the GPU hangs, or all of it goes into "
			"composing: give the layers planes, binnaclectl planes says what they "
			"lack)");
	return true;
}

static void handle_queued(void *data, int fence)
{
	struct bn_composing *c = data;

	if (c->arbiter)
		bn_arbiter_compose_queued(c->arbiter, fence);
}

static void handle_failed(void *data)
{
	struct bn_composing *c = data;

	if (c->arbiter)
		bn_arbiter_compose_failed(c->arbiter);
}

static void handle_done(void *data, uint64_t gpu_ns)
{
	struct bn_composing *c = data;

	bn_composing_add(c, gpu_ns, bn_now_ns());
	if (c->arbiter)
		bn_arbiter_compose_charge(c->arbiter, gpu_ns);
}

void bn_composing_init(struct bn_composing *composing, struct bn_arbiter *arbiter,
	uint64_t period_ns, uint64_t limit_ns, bool promised)
{
	const struct bn_gpu_hooks hooks = {
		.begin = handle_begin,
		.queued = handle_queued,
		.failed = handle_failed,
		.done = handle_done,
		.data = composing,
	};

	*composing = (struct bn_composing){
		.arbiter = arbiter,
		.period_ns = period_ns,
		.limit_ns = limit_ns,
		.promised = promised,
	};
	bn_gpu_set_hooks(&hooks);
}

void bn_composing_finish(struct bn_composing *composing)
{
	bn_gpu_set_hooks(NULL);
}

void bn_composing_add(struct bn_composing *c, uint64_t gpu_ns, uint64_t now_ns)
{
	if (c->since_ns == 0 || now_ns - c->since_ns >= c->period_ns) {
		c->since_ns = now_ns;
		c->sum_ns = 0;
	}
	c->sum_ns += gpu_ns;
	c->estimate_ns = gpu_ns > c->estimate_ns
				 ? gpu_ns
				 : c->estimate_ns - (c->estimate_ns - gpu_ns) / FALL;
	if (c->sum_ns > c->max_ns)
		c->max_ns = c->sum_ns;
	if (c->promised && c->sum_ns > c->limit_ns && bn_log_gate(&c->log_over))
		bn_warn("composing took %.2f ms of the GPU within %.1f ms, and compositor-time "
			"says "
			"%.2f: the bound that admission printed does not hold; set "
			"compositor-time= in "
			"[core], or give the layers planes (binnaclectl planes says what they "
			"lack)",
			(double)c->sum_ns / 1e6, (double)c->period_ns / 1e6,
			(double)c->limit_ns / 1e6);
}

uint64_t bn_composing_predict(const struct bn_composing *c)
{
	bool known = c->estimate_ns > 0 && (c->limit_ns == 0 || c->estimate_ns < c->limit_ns);

	return known ? c->estimate_ns : c->limit_ns;
}
