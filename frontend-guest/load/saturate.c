/* SPDX-License-Identifier: MIT */
/*
 * binnacle-saturate: draws as fast as the GPU lets it, with a chosen kind and size of work in each
 * frame. It keeps some frames queued, so that the GPU never waits for this guest.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <EGL/egl.h>
#include <EGL/eglext.h>

#include "display.h"
#include "gl.h"
#include "load.h"

#define AHEAD_MAX 8
#define MAX_SIZE 8192

struct options {
	enum bn_load_kind kind;
	int amount, draws, width, height, ahead, seconds;
	bool display;
};

static volatile sig_atomic_t stopped;

static void handle_signal(int number)
{
	stopped = 1;
}

/* ---- frames that the GPU has not finished ---- */

struct queue {
	EGLDisplay display;
	PFNEGLCREATESYNCKHRPROC create;
	PFNEGLCLIENTWAITSYNCKHRPROC wait;
	PFNEGLDESTROYSYNCKHRPROC destroy;
	EGLSyncKHR sync[AHEAD_MAX];
	unsigned next;
	int ahead;
};

static bool queue_init(struct queue *q, EGLDisplay display, int ahead)
{
	*q = (struct queue){.display = display, .ahead = ahead};
	q->create = (PFNEGLCREATESYNCKHRPROC)eglGetProcAddress("eglCreateSyncKHR");
	q->wait = (PFNEGLCLIENTWAITSYNCKHRPROC)eglGetProcAddress("eglClientWaitSyncKHR");
	q->destroy = (PFNEGLDESTROYSYNCKHRPROC)eglGetProcAddress("eglDestroySyncKHR");
	if (!q->create || !q->wait || !q->destroy) {
		fprintf(stderr, "binnacle-saturate: EGL has no fences\n");
		return false;
	}
	return true;
}

/* Ends a frame: at most `ahead` of them stay unfinished. */
static void queue_frame(struct queue *q)
{
	EGLSyncKHR *slot = &q->sync[q->next++ % (unsigned)q->ahead];

	if (*slot) {
		q->wait(q->display, *slot, EGL_SYNC_FLUSH_COMMANDS_BIT_KHR, EGL_FOREVER_KHR);
		q->destroy(q->display, *slot);
	}
	*slot = q->create(q->display, EGL_SYNC_FENCE_KHR, NULL);
	glFlush();
}

/* ---- drawing ---- */

struct count {
	double start, since;
	unsigned long frames, all;
};

static bool more(struct count *count, const struct options *options)
{
	double t = bn_load_now();

	count->frames++;
	count->all++;
	if (t - count->since >= 1.0) {
		printf("FPS %.2f\n", (double)count->frames / (t - count->since));
		fflush(stdout);
		count->since = t;
		count->frames = 0;
	}
	return !stopped && (!options->seconds || t - count->start < options->seconds);
}

static void print_total(const struct count *count)
{
	double seconds = bn_load_now() - count->start;

	printf("{\"frames\": %lu, \"seconds\": %.3f, \"fps\": %.3f}\n", count->all, seconds,
		(double)count->all / seconds);
}

static int run_display(const struct options *options)
{
	struct count count = {0};
	struct bn_display display;
	struct bn_load load;
	int err = bn_display_init(&display, NULL, NULL);

	if (err)
		return err;
	if (bn_load_init(&load, display.mode.hdisplay, display.mode.vdisplay)) {
		count.start = count.since = bn_load_now();
		do {
			bn_load_draw(&load, options->kind, options->amount, options->draws,
				(unsigned)count.all);
			err = bn_display_queue(&display);
		} while (!err && more(&count, options));
		print_total(&count);
		bn_load_finish(&load);
	}
	bn_display_finish(&display);
	return err;
}

static int run_offscreen(const struct options *options)
{
	struct count count = {0};
	struct bn_gl gl;
	struct bn_gl_target target;
	struct bn_load load;
	struct queue queue;
	int err = bn_gl_init_surfaceless(&gl);

	if (err)
		return err;
	err = -1;
	if (!queue_init(&queue, gl.display, options->ahead) ||
		!bn_gl_target_init(&target, options->width, options->height))
		goto out;
	if (bn_load_init(&load, options->width, options->height)) {
		count.start = count.since = bn_load_now();
		do {
			bn_load_draw(&load, options->kind, options->amount, options->draws,
				(unsigned)count.all);
			queue_frame(&queue);
		} while (more(&count, options));
		glFinish();
		print_total(&count);
		bn_load_finish(&load);
		err = 0;
	}
	bn_gl_target_finish(&target);
out:
	bn_gl_finish(&gl);
	return err;
}

/* ---- command line ---- */

static int usage(FILE *out)
{
	fprintf(out,
		"usage: binnacle-saturate [OPTION…]\n"
		"  --load fragment|vertex|submits  what a frame is made of (default fragment)\n"
		"  --amount N    loops a pixel, thousands of triangles, or command buffers "
		"(default 32)\n"
		"  --draws N     draw calls of a frame (default 16)\n"
		"  --size WxH    of the off-screen target (default 512x512)\n"
		"  --ahead N     frames queued off-screen, 1–%d (default 2)\n"
		"  --display     draws on the display instead, one flip a frame\n"
		"  --seconds N   ends after N seconds; the last line is a total in JSON\n",
		AHEAD_MAX);
	return out == stdout ? 0 : 2;
}

static bool parse_kind(const char *text, enum bn_load_kind *kind)
{
	static const char *const names[] = {"fragment", "vertex", "submits"};

	for (int i = 0; i < 3; i++) {
		if (strcmp(text, names[i]) == 0) {
			*kind = (enum bn_load_kind)i;
			return true;
		}
	}
	return false;
}

static bool set_option(struct options *o, int name, const char *value)
{
	char rest;

	switch (name) {
	case 'l':
		return parse_kind(value, &o->kind);
	case 'a':
		return bn_load_number(value, 1, BN_LOAD_LOOPS_MAX, &o->amount);
	case 'd':
		return bn_load_number(value, 1, 4096, &o->draws);
	case 'q':
		return bn_load_number(value, 1, AHEAD_MAX, &o->ahead);
	case 's':
		return bn_load_number(value, 1, 1000000, &o->seconds);
	case 'D':
		o->display = true;
		return true;
	case 'z':
		return sscanf(value, "%dx%d%c", &o->width, &o->height, &rest) == 2 &&
		       o->width > 0 && o->width <= MAX_SIZE && o->height > 0 &&
		       o->height <= MAX_SIZE;
	default:
		return false;
	}
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"load", required_argument, NULL, 'l'},
		{"amount", required_argument, NULL, 'a'},
		{"draws", required_argument, NULL, 'd'},
		{"size", required_argument, NULL, 'z'},
		{"ahead", required_argument, NULL, 'q'},
		{"seconds", required_argument, NULL, 's'},
		{"display", no_argument, NULL, 'D'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct options options = {
		.amount = 32, .draws = 16, .width = 512, .height = 512, .ahead = 2};
	int c;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 'h')
			return usage(stdout);
		if (!set_option(&options, c, optarg))
			return usage(stderr);
	}
	if (optind != argc)
		return usage(stderr);
	signal(SIGINT, handle_signal);
	signal(SIGTERM, handle_signal);
	return (options.display ? run_display(&options) : run_offscreen(&options)) ? 1 : 0;
}
