/* What an output is to show, computed pixel by pixel from the definitions in place.h and output.h and
 * in no hurry: for each pixel of the output, which pixel of which picture. Shares no code with the compositor. */
#ifndef BN_TEST_REFERENCE_H
#define BN_TEST_REFERENCE_H

#include <stddef.h>

#include "compositor/output.h"

/* One scanout, as it lies in memory. */
struct reference_layer {
	const struct bn_buffer_attrs *attrs;
	const uint8_t *planes[3]; /* first bytes */
	struct bn_rect source;    /* the scanout in the picture, seen upright */
	struct bn_place place;
	const uint32_t *cursor;     /* NULL: none */
	int32_t cursor_x, cursor_y; /* its top left corner, in pixels of the scanout */
	void *maps[3];              /* NULL: planes[] is somebody else's memory */
	size_t map_sizes[3];
};

/* Of a layer's current frame, which there must be; dma-bufs are mapped. false: they cannot be. To be finished in either
 * case. */
bool reference_layer_init(struct reference_layer *layer, const struct bn_layer *of);
void reference_layer_finish(struct reference_layer *layer);

/* A pixel of the picture as a8r8g8b8, seen upright; opaque unless alpha is true and the format has it. */
uint32_t reference_pixel(const struct reference_layer *layer, int x, int y, bool alpha);
/* Layers lowest first, over black; pixels: width × height of x8r8g8b8, X being 0. Exact where nothing is scaled; what
 * is scaled is interpolated between the four nearest pixels. */
void reference_render(const struct reference_layer *layers, unsigned count, uint32_t width,
	uint32_t height, uint32_t *pixels);
/* What the output is to show with the frames that are its layers' current ones; dma-bufs are mapped. false: one of them
 * cannot be. */
bool reference_render_output(struct bn_output *output, uint32_t *pixels);
/* The largest difference of any channel of any pixel; *total (may be NULL): of all of them. */
unsigned reference_distance(const uint32_t *a, const uint32_t *b, size_t count, uint64_t *total);

#endif
