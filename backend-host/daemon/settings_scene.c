/* [layer NAME]: the scene, and what scanout.N= implies of it. */
#include "settings_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <drm_mode.h>

/* ---- values ---- */

#define NUMBER_MAX 100000 /* pixels; what is possible is for bn_scene_check() to say */
#define Z_MAX 10000

static bool is_none(const char *value)
{
	return value[0] == '\0' || strcmp(value, "none") == 0;
}

bool bn_settings_parse_numbers(const char *value, long *out, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char *end;
		value += strspn(value, " ");
		if (*value != '-' && (*value < '0' || *value > '9'))
			return false;
		out[i] = strtol(value, &end, 10);
		if (end == value || out[i] < -NUMBER_MAX || out[i] > NUMBER_MAX)
			return false;
		value = end + strspn(end, " ");
		if (*value != (i + 1 < count ? ',' : '\0'))
			return false;
		value++;
	}
	return true;
}

bool bn_settings_parse_rect(const char *value, struct bn_rect *out)
{
	long n[4];
	if (is_none(value)) {
		*out = (struct bn_rect){0};
		return true;
	}
	if (!bn_settings_parse_numbers(value, n, 4) || n[2] < 1 || n[3] < 1)
		return false;
	*out = (struct bn_rect){(int32_t)n[0], (int32_t)n[1], (uint32_t)n[2], (uint32_t)n[3]};
	return true;
}

static bool parse_word(const char *value, const char *const *words, unsigned count, unsigned *out)
{
	for (unsigned i = 0; i < count; i++) {
		if (strcmp(value, words[i]) == 0) {
			*out = i;
			return true;
		}
	}
	return false;
}

static bool parse_name(const char *value, char out[BN_OUTPUT_NAME_MAX])
{
	size_t len = strspn(
		value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
	if (len == 0 || len >= BN_OUTPUT_NAME_MAX || value[len] != '\0')
		return false;
	strcpy(out, value);
	return true;
}

/* ---- keys ---- */

static bool read_output(struct bn_scene_layer *l, const char *value, const char **expected)
{
	*expected = "the name of an output";
	return parse_name(value, l->output);
}

static bool read_vm(struct bn_scene_layer *l, const char *value, const char **expected)
{
	*expected = "the name of a vm";
	return parse_name(value, l->vm);
}

static bool read_scanout(struct bn_scene_layer *l, const char *value, const char **expected)
{
	*expected = "a scanout's number from 0 to 15";
	return bn_config_uint(value, 0, BN_LINK_SCANOUTS - 1, &l->scanout);
}

static bool read_crop(struct bn_scene_layer *l, const char *value, const char **expected)
{
	*expected = "X,Y,WIDTH,HEIGHT in pixels of the screen, for example 0,0,640,360, or none";
	return bn_settings_parse_rect(value, &l->place.crop);
}

static bool read_at(struct bn_scene_layer *l, const char *value, const char **expected)
{
	*expected = "X,Y in pixels of the output, for example 640,120";
	long n[2];
	if (!bn_settings_parse_numbers(value, n, 2))
		return false;
	l->place.at.x = (int32_t)n[0];
	l->place.at.y = (int32_t)n[1];
	return true;
}

static bool read_size(struct bn_scene_layer *l, const char *value, const char **expected)
{
	*expected = "WIDTHxHEIGHT in pixels of the output, for example 640x360, or none";
	unsigned width = 0, height = 0, unused = 0;
	if (!is_none(value) && (strchr(value, '@') || !bn_config_mode(value, &width, &height, &unused)))
		return false;
	l->place.at.width = width;
	l->place.at.height = height;
	return true;
}

static bool read_rotate(struct bn_scene_layer *l, const char *value, const char **expected)
{
	static const char *const words[] = {"0", "90", "180", "270"};
	unsigned n;
	*expected = "0, 90, 180 or 270 (degrees, counter-clockwise)";
	if (!parse_word(value, words, 4, &n))
		return false;
	l->place.transform &= ~(uint32_t)DRM_MODE_ROTATE_MASK;
	l->place.transform |= DRM_MODE_ROTATE_0 << n;
	return true;
}

static bool read_reflect(struct bn_scene_layer *l, const char *value, const char **expected)
{
	static const char *const words[] = {"none", "x", "y", "xy"};
	unsigned n;
	*expected = "x (left becomes right), y (top becomes bottom), xy or none";
	if (!parse_word(value, words, 4, &n))
		return false;
	l->place.transform &= ~(uint32_t)DRM_MODE_REFLECT_MASK;
	l->place.transform |= n * DRM_MODE_REFLECT_X;
	return true;
}

static bool read_alpha(struct bn_scene_layer *l, const char *value, const char **expected)
{
	char digits[8];
	unsigned percent;
	size_t len = strlen(value);
	*expected = "0 (not to be seen) to 100 (opaque)";
	if (len > 0 && value[len - 1] == '%')
		len--;
	if (snprintf(digits, sizeof(digits), "%.*s", (int)(len < 7 ? len : 7), value) != (int)len ||
		!bn_config_uint(digits, 0, 100, &percent))
		return false;
	l->place.alpha = (uint16_t)((percent * BN_ALPHA_OPAQUE + 50) / 100);
	return true;
}

static bool read_blend(struct bn_scene_layer *l, const char *value, const char **expected)
{
	*expected = "yes (the pixels' own alpha counts) or no";
	return bn_config_bool(value, &l->place.blend);
}

static bool read_hidden(struct bn_scene_layer *l, const char *value, const char **expected)
{
	*expected = "yes or no";
	return bn_config_bool(value, &l->place.hidden);
}

static bool read_z(struct bn_scene_layer *l, const char *value, const char **expected)
{
	long n;
	*expected = "a number from -10000 (lowest) to 10000 (highest)";
	if (!bn_settings_parse_numbers(value, &n, 1) || n < -Z_MAX || n > Z_MAX)
		return false;
	l->place.z = (int32_t)n;
	return true;
}

static bool read_role(struct bn_scene_layer *l, const char *value, const char **expected)
{
	static const char *const words[] = {"normal", "safety"};
	unsigned n;
	*expected = "normal or safety";
	if (!parse_word(value, words, 2, &n))
		return false;
	l->place.role = n ? BN_ROLE_SAFETY : BN_ROLE_NORMAL;
	return true;
}

static bool read_opening(
	struct bn_scene_layer *l, unsigned index, const char *value, const char **expected)
{
	*expected = "X,Y,WIDTH,HEIGHT in pixels of the output, for example 640,120,640,360, or none";
	if (!bn_settings_parse_rect(value, &l->openings[index]))
		return false;
	/* What lies between stays all zero: not given. */
	if (l->num_openings <= index)
		l->num_openings = index + 1;
	return true;
}

static const struct {
	const char *name;
	bool (*read)(struct bn_scene_layer *l, const char *value, const char **expected);
} keys[] = {
	{"output", read_output},
	{"vm", read_vm},
	{"scanout", read_scanout},
	{"crop", read_crop},
	{"at", read_at},
	{"size", read_size},
	{"rotate", read_rotate},
	{"reflect", read_reflect},
	{"alpha", read_alpha},
	{"blend", read_blend},
	{"z", read_z},
	{"role", read_role},
	{"hidden", read_hidden},
};

bool bn_settings_layer_key(
	struct bn_scene_layer *l, const char *key, const char *value, const char **expected)
{
	static const char opening[] = "opening";
	unsigned index = 0;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(key, keys[i].name) == 0)
			return keys[i].read(l, value, expected);
	}
	if (strcmp(key, opening) == 0)
		return read_opening(l, 0, value, expected);
	if (strncmp(key, opening, strlen(opening)) == 0 && key[strlen(opening)] == '.') {
		*expected = "opening.N with N from 0 to 3";
		return bn_config_uint(key + strlen(opening) + 1, 0, BN_SCENE_OPENINGS_MAX - 1,
			       &index) &&
		       read_opening(l, index, value, expected);
	}
	*expected = "one of output, vm, scanout, crop, at, size, rotate, reflect, alpha, blend, z, "
		    "role, hidden and opening.N";
	return false;
}

/* ---- the section ---- */

/* A layer of which something was not understood is not checked any further: its line is
 * negative. */
static bool read_layer(void *object, const char *key, const char *value, const char **expected)
{
	struct bn_scene_layer *l = object;
	if (bn_settings_layer_key(l, key, value, expected))
		return true;
	if (l->line > 0)
		l->line = -l->line;
	return false;
}

const struct bn_config_key bn_settings_layer_keys[] = {
	{.name = "output", .read = read_layer},
	{.name = "vm", .read = read_layer},
	{.name = "scanout", .read = read_layer},
	{.name = "crop", .read = read_layer},
	{.name = "at", .read = read_layer},
	{.name = "size", .read = read_layer},
	{.name = "rotate", .read = read_layer},
	{.name = "reflect", .read = read_layer},
	{.name = "alpha", .read = read_layer},
	{.name = "blend", .read = read_layer},
	{.name = "z", .read = read_layer},
	{.name = "role", .read = read_layer},
	{.name = "hidden", .read = read_layer},
	{.name = "opening", .read = read_layer},
	{.name = "opening.", .prefix = true, .read = read_layer},
	{0},
};

static void *begin_layer(struct bn_scene *scene, const char *name, int line, const char **why)
{
	if (scene->num_layers == BN_SCENE_LAYERS_MAX) {
		*why = "at most 128 layers";
		return NULL;
	}
	struct bn_scene_layer *l = &scene->layers[scene->num_layers++];
	*l = (struct bn_scene_layer){.place = bn_place_default, .line = line};
	snprintf(l->name, sizeof(l->name), "%s", name);
	return l;
}

void *bn_settings_begin_layer(void *data, const char *name, int line, const char **why)
{
	struct bn_settings *s = data;
	return begin_layer(&s->scene, name, line, why);
}

static void *begin_text_layer(void *data, const char *name, int line, const char **why)
{
	return begin_layer(data, name, line, why);
}

/* ---- what scanout.N= implies ---- */

static bool replaced(const struct bn_scene *scene, const struct bn_settings_vm *vm, unsigned scanout)
{
	for (size_t i = 0; i < scene->num_layers; i++) {
		const struct bn_scene_layer *l = &scene->layers[i];
		if (l->scanout == scanout && strcmp(l->vm, vm->name) == 0 &&
			strcmp(l->output, vm->scanout[scanout]) == 0)
			return true;
	}
	return false;
}

static bool output_exists(const struct bn_settings *s, const char *name)
{
	for (size_t i = 0; i < s->num_outputs; i++) {
		if (strcmp(s->outputs[i].config.name, name) == 0)
			return true;
	}
	return false;
}

static bool add_implied(struct bn_scene *scene, const struct bn_settings_vm *vm, unsigned scanout)
{
	if (scene->num_layers == BN_SCENE_LAYERS_MAX)
		return false;
	struct bn_scene_layer *l = &scene->layers[scene->num_layers++];
	*l = (struct bn_scene_layer){.scanout = scanout, .place = bn_place_default};
	strcpy(l->vm, vm->name);
	strcpy(l->output, vm->scanout[scanout]);
	if (scanout == 0)
		strcpy(l->name, vm->name);
	else
		snprintf(l->name, sizeof(l->name), "%s.%u", vm->name, scanout);
	return true;
}

/* false: there are too many. What names no output is left out, its mistake is known already. */
static bool imply(const struct bn_settings *s, struct bn_scene *scene)
{
	static struct bn_scene given; /* too large for the stack; one thread */
	bool room = true;
	given = *scene;
	scene->num_layers = 0;
	for (size_t i = 0; i < s->num_vms; i++) {
		const struct bn_settings_vm *vm = &s->vms[i];
		for (unsigned n = 0; room && n < vm->num_scanouts; n++) {
			if (output_exists(s, vm->scanout[n]) && !replaced(&given, vm, n))
				room = add_implied(scene, vm, n);
		}
	}
	for (size_t i = 0; room && i < given.num_layers; i++) {
		room = scene->num_layers < BN_SCENE_LAYERS_MAX;
		if (room)
			scene->layers[scene->num_layers++] = given.layers[i];
	}
	return room;
}

/* ---- the whole ---- */

static const struct bn_settings_vm *find_vm(const struct bn_settings *s, const char *name)
{
	for (size_t i = 0; i < s->num_vms; i++) {
		if (strcmp(s->vms[i].name, name) == 0)
			return &s->vms[i];
	}
	return NULL;
}

static bool vm_scanouts(void *data, const char *name, unsigned *scanouts)
{
	const struct bn_settings_vm *vm = find_vm(data, name);
	*scanouts = vm ? vm->num_scanouts : 0;
	return vm != NULL;
}

/* A number that is left out between others is a screen without a display: it has no mode, no
 * pace, and so no pictures. */
static unsigned check_gaps(const struct bn_settings *s, const struct bn_scene *scene,
	void (*report)(void *data, const struct bn_scene_layer *layer, const char *fault),
	void *data)
{
	unsigned faults = 0;
	for (size_t i = 0; i < scene->num_layers; i++) {
		const struct bn_scene_layer *l = &scene->layers[i];
		const struct bn_settings_vm *vm = find_vm(s, l->vm);
		char text[256];
		if (!vm || l->scanout >= vm->num_scanouts || vm->scanout[l->scanout][0])
			continue;
		snprintf(text, sizeof(text),
			"layer %s: vm %s has no scanout %u; scanout.%u=OUTPUT in [vm %s] is "
			"expected",
			l->name, l->vm, l->scanout, l->scanout, l->vm);
		faults++;
		if (report)
			report(data, l, text);
	}
	return faults;
}

unsigned bn_settings_scene_check(const struct bn_settings *s, const struct bn_scene *scene,
	const struct bn_output_config *const *outputs, size_t num_outputs,
	void (*report)(void *data, const struct bn_scene_layer *layer, const char *fault),
	void *data)
{
	const struct bn_scene_world world = {
		.outputs = outputs,
		.num_outputs = num_outputs,
		.vm_scanouts = vm_scanouts,
		.data = (void *)(uintptr_t)s,
	};
	return bn_scene_check(scene, &world, report, data) + check_gaps(s, scene, report, data);
}

struct recorder {
	const struct bn_settings *settings;
	struct bn_config_errors *errors;
};

static void record(void *data, const struct bn_scene_layer *l, const char *fault)
{
	const struct recorder *r = data;
	const struct bn_settings_vm *vm = find_vm(r->settings, l->vm);
	bn_config_error_add(r->errors, l->line > 0 ? l->line : vm ? vm->line : 0, "%s", fault);
}

static void drop_misread(struct bn_scene *scene)
{
	size_t kept = 0;
	for (size_t i = 0; i < scene->num_layers; i++) {
		if (scene->layers[i].line >= 0)
			scene->layers[kept++] = scene->layers[i];
	}
	scene->num_layers = kept;
}

static void too_many(struct bn_config_errors *errors)
{
	bn_config_error_add(errors, 0,
		"more than %d layers, with those of scanout.N=; at most that many are expected",
		BN_SCENE_LAYERS_MAX);
}

void bn_settings_check_scene(struct bn_settings *s, struct bn_config_errors *errors)
{
	static struct bn_output_config configs[BN_SETTINGS_OUTPUTS_MAX];
	const struct bn_output_config *outputs[BN_SETTINGS_OUTPUTS_MAX];
	for (size_t i = 0; i < s->num_outputs; i++) {
		configs[i] = s->outputs[i].config;
		outputs[i] = &configs[i];
		/* Not known before it is opened: what fits into none is wrong, the rest is looked
		 * at then. */
		if (configs[i].preferred_mode)
			configs[i].width = configs[i].height = 8192;
	}
	if (!imply(s, &s->scene)) {
		too_many(errors);
		return;
	}
	drop_misread(&s->scene);
	struct recorder r = {.settings = s, .errors = errors};
	bn_settings_scene_check(s, &s->scene, outputs, s->num_outputs, record, &r);
}

int bn_settings_scene_text(const struct bn_settings *s, struct bn_scene *scene, const char *text,
	size_t len, struct bn_config_errors *errors)
{
	static const struct bn_config_section sections[] = {
		{.name = "layer",
			.named = true,
			.repeated = true,
			.begin = begin_text_layer,
			.keys = bn_settings_layer_keys},
		{0},
	};
	scene->num_layers = 0;
	int ret = bn_config_read_text(text, len, sections, scene, errors);
	if (ret == 0 && !imply(s, scene)) {
		too_many(errors);
		ret = -EINVAL;
	}
	return ret;
}
