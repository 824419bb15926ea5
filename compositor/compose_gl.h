/* Layers drawn by a GPU (GLES) into memory of a display controller: what bn_compose_at() does with the CPU, the same bit
 * for bit for layers that are not scaled. Private to the compositor and its tests.
 *
 * One object per card. EGL takes its time to start, so that is done beside the loop, and until it is ready, as whenever
 * something fails, the CPU composes. One thread: the event loop's. */
#ifndef BN_COMPOSITOR_COMPOSE_GL_H
#define BN_COMPOSITOR_COMPOSE_GL_H

#include <errno.h>

#include "compositor/gpu.h"
#include "output_impl.h"

/* Tests choose another than AUTO before they make an object. */
enum bn_compose_gl_use {
	BN_COMPOSE_GL_AUTO, /* on a GPU, never on a software rasteriser: pixman is faster than that */
	BN_COMPOSE_GL_NEVER,
	BN_COMPOSE_GL_SOFTWARE, /* Mesa's rasteriser, surfaceless */
};
extern enum bn_compose_gl_use bn_compose_gl_use;

struct bn_compose_gl; /* opaque */
struct bn_compose_gl_target;

/* card_fd: the display controller's, which may have a GPU of its own (-1: none); name: of it, for messages. Looks for a
 * GPU and starts EGL on it, beside the loop. NULL: there can be none. */
struct bn_compose_gl *bn_compose_gl_create(int card_fd, const char *name);
/* Its targets must be gone. Waits until EGL has started, if it is about to. NULL is allowed. */
void bn_compose_gl_destroy(struct bn_compose_gl *gl);
/* Whether it can draw now. Never waits; starts anew what was lost, a while later. */
bool bn_compose_gl_ready(struct bn_compose_gl *gl);
/* Waits until it is ready, or never will be. For tests. */
bool bn_compose_gl_wait(struct bn_compose_gl *gl);
/* Takes the context for lost, as after a reset of the GPU. For tests. */
void bn_compose_gl_lose(struct bn_compose_gl *gl);

/* A picture that can be drawn into. */
struct bn_compose_gl_memory {
	int fd; /* a dma-buf of linear 32-bit pixels, in the order of ARGB8888; duplicated */
	uint32_t width, height, stride;
};
/* 0, -EINVAL (it is smaller than that), -ENOMEM or -errno. Whether the GPU can write to that memory shows when it is drawn into. */
int bn_compose_gl_target_create(struct bn_compose_gl_target **out, struct bn_compose_gl *gl,
	const struct bn_compose_gl_memory *memory);
/* NULL is allowed. */
void bn_compose_gl_target_destroy(struct bn_compose_gl_target *target);

/* Clears the region (in pixels of the output, as is the target) to black, or to nothing where opaque is false, and draws
 * the items into it, lowest first. *fence: a sync_file that says when the GPU has done so, the caller's to close, or -1: it
 * has. *copied grows by the bytes that the CPU copied for it. 0, or what bn_compose_at() says of a layer that is left
 * out: -EAGAIN (a GPU still writes to it), -ENOTSUP (neither the GPU nor the CPU can read it). Other errors: nothing was
 * drawn, or a part; the CPU is to draw it, now. */
int bn_compose_gl_draw(struct bn_compose_gl *gl, struct bn_compose_gl_target *target,
	const struct bn_compose_item *items, unsigned count, bool opaque,
	pixman_region32_t *region, int *fence, uint64_t *copied);

/* Whether the picture is drawn, for what bn_compose_gl_draw() returned. */
static inline bool bn_compose_gl_drew(int result)
{
	return result == 0 || result == -EAGAIN || result == -ENOTSUP;
}

#endif
