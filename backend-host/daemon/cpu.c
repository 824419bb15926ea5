#include "cpu.h"

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

static int open_proc(pid_t pid, const char *name, int flags)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return open(path, flags | O_CLOEXEC);
}

static void close_member(struct bn_cpu_member *m)
{
	bn_fd_close(&m->pidfd);
	bn_fd_close(&m->tasks);
	bn_fd_close(&m->children);
	bn_fd_close(&m->stat);
	bn_fd_close(&m->fdinfo);
	bn_fd_close(&m->autogroup);
}

static bool open_member(struct bn_cpu_member *m, pid_t pid)
{
	char name[32];
	snprintf(name, sizeof(name), "task/%d/children", (int)pid);
	*m = (struct bn_cpu_member){.pid = pid};
	m->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	m->tasks = open_proc(pid, "task", O_RDONLY | O_DIRECTORY);
	m->children = open_proc(pid, name, O_RDONLY);
	m->stat = open_proc(pid, "stat", O_RDONLY);
	m->fdinfo = open_proc(pid, "fdinfo", O_RDONLY | O_DIRECTORY);
	m->autogroup = open_proc(pid, "autogroup", O_RDWR);
	if (clock_getcpuclockid(pid, &m->clock) == 0 && m->pidfd >= 0 && m->tasks >= 0 &&
		m->stat >= 0)
		return true;
	close_member(m);
	return false;
}

static struct bn_cpu_member *add_member(struct bn_cpu_process *p, pid_t pid)
{
	for (unsigned i = 0; i < p->count; i++) {
		if (p->member[i].pid == pid)
			return &p->member[i];
	}
	if (p->count == BN_CPU_MEMBERS_MAX || !open_member(&p->member[p->count], pid))
		return NULL;
	return &p->member[p->count++];
}

struct proc_entry { /* struct linux_dirent64 */
	uint64_t ino;
	int64_t off;
	unsigned short size;
	unsigned char type;
	char name[];
};

int bn_cpu_each_entry(int dir, int (*use)(void *data, const char *name), void *data)
{
	_Alignas(struct proc_entry) char buffer[2048];
	int ret = 0;
	long n;
	if (lseek(dir, 0, SEEK_SET) < 0)
		return -errno;
	while ((n = syscall(SYS_getdents64, dir, buffer, sizeof(buffer))) > 0) {
		for (long at = 0; at < n;) {
			const struct proc_entry *entry = (const void *)(buffer + at);
			int error = entry->name[0] != '.' ? use(data, entry->name) : 0;
			ret = error < 0 ? error : ret;
			at += entry->size;
		}
	}
	return n < 0 ? -ESRCH : ret;
}

/* Those that its first thread has started, as the GPU library's servers. */
static void add_children(struct bn_cpu_process *p, unsigned of)
{
	char text[1024];
	ssize_t n = p->member[of].children < 0
			    ? -1
			    : pread(p->member[of].children, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return;
	text[n] = '\0';
	char *at = text, *end;
	for (long child; (child = strtol(at, &end, 10)) > 0 && end != at; at = end) {
		if (*end == ' ') /* else it may be cut off */
			add_member(p, (pid_t)child);
	}
}

static void find_children(struct bn_cpu_process *p)
{
	for (unsigned i = 0; i < p->count; i++)
		add_children(p, i);
	p->children_ns = bn_now_ns();
}

static pid_t tid_of(const char *name)
{
	return (pid_t)strtol(name, NULL, 10);
}

static int set_affinity(void *data, const char *name)
{
	pid_t tid = tid_of(name);
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
		bn_cpu_each_entry(p->member[0].tasks, set_affinity, (void *)cpus);
	*out = p;
	return 0;
}

void bn_cpu_process_destroy(struct bn_cpu_process *p)
{
	if (!p)
		return;
	bn_cpu_process_freeze(p, p->group, false);
	for (unsigned i = 0; i < p->count; i++)
		close_member(&p->member[i]);
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

static const struct {
	int policy, nice;
	const char *session; /* niceness of its session */
} how[] = {
	[BN_CPU_NORMAL] = {SCHED_OTHER, 0, "0"},
	[BN_CPU_BACKGROUND] = {SCHED_OTHER, 10, "10"},
	[BN_CPU_IDLE] = {SCHED_IDLE, 0, "19"},
	[BN_CPU_SAFETY] = {SCHED_FIFO, 0, "0"},
};

static int set_thread_class(void *data, const char *name)
{
	pid_t tid = tid_of(name);
	enum bn_cpu_class c = *(enum bn_cpu_class *)data;
	const struct sched_param param = {
		.sched_priority = c == BN_CPU_SAFETY ? BN_CPU_PRIORITY_SAFETY : 0};
	int ret = sched_setscheduler(tid, how[c].policy, &param) < 0 ? -errno : 0;
	if (ret == 0 && how[c].policy == SCHED_OTHER &&
		setpriority(PRIO_PROCESS, (id_t)tid, how[c].nice) < 0)
		ret = -errno;
	return ret == -ESRCH ? 0 : ret; /* it has ended meanwhile */
}

/* Not its caller's: a process that made no session of its own shares this one's. As far as allowed. */
static void set_session(const struct bn_cpu_member *m, enum bn_cpu_class c)
{
	if (m->autogroup < 0 || getsid(m->pid) == getsid(0))
		return;
	ssize_t ignored = write(m->autogroup, how[c].session, strlen(how[c].session));
	(void)ignored;
}

int bn_cpu_process_set_class(struct bn_cpu_process *p, enum bn_cpu_class cpu_class)
{
	int ret = 0;
	find_children(p);
	for (unsigned i = 0; i < p->count; i++)
		set_session(&p->member[i], cpu_class);
	for (unsigned pass = 0; pass < PASSES; pass++) {
		for (unsigned i = 0; i < p->count; i++) {
			int error = bn_cpu_each_entry(p->member[i].tasks, set_thread_class, &cpu_class);
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

/* Of its first thread, which starts the others' work: the letter behind the name in parentheses, which
 * may hold anything. */
enum bn_cpu_state bn_cpu_process_state(const struct bn_cpu_process *p)
{
	char text[256];
	ssize_t n = pread(p->member[0].stat, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return BN_CPU_STATE_GONE;
	text[n] = '\0';
	const char *end = strrchr(text, ')');
	char state = end && end[1] == ' ' ? end[2] : '?';
	if (state == 'Z' || state == 'X')
		return BN_CPU_STATE_GONE;
	return state == 'T' || state == 't' ? BN_CPU_STATE_STOPPED
	       : state == 'R'		    ? BN_CPU_STATE_RUNNABLE
					    : BN_CPU_STATE_WAITING;
}
