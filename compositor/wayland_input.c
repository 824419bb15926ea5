/* Pointer and touch on the window, in the output's pixels. Subsurfaces take no input, so that all of
 * it comes to the window's own surface. */
#include <string.h>

#include "wayland_impl.h"

static void emit(struct bn_wl *wl, const struct bn_input_event *event)
{
	if (wl->output->input)
		wl->output->input(wl->output->input_data, event);
}

static void emit_at(struct bn_wl *wl, enum bn_input_kind kind, uint32_t time_ms, int32_t touch,
	wl_fixed_t x, wl_fixed_t y)
{
	int32_t left, top;
	struct bn_input_event event = {.kind = kind, .time_ms = time_ms, .touch = touch};

	bn_wl_window_origin(wl, &left, &top);
	event.x = (wl_fixed_to_double(x) - left) * wl->scale / 120.0;
	event.y = (wl_fixed_to_double(y) - top) * wl->scale / 120.0;
	emit(wl, &event);
}

static void handle_enter(void *data, struct wl_pointer *pointer, uint32_t serial,
	struct wl_surface *surface, wl_fixed_t x, wl_fixed_t y)
{
	struct bn_wl *wl = data;

	/* Guests draw their own pointers. */
	if (wl->output->input)
		wl_pointer_set_cursor(pointer, serial, NULL, 0, 0);
	emit_at(wl, BN_INPUT_ENTER, 0, 0, x, y);
}

static void handle_leave(
	void *data, struct wl_pointer *pointer, uint32_t serial, struct wl_surface *surface)
{
	emit(data, &(struct bn_input_event){.kind = BN_INPUT_LEAVE});
}

static void handle_motion(
	void *data, struct wl_pointer *pointer, uint32_t time, wl_fixed_t x, wl_fixed_t y)
{
	emit_at(data, BN_INPUT_MOTION, time, 0, x, y);
}

static void handle_button(void *data, struct wl_pointer *pointer, uint32_t serial, uint32_t time,
	uint32_t button, uint32_t state)
{
	struct bn_input_event event = {
		.kind = BN_INPUT_BUTTON,
		.time_ms = time,
		.button = button,
		.pressed = state == WL_POINTER_BUTTON_STATE_PRESSED,
	};

	emit(data, &event);
}

static void handle_axis(
	void *data, struct wl_pointer *pointer, uint32_t time, uint32_t axis, wl_fixed_t value)
{
	struct bn_wl *wl = data;
	struct bn_input_event event = {
		.kind = BN_INPUT_AXIS,
		.time_ms = time,
		.horizontal = axis == WL_POINTER_AXIS_HORIZONTAL_SCROLL,
		.amount = wl_fixed_to_double(value) * wl->scale / 120.0,
	};

	emit(wl, &event);
}

static const struct wl_pointer_listener pointer_listener = {
	.enter = handle_enter,
	.leave = handle_leave,
	.motion = handle_motion,
	.button = handle_button,
	.axis = handle_axis,
};

static void handle_down(void *data, struct wl_touch *touch, uint32_t serial, uint32_t time,
	struct wl_surface *surface, int32_t id, wl_fixed_t x, wl_fixed_t y)
{
	emit_at(data, BN_INPUT_TOUCH_DOWN, time, id, x, y);
}

static void handle_up(
	void *data, struct wl_touch *touch, uint32_t serial, uint32_t time, int32_t id)
{
	struct bn_input_event event = {.kind = BN_INPUT_TOUCH_UP, .time_ms = time, .touch = id};

	emit(data, &event);
}

static void handle_touch_motion(
	void *data, struct wl_touch *touch, uint32_t time, int32_t id, wl_fixed_t x, wl_fixed_t y)
{
	emit_at(data, BN_INPUT_TOUCH_MOTION, time, id, x, y);
}

static void handle_touch_frame(void *data, struct wl_touch *touch)
{
}

static void handle_cancel(void *data, struct wl_touch *touch)
{
	emit(data, &(struct bn_input_event){.kind = BN_INPUT_TOUCH_CANCEL});
}

static const struct wl_touch_listener touch_listener = {
	.down = handle_down,
	.up = handle_up,
	.motion = handle_touch_motion,
	.frame = handle_touch_frame,
	.cancel = handle_cancel,
};

static void set_pointer(struct bn_wl *wl, bool wanted)
{
	if (wanted == (wl->pointer != NULL))
		return;
	if (!wanted) {
		wl_pointer_release(wl->pointer);
		wl->pointer = NULL;
		return;
	}
	wl->pointer = wl_seat_get_pointer(wl->seat);
	if (wl->pointer)
		wl_pointer_add_listener(wl->pointer, &pointer_listener, wl);
}

static void set_touch(struct bn_wl *wl, bool wanted)
{
	if (wanted == (wl->touch != NULL))
		return;
	if (!wanted) {
		wl_touch_release(wl->touch);
		wl->touch = NULL;
		return;
	}
	wl->touch = wl_seat_get_touch(wl->seat);
	if (wl->touch)
		wl_touch_add_listener(wl->touch, &touch_listener, wl);
}

static void handle_capabilities(void *data, struct wl_seat *seat, uint32_t capabilities)
{
	set_pointer(data, capabilities & WL_SEAT_CAPABILITY_POINTER);
	set_touch(data, capabilities & WL_SEAT_CAPABILITY_TOUCH);
}

static void handle_name(void *data, struct wl_seat *seat, const char *name)
{
}

static const struct wl_seat_listener seat_listener = {
	.capabilities = handle_capabilities,
	.name = handle_name,
};

void bn_wl_input_start(struct bn_wl *wl)
{
	wl_seat_add_listener(wl->seat, &seat_listener, wl);
}

void bn_wl_input_finish(struct bn_wl *wl)
{
	if (!wl->seat)
		return;
	set_pointer(wl, false);
	set_touch(wl, false);
	wl_seat_destroy(wl->seat);
	wl->seat = NULL;
}
