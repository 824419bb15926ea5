/* virtio-gpu commands (VIRTIO 1.3 §5.7) of the test guest. The plain functions send one command and
 * wait; they return the response's type, or TG_NO_ANSWER or TG_BAD_ANSWER of vm.h. The ones that
 * end in _async return the request for tg_finish. */
#ifndef TG_GPU_H
#define TG_GPU_H

#include "vm.h"

uint32_t tg_display_info(struct tg_vm *vm, struct virtio_gpu_resp_display_info *out);
uint32_t tg_edid(struct tg_vm *vm, uint32_t scanout, struct virtio_gpu_resp_edid *out);
uint32_t tg_capset_info(struct tg_vm *vm, uint32_t index, struct virtio_gpu_resp_capset_info *out);
/* The capset's bytes after the header, at most size of them; *got is how many the device wrote. */
uint32_t tg_capset(
	struct tg_vm *vm, uint32_t id, uint32_t version, void *out, size_t size, size_t *got);
uint32_t tg_assign_uuid(struct tg_vm *vm, uint32_t res, uint8_t uuid[16]);

uint32_t tg_create_2d(struct tg_vm *vm, uint32_t res, uint32_t format, uint32_t w, uint32_t h);
uint32_t tg_unref(struct tg_vm *vm, uint32_t res);
uint32_t tg_attach(
	struct tg_vm *vm, uint32_t res, const struct virtio_gpu_mem_entry *entries, uint32_t n);
/* The same with a count that may lie about the entries sent. */
uint32_t tg_attach_claiming(struct tg_vm *vm, uint32_t res,
	const struct virtio_gpu_mem_entry *entries, uint32_t n, uint32_t claimed);
uint32_t tg_detach(struct tg_vm *vm, uint32_t res);
uint32_t tg_transfer_2d(struct tg_vm *vm, uint32_t res, struct virtio_gpu_rect r, uint64_t offset);
/* Resource 0 turns the scanout off. */
uint32_t tg_set_scanout(struct tg_vm *vm, uint32_t scanout, uint32_t res, struct virtio_gpu_rect r);
uint32_t tg_flush(struct tg_vm *vm, uint32_t res, struct virtio_gpu_rect r);
/* With a fence, as Linux flushes dumb buffers. */
struct tg_request *tg_flush_async(struct tg_vm *vm, uint32_t res, struct virtio_gpu_rect r);
/* VIRTIO_GPU_CMD_UPDATE_CURSOR or MOVE_CURSOR on the cursor queue. */
struct tg_request *tg_cursor_async(
	struct tg_vm *vm, uint32_t type, const struct virtio_gpu_update_cursor *cursor);
uint32_t tg_cursor_update(struct tg_vm *vm, uint32_t scanout, uint32_t x, uint32_t y, uint32_t res,
	uint32_t hot_x, uint32_t hot_y);
uint32_t tg_cursor_move(struct tg_vm *vm, uint32_t scanout, uint32_t x, uint32_t y);

/* capset 0: no context_init. */
uint32_t tg_ctx_create(struct tg_vm *vm, uint32_t ctx, uint32_t capset, const char *name);
uint32_t tg_ctx_destroy(struct tg_vm *vm, uint32_t ctx);
uint32_t tg_ctx_attach(struct tg_vm *vm, uint32_t ctx, uint32_t res);
uint32_t tg_ctx_detach(struct tg_vm *vm, uint32_t ctx, uint32_t res);
/* args->hdr is filled in here. */
uint32_t tg_create_3d(struct tg_vm *vm, const struct virtio_gpu_resource_create_3d *args);
/* For tg_create_3d(): a picture that GL draws into and displays show, its first row on top; a
 * buffer of so many bytes, bind as in virgl_stream.h. */
struct virtio_gpu_resource_create_3d tg_gl_picture(uint32_t res, uint32_t w, uint32_t h);
struct virtio_gpu_resource_create_3d tg_gl_buffer(uint32_t res, uint32_t bind, uint32_t bytes);
/* type: VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D or _FROM_HOST_3D; args->hdr is filled in here. */
struct tg_request *tg_transfer_3d_async(struct tg_vm *vm, uint32_t type, uint32_t ctx,
	const struct virtio_gpu_transfer_host_3d *args);
uint32_t tg_transfer_3d(struct tg_vm *vm, uint32_t type, uint32_t ctx,
	const struct virtio_gpu_transfer_host_3d *args);
/* With a fence. ring_idx: -1 for a fence of the global timeline. */
struct tg_request *tg_submit_3d_async(
	struct tg_vm *vm, uint32_t ctx, int ring_idx, const void *words, uint32_t bytes);
uint32_t tg_submit_3d(struct tg_vm *vm, uint32_t ctx, const void *words, uint32_t bytes);

/* Pixels in scattered pages of guest memory: the backing of a resource. */
struct tg_image {
	struct tg_vm *vm;
	uint32_t width, height, stride; /* 4 bytes a pixel, stride = 4 × width */
	size_t bytes;
	uint32_t pages;
	struct virtio_gpu_mem_entry
		*entries; /* one a page, in an order that is not that of their addresses */
};

/* Allocates pages in region slot (-1: any); 0 or -ENOMEM. */
int tg_image_init(
	struct tg_image *image, struct tg_vm *vm, int slot, uint32_t width, uint32_t height);
void tg_image_finish(struct tg_image *image);
void tg_image_write(struct tg_image *image, const uint32_t *pixels);
void tg_image_read(const struct tg_image *image, uint32_t *pixels);
/* Creates a B8G8R8X8 2D resource with this image as its backing. */
uint32_t tg_image_resource(struct tg_image *image, uint32_t res);

/* A test picture: every pixel differs from its neighbours, seed makes pictures differ. Alpha byte
 * is 0xff. */
void tg_pattern(uint32_t *pixels, uint32_t width, uint32_t height, uint32_t seed);

static inline struct virtio_gpu_rect tg_rect(uint32_t x, uint32_t y, uint32_t w, uint32_t h)
{
	return (struct virtio_gpu_rect){x, y, w, h};
}

#endif
