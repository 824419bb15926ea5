/* Pictures in shared memory of our own: copies, cursors, the black ground. */
#include <errno.h>
#include <sys/mman.h>

#include "common/fd.h"
#include "wayland_impl.h"

struct wl_buffer *bn_wl_shm_buffer(struct bn_wl *wl, int fd, uint64_t size, uint32_t offset,
	uint32_t width, uint32_t height, uint32_t stride, uint32_t format)
{
	struct wl_shm_pool *pool;
	struct wl_buffer *wl_buffer;

	if (size > INT32_MAX)
		return NULL;
	pool = wl_shm_create_pool(wl->shm, fd, (int32_t)size);
	if (!pool)
		return NULL;
	wl_buffer = wl_shm_pool_create_buffer(
		pool, (int32_t)offset, (int32_t)width, (int32_t)height, (int32_t)stride, format);
	wl_shm_pool_destroy(pool);
	return wl_buffer;
}

static void handle_image_release(void *data, struct wl_buffer *wl_buffer)
{
	struct bn_wl_image *image = data;

	image->busy = false;
	if (image->wl->dirty)
		bn_wl_schedule(image->wl);
}

static const struct wl_buffer_listener image_listener = {.release = handle_image_release};

static size_t image_size(uint32_t width, uint32_t height)
{
	return (size_t)width * height * 4;
}

static int image_init(struct bn_wl_image *image, struct bn_wl *wl, uint32_t width, uint32_t height,
	uint32_t format)
{
	size_t size = image_size(width, height);
	int fd = bn_memfd_create("binnacle-wayland", size);
	void *pixels;

	if (fd < 0)
		return fd;
	*image = (struct bn_wl_image){.wl = wl, .width = width, .height = height, .format = format};
	pixels = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (pixels != MAP_FAILED) {
		image->pixels = pixels;
		image->wl_buffer =
			bn_wl_shm_buffer(wl, fd, size, 0, width, height, width * 4, format);
	}
	bn_fd_close(&fd);
	if (!image->wl_buffer) {
		bn_wl_image_finish(image);
		return -ENOMEM;
	}
	wl_buffer_add_listener(image->wl_buffer, &image_listener, image);
	return 0;
}

void bn_wl_image_finish(struct bn_wl_image *image)
{
	if (image->wl_buffer)
		wl_buffer_destroy(image->wl_buffer);
	if (image->pixels)
		munmap(image->pixels, image_size(image->width, image->height));
	*image = (struct bn_wl_image){0};
}

struct bn_wl_image *bn_wl_image_get(struct bn_wl *wl, struct bn_wl_plane *plane, uint32_t width,
	uint32_t height, uint32_t format)
{
	for (size_t i = 0; i < BN_WL_IMAGES; i++) {
		struct bn_wl_image *image = &plane->images[i];

		if (image->busy)
			continue;
		if (image->wl_buffer && image->width == width && image->height == height &&
			image->format == format)
			return image;
		bn_wl_image_finish(image);
		return image_init(image, wl, width, height, format) < 0 ? NULL : image;
	}
	return NULL;
}

struct wl_buffer *bn_wl_black(struct bn_wl *wl, uint32_t width, uint32_t height)
{
	struct wl_buffer *wl_buffer;
	uint64_t size = image_size(width, height);
	int fd;

	if (wl->single_pixel && width == 1 && height == 1)
		return wp_single_pixel_buffer_manager_v1_create_u32_rgba_buffer(
			wl->single_pixel, 0, 0, 0, UINT32_MAX);
	fd = bn_memfd_create("binnacle-ground", size);
	if (fd < 0)
		return NULL;
	wl_buffer =
		bn_wl_shm_buffer(wl, fd, size, 0, width, height, width * 4, WL_SHM_FORMAT_XRGB8888);
	bn_fd_close(&fd);
	return wl_buffer;
}
