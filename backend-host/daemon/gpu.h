/* Which GPU the renderers use. */
#ifndef BN_DAEMON_GPU_H
#define BN_DAEMON_GPU_H

#include <stdbool.h>

#include "protocol/link.h"
#include "settings.h"

struct bn_gpu {
	enum bn_link_gpu kind;
	char path[BN_SETTINGS_PATH_MAX]; /* RENDER_NODE only */
	char reason[160];                /* why this one, for people */
};

/* Decides as the settings say. 0, or -errno when the node that they name does not open (logged). */
int bn_gpu_choose(struct bn_gpu *gpu, const struct bn_settings *settings);
/* A new open of the render node: each renderer is a GPU client of its own. -1 for other kinds;
 * -errno. */
int bn_gpu_open(const struct bn_gpu *gpu);

#endif
