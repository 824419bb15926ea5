/* GPU time by timestamps, on the software rasteriser: it has them, and they tell the time of day. What
 * they say is held against clocks read before and after, and against each other, never against a
 * number of seconds. */
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"

#include "gl_args.h"

#define SIDE 64u
#define CTX 7u
#define RES 5u
#define VBO 6u
#define RESULT 8u
#define SKIPPED 77
#define BATCHES 40u
#define CONTEXTS 130u
/* enum pipe_query_type of virglrenderer's own p_defines.h */
#define QUERY_TIMESTAMP 2u
#define QUERY_TIME_ELAPSED 4u

static struct bn_gl *gl;
static unsigned nfences;
static uint64_t next_fence = 1;
static _Alignas(8) uint32_t words[4096];
static struct bn_virgl_stream stream;

static void on_fence(void *data, uint32_t ctx_id, uint32_t ring_idx, uint64_t fence_id)
{
	nfences++;
}

static const struct bn_gl_listener listener = {.fence = on_fence};

static bool finish(uint32_t ctx)
{
	uint64_t end = bn_now_ns() + 60 * BN_NS_PER_S;
	nfences = 0;
	if (bn_gl_fence(gl, ctx, next_fence++))
		return false;
	bn_gl_poll(gl);
	while (nfences == 0 && bn_now_ns() < end) {
		struct pollfd p = {.fd = bn_gl_fd(gl), .events = POLLIN};
		poll(&p, 1, 1000);
		bn_gl_dispatch(gl);
	}
	return nfences == 1;
}

static int submit(uint32_t ctx)
{
	CU_ASSERT_FALSE(stream.overflow);
	int ret = bn_gl_submit(gl, ctx, words, stream.count);
	bn_virgl_reset(&stream);
	return ret;
}

/* Its stamps' id. */
static uint64_t submit_metered(uint32_t ctx)
{
	uint64_t id = bn_gl_meter_begin(gl, ctx, words, stream.count);
	CU_ASSERT_EQUAL(submit(ctx), 0);
	bn_gl_meter_end(gl, id);
	return id;
}

static void create_buffer(uint32_t id, uint32_t bind, uint32_t size)
{
	struct bn_gl_resource_args args = gl_buffer(id, bind, size);
	CU_ASSERT_EQUAL_FATAL(bn_gl_resource_create(gl, &args), 0);
}

static const struct bn_virgl_vertex whole[3] = {
	{{-1, -1, 0, 1}, {0, 1, 0, 1}},
	{{3, -1, 0, 1}, {0, 1, 0, 1}},
	{{-1, 3, 0, 1}, {0, 1, 0, 1}},
};

static void sub_begin(uint32_t sub)
{
	bn_virgl_create_sub_ctx(&stream, sub);
	bn_virgl_set_sub_ctx(&stream, sub);
	bn_virgl_create_surface(&stream, 1, RES, BN_VIRGL_FORMAT_B8G8R8X8);
	bn_virgl_set_framebuffer(&stream, 1);
	bn_virgl_set_viewport(&stream, SIDE, SIDE);
	bn_virgl_triangle_state(&stream, 10);
}

static void begin(void)
{
	struct bn_gl_resource_args args =
		gl_picture(RES, BN_VIRGL_FORMAT_B8G8R8X8, BN_VIRGL_BIND_SCANOUT, SIDE, SIDE);
	CU_ASSERT_EQUAL_FATAL(bn_gl_resource_create(gl, &args), 0);
	create_buffer(VBO, BN_VIRGL_BIND_VERTEX_BUFFER, sizeof(whole));
	CU_ASSERT_EQUAL_FATAL(bn_gl_ctx_create(gl, CTX, 2, "test"), 0);
	bn_gl_ctx_attach(gl, CTX, RES);
	bn_gl_ctx_attach(gl, CTX, VBO);
	bn_virgl_init(&stream, words, sizeof(words) / sizeof(words[0]));
	sub_begin(1);
	bn_virgl_write_buffer(&stream, VBO, 0, whole, sizeof(whole));
	CU_ASSERT_EQUAL(submit(CTX), 0);
}

static void end(void)
{
	bn_gl_ctx_destroy(gl, CTX);
	bn_gl_resource_unref(gl, RES);
	bn_gl_resource_unref(gl, VBO);
}

static void paint(uint32_t sub, float red)
{
	bn_virgl_set_sub_ctx(&stream, sub);
	bn_virgl_clear(&stream, (const float[]){red, 0, 0, 1});
}

static void check_pixels(uint32_t expected)
{
	static uint32_t pixels[SIDE * SIDE];
	unsigned wrong = 0;
	CU_ASSERT_EQUAL(bn_gl_read_back(gl, RES, 0, 0, SIDE, SIDE, pixels, SIDE * 4), 0);
	for (unsigned i = 0; i < SIDE * SIDE; i++)
		wrong += (pixels[i] & 0xffffff) != expected;
	CU_ASSERT_EQUAL(wrong, 0);
}

/* A draw; returns what the stamps say, which is no longer than it took. */
static uint64_t draw(void)
{
	uint64_t start = bn_now_ns(), ns = 0;
	bn_virgl_set_sub_ctx(&stream, 1);
	bn_virgl_draw_triangles(&stream, VBO, 3);
	uint64_t id = submit_metered(CTX);
	CU_ASSERT_NOT_EQUAL(id, 0);
	CU_ASSERT_TRUE(finish(CTX));
	uint64_t took = bn_now_ns() - start;
	CU_ASSERT_TRUE(bn_gl_meter_read(gl, id, &ns));
	CU_ASSERT_TRUE(ns > 0);
	CU_ASSERT_TRUE(ns <= took);
	CU_ASSERT_FALSE(bn_gl_meter_read(gl, id, &ns)); /* once */
	return ns;
}

/* The best of some: the machine may be busy with others. */
static uint64_t best_draw(void)
{
	uint64_t best = UINT64_MAX;
	for (unsigned i = 0; i < 8; i++) {
		uint64_t ns = draw();
		best = ns < best ? ns : best;
	}
	return best;
}

static void test_grows_with_work(void)
{
	begin();
	uint64_t little = best_draw();
	check_pixels(0x00ff00);
	bn_virgl_set_sub_ctx(&stream, 1);
	bn_virgl_loop_shader(&stream, 30, 100, 1);
	CU_ASSERT_EQUAL(submit(CTX), 0);
	uint64_t some = best_draw();
	bn_virgl_set_sub_ctx(&stream, 1);
	bn_virgl_loop_shader(&stream, 31, 1500, 1);
	CU_ASSERT_EQUAL(submit(CTX), 0);
	uint64_t much = best_draw();
	CU_ASSERT_TRUE(little < some);
	CU_ASSERT_TRUE(some < much);
	end();
}

/* Each stream begins with its sub-context: that is the one to be stamped. Reading them changes
 * nothing for what is drawn in between. */
static void test_sub_contexts(void)
{
	uint64_t id[3], ns;
	begin();
	sub_begin(2);
	CU_ASSERT_EQUAL(submit(CTX), 0);
	for (unsigned i = 0; i < 10; i++) {
		paint(1, 1);
		id[0] = submit_metered(CTX);
		paint(2, 0);
		id[1] = submit_metered(CTX);
		CU_ASSERT_TRUE(finish(CTX));
		paint(2, 0);
		paint(1, 1);
		id[2] = submit_metered(CTX); /* begins in one and ends in the other */
		CU_ASSERT_TRUE(finish(CTX));
		CU_ASSERT_TRUE(bn_gl_meter_read(gl, id[1], &ns));
		CU_ASSERT_TRUE(bn_gl_meter_read(gl, id[0], &ns));
		CU_ASSERT_FALSE(bn_gl_meter_read(gl, id[2], &ns));
		/* Still in sub-context 1, as far as virglrenderer knows. */
		bn_virgl_clear(&stream, (const float[]){i & 1, 1, 0, 1});
		CU_ASSERT_EQUAL(submit(CTX), 0);
		CU_ASSERT_TRUE(finish(CTX));
		check_pixels(i & 1 ? 0xffff00 : 0x00ff00);
	}
	end();
}

static void test_more_than_are_kept(void)
{
	uint64_t id[BATCHES], ns;
	unsigned known = 0;
	begin();
	for (unsigned i = 0; i < BATCHES; i++) {
		paint(1, 1);
		id[i] = submit_metered(CTX);
	}
	CU_ASSERT_TRUE(finish(CTX));
	for (unsigned i = 0; i < BATCHES; i++)
		known += bn_gl_meter_read(gl, id[i], &ns);
	CU_ASSERT_TRUE(known > 0 && known < BATCHES);
	CU_ASSERT_FALSE(bn_gl_meter_read(gl, 0, &ns));
	CU_ASSERT_FALSE(bn_gl_meter_read(gl, UINT64_MAX, &ns));
	bn_gl_meter_end(gl, 0);
	bn_gl_meter_end(gl, id[0]);
	end();
}

/* Stamps in flight go with their context. The next one gets the same place, and other ids. */
static void test_context_gone(void)
{
	uint64_t old, ns;
	begin();
	paint(1, 1);
	old = submit_metered(CTX);
	CU_ASSERT_NOT_EQUAL(old, 0);
	end();
	CU_ASSERT_FALSE(bn_gl_meter_read(gl, old, &ns));
	begin();
	CU_ASSERT_FALSE(bn_gl_meter_read(gl, old, &ns));
	draw();
	/* The sub-context goes while it is metered. */
	paint(1, 1);
	bn_virgl_destroy_sub_ctx(&stream, 1);
	uint64_t id = submit_metered(CTX);
	CU_ASSERT_TRUE(finish(CTX));
	CU_ASSERT_FALSE(bn_gl_meter_read(gl, id, &ns));
	end();
}

static void test_lost_context(void)
{
	begin();
	paint(1, 1);
	words[stream.count++] = 8u | 1u << 16; /* a draw without its parameters */
	words[stream.count++] = 0;
	uint64_t id = bn_gl_meter_begin(gl, CTX, words, stream.count), ns;
	CU_ASSERT_EQUAL(submit(CTX), -EINVAL);
	bn_gl_meter_end(gl, id);
	CU_ASSERT_TRUE(bn_gl_ctx_lost(gl, CTX));
	CU_ASSERT_FALSE(bn_gl_meter_read(gl, id, &ns));
	paint(1, 1);
	CU_ASSERT_EQUAL(bn_gl_meter_begin(gl, CTX, words, stream.count), 0);
	CU_ASSERT_EQUAL(bn_gl_meter_begin(gl, CTX + 1, words, stream.count), 0);
	bn_virgl_reset(&stream);
	end();
	begin();
	draw();
	end();
}

/* The guest measures, too, across our stamps. */
static void test_guests_queries(void)
{
	static struct {
		uint32_t state, size;
		uint64_t value;
	} result;
	struct iovec iov = {.iov_base = &result, .iov_len = sizeof(result)};
	begin();
	create_buffer(RESULT, BN_VIRGL_BIND_CUSTOM, sizeof(result));
	CU_ASSERT_EQUAL(bn_gl_attach_iov(gl, RESULT, &iov, 1), 0);
	bn_gl_ctx_attach(gl, CTX, RESULT);
	bn_virgl_create_query(&stream, 40, QUERY_TIME_ELAPSED, RESULT);
	bn_virgl_create_query(&stream, 41, QUERY_TIMESTAMP, RESULT);
	bn_virgl_begin_query(&stream, 40);
	CU_ASSERT_EQUAL(submit(CTX), 0);
	for (unsigned i = 0; i < 50; i++)
		draw();
	for (uint32_t query = 40; query <= 41; query++) {
		bn_virgl_end_query(&stream, query);
		CU_ASSERT_NOT_EQUAL(submit_metered(CTX), 0);
		memset(&result, 0, sizeof(result));
		bn_virgl_get_query_result(&stream, query, false);
		CU_ASSERT_EQUAL(submit(CTX), 0);
		CU_ASSERT_TRUE(finish(CTX));
		CU_ASSERT_EQUAL(result.state, BN_VIRGL_QUERY_DONE);
		CU_ASSERT_TRUE(result.value > 0);
	}
	CU_ASSERT_FALSE(bn_gl_ctx_lost(gl, CTX));
	end();
	bn_gl_detach_iov(gl, RESULT);
	bn_gl_resource_unref(gl, RESULT);
}

/* A guest may have any number of contexts: some are not metered then, and nothing else happens. */
static void test_many_contexts(void)
{
	unsigned metered = 0;
	bn_virgl_init(&stream, words, sizeof(words) / sizeof(words[0]));
	for (uint32_t i = 0; i < CONTEXTS; i++) {
		CU_ASSERT_EQUAL_FATAL(bn_gl_ctx_create(gl, 100 + i, 2, "many"), 0);
		bn_virgl_set_sub_ctx(&stream, 0);
		metered += submit_metered(100 + i) != 0;
	}
	CU_ASSERT_TRUE(metered > 0 && metered < CONTEXTS);
	for (uint32_t i = 0; i < CONTEXTS; i++)
		bn_gl_ctx_destroy(gl, 100 + i);
	begin();
	draw();
	end();
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"grows with work", test_grows_with_work},
		{"sub-contexts", test_sub_contexts},
		{"more than are kept", test_more_than_are_kept},
		{"context gone", test_context_gone},
		{"lost context", test_lost_context},
		{"guest's queries", test_guests_queries},
		{"many contexts", test_many_contexts},
		CU_TEST_INFO_NULL,
	};
	bn_log_init(BN_LOG_ERROR, "test_gl_meter");
	if (bn_gl_create(&gl, BN_LINK_GPU_SURFACELESS, -1, BN_LINK_PRIORITY_LOW, &listener, NULL) <
		0) {
		fprintf(stderr, "no EGL without a display here: skipped\n");
		return SKIPPED;
	}
	if (!bn_gl_has_timestamps(gl)) {
		fprintf(stderr, "this driver has no timestamps: skipped\n");
		return SKIPPED;
	}
	int ret = bn_unit_main("gl_meter", tests);
	bn_gl_destroy(gl);
	return ret;
}
