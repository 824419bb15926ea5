/* What the mock says of its objects. */
#include <drm_fourcc.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#include "kms_impl.h"
#include "mock_kms_priv.h"
#include "unit.h"

static const char *const names[PROPS] = {"FB_ID", "CRTC_ID", "CRTC_X", "CRTC_Y", "CRTC_W", "CRTC_H",
	"SRC_X", "SRC_Y", "SRC_W", "SRC_H", "rotation", "alpha", "pixel blend mode",
	"COLOR_ENCODING", "COLOR_RANGE", "zpos", "type", "ACTIVE", "MODE_ID", "link-status",
	"FB_DAMAGE_CLIPS"};

static void copy_out(uint64_t to, uint32_t *count, const uint32_t *ids, uint32_t n)
{
	if (to && *count >= n)
		memcpy((void *)(uintptr_t)to, ids, n * sizeof(*ids));
	*count = n;
}

int mock_get_resources(struct drm_mode_card_res *args)
{
	uint32_t crtcs[MOCK_CRTCS_MAX], connectors[MOCK_CRTCS_MAX], encoders[MOCK_CRTCS_MAX];

	for (unsigned i = 0; i < mock.hw->crtcs; i++) {
		crtcs[i] = CRTC + i;
		connectors[i] = CONNECTOR + i;
		encoders[i] = ENCODER + i;
	}
	copy_out(args->crtc_id_ptr, &args->count_crtcs, crtcs, mock.hw->crtcs);
	copy_out(args->connector_id_ptr, &args->count_connectors, connectors, mock.hw->crtcs);
	copy_out(args->encoder_id_ptr, &args->count_encoders, encoders, mock.hw->crtcs);
	args->count_fbs = 0;
	return 0;
}

int mock_get_planes(struct drm_mode_get_plane_res *args)
{
	uint32_t ids[MOCK_PLANES_MAX];

	for (unsigned i = 0; i < mock.hw->plane_count; i++)
		ids[i] = PLANE + i;
	copy_out(args->plane_id_ptr, &args->count_planes, ids, mock.hw->plane_count);
	return 0;
}

int mock_get_plane(struct drm_mode_get_plane *args)
{
	const struct mock_plane *plane = &mock.hw->planes[args->plane_id - PLANE];
	uint32_t n = 0;

	while (plane->formats[n])
		n++;
	args->possible_crtcs = plane->crtcs;
	args->crtc_id = args->fb_id = 0;
	copy_out(args->format_type_ptr, &args->count_format_types, plane->formats, n);
	return 0;
}

static struct drm_mode_modeinfo describe_mode(const struct mock_mode *mode, bool preferred)
{
	struct drm_mode_modeinfo info = {
		.hdisplay = mode->width,
		.htotal = (uint16_t)(mode->width + 160),
		.vdisplay = mode->height,
		.vtotal = (uint16_t)(mode->height + 45),
		.vrefresh = mode->hz,
		.type = preferred ? DRM_MODE_TYPE_PREFERRED : 0,
	};

	info.clock = (uint32_t)info.htotal * info.vtotal * mode->hz / 1000;
	snprintf(info.name, sizeof(info.name), "%ux%u", mode->width, mode->height);
	return info;
}

int mock_get_connector(struct drm_mode_get_connector *args)
{
	static const struct mock_mode vga[] = {{WIDTH, HEIGHT, 60}, {0}};
	unsigned i = args->connector_id - CONNECTOR;
	const struct mock_mode *list = mock.modes[i] ? mock.modes[i] : vga;
	struct drm_mode_modeinfo *out = (void *)(uintptr_t)args->modes_ptr;
	uint32_t encoder = ENCODER + i, room = out ? args->count_modes : 0, modes = 0;

	args->connector_type = DRM_MODE_CONNECTOR_DSI;
	args->connector_type_id = i + 1;
	args->connection = mock.unplugged[i] ? 2 : 1;
	args->encoder_id = 0;
	args->count_props = 0;
	for (; !mock.unplugged[i] && list[modes].width; modes++) {
		if (modes < room)
			out[modes] = describe_mode(&list[modes], modes == 0);
	}
	args->count_modes = modes;
	copy_out(args->encoders_ptr, &args->count_encoders, &encoder, 1);
	return 0;
}

bool mock_takes(const struct mock_plane *plane, uint32_t fourcc)
{
	for (unsigned i = 0; plane->formats[i]; i++) {
		if (plane->formats[i] == fourcc)
			return true;
	}
	return false;
}

static bool plane_has(const struct mock_plane *plane, enum prop prop)
{
	switch (prop) {
	case ROTATION:
		return plane->rotations != 0;
	case ALPHA:
		return plane->alpha;
	case BLEND:
		return plane->blend;
	case ENCODING:
	case RANGE:
		return mock_takes(plane, DRM_FORMAT_NV12);
	case ZPOS:
		return plane->zpos >= 0;
	case DAMAGE:
		return plane->damage;
	default:
		return prop <= TYPE;
	}
}

static const uint64_t *values_of(uint32_t object)
{
	if (object >= PLANE)
		return m.next.plane[object - PLANE];
	return object >= CONNECTOR ? m.next.connector[object - CONNECTOR]
				   : m.next.crtc[object - CRTC];
}

bool mock_object_has(uint32_t object, enum prop prop)
{
	if (object >= PLANE)
		return plane_has(&mock.hw->planes[object - PLANE], prop);
	return object >= CONNECTOR ? prop == CRTC_ID || prop == LINK
				   : prop == ACTIVE || prop == MODE_ID;
}

/* Of a plane some properties have an id of their own, because what they may be differs. */
static uint32_t prop_id(uint32_t object, enum prop prop)
{
	bool own = object >= PLANE && (prop == ROTATION || prop == ZPOS);

	return PROP + prop + (own ? 100 * (object - PLANE + 1) : 0);
}

int mock_get_properties(struct drm_mode_obj_get_properties *args)
{
	uint32_t *ids = (void *)(uintptr_t)args->props_ptr, n = 0;
	uint64_t *values = (void *)(uintptr_t)args->prop_values_ptr;
	bool fill = ids && values;

	for (unsigned p = 0; p < PROPS; p++) {
		if (!mock_object_has(args->obj_id, (enum prop)p))
			continue;
		if (fill && n < args->count_props) {
			ids[n] = prop_id(args->obj_id, (enum prop)p);
			values[n] = values_of(args->obj_id)[p];
		}
		n++;
	}
	args->count_props = n;
	return 0;
}

static const char *const rotations[] = {
	"rotate-0", "rotate-90", "rotate-180", "rotate-270", "reflect-x", "reflect-y"};

static unsigned list_enums(
	enum prop prop, const struct mock_plane *plane, struct drm_mode_property_enum *out)
{
	unsigned n = 0;

	if (prop == ROTATION) {
		for (unsigned i = 0; i < 6; i++) {
			if (!(plane->rotations & 1u << i))
				continue;
			out[n].value = i;
			snprintf(out[n++].name, DRM_PROP_NAME_LEN, "%s", rotations[i]);
		}
	} else if (prop == BLEND) {
		out[0].value = 0;
		strcpy(out[0].name, "Pre-multiplied");
		n = 1;
	} else if (prop == ENCODING || prop == RANGE) {
		for (n = 0; n < 2; n++) {
			out[n].value = n;
			strcpy(out[n].name,
				prop == ENCODING ? n ? "ITU-R BT.709 YCbCr" : "ITU-R BT.601 YCbCr"
				: n              ? "YCbCr full range"
						 : "YCbCr limited range");
		}
	}
	return n;
}

int mock_get_property(struct drm_mode_get_property *args)
{
	unsigned own = (args->prop_id - PROP) / 100;
	enum prop prop = (enum prop)((args->prop_id - PROP) % 100);
	const struct mock_plane *plane = own ? &mock.hw->planes[own - 1] : &mock.hw->planes[0];
	struct drm_mode_property_enum enums[8];
	unsigned n = list_enums(prop, plane, enums);
	uint64_t range[2] = {
		0, prop == ZPOS ? (uint64_t)(plane->zpos_max ? plane->zpos_max : plane->zpos)
				: UINT32_MAX};

	memset(args->name, 0, sizeof(args->name));
	snprintf(args->name, sizeof(args->name), "%s", names[prop]);
	args->flags = prop == ROTATION ? DRM_MODE_PROP_BITMASK
		      : prop == DAMAGE ? DRM_MODE_PROP_BLOB
		      : n              ? DRM_MODE_PROP_ENUM
				       : DRM_MODE_PROP_RANGE;
	if (prop == TYPE || (prop == ZPOS && plane->zpos_max == 0))
		args->flags |= DRM_MODE_PROP_IMMUTABLE;
	if (n && args->count_enum_blobs >= n && args->enum_blob_ptr)
		memcpy((void *)(uintptr_t)args->enum_blob_ptr, enums, n * sizeof(enums[0]));
	if (!n && args->count_values >= 2 && args->values_ptr)
		memcpy((void *)(uintptr_t)args->values_ptr, range, sizeof(range));
	if (n && args->values_ptr && args->count_values >= n) {
		for (unsigned i = 0; i < n; i++)
			((uint64_t *)(uintptr_t)args->values_ptr)[i] = enums[i].value;
	}
	args->count_enum_blobs = n;
	args->count_values = prop == DAMAGE ? 0 : n ? n : 2;
	return 0;
}
