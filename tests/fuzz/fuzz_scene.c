/* Scenes as binnaclectl loads them. Input: the text, in a world of two outputs and two VMs. Accepted: read, and in order as a whole. */
#include "fuzz.h"

#include <errno.h>
#include <string.h>

#include "settings.h"

bool bn_fuzz_accepted;

static struct bn_settings settings;
static struct bn_scene scene;

static void make_world(void)
{
	static const char *const names[] = {"left", "right"}, *const vms[] = {"a", "b"};
	settings = (struct bn_settings){.num_outputs = 2, .num_vms = 2};
	for (unsigned i = 0; i < 2; i++) {
		struct bn_output_config *o = &settings.outputs[i].config;
		strcpy(o->name, names[i]);
		o->width = 64;
		o->height = 48;
		strcpy(settings.vms[i].name, vms[i]);
		strcpy(settings.vms[i].scanout[0], names[i]);
		settings.vms[i].num_scanouts = 1;
	}
}

static void report(void *data, const struct bn_scene_layer *layer, const char *fault)
{
	BN_FUZZ_REQUIRE(layer >= scene.layers && layer < scene.layers + scene.num_layers);
	BN_FUZZ_REQUIRE(fault[0] && strlen(fault) < 256 && !strpbrk(fault, "\n\r\033"));
	++*(unsigned *)data;
}

static void require_safe(const struct bn_scene_layer *l)
{
	BN_FUZZ_REQUIRE(memchr(l->name, '\0', sizeof(l->name)) && l->name[0]);
	BN_FUZZ_REQUIRE(memchr(l->output, '\0', sizeof(l->output)));
	BN_FUZZ_REQUIRE(memchr(l->vm, '\0', sizeof(l->vm)));
	BN_FUZZ_REQUIRE(l->scanout < BN_LINK_SCANOUTS);
	BN_FUZZ_REQUIRE(l->num_openings <= BN_SCENE_OPENINGS_MAX);
	BN_FUZZ_REQUIRE(l->place.role == BN_ROLE_NORMAL || l->place.role == BN_ROLE_SAFETY);
}

/* What an accepted scene promises of its safety layers. */
static void require_promises(const struct bn_scene_layer *l)
{
	BN_FUZZ_REQUIRE(strcmp(l->output, "left") == 0 || strcmp(l->output, "right") == 0);
	if (l->place.role != BN_ROLE_SAFETY)
		return;
	const struct bn_rect at = bn_place_rect(&l->place, 64, 48);
	BN_FUZZ_REQUIRE(!l->place.hidden && !l->place.blend && l->place.alpha == BN_ALPHA_OPAQUE);
	BN_FUZZ_REQUIRE(at.x >= 0 && at.y >= 0 && (uint32_t)at.x + at.width <= 64 &&
			(uint32_t)at.y + at.height <= 48);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bn_config_errors errors = {0};
	const struct bn_output_config *outputs[2];
	unsigned faults = 0, said = 0;
	make_world();
	for (unsigned i = 0; i < 2; i++)
		outputs[i] = &settings.outputs[i].config;
	int ret = bn_settings_scene_text(&settings, &scene, (const char *)data, size, &errors);
	BN_FUZZ_REQUIRE(ret == 0 || ret == -EINVAL);
	BN_FUZZ_REQUIRE((ret == 0) == (errors.count == 0));
	bn_config_errors_finish(&errors);
	BN_FUZZ_REQUIRE(scene.num_layers <= BN_SCENE_LAYERS_MAX);
	for (size_t i = 0; i < scene.num_layers; i++)
		require_safe(&scene.layers[i]);
	if (ret == 0) {
		faults = bn_settings_scene_check(&settings, &scene, outputs, 2, report, &said);
		BN_FUZZ_REQUIRE(faults == said);
	}
	bn_fuzz_accepted = ret == 0 && faults == 0;
	for (size_t i = 0; bn_fuzz_accepted && i < scene.num_layers; i++)
		require_promises(&scene.layers[i]);
	return 0;
}
