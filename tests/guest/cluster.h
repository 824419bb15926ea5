/* An instrument cluster of the test guest, without GL: two telltales, a speed that moves with every
 * frame, and faults to order. Double buffered, as a careful guest is. One thread. */
#ifndef TG_CLUSTER_H
#define TG_CLUSTER_H

#include "gpu.h"

#define TG_CLUSTER_WIDTH 256u
#define TG_CLUSTER_HEIGHT 96u
#define TG_CLUSTER_TELLTALE 32u /* its side */
#define TG_CLUSTER_BUFFERS 2u

/* Places of what is on it; the two telltales and the ghost, which is not there when all is well,
 * are TG_CLUSTER_TELLTALE each way. */
enum tg_cluster_item { TG_CLUSTER_WARNING, TG_CLUSTER_BELT, TG_CLUSTER_GHOST, TG_CLUSTER_SPEED };
struct virtio_gpu_rect tg_cluster_place(enum tg_cluster_item item);

enum tg_cluster_fault {
	TG_CLUSTER_WELL,
	TG_CLUSTER_WRONG,     /* the warning is something else */
	TG_CLUSTER_ONE_PIXEL, /* … in the lowest bit of one of its pixels */
	TG_CLUSTER_SWAPPED,   /* the telltales have changed places */
	TG_CLUSTER_FROZEN,    /* the speed does not move */
	TG_CLUSTER_HAUNTED,   /* the ghost is there */
};

struct tg_cluster {
	struct tg_vm vm;
	struct tg_image image[TG_CLUSTER_BUFFERS];
	uint32_t pixels[TG_CLUSTER_WIDTH * TG_CLUSTER_HEIGHT]; /* of the last frame, X is 0 */
	uint32_t frames, random;
	uint64_t flush_ns; /* CLOCK_MONOTONIC, just before the last frame was flushed */
	enum tg_cluster_fault fault;
	bool open;
};

/* Connects; nothing is shown yet. 0, or -1 (said on stderr); tg_cluster_close() is right in both
 * cases, and as often as wanted. */
int tg_cluster_open(struct tg_cluster *cluster, const char *socket);
/* Hangs up without a word. */
void tg_cluster_close(struct tg_cluster *cluster);
/* Draws the next frame and waits until it is shown: a response type. */
uint32_t tg_cluster_frame(struct tg_cluster *cluster);
/* Turns the scanout off; the next frame turns it on again. */
uint32_t tg_cluster_off(struct tg_cluster *cluster);
/* What a telltale or the ghost look like when all is well. */
void tg_cluster_picture(enum tg_cluster_item item, uint32_t *pixels);

/* Pixels (XRGB) as a PNG file. */
bool tg_png_write(const char *path, const uint32_t *pixels, uint32_t width, uint32_t height);
/* … of one colour. */
bool tg_png_write_plain(const char *path, uint32_t colour, uint32_t width, uint32_t height);

#endif
