/* Virgl streams: what they ask for, and what is remembered of them. Where they are cut is
 * test_virgl_hold's, what the cuts do to pixels test_virgl_cut's. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "virgl_words.h"

/* ---- what is counted ---- */
static void test_work(void)
{
	bn_walk_begin();
	bn_walk_put_target(1, 2);
	bn_walk_put_shader(2, 1, 40, 10);
	bn_walk_put_bind_shader(2, 1);
	bn_virgl_clear(&bn_walk_stream, (const float[]){0, 0, 0, 0});
	bn_walk_put_draw(30);
	bn_walk_put(DRAW, 0, 12)[2] = 7; /* no instance count: one */
	bn_virgl_write_buffer(&bn_walk_stream, 3, 0, bn_walk_words, 10);
	bn_walk_put_box(TRANSFER3D, 13, 5, 6, 2);
	bn_virgl_get_query_result(&bn_walk_stream, 9, false);
	CU_ASSERT_EQUAL_FATAL(bn_walk_cut(0), 1);
	const struct bn_virgl_work *w = &bn_walk_pieces[0].work;
	CU_ASSERT_EQUAL(w->commands, 10);
	CU_ASSERT_EQUAL(w->draws, 2);
	CU_ASSERT_EQUAL(w->indirect_draws, 0);
	CU_ASSERT_EQUAL(w->clears, 1);
	CU_ASSERT_EQUAL(w->transfers, 2);
	CU_ASSERT_EQUAL(w->shaders, 1);
	CU_ASSERT_EQUAL(w->objects, 1);
	CU_ASSERT_EQUAL(w->target_changes, 1);
	CU_ASSERT_EQUAL(w->vertices, 37);
	CU_ASSERT_EQUAL(w->pixels, 3 * 128 * 48);
	CU_ASSERT_EQUAL(w->shader_pixels, (1 + 2 * 10) * 128 * 48);
	CU_ASSERT_EQUAL(w->transfer_bytes, 12 + 5 * 6 * 2 * 4);
	CU_ASSERT_TRUE(bn_walk_pieces[0].query_result);
	CU_ASSERT_TRUE(bn_walk_pieces[0].new_shader);
	CU_ASSERT_FALSE(bn_walk_pieces[0].hostile_transfer);
	/* The target and the shader are still bound in the next submit. */
	bn_virgl_reset(&bn_walk_stream);
	bn_walk_put_draw(1);
	CU_ASSERT_EQUAL_FATAL(bn_walk_cut(0), 1);
	CU_ASSERT_EQUAL(w->shader_pixels, 10 * 128 * 48);
	CU_ASSERT_FALSE(bn_walk_pieces[0].new_shader || bn_walk_pieces[0].query_result);
	bn_walk_end();
}

static void test_other_work(void)
{
	bn_walk_begin();
	uint32_t *w = bn_walk_put(DRAW, 0, 20);
	w[5] = 1;
	w[15] = 4; /* indirect */
	w[18] = 6;
	bn_walk_put(DRAW, 0, 12)[12] = 3; /* count from a stream output */
	w = bn_walk_put(BLIT, 0, 21);
	w[10] = (uint32_t)-20; /* mirrored */
	w[11] = 10;
	w[12] = 1;
	w = bn_walk_put(COPY_REGION, 0, 13);
	w[11] = w[12] = w[13] = 4;
	w = bn_walk_put(LAUNCH_GRID, 0, 8);
	w[4] = w[5] = w[6] = 3;
	bn_walk_put(NO_ATTACH, 0, 2)[1] = 100 | 50u << 16;
	bn_walk_put(CLEAR, 0, 8);
	w = bn_walk_put(CLEAR_SURFACE, 0, 10);
	w[9] = 11;
	w[10] = 2;
	w = bn_walk_put(CLEAR_TEXTURE, 0, 12);
	w[6] = w[7] = w[8] = 2;
	bn_walk_put(PIPE_RESOURCE_CREATE, 0, 11);
	bn_walk_put(LINK_SHADER, 0, 6)[1] = 77;
	CU_ASSERT_EQUAL_FATAL(bn_walk_cut(0), 1);
	const struct bn_virgl_work *work = &bn_walk_pieces[0].work;
	CU_ASSERT_EQUAL(work->draws, 7);
	CU_ASSERT_EQUAL(work->indirect_draws, 7);
	CU_ASSERT_EQUAL(work->copies, 2);
	CU_ASSERT_EQUAL(work->copy_pixels, 200 + 64);
	CU_ASSERT_EQUAL(work->dispatches, 1);
	CU_ASSERT_EQUAL(work->compute_groups, 27);
	CU_ASSERT_EQUAL(work->clears, 3);
	CU_ASSERT_EQUAL(work->pixels, 5000 + 22 + 8);
	CU_ASSERT_EQUAL(work->objects, 1);
	CU_ASSERT_EQUAL(work->shaders, 1);
	CU_ASSERT_TRUE(bn_walk_pieces[0].new_shader);
	bn_walk_end();
}

/* Levels halve, layers and samples multiply, the largest attachment counts. */
static void test_surfaces(void)
{
	bn_walk_begin();
	uint32_t *w = bn_walk_put(CREATE_OBJECT, BN_VIRGL_OBJECT_SURFACE, 5);
	w[1] = 1, w[2] = 4, w[4] = 2, w[5] = 3u << 16 | 1; /* 256 × 48 → 64 × 12, three layers */
	w = bn_walk_put(CREATE_OBJECT, 11, 6);
	w[1] = 2, w[2] = 1, w[6] = 4; /* 64 × 48, four samples */
	w = bn_walk_put(SET_FRAMEBUFFER, 0, 4);
	w[1] = 2, w[2] = 0, w[3] = 1, w[4] = 2;
	bn_walk_put(CLEAR, 0, 8);
	w = bn_walk_put(SET_FRAMEBUFFER, 0, 3);
	w[1] = 1, w[2] = 0, w[3] = 1;
	bn_walk_put(CLEAR, 0, 8);
	CU_ASSERT_EQUAL_FATAL(bn_walk_cut(0), 1);
	CU_ASSERT_EQUAL(bn_walk_pieces[0].work.pixels, 64 * 48 * 4 + 64 * 12 * 3);
	CU_ASSERT_EQUAL(bn_walk_pieces[0].work.target_changes, 2);
	bn_walk_end();
}

static void test_saturation(void)
{
	bn_walk_begin();
	bn_walk_put_target(1, 8);
	bn_walk_put_shader(2, 1, 0x7fffffff, 4);
	bn_walk_put_bind_shader(2, 1);
	for (unsigned i = 0; i < 2; i++) {
		uint32_t *w = bn_walk_put(DRAW, 0, 20);
		w[2] = w[5] = w[15] = w[18] = UINT32_MAX;
	}
	uint32_t *w = bn_walk_put(LAUNCH_GRID, 0, 8);
	w[4] = w[5] = w[6] = UINT32_MAX;
	CU_ASSERT_EQUAL_FATAL(bn_walk_cut(0), 1);
	CU_ASSERT_EQUAL(bn_walk_pieces[0].work.draws, UINT32_MAX);
	CU_ASSERT_EQUAL(bn_walk_pieces[0].work.vertices, UINT64_MAX);
	CU_ASSERT_EQUAL(bn_walk_pieces[0].work.shader_pixels, UINT64_MAX);
	CU_ASSERT_EQUAL(bn_walk_pieces[0].work.compute_groups, UINT64_MAX);
	struct bn_virgl_work a = bn_walk_pieces[0].work;
	bn_virgl_work_add(&a, &bn_walk_pieces[0].work);
	CU_ASSERT_EQUAL(a.draws, UINT32_MAX);
	CU_ASSERT_EQUAL(a.vertices, UINT64_MAX);
	CU_ASSERT_EQUAL(a.commands, 2 * bn_walk_pieces[0].work.commands);
	bn_walk_end();
}

/* Counted by their headers alone, so that none hides behind what ends a walk. */
static void test_new_contexts(void)
{
	bn_walk_begin();
	bn_virgl_create_sub_ctx(&bn_walk_stream, 5);
	bn_virgl_set_sub_ctx(&bn_walk_stream, 5);
	bn_walk_put(CLEAR, 0, 2); /* too short: ends the walk */
	bn_virgl_create_sub_ctx(&bn_walk_stream, 6);
	uint32_t *inside = bn_walk_put(TRANSFER3D, 0, 13);
	inside[1] = CREATE_SUB_CTX | 1u << 16; /* payload */
	CU_ASSERT_EQUAL(bn_virgl_sub_contexts(bn_walk_words, bn_walk_stream.count), 2);
	CU_ASSERT_EQUAL(bn_virgl_sub_contexts(bn_walk_words, 1), 1);
	CU_ASSERT_EQUAL(bn_virgl_sub_contexts(bn_walk_words, 0), 0);
	bn_walk_put(DRAW, 0, 1)[0] |= 0xffff0000u; /* reaches past the end */
	CU_ASSERT_EQUAL(bn_virgl_sub_contexts(bn_walk_words, bn_walk_stream.count), 2);
	bn_walk_end();
}

/* Each sub-context has its own target and objects. */
static void test_sub_contexts(void)
{
	bn_walk_begin();
	bn_walk_put_target(1, 1);
	bn_virgl_create_sub_ctx(&bn_walk_stream, 5);
	bn_virgl_set_sub_ctx(&bn_walk_stream, 5);
	bn_walk_put(CLEAR, 0, 8); /* nothing bound */
	bn_walk_put_target(1, 3);
	bn_walk_put(CLEAR, 0, 8);
	bn_virgl_set_sub_ctx(&bn_walk_stream, 0);
	bn_walk_put(CLEAR, 0, 8);
	bn_virgl_set_framebuffer(&bn_walk_stream, 1); /* its own surface 1 */
	bn_walk_put(CLEAR, 0, 8);
	bn_virgl_set_sub_ctx(&bn_walk_stream, 5);
	bn_virgl_destroy_sub_ctx(&bn_walk_stream, 5); /* back to 0 */
	bn_walk_put(CLEAR, 0, 8);
	CU_ASSERT_EQUAL_FATAL(bn_walk_cut(0), 1);
	CU_ASSERT_EQUAL(bn_walk_pieces[0].work.pixels, (3 + 3 * 1) * 64 * 48);
	bn_walk_end();
}

static bool new_shader(void)
{
	bn_walk_put_draw(3);
	CU_ASSERT_EQUAL_FATAL(bn_walk_cut(0), 1);
	bn_virgl_reset(&bn_walk_stream);
	return bn_walk_pieces[0].new_shader;
}

static void test_new_shader(void)
{
	bn_walk_begin();
	bn_walk_put_shader(1, 0, 16, 4);
	bn_walk_put_shader(2, 1, 16, 4);
	bn_walk_put_shader(3, 1, 16, 4);
	CU_ASSERT_EQUAL_FATAL(bn_walk_cut(0), 1);
	CU_ASSERT_FALSE(bn_walk_pieces[0].new_shader); /* made, not drawn with */
	bn_virgl_reset(&bn_walk_stream);
	bn_walk_put_bind_shader(1, 0);
	bn_walk_put_bind_shader(2, 1);
	CU_ASSERT_TRUE(new_shader());
	CU_ASSERT_FALSE(new_shader());
	bn_walk_put_bind_shader(3, 1);
	CU_ASSERT_TRUE(new_shader());
	bn_walk_put_bind_shader(2, 1);
	CU_ASSERT_FALSE(new_shader()); /* seen together before */
	bn_virgl_destroy_object(&bn_walk_stream, BN_VIRGL_OBJECT_SHADER, 2);
	bn_walk_put_shader(2, 1, 16, 4);
	bn_walk_put_bind_shader(2, 1);
	CU_ASSERT_TRUE(new_shader()); /* another shader under its name */
	/* Linked ahead of time: the link compiles, the draw does not. */
	bn_walk_put_shader(4, 1, 16, 4);
	uint32_t *w = bn_walk_put(LINK_SHADER, 0, 6);
	w[1] = 1, w[2] = 4;
	CU_ASSERT_EQUAL_FATAL(bn_walk_cut(0), 1);
	CU_ASSERT_TRUE(bn_walk_pieces[0].new_shader);
	bn_virgl_reset(&bn_walk_stream);
	bn_walk_put_bind_shader(4, 1);
	CU_ASSERT_FALSE(new_shader());
	bn_walk_end();
}

static void test_transfer_ok(void)
{
	static const struct {
		uint32_t cmd, w, h, d, stride, layer, offset, width, height;
		bool ok;
	} cases[] = {
		{TRANSFER3D, 64, 64, 1, 256, 0, 0, 64, 64, true},
		{TRANSFER3D, 64, 64, 1, 0, 0, 0, 64, 64, true},
		{TRANSFER3D, 8192, 8192, 1, 0, 0, 0, 8192, 8192, true},
		{TRANSFER3D, 8192, 4320, 1, 32768, 0, 0, 8192, 4320, true},
		{TRANSFER3D, 100000000, 1, 1, 0, 0, 0, 100000000, 1, true}, /* a buffer */
		{TRANSFER3D, 16, 2, 1, 0xffffffc0, 0, 0, 16, 16, false},
		{TRANSFER3D, 16, 65, 1, 1u << 26, 0, 0, 16, 4096, false},
		{TRANSFER3D, 16, 1, 2, 64, 0xffffffff, 0, 16, 16, false},
		{TRANSFER3D, 16, 1, 65, 64, 1u << 26, 0, 16, 16, false},
		{TRANSFER3D, 16, 16, 1, 64, 0, 0x80000000, 16, 16, false},
		{TRANSFER3D, 16, 16, 1, 64, 0, 0x7fff0000, 16, 16, true},
		{TRANSFER3D, 1, 16384, 1024, 0, 0, 0, 16384, 16384, false}, /* its own strides */
		{TRANSFER3D, 0xffffffff, 1, 1, 0, 0, 0, 16, 16, false},
		{TRANSFER3D, 16, 0x80000000, 1, 0, 0, 0, 16, 16, false},
		{TRANSFER3D, 16, 16, 0xfffffff0, 0, 0, 0, 16, 16, false},
		{TRANSFER3D, 0x7fffffff, 0x7fffffff, 0x7fffffff, 0xffffffff, 0xffffffff, 0xffffffff,
			0xffffffff, 0xffffffff, false},
		{COPY_TRANSFER3D, 16, 16, 1, 64, 0, 0x80000000, 16, 16, false},
		{COPY_TRANSFER3D, 16, 16, 1, 64, 0, 4096, 16, 16, true},
		{INLINE_WRITE, 16, 2, 1, 0xffffffc0, 0, 0, 16, 16, false},
		{INLINE_WRITE, 16, 2, 1, 64, 0, 0, 16, 16, true},
		{DRAW, 0xffffffff, 0xffffffff, 1, 1, 1, 0, 0, 0, true}, /* no transfer */
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bn_walk_begin();
		uint32_t *w = bn_walk_put_box(cases[i].cmd, 14, cases[i].w, cases[i].h, cases[i].d);
		w[4] = cases[i].stride;
		w[5] = cases[i].layer;
		w[cases[i].cmd == TRANSFER3D ? 12 : 13] = cases[i].offset;
		bool ok = bn_virgl_transfer_ok(w, 14, cases[i].width, cases[i].height);
		if (ok != cases[i].ok)
			fprintf(stderr, "case %u\n", i);
		CU_ASSERT_EQUAL(ok, cases[i].ok);
	}
	bn_walk_end();
}

/* It stops there, whatever the limit, and says why. */
static void test_hostile_transfer(void)
{
	for (uint64_t max = 0; max <= 1000; max += 1000) {
		bn_walk_begin();
		bn_walk_put_draw(3);
		bn_walk_put_box(TRANSFER3D, 13, 4, 4, 1);
		uint32_t at = bn_walk_stream.count;
		bn_walk_put_box(TRANSFER3D, 13, 4, 4, 1)[4] = 0xfffffff0;
		bn_walk_put_draw(3);
		CU_ASSERT_EQUAL_FATAL(bn_walk_cut(max), 2);
		CU_ASSERT_FALSE(bn_walk_pieces[0].hostile_transfer);
		CU_ASSERT_EQUAL(bn_walk_pieces[0].work.draws, 1);
		CU_ASSERT_TRUE(bn_walk_pieces[1].hostile_transfer);
		CU_ASSERT_EQUAL(bn_walk_pieces[1].start, at);
		bn_walk_begin();
		bn_walk_put_box(TRANSFER3D, 13, (uint32_t)-4, 4, 1);
		CU_ASSERT_EQUAL_FATAL(bn_walk_cut(max), 1);
		CU_ASSERT_TRUE(bn_walk_pieces[0].hostile_transfer);
	}
	bn_walk_end();
}

/* However many objects and sub-contexts a guest makes, what it draws with last is known, and what was
 * forgotten counts as large. */
static void test_bounds(void)
{
	bn_walk_begin();
	bn_walk_put_target(1, 8);
	CU_ASSERT_EQUAL_FATAL(bn_walk_cut(0), 1);
	for (uint32_t i = 2; i < 40000; i++) {
		bn_virgl_reset(&bn_walk_stream);
		bn_virgl_create_surface(&bn_walk_stream, i, 1 + i % 4, BN_VIRGL_FORMAT_B8G8R8X8);
		CU_ASSERT_EQUAL_FATAL(bn_walk_cut(0), 1);
	}
	bn_virgl_reset(&bn_walk_stream);
	bn_virgl_set_framebuffer(&bn_walk_stream, 39999);
	bn_walk_put(CLEAR, 0, 8);
	CU_ASSERT_EQUAL_FATAL(bn_walk_cut(0), 1);
	CU_ASSERT_EQUAL(bn_walk_pieces[0].work.pixels, 4 * 64 * 48);
	unsigned large = 0;
	for (uint32_t i = 2; i < 30000; i += 100) {
		bn_virgl_reset(&bn_walk_stream);
		bn_virgl_set_framebuffer(&bn_walk_stream, i);
		bn_walk_put(CLEAR, 0, 8);
		CU_ASSERT_EQUAL_FATAL(bn_walk_cut(0), 1);
		large += bn_walk_pieces[0].work.pixels == 8 * 64 * 48;
	}
	CU_ASSERT_TRUE(large > 270); /* of 300 */
	bn_virgl_reset(&bn_walk_stream);
	for (uint32_t i = 1; i < 1000; i++) {
		bn_virgl_create_sub_ctx(&bn_walk_stream, i);
		bn_virgl_set_sub_ctx(&bn_walk_stream, i);
		bn_walk_put_target(1, 2);
	}
	bn_virgl_set_sub_ctx(&bn_walk_stream, 0);
	bn_walk_put(CLEAR, 0, 8);
	bn_virgl_set_sub_ctx(&bn_walk_stream, 998);
	bn_walk_put(CLEAR, 0, 8);
	CU_ASSERT_EQUAL_FATAL(bn_walk_cut(0), 1);
	CU_ASSERT_EQUAL(bn_walk_pieces[0].work.pixels, (8 + 2) * 64 * 48);
	bn_walk_end();
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"work", test_work},
		{"other work", test_other_work},
		{"surfaces", test_surfaces},
		{"saturation", test_saturation},
		{"sub-contexts", test_sub_contexts},
		{"contexts that a stream makes", test_new_contexts},
		{"new shader", test_new_shader},
		{"transfer sizes", test_transfer_ok},
		{"hostile transfer", test_hostile_transfer},
		{"bounds", test_bounds},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("virgl_walk", tests);
}
