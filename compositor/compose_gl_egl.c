/* EGL: a context on a render node, or on Mesa's rasteriser for tests. Runs on a thread beside the loop. */
#include <drm_fourcc.h>
#include <fcntl.h>
#include <gbm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd.h"
#include "compose_gl_impl.h"

static bool has_client(const char *name)
{
	const char *list = eglQueryString(EGL_NO_DISPLAY, EGL_EXTENSIONS);

	return list && epoxy_extension_in_string(list, "EGL_EXT_platform_base") &&
	       epoxy_extension_in_string(list, name);
}

/* Everybody who asks for the surfaceless display gets the same one: the last to leave ends it. */
static pthread_mutex_t surfaceless_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned surfaceless_users;

static bool open_surfaceless(struct bn_compose_gl_context *c)
{
	c->why = "this EGL has no EGL_MESA_platform_surfaceless";
	if (!has_client("EGL_MESA_platform_surfaceless"))
		return false;
	setenv("LIBGL_ALWAYS_SOFTWARE", "true", 0);
	c->display =
		eglGetPlatformDisplayEXT(EGL_PLATFORM_SURFACELESS_MESA, EGL_DEFAULT_DISPLAY, NULL);
	return true;
}

static bool open_node(struct bn_compose_gl_context *c, const char *node)
{
	c->why = "this EGL has no GBM platform";
	if (!has_client("EGL_KHR_platform_gbm") && !has_client("EGL_MESA_platform_gbm"))
		return false;
	c->why = "it cannot be opened (does the service's user belong in the group 'render'?)";
	c->node_fd = open(node, O_RDWR | O_CLOEXEC);
	if (c->node_fd < 0)
		return false;
	c->why = "GBM cannot use it (no driver for it?)";
	c->gbm = gbm_create_device(c->node_fd);
	if (!c->gbm)
		return false;
	c->display = eglGetPlatformDisplayEXT(EGL_PLATFORM_GBM_KHR, c->gbm, NULL);
	return true;
}

static bool has(const struct bn_compose_gl_context *c, const char *name)
{
	return epoxy_has_egl_extension(c->display, name);
}

static bool create_context(struct bn_compose_gl_context *c, bool priority, bool robust)
{
	EGLint attribs[12], n = 0;

	attribs[n++] = EGL_CONTEXT_MAJOR_VERSION_KHR;
	attribs[n++] = 3;
	attribs[n++] = EGL_CONTEXT_MINOR_VERSION_KHR;
	attribs[n++] = 0;
	if (priority) {
		attribs[n++] = EGL_CONTEXT_PRIORITY_LEVEL_IMG;
		attribs[n++] = EGL_CONTEXT_PRIORITY_HIGH_IMG;
	}
	if (robust) {
		attribs[n++] = EGL_CONTEXT_OPENGL_RESET_NOTIFICATION_STRATEGY_EXT;
		attribs[n++] = EGL_LOSE_CONTEXT_ON_RESET_EXT;
	}
	attribs[n] = EGL_NONE;
	c->context = eglCreateContext(c->display, EGL_NO_CONFIG_KHR, EGL_NO_CONTEXT, attribs);
	return c->context != EGL_NO_CONTEXT;
}

/* A driver may refuse the priority, or lower it in silence. */
static bool create_best_context(struct bn_compose_gl_context *c)
{
	bool priority = has(c, "EGL_IMG_context_priority");
	bool robust = has(c, "EGL_EXT_create_context_robustness");
	EGLint level = 0;

	if (!eglBindAPI(EGL_OPENGL_ES_API) ||
		(!create_context(c, priority, robust) && !create_context(c, false, robust) &&
			!create_context(c, false, false)))
		return false;
	if (priority &&
		eglQueryContext(c->display, c->context, EGL_CONTEXT_PRIORITY_LEVEL_IMG, &level))
		c->high = level == EGL_CONTEXT_PRIORITY_HIGH_IMG;
	return true;
}

static bool initialize(struct bn_compose_gl_context *c, bool shared)
{
	EGLint major, minor;
	bool ok;

	pthread_mutex_lock(&surfaceless_lock);
	ok = c->display != EGL_NO_DISPLAY && eglInitialize(c->display, &major, &minor);
	c->shared = ok && shared;
	surfaceless_users += c->shared;
	pthread_mutex_unlock(&surfaceless_lock);
	if (!ok)
		c->display = EGL_NO_DISPLAY;
	return ok;
}

static void terminate(const struct bn_compose_gl_context *c)
{
	pthread_mutex_lock(&surfaceless_lock);
	if (!c->shared || --surfaceless_users == 0)
		eglTerminate(c->display);
	pthread_mutex_unlock(&surfaceless_lock);
}

static bool has_needed(struct bn_compose_gl_context *c)
{
	static const struct {
		const char *name, *why;
	} needed[] = {
		{"EGL_KHR_image_base", "its EGL lacks EGL_KHR_image_base"},
		{"EGL_EXT_image_dma_buf_import", "its EGL lacks EGL_EXT_image_dma_buf_import"},
		{"EGL_KHR_surfaceless_context", "its EGL lacks EGL_KHR_surfaceless_context"},
		{"EGL_KHR_no_config_context", "its EGL lacks EGL_KHR_no_config_context"},
		{"EGL_KHR_create_context", "its EGL lacks EGL_KHR_create_context"},
	};

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		c->why = needed[i].why;
		if (!has(c, needed[i].name))
			return false;
	}
	return true;
}

static bool open_display(struct bn_compose_gl_context *c, const char *node)
{
	if (!(node[0] ? open_node(c, node) : open_surfaceless(c)))
		return false;
	c->why = "EGL cannot use it";
	if (!initialize(c, node[0] == '\0'))
		return false;
	if (!has_needed(c))
		return false;
	c->has_modifiers = has(c, "EGL_EXT_image_dma_buf_import_modifiers");
	c->has_fences = has(c, "EGL_ANDROID_native_fence_sync") && has(c, "EGL_KHR_fence_sync");
	return true;
}

static bool is_software(const char *renderer)
{
	return strstr(renderer, "llvmpipe") || strstr(renderer, "softpipe") ||
	       strstr(renderer, "swrast") || strstr(renderer, "Software Rasterizer");
}

static bool open_context(struct bn_compose_gl_context *c, const char *node)
{
	c->why = "its driver has no OpenGL ES 3.0";
	if (!create_best_context(c) || !bn_compose_gl_make_current(c))
		return false;
	snprintf(c->renderer, sizeof(c->renderer), "%s", (const char *)glGetString(GL_RENDERER));
	c->why = "it is a software rasteriser";
	if (node[0] && is_software(c->renderer))
		return false;
	c->why = "its driver has no GL_OES_EGL_image";
	if (!epoxy_has_gl_extension("GL_OES_EGL_image"))
		return false;
	c->has_timer = epoxy_has_gl_extension("GL_EXT_disjoint_timer_query");
	c->khr_robustness = epoxy_has_gl_extension("GL_KHR_robustness");
	c->has_reset = c->khr_robustness || epoxy_has_gl_extension("GL_EXT_robustness");
	c->has_external = epoxy_has_gl_extension("GL_OES_EGL_image_external_essl3");
	if (!bn_compose_gl_programs_init(c))
		return false;
	if (c->has_timer)
		glGenQueriesEXT(BN_COMPOSE_GL_QUERIES, c->queries);
	glGenTextures(1, &c->cursor);
	bn_compose_gl_texture_init(GL_TEXTURE_2D, c->cursor);
	glTexStorage2D(GL_TEXTURE_2D, 1, GL_RGBA8, BN_CURSOR_SIZE, BN_CURSOR_SIZE);
	glEnable(GL_SCISSOR_TEST);
	glPixelStorei(GL_UNPACK_ALIGNMENT, 1);
	c->why = "it reports errors";
	return glGetError() == GL_NO_ERROR;
}

bool bn_compose_gl_open(struct bn_compose_gl_context *c, const char *node)
{
	bool ok;

	*c = (struct bn_compose_gl_context){.node_fd = -1, .display = EGL_NO_DISPLAY};
	ok = open_display(c, node) && open_context(c, node);
	if (ok) {
		eglMakeCurrent(c->display, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
	} else {
		const char *why = c->why;

		bn_compose_gl_close(c);
		c->why = why;
	}
	eglReleaseThread();
	return ok;
}

void bn_compose_gl_close(struct bn_compose_gl_context *c)
{
	if (c->display != EGL_NO_DISPLAY) {
		eglMakeCurrent(c->display, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
		if (c->context != EGL_NO_CONTEXT)
			eglDestroyContext(c->display, c->context);
		terminate(c);
	}
	if (c->gbm)
		gbm_device_destroy(c->gbm);
	bn_fd_close(&c->node_fd);
	*c = (struct bn_compose_gl_context){.node_fd = -1, .display = EGL_NO_DISPLAY};
}

bool bn_compose_gl_make_current(const struct bn_compose_gl_context *c)
{
	return eglGetCurrentContext() == c->context ||
	       eglMakeCurrent(c->display, EGL_NO_SURFACE, EGL_NO_SURFACE, c->context);
}

/* ---- images ---- */

static unsigned add_plane(EGLint *attribs, unsigned n, const struct bn_buffer_attrs *attrs,
	unsigned plane, bool modifier)
{
	static const EGLint names[][5] = {
		{EGL_DMA_BUF_PLANE0_FD_EXT, EGL_DMA_BUF_PLANE0_OFFSET_EXT,
			EGL_DMA_BUF_PLANE0_PITCH_EXT, EGL_DMA_BUF_PLANE0_MODIFIER_LO_EXT,
			EGL_DMA_BUF_PLANE0_MODIFIER_HI_EXT},
		{EGL_DMA_BUF_PLANE1_FD_EXT, EGL_DMA_BUF_PLANE1_OFFSET_EXT,
			EGL_DMA_BUF_PLANE1_PITCH_EXT, EGL_DMA_BUF_PLANE1_MODIFIER_LO_EXT,
			EGL_DMA_BUF_PLANE1_MODIFIER_HI_EXT},
		{EGL_DMA_BUF_PLANE2_FD_EXT, EGL_DMA_BUF_PLANE2_OFFSET_EXT,
			EGL_DMA_BUF_PLANE2_PITCH_EXT, EGL_DMA_BUF_PLANE2_MODIFIER_LO_EXT,
			EGL_DMA_BUF_PLANE2_MODIFIER_HI_EXT},
		{EGL_DMA_BUF_PLANE3_FD_EXT, EGL_DMA_BUF_PLANE3_OFFSET_EXT,
			EGL_DMA_BUF_PLANE3_PITCH_EXT, EGL_DMA_BUF_PLANE3_MODIFIER_LO_EXT,
			EGL_DMA_BUF_PLANE3_MODIFIER_HI_EXT},
	};
	const EGLint values[5] = {attrs->fd[plane], (EGLint)attrs->offset[plane],
		(EGLint)attrs->stride[plane], (EGLint)(uint32_t)attrs->modifier,
		(EGLint)(uint32_t)(attrs->modifier >> 32)};

	for (unsigned i = 0; i < (modifier ? 5 : 3); i++) {
		attribs[n++] = names[plane][i];
		attribs[n++] = values[i];
	}
	return n;
}

static unsigned add_hints(EGLint *attribs, unsigned n, const struct bn_buffer_attrs *attrs)
{
	static const EGLint spaces[] = {
		[BN_ENCODING_BT601] = EGL_ITU_REC601_EXT,
		[BN_ENCODING_BT709] = EGL_ITU_REC709_EXT,
		[BN_ENCODING_BT2020] = EGL_ITU_REC2020_EXT,
	};

	attribs[n++] = EGL_YUV_COLOR_SPACE_HINT_EXT;
	attribs[n++] = spaces[attrs->encoding];
	attribs[n++] = EGL_SAMPLE_RANGE_HINT_EXT;
	attribs[n++] =
		attrs->range == BN_RANGE_FULL ? EGL_YUV_FULL_RANGE_EXT : EGL_YUV_NARROW_RANGE_EXT;
	return n;
}

EGLImage bn_compose_gl_import(
	const struct bn_compose_gl_context *c, const struct bn_buffer_attrs *attrs, uint32_t fourcc)
{
	const struct bn_format *format = bn_format_find(fourcc);
	bool modifier = c->has_modifiers && attrs->modifier != DRM_FORMAT_MOD_INVALID;
	EGLint attribs[6 + 4 * 10 + 4 + 1];
	unsigned n = 0;

	if (!modifier && attrs->modifier != DRM_FORMAT_MOD_INVALID &&
		attrs->modifier != DRM_FORMAT_MOD_LINEAR)
		return EGL_NO_IMAGE;
	attribs[n++] = EGL_WIDTH;
	attribs[n++] = (EGLint)attrs->width;
	attribs[n++] = EGL_HEIGHT;
	attribs[n++] = (EGLint)attrs->height;
	attribs[n++] = EGL_LINUX_DRM_FOURCC_EXT;
	attribs[n++] = (EGLint)fourcc;
	for (unsigned i = 0; i < attrs->planes && i < 4; i++)
		n = add_plane(attribs, n, attrs, i, modifier);
	if (format && format->bits != 0)
		n = add_hints(attribs, n, attrs);
	attribs[n] = EGL_NONE;
	return eglCreateImageKHR(c->display, EGL_NO_CONTEXT, EGL_LINUX_DMA_BUF_EXT, NULL, attribs);
}
