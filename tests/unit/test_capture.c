/* What bn_output_capture composes: places, formats, upside-down pictures, cursors. */
#include <drm_fourcc.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/fd.h"
#include "output_impl.h"
#include "unit.h"

#define WIDTH 96
#define HEIGHT 80
#define BLACK 0u
#define RED 0xff0000u
#define GREEN 0x00ff00u
#define BLUE 0x0000ffu

static uint64_t clock_now(void *data)
{
	return *(uint64_t *)data;
}

static void handle_presented(
	void *data, const struct bn_frame *frame, enum bn_presented how, uint64_t when_ns)
{
}

static const struct bn_layer_listener listener = {.presented = handle_presented};

struct rig {
	uint64_t now;
	struct wl_event_loop *loop;
	struct bn_output *output;
	uint32_t *pixels, width, height;
};

static void rig_init(struct rig *rig)
{
	struct bn_output_config config = {
		.name = "test", .width = WIDTH, .height = HEIGHT, .refresh_mhz = 60000};
	struct bn_clock clock = {clock_now, &rig->now};

	*rig = (struct rig){.now = 1000, .loop = wl_event_loop_create()};
	CU_ASSERT_EQUAL_FATAL(
		bn_output_create_clocked(&rig->output, rig->loop, &config, &clock), 0);
}

static void rig_finish(struct rig *rig)
{
	free(rig->pixels);
	bn_output_destroy(rig->output);
	wl_event_loop_destroy(rig->loop);
}

static int capture(struct rig *rig)
{
	free(rig->pixels);
	rig->pixels = NULL;
	return bn_output_capture(rig->output, &rig->pixels, &rig->width, &rig->height);
}

static uint32_t pixel(const struct rig *rig, unsigned x, unsigned y)
{
	return rig->pixels[y * rig->width + x] & 0xffffff;
}

static struct bn_buffer_attrs attrs_of(uint32_t width, uint32_t height, uint32_t fourcc)
{
	uint32_t stride = (width * bn_fourcc_bytes(fourcc) + 3) & ~3u;
	struct bn_buffer_attrs attrs = {
		.kind = BN_BUFFER_MEMFD,
		.width = width,
		.height = height,
		.fourcc = fourcc,
		.modifier = DRM_FORMAT_MOD_LINEAR,
		.planes = 1,
		.stride = {stride},
		.fd = {-1, -1, -1, -1},
	};

	return attrs;
}

/* Takes pixels as they lie in memory: stride × height bytes. */
static struct bn_buffer *buffer_of(const struct bn_buffer_attrs *attrs, const void *pixels)
{
	struct bn_buffer_attrs with_fd = *attrs;
	size_t size = (size_t)attrs->stride[0] * attrs->height;
	struct bn_buffer *buffer;

	with_fd.fd[0] = bn_memfd_create("test", attrs->offset[0] + size);
	CU_ASSERT_EQUAL_FATAL(pwrite(with_fd.fd[0], pixels, size, attrs->offset[0]), (ssize_t)size);
	CU_ASSERT_EQUAL_FATAL(bn_buffer_create(&buffer, &with_fd, NULL, NULL), 0);
	return buffer;
}

static struct bn_buffer *solid(uint32_t width, uint32_t height, uint32_t color)
{
	struct bn_buffer_attrs attrs = attrs_of(width, height, DRM_FORMAT_XRGB8888);
	uint32_t *pixels = calloc((size_t)width * height, 4);
	struct bn_buffer *buffer;

	for (size_t i = 0; i < (size_t)width * height; i++)
		pixels[i] = color;
	buffer = buffer_of(&attrs, pixels);
	free(pixels);
	return buffer;
}

/* Shows a part of the buffer and gives the buffer away. */
static void show_part(struct rig *rig, struct bn_layer *layer, struct bn_buffer *buffer, uint32_t x,
	uint32_t y, uint32_t width, uint32_t height)
{
	struct bn_frame frame = {
		.buffer = buffer, .src_x = x, .src_y = y, .src_width = width, .src_height = height};

	bn_layer_submit(layer, &frame);
	bn_buffer_drop(buffer);
	rig->now += BN_NS_PER_S;
	bn_pacer_run(&rig->output->pacer);
}

static void show(struct rig *rig, struct bn_layer *layer, struct bn_buffer *buffer)
{
	show_part(rig, layer, buffer, 0, 0, UINT32_MAX, UINT32_MAX);
}

static struct bn_layer *layer_at(struct rig *rig, int32_t x, int32_t y)
{
	struct bn_layer *layer = bn_layer_create(rig->output, &listener, NULL);

	CU_ASSERT_PTR_NOT_NULL_FATAL(layer);
	bn_layer_set_position(layer, x, y);
	return layer;
}

static void test_empty_is_black(void)
{
	struct rig rig;

	rig_init(&rig);
	CU_ASSERT_EQUAL_FATAL(capture(&rig), 0);
	CU_ASSERT(rig.width == WIDTH && rig.height == HEIGHT);
	for (unsigned i = 0; i < WIDTH * HEIGHT; i++)
		CU_ASSERT_FATAL(rig.pixels[i] == 0);
	rig_finish(&rig);
}

static void test_layers_stack_and_are_cut(void)
{
	struct bn_layer *low, *high, *outside;
	struct rig rig;

	rig_init(&rig);
	low = layer_at(&rig, -10, -5);
	high = layer_at(&rig, WIDTH - 20, HEIGHT - 10);
	outside = layer_at(&rig, INT32_MAX, INT32_MIN);
	show(&rig, low, solid(WIDTH, HEIGHT, RED));
	show(&rig, high, solid(40, 40, BLUE));
	show(&rig, outside, solid(40, 40, GREEN));
	CU_ASSERT_EQUAL_FATAL(capture(&rig), 0);
	CU_ASSERT_EQUAL(pixel(&rig, 0, 0), RED);
	CU_ASSERT_EQUAL(pixel(&rig, WIDTH - 11, HEIGHT - 11), RED);
	CU_ASSERT_EQUAL(pixel(&rig, WIDTH - 10, 0), BLACK);
	CU_ASSERT_EQUAL(pixel(&rig, 0, HEIGHT - 5), BLACK);
	CU_ASSERT_EQUAL(pixel(&rig, WIDTH - 20, HEIGHT - 10), BLUE);
	CU_ASSERT_EQUAL(pixel(&rig, WIDTH - 1, HEIGHT - 1), BLUE);
	bn_layer_destroy(high);
	CU_ASSERT_EQUAL_FATAL(capture(&rig), 0);
	CU_ASSERT_EQUAL(pixel(&rig, WIDTH - 1, HEIGHT - 1), BLACK);
	bn_layer_destroy(low);
	bn_layer_destroy(outside);
	rig_finish(&rig);
}

static void test_formats(void)
{
	static const struct {
		uint32_t fourcc;
		uint8_t bytes[4]; /* in memory; alpha 0 */
		uint32_t color;
	} formats[] = {
		{DRM_FORMAT_XRGB8888, {0x10, 0x80, 0xf8, 0}, 0xf88010},
		{DRM_FORMAT_ARGB8888, {0x10, 0x80, 0xf8, 0}, 0xf88010},
		{DRM_FORMAT_XBGR8888, {0xf8, 0x80, 0x10, 0}, 0xf88010},
		{DRM_FORMAT_ABGR8888, {0xf8, 0x80, 0x10, 0}, 0xf88010},
		{DRM_FORMAT_RGBX8888, {0, 0x10, 0x80, 0xf8}, 0xf88010},
		{DRM_FORMAT_RGBA8888, {0, 0x10, 0x80, 0xf8}, 0xf88010},
		{DRM_FORMAT_BGRX8888, {0, 0xf8, 0x80, 0x10}, 0xf88010},
		{DRM_FORMAT_BGRA8888, {0, 0xf8, 0x80, 0x10}, 0xf88010},
		{DRM_FORMAT_RGB565, {0x02, 0xfc}, 0xff8210},
	};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct bn_buffer_attrs attrs = attrs_of(1, 1, formats[i].fourcc);
		struct bn_layer *layer;
		struct rig rig;

		rig_init(&rig);
		layer = layer_at(&rig, 0, 0);
		show(&rig, layer, buffer_of(&attrs, formats[i].bytes));
		CU_ASSERT_EQUAL_FATAL(capture(&rig), 0);
		CU_ASSERT_EQUAL(pixel(&rig, 0, 0), formats[i].color);
		bn_layer_destroy(layer);
		rig_finish(&rig);
	}
}

static void test_source_and_upside_down(void)
{
	/* Rows in memory: red, green, blue, black; columns alike. */
	static const uint32_t pixels[4][2] = {
		{RED, RED}, {GREEN, GREEN}, {BLUE, BLUE}, {BLACK, BLACK}};
	struct bn_buffer_attrs attrs = attrs_of(2, 4, DRM_FORMAT_XRGB8888);
	struct bn_layer *layer;
	struct rig rig;

	rig_init(&rig);
	layer = layer_at(&rig, 1, 1);
	attrs.offset[0] = 20;
	show_part(&rig, layer, buffer_of(&attrs, pixels), 1, 1, 1, 2);
	CU_ASSERT_EQUAL_FATAL(capture(&rig), 0);
	CU_ASSERT_EQUAL(pixel(&rig, 1, 1), GREEN);
	CU_ASSERT_EQUAL(pixel(&rig, 1, 2), BLUE);
	CU_ASSERT_EQUAL(pixel(&rig, 2, 1), BLACK);
	attrs.y_invert = true;
	show_part(&rig, layer, buffer_of(&attrs, pixels), 0, 2, 2, 2);
	CU_ASSERT_EQUAL_FATAL(capture(&rig), 0);
	CU_ASSERT_EQUAL(pixel(&rig, 1, 1), GREEN);
	CU_ASSERT_EQUAL(pixel(&rig, 1, 2), RED);
	CU_ASSERT_EQUAL(pixel(&rig, 1, 3), BLACK);
	bn_layer_destroy(layer);
	rig_finish(&rig);
}

static void test_cursor(void)
{
	static uint32_t cursor[BN_CURSOR_SIZE * BN_CURSOR_SIZE];
	struct bn_layer *low, *high;
	struct rig rig;

	rig_init(&rig);
	for (size_t i = 0; i < BN_CURSOR_SIZE * BN_CURSOR_SIZE; i++)
		cursor[i] = 0x80008000; /* half-transparent green */
	low = layer_at(&rig, 0, 0);
	high = layer_at(&rig, 40, 0);
	bn_layer_set_cursor(low, cursor, 4, 2);
	bn_layer_move_cursor(low, 10, 10);
	CU_ASSERT_EQUAL_FATAL(capture(&rig), 0);
	CU_ASSERT_EQUAL(pixel(&rig, 10, 10), BLACK); /* no picture, no cursor */
	show(&rig, low, solid(30, HEIGHT, RED));
	show(&rig, high, solid(8, 8, BLUE));
	CU_ASSERT_EQUAL_FATAL(capture(&rig), 0);
	CU_ASSERT_EQUAL(pixel(&rig, 5, 8), RED);
	CU_ASSERT_EQUAL(pixel(&rig, 6, 7), RED);
	CU_ASSERT_EQUAL(pixel(&rig, 6, 8), 0x7f8000);
	CU_ASSERT_EQUAL(pixel(&rig, 29, 8 + 63), 0x7f8000);
	CU_ASSERT_EQUAL(pixel(&rig, 30, 8), BLACK); /* cut at its layer's edge */
	CU_ASSERT_EQUAL(pixel(&rig, 42, 7), BLUE);
	bn_layer_move_cursor(low, INT32_MAX, INT32_MIN);
	CU_ASSERT_EQUAL_FATAL(capture(&rig), 0);
	CU_ASSERT_EQUAL(pixel(&rig, 6, 8), RED);
	bn_layer_move_cursor(low, 0, 0);
	bn_layer_set_cursor(low, cursor, UINT32_MAX, 0);
	CU_ASSERT_EQUAL_FATAL(capture(&rig), 0);
	CU_ASSERT_EQUAL(pixel(&rig, 0, 0), 0x7f8000);
	CU_ASSERT_EQUAL(pixel(&rig, 1, 0), RED);
	bn_layer_set_cursor(low, NULL, 0, 0);
	CU_ASSERT_EQUAL_FATAL(capture(&rig), 0);
	CU_ASSERT_EQUAL(pixel(&rig, 0, 0), RED);
	bn_layer_destroy(low);
	bn_layer_destroy(high);
	rig_finish(&rig);
}

/* A dma-buf of one page over a memfd that is filled with color; -1 without udmabuf. */
static int dmabuf_of(uint32_t color)
{
	struct udmabuf_create create = {.flags = UDMABUF_FLAGS_CLOEXEC, .size = 4096};
	int udmabuf = open("/dev/udmabuf", O_RDWR | O_CLOEXEC), fd = -1;
	uint32_t pixels[1024];

	if (udmabuf < 0)
		return -1;
	for (size_t i = 0; i < 1024; i++)
		pixels[i] = color;
	create.memfd = (uint32_t)bn_memfd_create("test", 4096);
	if (pwrite((int)create.memfd, pixels, 4096, 0) == 4096)
		fd = ioctl(udmabuf, UDMABUF_CREATE, &create);
	close((int)create.memfd);
	close(udmabuf);
	return fd;
}

static void test_dmabuf(void)
{
	struct bn_buffer_attrs attrs = attrs_of(32, 32, DRM_FORMAT_XRGB8888);
	struct bn_buffer *buffer;
	struct bn_layer *layer;
	struct rig rig;

	attrs.kind = BN_BUFFER_DMABUF;
	attrs.fd[0] = dmabuf_of(RED);
	if (attrs.fd[0] < 0) {
		bn_unit_no_dmabuf();
		return;
	}
	rig_init(&rig);
	layer = layer_at(&rig, 0, 0);
	CU_ASSERT_EQUAL_FATAL(bn_buffer_create(&buffer, &attrs, NULL, NULL), 0);
	show(&rig, layer, buffer);
	CU_ASSERT_EQUAL_FATAL(capture(&rig), 0);
	CU_ASSERT_EQUAL(pixel(&rig, 31, 31), RED);
	CU_ASSERT_EQUAL(pixel(&rig, 32, 31), BLACK);
	attrs.fd[0] = dmabuf_of(RED);
	attrs.modifier = I915_FORMAT_MOD_X_TILED;
	CU_ASSERT_EQUAL_FATAL(bn_buffer_create(&buffer, &attrs, NULL, NULL), 0);
	show(&rig, layer, buffer);
	CU_ASSERT_EQUAL(capture(&rig), -ENOTSUP);
	bn_layer_destroy(layer);
	rig_finish(&rig);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"an empty output is black", test_empty_is_black},
		{"layers stack and are cut at the edges", test_layers_stack_and_are_cut},
		{"formats, alpha ignored", test_formats},
		{"source rectangle, upside-down pictures", test_source_and_upside_down},
		{"cursor", test_cursor},
		{"dma-bufs", test_dmabuf},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("capture", tests);
}
