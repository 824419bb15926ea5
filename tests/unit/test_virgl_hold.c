/* Where virgl streams are cut, and where not. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "virgl_words.h"

/* ---- where it is cut ---- */

static void test_limit(void)
{
	bn_walk_begin();
	bn_walk_put_target(1, 1);
	uint32_t draws_at = bn_walk_stream.count;
	for (unsigned i = 0; i < 20; i++) {
		bn_virgl_nop(&bn_walk_stream, 3);
		bn_walk_put_draw(3);
	}
	/* A draw: 100 + 192 + 1, and the nop. */
	CU_ASSERT_EQUAL(bn_walk_cut(UINT64_MAX), 1);
	unsigned n = bn_walk_cut(600);
	CU_ASSERT_TRUE(n >= 10 && n <= 11);
	for (unsigned i = 0; i < n; i++)
		CU_ASSERT_TRUE(bn_walk_pieces[i].cost_ns <= 600);
	/* Less than one command: each alone. */
	CU_ASSERT_EQUAL(bn_walk_cut(1), 42);
	CU_ASSERT_EQUAL(bn_walk_pieces[2].start, draws_at);
	/* No limit: cost is never asked. */
	CU_ASSERT_EQUAL(bn_walk_cut(0), 1);
	CU_ASSERT_EQUAL(bn_walk_pieces[0].cost_ns, 0);
	bn_walk_end();
}

/* The limit may change in the middle of a stream. */
static void test_limit_changes(void)
{
	bn_walk_begin();
	for (unsigned i = 0; i < 30; i++)
		bn_walk_put_draw(3);
	struct bn_virgl_walk walk;
	struct bn_virgl_piece piece;
	struct bn_virgl_work sum = {0};
	bn_virgl_walk_begin(&walk, bn_walk_state, bn_walk_words, bn_walk_stream.count);
	static const uint64_t limits[] = {250, 450, 0, 250};
	static const uint32_t draws[] = {2, 4, 24};
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_TRUE_FATAL(bn_virgl_cut(&walk, limits[i], bn_walk_cost, NULL, &piece));
		CU_ASSERT_EQUAL(piece.work.draws, draws[i]);
		bn_virgl_work_add(&sum, &piece.work);
	}
	CU_ASSERT_EQUAL(sum.commands, 30);
	CU_ASSERT_FALSE(bn_virgl_cut(&walk, 250, bn_walk_cost, NULL, &piece));
	bn_walk_end();
}

static void test_prefers_target_change(void)
{
	bn_walk_begin();
	bn_virgl_create_surface(&bn_walk_stream, 1, 1, BN_VIRGL_FORMAT_B8G8R8X8);
	bn_walk_put(NO_ATTACH, 0, 2);
	for (unsigned i = 0; i < 3; i++)
		bn_walk_put_draw(3);
	uint32_t change = bn_walk_stream.count;
	bn_walk_put(NO_ATTACH, 0, 2);
	for (unsigned i = 0; i < 3; i++)
		bn_walk_put_draw(3);
	/* 305, then a change: more than half of 500, and less than half of 1000. */
	unsigned n = bn_walk_cut(500);
	CU_ASSERT_EQUAL(n, 2);
	CU_ASSERT_TRUE(bn_walk_starts_at(n, change));
	CU_ASSERT_EQUAL(bn_walk_cut(1000), 1);
	bn_walk_end();
}

/* ---- where it is not ---- */

/* Cut as finely as it may be, what was put since `from` stays in one piece. */
static bool held(uint32_t from)
{
	unsigned n = bn_walk_cut_by(1, bn_walk_commands_only);
	for (unsigned i = 0; i < n; i++) {
		if (bn_walk_pieces[i].start > from &&
			bn_walk_pieces[i].start < bn_walk_stream.count)
			return false;
	}
	return bn_walk_starts_at(n, from);
}

static uint32_t fresh(void)
{
	bn_walk_begin();
	bn_virgl_nop(&bn_walk_stream, 1);
	return bn_walk_stream.count;
}

static void test_holds(void)
{
	uint32_t from = fresh();
	bn_walk_put_box(TRANSFER3D, 13, 4, 4, 1);
	bn_walk_put_box(COPY_TRANSFER3D, 14, 4, 4, 1);
	bn_walk_put_box(TRANSFER3D, 13, 4, 4, 1);
	bn_walk_put(END_TRANSFERS, 0, 100);
	CU_ASSERT_TRUE(held(from));
	from = fresh();
	bn_virgl_create_sub_ctx(&bn_walk_stream, 1);
	bn_virgl_set_sub_ctx(&bn_walk_stream, 1);
	bn_walk_put_draw(3);
	CU_ASSERT_TRUE(held(from));
	from = fresh();
	bn_walk_put(PIPE_RESOURCE_CREATE, 0, 11);
	bn_walk_put_draw(3);
	CU_ASSERT_TRUE(held(from));
	from = fresh();
	bn_walk_put(CREATE_VIDEO_CODEC, 0, 8);
	bn_virgl_nop(&bn_walk_stream, 1);
	CU_ASSERT_TRUE(held(from));
	from = fresh();
	bn_walk_put(BEGIN_FRAME, 0, 2);
	bn_walk_put(59, 0, 5);
	bn_walk_put(END_FRAME, 0, 2);
	CU_ASSERT_TRUE(held(from));
	from = fresh();
	bn_walk_put_shader(1, 1, 100, 10);
	bn_walk_put_shader(1, 1, 0x80000000u | 40, 10);
	bn_walk_put_shader(1, 1, 0x80000000u | 80, 5);
	CU_ASSERT_TRUE(held(from));
	CU_ASSERT_EQUAL(bn_walk_pieces[1].work.shaders, 1); /* the last piece makes it */
	bn_walk_end();
}

/* And nothing else is held. */
static void test_no_holds(void)
{
	fresh();
	bn_walk_put_box(TRANSFER3D, 13, 4, 4, 1);
	bn_walk_put(END_TRANSFERS, 0, 1);
	bn_walk_put_draw(3);
	CU_ASSERT_TRUE(
		bn_walk_cut_by(1, bn_walk_commands_only) == 3 && bn_walk_pieces[2].work.draws == 1);
	fresh();
	bn_virgl_set_sub_ctx(&bn_walk_stream, 0);
	bn_walk_put_draw(3);
	bn_walk_put_draw(3);
	CU_ASSERT_EQUAL(bn_walk_cut_by(1, bn_walk_commands_only), 3);
	fresh();
	bn_walk_put_shader(1, 1, 20, 5); /* all of it */
	bn_virgl_nop(&bn_walk_stream, 1);
	CU_ASSERT_EQUAL(bn_walk_cut_by(1, bn_walk_commands_only), 3);
	/* What would be a way to evade the limit. */
	fresh();
	bn_walk_put_shader(1, 1, 100, 10); /* the rest never comes */
	bn_walk_put_draw(3);
	bn_walk_put_draw(3);
	CU_ASSERT_EQUAL(bn_walk_cut_by(1, bn_walk_commands_only), 4);
	fresh();
	bn_walk_put(BEGIN_FRAME, 0, 2);
	bn_walk_put_draw(3);
	CU_ASSERT_EQUAL(bn_walk_cut_by(1, bn_walk_commands_only), 3);
	fresh();
	bn_walk_put_box(TRANSFER3D, 13, 4, 4, 1);
	bn_walk_put_draw(3);
	bn_walk_put(END_TRANSFERS, 0, 1);
	CU_ASSERT_EQUAL(bn_walk_cut_by(1, bn_walk_commands_only), 4);
	fresh();
	for (unsigned i = 0; i < 100; i++)
		bn_walk_put_box(TRANSFER3D, 13, 4, 4, 1);
	unsigned n = bn_walk_cut_by(10, bn_walk_commands_only);
	CU_ASSERT_TRUE(n >= 2);
	for (unsigned i = 0; i < n; i++)
		CU_ASSERT_TRUE(bn_walk_pieces[i].work.commands <= 41);
	bn_walk_end();
}

static void put_timed(uint32_t query, unsigned draws)
{
	bn_virgl_begin_query(&bn_walk_stream, query);
	for (unsigned i = 0; i < draws; i++)
		bn_walk_put_draw(3);
	bn_virgl_end_query(&bn_walk_stream, query);
}

static void test_timed_query(void)
{
	uint32_t from = fresh();
	bn_virgl_create_query(&bn_walk_stream, 1, 4, 1); /* time elapsed */
	bn_virgl_create_query(&bn_walk_stream, 2, BN_VIRGL_QUERY_OCCLUSION_COUNTER, 1);
	from = bn_walk_stream.count;
	put_timed(1, 2);
	CU_ASSERT_TRUE(held(from));
	/* Other queries are not held. */
	bn_virgl_reset(&bn_walk_stream);
	put_timed(2, 2);
	CU_ASSERT_EQUAL(bn_walk_cut_by(1, bn_walk_commands_only), 4);
	/* Nor one that takes far too long; and the rest of it is cut as ever. */
	bn_virgl_reset(&bn_walk_stream);
	put_timed(1, 100);
	unsigned n = bn_walk_cut_by(5, bn_walk_commands_only);
	CU_ASSERT_TRUE(n > 10);
	CU_ASSERT_TRUE(
		bn_walk_pieces[0].work.commands > 5 && bn_walk_pieces[0].work.commands <= 21);
	for (unsigned i = 1; i < n; i++)
		CU_ASSERT_TRUE(bn_walk_pieces[i].work.commands <= 5);
	/* Across two submits. */
	bn_virgl_reset(&bn_walk_stream);
	bn_virgl_begin_query(&bn_walk_stream, 1);
	bn_walk_put_draw(3);
	CU_ASSERT_EQUAL(bn_walk_cut_by(1, bn_walk_commands_only), 1);
	bn_virgl_reset(&bn_walk_stream);
	bn_walk_put_draw(3);
	bn_virgl_end_query(&bn_walk_stream, 1);
	bn_walk_put_draw(3);
	CU_ASSERT_EQUAL(bn_walk_cut_by(1, bn_walk_commands_only), 2);
	bn_walk_end();
}

/* ---- broken and hostile streams ---- */

static void test_broken(void)
{
	bn_walk_begin();
	bn_walk_put_draw(3);
	bn_walk_put_draw(3);
	uint32_t at = bn_walk_stream.count;
	bn_walk_words[bn_walk_stream.count++] = DRAW | 12u << 16; /* reaches past the end */
	bn_walk_words[bn_walk_stream.count++] = 0;
	for (uint64_t max = 0; max <= 150; max += 150) {
		unsigned n = bn_walk_cut(max);
		CU_ASSERT_EQUAL(n, max ? 3 : 2);
		CU_ASSERT_EQUAL(bn_walk_pieces[n - 1].start, at);
		CU_ASSERT_EQUAL(bn_walk_pieces[n - 1].work.commands, 0);
	}
	/* Too short for what it is, the first of the stream. */
	bn_walk_begin();
	bn_walk_put(BLIT, 0, 20);
	bn_walk_put_draw(3);
	CU_ASSERT_EQUAL(bn_walk_cut(1), 1);
	CU_ASSERT_EQUAL(bn_walk_cut(0), 1);
	CU_ASSERT_EQUAL(bn_walk_pieces[0].count, bn_walk_stream.count);
	/* Words beyond a framebuffer's count. */
	bn_walk_begin();
	bn_walk_put(SET_FRAMEBUFFER, 0, 3)[1] = 2;
	CU_ASSERT_EQUAL(bn_walk_cut(0), 1);
	CU_ASSERT_EQUAL(bn_walk_pieces[0].work.target_changes, 0);
	/* Unknown commands are for virglrenderer to judge. */
	bn_walk_begin();
	bn_walk_put(200, 0, 2);
	bn_walk_put_draw(3);
	CU_ASSERT_EQUAL(bn_walk_cut(0), 1);
	CU_ASSERT_EQUAL(bn_walk_pieces[0].work.draws, 1);
	struct bn_virgl_walk walk;
	bn_virgl_walk_begin(&walk, bn_walk_state, bn_walk_words, 0);
	CU_ASSERT_FALSE(bn_virgl_cut(&walk, 0, NULL, NULL, &bn_walk_pieces[0]));
	bn_virgl_state_destroy(NULL);
	bn_walk_end();
}

/* ---- generated streams ---- */

static void put_random(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint32_t handle = 1 + bn_walk_random(20);
		switch (bn_walk_random(12)) {
		case 0:
			bn_walk_put_target(handle, bn_walk_random(9));
			break;
		case 1:
			for (unsigned k = bn_walk_random(4) + 1; k; k--)
				bn_walk_put_box(k % 2 ? TRANSFER3D : COPY_TRANSFER3D, 14, 9, 9, 1);
			if (bn_walk_random(2))
				bn_walk_put(END_TRANSFERS, 0, bn_walk_random(30));
			break;
		case 2:
			bn_virgl_create_sub_ctx(&bn_walk_stream, handle % 4);
			bn_virgl_set_sub_ctx(&bn_walk_stream, handle % 4);
			break;
		case 3:
			bn_walk_put_shader(handle, handle % 6, 60, 5);
			bn_walk_put_shader(handle, handle % 6, 0x80000000u | 20, 5);
			bn_walk_put_shader(handle, handle % 6, 0x80000000u | 40, 5);
			break;
		case 4:
			bn_walk_put_bind_shader(handle, handle % 6);
			break;
		case 5:
			bn_walk_put(PIPE_RESOURCE_CREATE, 0, 11);
			break;
		case 6:
			bn_walk_put(CREATE_VIDEO_CODEC, 0, 8);
			break;
		case 7:
		case 8:
			bn_walk_put_draw(bn_walk_random(100));
			break;
		default:
			bn_walk_put(2 + bn_walk_random(200) * 64 % 256, 0,
				bn_walk_random(9)); /* plain or unknown */
		}
	}
}

/* Every cut is legal, no piece is dearer than it must be, and together they are the whole. */
static void check_random(uint64_t max)
{
	static uint64_t boundary[BN_WALK_WORDS / 64]; /* bits: a legal cut */
	memset(boundary, 0, sizeof(boundary));
	uint32_t cmd = 0, shader = 0;
	for (uint32_t at = 0; at < bn_walk_stream.count; at += (bn_walk_words[at] >> 16) + 1) {
		uint32_t next = bn_walk_words[at] & 0xff;
		if (!at || (bn_walk_may_cut(cmd, next) && !shader))
			boundary[at / 64] |= 1ull << at % 64;
		cmd = next;
		if (cmd == CREATE_OBJECT &&
			(bn_walk_words[at] >> 8 & 0xff) == BN_VIRGL_OBJECT_SHADER)
			shader = (shader + 1) % 3;
	}
	struct bn_virgl_work sum = {0}, whole;
	unsigned n = bn_walk_cut(max);
	for (unsigned i = 0; i < n; i++) {
		uint32_t at = bn_walk_pieces[i].start;
		CU_ASSERT_TRUE(boundary[at / 64] >> at % 64 & 1);
		bn_virgl_work_add(&sum, &bn_walk_pieces[i].work);
		bool divisible = false;
		for (at++; at < bn_walk_pieces[i].start + bn_walk_pieces[i].count; at++)
			divisible |= boundary[at / 64] >> at % 64 & 1;
		CU_ASSERT_TRUE(bn_walk_pieces[i].cost_ns <= max || !divisible);
	}
	bn_virgl_state_destroy(bn_walk_state);
	bn_walk_state = bn_virgl_state_create(bn_walk_size_of, &bn_walk_stream);
	CU_ASSERT_EQUAL_FATAL(bn_walk_cut(0), 1);
	whole = bn_walk_pieces[0].work;
	CU_ASSERT_EQUAL(memcmp(&sum, &whole, sizeof(sum)), 0);
}

static void test_random(void)
{
	for (unsigned round = 0; round < 400; round++) {
		bn_walk_begin();
		put_random(1 + bn_walk_random(150));
		/* Above what one group can cost by a quarter, so that none is given up. */
		check_random(600 + bn_walk_random(3000));
	}
	bn_walk_end();
}

/* Any words at all, in memory of just their size: it ends, and covers them. */
static void test_garbage(void)
{
	for (unsigned round = 0; round < 3000; round++) {
		uint32_t n = 1 + bn_walk_random(200);
		uint32_t *copy = malloc(n * sizeof(*copy));
		CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
		for (uint32_t i = 0; i < n; i++)
			copy[i] = bn_walk_random(2) ? bn_walk_random(UINT32_MAX)
						    : bn_walk_random(64) | bn_walk_random(12) << 8 |
							      bn_walk_random(16) << 16;
		if (round % 50 == 0)
			bn_walk_begin();
		struct bn_virgl_walk walk;
		struct bn_virgl_piece piece;
		uint32_t at = 0;
		bn_virgl_walk_begin(&walk, bn_walk_state, copy, n);
		while (bn_virgl_cut(&walk, bn_walk_random(3) * 100, bn_walk_cost, NULL, &piece)) {
			CU_ASSERT_TRUE_FATAL(piece.start == at && piece.count > 0);
			at += piece.count;
		}
		CU_ASSERT_EQUAL(at, n);
		free(copy);
	}
	bn_walk_end();
}

/* Not a test: what it takes. */
static void test_speed(void)
{
	bn_walk_begin();
	bn_walk_put_target(1, 1);
	while (bn_walk_stream.count < 16000) {
		bn_walk_put_bind_shader(1 + bn_walk_random(20), bn_walk_random(2));
		for (unsigned i = 0; i < 6; i++)
			bn_walk_put(10 + i % 3, 0, 4 + i);
		bn_walk_put_draw(6);
	}
	for (uint64_t max = 0; max <= 20000; max += 20000) {
		struct timespec t[2];
		uint64_t commands = 0;
		clock_gettime(CLOCK_MONOTONIC, &t[0]);
		for (unsigned i = 0; i < 200; i++) {
			struct bn_virgl_walk walk;
			struct bn_virgl_piece piece;
			bn_virgl_walk_begin(
				&walk, bn_walk_state, bn_walk_words, bn_walk_stream.count);
			while (bn_virgl_cut(&walk, max, bn_walk_cost, NULL, &piece))
				commands += piece.work.commands;
		}
		clock_gettime(CLOCK_MONOTONIC, &t[1]);
		double ns = (double)(t[1].tv_sec - t[0].tv_sec) * 1e9 +
			    (double)(t[1].tv_nsec - t[0].tv_nsec);
		printf("(%s %.1f ns a command) ", max ? "cut" : "whole", ns / (double)commands);
		CU_ASSERT_TRUE(commands > 0);
	}
	bn_walk_end();
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"limit", test_limit},
		{"limit changes", test_limit_changes},
		{"prefers target change", test_prefers_target_change},
		{"holds", test_holds},
		{"no other holds", test_no_holds},
		{"timed query", test_timed_query},
		{"broken", test_broken},
		{"random streams", test_random},
		{"garbage", test_garbage},
		{"speed", test_speed},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("virgl_hold", tests);
}
