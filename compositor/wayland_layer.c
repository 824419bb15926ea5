/* Which surface shows what of a layer, and in which order they lie. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "wayland_impl.h"

void bn_wl_layer_finish(struct bn_wl *wl, struct bn_layer *layer)
{
	struct bn_wl_layer *planes = layer->impl_data;

	if (!planes)
		return;
	bn_wl_plane_finish(wl, &planes->cursor);
	bn_wl_plane_finish(wl, &planes->picture);
	free(planes);
	layer->impl_data = NULL;
	wl->restack = true;
}

static struct bn_wl_layer *layer_planes(struct bn_wl *wl, struct bn_layer *layer)
{
	struct bn_wl_layer *planes = layer->impl_data;

	if (planes)
		return planes;
	planes = calloc(1, sizeof(*planes));
	if (!planes)
		return NULL;
	layer->impl_data = planes;
	wl->restack = true;
	if (!bn_wl_plane_init(wl, &planes->picture) || !bn_wl_plane_init(wl, &planes->cursor)) {
		bn_wl_layer_finish(wl, layer);
		return NULL;
	}
	return planes;
}

static void say_copy(struct bn_wl *wl, struct bn_buffer *buffer, int r)
{
	uint32_t fourcc = bn_buffer_attrs(buffer)->fourcc;

	if (wl->said_copy)
		return;
	wl->said_copy = true;
	bn_warn("output %s: the compositor cannot take buffers of format %c%c%c%c as they are: %s",
		wl->output->config.name, fourcc & 0x7f, fourcc >> 8 & 0x7f, fourcc >> 16 & 0x7f,
		fourcc >> 24 & 0x7f,
		r < 0 ? "they cannot be copied either and stay unseen" : "they are copied");
}

static int draw_picture(pixman_image_t *image, int32_t x, int32_t y, struct bn_layer *layer)
{
	return bn_compose_at(image, x, y, &layer, 1, false, NULL);
}

static void copy_picture(struct bn_wl *wl, struct bn_wl_layer *planes, struct bn_layer *layer,
	const struct bn_wl_placed *wanted, bool refused)
{
	bool opaque = !wanted->blend && wanted->alpha == BN_ALPHA_OPAQUE;
	int r;

	if (!layer->fresh && bn_wl_plane_has_copy(wl, &planes->picture, wanted))
		return;
	r = bn_wl_plane_copy(wl, &planes->picture, layer, wanted, opaque, draw_picture);
	/* The picture before stays: until an image is released, or the GPU is through. */
	if (r == -EBUSY || r == -EAGAIN) {
		wl->dirty = true;
		return;
	}
	if (refused)
		say_copy(wl, layer->current.buffer, r);
	if (r < 0)
		bn_wl_plane_hide(wl, &planes->picture);
	layer->fresh = false;
}

static void update_picture(struct bn_wl *wl, struct bn_wl_layer *planes, struct bn_layer *layer)
{
	struct bn_wl_plane *plane = &planes->picture;
	struct bn_wl_buffer *buffer;
	struct bn_geometry geometry;
	struct bn_wl_placed wanted;
	const char *cannot;
	bool wait = false;

	if (!bn_layer_geometry(layer, &geometry)) {
		bn_wl_plane_hide(wl, plane);
		layer->fresh = false;
		return;
	}
	wanted = bn_wl_plane_wanted(wl, layer, &geometry);
	cannot = bn_wl_plane_cannot(wl, plane, bn_buffer_attrs(layer->current.buffer), &wanted);
	buffer = cannot ? NULL : bn_wl_buffer_get(wl, layer->current.buffer, wanted.blend, &wait);
	if (wait)
		return; /* shows what it showed until the compositor has looked at the dma-buf */
	planes->why_copied = cannot   ? cannot
			     : buffer ? NULL
				      : "the host compositor does not take such buffers";
	if (buffer) {
		bn_wl_plane_show(wl, plane, buffer, &layer->current, layer->fresh, &wanted);
		layer->fresh = false;
	} else {
		copy_picture(wl, planes, layer, &wanted, !cannot);
	}
}

static void update_cursor(struct bn_wl *wl, struct bn_wl_plane *plane, struct bn_layer *layer)
{
	struct bn_geometry geometry;
	struct bn_wl_placed wanted;

	if (!bn_cursor_geometry(layer, &geometry)) {
		bn_wl_plane_hide(wl, plane);
		return;
	}
	wanted = bn_wl_plane_wanted(wl, layer, &geometry);
	if (!layer->cursor.fresh && bn_wl_plane_has_copy(wl, plane, &wanted))
		return;
	if (bn_wl_plane_copy(wl, plane, layer, &wanted, false, bn_compose_cursor) < 0)
		wl->dirty = true;
	else
		layer->cursor.fresh = false;
}

struct wl_surface *bn_wl_layer_update(struct bn_wl *wl, struct bn_layer *layer)
{
	struct bn_wl_layer *planes;

	if (layer->dead)
		return NULL;
	planes = layer_planes(wl, layer);
	if (!planes)
		return NULL;
	update_picture(wl, planes, layer);
	if (planes->picture.mapped)
		update_cursor(wl, &planes->cursor, layer);
	else
		bn_wl_plane_hide(wl, &planes->cursor);
	return planes->picture.mapped ? planes->picture.surface : NULL;
}

static bool is_stacked(struct bn_wl *wl)
{
	struct wl_surface *below = wl->surface;
	struct bn_layer *layer;

	if (wl->restack)
		return false;
	wl_list_for_each(layer, &wl->output->layers, link)
	{
		struct bn_wl_layer *planes = layer->impl_data;

		if (!planes)
			continue;
		if (planes->below != below)
			return false;
		below = planes->cursor.surface;
	}
	return true;
}

void bn_wl_layers_stack(struct bn_wl *wl)
{
	struct wl_surface *below = wl->surface;
	struct bn_layer *layer;

	if (is_stacked(wl))
		return;
	wl->restack = false;
	wl_list_for_each(layer, &wl->output->layers, link)
	{
		struct bn_wl_layer *planes = layer->impl_data;

		if (!planes)
			continue;
		planes->below = below;
		wl_subsurface_place_above(planes->picture.subsurface, below);
		wl_subsurface_place_above(planes->cursor.subsurface, planes->picture.surface);
		below = planes->cursor.surface;
	}
}

void bn_wl_layer_shown(const struct bn_layer *layer, struct bn_layer_shown *out)
{
	const struct bn_wl_layer *planes = layer->impl_data;

	if (!planes || !planes->picture.mapped) {
		out->how = BN_SHOWN_NOT;
		snprintf(out->why, sizeof(out->why), "the host compositor has not taken it yet");
	} else if (planes->picture.copied) {
		snprintf(out->why, sizeof(out->why), "%s",
			planes->why_copied ? planes->why_copied : "");
	} else {
		out->how = BN_SHOWN_PLANE;
		out->why[0] = '\0';
	}
}
