/* SPDX-License-Identifier: MIT */
/*
 * The cluster's picture. What never changes is drawn once into a texture; a frame is that texture
 * and a few hundred small shapes, so that a CPU can draw it at 60 Hz.
 */
#ifndef BN_CLUSTER_SCENE_H
#define BN_CLUSTER_SCENE_H

#include "canvas.h"
#include "gl.h"
#include "vehicle.h"

struct bn_scene {
	struct bn_canvas canvas;
	struct bn_gl_target still;
	GLuint copy_program, corners;
};

/* Needs a current context. Leaves nothing behind when it returns false. */
bool bn_scene_init(struct bn_scene *scene, int width, int height);
void bn_scene_finish(struct bn_scene *scene);

/* Draws one frame into the framebuffer that is bound. */
void bn_scene_draw(struct bn_scene *scene, const struct bn_vehicle *vehicle);

/*
 * Marks the picture's first pixels with a colour that follows from number, and tells whether the
 * mark that was drawn for number is there. A GPU context that was lost draws nothing and reports
 * no error: this is how it is noticed.
 */
void bn_scene_mark(const struct bn_scene *scene, unsigned number);
bool bn_scene_has_mark(const struct bn_scene *scene, unsigned number);

#endif
