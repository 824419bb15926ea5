/* scanout SOCKET [OPTION…]: a guest without a kernel, for benchmarks of displays: the user-space guest of tests/guest, which shows a new picture at each refresh,
 * flipping between two buffers as a stock guest's compositor does: draw, SET_SCANOUT, RESOURCE_FLUSH with a fence, and when that is answered, the next.
 *
 *   --size WxH      of the picture (default 1280x720)
 *   --hz N          refresh of its display, for counting (default 60)
 *   --gl            draws with GL; otherwise a 2D resource is filled and transferred
 *   --still         one picture, then nothing until the end
 *   --random        flushes at any moment: sleeps up to a refresh before each, every part of it as often
 *   --think MS      sleeps so long before each flush, as for a guest that takes its time to draw
 *   --priority N    runs as SCHED_FIFO with that priority, as the processors of an important VM do
 *   --seconds N     (default 10)
 *   --warm N        seconds before that, which are not counted (default 1)
 *   --linger N      seconds after that, likewise (default 0)
 *
 *   --syscall-cost  (alone) prints how many microseconds a system call takes here
 *   --picture FILE W H  (alone) writes a boot picture of one colour
 *
 * The last line is one JSON object. doubled: refreshes for which there was no new picture; dropped: pictures that were never seen, another one being shown at the same
 * refresh. */
#include <getopt.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "app.h"
#include "cluster.h"
#include "common/clock.h"

#define OK VIRTIO_GPU_RESP_OK_NODATA
#define BUFFERS 2u
#define FRAMES_MAX 200000u
#define SYSCALLS 20000u

struct options {
	const char *socket;
	uint32_t width, height;
	double hz, think_ms;
	int seconds, warm, linger, priority;
	bool gl, still, random;
};

struct scanout {
	struct tg_vm vm;
	struct tg_app app[BUFFERS];
	struct tg_image image[BUFFERS];
	uint32_t *pixels;
	unsigned long frames; /* all of them */
	/* Of those that count. */
	double interval_ms[FRAMES_MAX], answer_ms[FRAMES_MAX], draw_ms[FRAMES_MAX];
	unsigned counted, doubled, dropped;
	uint64_t last_ns;
};

static struct virtio_gpu_rect whole(const struct options *o)
{
	return tg_rect(0, 0, o->width, o->height);
}

static uint32_t resource(const struct scanout *s, const struct options *o, unsigned buffer)
{
	return o->gl ? s->app[buffer].picture : 1 + buffer;
}

static bool make_buffer(struct scanout *s, const struct options *o, unsigned i)
{
	if (o->gl)
		return tg_app_init(&s->app[i], &s->vm, 1 + i, 1 + 10 * i, o->width, o->height) == 0;
	return tg_image_init(&s->image[i], &s->vm, -1, o->width, o->height) == 0 && tg_image_resource(&s->image[i], 1 + i) == OK;
}

static bool draw_2d(struct scanout *s, const struct options *o, unsigned i, uint32_t colour)
{
	for (uint32_t k = 0; k < o->width * o->height; k++)
		s->pixels[k] = colour;
	tg_image_write(&s->image[i], s->pixels);
	return tg_transfer_2d(&s->vm, 1 + i, whole(o), 0) == OK;
}

static bool draw_gl(struct scanout *s, unsigned i, uint32_t colour)
{
	tg_app_begin(&s->app[i]);
	tg_app_clear(&s->app[i], colour);
	return tg_app_submit(&s->app[i]) == OK;
}

static void sleep_ms(double ms)
{
	uint64_t ns = (uint64_t)(ms * 1e6);
	struct timespec t = {.tv_sec = (time_t)(ns / BN_NS_PER_S), .tv_nsec = (long)(ns % BN_NS_PER_S)};

	if (ns)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

/* A part of 1, the k-th of a sequence that fills it evenly (steps of the golden ratio): a few hundred by chance would put a
 * median of latencies half a millisecond off. */
static double even_part(unsigned long k)
{
	return fmod((double)k * 0.61803398874989485, 1);
}

static void count(struct scanout *s, const struct options *o, uint64_t drawn, uint64_t asked, uint64_t answered)
{
	double ms = (double)(answered - s->last_ns) / 1e6, refreshes = ms * o->hz / 1000;

	if (s->counted == FRAMES_MAX)
		return;
	s->interval_ms[s->counted] = ms;
	s->draw_ms[s->counted] = (double)(drawn - s->last_ns) / 1e6;
	s->answer_ms[s->counted++] = (double)(answered - asked) / 1e6;
	if (refreshes > 1.5)
		s->doubled += (unsigned)lround(refreshes) - 1;
	s->dropped += refreshes < 0.5;
}

/* Draws, waits for its moment, flushes, waits for the answer. */
static bool frame(struct scanout *s, const struct options *o, bool counts)
{
	unsigned i = (unsigned)(s->frames % BUFFERS);
	uint32_t colour = (uint32_t)s->frames * 0x030507 & 0xffffff;
	uint64_t drawn, asked, answered;

	if (!(o->gl ? draw_gl(s, i, colour) : draw_2d(s, o, i, colour)))
		return false;
	drawn = bn_now_ns();
	sleep_ms(o->random ? 1000 / o->hz * even_part(s->frames) : o->think_ms);
	asked = bn_now_ns();
	if (tg_set_scanout(&s->vm, 0, resource(s, o, i), whole(o)) != OK ||
		tg_finish(tg_flush_async(&s->vm, resource(s, o, i), whole(o)), NULL, 0) != OK)
		return false;
	answered = bn_now_ns();
	s->frames++;
	if (counts)
		count(s, o, drawn, asked, answered);
	s->last_ns = answered;
	return true;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print_times(const char *name, double *ms, unsigned n)
{
	double sum = 0, squares = 0;

	for (unsigned i = 0; i < n; i++)
		sum += ms[i];
	for (unsigned i = 0; i < n; i++)
		squares += (ms[i] - sum / n) * (ms[i] - sum / n);
	qsort(ms, n, sizeof(*ms), compare);
	printf(", \"%s\": {\"mean_ms\": %.4f, \"stddev_ms\": %.4f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"min_ms\": %.3f, \"max_ms\": %.3f}", name, sum / n,
		sqrt(squares / n), ms[n / 2], ms[n * 99 / 100], ms[0], ms[n - 1]);
}

static int run(const struct options *o)
{
	static struct scanout s;
	uint64_t start, counts_from, counts_to, end;
	bool ok = tg_vm_open(&s.vm, o->socket, NULL) == 0;

	s.pixels = malloc((size_t)o->width * o->height * sizeof(*s.pixels));
	for (unsigned i = 0; ok && i < BUFFERS; i++)
		ok = s.pixels && make_buffer(&s, o, i);
	if (!ok) {
		fprintf(stderr, "scanout: %s: the device does not take the pictures\n", o->socket);
		return 1;
	}
	start = s.last_ns = bn_now_ns();
	counts_from = start + (uint64_t)o->warm * BN_NS_PER_S;
	counts_to = counts_from + (uint64_t)o->seconds * BN_NS_PER_S;
	end = counts_to + (uint64_t)o->linger * BN_NS_PER_S;
	while (ok && bn_now_ns() < end) {
		ok = frame(&s, o, s.last_ns >= counts_from && s.last_ns < counts_to);
		if (o->still && ok)
			sleep_ms((double)(end - bn_now_ns()) / 1e6);
	}
	printf("{\"frames\": %u, \"doubled\": %u, \"dropped\": %u", s.counted, s.doubled, s.dropped);
	if (s.counted) {
		print_times("interval", s.interval_ms, s.counted);
		print_times("answer", s.answer_ms, s.counted);
		print_times("draw", s.draw_ms, s.counted);
	}
	printf("}\n");
	tg_vm_close(&s.vm);
	return ok ? 0 : 1;
}

/* Microseconds that a system call takes which does nothing. */
static int print_syscall_cost(void)
{
	uint64_t start = bn_now_ns();

	for (unsigned i = 0; i < SYSCALLS; i++)
		syscall(SYS_getppid);
	printf("%.3f\n", (double)(bn_now_ns() - start) / SYSCALLS / 1e3);
	return 0;
}

static bool number(const char *text, double min, double max, double *out)
{
	char *end;

	*out = strtod(text, &end);
	return end != text && !*end && *out >= min && *out <= max;
}

static bool set_option(struct options *o, int name)
{
	double n;

	switch (name) {
	case 'z':
		return sscanf(optarg, "%ux%u", &o->width, &o->height) == 2 && o->width - 1 < 4096 && o->height - 1 < 4096;
	case 'h':
		return number(optarg, 1, 1000, &o->hz);
	case 't':
		return number(optarg, 0, 1000, &o->think_ms);
	case 'p':
		if (!number(optarg, 0, 99, &n))
			return false;
		o->priority = (int)n;
		return true;
	case 's':
		if (!number(optarg, 1, 3600, &n))
			return false;
		o->seconds = (int)n;
		return true;
	case 'w':
		if (!number(optarg, 0, 100, &n))
			return false;
		o->warm = (int)n;
		return true;
	case 'l':
		if (!number(optarg, 0, 100, &n))
			return false;
		o->linger = (int)n;
		return true;
	case 'g':
		return o->gl = true;
	case 'i':
		return o->still = true;
	case 'r':
		return o->random = true;
	default:
		return false;
	}
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"size", required_argument, NULL, 'z'}, {"hz", required_argument, NULL, 'h'},
		{"gl", no_argument, NULL, 'g'}, {"still", no_argument, NULL, 'i'}, {"random", no_argument, NULL, 'r'},
		{"think", required_argument, NULL, 't'}, {"priority", required_argument, NULL, 'p'}, {"seconds", required_argument, NULL, 's'}, {"warm", required_argument, NULL, 'w'},
		{"linger", required_argument, NULL, 'l'}, {0}};
	struct options o = {.width = 1280, .height = 720, .hz = 60, .seconds = 10, .warm = 1};
	int c;
	bool ok = true;

	if (argc == 2 && strcmp(argv[1], "--syscall-cost") == 0)
		return print_syscall_cost();
	if (argc == 5 && strcmp(argv[1], "--picture") == 0)
		return tg_png_write_plain(argv[2], 0x203040, (uint32_t)atoi(argv[3]), (uint32_t)atoi(argv[4])) ? 0 : 1;
	while (ok && (c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		ok = set_option(&o, c);
	if (!ok || optind + 1 != argc) {
		fprintf(stderr, "usage: scanout SOCKET [OPTION…] (see the head of bench/scanout.c)\n");
		return 2;
	}
	o.socket = argv[optind];
	const struct sched_param param = {.sched_priority = o.priority};
	if (o.priority && sched_setscheduler(0, SCHED_FIFO, &param) < 0)
		fprintf(stderr, "scanout: no SCHED_FIFO: %m\n");
	return run(&o);
}
