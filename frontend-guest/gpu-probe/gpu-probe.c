/* SPDX-License-Identifier: MIT */
/*
 * binnacle-gpu-probe: how long the shortest GPU work takes, seen from inside a guest (or natively).
 *
 *   nop    an EXECBUFFER ioctl with one virgl NOP and the wait for its fence: the path of a
 *          command to the device and back, without GPU work. Only on virtio_gpu with virgl.
 *   clear  glClear and glFinish of a small framebuffer: the same with a driver, a context and a
 *          fence of real work.
 *
 * Prints one line of JSON, times in microseconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gbm.h>
#include <drm/virtgpu_drm.h>
#include <xf86drm.h>

#include "gl.h"
#include "options.h"
#include "program.h"

#define CAPSET_VIRGL2 2
#define MAX_SAMPLES 1000000
/* A fence that takes this long will not come. */
#define FENCE_TIMEOUT_MS 10000

struct options {
	const char *device;
	int samples, warmup, size;
};

struct result {
	int count;
	double p50, p99, max;
};

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Runs step warmup + samples times. Returns 0 or what step returned. */
static int measure(
	const struct options *options, int (*step)(void *), void *data, struct result *result)
{
	double *times = calloc((size_t)options->samples, sizeof(*times));
	int n = options->samples, err = 0;

	if (!times)
		return -ENOMEM;
	for (int i = -options->warmup; i < n && !err; i++) {
		double start = bn_seconds();

		err = step(data);
		if (i >= 0)
			times[i] = (bn_seconds() - start) * 1e6;
	}
	if (!err) {
		qsort(times, (size_t)n, sizeof(*times), compare);
		*result = (struct result){
			.count = n,
			.p50 = times[n / 2],
			.p99 = times[(int)((double)n * 0.99)],
			.max = times[n - 1],
		};
	}
	free(times);
	return err;
}

/* ---- NOP ---- */

static bool is_virgl(int fd)
{
	drmVersion *version = drmGetVersion(fd);
	bool virtio = version && strcmp(version->name, "virtio_gpu") == 0;
	uint32_t has_3d = 0;
	struct drm_virtgpu_getparam param = {
		.param = VIRTGPU_PARAM_3D_FEATURES,
		.value = (uint64_t)(uintptr_t)&has_3d,
	};

	drmFreeVersion(version);
	return virtio && drmIoctl(fd, DRM_IOCTL_VIRTGPU_GETPARAM, &param) == 0 && has_3d;
}

/* Kernels with context types want to be told; on others the first submit makes a virgl context. */
static void choose_context(int fd)
{
	struct drm_virtgpu_context_set_param param = {
		.param = VIRTGPU_CONTEXT_PARAM_CAPSET_ID,
		.value = CAPSET_VIRGL2,
	};
	struct drm_virtgpu_context_init init = {
		.num_params = 1,
		.ctx_set_params = (uint64_t)(uintptr_t)&param,
	};

	drmIoctl(fd, DRM_IOCTL_VIRTGPU_CONTEXT_INIT, &init);
}

static int submit_nop(void *data)
{
	/* VIRGL_CCMD_NOP is command 0, and no dword follows. */
	uint32_t command = 0;
	struct drm_virtgpu_execbuffer submit = {
		.flags = VIRTGPU_EXECBUF_FENCE_FD_OUT,
		.size = sizeof(command),
		.command = (uint64_t)(uintptr_t)&command,
		.fence_fd = -1,
	};
	struct pollfd wait = {.events = POLLIN};
	int fd = *(int *)data, n;

	if (drmIoctl(fd, DRM_IOCTL_VIRTGPU_EXECBUFFER, &submit))
		return -errno;
	wait.fd = submit.fence_fd;
	do
		n = poll(&wait, 1, FENCE_TIMEOUT_MS);
	while (n < 0 && errno == EINTR);
	close(wait.fd);
	return n == 1 ? 0 : n == 0 ? -ETIMEDOUT : -errno;
}

static int measure_nop(const struct options *options, struct result *result)
{
	int fd = open(options->device, O_RDWR | O_CLOEXEC), err = 0;

	if (fd < 0)
		return 0;
	if (is_virgl(fd)) {
		choose_context(fd);
		err = measure(options, submit_nop, &fd, result);
	}
	close(fd);
	return err;
}

/* ---- clear ---- */

static int clear_and_finish(void *data)
{
	unsigned *turn = data;

	/*
	 * Another colour each time, so that no clear can be left out as the repetition of the
	 * last.
	 */
	glClearColor((float)(*turn & 255) / 255.0f, 0.5f, 0.25f, 1.0f);
	(*turn)++;
	glClear(GL_COLOR_BUFFER_BIT);
	glFinish();
	return glGetError() == GL_NO_ERROR ? 0 : -EIO;
}

static int measure_clear(const struct options *options, struct result *result, char *renderer)
{
	const char *name = (const char *)glGetString(GL_RENDERER);
	struct bn_gl_target target;
	unsigned turn = 0;
	int err;

	snprintf(renderer, 128, "%s", name ? name : "unknown");
	if (!bn_gl_target_init(&target, options->size, options->size))
		return -EIO;
	glViewport(0, 0, options->size, options->size);
	err = measure(options, clear_and_finish, &turn, result);
	bn_gl_target_finish(&target);
	return err;
}

static int open_and_measure_clear(
	const struct options *options, struct result *result, char *renderer)
{
	int fd = open(options->device, O_RDWR | O_CLOEXEC), err;
	struct gbm_device *gbm = fd >= 0 ? gbm_create_device(fd) : NULL;
	struct bn_gl gl;

	err = gbm ? bn_gl_init_gbm(&gl, gbm, 0) : bn_gl_init_surfaceless(&gl);
	if (!err) {
		err = measure_clear(options, result, renderer);
		bn_gl_finish(&gl);
	}
	if (gbm)
		gbm_device_destroy(gbm);
	if (fd >= 0)
		close(fd);
	return err;
}

/* ---- output ---- */

static void print_result(const char *name, const struct result *result)
{
	if (result->count == 0)
		printf("\"%s\": null, ", name);
	else
		printf("\"%s\": {\"n\": %d, \"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}, ", name,
			result->count, result->p50, result->p99, result->max);
}

static void print_string(const char *name, const char *text)
{
	printf("\"%s\": \"", name);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		if ((unsigned char)*text >= ' ')
			putchar(*text);
	}
	printf("\"");
}

static void usage(FILE *out)
{
	fprintf(out,
		"usage: binnacle-gpu-probe [--device PATH] [--samples N] [--warmup N] [--size N]\n"
		"  --device PATH  render node (default /dev/dri/renderD128; none is needed "
		"natively)\n"
		"  --samples N    measurements of each kind (default 1000)\n"
		"  --warmup N     runs before them that do not count (default 100)\n"
		"  --size N       edge of the cleared framebuffer in pixels (default 64)\n");
}

int main(int argc, char **argv)
{
	static struct options options = {
		.device = "/dev/dri/renderD128", .samples = 1000, .warmup = 100, .size = 64};
	static const struct bn_option table[] = {
		{"device", bn_option_text, &options.device},
		{"samples", bn_option_number, &options.samples, 1, MAX_SAMPLES},
		{"warmup", bn_option_number, &options.warmup, 0, MAX_SAMPLES},
		{"size", bn_option_number, &options.size, 1, 4096},
		{0},
	};
	struct result nop = {0}, clear = {0};
	char renderer[128] = "unknown";
	int status = bn_options_read(argc, argv, table, usage), err;

	if (status >= 0)
		return status;
	err = measure_nop(&options, &nop);
	if (err)
		fprintf(stderr, "binnacle-gpu-probe: NOP: %s\n", strerror(-err));
	if (!err) {
		err = open_and_measure_clear(&options, &clear, renderer);
		if (err)
			fprintf(stderr, "binnacle-gpu-probe: clear: %s\n", strerror(-err));
	}
	printf("{\"unit\": \"us\", ");
	print_result("nop", &nop);
	print_result("clear", &clear);
	print_string("renderer", renderer);
	printf("}\n");
	return err ? 1 : 0;
}
