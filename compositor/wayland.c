/* The connection to a host compositor, driven by the daemon's loop and never waited for. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "wayland_impl.h"

static void wl_destroy(struct bn_wl *wl)
{
	bn_wl_scene_finish(wl);
	bn_wl_buffers_finish(wl);
	bn_wl_window_close(wl);
	bn_wl_globals_finish(wl);
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

	if (error == EPROTO) {
		code = wl_display_get_protocol_error(wl->display, &interface, &id);
		snprintf(text, size, "protocol error %u on %s@%u", code,
			interface ? interface->name : "(unknown object)", id);
	} else if (wl->lost) {
		snprintf(text, size, "%s", wl->lost);
	} else if (error == EPIPE || error == ECONNRESET) {
		snprintf(text, size, "the compositor closed the connection");
	} else {
		snprintf(text, size, "%s", strerror(error));
	}
}

/* From here on the output is a headless one. The closed handler may destroy it: nothing may
 * follow. */
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
	if (output->idle)
		wl_event_source_remove(output->idle);
	output->idle = NULL;
	bn_output_report(output, output->commit, bn_pacer_now(&output->pacer));
	output->impl->schedule(output);
	if (output->closed)
		output->closed(output->closed_data);
}

void bn_wl_flush(struct bn_wl *wl)
{
	/* EPIPE: the socket's end of file tells, after what the compositor had to say has been
	 * read. */
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

static int wl_begin(struct bn_wl *wl)
{
	wl->source = wl_event_loop_add_fd(wl->output->loop, wl_display_get_fd(wl->display),
		WL_EVENT_READABLE, handle_display, wl);
	if (!wl->source || bn_wl_globals_ask(wl) < 0)
		return -ENOMEM;
	bn_wl_flush(wl);
	return 0;
}

static void handle_client_log(const char *fmt, va_list args)
{
	char text[256];

	/* libwayland ends its lines itself, the log does too. */
	vsnprintf(text, sizeof(text), fmt, args);
	text[strcspn(text, "\n")] = '\0';
	bn_warn("libwayland: %s", text);
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
	wl->scale = 120;
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

static bool wayland_active(const struct bn_output *output)
{
	const struct bn_wl *wl = output->impl_data;

	return wl->configured && !wl->lost && !wl->stalled;
}

static void wayland_status(const struct bn_output *output, struct bn_output_status *out)
{
	const struct bn_wl *wl = output->impl_data;

	out->connected = wl->configured && !wl->lost;
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
	.shown = bn_wl_layer_shown,
	.active = wayland_active,
	.status = wayland_status,
};
