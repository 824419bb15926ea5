/* What is to be shown: layers on outputs, as a value that is checked as a whole before any of it is shown. Pure. */
#ifndef BN_COMPOSITOR_SCENE_H
#define BN_COMPOSITOR_SCENE_H

#include <stddef.h>

#include "compositor/output.h"

#define BN_SCENE_LAYERS_MAX 128
#define BN_SCENE_OPENINGS_MAX 4
#define BN_SCENE_NAME_MAX 48

struct bn_scene_layer {
	char name[BN_SCENE_NAME_MAX];
	char output[BN_OUTPUT_NAME_MAX];
	char vm[BN_OUTPUT_NAME_MAX];
	unsigned scanout;
	struct bn_place place;
	/* Parts of a SAFETY layer, in output pixels, that others may cover. */
	struct bn_rect openings[BN_SCENE_OPENINGS_MAX];
	unsigned num_openings;
	int line; /* of the file; 0: made at run time or implied by scanout.N= */
};

struct bn_scene {
	struct bn_scene_layer layers[BN_SCENE_LAYERS_MAX];
	size_t num_layers;
};

/* What a scene is checked against. */
struct bn_scene_world {
	const struct bn_output_config *const *outputs;
	size_t num_outputs;
	/* Whether there is such a VM, and how many scanouts it has. */
	bool (*vm_scanouts)(void *data, const char *vm, unsigned *scanouts);
	void *data;
};

/* Tells everything that is wrong with the scene, each as one line for a person that names the layer, what is wrong and what is
 * expected: unknown output, VM or scanout, a name used twice, more layers on an output than BN_OUTPUT_LAYERS_MAX,
 * empty or overflowing rectangles, a layer that lies wholly outside of its output, scaling beyond 1/16 to 16, a
 * NORMAL layer that covers a SAFETY one outside of its openings, SAFETY layers that overlap, a SAFETY layer that is
 * not wholly inside its output, is hidden or not opaque. The size of a layer that is not given is that of its crop, else of
 * its output. Returns the number of faults; report may be NULL. */
unsigned bn_scene_check(const struct bn_scene *scene, const struct bn_scene_world *world,
	void (*report)(void *data, const struct bn_scene_layer *layer, const char *fault), void *data);

struct bn_scene_layer *bn_scene_find(struct bn_scene *scene, const char *name);

#endif
