/* Composition by a GPU (here by Mesa's rasteriser) against the reference renderer, on random scenes in memory of the CPU
 * and in dma-bufs. The pictures that are drawn into are dma-bufs: where none can be made, all is skipped. */
#include <dirent.h>
#include <drm_fourcc.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/udmabuf.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "common/fd.h"
#include "compose_gl.h"
#include "compose_gl_count.h"
#include "reference.h"
#include "scene_fixture.h"
#include "unit.h"
#include "zero-copy/format.h"

#define SKIPPED 77
#define WIDTH_MAX 72
#define HEIGHT_MAX 56
#define STRIDE (4 * 128)
#define PIXELS_MAX (WIDTH_MAX * HEIGHT_MAX)
#define GROUND 0x12345678u

/* The reference mixes four pixels exactly, and so does the GPU but for the last bit; transparency above that
 * can double it with each layer. */
#define SCALED_DISTANCE 5

static struct bn_compose_gl *gl;
static int udmabuf = -1;

/* ---- dma-bufs ---- */

static int wrap(int memfd, uint64_t size)
{
	struct udmabuf_create create = {
		.memfd = (uint32_t)memfd, .flags = UDMABUF_FLAGS_CLOEXEC, .size = size};

	return ioctl(udmabuf, UDMABUF_CREATE, &create);
}

static uint64_t pages(uint64_t size)
{
	return (size + 4095) & ~4095ull;
}

/* The same picture in a dma-buf. */
static struct bn_buffer *as_dmabuf(const struct bn_buffer *buffer, uint64_t modifier)
{
	struct bn_buffer_attrs attrs = *bn_buffer_attrs(buffer);
	uint64_t size = pages((uint64_t)lseek(attrs.fd[0], 0, SEEK_END));
	int memfd = bn_memfd_create("test", size), fd;
	struct bn_buffer *made = NULL;
	char *to = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	char *from = mmap(NULL, size, PROT_READ, MAP_SHARED, attrs.fd[0], 0);

	CU_ASSERT_FATAL(to != MAP_FAILED && from != MAP_FAILED);
	memcpy(to, from, size);
	munmap(to, size);
	munmap(from, size);
	fd = wrap(memfd, size);
	CU_ASSERT_FATAL(fd >= 0);
	attrs.kind = BN_BUFFER_DMABUF;
	attrs.modifier = modifier;
	attrs.fd[0] = fd;
	for (unsigned i = 1; i < attrs.planes; i++)
		attrs.fd[i] = bn_fd_dup(fd);
	CU_ASSERT_EQUAL_FATAL(bn_buffer_create(&made, &attrs, NULL, NULL), 0);
	close(memfd);
	return made;
}

/* one_in 1: all of them. */
static void into_dmabufs(struct scene_fixture *scene, struct scene_random *random, uint32_t one_in)
{
	for (unsigned i = 0; i < scene->count; i++) {
		struct bn_frame frame = scene->layers[i]->current;

		if (scene_random_below(random, one_in) != 0)
			continue;
		frame.buffer = as_dmabuf(frame.buffer, DRM_FORMAT_MOD_LINEAR);
		bn_layer_submit(scene->layers[i], &frame);
		bn_buffer_drop(frame.buffer);
	}
	scene_fixture_show(scene);
}

/* ---- pictures to draw into ---- */

struct picture {
	int memfd, dmabuf, width, height;
	uint32_t *pixels;
	struct bn_compose_gl_target *target;
};

static void picture_init(struct picture *p, int width, int height)
{
	uint64_t size = pages((uint64_t)STRIDE * (unsigned)height);
	struct bn_compose_gl_memory memory = {
		.width = (uint32_t)width, .height = (uint32_t)height, .stride = STRIDE};

	p->width = width;
	p->height = height;
	p->memfd = bn_memfd_create("target", size);
	p->dmabuf = memory.fd = wrap(p->memfd, size);
	p->pixels = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, p->memfd, 0);
	CU_ASSERT_FATAL(p->pixels != MAP_FAILED && p->dmabuf >= 0);
	for (int i = 0; i < height * STRIDE / 4; i++)
		p->pixels[i] = GROUND;
	CU_ASSERT_EQUAL_FATAL(bn_compose_gl_target_create(&p->target, gl, &memory), 0);
}

static void picture_finish(struct picture *p)
{
	bn_compose_gl_target_destroy(p->target);
	munmap(p->pixels, pages((uint64_t)STRIDE * (unsigned)p->height));
	close(p->memfd);
	close(p->dmabuf);
}

static uint32_t pixel_at(const struct picture *p, int x, int y)
{
	return p->pixels[y * STRIDE / 4 + x];
}

static unsigned list(struct bn_output *output, struct bn_compose_item *items)
{
	struct bn_layer *layer;
	unsigned count = 0;

	wl_list_for_each(layer, &output->layers, link)
	{
		items[count++] = (struct bn_compose_item){layer, false};
		items[count++] = (struct bn_compose_item){layer, true};
	}
	return count;
}

/* region NULL: all of it. */
static int draw(struct scene_fixture *scene, struct picture *p, bool opaque,
	pixman_region32_t *region, uint64_t *copied)
{
	struct bn_compose_item items[2 * BN_OUTPUT_LAYERS_MAX];
	unsigned count = list(scene->output, items);
	pixman_region32_t all;
	uint64_t bytes = 0;
	int fence = -2, r;

	pixman_region32_init_rect(&all, 0, 0, (unsigned)p->width, (unsigned)p->height);
	r = bn_compose_gl_draw(
		gl, p->target, items, count, opaque, region ? region : &all, &fence, &bytes);
	CU_ASSERT(fence >= -1);
	if (fence >= 0) {
		struct pollfd wait = {.fd = fence, .events = POLLIN};

		CU_ASSERT_EQUAL(poll(&wait, 1, 60000), 1);
		close(fence);
	}
	if (copied)
		*copied = bytes;
	pixman_region32_fini(&all);
	return r;
}

static void start(void)
{
	udmabuf = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	CU_ASSERT_FATAL(udmabuf >= 0);
	bn_compose_gl_use = BN_COMPOSE_GL_SOFTWARE;
	gl = bn_compose_gl_create(-1, "test");
	CU_ASSERT_PTR_NOT_NULL_FATAL(gl);
	CU_ASSERT_TRUE_FATAL(bn_compose_gl_wait(gl));
}

static void stop(void)
{
	bn_compose_gl_destroy(gl);
	close(udmabuf);
}

/* ---- scenes ---- */

struct difference {
	unsigned max;
	uint64_t total, channels, copied;
};

static void random_scene(struct scene_fixture *scene, struct scene_random *random, unsigned kinds)
{
	unsigned layers = 1 + scene_random_below(random, 5);

	scene_fixture_init(scene, 1 + scene_random_below(random, WIDTH_MAX),
		1 + scene_random_below(random, HEIGHT_MAX));
	for (unsigned i = 0; i < layers; i++)
		scene_fixture_add(scene, random, kinds);
	scene_fixture_show(scene);
}

static void compare(struct scene_fixture *scene, struct difference *difference)
{
	static uint32_t want[PIXELS_MAX], seen[PIXELS_MAX];
	int width = (int)scene->output->config.width, height = (int)scene->output->config.height;
	uint64_t total, copied;
	struct picture picture;
	unsigned max;

	picture_init(&picture, width, height);
	CU_ASSERT_FATAL(reference_render_output(scene->output, want));
	CU_ASSERT_EQUAL(draw(scene, &picture, true, NULL, &copied), 0);
	for (int i = 0; i < width * height; i++)
		seen[i] = pixel_at(&picture, i % width, i / width);
	max = reference_distance(seen, want, (size_t)(width * height), &total);
	if (max > difference->max)
		difference->max = max;
	difference->total += total;
	difference->channels += 3ull * (unsigned)(width * height);
	difference->copied += copied;
	picture_finish(&picture);
}

static void run_scenes(uint64_t seed, unsigned count, unsigned kinds, uint32_t one_in_dmabuf,
	unsigned allowed, struct difference *difference)
{
	*difference = (struct difference){0};
	for (unsigned i = 0; i < count; i++) {
		struct scene_random random = {seed + i};
		struct scene_fixture scene;
		unsigned before = difference->max;

		random_scene(&scene, &random, kinds);
		into_dmabufs(&scene, &random, one_in_dmabuf);
		compare(&scene, difference);
		if (difference->max > before && difference->max > allowed)
			printf("[seed %llu: %u] ", (unsigned long long)(seed + i), difference->max);
		scene_fixture_finish(&scene);
	}
}

static void test_plain(void)
{
	struct difference d;

	run_scenes(1000, 150, SCENE_PLAIN, 2, 0, &d);
	CU_ASSERT_EQUAL(d.max, 0);
	CU_ASSERT(d.copied > 0);
}

static void test_turned(void)
{
	struct difference d;

	run_scenes(20000, 200, SCENE_TURNED, 2, 0, &d);
	CU_ASSERT_EQUAL(d.max, 0);
}

static void test_mixed(void)
{
	struct difference d;

	run_scenes(40000, 200, SCENE_TURNED | SCENE_MIXED | SCENE_CURSORS, 2, 0, &d);
	CU_ASSERT_EQUAL(d.max, 0);
}

/* The same tolerance as for the CPU, and why: see test_compose.c. */
static void test_yuv(void)
{
	struct difference d;

	run_scenes(60000, 200, SCENE_YUV | SCENE_TURNED | SCENE_MIXED, 2, 1, &d);
	CU_ASSERT(d.max <= 1);
	CU_ASSERT(d.total <= d.channels / 10000);
}

static void test_scaled(void)
{
	struct difference d;

	run_scenes(80000, 200,
		SCENE_SCALED | SCENE_TURNED | SCENE_MIXED | SCENE_CURSORS | SCENE_YUV, 2,
		SCALED_DISTANCE, &d);
	printf("(at most %u, %.3f on average) ", d.max, (double)d.total / (double)d.channels);
	CU_ASSERT(d.max <= SCALED_DISTANCE);
	CU_ASSERT(d.total <= d.channels / 20);
}

/* What lies in dma-bufs is never touched by the CPU. */
static void test_zero_copy(void)
{
	struct difference d;

	run_scenes(120000, 100, SCENE_TURNED | SCENE_SCALED | SCENE_MIXED | SCENE_YUV, 1,
		SCALED_DISTANCE, &d);
	CU_ASSERT(d.max <= SCALED_DISTANCE);
	CU_ASSERT_EQUAL(d.copied, 0);
}

/* Drawn for a plane that lies above others: alpha and all as the CPU does it. */
static void test_transparent_ground(void)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < 150; i++) {
		static uint32_t want[PIXELS_MAX];
		struct scene_random random = {140000 + i};
		struct bn_layer *layers[BN_OUTPUT_LAYERS_MAX], *layer;
		struct scene_fixture scene;
		struct picture picture;
		pixman_image_t *image;
		unsigned count = 0;
		int width, height;

		random_scene(&scene, &random, SCENE_TURNED | SCENE_MIXED | SCENE_CURSORS);
		width = (int)scene.output->config.width;
		height = (int)scene.output->config.height;
		picture_init(&picture, width, height);
		CU_ASSERT_EQUAL(draw(&scene, &picture, false, NULL, NULL), 0);
		memset(want, 0, sizeof(want));
		image = pixman_image_create_bits_no_clear(
			PIXMAN_a8r8g8b8, width, height, want, width * 4);
		wl_list_for_each(layer, &scene.output->layers, link) layers[count++] = layer;
		CU_ASSERT_EQUAL(bn_compose_layers(image, layers, count, true, NULL), 0);
		for (int k = 0; k < width * height; k++)
			wrong += want[k] != pixel_at(&picture, k % width, k / width);
		pixman_image_unref(image);
		picture_finish(&picture);
		scene_fixture_finish(&scene);
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

static void random_region(
	struct scene_random *random, pixman_region32_t *region, int width, int height)
{
	unsigned boxes = 1 + scene_random_below(random, 4);

	pixman_region32_init(region);
	for (unsigned i = 0; i < boxes; i++)
		pixman_region32_union_rect(region, region,
			scene_random_between(random, 0, width - 1),
			scene_random_between(random, 0, height - 1),
			1 + scene_random_below(random, (uint32_t)width),
			1 + scene_random_below(random, (uint32_t)height));
	pixman_region32_intersect_rect(region, region, 0, 0, (unsigned)width, (unsigned)height);
}

/* Drawn within a region: inside of it as without, outside of it untouched. */
static void test_damage(void)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < 150; i++) {
		struct scene_random random = {160000 + i};
		struct scene_fixture scene;
		struct picture whole, part;
		pixman_region32_t region;
		int width, height;

		random_scene(&scene, &random,
			SCENE_SCALED | SCENE_TURNED | SCENE_MIXED | SCENE_CURSORS | SCENE_YUV);
		into_dmabufs(&scene, &random, 3);
		width = (int)scene.output->config.width;
		height = (int)scene.output->config.height;
		picture_init(&whole, width, height);
		picture_init(&part, width, height);
		random_region(&random, &region, width, height);
		/* Nothing that an earlier upload left behind may be needed. */
		CU_ASSERT_EQUAL(draw(&scene, &part, true, &region, NULL), 0);
		CU_ASSERT_EQUAL(draw(&scene, &whole, true, NULL, NULL), 0);
		for (int k = 0; k < width * height; k++) {
			int x = k % width, y = k / width;
			bool in = pixman_region32_contains_point(&region, x, y, NULL);

			wrong += pixel_at(&part, x, y) != (in ? pixel_at(&whole, x, y) : GROUND);
		}
		for (int y = 0; y < height; y++)
			wrong += pixel_at(&part, width, y) != GROUND;
		pixman_region32_fini(&region);
		picture_finish(&whole);
		picture_finish(&part);
		scene_fixture_finish(&scene);
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

/* A buffer that is written to again shows what is in it now. */
static void test_rewritten(void)
{
	for (uint32_t kind = 0; kind < 2; kind++) {
		struct scene_random random = {7};
		struct scene_fixture scene;
		struct difference d = {0};
		const struct bn_buffer_attrs *attrs;
		uint64_t size;
		uint32_t *map;

		scene_fixture_init(&scene, 40, 30);
		scene_fixture_add(&scene, &random, SCENE_PLAIN);
		scene_fixture_show(&scene);
		bn_layer_set_place(scene.layers[0], &bn_place_default);
		into_dmabufs(&scene, &random, kind ? 1 : UINT32_MAX);
		scene_fixture_show(&scene);
		compare(&scene, &d);
		attrs = bn_buffer_attrs(scene.layers[0]->current.buffer);
		size = (uint64_t)lseek(attrs->fd[0], 0, SEEK_END);
		map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, attrs->fd[0], 0);
		CU_ASSERT_FATAL(map != MAP_FAILED);
		for (uint64_t i = 0; i < size / 4; i++)
			map[i] = (uint32_t)scene_random_next(&random);
		munmap(map, size);
		compare(&scene, &d);
		CU_ASSERT_EQUAL(d.max, 0);
		scene_fixture_finish(&scene);
	}
}

/* ---- a GPU that still draws into a layer ---- */

struct sw_sync_fence {
	uint32_t value;
	char name[32];
	int32_t fence;
};
#define SW_SYNC_CREATE _IOWR('W', 0, struct sw_sync_fence)
#define SW_SYNC_INCREASE _IOW('W', 1, uint32_t)

/* The kernel's clock of fences that goes when it is told; -1: not here. */
static int open_timeline(void)
{
	static const char path[] = "/sys/kernel/debug/sync/sw_sync";

	if (access(path, F_OK) < 0)
		mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	return open(path, O_RDWR | O_CLOEXEC);
}

static void write_until(int timeline, uint32_t value, int dmabuf)
{
	struct sw_sync_fence create = {.value = value, .name = "test"};
	struct dma_buf_import_sync_file import = {.flags = DMA_BUF_SYNC_WRITE};

	CU_ASSERT_EQUAL_FATAL(ioctl(timeline, SW_SYNC_CREATE, &create), 0);
	import.fd = create.fence;
	CU_ASSERT_EQUAL(ioctl(dmabuf, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &import), 0);
	close(create.fence);
}

static void test_busy(void)
{
	struct scene_random random = {15};
	struct scene_fixture scene;
	struct picture picture;
	struct difference d = {0};
	struct bn_frame frame;
	int timeline = open_timeline();
	uint32_t one = 1;

	if (timeline < 0) {
		printf("(no sw_sync in this kernel, not run) ");
		return;
	}
	scene_fixture_init(&scene, 60, 50);
	scene_fixture_add(&scene, &random, SCENE_PLAIN);
	scene_fixture_add(&scene, &random, SCENE_PLAIN);
	scene_fixture_show(&scene);
	bn_layer_set_place(scene.layers[0], &bn_place_default);
	into_dmabufs(&scene, &random, 1);
	frame = scene.layers[0]->current;
	picture_init(&picture, 60, 50);
	write_until(timeline, 1, bn_buffer_attrs(frame.buffer)->fd[0]);
	/* Nobody waits for it; the other layer is drawn all the same. */
	CU_ASSERT_EQUAL(draw(&scene, &picture, true, NULL, NULL), -EAGAIN);
	CU_ASSERT_EQUAL(ioctl(timeline, SW_SYNC_INCREASE, &one), 0);
	CU_ASSERT_EQUAL(draw(&scene, &picture, true, NULL, NULL), 0);
	compare(&scene, &d);
	CU_ASSERT_EQUAL(d.max, 0);
	picture_finish(&picture);
	scene_fixture_finish(&scene);
	close(timeline);
}

/* ---- around it ---- */

static bool may_begin;
static unsigned begun, told;

static bool handle_begin(void *data)
{
	CU_ASSERT_PTR_EQUAL(data, &begun);
	begun++;
	return may_begin;
}

static void handle_done(void *data, uint64_t gpu_ns)
{
	told++;
}

static unsigned queued, failed;

static void handle_queued(void *data, int fence)
{
	CU_ASSERT_PTR_EQUAL(data, &begun);
	/* -1: the driver has no fences, it was waited for. */
	CU_ASSERT(fence >= -1);
	queued++;
}

static void handle_failed(void *data)
{
	CU_ASSERT_PTR_EQUAL(data, &begun);
	failed++;
}

static const struct bn_gpu_hooks hooks = {
	.begin = handle_begin,
	.queued = handle_queued,
	.failed = handle_failed,
	.done = handle_done,
	.data = &begun,
};

static void test_hooks(void)
{
	struct scene_random random = {9};
	struct bn_gpu_totals before, after;
	struct scene_fixture scene;
	struct picture picture;

	random_scene(&scene, &random, SCENE_PLAIN);
	picture_init(&picture, (int)scene.output->config.width, (int)scene.output->config.height);
	bn_gpu_totals(&before);
	bn_gpu_set_hooks(&hooks);
	CU_ASSERT_EQUAL(draw(&scene, &picture, true, NULL, NULL), -EBUSY);
	CU_ASSERT_EQUAL(pixel_at(&picture, 0, 0), GROUND);
	may_begin = true;
	for (unsigned i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(draw(&scene, &picture, true, NULL, NULL), 0);
	bn_gpu_set_hooks(NULL);
	CU_ASSERT_EQUAL(draw(&scene, &picture, true, NULL, NULL), 0);
	bn_gpu_totals(&after);
	CU_ASSERT_EQUAL(begun, 9);
	CU_ASSERT_EQUAL(queued, 8);
	CU_ASSERT_EQUAL(failed, 0);
	CU_ASSERT_EQUAL(after.pictures - before.pictures, 9);
	CU_ASSERT(told > 0 && told <= 9);
	CU_ASSERT(after.measured - before.measured >= told);
	CU_ASSERT(after.gpu_ns >= after.max_ns && after.max_ns > 0);
	picture_finish(&picture);
	scene_fixture_finish(&scene);
}

/* Each that was begun is said to be queued or to have failed, once, to those who were told that it began. */
static void test_hooks_once(void)
{
	may_begin = true;
	begun = queued = failed = 0;
	bn_gpu_set_hooks(&hooks);
	CU_ASSERT_TRUE(bn_gpu_begin());
	bn_gpu_failed();
	CU_ASSERT(failed == 1 && queued == 0);
	/* The context is gone before the next begins. */
	bn_gpu_failed();
	CU_ASSERT_EQUAL(failed, 1);
	CU_ASSERT_TRUE(bn_gpu_begin());
	bn_gpu_drawn(-1);
	CU_ASSERT(failed == 1 && queued == 1);
	may_begin = false;
	CU_ASSERT_FALSE(bn_gpu_begin());
	bn_gpu_failed();
	CU_ASSERT(failed == 1 && queued == 1);
	may_begin = true;
	bn_gpu_set_hooks(NULL);
	CU_ASSERT_TRUE(bn_gpu_begin());
	bn_gpu_set_hooks(&hooks);
	bn_gpu_drawn(-1);
	CU_ASSERT_EQUAL(queued, 1);
	bn_gpu_set_hooks(NULL);
}

static void test_lost(void)
{
	struct scene_random random = {11};
	struct difference d = {0};
	struct scene_fixture scene;
	struct picture picture;
	struct bn_gpu_totals totals;

	random_scene(&scene, &random, SCENE_TURNED);
	into_dmabufs(&scene, &random, 2);
	picture_init(&picture, (int)scene.output->config.width, (int)scene.output->config.height);
	CU_ASSERT_EQUAL(draw(&scene, &picture, true, NULL, NULL), 0);
	bn_compose_gl_lose(gl);
	CU_ASSERT_FALSE(bn_compose_gl_ready(gl));
	CU_ASSERT_EQUAL(draw(&scene, &picture, true, NULL, NULL), -EBUSY);
	bn_gpu_totals(&totals);
	CU_ASSERT_EQUAL(totals.lost, 1);
	CU_ASSERT_TRUE_FATAL(bn_compose_gl_wait(gl));
	/* What was made before is made again. */
	CU_ASSERT_EQUAL(draw(&scene, &picture, true, NULL, NULL), 0);
	compare(&scene, &d);
	CU_ASSERT_EQUAL(d.max, 0);
	picture_finish(&picture);
	scene_fixture_finish(&scene);
}

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void test_no_leak(void)
{
	struct difference d;
	int before;

	/* EGL keeps what was bound last. */
	run_scenes(180000, 40, SCENE_YUV | SCENE_MIXED, 2, 1, &d);
	before = count_fds();
	run_scenes(180000, 40, SCENE_YUV | SCENE_MIXED, 2, 1, &d);
	CU_ASSERT_EQUAL(count_fds(), before);
}

/* Memory that is not enough. */
static void test_bad_target(void)
{
	int memfd = bn_memfd_create("target", 8192), dmabuf = wrap(memfd, 8192);
	struct bn_compose_gl_memory memory = {dmabuf, 16, 128, 64};
	struct bn_compose_gl_target *target;

	CU_ASSERT_EQUAL(bn_compose_gl_target_create(&target, gl, &memory), 0);
	bn_compose_gl_target_destroy(target);
	memory.height++;
	CU_ASSERT_EQUAL(bn_compose_gl_target_create(&target, gl, &memory), -EINVAL);
	CU_ASSERT_PTR_NULL(target);
	memory.fd = -1;
	CU_ASSERT(bn_compose_gl_target_create(&target, gl, &memory) < 0);
	close(dmabuf);
	close(memfd);
}

/* One layer as it is, whose buffer's layout only the driver knows; what it knows is that it is linear. */
static int draw_foreign(uint32_t fourcc, uint64_t modifier, unsigned *distance)
{
	static uint32_t want[PIXELS_MAX], seen[PIXELS_MAX];
	struct scene_random random = {fourcc};
	struct bn_buffer *plain = scene_buffer(&random, fourcc, 64, 48);
	struct bn_frame frame = {.src_width = 64, .src_height = 48};
	struct scene_fixture scene;
	struct picture picture;
	int r;

	scene_fixture_init(&scene, 64, 48);
	scene_fixture_add(&scene, &random, SCENE_PLAIN);
	bn_layer_set_place(scene.layers[0], &bn_place_default);
	frame.buffer = as_dmabuf(plain, modifier);
	bn_layer_submit(scene.layers[0], &frame);
	bn_buffer_drop(frame.buffer);
	bn_buffer_drop(plain);
	scene_fixture_show(&scene);
	picture_init(&picture, 64, 48);
	r = draw(&scene, &picture, true, NULL, NULL);
	reference_render_output(scene.output, want);
	for (int i = 0; i < 64 * 48; i++)
		seen[i] = pixel_at(&picture, i % 64, i / 64);
	*distance = reference_distance(seen, want, 64 * 48, NULL);
	picture_finish(&picture);
	scene_fixture_finish(&scene);
	return r;
}

static void test_foreign(void)
{
	static const uint32_t formats[] = {DRM_FORMAT_XRGB8888, DRM_FORMAT_ARGB8888,
		DRM_FORMAT_XBGR8888, DRM_FORMAT_ABGR8888, DRM_FORMAT_RGB565, DRM_FORMAT_NV12,
		DRM_FORMAT_YUV420, DRM_FORMAT_YUYV};
	unsigned distance;

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		int r = draw_foreign(formats[i], DRM_FORMAT_MOD_INVALID, &distance);

		CU_ASSERT_EQUAL(r, 0);
		CU_ASSERT(distance <= (i < 5 ? 0 : 2));
	}
	CU_ASSERT_EQUAL(
		draw_foreign(DRM_FORMAT_XRGB8888, I915_FORMAT_MOD_X_TILED, &distance), -ENOTSUP);
	CU_ASSERT_EQUAL(
		draw_foreign(DRM_FORMAT_NV12, I915_FORMAT_MOD_X_TILED, &distance), -ENOTSUP);
}

static void test_never(void)
{
	bn_compose_gl_use = BN_COMPOSE_GL_NEVER;
	CU_ASSERT_PTR_NULL(bn_compose_gl_create(-1, "test"));
	bn_compose_gl_use = BN_COMPOSE_GL_AUTO;
	bn_gpu_set_allowed(false);
	CU_ASSERT_PTR_NULL(bn_compose_gl_create(-1, "test"));
	bn_gpu_set_allowed(true);
	bn_compose_gl_use = BN_COMPOSE_GL_SOFTWARE;
	/* Gone before it is there. */
	for (unsigned i = 0; i < 3; i++)
		bn_compose_gl_destroy(bn_compose_gl_create(-1, "test"));
	bn_compose_gl_destroy(NULL);
	bn_compose_gl_target_destroy(NULL);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"EGL starts", start},
		{"as they are", test_plain},
		{"turned", test_turned},
		{"with alpha and cursors", test_mixed},
		{"YUV", test_yuv},
		{"scaled", test_scaled},
		{"dma-bufs are not copied", test_zero_copy},
		{"over nothing", test_transparent_ground},
		{"parts are as the whole", test_damage},
		{"buffers are written again", test_rewritten},
		{"a GPU still draws into a layer", test_busy},
		{"hooks and totals", test_hooks},
		{"hooks are told once", test_hooks_once},
		{"a lost context", test_lost},
		{"nothing is left behind", test_no_leak},
		{"memory that is not enough", test_bad_target},
		{"layouts that only the driver knows", test_foreign},
		{"none, or gone at once", test_never},
		{"EGL ends", stop},
		CU_TEST_INFO_NULL,
	};

	if (access("/dev/udmabuf", R_OK | W_OK) < 0 && !getenv("BN_TEST_DMABUF")) {
		printf("skipped: no /dev/udmabuf here\n");
		return SKIPPED;
	}
	/* The fixture's buffers are to be memory of the CPU: which of them are dma-bufs is our choice. */
	unsetenv("BN_TEST_DMABUF");
	return bn_unit_main("compose_gl", tests);
}
