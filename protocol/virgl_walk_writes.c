/* What a virgl command writes to, of what is watched. Layouts as in virgl_walk_look.c. */
#include "virgl_walk_priv.h"

#define TRANSFER_FROM_HOST 2u
#define COPY_READ_FROM_HOST 2u
#define IMAGE_WORDS 5u
#define IMAGE_WRITE 2u

static uint32_t bits_of(const struct bn_virgl_state *state, uint32_t res_id)
{
	return state->watch(state->watch_data, res_id);
}

/* Asked once for each target and walk: a stream may have many draws. */
static uint32_t targets(const struct bn_virgl_state *state)
{
	struct bn_virgl_sub *sub = state->sub;
	if (sub->writes_walk == state->walk)
		return sub->writes;
	sub->writes = 0;
	for (uint32_t i = 0; i < sub->targets; i++)
		sub->writes |= bits_of(state, sub->target_res[i]);
	sub->writes_walk = state->walk;
	return sub->writes;
}

static uint32_t surface(const struct bn_virgl_state *state, uint32_t handle)
{
	const struct bn_virgl_known *known = bn_virgl_known_find(state, handle);
	return known && known->res ? bits_of(state, known->res) : 0;
}

/* Words: shader type, first slot, then for each image format, access, layers, level, resource. */
static uint32_t images(const struct bn_virgl_state *state, const uint32_t *w)
{
	uint32_t length = w[0] >> 16, bits = 0;
	for (uint32_t at = 3; at + IMAGE_WORDS <= length + 1; at += IMAGE_WORDS) {
		if (w[at + 1] & IMAGE_WRITE)
			bits |= bits_of(state, w[at + 4]);
	}
	return bits;
}

uint32_t bn_virgl_writes(struct bn_virgl_state *state, const uint32_t *w)
{
	switch (w[0] & 0xff) {
	case CCMD_DRAW_VBO:
	case CCMD_CLEAR:
		return targets(state);
	case CCMD_CLEAR_SURFACE:
		return surface(state, w[2]);
	case CCMD_BLIT:
		return bits_of(state, w[4]);
	case CCMD_RESOURCE_COPY_REGION:
	case CCMD_RESOURCE_INLINE_WRITE:
	case CCMD_CLEAR_TEXTURE:
		return bits_of(state, w[1]);
	case CCMD_TRANSFER3D:
		return w[13] == TRANSFER_FROM_HOST ? 0 : bits_of(state, w[1]);
	case CCMD_COPY_TRANSFER3D:
		return w[14] & COPY_READ_FROM_HOST ? 0 : bits_of(state, w[1]);
	case CCMD_SET_SHADER_IMAGES:
		return images(state, w);
	default:
		return 0;
	}
}
