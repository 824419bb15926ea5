#include <stdio.h>
#include <string.h>

#include "virgl_stream.h"

/* virgl_protocol.h, enum virgl_context_cmd */
enum {
	CCMD_NOP = 0,
	CCMD_CREATE_OBJECT = 1,
	CCMD_BIND_OBJECT = 2,
	CCMD_DESTROY_OBJECT = 3,
	CCMD_SET_VIEWPORT_STATE = 4,
	CCMD_SET_FRAMEBUFFER_STATE = 5,
	CCMD_SET_VERTEX_BUFFERS = 6,
	CCMD_CLEAR = 7,
	CCMD_DRAW_VBO = 8,
	CCMD_RESOURCE_INLINE_WRITE = 9,
	CCMD_BEGIN_QUERY = 19,
	CCMD_END_QUERY = 20,
	CCMD_GET_QUERY_RESULT = 21,
	CCMD_SET_SUB_CTX = 28,
	CCMD_CREATE_SUB_CTX = 29,
	CCMD_DESTROY_SUB_CTX = 30,
	CCMD_BIND_SHADER = 31,
};
/* p_defines.h */
enum {
	CLEAR_COLOR0 = 1 << 2,
	SHADER_VERTEX = 0,
	SHADER_FRAGMENT = 1,
	PRIM_TRIANGLES = 4,
};
/* VIRGL_MAX_COLOR_BUFS */
#define COLOR_BUFS 8u

void bn_virgl_init(struct bn_virgl_stream *s, uint32_t *words, uint32_t capacity)
{
	*s = (struct bn_virgl_stream){.words = words, .capacity = capacity};
}

void bn_virgl_reset(struct bn_virgl_stream *s)
{
	s->count = 0;
	s->overflow = false;
}

static void put(struct bn_virgl_stream *s, uint32_t word)
{
	if (s->count < s->capacity)
		s->words[s->count++] = word;
	else
		s->overflow = true;
}

static void put_float(struct bn_virgl_stream *s, float value)
{
	uint32_t word;
	memcpy(&word, &value, sizeof(word));
	put(s, word);
}

static void put_bytes(struct bn_virgl_stream *s, const void *data, uint32_t len)
{
	const uint8_t *bytes = data;
	for (uint32_t i = 0; i < len; i += 4) {
		uint32_t word = 0;
		memcpy(&word, bytes + i, len - i < 4 ? len - i : 4);
		put(s, word);
	}
}

/* The header of every command: number, object type, words that follow. */
static void command(struct bn_virgl_stream *s, uint32_t cmd, uint32_t object, uint32_t len)
{
	put(s, cmd | object << 8 | len << 16);
}

static void command1(struct bn_virgl_stream *s, uint32_t cmd, uint32_t object, uint32_t word)
{
	command(s, cmd, object, 1);
	put(s, word);
}

void bn_virgl_nop(struct bn_virgl_stream *s, uint32_t len)
{
	command(s, CCMD_NOP, 0, len);
	for (uint32_t i = 0; i < len; i++)
		put(s, 0);
}

void bn_virgl_garbage(struct bn_virgl_stream *s)
{
	command1(s, CCMD_CLEAR, 0, 0xdeadbeef);
}

void bn_virgl_create_sub_ctx(struct bn_virgl_stream *s, uint32_t id)
{
	command1(s, CCMD_CREATE_SUB_CTX, 0, id);
}

void bn_virgl_set_sub_ctx(struct bn_virgl_stream *s, uint32_t id)
{
	command1(s, CCMD_SET_SUB_CTX, 0, id);
}

void bn_virgl_destroy_sub_ctx(struct bn_virgl_stream *s, uint32_t id)
{
	command1(s, CCMD_DESTROY_SUB_CTX, 0, id);
}

void bn_virgl_create_surface(
	struct bn_virgl_stream *s, uint32_t handle, uint32_t res, uint32_t format)
{
	command(s, CCMD_CREATE_OBJECT, BN_VIRGL_OBJECT_SURFACE, 5);
	put(s, handle);
	put(s, res);
	put(s, format);
	put(s, 0); /* level */
	put(s, 0); /* first and last layer */
}

void bn_virgl_bind_object(struct bn_virgl_stream *s, uint32_t type, uint32_t handle)
{
	command1(s, CCMD_BIND_OBJECT, type, handle);
}

void bn_virgl_destroy_object(struct bn_virgl_stream *s, uint32_t type, uint32_t handle)
{
	command1(s, CCMD_DESTROY_OBJECT, type, handle);
}

void bn_virgl_set_framebuffer(struct bn_virgl_stream *s, uint32_t surface)
{
	uint32_t colours = surface ? 1 : 0;
	command(s, CCMD_SET_FRAMEBUFFER_STATE, 0, colours + 2);
	put(s, colours);
	put(s, 0); /* no depth buffer */
	if (colours)
		put(s, surface);
}

void bn_virgl_set_viewport(struct bn_virgl_stream *s, uint32_t width, uint32_t height)
{
	float half_w = (float)width / 2, half_h = (float)height / 2;
	command(s, CCMD_SET_VIEWPORT_STATE, 0, 7);
	put(s, 0); /* first slot */
	put_float(s, half_w);
	put_float(s, half_h);
	put_float(s, 0.5f);
	put_float(s, half_w);
	put_float(s, half_h);
	put_float(s, 0.5f);
}

void bn_virgl_colour(float rgba[4], uint32_t colour)
{
	rgba[0] = (float)(colour >> 16 & 255) / 255;
	rgba[1] = (float)(colour >> 8 & 255) / 255;
	rgba[2] = (float)(colour & 255) / 255;
	rgba[3] = 1;
}

void bn_virgl_clear(struct bn_virgl_stream *s, const float rgba[4])
{
	command(s, CCMD_CLEAR, 0, 8);
	put(s, CLEAR_COLOR0);
	for (unsigned i = 0; i < 4; i++)
		put_float(s, rgba[i]);
	put(s, 0); /* depth, a double */
	put(s, 0);
	put(s, 0); /* stencil */
}

void bn_virgl_write_buffer(
	struct bn_virgl_stream *s, uint32_t res, uint32_t offset, const void *data, uint32_t len)
{
	command(s, CCMD_RESOURCE_INLINE_WRITE, 0, 11 + (len + 3) / 4);
	put(s, res);
	put(s, 0); /* level */
	put(s, 0); /* usage */
	put(s, 0); /* stride */
	put(s, 0); /* layer stride */
	put(s, offset);
	put(s, 0);
	put(s, 0);
	put(s, len);
	put(s, 1);
	put(s, 1);
	put_bytes(s, data, len);
}

static void create_shader(
	struct bn_virgl_stream *s, uint32_t handle, uint32_t type, const char *text)
{
	uint32_t len = (uint32_t)strlen(text) + 1;
	command(s, CCMD_CREATE_OBJECT, BN_VIRGL_OBJECT_SHADER, 5 + (len + 3) / 4);
	put(s, handle);
	put(s, type);
	put(s, len); /* whole length; no continuation follows */
	put(s, 300); /* token estimate, as virglrenderer's own tests send it */
	put(s, 0);   /* no stream outputs */
	put_bytes(s, text, len);
	command(s, CCMD_BIND_SHADER, 0, 2);
	put(s, handle);
	put(s, type);
}

void bn_virgl_loop_shader(
	struct bn_virgl_stream *s, uint32_t handle, uint32_t rounds, uint32_t times)
{
	char text[1024];

	/* The compiler drops a loop that it can see has no end; that a colour's w is 1 it cannot see. */
	snprintf(text, sizeof(text),
		"FRAG\n"
		"DCL IN[0], COLOR, LINEAR\n"
		"DCL OUT[0], COLOR\n"
		"DCL TEMP[0..3]\n"
		"IMM[0] FLT32 { 0.0, %u.0, %u.0, 0.25}\n"
		"IMM[1] FLT32 { 1.0, -1.0, 0.0, 0.0}\n"
		"  0: MOV TEMP[2], IN[0]\n"
		"  1: MOV TEMP[3], IMM[0].xxxx\n"
		"  2: BGNLOOP :0\n"
		"  3: MOV TEMP[0], IMM[0].xxxx\n"
		"  4: BGNLOOP :0\n"
		"  5: SGE TEMP[1].x, TEMP[0].xxxx, IMM[0].yyyy\n"
		"  6: IF TEMP[1].xxxx :0\n"
		"  7: BRK\n"
		"  8: ENDIF\n"
		"  9: ADD TEMP[0].x, TEMP[0].xxxx, IMM[1].xxxx\n"
		" 10: MAD TEMP[2], TEMP[2], IN[0], IMM[0].wwww\n"
		" 11: ENDLOOP :0\n"
		" 12: ADD TEMP[1].x, IN[0].wwww, IMM[1].yyyy\n"
		" 13: ADD TEMP[3].x, TEMP[3].xxxx, %s.xxxx\n"
		" 14: SGE TEMP[1].x, TEMP[3].xxxx, IMM[0].zzzz\n"
		" 15: IF TEMP[1].xxxx :0\n"
		" 16: BRK\n"
		" 17: ENDIF\n"
		" 18: ENDLOOP :0\n"
		" 19: MOV OUT[0], TEMP[2]\n"
		" 20: END\n",
		rounds, times ? times : 1, times ? "IMM[1]" : "TEMP[1]");
	create_shader(s, handle, SHADER_FRAGMENT, text);
}

static void create_blend(struct bn_virgl_stream *s, uint32_t handle)
{
	command(s, CCMD_CREATE_OBJECT, BN_VIRGL_OBJECT_BLEND, COLOR_BUFS + 3);
	put(s, handle);
	put(s, 0);
	put(s, 0);
	for (unsigned i = 0; i < COLOR_BUFS; i++)
		put(s, 0xfu << 27); /* colour mask RGBA, no blending */
	bn_virgl_bind_object(s, BN_VIRGL_OBJECT_BLEND, handle);
}

static void create_dsa(struct bn_virgl_stream *s, uint32_t handle)
{
	command(s, CCMD_CREATE_OBJECT, BN_VIRGL_OBJECT_DSA, 5);
	put(s, handle);
	for (unsigned i = 0; i < 4; i++)
		put(s, 0);
	bn_virgl_bind_object(s, BN_VIRGL_OBJECT_DSA, handle);
}

static void create_rasterizer(struct bn_virgl_stream *s, uint32_t handle)
{
	command(s, CCMD_CREATE_OBJECT, BN_VIRGL_OBJECT_RASTERIZER, 9);
	put(s, handle);
	put(s, 1u << 1 | 1u << 29); /* depth clip, half pixel centre */
	put_float(s, 1.0f);         /* point size */
	put(s, 0);
	put(s, 0);
	put_float(s, 1.0f); /* line width */
	put(s, 0);
	put(s, 0);
	put(s, 0);
	bn_virgl_bind_object(s, BN_VIRGL_OBJECT_RASTERIZER, handle);
}

static void create_vertex_elements(struct bn_virgl_stream *s, uint32_t handle)
{
	command(s, CCMD_CREATE_OBJECT, BN_VIRGL_OBJECT_VERTEX_ELEMENTS, 9);
	put(s, handle);
	for (uint32_t i = 0; i < 2; i++) {
		put(s, i * 16); /* offset */
		put(s, 0);      /* divisor */
		put(s, 0);      /* buffer index */
		put(s, BN_VIRGL_FORMAT_R32G32B32A32_FLOAT);
	}
	bn_virgl_bind_object(s, BN_VIRGL_OBJECT_VERTEX_ELEMENTS, handle);
}

void bn_virgl_triangle_state(struct bn_virgl_stream *s, uint32_t handle)
{
	create_shader(s, handle, SHADER_VERTEX,
		"VERT\n"
		"DCL IN[0]\n"
		"DCL IN[1]\n"
		"DCL OUT[0], POSITION\n"
		"DCL OUT[1], COLOR\n"
		"  0: MOV OUT[1], IN[1]\n"
		"  1: MOV OUT[0], IN[0]\n"
		"  2: END\n");
	create_shader(s, handle + 1, SHADER_FRAGMENT,
		"FRAG\n"
		"DCL IN[0], COLOR, LINEAR\n"
		"DCL OUT[0], COLOR\n"
		"  0: MOV OUT[0], IN[0]\n"
		"  1: END\n");
	create_blend(s, handle + 2);
	create_dsa(s, handle + 3);
	create_rasterizer(s, handle + 4);
	create_vertex_elements(s, handle + 5);
}

void bn_virgl_draw_triangles(struct bn_virgl_stream *s, uint32_t res, uint32_t count)
{
	command(s, CCMD_SET_VERTEX_BUFFERS, 0, 3);
	put(s, sizeof(struct bn_virgl_vertex));
	put(s, 0);
	put(s, res);
	command(s, CCMD_DRAW_VBO, 0, 12);
	put(s, 0); /* start */
	put(s, count);
	put(s, PRIM_TRIANGLES);
	put(s, 0); /* not indexed */
	put(s, 1); /* instances */
	for (unsigned i = 0; i < 4; i++)
		put(s, 0);
	put(s, 0); /* min, max index */
	put(s, count ? count - 1 : 0);
	put(s, 0);
}

void bn_virgl_create_query(struct bn_virgl_stream *s, uint32_t handle, uint32_t type, uint32_t res)
{
	command(s, CCMD_CREATE_OBJECT, BN_VIRGL_OBJECT_QUERY, 4);
	put(s, handle);
	put(s, type);
	put(s, 0); /* offset */
	put(s, res);
}

void bn_virgl_begin_query(struct bn_virgl_stream *s, uint32_t handle)
{
	command1(s, CCMD_BEGIN_QUERY, 0, handle);
}

void bn_virgl_end_query(struct bn_virgl_stream *s, uint32_t handle)
{
	command1(s, CCMD_END_QUERY, 0, handle);
}

void bn_virgl_get_query_result(struct bn_virgl_stream *s, uint32_t handle, bool wait)
{
	command(s, CCMD_GET_QUERY_RESULT, 0, 2);
	put(s, handle);
	put(s, wait ? 1 : 0);
}
