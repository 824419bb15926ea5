/* The Wayland output's own parts: the connection (wayland.c), what the compositor offers
 * (wayland_globals.c), the window (wayland_window.c), buffers (wayland_buffer.c), surfaces
 * (wayland_plane.c) and what of a layer they show (wayland_layer.c), the pace (wayland_scene.c),
 * pointer and touch (wayland_input.c). */
#ifndef BN_COMPOSITOR_WAYLAND_IMPL_H
#define BN_COMPOSITOR_WAYLAND_IMPL_H

#include <wayland-client.h>

#include "alpha-modifier-v1-client-protocol.h"
#include "fractional-scale-v1-client-protocol.h"
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
	struct wp_alpha_modifier_v1 *alpha_modifier;         /* may be NULL */
	struct wp_fractional_scale_manager_v1 *fractional; /* may be NULL */
	struct wl_seat *seat;                                /* may be NULL */
	struct wl_pointer *pointer;
	struct wl_touch *touch;
	bool said_copy;

	struct wl_surface *surface; /* the black ground, of the window's size */
	struct xdg_surface *xdg_surface;
	struct xdg_toplevel *toplevel;
	struct wp_viewport *viewport;
	struct wl_buffer *ground;
	struct wp_fractional_scale_v1 *fractional_scale;
	uint32_t scale;			      /* output pixels for 120 of the window's units */
	uint32_t ground_width, ground_height; /* as shown */
	uint32_t asked_width, asked_height;   /* by the compositor; 0: the output decides */
	bool configured;

	bool dirty;   /* something changed since the last commit */
	bool restack; /* surfaces are not in the layers' order */
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

/* A bn_buffer as the compositor knows it: private object of the bn_buffer, freed with it. One with
 * and one without the pixels' alpha. */
struct bn_wl_buffer {
	struct bn_wl *wl;
	struct wl_list link;
	struct bn_buffer *buffer;
	const void *owner;
	bool alpha;
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

/* How a plane was placed when it was committed last. */
struct bn_wl_placed {
	struct bn_geometry geometry;
	int32_t x, y;	/* of the output in the window */
	uint32_t scale; /* of the window */
	uint16_t alpha;
	bool blend;
};

/* A subsurface: a layer's picture or its cursor. */
struct bn_wl_plane {
	struct wl_surface *surface;
	struct wl_subsurface *subsurface;
	struct wp_viewport *viewport; /* NULL without wp_viewporter */
	struct wp_alpha_modifier_surface_v1 *alpha; /* NULL without wp_alpha_modifier_v1 */
	struct bn_wl_image images[BN_WL_IMAGES];
	bool mapped;
	bool copied; /* shows one of the images */
	struct bn_wl_placed placed; /* of what is mapped */
};

struct bn_wl_layer {
	struct bn_wl_plane picture, cursor;
	struct wl_surface *below; /* that the picture was put above */
	const char *why_copied;	  /* NULL: it is not */
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
 * asked for), in the window's units. */
void bn_wl_window_origin(const struct bn_wl *wl, int32_t *x, int32_t *y);

/* Pixels of the output and units of the window meet every so many: *pixels pixels are *units units. */
void bn_wl_window_grid(const struct bn_wl *wl, uint32_t *pixels, uint32_t *units);

/* wayland_buffer.c */
/* The wl_buffer for a frame's buffer; alpha: with the pixels' own. NULL: not to be had now (*wait,
 * bn_wl_schedule is called when it is) or ever. */
struct bn_wl_buffer *bn_wl_buffer_get(
	struct bn_wl *wl, struct bn_buffer *buffer, bool alpha, bool *wait);
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
bool bn_wl_plane_init(struct bn_wl *wl, struct bn_wl_plane *plane);
void bn_wl_plane_finish(struct bn_wl *wl, struct bn_wl_plane *plane);
void bn_wl_plane_hide(struct bn_wl *wl, struct bn_wl_plane *plane);
/* How the layer's picture or cursor is to be placed now; what of it is meant is the geometry. */
struct bn_wl_placed bn_wl_plane_wanted(
	const struct bn_wl *wl, const struct bn_layer *layer, const struct bn_geometry *geometry);
/* Why the plane cannot show the buffer itself so; NULL: it can. */
const char *bn_wl_plane_cannot(const struct bn_wl *wl, const struct bn_wl_plane *plane,
	const struct bn_buffer_attrs *attrs, const struct bn_wl_placed *wanted);
/* Commits the buffer, when fresh or when it is not as wanted; damage: of the frame. */
void bn_wl_plane_show(struct bn_wl *wl, struct bn_wl_plane *plane, struct bn_wl_buffer *buffer,
	const struct bn_frame *frame, bool fresh, const struct bn_wl_placed *wanted);
/* Draws and commits a copy; draw gets an image whose first pixel is that at (x, y) of the output. 0, what
 * draw returned, or -EBUSY when there is no image now. */
int bn_wl_plane_copy(struct bn_wl *wl, struct bn_wl_plane *plane, struct bn_layer *layer,
	const struct bn_wl_placed *wanted, bool opaque,
	int (*draw)(pixman_image_t *image, int32_t x, int32_t y, struct bn_layer *layer));
/* Whether the plane shows a copy placed so. Moves it when that is all that is missing. */
bool bn_wl_plane_has_copy(
	struct bn_wl *wl, struct bn_wl_plane *plane, const struct bn_wl_placed *wanted);

/* wayland_layer.c */
/* Frees layer->impl_data. */
void bn_wl_layer_finish(struct bn_wl *wl, struct bn_layer *layer);
/* Updates the layer's surfaces. Returns the surface that shows its picture, NULL when nothing of
 * it is to be seen. */
struct wl_surface *bn_wl_layer_update(struct bn_wl *wl, struct bn_layer *layer);
/* Puts the surfaces of all layers into their order, if they are not. */
void bn_wl_layers_stack(struct bn_wl *wl);
void bn_wl_layer_shown(const struct bn_layer *layer, struct bn_layer_shown *out);

/* wayland_input.c */
/* Listens to the seat that was bound. */
void bn_wl_input_start(struct bn_wl *wl);
void bn_wl_input_finish(struct bn_wl *wl);

#endif
