/* SPDX-License-Identifier: MIT */
/* What the command line of binnacle-cluster asks for. */
#ifndef BN_CLUSTER_OPTIONS_H
#define BN_CLUSTER_OPTIONS_H

#include <signal.h>
#include <stdbool.h>

struct options {
	const char *card, *mode, *offscreen;
	double seconds, at;
	int width, height;
	unsigned frames; /* 0: no end */
	unsigned load;   /* times that the picture is drawn into each frame */
	bool fps_report, watch, free_running;
};

/* Set by a signal: come to an end. */
extern volatile sig_atomic_t cluster_stopped;

/* CLOCK_MONOTONIC in seconds. */
double cluster_now(void);

/*
 * Draws one picture without a display into the PNG file that the options name, and then, with
 * seconds, measures what a frame costs. Returns 0 or a negative errno.
 */
int cluster_draw_offscreen(const struct options *options);

#endif
