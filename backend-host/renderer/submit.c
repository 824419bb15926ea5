/* Command streams, from the guest's copy to the GL library: each is walked once, which tells what it
 * asks of the GPU, finds the transfers that must not be executed, and cuts it where the scheduler
 * wants pieces. A piece that is refused ends the stream, as it would have if it had not been cut. */
#include <errno.h>

#include "common/log.h"
#include "device.h"

static bool resource_size(void *data, uint32_t res_id, uint32_t *width, uint32_t *height)
{
	const struct bn_device *dev = data;
	const struct bn_resource *res = bn_resource_get(dev, res_id);

	if (!res)
		return false;
	*width = res->width;
	*height = res->height;
	return true;
}

int bn_stream_begin(
	struct bn_device *dev, struct bn_context *ctx, const uint32_t *words, uint32_t count)
{
	if (!ctx->walk)
		ctx->walk = bn_virgl_state_create(resource_size, dev);
	if (!ctx->walk)
		return -ENOMEM;
	dev->stream.cut = false;
	dev->stream.pieces = 0;
	bn_virgl_walk_begin(&dev->stream.walk, ctx->walk, words, count);
	if (bn_release_watch(dev))
		bn_virgl_walk_watch(&dev->stream.walk, bn_release_bits, dev);
	return 0;
}

static bool stream_cut(struct bn_device *dev)
{
	struct bn_stream *s = &dev->stream;
	uint64_t max = dev->gate ? bn_gate_batch_max(dev->gate) : 0;

	if (!s->cut)
		s->cut = bn_virgl_cut(&s->walk, max, bn_gate_estimate, dev->gate, &s->piece);
	return s->cut;
}

static void context_failed(struct bn_device *dev, struct bn_context *ctx, const char *why)
{
	if (ctx->failed)
		return;
	ctx->failed = true;
	bn_stat_add(&dev->stats->context_losses, 1);
	if (bn_log_gate(&dev->context_errors))
		bn_warn("context %u (%s): %s, the context is lost (%lu so far)", ctx->id, ctx->name,
			why, dev->context_errors);
}

void bn_context_stop(struct bn_device *dev, struct bn_context *ctx, const char *why)
{
	ctx->stopped = true;
	context_failed(dev, ctx, why);
}

static uint32_t new_contexts(const struct bn_stream *s)
{
	return bn_virgl_sub_contexts(s->walk.words + s->piece.start, s->piece.count);
}

static uint32_t piece_run(
	struct bn_device *dev, struct bn_context *ctx, struct bn_gate_batch *batch)
{
	const struct bn_virgl_piece *piece = &dev->stream.piece;
	uint32_t *words, count, contexts;
	bool error;

	if (bn_device_quarantined(dev) || ctx->stopped)
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	if (piece->hostile_transfer) {
		bn_context_stop(dev, ctx, "a transfer in its command stream reaches out of bounds");
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	}
	contexts = new_contexts(&dev->stream);
	if (!bn_context_room(dev, contexts)) {
		bn_context_stop(dev, ctx, "there is no memory for another GL context in it");
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	if (contexts)
		ctx->cold = BN_COLD_BATCHES;
	batch->cold = ctx->cold > 0;
	if (bn_release_wait(dev, piece->writes) || !bn_device_enter(dev, batch))
		return BN_CMD_PARKED;
	words = bn_virgl_piece_words((uint32_t *)dev->submit, piece, &count);
	if (batch->metered)
		batch->meter = bn_gl_meter_begin(dev->gl, ctx->id, words, count);
	error = bn_gl_submit(dev->gl, ctx->id, words, count) != 0;
	if (batch->metered)
		bn_gl_meter_end(dev->gl, batch->meter);
	bn_device_started(dev, batch, error);
	ctx->cold -= batch->cold;
	dev->stream.cut = false;
	dev->stream.pieces++;
	if (!error)
		return VIRTIO_GPU_RESP_OK_NODATA;
	context_failed(dev, ctx, "its command stream was refused");
	return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
}

uint32_t bn_stream_run(struct bn_device *dev, const struct bn_cmd *cmd, struct bn_context *ctx)
{
	const struct bn_stream *s = &dev->stream;
	uint32_t type = VIRTIO_GPU_RESP_OK_NODATA;

	while (type == VIRTIO_GPU_RESP_OK_NODATA && stream_cut(dev)) {
		struct bn_gate_batch batch = {
			.kind = BN_COST_SUBMIT,
			.ctx_id = ctx->id,
			.work = s->piece.work,
			.compiles = s->piece.new_shader,
			.piece = s->pieces,
			.more = s->walk.at < s->walk.count,
			.fenced = cmd->hdr.flags & VIRTIO_GPU_FLAG_FENCE,
		};

		type = piece_run(dev, ctx, &batch);
	}
	return type;
}
