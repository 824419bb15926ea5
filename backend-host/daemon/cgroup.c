#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"

#define ROOT "/sys/fs/cgroup"
#define OWN_GROUP "daemon"

struct bn_cgroups {
	int fd; /* the delegated folder */
};

struct bn_cgroup {
	int parent, fd;
	char name[64];
};

static int write_file(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	bn_fd_close(&fd);
	return ret;
}

/* This process's group: the path after "0::" (the only line of version 2). */
static bool own_group(char path[PATH_MAX])
{
	char line[PATH_MAX];
	FILE *file = fopen("/proc/self/cgroup", "re");
	bool found = false;
	while (file && !found && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		found = strncmp(line, "0::/", 4) == 0 &&
			snprintf(path, PATH_MAX, ROOT "%s", line + 3) < PATH_MAX;
	}
	if (file)
		fclose(file);
	return found;
}

/* systemd marks what it delegates; a folder that merely happens to be writable is not ours to
 * rearrange. */
static bool is_delegated(const char *path)
{
	char value[2] = "";
	return (getxattr(path, "user.delegate", value, 1) == 1 ||
		       getxattr(path, "trusted.delegate", value, 1) == 1) &&
	       value[0] == '1';
}

/* Opens the delegated folder; *inside tells that this process still sits in it. */
static int open_delegated(bool *inside)
{
	char path[PATH_MAX];
	if (!own_group(path))
		return -ENOENT;
	*inside = is_delegated(path);
	char *slash = strrchr(path, '/');
	if (!*inside && slash && strcmp(slash + 1, OWN_GROUP) == 0) /* DelegateSubgroup= */
		*slash = '\0';
	if (!is_delegated(path))
		return -EPERM;
	int fd = open(path, O_DIRECTORY | O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int leave_for_child(int fd)
{
	if (mkdirat(fd, OWN_GROUP, 0755) < 0 && errno != EEXIST)
		return -errno;
	return write_file(fd, OWN_GROUP "/cgroup.procs", "0");
}

struct bn_cgroups *bn_cgroups_open(void)
{
	bool inside = false;
	int fd = open_delegated(&inside);
	int ret = fd < 0 ? fd : inside ? leave_for_child(fd) : 0;
	if (ret == 0)
		ret = write_file(fd, "cgroup.subtree_control", "+memory");
	struct bn_cgroups *groups = ret == 0 ? malloc(sizeof(*groups)) : NULL;
	if (!groups) {
		bn_debug("renderers get no memory cgroup: %s",
			ret == -EPERM ? "none is delegated to this service" : strerror(-ret));
		bn_fd_close(&fd);
		return NULL;
	}
	groups->fd = fd;
	return groups;
}

void bn_cgroups_close(struct bn_cgroups *groups)
{
	if (!groups)
		return;
	bn_fd_close(&groups->fd);
	free(groups);
}

struct bn_cgroup *bn_cgroup_create(struct bn_cgroups *groups, const char *name)
{
	if (!groups)
		return NULL;
	struct bn_cgroup *g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	g->parent = groups->fd;
	snprintf(g->name, sizeof(g->name), "vm-%s", name);
	if (mkdirat(g->parent, g->name, 0755) < 0 && errno != EEXIST) {
		bn_warn("%s: its memory cgroup: %s", name, strerror(errno));
		free(g);
		return NULL;
	}
	g->fd = openat(g->parent, g->name, O_DIRECTORY | O_PATH | O_CLOEXEC);
	if (g->fd < 0) {
		bn_cgroup_destroy(g);
		return NULL;
	}
	/* All of a renderer or nothing: half of one is of no use. */
	write_file(g->fd, "memory.oom.group", "1");
	return g;
}

void bn_cgroup_destroy(struct bn_cgroup *g)
{
	if (!g)
		return;
	bn_fd_close(&g->fd);
	if (unlinkat(g->parent, g->name, AT_REMOVEDIR) < 0)
		bn_debug("removing cgroup %s: %s", g->name, strerror(errno));
	free(g);
}

int bn_cgroup_open_procs(const struct bn_cgroup *g)
{
	if (!g)
		return -1;
	int fd = openat(g->fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		bn_warn("%s: putting its renderer into a memory cgroup: %s", g->name,
			strerror(errno));
	return fd;
}

void bn_cgroup_set_memory_max(struct bn_cgroup *g, uint64_t bytes)
{
	char text[24];
	if (!g)
		return;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	int ret = write_file(g->fd, "memory.max", text);
	if (ret < 0)
		bn_warn("%s: its memory limit: %s", g->name, strerror(-ret));
}

int bn_cgroup_freeze(struct bn_cgroup *g, bool freeze)
{
	return g ? write_file(g->fd, "cgroup.freeze", freeze ? "1" : "0") : -ENOTSUP;
}
