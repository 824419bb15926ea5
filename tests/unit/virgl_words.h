/* Streams of virgl commands for the tests of the walker: one stream, one state, its pieces. */
#ifndef BN_TESTS_VIRGL_WORDS_H
#define BN_TESTS_VIRGL_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/virgl_walk.h"
#include "virgl_stream.h"

#define BN_WALK_WORDS 65536u

/* Numbers of virgl_protocol.h that virgl_stream.h has no function for. */
enum {
	CREATE_OBJECT = 1,
	SET_FRAMEBUFFER = 5,
	CLEAR = 7,
	DRAW = 8,
	INLINE_WRITE = 9,
	BLIT = 16,
	COPY_REGION = 17,
	BEGIN_QUERY = 19,
	END_QUERY = 20,
	SET_SUB_CTX = 28,
	CREATE_SUB_CTX = 29,
	BIND_SHADER = 31,
	LAUNCH_GRID = 37,
	NO_ATTACH = 38,
	TRANSFER3D = 43,
	END_TRANSFERS = 44,
	COPY_TRANSFER3D = 45,
	CLEAR_TEXTURE = 47,
	PIPE_RESOURCE_CREATE = 48,
	LINK_SHADER = 52,
	CREATE_VIDEO_CODEC = 53,
	BEGIN_FRAME = 57,
	END_FRAME = 61,
	CLEAR_SURFACE = 62,
};

extern uint32_t bn_walk_words[BN_WALK_WORDS];
extern struct bn_virgl_stream bn_walk_stream; /* over bn_walk_words */
extern struct bn_virgl_state *bn_walk_state;
extern struct bn_virgl_piece bn_walk_pieces[BN_WALK_WORDS];

/* Resource n is 64·n × 48, n up to 8. */
bool bn_walk_size_of(void *data, uint32_t res, uint32_t *width, uint32_t *height);
/* A new state and an empty stream. */
void bn_walk_begin(void);
void bn_walk_end(void);

/* A command with zeros up to length behind its header; the words of it. */
uint32_t *bn_walk_put(uint32_t cmd, uint32_t object, uint32_t length);
void bn_walk_put_draw(uint32_t count);
uint32_t *bn_walk_put_box(uint32_t cmd, uint32_t length, uint32_t w, uint32_t h, uint32_t d);
void bn_walk_put_shader(uint32_t handle, uint32_t type, uint32_t offset, uint32_t text);
void bn_walk_put_bind_shader(uint32_t handle, uint32_t type);
/* Surface `handle` of a resource, bound. */
void bn_walk_put_target(uint32_t handle, uint32_t res);

/* 1 for a command, 100 for a draw, 50 for a transfer, 1 for 16 pixels. */
uint64_t bn_walk_cost(void *data, const struct bn_virgl_work *work);
uint64_t bn_walk_commands_only(void *data, const struct bn_virgl_work *work);
/* Cuts what was put; checks that the pieces cover it; returns their number. cut: by
 * bn_walk_cost, if there is a limit. */
unsigned bn_walk_cut_by(uint64_t max, bn_virgl_cost *by);
unsigned bn_walk_cut(uint64_t max);
/* One of the first n pieces begins at that word. */
bool bn_walk_starts_at(unsigned n, uint32_t word);

/* Whether a cut may fall between these two headers, by virgl_walk.h; long shaders and queries are
 * not considered. */
bool bn_walk_may_cut(uint32_t header, uint32_t next);

/* The same numbers in each run; below the limit. */
uint32_t bn_walk_random(uint32_t below);

#endif
