#include "cpu.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "cpu_priv.h"

/* Threads may start others while we go through them; those inherit, unless their parent had not
 * been changed yet. */
#define PASSES 3

/* ---- rights ---- */

static bool has_capability(unsigned cap)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	return syscall(SYS_capget, &header, data) == 0 &&
	       data[CAP_TO_INDEX(cap)].effective & CAP_TO_MASK(cap);
}

bool bn_cpu_may_raise(void)
{
	struct rlimit limit;
	return has_capability(CAP_SYS_NICE) ||
	       (getrlimit(RLIMIT_NICE, &limit) == 0 && limit.rlim_cur >= 20);
}

int bn_cpu_realtime(int priority)
{
	const struct sched_param param = {.sched_priority = priority};
	return sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param) < 0 ? -errno : 0;
}

/* ---- the process and its children ---- */

static struct bn_cpu_member *add_member(struct bn_cpu_process *p, pid_t pid)
{
	for (unsigned i = 0; i < p->count; i++) {
		if (p->member[i].pid == pid)
			return &p->member[i];
	}
	if (p->count == BN_CPU_MEMBERS_MAX)
		return NULL;
	struct bn_cpu_member *m = &p->member[p->count];
	*m = (struct bn_cpu_member){.pid = pid};
	if (clock_getcpuclockid(pid, &m->clock) != 0)
		return NULL;
	m->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (m->pidfd < 0)
		return NULL;
	p->count++;
	return m;
}

/* Calls use(data, tid) for every thread of that process. */
static int each_thread(pid_t pid, int (*use)(void *data, pid_t tid), void *data)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *dir = opendir(path);
	if (!dir)
		return -ESRCH;
	int ret = 0;
	for (struct dirent *entry; (entry = readdir(dir));) {
		pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
		int error = tid > 0 ? use(data, tid) : 0;
		ret = error < 0 ? error : ret;
	}
	closedir(dir);
	return ret;
}

struct children_of {
	struct bn_cpu_process *process;
	pid_t pid;
};

static int add_children(void *data, pid_t tid)
{
	const struct children_of *of = data;
	char path[80];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)of->pid, (int)tid);
	FILE *file = fopen(path, "re");
	int child;
	while (file && fscanf(file, "%d", &child) == 1)
		add_member(of->process, child);
	if (file)
		fclose(file);
	return 0;
}

static void find_children(struct bn_cpu_process *p)
{
	for (unsigned i = 0; i < p->count; i++) {
		struct children_of of = {p, p->member[i].pid};
		each_thread(of.pid, add_children, &of);
	}
	p->children_ns = bn_now_ns();
}

static int set_affinity(void *data, pid_t tid)
{
	return sched_setaffinity(tid, sizeof(cpu_set_t), data) < 0 ? -errno : 0;
}

int bn_cpu_process_create(struct bn_cpu_process **out, pid_t pid, const cpu_set_t *cpus)
{
	struct bn_cpu_process *p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	if (!add_member(p, pid)) {
		free(p);
		return -ESRCH;
	}
	p->children_ns = bn_now_ns();
	if (cpus && CPU_COUNT(cpus) > 0)
		each_thread(pid, set_affinity, (void *)cpus);
	*out = p;
	return 0;
}

void bn_cpu_process_destroy(struct bn_cpu_process *p)
{
	if (!p)
		return;
	bn_cpu_process_freeze(p, p->group, false);
	for (unsigned i = 0; i < p->count; i++)
		bn_fd_close(&p->member[i].pidfd);
	free(p);
}

/* ---- meter ---- */

uint64_t bn_cpu_process_time(struct bn_cpu_process *p)
{
	for (unsigned i = 0; i < p->count; i++) {
		struct bn_cpu_member *m = &p->member[i];
		struct timespec t;
		if (clock_gettime(m->clock, &t) < 0)
			continue;
		uint64_t ns = (uint64_t)t.tv_sec * BN_NS_PER_S + (uint64_t)t.tv_nsec;
		if (ns > m->seen_ns)
			p->total_ns += ns - m->seen_ns;
		m->seen_ns = ns;
	}
	if (bn_now_ns() - p->children_ns > BN_NS_PER_S)
		find_children(p);
	return p->total_ns;
}

/* ---- classes ---- */

static int set_thread_class(void *data, pid_t tid)
{
	static const struct {
		int policy, nice;
	} how[] = {
		[BN_CPU_NORMAL] = {SCHED_OTHER, 0},
		[BN_CPU_BACKGROUND] = {SCHED_OTHER, 10},
		[BN_CPU_IDLE] = {SCHED_IDLE, 0},
		[BN_CPU_SAFETY] = {SCHED_FIFO, 0},
	};
	enum bn_cpu_class c = *(enum bn_cpu_class *)data;
	const struct sched_param param = {
		.sched_priority = c == BN_CPU_SAFETY ? BN_CPU_PRIORITY_SAFETY : 0};
	int ret = sched_setscheduler(tid, how[c].policy, &param) < 0 ? -errno : 0;
	if (ret == 0 && how[c].policy == SCHED_OTHER &&
		setpriority(PRIO_PROCESS, (id_t)tid, how[c].nice) < 0)
		ret = -errno;
	return ret == -ESRCH ? 0 : ret; /* it has ended meanwhile */
}

int bn_cpu_process_set_class(struct bn_cpu_process *p, enum bn_cpu_class cpu_class)
{
	int ret = 0;
	find_children(p);
	for (unsigned pass = 0; pass < PASSES; pass++) {
		for (unsigned i = 0; i < p->count; i++) {
			int error = each_thread(p->member[i].pid, set_thread_class, &cpu_class);
			if (error < 0 && (error != -ESRCH || i == 0))
				ret = error;
		}
	}
	return ret;
}

/* ---- stopping ---- */

int bn_cpu_process_freeze(struct bn_cpu_process *p, struct bn_cgroup *group, bool freeze)
{
	int ret = 0;
	if (freeze == p->frozen)
		return 0;
	p->frozen = freeze;
	if (freeze)
		p->group = bn_cgroup_freeze(group, true) == 0 ? group : NULL;
	if (p->group)
		return freeze ? 0 : bn_cgroup_freeze(p->group, false);
	if (freeze)
		find_children(p);
	for (unsigned i = 0; i < p->count; i++) {
		int sig = freeze ? SIGSTOP : SIGCONT;
		if (syscall(SYS_pidfd_send_signal, p->member[i].pidfd, sig, NULL, 0) < 0 && i == 0)
			ret = -errno;
	}
	return ret;
}

struct states {
	pid_t pid;
	bool stopped, runnable;
};

/* The letter behind the name in parentheses, which may hold anything. */
static int look_at_thread(void *data, pid_t tid)
{
	struct states *s = data;
	char path[80], text[256];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)s->pid, (int)tid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	bn_fd_close(&fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	const char *end = strrchr(text, ')');
	char state = end && end[1] == ' ' ? end[2] : '?';
	s->stopped |= state == 'T' || state == 't';
	s->runnable |= state == 'R';
	return 0;
}

enum bn_cpu_state bn_cpu_process_state(const struct bn_cpu_process *p)
{
	struct states s = {.pid = p->member[0].pid};
	if (each_thread(s.pid, look_at_thread, &s) < 0)
		return BN_CPU_STATE_GONE;
	return s.stopped    ? BN_CPU_STATE_STOPPED
	       : s.runnable ? BN_CPU_STATE_RUNNABLE
			    : BN_CPU_STATE_WAITING;
}
