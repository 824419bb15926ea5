/* virglrenderer: start, callbacks, contexts, resources, transfers. It is one global state per
 * process and takes calls from one thread only. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "common/fd.h"
#include "common/log.h"

#include "gl_priv.h"

#if VIRGL_RENDERER_CALLBACKS_VERSION < 4
#error "virglrenderer is too old: callbacks v4 are needed (0.10.4 has them)"
#endif

/* virgl_hw.h; the installed header names it only. */
struct virgl_box {
	uint32_t x, y, z, w, h, d;
};

/* Refusals come as positive and as negative errnos, and as -1. */
static int to_errno(int ret)
{
	if (ret == 0)
		return 0;
	if (ret == ENOMEM || ret == -ENOMEM)
		return -ENOMEM;
	return -EINVAL;
}

/* ---- callbacks ---- */

static void on_write_fence(void *cookie, uint32_t fence)
{
	struct bn_gl *gl = cookie;
	/* Only the low half came along: it is the newest serial with that half. */
	uint64_t serial = (gl->fences.serial & ~0xffffffffull) | fence;
	if (serial > gl->fences.serial)
		serial -= 1ull << 32;
	bn_gl_fences_done(gl, serial);
}

static void on_write_context_fence(
	void *cookie, uint32_t ctx_id, uint32_t ring_idx, uint64_t fence_id)
{
	bn_gl_fences_done(cookie, fence_id);
}

static virgl_renderer_gl_context on_create_context(
	void *cookie, int scanout, struct virgl_renderer_gl_ctx_param *param)
{
	struct bn_gl *gl = cookie;
	bool compat = false;
#ifdef VIRGL_RENDERER_COMPAT_PROFILE /* came together with the member */
	compat = param->compat_ctx;
#endif
	return bn_egl_context_create(
		&gl->egl, param->shared, param->major_ver, param->minor_ver, compat);
}

static void on_destroy_context(void *cookie, virgl_renderer_gl_context context)
{
	struct bn_gl *gl = cookie;
	bn_gl_meters_forget(gl, context);
	bn_egl_context_destroy(&gl->egl, context);
}

static int on_make_current(void *cookie, int scanout, virgl_renderer_gl_context context)
{
	struct bn_gl *gl = cookie;
	return bn_egl_make_current(&gl->egl, context) ? 0 : -EINVAL;
}

static void *on_get_display(void *cookie)
{
	struct bn_gl *gl = cookie;
	return gl->egl.display;
}

/* The library tells on stderr what guests do wrong, as often as they do it; that is for a person
 * who looks into it. */
#ifdef VIRGL_RENDERER_COMPAT_PROFILE
static void on_log(enum virgl_log_level_flags level, const char *message, void *data)
{
	if (bn_log_enabled(BN_LOG_DEBUG))
		bn_debug("virglrenderer: %.*s", (int)strcspn(message, "\n"), message);
}

static void set_log(void)
{
	virgl_set_log_callback(on_log, NULL, NULL);
}
#else
static void on_debug(const char *fmt, va_list args)
{
	if (bn_log_enabled(BN_LOG_DEBUG))
		bn_vlog(BN_LOG_DEBUG, fmt, args);
}

static void set_log(void)
{
	virgl_set_debug_callback(on_debug);
}
#endif

/* ---- start and end ---- */

static void read_names(struct bn_gl *gl)
{
	const char *name = (const char *)glGetString(GL_RENDERER);
	const char *version = (const char *)glGetString(GL_VERSION);
	snprintf(gl->name, sizeof(gl->name), "%s", name ? name : "unknown");
	snprintf(gl->version, sizeof(gl->version), "%s", version ? version : "unknown");
}

static int start_virgl(struct bn_gl *gl)
{
	gl->callbacks = (struct virgl_renderer_callbacks){
		.version = 4,
		.write_fence = on_write_fence,
		.create_gl_context = on_create_context,
		.destroy_gl_context = on_destroy_context,
		.make_current = on_make_current,
		.write_context_fence = on_write_context_fence,
		.get_egl_display = on_get_display,
	};
	set_log();
	int flags = VIRGL_RENDERER_THREAD_SYNC;
	if (gl->egl.gles)
		flags |= VIRGL_RENDERER_USE_GLES;
	if (virgl_renderer_init(gl, flags, &gl->callbacks)) {
		bn_error("gl: virglrenderer does not start on this driver (more with --debug)");
		return -ENODEV;
	}
	virgl_renderer_force_ctx_0();
	gl->poll_fd = virgl_renderer_get_poll_fd();
	if (gl->poll_fd >= 0)
		return 0;
	gl->own_poll_fd = true;
	gl->poll_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (gl->poll_fd < 0) {
		virgl_renderer_cleanup(gl);
		return -errno;
	}
	bn_warn("gl: virglrenderer runs without its fence thread: fences are waited for in place");
	return 0;
}

bool bn_gl_is_software(const struct bn_gl *gl)
{
	return strstr(gl->name, "llvmpipe") || strstr(gl->name, "softpipe");
}

enum bn_link_priority bn_gl_priority(const struct bn_gl *gl)
{
	return gl->egl.granted;
}

int bn_gl_create(struct bn_gl **out, enum bn_link_gpu gpu, int node_fd,
	enum bn_link_priority priority, const struct bn_gl_listener *listener, void *data)
{
	*out = NULL;
	struct bn_gl *gl = calloc(1, sizeof(*gl));
	if (!gl) {
		bn_fd_close(&node_fd);
		return -ENOMEM;
	}
	gl->listener = *listener;
	gl->data = data;
	gl->poll_fd = -1;
	gl->reader = EGL_NO_CONTEXT;
	int ret = bn_egl_init(&gl->egl, gpu, node_fd, priority);
	if (ret < 0) {
		bn_error("gl: no OpenGL for this VM: %s", gl->egl.why);
		goto fail;
	}
	ret = start_virgl(gl);
	if (ret < 0)
		goto fail_egl;
	read_names(gl);
	bn_gl_meters_init(gl);
	if (gpu == BN_LINK_GPU_RENDER_NODE && bn_gl_is_software(gl))
		bn_warn("gl: no driver for the render node: the processor draws instead (%s)",
			gl->name);
	char text[160];
	if (gl->egl.granted != priority && gl->egl.has_priority)
		bn_warn("gl: the driver does not give this VM's contexts the priority asked for "
			"(above-normal ones need CAP_SYS_NICE)");
	const char *no_export = bn_gl_no_export(gl, text, sizeof(text));
	if (no_export)
		bn_info("gl: frames are copied once: %s", no_export);
	*out = gl;
	return 0;
fail_egl:
	bn_egl_finish(&gl->egl);
fail:
	free(gl);
	return ret;
}

void bn_gl_destroy(struct bn_gl *gl)
{
	if (!gl)
		return;
	bn_gl_reader_finish(gl);
	bn_gl_fences_finish(gl);
	virgl_renderer_cleanup(gl);
	bn_gl_meters_finish(gl);
	if (gl->own_poll_fd)
		bn_fd_close(&gl->poll_fd);
	bn_egl_finish(&gl->egl);
	free(gl->contexts);
	free(gl);
}

const char *bn_gl_renderer_name(const struct bn_gl *gl)
{
	return gl->name;
}

const char *bn_gl_version(const struct bn_gl *gl)
{
	return gl->version;
}

/* ---- capability sets ---- */

unsigned bn_gl_capsets(struct bn_gl *gl, struct bn_link_capset *out)
{
	static const uint32_t ids[] = {BN_VIRGL_CAPSET_VIRGL, BN_VIRGL_CAPSET_VIRGL2};
	unsigned n = 0;
	for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		uint32_t version = 0, size = 0;
		virgl_renderer_get_cap_set(ids[i], &version, &size);
		if (size)
			out[n++] = (struct bn_link_capset){
				.id = ids[i], .max_version = version, .max_size = size};
	}
	return n;
}

int bn_gl_capset(struct bn_gl *gl, uint32_t id, uint32_t version, void *out)
{
	uint32_t max_version = 0, size = 0;
	if (id != BN_VIRGL_CAPSET_VIRGL && id != BN_VIRGL_CAPSET_VIRGL2)
		return -EINVAL;
	virgl_renderer_get_cap_set(id, &max_version, &size);
	if (!size || version > max_version)
		return -EINVAL;
	memset(out, 0, size);
	virgl_renderer_fill_caps(id, version, out);
	return 0;
}

bool bn_gl_has_context_init(const struct bn_gl *gl)
{
	return true; /* virgl_renderer_context_create_with_flags is public since 0.10 */
}

/* ---- contexts ---- */

struct bn_gl_context *bn_gl_context_find(const struct bn_gl *gl, uint32_t ctx_id)
{
	for (unsigned i = 0; i < gl->ncontexts; i++) {
		if (gl->contexts[i].id == ctx_id)
			return &gl->contexts[i];
	}
	return NULL;
}

static bool context_add(struct bn_gl *gl, uint32_t ctx_id)
{
	if (gl->ncontexts == gl->contexts_size) {
		unsigned size = gl->contexts_size ? gl->contexts_size * 2 : 16;
		struct bn_gl_context *list = realloc(gl->contexts, size * sizeof(*list));
		if (!list)
			return false;
		gl->contexts = list;
		gl->contexts_size = size;
	}
	gl->contexts[gl->ncontexts++] = (struct bn_gl_context){.id = ctx_id};
	return true;
}

bool bn_gl_can_create(struct bn_gl *gl, uint32_t count)
{
	EGLContext *trial = calloc(count, sizeof(*trial));
	uint32_t n = 0;
	while (trial && n < count) {
		trial[n] = bn_egl_context_create(
			&gl->egl, true, gl->egl.major, gl->egl.minor, false);
		if (trial[n] == EGL_NO_CONTEXT)
			break;
		n++;
	}
	for (uint32_t i = 0; i < n; i++)
		bn_egl_context_destroy(&gl->egl, trial[i]);
	free(trial);
	return n == count;
}

int bn_gl_ctx_create(struct bn_gl *gl, uint32_t ctx_id, uint32_t capset_id, const char *name)
{
	if (!ctx_id || bn_gl_context_find(gl, ctx_id))
		return -EINVAL;
	if (capset_id && capset_id != BN_VIRGL_CAPSET_VIRGL && capset_id != BN_VIRGL_CAPSET_VIRGL2)
		return -EINVAL;
	if (!context_add(gl, ctx_id))
		return -ENOMEM;
	uint32_t len = (uint32_t)strlen(name);
	int ret;
	if (capset_id)
		ret = virgl_renderer_context_create_with_flags(ctx_id, capset_id, len, name);
	else
		ret = virgl_renderer_context_create(ctx_id, len, name);
	/* The library leaves the new one current, but takes the one that was so before for it: its
	 * next commands would be executed in the new one. */
	virgl_renderer_force_ctx_0();
	if (ret)
		gl->ncontexts--;
	return to_errno(ret);
}

void bn_gl_ctx_destroy(struct bn_gl *gl, uint32_t ctx_id)
{
	struct bn_gl_context *context = bn_gl_context_find(gl, ctx_id);
	if (!context)
		return;
	/* The guest's own last work is all that this waits for. */
	bn_gl_fences_drain(gl);
	*context = gl->contexts[--gl->ncontexts];
	virgl_renderer_context_destroy(ctx_id);
	bn_gl_fences_rescue(gl);
}

void bn_gl_ctx_attach(struct bn_gl *gl, uint32_t ctx_id, uint32_t res_id)
{
	virgl_renderer_ctx_attach_resource((int)ctx_id, (int)res_id);
}

void bn_gl_ctx_detach(struct bn_gl *gl, uint32_t ctx_id, uint32_t res_id)
{
	virgl_renderer_ctx_detach_resource((int)ctx_id, (int)res_id);
}

bool bn_gl_ctx_lost(const struct bn_gl *gl, uint32_t ctx_id)
{
	const struct bn_gl_context *context = bn_gl_context_find(gl, ctx_id);
	return context && context->lost;
}

/* Refused is not lost: an unknown command only ends its buffer, a malformed one the context.
 * virglrenderer tells which it was when it next switches to the context. */
static bool still_alive(uint32_t ctx_id)
{
	virgl_renderer_force_ctx_0();
	_Alignas(8) uint32_t nop[2] = {0};
	return virgl_renderer_submit_cmd(nop, (int)ctx_id, 1) == 0;
}

int bn_gl_submit(struct bn_gl *gl, uint32_t ctx_id, void *buf, uint32_t ndwords)
{
	struct bn_gl_context *context = bn_gl_context_find(gl, ctx_id);
	if (!context || context->lost || ndwords > INT32_MAX)
		return -EINVAL;
	bool query = bn_gl_stream_has_query(buf, ndwords);
	int ret = virgl_renderer_submit_cmd(buf, (int)ctx_id, (int)ndwords);
	if (query)
		gl->fences.query_seq++;
	if (!ret)
		return 0;
	context->lost = !still_alive(ctx_id);
	if (bn_log_gate(&gl->log_submit))
		bn_warn("gl: context %u: commands refused%s (%lu so far)", ctx_id,
			context->lost ? ", the context is lost" : "", gl->log_submit);
	return to_errno(ret);
}

/* ---- resources and transfers ---- */

int bn_gl_resource_create(struct bn_gl *gl, const struct bn_gl_resource_args *a)
{
	struct virgl_renderer_resource_create_args args = {
		.handle = a->id,
		.target = a->target,
		.format = a->format,
		.bind = a->bind,
		.width = a->width,
		.height = a->height,
		.depth = a->depth,
		.array_size = a->array_size,
		.last_level = a->last_level,
		.nr_samples = a->nr_samples,
		.flags = a->flags,
	};
	return to_errno(virgl_renderer_resource_create(&args, NULL, 0));
}

void bn_gl_resource_unref(struct bn_gl *gl, uint32_t res_id)
{
	virgl_renderer_resource_unref(res_id);
}

int bn_gl_attach_iov(struct bn_gl *gl, uint32_t res_id, struct iovec *iov, unsigned n)
{
	return to_errno(virgl_renderer_resource_attach_iov((int)res_id, iov, (int)n));
}

void bn_gl_detach_iov(struct bn_gl *gl, uint32_t res_id)
{
	/* It hands back the array that we lent: the caller has it. */
	struct iovec *iov = NULL;
	int n = 0;
	virgl_renderer_resource_detach_iov((int)res_id, &iov, &n);
}

int bn_gl_transfer_in(struct bn_gl *gl, const struct bn_gl_transfer *t)
{
	struct virgl_box box = {t->x, t->y, t->z, t->w, t->h, t->d};
	return to_errno(virgl_renderer_transfer_write_iov(t->res_id, t->ctx_id, (int)t->level,
		t->stride, t->layer_stride, &box, t->offset, NULL, 0));
}

int bn_gl_transfer_out(struct bn_gl *gl, const struct bn_gl_transfer *t)
{
	struct virgl_box box = {t->x, t->y, t->z, t->w, t->h, t->d};
	return to_errno(virgl_renderer_transfer_read_iov(t->res_id, t->ctx_id, t->level, t->stride,
		t->layer_stride, &box, t->offset, NULL, 0));
}
