/* A stream in pieces gives the pixels of the stream as a whole: recorded streams of real clients and
 * generated ones, through virglrenderer on the software rasteriser, cut wherever the walker allows
 * it, with another context at work between the pieces. */
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"

#include "gl_args.h"
#include "virgl_replay.h"
#include "virgl_words.h"

#define SKIPPED 77
#define WIDTH 64u
#define HEIGHT 48u

#define OTHER_CTX 8u
#define OTHER_RES 60000u

static struct bn_gl *gl;
static unsigned fences;

static void on_fence(void *data, uint32_t ctx_id, uint32_t ring_idx, uint64_t fence_id)
{
	fences++;
}

static const struct bn_gl_listener listener = {.fence = on_fence};

static bool finish(uint32_t ctx)
{
	static uint64_t id;
	uint64_t end = bn_now_ns() + 20 * BN_NS_PER_S;
	fences = 0;
	if (bn_gl_fence(gl, ctx, ++id))
		return false;
	bn_gl_poll(gl);
	while (!fences && bn_now_ns() < end) {
		struct pollfd p = {.fd = bn_gl_fd(gl), .events = POLLIN};
		poll(&p, 1, 1000);
		bn_gl_dispatch(gl);
	}
	return fences == 1;
}

/* ---- somebody else ---- */

static struct bn_gl_resource_args picture(uint32_t id)
{
	return gl_picture(
		id, BN_VIRGL_FORMAT_B8G8R8A8, BN_VIRGL_BIND_SAMPLER_VIEW, WIDTH, HEIGHT);
}

static bool others_turn(const struct bn_virgl_stream *s)
{
	return bn_gl_submit(gl, OTHER_CTX, s->words, s->count) == 0;
}

static void other_begin(void)
{
	static _Alignas(8) uint32_t words[64];
	struct bn_virgl_stream s;
	struct bn_gl_resource_args args = picture(OTHER_RES);
	CU_ASSERT_EQUAL_FATAL(bn_gl_ctx_create(gl, OTHER_CTX, 2, "other"), 0);
	CU_ASSERT_EQUAL_FATAL(bn_gl_resource_create(gl, &args), 0);
	bn_gl_ctx_attach(gl, OTHER_CTX, OTHER_RES);
	bn_virgl_init(&s, words, 64);
	bn_virgl_create_surface(&s, 1, OTHER_RES, BN_VIRGL_FORMAT_B8G8R8A8);
	bn_virgl_set_framebuffer(&s, 1);
	CU_ASSERT_TRUE_FATAL(others_turn(&s));
}

static void other_end(void)
{
	bn_gl_ctx_destroy(gl, OTHER_CTX);
	bn_gl_resource_unref(gl, OTHER_RES);
}

static void other_draws(void)
{
	static _Alignas(8) uint32_t words[64];
	struct bn_virgl_stream s;
	bn_virgl_init(&s, words, 64);
	bn_virgl_clear(&s, (const float[]){1, 0, 1, 1});
	CU_ASSERT_TRUE(others_turn(&s));
}

/* Between two pieces: another context draws, or a fence is waited for, or nothing. */
static void interlude(void *data)
{
	switch (bn_walk_random(4)) {
	case 0:
		other_draws();
		break;
	case 1:
		CU_ASSERT_TRUE(finish(BN_REPLAY_CTX));
		break;
	}
}

/* ---- recorded streams ---- */

static struct bn_replay whole, cut;

static bool begin_replay(struct bn_replay *replay, unsigned every)
{
	bool ok = bn_replay_init(replay, gl, every);
	CU_ASSERT_TRUE(ok);
	replay->between = interlude;
	return ok;
}

static unsigned different(const struct bn_replay *a, const struct bn_replay *b)
{
	unsigned n = a->npictures == b->npictures ? 0 : 1;
	for (unsigned i = 0; i < a->npictures && i < b->npictures; i++)
		n += a->pictures[i] != b->pictures[i];
	return n;
}

/* Pictures that are not all the same: something was drawn. */
static unsigned variety(const struct bn_replay *replay)
{
	unsigned n = 0;
	for (unsigned i = 0; i < replay->npictures; i++) {
		unsigned k = 0;
		while (k < i && replay->pictures[k] != replay->pictures[i])
			k++;
		n += k == i;
	}
	return n;
}

static void replay_file(struct bn_replay *replay, const char *name, unsigned every)
{
	char path[512];
	snprintf(path, sizeof(path), BN_TEST_STREAMS "/%s.gz", name);
	if (!begin_replay(replay, every))
		return;
	CU_ASSERT_TRUE(bn_replay_file(replay, path));
	CU_ASSERT_FALSE(bn_gl_ctx_lost(gl, BN_REPLAY_CTX));
	CU_ASSERT_EQUAL(replay->faults, 0);
	bn_replay_finish(replay);
}

static void check_file(const char *name, unsigned pictures)
{
	static const unsigned every[] = {1, 3, 10};
	replay_file(&whole, name, 0);
	CU_ASSERT_TRUE(variety(&whole) >= pictures);
	printf("(%u submits, %u pictures, %u different;", whole.submits, whole.npictures,
		variety(&whole));
	for (unsigned i = 0; i < 3; i++) {
		replay_file(&cut, name, every[i]);
		CU_ASSERT_TRUE(cut.pieces > whole.submits);
		CU_ASSERT_TRUE(cut.metered > 0 || !bn_gl_has_timestamps(gl));
		CU_ASSERT_EQUAL(different(&whole, &cut), 0);
		printf(" %u commands in %u pieces%s", cut.commands, cut.pieces, i < 2 ? "," : ") ");
	}
}

static void test_cluster(void)
{
	check_file("cluster", 4);
}

static void test_gears(void)
{
	check_file("gears", 3);
}

static void test_ideas(void)
{
	check_file("ideas", 3);
}

static void test_blur(void)
{
	check_file("desktop-blur", 6);
}

static void test_buffer(void)
{
	check_file("buffer-map", 3);
}

/* ---- generated streams ---- */

/* Each sub-context has resources of its own, as clients that do not wait for each other have: from
 * FIRST(sub) on three targets, then what only is copied from, vertices, the result of a query. */
#define SUBS 3u
#define TARGETS 3u
#define FIRST(sub) ((sub) * 10u)
#define TEXTURE(sub) (FIRST(sub) + 3)
#define VERTICES(sub) (FIRST(sub) + 4)
#define RESULT(sub) (FIRST(sub) + 5)
#define STREAMS 4u
#define VERTEX_MAX 12u
/* Handles, the same in each sub-context. */
#define SURFACE 1u
#define TRIANGLES 20u
#define QUERY 40u
#define SHADER 50u

static _Alignas(8) uint32_t generated[STREAMS][16384];
static uint32_t counts[STREAMS];

static void put_header(struct bn_virgl_stream *s, uint32_t cmd, uint32_t object, uint32_t count,
	const uint32_t *words)
{
	if (s->count + count + 1 > s->capacity) {
		s->overflow = true;
		return;
	}
	s->words[s->count++] = cmd | object << 8 | count << 16;
	memcpy(&s->words[s->count], words, count * sizeof(*words));
	s->count += count;
}

/* A fragment shader so long that it comes in pieces, of a colour of its own. */
static void put_long_shader(struct bn_virgl_stream *s, uint32_t handle)
{
	char text[2048];
	int n = snprintf(text, sizeof(text),
		"FRAG\nDCL IN[0], COLOR, LINEAR\nDCL OUT[0], COLOR\nDCL TEMP[0]\n"
		"IMM[0] FLT32 {0.%04u, 0.%04u, 0.%04u, 1.0000}\n  0: MOV TEMP[0], IMM[0]\n",
		bn_walk_random(10000), bn_walk_random(10000), bn_walk_random(10000));
	unsigned line = 1;
	for (unsigned i = 5 + bn_walk_random(20); i; i--, line++)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			"  %u: ADD TEMP[0], TEMP[0], IN[0]\n  %u: MUL TEMP[0], TEMP[0], IMM[0]\n",
			line, line + 1),
			line++;
	n += snprintf(text + n, sizeof(text) - (size_t)n, "  %u: MOV OUT[0], TEMP[0]\n  %u: END\n",
		line, line + 1);
	uint32_t bytes = (uint32_t)n + 1, whole_words = (bytes + 3) / 4;
	uint32_t words[5 + 512] = {0}, body[512] = {0};
	memcpy(body, text, bytes);
	for (uint32_t at = 0; at < whole_words;) {
		uint32_t size = 8 + bn_walk_random(60);
		size = size < whole_words - at ? size : whole_words - at;
		words[0] = handle;
		words[1] = 1; /* fragment */
		words[2] = at ? 0x80000000u | at * 4 : bytes;
		words[3] = 600;
		words[4] = 0;
		memcpy(&words[5], &body[at], size * 4);
		put_header(s, CREATE_OBJECT, BN_VIRGL_OBJECT_SHADER, 5 + size, words);
		at += size;
	}
	put_header(s, BIND_SHADER, 0, 2, (const uint32_t[]){handle, 1});
}

static float coordinate(void)
{
	return (float)bn_walk_random(2000) / 500 - 2;
}

static void put_vertices(struct bn_virgl_stream *s, uint32_t sub)
{
	struct bn_virgl_vertex v[VERTEX_MAX];
	for (unsigned i = 0; i < VERTEX_MAX; i++) {
		float x = coordinate(), y = coordinate(), c = (float)bn_walk_random(256) / 255;
		v[i] = (struct bn_virgl_vertex){{x, y, 0, 1}, {c, 1 - c, c * c, 1}};
	}
	bn_virgl_write_buffer(s, VERTICES(sub), 0, v, sizeof(v));
}

static void put_draw(struct bn_virgl_stream *s, uint32_t sub)
{
	/* Not always new vertices: what was uploaded stays. */
	if (bn_walk_random(3))
		put_vertices(s, sub);
	bn_virgl_draw_triangles(s, VERTICES(sub), 3 + 3 * bn_walk_random(VERTEX_MAX / 3));
}

static void put_upload(
	struct bn_virgl_stream *s, uint32_t to, uint32_t x, uint32_t y, uint32_t w, uint32_t h)
{
	put_header(s, TRANSFER3D, 0, 13,
		(const uint32_t[]){
			to, 0, 0, WIDTH * 4, 0, x, y, 0, w, h, 1, (y * WIDTH + x) * 4, 1});
}

/* The guest's memory to rectangles of pictures, in one row of transfers. */
static void put_uploads(struct bn_virgl_stream *s, uint32_t sub)
{
	for (unsigned n = 1 + bn_walk_random(4); n; n--) {
		uint32_t x = bn_walk_random(WIDTH / 2), y = bn_walk_random(HEIGHT / 2);
		put_upload(s, FIRST(sub) + bn_walk_random(TARGETS + 1), x, y,
			1 + bn_walk_random(WIDTH / 2), 1 + bn_walk_random(HEIGHT / 2));
	}
	if (bn_walk_random(2)) {
		static const uint32_t nothing[64];
		put_header(s, END_TRANSFERS, 0, bn_walk_random(64), nothing);
	}
}

static void put_copy(struct bn_virgl_stream *s, uint32_t sub)
{
	uint32_t x = bn_walk_random(WIDTH / 2), y = bn_walk_random(HEIGHT / 2);
	uint32_t from = bn_walk_random(2) ? TEXTURE(sub) : FIRST(sub);
	put_header(s, COPY_REGION, 0, 13,
		(const uint32_t[]){FIRST(sub) + 1 + bn_walk_random(2), 0, y, x / 2, 0, from, 0, x,
			y, 0, WIDTH / 2, HEIGHT / 4, 1});
}

static void put_query(struct bn_virgl_stream *s, uint32_t sub)
{
	bn_virgl_begin_query(s, QUERY);
	for (unsigned n = 1 + bn_walk_random(3); n; n--)
		put_draw(s, sub);
	bn_virgl_end_query(s, QUERY);
	bn_virgl_get_query_result(s, QUERY, false);
}

static void put_setup(struct bn_virgl_stream *s, uint32_t sub)
{
	bn_virgl_create_sub_ctx(s, sub);
	bn_virgl_set_sub_ctx(s, sub);
	put_vertices(s, sub);
	for (uint32_t i = 0; i <= TARGETS; i++)
		put_upload(s, FIRST(sub) + i, 0, 0, WIDTH, HEIGHT);
	for (uint32_t i = 0; i < TARGETS; i++)
		bn_virgl_create_surface(s, SURFACE + i, FIRST(sub) + i, BN_VIRGL_FORMAT_B8G8R8A8);
	bn_virgl_set_framebuffer(s, SURFACE);
	bn_virgl_set_viewport(s, WIDTH, HEIGHT);
	bn_virgl_triangle_state(s, TRIANGLES);
	bn_virgl_create_query(s, QUERY, BN_VIRGL_QUERY_OCCLUSION_COUNTER, RESULT(sub));
	bn_virgl_clear(s, (const float[]){0.1f, 0.2f, 0.3f, 1});
	put_query(s, sub);
}

/* What is being written: the sub-context, the next shader's handle. */
struct author {
	uint32_t sub, shader;
};

static void put_something(struct bn_virgl_stream *s, struct author *author)
{
	float c = (float)bn_walk_random(256) / 255;
	switch (bn_walk_random(14)) {
	case 0:
		bn_virgl_set_framebuffer(s, SURFACE + bn_walk_random(TARGETS));
		break;
	case 1:
		author->sub = 1 + bn_walk_random(SUBS);
		bn_virgl_set_sub_ctx(s, author->sub);
		break;
	case 2:
		bn_virgl_clear(s, (const float[]){c, 1 - c, 0.5f, 1});
		break;
	case 3:
		put_uploads(s, author->sub);
		break;
	case 4:
		put_copy(s, author->sub);
		break;
	case 5:
		put_query(s, author->sub);
		break;
	case 6:
		put_long_shader(s, author->shader++);
		break;
	case 7:
		bn_virgl_set_viewport(s, WIDTH - bn_walk_random(20), HEIGHT);
		break;
	case 8:
		bn_virgl_nop(s, bn_walk_random(5));
		break;
	default:
		put_draw(s, author->sub);
	}
}

static void generate(void)
{
	struct author author = {.shader = SHADER};
	for (unsigned i = 0; i < STREAMS; i++) {
		struct bn_virgl_stream s;
		bn_virgl_init(&s, generated[i], 16384);
		for (uint32_t sub = 1; i == 0 && sub <= SUBS; sub++)
			put_setup(&s, sub);
		/* As Mesa begins each of its streams. */
		author.sub = 1 + bn_walk_random(SUBS);
		bn_virgl_set_sub_ctx(&s, author.sub);
		for (unsigned n = 10 + bn_walk_random(30); n; n--)
			put_something(&s, &author);
		CU_ASSERT_FALSE_FATAL(s.overflow);
		counts[i] = s.count;
	}
}

static void make_resources(struct bn_replay *replay, uint32_t sub)
{
	for (uint32_t id = FIRST(sub); id <= TEXTURE(sub); id++) {
		struct bn_gl_resource_args args = picture(id);
		CU_ASSERT_TRUE(bn_replay_create(replay, &args, WIDTH * HEIGHT * 4));
		uint8_t *memory = bn_replay_find(replay, id)->memory;
		for (uint32_t k = 0; k < WIDTH * HEIGHT * 4; k++)
			memory[k] = (uint8_t)(k * 7 + k / 251 + id * 31);
	}
	struct bn_gl_resource_args args = gl_buffer(VERTICES(sub), BN_VIRGL_BIND_VERTEX_BUFFER,
		VERTEX_MAX * sizeof(struct bn_virgl_vertex));
	CU_ASSERT_TRUE(bn_replay_create(replay, &args, 0));
	args = gl_buffer(RESULT(sub), BN_VIRGL_BIND_CUSTOM, 16);
	CU_ASSERT_TRUE(bn_replay_create(replay, &args, 16));
}

/* Each sub-context's last result, settled: a fence covers the sub-context that it is put into. */
static void look_at_results(struct bn_replay *replay)
{
	for (uint32_t sub = 1; sub <= SUBS; sub++) {
		static _Alignas(8) uint32_t words[16];
		struct bn_virgl_stream s;
		bn_virgl_init(&s, words, 16);
		bn_virgl_set_sub_ctx(&s, sub);
		bn_virgl_get_query_result(&s, QUERY, false);
		CU_ASSERT_EQUAL(bn_gl_submit(gl, BN_REPLAY_CTX, words, s.count), 0);
		CU_ASSERT_TRUE(finish(BN_REPLAY_CTX));
		const uint8_t *memory = bn_replay_find(replay, RESULT(sub))->memory;
		CU_ASSERT_EQUAL(memory[0], BN_VIRGL_QUERY_DONE);
		bn_replay_remember(replay, memory, 16);
	}
}

static void run_generated(struct bn_replay *replay, unsigned every)
{
	if (!begin_replay(replay, every))
		return;
	for (uint32_t sub = 1; sub <= SUBS; sub++)
		make_resources(replay, sub);
	for (unsigned i = 0; i < STREAMS; i++) {
		CU_ASSERT_EQUAL(bn_replay_submit(replay, generated[i], counts[i]), 0);
		CU_ASSERT_TRUE(finish(BN_REPLAY_CTX));
		bn_replay_look(replay, UINT32_MAX);
		look_at_results(replay);
	}
	CU_ASSERT_FALSE(bn_gl_ctx_lost(gl, BN_REPLAY_CTX));
	CU_ASSERT_EQUAL(replay->faults, 0);
	bn_replay_finish(replay);
}

static void test_generated(void)
{
	unsigned pieces = 0, commands = 0;
	for (unsigned round = 0; round < 25; round++) {
		generate();
		run_generated(&whole, 0);
		CU_ASSERT_TRUE(variety(&whole) > STREAMS);
		for (unsigned every = 1; every <= 9; every += 4) {
			run_generated(&cut, every);
			CU_ASSERT_TRUE(cut.pieces > whole.submits);
			CU_ASSERT_TRUE(cut.metered > 0 || !bn_gl_has_timestamps(gl));
			CU_ASSERT_EQUAL(different(&whole, &cut), 0);
			pieces += cut.pieces;
			commands += cut.commands;
		}
	}
	printf("(%u commands, %u pieces) ", commands, pieces);
}

/* ---- streams that fail ---- */

/* The last one virglrenderer 1.1.0 tells late: when it has to switch back to the context. */
enum failure { LOST, REFUSED, PAST_THE_END, FAILURES };

static void put_failure(struct bn_virgl_stream *s, enum failure failure)
{
	static const uint32_t zeros[4];
	if (failure == LOST)
		bn_virgl_garbage(s);
	else if (failure == REFUSED)
		put_header(s, 200, 0, 2, zeros);
	else
		s->words[s->count++] = CLEAR | 9999u << 16;
}

struct outcome {
	int ret, next;
	bool lost;
};

/* Draws, fails, would draw in other colours; then another stream. */
static struct outcome run_failing(struct bn_replay *replay, enum failure failure, unsigned every)
{
	static uint32_t words[4096];
	struct bn_virgl_stream s;
	struct outcome outcome = {0};
	if (!begin_replay(replay, every))
		return outcome;
	make_resources(replay, 1);
	bn_virgl_init(&s, words, 4096);
	put_setup(&s, 1);
	bn_virgl_clear(&s, (const float[]){0, 1, 0, 1});
	put_failure(&s, failure);
	bn_virgl_clear(&s, (const float[]){1, 0, 0, 1});
	outcome.ret = bn_replay_submit(replay, words, s.count);
	bn_replay_look(replay, UINT32_MAX);
	other_draws();
	bn_virgl_reset(&s);
	bn_virgl_set_framebuffer(&s, SURFACE + 1);
	bn_virgl_clear(&s, (const float[]){0, 0, 1, 1});
	outcome.next = bn_replay_submit(replay, words, s.count);
	bn_replay_look(replay, UINT32_MAX);
	outcome.lost = bn_gl_ctx_lost(gl, BN_REPLAY_CTX);
	bn_replay_finish(replay);
	return outcome;
}

static void test_failing(void)
{
	for (enum failure failure = 0; failure < FAILURES; failure++) {
		struct outcome a = run_failing(&whole, failure, 0);
		CU_ASSERT_EQUAL(a.ret, failure == PAST_THE_END ? 0 : -EINVAL);
		CU_ASSERT_EQUAL(a.lost, failure != REFUSED);
		CU_ASSERT_EQUAL(a.next, failure != REFUSED ? -EINVAL : 0);
		for (unsigned every = 1; every < 6; every += 2) {
			struct outcome b = run_failing(&cut, failure, every);
			CU_ASSERT_EQUAL(a.ret, b.ret);
			CU_ASSERT_EQUAL(a.lost, b.lost);
			CU_ASSERT_EQUAL(a.next, b.next);
			CU_ASSERT_EQUAL(different(&whole, &cut), 0);
		}
	}
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"other context", other_begin},
		{"recorded cluster", test_cluster},
		{"recorded gears", test_gears},
		{"recorded ideas", test_ideas},
		{"recorded blur", test_blur},
		{"recorded buffer updates", test_buffer},
		{"generated streams", test_generated},
		{"failing streams", test_failing},
		{"other context's end", other_end},
		CU_TEST_INFO_NULL,
	};
	bn_log_init(BN_LOG_ERROR, "test_virgl_cut");
	/* llvmpipe's threads make the results of occlusion queries vary from run to run. */
	setenv("LP_NUM_THREADS", "0", 1);
	/* The driver keeps a few fds for the process. */
	if (bn_gl_create(&gl, BN_LINK_GPU_SURFACELESS, -1, BN_LINK_PRIORITY_MEDIUM, &listener,
		    NULL) < 0) {
		fprintf(stderr, "no EGL without a display here: skipped\n");
		return SKIPPED;
	}
	int ret = bn_unit_main("virgl_cut", tests);
	bn_gl_destroy(gl);
	return ret;
}
