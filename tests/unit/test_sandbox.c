/* The renderer's cage, looked at from inside: this program starts itself through bn_sandbox_spawn()
 * and reports over a socket what it could still do after bn_sandbox_enter(). */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef BN_TEST_SECCOMP
#include <seccomp.h>
#endif

#include "common/fd.h"
#include "common/log.h"
#include "protocol/link.h"

#include "sandbox/sandbox.h"
#ifdef BN_TEST_GL
#include "gl.h"
#include "virgl_stream.h"
#endif

#define LINK 3
#define SPARE 4
#define SKIPPED 77
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED __has_feature(address_sanitizer)
#else
#define SANITIZED 0
#endif
#define ALL ((int)(BN_LINK_SANDBOX_NAMESPACES | BN_LINK_SANDBOX_SECCOMP | BN_LINK_SANDBOX_RLIMITS))

static char self_path[4096], cache[64];

/* ---- inside ---- */

static void report(bool ok, const char *fmt, ...)
{
	char line[256];
	line[0] = ok ? '+' : '-';
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(line + 1, sizeof(line) - 1, fmt, args);
	va_end(args);
	ssize_t ignored = send(LINK, line, (size_t)(n < 254 ? n : 254) + 1, MSG_NOSIGNAL);
	(void)ignored;
}

static void check_spaces(void)
{
	report(getpid() == 1, "is process %d of its own", (int)getpid());
	report(getppid() == 0, "sees its parent as %d", (int)getppid());
	unsigned others = 0;
	for (int pid = 2; pid < 65536; pid++)
		others += kill(pid, 0) == 0 || errno != ESRCH;
	report(others == 0, "sees %u other processes", others);
	struct if_nameindex *list = if_nameindex();
	unsigned up = 0;
	int sock = socket(AF_INET, SOCK_DGRAM, 0);
	for (struct if_nameindex *i = list; i && i->if_index; i++) {
		struct ifreq request = {0};
		snprintf(request.ifr_name, IFNAMSIZ, "%s", i->if_name);
		up += ioctl(sock, SIOCGIFFLAGS, &request) < 0 || (request.ifr_flags & IFF_UP);
	}
	if_freenameindex(list);
	close(sock);
	report(up == 0, "%u network interfaces are up", up);
}

static void check_fds(void)
{
	for (int fd = 0; fd < 1024; fd++) {
		bool open = fcntl(fd, F_GETFD) >= 0;
		if (open != (fd <= SPARE))
			report(false, "fd %d is %s", fd, open ? "open" : "closed");
	}
	char byte = 0;
	report(read(SPARE, &byte, 1) == 1 && byte == 'x', "the second fd is the one passed");
	report(fcntl(0, F_GETFL) >= 0 && read(0, &byte, 1) == 0, "stdin is empty");
}

static void check_path(const char *path, bool there)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	report((fd >= 0) == there, "%s: %s", path, fd >= 0 ? "can be opened" : strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void check_files(const char *program)
{
	static const char *const hidden[] = {"/etc/passwd", "/etc/shadow", "/root", "/home",
		"/proc", "/proc/self/maps", "/tmp", "/var", "/run", "/usr/bin", "/bin/sh",
		"/sys/kernel", "/dev/mem", "/dev/kvm", "/dev/dri"};
	for (unsigned i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		check_path(hidden[i], false);
	check_path(program, false);
	check_path("/usr/lib", true);
	check_path("/dev/null", true);
	check_path("/dev/urandom", true);
	int fd = open("/usr/lib/x", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	report(fd < 0 && errno == EROFS, "writing to /usr/lib: %s", strerror(errno));
	fd = open("/x", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	report(fd < 0 && errno == EROFS, "writing to /: %s", strerror(errno));
	fd = open("/cache/mark", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	report(fd >= 0 && write(fd, "mark", 4) == 4, "writing to /cache");
	close(fd);
	report(open("..", O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0, "the folder above /");
	check_path("../../../../etc/passwd", false);
}

static void check_identity(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2];
	memset(caps, 0xff, sizeof(caps));
	syscall(SYS_capget, &header, caps);
	report(!caps[0].effective && !caps[0].permitted && !caps[0].inheritable &&
			!caps[1].effective && !caps[1].permitted && !caps[1].inheritable,
		"no capabilities");
	report(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1, "no new privileges");
	report(prctl(PR_GET_DUMPABLE) == 0, "not dumpable");
	struct rlimit r = {1, 1};
	getrlimit(RLIMIT_CORE, &r);
	report(r.rlim_cur == 0 && r.rlim_max == 0, "no core files");
	getrlimit(RLIMIT_NOFILE, &r);
	report(r.rlim_max == 512, "%u files", (unsigned)r.rlim_max);
	getrlimit(RLIMIT_DATA, &r);
	report(r.rlim_max == 4ull << 30, "memory bound");
}

static void *thread(void *data)
{
	*(int *)data = 1;
	return NULL;
}

static void check_calls(void)
{
	report(socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM, "no sockets (inet)");
	report(socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == EPERM, "no sockets (unix)");
	report(socket(AF_NETLINK, SOCK_RAW, 0) < 0 && errno == EPERM, "no sockets (netlink)");
	report(kill(1, 0) < 0 && errno == EPERM, "no kill");
	report(syscall(SYS_tgkill, getpid() + 1, getpid() + 1, 0) < 0 && errno == EPERM,
		"no tgkill");
	report(syscall(SYS_tgkill, getpid(), gettid(), 0) == 0, "tgkill to itself");
	report(syscall(SYS_setresuid, 0, 0, 0) < 0 && errno == EPERM, "no setresuid");
	report(syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS, "no clone3");
	report(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) < 0 && errno == EPERM,
		"no fork");
	report(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL) < 0 &&
			errno == EPERM,
		"no further user namespace");
	report(syscall(1023) < 0 && errno == ENOSYS, "calls of the future");
	report(prctl(PR_SET_DUMPABLE, 1) < 0, "no way back to dumpable");
	pthread_t id;
	int ran = 0;
	report(pthread_create(&id, NULL, thread, &ran) == 0 && pthread_join(id, NULL) == 0 && ran,
		"threads");
	void *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	report(code != MAP_FAILED && mprotect(code, 4096, PROT_READ | PROT_EXEC) == 0,
		"executable memory");
	int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	report(fd >= 0 && ftruncate(fd, 4096) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0,
		"memfds");
	close(fd);
}

#ifdef BN_TEST_GL
static uint64_t fence_seen;

static void on_fence(void *data, uint32_t ctx_id, uint32_t ring_idx, uint64_t fence_id)
{
	fence_seen = fence_id;
}

/* A guest's clear, from the stream to the pixels, with everything shut. */
static void check_gl(void)
{
	const struct bn_gl_listener listener = {.fence = on_fence};
	struct bn_gl *gl;
	int ret = bn_gl_create(
		&gl, BN_LINK_GPU_SURFACELESS, -1, BN_LINK_PRIORITY_MEDIUM, &listener, NULL);
	report(ret == 0, "OpenGL starts inside: %d", ret);
	if (ret < 0)
		return;
	struct bn_gl_resource_args args = {
		.id = 1,
		.target = BN_VIRGL_TARGET_2D,
		.format = BN_VIRGL_FORMAT_B8G8R8X8,
		.bind = BN_VIRGL_BIND_RENDER_TARGET | BN_VIRGL_BIND_SCANOUT,
		.width = 64,
		.height = 64,
		.depth = 1,
		.array_size = 1,
	};
	static _Alignas(8) uint32_t words[256], pixels[64 * 64];
	struct bn_virgl_stream s;
	bn_virgl_init(&s, words, 256);
	bn_virgl_create_surface(&s, 1, 1, BN_VIRGL_FORMAT_B8G8R8X8);
	bn_virgl_set_framebuffer(&s, 1);
	bn_virgl_clear(&s, (const float[]){1, 0, 1, 1});
	report(bn_gl_resource_create(gl, &args) == 0 && bn_gl_ctx_create(gl, 1, 2, "x") == 0,
		"resource and context");
	bn_gl_ctx_attach(gl, 1, 1);
	report(bn_gl_submit(gl, 1, words, s.count) == 0 && bn_gl_fence(gl, 1, 9) == 0, "submit");
	bn_gl_poll(gl);
	for (unsigned i = 0; i < 10 && fence_seen != 9; i++) {
		struct pollfd p = {.fd = bn_gl_fd(gl), .events = POLLIN};
		poll(&p, 1, 1000);
		bn_gl_dispatch(gl);
	}
	report(fence_seen == 9, "fence");
	report(bn_gl_read_back(gl, 1, 0, 0, 64, 64, pixels, 64 * 4) == 0 &&
			(pixels[100] & 0xffffff) == 0xff00ff,
		"pixels");
	bn_gl_destroy(gl);
}
#endif

static void attack(const char *name)
{
	char *const argv[] = {(char *)"/bin/true", NULL};
	struct iovec iov = {.iov_base = &iov, .iov_len = 1};
	if (strcmp(name, "execve") == 0)
		execve(argv[0], argv, argv + 1);
	else if (strcmp(name, "ptrace") == 0)
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	else if (strcmp(name, "mount") == 0)
		mount("x", "/", "tmpfs", 0, NULL);
	else if (strcmp(name, "unshare") == 0)
		unshare(CLONE_NEWUSER);
	else if (strcmp(name, "process_vm_readv") == 0)
		process_vm_readv(getpid(), &iov, 1, &iov, 1, 0);
	else if (strcmp(name, "bpf") == 0)
		syscall(SYS_bpf, 0, NULL, 0);
	else if (strcmp(name, "io_uring_setup") == 0)
		syscall(SYS_io_uring_setup, 1, NULL);
	else if (strcmp(name, "keyctl") == 0)
		syscall(SYS_keyctl, 0, 0, 0, 0, 0);
	report(false, "%s came back", name);
}

/* argv: --inside WHAT PROGRAM CACHE */
static int inside(char **argv)
{
	const char *what = argv[2], *program = argv[3];
	bool full = strcmp(what, "full") == 0;
	bn_log_init(BN_LOG_ERROR, "inside");
	if (strcmp(what, "sleep") == 0) {
		report(true, "here");
		pause();
	}
	if (full) {
		check_spaces();
		check_fds();
	}
	struct bn_sandbox_config config = {
		.memory_max = 4ull << 30,
		.fds_max = 512,
		.shader_cache = argv[4][0] ? argv[4] : NULL,
	};
	int bits = bn_sandbox_enter(&config);
	report(bits >= 0, "bits %d", bits);
	if (strncmp(what, "attack-", 7) == 0) {
		attack(what + 7);
		return 0;
	}
	if (bits & BN_LINK_SANDBOX_NAMESPACES)
		check_files(program);
	check_identity();
	if (bits & BN_LINK_SANDBOX_SECCOMP)
		check_calls();
#ifdef BN_TEST_GL
	check_gl();
#endif
	/* The parent looks at us from outside, then says go. */
	char byte;
	report(true, "done");
	return recv(LINK, &byte, 1, 0) == 1 ? 0 : 1;
}

/* ---- outside ---- */

struct cage {
	pid_t pid;
	int pidfd, sock;
};

static bool cage_open(struct cage *cage, const char *what, bool namespaces, const char *cache_dir)
{
	int sv[2], spare[2];
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	CU_ASSERT_EQUAL_FATAL(pipe2(spare, O_CLOEXEC), 0);
	CU_ASSERT_EQUAL(write(spare[1], "x", 1), 1);
	char *argv[] = {(char *)"test_sandbox", (char *)"--inside", (char *)what, self_path,
		(char *)(cache_dir ? cache_dir : ""), NULL};
	int fds[2] = {sv[1], spare[0]};
	char **env = bn_sandbox_env();
	struct bn_sandbox_spawn spawn = {
		.path = self_path, .argv = argv, .env = env, .fds = fds, .nfds = 2,
		.namespaces = namespaces};
	cage->pid = bn_sandbox_spawn(&spawn, &cage->pidfd);
	free(env);
	cage->sock = sv[0];
	close(sv[1]);
	bn_fds_close(spare, 2);
	if (cage->pid < 0)
		printf("\n    spawn: %s\n", strerror(-cage->pid));
	return cage->pid > 0;
}

static int cage_wait(struct cage *cage)
{
	int status = -1;
	waitpid(cage->pid, &status, 0);
	bn_fd_close(&cage->pidfd);
	bn_fd_close(&cage->sock);
	return status;
}

/* Takes reports until `until` begins one, or the end; false when one was bad. *bits as reported. */
static bool cage_listen(struct cage *cage, const char *until, int *bits)
{
	char line[256];
	bool good = true;
	ssize_t n;
	while ((n = recv(cage->sock, line, sizeof(line) - 1, 0)) > 0) {
		line[n] = '\0';
		if (line[0] != '+') {
			printf("\n    inside: %s\n", line + 1);
			good = false;
		}
		if (bits && sscanf(line + 1, "bits %d", bits) == 1)
			continue;
		if (strcmp(line + 1, until) == 0)
			return good;
	}
	printf("\n    ended before \"%s\"\n", until);
	return false;
}

static bool proc_line(pid_t pid, const char *key, char *out, size_t size)
{
	char path[64], line[256];
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "re");
	bool found = false;
	while (f && !found && fgets(line, sizeof(line), f)) {
		size_t n = strlen(key);
		if (strncmp(line, key, n) == 0 && line[n] == ':') {
			snprintf(out, size, "%s", line + n + 1);
			found = true;
		}
	}
	if (f)
		fclose(f);
	return found;
}

static uid_t expected_uid(void)
{
	struct passwd *nobody = getpwnam("nobody");
	if (geteuid() != 0)
		return geteuid();
	return nobody ? nobody->pw_uid : 65534;
}

static void check_from_outside(pid_t pid, bool namespaces)
{
	char text[256] = "";
	unsigned uid = 0;
	CU_ASSERT_TRUE(proc_line(pid, "Uid", text, sizeof(text)));
	CU_ASSERT_EQUAL(sscanf(text, "%u", &uid), 1);
	CU_ASSERT_EQUAL(uid, expected_uid());
	CU_ASSERT_EQUAL(getsid(pid), pid); /* no controlling terminal of ours */
	CU_ASSERT_TRUE(proc_line(pid, "CapBnd", text, sizeof(text)));
	/* An ordinary user cannot lower it, and cannot use it either. */
	if (namespaces || geteuid() == 0)
		CU_ASSERT_EQUAL(strtoull(text, NULL, 16), 0);
	CU_ASSERT_TRUE(proc_line(pid, "Seccomp", text, sizeof(text)));
	CU_ASSERT_EQUAL(atoi(text), 2);
	if (geteuid() == 0 && proc_line(pid, "Groups", text, sizeof(text)))
		CU_ASSERT_EQUAL(strspn(text, " \t\n"), strlen(text));
}

static void run_full(bool namespaces, int want_bits)
{
	struct cage cage;
	int bits = -1;
	CU_ASSERT_TRUE_FATAL(cage_open(&cage, namespaces && (want_bits & 1) ? "full" : "bare",
		namespaces, (want_bits & 1) ? cache : NULL));
	CU_ASSERT_TRUE(cage_listen(&cage, "done", &bits));
	CU_ASSERT_EQUAL(bits, want_bits);
	check_from_outside(cage.pid, want_bits & BN_LINK_SANDBOX_NAMESPACES);
	CU_ASSERT_EQUAL(send(cage.sock, "g", 1, MSG_NOSIGNAL), 1);
	CU_ASSERT_EQUAL(cage_wait(&cage), 0);
}

static bool have_namespaces;

static void test_full(void)
{
	char mark[128], text[8] = "";
	if (!have_namespaces)
		return;
	run_full(true, ALL);
	/* The shader cache inside is the folder outside. */
	snprintf(mark, sizeof(mark), "%s/mark", cache);
	int fd = open(mark, O_RDONLY | O_CLOEXEC);
	if (geteuid() == 0)
		CU_ASSERT_TRUE(fd >= 0 && read(fd, text, 4) == 4 && strcmp(text, "mark") == 0);
	if (fd >= 0)
		close(fd);
	unlink(mark);
}

/* Without a cache folder there is one in memory. */
static void test_cache_in_memory(void)
{
	struct cage cage;
	if (!have_namespaces)
		return;
	CU_ASSERT_TRUE_FATAL(cage_open(&cage, "bare", true, NULL));
	CU_ASSERT_TRUE(cage_listen(&cage, "done", NULL));
	CU_ASSERT_EQUAL(send(cage.sock, "g", 1, MSG_NOSIGNAL), 1);
	CU_ASSERT_EQUAL(cage_wait(&cage), 0);
}

static void test_without_namespaces(void)
{
	run_full(false, BN_LINK_SANDBOX_SECCOMP | BN_LINK_SANDBOX_RLIMITS);
}

static void test_attacks(void)
{
	static const char *const attacks[] = {"attack-execve", "attack-ptrace", "attack-mount",
		"attack-unshare", "attack-process_vm_readv", "attack-bpf", "attack-io_uring_setup",
		"attack-keyctl"};
	for (unsigned i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		struct cage cage;
		CU_ASSERT_TRUE_FATAL(cage_open(&cage, attacks[i], have_namespaces, NULL));
		int status = cage_wait(&cage);
		CU_ASSERT_TRUE(WIFSIGNALED(status));
		CU_ASSERT_EQUAL(WTERMSIG(status), SIGSYS);
	}
}

static void test_refusals(void)
{
	int pidfd = 0;
	char *argv[] = {(char *)"x", NULL};
	struct bn_sandbox_spawn spawn = {.path = "/nonexistent", .argv = argv, .namespaces = true};
	CU_ASSERT_EQUAL(bn_sandbox_spawn(&spawn, &pidfd), -ENOENT);
	CU_ASSERT_EQUAL(pidfd, -1);
	spawn.path = "/etc/passwd";
	CU_ASSERT_EQUAL(bn_sandbox_spawn(&spawn, &pidfd), -EACCES);
	CU_ASSERT_EQUAL(pidfd, -1);
	CU_ASSERT_EQUAL(waitpid(-1, NULL, WNOHANG), -1);
}

/* The program may lie where the renderer's id cannot go. */
static void test_program_in_closed_folder(void)
{
	char dir[] = "/tmp/bn-closed-XXXXXX", path[64], saved[sizeof(self_path)];
	struct cage cage;
	if (!have_namespaces || geteuid() != 0)
		return;
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir)); /* 0700 */
	snprintf(path, sizeof(path), "%s/program", dir);
	char command[sizeof(self_path) + 256];
	snprintf(command, sizeof(command), "cp '%s' '%s' && chmod 755 '%s'", self_path, path, path);
	CU_ASSERT_EQUAL(system(command), 0);
	memcpy(saved, self_path, sizeof(saved));
	snprintf(self_path, sizeof(self_path), "%s", path);
	CU_ASSERT_TRUE(cage_open(&cage, "sleep", true, NULL));
	memcpy(self_path, saved, sizeof(saved));
	CU_ASSERT_TRUE(cage_listen(&cage, "here", NULL));
	kill(cage.pid, SIGKILL);
	cage_wait(&cage);
	unlink(path);
	rmdir(dir);
}

/* pidfd tells the end; and a daemon that dies takes its renderers along. */
static void test_dies_with_parent(void)
{
	struct cage cage;
	int sv[2];
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	pid_t middle = fork();
	if (middle == 0) {
		bool ok = cage_open(&cage, "sleep", have_namespaces, NULL);
		ok = ok && cage_listen(&cage, "here", NULL);
		bn_sendmsg(sv[1], ok ? "y" : "n", 1, &cage.pidfd, ok ? 1 : 0);
		_exit(0);
	}
	char byte = 0;
	int pidfd = -1;
	size_t n = 1;
	CU_ASSERT_EQUAL(bn_recvmsg(sv[0], &byte, 1, &pidfd, &n, 0), 1);
	CU_ASSERT_EQUAL_FATAL(byte, 'y');
	waitpid(middle, NULL, 0);
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	CU_ASSERT_EQUAL(poll(&p, 1, 5000), 1);
	bn_fd_close(&pidfd);
	bn_fds_close(sv, 2);
}

#ifdef BN_TEST_SECCOMP
/* Makes clone() with any of `flags` fail in this process, as a kernel does that refuses it. */
static bool forbid_clone(uint64_t flags)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	bool ok = filter && seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
				    SCMP_A0(SCMP_CMP_MASKED_EQ, flags, flags)) == 0;
	ok = ok && seccomp_load(filter) == 0;
	seccomp_release(filter);
	return ok;
}

static void refused_run(uint64_t flags, int want_bits)
{
	pid_t pid = fork();
	if (pid == 0) {
		if (!forbid_clone(flags))
			_exit(2);
		bn_log_init(BN_LOG_ERROR, "refused");
		unsigned before = CU_get_number_of_failures();
		run_full(true, want_bits);
		unsigned failed = CU_get_number_of_failures() - before;
		for (CU_pFailureRecord r = CU_get_failure_list(); failed && r; r = r->pNext)
			printf("\n    refused: line %u: %s\n", r->uiLineNumber, r->strCondition);
		fflush(stdout);
		_exit(failed ? 1 : 0);
	}
	int status = -1;
	waitpid(pid, &status, 0);
	CU_ASSERT_EQUAL(status, 0);
}

static void test_fallback(void)
{
	int rest = BN_LINK_SANDBOX_SECCOMP | BN_LINK_SANDBOX_RLIMITS;
	bool root = geteuid() == 0 && have_namespaces;
	/* Root still has the other namespaces; an ordinary user has none. */
	refused_run(CLONE_NEWUSER, root ? ALL : rest);
	refused_run(CLONE_NEWNS, rest);
}
#endif

static bool probe_namespaces(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		/* With nothing of the sandbox in between, so that a fault there is no excuse. */
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
			_exit(1);
		_exit(0);
	}
	int status = -1;
	waitpid(pid, &status, 0);
	return status == 0;
}

static int run_tests(void)
{
	static const CU_TestInfo tests[] = {
		{"from inside", test_full},
		{"shader cache in memory", test_cache_in_memory},
		{"without namespaces", test_without_namespaces},
		{"attacks", test_attacks},
		{"refusals", test_refusals},
		{"program in a closed folder", test_program_in_closed_folder},
		{"dies with its parent", test_dies_with_parent},
#ifdef BN_TEST_SECCOMP
		{"fallback", test_fallback},
#endif
		CU_TEST_INFO_NULL,
	};
	int ret = bn_unit_main("sandbox", tests);
	if (ret == 0 && !have_namespaces) {
		fprintf(stderr,
			"this kernel refuses user namespaces: only the filter was tested\n");
		return SKIPPED;
	}
	return ret;
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "--inside") == 0)
		return inside(argv);
	if (SANITIZED) {
		/* Its runtime opens /proc and maps terabytes before main(): the cage forbids both. */
		fprintf(stderr, "skipped: AddressSanitizer does not run inside the sandbox\n");
		return SKIPPED;
	}
	bn_log_init(BN_LOG_ERROR, "test_sandbox");
	ssize_t n = readlink("/proc/self/exe", self_path, sizeof(self_path) - 1);
	if (n < 0)
		return 1;
	self_path[n] = '\0';
	snprintf(cache, sizeof(cache), "/tmp/bn-cache-XXXXXX");
	if (!mkdtemp(cache) || chmod(cache, 0777) < 0)
		return 1;
	have_namespaces = probe_namespaces();
	int ret = run_tests();
	char command[128];
	snprintf(command, sizeof(command), "rm -rf '%s'", cache);
	return system(command) == 0 ? ret : 1;
}
