/* PNG files as pixels: what the watchdog compares with and what it shows instead. */
#ifndef BN_DAEMON_PICTURE_H
#define BN_DAEMON_PICTURE_H

#include <stddef.h>
#include <stdint.h>

struct bn_buffer;

#define BN_PICTURE_SIDE_MAX 8192u
#define BN_PICTURE_WHY_MAX 128

struct bn_picture {
	uint32_t width, height;
	uint32_t *pixels; /* XRGB8888 (DRM_FORMAT_XRGB8888), X is 0, stride width × 4; owned */
};

/* Reads a file of any kind of PNG, up to BN_PICTURE_SIDE_MAX each way; what is transparent lies
 * over black. width and height: what is wanted, looked at before the pixels are; 0: any. 0 or
 * -errno with why (what is the matter, to be put behind the file's name) and nothing in *out. The
 * file may hold anything. */
int bn_picture_read(struct bn_picture *out, const char *path, uint32_t width, uint32_t height,
	char why[BN_PICTURE_WHY_MAX]);
void bn_picture_finish(struct bn_picture *picture);

/* CRC-32, as zlib counts it, of pixels as bytes (blue, green, red, 0). */
uint32_t bn_picture_crc(const uint32_t *pixels, size_t count);

/* Memory that displays can show: a sealed memfd of its own. NULL without memory. */
struct bn_buffer *bn_picture_buffer(const struct bn_picture *picture);

#endif
