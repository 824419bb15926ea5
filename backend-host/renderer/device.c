#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "device.h"

struct cmd_kind {
	uint32_t type;
	uint16_t size; /* of the fixed part */
	bool gl;       /* needs the VIRGL feature */
	bn_cmd_handler *run;
};

static const struct cmd_kind kinds_2d[] = {
	{VIRTIO_GPU_CMD_GET_DISPLAY_INFO, sizeof(struct virtio_gpu_ctrl_hdr), false,
		bn_cmd_get_display_info},
	{VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, sizeof(struct virtio_gpu_resource_create_2d), false,
		bn_cmd_create_2d},
	{VIRTIO_GPU_CMD_RESOURCE_UNREF, sizeof(struct virtio_gpu_resource_unref), false,
		bn_cmd_unref},
	{VIRTIO_GPU_CMD_SET_SCANOUT, sizeof(struct virtio_gpu_set_scanout), false,
		bn_cmd_set_scanout},
	{VIRTIO_GPU_CMD_RESOURCE_FLUSH, sizeof(struct virtio_gpu_resource_flush), false,
		bn_cmd_flush},
	{VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, sizeof(struct virtio_gpu_transfer_to_host_2d), false,
		bn_cmd_transfer_2d},
	{VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, sizeof(struct virtio_gpu_resource_attach_backing),
		false, bn_cmd_attach_backing},
	{VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, sizeof(struct virtio_gpu_resource_detach_backing),
		false, bn_cmd_detach_backing},
	{VIRTIO_GPU_CMD_GET_CAPSET_INFO, sizeof(struct virtio_gpu_get_capset_info), true,
		bn_cmd_get_capset_info},
	{VIRTIO_GPU_CMD_GET_CAPSET, sizeof(struct virtio_gpu_get_capset), true, bn_cmd_get_capset},
	{VIRTIO_GPU_CMD_GET_EDID, sizeof(struct virtio_gpu_cmd_get_edid), false, bn_cmd_get_edid},
	{VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, sizeof(struct virtio_gpu_resource_assign_uuid), false,
		bn_cmd_assign_uuid},
};

static const struct cmd_kind kinds_3d[] = {
	{VIRTIO_GPU_CMD_CTX_CREATE, sizeof(struct virtio_gpu_ctx_create), true, bn_cmd_ctx_create},
	/* Also without GL: a predecessor may have had it, and its lost contexts are still to be
	 * destroyed. */
	{VIRTIO_GPU_CMD_CTX_DESTROY, sizeof(struct virtio_gpu_ctx_destroy), false,
		bn_cmd_ctx_destroy},
	{VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, sizeof(struct virtio_gpu_ctx_resource), true,
		bn_cmd_ctx_attach},
	{VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, sizeof(struct virtio_gpu_ctx_resource), true,
		bn_cmd_ctx_detach},
	{VIRTIO_GPU_CMD_RESOURCE_CREATE_3D, sizeof(struct virtio_gpu_resource_create_3d), true,
		bn_cmd_create_3d},
	{VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, sizeof(struct virtio_gpu_transfer_host_3d), true,
		bn_cmd_transfer_to_3d},
	{VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, sizeof(struct virtio_gpu_transfer_host_3d), true,
		bn_cmd_transfer_from_3d},
	{VIRTIO_GPU_CMD_SUBMIT_3D, sizeof(struct virtio_gpu_cmd_submit), true, bn_cmd_submit_3d},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct cmd_kind *kind_find(uint32_t type)
{
	const struct cmd_kind *kinds = type >= VIRTIO_GPU_CMD_CTX_CREATE ? kinds_3d : kinds_2d;
	size_t n = type >= VIRTIO_GPU_CMD_CTX_CREATE ? COUNT(kinds_3d) : COUNT(kinds_2d);

	for (size_t i = 0; i < n; i++) {
		if (kinds[i].type == type)
			return &kinds[i];
	}
	return NULL;
}

static void handle_answer(void *data, struct bn_vq_request *request, uint32_t written)
{
	struct bn_device *dev = data;

	dev->config.ops->answer(dev->config.data, request, written);
}

static const struct bn_fences_ops fences_ops = {.answer = handle_answer};

int bn_device_create(struct bn_device **out, const struct bn_device_config *config)
{
	struct bn_device *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return -ENOMEM;
	dev->config = *config;
	dev->stats = config->stats;
	dev->fences = bn_fences_create(&fences_ops, dev, config->stats);
	if (!dev->fences) {
		free(dev);
		return -ENOMEM;
	}
	pthread_mutex_init(&dev->lock, NULL);
	bn_room_init(&dev->room, config->reserve);
	bn_idmap_init(&dev->resources);
	bn_idmap_init(&dev->contexts);
	wl_list_init(&dev->shown);
	*out = dev;
	return 0;
}

void bn_device_set_gl(struct bn_device *dev, struct bn_gl *gl)
{
	dev->gl = gl;
	bn_fences_set_gl(dev->fences, gl);
	dev->num_capsets = gl ? bn_gl_capsets(gl, dev->capsets) : 0;
}

void bn_device_lock(struct bn_device *dev)
{
	if (pthread_mutex_trylock(&dev->lock) == 0)
		return;
	__atomic_fetch_add(&dev->lock_wanted, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&dev->lock);
	__atomic_fetch_sub(&dev->lock_wanted, 1, __ATOMIC_SEQ_CST);
}

uint64_t bn_device_features(const struct bn_device *dev)
{
	uint64_t features = (1ull << VIRTIO_GPU_F_EDID) | (1ull << VIRTIO_GPU_F_RESOURCE_UUID);

	if (dev->gl && dev->num_capsets > 0) {
		features |= 1ull << VIRTIO_GPU_F_VIRGL;
		if (bn_gl_has_context_init(dev->gl))
			features |= 1ull << VIRTIO_GPU_F_CONTEXT_INIT;
	}
	return features;
}

/* Removing from a map ends a walk over it, so each round starts anew; entries are found at once
 * because those before are gone. */
static void drop_objects(struct bn_device *dev)
{
	void *object;
	uint32_t at;

	while (at = 0, (object = bn_idmap_next(&dev->contexts, &at)))
		bn_context_destroy(dev, object);
	while (at = 0, (object = bn_idmap_next(&dev->resources, &at)))
		bn_resource_destroy(dev, object);
}

void bn_device_reset(struct bn_device *dev)
{
	struct bn_journal *journal = dev->journal;

	dev->journal = NULL; /* one record says it all below */
	bn_device_unpark(dev);
	bn_fences_reset(dev->fences);
	for (unsigned i = 0; i < dev->config.num_scanouts; i++)
		bn_scanout_off(dev, i);
	drop_objects(dev);
	if (dev->gate)
		bn_gate_reset(dev->gate);
	dev->journal = journal;
	bn_state_reset(dev);
}

void bn_device_destroy(struct bn_device *dev)
{
	if (!dev)
		return;
	/* The journal keeps the state for a successor: nothing of the teardown goes into it. */
	bn_journal_destroy(dev->journal);
	dev->journal = NULL;
	bn_device_unpark(dev);
	bn_fences_reset(dev->fences);
	for (unsigned i = 0; i < dev->config.num_scanouts; i++)
		bn_scanout_off(dev, i);
	drop_objects(dev);
	if (dev->gate)
		bn_gate_reset(dev->gate);
	bn_idmap_finish(&dev->resources);
	bn_idmap_finish(&dev->contexts);
	bn_fences_destroy(dev->fences);
	bn_room_finish(&dev->room);
	pthread_mutex_destroy(&dev->lock);
	free(dev->submit);
	free(dev);
}

static void response_header(
	struct virtio_gpu_ctrl_hdr *out, const struct virtio_gpu_ctrl_hdr *hdr, uint32_t type)
{
	memset(out, 0, sizeof(*out));
	out->type = type;
	if (hdr->flags & VIRTIO_GPU_FLAG_FENCE) {
		out->flags = hdr->flags & (VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX);
		out->fence_id = hdr->fence_id;
		out->ctx_id = hdr->ctx_id;
		out->ring_idx = hdr->ring_idx;
	}
}

uint32_t bn_device_respond(
	struct bn_vq_request *request, const struct virtio_gpu_ctrl_hdr *hdr, uint32_t type)
{
	struct virtio_gpu_ctrl_hdr resp;

	response_header(&resp, hdr, type);
	return (uint32_t)bn_iov_write(request->in, request->nin, 0, &resp, sizeof(resp));
}

static struct bn_fence_key cmd_key(struct bn_device *dev, const struct virtio_gpu_ctrl_hdr *hdr)
{
	bool ring = (hdr->flags & VIRTIO_GPU_FLAG_INFO_RING_IDX) &&
		    bn_device_has(dev, VIRTIO_GPU_F_CONTEXT_INIT);

	return (struct bn_fence_key){
		.fenced = hdr->flags & VIRTIO_GPU_FLAG_FENCE,
		.ring = ring,
		.ctx_id = ring ? hdr->ctx_id : 0,
		.ring_idx = ring ? hdr->ring_idx : 0,
	};
}

static uint32_t cmd_write(struct bn_cmd *cmd, uint32_t type)
{
	struct bn_vq_request *request = cmd->request;
	uint64_t written;

	if (cmd->resp_size < sizeof(cmd->hdr) || type >= VIRTIO_GPU_RESP_ERR_UNSPEC)
		return bn_device_respond(request, &cmd->hdr, type);
	response_header(&cmd->resp.hdr, &cmd->hdr, type);
	written = bn_iov_write(request->in, request->nin, 0, &cmd->resp, cmd->resp_size);
	if (written == cmd->resp_size && cmd->extra)
		written += bn_iov_write(
			request->in, request->nin, written, cmd->extra, cmd->extra_size);
	return (uint32_t)written;
}

/* The response is in guest memory from here on, so that nothing but the ring has to be touched
 * when its time comes, even if guest memory changes meanwhile. */
void bn_device_answer(struct bn_device *dev, struct bn_cmd *cmd, uint32_t type)
{
	struct bn_fence_key key = cmd_key(dev, &cmd->hdr);
	uint32_t written = dev->parked.responded ? dev->parked.written : cmd_write(cmd, type);
	struct bn_context *ctx;

	dev->parked.responded = false;
	free(cmd->extra);
	if (type >= VIRTIO_GPU_RESP_ERR_UNSPEC) {
		bn_stat_add(&dev->stats->errors, 1);
		if (bn_log_gate(&dev->command_errors))
			bn_info("command 0x%04x answered with error 0x%04x (%lu errors so far)",
				cmd->hdr.type, type, dev->command_errors);
		bn_fences_done(dev->fences, &key, cmd->request, written);
		return;
	}
	ctx = cmd->wait_gpu ? bn_context_get(dev, cmd->hdr.ctx_id) : NULL;
	if (ctx)
		bn_fences_gpu(dev->fences, &key, ctx->id, &ctx->hold, cmd->request, written);
	else if (cmd->flushes.mask)
		bn_fences_flush(dev->fences, &key, &cmd->flushes, cmd->request, written);
	else
		bn_fences_done(dev->fences, &key, cmd->request, written);
}

uint32_t bn_device_run(struct bn_device *dev, struct bn_cmd *cmd, const union bn_cmd_body *body)
{
	return kind_find(cmd->hdr.type)->run(dev, cmd, body);
}

static uint32_t cmd_run(struct bn_device *dev, struct bn_cmd *cmd)
{
	const struct cmd_kind *kind = kind_find(cmd->hdr.type);
	union bn_cmd_body body;
	uint32_t type;

	/* Unknown, blobs (never offered) and cursor commands on the wrong queue alike. */
	if (!kind || (kind->gl && !dev->gl))
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	if (cmd->request->out_len < kind->size)
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	if (cmd->hdr.flags & VIRTIO_GPU_FLAG_INFO_RING_IDX && cmd->hdr.ring_idx > 63)
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	memset(&body, 0, sizeof(body));
	bn_iov_read(cmd->request->out, cmd->request->nout, 0, &body, kind->size);
	body.hdr = cmd->hdr; /* what was checked, not what the guest may have put there since */
	type = kind->run(dev, cmd, &body);
	if (type == BN_CMD_PARKED)
		bn_device_park(dev, cmd, &body);
	return type;
}

void bn_device_execute(struct bn_device *dev, struct bn_vq_request *request, bool replayed)
{
	struct bn_cmd cmd = {.request = request};
	uint64_t got = bn_iov_read(request->out, request->nout, 0, &cmd.hdr, sizeof(cmd.hdr));
	uint32_t type;

	bn_stat_add(&dev->stats->commands, 1);
	if (got < sizeof(cmd.hdr)) {
		memset(&cmd.hdr, 0, sizeof(cmd.hdr));
		type = VIRTIO_GPU_RESP_ERR_UNSPEC;
	} else if (replayed || request->chain_error) {
		type = VIRTIO_GPU_RESP_ERR_UNSPEC;
	} else {
		type = cmd_run(dev, &cmd);
	}
	if (type != BN_CMD_PARKED)
		bn_device_answer(dev, &cmd, type);
}
