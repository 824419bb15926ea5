/* A VMM that breaks the vhost-user protocol: it is refused, or disconnected where its stream cannot
 * be trusted any more, and the next connection is served. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/virtio_config.h>

#include "bad.h"

struct message {
	const char *name;
	uint32_t request, flags, size;
	uint64_t words[6];
	unsigned fds;
	bool hangup; /* the stream cannot be trusted after this */
};

#define ACK BN_VU_FLAG_NEED_REPLY

static const struct message messages[] = {
	{"version 0", BN_VU_GET_FEATURES, 0x80000000, 0, {0}, 0, true},
	{"reply flag", BN_VU_GET_FEATURES, BN_VU_FLAG_REPLY, 0, {0}, 0, true},
	{"payload that nobody has", BN_VU_GET_FEATURES, 0, 8, {0}, 0, true},
	{"fd that nobody wants", BN_VU_GET_FEATURES, 0, 0, {0}, 1, true},
	{"no payload", BN_VU_SET_FEATURES, ACK, 0, {0}, 0, true},
	{"half a payload", BN_VU_SET_VRING_NUM, ACK, 4, {0}, 0, true},
	{"table without fds", BN_VU_SET_MEM_TABLE, ACK, 40,
		{1, TG_MEM_BASE, TG_PAGE, TG_MEM_BASE, 0}, 0, true},
	{"table with too many fds", BN_VU_SET_MEM_TABLE, ACK, 40,
		{1, TG_MEM_BASE, TG_PAGE, TG_MEM_BASE, 0}, 3, true},
	{"table of 9", BN_VU_SET_MEM_TABLE, ACK, 40, {9}, 8, true},
	{"table of 4 billion", BN_VU_SET_MEM_TABLE, ACK, 40, {0xffffffff}, 1, true},
	{"table shorter than it says", BN_VU_SET_MEM_TABLE, ACK, 40, {2}, 2, true},
	{"20 fds", BN_VU_ADD_MEM_REG, ACK, 40, {0, 0, 4096, 0, 0}, 20, true},
	{"region without fd", BN_VU_ADD_MEM_REG, ACK, 40, {0, 1 << 20, 4096, 1 << 20, 0}, 0, true},
	{"kick without fd", BN_VU_SET_VRING_KICK, ACK, 8, {0}, 0, true},
	{"call with two", BN_VU_SET_VRING_CALL, ACK, 8, {0}, 2, true},
	{"no fd, and one", BN_VU_SET_VRING_CALL, ACK, 8, {BN_VU_VRING_NOFD}, 1, true},
	{"channel without fd", BN_VU_SET_BACKEND_REQ_FD, ACK, 0, {0}, 0, true},
	{"display socket without fd", BN_VU_GPU_SET_SOCKET, ACK, 0, {0}, 0, true},
	{"configuration larger than its message", BN_VU_GET_CONFIG, 0, 12, {100ull << 32}, 0, true},
	{"unknown request", 200, ACK, 8, {0}, 0, false},
	{"unknown request 0", 0, ACK, 0, {0}, 0, false},
	{"unknown request, largest", 0xffffffff, ACK, 0, {0}, 0, false},
	{"not offered: log base", BN_VU_SET_LOG_BASE, ACK, 16, {0}, 0, false},
	{"not offered: status", BN_VU_SET_STATUS, ACK, 8, {15}, 0, false},
	{"ring 7 size", BN_VU_SET_VRING_NUM, ACK, 8, {7 | 64ull << 32}, 0, false},
	{"ring size 3", BN_VU_SET_VRING_NUM, ACK, 8, {3ull << 32}, 0, false},
	{"ring size 0", BN_VU_SET_VRING_NUM, ACK, 8, {0}, 0, false},
	{"ring size 65536", BN_VU_SET_VRING_NUM, ACK, 8, {65536ull << 32}, 0, false},
	{"ring base 70000", BN_VU_SET_VRING_BASE, ACK, 8, {70000ull << 32}, 0, false},
	{"ring 255 enabled", BN_VU_SET_VRING_ENABLE, ACK, 8, {255 | 1ull << 32}, 0, false},
	{"ring enabled twice over", BN_VU_SET_VRING_ENABLE, ACK, 8, {2ull << 32}, 0, false},
	{"ring 9 address", BN_VU_SET_VRING_ADDR, ACK, 40, {9}, 0, false},
	{"region of size 0", BN_VU_ADD_MEM_REG, ACK, 40, {0, 1 << 20, 0, 1 << 20, 0}, 1, false},
	{"region that wraps", BN_VU_ADD_MEM_REG, ACK, 40, {0, ~0ull - 4095, 8192, 1 << 20, 0}, 1,
		false},
	{"region past its file", BN_VU_ADD_MEM_REG, ACK, 40,
		{0, 1 << 20, 4096, 1 << 20, 1ull << 40}, 1, false},
	{"region at an odd offset", BN_VU_ADD_MEM_REG, ACK, 40, {0, 1 << 20, 4096, 1 << 20, ~0ull},
		1, false},
	{"region that overlaps", BN_VU_ADD_MEM_REG, ACK, 40,
		{0, TG_MEM_BASE + TG_PAGE, TG_PAGE, TG_MEM_BASE, 0}, 1, false},
	{"removal of what is not there", BN_VU_REM_MEM_REG, ACK, 40, {0, 1 << 20, 4096, 1 << 20, 0},
		0, false},
	{"unoffered protocol features", BN_VU_SET_PROTOCOL_FEATURES, ACK, 8, {~0ull}, 0, false},
};

static int open_fd(void)
{
	int fd = memfd_create("small", MFD_CLOEXEC);
	CU_ASSERT_EQUAL(ftruncate(fd, 16384), 0);
	return fd;
}

static void send_message(struct tg_vm *vm, const struct message *m)
{
	int fds[32];
	uint64_t result = 0;
	for (unsigned i = 0; i < m->fds; i++)
		fds[i] = open_fd();
	uint32_t flags = m->flags & 0x80000000 ? BN_VU_VERSION : m->flags;
	struct {
		struct bn_vu_header header;
		uint64_t words[6];
	} __attribute__((packed)) wire = {{m->request, BN_VU_VERSION | flags, m->size}, {0}};
	if (m->flags & 0x80000000)
		wire.header.flags = 0;
	memcpy(wire.words, m->words, sizeof(wire.words));
	CU_ASSERT_EQUAL(
		tg_front_send_bytes(&vm->front, &wire, sizeof(wire.header) + m->size, fds, m->fds),
		0);
	for (unsigned i = 0; i < m->fds; i++)
		close(fds[i]);
	int got;
	if (m->hangup) {
		got = tg_front_wait_hangup(&vm->front) == 0;
	} else {
		got = tg_front_reply(&vm->front, m->request, &result, sizeof(result)) ==
			      sizeof(result) &&
		      result != 0;
	}
	if (!got)
		fprintf(stderr, "\nmessage \"%s\": no %s\n", m->name,
			m->hangup ? "hang-up" : "refusal");
	CU_ASSERT_TRUE(got);
	if (!m->hangup)
		bad_serves_on(vm);
}

static void test_messages(void)
{
	for (unsigned i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		struct tg_vm vm;
		if (!bad_open(&vm))
			return;
		send_message(&vm, &messages[i]);
		tg_vm_close(&vm);
		bystander_check(cluster);
	}
}

/* Pieces of messages, sizes that never come, and then nothing more. */
static void test_truncated(void)
{
	static const uint8_t zeros[600];
	const struct bn_vu_header huge = {BN_VU_SET_MEM_TABLE, BN_VU_VERSION, 0xffffffff};
	const struct bn_vu_header half = {BN_VU_SET_VRING_ADDR, BN_VU_VERSION, 40};
	for (unsigned i = 0; i < 6; i++) {
		struct tg_vm vm;
		if (!bad_open(&vm))
			return;
		switch (i) {
		case 0:
			tg_front_send_bytes(&vm.front, &half, 5, NULL, 0);
			break;
		case 1:
			tg_front_send_bytes(&vm.front, &half, sizeof(half), NULL, 0);
			break;
		case 2:
			tg_front_send_bytes(&vm.front, &half, sizeof(half), NULL, 0);
			tg_front_send_bytes(&vm.front, zeros, 39, NULL, 0);
			break;
		case 3:
			tg_front_send_bytes(&vm.front, &huge, sizeof(huge), NULL, 0);
			break;
		case 4:
			tg_front_send_bytes(&vm.front, zeros, sizeof(zeros), NULL, 0);
			break;
		default: /* answers that nobody reads */
			for (unsigned k = 0; k < 2000; k++) {
				struct bn_vu_header get = {BN_VU_GET_FEATURES, BN_VU_VERSION, 0};
				if (tg_front_send_bytes(&vm.front, &get, sizeof(get), NULL, 0) < 0)
					break;
			}
		}
		bystander_check(cluster);
		tg_vm_close(&vm);
	}
	struct tg_vm vm;
	if (bad_open(&vm))
		bad_close(&vm);
}

/* In an order that no VMM uses: rings before memory, stop before start, everything twice, memory
 * taken away under running rings. */
static void test_order(void)
{
	struct tg_vm vm;
	struct tg_front *f = &vm.front;
	CU_ASSERT_EQUAL_FATAL(tg_vm_prepare(&vm, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(tg_front_connect(f, e2e_socket(&e, "evil")), 0);
	/* Nothing is negotiated: no acknowledgements yet, GET_FEATURES is the barrier. */
	CU_ASSERT_EQUAL(tg_front_set_ring(f, BN_VU_SET_VRING_ENABLE, 0, 1), 0);
	CU_ASSERT_EQUAL(tg_front_set_ring_fd(f, BN_VU_SET_VRING_KICK, 0, vm.ring[0].kick), 0);
	CU_ASSERT_TRUE(tg_front_stop_ring(f, 0) >= 0);
	CU_ASSERT_TRUE(tg_front_stop_ring(f, 1) >= 0);
	CU_ASSERT_EQUAL(tg_front_handshake(f, ~0ull, BN_VU_PROTOCOL_FEATURES), 0);
	vm.front.features &= ~(1ull << VIRTIO_RING_F_EVENT_IDX);
	CU_ASSERT_TRUE(tg_vm_start(&vm) < 0); /* no memory yet */
	CU_ASSERT_EQUAL(tg_vm_announce(&vm), 0);
	CU_ASSERT_TRUE(tg_vm_announce(&vm) < 0); /* it is there already */
	CU_ASSERT_EQUAL(tg_vm_start(&vm), 0);
	CU_ASSERT_EQUAL(tg_front_set_ring(f, BN_VU_SET_VRING_ENABLE, 0, 1), 0);
	CU_ASSERT_EQUAL(tg_front_set(f, BN_VU_SET_OWNER, NULL, 0, NULL, 0), 0);
	CU_ASSERT_EQUAL(tg_front_set(f, BN_VU_RESET_OWNER, NULL, 0, NULL, 0), 0);
	vm.indirect = true;
	bad_serves_on(&vm);
	/* The memory goes, rings and all. */
	tg_vm_remove_region(&vm, 0);
	tg_ring_kick_always(&vm.ring[0]);
	bystander_check(cluster);
	CU_ASSERT_EQUAL(tg_vm_add_region(&vm, 0), 0);
	bad_reset(&vm);
	bad_close(&vm);
}

static void test_ring_addresses(void)
{
	static const uint64_t bad[] = {0, 1, ~0ull, ~0ull - 15, TG_MEM_BASE,
		TG_MEM_BASE + TG_USER_OFFSET - 16,
		TG_MEM_BASE + TG_USER_OFFSET + (64ull << 20) - 16,
		TG_MEM_BASE + TG_USER_OFFSET + 1};
	for (unsigned i = 0; i < 3 * sizeof(bad) / sizeof(bad[0]); i++) {
		struct tg_vm vm;
		CU_ASSERT_EQUAL_FATAL(tg_vm_prepare(&vm, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(tg_vm_connect(&vm, e2e_socket(&e, "evil")), 0);
		CU_ASSERT_EQUAL(tg_vm_announce(&vm), 0);
		uint64_t *part = i % 3 == 0   ? &vm.ring[0].desc_addr
				 : i % 3 == 1 ? &vm.ring[0].avail_addr
					      : &vm.ring[0].used_addr;
		uint64_t good = *part;
		*part = bad[i / 3] - TG_USER_OFFSET;
		CU_ASSERT_EQUAL(
			tg_front_set_u64(&vm.front, BN_VU_SET_FEATURES, vm.front.features), 0);
		CU_ASSERT_TRUE(tg_vm_start_ring(&vm, 0, 0) < 0);
		*part = good;
		if (i % 8 == 0) {
			CU_ASSERT_EQUAL(tg_vm_start(&vm), 0);
			bad_serves_on(&vm);
		}
		tg_vm_close(&vm);
	}
	bystander_check(cluster);
}

/* A kick fd that nobody can wait for, then a good one. */
static void test_kick_file(void)
{
	struct tg_vm vm;
	CU_ASSERT_EQUAL_FATAL(tg_vm_prepare(&vm, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(tg_vm_connect(&vm, e2e_socket(&e, "evil")), 0);
	CU_ASSERT_EQUAL(tg_vm_announce(&vm), 0);
	CU_ASSERT_EQUAL(tg_front_set_u64(&vm.front, BN_VU_SET_FEATURES, vm.front.features), 0);
	int good = vm.ring[0].kick;
	vm.ring[0].kick = open("/dev/null", O_RDWR | O_CLOEXEC);
	CU_ASSERT_TRUE(tg_vm_start_ring(&vm, 0, 0) < 0);
	close(vm.ring[0].kick);
	vm.ring[0].kick = good;
	CU_ASSERT_EQUAL(tg_vm_start(&vm), 0);
	bad_serves_on(&vm);
	tg_vm_close(&vm);
	bystander_check(cluster);
}

/* A VMM that shrinks its guest's memory file: the pages are gone under the renderer's feet. */
static void test_shrunk_memory(void)
{
	struct tg_vm vm;
	if (!bad_open(&vm))
		return;
	struct tg_image image;
	CU_ASSERT_EQUAL_FATAL(tg_image_init(&image, &vm, -1, W, H), 0);
	E2E_OK(tg_image_resource(&image, 1));
	struct virtio_gpu_transfer_to_host_2d cmd = {{.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D},
		.r = tg_rect(0, 0, W, H), .resource_id = 1};
	struct iovec out = {&cmd, sizeof(cmd)};
	/* Rings and command lie in the first pages, the picture after them. */
	struct tg_request *request = tg_queue_up(&vm, TG_CONTROL, &out, 1, 24);
	CU_ASSERT_PTR_NOT_NULL_FATAL(request);
	CU_ASSERT_EQUAL(ftruncate(vm.mem.region[0].fd, 0), 0);
	uint64_t one = 1;
	CU_ASSERT_EQUAL(write(vm.ring[TG_CONTROL].kick, &one, 8), 8);
	e2e_sleep_ms(50);
	bystander_check(cluster);
	/* Our own mapping is dead too: nothing of this VM may be touched any more. */
	CU_ASSERT_EQUAL(ftruncate(vm.mem.region[0].fd, (off_t)vm.mem.region[0].size), 0);
	tg_image_finish(&image);
	free(request);
	memset(vm.ring[TG_CONTROL].token, 0, sizeof(vm.ring[TG_CONTROL].token));
	tg_vm_close(&vm);
	if (bad_open(&vm))
		bad_close(&vm);
}

/* The control socket is for people, who mistype. */
static void test_control(void)
{
	static const char *const requests[] = {"", "{", "[]", "null", "{}", "{\"command\":1}",
		"{\"command\":\"nonsense\"}", "{\"command\":\"screenshot\"}",
		"{\"command\":\"screenshot\",\"output\":\"none\"}",
		"{\"command\":\"screenshot\",\"output\":7}",
		"{\"command\":\"output\",\"output\":\"dash\",\"mode\":\"0x0\"}",
		"{\"command\":\"output\",\"output\":\"dash\",\"mode\":\"99999x1@60\"}",
		"{\"command\":\"output\",\"output\":\"dash\",\"mode\":[]}", "\xff\xfe"};
	for (unsigned i = 1; i < sizeof(requests) / sizeof(requests[0]); i++) {
		struct json_object *ok, *answer = e2e_control(&e, requests[i], NULL);
		bool refused = answer && json_object_object_get_ex(answer, "ok", &ok) &&
			       !json_object_get_boolean(ok);
		if (!refused)
			fprintf(stderr, "\n%s: %s\n", requests[i],
				json_object_to_json_string(answer));
		CU_ASSERT_TRUE(refused);
		json_object_put(answer);
	}
	bystander_check(cluster);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"service starts", bad_start},
		{"vhost-user messages", test_messages},
		{"truncated messages", test_truncated},
		{"messages out of order", test_order},
		{"ring addresses", test_ring_addresses},
		{"kick through a file", test_kick_file},
		{"memory that shrinks", test_shrunk_memory},
		{"control socket", test_control},
		{"no fd lost, service stops", bad_stop},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("bad front end", tests);
}
