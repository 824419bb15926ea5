/* Compiled by those who need it: the guest itself has no use for libpng. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "cluster.h"

bool tg_png_write(const char *path, const uint32_t *pixels, uint32_t width, uint32_t height)
{
	png_image image = {.version = PNG_IMAGE_VERSION,
		.width = width,
		.height = height,
		.format = PNG_FORMAT_RGB};
	size_t count = (size_t)width * height;
	uint8_t *rgb = malloc(count * 3);
	bool ok = rgb != NULL;

	for (size_t i = 0; ok && i < count; i++) {
		rgb[i * 3] = (uint8_t)(pixels[i] >> 16);
		rgb[i * 3 + 1] = (uint8_t)(pixels[i] >> 8);
		rgb[i * 3 + 2] = (uint8_t)pixels[i];
	}
	ok = ok && png_image_write_to_file(&image, path, 0, rgb, 0, NULL);
	free(rgb);
	return ok;
}

bool tg_png_write_plain(const char *path, uint32_t colour, uint32_t width, uint32_t height)
{
	size_t count = (size_t)width * height;
	uint32_t *pixels = malloc(count * sizeof(*pixels));
	bool ok = pixels != NULL;

	for (size_t i = 0; ok && i < count; i++)
		pixels[i] = colour;
	ok = ok && tg_png_write(path, pixels, width, height);
	free(pixels);
	return ok;
}
