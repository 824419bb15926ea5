/* A part of a buffer as the CPU reads it. Private to the compositor. */
#ifndef BN_COMPOSITOR_PIXELS_H
#define BN_COMPOSITOR_PIXELS_H

#include <pixman.h>
#include <stddef.h>

#include "compositor/output.h"
#include "zero-copy/format.h"

/* A mapped part. */
struct bn_pixels {
	pixman_image_t *image; /* of the part's size; to be read from only */
	struct bn_buffer *reading[BN_FORMAT_PLANES_MAX]; /* whose plane that is; NULL: no dma-buf */
};

/* Maps the part (in pixels as they are stored, inside the buffer) for reading; upside_down: its rows in reverse order; alpha:
 * the pixels' alpha counts, where they have one. Until bn_pixels_close() the buffer must stay. 0, -ENOMEM, -ENOTSUP (a dma-buf that
 * cannot be mapped), -EAGAIN (one that a GPU still writes to). */
int bn_pixels_open(struct bn_pixels *pixels, struct bn_buffer *buffer, const struct bn_rect *part,
	bool upside_down, bool alpha);
void bn_pixels_close(struct bn_pixels *pixels);

/* What is open of the buffer stays readable until bn_pixels_let_go(), so that opening it again meanwhile asks the kernel
 * nothing: for several parts of one picture. */
void bn_pixels_keep(struct bn_buffer *buffer);
void bn_pixels_let_go(struct bn_buffer *buffer);

/* yuv.c: a part of a YUV picture as RGB, where all pixels that share a chroma sample have its very value. planes: their
 * first bytes. NULL: no memory. */
pixman_image_t *bn_yuv_convert(const struct bn_buffer_attrs *attrs, const struct bn_format *format,
	const uint8_t *const *planes, const struct bn_rect *part, bool upside_down);

#endif
