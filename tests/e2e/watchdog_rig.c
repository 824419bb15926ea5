#include "watchdog_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct e2e e;
struct tg_cluster cluster;
char out[65536];
uint32_t W = 320, H = 120;
const char *card;
const char *source = "layer";

_Static_assert(TG_CLUSTER_WIDTH == 256 && TG_CLUSTER_HEIGHT == 96, "the view shows all of it");

#define WATCHES 5
static const char *const watches[WATCHES] = {"warning", "belt", "speed", "alive", "ghost"};

const char *watch_sections(const char *of_warning)
{
	static char text[2048];

	snprintf(text, sizeof(text),
		"[layer corner]\nvm=cluster\noutput=dash\ncrop=248,88,8,8\nat=312,112\n"
		"[layer view]\noutput=dash\nvm=cluster\nrole=safety\ncrop=0,0,256,96\n"
		"[watch warning]\nlayer=view\nregion=16,16,32,32\nexpect=warning.png\n"
		"good-frames=3\nfallback=stop.png\n%s"
		"[watch belt]\nlayer=view\nregion=64,16,32,32\nexpect=belt.png\ngood-frames=3\n"
		"[watch speed]\nlayer=view\nregion=112,16,64,32\nchange-within=1500\n"
		"good-frames=3\nfallback=speed.png\n"
		"[watch alive]\nlayer=view\nregion=248,88,8,8\nmax-age=1500\ngood-frames=3\n"
		"fallback=alive.png\n"
		"[watch ghost]\nlayer=view\nregion=200,16,32,32\nabsent=ghost.png\n"
		"good-frames=3\non-fault=event\n",
		of_warning);
	return text;
}

const char *file(const char *name)
{
	static char path[4][E2E_PATH];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, E2E_PATH, "%s/%s", e.dir, name);
	return p;
}

void write_pictures(void)
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

struct json_object *member(struct json_object *o, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(o, key, &value);
	CU_ASSERT_PTR_NOT_NULL_FATAL(value);
	return value;
}

const char *text_of(struct json_object *o, const char *key)
{
	return json_object_get_string(member(o, key));
}

struct json_object *named(struct json_object *list, const char *name)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		if (strcmp(text_of(o, "name"), name) == 0)
			return o;
	}
	CU_FAIL_FATAL("no such watch");
	return NULL;
}

struct json_object *ask(const char *request)
{
	struct json_object *answer = e2e_control(&e, request, NULL);

	CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
	return answer;
}

bool is_in(const char *watch, const char *state)
{
	struct json_object *answer = ask("{\"command\":\"watchdog\"}");
	bool is = strcmp(text_of(named(member(answer, "watches"), watch), "state"), state) == 0;

	json_object_put(answer);
	return is;
}

int64_t count_of(const char *watch, const char *key)
{
	struct json_object *answer = ask("{\"command\":\"watchdog\"}");
	struct json_object *w = named(member(answer, "watches"), watch), *value = NULL;

	if (!json_object_object_get_ex(w, key, &value))
		value = member(member(w, "count"), key);
	int64_t n = json_object_get_int64(value);
	json_object_put(answer);
	return n;
}

int64_t all_failures(void)
{
	int64_t n = 0;

	for (unsigned i = 0; i < WATCHES; i++)
		n += count_of(watches[i], "failures");
	return n;
}

bool no_new_failures(int64_t before)
{
	if (all_failures() == before)
		return true;
	ctl("events", NULL, NULL);
	fprintf(stderr, "\n%s\n", out);
	return false;
}

bool is_looked_at(const char *watch)
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

bool draw(unsigned frames)
{
	uint32_t type = VIRTIO_GPU_RESP_OK_NODATA;

	for (unsigned i = 0; i < frames && type == VIRTIO_GPU_RESP_OK_NODATA; i++)
		type = tg_cluster_frame(&cluster);
	E2E_OK(type);
	return type == VIRTIO_GPU_RESP_OK_NODATA;
}

void await(const char *watch, const char *state, bool drawing)
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

void await_all_live(void)
{
	for (unsigned i = 0; i < WATCHES; i++)
		await(watches[i], "live", true);
}

bool event_seen(const char *kind, const char *part)
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

/* What was decided is shown with the next refresh. */
bool pixel_is(uint32_t x, uint32_t y, uint32_t colour)
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

bool screen_is_live(void)
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

int ctl(const char *a, const char *b, const char *c)
{
	char *argv[] = {(char *)e2e_program("BINNACLECTL"), (char *)"--socket", e.control,
		(char *)a, (char *)b, (char *)c, NULL};

	return e2e_run(argv, out, sizeof(out));
}

void says(const char *text)
{
	if (!strstr(out, text))
		fprintf(stderr, "\n\"%s\" is not in: %s\n", text, out);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, text));
}
