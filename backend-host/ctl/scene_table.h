/* Displays, planes and the scene for people: what the service answered, as text of at most 100
 * columns as long as names are not long (they and reasons are never cut). */
#ifndef BN_CTL_SCENE_TABLE_H
#define BN_CTL_SCENE_TABLE_H

#include <stdio.h>

struct json_object;

/* The answers of "outputs", "planes" and "scene". */
void bn_ctl_print_outputs(FILE *out, struct json_object *answer);
void bn_ctl_print_planes(FILE *out, struct json_object *answer);
void bn_ctl_print_scene(FILE *out, struct json_object *answer);

#endif
