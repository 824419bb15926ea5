/* How long the GPU was at a batch, by its own clock: a timestamp in front of it and one behind it.
 *
 *	bn_gl_meter_begin()   stamp ─┐
 *	bn_gl_submit()               │ one GL context, one command buffer
 *	bn_gl_meter_end()     stamp ─┘
 *	bn_gl_fence()
 *	… the fence is done: bn_gl_meter_read()
 *
 * Query objects belong to one GL context each, and virglrenderer has one for each sub-context of the
 * guest's. So each that is metered gets a ring of its own, which goes with it. Both stamps must
 * fall into the same one: a batch that goes from one sub-context to another is not metered.
 *
 * A GPU that draws in tiles (and llvmpipe, which does the same) executes all commands of a render
 * pass for one tile after the other: a stamp in the middle of a pass tells of the last tile only,
 * and the batch would look cheaper than it is. There the first stamp is sent off by itself.
 *
 * virglrenderer does not see any of this. The context that it believes to be current is current
 * again when these functions return, and query objects are no state that it keeps. What the guest
 * does with queries of its own has other names; timestamps, unlike elapsed time, may overlap. */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

#include "gl_priv.h"

/* virgl_protocol.h, enum virgl_context_cmd */
#define CCMD_NOP 0u
#define CCMD_SET_SUB_CTX 28u
#define SET_SUB_CTX_HEADER (CCMD_SET_SUB_CTX | 1u << 16)

/* Fewer would come round while a batch may still be running: 2^36 ns are 68 s. */
#define BITS_MIN 36

#define INDEX_BITS 7u
_Static_assert(BN_GL_METERS == 1u << INDEX_BITS, "an id holds a number and an index");

/* ---- what the driver has ---- */

static bool has_queries(const struct bn_gl *gl)
{
	if (gl->egl.gles)
		return epoxy_has_gl_extension("GL_EXT_disjoint_timer_query");
	return epoxy_gl_version() >= 33 || epoxy_has_gl_extension("GL_ARB_timer_query");
}

static bool draws_in_tiles(const char *name)
{
	static const char *const tilers[] = {"llvmpipe", "softpipe", "Adreno", "FD", "Mali", "VC4",
		"V3D", "PowerVR", "Rogue", "Apple", "AGX"};
	for (size_t i = 0; i < sizeof(tilers) / sizeof(tilers[0]); i++) {
		if (strstr(name, tilers[i]))
			return true;
	}
	return false;
}

void bn_gl_meters_init(struct bn_gl *gl)
{
	struct bn_gl_meters *m = &gl->meters;
	if (!has_queries(gl))
		return;
	glGetQueryiv(GL_TIMESTAMP, GL_QUERY_COUNTER_BITS, &m->bits);
	glGetError(); /* a driver that does not know the question has no answer */
	m->flush = draws_in_tiles(gl->name);
}

void bn_gl_meters_finish(struct bn_gl *gl)
{
	for (unsigned i = 0; i < BN_GL_METERS; i++)
		free(gl->meters.list[i]);
	memset(gl->meters.list, 0, sizeof(gl->meters.list));
}

int bn_gl_timestamp_bits(const struct bn_gl *gl)
{
	return gl->meters.bits;
}

bool bn_gl_has_timestamps(const struct bn_gl *gl)
{
	return gl->meters.bits >= BITS_MIN;
}

/* ---- contexts ---- */

void bn_gl_meters_forget(struct bn_gl *gl, EGLContext context)
{
	for (unsigned i = 0; i < BN_GL_METERS; i++) {
		struct bn_gl_meter *meter = gl->meters.list[i];
		if (!meter || meter->context != context)
			continue;
		free(meter);
		gl->meters.list[i] = NULL;
	}
}

/* That of the current context; NULL when it has none and gets none. */
static struct bn_gl_meter *meter_get(struct bn_gl *gl, unsigned *index)
{
	struct bn_gl_meter **list = gl->meters.list;
	unsigned room = BN_GL_METERS;
	for (unsigned i = 0; i < BN_GL_METERS; i++) {
		if (list[i] && list[i]->context == gl->egl.current) {
			*index = i;
			return list[i];
		}
		if (!list[i] && room == BN_GL_METERS)
			room = i;
	}
	if (room == BN_GL_METERS || gl->egl.current == EGL_NO_CONTEXT)
		return NULL;
	list[room] = calloc(1, sizeof(*list[room]));
	if (list[room])
		list[room]->context = gl->egl.current;
	*index = room;
	return list[room];
}

/* The batch's GL context becomes current, as the batch's own first command would make it so. */
static bool enter(struct bn_gl *gl, uint32_t ctx_id, const uint32_t *words, uint32_t count)
{
	_Alignas(8) uint32_t first[2] = {CCMD_NOP, CCMD_NOP};
	const struct bn_gl_context *context = bn_gl_context_find(gl, ctx_id);
	if (!context || context->lost)
		return false;
	if (count >= 2 && words[0] == SET_SUB_CTX_HEADER)
		memcpy(first, words, sizeof(first));
	return virgl_renderer_submit_cmd(first, (int)ctx_id, 2) == 0;
}

/* ---- stamps ---- */

static struct bn_gl_stamp *stamp_find(struct bn_gl *gl, uint64_t id, struct bn_gl_meter **meter)
{
	*meter = gl->meters.list[id % BN_GL_METERS];
	for (unsigned i = 0; id && *meter && i < BN_GL_STAMPS; i++) {
		if ((*meter)->stamp[i].id == id)
			return &(*meter)->stamp[i];
	}
	return NULL;
}

uint64_t bn_gl_meter_begin(struct bn_gl *gl, uint32_t ctx_id, const uint32_t *words, uint32_t count)
{
	unsigned index;
	if (!bn_gl_has_timestamps(gl) || !enter(gl, ctx_id, words, count))
		return 0;
	struct bn_gl_meter *meter = meter_get(gl, &index);
	if (!meter)
		return 0;
	/* One that nobody has asked for since gives way. */
	struct bn_gl_stamp *stamp = &meter->stamp[meter->next++ % BN_GL_STAMPS];
	if (!stamp->query[0])
		glGenQueries(2, stamp->query);
	if (!stamp->query[0] || !stamp->query[1])
		return 0;
	glQueryCounter(stamp->query[0], GL_TIMESTAMP);
	if (gl->meters.flush)
		glFlush();
	stamp->ended = false;
	stamp->id = ++gl->meters.number << INDEX_BITS | index;
	return stamp->id;
}

void bn_gl_meter_end(struct bn_gl *gl, uint64_t id)
{
	struct bn_gl_meter *meter;
	struct bn_gl_stamp *stamp = stamp_find(gl, id, &meter);
	if (!stamp)
		return;
	if (gl->egl.current != meter->context) {
		stamp->id = 0;
		return;
	}
	glQueryCounter(stamp->query[1], GL_TIMESTAMP);
	stamp->ended = true;
}

/* The GPU's clock has jumped, or may have: what was stamped in that context until now says nothing.
 * To ask clears the answer. */
static bool disjoint(const struct bn_gl *gl, struct bn_gl_meter *meter)
{
	GLint jumped = 0;
	if (!gl->egl.gles)
		return false;
	glGetIntegerv(GL_GPU_DISJOINT_EXT, &jumped);
	for (unsigned i = 0; jumped && i < BN_GL_STAMPS; i++)
		meter->stamp[i].id = 0;
	return jumped;
}

static bool read_stamp(
	struct bn_gl *gl, struct bn_gl_meter *meter, const struct bn_gl_stamp *stamp, uint64_t *ns)
{
	GLuint there = 0;
	GLuint64 from = 0, to = 0;
	glGetQueryObjectuiv(stamp->query[1], GL_QUERY_RESULT_AVAILABLE, &there);
	if (there)
		glGetQueryObjectuiv(stamp->query[0], GL_QUERY_RESULT_AVAILABLE, &there);
	if (!there || disjoint(gl, meter))
		return false;
	glGetQueryObjectui64v(stamp->query[0], GL_QUERY_RESULT, &from);
	glGetQueryObjectui64v(stamp->query[1], GL_QUERY_RESULT, &to);
	/* It may have come round in between. Backwards is a very long time, which nobody believes. */
	uint64_t mask = gl->meters.bits < 64 ? (1ull << gl->meters.bits) - 1 : UINT64_MAX;
	*ns = (to - from) & mask;
	return *ns != 0;
}

bool bn_gl_meter_read(struct bn_gl *gl, uint64_t id, uint64_t *ns)
{
	struct bn_gl_meter *meter;
	struct bn_gl_stamp *stamp = stamp_find(gl, id, &meter);
	if (!stamp)
		return false;
	stamp->id = 0;
	EGLContext before = gl->egl.current;
	if (!stamp->ended || !bn_egl_make_current(&gl->egl, meter->context))
		return false;
	bool ok = read_stamp(gl, meter, stamp, ns);
	/* Without it virglrenderer would work in the wrong context: it has to choose anew. */
	if (!bn_egl_make_current(&gl->egl, before))
		virgl_renderer_force_ctx_0();
	return ok;
}
