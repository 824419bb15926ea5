/* From a buffer to what the card can scan out, without copying: dma-bufs are imported as they are, a memfd by way of
 * /dev/udmabuf. */
#include <drm_fourcc.h>
#include <errno.h>
#include <linux/dma-buf.h>
#include <linux/udmabuf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <xf86drm.h>

#include "common/fd.h"
#include "common/log.h"
#include "kms_impl.h"
#include "zero-copy/format.h"

static const uint32_t twins[][2] = {
	{DRM_FORMAT_XRGB8888, DRM_FORMAT_ARGB8888},
	{DRM_FORMAT_XBGR8888, DRM_FORMAT_ABGR8888},
	{DRM_FORMAT_RGBX8888, DRM_FORMAT_RGBA8888},
	{DRM_FORMAT_BGRX8888, DRM_FORMAT_BGRA8888},
	{DRM_FORMAT_XRGB2101010, DRM_FORMAT_ARGB2101010},
	{DRM_FORMAT_XBGR2101010, DRM_FORMAT_ABGR2101010},
};

uint32_t bn_kms_fourcc_opaque(uint32_t fourcc)
{
	for (size_t i = 0; i < sizeof(twins) / sizeof(twins[0]); i++) {
		if (twins[i][1] == fourcc)
			return twins[i][0];
	}
	return fourcc;
}

uint32_t bn_kms_fourcc_alpha(uint32_t fourcc)
{
	for (size_t i = 0; i < sizeof(twins) / sizeof(twins[0]); i++) {
		if (twins[i][0] == fourcc)
			return twins[i][1];
	}
	return fourcc;
}

/* Closes each handle once: planes of one dma-buf share it, and the framebuffer holds the memory from here on. */
static void close_handles(int fd, const uint32_t handles[4])
{
	for (unsigned i = 0; i < 4; i++) {
		bool again = handles[i] == 0;

		for (unsigned k = 0; k < i; k++)
			again |= handles[k] == handles[i];
		if (!again)
			drmCloseBufferHandle(fd, handles[i]);
	}
}

static int add_fb(struct bn_kms_card *card, const struct bn_buffer_attrs *attrs, const int fds[4],
	uint32_t fourcc, uint32_t *id)
{
	uint32_t handles[4] = {0}, strides[4] = {0}, offsets[4] = {0};
	uint64_t modifiers[4] = {0};
	int r = card->quirks && attrs->offset[0] != 0 ? -EINVAL : 0;

	for (uint32_t i = 0; i < attrs->planes && r == 0; i++) {
		r = drmPrimeFDToHandle(card->fd, fds[i], &handles[i]) < 0 ? -errno : 0;
		strides[i] = attrs->stride[i];
		offsets[i] = attrs->offset[i];
		modifiers[i] = attrs->modifier;
	}
	if (r == 0 && attrs->modifier != DRM_FORMAT_MOD_INVALID && card->modifiers)
		r = drmModeAddFB2WithModifiers(card->fd, attrs->width, attrs->height, fourcc,
			handles, strides, offsets, modifiers, id, DRM_MODE_FB_MODIFIERS);
	else if (r == 0)
		r = drmModeAddFB2(card->fd, attrs->width, attrs->height, fourcc, handles, strides,
			offsets, id, 0);
	close_handles(card->fd, handles);
	return r;
}

/* Bytes of the file that the picture lies in. */
static void extent(const struct bn_buffer_attrs *attrs, uint64_t *start, uint64_t *end)
{
	const struct bn_format *format = bn_format_find(attrs->fourcc);

	*start = UINT64_MAX;
	*end = 0;
	for (uint32_t i = 0; i < attrs->planes; i++) {
		uint64_t rows = format ? bn_format_rows(format, i, attrs->height) : attrs->height;
		uint64_t last = attrs->offset[i] + attrs->stride[i] * rows;

		if (attrs->offset[i] < *start)
			*start = attrs->offset[i];
		if (last > *end)
			*end = last;
	}
}

/* Whole pages from the one that the picture begins in; *skip: what of the file lies before them. */
static int wrap_memfd(
	const struct bn_kms_card *card, const struct bn_buffer_attrs *attrs, uint32_t *skip)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), start, end;
	struct udmabuf_create create = {
		.memfd = (uint32_t)attrs->fd[0],
		.flags = UDMABUF_FLAGS_CLOEXEC,
	};

	extent(attrs, &start, &end);
	create.offset = start & ~(page - 1);
	create.size = ((end + page - 1) & ~(page - 1)) - create.offset;
	*skip = (uint32_t)create.offset;
	return bn_kms_sys.share(card->udmabuf_fd, &create);
}

static int import_memfd(
	struct bn_kms_fb *fb, const struct bn_buffer_attrs *attrs, uint32_t fourcc, uint32_t *id)
{
	struct bn_buffer_attrs picture = *attrs;
	int fds[4] = {-1, -1, -1, -1};
	uint32_t skip;

	fds[0] = wrap_memfd(fb->card, attrs, &skip);
	if (fds[0] == -ENOENT) {
		fb->why = "in memory of the CPU, and there is no /dev/udmabuf";
		return -ENOENT;
	}
	if (fds[0] < 0) {
		fb->why = "in memory of the CPU that /dev/udmabuf does not take";
		return fds[0];
	}
	for (uint32_t i = 0; i < picture.planes; i++) {
		picture.offset[i] -= skip;
		fds[i] = fds[0];
	}
	bn_fd_close(&fb->dmabuf);
	fb->dmabuf = fds[0];
	return add_fb(fb->card, &picture, fds, fourcc, id);
}

static void import(struct bn_kms_fb *fb, bool alpha)
{
	const struct bn_buffer_attrs *attrs = bn_buffer_attrs(fb->buffer);
	uint32_t fourcc = alpha ? attrs->fourcc : bn_kms_fourcc_opaque(attrs->fourcc);
	int r;

	fb->tried[alpha] = true;
	fb->why = NULL;
	if (attrs->kind == BN_BUFFER_MEMFD)
		r = import_memfd(fb, attrs, fourcc, &fb->id[alpha]);
	else
		r = add_fb(fb->card, attrs, attrs->fd, fourcc, &fb->id[alpha]);
	if (r == 0)
		return;
	fb->id[alpha] = 0;
	if (!fb->why)
		fb->why = "in memory that the card cannot scan out";
	bn_debug("%s: a %ux%u buffer makes no framebuffer: %s", fb->card->path, attrs->width,
		attrs->height, strerror(-r));
}

static void fb_free(void *object)
{
	struct bn_kms_fb *fb = object;

	for (unsigned i = 0; i < 2; i++) {
		if (fb->id[i])
			drmModeRmFB(fb->card->fd, fb->id[i]);
	}
	bn_fd_close(&fb->dmabuf);
	wl_list_remove(&fb->link);
	free(fb);
}

static struct bn_kms_fb *fb_create(struct bn_kms_card *card, struct bn_buffer *buffer)
{
	struct bn_kms_fb *fb = calloc(1, sizeof(*fb));

	if (!fb)
		return NULL;
	fb->card = card;
	fb->buffer = buffer;
	fb->dmabuf = -1;
	wl_list_insert(&card->fbs, &fb->link);
	if (bn_buffer_set_private(buffer, card, fb, fb_free) < 0) {
		fb_free(fb);
		return NULL;
	}
	return fb;
}

uint32_t bn_kms_fb_get(
	struct bn_kms_card *card, struct bn_buffer *buffer, bool alpha, const char **why)
{
	struct bn_kms_fb *fb = bn_buffer_get_private(buffer, card);

	if (!fb)
		fb = fb_create(card, buffer);
	if (!fb) {
		*why = "out of memory";
		return 0;
	}
	if (!fb->tried[alpha])
		import(fb, alpha);
	if (fb->id[alpha] == 0)
		*why = fb->why ? fb->why : "in memory that the card cannot scan out";
	return fb->id[alpha];
}

void bn_kms_fb_flush(struct bn_kms_card *card, struct bn_buffer *buffer)
{
	struct bn_kms_fb *fb = bn_buffer_get_private(buffer, card);
	struct dma_buf_sync sync = {.flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE};

	if (!fb || fb->dmabuf < 0)
		return;
	ioctl(fb->dmabuf, DMA_BUF_IOCTL_SYNC, &sync);
	sync.flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE;
	ioctl(fb->dmabuf, DMA_BUF_IOCTL_SYNC, &sync);
}

void bn_kms_fbs_finish(struct bn_kms_card *card)
{
	struct bn_kms_fb *fb, *next;

	wl_list_for_each_safe(fb, next, &card->fbs, link)
	{
		bn_buffer_clear_private(fb->buffer, card);
		fb_free(fb);
	}
}

/* ---- memory that the CPU draws into ---- */

static int dumb_fb(struct bn_kms_dumb *dumb, int fd, uint32_t fourcc, uint32_t *id)
{
	uint32_t handles[4] = {dumb->handle}, strides[4] = {dumb->stride}, offsets[4] = {0};

	return drmModeAddFB2(
		fd, dumb->width, dumb->height, fourcc, handles, strides, offsets, id, 0);
}

static int dumb_map(struct bn_kms_dumb *dumb, int fd)
{
	struct drm_mode_map_dumb map = {.handle = dumb->handle};

	if (drmIoctl(fd, DRM_IOCTL_MODE_MAP_DUMB, &map) < 0)
		return -errno;
	dumb->map = bn_kms_sys.map(fd, dumb->size, map.offset);
	return dumb->map ? 0 : -ENOMEM;
}

int bn_kms_dumb_init(
	struct bn_kms_dumb *dumb, struct bn_kms_card *card, uint32_t width, uint32_t height)
{
	struct drm_mode_create_dumb create = {.width = width, .height = height, .bpp = 32};
	int r;

	*dumb = (struct bn_kms_dumb){.width = width, .height = height};
	if (drmIoctl(card->fd, DRM_IOCTL_MODE_CREATE_DUMB, &create) < 0)
		return -errno;
	dumb->handle = create.handle;
	dumb->stride = create.pitch;
	dumb->size = create.size;
	r = dumb_map(dumb, card->fd);
	if (r == 0) {
		int opaque = dumb_fb(dumb, card->fd, DRM_FORMAT_XRGB8888, &dumb->fb_opaque);
		int alpha = dumb_fb(dumb, card->fd, DRM_FORMAT_ARGB8888, &dumb->fb_alpha);

		/* A cursor needs only the one, a picture may do with either. */
		r = opaque < 0 && alpha < 0 ? opaque : 0;
	}
	if (r < 0)
		bn_kms_dumb_finish(dumb, card);
	else
		memset(dumb->map, 0, dumb->size);
	return r;
}

void bn_kms_dumb_finish(struct bn_kms_dumb *dumb, struct bn_kms_card *card)
{
	struct drm_mode_destroy_dumb destroy = {.handle = dumb->handle};

	if (dumb->fb_opaque)
		drmModeRmFB(card->fd, dumb->fb_opaque);
	if (dumb->fb_alpha)
		drmModeRmFB(card->fd, dumb->fb_alpha);
	if (dumb->map)
		bn_kms_sys.unmap(dumb->map, dumb->size);
	if (dumb->handle)
		drmIoctl(card->fd, DRM_IOCTL_MODE_DESTROY_DUMB, &destroy);
	*dumb = (struct bn_kms_dumb){0};
}
