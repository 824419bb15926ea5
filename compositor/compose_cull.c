/* What is drawn of several layers that lie over each other: of each only what no opaque layer above it hides. */
#include <errno.h>

#include "output_impl.h"
#include "zero-copy/format.h"

static bool item_geometry(const struct bn_compose_item *item, struct bn_geometry *geometry)
{
	return item->cursor ? bn_cursor_geometry(item->layer, geometry)
			    : bn_layer_geometry(item->layer, geometry);
}

/* Whether nothing below the item can be seen where it is. */
static bool hides(const struct bn_compose_item *item, struct bn_geometry *geometry)
{
	const struct bn_layer *layer = item->layer;
	const struct bn_format *format;

	if (item->cursor || layer->place.alpha != BN_ALPHA_OPAQUE ||
		!bn_layer_geometry(layer, geometry))
		return false;
	format = bn_format_find(bn_buffer_attrs(layer->current.buffer)->fourcc);
	return format && !(layer->place.blend && format->alpha);
}

bool bn_compose_subtract(pixman_region32_t *from, const struct bn_rect *rect)
{
	pixman_region32_t part;
	bool ok;

	pixman_region32_init_rect(&part, rect->x, rect->y, rect->width, rect->height);
	ok = pixman_region32_subtract(from, from, &part);
	pixman_region32_fini(&part);
	return ok;
}

struct job {
	const struct bn_compose_item *items;
	bn_compose_draw draw;
	void *data;
};

static int draw_items(const struct job *job, unsigned count, pixman_region32_t *region);

/* seen: where no layer above hides it. */
static int draw_item(const struct job *job, unsigned i, const pixman_region32_t *seen)
{
	const struct bn_compose_item *item = &job->items[i];
	struct bn_geometry g;
	pixman_region32_t part;
	int r = 0, below;

	if (!item_geometry(item, &g))
		return 0;
	pixman_region32_init(&part);
	if (!pixman_region32_intersect_rect(&part, (pixman_region32_t *)(uintptr_t)seen, g.at.x,
		    g.at.y, g.at.width, g.at.height))
		r = -ENOMEM;
	else if (pixman_region32_not_empty(&part))
		r = job->draw(job->data, item, &part);
	/* It cannot be read after all: then it hides nothing. */
	if (r < 0 && hides(item, &g)) {
		below = draw_items(job, i, &part);
		r = r == -EAGAIN ? r : below < 0 ? below : r;
	}
	pixman_region32_fini(&part);
	return r;
}

/* Where each item is not hidden. False: no memory. */
static bool find_seen(
	const struct job *job, unsigned count, pixman_region32_t *region, pixman_region32_t *seen)
{
	pixman_region32_t rest;
	bool ok;

	pixman_region32_init(&rest);
	ok = pixman_region32_copy(&rest, region);
	for (unsigned i = count; i-- > 0;) {
		struct bn_geometry g;

		pixman_region32_init(&seen[i]);
		ok = ok && pixman_region32_copy(&seen[i], &rest);
		if (ok && hides(&job->items[i], &g))
			ok = bn_compose_subtract(&rest, &g.at);
	}
	pixman_region32_fini(&rest);
	return ok;
}

static int draw_items(const struct job *job, unsigned count, pixman_region32_t *region)
{
	pixman_region32_t seen[BN_COMPOSE_ITEMS_MAX];
	int first = 0;

	if (!find_seen(job, count, region, seen))
		first = -ENOMEM;
	for (unsigned i = 0; i < count; i++) {
		int r = first == -ENOMEM ? 0 : draw_item(job, i, &seen[i]);

		if (first == 0)
			first = r;
		pixman_region32_fini(&seen[i]);
	}
	return first;
}

int bn_compose_each(const struct bn_compose_item *items, unsigned count, pixman_region32_t *region,
	bn_compose_draw draw, void *data)
{
	const struct job job = {items, draw, data};

	return draw_items(
		&job, count < BN_COMPOSE_ITEMS_MAX ? count : BN_COMPOSE_ITEMS_MAX, region);
}
