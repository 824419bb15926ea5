/* watchdog faults SOCKET CONTROL FAULTS KILLS FRAMES [KIND]: an instrument cluster (the test guest) that fails on purpose behind a
 * watching service, FAULTS times of each kind (KILLS where something is killed), and that is well for FRAMES frames; with KIND that
 * kind alone, and no others.
 * watchdog pictures DIR: writes the pictures that the service's configuration names (bench/watchdog.sh).
 * watchdog start BINNACLED INI CONTROL RUNS: how long it takes from fork to the boot picture.
 *
 * Prints a JSON object a line: what was injected, caught, the refreshes from the moment in which the rule could know to the vblank
 * that first showed the fallback, and how often the screenshot had it. The moment is the service's word, which has to lie between what
 * this program saw before and after ("disputed" otherwise). */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <json-c/json.h>

#include "cluster.h"
#include "common/clock.h"
#include "common/fd.h"
#include "protocol/control.h"

#define OK VIRTIO_GPU_RESP_OK_NODATA
#define REFRESH_NS (BN_NS_PER_S / 60)
#define LIMIT_NS (100 * BN_NS_PER_MS) /* change-within and max-age of the configuration */
#define FALLBACK 0x900000u
#define MAX 100000
#define PATIENCE_NS (20 * BN_NS_PER_S)

static struct tg_cluster cluster;
static const char *vm_socket;
static int control = -1;

/* ---- the service's word ---- */

static struct json_object *ask_fd(const char *request, int *fd)
{
	static char answer[BN_CONTROL_ANSWER_MAX + 1];
	size_t nfds = 1;
	int got = -1;
	long n = bn_sendmsg(control, request, strlen(request), NULL, 0);

	if (n >= 0)
		n = bn_recvmsg(control, answer, BN_CONTROL_ANSWER_MAX, &got, &nfds, 0);
	if (n <= 0) {
		fprintf(stderr, "watchdog: the service does not answer\n");
		exit(1);
	}
	answer[n] = '\0';
	if (fd)
		*fd = nfds ? got : -1;
	else if (nfds)
		bn_fd_close(&got);
	return json_tokener_parse(answer);
}

static struct json_object *get(struct json_object *o, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(o, key, &value);
	return value;
}

#define WATCHES 4

struct seen {
	bool live;
	uint64_t count, failed_ns, shown_ns;
	/* Of each watch: times that it failed, when last, and whether time alone told it. */
	uint64_t all_failures[WATCHES], all_failed_ns[WATCHES];
	bool timed[WATCHES];
};

static struct seen look(const char *watch, const char *fault)
{
	struct json_object *answer = ask_fd("{\"command\":\"watchdog\"}", NULL), *list = get(answer, "watches");
	struct seen seen = {.live = true};

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *w = json_object_array_get_idx(list, i);

		seen.live = seen.live && strcmp(json_object_get_string(get(w, "state")), "live") == 0;
		if (i < WATCHES) {
			const char *last = json_object_get_string(get(w, "last_fault"));

			seen.all_failures[i] = (uint64_t)json_object_get_int64(get(w, "failures"));
			seen.all_failed_ns[i] = (uint64_t)json_object_get_int64(get(w, "failed_ns"));
			seen.timed[i] = strcmp(last, "stale") == 0 || strcmp(last, "frozen") == 0;
		}
		if (!watch || strcmp(json_object_get_string(get(w, "name")), watch) != 0)
			continue;
		seen.count = (uint64_t)json_object_get_int64(get(get(w, "count"), fault));
		seen.failed_ns = (uint64_t)json_object_get_int64(get(w, "failed_ns"));
		seen.shown_ns = (uint64_t)json_object_get_int64(get(w, "shown_ns"));
	}
	json_object_put(answer);
	return seen;
}

/* Whether that pixel of the output has the fallback's colour. */
static bool fallback_is_on_screen(uint32_t x, uint32_t y)
{
	int fd = -1;
	struct json_object *answer = ask_fd("{\"command\":\"screenshot\",\"output\":\"dash\"}", &fd);
	int64_t stride = json_object_get_int64(get(answer, "stride"));
	uint32_t pixel = 0;

	if (fd >= 0 && pread(fd, &pixel, sizeof(pixel), (off_t)(y * stride + x * 4)) != sizeof(pixel))
		pixel = 0;
	bn_fd_close(&fd);
	json_object_put(answer);
	return (pixel & 0xffffff) == FALLBACK;
}

static pid_t renderer(void)
{
	struct json_object *answer = ask_fd("{\"command\":\"status\"}", NULL);
	pid_t pid = (pid_t)json_object_get_int64(get(json_object_array_get_idx(get(answer, "vms"), 0), "renderer_pid"));

	json_object_put(answer);
	return pid;
}

static bool connect_control(const char *path)
{
	struct timeval limit = {.tv_sec = 20};

	control = bn_unix_connect(path, SOCK_SEQPACKET);
	if (control < 0)
		return false;
	bn_fd_set_nonblock(control, false);
	setsockopt(control, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return true;
}

/* ---- the cluster ---- */

static uint64_t asked_ns, answered_ns; /* of the last frame */

static bool frame(void)
{
	asked_ns = bn_now_ns();
	bool ok = tg_cluster_frame(&cluster) == OK;
	answered_ns = bn_now_ns();
	return ok;
}

static bool get_well(unsigned more)
{
	uint64_t start = bn_now_ns();

	cluster.fault = TG_CLUSTER_WELL;
	for (unsigned i = 0; i < more || !look(NULL, NULL).live; i++) {
		if (!frame() || bn_now_ns() - start > PATIENCE_NS)
			return false;
	}
	return true;
}

/* ---- faults ---- */

enum how { DRAW, TURN_OFF, STOP, KILL_RENDERER, KILL_GUEST };

static const struct kind {
	const char *name, *watch, *fault;
	enum how how;
	enum tg_cluster_fault draws;
	uint32_t x, y; /* within the fallback */
	bool timed;
} kinds[] = {
	{"wrong", "warning", "wrong", DRAW, TG_CLUSTER_WRONG, 20, 20, false},
	{"missing", "warning", "missing", TURN_OFF, TG_CLUSTER_WELL, 20, 20, false},
	{"swapped", "belt", "wrong", DRAW, TG_CLUSTER_SWAPPED, 70, 20, false},
	{"one pixel", "warning", "wrong", DRAW, TG_CLUSTER_ONE_PIXEL, 20, 20, false},
	{"frozen", "speed", "frozen", DRAW, TG_CLUSTER_FROZEN, 120, 20, true},
	{"stale", "alive", "stale", STOP, TG_CLUSTER_WELL, 250, 90, true},
	{"renderer killed", "alive", "stale", KILL_RENDERER, TG_CLUSTER_WELL, 250, 90, true},
	{"guest killed", "warning", "missing", KILL_GUEST, TG_CLUSTER_WELL, 20, 20, false},
};

struct result {
	unsigned injected, caught, on_screen, disputed;
	double refreshes[MAX];
};

static bool inject(const struct kind *k)
{
	cluster.fault = k->draws;
	asked_ns = bn_now_ns();
	switch (k->how) {
	case TURN_OFF:
		return tg_cluster_off(&cluster) == OK;
	case KILL_RENDERER:
		return kill(renderer(), SIGKILL) == 0;
	case KILL_GUEST:
		tg_cluster_close(&cluster);
		return true;
	default:
		return true;
	}
}

/* What the rule could know lies between what was seen here. last: when the frame before the fault was asked for and shown. */
static bool is_disputed(const struct kind *k, const struct seen *s, uint64_t last_asked, uint64_t last_answered)
{
	uint64_t low = k->timed ? last_asked + LIMIT_NS : last_answered;
	uint64_t high = k->timed ? last_answered + LIMIT_NS : bn_now_ns();

	return s->failed_ns + BN_NS_PER_MS < low || s->failed_ns > high + BN_NS_PER_MS || s->shown_ns < s->failed_ns;
}

static bool run_fault(const struct kind *k, struct result *r)
{
	struct seen before = look(k->watch, k->fault), now;

	/* On a busy machine a frame may just have been late: a watch that has failed cannot fail again. */
	while (!before.live) {
		if (!get_well(0))
			return false;
		before = look(k->watch, k->fault);
	}
	now = before;
	uint64_t last_asked = asked_ns, last_answered = answered_ns, start = bn_now_ns();

	if (!inject(k))
		return false;
	r->injected++;
	while (now.count == before.count || now.shown_ns == 0) {
		if (bn_now_ns() - start > PATIENCE_NS)
			return true; /* not caught */
		if (k->how == DRAW && !frame())
			return false;
		if (k->how != DRAW)
			usleep(2000);
		now = look(k->watch, k->fault);
	}
	r->refreshes[r->caught++] = (double)(now.shown_ns - now.failed_ns) / (double)REFRESH_NS;
	r->on_screen += fallback_is_on_screen(k->x, k->y);
	r->disputed += is_disputed(k, &now, last_asked, last_answered);
	return true;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print_result(const struct kind *k, struct result *r)
{
	unsigned n = r->caught;

	qsort(r->refreshes, n, sizeof(r->refreshes[0]), compare);
	printf("{\"fault\": \"%s\", \"injected\": %u, \"caught\": %u, \"on_screen\": %u, \"disputed\": %u", k->name, r->injected, n,
		r->on_screen, r->disputed);
	if (n)
		printf(", \"p50\": %.2f, \"p99\": %.2f, \"max\": %.2f", r->refreshes[n / 2], r->refreshes[n * 99 / 100],
			r->refreshes[n - 1]);
	printf("}\n");
	fflush(stdout);
}

static bool run_kind(const struct kind *k, unsigned times)
{
	static struct result r;

	memset(&r, 0, sizeof(r));
	for (unsigned i = 0; i < times; i++) {
		if (k->how == KILL_GUEST && !cluster.open && tg_cluster_open(&cluster, vm_socket) != 0)
			return false;
		/* At any moment of the refresh. */
		if (!get_well((unsigned)rand() % 8) || usleep((unsigned)rand() % 12000) != 0 || !run_fault(k, &r)) {
			fprintf(stderr, "watchdog: %s, number %u: the cluster does not go on\n", k->name, i);
			return false;
		}
		if (k->how == KILL_GUEST && tg_cluster_open(&cluster, vm_socket) != 0)
			return false;
	}
	print_result(k, &r);
	return true;
}

/* ---- a guest that is well ---- */

#define LOOK_FRAMES 2 /* no watch fails twice within so many: it has to be well for two frames between */
#define ALARMS_MAX 10000
#define TOLERANCE_NS BN_NS_PER_MS

static struct {
	uint64_t flush_ns, answered_ns;
} sent[MAX];

struct alarm {
	uint64_t failed_ns;
	bool timed, lost; /* lost: there was another of the same watch since the last look */
};

enum cause { GUEST_LATE, HOST_LATE, FALSE_ALARM };

/* What was on the screen when the rule broke, as the guest knows it: frame k, which it had flushed and was told of around the
 * time that the limit counts from, if the next one was told of after the limit. That is no false alarm; it was the guest that
 * took its time between the two, or whoever carries its frames. No such frame: the screen was in time. */
static enum cause find_cause(const struct alarm *a, unsigned frames)
{
	uint64_t since = a->failed_ns - LIMIT_NS;

	for (unsigned k = 0; a->timed && k + 1 < frames; k++) {
		if (since + TOLERANCE_NS < sent[k].flush_ns || since > sent[k].answered_ns + TOLERANCE_NS ||
			sent[k + 1].answered_ns + TOLERANCE_NS < a->failed_ns)
			continue;
		/* A frame that is flushed two refreshes before the limit ends can be on the screen by then. */
		return sent[k + 1].flush_ns + 2 * REFRESH_NS > a->failed_ns ? GUEST_LATE : HOST_LATE;
	}
	return FALSE_ALARM;
}

static void note_alarms(const struct seen *before, const struct seen *now, struct alarm *alarms, unsigned *count)
{
	for (unsigned i = 0; i < WATCHES; i++) {
		for (uint64_t n = before->all_failures[i]; n < now->all_failures[i] && *count < ALARMS_MAX; n++)
			alarms[(*count)++] = (struct alarm){now->all_failed_ns[i], now->timed[i], n + 1 < now->all_failures[i]};
	}
}

static bool run_quiet(unsigned frames)
{
	static struct alarm alarms[ALARMS_MAX];
	unsigned count = 0, causes[3] = {0}, lost = 0;
	uint64_t worst = 0;

	if (!get_well(10))
		return false;
	struct seen before = look(NULL, NULL);
	for (unsigned i = 0; i < frames; i++) {
		if (!frame())
			return false;
		sent[i].flush_ns = cluster.flush_ns;
		sent[i].answered_ns = answered_ns;
		if (i > 0 && answered_ns - sent[i - 1].answered_ns > worst)
			worst = answered_ns - sent[i - 1].answered_ns;
		if (i % LOOK_FRAMES != LOOK_FRAMES - 1 && i + 1 < frames)
			continue;
		struct seen now = look(NULL, NULL);
		note_alarms(&before, &now, alarms, &count);
		before = now;
	}
	for (unsigned i = 0; i < count; i++) {
		lost += alarms[i].lost;
		causes[alarms[i].lost ? FALSE_ALARM : find_cause(&alarms[i], frames)]++;
	}
	printf("{\"frames\": %u, \"alarms\": %u, \"guest_late\": %u, \"host_late\": %u, \"false_alarms\": %u, \"unmatched\": %u, "
	       "\"longest_gap_ms\": %.1f}\n",
		frames, count, causes[GUEST_LATE], causes[HOST_LATE], causes[FALSE_ALARM], lost, (double)worst / 1e6);
	fflush(stdout);
	return true;
}

static int run_faults(char **argv, const char *only)
{
	int faults = atoi(argv[4]), kills = atoi(argv[5]), frames = atoi(argv[6]);

	vm_socket = argv[2];
	if (faults < 1 || faults > MAX || kills < 1 || kills > MAX || frames < 1 || frames > MAX)
		return 2;
	srand(4);
	if (!connect_control(argv[3]) || tg_cluster_open(&cluster, vm_socket) != 0) {
		fprintf(stderr, "watchdog: no service at %s, %s\n", argv[2], argv[3]);
		return 1;
	}
	bool ok = only || run_quiet((unsigned)frames);
	for (size_t i = 0; ok && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!only || strcmp(only, kinds[i].name) == 0)
			ok = run_kind(&kinds[i], (unsigned)(kinds[i].how < KILL_RENDERER ? faults : kills));
	}
	tg_cluster_close(&cluster);
	bn_fd_close(&control);
	return ok ? 0 : 1;
}

/* ---- start ---- */

/* Milliseconds from fork to the vblank that showed the boot picture; -1: it did not. */
static double start_once(const char *binnacled, const char *ini, const char *path)
{
	uint64_t start = bn_now_ns(), first = 0;
	pid_t pid = fork();

	if (pid == 0) {
		execl(binnacled, binnacled, "-c", ini, (char *)NULL);
		_exit(127);
	}
	while (first == 0 && bn_now_ns() - start < PATIENCE_NS) {
		usleep(5000);
		if (control < 0 && !connect_control(path))
			continue;
		struct json_object *answer = ask_fd("{\"command\":\"watchdog\"}", NULL);
		first = (uint64_t)json_object_get_int64(get(json_object_array_get_idx(get(answer, "boot"), 0), "first_ns"));
		json_object_put(answer);
	}
	bn_fd_close(&control);
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	return first ? (double)(first - start) / 1e6 : -1;
}

static int run_starts(char **argv)
{
	static double ms[MAX];
	int runs = atoi(argv[5]);

	if (runs < 1 || runs > MAX)
		return 2;
	for (int i = 0; i < runs; i++) {
		ms[i] = start_once(argv[2], argv[3], argv[4]);
		if (ms[i] < 0)
			return 1;
	}
	qsort(ms, (size_t)runs, sizeof(ms[0]), compare);
	printf("{\"starts\": %d, \"boot_p50_ms\": %.1f, \"boot_max_ms\": %.1f}\n", runs, ms[runs / 2], ms[runs - 1]);
	return 0;
}

static int write_pictures(const char *dir)
{
	static const struct {
		const char *name;
		enum tg_cluster_item item;
	} pictures[] = {{"warning", TG_CLUSTER_WARNING}, {"belt", TG_CLUSTER_BELT}};
	uint32_t pixels[TG_CLUSTER_TELLTALE * TG_CLUSTER_TELLTALE];
	char path[512];
	bool ok = true;

	for (unsigned i = 0; i < 2; i++) {
		tg_cluster_picture(pictures[i].item, pixels);
		snprintf(path, sizeof(path), "%s/%s.png", dir, pictures[i].name);
		ok = ok && tg_png_write(path, pixels, TG_CLUSTER_TELLTALE, TG_CLUSTER_TELLTALE);
	}
	snprintf(path, sizeof(path), "%s/stop.png", dir);
	ok = ok && tg_png_write_plain(path, FALLBACK, TG_CLUSTER_TELLTALE, TG_CLUSTER_TELLTALE);
	snprintf(path, sizeof(path), "%s/bar.png", dir);
	ok = ok && tg_png_write_plain(path, FALLBACK, 64, 32);
	snprintf(path, sizeof(path), "%s/boot.png", dir);
	ok = ok && tg_png_write_plain(path, 0x203040, TG_CLUSTER_WIDTH, TG_CLUSTER_HEIGHT);
	return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "pictures") == 0)
		return write_pictures(argv[2]);
	if (argc == 6 && strcmp(argv[1], "start") == 0)
		return run_starts(argv);
	if ((argc == 7 || argc == 8) && strcmp(argv[1], "faults") == 0)
		return run_faults(argv, argv[7]);
	fprintf(stderr, "usage: see the head of bench/watchdog.c\n");
	return 2;
}
