#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gpu.h"

int tg_image_init(
	struct tg_image *image, struct tg_vm *vm, int slot, uint32_t width, uint32_t height)
{
	*image = (struct tg_image){.vm = vm, .width = width, .height = height, .stride = width * 4};
	image->bytes = (size_t)image->stride * height;
	image->pages = (uint32_t)((image->bytes + TG_PAGE - 1) / TG_PAGE);
	image->entries = calloc(image->pages, sizeof(*image->entries));
	if (!image->entries)
		return -ENOMEM;
	/* Even pages of the picture from one end, odd ones from the other: hardly two neighbours
	 * touch. */
	for (uint32_t i = 0; i < image->pages; i++) {
		uint32_t k = i % 2 ? image->pages - i - (image->pages % 2 ? 1 : 0) : i;
		uint64_t addr = tg_mem_alloc(&vm->mem, slot, TG_PAGE);
		if (!addr) {
			tg_image_finish(image);
			return -ENOMEM;
		}
		image->entries[k].addr = addr;
		image->entries[k].length = TG_PAGE;
	}
	return 0;
}

void tg_image_finish(struct tg_image *image)
{
	for (uint32_t i = 0; i < image->pages && image->entries; i++)
		tg_mem_free(&image->vm->mem, image->entries[i].addr, TG_PAGE);
	free(image->entries);
	image->entries = NULL;
	image->pages = 0;
}

static void copy(const struct tg_image *image, uint8_t *pixels, bool write)
{
	for (uint32_t i = 0; i < image->pages; i++) {
		size_t at = (size_t)i * TG_PAGE;
		size_t len = image->bytes - at < TG_PAGE ? image->bytes - at : TG_PAGE;
		uint8_t *page = tg_mem_host(&image->vm->mem, image->entries[i].addr, len);
		if (!page)
			continue;
		if (write)
			memcpy(page, pixels + at, len);
		else
			memcpy(pixels + at, page, len);
	}
}

void tg_image_write(struct tg_image *image, const uint32_t *pixels)
{
	copy(image, (uint8_t *)pixels, true);
}

void tg_image_read(const struct tg_image *image, uint32_t *pixels)
{
	copy(image, (uint8_t *)pixels, false);
}

uint32_t tg_image_resource(struct tg_image *image, uint32_t res)
{
	uint32_t type = tg_create_2d(
		image->vm, res, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, image->width, image->height);
	if (type != VIRTIO_GPU_RESP_OK_NODATA)
		return type;
	return tg_attach(image->vm, res, image->entries, image->pages);
}

void tg_pattern(uint32_t *pixels, uint32_t width, uint32_t height, uint32_t seed)
{
	for (uint32_t y = 0; y < height; y++) {
		for (uint32_t x = 0; x < width; x++) {
			uint32_t value =
				(x * 2654435761u) ^ (y * 2246822519u) ^ (seed * 3266489917u);
			value ^= value >> 15;
			pixels[(size_t)y * width + x] = 0xff000000u | (value & 0xffffffu);
		}
	}
}
