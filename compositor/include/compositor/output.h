/* An output: one display's worth of picture, refreshed at its own pace. It shows one scene: layers (a VM's scanout each, lowest first) and one
 * cursor per layer. Kinds of outputs are vtables (struct bn_output_impl in compositor/output_impl.h, private to the compositor).
 *
 * Pace: a frame that is submitted is latched at the next (virtual) vblank and reported by `presented`; a newer frame submitted before that
 * replaces it, and then `presented` reports both (the older one as superseded). An output set to run free presents at once. An output with nothing new to
 * show wakes nobody. One thread: the event loop's. */
#ifndef BN_COMPOSITOR_OUTPUT_H
#define BN_COMPOSITOR_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/histogram.h"
#include "compositor/place.h"
#include "zero-copy/buffer.h"

struct wl_event_loop;
struct json_object;

#define BN_OUTPUT_NAME_MAX 32
#define BN_OUTPUT_LAYERS_MAX 24
#define BN_OUTPUT_PLANES_MAX 32
#define BN_CURSOR_SIZE 64 /* pixels, each way: virtio-gpu's cursor (VIRTIO 1.3 §5.7.6.10) */

enum bn_output_kind { BN_OUTPUT_HEADLESS, BN_OUTPUT_WAYLAND, BN_OUTPUT_KMS };

struct bn_output_config {
	char name[BN_OUTPUT_NAME_MAX];
	enum bn_output_kind kind;
	uint32_t width, height; /* pixels, 1–8192 */
	uint32_t refresh_mhz;	/* 1000–1000000 */
	uint32_t width_mm, height_mm; /* 0: derived for 96 dpi */
	bool free_running;	/* present at once, pace nobody: for benchmarks */
	bool fullscreen;	/* wayland only */

	/* kms only. card: a node's path, a driver's name, or "" for the first card with a free connector; connector: as in
	 * "HDMI-A-1", or "" for the first that is free. preferred_mode: width, height and refresh_mhz are what the
	 * connector prefers, known once the output is made. */
	char card[64], connector[32];
	bool preferred_mode;
};

/* One flushed frame. It is opaque, whatever its format says of alpha, unless its layer blends (struct bn_place). The source and the damage rectangle count from the
 * top left of the picture seen upright (so with y_invert not from the first row in memory), and are cut to the buffer. */
struct bn_frame {
	struct bn_buffer *buffer; /* NULL: the layer shows nothing (its scanout is off) */
	uint32_t src_x, src_y, src_width, src_height; /* the part of the buffer that is the scanout */
	uint32_t damage_x, damage_y, damage_width, damage_height; /* buffer pixels that changed */
	uint64_t seq;	   /* the renderer's number of this flush, handed back by presented() */
	uint64_t flush_ns; /* when the guest's flush was taken from the ring */
	/* When the guest flushed what is seen, of a picture that is shown again later than that (by a new renderer, on one
	 * more layer); 0: flush_ns. */
	uint64_t content_ns;
};

enum bn_presented {
	BN_PRESENTED_SHOWN,
	BN_PRESENTED_SUPERSEDED, /* replaced before it could be shown */
	BN_PRESENTED_DISCARDED,	 /* the layer or the output went away */
};

struct bn_layer_listener {
	/* Exactly once for each submitted frame, whose buffer is locked until the callback returns. when_ns: the vblank's
	 * CLOCK_MONOTONIC time, never before the submit. The callback may submit again and may destroy the layer, not the
	 * output. It is called from the loop; from bn_layer_submit only when 64 frames of the layer wait already. */
	void (*presented)(void *data, const struct bn_frame *frame, enum bn_presented how, uint64_t when_ns);
};

struct bn_output;
struct bn_layer;

/* Opens an output. Returns 0 or -errno; a Wayland output that finds no compositor gives -ENOENT (WAYLAND_DISPLAY unset) or -ECONNREFUSED and says so in
 * the log. The loop must outlive the output. */
int bn_output_create(struct bn_output **out, struct wl_event_loop *loop, const struct bn_output_config *config);
/* Frames not yet presented are reported as DISCARDED. Layers must be destroyed before. NULL is allowed. */
void bn_output_destroy(struct bn_output *output);

const struct bn_output_config *bn_output_config(const struct bn_output *output);
/* Changes the mode at run time (headless: at once; wayland: resizes the window). -EINVAL for a mode out of range. */
int bn_output_set_mode(struct bn_output *output, uint32_t width, uint32_t height, uint32_t refresh_mhz);
/* A window closed by the person in front of it, or a compositor that went away (wayland): from then on frames are paced as by
 * a headless output. Called once, from the loop; it may destroy the output. handler may be NULL. */
void bn_output_set_closed_handler(struct bn_output *output, void (*handler)(void *data), void *data);
/* Vblanks that showed something new, since creation. */
uint64_t bn_output_frames(const struct bn_output *output);

/* A new layer on top of the others; NULL when there are BN_OUTPUT_LAYERS_MAX. Listener must stay valid as long as the layer. */
struct bn_layer *bn_layer_create(struct bn_output *output, const struct bn_layer_listener *listener, void *data);
/* Pending frames are reported as DISCARDED; the last shown buffer is unlocked. NULL is allowed. */
void bn_layer_destroy(struct bn_layer *layer);
/* Where the layer's top left corner sits on the output (default 0, 0). */
void bn_layer_set_position(struct bn_layer *layer, int32_t x, int32_t y);
/* All of how it sits there (default bn_place_default). Everything that is changed before the loop goes on is shown with
 * one vblank. Values out of range are brought into it; bn_scene_check() is where they are refused. */
void bn_layer_set_place(struct bn_layer *layer, const struct bn_place *place);
const struct bn_place *bn_layer_place(const struct bn_layer *layer);
/* For messages and status: the layer's name (cut at 47 bytes; default ""), the number of the VM that its planes are
 * counted for (UINT32_MAX: nobody's, the default), and how many planes of the output that VM has for itself. */
void bn_layer_set_owner(struct bn_layer *layer, const char *name, uint32_t vm, unsigned planes);
const char *bn_layer_name(const struct bn_layer *layer);
/* What is shown of it now; buffer NULL: nothing. Valid until the loop goes on. */
const struct bn_frame *bn_layer_current(const struct bn_layer *layer);
/* Locks frame->buffer until it is no longer shown or wanted. The frame is cut at the output's edges. */
void bn_layer_submit(struct bn_layer *layer, const struct bn_frame *frame);
/* A frame that waits goes, reported as superseded from within bn_layer_submit(), as soon as there is a
 * newer one, and its buffer with it: for a layer whose output does not pace who submits. Default: no. */
void bn_layer_set_newest_only(struct bn_layer *layer, bool newest_only);
/* The cursor of this layer: 64×64 premultiplied ARGB8888 (DRM_FORMAT_ARGB8888) or NULL to hide it; hot spot in pixels. Pixels are copied. */
void bn_layer_set_cursor(struct bn_layer *layer, const uint32_t *pixels, uint32_t hot_x, uint32_t hot_y);
/* Position of the hot spot in layer pixels; what lies outside of the layer is cut off. Neither of the two waits for a frame. */
void bn_layer_move_cursor(struct bn_layer *layer, int32_t x, int32_t y);

/* What the output shows now, composed by the CPU into XRGB8888 (DRM_FORMAT_XRGB8888, native size of the output, stride width × 4, black where nothing is):
 * pixels is malloc'd and the caller's to free. 0, -ENOMEM, -ENOTSUP when a shown buffer is a dma-buf that cannot be mapped, or -EAGAIN when a GPU still writes to one: nothing here waits for it. */
int bn_output_capture(struct bn_output *output, uint32_t **pixels, uint32_t *width, uint32_t *height);
/* The layer's current frame by itself, upright, uncropped, unscaled, in the same form. -ENOENT when it shows nothing. */
int bn_layer_capture(struct bn_layer *layer, uint32_t **pixels, uint32_t *width, uint32_t *height);

/* ---- what is shown how ---- */

enum bn_shown_how {
	BN_SHOWN_NOT,	   /* no frame, hidden, outside, covered by opaque layers (kms), or the output is off */
	BN_SHOWN_PLANE,	   /* scanned out as it is (kms), or a subsurface of its own (wayland) */
	BN_SHOWN_COMPOSED, /* drawn into the output's composed picture */
};

struct bn_layer_shown {
	enum bn_shown_how how;
	uint32_t plane_id; /* kms: of the KMS object; else 0 */
	char why[96];	   /* composed or not shown: the reason, for a person; else "" */
};
void bn_layer_shown(const struct bn_layer *layer, struct bn_layer_shown *out);

struct bn_plane_status {
	uint32_t id;
	const char *type; /* "primary", "overlay" or "cursor" */
	/* Of the layer that it shows; "": none. The composed picture is "(composed)", a cursor "NAME cursor". */
	char layer[64];
};
/* Planes that the output may use, at most max; their number. 0 where there is nothing like a plane. */
unsigned bn_output_planes(const struct bn_output *output, struct bn_plane_status *out, unsigned max);

struct bn_output_status {
	bool connected; /* kms: something is plugged in; wayland: the window is there; headless: true */
	bool waiting;	/* kms: its session has not been in front so far, so nobody knows what is plugged in */
	bool active;	/* scanning out */
	char card[64], driver[32], connector[32], model[64]; /* kms; "" when unknown */
	unsigned planes, planes_used;
	uint64_t flips;		   /* refreshes that showed something new */
	uint64_t late;		   /* of them, shown a refresh or more later than asked for */
	uint64_t commits, tests;   /* atomic commits; TEST_ONLY ones */
	uint64_t failed;	   /* commits refused by the driver */
	uint64_t composed;	   /* pictures composed */
	uint64_t composed_bytes;   /* pixel bytes that the CPU wrote for them */
	uint64_t unplugged;	   /* times the connector dropped out */
	struct bn_histogram commit; /* time that one frame's decision and commit call took */
	struct bn_histogram latency; /* guest's flush → vblank, of shown frames */
};
void bn_output_status(const struct bn_output *output, struct bn_output_status *out);
/* Whether there is a display that shows something: plugged in, ours, in sight. One that does not answer any more counts,
 * unlike for bn_output_status.active. */
bool bn_output_active(const struct bn_output *output);
/* Calls handler from the loop whenever that has changed; what is done about it is for later, it may do nothing to the
 * output. NULL ends it. */
void bn_output_set_active_handler(
	struct bn_output *output, void (*handler)(void *data), void *data);

/* Calls handler from the loop whenever the display has brought another mode by itself: it was plugged in for the first time,
 * came back, or lists other modes than before. bn_output_config() has the new one, and its layers are where they were. The
 * handler may change places and submit frames; it may not destroy the output. NULL ends it. (kms) */
void bn_output_set_mode_handler(
	struct bn_output *output, void (*handler)(void *data), void *data);

/* ---- looking at what is really shown (safety watchdog) ---- */

enum bn_read_source {
	BN_READ_LAYER,	   /* the layers' own buffers, put together again by the CPU */
	BN_READ_COMPOSED,  /* the composed picture that is scanned out */
	BN_READ_WRITEBACK, /* what the display hardware wrote back */
};

struct bn_read_info {
	enum bn_read_source source;
	uint64_t when_ns; /* vblank at which this picture was first shown */
	uint64_t seq;	  /* counts the pictures shown: two reads with the same one saw the same */
};

/* Calls handler from the loop after every vblank that showed something new, with its CLOCK_MONOTONIC time, and from then on
 * keeps what bn_output_read() needs. The handler may change places and submit frames; it may not destroy the output. NULL
 * ends it. One observer per output. */
void bn_output_set_observer(
	struct bn_output *output, void (*handler)(void *data, uint64_t when_ns), void *data);
/* Copies that part of what is scanned out now to pixels (XRGB8888, stride rect->width × 4 bytes; X is 0); the part must lie within
 * the output (-EINVAL). -EAGAIN: not known now (a writeback is under way, a GPU still draws), ask again after the next
 * vblank; -ETIMEDOUT: the display does not answer, whatever it shows; -ENOTSUP: a buffer that no CPU can read. Never
 * waits. */
int bn_output_read(struct bn_output *output, const struct bn_rect *rect, uint32_t *pixels,
	struct bn_read_info *info);

/* ---- what people do at it ---- */

enum bn_input_kind {
	BN_INPUT_ENTER, /* the pointer came in, at x, y */
	BN_INPUT_LEAVE,
	BN_INPUT_MOTION,
	BN_INPUT_BUTTON,
	BN_INPUT_AXIS, /* wheel */
	BN_INPUT_TOUCH_DOWN,
	BN_INPUT_TOUCH_MOTION,
	BN_INPUT_TOUCH_UP,
	BN_INPUT_TOUCH_CANCEL, /* of all touches: they were not meant for us */
};

struct bn_input_event {
	enum bn_input_kind kind;
	uint32_t time_ms; /* of the sender's clock; 0: not said */
	double x, y;	  /* the output's pixels, may be outside of it; ENTER, MOTION, TOUCH_DOWN, TOUCH_MOTION */
	uint32_t button;  /* BTN_* of linux/input-event-codes.h */
	bool pressed;
	bool horizontal; /* AXIS */
	double amount;	 /* AXIS: pixels, down and right are positive */
	int32_t touch;	 /* which finger: TOUCH_* */
};

/* Pointer and touch of outputs that have them (wayland). Called from the loop; the handler may not destroy the output.
 * NULL ends it. */
void bn_output_set_input_listener(struct bn_output *output,
	void (*handler)(void *data, const struct bn_input_event *event), void *data);

#endif
