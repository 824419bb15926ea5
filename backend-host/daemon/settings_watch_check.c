/* [watch NAME] and the outputs' pictures as a whole: layers, places, and the pictures themselves,
 * of which only checksums are kept. */
#include "settings_priv.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "picture.h"
#include "watchdog_hook.h"

struct check {
	struct bn_settings *s;
	struct bn_config_errors *errors;
	char folder[BN_SETTINGS_FILE_MAX]; /* of the configuration, with its '/'; "": here */
	struct bn_settings_watch *w;       /* the one that is looked at */
};

__attribute__((format(printf, 2, 3))) static void fault(struct check *c, const char *fmt, ...)
{
	char text[256];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	bn_config_error_add(c->errors, c->w->line, "watch %s: %s", c->w->name, text);
}

/* A name as given, from the configuration's folder. false: too long. */
static bool resolve(const struct check *c, const char *name, char out[BN_SETTINGS_FILE_MAX])
{
	int n = snprintf(out, BN_SETTINGS_FILE_MAX, "%s%s", name[0] == '/' ? "" : c->folder, name);
	return n > 0 && n < BN_SETTINGS_FILE_MAX;
}

/* ---- where it is ---- */

static const struct bn_scene_layer *find_layer(struct check *c)
{
	char names[160] = "";
	size_t len = 0;
	for (size_t i = 0; i < c->s->scene.num_layers; i++) {
		const struct bn_scene_layer *l = &c->s->scene.layers[i];
		if (strcmp(l->name, c->w->layer) == 0)
			return l;
		if (len < sizeof(names))
			len += (size_t)snprintf(
				names + len, sizeof(names) - len, "%s%s", i ? ", " : "", l->name);
	}
	/* It may be one of those that were not understood. */
	if (c->w->layer[0] == '\0')
		fault(c, "layer= is missing; one of these is expected: %s", names);
	else if (c->errors->count == 0)
		fault(c, "there is no layer '%s'; one of these is expected: %s", c->w->layer,
			names);
	return NULL;
}

static const struct bn_settings_output *find_output(const struct bn_settings *s, const char *name)
{
	for (size_t i = 0; i < s->num_outputs; i++) {
		if (strcmp(s->outputs[i].config.name, name) == 0)
			return &s->outputs[i];
	}
	return NULL;
}

static bool contains(const struct bn_rect *outer, const struct bn_rect *inner)
{
	struct bn_rect common;
	return bn_rect_intersect(outer, inner, &common) && common.width == inner->width &&
	       common.height == inner->height;
}

static bool check_region(
	struct check *c, const struct bn_scene_layer *l, const struct bn_settings_output *o)
{
	struct bn_settings_watch *w = c->w;
	const struct bn_rect screen = {0, 0, o->config.width, o->config.height};
	struct bn_rect layer = bn_place_rect(&l->place, screen.width, screen.height);
	bool known = !o->config.preferred_mode;
	if (w->region.width == 0 && !known) {
		fault(c, "the size of output %s is not known; region=X,Y,WIDTH,HEIGHT is expected",
			o->config.name);
		return false;
	}
	if (w->region.width == 0) {
		w->region.width = layer.width;
		w->region.height = layer.height;
	}
	struct bn_rect at = {
		layer.x + w->region.x, layer.y + w->region.y, w->region.width, w->region.height};
	if (!known || (contains(&screen, &at) && contains(&layer, &at)))
		return true;
	fault(c,
		"its region %ux%u at %d,%d is not within layer %s (%ux%u at %d,%d) and output %s "
		"(%ux%u); a region=X,Y,WIDTH,HEIGHT within both is expected",
		at.width, at.height, w->region.x, w->region.y, l->name, layer.width, layer.height,
		layer.x, layer.y, o->config.name, screen.width, screen.height);
	return false;
}

/* ---- pictures to compare with ---- */

static void add_crc(struct check *c, const char *path, unsigned *count)
{
	struct bn_picture picture;
	char why[BN_PICTURE_WHY_MAX];
	const struct bn_rect *r = &c->w->region;
	if (*count == BN_WATCH_SET_MAX || c->s->num_crcs == BN_SETTINGS_CRCS_MAX) {
		fault(c, "%.120s is one picture too many; at most %d are expected, and %d in all",
			path, BN_WATCH_SET_MAX, BN_SETTINGS_CRCS_MAX);
		return;
	}
	if (bn_picture_read(&picture, path, r->width, r->height, why) < 0) {
		fault(c, "%.120s %s", path, why);
		return;
	}
	c->s->crcs[c->s->num_crcs++] =
		bn_picture_crc(picture.pixels, (size_t)picture.width * picture.height);
	(*count)++;
	bn_picture_finish(&picture);
}

static int is_png(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);
	return len > 4 && strcmp(entry->d_name + len - 4, ".png") == 0;
}

static void add_folder(struct check *c, const char *path, unsigned *count)
{
	struct dirent **list = NULL;
	int n = scandir(path, &list, is_png, alphasort);
	if (n < 0)
		fault(c, "the folder %.120s cannot be read (%s)", path, strerror(errno));
	else if (n == 0)
		fault(c, "the folder %.120s has no .png files; at least one is expected", path);
	for (int i = 0; i < n; i++) {
		char file[BN_SETTINGS_FILE_MAX + 256];
		snprintf(file, sizeof(file), "%s/%s", path, list[i]->d_name);
		add_crc(c, file, count);
		free(list[i]);
	}
	free(list);
}

static void add_pictures(struct check *c, const char *list, unsigned *first, unsigned *count)
{
	char names[BN_SETTINGS_VALUE_MAX], path[BN_SETTINGS_FILE_MAX], *rest = names, *name;
	struct stat st;
	snprintf(names, sizeof(names), "%s", list);
	*first = c->s->num_crcs;
	*count = 0;
	while ((name = strsep(&rest, ","))) {
		name += strspn(name, " \t");
		name[strcspn(name, " \t")] = '\0';
		if (name[0] == '\0')
			continue;
		if (!resolve(c, name, path))
			fault(c, "the path of %.120s is too long", name);
		else if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
			add_folder(c, path, count);
		else
			add_crc(c, path, count);
	}
}

static void check_rules(struct check *c)
{
	struct bn_settings_watch *w = c->w;
	add_pictures(c, w->expect, &w->first_expect, &w->num_expect);
	add_pictures(c, w->absent, &w->first_absent, &w->num_absent);
	if (!w->expect[0] && !w->absent[0] && !w->change_ns && !w->age_ns)
		fault(c,
			"it has no rule; expect=, absent=, change-within= or max-age= is expected");
}

/* ---- pictures to show instead ---- */

static void check_cover(struct check *c, const struct bn_settings_output *o)
{
	struct bn_settings_watch *w = c->w;
	struct bn_picture picture;
	char why[BN_PICTURE_WHY_MAX] = "has too long a path", name[BN_SETTINGS_FILE_MAX];
	if (w->event_only && (w->fallback[0] || w->has_at))
		fault(c, "on-fault=event shows nothing; neither fallback= nor at= is expected");
	if (!w->event_only && !w->fallback[0] && !o->fallback[0])
		fault(c,
			"there is nothing to show at a fault; fallback=FILE.png here or in [output "
			"%s], or on-fault=event, is expected",
			o->config.name);
	if (w->event_only || !w->fallback[0])
		return;
	snprintf(name, sizeof(name), "%s", w->fallback);
	if (!resolve(c, name, w->fallback) ||
		bn_picture_read(&picture, w->fallback, 0, 0, why) < 0) {
		fault(c, "fallback=%.120s %s", w->fallback, why);
		return;
	}
	bool same = picture.width == w->region.width && picture.height == w->region.height;
	if (!w->has_at && same)
		w->cover = w->region;
	w->cover.width = picture.width;
	w->cover.height = picture.height;
	bn_picture_finish(&picture);
	if (!contains(&w->cover, &w->region))
		fault(c,
			"fallback=%.80s has %ux%u pixels, which at %d,%d do not cover the region "
			"(%ux%u at %d,%d); a larger picture or another at=X,Y is expected",
			name, w->cover.width, w->cover.height, w->cover.x, w->cover.y,
			w->region.width, w->region.height, w->region.x, w->region.y);
}

static void check_watch(struct check *c)
{
	const char *why;
	const struct bn_scene_layer *l = find_layer(c);
	const struct bn_settings_output *o = l ? find_output(c->s, l->output) : NULL;
	if (c->w->hook[0] && !bn_watch_hook_check(c->w->hook, &why))
		fault(c, "hook=%.100s: %s", c->w->hook, why);
	if (!o)
		return;
	strcpy(c->w->output, o->config.name);
	if (!check_region(c, l, o))
		return;
	check_rules(c);
	check_cover(c, o);
}

/* ---- of outputs ---- */

static void check_output_picture(
	struct check *c, const struct bn_settings_output *o, const char *key, char *file)
{
	char name[BN_SETTINGS_FILE_MAX], why[BN_PICTURE_WHY_MAX] = "has too long a path";
	bool known = !o->config.preferred_mode;
	struct bn_picture picture;
	if (!file[0])
		return;
	snprintf(name, sizeof(name), "%s", file);
	if (resolve(c, name, file) && bn_picture_read(&picture, file, known ? o->config.width : 0,
					      known ? o->config.height : 0, why) == 0)
		bn_picture_finish(&picture);
	else
		bn_config_error_add(c->errors, o->line, "output %s: %s=%.120s %s", o->config.name,
			key, name, why);
}

/* The stand-ins are layers too. */
static void check_room(struct check *c, const struct bn_settings_output *o)
{
	unsigned own = (o->boot[0] != '\0') + (o->fallback[0] != '\0'), layers = 0;
	for (size_t i = 0; i < c->s->scene.num_layers; i++)
		layers += strcmp(c->s->scene.layers[i].output, o->config.name) == 0;
	for (size_t i = 0; i < c->s->num_watches; i++)
		own += c->s->watches[i].fallback[0] &&
		       strcmp(c->s->watches[i].output, o->config.name) == 0;
	if (own > 0 && layers + own > BN_OUTPUT_LAYERS_MAX)
		bn_config_error_add(c->errors, o->line,
			"output %s has %u layers, with %u pictures that stand in for them; at most "
			"%d are expected",
			o->config.name, layers + own, own, BN_OUTPUT_LAYERS_MAX);
}

void bn_settings_check_watches(
	struct bn_settings *s, const char *path, struct bn_config_errors *errors)
{
	struct check c = {.s = s, .errors = errors};
	const char *slash = strrchr(path, '/');
	if (slash)
		snprintf(c.folder, sizeof(c.folder), "%.*s", (int)(slash + 1 - path), path);
	for (size_t i = 0; i < s->num_outputs; i++) {
		struct bn_settings_output *o = &s->outputs[i];
		check_output_picture(&c, o, "boot", o->boot);
		check_output_picture(&c, o, "fallback", o->fallback);
	}
	for (size_t i = 0; i < s->num_watches; i++) {
		c.w = &s->watches[i];
		check_watch(&c);
	}
	for (size_t i = 0; i < s->num_outputs; i++)
		check_room(&c, &s->outputs[i]);
}
