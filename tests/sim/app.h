/* What runs in a stock Linux guest, as the device sees it.
 *
 * GL through Mesa on the display: a frame is drawn (CPU time, then a SUBMIT_3D with a fence and
 * its GPU time), then shown by SET_SCANOUT and a RESOURCE_FLUSH without fence; the kernel sends
 * the flip event at once. What slows it down is in `throttle`. Drawing by the CPU into a dumb
 * buffer: TRANSFER_TO_HOST_2D, SET_SCANOUT and a fenced flush that the kernel waits for. Work off
 * the screen: submits, each waited for, nothing shown. */
#ifndef BN_TESTS_SIM_APP_H
#define BN_TESTS_SIM_APP_H

#include "vm.h"

#define APP_BUFFERS_MAX 4u

enum app_throttle {
	APP_MESA,   /* swap N waits for the fence of swap N - 1, then flushes */
	APP_FINISH, /* waits for its own fence before it flushes (glFinish, a fence in the flip) */
	APP_MIDDLE, /* as MESA, and waits for a submit in the middle of each frame (read back) */
	APP_DUMB,   /* no GL: waits for the fence of the flush */
	APP_WORKER, /* off-screen: waits for each submit */
};

struct sim_app {
	struct sim_vm *vm;
	struct sim_random random;
	enum app_throttle throttle;
	uint32_t ctx_id; /* 0 for DUMB */
	unsigned scanout;
	unsigned buffers;
	uint32_t first_res;
	struct sim_range cpu, gpu; /* time of a frame; MIDDLE spends it twice */
	uint64_t frames;           /* begun */
	bool waiting, middle;
	bool on;           /* the scanout shows one of its buffers */
	uint64_t wait_for; /* a fence of the timeline */
	void (*then)(struct sim_app *app);
	uint64_t last_fence;
	unsigned generation; /* raised by app_stop(): late timers are for another life */
};

/* Makes its context and buffers and begins to draw. */
void sim_app_start(struct sim_app *app);
/* Draws no more; what is under way stays. */
void sim_app_stop(struct sim_app *app);
/* Destroys what start made. */
void sim_app_clean(struct sim_app *app);
/* For sim_vm.signalled: a fence was signalled. */
void sim_app_wake(struct sim_app *app);
void sim_app_scanout_off(struct sim_app *app);
/* Shows another buffer, if it has one, and makes the one anew that it flushed last. */
void sim_app_new_buffer(struct sim_app *app);

#endif
