/* What the kinds of outputs share: the layers with their queues of frames, the virtual vblank,
 * and the vtable that makes a kind. Private to the compositor and its tests.
 *
 * The life of a frame: queued (bn_layer_submit) → latched (bn_output_latch: it is the layer's
 * picture from here on and the older ones are superseded) → reported (bn_output_report: the
 * listener has been told). */
#ifndef BN_COMPOSITOR_OUTPUT_IMPL_H
#define BN_COMPOSITOR_OUTPUT_IMPL_H

#include <pixman.h>
#include <wayland-server-core.h>

#include "common/clock.h"
#include "compositor/output.h"

/* The most frames of one layer that wait for their report; one more makes the oldest be reported
 * at once. */
#define BN_LAYER_QUEUE 64
/* Widths and heights of places end here: a pixel that is spread over all of it still has 1/65536
 * pixel for each. */
#define BN_PLACE_MAX (1u << 16)

/* One timer on a fixed grid of vblanks: the k-th is at origin + k × 10^12 / refresh_mhz
 * nanoseconds, computed from the origin each time so that nothing drifts. The timer runs only
 * while it is armed. */
struct bn_pacer {
	struct bn_clock clock;
	uint64_t origin_ns;
	uint32_t refresh_mhz;
	uint64_t deadline_ns; /* 0: none */
	uint64_t armed_ns;    /* when the timer rings: at the deadline, or at one that was there; 0: never */
	int timer_fd;         /* -1: driven by hand */
	struct wl_event_source *source;
	void (*fire)(void *data, uint64_t now_ns);
	void *data;
};

/* clock NULL: CLOCK_MONOTONIC and a timerfd in the loop; otherwise the pacer is driven by
 * bn_pacer_run alone. The first vblank is now. Returns 0 or -errno. */
int bn_pacer_init(struct bn_pacer *pacer, struct wl_event_loop *loop, const struct bn_clock *clock,
	uint32_t refresh_mhz, void (*fire)(void *data, uint64_t now_ns), void *data);
void bn_pacer_finish(struct bn_pacer *pacer);
/* A new grid that begins now; an armed deadline stays. */
void bn_pacer_set_refresh(struct bn_pacer *pacer, uint32_t refresh_mhz);
uint64_t bn_pacer_now(const struct bn_pacer *pacer);
uint64_t bn_pacer_period(const struct bn_pacer *pacer);
/* The last vblank at or before ns, and the first one after it. */
uint64_t bn_pacer_vblank_at(const struct bn_pacer *pacer, uint64_t ns);
uint64_t bn_pacer_vblank_after(const struct bn_pacer *pacer, uint64_t ns);
/* Fires once at the deadline; an earlier deadline that is already armed is kept. */
void bn_pacer_arm(struct bn_pacer *pacer, uint64_t deadline_ns);
void bn_pacer_disarm(struct bn_pacer *pacer);
/* This deadline and no other; 0: none. A system call only if that is new. */
void bn_pacer_set(struct bn_pacer *pacer, uint64_t deadline_ns);
/* Fires if the deadline has come. For the timer, and for tests. */
void bn_pacer_run(struct bn_pacer *pacer);
/* The timer has rung: fires, if there is a deadline still. */
void bn_pacer_expired(struct bn_pacer *pacer);

/* A kind of output. start, layer_finish and resize may be NULL, the others not. */
struct bn_output_impl {
	/* Opens what the kind needs. 0 or -errno; after an error stop is not called. */
	int (*start)(struct bn_output *output);
	/* Frees everything of the kind; the layers are gone. */
	void (*stop)(struct bn_output *output);
	/* Something changed (frame, cursor, position, layer): see that it is shown in time.
	 * Reports nothing itself. */
	void (*schedule)(struct bn_output *output);
	/* The idle callback asked for by bn_output_soon. */
	void (*soon)(struct bn_output *output);
	/* The pacer's deadline has come. */
	void (*tick)(struct bn_output *output, uint64_t now_ns);
	/* output->config has a new mode. */
	void (*resize)(struct bn_output *output);
	/* Frees layer->impl_data. */
	void (*layer_finish)(struct bn_layer *layer);
	/* The rest may be NULL: then the layer is composed by whoever looks (shown), there are no
	 * planes, the common counters stand (status), and bn_output_read() composes. */
	void (*shown)(const struct bn_layer *layer, struct bn_layer_shown *out);
	unsigned (*planes)(
		const struct bn_output *output, struct bn_plane_status *out, unsigned max);
	/* bn_output_active(); NULL: always. */
	bool (*active)(const struct bn_output *output);
	/* Adds to what the common part has filled in. */
	void (*status)(const struct bn_output *output, struct bn_output_status *out);
	int (*read)(struct bn_output *output, const struct bn_rect *rect, uint32_t *pixels,
		struct bn_read_info *info);
	/* An observer came or went. */
	void (*observe)(struct bn_output *output);
};

extern const struct bn_output_impl bn_headless_impl;
extern const struct bn_output_impl bn_wayland_impl;
extern const struct bn_output_impl bn_kms_impl;

struct bn_output {
	const struct bn_output_impl *impl;
	struct bn_output_config config;
	struct wl_event_loop *loop;
	struct wl_event_source *idle; /* NULL: none asked for */
	struct bn_pacer pacer;
	struct wl_list layers; /* bn_layer.link, lowest first: by role, z, age */
	unsigned layer_count;  /* without dead ones */
	uint64_t layers_made;
	unsigned depth;        /* listeners being called: layers are not freed meanwhile */
	bool has_dead;
	uint64_t commit; /* number of the last latch that found something */
	uint64_t frames;
	void (*closed)(void *data);
	void *closed_data;
	/* Called by bn_output_report() when it told of something shown. */
	void (*observer)(void *data, uint64_t when_ns);
	void *observer_data;
	void (*active_handler)(void *data);
	void *active_data;
	bool told_active;
	void (*mode_handler)(void *data);
	void *mode_data;
	void (*input)(void *data, const struct bn_input_event *event);
	void *input_data;
	uint64_t shown_seq, shown_ns; /* pictures shown so far; when the last came */
	/* Counts what changes where things lie, or what stands in for them, so that an older picture is
	 * no longer that of this scene; and what of it is latched. */
	uint64_t places, places_latched;
	/* Places, cursors, layers that went or the mode: what changes the picture without a frame. */
	bool changed;		 /* and is not latched */
	uint64_t changed_ns;	 /* when the first of it did; 0: nothing that is not reported */
	uint64_t changed_commit; /* that the last of it was latched with */
	uint64_t reported;	 /* the last commit that was */
	/* Filled by the kinds where they know. */
	struct bn_output_status counters;
	uint64_t drawn_pixels; /* that the CPU drew of layers and cursors, for whatever purpose */
	void *impl_data;
};

struct bn_queued {
	struct bn_frame frame; /* its buffer is locked */
	uint64_t submit_ns;
	uint64_t commit; /* 0: not latched */
	enum bn_presented how;
};

struct bn_cursor {
	bool visible;
	bool fresh; /* pixels changed since the kind looked */
	uint32_t hot_x, hot_y;
	int32_t x, y;
	uint32_t pixels[BN_CURSOR_SIZE * BN_CURSOR_SIZE];
};

struct bn_layer {
	struct bn_output *output;
	struct wl_list link; /* bn_output.layers */
	const struct bn_layer_listener *listener;
	void *data;
	struct bn_place place;
	char name[48];
	uint64_t age; /* layers made on the output before it */
	uint32_t vm;
	unsigned planes;
	struct bn_queued queue[BN_LAYER_QUEUE]; /* a ring: oldest at first */
	unsigned first, queued;
	struct bn_frame current; /* latched last; its buffer has a lock of its own */
	/* current changed since the kind looked; current.damage has gathered since then */
	bool fresh;
	bool newest_only; /* frames that are not latched go as soon as there is a newer one */
	bool dead; /* destroyed inside a listener: freed when the listeners are through */
	struct bn_cursor cursor;
	void *impl_data;
};

/* As bn_output_create, on an injected clock: nothing happens by time until
 * bn_pacer_run(&output->pacer). */
int bn_output_create_clocked(struct bn_output **out, struct wl_event_loop *loop,
	const struct bn_output_config *config, const struct bn_clock *clock);
/* Calls impl->soon from an idle callback, or from the timer when a listener is being called (so
 * that a listener that submits again cannot keep the loop from its other work). */
void bn_output_soon(struct bn_output *output);

/* The display has brought another mode, which is in output->config. */
void bn_output_note_mode(struct bn_output *output);
/* active() may have changed. */
void bn_output_note_active(struct bn_output *output);

/* Layers destroyed between the two are freed by the last leave. */
void bn_output_enter(struct bn_output *output);
void bn_output_leave(struct bn_output *output);
/* The i-th of the layer's frames that are not reported, oldest first. */
struct bn_queued *bn_layer_queued(struct bn_layer *layer, unsigned i);
/* Takes those that are not latched out of the queue, tells the listener of them as superseded, and
 * gives what they damaged, and their time, to the newer one. */
void bn_layer_drop_pending(struct bn_layer *layer, struct bn_queued *newer);
/* Takes the oldest out of the queue and tells the listener of it. */
void bn_layer_report_oldest(struct bn_layer *layer, enum bn_presented how, uint64_t when_ns);
/* Something but a frame changed what the layer shows (NULL: what the output shows): it is latched
 * and reported like a frame, and the kind is asked to schedule that. */
void bn_output_touch(struct bn_output *output, const struct bn_layer *layer);
/* Makes the newest frame submitted before before_ns of each layer its current one. Returns the
 * number to report by: a new one when there were any, or places and the like changed. */
uint64_t bn_output_latch(struct bn_output *output, uint64_t before_ns);
/* Tells the listeners of all frames latched up to and with commit, and the observer if that showed
 * something. */
void bn_output_report(struct bn_output *output, uint64_t commit, uint64_t when_ns);
/* True when a frame, or a change of what is shown, is not latched. */
bool bn_output_unlatched(const struct bn_output *output);
/* When the oldest frame that is not reported was submitted, or the oldest such change made; false
 * when there is none. */
bool bn_output_oldest(const struct bn_output *output, uint64_t *submit_ns);

/* What can be seen of a picture, cut at the output's edges (and of a cursor at its layer's). */
struct bn_geometry {
	struct bn_rect at; /* on the output, all of it inside */
	/* In the buffer as it is stored, in 1/65536 pixel, as KMS's SRC_* properties. */
	uint32_t src_x, src_y, src_width, src_height;
	/* DRM_MODE_ROTATE_* | DRM_MODE_REFLECT_*, never 0; a buffer that is stored bottom up is
	 * already accounted for. */
	uint32_t transform;
};

/* false: nothing of it can be seen. */
bool bn_layer_geometry(const struct bn_layer *layer, struct bn_geometry *geometry);
/* Neither turned nor scaled, and with whole source pixels: what every plane can do. */
bool bn_geometry_is_plain(const struct bn_geometry *geometry);
bool bn_geometry_is_scaled(const struct bn_geometry *geometry);
/* Cuts it to what lies in rect, if it is not scaled (that would be filtered differently at the new edges). false: nothing
 * does. */
bool bn_geometry_cut(struct bn_geometry *geometry, const struct bn_rect *rect);
/* The source in the whole buffer (of width × height pixels) turned as the geometry says, in 1/65536 pixel. */
void bn_geometry_turned_source(const struct bn_geometry *geometry, uint32_t width, uint32_t height,
	struct bn_rect *source);
/* The same for the layer's cursor, whose picture is BN_CURSOR_SIZE each way. It is turned and scaled with its layer. */
bool bn_cursor_geometry(const struct bn_layer *layer, struct bn_geometry *geometry);

/* A layer's picture, or its cursor. */
struct bn_compose_item {
	struct bn_layer *layer;
	bool cursor;
};
#define BN_COMPOSE_ITEMS_MAX (2 * BN_OUTPUT_LAYERS_MAX)

/* Draws the part of an item that lies in the region, which is not empty and within the item. 0 or -errno: it could not be drawn. */
typedef int (*bn_compose_draw)(
	void *data, const struct bn_compose_item *item, pixman_region32_t *region);
/* Pixels of a region. */
uint64_t bn_compose_area(pixman_region32_t *region);
/* Takes the rectangle out of the region. False: no memory, and the region may be anything. */
bool bn_compose_subtract(pixman_region32_t *from, const struct bn_rect *rect);
/* Calls draw for the items (lowest first), each with what of it lies in the region (of the output's pixels) and under no opaque
 * layer: for those that are hidden, not at all. Where an opaque one cannot be drawn, what it hides is. 0, or the first error. */
int bn_compose_each(const struct bn_compose_item *items, unsigned count, pixman_region32_t *region,
	bn_compose_draw draw, void *data);

/* Draws items into dst, which has its pixel (0, 0) at (x, y) of the output, within region (in the output's pixels; NULL: all
 * of dst); clears nothing. The result for unscaled layers is the same bit for bit as a display controller's. What is
 * scaled is filtered bilinearly. 0, -ENOMEM, -ENOTSUP (a buffer that no CPU can read), -EAGAIN (one that a GPU still
 * writes to); the others are drawn all the same. */
int bn_compose_items(pixman_image_t *dst, int32_t x, int32_t y,
	const struct bn_compose_item *items, unsigned count, pixman_region32_t *region);
/* The same for layers, lowest first, each with its cursor when cursors is true. */
int bn_compose_at(pixman_image_t *dst, int32_t x, int32_t y, struct bn_layer *const *layers,
	unsigned count, bool cursors, pixman_region32_t *region);
/* The same at (0, 0). */
int bn_compose_layers(pixman_image_t *dst, struct bn_layer *const *layers, unsigned count,
	bool cursors, pixman_region32_t *region);
/* The layer's cursor alone. 0 or -ENOMEM. */
int bn_compose_cursor(pixman_image_t *dst, int32_t x, int32_t y, struct bn_layer *layer);
/* The whole of a buffer upright into dst from (0, 0), opaque. The same errors. */
int bn_compose_whole(pixman_image_t *dst, struct bn_buffer *buffer);
/* The same of the frame's part of its buffer. */
int bn_compose_frame(pixman_image_t *dst, const struct bn_frame *frame);
/* bn_output_read() for kinds that have nothing better: puts the layers together again. */
int bn_output_read_layers(struct bn_output *output, const struct bn_rect *rect, uint32_t *pixels,
	struct bn_read_info *info);

#endif
