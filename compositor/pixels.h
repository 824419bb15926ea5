/* A part of a buffer as the CPU reads it. Private to the compositor. */
#ifndef BN_COMPOSITOR_PIXELS_H
#define BN_COMPOSITOR_PIXELS_H

#include <pixman.h>
#include <stddef.h>

#include "compositor/output.h"

/* A mapped part. */
struct bn_pixels {
	pixman_image_t *image; /* of the part's size; to be read from only */
	void *map;             /* NULL: nothing to unmap */
	size_t map_size;
	int fd;
};

/* Maps the part (in pixels as they are stored, inside the buffer) for reading; upside_down: its rows in reverse order; alpha:
 * the pixels' alpha counts, where they have one. Until bn_pixels_close() the buffer must stay. 0, -ENOMEM, -ENOTSUP (a dma-buf that
 * cannot be mapped), -EAGAIN (one that a GPU still writes to). */
int bn_pixels_open(struct bn_pixels *pixels, struct bn_buffer *buffer, const struct bn_rect *part,
	bool upside_down, bool alpha);
void bn_pixels_close(struct bn_pixels *pixels);

#endif
