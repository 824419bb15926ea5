/* One front end's vhost-user device: what it has told us, and what must be told to a renderer. A
 * state machine without sockets: the connection (vu_connection.h) feeds it messages, the VM
 * (vm.h) gives it a renderer and takes it away again.
 *
 * Everything received is kept, so that another renderer can be given the same memory, features
 * and rings. Messages whose effect must be complete before their answer (memory, starting and
 * stopping rings) are operations: the session is busy until the renderer has acknowledged them,
 * and no further message may be fed to it. When the renderer dies meanwhile, the operation is
 * done again on the next one. */
#ifndef BN_DAEMON_VU_SESSION_H
#define BN_DAEMON_VU_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/link.h"
#include "protocol/vhost_user.h"
#include "zero-copy/guest_memory.h"

struct bn_vu_session_ops {
	/* Sends to the renderer; fds stay the session's. *seq is the message's number. A failure
	 * means that the renderer is about to be replaced. */
	int (*to_renderer)(void *data, enum bn_link_type type, const void *payload, size_t size,
		const int *fds, size_t nfds, uint32_t *seq);
	/* Answers the front end: header->size bytes of payload. */
	void (*reply)(void *data, const struct bn_vu_header *header, const void *payload);
	/* A ring is about to stop (true), or has stopped (false): nothing may wait for a display
	 * meanwhile. */
	void (*draining)(void *data, bool draining);
	/* RESET_DEVICE: the renderer must be replaced by a fresh one, and the session detached
	 * at once. */
	void (*reset)(void *data);
	/* No longer busy: messages may come again. */
	void (*idle)(void *data);
};

struct bn_vu_memory_region {
	struct bn_vu_region region;
	int fd;
};

struct bn_vu_ring {
	uint32_t num; /* 0: not set */
	bool have_addr, have_kick, enabled;
	struct bn_vu_vring_addr addr;
	uint16_t base;      /* where it (re)starts */
	uint16_t stop_base; /* what the last stop gave */
	bool have_stop_base;
	bool running;         /* the renderer serves it, or is to as soon as there is one */
	int kick_fd, call_fd; /* -1: none */
};

enum bn_vu_operation_kind {
	BN_VU_OP_NONE,
	BN_VU_OP_MEM_TABLE,
	BN_VU_OP_MEM_ADD,
	BN_VU_OP_MEM_REMOVE,
	BN_VU_OP_START,   /* a ring */
	BN_VU_OP_DISABLE, /* a ring, by SET_VRING_ENABLE 0 */
	BN_VU_OP_STOP,    /* a ring, by GET_VRING_BASE */
	BN_VU_OP_RESTART, /* a running ring got another kick fd: stop, then OP_START */
};

struct bn_vu_operation {
	enum bn_vu_operation_kind kind;
	struct bn_vu_header header; /* of the message to answer */
	unsigned ring;
	int error;                                            /* the first one */
	unsigned deaths;                                      /* renderers that died over it */
	struct bn_vu_memory_region region[BN_VU_REGIONS_MAX]; /* owned until committed */
	bool failed[BN_VU_REGIONS_MAX];
	unsigned nregions;
	int new_kick_fd; /* RESTART */
};

/* A start or a change of memory that so many renderers died over is refused. */
#define BN_VU_OPERATION_DEATHS_MAX 3

/* An acknowledgement that the renderer owes. */
struct bn_vu_expected {
	uint32_t seq;
	bool restore;   /* part of giving a renderer what the last one had, not of the operation */
	unsigned index; /* of a region or ring */
};
/* A whole restore and an operation on top. */
#define BN_VU_EXPECTED_MAX (BN_GUEST_MEMORY_SLOTS + 1 + BN_VU_REGIONS_MAX + 2 * BN_LINK_QUEUES)

struct bn_vu_session {
	const struct bn_vu_session_ops *ops;
	void *data;
	char name[32]; /* the VM's, for logs */

	bool attached;            /* a renderer is there */
	uint64_t device_features; /* the renderer's */
	uint32_t num_scanouts, num_capsets;
	uint32_t events_read; /* of the configuration space */

	bool owned, features_set;
	uint64_t features; /* as accepted, cut to what was offered */
	uint64_t protocol_features;
	bool started; /* a ring ran since the renderer was fresh */
	bool packed;  /* the driver accepted packed rings, which we never offered */
	struct bn_vu_memory_region memory[BN_GUEST_MEMORY_SLOTS];
	unsigned nregions;
	struct bn_vu_ring ring[BN_LINK_QUEUES];
	int backend_fd; /* -1: none */
	int gpu_socket; /* -1: none; kept and not used: the display is ours */

	struct bn_vu_operation op;
	struct bn_vu_expected expected[BN_VU_EXPECTED_MAX]; /* a queue */
	unsigned expected_first, expected_count;
	unsigned long complaints; /* gate of the log */
};

/* num_scanouts goes into the configuration space. ops must stay valid; all of them are required. */
void bn_vu_session_init(struct bn_vu_session *s, const char *name, uint32_t num_scanouts,
	const struct bn_vu_session_ops *ops, void *data);
/* Closes every fd that came in. Nothing is told to the renderer. */
void bn_vu_session_finish(struct bn_vu_session *s);

/* A renderer is ready: it is given all that is known, then an operation that was under way is
 * done again. restore: it has the journal and in-flight table of the one that died, so running
 * rings go on; otherwise nothing was running. */
void bn_vu_session_attach(struct bn_vu_session *s, const struct bn_link_ready *ready, bool restore);
/* The renderer is gone. */
void bn_vu_session_detach(struct bn_vu_session *s);
/* The renderer's acknowledgement. -EPROTO: none is due, or not that one. */
int bn_vu_session_ack(struct bn_vu_session *s, const struct bn_link_ack *ack);

/* Without a renderer, or an operation under way: feed no message. */
bool bn_vu_session_busy(const struct bn_vu_session *s);
/* One message from the front end with its whole payload (header->size bytes, at most
 * sizeof(*payload)). fds that it keeps are set to -1; the caller closes the others. 0, or
 * -EPROTO: end the connection. Legal requests that cannot be done are answered and logged. Not
 * while busy. */
int bn_vu_session_message(struct bn_vu_session *s, const struct bn_vu_header *header,
	const union bn_vu_payload *payload, int *fds, size_t nfds);

/* A display of this VM changed: raises the configuration event and tells the front end, unless
 * that is QEMU's vhost-user-gpu, which does not know the message. */
void bn_vu_session_display_changed(struct bn_vu_session *s);

/* What the other end seems to be, for people; a constant string. */
const char *bn_vu_session_front_end(const struct bn_vu_session *s);
uint64_t bn_vu_session_memory_size(const struct bn_vu_session *s); /* bytes */
bool bn_vu_session_running(const struct bn_vu_session *s);         /* ring 0 is served */

/* ---- between vu_session.c and vu_dispatch.c ---- */

/* Starts an operation that op describes (kind, ring, regions …); takes the regions' fds. */
void bn_vu_session_begin(struct bn_vu_session *s, const struct bn_vu_operation *op);
void bn_vu_ring_reset(struct bn_vu_ring *ring);
/* Why the ring cannot run yet, or NULL: it can. */
const char *bn_vu_ring_missing(const struct bn_vu_session *s, unsigned index);
/* Answers a request that is due an acknowledgement (REPLY_ACK negotiated, NEED_REPLY set); logs
 * when error is not 0. */
void bn_vu_session_acknowledge(
	struct bn_vu_session *s, const struct bn_vu_header *header, int error);
void bn_vu_session_reply(struct bn_vu_session *s, const struct bn_vu_header *header,
	const void *payload, uint32_t size);

#endif
