/* A guest's GL context whose framebuffer is a picture with guest memory behind it, driven by virgl
 * streams by hand. */
#ifndef BN_E2E_GL_TARGET_H
#define BN_E2E_GL_TARGET_H

#include "harness.h"
#include "virgl_stream.h"

struct gl_target {
	struct tg_vm *vm;
	uint32_t ctx, res;
	struct tg_image image; /* what gl_target_read() reads into, of the picture's size */
};

/* Creates the context and the resource, whose ids must be free; asserted. */
void gl_target_init(struct gl_target *t, struct tg_vm *vm, uint32_t ctx, uint32_t res, uint32_t w,
	uint32_t h);
/* Frees the image; the device keeps context and resource. */
void gl_target_finish(struct gl_target *t);

/* These return the answer's type. */
uint32_t gl_target_send(struct gl_target *t, const struct bn_virgl_stream *s);
uint32_t gl_target_clear(struct gl_target *t, uint32_t colour);
/* Of the picture's size, from the GPU through the image. */
uint32_t gl_target_read(struct gl_target *t, uint32_t *pixels);
struct tg_request *gl_target_clear_async(struct gl_target *t, uint32_t colour);

/* Pixels that are not of the colour that is wanted, whatever their alpha. */
uint32_t gl_target_wrong(const struct gl_target *t, const uint32_t *pixels, const uint32_t *want);

#endif
