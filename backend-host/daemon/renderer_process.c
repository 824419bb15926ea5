#include "renderer_process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
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
	int pidfd;
	bool reaped;
	struct wl_event_source *source;
	bn_renderer_exited exited;
	void *data;
};

static int reap(struct bn_renderer_process *p, struct bn_renderer_exit *how)
{
	siginfo_t info = {0};
	if (waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED | WNOHANG) < 0)
		return -errno;
	if (info.si_pid == 0)
		return -EAGAIN;
	p->reaped = true;
	how->signalled = info.si_code != CLD_EXITED;
	how->code = info.si_status;
	return 0;
}

static int handle_pidfd(int fd, uint32_t mask, void *data)
{
	struct bn_renderer_process *p = data;
	struct bn_renderer_exit how = {0};
	int ret = reap(p, &how);
	if (ret == -EAGAIN)
		return 0;
	if (ret < 0) {
		bn_error("waiting for a renderer: %s", strerror(-ret));
		p->reaped = true;
	}
	wl_event_source_remove(p->source);
	p->source = NULL;
	p->exited(p->data, &how);
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
	p->exited = exited;
	p->data = data;
	p->pidfd = -1;
	p->pid = spawn(program, vm, shader_cache, link_fd, &p->pidfd);
	if (p->pid < 0) {
		int err = (int)p->pid;
		bn_error("%s: starting %s: %s", vm, program->path, strerror(-err));
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

void bn_renderer_process_destroy(struct bn_renderer_process *p)
{
	if (!p)
		return;
	if (p->source)
		wl_event_source_remove(p->source);
	if (!p->reaped) {
		struct bn_renderer_exit how;
		bn_renderer_process_kill(p);
		struct pollfd poll_end = {.fd = p->pidfd, .events = POLLIN};
		if (poll(&poll_end, 1, END_MS) <= 0 || reap(p, &how) < 0)
			bn_error("renderer %d does not end", (int)p->pid);
	}
	bn_fd_close(&p->pidfd);
	free(p);
}

pid_t bn_renderer_process_pid(const struct bn_renderer_process *p)
{
	return p->pid;
}
