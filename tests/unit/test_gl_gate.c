/* The gate on the real GL library, as in a renderer, with the costs of batches from timestamps: on the
 * software rasteriser, which a renderer meters by processor time. The arbiter is played by hand. */
#include "unit.h"

#include <poll.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/log.h"

#include "fake_arbiter.h"
#include "fence.h"
#include "gl_args.h"
#include "virgl_stream.h"

#define SIDE 64u
#define CTX 7u
#define RES 5u
#define VBO 6u
#define SKIPPED 77
#define MS BN_NS_PER_MS

static struct fake_arbiter a;
static struct bn_gl *gl;
static struct bn_fences *fences;
static unsigned asked, known;
static _Alignas(8) uint32_t words[4096];
static struct bn_virgl_stream stream;

static void on_fence(void *data, uint32_t ctx_id, uint32_t ring_idx, uint64_t fence_id)
{
	a.now = bn_now_ns();
	bn_fences_gpu_done(fences, ctx_id, fence_id);
}

static const struct bn_gl_listener gl_listener = {.fence = on_fence};

static void on_answer(void *data, struct bn_vq_request *request, uint32_t written)
{
}

static const struct bn_fences_ops fences_ops = {.answer = on_answer};

static bool read_meter(void *data, uint64_t id, uint64_t *ns)
{
	bool ok = bn_gl_meter_read(data, id, ns);
	asked++;
	known += ok;
	return ok;
}

static void setup(void)
{
	struct bn_gate_meter meter = {.read = read_meter, .data = gl};
	asked = known = 0;
	fake_arbiter_init(&a, NULL);
	fences = bn_fences_create(&fences_ops, NULL, NULL);
	bn_fences_set_gl(fences, gl);
	bn_fences_set_gate(fences, a.gate);
	bn_gate_set_fences(a.gate, fences);
	bn_gate_set_meter(a.gate, &meter);
	a.now = bn_now_ns();
	a.grant->batch_max_ns = 2 * MS; /* contended */
	fake_arbiter_lease(&a);
}

static void teardown(void)
{
	bn_fences_reset(fences);
	bn_fences_destroy(fences);
	fake_arbiter_finish(&a);
}

/* What the device does with a piece of a stream. */
static void start(void)
{
	struct bn_gate_batch b = {.kind = BN_COST_SUBMIT, .ctx_id = CTX, .work.draws = 1};
	a.now = bn_now_ns();
	CU_ASSERT_TRUE_FATAL(bn_gate_enter(a.gate, &b));
	CU_ASSERT_TRUE(b.metered);
	b.meter = bn_gl_meter_begin(gl, CTX, words, stream.count);
	CU_ASSERT_NOT_EQUAL(b.meter, 0);
	CU_ASSERT_EQUAL(bn_gl_submit(gl, CTX, words, stream.count), 0);
	bn_gl_meter_end(gl, b.meter);
	a.now = bn_now_ns();
	bn_gate_started(a.gate, &b, false);
	bn_virgl_reset(&stream);
}

static void finish(void)
{
	uint64_t end = bn_now_ns() + 60 * BN_NS_PER_S;
	bn_gl_poll(gl);
	while (a.request->busy > 0 && bn_now_ns() < end) {
		struct pollfd p = {.fd = bn_gl_fd(gl), .events = POLLIN};
		poll(&p, 1, 1000);
		bn_gl_dispatch(gl);
	}
	CU_ASSERT_EQUAL(a.request->busy, 0);
}

static const struct bn_virgl_vertex whole[3] = {
	{{-1, -1, 0, 1}, {0, 1, 0, 1}},
	{{3, -1, 0, 1}, {0, 1, 0, 1}},
	{{-1, 3, 0, 1}, {0, 1, 0, 1}},
};

static void begin(void)
{
	struct bn_gl_resource_args picture =
		gl_picture(RES, BN_VIRGL_FORMAT_B8G8R8A8, 0, SIDE, SIDE);
	struct bn_gl_resource_args buffer =
		gl_buffer(VBO, BN_VIRGL_BIND_VERTEX_BUFFER, sizeof(whole));
	CU_ASSERT_EQUAL_FATAL(bn_gl_resource_create(gl, &picture), 0);
	CU_ASSERT_EQUAL_FATAL(bn_gl_resource_create(gl, &buffer), 0);
	CU_ASSERT_EQUAL_FATAL(bn_gl_ctx_create(gl, CTX, 2, "test"), 0);
	bn_gl_ctx_attach(gl, CTX, RES);
	bn_gl_ctx_attach(gl, CTX, VBO);
	bn_virgl_init(&stream, words, sizeof(words) / sizeof(words[0]));
	bn_virgl_create_surface(&stream, 1, RES, BN_VIRGL_FORMAT_B8G8R8A8);
	bn_virgl_set_framebuffer(&stream, 1);
	bn_virgl_set_viewport(&stream, SIDE, SIDE);
	bn_virgl_triangle_state(&stream, 10);
	bn_virgl_write_buffer(&stream, VBO, 0, whole, sizeof(whole));
	start();
	finish();
}

static void end(void)
{
	bn_fences_ctx_gone(fences, CTX);
	bn_gl_ctx_destroy(gl, CTX);
	bn_gate_forget_context(a.gate, CTX);
	bn_gl_resource_unref(gl, RES);
	bn_gl_resource_unref(gl, VBO);
}

static uint64_t cost_of_draw(void)
{
	uint64_t before = a.request->gpu_ns, from = bn_now_ns();
	bn_virgl_draw_triangles(&stream, VBO, 3);
	start();
	finish();
	uint64_t cost = a.request->gpu_ns - before;
	CU_ASSERT_TRUE(cost > 0);
	CU_ASSERT_TRUE(cost <= bn_now_ns() - from);
	return cost;
}

static uint64_t least_cost(void)
{
	uint64_t best = UINT64_MAX;
	for (unsigned i = 0; i < 8; i++) {
		uint64_t cost = cost_of_draw();
		best = cost < best ? cost : best;
	}
	return best;
}

static void test_cost(void)
{
	setup();
	begin();
	uint64_t little = least_cost();
	bn_virgl_loop_shader(&stream, 30, 1500, 1);
	start();
	finish();
	CU_ASSERT_TRUE(least_cost() > little);
	CU_ASSERT_TRUE(known > 0);
	CU_ASSERT_EQUAL(known, asked);
	CU_ASSERT_EQUAL(a.request->predictions, a.request->batches);
	end();
	teardown();
}

/* Several at a time: all of them together cost no more than passed. */
static void test_queued(void)
{
	setup();
	begin();
	uint64_t before = a.request->gpu_ns, from = bn_now_ns();
	for (unsigned i = 0; i < 20; i++) {
		bn_virgl_draw_triangles(&stream, VBO, 3);
		start();
	}
	finish();
	CU_ASSERT_TRUE(a.request->gpu_ns > before);
	CU_ASSERT_TRUE(a.request->gpu_ns - before <= bn_now_ns() - from);
	end();
	teardown();
}

/* The context goes with a batch at the GPU: that has its fence's cost. */
static void test_context_gone(void)
{
	setup();
	begin();
	uint64_t before = a.request->gpu_ns, batches = a.request->batches;
	bn_virgl_draw_triangles(&stream, VBO, 3);
	start();
	end();
	CU_ASSERT_EQUAL(a.request->busy, 0);
	CU_ASSERT_EQUAL(a.request->batches, batches + 1);
	CU_ASSERT_TRUE(a.request->gpu_ns >= before);
	teardown();
	setup();
	begin();
	cost_of_draw();
	end();
	teardown();
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"cost", test_cost},
		{"queued", test_queued},
		{"context gone", test_context_gone},
		CU_TEST_INFO_NULL,
	};
	bn_log_init(BN_LOG_ERROR, "test_gl_gate");
	if (bn_gl_create(&gl, BN_LINK_GPU_SURFACELESS, -1, BN_LINK_PRIORITY_LOW, &gl_listener,
		    NULL) < 0) {
		fprintf(stderr, "no EGL without a display here: skipped\n");
		return SKIPPED;
	}
	if (!bn_gl_has_timestamps(gl)) {
		fprintf(stderr, "this driver has no timestamps: skipped\n");
		return SKIPPED;
	}
	int ret = bn_unit_main("gl_gate", tests);
	bn_gl_destroy(gl);
	return ret;
}
