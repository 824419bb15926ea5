#include "gpu.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"

/* Minor numbers of render nodes (drm core: 128–191). */
#define NODE_FIRST 128
#define NODE_LAST 191

static int open_node(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* 0 and the path of the first node that opens, else the most telling error. */
static int find_node(char path[BN_SETTINGS_PATH_MAX])
{
	int error = -ENOENT;
	for (int minor = NODE_FIRST; minor <= NODE_LAST; minor++) {
		snprintf(path, BN_SETTINGS_PATH_MAX, "/dev/dri/renderD%d", minor);
		int fd = open_node(path);
		if (fd >= 0) {
			bn_fd_close(&fd);
			return 0;
		}
		if (fd != -ENOENT)
			error = fd;
	}
	return error;
}

static void choose_auto(struct bn_gpu *gpu)
{
	int ret = find_node(gpu->path);
	if (ret == 0) {
		gpu->kind = BN_LINK_GPU_RENDER_NODE;
		snprintf(gpu->reason, sizeof(gpu->reason), "the first render node that opens");
		return;
	}
	gpu->kind = BN_LINK_GPU_SURFACELESS;
	gpu->path[0] = '\0';
	snprintf(gpu->reason, sizeof(gpu->reason), "software rasteriser: %s",
		ret == -ENOENT   ? "there is no /dev/dri/renderD*"
		: ret == -EACCES ? "no permission for /dev/dri/renderD* (join the group 'render')"
				 : strerror(-ret));
}

int bn_gpu_choose(struct bn_gpu *gpu, const struct bn_settings *settings)
{
	*gpu = (struct bn_gpu){.kind = BN_LINK_GPU_NONE};
	snprintf(gpu->reason, sizeof(gpu->reason), "set by gpu=");
	switch (settings->gpu) {
	case BN_SETTINGS_GPU_AUTO:
		choose_auto(gpu);
		return 0;
	case BN_SETTINGS_GPU_SURFACELESS:
		gpu->kind = BN_LINK_GPU_SURFACELESS;
		return 0;
	case BN_SETTINGS_GPU_NONE:
		return 0;
	case BN_SETTINGS_GPU_NODE:
		break;
	}
	gpu->kind = BN_LINK_GPU_RENDER_NODE;
	strcpy(gpu->path, settings->gpu_path);
	int fd = bn_gpu_open(gpu);
	if (fd < 0) {
		bn_error("gpu=%s: %s; a render node that this user may open is expected, or auto",
			gpu->path, strerror(-fd));
		return fd;
	}
	bn_fd_close(&fd);
	return 0;
}

int bn_gpu_open(const struct bn_gpu *gpu)
{
	return gpu->kind == BN_LINK_GPU_RENDER_NODE ? open_node(gpu->path) : -1;
}
