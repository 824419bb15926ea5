/* The virtio-gpu device (VIRTIO 1.3 §5.7) without its rings: commands in, answers and link
 * messages out. Everything belongs to the ring thread; what the cursor thread reads too (2D
 * resources, guest memory, the cursor queue) is changed only under `lock`. */
#ifndef BN_RENDERER_DEVICE_H
#define BN_RENDERER_DEVICE_H

#include <linux/virtio_gpu.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <wayland-util.h>

#include "fence.h"
#include "gate.h"
#include "gl.h"
#include "idmap.h"
#include "journal.h"
#include "protocol/link.h"
#include "protocol/virgl_walk.h"
#include "room.h"
#include "virtqueue.h"
#include "zero-copy/guest_memory.h"

#define BN_RESOURCES_MAX 65536u
#define BN_CONTEXTS_MAX 1024u
#define BN_ATTACHMENTS_MAX 262144u
#define BN_BACKING_ENTRIES_MAX 262144u
#define BN_BACKING_TOTAL_MAX (4u << 20) /* of all resources; 32 bytes each */
#define BN_RESOURCE_CONTEXTS_MAX 64     /* that a flush waits for */
#define BN_SUBMIT_MAX (16u << 20)
#define BN_2D_SIZE_MAX 8192u /* pixels each way */
#define BN_CURSOR_SIZE 64u

/* ---- resources ---- */

struct bn_backing_entry {
	uint64_t addr; /* guest-physical */
	uint64_t len;
};

/* Where the guest keeps a resource's contents. Kept as guest addresses; host pointers are made
 * from them when guest memory changes. */
struct bn_backing {
	struct bn_backing_entry *entries; /* neighbours joined; NULL: none attached */
	uint32_t count;
	uint64_t size;     /* bytes of all entries */
	struct iovec *iov; /* NULL while (part of) it is not guest memory */
	uint32_t niov;
	uint64_t generation; /* of the guest memory that iov was made from */
};

struct bn_resource {
	uint32_t id;
	uint64_t serial; /* never used twice, unlike ids */
	bool is_3d;
	uint32_t width, height, format; /* format: enum virtio_gpu_formats for 2D, virgl's for 3D */
	struct bn_gl_resource_args args; /* 3D */
	int fd;                          /* 2D: memfd of the pixels; 3D: -1 */
	uint8_t *pixels;                 /* 2D, mapped; rows of 4 × width bytes without gaps */
	uint64_t host_bytes;             /* 3D: estimated */
	struct bn_backing backing;
	bool iov_in_gl; /* 3D: the GL library holds backing.iov */
	bool refill;    /* 2D, restored: pixels are still to be fetched from the backing */
	struct wl_list attachments; /* bn_attachment.resource_link */
	bool has_uuid;
	uint8_t uuid[16];
	uint64_t buffer_id; /* announced to the daemon as a whole, 0: not */
	bool export_tried;
	bool y_invert;
	/* 3D: on its way to a display, or on one; release.c */
	struct {
		struct wl_list link; /* bn_device.shown, if listed */
		bool listed;
		bool given_up;     /* it was waited for in vain, since its last frame */
		unsigned drawing;  /* flushes that the GPU has not come to */
		uint64_t seq;      /* of the newest FRAME with its own buffer; 0: released */
		uint16_t scanouts; /* that it was flushed to meanwhile */
	} shown;
};

/* What a GL context does at first takes longer than it will: the driver compiles shaders of its own and makes memory. */
#define BN_COLD_BATCHES 4u

struct bn_context {
	uint32_t id;
	uint32_t capset_id;
	char name[65];
	bool lost;    /* lived in a renderer that died: only its destruction is accepted */
	bool failed;  /* the GL library gave it up; counted once */
	bool stopped; /* the scheduler gave it up: nothing of it reaches the GL library any more */
	unsigned cold; /* so many batches more are among its first: BN_COLD_BATCHES at most */
	struct bn_virgl_state *walk; /* what its command streams have set up; NULL: none came */
	struct bn_hold hold;
	struct wl_list attachments; /* bn_attachment.context_link */
};

struct bn_attachment {
	struct wl_list resource_link, context_link;
	struct bn_resource *resource;
	struct bn_context *context;
};

/* ---- scanouts ---- */

struct bn_slot {            /* one picture of a read-back pool */
	uint64_t buffer_id; /* 0: not made yet */
	uint8_t *pixels;
	bool busy;                    /* the daemon may read it */
	struct virtio_gpu_rect stale; /* what changed since it was filled */
};
#define BN_SLOTS 3

/* A picture whose rendering is finished and that no slot was free for yet, or that is being
 * sent. */
struct bn_ready {
	bool valid;
	uint64_t serial; /* of the resource */
	uint32_t res_id;
	struct virtio_gpu_rect src;
	uint64_t number, flush_ns;
	struct bn_gate_frame took;
};

#define BN_SENT_MAX 64
struct bn_scanout {
	uint32_t res_id; /* 0: off */
	struct virtio_gpu_rect src;
	uint64_t number;      /* of the last flush */
	uint64_t sent_number; /* of the last flush that a frame was sent for */
	uint64_t presented;   /* flushes up to this number wait no longer */
	/* Of the resource flushed last, 0: none since the scanout was set. */
	uint64_t flushed_serial;
	uint64_t newest_serial; /* the same, also when the scanout was set to another since; 0: off */
	uint64_t sent_serial;   /* of the resource in the frame sent last */
	/* Its display kept a buffer for too long: it is not waited for again before this flush … */
	uint64_t patience_number;
	uint32_t impatience; /* … which was so many after the last; more each time */
	struct bn_ready ready;
	struct virtio_gpu_rect damage; /* since the last frame sent */
	struct {
		uint64_t seq, number;
	} sent[BN_SENT_MAX]; /* frames not yet presented, oldest first */
	unsigned nsent;
	uint32_t pool_width, pool_height, pool_fourcc;
	struct bn_slot slot[BN_SLOTS];
};

/* ---- the device ---- */

struct bn_device;

struct bn_device_ops {
	/* As bn_fences_ops.answer. */
	void (*answer)(void *data, struct bn_vq_request *request, uint32_t written);
	/* Sends a link message; never blocks, copies everything, fds stay the caller's. Called
	 * from the ring thread only. */
	void (*send)(void *data, uint32_t type, const void *payload, size_t size, const int *fds,
		size_t nfds);
};

struct bn_device_config {
	struct bn_guest_memory *mem; /* must outlive the device, as everything here */
	struct bn_stats *stats;
	const struct bn_device_ops *ops;
	void *data;
	uint32_t num_scanouts;
	uint64_t host_memory_max; /* 0: no bound */
	uint64_t reserve; /* bytes that a new GL context must leave, see room.h */
};

/* One command being executed. */
struct bn_cmd {
	struct bn_vq_request *request;
	struct virtio_gpu_ctrl_hdr hdr;
	/* What a handler may leave here: */
	union {
		struct virtio_gpu_resp_display_info display_info;
		struct virtio_gpu_resp_edid edid;
		struct virtio_gpu_resp_capset_info capset_info;
		struct virtio_gpu_resp_resource_uuid uuid;
		struct virtio_gpu_ctrl_hdr hdr;
	} resp;
	size_t resp_size; /* of resp when it is more than the header */
	void *extra;      /* follows the header; freed after the answer */
	size_t extra_size;
	bool wait_gpu;               /* a fence waits for what context hdr.ctx_id submitted */
	bool resumed;                /* it was parked: the handler has been here before */
	struct bn_flush_set flushes; /* the answer waits for these */
};

/* The fixed part of every request, the largest of them. */
union bn_cmd_body {
	struct virtio_gpu_ctrl_hdr hdr;
	struct virtio_gpu_resource_create_2d create_2d;
	struct virtio_gpu_resource_create_3d create_3d;
	struct virtio_gpu_transfer_host_3d transfer_3d;
	struct virtio_gpu_ctx_create ctx_create;
	struct virtio_gpu_set_scanout set_scanout;
};

/* A command that waits for the gate, or for a display (park.c). */
struct bn_parked {
	bool on;
	struct bn_cmd cmd;
	union bn_cmd_body body;
	/* Guest memory has changed since: the response, "OK", was written before that. */
	bool responded;
	uint32_t written;
};

/* The command stream being executed: what is left of it while its command is parked. */
struct bn_stream {
	struct bn_virgl_walk walk;
	struct bn_virgl_piece piece;
	bool cut; /* piece is waiting to be executed */
	unsigned pieces;
};

/* What a command waits for until a display has let go of it (release.c). */
#define BN_WATCHED_MAX 32u
#define BN_RELEASE_MS 100 /* a display that keeps a buffer for longer is not waited for */
struct bn_releases {
	/* Not to be written to, as of the stream's beginning. */
	struct {
		uint32_t id;
		uint64_t serial;
	} watched[BN_WATCHED_MAX];
	unsigned count;
	uint32_t waits;   /* bits of `watched` that the parked command waits for; 0: it does not */
	uint64_t number;  /* of waits so far */
	uint64_t sent;    /* frames sent to the displays in question, when that was looked at last */
	unsigned looks;   /* times that the wait was found to be long */
	uint16_t scanouts;
	bool late; /* it was given up */
	unsigned long errors;
};

struct bn_device {
	struct bn_device_config config;
	struct bn_stats *stats;
	pthread_mutex_t lock;
	unsigned lock_wanted; /* the ring thread waits for it */
	struct bn_gl *gl;     /* not owned; NULL: 2D only */
	struct bn_gate *gate; /* not owned; NULL: the GPU is free for all */
	struct bn_fences *fences;
	struct bn_journal *journal; /* owned; may be NULL */
	uint64_t features;          /* the driver's */
	struct bn_link_displays displays;
	struct bn_link_capset capsets[BN_LINK_CAPSETS];
	unsigned num_capsets;
	struct bn_idmap resources, contexts;
	uint32_t attachments;
	uint64_t host_bytes, next_serial, next_buffer_id, frame_seq;
	uint64_t host_bytes_3d; /* the GL library's part of host_bytes */
	struct bn_room room;
	bool again; /* frames are those of the renderer before this one */
	uint64_t pool_bytes;      /* of all read-back pictures: bounded like host_bytes */
	uint32_t backing_entries; /* of all resources */
	unsigned announced;       /* whole-resource buffers that the daemon knows */
	struct bn_scanout scanout[BN_LINK_SCANOUTS];
	void *submit; /* private copy of a command stream, BN_SUBMIT_MAX at most */
	size_t submit_size;
	struct bn_stream stream;
	struct bn_parked parked;
	struct wl_list shown; /* bn_resource.shown.link */
	struct bn_releases releases;
	unsigned long command_errors, context_errors, gate_errors, room_errors;
};

/* -ENOMEM. gl may be NULL and is not taken over; journal is. */
int bn_device_create(struct bn_device **out, const struct bn_device_config *config);
void bn_device_set_gl(struct bn_device *dev, struct bn_gl *gl);
/* From here on work for the GPU passes the gate, which was made with bn_device_gate_listener and
 * the device as its data. Not taken over, must outlive the device. NULL is allowed. */
void bn_device_set_gate(struct bn_device *dev, struct bn_gate *gate);
extern const struct bn_gate_listener bn_device_gate_listener;
/* NULL is allowed. Requests that wait are answered first. */
void bn_device_destroy(struct bn_device *dev);
/* Takes dev->lock for the ring thread: the cursor thread, which a guest can keep busy without
 * end, makes way for it. Released with pthread_mutex_unlock(). */
void bn_device_lock(struct bn_device *dev);
/* VIRTIO_GPU_F_* bits that can be offered. */
uint64_t bn_device_features(const struct bn_device *dev);
/* Everything that the driver made goes. */
void bn_device_reset(struct bn_device *dev);
/* Executes one control-queue request and answers it, now or later, through ops->answer.
 * replayed: it was in flight in a renderer that died. Not while one is parked. */
void bn_device_execute(struct bn_device *dev, struct bn_vq_request *request, bool replayed);
/* Writes an answer that echoes hdr's fence into the request; returns the bytes written. */
uint32_t bn_device_respond(
	struct bn_vq_request *request, const struct virtio_gpu_ctrl_hdr *hdr, uint32_t type);
static inline bool bn_device_has(const struct bn_device *dev, unsigned feature)
{
	return dev->features & (1ull << feature);
}
static inline void bn_stat_add(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}
static inline void bn_stat_set(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, n, __ATOMIC_RELAXED);
}

/* Handlers (cmd_2d.c, cmd_3d.c, cmd_info.c): body is the request's fixed part, checked to be
 * whole. Return VIRTIO_GPU_RESP_*, or BN_CMD_PARKED: they are called again with the same cmd and
 * body when the gate is open. */
#define BN_CMD_PARKED 0u
typedef uint32_t bn_cmd_handler(struct bn_device *dev, struct bn_cmd *cmd, const void *body);
bn_cmd_handler bn_cmd_get_display_info, bn_cmd_get_edid, bn_cmd_get_capset_info, bn_cmd_get_capset,
	bn_cmd_assign_uuid;
bn_cmd_handler bn_cmd_create_2d, bn_cmd_unref, bn_cmd_set_scanout, bn_cmd_flush, bn_cmd_transfer_2d,
	bn_cmd_attach_backing, bn_cmd_detach_backing;
bn_cmd_handler bn_cmd_ctx_create, bn_cmd_ctx_destroy, bn_cmd_ctx_attach, bn_cmd_ctx_detach,
	bn_cmd_create_3d, bn_cmd_transfer_to_3d, bn_cmd_transfer_from_3d, bn_cmd_submit_3d;

/* Answers an executed command, now or in its turn. type: VIRTIO_GPU_RESP_*. */
void bn_device_answer(struct bn_device *dev, struct bn_cmd *cmd, uint32_t type);
/* The handler's answer to a command whose header was read. */
uint32_t bn_device_run(struct bn_device *dev, struct bn_cmd *cmd, const union bn_cmd_body *body);

/* park.c: a command waits for the gate, and all behind it with it */
void bn_device_park(struct bn_device *dev, const struct bn_cmd *cmd, const union bn_cmd_body *body);
static inline bool bn_device_parked(const struct bn_device *dev)
{
	return dev->parked.on;
}
/* Tries again; it may be parked again then. Nothing happens when none is parked. */
void bn_device_resume(struct bn_device *dev);
/* It is answered with an error. */
void bn_device_unpark(struct bn_device *dev);
/* Guest memory is about to change: the response is written first. */
void bn_device_memory_changes(struct bn_device *dev);
/* For handlers: true when the batch may go to the GL library now. */
bool bn_device_enter(struct bn_device *dev, struct bn_gate_batch *batch);
void bn_device_started(struct bn_device *dev, const struct bn_gate_batch *batch, bool error);
/* Nothing that draws is accepted from this VM. */
bool bn_device_quarantined(const struct bn_device *dev);

/* submit.c: the rest of a command stream; VIRTIO_GPU_RESP_* or BN_CMD_PARKED */
uint32_t bn_stream_run(struct bn_device *dev, const struct bn_cmd *cmd, struct bn_context *ctx);
/* -ENOMEM. */
int bn_stream_begin(
	struct bn_device *dev, struct bn_context *ctx, const uint32_t *words, uint32_t count);
/* The context takes nothing more; counted and told once. */
void bn_context_stop(struct bn_device *dev, struct bn_context *ctx, const char *why);

/* resource.c: creation checks everything that a guest or a journal may have got wrong. Return
 * VIRTIO_GPU_RESP_OK_NODATA or an error. */
uint32_t bn_resource_create_2d(
	struct bn_device *dev, const struct virtio_gpu_resource_create_2d *c);
uint32_t bn_resource_create_3d(struct bn_device *dev, const struct bn_gl_resource_args *args);
/* What such a resource takes on the host, about. */
uint64_t bn_resource_estimate(const struct bn_gl_resource_args *args);
void bn_resource_destroy(struct bn_device *dev, struct bn_resource *res);
struct bn_resource *bn_resource_get(const struct bn_device *dev, uint32_t id);
/* The same resource, not another one with the same id; NULL if it is gone. */
struct bn_resource *bn_resource_get_serial(
	const struct bn_device *dev, uint32_t id, uint64_t serial);
/* DRM_FORMAT_* of a 2D format, 0 if there is none. */
uint32_t bn_format_fourcc(uint32_t virtio_format);

/* backing.c */
/* Takes over entries (malloced). iovecs are made at once; what is not guest memory is -EFAULT
 * and nothing changes (entries freed), unless lazy. -ENOMEM, also past BN_BACKING_TOTAL_MAX. */
int bn_backing_attach(struct bn_device *dev, struct bn_resource *res,
	struct bn_backing_entry *entries, uint32_t count, bool lazy);
void bn_backing_detach(struct bn_device *dev, struct bn_resource *res);
/* True when the iovecs are usable now (makes them anew after a change of guest memory). */
bool bn_backing_usable(struct bn_device *dev, struct bn_resource *res);
/* Around every removal of guest memory: takes all iovecs away from the GL library, gives those
 * back that are still guest memory. */
void bn_backing_suspend_all(struct bn_device *dev);
void bn_backing_resume_all(struct bn_device *dev);
/* Copies a rectangle (within the resource) from the backing, which holds it from `offset` on;
 * false when the backing is too small or gone. */
bool bn_transfer_2d(struct bn_device *dev, struct bn_resource *res, const struct virtio_gpu_rect *r,
	uint64_t offset);
/* After a restart, once guest memory is there: contents of restored 2D resources, and their
 * frames. */
void bn_device_refill(struct bn_device *dev);

/* context.c */
struct bn_context *bn_context_get(const struct bn_device *dev, uint32_t id);
/* lost: only remembered. Otherwise ask bn_context_room() before. */
uint32_t bn_context_create(
	struct bn_device *dev, uint32_t id, uint32_t capset_id, const char *name, bool lost);
void bn_context_destroy(struct bn_device *dev, struct bn_context *ctx);
/* Whether there is room for that many GL contexts more, in memory and in the driver; told when there is
 * not. */
bool bn_context_room(struct bn_device *dev, uint64_t count);
uint32_t bn_context_attach(struct bn_device *dev, struct bn_context *ctx, struct bn_resource *res);
void bn_context_detach(struct bn_device *dev, struct bn_context *ctx, struct bn_resource *res);
struct bn_attachment *bn_context_attached(
	const struct bn_context *ctx, const struct bn_resource *res);
void bn_attachment_destroy(struct bn_device *dev, struct bn_attachment *at);

/* scanout.c */
void bn_scanout_set(struct bn_device *dev, unsigned index, struct bn_resource *res,
	const struct virtio_gpu_rect *src);
void bn_scanout_off(struct bn_device *dev, unsigned index);
/* Sends the resource on to every scanout that shows it; *set gets the flushes that an answer has
 * to wait for. */
void bn_scanout_flush(struct bn_device *dev, struct bn_resource *res,
	const struct virtio_gpu_rect *r, struct bn_flush_set *set);
/* From the link. */
void bn_scanout_presented(struct bn_device *dev, const struct bn_link_presented *p);
void bn_scanout_released(struct bn_device *dev, const struct bn_link_release *r);
/* Before a resource goes. */
void bn_scanout_forget(struct bn_device *dev, struct bn_resource *res);
/* The contexts that a resource is attached to, of very many the BN_RESOURCE_CONTEXTS_MAX newest;
 * *ids is malloced (NULL when there are none). -ENOMEM. */
int bn_resource_contexts(const struct bn_resource *res, uint32_t **ids, unsigned *n);

/* release.c: pictures that are on display are not drawn into, once the guest has gone on to another */
/* The scanout got a flush of this resource. */
void bn_release_flushed(struct bn_device *dev, struct bn_resource *res, unsigned index);
/* True when the stream that begins may have to wait; then bn_release_bits is what to watch it by. */
bool bn_release_watch(struct bn_device *dev);
bn_virgl_watch bn_release_bits;
/* Whether the command is to be parked before it writes to what has these bits. */
bool bn_release_wait(struct bn_device *dev, uint32_t bits);
/* The same for one that writes to this resource. */
bool bn_release_wait_for(struct bn_device *dev, const struct bn_resource *res);
/* The daemon has let go of the resource's own buffer. */
void bn_release_got(struct bn_device *dev, const struct bn_link_release *r);
/* It has no buffer any more, or goes itself. */
void bn_release_forget(struct bn_resource *res);
/* The number of the wait that the parked command is in; 0: for no display. */
static inline uint64_t bn_release_waiting(const struct bn_device *dev)
{
	return dev->parked.on && dev->releases.waits ? dev->releases.number : 0;
}
/* It may be tried again. */
bool bn_release_over(const struct bn_device *dev);
/* It has been waiting for BN_RELEASE_MS, or so long since this returned true: then it goes on
 * waiting. Else it does not wait any more. */
bool bn_release_overdue(struct bn_device *dev);

/* pool.c: read-back pictures of a scanout, and the damage that they have to catch up with */
void bn_rect_join(struct virtio_gpu_rect *to, const struct virtio_gpu_rect *r);
/* A free slot of the right size and format, made if need be; NULL when all are busy or memory is
 * short. */
struct bn_slot *bn_pool_get(
	struct bn_device *dev, struct bn_scanout *so, const struct bn_gl_scanout *info);
void bn_pool_damage(struct bn_scanout *so, const struct virtio_gpu_rect *r);
/* Frees the slots; the daemon forgets them once they are not shown any more. */
void bn_pool_finish(struct bn_device *dev, struct bn_scanout *so);

/* state.c: what goes into the journal, each to be called after the change */
void bn_state_resource(struct bn_device *dev, const struct bn_resource *res);
void bn_state_unref(struct bn_device *dev, uint32_t id);
void bn_state_backing(struct bn_device *dev, const struct bn_resource *res);
void bn_state_scanout(struct bn_device *dev, unsigned index);
void bn_state_context(struct bn_device *dev, const struct bn_context *ctx);
void bn_state_context_gone(struct bn_device *dev, uint32_t id);
void bn_state_reset(struct bn_device *dev);
/* Takes over fd whatever the result; with restore, rebuilds what it holds. Before any command. */
int bn_state_open(struct bn_device *dev, int fd, uint64_t size, bool restore);

#endif
