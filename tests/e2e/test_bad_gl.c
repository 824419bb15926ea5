/* A guest that misuses contexts, 3D resources, transfers and command streams. */
#include <stddef.h>
#include <string.h>

#include "app.h"
#include "bad.h"
#include "virgl_stream.h"

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
	if (!bad_open(&vm) || !has_gl(&vm))
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
	bad_close(&vm);
}

#define MOST 0xffffffffu
#define RES(member) offsetof(struct virtio_gpu_resource_create_3d, member)

/* One wrong field each in a resource that is right otherwise. */
static const struct {
	const char *name;
	size_t at;
	uint32_t value;
} resources[] = {
	{"target 99", RES(target), 99},
	{"largest target", RES(target), MOST},
	{"format out of range", RES(format), 0xffff},
	{"largest format", RES(format), MOST},
	{"format 0", RES(format), 0},
	{"largest width", RES(width), MOST},
	{"largest height", RES(height), MOST},
	{"width 65536", RES(width), 65536},
	{"width 0", RES(width), 0},
	{"height 0", RES(height), 0},
	{"depth of a flat texture", RES(depth), MOST},
	{"layers of a plain texture", RES(array_size), MOST},
	{"1000 levels", RES(last_level), 1000},
	{"largest level", RES(last_level), MOST},
	{"samples", RES(nr_samples), MOST},
};

static void test_3d_resources(void)
{
	struct tg_vm vm;
	if (!bad_open(&vm) || !has_gl(&vm))
		return;
	struct virtio_gpu_resource_create_3d args = texture(0);
	E2E_ANSWER(tg_create_3d(&vm, &args), RESOURCE);
	for (unsigned i = 0; i < sizeof(resources) / sizeof(resources[0]); i++) {
		args = texture(10);
		memcpy((uint8_t *)&args + resources[i].at, &resources[i].value, 4);
		uint32_t type = tg_create_3d(&vm, &args);
		bad_assert_error(type, resources[i].name, __FILE__, __LINE__);
		if (!bad_is_error(type))
			tg_unref(&vm, 10);
	}
	/* More than the VM may have. */
	args = texture(10);
	args.target = 3; /* PIPE_TEXTURE_3D */
	args.width = args.height = args.depth = 2048;
	IS_ERROR(tg_create_3d(&vm, &args));
	/* Bits that nobody knows: whatever the answer, it goes on. */
	args = texture(11);
	args.bind = args.flags = MOST;
	if (tg_create_3d(&vm, &args) == VIRTIO_GPU_RESP_OK_NODATA)
		E2E_OK(tg_unref(&vm, 11));
	args = texture(10);
	E2E_OK(tg_create_3d(&vm, &args));
	E2E_ANSWER(tg_create_3d(&vm, &args), RESOURCE);
	E2E_OK(tg_unref(&vm, 10));
	bad_close(&vm);
}

#define BOX(member) offsetof(struct virtio_gpu_transfer_host_3d, box.member)
#define MOVE(member) offsetof(struct virtio_gpu_transfer_host_3d, member)

static const struct {
	const char *name;
	size_t at;
	uint64_t value;
	size_t size;
} transfers[] = {
	{"a pixel too wide", BOX(w), 65, 4},
	{"largest height", BOX(h), MOST, 4},
	{"largest x", BOX(x), MOST, 4},
	{"y of 2 billion", BOX(y), 0x80000000, 4},
	{"layer 5 of 1", BOX(z), 5, 4},
	{"largest depth", BOX(d), MOST, 4},
	{"level 1 of 0", MOVE(level), 1, 4},
	{"level 31", MOVE(level), 31, 4},
	{"largest level", MOVE(level), MOST, 4},
	{"offset of 2^63", MOVE(offset), 1ull << 63, 8},
	{"largest offset", MOVE(offset), ~0ull, 8},
	{"a byte past the backing", MOVE(offset), 1, 8},
	{"largest stride", MOVE(stride), MOST, 4},
	{"stride of 2 GiB", MOVE(stride), 0x80000000, 4},
};

static void test_3d_transfers(void)
{
	struct tg_vm vm;
	struct tg_image image;
	if (!bad_open(&vm) || !has_gl(&vm))
		return;
	struct virtio_gpu_resource_create_3d args = texture(10);
	E2E_OK(tg_ctx_create(&vm, 1, 2, "one"));
	E2E_OK(tg_create_3d(&vm, &args));
	E2E_OK(tg_ctx_attach(&vm, 1, 10));
	const struct virtio_gpu_transfer_host_3d good = {
		.box = {0, 0, 0, 64, 64, 1}, .resource_id = 10, .stride = 256};
	const uint32_t to = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D;
	const uint32_t from = VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D;
	IS_ERROR(tg_transfer_3d(&vm, to, 1, &good)); /* no backing */
	CU_ASSERT_EQUAL_FATAL(tg_image_init(&image, &vm, -1, 64, 64), 0);
	E2E_OK(tg_attach(&vm, 10, image.entries, image.pages));
	for (unsigned i = 0; i < 2 * sizeof(transfers) / sizeof(transfers[0]); i++) {
		struct virtio_gpu_transfer_host_3d bad = good;
		memcpy((uint8_t *)&bad + transfers[i / 2].at, &transfers[i / 2].value,
			transfers[i / 2].size);
		bad_assert_error(tg_transfer_3d(&vm, i % 2 ? from : to, 1, &bad),
			transfers[i / 2].name, __FILE__, __LINE__);
	}
	E2E_OK(tg_transfer_3d(&vm, to, 1, &good));
	E2E_OK(tg_transfer_3d(&vm, from, 1, &good));
	tg_image_finish(&image);
	bad_close(&vm);
}

/* Formats that are no scanout's, backed by one piece of memory: the library then works on guest
 * memory itself, and what the strides reach must be inside. */
static void test_3d_strides(void)
{
	struct tg_vm vm;
	if (!bad_open(&vm) || !has_gl(&vm))
		return;
	static const struct {
		uint32_t stride, layer_stride, height, depth;
	} bad[] = {{MOST - 15, 0, 64, 1}, {0x80000000, 0, 64, 1}, {0x10000000, 0, 17, 1},
		{1024, 0x80000000, 64, 3}, {1024, MOST - 1023, 64, 3}, {0x4000000, 0, 64, 2},
		{0x4000000, 0, 1, 2}, {0x100000, 0, 1, 4}};
	uint64_t memory = tg_mem_alloc(&vm.mem, -1, 64 * 1024 * 4);
	struct virtio_gpu_mem_entry entry = {.addr = memory, .length = 64 * 1024 * 4};
	E2E_OK(tg_ctx_create(&vm, 1, 2, "one"));
	for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct virtio_gpu_resource_create_3d args = texture(20 + i);
		args.format = BN_VIRGL_FORMAT_R32G32B32A32_FLOAT;
		args.bind = BN_VIRGL_BIND_SAMPLER_VIEW;
		args.depth = bad[i].depth > 1 ? 4 : 1;
		args.target = bad[i].depth > 1 ? 3 : BN_VIRGL_TARGET_2D; /* PIPE_TEXTURE_3D */
		E2E_OK(tg_create_3d(&vm, &args));
		E2E_OK(tg_ctx_attach(&vm, 1, 20 + i));
		E2E_OK(tg_attach(&vm, 20 + i, &entry, 1));
		struct virtio_gpu_transfer_host_3d t = {
			.box = {0, 0, 0, 64, bad[i].height, bad[i].depth},
			.resource_id = 20 + i,
			.stride = bad[i].stride,
			.layer_stride = bad[i].layer_stride};
		IS_ERROR(tg_transfer_3d(&vm, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 1, &t));
		IS_ERROR(tg_transfer_3d(&vm, VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, 1, &t));
	}
	CU_ASSERT_EQUAL(e2e_vm_int(&e, "evil", "restarts"), 0);
	bad_close(&vm);
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
	if (!bad_open(&vm) || !has_gl(&vm))
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
		CU_ASSERT_TRUE(type == VIRTIO_GPU_RESP_OK_NODATA || bad_is_error(type));
		if (round % 2)
			E2E_OK(tg_ctx_destroy(&vm, ctx));
	}
	bad_close(&vm);
}

/* Makes contexts from `first` on until one is refused; returns how many there are. */
static uint32_t make_contexts(struct tg_vm *vm, uint32_t first)
{
	uint32_t type = VIRTIO_GPU_RESP_OK_NODATA, n = 0;
	while (n < 2000) {
		type = tg_ctx_create(vm, first + n, 2, "one of many");
		if (type != VIRTIO_GPU_RESP_OK_NODATA)
			break;
		n++;
	}
	CU_ASSERT_EQUAL(type, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	return n;
}

/* The context draws, and what it drew is what is shown. */
static void draws_on(struct tg_app *app, uint32_t colour)
{
	static uint32_t want[W * H];
	for (uint32_t i = 0; i < W * H; i++)
		want[i] = colour;
	tg_app_begin(app);
	tg_app_fill(app, 4, 2);
	tg_app_clear(app, colour);
	E2E_OK(tg_app_submit(app));
	E2E_OK(tg_app_show(app, 0));
	E2E_OK(tg_finish(tg_app_flush_async(app), NULL, 0));
	CU_ASSERT_EQUAL(e2e_differences(&e, "centre", want, 0, 0, W, H), 0);
}

/* More GL contexts than this process has memory for: the one that does not fit is refused, and the
 * others go on. */
static void test_many_contexts(void)
{
	struct tg_vm vm;
	struct tg_app app;
	if (!bad_open(&vm) || !has_gl(&vm))
		return;
	int64_t pid = e2e_vm_int(&e, "evil", "renderer_pid");
	CU_ASSERT_EQUAL_FATAL(tg_app_init(&app, &vm, 1, 20, W, H), 0);
	draws_on(&app, 0x204060);
	uint32_t n = make_contexts(&vm, 100);
	printf("\n    %u contexts\n", n);
	CU_ASSERT_TRUE(n >= 8);
	draws_on(&app, 0x806040);
	/* What is given back can be had again. */
	for (uint32_t i = 0; i < n / 2; i++)
		E2E_OK(tg_ctx_destroy(&vm, 100 + i));
	draws_on(&app, 0x604080);
	E2E_OK(tg_ctx_create(&vm, 50, 2, "again"));
	make_contexts(&vm, 5000);
	draws_on(&app, 0x123456);
	CU_ASSERT_EQUAL(e2e_vm_int(&e, "evil", "renderer_pid"), pid);
	CU_ASSERT_EQUAL(e2e_vm_int(&e, "evil", "restarts"), 0);
	tg_app_finish(&app);
	bad_close(&vm);
}

/* The same by sub-contexts, which come in command streams: that context is lost, no other. */
static void test_many_sub_contexts(void)
{
	struct tg_vm vm;
	struct tg_app app;
	static uint32_t words[4096] __attribute__((aligned(8)));
	struct bn_virgl_stream s;
	if (!bad_open(&vm) || !has_gl(&vm))
		return;
	int64_t pid = e2e_vm_int(&e, "evil", "renderer_pid");
	CU_ASSERT_EQUAL_FATAL(tg_app_init(&app, &vm, 1, 20, W, H), 0);
	E2E_OK(tg_ctx_create(&vm, 2, 2, "one at a time"));
	uint32_t type = VIRTIO_GPU_RESP_OK_NODATA, sub = 1;
	for (; sub < 2000 && type == VIRTIO_GPU_RESP_OK_NODATA; sub++) {
		bn_virgl_init(&s, words, 4096);
		bn_virgl_create_sub_ctx(&s, sub);
		bn_virgl_set_sub_ctx(&s, sub);
		type = tg_submit_3d(&vm, 2, words, s.count * 4);
	}
	CU_ASSERT_EQUAL(type, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	CU_ASSERT_TRUE(sub > 8);
	IS_ERROR(tg_submit_3d(&vm, 2, words, s.count * 4));
	draws_on(&app, 0x806040);
	E2E_OK(tg_ctx_destroy(&vm, 2));
	/* In one stream. */
	E2E_OK(tg_ctx_create(&vm, 3, 2, "all at once"));
	bn_virgl_init(&s, words, 4096);
	for (sub = 1; sub < 2000; sub++)
		bn_virgl_create_sub_ctx(&s, sub);
	E2E_ANSWER(tg_submit_3d(&vm, 3, words, s.count * 4), VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	draws_on(&app, 0x654321);
	E2E_OK(tg_ctx_create(&vm, 4, 2, "one more"));
	CU_ASSERT_EQUAL(e2e_vm_int(&e, "evil", "renderer_pid"), pid);
	CU_ASSERT_EQUAL(e2e_vm_int(&e, "evil", "restarts"), 0);
	tg_app_finish(&app);
	bad_close(&vm);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"service starts", bad_start},
		{"contexts", test_contexts},
		{"3D resources", test_3d_resources},
		{"3D transfers", test_3d_transfers},
		{"strides of other formats", test_3d_strides},
		{"command streams", test_streams},
		{"more contexts than fit", test_many_contexts},
		{"more sub-contexts than fit", test_many_sub_contexts},
		{"no fd lost, service stops", bad_stop},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("bad GL", tests);
}
