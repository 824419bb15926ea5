#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/fd.h"
#include "common/log.h"
#include "renderer.h"

/* Messages waiting for room before the control ring is left alone; those already under way may
 * still add theirs. */
#define CROWDED 256u

struct out_message {
	struct wl_list link; /* bn_renderer.out */
	size_t size, nfds;
	int fds[4];
	unsigned char bytes[];
};

static void link_broken(struct bn_renderer *r, int error)
{
	/* The daemon is gone: nobody would see what we do. */
	bn_info("the daemon closed the link%s%s", error ? ": " : "", error ? strerror(-error) : "");
	r->quit = true;
}

static void message_free(struct bn_renderer *r, struct out_message *msg)
{
	wl_list_remove(&msg->link);
	bn_fds_close(msg->fds, msg->nfds);
	free(msg);
	r->nout--;
}

static void update_mask(struct bn_renderer *r, bool listen)
{
	uint32_t mask = (listen ? WL_EVENT_READABLE : 0) | (r->nout > 0 ? WL_EVENT_WRITABLE : 0);

	if (r->link_source)
		wl_event_source_fd_update(r->link_source, mask);
}

static void out_flush(struct bn_renderer *r)
{
	struct out_message *msg, *next;

	wl_list_for_each_safe(msg, next, &r->out, link)
	{
		long n = bn_sendmsg(r->link_fd, msg->bytes, msg->size, msg->fds, msg->nfds);

		if (n == -EAGAIN)
			return;
		if (n < 0) {
			link_broken(r, (int)n);
			return;
		}
		message_free(r, msg);
	}
	update_mask(r, !r->stop.pending);
}

static void out_queue(
	struct bn_renderer *r, const void *bytes, size_t size, const int *fds, size_t nfds)
{
	struct out_message *msg = calloc(1, sizeof(*msg) + size);

	if (!msg) {
		bn_error("no memory for a message to the daemon");
		r->quit = true;
		return;
	}
	memcpy(msg->bytes, bytes, size);
	msg->size = size;
	for (size_t i = 0; i < nfds; i++) {
		msg->fds[i] = bn_fd_dup(fds[i]);
		if (msg->fds[i] < 0)
			break;
		msg->nfds++;
	}
	wl_list_insert(r->out.prev, &msg->link);
	r->nout++;
	if (msg->nfds < nfds) {
		bn_error("a buffer cannot be passed on: too many open files");
		message_free(r, msg);
	}
	update_mask(r, !r->stop.pending);
}

void bn_link_send(struct bn_renderer *r, uint32_t type, const void *payload, size_t size,
	const int *fds, size_t nfds)
{
	union {
		struct bn_link_header header;
		unsigned char bytes[sizeof(struct bn_link_header) + BN_LINK_PAYLOAD_MAX];
	} msg;
	size_t total = sizeof(msg.header) + size;
	long n;

	msg.header = (struct bn_link_header){.type = type, .size = (uint32_t)size, .seq = ++r->seq};
	if (size > 0)
		memcpy(msg.bytes + sizeof(msg.header), payload, size);
	n = r->nout > 0 ? -EAGAIN : bn_sendmsg(r->link_fd, &msg, total, fds, nfds);
	if (n == -EAGAIN)
		out_queue(r, &msg, total, fds, nfds);
	else if (n < 0)
		link_broken(r, (int)n);
}

void bn_link_ack(struct bn_renderer *r, uint32_t seq, int error, uint64_t value)
{
	struct bn_link_ack ack = {.seq = seq, .error = error, .value = value};

	bn_link_send(r, BN_LINK_ACK, &ack, sizeof(ack), NULL, 0);
}

void bn_link_fault(struct bn_renderer *r, bool fatal, const char *text)
{
	struct bn_link_fault fault = {.fatal = fatal};

	strncpy(fault.text, text, sizeof(fault.text) - 1);
	bn_error("%s", text);
	bn_link_send(r, BN_LINK_FAULT, &fault, sizeof(fault), NULL, 0);
	if (fatal) {
		r->quit = true;
		r->exit_code = EXIT_FAILURE;
	}
}

bool bn_link_crowded(const struct bn_renderer *r)
{
	return r->nout > CROWDED;
}

void bn_link_listen(struct bn_renderer *r, bool on)
{
	update_mask(r, on);
}

/* False when there is nothing (more) to read, or as a rule nothing: what follows a PRESENTED, which there is
 * for each frame, is the next one. The loop comes back if it is wrong. */
static bool read_one(struct bn_renderer *r)
{
	union {
		struct bn_link_header header;
		unsigned char bytes[sizeof(struct bn_link_header) + BN_LINK_PAYLOAD_MAX];
	} msg;
	const void *payload = msg.bytes + sizeof(msg.header);
	int fds[BN_MAX_FDS];
	size_t nfds = BN_MAX_FDS, size;
	long n = bn_recvmsg(r->link_fd, &msg, sizeof(msg), fds, &nfds, MSG_DONTWAIT);

	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		link_broken(r, (int)n);
		return false;
	}
	size = (size_t)n - sizeof(msg.header);
	if ((size_t)n < sizeof(msg.header) ||
		bn_link_check(&msg.header, payload, size, nfds, false) < 0) {
		bn_fds_close(fds, nfds);
		bn_link_fault(r, true, "the daemon sent a message that is not understood");
		return false;
	}
	bn_link_handle(r, &msg.header, payload, fds, nfds);
	return !r->quit && !r->stop.pending && msg.header.type != BN_LINK_PRESENTED;
}

static int handle_link(int fd, uint32_t mask, void *data)
{
	struct bn_renderer *r = data;

	if (mask & WL_EVENT_WRITABLE)
		out_flush(r);
	if ((mask & (WL_EVENT_HANGUP | WL_EVENT_ERROR)) && !(mask & WL_EVENT_READABLE)) {
		link_broken(r, 0);
		return 0;
	}
	/* Bounded, so that fences and the ring get their turn. */
	for (int i = 0; i < 16 && read_one(r); i++)
		;
	return 0;
}

int bn_link_init(struct bn_renderer *r)
{
	wl_list_init(&r->out);
	r->link_source =
		wl_event_loop_add_fd(r->loop, r->link_fd, WL_EVENT_READABLE, handle_link, r);
	return r->link_source ? 0 : -ENOMEM;
}

void bn_link_finish(struct bn_renderer *r)
{
	struct out_message *msg, *next;

	if (!r->link_source)
		return;
	out_flush(r);
	wl_list_for_each_safe(msg, next, &r->out, link) message_free(r, msg);
	wl_event_source_remove(r->link_source);
	r->link_source = NULL;
}
