/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "gl.h"
#include "load.h"

/* The mesh: a strip of small triangles, drawn again and again. */
#define MESH_TRIANGLES 16000
/* Full-size quads in the buffer of corners. */
#define LAYERS_MAX 64

static const char vertex_source[] = "attribute vec2 position;\n"
				    "uniform vec2 turn;\n"
				    "varying vec2 at;\n"
				    "void main() {\n"
				    "	vec2 p = vec2(dot(position, vec2(turn.x, -turn.y)),\n"
				    "		dot(position, turn.yx));\n"
				    "	gl_Position = vec4(p, 0.0, 1.0);\n"
				    "	at = position;\n"
				    "}\n";

/* GLES 2 wants constant bounds of a loop, not that all of it is run. */
static const char fragment_source[] = "#ifdef GL_FRAGMENT_PRECISION_HIGH\n"
				      "precision highp float;\n"
				      "precision highp int;\n"
				      "#else\n"
				      "precision mediump float;\n"
				      "#endif\n"
				      "varying vec2 at;\n"
				      "uniform int limit;\n"
				      "uniform float tint;\n"
				      "void main() {\n"
				      "	vec3 c = vec3(at, tint);\n"
				      "	for (int i = 0; i < 1048576; i++) {\n"
				      "		if (i >= limit)\n"
				      "			break;\n"
				      "		c = fract(c * 1.731 + c.yzx * 0.377 + 0.113);\n"
				      "	}\n"
				      "	gl_FragColor = vec4(c, 1.0);\n"
				      "}\n";

static const char plain_source[] = "precision mediump float;\n"
				   "varying vec2 at;\n"
				   "uniform float tint;\n"
				   "void main() {\n"
				   "	gl_FragColor = vec4(abs(at), tint, 1.0);\n"
				   "}\n";

static const char *const attributes[] = {"position", NULL};

static GLuint buffer_of(const GLfloat *data, size_t bytes)
{
	GLuint buffer = 0;

	glGenBuffers(1, &buffer);
	glBindBuffer(GL_ARRAY_BUFFER, buffer);
	glBufferData(GL_ARRAY_BUFFER, (GLsizeiptr)bytes, data, GL_STATIC_DRAW);
	return buffer;
}

/* LAYERS_MAX quads as triangles, all of the target each. */
static GLuint make_corners(void)
{
	static const GLfloat quad[] = {-1, -1, 1, -1, -1, 1, -1, 1, 1, -1, 1, 1};
	static GLfloat all[LAYERS_MAX * 12];

	for (int i = 0; i < LAYERS_MAX * 12; i++)
		all[i] = quad[i % 12];
	return buffer_of(all, sizeof(all));
}

static GLuint make_mesh(void)
{
	GLfloat *points = calloc(MESH_TRIANGLES * 6, sizeof(*points));
	GLuint buffer;

	if (!points)
		return 0;
	for (int i = 0; i < MESH_TRIANGLES; i++) {
		float x = (float)(i % 160) / 80.0f - 1.0f, y = (float)(i / 160) / 50.0f - 1.0f;
		const GLfloat corners[6] = {x, y, x + 0.01f, y, x, y + 0.016f};

		for (int j = 0; j < 6; j++)
			points[i * 6 + j] = corners[j];
	}
	buffer = buffer_of(points, MESH_TRIANGLES * 6 * sizeof(*points));
	free(points);
	return buffer;
}

bool bn_load_init(struct bn_load *load, int width, int height)
{
	*load = (struct bn_load){
		.width = width, .height = height, .mesh_triangles = MESH_TRIANGLES};
	load->fragment = bn_gl_program(vertex_source, fragment_source, attributes);
	load->plain = bn_gl_program(vertex_source, plain_source, attributes);
	load->corners = make_corners();
	load->mesh = make_mesh();
	if (!load->fragment || !load->plain || !load->mesh) {
		bn_load_finish(load);
		return false;
	}
	bn_load_restore(load);
	return true;
}

void bn_load_finish(struct bn_load *load)
{
	glDeleteProgram(load->fragment);
	glDeleteProgram(load->plain);
	glDeleteBuffers(1, &load->corners);
	glDeleteBuffers(1, &load->mesh);
	*load = (struct bn_load){0};
}

void bn_load_restore(struct bn_load *load)
{
	glViewport(0, 0, load->width, load->height);
	glDisable(GL_BLEND);
	glDisable(GL_DEPTH_TEST);
	glDisable(GL_SCISSOR_TEST);
	glEnableVertexAttribArray(0);
}

static void use(GLuint program, GLuint buffer, unsigned number, int limit)
{
	float step = (float)(number % 64) / 64.0f;

	glUseProgram(program);
	glUniform1f(glGetUniformLocation(program, "tint"), step);
	glUniform2f(glGetUniformLocation(program, "turn"), 1.0f, 0.0f);
	if (limit >= 0)
		glUniform1i(glGetUniformLocation(program, "limit"), limit);
	glBindBuffer(GL_ARRAY_BUFFER, buffer);
	glVertexAttribPointer(0, 2, GL_FLOAT, GL_FALSE, 0, NULL);
}

static void draw_fragment(struct bn_load *load, int loops, int draws, unsigned number)
{
	use(load->fragment, load->corners, number, loops);
	glEnable(GL_SCISSOR_TEST);
	for (int i = 0; i < draws; i++) {
		int from = load->height * i / draws, to = load->height * (i + 1) / draws;

		glScissor(0, from, load->width, to - from);
		glDrawArrays(GL_TRIANGLES, 0, 6);
	}
	glDisable(GL_SCISSOR_TEST);
}

static void draw_vertices(struct bn_load *load, int thousands, int draws, unsigned number)
{
	int each = thousands * 1000 / draws;

	use(load->plain, load->mesh, number, -1);
	for (int i = 0; i < draws; i++) {
		for (int left = each; left > 0; left -= load->mesh_triangles) {
			int n = left < load->mesh_triangles ? left : load->mesh_triangles;

			glDrawArrays(GL_TRIANGLES, 0, n * 3);
		}
	}
}

static void draw_submits(struct bn_load *load, int submits, unsigned number)
{
	use(load->plain, load->mesh, number, -1);
	for (int i = 0; i < submits; i++) {
		glDrawArrays(GL_TRIANGLES, (i * 64 % load->mesh_triangles) * 3, 64 * 3);
		glFlush();
	}
}

void bn_load_draw(
	struct bn_load *load, enum bn_load_kind kind, int amount, int draws, unsigned number)
{
	glClearColor(0.1f, 0.1f, (float)(number % 16) / 16.0f, 1.0f);
	glClear(GL_COLOR_BUFFER_BIT);
	switch (kind) {
	case BN_LOAD_FRAGMENT:
		draw_fragment(load, amount, draws, number);
		break;
	case BN_LOAD_VERTEX:
		draw_vertices(load, amount, draws, number);
		break;
	case BN_LOAD_SUBMITS:
		draw_submits(load, amount, number);
		break;
	}
}

void bn_load_overdraw(struct bn_load *load, int layers, int loops, unsigned number)
{
	use(load->fragment, load->corners, number, loops);
	glDrawArrays(GL_TRIANGLES, 0, (layers < LAYERS_MAX ? layers : LAYERS_MAX) * 6);
}
