/* Cutting a virgl stream into pieces.
 *
 * Commands that belong together form a group; a stream is a row of groups, and a cut may fall between
 * any two. To know whether a group still fits, it has to be looked at, which changes what is remembered
 * of the context; so nothing is looked at twice: the first group that does not fit is kept for the next
 * piece (walk->ahead). */
#include "virgl_walk_priv.h"

/* A transfer's bytes cannot be told from its box without the format: this is the most that a pixel
 * takes (four floats; a compressed block takes no more). */
#define PIXEL_BYTES_MAX 16u
#define TRANSFER_BYTES_MAX (1ull << 31)
/* No texture is as wide; a buffer's width is in bytes. */
#define TEXTURE_WIDTH_MAX 65536u

/* What bn_virgl_piece_words() puts in front; the first piece is never shorter. */
#define RESUME_WORDS 2u

static uint64_t row_bytes(uint64_t width)
{
	return width > TEXTURE_WIDTH_MAX ? width : width * PIXEL_BYTES_MAX;
}

bool bn_virgl_transfer_ok(const uint32_t *command, uint32_t length, uint32_t width, uint32_t height)
{
	uint32_t cmd = command[0] & 0xff;
	if (cmd != CCMD_TRANSFER3D && cmd != CCMD_COPY_TRANSFER3D &&
		cmd != CCMD_RESOURCE_INLINE_WRITE)
		return true;
	if (length < 11)
		return true; /* refused before anything is added up */
	for (unsigned i = 6; i <= 11; i++) {
		if (command[i] > INT32_MAX)
			return false;
	}
	uint64_t w = command[9], h = command[10], d = command[11];
	uint64_t row = row_bytes(w), stride = command[4], layer = command[5];
	if (!stride)
		stride = row_bytes(width > w ? width : w);
	uint64_t rows = h ? (h - 1) * stride : 0;
	if (rows > TRANSFER_BYTES_MAX || row > TRANSFER_BYTES_MAX)
		return false;
	if (!layer)
		layer = stride * (height > h ? height : h);
	uint64_t layers;
	if (__builtin_mul_overflow(d ? d - 1 : 0, layer, &layers) || layers > TRANSFER_BYTES_MAX)
		return false;
	/* Where a transfer starts: the offset in the guest's memory. */
	uint64_t offset = 0;
	if (cmd == CCMD_TRANSFER3D && length >= 12)
		offset = command[12];
	else if (cmd == CCMD_COPY_TRANSFER3D && length >= 13)
		offset = command[13];
	return offset + layers + rows + row <= TRANSFER_BYTES_MAX;
}

void bn_virgl_walk_begin(struct bn_virgl_walk *walk, struct bn_virgl_state *state,
	const uint32_t *words, uint32_t count)
{
	*walk = (struct bn_virgl_walk){.words = words, .count = count, .state = state};
	state->watch = NULL;
}

void bn_virgl_walk_watch(struct bn_virgl_walk *walk, bn_virgl_watch *watch, void *data)
{
	walk->state->watch = watch;
	walk->state->watch_data = data;
	walk->state->walk++;
}

uint32_t *bn_virgl_piece_words(uint32_t *words, const struct bn_virgl_piece *piece, uint32_t *count)
{
	*count = piece->count;
	words += piece->start;
	if (piece->start < RESUME_WORDS)
		return words;
	words[-2] = CCMD_SET_SUB_CTX | 1u << 16;
	words[-1] = piece->sub_ctx;
	*count += RESUME_WORDS;
	return words - RESUME_WORDS;
}

uint32_t bn_virgl_sub_contexts(const uint32_t *words, uint32_t count)
{
	uint32_t n = 0;
	for (uint64_t at = 0; at < count; at += (words[at] >> 16) + 1ull)
		n += (words[at] & 0xff) == CCMD_CREATE_SUB_CTX;
	return n;
}

/* Takes one command into the piece that ends where it begins. False: it cannot be walked over. */
static bool take(struct bn_virgl_walk *walk, struct bn_virgl_piece *piece)
{
	uint32_t at = piece->start + piece->count;
	uint32_t whole = (walk->words[at] >> 16) + 1;
	if (whole > walk->count - at || !bn_virgl_look(walk->state, &walk->words[at], piece))
		return false;
	piece->count += whole;
	return true;
}

static void merge(struct bn_virgl_piece *piece, const struct bn_virgl_piece *group)
{
	piece->count += group->count;
	bn_virgl_work_add(&piece->work, &group->work);
	piece->query_result |= group->query_result;
	piece->new_shader |= group->new_shader;
	piece->writes |= group->writes;
}

/* What costs GPU time by itself. */
static bool draws(uint32_t cmd)
{
	switch (cmd) {
	case CCMD_DRAW_VBO:
	case CCMD_CLEAR:
	case CCMD_CLEAR_TEXTURE:
	case CCMD_CLEAR_SURFACE:
	case CCMD_BLIT:
	case CCMD_RESOURCE_COPY_REGION:
	case CCMD_LAUNCH_GRID:
		return true;
	default:
		return false;
	}
}

/* Whether nothing may come between two neighbours, the first looked at already. */
static bool together(const struct bn_virgl_state *state, uint32_t cmd, uint32_t next)
{
	switch (cmd) {
	case CCMD_SET_SUB_CTX:
	case CCMD_PIPE_RESOURCE_CREATE:
	case CCMD_CREATE_VIDEO_CODEC:
	case CCMD_CREATE_VIDEO_BUFFER:
		return true;
	case CCMD_CREATE_SUB_CTX:
		if (next == CCMD_SET_SUB_CTX)
			return true;
		break;
	case CCMD_TRANSFER3D:
	case CCMD_COPY_TRANSFER3D:
		if (next == CCMD_TRANSFER3D || next == CCMD_COPY_TRANSFER3D ||
			next == CCMD_END_TRANSFERS)
			return true;
		break;
	}
	if (state->sub->time_query)
		return true;
	return (state->sub->unfinished || state->video) && !draws(next);
}

/* The group that begins where *group does. One that grows far too dear ends, and so does what holds
 * it together. False: it begins with a command that cannot be walked over. */
static bool take_group(struct bn_virgl_walk *walk, uint64_t max_cost_ns, bn_virgl_cost *cost,
	void *data, struct bn_virgl_piece *group)
{
	uint64_t too_dear = max_cost_ns > UINT64_MAX / 4 ? UINT64_MAX : max_cost_ns * 4;
	uint32_t last = group->start, next;
	group->sub_ctx = walk->state->sub->id;
	if (!take(walk, group))
		return false;
	while (next = group->start + group->count, max_cost_ns && next < walk->count) {
		bool short_first = next < RESUME_WORDS;
		if (!short_first &&
			!together(walk->state, walk->words[last] & 0xff, walk->words[next] & 0xff))
			break;
		if (cost(data, &group->work) > too_dear) {
			walk->state->sub->time_query = 0;
			break;
		}
		if (!take(walk, group))
			break;
		last = next;
	}
	return true;
}

/* The target changes with its first command. */
static bool changes_target(const struct bn_virgl_walk *walk, const struct bn_virgl_piece *group)
{
	uint32_t cmd = walk->words[group->start] & 0xff;
	return cmd == CCMD_SET_FRAMEBUFFER_STATE || cmd == CCMD_SET_FRAMEBUFFER_STATE_NO_ATTACH ||
	       cmd == CCMD_SET_SUB_CTX;
}

/* Whether the group begins the next piece instead of ending this one; sums up the cost of both. */
static bool cut_before(const struct bn_virgl_walk *walk, const struct bn_virgl_piece *group,
	uint64_t max_cost_ns, bn_virgl_cost *cost, void *data, struct bn_virgl_piece *piece)
{
	if (changes_target(walk, group) && piece->cost_ns >= max_cost_ns / 2)
		return true;
	struct bn_virgl_work both = piece->work;
	bn_virgl_work_add(&both, &group->work);
	uint64_t cost_ns = cost(data, &both);
	if (cost_ns > max_cost_ns)
		return true;
	piece->cost_ns = cost_ns;
	return false;
}

/* Whether the piece would have to wait for more with the group, and has something worth to be executed
 * without. */
static bool waits_more(const struct bn_virgl_piece *group, const struct bn_virgl_piece *piece)
{
	const struct bn_virgl_work *work = &piece->work;
	return (group->writes & ~piece->writes) &&
	       (work->draws || work->clears || work->transfers || work->copies || work->dispatches);
}

/* Commands that are only counted, as many as fit: the bulk of most streams, without the detour over
 * groups. */
static void take_plain(struct bn_virgl_walk *walk, uint64_t max_cost_ns, bn_virgl_cost *cost,
	void *data, struct bn_virgl_piece *piece)
{
	const struct bn_virgl_sub *sub = walk->state->sub;
	if (sub->time_query || sub->unfinished || walk->state->video)
		return;
	for (;;) {
		uint32_t at = piece->start + piece->count;
		if (at >= walk->count || bn_virgl_interesting(walk->words[at]))
			return;
		uint32_t whole = (walk->words[at] >> 16) + 1;
		if (whole > walk->count - at)
			return;
		struct bn_virgl_work *work = &piece->work;
		work->commands += work->commands < UINT32_MAX;
		if (max_cost_ns) {
			uint64_t cost_ns = cost(data, work);
			if (cost_ns > max_cost_ns) {
				work->commands--;
				return;
			}
			piece->cost_ns = cost_ns;
		}
		piece->count += whole;
	}
}

/* What cannot be walked over, kept apart from what can still be executed. */
static void break_off(struct bn_virgl_walk *walk, struct bn_virgl_piece *group)
{
	walk->broken = true;
	group->count = walk->count - group->start;
	walk->ahead = *group;
}

static void take_all(struct bn_virgl_walk *walk, struct bn_virgl_piece *piece)
{
	while (piece->start + piece->count < walk->count) {
		take_plain(walk, 0, NULL, NULL, piece);
		struct bn_virgl_piece rest = {
			.start = piece->start + piece->count, .sub_ctx = walk->state->sub->id};
		if (rest.start >= walk->count || take(walk, piece))
			continue;
		rest.hostile_transfer = piece->hostile_transfer;
		piece->hostile_transfer = false;
		break_off(walk, &rest);
		return;
	}
}

/* Adds groups to the piece until one does not fit: that one goes to walk->ahead. */
static void take_some(struct bn_virgl_walk *walk, uint64_t max_cost_ns, bn_virgl_cost *cost,
	void *data, struct bn_virgl_piece *piece)
{
	while (piece->start + piece->count < walk->count) {
		take_plain(walk, max_cost_ns, cost, data, piece);
		struct bn_virgl_piece group = {.start = piece->start + piece->count};
		if (group.start >= walk->count)
			return;
		if (!take_group(walk, max_cost_ns, cost, data, &group)) {
			break_off(walk, &group);
			return;
		}
		if (waits_more(&group, piece) ||
			cut_before(walk, &group, max_cost_ns, cost, data, piece)) {
			walk->ahead = group;
			return;
		}
		merge(piece, &group);
	}
}

static uint64_t free_of_charge(void *data, const struct bn_virgl_work *work)
{
	return 0;
}

bool bn_virgl_cut(struct bn_virgl_walk *walk, uint64_t max_cost_ns, bn_virgl_cost *cost, void *data,
	struct bn_virgl_piece *piece)
{
	if (walk->at >= walk->count)
		return false;
	if (!max_cost_ns && walk->state->watch) {
		max_cost_ns = UINT64_MAX;
		cost = free_of_charge;
	}
	*piece = walk->ahead;
	walk->ahead = (struct bn_virgl_piece){0};
	piece->start = walk->at;
	if (!piece->count && !take_group(walk, max_cost_ns, cost, data, piece)) {
		walk->broken = true;
		piece->count = walk->count - piece->start;
	}
	if (max_cost_ns)
		piece->cost_ns = cost(data, &piece->work);
	if (!walk->broken && max_cost_ns)
		take_some(walk, max_cost_ns, cost, data, piece);
	else if (!walk->broken)
		take_all(walk, piece);
	walk->at = piece->start + piece->count;
	return true;
}
