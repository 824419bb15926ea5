#include "cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

#define OK VIRTIO_GPU_RESP_OK_NODATA
#define SIDE TG_CLUSTER_TELLTALE
#define BACKGROUND 0x101820u

struct virtio_gpu_rect tg_cluster_place(enum tg_cluster_item item)
{
	static const struct virtio_gpu_rect places[] = {
		[TG_CLUSTER_WARNING] = {16, 16, SIDE, SIDE},
		[TG_CLUSTER_BELT] = {64, 16, SIDE, SIDE},
		[TG_CLUSTER_GHOST] = {200, 16, SIDE, SIDE},
		[TG_CLUSTER_SPEED] = {112, 16, 64, 32},
	};
	return places[item];
}

void tg_cluster_picture(enum tg_cluster_item item, uint32_t *pixels)
{
	tg_pattern(pixels, SIDE, SIDE, 100 + (uint32_t)item);
	for (uint32_t i = 0; i < SIDE * SIDE; i++)
		pixels[i] &= 0xffffff;
}

static void put(struct tg_cluster *c, enum tg_cluster_item where, const uint32_t *pixels)
{
	struct virtio_gpu_rect r = tg_cluster_place(where);

	for (uint32_t y = 0; y < r.height; y++)
		memcpy(c->pixels + (r.y + y) * TG_CLUSTER_WIDTH + r.x, pixels + y * r.width,
			r.width * sizeof(*pixels));
}

static void put_item(struct tg_cluster *c, enum tg_cluster_item where, enum tg_cluster_item what)
{
	uint32_t pixels[SIDE * SIDE];

	tg_cluster_picture(what, pixels);
	put(c, where, pixels);
}

static uint32_t random_number(struct tg_cluster *c)
{
	c->random = c->random * 1664525 + 1013904223;
	return c->random >> 8;
}

static void put_warning(struct tg_cluster *c)
{
	uint32_t pixels[SIDE * SIDE];

	tg_cluster_picture(TG_CLUSTER_WARNING, pixels);
	if (c->fault == TG_CLUSTER_WRONG)
		tg_pattern(pixels, SIDE, SIDE, 1000 + random_number(c) % 1000000);
	if (c->fault == TG_CLUSTER_ONE_PIXEL)
		pixels[random_number(c) % (SIDE * SIDE)] ^= 1u << 8 * (random_number(c) % 3);
	for (uint32_t i = 0; i < SIDE * SIDE; i++)
		pixels[i] &= 0xffffff;
	put(c, TG_CLUSTER_WARNING, pixels);
}

/* A bar that grows with each frame. */
static void put_speed(struct tg_cluster *c)
{
	struct virtio_gpu_rect r = tg_cluster_place(TG_CLUSTER_SPEED);
	uint32_t length = c->frames % (r.width + 1);

	for (uint32_t y = 0; y < r.height; y++) {
		uint32_t *row = c->pixels + (r.y + y) * TG_CLUSTER_WIDTH + r.x;

		for (uint32_t x = 0; x < r.width; x++)
			row[x] = x < length ? 0xffffff : 0x202020;
	}
}

static void draw(struct tg_cluster *c)
{
	bool swapped = c->fault == TG_CLUSTER_SWAPPED;

	if (c->frames == 0) {
		for (uint32_t i = 0; i < TG_CLUSTER_WIDTH * TG_CLUSTER_HEIGHT; i++)
			c->pixels[i] = BACKGROUND;
	}
	if (swapped)
		put_item(c, TG_CLUSTER_WARNING, TG_CLUSTER_BELT);
	else
		put_warning(c);
	put_item(c, TG_CLUSTER_BELT, swapped ? TG_CLUSTER_WARNING : TG_CLUSTER_BELT);
	if (c->fault == TG_CLUSTER_HAUNTED) {
		put_item(c, TG_CLUSTER_GHOST, TG_CLUSTER_GHOST);
	} else {
		uint32_t plain[SIDE * SIDE];

		for (uint32_t i = 0; i < SIDE * SIDE; i++)
			plain[i] = BACKGROUND;
		put(c, TG_CLUSTER_GHOST, plain);
	}
	if (c->fault != TG_CLUSTER_FROZEN || c->frames == 0)
		put_speed(c);
}

uint32_t tg_cluster_frame(struct tg_cluster *c)
{
	struct virtio_gpu_rect all = tg_rect(0, 0, TG_CLUSTER_WIDTH, TG_CLUSTER_HEIGHT);
	uint32_t n = c->frames % TG_CLUSTER_BUFFERS, res = 1 + n, r;

	draw(c);
	c->frames++;
	tg_image_write(&c->image[n], c->pixels);
	r = tg_transfer_2d(&c->vm, res, all, 0);
	if (r == OK)
		r = tg_set_scanout(&c->vm, 0, res, all);
	c->flush_ns = bn_now_ns();
	if (r == OK)
		r = tg_finish(tg_flush_async(&c->vm, res, all), NULL, 0);
	return r;
}

uint32_t tg_cluster_off(struct tg_cluster *c)
{
	return tg_set_scanout(&c->vm, 0, 0, tg_rect(0, 0, 0, 0));
}

int tg_cluster_open(struct tg_cluster *c, const char *socket)
{
	memset(c, 0, sizeof(*c));
	c->random = 12345;
	c->open = true;
	if (tg_vm_open(&c->vm, socket, NULL) != 0)
		return -1;
	for (uint32_t i = 0; i < TG_CLUSTER_BUFFERS; i++) {
		if (tg_image_init(&c->image[i], &c->vm, -1, TG_CLUSTER_WIDTH, TG_CLUSTER_HEIGHT) !=
				0 ||
			tg_image_resource(&c->image[i], 1 + i) != OK) {
			fprintf(stderr, "cluster: the device takes no picture\n");
			return -1;
		}
	}
	return 0;
}

void tg_cluster_close(struct tg_cluster *c)
{
	if (!c->open)
		return;
	for (uint32_t i = 0; i < TG_CLUSTER_BUFFERS; i++) {
		if (c->image[i].vm)
			tg_image_finish(&c->image[i]);
	}
	tg_vm_close(&c->vm);
	memset(c, 0, sizeof(*c));
}
