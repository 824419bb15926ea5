/* SPDX-License-Identifier: MIT */
/*
 * binnacle-cluster: an instrument cluster, as the safety-relevant guest of a car shows it. It
 * draws with OpenGL ES 2 on a DRM card, paced by the display's page flips.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cluster.h"
#include "display.h"
#include "options.h"
#include "program.h"
#include "scene.h"

/* The exit status that says "start me again": the GPU context was lost (EX_TEMPFAIL). */
#define EXIT_LOST 75
/* How often the picture is checked for its mark. */
#define MARK_INTERVAL 30
#define MAX_SIZE 16384
#define MAX_LOAD 100

/* ---- on a display ---- */

struct rate {
	double since, last; /* the start of this second; the last flip, 0.0: none */
	double longest;     /* interval between two flips */
	int frames, late;
};

/* Late is a frame that was not on the screen one refresh after the one before it. */
static void count_frame(
	struct rate *rate, const struct bn_display *display, const struct cluster_options *options)
{
	double t = bn_seconds(),
	       interval = rate->last > 0.0 ? display->flip_time - rate->last : 0.0;
	double period = 1.0 / (display->mode.vrefresh ? display->mode.vrefresh : 60);

	rate->frames++;
	rate->last = display->flip_time;
	if (interval > rate->longest)
		rate->longest = interval;
	if (interval > 1.5 * period)
		rate->late++;
	if (t - rate->since < 1.0)
		return;
	if (options->fps_report) {
		printf("FPS %.1f, late %d, longest %.1f ms\n",
			(double)rate->frames / (t - rate->since), rate->late, rate->longest * 1e3);
		fflush(stdout);
	}
	*rate = (struct rate){.since = t, .last = rate->last};
}

/*
 * Some kernels (virtio_gpu of Linux 6.12, with buffers of the host) send the flip event at once.
 * A frame that nobody can see is not drawn: when flips come a quarter of a period too early, this
 * waits for the time at which the display shows the next picture. *due is that time.
 */
static void pace(const drmModeModeInfo *mode, double *due)
{
	double period = 1.0 / (mode->vrefresh ? mode->vrefresh : 60), t = bn_seconds();
	struct timespec ts;

	*due += period;
	if (t > *due || *due - t > 2.0 * period)
		*due = t;
	if (*due - t < period / 4.0)
		return;
	ts.tv_sec = (time_t)*due;
	ts.tv_nsec = (long)((*due - (double)ts.tv_sec) * 1e9);
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

/* Returns false when the mark is missing from two pictures in a row. */
static bool still_drawing(struct bn_scene *scene, unsigned frame, int *misses)
{
	if (frame % MARK_INTERVAL && !*misses)
		return true;
	*misses = bn_scene_has_mark(scene, frame) ? 0 : *misses + 1;
	return *misses < 2;
}

static int run(
	struct bn_display *display, struct bn_scene *scene, const struct cluster_options *options)
{
	double start = bn_seconds(), time = 0.0, due = start;
	struct rate rate = {.since = start};
	struct bn_vehicle vehicle;
	int misses = 0;

	bn_vehicle_init(&vehicle);
	for (unsigned frame = 0; !bn_stopped; frame++) {
		int err;

		bn_vehicle_advance(&vehicle, time);
		for (int i = 0; i < options->load; i++)
			bn_scene_draw(scene, &vehicle);
		bn_scene_mark(scene, frame);
		if (!options->no_watch && !still_drawing(scene, frame, &misses)) {
			fprintf(stderr, "binnacle-cluster: the GPU context is lost\n");
			return -ECONNRESET;
		}
		err = bn_display_present(display);
		if (err)
			return err;
		if (!options->free_running)
			pace(&display->mode, &due);
		count_frame(&rate, display, options);
		/* The frame now begun is seen one refresh after the last flip. */
		time = bn_seconds() - start;
		if (options->seconds > 0.0 && time >= options->seconds)
			break;
		if (options->frames && frame + 1 >= (unsigned)options->frames)
			break;
	}
	return 0;
}

static int draw_on_display(const struct cluster_options *options)
{
	struct bn_display display;
	struct bn_scene scene;
	int err = bn_display_init(&display, options->card, options->mode);

	if (err)
		return err;
	fprintf(stderr, "binnacle-cluster: %ux%u, %s\n", display.mode.hdisplay,
		display.mode.vdisplay, (const char *)glGetString(GL_RENDERER));
	err = -EIO;
	if (bn_scene_init(&scene, display.mode.hdisplay, display.mode.vdisplay)) {
		err = run(&display, &scene, options);
		bn_scene_finish(&scene);
	}
	bn_display_finish(&display);
	return err;
}

/* ---- command line ---- */

static void usage(FILE *out)
{
	fprintf(out, "usage: binnacle-cluster [OPTION…]\n"
		     "  --card PATH       DRM card (default: the first with a connected display)\n"
		     "  --mode WxH        display mode (default: the preferred one)\n"
		     "  --seconds N       ends after N seconds\n"
		     "  --frames N        ends after N frames\n"
		     "  --load N          draws the picture N times into each frame (1–100)\n"
		     "  --fps-report      prints \"FPS x, late n, longest y ms\" each second\n"
		     "  --no-watch        does not check that the GPU still draws (else: exit "
		     "status 75)\n"
		     "  --offscreen FILE  draws one picture into a PNG file, without a display;\n"
		     "                    with --seconds it then measures what a frame costs\n"
		     "  --size WxH        size of that picture (default 1280x480)\n"
		     "  --at SECONDS      moment of the drive that it shows (default 15)\n");
}

int main(int argc, char **argv)
{
	static struct cluster_options options = {.size = {1280, 480}, .at = 15.0, .load = 1};
	static const struct bn_option table[] = {
		{"card", bn_option_text, &options.card},
		{"mode", bn_option_text, &options.mode},
		{"seconds", bn_option_real, &options.seconds, 0, 1e7},
		{"frames", bn_option_number, &options.frames, 1, INT_MAX},
		{"load", bn_option_number, &options.load, 1, MAX_LOAD},
		{"fps-report", bn_option_flag, &options.fps_report},
		{"free", bn_option_flag, &options.free_running},
		{"no-watch", bn_option_flag, &options.no_watch},
		{"offscreen", bn_option_text, &options.offscreen},
		{"size", bn_option_size, options.size, 1, MAX_SIZE},
		{"at", bn_option_real, &options.at, 0, 1e7},
		{0},
	};
	int status = bn_options_read(argc, argv, table, usage), err;

	if (status >= 0)
		return status;
	bn_stop_by_signal();
	err = options.offscreen ? cluster_draw_offscreen(&options) : draw_on_display(&options);
	if (err)
		fprintf(stderr, "binnacle-cluster: %s\n", strerror(-err));
	return err == -ECONNRESET ? EXIT_LOST : err ? 1 : 0;
}
