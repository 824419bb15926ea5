/* The renderer's cage. Two halves: the daemon starts the process inside new user, mount, network,
 * pid and ipc namespaces (bn_sandbox_spawn); the process, before it touches anything that a guest
 * supplies, builds its own small root, gives up every capability and filters its system calls
 * (bn_sandbox_enter). */
#ifndef BN_SANDBOX_SANDBOX_H
#define BN_SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct bn_sandbox_spawn {
	const char *path; /* of the program; opened before the namespaces change */
	char *const *argv;
	char *const *env; /* as bn_sandbox_env() makes it; NULL: empty */
	const int *fds; /* the child gets these as 3, 4, …; not closed here */
	unsigned nfds;
	bool namespaces; /* false with --no-sandbox */
};

/* The environment for such programs: what this process has of the variables that concern drivers, the C
 * library, the log and sanitizers; nothing else. NULL-terminated and one block: free(). NULL without
 * memory. Not while another thread changes the environment. */
char **bn_sandbox_env(void);

/* Starts a process. When the kernel refuses namespaces, starts it without them and logs one clear
 * line naming the sysctl or setting at fault. Returns the pid and a pidfd in *pidfd, or -errno. It
 * takes milliseconds, as it waits for the program to run. The process is killed when the *thread* that
 * called this ends. */
pid_t bn_sandbox_spawn(const struct bn_sandbox_spawn *spawn, int *pidfd);

/* The ids that a process started so, with a user namespace, has outside of it: what is to be
 * writable for it belongs to them. */
void bn_sandbox_ids(uid_t *uid, gid_t *gid);

struct bn_sandbox_config {
	bool render_node;    /* a GPU node is in use: /sys parts that libdrm reads are kept too */
	uint64_t memory_max; /* RLIMIT_AS-like bound in bytes, 0: none */
	unsigned fds_max;    /* RLIMIT_NOFILE */
	const char *shader_cache; /* folder of this VM alone, writable inside; NULL: in memory */
};

/* Locks this process in. Returns the BN_LINK_SANDBOX_* bits in force; whatever could not be done is
 * logged with its reason. -errno when a step failed half-way: the caller must exit. */
int bn_sandbox_enter(const struct bn_sandbox_config *config);

#endif
