/* The connection to a host compositor, driven by the daemon's loop and never waited for. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "wayland_impl.h"

static void destroy_globals(struct bn_wl *wl)
{
	if (wl->globals_done)
		wl_callback_destroy(wl->globals_done);
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

static void wl_destroy(struct bn_wl *wl)
{
	bn_wl_scene_finish(wl);
	bn_wl_buffers_finish(wl);
	bn_wl_window_close(wl);
	destroy_globals(wl);
	wl_array_release(&wl->shm_formats);
	wl_array_release(&wl->dmabuf_formats);
	if (wl->source)
		wl_event_source_remove(wl->source);
	wl_display_flush(wl->display); /* so that the window goes before the process does */
	wl_display_disconnect(wl->display);
	free(wl);
}

static void describe_error(const struct bn_wl *wl, char *text, size_t size)
{
	const struct wl_interface *interface = NULL;
	uint32_t code, id = 0;
	int error = wl_display_get_error(wl->display);

	if (error != EPROTO) {
		snprintf(text, size, "%s", wl->lost ? wl->lost : strerror(error ? error : EPIPE));
		return;
	}
	code = wl_display_get_protocol_error(wl->display, &interface, &id);
	snprintf(text, size, "protocol error %u on %s@%u", code,
		interface ? interface->name : "(unknown object)", id);
}

/* From here on the output is a headless one. The closed handler may destroy it: nothing may follow. */
static void wl_close(struct bn_wl *wl)
{
	struct bn_output *output = wl->output;
	struct bn_layer *layer;
	char why[160];

	describe_error(wl, why, sizeof(why));
	bn_warn("output %s: no longer shown on Wayland: %s; frames go on at %u.%03u Hz, unseen",
		output->config.name, why, output->config.refresh_mhz / 1000,
		output->config.refresh_mhz % 1000);
	wl_list_for_each(layer, &output->layers, link) bn_wl_layer_finish(wl, layer);
	wl_destroy(wl);
	output->impl_data = NULL;
	output->impl = &bn_headless_impl;
	bn_pacer_disarm(&output->pacer);
	bn_output_report(output, output->commit, bn_pacer_now(&output->pacer));
	output->impl->schedule(output);
	if (output->closed)
		output->closed(output->closed_data);
}

void bn_wl_flush(struct bn_wl *wl)
{
	/* EPIPE: the socket's end of file tells, after what the compositor had to say has been read. */
	bool blocked = wl_display_flush(wl->display) < 0 && errno == EAGAIN;
	uint32_t mask = WL_EVENT_READABLE | (blocked ? WL_EVENT_WRITABLE : 0);

	if (blocked == wl->blocked)
		return;
	wl->blocked = blocked;
	wl_event_source_fd_update(wl->source, mask);
	if (!blocked && wl->dirty)
		bn_wl_schedule(wl);
}

static int read_events(struct bn_wl *wl)
{
	while (wl_display_prepare_read(wl->display) != 0) {
		if (wl_display_dispatch_pending(wl->display) < 0)
			return -1;
	}
	/* The socket is non-blocking: nothing there is no error. */
	if (wl_display_read_events(wl->display) < 0)
		return -1;
	return wl_display_dispatch_pending(wl->display) < 0 ? -1 : 0;
}

static int handle_display(int fd, uint32_t mask, void *data)
{
	struct bn_wl *wl = data;
	int r = 0;

	if (mask & (WL_EVENT_READABLE | WL_EVENT_HANGUP | WL_EVENT_ERROR))
		r = read_events(wl);
	if (r == 0 && !wl->lost && (mask & (WL_EVENT_HANGUP | WL_EVENT_ERROR)))
		wl->lost = "the compositor closed the connection";
	if (r < 0 || wl->lost)
		wl_close(wl);
	else
		bn_wl_flush(wl);
	return 0;
}

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
	/* Version 3 names modifiers in events; later ones in a table per device, of no use without a device. */
	GLOBAL(zwp_linux_dmabuf_v1, dmabuf, 3, 3),
	GLOBAL(wp_single_pixel_buffer_manager_v1, single_pixel, 1, 1),
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
}

static void handle_global(void *data, struct wl_registry *registry, uint32_t name,
	const char *interface, uint32_t version)
{
	struct bn_wl *wl = data;

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

/* Asks for the globals; the window opens when they are known. */
static int wl_begin(struct bn_wl *wl)
{
	wl->source = wl_event_loop_add_fd(wl->output->loop, wl_display_get_fd(wl->display),
		WL_EVENT_READABLE, handle_display, wl);
	wl->registry = wl_display_get_registry(wl->display);
	wl->globals_done = wl_display_sync(wl->display);
	if (!wl->source || !wl->registry || !wl->globals_done)
		return -ENOMEM;
	wl_registry_add_listener(wl->registry, &registry_listener, wl);
	wl_callback_add_listener(wl->globals_done, &globals_done_listener, wl);
	bn_wl_flush(wl);
	return 0;
}

static void handle_client_log(const char *fmt, va_list args)
{
	bn_vlog(BN_LOG_WARN, fmt, args);
}

static int wl_connect(struct bn_output *output, struct wl_display **display)
{
	const char *name = getenv("WAYLAND_DISPLAY");
	int error;

	wl_log_set_handler_client(handle_client_log);
	if (!name && !getenv("WAYLAND_SOCKET")) {
		bn_error("output %s: WAYLAND_DISPLAY is not set: start this in a Wayland session, "
			 "or "
			 "use kind=headless",
			output->config.name);
		return -ENOENT;
	}
	*display = wl_display_connect(NULL);
	if (*display)
		return 0;
	error = errno;
	bn_error("output %s: no Wayland compositor answers at '%s' (in XDG_RUNTIME_DIR '%s'): %s",
		output->config.name, name ? name : "WAYLAND_SOCKET",
		getenv("XDG_RUNTIME_DIR") ? getenv("XDG_RUNTIME_DIR") : "", strerror(error));
	return error == ENOENT ? -ECONNREFUSED : -error;
}

static int wayland_start(struct bn_output *output)
{
	struct wl_display *display;
	struct bn_wl *wl;
	int r = wl_connect(output, &display);

	if (r < 0)
		return r;
	wl = calloc(1, sizeof(*wl));
	if (!wl) {
		wl_display_disconnect(display);
		return -ENOMEM;
	}
	wl->output = output;
	wl->display = display;
	wl->clock_id = CLOCK_MONOTONIC;
	wl_array_init(&wl->shm_formats);
	wl_array_init(&wl->dmabuf_formats);
	wl_list_init(&wl->flights);
	wl_list_init(&wl->buffers);
	r = wl_begin(wl);
	if (r < 0)
		wl_destroy(wl);
	else
		output->impl_data = wl;
	return r;
}

static void wayland_stop(struct bn_output *output)
{
	wl_destroy(output->impl_data);
}

static void wayland_schedule(struct bn_output *output)
{
	bn_wl_schedule(output->impl_data);
}

static void wayland_soon(struct bn_output *output)
{
	bn_wl_soon(output->impl_data);
}

static void wayland_tick(struct bn_output *output, uint64_t now_ns)
{
	bn_wl_tick(output->impl_data, now_ns);
}

static void wayland_resize(struct bn_output *output)
{
	bn_wl_window_resize(output->impl_data);
}

static void wayland_layer_finish(struct bn_layer *layer)
{
	bn_wl_layer_finish(layer->output->impl_data, layer);
}

const struct bn_output_impl bn_wayland_impl = {
	.start = wayland_start,
	.stop = wayland_stop,
	.schedule = wayland_schedule,
	.soon = wayland_soon,
	.tick = wayland_tick,
	.resize = wayland_resize,
	.layer_finish = wayland_layer_finish,
};
