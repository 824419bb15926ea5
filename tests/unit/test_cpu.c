#include "unit.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "cpu.h"
#include "preemption.h"

static pid_t start(bool burn, bool child)
{
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (child)
		start(burn, false);
	for (volatile unsigned i = 0;; i++) {
		if (!burn || child)
			pause();
	}
}

static void end(struct bn_cpu_process *p, pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	bn_cpu_process_destroy(p);
}

static bool used_more(struct bn_cpu_process *p, uint64_t than)
{
	uint64_t give_up = bn_now_ns() + 20 * BN_NS_PER_S, last = 0;
	for (;;) {
		uint64_t now = bn_cpu_process_time(p);
		if (now < last)
			return false;
		if (now > than)
			return true;
		if (bn_now_ns() > give_up)
			return false;
		last = now;
		usleep(1000);
	}
}

static void test_meter(void)
{
	struct bn_cpu_process *p;
	pid_t pid = start(true, false);
	CU_ASSERT_EQUAL_FATAL(bn_cpu_process_create(&p, pid, NULL), 0);
	CU_ASSERT_TRUE(used_more(p, 20 * BN_NS_PER_MS));
	end(p, pid);
	CU_ASSERT_EQUAL(bn_cpu_process_create(&p, pid, NULL), -ESRCH);
}

static bool has_children_file(void)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	return access(path, R_OK) == 0;
}

/* The parent waits, its child burns. */
static void test_children(void)
{
	struct bn_cpu_process *p;
	if (!has_children_file()) {
		printf("skipped: this kernel does not list children\n");
		return;
	}
	pid_t pid = start(true, true);
	CU_ASSERT_EQUAL_FATAL(bn_cpu_process_create(&p, pid, NULL), 0);
	CU_ASSERT_TRUE(used_more(p, 20 * BN_NS_PER_MS));
	end(p, pid);
}

static bool becomes(const struct bn_cpu_process *p, enum bn_cpu_state state)
{
	uint64_t give_up = bn_now_ns() + 20 * BN_NS_PER_S;
	while (bn_cpu_process_state(p) != state && bn_now_ns() < give_up)
		usleep(1000);
	return bn_cpu_process_state(p) == state;
}

static void test_freeze(void)
{
	struct bn_cpu_process *p;
	pid_t pid = start(false, false);
	CU_ASSERT_EQUAL_FATAL(bn_cpu_process_create(&p, pid, NULL), 0);
	CU_ASSERT_TRUE(becomes(p, BN_CPU_STATE_WAITING));
	/* What somebody else stopped stays stopped. */
	kill(pid, SIGSTOP);
	CU_ASSERT_TRUE(becomes(p, BN_CPU_STATE_STOPPED));
	CU_ASSERT_EQUAL(bn_cpu_process_freeze(p, NULL, false), 0);
	CU_ASSERT_EQUAL(bn_cpu_process_state(p), BN_CPU_STATE_STOPPED);
	kill(pid, SIGCONT);
	CU_ASSERT_TRUE(becomes(p, BN_CPU_STATE_WAITING));
	CU_ASSERT_EQUAL(bn_cpu_process_freeze(p, NULL, true), 0);
	CU_ASSERT_TRUE(becomes(p, BN_CPU_STATE_STOPPED));
	CU_ASSERT_EQUAL(bn_cpu_process_freeze(p, NULL, false), 0);
	CU_ASSERT_TRUE(becomes(p, BN_CPU_STATE_WAITING));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CU_ASSERT_EQUAL(bn_cpu_process_state(p), BN_CPU_STATE_GONE);
	CU_ASSERT_EQUAL(bn_cpu_process_freeze(p, NULL, true), -ESRCH);
	bn_cpu_process_destroy(p);
}

static void test_classes(void)
{
	struct bn_cpu_process *p;
	pid_t pid = start(false, false);
	CU_ASSERT_EQUAL_FATAL(bn_cpu_process_create(&p, pid, NULL), 0);
	CU_ASSERT_EQUAL(bn_cpu_process_set_class(p, BN_CPU_BACKGROUND), 0);
	CU_ASSERT_EQUAL(getpriority(PRIO_PROCESS, (id_t)pid), 10);
	CU_ASSERT_EQUAL(bn_cpu_process_set_class(p, BN_CPU_IDLE), 0);
	CU_ASSERT_EQUAL(sched_getscheduler(pid), SCHED_IDLE);
	int ret = bn_cpu_process_set_class(p, BN_CPU_NORMAL);
	if (bn_cpu_may_raise()) {
		CU_ASSERT_EQUAL(ret, 0);
		CU_ASSERT_EQUAL(sched_getscheduler(pid), SCHED_OTHER);
		CU_ASSERT_EQUAL(getpriority(PRIO_PROCESS, (id_t)pid), 0);
	} else {
		CU_ASSERT_EQUAL(ret, -EPERM);
	}
	ret = bn_cpu_process_set_class(p, BN_CPU_SAFETY);
	CU_ASSERT_TRUE(ret == 0 || ret == -EPERM);
	if (ret == 0)
		CU_ASSERT_EQUAL(sched_getscheduler(pid), SCHED_FIFO);
	end(p, pid);
}

/* Its own, as a renderer has; INT_MIN: this kernel has no such thing. */
static int session_nice(pid_t pid)
{
	char path[64];
	int nice = INT_MIN;
	snprintf(path, sizeof(path), "/proc/%d/autogroup", (int)pid);
	FILE *file = fopen(path, "re");
	if (file && fscanf(file, "/autogroup-%*d nice %d", &nice) != 1)
		nice = INT_MIN;
	if (file)
		fclose(file);
	return nice;
}

static void test_session(void)
{
	struct bn_cpu_process *p;
	int made[2], ours = session_nice(getpid());
	char byte;
	if (ours == INT_MIN || !bn_cpu_may_raise()) {
		printf("skipped: sessions are nothing to this kernel, or not for us\n");
		return;
	}
	CU_ASSERT_EQUAL_FATAL(pipe(made), 0);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setsid();
		if (write(made[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	CU_ASSERT_EQUAL(read(made[0], &byte, 1), 1);
	close(made[0]);
	close(made[1]);
	CU_ASSERT_EQUAL_FATAL(bn_cpu_process_create(&p, pid, NULL), 0);
	CU_ASSERT_EQUAL(bn_cpu_process_set_class(p, BN_CPU_BACKGROUND), 0);
	CU_ASSERT_EQUAL(session_nice(pid), 10);
	CU_ASSERT_EQUAL(bn_cpu_process_set_class(p, BN_CPU_IDLE), 0);
	CU_ASSERT_EQUAL(session_nice(pid), 19);
	CU_ASSERT_EQUAL(bn_cpu_process_set_class(p, BN_CPU_NORMAL), 0);
	CU_ASSERT_EQUAL(session_nice(pid), 0);
	CU_ASSERT_EQUAL(session_nice(getpid()), ours);
	end(p, pid);
	pid = start(false, false);
	CU_ASSERT_EQUAL_FATAL(bn_cpu_process_create(&p, pid, NULL), 0);
	CU_ASSERT_EQUAL(bn_cpu_process_set_class(p, BN_CPU_BACKGROUND), 0);
	CU_ASSERT_EQUAL(session_nice(getpid()), ours);
	end(p, pid);
}

static void test_affinity(void)
{
	struct bn_cpu_process *p;
	cpu_set_t all, one, got;
	CU_ASSERT_EQUAL_FATAL(sched_getaffinity(0, sizeof(all), &all), 0);
	CPU_ZERO(&one);
	for (int i = 0; CPU_COUNT(&one) == 0; i++) {
		if (CPU_ISSET(i, &all))
			CPU_SET(i, &one);
	}
	pid_t pid = start(false, false);
	CU_ASSERT_EQUAL_FATAL(bn_cpu_process_create(&p, pid, &one), 0);
	CU_ASSERT_EQUAL(sched_getaffinity(pid, sizeof(got), &got), 0);
	CU_ASSERT_TRUE(CPU_EQUAL(&got, &one));
	end(p, pid);
}

static void test_fdinfo(void)
{
	uint64_t client;
	CU_ASSERT_EQUAL(bn_cpu_fdinfo_time("pos:\t0\nflags:\t02100002\nmnt_id:\t26\n"
					   "drm-driver:\ti915\ndrm-client-id:\t7\n"
					   "drm-engine-render:\t9288864723 ns\n"
					   "drm-engine-copy:\t2035071108 ns\n"
					   "drm-engine-capacity-video:\t2\n"
					   "drm-memory-vram:\t10 KiB\n",
				&client),
		11323935831);
	CU_ASSERT_EQUAL(client, 7);
	CU_ASSERT_EQUAL(bn_cpu_fdinfo_time("pos:\t0\n", &client), 0);
	CU_ASSERT_EQUAL(client, 0);
	CU_ASSERT_EQUAL(bn_cpu_fdinfo_time("", &client), 0);
	CU_ASSERT_EQUAL(bn_cpu_fdinfo_time("drm-engine-", &client), 0);
	CU_ASSERT_EQUAL(bn_cpu_fdinfo_time("drm-engine-a\n5", &client), 0);
}

static bool parsed(const char *model, const char *version, const char *said)
{
	char text[128];
	bool full = bn_preemption_parse(model, version, text, sizeof(text));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, said));
	return full;
}

static void test_preemption(void)
{
	const char *dynamic = "#1 SMP PREEMPT_DYNAMIC Debian 6.12", *plain = "#1 SMP Debian 6.1";
	CU_ASSERT_TRUE(parsed("none voluntary (full) lazy\n", dynamic, "full"));
	CU_ASSERT_FALSE(parsed("(none) voluntary full lazy\n", dynamic, "preempt=full"));
	CU_ASSERT_FALSE(parsed("none (voluntary) full\n", dynamic, "voluntary"));
	CU_ASSERT_TRUE(parsed("none voluntary full (lazy)\n", "#1 SMP PREEMPT_RT", "PREEMPT_RT"));
	CU_ASSERT_FALSE(parsed(NULL, dynamic, "unknown"));
	CU_ASSERT_FALSE(parsed("(a word that is much too long)", dynamic, "unknown"));
	CU_ASSERT_FALSE(parsed(NULL, plain, "none"));
	CU_ASSERT_TRUE(parsed(NULL, "#1 SMP PREEMPT Thu", "full"));
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"processor time", test_meter},
		{"processor time of children", test_children},
		{"stopped and let go", test_freeze},
		{"classes", test_classes},
		{"classes among sessions", test_session},
		{"processors", test_affinity},
		{"the kernel's count of GPU time", test_fdinfo},
		{"how soon the kernel lets threads in", test_preemption},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("cpu", tests);
}
