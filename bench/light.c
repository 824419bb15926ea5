/* light SOCKET [OPTION…]: a guest without a kernel, for benchmarks with many VMs: the user-space guest of tests/guest, which writes
 * its command streams by hand. It saturates the GPU, with a number of frames always queued, or does harm.
 *
 *   --size N        side of the picture (default 128)
 *   --draws N       draw calls of a frame, a strip of the picture each (default 8)
 *   --rounds N      rounds of a loop in each pixel, times 16 (default 0: no loop)
 *   --ahead N       frames queued (default 2)
 *   --hostile       in turn, a second each: single giant draws, submits without end, resources, contexts
 *   --seconds N     (default 10)
 *
 * The last line is one JSON object: frames, seconds, fps, and the frames of each whole second. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "common/clock.h"

#define AHEAD_MAX 64
#define WINDOWS_MAX 4096
#define LOOP_TIMES 16
#define CHURN 32
#define DRAWS_MAX 64
#define STRIP_RES 10u
#define OK VIRTIO_GPU_RESP_OK_NODATA

struct options {
	const char *socket;
	int size, draws, rounds, ahead, seconds;
	bool hostile;
};

struct light {
	struct tg_vm vm;
	struct tg_app app;
	struct tg_request *queue[AHEAD_MAX];
	unsigned head, tail; /* oldest, next */
	uint64_t start;
	unsigned long frames, refused;
	unsigned windows[WINDOWS_MAX];
};

static void write_frame(struct light *l, const struct options *o)
{
	tg_app_begin(&l->app);
	tg_app_clear(&l->app, (uint32_t)l->frames * 77 & 0xffffff);
	for (uint32_t i = 0; i < (uint32_t)o->draws; i++)
		bn_virgl_draw_triangles(&l->app.stream, STRIP_RES + i, 6);
}

/* A strip is a vertex buffer of its own. Strips do not overlap: the rasteriser would leave out what is drawn over, unless a cut falls between. */
static bool make_strip(struct light *l, const struct options *o, uint32_t i)
{
	float low = 2.0f * (float)i / (float)o->draws - 1, high = 2.0f * (float)(i + 1) / (float)o->draws - 1;
	float corner[6][2] = {{-1, low}, {1, low}, {1, high}, {-1, low}, {1, high}, {-1, high}};
	struct virtio_gpu_resource_create_3d args = {.resource_id = STRIP_RES + i, .target = BN_VIRGL_TARGET_BUFFER, .format = BN_VIRGL_FORMAT_R8,
		.bind = BN_VIRGL_BIND_VERTEX_BUFFER, .width = sizeof(struct bn_virgl_vertex) * 6, .height = 1, .depth = 1, .array_size = 1};
	struct bn_virgl_vertex v[6];

	for (unsigned j = 0; j < 6; j++)
		v[j] = (struct bn_virgl_vertex){{corner[j][0], corner[j][1], 0, 1}, {0.2f, 0.5f, (float)j / 6, 1}};
	if (tg_create_3d(&l->vm, &args) != OK || tg_ctx_attach(&l->vm, l->app.ctx, STRIP_RES + i) != OK)
		return false;
	tg_app_begin(&l->app);
	bn_virgl_write_buffer(&l->app.stream, STRIP_RES + i, 0, v, sizeof(v));
	return tg_app_submit(&l->app) == OK;
}

/* Waits for the oldest frame. */
static bool retire(struct light *l)
{
	struct tg_request *oldest = l->queue[l->head++ % AHEAD_MAX];
	uint32_t answer = tg_finish(oldest, NULL, 0);
	uint64_t second;

	if (answer == TG_NO_ANSWER)
		return false;
	if (answer != OK)
		l->refused++;
	l->frames++;
	second = (bn_now_ns() - l->start) / BN_NS_PER_S;
	if (second < WINDOWS_MAX)
		l->windows[second]++;
	return true;
}

static bool drain(struct light *l, unsigned down_to)
{
	while (l->tail - l->head > down_to) {
		if (!retire(l))
			return false;
	}
	return true;
}

static bool send_frame(struct light *l, unsigned ahead)
{
	struct tg_request *request = tg_app_submit_async(&l->app);

	if (request)
		l->queue[l->tail++ % AHEAD_MAX] = request;
	return drain(l, request ? ahead - 1 : 0);
}

static bool saturate(struct light *l, const struct options *o)
{
	write_frame(l, o);
	return send_frame(l, (unsigned)o->ahead);
}

/* ---- harm ---- */

static bool strike_draw(struct light *l, const struct options *o)
{
	tg_app_begin(&l->app);
	tg_app_fill(&l->app, 1, 1);
	return send_frame(l, AHEAD_MAX / 2);
}

static bool strike_submits(struct light *l, const struct options *o)
{
	tg_app_begin(&l->app);
	tg_app_clear(&l->app, 0x204080);
	return send_frame(l, AHEAD_MAX);
}

static bool strike_resources(struct light *l, const struct options *o)
{
	for (uint32_t i = 0; i < CHURN; i++) {
		struct virtio_gpu_resource_create_3d args = {.resource_id = 1000 + i, .target = BN_VIRGL_TARGET_2D, .format = BN_VIRGL_FORMAT_B8G8R8A8,
			.bind = BN_VIRGL_BIND_RENDER_TARGET, .width = 512, .height = 512, .depth = 1, .array_size = 1};

		if (tg_create_3d(&l->vm, &args) != OK)
			l->refused++;
	}
	for (uint32_t i = 0; i < CHURN; i++)
		tg_unref(&l->vm, 1000 + i);
	return true;
}

static bool strike_contexts(struct light *l, const struct options *o)
{
	for (uint32_t i = 0; i < CHURN; i++) {
		if (tg_ctx_create(&l->vm, 100 + i, 0, "churn") != OK)
			l->refused++;
		tg_ctx_destroy(&l->vm, 100 + i);
	}
	return true;
}

static bool harm(struct light *l, const struct options *o)
{
	static bool (*const strikes[])(struct light *, const struct options *) = {strike_draw, strike_submits, strike_resources, strike_contexts};
	uint64_t second = (bn_now_ns() - l->start) / BN_NS_PER_S;

	return strikes[second % 4](l, o);
}

/* ---- the run ---- */

static void print_result(const struct light *l, double seconds)
{
	printf("{\"frames\": %lu, \"refused\": %lu, \"seconds\": %.4f, \"fps\": %.3f, \"windows\": [", l->frames, l->refused, seconds,
		(double)l->frames / seconds);
	for (unsigned i = 0; i < (unsigned)seconds && i < WINDOWS_MAX; i++)
		printf("%s%u", i ? ", " : "", l->windows[i]);
	printf("]}\n");
}

static int run(const struct options *o)
{
	static struct light l;
	uint64_t end;
	bool ok;

	if (tg_vm_open(&l.vm, o->socket, NULL) != 0)
		return 1;
	ok = tg_app_init(&l.app, &l.vm, 1, 1, (uint32_t)o->size, (uint32_t)o->size) == 0;
	for (uint32_t i = 0; ok && i < (uint32_t)o->draws; i++)
		ok = make_strip(&l, o, i);
	if (!ok) {
		fprintf(stderr, "light: %s: the device refuses a GL program\n", o->socket);
		return 1;
	}
	if (o->rounds) {
		tg_app_begin(&l.app);
		tg_app_loop(&l.app, (unsigned)o->rounds, LOOP_TIMES);
		ok = tg_app_submit(&l.app) == OK;
	}
	l.start = bn_now_ns();
	end = l.start + (uint64_t)o->seconds * BN_NS_PER_S;
	while (ok && bn_now_ns() < end)
		ok = o->hostile ? harm(&l, o) : saturate(&l, o);
	ok = ok && drain(&l, 0);
	print_result(&l, (double)(bn_now_ns() - l.start) / 1e9);
	tg_app_finish(&l.app);
	tg_vm_close(&l.vm);
	return ok ? 0 : 1;
}

static bool number(const char *text, int min, int max, int *out)
{
	char *end;
	long n = strtol(text, &end, 10);

	*out = (int)n;
	return end != text && !*end && n >= min && n <= max;
}

static bool set_option(struct options *o, int name)
{
	switch (name) {
	case 'z':
		return number(optarg, 16, 4096, &o->size);
	case 'd':
		return number(optarg, 1, DRAWS_MAX, &o->draws);
	case 'r':
		return number(optarg, 0, 1000000, &o->rounds);
	case 'a':
		return number(optarg, 1, AHEAD_MAX / 2, &o->ahead);
	case 's':
		return number(optarg, 1, 100000, &o->seconds);
	case 'h':
		o->hostile = true;
		return true;
	default:
		return false;
	}
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"size", required_argument, NULL, 'z'}, {"draws", required_argument, NULL, 'd'},
		{"rounds", required_argument, NULL, 'r'}, {"ahead", required_argument, NULL, 'a'},
		{"seconds", required_argument, NULL, 's'}, {"hostile", no_argument, NULL, 'h'}, {0}};
	struct options o = {.size = 128, .draws = 8, .ahead = 2, .seconds = 10};
	int c;
	bool ok = true;

	while (ok && (c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		ok = set_option(&o, c);
	if (!ok || optind + 1 != argc) {
		fprintf(stderr, "usage: light SOCKET [OPTION…] (see the head of bench/light.c)\n");
		return 2;
	}
	o.socket = argv[optind];
	return run(&o);
}
