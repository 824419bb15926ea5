/* OpenGL by hand-written virgl streams: what the GPU library draws is read back exactly, fences
 * come in order, a broken context harms nobody else, and frames are paced by the display. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "virgl_stream.h"

#define W 160u
#define H 120u
#define WORDS 4096

static struct e2e e;

static const char config[] = "[output paced]\nmode=160x120@60\n"
			     "[output free]\nmode=160x120@60\npacing=free\n"
			     "[vm gl]\nscanout.0=paced\nscanout.1=free\n";

/* One context with a render target that is its framebuffer. */
struct target {
	struct tg_vm *vm;
	uint32_t ctx, res;
	struct tg_image image;
};

static uint32_t words[WORDS] __attribute__((aligned(8)));

static void test_start(void)
{
	e2e_open(&e, config);
}

static void test_stop(void)
{
	e2e_close(&e);
}

static bool guest_open(struct tg_vm *vm)
{
	int err = tg_vm_open(vm, e2e_socket(&e, "gl"), NULL);
	CU_ASSERT_EQUAL(err, 0);
	if (!err && !(vm->front.features & (1ull << VIRTIO_GPU_F_VIRGL))) {
		CU_FAIL("the service offers no VIRGL");
		err = -1;
	}
	if (err)
		tg_vm_close(vm);
	return !err;
}

static uint32_t create_target_resource(struct tg_vm *vm, uint32_t res, uint32_t w, uint32_t h)
{
	struct virtio_gpu_resource_create_3d args = {
		.resource_id = res,
		.target = BN_VIRGL_TARGET_2D,
		.format = BN_VIRGL_FORMAT_B8G8R8A8,
		.bind = BN_VIRGL_BIND_RENDER_TARGET | BN_VIRGL_BIND_SAMPLER_VIEW |
			BN_VIRGL_BIND_SCANOUT,
		.width = w,
		.height = h,
		.depth = 1,
		.array_size = 1,
		.flags = BN_VIRGL_RESOURCE_Y_0_TOP,
	};
	return tg_create_3d(vm, &args);
}

static uint32_t send(struct target *t, struct bn_virgl_stream *s)
{
	CU_ASSERT_FALSE(s->overflow);
	return tg_submit_3d(t->vm, t->ctx, s->words, s->count * 4);
}

static void target_init(struct target *t, struct tg_vm *vm, uint32_t ctx, uint32_t res)
{
	struct bn_virgl_stream s;
	uint32_t capset = vm->front.features & (1ull << VIRTIO_GPU_F_CONTEXT_INIT)
				  ? VIRTIO_GPU_CAPSET_VIRGL2
				  : 0;
	t->vm = vm;
	t->ctx = ctx;
	t->res = res;
	CU_ASSERT_EQUAL_FATAL(tg_image_init(&t->image, vm, -1, W, H), 0);
	E2E_OK(tg_ctx_create(vm, ctx, capset, "test"));
	E2E_OK(create_target_resource(vm, res, W, H));
	E2E_OK(tg_attach(vm, res, t->image.entries, t->image.pages));
	E2E_OK(tg_ctx_attach(vm, ctx, res));
	bn_virgl_init(&s, words, WORDS);
	bn_virgl_create_sub_ctx(&s, 1);
	bn_virgl_set_sub_ctx(&s, 1);
	bn_virgl_create_surface(&s, 1, res, BN_VIRGL_FORMAT_B8G8R8A8);
	bn_virgl_set_framebuffer(&s, 1);
	bn_virgl_set_viewport(&s, W, H);
	E2E_OK(send(t, &s));
}

static void target_finish(struct target *t)
{
	tg_image_finish(&t->image);
}

static void put_colour(float rgba[4], uint32_t colour)
{
	rgba[0] = (float)(colour >> 16 & 255) / 255;
	rgba[1] = (float)(colour >> 8 & 255) / 255;
	rgba[2] = (float)(colour & 255) / 255;
	rgba[3] = 1;
}

static uint32_t clear(struct target *t, uint32_t colour)
{
	struct bn_virgl_stream s;
	float rgba[4];
	put_colour(rgba, colour);
	bn_virgl_init(&s, words, WORDS);
	bn_virgl_clear(&s, rgba);
	return send(t, &s);
}

static uint32_t read_back(struct target *t, uint32_t *pixels)
{
	struct virtio_gpu_transfer_host_3d args = {
		.box = {0, 0, 0, W, H, 1}, .resource_id = t->res, .stride = W * 4};
	uint32_t type = tg_transfer_3d(t->vm, VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, t->ctx, &args);
	tg_image_read(&t->image, pixels);
	return type;
}

static uint32_t wrong_pixels(const uint32_t *pixels, const uint32_t *want)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < W * H; i++)
		n += (pixels[i] & 0xffffff) != (want[i] & 0xffffff);
	return n;
}

static void fill(uint32_t *pixels, uint32_t x0, uint32_t x1, uint32_t colour)
{
	for (uint32_t y = 0; y < H; y++) {
		for (uint32_t x = x0; x < x1; x++)
			pixels[y * W + x] = colour;
	}
}

static void test_capsets(void)
{
	struct tg_vm vm;
	struct virtio_gpu_config c;
	struct virtio_gpu_resp_capset_info info;
	static uint8_t caps[65536];
	bool virgl2 = false;
	if (!guest_open(&vm))
		return;
	CU_ASSERT_EQUAL(tg_front_get_config(&vm.front, 0, &c, sizeof(c)), 0);
	CU_ASSERT_TRUE(c.num_capsets >= 1);
	for (uint32_t i = 0; i < c.num_capsets; i++) {
		size_t got = 0;
		E2E_ANSWER(tg_capset_info(&vm, i, &info), VIRTIO_GPU_RESP_OK_CAPSET_INFO);
		CU_ASSERT_TRUE(info.capset_id == VIRTIO_GPU_CAPSET_VIRGL ||
			       info.capset_id == VIRTIO_GPU_CAPSET_VIRGL2);
		CU_ASSERT_TRUE(info.capset_max_size > 0 && info.capset_max_size <= sizeof(caps));
		E2E_ANSWER(tg_capset(&vm, info.capset_id, info.capset_max_version, caps,
				   info.capset_max_size, &got),
			VIRTIO_GPU_RESP_OK_CAPSET);
		CU_ASSERT_EQUAL(got, info.capset_max_size);
		virgl2 = virgl2 || info.capset_id == VIRTIO_GPU_CAPSET_VIRGL2;
	}
	CU_ASSERT_TRUE(virgl2);
	CU_ASSERT_TRUE(tg_capset_info(&vm, c.num_capsets, &info) >= VIRTIO_GPU_RESP_ERR_UNSPEC ||
		       info.capset_max_size == 0);
	tg_vm_close(&vm);
}

static void test_clear(void)
{
	struct tg_vm vm;
	struct target t;
	static uint32_t pixels[W * H], want[W * H];
	if (!guest_open(&vm))
		return;
	target_init(&t, &vm, 1, 10);
	static const uint32_t colours[] = {0xff0000, 0x00ff00, 0x0000ff, 0x123456, 0xfedcba};
	for (unsigned i = 0; i < 5; i++) {
		E2E_OK(clear(&t, colours[i]));
		E2E_OK(read_back(&t, pixels));
		fill(want, 0, W, colours[i]);
		CU_ASSERT_EQUAL(wrong_pixels(pixels, want), 0);
	}
	E2E_OK(tg_ctx_destroy(&vm, 1));
	E2E_OK(tg_unref(&vm, 10));
	target_finish(&t);
	tg_vm_close(&vm);
}

/* The right half of the clip space, one colour. */
static void half(struct bn_virgl_vertex v[6], uint32_t colour)
{
	static const float corners[6][2] = {{0, -1}, {1, -1}, {1, 1}, {0, -1}, {1, 1}, {0, 1}};
	for (unsigned i = 0; i < 6; i++) {
		v[i] = (struct bn_virgl_vertex){.position = {corners[i][0], corners[i][1], 0, 1}};
		put_colour(v[i].color, colour);
	}
}

static uint32_t create_vertex_buffer(struct tg_vm *vm, uint32_t res, uint32_t bytes)
{
	struct virtio_gpu_resource_create_3d args = {.resource_id = res,
		.target = BN_VIRGL_TARGET_BUFFER,
		.format = BN_VIRGL_FORMAT_R8,
		.bind = BN_VIRGL_BIND_VERTEX_BUFFER,
		.width = bytes,
		.height = 1,
		.depth = 1,
		.array_size = 1};
	return tg_create_3d(vm, &args);
}

static uint32_t draw_half(struct target *t, uint32_t buffer, uint32_t background, uint32_t colour)
{
	struct bn_virgl_stream s;
	struct bn_virgl_vertex v[6];
	float rgba[4];
	half(v, colour);
	put_colour(rgba, background);
	bn_virgl_init(&s, words, WORDS);
	bn_virgl_write_buffer(&s, buffer, 0, v, sizeof(v));
	bn_virgl_clear(&s, rgba);
	bn_virgl_triangle_state(&s, 100);
	bn_virgl_draw_triangles(&s, buffer, 6);
	return send(t, &s);
}

static void test_draw(void)
{
	struct tg_vm vm;
	struct target t;
	static uint32_t pixels[W * H], want[W * H];
	if (!guest_open(&vm))
		return;
	target_init(&t, &vm, 1, 10);
	E2E_OK(create_vertex_buffer(&vm, 11, 6 * sizeof(struct bn_virgl_vertex)));
	E2E_OK(tg_ctx_attach(&vm, 1, 11));
	E2E_OK(draw_half(&t, 11, 0x204060, 0xe0a010));
	E2E_OK(read_back(&t, pixels));
	fill(want, 0, W / 2, 0x204060);
	fill(want, W / 2, W, 0xe0a010);
	CU_ASSERT_EQUAL(wrong_pixels(pixels, want), 0);
	/* On the display as in the read-back. */
	E2E_OK(tg_set_scanout(&vm, 0, 10, tg_rect(0, 0, W, H)));
	E2E_OK(tg_finish(tg_flush_async(&vm, 10, tg_rect(0, 0, W, H)), NULL, 0));
	CU_ASSERT_EQUAL(e2e_differences(&e, "paced", want, 0, 0, W, H), 0);
	target_finish(&t);
	tg_vm_close(&vm);
}

/* A picture that is not symmetric goes guest → GPU → display with its first row on top, and back
 * again. */
static void test_upload(void)
{
	struct tg_vm vm;
	struct target t;
	static uint32_t pixels[W * H], want[W * H];
	if (!guest_open(&vm))
		return;
	target_init(&t, &vm, 1, 10);
	tg_pattern(want, W, H, 20);
	tg_image_write(&t.image, want);
	struct virtio_gpu_transfer_host_3d args = {
		.box = {0, 0, 0, W, H, 1}, .resource_id = 10, .stride = W * 4};
	E2E_OK(tg_transfer_3d(&vm, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 1, &args));
	E2E_OK(tg_set_scanout(&vm, 1, 10, tg_rect(0, 0, W, H)));
	E2E_OK(tg_finish(tg_flush_async(&vm, 10, tg_rect(0, 0, W, H)), NULL, 0));
	CU_ASSERT_EQUAL(e2e_differences(&e, "free", want, 0, 0, W, H), 0);
	memset(pixels, 0, sizeof(pixels));
	tg_image_write(&t.image, pixels);
	E2E_OK(read_back(&t, pixels));
	CU_ASSERT_EQUAL(wrong_pixels(pixels, want), 0);
	target_finish(&t);
	tg_vm_close(&vm);
}

/* The console and boot screens of a guest with GL are 2D resources in the same device. */
static void test_2d_beside(void)
{
	struct tg_vm vm;
	struct tg_image image;
	static uint32_t pixels[W * H];
	if (!guest_open(&vm))
		return;
	CU_ASSERT_EQUAL_FATAL(tg_image_init(&image, &vm, -1, W, H), 0);
	tg_pattern(pixels, W, H, 21);
	tg_image_write(&image, pixels);
	E2E_OK(tg_image_resource(&image, 3));
	E2E_OK(tg_transfer_2d(&vm, 3, tg_rect(0, 0, W, H), 0));
	E2E_OK(tg_set_scanout(&vm, 0, 3, tg_rect(0, 0, W, H)));
	E2E_OK(tg_finish(tg_flush_async(&vm, 3, tg_rect(0, 0, W, H)), NULL, 0));
	CU_ASSERT_EQUAL(e2e_differences(&e, "paced", pixels, 0, 0, W, H), 0);
	tg_image_finish(&image);
	tg_vm_close(&vm);
}

#define FENCES 60

/* Fences of one context come in the order of their submits, whatever the others do; each exactly
 * once. */
static void test_fences(void)
{
	struct tg_vm vm;
	struct target a, b;
	struct tg_request *requests[FENCES];
	struct bn_virgl_stream s;
	float rgba[4] = {0.5f, 0.25f, 0, 1};
	if (!guest_open(&vm))
		return;
	int ring = vm.front.features & (1ull << VIRTIO_GPU_F_CONTEXT_INIT) ? 0 : -1;
	target_init(&a, &vm, 1, 10);
	target_init(&b, &vm, 2, 20);
	bn_virgl_init(&s, words, WORDS);
	bn_virgl_clear(&s, rgba);
	for (unsigned i = 0; i < FENCES; i++) {
		requests[i] = tg_submit_3d_async(&vm, 1 + i % 2, ring, s.words, s.count * 4);
		CU_ASSERT_PTR_NOT_NULL_FATAL(requests[i]);
	}
	for (unsigned left = FENCES; left;) {
		bool was[FENCES];
		for (unsigned i = 0; i < FENCES; i++)
			was[i] = requests[i]->done;
		tg_collect(&vm, TG_CONTROL);
		left = 0;
		/* Not answered after a look means: nothing later of the same context may have been
		 * in that look's past. */
		for (unsigned i = 0; i < FENCES; i++) {
			left += !requests[i]->done;
			if (i >= 2)
				CU_ASSERT_TRUE(!was[i] || was[i - 2]);
		}
		if (left && !tg_ring_wait(&vm.ring[TG_CONTROL], TG_DEADLINE_S * 1000))
			break;
	}
	for (unsigned i = 0; i < FENCES; i++)
		E2E_OK(tg_finish(requests[i], NULL, 0));
	CU_ASSERT_EQUAL(vm.ring[TG_CONTROL].strays, 0);
	CU_ASSERT_EQUAL(vm.outstanding, 0);
	target_finish(&a);
	target_finish(&b);
	tg_vm_close(&vm);
}

/* A global fence (no ring index) stands behind everything before it. */
static void test_global_fence(void)
{
	struct tg_vm vm;
	struct target t;
	struct tg_request *requests[8];
	struct bn_virgl_stream s;
	float rgba[4] = {0, 0.25f, 0, 1};
	if (!guest_open(&vm))
		return;
	target_init(&t, &vm, 1, 10);
	bn_virgl_init(&s, words, WORDS);
	for (unsigned i = 0; i < 20; i++)
		bn_virgl_clear(&s, rgba);
	for (unsigned i = 0; i < 8; i++)
		requests[i] = tg_submit_3d_async(&vm, 1, -1, s.words, s.count * 4);
	CU_ASSERT_TRUE(tg_wait_fence(requests, 8, requests[7]->sent.fence_id));
	for (unsigned i = 0; i < 8; i++) {
		CU_ASSERT_TRUE(tg_done(requests[i]));
		E2E_OK(tg_finish(requests[i], NULL, 0));
	}
	target_finish(&t);
	tg_vm_close(&vm);
}

static bool is_error(uint32_t type)
{
	return type >= VIRTIO_GPU_RESP_ERR_UNSPEC;
}

static void test_lost_context(void)
{
	struct tg_vm vm;
	struct target good, bad;
	struct bn_virgl_stream s;
	static uint32_t pixels[W * H], want[W * H];
	if (!guest_open(&vm))
		return;
	target_init(&good, &vm, 1, 10);
	target_init(&bad, &vm, 2, 20);
	bn_virgl_init(&s, words, WORDS);
	bn_virgl_garbage(&s);
	CU_ASSERT_TRUE(is_error(send(&bad, &s)));
	CU_ASSERT_TRUE(is_error(clear(&bad, 0xff00ff)));
	E2E_OK(clear(&good, 0x00ffff));
	E2E_OK(read_back(&good, pixels));
	fill(want, 0, W, 0x00ffff);
	CU_ASSERT_EQUAL(wrong_pixels(pixels, want), 0);
	/* The driver destroys it and starts again under the same id. */
	E2E_OK(tg_ctx_destroy(&vm, 2));
	target_finish(&bad);
	target_init(&bad, &vm, 2, 21);
	E2E_OK(clear(&bad, 0x808080));
	E2E_OK(read_back(&bad, pixels));
	fill(want, 0, W, 0x808080);
	CU_ASSERT_EQUAL(wrong_pixels(pixels, want), 0);
	target_finish(&good);
	target_finish(&bad);
	tg_vm_close(&vm);
}

#define FRAMES 20u

static void test_pacing(void)
{
	struct tg_vm vm;
	struct target t;
	static uint32_t want[W * H];
	if (!guest_open(&vm))
		return;
	target_init(&t, &vm, 1, 10);
	E2E_OK(tg_set_scanout(&vm, 0, 10, tg_rect(0, 0, W, H)));
	int64_t shown = e2e_vm_int(&e, "gl", "frames_presented");
	uint64_t start = tg_now_ns();
	for (uint32_t i = 0; i < FRAMES; i++) {
		E2E_OK(clear(&t, i * 0x0a0503));
		E2E_OK(tg_finish(tg_flush_async(&vm, 10, tg_rect(0, 0, W, H)), NULL, 0));
		fill(want, 0, W, i * 0x0a0503);
		if (i % 5 == 0)
			CU_ASSERT_EQUAL(e2e_differences(&e, "paced", want, 0, 0, W, H), 0);
	}
	CU_ASSERT_TRUE(tg_now_ns() - start >= (FRAMES - 2) * 16666666ull);
	CU_ASSERT_EQUAL(e2e_vm_int(&e, "gl", "frames_presented") - shown, FRAMES);
	/* Where the driver exports dma-bufs (tests/uml-host) nothing is read back. */
	if (getenv("BN_TEST_DMABUF")) {
		CU_ASSERT_TRUE(e2e_vm_int(&e, "gl", "zero_copy_frames") >= FRAMES);
		CU_ASSERT_EQUAL(e2e_vm_int(&e, "gl", "copy_bytes_out"), 0);
	}
	/* Free running: each flush is on display when it is answered; nothing is asserted about how
	 * fast. */
	E2E_OK(tg_set_scanout(&vm, 0, 0, tg_rect(0, 0, 0, 0)));
	E2E_OK(tg_set_scanout(&vm, 1, 10, tg_rect(0, 0, W, H)));
	for (uint32_t i = 0; i < 5 * FRAMES; i++) {
		E2E_OK(clear(&t, i * 0x020305));
		E2E_OK(tg_finish(tg_flush_async(&vm, 10, tg_rect(0, 0, W, H)), NULL, 0));
	}
	fill(want, 0, W, (5 * FRAMES - 1) * 0x020305);
	CU_ASSERT_EQUAL(e2e_differences(&e, "free", want, 0, 0, W, H), 0);
	target_finish(&t);
	tg_vm_close(&vm);
}

static struct tg_request *clear_async(struct target *t, uint32_t colour)
{
	struct bn_virgl_stream s;
	float rgba[4];
	put_colour(rgba, colour);
	bn_virgl_init(&s, words, WORDS);
	bn_virgl_clear(&s, rgba);
	return tg_submit_3d_async(t->vm, t->ctx, -1, s.words, s.count * 4);
}

/* FRAMES frames as a GL guest makes them: the flush carries no fence; Mesa waits, when it has sent
 * a frame, for the fence of the one before. kernel_waits: Linux since 6.13 also waits for a frame's
 * own fence before it flushes. Returns the time that took, in refresh periods. */
static double gl_guest(struct tg_vm *vm, struct target *t, bool kernel_waits)
{
	struct tg_request *draws[FRAMES], *flushes[FRAMES];
	uint64_t start = tg_now_ns();
	for (uint32_t i = 0; i < FRAMES; i++) {
		struct virtio_gpu_resource_flush flush = {{.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH},
			.r = {0, 0, W, H}, .resource_id = 10};
		struct iovec out = {&flush, sizeof(flush)};
		draws[i] = clear_async(t, i * 0x0b0407);
		if (i >= 1)
			CU_ASSERT_TRUE(tg_wait(draws[i - 1]));
		if (kernel_waits)
			CU_ASSERT_TRUE(tg_wait(draws[i]));
		flushes[i] = tg_submit(vm, TG_CONTROL, &out, 1, sizeof(flush.hdr));
	}
	for (uint32_t i = 0; i < FRAMES; i++) {
		E2E_OK(tg_finish(draws[i], NULL, 0));
		E2E_OK(tg_finish(flushes[i], NULL, 0));
	}
	return (double)(tg_now_ns() - start) * 60 / 1e9;
}

/* That alone must keep a guest in step with its display. */
static void test_gl_pacing(void)
{
	struct tg_vm vm;
	struct target t;
	if (!guest_open(&vm))
		return;
	target_init(&t, &vm, 1, 10);
	E2E_OK(tg_set_scanout(&vm, 0, 10, tg_rect(0, 0, W, H)));
	for (unsigned kernel_waits = 0; kernel_waits < 2; kernel_waits++) {
		double periods = gl_guest(&vm, &t, kernel_waits);
		fprintf(stderr, "\n%u frames in %.1f refresh periods%s\n", FRAMES, periods,
			kernel_waits ? " (Linux 6.13 or newer)" : "");
		/* Some slack at the start: the first frames fill the pipeline. */
		CU_ASSERT_TRUE(periods >= FRAMES - 4);
	}
	target_finish(&t);
	tg_vm_close(&vm);
}

/* The cursor does not wait for GL. */
static void test_cursor_beside_gl(void)
{
	struct tg_vm vm;
	struct target t;
	struct tg_request *draws[100];
	if (!guest_open(&vm))
		return;
	target_init(&t, &vm, 1, 10);
	for (uint32_t i = 0; i < 100; i++) {
		draws[i] = clear_async(&t, i);
		E2E_OK(tg_cursor_move(&vm, 0, i, i));
	}
	for (uint32_t i = 0; i < 100; i++)
		E2E_OK(tg_finish(draws[i], NULL, 0));
	target_finish(&t);
	tg_vm_close(&vm);
}

/* Nothing of one driver's life is left in the next one's. */
static void test_new_life(void)
{
	struct tg_vm vm;
	struct target t;
	static uint32_t pixels[W * H];
	if (!guest_open(&vm))
		return;
	target_init(&t, &vm, 1, 10);
	E2E_OK(clear(&t, 0xabcdef));
	target_finish(&t);
	tg_vm_close(&vm);
	if (!guest_open(&vm))
		return;
	CU_ASSERT_TRUE(is_error(tg_unref(&vm, 10)));
	CU_ASSERT_TRUE(is_error(tg_ctx_destroy(&vm, 1)));
	target_init(&t, &vm, 1, 10);
	E2E_OK(read_back(&t, pixels));
	for (uint32_t i = 0; i < W * H; i++) {
		if ((pixels[i] & 0xffffff) == 0xabcdef) {
			CU_FAIL("pixels of the guest before");
			break;
		}
	}
	target_finish(&t);
	tg_vm_close(&vm);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"service starts", test_start},
		{"capsets", test_capsets},
		{"clear and read back", test_clear},
		{"draw, read back and display", test_draw},
		{"upload, display and read back", test_upload},
		{"2D beside GL", test_2d_beside},
		{"fences of two contexts", test_fences},
		{"global fences", test_global_fence},
		{"lost context", test_lost_context},
		{"pacing", test_pacing},
		{"pacing of a GL guest", test_gl_pacing},
		{"cursor beside GL", test_cursor_beside_gl},
		{"nothing outlives a connection", test_new_life},
		{"service stops", test_stop},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("virgl", tests);
}
