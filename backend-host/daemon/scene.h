/* The stage: the scene that runs, on the outputs that there are. It is changed as a whole or not at
 * all. One per service, on the loop's thread. */
#ifndef BN_DAEMON_SCENE_H
#define BN_DAEMON_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compositor/scene.h"
#include "display.h"
#include "settings.h"

struct bn_events;
struct bn_frames;
struct bn_stage; /* opaque */

typedef void (*bn_stage_report)(void *data, const struct bn_scene_layer *layer, const char *fault);

/* Shows the settings' scene. frames[i] is what VM i of the settings shows. What of the scene does not
 * go with the displays as they turned out (a mode that is the connector's) is logged and shown as
 * far as it goes. All arguments must outlive it. 0 or -errno, logged. */
int bn_stage_create(struct bn_stage **out, const struct bn_settings *settings,
	struct bn_displays *displays, struct bn_frames *const *frames);
/* Its layers go; each scanout keeps its own. NULL is allowed. */
void bn_stage_destroy(struct bn_stage *stage);

/* Somebody who has a word in the change of scenes, and things to make ready for it. */
struct bn_stage_guard {
	/* A scene without other faults is about to be taken over: the number of faults that it has all the
	 * same, reported. */
	unsigned (*prepare)(void *data, const struct bn_scene *scene, bn_stage_report report,
		void *report_data);
	/* Follows each prepare(), when the new scene's layers are there, or everything is as it was. */
	void (*done)(void *data, bool taken);
};
/* NULL: nobody. */
void bn_stage_set_guard(
	struct bn_stage *stage, const struct bn_stage_guard *guard, void *data);

/* What is shown; valid until the next change. */
const struct bn_scene *bn_stage_scene(const struct bn_stage *stage);
/* Takes over another scene: with the next vblank of each output all of it is shown. 0; -EINVAL when
 * bn_settings_scene_check() finds faults, which are reported, or -ENOSPC or -ENOMEM: then everything is as it was. */
int bn_stage_set(
	struct bn_stage *stage, const struct bn_scene *scene, bn_stage_report report, void *data);
/* The faults that the scene would have, if that display had another mode, beyond those that it has;
 * they are reported. */
unsigned bn_stage_check_mode(struct bn_stage *stage, const struct bn_display *display,
	uint32_t width, uint32_t height, bn_stage_report report, void *data);

/* A display has another mode, or is there for the first time. What of the scene does not go with it is logged and an
 * event (events may be NULL), once until it changes, and shown as far as it goes; that it goes with it again is, too. */
void bn_stage_displays_changed(struct bn_stage *stage, struct bn_events *events);

/* The layer that shows the scene's layer number i, and its display. */
struct bn_layer *bn_stage_layer(const struct bn_stage *stage, size_t i);
struct bn_display *bn_stage_display(const struct bn_stage *stage, size_t i);
/* The number of the layer of that name; false: there is none. */
bool bn_stage_find(const struct bn_stage *stage, const char *name, size_t *i);
/* Whether layer a lies above layer b of the same output. */
bool bn_stage_above(const struct bn_stage *stage, size_t a, size_t b);

/* Is told after each change, when the layers of before are gone. NULL: nobody. */
void bn_stage_follow(struct bn_stage *stage, void (*changed)(void *data), void *data);

#endif
