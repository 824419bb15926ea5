/* What a VM's renderer shows: its announced buffers and its frames, put on the layers of the
 * VM's scanouts. Each scanout has one layer from the start, on the output that paces the guest, and
 * any number of mirrors, which show the same on any output. Everything that comes in is checked; a false return means that the renderer
 * breaks the rules and must be replaced. One per VM; it outlives the renderers. */
#ifndef BN_DAEMON_FRAMES_H
#define BN_DAEMON_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <wayland-util.h>

#include "compositor/output.h"
#include "protocol/link.h"
#include "scheduler/monitor.h"

struct bn_arbiter;
struct bn_events;
struct bn_trace;
struct bn_frames; /* opaque */

struct bn_frames_listener {
	/* A message for the renderer that runs now: PRESENTED or RELEASE. */
	void (*send)(void *data, enum bn_link_type type, const void *payload, size_t size);
};

/* outputs[i] is where scanout i is shown, NULL for nowhere; num_scanouts is 1–16. monitor is the
 * VM's and gets every frame. NULL when out of memory or an output has no room for a layer. The
 * outputs must outlive it. */
struct bn_frames *bn_frames_create(struct bn_output *const *outputs, unsigned num_scanouts,
	struct bn_monitor *monitor, const struct bn_frames_listener *listener, void *data);
/* Where frames are made known besides the monitor: the arbiter (as VM number `vm`), the trace and
 * the event log, all to outlive it, each may be NULL. Before the first frame. */
void bn_frames_set_scheduler(struct bn_frames *frames, struct bn_arbiter *arbiter, unsigned vm,
	struct bn_trace *trace, struct bn_events *events);
/* NULL is allowed. */
void bn_frames_destroy(struct bn_frames *frames);

/* The scanout's own layer, whose place is the caller's to set (at first that of a new layer); NULL
 * without an output. */
struct bn_layer *bn_frames_layer(struct bn_frames *frames, unsigned scanout);

/* One more layer that shows a scanout. The layer is the caller's, made with this listener; it must
 * outlive the mirror. */
struct bn_frames_mirror {
	struct wl_list link;
	struct bn_layer *layer;
};
extern const struct bn_layer_listener bn_frames_mirror_listener;
/* Shows from now on what the scanout (one that has a layer) shows, cursor and all. Cannot fail. */
void bn_frames_mirror_add(
	struct bn_frames *frames, unsigned scanout, struct bn_frames_mirror *mirror);
/* What is on the layer stays. Due before bn_frames_destroy(). */
void bn_frames_mirror_remove(struct bn_frames_mirror *mirror);

/* The renderer's messages. fds as in bn_renderer_link_listener. On false *why says what is wrong
 * with it (a constant string). */
bool bn_frames_buffer_new(struct bn_frames *frames, const struct bn_link_buffer *message, int *fds,
	size_t nfds, const char **why);
bool bn_frames_buffer_gone(struct bn_frames *frames, uint64_t id, const char **why);
bool bn_frames_frame(
	struct bn_frames *frames, const struct bn_link_frame *message, const char **why);
bool bn_frames_cursor_image(
	struct bn_frames *frames, const struct bn_link_cursor_image *message, const char **why);
bool bn_frames_cursor_move(
	struct bn_frames *frames, const struct bn_link_cursor_move *message, const char **why);

/* The renderer is gone: its buffers are let go of, but what is shown stays until another frame
 * replaces it. */
void bn_frames_renderer_gone(struct bn_frames *frames);
/* Nothing is shown any more: the VM is gone. */
void bn_frames_clear(struct bn_frames *frames);
/* While draining, frames count as presented at once, those waiting for their refresh included: a
 * ring that stops must not wait for a display (a window that nobody sees has no refresh). */
void bn_frames_set_draining(struct bn_frames *frames, bool draining);
/* Buffers announced now. */
unsigned bn_frames_buffers(const struct bn_frames *frames);
/* Whether that output paces a scanout. */
bool bn_frames_uses_output(const struct bn_frames *frames, const struct bn_output *output);

#endif
