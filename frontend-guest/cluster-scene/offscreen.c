/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <png.h>

#include "cluster.h"
#include "program.h"
#include "scene.h"

static int write_png(const char *path, int width, int height)
{
	png_image image = {.version = PNG_IMAGE_VERSION, .format = PNG_FORMAT_RGBA};
	unsigned char *pixels = calloc((size_t)width * (size_t)height, 4);
	int ok;

	if (!pixels)
		return -ENOMEM;
	image.width = (png_uint_32)width;
	image.height = (png_uint_32)height;
	glReadPixels(0, 0, width, height, GL_RGBA, GL_UNSIGNED_BYTE, pixels);
	for (size_t i = 3; i < (size_t)width * (size_t)height * 4; i += 4)
		pixels[i] = 255;
	/* GL counts rows from below, which a negative stride says. */
	ok = png_image_write_to_file(&image, path, 0, pixels, -width * 4, NULL);
	if (!ok)
		fprintf(stderr, "binnacle-cluster: %s: %s\n", path, image.message);
	free(pixels);
	return ok ? 0 : -EIO;
}

/* Draws frames for the time asked for and prints what one costs. */
static void measure_offscreen(
	const struct cluster_options *options, struct bn_scene *scene, struct bn_vehicle *vehicle)
{
	double start = bn_seconds(), end = start + options->seconds;
	int frames = 0;

	while (bn_seconds() < end && !bn_stopped) {
		bn_vehicle_advance(vehicle, vehicle->time + 1.0 / 60.0);
		for (int i = 0; i < options->load; i++)
			bn_scene_draw(scene, vehicle);
		glFinish();
		frames++;
	}
	printf("frame %.3f ms\n", (bn_seconds() - start) * 1e3 / (frames ? frames : 1));
}

int cluster_draw_offscreen(const struct cluster_options *options)
{
	struct bn_gl gl;
	struct bn_gl_target target;
	struct bn_scene scene;
	struct bn_vehicle vehicle;
	int err = bn_gl_init_surfaceless(&gl);

	if (err)
		return err;
	err = -EIO;
	if (!bn_gl_target_init(&target, options->size[0], options->size[1]))
		goto out_gl;
	if (!bn_scene_init(&scene, options->size[0], options->size[1]))
		goto out_target;
	bn_vehicle_init(&vehicle);
	while (vehicle.time + 0.5 < options->at)
		bn_vehicle_advance(&vehicle, vehicle.time + 0.5);
	bn_vehicle_advance(&vehicle, options->at);
	bn_scene_draw(&scene, &vehicle);
	err = write_png(options->offscreen, options->size[0], options->size[1]);
	if (!err && options->seconds > 0.0)
		measure_offscreen(options, &scene, &vehicle);
	bn_scene_finish(&scene);
out_target:
	bn_gl_target_finish(&target);
out_gl:
	bn_gl_finish(&gl);
	return err;
}
