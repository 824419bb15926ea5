/* A Wayland compositor for one client, without a display, in the test's own thread: it keeps what it is told and paints
 * it pixel by pixel. */
#ifndef BN_TEST_FAKE_HOST_H
#define BN_TEST_FAKE_HOST_H

#include <stdbool.h>
#include <stdint.h>

struct fake_host;

struct fake_host_config {
	uint32_t scale;  /* pixels for 120 units; 0: no fractional scale */
	bool alpha;      /* wp_alpha_modifier_v1 */
	bool viewporter; /* wp_viewporter */
	bool input;      /* a seat with pointer and touch */
};

/* Makes WAYLAND_SOCKET lead to it: the next wl_display_connect() is its client. */
struct fake_host *fake_host_create(const struct fake_host_config *config);
void fake_host_destroy(struct fake_host *host);
/* Handles what has come and answers it. */
void fake_host_dispatch(struct fake_host *host);
/* The window in pixels of the display: width × height of x8r8g8b8 from its top left corner. */
void fake_host_paint(struct fake_host *host, uint32_t width, uint32_t height, uint32_t *pixels);
/* Size of the window in units, as its ground was made. */
void fake_host_window(const struct fake_host *host, uint32_t *width, uint32_t *height);
/* What the window's size is ordered to be, as when it is made fullscreen. */
void fake_host_resize(struct fake_host *host, int32_t width, int32_t height);
void fake_host_set_scale(struct fake_host *host, uint32_t scale);

/* In units of the window. */
void fake_host_enter(struct fake_host *host, double x, double y);
void fake_host_motion(struct fake_host *host, double x, double y);
void fake_host_leave(struct fake_host *host);
void fake_host_button(struct fake_host *host, uint32_t button, bool pressed);
void fake_host_axis(struct fake_host *host, bool horizontal, double value);
void fake_host_touch(struct fake_host *host, int32_t id, double x, double y);
void fake_host_touch_motion(struct fake_host *host, int32_t id, double x, double y);
void fake_host_touch_up(struct fake_host *host, int32_t id);
void fake_host_touch_cancel(struct fake_host *host);

#endif
