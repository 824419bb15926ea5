/* The rings and the vhost-user connection in all the states that a VMM can bring them into:
 * wrap-around, long chains, stop and resume, memory that comes and goes, reset, reconnection. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/virtio_config.h>

#include "harness.h"

#define W 128u
#define H 96u

static struct e2e e;
static uint32_t pixels[W * H];

static const char config[] = "[output main]\nmode=128x96@60\n"
			     "[output slow]\nmode=128x96@1\n"
			     "[vm a]\nscanout.0=main\nscanout.1=slow\ngl=no\n";

static void test_start(void)
{
	e2e_open(&e, config);
}

static void test_stop(void)
{
	e2e_close(&e);
}

static bool guest_open(struct tg_vm *vm, const struct tg_options *options)
{
	int err = tg_vm_open(vm, e2e_socket(&e, "a"), options);
	CU_ASSERT_EQUAL(err, 0);
	if (err)
		tg_vm_close(vm);
	return !err;
}

static void guest_close(struct tg_vm *vm)
{
	CU_ASSERT_EQUAL(vm->ring[TG_CONTROL].strays, 0);
	CU_ASSERT_EQUAL(vm->ring[TG_CURSOR].strays, 0);
	tg_vm_close(vm);
}

static uint32_t present(struct tg_vm *vm, uint32_t res)
{
	E2E_OK(tg_transfer_2d(vm, res, tg_rect(0, 0, W, H), 0));
	E2E_OK(tg_set_scanout(vm, 0, res, tg_rect(0, 0, W, H)));
	return tg_finish(tg_flush_async(vm, res, tg_rect(0, 0, W, H)), NULL, 0);
}

/* A whole frame with a pattern of its own through resource `res`. */
static void show(struct tg_vm *vm, struct tg_image *image, int slot, uint32_t res, uint32_t seed)
{
	CU_ASSERT_EQUAL_FATAL(tg_image_init(image, vm, slot, W, H), 0);
	tg_pattern(pixels, W, H, seed);
	tg_image_write(image, pixels);
	E2E_OK(tg_image_resource(image, res));
	E2E_OK(present(vm, res));
	CU_ASSERT_EQUAL(e2e_differences(&e, "main", pixels, 0, 0, W, H), 0);
}

static void frame_works(struct tg_vm *vm, uint32_t res, uint32_t seed)
{
	struct tg_image image;
	show(vm, &image, -1, res, seed);
	E2E_OK(tg_unref(vm, res));
	tg_image_finish(&image);
}

static struct tg_request *queue_up_info(struct tg_vm *vm)
{
	struct virtio_gpu_ctrl_hdr cmd = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
	struct iovec out = {&cmd, sizeof(cmd)};
	return tg_queue_up(vm, TG_CONTROL, &out, 1, sizeof(struct virtio_gpu_resp_display_info));
}

static uint32_t info(struct tg_vm *vm)
{
	struct tg_request *request = queue_up_info(vm);
	tg_ring_kick(&vm->ring[TG_CONTROL]);
	return tg_finish(request, NULL, 0);
}

static struct tg_request *queue_up_move(struct tg_vm *vm, uint32_t x)
{
	struct virtio_gpu_update_cursor cmd = {.hdr.type = VIRTIO_GPU_CMD_MOVE_CURSOR, .pos.x = x};
	struct iovec out = {&cmd, sizeof(cmd)};
	return tg_queue_up(vm, TG_CURSOR, &out, 1, sizeof(cmd.hdr));
}

/* More requests than an index of 16 bits can count, as many at a time as fit. */
static void wrap(const struct tg_options *options, unsigned total)
{
	struct tg_vm vm;
	struct tg_request *batch[256];
	if (!guest_open(&vm, options))
		return;
	unsigned wrong = 0;
	for (unsigned done = 0, round = 0; done < total; round++) {
		unsigned queue = round % 8 == 0 ? TG_CURSOR : TG_CONTROL, n = 0;
		while (n < 100 && (batch[n] = queue == TG_CURSOR ? queue_up_move(&vm, n)
								 : queue_up_info(&vm)))
			n++;
		tg_ring_kick(&vm.ring[queue]);
		done += n;
		for (unsigned i = 0; i < n; i++) {
			uint32_t want = queue == TG_CURSOR ? VIRTIO_GPU_RESP_OK_NODATA
							   : VIRTIO_GPU_RESP_OK_DISPLAY_INFO;
			wrong += tg_finish(batch[i], NULL, 0) != want;
		}
		if (wrong || !n)
			break;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(vm.outstanding, 0);
	frame_works(&vm, 1, 1);
	guest_close(&vm);
}

static void test_wrap(void)
{
	wrap(NULL, 70000);
}

static void test_wrap_plain(void)
{
	static const struct tg_options options = {
		.features_off =
			1ull << VIRTIO_RING_F_EVENT_IDX | 1ull << VIRTIO_RING_F_INDIRECT_DESC};
	wrap(&options, 70000);
}

static void test_wrap_event_idx_only(void)
{
	static const struct tg_options options = {
		.features_off = 1ull << VIRTIO_RING_F_INDIRECT_DESC,
		.control_size = 8,
		.cursor_size = 2};
	wrap(&options, 10000);
}

static void test_wrap_big_queue(void)
{
	static const struct tg_options options = {.control_size = 1024, .cursor_size = 1024};
	wrap(&options, 3000);
}

/* An indirect table may be longer than the queue: Linux sends one descriptor a page. */
static void test_long_chains(void)
{
	static const struct tg_options options = {.control_size = 16};
	struct tg_vm vm;
	struct tg_image image;
	if (!guest_open(&vm, &options))
		return;
	vm.chunk = 16;
	CU_ASSERT_EQUAL_FATAL(tg_image_init(&image, &vm, -1, 1024, 1024), 0);
	E2E_OK(tg_create_2d(&vm, 5, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 1024, 1024));
	E2E_OK(tg_attach(&vm, 5, image.entries, image.pages)); /* 1024 entries of 16 bytes */
	E2E_OK(tg_transfer_2d(&vm, 5, tg_rect(0, 0, 1024, 1024), 0));
	E2E_OK(tg_unref(&vm, 5));
	vm.chunk = 3; /* headers and entries in pieces that respect no field */
	frame_works(&vm, 6, 2);
	vm.chunk = TG_PAGE;
	tg_image_finish(&image);
	guest_close(&vm);
}

/* Stopped with frames on their way to a display that takes a second: whatever was taken is answered
 * before the base is, the rest waits for the resume. */
static void test_stop_resume(void)
{
	struct tg_vm vm;
	struct tg_image image;
	struct tg_request *requests[24];
	if (!guest_open(&vm, NULL))
		return;
	show(&vm, &image, -1, 1, 3);
	E2E_OK(tg_set_scanout(&vm, 1, 1, tg_rect(0, 0, W, H)));
	for (unsigned i = 0; i < 12; i++)
		requests[i] = tg_flush_async(&vm, 1, tg_rect(0, 0, W, H));
	int base = tg_vm_stop_ring(&vm, TG_CONTROL);
	CU_ASSERT_TRUE_FATAL(base >= 0);
	tg_collect(&vm, TG_CONTROL);
	uint16_t untaken = (uint16_t)(vm.ring[TG_CONTROL].avail_idx - base);
	CU_ASSERT_EQUAL(vm.outstanding, untaken);
	for (unsigned i = 12; i < 24; i++)
		requests[i] = tg_flush_async(&vm, 1, tg_rect(0, 0, W, H));
	e2e_sleep_ms(50);
	tg_collect(&vm, TG_CONTROL);
	CU_ASSERT_EQUAL(vm.outstanding, untaken + 12u);
	CU_ASSERT_EQUAL(tg_vm_start_ring(&vm, TG_CONTROL, (uint16_t)base), 0);
	tg_ring_kick_always(&vm.ring[TG_CONTROL]);
	for (unsigned i = 0; i < 24; i++)
		E2E_OK(tg_finish(requests[i], NULL, 0));
	CU_ASSERT_EQUAL(vm.outstanding, 0);
	/* The device is as it was. */
	CU_ASSERT_EQUAL(e2e_differences(&e, "main", pixels, 0, 0, W, H), 0);
	E2E_OK(present(&vm, 1));
	tg_image_finish(&image);
	guest_close(&vm);
}

static void test_disable(void)
{
	struct tg_vm vm;
	if (!guest_open(&vm, NULL))
		return;
	CU_ASSERT_EQUAL(tg_front_set_ring(&vm.front, BN_VU_SET_VRING_ENABLE, TG_CURSOR, 0), 0);
	struct tg_request *move = queue_up_move(&vm, 1);
	tg_ring_kick_always(&vm.ring[TG_CURSOR]);
	E2E_ANSWER(info(&vm), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	e2e_sleep_ms(50);
	CU_ASSERT_FALSE(tg_done(move));
	CU_ASSERT_EQUAL(tg_front_set_ring(&vm.front, BN_VU_SET_VRING_ENABLE, TG_CURSOR, 1), 0);
	E2E_OK(tg_finish(move, NULL, 0));
	guest_close(&vm);
}

static void test_regions(void)
{
	for (unsigned table = 0; table < 2; table++) {
		struct tg_options options = {.regions = 8, .mem_table = table};
		struct tg_vm vm;
		if (!guest_open(&vm, &options))
			return;
		frame_works(&vm, 1, 4 + table);
		guest_close(&vm);
	}
}

/* One backing entry may cross two regions that touch. */
static void test_touching_regions(void)
{
	struct tg_vm vm;
	struct virtio_gpu_mem_entry entry;
	if (!guest_open(&vm, NULL))
		return;
	const uint64_t at = 0x100000000ull, half = 8 * TG_PAGE;
	int low = tg_mem_add(&vm.mem, at, half), high = tg_mem_add(&vm.mem, at + half, half);
	CU_ASSERT_EQUAL(tg_vm_add_region(&vm, low), 0);
	CU_ASSERT_EQUAL(tg_vm_add_region(&vm, high), 0);
	tg_pattern(pixels, W, H, 6);
	const size_t first = half - 1000, rest = sizeof(pixels) - first;
	memcpy(tg_mem_host(&vm.mem, at + 1000, first), pixels, first);
	memcpy(tg_mem_host(&vm.mem, at + half, rest), (uint8_t *)pixels + first, rest);
	entry = (struct virtio_gpu_mem_entry){.addr = at + 1000, .length = sizeof(pixels)};
	E2E_OK(tg_create_2d(&vm, 1, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, W, H));
	E2E_OK(tg_attach(&vm, 1, &entry, 1));
	E2E_OK(present(&vm, 1));
	CU_ASSERT_EQUAL(e2e_differences(&e, "main", pixels, 0, 0, W, H), 0);
	guest_close(&vm);
}

static void test_hotplug(void)
{
	struct tg_vm vm;
	struct tg_image image;
	if (!guest_open(&vm, NULL))
		return;
	const uint64_t at = 0x200000000ull;
	for (unsigned round = 0; round < 3; round++) {
		int slot = tg_mem_add(&vm.mem, at, 1 << 20);
		CU_ASSERT_EQUAL(tg_vm_add_region(&vm, slot), 0);
		show(&vm, &image, slot, 1, 7 + round);
		if (round < 2) { /* the proper way */
			E2E_OK(tg_detach(&vm, 1));
			E2E_OK(tg_unref(&vm, 1));
		}
		CU_ASSERT_EQUAL(tg_vm_remove_region(&vm, slot), 0);
		if (round == 2) {
			/* Memory that was taken away under a resource: an error, or whatever the
			 * host still holds of it, but no harm. */
			uint32_t type = tg_transfer_2d(&vm, 1, tg_rect(0, 0, W, H), 0);
			CU_ASSERT_TRUE(type >= VIRTIO_GPU_RESP_ERR_UNSPEC);
			E2E_OK(tg_unref(&vm, 1));
		}
		/* What is no longer guest memory is no backing. */
		E2E_OK(tg_create_2d(&vm, 2, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, W, H));
		CU_ASSERT_TRUE(tg_attach(&vm, 2, image.entries, image.pages) >=
			       VIRTIO_GPU_RESP_ERR_UNSPEC);
		E2E_OK(tg_unref(&vm, 2));
		tg_image_finish(&image);
		tg_mem_drop(&vm.mem, slot);
		frame_works(&vm, 3, 20 + round);
	}
	guest_close(&vm);
}

/* Reset while frames and transfers are under way, several times, as a guest kernel that panics and
 * reboots does. */
static void test_reset(void)
{
	struct tg_vm vm;
	struct tg_image image;
	if (!guest_open(&vm, NULL))
		return;
	for (unsigned round = 0; round < 3; round++) {
		show(&vm, &image, -1, 1, 30 + round);
		E2E_OK(tg_set_scanout(&vm, 1, 1, tg_rect(0, 0, W, H)));
		for (unsigned i = 0; i < 20; i++)
			tg_flush_async(&vm, 1, tg_rect(0, 0, W, H));
		CU_ASSERT_EQUAL(tg_front_set(&vm.front, BN_VU_RESET_DEVICE, NULL, 0, NULL, 0), 0);
		tg_vm_forget(&vm);
		CU_ASSERT_EQUAL_FATAL(tg_vm_start(&vm), 0);
		E2E_ANSWER(tg_unref(&vm, 1), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		tg_image_finish(&image);
		frame_works(&vm, 1, 40 + round);
	}
	guest_close(&vm);
}

static void test_reconnect(void)
{
	struct tg_vm vm;
	struct tg_image image;
	for (unsigned round = 0; round < 6; round++) {
		if (!guest_open(&vm, NULL))
			return;
		E2E_ANSWER(tg_unref(&vm, 1), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		show(&vm, &image, -1, 1, 50 + round);
		tg_flush_async(&vm, 1, tg_rect(0, 0, W, H));
		tg_image_finish(&image);
		guest_close(&vm);
	}
}

/* Connections that end after any number of steps leave nothing behind. */
static void test_half_connections(void)
{
	for (unsigned round = 0; round < 8; round++) {
		struct tg_vm vm;
		CU_ASSERT_EQUAL(tg_vm_prepare(&vm, NULL), 0);
		if (round % 4 == 0)
			CU_ASSERT_EQUAL(tg_front_connect(&vm.front, e2e_socket(&e, "a")), 0);
		if (round % 4 > 0)
			CU_ASSERT_EQUAL(tg_vm_connect(&vm, e2e_socket(&e, "a")), 0);
		if (round % 4 > 1)
			CU_ASSERT_EQUAL(tg_vm_announce(&vm), 0);
		if (round % 4 > 2) {
			CU_ASSERT_EQUAL(
				tg_front_set_u64(&vm.front, BN_VU_SET_FEATURES, vm.front.features),
				0);
			CU_ASSERT_EQUAL(tg_vm_start_ring(&vm, TG_CURSOR, 0), 0);
		}
		tg_vm_close(&vm);
	}
	struct tg_vm vm;
	if (!guest_open(&vm, NULL))
		return;
	frame_works(&vm, 1, 60);
	guest_close(&vm);
}

static void test_set_socket(void)
{
	struct tg_vm vm;
	if (!guest_open(&vm, NULL))
		return;
	int pairs[4][2];
	for (unsigned i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
		CU_ASSERT_EQUAL(
			tg_front_set(&vm.front, BN_VU_GPU_SET_SOCKET, NULL, 0, &pairs[i][1], 1), 0);
		close(pairs[i][1]);
		frame_works(&vm, 1, 70 + i);
	}
	for (unsigned i = 0; i < 4; i++)
		close(pairs[i][0]);
	frame_works(&vm, 1, 75);
	guest_close(&vm);
}

static void test_call_changes(void)
{
	struct tg_vm vm;
	if (!guest_open(&vm, NULL))
		return;
	struct tg_ring *ring = &vm.ring[TG_CONTROL];
	for (unsigned round = 0; round < 10; round++) {
		int call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		CU_ASSERT_EQUAL(
			tg_front_set_ring_fd(&vm.front, BN_VU_SET_VRING_CALL, TG_CONTROL, call), 0);
		close(ring->call);
		ring->call = call;
		E2E_ANSWER(info(&vm), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	}
	/* Without a call fd the driver has to look for itself. */
	CU_ASSERT_EQUAL(tg_front_set_ring_fd(&vm.front, BN_VU_SET_VRING_CALL, TG_CONTROL, -1), 0);
	struct tg_request *request = queue_up_info(&vm);
	tg_ring_kick_always(ring);
	for (unsigned i = 0; i < 2000 && !tg_done(request); i++)
		e2e_sleep_ms(5);
	E2E_ANSWER(tg_finish(request, NULL, 0), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	CU_ASSERT_EQUAL(
		tg_front_set_ring_fd(&vm.front, BN_VU_SET_VRING_CALL, TG_CONTROL, ring->call), 0);
	frame_works(&vm, 1, 80);
	guest_close(&vm);
}

/* A new kick fd for a ring that runs: requests before and after it are answered. */
static void test_kick_changes(void)
{
	struct tg_vm vm;
	if (!guest_open(&vm, NULL))
		return;
	struct tg_ring *ring = &vm.ring[TG_CONTROL];
	for (unsigned round = 0; round < 10; round++) {
		int kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		struct tg_request *before = queue_up_info(&vm);
		tg_ring_kick_always(ring);
		CU_ASSERT_EQUAL(
			tg_front_set_ring_fd(&vm.front, BN_VU_SET_VRING_KICK, TG_CONTROL, kick), 0);
		close(ring->kick);
		ring->kick = kick;
		struct tg_request *after = queue_up_info(&vm);
		tg_ring_kick_always(ring);
		E2E_ANSWER(tg_finish(before, NULL, 0), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
		E2E_ANSWER(tg_finish(after, NULL, 0), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	}
	guest_close(&vm);
}

/* User-Mode Linux: a table whose message is longer than its one region, no REPLY_ACK, call fds that
 * are stream sockets. */
static void test_uml_manners(void)
{
	struct tg_vm vm;
	const struct tg_options options = {
		.protocol_off = 1ull << BN_VU_PROTOCOL_F_REPLY_ACK |
				1ull << BN_VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS |
				1ull << BN_VU_PROTOCOL_F_RESET_DEVICE};
	CU_ASSERT_EQUAL_FATAL(tg_vm_prepare(&vm, &options), 0);
	CU_ASSERT_EQUAL_FATAL(tg_vm_connect(&vm, e2e_socket(&e, "a")), 0);
	struct bn_vu_mem_table table = {.nregions = 1, .region = {tg_mem_describe(&vm.mem, 0)}};
	CU_ASSERT_EQUAL(
		tg_front_set(&vm.front, BN_VU_SET_MEM_TABLE, &table, 72, &vm.mem.region[0].fd, 1),
		0);
	int call[2];
	CU_ASSERT_EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, call), 0);
	CU_ASSERT_EQUAL(tg_vm_start(&vm), 0);
	CU_ASSERT_EQUAL(
		tg_front_set_ring_fd(&vm.front, BN_VU_SET_VRING_CALL, TG_CONTROL, call[1]), 0);
	close(vm.ring[TG_CONTROL].call);
	close(call[1]);
	vm.ring[TG_CONTROL].call = call[0];
	frame_works(&vm, 1, 90);
	guest_close(&vm);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"service starts", test_start},
		{"70000 requests", test_wrap},
		{"70000 requests without EVENT_IDX and INDIRECT", test_wrap_plain},
		{"tiny queues, EVENT_IDX without INDIRECT", test_wrap_event_idx_only},
		{"queues of 1024", test_wrap_big_queue},
		{"chains longer than the queue", test_long_chains},
		{"stop and resume in flight", test_stop_resume},
		{"disable and enable", test_disable},
		{"eight regions", test_regions},
		{"backing across regions", test_touching_regions},
		{"memory hot-plug", test_hotplug},
		{"reset in mid-frame", test_reset},
		{"reconnect", test_reconnect},
		{"connections that end early", test_half_connections},
		{"GPU_SET_SOCKET repeated", test_set_socket},
		{"call fd changes", test_call_changes},
		{"kick fd changes", test_kick_changes},
		{"User-Mode Linux' manners", test_uml_manners},
		{"service stops", test_stop},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("ring", tests);
}
