/* The planes of a card and what each can do, as far as the driver tells. */
#include <drm_fourcc.h>
#include <drm_mode.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xf86drm.h>

#include "common/log.h"
#include "kms_impl.h"

/* One modifier, with the formats it goes with: bits counted from its offset. */
static void add_modifier(struct bn_kms_plane *plane, const struct drm_format_modifier_blob *head,
	const uint32_t *formats, const struct drm_format_modifier *modifier, unsigned max)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t index = modifier->offset + (uint64_t)bit;

		if (!(modifier->formats & (1ull << bit)) || index >= head->count_formats ||
			plane->format_count == max)
			continue;
		plane->formats[plane->format_count++] =
			(struct bn_kms_format){formats[index], modifier->modifier};
	}
}

static bool blob_is_sound(const struct drm_format_modifier_blob *head, uint32_t length)
{
	return length >= sizeof(*head) && head->count_formats <= 1024 &&
	       head->count_modifiers <= 4096 && head->formats_offset <= length &&
	       head->modifiers_offset <= length &&
	       head->count_formats * sizeof(uint32_t) <= length - head->formats_offset &&
	       head->count_modifiers * sizeof(struct drm_format_modifier) <=
		       length - head->modifiers_offset;
}

static int read_in_formats(struct bn_kms_plane *plane, const drmModePropertyBlobRes *blob)
{
	const struct drm_format_modifier_blob *head = blob->data;
	const uint8_t *bytes = blob->data;
	unsigned max = 0;

	if (!blob_is_sound(head, blob->length))
		return -EINVAL;
	const uint32_t *formats = (const void *)(bytes + head->formats_offset);
	const struct drm_format_modifier *modifiers =
		(const void *)(bytes + head->modifiers_offset);

	for (unsigned i = 0; i < head->count_modifiers; i++)
		max += (unsigned)__builtin_popcountll(modifiers[i].formats);
	plane->formats = calloc(max ? max : 1, sizeof(*plane->formats));
	if (!plane->formats)
		return -ENOMEM;
	for (unsigned i = 0; i < head->count_modifiers; i++)
		add_modifier(plane, head, formats, &modifiers[i], max);
	plane->has_modifiers = true;
	return 0;
}

static int read_formats(struct bn_kms_card *card, struct bn_kms_plane *plane, drmModePlane *res)
{
	const struct bn_kms_prop *prop = &plane->props[BN_KMS_IN_FORMATS];
	drmModePropertyBlobRes *blob = NULL;
	int r = -EINVAL;

	if (prop->id && prop->value && card->modifiers)
		blob = drmModeGetPropertyBlob(card->fd, (uint32_t)prop->value);
	if (blob) {
		r = read_in_formats(plane, blob);
		drmModeFreePropertyBlob(blob);
	}
	if (r == 0 || r == -ENOMEM)
		return r;
	plane->formats = calloc(res->count_formats + 1, sizeof(*plane->formats));
	if (!plane->formats)
		return -ENOMEM;
	for (uint32_t i = 0; i < res->count_formats; i++)
		plane->formats[plane->format_count++] =
			(struct bn_kms_format){res->formats[i], DRM_FORMAT_MOD_LINEAR};
	return 0;
}

bool bn_kms_plane_has_format(const struct bn_kms_plane *plane, uint32_t fourcc, uint64_t modifier)
{
	for (unsigned i = 0; i < plane->format_count; i++) {
		if (plane->formats[i].fourcc != fourcc)
			continue;
		if (plane->formats[i].modifier == modifier ||
			(modifier == DRM_FORMAT_MOD_INVALID &&
				plane->formats[i].modifier == DRM_FORMAT_MOD_LINEAR))
			return true;
	}
	return false;
}

/* What a bitmask property lists are the numbers of its bits. */
static uint32_t read_rotations(const struct bn_kms_prop *prop)
{
	uint32_t mask = DRM_MODE_ROTATE_0;

	for (unsigned i = 0; prop->id && i < prop->enums; i++) {
		if (prop->enumeration[i].value < 32)
			mask |= 1u << prop->enumeration[i].value;
	}
	return mask;
}

static void read_stacking(struct bn_kms_plane *plane)
{
	const struct bn_kms_prop *zpos = &plane->props[BN_KMS_ZPOS];

	if (zpos->id) {
		plane->zpos = zpos->value;
		plane->zpos_max = zpos->max < 63 ? zpos->max : 63;
		plane->zpos_free = !(zpos->flags & DRM_MODE_PROP_IMMUTABLE) && zpos->min == 0 &&
				   zpos->max >= 1;
		return;
	}
	/* Kernels stack what has no zpos by its number, and drivers make the cursor last. */
	plane->zpos = plane->type == DRM_PLANE_TYPE_PRIMARY   ? 0
		      : plane->type == DRM_PLANE_TYPE_OVERLAY ? 1
							      : 1000;
}

static const char *const encodings[] = {
	[BN_ENCODING_BT601] = "ITU-R BT.601 YCbCr",
	[BN_ENCODING_BT709] = "ITU-R BT.709 YCbCr",
	[BN_ENCODING_BT2020] = "ITU-R BT.2020 YCbCr",
};
static const char *const ranges[] = {
	[BN_RANGE_LIMITED] = "YCbCr limited range",
	[BN_RANGE_FULL] = "YCbCr full range",
};

static void read_colours(struct bn_kms_plane *plane)
{
	const struct bn_kms_prop *mode = &plane->props[BN_KMS_BLEND_MODE];

	plane->blends =
		!mode->id || bn_kms_prop_enum(mode, "Pre-multiplied", &plane->premultiplied);
	for (unsigned i = 0; i < 3; i++) {
		if (!bn_kms_prop_enum(
			    &plane->props[BN_KMS_ENCODING], encodings[i], &plane->encodings[i]))
			plane->encodings[i] = UINT64_MAX;
	}
	for (unsigned i = 0; i < 2; i++) {
		if (!bn_kms_prop_enum(&plane->props[BN_KMS_RANGE], ranges[i], &plane->ranges[i]))
			plane->ranges[i] = UINT64_MAX;
	}
}

static int read_plane(struct bn_kms_card *card, uint32_t id, struct bn_kms_plane *plane)
{
	drmModePlane *res;
	int r;

	*plane = (struct bn_kms_plane){.id = id};
	r = bn_kms_props_read(card->fd, id, DRM_MODE_OBJECT_PLANE, bn_kms_plane_props,
		BN_KMS_PLANE_PROPS, plane->props);
	if (r < 0)
		return r;
	res = drmModeGetPlane(card->fd, id);
	if (!res)
		return -errno;
	plane->possible_crtcs = res->possible_crtcs;
	plane->type = (uint32_t)plane->props[BN_KMS_TYPE].value;
	plane->lit = res->crtc_id != 0;
	plane->rotations = read_rotations(&plane->props[BN_KMS_ROTATION]);
	read_stacking(plane);
	read_colours(plane);
	r = read_formats(card, plane, res);
	drmModeFreePlane(res);
	return r;
}

static int by_height(const void *a, const void *b)
{
	const struct bn_kms_plane *p = a, *q = b;

	if (p->zpos != q->zpos)
		return p->zpos < q->zpos ? -1 : 1;
	return p->id < q->id ? -1 : p->id > q->id;
}

int bn_kms_planes_read(struct bn_kms_card *card)
{
	drmModePlaneRes *res = drmModeGetPlaneResources(card->fd);
	int r = 0;

	if (!res)
		return -errno;
	for (uint32_t i = 0; i < res->count_planes && r == 0; i++) {
		if (card->plane_count == 64) {
			bn_warn("%s: only the first 64 of %u planes are used", card->path,
				res->count_planes);
			break;
		}
		r = read_plane(card, res->planes[i], &card->planes[card->plane_count]);
		card->plane_count++;
	}
	drmModeFreePlaneResources(res);
	qsort(card->planes, card->plane_count, sizeof(card->planes[0]), by_height);
	return r;
}

void bn_kms_planes_finish(struct bn_kms_card *card)
{
	bn_kms_damage_finish(card);
	for (unsigned i = 0; i < card->plane_count; i++)
		free(card->planes[i].formats);
	card->plane_count = 0;
}
