/* The watchdog of safety content with a real service: an instrument cluster whose guest, renderer
 * and VM fail in every way, and what a person sees of it: the fallback on the screen, the event,
 * the counters, the hook, the picture before all of it; and mistakes in the configuration. Times
 * are generous, so that a busy machine is no fault.
 *
 * With E2E_WATCHDOG_KMS in the environment the cluster is a display of that card, and what is on it
 * is taken from E2E_WATCHDOG_SOURCE: "writeback" (of the hardware), "composed", "layer"
 * (tests/uml-host). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cluster.h"
#include "harness.h"

#define SIDE TG_CLUSTER_TELLTALE
#define BOOT 0x203040u
#define COMMON 0x800000u  /* the output's fallback */
#define WARNING 0x900000u /* and those of watches */
#define SPEED 0xa00000u
#define ALIVE 0xb00000u

#define PROMPT 2.5 /* refreshes: what is shown at the second one */
#define TRIES 16   /* for a fallback as soon as that: the machine may be busy */

static struct e2e e;
static struct tg_cluster cluster;
static char out[65536];
static uint32_t W = 320, H = 120;
static const char *card; /* NULL: a headless output */
static const char *source = "layer";

/* ---- helpers ---- */

static const char *file(const char *name)
{
	static char path[4][E2E_PATH];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, E2E_PATH, "%s/%s", e.dir, name);
	return p;
}

static void write_pictures(void)
{
	uint32_t pixels[SIDE * SIDE];

	tg_cluster_picture(TG_CLUSTER_WARNING, pixels);
	CU_ASSERT_TRUE(tg_png_write(file("warning.png"), pixels, SIDE, SIDE));
	tg_cluster_picture(TG_CLUSTER_BELT, pixels);
	CU_ASSERT_TRUE(tg_png_write(file("belt.png"), pixels, SIDE, SIDE));
	tg_cluster_picture(TG_CLUSTER_GHOST, pixels);
	CU_ASSERT_TRUE(tg_png_write(file("ghost.png"), pixels, SIDE, SIDE));
	CU_ASSERT_TRUE(tg_png_write_plain(file("boot.png"), BOOT, W, H));
	CU_ASSERT_TRUE(tg_png_write_plain(file("common.png"), COMMON, W, H));
	CU_ASSERT_TRUE(tg_png_write_plain(file("small.png"), COMMON, 320, 120));
	CU_ASSERT_TRUE(tg_png_write_plain(file("stop.png"), WARNING, SIDE, SIDE));
	CU_ASSERT_TRUE(tg_png_write_plain(file("speed.png"), SPEED, 64, 32));
	CU_ASSERT_TRUE(tg_png_write_plain(file("alive.png"), ALIVE, 8, 8));
}

static struct json_object *member(struct json_object *o, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(o, key, &value);
	CU_ASSERT_PTR_NOT_NULL_FATAL(value);
	return value;
}

static const char *text_of(struct json_object *o, const char *key)
{
	return json_object_get_string(member(o, key));
}

static struct json_object *named(struct json_object *list, const char *name)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		if (strcmp(text_of(o, "name"), name) == 0)
			return o;
	}
	CU_FAIL_FATAL("no such watch");
	return NULL;
}

static struct json_object *ask(const char *request)
{
	struct json_object *answer = e2e_control(&e, request, NULL);

	CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
	return answer;
}

static bool is_in(const char *watch, const char *state)
{
	struct json_object *answer = ask("{\"command\":\"watchdog\"}");
	bool is = strcmp(text_of(named(member(answer, "watches"), watch), "state"), state) == 0;

	json_object_put(answer);
	return is;
}

static int64_t count_of(const char *watch, const char *key)
{
	struct json_object *answer = ask("{\"command\":\"watchdog\"}");
	struct json_object *w = named(member(answer, "watches"), watch), *value = NULL;

	if (!json_object_object_get_ex(w, key, &value))
		value = member(member(w, "count"), key);
	int64_t n = json_object_get_int64(value);
	json_object_put(answer);
	return n;
}

/* The watch looks where it should, if not at every picture. */
static bool is_looked_at(const char *watch)
{
	bool is = false;

	for (unsigned i = 0; i < 200 && !is; i++) {
		struct json_object *answer = ask("{\"command\":\"watchdog\"}");

		is = strcmp(text_of(named(member(answer, "watches"), watch), "source"), source) == 0;
		json_object_put(answer);
		tg_cluster_frame(&cluster);
	}
	return is;
}

/* Frames; the first that is not answered as it should be is the last. */
static bool draw(unsigned frames)
{
	uint32_t type = VIRTIO_GPU_RESP_OK_NODATA;

	for (unsigned i = 0; i < frames && type == VIRTIO_GPU_RESP_OK_NODATA; i++)
		type = tg_cluster_frame(&cluster);
	E2E_OK(type);
	return type == VIRTIO_GPU_RESP_OK_NODATA;
}

/* The guest goes on drawing meanwhile, unless it is dead. */
static void await(const char *watch, const char *state, bool drawing)
{
	for (unsigned i = 0; i < TG_DEADLINE_S * 50; i++) {
		if (is_in(watch, state))
			return;
		if (drawing && !draw(1))
			break;
		if (!drawing)
			e2e_sleep_ms(20);
	}
	fprintf(stderr, "\nwatch %s is not %s\n", watch, state);
	CU_FAIL("a watch does not get there");
}

static void await_all_live(void)
{
	static const char *const watches[] = {"warning", "belt", "speed", "alive", "ghost"};

	for (unsigned i = 0; i < 5; i++)
		await(watches[i], "live", true);
}

static bool event_seen(const char *kind, const char *part)
{
	struct json_object *answer = ask("{\"command\":\"events\"}"),
			   *list = member(answer, "events");
	bool seen = false;

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *event = json_object_array_get_idx(list, i);

		seen = seen || (strcmp(text_of(event, "kind"), kind) == 0 &&
				       strstr(text_of(event, "text"), part));
	}
	if (!seen)
		fprintf(stderr, "\nno event %s with \"%s\"\n", kind, part);
	json_object_put(answer);
	return seen;
}

/* What is scanned out, from where it is to be looked at; NULL: not just now. One layer that fills a plane is not composed. */
static uint32_t *scanout(char from[16], bool alone)
{
	uint32_t w = 0, h = 0;
	uint64_t when;
	uint32_t *pixels = e2e_scanout(&e, "dash", &w, &h, from, &when);

	if (pixels && w == W && h == H &&
		(strcmp(from, source) == 0 || (alone && strcmp(source, "composed") == 0)))
		return pixels;
	free(pixels);
	return NULL;
}

/* Waits until the pixel is of that colour. What was decided is shown with the next refresh. */
static bool pixel_is(uint32_t x, uint32_t y, uint32_t colour)
{
	uint32_t seen = 0;
	char from[16] = "";

	for (unsigned i = 0; i < 150; i++) {
		uint32_t *pixels = scanout(from, true);

		seen = pixels ? pixels[y * W + x] : 0;
		free(pixels);
		if (seen == colour && pixels)
			return true;
		e2e_sleep_ms(20);
	}
	fprintf(stderr, "\npixel %u,%u is %06x (%s), not %06x (%s)\n", x, y, seen, from, colour,
		source);
	return false;
}

static bool is_all_live(const uint32_t *pixels)
{
	for (uint32_t y = 0; y < TG_CLUSTER_HEIGHT; y++) {
		if (memcmp(pixels + (size_t)y * W, cluster.pixels + (size_t)y * TG_CLUSTER_WIDTH,
			    TG_CLUSTER_WIDTH * sizeof(*pixels)) != 0)
			return false;
	}
	return true;
}

/* All of the guest's picture, and nothing else. */
static bool screen_is_live(void)
{
	char from[16];

	for (unsigned i = 0; i < 100; i++) {
		if (!draw(1))
			break;
		/* It may be a moment until it is written back. */
		for (unsigned k = 0; k < 5; k++) {
			uint32_t *pixels = scanout(from, false);
			bool live = pixels && is_all_live(pixels);

			free(pixels);
			if (live)
				return true;
			e2e_sleep_ms(4);
		}
	}
	return false;
}

/* Refreshes from the moment in which the last fault could be known to the vblank that showed its
 * fallback. */
static double reaction(const char *watch)
{
	struct json_object *answer, *w;
	double refreshes = 1e9;

	for (unsigned i = 0; i < 100 && refreshes == 1e9; i++) {
		answer = ask("{\"command\":\"watchdog\"}");
		w = named(member(answer, "watches"), watch);
		int64_t failed = json_object_get_int64(member(w, "failed_ns"));
		int64_t shown = json_object_get_int64(member(w, "shown_ns"));
		if (shown != 0)
			refreshes = (double)(shown - failed) / 1e6 /
				    json_object_get_double(member(w, "refresh_ms"));
		json_object_put(answer);
		e2e_sleep_ms(5);
	}
	return refreshes;
}

/* Has a fault happen until its fallback was on the screen as soon as it must be, on a machine that has
 * the time. */
static void promptly(void (*once)(void), const char *watch)
{
	double best = 1e9, all[TRIES];
	unsigned n = 0;

	while (n < TRIES && best > PROMPT) {
		once();
		all[n] = reaction(watch);
		best = all[n] < best ? all[n] : best;
		n++;
	}
	printf("(");
	for (unsigned i = 0; i < n; i++)
		printf("%s%.2f", i ? ", " : "", all[i]);
	printf(" refreshes) ");
	CU_ASSERT_TRUE(best <= PROMPT);
}

static int ctl(const char *a, const char *b, const char *c)
{
	char *argv[] = {(char *)e2e_program("BINNACLECTL"), (char *)"--socket", e.control,
		(char *)a, (char *)b, (char *)c, NULL};

	return e2e_run(argv, out, sizeof(out));
}

static void says(const char *text)
{
	if (!strstr(out, text))
		fprintf(stderr, "\n\"%s\" is not in: %s\n", text, out);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, text));
}

/* ---- before and after ---- */

static void test_boot(void)
{
	char ini[4096], where[2 * E2E_PATH];

	CU_ASSERT_TRUE_FATAL(e2e_prepare(&e, ""));
	snprintf(where, sizeof(where), "%s", file("hook"));
	snprintf(ini, sizeof(ini),
		"[core]\nruntime-dir=%s/run\n"
		"[output dash]\nmode=%ux%u@60\n%s%s%sboot=boot.png\nfallback=common.png\n"
		"[output rear]\nmode=320x120@60\n"
		"[output spare]\nmode=320x120@50\nfallback=small.png\n"
		"[vm cluster]\nscanout.0=dash\ngl=no\n"
		"[layer corner]\nvm=cluster\noutput=dash\ncrop=248,88,8,8\nat=312,112\n"
		"[layer view]\noutput=dash\nvm=cluster\nrole=safety\ncrop=0,0,%u,%u\n"
		"[watch warning]\nlayer=view\nregion=16,16,32,32\nexpect=warning.png\n"
		"good-frames=3\nfallback=stop.png\n"
		"hook=/bin/sh -c \"env >>%s\"\n"
		"[watch belt]\nlayer=view\nregion=64,16,32,32\nexpect=belt.png\ngood-frames=3\n"
		"[watch speed]\nlayer=view\nregion=112,16,64,32\nchange-within=1500\n"
		"good-frames=3\nfallback=speed.png\n"
		"[watch alive]\nlayer=view\nregion=248,88,8,8\nmax-age=1500\ngood-frames=3\n"
		"fallback=alive.png\n"
		"[watch ghost]\nlayer=view\nregion=200,16,32,32\nabsent=ghost.png\n"
		"good-frames=3\non-fault=event\n",
		e.dir, W, H, card ? "backend=kms\ncard=" : "", card ? card : "", card ? "\n" : "",
		TG_CLUSTER_WIDTH, TG_CLUSTER_HEIGHT, where);
	FILE *f = fopen(e.ini, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(ini, f);
	fclose(f);
	write_pictures();
	CU_ASSERT_TRUE_FATAL(e2e_start(&e));
	/* Before any VM is up. */
	CU_ASSERT_TRUE(pixel_is(0, 0, BOOT));
	CU_ASSERT_TRUE(pixel_is(W - 1, H - 1, BOOT));
	CU_ASSERT_TRUE(pixel_is(20, 20, BOOT)); /* not yet the watch's */
	struct json_object *answer = ask("{\"command\":\"watchdog\"}");
	struct json_object *boot = json_object_array_get_idx(member(answer, "boot"), 0);
	CU_ASSERT_TRUE(json_object_get_boolean(member(boot, "shown")));
	CU_ASSERT_TRUE(json_object_get_double(member(boot, "after_ms")) > 0);
	printf("(boot picture after %.1f ms) ", json_object_get_double(member(boot, "after_ms")));
	json_object_put(answer);
	CU_ASSERT_TRUE(is_in("warning", "waiting"));
}

/* A guest that comes up wrong shows nothing yet; one that is well shows all. */
static void test_live(void)
{
	CU_ASSERT_EQUAL_FATAL(tg_cluster_open(&cluster, e2e_socket(&e, "cluster")), 0);
	cluster.fault = TG_CLUSTER_SWAPPED;
	CU_ASSERT_TRUE(draw(20));
	CU_ASSERT_TRUE(pixel_is(20, 20, BOOT));
	CU_ASSERT_TRUE(is_in("warning", "waiting"));
	CU_ASSERT_EQUAL(count_of("warning", "failures"), 0);
	cluster.fault = TG_CLUSTER_WELL;
	await_all_live();
	CU_ASSERT_TRUE(screen_is_live());
	CU_ASSERT_EQUAL(count_of("warning", "failures"), 0);
	CU_ASSERT_TRUE(is_looked_at("warning"));
}

static void test_quiet(void)
{
	CU_ASSERT_TRUE(draw(300));
	CU_ASSERT_EQUAL(count_of("warning", "failures") + count_of("belt", "failures") +
				count_of("ghost", "failures"),
		0);
	/* All of them, each from one source at least. */
	CU_ASSERT_TRUE(count_of("warning", "pictures") >= 300);
}

static void test_stop(void)
{
	tg_cluster_close(&cluster);
	e2e_close(&e);
}

/* ---- faults of the guest ---- */

/* One fault: found, covered, told of; and live again when it is over. */
static void fault(enum tg_cluster_fault kind, const char *watch, const char *name, uint32_t x,
	uint32_t y, uint32_t colour)
{
	char text[64];
	int64_t before = count_of(watch, name);

	await_all_live();
	CU_ASSERT_EQUAL(count_of(watch, name), before);
	cluster.fault = kind;
	await(watch, "fallback", true);
	CU_ASSERT_TRUE(pixel_is(x, y, colour));
	CU_ASSERT_EQUAL(count_of(watch, name), before + 1);
	snprintf(text, sizeof(text), "watch %s: layer view on output dash is %s", watch, name);
	CU_ASSERT_TRUE(event_seen("watchdog", text));
	/* It stays as long as the fault does, however good the picture that covers it. */
	CU_ASSERT_TRUE(draw(20));
	CU_ASSERT_TRUE(is_in(watch, "fallback"));
	CU_ASSERT_TRUE(pixel_is(x, y, colour));
	CU_ASSERT_EQUAL(count_of(watch, name), before + 1);
	cluster.fault = TG_CLUSTER_WELL;
	await_all_live();
	snprintf(text, sizeof(text), "watch %s: layer view on output dash is live", watch);
	CU_ASSERT_TRUE(event_seen("recovered", text));
	CU_ASSERT_TRUE(screen_is_live());
}

static void once_wrong(void)
{
	fault(TG_CLUSTER_WRONG, "warning", "wrong", 20, 20, WARNING);
}

static void once_one_pixel(void)
{
	fault(TG_CLUSTER_ONE_PIXEL, "warning", "wrong", 20, 20, WARNING);
}

/* The other one has no picture of its own: the output's covers all. */
static void once_swapped(void)
{
	int64_t before = count_of("warning", "wrong");

	fault(TG_CLUSTER_SWAPPED, "belt", "wrong", W - 1, H - 1, COMMON);
	CU_ASSERT_EQUAL(count_of("warning", "wrong"), before + 1);
}

static void once_frozen(void)
{
	fault(TG_CLUSTER_FROZEN, "speed", "frozen", 120, 20, SPEED);
}

/* Told of alone: nothing covers it. */
static void test_haunted(void)
{
	await_all_live();
	cluster.fault = TG_CLUSTER_HAUNTED;
	await("ghost", "fault", true);
	CU_ASSERT_TRUE(screen_is_live());
	CU_ASSERT_TRUE(event_seen("watchdog", "watch ghost: layer view on output dash is present"));
	cluster.fault = TG_CLUSTER_WELL;
	await_all_live();
	CU_ASSERT_TRUE(event_seen("recovered", "watch ghost"));
}

static void once_stale(void)
{
	int64_t before = count_of("alive", "stale");

	await_all_live();
	await("alive", "fallback", false);
	CU_ASSERT_TRUE(pixel_is(250, 90, ALIVE));
	CU_ASSERT_EQUAL(count_of("alive", "stale"), before + 1);
	await_all_live();
	CU_ASSERT_TRUE(screen_is_live());
}

static void once_missing(void)
{
	int64_t before = count_of("warning", "missing");

	await_all_live();
	E2E_OK(tg_cluster_off(&cluster));
	await("warning", "fallback", false);
	CU_ASSERT_EQUAL(count_of("warning", "missing"), before + 1);
	CU_ASSERT_TRUE(pixel_is(20, 20, WARNING));
	/* Nothing at all is shown: the picture of the start below the watches' own. The belt's
	 * lies between. */
	CU_ASSERT_TRUE(pixel_is(W - 1, H - 1, COMMON));
	await_all_live();
	CU_ASSERT_TRUE(screen_is_live());
}

/* ---- of renderer and VM ---- */

/* false: there is none just now. 0 and -1 are no processes, but many of them. */
static bool kill_renderer(void)
{
	int64_t pid = e2e_vm_int(&e, "cluster", "renderer_pid");

	return pid > 1 && kill((pid_t)pid, SIGKILL) == 0;
}

/* The picture stays until it is too old, and is readable as long. */
static void once_renderer_killed(void)
{
	int64_t stale = count_of("alive", "stale");

	await_all_live();
	CU_ASSERT_TRUE(kill_renderer());
	await("alive", "fallback", false);
	CU_ASSERT_EQUAL(count_of("alive", "stale"), stale + 1);
	CU_ASSERT_TRUE(pixel_is(250, 90, ALIVE));
	await_all_live();
	CU_ASSERT_TRUE(screen_is_live());
}

/* Each new renderer shows the last picture again, which makes it no younger. */
static void test_renderer_dies_again(void)
{
	int64_t stale = count_of("alive", "stale");

	await_all_live();
	for (unsigned i = 0; i < 20 && count_of("alive", "stale") == stale; i++) {
		CU_ASSERT_TRUE(e2e_vm_wait_is(&e, "cluster", "renderer_ready", 1));
		e2e_sleep_ms(300);
		kill_renderer();
	}
	CU_ASSERT_EQUAL(count_of("alive", "stale"), stale + 1);
	CU_ASSERT_TRUE(pixel_is(250, 90, ALIVE));
	await_all_live();
	CU_ASSERT_TRUE(screen_is_live());
}

static void once_guest_killed(void)
{
	int64_t missing = count_of("warning", "missing");

	await_all_live();
	tg_cluster_close(&cluster);
	await("warning", "fallback", false);
	CU_ASSERT_EQUAL(count_of("warning", "missing"), missing + 1);
	CU_ASSERT_TRUE(pixel_is(20, 20, WARNING));
	CU_ASSERT_EQUAL_FATAL(tg_cluster_open(&cluster, e2e_socket(&e, "cluster")), 0);
	await_all_live();
	CU_ASSERT_TRUE(screen_is_live());
}

/* ---- in time ---- */

static void test_wrong(void)
{
	promptly(once_wrong, "warning");
}

static void test_one_pixel(void)
{
	promptly(once_one_pixel, "warning");
}

static void test_swapped(void)
{
	promptly(once_swapped, "belt");
}

static void test_frozen(void)
{
	promptly(once_frozen, "speed");
}

static void test_stale(void)
{
	promptly(once_stale, "alive");
}

static void test_missing(void)
{
	promptly(once_missing, "warning");
}

static void test_renderer_killed(void)
{
	promptly(once_renderer_killed, "alive");
}

static void test_guest_killed(void)
{
	promptly(once_guest_killed, "warning");
}

/* ---- the rest ---- */

/* Regions go where their layer goes. */
static void test_moved(void)
{
	int64_t before = count_of("warning", "failures");
	struct json_object *answer =
		ask("{\"command\":\"scene\",\"changes\":[{\"do\":\"set\",\"layer\":\"view\","
		    "\"set\":{\"at\":\"50,20\"}}]}");

	CU_ASSERT_TRUE(json_object_get_boolean(member(answer, "ok")));
	json_object_put(answer);
	CU_ASSERT_TRUE(draw(30));
	CU_ASSERT_TRUE(is_in("warning", "live"));
	CU_ASSERT_EQUAL(count_of("warning", "failures"), before);
	cluster.fault = TG_CLUSTER_WRONG;
	await("warning", "fallback", true);
	CU_ASSERT_TRUE(pixel_is(70, 40, WARNING));
	cluster.fault = TG_CLUSTER_WELL;
	answer = ask("{\"command\":\"scene\",\"reset\":true}");
	CU_ASSERT_TRUE(json_object_get_boolean(member(answer, "ok")));
	json_object_put(answer);
	await_all_live();
	CU_ASSERT_TRUE(screen_is_live());
}

static bool change_scene(const char *set)
{
	char request[256];
	struct json_object *answer;
	bool ok;

	snprintf(request, sizeof(request),
		"{\"command\":\"scene\",\"changes\":[{\"do\":\"set\",\"layer\":\"view\",\"set\":{%s}}]}",
		set);
	answer = ask(request);
	ok = json_object_get_boolean(member(answer, "ok"));
	snprintf(out, sizeof(out), "%s", ok ? "" : text_of(answer, "error"));
	json_object_put(answer);
	return ok;
}

static int64_t all_failures(void)
{
	static const char *const watches[] = {"warning", "belt", "speed", "alive", "ghost"};
	int64_t n = 0;

	for (unsigned i = 0; i < 5; i++)
		n += count_of(watches[i], "failures");
	return n;
}

static bool no_new_failures(int64_t before)
{
	if (all_failures() == before)
		return true;
	ctl("events", NULL, NULL);
	fprintf(stderr, "\n%s\n", out);
	return false;
}

static bool spare_is(uint32_t x, uint32_t y, uint32_t colour)
{
	for (unsigned i = 0; i < 100; i++) {
		uint32_t w, h, *pixels = e2e_screenshot(&e, "spare", &w, &h);
		bool is = pixels && x < w && y < h && pixels[y * w + x] == colour;

		free(pixels);
		if (is)
			return true;
		e2e_sleep_ms(20);
	}
	return false;
}

/* … to another output too, with their pictures, unless there would be none to show. */
static void test_other_output(void)
{
	await_all_live();
	int64_t before = all_failures();

	CU_ASSERT_FALSE(change_scene("\"output\":\"rear\""));
	says("layer view: watch belt shows the fallback of output dash at a fault, and output rear has "
	     "none; fallback=FILE.png in [output rear] or in [watch belt] is expected");
	await_all_live();
	CU_ASSERT_TRUE(screen_is_live());
	CU_ASSERT_TRUE(no_new_failures(before));
	CU_ASSERT_TRUE(change_scene("\"output\":\"spare\""));
	CU_ASSERT_TRUE(draw(60));
	await_all_live();
	CU_ASSERT_TRUE(no_new_failures(before));
	cluster.fault = TG_CLUSTER_WRONG;
	await("warning", "fallback", true);
	CU_ASSERT_TRUE(spare_is(20, 20, WARNING));
	CU_ASSERT_TRUE(event_seen("watchdog", "watch warning: layer view on output spare is wrong"));
	cluster.fault = TG_CLUSTER_SWAPPED;
	await("belt", "fallback", true);
	CU_ASSERT_TRUE(spare_is(319, 119, COMMON));
	cluster.fault = TG_CLUSTER_WELL;
	await_all_live();
	before = all_failures();
	struct json_object *answer = ask("{\"command\":\"scene\",\"reset\":true}");
	CU_ASSERT_TRUE(json_object_get_boolean(member(answer, "ok")));
	json_object_put(answer);
	CU_ASSERT_TRUE(draw(60));
	await_all_live();
	CU_ASSERT_TRUE(no_new_failures(before));
	CU_ASSERT_TRUE(screen_is_live());
}

static void switch_dash(bool on)
{
	char request[128];

	snprintf(request, sizeof(request),
		"{\"command\":\"output\",\"output\":\"dash\",\"enabled\":%s}", on ? "true" : "false");
	struct json_object *answer = ask(request);
	CU_ASSERT_TRUE(json_object_get_boolean(member(answer, "ok")));
	json_object_put(answer);
}

/* Nothing can be wrong on a display that is switched off, and then all begins anew. */
static void test_off(void)
{
	await_all_live();
	int64_t before = all_failures(), hooks = count_of("warning", "hook_runs");

	for (unsigned i = 0; i < 2; i++) {
		switch_dash(false);
		await("alive", "paused", false);
		await("warning", "paused", false);
		if (i == 1)
			E2E_OK(tg_cluster_off(&cluster));
		CU_ASSERT_TRUE(pixel_is(20, 20, BOOT));
		e2e_sleep_ms(2000); /* more than every limit */
		CU_ASSERT_TRUE(is_in("alive", "paused"));
		CU_ASSERT_EQUAL(ctl("watchdog", NULL, NULL), 0);
		says("paused: output off");
		switch_dash(true);
		await("alive", "waiting", false);
		CU_ASSERT_TRUE(pixel_is(20, 20, BOOT));
		await_all_live();
		CU_ASSERT_TRUE(screen_is_live());
	}
	CU_ASSERT_TRUE(no_new_failures(before));
	CU_ASSERT_EQUAL(count_of("warning", "hook_runs"), hooks);
}

static void test_hook(void)
{
	static char text[65536];
	bool found = false;

	/* It runs once a second at most: the last state comes in the end. */
	for (unsigned i = 0; i < TG_DEADLINE_S * 20 && !found; i++) {
		FILE *f = fopen(file("hook"), "r");
		size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

		if (f)
			fclose(f);
		text[n] = '\0';
		const char *state = NULL;
		for (char *at = text; (at = strstr(at, "BINNACLE_STATE=")); at++)
			state = at;
		found = state && strncmp(state, "BINNACLE_STATE=live\n", 20) == 0;
		e2e_sleep_ms(50);
	}
	CU_ASSERT_TRUE(found);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "BINNACLE_STATE=fallback\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "BINNACLE_WATCH=warning\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "BINNACLE_LAYER=view\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "BINNACLE_OUTPUT=dash\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "BINNACLE_FAULT=wrong\n"));
	CU_ASSERT_PTR_NULL(strstr(text, "HOME=")); /* nothing of the service's own */
	CU_ASSERT_TRUE(count_of("warning", "hook_runs") > 0);
	unlink(file("hook"));
}

static void test_ctl(void)
{
	CU_ASSERT_EQUAL(ctl("watchdog", NULL, NULL), 0);
	says("warning");
	says("expect 1");
	says("change 1500 ms");
	says("output dash: boot picture done with");
	CU_ASSERT_EQUAL(ctl("watchdog", "--json", NULL), 0);
	struct json_object *json = json_tokener_parse(out);
	CU_ASSERT_PTR_NOT_NULL(json);
	json_object_put(json);
	CU_ASSERT_EQUAL(ctl("watchdog", "nobody", "reset"), 1);
	says("there is no watch 'nobody'; watches are: warning, belt");
	CU_ASSERT_EQUAL(ctl("watchdog", "warning", "polish"), 2);
	CU_ASSERT_TRUE(count_of("warning", "failures") > 0);
	CU_ASSERT_EQUAL(ctl("watchdog", "warning", "reset"), 0);
	CU_ASSERT_EQUAL(count_of("warning", "failures"), 0);
	CU_ASSERT_TRUE(is_in("warning", "live"));
	CU_ASSERT_EQUAL(ctl("metrics", NULL, NULL), 0);
	says("binnacle_watch_live{watch=\"warning\",output=\"dash\"} 1");
	says("binnacle_watch_failures_total{watch=\"belt\",fault=\"wrong\"}");
}

/* ---- mistakes ---- */

static int check_config(void)
{
	char *argv[] = {(char *)e2e_program("BINNACLED"), (char *)"-c", e.ini,
		(char *)"--check-config", NULL};

	return e2e_run(argv, out, sizeof(out));
}

/* The first two lines are those of e2e_prepare(), and the next four the same for all. */
#define HEAD "[output dash]\nmode=320x120\n[vm cluster]\nscanout.0=dash\n"

static const struct {
	const char *ini;
	int line;
	const char *word;
} mistakes[] = {
	{HEAD "[watch a]\nlayer=cluster\nexpect=none.png\non-fault=event\n", 7,
		"none.png cannot be read"},
	{HEAD "[watch a]\nlayer=cluster\nregion=0,0,16,16\nexpect=belt.png\non-fault=event\n", 7,
		"belt.png has 32x32 pixels; 16x16 are expected"},
	{HEAD "[watch a]\nlayer=cluster\nregion=0,0,32,32\nabsent=text.png\non-fault=event\n", 7,
		"is no PNG file"},
	{HEAD "[watch a]\nlayer=cluster\nexpect=empty\non-fault=event\n", 7, "has no .png files"},
	{HEAD "[watch a]\nlayer=radio\nmax-age=100\non-fault=event\n", 7,
		"there is no layer 'radio'; one of these is expected: cluster"},
	{HEAD "[watch a]\nmax-age=100\non-fault=event\n", 7, "layer= is missing"},
	{HEAD "[watch a]\nlayer=cluster\non-fault=event\n", 7, "it has no rule"},
	{HEAD "[watch a]\nlayer=cluster\nregion=300,0,32,32\nmax-age=100\non-fault=event\n", 7,
		"is not within layer cluster"},
	{HEAD "[watch a]\nlayer=cluster\nregion=1,2,3\nmax-age=100\non-fault=event\n", 9,
		"X,Y,WIDTH,HEIGHT"},
	{HEAD "[watch a]\nlayer=cluster\nmax-age=100\n", 7, "fallback=FILE.png"},
	{HEAD "[watch a]\nlayer=cluster\nmax-age=100\nfallback=belt.png\n", 7,
		"do not cover the region"},
	{HEAD "[watch a]\nlayer=cluster\nmax-age=never\non-fault=event\n", 9, "milliseconds"},
	{HEAD "[watch a]\nlayer=cluster\nmax-age=100\nbad-frames=0\non-fault=event\n", 10,
		"1 to 10000"},
	{HEAD "[watch a]\nlayer=cluster\nmax-age=100\non-fault=panic\n", 10, "fallback"},
	{HEAD "[watch a]\nlayer=cluster\nmax-age=100\non-fault=event\nat=1,2\n", 7,
		"on-fault=event shows nothing"},
	{HEAD "[watch a]\nlayer=cluster\nmax-age=100\non-fault=event\nhook=reboot\n", 7,
		"absolute path"},
	{HEAD "[watch a]\nlayer=cluster\nmax-age=100\non-fault=event\nhook=/no/such\n", 7,
		"no such program"},
	{"[output dash]\nmode=320x120\nboot=belt.png\n[vm cluster]\nscanout.0=dash\n", 3,
		"boot=belt.png has 32x32 pixels; 320x120 are expected"},
	{"[output dash]\nmode=320x120\nfallback=none.png\n[vm cluster]\nscanout.0=dash\n", 3,
		"fallback=none.png cannot be read"},
};

static void test_mistakes(void)
{
	for (unsigned i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		char where[E2E_PATH + 32];

		CU_ASSERT_TRUE_FATAL(e2e_prepare(&e, mistakes[i].ini));
		write_pictures();
		FILE *f = fopen(file("text.png"), "w");
		fputs("\x89PNG\r\n\x1a\nhello", f);
		fclose(f);
		CU_ASSERT_TRUE(e2e_run((char *[]){(char *)"/bin/mkdir",
					       (char *)(uintptr_t)file("empty"), NULL},
				       out, sizeof(out)) == 0);
		CU_ASSERT_EQUAL(check_config(), 1);
		snprintf(where, sizeof(where), "%s:%d: ", e.ini, mistakes[i].line);
		says(where);
		says(mistakes[i].word);
		e2e_close(&e);
	}
}

/* A folder stands for its pictures. */
static void test_folder(void)
{
	CU_ASSERT_TRUE_FATAL(e2e_prepare(&e,
		HEAD "[watch a]\nlayer=cluster\nregion=0,0,32,32\nexpect=set\non-fault=event\n"));
	CU_ASSERT_TRUE(
		e2e_run((char *[]){(char *)"/bin/mkdir", (char *)(uintptr_t)file("set"), NULL}, out,
			sizeof(out)) == 0);
	CU_ASSERT_TRUE(tg_png_write_plain(file("set/a.png"), 1, 32, 32));
	CU_ASSERT_TRUE(tg_png_write_plain(file("set/b.png"), 2, 32, 32));
	CU_ASSERT_EQUAL(check_config(), 0);
	CU_ASSERT_TRUE(tg_png_write_plain(file("set/c.png"), 3, 31, 32));
	CU_ASSERT_EQUAL(check_config(), 1);
	says("set/c.png has 31x32 pixels");
	e2e_close(&e);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"mistakes", test_mistakes},
		{"a folder of pictures", test_folder},
		{"boot picture", test_boot},
		{"live", test_live},
		{"nothing wrong", test_quiet},
		{"a wrong picture", test_wrong},
		{"one wrong pixel", test_one_pixel},
		{"telltales exchanged", test_swapped},
		{"frozen", test_frozen},
		{"what must be absent", test_haunted},
		{"no frames any more", test_stale},
		{"scanout off", test_missing},
		{"renderer killed", test_renderer_killed},
		{"renderer killed again and again", test_renderer_dies_again},
		{"guest killed", test_guest_killed},
		{"the layer moves", test_moved},
		{"the layer goes elsewhere", test_other_output},
		{"hook", test_hook},
		{"binnaclectl", test_ctl},
		{"output switched off", test_off},
		{"service stops", test_stop},
		CU_TEST_INFO_NULL,
	};

	card = getenv("E2E_WATCHDOG_KMS");
	if (card) {
		W = 640; /* a mode that every display has */
		H = 480;
		source = getenv("E2E_WATCHDOG_SOURCE");
	}
	return bn_unit_main("watchdog", tests);
}
