#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <json-c/json.h>

#include "common/fd.h"
#include "json.h"
#include "protocol/control.h"
#include "text.h"

/* The longest answer that comes as a memfd. */
#define LONG_MAX (64u << 20)

void bn_ctl_default_socket(char *path, unsigned size)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	if (dir && dir[0] == '/') {
		snprintf(path, size, "%s/binnacle/" BN_CONTROL_NAME, dir);
		if (access(path, F_OK) == 0)
			return;
	}
	snprintf(path, size, "/run/binnacle/" BN_CONTROL_NAME);
}

int bn_ctl_connect(const char *path)
{
	return bn_unix_connect(path, SOCK_SEQPACKET);
}

const char *bn_ctl_hint(int err)
{
	return err == -ENOENT || err == -ECONNREFUSED
		       ? "is binnacled running? --socket names another path"
	       : err == -EACCES ? "only the service's own user may control it"
				: "--socket names another path";
}

int bn_ctl_send(int sock, struct json_object *request)
{
	size_t len;
	const char *text = json_object_to_json_string_length(request, JSON_C_TO_STRING_PLAIN, &len);
	if (!text)
		return -ENOMEM;
	if (len > BN_CONTROL_REQUEST_MAX)
		return -EMSGSIZE;
	long n = bn_sendmsg(sock, text, len, NULL, 0);
	return n < 0 ? (int)n : 0;
}

/* The text of a long answer, the caller's to free; NULL when it is none. */
static char *read_long(int fd, uint64_t size)
{
	if (size > LONG_MAX || bn_memfd_check(fd, size) < 0)
		return NULL;
	char *text = malloc(size + 1);
	size_t done = 0;
	while (text && done < size) {
		ssize_t n = pread(fd, text + done, size - done, (off_t)done);
		if (n <= 0) {
			free(text);
			return NULL;
		}
		done += (size_t)n;
	}
	if (text)
		text[size] = '\0';
	return text;
}

/* Puts the answer proper in the place of one that only says where it is. */
static int fetch_long(struct json_object **answer, int *fd)
{
	if (strcmp(bn_json_text(*answer, "answer"), "memfd") != 0)
		return 0;
	char *text = read_long(*fd, bn_json_count(*answer, "size"));
	json_object_put(*answer);
	*answer = text ? json_tokener_parse(text) : NULL;
	free(text);
	bn_fd_close(fd);
	return *answer ? 0 : -EBADMSG;
}

static int wait_for(int sock, int timeout_ms)
{
	struct pollfd p = {.fd = sock, .events = POLLIN};
	int ready = poll(&p, 1, timeout_ms);
	return ready > 0 ? 0 : ready == 0 ? -ETIMEDOUT : -errno;
}

int bn_ctl_receive(int sock, int timeout_ms, struct json_object **answer, int *fd)
{
	int came = -1;
	size_t nfds = 1;
	char *text = malloc(BN_CONTROL_ANSWER_MAX + 1);
	*answer = NULL;
	if (fd)
		*fd = -1;
	if (!text)
		return -ENOMEM;
	int ret = wait_for(sock, timeout_ms);
	if (ret == 0) {
		long n = bn_recvmsg(sock, text, BN_CONTROL_ANSWER_MAX, &came, &nfds, 0);
		ret = n > 0 ? 0 : n == 0 ? -ECONNRESET : (int)n;
		text[n > 0 ? n : 0] = '\0';
	}
	if (ret == 0) {
		*answer = json_tokener_parse(text);
		ret = *answer ? fetch_long(answer, &came) : -EBADMSG;
	}
	free(text);
	if (ret == 0 && !json_object_is_type(*answer, json_type_object)) {
		json_object_put(*answer);
		*answer = NULL;
		ret = -EBADMSG;
	}
	if (ret == 0 && fd) {
		*fd = came;
		came = -1;
	}
	bn_fd_close(&came);
	return ret;
}

int bn_ctl_open(const char *path)
{
	int sock = bn_ctl_connect(path);
	if (sock < 0)
		fprintf(stderr, "binnaclectl: %s: %s (%s)\n", path, strerror(-sock),
			bn_ctl_hint(sock));
	return sock;
}

void bn_ctl_complain(int err)
{
	fprintf(stderr, "binnaclectl: %s\n",
		err == -ECONNRESET  ? "no answer: the service closed the connection"
		: err == -EBADMSG   ? "the answer is not understood"
		: err == -ETIMEDOUT ? "no answer: the service does not react"
		: err == -EMSGSIZE  ? "the request is too long"
				    : strerror(-err));
}

int bn_ctl_check(struct json_object *answer)
{
	if (bn_json_bool(answer, "ok"))
		return 0;
	const char *error = bn_json_text(answer, "error");
	fputs("binnaclectl: ", stderr);
	bn_text_print(stderr, error[0] ? error : "the answer is not understood");
	fputc('\n', stderr);
	return 1;
}

int bn_ctl_ask(
	const char *socket_path, struct json_object *request, struct json_object **answer, int *fd)
{
	*answer = NULL;
	int sock = bn_ctl_open(socket_path);
	if (sock < 0)
		return sock;
	int ret = bn_ctl_send(sock, request);
	if (ret == 0)
		ret = bn_ctl_receive(sock, BN_CTL_ANSWER_MS, answer, fd);
	bn_fd_close(&sock);
	if (ret < 0) {
		bn_ctl_complain(ret);
		return ret;
	}
	return bn_ctl_check(*answer);
}
