#include <stdlib.h>
#include <string.h>

#include "device.h"

uint32_t bn_cmd_ctx_create(struct bn_device *dev, struct bn_cmd *cmd, const void *body)
{
	const struct virtio_gpu_ctx_create *c = body;
	struct bn_gate_batch batch = {.kind = BN_COST_CREATE, .work.objects = 1};
	uint32_t capset = 0, type;
	char name[65];

	if (cmd->hdr.ctx_id == 0 || bn_context_get(dev, cmd->hdr.ctx_id))
		return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
	if (bn_device_has(dev, VIRTIO_GPU_F_CONTEXT_INIT))
		capset = c->context_init & VIRTIO_GPU_CONTEXT_INIT_CAPSET_ID_MASK;
	if (c->nlen > sizeof(c->debug_name))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	memcpy(name, c->debug_name, c->nlen);
	name[c->nlen] = '\0';
	if (bn_device_quarantined(dev))
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	/* Before it waits for the GPU: a guest that goes on asking gets its answer at once. */
	if (dev->contexts.count >= BN_CONTEXTS_MAX || !bn_context_room(dev, 1))
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	if (!bn_device_enter(dev, &batch))
		return BN_CMD_PARKED;
	type = bn_context_create(dev, cmd->hdr.ctx_id, capset, name, false);
	bn_device_started(dev, &batch, type != VIRTIO_GPU_RESP_OK_NODATA);
	return type;
}

uint32_t bn_cmd_ctx_destroy(struct bn_device *dev, struct bn_cmd *cmd, const void *body)
{
	struct bn_context *ctx = bn_context_get(dev, cmd->hdr.ctx_id);

	if (!ctx)
		return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
	bn_context_destroy(dev, ctx);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

/* Linux with CONTEXT_INIT attaches and detaches every buffer that a file opens, also before (or
 * without) making that file's context (virtio_gpu_gem_object_open). That is no mistake that a
 * person should find in the guest's log, so nothing happens and the answer is OK. */
static uint32_t ctx_unknown(const struct bn_device *dev, uint32_t ctx_id)
{
	return bn_device_has(dev, VIRTIO_GPU_F_CONTEXT_INIT) && ctx_id != 0
		       ? VIRTIO_GPU_RESP_OK_NODATA
		       : VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
}

uint32_t bn_cmd_ctx_attach(struct bn_device *dev, struct bn_cmd *cmd, const void *body)
{
	const struct virtio_gpu_ctx_resource *c = body;
	struct bn_resource *res = bn_resource_get(dev, c->resource_id);
	struct bn_context *ctx = bn_context_get(dev, cmd->hdr.ctx_id);

	if (!res)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (!ctx)
		return ctx_unknown(dev, cmd->hdr.ctx_id);
	if (ctx->lost)
		return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
	return bn_context_attach(dev, ctx, res);
}

uint32_t bn_cmd_ctx_detach(struct bn_device *dev, struct bn_cmd *cmd, const void *body)
{
	const struct virtio_gpu_ctx_resource *c = body;
	struct bn_resource *res = bn_resource_get(dev, c->resource_id);
	struct bn_context *ctx = bn_context_get(dev, cmd->hdr.ctx_id);

	if (!res)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (!ctx)
		return ctx_unknown(dev, cmd->hdr.ctx_id);
	bn_context_detach(dev, ctx, res);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

uint32_t bn_cmd_create_3d(struct bn_device *dev, struct bn_cmd *cmd, const void *body)
{
	const struct virtio_gpu_resource_create_3d *c = body;
	struct bn_gl_resource_args args = {
		.id = c->resource_id,
		.target = c->target,
		.format = c->format,
		.bind = c->bind,
		.width = c->width,
		.height = c->height,
		.depth = c->depth,
		.array_size = c->array_size,
		.last_level = c->last_level,
		.nr_samples = c->nr_samples,
		.flags = c->flags,
	};
	struct bn_gate_batch batch = {
		.kind = BN_COST_CREATE,
		.work.transfer_bytes = bn_resource_estimate(&args),
	};
	uint32_t type;

	if (bn_device_quarantined(dev))
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	if (!bn_device_enter(dev, &batch))
		return BN_CMD_PARKED;
	type = bn_resource_create_3d(dev, &args);
	bn_device_started(dev, &batch, type != VIRTIO_GPU_RESP_OK_NODATA);
	return type;
}

/* A context may only be named for resources that are attached to it; context 0 stands for none. */
static uint32_t transfer_check(
	struct bn_device *dev, const struct bn_cmd *cmd, const struct bn_resource *res)
{
	const struct bn_context *ctx = bn_context_get(dev, cmd->hdr.ctx_id);

	if (!res || !res->is_3d)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (cmd->hdr.ctx_id == 0)
		return VIRTIO_GPU_RESP_OK_NODATA;
	if (!ctx || ctx->lost || ctx->stopped)
		return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
	if (!bn_context_attached(ctx, res))
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	return VIRTIO_GPU_RESP_OK_NODATA;
}

static uint32_t minify(uint32_t size, uint32_t level)
{
	size = level < 32 ? size >> level : 0;
	return size ? size : 1;
}

/* Formats whose layout we do not know. The library does its sum in 32 bits, where it can wrap
 * around, and leaves out the stride of a box one row high; then the transfer reaches beyond
 * guest memory. So the whole must fit 32 bits, and what it reaches at least (rows may be rows of
 * blocks, 12 pixels high at most) the backing; the rest is for the library to check. */
static bool strides_possible(
	const struct bn_resource *res, const struct virtio_gpu_transfer_host_3d *c)
{
	uint64_t stride = c->stride ? c->stride : 16ull * minify(res->width, c->level);
	uint64_t rows = stride * c->box.h, layer = c->layer_stride ? c->layer_stride : rows;
	uint64_t block_rows = (c->box.h - 1ull) / 12, reach, whole;

	if (rows > UINT32_MAX || __builtin_mul_overflow(layer, (uint64_t)c->box.d, &whole) ||
		whole > UINT32_MAX)
		return false;
	if (!c->stride)
		return true;
	layer = c->layer_stride ? c->layer_stride : stride * (block_rows + 1);
	reach = layer * (c->box.d - 1ull) + stride * block_rows;
	return reach < res->backing.size - c->offset;
}

/* The library bounds what it copies by the backing, but takes a transfer that does not fit for
 * one that does: part of the picture would silently be missing. Checked for buffers and the
 * formats of scanouts, whose layout is plain. */
static bool backing_holds(
	const struct bn_resource *res, const struct virtio_gpu_transfer_host_3d *c)
{
	uint64_t stride = c->stride ? c->stride : 4ull * minify(res->width, c->level);
	uint64_t layer = c->layer_stride ? c->layer_stride : stride * minify(res->height, c->level);
	uint64_t need = c->box.w, rows;

	if (c->offset > res->backing.size)
		return false;
	if (res->args.target != 0) {
		if (c->box.w == 0 || c->box.h == 0 || c->box.d == 0)
			return true;
		if (bn_format_fourcc(res->format) == 0)
			return strides_possible(res, c);
		rows = (c->box.h - 1) * stride + 4ull * c->box.w;
		if (__builtin_mul_overflow((uint64_t)c->box.d - 1, layer, &need) ||
			__builtin_add_overflow(need, rows, &need))
			return false;
	}
	return need <= res->backing.size - c->offset;
}

static uint64_t transfer_bytes(
	const struct bn_resource *res, const struct virtio_gpu_transfer_host_3d *c)
{
	uint64_t texels = (uint64_t)c->box.w * (c->box.h ? c->box.h : 1), bytes;

	if (__builtin_mul_overflow(texels, res->args.target == 0 ? 1ull : 4ull, &bytes) ||
		__builtin_mul_overflow(bytes, (uint64_t)(c->box.d ? c->box.d : 1), &bytes))
		return UINT64_MAX;
	return bytes;
}

static uint32_t transfer_3d(struct bn_device *dev, struct bn_cmd *cmd,
	const struct virtio_gpu_transfer_host_3d *c,
	int (*run)(struct bn_gl *gl, const struct bn_gl_transfer *t))
{
	struct bn_resource *res = bn_resource_get(dev, c->resource_id);
	uint32_t check = transfer_check(dev, cmd, res);
	struct bn_gl_transfer t = {
		.res_id = c->resource_id,
		.ctx_id = cmd->hdr.ctx_id,
		.level = c->level,
		.stride = c->stride,
		.layer_stride = c->layer_stride,
		.x = c->box.x,
		.y = c->box.y,
		.z = c->box.z,
		.w = c->box.w,
		.h = c->box.h,
		.d = c->box.d,
		.offset = c->offset,
	};

	struct bn_gate_batch batch = {
		.kind = BN_COST_TRANSFER,
		.ctx_id = cmd->hdr.ctx_id,
		.fenced = cmd->hdr.ctx_id != 0 && (cmd->hdr.flags & VIRTIO_GPU_FLAG_FENCE),
	};
	bool ok;

	if (check != VIRTIO_GPU_RESP_OK_NODATA)
		return check;
	if (!bn_backing_usable(dev, res) || !backing_holds(res, c))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	if (bn_device_quarantined(dev))
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	batch.work.transfers = 1;
	batch.work.transfer_bytes = transfer_bytes(res, c);
	if (run == bn_gl_transfer_in && bn_release_wait_for(dev, res))
		return BN_CMD_PARKED;
	if (!bn_device_enter(dev, &batch))
		return BN_CMD_PARKED;
	ok = run(dev->gl, &t) == 0;
	bn_device_started(dev, &batch, !ok);
	cmd->wait_gpu = ok;
	return ok ? VIRTIO_GPU_RESP_OK_NODATA : VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
}

uint32_t bn_cmd_transfer_to_3d(struct bn_device *dev, struct bn_cmd *cmd, const void *body)
{
	return transfer_3d(dev, cmd, body, bn_gl_transfer_in);
}

uint32_t bn_cmd_transfer_from_3d(struct bn_device *dev, struct bn_cmd *cmd, const void *body)
{
	return transfer_3d(dev, cmd, body, bn_gl_transfer_out);
}

/* 8-byte aligned, kept for the next one. */
static void *submit_buffer(struct bn_device *dev, size_t size)
{
	void *bigger;

	if (size <= dev->submit_size)
		return dev->submit;
	bigger = aligned_alloc(8, (size + 4095) & ~(size_t)4095);
	if (!bigger)
		return NULL;
	free(dev->submit);
	dev->submit = bigger;
	dev->submit_size = (size + 4095) & ~(size_t)4095;
	return bigger;
}

/* The decoder reads words more than once: it gets a copy that the guest cannot change. */
static uint32_t submit_begin(
	struct bn_device *dev, struct bn_cmd *cmd, struct bn_context *ctx, uint32_t size)
{
	void *stream = submit_buffer(dev, size);

	if (!stream)
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	bn_iov_read(cmd->request->out, cmd->request->nout, sizeof(struct virtio_gpu_cmd_submit),
		stream, size);
	return bn_stream_begin(dev, ctx, stream, size / 4) == 0 ? VIRTIO_GPU_RESP_OK_NODATA
								: VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
}

uint32_t bn_cmd_submit_3d(struct bn_device *dev, struct bn_cmd *cmd, const void *body)
{
	const struct virtio_gpu_cmd_submit *c = body;
	struct bn_context *ctx = bn_context_get(dev, cmd->hdr.ctx_id);
	uint32_t size = c->size, type;

	if (!ctx || ctx->lost)
		return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
	if (!cmd->resumed) {
		if (size > BN_SUBMIT_MAX || size % 4 != 0 ||
			cmd->request->out_len - sizeof(*c) < size)
			return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
		bn_stat_add(&dev->stats->submits, 1);
		bn_stat_add(&dev->stats->submit_bytes, size);
		cmd->wait_gpu = true;
		if (size == 0)
			return VIRTIO_GPU_RESP_OK_NODATA;
		type = submit_begin(dev, cmd, ctx, size);
		if (type != VIRTIO_GPU_RESP_OK_NODATA)
			return type;
	}
	return bn_stream_run(dev, cmd, ctx);
}
