#include "compositor/place.h"

#include <drm_mode.h>
#include <stddef.h>

const struct bn_place bn_place_default = {.alpha = BN_ALPHA_OPAQUE};

struct bn_rect bn_place_rect(const struct bn_place *place, uint32_t width, uint32_t height)
{
	struct bn_rect rect = place->at;

	if (place->crop.width != 0 && place->crop.height != 0) {
		width = place->crop.width;
		height = place->crop.height;
	}
	if (place->transform & (DRM_MODE_ROTATE_90 | DRM_MODE_ROTATE_270)) {
		uint32_t turned = width;

		width = height;
		height = turned;
	}
	if (rect.width == 0 || rect.height == 0) {
		rect.width = width;
		rect.height = height;
	}
	return rect;
}

static bool overlap(int32_t a, uint32_t a_length, int32_t b, uint32_t b_length, int32_t *start,
	uint32_t *length)
{
	int64_t a_end = (int64_t)a + a_length, b_end = (int64_t)b + b_length;
	int64_t end = a_end < b_end ? a_end : b_end;

	*start = a > b ? a : b;
	if (end <= *start)
		return false;
	*length = (uint32_t)(end - *start);
	return true;
}

bool bn_rect_intersect(const struct bn_rect *a, const struct bn_rect *b, struct bn_rect *common)
{
	struct bn_rect both;

	if (!overlap(a->x, a->width, b->x, b->width, &both.x, &both.width) ||
		!overlap(a->y, a->height, b->y, b->height, &both.y, &both.height))
		return false;
	if (common)
		*common = both;
	return true;
}
