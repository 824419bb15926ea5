/* What each vhost-user message does to a session (QEMU docs/interop/vhost-user.rst). A handler
 * either finishes at once and acknowledges, or begins an operation that acknowledges when the
 * renderer has done it. */
#include "vu_session.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <linux/virtio_config.h>
#include <linux/virtio_gpu.h>
#include <linux/virtio_ring.h>

#include "common/fd.h"
#include "common/log.h"

struct message {
	const struct bn_vu_header *header;
	const union bn_vu_payload *payload;
	int *fds;
	size_t nfds;
};

/* 0: the handler answered, or an operation will. Positive errno would be a bug; -EPROTO ends the
 * connection; any other -errno is acknowledged as a failure. DONE: nothing more to do than
 * acknowledge success. */
enum { ANSWERED = 0, DONE = 1 };
typedef int (*handler)(struct bn_vu_session *s, const struct message *m);

static int take_fd(const struct message *m)
{
	int fd = m->nfds > 0 ? m->fds[0] : -1;
	if (fd >= 0)
		m->fds[0] = -1;
	return fd;
}

static int reply_u64(struct bn_vu_session *s, const struct message *m, uint64_t value)
{
	bn_vu_session_reply(s, m->header, &value, sizeof(value));
	return ANSWERED;
}

static int begin(struct bn_vu_session *s, const struct message *m, struct bn_vu_operation *op)
{
	op->header = *m->header;
	bn_vu_session_begin(s, op);
	return ANSWERED;
}

/* ---- features ---- */

static uint64_t offered_features(const struct bn_vu_session *s)
{
	return s->device_features | UINT64_C(1) << VIRTIO_F_VERSION_1 |
	       UINT64_C(1) << VIRTIO_RING_F_INDIRECT_DESC | UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX |
	       UINT64_C(1) << BN_VU_F_PROTOCOL_FEATURES;
}

static int get_features(struct bn_vu_session *s, const struct message *m)
{
	return reply_u64(s, m, offered_features(s));
}

static int set_features(struct bn_vu_session *s, const struct message *m)
{
	/* QEMU adds transport bits of its own (ANY_LAYOUT, NOTIFY_ON_EMPTY, RING_RESET …) that
	 * change nothing for the rings that we serve. */
	uint64_t features = m->payload->u64;
	s->features = features & offered_features(s);
	s->packed = (features & UINT64_C(1) << VIRTIO_F_RING_PACKED) != 0;
	s->features_set = true;
	const struct bn_link_u64 message = {
		.value = s->features & ~(UINT64_C(1) << BN_VU_F_PROTOCOL_FEATURES)};
	s->ops->to_renderer(s->data, BN_LINK_FEATURES, &message, sizeof(message), NULL, 0, NULL);
	return DONE;
}

static int get_protocol_features(struct bn_vu_session *s, const struct message *m)
{
	return reply_u64(s, m, BN_VU_PROTOCOL_FEATURES);
}

static int set_protocol_features(struct bn_vu_session *s, const struct message *m)
{
	s->protocol_features = m->payload->u64 & BN_VU_PROTOCOL_FEATURES;
	return m->payload->u64 == s->protocol_features ? DONE : -ENOTSUP;
}

static int set_owner(struct bn_vu_session *s, const struct message *m)
{
	s->owned = true;
	return DONE;
}

/* RESET_OWNER once disabled all rings; the specification now recommends to ignore it.
 * SET_VRING_ERR: nobody listens there. */
static int ignore(struct bn_vu_session *s, const struct message *m)
{
	return DONE;
}

static int get_queue_num(struct bn_vu_session *s, const struct message *m)
{
	return reply_u64(s, m, BN_LINK_QUEUES);
}

/* ---- memory ---- */

static bool region_ok(const struct bn_vu_region *r)
{
	return r->size > 0 && r->guest_addr <= UINT64_MAX - r->size &&
	       r->user_addr <= UINT64_MAX - r->size && r->mmap_offset <= UINT64_MAX - r->size;
}

static int set_mem_table(struct bn_vu_session *s, const struct message *m)
{
	const struct bn_vu_mem_table *table = &m->payload->mem_table;
	if (table->nregions > BN_VU_REGIONS_MAX || table->nregions != m->nfds)
		return -EPROTO;
	for (unsigned i = 0; i < table->nregions; i++) {
		if (!region_ok(&table->region[i]))
			return -EINVAL;
	}
	struct bn_vu_operation op = {.kind = BN_VU_OP_MEM_TABLE, .nregions = table->nregions};
	for (unsigned i = 0; i < table->nregions; i++) {
		op.region[i] =
			(struct bn_vu_memory_region){.region = table->region[i], .fd = m->fds[i]};
		m->fds[i] = -1;
	}
	return begin(s, m, &op);
}

static int get_max_mem_slots(struct bn_vu_session *s, const struct message *m)
{
	return reply_u64(s, m, BN_GUEST_MEMORY_SLOTS);
}

static int add_mem_reg(struct bn_vu_session *s, const struct message *m)
{
	if (!region_ok(&m->payload->mem_reg.region))
		return -EINVAL;
	if (s->nregions == BN_GUEST_MEMORY_SLOTS)
		return -ENOSPC;
	struct bn_vu_operation op = {.kind = BN_VU_OP_MEM_ADD, .nregions = 1};
	op.region[0] = (struct bn_vu_memory_region){
		.region = m->payload->mem_reg.region, .fd = take_fd(m)};
	return op.region[0].fd >= 0 ? begin(s, m, &op) : -EPROTO;
}

static int rem_mem_reg(struct bn_vu_session *s, const struct message *m)
{
	if (!region_ok(&m->payload->mem_reg.region))
		return -EINVAL;
	struct bn_vu_operation op = {.kind = BN_VU_OP_MEM_REMOVE, .nregions = 1};
	op.region[0] = (struct bn_vu_memory_region){.region = m->payload->mem_reg.region, .fd = -1};
	return begin(s, m, &op);
}

/* ---- rings ---- */

static struct bn_vu_ring *ring_at(struct bn_vu_session *s, uint64_t index)
{
	return index < BN_LINK_QUEUES ? &s->ring[index] : NULL;
}

static int set_vring_num(struct bn_vu_session *s, const struct message *m)
{
	struct bn_vu_ring *ring = ring_at(s, m->payload->vring_state.index);
	uint32_t num = m->payload->vring_state.num;
	if (!ring || num == 0 || num > BN_LINK_QUEUE_SIZE_MAX || (num & (num - 1)) != 0)
		return -EINVAL;
	if (ring->running && num != ring->num)
		return -EBUSY;
	ring->num = num;
	return DONE;
}

static int set_vring_addr(struct bn_vu_session *s, const struct message *m)
{
	const struct bn_vu_vring_addr *addr = &m->payload->vring_addr;
	struct bn_vu_ring *ring = ring_at(s, addr->index);
	if (!ring)
		return -EINVAL;
	bool same = ring->have_addr && ring->addr.desc_user == addr->desc_user &&
		    ring->addr.avail_user == addr->avail_user &&
		    ring->addr.used_user == addr->used_user;
	if (ring->running && !same)
		return -EBUSY;
	ring->addr = *addr;
	ring->have_addr = true;
	return DONE;
}

static int set_vring_base(struct bn_vu_session *s, const struct message *m)
{
	struct bn_vu_ring *ring = ring_at(s, m->payload->vring_state.index);
	if (!ring || m->payload->vring_state.num > UINT16_MAX)
		return -EINVAL;
	if (ring->running)
		return -EBUSY;
	ring->base = (uint16_t)m->payload->vring_state.num;
	return DONE;
}

static int start_ring(struct bn_vu_session *s, const struct message *m, unsigned index)
{
	const char *missing = bn_vu_ring_missing(s, index);
	if (missing) {
		if (bn_log_gate(&s->complaints))
			bn_warn("%s: ring %u was to start without %s", s->name, index, missing);
		return -EINVAL;
	}
	struct bn_vu_operation op = {.kind = BN_VU_OP_START, .ring = index};
	return begin(s, m, &op);
}

static int stop_ring(struct bn_vu_session *s, const struct message *m, unsigned index,
	enum bn_vu_operation_kind kind)
{
	struct bn_vu_operation op = {.kind = kind, .ring = index};
	return begin(s, m, &op);
}

static int get_vring_base(struct bn_vu_session *s, const struct message *m)
{
	unsigned index = m->payload->vring_state.index;
	struct bn_vu_ring *ring = ring_at(s, index);
	if (!ring) /* there is no answer that says "no such ring" */
		return -EPROTO;
	if (ring->running)
		return stop_ring(s, m, index, BN_VU_OP_STOP);
	const struct bn_vu_vring_state state = {.index = index, .num = ring->base};
	bn_fd_close(&ring->kick_fd);
	ring->have_kick = false;
	bn_vu_session_reply(s, m->header, &state, sizeof(state));
	return ANSWERED;
}

static int set_vring_kick(struct bn_vu_session *s, const struct message *m)
{
	unsigned index = m->payload->u64 & BN_VU_VRING_INDEX_MASK;
	struct bn_vu_ring *ring = ring_at(s, index);
	if (!ring)
		return -EINVAL;
	if (m->payload->u64 & BN_VU_VRING_NOFD) /* asks to poll the ring for ever */
		return -ENOTSUP;
	int fd = take_fd(m);
	if (fd < 0)
		return -EPROTO;
	if (ring->running) {
		struct bn_vu_operation op = {
			.kind = BN_VU_OP_RESTART, .ring = index, .new_kick_fd = fd};
		return begin(s, m, &op);
	}
	bn_fd_close(&ring->kick_fd);
	ring->kick_fd = fd;
	ring->have_kick = true;
	/* Without protocol features there is no SET_VRING_ENABLE: the kick fd starts the ring. */
	if (!(s->features & UINT64_C(1) << BN_VU_F_PROTOCOL_FEATURES))
		ring->enabled = true;
	return ring->enabled ? start_ring(s, m, index) : DONE;
}

static int set_vring_call(struct bn_vu_session *s, const struct message *m)
{
	const struct bn_link_u64 index = {.value = m->payload->u64 & BN_VU_VRING_INDEX_MASK};
	struct bn_vu_ring *ring = ring_at(s, index.value);
	if (!ring)
		return -EINVAL;
	bool none = (m->payload->u64 & BN_VU_VRING_NOFD) != 0;
	bn_fd_close(&ring->call_fd);
	ring->call_fd = none ? -1 : take_fd(m);
	s->ops->to_renderer(s->data, BN_LINK_VRING_CALL, &index, sizeof(index), &ring->call_fd,
		ring->call_fd >= 0 ? 1 : 0, NULL);
	return DONE;
}

static int set_vring_enable(struct bn_vu_session *s, const struct message *m)
{
	unsigned index = m->payload->vring_state.index;
	struct bn_vu_ring *ring = ring_at(s, index);
	if (!ring || m->payload->vring_state.num > 1)
		return -EINVAL;
	ring->enabled = m->payload->vring_state.num == 1;
	if (!ring->enabled && ring->running)
		return stop_ring(s, m, index, BN_VU_OP_DISABLE);
	if (ring->enabled && !ring->running && ring->have_kick)
		return start_ring(s, m, index);
	return DONE;
}

static int reset_device(struct bn_vu_session *s, const struct message *m)
{
	for (unsigned i = 0; i < BN_LINK_QUEUES; i++) {
		/* The interrupt stays: QEMU sets it up once, not after each reset. */
		int call_fd = s->ring[i].call_fd;
		s->ring[i].call_fd = -1;
		bn_vu_ring_reset(&s->ring[i]);
		s->ring[i].call_fd = call_fd;
	}
	s->events_read = 0;
	/* QEMU resets a device several times before a driver first uses it: a renderer without a
	 * past needs no successor. */
	if (s->started)
		s->ops->reset(s->data);
	return DONE;
}

/* ---- configuration space and channels ---- */

static int get_config(struct bn_vu_session *s, const struct message *m)
{
	const struct bn_vu_config *request = &m->payload->config;
	struct bn_vu_config reply = {
		.offset = request->offset, .size = request->size, .flags = request->flags};
	uint8_t space[BN_VU_CONFIG_MAX] = {0};
	const struct virtio_gpu_config config = {
		.events_read = s->events_read,
		.num_scanouts = s->num_scanouts,
		.num_capsets = s->num_capsets,
	};
	memcpy(space, &config, sizeof(config));
	if (request->offset > sizeof(space) || request->size > sizeof(space) - request->offset) {
		bn_vu_session_reply(s, m->header, NULL, 0); /* the specification's error */
		return ANSWERED;
	}
	memcpy(reply.bytes, space + request->offset, request->size);
	bn_vu_session_reply(s, m->header, &reply,
		(uint32_t)offsetof(struct bn_vu_config, bytes) + request->size);
	return ANSWERED;
}

static int set_config(struct bn_vu_session *s, const struct message *m)
{
	const struct bn_vu_config *request = &m->payload->config;
	const uint64_t start = request->offset, end = start + request->size;
	const uint64_t at = offsetof(struct virtio_gpu_config, events_clear);
	uint32_t clear;
	if (end > BN_VU_CONFIG_MAX ||
		m->header->size < offsetof(struct bn_vu_config, bytes) + request->size)
		return -EINVAL;
	/* The only writable field; whoever writes the whole space writes the others unchanged. */
	if (start <= at && at + sizeof(clear) <= end) {
		memcpy(&clear, request->bytes + (at - start), sizeof(clear));
		s->events_read &= ~clear;
	}
	return DONE;
}

static int set_backend_req_fd(struct bn_vu_session *s, const struct message *m)
{
	bn_fd_close(&s->backend_fd);
	s->backend_fd = take_fd(m);
	return s->backend_fd >= 0 ? DONE : -EPROTO;
}

/* At each start of the driver, any number of times. */
static int gpu_set_socket(struct bn_vu_session *s, const struct message *m)
{
	bn_fd_close(&s->gpu_socket);
	s->gpu_socket = take_fd(m);
	return s->gpu_socket >= 0 ? DONE : -EPROTO;
}

static const handler handlers[] = {
	[BN_VU_GET_FEATURES] = get_features,
	[BN_VU_SET_FEATURES] = set_features,
	[BN_VU_SET_OWNER] = set_owner,
	[BN_VU_RESET_OWNER] = ignore,
	[BN_VU_SET_MEM_TABLE] = set_mem_table,
	[BN_VU_SET_VRING_NUM] = set_vring_num,
	[BN_VU_SET_VRING_ADDR] = set_vring_addr,
	[BN_VU_SET_VRING_BASE] = set_vring_base,
	[BN_VU_GET_VRING_BASE] = get_vring_base,
	[BN_VU_SET_VRING_KICK] = set_vring_kick,
	[BN_VU_SET_VRING_CALL] = set_vring_call,
	[BN_VU_SET_VRING_ERR] = ignore,
	[BN_VU_GET_PROTOCOL_FEATURES] = get_protocol_features,
	[BN_VU_SET_PROTOCOL_FEATURES] = set_protocol_features,
	[BN_VU_GET_QUEUE_NUM] = get_queue_num,
	[BN_VU_SET_VRING_ENABLE] = set_vring_enable,
	[BN_VU_SET_BACKEND_REQ_FD] = set_backend_req_fd,
	[BN_VU_GET_CONFIG] = get_config,
	[BN_VU_SET_CONFIG] = set_config,
	[BN_VU_GPU_SET_SOCKET] = gpu_set_socket,
	[BN_VU_RESET_DEVICE] = reset_device,
	[BN_VU_GET_MAX_MEM_SLOTS] = get_max_mem_slots,
	[BN_VU_ADD_MEM_REG] = add_mem_reg,
	[BN_VU_REM_MEM_REG] = rem_mem_reg,
};

static int run_handler(struct bn_vu_session *s, const struct message *m)
{
	uint32_t request = m->header->request;
	int ret = bn_vu_check(m->header, m->payload, m->nfds);
	if (ret == 0 && (request >= sizeof(handlers) / sizeof(handlers[0]) || !handlers[request]))
		ret = -ENOTSUP;
	/* Who asks for a value that we do not have would wait for ever, or take an
	 * acknowledgement for it. */
	if (ret == -ENOTSUP && bn_vu_has_reply(request))
		ret = -EPROTO;
	return ret < 0 ? ret : handlers[request](s, m);
}

int bn_vu_session_message(struct bn_vu_session *s, const struct bn_vu_header *header,
	const union bn_vu_payload *payload, int *fds, size_t nfds)
{
	const struct message m = {.header = header, .payload = payload, .fds = fds, .nfds = nfds};
	int ret = run_handler(s, &m);
	if (ret == -EPROTO) {
		bn_warn("%s: the front end sent a broken %s (%u bytes, %zu fds)", s->name,
			bn_vu_name(header->request), header->size, nfds);
		return ret;
	}
	if (ret != ANSWERED)
		bn_vu_session_acknowledge(s, header, ret == DONE ? 0 : ret);
	return 0;
}
