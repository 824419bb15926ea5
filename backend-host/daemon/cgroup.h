/* A memory cgroup for each renderer, where a part of the cgroup tree (version 2) was delegated
 * to us: systemd's Delegate=. Elsewhere the renderer's own limits must do. */
#ifndef BN_DAEMON_CGROUP_H
#define BN_DAEMON_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct bn_cgroups; /* opaque: the delegated part */
struct bn_cgroup;  /* opaque: one renderer's */

/* NULL when nothing is delegated or the memory controller is not; the reason is logged at debug
 * level. May move this process into a child group "daemon", since a group with processes cannot
 * have controlled children. */
struct bn_cgroups *bn_cgroups_open(void);
/* NULL is allowed. */
void bn_cgroups_close(struct bn_cgroups *groups);

/* A group of that name, emptied of an earlier one. groups may be NULL; NULL is a legal group
 * everywhere below. */
struct bn_cgroup *bn_cgroup_create(struct bn_cgroups *groups, const char *name);
void bn_cgroup_destroy(struct bn_cgroup *group); /* removes it; its processes must be gone */
/* For writing: a process whose id is written there joins. The caller's; -1 when there is none, logged. */
int bn_cgroup_open_procs(const struct bn_cgroup *group);
void bn_cgroup_set_memory_max(struct bn_cgroup *group, uint64_t bytes);
/* Stops all of its processes or lets them go on; they can be killed either way. 0 or -errno;
 * -ENOTSUP for NULL. */
int bn_cgroup_freeze(struct bn_cgroup *group, bool freeze);

#endif
