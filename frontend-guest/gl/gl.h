/* SPDX-License-Identifier: MIT */
/*
 * OpenGL ES 2 for small guest programs: a context on a GBM device or on no device at all,
 * programs from source text, and an off-screen target. Everything is used from the thread that
 * called bn_gl_init_*.
 */
#ifndef BN_GUEST_GL_H
#define BN_GUEST_GL_H

#include <stdbool.h>
#include <EGL/egl.h>
#include <GLES2/gl2.h>

struct gbm_device;

struct bn_gl {
	EGLDisplay display;
	EGLConfig config;
	EGLContext context;
};

/*
 * Makes a context on a GBM device and makes it current without a surface. The device stays the
 * caller's and must outlive the context. visual is the GBM format that window surfaces will have,
 * 0 when there will be none. Returns 0, -ENOTSUP when EGL lacks what is needed, -EIO when it
 * failed; the reason is printed on stderr.
 */
int bn_gl_init_gbm(struct bn_gl *gl, struct gbm_device *gbm, uint32_t visual);

/* The same on EGL's surfaceless platform: no device node is opened by the caller. */
int bn_gl_init_surfaceless(struct bn_gl *gl);

/* Destroys the context and the display connection. gl may be zeroed or half made. */
void bn_gl_finish(struct bn_gl *gl);

/*
 * Compiles and links a program; attributes is a NULL-terminated list, bound to locations 0, 1, …
 * Returns the program, which the caller deletes, or 0 (the compiler's log is printed).
 */
GLuint bn_gl_program(const char *vertex, const char *fragment, const char *const *attributes);

/* A colour texture (RGBA8) and the framebuffer that draws into it. */
struct bn_gl_target {
	GLuint texture, framebuffer;
	int width, height;
};

/*
 * Makes a target and binds its framebuffer. Returns false, with nothing left behind, when the
 * driver refuses it.
 */
bool bn_gl_target_init(struct bn_gl_target *target, int width, int height);
void bn_gl_target_finish(struct bn_gl_target *target);

#endif
