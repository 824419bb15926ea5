/* Inside of compose_gl*.c. */
#ifndef BN_COMPOSITOR_COMPOSE_GL_IMPL_H
#define BN_COMPOSITOR_COMPOSE_GL_IMPL_H

#include <epoxy/egl.h>
#include <epoxy/gl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "compose_gl.h"
#include "zero-copy/format.h"

#define BN_COMPOSE_GL_QUERIES 4

/* Where a picture's pixels come from, and so which program draws it. */
enum bn_compose_gl_kind {
	BN_COMPOSE_GL_RGB,      /* one texture, pixel by pixel */
	BN_COMPOSE_GL_YUV,      /* one per plane, made into RGB here */
	BN_COMPOSE_GL_EXTERNAL, /* the driver's business */
	BN_COMPOSE_GL_KINDS,
};

struct bn_compose_gl_program {
	GLuint id; /* 0: none */
	GLint turn, from, at, bounds, size, alpha, over, mix, bias, deep;
	GLint y, u, v, sub, bits, matrix, zero;
};

/* How the target's pixels get under what is drawn with transparency. */
enum bn_compose_gl_blend {
	BN_COMPOSE_GL_FIXED, /* the blending unit, which was found to be exact */
	BN_COMPOSE_GL_FETCH, /* the program reads them (EXT_shader_framebuffer_fetch) */
	BN_COMPOSE_GL_ROUGH, /* the blending unit: the last bit may differ */
};

/* EGL, a context, and what is made once in it. All of it is made by one thread and then used by another. */
struct bn_compose_gl_context {
	const char *why; /* it could not be made */
	int node_fd;     /* -1: none */
	struct gbm_device *gbm;
	EGLDisplay display;
	EGLContext context;
	bool shared; /* the display is the process's */
	bool has_modifiers, has_fences, has_timer, has_reset, khr_robustness, has_external;
	bool high; /* the priority that was asked for was had */
	enum bn_compose_gl_blend blend;
	struct bn_compose_gl_program programs[BN_COMPOSE_GL_KINDS][2]; /* [1]: scaled */
	GLuint queries[BN_COMPOSE_GL_QUERIES];
	GLuint cursor; /* texture for cursors */
	char renderer[96];
};

/* Says how it went in the log. node: "" for Mesa's rasteriser. False: nothing is left, see why. */
bool bn_compose_gl_open(struct bn_compose_gl_context *c, const char *node);
/* All objects in it are gone afterwards. */
void bn_compose_gl_close(struct bn_compose_gl_context *c);
bool bn_compose_gl_make_current(const struct bn_compose_gl_context *c);
/* False: *why says what is missing. Current. */
bool bn_compose_gl_programs_init(struct bn_compose_gl_context *c);
/* A dma-buf, or one plane of it. EGL_NO_IMAGE: it cannot be. */
EGLImage bn_compose_gl_import(const struct bn_compose_gl_context *c,
	const struct bn_buffer_attrs *attrs, uint32_t fourcc);

enum bn_compose_gl_state {
	BN_COMPOSE_GL_OPENING, /* the thread is at it */
	BN_COMPOSE_GL_OPENED,  /* it is done */
	BN_COMPOSE_GL_REFUSED, /* it could not */
	BN_COMPOSE_GL_READY,
	BN_COMPOSE_GL_LOST, /* until retry_ns */
	BN_COMPOSE_GL_DEAD,
};

struct bn_compose_gl {
	char name[64], node[64]; /* node: "" until it is found, and for Mesa's rasteriser */
	dev_t card;              /* 0: none */
	bool software;
	_Atomic int state;
	pthread_t thread;
	struct bn_compose_gl_context c;
	unsigned long generation; /* of c */
	struct wl_list sources, targets;
	uint64_t retry_ns, wait_ns;

	bool busy[BN_COMPOSE_GL_QUERIES]; /* not read */
	unsigned next_query;
	unsigned long log_error;
};

struct bn_compose_gl_target {
	struct wl_list link;
	struct bn_compose_gl *gl;
	struct bn_compose_gl_memory memory;
	unsigned long generation; /* that the rest belongs to */
	EGLImage image;
	GLuint buffer, frame;
	bool failed; /* the GPU cannot write to it */
};

/* A buffer as textures, kept with it. */
struct bn_compose_gl_source {
	struct wl_list link;
	struct bn_compose_gl *gl;
	struct bn_buffer *buffer;
	enum bn_compose_gl_kind kind;
	enum { BN_COMPOSE_GL_IMPORTED, BN_COMPOSE_GL_UPLOADED, BN_COMPOSE_GL_CONVERTED } how;
	const struct bn_format *format;
	bool bytes; /* texture components are bytes of memory, whatever the format says */
	unsigned textures;
	GLuint texture[BN_FORMAT_PLANES_MAX];
	EGLImage image[BN_FORMAT_PLANES_MAX];
};

/* The buffer's textures with the part that is to be drawn (as it is stored) in them. 0, or as bn_compose_gl_draw(), and -ENOMEM. */
int bn_compose_gl_source_get(struct bn_compose_gl *gl, struct bn_buffer *buffer,
	const struct bn_rect *part, struct bn_compose_gl_source **out, uint64_t *copied);
void bn_compose_gl_sources_finish(struct bn_compose_gl *gl);
void bn_compose_gl_texture_init(GLenum target, GLuint texture);

/* Draws one item; current, the target bound. */
int bn_compose_gl_draw_item(struct bn_compose_gl *gl, const struct bn_compose_item *item,
	pixman_region32_t *region, uint64_t *copied);

#endif
