#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <json-c/json.h>

#include "common/fd.h"
#include "protocol/control.h"

#define ANSWER_MS 10000

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

static int connect_to(const char *path)
{
	int fd = bn_unix_connect(path, SOCK_SEQPACKET);
	if (fd >= 0)
		return fd;
	const char *hint = fd == -ENOENT || fd == -ECONNREFUSED
				   ? "is binnacled running? --socket names another path"
			   : fd == -EACCES ? "only the service's own user may control it"
					   : "--socket names another path";
	fprintf(stderr, "binnaclectl: %s: %s (%s)\n", path, strerror(-fd), hint);
	return fd;
}

/* The answer's text, or NULL; *fd gets what came along. */
static char *receive(int sock, int *fd)
{
	struct pollfd p = {.fd = sock, .events = POLLIN};
	size_t nfds = 1;
	char *text = malloc(BN_CONTROL_ANSWER_MAX + 1);
	if (!text)
		return NULL;
	int ready = poll(&p, 1, ANSWER_MS);
	long n = ready > 0    ? bn_recvmsg(sock, text, BN_CONTROL_ANSWER_MAX, fd, &nfds, 0)
		 : ready == 0 ? -ETIMEDOUT
			      : -errno;
	if (n <= 0) {
		fprintf(stderr, "binnaclectl: no answer: %s\n",
			n == 0 ? "the service closed the connection" : strerror((int)-n));
		free(text);
		return NULL;
	}
	text[n] = '\0';
	return text;
}

static struct json_object *check(struct json_object *answer)
{
	struct json_object *ok, *error;
	if (json_object_object_get_ex(answer, "ok", &ok) && json_object_get_boolean(ok))
		return answer;
	if (json_object_object_get_ex(answer, "error", &error))
		fprintf(stderr, "binnaclectl: %s\n", json_object_get_string(error));
	else
		fprintf(stderr, "binnaclectl: the answer is not understood\n");
	json_object_put(answer);
	return NULL;
}

struct json_object *bn_ctl_ask(const char *socket_path, struct json_object *request, int *fd)
{
	*fd = -1;
	int sock = connect_to(socket_path);
	if (sock < 0)
		return NULL;
	const char *text = json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN);
	long n = bn_sendmsg(sock, text, strlen(text), NULL, 0);
	char *reply = NULL;
	if (n < 0)
		fprintf(stderr, "binnaclectl: %s: %s\n", socket_path, strerror((int)-n));
	else
		reply = receive(sock, fd);
	bn_fd_close(&sock);
	if (!reply)
		return NULL;
	struct json_object *answer = check(json_tokener_parse(reply));
	free(reply);
	if (!answer)
		bn_fd_close(fd);
	return answer;
}
