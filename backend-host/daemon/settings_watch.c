/* [watch NAME]: the keys. */
#include "settings_priv.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"

#define TIME_MAX (600 * BN_NS_PER_S)
#define GOOD_DEFAULT 30

static bool copy_value(char *out, size_t size, const char *value)
{
	if (value[0] == '\0' || strlen(value) >= size)
		return false;
	strcpy(out, value);
	return true;
}

bool bn_settings_read_output_picture(
	void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings_output *o = object;
	*expected = "the name of a PNG file";
	return copy_value(
		strcmp(key, "boot") == 0 ? o->boot : o->fallback, BN_SETTINGS_VALUE_MAX, value);
}

static bool read_layer(void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings_watch *w = object;
	*expected = "the name of a layer";
	return copy_value(w->layer, sizeof(w->layer), value);
}

static bool read_region(void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings_watch *w = object;
	*expected = "X,Y,WIDTH,HEIGHT in pixels of the output from the layer's top left corner, "
		    "for example 40,20,64,64";
	return bn_settings_parse_rect(value, &w->region) && w->region.width > 0 &&
	       w->region.width <= 8192 && w->region.height <= 8192;
}

static bool read_pictures(void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings_watch *w = object;
	*expected = "names of PNG files or of folders of them, with commas between them";
	return copy_value(
		strcmp(key, "expect") == 0 ? w->expect : w->absent, BN_SETTINGS_VALUE_MAX, value);
}

static bool read_time(void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings_watch *w = object;
	uint64_t *to = strcmp(key, "change-within") == 0 ? &w->change_ns
		       : strcmp(key, "max-age") == 0     ? &w->age_ns
							 : &w->start_ns;
	*expected = "milliseconds from 1 to 600000, for example 100";
	return bn_settings_parse_time(value, BN_NS_PER_MS, TIME_MAX, to);
}

static bool read_frames(void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings_watch *w = object;
	*expected = "a number of pictures from 1 to 10000";
	return bn_config_uint(value, 1, BN_WATCH_FRAMES_MAX,
		strcmp(key, "bad-frames") == 0 ? &w->bad_frames : &w->good_frames);
}

static bool read_on_fault(void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings_watch *w = object;
	*expected = "fallback (the picture is shown instead) or event (it is only told of)";
	w->event_only = strcmp(value, "event") == 0;
	return w->event_only || strcmp(value, "fallback") == 0;
}

static bool read_fallback(void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings_watch *w = object;
	*expected = "the name of a PNG file";
	return copy_value(w->fallback, BN_SETTINGS_VALUE_MAX, value);
}

static bool read_at(void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings_watch *w = object;
	long n[2];
	*expected = "X,Y in pixels of the output from the layer's top left corner, for example 0,0";
	if (!bn_settings_parse_numbers(value, n, 2))
		return false;
	w->cover.x = (int32_t)n[0];
	w->cover.y = (int32_t)n[1];
	w->has_at = true;
	return true;
}

static bool read_hook(void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings_watch *w = object;
	*expected = "a command: an absolute path, and its arguments";
	return copy_value(w->hook, sizeof(w->hook), value);
}

const struct bn_config_key bn_settings_watch_keys[] = {
	{.name = "layer", .read = read_layer},
	{.name = "region", .read = read_region},
	{.name = "expect", .read = read_pictures},
	{.name = "absent", .read = read_pictures},
	{.name = "change-within", .read = read_time},
	{.name = "max-age", .read = read_time},
	{.name = "start-within", .read = read_time},
	{.name = "bad-frames", .read = read_frames},
	{.name = "good-frames", .read = read_frames},
	{.name = "on-fault", .read = read_on_fault},
	{.name = "fallback", .read = read_fallback},
	{.name = "at", .read = read_at},
	{.name = "hook", .read = read_hook},
	{0},
};

void *bn_settings_begin_watch(void *data, const char *name, int line, const char **why)
{
	struct bn_settings *s = data;
	if (s->num_watches == BN_WATCH_REGIONS_MAX) {
		*why = "at most 64 watches";
		return NULL;
	}
	struct bn_settings_watch *w = &s->watches[s->num_watches++];
	*w = (struct bn_settings_watch){.line = line, .bad_frames = 1, .good_frames = GOOD_DEFAULT};
	snprintf(w->name, sizeof(w->name), "%s", name);
	return w;
}
