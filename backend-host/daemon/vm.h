/* One virtual machine: its socket, the front end that is connected, its renderer process and
 * what that shows. */
#ifndef BN_DAEMON_VM_H
#define BN_DAEMON_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "arbiter.h"
#include "cgroup.h"
#include "display.h"
#include "gpu.h"
#include "protocol/link.h"
#include "renderer_process.h"
#include "scheduler/monitor.h"
#include "settings.h"

struct bn_events;
struct bn_frames;
struct wl_event_loop;

/* What all VMs have in common; outlives them. */
struct bn_vm_context {
	struct wl_event_loop *loop;
	struct bn_displays *displays;
	struct bn_gpu gpu;
	struct bn_renderer_program program;
	const char *shader_cache;    /* folder of the VMs' folders; "": none is kept */
	struct bn_cgroups *cgroups; /* NULL: none delegated */
	struct bn_arbiter *arbiter;
	struct bn_trace *trace;
	struct bn_events *events;
};

struct bn_vm; /* opaque */

/* Listens on the VM's socket and puts its layers on the displays. Nothing is started yet. index:
 * its number at the arbiter. settings and context must outlive it. 0 or -errno, logged with the path and a remedy. */
int bn_vm_create(struct bn_vm **out, const struct bn_vm_context *context,
	const struct bn_settings_vm *settings, unsigned index);
/* Starts the renderer; it gets ready by itself. */
void bn_vm_start(struct bn_vm *vm);
/* Asks the renderer to end, without waiting: before destroying many. */
void bn_vm_stop(struct bn_vm *vm);
/* Its renderer does not go on: another one takes over. */
void bn_vm_stuck(struct bn_vm *vm);
/* Ends the renderer, removes the socket. NULL is allowed. */
void bn_vm_destroy(struct bn_vm *vm);

/* A display changed; does nothing when none of the VM's scanouts is on it. */
void bn_vm_display_changed(struct bn_vm *vm, const struct bn_display *display);

/* ---- for people ---- */
struct bn_vm_info {
	const struct bn_settings_vm *settings;
	const char *state;     /* waiting, connected, running, restarting */
	const char *front_end; /* "" when none is connected */
	uint64_t features;     /* accepted by the driver; 0 before */
	uint64_t guest_memory; /* bytes */
	pid_t renderer;        /* 0: none runs now */
	bool ready;            /* below is valid */
	struct bn_link_ready about;
	struct bn_stats stats; /* a copy of what the renderer says; not to be trusted */
	const struct bn_monitor *monitor;
	double gpu_busy_percent; /* since the question before, or since the renderer started */
	unsigned buffers;
};
/* Fills *info; pointers in it are valid until the loop runs again. */
void bn_vm_describe(struct bn_vm *vm, struct bn_vm_info *info);
/* What it shows, for the scene. It lives as long as the VM. */
struct bn_frames *bn_vm_frames(struct bn_vm *vm);

#endif
