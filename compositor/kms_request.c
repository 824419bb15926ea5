/* From a plan to an atomic request. Every property that a plane may have got from somebody else is set each time. */
#include <drm_fourcc.h>
#include <drm_mode.h>
#include <errno.h>
#include <xf86drm.h>

#include "kms_impl.h"

#define BIT(i) (1ull << (i))

static int add(
	drmModeAtomicReq *request, uint32_t object, const struct bn_kms_prop *prop, uint64_t value)
{
	if (prop->id == 0)
		return 0;
	return drmModeAtomicAddProperty(request, object, prop->id, value) < 0 ? -ENOMEM : 0;
}

static int add_plane(drmModeAtomicReq *request, const struct bn_kms_plane *plane,
	enum bn_kms_plane_prop prop, uint64_t value)
{
	return add(request, plane->id, &plane->props[prop], value);
}

static int add_off(drmModeAtomicReq *request, const struct bn_kms_plane *plane)
{
	int r = add_plane(request, plane, BN_KMS_FB_ID, 0);

	return r < 0 ? r : add_plane(request, plane, BN_KMS_CRTC_ID, 0);
}

/* What a plane is to show, as KMS wants it. */
struct picture {
	uint32_t fb;
	struct bn_geometry at;
	uint16_t alpha;
	bool yuv;
	uint8_t encoding, range;
	int zpos; /* -1: not to be set */
};

static int add_place(drmModeAtomicReq *request, uint32_t crtc, const struct bn_kms_plane *plane,
	const struct picture *picture)
{
	const struct bn_geometry *at = &picture->at;
	const uint64_t values[] = {
		[BN_KMS_FB_ID] = picture->fb,
		[BN_KMS_CRTC_ID] = crtc,
		[BN_KMS_CRTC_X] = (uint64_t)at->at.x,
		[BN_KMS_CRTC_Y] = (uint64_t)at->at.y,
		[BN_KMS_CRTC_W] = at->at.width,
		[BN_KMS_CRTC_H] = at->at.height,
		[BN_KMS_SRC_X] = at->src_x,
		[BN_KMS_SRC_Y] = at->src_y,
		[BN_KMS_SRC_W] = at->src_width,
		[BN_KMS_SRC_H] = at->src_height,
	};
	int r = 0;

	for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]) && r == 0; i++)
		r = add_plane(request, plane, (enum bn_kms_plane_prop)i, values[i]);
	return r;
}

static int add_picture(drmModeAtomicReq *request, uint32_t crtc, const struct bn_kms_plane *plane,
	const struct picture *picture)
{
	int r = add_place(request, crtc, plane, picture);

	if (r == 0)
		r = add_plane(request, plane, BN_KMS_ROTATION, picture->at.transform);
	if (r == 0)
		r = add_plane(request, plane, BN_KMS_ALPHA, picture->alpha);
	if (r == 0)
		r = add_plane(request, plane, BN_KMS_BLEND_MODE, plane->premultiplied);
	if (r == 0 && picture->zpos >= 0)
		r = add_plane(request, plane, BN_KMS_ZPOS, (uint64_t)picture->zpos);
	if (r < 0 || !picture->yuv)
		return r;
	r = add_plane(request, plane, BN_KMS_ENCODING, plane->encodings[picture->encoding]);
	return r < 0 ? r : add_plane(request, plane, BN_KMS_RANGE, plane->ranges[picture->range]);
}

static struct bn_geometry whole(uint32_t width, uint32_t height)
{
	return (struct bn_geometry){
		.at = {0, 0, width, height},
		.src_width = width << 16,
		.src_height = height << 16,
		.transform = DRM_MODE_ROTATE_0,
	};
}

static int zpos_of(const struct bn_kms_plan *plan, const struct bn_kms_plane *plane, unsigned p)
{
	return plan->ordered && plane->zpos_free ? plan->zpos[p] : -1;
}

static int add_item(struct bn_kms_output *ko, const struct bn_kms_item *item,
	const struct bn_kms_plan *plan, unsigned p)
{
	const struct bn_kms_plane *plane = &ko->card->planes[p];
	struct picture picture = {item->fb, item->at, item->alpha, item->yuv, item->encoding,
		item->range, zpos_of(plan, plane, p)};

	if (item->cursor) {
		int32_t x = item->at.at.x, y = item->at.at.y;

		picture.at = whole(item->fb_width, item->fb_height);
		picture.at.at.x = x;
		picture.at.at.y = y;
	}
	return add_picture(ko->request, ko->crtc, plane, &picture);
}

static int add_composed(struct bn_kms_output *ko, const struct bn_kms_plan *plan, int index)
{
	const struct bn_output_config *config = &ko->output->config;
	const struct bn_kms_dumb *dumb = &ko->pictures.dumb[index];
	const struct bn_kms_plane *plane = &ko->card->planes[plan->picture];
	struct picture picture = {
		.fb = dumb->fb_opaque,
		.at = whole(config->width, config->height),
		.alpha = BN_ALPHA_OPAQUE,
		.zpos = zpos_of(plan, plane, (unsigned)plan->picture),
	};

	if (!plan->picture_below || !dumb->fb_opaque ||
		!bn_kms_plane_has_format(plane, DRM_FORMAT_XRGB8888, DRM_FORMAT_MOD_LINEAR))
		picture.fb = dumb->fb_alpha;
	if (ko->pictures.fence[index] >= 0 && add_plane(ko->request, plane, BN_KMS_IN_FENCE,
						      (uint64_t)ko->pictures.fence[index]) < 0)
		return -ENOMEM;
	return add_picture(ko->request, ko->crtc, plane, &picture);
}

int bn_kms_request_modeset(struct bn_kms_output *ko, drmModeAtomicReq *request)
{
	int r = add(request, ko->crtc, &ko->crtc_props[BN_KMS_MODE_ID], ko->mode_blob);

	if (r == 0)
		r = add(request, ko->crtc, &ko->crtc_props[BN_KMS_ACTIVE], 1);
	if (r == 0)
		r = add(request, ko->connector, &ko->connector_props[BN_KMS_CONNECTOR_CRTC_ID],
			ko->crtc);
	/* 0: good. A link that was trained badly comes to life by this. */
	if (r == 0)
		r = add(request, ko->connector, &ko->connector_props[BN_KMS_LINK_STATUS], 0);
	return r < 0 ? r : bn_kms_writeback_modeset(ko, request);
}

/* Ours that the plan leaves free; when all is set anew, also what another program may have left on. */
static int add_unused(struct bn_kms_output *ko, uint64_t usable, uint64_t used)
{
	int r = 0;

	for (unsigned p = 0; p < ko->card->plane_count && r == 0; p++) {
		const struct bn_kms_plane *plane = &ko->card->planes[p];

		if ((used & BIT(p)) || !(usable & BIT(p)))
			continue;
		if (ko->modeset || plane->lit)
			r = add_off(ko->request, plane);
	}
	return r;
}

int bn_kms_request_build(struct bn_kms_output *ko, const struct bn_kms_scene *scene,
	const struct bn_kms_plan *plan, int picture)
{
	uint64_t used = 0;
	int r;

	drmModeAtomicSetCursor(ko->request, 0);
	/* An empty request would bring no flip; this changes nothing. */
	r = add(ko->request, ko->crtc, &ko->crtc_props[BN_KMS_ACTIVE], 1);
	if (r == 0 && ko->modeset)
		r = bn_kms_request_modeset(ko, ko->request);
	for (unsigned i = 0; i < plan->count && r == 0; i++) {
		if (plan->plane[i] < 0 || !(scene->present & BIT(i)))
			continue;
		used |= BIT(plan->plane[i]);
		r = add_item(ko, &scene->items[i], plan, (unsigned)plan->plane[i]);
	}
	if (r == 0 && plan->picture >= 0) {
		used |= BIT(plan->picture);
		r = add_composed(ko, plan, picture);
	}
	return r < 0 ? r : add_unused(ko, scene->usable, used);
}

int bn_kms_request_off(struct bn_kms_output *ko)
{
	int r;

	drmModeAtomicSetCursor(ko->request, 0);
	r = add(ko->request, ko->crtc, &ko->crtc_props[BN_KMS_MODE_ID], 0);
	if (r == 0)
		r = add(ko->request, ko->crtc, &ko->crtc_props[BN_KMS_ACTIVE], 0);
	if (r == 0)
		r = add(ko->request, ko->connector, &ko->connector_props[BN_KMS_CONNECTOR_CRTC_ID],
			0);
	for (unsigned p = 0; p < ko->card->plane_count && r == 0; p++) {
		if (ko->card->planes[p].owner == ko->output)
			r = add_off(ko->request, &ko->card->planes[p]);
	}
	return r;
}

int bn_kms_request_test(struct bn_kms_scene *scene, const struct bn_kms_plan *plan)
{
	struct bn_kms_output *ko = bn_kms_output_of(scene->output);
	uint32_t flags =
		DRM_MODE_ATOMIC_TEST_ONLY | (ko->modeset ? DRM_MODE_ATOMIC_ALLOW_MODESET : 0);
	int r = plan->picture >= 0 ? bn_kms_compose_prepare(ko) : 0;

	if (r == 0)
		r = bn_kms_request_build(ko, scene, plan, 0);
	if (r < 0)
		return r;
	ko->output->counters.tests++;
	return drmModeAtomicCommit(ko->card->fd, ko->request, flags, NULL);
}
