/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <gbm.h>

#include "gl.h"

static bool has_word(const char *list, const char *word)
{
	size_t length = strlen(word);

	while (list && (list = strstr(list, word))) {
		if (list[length] == ' ' || list[length] == '\0')
			return true;
		list += length;
	}
	return false;
}

static int fail(const char *what)
{
	fprintf(stderr, "EGL: %s (0x%x)\n", what, (unsigned)eglGetError());
	return -EIO;
}

static int choose_config(struct bn_gl *gl, uint32_t visual)
{
	const EGLint want[] = {
		EGL_SURFACE_TYPE,
		visual ? EGL_WINDOW_BIT : EGL_DONT_CARE,
		EGL_RENDERABLE_TYPE,
		EGL_OPENGL_ES2_BIT,
		EGL_RED_SIZE,
		8,
		EGL_GREEN_SIZE,
		8,
		EGL_BLUE_SIZE,
		8,
		EGL_NONE,
	};
	EGLConfig configs[64];
	EGLint count = 0;

	if (!eglChooseConfig(gl->display, want, configs, 64, &count) || count < 1)
		return fail("no configuration for OpenGL ES 2");
	for (int i = 0; i < count; i++) {
		EGLint id = 0;

		eglGetConfigAttrib(gl->display, configs[i], EGL_NATIVE_VISUAL_ID, &id);
		if (!visual || (uint32_t)id == visual) {
			gl->config = configs[i];
			return 0;
		}
	}
	return fail("no configuration with the display's pixel format");
}

static int init_context(struct bn_gl *gl, uint32_t visual)
{
	static const EGLint attributes[] = {EGL_CONTEXT_CLIENT_VERSION, 2, EGL_NONE};
	int err;

	if (gl->display == EGL_NO_DISPLAY || !eglInitialize(gl->display, NULL, NULL))
		return fail("no display");
	if (!has_word(eglQueryString(gl->display, EGL_EXTENSIONS), "EGL_KHR_surfaceless_context")) {
		fprintf(stderr, "EGL: no surfaceless contexts\n");
		return -ENOTSUP;
	}
	if (!eglBindAPI(EGL_OPENGL_ES_API))
		return fail("no OpenGL ES");
	err = choose_config(gl, visual);
	if (err)
		return err;
	gl->context = eglCreateContext(gl->display, gl->config, EGL_NO_CONTEXT, attributes);
	if (gl->context == EGL_NO_CONTEXT)
		return fail("no context");
	if (!eglMakeCurrent(gl->display, EGL_NO_SURFACE, EGL_NO_SURFACE, gl->context))
		return fail("the context cannot be made current");
	return 0;
}

static int init_platform(struct bn_gl *gl, EGLenum platform, void *native, uint32_t visual)
{
	PFNEGLGETPLATFORMDISPLAYEXTPROC get_display;
	int err;

	*gl = (struct bn_gl){.display = EGL_NO_DISPLAY, .context = EGL_NO_CONTEXT};
	get_display =
		(PFNEGLGETPLATFORMDISPLAYEXTPROC)eglGetProcAddress("eglGetPlatformDisplayEXT");
	if (!get_display) {
		fprintf(stderr, "EGL: no platform displays\n");
		return -ENOTSUP;
	}
	gl->display = get_display(platform, native, NULL);
	err = init_context(gl, visual);
	if (err)
		bn_gl_finish(gl);
	return err;
}

int bn_gl_init_gbm(struct bn_gl *gl, struct gbm_device *gbm, uint32_t visual)
{
	return init_platform(gl, EGL_PLATFORM_GBM_KHR, gbm, visual);
}

int bn_gl_init_surfaceless(struct bn_gl *gl)
{
	return init_platform(gl, EGL_PLATFORM_SURFACELESS_MESA, EGL_DEFAULT_DISPLAY, 0);
}

void bn_gl_finish(struct bn_gl *gl)
{
	if (gl->display == EGL_NO_DISPLAY)
		return;
	eglMakeCurrent(gl->display, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
	if (gl->context != EGL_NO_CONTEXT)
		eglDestroyContext(gl->display, gl->context);
	eglTerminate(gl->display);
	*gl = (struct bn_gl){.display = EGL_NO_DISPLAY, .context = EGL_NO_CONTEXT};
}

static GLuint compile(GLenum type, const char *source)
{
	GLuint shader = glCreateShader(type);
	GLint ok = 0;
	char log[1024];

	glShaderSource(shader, 1, &source, NULL);
	glCompileShader(shader);
	glGetShaderiv(shader, GL_COMPILE_STATUS, &ok);
	if (ok)
		return shader;
	glGetShaderInfoLog(shader, sizeof(log), NULL, log);
	fprintf(stderr, "shader: %s\n", log);
	glDeleteShader(shader);
	return 0;
}

GLuint bn_gl_program(const char *vertex, const char *fragment, const char *const *attributes)
{
	GLuint vs = compile(GL_VERTEX_SHADER, vertex);
	GLuint fs = compile(GL_FRAGMENT_SHADER, fragment);
	GLuint program = 0;
	GLint ok = 0;
	char log[1024];

	if (!vs || !fs)
		goto out;
	program = glCreateProgram();
	glAttachShader(program, vs);
	glAttachShader(program, fs);
	for (GLuint i = 0; attributes[i]; i++)
		glBindAttribLocation(program, i, attributes[i]);
	glLinkProgram(program);
	glGetProgramiv(program, GL_LINK_STATUS, &ok);
	if (!ok) {
		glGetProgramInfoLog(program, sizeof(log), NULL, log);
		fprintf(stderr, "program: %s\n", log);
		glDeleteProgram(program);
		program = 0;
	}
out:
	glDeleteShader(vs);
	glDeleteShader(fs);
	return program;
}

bool bn_gl_target_init(struct bn_gl_target *target, int width, int height)
{
	*target = (struct bn_gl_target){.width = width, .height = height};
	glGenTextures(1, &target->texture);
	glBindTexture(GL_TEXTURE_2D, target->texture);
	glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA, width, height, 0, GL_RGBA, GL_UNSIGNED_BYTE, NULL);
	glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_NEAREST);
	glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MAG_FILTER, GL_NEAREST);
	glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_WRAP_S, GL_CLAMP_TO_EDGE);
	glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_WRAP_T, GL_CLAMP_TO_EDGE);
	glGenFramebuffers(1, &target->framebuffer);
	glBindFramebuffer(GL_FRAMEBUFFER, target->framebuffer);
	glFramebufferTexture2D(
		GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, target->texture, 0);
	if (glCheckFramebufferStatus(GL_FRAMEBUFFER) == GL_FRAMEBUFFER_COMPLETE)
		return true;
	bn_gl_target_finish(target);
	return false;
}

void bn_gl_target_finish(struct bn_gl_target *target)
{
	glDeleteFramebuffers(1, &target->framebuffer);
	glDeleteTextures(1, &target->texture);
	*target = (struct bn_gl_target){0};
}
