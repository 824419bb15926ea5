#include "scene_fit.h"

#include <stdio.h>
#include <string.h>

#include "common/log.h"

/* ---- faults ---- */

static size_t index_of(const struct bn_displays *displays, const char *output)
{
	size_t i = 0;
	while (i < displays->count && strcmp(bn_display_name(&displays->display[i]), output) != 0)
		i++;
	return i;
}

void bn_scene_fit_begin(struct bn_scene_fit *fit, const struct bn_settings *settings,
	const struct bn_displays *displays)
{
	fit->settings = settings;
	fit->displays = displays;
	for (size_t i = 0; i < displays->count; i++) {
		fit->output[i].found = 0;
		fit->output[i].count = 0;
	}
}

static uint64_t mix(uint64_t sum, const char *text)
{
	sum = sum ? sum : 1;
	for (; *text; text++)
		sum = (sum ^ (unsigned char)*text) * 0x100000001b3u;
	return sum;
}

void bn_scene_fit_fault(void *data, const struct bn_scene_layer *layer, const char *fault)
{
	struct bn_scene_fit *fit = data;
	size_t i = index_of(fit->displays, layer->output);
	if (i == fit->displays->count)
		return;
	fit->output[i].found = mix(fit->output[i].found, fault);
	if (fit->output[i].count++ == 0)
		snprintf(fit->output[i].first, sizeof(fit->output[i].first), "%s", fault);
}

bool bn_scene_fit_is_news(const struct bn_scene_fit *fit)
{
	for (size_t i = 0; i < fit->displays->count; i++) {
		if (fit->output[i].found != fit->output[i].told)
			return true;
	}
	return false;
}

void bn_scene_fit_log(void *data, const struct bn_scene_layer *layer, const char *fault)
{
	const struct bn_scene_fit *fit = data;
	size_t i = index_of(fit->displays, layer->output);
	char place[BN_SETTINGS_FILE_MAX + 16] = "";
	if (i == fit->displays->count || fit->output[i].found == fit->output[i].told)
		return;
	if (layer->line > 0)
		snprintf(place, sizeof(place), "%s:%d: ", fit->settings->file, layer->line);
	bn_error("%sthe scene: %s", place, fault);
}

static void tell(struct bn_scene_fit *fit, size_t i, struct bn_events *events)
{
	const struct bn_output_config *config = bn_output_config(fit->displays->display[i].output);
	unsigned count = fit->output[i].count;
	if (count > 0) {
		bn_warn("output %s is %ux%u now: %u layer%s there %s not as the scene has it; all "
			"others run on",
			config->name, config->width, config->height, count, count == 1 ? "" : "s",
			count == 1 ? "is" : "are");
		bn_events_note(events, BN_EVENTS_NO_VM, BN_EVENT_SCENE,
			"output %s is %ux%u: %.180s", config->name, config->width, config->height,
			fit->output[i].first);
	} else {
		bn_info("output %s is %ux%u now: the scene goes with it again", config->name,
			config->width, config->height);
		bn_events_note(events, BN_EVENTS_NO_VM, BN_EVENT_SCENE,
			"output %s is %ux%u: the scene goes with it again", config->name,
			config->width, config->height);
	}
}

void bn_scene_fit_end(struct bn_scene_fit *fit, struct bn_events *events)
{
	for (size_t i = 0; i < fit->displays->count; i++) {
		if (fit->output[i].found != fit->output[i].told)
			tell(fit, i, events);
		fit->output[i].told = fit->output[i].found;
	}
}

/* ---- planes ---- */

/* Cursor planes take nothing but cursors. */
static unsigned usable_planes(const struct bn_display *d)
{
	struct bn_plane_status planes[BN_OUTPUT_PLANES_MAX];
	unsigned n = bn_output_planes(d->output, planes, BN_OUTPUT_PLANES_MAX), usable = 0;
	for (unsigned i = 0; i < n; i++)
		usable += strcmp(planes[i].type, "cursor") != 0;
	return usable;
}

struct sum {
	unsigned kept, need;
	int line;       /* of the first VM that keeps some */
	char names[96]; /* "a: 2, b: 1" */
};

/* What a VM's layers have a right to there: planes=, and one for each safety layer. */
static void add_vm(struct sum *sum, const struct bn_settings_vm *vm, const struct bn_scene *scene,
	const char *output)
{
	unsigned layers = 0, safety = 0, right;
	size_t len = strlen(sum->names);
	for (size_t i = 0; i < scene->num_layers; i++) {
		const struct bn_scene_layer *l = &scene->layers[i];
		if (strcmp(l->output, output) != 0 || strcmp(l->vm, vm->name) != 0)
			continue;
		layers++;
		safety += l->place.role == BN_ROLE_SAFETY;
	}
	if (layers == 0)
		return;
	right = vm->planes > safety ? vm->planes : safety;
	sum->need += right;
	if (vm->planes == 0)
		return;
	sum->kept += vm->planes;
	sum->line = sum->line ? sum->line : vm->line;
	snprintf(sum->names + len, sizeof(sum->names) - len, "%s%s: %u", len ? ", " : "", vm->name,
		vm->planes);
}

void bn_scene_fit_planes(struct bn_scene_fit *fit, const struct bn_settings *settings,
	const struct bn_displays *displays, const struct bn_scene *scene)
{
	for (size_t i = 0; i < displays->count; i++) {
		const char *name = bn_display_name(&displays->display[i]);
		unsigned have = usable_planes(&displays->display[i]);
		struct sum sum = {0};
		for (size_t v = 0; v < settings->num_vms; v++)
			add_vm(&sum, &settings->vms[v], scene, name);
		if (have == 0 || sum.kept == 0 || sum.need <= have) {
			fit->output[i].need = 0;
			continue;
		}
		if (fit->output[i].need == sum.need && fit->output[i].have == have)
			continue;
		fit->output[i].need = sum.need;
		fit->output[i].have = have;
		bn_warn("%s:%d: output %s has %u planes for layers, and %u are kept there for VMs "
			"(planes= %s) and safety layers: who comes last is composed; a smaller "
			"planes=, or fewer VMs on that output, is expected",
			settings->file, sum.line, name, have, sum.need, sum.names);
	}
}
