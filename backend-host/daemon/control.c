#include "control_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <json-c/json.h>
#include <wayland-server-core.h>

#include "common/fd.h"
#include "common/log.h"
#include "events.h"
#include "protocol/control.h"
#include "service.h"
#include "sockets.h"

#define CLIENTS_MAX 16

void bn_control_client_destroy(struct bn_control_client *c)
{
	bn_control_trace_abandon(c->trace);
	wl_event_source_remove(c->source);
	wl_list_remove(&c->link);
	c->control->num_clients--;
	bn_fd_close(&c->fd);
	free(c);
}

void bn_control_client_pause(struct bn_control_client *c, bool pause)
{
	/* That it hung up comes in either case. */
	wl_event_source_fd_update(c->source, pause ? 0 : WL_EVENT_READABLE);
}

/* The answer's text is too long for a message: a memfd has it, and the message says so. */
static long send_long(struct bn_control_client *c, const char *text, size_t len)
{
	char message[96];
	int fd = bn_control_memfd("binnacle-answer", text, len);
	if (fd < 0)
		return fd;
	snprintf(message, sizeof(message), "{\"ok\":true,\"answer\":\"memfd\",\"size\":%zu}", len);
	long n = bn_sendmsg(c->fd, message, strlen(message), &fd, 1);
	bn_fd_close(&fd);
	return n;
}

bool bn_control_send(struct bn_control_client *c, struct json_object *answer, int fd)
{
	size_t len;
	const char *text = json_object_to_json_string_length(answer, JSON_C_TO_STRING_PLAIN, &len);
	long n = -EMSGSIZE;
	if (len <= BN_CONTROL_ANSWER_MAX)
		n = bn_sendmsg(c->fd, text, len, &fd, fd >= 0 ? 1 : 0);
	else if (fd < 0)
		n = send_long(c, text, len);
	if (n < 0)
		bn_warn("answering a control client: %s", strerror((int)-n));
	json_object_put(answer);
	bn_fd_close(&fd);
	return n >= 0;
}

static bool client_answer(struct bn_control_client *c, const char *request)
{
	int fd = -1;
	struct json_object *answer = bn_control_answer(c, request, &fd);
	return !answer || bn_control_send(c, answer, fd);
}

static int handle_client(int fd, uint32_t mask, void *data)
{
	struct bn_control_client *c = data;
	char request[BN_CONTROL_REQUEST_MAX + 1];
	if (c->trace) { /* paused: it has hung up */
		bn_control_client_destroy(c);
		return 0;
	}
	long n = bn_recvmsg(fd, request, BN_CONTROL_REQUEST_MAX, NULL, NULL, MSG_DONTWAIT);
	if (n == -EAGAIN)
		return 0;
	if (n > 0)
		request[n] = '\0';
	else if (n < 0)
		bn_warn("reading from a control client: %s", strerror((int)-n));
	if (n <= 0 || !client_answer(c, request))
		bn_control_client_destroy(c);
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
	struct bn_control_client *c =
		control->num_clients < CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
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
	wl_list_init(&control->traces);
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
	memcpy(control->vm, service->settings->vms, sizeof(control->vm));
	bn_events_follow(service->context.events, bn_control_event_added, control);
	bn_control_update_targets(control);
	*out = control;
	return 0;
}

void bn_control_destroy(struct bn_control *control)
{
	if (!control)
		return;
	struct bn_control_client *c, *tmp;
	bn_events_follow(control->service->context.events, NULL, NULL);
	wl_list_for_each_safe(c, tmp, &control->clients, link) bn_control_client_destroy(c);
	bn_control_traces_finish(control);
	if (control->source)
		wl_event_source_remove(control->source);
	if (control->fd >= 0)
		unlink(control->service->settings->control_socket);
	bn_fd_close(&control->fd);
	bn_fd_close(&control->spare_fd);
	free(control);
}
