/* The vhost-user state machine with a front end and a renderer that are arrays. */
#include "unit.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_gpu.h>
#include <linux/virtio_ring.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "vu_session.h"

#define SENT_MAX 600
#define F_PROTOCOL (1ull << BN_VU_F_PROTOCOL_FEATURES)
#define GIB (1ull << 30)

static struct bn_vu_session s;
static struct {
	enum bn_link_type type;
	uint32_t seq;
	size_t nfds;
	union {
		struct bn_link_u64 u64;
		struct bn_link_region region;
		struct bn_link_vring vring;
	} payload;
} sent[SENT_MAX];
static unsigned num_sent, acked;
static uint32_t next_seq = 100;
static struct {
	struct bn_vu_header header;
	union bn_vu_payload payload;
} replied;
static unsigned num_replies, num_resets, num_idle;
static bool draining;

static int to_renderer(void *data, enum bn_link_type type, const void *payload, size_t size,
	const int *fds, size_t nfds, uint32_t *seq)
{
	CU_ASSERT_FATAL(num_sent < SENT_MAX && size <= sizeof(sent[0].payload));
	sent[num_sent].type = type;
	sent[num_sent].seq = next_seq;
	sent[num_sent].nfds = nfds;
	if (size > 0)
		memcpy(&sent[num_sent].payload, payload, size);
	for (size_t i = 0; i < nfds; i++)
		CU_ASSERT(fds[i] >= 0);
	num_sent++;
	if (seq)
		*seq = next_seq;
	next_seq++;
	return 0;
}

static void reply(void *data, const struct bn_vu_header *header, const void *payload)
{
	replied.header = *header;
	CU_ASSERT_EQUAL(header->flags, 0x5);
	if (header->size > 0)
		memcpy(&replied.payload, payload, header->size);
	num_replies++;
}

static void set_draining(void *data, bool on)
{
	draining = on;
}

static void reset(void *data)
{
	num_resets++;
	bn_vu_session_detach(&s);
}

static void idle(void *data)
{
	num_idle++;
}

static const struct bn_vu_session_ops ops = {
	.to_renderer = to_renderer,
	.reply = reply,
	.draining = set_draining,
	.reset = reset,
	.idle = idle,
};

static const struct bn_link_ready ready = {
	.device_features = 1ull << VIRTIO_GPU_F_VIRGL | 1ull << VIRTIO_GPU_F_EDID,
	.num_capsets = 2,
};

static bool needs_ack(enum bn_link_type type)
{
	return type == BN_LINK_MEM_ADD || type == BN_LINK_MEM_REMOVE || type == BN_LINK_MEM_CLEAR ||
	       type == BN_LINK_VRING_START || type == BN_LINK_VRING_STOP;
}

/* Acknowledges the next message that is due one; false when there is none. */
static bool ack_next(int error, uint64_t value)
{
	while (acked < num_sent && !needs_ack(sent[acked].type))
		acked++;
	if (acked == num_sent)
		return false;
	const struct bn_link_ack ack = {.seq = sent[acked].seq, .error = error, .value = value};
	acked++;
	CU_ASSERT_EQUAL(bn_vu_session_ack(&s, &ack), 0);
	return true;
}

static void ack_all(void)
{
	while (ack_next(0, 0))
		;
}

static void begin_test(void)
{
	num_sent = acked = num_replies = num_resets = num_idle = 0;
	draining = false;
	bn_vu_session_init(&s, "test", 2, &ops, NULL);
}

static int some_fd(void)
{
	return bn_memfd_create("test", 4096);
}

/* Sends a message with up to one new fd, as the connection would: what is left of fds is closed. */
static int message(uint32_t request, const void *payload, uint32_t size, unsigned nfds)
{
	struct bn_vu_header header = {
		.request = request,
		.flags = BN_VU_VERSION | BN_VU_FLAG_NEED_REPLY,
		.size = size,
	};
	union bn_vu_payload p = {0};
	int fds[BN_MAX_FDS];
	if (size > 0)
		memcpy(&p, payload, size);
	for (unsigned i = 0; i < nfds; i++)
		fds[i] = some_fd();
	CU_ASSERT_FALSE(bn_vu_session_busy(&s));
	replied.payload.u64 = ~0ull;
	int ret = bn_vu_session_message(&s, &header, &p, fds, nfds);
	bn_fds_close(fds, nfds);
	return ret;
}

static int send_u64(uint32_t request, uint64_t value, unsigned nfds)
{
	return message(request, &value, sizeof(value), nfds);
}

static int send_state(uint32_t request, uint32_t index, uint32_t num)
{
	const struct bn_vu_vring_state state = {.index = index, .num = num};
	return message(request, &state, sizeof(state), 0);
}

static void negotiate(void)
{
	message(BN_VU_SET_OWNER, NULL, 0, 0);
	send_u64(BN_VU_SET_PROTOCOL_FEATURES, BN_VU_PROTOCOL_FEATURES, 0);
	send_u64(BN_VU_SET_FEATURES, F_PROTOCOL | 1ull << VIRTIO_F_VERSION_1, 0);
}

static void add_region(uint64_t guest_addr, int error)
{
	const struct bn_vu_mem_reg reg = {
		.region = {.guest_addr = guest_addr, .size = GIB, .user_addr = guest_addr + GIB}};
	message(BN_VU_ADD_MEM_REG, &reg, sizeof(reg), 1);
	ack_next(error, 0);
}

static void set_up_ring(uint32_t index, uint32_t base)
{
	const struct bn_vu_vring_addr addr = {.index = index,
		.desc_user = GIB,
		.avail_user = GIB + 4096,
		.used_user = GIB + 8192};
	send_state(BN_VU_SET_VRING_NUM, index, 256);
	send_state(BN_VU_SET_VRING_BASE, index, base);
	message(BN_VU_SET_VRING_ADDR, &addr, sizeof(addr), 0);
	send_u64(BN_VU_SET_VRING_CALL, index, 1);
	send_u64(BN_VU_SET_VRING_KICK, index, 1);
}

static void run_ring(uint32_t index, uint32_t base)
{
	set_up_ring(index, base);
	send_state(BN_VU_SET_VRING_ENABLE, index, 1);
	CU_ASSERT_TRUE(bn_vu_session_busy(&s));
	ack_all();
	CU_ASSERT_EQUAL(replied.payload.u64, 0);
	CU_ASSERT_TRUE(s.ring[index].running);
}

static void start_all(void)
{
	begin_test();
	bn_vu_session_attach(&s, &ready, false);
	negotiate();
	add_region(0, 0);
	run_ring(0, 0);
	run_ring(1, 0);
}

static const struct bn_link_vring *last_start(unsigned index)
{
	for (unsigned i = num_sent; i > 0; i--) {
		if (sent[i - 1].type == BN_LINK_VRING_START &&
			sent[i - 1].payload.vring.index == index)
			return &sent[i - 1].payload.vring;
	}
	return NULL;
}

static unsigned count_sent(enum bn_link_type type)
{
	unsigned n = 0;
	for (unsigned i = 0; i < num_sent; i++)
		n += sent[i].type == type;
	return n;
}

static void test_negotiation(void)
{
	begin_test();
	CU_ASSERT_TRUE(bn_vu_session_busy(&s));
	bn_vu_session_attach(&s, &ready, false);
	CU_ASSERT_EQUAL(num_idle, 1);
	message(BN_VU_GET_FEATURES, NULL, 0, 0);
	CU_ASSERT_EQUAL(replied.payload.u64, ready.device_features | 1ull << VIRTIO_F_VERSION_1 |
						     1ull << VIRTIO_RING_F_INDIRECT_DESC |
						     1ull << VIRTIO_RING_F_EVENT_IDX | F_PROTOCOL);
	message(BN_VU_GET_PROTOCOL_FEATURES, NULL, 0, 0);
	CU_ASSERT_EQUAL(replied.payload.u64, BN_VU_PROTOCOL_FEATURES);
	message(BN_VU_GET_QUEUE_NUM, NULL, 0, 0);
	CU_ASSERT_EQUAL(replied.payload.u64, 2);
	message(BN_VU_GET_MAX_MEM_SLOTS, NULL, 0, 0);
	CU_ASSERT_EQUAL(replied.payload.u64, BN_GUEST_MEMORY_SLOTS);
	/* Nothing is acknowledged before REPLY_ACK is negotiated. */
	num_replies = 0;
	message(BN_VU_SET_OWNER, NULL, 0, 0);
	CU_ASSERT_EQUAL(num_replies, 0);
	negotiate();
	CU_ASSERT_EQUAL(num_replies, 2);
	CU_ASSERT_EQUAL(replied.payload.u64, 0);
	CU_ASSERT_EQUAL(sent[num_sent - 1].type, BN_LINK_FEATURES);
	CU_ASSERT_EQUAL(sent[num_sent - 1].payload.u64.value, 1ull << VIRTIO_F_VERSION_1);
	bn_vu_session_finish(&s);
}

static uint32_t config_at(uint32_t offset, uint32_t size)
{
	const struct bn_vu_config config = {.offset = offset, .size = size};
	CU_ASSERT_EQUAL(message(BN_VU_GET_CONFIG, &config, 12 + size, 0), 0);
	return replied.header.size;
}

static void test_config(void)
{
	start_all();
	struct virtio_gpu_config space;
	CU_ASSERT_EQUAL(config_at(0, sizeof(space)), 12 + sizeof(space));
	memcpy(&space, replied.payload.config.bytes, sizeof(space));
	CU_ASSERT_EQUAL(space.num_scanouts, 2);
	CU_ASSERT_EQUAL(space.num_capsets, 2);
	CU_ASSERT_EQUAL(space.events_read, 0);
	CU_ASSERT_EQUAL(config_at(0, 256), 12 + 256);
	CU_ASSERT_EQUAL(config_at(8, 1), 12 + 1);
	CU_ASSERT_EQUAL(replied.payload.config.bytes[0], 2);
	CU_ASSERT_EQUAL(config_at(255, 2), 0);
	CU_ASSERT_EQUAL(config_at(0xffffffff, 1), 0);
	bn_vu_session_display_changed(&s);
	config_at(0, 4);
	CU_ASSERT_EQUAL(replied.payload.config.bytes[0], VIRTIO_GPU_EVENT_DISPLAY);
	struct bn_vu_config clear = {.offset = 0, .size = sizeof(space)};
	space.events_clear = VIRTIO_GPU_EVENT_DISPLAY;
	memcpy(clear.bytes, &space, sizeof(space));
	message(BN_VU_SET_CONFIG, &clear, 12 + sizeof(space), 0);
	config_at(0, 4);
	CU_ASSERT_EQUAL(replied.payload.config.bytes[0], 0);
	bn_vu_session_finish(&s);
}

static void test_start_and_stop(void)
{
	start_all();
	CU_ASSERT_EQUAL(last_start(0)->fresh, 1);
	CU_ASSERT_EQUAL(last_start(1)->fresh, 0);
	CU_ASSERT_EQUAL(last_start(0)->restore, 0);
	CU_ASSERT_EQUAL(last_start(0)->num, 256);
	CU_ASSERT_TRUE(bn_vu_session_running(&s));
	/* Changes that a running ring cannot follow. */
	send_state(BN_VU_SET_VRING_NUM, 0, 128);
	CU_ASSERT_EQUAL(replied.payload.u64, 1);
	send_state(BN_VU_SET_VRING_BASE, 0, 3);
	CU_ASSERT_EQUAL(replied.payload.u64, 1);
	/* Stop: the base is the renderer's, and the answer waits for it. */
	num_replies = 0;
	send_state(BN_VU_GET_VRING_BASE, 0, 0);
	CU_ASSERT_TRUE(draining);
	CU_ASSERT_EQUAL(num_replies, 0);
	ack_next(0, 57);
	CU_ASSERT_EQUAL(num_replies, 1);
	CU_ASSERT_FALSE(draining);
	CU_ASSERT_EQUAL(replied.payload.vring_state.num, 57);
	/* It stays stopped, and says the same. */
	send_state(BN_VU_GET_VRING_BASE, 0, 0);
	CU_ASSERT_EQUAL(replied.payload.vring_state.num, 57);
	/* Resumed where it stopped: the driver's objects are still there. */
	send_state(BN_VU_SET_VRING_ENABLE, 0, 0);
	run_ring(0, 57);
	CU_ASSERT_EQUAL(last_start(0)->fresh, 0);
	CU_ASSERT_EQUAL(last_start(0)->base, 57);
	/* Begun anew. */
	send_state(BN_VU_GET_VRING_BASE, 0, 0);
	ack_next(0, 99);
	send_state(BN_VU_SET_VRING_ENABLE, 0, 0);
	run_ring(0, 0);
	CU_ASSERT_EQUAL(last_start(0)->fresh, 1);
	/* Disabled and enabled again: a pause. */
	send_state(BN_VU_SET_VRING_ENABLE, 0, 0);
	ack_next(0, 7);
	CU_ASSERT_EQUAL(replied.payload.u64, 0);
	send_state(BN_VU_SET_VRING_ENABLE, 0, 1);
	ack_all();
	CU_ASSERT_EQUAL(last_start(0)->fresh, 0);
	CU_ASSERT_EQUAL(last_start(0)->base, 7);
	/* Another kick fd for a running ring. */
	send_u64(BN_VU_SET_VRING_KICK, 0, 1);
	ack_next(0, 9);
	CU_ASSERT_TRUE(bn_vu_session_busy(&s));
	ack_all();
	CU_ASSERT_EQUAL(last_start(0)->base, 9);
	CU_ASSERT_EQUAL(last_start(0)->fresh, 0);
	bn_vu_session_finish(&s);
}

static void test_order(void)
{
	begin_test();
	bn_vu_session_attach(&s, &ready, false);
	negotiate();
	set_up_ring(0, 0);
	send_state(BN_VU_SET_VRING_ENABLE, 0, 1); /* without memory */
	CU_ASSERT_EQUAL(replied.payload.u64, 1);
	CU_ASSERT_EQUAL(count_sent(BN_LINK_VRING_START), 0);
	add_region(0, 0);
	send_state(BN_VU_SET_VRING_NUM, 0, 100);
	CU_ASSERT_EQUAL(replied.payload.u64, 1);
	send_state(BN_VU_SET_VRING_NUM, 0, 2048);
	CU_ASSERT_EQUAL(replied.payload.u64, 1);
	send_state(BN_VU_SET_VRING_NUM, 2, 64);
	CU_ASSERT_EQUAL(replied.payload.u64, 1);
	send_state(BN_VU_SET_VRING_BASE, 0, 65536);
	CU_ASSERT_EQUAL(replied.payload.u64, 1);
	send_u64(BN_VU_SET_VRING_KICK, 7, 1);
	CU_ASSERT_EQUAL(replied.payload.u64, 1);
	send_u64(BN_VU_SET_VRING_KICK, 0 | BN_VU_VRING_NOFD, 0);
	CU_ASSERT_EQUAL(replied.payload.u64, 1);
	/* Enabled before its kick fd: the kick fd starts it. */
	send_state(BN_VU_SET_VRING_ENABLE, 1, 1);
	CU_ASSERT_EQUAL(replied.payload.u64, 0);
	set_up_ring(1, 0);
	ack_all();
	CU_ASSERT_TRUE(s.ring[1].running);
	/* A renderer that finds no ring there. */
	send_state(BN_VU_SET_VRING_ENABLE, 0, 0);
	send_state(BN_VU_SET_VRING_ENABLE, 0, 1);
	ack_next(-EFAULT, 0);
	CU_ASSERT_EQUAL(replied.payload.u64, 1);
	CU_ASSERT_FALSE(s.ring[0].running);
	bn_vu_session_finish(&s);
}

static void test_without_protocol_features(void)
{
	begin_test();
	bn_vu_session_attach(&s, &ready, false);
	send_u64(BN_VU_SET_FEATURES, 1ull << VIRTIO_F_VERSION_1, 0);
	struct bn_vu_mem_table table = {.nregions = 2};
	table.region[0] = (struct bn_vu_region){.guest_addr = 0, .size = GIB, .user_addr = GIB};
	table.region[1] = (struct bn_vu_region){.guest_addr = GIB, .size = GIB, .user_addr = 0};
	message(BN_VU_SET_MEM_TABLE, &table, 8 + 2 * 32, 2);
	CU_ASSERT_EQUAL(count_sent(BN_LINK_MEM_CLEAR), 1);
	CU_ASSERT_EQUAL(count_sent(BN_LINK_MEM_ADD), 2);
	ack_all();
	CU_ASSERT_EQUAL(num_replies, 0);
	CU_ASSERT_EQUAL(bn_vu_session_memory_size(&s), 2 * GIB);
	const struct bn_vu_vring_addr addr = {.index = 0};
	send_state(BN_VU_SET_VRING_NUM, 0, 64);
	message(BN_VU_SET_VRING_ADDR, &addr, sizeof(addr), 0);
	send_u64(BN_VU_SET_VRING_KICK, 0, 1);
	ack_all();
	CU_ASSERT_TRUE(s.ring[0].running);
	bn_vu_session_finish(&s);
}

static void test_memory(void)
{
	start_all();
	add_region(4 * GIB, 0);
	CU_ASSERT_EQUAL(replied.payload.u64, 0);
	CU_ASSERT_EQUAL(bn_vu_session_memory_size(&s), 2 * GIB);
	add_region(8 * GIB, -EINVAL); /* refused: not remembered */
	CU_ASSERT_EQUAL(replied.payload.u64, 1);
	CU_ASSERT_EQUAL(bn_vu_session_memory_size(&s), 2 * GIB);
	const struct bn_vu_mem_reg reg = {
		.region = {.guest_addr = 4 * GIB, .size = GIB, .user_addr = 5 * GIB}};
	message(BN_VU_REM_MEM_REG, &reg, sizeof(reg), 1);
	CU_ASSERT_EQUAL(replied.payload.u64, ~0ull); /* waits */
	ack_next(0, 0);
	CU_ASSERT_EQUAL(replied.payload.u64, 0);
	CU_ASSERT_EQUAL(bn_vu_session_memory_size(&s), GIB);
	/* As many as we said, not one more. */
	for (unsigned i = 1; i < BN_GUEST_MEMORY_SLOTS; i++)
		add_region((i + 10) * GIB, 0), num_sent = acked = 0;
	CU_ASSERT_EQUAL(s.nregions, BN_GUEST_MEMORY_SLOTS);
	add_region(2000 * GIB, 0);
	CU_ASSERT_EQUAL(replied.payload.u64, 1);
	bn_vu_session_detach(&s);
	bn_vu_session_attach(&s, &ready, true);
	CU_ASSERT_EQUAL(count_sent(BN_LINK_MEM_ADD), BN_GUEST_MEMORY_SLOTS);
	ack_all();
	CU_ASSERT_FALSE(bn_vu_session_busy(&s));
	bn_vu_session_finish(&s);
}

static void test_renderer_dies(void)
{
	start_all();
	num_sent = acked = num_replies = 0;
	bn_vu_session_detach(&s);
	CU_ASSERT_TRUE(bn_vu_session_busy(&s));
	bn_vu_session_attach(&s, &ready, true);
	static const enum bn_link_type order[] = {BN_LINK_FEATURES, BN_LINK_MEM_ADD,
		BN_LINK_VRING_CALL, BN_LINK_VRING_CALL, BN_LINK_VRING_START, BN_LINK_VRING_START};
	CU_ASSERT_EQUAL_FATAL(num_sent, 6);
	for (unsigned i = 0; i < 6; i++)
		CU_ASSERT_EQUAL(sent[i].type, order[i]);
	CU_ASSERT_EQUAL(last_start(0)->restore, 1);
	CU_ASSERT_EQUAL(last_start(0)->fresh, 0);
	CU_ASSERT_TRUE(bn_vu_session_busy(&s));
	ack_all();
	CU_ASSERT_FALSE(bn_vu_session_busy(&s));
	CU_ASSERT_EQUAL(num_replies, 0);
	/* While it stops a ring: the next one takes the ring over, then stops it. */
	send_state(BN_VU_GET_VRING_BASE, 0, 0);
	num_sent = acked = 0;
	bn_vu_session_detach(&s);
	bn_vu_session_attach(&s, &ready, true);
	CU_ASSERT_EQUAL(sent[num_sent - 1].type, BN_LINK_VRING_STOP);
	while (sent[acked].type != BN_LINK_VRING_STOP)
		ack_next(0, 0);
	CU_ASSERT_EQUAL(num_replies, 0);
	ack_next(0, 12);
	CU_ASSERT_EQUAL(num_replies, 1);
	CU_ASSERT_EQUAL(replied.payload.vring_state.num, 12);
	/* A stopped ring is not started by the next one. */
	num_sent = acked = 0;
	bn_vu_session_detach(&s);
	bn_vu_session_attach(&s, &ready, true);
	CU_ASSERT_EQUAL(count_sent(BN_LINK_VRING_START), 1);
	ack_all();
	bn_vu_session_finish(&s);
}

static void test_dies_with_memory(void)
{
	start_all();
	struct bn_vu_mem_table table = {.nregions = 1};
	table.region[0] = (struct bn_vu_region){.guest_addr = 0, .size = 3 * GIB};
	message(BN_VU_SET_MEM_TABLE, &table, 8 + 32, 1);
	ack_next(0, 0); /* MEM_CLEAR; the renderer dies before MEM_ADD */
	num_sent = acked = 0;
	bn_vu_session_detach(&s);
	bn_vu_session_attach(&s, &ready, true);
	CU_ASSERT_EQUAL(count_sent(BN_LINK_MEM_CLEAR), 1);
	CU_ASSERT_EQUAL(count_sent(BN_LINK_MEM_ADD), 2);
	ack_all();
	CU_ASSERT_EQUAL(replied.payload.u64, 0);
	CU_ASSERT_EQUAL(bn_vu_session_memory_size(&s), 3 * GIB);
	/* And one that leaves in the middle of it: no fd is lost. */
	message(BN_VU_SET_MEM_TABLE, &table, 8 + 32, 1);
	bn_vu_session_finish(&s);
	start_all();
	send_u64(BN_VU_SET_VRING_KICK, 0, 1);
	bn_vu_session_finish(&s);
}

static void test_deadly_operation(void)
{
	start_all();
	const struct bn_vu_mem_reg reg = {
		.region = {.guest_addr = 8 * GIB, .size = GIB, .user_addr = 8 * GIB}};
	message(BN_VU_ADD_MEM_REG, &reg, sizeof(reg), 1);
	for (unsigned i = 0; i < BN_VU_OPERATION_DEATHS_MAX; i++) {
		CU_ASSERT_EQUAL(replied.payload.u64, ~0ull);
		num_sent = acked = 0;
		bn_vu_session_detach(&s);
		bn_vu_session_attach(&s, &ready, true);
	}
	CU_ASSERT_EQUAL(count_sent(BN_LINK_MEM_ADD), 1); /* of the restore */
	ack_all();
	CU_ASSERT_EQUAL(replied.payload.u64, 1);
	CU_ASSERT_EQUAL(bn_vu_session_memory_size(&s), GIB);
	CU_ASSERT_FALSE(bn_vu_session_busy(&s));
	bn_vu_session_finish(&s);
	/* The only thing that there was to do. */
	begin_test();
	bn_vu_session_attach(&s, &ready, false);
	negotiate();
	struct bn_vu_mem_table table = {.nregions = 1};
	table.region[0] = (struct bn_vu_region){.guest_addr = 0, .size = 3 * GIB};
	message(BN_VU_SET_MEM_TABLE, &table, 8 + 32, 1);
	for (unsigned i = 0; i < BN_VU_OPERATION_DEATHS_MAX; i++) {
		bn_vu_session_detach(&s);
		bn_vu_session_attach(&s, &ready, true);
	}
	CU_ASSERT_EQUAL(replied.payload.u64, 1);
	CU_ASSERT_FALSE(bn_vu_session_busy(&s));
	bn_vu_session_finish(&s);
}

static void test_reset(void)
{
	begin_test();
	bn_vu_session_attach(&s, &ready, false);
	negotiate();
	/* Nothing ran: the renderer is as good as new. */
	message(BN_VU_RESET_DEVICE, NULL, 0, 0);
	CU_ASSERT_EQUAL(num_resets, 0);
	CU_ASSERT_EQUAL(replied.payload.u64, 0);
	add_region(0, 0);
	run_ring(0, 0);
	message(BN_VU_RESET_DEVICE, NULL, 0, 0);
	CU_ASSERT_EQUAL(num_resets, 1);
	CU_ASSERT_EQUAL(replied.payload.u64, 0);
	CU_ASSERT_TRUE(bn_vu_session_busy(&s));
	num_sent = acked = 0;
	bn_vu_session_attach(&s, &ready, false);
	CU_ASSERT_EQUAL(count_sent(BN_LINK_MEM_ADD), 1);
	CU_ASSERT_EQUAL(count_sent(BN_LINK_VRING_START), 0);
	CU_ASSERT_EQUAL(count_sent(BN_LINK_VRING_CALL), 1);
	ack_all();
	run_ring(0, 0);
	CU_ASSERT_EQUAL(last_start(0)->fresh, 1);
	bn_vu_session_finish(&s);
}

static void test_display_change(void)
{
	struct bn_vu_header told;
	int pair[2];
	start_all();
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	bn_vu_session_display_changed(&s); /* no channel yet */
	const struct bn_vu_header header = {
		.request = BN_VU_SET_BACKEND_REQ_FD, .flags = BN_VU_VERSION};
	const union bn_vu_payload nothing = {0};
	CU_ASSERT_EQUAL(bn_vu_session_message(&s, &header, &nothing, &pair[1], 1), 0);
	CU_ASSERT_EQUAL(pair[1], -1);
	bn_vu_session_display_changed(&s);
	CU_ASSERT_EQUAL(recv(pair[0], &told, sizeof(told), MSG_DONTWAIT), sizeof(told));
	CU_ASSERT_EQUAL(told.request, BN_VU_BACKEND_CONFIG_CHANGE);
	CU_ASSERT_EQUAL(told.flags, BN_VU_VERSION);
	CU_ASSERT_EQUAL(told.size, 0);
	CU_ASSERT_STRING_EQUAL(bn_vu_session_front_end(&s), "generic vhost-user");
	/* QEMU's vhost-user-gpu does not know the message. */
	message(BN_VU_GPU_SET_SOCKET, NULL, 0, 1);
	message(BN_VU_GPU_SET_SOCKET, NULL, 0, 1);
	bn_vu_session_display_changed(&s);
	CU_ASSERT_EQUAL(recv(pair[0], &told, sizeof(told), MSG_DONTWAIT), -1);
	CU_ASSERT_STRING_EQUAL(bn_vu_session_front_end(&s), "QEMU vhost-user-gpu");
	bn_vu_session_finish(&s);
	bn_fd_close(&pair[0]);
}

static void test_hostile(void)
{
	start_all();
	/* What nobody offered: an error where one is due, the end where a value would be. */
	const uint64_t log = 0;
	CU_ASSERT_EQUAL(message(BN_VU_SET_LOG_BASE, &log, sizeof(log), 0), 0);
	CU_ASSERT_EQUAL(replied.payload.u64, 1);
	CU_ASSERT_EQUAL(message(9999, NULL, 0, 3), 0);
	CU_ASSERT_EQUAL(replied.payload.u64, 1);
	CU_ASSERT_EQUAL(message(BN_VU_GET_STATUS, NULL, 0, 0), -EPROTO);
	CU_ASSERT_EQUAL(message(0, NULL, 0, 0), 0);
	/* Wrong numbers of fds and sizes. */
	CU_ASSERT_EQUAL(send_u64(BN_VU_SET_VRING_KICK, 0, 0), -EPROTO);
	CU_ASSERT_EQUAL(send_u64(BN_VU_SET_VRING_CALL, 0, 2), -EPROTO);
	CU_ASSERT_EQUAL(message(BN_VU_SET_BACKEND_REQ_FD, NULL, 0, 0), -EPROTO);
	CU_ASSERT_EQUAL(message(BN_VU_SET_FEATURES, NULL, 0, 0), -EPROTO);
	CU_ASSERT_EQUAL(send_state(BN_VU_GET_VRING_BASE, 5, 0), -EPROTO);
	struct bn_vu_mem_table table = {.nregions = 0xffffffff};
	CU_ASSERT_EQUAL(message(BN_VU_SET_MEM_TABLE, &table, sizeof(table), 8), -EPROTO);
	/* Regions that cannot be. */
	struct bn_vu_mem_reg reg = {.region = {.guest_addr = 8 * GIB, .size = 0}};
	num_sent = acked = 0;
	CU_ASSERT_EQUAL(message(BN_VU_ADD_MEM_REG, &reg, sizeof(reg), 1), 0);
	CU_ASSERT_EQUAL(replied.payload.u64, 1);
	reg.region.size = ~0ull;
	CU_ASSERT_EQUAL(message(BN_VU_REM_MEM_REG, &reg, sizeof(reg), 0), 0);
	CU_ASSERT_EQUAL(replied.payload.u64, 1);
	CU_ASSERT_EQUAL(num_sent, 0);
	/* A renderer that acknowledges what was not asked, or something else. */
	struct bn_link_ack ack = {.seq = 1};
	CU_ASSERT_EQUAL(bn_vu_session_ack(&s, &ack), -EPROTO);
	send_state(BN_VU_GET_VRING_BASE, 1, 0);
	CU_ASSERT_EQUAL(bn_vu_session_ack(&s, &ack), -EPROTO);
	CU_ASSERT_TRUE(bn_vu_session_busy(&s));
	/* A driver with packed rings. */
	ack_next(0, 0);
	send_u64(BN_VU_SET_FEATURES, F_PROTOCOL | 1ull << VIRTIO_F_RING_PACKED, 0);
	send_state(BN_VU_SET_VRING_ENABLE, 1, 0);
	send_u64(BN_VU_SET_VRING_KICK, 1, 1);
	send_state(BN_VU_SET_VRING_ENABLE, 1, 1);
	CU_ASSERT_EQUAL(replied.payload.u64, 1);
	bn_vu_session_finish(&s);
}

int main(void)
{
	bn_log_init(BN_LOG_ERROR, "test");
	static const CU_TestInfo tests[] = {
		{"negotiation", test_negotiation},
		{"configuration space", test_config},
		{"rings start, stop and resume", test_start_and_stop},
		{"messages out of order", test_order},
		{"without protocol features", test_without_protocol_features},
		{"memory", test_memory},
		{"the renderer dies", test_renderer_dies},
		{"the renderer dies in an operation", test_dies_with_memory},
		{"an operation that renderers die over", test_deadly_operation},
		{"reset", test_reset},
		{"a display changes", test_display_change},
		{"hostile messages", test_hostile},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("vu_session", tests);
}
