/* The daemon's end of a renderer link (protocol/link.h): messages in, messages out through a
 * bounded queue. Nothing here ever waits for the renderer, and nothing that it sends is passed
 * on unchecked. */
#ifndef BN_DAEMON_RENDERER_LINK_H
#define BN_DAEMON_RENDERER_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/link.h"

struct wl_event_loop;

/* What may wait for a renderer that does not read: past either, the link is broken. */
#define BN_RENDERER_LINK_QUEUE_BYTES (1u << 20)
#define BN_RENDERER_LINK_QUEUE_MESSAGES 1024u

struct bn_renderer_link; /* opaque */

struct bn_renderer_link_listener {
	/* A message that passed bn_link_check(). payload is aligned to 8 bytes. fds stay the
	 * link's unless the handler takes one and writes -1 in its place. The handler may close
	 * the link, not destroy it. */
	void (*message)(void *data, const struct bn_link_header *header, const void *payload,
		int *fds, size_t nfds);
	/* The link broke: end of file, a forbidden message, a queue that overflowed (then
	 * possibly from within a send). It is closed already; do not destroy it here. Once at
	 * most, and not after bn_renderer_link_close(). */
	void (*closed)(void *data, const char *why);
};

/* Takes ownership of fd (a SOCK_SEQPACKET socket) whatever the result. 0 or -errno. */
int bn_renderer_link_create(struct bn_renderer_link **out, struct wl_event_loop *loop, int fd,
	const struct bn_renderer_link_listener *listener, void *data);
/* NULL is allowed. */
void bn_renderer_link_destroy(struct bn_renderer_link *link);
/* Stops reading and writing; everything queued is dropped. The object stays. */
void bn_renderer_link_close(struct bn_renderer_link *link);

/* Reads what a renderer that has ended left in the socket; ends in closed(). */
void bn_renderer_link_drain(struct bn_renderer_link *link);

/* Sends or queues one message; fds stay the caller's. seq (may be NULL) gets its number. 0,
 * -EPIPE when the link is or just became closed or its other end is gone, -EINVAL for a payload
 * that no message of ours has. A RELEASE goes with the PRESENTED that follows it in the same turn of the
 * loop, as one message; it is never overtaken, and not held for longer than the turn. */
int bn_renderer_link_send(struct bn_renderer_link *link, enum bn_link_type type,
	const void *payload, size_t size, const int *fds, size_t nfds, uint32_t *seq);

#endif
