/* Connectors, their modes, and which of them is meant. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xf86drm.h>

#include "common/log.h"
#include "kms_impl.h"

static uint32_t crtc_mask(int fd, const drmModeConnector *res, uint32_t *current)
{
	uint32_t mask = 0;

	*current = 0;
	for (int i = 0; i < res->count_encoders; i++) {
		drmModeEncoder *encoder = drmModeGetEncoder(fd, res->encoders[i]);

		if (!encoder)
			continue;
		mask |= encoder->possible_crtcs;
		if (encoder->encoder_id == res->encoder_id)
			*current = encoder->crtc_id;
		drmModeFreeEncoder(encoder);
	}
	return mask;
}

int bn_kms_connector_read(int fd, uint32_t id, bool probe, struct bn_kms_connector *out)
{
	drmModeConnector *res =
		probe ? drmModeGetConnector(fd, id) : drmModeGetConnectorCurrent(fd, id);
	const char *type;

	*out = (struct bn_kms_connector){.id = id};
	if (!res)
		return -errno;
	type = drmModeGetConnectorTypeName(res->connector_type);
	snprintf(out->name, sizeof(out->name), "%s-%u", type ? type : "Unknown",
		res->connector_type_id);
	out->writeback = res->connector_type == DRM_MODE_CONNECTOR_WRITEBACK;
	out->connected = res->connection == DRM_MODE_CONNECTED && res->count_modes > 0;
	out->crtc_mask = crtc_mask(fd, res, &out->current_crtc);
	out->width_mm = res->mmWidth;
	out->height_mm = res->mmHeight;
	if (res->count_modes > 0) {
		out->modes = malloc((size_t)res->count_modes * sizeof(*out->modes));
		if (out->modes) {
			out->mode_count = (unsigned)res->count_modes;
			memcpy(out->modes, res->modes, out->mode_count * sizeof(*out->modes));
		}
	}
	drmModeFreeConnector(res);
	if (out->connected && !out->modes)
		return -ENOMEM;
	return 0;
}

void bn_kms_connector_finish(struct bn_kms_connector *connector)
{
	free(connector->modes);
	connector->modes = NULL;
	connector->mode_count = 0;
}

void bn_kms_connector_model(int fd, uint32_t id, char *out, size_t size)
{
	struct bn_kms_prop props[BN_KMS_CONNECTOR_PROPS];
	drmModePropertyBlobRes *blob = NULL;

	out[0] = '\0';
	if (bn_kms_props_read(fd, id, DRM_MODE_OBJECT_CONNECTOR, bn_kms_connector_props,
		    BN_KMS_CONNECTOR_PROPS, props) < 0)
		return;
	if (props[BN_KMS_EDID].id && props[BN_KMS_EDID].value)
		blob = drmModeGetPropertyBlob(fd, (uint32_t)props[BN_KMS_EDID].value);
	if (blob)
		bn_kms_edid_model(blob->data, blob->length, out, size);
	drmModeFreePropertyBlob(blob);
}

uint32_t bn_kms_mode_refresh(const drmModeModeInfo *mode)
{
	uint64_t pixels = (uint64_t)mode->htotal * mode->vtotal;
	uint64_t mhz;

	if (pixels == 0)
		return mode->vrefresh ? mode->vrefresh * 1000 : 60000;
	mhz = ((uint64_t)mode->clock * 1000000 + pixels / 2) / pixels;
	if (mode->flags & DRM_MODE_FLAG_INTERLACE)
		mhz *= 2;
	if (mode->flags & DRM_MODE_FLAG_DBLSCAN)
		mhz /= 2;
	if (mode->vscan > 1)
		mhz /= mode->vscan;
	return mhz < 1000 ? 1000 : mhz > 1000000 ? 1000000 : (uint32_t)mhz;
}

static uint64_t difference(uint32_t a, uint32_t b)
{
	return a > b ? a - b : b - a;
}

/* Size counts before refresh. */
static uint64_t distance(
	const drmModeModeInfo *mode, uint32_t width, uint32_t height, uint32_t refresh_mhz)
{
	uint64_t size = difference(mode->hdisplay, width) + difference(mode->vdisplay, height);

	return (size << 32) + difference(bn_kms_mode_refresh(mode), refresh_mhz);
}

const drmModeModeInfo *bn_kms_mode_choose(const drmModeModeInfo *modes, unsigned count,
	uint32_t width, uint32_t height, uint32_t refresh_mhz)
{
	const drmModeModeInfo *best = NULL;

	for (unsigned i = 0; i < count; i++) {
		const drmModeModeInfo *mode = &modes[i];

		if (mode->hdisplay < 1 || mode->hdisplay > 8192 || mode->vdisplay < 1 ||
			mode->vdisplay > 8192)
			continue;
		if (width == 0) {
			if (!best || ((mode->type & DRM_MODE_TYPE_PREFERRED) &&
					     !(best->type & DRM_MODE_TYPE_PREFERRED)))
				best = mode;
		} else if (!best || distance(mode, width, height, refresh_mhz) <
					    distance(best, width, height, refresh_mhz)) {
			best = mode;
		}
	}
	return best;
}

int bn_kms_output_set_mode(struct bn_kms_output *ko, const struct bn_kms_connector *connector)
{
	struct bn_output_config *config = &ko->output->config;
	const drmModeModeInfo *mode = bn_kms_mode_choose(connector->modes, connector->mode_count,
		ko->want_width, ko->want_height, ko->want_mhz);
	uint32_t blob;
	int r;

	if (!mode)
		return -ENOENT;
	r = drmModeCreatePropertyBlob(ko->card->fd, mode, sizeof(*mode), &blob);
	if (r < 0)
		return r;
	if (ko->mode_blob)
		drmModeDestroyPropertyBlob(ko->card->fd, ko->mode_blob);
	ko->mode_blob = blob;
	ko->mode = *mode;
	if (ko->want_width &&
		(mode->hdisplay != ko->want_width || mode->vdisplay != ko->want_height))
		bn_warn("output %s: %s lists no mode of %ux%u; the nearest, %ux%u at %.2f Hz, is "
			"taken (mode=preferred takes the display's own)",
			config->name, ko->name, ko->want_width, ko->want_height, mode->hdisplay,
			mode->vdisplay, bn_kms_mode_refresh(mode) / 1000.0);
	config->width = mode->hdisplay;
	config->height = mode->vdisplay;
	config->refresh_mhz = bn_kms_mode_refresh(mode);
	bn_pacer_set_refresh(&ko->output->pacer, config->refresh_mhz);
	if (!ko->given_mm) {
		config->width_mm = connector->width_mm;
		config->height_mm = connector->height_mm;
	}
	ko->modeset = true;
	return 0;
}
