/* The socket of one front end: takes messages apart and feeds them to its session while that is
 * not busy. Never blocks, neither in reading nor in answering. */
#ifndef BN_DAEMON_VU_CONNECTION_H
#define BN_DAEMON_VU_CONNECTION_H

#include <stdbool.h>

#include "vu_session.h"

struct wl_event_loop;
struct bn_vu_connection; /* opaque */

struct bn_vu_connection_listener {
	/* As in bn_vu_session_ops, for the session inside. */
	int (*to_renderer)(void *data, enum bn_link_type type, const void *payload, size_t size,
		const int *fds, size_t nfds, uint32_t *seq);
	void (*draining)(void *data, bool draining);
	void (*reset)(void *data);
	/* The front end is gone or sent something broken. Destroy the connection here or later;
	 * nothing else comes from it. */
	void (*closed)(void *data);
};

/* Takes ownership of fd (a connected SOCK_STREAM socket) whatever the result. name is the VM's.
 * 0 or -errno. */
int bn_vu_connection_create(struct bn_vu_connection **out, struct wl_event_loop *loop, int fd,
	const char *name, uint32_t num_scanouts, const struct bn_vu_connection_listener *listener,
	void *data);
/* NULL is allowed. */
void bn_vu_connection_destroy(struct bn_vu_connection *c);
struct bn_vu_session *bn_vu_connection_session(struct bn_vu_connection *c);
/* Whether the front end has hung up, though the loop may not have told yet. */
bool bn_vu_connection_is_dead(const struct bn_vu_connection *c);

#endif
