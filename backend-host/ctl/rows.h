/* The table of top: which columns there are at a given width, and a VM's row in them. Pure. */
#ifndef BN_CTL_ROWS_H
#define BN_CTL_ROWS_H

#include "grid.h"
#include "view.h"

struct bn_rows {
	unsigned width[BN_COLUMNS]; /* 0: not shown */
};

/* As many columns as fit into `cols`, the important ones first; what is left over makes names, words,
 * bars and sparklines longer. */
void bn_rows_fit(struct bn_rows *rows, unsigned cols, const struct bn_view *view);
/* The column's heading at that width. */
const char *bn_rows_title(enum bn_column column, unsigned width);
void bn_rows_head(
	const struct bn_rows *rows, struct bn_grid *g, unsigned row, enum bn_column sorted);
void bn_rows_vm(const struct bn_rows *rows, struct bn_grid *g, unsigned row,
	const struct bn_view_vm *vm, bool selected);

#endif
