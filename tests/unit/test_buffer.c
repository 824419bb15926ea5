#include "zero-copy/buffer.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/fd.h"
#include "unit.h"
#include "zero-copy/format.h"

#define WIDTH 64u
#define HEIGHT 48u
#define STRIDE (WIDTH * 4u)
#define SIZE (STRIDE * HEIGHT)

struct seen {
	unsigned releases, destroys, frees;
	bool drop_on_release, lock_on_release;
};

static void on_release(void *data, struct bn_buffer *buffer)
{
	struct seen *seen = data;

	seen->releases++;
	CU_ASSERT(!bn_buffer_locked(buffer));
	if (seen->drop_on_release)
		bn_buffer_drop(buffer);
	else if (seen->lock_on_release)
		bn_buffer_lock(buffer);
}

static void on_destroy(void *data, struct bn_buffer *buffer)
{
	struct seen *seen = data;

	seen->destroys++;
	/* Everything is still there. */
	CU_ASSERT_EQUAL(bn_buffer_attrs(buffer)->width, WIDTH);
	CU_ASSERT_PTR_NOT_NULL(bn_buffer_pixels(buffer));
}

static const struct bn_buffer_listener listener = {on_release, on_destroy};

static int memfd(uint64_t size)
{
	int fd = bn_memfd_create("picture", size);

	CU_ASSERT_FATAL(fd >= 0);
	return fd;
}

static struct bn_buffer_attrs attrs(int fd)
{
	return (struct bn_buffer_attrs){
		.kind = BN_BUFFER_MEMFD,
		.width = WIDTH,
		.height = HEIGHT,
		.fourcc = DRM_FORMAT_XRGB8888,
		.modifier = DRM_FORMAT_MOD_LINEAR,
		.planes = 1,
		.stride = {STRIDE},
		.fd = {fd, -1, -1, -1},
	};
}

static struct bn_buffer *create(struct seen *seen)
{
	struct bn_buffer_attrs a = attrs(memfd(SIZE));
	struct bn_buffer *buffer;

	CU_ASSERT_EQUAL_FATAL(bn_buffer_create(&buffer, &a, &listener, seen), 0);
	return buffer;
}

/* What create says to these attributes. The fds are gone in any case, the leak check of the suite
 * sees to that. */
static int try(const struct bn_buffer_attrs *a)
{
	struct bn_buffer *buffer = (void *)1;
	int err = bn_buffer_create(&buffer, a, NULL, NULL);

	CU_ASSERT((err == 0) == (buffer != NULL));
	bn_buffer_drop(buffer);
	return err;
}

static void test_pixels(void)
{
	struct bn_buffer_attrs a = attrs(memfd(8192 + SIZE));
	struct bn_buffer *buffer;
	uint32_t pixel = 0x11223344;

	a.offset[0] = 4100; /* not on a page */
	a.y_invert = true;
	CU_ASSERT_EQUAL(pwrite(a.fd[0], &pixel, 4, 4100), 4);
	CU_ASSERT_EQUAL_FATAL(bn_buffer_create(&buffer, &a, NULL, NULL), 0);
	CU_ASSERT_EQUAL(*(const uint32_t *)bn_buffer_pixels(buffer), pixel);
	pixel++; /* shared, not a copy */
	CU_ASSERT_EQUAL(pwrite(a.fd[0], &pixel, 4, 4100), 4);
	CU_ASSERT_EQUAL(*(const uint32_t *)bn_buffer_pixels(buffer), pixel);
	CU_ASSERT(bn_buffer_attrs(buffer)->y_invert);
	CU_ASSERT_EQUAL(bn_buffer_attrs(buffer)->fd[1], -1);
	CU_ASSERT_EQUAL(bn_buffer_attrs(buffer)->fd[3], -1);
	bn_buffer_drop(buffer);
}

static void test_life(void)
{
	struct seen seen = {0};
	struct bn_buffer *buffer = create(&seen);

	CU_ASSERT(!bn_buffer_locked(buffer));
	CU_ASSERT_PTR_EQUAL(bn_buffer_lock(buffer), buffer);
	bn_buffer_lock(buffer);
	bn_buffer_unlock(buffer);
	CU_ASSERT(bn_buffer_locked(buffer));
	CU_ASSERT_EQUAL(seen.releases, 0);
	bn_buffer_unlock(buffer);
	CU_ASSERT_EQUAL(seen.releases, 1);
	bn_buffer_unlock(bn_buffer_lock(buffer)); /* and again */
	CU_ASSERT_EQUAL(seen.releases, 2);
	CU_ASSERT_EQUAL(seen.destroys, 0);
	bn_buffer_drop(buffer);
	CU_ASSERT_EQUAL(seen.destroys, 1);
	bn_buffer_drop(NULL);
	bn_buffer_unlock(NULL);
}

static void test_drop_while_locked(void)
{
	struct seen seen = {0};
	struct bn_buffer *buffer = create(&seen);

	bn_buffer_lock(buffer);
	bn_buffer_lock(buffer);
	bn_buffer_drop(buffer);
	CU_ASSERT_EQUAL(seen.destroys, 0);
	bn_buffer_unlock(buffer);
	CU_ASSERT_EQUAL(seen.destroys, 0);
	CU_ASSERT_PTR_NOT_NULL(bn_buffer_pixels(buffer));
	bn_buffer_unlock(buffer);
	CU_ASSERT_EQUAL(seen.destroys, 1);
	CU_ASSERT_EQUAL(seen.releases, 0); /* nobody is left to write again */
}

static void test_callbacks_may_act(void)
{
	struct seen seen = {.drop_on_release = true};
	struct bn_buffer *buffer = create(&seen);

	bn_buffer_unlock(bn_buffer_lock(buffer));
	CU_ASSERT(seen.releases == 1 && seen.destroys == 1);
	seen = (struct seen){.lock_on_release = true};
	buffer = create(&seen);
	bn_buffer_unlock(bn_buffer_lock(buffer));
	CU_ASSERT(bn_buffer_locked(buffer));
	bn_buffer_drop(buffer);
	bn_buffer_unlock(buffer);
	CU_ASSERT(seen.releases == 1 && seen.destroys == 1);
}

static void count_free(void *object)
{
	++*(unsigned *)object;
}

static void test_privates(void)
{
	static const int owners[9];
	unsigned frees = 0, replaced = 0;
	struct seen seen = {0};
	struct bn_buffer *buffer = create(&seen);

	CU_ASSERT_PTR_NULL(bn_buffer_get_private(buffer, &owners[0]));
	CU_ASSERT_PTR_NULL(bn_buffer_get_private(buffer, NULL));
	for (size_t i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(bn_buffer_set_private(buffer, &owners[i], &frees, count_free), 0);
	CU_ASSERT_EQUAL(bn_buffer_set_private(buffer, &owners[8], &frees, count_free), -ENOSPC);
	CU_ASSERT_PTR_EQUAL(bn_buffer_get_private(buffer, &owners[7]), &frees);
	bn_buffer_clear_private(buffer, &owners[7]);
	bn_buffer_clear_private(buffer, &owners[8]);
	CU_ASSERT_PTR_NULL(bn_buffer_get_private(buffer, &owners[7]));
	CU_ASSERT_EQUAL(frees, 0);
	CU_ASSERT_EQUAL(bn_buffer_set_private(buffer, &owners[8], &replaced, count_free), 0);
	CU_ASSERT_EQUAL(bn_buffer_set_private(buffer, &owners[8], &seen, NULL), 0);
	CU_ASSERT_EQUAL(replaced, 1);
	CU_ASSERT_PTR_EQUAL(bn_buffer_get_private(buffer, &owners[8]), &seen);
	bn_buffer_drop(buffer);
	CU_ASSERT_EQUAL(frees, 7);
	CU_ASSERT_EQUAL(replaced, 1);
}

static void test_formats(void)
{
	static const uint32_t words[] = {DRM_FORMAT_XRGB8888, DRM_FORMAT_ARGB8888,
		DRM_FORMAT_XBGR8888, DRM_FORMAT_ABGR8888, DRM_FORMAT_RGBX8888, DRM_FORMAT_RGBA8888,
		DRM_FORMAT_BGRX8888, DRM_FORMAT_BGRA8888};
	struct bn_buffer_attrs a;

	for (size_t i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(bn_fourcc_bytes(words[i]), 4);
	CU_ASSERT_EQUAL(bn_fourcc_bytes(DRM_FORMAT_RGB565), 2);
	CU_ASSERT_EQUAL(bn_fourcc_bytes(DRM_FORMAT_NV12), 0);
	CU_ASSERT_EQUAL(bn_fourcc_bytes(0), 0);
	CU_ASSERT_EQUAL(bn_fourcc_bytes(UINT32_MAX), 0);
	a = attrs(memfd(SIZE));
	a.fourcc = DRM_FORMAT_RGB565;
	a.width = 2 * WIDTH;
	CU_ASSERT_EQUAL(try(&a), 0);
	a.fd[0] = memfd(SIZE);
	a.width++;
	CU_ASSERT_EQUAL(try(&a), -EINVAL);
	a = attrs(memfd(SIZE));
	a.fourcc = DRM_FORMAT_NV12;
	CU_ASSERT_EQUAL(try(&a), -EINVAL);
}

/* What every format has in common, from its own description. */
static void test_format_table(void)
{
	static const uint32_t yuv[] = {DRM_FORMAT_NV12, DRM_FORMAT_NV21, DRM_FORMAT_NV16,
		DRM_FORMAT_NV24, DRM_FORMAT_P010, DRM_FORMAT_YUV420, DRM_FORMAT_YVU420,
		DRM_FORMAT_YUV444, DRM_FORMAT_YUYV, DRM_FORMAT_UYVY};
	static const struct {
		unsigned planes;
		uint64_t row[3];
		uint32_t rows[3];
	} want[] = {/* of 5 × 5 pixels */
		{2, {5, 6}, {5, 3}}, {2, {5, 6}, {5, 3}}, {2, {5, 6}, {5, 5}}, {2, {5, 10}, {5, 5}},
		{2, {10, 12}, {5, 3}}, {3, {5, 3, 3}, {5, 3, 3}}, {3, {5, 3, 3}, {5, 3, 3}},
		{3, {5, 5, 5}, {5, 5, 5}}, {1, {12}, {5}}, {1, {12}, {5}}};

	for (size_t i = 0; i < sizeof(yuv) / sizeof(yuv[0]); i++) {
		const struct bn_format *format = bn_format_find(yuv[i]);

		CU_ASSERT_PTR_NOT_NULL_FATAL(format);
		CU_ASSERT_EQUAL(bn_fourcc_bytes(yuv[i]), 0);
		CU_ASSERT_EQUAL_FATAL(format->planes, want[i].planes);
		for (unsigned j = 0; j < format->planes; j++) {
			CU_ASSERT_EQUAL(bn_format_row(format, j, 5), want[i].row[j]);
			CU_ASSERT_EQUAL(bn_format_rows(format, j, 5), want[i].rows[j]);
		}
	}
	CU_ASSERT_PTR_NULL(bn_format_find(0));
	CU_ASSERT_PTR_NULL(bn_format_find(DRM_FORMAT_R8));
}

/* An NV12 picture of 5 × 5 in a memfd of one page and a bit. */
static struct bn_buffer_attrs nv12(void)
{
	struct bn_buffer_attrs a = attrs(memfd(SIZE));

	a.fourcc = DRM_FORMAT_NV12;
	a.width = a.height = 5;
	a.planes = 2;
	a.stride[0] = 5;
	a.stride[1] = 6;
	a.offset[1] = 25;
	return a;
}

static void test_yuv(void)
{
	static const struct {
		uint32_t planes, stride0, stride1, offset0, offset1;
		unsigned encoding, range;
		uint64_t modifier;
		int want;
	} cases[] = {
		{2, 5, 6, 0, 25, 0, 0, 0, 0},
		{2, 5, 6, 0, 0, 2, 1, 0, 0}, /* planes may overlap: they are only read */
		{2, 5, 6, SIZE - 25, SIZE - 18, 0, 0, 0, 0},
		{2, 5, 6, SIZE - 24, SIZE - 18, 0, 0, 0, -EINVAL},
		{2, 5, 6, SIZE - 25, SIZE - 17, 0, 0, 0, -EINVAL},
		{2, 4, 6, 0, 25, 0, 0, 0, -EINVAL},
		{2, 5, 5, 0, 25, 0, 0, 0, -EINVAL},
		{2, 5, 6, 0, UINT32_MAX, 0, 0, 0, -EINVAL},
		{2, 5, UINT32_MAX, 0, 25, 0, 0, 0, -EINVAL},
		{2, 5, 0, 0, 25, 0, 0, 0, -EINVAL},
		{1, 5, 6, 0, 25, 0, 0, 0, -EINVAL},
		{3, 5, 6, 0, 25, 0, 0, 0, -EINVAL},
		{0, 5, 6, 0, 25, 0, 0, 0, -EINVAL},
		{2, 5, 6, 0, 25, 3, 0, 0, -EINVAL},
		{2, 5, 6, 0, 25, 0, 2, 0, -EINVAL},
		{2, 5, 6, 0, 25, UINT32_MAX, UINT32_MAX, 0, -EINVAL},
		{2, 5, 6, 0, 25, 0, 0, I915_FORMAT_MOD_X_TILED, -EINVAL},
	};
	const uint8_t byte = 0xa5;
	struct bn_buffer_attrs a;
	struct bn_buffer *buffer;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		a = nv12();
		a.planes = cases[i].planes;
		a.stride[0] = cases[i].stride0;
		a.stride[1] = cases[i].stride1;
		a.offset[0] = cases[i].offset0;
		a.offset[1] = cases[i].offset1;
		a.encoding = (enum bn_encoding)cases[i].encoding;
		a.range = (enum bn_range)cases[i].range;
		a.modifier = cases[i].modifier;
		CU_ASSERT_EQUAL(try(&a), cases[i].want);
	}
	a = nv12();
	a.offset[1] = 4099;
	CU_ASSERT_EQUAL(pwrite(a.fd[0], &byte, 1, 4099), 1);
	CU_ASSERT_EQUAL_FATAL(bn_buffer_create(&buffer, &a, NULL, NULL), 0);
	CU_ASSERT_EQUAL(*(const uint8_t *)bn_buffer_plane(buffer, 1), byte);
	CU_ASSERT_PTR_NULL(bn_buffer_plane(buffer, 2));
	CU_ASSERT_PTR_NULL(bn_buffer_plane(buffer, 3));
	CU_ASSERT_EQUAL(bn_buffer_attrs(buffer)->stride[1], 6);
	bn_buffer_drop(buffer);
	a = nv12(); /* samples of two bytes lie on even addresses */
	a.fourcc = DRM_FORMAT_P010;
	a.stride[0] = 10;
	a.stride[1] = 12;
	a.offset[1] = 51;
	CU_ASSERT_EQUAL(try(&a), -EINVAL);
	a = nv12();
	a.fourcc = DRM_FORMAT_YUYV;
	a.planes = 1;
	a.stride[0] = 12;
	CU_ASSERT_EQUAL(try(&a), 0);
	a = nv12();
	a.fourcc = DRM_FORMAT_YUYV;
	a.planes = 1;
	a.stride[0] = 11;
	CU_ASSERT_EQUAL(try(&a), -EINVAL);
}

static void test_hostile_sizes(void)
{
	static const struct {
		uint32_t width, height, stride, offset, planes;
		uint64_t modifier;
		int want;
	} cases[] = {
		{WIDTH, HEIGHT, STRIDE, 0, 1, 0, 0},
		{1, 1, 4, SIZE - 4, 1, 0, 0},
		{0, HEIGHT, STRIDE, 0, 1, 0, -EINVAL},
		{WIDTH, 0, STRIDE, 0, 1, 0, -EINVAL},
		{8193, 1, 32772, 0, 1, 0, -EINVAL},
		{1, 8193, 4, 0, 1, 0, -EINVAL},
		{UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, 1, 0, -EINVAL},
		{0x40000001, 1, 4, 0, 1, 0, -EINVAL}, /* width × 4 wraps to 4 */
		{WIDTH, HEIGHT, STRIDE - 4, 0, 1, 0, -EINVAL},
		{WIDTH, HEIGHT, STRIDE + 4, 0, 1, 0, -EINVAL},
		{WIDTH, HEIGHT, STRIDE, 4, 1, 0, -EINVAL},
		{WIDTH, HEIGHT + 1, STRIDE, 0, 1, 0, -EINVAL},
		{WIDTH, HEIGHT, UINT32_MAX - 3, 0, 1, 0, -EINVAL},
		{WIDTH, HEIGHT, STRIDE, UINT32_MAX - 3, 1, 0, -EINVAL},
		{WIDTH, 1, STRIDE + 1, 0, 1, 0, -EINVAL},
		{WIDTH, 1, STRIDE, 2, 1, 0, -EINVAL},
		{1, 1, 0, 0, 1, 0, -EINVAL},
		{WIDTH, HEIGHT, STRIDE, 0, 0, 0, -EINVAL},
		{WIDTH, HEIGHT, STRIDE, 0, 2, 0, -EINVAL},
		{WIDTH, HEIGHT, STRIDE, 0, UINT32_MAX, 0, -EINVAL},
		{WIDTH, HEIGHT, STRIDE, 0, 1, DRM_FORMAT_MOD_INVALID, -EINVAL},
		{WIDTH, HEIGHT, STRIDE, 0, 1, I915_FORMAT_MOD_X_TILED, -EINVAL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bn_buffer_attrs a = attrs(memfd(SIZE));

		a.width = cases[i].width;
		a.height = cases[i].height;
		a.stride[0] = cases[i].stride;
		a.offset[0] = cases[i].offset;
		a.planes = cases[i].planes;
		a.modifier = cases[i].modifier;
		CU_ASSERT_EQUAL(try(&a), cases[i].want);
	}
}

static void test_hostile_memfds(void)
{
	int fd = memfd_create("plain", MFD_CLOEXEC | MFD_ALLOW_SEALING), pipes[2];
	struct bn_buffer_attrs a;

	/* Not sealed: could be truncated under us later. */
	CU_ASSERT_EQUAL(ftruncate(fd, SIZE), 0);
	a = attrs(bn_fd_dup(fd));
	CU_ASSERT_EQUAL(try(&a), -EPERM);
	CU_ASSERT_EQUAL(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	a = attrs(bn_fd_dup(fd));
	CU_ASSERT_EQUAL(try(&a), -EPERM);
	/* Shrunk, then sealed. */
	CU_ASSERT_EQUAL(ftruncate(fd, SIZE - 1), 0);
	CU_ASSERT_EQUAL(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	a = attrs(fd);
	CU_ASSERT_EQUAL(try(&a), -EINVAL);
	/* Cannot be sealed at all. */
	fd = memfd_create("plain", MFD_CLOEXEC);
	CU_ASSERT_EQUAL(ftruncate(fd, SIZE), 0);
	a = attrs(fd);
	CU_ASSERT_EQUAL(try(&a), -EPERM);
	/* No memory at all. */
	CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
	a = attrs(pipes[0]);
	CU_ASSERT_EQUAL(try(&a), -EINVAL);
	close(pipes[1]);
	a = attrs(open("/dev/zero", O_RDWR | O_CLOEXEC));
	CU_ASSERT_EQUAL(try(&a), -EINVAL);
	a = attrs(-1);
	CU_ASSERT_EQUAL(try(&a), -EINVAL);
	/* Sealed after the mapping could still be asked to shrink: the seal refuses. */
	a = attrs(memfd(SIZE));
	CU_ASSERT_EQUAL(ftruncate(a.fd[0], 0), -1);
	CU_ASSERT_EQUAL(try(&a), 0);
}

/* A huge page memfd can be sealed, but reading it faults when the pool is empty. */
static void test_huge_pages(void)
{
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
	struct bn_buffer_attrs a = attrs(fd);

	if (fd < 0 || ftruncate(fd, 2 << 20) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0) {
		printf("skipped, no huge page files here ... ");
		bn_fd_close(&fd);
		return;
	}
	CU_ASSERT_EQUAL(try(&a), -EINVAL);
}

static void test_false_dmabufs(void)
{
	struct bn_buffer_attrs a = attrs(memfd(SIZE));

	a.kind = BN_BUFFER_DMABUF;
	CU_ASSERT_EQUAL(try(&a), -EINVAL); /* a memfd is none */
	a.fd[0] = -1;
	CU_ASSERT_EQUAL(try(&a), -EINVAL);
	/* Every fd that comes is closed, whatever is wrong with the others. */
	for (int i = 0; i < 4; i++)
		a.fd[i] = memfd(SIZE);
	a.planes = 4;
	CU_ASSERT_EQUAL(try(&a), -EINVAL);
	for (int i = 0; i < 4; i++)
		a.fd[i] = memfd(SIZE);
	a.planes = UINT32_MAX;
	CU_ASSERT_EQUAL(try(&a), -EINVAL);
	a.planes = 0;
	CU_ASSERT_EQUAL(try(&a), -EINVAL);
	a = attrs(memfd(SIZE));
	a.kind = (enum bn_buffer_kind)7;
	CU_ASSERT_EQUAL(try(&a), -EINVAL);
}

/* A dma-buf of size bytes from what this machine has, or -1. */
static int dmabuf(uint64_t size)
{
	struct udmabuf_create create = {
		.memfd = memfd(size), .flags = UDMABUF_FLAGS_CLOEXEC, .size = size};
	struct dma_heap_allocation_data heap = {.len = size, .fd_flags = O_RDWR | O_CLOEXEC};
	int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC), fd = -1, old = create.memfd;

	if (device >= 0)
		fd = ioctl(device, UDMABUF_CREATE, &create);
	bn_fd_close(&device);
	bn_fd_close(&old);
	device = fd < 0 ? open("/dev/dma_heap/system", O_RDONLY | O_CLOEXEC) : -1;
	if (device >= 0 && ioctl(device, DMA_HEAP_IOCTL_ALLOC, &heap) == 0)
		fd = heap.fd;
	bn_fd_close(&device);
	return fd;
}

static void test_dmabufs(void)
{
	uint64_t size = 4 * 4096; /* SIZE is 3 pages */
	struct bn_buffer_attrs a = attrs(dmabuf(size));
	struct bn_buffer *buffer;
	int second;

	if (a.fd[0] < 0) {
		bn_unit_no_dmabuf();
		return;
	}
	a.kind = BN_BUFFER_DMABUF;
	second = bn_fd_dup(a.fd[0]);
	CU_ASSERT_EQUAL_FATAL(bn_buffer_create(&buffer, &a, NULL, NULL), 0);
	CU_ASSERT_PTR_NULL(bn_buffer_pixels(buffer));
	bn_buffer_drop(buffer);
	a.fd[0] = bn_fd_dup(second);
	a.offset[0] = size - SIZE;
	CU_ASSERT_EQUAL(try(&a), 0);
	a.fd[0] = bn_fd_dup(second);
	a.offset[0] += 4;
	CU_ASSERT_EQUAL(try(&a), -EINVAL);
	a.fd[0] = bn_fd_dup(second);
	a.offset[0] = 0;
	a.stride[0] = STRIDE - 1;
	CU_ASSERT_EQUAL(try(&a), -EINVAL);
	a.fd[0] = bn_fd_dup(second);
	a.stride[0] = UINT32_MAX;
	CU_ASSERT_EQUAL(try(&a), -EINVAL);
	a.fd[0] = bn_fd_dup(second);
	a.stride[0] = 0;
	CU_ASSERT_EQUAL(try(&a), -EINVAL);
	/* Tiled: only the driver knows; but planes start inside. */
	a.fd[0] = bn_fd_dup(second);
	a.stride[0] = 512;
	a.modifier = I915_FORMAT_MOD_X_TILED;
	CU_ASSERT_EQUAL(try(&a), 0);
	a.fd[0] = second;
	a.offset[0] = size;
	CU_ASSERT_EQUAL(try(&a), -EINVAL);
	/* Each plane has its fd, its size and its place. */
	a = nv12();
	a.kind = BN_BUFFER_DMABUF;
	for (int i = 0; i < 4; i++) {
		static const struct {
			uint32_t planes, offset1;
			int want;
		} cases[] = {{2, 4096 - 18, 0}, {2, 4096 - 17, -EINVAL}, {1, 0, -EINVAL},
			{3, 0, -EINVAL}};

		bn_fd_close(&a.fd[0]);
		for (int j = 0; j < 3; j++)
			a.fd[j] = j < (int)cases[i].planes ? dmabuf(4096) : -1;
		a.planes = cases[i].planes;
		a.offset[1] = cases[i].offset1;
		CU_ASSERT_EQUAL(try(&a), cases[i].want);
		a.fd[0] = -1;
	}
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"pixels", test_pixels},
		{"lock, unlock, drop", test_life},
		{"drop while locked", test_drop_while_locked},
		{"callbacks may drop and lock", test_callbacks_may_act},
		{"private objects", test_privates},
		{"formats", test_formats},
		{"the formats' description", test_format_table},
		{"YUV", test_yuv},
		{"hostile sizes", test_hostile_sizes},
		{"hostile memfds", test_hostile_memfds},
		{"huge pages", test_huge_pages},
		{"false dma-bufs", test_false_dmabufs},
		{"dma-bufs", test_dmabufs},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("buffer", tests);
}
