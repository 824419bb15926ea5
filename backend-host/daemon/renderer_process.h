/* One renderer process: started in its sandbox, watched through its pidfd, ended by it. */
#ifndef BN_DAEMON_RENDERER_PROCESS_H
#define BN_DAEMON_RENDERER_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct wl_event_loop;

/* How a renderer is started; the same for all of them. Strings must outlive every process. */
struct bn_renderer_program {
	const char *path;
	const char *log_level; /* its --log */
	char *const *env;      /* bn_sandbox_env(), taken before anything changes the environment */
	bool sandbox;
};

struct bn_renderer_process; /* opaque */

struct bn_renderer_exit {
	bool signalled;
	int code; /* exit status, or the signal's number */
};

/* Called from the event loop; destroying the process from within is allowed. Of failed() and exited() one
 * comes, once. */
struct bn_renderer_listener {
	/* It runs. Not called when its end was asked for, or came, before. */
	void (*started)(void *data, pid_t pid);
	/* It could not be started; error is -errno, logged. */
	void (*failed)(void *data, int error);
	/* It is gone and reaped. */
	void (*exited)(void *data, const struct bn_renderer_exit *exit);
};

/* Starts a renderer for the VM of that name, without waiting for it: making its namespaces and running
 * the program takes milliseconds, and is left to a thread. link_fd becomes its fd 3 and stays the
 * caller's. shader_cache is its folder for compiled shaders, NULL: none is kept. procs_fd: the
 * cgroup.procs that it is written to before started(), -1: none; taken over, whatever the result. 0 or
 * -errno, logged: then nothing is called. */
int bn_renderer_process_create(struct bn_renderer_process **out, struct wl_event_loop *loop,
	const struct bn_renderer_program *program, const char *vm, const char *shader_cache,
	int link_fd, int procs_fd, const struct bn_renderer_listener *listener, void *data);
/* Kills the process, also one that is still being started, and waits for its end (which SIGKILL makes
 * short; at most two seconds). NULL is allowed. */
void bn_renderer_process_destroy(struct bn_renderer_process *process);
/* Asks for its end; exited() or failed() follows. */
void bn_renderer_process_kill(struct bn_renderer_process *process);
/* 0: it is still being started. */
pid_t bn_renderer_process_pid(const struct bn_renderer_process *process);

/* When a renderer that keeps dying may be started again: at once, but after 5 deaths within 10 s
 * only once a second. */
#define BN_BACKOFF_DEATHS 5
struct bn_backoff {
	uint64_t death_ns[BN_BACKOFF_DEATHS]; /* a ring; 0: none */
	unsigned next;
};
/* Notes a death at now_ns (CLOCK_MONOTONIC); returns the milliseconds to wait before the next
 * start. */
unsigned bn_backoff_death(struct bn_backoff *backoff, uint64_t now_ns);

#endif
