/* SPDX-License-Identifier: MIT */
#include <stddef.h>
#include <time.h>

#include "program.h"

volatile sig_atomic_t bn_stopped;

static void handle_signal(int number)
{
	bn_stopped = 1;
}

void bn_stop_by_signal(void)
{
	signal(SIGINT, handle_signal);
	signal(SIGTERM, handle_signal);
}

double bn_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}
