/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "hostile.h"

#define TARGET_SIZE 1024
#define CHURN_TEXTURES 16
#define CHURN_SIZE 256
#define GIANT_SIZE 2048

int bn_hostile_init(struct bn_hostile *h, int strength)
{
	int err;

	*h = (struct bn_hostile){.strength = strength};
	err = bn_gl_init_surfaceless(&h->gl);
	if (err)
		return err;
	if (!bn_gl_target_init(&h->target, TARGET_SIZE, TARGET_SIZE)) {
		bn_gl_finish(&h->gl);
		return -EIO;
	}
	if (!bn_load_init(&h->load, TARGET_SIZE, TARGET_SIZE)) {
		bn_gl_target_finish(&h->target);
		bn_gl_finish(&h->gl);
		return -EIO;
	}
	return 0;
}

void bn_hostile_finish(struct bn_hostile *h)
{
	bn_load_finish(&h->load);
	bn_gl_target_finish(&h->target);
	bn_gl_finish(&h->gl);
}

/* Command buffers of one small draw, one after the other. */
static void strike_submits(struct bn_hostile *h)
{
	bn_load_draw(&h->load, BN_LOAD_SUBMITS, 256, 1, h->number);
}

/* One draw call over and over the whole target: no cut helps against it. */
static void strike_draws(struct bn_hostile *h)
{
	bn_load_overdraw(&h->load, 1 + h->strength / 4, h->strength, h->number);
	glFlush();
}

/* Few pixels that loop for long. */
static void strike_loops(struct bn_hostile *h)
{
	glEnable(GL_SCISSOR_TEST);
	glScissor(0, 0, 64, 64);
	bn_load_overdraw(&h->load, 1, 1000 * h->strength, h->number);
	glDisable(GL_SCISSOR_TEST);
	glFlush();
}

/* Textures that are made, filled, drawn with and thrown away. */
static void strike_churn(struct bn_hostile *h)
{
	static unsigned char pixels[CHURN_SIZE * CHURN_SIZE * 4];
	GLuint textures[CHURN_TEXTURES];

	glGenTextures(CHURN_TEXTURES, textures);
	for (int i = 0; i < CHURN_TEXTURES; i++) {
		pixels[0] = (unsigned char)(h->number + (unsigned)i);
		glBindTexture(GL_TEXTURE_2D, textures[i]);
		glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA, CHURN_SIZE, CHURN_SIZE, 0, GL_RGBA,
			GL_UNSIGNED_BYTE, pixels);
		glGenerateMipmap(GL_TEXTURE_2D);
	}
	bn_load_draw(&h->load, BN_LOAD_FRAGMENT, 1, 4, h->number);
	glDeleteTextures(CHURN_TEXTURES, textures);
	glFlush();
}

/* GL contexts, each with a program of its own to compile. */
static void strike_contexts(struct bn_hostile *h)
{
	static const EGLint attributes[] = {EGL_CONTEXT_CLIENT_VERSION, 2, EGL_NONE};
	EGLContext context =
		eglCreateContext(h->gl.display, h->gl.config, EGL_NO_CONTEXT, attributes);
	struct bn_gl_target target;
	struct bn_load load;

	if (context == EGL_NO_CONTEXT ||
		!eglMakeCurrent(h->gl.display, EGL_NO_SURFACE, EGL_NO_SURFACE, context)) {
		h->failures++;
	} else if (bn_gl_target_init(&target, 64, 64)) {
		if (bn_load_init(&load, 64, 64)) {
			bn_load_draw(&load, BN_LOAD_FRAGMENT, 1, 1, h->number);
			bn_load_finish(&load);
		}
		bn_gl_target_finish(&target);
		glFlush();
	}
	eglMakeCurrent(h->gl.display, EGL_NO_SURFACE, EGL_NO_SURFACE, h->gl.context);
	if (context != EGL_NO_CONTEXT)
		eglDestroyContext(h->gl.display, context);
}

/* Buffers and textures of many megabytes, uploaded whole. */
static void strike_buffers(struct bn_hostile *h)
{
	size_t bytes = (size_t)h->strength * 1024 * 1024 / 2;
	void *data = calloc(1, bytes);
	GLuint buffer, texture;

	if (!data) {
		h->failures++;
		return;
	}
	glGenBuffers(1, &buffer);
	glBindBuffer(GL_ARRAY_BUFFER, buffer);
	glBufferData(GL_ARRAY_BUFFER, (GLsizeiptr)bytes, data, GL_STREAM_DRAW);
	glDeleteBuffers(1, &buffer);
	free(data);
	glGenTextures(1, &texture);
	glBindTexture(GL_TEXTURE_2D, texture);
	glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA, GIANT_SIZE, GIANT_SIZE, 0, GL_RGBA,
		GL_UNSIGNED_BYTE, NULL);
	glGenerateMipmap(GL_TEXTURE_2D);
	glDeleteTextures(1, &texture);
	if (glGetError() != GL_NO_ERROR)
		h->failures++;
	glFlush();
}

const struct bn_hostile_mode bn_hostile_modes[] = {
	{"submits", "command buffers without end, never waited for", strike_submits},
	{"draws", "giant overdraw in single draw calls", strike_draws},
	{"loops", "fragment loops of a hundred thousand rounds", strike_loops},
	{"churn", "textures made, uploaded and destroyed", strike_churn},
	{"contexts", "GL contexts and shaders made and destroyed", strike_contexts},
	{"buffers", "buffers and textures of many megabytes", strike_buffers},
};
const int bn_hostile_mode_count = sizeof(bn_hostile_modes) / sizeof(bn_hostile_modes[0]);
