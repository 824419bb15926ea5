#include "virgl_replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "../record/virgl_record.h"
#include "virgl_words.h"

#define FILE_MAX (64u << 20)

static bool size_of(void *data, uint32_t res, uint32_t *width, uint32_t *height)
{
	const struct bn_replay_resource *r = bn_replay_find(data, res);
	if (!r)
		return false;
	*width = r->args.width;
	*height = r->args.height;
	return true;
}

bool bn_replay_init(struct bn_replay *replay, struct bn_gl *gl, unsigned every)
{
	memset(replay, 0, sizeof(*replay));
	replay->gl = gl;
	replay->every = every;
	replay->state = bn_virgl_state_create(size_of, replay);
	return replay->state && bn_gl_ctx_create(gl, BN_REPLAY_CTX, 2, "replay") == 0;
}

struct bn_replay_resource *bn_replay_find(const struct bn_replay *replay, uint32_t id)
{
	struct bn_replay_resource *r = replay->resources;
	while (r && r->args.id != id)
		r = r->next;
	return r;
}

static void unref(struct bn_replay *replay, uint32_t id)
{
	struct bn_replay_resource **p = &replay->resources;
	while (*p && (*p)->args.id != id)
		p = &(*p)->next;
	struct bn_replay_resource *r = *p;
	if (!r)
		return;
	*p = r->next;
	bn_gl_ctx_detach(replay->gl, BN_REPLAY_CTX, id);
	if (r->bytes)
		bn_gl_detach_iov(replay->gl, id);
	bn_gl_resource_unref(replay->gl, id);
	free(r->memory);
	free(r);
}

void bn_replay_finish(struct bn_replay *replay)
{
	while (replay->resources)
		unref(replay, replay->resources->args.id);
	bn_gl_ctx_destroy(replay->gl, BN_REPLAY_CTX);
	bn_virgl_state_destroy(replay->state);
	replay->state = NULL;
}

bool bn_replay_create(
	struct bn_replay *replay, const struct bn_gl_resource_args *args, uint32_t bytes)
{
	struct bn_replay_resource *r = calloc(1, sizeof(*r));
	if (!r)
		return false;
	r->args = *args;
	r->bytes = bytes;
	r->memory = calloc(1, bytes + 1);
	r->next = replay->resources;
	replay->resources = r;
	if (!r->memory || bn_gl_resource_create(replay->gl, args))
		return false;
	bn_gl_ctx_attach(replay->gl, BN_REPLAY_CTX, args->id);
	r->iov = (struct iovec){r->memory, bytes};
	return !bytes || bn_gl_attach_iov(replay->gl, args->id, &r->iov, 1) == 0;
}

/* ---- pictures ---- */

void bn_replay_remember(struct bn_replay *replay, const void *data, size_t size)
{
	const uint8_t *bytes = data;
	uint64_t hash = 0xcbf29ce484222325ull;
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3ull;
	if (replay->npictures == BN_REPLAY_PICTURES)
		replay->faults++;
	else
		replay->pictures[replay->npictures++] = hash;
}

static void remember(struct bn_replay *replay, const struct bn_replay_resource *r)
{
	struct bn_gl_scanout info;
	if (bn_gl_scanout_info(replay->gl, r->args.id, &info))
		return;
	size_t count = (size_t)info.width * info.height;
	uint32_t *pixels = calloc(count, sizeof(*pixels));
	if (!pixels || bn_gl_read_back(replay->gl, r->args.id, 0, 0, info.width, info.height,
			       pixels, info.width * 4))
		replay->faults++;
	else
		bn_replay_remember(replay, pixels, count * sizeof(*pixels));
	free(pixels);
}

void bn_replay_look(struct bn_replay *replay, uint32_t pixels)
{
	for (const struct bn_replay_resource *r = replay->resources; r; r = r->next) {
		if (r->args.target == BN_VIRGL_TARGET_2D &&
			(r->args.bind & BN_VIRGL_BIND_RENDER_TARGET) && !r->args.nr_samples &&
			(uint64_t)r->args.width * r->args.height <= pixels)
			remember(replay, r);
	}
}

/* ---- streams ---- */

/* Aligned, as bn_gl_submit() wants it. */
static int submit_words(struct bn_replay *replay, const uint32_t *words, uint32_t count)
{
	void *copy = aligned_alloc(8, ((size_t)count * 4 + 15) & ~(size_t)7);
	if (!copy)
		return -1;
	memcpy(copy, words, (size_t)count * 4);
	uint64_t meter = 0, ns;
	if (replay->every)
		meter = bn_gl_meter_begin(replay->gl, BN_REPLAY_CTX, copy, count);
	int ret = bn_gl_submit(replay->gl, BN_REPLAY_CTX, copy, count);
	bn_gl_meter_end(replay->gl, meter);
	free(copy);
	replay->metered += bn_gl_meter_read(replay->gl, replay->meter, &ns);
	replay->meter = meter;
	return ret;
}

/* Held against the rules, written down once more in virgl_words.c. */
static bool cut_is_legal(const uint32_t *words, uint32_t start, uint32_t end)
{
	uint32_t last = start;
	while (start < end) {
		last = start;
		start += (words[start] >> 16) + 1;
	}
	return bn_walk_may_cut(words[last], words[end]);
}

/* More than the limit of 1, less than what would end a group. */
static uint64_t always_dear(void *data, const struct bn_virgl_work *work)
{
	return 2;
}

/* Between two pieces the words in front of the second are overwritten, so a copy is cut. */
static int submit_copy(struct bn_replay *replay, uint32_t *words, uint32_t count)
{
	struct bn_virgl_walk walk;
	struct bn_virgl_piece piece, sum = {0};
	uint32_t end = 0;
	bn_virgl_walk_begin(&walk, replay->state, words, count);
	while (bn_virgl_cut(&walk, 1, always_dear, NULL, &piece)) {
		if (piece.start != end || piece.hostile_transfer)
			return -1;
		if (!sum.count)
			sum = piece;
		end = piece.start + piece.count;
		sum.count = end - sum.start;
		replay->commands += piece.work.commands;
		if (end < count && !cut_is_legal(words, piece.start, end))
			replay->faults++;
		if (end < count && bn_walk_random(replay->every))
			continue;
		uint32_t n;
		const uint32_t *begin = bn_virgl_piece_words(words, &sum, &n);
		int ret = submit_words(replay, begin, n);
		if (ret)
			return ret;
		replay->pieces++;
		sum.count = 0;
		if (end < count && replay->between)
			replay->between(replay->data);
	}
	return end == count ? 0 : -1;
}

static int submit_pieces(struct bn_replay *replay, const uint32_t *words, uint32_t count)
{
	uint32_t *copy = malloc((size_t)count * sizeof(*copy));
	if (!copy)
		return -1;
	memcpy(copy, words, (size_t)count * sizeof(*copy));
	int ret = submit_copy(replay, copy, count);
	free(copy);
	return ret;
}

int bn_replay_submit(struct bn_replay *replay, const uint32_t *words, uint32_t count)
{
	replay->submits++;
	return replay->every ? submit_pieces(replay, words, count)
			     : submit_words(replay, words, count);
}

/* ---- files ---- */

static bool create(struct bn_replay *replay, const uint32_t *w)
{
	struct bn_gl_resource_args args = {
		.id = w[0],
		.target = w[1],
		.format = w[2],
		.bind = w[3],
		.width = w[4],
		.height = w[5],
		.depth = w[6],
		.array_size = w[7],
		.last_level = w[8],
		.nr_samples = w[9],
	};
	return bn_replay_create(replay, &args, w[10]);
}

static bool memory(struct bn_replay *replay, const uint32_t *w, uint32_t count)
{
	struct bn_replay_resource *r = bn_replay_find(replay, w[0]);
	if (!r || w[1] > r->bytes || w[2] > r->bytes - w[1] || w[2] > (count - 3) * 4)
		return false;
	memcpy(r->memory + w[1], &w[3], w[2]);
	return true;
}

static bool upload(struct bn_replay *replay, const uint32_t *w)
{
	struct bn_gl_transfer t = {
		.res_id = w[0],
		.ctx_id = BN_REPLAY_CTX,
		.level = w[1],
		.x = w[2],
		.y = w[3],
		.z = w[4],
		.w = w[5],
		.h = w[6],
		.d = w[7],
		.offset = w[8],
	};
	return bn_gl_transfer_in(replay->gl, &t) == 0;
}

static bool tell(struct bn_replay *replay, uint32_t type, const uint32_t *w, uint32_t count)
{
	struct bn_replay_resource *r;
	switch (type) {
	case BN_RECORD_CREATE:
		return count == BN_RECORD_CREATE_WORDS && create(replay, w);
	case BN_RECORD_UNREF:
		if (count == 1)
			unref(replay, w[0]);
		return count == 1;
	case BN_RECORD_MEMORY:
		return count >= 3 && memory(replay, w, count);
	case BN_RECORD_UPLOAD:
		return count == BN_RECORD_UPLOAD_WORDS && upload(replay, w);
	case BN_RECORD_SUBMIT:
		if (bn_replay_submit(replay, w, count))
			return false;
		bn_replay_look(replay, 32768);
		return true;
	case BN_RECORD_SHOWN:
		r = count == 1 ? bn_replay_find(replay, w[0]) : NULL;
		if (r)
			remember(replay, r);
		return r != NULL;
	default:
		return false;
	}
}

static uint32_t *read_file(const char *path, uint32_t *count)
{
	gzFile file = gzopen(path, "rb");
	uint32_t *words = malloc(FILE_MAX);
	int n = file && words ? gzread(file, words, FILE_MAX) : -1;
	if (file)
		gzclose(file);
	if (n < 4) {
		free(words);
		return NULL;
	}
	*count = (uint32_t)n / 4;
	return words;
}

bool bn_replay_file(struct bn_replay *replay, const char *path)
{
	uint32_t count = 0, at = 1, *words = read_file(path, &count);
	bool ok = words && words[0] == BN_RECORD_MAGIC;
	while (ok && count - at >= 2 && words[at + 1] <= count - at - 2) {
		ok = tell(replay, words[at], &words[at + 2], words[at + 1]);
		if (!ok)
			fprintf(stderr, "%s: record of type %u at word %u\n", path, words[at], at);
		at += words[at + 1] + 2;
	}
	bn_replay_look(replay, UINT32_MAX);
	free(words);
	return ok && at == count;
}
