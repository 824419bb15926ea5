#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#include "common/fd.h"
#include "ring.h"

static uint16_t load16(const __virtio16 *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void store16(__virtio16 *p, uint16_t value)
{
	__atomic_store_n(p, value, __ATOMIC_RELEASE);
}

static __virtio16 *used_event(struct tg_ring *ring)
{
	return &ring->avail->ring[ring->size];
}

static __virtio16 *avail_event(struct tg_ring *ring)
{
	return (__virtio16 *)&ring->used->ring[ring->size];
}

static size_t desc_bytes(const struct tg_ring *ring)
{
	return sizeof(struct vring_desc) * ring->size;
}

static size_t avail_bytes(const struct tg_ring *ring)
{
	return sizeof(struct vring_avail) + 2u * ring->size + 2;
}

static size_t used_bytes(const struct tg_ring *ring)
{
	return sizeof(struct vring_used) + sizeof(struct vring_used_elem) * ring->size + 2;
}

void tg_ring_reset(struct tg_ring *ring)
{
	memset(ring->desc, 0, desc_bytes(ring));
	memset(ring->avail, 0, avail_bytes(ring));
	memset(ring->used, 0, used_bytes(ring));
	memset(ring->token, 0, sizeof(ring->token));
	for (uint16_t i = 0; i < ring->size; i++) {
		tg_mem_free(ring->mem, ring->table[i], ring->table_len[i]);
		ring->table[i] = 0;
		ring->desc[i].next = i + 1;
	}
	ring->avail_idx = ring->kicked_idx = ring->used_seen = 0;
	ring->free_head = 0;
	ring->free_count = ring->size;
	bn_event_drain(ring->call);
}

int tg_ring_init(struct tg_ring *ring, struct tg_mem *mem, int slot, uint16_t size, bool event_idx)
{
	memset(ring, 0, sizeof(*ring));
	ring->mem = mem;
	ring->size = size;
	ring->event_idx = event_idx;
	ring->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ring->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ring->desc_addr = tg_mem_alloc(mem, slot, desc_bytes(ring));
	ring->avail_addr = tg_mem_alloc(mem, slot, avail_bytes(ring));
	ring->used_addr = tg_mem_alloc(mem, slot, used_bytes(ring));
	ring->desc = tg_mem_host(mem, ring->desc_addr, desc_bytes(ring));
	ring->avail = tg_mem_host(mem, ring->avail_addr, avail_bytes(ring));
	ring->used = tg_mem_host(mem, ring->used_addr, used_bytes(ring));
	if (ring->kick < 0 || ring->call < 0 || !ring->desc || !ring->avail || !ring->used) {
		tg_ring_finish(ring);
		return -ENOMEM;
	}
	tg_ring_reset(ring);
	return 0;
}

void tg_ring_finish(struct tg_ring *ring)
{
	if (!ring->mem)
		return;
	tg_mem_free(ring->mem, ring->desc_addr, desc_bytes(ring));
	tg_mem_free(ring->mem, ring->avail_addr, avail_bytes(ring));
	tg_mem_free(ring->mem, ring->used_addr, used_bytes(ring));
	bn_fd_close(&ring->kick);
	bn_fd_close(&ring->call);
	ring->mem = NULL;
}

static void fill_desc(struct vring_desc *desc, const struct tg_buf *buf, bool last, uint16_t next)
{
	desc->addr = buf->addr;
	desc->len = buf->len;
	desc->flags = (buf->in ? VRING_DESC_F_WRITE : 0) | (last ? 0 : VRING_DESC_F_NEXT);
	desc->next = last ? 0 : next;
}

static void offer(struct tg_ring *ring, uint16_t head)
{
	ring->avail->ring[ring->avail_idx % ring->size] = head;
	ring->avail_idx++;
	store16(&ring->avail->idx, ring->avail_idx);
}

static int add_indirect(struct tg_ring *ring, const struct tg_buf *bufs, unsigned n, uint16_t head)
{
	uint32_t bytes = n * (uint32_t)sizeof(struct vring_desc);
	uint64_t table = tg_mem_alloc(ring->mem, -1, bytes);
	struct vring_desc *desc = tg_mem_host(ring->mem, table, bytes);
	if (!desc)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++)
		fill_desc(&desc[i], &bufs[i], i + 1 == n, (uint16_t)(i + 1));
	ring->table[head] = table;
	ring->table_len[head] = bytes;
	ring->desc[head].addr = table;
	ring->desc[head].len = bytes;
	ring->desc[head].flags = VRING_DESC_F_INDIRECT;
	return 0;
}

int tg_ring_add(
	struct tg_ring *ring, const struct tg_buf *bufs, unsigned n, bool indirect, void *token)
{
	unsigned need = indirect ? 1 : n;
	if (!n || need > ring->free_count)
		return -ENOSPC;
	uint16_t head = ring->free_head, i = head;
	uint16_t after = ring->desc[head].next;
	if (indirect) {
		int err = add_indirect(ring, bufs, n, head);
		if (err < 0)
			return err;
	} else {
		for (unsigned k = 0; k < n; k++) {
			after = ring->desc[i].next;
			fill_desc(&ring->desc[i], &bufs[k], k + 1 == n, after);
			i = after;
		}
	}
	ring->free_head = after;
	ring->free_count = (uint16_t)(ring->free_count - need);
	ring->chain[head] = (uint16_t)need;
	ring->token[head] = token;
	offer(ring, head);
	return 0;
}

void tg_ring_kick_always(struct tg_ring *ring)
{
	ring->kicked_idx = ring->avail_idx;
	bn_event_signal(ring->kick);
}

void tg_ring_kick(struct tg_ring *ring)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	bool wanted;
	if (ring->event_idx)
		wanted = vring_need_event(
			load16(avail_event(ring)), ring->avail_idx, ring->kicked_idx);
	else
		wanted = !(load16(&ring->used->flags) & VRING_USED_F_NO_NOTIFY);
	if (wanted)
		tg_ring_kick_always(ring);
	else
		ring->kicked_idx = ring->avail_idx;
}

static void free_chain(struct tg_ring *ring, uint16_t head)
{
	uint16_t last = head;
	for (uint16_t k = 1; k < ring->chain[head]; k++)
		last = ring->desc[last].next;
	ring->desc[last].next = ring->free_head;
	ring->free_head = head;
	ring->free_count = (uint16_t)(ring->free_count + ring->chain[head]);
	tg_mem_free(ring->mem, ring->table[head], ring->table_len[head]);
	ring->table[head] = 0;
}

void *tg_ring_take(struct tg_ring *ring, uint32_t *written)
{
	while (load16(&ring->used->idx) != ring->used_seen) {
		struct vring_used_elem elem = ring->used->ring[ring->used_seen % ring->size];
		ring->used_seen++;
		void *token = elem.id < ring->size ? ring->token[elem.id] : NULL;
		if (!token) {
			ring->strays++;
			continue;
		}
		ring->token[elem.id] = NULL;
		if (ring->chain[elem.id])
			free_chain(ring, (uint16_t)elem.id);
		*written = elem.len;
		return token;
	}
	return NULL;
}

bool tg_ring_wait(struct tg_ring *ring, int timeout_ms)
{
	if (ring->event_idx)
		store16(used_event(ring), ring->used_seen);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (load16(&ring->used->idx) != ring->used_seen)
		return true;
	struct pollfd p = {.fd = ring->call, .events = POLLIN};
	if (poll(&p, 1, timeout_ms) > 0)
		bn_event_drain(ring->call);
	return load16(&ring->used->idx) != ring->used_seen;
}

void tg_ring_raw_desc(struct tg_ring *ring, uint16_t i, uint64_t addr, uint32_t len, uint16_t flags,
	uint16_t next)
{
	ring->desc[i] = (struct vring_desc){addr, len, flags, next};
}

void tg_ring_raw_offer(struct tg_ring *ring, uint16_t head, void *token)
{
	if (head < ring->size) {
		ring->token[head] = token;
		ring->chain[head] = 0;
	}
	offer(ring, head);
}

void tg_ring_raw_skip(struct tg_ring *ring, uint16_t n)
{
	ring->avail_idx = (uint16_t)(ring->avail_idx + n);
	store16(&ring->avail->idx, ring->avail_idx);
}
