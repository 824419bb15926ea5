#include "compose_gl_count.h"

static struct bn_gpu_hooks hooks;
static struct bn_gpu_totals totals;
static bool forbidden;
static bool begun; /* told of by the hooks that are set now */

void bn_gpu_set_allowed(bool allowed)
{
	forbidden = !allowed;
}

bool bn_gpu_allowed(void)
{
	return !forbidden;
}

void bn_gpu_set_hooks(const struct bn_gpu_hooks *to)
{
	hooks = to ? *to : (struct bn_gpu_hooks){0};
	begun = false;
}

void bn_gpu_totals(struct bn_gpu_totals *out)
{
	*out = totals;
}

bool bn_gpu_begin(void)
{
	begun = !hooks.begin || hooks.begin(hooks.data);
	return begun;
}

void bn_gpu_drawn(int fence)
{
	totals.pictures++;
	if (begun && hooks.queued)
		hooks.queued(hooks.data, fence);
	begun = false;
}

void bn_gpu_done(uint64_t gpu_ns)
{
	totals.measured++;
	totals.gpu_ns += gpu_ns;
	if (gpu_ns > totals.max_ns)
		totals.max_ns = gpu_ns;
	if (hooks.done)
		hooks.done(hooks.data, gpu_ns);
}

void bn_gpu_failed(void)
{
	totals.failed++;
	if (begun && hooks.failed)
		hooks.failed(hooks.data);
	begun = false;
}

void bn_gpu_lost(void)
{
	totals.lost++;
}
