/* The GPU library: libvirglrenderer on EGL contexts that we make ourselves. All calls from one
 * thread (the ring thread); fences come back through an fd. This header hides virglrenderer's
 * versions (0.10.4–1.3) from the device. Without GL support in the build, or with no working EGL,
 * bn_gl_create() fails and the device is 2D only. */
#ifndef BN_RENDERER_GL_H
#define BN_RENDERER_GL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "protocol/link.h"

struct bn_gl;

struct bn_gl_listener {
	/* A fence is done. Called from bn_gl_dispatch() and bn_gl_poll() only. */
	void (*fence)(void *data, uint32_t ctx_id, uint32_t ring_idx, uint64_t fence_id);
};

/* gpu: SURFACELESS, or RENDER_NODE with node_fd (taken over, whatever the result). priority: of all
 * contexts, as far as the driver has such. 0, -ENODEV (no EGL display or context; logged), -ENOTSUP
 * (built without). */
int bn_gl_create(struct bn_gl **out, enum bn_link_gpu gpu, int node_fd,
	enum bn_link_priority priority, const struct bn_gl_listener *listener, void *data);
void bn_gl_destroy(struct bn_gl *gl);
/* The processor draws. */
bool bn_gl_is_software(const struct bn_gl *gl);
/* What the driver granted; MEDIUM where it knows no priorities. */
enum bn_link_priority bn_gl_priority(const struct bn_gl *gl);
const char *bn_gl_renderer_name(const struct bn_gl *gl);
const char *bn_gl_version(const struct bn_gl *gl);
/* Fills up to BN_LINK_CAPSETS entries; returns their number. */
unsigned bn_gl_capsets(struct bn_gl *gl, struct bn_link_capset *out);
/* Writes the capset (size from bn_gl_capsets). */
int bn_gl_capset(struct bn_gl *gl, uint32_t id, uint32_t version, void *out);
bool bn_gl_has_context_init(const struct bn_gl *gl);

/* Readable when bn_gl_dispatch() has something to do (finished fences). Never -1: there is always
 * such an fd, and no timer is needed. */
int bn_gl_fd(const struct bn_gl *gl);
void bn_gl_dispatch(struct bn_gl *gl);
/* Reports what is finished by now without a system call: call it after each batch of commands (a
 * fence over work that is already done is reported here, the fd then wakes nobody) and as often as
 * you like while spinning. True if a fence was reported. */
bool bn_gl_poll(struct bn_gl *gl);
/* Fences made and not reported. */
unsigned bn_gl_fences_pending(const struct bn_gl *gl);

/* Whether the driver has that many GL contexts more to give, for contexts or sub-contexts. To be asked
 * before: virglrenderer ends the process when it does not get one. Makes them, and destroys them. */
bool bn_gl_can_create(struct bn_gl *gl, uint32_t count);
/* Contexts, resources: ids are the guest's and checked by the caller. All return 0 or -errno. */
int bn_gl_ctx_create(struct bn_gl *gl, uint32_t ctx_id, uint32_t capset_id, const char *name);
void bn_gl_ctx_destroy(struct bn_gl *gl, uint32_t ctx_id);
void bn_gl_ctx_attach(struct bn_gl *gl, uint32_t ctx_id, uint32_t res_id);
void bn_gl_ctx_detach(struct bn_gl *gl, uint32_t ctx_id, uint32_t res_id);
struct bn_gl_resource_args {
	uint32_t id, target, format, bind, width, height, depth, array_size, last_level, nr_samples,
		flags;
};
int bn_gl_resource_create(struct bn_gl *gl, const struct bn_gl_resource_args *args);
void bn_gl_resource_unref(struct bn_gl *gl, uint32_t res_id);
/* iov stays the caller's and must stay valid until detach or unref. */
int bn_gl_attach_iov(struct bn_gl *gl, uint32_t res_id, struct iovec *iov, unsigned n);
void bn_gl_detach_iov(struct bn_gl *gl, uint32_t res_id);
struct bn_gl_transfer {
	uint32_t res_id, ctx_id, level, stride, layer_stride;
	uint32_t x, y, z, w, h, d;
	uint64_t offset;
};
int bn_gl_transfer_in(
	struct bn_gl *gl, const struct bn_gl_transfer *t); /* guest backing → resource */
int bn_gl_transfer_out(
	struct bn_gl *gl, const struct bn_gl_transfer *t); /* resource → guest backing */
/* buf: ndwords 32-bit words, private memory (8-byte aligned saves the library a copy). -EINVAL also when the context is lost:
 * then bn_gl_ctx_lost() turns true. */
int bn_gl_submit(struct bn_gl *gl, uint32_t ctx_id, void *buf, uint32_t ndwords);
/* True once a submit broke the context: everything but destroying it fails from there on. False for
 * unknown ids. */
bool bn_gl_ctx_lost(const struct bn_gl *gl, uint32_t ctx_id);
/* A fence after everything submitted to this context so far (0: after everything done outside
 * contexts, such as transfers); comes back through listener->fence with ring_idx 0. Fences are
 * reported in the order of their making, over all contexts, each exactly once, also when their
 * context is destroyed first. -EINVAL: no such context. */
int bn_gl_fence(struct bn_gl *gl, uint32_t ctx_id, uint64_t fence_id);

/* GPU time by the driver's timestamps; false: it has none that would do. Of a software rasteriser
 * they tell the time of day, in which it may have been preempted. */
bool bn_gl_has_timestamps(const struct bn_gl *gl);
/* To be called right before and right after the bn_gl_submit() of these words. The id is for the
 * other two; 0: this batch is not metered, which both take for an answer. */
uint64_t bn_gl_meter_begin(
	struct bn_gl *gl, uint32_t ctx_id, const uint32_t *words, uint32_t count);
void bn_gl_meter_end(struct bn_gl *gl, uint64_t id);
/* Once, when a fence behind the batch is done: *ns > 0 is how long the GPU was at it, as the driver
 * says. Never waits; false when there is nothing to read, for whatever reason. */
bool bn_gl_meter_read(struct bn_gl *gl, uint64_t id, uint64_t *ns);

/* Scanout of a resource. */
struct bn_gl_scanout {
	uint32_t width, height; /* of the resource */
	uint32_t fourcc;        /* of the exported or read-back pixels */
	bool y_invert;          /* only for dma-bufs: read-backs come top down */
	uint32_t planes, stride[4], offset[4];
	uint64_t modifier;
	int fd[4];
};
/* Exports as dma-buf; -ENOTSUP when the driver cannot (then read back). The caller owns the fds. */
int bn_gl_export(struct bn_gl *gl, uint32_t res_id, struct bn_gl_scanout *out);
/* Size and read-back format of a resource that may be a scanout; -EINVAL if its format cannot. */
int bn_gl_scanout_info(struct bn_gl *gl, uint32_t res_id, struct bn_gl_scanout *out);
/* Reads a rectangle, top down, into dst (stride in bytes, points at the picture's first pixel; the
 * rectangle lands at its own x, y). Blocks until the GPU is done with the resource: put a fence
 * first. */
int bn_gl_read_back(struct bn_gl *gl, uint32_t res_id, uint32_t x, uint32_t y, uint32_t w,
	uint32_t h, void *dst, uint32_t stride);

#endif
