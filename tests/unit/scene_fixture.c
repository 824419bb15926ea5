#include "scene_fixture.h"

#include <drm_fourcc.h>
#include <drm_mode.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/fd.h"
#include "unit.h"
#include "zero-copy/format.h"

static const uint32_t rgb[] = {DRM_FORMAT_XRGB8888, DRM_FORMAT_ARGB8888, DRM_FORMAT_XBGR8888,
	DRM_FORMAT_ABGR8888, DRM_FORMAT_RGBX8888, DRM_FORMAT_RGBA8888, DRM_FORMAT_BGRX8888,
	DRM_FORMAT_BGRA8888, DRM_FORMAT_RGB565};
static const uint32_t yuv[] = {DRM_FORMAT_NV12, DRM_FORMAT_NV21, DRM_FORMAT_NV16, DRM_FORMAT_NV61,
	DRM_FORMAT_NV24, DRM_FORMAT_NV42, DRM_FORMAT_P010, DRM_FORMAT_P012, DRM_FORMAT_P016,
	DRM_FORMAT_YUV420, DRM_FORMAT_YVU420, DRM_FORMAT_YUV422, DRM_FORMAT_YVU422,
	DRM_FORMAT_YUV444, DRM_FORMAT_YVU444, DRM_FORMAT_YUYV, DRM_FORMAT_YVYU, DRM_FORMAT_UYVY,
	DRM_FORMAT_VYUY};

bool scene_buffers_begin;

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

uint64_t scene_random_next(struct scene_random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint32_t scene_random_below(struct scene_random *random, uint32_t limit)
{
	return (uint32_t)(scene_random_next(random) % limit);
}

int32_t scene_random_between(struct scene_random *random, int32_t low, int32_t high)
{
	return low + (int32_t)scene_random_below(random, (uint32_t)(high - low + 1));
}

static bool one_in(struct scene_random *random, uint32_t n)
{
	return scene_random_below(random, n) == 0;
}

static uint64_t clock_now(void *data)
{
	return *(uint64_t *)data;
}

static void handle_presented(
	void *data, const struct bn_frame *frame, enum bn_presented how, uint64_t when_ns)
{
}

static const struct bn_layer_listener listener = {.presented = handle_presented};

/* The same memory as dma-bufs, one for each plane. */
static void make_dmabuf(struct bn_buffer_attrs *attrs, uint32_t size)
{
	struct udmabuf_create create = {
		.memfd = (uint32_t)attrs->fd[0], .flags = UDMABUF_FLAGS_CLOEXEC, .size = size};
	int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	int fd = ioctl(device, UDMABUF_CREATE, &create);

	CU_ASSERT_FATAL(fd >= 0);
	close(device);
	close(attrs->fd[0]);
	attrs->kind = BN_BUFFER_DMABUF;
	attrs->fd[0] = fd;
	for (uint32_t i = 1; i < attrs->planes; i++)
		attrs->fd[i] = bn_fd_dup(fd);
}

struct bn_buffer *scene_buffer(
	struct scene_random *random, uint32_t fourcc, uint32_t width, uint32_t height)
{
	const struct bn_format *format = bn_format_find(fourcc);
	struct bn_buffer_attrs attrs = {
		.kind = BN_BUFFER_MEMFD,
		.width = width,
		.height = height,
		.fourcc = fourcc,
		.modifier = DRM_FORMAT_MOD_LINEAR,
		.planes = format->planes,
		.fd = {-1, -1, -1, -1},
		.y_invert = one_in(random, 4),
		.encoding = (enum bn_encoding)scene_random_below(random, 3),
		.range = (enum bn_range)scene_random_below(random, 2),
	};
	struct bn_buffer *buffer;
	uint32_t skipped = 4 * scene_random_below(random, 9);
	uint32_t size = scene_buffers_begin ? 0 : skipped;
	uint64_t *noise;

	for (unsigned i = 0; i < format->planes; i++) {
		uint32_t row = (uint32_t)bn_format_row(format, i, width);

		attrs.offset[i] = size;
		attrs.stride[i] = (row + 3) / 4 * 4 + 4 * scene_random_below(random, 5);
		size += attrs.stride[i] * bn_format_rows(format, i, height);
	}
	size = (size + 4095) & ~4095u; /* dma-bufs are made of pages */
	attrs.fd[0] = bn_memfd_create_pages("test", size);
	noise = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, attrs.fd[0], 0);
	CU_ASSERT_FATAL(noise != MAP_FAILED);
	for (uint32_t i = 0; i < size / 8; i++)
		noise[i] = scene_random_next(random);
	munmap(noise, size);
	if (getenv("BN_TEST_DMABUF"))
		make_dmabuf(&attrs, size);
	CU_ASSERT_EQUAL_FATAL(bn_buffer_create(&buffer, &attrs, NULL, NULL), 0);
	return buffer;
}

struct bn_buffer *scene_plain_buffer(
	uint32_t fourcc, uint32_t width, uint32_t height, uint32_t colour, uint32_t edge)
{
	size_t size = (size_t)width * height * 4;
	struct bn_buffer_attrs attrs = {
		.kind = BN_BUFFER_MEMFD,
		.width = width,
		.height = height,
		.fourcc = fourcc,
		.modifier = DRM_FORMAT_MOD_LINEAR,
		.planes = 1,
		.stride = {width * 4},
		.fd = {bn_memfd_create_pages("test", size), -1, -1, -1},
	};
	uint32_t *pixels = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, attrs.fd[0], 0);
	struct bn_buffer *buffer;

	CU_ASSERT_FATAL(pixels != MAP_FAILED);
	for (uint32_t y = 0; y < height; y++) {
		for (uint32_t x = 0; x < width; x++) {
			bool at_edge = x < 2 || y < 3 || x + 4 >= width || y + 5 >= height;

			pixels[y * width + x] = at_edge ? edge : colour;
		}
	}
	munmap(pixels, size);
	CU_ASSERT_EQUAL_FATAL(bn_buffer_create(&buffer, &attrs, NULL, NULL), 0);
	return buffer;
}

void scene_submit(struct bn_layer *layer, struct bn_buffer *buffer, uint64_t flush_ns)
{
	const struct bn_buffer_attrs *attrs = bn_buffer_attrs(buffer);
	struct bn_frame frame = {
		.buffer = buffer,
		.src_width = attrs->width,
		.src_height = attrs->height,
		.damage_width = attrs->width,
		.damage_height = attrs->height,
		.flush_ns = flush_ns,
	};

	bn_layer_submit(layer, &frame);
}

void scene_fixture_init_output(struct scene_fixture *scene, const struct bn_output_config *config)
{
	struct bn_clock clock = {clock_now, &scene->now};

	*scene = (struct scene_fixture){.now = 1000, .loop = wl_event_loop_create()};
	CU_ASSERT_EQUAL_FATAL(
		bn_output_create_clocked(&scene->output, scene->loop, config, &clock), 0);
}

void scene_fixture_init(struct scene_fixture *scene, uint32_t width, uint32_t height)
{
	struct bn_output_config config = {
		.name = "test", .width = width, .height = height, .refresh_mhz = 60000};

	scene_fixture_init_output(scene, &config);
}

static struct bn_rect random_rect(
	struct scene_random *random, int32_t x, int32_t y, uint32_t width, uint32_t height)
{
	return (struct bn_rect){scene_random_between(random, -x, x),
		scene_random_between(random, -y, y), 1 + scene_random_below(random, width),
		1 + scene_random_below(random, height)};
}

static struct bn_place random_place(
	struct scene_random *random, const struct bn_output_config *config, unsigned kinds)
{
	struct bn_place place = bn_place_default;

	place.at = random_rect(random, (int32_t)config->width, (int32_t)config->height, 100, 100);
	if (!(kinds & SCENE_SCALED) || one_in(random, 3))
		place.at.width = place.at.height = 0;
	if (one_in(random, 2))
		place.crop = random_rect(random, 20, 20, 60, 60);
	if (kinds & SCENE_TURNED)
		place.transform = (DRM_MODE_ROTATE_0 << scene_random_below(random, 4)) |
				  (scene_random_below(random, 4) * DRM_MODE_REFLECT_X);
	if (kinds & SCENE_MIXED) {
		place.alpha =
			one_in(random, 2) ? BN_ALPHA_OPAQUE : (uint16_t)scene_random_next(random);
		place.blend = one_in(random, 2);
		place.hidden = one_in(random, 8);
	}
	place.z = scene_random_between(random, -2, 2);
	place.role = (enum bn_role)scene_random_below(random, 3);
	return place;
}

static void add_cursor(struct bn_layer *layer, struct scene_random *random)
{
	uint32_t *pixels = calloc(BN_CURSOR_SIZE * BN_CURSOR_SIZE, 4);

	for (unsigned i = 0; i < BN_CURSOR_SIZE * BN_CURSOR_SIZE; i++)
		pixels[i] = (uint32_t)scene_random_next(random);
	bn_layer_set_cursor(layer, pixels, scene_random_below(random, 70), 3);
	bn_layer_move_cursor(layer, scene_random_between(random, -40, 100),
		scene_random_between(random, -40, 90));
	free(pixels);
}

void scene_fixture_add(struct scene_fixture *scene, struct scene_random *random, unsigned kinds)
{
	struct bn_layer *layer = bn_layer_create(scene->output, &listener, NULL);
	bool is_yuv = kinds & SCENE_YUV && one_in(random, 2);
	uint32_t fourcc = is_yuv ? yuv[scene_random_below(random, COUNT(yuv))]
				 : rgb[scene_random_below(random, COUNT(rgb))];
	struct bn_place place = random_place(random, &scene->output->config, kinds);
	uint32_t width = 1 + scene_random_below(random, 80);
	uint32_t height = 1 + scene_random_below(random, 60);
	struct bn_frame frame = {.src_width = UINT32_MAX, .src_height = UINT32_MAX};

	CU_ASSERT_PTR_NOT_NULL_FATAL(layer);
	scene->layers[scene->count++] = layer;
	frame.buffer = scene_buffer(random, fourcc, width, height);
	if (one_in(random, 3)) {
		frame.src_x = scene_random_below(random, width);
		frame.src_y = scene_random_below(random, height);
		frame.src_width = 1 + scene_random_below(random, width);
		frame.src_height = 1 + scene_random_below(random, height);
	}
	bn_layer_set_place(layer, &place);
	bn_layer_submit(layer, &frame);
	bn_buffer_drop(frame.buffer);
	if (kinds & SCENE_CURSORS && one_in(random, 2))
		add_cursor(layer, random);
}

void scene_fixture_show(struct scene_fixture *scene)
{
	scene->now += BN_NS_PER_S;
	bn_pacer_run(&scene->output->pacer);
}

void scene_fixture_finish(struct scene_fixture *scene)
{
	for (unsigned i = 0; i < scene->count; i++)
		bn_layer_destroy(scene->layers[i]);
	bn_output_destroy(scene->output);
	wl_event_loop_destroy(scene->loop);
}
