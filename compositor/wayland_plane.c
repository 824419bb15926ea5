#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "wayland_impl.h"

/* A new subsurface is above all others, as a new layer is. Its state is applied with the
 * window's ("synchronized"), so that all layers of an output change together. */
static bool plane_init(struct bn_wl *wl, struct bn_wl_plane *plane)
{
	plane->surface = wl_compositor_create_surface(wl->compositor);
	if (!plane->surface)
		return false;
	plane->subsurface =
		wl_subcompositor_get_subsurface(wl->subcompositor, plane->surface, wl->surface);
	if (wl->viewporter)
		plane->viewport = wp_viewporter_get_viewport(wl->viewporter, plane->surface);
	return plane->subsurface && (plane->viewport || !wl->viewporter);
}

static void plane_finish(struct bn_wl *wl, struct bn_wl_plane *plane)
{
	if (plane->surface && wl->frame_surface == plane->surface)
		bn_wl_drop_frame(wl);
	if (plane->viewport)
		wp_viewport_destroy(plane->viewport);
	if (plane->subsurface)
		wl_subsurface_destroy(plane->subsurface);
	if (plane->surface)
		wl_surface_destroy(plane->surface);
	for (size_t i = 0; i < BN_WL_IMAGES; i++)
		bn_wl_image_finish(&plane->images[i]);
}

void bn_wl_layer_finish(struct bn_wl *wl, struct bn_layer *layer)
{
	struct bn_wl_layer *planes = layer->impl_data;

	if (!planes)
		return;
	plane_finish(wl, &planes->cursor);
	plane_finish(wl, &planes->picture);
	free(planes);
	layer->impl_data = NULL;
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
	if (!plane_init(wl, &planes->picture) || !plane_init(wl, &planes->cursor)) {
		bn_wl_layer_finish(wl, layer);
		return NULL;
	}
	return planes;
}

static void plane_hide(struct bn_wl *wl, struct bn_wl_plane *plane)
{
	if (!plane->mapped)
		return;
	/* A surface without a buffer gets no frame callbacks. */
	if (wl->frame_surface == plane->surface)
		bn_wl_drop_frame(wl);
	wl_surface_attach(plane->surface, NULL, 0, 0);
	wl_surface_commit(plane->surface);
	plane->mapped = false;
}

static bool same_view(const struct bn_view *a, const struct bn_view *b)
{
	return a->x == b->x && a->y == b->y && a->width == b->width && a->height == b->height &&
	       a->src_x == b->src_x && a->src_y == b->src_y;
}

/* Places the plane; cropped says that the view is a part of what is attached. */
static void plane_place(struct bn_wl_plane *plane, const struct bn_view *view, bool cropped)
{
	wl_subsurface_set_position(plane->subsurface, (int32_t)view->x, (int32_t)view->y);
	if (plane->viewport && cropped) {
		wp_viewport_set_source(plane->viewport, wl_fixed_from_int((int)view->src_x),
			wl_fixed_from_int((int)view->src_y), wl_fixed_from_int((int)view->width),
			wl_fixed_from_int((int)view->height));
	} else if (plane->viewport) {
		wl_fixed_t unset = wl_fixed_from_int(-1);

		wp_viewport_set_source(plane->viewport, unset, unset, unset, unset);
	}
	plane->view = *view;
}

static void damage_frame(struct wl_surface *surface, const struct bn_frame *frame)
{
	const struct bn_buffer_attrs *attrs = bn_buffer_attrs(frame->buffer);
	uint32_t y = frame->damage_y;

	/* Frames speak of the picture upright, the request of the buffer as it is stored. */
	if (attrs->y_invert)
		y = attrs->height - frame->damage_y - frame->damage_height;
	wl_surface_damage_buffer(surface, (int32_t)frame->damage_x, (int32_t)y,
		(int32_t)frame->damage_width, (int32_t)frame->damage_height);
}

/* The guest's own memory or dma-buf. */
static void show_buffer(struct bn_wl_plane *plane, struct bn_layer *layer,
	struct bn_wl_buffer *buffer, const struct bn_view *view)
{
	const struct bn_frame *frame = &layer->current;
	bool attach = layer->fresh || !plane->mapped || plane->copied;

	if (!attach && same_view(view, &plane->view))
		return;
	if (attach) {
		wl_surface_attach(plane->surface, buffer->wl_buffer, 0, 0);
		wl_surface_set_buffer_transform(plane->surface,
			bn_buffer_attrs(frame->buffer)->y_invert ? WL_OUTPUT_TRANSFORM_FLIPPED_180
								 : WL_OUTPUT_TRANSFORM_NORMAL);
		bn_wl_buffer_use(buffer);
		if (plane->mapped && !plane->copied)
			damage_frame(plane->surface, frame);
		else
			wl_surface_damage_buffer(plane->surface, 0, 0, INT32_MAX, INT32_MAX);
		plane->mapped = true;
		plane->copied = false;
	}
	plane_place(plane, view, true);
	wl_surface_commit(plane->surface);
	layer->fresh = false;
}

static void attach_image(struct bn_wl_plane *plane, struct bn_wl_image *image)
{
	wl_surface_attach(plane->surface, image->wl_buffer, 0, 0);
	wl_surface_damage_buffer(plane->surface, 0, 0, INT32_MAX, INT32_MAX);
	image->busy = true;
	plane->mapped = true;
	plane->copied = true;
}

static int compose_image(
	struct bn_wl_image *image, struct bn_buffer *buffer, const struct bn_view *view)
{
	pixman_image_t *dst = pixman_image_create_bits_no_clear(PIXMAN_x8r8g8b8, (int)image->width,
		(int)image->height, image->pixels, (int)(image->width * 4));
	int r;

	if (!dst)
		return -ENOMEM;
	r = bn_compose_buffer(dst, buffer, view, 0, 0);
	pixman_image_unref(dst);
	return r;
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

/* What the compositor cannot take, or cannot crop, it gets as a copy of exactly what is to be
 * seen. */
static void show_copy(struct bn_wl *wl, struct bn_wl_plane *plane, struct bn_layer *layer,
	const struct bn_view *view)
{
	struct bn_wl_image *image;
	int r;

	if (!layer->fresh && plane->mapped && plane->copied && same_view(view, &plane->view))
		return;
	image = bn_wl_image_get(wl, plane, view->width, view->height, WL_SHM_FORMAT_XRGB8888);
	if (!image) {
		wl->dirty = true; /* tried again when an image is released */
		return;
	}
	r = compose_image(image, layer->current.buffer, view);
	if (r == -EAGAIN) { /* the picture before stays */
		wl->dirty = true;
		return;
	}
	say_copy(wl, layer->current.buffer, r);
	if (r < 0) {
		plane_hide(wl, plane);
		layer->fresh = false;
		return;
	}
	wl_surface_set_buffer_transform(plane->surface, WL_OUTPUT_TRANSFORM_NORMAL);
	attach_image(plane, image);
	plane_place(plane, view, false);
	wl_surface_commit(plane->surface);
	layer->fresh = false;
}

static bool is_whole(const struct bn_view *view, const struct bn_buffer_attrs *attrs)
{
	return view->src_x == 0 && view->src_y == 0 && view->width == attrs->width &&
	       view->height == attrs->height;
}

static void place_in_window(const struct bn_wl *wl, struct bn_view *view)
{
	int32_t x, y;

	bn_wl_window_origin(wl, &x, &y);
	view->x += (uint32_t)x;
	view->y += (uint32_t)y;
}

static void update_picture(struct bn_wl *wl, struct bn_wl_plane *plane, struct bn_layer *layer)
{
	struct bn_wl_buffer *buffer;
	struct bn_view view;
	bool wait;

	if (!bn_layer_view(layer, &view)) {
		plane_hide(wl, plane);
		layer->fresh = false;
		return;
	}
	place_in_window(wl, &view);
	buffer = bn_wl_buffer_get(wl, layer->current.buffer, &wait);
	if (wait)
		return; /* shows what it showed until the compositor has looked at the dma-buf */
	if (buffer && (plane->viewport || is_whole(&view, bn_buffer_attrs(layer->current.buffer))))
		show_buffer(plane, layer, buffer, &view);
	else
		show_copy(wl, plane, layer, &view);
}

static void update_cursor(struct bn_wl *wl, struct bn_wl_plane *plane, struct bn_layer *layer)
{
	struct bn_cursor *cursor = &layer->cursor;
	struct bn_wl_image *image;
	struct bn_view view;

	/* Without a viewport it cannot be cropped: better none than one that lies on another
	 * guest's picture. */
	if (!bn_cursor_view(layer, &view) ||
		(!plane->viewport &&
			(view.width != BN_CURSOR_SIZE || view.height != BN_CURSOR_SIZE))) {
		plane_hide(wl, plane);
		return;
	}
	place_in_window(wl, &view);
	if (!cursor->fresh && plane->mapped && same_view(&view, &plane->view))
		return;
	if (cursor->fresh || !plane->mapped) {
		image = bn_wl_image_get(
			wl, plane, BN_CURSOR_SIZE, BN_CURSOR_SIZE, WL_SHM_FORMAT_ARGB8888);
		if (!image) {
			wl->dirty = true;
			return;
		}
		memcpy(image->pixels, cursor->pixels, sizeof(cursor->pixels));
		attach_image(plane, image);
		cursor->fresh = false;
	}
	plane_place(plane, &view, true);
	wl_surface_commit(plane->surface);
}

struct wl_surface *bn_wl_layer_update(struct bn_wl *wl, struct bn_layer *layer)
{
	struct bn_wl_layer *planes;

	if (layer->dead)
		return NULL;
	planes = layer_planes(wl, layer);
	if (!planes)
		return NULL;
	update_picture(wl, &planes->picture, layer);
	if (planes->picture.mapped)
		update_cursor(wl, &planes->cursor, layer);
	else
		plane_hide(wl, &planes->cursor);
	return planes->picture.mapped ? planes->picture.surface : NULL;
}
