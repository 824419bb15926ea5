/* Writes virgl command streams by hand: what Mesa's virgl driver would send in SUBMIT_3D, as little
 * of it as tests need. The numbers are those of virglrenderer's src/virgl_protocol.h and
 * src/virgl_hw.h and of Gallium's p_defines.h (virglrenderer 1.1.0); no installed header carries
 * them. Needs libc alone. */
#ifndef BN_TESTS_GUEST_VIRGL_STREAM_H
#define BN_TESTS_GUEST_VIRGL_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* virgl_hw.h, enum virgl_formats */
#define BN_VIRGL_FORMAT_B8G8R8A8 1u
#define BN_VIRGL_FORMAT_B8G8R8X8 2u
#define BN_VIRGL_FORMAT_R32G32B32A32_FLOAT 31u
#define BN_VIRGL_FORMAT_R8 64u
#define BN_VIRGL_FORMAT_R8G8B8A8 67u
#define BN_VIRGL_FORMAT_R8G8B8X8 134u
/* p_defines.h, enum pipe_texture_target */
#define BN_VIRGL_TARGET_BUFFER 0u
#define BN_VIRGL_TARGET_2D 2u
/* virglrenderer.h, VIRGL_RES_BIND_* */
#define BN_VIRGL_BIND_RENDER_TARGET (1u << 1)
#define BN_VIRGL_BIND_SAMPLER_VIEW (1u << 3)
#define BN_VIRGL_BIND_VERTEX_BUFFER (1u << 4)
#define BN_VIRGL_BIND_CUSTOM (1u << 17)
#define BN_VIRGL_BIND_SCANOUT (1u << 18)
/* virgl_hw.h, VIRGL_RESOURCE_Y_0_TOP */
#define BN_VIRGL_RESOURCE_Y_0_TOP 1u
/* p_defines.h, enum pipe_query_type */
#define BN_VIRGL_QUERY_OCCLUSION_COUNTER 0u
/* virgl_protocol.h, enum virgl_object_type */
#define BN_VIRGL_OBJECT_BLEND 1u
#define BN_VIRGL_OBJECT_RASTERIZER 2u
#define BN_VIRGL_OBJECT_DSA 3u
#define BN_VIRGL_OBJECT_SHADER 4u
#define BN_VIRGL_OBJECT_VERTEX_ELEMENTS 5u
#define BN_VIRGL_OBJECT_SURFACE 8u
#define BN_VIRGL_OBJECT_QUERY 9u
/* virgl_protocol.h, VIRGL_QUERY_STATE_DONE: first word of a query's buffer, its size the second,
 * then the value in 64 bits */
#define BN_VIRGL_QUERY_DONE 1u

/* A stream under construction in the caller's memory. Writing past the end drops the words and sets
 * overflow: check it once, at the end. */
struct bn_virgl_stream {
	uint32_t *words;
	uint32_t count, capacity;
	bool overflow;
};

/* words must be 8-byte aligned for bn_gl_submit() and stays the caller's. */
void bn_virgl_init(struct bn_virgl_stream *s, uint32_t *words, uint32_t capacity);
/* Forgets what was written. */
void bn_virgl_reset(struct bn_virgl_stream *s);

/* NOP with len words of zero payload. */
void bn_virgl_nop(struct bn_virgl_stream *s, uint32_t len);
/* A CLEAR of the wrong length: the context is lost when the host decodes it. (A merely unknown
 * command is refused, but the context lives on.) */
void bn_virgl_garbage(struct bn_virgl_stream *s);
void bn_virgl_create_sub_ctx(struct bn_virgl_stream *s, uint32_t id);
void bn_virgl_set_sub_ctx(struct bn_virgl_stream *s, uint32_t id);
void bn_virgl_destroy_sub_ctx(struct bn_virgl_stream *s, uint32_t id);

/* Object handles are the context's, freely chosen, not 0. */
void bn_virgl_create_surface(
	struct bn_virgl_stream *s, uint32_t handle, uint32_t res, uint32_t format);
void bn_virgl_bind_object(struct bn_virgl_stream *s, uint32_t type, uint32_t handle);
void bn_virgl_destroy_object(struct bn_virgl_stream *s, uint32_t type, uint32_t handle);
/* One colour buffer, no depth. surface 0: none. */
void bn_virgl_set_framebuffer(struct bn_virgl_stream *s, uint32_t surface);
void bn_virgl_set_viewport(struct bn_virgl_stream *s, uint32_t width, uint32_t height);
/* Of 0x00RRGGBB, opaque. */
void bn_virgl_colour(float rgba[4], uint32_t colour);
/* Clears colour buffer 0. */
void bn_virgl_clear(struct bn_virgl_stream *s, const float rgba[4]);
/* Writes len bytes at byte `offset` of a buffer resource. */
void bn_virgl_write_buffer(
	struct bn_virgl_stream *s, uint32_t res, uint32_t offset, const void *data, uint32_t len);

/* Four floats of position (clip space), four of colour. */
struct bn_virgl_vertex {
	float position[4], color[4];
};
#define BN_VIRGL_TRIANGLE_HANDLES 6u
/* Creates and binds all state that triangles need (objects handle … handle +
 * BN_VIRGL_TRIANGLE_HANDLES - 1): once per sub-context. */
void bn_virgl_triangle_state(struct bn_virgl_stream *s, uint32_t handle);
/* Draws count vertices as triangles from buffer resource `res` (bound as VERTEX_BUFFER, filled with
 * bn_virgl_vertex). */
void bn_virgl_draw_triangles(struct bn_virgl_stream *s, uint32_t res, uint32_t count);

/* Creates and binds a fragment shader (after bn_virgl_triangle_state()) that counts to `rounds`
 * (at most 65,000: llvmpipe ends a loop after 65,535 rounds) so many times for every pixel before it
 * is coloured. times 0: without an end, as far as llvmpipe goes, which is hours. */
void bn_virgl_loop_shader(
	struct bn_virgl_stream *s, uint32_t handle, uint32_t rounds, uint32_t times);

/* A query object that answers into buffer resource `res` at offset 0 (16 bytes, bound as CUSTOM,
 * with backing). */
void bn_virgl_create_query(struct bn_virgl_stream *s, uint32_t handle, uint32_t type, uint32_t res);
void bn_virgl_begin_query(struct bn_virgl_stream *s, uint32_t handle);
void bn_virgl_end_query(struct bn_virgl_stream *s, uint32_t handle);
void bn_virgl_get_query_result(struct bn_virgl_stream *s, uint32_t handle, bool wait);

#endif
