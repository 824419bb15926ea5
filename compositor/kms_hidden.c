/* Which items can be seen at all. One that opaque layers above it hide as a whole needs no plane, and takes none from others. */
#include <pixman.h>

#include "kms_impl.h"

#define BIT(i) (1ull << (i))

static bool hides(const struct bn_kms_item *item)
{
	return !item->cursor && !item->blend && item->alpha == BN_ALPHA_OPAQUE;
}

/* rest: what no layer above hides. Without memory for an answer: yes. */
static bool is_seen(const struct bn_kms_item *item, pixman_region32_t *rest)
{
	const struct bn_rect *at = &item->block;
	pixman_region32_t part;
	bool seen;

	pixman_region32_init(&part);
	seen = !pixman_region32_intersect_rect(&part, rest, at->x, at->y, at->width, at->height) ||
	       pixman_region32_not_empty(&part);
	pixman_region32_fini(&part);
	return seen;
}

uint64_t bn_kms_seen(const struct bn_kms_scene *scene)
{
	const struct bn_output_config *config = &scene->output->config;
	pixman_region32_t rest;
	uint64_t seen = 0;

	pixman_region32_init_rect(&rest, 0, 0, config->width, config->height);
	for (unsigned i = scene->count; i-- > 0;) {
		const struct bn_kms_item *item = &scene->items[i];

		if (is_seen(item, &rest))
			seen |= BIT(i);
		if (hides(item) && !bn_compose_subtract(&rest, &item->at.at)) {
			seen |= BIT(i) - 1;
			break;
		}
	}
	pixman_region32_fini(&rest);
	return seen;
}
