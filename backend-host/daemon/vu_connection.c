#include "vu_connection.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <wayland-server-core.h>

#include "common/fd.h"
#include "common/log.h"

/* Messages taken in one turn of the loop. */
#define BATCH 16

struct bn_vu_connection {
	struct bn_vu_session session;
	struct wl_event_source *source; /* NULL once closed */
	int fd;
	const struct bn_vu_connection_listener *listener;
	void *data;

	/* The message being received. */
	struct bn_vu_header header;
	union bn_vu_payload payload;
	size_t have; /* bytes of header and payload */
	int fds[BN_MAX_FDS];
	size_t nfds;
};

static void connection_close(struct bn_vu_connection *c)
{
	if (!c->source)
		return;
	wl_event_source_remove(c->source);
	c->source = NULL;
	c->listener->closed(c->data);
}

/* ---- what the session asks for ---- */

static int session_to_renderer(void *data, enum bn_link_type type, const void *payload, size_t size,
	const int *fds, size_t nfds, uint32_t *seq)
{
	struct bn_vu_connection *c = data;
	return c->listener->to_renderer(c->data, type, payload, size, fds, nfds, seq);
}

static void session_reply(void *data, const struct bn_vu_header *header, const void *payload)
{
	struct bn_vu_connection *c = data;
	struct {
		struct bn_vu_header header;
		uint8_t payload[sizeof(union bn_vu_payload)];
	} bytes = {.header = *header};
	if (!c->source)
		return;
	if (header->size > 0)
		memcpy(bytes.payload, payload, header->size);
	size_t size = sizeof(bytes.header) + header->size;
	long n = bn_sendmsg(c->fd, &bytes, size, NULL, 0);
	if (n == (long)size)
		return;
	/* Front ends wait for each answer, so one that has filled the socket is none that we
	 * need to wait for. */
	bn_warn("%s: answering %s: %s", c->session.name, bn_vu_name(header->request),
		n < 0 ? strerror((int)-n) : "the front end does not read its answers");
	/* The hang-up ends the connection, outside of the session's code. */
	shutdown(c->fd, SHUT_RDWR);
}

static void session_draining(void *data, bool draining)
{
	struct bn_vu_connection *c = data;
	c->listener->draining(c->data, draining);
}

static void session_reset(void *data)
{
	struct bn_vu_connection *c = data;
	c->listener->reset(c->data);
}

static void watch(struct bn_vu_connection *c)
{
	if (c->source)
		wl_event_source_fd_update(
			c->source, bn_vu_session_busy(&c->session) ? 0 : WL_EVENT_READABLE);
}

static void session_idle(void *data)
{
	watch(data);
}

static const struct bn_vu_session_ops session_ops = {
	.to_renderer = session_to_renderer,
	.reply = session_reply,
	.draining = session_draining,
	.reset = session_reset,
	.idle = session_idle,
};

/* ---- receiving ---- */

/* Receives what is missing of a part of the message; 1 when all of it is there, 0 when more must
 * come, -errno to end the connection. */
static int receive(struct bn_vu_connection *c, void *part, size_t got, size_t size)
{
	if (got >= size)
		return 1;
	size_t nfds = BN_MAX_FDS - c->nfds;
	long n = bn_recvmsg(
		c->fd, (char *)part + got, size - got, c->fds + c->nfds, &nfds, MSG_DONTWAIT);
	if (n == -EAGAIN)
		return 0;
	if (n < 0)
		return (int)n;
	if (n == 0)
		return -ENOTCONN;
	c->nfds += nfds;
	c->have += (size_t)n;
	return got + (size_t)n >= size ? 1 : 0;
}

static int receive_message(struct bn_vu_connection *c)
{
	const size_t header_size = sizeof(c->header);
	int ret = receive(c, &c->header, c->have, header_size);
	if (ret <= 0)
		return ret;
	if (c->header.size > sizeof(c->payload)) {
		bn_warn("%s: the front end sent a %s of %u bytes; at most %zu are expected",
			c->session.name, bn_vu_name(c->header.request), c->header.size,
			sizeof(c->payload));
		return -EPROTO;
	}
	return receive(c, &c->payload, c->have - header_size, c->header.size);
}

/* 1: a message was handled, 0: no whole one is there, -errno: end the connection. */
static int handle_one(struct bn_vu_connection *c)
{
	int ret = receive_message(c);
	if (ret <= 0)
		return ret;
	bn_debug("%s: %s, %u bytes, %zu fds", c->session.name, bn_vu_name(c->header.request),
		c->header.size, c->nfds);
	ret = bn_vu_session_message(&c->session, &c->header, &c->payload, c->fds, c->nfds);
	bn_fds_close(c->fds, c->nfds);
	c->nfds = c->have = 0;
	memset(&c->payload, 0, sizeof(c->payload));
	return ret < 0 ? ret : 1;
}

static int handle_fd(int fd, uint32_t mask, void *data)
{
	struct bn_vu_connection *c = data;
	int ret = 1;
	if (mask & WL_EVENT_READABLE) {
		for (int i = 0; i < BATCH && ret > 0 && !bn_vu_session_busy(&c->session); i++)
			ret = handle_one(c);
	}
	/* While the session is busy, what a front end sent before it left does not matter any
	 * more. */
	bool gone = (mask & (WL_EVENT_HANGUP | WL_EVENT_ERROR)) != 0 &&
		    (!(mask & WL_EVENT_READABLE) || bn_vu_session_busy(&c->session));
	if (ret < 0 || gone) {
		if (ret < 0 && ret != -ENOTCONN && ret != -EPROTO)
			bn_warn("%s: reading from the front end: %s", c->session.name,
				strerror(-ret));
		if (c->have > 0)
			bn_warn("%s: the front end left in the middle of a message",
				c->session.name);
		connection_close(c);
		return 0;
	}
	watch(c);
	return 0;
}

int bn_vu_connection_create(struct bn_vu_connection **out, struct wl_event_loop *loop, int fd,
	const char *name, uint32_t num_scanouts, const struct bn_vu_connection_listener *listener,
	void *data)
{
	struct bn_vu_connection *c = calloc(1, sizeof(*c));
	if (!c) {
		bn_fd_close(&fd);
		return -ENOMEM;
	}
	c->fd = fd;
	c->listener = listener;
	c->data = data;
	bn_vu_session_init(&c->session, name, num_scanouts, &session_ops, c);
	c->source = wl_event_loop_add_fd(loop, fd, 0, handle_fd, c);
	if (!c->source) {
		bn_vu_connection_destroy(c);
		return -ENOMEM;
	}
	*out = c;
	return 0;
}

void bn_vu_connection_destroy(struct bn_vu_connection *c)
{
	if (!c)
		return;
	if (c->source)
		wl_event_source_remove(c->source);
	bn_fds_close(c->fds, c->nfds);
	bn_vu_session_finish(&c->session);
	bn_fd_close(&c->fd);
	free(c);
}

struct bn_vu_session *bn_vu_connection_session(struct bn_vu_connection *c)
{
	return &c->session;
}

bool bn_vu_connection_is_dead(const struct bn_vu_connection *c)
{
	struct pollfd p = {.fd = c->fd};
	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)) != 0;
}
