/* What virgl_walk*.c share: command numbers and what is remembered of a context. Not for others. */
#ifndef BN_PROTOCOL_VIRGL_WALK_PRIV_H
#define BN_PROTOCOL_VIRGL_WALK_PRIV_H

#include "protocol/virgl_walk.h"

/* virglrenderer 1.1.0, src/virgl_protocol.h, enum virgl_context_cmd: those that are looked at. */
enum bn_virgl_cmd {
	CCMD_CREATE_OBJECT = 1,
	CCMD_DESTROY_OBJECT = 3,
	CCMD_SET_FRAMEBUFFER_STATE = 5,
	CCMD_CLEAR = 7,
	CCMD_DRAW_VBO = 8,
	CCMD_RESOURCE_INLINE_WRITE = 9,
	CCMD_BLIT = 16,
	CCMD_RESOURCE_COPY_REGION = 17,
	CCMD_BEGIN_QUERY = 19,
	CCMD_END_QUERY = 20,
	CCMD_GET_QUERY_RESULT = 21,
	CCMD_SET_SUB_CTX = 28,
	CCMD_CREATE_SUB_CTX = 29,
	CCMD_DESTROY_SUB_CTX = 30,
	CCMD_BIND_SHADER = 31,
	CCMD_SET_SHADER_IMAGES = 35,
	CCMD_LAUNCH_GRID = 37,
	CCMD_SET_FRAMEBUFFER_STATE_NO_ATTACH = 38,
	CCMD_TRANSFER3D = 43,
	CCMD_END_TRANSFERS = 44,
	CCMD_COPY_TRANSFER3D = 45,
	CCMD_CLEAR_TEXTURE = 47,
	CCMD_PIPE_RESOURCE_CREATE = 48,
	CCMD_PIPE_RESOURCE_SET_TYPE = 49,
	CCMD_LINK_SHADER = 52,
	CCMD_CREATE_VIDEO_CODEC = 53,
	CCMD_CREATE_VIDEO_BUFFER = 55,
	CCMD_BEGIN_FRAME = 57,
	CCMD_END_FRAME = 61,
	CCMD_CLEAR_SURFACE = 62,
	CCMD_KNOWN = 63,
};

/* The same file, enum virgl_object_type. */
enum bn_virgl_object {
	OBJECT_NONE = 0, /* here: an empty place in the table */
	OBJECT_SHADER = 4,
	OBJECT_SURFACE = 8,
	OBJECT_QUERY = 9,
	OBJECT_MSAA_SURFACE = 11,
};

/* Gallium's p_defines.h as virglrenderer has it. */
#define QUERY_TIME_ELAPSED 4u
#define SHADER_FRAGMENT 1u
#define SHADER_COMPUTE 5u
#define SHADER_TYPES 6u

#define OFFSET_CONT 0x80000000u

/* An object of a sub-context; handles are the guest's. */
struct bn_virgl_known {
	uint32_t sub, handle;
	uint32_t value; /* surface: pixels; shader: words of text; query: type */
	uint32_t
		serial; /* the object's own, never 0 but in empty places; low four bits: its type */
	uint32_t res;   /* surface: its resource */
};

#define TARGETS_MAX 8u

/* A sub-context: what is bound in it. */
struct bn_virgl_sub {
	uint32_t id;
	uint64_t used;                  /* when it was last switched to; 0: free */
	uint32_t target;                /* pixels of the largest attachment */
	uint32_t text;                  /* words of the bound fragment shader, 0 unknown */
	uint32_t bound[SHADER_TYPES];   /* serials */
	uint32_t missing[SHADER_TYPES]; /* words still to come of a long shader */
	uint32_t unfinished;            /* bit for each of them that is not 0 */
	uint32_t time_query;            /* handle of a TIME_ELAPSED query that runs, or 0 */
	uint32_t targets;               /* colour buffers bound, in: */
	uint32_t target_res[TARGETS_MAX];
	uint32_t writes;     /* bits of what is watched and bound as colour buffers … */
	uint64_t writes_walk; /* … in this walk; another one: to be found out */
	bool dirty, compute_dirty; /* shaders were bound since the last draw, the last dispatch */
};

#define SUBS_MAX 32u
#define WAYS 8u
#define SETS_MIN 8u
#define SETS_MAX 256u
#define COMBINATIONS 256u

struct bn_virgl_state {
	bn_virgl_resource_size *size;
	void *data;
	struct bn_virgl_sub *sub; /* the current one, in subs */
	struct bn_virgl_sub subs[SUBS_MAX];
	struct bn_virgl_known *known; /* sets × WAYS */
	uint32_t sets, victim, serial;
	uint64_t tick;
	bn_virgl_watch *watch; /* NULL: nothing is watched in this walk */
	void *watch_data;
	uint64_t walk;      /* counts those that watch */
	uint32_t largest;   /* pixels of the largest surface ever: taken for those not remembered */
	bool video;         /* between BEGIN_FRAME and END_FRAME */
	bool sub_forgotten; /* a sub-context fell out of subs */
	uint32_t combinations[COMBINATIONS]; /* hashes of what was drawn with together */
};

/* NULL: not known (any more). */
struct bn_virgl_known *bn_virgl_known_find(const struct bn_virgl_state *state, uint32_t handle);
/* Of the current sub-context; replaces what had the handle. May forget another object. */
struct bn_virgl_known *bn_virgl_known_add(
	struct bn_virgl_state *state, uint32_t handle, enum bn_virgl_object type, uint32_t value);
void bn_virgl_known_remove(struct bn_virgl_state *state, uint32_t handle);
static inline enum bn_virgl_object bn_virgl_known_type(const struct bn_virgl_known *known)
{
	return (enum bn_virgl_object)(known->serial & 15);
}

/* Switches; made: by CREATE_SUB_CTX, so nothing is bound in it. */
void bn_virgl_sub_enter(struct bn_virgl_state *state, uint32_t id, bool made);
void bn_virgl_sub_leave(struct bn_virgl_state *state, uint32_t id);

/* True the first time that these come together (and again once that has been forgotten). */
bool bn_virgl_combination_new(
	struct bn_virgl_state *state, const uint32_t *serials, unsigned count);

/* Looks at one command (header at words[0], as many words behind it as that says) and adds what it
 * asks for to the piece's work and flags. False: it is too short, virglrenderer will refuse it, or a
 * hostile transfer. */
bool bn_virgl_look(
	struct bn_virgl_state *state, const uint32_t *words, struct bn_virgl_piece *piece);
/* The bits of all that is watched and the command writes to; it has been looked at. */
uint32_t bn_virgl_writes(struct bn_virgl_state *state, const uint32_t *words);
/* False for commands that bn_virgl_look() only counts. */
bool bn_virgl_interesting(uint32_t header);

#endif
