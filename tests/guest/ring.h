/* The driver side of a split virtqueue (VIRTIO 1.3 §2.7) in the test guest's memory: direct and
 * indirect chains, EVENT_IDX on both sides. It keeps the rules, except where a tg_ring_raw_*
 * function is asked to break them. One thread. */
#ifndef TG_RING_H
#define TG_RING_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/virtio_ring.h>

#include "mem.h"

#define TG_RING_MAX 1024

/* A piece of guest memory of a request. */
struct tg_buf {
	uint64_t addr;
	uint32_t len;
	bool in; /* the device writes it */
};

struct tg_ring {
	struct tg_mem *mem;
	uint16_t size;
	bool event_idx;
	uint64_t desc_addr, avail_addr, used_addr; /* guest addresses */
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t avail_idx;  /* of the next request to add */
	uint16_t kicked_idx; /* avail_idx at the last kick */
	uint16_t used_seen;  /* of the next answer to take */
	uint16_t free_head, free_count;
	void *token[TG_RING_MAX];    /* by head; NULL: not outstanding */
	uint16_t chain[TG_RING_MAX]; /* by head: descriptors in the ring */
	uint64_t table[TG_RING_MAX]; /* by head: guest address of the indirect table, 0: none */
	uint32_t table_len[TG_RING_MAX];
	unsigned long strays; /* answers to heads that were not outstanding: each is a fault of the
				 device */
	int kick, call;       /* eventfds, owned */
};

/* Allocates ring memory in region slot (-1: any) and eventfds. size: a power of two up to
 * TG_RING_MAX. 0 or -errno. */
int tg_ring_init(struct tg_ring *ring, struct tg_mem *mem, int slot, uint16_t size, bool event_idx);
void tg_ring_finish(struct tg_ring *ring);
/* As a driver does after a device reset: everything outstanding is forgotten, indices are 0. */
void tg_ring_reset(struct tg_ring *ring);

/* Adds a request, readable buffers first. token (not NULL) comes back from tg_ring_take. The device
 * is not kicked. 0, or -ENOSPC when the ring is full, -ENOMEM. */
int tg_ring_add(
	struct tg_ring *ring, const struct tg_buf *bufs, unsigned n, bool indirect, void *token);
/* Kicks if the device wants to know. */
void tg_ring_kick(struct tg_ring *ring);
/* Kicks whether it wants to or not. */
void tg_ring_kick_always(struct tg_ring *ring);
/* The next answer's token, NULL when there is none; *written is the length the device gives. */
void *tg_ring_take(struct tg_ring *ring, uint32_t *written);
/* Waits for the device's call, at most timeout_ms; asks to be called first. True if there is an
 * answer to take. */
bool tg_ring_wait(struct tg_ring *ring, int timeout_ms);

/* Breaks the rules: writes a descriptor of the ring as it is (any index below the size; taken from
 * nowhere, so start with an idle ring and reset it afterwards). */
void tg_ring_raw_desc(struct tg_ring *ring, uint16_t i, uint64_t addr, uint32_t len, uint16_t flags,
	uint16_t next);
/* … offers any head; token comes back through tg_ring_take if the device answers it. */
void tg_ring_raw_offer(struct tg_ring *ring, uint16_t head, void *token);
/* … moves the available index by n without filling the ring. */
void tg_ring_raw_skip(struct tg_ring *ring, uint16_t n);

#endif
