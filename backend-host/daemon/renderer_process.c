/* The life of a renderer is watched by a thread of its own, the keeper: it starts the process, waits for
 * its end, reaps it, and tells the event loop of each. None of that may be done by the main thread, on
 * which other VMs' refreshes wait. Starting takes milliseconds (namespaces, and exec). Reaping is worse,
 * as that thread has a real-time priority: the kernel takes the process out of /proc then, and spins there
 * until the process's own last threads, which are at the same, have got on. On their processor they never
 * would. And one thread for all of it, because a process is killed when the thread that made it ends
 * (PR_SET_PDEATHSIG).
 *
 *	STARTING ──▶ RUNNING ──▶ GONE
 *	    └──────▶ FAILED
 *
 * What the two share is the keeper's record, which the last of them frees. They take no lock, so that
 * neither waits for the other to be run. */
#include "renderer_process.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <wayland-server-core.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "sandbox/sandbox.h"

#define END_MS 2000
#define STACK_BYTES (256u << 10)

enum phase { STARTING, RUNNING, FAILED, GONE };

struct keeper {
	atomic_uint users;
	atomic_int phase; /* the keeper's word; what belongs to a phase is written before */
	atomic_bool ended; /* the main thread's: it is to be killed */
	int bell;	   /* eventfd, at each change of phase */
	/* For the start. */
	struct bn_renderer_program program;
	char *vm, *shader_cache; /* the latter NULL: none */
	int link_fd, procs_fd;
	/* RUNNING: */
	pid_t pid;
	int pidfd;
	/* FAILED: -errno; GONE: 0 or -errno of waiting, and how it ended */
	int error;
	struct bn_renderer_exit how;
};

struct bn_renderer_process {
	struct keeper *keeper;
	struct wl_event_source *source;
	const struct bn_renderer_listener *listener;
	void *data;
	bool told_start, told_end;
};

static void keeper_unref(struct keeper *k)
{
	if (atomic_fetch_sub(&k->users, 1) != 1)
		return;
	bn_fd_close(&k->bell);
	bn_fd_close(&k->link_fd);
	bn_fd_close(&k->procs_fd);
	bn_fd_close(&k->pidfd);
	free(k->vm);
	free(k->shader_cache);
	free(k);
}

/* Through the pidfd: a pid may belong to somebody else by now. */
static void send_kill(const struct keeper *k)
{
	if (syscall(SYS_pidfd_send_signal, k->pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		bn_error("%s: ending renderer %d: %s", k->vm, (int)k->pid, strerror(errno));
}

/* ---- the keeper's thread ---- */

static void enter(struct keeper *k, enum phase phase)
{
	atomic_store(&k->phase, (int)phase);
	bn_event_signal(k->bell);
}

static pid_t spawn(struct keeper *k)
{
	char *argv[12];
	unsigned n = 0;
	argv[n++] = (char *)k->program.path;
	argv[n++] = (char *)"--link";
	argv[n++] = (char *)"3";
	argv[n++] = (char *)"--vm";
	argv[n++] = k->vm;
	argv[n++] = (char *)"--log";
	argv[n++] = (char *)k->program.log_level;
	if (k->shader_cache) {
		argv[n++] = (char *)"--shader-cache";
		argv[n++] = k->shader_cache;
	}
	if (!k->program.sandbox)
		argv[n++] = (char *)"--no-sandbox";
	argv[n] = NULL;
	const struct bn_sandbox_spawn request = {
		.path = k->program.path,
		.argv = argv,
		.env = k->program.env,
		.fds = &k->link_fd,
		.nfds = 1,
		.namespaces = k->program.sandbox,
	};
	return bn_sandbox_spawn(&request, &k->pidfd);
}

/* The kernel may keep who writes there waiting for all processors. */
static void join_cgroup(struct keeper *k)
{
	if (k->procs_fd >= 0 && dprintf(k->procs_fd, "%d", (int)k->pid) < 0)
		bn_warn("%s: putting its renderer into a memory cgroup: %s", k->vm,
			strerror(errno));
	bn_fd_close(&k->procs_fd);
}

static void wait_end(struct keeper *k)
{
	siginfo_t info = {0};
	int ret;
	do {
		ret = waitid(P_PIDFD, (id_t)k->pidfd, &info, WEXITED);
	} while (ret < 0 && errno == EINTR);
	k->error = ret < 0 ? -errno : 0;
	k->how.signalled = info.si_code != CLD_EXITED;
	k->how.code = info.si_status;
}

static void *keep(void *data)
{
	struct keeper *k = data;
	k->pid = spawn(k);
	bn_fd_close(&k->link_fd); /* its end of the link is the renderer's alone */
	if (k->pid < 0) {
		k->error = (int)k->pid;
		enter(k, FAILED);
	} else {
		join_cgroup(k);
		enter(k, RUNNING);
		/* Whoever asked for its end before could not know whom to kill. */
		if (atomic_load(&k->ended))
			send_kill(k);
		wait_end(k);
		enter(k, GONE);
	}
	keeper_unref(k);
	return NULL;
}

/* It inherits no real-time priority (SCHED_RESET_ON_FORK). Nobody joins it: that would be waiting. 0 or
 * -errno. */
static int start_keeper(struct keeper *k)
{
	pthread_attr_t attr;
	sigset_t all, before;
	pthread_t thread;
	int ret = -pthread_attr_init(&attr);
	if (ret < 0)
		return ret;
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	atomic_fetch_add(&k->users, 1);
	ret = -pthread_create(&thread, &attr, keep, k);
	if (ret < 0)
		atomic_fetch_sub(&k->users, 1);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return ret;
}

/* ---- the event loop's side ---- */

static void tell_end(struct bn_renderer_process *p, enum phase phase)
{
	const struct keeper *k = p->keeper;
	p->told_end = true;
	wl_event_source_remove(p->source);
	p->source = NULL;
	if (phase == FAILED) {
		bn_error("%s: starting %s: %s", k->vm, k->program.path, strerror(-k->error));
		p->listener->failed(p->data, k->error);
		return;
	}
	if (k->error < 0)
		bn_error("%s: waiting for its renderer: %s", k->vm, strerror(-k->error));
	const struct bn_renderer_exit how = k->how;
	p->listener->exited(p->data, &how);
}

static int handle_bell(int fd, uint32_t mask, void *data)
{
	struct bn_renderer_process *p = data;
	bn_event_drain(fd);
	enum phase phase = (enum phase)atomic_load(&p->keeper->phase);
	if (phase == FAILED || phase == GONE) {
		tell_end(p, phase);
	} else if (phase == RUNNING && !p->told_start && !atomic_load(&p->keeper->ended)) {
		p->told_start = true;
		p->listener->started(p->data, p->keeper->pid);
	}
	return 0;
}

/* Takes over procs_fd. 0 or -errno. */
static int keeper_create(struct keeper **out, const struct bn_renderer_program *program,
	const char *vm, const char *shader_cache, int link_fd, int procs_fd)
{
	struct keeper *k = calloc(1, sizeof(*k));
	if (!k) {
		bn_fd_close(&procs_fd);
		return -ENOMEM;
	}
	k->users = 1;
	k->program = *program;
	k->vm = strdup(vm);
	k->shader_cache = shader_cache ? strdup(shader_cache) : NULL;
	k->pidfd = -1;
	k->procs_fd = procs_fd;
	k->link_fd = bn_fd_dup(link_fd);
	k->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int ret = k->bell < 0 ? -errno : 0;
	if (k->link_fd < 0)
		ret = k->link_fd;
	if (!k->vm || (shader_cache && !k->shader_cache))
		ret = -ENOMEM;
	if (ret < 0)
		keeper_unref(k);
	else
		*out = k;
	return ret;
}

int bn_renderer_process_create(struct bn_renderer_process **out, struct wl_event_loop *loop,
	const struct bn_renderer_program *program, const char *vm, const char *shader_cache,
	int link_fd, int procs_fd, const struct bn_renderer_listener *listener, void *data)
{
	struct keeper *k = NULL;
	struct bn_renderer_process *p = NULL;
	int ret = keeper_create(&k, program, vm, shader_cache, link_fd, procs_fd);
	if (ret < 0)
		goto fail;
	ret = -ENOMEM;
	p = calloc(1, sizeof(*p));
	if (!p)
		goto fail;
	*p = (struct bn_renderer_process){.keeper = k, .listener = listener, .data = data};
	p->source = wl_event_loop_add_fd(loop, k->bell, WL_EVENT_READABLE, handle_bell, p);
	if (!p->source)
		goto fail;
	ret = start_keeper(k);
	if (ret < 0)
		goto fail;
	*out = p;
	return 0;
fail:
	bn_error("%s: starting %s: %s", vm, program->path, strerror(-ret));
	if (p && p->source)
		wl_event_source_remove(p->source);
	free(p);
	if (k)
		keeper_unref(k);
	return ret;
}

void bn_renderer_process_kill(struct bn_renderer_process *p)
{
	/* In this order; the keeper looks in the other one. */
	atomic_store(&p->keeper->ended, true);
	if (atomic_load(&p->keeper->phase) == RUNNING)
		send_kill(p->keeper);
}

/* False: it is still there after END_MS. */
static bool wait_gone(const struct keeper *k)
{
	uint64_t end_ns = bn_now_ns() + END_MS * BN_NS_PER_MS, now_ns;
	int phase;
	while (phase = atomic_load(&k->phase), phase != GONE && phase != FAILED) {
		now_ns = bn_now_ns();
		if (now_ns >= end_ns)
			return false;
		struct pollfd bell = {.fd = k->bell, .events = POLLIN};
		poll(&bell, 1, (int)((end_ns - now_ns) / BN_NS_PER_MS) + 1);
		bn_event_drain(k->bell);
	}
	return true;
}

void bn_renderer_process_destroy(struct bn_renderer_process *p)
{
	if (!p)
		return;
	if (p->source)
		wl_event_source_remove(p->source);
	if (!p->told_end) {
		bn_renderer_process_kill(p);
		if (!wait_gone(p->keeper))
			bn_error("%s: its renderer does not end", p->keeper->vm);
	}
	keeper_unref(p->keeper);
	free(p);
}

pid_t bn_renderer_process_pid(const struct bn_renderer_process *p)
{
	int phase = atomic_load(&p->keeper->phase);
	return phase == RUNNING || phase == GONE ? p->keeper->pid : 0;
}
