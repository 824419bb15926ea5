#include "renderer_link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <wayland-server-core.h>

#include "common/fd.h"

/* Messages taken in one turn of the loop, so that a chatty renderer cannot keep the others
 * waiting. */
#define BATCH 32

/* The longest message of the daemon: header and bn_link_displays. */
#define SEND_MAX (sizeof(struct bn_link_header) + sizeof(struct bn_link_displays))

struct packet {
	struct wl_list link; /* bn_renderer_link.queue */
	size_t size, nfds;
	int fds[BN_MAX_FDS];
	uint8_t bytes[];
};

struct bn_renderer_link {
	struct wl_event_loop *loop;
	struct wl_event_source *source; /* NULL once closed */
	int fd;
	/* A RELEASE that waits for the PRESENTED it usually comes with, until the turn of the loop ends;
	 * buffer 0: none. */
	struct bn_link_release released;
	struct wl_event_source *idle; /* while there is one */
	uint32_t next_seq;
	struct wl_list queue; /* packet.link */
	size_t queued_bytes, queued_messages;
	const struct bn_renderer_link_listener *listener;
	void *data;
	struct {
		struct bn_link_header header;
		_Alignas(8) uint8_t payload[BN_LINK_PAYLOAD_MAX + 8];
	} in;
};

static void packet_destroy(struct packet *p)
{
	wl_list_remove(&p->link);
	bn_fds_close(p->fds, p->nfds);
	free(p);
}

/* The one that was held back, or none; it is not any more. */
static struct bn_link_release take_released(struct bn_renderer_link *link)
{
	struct bn_link_release released = link->released;
	if (link->idle)
		wl_event_source_remove(link->idle);
	link->idle = NULL;
	link->released = (struct bn_link_release){0};
	return released;
}

void bn_renderer_link_close(struct bn_renderer_link *link)
{
	take_released(link);
	if (link->source)
		wl_event_source_remove(link->source);
	link->source = NULL;
	bn_fd_close(&link->fd);
	struct packet *p, *tmp;
	wl_list_for_each_safe(p, tmp, &link->queue, link) packet_destroy(p);
	link->queued_bytes = link->queued_messages = 0;
}

static void link_break(struct bn_renderer_link *link, const char *why)
{
	if (!link->source)
		return;
	bn_renderer_link_close(link);
	link->listener->closed(link->data, why);
}

/* Its end of file is still to be read, behind what it said last: that ends the link, not the
 * failed send. */
static bool peer_gone(long err)
{
	return err == -EPIPE || err == -ECONNRESET;
}

static void flush_queue(struct bn_renderer_link *link)
{
	while (!wl_list_empty(&link->queue)) {
		struct packet *p = wl_container_of(link->queue.next, p, link);
		long n = bn_sendmsg(link->fd, p->bytes, p->size, p->fds, p->nfds);
		if (n == -EAGAIN)
			return;
		if (n < 0 && !peer_gone(n)) {
			link_break(link, strerror((int)-n));
			return;
		}
		link->queued_bytes -= p->size;
		link->queued_messages--;
		packet_destroy(p);
	}
	wl_event_source_fd_update(link->source, WL_EVENT_READABLE);
}

/* Reads one message; false when there is none or the link is closed. */
static bool read_one(struct bn_renderer_link *link)
{
	int fds[BN_MAX_FDS];
	size_t nfds = BN_MAX_FDS;
	long n = bn_recvmsg(link->fd, &link->in, sizeof(link->in), fds, &nfds, MSG_DONTWAIT);
	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		link_break(link, n == 0 ? "it closed the link" : strerror((int)-n));
		return false;
	}
	size_t size = (size_t)n - sizeof(link->in.header);
	if ((size_t)n < sizeof(link->in.header) ||
		bn_link_check(&link->in.header, link->in.payload, size, nfds, true) < 0) {
		bn_fds_close(fds, nfds);
		link_break(link, "it sent a message that the link does not allow");
		return false;
	}
	link->listener->message(link->data, &link->in.header, link->in.payload, fds, nfds);
	bn_fds_close(fds, nfds);
	return link->source != NULL;
}

static int handle_fd(int fd, uint32_t mask, void *data)
{
	struct bn_renderer_link *link = data;
	if (mask & WL_EVENT_WRITABLE)
		flush_queue(link);
	if (!link->source)
		return 0;
	/* What was sent before a hang-up is still read: the last words are often the reason. Behind a frame
	 * there is nothing as a rule: that is not worth a look. */
	for (int i = 0; i < BATCH && read_one(link) && link->in.header.type != BN_LINK_FRAME; i++)
		;
	return 0;
}

void bn_renderer_link_drain(struct bn_renderer_link *link)
{
	for (unsigned i = 0; i < BN_RENDERER_LINK_QUEUE_MESSAGES && link->source && read_one(link);
		i++)
		;
}

int bn_renderer_link_create(struct bn_renderer_link **out, struct wl_event_loop *loop, int fd,
	const struct bn_renderer_link_listener *listener, void *data)
{
	struct bn_renderer_link *link = calloc(1, sizeof(*link));
	if (!link) {
		bn_fd_close(&fd);
		return -ENOMEM;
	}
	link->loop = loop;
	link->fd = fd;
	link->next_seq = 1;
	link->listener = listener;
	link->data = data;
	wl_list_init(&link->queue);
	link->source = wl_event_loop_add_fd(loop, fd, WL_EVENT_READABLE, handle_fd, link);
	if (!link->source) {
		bn_renderer_link_destroy(link);
		return -ENOMEM;
	}
	*out = link;
	return 0;
}

void bn_renderer_link_destroy(struct bn_renderer_link *link)
{
	if (!link)
		return;
	bn_renderer_link_close(link);
	free(link);
}

static int enqueue(
	struct bn_renderer_link *link, const void *bytes, size_t size, const int *fds, size_t nfds)
{
	if (link->queued_messages >= BN_RENDERER_LINK_QUEUE_MESSAGES ||
		link->queued_bytes + size > BN_RENDERER_LINK_QUEUE_BYTES) {
		link_break(link, "it does not read what it is sent");
		return -EPIPE;
	}
	struct packet *p = calloc(1, sizeof(*p) + size);
	if (!p) {
		link_break(link, "out of memory");
		return -EPIPE;
	}
	wl_list_insert(link->queue.prev, &p->link);
	p->size = size;
	memcpy(p->bytes, bytes, size);
	for (; p->nfds < nfds; p->nfds++) {
		int copy = bn_fd_dup(fds[p->nfds]);
		if (copy < 0) {
			packet_destroy(p);
			link_break(link, "no file descriptor is left to queue a message with");
			return -EPIPE;
		}
		p->fds[p->nfds] = copy;
	}
	link->queued_bytes += size;
	link->queued_messages++;
	wl_event_source_fd_update(link->source, WL_EVENT_READABLE | WL_EVENT_WRITABLE);
	return 0;
}

static int send_now(struct bn_renderer_link *link, enum bn_link_type type, const void *payload,
	size_t size, const int *fds, size_t nfds, uint32_t *seq)
{
	if (!link->source)
		return -EPIPE;
	if (size > SEND_MAX - sizeof(struct bn_link_header) || nfds > BN_MAX_FDS)
		return -EINVAL;
	_Alignas(8) uint8_t bytes[SEND_MAX];
	const struct bn_link_header header = {
		.type = type, .size = (uint32_t)size, .seq = link->next_seq++};
	memcpy(bytes, &header, sizeof(header));
	if (size > 0)
		memcpy(bytes + sizeof(header), payload, size);
	if (seq)
		*seq = header.seq;
	size += sizeof(header);
	if (wl_list_empty(&link->queue)) {
		long n = bn_sendmsg(link->fd, bytes, size, fds, nfds);
		if (n >= 0)
			return 0;
		if (peer_gone(n))
			return -EPIPE;
		if (n != -EAGAIN) {
			link_break(link, strerror((int)-n));
			return -EPIPE;
		}
	}
	return enqueue(link, bytes, size, fds, nfds);
}

static int send_released(struct bn_renderer_link *link)
{
	const struct bn_link_release message = take_released(link);
	if (message.buffer == 0)
		return 0;
	return send_now(link, BN_LINK_RELEASE, &message, sizeof(message), NULL, 0, NULL);
}

static void handle_idle(void *data)
{
	struct bn_renderer_link *link = data;
	link->idle = NULL;
	send_released(link);
}

static int hold_release(struct bn_renderer_link *link, const struct bn_link_release *message)
{
	int ret = send_released(link);
	if (ret < 0)
		return ret;
	link->idle = wl_event_loop_add_idle(link->loop, handle_idle, link);
	link->released = *message;
	return link->idle ? 0 : send_released(link);
}

static int send_presented(struct bn_renderer_link *link, const struct bn_link_presented *message)
{
	struct bn_link_presented both = *message;
	both.released = take_released(link);
	return send_now(link, BN_LINK_PRESENTED, &both, sizeof(both), NULL, 0, NULL);
}

int bn_renderer_link_send(struct bn_renderer_link *link, enum bn_link_type type,
	const void *payload, size_t size, const int *fds, size_t nfds, uint32_t *seq)
{
	if (!link->source)
		return -EPIPE;
	if (type == BN_LINK_RELEASE && size == sizeof(struct bn_link_release))
		return hold_release(link, payload);
	if (type == BN_LINK_PRESENTED && size == sizeof(struct bn_link_presented))
		return send_presented(link, payload);
	/* Nothing overtakes it: a renderer that is to stop may need it for that. */
	int ret = send_released(link);
	return ret < 0 ? ret : send_now(link, type, payload, size, fds, nfds, seq);
}
