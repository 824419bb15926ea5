/* What the compositor does on a GPU, for whoever shares that GPU out. Outputs on a display controller compose
 * there when the machine has one; see docs/composing.md. One thread: the event loop's. */
#ifndef BN_COMPOSITOR_GPU_H
#define BN_COMPOSITOR_GPU_H

#include <stdbool.h>
#include <stdint.h>

struct bn_gpu_hooks {
	/* A picture is about to be composed. It waits for nobody: false makes the CPU draw this one. One picture at a time;
	 * queued() or failed() says how it went, before the next begins. May be NULL. */
	bool (*begin)(void *data);
	/* All of it is at the GPU. fence: a sync_file that is readable when the GPU is through, the caller's (to be duplicated
	 * by who keeps it); -1: it is through. May be NULL. */
	void (*queued)(void *data, int fence);
	/* It was begun, and the CPU draws it: nothing of it is at the GPU, or the context is lost. May be NULL. */
	void (*failed)(void *data);
	/* So long the GPU worked on one that was queued; told when it is known, which is one or more pictures
	 * later, and where the driver has timers only. May be NULL. */
	void (*done)(void *data, uint64_t gpu_ns);
	void *data;
};

/* false: whoever set up this service wants no GPU used: the CPU composes. Outputs that compose on one already go on. Default:
 * true. */
void bn_gpu_set_allowed(bool allowed);

/* Of the whole process; copied. NULL ends it. */
void bn_gpu_set_hooks(const struct bn_gpu_hooks *hooks);

struct bn_gpu_totals {
	uint64_t pictures;       /* composed by a GPU */
	uint64_t measured;       /* of them, those whose time is known */
	uint64_t gpu_ns, max_ns; /* that these took, all of them and the longest */
	uint64_t failed;         /* that the CPU had to draw after all */
	uint64_t lost;           /* contexts lost */
};
void bn_gpu_totals(struct bn_gpu_totals *out);

#endif
