#include "virgl_words.h"

#include <string.h>

#include "unit.h"

uint32_t bn_walk_words[BN_WALK_WORDS];
struct bn_virgl_stream bn_walk_stream;
struct bn_virgl_state *bn_walk_state;

/* Resource n is 64·n × 48; 0 is none. */
bool bn_walk_size_of(void *data, uint32_t res, uint32_t *width, uint32_t *height)
{
	CU_ASSERT_PTR_EQUAL(data, &bn_walk_stream);
	*width = 64 * res;
	*height = 48;
	return res > 0 && res <= 8;
}

void bn_walk_begin(void)
{
	bn_virgl_state_destroy(bn_walk_state);
	bn_walk_state = bn_virgl_state_create(bn_walk_size_of, &bn_walk_stream);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bn_walk_state);
	bn_virgl_init(&bn_walk_stream, bn_walk_words, BN_WALK_WORDS);
}

void bn_walk_end(void)
{
	bn_virgl_state_destroy(bn_walk_state);
	bn_walk_state = NULL;
}

/* A command with these words behind the header, zeros up to length. */
uint32_t *bn_walk_put(uint32_t cmd, uint32_t object, uint32_t length)
{
	uint32_t *at = &bn_walk_words[bn_walk_stream.count];
	CU_ASSERT_TRUE_FATAL(bn_walk_stream.count + length < BN_WALK_WORDS);
	memset(at, 0, (length + 1) * sizeof(*at));
	at[0] = cmd | object << 8 | length << 16;
	bn_walk_stream.count += length + 1;
	return at;
}

void bn_walk_put_draw(uint32_t count)
{
	uint32_t *w = bn_walk_put(DRAW, 0, 12);
	w[2] = count;
	w[5] = 1;
}

uint32_t *bn_walk_put_box(uint32_t cmd, uint32_t length, uint32_t w, uint32_t h, uint32_t d)
{
	uint32_t *at = bn_walk_put(cmd, 0, length);
	at[1] = 1;
	at[9] = w;
	at[10] = h;
	at[11] = d;
	if (cmd == TRANSFER3D)
		at[13] = 1;
	return at;
}

void bn_walk_put_shader(uint32_t handle, uint32_t type, uint32_t offset, uint32_t text)
{
	uint32_t *w = bn_walk_put(CREATE_OBJECT, BN_VIRGL_OBJECT_SHADER, 5 + text);
	w[1] = handle;
	w[2] = type;
	w[3] = offset;
	w[4] = 300;
}

void bn_walk_put_bind_shader(uint32_t handle, uint32_t type)
{
	uint32_t *w = bn_walk_put(BIND_SHADER, 0, 2);
	w[1] = handle;
	w[2] = type;
}

/* 1 for a command, 100 for a draw, 1 for 16 pixels. */
uint64_t bn_walk_cost(void *data, const struct bn_virgl_work *work)
{
	return work->commands + 100ull * work->draws + work->pixels / 16 + 50ull * work->transfers;
}

uint64_t bn_walk_commands_only(void *data, const struct bn_virgl_work *work)
{
	return work->commands;
}

struct bn_virgl_piece bn_walk_pieces[BN_WALK_WORDS];

/* Cuts what was put; checks that the pieces cover it; returns their number. */
unsigned bn_walk_cut_by(uint64_t max, bn_virgl_cost *by)
{
	struct bn_virgl_walk walk;
	unsigned n = 0;
	uint32_t at = 0;
	bn_virgl_walk_begin(&walk, bn_walk_state, bn_walk_words, bn_walk_stream.count);
	while (n < BN_WALK_WORDS && bn_virgl_cut(&walk, max, by, NULL, &bn_walk_pieces[n])) {
		CU_ASSERT_EQUAL_FATAL(bn_walk_pieces[n].start, at);
		CU_ASSERT_TRUE_FATAL(bn_walk_pieces[n].count > 0);
		if (by)
			CU_ASSERT_EQUAL(
				bn_walk_pieces[n].cost_ns, by(NULL, &bn_walk_pieces[n].work));
		at += bn_walk_pieces[n++].count;
	}
	CU_ASSERT_EQUAL_FATAL(at, bn_walk_stream.count);
	return n;
}

unsigned bn_walk_cut(uint64_t max)
{
	return bn_walk_cut_by(max, max ? bn_walk_cost : NULL);
}

bool bn_walk_starts_at(unsigned n, uint32_t word)
{
	for (unsigned i = 0; i < n; i++) {
		if (bn_walk_pieces[i].start == word)
			return true;
	}
	return false;
}

void bn_walk_put_target(uint32_t handle, uint32_t res)
{
	bn_virgl_create_surface(&bn_walk_stream, handle, res, BN_VIRGL_FORMAT_B8G8R8X8);
	bn_virgl_set_framebuffer(&bn_walk_stream, handle);
}

static uint64_t seed = 1;
uint32_t bn_walk_random(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((seed >> 33) % below);
}

bool bn_walk_may_cut(uint32_t header, uint32_t next)
{
	uint32_t cmd = header & 0xff;
	next &= 0xff;
	bool transfer = cmd == TRANSFER3D || cmd == COPY_TRANSFER3D;
	if (transfer && (next == TRANSFER3D || next == COPY_TRANSFER3D || next == END_TRANSFERS))
		return false;
	if (cmd == CREATE_SUB_CTX && next == SET_SUB_CTX)
		return false;
	return cmd != SET_SUB_CTX && cmd != PIPE_RESOURCE_CREATE && cmd != CREATE_VIDEO_CODEC;
}
