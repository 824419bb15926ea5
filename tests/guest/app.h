/* A guest's GL program in user space, written as virgl streams by hand: one context, one picture
 * that may be a scanout, and as much work for the GPU as is asked for. Needs a VM whose device
 * offers VIRGL. */
#ifndef TG_APP_H
#define TG_APP_H

#include "gpu.h"
#include "virgl_stream.h"

#define TG_APP_WORDS 16384u
#define TG_APP_QUADS 64u /* full-screen rectangles in the vertex buffer */

struct tg_app {
	struct tg_vm *vm;
	uint32_t ctx, picture, vertices; /* context and resource ids: ctx, res, res + 1 */
	uint32_t width, height;
	struct bn_virgl_stream stream;
	uint32_t *words;
};

/* 0, or a response type that was no success, or TG_NO_ANSWER's like: then tg_app_finish() is still
 * right. Resources res and res + 1 and context ctx must be free. */
int tg_app_init(
	struct tg_app *app, struct tg_vm *vm, uint32_t ctx, uint32_t res, uint32_t w, uint32_t h);
/* Frees what the program has here; the device keeps context and resources. */
void tg_app_finish(struct tg_app *app);

/* Begins a new stream; the calls below write to it. */
void tg_app_begin(struct tg_app *app);
/* Clears the picture to 0x00RRGGBB. */
void tg_app_clear(struct tg_app *app, uint32_t colour);
/* `draws` commands of `quads` (up to TG_APP_QUADS) rectangles over the whole picture each. */
void tg_app_fill(struct tg_app *app, unsigned draws, unsigned quads);
/* From here on the pixels that tg_app_fill() draws loop first: bn_virgl_loop_shader(). Once for each
 * context. */
void tg_app_loop(struct tg_app *app, unsigned rounds, unsigned times);
/* Sends the stream, with a fence. */
struct tg_request *tg_app_submit_async(struct tg_app *app);
uint32_t tg_app_submit(struct tg_app *app);
/* Makes the picture the scanout (once), and flushes it; the answer comes when it is shown. */
uint32_t tg_app_show(struct tg_app *app, uint32_t scanout);
struct tg_request *tg_app_flush_async(struct tg_app *app);

#endif
