/* EGL display and contexts. virglrenderer would make its own (it does so for QEMU), but then nobody
 * could give them a priority or export their textures; so it gets ours through callbacks. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gbm.h>

#include "common/fd.h"
#include "common/log.h"

#include "gl_priv.h"

static bool has_client_platform(const char *name)
{
	const char *list = eglQueryString(EGL_NO_DISPLAY, EGL_EXTENSIONS);
	return list && epoxy_extension_in_string(list, name);
}

static int open_surfaceless(struct bn_egl *egl)
{
	if (!has_client_platform("EGL_MESA_platform_surfaceless")) {
		egl->why =
			"this EGL has no EGL_MESA_platform_surfaceless (is Mesa's EGL installed?)";
		return -ENODEV;
	}
	/* Asked for the software rasteriser, we must not end up on a GPU that happens to be
	 * reachable. */
	setenv("LIBGL_ALWAYS_SOFTWARE", "true", 0);
	egl->display =
		eglGetPlatformDisplayEXT(EGL_PLATFORM_SURFACELESS_MESA, EGL_DEFAULT_DISPLAY, NULL);
	return 0;
}

static int open_node(struct bn_egl *egl)
{
	if (!has_client_platform("EGL_MESA_platform_gbm") &&
		!has_client_platform("EGL_KHR_platform_gbm")) {
		egl->why = "this EGL has no GBM platform";
		return -ENODEV;
	}
	egl->gbm = gbm_create_device(egl->node_fd);
	if (!egl->gbm) {
		egl->why = "GBM cannot use the render node (no driver for it?)";
		return -ENODEV;
	}
	egl->display = eglGetPlatformDisplayEXT(EGL_PLATFORM_GBM_KHR, egl->gbm, NULL);
	return 0;
}

static bool has_display_extension(const struct bn_egl *egl, const char *name)
{
	return epoxy_has_egl_extension(egl->display, name);
}

static const EGLint levels[] = {
	[BN_LINK_PRIORITY_LOW] = EGL_CONTEXT_PRIORITY_LOW_IMG,
	[BN_LINK_PRIORITY_MEDIUM] = EGL_CONTEXT_PRIORITY_MEDIUM_IMG,
	[BN_LINK_PRIORITY_HIGH] = EGL_CONTEXT_PRIORITY_HIGH_IMG,
};

/* A driver may lower it in silence. */
static void ask_priority(struct bn_egl *egl, EGLContext context)
{
	EGLint level;
	if (!egl->has_priority ||
		!eglQueryContext(egl->display, context, EGL_CONTEXT_PRIORITY_LEVEL_IMG, &level))
		return;
	for (unsigned i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (levels[i] == level)
			egl->granted = (enum bn_link_priority)i;
	}
}

static int choose_api(struct bn_egl *egl)
{
	if (!has_display_extension(egl, "EGL_KHR_surfaceless_context") ||
		!has_display_extension(egl, "EGL_KHR_no_config_context") ||
		!has_display_extension(egl, "EGL_KHR_create_context")) {
		egl->why =
			"this EGL cannot make contexts without surfaces (KHR_surfaceless_context, "
			"KHR_no_config_context and KHR_create_context are needed)";
		return -ENODEV;
	}
	/* Desktop GL serves desktop and ES guests; a driver without it still serves ES guests. */
	static const struct {
		EGLenum api;
		int major, minor;
	} tries[] = {{EGL_OPENGL_API, 3, 1}, {EGL_OPENGL_ES_API, 3, 0}};
	for (unsigned i = 0; i < 2; i++) {
		if (!eglBindAPI(tries[i].api))
			continue;
		egl->gles = i == 1;
		EGLContext probe =
			bn_egl_context_create(egl, false, tries[i].major, tries[i].minor, false);
		if (probe == EGL_NO_CONTEXT)
			continue;
		ask_priority(egl, probe);
		bn_egl_context_destroy(egl, probe);
		return 0;
	}
	egl->why = "the driver offers neither OpenGL 3.1 nor OpenGL ES 3.0";
	return -ENODEV;
}

int bn_egl_init(struct bn_egl *egl, enum bn_link_gpu gpu, int node_fd,
	enum bn_link_priority priority)
{
	*egl = (struct bn_egl){
		.display = EGL_NO_DISPLAY,
		.node_fd = node_fd,
		.current = EGL_NO_CONTEXT,
		.priority = priority,
		.granted = BN_LINK_PRIORITY_MEDIUM,
		.why = "no GPU was asked for",
	};
	int ret = -ENODEV;
	if (gpu == BN_LINK_GPU_SURFACELESS)
		ret = open_surfaceless(egl);
	else if (gpu == BN_LINK_GPU_RENDER_NODE)
		ret = open_node(egl);
	if (ret < 0)
		goto fail;
	EGLint major, minor;
	if (egl->display == EGL_NO_DISPLAY || !eglInitialize(egl->display, &major, &minor)) {
		egl->why = "EGL cannot open a display on this device";
		egl->display = EGL_NO_DISPLAY;
		ret = -ENODEV;
		goto fail;
	}
	egl->has_priority = has_display_extension(egl, "EGL_IMG_context_priority");
	egl->has_export = has_display_extension(egl, "EGL_MESA_image_dma_buf_export") &&
			  has_display_extension(egl, "EGL_KHR_image_base") &&
			  has_display_extension(egl, "EGL_KHR_gl_texture_2D_image");
	ret = choose_api(egl);
	if (ret < 0)
		goto fail;
	return 0;
fail:
	bn_egl_finish(egl);
	return ret;
}

void bn_egl_finish(struct bn_egl *egl)
{
	if (egl->display != EGL_NO_DISPLAY) {
		eglMakeCurrent(egl->display, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
		eglTerminate(egl->display);
		eglReleaseThread();
		egl->display = EGL_NO_DISPLAY;
	}
	if (egl->gbm)
		gbm_device_destroy(egl->gbm);
	egl->gbm = NULL;
	bn_fd_close(&egl->node_fd);
	egl->current = EGL_NO_CONTEXT;
}

EGLContext bn_egl_context_create(struct bn_egl *egl, bool shared, int major, int minor, bool compat)
{
	EGLint attribs[12];
	unsigned n = 0;
	attribs[n++] = EGL_CONTEXT_MAJOR_VERSION_KHR;
	attribs[n++] = major;
	attribs[n++] = EGL_CONTEXT_MINOR_VERSION_KHR;
	attribs[n++] = minor;
	if (compat && !egl->gles) {
		attribs[n++] = EGL_CONTEXT_OPENGL_PROFILE_MASK_KHR;
		attribs[n++] = EGL_CONTEXT_OPENGL_COMPATIBILITY_PROFILE_BIT_KHR;
	}
	/* Said aloud rather than left to the driver. */
	if (egl->has_priority) {
		attribs[n++] = EGL_CONTEXT_PRIORITY_LEVEL_IMG;
		attribs[n++] = levels[egl->priority];
	}
	attribs[n] = EGL_NONE;
	EGLContext context = eglCreateContext(
		egl->display, EGL_NO_CONFIG_KHR, shared ? egl->current : EGL_NO_CONTEXT, attribs);
	if (context != EGL_NO_CONTEXT) {
		egl->major = major;
		egl->minor = minor;
	}
	return context;
}

void bn_egl_context_destroy(struct bn_egl *egl, EGLContext context)
{
	if (context == EGL_NO_CONTEXT)
		return;
	/* EGL would keep a current context alive in secret. */
	if (context == egl->current)
		bn_egl_make_current(egl, EGL_NO_CONTEXT);
	eglDestroyContext(egl->display, context);
}

bool bn_egl_make_current(struct bn_egl *egl, EGLContext context)
{
	if (context == egl->current)
		return true;
	if (!eglMakeCurrent(egl->display, EGL_NO_SURFACE, EGL_NO_SURFACE, context))
		return false;
	egl->current = context;
	return true;
}
