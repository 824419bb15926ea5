#include <drm_fourcc.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "wayland_impl.h"
#include "zero-copy/format.h"

/* Frames are opaque: the variant without alpha. */
static uint32_t opaque_fourcc(uint32_t fourcc)
{
	switch (fourcc) {
	case DRM_FORMAT_ARGB8888:
		return DRM_FORMAT_XRGB8888;
	case DRM_FORMAT_ABGR8888:
		return DRM_FORMAT_XBGR8888;
	case DRM_FORMAT_RGBA8888:
		return DRM_FORMAT_RGBX8888;
	case DRM_FORMAT_BGRA8888:
		return DRM_FORMAT_BGRX8888;
	default:
		return fourcc;
	}
}

static bool shm_takes(const struct bn_wl *wl, uint32_t fourcc, uint32_t *format)
{
	const uint32_t *known = wl->shm_formats.data;

	/* wl_shm's codes are fourcc but for the first two. */
	*format = fourcc == DRM_FORMAT_XRGB8888   ? (uint32_t)WL_SHM_FORMAT_XRGB8888
		  : fourcc == DRM_FORMAT_ARGB8888 ? (uint32_t)WL_SHM_FORMAT_ARGB8888
						  : fourcc;
	for (size_t i = 0; i < wl->shm_formats.size / sizeof(*known); i++) {
		if (known[i] == *format)
			return true;
	}
	return false;
}

static bool dmabuf_takes(const struct bn_wl *wl, uint32_t fourcc, uint64_t modifier)
{
	const struct bn_wl_dmabuf_format *known = wl->dmabuf_formats.data;

	for (size_t i = 0; i < wl->dmabuf_formats.size / sizeof(*known); i++) {
		if (known[i].fourcc == fourcc && known[i].modifier == modifier)
			return true;
	}
	return false;
}

static void handle_release(void *data, struct wl_buffer *wl_buffer)
{
	struct bn_wl_buffer *buffer = data;

	if (!buffer->busy)
		return;
	buffer->busy = false;
	bn_buffer_unlock(buffer->buffer); /* may free both */
}

static const struct wl_buffer_listener buffer_listener = {.release = handle_release};

static void free_objects(struct bn_wl_buffer *buffer)
{
	wl_list_remove(&buffer->link);
	if (buffer->params)
		zwp_linux_buffer_params_v1_destroy(buffer->params);
	if (buffer->wl_buffer)
		wl_buffer_destroy(buffer->wl_buffer);
	free(buffer);
}

/* The bn_buffer is going, so nobody has a lock on it. */
static void handle_buffer_gone(void *object)
{
	free_objects(object);
}

static void handle_created(
	void *data, struct zwp_linux_buffer_params_v1 *params, struct wl_buffer *wl_buffer)
{
	struct bn_wl_buffer *buffer = data;

	buffer->wl_buffer = wl_buffer;
	wl_buffer_add_listener(wl_buffer, &buffer_listener, buffer);
	zwp_linux_buffer_params_v1_destroy(params);
	buffer->params = NULL;
	bn_wl_schedule(buffer->wl);
}

static void handle_failed(void *data, struct zwp_linux_buffer_params_v1 *params)
{
	struct bn_wl_buffer *buffer = data;

	zwp_linux_buffer_params_v1_destroy(params);
	buffer->params = NULL;
	bn_wl_schedule(buffer->wl);
}

static const struct zwp_linux_buffer_params_v1_listener params_listener = {
	.created = handle_created,
	.failed = handle_failed,
};

/* A plane outside of its dma-buf is a protocol error, that is the end of the connection: looked
 * at here first. */
static bool planes_fit(const struct bn_buffer_attrs *attrs)
{
	const struct bn_format *format = bn_format_find(attrs->fourcc);

	for (uint32_t i = 0; i < attrs->planes; i++) {
		off_t size = lseek(attrs->fd[i], 0, SEEK_END);
		/* What else a tiled picture has, only the driver knows. */
		uint64_t rows = i < format->planes ? bn_format_rows(format, i, attrs->height) : 1;
		uint64_t end = attrs->offset[i] + attrs->stride[i] * rows;

		if (end > UINT32_MAX || (size >= 0 && end > (uint64_t)size))
			return false;
	}
	return true;
}

/* The protocol does not say how YUV is encoded: compositors take it for what is the default here
 * too. */
static bool colors_fit(const struct bn_buffer_attrs *attrs)
{
	return bn_fourcc_bytes(attrs->fourcc) > 0 ||
	       (attrs->encoding == BN_ENCODING_BT601 && attrs->range == BN_RANGE_LIMITED);
}

static void import_dmabuf(struct bn_wl_buffer *buffer, const struct bn_buffer_attrs *attrs)
{
	struct bn_wl *wl = buffer->wl;
	uint32_t fourcc = buffer->alpha ? attrs->fourcc : opaque_fourcc(attrs->fourcc);

	if (!dmabuf_takes(wl, fourcc, attrs->modifier))
		fourcc = attrs->fourcc;
	if (!wl->dmabuf || !dmabuf_takes(wl, fourcc, attrs->modifier) || !planes_fit(attrs) ||
		!colors_fit(attrs))
		return;
	buffer->params = zwp_linux_dmabuf_v1_create_params(wl->dmabuf);
	if (!buffer->params)
		return;
	zwp_linux_buffer_params_v1_add_listener(buffer->params, &params_listener, buffer);
	for (uint32_t i = 0; i < attrs->planes; i++)
		zwp_linux_buffer_params_v1_add(buffer->params, attrs->fd[i], i, attrs->offset[i],
			attrs->stride[i], (uint32_t)(attrs->modifier >> 32),
			(uint32_t)attrs->modifier);
	/* Not create_immed: there a failed import ends the connection. */
	zwp_linux_buffer_params_v1_create(
		buffer->params, (int32_t)attrs->width, (int32_t)attrs->height, fourcc, 0);
}

/* The renderer's memory becomes the pool itself. */
static void import_memfd(struct bn_wl_buffer *buffer, const struct bn_buffer_attrs *attrs)
{
	uint64_t end = attrs->offset[0] + (uint64_t)attrs->stride[0] * attrs->height;
	uint32_t fourcc = buffer->alpha ? attrs->fourcc : opaque_fourcc(attrs->fourcc);
	uint32_t format;

	if (bn_fourcc_bytes(attrs->fourcc) == 0 || !shm_takes(buffer->wl, fourcc, &format) ||
		lseek(attrs->fd[0], 0, SEEK_END) < (off_t)end ||
		attrs->stride[0] < attrs->width * bn_fourcc_bytes(attrs->fourcc))
		return;
	buffer->wl_buffer = bn_wl_shm_buffer(buffer->wl, attrs->fd[0], end, attrs->offset[0],
		attrs->width, attrs->height, attrs->stride[0], format);
	if (buffer->wl_buffer)
		wl_buffer_add_listener(buffer->wl_buffer, &buffer_listener, buffer);
}

static struct bn_wl_buffer *import_buffer(
	struct bn_wl *wl, struct bn_buffer *bn, const void *owner, bool alpha)
{
	const struct bn_buffer_attrs *attrs = bn_buffer_attrs(bn);
	struct bn_wl_buffer *buffer = calloc(1, sizeof(*buffer));

	if (!buffer)
		return NULL;
	if (bn_buffer_set_private(bn, owner, buffer, handle_buffer_gone) < 0) {
		free(buffer);
		return NULL;
	}
	buffer->wl = wl;
	buffer->buffer = bn;
	buffer->owner = owner;
	buffer->alpha = alpha;
	wl_list_insert(&wl->buffers, &buffer->link);
	if (attrs->kind == BN_BUFFER_DMABUF)
		import_dmabuf(buffer, attrs);
	else
		import_memfd(buffer, attrs);
	return buffer;
}

struct bn_wl_buffer *bn_wl_buffer_get(
	struct bn_wl *wl, struct bn_buffer *bn, bool alpha, bool *wait)
{
	bool has_alpha = alpha && bn_format_find(bn_buffer_attrs(bn)->fourcc)->alpha;
	/* Two addresses that are nobody else's. */
	const void *owner = has_alpha ? (const void *)&wl->alpha_modifier : wl;
	struct bn_wl_buffer *buffer = bn_buffer_get_private(bn, owner);

	if (!buffer)
		buffer = import_buffer(wl, bn, owner, has_alpha);
	*wait = buffer && buffer->params;
	return buffer && buffer->wl_buffer ? buffer : NULL;
}

void bn_wl_buffer_use(struct bn_wl_buffer *buffer)
{
	if (buffer->busy)
		return;
	buffer->busy = true;
	bn_buffer_lock(buffer->buffer);
}

void bn_wl_buffers_finish(struct bn_wl *wl)
{
	struct bn_wl_buffer *buffer, *next;

	wl_list_for_each_safe(buffer, next, &wl->buffers, link)
	{
		struct bn_buffer *bn = buffer->buffer;
		bool busy = buffer->busy;

		bn_buffer_clear_private(bn, buffer->owner);
		free_objects(buffer);
		if (busy)
			bn_buffer_unlock(bn);
	}
}
