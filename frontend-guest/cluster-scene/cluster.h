/* SPDX-License-Identifier: MIT */
/* What the command line of binnacle-cluster asks for. */
#ifndef BN_CLUSTER_H
#define BN_CLUSTER_H

#include <stdbool.h>

struct cluster_options {
	const char *card, *mode, *offscreen;
	double seconds, at;
	int size[2]; /* width, height */
	int frames;  /* 0: no end */
	int load;    /* times that the picture is drawn into each frame */
	bool fps_report, no_watch, free_running;
};

/*
 * Draws one picture without a display into the PNG file that the options name, and then, with
 * seconds, measures what a frame costs. Returns 0 or a negative errno.
 */
int cluster_draw_offscreen(const struct cluster_options *options);

#endif
