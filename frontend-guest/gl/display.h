/* SPDX-License-Identifier: MIT */
/* One connector of a DRM card, shown on with GBM buffers and page flips. */
#ifndef BN_GUEST_DISPLAY_H
#define BN_GUEST_DISPLAY_H

#include <stdbool.h>
#include <stdint.h>
#include <xf86drmMode.h>

#include "gl.h"

struct gbm_bo;
struct gbm_device;
struct gbm_surface;

struct bn_display {
	int fd;
	uint32_t connector, crtc;
	drmModeModeInfo mode;
	struct gbm_device *gbm;
	struct gbm_surface *surface;
	struct bn_gl gl;
	EGLSurface window;
	struct gbm_bo *shown, *next; /* on the screen; handed to the kernel for the coming flip */
	bool flipping;
	double flip_time; /* s, when the shown buffer came on (CLOCK_MONOTONIC) */
};

/*
 * Opens the card (NULL: the first with a connected display), takes the first connected connector,
 * and sets the mode named WxH (NULL: the preferred one) with the first frame. A GL context for
 * the window is current afterwards. Returns 0 or a negative errno; the reason is printed on
 * stderr and nothing is left behind.
 */
int bn_display_init(struct bn_display *display, const char *card, const char *mode);
void bn_display_finish(struct bn_display *display);

/*
 * Shows what was drawn: hands the back buffer to the kernel and waits until it is on the screen.
 * Returns 0, -ETIMEDOUT when no flip event came for ten seconds, or another negative errno.
 */
int bn_display_present(struct bn_display *display);

/*
 * The same without the wait: the next frame can be drawn at once, and only the next call waits
 * until this one is on the screen.
 */
int bn_display_queue(struct bn_display *display);

#endif
