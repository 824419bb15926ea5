/* What one virgl command asks of the GPU. Layouts: virglrenderer 1.1.0, src/virgl_protocol.h and
 * src/vrend_decode.c. */
#include "virgl_walk_priv.h"

static void add32(uint32_t *sum, uint64_t n)
{
	*sum = n > UINT32_MAX - *sum ? UINT32_MAX : *sum + (uint32_t)n;
}

static void add64(uint64_t *sum, uint64_t n)
{
	if (__builtin_add_overflow(*sum, n, sum))
		*sum = UINT64_MAX;
}

static uint64_t times(uint64_t a, uint64_t b)
{
	uint64_t product;
	return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

/* Blits may have negative sizes: they mirror. */
static uint64_t size_of(uint32_t n)
{
	return n > INT32_MAX ? 0u - n : n;
}

/* Width, height, depth. */
static uint64_t volume(const uint32_t *box)
{
	return times(times(size_of(box[0]), size_of(box[1])), size_of(box[2]));
}

void bn_virgl_work_add(struct bn_virgl_work *a, const struct bn_virgl_work *b)
{
	add32(&a->commands, b->commands);
	add32(&a->draws, b->draws);
	add32(&a->indirect_draws, b->indirect_draws);
	add32(&a->clears, b->clears);
	add32(&a->transfers, b->transfers);
	add32(&a->copies, b->copies);
	add32(&a->dispatches, b->dispatches);
	add32(&a->shaders, b->shaders);
	add32(&a->objects, b->objects);
	add32(&a->target_changes, b->target_changes);
	add64(&a->vertices, b->vertices);
	add64(&a->pixels, b->pixels);
	add64(&a->shader_pixels, b->shader_pixels);
	add64(&a->transfer_bytes, b->transfer_bytes);
	add64(&a->copy_pixels, b->copy_pixels);
	add64(&a->compute_groups, b->compute_groups);
}

/* ---- objects ---- */

static uint32_t level_of(uint32_t size, uint32_t level)
{
	size = level < 32 ? size >> level : 0;
	return size ? size : 1;
}

/* Words: handle, resource, format, level, first and last layer, samples (multisampled ones). */
static void surface(struct bn_virgl_state *state, const uint32_t *w, uint32_t samples)
{
	uint32_t width, height, first = w[5] & 0xffff, last = w[5] >> 16;
	uint64_t pixels = state->largest;
	if (state->size && state->size(state->data, w[2], &width, &height)) {
		pixels = times(level_of(width, w[4]), level_of(height, w[4]));
		pixels = times(pixels, last > first ? last - first + 1 : 1);
		pixels = times(pixels, samples ? samples : 1);
	}
	if (pixels > UINT32_MAX)
		pixels = UINT32_MAX;
	if (pixels > state->largest)
		state->largest = (uint32_t)pixels;
	bn_virgl_known_add(state, w[1], OBJECT_SURFACE, (uint32_t)pixels)->res = w[2];
}

/* Words of text that come with it: what is behind handle, type, offset, tokens, outputs and the
 * description of stream outputs. */
static uint32_t shader_words(const uint32_t *w, uint32_t length)
{
	uint64_t head = 5;
	if (w[2] != SHADER_COMPUTE && w[5])
		head += 4 + 2 * (uint64_t)w[5];
	return head < length ? length - (uint32_t)head : 0;
}

/* A shader, or one piece of a long one: the first tells the whole length in bytes, the others their
 * place in it. */
static void shader(struct bn_virgl_state *state, const uint32_t *w, uint32_t length,
	struct bn_virgl_work *work)
{
	uint32_t type = w[2] % SHADER_TYPES, words = shader_words(w, length);
	uint32_t *missing = &state->sub->missing[type];
	if (!(w[3] & OFFSET_CONT)) {
		uint32_t whole = (w[3] + 3) / 4;
		*missing = whole > words ? whole - words : 0;
		bn_virgl_known_add(state, w[1], OBJECT_SHADER, whole);
	} else {
		*missing = *missing > words ? *missing - words : 0;
	}
	state->sub->unfinished &= ~(1u << type);
	if (*missing)
		state->sub->unfinished |= 1u << type;
	else
		add32(&work->shaders, 1);
}

static bool create_object(struct bn_virgl_state *state, const uint32_t *w, uint32_t length,
	struct bn_virgl_work *work)
{
	switch (w[0] >> 8 & 0xff) {
	case OBJECT_SHADER:
		if (length < 5)
			return false;
		shader(state, w, length, work);
		return true;
	case OBJECT_SURFACE:
		if (length < 5)
			return false;
		surface(state, w, 1);
		break;
	case OBJECT_MSAA_SURFACE:
		if (length < 6)
			return false;
		surface(state, w, w[6]);
		break;
	case OBJECT_QUERY:
		if (length < 4)
			return false;
		bn_virgl_known_add(state, w[1], OBJECT_QUERY, w[2] & 0xffff);
		break;
	}
	add32(&work->objects, 1);
	return true;
}

/* ---- state ---- */

static bool set_framebuffer(struct bn_virgl_state *state, const uint32_t *w, uint32_t length,
	struct bn_virgl_work *work)
{
	if (w[1] > TARGETS_MAX || length < 2 + w[1])
		return false;
	struct bn_virgl_sub *sub = state->sub;
	uint32_t target = 0;
	sub->targets = 0;
	sub->writes_walk = 0;
	for (uint32_t i = 0; i < 1 + w[1]; i++) {
		if (!w[2 + i])
			continue;
		const struct bn_virgl_known *known = bn_virgl_known_find(state, w[2 + i]);
		uint32_t pixels = known && bn_virgl_known_type(known) == OBJECT_SURFACE
					  ? known->value
					  : state->largest;
		target = pixels > target ? pixels : target;
		/* The first is for depth. */
		if (i > 0 && known && known->res)
			sub->target_res[sub->targets++] = known->res;
	}
	sub->target = target;
	add32(&work->target_changes, 1);
	return true;
}

static void bind_shader(struct bn_virgl_state *state, uint32_t handle, uint32_t type)
{
	if (type >= SHADER_TYPES)
		return;
	struct bn_virgl_sub *sub = state->sub;
	const struct bn_virgl_known *known = bn_virgl_known_find(state, handle);
	bool shader = known && bn_virgl_known_type(known) == OBJECT_SHADER;
	/* One that is not known is told from others by its handle. */
	sub->bound[type] = shader ? known->serial : handle;
	if (type == SHADER_FRAGMENT)
		sub->text = shader ? known->value : 0;
	if (type == SHADER_COMPUTE)
		sub->compute_dirty = true;
	else
		sub->dirty = true;
}

static void begin_query(struct bn_virgl_state *state, uint32_t handle)
{
	const struct bn_virgl_known *known = bn_virgl_known_find(state, handle);
	if (known && bn_virgl_known_type(known) == OBJECT_QUERY &&
		known->value == QUERY_TIME_ELAPSED)
		state->sub->time_query = handle;
}

/* ---- work ---- */

static void over_target(const struct bn_virgl_sub *sub, struct bn_virgl_work *work, uint64_t n)
{
	uint64_t pixels = times(sub->target, n);
	add64(&work->pixels, pixels);
	add64(&work->shader_pixels, times(pixels, sub->text ? sub->text : 1));
}

static void draw(struct bn_virgl_state *state, const uint32_t *w, uint32_t length,
	struct bn_virgl_piece *piece)
{
	struct bn_virgl_sub *sub = state->sub;
	struct bn_virgl_work *work = &piece->work;
	uint64_t draws = 1;
	if (length >= 20 && w[15]) /* a buffer holds the counts of w[18] draws */
		draws = w[18] ? w[18] : 1;
	if ((length >= 20 && w[15]) || w[12])
		add32(&work->indirect_draws, draws);
	add32(&work->draws, draws);
	add64(&work->vertices, times(times(w[2], w[5] ? w[5] : 1), draws));
	over_target(sub, work, draws);
	if (sub->dirty && bn_virgl_combination_new(state, sub->bound, SHADER_COMPUTE))
		piece->new_shader = true;
	sub->dirty = false;
}

static void dispatch(struct bn_virgl_state *state, const uint32_t *w, struct bn_virgl_piece *piece)
{
	struct bn_virgl_sub *sub = state->sub;
	add32(&piece->work.dispatches, 1);
	add64(&piece->work.compute_groups, w[7] ? 1 : times(times(w[4], w[5]), w[6]));
	if (sub->compute_dirty && bn_virgl_combination_new(state, &sub->bound[SHADER_COMPUTE], 1))
		piece->new_shader = true;
	sub->compute_dirty = false;
}

/* The combination is made before it is drawn with: vertex, fragment, geometry, control, evaluation,
 * compute, in the order of the shader types. */
static void link_shaders(
	struct bn_virgl_state *state, const uint32_t *w, struct bn_virgl_piece *piece)
{
	uint32_t serials[SHADER_TYPES];
	for (unsigned i = 0; i < SHADER_TYPES; i++) {
		const struct bn_virgl_known *known = bn_virgl_known_find(state, w[1 + i]);
		serials[i] = known ? known->serial : w[1 + i];
	}
	bool compute = w[1 + SHADER_COMPUTE] != 0;
	if (bn_virgl_combination_new(state, compute ? &serials[SHADER_COMPUTE] : serials,
		    compute ? 1 : SHADER_COMPUTE))
		piece->new_shader = true;
	add32(&piece->work.shaders, 1);
}

static void clear_surface(
	struct bn_virgl_state *state, const uint32_t *w, struct bn_virgl_work *work)
{
	uint64_t pixels = times(w[9], w[10]);
	add32(&work->clears, 1);
	add64(&work->pixels, pixels);
	add64(&work->shader_pixels, pixels);
}

static bool transfer(struct bn_virgl_state *state, const uint32_t *w, uint32_t length,
	struct bn_virgl_piece *piece)
{
	uint32_t width = 0, height = 0;
	if (state->size && !state->size(state->data, w[1], &width, &height))
		width = height = 0;
	if (!bn_virgl_transfer_ok(w, length, width, height)) {
		piece->hostile_transfer = true;
		return false;
	}
	add32(&piece->work.transfers, 1);
	if ((w[0] & 0xff) == CCMD_RESOURCE_INLINE_WRITE)
		add64(&piece->work.transfer_bytes, (uint64_t)(length - 11) * 4);
	else
		add64(&piece->work.transfer_bytes, times(volume(&w[9]), 4));
	return true;
}

static void copy(uint64_t pixels, struct bn_virgl_work *work)
{
	add32(&work->copies, 1);
	add64(&work->copy_pixels, pixels);
}

/* Words that must be there for what is looked at. */
static const uint8_t least[CCMD_KNOWN] = {
	[CCMD_CREATE_OBJECT] = 1,
	[CCMD_DESTROY_OBJECT] = 1,
	[CCMD_SET_FRAMEBUFFER_STATE] = 2,
	[CCMD_DRAW_VBO] = 12,
	[CCMD_RESOURCE_INLINE_WRITE] = 12,
	[CCMD_BLIT] = 21,
	[CCMD_RESOURCE_COPY_REGION] = 13,
	[CCMD_BEGIN_QUERY] = 1,
	[CCMD_END_QUERY] = 1,
	[CCMD_SET_SUB_CTX] = 1,
	[CCMD_CREATE_SUB_CTX] = 1,
	[CCMD_DESTROY_SUB_CTX] = 1,
	[CCMD_BIND_SHADER] = 2,
	[CCMD_SET_SHADER_IMAGES] = 2,
	[CCMD_LAUNCH_GRID] = 8,
	[CCMD_SET_FRAMEBUFFER_STATE_NO_ATTACH] = 2,
	[CCMD_TRANSFER3D] = 13,
	[CCMD_COPY_TRANSFER3D] = 14,
	[CCMD_CLEAR_TEXTURE] = 8,
	[CCMD_LINK_SHADER] = 6,
	[CCMD_CLEAR_SURFACE] = 10,
};

#define BIT(cmd) (1ull << (cmd))
/* Those with words to look at, and those that matter without. */
static const uint64_t interesting =
	BIT(CCMD_CREATE_OBJECT) | BIT(CCMD_DESTROY_OBJECT) | BIT(CCMD_SET_FRAMEBUFFER_STATE) |
	BIT(CCMD_CLEAR) | BIT(CCMD_DRAW_VBO) | BIT(CCMD_RESOURCE_INLINE_WRITE) | BIT(CCMD_BLIT) |
	BIT(CCMD_RESOURCE_COPY_REGION) | BIT(CCMD_BEGIN_QUERY) | BIT(CCMD_END_QUERY) |
	BIT(CCMD_GET_QUERY_RESULT) | BIT(CCMD_SET_SUB_CTX) | BIT(CCMD_CREATE_SUB_CTX) |
	BIT(CCMD_DESTROY_SUB_CTX) | BIT(CCMD_BIND_SHADER) | BIT(CCMD_SET_SHADER_IMAGES) |
	BIT(CCMD_LAUNCH_GRID) |
	BIT(CCMD_SET_FRAMEBUFFER_STATE_NO_ATTACH) | BIT(CCMD_TRANSFER3D) | BIT(CCMD_END_TRANSFERS) |
	BIT(CCMD_COPY_TRANSFER3D) | BIT(CCMD_CLEAR_TEXTURE) | BIT(CCMD_PIPE_RESOURCE_CREATE) |
	BIT(CCMD_PIPE_RESOURCE_SET_TYPE) | BIT(CCMD_LINK_SHADER) | BIT(CCMD_CREATE_VIDEO_CODEC) |
	BIT(CCMD_CREATE_VIDEO_BUFFER) | BIT(CCMD_BEGIN_FRAME) | BIT(CCMD_END_FRAME) |
	BIT(CCMD_CLEAR_SURFACE);

bool bn_virgl_interesting(uint32_t header)
{
	uint32_t cmd = header & 0xff;
	return cmd < CCMD_KNOWN && (interesting >> cmd & 1);
}

/* State that only has to be remembered. */
static void remember(struct bn_virgl_state *state, const uint32_t *w)
{
	switch (w[0] & 0xff) {
	case CCMD_DESTROY_OBJECT:
		bn_virgl_known_remove(state, w[1]);
		break;
	case CCMD_BIND_SHADER:
		bind_shader(state, w[1], w[2]);
		break;
	case CCMD_BEGIN_QUERY:
		begin_query(state, w[1]);
		break;
	case CCMD_END_QUERY:
		if (state->sub->time_query == w[1])
			state->sub->time_query = 0;
		break;
	case CCMD_SET_SUB_CTX:
	case CCMD_CREATE_SUB_CTX:
		bn_virgl_sub_enter(state, w[1], (w[0] & 0xff) == CCMD_CREATE_SUB_CTX);
		break;
	case CCMD_DESTROY_SUB_CTX:
		bn_virgl_sub_leave(state, w[1]);
		break;
	case CCMD_BEGIN_FRAME:
	case CCMD_END_FRAME:
		state->video = (w[0] & 0xff) == CCMD_BEGIN_FRAME;
		break;
	}
}

static bool look(struct bn_virgl_state *state, const uint32_t *w, uint32_t length,
	struct bn_virgl_piece *piece)
{
	struct bn_virgl_work *work = &piece->work;
	switch (w[0] & 0xff) {
	case CCMD_DRAW_VBO:
		draw(state, w, length, piece);
		return true;
	case CCMD_CREATE_OBJECT:
		return create_object(state, w, length, work);
	case CCMD_SET_FRAMEBUFFER_STATE:
		return set_framebuffer(state, w, length, work);
	case CCMD_SET_FRAMEBUFFER_STATE_NO_ATTACH:
		state->sub->target = (w[1] & 0xffff) * (w[1] >> 16);
		state->sub->targets = 0;
		state->sub->writes_walk = 0;
		add32(&work->target_changes, 1);
		return true;
	case CCMD_TRANSFER3D:
	case CCMD_COPY_TRANSFER3D:
	case CCMD_RESOURCE_INLINE_WRITE:
		return transfer(state, w, length, piece);
	case CCMD_CLEAR:
		add32(&work->clears, 1);
		add64(&work->pixels, state->sub->target);
		add64(&work->shader_pixels, state->sub->target);
		return true;
	case CCMD_CLEAR_TEXTURE:
		add32(&work->clears, 1);
		add64(&work->pixels, volume(&w[6]));
		add64(&work->shader_pixels, volume(&w[6]));
		return true;
	case CCMD_CLEAR_SURFACE:
		clear_surface(state, w, work);
		return true;
	case CCMD_BLIT: {
		uint64_t to = volume(&w[10]), from = volume(&w[19]);
		copy(to > from ? to : from, work);
		return true;
	}
	case CCMD_RESOURCE_COPY_REGION:
		copy(volume(&w[11]), work);
		return true;
	case CCMD_LAUNCH_GRID:
		dispatch(state, w, piece);
		return true;
	case CCMD_LINK_SHADER:
		link_shaders(state, w, piece);
		return true;
	case CCMD_GET_QUERY_RESULT:
		piece->query_result = true;
		return true;
	case CCMD_CREATE_SUB_CTX:
		remember(state, w);
		add32(&work->objects, 1);
		return true;
	case CCMD_PIPE_RESOURCE_CREATE:
	case CCMD_PIPE_RESOURCE_SET_TYPE:
	case CCMD_CREATE_VIDEO_CODEC:
	case CCMD_CREATE_VIDEO_BUFFER:
		add32(&work->objects, 1);
		return true;
	default:
		remember(state, w);
		return true;
	}
}

bool bn_virgl_look(
	struct bn_virgl_state *state, const uint32_t *words, struct bn_virgl_piece *piece)
{
	uint32_t length = words[0] >> 16;
	if (bn_virgl_interesting(words[0]) &&
		(length < least[words[0] & 0xff] || !look(state, words, length, piece)))
		return false;
	if (state->watch && bn_virgl_interesting(words[0]))
		piece->writes |= bn_virgl_writes(state, words);
	add32(&piece->work.commands, 1);
	return true;
}
