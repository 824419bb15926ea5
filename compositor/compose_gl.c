/* Where composing on a GPU begins and ends: finding the GPU, starting EGL beside the loop, targets, fences, the time that it
 * took, and what is done when it fails. */
#include "compose_gl.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xf86drm.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "compose_gl_count.h"
#include "compose_gl_impl.h"

#define RETRY_FIRST_NS BN_NS_PER_S
#define RETRY_MAX_NS (60 * BN_NS_PER_S)
#define DEVICES_MAX 16

enum bn_compose_gl_use bn_compose_gl_use;

/* ---- finding it ---- */

static bool is_software_node(const char *node)
{
	static const char *const drivers[] = {"vgem", "vkms"};
	int fd = open(node, O_RDWR | O_CLOEXEC);
	drmVersion *version;
	bool is = fd < 0;

	if (fd < 0)
		return true;
	version = drmGetVersion(fd);
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]) && !is; i++)
		is = !version || strcmp(version->name, drivers[i]) == 0;
	drmFreeVersion(version);
	bn_fd_close(&fd);
	return is;
}

static bool take(char *out, size_t size, const char *node)
{
	if (!node || is_software_node(node))
		return false;
	snprintf(out, size, "%s", node);
	return true;
}

static bool take_from(char *out, size_t size, const drmDevice *device)
{
	return (device->available_nodes & 1 << DRM_NODE_RENDER) &&
	       take(out, size, device->nodes[DRM_NODE_RENDER]);
}

static bool take_own(char *out, size_t size, dev_t card)
{
	drmDevicePtr device;
	bool found;

	if (card == 0 || drmGetDeviceFromDevId(card, 0, &device) < 0)
		return false;
	found = take_from(out, size, device);
	drmFreeDevice(&device);
	return found;
}

/* The display controller's own GPU, else (a system on a chip has the two apart) the first there is. */
static bool find_node(dev_t card, char *out, size_t size)
{
	drmDevicePtr devices[DEVICES_MAX];
	bool found = take_own(out, size, card);
	int n = found ? 0 : drmGetDevices2(0, devices, DEVICES_MAX);

	for (int i = 0; i < n && !found; i++)
		found = take_from(out, size, devices[i]);
	if (n > 0)
		drmFreeDevices(devices, n);
	return found;
}

/* ---- starting ---- */

static void *open_beside(void *data)
{
	struct bn_compose_gl *gl = data;
	bool ok = false;

	if (!gl->software && gl->node[0] == '\0' &&
		!find_node(gl->card, gl->node, sizeof(gl->node)))
		gl->c.why = "there is no GPU";
	else
		ok = bn_compose_gl_open(&gl->c, gl->node);
	atomic_store_explicit(&gl->state, ok ? BN_COMPOSE_GL_OPENED : BN_COMPOSE_GL_REFUSED,
		memory_order_release);
	return NULL;
}

/* The driver's own threads inherit from this one: none of them gets the loop's real-time priority. */
static bool start(struct bn_compose_gl *gl)
{
	struct sched_param none = {0};
	pthread_attr_t attr;
	int r = pthread_attr_init(&attr);

	if (r != 0)
		return false;
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_OTHER);
	pthread_attr_setschedparam(&attr, &none);
	atomic_store(&gl->state, BN_COMPOSE_GL_OPENING);
	r = pthread_create(&gl->thread, &attr, open_beside, gl);
	pthread_attr_destroy(&attr);
	if (r != 0)
		atomic_store(&gl->state, BN_COMPOSE_GL_DEAD);
	return r == 0;
}

struct bn_compose_gl *bn_compose_gl_create(int card_fd, const char *name)
{
	struct bn_compose_gl *gl;
	struct stat st;

	if (bn_compose_gl_use == BN_COMPOSE_GL_NEVER ||
		(bn_compose_gl_use == BN_COMPOSE_GL_AUTO && !bn_gpu_allowed()))
		return NULL;
	gl = calloc(1, sizeof(*gl));
	if (!gl)
		return NULL;
	snprintf(gl->name, sizeof(gl->name), "%s", name);
	wl_list_init(&gl->sources);
	wl_list_init(&gl->targets);
	gl->wait_ns = RETRY_FIRST_NS;
	gl->software = bn_compose_gl_use == BN_COMPOSE_GL_SOFTWARE;
	if (card_fd >= 0 && fstat(card_fd, &st) == 0)
		gl->card = st.st_rdev;
	if (!start(gl)) {
		free(gl);
		return NULL;
	}
	return gl;
}

static void say_refused(const struct bn_compose_gl *gl)
{
	if (gl->software || gl->node[0] == '\0')
		bn_info("%s: pictures are composed by the CPU: %s", gl->name, gl->c.why);
	else
		bn_info("%s: pictures are composed by the CPU: %s: %s", gl->name, gl->node,
			gl->c.why);
}

static void settle(struct bn_compose_gl *gl, int state)
{
	pthread_join(gl->thread, NULL);
	if (state == BN_COMPOSE_GL_REFUSED) {
		say_refused(gl);
		atomic_store(&gl->state, BN_COMPOSE_GL_DEAD);
		return;
	}
	bn_info("%s: pictures are composed by %s%s%s%s%s", gl->name, gl->c.renderer,
		gl->node[0] ? " on " : "", gl->node,
		gl->c.high ? ", at high priority" : ", at the priority of everybody",
		gl->c.has_fences ? "" : ", waiting for each (no EGL_ANDROID_native_fence_sync)");
	if (gl->c.blend == BN_COMPOSE_GL_ROUGH)
		bn_info("%s: its transparency is exact to within one of 255", gl->name);
	gl->generation++;
	memset(gl->busy, 0, sizeof(gl->busy));
	atomic_store(&gl->state, BN_COMPOSE_GL_READY);
}

bool bn_compose_gl_ready(struct bn_compose_gl *gl)
{
	int state = atomic_load_explicit(&gl->state, memory_order_acquire);

	if (state == BN_COMPOSE_GL_OPENED || state == BN_COMPOSE_GL_REFUSED)
		settle(gl, state);
	else if (state == BN_COMPOSE_GL_LOST && bn_now_ns() >= gl->retry_ns)
		start(gl);
	return atomic_load(&gl->state) == BN_COMPOSE_GL_READY;
}

bool bn_compose_gl_wait(struct bn_compose_gl *gl)
{
	while (!bn_compose_gl_ready(gl) && atomic_load(&gl->state) != BN_COMPOSE_GL_DEAD)
		usleep(1000);
	return atomic_load(&gl->state) == BN_COMPOSE_GL_READY;
}

/* ---- targets ---- */

static void target_release(struct bn_compose_gl_target *t)
{
	struct bn_compose_gl *gl = t->gl;

	if (t->generation != gl->generation || !bn_compose_gl_make_current(&gl->c))
		return;
	if (t->frame)
		glDeleteFramebuffers(1, &t->frame);
	if (t->buffer)
		glDeleteRenderbuffers(1, &t->buffer);
	if (t->image != EGL_NO_IMAGE)
		eglDestroyImageKHR(gl->c.display, t->image);
	t->frame = t->buffer = 0;
	t->image = EGL_NO_IMAGE;
	t->generation = 0;
}

int bn_compose_gl_target_create(struct bn_compose_gl_target **out, struct bn_compose_gl *gl,
	const struct bn_compose_gl_memory *memory)
{
	off_t size = lseek(memory->fd, 0, SEEK_END);
	struct bn_compose_gl_target *t;

	*out = NULL;
	if (size < 0 || (uint64_t)size < (uint64_t)memory->stride * memory->height)
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->gl = gl;
	t->memory = *memory;
	t->memory.fd = bn_fd_dup(memory->fd);
	if (t->memory.fd < 0) {
		int r = t->memory.fd;

		free(t);
		return r;
	}
	wl_list_insert(&gl->targets, &t->link);
	*out = t;
	return 0;
}

void bn_compose_gl_target_destroy(struct bn_compose_gl_target *target)
{
	if (!target)
		return;
	target_release(target);
	wl_list_remove(&target->link);
	bn_fd_close(&target->memory.fd);
	free(target);
}

static bool target_make(struct bn_compose_gl_target *t)
{
	const struct bn_compose_gl_memory *m = &t->memory;
	struct bn_buffer_attrs attrs = {
		.kind = BN_BUFFER_DMABUF,
		.width = m->width,
		.height = m->height,
		.modifier = DRM_FORMAT_MOD_LINEAR,
		.planes = 1,
		.stride = {m->stride},
		.fd = {m->fd, -1, -1, -1},
	};

	t->generation = t->gl->generation;
	t->image = bn_compose_gl_import(&t->gl->c, &attrs, DRM_FORMAT_ARGB8888);
	if (t->image == EGL_NO_IMAGE)
		return false;
	while (glGetError() != GL_NO_ERROR)
		;
	glGenRenderbuffers(1, &t->buffer);
	glBindRenderbuffer(GL_RENDERBUFFER, t->buffer);
	glEGLImageTargetRenderbufferStorageOES(GL_RENDERBUFFER, t->image);
	glGenFramebuffers(1, &t->frame);
	glBindFramebuffer(GL_FRAMEBUFFER, t->frame);
	glFramebufferRenderbuffer(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_RENDERBUFFER, t->buffer);
	return glGetError() == GL_NO_ERROR &&
	       glCheckFramebufferStatus(GL_FRAMEBUFFER) == GL_FRAMEBUFFER_COMPLETE;
}

static int target_bind(struct bn_compose_gl_target *t)
{
	if (t->failed)
		return -EIO;
	if (t->generation != t->gl->generation && !target_make(t)) {
		target_release(t);
		t->failed = true;
		bn_info("%s: its memory cannot be drawn into by %s: the CPU composes", t->gl->name,
			t->gl->c.renderer);
		return -EIO;
	}
	glBindFramebuffer(GL_FRAMEBUFFER, t->frame);
	glViewport(0, 0, (GLsizei)t->memory.width, (GLsizei)t->memory.height);
	return 0;
}

/* ---- when it goes wrong ---- */

static void release_all(struct bn_compose_gl *gl)
{
	struct bn_compose_gl_target *t;

	bn_compose_gl_sources_finish(gl);
	wl_list_for_each(t, &gl->targets, link) target_release(t);
	bn_compose_gl_close(&gl->c);
}

void bn_compose_gl_lose(struct bn_compose_gl *gl)
{
	if (atomic_load(&gl->state) != BN_COMPOSE_GL_READY)
		return;
	bn_warn("%s: %s lost what it was doing (a reset?): the CPU composes, and in %u s the GPU "
		"is "
		"tried again",
		gl->name, gl->c.renderer, (unsigned)(gl->wait_ns / BN_NS_PER_S));
	release_all(gl);
	bn_gpu_lost();
	gl->retry_ns = bn_now_ns() + gl->wait_ns;
	gl->wait_ns = gl->wait_ns * 2 < RETRY_MAX_NS ? gl->wait_ns * 2 : RETRY_MAX_NS;
	atomic_store(&gl->state, BN_COMPOSE_GL_LOST);
}

void bn_compose_gl_destroy(struct bn_compose_gl *gl)
{
	int state;

	if (!gl)
		return;
	while (atomic_load(&gl->state) == BN_COMPOSE_GL_OPENING)
		usleep(1000);
	state = atomic_load_explicit(&gl->state, memory_order_acquire);
	if (state == BN_COMPOSE_GL_OPENED || state == BN_COMPOSE_GL_REFUSED)
		settle(gl, state);
	if (atomic_load(&gl->state) == BN_COMPOSE_GL_READY)
		release_all(gl);
	free(gl);
}

static bool was_reset(const struct bn_compose_gl *gl)
{
	if (!gl->c.has_reset)
		return false;
	return (gl->c.khr_robustness ? glGetGraphicsResetStatusKHR()
				     : glGetGraphicsResetStatusEXT()) != GL_NO_ERROR;
}

static void complain(struct bn_compose_gl *gl, const char *what)
{
	if (bn_log_gate(&gl->log_error))
		bn_warn("%s: a picture could not be composed by %s (%s): the CPU did it", gl->name,
			gl->c.renderer, what);
}

/* ---- time ---- */

static void read_times(struct bn_compose_gl *gl)
{
	GLint disjoint = 0;

	if (!gl->c.has_timer)
		return;
	for (unsigned i = 0; i < BN_COMPOSE_GL_QUERIES; i++) {
		GLuint there = 0;
		GLuint64 ns = 0;

		if (!gl->busy[i])
			continue;
		glGetQueryObjectuivEXT(gl->c.queries[i], GL_QUERY_RESULT_AVAILABLE_EXT, &there);
		if (!there)
			continue;
		glGetQueryObjectui64vEXT(gl->c.queries[i], GL_QUERY_RESULT_EXT, &ns);
		glGetIntegerv(GL_GPU_DISJOINT_EXT, &disjoint);
		gl->busy[i] = false;
		if (!disjoint)
			bn_gpu_done(ns);
	}
}

static bool begin_timing(struct bn_compose_gl *gl)
{
	if (!gl->c.has_timer || gl->busy[gl->next_query])
		return false;
	glBeginQueryEXT(GL_TIME_ELAPSED_EXT, gl->c.queries[gl->next_query]);
	return true;
}

static void end_timing(struct bn_compose_gl *gl)
{
	glEndQueryEXT(GL_TIME_ELAPSED_EXT);
	gl->busy[gl->next_query] = true;
	gl->next_query = (gl->next_query + 1) % BN_COMPOSE_GL_QUERIES;
}

/* ---- drawing ---- */

/* -1: the GPU is through. */
static int fence_of(struct bn_compose_gl *gl)
{
	EGLSync sync = EGL_NO_SYNC;
	int fd = EGL_NO_NATIVE_FENCE_FD_ANDROID;

	if (gl->c.has_fences)
		sync = eglCreateSyncKHR(gl->c.display, EGL_SYNC_NATIVE_FENCE_ANDROID, NULL);
	if (sync != EGL_NO_SYNC) {
		glFlush();
		fd = eglDupNativeFenceFDANDROID(gl->c.display, sync);
		eglDestroySyncKHR(gl->c.display, sync);
	}
	if (fd == EGL_NO_NATIVE_FENCE_FD_ANDROID)
		glFinish();
	return fd;
}

static void clear(pixman_region32_t *region, bool opaque)
{
	int n;
	pixman_box32_t *box = pixman_region32_rectangles(region, &n);

	glClearColor(0.0f, 0.0f, 0.0f, opaque ? 1.0f : 0.0f);
	for (int i = 0; i < n; i++) {
		glScissor(box[i].x1, box[i].y1, box[i].x2 - box[i].x1, box[i].y2 - box[i].y1);
		glClear(GL_COLOR_BUFFER_BIT);
	}
}

struct drawing {
	struct bn_compose_gl *gl;
	uint64_t *copied;
	int failed; /* the CPU is to do it: nothing more is drawn */
};

static int draw_item(void *data, const struct bn_compose_item *item, pixman_region32_t *region)
{
	struct drawing *d = data;
	int r = d->failed ? d->failed : bn_compose_gl_draw_item(d->gl, item, region, d->copied);

	if (!bn_compose_gl_drew(r))
		d->failed = r;
	return r;
}

static int draw_items(struct bn_compose_gl *gl, const struct bn_compose_item *items, unsigned count,
	bool opaque, pixman_region32_t *region, uint64_t *copied)
{
	struct drawing drawing = {gl, copied, 0};
	bool timed = begin_timing(gl);
	int r;

	glBlendFunc(GL_ONE, GL_ONE_MINUS_SRC_ALPHA);
	clear(region, opaque);
	r = bn_compose_each(items, count, region, draw_item, &drawing);
	if (timed)
		end_timing(gl);
	return drawing.failed ? drawing.failed : r;
}

/* The CPU draws the picture next: nothing of ours may come later. */
static int give_up(struct bn_compose_gl *gl, int error, const char *what)
{
	if (was_reset(gl)) {
		bn_compose_gl_lose(gl);
		error = -EIO;
	} else {
		complain(gl, what);
		glFinish();
	}
	bn_gpu_failed();
	return error;
}

int bn_compose_gl_draw(struct bn_compose_gl *gl, struct bn_compose_gl_target *target,
	const struct bn_compose_item *items, unsigned count, bool opaque, pixman_region32_t *region,
	int *fence, uint64_t *copied)
{
	GLenum error;
	int r;

	*fence = -1;
	if (!bn_compose_gl_ready(gl))
		return -EBUSY;
	if (!bn_compose_gl_make_current(&gl->c)) {
		bn_gpu_failed();
		bn_compose_gl_lose(gl);
		return -EIO;
	}
	read_times(gl);
	r = target_bind(target);
	if (r < 0)
		return r;
	if (!bn_gpu_begin())
		return -EBUSY;
	r = draw_items(gl, items, count, opaque, region, copied);
	if (!bn_compose_gl_drew(r))
		return give_up(gl, r, strerror(-r));
	*fence = fence_of(gl);
	error = glGetError();
	if (error != GL_NO_ERROR || was_reset(gl)) {
		char text[32];

		bn_fd_close(fence);
		snprintf(text, sizeof(text), "error 0x%x", error);
		return give_up(gl, -EIO, text);
	}
	gl->wait_ns = RETRY_FIRST_NS;
	bn_gpu_drawn(*fence);
	return r;
}
