#include <drm_fourcc.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "common/fd.h"
#include "device.h"

#define PIXEL_SIZE 4u

uint32_t bn_format_fourcc(uint32_t virtio_format)
{
	/* virtio-gpu names bytes in memory order, DRM names bits of a little-endian word. */
	switch (virtio_format) {
	case VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM:
		return DRM_FORMAT_ARGB8888;
	case VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM:
		return DRM_FORMAT_XRGB8888;
	case VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM:
		return DRM_FORMAT_BGRA8888;
	case VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM:
		return DRM_FORMAT_BGRX8888;
	case VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM:
		return DRM_FORMAT_ABGR8888;
	case VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM:
		return DRM_FORMAT_RGBX8888;
	case VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM:
		return DRM_FORMAT_RGBA8888;
	case VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM:
		return DRM_FORMAT_XBGR8888;
	default:
		return 0;
	}
}

struct bn_resource *bn_resource_get(const struct bn_device *dev, uint32_t id)
{
	return bn_idmap_get(&dev->resources, id);
}

struct bn_resource *bn_resource_get_serial(
	const struct bn_device *dev, uint32_t id, uint64_t serial)
{
	struct bn_resource *res = bn_resource_get(dev, id);

	return res && res->serial == serial ? res : NULL;
}

static uint32_t check_new(const struct bn_device *dev, uint32_t id, uint64_t bytes)
{
	uint64_t max = dev->config.host_memory_max;

	if (id == 0 || bn_resource_get(dev, id))
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (dev->resources.count >= BN_RESOURCES_MAX)
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	if (max != 0 && (bytes > max || dev->host_bytes > max - bytes))
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	return VIRTIO_GPU_RESP_OK_NODATA;
}

/* The map is also read by the cursor thread. */
static int resource_register(struct bn_device *dev, struct bn_resource *res)
{
	int r;

	res->serial = ++dev->next_serial;
	wl_list_init(&res->attachments);
	bn_device_lock(dev);
	r = bn_idmap_put(&dev->resources, res->id, res);
	pthread_mutex_unlock(&dev->lock);
	if (r < 0)
		return r;
	dev->host_bytes += res->host_bytes;
	dev->host_bytes_3d += res->is_3d ? res->host_bytes : 0;
	bn_stat_set(&dev->stats->resources, dev->resources.count);
	bn_stat_set(&dev->stats->resource_bytes, dev->host_bytes);
	return 0;
}

/* The lowest free number is what an fd gets, so it tells how many are taken. A quarter (512 at
 * most) stays free: the daemon's messages bring fds, and without them this process is lost. */
static bool fds_left(int fd)
{
	struct rlimit limit;
	rlim_t spare;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return true;
	spare = limit.rlim_cur / 4 < 512 ? limit.rlim_cur / 4 : 512;
	return (rlim_t)fd < limit.rlim_cur - spare;
}

static int pixels_create(struct bn_resource *res)
{
	res->fd = bn_memfd_create_pages("binnacle-2d", res->host_bytes);
	if (res->fd < 0 || !fds_left(res->fd))
		return -1;
	res->pixels = mmap(NULL, res->host_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, res->fd, 0);
	if (res->pixels != MAP_FAILED)
		return 0;
	res->pixels = NULL;
	bn_fd_close(&res->fd);
	return -1;
}

static void resource_free(struct bn_resource *res)
{
	if (res->pixels)
		munmap(res->pixels, res->host_bytes);
	bn_fd_close(&res->fd);
	free(res);
}

uint32_t bn_resource_create_2d(struct bn_device *dev, const struct virtio_gpu_resource_create_2d *c)
{
	uint64_t bytes = (uint64_t)c->width * c->height * PIXEL_SIZE;
	struct bn_resource *res;
	uint32_t r;

	if (bn_format_fourcc(c->format) == 0 || c->width == 0 || c->height == 0 ||
		c->width > BN_2D_SIZE_MAX || c->height > BN_2D_SIZE_MAX)
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	r = check_new(dev, c->resource_id, bytes);
	if (r != VIRTIO_GPU_RESP_OK_NODATA)
		return r;
	res = calloc(1, sizeof(*res));
	if (!res)
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	res->id = c->resource_id;
	res->width = c->width;
	res->height = c->height;
	res->format = c->format;
	res->host_bytes = bytes;
	res->fd = -1;
	if (pixels_create(res) < 0 || resource_register(dev, res) < 0) {
		resource_free(res);
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	bn_state_resource(dev, res);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

/* Formats of more than 4 bytes (virgl_hw.h, enum virgl_formats). */
static uint32_t texel_size(uint32_t format)
{
	static const struct {
		uint16_t first, last;
		uint8_t channel; /* bytes, in runs of R, RG, RGB, RGBA; 0: */
		uint8_t texel;   /* bytes of each */
	} wide[] = {
		{24, 27, 8, 0},   /* R64 */
		{28, 47, 4, 0},   /* R32 */
		{48, 63, 2, 0},   /* R16 */
		{87, 90, 4, 0},   /* R32 FIXED */
		{91, 94, 2, 0},   /* R16 FLOAT */
		{126, 126, 0, 8}, /* Z32_FLOAT_S8X24 */
		{161, 161, 0, 8}, /* L32A32 */
		{185, 192, 2, 0}, /* R16 integers */
		{193, 200, 4, 0}, /* R32 integers */
		{220, 220, 0, 8}, /* L32A32 integers */
		{224, 224, 0, 8},
		{234, 238, 0, 8},  /* R16G16B16X16 */
		{239, 241, 0, 16}, /* R32G32B32X32 */
		{246, 246, 0, 8},  /* R32A32 */
		{251, 252, 0, 8},
	};

	for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
		uint32_t bytes;

		if (format < wide[i].first || format > wide[i].last)
			continue;
		bytes = wide[i].channel * ((format - wide[i].first) % 4 + 1) + wide[i].texel;
		return bytes > PIXEL_SIZE ? bytes : PIXEL_SIZE;
	}
	return PIXEL_SIZE;
}

#define TARGET_BUFFER 0u

/* What a 3D resource takes, near enough for a bound: whole texels of 4 bytes or more (1 in a
 * buffer), a third more with mipmaps. UINT64_MAX when it cannot be. */
uint64_t bn_resource_estimate(const struct bn_gl_resource_args *a)
{
	const uint32_t factor[] = {a->height, a->depth, a->array_size, a->nr_samples,
		a->target == TARGET_BUFFER ? 1 : texel_size(a->format)};
	uint64_t bytes = a->width;

	for (size_t i = 0; i < sizeof(factor) / sizeof(factor[0]); i++) {
		if (__builtin_mul_overflow(bytes, (uint64_t)(factor[i] ? factor[i] : 1), &bytes))
			return UINT64_MAX;
	}
	if (a->last_level > 0 && __builtin_add_overflow(bytes, bytes / 3, &bytes))
		return UINT64_MAX;
	return bytes;
}

/* virgl_hw.h, VIRGL_BIND_*: vertex, index, constant, command arguments, stream output, query. */
#define BIND_BUFFER_ONLY (1u << 4 | 1u << 5 | 1u << 6 | 1u << 8 | 1u << 11 | 1u << 15)

uint32_t bn_resource_create_3d(struct bn_device *dev, const struct bn_gl_resource_args *args)
{
	uint64_t bytes = bn_resource_estimate(args);
	uint32_t r = check_new(dev, args->id, bytes);
	struct bn_resource *res;

	if (!dev->gl)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	if (r != VIRTIO_GPU_RESP_OK_NODATA)
		return r;
	if (args->target != TARGET_BUFFER && (args->bind & BIND_BUFFER_ONLY))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	res = calloc(1, sizeof(*res));
	if (!res)
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	res->id = args->id;
	res->is_3d = true;
	res->width = args->width;
	res->height = args->height;
	res->format = args->format;
	res->args = *args;
	res->host_bytes = bytes;
	res->fd = -1;
	if (bn_gl_resource_create(dev->gl, args) != 0) {
		free(res);
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (resource_register(dev, res) < 0) {
		bn_gl_resource_unref(dev->gl, args->id);
		free(res);
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	bn_state_resource(dev, res);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

void bn_resource_destroy(struct bn_device *dev, struct bn_resource *res)
{
	struct bn_attachment *at, *next;

	bn_scanout_forget(dev, res);
	wl_list_for_each_safe(at, next, &res->attachments, resource_link)
		bn_attachment_destroy(dev, at);
	bn_backing_detach(dev, res);
	if (res->is_3d)
		bn_gl_resource_unref(dev->gl, res->id);
	dev->host_bytes -= res->host_bytes;
	dev->host_bytes_3d -= res->is_3d ? res->host_bytes : 0;
	bn_device_lock(dev);
	bn_idmap_remove(&dev->resources, res->id);
	pthread_mutex_unlock(&dev->lock);
	bn_stat_set(&dev->stats->resources, dev->resources.count);
	bn_stat_set(&dev->stats->resource_bytes, dev->host_bytes);
	bn_state_unref(dev, res->id);
	resource_free(res);
}
