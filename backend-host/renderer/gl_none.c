/* A build without GL: bn_gl_create() says so, and nothing else can then be called with a real
 * object. */
#include <errno.h>

#include "common/fd.h"
#include "common/log.h"

#include "gl.h"
#include "probe.h"

int bn_gl_create(struct bn_gl **out, enum bn_link_gpu gpu, int node_fd,
	enum bn_link_priority priority, const struct bn_gl_listener *listener, void *data)
{
	*out = NULL;
	bn_fd_close(&node_fd);
	bn_warn("gl: built without OpenGL support: this VM has 2D only");
	return -ENOTSUP;
}

void bn_gl_destroy(struct bn_gl *gl)
{
}

bool bn_gl_is_software(const struct bn_gl *gl)
{
	return false;
}

enum bn_link_priority bn_gl_priority(const struct bn_gl *gl)
{
	return BN_LINK_PRIORITY_MEDIUM;
}

const char *bn_gl_renderer_name(const struct bn_gl *gl)
{
	return "";
}

const char *bn_gl_version(const struct bn_gl *gl)
{
	return "";
}

unsigned bn_gl_capsets(struct bn_gl *gl, struct bn_link_capset *out)
{
	return 0;
}

int bn_gl_capset(struct bn_gl *gl, uint32_t id, uint32_t version, void *out)
{
	return -ENOTSUP;
}

bool bn_gl_has_context_init(const struct bn_gl *gl)
{
	return false;
}

int bn_gl_fd(const struct bn_gl *gl)
{
	return -1;
}

void bn_gl_dispatch(struct bn_gl *gl)
{
}

bool bn_gl_poll(struct bn_gl *gl)
{
	return false;
}

unsigned bn_gl_fences_pending(const struct bn_gl *gl)
{
	return 0;
}

bool bn_gl_can_create(struct bn_gl *gl, uint32_t count)
{
	return false;
}

int bn_gl_ctx_create(struct bn_gl *gl, uint32_t ctx_id, uint32_t capset_id, const char *name)
{
	return -ENOTSUP;
}

void bn_gl_ctx_destroy(struct bn_gl *gl, uint32_t ctx_id)
{
}

void bn_gl_ctx_attach(struct bn_gl *gl, uint32_t ctx_id, uint32_t res_id)
{
}

void bn_gl_ctx_detach(struct bn_gl *gl, uint32_t ctx_id, uint32_t res_id)
{
}

bool bn_gl_ctx_lost(const struct bn_gl *gl, uint32_t ctx_id)
{
	return false;
}

int bn_gl_resource_create(struct bn_gl *gl, const struct bn_gl_resource_args *args)
{
	return -ENOTSUP;
}

void bn_gl_resource_unref(struct bn_gl *gl, uint32_t res_id)
{
}

int bn_gl_attach_iov(struct bn_gl *gl, uint32_t res_id, struct iovec *iov, unsigned n)
{
	return -ENOTSUP;
}

void bn_gl_detach_iov(struct bn_gl *gl, uint32_t res_id)
{
}

int bn_gl_transfer_in(struct bn_gl *gl, const struct bn_gl_transfer *t)
{
	return -ENOTSUP;
}

int bn_gl_transfer_out(struct bn_gl *gl, const struct bn_gl_transfer *t)
{
	return -ENOTSUP;
}

int bn_gl_submit(struct bn_gl *gl, uint32_t ctx_id, void *buf, uint32_t ndwords)
{
	return -ENOTSUP;
}

int bn_gl_fence(struct bn_gl *gl, uint32_t ctx_id, uint64_t fence_id)
{
	return -ENOTSUP;
}

bool bn_gl_has_timestamps(const struct bn_gl *gl)
{
	return false;
}

uint64_t bn_gl_meter_begin(struct bn_gl *gl, uint32_t ctx_id, const uint32_t *words, uint32_t count)
{
	return 0;
}

void bn_gl_meter_end(struct bn_gl *gl, uint64_t id)
{
}

bool bn_gl_meter_read(struct bn_gl *gl, uint64_t id, uint64_t *ns)
{
	return false;
}

int bn_gl_export(struct bn_gl *gl, uint32_t res_id, struct bn_gl_scanout *out)
{
	return -ENOTSUP;
}

int bn_gl_scanout_info(struct bn_gl *gl, uint32_t res_id, struct bn_gl_scanout *out)
{
	return -ENOTSUP;
}

int bn_gl_read_back(struct bn_gl *gl, uint32_t res_id, uint32_t x, uint32_t y, uint32_t w,
	uint32_t h, void *dst, uint32_t stride)
{
	return -ENOTSUP;
}

int bn_probe_print_json(FILE *out, const char *node)
{
	fputs("{\n \"gpu\": \"none\",\n \"features\": [\n"
	      "  {\"name\": \"OpenGL for guests\", \"offered\": false, \"reason\": "
	      "\"built without virglrenderer, EGL, GBM and epoxy\"}\n ]\n}\n",
		out);
	return fflush(out) == 0 && !ferror(out) ? 0 : -EIO;
}
