/* The end of a renderer. The daemon's main thread has a real-time priority, and must not reap it: the
 * kernel takes the process out of /proc then, and spins there until the process's own last threads,
 * which are at the same, have got on. On their processor they never would. So an ordinary thread
 * waits, and tells. */
#include "renderer_process.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <wayland-server-core.h>

#include "common/fd.h"
#include "common/log.h"
#include "sandbox/sandbox.h"

#define END_MS 2000

struct bn_renderer_process {
	pid_t pid;
	int pidfd, reaped_fd; /* the second: an eventfd, from the reaper */
	struct wl_event_loop *loop;
	struct wl_event_source *source;
	bn_renderer_exited exited;
	void *data;
	pthread_t reaper;
	bool reaping, reaped; /* the reaper was started; it is done and joined */
	/* Its result. */
	int error;
	struct bn_renderer_exit how;
};

static void *reap(void *data)
{
	struct bn_renderer_process *p = data;
	siginfo_t info = {0};
	int ret;
	do {
		ret = waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED);
	} while (ret < 0 && errno == EINTR);
	p->error = ret < 0 ? errno : 0;
	p->how.signalled = info.si_code != CLD_EXITED;
	p->how.code = info.si_status;
	bn_event_signal(p->reaped_fd);
	return NULL;
}

/* It inherits no real-time priority (SCHED_RESET_ON_FORK). 0 or -errno. */
static int start_reaper(struct bn_renderer_process *p)
{
	if (p->reaping)
		return 0;
	int ret = -pthread_create(&p->reaper, NULL, reap, p);
	p->reaping = ret == 0;
	return ret;
}

static int handle_reaped(int fd, uint32_t mask, void *data)
{
	struct bn_renderer_process *p = data;
	pthread_join(p->reaper, NULL);
	p->reaped = true;
	if (p->error != 0)
		bn_error("waiting for a renderer: %s", strerror(p->error));
	wl_event_source_remove(p->source);
	p->source = NULL;
	const struct bn_renderer_exit how = p->how;
	p->exited(p->data, &how);
	return 0;
}

static int handle_pidfd(int fd, uint32_t mask, void *data)
{
	struct bn_renderer_process *p = data;
	int ret = start_reaper(p);
	if (ret < 0) {
		bn_error("waiting for a renderer: %s", strerror(-ret));
		return 0; /* tried again: it is still readable */
	}
	wl_event_source_remove(p->source);
	p->source = wl_event_loop_add_fd(
		p->loop, p->reaped_fd, WL_EVENT_READABLE, handle_reaped, p);
	return 0;
}

static pid_t spawn(const struct bn_renderer_program *program, const char *vm,
	const char *shader_cache, int link_fd, int *pidfd)
{
	char *argv[12];
	unsigned n = 0;
	argv[n++] = (char *)program->path;
	argv[n++] = (char *)"--link";
	argv[n++] = (char *)"3";
	argv[n++] = (char *)"--vm";
	argv[n++] = (char *)vm;
	argv[n++] = (char *)"--log";
	argv[n++] = (char *)program->log_level;
	if (shader_cache) {
		argv[n++] = (char *)"--shader-cache";
		argv[n++] = (char *)shader_cache;
	}
	if (!program->sandbox)
		argv[n++] = (char *)"--no-sandbox";
	argv[n] = NULL;
	const struct bn_sandbox_spawn request = {
		.path = program->path,
		.argv = argv,
		.fds = &link_fd,
		.nfds = 1,
		.namespaces = program->sandbox,
	};
	return bn_sandbox_spawn(&request, pidfd);
}

int bn_renderer_process_create(struct bn_renderer_process **out, struct wl_event_loop *loop,
	const struct bn_renderer_program *program, const char *vm, const char *shader_cache,
	int link_fd, bn_renderer_exited exited, void *data)
{
	struct bn_renderer_process *p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->loop = loop;
	p->exited = exited;
	p->data = data;
	p->pidfd = -1;
	p->reaped_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->reaped_fd < 0) {
		free(p);
		return -errno;
	}
	p->pid = spawn(program, vm, shader_cache, link_fd, &p->pidfd);
	if (p->pid < 0) {
		int err = (int)p->pid;
		bn_error("%s: starting %s: %s", vm, program->path, strerror(-err));
		bn_fd_close(&p->reaped_fd);
		free(p);
		return err;
	}
	p->source = wl_event_loop_add_fd(loop, p->pidfd, WL_EVENT_READABLE, handle_pidfd, p);
	if (!p->source) {
		bn_renderer_process_destroy(p);
		return -ENOMEM;
	}
	*out = p;
	return 0;
}

void bn_renderer_process_kill(struct bn_renderer_process *p)
{
	/* Through the pidfd: a pid may belong to somebody else by now. */
	if (!p->reaped && syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0) < 0 &&
		errno != ESRCH)
		bn_error("ending renderer %d: %s", (int)p->pid, strerror(errno));
}

static void end_and_reap(struct bn_renderer_process *p)
{
	bn_renderer_process_kill(p);
	if (start_reaper(p) < 0)
		return;
	struct pollfd end = {.fd = p->reaped_fd, .events = POLLIN};
	if (poll(&end, 1, END_MS) <= 0) {
		bn_error("renderer %d does not end", (int)p->pid);
		pthread_cancel(p->reaper);
	}
	pthread_join(p->reaper, NULL);
}

void bn_renderer_process_destroy(struct bn_renderer_process *p)
{
	if (!p)
		return;
	if (p->source)
		wl_event_source_remove(p->source);
	if (!p->reaped)
		end_and_reap(p);
	bn_fd_close(&p->pidfd);
	bn_fd_close(&p->reaped_fd);
	free(p);
}

pid_t bn_renderer_process_pid(const struct bn_renderer_process *p)
{
	return p->pid;
}
