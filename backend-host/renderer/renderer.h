/* binnacle-renderer's inside: the ring thread's loop, the link to the daemon, and what they
 * share. */
#ifndef BN_RENDERER_RENDERER_H
#define BN_RENDERER_RENDERER_H

#include <wayland-server-core.h>

#include "cursor.h"
#include "device.h"

struct bn_renderer {
	struct wl_event_loop *loop;
	struct bn_guest_memory *mem;
	struct bn_device *dev;
	struct bn_gl *gl; /* NULL: 2D only */
	struct bn_vq *vq[BN_LINK_QUEUES];
	struct bn_cursor *cursor;
	struct bn_inflight *inflight; /* mapped memfd */
	struct bn_stats *stats;       /* mapped memfd */
	struct bn_gate *gate;
	struct bn_link_hello hello;
	struct wl_event_source *gl_source, *cursor_source, *kick_source, *gate_source;
	bool quit;
	int exit_code;

	/* link.c */
	int link_fd;
	struct wl_event_source *link_source;
	struct wl_list out; /* messages that the socket had no room for */
	unsigned nout;
	uint32_t seq;

	/* VRING_STOP that waits until nothing of that queue is in flight; the link is not read
	 * meanwhile, so that ACKs stay in order */
	struct {
		bool pending;
		unsigned index;
		uint32_t seq;
		struct wl_event_source *timer;
	} stop;

	/* ring.c */
	struct {
		struct wl_event_source *timer;
		uint64_t number; /* of the wait that it was set for last */
	} display;
	bool active; /* the control ring is being worked on, kicks are suppressed */
	bool dirty;  /* answers that the driver was not told of */
	unsigned spin_score;
	bool spin_allowed;
	uint64_t slept_ns;
};

/* link.c: never blocks; what does not fit is kept and sent when the socket has room. fds stay
 * the caller's. */
int bn_link_init(struct bn_renderer *r);
void bn_link_finish(struct bn_renderer *r);
void bn_link_send(struct bn_renderer *r, uint32_t type, const void *payload, size_t size,
	const int *fds, size_t nfds);
void bn_link_ack(struct bn_renderer *r, uint32_t seq, int error, uint64_t value);
void bn_link_fault(struct bn_renderer *r, bool fatal, const char *text);
/* So much is waiting to be sent that a guest must not cause more. */
bool bn_link_crowded(const struct bn_renderer *r);
/* Stops or goes on reading messages. */
void bn_link_listen(struct bn_renderer *r, bool on);

/* link_client.c: one checked message; closes what it does not use of fds. */
void bn_link_handle(struct bn_renderer *r, const struct bn_link_header *header, const void *payload,
	int *fds, size_t nfds);

/* ring.c */
int bn_ring_init(struct bn_renderer *r);
/* The control queue was started: watches its kick fd and looks at once. */
int bn_ring_start(struct bn_renderer *r);
/* Takes nothing more from the control queue. */
void bn_ring_stop(struct bn_renderer *r);
/* A command that waits for the scheduler is given a moment, then answered with an error: the VMM
 * waits for the control queue to stop, with the guest's clock standing still. */
void bn_ring_hurry(struct bn_renderer *r);
/* Something may be in the control ring. */
void bn_ring_activate(struct bn_renderer *r);
/* Until r->quit. */
void bn_ring_run(struct bn_renderer *r);

#endif
