/* How the rings and the memory of a front end get into a renderer, and again into the next one.
 * Messages are in vu_dispatch.c.
 *
 * The renderer answers in order, so what is owed is a queue: first what a restore sent, then
 * what the operation sent.
 *
 *     front end ──ADD_MEM_REG──▶ begin() ──MEM_ADD──▶ renderer
 *                                                         │ dies: attach() gives the next one
 *                                                         │ FEATURES, MEM_ADD…, VRING_CALL…,
 *                                                         │ VRING_START(restore)…, MEM_ADD again
 *     front end ◀──reply── finish_operation() ◀── ack() ◀─┘
 */
#include "vu_session.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/virtio_config.h>
#include <linux/virtio_gpu.h>

#include "common/fd.h"
#include "common/log.h"

/* Device-type bits (VIRTIO 1.3 §6): a renderer decides about no others. */
#define DEVICE_BITS UINT64_C(0xffffff)

/* ---- to the renderer ---- */

static void expect(struct bn_vu_session *s, uint32_t seq, bool restore, unsigned index)
{
	assert(s->expected_count < BN_VU_EXPECTED_MAX);
	unsigned at = (s->expected_first + s->expected_count++) % BN_VU_EXPECTED_MAX;
	s->expected[at] = (struct bn_vu_expected){.seq = seq, .restore = restore, .index = index};
}

/* Sends a message that the renderer acknowledges. When sending fails the renderer is about to be
 * replaced and all of it is sent again: the session stays busy, since that acknowledgement never
 * comes. */
static void send_acked(struct bn_vu_session *s, enum bn_link_type type, const void *payload,
	size_t size, int fd, bool restore, unsigned index)
{
	uint32_t seq = 0;
	s->ops->to_renderer(s->data, type, payload, size, &fd, fd >= 0 ? 1 : 0, &seq);
	expect(s, seq, restore, index);
}

static void send_region(struct bn_vu_session *s, enum bn_link_type type,
	const struct bn_vu_memory_region *m, bool restore, unsigned index)
{
	const struct bn_link_region message = {
		.guest_addr = m->region.guest_addr,
		.size = m->region.size,
		.user_addr = m->region.user_addr,
		.mmap_offset = m->region.mmap_offset,
	};
	send_acked(s, type, &message, sizeof(message), type == BN_LINK_MEM_ADD ? m->fd : -1,
		restore, index);
}

static void send_start(struct bn_vu_session *s, unsigned index, bool restore)
{
	const struct bn_vu_ring *ring = &s->ring[index];
	/* A base other than the one that the last stop gave: the driver was set up anew, and
	 * everything that it had is void. */
	bool resumed = ring->have_stop_base && ring->base == ring->stop_base;
	const struct bn_link_vring message = {
		.index = index,
		.num = ring->num,
		.desc_user = ring->addr.desc_user,
		.avail_user = ring->addr.avail_user,
		.used_user = ring->addr.used_user,
		.base = ring->base,
		.restore = restore,
		.fresh = index == 0 && !restore && !resumed,
	};
	send_acked(
		s, BN_LINK_VRING_START, &message, sizeof(message), ring->kick_fd, restore, index);
}

static void send_stop(struct bn_vu_session *s, unsigned index)
{
	const struct bn_link_u64 message = {.value = index};
	s->ops->draining(s->data, true);
	send_acked(s, BN_LINK_VRING_STOP, &message, sizeof(message), -1, false, index);
}

static void send_operation(struct bn_vu_session *s)
{
	const struct bn_vu_operation *op = &s->op;
	switch (op->kind) {
	case BN_VU_OP_NONE:
		break;
	case BN_VU_OP_MEM_TABLE:
		send_acked(s, BN_LINK_MEM_CLEAR, NULL, 0, -1, false, BN_VU_REGIONS_MAX);
		for (unsigned i = 0; i < op->nregions; i++)
			send_region(s, BN_LINK_MEM_ADD, &op->region[i], false, i);
		break;
	case BN_VU_OP_MEM_ADD:
		send_region(s, BN_LINK_MEM_ADD, &op->region[0], false, 0);
		break;
	case BN_VU_OP_MEM_REMOVE:
		send_region(s, BN_LINK_MEM_REMOVE, &op->region[0], false, 0);
		break;
	case BN_VU_OP_START:
		s->started = true;
		send_start(s, op->ring, false);
		break;
	case BN_VU_OP_DISABLE:
	case BN_VU_OP_STOP:
	case BN_VU_OP_RESTART:
		send_stop(s, op->ring);
		break;
	}
}

void bn_vu_session_begin(struct bn_vu_session *s, const struct bn_vu_operation *op)
{
	assert(s->op.kind == BN_VU_OP_NONE && op->kind != BN_VU_OP_NONE);
	s->op = *op;
	if (s->attached)
		send_operation(s);
}

/* ---- acknowledgements ---- */

static bool same_region(const struct bn_vu_region *a, const struct bn_vu_region *b)
{
	return a->guest_addr == b->guest_addr && a->size == b->size && a->user_addr == b->user_addr;
}

static void forget_memory(struct bn_vu_session *s)
{
	for (unsigned i = 0; i < s->nregions; i++)
		bn_fd_close(&s->memory[i].fd);
	s->nregions = 0;
}

static void forget_region(struct bn_vu_session *s, const struct bn_vu_region *region)
{
	for (unsigned i = 0; i < s->nregions; i++) {
		if (!same_region(&s->memory[i].region, region))
			continue;
		bn_fd_close(&s->memory[i].fd);
		s->memory[i] = s->memory[--s->nregions];
		return;
	}
}

/* The renderer's memory is now what the operation wanted, less what it refused. */
static void commit_regions(struct bn_vu_session *s)
{
	struct bn_vu_operation *op = &s->op;
	if (op->kind == BN_VU_OP_MEM_TABLE)
		forget_memory(s);
	for (unsigned i = 0; i < op->nregions; i++) {
		if (!op->failed[i] && s->nregions < BN_GUEST_MEMORY_SLOTS)
			s->memory[s->nregions++] = op->region[i];
		else
			bn_fd_close(&op->region[i].fd);
	}
}

static void finish_stop(struct bn_vu_session *s)
{
	struct bn_vu_operation op = s->op;
	struct bn_vu_ring *ring = &s->ring[op.ring];
	s->ops->draining(s->data, false);
	ring->running = false;
	if (op.kind == BN_VU_OP_RESTART) {
		bn_fd_close(&ring->kick_fd);
		ring->kick_fd = op.new_kick_fd;
		s->op.kind = BN_VU_OP_START;
		send_operation(s);
		return;
	}
	s->op.kind = BN_VU_OP_NONE;
	if (op.kind == BN_VU_OP_DISABLE) {
		bn_vu_session_acknowledge(s, &op.header, op.error);
		return;
	}
	const struct bn_vu_vring_state state = {.index = op.ring, .num = ring->base};
	bn_fd_close(&ring->kick_fd);
	ring->have_kick = false;
	bn_vu_session_reply(s, &op.header, &state, sizeof(state));
}

static void finish_operation(struct bn_vu_session *s)
{
	struct bn_vu_operation *op = &s->op;
	switch (op->kind) {
	case BN_VU_OP_NONE:
		return;
	case BN_VU_OP_MEM_TABLE:
	case BN_VU_OP_MEM_ADD:
		commit_regions(s);
		break;
	case BN_VU_OP_MEM_REMOVE:
		if (op->error == 0)
			forget_region(s, &op->region[0].region);
		break;
	case BN_VU_OP_START:
		s->ring[op->ring].running = op->error == 0;
		break;
	case BN_VU_OP_DISABLE:
	case BN_VU_OP_STOP:
	case BN_VU_OP_RESTART:
		finish_stop(s);
		return;
	}
	op->kind = BN_VU_OP_NONE;
	bn_vu_session_acknowledge(s, &op->header, op->error);
}

static void take_stop_value(struct bn_vu_session *s, const struct bn_link_ack *ack)
{
	struct bn_vu_ring *ring = &s->ring[s->op.ring];
	if (ack->error == 0)
		ring->base = (uint16_t)ack->value;
	ring->stop_base = ring->base;
	ring->have_stop_base = true;
}

static bool stops_a_ring(const struct bn_vu_operation *op)
{
	return op->kind == BN_VU_OP_STOP || op->kind == BN_VU_OP_DISABLE ||
	       op->kind == BN_VU_OP_RESTART;
}

static void operation_ack(struct bn_vu_session *s, unsigned index, const struct bn_link_ack *ack)
{
	struct bn_vu_operation *op = &s->op;
	if (stops_a_ring(op))
		take_stop_value(s, ack);
	if (ack->error == 0)
		return;
	if (op->error == 0)
		op->error = ack->error;
	if (index < op->nregions)
		op->failed[index] = true;
}

static void restore_ack(struct bn_vu_session *s, unsigned index, const struct bn_link_ack *ack)
{
	/* It worked before: a new renderer in which it does not is most likely short of memory.
	 * The ring that needs it then fails to start, and the guest sees a device that no longer
	 * answers. */
	if (ack->error != 0)
		bn_error("%s: the new renderer cannot take over region or ring %u: %s", s->name,
			index, strerror(-ack->error));
}

int bn_vu_session_ack(struct bn_vu_session *s, const struct bn_link_ack *ack)
{
	if (s->expected_count == 0)
		return -EPROTO;
	const struct bn_vu_expected due = s->expected[s->expected_first];
	if (ack->seq != due.seq)
		return -EPROTO;
	s->expected_first = (s->expected_first + 1) % BN_VU_EXPECTED_MAX;
	s->expected_count--;
	if (due.restore)
		restore_ack(s, due.index, ack);
	else
		operation_ack(s, due.index, ack);
	if (s->expected_count == 0) {
		finish_operation(s);
		if (!bn_vu_session_busy(s))
			s->ops->idle(s->data);
	}
	return 0;
}

bool bn_vu_session_busy(const struct bn_vu_session *s)
{
	return !s->attached || s->expected_count > 0 || s->op.kind != BN_VU_OP_NONE;
}

/* ---- renderers come and go ---- */

/* Does the operation again that was under way when the last renderer died, unless renderers die
 * over it. A stop is no cause of death, and cannot be refused. */
static void repeat_operation(struct bn_vu_session *s)
{
	struct bn_vu_operation *op = &s->op;
	if (op->kind == BN_VU_OP_NONE)
		return;
	op->error = 0;
	memset(op->failed, 0, sizeof(op->failed));
	if (stops_a_ring(op) || ++op->deaths < BN_VU_OPERATION_DEATHS_MAX) {
		send_operation(s);
		return;
	}
	bn_error("%s: %u renderers died over %s: it is refused", s->name, op->deaths,
		bn_vu_name(op->header.request));
	op->error = -EIO;
	if (op->kind == BN_VU_OP_MEM_TABLE)
		op->kind = BN_VU_OP_MEM_ADD; /* the old table stays */
	for (unsigned i = 0; i < op->nregions; i++)
		op->failed[i] = true;
	if (s->expected_count == 0)
		finish_operation(s);
}

static void send_features(struct bn_vu_session *s)
{
	const struct bn_link_u64 features = {
		.value = s->features & ~(UINT64_C(1) << BN_VU_F_PROTOCOL_FEATURES)};
	s->ops->to_renderer(s->data, BN_LINK_FEATURES, &features, sizeof(features), NULL, 0, NULL);
}

static void send_rings(struct bn_vu_session *s, bool restore)
{
	for (unsigned i = 0; i < BN_LINK_QUEUES; i++) {
		const struct bn_vu_ring *ring = &s->ring[i];
		const struct bn_link_u64 index = {.value = i};
		if (ring->call_fd >= 0)
			s->ops->to_renderer(s->data, BN_LINK_VRING_CALL, &index, sizeof(index),
				&ring->call_fd, 1, NULL);
	}
	for (unsigned i = 0; i < BN_LINK_QUEUES; i++) {
		if (s->ring[i].running)
			send_start(s, i, restore);
	}
}

void bn_vu_session_attach(struct bn_vu_session *s, const struct bn_link_ready *ready, bool restore)
{
	assert(!s->attached);
	s->attached = true;
	s->started = s->started && restore;
	s->device_features = ready->device_features & DEVICE_BITS;
	s->num_capsets = ready->num_capsets;
	if (s->features_set) {
		uint64_t lost = s->features & DEVICE_BITS & ~s->device_features;
		if (lost != 0)
			bn_warn("%s: the new renderer no longer serves features 0x%llx that the "
				"driver uses",
				s->name, (unsigned long long)lost);
		send_features(s);
	}
	for (unsigned i = 0; i < s->nregions; i++)
		send_region(s, BN_LINK_MEM_ADD, &s->memory[i], true, i);
	send_rings(s, restore);
	repeat_operation(s);
	if (!bn_vu_session_busy(s))
		s->ops->idle(s->data);
}

void bn_vu_session_detach(struct bn_vu_session *s)
{
	s->attached = false;
	s->expected_first = s->expected_count = 0;
}

void bn_vu_session_init(struct bn_vu_session *s, const char *name, uint32_t num_scanouts,
	const struct bn_vu_session_ops *ops, void *data)
{
	assert(ops->to_renderer && ops->reply && ops->draining && ops->reset && ops->idle);
	*s = (struct bn_vu_session){
		.ops = ops,
		.data = data,
		.num_scanouts = num_scanouts,
		.backend_fd = -1,
		.gpu_socket = -1,
	};
	snprintf(s->name, sizeof(s->name), "%s", name);
	for (unsigned i = 0; i < BN_LINK_QUEUES; i++)
		s->ring[i].kick_fd = s->ring[i].call_fd = -1;
}

void bn_vu_ring_reset(struct bn_vu_ring *ring)
{
	bn_fd_close(&ring->kick_fd);
	bn_fd_close(&ring->call_fd);
	*ring = (struct bn_vu_ring){.kick_fd = -1, .call_fd = -1};
}

void bn_vu_session_finish(struct bn_vu_session *s)
{
	struct bn_vu_operation *op = &s->op;
	if (op->kind == BN_VU_OP_MEM_TABLE || op->kind == BN_VU_OP_MEM_ADD) {
		for (unsigned i = 0; i < op->nregions; i++)
			bn_fd_close(&op->region[i].fd);
	}
	if (op->kind == BN_VU_OP_RESTART)
		bn_fd_close(&op->new_kick_fd);
	op->kind = BN_VU_OP_NONE;
	forget_memory(s);
	for (unsigned i = 0; i < BN_LINK_QUEUES; i++)
		bn_vu_ring_reset(&s->ring[i]);
	bn_fd_close(&s->backend_fd);
	bn_fd_close(&s->gpu_socket);
}

/* ---- what it looks like from outside ---- */

const char *bn_vu_ring_missing(const struct bn_vu_session *s, unsigned index)
{
	const struct bn_vu_ring *ring = &s->ring[index];
	if (!s->features_set)
		return "the driver's features";
	if (s->packed)
		return "split rings (the driver chose packed ones: start the VM with packed=off)";
	if (s->nregions == 0)
		return "guest memory";
	if (ring->num == 0)
		return "its size";
	if (!ring->have_addr)
		return "its addresses";
	if (!ring->have_kick)
		return "a kick fd";
	return NULL;
}

void bn_vu_session_display_changed(struct bn_vu_session *s)
{
	s->events_read |= VIRTIO_GPU_EVENT_DISPLAY;
	bool can_tell = s->backend_fd >= 0 &&
			(s->protocol_features & (1ull << BN_VU_PROTOCOL_F_BACKEND_REQ)) != 0;
	/* QEMU's vhost-user-gpu calls CONFIG_CHANGE unhandled and closes the channel. */
	if (!can_tell || s->gpu_socket >= 0)
		return;
	const struct bn_vu_header header = {
		.request = BN_VU_BACKEND_CONFIG_CHANGE, .flags = BN_VU_VERSION};
	long n = bn_sendmsg(s->backend_fd, &header, sizeof(header), NULL, 0);
	if (n != (long)sizeof(header))
		bn_warn("%s: the front end was not told of a changed display: %s", s->name,
			n < 0 ? strerror((int)-n) : "its channel is full");
}

const char *bn_vu_session_front_end(const struct bn_vu_session *s)
{
	const uint64_t slots = 1ull << BN_VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS;
	if (s->gpu_socket >= 0)
		return "QEMU vhost-user-gpu";
	if (!s->owned)
		return "unknown";
	if (s->protocol_features & slots)
		return "generic vhost-user";
	/* User-Mode Linux: its "guest-physical" addresses are its own. */
	if (s->nregions > 0 && s->memory[0].region.guest_addr == s->memory[0].region.user_addr)
		return "User-Mode Linux";
	return "vhost-user";
}

uint64_t bn_vu_session_memory_size(const struct bn_vu_session *s)
{
	uint64_t size = 0;
	for (unsigned i = 0; i < s->nregions; i++)
		size += s->memory[i].region.size;
	return size;
}

bool bn_vu_session_running(const struct bn_vu_session *s)
{
	return s->ring[0].running;
}

void bn_vu_session_reply(struct bn_vu_session *s, const struct bn_vu_header *header,
	const void *payload, uint32_t size)
{
	const struct bn_vu_header reply = {
		.request = header->request,
		.flags = BN_VU_VERSION | BN_VU_FLAG_REPLY,
		.size = size,
	};
	s->ops->reply(s->data, &reply, payload);
}

void bn_vu_session_acknowledge(
	struct bn_vu_session *s, const struct bn_vu_header *header, int error)
{
	if (error != 0 && bn_log_gate(&s->complaints))
		bn_warn("%s: %s failed: %s", s->name, bn_vu_name(header->request),
			strerror(-error));
	const uint64_t reply_ack = 1ull << BN_VU_PROTOCOL_F_REPLY_ACK;
	if (!(s->protocol_features & reply_ack) || !(header->flags & BN_VU_FLAG_NEED_REPLY))
		return;
	const uint64_t value = error == 0 ? 0 : 1;
	bn_vu_session_reply(s, header, &value, sizeof(value));
}
