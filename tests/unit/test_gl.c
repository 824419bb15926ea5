/* The GPU library, driven directly with hand-made command streams on the software rasteriser. */
#include "unit.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <linux/dma-buf.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"

#include "gl_args.h"
#include "gl_priv.h"

#define WIDTH 64u
#define HEIGHT 48u
#define CTX 7u
#define RES 5u
#define SKIPPED 77

static struct bn_gl *gl;
static uint64_t fences[256];
static unsigned nfences;
static uint64_t next_fence = 1;

static _Alignas(8) uint32_t words[4096];
static struct bn_virgl_stream stream;

static void on_fence(void *data, uint32_t ctx_id, uint32_t ring_idx, uint64_t fence_id)
{
	CU_ASSERT_PTR_EQUAL(data, &gl);
	if (nfences < 256)
		fences[nfences++] = fence_id;
}

static const struct bn_gl_listener listener = {.fence = on_fence};

/* Sleeps on the fd until n fences were reported. */
static bool wait_fences(unsigned n)
{
	uint64_t end = bn_now_ns() + 10 * BN_NS_PER_S;
	bn_gl_poll(gl);
	while (nfences < n && bn_now_ns() < end) {
		struct pollfd p = {.fd = bn_gl_fd(gl), .events = POLLIN};
		poll(&p, 1, 1000);
		bn_gl_dispatch(gl);
	}
	return nfences >= n;
}

static bool finish(uint32_t ctx)
{
	nfences = 0;
	uint64_t id = next_fence++;
	return bn_gl_fence(gl, ctx, id) == 0 && wait_fences(1) && fences[0] == id;
}

static int submit(uint32_t ctx)
{
	CU_ASSERT_FALSE(stream.overflow);
	int ret = bn_gl_submit(gl, ctx, words, stream.count);
	bn_virgl_reset(&stream);
	return ret;
}

static int create_2d(uint32_t id, uint32_t format, uint32_t flags)
{
	struct bn_gl_resource_args args = gl_picture(id, format,
		BN_VIRGL_BIND_SCANOUT | BN_VIRGL_BIND_SAMPLER_VIEW, WIDTH, HEIGHT);
	args.flags = flags;
	return bn_gl_resource_create(gl, &args);
}

static int create_buffer(uint32_t id, uint32_t bind, uint32_t size)
{
	struct bn_gl_resource_args args = gl_buffer(id, bind, size);
	return bn_gl_resource_create(gl, &args);
}

/* A context with a sub-context that draws into resource `res`. */
static void begin(uint32_t ctx, uint32_t res, uint32_t format)
{
	CU_ASSERT_EQUAL_FATAL(bn_gl_ctx_create(gl, ctx, 2, "test"), 0);
	bn_gl_ctx_attach(gl, ctx, res);
	bn_virgl_init(&stream, words, sizeof(words) / sizeof(words[0]));
	bn_virgl_create_sub_ctx(&stream, 1);
	bn_virgl_set_sub_ctx(&stream, 1);
	bn_virgl_create_surface(&stream, 1, res, format);
	bn_virgl_set_framebuffer(&stream, 1);
	bn_virgl_set_viewport(&stream, WIDTH, HEIGHT);
}

static void end(uint32_t ctx, uint32_t res)
{
	bn_gl_ctx_detach(gl, ctx, res);
	bn_gl_ctx_destroy(gl, ctx);
	bn_gl_resource_unref(gl, res);
}

static int create(enum bn_link_gpu gpu)
{
	return bn_gl_create(&gl, gpu, -1, BN_LINK_PRIORITY_LOW, &listener, &gl);
}

static void test_start(void)
{
	CU_ASSERT_EQUAL_FATAL(create(BN_LINK_GPU_SURFACELESS), 0);
}

static void test_names_and_capsets(void)
{
	struct bn_link_capset sets[BN_LINK_CAPSETS];
	CU_ASSERT_TRUE(strlen(bn_gl_renderer_name(gl)) > 0);
	CU_ASSERT_TRUE(strlen(bn_gl_version(gl)) > 0);
	CU_ASSERT_TRUE(bn_gl_fd(gl) >= 0);
	/* A driver without priorities says MEDIUM; one with them must have given LOW. */
	if (bn_gl_is_software(gl))
		CU_ASSERT_EQUAL(bn_gl_priority(gl), BN_LINK_PRIORITY_MEDIUM);
	unsigned n = bn_gl_capsets(gl, sets);
	CU_ASSERT_EQUAL_FATAL(n, 2);
	CU_ASSERT_EQUAL(sets[0].id, 1);
	CU_ASSERT_EQUAL(sets[1].id, 2);
	for (unsigned i = 0; i < n; i++) {
		CU_ASSERT_TRUE_FATAL(sets[i].max_size >= 4 && sets[i].max_size < 65536);
		uint8_t *caps = malloc(sets[i].max_size + 1);
		caps[sets[i].max_size] = 0xa5;
		CU_ASSERT_EQUAL(bn_gl_capset(gl, sets[i].id, sets[i].max_version, caps), 0);
		CU_ASSERT_EQUAL(caps[sets[i].max_size], 0xa5);
		uint32_t version;
		memcpy(&version, caps, sizeof(version));
		CU_ASSERT_EQUAL(version, sets[i].max_version);
		CU_ASSERT_EQUAL(
			bn_gl_capset(gl, sets[i].id, sets[i].max_version + 1, caps), -EINVAL);
		free(caps);
	}
	CU_ASSERT_EQUAL(bn_gl_capset(gl, 4, 0, &n), -EINVAL);
}

static bool all_pixels(const uint32_t *pixels, uint32_t colour)
{
	for (unsigned i = 0; i < WIDTH * HEIGHT; i++) {
		if ((pixels[i] & 0xffffff) != colour)
			return false;
	}
	return true;
}

static void check_clear(uint32_t format, uint32_t flags, uint32_t expected)
{
	static uint32_t pixels[WIDTH * HEIGHT];
	CU_ASSERT_EQUAL_FATAL(create_2d(RES, format, flags), 0);
	begin(CTX, RES, format);
	bn_virgl_clear(&stream, (const float[]){1.0f, 0x80 / 255.0f, 0x20 / 255.0f, 1.0f});
	CU_ASSERT_EQUAL(submit(CTX), 0);
	CU_ASSERT_TRUE(finish(CTX));
	memset(pixels, 0, sizeof(pixels));
	CU_ASSERT_EQUAL(bn_gl_read_back(gl, RES, 0, 0, WIDTH, HEIGHT, pixels, WIDTH * 4), 0);
	CU_ASSERT_TRUE(all_pixels(pixels, expected));
	end(CTX, RES);
}

static void test_clear(void)
{
	check_clear(BN_VIRGL_FORMAT_B8G8R8X8, 0, 0xff8020);
	check_clear(BN_VIRGL_FORMAT_B8G8R8A8, 0, 0xff8020);
	check_clear(BN_VIRGL_FORMAT_R8G8B8X8, 0, 0x2080ff);
	check_clear(BN_VIRGL_FORMAT_B8G8R8X8, BN_VIRGL_RESOURCE_Y_0_TOP, 0xff8020);
}

static void test_scanout_info(void)
{
	struct bn_gl_scanout info;
	CU_ASSERT_EQUAL(bn_gl_scanout_info(gl, RES, &info), -EINVAL);
	CU_ASSERT_EQUAL(create_2d(RES, BN_VIRGL_FORMAT_B8G8R8X8, BN_VIRGL_RESOURCE_Y_0_TOP), 0);
	CU_ASSERT_EQUAL(bn_gl_scanout_info(gl, RES, &info), 0);
	CU_ASSERT_EQUAL(info.width, WIDTH);
	CU_ASSERT_EQUAL(info.height, HEIGHT);
	CU_ASSERT_EQUAL(info.fourcc, 0x34325258u); /* XR24 */
	CU_ASSERT_TRUE(info.y_invert);
	bn_gl_resource_unref(gl, RES);
	CU_ASSERT_EQUAL(create_buffer(RES, BN_VIRGL_BIND_VERTEX_BUFFER, 64), 0);
	CU_ASSERT_EQUAL(bn_gl_scanout_info(gl, RES, &info), -EINVAL);
	uint32_t pixel;
	CU_ASSERT_EQUAL(bn_gl_read_back(gl, RES, 0, 0, 1, 1, &pixel, 4), -EINVAL);
	bn_gl_resource_unref(gl, RES);
}

static int upload(uint32_t *pixels, uint32_t x, uint32_t y, uint32_t w, uint32_t h)
{
	struct iovec iov[3] = {
		/* In pieces that end inside rows, as guest pages do. */
		{.iov_base = pixels, .iov_len = 4096},
		{.iov_base = pixels + 1024, .iov_len = 100},
		{.iov_base = (uint8_t *)pixels + 4196, .iov_len = WIDTH * HEIGHT * 4 - 4196},
	};
	CU_ASSERT_EQUAL(bn_gl_attach_iov(gl, RES, iov, 3), 0);
	struct bn_gl_transfer t = {
		.res_id = RES,
		.stride = WIDTH * 4,
		.x = x,
		.y = y,
		.w = w,
		.h = h,
		.d = 1,
		.offset = (y * WIDTH + x) * 4,
	};
	int ret = bn_gl_transfer_in(gl, &t);
	bn_gl_detach_iov(gl, RES);
	return ret;
}

static int download(uint32_t *pixels)
{
	struct iovec iov = {.iov_base = pixels, .iov_len = WIDTH * HEIGHT * 4};
	CU_ASSERT_EQUAL(bn_gl_attach_iov(gl, RES, &iov, 1), 0);
	struct bn_gl_transfer t = {
		.res_id = RES, .stride = WIDTH * 4, .w = WIDTH, .h = HEIGHT, .d = 1};
	int ret = bn_gl_transfer_out(gl, &t);
	bn_gl_detach_iov(gl, RES);
	return ret;
}

static void fill(uint32_t *pixels)
{
	for (unsigned i = 0; i < WIDTH * HEIGHT; i++)
		pixels[i] = 0xff000000u | (i * 2654435761u >> 8);
}

/* What lies in an exported picture, as seen by who gets it; the driver may store it in either order of
 * colours. */
static void check_exported(const struct bn_gl_scanout *out, bool swapped, const uint32_t *want)
{
	struct dma_buf_sync sync = {.flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ};
	size_t size = out->offset[0] + (size_t)out->stride[0] * HEIGHT;
	uint8_t *map = mmap(NULL, size, PROT_READ, MAP_SHARED, out->fd[0], 0);
	unsigned wrong = 0;
	CU_ASSERT_TRUE_FATAL(map != MAP_FAILED);
	CU_ASSERT_EQUAL(ioctl(out->fd[0], DMA_BUF_IOCTL_SYNC, &sync), 0);
	for (unsigned y = 0; y < HEIGHT; y++) {
		unsigned row = out->y_invert ? HEIGHT - 1 - y : y;
		const uint8_t *pixels = map + out->offset[0] + (size_t)row * out->stride[0];
		for (unsigned x = 0; x < WIDTH; x++) {
			uint32_t pixel;
			memcpy(&pixel, pixels + x * sizeof(pixel), sizeof(pixel));
			if (swapped)
				pixel = (pixel & 0xff00) | (pixel & 0xff) << 16 |
					(pixel >> 16 & 0xff);
			wrong += (pixel ^ want[y * WIDTH + x]) & 0xffffff ? 1 : 0;
		}
	}
	CU_ASSERT_EQUAL(wrong, 0);
	munmap(map, size);
}

/* Either a dma-buf that is one, or -ENOTSUP: which, depends on the driver. What is drawn before and after the export
 * is in it. */
static void check_export(uint32_t format, uint32_t flags, uint32_t fourcc, uint32_t other)
{
	static uint32_t in[WIDTH * HEIGHT];
	struct bn_gl_scanout out;
	CU_ASSERT_EQUAL(create_2d(RES, format, flags), 0);
	fill(in);
	CU_ASSERT_EQUAL(upload(in, 0, 0, WIDTH, HEIGHT), 0);
	CU_ASSERT_TRUE(finish(0));
	int ret = bn_gl_export(gl, RES, &out);
	CU_ASSERT_TRUE(ret == 0 || ret == -ENOTSUP);
	if (ret == 0) {
		CU_ASSERT_TRUE(out.planes >= 1 && out.planes <= 4);
		CU_ASSERT_TRUE(out.stride[0] >= WIDTH * 4);
		CU_ASSERT_TRUE(out.fourcc == fourcc || out.fourcc == other);
		CU_ASSERT_EQUAL(out.y_invert, flags == BN_VIRGL_RESOURCE_Y_0_TOP);
		for (unsigned i = 0; i < out.planes; i++)
			CU_ASSERT_TRUE(out.fd[i] >= 0);
		if (out.planes == 1 && out.modifier == 0) {
			check_exported(&out, out.fourcc == other, in);
			in[0] = ~in[0];
			CU_ASSERT_EQUAL(upload(in, 0, 0, WIDTH, HEIGHT), 0);
			CU_ASSERT_TRUE(finish(0));
			check_exported(&out, out.fourcc == other, in);
		}
		bn_fds_close(out.fd, 4);
	} else {
		bn_unit_no_dmabuf();
	}
	bn_gl_resource_unref(gl, RES);
}

static void test_export(void)
{
	struct bn_gl_scanout out;
	CU_ASSERT_EQUAL(bn_gl_export(gl, RES, &out), -EINVAL);
	check_export(BN_VIRGL_FORMAT_B8G8R8X8, 0, DRM_FORMAT_XRGB8888, DRM_FORMAT_XBGR8888);
	check_export(BN_VIRGL_FORMAT_B8G8R8X8, BN_VIRGL_RESOURCE_Y_0_TOP, DRM_FORMAT_XRGB8888,
		DRM_FORMAT_XBGR8888);
	check_export(BN_VIRGL_FORMAT_B8G8R8A8, BN_VIRGL_RESOURCE_Y_0_TOP, DRM_FORMAT_ARGB8888,
		DRM_FORMAT_ABGR8888);
	check_export(BN_VIRGL_FORMAT_R8G8B8X8, 0, DRM_FORMAT_XBGR8888, DRM_FORMAT_XRGB8888);
}

/* What the guest wrote comes back to it, and is read back for display the same way up, whichever
 * way virglrenderer stores it. */
static void check_transfer(uint32_t flags)
{
	static uint32_t in[WIDTH * HEIGHT], out[WIDTH * HEIGHT], shown[WIDTH * HEIGHT];
	fill(in);
	memset(out, 0, sizeof(out));
	memset(shown, 0, sizeof(shown));
	CU_ASSERT_EQUAL(create_2d(RES, BN_VIRGL_FORMAT_B8G8R8A8, flags), 0);
	CU_ASSERT_EQUAL(upload(in, 0, 0, WIDTH, HEIGHT), 0);
	CU_ASSERT_TRUE(finish(0));
	CU_ASSERT_EQUAL(download(out), 0);
	CU_ASSERT_EQUAL(memcmp(in, out, sizeof(in)), 0);
	CU_ASSERT_EQUAL(bn_gl_read_back(gl, RES, 0, 0, WIDTH, HEIGHT, shown, WIDTH * 4), 0);
	CU_ASSERT_EQUAL(memcmp(in, shown, sizeof(in)), 0);
	bn_gl_resource_unref(gl, RES);
}

static void test_transfers(void)
{
	check_transfer(0);
	check_transfer(BN_VIRGL_RESOURCE_Y_0_TOP);
}

/* A rectangle lands at its own place, and nothing outside is touched. */
static void check_rectangle(uint32_t flags)
{
	static uint32_t in[WIDTH * HEIGHT], shown[WIDTH * HEIGHT];
	fill(in);
	memset(shown, 0x11, sizeof(shown));
	CU_ASSERT_EQUAL(create_2d(RES, BN_VIRGL_FORMAT_B8G8R8A8, flags), 0);
	CU_ASSERT_EQUAL(upload(in, 0, 0, WIDTH, HEIGHT), 0);
	CU_ASSERT_EQUAL(bn_gl_read_back(gl, RES, 3, 5, 10, 7, shown, WIDTH * 4), 0);
	for (unsigned y = 0; y < HEIGHT; y++) {
		for (unsigned x = 0; x < WIDTH; x++) {
			bool inside = x >= 3 && x < 13 && y >= 5 && y < 12;
			uint32_t expected = inside ? in[y * WIDTH + x] : 0x11111111;
			CU_ASSERT_EQUAL_FATAL(shown[y * WIDTH + x], expected);
		}
	}
	bn_gl_resource_unref(gl, RES);
}

static void test_read_back_rectangles(void)
{
	static uint32_t pixels[WIDTH * HEIGHT];
	check_rectangle(0);
	check_rectangle(BN_VIRGL_RESOURCE_Y_0_TOP);
	CU_ASSERT_EQUAL(create_2d(RES, BN_VIRGL_FORMAT_B8G8R8A8, 0), 0);
	CU_ASSERT_EQUAL(bn_gl_read_back(gl, RES, 1, 0, WIDTH, 1, pixels, WIDTH * 4), -EINVAL);
	CU_ASSERT_EQUAL(bn_gl_read_back(gl, RES, 0, 1, 1, HEIGHT, pixels, WIDTH * 4), -EINVAL);
	CU_ASSERT_EQUAL(bn_gl_read_back(gl, RES, 0xffffffff, 0, 2, 1, pixels, WIDTH * 4), -EINVAL);
	CU_ASSERT_EQUAL(bn_gl_read_back(gl, RES, 0, 0, WIDTH, 1, pixels, WIDTH), -EINVAL);
	CU_ASSERT_EQUAL(bn_gl_read_back(gl, RES, 0, 0, 0, 0, pixels, WIDTH * 4), 0);
	bn_gl_resource_unref(gl, RES);
}

static const struct bn_virgl_vertex whole[3] = {
	/* Covers everything: green. */
	{{-1, -1, 0, 1}, {0, 1, 0, 1}},
	{{3, -1, 0, 1}, {0, 1, 0, 1}},
	{{-1, 3, 0, 1}, {0, 1, 0, 1}},
};

static void begin_triangles(uint32_t vbo)
{
	CU_ASSERT_EQUAL(create_buffer(vbo, BN_VIRGL_BIND_VERTEX_BUFFER, sizeof(whole)), 0);
	bn_gl_ctx_attach(gl, CTX, vbo);
	bn_virgl_triangle_state(&stream, 10);
	bn_virgl_write_buffer(&stream, vbo, 0, whole, sizeof(whole));
	bn_virgl_clear(&stream, (const float[]){0, 0, 0, 1});
}

static void test_triangle(void)
{
	static uint32_t pixels[WIDTH * HEIGHT];
	CU_ASSERT_EQUAL_FATAL(create_2d(RES, BN_VIRGL_FORMAT_B8G8R8X8, 0), 0);
	begin(CTX, RES, BN_VIRGL_FORMAT_B8G8R8X8);
	begin_triangles(RES + 1);
	bn_virgl_draw_triangles(&stream, RES + 1, 3);
	CU_ASSERT_EQUAL(submit(CTX), 0);
	CU_ASSERT_FALSE(bn_gl_ctx_lost(gl, CTX));
	CU_ASSERT_TRUE(finish(CTX));
	CU_ASSERT_EQUAL(bn_gl_read_back(gl, RES, 0, 0, WIDTH, HEIGHT, pixels, WIDTH * 4), 0);
	CU_ASSERT_TRUE(all_pixels(pixels, 0x00ff00));
	end(CTX, RES);
	bn_gl_resource_unref(gl, RES + 1);
}

/* The result is in the guest's memory before the fence behind it is reported, whichever way the
 * fence took. */
static void test_query_before_fence(void)
{
	static struct {
		uint32_t state, size;
		uint64_t value;
	} result;
	struct iovec iov = {.iov_base = &result, .iov_len = sizeof(result)};
	CU_ASSERT_EQUAL_FATAL(create_2d(RES, BN_VIRGL_FORMAT_B8G8R8X8, 0), 0);
	begin(CTX, RES, BN_VIRGL_FORMAT_B8G8R8X8);
	CU_ASSERT_EQUAL(create_buffer(RES + 2, BN_VIRGL_BIND_CUSTOM, sizeof(result)), 0);
	CU_ASSERT_EQUAL(bn_gl_attach_iov(gl, RES + 2, &iov, 1), 0);
	bn_gl_ctx_attach(gl, CTX, RES + 2);
	begin_triangles(RES + 1);
	bn_virgl_create_query(&stream, 30, BN_VIRGL_QUERY_OCCLUSION_COUNTER, RES + 2);
	CU_ASSERT_EQUAL(submit(CTX), 0);
	for (unsigned i = 1; i <= 20; i++) {
		memset(&result, 0, sizeof(result));
		bn_virgl_begin_query(&stream, 30);
		for (unsigned k = 0; k < i; k++)
			bn_virgl_draw_triangles(&stream, RES + 1, 3);
		bn_virgl_end_query(&stream, 30);
		bn_virgl_get_query_result(&stream, 30, false);
		CU_ASSERT_EQUAL(submit(CTX), 0);
		CU_ASSERT_TRUE(finish(CTX));
		CU_ASSERT_EQUAL(result.state, BN_VIRGL_QUERY_DONE);
		CU_ASSERT_EQUAL(result.value, (uint64_t)i * WIDTH * HEIGHT);
	}
	end(CTX, RES);
	bn_gl_detach_iov(gl, RES + 2);
	bn_gl_resource_unref(gl, RES + 1);
	bn_gl_resource_unref(gl, RES + 2);
}

static void test_fence_order(void)
{
	CU_ASSERT_EQUAL(create_2d(RES, BN_VIRGL_FORMAT_B8G8R8X8, 0), 0);
	begin(CTX, RES, BN_VIRGL_FORMAT_B8G8R8X8);
	CU_ASSERT_EQUAL(bn_gl_ctx_create(gl, CTX + 1, 0, "other"), 0);
	CU_ASSERT_EQUAL(submit(CTX), 0);
	nfences = 0;
	uint64_t first = next_fence;
	for (unsigned i = 0; i < 200; i++) {
		uint32_t ctx = i % 3 == 0 ? CTX : i % 3 == 1 ? CTX + 1 : 0;
		bn_virgl_set_sub_ctx(&stream, ctx == CTX ? 1 : 0);
		if (ctx == CTX)
			bn_virgl_clear(&stream, (const float[]){0, 0, 1, 1});
		if (ctx)
			CU_ASSERT_EQUAL(submit(ctx), 0);
		bn_virgl_reset(&stream);
		/* Sparse, as the guest's are. */
		next_fence += 2;
		CU_ASSERT_EQUAL(bn_gl_fence(gl, ctx, next_fence), 0);
	}
	CU_ASSERT_EQUAL(nfences, 0);
	CU_ASSERT_EQUAL(bn_gl_fences_pending(gl), 200);
	CU_ASSERT_TRUE(wait_fences(200));
	CU_ASSERT_EQUAL(nfences, 200);
	CU_ASSERT_EQUAL(bn_gl_fences_pending(gl), 0);
	for (unsigned i = 0; i < 200; i++)
		CU_ASSERT_EQUAL(fences[i], first + 2 * (i + 1));
	next_fence++;
	bn_gl_ctx_destroy(gl, CTX + 1);
	end(CTX, RES);
	CU_ASSERT_EQUAL(bn_gl_fence(gl, CTX, 1), -EINVAL);
}

/* Destroying a context, its fences still on their way, loses no fence: neither its own nor another
 * context's. */
static void test_fence_outlives_context(void)
{
	for (unsigned round = 0; round < 20; round++) {
		CU_ASSERT_EQUAL(create_2d(RES, BN_VIRGL_FORMAT_B8G8R8X8, 0), 0);
		begin(CTX, RES, BN_VIRGL_FORMAT_B8G8R8X8);
		begin_triangles(RES + 1);
		CU_ASSERT_EQUAL(bn_gl_ctx_create(gl, CTX + 1, 2, "other"), 0);
		for (unsigned i = 0; i < 100; i++)
			bn_virgl_draw_triangles(&stream, RES + 1, 3);
		CU_ASSERT_EQUAL(submit(CTX), 0);
		nfences = 0;
		CU_ASSERT_EQUAL(bn_gl_fence(gl, CTX, next_fence), 0);
		CU_ASSERT_EQUAL(bn_gl_fence(gl, CTX + 1, next_fence + 1), 0);
		if (round % 2)
			bn_gl_ctx_destroy(gl, CTX + 1);
		end(CTX, RES);
		CU_ASSERT_TRUE(wait_fences(2));
		CU_ASSERT_EQUAL(fences[0], next_fence);
		CU_ASSERT_EQUAL(fences[1], next_fence + 1);
		next_fence += 2;
		bn_gl_ctx_destroy(gl, CTX + 1);
		bn_gl_resource_unref(gl, RES + 1);
	}
}

static void test_lost_context(void)
{
	CU_ASSERT_EQUAL(create_2d(RES, BN_VIRGL_FORMAT_B8G8R8X8, 0), 0);
	begin(CTX, RES, BN_VIRGL_FORMAT_B8G8R8X8);
	CU_ASSERT_EQUAL(submit(CTX), 0);
	bn_virgl_garbage(&stream);
	CU_ASSERT_EQUAL(submit(CTX), -EINVAL);
	CU_ASSERT_TRUE(bn_gl_ctx_lost(gl, CTX));
	bn_virgl_nop(&stream, 0);
	CU_ASSERT_EQUAL(submit(CTX), -EINVAL);
	/* Its fences still come, and others still draw. */
	CU_ASSERT_TRUE(finish(CTX));
	end(CTX, RES);
	CU_ASSERT_FALSE(bn_gl_ctx_lost(gl, CTX));
	check_clear(BN_VIRGL_FORMAT_B8G8R8X8, 0, 0xff8020);
}

/* Others come and go while a context is in use: what it draws still goes into its own picture. */
static void test_newcomers(void)
{
	static uint32_t pixels[WIDTH * HEIGHT];
	CU_ASSERT_EQUAL(create_2d(RES, BN_VIRGL_FORMAT_B8G8R8X8, 0), 0);
	begin(CTX, RES, BN_VIRGL_FORMAT_B8G8R8X8);
	CU_ASSERT_EQUAL(submit(CTX), 0);
	for (uint32_t i = 1; i <= 4; i++) {
		CU_ASSERT_EQUAL(bn_gl_ctx_create(gl, CTX + i, 2, "newcomer"), 0);
		if (i > 2)
			bn_gl_ctx_destroy(gl, CTX + i - 1);
		bn_virgl_clear(&stream, (const float[]){0, (float)i / 5, 1, 1});
		CU_ASSERT_EQUAL(submit(CTX), 0);
		CU_ASSERT_TRUE(finish(CTX));
		CU_ASSERT_EQUAL(
			bn_gl_read_back(gl, RES, 0, 0, WIDTH, HEIGHT, pixels, WIDTH * 4), 0);
		CU_ASSERT_EQUAL(pixels[WIDTH + 1] & 0xffffff, 255 * i / 5 << 8 | 0xff);
	}
	bn_gl_ctx_destroy(gl, CTX + 1);
	bn_gl_ctx_destroy(gl, CTX + 4);
	end(CTX, RES);
}

/* A driver that gives no more says so; asked before, nobody dies of it. */
static void test_driver_refuses(void)
{
	int major = gl->egl.major;
	CU_ASSERT_TRUE(bn_gl_can_create(gl, 0));
	CU_ASSERT_TRUE(bn_gl_can_create(gl, 3));
	gl->egl.major = 99;
	CU_ASSERT_FALSE(bn_gl_can_create(gl, 1));
	gl->egl.major = major;
	CU_ASSERT_TRUE(bn_gl_can_create(gl, 1));
	check_clear(BN_VIRGL_FORMAT_B8G8R8X8, 0, 0xff8020);
}

/* Random words: refused or done, but the process lives and the next context works. */
static void test_garbage(void)
{
	uint32_t seed = 1;
	for (unsigned round = 0; round < 60; round++) {
		CU_ASSERT_EQUAL(bn_gl_ctx_create(gl, CTX, 2, "fuzz"), 0);
		unsigned n = 1 + round % 64;
		for (unsigned i = 0; i < n; i++) {
			seed = seed * 1664525 + 1013904223;
			words[i] = i % 8 ? seed >> 8
					 : (seed >> 8) % 52 | (seed >> 20) % 12 << 8 | 7u << 16;
		}
		bn_gl_submit(gl, CTX, words, n);
		CU_ASSERT_TRUE(finish(CTX));
		bn_gl_ctx_destroy(gl, CTX);
	}
	check_clear(BN_VIRGL_FORMAT_B8G8R8X8, 0, 0xff8020);
}

static void test_refusals(void)
{
	CU_ASSERT_EQUAL(bn_gl_ctx_create(gl, 0, 0, ""), -EINVAL);
	CU_ASSERT_EQUAL(bn_gl_ctx_create(gl, CTX, 4, "venus"), -EINVAL);
	CU_ASSERT_EQUAL(bn_gl_ctx_create(gl, CTX, 1, "virgl"), 0);
	CU_ASSERT_EQUAL(bn_gl_ctx_create(gl, CTX, 1, "again"), -EINVAL);
	bn_gl_ctx_destroy(gl, CTX);
	bn_gl_ctx_destroy(gl, CTX);
	CU_ASSERT_EQUAL(bn_gl_submit(gl, CTX, words, 1), -EINVAL);
	CU_ASSERT_EQUAL(create_2d(RES, 0xffffff, 0), -EINVAL);
	CU_ASSERT_EQUAL(create_2d(0, BN_VIRGL_FORMAT_B8G8R8X8, 0), -EINVAL);
	struct bn_gl_transfer t = {.res_id = RES, .w = 1, .h = 1, .d = 1};
	CU_ASSERT_EQUAL(bn_gl_transfer_in(gl, &t), -EINVAL);
	CU_ASSERT_EQUAL(create_2d(RES, BN_VIRGL_FORMAT_B8G8R8X8, 0), 0);
	CU_ASSERT_EQUAL(bn_gl_transfer_in(gl, &t), -EINVAL); /* no backing */
	bn_gl_detach_iov(gl, RES);
	bn_gl_resource_unref(gl, RES);
	bn_gl_resource_unref(gl, RES);
	struct iovec iov = {.iov_base = words, .iov_len = sizeof(words)};
	CU_ASSERT_EQUAL(bn_gl_attach_iov(gl, RES, &iov, 1), -EINVAL);
}

/* Starts and ends the library again: nothing of the first life is left. */
static void test_again(void)
{
	bn_gl_destroy(gl);
	gl = NULL;
	CU_ASSERT_EQUAL(create(BN_LINK_GPU_NONE), -ENODEV);
	CU_ASSERT_PTR_NULL(gl);
	CU_ASSERT_EQUAL_FATAL(create(BN_LINK_GPU_SURFACELESS), 0);
	check_clear(BN_VIRGL_FORMAT_B8G8R8X8, 0, 0xff8020);
	bn_gl_destroy(gl);
	gl = NULL;
	bn_gl_destroy(NULL);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"start", test_start},
		{"names and capsets", test_names_and_capsets},
		{"clear, fence, read back", test_clear},
		{"scanout info", test_scanout_info},
		{"export", test_export},
		{"transfers", test_transfers},
		{"read-back rectangles", test_read_back_rectangles},
		{"triangle", test_triangle},
		{"query result before fence", test_query_before_fence},
		{"fence order", test_fence_order},
		{"fence outlives context", test_fence_outlives_context},
		{"lost context", test_lost_context},
		{"newcomers", test_newcomers},
		{"driver refuses", test_driver_refuses},
		{"garbage", test_garbage},
		{"refusals", test_refusals},
		{"again", test_again},
		CU_TEST_INFO_NULL,
	};
	bn_log_init(BN_LOG_ERROR, "test_gl");
	/* The driver opens a few fds once and keeps them for the process: a first life gets that
	 * over with. */
	if (create(BN_LINK_GPU_SURFACELESS) < 0) {
		fprintf(stderr, "no EGL without a display here: skipped\n");
		return SKIPPED;
	}
	bn_gl_destroy(gl);
	return bn_unit_main("gl", tests);
}
