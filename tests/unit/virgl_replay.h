/* Tells virglrenderer a recorded stream again (tests/record), whole or in pieces, and remembers what
 * the pictures looked like. */
#ifndef BN_TESTS_VIRGL_REPLAY_H
#define BN_TESTS_VIRGL_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gl.h"
#include "protocol/virgl_walk.h"

#define BN_REPLAY_CTX 7u
#define BN_REPLAY_PICTURES 4096u

struct bn_replay_resource {
	struct bn_gl_resource_args args;
	uint8_t *memory; /* the guest's */
	uint32_t bytes;
	struct iovec iov; /* of memory; the GL library keeps a pointer to it */
	struct bn_replay_resource *next;
};

struct bn_replay {
	struct bn_gl *gl;
	struct bn_virgl_state *state;
	struct bn_replay_resource *resources;
	uint64_t pictures[BN_REPLAY_PICTURES]; /* hashes, in order */
	unsigned npictures;
	/* Pieces end where the stream may be cut, one in `every` (1: everywhere; 0: not at all). */
	unsigned every;
	unsigned pieces, submits, commands;
	unsigned metered; /* pieces whose GPU time was read; they are metered where streams are cut */
	uint64_t meter;   /* of the last one */
	unsigned faults; /* illegal cuts, pictures that could not be read */
	/* Called between two pieces of a stream. */
	void (*between)(void *data);
	void *data;
};

/* A context, with nothing in it. */
bool bn_replay_init(struct bn_replay *replay, struct bn_gl *gl, unsigned every);
void bn_replay_finish(struct bn_replay *replay);

/* As a renderer does: piece after piece, until one fails. 0 or -errno. */
int bn_replay_submit(struct bn_replay *replay, const uint32_t *words, uint32_t count);
/* Makes and attaches a resource with so much memory behind it. */
bool bn_replay_create(
	struct bn_replay *replay, const struct bn_gl_resource_args *args, uint32_t bytes);
struct bn_replay_resource *bn_replay_find(const struct bn_replay *replay, uint32_t id);
/* Adds a hash of these bytes to the pictures. */
void bn_replay_remember(struct bn_replay *replay, const void *data, size_t size);
/* Adds the hashes of all that is drawn to, and no larger than `pixels`. */
void bn_replay_look(struct bn_replay *replay, uint32_t pixels);
/* All of a file; false when it cannot be read or told. */
bool bn_replay_file(struct bn_replay *replay, const char *path);

#endif
