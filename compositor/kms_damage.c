/* FB_DAMAGE_CLIPS: what of a plane's framebuffer changed since the last commit. Displays that copy (virtual ones, those at the
 * end of a cable with little bandwidth, panels that refresh themselves) copy no more than that. It is a hint: without it
 * all of the plane is taken for new, and so it is after anything but the pixels changed. */
#include <drm_mode.h>
#include <errno.h>
#include <string.h>
#include <xf86drm.h>

#include "kms_impl.h"

/* In framebuffer pixels; count 0: nothing changed. */
struct clips {
	struct drm_mode_rect rect[BN_KMS_CLIPS_MAX];
	unsigned count;
};

/* ---- what a plane shows, but for its pixels ---- */

static void clear_shows(struct bn_kms_shows *shows)
{
	memset(shows, 0, sizeof(*shows)); /* compared byte by byte */
}

static void item_shows(const struct bn_kms_output *ko, const struct bn_kms_item *item, int zpos,
	struct bn_kms_shows *out)
{
	clear_shows(out);
	out->output = ko->output;
	out->layer = item->layer->age + 1;
	out->at = item->at;
	out->width = item->fb_width;
	out->height = item->fb_height;
	out->fourcc = item->fourcc;
	out->modifier = item->modifier;
	out->look = (uint32_t)item->alpha << 16 | (uint32_t)item->encoding << 8 | item->range;
	out->zpos = zpos;
}

static void picture_shows(const struct bn_kms_output *ko, const struct bn_kms_plan *plan, int zpos,
	struct bn_kms_shows *out)
{
	clear_shows(out);
	out->output = ko->output;
	out->width = ko->output->config.width;
	out->height = ko->output->config.height;
	out->look = plan->picture_below;
	out->zpos = zpos;
}

/* ---- what changed ---- */

static int32_t even_up(uint32_t n)
{
	return (int32_t)(n + (n & 1));
}

/* False: all of it, or what it is is not known. */
static bool item_clips(const struct bn_kms_item *item, struct clips *out)
{
	const struct bn_frame *frame = &item->layer->current;
	uint32_t x = frame->damage_x, y = frame->damage_y, width = frame->damage_width,
		 height = frame->damage_height;
	const struct bn_buffer_attrs *attrs = bn_buffer_attrs(frame->buffer);
	struct drm_mode_rect *rect = &out->rect[0];

	out->count = 0;
	if (!item->layer->fresh)
		return true;
	if (width == 0 || height == 0 || (width == attrs->width && height == attrs->height))
		return false;
	if (attrs->y_invert)
		y = attrs->height - y - height;
	*rect = (struct drm_mode_rect){
		(int32_t)x, (int32_t)y, (int32_t)(x + width), (int32_t)(y + height)};
	if (item->yuv) {
		/* Pixels share their colour with neighbours. */
		rect->x1 &= ~1;
		rect->y1 &= ~1;
		rect->x2 = even_up(x + width) < (int32_t)attrs->width ? even_up(x + width)
								      : (int32_t)attrs->width;
		rect->y2 = even_up(y + height) < (int32_t)attrs->height ? even_up(y + height)
									: (int32_t)attrs->height;
	}
	out->count = 1;
	return true;
}

static struct drm_mode_rect rect_of(const pixman_box32_t *box)
{
	return (struct drm_mode_rect){box->x1, box->y1, box->x2, box->y2};
}

static void picture_clips(struct bn_kms_output *ko, struct clips *out)
{
	pixman_region32_t *changed = &ko->pictures.changed;
	int n;
	const pixman_box32_t *box = pixman_region32_rectangles(changed, &n);

	out->count = 0;
	if (n > BN_KMS_CLIPS_MAX)
		out->rect[out->count++] = rect_of(pixman_region32_extents(changed));
	else
		for (int i = 0; i < n; i++)
			out->rect[out->count++] = rect_of(&box[i]);
}

/* ---- telling ---- */

/* A list without rectangles cannot be told: one pixel is the least that can be. */
static uint32_t blob_of(
	struct bn_kms_card *card, struct bn_kms_plane *plane, const struct clips *clips)
{
	static const struct drm_mode_rect pixel = {0, 0, 1, 1};
	size_t size = clips->count * sizeof(clips->rect[0]);

	if (clips->count == 0) {
		if (card->least_blob == 0 && drmModeCreatePropertyBlob(card->fd, &pixel,
						     sizeof(pixel), &card->least_blob) < 0)
			card->least_blob = 0;
		return card->least_blob;
	}
	/* A clock's hands move within the same square for long. */
	if (plane->clips_blob && plane->clip_count == clips->count &&
		memcmp(plane->clips, clips->rect, size) == 0)
		return plane->clips_blob;
	if (plane->clips_blob)
		drmModeDestroyPropertyBlob(card->fd, plane->clips_blob);
	if (drmModeCreatePropertyBlob(card->fd, clips->rect, size, &plane->clips_blob) < 0)
		plane->clips_blob = 0;
	plane->clip_count = clips->count;
	memcpy(plane->clips, clips->rect, size);
	return plane->clips_blob;
}

static int tell(struct bn_kms_output *ko, struct bn_kms_plane *plane, const struct clips *clips)
{
	uint32_t blob = blob_of(ko->card, plane, clips);

	if (blob == 0)
		return 0;
	return drmModeAtomicAddProperty(
		       ko->request, plane->id, plane->props[BN_KMS_DAMAGE].id, blob) < 0
		       ? -ENOMEM
		       : 0;
}

/* Whether only pixels changed since the plane was last committed; notes what it shows from here on. */
static bool note(
	struct bn_kms_output *ko, struct bn_kms_plane *plane, const struct bn_kms_shows *shows)
{
	bool same = !ko->modeset && memcmp(&plane->shows, shows, sizeof(*shows)) == 0;

	plane->next_shows = *shows;
	return same && plane->props[BN_KMS_DAMAGE].id != 0;
}

static int zpos_of(const struct bn_kms_plan *plan, unsigned p)
{
	return plan->ordered ? plan->zpos[p] : 0;
}

int bn_kms_damage_add(struct bn_kms_output *ko, const struct bn_kms_plan *plan)
{
	struct bn_kms_shows shows;
	struct clips clips;
	int r = 0;

	for (unsigned p = 0; p < ko->card->plane_count; p++)
		clear_shows(&ko->card->planes[p].next_shows);
	for (unsigned i = 0; i < plan->count && r == 0; i++) {
		const struct bn_kms_item *item = &ko->scene.items[i];
		struct bn_kms_plane *plane;

		/* A cursor's picture is not worth it. */
		if (plan->plane[i] < 0 || item->cursor)
			continue;
		plane = &ko->card->planes[plan->plane[i]];
		item_shows(ko, item, zpos_of(plan, (unsigned)plan->plane[i]), &shows);
		if (note(ko, plane, &shows) && item_clips(item, &clips))
			r = tell(ko, plane, &clips);
	}
	if (r == 0 && plan->picture >= 0) {
		struct bn_kms_plane *plane = &ko->card->planes[plan->picture];

		picture_shows(ko, plan, zpos_of(plan, (unsigned)plan->picture), &shows);
		picture_clips(ko, &clips);
		if (note(ko, plane, &shows))
			r = tell(ko, plane, &clips);
	}
	return r;
}

void bn_kms_damage_committed(struct bn_kms_output *ko)
{
	for (unsigned p = 0; p < ko->card->plane_count; p++) {
		struct bn_kms_plane *plane = &ko->card->planes[p];

		/* Those of other outputs are theirs. */
		if (plane->next_shows.output || plane->shows.output == ko->output)
			plane->shows = plane->next_shows;
	}
}

void bn_kms_damage_finish(struct bn_kms_card *card)
{
	for (unsigned p = 0; p < card->plane_count; p++) {
		if (card->planes[p].clips_blob)
			drmModeDestroyPropertyBlob(card->fd, card->planes[p].clips_blob);
	}
	if (card->least_blob)
		drmModeDestroyPropertyBlob(card->fd, card->least_blob);
	card->least_blob = 0;
}
