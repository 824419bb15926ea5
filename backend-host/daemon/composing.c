#include "composing.h"

#include <stddef.h>

#include "common/clock.h"
#include "common/log.h"
#include "compositor/gpu.h"

static void handle_done(void *data, uint64_t gpu_ns)
{
	bn_composing_add(data, gpu_ns, bn_now_ns());
}

void bn_composing_init(
	struct bn_composing *composing, uint64_t period_ns, uint64_t limit_ns, bool promised)
{
	const struct bn_gpu_hooks hooks = {.done = handle_done, .data = composing};

	*composing = (struct bn_composing){
		.period_ns = period_ns, .limit_ns = limit_ns, .promised = promised};
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
