/* [output NAME]: displays. */
#include "settings_priv.h"

#include <stdio.h>
#include <string.h>

static bool read_backend(void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings_output *o = object;
	*expected = "headless, wayland or kms";
	if (strcmp(value, "headless") == 0)
		o->config.kind = BN_OUTPUT_HEADLESS;
	else if (strcmp(value, "wayland") == 0)
		o->config.kind = BN_OUTPUT_WAYLAND;
	else if (strcmp(value, "kms") == 0)
		o->config.kind = BN_OUTPUT_KMS;
	else
		return false;
	return true;
}

static bool read_mode(void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings_output *o = object;
	*expected = "WIDTHxHEIGHT[@HZ], each side 1 to 8192 pixels and 1 to 1000 Hz, "
		    "for example 1280x480@60, or, with backend=kms, preferred";
	unsigned width, height, refresh = o->config.refresh_mhz;
	o->has_mode = true;
	o->config.preferred_mode = strcmp(value, "preferred") == 0;
	if (o->config.preferred_mode)
		return true;
	if (!bn_config_mode(value, &width, &height, &refresh) || width < 1 || width > 8192 ||
		height < 1 || height > 8192 || refresh < 1000 || refresh > 1000000)
		return false;
	o->config.width = width;
	o->config.height = height;
	o->config.refresh_mhz = refresh;
	return true;
}

static bool read_pacing(void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings_output *o = object;
	*expected = "display (guests wait for the refresh) or free";
	o->config.free_running = strcmp(value, "free") == 0;
	return o->config.free_running || strcmp(value, "display") == 0;
}

static bool read_fullscreen(void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings_output *o = object;
	*expected = "yes or no";
	return bn_config_bool(value, &o->config.fullscreen);
}

static bool read_size_mm(void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings_output *o = object;
	*expected = "WIDTHxHEIGHT in millimetres, each 1 to 10000, for example 292x109";
	unsigned width, height, unused = 0;
	if (strchr(value, '@') || !bn_config_mode(value, &width, &height, &unused) || width < 1 ||
		width > 10000 || height < 1 || height > 10000)
		return false;
	o->config.width_mm = width;
	o->config.height_mm = height;
	return true;
}

static bool copy_word(char *out, size_t size, const char *value)
{
	if (value[0] == '\0' || strlen(value) >= size)
		return false;
	strcpy(out, value);
	return true;
}

static bool read_card(void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings_output *o = object;
	*expected = "a node such as /dev/dri/card0, or a driver's name such as vkms";
	return copy_word(o->config.card, sizeof(o->config.card), value);
}

static bool read_connector(void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings_output *o = object;
	*expected = "a connector's name, for example HDMI-A-1";
	return copy_word(o->config.connector, sizeof(o->config.connector), value);
}

const struct bn_config_key bn_settings_output_keys[] = {
	{.name = "backend", .read = read_backend},
	{.name = "mode", .read = read_mode},
	{.name = "pacing", .read = read_pacing},
	{.name = "fullscreen", .read = read_fullscreen},
	{.name = "size-mm", .read = read_size_mm},
	{.name = "card", .read = read_card},
	{.name = "connector", .read = read_connector},
	{.name = "boot", .read = bn_settings_read_output_picture},
	{.name = "fallback", .read = bn_settings_read_output_picture},
	{0},
};

void *bn_settings_begin_output(void *data, const char *name, int line, const char **why)
{
	struct bn_settings *s = data;
	if (s->num_outputs == BN_SETTINGS_OUTPUTS_MAX) {
		*why = "at most 32 outputs";
		return NULL;
	}
	struct bn_settings_output *o = &s->outputs[s->num_outputs++];
	*o = (struct bn_settings_output){
		.config = {.kind = BN_OUTPUT_HEADLESS,
			.width = 1280,
			.height = 720,
			.refresh_mhz = 60000},
		.line = line,
	};
	snprintf(o->config.name, sizeof(o->config.name), "%s", name);
	return o;
}

/* Of one output: what goes with backend=kms alone, and the mode that it has by default. */
static void check_output(struct bn_settings_output *o, struct bn_config_errors *errors)
{
	bool kms = o->config.kind == BN_OUTPUT_KMS;
	if (kms && !o->has_mode)
		o->config.preferred_mode = true;
	if (!kms && o->config.preferred_mode)
		bn_config_error_add(errors, o->line,
			"output %s: mode=preferred goes with backend=kms; a mode such as "
			"1280x720@60 is expected",
			o->config.name);
	if (!kms && (o->config.card[0] || o->config.connector[0]))
		bn_config_error_add(errors, o->line,
			"output %s: card= and connector= go with backend=kms; that, or neither of "
			"them, is expected",
			o->config.name);
}

void bn_settings_check_outputs(struct bn_settings *s, struct bn_config_errors *errors)
{
	for (size_t i = 0; i < s->num_outputs; i++)
		check_output(&s->outputs[i], errors);
}
