/* KMS objects describe themselves by named properties. */
#include <errno.h>
#include <string.h>
#include <xf86drm.h>

#include "kms_impl.h"

const char *const bn_kms_plane_props[BN_KMS_PLANE_PROPS] = {
	[BN_KMS_FB_ID] = "FB_ID",
	[BN_KMS_CRTC_ID] = "CRTC_ID",
	[BN_KMS_CRTC_X] = "CRTC_X",
	[BN_KMS_CRTC_Y] = "CRTC_Y",
	[BN_KMS_CRTC_W] = "CRTC_W",
	[BN_KMS_CRTC_H] = "CRTC_H",
	[BN_KMS_SRC_X] = "SRC_X",
	[BN_KMS_SRC_Y] = "SRC_Y",
	[BN_KMS_SRC_W] = "SRC_W",
	[BN_KMS_SRC_H] = "SRC_H",
	[BN_KMS_ROTATION] = "rotation",
	[BN_KMS_ALPHA] = "alpha",
	[BN_KMS_BLEND_MODE] = "pixel blend mode",
	[BN_KMS_ENCODING] = "COLOR_ENCODING",
	[BN_KMS_RANGE] = "COLOR_RANGE",
	[BN_KMS_ZPOS] = "zpos",
	[BN_KMS_TYPE] = "type",
	[BN_KMS_IN_FORMATS] = "IN_FORMATS",
	[BN_KMS_IN_FENCE] = "IN_FENCE_FD",
	[BN_KMS_DAMAGE] = "FB_DAMAGE_CLIPS",
};

const char *const bn_kms_crtc_props[BN_KMS_CRTC_PROPS] = {
	[BN_KMS_ACTIVE] = "ACTIVE",
	[BN_KMS_MODE_ID] = "MODE_ID",
};

const char *const bn_kms_connector_props[BN_KMS_CONNECTOR_PROPS] = {
	[BN_KMS_CONNECTOR_CRTC_ID] = "CRTC_ID",
	[BN_KMS_EDID] = "EDID",
	[BN_KMS_LINK_STATUS] = "link-status",
	[BN_KMS_WRITEBACK_FB_ID] = "WRITEBACK_FB_ID",
	[BN_KMS_WRITEBACK_FENCE] = "WRITEBACK_OUT_FENCE_PTR",
	[BN_KMS_WRITEBACK_FORMATS] = "WRITEBACK_PIXEL_FORMATS",
};

static void copy_prop(struct bn_kms_prop *out, const drmModePropertyRes *prop, uint64_t value)
{
	*out = (struct bn_kms_prop){.id = prop->prop_id, .flags = prop->flags, .value = value};
	if (drm_property_type_is((drmModePropertyPtr)prop, DRM_MODE_PROP_RANGE) &&
		prop->count_values == 2) {
		out->min = prop->values[0];
		out->max = prop->values[1];
	}
	for (int i = 0; i < prop->count_enums && out->enums < BN_KMS_ENUMS_MAX; i++) {
		out->enumeration[out->enums].value = prop->enums[i].value;
		memcpy(out->enumeration[out->enums].name, prop->enums[i].name, DRM_PROP_NAME_LEN);
		out->enumeration[out->enums++].name[DRM_PROP_NAME_LEN - 1] = '\0';
	}
}

int bn_kms_props_read(int fd, uint32_t object, uint32_t type, const char *const *names,
	unsigned count, struct bn_kms_prop *out)
{
	drmModeObjectProperties *list = drmModeObjectGetProperties(fd, object, type);

	memset(out, 0, count * sizeof(*out));
	if (!list)
		return -errno;
	for (uint32_t i = 0; i < list->count_props; i++) {
		drmModePropertyRes *prop = drmModeGetProperty(fd, list->props[i]);

		for (unsigned k = 0; prop && k < count; k++) {
			if (strcmp(prop->name, names[k]) == 0)
				copy_prop(&out[k], prop, list->prop_values[i]);
		}
		drmModeFreeProperty(prop);
	}
	drmModeFreeObjectProperties(list);
	return 0;
}

bool bn_kms_prop_enum(const struct bn_kms_prop *prop, const char *name, uint64_t *value)
{
	for (unsigned i = 0; i < prop->enums; i++) {
		if (strcmp(prop->enumeration[i].name, name) != 0)
			continue;
		*value = prop->enumeration[i].value;
		return true;
	}
	return false;
}
