/* What gl_*.c share. Not for others. */
#ifndef BN_RENDERER_GL_PRIV_H
#define BN_RENDERER_GL_PRIV_H

/* Versions before 1.0 hide what they already can (callbacks v4, per-context fences) behind this. */
#define VIRGL_RENDERER_UNSTABLE_APIS 1

#include <epoxy/egl.h>
#include <epoxy/gl.h>
#include <virgl/virglrenderer.h>

#include "gl.h"

/* virgl_hw.h and virglrenderer's enum virgl_renderer_capset; not installed by any version. */
#define BN_VIRGL_CAPSET_VIRGL 1u
#define BN_VIRGL_CAPSET_VIRGL2 2u
#define BN_VIRGL_Y_0_TOP 1u

/* EGL: the display and every context of this process. */
struct bn_egl {
	EGLDisplay display;
	struct gbm_device *gbm; /* RENDER_NODE only */
	int node_fd;            /* owned; -1 without */
	bool gles;              /* desktop GL cannot be had */
	bool has_priority;      /* EGL_IMG_context_priority */
	enum bn_link_priority priority, granted; /* of contexts: asked for, and had */
	bool has_export;        /* EGL_MESA_image_dma_buf_export and what it needs */
	int major, minor;       /* of the last context made */
	EGLContext
		current; /* what is current on the ring thread, as we and virglrenderer left it */
	const char *why; /* the last failure, in words */
};

/* node_fd is taken over, whatever the result. -ENODEV with egl->why set. */
int bn_egl_init(struct bn_egl *egl, enum bn_link_gpu gpu, int node_fd,
	enum bn_link_priority priority);
void bn_egl_finish(struct bn_egl *egl);
/* shared: with the objects of the current context. EGL_NO_CONTEXT on failure, silently: callers try
 * version after version. */
EGLContext bn_egl_context_create(
	struct bn_egl *egl, bool shared, int major, int minor, bool compat);
void bn_egl_context_destroy(struct bn_egl *egl, EGLContext context);
bool bn_egl_make_current(struct bn_egl *egl, EGLContext context);

/* One fence on its way. */
struct bn_gl_pending {
	uint64_t fence_id, serial, query_seq;
	uint32_t ctx_id;
	bool done;
	GLsync sync;
};

struct bn_gl_fences {
	struct bn_gl_pending *ring; /* capacity is a power of two */
	uint32_t head, count, capacity;
	uint64_t serial;                   /* of the newest fence */
	uint64_t asked, reported;          /* newest one in virglrenderer's table, and out of it */
	uint64_t query_seq, query_settled; /* submits that asked for query results; the last one
					      whose results are written */
	bool delivering;
};

struct bn_gl_context {
	uint32_t id;
	bool lost;
};

/* GL contexts that are metered, at most; and batches of one whose stamps are not read yet. */
#define BN_GL_METERS 128u
#define BN_GL_STAMPS 32u

/* In front of a batch, and behind it. */
struct bn_gl_stamp {
	uint64_t id; /* 0: none, or read */
	GLuint query[2];
	bool ended;
};

struct bn_gl_meter {
	EGLContext context;
	unsigned next; /* of stamp: to be written */
	struct bn_gl_stamp stamp[BN_GL_STAMPS];
};

struct bn_gl_meters {
	int bits;   /* of the driver's timestamps */
	bool flush; /* the first stamp goes off by itself */
	uint64_t number;
	struct bn_gl_meter *list[BN_GL_METERS]; /* an id names its place: they stay where they are */
};

struct bn_gl {
	struct bn_gl_listener listener;
	void *data;
	struct bn_egl egl;
	struct virgl_renderer_callbacks callbacks;
	char name[BN_LINK_TEXT], version[BN_LINK_TEXT];
	int poll_fd; /* virglrenderer's, or our eventfd when it has no sync thread */
	bool own_poll_fd;
	struct bn_gl_fences fences;
	struct bn_gl_meters meters;
	struct bn_gl_context *contexts;
	unsigned ncontexts, contexts_size;
	/* read-back */
	EGLContext reader;
	GLuint reader_fbo;
	bool reader_failed, has_pack_invert, export_failed;
	unsigned long log_submit, log_read;
};

struct bn_gl_context *bn_gl_context_find(const struct bn_gl *gl, uint32_t ctx_id);

void bn_gl_fences_finish(struct bn_gl *gl);
/* Every fence up to serial is done (virglrenderer waits for them in order). */
void bn_gl_fences_done(struct bn_gl *gl, uint64_t serial);
/* Waits, one second at most, until virglrenderer's table holds no fence any more: to be called before
 * a context goes, as its sync thread may be waiting for one of that context's (1.1.0 then touches
 * freed memory). */
void bn_gl_fences_drain(struct bn_gl *gl);
/* virglrenderer forgot the fences of a context (it drops them with the context, 1.1.0 sometimes
 * another one's too): asks for them again. */
void bn_gl_fences_rescue(struct bn_gl *gl);
/* True when the stream asks for query results that virglrenderer writes when a fence retires. */
bool bn_gl_stream_has_query(const uint32_t *words, uint32_t count);

/* With virglrenderer's first context current, and gl->name known. */
void bn_gl_meters_init(struct bn_gl *gl);
void bn_gl_meters_finish(struct bn_gl *gl);
/* The context goes, and its query objects with it. */
void bn_gl_meters_forget(struct bn_gl *gl, EGLContext context);
/* As the driver says, 0 without. */
int bn_gl_timestamp_bits(const struct bn_gl *gl);

void bn_gl_reader_finish(struct bn_gl *gl);

/* Why textures do not leave as dma-bufs, in one line; NULL when they do, as far as is known. text
 * is written to if need be. */
const char *bn_gl_no_export(const struct bn_gl *gl, char *text, size_t size);

#endif
