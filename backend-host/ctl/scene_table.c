#include "scene_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "json.h"
#include "text.h"

/* Coordinates may be negative, which bn_json_count() does not know. */
static long integer(struct json_object *o, const char *key)
{
	double n = bn_json_number(o, key);
	return isfinite(n) && fabs(n) < 1e9 ? (long)n : 0;
}

static struct json_object *item(struct json_object *list, unsigned i)
{
	return json_object_array_get_idx(list, i);
}

/* Of the names behind that key, so that none is cut; least is that of the heading and a usual name. */
static int name_width(struct json_object *list, unsigned n, const char *key, int least)
{
	for (unsigned i = 0; i < n; i++) {
		size_t len = strlen(bn_json_text(item(list, i), key));
		if (len > (size_t)least)
			least = len < 32 ? (int)len : 32;
	}
	return least;
}

/* Prints by way of a buffer, because names and reasons may hold anything. */
static void print_clean(
	FILE *out, struct json_object *answer, void (*print)(FILE *out, struct json_object *answer))
{
	char *text = NULL;
	size_t size;
	FILE *memory = open_memstream(&text, &size);
	if (!memory)
		return;
	print(memory, answer);
	if (fclose(memory) == 0 && text)
		bn_text_print(out, text);
	free(text);
}

/* ---- outputs ---- */

static const char *state_of(struct json_object *o)
{
	if (!bn_json_bool(o, "enabled"))
		return "off";
	if (bn_json_bool(o, "waiting"))
		return "waiting";
	if (!bn_json_bool(o, "connected"))
		return "unplugged";
	return bn_json_bool(o, "active") ? "active" : "idle";
}

static void print_output(FILE *out, struct json_object *o, int width)
{
	char mode[64], planes[32];
	char flips[BN_TEXT_NUMBER], late[BN_TEXT_NUMBER], composed[BN_TEXT_NUMBER];
	char copied[BN_TEXT_NUMBER], p50[BN_TEXT_NUMBER], p99[BN_TEXT_NUMBER];
	const char *connector = bn_json_text(o, "connector");
	if (integer(o, "width"))
		snprintf(mode, sizeof(mode), "%ldx%ld@%.4g", integer(o, "width"),
			integer(o, "height"), bn_json_number(o, "refresh_hz"));
	else
		strcpy(mode, "-");
	snprintf(planes, sizeof(planes), "%ld/%ld", integer(o, "planes_used"),
		integer(o, "planes"));
	if (integer(o, "planes") == 0)
		strcpy(planes, "-");
	fprintf(out, "%-*.32s %-12.12s %-14.14s %-9s %6s %6s %5s %8s %6s %6s %6s\n", width,
		bn_json_text(o, "name"), connector[0] ? connector : bn_json_text(o, "kind"), mode,
		state_of(o), planes,
		bn_text_number(flips, bn_json_number(o, "flips"), 6, 0),
		bn_text_number(late, bn_json_number(o, "late"), 5, 0),
		bn_text_number(composed, bn_json_number(o, "composed"), 8, 0),
		bn_text_number(copied, bn_json_number(o, "composed_bytes") / (1 << 20), 6, 1),
		bn_text_number(p50, bn_json_number(o, "latency_p50_ms"), 6, 2),
		bn_text_number(p99, bn_json_number(o, "latency_p99_ms"), 6, 2));
}

static void print_outputs(FILE *out, struct json_object *answer)
{
	unsigned n;
	struct json_object *outputs = bn_json_array(answer, "outputs", &n);
	int width = name_width(outputs, n, "name", 12);
	fprintf(out, "%-*s %-12s %-14s %-9s %6s %6s %5s %8s %6s %6s %6s\n", width, "OUTPUT",
		"CONNECTOR", "MODE", "STATE", "PLANES", "FLIPS", "LATE", "COMPOSED", "MiB", "p50 ms", "p99 ms");
	for (unsigned i = 0; i < n; i++)
		print_output(out, item(outputs, i), width);
}

void bn_ctl_print_outputs(FILE *out, struct json_object *answer)
{
	print_clean(out, answer, print_outputs);
}

/* ---- layers ---- */

/* "cockpit", or "cockpit.1" of another screen than the first. */
static const char *source_of(struct json_object *l, char *buffer, size_t size)
{
	long scanout = integer(l, "scanout");
	if (scanout)
		snprintf(buffer, size, "%.40s.%ld", bn_json_text(l, "vm"), scanout);
	else
		snprintf(buffer, size, "%.40s", bn_json_text(l, "vm"));
	return buffer;
}

static const char *where_of(struct json_object *l, char *buffer, size_t size)
{
	if (strcmp(bn_json_text(l, "shown"), "plane") != 0)
		return bn_json_text(l, "shown");
	if (integer(l, "plane") == 0)
		return "plane";
	snprintf(buffer, size, "plane %ld", integer(l, "plane"));
	return buffer;
}

/* ---- planes ---- */

static void print_plane(FILE *out, struct json_object *p)
{
	const char *layer = bn_json_text(p, "layer");
	fprintf(out, "  plane %-6ld %-8.8s  %s\n", integer(p, "id"), bn_json_text(p, "type"),
		layer[0] ? layer : "-");
}

static void print_why(FILE *out, struct json_object *l)
{
	char where[32];
	const char *why = bn_json_text(l, "why");
	fprintf(out, "  layer %-24.24s %-*s%s\n", bn_json_text(l, "name"), why[0] ? 12 : 0,
		where_of(l, where, sizeof(where)), why);
}

static void print_planes_of(FILE *out, struct json_object *o)
{
	unsigned planes, layers, used = 0;
	struct json_object *plane = bn_json_array(o, "planes", &planes);
	struct json_object *layer = bn_json_array(o, "layers", &layers);
	for (unsigned i = 0; i < planes; i++)
		used += bn_json_text(item(plane, i), "layer")[0] != '\0';
	fprintf(out, "%s (%s): ", bn_json_text(o, "name"), bn_json_text(o, "kind"));
	if (planes)
		fprintf(out, "%u of %u planes used\n", used, planes);
	else
		fputs("no planes\n", out);
	for (unsigned i = 0; i < planes; i++)
		print_plane(out, item(plane, i));
	for (unsigned i = layers; i-- > 0;)
		print_why(out, item(layer, i));
}

static void print_planes(FILE *out, struct json_object *answer)
{
	unsigned n;
	struct json_object *outputs = bn_json_array(answer, "outputs", &n);
	for (unsigned i = 0; i < n; i++)
		print_planes_of(out, item(outputs, i));
}

void bn_ctl_print_planes(FILE *out, struct json_object *answer)
{
	print_clean(out, answer, print_planes);
}

/* ---- the scene ---- */

static const char *size_of(struct json_object *l, char *buffer, size_t size)
{
	struct json_object *at = bn_json_member(l, "at");
	/* As it is now, else as it is to be. */
	struct json_object *from = at ? at : l;
	if (integer(from, "width") == 0)
		return "-";
	snprintf(buffer, size, "%ldx%ld", integer(from, "width"), integer(from, "height"));
	return buffer;
}

static void print_rect(FILE *out, const char *what, struct json_object *r)
{
	fprintf(out, "  %s %ld,%ld,%ld,%ld", what, integer(r, "x"), integer(r, "y"),
		integer(r, "width"), integer(r, "height"));
}

/* What is not as a layer is by default. */
static void print_more(FILE *out, struct json_object *l)
{
	unsigned n;
	struct json_object *crop = bn_json_member(l, "crop");
	struct json_object *openings = bn_json_array(l, "openings", &n);
	const char *reflect = bn_json_text(l, "reflect");
	if (crop)
		print_rect(out, "crop", crop);
	if (integer(l, "width") && bn_json_member(l, "at"))
		fprintf(out, "  scaled");
	if (integer(l, "rotate"))
		fprintf(out, "  rotate %ld", integer(l, "rotate"));
	if (reflect[0] && strcmp(reflect, "none") != 0)
		fprintf(out, "  reflect %.8s", reflect);
	if (bn_json_number(l, "alpha") < 100)
		fprintf(out, "  alpha %.0f", bn_json_number(l, "alpha"));
	if (bn_json_bool(l, "blend"))
		fputs("  blend", out);
	if (strcmp(bn_json_text(l, "role"), "safety") == 0)
		fputs("  safety", out);
	for (unsigned i = 0; i < n; i++)
		print_rect(out, "opening", item(openings, i));
	if (bn_json_bool(l, "hidden"))
		fputs("  hidden", out);
}

static void print_layer(FILE *out, struct json_object *l, int width)
{
	char source[64], at[32], size[32], where[32], *more = NULL;
	size_t more_size;
	FILE *memory = open_memstream(&more, &more_size);
	snprintf(at, sizeof(at), "%ld,%ld", integer(l, "x"), integer(l, "y"));
	fprintf(out, "%-*.32s %-20.32s %-20.20s %-12s %-10s %6ld  %s\n", width,
		bn_json_text(l, "output"), bn_json_text(l, "name"),
		source_of(l, source, sizeof(source)), at, size_of(l, size, sizeof(size)),
		integer(l, "z"), where_of(l, where, sizeof(where)));
	if (!memory)
		return;
	print_more(memory, l);
	if (fclose(memory) == 0 && more && more[0])
		fprintf(out, "%-*s%s\n", width - 1, "", more);
	free(more);
}

static void print_scene(FILE *out, struct json_object *answer)
{
	unsigned n, first = 0;
	struct json_object *layers = bn_json_array(answer, "layers", &n);
	int width = name_width(layers, n, "output", 15);
	fprintf(out, "%-*s %-20s %-20s %-12s %-10s %6s  %s\n", width, "OUTPUT",
		"LAYER (top first)", "SHOWS", "AT", "SIZE", "Z", "ON");
	/* Lowest first as they come, output by output. */
	while (first < n) {
		const char *output = bn_json_text(item(layers, first), "output");
		unsigned end = first;
		while (end < n && strcmp(bn_json_text(item(layers, end), "output"), output) == 0)
			end++;
		for (unsigned i = end; i-- > first;)
			print_layer(out, item(layers, i), width);
		first = end;
	}
}

void bn_ctl_print_scene(FILE *out, struct json_object *answer)
{
	print_clean(out, answer, print_scene);
}
