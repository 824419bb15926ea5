/* One subsurface: a buffer as it is, cropped, scaled, turned and blended by the compositor, or a
 * copy of exactly what is to be seen, drawn here. */
#include <drm_mode.h>
#include <errno.h>
#include <string.h>

#include "wayland_impl.h"

/* Pointer and touch are the window's affair. */
static bool take_no_input(struct bn_wl *wl, struct wl_surface *surface)
{
	struct wl_region *nothing = wl_compositor_create_region(wl->compositor);

	if (!nothing)
		return false;
	wl_surface_set_input_region(surface, nothing);
	wl_region_destroy(nothing);
	return true;
}

/* A new subsurface is above all others, as a new layer is. Its state is applied with the
 * window's ("synchronized"), so that all layers of an output change together. */
bool bn_wl_plane_init(struct bn_wl *wl, struct bn_wl_plane *plane)
{
	plane->surface = wl_compositor_create_surface(wl->compositor);
	if (!plane->surface || !take_no_input(wl, plane->surface))
		return false;
	plane->subsurface =
		wl_subcompositor_get_subsurface(wl->subcompositor, plane->surface, wl->surface);
	if (wl->viewporter)
		plane->viewport = wp_viewporter_get_viewport(wl->viewporter, plane->surface);
	if (wl->alpha_modifier)
		plane->alpha = wp_alpha_modifier_v1_get_surface(wl->alpha_modifier, plane->surface);
	return plane->subsurface && (plane->viewport || !wl->viewporter) &&
	       (plane->alpha || !wl->alpha_modifier);
}

void bn_wl_plane_finish(struct bn_wl *wl, struct bn_wl_plane *plane)
{
	if (plane->surface && wl->frame_surface == plane->surface)
		bn_wl_drop_frame(wl);
	if (plane->alpha)
		wp_alpha_modifier_surface_v1_destroy(plane->alpha);
	if (plane->viewport)
		wp_viewport_destroy(plane->viewport);
	if (plane->subsurface)
		wl_subsurface_destroy(plane->subsurface);
	if (plane->surface)
		wl_surface_destroy(plane->surface);
	for (size_t i = 0; i < BN_WL_IMAGES; i++)
		bn_wl_image_finish(&plane->images[i]);
}

void bn_wl_plane_hide(struct bn_wl *wl, struct bn_wl_plane *plane)
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

struct bn_wl_placed bn_wl_plane_wanted(
	const struct bn_wl *wl, const struct bn_layer *layer, const struct bn_geometry *geometry)
{
	struct bn_wl_placed wanted = {
		.geometry = *geometry,
		.scale = wl->scale,
		.alpha = layer->place.alpha,
		.blend = layer->place.blend,
	};

	bn_wl_window_origin(wl, &wanted.x, &wanted.y);
	return wanted;
}

static bool same_source(const struct bn_geometry *a, const struct bn_geometry *b)
{
	return a->at.width == b->at.width && a->at.height == b->at.height && a->src_x == b->src_x &&
	       a->src_y == b->src_y && a->src_width == b->src_width &&
	       a->src_height == b->src_height && a->transform == b->transform;
}

/* All but where it is. */
static bool same_look(const struct bn_wl_placed *a, const struct bn_wl_placed *b)
{
	return same_source(&a->geometry, &b->geometry) && a->scale == b->scale &&
	       a->alpha == b->alpha && a->blend == b->blend;
}

static bool same_position(const struct bn_wl_placed *a, const struct bn_wl_placed *b)
{
	return a->geometry.at.x == b->geometry.at.x && a->geometry.at.y == b->geometry.at.y &&
	       a->x == b->x && a->y == b->y;
}

/* The least rectangle around it whose edges are on the window's grid. */
static struct bn_rect on_grid(const struct bn_wl *wl, const struct bn_rect *at)
{
	struct bn_rect to;
	uint32_t pixels, units, x, y;

	bn_wl_window_grid(wl, &pixels, &units);
	x = (uint32_t)at->x / pixels * pixels;
	y = (uint32_t)at->y / pixels * pixels;
	to.x = (int32_t)x;
	to.y = (int32_t)y;
	to.width = ((uint32_t)at->x + at->width - x + pixels - 1) / pixels * pixels;
	to.height = ((uint32_t)at->y + at->height - y + pixels - 1) / pixels * pixels;
	return to;
}

static bool is_on_grid(const struct bn_wl *wl, const struct bn_rect *at)
{
	struct bn_rect to = on_grid(wl, at);

	return to.x == at->x && to.y == at->y && to.width == at->width && to.height == at->height;
}

static bool is_whole(const struct bn_geometry *geometry, const struct bn_buffer_attrs *attrs)
{
	return geometry->src_width >> 16 == attrs->width &&
	       geometry->src_height >> 16 == attrs->height && !bn_geometry_is_scaled(geometry);
}

const char *bn_wl_plane_cannot(const struct bn_wl *wl, const struct bn_wl_plane *plane,
	const struct bn_buffer_attrs *attrs, const struct bn_wl_placed *wanted)
{
	if (!plane->viewport && !is_whole(&wanted->geometry, attrs))
		return "the host compositor cannot crop and scale (wp_viewporter)";
	if (!plane->alpha && wanted->alpha != BN_ALPHA_OPAQUE)
		return "the host compositor has no alpha for whole layers (wp_alpha_modifier_v1)";
	if (!is_on_grid(wl, &wanted->geometry.at))
		return "its edges are between two units of the host compositor's fractional scale";
	return NULL;
}

/* on: where, in output pixels, on the grid. source: the part of what is attached that is shown, turned, in 1/65536
 * pixel; NULL: all of it. */
static void place(struct bn_wl *wl, struct bn_wl_plane *plane, const struct bn_wl_placed *wanted,
	const struct bn_rect *on, const struct bn_rect *source)
{
	uint32_t pixels, units;
	wl_fixed_t unset = wl_fixed_from_int(-1);

	bn_wl_window_grid(wl, &pixels, &units);
	wl_subsurface_set_position(plane->subsurface,
		on->x / (int32_t)pixels * (int32_t)units + wanted->x,
		on->y / (int32_t)pixels * (int32_t)units + wanted->y);
	if (plane->viewport) {
		if (source)
			wp_viewport_set_source(plane->viewport, source->x / 256, source->y / 256,
				(wl_fixed_t)(source->width / 256),
				(wl_fixed_t)(source->height / 256));
		else
			wp_viewport_set_source(plane->viewport, unset, unset, unset, unset);
		wp_viewport_set_destination(plane->viewport, (int32_t)(on->width / pixels * units),
			(int32_t)(on->height / pixels * units));
	}
	plane->placed = *wanted;
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

/* What was done to the surface to get the buffer: the inverse of what is to be done to the buffer. */
static int32_t buffer_transform(uint32_t transform)
{
	bool flip_x = transform & DRM_MODE_REFLECT_X, flip_y = transform & DRM_MODE_REFLECT_Y;

	switch (transform & DRM_MODE_ROTATE_MASK) {
	case DRM_MODE_ROTATE_90:
		return flip_x   ? WL_OUTPUT_TRANSFORM_FLIPPED_90
		       : flip_y ? WL_OUTPUT_TRANSFORM_FLIPPED_270
				: WL_OUTPUT_TRANSFORM_270;
	case DRM_MODE_ROTATE_180:
		return WL_OUTPUT_TRANSFORM_180;
	case DRM_MODE_ROTATE_270:
		return WL_OUTPUT_TRANSFORM_90;
	default:
		return flip_x   ? WL_OUTPUT_TRANSFORM_FLIPPED
		       : flip_y ? WL_OUTPUT_TRANSFORM_FLIPPED_180
				: WL_OUTPUT_TRANSFORM_NORMAL;
	}
}

static void set_alpha(struct bn_wl_plane *plane, uint16_t alpha)
{
	if (plane->alpha)
		wp_alpha_modifier_surface_v1_set_multiplier(plane->alpha, alpha * 0x10001u);
}

void bn_wl_plane_show(struct bn_wl *wl, struct bn_wl_plane *plane, struct bn_wl_buffer *buffer,
	const struct bn_frame *frame, bool fresh, const struct bn_wl_placed *wanted)
{
	const struct bn_buffer_attrs *attrs = bn_buffer_attrs(frame->buffer);
	bool changed = !plane->mapped || plane->copied ||
		       wanted->geometry.transform != plane->placed.geometry.transform ||
		       wanted->blend != plane->placed.blend;
	struct bn_rect source;

	if (!fresh && !changed && same_look(wanted, &plane->placed) &&
		same_position(wanted, &plane->placed))
		return;
	if (fresh || changed) {
		wl_surface_attach(plane->surface, buffer->wl_buffer, 0, 0);
		wl_surface_set_buffer_transform(
			plane->surface, buffer_transform(wanted->geometry.transform));
		bn_wl_buffer_use(buffer);
		if (changed)
			wl_surface_damage_buffer(plane->surface, 0, 0, INT32_MAX, INT32_MAX);
		else
			damage_frame(plane->surface, frame);
		plane->mapped = true;
		plane->copied = false;
	}
	set_alpha(plane, wanted->alpha);
	bn_geometry_turned_source(&wanted->geometry, attrs->width, attrs->height, &source);
	place(wl, plane, wanted, &wanted->geometry.at, &source);
	wl_surface_commit(plane->surface);
}

bool bn_wl_plane_has_copy(
	struct bn_wl *wl, struct bn_wl_plane *plane, const struct bn_wl_placed *wanted)
{
	struct bn_rect old = on_grid(wl, &plane->placed.geometry.at);
	struct bn_rect new = on_grid(wl, &wanted->geometry.at);
	const struct bn_rect *was = &plane->placed.geometry.at, *at = &wanted->geometry.at;

	if (!plane->mapped || !plane->copied || !same_look(wanted, &plane->placed) ||
		was->x - old.x != at->x - new.x || was->y - old.y != at->y - new.y)
		return false;
	if (!same_position(wanted, &plane->placed)) {
		place(wl, plane, wanted, &new, NULL);
		wl_surface_commit(plane->surface);
	}
	return true;
}

static int draw_image(struct bn_wl_image *image, const struct bn_rect *on, struct bn_layer *layer,
	int (*draw)(pixman_image_t *image, int32_t x, int32_t y, struct bn_layer *layer))
{
	bool opaque = image->format == WL_SHM_FORMAT_XRGB8888;
	pixman_image_t *dst = pixman_image_create_bits_no_clear(
		opaque ? PIXMAN_x8r8g8b8 : PIXMAN_a8r8g8b8, (int)image->width, (int)image->height,
		image->pixels, (int)(image->width * 4));
	int r;

	if (!dst)
		return -ENOMEM;
	if (!opaque)
		memset(image->pixels, 0, (size_t)image->width * image->height * 4);
	r = draw(dst, on->x, on->y, layer);
	pixman_image_unref(dst);
	return r;
}

int bn_wl_plane_copy(struct bn_wl *wl, struct bn_wl_plane *plane, struct bn_layer *layer,
	const struct bn_wl_placed *wanted, bool opaque,
	int (*draw)(pixman_image_t *image, int32_t x, int32_t y, struct bn_layer *layer))
{
	struct bn_rect on = on_grid(wl, &wanted->geometry.at);
	struct bn_wl_image *image;
	int r;

	opaque = opaque && is_on_grid(wl, &wanted->geometry.at);
	image = bn_wl_image_get(wl, plane, on.width, on.height,
		opaque ? WL_SHM_FORMAT_XRGB8888 : WL_SHM_FORMAT_ARGB8888);
	if (!image)
		return -EBUSY;
	r = draw_image(image, &on, layer, draw);
	if (r < 0)
		return r;
	wl->output->counters.composed++;
	wl->output->counters.composed_bytes += 4ull * on.width * on.height;
	wl_surface_attach(plane->surface, image->wl_buffer, 0, 0);
	wl_surface_set_buffer_transform(plane->surface, WL_OUTPUT_TRANSFORM_NORMAL);
	wl_surface_damage_buffer(plane->surface, 0, 0, INT32_MAX, INT32_MAX);
	set_alpha(plane, BN_ALPHA_OPAQUE);
	image->busy = true;
	plane->mapped = true;
	plane->copied = true;
	place(wl, plane, wanted, &on, NULL);
	wl_surface_commit(plane->surface);
	return 0;
}
