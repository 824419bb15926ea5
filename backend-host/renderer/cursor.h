/* The cursor queue, in a thread of its own: GL commands take milliseconds, and the pointer must
 * not wait for them. cursor.c says who may touch what. */
#ifndef BN_RENDERER_CURSOR_H
#define BN_RENDERER_CURSOR_H

#include "device.h"

struct bn_cursor;

/* Starts the thread. link_fd stays the caller's; vq too, but from here on it is touched only
 * with dev->lock held. -ENOMEM, -errno. */
int bn_cursor_create(struct bn_cursor **out, struct bn_device *dev, struct bn_vq *vq, int link_fd);
/* Ends the thread; requests not finished are completed. NULL is allowed. */
void bn_cursor_destroy(struct bn_cursor *cursor);

/* Readable when bn_cursor_dispatch() has something to do. The ring thread calls these. */
int bn_cursor_fd(const struct bn_cursor *cursor);
void bn_cursor_dispatch(struct bn_cursor *cursor);
/* The queue was started or its kick fd changed. Call without dev->lock. */
void bn_cursor_start(struct bn_cursor *cursor);
/* No more requests are taken, those that wait for the GPU are completed; the thread may still be
 * busy with one: bn_cursor_fd() tells when it is done. */
void bn_cursor_pause(struct bn_cursor *cursor);
/* The device is reset: pictures that wait for the GPU are dropped. Before bn_device_reset(). */
void bn_cursor_forget(struct bn_cursor *cursor);

/* Converts 32-bit pixels of a DRM format (alpha, if it has any, premultiplied) to ARGB8888;
 * false for formats that have no such reading. */
bool bn_cursor_convert(uint32_t fourcc, const uint32_t *src, uint32_t *dst, size_t n);

#endif
