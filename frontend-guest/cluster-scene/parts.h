/* SPDX-License-Identifier: MIT */
/*
 * The parts of the cluster's picture. Each has what never changes (drawn once) and what each
 * frame shows.
 */
#ifndef BN_CLUSTER_PARTS_H
#define BN_CLUSTER_PARTS_H

#include "canvas.h"
#include "vehicle.h"

void bn_dials_draw_faces(struct bn_canvas *canvas);
void bn_dials_draw(struct bn_canvas *canvas, const struct bn_vehicle *vehicle);

/* The view ahead, in the middle: lanes, the car in front, the speed limit. */
void bn_road_draw_ground(struct bn_canvas *canvas);
void bn_road_draw(struct bn_canvas *canvas, const struct bn_vehicle *vehicle);

/* The row of warning lamps; unlit ones are just visible. */
void bn_telltales_draw_unlit(struct bn_canvas *canvas);
void bn_telltales_draw(struct bn_canvas *canvas, unsigned lit);

#endif
