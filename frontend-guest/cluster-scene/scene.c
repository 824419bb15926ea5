/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "parts.h"
#include "scene.h"

#define CLOCK_AT_START (10 * 60 + 24)
#define MARK_SIZE 2

static const char copy_vertex[] = "attribute vec2 position;\n"
				  "varying vec2 at;\n"
				  "void main() {\n"
				  "	gl_Position = vec4(position * 2.0 - 1.0, 0.0, 1.0);\n"
				  "	at = position;\n"
				  "}\n";

static const char copy_fragment[] = "#ifdef GL_FRAGMENT_PRECISION_HIGH\n"
				    "precision highp float;\n"
				    "#else\n"
				    "precision mediump float;\n"
				    "#endif\n"
				    "varying vec2 at;\n"
				    "uniform sampler2D picture;\n"
				    "void main() {\n"
				    "	gl_FragColor = texture2D(picture, at);\n"
				    "}\n";

static const char *const copy_attributes[] = {"position", NULL};

static void draw_lines(struct bn_canvas *canvas)
{
	const float left[2] = {470, 404}, middle[2] = {640, 404}, right[2] = {810, 404};
	const float widths[2] = {1.2f, 1.2f};
	const struct bn_colour in[2] = {bn_hex(0x5f7fa3, 0.0f), bn_hex(0x5f7fa3, 0.9f)};
	const struct bn_colour out[2] = {in[1], in[0]};

	bn_canvas_line(canvas, left, middle, widths, 0.0f, in);
	bn_canvas_line(canvas, middle, right, widths, 0.0f, out);
}

static void draw_still(struct bn_scene *scene)
{
	struct bn_canvas *canvas = &scene->canvas;
	struct bn_colour grey = bn_hex(0x8fa3ba, 1.0f);

	glViewport(0, 0, canvas->width, canvas->height);
	glClearColor(0.010f, 0.014f, 0.022f, 1.0f);
	glClear(GL_COLOR_BUFFER_BIT);
	bn_road_draw_ground(canvas);
	bn_dials_draw_faces(canvas);
	bn_telltales_draw_unlit(canvas);
	draw_lines(canvas);
	bn_canvas_text(canvas, "RANGE", 572, 447, 10.0f, 0.13f, BN_LEFT, grey);
	bn_canvas_text(canvas, "21*C", 800, 447, 16.0f, 0.115f, BN_RIGHT, bn_hex(0xe8eef5, 1.0f));
	bn_canvas_flush(canvas);
}

static void draw_texts(struct bn_canvas *canvas, const struct bn_vehicle *vehicle)
{
	struct bn_colour white = bn_hex(0xe8eef5, 1.0f);
	int minutes = CLOCK_AT_START + (int)(vehicle->time / 60.0) % (24 * 60);
	char text[16];

	snprintf(text, sizeof(text), "%d:%02d", minutes / 60 % 24, minutes % 60);
	bn_canvas_text(canvas, text, 480, 447, 16.0f, 0.115f, BN_LEFT, white);
	snprintf(text, sizeof(text), "%d km", abs((int)vehicle->range));
	bn_canvas_text(canvas, text, 628, 447, 16.0f, 0.115f, BN_LEFT, white);
}

bool bn_scene_init(struct bn_scene *scene, int width, int height)
{
	static const GLfloat corners[] = {0, 0, 1, 0, 0, 1, 1, 1};
	GLint before = 0;

	*scene = (struct bn_scene){0};
	glGetIntegerv(GL_FRAMEBUFFER_BINDING, &before);
	if (!bn_canvas_init(&scene->canvas, width, height))
		return false;
	scene->copy_program = bn_gl_program(copy_vertex, copy_fragment, copy_attributes);
	if (!scene->copy_program || !bn_gl_target_init(&scene->still, width, height)) {
		bn_scene_finish(scene);
		return false;
	}
	glGenBuffers(1, &scene->corners);
	glBindBuffer(GL_ARRAY_BUFFER, scene->corners);
	glBufferData(GL_ARRAY_BUFFER, sizeof(corners), corners, GL_STATIC_DRAW);
	draw_still(scene);
	glBindFramebuffer(GL_FRAMEBUFFER, (GLuint)before);
	return true;
}

void bn_scene_finish(struct bn_scene *scene)
{
	glDeleteProgram(scene->copy_program);
	glDeleteBuffers(1, &scene->corners);
	bn_gl_target_finish(&scene->still);
	bn_canvas_finish(&scene->canvas);
}

static void copy_still(struct bn_scene *scene)
{
	glDisable(GL_BLEND);
	glUseProgram(scene->copy_program);
	glBindTexture(GL_TEXTURE_2D, scene->still.texture);
	glBindBuffer(GL_ARRAY_BUFFER, scene->corners);
	for (GLuint i = 1; i < 4; i++)
		glDisableVertexAttribArray(i);
	glEnableVertexAttribArray(0);
	glVertexAttribPointer(0, 2, GL_FLOAT, GL_FALSE, 0, NULL);
	glDrawArrays(GL_TRIANGLE_STRIP, 0, 4);
}

void bn_scene_draw(struct bn_scene *scene, const struct bn_vehicle *vehicle)
{
	struct bn_canvas *canvas = &scene->canvas;

	glViewport(0, 0, canvas->width, canvas->height);
	/* Tiled GPUs need not fetch the old picture after this. */
	glClear(GL_COLOR_BUFFER_BIT);
	copy_still(scene);
	bn_road_draw(canvas, vehicle);
	bn_dials_draw(canvas, vehicle);
	bn_telltales_draw(canvas, vehicle->telltales);
	draw_texts(canvas, vehicle);
	bn_canvas_flush(canvas);
}

/* Dark, so that no one sees it, and never black, which is what a lost context gives. */
static void mark_colour(unsigned number, unsigned char rgb[3])
{
	rgb[0] = (unsigned char)(4 + number % 13);
	rgb[1] = 9;
	rgb[2] = (unsigned char)(6 + number % 11);
}

void bn_scene_mark(const struct bn_scene *scene, unsigned number)
{
	unsigned char rgb[3];

	mark_colour(number, rgb);
	glEnable(GL_SCISSOR_TEST);
	glScissor(0, scene->canvas.height - MARK_SIZE, MARK_SIZE, MARK_SIZE);
	glClearColor((float)rgb[0] / 255.0f, (float)rgb[1] / 255.0f, (float)rgb[2] / 255.0f, 1.0f);
	glClear(GL_COLOR_BUFFER_BIT);
	glDisable(GL_SCISSOR_TEST);
}

bool bn_scene_has_mark(const struct bn_scene *scene, unsigned number)
{
	unsigned char want[3], got[4] = {0};

	mark_colour(number, want);
	glReadPixels(0, scene->canvas.height - 1, 1, 1, GL_RGBA, GL_UNSIGNED_BYTE, got);
	for (int i = 0; i < 3; i++) {
		if (abs(got[i] - want[i]) > 1)
			return false;
	}
	return true;
}
