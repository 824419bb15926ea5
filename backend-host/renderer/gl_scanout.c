/* Scanout of textures: export as dma-buf, or read-back into memory.
 *
 * Rows: a texture without VIRGL_RESOURCE_Y_0_TOP holds the picture's top row first, one with it
 * last (virglrenderer turns guest coordinates round for those). Read-backs come out top down either
 * way; an exported dma-buf says y_invert.
 *
 * Read-back was measured on llvmpipe at 1920x1080: glReadPixels as BGRA from an FBO 0.78 ms (one
 * memcpy, as the texture is stored in that order), as RGBA with red and blue swapped by us 0.92 ms,
 * virglrenderer's transfer 0.79 ms. The first needs no iovec and takes any stride. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <drm_fourcc.h>

#include "common/fd.h"
#include "common/log.h"

#include "gl_priv.h"

struct format {
	uint32_t virgl; /* virgl_hw.h, enum virgl_formats: names give the order in memory */
	uint32_t fourcc;
	bool bgra, opaque;
};

static const struct format formats[] = {
	{1, DRM_FORMAT_ARGB8888, true, false},   /* B8G8R8A8 */
	{2, DRM_FORMAT_XRGB8888, true, true},    /* B8G8R8X8 */
	{67, DRM_FORMAT_ABGR8888, false, false}, /* R8G8B8A8 */
	{134, DRM_FORMAT_XBGR8888, false, true}, /* R8G8B8X8 */
};

static const struct format *format_find(uint32_t virgl)
{
	for (unsigned i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (formats[i].virgl == virgl)
			return &formats[i];
	}
	return NULL;
}

static int get_info(
	uint32_t res_id, struct virgl_renderer_resource_info *info, const struct format **format)
{
	memset(info, 0, sizeof(*info));
	if (virgl_renderer_resource_get_info((int)res_id, info) || !info->tex_id)
		return -EINVAL;
	*format = format_find(info->virgl_format);
	return *format ? 0 : -EINVAL;
}

int bn_gl_scanout_info(struct bn_gl *gl, uint32_t res_id, struct bn_gl_scanout *out)
{
	struct virgl_renderer_resource_info info;
	const struct format *format;
	int ret = get_info(res_id, &info, &format);
	if (ret < 0)
		return ret;
	*out = (struct bn_gl_scanout){
		.width = info.width,
		.height = info.height,
		.fourcc = format->fourcc,
		.y_invert = info.flags & BN_VIRGL_Y_0_TOP,
		.modifier = DRM_FORMAT_MOD_INVALID,
		.fd = {-1, -1, -1, -1},
	};
	return 0;
}

/* ---- export ---- */

/* The driver names what it stores, with alpha; the guest may have said that there is none. */
static uint32_t without_alpha(uint32_t fourcc)
{
	switch (fourcc) {
	case DRM_FORMAT_ARGB8888:
		return DRM_FORMAT_XRGB8888;
	case DRM_FORMAT_ABGR8888:
		return DRM_FORMAT_XBGR8888;
	default:
		return fourcc;
	}
}

/* llvmpipe asks for udmabuf by its path when it starts, and offers the extension only then. */
static const char *no_udmabuf(char *text, size_t size)
{
	const char *hint = "";
	int fd = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		bn_fd_close(&fd);
		return "the software rasteriser is older than Mesa 24.1";
	}
	if (errno == EACCES || errno == EPERM)
		hint = ": the user that renderers run as needs access (udev)";
	else if (errno == ENOENT)
		hint = ": the kernel offers none (CONFIG_UDMABUF)";
	snprintf(text, size, "the software rasteriser needs /dev/udmabuf: %s%s", strerror(errno),
		hint);
	return text;
}

const char *bn_gl_no_export(const struct bn_gl *gl, char *text, size_t size)
{
	if (gl->export_failed)
		return "the driver offers EGL_MESA_image_dma_buf_export and fails";
	if (gl->egl.has_export)
		return NULL;
	if (bn_gl_is_software(gl))
		return no_udmabuf(text, size);
	return "the driver lacks EGL_MESA_image_dma_buf_export";
}

static bool export_image(struct bn_gl *gl, EGLImage image, struct bn_gl_scanout *out)
{
	int fourcc = 0, planes = 0;
	EGLuint64KHR modifiers[4] = {0};
	EGLDisplay display = gl->egl.display;
	/* The query writes one modifier for each plane: their number first. */
	if (!eglExportDMABUFImageQueryMESA(display, image, &fourcc, &planes, NULL) || planes < 1 ||
		planes > 4 || !eglExportDMABUFImageQueryMESA(display, image, NULL, NULL, modifiers))
		return false;
	EGLint strides[4] = {0}, offsets[4] = {0};
	int fds[4] = {-1, -1, -1, -1};
	if (!eglExportDMABUFImageMESA(display, image, fds, strides, offsets) || fds[0] < 0) {
		bn_fds_close(fds, 4);
		return false;
	}
	out->fourcc = (uint32_t)fourcc;
	out->planes = (uint32_t)planes;
	out->modifier = modifiers[0];
	for (int i = 0; i < 4; i++) {
		out->stride[i] = (uint32_t)strides[i];
		out->offset[i] = (uint32_t)offsets[i];
		out->fd[i] = fds[i];
	}
	/* Planes of one buffer may come with the first fd alone. */
	for (int i = 1; i < planes; i++) {
		if (out->fd[i] < 0)
			out->fd[i] = bn_fd_dup(out->fd[0]);
	}
	return true;
}

int bn_gl_export(struct bn_gl *gl, uint32_t res_id, struct bn_gl_scanout *out)
{
	struct virgl_renderer_resource_info info;
	const struct format *format;
	int ret = get_info(res_id, &info, &format);
	if (ret < 0)
		return ret;
	if (!gl->egl.has_export || gl->export_failed)
		return -ENOTSUP;
	bn_gl_scanout_info(gl, res_id, out);
	if (gl->egl.current == EGL_NO_CONTEXT)
		virgl_renderer_force_ctx_0();
	EGLImage image = eglCreateImageKHR(gl->egl.display, gl->egl.current, EGL_GL_TEXTURE_2D_KHR,
		(EGLClientBuffer)(uintptr_t)info.tex_id, NULL);
	bool ok = image != EGL_NO_IMAGE && export_image(gl, image, out);
	if (image != EGL_NO_IMAGE)
		eglDestroyImageKHR(gl->egl.display, image);
	if (!ok) {
		/* It fails for good on a rasteriser without udmabuf (Mesa before 24.1 offers it
		 * there all the same). */
		gl->export_failed = true;
		bn_info("gl: frames are copied once: the driver offers "
			"EGL_MESA_image_dma_buf_export and fails");
		return -ENOTSUP;
	}
	if (format->opaque)
		out->fourcc = without_alpha(out->fourcc);
	return 0;
}

/* ---- read-back ---- */

static bool reader_ready(struct bn_gl *gl)
{
	if (gl->reader != EGL_NO_CONTEXT || gl->reader_failed)
		return !gl->reader_failed;
	if (gl->egl.current == EGL_NO_CONTEXT)
		virgl_renderer_force_ctx_0();
	/* A context of our own: what we bind and break here cannot disturb virglrenderer's idea of
	 * its contexts. */
	gl->reader = bn_egl_context_create(&gl->egl, true, gl->egl.major, gl->egl.minor, false);
	gl->reader_failed = gl->reader == EGL_NO_CONTEXT;
	if (gl->reader_failed)
		bn_error("gl: no context for reading frames back");
	return !gl->reader_failed;
}

void bn_gl_reader_finish(struct bn_gl *gl)
{
	bn_egl_context_destroy(&gl->egl, gl->reader);
	gl->reader = EGL_NO_CONTEXT;
}

static bool bind_texture(struct bn_gl *gl, GLuint texture)
{
	if (!gl->reader_fbo) {
		gl->has_pack_invert = epoxy_has_gl_extension("GL_MESA_pack_invert");
		glGenFramebuffers(1, &gl->reader_fbo);
		glBindFramebuffer(GL_READ_FRAMEBUFFER, gl->reader_fbo);
		glPixelStorei(GL_PACK_ALIGNMENT, 4);
	}
	glFramebufferTexture2D(
		GL_READ_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, texture, 0);
	return glCheckFramebufferStatus(GL_READ_FRAMEBUFFER) == GL_FRAMEBUFFER_COMPLETE;
}

static void swap_rows(uint8_t *a, uint8_t *b, uint32_t len)
{
	uint8_t buf[4096];
	for (uint32_t i = 0; i < len; i += sizeof(buf)) {
		size_t n = len - i < sizeof(buf) ? len - i : sizeof(buf);
		memcpy(buf, a + i, n);
		memcpy(a + i, b + i, n);
		memcpy(b + i, buf, n);
	}
}

static void turn_over(uint8_t *dst, uint32_t stride, uint32_t row_bytes, uint32_t h)
{
	for (uint32_t top = 0, bottom = h - 1; top < bottom; top++, bottom--)
		swap_rows(dst + (size_t)top * stride, dst + (size_t)bottom * stride, row_bytes);
}

static inline uint32_t swap_red_blue(uint32_t v)
{
	return (v & 0xff00ff00u) | (v & 0xffu) << 16 | (v >> 16 & 0xffu);
}

/* Blocks of a constant size, so that the compiler makes vectors of them at -O2. */
static void swap_red_blue_row(uint32_t *p, uint32_t n)
{
	uint32_t i = 0;
	for (; i + 16 <= n; i += 16) {
		for (unsigned k = 0; k < 16; k++)
			p[i + k] = swap_red_blue(p[i + k]);
	}
	for (; i < n; i++)
		p[i] = swap_red_blue(p[i]);
}

static bool read_pixels(struct bn_gl *gl, const struct virgl_renderer_resource_info *info,
	const struct format *format, uint32_t x, uint32_t y, uint32_t w, uint32_t h, uint8_t *dst,
	uint32_t stride)
{
	bool invert = info->flags & BN_VIRGL_Y_0_TOP;
	/* In ES contexts virglrenderer stores BGRA textures as RGBA, and there GL_BGRA cannot be
	 * read. */
	bool swap = format->bgra && gl->egl.gles;
	glGetError(); /* what an earlier read left behind is not about this one */
	if (!bind_texture(gl, info->tex_id))
		return false;
	if (invert && gl->has_pack_invert)
		glPixelStorei(GL_PACK_INVERT_MESA, 1);
	glPixelStorei(GL_PACK_ROW_LENGTH, (GLint)(stride / 4));
	glReadPixels((GLint)x, (GLint)(invert ? info->height - y - h : y), (GLsizei)w, (GLsizei)h,
		format->bgra && !swap ? GL_BGRA : GL_RGBA, GL_UNSIGNED_BYTE, dst);
	if (invert && gl->has_pack_invert)
		glPixelStorei(GL_PACK_INVERT_MESA, 0);
	if (invert && !gl->has_pack_invert)
		turn_over(dst, stride, w * 4, h);
	for (uint32_t row = 0; swap && row < h; row++)
		swap_red_blue_row((uint32_t *)(dst + (size_t)row * stride), w);
	return glGetError() == GL_NO_ERROR;
}

int bn_gl_read_back(struct bn_gl *gl, uint32_t res_id, uint32_t x, uint32_t y, uint32_t w,
	uint32_t h, void *dst, uint32_t stride)
{
	struct virgl_renderer_resource_info info;
	const struct format *format;
	int ret = get_info(res_id, &info, &format);
	if (ret < 0)
		return ret;
	if (x > info.width || w > info.width - x || y > info.height || h > info.height - y ||
		stride % 4 || stride / 4 < (uint64_t)x + w)
		return -EINVAL;
	if (!w || !h)
		return 0;
	if (!reader_ready(gl))
		return -ENODEV;
	/* virglrenderer remembers which context it left current: it gets that one back. */
	EGLContext before = gl->egl.current;
	if (!bn_egl_make_current(&gl->egl, gl->reader))
		return -ENODEV;
	bool ok = read_pixels(gl, &info, format, x, y, w, h,
		(uint8_t *)dst + (size_t)y * stride + (size_t)x * 4, stride);
	bn_egl_make_current(&gl->egl, before);
	if (!ok && bn_log_gate(&gl->log_read))
		bn_warn("gl: resource %u cannot be read back (%lu so far)", res_id, gl->log_read);
	return ok ? 0 : -EINVAL;
}
