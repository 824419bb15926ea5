#include "fake_gl.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <string.h>

#include "common/fd.h"

int bn_gl_create(struct bn_gl **out, enum bn_link_gpu gpu, int node_fd,
	enum bn_link_priority priority, const struct bn_gl_listener *listener, void *data)
{
	return -ENOTSUP;
}

void bn_gl_destroy(struct bn_gl *gl)
{
}

const char *bn_gl_renderer_name(const struct bn_gl *gl)
{
	return "fake";
}

const char *bn_gl_version(const struct bn_gl *gl)
{
	return "0";
}

unsigned bn_gl_capsets(struct bn_gl *gl, struct bn_link_capset *out)
{
	out[0] = (struct bn_link_capset){.id = 1, .max_version = 1, .max_size = 100};
	out[1] = (struct bn_link_capset){.id = 2, .max_version = 2, .max_size = 200};
	return 2;
}

int bn_gl_capset(struct bn_gl *gl, uint32_t id, uint32_t version, void *out)
{
	memset(out, (int)id, id * 100);
	return 0;
}

bool bn_gl_has_context_init(const struct bn_gl *gl)
{
	return true;
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
	bool any = gl->poll && gl->fences > 0;

	if (any)
		gl->poll();
	return any;
}

unsigned bn_gl_fences_pending(const struct bn_gl *gl)
{
	return gl->fences;
}

bool bn_gl_is_software(const struct bn_gl *gl)
{
	return false;
}

bool bn_gl_can_create(struct bn_gl *gl, uint32_t count)
{
	return !gl->contexts_max || count + gl->contexts <= gl->contexts_max;
}

int bn_gl_ctx_create(struct bn_gl *gl, uint32_t ctx_id, uint32_t capset_id, const char *name)
{
	gl->contexts++;
	return capset_id == 63 ? -EINVAL : 0;
}

void bn_gl_ctx_destroy(struct bn_gl *gl, uint32_t ctx_id)
{
	gl->contexts--;
}

void bn_gl_ctx_attach(struct bn_gl *gl, uint32_t ctx_id, uint32_t res_id)
{
	gl->attached++;
}

void bn_gl_ctx_detach(struct bn_gl *gl, uint32_t ctx_id, uint32_t res_id)
{
	gl->attached--;
}

int bn_gl_resource_create(struct bn_gl *gl, const struct bn_gl_resource_args *args)
{
	gl->resources++;
	return 0;
}

void bn_gl_resource_unref(struct bn_gl *gl, uint32_t res_id)
{
	gl->resources--;
}

int bn_gl_attach_iov(struct bn_gl *gl, uint32_t res_id, struct iovec *iov, unsigned n)
{
	gl->iovs++;
	return 0;
}

void bn_gl_detach_iov(struct bn_gl *gl, uint32_t res_id)
{
	gl->iovs--;
}

int bn_gl_transfer_in(struct bn_gl *gl, const struct bn_gl_transfer *t)
{
	gl->transfers++;
	return 0;
}

int bn_gl_transfer_out(struct bn_gl *gl, const struct bn_gl_transfer *t)
{
	gl->transfers++;
	return 0;
}

int bn_gl_submit(struct bn_gl *gl, uint32_t ctx_id, void *buf, uint32_t ndwords)
{
	gl->submits++;
	memcpy(gl->last_submit, buf, ndwords < 16 ? ndwords * 4 : 64);
	return gl->submit_result;
}

bool bn_gl_has_timestamps(const struct bn_gl *gl)
{
	return true;
}

uint64_t bn_gl_meter_begin(struct bn_gl *gl, uint32_t ctx_id, const uint32_t *words, uint32_t count)
{
	gl->metered++;
	return gl->meter_id;
}

void bn_gl_meter_end(struct bn_gl *gl, uint64_t id)
{
	gl->meter_ended = id;
}

bool bn_gl_meter_read(struct bn_gl *gl, uint64_t id, uint64_t *ns)
{
	*ns = gl->meter_ns;
	return gl->meter_ns != 0 && id == gl->meter_ended;
}

bool bn_gl_ctx_lost(const struct bn_gl *gl, uint32_t ctx_id)
{
	return gl->submit_result != 0;
}

int bn_gl_fence(struct bn_gl *gl, uint32_t ctx_id, uint64_t fence_id)
{
	if (gl->fences == FAKE_GL_MAX)
		return -ENOMEM;
	gl->fence[gl->fences].ctx_id = ctx_id;
	gl->fence[gl->fences++].id = fence_id;
	return 0;
}

int bn_gl_scanout_info(struct bn_gl *gl, uint32_t res_id, struct bn_gl_scanout *out)
{
	*out = (struct bn_gl_scanout){
		.width = gl->width,
		.height = gl->height,
		.fourcc = DRM_FORMAT_XRGB8888,
		.planes = 1,
		.stride[0] = gl->width * 4,
	};
	return gl->width ? 0 : -EINVAL;
}

int bn_gl_export(struct bn_gl *gl, uint32_t res_id, struct bn_gl_scanout *out)
{
	if (!gl->can_export)
		return -ENOTSUP;
	bn_gl_scanout_info(gl, res_id, out);
	out->fd[0] = bn_memfd_create("fake", 4096);
	return 0;
}

int bn_gl_read_back(struct bn_gl *gl, uint32_t res_id, uint32_t x, uint32_t y, uint32_t w,
	uint32_t h, void *dst, uint32_t stride)
{
	if (x > gl->width || w > gl->width - x || y > gl->height || h > gl->height - y)
		return -EINVAL;
	gl->read_backs++;
	for (uint32_t row = y; row < y + h; row++)
		memset((char *)dst + (size_t)row * stride + 4ul * x, (int)res_id, 4ul * w);
	return 0;
}
