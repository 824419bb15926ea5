/* A screenshot as a PNG file. */
#ifndef BN_CTL_PICTURE_H
#define BN_CTL_PICTURE_H

#include <stdint.h>

struct bn_ctl_picture {
	int fd; /* memfd with the pixels: DRM_FORMAT_XRGB8888; stays the caller's */
	uint32_t width, height, stride; /* pixels, bytes */
};

/* Writes path (replaced as a whole, or not at all). 0 or -errno; says why on stderr. */
int bn_ctl_write_png(const char *path, const struct bn_ctl_picture *picture);

#endif
