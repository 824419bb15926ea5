#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "device.h"

struct bn_context *bn_context_get(const struct bn_device *dev, uint32_t id)
{
	return bn_idmap_get(&dev->contexts, id);
}

/* A rasteriser has as many as there is memory, and is slow to make them. */
static bool driver_gives(struct bn_device *dev, uint32_t count)
{
	return bn_gl_is_software(dev->gl) || bn_gl_can_create(dev->gl, count);
}

bool bn_context_room(struct bn_device *dev, uint64_t count)
{
	uint64_t max = dev->config.host_memory_max;
	/* The guest may still have that many bytes of resources, whatever contexts take. */
	uint64_t promised = max > dev->host_bytes_3d ? max - dev->host_bytes_3d : 0;

	if (count == 0 || (count <= BN_CONTEXTS_MAX &&
				  bn_room_for_contexts(&dev->room, count, promised) &&
				  driver_gives(dev, (uint32_t)count)))
		return true;
	if (bn_log_gate(&dev->room_errors))
		bn_warn("no room for another GL context: the guest is told so, and its programs "
			"have to give some back (%lu so far)",
			dev->room_errors);
	return false;
}

/* VIRTIO_GPU_RESP_*. */
static uint32_t gl_create(struct bn_device *dev, const struct bn_context *ctx)
{
	int ret;

	bn_room_context_begin(&dev->room);
	ret = bn_gl_ctx_create(dev->gl, ctx->id, ctx->capset_id, ctx->name);
	bn_room_context_end(&dev->room);
	if (ret == 0)
		return VIRTIO_GPU_RESP_OK_NODATA;
	return ret == -ENOMEM ? VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY
			      : VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
}

uint32_t bn_context_create(
	struct bn_device *dev, uint32_t id, uint32_t capset_id, const char *name, bool lost)
{
	struct bn_context *ctx;
	uint32_t type = VIRTIO_GPU_RESP_OK_NODATA;

	if (dev->contexts.count >= BN_CONTEXTS_MAX)
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	ctx = calloc(1, sizeof(*ctx));
	if (!ctx)
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	ctx->id = id;
	ctx->capset_id = capset_id;
	ctx->lost = lost;
	ctx->cold = BN_COLD_BATCHES;
	memcpy(ctx->name, name, strnlen(name, sizeof(ctx->name) - 1));
	if (bn_idmap_put(&dev->contexts, id, ctx) < 0) {
		free(ctx);
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	if (!lost)
		type = gl_create(dev, ctx);
	if (type != VIRTIO_GPU_RESP_OK_NODATA) {
		bn_idmap_remove(&dev->contexts, id);
		free(ctx);
		return type;
	}
	wl_list_init(&ctx->attachments);
	bn_hold_init(dev->fences, &ctx->hold);
	bn_stat_set(&dev->stats->contexts, dev->contexts.count);
	bn_state_context(dev, ctx);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

void bn_context_destroy(struct bn_device *dev, struct bn_context *ctx)
{
	struct bn_attachment *at, *next;

	wl_list_for_each_safe(at, next, &ctx->attachments, context_link)
		bn_attachment_destroy(dev, at);
	bn_fences_ctx_gone(dev->fences, ctx->id);
	bn_hold_finish(&ctx->hold);
	if (!ctx->lost)
		bn_gl_ctx_destroy(dev->gl, ctx->id);
	if (dev->gate)
		bn_gate_forget_context(dev->gate, ctx->id);
	bn_virgl_state_destroy(ctx->walk);
	bn_idmap_remove(&dev->contexts, ctx->id);
	bn_stat_set(&dev->stats->contexts, dev->contexts.count);
	bn_state_context_gone(dev, ctx->id);
	free(ctx);
}

struct bn_attachment *bn_context_attached(
	const struct bn_context *ctx, const struct bn_resource *res)
{
	struct bn_attachment *at;

	/* A resource is attached to few contexts, a context has many resources. */
	wl_list_for_each(at, &res->attachments, resource_link)
	{
		if (at->context == ctx)
			return at;
	}
	return NULL;
}

uint32_t bn_context_attach(struct bn_device *dev, struct bn_context *ctx, struct bn_resource *res)
{
	struct bn_attachment *at;

	if (bn_context_attached(ctx, res))
		return VIRTIO_GPU_RESP_OK_NODATA;
	if (dev->attachments >= BN_ATTACHMENTS_MAX)
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	at = calloc(1, sizeof(*at));
	if (!at)
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	at->resource = res;
	at->context = ctx;
	wl_list_insert(&res->attachments, &at->resource_link);
	wl_list_insert(&ctx->attachments, &at->context_link);
	dev->attachments++;
	if (res->is_3d)
		bn_gl_ctx_attach(dev->gl, ctx->id, res->id);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

void bn_attachment_destroy(struct bn_device *dev, struct bn_attachment *at)
{
	if (at->resource->is_3d)
		bn_gl_ctx_detach(dev->gl, at->context->id, at->resource->id);
	wl_list_remove(&at->resource_link);
	wl_list_remove(&at->context_link);
	dev->attachments--;
	free(at);
}

void bn_context_detach(struct bn_device *dev, struct bn_context *ctx, struct bn_resource *res)
{
	struct bn_attachment *at = bn_context_attached(ctx, res);

	if (at)
		bn_attachment_destroy(dev, at);
}

int bn_resource_contexts(const struct bn_resource *res, uint32_t **ids, unsigned *n)
{
	const struct bn_attachment *at;
	int count = wl_list_length(&res->attachments);

	/* Every one costs a fence, for every flush. */
	if (count > BN_RESOURCE_CONTEXTS_MAX)
		count = BN_RESOURCE_CONTEXTS_MAX;
	*ids = NULL;
	*n = 0;
	if (count == 0)
		return 0;
	*ids = calloc((size_t)count, sizeof(**ids));
	if (!*ids)
		return -ENOMEM;
	wl_list_for_each(at, &res->attachments, resource_link)
	{
		if (*n == (unsigned)count)
			break;
		(*ids)[(*n)++] = at->context->id;
	}
	return 0;
}
