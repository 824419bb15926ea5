/* stalls [--over MS]: what the machine itself does to a real-time thread. One thread on each processor, SCHED_FIFO 99, does nothing
 * but sleep for a millisecond at a time; each time that it is run more than MS (default 1) too late is a line
 *
 *   {"cpu": 1, "from_ns": …, "to_ns": …, "stolen_ms": …}
 *
 * from when it was due until it was run, CLOCK_MONOTONIC. Nothing that a program does can be the reason: it is the kernel, which does
 * not let itself be interrupted, or whoever runs this machine as a guest; stolen_ms is what the kernel knows of the latter, in steps
 * of 10 ms. At SIGTERM or SIGINT a line for each processor: {"cpu", "sleeps", "stalls", "max_ms", "stolen_ms"}. */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/clock.h"

#define CPUS_MAX 256
#define SLEEP_NS BN_NS_PER_MS
#define TICK_MS (1000 / (double)sysconf(_SC_CLK_TCK))

struct watcher {
	pthread_t thread;
	int cpu;
	uint64_t over_ns, sleeps, stalls, max_ns;
	long stolen_at_start, stolen;
};

static atomic_bool quit;

/* Ticks in which the processor belonged to somebody else's machine: the eighth number of its line in /proc/stat. */
static long stolen_ticks(int cpu)
{
	char line[512], name[16];
	long ticks = 0;
	FILE *f = fopen("/proc/stat", "re");

	snprintf(name, sizeof(name), "cpu%d ", cpu);
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, name, strlen(name)) == 0 &&
			sscanf(line, "%*s %*d %*d %*d %*d %*d %*d %*d %ld", &ticks) == 1)
			break;
	}
	if (f)
		fclose(f);
	return ticks;
}

static void found(struct watcher *w, uint64_t due, uint64_t now)
{
	long stolen = stolen_ticks(w->cpu);

	w->stalls++;
	if (now - due > w->max_ns)
		w->max_ns = now - due;
	flockfile(stdout);
	printf("{\"cpu\":%d,\"from_ns\":%llu,\"to_ns\":%llu,\"stolen_ms\":%.0f}\n", w->cpu, (unsigned long long)due, (unsigned long long)now,
		(double)(stolen - w->stolen) * TICK_MS);
	fflush(stdout);
	funlockfile(stdout);
	w->stolen = stolen;
}

static void *watch(void *data)
{
	struct watcher *w = data;

	w->stolen = w->stolen_at_start = stolen_ticks(w->cpu);
	while (!atomic_load(&quit)) {
		uint64_t due = bn_now_ns() + SLEEP_NS;
		struct timespec t = {.tv_sec = (time_t)(due / BN_NS_PER_S), .tv_nsec = (long)(due % BN_NS_PER_S)};

		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		uint64_t now = bn_now_ns();

		w->sleeps++;
		if (now > due && now - due >= w->over_ns)
			found(w, due, now);
	}
	return NULL;
}

/* 0 or an errno. */
static int start(struct watcher *w)
{
	struct sched_param first = {.sched_priority = sched_get_priority_max(SCHED_FIFO)};
	pthread_attr_t attr;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(w->cpu, &cpus);
	pthread_attr_init(&attr);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
	pthread_attr_setschedparam(&attr, &first);
	pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus);
	int ret = pthread_create(&w->thread, &attr, watch, w);
	pthread_attr_destroy(&attr);
	return ret;
}

static int usage(const char *program)
{
	fprintf(stderr, "usage: %s [--over MS]\n", program);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"over", required_argument, NULL, 'o'}, {0}};
	static struct watcher watchers[CPUS_MAX];
	double over = 1.0;
	int count = 0, n = 0, ret = 0, signal_number, option;
	sigset_t ends;
	cpu_set_t allowed;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option != 'o' || (over = atof(optarg)) < 0.1)
			return usage(argv[0]);
	}
	if (optind != argc)
		return usage(argv[0]);
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);
	/* Its own page faults are not the machine's doing. */
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		fprintf(stderr, "stalls: mlockall: %s; page faults of this program may be among the stalls\n", strerror(errno));
	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return 1;
	for (int cpu = 0; cpu < CPUS_MAX && ret == 0; cpu++) {
		if (!CPU_ISSET(cpu, &allowed))
			continue;
		watchers[count] = (struct watcher){.cpu = cpu, .over_ns = (uint64_t)(over * (double)BN_NS_PER_MS)};
		ret = start(&watchers[count]);
		count += ret == 0;
	}
	if (ret != 0)
		fprintf(stderr, "stalls: no thread with SCHED_FIFO: %s\n", strerror(ret));
	else
		sigwait(&ends, &signal_number);
	atomic_store(&quit, true);
	for (n = 0; n < count; n++) {
		struct watcher *w = &watchers[n];

		pthread_join(w->thread, NULL);
		printf("{\"cpu\":%d,\"sleeps\":%llu,\"stalls\":%llu,\"max_ms\":%.2f,\"stolen_ms\":%.0f}\n", w->cpu, (unsigned long long)w->sleeps,
			(unsigned long long)w->stalls, (double)w->max_ns / (double)BN_NS_PER_MS,
			(double)(stolen_ticks(w->cpu) - w->stolen_at_start) * TICK_MS);
	}
	return ret != 0;
}
