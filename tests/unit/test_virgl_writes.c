/* Virgl streams: what they write to, of what is watched. */
#include <stdio.h>
#include <string.h>

#include "unit.h"
#include "virgl_words.h"

enum { DESTROY_OBJECT = 3, SET_IMAGES = 35 };

static unsigned asked;

/* Resources 1 and 2 are watched. */
static uint32_t bits_of(void *data, uint32_t res_id)
{
	CU_ASSERT_PTR_EQUAL(data, &asked);
	asked++;
	return res_id == 1 || res_id == 2 ? res_id : 0;
}

static unsigned cut(uint64_t max)
{
	struct bn_virgl_walk walk;
	unsigned n = 0;
	uint32_t at = 0;

	asked = 0;
	bn_virgl_walk_begin(&walk, bn_walk_state, bn_walk_words, bn_walk_stream.count);
	bn_virgl_walk_watch(&walk, bits_of, &asked);
	while (n < BN_WALK_WORDS &&
		bn_virgl_cut(&walk, max, max ? bn_walk_cost : NULL, NULL, &bn_walk_pieces[n])) {
		CU_ASSERT_EQUAL_FATAL(bn_walk_pieces[n].start, at);
		CU_ASSERT_TRUE_FATAL(bn_walk_pieces[n].count > 0);
		at += bn_walk_pieces[n++].count;
	}
	CU_ASSERT_EQUAL_FATAL(at, bn_walk_stream.count);
	return n;
}

/* What the one stream writes to that is put next. */
static uint32_t written(void)
{
	uint32_t writes = 0;

	for (unsigned i = cut(0); i > 0; i--)
		writes |= bn_walk_pieces[i - 1].writes;
	bn_virgl_reset(&bn_walk_stream);
	return writes;
}

static void put_framebuffer(uint32_t depth, uint32_t colour)
{
	uint32_t *w = bn_walk_put(SET_FRAMEBUFFER, 0, 3);

	w[1] = 1, w[2] = depth, w[3] = colour;
}

static void test_targets(void)
{
	uint32_t second;

	bn_walk_begin();
	bn_walk_put_target(11, 3);
	bn_walk_put_draw(3);
	bn_walk_put_target(12, 1);
	second = bn_walk_stream.count;
	bn_walk_put_draw(3);
	bn_walk_put(CLEAR, 0, 8);
	bn_walk_put_draw(3);
	bn_walk_put_target(11, 3);
	bn_walk_put_draw(3);
	/* What is drawn elsewhere before need not wait; what follows does. */
	CU_ASSERT_EQUAL(cut(0), 2);
	CU_ASSERT_EQUAL(bn_walk_pieces[0].writes, 0);
	CU_ASSERT_EQUAL(bn_walk_pieces[1].writes, 1);
	CU_ASSERT_EQUAL(bn_walk_pieces[1].start, second);
	CU_ASSERT_EQUAL(bn_walk_pieces[0].cost_ns, 0);
	CU_ASSERT_EQUAL(asked, 3); /* not for each draw */
	/* Nobody watches: as ever. */
	CU_ASSERT_EQUAL(bn_walk_cut(0), 1);
	CU_ASSERT_EQUAL(bn_walk_pieces[0].writes, 0);
	/* Each resource by itself, so that the first does not wait for the second. */
	bn_virgl_reset(&bn_walk_stream);
	bn_walk_put_target(12, 1);
	bn_walk_put_draw(3);
	bn_walk_put_target(13, 2);
	bn_walk_put_draw(3);
	CU_ASSERT_EQUAL(cut(0), 2); /* what is only set up is no piece */
	CU_ASSERT_EQUAL(bn_walk_pieces[0].writes, 1);
	CU_ASSERT_EQUAL(bn_walk_pieces[1].writes, 2);
	/* The scheduler's limit holds as well. */
	for (unsigned i = 0; i < 20; i++)
		bn_walk_put_draw(3);
	CU_ASSERT_TRUE(cut(1000) >= 4);
	bn_walk_end();
}

/* A framebuffer stays bound from one stream to the next, whatever becomes of the surface. */
static void test_bound(void)
{
	bn_walk_begin();
	bn_walk_put_target(11, 2);
	CU_ASSERT_EQUAL(written(), 0); /* bound, not drawn to */
	bn_walk_put_draw(3);
	CU_ASSERT_EQUAL(written(), 2);
	bn_walk_put(DESTROY_OBJECT, BN_VIRGL_OBJECT_SURFACE, 1)[1] = 11;
	bn_walk_put_draw(3);
	CU_ASSERT_EQUAL(written(), 2);
	put_framebuffer(0, 11); /* there is no such surface any more */
	bn_walk_put_draw(3);
	CU_ASSERT_EQUAL(written(), 0);
	bn_walk_put_target(12, 1);
	put_framebuffer(12, 0);
	bn_walk_put(CLEAR, 0, 8);
	CU_ASSERT_EQUAL(written(), 0);
	put_framebuffer(0, 12);
	bn_walk_put(NO_ATTACH, 0, 2)[1] = 100 | 50u << 16;
	bn_walk_put_draw(3);
	CU_ASSERT_EQUAL(written(), 0);
	bn_walk_end();
}

static void test_sub_contexts(void)
{
	bn_walk_begin();
	bn_walk_put_target(11, 1);
	bn_virgl_create_sub_ctx(&bn_walk_stream, 5);
	bn_virgl_set_sub_ctx(&bn_walk_stream, 5);
	bn_walk_put_draw(3);
	put_framebuffer(0, 11); /* another's */
	bn_walk_put_draw(3);
	CU_ASSERT_EQUAL(written(), 0);
	bn_walk_put_target(11, 2);
	bn_walk_put_draw(3);
	CU_ASSERT_EQUAL(written(), 2);
	bn_virgl_set_sub_ctx(&bn_walk_stream, 0);
	bn_walk_put_draw(3);
	CU_ASSERT_EQUAL(written(), 1);
	bn_walk_end();
}

static uint32_t written_by(
	uint32_t cmd, uint32_t length, unsigned at, uint32_t flag_at, uint32_t flag)
{
	uint32_t *w = bn_walk_put(cmd, 0, length);

	w[at] = 2;
	if (flag_at)
		w[flag_at] = flag;
	return written();
}

static void test_commands(void)
{
	bn_walk_begin();
	CU_ASSERT_EQUAL(written_by(BLIT, 21, 4, 0, 0), 2);
	CU_ASSERT_EQUAL(written_by(BLIT, 21, 13, 0, 0), 0); /* read */
	CU_ASSERT_EQUAL(written_by(COPY_REGION, 13, 1, 0, 0), 2);
	CU_ASSERT_EQUAL(written_by(COPY_REGION, 13, 6, 0, 0), 0);
	CU_ASSERT_EQUAL(written_by(CLEAR_TEXTURE, 12, 1, 0, 0), 2);
	CU_ASSERT_EQUAL(written_by(INLINE_WRITE, 12, 1, 0, 0), 2);
	CU_ASSERT_EQUAL(written_by(TRANSFER3D, 13, 1, 13, 1), 2);
	CU_ASSERT_EQUAL(written_by(TRANSFER3D, 13, 1, 13, 2), 0);
	CU_ASSERT_EQUAL(written_by(COPY_TRANSFER3D, 14, 1, 14, 1), 2);
	CU_ASSERT_EQUAL(written_by(COPY_TRANSFER3D, 14, 1, 14, 3), 0);
	CU_ASSERT_EQUAL(written_by(SET_IMAGES, 7, 7, 4, 2), 2);
	CU_ASSERT_EQUAL(written_by(SET_IMAGES, 7, 7, 4, 1), 0);
	CU_ASSERT_EQUAL(written_by(SET_IMAGES, 12, 12, 9, 3), 2);
	CU_ASSERT_EQUAL(written_by(SET_IMAGES, 11, 11, 9, 3), 0); /* half an image */
	bn_walk_put_target(11, 1);
	put_framebuffer(0, 0);
	bn_walk_put(CLEAR_SURFACE, 0, 10)[2] = 11;
	CU_ASSERT_EQUAL(written(), 1);
	bn_walk_put(CLEAR_SURFACE, 0, 10)[2] = 99;
	CU_ASSERT_EQUAL(written(), 0);
	bn_walk_end();
}

/* ---- any stream ---- */

static uint32_t expected[BN_WALK_WORDS]; /* by the word at which a command begins */

/* One command, and what it writes to with that resource bound. */
static void put_some(uint32_t *bound)
{
	uint32_t at = bn_walk_stream.count, res = 1 + bn_walk_random(4);
	uint32_t bit = res <= 2 ? res : 0;

	switch (bn_walk_random(6)) {
	case 0: /* two commands */
		bn_walk_put_target(10 + res, res);
		*bound = bit;
		break;
	case 1:
		bn_walk_put_draw(3);
		expected[at] = *bound;
		break;
	case 2:
		bn_walk_put(CLEAR, 0, 8);
		expected[at] = *bound;
		break;
	case 3:
		bn_walk_put(BLIT, 0, 21)[4] = res;
		expected[at] = bit;
		break;
	case 4:
		bn_walk_put(COPY_REGION, 0, 13)[6] = res;
		break;
	default:
		bn_virgl_nop(&bn_walk_stream, 1 + bn_walk_random(4));
	}
}

static void check_pieces(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct bn_virgl_piece *p = &bn_walk_pieces[i];
		uint32_t sum = 0;

		for (uint32_t at = p->start; at < p->start + p->count;
			at += (bn_walk_words[at] >> 16) + 1)
			sum |= expected[at];
		CU_ASSERT_EQUAL(p->writes, sum);
		/* Two at a time only where one command, or what belongs to it, does. */
		CU_ASSERT_TRUE(sum != 3);
	}
}

static void test_random(void)
{
	for (unsigned round = 0; round < 300; round++) {
		uint32_t bound = 0, n = 1 + bn_walk_random(200);

		bn_walk_begin();
		memset(expected, 0, sizeof(expected));
		while (n-- > 0)
			put_some(&bound);
		check_pieces(cut(bn_walk_random(2) ? 0 : 1 + bn_walk_random(2000)));
		bn_walk_end();
	}
}

/* Words of no sense, and lengths that lie. */
static void test_garbage(void)
{
	for (unsigned round = 0; round < 2000; round++) {
		uint32_t n = 1 + bn_walk_random(300);

		bn_walk_begin();
		for (uint32_t i = 0; i < n; i++)
			bn_walk_words[i] = bn_walk_random(3) ? bn_walk_random(64) |
								bn_walk_random(24) << 16
							 : bn_walk_random(UINT32_MAX);
		bn_walk_stream.count = n;
		for (unsigned i = cut(bn_walk_random(2) ? 0 : 500); i > 0; i--)
			CU_ASSERT_EQUAL(bn_walk_pieces[i - 1].writes & ~3u, 0);
		bn_walk_end();
	}
}

int main(void)
{
	const CU_TestInfo tests[] = {
		{"targets", test_targets},
		{"bound before", test_bound},
		{"sub-contexts", test_sub_contexts},
		{"commands", test_commands},
		{"random streams", test_random},
		{"garbage", test_garbage},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("virgl_writes", tests);
}
