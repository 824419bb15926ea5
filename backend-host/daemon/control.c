#include "control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <json-c/json.h>
#include <wayland-server-core.h>

#include "common/fd.h"
#include "common/log.h"
#include "protocol/control.h"
#include "service.h"
#include "sockets.h"

#define CLIENTS_MAX 16

struct client {
	struct bn_control *control;
	struct wl_list link; /* bn_control.clients */
	int fd;
	struct wl_event_source *source;
};

struct bn_control {
	struct bn_service *service;
	int fd;
	int spare_fd; /* of bn_unix_accept() */
	struct wl_event_source *source;
	struct wl_list clients; /* client.link */
	unsigned num_clients;
};

static void client_destroy(struct client *c)
{
	wl_event_source_remove(c->source);
	wl_list_remove(&c->link);
	c->control->num_clients--;
	bn_fd_close(&c->fd);
	free(c);
}

/* Sends the answer; false when the client must go. */
static bool client_answer(struct client *c, const char *request)
{
	int fd = -1;
	struct json_object *answer = bn_control_answer(c->control->service, request, &fd);
	size_t len;
	const char *text = json_object_to_json_string_length(answer, JSON_C_TO_STRING_PLAIN, &len);
	long n = len <= BN_CONTROL_ANSWER_MAX ? bn_sendmsg(c->fd, text, len, &fd, fd >= 0 ? 1 : 0)
					      : -EMSGSIZE;
	if (n < 0)
		bn_warn("answering a control client: %s", strerror((int)-n));
	json_object_put(answer);
	bn_fd_close(&fd);
	return n >= 0;
}

static int handle_client(int fd, uint32_t mask, void *data)
{
	struct client *c = data;
	char request[BN_CONTROL_REQUEST_MAX + 1];
	long n = bn_recvmsg(fd, request, BN_CONTROL_REQUEST_MAX, NULL, NULL, MSG_DONTWAIT);
	if (n == -EAGAIN)
		return 0;
	if (n > 0)
		request[n] = '\0';
	else if (n < 0)
		bn_warn("reading from a control client: %s", strerror((int)-n));
	if (n <= 0 || !client_answer(c, request))
		client_destroy(c);
	return 0;
}

static int handle_listen(int fd, uint32_t mask, void *data)
{
	struct bn_control *control = data;
	int client_fd = bn_unix_accept(fd, &control->spare_fd);
	if (client_fd < 0) {
		if (client_fd == -EMFILE || client_fd == -ENFILE)
			bn_warn("a control client is refused: %s", strerror(-client_fd));
		return 0;
	}
	struct client *c = control->num_clients < CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
	if (!c) {
		bn_fd_close(&client_fd);
		return 0;
	}
	c->control = control;
	c->fd = client_fd;
	c->source = wl_event_loop_add_fd(
		control->service->loop, client_fd, WL_EVENT_READABLE, handle_client, c);
	if (!c->source) {
		bn_fd_close(&client_fd);
		free(c);
		return 0;
	}
	wl_list_insert(&control->clients, &c->link);
	control->num_clients++;
	return 0;
}

int bn_control_create(struct bn_control **out, struct bn_service *service)
{
	struct bn_control *control = calloc(1, sizeof(*control));
	if (!control)
		return -ENOMEM;
	control->service = service;
	control->spare_fd = -1;
	wl_list_init(&control->clients);
	control->fd = bn_listen(
		service->settings->control_socket, SOCK_SEQPACKET, 0600, "control-socket");
	int ret = control->fd < 0 ? control->fd : 0;
	if (ret == 0) {
		control->source = wl_event_loop_add_fd(
			service->loop, control->fd, WL_EVENT_READABLE, handle_listen, control);
		ret = control->source ? 0 : -ENOMEM;
	}
	if (ret < 0) {
		bn_control_destroy(control);
		return ret;
	}
	*out = control;
	return 0;
}

void bn_control_destroy(struct bn_control *control)
{
	if (!control)
		return;
	struct client *c, *tmp;
	wl_list_for_each_safe(c, tmp, &control->clients, link) client_destroy(c);
	if (control->source)
		wl_event_source_remove(control->source);
	if (control->fd >= 0)
		unlink(control->service->settings->control_socket);
	bn_fd_close(&control->fd);
	bn_fd_close(&control->spare_fd);
	free(control);
}
