/* The watchdog of safety content with a real service: an instrument cluster whose guest, renderer
 * and VM fail in every way, and what a person sees of it: the fallback on the screen, the event,
 * the counters, the hook, and the picture before all of it. Times are generous, so that a busy
 * machine is no fault. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "watchdog_faults.h"
#include "watchdog_rig.h"

/* ---- before and after ---- */

static void test_boot(void)
{
	char ini[4096], hook[2 * E2E_PATH];

	CU_ASSERT_TRUE_FATAL(e2e_prepare(&e, ""));
	snprintf(hook, sizeof(hook), "hook=/bin/sh -c \"env >>%s\"\n", file("hook"));
	snprintf(ini, sizeof(ini),
		"[core]\nruntime-dir=%s/run\n"
		"[output dash]\nmode=%ux%u@60\n%s%s%sboot=boot.png\nfallback=common.png\n"
		"[output rear]\nmode=320x120@60\n"
		"[output spare]\nmode=320x120@50\nfallback=small.png\n"
		"[vm cluster]\nscanout.0=dash\ngl=no\n"
		"%s",
		e.dir, W, H, card ? "backend=kms\ncard=" : "", card ? card : "", card ? "\n" : "",
		watch_sections(hook));
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

int main(void)
{
	static const CU_TestInfo tests[] = {
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
