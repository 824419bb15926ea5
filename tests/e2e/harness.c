#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/fd.h"
#include "protocol/control.h"

void e2e_sleep_ms(unsigned ms)
{
	struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
	nanosleep(&t, NULL);
}

void e2e_answer(uint32_t got, uint32_t want, const char *call, const char *file, int line)
{
	if (got != want)
		fprintf(stderr, "\n%s:%d: %s: answered 0x%x, expected 0x%x\n", file, line, call,
			got, want);
	CU_assertImplementation(got == want, (unsigned)line, call, file, "", CU_FALSE);
}

const char *e2e_program(const char *name)
{
	const char *path = getenv(name);
	if (!path)
		fprintf(stderr, "%s is not set: run this through meson test\n", name);
	CU_ASSERT_PTR_NOT_NULL_FATAL(path);
	return path;
}

bool e2e_prepare(struct e2e *e, const char *ini)
{
	memset(e, 0, sizeof(*e));
	/* Whatever the service leaves behind becomes our child, and is found by e2e_close. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	strcpy(e->dir, "/tmp/binnacle-e2e-XXXXXX");
	if (!mkdtemp(e->dir))
		return false;
	snprintf(e->ini, sizeof(e->ini), "%s/binnacle.ini", e->dir);
	snprintf(e->log, sizeof(e->log), "%s/log", e->dir);
	snprintf(e->control, sizeof(e->control), "%s/run/%s", e->dir, BN_CONTROL_NAME);
	FILE *f = fopen(e->ini, "w");
	if (!f)
		return false;
	fprintf(f, "[core]\nruntime-dir=%s/run\n%s", e->dir, ini);
	return fclose(f) == 0;
}

static bool control_answers(struct e2e *e)
{
	int sock = bn_unix_connect(e->control, SOCK_SEQPACKET);
	if (sock < 0)
		return false;
	close(sock);
	return true;
}

static void print_log(struct e2e *e)
{
	char line[1024];
	FILE *f = fopen(e->log, "r");
	while (f && fgets(line, sizeof(line), f))
		fprintf(stderr, "  | %s", line);
	if (f)
		fclose(f);
}

bool e2e_start(struct e2e *e)
{
	const char *program = e2e_program("BINNACLED");
	e->daemon = fork();
	if (e->daemon == 0) {
		/* A test that is killed takes its service with it. */
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		int log = open(e->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
		dup2(log, 1);
		dup2(log, 2);
		close_range(3, ~0u, 0);
		const char *args[8] = {program, "-c", e->ini};
		unsigned n = 3;
		if (getenv("E2E_LOG")) {
			args[n++] = "--log";
			args[n++] = getenv("E2E_LOG");
		}
		if (getenv("E2E_NO_SANDBOX"))
			args[n++] = "--no-sandbox";
		execv(program, (char *const *)args);
		_exit(127);
	}
	for (unsigned i = 0; i < TG_DEADLINE_S * 200; i++) {
		if (control_answers(e))
			return true;
		if (waitpid(e->daemon, NULL, WNOHANG) == e->daemon) {
			e->daemon = 0;
			break;
		}
		e2e_sleep_ms(5);
	}
	fprintf(stderr, "\nbinnacled did not start:\n");
	print_log(e);
	return false;
}

bool e2e_open(struct e2e *e, const char *ini)
{
	bool ok = e2e_prepare(e, ini) && e2e_start(e);
	CU_ASSERT_TRUE_FATAL(ok);
	return ok;
}

static int wait_status(pid_t pid)
{
	int status;
	for (unsigned i = 0; i < TG_DEADLINE_S * 100; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		e2e_sleep_ms(10);
	}
	fprintf(stderr, "\nprocess %d does not end\n", (int)pid);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1;
}

/* Processes that were left to us when the service ended: reaps the dead ones, counts and kills
 * those that live. */
static unsigned orphans(void)
{
	for (unsigned i = 0; i < 200; i++) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);
		if (pid < 0)
			return 0;
		if (pid == 0)
			e2e_sleep_ms(10);
	}
	pid_t list[64];
	unsigned n = e2e_descendants(getpid(), list, 64);
	for (unsigned i = 0; i < n; i++) {
		fprintf(stderr, "\nprocess %d outlived the service\n", (int)list[i]);
		kill(list[i], SIGKILL);
	}
	while (waitpid(-1, NULL, 0) > 0)
		;
	return n ? n : 1;
}

/* Counts the sockets in dir, and empties it. */
static unsigned clear_folder(const char *dir, bool remove)
{
	unsigned sockets = 0;
	DIR *d = opendir(dir);
	for (struct dirent *entry; d && (entry = readdir(d));) {
		char path[E2E_PATH + 256];
		struct stat st;
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (lstat(path, &st) < 0)
			continue;
		if (S_ISDIR(st.st_mode)) {
			sockets += clear_folder(path, remove);
		} else if (S_ISSOCK(st.st_mode)) {
			fprintf(stderr, "\nsocket left behind: %s\n", path);
			sockets++;
		}
		if (remove && !S_ISDIR(st.st_mode))
			unlink(path);
	}
	if (d)
		closedir(d);
	if (remove)
		rmdir(dir);
	return sockets;
}

void e2e_close(struct e2e *e)
{
	if (e->daemon) {
		kill(e->daemon, SIGTERM);
		CU_ASSERT_EQUAL(wait_status(e->daemon), 0);
		e->daemon = 0;
	}
	CU_ASSERT_EQUAL(orphans(), 0);
	if (!e->dir[0])
		return;
	CU_ASSERT_EQUAL(clear_folder(e->dir, false), 0);
	if (CU_get_number_of_failures() > 0) {
		fprintf(stderr, "\nthe service's log (folder %s):\n", e->dir);
		print_log(e);
	} else {
		clear_folder(e->dir, true);
	}
	e->dir[0] = '\0';
}

void e2e_reap(struct e2e *e)
{
	wait_status(e->daemon);
	e->daemon = 0;
	CU_ASSERT_EQUAL(orphans(), 0);
}

int e2e_run(char *const argv[], char *out, size_t size)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		execv(argv[0], argv);
		_exit(127);
	}
	close(fds[1]);
	size_t at = 0;
	char buffer[4096];
	ssize_t n;
	while ((n = read(fds[0], buffer, sizeof(buffer))) > 0) {
		size_t len = (size_t)n < size - 1 - at ? (size_t)n : size - 1 - at;
		memcpy(out + at, buffer, len);
		at += len;
	}
	out[at] = '\0';
	close(fds[0]);
	return wait_status(pid);
}

/* A long answer comes in a memfd (protocol/control.h): reads it instead. Takes the answer. */
static struct json_object *follow_long(struct json_object *answer, int fd)
{
	struct json_object *how, *size;
	if (!json_object_object_get_ex(answer, "answer", &how) ||
		strcmp(json_object_get_string(how), "memfd") != 0 ||
		!json_object_object_get_ex(answer, "size", &size))
		return answer;
	size_t len = (size_t)json_object_get_int64(size);
	char *text = calloc(1, len + 1);
	struct json_object *whole = NULL;
	if (text && fd >= 0 && pread(fd, text, len, 0) == (ssize_t)len)
		whole = json_tokener_parse(text);
	free(text);
	json_object_put(answer);
	return whole;
}

struct json_object *e2e_control(struct e2e *e, const char *request, int *fd)
{
	static char answer[BN_CONTROL_ANSWER_MAX + 1];
	int got[BN_MAX_FDS];
	size_t nfds = BN_MAX_FDS;
	if (fd)
		*fd = -1;
	int sock = bn_unix_connect(e->control, SOCK_SEQPACKET);
	if (sock < 0)
		return NULL;
	struct timeval limit = {.tv_sec = TG_DEADLINE_S};
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	bn_fd_set_nonblock(sock, false);
	long n = bn_sendmsg(sock, request, strlen(request), NULL, 0);
	if (n >= 0)
		n = bn_recvmsg(sock, answer, BN_CONTROL_ANSWER_MAX, got, &nfds, 0);
	close(sock);
	if (n <= 0) {
		fprintf(stderr, "\nno answer to %s: %s\n", request,
			n ? strerror((int)-n) : "end of file");
		return NULL;
	}
	answer[n] = '\0';
	struct json_object *object =
		follow_long(json_tokener_parse(answer), nfds == 1 ? got[0] : -1);
	if (fd && nfds == 1) {
		*fd = got[0];
		nfds = 0;
	}
	bn_fds_close(got, nfds);
	return object;
}
