#include "gpu.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <string.h>

#include "common/fd.h"

#define SIZE 16u /* of every resource, both ways */

/* virglrenderer's RESOURCE_COPY_REGION: the resource it writes to comes first. Where from is nothing
 * that anybody looks at. */
#define COPY_REGION (17u | (GPU_STREAM_WORDS - 1) << 16)
#define NS 8u

void gpu_stream(uint32_t words[GPU_STREAM_WORDS], uint32_t res_id, uint64_t ns)
{
	memset(words, 0, GPU_STREAM_WORDS * sizeof(words[0]));
	words[0] = COPY_REGION;
	words[1] = res_id;
	words[NS] = (uint32_t)ns;
	words[NS + 1] = (uint32_t)(ns >> 32);
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint64_t bn_gl_meter_begin(struct bn_gl *gl, uint32_t ctx_id, const uint32_t *words, uint32_t count)
{
	return 0;
}

void bn_gl_meter_end(struct bn_gl *gl, uint64_t id)
{
}

int bn_gl_submit(struct bn_gl *gl, uint32_t ctx_id, void *buf, uint32_t ndwords)
{
	uint32_t words[GPU_STREAM_WORDS];
	uint64_t *busy = &gl->busy_until[gl->engine == GPU_SERIAL ? 0 : ctx_id];

	if (ndwords != GPU_STREAM_WORDS || ctx_id >= GPU_CONTEXTS)
		return -EINVAL;
	memcpy(words, buf, sizeof(words));
	gl->draws(gl->data, words[1]);
	*busy = max_u64(*busy, sim_now()) + (words[NS] | (uint64_t)words[NS + 1] << 32);
	return 0;
}

static void handle_done(void *data, uint64_t arg)
{
	struct bn_gl *gl = data;

	gl->done_ns[arg >> 32] = sim_now();
	gl->listener.fence(gl->data, (uint32_t)(arg >> 32), 0, (uint32_t)arg);
}

int bn_gl_fence(struct bn_gl *gl, uint32_t ctx_id, uint64_t fence_id)
{
	uint64_t done;

	if (ctx_id >= GPU_CONTEXTS)
		return -EINVAL;
	done = max_u64(sim_now(), gl->busy_until[gl->engine == GPU_SERIAL ? 0 : ctx_id]);
	if (gl->engine != GPU_PARALLEL)
		done = gl->reported_until = max_u64(gl->reported_until, done);
	sim_at(done, handle_done, gl, (uint64_t)ctx_id << 32 | (uint32_t)fence_id);
	return 0;
}

bool bn_gl_is_software(const struct bn_gl *gl)
{
	return false;
}

bool bn_gl_can_create(struct bn_gl *gl, uint32_t count)
{
	return true;
}

int bn_gl_ctx_create(struct bn_gl *gl, uint32_t ctx_id, uint32_t capset_id, const char *name)
{
	gl->contexts++;
	return 0;
}

void bn_gl_ctx_destroy(struct bn_gl *gl, uint32_t ctx_id)
{
	gl->contexts--;
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

int bn_gl_scanout_info(struct bn_gl *gl, uint32_t res_id, struct bn_gl_scanout *out)
{
	*out = (struct bn_gl_scanout){
		.width = SIZE,
		.height = SIZE,
		.fourcc = DRM_FORMAT_XRGB8888,
		.planes = 1,
		.stride[0] = SIZE * 4,
	};
	return 0;
}

int bn_gl_export(struct bn_gl *gl, uint32_t res_id, struct bn_gl_scanout *out)
{
	if (!gl->can_export)
		return -ENOTSUP;
	bn_gl_scanout_info(gl, res_id, out);
	out->fd[0] = bn_memfd_create("sim", 4096);
	return out->fd[0] < 0 ? out->fd[0] : 0;
}

int bn_gl_read_back(struct bn_gl *gl, uint32_t res_id, uint32_t x, uint32_t y, uint32_t w,
	uint32_t h, void *dst, uint32_t stride)
{
	return 0;
}

unsigned bn_gl_capsets(struct bn_gl *gl, struct bn_link_capset *out)
{
	out[0] = (struct bn_link_capset){.id = 2, .max_version = 2, .max_size = 200};
	return 1;
}

bool bn_gl_has_context_init(const struct bn_gl *gl)
{
	return true;
}

/* What no simulated guest asks for. */

int bn_gl_capset(struct bn_gl *gl, uint32_t id, uint32_t version, void *out)
{
	return -EINVAL;
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

void bn_gl_ctx_attach(struct bn_gl *gl, uint32_t ctx_id, uint32_t res_id)
{
}

void bn_gl_ctx_detach(struct bn_gl *gl, uint32_t ctx_id, uint32_t res_id)
{
}

int bn_gl_attach_iov(struct bn_gl *gl, uint32_t res_id, struct iovec *iov, unsigned n)
{
	return 0;
}

void bn_gl_detach_iov(struct bn_gl *gl, uint32_t res_id)
{
}

int bn_gl_transfer_in(struct bn_gl *gl, const struct bn_gl_transfer *t)
{
	return 0;
}

int bn_gl_transfer_out(struct bn_gl *gl, const struct bn_gl_transfer *t)
{
	return 0;
}
