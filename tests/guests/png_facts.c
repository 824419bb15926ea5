/* png_facts FILE…: one JSON line per picture with what tells a real frame from a blank one: size, share of pixels that are not
 * black, number of distinct colours (counted up to 65536) and a hash of the pixels. Exits 1 when a file is no readable PNG. */
#include <inttypes.h>
#include <png.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Colours seen, at 5 bits a channel: enough to tell a picture from a fill, and a fixed 4 KiB bitmap. */
static unsigned count_colours(const uint8_t *rgb, size_t pixels)
{
	static uint8_t seen[1 << 12];
	unsigned count = 0;
	memset(seen, 0, sizeof(seen));
	for (size_t i = 0; i < pixels; i++) {
		unsigned key = (unsigned)(rgb[3 * i] >> 3) << 10 | (unsigned)(rgb[3 * i + 1] >> 3) << 5 | rgb[3 * i + 2] >> 3;
		uint8_t bit = (uint8_t)(1u << (key & 7));
		count += !(seen[key >> 3] & bit);
		seen[key >> 3] |= bit;
	}
	return count;
}

static int print_facts(const char *path)
{
	png_image image = {.version = PNG_IMAGE_VERSION};
	if (!png_image_begin_read_from_file(&image, path)) {
		fprintf(stderr, "png_facts: %s: %s\n", path, image.message);
		return 1;
	}
	image.format = PNG_FORMAT_RGB;
	uint8_t *rgb = malloc(PNG_IMAGE_SIZE(image));
	if (!rgb || !png_image_finish_read(&image, NULL, rgb, 0, NULL)) {
		fprintf(stderr, "png_facts: %s: %s\n", path, rgb ? image.message : "out of memory");
		png_image_free(&image);
		free(rgb);
		return 1;
	}
	size_t pixels = (size_t)image.width * image.height, lit = 0;
	uint64_t hash = 0xcbf29ce484222325ull; /* FNV-1a */
	for (size_t i = 0; i < pixels; i++) {
		lit += rgb[3 * i] || rgb[3 * i + 1] || rgb[3 * i + 2];
		for (int c = 0; c < 3; c++)
			hash = (hash ^ rgb[3 * i + c]) * 0x100000001b3ull;
	}
	printf("{\"width\": %u, \"height\": %u, \"lit\": %.4f, \"colours\": %u, \"hash\": \"%016" PRIx64 "\"}\n", image.width,
		image.height, pixels ? (double)lit / (double)pixels : 0.0, count_colours(rgb, pixels), hash);
	free(rgb);
	return 0;
}

int main(int argc, char **argv)
{
	int status = argc < 2;
	for (int i = 1; i < argc; i++)
		status |= print_facts(argv[i]);
	return status;
}
