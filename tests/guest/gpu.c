#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gpu.h"
#include "virgl_stream.h"

#define HDR(t, ctx) {.type = (t), .ctx_id = (ctx)}

static uint32_t command(struct tg_vm *vm, const void *cmd, size_t len)
{
	return tg_command(vm, cmd, len, NULL, 0);
}

uint32_t tg_display_info(struct tg_vm *vm, struct virtio_gpu_resp_display_info *out)
{
	struct virtio_gpu_ctrl_hdr cmd = HDR(VIRTIO_GPU_CMD_GET_DISPLAY_INFO, 0);
	return tg_command(vm, &cmd, sizeof(cmd), out, sizeof(*out));
}

uint32_t tg_edid(struct tg_vm *vm, uint32_t scanout, struct virtio_gpu_resp_edid *out)
{
	struct virtio_gpu_cmd_get_edid cmd = {HDR(VIRTIO_GPU_CMD_GET_EDID, 0), .scanout = scanout};
	return tg_command(vm, &cmd, sizeof(cmd), out, sizeof(*out));
}

uint32_t tg_capset_info(struct tg_vm *vm, uint32_t index, struct virtio_gpu_resp_capset_info *out)
{
	struct virtio_gpu_get_capset_info cmd = {
		HDR(VIRTIO_GPU_CMD_GET_CAPSET_INFO, 0), .capset_index = index};
	return tg_command(vm, &cmd, sizeof(cmd), out, sizeof(*out));
}

uint32_t tg_capset(
	struct tg_vm *vm, uint32_t id, uint32_t version, void *out, size_t size, size_t *got)
{
	struct virtio_gpu_get_capset cmd = {
		HDR(VIRTIO_GPU_CMD_GET_CAPSET, 0), .capset_id = id, .capset_version = version};
	struct iovec iov = {&cmd, sizeof(cmd)};
	size_t head = sizeof(struct virtio_gpu_ctrl_hdr);
	uint8_t *answer = calloc(1, head + size);
	struct tg_request *request = tg_submit(vm, TG_CONTROL, &iov, 1, (uint32_t)(head + size));
	if (!answer || !request || !tg_wait(request)) {
		free(answer);
		return TG_NO_ANSWER;
	}
	*got = request->written > head ? request->written - head : 0;
	uint32_t type = tg_finish(request, answer, head + size);
	memcpy(out, answer + head, size);
	free(answer);
	return type;
}

uint32_t tg_assign_uuid(struct tg_vm *vm, uint32_t res, uint8_t uuid[16])
{
	struct virtio_gpu_resource_assign_uuid cmd = {
		HDR(VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, 0), .resource_id = res};
	struct virtio_gpu_resp_resource_uuid answer;
	uint32_t type = tg_command(vm, &cmd, sizeof(cmd), &answer, sizeof(answer));
	memcpy(uuid, answer.uuid, sizeof(answer.uuid));
	return type;
}

uint32_t tg_create_2d(struct tg_vm *vm, uint32_t res, uint32_t format, uint32_t w, uint32_t h)
{
	struct virtio_gpu_resource_create_2d cmd = {HDR(VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, 0),
		.resource_id = res, .format = format, .width = w, .height = h};
	return command(vm, &cmd, sizeof(cmd));
}

uint32_t tg_unref(struct tg_vm *vm, uint32_t res)
{
	struct virtio_gpu_resource_unref cmd = {
		HDR(VIRTIO_GPU_CMD_RESOURCE_UNREF, 0), .resource_id = res};
	return command(vm, &cmd, sizeof(cmd));
}

uint32_t tg_attach_claiming(struct tg_vm *vm, uint32_t res,
	const struct virtio_gpu_mem_entry *entries, uint32_t n, uint32_t claimed)
{
	struct virtio_gpu_resource_attach_backing cmd = {
		HDR(VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, 0), .resource_id = res,
		.nr_entries = claimed};
	struct iovec out[2] = {{&cmd, sizeof(cmd)}, {(void *)entries, n * sizeof(*entries)}};
	return tg_finish(tg_submit(vm, TG_CONTROL, out, 2, sizeof(cmd.hdr)), NULL, 0);
}

uint32_t tg_attach(
	struct tg_vm *vm, uint32_t res, const struct virtio_gpu_mem_entry *entries, uint32_t n)
{
	return tg_attach_claiming(vm, res, entries, n, n);
}

uint32_t tg_detach(struct tg_vm *vm, uint32_t res)
{
	struct virtio_gpu_resource_detach_backing cmd = {
		HDR(VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, 0), .resource_id = res};
	return command(vm, &cmd, sizeof(cmd));
}

uint32_t tg_transfer_2d(struct tg_vm *vm, uint32_t res, struct virtio_gpu_rect r, uint64_t offset)
{
	struct virtio_gpu_transfer_to_host_2d cmd = {HDR(VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, 0),
		.r = r, .offset = offset, .resource_id = res};
	return command(vm, &cmd, sizeof(cmd));
}

uint32_t tg_set_scanout(struct tg_vm *vm, uint32_t scanout, uint32_t res, struct virtio_gpu_rect r)
{
	struct virtio_gpu_set_scanout cmd = {HDR(VIRTIO_GPU_CMD_SET_SCANOUT, 0), .r = r,
		.scanout_id = scanout, .resource_id = res};
	return command(vm, &cmd, sizeof(cmd));
}

uint32_t tg_flush(struct tg_vm *vm, uint32_t res, struct virtio_gpu_rect r)
{
	struct virtio_gpu_resource_flush cmd = {
		HDR(VIRTIO_GPU_CMD_RESOURCE_FLUSH, 0), .r = r, .resource_id = res};
	return command(vm, &cmd, sizeof(cmd));
}

struct tg_request *tg_flush_async(struct tg_vm *vm, uint32_t res, struct virtio_gpu_rect r)
{
	struct virtio_gpu_resource_flush cmd = {
		HDR(VIRTIO_GPU_CMD_RESOURCE_FLUSH, 0), .r = r, .resource_id = res};
	tg_fence(vm, &cmd.hdr);
	struct iovec out = {&cmd, sizeof(cmd)};
	return tg_submit(vm, TG_CONTROL, &out, 1, sizeof(cmd.hdr));
}

struct tg_request *tg_cursor_async(
	struct tg_vm *vm, uint32_t type, const struct virtio_gpu_update_cursor *cursor)
{
	struct virtio_gpu_update_cursor cmd = *cursor;
	cmd.hdr = (struct virtio_gpu_ctrl_hdr)HDR(type, 0);
	struct iovec out = {&cmd, sizeof(cmd)};
	return tg_submit(vm, TG_CURSOR, &out, 1, sizeof(cmd.hdr));
}

uint32_t tg_cursor_update(struct tg_vm *vm, uint32_t scanout, uint32_t x, uint32_t y, uint32_t res,
	uint32_t hot_x, uint32_t hot_y)
{
	struct virtio_gpu_update_cursor cursor = {
		.pos = {scanout, x, y, 0}, .resource_id = res, .hot_x = hot_x, .hot_y = hot_y};
	return tg_finish(tg_cursor_async(vm, VIRTIO_GPU_CMD_UPDATE_CURSOR, &cursor), NULL, 0);
}

uint32_t tg_cursor_move(struct tg_vm *vm, uint32_t scanout, uint32_t x, uint32_t y)
{
	struct virtio_gpu_update_cursor cursor = {.pos = {scanout, x, y, 0}};
	return tg_finish(tg_cursor_async(vm, VIRTIO_GPU_CMD_MOVE_CURSOR, &cursor), NULL, 0);
}

uint32_t tg_ctx_create(struct tg_vm *vm, uint32_t ctx, uint32_t capset, const char *name)
{
	struct virtio_gpu_ctx_create cmd = {
		HDR(VIRTIO_GPU_CMD_CTX_CREATE, ctx), .context_init = capset};
	cmd.nlen = (uint32_t)strlen(name);
	memcpy(cmd.debug_name, name, cmd.nlen < 64 ? cmd.nlen : 63);
	return command(vm, &cmd, sizeof(cmd));
}

uint32_t tg_ctx_destroy(struct tg_vm *vm, uint32_t ctx)
{
	struct virtio_gpu_ctx_destroy cmd = {HDR(VIRTIO_GPU_CMD_CTX_DESTROY, ctx)};
	return command(vm, &cmd, sizeof(cmd));
}

static uint32_t ctx_resource(struct tg_vm *vm, uint32_t type, uint32_t ctx, uint32_t res)
{
	struct virtio_gpu_ctx_resource cmd = {HDR(type, ctx), .resource_id = res};
	return command(vm, &cmd, sizeof(cmd));
}

uint32_t tg_ctx_attach(struct tg_vm *vm, uint32_t ctx, uint32_t res)
{
	return ctx_resource(vm, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, ctx, res);
}

uint32_t tg_ctx_detach(struct tg_vm *vm, uint32_t ctx, uint32_t res)
{
	return ctx_resource(vm, VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, ctx, res);
}

uint32_t tg_create_3d(struct tg_vm *vm, const struct virtio_gpu_resource_create_3d *args)
{
	struct virtio_gpu_resource_create_3d cmd = *args;
	cmd.hdr = (struct virtio_gpu_ctrl_hdr)HDR(VIRTIO_GPU_CMD_RESOURCE_CREATE_3D, 0);
	return command(vm, &cmd, sizeof(cmd));
}

struct virtio_gpu_resource_create_3d tg_gl_picture(uint32_t res, uint32_t w, uint32_t h)
{
	return (struct virtio_gpu_resource_create_3d){
		.resource_id = res,
		.target = BN_VIRGL_TARGET_2D,
		.format = BN_VIRGL_FORMAT_B8G8R8A8,
		.bind = BN_VIRGL_BIND_RENDER_TARGET | BN_VIRGL_BIND_SAMPLER_VIEW |
			BN_VIRGL_BIND_SCANOUT,
		.width = w,
		.height = h,
		.depth = 1,
		.array_size = 1,
		.flags = BN_VIRGL_RESOURCE_Y_0_TOP,
	};
}

struct virtio_gpu_resource_create_3d tg_gl_buffer(uint32_t res, uint32_t bind, uint32_t bytes)
{
	return (struct virtio_gpu_resource_create_3d){
		.resource_id = res,
		.target = BN_VIRGL_TARGET_BUFFER,
		.format = BN_VIRGL_FORMAT_R8,
		.bind = bind,
		.width = bytes,
		.height = 1,
		.depth = 1,
		.array_size = 1,
	};
}

struct tg_request *tg_transfer_3d_async(struct tg_vm *vm, uint32_t type, uint32_t ctx,
	const struct virtio_gpu_transfer_host_3d *args)
{
	struct virtio_gpu_transfer_host_3d cmd = *args;
	cmd.hdr = (struct virtio_gpu_ctrl_hdr)HDR(type, ctx);
	tg_fence(vm, &cmd.hdr);
	struct iovec out = {&cmd, sizeof(cmd)};
	return tg_submit(vm, TG_CONTROL, &out, 1, sizeof(cmd.hdr));
}

uint32_t tg_transfer_3d(struct tg_vm *vm, uint32_t type, uint32_t ctx,
	const struct virtio_gpu_transfer_host_3d *args)
{
	return tg_finish(tg_transfer_3d_async(vm, type, ctx, args), NULL, 0);
}

struct tg_request *tg_submit_3d_async(
	struct tg_vm *vm, uint32_t ctx, int ring_idx, const void *words, uint32_t bytes)
{
	struct virtio_gpu_cmd_submit cmd = {HDR(VIRTIO_GPU_CMD_SUBMIT_3D, ctx), .size = bytes};
	tg_fence(vm, &cmd.hdr);
	if (ring_idx >= 0) {
		cmd.hdr.flags |= VIRTIO_GPU_FLAG_INFO_RING_IDX;
		cmd.hdr.ring_idx = (uint8_t)ring_idx;
	}
	struct iovec out[2] = {{&cmd, sizeof(cmd)}, {(void *)words, bytes}};
	return tg_submit(vm, TG_CONTROL, out, 2, sizeof(cmd.hdr));
}

uint32_t tg_submit_3d(struct tg_vm *vm, uint32_t ctx, const void *words, uint32_t bytes)
{
	return tg_finish(tg_submit_3d_async(vm, ctx, -1, words, bytes), NULL, 0);
}
