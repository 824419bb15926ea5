/* A process as cpu.c and cpu_gpu.c know it. */
#ifndef BN_DAEMON_CPU_PRIV_H
#define BN_DAEMON_CPU_PRIV_H

#include <time.h>

#include "cpu.h"

#define BN_CPU_MEMBERS_MAX 64u

struct bn_cpu_member {
	pid_t pid;
	int pidfd; /* signals go through it: a pid may belong to somebody else by now */
	clockid_t clock;
	uint64_t seen_ns;
};

struct bn_cpu_process {
	struct bn_cpu_member member[BN_CPU_MEMBERS_MAX]; /* the first: the process itself */
	unsigned count;
	uint64_t total_ns, children_ns; /* when children were looked for */
	bool frozen;
	struct bn_cgroup *group; /* through which it is frozen; NULL: by signals */
};

#endif
