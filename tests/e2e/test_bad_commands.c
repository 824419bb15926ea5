/* A guest that sends virtio-gpu commands which no driver would: each is answered with the
 * specification's error, and the VM is served on. */
#include <stdlib.h>
#include <string.h>

#include "bad.h"

static void test_unknown_commands(void)
{
	struct tg_vm vm;
	static const uint32_t types[] = {0, 1, 0xff, 0x0ff, 0x10c, 0x10d, 0x10e, 0x1ff, 0x208,
		0x209, 0x20a, 0x2ff, 0x300, 0x301, 0x400, 0x1100, 0x1200, 0x7fffffff, 0xffffffff};
	if (!bad_open(&vm))
		return;
	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		uint8_t bytes[128] = {0};
		struct virtio_gpu_ctrl_hdr hdr = {.type = types[i]};
		tg_fence(&vm, &hdr);
		memcpy(bytes, &hdr, sizeof(hdr));
		E2E_ANSWER(
			tg_command(&vm, bytes, sizeof(bytes), NULL, 0), VIRTIO_GPU_RESP_ERR_UNSPEC);
	}
	bad_close(&vm);
}

/* On the cursor queue: commands that belong elsewhere, pieces of commands. */
static void test_cursor_queue(void)
{
	struct tg_vm vm;
	if (!bad_open(&vm))
		return;
	for (uint32_t len = 0; len <= 56; len += 8) {
		uint8_t bytes[56] = {0};
		uint32_t type =
			len % 16 ? VIRTIO_GPU_CMD_UPDATE_CURSOR : VIRTIO_GPU_CMD_GET_DISPLAY_INFO;
		memcpy(bytes, &type, 4);
		struct iovec out = {bytes, len ? len : 4};
		struct tg_request *request = tg_submit(&vm, TG_CURSOR, &out, 1, 24);
		CU_ASSERT_TRUE(request && tg_wait(request));
		tg_finish(request, NULL, 0);
	}
	uint32_t big = 0xffffffff;
	struct virtio_gpu_update_cursor cursors[] = {{.pos = {99, 0, 0, 0}},
		{.pos = {big, big, big, big}, .resource_id = big}, {.resource_id = 77},
		{.hot_x = big, .hot_y = big, .pos = {0, big, big, 0}}};
	for (unsigned i = 0; i < 4; i++) {
		for (unsigned k = 0; k < 2; k++) {
			uint32_t type =
				k ? VIRTIO_GPU_CMD_MOVE_CURSOR : VIRTIO_GPU_CMD_UPDATE_CURSOR;
			struct tg_request *request = tg_cursor_async(&vm, type, &cursors[i]);
			CU_ASSERT_TRUE(request && tg_wait(request));
			tg_finish(request, NULL, 0);
		}
	}
	E2E_OK(tg_create_2d(&vm, 5, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 32, 32)); /* not 64 × 64 */
	struct virtio_gpu_update_cursor small = {.resource_id = 5};
	tg_finish(tg_cursor_async(&vm, VIRTIO_GPU_CMD_UPDATE_CURSOR, &small), NULL, 0);
	bad_close(&vm);
}

/* Each command cut at every length: an error or an empty answer, and nothing written past what the
 * device says. */
static void test_short_commands(void)
{
	struct tg_vm vm;
	static const uint32_t types[] = {0x101, 0x102, 0x103, 0x104, 0x105, 0x106, 0x107, 0x108,
		0x109, 0x10a, 0x10b, 0x200, 0x202, 0x203, 0x204, 0x205, 0x206, 0x207};
	if (!bad_open(&vm))
		return;
	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		for (uint32_t len = 1; len <= 24; len += i % 3 + 1) {
			uint8_t bytes[24] = {0};
			struct virtio_gpu_ctrl_hdr hdr = {.type = types[i], .ctx_id = 1};
			memcpy(bytes, &hdr, sizeof(hdr));
			struct iovec out = {bytes, len};
			struct tg_request *request = tg_submit(&vm, TG_CONTROL, &out, 1, 24);
			CU_ASSERT_TRUE_FATAL(request && tg_wait(request));
			CU_ASSERT_TRUE(request->written == 0 || request->written == 24);
			struct virtio_gpu_ctrl_hdr answer;
			tg_finish(request, &answer, sizeof(answer));
			CU_ASSERT_TRUE(bad_is_error(answer.type));
		}
	}
	bad_close(&vm);
}

/* Room for the answer that is too small, or none. */
static void test_small_answers(void)
{
	struct tg_vm vm;
	if (!bad_open(&vm))
		return;
	static const uint32_t rooms[] = {0, 1, 4, 8, 23, 24, 25, 100, 407};
	for (unsigned i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		struct virtio_gpu_ctrl_hdr info = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
		struct virtio_gpu_cmd_get_edid edid = {{.type = VIRTIO_GPU_CMD_GET_EDID}};
		struct virtio_gpu_get_capset caps = {
			{.type = VIRTIO_GPU_CMD_GET_CAPSET}, .capset_id = VIRTIO_GPU_CAPSET_VIRGL2};
		struct iovec outs[] = {
			{&info, sizeof(info)}, {&edid, sizeof(edid)}, {&caps, sizeof(caps)}};
		for (unsigned k = 0; k < 3; k++) {
			struct tg_request *request =
				tg_submit(&vm, TG_CONTROL, &outs[k], 1, rooms[i]);
			CU_ASSERT_TRUE_FATAL(request && tg_wait(request));
			CU_ASSERT_TRUE(request->written <= rooms[i]);
			tg_finish(request, NULL, 0);
		}
	}
	/* Far too much room, and far too long a command. */
	static uint8_t oversized[60000];
	struct virtio_gpu_ctrl_hdr info = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
	memcpy(oversized, &info, sizeof(info));
	struct iovec out = {oversized, sizeof(oversized)};
	E2E_ANSWER(tg_finish(tg_submit(&vm, TG_CONTROL, &out, 1, 200000), NULL, 0),
		VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	bad_close(&vm);
}

static void test_ids(void)
{
	struct tg_vm vm;
	uint8_t uuid[16];
	if (!bad_open(&vm))
		return;
	struct virtio_gpu_rect r = tg_rect(0, 0, 16, 16);
	struct virtio_gpu_mem_entry entry = {.addr = TG_MEM_BASE, .length = TG_PAGE};
	static const uint32_t ids[] = {0, 1, 12345, 0x7fffffff, 0xffffffff};
	for (unsigned i = 0; i < 5; i++) {
		E2E_ANSWER(tg_unref(&vm, ids[i]), RESOURCE);
		E2E_ANSWER(tg_attach(&vm, ids[i], &entry, 1), RESOURCE);
		E2E_ANSWER(tg_detach(&vm, ids[i]), RESOURCE);
		E2E_ANSWER(tg_transfer_2d(&vm, ids[i], r, 0), RESOURCE);
		E2E_ANSWER(tg_flush(&vm, ids[i], r), RESOURCE);
		E2E_ANSWER(tg_assign_uuid(&vm, ids[i], uuid), RESOURCE);
		if (ids[i])
			E2E_ANSWER(tg_set_scanout(&vm, 0, ids[i], r), RESOURCE);
	}
	E2E_ANSWER(tg_create_2d(&vm, 0, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 16, 16), RESOURCE);
	E2E_OK(tg_create_2d(&vm, 1, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 16, 16));
	E2E_ANSWER(tg_create_2d(&vm, 1, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 16, 16), RESOURCE);
	E2E_ANSWER(tg_set_scanout(&vm, 1, 1, r), SCANOUT);
	E2E_ANSWER(tg_set_scanout(&vm, 16, 1, r), SCANOUT);
	E2E_ANSWER(tg_set_scanout(&vm, 0xffffffff, 0, r), SCANOUT);
	E2E_OK(tg_unref(&vm, 1));
	E2E_ANSWER(tg_unref(&vm, 1), RESOURCE);
	bad_close(&vm);
}

static void test_sizes(void)
{
	struct tg_vm vm;
	if (!bad_open(&vm))
		return;
	uint32_t bgrx = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, most = 0xffffffff;
	static const uint32_t sizes[][2] = {{0, 0}, {0, 16}, {16, 0}, {0xffffffff, 1},
		{1, 0xffffffff}, {0xffffffff, 0xffffffff}, {65536, 65536}, {32768, 32768},
		{0x40000001, 1}, {16384, 16384}};
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		IS_ERROR(tg_create_2d(&vm, 1, bgrx, sizes[i][0], sizes[i][1]));
	IS_ERROR(tg_create_2d(&vm, 1, 0, 16, 16));
	IS_ERROR(tg_create_2d(&vm, 1, 5, 16, 16));
	IS_ERROR(tg_create_2d(&vm, 1, most, 16, 16));
	/* More than memory-max in many pieces: at some point no more, and all of it is given back.
	 */
	unsigned made = 0;
	while (made < 100 &&
		tg_create_2d(&vm, 100 + made, bgrx, 1024, 1024) == VIRTIO_GPU_RESP_OK_NODATA)
		made++;
	CU_ASSERT_TRUE(made >= 8 && made <= 16);
	E2E_ANSWER(
		tg_create_2d(&vm, 100 + made, bgrx, 1024, 1024), VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	for (unsigned i = 0; i < made; i++)
		E2E_OK(tg_unref(&vm, 100 + i));
	bad_close(&vm);
}

static void test_rectangles(void)
{
	struct tg_vm vm;
	struct tg_image image;
	if (!bad_open(&vm))
		return;
	CU_ASSERT_EQUAL_FATAL(tg_image_init(&image, &vm, -1, 100, 50), 0);
	E2E_OK(tg_create_2d(&vm, 1, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 100, 50));
	IS_ERROR(tg_transfer_2d(&vm, 1, tg_rect(0, 0, 100, 50), 0)); /* nothing attached */
	E2E_OK(tg_attach(&vm, 1, image.entries, image.pages));
	E2E_OK(tg_set_scanout(&vm, 0, 1, tg_rect(0, 0, 100, 50)));
	uint32_t most = 0xffffffff;
	const struct virtio_gpu_rect bad[] = {{0, 0, 101, 50}, {0, 0, 100, 51}, {1, 0, 100, 50},
		{0, 1, 100, 50}, {100, 50, 1, 1}, {most, 0, 2, 1}, {0, most, 1, 2},
		{most, most, most, most}, {0, 0, most, most}, {50, 25, most - 49, 1},
		{0x80000000, 0, 0x80000000, 1}};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		E2E_ANSWER(tg_transfer_2d(&vm, 1, bad[i], 0), PARAMETER);
		E2E_ANSWER(tg_set_scanout(&vm, 0, 1, bad[i]), PARAMETER);
		E2E_ANSWER(tg_flush(&vm, 1, bad[i]), PARAMETER);
	}
	const uint64_t offsets[] = {
		100 * 50 * 4, 100 * 49 * 4 + 1, 1ull << 32, 1ull << 63, ~0ull, ~0ull - 3};
	for (unsigned i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
		IS_ERROR(tg_transfer_2d(&vm, 1, tg_rect(0, 0, 100, 50), offsets[i]));
	E2E_OK(tg_transfer_2d(&vm, 1, tg_rect(0, 0, 100, 50), 0));
	tg_image_finish(&image);
	bad_close(&vm);
}

static void test_backing(void)
{
	struct tg_vm vm;
	if (!bad_open(&vm))
		return;
	E2E_OK(tg_create_2d(&vm, 1, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 64, 64));
	const uint64_t end = TG_MEM_BASE + vm.options.memory;
	const struct virtio_gpu_mem_entry bad[] = {{0, TG_PAGE, 0}, {TG_MEM_BASE - 1, TG_PAGE, 0},
		{end, 1, 0}, {end - 1, 2, 0}, {TG_MEM_BASE, 0xffffffff, 0}, {~0ull, TG_PAGE, 0},
		{~0ull - 100, 101, 0}, {1ull << 63, TG_PAGE, 0},
		{TG_MEM_BASE + TG_USER_OFFSET, TG_PAGE, 0}};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct virtio_gpu_mem_entry entries[2] = {{TG_MEM_BASE, TG_PAGE, 0}, bad[i]};
		IS_ERROR(tg_attach(&vm, 1, &bad[i], 1));
		IS_ERROR(tg_attach(&vm, 1, entries, 2));
	}
	struct virtio_gpu_mem_entry good = {TG_MEM_BASE, 64 * 64 * 4, 0};
	IS_ERROR(tg_attach_claiming(&vm, 1, &good, 1, 0));
	IS_ERROR(tg_attach_claiming(&vm, 1, &good, 1, 2));
	IS_ERROR(tg_attach_claiming(&vm, 1, &good, 1, 0x10000000));
	IS_ERROR(tg_attach_claiming(&vm, 1, &good, 1, 0x10000001));
	IS_ERROR(tg_attach_claiming(&vm, 1, &good, 1, 0xffffffff));
	IS_ERROR(tg_attach_claiming(&vm, 1, NULL, 0, 1));
	E2E_OK(tg_attach(&vm, 1, &good, 1));
	IS_ERROR(tg_attach(&vm, 1, &good, 1)); /* it has one */
	E2E_OK(tg_transfer_2d(&vm, 1, tg_rect(0, 0, 64, 64), 0));
	/* A backing that is shorter than the picture. */
	E2E_OK(tg_detach(&vm, 1));
	IS_ERROR(tg_detach(&vm, 1));
	good.length = 100;
	if (tg_attach(&vm, 1, &good, 1) == VIRTIO_GPU_RESP_OK_NODATA)
		IS_ERROR(tg_transfer_2d(&vm, 1, tg_rect(0, 0, 64, 64), 0));
	E2E_OK(tg_unref(&vm, 1));
	bad_close(&vm);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"service starts", bad_start},
		{"unknown commands", test_unknown_commands},
		{"cursor queue", test_cursor_queue},
		{"short commands", test_short_commands},
		{"short and oversized buffers", test_small_answers},
		{"ids that do not exist", test_ids},
		{"sizes", test_sizes},
		{"rectangles and offsets", test_rectangles},
		{"backing outside guest memory", test_backing},
		{"no fd lost, service stops", bad_stop},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("bad commands", tests);
}
