/* Buffers as textures. A dma-buf is imported, once, and nothing is copied; memory of the CPU is uploaded each time, and of it
 * what is drawn. What can be done neither way is read by the CPU. */
#include <drm_fourcc.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "compose_gl_impl.h"
#include "pixels.h"

void bn_compose_gl_texture_init(GLenum target, GLuint texture)
{
	glBindTexture(target, texture);
	glTexParameteri(target, GL_TEXTURE_MIN_FILTER, GL_NEAREST);
	glTexParameteri(target, GL_TEXTURE_MAG_FILTER, GL_NEAREST);
	glTexParameteri(target, GL_TEXTURE_WRAP_S, GL_CLAMP_TO_EDGE);
	glTexParameteri(target, GL_TEXTURE_WRAP_T, GL_CLAMP_TO_EDGE);
}

static GLenum target_of(const struct bn_compose_gl_source *s)
{
	return s->kind == BN_COMPOSE_GL_EXTERNAL ? GL_TEXTURE_EXTERNAL_OES : GL_TEXTURE_2D;
}

/* ---- life ---- */

/* The context is current. */
static void release(struct bn_compose_gl_source *s)
{
	for (unsigned i = 0; i < s->textures; i++) {
		if (s->texture[i])
			glDeleteTextures(1, &s->texture[i]);
		if (s->image[i] != EGL_NO_IMAGE)
			eglDestroyImageKHR(s->gl->c.display, s->image[i]);
		s->texture[i] = 0;
		s->image[i] = EGL_NO_IMAGE;
	}
	s->textures = 0;
}

static void source_free(void *object)
{
	struct bn_compose_gl_source *s = object;

	if (bn_compose_gl_make_current(&s->gl->c))
		release(s);
	wl_list_remove(&s->link);
	free(s);
}

void bn_compose_gl_sources_finish(struct bn_compose_gl *gl)
{
	struct bn_compose_gl_source *s, *next;

	wl_list_for_each_safe(s, next, &gl->sources, link)
	{
		bn_buffer_clear_private(s->buffer, gl);
		source_free(s);
	}
}

/* ---- imports ---- */

static bool bind_image(struct bn_compose_gl_source *s, unsigned i)
{
	while (glGetError() != GL_NO_ERROR)
		;
	glEGLImageTargetTexture2DOES(target_of(s), s->image[i]);
	return glGetError() == GL_NO_ERROR;
}

static bool import_texture(
	struct bn_compose_gl_source *s, const struct bn_buffer_attrs *attrs, uint32_t fourcc)
{
	unsigned i = s->textures;

	s->image[i] = bn_compose_gl_import(&s->gl->c, attrs, fourcc);
	if (s->image[i] == EGL_NO_IMAGE)
		return false;
	s->textures++;
	glGenTextures(1, &s->texture[i]);
	bn_compose_gl_texture_init(target_of(s), s->texture[i]);
	return bind_image(s, i);
}

/* Components in the order of memory: what every driver has, and it leaves it to us what they mean. */
static uint32_t bytes_fourcc(unsigned bytes)
{
	return bytes == 1 ? DRM_FORMAT_R8 : bytes == 2 ? DRM_FORMAT_GR88 : DRM_FORMAT_ABGR8888;
}

static bool import_bytes(struct bn_compose_gl_source *s)
{
	const struct bn_buffer_attrs *attrs = bn_buffer_attrs(s->buffer);
	bool ok = true;

	s->kind = s->format->bits ? BN_COMPOSE_GL_YUV : BN_COMPOSE_GL_RGB;
	s->bytes = true;
	for (unsigned i = 0; i < s->format->planes && ok; i++) {
		const struct bn_format_plane *plane = &s->format->plane[i];
		struct bn_buffer_attrs one = {
			.kind = BN_BUFFER_DMABUF,
			.width = (attrs->width + plane->hsub - 1) / plane->hsub,
			.height = (attrs->height + plane->vsub - 1) / plane->vsub,
			.modifier = attrs->modifier,
			.planes = 1,
			.stride = {attrs->stride[i]},
			.offset = {attrs->offset[i]},
			.fd = {attrs->fd[i], -1, -1, -1},
		};

		ok = import_texture(s, &one, bytes_fourcc(plane->bytes));
	}
	if (!ok)
		release(s);
	return ok;
}

static bool import_as(struct bn_compose_gl_source *s, enum bn_compose_gl_kind kind)
{
	const struct bn_buffer_attrs *attrs = bn_buffer_attrs(s->buffer);

	if (kind == BN_COMPOSE_GL_EXTERNAL && !s->gl->c.has_external)
		return false;
	s->kind = kind;
	s->bytes = false;
	if (import_texture(s, attrs, attrs->fourcc))
		return true;
	release(s);
	return false;
}

static bool import(struct bn_compose_gl_source *s)
{
	const struct bn_buffer_attrs *attrs = bn_buffer_attrs(s->buffer);

	if (attrs->kind != BN_BUFFER_DMABUF)
		return false;
	if (attrs->modifier == DRM_FORMAT_MOD_LINEAR && attrs->fourcc != DRM_FORMAT_RGB565 &&
		import_bytes(s))
		return true;
	if ((s->format->bits == 0 && import_as(s, BN_COMPOSE_GL_RGB)) ||
		import_as(s, BN_COMPOSE_GL_EXTERNAL))
		return true;
	/* The kernel may know how the memory is laid out. */
	return attrs->modifier == DRM_FORMAT_MOD_INVALID && s->format->bits != 0 && import_bytes(s);
}

/* ---- uploads ---- */

struct upload {
	GLenum internal, format, type;
};

static struct upload upload_of(unsigned bytes, bool rgb565)
{
	static const struct upload one = {GL_R8, GL_RED, GL_UNSIGNED_BYTE};
	static const struct upload two = {GL_RG8, GL_RG, GL_UNSIGNED_BYTE};
	static const struct upload four = {GL_RGBA8, GL_RGBA, GL_UNSIGNED_BYTE};
	static const struct upload packed = {GL_RGB565, GL_RGB, GL_UNSIGNED_SHORT_5_6_5};

	if (rgb565)
		return packed;
	return bytes == 1 ? one : bytes == 2 ? two : four;
}

static void make_texture(
	struct bn_compose_gl_source *s, GLenum internal, uint32_t width, uint32_t height)
{
	unsigned i = s->textures++;

	glGenTextures(1, &s->texture[i]);
	bn_compose_gl_texture_init(GL_TEXTURE_2D, s->texture[i]);
	glTexStorage2D(GL_TEXTURE_2D, 1, internal, (GLsizei)width, (GLsizei)height);
}

/* Textures for the planes in memory, or for what the CPU makes of them. */
static bool make_textures(struct bn_compose_gl_source *s, bool converted)
{
	const struct bn_buffer_attrs *attrs = bn_buffer_attrs(s->buffer);
	bool rgb565 = attrs->fourcc == DRM_FORMAT_RGB565;

	while (glGetError() != GL_NO_ERROR)
		;
	s->how = converted ? BN_COMPOSE_GL_CONVERTED : BN_COMPOSE_GL_UPLOADED;
	s->kind = s->format->bits && !converted ? BN_COMPOSE_GL_YUV : BN_COMPOSE_GL_RGB;
	s->bytes = converted || !rgb565;
	if (converted) {
		make_texture(s, GL_RGBA8, attrs->width, attrs->height);
	} else {
		for (unsigned i = 0; i < s->format->planes; i++) {
			const struct bn_format_plane *plane = &s->format->plane[i];

			make_texture(s, upload_of(plane->bytes, rgb565).internal,
				(attrs->width + plane->hsub - 1) / plane->hsub,
				(attrs->height + plane->vsub - 1) / plane->vsub);
		}
	}
	if (glGetError() == GL_NO_ERROR)
		return true;
	release(s);
	return false;
}

/* Rows of units of so many bytes. A stride that is not made of units is gone through row by row. */
static uint64_t upload_rows(const struct upload *u, unsigned bytes, const uint8_t *base,
	uint32_t stride, uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
	const uint8_t *from = base + (size_t)stride * y + (size_t)x * bytes;
	bool whole = stride % bytes == 0;

	glPixelStorei(GL_UNPACK_ROW_LENGTH, whole ? (GLint)(stride / bytes) : 0);
	for (uint32_t row = 0; row < height; row += whole ? height : 1)
		glTexSubImage2D(GL_TEXTURE_2D, 0, (GLint)x, (GLint)(y + row), (GLsizei)width,
			whole ? (GLsizei)height : 1, u->format, u->type,
			from + (size_t)stride * row);
	glPixelStorei(GL_UNPACK_ROW_LENGTH, 0);
	return (uint64_t)width * height * bytes;
}

static void upload(struct bn_compose_gl_source *s, const struct bn_rect *part, uint64_t *copied)
{
	const struct bn_buffer_attrs *attrs = bn_buffer_attrs(s->buffer);

	for (unsigned i = 0; i < s->format->planes; i++) {
		const struct bn_format_plane *plane = &s->format->plane[i];
		struct upload u = upload_of(plane->bytes, attrs->fourcc == DRM_FORMAT_RGB565);
		uint32_t x = (uint32_t)part->x / plane->hsub, y = (uint32_t)part->y / plane->vsub;
		uint32_t right = ((uint32_t)part->x + part->width - 1) / plane->hsub;
		uint32_t bottom = ((uint32_t)part->y + part->height - 1) / plane->vsub;

		glBindTexture(GL_TEXTURE_2D, s->texture[i]);
		*copied += upload_rows(&u, plane->bytes, bn_buffer_plane(s->buffer, i),
			attrs->stride[i], x, y, right - x + 1, bottom - y + 1);
	}
}

/* What only the CPU can read, as bytes in the order of ARGB8888. */
static int convert(struct bn_compose_gl_source *s, const struct bn_rect *part, uint64_t *copied)
{
	int width = (int)part->width, height = (int)part->height;
	struct bn_pixels pixels;
	pixman_image_t *image;
	struct upload u = upload_of(4, false);
	int r = bn_pixels_open(&pixels, s->buffer, part, false, true);

	if (r < 0)
		return r;
	image = pixman_image_create_bits_no_clear(PIXMAN_a8r8g8b8, width, height, NULL, 0);
	if (image) {
		pixman_image_composite32(
			PIXMAN_OP_SRC, pixels.image, NULL, image, 0, 0, 0, 0, 0, 0, width, height);
		glBindTexture(GL_TEXTURE_2D, s->texture[0]);
		glPixelStorei(GL_UNPACK_ROW_LENGTH, pixman_image_get_stride(image) / 4);
		glTexSubImage2D(GL_TEXTURE_2D, 0, part->x, part->y, width, height, u.format, u.type,
			pixman_image_get_data(image));
		glPixelStorei(GL_UNPACK_ROW_LENGTH, 0);
		*copied += 8ull * part->width * part->height;
		pixman_image_unref(image);
	}
	bn_pixels_close(&pixels);
	return image ? 0 : -ENOMEM;
}

/* ---- both ---- */

static bool source_fill(struct bn_compose_gl_source *s)
{
	s->how = BN_COMPOSE_GL_IMPORTED;
	if (import(s))
		return true;
	return make_textures(s, bn_buffer_attrs(s->buffer)->kind == BN_BUFFER_DMABUF);
}

static struct bn_compose_gl_source *source_create(
	struct bn_compose_gl *gl, struct bn_buffer *buffer)
{
	struct bn_compose_gl_source *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->gl = gl;
	s->buffer = buffer;
	s->format = bn_format_find(bn_buffer_attrs(buffer)->fourcc);
	wl_list_insert(&gl->sources, &s->link);
	if (!source_fill(s) || bn_buffer_set_private(buffer, gl, s, source_free) < 0) {
		source_free(s);
		return NULL;
	}
	return s;
}

/* Nobody may be waited for whose picture this is: the GPU would wait for whatever still draws into it, and with it
 * the display. */
static bool is_idle(const struct bn_buffer_attrs *attrs)
{
	for (unsigned i = 0; i < attrs->planes && i < 4; i++) {
		struct pollfd p = {.fd = attrs->fd[i], .events = POLLIN};

		if (poll(&p, 1, 0) != 1 || !(p.revents & POLLIN))
			return false;
	}
	return true;
}

int bn_compose_gl_source_get(struct bn_compose_gl *gl, struct bn_buffer *buffer,
	const struct bn_rect *part, struct bn_compose_gl_source **out, uint64_t *copied)
{
	const struct bn_buffer_attrs *attrs = bn_buffer_attrs(buffer);
	struct bn_compose_gl_source *s = bn_buffer_get_private(buffer, gl);
	int r = 0;

	if (attrs->kind == BN_BUFFER_DMABUF && !is_idle(attrs))
		return -EAGAIN;
	if (!s)
		s = source_create(gl, buffer);
	if (!s)
		return -ENOMEM;
	if (s->how == BN_COMPOSE_GL_UPLOADED)
		upload(s, part, copied);
	else if (s->how == BN_COMPOSE_GL_CONVERTED)
		r = convert(s, part, copied);
	/* What others have written to them since is seen from here on. */
	for (unsigned i = 0; i < s->textures; i++) {
		glActiveTexture(GL_TEXTURE0 + i);
		glBindTexture(target_of(s), s->texture[i]);
		if (s->how == BN_COMPOSE_GL_IMPORTED)
			glEGLImageTargetTexture2DOES(target_of(s), s->image[i]);
	}
	glActiveTexture(GL_TEXTURE0);
	*out = s;
	return r;
}
