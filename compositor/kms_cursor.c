/* A layer's cursor in memory of the card. */
#include <string.h>

#include "kms_impl.h"

static struct bn_kms_dumb *free_picture(struct bn_kms_output *ko, int *index)
{
	for (int i = 0; i < BN_KMS_PICTURES; i++) {
		struct bn_kms_dumb *dumb = &ko->cursor.dumb[i];

		if (bn_kms_is_held(ko, true, i))
			continue;
		if (!dumb->map && bn_kms_dumb_init(dumb, ko->card, ko->card->cursor_width,
					  ko->card->cursor_height) < 0)
			return NULL;
		*index = i;
		return dumb;
	}
	return NULL;
}

static bool is_drawn(const struct bn_kms_cursor *cursor, const struct bn_kms_item *item)
{
	return cursor->latest >= 0 && cursor->layer == item->layer && !item->layer->cursor.fresh &&
	       cursor->src_x == item->at.src_x >> 16 && cursor->src_y == item->at.src_y >> 16 &&
	       cursor->width == item->at.at.width && cursor->height == item->at.at.height;
}

/* The part that can be seen, at the top left; the rest is transparent. */
static void copy_part(
	const struct bn_kms_cursor *cursor, const struct bn_kms_dumb *dumb, const uint32_t *pixels)
{
	memset(dumb->map, 0, dumb->size);
	for (uint32_t y = 0; y < cursor->height && y < dumb->height; y++)
		memcpy(dumb->map + (size_t)y * dumb->stride,
			pixels + (size_t)(cursor->src_y + y) * BN_CURSOR_SIZE + cursor->src_x,
			cursor->width * sizeof(*pixels));
}

uint32_t bn_kms_cursor_draw(struct bn_kms_output *ko, const struct bn_kms_item *item)
{
	struct bn_kms_cursor *cursor = &ko->cursor;
	struct bn_kms_dumb *dumb;

	if (ko->card->cursor_width < BN_CURSOR_SIZE || ko->card->cursor_height < BN_CURSOR_SIZE ||
		ko->card->cursor_width > 1024 || ko->card->cursor_height > 1024)
		return 0;
	if (is_drawn(cursor, item))
		return cursor->dumb[cursor->latest].fb_alpha;
	dumb = free_picture(ko, &cursor->latest);
	if (!dumb) {
		cursor->latest = -1;
		return 0;
	}
	cursor->layer = item->layer;
	cursor->src_x = item->at.src_x >> 16;
	cursor->src_y = item->at.src_y >> 16;
	cursor->width = item->at.at.width;
	cursor->height = item->at.at.height;
	copy_part(cursor, dumb, item->layer->cursor.pixels);
	item->layer->cursor.fresh = false;
	return dumb->fb_alpha;
}

void bn_kms_cursor_finish(struct bn_kms_output *ko)
{
	for (int i = 0; i < BN_KMS_PICTURES; i++) {
		if (ko->cursor.dumb[i].handle)
			bn_kms_dumb_finish(&ko->cursor.dumb[i], ko->card);
	}
	ko->cursor.latest = -1;
}
