/* The page of one VM: why frames were missed, the bound and its terms, waits, memory, copies, and
 * the frame times as bars. Pure. */
#ifndef BN_CTL_DETAIL_H
#define BN_CTL_DETAIL_H

#include "grid.h"
#include "view.h"

struct json_object;

/* Draws rows first … first + rows - 1. admission: of an "admit" answer, or NULL when there is none
 * yet. */
void bn_detail_draw(struct bn_grid *g, unsigned first, unsigned rows, const struct bn_view_vm *vm,
	struct json_object *admission);

#endif
