/* Whether the scene that runs goes with the displays as they are: their modes, which may be the displays' own, and the
 * planes that their hardware has. What does not is said once, and again when it is another. */
#ifndef BN_DAEMON_SCENE_FIT_H
#define BN_DAEMON_SCENE_FIT_H

#include "display.h"
#include "events.h"
#include "settings.h"

/* All zero: nothing was said so far. */
struct bn_scene_fit {
	const struct bn_settings *settings;
	const struct bn_displays *displays;
	struct {
		uint64_t found,
			told; /* of the faults, 0: none; those of the check under way, and those last said */
		unsigned count;
		char first[BN_EVENTS_TEXT_MAX];
		unsigned need, have; /* of planes, as said last */
	} output[BN_SETTINGS_OUTPUTS_MAX];
};

/* A check of the scene: begin; a check with bn_scene_fit_fault() as its report and the fit as its data, which says nothing;
 * if that found others than were said, the same with bn_scene_fit_log(), which says them, with the file and its line where
 * there is one; end, which makes an event of what is new of each display. events may be NULL. */
void bn_scene_fit_begin(struct bn_scene_fit *fit, const struct bn_settings *settings,
	const struct bn_displays *displays);
void bn_scene_fit_fault(void *fit, const struct bn_scene_layer *layer, const char *fault);
bool bn_scene_fit_is_news(const struct bn_scene_fit *fit);
void bn_scene_fit_log(void *fit, const struct bn_scene_layer *layer, const char *fault);
void bn_scene_fit_end(struct bn_scene_fit *fit, struct bn_events *events);

/* Whether each display that has planes has as many as planes= keep for the VMs with layers there; the log says where not. */
void bn_scene_fit_planes(struct bn_scene_fit *fit, const struct bn_settings *settings,
	const struct bn_displays *displays, const struct bn_scene *scene);

#endif
