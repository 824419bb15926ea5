/* What the processors do for a renderer: whose threads go first, how much processor time they
 * took, and stopping them. On a CPU rasteriser this is how the scheduler's decisions are kept; with
 * any GPU it is the hold on work that never asks for a grant, such as Vulkan's. */
#ifndef BN_DAEMON_CPU_H
#define BN_DAEMON_CPU_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cgroup.h"

/* SCHED_FIFO priorities: the arbiter before the thread that completes page flips before the
 * renderers of safety VMs. Interrupt threads (50) stay above. */
#define BN_CPU_PRIORITY_ARBITER 20
#define BN_CPU_PRIORITY_LOOP 19
#define BN_CPU_PRIORITY_SAFETY 18

enum bn_cpu_class {
	BN_CPU_NORMAL,	   /* SCHED_OTHER, nice 0 */
	BN_CPU_BACKGROUND, /* nice 10 */
	BN_CPU_IDLE,	   /* SCHED_IDLE: what nobody else wants */
	BN_CPU_SAFETY,	   /* SCHED_FIFO */
};

/* Whether this process may raise threads of another one again that it has lowered: CAP_SYS_NICE,
 * or RLIMIT_NICE that allows nice 0. */
bool bn_cpu_may_raise(void);
/* SCHED_FIFO with that priority for the calling thread, not for what it starts. 0 or -errno. */
int bn_cpu_realtime(int priority);

struct bn_cpu_process; /* opaque */

/* A process that has not been waited for, and its children, now and later; its threads may run on
 * these processors only (NULL or empty: anywhere). 0 or -errno. */
int bn_cpu_process_create(struct bn_cpu_process **out, pid_t pid, const cpu_set_t *cpus);
/* Lets it go on if it was stopped. NULL is allowed. */
void bn_cpu_process_destroy(struct bn_cpu_process *process);

/* Processor time that they took since the creation, in nanoseconds. Never falls. */
uint64_t bn_cpu_process_time(struct bn_cpu_process *process);
/* For all threads, as far as allowed; 0 or the last -errno (-ESRCH: gone). */
int bn_cpu_process_set_class(struct bn_cpu_process *process, enum bn_cpu_class cpu_class);
/* Stops every thread or lets them go on: through its cgroup where it has one (group may be NULL),
 * else by SIGSTOP and SIGCONT. What somebody else stopped is not set free. 0 or -errno. */
int bn_cpu_process_freeze(struct bn_cpu_process *process, struct bn_cgroup *group, bool freeze);

enum bn_cpu_state {
	BN_CPU_STATE_GONE,
	BN_CPU_STATE_STOPPED,  /* by a signal, a debugger, or a freezer that stops it in place */
	BN_CPU_STATE_RUNNABLE, /* it runs or would, if it were let */
	BN_CPU_STATE_WAITING,
};
/* Of the process's first thread. */
enum bn_cpu_state bn_cpu_process_state(const struct bn_cpu_process *process);

/* Time at the GPU as the kernel's driver counts it (drm-engine-* of its fds), in nanoseconds; 0
 * where the driver does not or it cannot be read. Takes as long as the process has fds. */
uint64_t bn_cpu_process_gpu_time(const struct bn_cpu_process *process);
/* Sum of the drm-engine-* lines of one fdinfo text. *client: its drm-client-id, 0 for none. */
uint64_t bn_cpu_fdinfo_time(const char *text, uint64_t *client);

#endif
