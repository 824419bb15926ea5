/* What the compositor offers, and what of it we use. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wayland_impl.h"

static void handle_shm_format(void *data, struct wl_shm *shm, uint32_t format)
{
	struct bn_wl *wl = data;
	uint32_t *to = wl_array_add(&wl->shm_formats, sizeof(*to));

	if (to)
		*to = format;
}

static const struct wl_shm_listener shm_listener = {.format = handle_shm_format};

static void handle_dmabuf_format(void *data, struct zwp_linux_dmabuf_v1 *dmabuf, uint32_t format)
{
	/* Said again, with its modifiers, by the other event. */
}

static void handle_dmabuf_modifier(void *data, struct zwp_linux_dmabuf_v1 *dmabuf, uint32_t fourcc,
	uint32_t modifier_hi, uint32_t modifier_lo)
{
	struct bn_wl *wl = data;
	struct bn_wl_dmabuf_format *to = wl_array_add(&wl->dmabuf_formats, sizeof(*to));

	if (!to)
		return;
	to->fourcc = fourcc;
	to->modifier = (uint64_t)modifier_hi << 32 | modifier_lo;
}

static const struct zwp_linux_dmabuf_v1_listener dmabuf_listener = {
	.format = handle_dmabuf_format,
	.modifier = handle_dmabuf_modifier,
};

static void handle_clock_id(void *data, struct wp_presentation *presentation, uint32_t clock_id)
{
	struct bn_wl *wl = data;

	wl->clock_id = clock_id;
}

static const struct wp_presentation_listener presentation_listener = {.clock_id = handle_clock_id};

static void handle_ping(void *data, struct xdg_wm_base *wm_base, uint32_t serial)
{
	xdg_wm_base_pong(wm_base, serial);
}

static const struct xdg_wm_base_listener wm_base_listener = {.ping = handle_ping};

/* What we bind: where to keep it, the least version that will do, and the newest that we speak. */
struct global {
	const struct wl_interface *interface;
	size_t offset;
	uint32_t min, max;
};

#define GLOBAL(name, field, min, max) {&name##_interface, offsetof(struct bn_wl, field), min, max}

static const struct global globals[] = {
	GLOBAL(wl_compositor, compositor, 4, 4),
	GLOBAL(wl_subcompositor, subcompositor, 1, 1),
	GLOBAL(wl_shm, shm, 1, 1),
	GLOBAL(xdg_wm_base, wm_base, 1, 1),
	GLOBAL(wp_viewporter, viewporter, 1, 1),
	GLOBAL(wp_presentation, presentation, 1, 1),
	/* Version 3 names modifiers in events; later ones in a table per device, of no use
	 * without a device. */
	GLOBAL(zwp_linux_dmabuf_v1, dmabuf, 3, 3),
	GLOBAL(wp_single_pixel_buffer_manager_v1, single_pixel, 1, 1),
	GLOBAL(wp_alpha_modifier_v1, alpha_modifier, 1, 1),
	GLOBAL(wp_fractional_scale_manager_v1, fractional, 1, 1),
	/* Later versions gather events into frames. */
	GLOBAL(wl_seat, seat, 3, 4),
};

static void listen(struct bn_wl *wl, const struct wl_interface *interface)
{
	if (interface == &wl_shm_interface)
		wl_shm_add_listener(wl->shm, &shm_listener, wl);
	else if (interface == &xdg_wm_base_interface)
		xdg_wm_base_add_listener(wl->wm_base, &wm_base_listener, wl);
	else if (interface == &wp_presentation_interface)
		wp_presentation_add_listener(wl->presentation, &presentation_listener, wl);
	else if (interface == &zwp_linux_dmabuf_v1_interface)
		zwp_linux_dmabuf_v1_add_listener(wl->dmabuf, &dmabuf_listener, wl);
	else if (interface == &wl_seat_interface)
		bn_wl_input_start(wl);
}

/* BN_WAYLAND_WITHOUT=NAME,NAME…: does as if the compositor lacked these; for tests, and for
 * compositors with a fault. */
static bool is_unwanted(const char *interface)
{
	const char *list = getenv("BN_WAYLAND_WITHOUT");
	size_t length = strlen(interface);

	for (const char *name = list; name && *name; name += strcspn(name, ",")) {
		name += strspn(name, ",");
		if (strncmp(name, interface, length) == 0 && strcspn(name, ",") == length)
			return true;
	}
	return false;
}

static void handle_global(void *data, struct wl_registry *registry, uint32_t name,
	const char *interface, uint32_t version)
{
	struct bn_wl *wl = data;

	if (is_unwanted(interface))
		return;
	for (size_t i = 0; i < sizeof(globals) / sizeof(globals[0]); i++) {
		const struct global *global = &globals[i];
		void **object = (void **)((char *)wl + global->offset);

		if (strcmp(interface, global->interface->name) != 0 || version < global->min ||
			*object)
			continue;
		*object = wl_registry_bind(registry, name, global->interface,
			version < global->max ? version : global->max);
		if (*object)
			listen(wl, global->interface);
	}
}

static void handle_global_remove(void *data, struct wl_registry *registry, uint32_t name)
{
}

static const struct wl_registry_listener registry_listener = {
	.global = handle_global,
	.global_remove = handle_global_remove,
};

static void handle_globals_done(void *data, struct wl_callback *callback, uint32_t serial)
{
	struct bn_wl *wl = data;

	wl_callback_destroy(callback);
	wl->globals_done = NULL;
	if (!wl->compositor || !wl->subcompositor || !wl->shm || !wl->wm_base)
		wl->lost = "the compositor lacks one of wl_compositor 4, wl_subcompositor, wl_shm, "
			   "xdg_wm_base";
	else if (bn_wl_window_open(wl) < 0)
		wl->lost = "out of memory";
}

static const struct wl_callback_listener globals_done_listener = {.done = handle_globals_done};

int bn_wl_globals_ask(struct bn_wl *wl)
{
	wl->registry = wl_display_get_registry(wl->display);
	wl->globals_done = wl_display_sync(wl->display);
	if (!wl->registry || !wl->globals_done)
		return -ENOMEM;
	wl_registry_add_listener(wl->registry, &registry_listener, wl);
	wl_callback_add_listener(wl->globals_done, &globals_done_listener, wl);
	return 0;
}

void bn_wl_globals_finish(struct bn_wl *wl)
{
	if (wl->globals_done)
		wl_callback_destroy(wl->globals_done);
	bn_wl_input_finish(wl);
	if (wl->alpha_modifier)
		wp_alpha_modifier_v1_destroy(wl->alpha_modifier);
	if (wl->fractional)
		wp_fractional_scale_manager_v1_destroy(wl->fractional);
	if (wl->single_pixel)
		wp_single_pixel_buffer_manager_v1_destroy(wl->single_pixel);
	if (wl->dmabuf)
		zwp_linux_dmabuf_v1_destroy(wl->dmabuf);
	if (wl->presentation)
		wp_presentation_destroy(wl->presentation);
	if (wl->viewporter)
		wp_viewporter_destroy(wl->viewporter);
	if (wl->wm_base)
		xdg_wm_base_destroy(wl->wm_base);
	if (wl->shm)
		wl_shm_destroy(wl->shm);
	if (wl->subcompositor)
		wl_subcompositor_destroy(wl->subcompositor);
	if (wl->compositor)
		wl_compositor_destroy(wl->compositor);
	if (wl->registry)
		wl_registry_destroy(wl->registry);
}
