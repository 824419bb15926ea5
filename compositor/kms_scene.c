/* What is to be shown: the layers and cursors that can be seen, each with its framebuffer and its right to a plane. */
#include <drm_fourcc.h>
#include <string.h>

#include "kms_impl.h"
#include "zero-copy/format.h"

#define BIT(i) (1ull << (i))

static uint64_t usable_planes(const struct bn_kms_output *ko)
{
	const struct bn_kms_card *card = ko->card;
	uint64_t set = 0;

	for (unsigned p = 0; p < card->plane_count; p++) {
		const struct bn_kms_plane *plane = &card->planes[p];

		/* The primary plane of another CRTC may be wanted there any time. */
		if (!(plane->possible_crtcs & (1u << ko->crtc_index)) ||
			(plane->owner && plane->owner != ko->output) ||
			(plane->type == DRM_PLANE_TYPE_PRIMARY && (int)p != ko->primary))
			continue;
		set |= BIT(p);
	}
	return set;
}

/* The planes that are its VM's own go to the VM's uppermost layers. */
static bool is_reserved(const struct bn_layer *layer)
{
	const struct bn_output *output = layer->output;
	const struct bn_layer *above;
	struct bn_geometry unused;
	unsigned before = 0;

	if (layer->vm == UINT32_MAX || layer->planes == 0)
		return false;
	for (struct wl_list *at = layer->link.next; at != &output->layers; at = at->next) {
		above = wl_container_of(at, above, link);
		before += above->vm == layer->vm && bn_layer_geometry(above, &unused);
	}
	return before < layer->planes;
}

static enum bn_kms_right right_of(const struct bn_layer *layer)
{
	switch (layer->place.role) {
	case BN_ROLE_FALLBACK:
		return BN_KMS_FALLBACK;
	case BN_ROLE_SAFETY:
		return BN_KMS_SAFETY;
	case BN_ROLE_NORMAL:
		break;
	}
	return is_reserved(layer) ? BN_KMS_RESERVED : BN_KMS_ANY;
}

static void fill_layer(struct bn_kms_output *ko, struct bn_kms_item *item, struct bn_layer *layer)
{
	struct bn_buffer *buffer = layer->current.buffer;
	const struct bn_buffer_attrs *attrs = bn_buffer_attrs(buffer);
	const struct bn_format *format = bn_format_find(attrs->fourcc);
	uint32_t opaque = bn_kms_fourcc_opaque(attrs->fourcc);

	item->layer = layer;
	item->plain = bn_geometry_is_plain(&item->at);
	item->block = item->at.at;
	item->blend = layer->place.blend && opaque != attrs->fourcc;
	item->fourcc = item->blend ? attrs->fourcc : opaque;
	item->modifier = attrs->modifier;
	item->alpha = layer->place.alpha;
	item->yuv = format && format->bits != 0;
	item->encoding = (uint8_t)attrs->encoding;
	item->range = (uint8_t)attrs->range;
	item->fb_width = attrs->width;
	item->fb_height = attrs->height;
	item->right = right_of(layer);
	item->fb = bn_kms_fb_get(ko->card, buffer, item->blend, &item->why);
}

static void fill_cursor(
	struct bn_kms_item *item, struct bn_layer *layer, const struct bn_geometry *of_layer)
{
	struct bn_kms_layer *kl = bn_kms_layer_of(layer);

	if (kl && layer->cursor.fresh)
		kl->cursor_changed = true;
	item->layer = layer;
	item->cursor = true;
	item->plain = bn_geometry_is_plain(&item->at);
	item->block = of_layer->at;
	item->blend = true;
	item->fourcc = DRM_FORMAT_ARGB8888;
	item->modifier = DRM_FORMAT_MOD_LINEAR;
	item->alpha = layer->place.alpha;
	item->right = BN_KMS_ANY;
	item->why = "another cursor has the plane";
}

/* The uppermost cursor may have a plane. Its picture has a size that the hardware likes, and lies at the top left of that. */
static void prepare_cursor(struct bn_kms_output *ko, struct bn_kms_scene *scene)
{
	struct bn_kms_item *item = NULL;

	for (unsigned i = 0; i < scene->count; i++) {
		if (scene->items[i].cursor)
			item = &scene->items[i];
	}
	if (!item)
		return;
	item->why = "turned or scaled with its layer";
	if (!item->plain)
		return;
	item->fb = bn_kms_cursor_draw(ko, item);
	item->why = "no memory for its picture";
	item->fb_width = ko->card->cursor_width;
	item->fb_height = ko->card->cursor_height;
}

void bn_kms_scene_gather(struct bn_kms_output *ko)
{
	struct bn_kms_scene *scene = &ko->scene;
	struct bn_layer *layer;

	scene->output = ko->output;
	scene->card = ko->card;
	scene->primary = ko->primary;
	scene->usable = usable_planes(ko);
	scene->count = 0;
	wl_list_for_each(layer, &ko->output->layers, link)
	{
		struct bn_kms_item *item = &scene->items[scene->count];
		struct bn_geometry of_layer;

		if (scene->count + 2 > BN_KMS_ITEMS_MAX)
			break;
		memset(item, 0, sizeof(*item));
		if (!bn_layer_geometry(layer, &item->at))
			continue;
		of_layer = item->at;
		fill_layer(ko, item, layer);
		scene->count++;
		item++;
		memset(item, 0, sizeof(*item));
		if (!bn_cursor_geometry(layer, &item->at))
			continue;
		fill_cursor(item, layer, &of_layer);
		scene->count++;
	}
	prepare_cursor(ko, scene);
}
