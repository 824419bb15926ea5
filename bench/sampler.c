/* sampler SECONDS INTERVAL_MS PID…: the processor time of processes, in a line for each interval: CLOCK_MONOTONIC, then the time that each
 * has used so far with all of its threads, in nanoseconds. The truth about who had the GPU when the processor draws: it is the kernel's. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"

#define PIDS_MAX 64

static clockid_t clocks[PIDS_MAX];

static unsigned long long used(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts) != 0)
		return 0;
	return (unsigned long long)ts.tv_sec * BN_NS_PER_S + (unsigned long long)ts.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
	struct timespec ts = {(time_t)(ns / BN_NS_PER_S), (long)(ns % BN_NS_PER_S)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

int main(int argc, char **argv)
{
	int count = argc - 3;
	double seconds = argc > 1 ? atof(argv[1]) : 0;
	uint64_t interval = argc > 2 ? (uint64_t)atoi(argv[2]) * BN_NS_PER_MS : 0;

	if (count < 1 || count > PIDS_MAX || seconds <= 0 || interval == 0) {
		fprintf(stderr, "usage: sampler SECONDS INTERVAL_MS PID…\n");
		return 2;
	}
	for (int i = 0; i < count; i++) {
		if (clock_getcpuclockid((pid_t)atoi(argv[3 + i]), &clocks[i]) != 0) {
			fprintf(stderr, "sampler: no process %s\n", argv[3 + i]);
			return 1;
		}
	}
	uint64_t start = bn_now_ns();
	for (uint64_t at = start; at <= start + (uint64_t)(seconds * 1e9); at += interval) {
		sleep_until(at);
		printf("%llu", (unsigned long long)bn_now_ns());
		for (int i = 0; i < count; i++)
			printf(" %llu", used(clocks[i]));
		printf("\n");
	}
	return 0;
}
