/* How often the kernel is told that the CPU reads a dma-buf. Memfds stand in for dma-bufs: fstatfs() and ioctl() are the test's own. */
#include "unit.h"

#include <drm_fourcc.h>
#include <linux/dma-buf.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

#include "common/fd.h"
#include "output_impl.h"
#include "pixels.h"

#define SIZE 32u

static unsigned starts, ends;

__attribute__((visibility("default"))) int fstatfs(int fd, struct statfs *out)
{
	*out = (struct statfs){.f_type = DMA_BUF_MAGIC};
	return 0;
}

__attribute__((visibility("default"))) int ioctl(int fd, unsigned long request, ...)
{
	const struct dma_buf_sync *sync;
	va_list args;

	va_start(args, request);
	sync = va_arg(args, const struct dma_buf_sync *);
	va_end(args);
	CU_ASSERT_EQUAL(request, DMA_BUF_IOCTL_SYNC);
	if (sync->flags & DMA_BUF_SYNC_END)
		ends++;
	else
		starts++;
	CU_ASSERT(ends <= starts);
	return 0;
}

static const struct bn_buffer_listener buffer_listener = {0};

static struct bn_buffer *make_buffer(void)
{
	const struct bn_buffer_attrs attrs = {
		.kind = BN_BUFFER_DMABUF,
		.width = SIZE,
		.height = SIZE,
		.fourcc = DRM_FORMAT_XRGB8888,
		.modifier = DRM_FORMAT_MOD_LINEAR,
		.planes = 1,
		.stride = {SIZE * 4},
		.fd = {bn_memfd_create("test", SIZE * SIZE * 4), -1, -1, -1},
	};
	struct bn_buffer *buffer;

	CU_ASSERT_EQUAL_FATAL(bn_buffer_create(&buffer, &attrs, &buffer_listener, NULL), 0);
	return buffer;
}

static void ignore(void *data, const struct bn_frame *frame, enum bn_presented how, uint64_t when)
{
}

/* `layers` parts of `buffers` buffers in turn, side by side. */
static void compose(unsigned layers, unsigned buffers)
{
	static const struct bn_layer_listener listener = {.presented = ignore};
	const struct bn_output_config config = {.name = "test",
		.kind = BN_OUTPUT_HEADLESS,
		.width = 256,
		.height = SIZE,
		.refresh_mhz = 60000,
		.free_running = true};
	struct wl_event_loop *loop = wl_event_loop_create();
	struct bn_buffer *buffer[4];
	struct bn_layer *layer[8];
	struct bn_output *output;
	pixman_image_t *image;

	CU_ASSERT_EQUAL_FATAL(bn_output_create(&output, loop, &config), 0);
	for (unsigned i = 0; i < buffers; i++)
		buffer[i] = make_buffer();
	for (unsigned i = 0; i < layers; i++) {
		struct bn_frame frame = {.buffer = buffer[i % buffers],
			.src_width = SIZE / 2,
			.src_height = SIZE / 2};

		layer[i] = bn_layer_create(output, &listener, NULL);
		bn_layer_set_position(layer[i], (int32_t)(i * SIZE), 0);
		bn_layer_submit(layer[i], &frame);
	}
	wl_event_loop_dispatch(loop, 0);
	starts = ends = 0;
	image = pixman_image_create_bits(PIXMAN_x8r8g8b8, 256, SIZE, NULL, 0);
	CU_ASSERT_EQUAL(bn_compose_layers(image, layer, layers, false, NULL), 0);
	pixman_image_unref(image);
	for (unsigned i = 0; i < layers; i++)
		bn_layer_destroy(layer[i]);
	for (unsigned i = 0; i < buffers; i++)
		bn_buffer_drop(buffer[i]);
	bn_output_destroy(output);
	wl_event_loop_destroy(loop);
}

static void test_once(void)
{
	compose(1, 1);
	CU_ASSERT_EQUAL(starts, 1);
	CU_ASSERT_EQUAL(ends, 1);
	compose(8, 1);
	CU_ASSERT_EQUAL(starts, 1);
	CU_ASSERT_EQUAL(ends, 1);
	compose(8, 3);
	CU_ASSERT_EQUAL(starts, 3);
	CU_ASSERT_EQUAL(ends, 3);
}

static void test_nested(void)
{
	const struct bn_rect part = {0, 0, 4, 4};
	struct bn_buffer *buffer = make_buffer();
	struct bn_pixels a, b;

	starts = ends = 0;
	CU_ASSERT_EQUAL(bn_pixels_open(&a, buffer, &part, false, false), 0);
	CU_ASSERT_EQUAL(bn_pixels_open(&b, buffer, &part, true, true), 0);
	bn_pixels_close(&a);
	CU_ASSERT_EQUAL(ends, 0);
	bn_pixels_close(&b);
	CU_ASSERT_EQUAL(starts, 1);
	CU_ASSERT_EQUAL(ends, 1);
	/* Nothing is open: nothing is kept. */
	bn_pixels_keep(buffer);
	bn_pixels_let_go(buffer);
	CU_ASSERT_EQUAL(starts, 1);
	CU_ASSERT_EQUAL(bn_pixels_open(&a, buffer, &part, false, false), 0);
	bn_pixels_close(&a);
	CU_ASSERT_EQUAL(starts, 2);
	CU_ASSERT_EQUAL(ends, 2);
	bn_buffer_drop(buffer);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"once for all parts of a picture", test_once},
		{"parts that are open together", test_nested},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("compose_sync", tests);
}
