/* The Wayland output's own parts: the connection (wayland.c), what the compositor offers
 * (wayland_globals.c), the window (wayland_window.c), buffers (wayland_buffer.c), layers and
 * cursors (wayland_plane.c), the pace (wayland_scene.c). */
#ifndef BN_COMPOSITOR_WAYLAND_IMPL_H
#define BN_COMPOSITOR_WAYLAND_IMPL_H

#include <wayland-client.h>

#include "linux-dmabuf-v1-client-protocol.h"
#include "output_impl.h"
#include "presentation-time-client-protocol.h"
#include "single-pixel-buffer-v1-client-protocol.h"
#include "viewporter-client-protocol.h"
#include "xdg-shell-client-protocol.h"

/* CPU images of one surface: one shown, one that the compositor may still read, one to draw in. */
#define BN_WL_IMAGES 3

struct bn_wl {
	struct bn_output *output;
	struct wl_display *display;
	struct wl_event_source *source;
	bool blocked;     /* the compositor does not read: nothing is sent until it does */
	const char *lost; /* why the output must close; acted upon outside of the dispatch */

	struct wl_registry *registry;
	struct wl_callback *globals_done;
	struct wl_compositor *compositor;
	struct wl_subcompositor *subcompositor;
	struct wl_shm *shm;
	struct xdg_wm_base *wm_base;
	struct wp_viewporter *viewporter;                       /* may be NULL */
	struct wp_presentation *presentation;                   /* may be NULL */
	struct zwp_linux_dmabuf_v1 *dmabuf;                     /* may be NULL */
	struct wp_single_pixel_buffer_manager_v1 *single_pixel; /* may be NULL */
	uint32_t clock_id;
	struct wl_array shm_formats;    /* uint32_t */
	struct wl_array dmabuf_formats; /* struct bn_wl_dmabuf_format */
	bool said_copy;

	struct wl_surface *surface; /* the black ground, of the window's size */
	struct xdg_surface *xdg_surface;
	struct xdg_toplevel *toplevel;
	struct wp_viewport *viewport;
	struct wl_buffer *ground;
	uint32_t ground_width, ground_height; /* as shown */
	uint32_t asked_width, asked_height;   /* by the compositor; 0: the output decides */
	bool configured;

	bool dirty;   /* something changed since the last commit */
	bool stalled; /* the compositor does not ask for frames: the pacer sets the pace */
	struct wl_callback *frame;
	struct wl_surface *frame_surface; /* that the frame callback hangs on */
	uint64_t frame_commit;
	struct wl_list
		flights; /* bn_wl_flight.link: commits whose presentation time is not known yet */
	struct wl_list buffers; /* bn_wl_buffer.link */
};

struct bn_wl_dmabuf_format {
	uint32_t fourcc;
	uint64_t modifier;
};

/* A bn_buffer as the compositor knows it: private object of the bn_buffer, freed with it. */
struct bn_wl_buffer {
	struct bn_wl *wl;
	struct wl_list link;
	struct bn_buffer *buffer;
	struct wl_buffer *wl_buffer;               /* NULL: not (yet) taken */
	struct zwp_linux_buffer_params_v1 *params; /* the compositor is looking at it */
	bool busy; /* attached and not released: the bn_buffer is locked */
};

/* A picture in shared memory of our own. */
struct bn_wl_image {
	struct bn_wl *wl;
	struct wl_buffer *wl_buffer; /* NULL: the image does not exist */
	uint32_t *pixels;
	uint32_t width, height, format; /* wl_shm format */
	bool busy;
};

/* A subsurface: a layer's picture or its cursor. */
struct bn_wl_plane {
	struct wl_surface *surface;
	struct wl_subsurface *subsurface;
	struct wp_viewport *viewport; /* NULL without wp_viewporter */
	struct bn_wl_image images[BN_WL_IMAGES];
	bool mapped;
	bool copied;		     /* shows one of the images */
	struct bn_geometry geometry; /* as sent */
	int32_t x, y;		     /* of the output in the window, when it was sent */
	bool placed;		     /* geometry is set */
	uint16_t alpha;		     /* of the copy */
	bool blend;
};

struct bn_wl_layer {
	struct bn_wl_plane picture, cursor;
};

/* wayland.c */
/* Hands what was written to the socket. */
void bn_wl_flush(struct bn_wl *wl);

/* wayland_globals.c */
/* Asks for the globals; the window opens when they are known. 0 or -ENOMEM. */
int bn_wl_globals_ask(struct bn_wl *wl);
void bn_wl_globals_finish(struct bn_wl *wl);

/* wayland_window.c */
/* 0 or -ENOMEM. */
int bn_wl_window_open(struct bn_wl *wl);
void bn_wl_window_close(struct bn_wl *wl);
/* Tells the compositor that the output's mode changed. */
void bn_wl_window_resize(struct bn_wl *wl);
/* Makes the ground fit the window; committed by the caller. */
void bn_wl_window_draw(struct bn_wl *wl);
/* Where the output's picture begins in the window (a compositor may give more room than was
 * asked for). */
void bn_wl_window_origin(const struct bn_wl *wl, int32_t *x, int32_t *y);

/* wayland_buffer.c */
/* The wl_buffer for a frame's buffer. NULL: not to be had now (*wait, bn_wl_schedule is called
 * when it is) or ever. */
struct bn_wl_buffer *bn_wl_buffer_get(struct bn_wl *wl, struct bn_buffer *buffer, bool *wait);
/* Locks the buffer until the compositor releases it. */
void bn_wl_buffer_use(struct bn_wl_buffer *buffer);
/* Forgets all of them. */
void bn_wl_buffers_finish(struct bn_wl *wl);

/* wayland_image.c */
/* A wl_buffer in the first size bytes of fd (not taken over), or NULL. */
struct wl_buffer *bn_wl_shm_buffer(struct bn_wl *wl, int fd, uint64_t size, uint32_t offset,
	uint32_t width, uint32_t height, uint32_t stride, uint32_t format);
/* One of the plane's images that is free, of this size; NULL when all are in use or there is no
 * memory. */
struct bn_wl_image *bn_wl_image_get(struct bn_wl *wl, struct bn_wl_plane *plane, uint32_t width,
	uint32_t height, uint32_t format);
void bn_wl_image_finish(struct bn_wl_image *image);
/* A black wl_buffer, or NULL. */
struct wl_buffer *bn_wl_black(struct bn_wl *wl, uint32_t width, uint32_t height);

/* wayland_scene.c */
void bn_wl_schedule(struct bn_wl *wl);
void bn_wl_soon(struct bn_wl *wl);
void bn_wl_tick(struct bn_wl *wl, uint64_t now_ns);
void bn_wl_scene_finish(struct bn_wl *wl);
/* Stops waiting for the frame callback. */
void bn_wl_drop_frame(struct bn_wl *wl);

/* wayland_plane.c */
/* Frees layer->impl_data. */
void bn_wl_layer_finish(struct bn_wl *wl, struct bn_layer *layer);
/* Updates the layer's surfaces. Returns the surface that shows its picture, NULL when nothing of
 * it is to be seen. */
struct wl_surface *bn_wl_layer_update(struct bn_wl *wl, struct bn_layer *layer);

#endif
