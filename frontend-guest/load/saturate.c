/* SPDX-License-Identifier: MIT */
/*
 * binnacle-saturate: draws as fast as the GPU lets it, with a chosen kind and size of work in each
 * frame. It keeps some frames queued, so that the GPU never waits for this guest.
 */
#include <stdio.h>
#include <string.h>

#include <EGL/egl.h>
#include <EGL/eglext.h>

#include "display.h"
#include "gl.h"
#include "load.h"
#include "options.h"
#include "program.h"

#define AHEAD_MAX 8
#define MAX_SIZE 8192

struct options {
	enum bn_load_kind kind;
	int amount, draws, ahead, seconds;
	int size[2]; /* width, height */
	bool display;
};

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
	double t = bn_seconds();

	count->frames++;
	count->all++;
	if (t - count->since >= 1.0) {
		printf("FPS %.2f\n", (double)count->frames / (t - count->since));
		fflush(stdout);
		count->since = t;
		count->frames = 0;
	}
	return !bn_stopped && (!options->seconds || t - count->start < options->seconds);
}

static void print_total(const struct count *count)
{
	double seconds = bn_seconds() - count->start;

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
		count.start = count.since = bn_seconds();
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
		!bn_gl_target_init(&target, options->size[0], options->size[1]))
		goto out;
	if (bn_load_init(&load, options->size[0], options->size[1])) {
		count.start = count.since = bn_seconds();
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

static void usage(FILE *out)
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
}

static bool read_kind(const struct bn_option *option, const char *text)
{
	static const char *const names[] = {"fragment", "vertex", "submits"};

	for (int i = 0; i < 3; i++) {
		if (strcmp(text, names[i]) == 0) {
			*(enum bn_load_kind *)option->value = (enum bn_load_kind)i;
			return true;
		}
	}
	return false;
}

int main(int argc, char **argv)
{
	static struct options options = {.amount = 32, .draws = 16, .size = {512, 512}, .ahead = 2};
	static const struct bn_option table[] = {
		{"load", read_kind, &options.kind},
		{"amount", bn_option_number, &options.amount, 1, BN_LOAD_LOOPS_MAX},
		{"draws", bn_option_number, &options.draws, 1, 4096},
		{"size", bn_option_size, options.size, 1, MAX_SIZE},
		{"ahead", bn_option_number, &options.ahead, 1, AHEAD_MAX},
		{"seconds", bn_option_number, &options.seconds, 1, 1000000},
		{"display", bn_option_flag, &options.display},
		{0},
	};
	int status = bn_options_read(argc, argv, table, usage);

	if (status >= 0)
		return status;
	bn_stop_by_signal();
	return (options.display ? run_display(&options) : run_offscreen(&options)) ? 1 : 0;
}
