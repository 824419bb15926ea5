/* The programs. Each works out, for a pixel of the target, which pixel of the picture lies there, takes that (or mixes four)
 * and hands it on as whole numbers of eight bits, rounded where pixman rounds. */
#include <stdlib.h>

#include "common/log.h"
#include "compose_gl_impl.h"

static const char vertex[] =
	"#version 300 es\n"
	"void main() {\n"
	/* One triangle over everything; the scissor cuts out what is wanted. */
	"	vec2 p = vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0);\n"
	"	gl_Position = vec4(p, 0.0, 1.0);\n"
	"}\n";

static const char common[] =
	"precision highp float;\n"
	"precision highp int;\n"
	"precision highp sampler2D;\n"
	"uniform mat2 u_turn;\n"    /* pixels of the place to those of the picture */
	"uniform vec2 u_from;\n"    /* where its corner lies in the picture */
	"uniform vec2 u_at;\n"      /* and on the output */
	"uniform ivec4 u_bounds;\n" /* the picture's pixels that may be read: first, last */
	"uniform float u_alpha;\n"
	"uniform bool u_over;\n"
	"float byte(float f) { return floor(f * 255.0 + 0.5); }\n"
	"vec4 bytes(vec4 f) { return floor(f * 255.0 + 0.5); }\n";

static const char pixel_rgb[] =
	"uniform sampler2D u_0;\n"
	"uniform mat4 u_mix;\n"
	"uniform vec4 u_bias;\n"
	"uniform bool u_deep;\n"
	"vec4 pixel(ivec2 p) {\n"
	"	vec4 c = texelFetch(u_0, p, 0);\n"
	/* 565: the upper bits again below, as display hardware does. */
	"	if (u_deep) {\n"
	"		vec3 q = floor(c.rgb * vec3(31.0, 63.0, 31.0) + 0.5);\n"
	"		return vec4(q * vec3(8.0, 4.0, 8.0) + floor(q / vec3(4.0, 16.0, 4.0)), "
	"255.0);\n"
	"	}\n"
	"	return bytes(u_mix * c + u_bias);\n"
	"}\n";

static const char pixel_yuv[] =
	"uniform sampler2D u_0, u_1, u_2;\n"
	"uniform ivec4 u_y, u_u, u_v;\n" /* texture, first component, what the next pixel is further, pixels that share it */
	"uniform ivec2 u_sub[3];\n" /* of each texture's units */
	"uniform int u_bits;\n"
	"uniform mat3 u_matrix;\n"
	"uniform vec2 u_zero;\n"
	"vec4 unit(int t, ivec2 p) {\n"
	"	ivec2 q = p / u_sub[t];\n"
	"	if (t == 0)\n"
	"		return texelFetch(u_0, q, 0);\n"
	"	return t == 1 ? texelFetch(u_1, q, 0) : texelFetch(u_2, q, 0);\n"
	"}\n"
	"float sampled(ivec4 s, ivec2 p) {\n"
	"	vec4 c = unit(s.x, p);\n"
	"	int i = s.y + p.x % u_sub[s.x].x / s.w * s.z;\n"
	"	if (u_bits == 8)\n"
	"		return byte(c[i]);\n"
	"	float word = byte(c[i]) + 256.0 * byte(c[i + 1]);\n"
	"	return floor(word / exp2(float(16 - u_bits)));\n"
	"}\n"
	"vec4 pixel(ivec2 p) {\n"
	"	vec3 yuv = vec3(sampled(u_y, p), sampled(u_u, p), sampled(u_v, p)) - u_zero.xyy;\n"
	"	vec3 rgb = clamp(floor(u_matrix * yuv + 0.5), 0.0, 65535.0);\n"
	"	return vec4(floor((rgb + 128.0) / 257.0), 255.0);\n"
	"}\n";

static const char pixel_external[] =
	"uniform samplerExternalOES u_0;\n"
	"uniform vec2 u_size;\n"
	"uniform mat4 u_mix;\n"
	"uniform vec4 u_bias;\n"
	"vec4 pixel(ivec2 p) {\n"
	"	return bytes(u_mix * texture(u_0, (vec2(p) + 0.5) / u_size) + u_bias);\n"
	"}\n";

static const char take_one[] = "vec4 take(vec2 at) { return pixel(ivec2(floor(at))); }\n";

static const char take_four[] =
	"vec4 near(ivec2 p) { return pixel(clamp(p, u_bounds.xy, u_bounds.zw)); }\n"
	"vec4 take(vec2 at) {\n"
	"	vec2 low = floor(at - 0.5), f = at - 0.5 - low;\n"
	"	ivec2 p = ivec2(low);\n"
	"	vec4 above = mix(near(p), near(p + ivec2(1, 0)), f.x);\n"
	"	vec4 below = mix(near(p + ivec2(0, 1)), near(p + ivec2(1, 1)), f.x);\n"
	"	return floor(mix(above, below, f.y) + 0.5);\n"
	"}\n";

static const char end_plain[] =
	"out vec4 o_color;\n"
	"void main() {\n"
	"	vec4 c = take(u_turn * (gl_FragCoord.xy - u_at) + u_from);\n"
	"	if (u_alpha < 255.0)\n"
	"		c = floor(c * u_alpha / 255.0 + 0.5);\n"
	"	o_color = c / 255.0;\n"
	"}\n";

static const char end_fetch[] =
	"inout vec4 o_color;\n"
	"void main() {\n"
	"	vec4 c = take(u_turn * (gl_FragCoord.xy - u_at) + u_from);\n"
	"	if (u_alpha < 255.0)\n"
	"		c = floor(c * u_alpha / 255.0 + 0.5);\n"
	"	if (u_over)\n"
	"		c = min(c + floor(bytes(o_color) * (255.0 - c.a) / 255.0 + 0.5), 255.0);\n"
	"	o_color = c / 255.0;\n"
	"}\n";

/* Below x, over y: each of 256 values of either. */
static const char probe_below[] =
	"precision highp float;\n"
	"out vec4 o_color;\n"
	"void main() { o_color = vec4(floor(gl_FragCoord.y) / 255.0); }\n";

static const char probe_over[] =
	"precision highp float;\n"
	"out vec4 o_color;\n"
	"void main() {\n"
	"	vec2 p = floor(gl_FragCoord.xy);\n"
	"	o_color = vec4(0.0, p.x, mod(p.x * 7.0 + p.y * 3.0, 256.0), p.x) / 255.0;\n"
	"}\n";

/* ---- making them ---- */

static GLuint compile(GLenum type, const char *const *parts, GLsizei count)
{
	GLuint shader = glCreateShader(type);
	GLint ok = 0;

	glShaderSource(shader, count, parts, NULL);
	glCompileShader(shader);
	glGetShaderiv(shader, GL_COMPILE_STATUS, &ok);
	if (!ok) {
		char text[400] = "";

		glGetShaderInfoLog(shader, sizeof(text), NULL, text);
		bn_debug("composing: a program cannot be made: %s", text);
		glDeleteShader(shader);
		return 0;
	}
	return shader;
}

/* 0: it cannot be made. */
static GLuint link_program(const char *const *parts, GLsizei count)
{
	const char *vertex_part = vertex;
	GLuint v = compile(GL_VERTEX_SHADER, &vertex_part, 1);
	GLuint f = compile(GL_FRAGMENT_SHADER, parts, count), program = 0;
	GLint ok = 0;

	if (v && f) {
		program = glCreateProgram();
		glAttachShader(program, v);
		glAttachShader(program, f);
		glLinkProgram(program);
		glGetProgramiv(program, GL_LINK_STATUS, &ok);
	}
	glDeleteShader(v);
	glDeleteShader(f);
	if (program && !ok) {
		glDeleteProgram(program);
		program = 0;
	}
	return program;
}

static void find_uniforms(struct bn_compose_gl_program *p)
{
	static const char *const textures[] = {"u_0", "u_1", "u_2"};

	p->turn = glGetUniformLocation(p->id, "u_turn");
	p->from = glGetUniformLocation(p->id, "u_from");
	p->at = glGetUniformLocation(p->id, "u_at");
	p->bounds = glGetUniformLocation(p->id, "u_bounds");
	p->size = glGetUniformLocation(p->id, "u_size");
	p->alpha = glGetUniformLocation(p->id, "u_alpha");
	p->over = glGetUniformLocation(p->id, "u_over");
	p->mix = glGetUniformLocation(p->id, "u_mix");
	p->bias = glGetUniformLocation(p->id, "u_bias");
	p->deep = glGetUniformLocation(p->id, "u_deep");
	p->y = glGetUniformLocation(p->id, "u_y");
	p->u = glGetUniformLocation(p->id, "u_u");
	p->v = glGetUniformLocation(p->id, "u_v");
	p->sub = glGetUniformLocation(p->id, "u_sub");
	p->bits = glGetUniformLocation(p->id, "u_bits");
	p->matrix = glGetUniformLocation(p->id, "u_matrix");
	p->zero = glGetUniformLocation(p->id, "u_zero");
	glUseProgram(p->id);
	for (GLint i = 0; i < 3; i++)
		glUniform1i(glGetUniformLocation(p->id, textures[i]), i);
}

static bool make(struct bn_compose_gl_context *c, enum bn_compose_gl_kind kind, bool scaled)
{
	static const char *const pixels[] = {pixel_rgb, pixel_yuv, pixel_external};
	bool fetch = c->blend == BN_COMPOSE_GL_FETCH;
	const char *parts[] = {
		"#version 300 es\n",
		fetch ? "#extension GL_EXT_shader_framebuffer_fetch : require\n" : "",
		kind == BN_COMPOSE_GL_EXTERNAL
			? "#extension GL_OES_EGL_image_external_essl3 : require\n"
			: "",
		common,
		pixels[kind],
		scaled ? take_four : take_one,
		fetch ? end_fetch : end_plain,
	};
	struct bn_compose_gl_program *p = &c->programs[kind][scaled];

	p->id = link_program(parts, sizeof(parts) / sizeof(parts[0]));
	if (p->id)
		find_uniforms(p);
	return p->id != 0;
}

/* ---- whether the blending unit is exact ---- */

#define PROBE 256

static unsigned over(unsigned below, unsigned value, unsigned alpha)
{
	unsigned sum = value + (below * (255 - alpha) * 2 + 255) / 510;

	return sum > 255 ? 255 : sum;
}

static bool is_right(const uint8_t *pixel, unsigned x, unsigned y)
{
	return pixel[0] == over(y, 0, x) && pixel[1] == over(y, x, x) &&
	       pixel[2] == over(y, (x * 7 + y * 3) % 256, x) && pixel[3] == over(y, x, x);
}

static bool draw_probe(const char *part)
{
	const char *parts[] = {"#version 300 es\n", part};
	GLuint program = link_program(parts, 2);

	if (!program)
		return false;
	glUseProgram(program);
	glDrawArrays(GL_TRIANGLES, 0, 3);
	glUseProgram(0);
	glDeleteProgram(program);
	return true;
}

static bool blend_probe(void)
{
	uint8_t *pixels = malloc(PROBE * PROBE * 4);
	bool ok = pixels;

	if (!ok)
		return false;
	ok = draw_probe(probe_below);
	glEnable(GL_BLEND);
	glBlendFunc(GL_ONE, GL_ONE_MINUS_SRC_ALPHA);
	ok = ok && draw_probe(probe_over);
	glDisable(GL_BLEND);
	glReadPixels(0, 0, PROBE, PROBE, GL_RGBA, GL_UNSIGNED_BYTE, pixels);
	for (unsigned i = 0; i < PROBE * PROBE && ok; i++)
		ok = is_right(pixels + 4 * (size_t)i, i % PROBE, i / PROBE);
	free(pixels);
	return ok;
}

struct scratch {
	GLuint buffer, frame;
};

static bool scratch_init(struct scratch *scratch)
{
	glGenRenderbuffers(1, &scratch->buffer);
	glBindRenderbuffer(GL_RENDERBUFFER, scratch->buffer);
	glRenderbufferStorage(GL_RENDERBUFFER, GL_RGBA8, PROBE, PROBE);
	glGenFramebuffers(1, &scratch->frame);
	glBindFramebuffer(GL_FRAMEBUFFER, scratch->frame);
	glFramebufferRenderbuffer(
		GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_RENDERBUFFER, scratch->buffer);
	glViewport(0, 0, PROBE, PROBE);
	return glCheckFramebufferStatus(GL_FRAMEBUFFER) == GL_FRAMEBUFFER_COMPLETE;
}

static void scratch_finish(struct scratch *scratch)
{
	glDeleteFramebuffers(1, &scratch->frame);
	glDeleteRenderbuffers(1, &scratch->buffer);
}

static void choose_blend(struct bn_compose_gl_context *c)
{
	if (blend_probe())
		c->blend = BN_COMPOSE_GL_FIXED;
	else if (epoxy_has_gl_extension("GL_EXT_shader_framebuffer_fetch"))
		c->blend = BN_COMPOSE_GL_FETCH;
	else
		c->blend = BN_COMPOSE_GL_ROUGH;
}

/* Drivers make the machine's code when a program draws first: here, not in the loop. */
static void warm_up(const struct bn_compose_gl_context *c)
{
	for (unsigned i = 0; i < BN_COMPOSE_GL_KINDS * 2; i++) {
		const struct bn_compose_gl_program *p = &c->programs[i / 2][i % 2];

		if (p->id == 0)
			continue;
		glUseProgram(p->id);
		glDisable(GL_BLEND);
		glDrawArrays(GL_TRIANGLES, 0, 3);
		glEnable(GL_BLEND);
		glDrawArrays(GL_TRIANGLES, 0, 3);
	}
	glDisable(GL_BLEND);
	glFinish();
}

static bool make_all(struct bn_compose_gl_context *c)
{
	for (int scaled = 0; scaled < 2; scaled++) {
		if (!make(c, BN_COMPOSE_GL_RGB, scaled) || !make(c, BN_COMPOSE_GL_YUV, scaled))
			return false;
		if (c->has_external && !make(c, BN_COMPOSE_GL_EXTERNAL, scaled))
			c->has_external = false;
	}
	return true;
}

bool bn_compose_gl_programs_init(struct bn_compose_gl_context *c)
{
	struct scratch scratch;
	bool ok;

	c->why = "its driver does not compile what is needed";
	glDisable(GL_DITHER);
	ok = scratch_init(&scratch);
	if (ok) {
		choose_blend(c);
		ok = make_all(c);
	}
	if (ok)
		warm_up(c);
	glUseProgram(0);
	scratch_finish(&scratch);
	return ok;
}
