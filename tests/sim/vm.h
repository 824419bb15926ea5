/* A VM between its guest and its outputs, all real but for the ring, the link and the GPU: guest
 * commands → renderer's device → link messages → daemon's frames → layers of clocked outputs,
 * and back. Every hop takes a random time, in order.
 *
 * Checked always: each request is answered once, with OK and its own fence, in the order of its
 * timeline; each present lies on the output's grid, which is computed here anew from its origin;
 * presents never go back; nothing is drawn into what a display shows, or will show, without a copy,
 * once the guest has flushed another picture there. */
#ifndef BN_TESTS_SIM_VM_H
#define BN_TESTS_SIM_VM_H

#include "device.h"
/* Renderer and compositor each have their own, and no program has both but this one. */
#undef BN_CURSOR_SIZE
#include "frames.h"
#include "gpu.h"
#include "output_impl.h"

#define VM_SCANOUTS 2u
#define VM_TIMELINES GPU_CONTEXTS
#define SIM_GUEST_RAM 0x10000000ull /* one page */

struct sim_output {
	struct bn_output *output;
	struct wl_event_loop *loop;
	struct sim_random random;
	struct sim_range late; /* how late the timer wakes us */
	uint64_t armed_for;
};

void sim_output_init(
	struct sim_output *o, struct wl_event_loop *loop, uint32_t refresh_mhz, bool free_running);
void sim_output_finish(struct sim_output *o);
/* Sees to its timer and idle work: after anything that may have touched it. */
void sim_output_tend(struct sim_output *o);

struct sim_vm_config {
	struct sim_output *outputs[VM_SCANOUTS]; /* NULL: nowhere */
	enum gpu_engine engine;
	bool rings;           /* CONTEXT_INIT: a timeline per context, else one for all */
	bool export;          /* scanouts leave as dma-bufs, else by read-back */
	struct sim_range hop; /* time of each way between guest, renderer and daemon */
};

/* What was seen of a scanout. */
struct sim_seen {
	uint64_t presents, last_ns; /* vblanks that showed something new, the last one */
	uint64_t origin_ns, index;  /* the output's grid then, the vblank's number in it */
	uint64_t steps[4];          /* presents 1, 2, 3 vblanks after the one before, [0]: later */
	unsigned backlog_max;       /* the most flushes taken and not presented */
};

#define SIM_PICTURES 64u
/* A resource, by its id. */
struct sim_picture {
	uint64_t buffer, seq; /* of the newest frame that showed it itself; seq 0: it is let go */
	unsigned scanout;     /* of that frame */
	bool spoilt;          /* drawn into after the guest had flushed another one */
};

struct sim_vm {
	struct sim_vm_config config;
	struct sim_random random;
	struct bn_gl gpu;
	struct bn_guest_memory *mem;
	struct bn_device *dev;
	struct bn_stats stats;
	struct bn_monitor monitor;
	struct bn_frames *frames;
	struct sim_seen seen[VM_SCANOUTS];
	uint64_t pipe[4];        /* when the last of each way arrives */
	uint64_t sent, answered; /* requests */
	struct {
		uint64_t made, answered, seen; /* fences; the guest has seen the answer */
	} timeline[VM_TIMELINES];
	uint64_t next_fence_id;
	uint64_t lag_max[GPU_CONTEXTS]; /* from GPU done to answered, by context */
	uint64_t frames_sent;           /* FRAME messages with a picture */
	uint64_t digest;                /* of all presents */
	bool resetting;
	unsigned tears; /* bits of scanouts that nobody waits for: on them a picture may tear */
	bool draining;                  /* the daemon answers at once: presents are on no grid */
	struct wl_list backlog; /* sim_request.link: what the device has not taken while it is parked */
	uint64_t wait;          /* for a display, that a time-out was set for */
	struct sim_picture pictures[SIM_PICTURES];
	uint32_t newest[VM_SCANOUTS]; /* resource flushed last, if that is shown some day */
	uint32_t sent_res[VM_SCANOUTS];
	unsigned epoch; /* raised by a reset: what is under way belongs to the driver before */
	void (*signalled)(void *data);
	void *data;
};

void sim_vm_init(struct sim_vm *vm, const struct sim_vm_config *config, uint64_t stream);
void sim_vm_finish(struct sim_vm *vm);

/* Sends a command: size bytes at cmd, whose header is filled in but for the fence. fenced:
 * returns its number on the timeline of ctx_id (0 without rings), else 0. */
uint64_t sim_vm_send(
	struct sim_vm *vm, void *cmd, size_t size, const void *more, size_t more_size, bool fenced);
/* The guest knows that this fence has passed. */
bool sim_vm_signalled(const struct sim_vm *vm, uint32_t ctx_id, uint64_t number);
/* The rings stop, and go on: meanwhile neither side waits for displays. */
void sim_vm_drain(struct sim_vm *vm, bool on);
/* Resets the device as a new driver does. Then nothing may be unanswered, and what was under way
 * to the device or to the guest is lost. */
void sim_vm_reset(struct sim_vm *vm);

#endif
