/* Renderer processes as the daemon starts and ends them. This program is the renderer, too: what it does
 * then is said by the VM's name. */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef BN_TEST_SECCOMP
#include <seccomp.h>
#endif

#include <wayland-server-core.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"

#include "renderer_process.h"
#include "sandbox/sandbox.h"

#define LINK 3
#define MANY 8u

/* ---- as the renderer ---- */

static int inside(const char *what)
{
	char text[4096] = "";
	if (strcmp(what, "exits") == 0)
		return 3;
	for (char **v = environ; *v; v++) {
		size_t used = strlen(text);
		snprintf(text + used, sizeof(text) - used, "%s\n", *v);
	}
	send(LINK, text, strlen(text) + 1, MSG_NOSIGNAL);
	char byte;
	recv(LINK, &byte, 1, 0); /* until the other end is closed */
	return 0;
}

/* ---- as the daemon ---- */

static char self_path[4096];
static char **env;
static struct wl_event_loop *loop;
static unsigned fds_before;

/* One renderer and what was heard of it. */
struct run {
	struct bn_renderer_process *process;
	int link;
	unsigned started, failed, exited;
	pid_t pid;
	int error;
	struct bn_renderer_exit how;
	int procs; /* what stands for cgroup.procs; -1: nothing */
	char joined[32]; /* what was written there when it was started */
	bool destroy; /* at its end, from within the callback */
};

static void handle_started(void *data, pid_t pid)
{
	struct run *r = data;
	CU_ASSERT_EQUAL(r->failed + r->exited, 0);
	r->started++;
	r->pid = pid;
	if (r->procs >= 0 && pread(r->procs, r->joined, sizeof(r->joined) - 1, 0) < 0)
		r->joined[0] = '\0';
}

static void end(struct run *r)
{
	if (r->destroy) {
		bn_renderer_process_destroy(r->process);
		r->process = NULL;
	}
}

static void handle_failed(void *data, int error)
{
	struct run *r = data;
	CU_ASSERT_EQUAL(r->started, 0);
	r->failed++;
	r->error = error;
	end(r);
}

static void handle_exited(void *data, const struct bn_renderer_exit *how)
{
	struct run *r = data;
	r->exited++;
	r->how = *how;
	end(r);
}

static const struct bn_renderer_listener listener = {
	.started = handle_started,
	.failed = handle_failed,
	.exited = handle_exited,
};

/* As a VM of that name. */
static int run_program(struct run *r, const char *path, const char *vm, bool sandbox)
{
	const struct bn_renderer_program program = {
		.path = path, .log_level = "error", .env = env, .sandbox = sandbox};
	int pair[2], procs = r->procs < 0 ? -1 : bn_fd_dup(r->procs);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	r->link = pair[0];
	int ret = bn_renderer_process_create(
		&r->process, loop, &program, vm, NULL, pair[1], procs, &listener, r);
	close(pair[1]);
	return ret;
}

static void run_start(struct run *r, const char *vm)
{
	*r = (struct run){.link = -1, .procs = -1};
	CU_ASSERT_EQUAL_FATAL(run_program(r, self_path, vm, false), 0);
}

/* Until the counter is there. */
static bool wait_for(const unsigned *counter)
{
	uint64_t end_ns = bn_now_ns() + 20 * BN_NS_PER_S;
	while (!*counter && bn_now_ns() < end_ns)
		wl_event_loop_dispatch(loop, 100);
	return *counter == 1;
}

static void run_finish(struct run *r)
{
	bn_fd_close(&r->link);
	bn_renderer_process_destroy(r->process);
	r->process = NULL;
}

static unsigned count_fds(void)
{
	unsigned n = 0;
	DIR *dir = opendir("/proc/self/fd");
	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

/* Besides those at the start. The keeper closes its own a moment after it has told the last. */
static bool no_fd_left(void)
{
	for (unsigned i = 0; i < 5000 && count_fds() != fds_before; i++)
		usleep(1000);
	return count_fds() == fds_before;
}

static bool no_child(void)
{
	return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD;
}

static void test_life(void)
{
	struct run r;
	run_start(&r, "exits");
	CU_ASSERT_TRUE(wait_for(&r.exited));
	CU_ASSERT_TRUE(r.started <= 1 && r.failed == 0); /* it may have been quicker than the loop */
	CU_ASSERT_FALSE(r.how.signalled);
	CU_ASSERT_EQUAL(r.how.code, 3);
	run_finish(&r);
	run_start(&r, "waits");
	CU_ASSERT_TRUE(wait_for(&r.started));
	CU_ASSERT_TRUE(r.pid > 0);
	CU_ASSERT_EQUAL(bn_renderer_process_pid(r.process), r.pid);
	CU_ASSERT_EQUAL(kill(r.pid, 0), 0);
	bn_renderer_process_kill(r.process);
	bn_renderer_process_kill(r.process);
	CU_ASSERT_TRUE(wait_for(&r.exited));
	CU_ASSERT_TRUE(r.how.signalled);
	CU_ASSERT_EQUAL(r.how.code, SIGKILL);
	run_finish(&r);
	CU_ASSERT_TRUE(no_child());
	CU_ASSERT_TRUE(no_fd_left());
}

/* Asked to end before it runs: it ends, and is never heard to have started. */
static void test_kill_at_once(void)
{
	struct run r;
	for (unsigned i = 0; i < 20; i++) {
		run_start(&r, "waits");
		if (i % 2)
			usleep(i * 200);
		bn_renderer_process_kill(r.process);
		CU_ASSERT_TRUE(wait_for(&r.exited));
		CU_ASSERT_EQUAL(r.started + r.failed, 0);
		CU_ASSERT_TRUE(r.how.signalled);
		run_finish(&r);
	}
	CU_ASSERT_TRUE(no_child());
}

/* The service stops while renderers are being started: none is left, nothing is heard any more. */
static void test_destroy_at_once(void)
{
	struct run r[MANY];
	for (unsigned round = 0; round < 5; round++) {
		for (unsigned i = 0; i < MANY; i++)
			run_start(&r[i], "waits");
		usleep(round * 700);
		for (unsigned i = 0; i < MANY; i++)
			bn_renderer_process_kill(r[i].process);
		for (unsigned i = 0; i < MANY; i++)
			run_finish(&r[i]);
		wl_event_loop_dispatch(loop, 0);
		for (unsigned i = 0; i < MANY; i++)
			CU_ASSERT_EQUAL(r[i].started + r[i].failed + r[i].exited, 0);
		CU_ASSERT_TRUE(no_child());
	}
	CU_ASSERT_TRUE(no_fd_left());
}

static void test_many(void)
{
	struct run r[MANY];
	for (unsigned i = 0; i < MANY; i++) {
		run_start(&r[i], "waits");
		r[i].destroy = i % 2;
	}
	for (unsigned i = 0; i < MANY; i++) {
		CU_ASSERT_TRUE(wait_for(&r[i].started));
		bn_fd_close(&r[i].link); /* it ends by that: its end was the only one */
	}
	for (unsigned i = 0; i < MANY; i++) {
		CU_ASSERT_TRUE(wait_for(&r[i].exited));
		CU_ASSERT_FALSE(r[i].how.signalled);
		CU_ASSERT_EQUAL(r[i].how.code, 0);
		CU_ASSERT_EQUAL(r[i].process == NULL, r[i].destroy);
		run_finish(&r[i]);
	}
	CU_ASSERT_TRUE(no_child());
}

/* Catches what is logged. */
static int log_catch(int *saved)
{
	int file = memfd_create("log", MFD_CLOEXEC);
	*saved = bn_fd_dup(STDERR_FILENO);
	CU_ASSERT_TRUE_FATAL(file >= 0 && *saved >= 0);
	dup2(file, STDERR_FILENO);
	return file;
}

static void log_release(int file, int saved, char *text, size_t size)
{
	dup2(saved, STDERR_FILENO);
	close(saved);
	ssize_t n = pread(file, text, size - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	close(file);
}

static void check_failure(const char *path, int error)
{
	struct run r = {.link = -1, .procs = -1, .destroy = true};
	char text[1024];
	int saved, file = log_catch(&saved);
	CU_ASSERT_EQUAL(run_program(&r, path, "cluster", false), 0);
	CU_ASSERT_TRUE(wait_for(&r.failed));
	log_release(file, saved, text, sizeof(text));
	CU_ASSERT_EQUAL(r.error, error);
	CU_ASSERT_EQUAL(r.started + r.exited, 0);
	CU_ASSERT_PTR_NULL(r.process);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "cluster"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, path));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, strerror(-error)));
	run_finish(&r);
}

static void test_failures(void)
{
	check_failure("/nonexistent/renderer", -ENOENT);
	check_failure("/etc/passwd", -EACCES);
	CU_ASSERT_TRUE(no_child());
	CU_ASSERT_TRUE(no_fd_left());
}

#ifdef BN_TEST_SECCOMP
/* A kernel that refuses namespaces: said with the remedy, and the renderer runs nevertheless. */
static void refuse_and_run(void)
{
	struct run r = {.link = -1, .procs = -1};
	char text[2048];
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	if (!filter ||
		seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
			SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWNS, CLONE_NEWNS)) < 0 ||
		seccomp_load(filter) < 0)
		_exit(2);
	int saved, file = log_catch(&saved);
	bool ok = run_program(&r, self_path, "waits", true) == 0 && wait_for(&r.started);
	log_release(file, saved, text, sizeof(text));
	ok = ok && strstr(text, "no user namespace for renderers") != NULL;
	run_finish(&r);
	_exit(ok ? 0 : 1);
}

static void test_refused_namespaces(void)
{
	int status = -1;
	pid_t pid = fork();
	if (pid == 0)
		refuse_and_run();
	waitpid(pid, &status, 0);
	CU_ASSERT_EQUAL(status, 0);
}
#endif

/* It is in its group when it is heard of. */
static void test_group(void)
{
	struct run r = {.link = -1, .procs = memfd_create("procs", MFD_CLOEXEC)};
	CU_ASSERT_EQUAL_FATAL(run_program(&r, self_path, "waits", false), 0);
	CU_ASSERT_TRUE(wait_for(&r.started));
	CU_ASSERT_EQUAL(atoi(r.joined), r.pid);
	run_finish(&r);
	close(r.procs);
}

static bool has_line(const char *text, const char *line)
{
	const char *at = strstr(text, line);
	return at && (at == text || at[-1] == '\n') && at[strlen(line)] == '\n';
}

/* Set before main() took the environment, see there. */
static void test_environment(void)
{
	struct run r;
	char text[4096] = "";
	setenv("LIBGL_ALWAYS_SOFTWARE", "late", 1);
	run_start(&r, "waits");
	CU_ASSERT_TRUE(recv(r.link, text, sizeof(text) - 1, 0) > 0);
	unsetenv("LIBGL_ALWAYS_SOFTWARE");
	CU_ASSERT_TRUE(has_line(text, "LP_NUM_THREADS=2"));
	CU_ASSERT_TRUE(has_line(text, "MESA_DEBUG=silent"));
	CU_ASSERT_TRUE(has_line(text, "VREND_DEBUG="));
	CU_ASSERT_TRUE(has_line(text, "LC_ALL=C"));
	CU_ASSERT_TRUE(has_line(text, "BINNACLE_SANDBOX=none"));
	CU_ASSERT_PTR_NULL(strstr(text, "BINNACLE_SANDBOX=root"));
	static const char *const hidden[] = {"TEST_SECRET", "PATH=/", "HOME=", "XDG_", "WAYLAND_",
		"LD_PRELOAD", "LANGUAGES", "LIBGL_", "NOTIFY_SOCKET"};
	for (unsigned i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		const char *at = strstr(text, hidden[i]);
		CU_ASSERT_PTR_NULL(at);
		if (at)
			printf("\n    inside: %.60s\n", at);
	}
	run_finish(&r);
}

/* What the main thread pays, and what it would pay if it waited. Printed, not judged. */
static void test_cost(void)
{
	uint64_t call = 0, whole = 0;
	for (unsigned i = 0; i < 20; i++) {
		struct run r;
		uint64_t t = bn_now_ns();
		run_start(&r, "waits");
		call = bn_now_ns() - t > call ? bn_now_ns() - t : call;
		CU_ASSERT_TRUE(wait_for(&r.started));
		whole = bn_now_ns() - t > whole ? bn_now_ns() - t : whole;
		run_finish(&r);
	}
	printf("\n    the call: %.3f ms at most, until it runs: %.3f ms\n", (double)call / 1e6,
		(double)whole / 1e6);
}

static void set_environment(void)
{
	static const char *const set[][2] = {{"LP_NUM_THREADS", "2"}, {"MESA_DEBUG", "silent"},
		{"VREND_DEBUG", ""}, {"LC_ALL", "C"}, {"BINNACLE_SANDBOX", "root"},
		{"TEST_SECRET", "LP_NUM_THREADS=3"}, {"HOME", "/home/somebody"},
		{"XDG_RUNTIME_DIR", "/run/user/0"}, {"WAYLAND_DISPLAY", "wayland-0"},
		{"LD_PRELOAD", ""}, {"LANGUAGES", "x"}, {"NOTIFY_SOCKET", "/run/notify"}};
	for (unsigned i = 0; i < sizeof(set) / sizeof(set[0]); i++)
		setenv(set[i][0], set[i][1], 1);
	unsetenv("LIBGL_ALWAYS_SOFTWARE");
}

int main(int argc, char **argv)
{
	static const CU_TestInfo tests[] = {
		{"life", test_life},
		{"killed before it runs", test_kill_at_once},
		{"destroyed before it runs", test_destroy_at_once},
		{"many at once", test_many},
		{"failures", test_failures},
#ifdef BN_TEST_SECCOMP
		{"refused namespaces", test_refused_namespaces},
#endif
		{"cgroup", test_group},
		{"environment", test_environment},
		{"cost", test_cost},
		CU_TEST_INFO_NULL,
	};
	for (int i = 1; i + 1 < argc; i++) {
		if (strcmp(argv[i], "--vm") == 0)
			return inside(argv[i + 1]);
	}
	bn_log_init(BN_LOG_WARN, "test");
	ssize_t n = readlink("/proc/self/exe", self_path, sizeof(self_path) - 1);
	if (n < 0)
		return 1;
	self_path[n] = '\0';
	set_environment();
	env = bn_sandbox_env();
	loop = wl_event_loop_create();
	fds_before = count_fds();
	int ret = bn_unit_main("renderer process", tests);
	wl_event_loop_destroy(loop);
	free(env);
	return ret;
}
