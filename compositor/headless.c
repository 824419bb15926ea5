/* An output without a display: the pacer's grid is its vblank. Also what a Wayland output turns
 * into when its window or its compositor is gone. */
#include "output_impl.h"

static void headless_schedule(struct bn_output *output)
{
	struct bn_pacer *pacer = &output->pacer;

	if (!bn_output_unlatched(output))
		return;
	if (output->config.free_running)
		bn_output_soon(output);
	else
		bn_pacer_arm(pacer, bn_pacer_vblank_after(pacer, bn_pacer_now(pacer)));
}

static void headless_soon(struct bn_output *output)
{
	uint64_t commit = bn_output_latch(output, UINT64_MAX);

	bn_output_report(output, commit, bn_pacer_now(&output->pacer));
}

static void headless_tick(struct bn_output *output, uint64_t now_ns)
{
	uint64_t when = bn_pacer_vblank_at(&output->pacer, now_ns), oldest;

	if (output->config.free_running) {
		headless_soon(output);
		return;
	}
	/* After a late wake-up the vblanks in between are gone, and a frame younger than the
	 * last one waits for the next: nothing is ever shown before it was submitted. */
	if (bn_output_oldest(output, &oldest) &&
		bn_pacer_vblank_after(&output->pacer, oldest) < when)
		output->counters.late++;
	bn_output_report(output, bn_output_latch(output, when), when);
	headless_schedule(output);
}

static void headless_stop(struct bn_output *output)
{
}

const struct bn_output_impl bn_headless_impl = {
	.stop = headless_stop,
	.schedule = headless_schedule,
	.soon = headless_soon,
	.tick = headless_tick,
};
