/* SPDX-License-Identifier: MIT */
/*
 * GPU work of a chosen kind and size, in OpenGL ES 2: what the guests draw that keep the GPU busy.
 * Used from the thread that has the context.
 */
#ifndef BN_GUEST_LOAD_H
#define BN_GUEST_LOAD_H

#include <stdbool.h>
#include <GLES2/gl2.h>

enum bn_load_kind {
	BN_LOAD_FRAGMENT, /* few vertices, every pixel computed for long: amount loops a pixel */
	BN_LOAD_VERTEX,   /* many small triangles: amount thousands of them */
	BN_LOAD_SUBMITS,  /* amount command buffers of one small draw each */
};

/* The longest loop of the fragment program. */
#define BN_LOAD_LOOPS_MAX (1 << 20)

struct bn_load {
	int width, height;      /* of what is drawn into */
	GLuint fragment, plain; /* programs */
	GLuint corners, mesh;
	int mesh_triangles;
};

/* Needs a current context. Leaves nothing behind when it returns false. */
bool bn_load_init(struct bn_load *load, int width, int height);
void bn_load_finish(struct bn_load *load);

/*
 * Draws one frame into the framebuffer that is bound. draws is into how many draw calls the frame
 * is divided (horizontal strips; ignored by BN_LOAD_SUBMITS). number makes pictures differ.
 */
void bn_load_draw(
	struct bn_load *load, enum bn_load_kind kind, int amount, int draws, unsigned number);

/* Full-size quads, `layers` over one another, each pixel of each computed for `loops` rounds, as
 * one single draw call: what no one can cut. layers: at most 64. */
void bn_load_overdraw(struct bn_load *load, int layers, int loops, unsigned number);

/* Makes the load's own draw state current again after others have changed it. */
void bn_load_restore(struct bn_load *load);

#endif
