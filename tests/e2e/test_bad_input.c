/* A guest and a VMM that break every rule: each mistake is answered with the specification's error,
 * the VM that made it is served on (or cleanly disconnected, when the mistake is in the vhost-user
 * stream), and the VM beside it goes on showing frames. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/virtio_config.h>

#include "bystander.h"
#include "virgl_stream.h"

#define W 128u
#define H 96u

static struct e2e e;
static struct bystander *cluster;
static int daemon_fds;

static const char config[] = "[output dash]\nmode=128x96@60\n"
			     "[output centre]\nmode=128x96@60\n"
			     "[vm cluster]\nscanout.0=dash\ngl=no\n"
			     "[vm evil]\nscanout.0=centre\nmemory-max=64M\n";

static void test_start(void)
{
	e2e_open(&e, config);
	cluster = bystander_start(&e, "cluster", W, H);
}

static void test_stop(void)
{
	bystander_stop(cluster);
	cluster = NULL;
	e2e_close(&e);
}

static bool guest_open(struct tg_vm *vm)
{
	int err = tg_vm_open(vm, e2e_socket(&e, "evil"), NULL);
	CU_ASSERT_EQUAL(err, 0);
	if (err)
		tg_vm_close(vm);
	return !err;
}

/* The VM still shows a frame. */
static void serves_on(struct tg_vm *vm)
{
	struct tg_image image;
	static uint32_t pixels[W * H];
	static uint32_t seed;
	CU_ASSERT_EQUAL_FATAL(tg_image_init(&image, vm, -1, W, H), 0);
	tg_pattern(pixels, W, H, ++seed);
	tg_image_write(&image, pixels);
	E2E_OK(tg_image_resource(&image, 900));
	E2E_OK(tg_transfer_2d(vm, 900, tg_rect(0, 0, W, H), 0));
	E2E_OK(tg_set_scanout(vm, 0, 900, tg_rect(0, 0, W, H)));
	E2E_OK(tg_finish(tg_flush_async(vm, 900, tg_rect(0, 0, W, H)), NULL, 0));
	CU_ASSERT_EQUAL(e2e_differences(&e, "centre", pixels, 0, 0, W, H), 0);
	E2E_OK(tg_unref(vm, 900));
	tg_image_finish(&image);
	CU_ASSERT_EQUAL(vm->ring[TG_CONTROL].strays, 0);
	CU_ASSERT_EQUAL(vm->ring[TG_CURSOR].strays, 0);
}

static void guest_close(struct tg_vm *vm)
{
	serves_on(vm);
	tg_vm_close(vm);
	bystander_check(cluster);
}

static bool is_error(uint32_t type)
{
	return type >= VIRTIO_GPU_RESP_ERR_UNSPEC && type <= VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
}

#define IS_ERROR(call)                                                \
	do {                                                          \
		uint32_t got_ = (call);                               \
		if (!is_error(got_))                                  \
			E2E_ANSWER(got_, VIRTIO_GPU_RESP_ERR_UNSPEC); \
	} while (0)

#define RESOURCE VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID
#define PARAMETER VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER
#define SCANOUT VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID
#define CONTEXT VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID

static void test_unknown_commands(void)
{
	struct tg_vm vm;
	static const uint32_t types[] = {0, 1, 0xff, 0x0ff, 0x10c, 0x10d, 0x10e, 0x1ff, 0x208,
		0x209, 0x20a, 0x2ff, 0x300, 0x301, 0x400, 0x1100, 0x1200, 0x7fffffff, 0xffffffff};
	if (!guest_open(&vm))
		return;
	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		uint8_t bytes[128] = {0};
		struct virtio_gpu_ctrl_hdr hdr = {.type = types[i]};
		tg_fence(&vm, &hdr);
		memcpy(bytes, &hdr, sizeof(hdr));
		E2E_ANSWER(
			tg_command(&vm, bytes, sizeof(bytes), NULL, 0), VIRTIO_GPU_RESP_ERR_UNSPEC);
	}
	guest_close(&vm);
}

/* On the cursor queue: commands that belong elsewhere, pieces of commands. */
static void test_cursor_queue(void)
{
	struct tg_vm vm;
	if (!guest_open(&vm))
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
	guest_close(&vm);
}

/* Each command cut at every length: an error or an empty answer, and nothing written past what the
 * device says. */
static void test_short_commands(void)
{
	struct tg_vm vm;
	static const uint32_t types[] = {0x101, 0x102, 0x103, 0x104, 0x105, 0x106, 0x107, 0x108,
		0x109, 0x10a, 0x10b, 0x200, 0x202, 0x203, 0x204, 0x205, 0x206, 0x207};
	if (!guest_open(&vm))
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
			CU_ASSERT_TRUE(is_error(answer.type));
		}
	}
	guest_close(&vm);
}

/* Room for the answer that is too small, or none. */
static void test_small_answers(void)
{
	struct tg_vm vm;
	if (!guest_open(&vm))
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
	guest_close(&vm);
}

static void test_ids(void)
{
	struct tg_vm vm;
	uint8_t uuid[16];
	if (!guest_open(&vm))
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
	guest_close(&vm);
}

static void test_sizes(void)
{
	struct tg_vm vm;
	if (!guest_open(&vm))
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
	guest_close(&vm);
}

static void test_rectangles(void)
{
	struct tg_vm vm;
	struct tg_image image;
	if (!guest_open(&vm))
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
	guest_close(&vm);
}

static void test_backing(void)
{
	struct tg_vm vm;
	if (!guest_open(&vm))
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
	guest_close(&vm);
}

static bool has_gl(const struct tg_vm *vm)
{
	return vm->front.features & (1ull << VIRTIO_GPU_F_VIRGL);
}

static struct virtio_gpu_resource_create_3d texture(uint32_t res)
{
	return (struct virtio_gpu_resource_create_3d){.resource_id = res,
		.target = BN_VIRGL_TARGET_2D,
		.format = BN_VIRGL_FORMAT_B8G8R8A8,
		.bind = BN_VIRGL_BIND_RENDER_TARGET | BN_VIRGL_BIND_SAMPLER_VIEW,
		.width = 64,
		.height = 64,
		.depth = 1,
		.array_size = 1};
}

static void test_contexts(void)
{
	struct tg_vm vm;
	uint32_t words[4] __attribute__((aligned(8))) = {0};
	if (!guest_open(&vm) || !has_gl(&vm))
		return;
	struct virtio_gpu_resource_create_3d args = texture(10);
	E2E_OK(tg_create_3d(&vm, &args));
	E2E_ANSWER(tg_submit_3d(&vm, 1, words, 4), CONTEXT);
	E2E_ANSWER(tg_submit_3d(&vm, 0, words, 4), CONTEXT);
	E2E_ANSWER(tg_ctx_destroy(&vm, 1), CONTEXT);
	E2E_ANSWER(tg_ctx_create(&vm, 0, 2, "zero"), CONTEXT);
	E2E_OK(tg_ctx_create(&vm, 1, 2, "one"));
	E2E_ANSWER(tg_ctx_create(&vm, 1, 2, "again"), CONTEXT);
	IS_ERROR(tg_ctx_create(&vm, 2, 63, "no such capset"));
	E2E_OK(tg_ctx_create(&vm, 3, 2, "three"));
	E2E_ANSWER(tg_ctx_attach(&vm, 1, 999), RESOURCE);
	/* A resource of context 1 through context 3. */
	struct tg_image image;
	struct virtio_gpu_transfer_host_3d t = {
		.box = {0, 0, 0, 64, 64, 1}, .resource_id = 10, .stride = 256};
	CU_ASSERT_EQUAL_FATAL(tg_image_init(&image, &vm, -1, 64, 64), 0);
	E2E_OK(tg_attach(&vm, 10, image.entries, image.pages));
	E2E_OK(tg_ctx_attach(&vm, 1, 10));
	E2E_OK(tg_transfer_3d(&vm, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 1, &t));
	E2E_ANSWER(tg_transfer_3d(&vm, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 3, &t), RESOURCE);
	E2E_ANSWER(tg_transfer_3d(&vm, VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, 3, &t), RESOURCE);
	E2E_ANSWER(tg_transfer_3d(&vm, VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, 4, &t), CONTEXT);
	struct bn_virgl_stream s;
	uint32_t stream[64] __attribute__((aligned(8)));
	bn_virgl_init(&s, stream, 64);
	bn_virgl_create_surface(&s, 1, 10, BN_VIRGL_FORMAT_B8G8R8A8);
	IS_ERROR(tg_submit_3d(&vm, 3, stream, s.count * 4));
	E2E_OK(tg_ctx_destroy(&vm, 1));
	E2E_ANSWER(tg_transfer_3d(&vm, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 1, &t), CONTEXT);
	tg_image_finish(&image);
	guest_close(&vm);
}

static void test_3d_resources(void)
{
	struct tg_vm vm;
	if (!guest_open(&vm) || !has_gl(&vm))
		return;
	struct virtio_gpu_resource_create_3d args = texture(0);
	E2E_ANSWER(tg_create_3d(&vm, &args), RESOURCE);
	uint32_t most = 0xffffffff;
	for (unsigned i = 0; i < 16; i++) {
		args = texture(10);
		switch (i) {
		case 0:
			args.target = 99;
			break;
		case 1:
			args.target = most;
			break;
		case 2:
			args.format = 0xffff;
			break;
		case 3:
			args.format = most;
			break;
		case 4:
			args.format = 0;
			break;
		case 5:
			args.bind = most;
			break;
		case 6:
			args.width = most;
			break;
		case 7:
			args.height = most;
			break;
		case 8:
			args.width = args.height = 65536;
			break;
		case 9:
			args.width = 0;
			break;
		case 10:
			args.depth = most;
			break;
		case 11:
			args.array_size = most;
			break;
		case 12:
			args.last_level = 1000;
			break;
		case 13:
			args.nr_samples = most;
			break;
		case 14:
			args.flags = most;
			break;
		default:
			args.target = 3, args.depth = 4096, args.width = args.height = 4096;
			break;
		}
		IS_ERROR(tg_create_3d(&vm, &args));
	}
	args = texture(10);
	E2E_OK(tg_create_3d(&vm, &args));
	E2E_ANSWER(tg_create_3d(&vm, &args), RESOURCE);
	E2E_OK(tg_unref(&vm, 10));
	guest_close(&vm);
}

static void test_3d_transfers(void)
{
	struct tg_vm vm;
	struct tg_image image;
	if (!guest_open(&vm) || !has_gl(&vm))
		return;
	struct virtio_gpu_resource_create_3d args = texture(10);
	E2E_OK(tg_ctx_create(&vm, 1, 2, "one"));
	E2E_OK(tg_create_3d(&vm, &args));
	E2E_OK(tg_ctx_attach(&vm, 1, 10));
	struct virtio_gpu_transfer_host_3d t = {
		.box = {0, 0, 0, 64, 64, 1}, .resource_id = 10, .stride = 256};
	IS_ERROR(tg_transfer_3d(&vm, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 1, &t)); /* no backing */
	CU_ASSERT_EQUAL_FATAL(tg_image_init(&image, &vm, -1, 64, 64), 0);
	E2E_OK(tg_attach(&vm, 10, image.entries, image.pages));
	uint32_t most = 0xffffffff;
	for (unsigned i = 0; i < 24; i++) {
		struct virtio_gpu_transfer_host_3d bad = t;
		uint32_t type = i % 2 ? VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D
				      : VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D;
		switch (i / 2) {
		case 0:
			bad.box.w = 65;
			break;
		case 1:
			bad.box.h = most;
			break;
		case 2:
			bad.box.x = most;
			break;
		case 3:
			bad.box.y = 0x80000000;
			break;
		case 4:
			bad.box.z = 5;
			break;
		case 5:
			bad.box.d = most;
			break;
		case 6:
			bad.level = 31;
			break;
		case 7:
			bad.level = most;
			break;
		case 8:
			bad.offset = 1ull << 63;
			break;
		case 9:
			bad.offset = ~0ull;
			break;
		case 10:
			bad.offset = 1;
			bad.stride = 256;
			break; /* one byte too far */
		default:
			bad.stride = most;
			break;
		}
		IS_ERROR(tg_transfer_3d(&vm, type, 1, &bad));
	}
	E2E_OK(tg_transfer_3d(&vm, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 1, &t));
	E2E_OK(tg_transfer_3d(&vm, VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, 1, &t));
	tg_image_finish(&image);
	guest_close(&vm);
}

static uint32_t submit_claiming(
	struct tg_vm *vm, uint32_t ctx, const void *data, uint32_t bytes, uint32_t claimed)
{
	struct virtio_gpu_cmd_submit cmd = {
		{.type = VIRTIO_GPU_CMD_SUBMIT_3D, .ctx_id = ctx}, .size = claimed};
	tg_fence(vm, &cmd.hdr);
	struct iovec out[2] = {{&cmd, sizeof(cmd)}, {(void *)data, bytes}};
	return tg_finish(tg_submit(vm, TG_CONTROL, out, 2, sizeof(cmd.hdr)), NULL, 0);
}

static void test_streams(void)
{
	struct tg_vm vm;
	static uint32_t words[4096] __attribute__((aligned(8)));
	if (!guest_open(&vm) || !has_gl(&vm))
		return;
	E2E_OK(tg_ctx_create(&vm, 1, 2, "sizes"));
	IS_ERROR(submit_claiming(&vm, 1, words, 16, 20));
	IS_ERROR(submit_claiming(&vm, 1, words, 16, 6));
	IS_ERROR(submit_claiming(&vm, 1, words, 16, 0xfffffffc));
	IS_ERROR(submit_claiming(&vm, 1, words, 16, 0xffffffff));
	E2E_OK(submit_claiming(&vm, 1, words, 16, 0));
	struct virtio_gpu_ctrl_hdr hdr = {.type = VIRTIO_GPU_CMD_SUBMIT_3D, .ctx_id = 1};
	IS_ERROR(tg_command(&vm, &hdr, sizeof(hdr), NULL, 0));
	/* Random words, headers that point past the end, lengths that lie: each in a context of its
	 * own. */
	uint32_t seed = 12345;
	for (unsigned round = 0; round < 60; round++) {
		uint32_t ctx = 10 + round, n = 1 + round * 13 % 500;
		for (uint32_t i = 0; i < n; i++) {
			seed = seed * 1664525u + 1013904223u;
			words[i] = round % 3 ? seed
					     : (seed >> 16) % 64 | ((seed >> 8) % 12) << 8 |
						       (i % 2 ? 0xffffu : 4u) << 16;
		}
		E2E_OK(tg_ctx_create(&vm, ctx, 2, "garbage"));
		uint32_t type = tg_submit_3d(&vm, ctx, words, n * 4);
		CU_ASSERT_TRUE(type == VIRTIO_GPU_RESP_OK_NODATA || is_error(type));
		if (round % 2)
			E2E_OK(tg_ctx_destroy(&vm, ctx));
	}
	guest_close(&vm);
}

/* ---- descriptors ---- */

static char token;

/* Offers head 0 of hand-made descriptors and waits for it to come back; false when the device
 * stopped the ring instead. */
static bool raw_answered(struct tg_vm *vm, uint16_t head)
{
	struct tg_ring *ring = &vm->ring[TG_CONTROL];
	uint32_t written;
	tg_ring_raw_offer(ring, head, &token);
	tg_ring_kick_always(ring);
	for (unsigned i = 0; i < 100; i++) {
		if (tg_ring_take(ring, &written) == &token)
			return true;
		tg_ring_wait(ring, 20);
	}
	return false;
}

struct chain {
	const char *name;
	struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags, next;
	} desc[4];
};

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT
#define AT(page) (TG_MEM_BASE + (40ull << 20) + (page) * TG_PAGE)

static const struct chain chains[] = {
	{"loop onto itself", {{AT(0), 24, NEXT, 0}}},
	{"loop of three",
		{{AT(0), 24, NEXT, 1}, {AT(0), 24, NEXT, 2}, {AT(1), 24, NEXT | WRITE, 0}}},
	{"next outside the ring", {{AT(0), 24, NEXT, 256}}},
	{"next far outside the ring", {{AT(0), 24, NEXT, 65535}}},
	{"address outside", {{0, 24, NEXT, 1}, {AT(1), 24, WRITE, 0}}},
	{"answer outside", {{AT(0), 24, NEXT, 1}, {~0ull - 8, 24, WRITE, 0}}},
	{"length of 4 GiB", {{AT(0), 0xffffffff, NEXT, 1}, {AT(1), 24, WRITE, 0}}},
	{"length 0", {{AT(0), 0, NEXT, 1}, {AT(1), 24, WRITE, 0}}},
	{"answer of length 0", {{AT(0), 24, NEXT, 1}, {AT(1), 0, WRITE, 0}}},
	{"writable first", {{AT(1), 24, WRITE | NEXT, 1}, {AT(0), 24, 0, 0}}},
	{"nothing readable", {{AT(1), 24, WRITE, 0}}},
	{"nothing writable", {{AT(0), 24, 0, 0}}},
	{"indirect of length 0", {{AT(2), 0, INDIRECT, 0}}},
	{"indirect of odd length", {{AT(2), 33, INDIRECT, 0}}},
	{"indirect of 4 GiB", {{AT(2), 0xfffffff0, INDIRECT, 0}}},
	{"indirect outside", {{~0ull - 31, 32, INDIRECT, 0}}},
	{"indirect with next", {{AT(2), 32, INDIRECT | NEXT, 1}, {AT(1), 24, WRITE, 0}}},
	{"indirect that is writable", {{AT(2), 32, INDIRECT | WRITE, 0}}},
	{"indirect within indirect", {{AT(3), 32, INDIRECT, 0}}},
	{"indirect that loops", {{AT(4), 32, INDIRECT, 0}}},
	{"indirect with next outside", {{AT(5), 32, INDIRECT, 0}}},
	{"all flags", {{AT(0), 24, 0xffff, 1}}},
};

static void write_tables(struct tg_vm *vm)
{
	struct virtio_gpu_ctrl_hdr hdr = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
	memcpy(tg_mem_host(&vm->mem, AT(0), sizeof(hdr)), &hdr, sizeof(hdr));
	struct vring_desc *t = tg_mem_host(&vm->mem, AT(2), TG_PAGE);
	t[0] = (struct vring_desc){AT(0), 24, NEXT, 1};
	t[1] = (struct vring_desc){AT(1), 24, WRITE, 0};
	t = tg_mem_host(&vm->mem, AT(3), TG_PAGE);
	t[0] = (struct vring_desc){AT(2), 32, INDIRECT, 0};
	t = tg_mem_host(&vm->mem, AT(4), TG_PAGE);
	t[0] = (struct vring_desc){AT(0), 24, NEXT, 1};
	t[1] = (struct vring_desc){AT(0), 24, NEXT, 0};
	t = tg_mem_host(&vm->mem, AT(5), TG_PAGE);
	t[0] = (struct vring_desc){AT(0), 24, NEXT, 200};
}

/* After a device that a driver has confused: reset, as a driver would, and on. */
static void reset(struct tg_vm *vm)
{
	CU_ASSERT_EQUAL(tg_front_set(&vm->front, BN_VU_RESET_DEVICE, NULL, 0, NULL, 0), 0);
	tg_vm_forget(vm);
	CU_ASSERT_EQUAL_FATAL(tg_vm_start(vm), 0);
}

static void test_descriptors(void)
{
	struct tg_vm vm;
	if (!guest_open(&vm))
		return;
	write_tables(&vm);
	for (unsigned i = 0; i < sizeof(chains) / sizeof(chains[0]); i++) {
		/* Descriptors are written by hand into an idle ring; its books are made anew
		 * afterwards. */
		for (uint16_t k = 0; k < 4; k++)
			tg_ring_raw_desc(&vm.ring[TG_CONTROL], k, chains[i].desc[k].addr,
				chains[i].desc[k].len, chains[i].desc[k].flags,
				chains[i].desc[k].next);
		bool answered = raw_answered(&vm, 0);
		if (!answered)
			fprintf(stderr, "\nchain \"%s\" is not answered\n", chains[i].name);
		CU_ASSERT_TRUE(answered);
		for (uint16_t k = 0; k < vm.ring[TG_CONTROL].size; k++)
			vm.ring[TG_CONTROL].desc[k].next = k + 1;
		E2E_ANSWER(tg_edid(&vm, 0, &(struct virtio_gpu_resp_edid){0}),
			VIRTIO_GPU_RESP_OK_EDID);
	}
	guest_close(&vm);
}

/* Indices that cannot be: the ring is stopped, and works again after a reset. */
static void test_indices(void)
{
	struct tg_vm vm;
	if (!guest_open(&vm))
		return;
	for (unsigned i = 0; i < 5; i++) {
		struct tg_ring *ring = &vm.ring[i % 2];
		switch (i) {
		case 0:
			tg_ring_raw_offer(ring, 60000, NULL);
			break;
		case 1:
			tg_ring_raw_offer(ring, 16, NULL);
			break;
		case 2:
			tg_ring_raw_skip(ring, 257);
			break;
		case 3:
			tg_ring_raw_skip(ring, 0x8000);
			break;
		default:
			tg_ring_raw_skip(ring, 0xffff);
			break;
		}
		tg_ring_kick_always(ring);
		e2e_sleep_ms(20);
		bystander_check(cluster);
		reset(&vm);
		serves_on(&vm);
	}
	guest_close(&vm);
}

/* A head that is offered again while the device has it. */
static void test_head_twice(void)
{
	struct tg_vm vm;
	if (!guest_open(&vm))
		return;
	struct tg_ring *ring = &vm.ring[TG_CONTROL];
	write_tables(&vm);
	for (unsigned i = 0; i < 8; i++) {
		tg_ring_raw_desc(ring, 0, AT(0), 24, NEXT, 1);
		tg_ring_raw_desc(ring, 1, AT(1), 24, WRITE, 0);
		for (unsigned k = 0; k < 50; k++)
			tg_ring_raw_offer(ring, 0, &token);
		tg_ring_kick_always(ring);
		e2e_sleep_ms(5);
		reset(&vm);
	}
	guest_close(&vm);
}

/* ---- the VMM ---- */

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
		serves_on(vm);
}

static void test_messages(void)
{
	for (unsigned i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		struct tg_vm vm;
		if (!guest_open(&vm))
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
		if (!guest_open(&vm))
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
	if (guest_open(&vm))
		guest_close(&vm);
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
	serves_on(&vm);
	/* The memory goes, rings and all. */
	tg_vm_remove_region(&vm, 0);
	tg_ring_kick_always(&vm.ring[0]);
	bystander_check(cluster);
	CU_ASSERT_EQUAL(tg_vm_add_region(&vm, 0), 0);
	reset(&vm);
	guest_close(&vm);
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
			serves_on(&vm);
		}
		tg_vm_close(&vm);
	}
	bystander_check(cluster);
}

/* A VMM that shrinks its guest's memory file: the pages are gone under the renderer's feet. */
static void test_shrunk_memory(void)
{
	struct tg_vm vm;
	if (!guest_open(&vm))
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
	if (guest_open(&vm))
		guest_close(&vm);
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

/* First and last of the tests between start and stop. The evil VM is gone both times. */
static void count_fds(void)
{
	CU_ASSERT_TRUE(e2e_vm_wait(&e, "evil", "renderer_pid", 1));
	/* What a test left behind may still be on its way out. */
	for (unsigned i = 0; i < 100 && daemon_fds && e2e_fd_count(e.daemon) > daemon_fds; i++)
		e2e_sleep_ms(20);
	int now = e2e_fd_count(e.daemon);
	CU_ASSERT_TRUE(now > 0);
	if (daemon_fds && now > daemon_fds)
		fprintf(stderr, "\nbinnacled: %d fds at the start, %d now\n", daemon_fds, now);
	CU_ASSERT_TRUE(!daemon_fds || now <= daemon_fds);
	daemon_fds = now;
}

static void test_first_look(void)
{
	struct tg_vm vm;
	if (guest_open(&vm))
		guest_close(&vm);
	e2e_sleep_ms(300);
	count_fds();
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"service starts", test_start},
		{"fds counted", test_first_look},
		{"unknown commands", test_unknown_commands},
		{"cursor queue", test_cursor_queue},
		{"short commands", test_short_commands},
		{"short and oversized buffers", test_small_answers},
		{"ids that do not exist", test_ids},
		{"sizes", test_sizes},
		{"rectangles and offsets", test_rectangles},
		{"backing outside guest memory", test_backing},
		{"contexts", test_contexts},
		{"3D resources", test_3d_resources},
		{"3D transfers", test_3d_transfers},
		{"command streams", test_streams},
		{"descriptor chains", test_descriptors},
		{"ring indices", test_indices},
		{"one head twice", test_head_twice},
		{"vhost-user messages", test_messages},
		{"truncated messages", test_truncated},
		{"messages out of order", test_order},
		{"ring addresses", test_ring_addresses},
		{"memory that shrinks", test_shrunk_memory},
		{"control socket", test_control},
		{"no fd is lost", count_fds},
		{"service stops", test_stop},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("bad input", tests);
}
