/* Commands that tell about the device: displays, EDID, capability sets, identities. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "device.h"
#include "protocol/edid.h"

uint32_t bn_cmd_get_display_info(struct bn_device *dev, struct bn_cmd *cmd, const void *body)
{
	struct virtio_gpu_resp_display_info *info = &cmd->resp.display_info;

	memset(info, 0, sizeof(*info));
	for (unsigned i = 0; i < dev->config.num_scanouts; i++) {
		const struct bn_link_display *d = &dev->displays.display[i];

		info->pmodes[i].enabled = d->enabled;
		info->pmodes[i].r.width = d->width;
		info->pmodes[i].r.height = d->height;
	}
	cmd->resp_size = sizeof(*info);
	return VIRTIO_GPU_RESP_OK_DISPLAY_INFO;
}

uint32_t bn_cmd_get_edid(struct bn_device *dev, struct bn_cmd *cmd, const void *body)
{
	const struct virtio_gpu_cmd_get_edid *c = body;
	struct virtio_gpu_resp_edid *edid = &cmd->resp.edid;
	const struct bn_link_display *d;

	if (!bn_device_has(dev, VIRTIO_GPU_F_EDID))
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	if (c->scanout >= dev->config.num_scanouts)
		return VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
	d = &dev->displays.display[c->scanout];
	memset(edid, 0, sizeof(*edid));
	/* Linux asks for every scanout, connected or not: one without a mode has an EDID of 0
	 * bytes, not an error in the guest's log. */
	if (d->width > 0 && d->height > 0) {
		struct bn_edid_mode mode = {
			.width = d->width,
			.height = d->height,
			.refresh_mhz = d->refresh_mhz,
			.width_mm = d->width_mm,
			.height_mm = d->height_mm,
			.name = d->name[0] ? d->name : NULL,
			.serial = c->scanout + 1,
		};
		edid->size = (uint32_t)bn_edid_generate(&mode, edid->edid);
	}
	cmd->resp_size = sizeof(*edid);
	return VIRTIO_GPU_RESP_OK_EDID;
}

uint32_t bn_cmd_get_capset_info(struct bn_device *dev, struct bn_cmd *cmd, const void *body)
{
	const struct virtio_gpu_get_capset_info *c = body;
	struct virtio_gpu_resp_capset_info *info = &cmd->resp.capset_info;

	if (c->capset_index >= dev->num_capsets)
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	memset(info, 0, sizeof(*info));
	info->capset_id = dev->capsets[c->capset_index].id;
	info->capset_max_version = dev->capsets[c->capset_index].max_version;
	info->capset_max_size = dev->capsets[c->capset_index].max_size;
	cmd->resp_size = sizeof(*info);
	return VIRTIO_GPU_RESP_OK_CAPSET_INFO;
}

static const struct bn_link_capset *capset_find(const struct bn_device *dev, uint32_t id)
{
	for (unsigned i = 0; i < dev->num_capsets; i++) {
		if (dev->capsets[i].id == id)
			return &dev->capsets[i];
	}
	return NULL;
}

uint32_t bn_cmd_get_capset(struct bn_device *dev, struct bn_cmd *cmd, const void *body)
{
	const struct virtio_gpu_get_capset *c = body;
	const struct bn_link_capset *capset = capset_find(dev, c->capset_id);

	if (!capset || c->capset_version > capset->max_version)
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	cmd->extra = calloc(1, capset->max_size ? capset->max_size : 1);
	if (!cmd->extra)
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	if (bn_gl_capset(dev->gl, c->capset_id, c->capset_version, cmd->extra) < 0)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	cmd->extra_size = capset->max_size;
	cmd->resp_size = sizeof(struct virtio_gpu_ctrl_hdr);
	return VIRTIO_GPU_RESP_OK_CAPSET;
}

uint32_t bn_cmd_assign_uuid(struct bn_device *dev, struct bn_cmd *cmd, const void *body)
{
	const struct virtio_gpu_resource_assign_uuid *c = body;
	struct bn_resource *res = bn_resource_get(dev, c->resource_id);

	if (!bn_device_has(dev, VIRTIO_GPU_F_RESOURCE_UUID))
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	if (!res)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (!res->has_uuid) {
		if (getrandom(res->uuid, sizeof(res->uuid), 0) != sizeof(res->uuid))
			return VIRTIO_GPU_RESP_ERR_UNSPEC;
		res->uuid[6] = (uint8_t)((res->uuid[6] & 0x0f) | 0x40); /* RFC 9562 version 4 */
		res->uuid[8] = (uint8_t)((res->uuid[8] & 0x3f) | 0x80);
		res->has_uuid = true;
	}
	memset(&cmd->resp.uuid, 0, sizeof(cmd->resp.uuid));
	memcpy(cmd->resp.uuid.uuid, res->uuid, sizeof(res->uuid));
	cmd->resp_size = sizeof(cmd->resp.uuid);
	return VIRTIO_GPU_RESP_OK_RESOURCE_UUID;
}
