#include "picture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <png.h>

#include "common/fd.h"
#include "whole_file.h"

#define SIDE_MAX 8192u

/* XRGB8888 in a machine word; PNG wants the bytes red, green, blue. */
static void convert_row(const uint32_t *from, uint8_t *to, uint32_t width)
{
	for (uint32_t x = 0; x < width; x++, to += 3) {
		to[0] = (uint8_t)(from[x] >> 16);
		to[1] = (uint8_t)(from[x] >> 8);
		to[2] = (uint8_t)from[x];
	}
}

static int encode(FILE *file, const uint8_t *pixels, const struct bn_ctl_picture *p)
{
	uint8_t *row = malloc((size_t)p->width * 3);
	png_structp png =
		row ? png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL) : NULL;
	png_infop info = png ? png_create_info_struct(png) : NULL;
	volatile int ret = -ENOMEM;
	if (!info)
		goto done;
	ret = -EIO;
	if (setjmp(png_jmpbuf(png)))
		goto done;
	png_init_io(png, file);
	png_set_compression_level(png, 3);
	png_set_IHDR(png, info, p->width, p->height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
		PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	png_write_info(png, info);
	for (uint32_t y = 0; y < p->height; y++) {
		convert_row((const uint32_t *)(const void *)(pixels + (size_t)y * p->stride), row,
			p->width);
		png_write_row(png, row);
	}
	png_write_end(png, info);
	ret = 0;
done:
	if (png)
		png_destroy_write_struct(&png, &info);
	free(row);
	return ret;
}

struct image {
	const uint8_t *pixels;
	const struct bn_ctl_picture *picture;
};

static int fill_png(FILE *file, void *data)
{
	const struct image *image = data;
	return encode(file, image->pixels, image->picture);
}

int bn_ctl_write_png(const char *path, const struct bn_ctl_picture *p)
{
	size_t size = (size_t)p->stride * p->height;
	int ret = -EPROTO;
	if (p->width >= 1 && p->width <= SIDE_MAX && p->height >= 1 && p->height <= SIDE_MAX &&
		p->stride >= p->width * 4 && p->stride % 4 == 0 && p->stride <= SIDE_MAX * 8)
		ret = bn_memfd_check(p->fd, size);
	if (ret < 0) {
		fprintf(stderr, "binnaclectl: the service sent no picture\n");
		return ret;
	}
	void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, p->fd, 0);
	struct image image = {map, p};
	ret = map == MAP_FAILED ? -errno : bn_ctl_write_whole(path, fill_png, &image);
	if (map != MAP_FAILED)
		munmap(map, size);
	if (ret < 0)
		fprintf(stderr, "binnaclectl: writing %s: %s\n", path, strerror(-ret));
	return ret;
}
