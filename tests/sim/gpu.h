/* A GPU that takes time: the functions of gl.h over contexts that are busy for as long as their
 * command streams say. */
#ifndef BN_TESTS_SIM_GPU_H
#define BN_TESTS_SIM_GPU_H

#include "gl.h"
#include "sim.h"

#define GPU_CONTEXTS 8u

enum gpu_engine {
	GPU_SERIAL,   /* one engine: contexts wait for each other, done in the order of making */
	GPU_PARALLEL, /* each context on its own: done in any order across contexts */
	GPU_REPORTED_IN_ORDER, /* … but reported in the order of making, as virglrenderer does */
};

struct bn_gl {
	enum gpu_engine engine;
	bool can_export;
	struct bn_gl_listener listener;
	void (*draws)(void *data, uint32_t res_id); /* a stream was begun that draws into it */
	void *data;
	uint64_t busy_until[GPU_CONTEXTS]; /* by context id */
	uint64_t reported_until;
	uint64_t done_ns[GPU_CONTEXTS]; /* when the last fence was reported */
	unsigned contexts, resources;   /* alive */
};

/* A command stream that keeps the GPU busy for ns and draws into a resource (0: none): one command. */
#define GPU_STREAM_WORDS 14u
void gpu_stream(uint32_t words[GPU_STREAM_WORDS], uint32_t res_id, uint64_t ns);

#endif
