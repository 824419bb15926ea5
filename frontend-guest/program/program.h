/* SPDX-License-Identifier: MIT */
/* What the programs in a guest share besides OpenGL: the end by a signal, and time. */
#ifndef BN_GUEST_PROGRAM_H
#define BN_GUEST_PROGRAM_H

#include <signal.h>

/* Not 0 after SIGINT or SIGTERM: come to an end. */
extern volatile sig_atomic_t bn_stopped;

/* From now on these two signals set bn_stopped and do nothing else. */
void bn_stop_by_signal(void);

/* CLOCK_MONOTONIC in seconds. */
double bn_seconds(void);

#endif
