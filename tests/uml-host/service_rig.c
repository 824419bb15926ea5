#include "service_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

#define PAUSE_MS 2000 /* the longest limit of a watch is 1500 */

struct tg_cluster cockpit;

static void write_configuration(void)
{
	FILE *f = fopen(e.ini, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fprintf(f,
		"[core]\nruntime-dir=%s/run\n"
		"[output dash]\nbackend=kms\ncard=vkms\nconnector=Virtual-1\nmode=640x480@60\n"
		"boot=boot.png\nfallback=common.png\n"
		"[output other]\nbackend=kms\ncard=vkms\nconnector=Virtual-2\nmode=640x480@60\n"
		"[vm cluster]\nscanout.0=dash\ngl=no\n"
		"[vm cockpit]\nscanout.0=other\ngl=no\n"
		"[watch far]\nlayer=cockpit\nregion=16,16,32,32\nexpect=warning.png\n"
		"good-frames=3\non-fault=event\n%s",
		e.dir, watch_sections(""));
	fclose(f);
}

void service_make(void)
{
	card = "vkms";
	source = "writeback";
	W = 640;
	H = 480;
	CU_ASSERT_TRUE_FATAL(kms_card_make(2));
	CU_ASSERT_TRUE_FATAL(e2e_prepare(&e, ""));
	write_configuration();
	write_pictures();
}

void service_start(void)
{
	CU_ASSERT_TRUE_FATAL(e2e_start(&e));
	CU_ASSERT_EQUAL_FATAL(tg_cluster_open(&cluster, e2e_socket(&e, "cluster")), 0);
	CU_ASSERT_EQUAL_FATAL(tg_cluster_open(&cockpit, e2e_socket(&e, "cockpit")), 0);
}

void service_await(void)
{
	await_all_live();
	CU_ASSERT_TRUE(screen_is_live());
	draw_both(10);
	CU_ASSERT_TRUE(other_is_right());
	CU_ASSERT_TRUE(is_in("far", "live"));
	CU_ASSERT_EQUAL(all_failures(), 0);
}

void service_open(void)
{
	service_make();
	service_start();
	service_await();
}

void service_close(void)
{
	tg_cluster_close(&cluster);
	tg_cluster_close(&cockpit);
	e2e_close(&e);
	kms_card_remove();
}

int64_t output_int(const char *output, const char *key)
{
	struct json_object *answer = ask("{\"command\":\"outputs\"}");
	int64_t n = json_object_get_int64(member(named(member(answer, "outputs"), output), key));

	json_object_put(answer);
	return n;
}

bool output_becomes(const char *output, const char *key, int64_t value)
{
	int64_t is = output_int(output, key);

	for (unsigned i = 0; i < TG_DEADLINE_S * 50 && is != value; i++) {
		e2e_sleep_ms(20);
		is = output_int(output, key);
	}
	if (is != value)
		fprintf(stderr, "\n%s of output %s is %lld, not %lld\n", key, output, (long long)is,
			(long long)value);
	return is == value;
}

void draw_both(unsigned frames)
{
	for (unsigned i = 0; i < frames; i++) {
		E2E_OK(tg_cluster_frame(&cluster));
		E2E_OK(tg_cluster_frame(&cockpit));
	}
}

static bool is_cockpit(const uint32_t *pixels)
{
	for (uint32_t y = 0; y < TG_CLUSTER_HEIGHT; y++) {
		if (memcmp(pixels + (size_t)y * W, cockpit.pixels + (size_t)y * TG_CLUSTER_WIDTH,
			    TG_CLUSTER_WIDTH * sizeof(*pixels)) != 0)
			return false;
	}
	return true;
}

bool other_is_right(void)
{
	bool right = false;

	for (unsigned i = 0; i < 200 && !right; i++) {
		uint32_t w = 0, h = 0;
		uint64_t when;
		char from[16];
		uint32_t *pixels = e2e_scanout(&e, "other", &w, &h, from, &when);

		right = pixels && w == W && h == H && strcmp(from, "writeback") == 0 &&
			is_cockpit(pixels);
		free(pixels);
		e2e_sleep_ms(10);
		if (i % 16 == 15)
			draw_both(1);
	}
	return right;
}

void stay_paused(int64_t failures)
{
	uint64_t end = bn_now_ns() + PAUSE_MS * BN_NS_PER_MS;

	await("warning", "paused", false);
	await("alive", "paused", false);
	do
		draw_both(5);
	while (bn_now_ns() < end);
	CU_ASSERT_TRUE(is_in("speed", "paused"));
	CU_ASSERT_TRUE(no_new_failures(failures));
}

void come_back(int64_t failures)
{
	await_all_live();
	CU_ASSERT_TRUE(screen_is_live());
	draw_both(30);
	CU_ASSERT_TRUE(other_is_right());
	CU_ASSERT_TRUE(is_in("far", "live"));
	CU_ASSERT_EQUAL(count_of("far", "failures"), 0);
	CU_ASSERT_TRUE(no_new_failures(failures));
}
