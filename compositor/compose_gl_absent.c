/* Builds without EGL, GLES or GBM: the CPU composes. */
#include <errno.h>

#include "compose_gl.h"

enum bn_compose_gl_use bn_compose_gl_use;

struct bn_compose_gl *bn_compose_gl_create(int card_fd, const char *name)
{
	return NULL;
}

void bn_compose_gl_destroy(struct bn_compose_gl *gl)
{
}

bool bn_compose_gl_ready(struct bn_compose_gl *gl)
{
	return false;
}

bool bn_compose_gl_wait(struct bn_compose_gl *gl)
{
	return false;
}

void bn_compose_gl_lose(struct bn_compose_gl *gl)
{
}

int bn_compose_gl_target_create(struct bn_compose_gl_target **out, struct bn_compose_gl *gl,
	const struct bn_compose_gl_memory *memory)
{
	*out = NULL;
	return -ENOTSUP;
}

void bn_compose_gl_target_destroy(struct bn_compose_gl_target *target)
{
}

int bn_compose_gl_draw(struct bn_compose_gl *gl, struct bn_compose_gl_target *target,
	const struct bn_compose_item *items, unsigned count, bool opaque,
	pixman_region32_t *region, int *fence, uint64_t *copied)
{
	*fence = -1;
	return -ENOTSUP;
}
