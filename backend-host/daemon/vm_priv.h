/* A VM's inside, for vm.c (front end) and vm_renderer.c (renderer). */
#ifndef BN_DAEMON_VM_PRIV_H
#define BN_DAEMON_VM_PRIV_H

#include "vm.h"

#include "frames.h"
#include "renderer_link.h"
#include "shader_cache.h"
#include "vu_connection.h"

enum bn_vm_renderer_state {
	BN_VM_RENDERER_NONE,     /* not started, or waiting to be started again */
	BN_VM_RENDERER_STARTING, /* until READY */
	BN_VM_RENDERER_READY,
	BN_VM_RENDERER_ENDING, /* killed, not yet gone */
};

struct bn_vm {
	const struct bn_vm_context *context;
	const struct bn_settings_vm *settings;
	const char *name;
	unsigned index; /* at the arbiter */

	int listen_fd, spare_fd; /* the latter of bn_unix_accept() */
	struct wl_event_source *listen_source;
	struct bn_vu_connection *connection; /* NULL: nobody is connected */
	unsigned long refused;               /* gate of the log */
	bool restarting; /* the renderer died under a running front end and is not back yet */

	enum bn_vm_renderer_state renderer_state;
	struct bn_renderer_process *process; /* NULL: none */
	struct bn_renderer_link *link;       /* NULL: none, or it does not run yet */
	int link_fd; /* our end of the link, until the process runs; -1: none */
	struct bn_link_ready about;          /* valid when READY */
	uint32_t priority;                   /* asked for, of its GPU contexts */
	bool used;                           /* the renderer was given something of a front end */
	bool want_fresh;                     /* the next renderer starts without a past */
	bool replacing; /* the running one is ended on purpose: no death to count */
	bool restored;  /* the running one has a past */
	bool stopping;
	unsigned failed_restores; /* in a row */
	uint64_t started_ns;      /* the last start */
	struct bn_backoff backoff;
	struct wl_event_source *retry; /* timer of the back-off; NULL: never needed yet */
	/* Timer of what the renderer owes; NULL: never needed yet. */
	struct wl_event_source *deadline;
	struct bn_cgroup *cgroup;
	/* Bytes of guest memory that its limit allows for; UINT64_MAX: not set yet. */
	uint64_t guest_memory_limit;

	char shader_cache[BN_SHADER_CACHE_PATH_MAX]; /* "": none is kept */
	int journal_fd, inflight_fd, stats_fd; /* -1: none yet */
	const struct bn_stats *stats;          /* mapped; NULL: none */
	struct bn_arbiter_fds arbiter_fds;     /* while it is greeted */

	struct bn_frames *frames;
	struct bn_monitor monitor;
	uint64_t busy_seen_ns, busy_at_ns; /* gpu_busy_ns and the time when it was last asked for */
};

/* ---- vm_renderer.c ---- */

/* Starts a renderer, with a past or without, as want_fresh says. */
void bn_vm_renderer_start(struct bn_vm *vm);
/* Ends the one that runs; another, fresh one follows by itself. */
void bn_vm_renderer_replace(struct bn_vm *vm);
/* Ends the one that runs for what it did; the next one takes over what it had. */
void bn_vm_renderer_fault(struct bn_vm *vm, const char *what);
/* Gives the session what it needs once both it and a renderer are there. */
void bn_vm_renderer_offer(struct bn_vm *vm);
int bn_vm_renderer_send(struct bn_vm *vm, enum bn_link_type type, const void *payload, size_t size,
	const int *fds, size_t nfds, uint32_t *seq);
void bn_vm_renderer_send_displays(struct bn_vm *vm);
/* The front end's memory may have changed. */
void bn_vm_renderer_update_limits(struct bn_vm *vm);
/* Ends everything, waiting. */
void bn_vm_renderer_finish(struct bn_vm *vm);

#endif
