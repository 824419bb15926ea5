#include "fake_host.h"

#include <drm_fourcc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <wayland-server.h>

#include "alpha-modifier-v1-server-protocol.h"
#include "fractional-scale-v1-server-protocol.h"
#include "reference.h"
#include "unit.h"
#include "viewporter-server-protocol.h"
#include "xdg-shell-server-protocol.h"

#define SURFACES_MAX 64

struct state {
	struct wl_resource *buffer;
	int32_t transform;
	double src_x, src_y, src_width, src_height; /* width below 0: not set */
	int32_t width, height;                      /* below 0: not set */
	uint32_t alpha;
};

struct surface {
	struct fake_host *host;
	struct wl_resource *resource;
	/* A subsurface's state goes from pending to cached with its commit, and on with its parent's. */
	struct state pending, cached, shown;
	int32_t x, y, pending_x, pending_y;
	bool is_sub;
	struct wl_list frames;
};

struct fake_host {
	struct fake_host_config config;
	struct wl_display *display;
	struct wl_client *client;
	struct surface *window;
	struct wl_resource *xdg_surface, *toplevel, *fractional, *pointer, *touch;
	struct surface *order[SURFACES_MAX],
		*shown[SURFACES_MAX]; /* lowest first, without the window */
	unsigned count, shown_count;
	uint32_t serial;
};

static void destroy_resource(struct wl_client *client, struct wl_resource *resource)
{
	wl_resource_destroy(resource);
}

static struct wl_resource *make(struct wl_client *client, const struct wl_interface *interface,
	uint32_t version, uint32_t id, const void *impl, void *data,
	wl_resource_destroy_func_t destroy)
{
	struct wl_resource *resource = wl_resource_create(client, interface, (int)version, id);

	CU_ASSERT_PTR_NOT_NULL_FATAL(resource);
	wl_resource_set_implementation(resource, impl, data, destroy);
	return resource;
}

/* ---- surfaces ---- */

static void handle_attach(struct wl_client *client, struct wl_resource *resource,
	struct wl_resource *buffer, int32_t x, int32_t y)
{
	((struct surface *)wl_resource_get_user_data(resource))->pending.buffer = buffer;
}

static void handle_damage(struct wl_client *client, struct wl_resource *resource, int32_t x,
	int32_t y, int32_t width, int32_t height)
{
}

static void remove_frame(struct wl_resource *resource)
{
	wl_list_remove(wl_resource_get_link(resource));
}

static void handle_frame(struct wl_client *client, struct wl_resource *resource, uint32_t id)
{
	struct surface *surface = wl_resource_get_user_data(resource);
	struct wl_resource *callback =
		make(client, &wl_callback_interface, 1, id, NULL, NULL, remove_frame);

	wl_list_insert(&surface->frames, wl_resource_get_link(callback));
}

static void handle_region(
	struct wl_client *client, struct wl_resource *resource, struct wl_resource *region)
{
}

static void show_state(struct surface *surface)
{
	struct wl_resource *old = surface->shown.buffer;

	if (old && old != surface->cached.buffer)
		wl_buffer_send_release(old);
	surface->shown = surface->cached;
}

static void send_frames(struct surface *surface)
{
	struct wl_resource *callback, *next;

	wl_resource_for_each_safe(callback, next, &surface->frames)
	{
		wl_callback_send_done(callback, 1);
		wl_resource_destroy(callback);
	}
}

/* The window's commit: everything that its subsurfaces have committed is shown with it. */
static void show_all(struct fake_host *host)
{
	show_state(host->window);
	send_frames(host->window);
	memcpy(host->shown, host->order, sizeof(host->shown));
	host->shown_count = host->count;
	for (unsigned i = 0; i < host->count; i++) {
		struct surface *surface = host->order[i];

		show_state(surface);
		surface->x = surface->pending_x;
		surface->y = surface->pending_y;
		send_frames(surface);
	}
}

static void handle_commit(struct wl_client *client, struct wl_resource *resource)
{
	struct surface *surface = wl_resource_get_user_data(resource);
	struct fake_host *host = surface->host;

	surface->cached = surface->pending;
	if (surface != host->window)
		return;
	if (!surface->pending.buffer && host->toplevel) {
		struct wl_array none;

		wl_array_init(&none);
		if (host->fractional)
			wp_fractional_scale_v1_send_preferred_scale(
				host->fractional, host->config.scale);
		xdg_toplevel_send_configure(host->toplevel, 0, 0, &none);
		xdg_surface_send_configure(host->xdg_surface, ++host->serial);
	}
	show_all(host);
}

static void handle_transform(
	struct wl_client *client, struct wl_resource *resource, int32_t transform)
{
	((struct surface *)wl_resource_get_user_data(resource))->pending.transform = transform;
}

static const struct wl_surface_interface surface_impl = {
	.destroy = destroy_resource,
	.attach = handle_attach,
	.damage = handle_damage,
	.frame = handle_frame,
	.set_opaque_region = handle_region,
	.set_input_region = handle_region,
	.commit = handle_commit,
	.set_buffer_transform = handle_transform,
	.damage_buffer = handle_damage,
};

static void remove_from(struct surface **list, unsigned *count, const struct surface *surface)
{
	for (unsigned i = 0; i < *count; i++) {
		if (list[i] != surface)
			continue;
		memmove(&list[i], &list[i + 1], (*count - i - 1) * sizeof(list[0]));
		--*count;
		return;
	}
}

static void free_surface(struct wl_resource *resource)
{
	struct surface *surface = wl_resource_get_user_data(resource);
	struct wl_resource *callback, *next;

	remove_from(surface->host->order, &surface->host->count, surface);
	remove_from(surface->host->shown, &surface->host->shown_count, surface);
	if (surface->host->window == surface)
		surface->host->window = NULL;
	wl_resource_for_each_safe(callback, next, &surface->frames) wl_resource_destroy(callback);
	free(surface);
}

static void create_surface(struct wl_client *client, struct wl_resource *resource, uint32_t id)
{
	struct surface *surface = calloc(1, sizeof(*surface));

	surface->host = wl_resource_get_user_data(resource);
	surface->pending =
		(struct state){.src_width = -1, .width = -1, .height = -1, .alpha = UINT32_MAX};
	wl_list_init(&surface->frames);
	surface->resource =
		make(client, &wl_surface_interface, 4, id, &surface_impl, surface, free_surface);
}

static const struct wl_region_interface region_impl = {
	.destroy = destroy_resource, .add = handle_damage, .subtract = handle_damage};

static void create_region(struct wl_client *client, struct wl_resource *resource, uint32_t id)
{
	make(client, &wl_region_interface, 1, id, &region_impl, NULL, NULL);
}

static const struct wl_compositor_interface compositor_impl = {
	.create_surface = create_surface, .create_region = create_region};

/* ---- subsurfaces ---- */

static void handle_position(
	struct wl_client *client, struct wl_resource *resource, int32_t x, int32_t y)
{
	struct surface *surface = wl_resource_get_user_data(resource);

	surface->pending_x = x;
	surface->pending_y = y;
}

static void handle_above(
	struct wl_client *client, struct wl_resource *resource, struct wl_resource *sibling)
{
	struct surface *surface = wl_resource_get_user_data(resource);
	struct surface *below = wl_resource_get_user_data(sibling);
	struct fake_host *host = surface->host;
	unsigned at = 0;

	remove_from(host->order, &host->count, surface);
	while (below != host->window && at < host->count && host->order[at] != below)
		at++;
	CU_ASSERT_FATAL(below == host->window || at < host->count);
	if (below != host->window)
		at++;
	memmove(&host->order[at + 1], &host->order[at],
		(host->count - at) * sizeof(host->order[0]));
	host->order[at] = surface;
	host->count++;
}

static void handle_below(
	struct wl_client *client, struct wl_resource *resource, struct wl_resource *sibling)
{
	CU_FAIL("not expected");
}

static const struct wl_subsurface_interface subsurface_impl = {
	.destroy = destroy_resource,
	.set_position = handle_position,
	.place_above = handle_above,
	.place_below = handle_below,
};

static void get_subsurface(struct wl_client *client, struct wl_resource *resource, uint32_t id,
	struct wl_resource *surface_resource, struct wl_resource *parent)
{
	struct surface *surface = wl_resource_get_user_data(surface_resource);
	struct fake_host *host = surface->host;

	CU_ASSERT_PTR_EQUAL_FATAL(wl_resource_get_user_data(parent), host->window);
	CU_ASSERT_FATAL(host->count < SURFACES_MAX);
	surface->is_sub = true;
	host->order[host->count++] = surface;
	make(client, &wl_subsurface_interface, 1, id, &subsurface_impl, surface, NULL);
}

static const struct wl_subcompositor_interface subcompositor_impl = {
	.destroy = destroy_resource, .get_subsurface = get_subsurface};

/* ---- extensions of surfaces ---- */

static void set_source(struct wl_client *client, struct wl_resource *resource, wl_fixed_t x,
	wl_fixed_t y, wl_fixed_t width, wl_fixed_t height)
{
	struct surface *surface = wl_resource_get_user_data(resource);

	surface->pending.src_x = wl_fixed_to_double(x);
	surface->pending.src_y = wl_fixed_to_double(y);
	surface->pending.src_width = wl_fixed_to_double(width);
	surface->pending.src_height = wl_fixed_to_double(height);
}

static void set_destination(
	struct wl_client *client, struct wl_resource *resource, int32_t width, int32_t height)
{
	struct surface *surface = wl_resource_get_user_data(resource);

	CU_ASSERT((width > 0 && height > 0) || (width == -1 && height == -1));
	surface->pending.width = width;
	surface->pending.height = height;
}

static const struct wp_viewport_interface viewport_impl = {
	.destroy = destroy_resource, .set_source = set_source, .set_destination = set_destination};

static void get_viewport(struct wl_client *client, struct wl_resource *resource, uint32_t id,
	struct wl_resource *surface)
{
	make(client, &wp_viewport_interface, 1, id, &viewport_impl,
		wl_resource_get_user_data(surface), NULL);
}

static const struct wp_viewporter_interface viewporter_impl = {
	.destroy = destroy_resource, .get_viewport = get_viewport};

static void set_multiplier(struct wl_client *client, struct wl_resource *resource, uint32_t factor)
{
	((struct surface *)wl_resource_get_user_data(resource))->pending.alpha = factor;
}

static const struct wp_alpha_modifier_surface_v1_interface alpha_impl = {
	.destroy = destroy_resource, .set_multiplier = set_multiplier};

static void get_alpha(struct wl_client *client, struct wl_resource *resource, uint32_t id,
	struct wl_resource *surface)
{
	make(client, &wp_alpha_modifier_surface_v1_interface, 1, id, &alpha_impl,
		wl_resource_get_user_data(surface), NULL);
}

static const struct wp_alpha_modifier_v1_interface alpha_modifier_impl = {
	.destroy = destroy_resource, .get_surface = get_alpha};

static const struct wp_fractional_scale_v1_interface fractional_impl = {
	.destroy = destroy_resource};

static void forget_fractional(struct wl_resource *resource)
{
	((struct fake_host *)wl_resource_get_user_data(resource))->fractional = NULL;
}

static void get_fractional(struct wl_client *client, struct wl_resource *resource, uint32_t id,
	struct wl_resource *surface)
{
	struct fake_host *host = wl_resource_get_user_data(resource);

	host->fractional = make(client, &wp_fractional_scale_v1_interface, 1, id, &fractional_impl,
		host, forget_fractional);
}

static const struct wp_fractional_scale_manager_v1_interface fractional_manager_impl = {
	.destroy = destroy_resource, .get_fractional_scale = get_fractional};

/* ---- the window ---- */

static void ignore_size(
	struct wl_client *client, struct wl_resource *resource, int32_t width, int32_t height)
{
}

static void ignore_text(struct wl_client *client, struct wl_resource *resource, const char *text)
{
}

static void forget_toplevel(struct wl_resource *resource)
{
	((struct fake_host *)wl_resource_get_user_data(resource))->toplevel = NULL;
}

static const struct xdg_toplevel_interface toplevel_impl = {
	.destroy = destroy_resource,
	.set_title = ignore_text,
	.set_app_id = ignore_text,
	.set_max_size = ignore_size,
	.set_min_size = ignore_size,
};

static void get_toplevel(struct wl_client *client, struct wl_resource *resource, uint32_t id)
{
	struct fake_host *host = wl_resource_get_user_data(resource);

	host->toplevel =
		make(client, &xdg_toplevel_interface, 1, id, &toplevel_impl, host, forget_toplevel);
}

static void ack_configure(struct wl_client *client, struct wl_resource *resource, uint32_t serial)
{
	struct fake_host *host = wl_resource_get_user_data(resource);

	CU_ASSERT(serial <= host->serial);
}

static const struct xdg_surface_interface xdg_surface_impl = {
	.destroy = destroy_resource,
	.get_toplevel = get_toplevel,
	.ack_configure = ack_configure,
};

static void get_xdg_surface(struct wl_client *client, struct wl_resource *resource, uint32_t id,
	struct wl_resource *surface)
{
	struct fake_host *host = wl_resource_get_user_data(resource);

	host->window = wl_resource_get_user_data(surface);
	host->xdg_surface =
		make(client, &xdg_surface_interface, 1, id, &xdg_surface_impl, host, NULL);
}

static const struct xdg_wm_base_interface wm_base_impl = {
	.destroy = destroy_resource, .get_xdg_surface = get_xdg_surface};

/* ---- input ---- */

static void set_cursor(struct wl_client *client, struct wl_resource *resource, uint32_t serial,
	struct wl_resource *surface, int32_t x, int32_t y)
{
	CU_ASSERT_PTR_NULL(surface);
}

static const struct wl_pointer_interface pointer_impl = {
	.set_cursor = set_cursor, .release = destroy_resource};
static const struct wl_touch_interface touch_impl = {.release = destroy_resource};

static void get_pointer(struct wl_client *client, struct wl_resource *resource, uint32_t id)
{
	struct fake_host *host = wl_resource_get_user_data(resource);

	host->pointer = make(client, &wl_pointer_interface, 4, id, &pointer_impl, host, NULL);
}

static void get_touch(struct wl_client *client, struct wl_resource *resource, uint32_t id)
{
	struct fake_host *host = wl_resource_get_user_data(resource);

	host->touch = make(client, &wl_touch_interface, 4, id, &touch_impl, host, NULL);
}

static const struct wl_seat_interface seat_impl = {
	.get_pointer = get_pointer, .get_touch = get_touch, .release = destroy_resource};

static void bind_seat(struct wl_client *client, void *data, uint32_t version, uint32_t id)
{
	struct wl_resource *seat =
		make(client, &wl_seat_interface, version, id, &seat_impl, data, NULL);

	wl_seat_send_capabilities(seat, WL_SEAT_CAPABILITY_POINTER | WL_SEAT_CAPABILITY_TOUCH);
}

void fake_host_enter(struct fake_host *host, double x, double y)
{
	wl_pointer_send_enter(host->pointer, ++host->serial, host->window->resource,
		wl_fixed_from_double(x), wl_fixed_from_double(y));
}

void fake_host_motion(struct fake_host *host, double x, double y)
{
	wl_pointer_send_motion(host->pointer, 7, wl_fixed_from_double(x), wl_fixed_from_double(y));
}

void fake_host_leave(struct fake_host *host)
{
	wl_pointer_send_leave(host->pointer, ++host->serial, host->window->resource);
}

void fake_host_button(struct fake_host *host, uint32_t button, bool pressed)
{
	wl_pointer_send_button(host->pointer, ++host->serial, 8, button, pressed);
}

void fake_host_axis(struct fake_host *host, bool horizontal, double value)
{
	wl_pointer_send_axis(host->pointer, 9, horizontal, wl_fixed_from_double(value));
}

void fake_host_touch(struct fake_host *host, int32_t id, double x, double y)
{
	wl_touch_send_down(host->touch, ++host->serial, 10, host->window->resource, id,
		wl_fixed_from_double(x), wl_fixed_from_double(y));
}

void fake_host_touch_motion(struct fake_host *host, int32_t id, double x, double y)
{
	wl_touch_send_motion(host->touch, 11, id, wl_fixed_from_double(x), wl_fixed_from_double(y));
}

void fake_host_touch_up(struct fake_host *host, int32_t id)
{
	wl_touch_send_up(host->touch, ++host->serial, 12, id);
}

void fake_host_touch_cancel(struct fake_host *host)
{
	wl_touch_send_cancel(host->touch);
}

/* ---- globals ---- */

#define BIND(name, interface, impl)                                                  \
	static void bind_##name(                                                     \
		struct wl_client *client, void *data, uint32_t version, uint32_t id) \
	{                                                                            \
		make(client, &interface, version, id, &impl, data, NULL);            \
	}

BIND(compositor, wl_compositor_interface, compositor_impl)
BIND(subcompositor, wl_subcompositor_interface, subcompositor_impl)
BIND(wm_base, xdg_wm_base_interface, wm_base_impl)
BIND(viewporter, wp_viewporter_interface, viewporter_impl)
BIND(alpha_modifier, wp_alpha_modifier_v1_interface, alpha_modifier_impl)
BIND(fractional, wp_fractional_scale_manager_v1_interface, fractional_manager_impl)

static void add_globals(struct fake_host *host)
{
	struct wl_display *d = host->display;

	wl_global_create(d, &wl_compositor_interface, 4, host, bind_compositor);
	wl_global_create(d, &wl_subcompositor_interface, 1, host, bind_subcompositor);
	wl_global_create(d, &xdg_wm_base_interface, 1, host, bind_wm_base);
	wl_display_init_shm(d);
	wl_display_add_shm_format(d, DRM_FORMAT_XBGR8888);
	wl_display_add_shm_format(d, DRM_FORMAT_ABGR8888);
	wl_display_add_shm_format(d, DRM_FORMAT_RGB565);
	if (host->config.viewporter)
		wl_global_create(d, &wp_viewporter_interface, 1, host, bind_viewporter);
	if (host->config.alpha)
		wl_global_create(d, &wp_alpha_modifier_v1_interface, 1, host, bind_alpha_modifier);
	if (host->config.scale)
		wl_global_create(
			d, &wp_fractional_scale_manager_v1_interface, 1, host, bind_fractional);
	if (host->config.input)
		wl_global_create(d, &wl_seat_interface, 4, host, bind_seat);
}

struct fake_host *fake_host_create(const struct fake_host_config *config)
{
	struct fake_host *host = calloc(1, sizeof(*host));
	char text[16];
	int fds[2];

	host->config = *config;
	host->display = wl_display_create();
	add_globals(host);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	host->client = wl_client_create(host->display, fds[0]);
	snprintf(text, sizeof(text), "%d", fds[1]);
	setenv("WAYLAND_SOCKET", text, 1);
	return host;
}

void fake_host_destroy(struct fake_host *host)
{
	wl_display_destroy_clients(host->display);
	wl_display_destroy(host->display);
	free(host);
}

void fake_host_dispatch(struct fake_host *host)
{
	wl_display_flush_clients(host->display);
	wl_event_loop_dispatch(wl_display_get_event_loop(host->display), 0);
	wl_display_flush_clients(host->display);
}

void fake_host_window(const struct fake_host *host, uint32_t *width, uint32_t *height)
{
	*width = (uint32_t)host->window->shown.width;
	*height = (uint32_t)host->window->shown.height;
}

void fake_host_resize(struct fake_host *host, int32_t width, int32_t height)
{
	struct wl_array states;
	uint32_t *state;

	wl_array_init(&states);
	state = wl_array_add(&states, sizeof(*state));
	*state = XDG_TOPLEVEL_STATE_FULLSCREEN;
	xdg_toplevel_send_configure(host->toplevel, width, height, &states);
	xdg_surface_send_configure(host->xdg_surface, ++host->serial);
	wl_array_release(&states);
}

void fake_host_set_scale(struct fake_host *host, uint32_t scale)
{
	host->config.scale = scale;
	wp_fractional_scale_v1_send_preferred_scale(host->fractional, scale);
}

/* ---- painting ---- */

static uint32_t fourcc_of(uint32_t format)
{
	if (format == WL_SHM_FORMAT_XRGB8888)
		return DRM_FORMAT_XRGB8888;
	return format == WL_SHM_FORMAT_ARGB8888 ? DRM_FORMAT_ARGB8888 : format;
}

/* From a point of the surface to one of the buffer of width × height: the client has turned the surface's content
 * counter-clockwise by transform (after mirroring it) to get the buffer's. */
static void to_buffer(int32_t transform, double width, double height, double *x, double *y)
{
	bool turned = transform & 1;
	/* Of the surface. */
	double w = turned ? height : width, h = turned ? width : height;
	double u = transform & 4 ? w - *x : *x, v = *y;

	switch (transform & 3) {
	case 1:
		*x = v;
		*y = w - u;
		break;
	case 2:
		*x = w - u;
		*y = h - v;
		break;
	case 3:
		*x = h - v;
		*y = u;
		break;
	default:
		*x = u;
		*y = v;
		break;
	}
}

static unsigned mul(unsigned a, unsigned b)
{
	return (a * b * 2 + 255) / 510;
}

static uint32_t blend(uint32_t below, uint32_t pixel, uint32_t alpha)
{
	unsigned a = (unsigned)floor(alpha * 255.0 / UINT32_MAX + 0.5);
	unsigned through = 255 - mul(pixel >> 24, a);
	uint32_t result = 0;

	for (int shift = 0; shift < 24; shift += 8) {
		unsigned c = mul(pixel >> shift & 255, a) + mul(below >> shift & 255, through);

		result |= (c > 255 ? 255u : c) << shift;
	}
	return result;
}

struct picture {
	const struct state *state;
	struct bn_buffer_attrs attrs;
	struct reference_layer layer;
	double x0, y0, width, height;               /* on the display, in pixels */
	double src_x, src_y, src_width, src_height; /* of the turned buffer */
};

static void describe(const struct fake_host *host, const struct surface *surface, struct picture *p)
{
	struct wl_shm_buffer *shm = wl_shm_buffer_get(surface->shown.buffer);
	double scale = host->config.scale ? host->config.scale / 120.0 : 1.0;
	const struct state *s = &surface->shown;
	bool turned = s->transform & 1;

	*p = (struct picture){.state = s};
	CU_ASSERT_PTR_NOT_NULL_FATAL(shm);
	p->attrs.width = (uint32_t)wl_shm_buffer_get_width(shm);
	p->attrs.height = (uint32_t)wl_shm_buffer_get_height(shm);
	p->attrs.stride[0] = (uint32_t)wl_shm_buffer_get_stride(shm);
	p->attrs.fourcc = fourcc_of(wl_shm_buffer_get_format(shm));
	p->layer.attrs = &p->attrs;
	p->layer.planes[0] = wl_shm_buffer_get_data(shm);
	p->src_width = turned ? p->attrs.height : p->attrs.width;
	p->src_height = turned ? p->attrs.width : p->attrs.height;
	if (s->src_width > 0) {
		/* What the protocol says is an error, else. */
		CU_ASSERT(s->src_x >= 0 && s->src_x + s->src_width <= p->src_width);
		CU_ASSERT(s->src_y >= 0 && s->src_y + s->src_height <= p->src_height);
		p->src_x = s->src_x;
		p->src_y = s->src_y;
		p->src_width = s->src_width;
		p->src_height = s->src_height;
	}
	p->x0 = surface->x * scale;
	p->y0 = surface->y * scale;
	p->width = (s->width > 0 ? s->width : p->src_width) * scale;
	p->height = (s->width > 0 ? s->height : p->src_height) * scale;
}

static void paint(const struct picture *p, uint32_t width, uint32_t height, uint32_t *pixels)
{
	for (uint32_t i = 0; i < width * height; i++) {
		double x = (i % width + 0.5 - p->x0) / p->width;
		double y = (i / width + 0.5 - p->y0) / p->height;

		if (x < 0 || y < 0 || x >= 1 || y >= 1)
			continue;
		x = p->src_x + x * p->src_width;
		y = p->src_y + y * p->src_height;
		to_buffer(p->state->transform, p->attrs.width, p->attrs.height, &x, &y);
		pixels[i] = blend(pixels[i],
			reference_pixel(&p->layer, (int)floor(x), (int)floor(y), true),
			p->state->alpha);
	}
}

void fake_host_paint(struct fake_host *host, uint32_t width, uint32_t height, uint32_t *pixels)
{
	struct picture picture;

	for (uint32_t i = 0; i < width * height; i++)
		pixels[i] = 0xff00ff; /* to be covered by the window's ground */
	describe(host, host->window, &picture);
	paint(&picture, width, height, pixels);
	for (unsigned i = 0; i < host->shown_count; i++) {
		if (!host->shown[i]->shown.buffer)
			continue;
		describe(host, host->shown[i], &picture);
		paint(&picture, width, height, pixels);
	}
}
