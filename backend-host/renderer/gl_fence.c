/* Fences. The shortest way from "the GPU is done" to "the guest is told", and how it was chosen:
 *
 * virglrenderer's sync thread waits for each fence in the order of making and writes an eventfd;
 * the ring thread wakes, virgl_renderer_poll() stores what queries found and reports the fence.
 * That is the only way that sleeps, but it costs two thread wake-ups, also when the GPU had nothing
 * to do: an empty submit with its fence took 52 us on llvmpipe. So there is a GLsync of our own in
 * each fence, too:
 * - when a fence is made and its GLsync has passed already (an empty submit, state changes only),
 *   virglrenderer's fence is not made at all: 0.2 us;
 * - while the ring loop spins, bn_gl_poll() asks the oldest GLsync, so a fence is seen without the
 *   sync thread; virglrenderer's later word for it is ignored.
 * ASYNC_FENCE_CB would report on the sync thread: the ring thread has to be woken all the same, and
 * a fence behind a query waits until the ring thread polls, so nothing is won.
 *
 * Queries: virglrenderer writes results that were not ready at GET_QUERY_RESULT into the guest's
 * memory when it retires a fence (vrend_renderer_check_queries()). A fence made after such a submit
 * may therefore only be reported through virglrenderer: query_seq says which those are.
 *
 * Order: fences are reported strictly in the order of making. The sync thread waits in that order
 * anyway, and the guest's one global timeline needs it. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"

#include "gl_priv.h"

/* virgl_protocol.h, enum virgl_context_cmd */
#define CCMD_GET_QUERY_RESULT 21u

#define BLOCKING_WAIT_NS 1000000000ull
#define DRAIN_NS (1000 * BN_NS_PER_MS)

bool bn_gl_stream_has_query(const uint32_t *words, uint32_t count)
{
	for (uint64_t i = 0; i < count; i += (words[i] >> 16) + 1) {
		if ((words[i] & 0xff) == CCMD_GET_QUERY_RESULT)
			return true;
	}
	return false;
}

static struct bn_gl_pending *at(const struct bn_gl_fences *f, uint32_t i)
{
	return &f->ring[(f->head + i) & (f->capacity - 1)];
}

static bool grow(struct bn_gl_fences *f)
{
	uint32_t capacity = f->capacity ? f->capacity * 2 : 64;
	struct bn_gl_pending *ring = calloc(capacity, sizeof(*ring));
	if (!ring)
		return false;
	for (uint32_t i = 0; i < f->count; i++)
		ring[i] = *at(f, i);
	free(f->ring);
	f->ring = ring;
	f->capacity = capacity;
	f->head = 0;
	return true;
}

static bool passed(GLsync sync, GLbitfield flags, uint64_t timeout_ns)
{
	GLenum r = glClientWaitSync(sync, flags, timeout_ns);
	/* A failed wait must not hang the guest; virglrenderer takes it for done, too. */
	return r != GL_TIMEOUT_EXPIRED;
}

static bool needs_virgl(const struct bn_gl_fences *f, const struct bn_gl_pending *p)
{
	return p->query_seq > f->query_settled;
}

static bool deliver(struct bn_gl *gl)
{
	struct bn_gl_fences *f = &gl->fences;
	bool any = false;
	/* The listener may make fences, but must not come back in here. */
	if (f->delivering)
		return false;
	f->delivering = true;
	while (f->count && at(f, 0)->done) {
		struct bn_gl_pending p = *at(f, 0);
		f->head = (f->head + 1) & (f->capacity - 1);
		f->count--;
		glDeleteSync(p.sync);
		gl->listener.fence(gl->data, p.ctx_id, 0, p.fence_id);
		any = true;
	}
	f->delivering = false;
	return any;
}

/* In virglrenderer's fence table, so that its sync thread wakes us. */
static int ask_virgl(struct bn_gl *gl, const struct bn_gl_pending *p)
{
	int ret;
	if (p->ctx_id == 0)
		ret = virgl_renderer_create_fence((int)(uint32_t)p->serial, 0);
	else
		ret = virgl_renderer_context_create_fence(p->ctx_id, 0, 0, p->serial);
	if (ret)
		return -EINVAL;
	gl->fences.asked = p->serial;
	return 0;
}

/* Without a sync thread (VIRGL_DISABLE_MT, or no context for it) nobody would wake us: wait here.
 */
static void wait_here(struct bn_gl *gl, struct bn_gl_pending *p)
{
	passed(p->sync, GL_SYNC_FLUSH_COMMANDS_BIT, BLOCKING_WAIT_NS);
	if (ask_virgl(gl, p) == 0)
		virgl_renderer_poll();
	p->done = true;
	bn_event_signal(gl->poll_fd);
}

int bn_gl_fence(struct bn_gl *gl, uint32_t ctx_id, uint64_t fence_id)
{
	struct bn_gl_fences *f = &gl->fences;
	if (ctx_id && !bn_gl_context_find(gl, ctx_id))
		return -EINVAL;
	if (f->count == f->capacity && !grow(f))
		return -ENOMEM;
	if (gl->egl.current == EGL_NO_CONTEXT)
		virgl_renderer_force_ctx_0();
	GLsync sync = glFenceSync(GL_SYNC_GPU_COMMANDS_COMPLETE, 0);
	if (!sync)
		return -ENOMEM;
	struct bn_gl_pending *p = at(f, f->count);
	*p = (struct bn_gl_pending){
		.fence_id = fence_id,
		.serial = ++f->serial,
		.query_seq = f->query_seq,
		.ctx_id = ctx_id,
		.sync = sync,
	};
	f->count++;
	if (!needs_virgl(f, p) && passed(sync, GL_SYNC_FLUSH_COMMANDS_BIT, 0)) {
		p->done = true;
		return 0;
	}
	if (gl->own_poll_fd) {
		wait_here(gl, p);
		return 0;
	}
	int ret = ask_virgl(gl, p);
	if (ret < 0) {
		f->count--;
		glDeleteSync(sync);
	}
	return ret;
}

void bn_gl_fences_done(struct bn_gl *gl, uint64_t serial)
{
	struct bn_gl_fences *f = &gl->fences;
	if (serial > f->reported)
		f->reported = serial;
	for (uint32_t i = 0; i < f->count; i++) {
		struct bn_gl_pending *p = at(f, i);
		if (p->serial > serial)
			break;
		p->done = true;
		if (p->query_seq > f->query_settled)
			f->query_settled = p->query_seq;
	}
}

void bn_gl_fences_drain(struct bn_gl *gl)
{
	struct bn_gl_fences *f = &gl->fences;
	uint64_t end = bn_now_ns() + DRAIN_NS;
	if (gl->own_poll_fd)
		return; /* no sync thread, and nothing in the table */
	while (f->reported < f->asked && bn_now_ns() < end) {
		struct pollfd p = {.fd = gl->poll_fd, .events = POLLIN};
		poll(&p, 1, (int)(DRAIN_NS / BN_NS_PER_MS));
		virgl_renderer_poll();
	}
}

/* The last fence in the context that always is, behind (on the GPU) every one still waited for. */
void bn_gl_fences_rescue(struct bn_gl *gl)
{
	struct bn_gl_fences *f = &gl->fences;
	if (!f->count || gl->own_poll_fd)
		return;
	virgl_renderer_force_ctx_0();
	for (uint32_t i = 0; i < f->count; i++)
		glWaitSync(at(f, i)->sync, 0, GL_TIMEOUT_IGNORED);
	if (virgl_renderer_create_fence((int)(uint32_t)f->serial, 0))
		bn_gl_fences_done(gl, f->serial);
}

bool bn_gl_poll(struct bn_gl *gl)
{
	struct bn_gl_fences *f = &gl->fences;
	if (!f->count)
		return false;
	if (gl->egl.current == EGL_NO_CONTEXT)
		virgl_renderer_force_ctx_0();
	for (uint32_t i = 0; i < f->count; i++) {
		struct bn_gl_pending *p = at(f, i);
		if (!p->done && (needs_virgl(f, p) || !passed(p->sync, 0, 0)))
			break;
		p->done = true;
	}
	return deliver(gl);
}

void bn_gl_dispatch(struct bn_gl *gl)
{
	if (gl->own_poll_fd)
		bn_event_drain(gl->poll_fd);
	else
		virgl_renderer_poll();
	deliver(gl);
}

int bn_gl_fd(const struct bn_gl *gl)
{
	return gl->poll_fd;
}

unsigned bn_gl_fences_pending(const struct bn_gl *gl)
{
	return gl->fences.count;
}

void bn_gl_fences_finish(struct bn_gl *gl)
{
	struct bn_gl_fences *f = &gl->fences;
	for (uint32_t i = 0; i < f->count; i++) {
		if (gl->egl.current != EGL_NO_CONTEXT)
			glDeleteSync(at(f, i)->sync);
	}
	free(f->ring);
	*f = (struct bn_gl_fences){0};
}
