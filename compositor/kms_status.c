/* What is shown how, for people and for the watchdog. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <xf86drmMode.h>

#include "kms_impl.h"

#define BIT(i) (1ull << (i))

static const char *const reasons[] = {
	[BN_KMS_FITS] = "composed with the scene",
	[BN_KMS_NO_BUFFER] = "in memory that the card cannot scan out",
	[BN_KMS_NO_FORMAT] = "no plane has this format, turn or transparency",
	[BN_KMS_NO_PLANE_LEFT] = "no plane is left that it could have",
	[BN_KMS_REFUSED] = "the driver refuses it on a plane (size, scaling or bandwidth)",
	[BN_KMS_STACKING] = "what lies above or below it is composed",
	[BN_KMS_HIDDEN] = "opaque layers above hide all of it",
};

static uint8_t reason_of(const struct bn_kms_output *ko, const struct bn_layer *layer)
{
	for (unsigned i = 0; i < ko->plan.count; i++) {
		if (ko->scene.items[i].layer == layer && !ko->scene.items[i].cursor)
			return ko->plan.reason[i];
	}
	return BN_KMS_FITS;
}

void bn_kms_shown(const struct bn_layer *layer, struct bn_layer_shown *out)
{
	const struct bn_kms_output *ko = bn_kms_output_of(layer->output);
	const struct bn_kms_layer *kl = layer->impl_data;
	const char *why = "";

	*out = (struct bn_layer_shown){.how = BN_SHOWN_NOT};
	if (ko->card->waiting)
		why = "the session has not been in front so far";
	else if (!bn_kms_output_on(ko))
		why = ko->connected ? "the display belongs to another program or session"
				    : "the display is unplugged";
	else if (!kl || !ko->has_plan ||
		 (kl->how == BN_SHOWN_NOT && reason_of(ko, layer) != BN_KMS_HIDDEN))
		why = "not committed yet";
	else {
		out->how = kl->how;
		if (kl->how == BN_SHOWN_PLANE)
			out->plane_id = ko->card->planes[kl->plane].id;
		else
			why = kl->why ? kl->why : reasons[reason_of(ko, layer)];
	}
	snprintf(out->why, sizeof(out->why), "%s", why);
}

static void name_plane(const struct bn_kms_output *ko, unsigned p, char *out, size_t size)
{
	if (ko->plan.picture == (int)p)
		snprintf(out, size, "(composed)");
	for (unsigned i = 0; i < ko->plan.count; i++) {
		const struct bn_kms_item *item = &ko->scene.items[i];

		if (ko->plan.plane[i] == (int)p)
			snprintf(out, size, "%s%s", item->layer->name,
				item->cursor ? " cursor" : "");
	}
}

unsigned bn_kms_planes(const struct bn_output *output, struct bn_plane_status *out, unsigned max)
{
	const struct bn_kms_output *ko = bn_kms_output_of(output);
	unsigned n = 0;

	for (unsigned p = 0; p < ko->card->plane_count && n < max; p++) {
		const struct bn_kms_plane *plane = &ko->card->planes[p];

		if (!(plane->possible_crtcs & (1u << ko->crtc_index)) ||
			(plane->type == DRM_PLANE_TYPE_PRIMARY && (int)p != ko->primary))
			continue;
		out[n] = (struct bn_plane_status){.id = plane->id};
		out[n].type = plane->type == DRM_PLANE_TYPE_PRIMARY  ? "primary"
			      : plane->type == DRM_PLANE_TYPE_CURSOR ? "cursor"
								     : "overlay";
		if (ko->has_plan && bn_kms_output_on(ko))
			name_plane(ko, p, out[n].layer, sizeof(out[n].layer));
		n++;
	}
	return n;
}

bool bn_kms_active(const struct bn_output *output)
{
	const struct bn_kms_output *ko = bn_kms_output_of(output);

	return bn_kms_output_on(ko);
}

void bn_kms_status(const struct bn_output *output, struct bn_output_status *out)
{
	const struct bn_kms_output *ko = bn_kms_output_of(output);
	struct bn_plane_status planes[BN_OUTPUT_PLANES_MAX];

	out->connected = ko->connected;
	out->waiting = ko->card->waiting;
	out->active = bn_kms_output_on(ko) && !ko->stuck;
	snprintf(out->card, sizeof(out->card), "%s", ko->card->path);
	snprintf(out->driver, sizeof(out->driver), "%s", ko->card->driver);
	snprintf(out->connector, sizeof(out->connector), "%s", ko->name);
	snprintf(out->model, sizeof(out->model), "%s", ko->model);
	out->planes = bn_kms_planes(output, planes, BN_OUTPUT_PLANES_MAX);
	for (unsigned i = 0; i < out->planes; i++)
		out->planes_used += planes[i].layer[0] != '\0';
}

/* Whether nothing but the composed picture can be seen in that part. */
static bool is_composed(const struct bn_kms_output *ko, const struct bn_rect *rect)
{
	if (!ko->has_plan || ko->plan.picture < 0 || !ko->plan.picture_below || ko->serial != 0 ||
		ko->output->places_latched != ko->output->places)
		return false;
	for (unsigned i = 0; i < ko->plan.count; i++) {
		if (ko->plan.plane[i] >= 0 &&
			bn_rect_intersect(&ko->scene.items[i].at.at, rect, NULL))
			return false;
	}
	return true;
}

static int read_composed(const struct bn_kms_output *ko, const struct bn_rect *rect,
	uint32_t *pixels, struct bn_read_info *info)
{
	uint32_t stride;
	const uint32_t *from = bn_kms_compose_pixels(ko, &stride);

	if (!from)
		return -ENOTSUP;
	for (uint32_t y = 0; y < rect->height; y++) {
		const uint32_t *row = from + (size_t)((uint32_t)rect->y + y) * stride + rect->x;

		for (uint32_t x = 0; x < rect->width; x++)
			*pixels++ = row[x] & 0xffffff;
	}
	*info = (struct bn_read_info){
		BN_READ_COMPOSED, ko->output->shown_ns, ko->output->shown_seq};
	return 0;
}

int bn_kms_read(struct bn_output *output, const struct bn_rect *rect, uint32_t *pixels,
	struct bn_read_info *info)
{
	struct bn_kms_output *ko = bn_kms_output_of(output);
	int r = -ENOTSUP;

	/* What stays on the screen is not what guests are told of. */
	if (bn_kms_output_on(ko) && ko->stuck)
		return -ETIMEDOUT;
	if (bn_kms_output_on(ko)) {
		r = bn_kms_writeback_read(ko, rect, pixels, info);
		if (r == -ENOTSUP && is_composed(ko, rect))
			r = read_composed(ko, rect, pixels, info);
	}
	return r == -ENOTSUP ? bn_output_read_layers(output, rect, pixels, info) : r;
}
