/* The daemon's half: a new process in namespaces of its own.
 *
 * The child is made with clone() directly, as unshare() could not make it the first process of its
 * pid namespace. It waits at a pipe until its user id outside is mapped, becomes root inside, puts
 * its fds in place and runs the program through an fd that was opened before: so the program may
 * lie in a folder that the renderer's id cannot enter. A second pipe, closed by a successful
 * exec, carries back the errno of whatever failed. Between clone() and exec only system calls
 * are made: other threads of the daemon may have held any lock. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"

#include "sandbox_priv.h"

#define FIRST_FD 3
#define FDS_MAX 64u

#define SPACES (CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS)

enum mode { MODE_USER, MODE_ROOT, MODE_NONE };

static const char *const mode_env[] = {
	[MODE_USER] = BN_SANDBOX_ENV "=" BN_SANDBOX_ENV_USER,
	[MODE_ROOT] = BN_SANDBOX_ENV "=" BN_SANDBOX_ENV_ROOT,
	[MODE_NONE] = BN_SANDBOX_ENV "=" BN_SANDBOX_ENV_NONE,
};

struct child {
	const struct bn_sandbox_spawn *spawn;
	enum mode mode;
	bool drop_groups;
	int program, null;
	int mapped[2]; /* parent → child: one byte once the ids are mapped */
	int failed[2]; /* child → parent: an errno; end of file after exec */
	char **env;
};

/* ---- in the child ---- */

static void child_fail(const struct child *c, int error)
{
	ssize_t ignored = write(c->failed[1], &error, sizeof(error));
	(void)ignored;
	_exit(127);
}

static void child_become_root(const struct child *c)
{
	char byte;
	/* Ours would keep the end of file away. */
	close(c->mapped[1]);
	/* End of file: the parent gave up, or died. */
	if (read(c->mapped[0], &byte, 1) != 1)
		_exit(127);
	if (c->mode != MODE_USER)
		return;
	/* System calls, not the C library's functions, which try to reach every thread. */
	if (c->drop_groups && syscall(SYS_setgroups, 0, NULL) < 0)
		child_fail(c, errno);
	if (syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0)
		child_fail(c, errno);
}

static void child_signals(void)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
}

static void close_from(int first)
{
	if (syscall(SYS_close_range, first, ~0u, 0) == 0)
		return;
	/* Linux before 5.9. */
	long max = sysconf(_SC_OPEN_MAX);
	for (int fd = first; fd < (max > 0 && max < 65536 ? (int)max : 65536); fd++)
		close(fd);
}

/* 3, 4, … as promised; after them the program and the pipe, close-on-exec; nothing else. */
static void child_fds(struct child *c)
{
	int n = (int)c->spawn->nfds, high[FDS_MAX];
	int program = FIRST_FD + n, failed = program + 1, above = failed + 1;
	/* Out of the way first, so that no dup2() closes what is still to be placed. */
	int high_failed = fcntl(c->failed[1], F_DUPFD_CLOEXEC, above);
	if (high_failed < 0)
		child_fail(c, errno);
	c->failed[1] = high_failed;
	int high_program = fcntl(c->program, F_DUPFD_CLOEXEC, above);
	if (high_program < 0)
		child_fail(c, errno);
	for (int i = 0; i < n; i++) {
		high[i] = fcntl(c->spawn->fds[i], F_DUPFD_CLOEXEC, above);
		if (high[i] < 0)
			child_fail(c, errno);
	}
	dup2(c->null, STDIN_FILENO);
	for (int i = 0; i < n; i++) {
		if (dup2(high[i], FIRST_FD + i) < 0)
			child_fail(c, errno);
	}
	if (dup3(high_program, program, O_CLOEXEC) < 0 || dup3(high_failed, failed, O_CLOEXEC) < 0)
		child_fail(c, errno);
	c->program = program;
	c->failed[1] = failed;
	close_from(above);
}

static void child_run(struct child *c)
{
	child_become_root(c);
	/* After the change of ids, which clears it. The first process of a pid namespace is killed
	 * by this, too, as the signal comes from outside. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	child_signals();
	/* Out of our session: stderr may be a terminal, and whom it controls can type into it
	 * (TIOCSTI). */
	setsid();
	child_fds(c);
	syscall(SYS_execveat, c->program, "", c->spawn->argv, c->env, AT_EMPTY_PATH);
	int error = errno;
	/* A script cannot be run through an fd that exec closes: its interpreter would find
	 * nothing. */
	if (error == ENOENT || error == ENOSYS)
		execve(c->spawn->path, c->spawn->argv, c->env);
	child_fail(c, error);
}

/* ---- in the parent ---- */

static int write_proc(pid_t pid, const char *name, const char *text)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = write(fd, text, strlen(text));
	int ret = n < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static int map_to(pid_t pid, uid_t uid, gid_t gid)
{
	char uid_map[32], gid_map[32];
	snprintf(uid_map, sizeof(uid_map), "0 %u 1", uid);
	snprintf(gid_map, sizeof(gid_map), "0 %u 1", gid);
	int ret = write_proc(pid, "uid_map", uid_map);
	return ret < 0 ? ret : write_proc(pid, "gid_map", gid_map);
}

void bn_sandbox_ids(uid_t *uid, gid_t *gid)
{
	*uid = geteuid();
	*gid = getegid();
	if (*uid != 0)
		return;
	struct passwd entry, *nobody = NULL;
	char text[1024];
	if (getpwnam_r("nobody", &entry, text, sizeof(text), &nobody) != 0)
		nobody = NULL;
	*uid = nobody ? nobody->pw_uid : BN_SANDBOX_NOBODY;
	*gid = nobody ? nobody->pw_gid : BN_SANDBOX_NOBODY;
}

static int map_ids(const struct child *c, pid_t pid)
{
	uid_t uid;
	gid_t gid;
	bn_sandbox_ids(&uid, &gid);
	/* Without privileges a gid may only be mapped by who can no longer drop groups. */
	int ret = geteuid() == 0 ? 0 : write_proc(pid, "setgroups", "deny");
	return ret < 0 && ret != -ENOENT ? ret : map_to(pid, uid, gid);
}

static char **make_env(char *const *base, enum mode mode)
{
	unsigned n = 0;
	while (base && base[n])
		n++;
	char **env = calloc(n + 2, sizeof(*env));
	if (!env)
		return NULL;
	for (unsigned i = 0; i < n; i++)
		env[i] = base[i];
	env[n] = (char *)mode_env[mode];
	return env;
}

static void reap(pid_t pid)
{
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Waits for exec: 0, or -errno of what failed in the child. */
static int wait_exec(struct child *c)
{
	int error = 0;
	ssize_t n;
	do {
		n = read(c->failed[0], &error, sizeof(error));
	} while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(error) ? -error : 0;
}

static int start_child(struct child *c, pid_t pid)
{
	int ret = c->mode == MODE_USER ? map_ids(c, pid) : 0;
	bn_fd_close(&c->mapped[0]);
	bn_fd_close(&c->failed[1]);
	if (ret < 0)
		return ret;
	if (write(c->mapped[1], "", 1) != 1)
		return -errno;
	return wait_exec(c);
}

/* *made tells whether the namespaces were to be had; what fails after that is another matter. */
static pid_t run_mode(struct child *c, enum mode mode, int *pidfd, bool *made)
{
	static const unsigned long flags[] = {
		[MODE_USER] = SPACES | CLONE_NEWUSER,
		[MODE_ROOT] = SPACES,
		[MODE_NONE] = 0,
	};
	*made = false;
	c->mode = mode;
	c->drop_groups = geteuid() == 0;
	c->env = make_env(c->spawn->env, mode);
	if (!c->env)
		return -ENOMEM;
	pid_t pid = -ENOMEM;
	if (pipe2(c->mapped, O_CLOEXEC) < 0) {
		pid = -errno;
		goto free_env;
	}
	if (pipe2(c->failed, O_CLOEXEC) < 0) {
		pid = -errno;
		goto close_mapped;
	}
	/* Like fork(), as no stack is given. */
	pid = (pid_t)syscall(
		SYS_clone, flags[mode] | CLONE_PIDFD | SIGCHLD, NULL, pidfd, NULL, NULL);
	if (pid == 0)
		child_run(c);
	if (pid < 0) {
		pid = -errno;
	} else {
		int ret = start_child(c, pid);
		*made = ret != -EPERM || mode == MODE_NONE;
		if (ret < 0) {
			reap(pid);
			bn_fd_close(pidfd);
			pid = ret;
		}
	}
	bn_fds_close(c->failed, 2);
close_mapped:
	bn_fds_close(c->mapped, 2);
free_env:
	free(c->env);
	c->env = NULL;
	return pid;
}

static long read_sysctl(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 ? strtol(text, NULL, 10) : -1;
}

static void explain(int error, bool root)
{
	const char *why = "the kernel or a container around us forbids it";
	if (read_sysctl("/proc/sys/user/max_user_namespaces") == 0)
		why = "set the sysctl user.max_user_namespaces above 0";
	else if (read_sysctl("/proc/sys/kernel/unprivileged_userns_clone") == 0)
		why = "set the sysctl kernel.unprivileged_userns_clone to 1";
	else if (read_sysctl("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1)
		why = "set the sysctl kernel.apparmor_restrict_unprivileged_userns to 0, or give "
		      "the program an AppArmor profile with \"userns,\"";
	else if (error == -ENOSPC)
		why = "all of user.max_user_namespaces (and its like for net, pid, mnt) are in use";
	else if (error == -EINVAL)
		why = "this kernel is built without CONFIG_USER_NS (or NET_NS, PID_NS, IPC_NS)";
	bn_warn("sandbox: no user namespace for renderers (%s): %s; until then they run %s",
		strerror(-error), why,
		root ? "as an unprivileged id in the other namespaces"
		     : "in this user's namespaces, with the system-call filter only");
}

static bool refused(pid_t error)
{
	return error == -EPERM || error == -ENOSPC || error == -EINVAL || error == -EUSERS ||
	       error == -EACCES;
}

static pid_t run(struct child *c, int *pidfd)
{
	bool made;
	if (!c->spawn->namespaces)
		return run_mode(c, MODE_NONE, pidfd, &made);
	pid_t pid = run_mode(c, MODE_USER, pidfd, &made);
	if (pid >= 0 || made || !refused(pid))
		return pid;
	explain((int)pid, geteuid() == 0);
	if (geteuid() == 0) {
		pid = run_mode(c, MODE_ROOT, pidfd, &made);
		if (pid >= 0 || made || !refused(pid))
			return pid;
		bn_warn("sandbox: no namespaces at all for renderers (%s)", strerror(-(int)pid));
	}
	return run_mode(c, MODE_NONE, pidfd, &made);
}

pid_t bn_sandbox_spawn(const struct bn_sandbox_spawn *spawn, int *pidfd)
{
	struct child c = {
		.spawn = spawn,
		.mapped = {-1, -1},
		.failed = {-1, -1},
	};
	*pidfd = -1;
	if (spawn->nfds > FDS_MAX)
		return -EINVAL;
	c.program = open(spawn->path, O_PATH | O_CLOEXEC);
	if (c.program < 0)
		return -errno;
	pid_t pid;
	c.null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (c.null < 0)
		pid = -errno;
	else
		pid = run(&c, pidfd);
	bn_fd_close(&c.null);
	bn_fd_close(&c.program);
	return pid;
}
