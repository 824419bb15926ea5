/* OpenGL by hand-written virgl streams: what the GPU library draws is read back exactly, fences
 * come in order, a broken context harms nobody else, and frames are paced by the display. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gl_target.h"

#define W 160u
#define H 120u
#define WORDS 4096

static struct e2e e;

static const char config[] = "[output paced]\nmode=160x120@60\n"
			     "[output free]\nmode=160x120@60\npacing=free\n"
			     "[vm gl]\nscanout.0=paced\nscanout.1=free\n";

static struct tg_vm vm;
/* What most tests draw with: context 1, resource 10. */
static struct gl_target t;
static uint32_t pixels[W * H], want[W * H];
static uint32_t words[WORDS] __attribute__((aligned(8)));

static void test_start(void)
{
	e2e_open(&e, config);
}

static void test_stop(void)
{
	e2e_close(&e);
}

static bool guest_open(void)
{
	int err = tg_vm_open(&vm, e2e_socket(&e, "gl"), NULL);
	CU_ASSERT_EQUAL(err, 0);
	if (!err && !(vm.front.features & (1ull << VIRTIO_GPU_F_VIRGL))) {
		CU_FAIL("the service offers no VIRGL");
		err = -1;
	}
	if (err)
		tg_vm_close(&vm);
	return !err;
}

static bool begin(void)
{
	if (!guest_open())
		return false;
	gl_target_init(&t, &vm, 1, 10, W, H);
	return true;
}

static void end(void)
{
	gl_target_finish(&t);
	tg_vm_close(&vm);
}

static void fill(uint32_t x0, uint32_t x1, uint32_t colour)
{
	for (uint32_t y = 0; y < H; y++) {
		for (uint32_t x = x0; x < x1; x++)
			want[y * W + x] = colour;
	}
}

/* All of that colour, as the guest reads it. */
static void check_filled(struct gl_target *target, uint32_t colour)
{
	E2E_OK(gl_target_read(target, pixels));
	fill(0, W, colour);
	CU_ASSERT_EQUAL(gl_target_wrong(target, pixels, want), 0);
}

static void test_capsets(void)
{
	struct virtio_gpu_config c;
	struct virtio_gpu_resp_capset_info info;
	static uint8_t caps[65536];
	bool virgl2 = false;
	if (!guest_open())
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
	if (!begin())
		return;
	static const uint32_t colours[] = {0xff0000, 0x00ff00, 0x0000ff, 0x123456, 0xfedcba};
	for (unsigned i = 0; i < 5; i++) {
		E2E_OK(gl_target_clear(&t, colours[i]));
		check_filled(&t, colours[i]);
	}
	E2E_OK(tg_ctx_destroy(&vm, 1));
	E2E_OK(tg_unref(&vm, 10));
	end();
}

/* The right half of the clip space, one colour. */
static void half(struct bn_virgl_vertex v[6], uint32_t colour)
{
	static const float corners[6][2] = {{0, -1}, {1, -1}, {1, 1}, {0, -1}, {1, 1}, {0, 1}};
	for (unsigned i = 0; i < 6; i++) {
		v[i] = (struct bn_virgl_vertex){.position = {corners[i][0], corners[i][1], 0, 1}};
		bn_virgl_colour(v[i].color, colour);
	}
}

static uint32_t draw_half(uint32_t buffer, uint32_t background, uint32_t colour)
{
	struct bn_virgl_stream s;
	struct bn_virgl_vertex v[6];
	float rgba[4];
	half(v, colour);
	bn_virgl_colour(rgba, background);
	bn_virgl_init(&s, words, WORDS);
	bn_virgl_write_buffer(&s, buffer, 0, v, sizeof(v));
	bn_virgl_clear(&s, rgba);
	bn_virgl_triangle_state(&s, 100);
	bn_virgl_draw_triangles(&s, buffer, 6);
	return gl_target_send(&t, &s);
}

static void test_draw(void)
{
	struct virtio_gpu_resource_create_3d vertices = tg_gl_buffer(
		11, BN_VIRGL_BIND_VERTEX_BUFFER, 6 * sizeof(struct bn_virgl_vertex));

	if (!begin())
		return;
	E2E_OK(tg_create_3d(&vm, &vertices));
	E2E_OK(tg_ctx_attach(&vm, 1, 11));
	E2E_OK(draw_half(11, 0x204060, 0xe0a010));
	E2E_OK(gl_target_read(&t, pixels));
	fill(0, W / 2, 0x204060);
	fill(W / 2, W, 0xe0a010);
	CU_ASSERT_EQUAL(gl_target_wrong(&t, pixels, want), 0);
	/* On the display as in the read-back. */
	E2E_OK(tg_set_scanout(&vm, 0, 10, tg_rect(0, 0, W, H)));
	E2E_OK(tg_finish(tg_flush_async(&vm, 10, tg_rect(0, 0, W, H)), NULL, 0));
	CU_ASSERT_EQUAL(e2e_differences(&e, "paced", want, 0, 0, W, H), 0);
	end();
}

/* A picture that is not symmetric goes guest → GPU → display with its first row on top, and back
 * again. */
static void test_upload(void)
{
	if (!begin())
		return;
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
	E2E_OK(gl_target_read(&t, pixels));
	CU_ASSERT_EQUAL(gl_target_wrong(&t, pixels, want), 0);
	end();
}

/* The console and boot screens of a guest with GL are 2D resources in the same device. */
static void test_2d_beside(void)
{
	struct tg_image image;
	if (!guest_open())
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
	struct gl_target a, b;
	struct tg_request *requests[FENCES];
	struct bn_virgl_stream s;
	float rgba[4] = {0.5f, 0.25f, 0, 1};
	if (!guest_open())
		return;
	int ring = vm.front.features & (1ull << VIRTIO_GPU_F_CONTEXT_INIT) ? 0 : -1;
	gl_target_init(&a, &vm, 1, 10, W, H);
	gl_target_init(&b, &vm, 2, 20, W, H);
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
	gl_target_finish(&a);
	gl_target_finish(&b);
	tg_vm_close(&vm);
}

/* A global fence (no ring index) stands behind everything before it. */
static void test_global_fence(void)
{
	struct tg_request *requests[8];
	struct bn_virgl_stream s;
	float rgba[4] = {0, 0.25f, 0, 1};
	if (!begin())
		return;
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
	end();
}

static bool is_error(uint32_t type)
{
	return type >= VIRTIO_GPU_RESP_ERR_UNSPEC;
}

static void test_lost_context(void)
{
	struct gl_target good, bad;
	struct bn_virgl_stream s;
	if (!guest_open())
		return;
	gl_target_init(&good, &vm, 1, 10, W, H);
	gl_target_init(&bad, &vm, 2, 20, W, H);
	bn_virgl_init(&s, words, WORDS);
	bn_virgl_garbage(&s);
	CU_ASSERT_TRUE(is_error(gl_target_send(&bad, &s)));
	CU_ASSERT_TRUE(is_error(gl_target_clear(&bad, 0xff00ff)));
	E2E_OK(gl_target_clear(&good, 0x00ffff));
	check_filled(&good, 0x00ffff);
	/* The driver destroys it and starts again under the same id. */
	E2E_OK(tg_ctx_destroy(&vm, 2));
	gl_target_finish(&bad);
	gl_target_init(&bad, &vm, 2, 21, W, H);
	E2E_OK(gl_target_clear(&bad, 0x808080));
	check_filled(&bad, 0x808080);
	gl_target_finish(&good);
	gl_target_finish(&bad);
	tg_vm_close(&vm);
}

#define FRAMES 20u

static void test_pacing(void)
{
	if (!begin())
		return;
	E2E_OK(tg_set_scanout(&vm, 0, 10, tg_rect(0, 0, W, H)));
	int64_t shown = e2e_vm_int(&e, "gl", "frames_presented");
	uint64_t start = tg_now_ns();
	for (uint32_t i = 0; i < FRAMES; i++) {
		E2E_OK(gl_target_clear(&t, i * 0x0a0503));
		E2E_OK(tg_finish(tg_flush_async(&vm, 10, tg_rect(0, 0, W, H)), NULL, 0));
		fill(0, W, i * 0x0a0503);
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
		E2E_OK(gl_target_clear(&t, i * 0x020305));
		E2E_OK(tg_finish(tg_flush_async(&vm, 10, tg_rect(0, 0, W, H)), NULL, 0));
	}
	fill(0, W, (5 * FRAMES - 1) * 0x020305);
	CU_ASSERT_EQUAL(e2e_differences(&e, "free", want, 0, 0, W, H), 0);
	end();
}

/* FRAMES frames as a GL guest makes them: the flush carries no fence; Mesa waits, when it has sent
 * a frame, for the fence of the one before. kernel_waits: Linux since 6.13 also waits for a frame's
 * own fence before it flushes. Returns the time that took, in refresh periods. */
static double gl_guest(bool kernel_waits)
{
	struct tg_request *draws[FRAMES], *flushes[FRAMES];
	uint64_t start = tg_now_ns();
	for (uint32_t i = 0; i < FRAMES; i++) {
		struct virtio_gpu_resource_flush flush = {{.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH},
			.r = {0, 0, W, H}, .resource_id = 10};
		struct iovec out = {&flush, sizeof(flush)};
		draws[i] = gl_target_clear_async(&t, i * 0x0b0407);
		if (i >= 1)
			CU_ASSERT_TRUE(tg_wait(draws[i - 1]));
		if (kernel_waits)
			CU_ASSERT_TRUE(tg_wait(draws[i]));
		flushes[i] = tg_submit(&vm, TG_CONTROL, &out, 1, sizeof(flush.hdr));
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
	if (!begin())
		return;
	E2E_OK(tg_set_scanout(&vm, 0, 10, tg_rect(0, 0, W, H)));
	for (unsigned kernel_waits = 0; kernel_waits < 2; kernel_waits++) {
		double periods = gl_guest(kernel_waits);
		fprintf(stderr, "\n%u frames in %.1f refresh periods%s\n", FRAMES, periods,
			kernel_waits ? " (Linux 6.13 or newer)" : "");
		/* Some slack at the start: the first frames fill the pipeline. */
		CU_ASSERT_TRUE(periods >= FRAMES - 4);
	}
	end();
}

/* The cursor does not wait for GL. */
static void test_cursor_beside_gl(void)
{
	struct tg_request *draws[100];
	if (!begin())
		return;
	for (uint32_t i = 0; i < 100; i++) {
		draws[i] = gl_target_clear_async(&t, i);
		E2E_OK(tg_cursor_move(&vm, 0, i, i));
	}
	for (uint32_t i = 0; i < 100; i++)
		E2E_OK(tg_finish(draws[i], NULL, 0));
	end();
}

/* Nothing of one driver's life is left in the next one's. */
static void test_new_life(void)
{
	if (!begin())
		return;
	E2E_OK(gl_target_clear(&t, 0xabcdef));
	end();
	if (!guest_open())
		return;
	CU_ASSERT_TRUE(is_error(tg_unref(&vm, 10)));
	CU_ASSERT_TRUE(is_error(tg_ctx_destroy(&vm, 1)));
	gl_target_init(&t, &vm, 1, 10, W, H);
	E2E_OK(gl_target_read(&t, pixels));
	for (uint32_t i = 0; i < W * H; i++) {
		if ((pixels[i] & 0xffffff) == 0xabcdef) {
			CU_FAIL("pixels of the guest before");
			break;
		}
	}
	end();
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
