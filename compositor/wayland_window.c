#include <errno.h>
#include <stdio.h>

#include "common/log.h"
#include "wayland_impl.h"

/* In 120ths. */
#define SCALE_MIN 30
#define SCALE_MAX 960

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
	while (b != 0) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

void bn_wl_window_grid(const struct bn_wl *wl, uint32_t *pixels, uint32_t *units)
{
	uint32_t divisor = common_divisor(wl->scale, 120);

	*pixels = wl->scale / divisor;
	*units = 120 / divisor;
}

/* What the output's picture takes in the window. */
static void picture_size(const struct bn_wl *wl, uint32_t *width, uint32_t *height)
{
	*width = (wl->output->config.width * 120 + wl->scale - 1) / wl->scale;
	*height = (wl->output->config.height * 120 + wl->scale - 1) / wl->scale;
}

static void window_size(const struct bn_wl *wl, uint32_t *width, uint32_t *height)
{
	picture_size(wl, width, height);
	if (wl->asked_width)
		*width = wl->asked_width;
	if (wl->asked_height)
		*height = wl->asked_height;
}

void bn_wl_window_origin(const struct bn_wl *wl, int32_t *x, int32_t *y)
{
	uint32_t width, height, picture_width, picture_height;

	window_size(wl, &width, &height);
	picture_size(wl, &picture_width, &picture_height);
	*x = width > picture_width ? (int32_t)((width - picture_width) / 2) : 0;
	*y = height > picture_height ? (int32_t)((height - picture_height) / 2) : 0;
}

static void handle_surface_configure(void *data, struct xdg_surface *xdg_surface, uint32_t serial)
{
	struct bn_wl *wl = data;

	xdg_surface_ack_configure(xdg_surface, serial);
	wl->configured = true;
	bn_output_note_active(wl->output);
	/* The answer is a commit, and the compositor may show nothing until it has it. */
	bn_wl_drop_frame(wl);
	bn_wl_schedule(wl);
}

static const struct xdg_surface_listener xdg_surface_listener = {
	.configure = handle_surface_configure,
};

/* Only a maximized or fullscreen window must take the size it is told. */
static bool size_is_an_order(const struct wl_array *states)
{
	const uint32_t *state = states->data;

	for (size_t i = 0; i < states->size / sizeof(*state); i++) {
		if (state[i] == XDG_TOPLEVEL_STATE_FULLSCREEN ||
			state[i] == XDG_TOPLEVEL_STATE_MAXIMIZED)
			return true;
	}
	return false;
}

static void handle_toplevel_configure(void *data, struct xdg_toplevel *toplevel, int32_t width,
	int32_t height, struct wl_array *states)
{
	struct bn_wl *wl = data;
	bool order = size_is_an_order(states) && width > 0 && height > 0;

	wl->asked_width = order ? (uint32_t)width : 0;
	wl->asked_height = order ? (uint32_t)height : 0;
}

static void handle_toplevel_close(void *data, struct xdg_toplevel *toplevel)
{
	struct bn_wl *wl = data;

	wl->lost = "the window was closed";
}

static const struct xdg_toplevel_listener toplevel_listener = {
	.configure = handle_toplevel_configure,
	.close = handle_toplevel_close,
};

static void describe_window(struct bn_wl *wl)
{
	const char *name = wl->output->config.name;
	char text[BN_OUTPUT_NAME_MAX + 32];

	snprintf(text, sizeof(text), "Binnacle – %s", name);
	xdg_toplevel_set_title(wl->toplevel, text);
	snprintf(text, sizeof(text), "org.binnacle.%s", name);
	xdg_toplevel_set_app_id(wl->toplevel, text);
}

static void set_fixed_size(struct bn_wl *wl)
{
	uint32_t width, height;

	if (wl->output->config.fullscreen) {
		xdg_toplevel_set_fullscreen(wl->toplevel, NULL);
		return;
	}
	picture_size(wl, &width, &height);
	xdg_toplevel_set_min_size(wl->toplevel, (int32_t)width, (int32_t)height);
	xdg_toplevel_set_max_size(wl->toplevel, (int32_t)width, (int32_t)height);
}

/* So many pixels of the display are 120 of the window's units: a pixel of the output is to be one of
 * the display. */
static void handle_preferred_scale(
	void *data, struct wp_fractional_scale_v1 *fractional_scale, uint32_t scale)
{
	struct bn_wl *wl = data;

	if (scale < SCALE_MIN || scale > SCALE_MAX || scale == wl->scale)
		return;
	wl->scale = scale;
	set_fixed_size(wl);
	bn_wl_schedule(wl);
}

static const struct wp_fractional_scale_v1_listener scale_listener = {
	.preferred_scale = handle_preferred_scale,
};

int bn_wl_window_open(struct bn_wl *wl)
{
	wl->surface = wl_compositor_create_surface(wl->compositor);
	if (!wl->surface)
		return -ENOMEM;
	wl->xdg_surface = xdg_wm_base_get_xdg_surface(wl->wm_base, wl->surface);
	if (!wl->xdg_surface)
		return -ENOMEM;
	wl->toplevel = xdg_surface_get_toplevel(wl->xdg_surface);
	if (!wl->toplevel)
		return -ENOMEM;
	if (wl->viewporter)
		wl->viewport = wp_viewporter_get_viewport(wl->viewporter, wl->surface);
	if (wl->viewport && wl->fractional) {
		wl->fractional_scale = wp_fractional_scale_manager_v1_get_fractional_scale(
			wl->fractional, wl->surface);
		if (!wl->fractional_scale)
			return -ENOMEM;
		wp_fractional_scale_v1_add_listener(wl->fractional_scale, &scale_listener, wl);
	}
	xdg_surface_add_listener(wl->xdg_surface, &xdg_surface_listener, wl);
	xdg_toplevel_add_listener(wl->toplevel, &toplevel_listener, wl);
	describe_window(wl);
	set_fixed_size(wl);
	/* The first commit has no buffer: it asks for the first configure event. */
	wl_surface_commit(wl->surface);
	return 0;
}

void bn_wl_window_close(struct bn_wl *wl)
{
	if (wl->fractional_scale)
		wp_fractional_scale_v1_destroy(wl->fractional_scale);
	if (wl->viewport)
		wp_viewport_destroy(wl->viewport);
	if (wl->toplevel)
		xdg_toplevel_destroy(wl->toplevel);
	if (wl->xdg_surface)
		xdg_surface_destroy(wl->xdg_surface);
	if (wl->surface)
		wl_surface_destroy(wl->surface);
	if (wl->ground)
		wl_buffer_destroy(wl->ground);
}

void bn_wl_window_resize(struct bn_wl *wl)
{
	if (wl->toplevel)
		set_fixed_size(wl);
	wl->dirty = true;
}

void bn_wl_window_draw(struct bn_wl *wl)
{
	uint32_t width, height;
	struct wl_buffer *old = wl->ground;

	window_size(wl, &width, &height);
	if (wl->ground_width == width && wl->ground_height == height)
		return;
	if (!wl->viewport || !wl->ground) {
		/* With a viewport one pixel is stretched over the window. */
		wl->ground = bn_wl_black(wl, wl->viewport ? 1 : width, wl->viewport ? 1 : height);
		if (!wl->ground) {
			wl->ground = old;
			return;
		}
		wl_surface_attach(wl->surface, wl->ground, 0, 0);
		if (old)
			wl_buffer_destroy(old);
	}
	if (wl->viewport)
		wp_viewport_set_destination(wl->viewport, (int32_t)width, (int32_t)height);
	wl_surface_damage_buffer(wl->surface, 0, 0, INT32_MAX, INT32_MAX);
	wl->ground_width = width;
	wl->ground_height = height;
}
