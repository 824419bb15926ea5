/* GL scanouts that leave the renderer as dma-bufs: on a host whose driver can export them, none of their pixels is copied,
 * and what is displayed is what the guest drew. Runs where /dev/udmabuf is (tests/uml-host/run.sh). */
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "virgl_stream.h"

#define W 160u
#define H 120u
#define WORDS 256
#define RES 10u

static struct e2e e;
static struct tg_vm vm;

static const char config[] = "[output paced]\nmode=160x120@60\n"
			     "[vm gl]\nscanout.0=paced\n";

static void start(void)
{
	e2e_open(&e, config);
	CU_ASSERT_EQUAL_FATAL(tg_vm_open(&vm, e2e_socket(&e, "gl"), NULL), 0);
	E2E_OK(tg_ctx_create(&vm, 1, 0, "test"));
}

static void stop(void)
{
	tg_vm_close(&vm);
	e2e_close(&e);
}

static void create(struct tg_image *image, uint32_t res, uint32_t format, uint32_t flags)
{
	struct virtio_gpu_resource_create_3d args = {
		.resource_id = res,
		.target = BN_VIRGL_TARGET_2D,
		.format = format,
		.bind = BN_VIRGL_BIND_RENDER_TARGET | BN_VIRGL_BIND_SAMPLER_VIEW |
			BN_VIRGL_BIND_SCANOUT,
		.width = image->width,
		.height = image->height,
		.depth = 1,
		.array_size = 1,
		.flags = flags,
	};
	E2E_OK(tg_create_3d(&vm, &args));
	E2E_OK(tg_attach(&vm, res, image->entries, image->pages));
	E2E_OK(tg_ctx_attach(&vm, 1, res));
}

static void upload(struct tg_image *image, uint32_t res, const uint32_t *pixels)
{
	struct virtio_gpu_transfer_host_3d args = {
		.box = {0, 0, 0, image->width, image->height, 1},
		.resource_id = res,
		.stride = image->stride,
	};
	tg_image_write(image, pixels);
	E2E_OK(tg_transfer_3d(&vm, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 1, &args));
}

static void flush(uint32_t res, uint32_t w, uint32_t h)
{
	E2E_OK(tg_finish(tg_flush_async(&vm, res, tg_rect(0, 0, w, h)), NULL, 0));
}

static void swap_red_blue(uint32_t *pixels)
{
	for (uint32_t i = 0; i < W * H; i++)
		pixels[i] = (pixels[i] & 0xff00ff00) | (pixels[i] & 0xff) << 16 |
			    (pixels[i] >> 16 & 0xff);
}

struct counts {
	int64_t zero_copy, copied;
};

static struct counts count(void)
{
	return (struct counts){
		e2e_vm_int(&e, "gl", "zero_copy_frames"), e2e_vm_int(&e, "gl", "copy_bytes_out")};
}

static void expect_frames(const struct counts *before, int64_t frames)
{
	struct counts now = count();
	CU_ASSERT_EQUAL(now.zero_copy - before->zero_copy, frames);
	CU_ASSERT_EQUAL(now.copied, 0);
}

/* Every format that a scanout may have, stored top row first and last. Uploads come after the export, too: what
 * the driver draws must land in the memory that was handed out. */
static void test_formats(void)
{
	static const struct {
		uint32_t format, flags;
		bool swapped;
	} cases[] = {
		{1, 0, false}, /* B8G8R8A8 */
		{1, BN_VIRGL_RESOURCE_Y_0_TOP, false},
		{2, BN_VIRGL_RESOURCE_Y_0_TOP, false}, /* B8G8R8X8 */
		{67, BN_VIRGL_RESOURCE_Y_0_TOP, true}, /* R8G8B8A8 */
		{134, 0, true},                        /* R8G8B8X8 */
	};
	static uint32_t pixels[W * H];
	struct tg_image image;
	CU_ASSERT_EQUAL_FATAL(tg_image_init(&image, &vm, -1, W, H), 0);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct counts before = count();
		create(&image, RES + i, cases[i].format, cases[i].flags);
		E2E_OK(tg_set_scanout(&vm, 0, RES + i, tg_rect(0, 0, W, H)));
		for (unsigned frame = 0; frame < 3; frame++) {
			tg_pattern(pixels, W, H, 10 * i + frame);
			upload(&image, RES + i, pixels);
			flush(RES + i, W, H);
			if (cases[i].swapped)
				swap_red_blue(pixels);
			CU_ASSERT_EQUAL(e2e_differences(&e, "paced", pixels, 0, 0, W, H), 0);
		}
		expect_frames(&before, 3);
	}
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		E2E_OK(tg_unref(&vm, RES + i));
	tg_image_finish(&image);
}

/* Widths whose rows are padded, and a scanout that is a part of its resource. */
static void test_sizes(void)
{
	static const uint32_t widths[] = {W, W + 1, W + 7, W + 100};
	static uint32_t pixels[(W + 100) * (H + 10)], part[W * H];
	for (unsigned i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
		struct counts before = count();
		struct tg_image image;
		uint32_t x = widths[i] - W, y = i, w = widths[i], h = H + i;
		CU_ASSERT_EQUAL_FATAL(tg_image_init(&image, &vm, -1, w, h), 0);
		create(&image, RES, 2, i % 2 ? BN_VIRGL_RESOURCE_Y_0_TOP : 0);
		tg_pattern(pixels, w, h, 50 + i);
		upload(&image, RES, pixels);
		E2E_OK(tg_set_scanout(&vm, 0, RES, tg_rect(x, y, W, H)));
		flush(RES, w, h);
		for (uint32_t row = 0; row < H; row++)
			memcpy(part + row * W, pixels + (size_t)(y + row) * w + x, W * 4);
		CU_ASSERT_EQUAL(e2e_differences(&e, "paced", part, 0, 0, W, H), 0);
		expect_frames(&before, 1);
		E2E_OK(tg_unref(&vm, RES));
		tg_image_finish(&image);
	}
}

static struct tg_request *clear_async(uint32_t surface, uint32_t res, uint32_t colour)
{
	uint32_t words[WORDS] __attribute__((aligned(8)));
	struct bn_virgl_stream s;
	float rgba[4] = {(float)(colour >> 16 & 255) / 255, (float)(colour >> 8 & 255) / 255,
		(float)(colour & 255) / 255, 1};
	bn_virgl_init(&s, words, WORDS);
	if (res)
		bn_virgl_create_surface(&s, surface, res, BN_VIRGL_FORMAT_B8G8R8A8);
	bn_virgl_set_framebuffer(&s, surface);
	bn_virgl_set_viewport(&s, W, H);
	bn_virgl_clear(&s, rgba);
	CU_ASSERT_FALSE(s.overflow);
	return tg_submit_3d_async(&vm, 1, -1, s.words, s.count * 4);
}

static void clear(uint32_t surface, uint32_t res, uint32_t colour)
{
	E2E_OK(tg_finish(clear_async(surface, res, colour), NULL, 0));
}

/* The service closes a control connection a moment after its answer. */
static int daemon_fds(void)
{
	int least = e2e_fd_count(e.daemon);
	for (unsigned i = 0; i < 20; i++) {
		e2e_sleep_ms(5);
		int now = e2e_fd_count(e.daemon);
		least = now < least ? now : least;
	}
	return least;
}

#define FLIPS 40u

/* As a compositor in the guest: two buffers in turn, drawn by the GPU; nothing is announced or opened anew for a frame. */
static void test_flips(void)
{
	static uint32_t want[W * H];
	struct tg_image image;
	struct counts before = count();
	CU_ASSERT_EQUAL_FATAL(tg_image_init(&image, &vm, -1, W, H), 0);
	create(&image, RES, BN_VIRGL_FORMAT_B8G8R8A8, BN_VIRGL_RESOURCE_Y_0_TOP);
	create(&image, RES + 1, BN_VIRGL_FORMAT_B8G8R8A8, BN_VIRGL_RESOURCE_Y_0_TOP);
	int fds = 0;
	for (uint32_t i = 0; i < FLIPS; i++) {
		uint32_t colour = 0x010203 * (i + 1);
		clear(1 + i % 2, i < 2 ? RES + i : 0, colour);
		E2E_OK(tg_set_scanout(&vm, 0, RES + i % 2, tg_rect(0, 0, W, H)));
		flush(RES + i % 2, W, H);
		for (uint32_t k = 0; k < W * H; k++)
			want[k] = colour;
		CU_ASSERT_EQUAL(e2e_differences(&e, "paced", want, 0, 0, W, H), 0);
		if (i == 4)
			fds = daemon_fds();
	}
	CU_ASSERT_EQUAL(daemon_fds(), fds);
	expect_frames(&before, FLIPS);
	E2E_OK(tg_unref(&vm, RES));
	E2E_OK(tg_unref(&vm, RES + 1));
	tg_image_finish(&image);
}

#define FRAMES 100u

/* The display's one colour, without alpha. */
static uint32_t shown_colour(void)
{
	uint32_t w = 0, h = 0, different = 0;
	uint32_t *pixels = e2e_screenshot(&e, "paced", &w, &h);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pixels);
	uint32_t colour = pixels[0] & 0xffffff;
	for (uint32_t i = 0; i < w * h; i++)
		different += (pixels[i] & 0xffffff) != colour;
	CU_ASSERT_EQUAL(different, 0);
	free(pixels);
	return colour;
}

/* As Linux before 7: a flip is over when it was asked for, and the next frame is drawn into the buffer before, which is on
 * display until the vblank. No frame may be seen before it is flushed, nor part of one. */
static void test_run_ahead(void)
{
	struct tg_request *shown = NULL, *drawn;
	struct tg_image image;
	struct counts before = count();
	CU_ASSERT_EQUAL_FATAL(tg_image_init(&image, &vm, -1, W, H), 0);
	for (uint32_t i = 0; i < 2; i++)
		create(&image, RES + i, BN_VIRGL_FORMAT_B8G8R8A8, BN_VIRGL_RESOURCE_Y_0_TOP);
	for (uint32_t i = 0; i < FRAMES; i++) {
		uint32_t colour = 0x010203 * (i % 80 + 1);
		drawn = clear_async(101 + i % 2, i < 2 ? RES + i : 0, colour);
		if (i > 1)
			CU_ASSERT_NOT_EQUAL(shown_colour(), colour);
		E2E_OK(tg_finish(drawn, NULL, 0));
		if (shown)
			E2E_OK(tg_finish(shown, NULL, 0));
		E2E_OK(tg_set_scanout(&vm, 0, RES + i % 2, tg_rect(0, 0, W, H)));
		shown = tg_flush_async(&vm, RES + i % 2, tg_rect(0, 0, W, H));
	}
	E2E_OK(tg_finish(shown, NULL, 0));
	expect_frames(&before, FRAMES);
	CU_ASSERT_TRUE(e2e_vm_int(&e, "gl", "release_waits") > FRAMES / 2);
	CU_ASSERT_EQUAL(e2e_vm_int(&e, "gl", "release_timeouts"), 0);
	E2E_OK(tg_unref(&vm, RES));
	E2E_OK(tg_unref(&vm, RES + 1));
	tg_image_finish(&image);
}

/* What was exported is given back with the resource, on both sides. */
static void test_no_leak(void)
{
	static uint32_t pixels[W * H];
	struct tg_image image;
	pid_t children[8];
	int renderer_fds[2], service_fds[2];
	CU_ASSERT_EQUAL_FATAL(tg_image_init(&image, &vm, -1, W, H), 0);
	tg_pattern(pixels, W, H, 3);
	CU_ASSERT_EQUAL_FATAL(e2e_descendants(e.daemon, children, 8), 1);
	for (unsigned i = 0; i < 60; i++) {
		create(&image, RES + i, 2, 0);
		upload(&image, RES + i, pixels);
		E2E_OK(tg_set_scanout(&vm, 0, RES + i, tg_rect(0, 0, W, H)));
		flush(RES + i, W, H);
		E2E_OK(tg_unref(&vm, RES + i));
		if (i == 9 || i == 59) {
			service_fds[i / 50] = daemon_fds();
			renderer_fds[i / 50] = e2e_fd_count(children[0]);
		}
	}
	CU_ASSERT_EQUAL(service_fds[0], service_fds[1]);
	CU_ASSERT_EQUAL(renderer_fds[0], renderer_fds[1]);
	tg_image_finish(&image);
}

/* More than udmabuf gives out at a time (64 MiB): read back, and shown all the same. */
static void test_too_large(void)
{
	static uint32_t want[W * H];
	struct virtio_gpu_resource_create_3d args = {
		.resource_id = RES,
		.target = BN_VIRGL_TARGET_2D,
		.format = BN_VIRGL_FORMAT_B8G8R8A8,
		.bind = BN_VIRGL_BIND_RENDER_TARGET | BN_VIRGL_BIND_SCANOUT,
		.width = 4096,
		.height = 4200,
		.depth = 1,
		.array_size = 1,
		.flags = BN_VIRGL_RESOURCE_Y_0_TOP,
	};
	struct counts before = count();
	E2E_OK(tg_create_3d(&vm, &args));
	E2E_OK(tg_ctx_attach(&vm, 1, RES));
	clear(9, RES, 0x336699);
	E2E_OK(tg_set_scanout(&vm, 0, RES, tg_rect(0, 0, W, H)));
	flush(RES, W, H);
	for (uint32_t k = 0; k < W * H; k++)
		want[k] = 0x336699;
	CU_ASSERT_EQUAL(e2e_differences(&e, "paced", want, 0, 0, W, H), 0);
	CU_ASSERT_EQUAL(count().zero_copy, before.zero_copy);
	CU_ASSERT_TRUE(count().copied > 0);
	E2E_OK(tg_unref(&vm, RES));
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"service starts", start},
		{"formats and directions", test_formats},
		{"padded rows, parts", test_sizes},
		{"two buffers in turn", test_flips},
		{"two buffers, ahead of the display", test_run_ahead},
		{"buffers come and go", test_no_leak},
		{"too large for udmabuf", test_too_large},
		{"service stops", stop},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("dmabuf", tests);
}
