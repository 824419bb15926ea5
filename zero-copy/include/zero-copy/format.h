/* How the formats that buffers may have lie in memory. */
#ifndef BN_ZERO_COPY_FORMAT_H
#define BN_ZERO_COPY_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#define BN_FORMAT_PLANES_MAX 3

/* A plane's row holds one unit of that many bytes for each hsub pixels (what is left of a row counts
 * as whole), and the plane one row for each vsub rows of pixels. */
struct bn_format_plane {
	uint8_t bytes, hsub, vsub;
};

/* Where pixel (x, y) has its Y, U or V: at offset + x / hsub * step of row y / vsub of the plane. */
struct bn_format_sample {
	uint8_t plane, offset, step, hsub, vsub;
};

struct bn_format {
	uint32_t fourcc; /* DRM_FORMAT_* of drm_fourcc.h */
	uint8_t planes;
	uint8_t bits; /* of a YUV sample: 8, or the upper ones of a 16-bit little-endian word; 0: RGB */
	bool alpha;
	struct bn_format_plane plane[BN_FORMAT_PLANES_MAX];
	struct bn_format_sample y, u, v;
};

/* NULL: not a format that buffers may have. */
const struct bn_format *bn_format_find(uint32_t fourcc);
/* Bytes of a plane's row that hold pixels, and its rows. */
uint64_t bn_format_row(const struct bn_format *format, unsigned plane, uint32_t width);
uint32_t bn_format_rows(const struct bn_format *format, unsigned plane, uint32_t height);

#endif
