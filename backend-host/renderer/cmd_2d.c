#include <errno.h>
#include <stdlib.h>

#include "device.h"

uint32_t bn_cmd_create_2d(struct bn_device *dev, struct bn_cmd *cmd, const void *body)
{
	return bn_resource_create_2d(dev, body);
}

uint32_t bn_cmd_unref(struct bn_device *dev, struct bn_cmd *cmd, const void *body)
{
	const struct virtio_gpu_resource_unref *c = body;
	struct bn_resource *res = bn_resource_get(dev, c->resource_id);

	if (!res)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	bn_resource_destroy(dev, res);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

static bool rect_within(const struct virtio_gpu_rect *r, const struct bn_resource *res)
{
	return r->width > 0 && r->height > 0 && r->x < res->width && r->y < res->height &&
	       r->width <= res->width - r->x && r->height <= res->height - r->y;
}

/* Formats and sizes that the daemon would refuse are refused here, with an answer the guest can
 * understand. */
static bool scanout_possible(struct bn_device *dev, const struct bn_resource *res)
{
	struct bn_gl_scanout info;

	if (!res->is_3d)
		return true;
	return res->width <= BN_2D_SIZE_MAX && res->height <= BN_2D_SIZE_MAX &&
	       bn_gl_scanout_info(dev->gl, res->id, &info) == 0;
}

uint32_t bn_cmd_set_scanout(struct bn_device *dev, struct bn_cmd *cmd, const void *body)
{
	const struct virtio_gpu_set_scanout *c = body;
	struct bn_resource *res;

	if (c->scanout_id >= dev->config.num_scanouts)
		return VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
	if (c->resource_id == 0) {
		bn_scanout_off(dev, c->scanout_id);
		return VIRTIO_GPU_RESP_OK_NODATA;
	}
	res = bn_resource_get(dev, c->resource_id);
	if (!res)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (!rect_within(&c->r, res) || !scanout_possible(dev, res))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	bn_scanout_set(dev, c->scanout_id, res, &c->r);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

uint32_t bn_cmd_flush(struct bn_device *dev, struct bn_cmd *cmd, const void *body)
{
	const struct virtio_gpu_resource_flush *c = body;
	struct bn_resource *res = bn_resource_get(dev, c->resource_id);

	if (!res)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (!rect_within(&c->r, res))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	bn_stat_add(&dev->stats->flushes, 1);
	bn_scanout_flush(dev, res, &c->r, &cmd->flushes);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

uint32_t bn_cmd_transfer_2d(struct bn_device *dev, struct bn_cmd *cmd, const void *body)
{
	const struct virtio_gpu_transfer_to_host_2d *c = body;
	struct bn_resource *res = bn_resource_get(dev, c->resource_id);

	if (!res || res->is_3d)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (!rect_within(&c->r, res) || !bn_transfer_2d(dev, res, &c->r, c->offset))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	return VIRTIO_GPU_RESP_OK_NODATA;
}

/* Copies the list out of guest memory, then joins neighbours: Linux gives one entry per page,
 * which are often in a row. */
static struct bn_backing_entry *entries_read(const struct bn_vq_request *request, uint32_t *count)
{
	uint64_t size = (uint64_t)*count * sizeof(struct virtio_gpu_mem_entry);
	struct virtio_gpu_mem_entry *in = malloc(size);
	struct bn_backing_entry *out = calloc(*count, sizeof(*out));
	uint32_t n = 0;

	if (!in || !out) {
		free(in);
		free(out);
		return NULL;
	}
	bn_iov_read(request->out, request->nout, sizeof(struct virtio_gpu_resource_attach_backing),
		in, size);
	for (uint32_t i = 0; i < *count; i++) {
		if (n > 0 && out[n - 1].addr + out[n - 1].len == in[i].addr)
			out[n - 1].len += in[i].length;
		else
			out[n++] =
				(struct bn_backing_entry){.addr = in[i].addr, .len = in[i].length};
	}
	free(in);
	*count = n;
	return out;
}

uint32_t bn_cmd_attach_backing(struct bn_device *dev, struct bn_cmd *cmd, const void *body)
{
	const struct virtio_gpu_resource_attach_backing *c = body;
	struct bn_resource *res = bn_resource_get(dev, c->resource_id);
	struct bn_backing_entry *entries;
	uint32_t count = c->nr_entries;
	int r;

	if (!res)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (count == 0 || count > BN_BACKING_ENTRIES_MAX || res->backing.entries)
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	if (cmd->request->out_len <
		sizeof(*c) + (uint64_t)count * sizeof(struct virtio_gpu_mem_entry))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	entries = entries_read(cmd->request, &count);
	if (!entries)
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	r = bn_backing_attach(dev, res, entries, count, false);
	if (r < 0)
		return r == -ENOMEM ? VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY
				    : VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	bn_state_backing(dev, res);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

uint32_t bn_cmd_detach_backing(struct bn_device *dev, struct bn_cmd *cmd, const void *body)
{
	const struct virtio_gpu_resource_detach_backing *c = body;
	struct bn_resource *res = bn_resource_get(dev, c->resource_id);

	if (!res)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (!res->backing.entries)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	bn_backing_detach(dev, res);
	bn_state_backing(dev, res);
	return VIRTIO_GPU_RESP_OK_NODATA;
}
