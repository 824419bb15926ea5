/* Walks a virgl command stream (the payload of SUBMIT_3D) without executing it: what it will cost
 * is guessed from what it contains, and it is cut where virglrenderer may be left for a while.
 *
 * Header word (virglrenderer src/virgl_protocol.h): command | object type << 8 | length << 16,
 * length in 32-bit words without the header. virglrenderer keeps all decoding state in the context
 * between two submits (src/vrend_decode.c), so a stream may be cut before any command header,
 * provided that the pieces run in order, with no other command of that VM's context in between, that
 * each begins in the right sub-context (bn_virgl_piece_words()), and that a failing piece ends the
 * stream. The exceptions are in bn_virgl_cut().
 *
 * The stream is private memory, copied from the guest's. Nothing in it is believed: a command that
 * reaches past the end, or whose payload is too short for what is looked at, ends the walk at that
 * place, and the rest is one piece, for virglrenderer to refuse. */
#ifndef BN_PROTOCOL_VIRGL_WALK_H
#define BN_PROTOCOL_VIRGL_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a piece of stream asks of the GPU. Saturating. */
struct bn_virgl_work {
	uint32_t commands;
	uint32_t draws;         /* DRAW_VBO; indirect ones too, whose counts are unknown */
	uint32_t indirect_draws;
	uint32_t clears;        /* CLEAR, CLEAR_TEXTURE, CLEAR_SURFACE */
	uint32_t transfers;     /* TRANSFER3D, COPY_TRANSFER3D, inline writes */
	uint32_t copies;        /* RESOURCE_COPY_REGION, BLIT */
	uint32_t dispatches;    /* LAUNCH_GRID */
	uint32_t shaders;       /* CREATE_OBJECT of a shader (its last piece) or LINK_SHADER */
	uint32_t objects;       /* other CREATE_OBJECTs, sub-contexts, pipe resources */
	uint32_t target_changes; /* SET_FRAMEBUFFER_STATE */
	uint64_t vertices;      /* count × max(instances, 1) of all draws */
	uint64_t pixels;        /* render-target area under each draw and clear, summed */
	uint64_t shader_pixels; /* the same weighted with the bound fragment shader's length in
				   words of text; 1 where it is unknown */
	uint64_t transfer_bytes; /* of inline data, and of boxes × 4 where only a box is named */
	uint64_t copy_pixels;
	uint64_t compute_groups;
};

/* What the walk must remember of a context from one submit to the next: surfaces' sizes, which
 * are bound, how long the shaders are. Fixed bound on memory per context. */
struct bn_virgl_state;

/* NULL without memory. sizes: looks a resource up for its width and height, false when it is not
 * known; data is handed to it. */
typedef bool bn_virgl_resource_size(
	void *data, uint32_t res_id, uint32_t *width, uint32_t *height);
struct bn_virgl_state *bn_virgl_state_create(bn_virgl_resource_size *size, void *data);
/* NULL is allowed. */
void bn_virgl_state_destroy(struct bn_virgl_state *state);

/* One piece to be executed in one go: words [start, start + count) of the stream. */
struct bn_virgl_piece {
	uint32_t start, count;
	uint32_t sub_ctx; /* the sub-context that its first command is for */
	struct bn_virgl_work work;
	bool query_result; /* has GET_QUERY_RESULT: virglrenderer's fence must be asked for */
	bool new_shader;   /* draws with shaders never drawn with together: they are compiled */
	bool hostile_transfer; /* must not be executed, see bn_virgl_transfer_ok() */
	uint64_t cost_ns;  /* as predicted when it was cut */
	uint32_t writes;   /* bits of what is watched and it writes to: bn_virgl_walk_watch() */
};

/* The words to execute for a piece: its own, and in front of all but a stream's first one a SET_SUB_CTX
 * of sub_ctx, put where the words of the piece before were. For when a fence retires between two pieces
 * and a query waits for its result, virglrenderer 1.1.0 leaves the context in the query's sub-context
 * (src/vrend_renderer.c, vrend_renderer_check_queries()). words: the stream, whose pieces before this
 * one are not needed any more. */
uint32_t *bn_virgl_piece_words(
	uint32_t *words, const struct bn_virgl_piece *piece, uint32_t *count);

/* GL contexts that executing the words would make: one for each CREATE_SUB_CTX, also behind a command
 * that ends the walk. */
uint32_t bn_virgl_sub_contexts(const uint32_t *words, uint32_t count);

/* Predicts, for cutting. */
typedef uint64_t bn_virgl_cost(void *data, const struct bn_virgl_work *work);

/* A walk over one stream. */
struct bn_virgl_walk {
	const uint32_t *words;
	uint32_t count, at; /* everything before `at` has been given out */
	struct bn_virgl_state *state;
	bool broken; /* the rest is one piece */
	struct bn_virgl_piece ahead; /* looked at already, for the next piece */
};
void bn_virgl_walk_begin(struct bn_virgl_walk *walk, struct bn_virgl_state *state,
	const uint32_t *words, uint32_t count);

/* Some bits for a resource that somebody still looks at, 0 for all others. */
typedef uint32_t bn_virgl_watch(void *data, uint32_t res_id);
/* The walk tells which pieces write to resources that watch() has bits for: a piece with work for the GPU
 * ends before a command that writes to one of them for the first time, whatever the limit, so that the
 * piece need not wait, too. The answers must not
 * change while the walk lasts. Seen are draws and clears into what is bound as a colour buffer, blits,
 * copies, inline writes, transfers, and shader images when they are bound for writing. Not seen: images
 * that were bound by a stream before, video, and what has fallen out of the tables (a surface among
 * thousands). Between bn_virgl_walk_begin(), which ends what was watched before, and the first cut. */
void bn_virgl_walk_watch(struct bn_virgl_walk *walk, bn_virgl_watch *watch, void *data);

/* The next piece: as many commands as stay within max_cost_ns by cost() (0: no limit, the whole
 * rest), at least one. False at the end. Prefers to cut where the render target changes: once half
 * of max_cost_ns is used, a SET_FRAMEBUFFER_STATE begins the next piece. cost is not called, and may
 * be NULL, when max_cost_ns is 0; cost_ns is 0 then. The limit may change from call to call.
 *
 * Never cut (protocol rules from virglrenderer 1.1.0, src/vrend_decode.c, and Mesa 25.0.7,
 * src/gallium/winsys/virgl):
 *  - in a row of TRANSFER3D and COPY_TRANSFER3D with the END_TRANSFERS behind it (Mesa puts
 *    uploads in front of the draws that need them);
 *  - the pieces of one long shader (CREATE_OBJECT with OFFSET_CONT), from first to last;
 *  - between SET_SUB_CTX and the command behind it, and between a CREATE_SUB_CTX and its
 *    SET_SUB_CTX;
 *  - between BEGIN_QUERY and END_QUERY of a TIME_ELAPSED query, unless that spans more than
 *    max_cost_ns by four times;
 *  - between BEGIN_FRAME and END_FRAME (video);
 *  - behind a PIPE_RESOURCE_CREATE or a CREATE_VIDEO_*: the next command goes with it.
 * Legal streams mean the same wherever they are cut: these rules keep what belongs together close in
 * time. So a guest cannot use them to escape the limit: but for the query, none holds over a command
 * that draws, and none over more than four times max_cost_ns.
 *
 * A single command is never divided, so one draw may cost more than max_cost_ns. */
bool bn_virgl_cut(struct bn_virgl_walk *walk, uint64_t max_cost_ns, bn_virgl_cost *cost, void *data,
	struct bn_virgl_piece *piece);

/* virglrenderer 1.1.0 adds up a transfer's strides and box in 32 bits (src/vrend_renderer.c) when it
 * checks that the transfer stays within the guest's memory. False when the command (its header word
 * first, length as in the header) is a TRANSFER3D, COPY_TRANSFER3D or RESOURCE_INLINE_WRITE whose sum
 * exceeds 2^31 or whose box is negative; true for all others. width, height: of the resource, or 0;
 * they matter where the command leaves a stride to the renderer.
 *
 * bn_virgl_cut() asks it of every transfer. One that fails begins a last piece of its own, the rest of
 * the stream, with hostile_transfer set: it must not go to virglrenderer, but end the stream as a
 * refused command does. */
bool bn_virgl_transfer_ok(
	const uint32_t *command, uint32_t length, uint32_t width, uint32_t height);

/* a += b, saturating. */
void bn_virgl_work_add(struct bn_virgl_work *a, const struct bn_virgl_work *b);

#endif
