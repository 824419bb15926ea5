/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <drm_fourcc.h>
#include <gbm.h>
#include <xf86drm.h>

#include "display.h"

#define FLIP_TIMEOUT_MS 10000
#define MAX_CARDS 16

static int fail(const char *what, int err)
{
	fprintf(stderr, "display: %s: %s\n", what, strerror(-err));
	return err;
}

static drmModeConnector *connected(int fd, const drmModeRes *resources)
{
	for (int i = 0; i < resources->count_connectors; i++) {
		drmModeConnector *c = drmModeGetConnector(fd, resources->connectors[i]);

		if (c && c->connection == DRM_MODE_CONNECTED && c->count_modes > 0)
			return c;
		drmModeFreeConnector(c);
	}
	return NULL;
}

static int choose_mode(
	struct bn_display *display, const drmModeConnector *connector, const char *name)
{
	char text[32];

	for (int i = 0; i < connector->count_modes; i++) {
		const drmModeModeInfo *mode = &connector->modes[i];
		bool preferred = mode->type & DRM_MODE_TYPE_PREFERRED;

		snprintf(text, sizeof(text), "%ux%u", mode->hdisplay, mode->vdisplay);
		if (name ? strcmp(name, text) == 0 : preferred || connector->count_modes == 1) {
			display->mode = *mode;
			return 0;
		}
	}
	if (name)
		return -ENOENT;
	display->mode = connector->modes[0];
	return 0;
}

static uint32_t choose_crtc(int fd, const drmModeRes *resources, const drmModeConnector *connector)
{
	for (int i = 0; i < connector->count_encoders; i++) {
		drmModeEncoder *encoder = drmModeGetEncoder(fd, connector->encoders[i]);
		uint32_t possible = encoder ? encoder->possible_crtcs : 0;

		drmModeFreeEncoder(encoder);
		for (int j = 0; j < resources->count_crtcs && j < 32; j++) {
			if (possible & (1u << j))
				return resources->crtcs[j];
		}
	}
	return 0;
}

/*
 * Returns 0 when the card has a display that can be used, -ENODEV when it has none, -ENOENT for a
 * mode it lacks.
 */
static int use_card(struct bn_display *display, const char *path, const char *mode)
{
	drmModeRes *resources = NULL;
	drmModeConnector *connector = NULL;
	int err = -ENODEV;

	display->fd = open(path, O_RDWR | O_CLOEXEC);
	if (display->fd < 0)
		return -errno;
	resources = drmModeGetResources(display->fd);
	if (resources)
		connector = connected(display->fd, resources);
	if (connector) {
		display->connector = connector->connector_id;
		display->crtc = choose_crtc(display->fd, resources, connector);
		err = display->crtc ? choose_mode(display, connector, mode) : -ENODEV;
	}
	drmModeFreeConnector(connector);
	drmModeFreeResources(resources);
	if (err) {
		close(display->fd);
		display->fd = -1;
	}
	return err;
}

static int find_card(struct bn_display *display, const char *mode)
{
	char path[32];
	int err = -ENODEV;

	for (int i = 0; i < MAX_CARDS && (err == -ENODEV || err == -ENOENT); i++) {
		snprintf(path, sizeof(path), "/dev/dri/card%d", i);
		if (access(path, F_OK) == 0)
			err = use_card(display, path, mode);
	}
	return err;
}

static int make_window(struct bn_display *display)
{
	uint32_t width = display->mode.hdisplay, height = display->mode.vdisplay;
	int err;

	display->gbm = gbm_create_device(display->fd);
	if (!display->gbm)
		return fail("no GBM device", -ENODEV);
	err = bn_gl_init_gbm(&display->gl, display->gbm, GBM_FORMAT_XRGB8888);
	if (err)
		return err;
	display->surface = gbm_surface_create(display->gbm, width, height, GBM_FORMAT_XRGB8888,
		GBM_BO_USE_SCANOUT | GBM_BO_USE_RENDERING);
	if (!display->surface)
		return fail("no GBM surface", -errno ? -errno : -ENOMEM);
	display->window = eglCreateWindowSurface(display->gl.display, display->gl.config,
		(EGLNativeWindowType)display->surface, NULL);
	if (display->window == EGL_NO_SURFACE)
		return fail("no EGL surface", -EIO);
	if (!eglMakeCurrent(
		    display->gl.display, display->window, display->window, display->gl.context))
		return fail("the EGL surface cannot be made current", -EIO);
	return 0;
}

int bn_display_init(struct bn_display *display, const char *card, const char *mode)
{
	int err;

	*display = (struct bn_display){.fd = -1, .gl.display = EGL_NO_DISPLAY};
	display->window = EGL_NO_SURFACE;
	err = card ? use_card(display, card, mode) : find_card(display, mode);
	if (err)
		return fail(err == -ENOENT && mode ? "no such mode" : "no usable display", err);
	err = make_window(display);
	if (err)
		bn_display_finish(display);
	return err;
}

void bn_display_finish(struct bn_display *display)
{
	if (display->shown)
		gbm_surface_release_buffer(display->surface, display->shown);
	if (display->next)
		gbm_surface_release_buffer(display->surface, display->next);
	if (display->window != EGL_NO_SURFACE) {
		eglMakeCurrent(
			display->gl.display, EGL_NO_SURFACE, EGL_NO_SURFACE, display->gl.context);
		eglDestroySurface(display->gl.display, display->window);
	}
	if (display->surface)
		gbm_surface_destroy(display->surface);
	bn_gl_finish(&display->gl);
	if (display->gbm)
		gbm_device_destroy(display->gbm);
	if (display->fd >= 0)
		close(display->fd);
	*display = (struct bn_display){.fd = -1};
}

struct framebuffer {
	int fd;
	uint32_t id;
};

static void free_framebuffer(struct gbm_bo *bo, void *data)
{
	struct framebuffer *fb = data;

	drmModeRmFB(fb->fd, fb->id);
	free(fb);
}

/*
 * The kernel's framebuffer of a buffer object, made at its first use and kept with it. Returns 0
 * on failure.
 */
static uint32_t framebuffer_of(struct bn_display *display, struct gbm_bo *bo)
{
	struct framebuffer *fb = gbm_bo_get_user_data(bo);
	uint32_t handles[4] = {gbm_bo_get_handle(bo).u32};
	uint32_t strides[4] = {gbm_bo_get_stride(bo)}, offsets[4] = {0};

	if (fb)
		return fb->id;
	fb = calloc(1, sizeof(*fb));
	if (!fb)
		return 0;
	fb->fd = display->fd;
	if (drmModeAddFB2(display->fd, gbm_bo_get_width(bo), gbm_bo_get_height(bo),
		    DRM_FORMAT_XRGB8888, handles, strides, offsets, &fb->id, 0)) {
		free(fb);
		return 0;
	}
	gbm_bo_set_user_data(bo, fb, free_framebuffer);
	return fb->id;
}

static void handle_flip(int fd, unsigned sequence, unsigned sec, unsigned usec, void *data)
{
	struct bn_display *display = data;

	display->flipping = false;
	display->flip_time = (double)sec + (double)usec / 1e6;
}

static int wait_for_flip(struct bn_display *display)
{
	drmEventContext events = {.version = 2, .page_flip_handler = handle_flip};
	struct pollfd pfd = {.fd = display->fd, .events = POLLIN};

	while (display->flipping) {
		int n = poll(&pfd, 1, FLIP_TIMEOUT_MS);

		if (n == 0)
			return -ETIMEDOUT;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && drmHandleEvent(display->fd, &events))
			return -errno;
	}
	return 0;
}

/*
 * A flip needs a CRTC that runs: the first frame sets the mode, and each frame after it is a
 * flip.
 */
static int put_on_screen(struct bn_display *display, uint32_t fb)
{
	if (!display->shown && drmModeSetCrtc(display->fd, display->crtc, fb, 0, 0,
				       &display->connector, 1, &display->mode))
		return fail("the mode cannot be set", -errno);
	if (drmModePageFlip(display->fd, display->crtc, fb, DRM_MODE_PAGE_FLIP_EVENT, display))
		return fail("no page flip", -errno);
	display->flipping = true;
	return 0;
}

/* What was handed to the kernel is on the screen now; the buffer before it is free again. */
static int finish_flip(struct bn_display *display)
{
	int err = wait_for_flip(display);

	if (err || !display->next)
		return err;
	if (display->shown)
		gbm_surface_release_buffer(display->surface, display->shown);
	display->shown = display->next;
	display->next = NULL;
	return 0;
}

int bn_display_queue(struct bn_display *display)
{
	uint32_t fb;
	int err = finish_flip(display);

	if (err)
		return err;
	if (!eglSwapBuffers(display->gl.display, display->window))
		return fail("eglSwapBuffers", -EIO);
	display->next = gbm_surface_lock_front_buffer(display->surface);
	if (!display->next)
		return fail("no front buffer", -ENOMEM);
	fb = framebuffer_of(display, display->next);
	if (!fb)
		return fail("no framebuffer", -EINVAL);
	return put_on_screen(display, fb);
}

int bn_display_present(struct bn_display *display)
{
	int err = bn_display_queue(display);

	return err ? err : finish_flip(display);
}
