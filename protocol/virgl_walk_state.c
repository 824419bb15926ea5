/* What a virgl context is remembered by: tables of fixed size, so that no guest makes them grow. What
 * falls out of them is guessed high. */
#include <stdlib.h>
#include <string.h>

#include "virgl_walk_priv.h"

struct bn_virgl_state *bn_virgl_state_create(bn_virgl_resource_size *size, void *data)
{
	struct bn_virgl_state *state = calloc(1, sizeof(*state));
	if (!state)
		return NULL;
	state->known = calloc(SETS_MIN * WAYS, sizeof(*state->known));
	if (!state->known) {
		free(state);
		return NULL;
	}
	state->sets = SETS_MIN;
	state->size = size;
	state->data = data;
	/* Sub-context 0 is there from the start. */
	bn_virgl_sub_enter(state, 0, true);
	return state;
}

void bn_virgl_state_destroy(struct bn_virgl_state *state)
{
	if (!state)
		return;
	free(state->known);
	free(state);
}

static uint32_t mix(uint32_t a, uint32_t b)
{
	uint64_t h = (((uint64_t)a << 32) | b) * 0x9e3779b97f4a7c15ull;
	return (uint32_t)(h >> 32);
}

/* ---- objects ---- */

static struct bn_virgl_known *set_of(
	const struct bn_virgl_state *state, uint32_t sub, uint32_t handle)
{
	return &state->known[(mix(sub, handle) & (state->sets - 1)) * WAYS];
}

static struct bn_virgl_known *find(
	const struct bn_virgl_state *state, uint32_t sub, uint32_t handle)
{
	struct bn_virgl_known *set = set_of(state, sub, handle);
	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].handle == handle && set[i].sub == sub && set[i].serial)
			return &set[i];
	}
	return NULL;
}

static struct bn_virgl_known *free_place(
	const struct bn_virgl_state *state, uint32_t sub, uint32_t handle)
{
	struct bn_virgl_known *set = set_of(state, sub, handle);
	for (unsigned i = 0; i < WAYS; i++) {
		if (!set[i].serial)
			return &set[i];
	}
	return NULL;
}

/* Twice the sets. Each old set falls into two, so everything finds a place. */
static bool grow(struct bn_virgl_state *state)
{
	uint32_t places = state->sets * WAYS;
	if (state->sets >= SETS_MAX)
		return false;
	struct bn_virgl_known *old = state->known;
	state->known = calloc(places * 2, sizeof(*old));
	if (!state->known) {
		state->known = old;
		return false;
	}
	state->sets *= 2;
	for (uint32_t i = 0; i < places; i++) {
		if (old[i].serial)
			*free_place(state, old[i].sub, old[i].handle) = old[i];
	}
	free(old);
	return true;
}

struct bn_virgl_known *bn_virgl_known_find(const struct bn_virgl_state *state, uint32_t handle)
{
	return find(state, state->sub->id, handle);
}

struct bn_virgl_known *bn_virgl_known_add(
	struct bn_virgl_state *state, uint32_t handle, enum bn_virgl_object type, uint32_t value)
{
	uint32_t sub = state->sub->id;
	struct bn_virgl_known *place = find(state, sub, handle);
	while (!place && !(place = free_place(state, sub, handle)) && grow(state))
		;
	if (!place)
		place = &set_of(state, sub, handle)[state->victim++ % WAYS];
	state->serial += 16;
	*place = (struct bn_virgl_known){sub, handle, value, state->serial | type, 0};
	return place;
}

void bn_virgl_known_remove(struct bn_virgl_state *state, uint32_t handle)
{
	struct bn_virgl_known *known = bn_virgl_known_find(state, handle);
	if (known)
		*known = (struct bn_virgl_known){0};
}

/* ---- sub-contexts ---- */

static struct bn_virgl_sub *sub_find(struct bn_virgl_state *state, uint32_t id)
{
	for (unsigned i = 0; i < SUBS_MAX; i++) {
		if (state->subs[i].id == id && state->subs[i].used)
			return &state->subs[i];
	}
	return NULL;
}

/* A free place, or that of the one not switched to for longest; never the current one's. */
static struct bn_virgl_sub *sub_place(struct bn_virgl_state *state)
{
	struct bn_virgl_sub *oldest = NULL;
	for (unsigned i = 0; i < SUBS_MAX; i++) {
		struct bn_virgl_sub *sub = &state->subs[i];
		if (sub != state->sub && (!oldest || sub->used < oldest->used))
			oldest = sub;
	}
	return oldest;
}

void bn_virgl_sub_enter(struct bn_virgl_state *state, uint32_t id, bool made)
{
	struct bn_virgl_sub *sub = sub_find(state, id);
	if (sub && made) /* virglrenderer leaves things as they are */
		return;
	if (!sub) {
		sub = sub_place(state);
		state->sub_forgotten = state->sub_forgotten || sub->used;
		bool empty = made && !state->sub_forgotten;
		*sub = (struct bn_virgl_sub){
			.id = id, .target = empty ? 0 : state->largest, .dirty = true};
	}
	sub->used = ++state->tick;
	state->sub = sub;
}

void bn_virgl_sub_leave(struct bn_virgl_state *state, uint32_t id)
{
	struct bn_virgl_sub *sub = sub_find(state, id);
	if (!sub || !id)
		return;
	if (sub == state->sub)
		bn_virgl_sub_enter(state, 0, false);
	*sub = (struct bn_virgl_sub){0};
}

/* ---- shaders drawn with together ---- */

bool bn_virgl_combination_new(struct bn_virgl_state *state, const uint32_t *serials, unsigned count)
{
	uint32_t hash = count;
	for (unsigned i = 0; i < count; i++)
		hash = mix(hash, serials[i]);
	hash |= 1; /* 0 marks an empty place */
	uint32_t *place = &state->combinations[(hash >> 8) % COMBINATIONS];
	if (*place == hash)
		return false;
	*place = hash;
	return true;
}
