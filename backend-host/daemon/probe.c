#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/wait.h>
#include <unistd.h>

#include <json-c/json.h>

#include "common/fd.h"
#include "common/log.h"
#include "cpu.h"
#include "gpu.h"
#include "preemption.h"

#define ANSWER_MAX 65536
#define ANSWER_MS 30000
#define BN_NOBODY 65534u

/* ---- the renderer's part ---- */

static void run_child(const char *renderer, const char *gpu_path, int out)
{
	char *argv[] = {(char *)renderer, (char *)"--probe", (char *)gpu_path, NULL};
	dup2(out, STDOUT_FILENO);
	execv(renderer, argv);
	_exit(127);
}

/* Reads until the end of file into text (NUL-terminated); false after ANSWER_MS, or too much. */
static bool read_all(int fd, char *text)
{
	size_t len = 0;
	while (len < ANSWER_MAX) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int ready = poll(&p, 1, ANSWER_MS);
		ssize_t n = ready > 0 ? read(fd, text + len, ANSWER_MAX - len) : -1;
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			text[len] = '\0';
			return n == 0;
		}
		len += (size_t)n;
	}
	return false;
}

static struct json_object *ask_renderer(const char *renderer, const char *gpu_path)
{
	static char text[ANSWER_MAX + 1];
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return NULL;
	pid_t pid = fork();
	if (pid == 0)
		run_child(renderer, gpu_path, fds[1]);
	bn_fd_close(&fds[1]);
	bool whole = pid > 0 && read_all(fds[0], text);
	bn_fd_close(&fds[0]);
	int status = -1;
	if (pid > 0) {
		if (!whole)
			kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	struct json_object *answer = whole && status == 0 ? json_tokener_parse(text) : NULL;
	if (!json_object_is_type(answer, json_type_object)) {
		json_object_put(answer);
		bn_error("%s --probe gave no answer", renderer);
		return NULL;
	}
	return answer;
}

/* ---- what the daemon sees ---- */

static void add_row(struct json_object *rows, const char *name, bool ok, const char *reason)
{
	struct json_object *row = json_object_new_object();
	json_object_object_add(row, "name", json_object_new_string(name));
	json_object_object_add(row, "offered", json_object_new_boolean(ok));
	json_object_object_add(row, "reason", json_object_new_string(reason));
	json_object_array_add(rows, row);
}

/* The number in a /proc/sys file; fallback when there is no such file. */
static long read_sysctl(const char *path, long fallback)
{
	char text[32] = "";
	FILE *file = fopen(path, "re");
	if (!file)
		return fallback;
	long value = fgets(text, sizeof(text), file) ? strtol(text, NULL, 10) : fallback;
	fclose(file);
	return value;
}

static void add_namespaces(struct json_object *rows)
{
	const char *reason = "each renderer gets its own";
	bool ok = false;
	if (read_sysctl("/proc/sys/user/max_user_namespaces", 1) == 0)
		reason = "user.max_user_namespaces is 0";
	else if (geteuid() != 0 &&
		 read_sysctl("/proc/sys/kernel/unprivileged_userns_clone", 1) == 0)
		reason = "kernel.unprivileged_userns_clone is 0";
	else if (geteuid() != 0 &&
		 read_sysctl("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 0) != 0)
		reason = "kernel.apparmor_restrict_unprivileged_userns is 1";
	else
		ok = true;
	add_row(rows, "sandbox: namespaces", ok, reason);
}

static void add_seccomp(struct json_object *rows)
{
	bool kernel = access("/proc/sys/kernel/seccomp/actions_avail", F_OK) == 0;
	bool built = BN_HAVE_SECCOMP;
	add_row(rows, "sandbox: seccomp", kernel && built,
		!built    ? "this build has no libseccomp"
		: !kernel ? "the kernel has no seccomp filters"
			  : "system calls are filtered");
}

/* Whether who runs as that id can open it: what root may do says nothing about renderers. */
static void add_node(struct json_object *rows, const char *path, const char *use, uid_t uid)
{
	uid_t before = (uid_t)setfsuid(uid);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	int error = errno;
	setfsuid(before);
	errno = error;
	char reason[128];
	snprintf(reason, sizeof(reason), "%s%s%s", fd < 0 ? strerror(errno) : use,
		fd < 0 ? ": not for " : "", fd < 0 ? use : "");
	add_row(rows, path, fd >= 0, reason);
	bn_fd_close(&fd);
}

static void add_realtime(struct json_object *rows)
{
	char text[128];
	const struct sched_param ordinary = {0};
	bool ok = bn_cpu_realtime(BN_CPU_PRIORITY_ARBITER) == 0;
	if (ok)
		sched_setscheduler(0, SCHED_OTHER, &ordinary);
	add_row(rows, "real-time priority", ok,
		ok ? "for the arbiter and the main loop"
		   : "not allowed: CAP_SYS_NICE or LimitRTPRIO= is missing, and no bound holds");
	ok = bn_preemption(text, sizeof(text));
	add_row(rows, "kernel preemption", ok, text);
}

static struct json_object *host_rows(const struct bn_gpu *gpu)
{
	struct json_object *rows = json_object_new_array();
	add_row(rows, "render node", gpu->kind == BN_LINK_GPU_RENDER_NODE,
		gpu->kind == BN_LINK_GPU_RENDER_NODE ? gpu->path : gpu->reason);
	add_namespaces(rows);
	add_seccomp(rows);
	add_realtime(rows);
	add_node(rows, "/dev/udmabuf", "frames of the software rasteriser without a copy",
		geteuid() == 0 ? BN_NOBODY : geteuid());
	add_node(rows, "/dev/kvm",
		"guests at full speed (front ends need it, this service does not)", geteuid());
	return rows;
}

/* ---- for people ---- */

static const char *row_text(struct json_object *row, const char *key)
{
	struct json_object *value;
	return json_object_object_get_ex(row, key, &value) ? json_object_get_string(value) : "";
}

static void print_rows(struct json_object *rows)
{
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i), *offered = NULL;
		if (!json_object_is_type(row, json_type_object)) {
			printf("  %s\n", json_object_get_string(row));
			continue;
		}
		json_object_object_get_ex(row, "offered", &offered);
		printf("  %-28s %-4s %s\n", row_text(row, "name"),
			!offered                           ? ""
			: json_object_get_boolean(offered) ? "yes"
							   : "no",
			row_text(row, "reason"));
	}
}

static void print_heading(const char *key)
{
	fputc('\n', stdout);
	for (const char *c = key; *c; c++)
		fputc(*c == '_' ? ' ' : *c, stdout);
	fputs(":\n", stdout);
}

/* Plain values first, then one list after the other. */
static void print_object(struct json_object *object)
{
	json_object_object_foreach(object, key, value)
	{
		if (!json_object_is_type(value, json_type_array) &&
			!json_object_is_type(value, json_type_object))
			printf("%-24s %s\n", key, value ? json_object_get_string(value) : "-");
	}
	json_object_object_foreach(object, name, part)
	{
		if (json_object_is_type(part, json_type_array)) {
			print_heading(name);
			print_rows(part);
		} else if (json_object_is_type(part, json_type_object)) {
			print_heading(name);
			print_object(part);
		}
	}
}

int bn_probe(const char *renderer, bool json)
{
	static const struct bn_settings automatic;
	struct bn_gpu gpu;
	bn_gpu_choose(&gpu, &automatic);
	struct json_object *answer =
		ask_renderer(renderer, gpu.kind == BN_LINK_GPU_RENDER_NODE ? gpu.path : NULL);
	if (!answer)
		return 1;
	json_object_object_add(answer, "host", host_rows(&gpu));
	if (json)
		puts(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PRETTY));
	else
		print_object(answer);
	json_object_put(answer);
	return 0;
}
