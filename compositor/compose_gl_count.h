/* Counts what is composed on a GPU, for compositor/gpu.h. Private to the compositor. */
#ifndef BN_COMPOSITOR_COMPOSE_GL_COUNT_H
#define BN_COMPOSITOR_COMPOSE_GL_COUNT_H

#include "compositor/gpu.h"

bool bn_gpu_allowed(void);
/* Whether the GPU may be used for a picture. After true comes bn_gpu_drawn() or bn_gpu_failed(). */
bool bn_gpu_begin(void);
/* fence: see bn_gpu_hooks.queued. */
void bn_gpu_drawn(int fence);
void bn_gpu_done(uint64_t gpu_ns);
/* Also when none was begun. */
void bn_gpu_failed(void);
void bn_gpu_lost(void);

#endif
