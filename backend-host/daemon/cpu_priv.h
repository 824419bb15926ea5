/* A process as cpu.c and cpu_gpu.c know it. */
#ifndef BN_DAEMON_CPU_PRIV_H
#define BN_DAEMON_CPU_PRIV_H

#include <time.h>

#include "cpu.h"

#define BN_CPU_MEMBERS_MAX 64u

/* Nothing in /proc is looked up by its path after the creation: while a process ends, the kernel may
 * spin in a look-up until the threads that end have got on, and on the processor of a thread with a
 * real-time priority they do not. */
struct bn_cpu_member {
	pid_t pid;
	int pidfd;    /* signals go through it: a pid may belong to somebody else by now */
	int tasks;    /* /proc/PID/task */
	int children; /* … of its first thread; -1: the kernel does not say */
	int stat;     /* /proc/PID/stat */
	int fdinfo;   /* /proc/PID/fdinfo; -1: not for us */
	/* /proc/PID/autogroup; -1: the kernel does not share processors between sessions. A renderer is
	 * a session, and niceness and SCHED_IDLE count within one only. */
	int autogroup;
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

/* Calls use(data, name) for every entry of that folder. 0 or the last -errno; -ESRCH: its process is
 * gone. */
int bn_cpu_each_entry(int dir, int (*use)(void *data, const char *name), void *data);

#endif
