#include <drm_mode.h>
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

static bool same_geometry(const struct bn_geometry *a, const struct bn_geometry *b)
{
	return a->at.x == b->at.x && a->at.y == b->at.y && a->at.width == b->at.width &&
	       a->at.height == b->at.height && a->src_x == b->src_x && a->src_y == b->src_y &&
	       a->src_width == b->src_width && a->src_height == b->src_height &&
	       a->transform == b->transform;
}

static bool is_placed(
	const struct bn_wl *wl, const struct bn_wl_plane *plane, const struct bn_geometry *geometry)
{
	int32_t x, y;

	bn_wl_window_origin(wl, &x, &y);
	return plane->placed && plane->x == x && plane->y == y &&
	       same_geometry(geometry, &plane->geometry);
}

/* Places the plane. source: the part of what is attached that is shown, upright, in 1/65536 pixel;
 * NULL: all of it. */
static void plane_place(const struct bn_wl *wl, struct bn_wl_plane *plane,
	const struct bn_geometry *geometry, const struct bn_geometry *source)
{
	bn_wl_window_origin(wl, &plane->x, &plane->y);
	wl_subsurface_set_position(
		plane->subsurface, geometry->at.x + plane->x, geometry->at.y + plane->y);
	if (plane->viewport && source) {
		wp_viewport_set_source(plane->viewport, (wl_fixed_t)(source->src_x / 256),
			(wl_fixed_t)(source->src_y / 256), (wl_fixed_t)(source->src_width / 256),
			(wl_fixed_t)(source->src_height / 256));
	} else if (plane->viewport) {
		wl_fixed_t unset = wl_fixed_from_int(-1);

		wp_viewport_set_source(plane->viewport, unset, unset, unset, unset);
	}
	plane->geometry = *geometry;
	plane->placed = true;
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
static void show_buffer(struct bn_wl *wl, struct bn_wl_plane *plane, struct bn_layer *layer,
	struct bn_wl_buffer *buffer, const struct bn_geometry *geometry)
{
	const struct bn_frame *frame = &layer->current;
	bool flipped = geometry->transform & DRM_MODE_REFLECT_Y;
	bool attach = layer->fresh || !plane->mapped || plane->copied ||
		      geometry->transform != plane->geometry.transform;
	struct bn_geometry source = *geometry;

	if (!attach && is_placed(wl, plane, geometry))
		return;
	if (attach) {
		wl_surface_attach(plane->surface, buffer->wl_buffer, 0, 0);
		wl_surface_set_buffer_transform(plane->surface,
			flipped ? WL_OUTPUT_TRANSFORM_FLIPPED_180 : WL_OUTPUT_TRANSFORM_NORMAL);
		bn_wl_buffer_use(buffer);
		if (plane->mapped && !plane->copied)
			damage_frame(plane->surface, frame);
		else
			wl_surface_damage_buffer(plane->surface, 0, 0, INT32_MAX, INT32_MAX);
		plane->mapped = true;
		plane->copied = false;
	}
	if (flipped)
		source.src_y = (bn_buffer_attrs(frame->buffer)->height << 16) - geometry->src_y -
			       geometry->src_height;
	plane_place(wl, plane, geometry, &source);
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

static bool is_opaque(const struct bn_layer *layer)
{
	return !layer->place.blend && layer->place.alpha == BN_ALPHA_OPAQUE;
}

static int compose_image(
	struct bn_wl_image *image, struct bn_layer *layer, const struct bn_geometry *geometry)
{
	pixman_image_t *dst = pixman_image_create_bits_no_clear(
		is_opaque(layer) ? PIXMAN_x8r8g8b8 : PIXMAN_a8r8g8b8, (int)image->width,
		(int)image->height, image->pixels, (int)(image->width * 4));
	int r;

	if (!dst)
		return -ENOMEM;
	if (!is_opaque(layer))
		memset(image->pixels, 0, (size_t)image->width * image->height * 4);
	r = bn_compose_at(dst, geometry->at.x, geometry->at.y, &layer, 1, false, NULL);
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

/* What the compositor cannot take or show as it is to be shown, it gets as a copy of exactly what is
 * to be seen. */
static void show_copy(struct bn_wl *wl, struct bn_wl_plane *plane, struct bn_layer *layer,
	const struct bn_geometry *geometry)
{
	struct bn_wl_image *image;
	int r;

	if (!layer->fresh && plane->mapped && plane->copied && is_placed(wl, plane, geometry) &&
		plane->alpha == layer->place.alpha && plane->blend == layer->place.blend)
		return;
	image = bn_wl_image_get(wl, plane, geometry->at.width, geometry->at.height,
		is_opaque(layer) ? WL_SHM_FORMAT_XRGB8888 : WL_SHM_FORMAT_ARGB8888);
	if (!image) {
		wl->dirty = true; /* tried again when an image is released */
		return;
	}
	r = compose_image(image, layer, geometry);
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
	plane_place(wl, plane, geometry, NULL);
	plane->alpha = layer->place.alpha;
	plane->blend = layer->place.blend;
	wl_surface_commit(plane->surface);
	layer->fresh = false;
}

static bool is_whole(const struct bn_geometry *geometry, const struct bn_buffer_attrs *attrs)
{
	return geometry->src_x == 0 && geometry->src_y == 0 &&
	       geometry->src_width >> 16 == attrs->width &&
	       geometry->src_height >> 16 == attrs->height;
}

/* Whether the surface can show the buffer so. */
static bool can_show(const struct bn_wl_plane *plane, const struct bn_layer *layer,
	const struct bn_geometry *geometry)
{
	return is_opaque(layer) && !bn_geometry_is_scaled(geometry) &&
	       (geometry->transform & ~DRM_MODE_REFLECT_Y) == DRM_MODE_ROTATE_0 &&
	       (plane->viewport || is_whole(geometry, bn_buffer_attrs(layer->current.buffer)));
}

static void update_picture(struct bn_wl *wl, struct bn_wl_plane *plane, struct bn_layer *layer)
{
	struct bn_geometry geometry;
	struct bn_wl_buffer *buffer;
	bool wait;

	if (!bn_layer_geometry(layer, &geometry)) {
		plane_hide(wl, plane);
		layer->fresh = false;
		return;
	}
	buffer = bn_wl_buffer_get(wl, layer->current.buffer, &wait);
	if (wait)
		return; /* shows what it showed until the compositor has looked at the dma-buf */
	if (buffer && can_show(plane, layer, &geometry))
		show_buffer(wl, plane, layer, buffer, &geometry);
	else
		show_copy(wl, plane, layer, &geometry);
}

static void update_cursor(struct bn_wl *wl, struct bn_wl_plane *plane, struct bn_layer *layer)
{
	struct bn_cursor *cursor = &layer->cursor;
	struct bn_geometry geometry;
	struct bn_wl_image *image;

	/* Without a viewport it cannot be cropped: better none than one that lies on another
	 * guest's picture. */
	if (!bn_cursor_geometry(layer, &geometry) || !bn_geometry_is_plain(&geometry) ||
		(!plane->viewport && (geometry.at.width != BN_CURSOR_SIZE ||
					     geometry.at.height != BN_CURSOR_SIZE))) {
		plane_hide(wl, plane);
		return;
	}
	if (!cursor->fresh && plane->mapped && is_placed(wl, plane, &geometry))
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
	plane_place(wl, plane, &geometry, &geometry);
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
