/* What a "status" answer means for the screen: a row's values, and what top remembers between two
 * answers. Pure. Fields that are missing or make no sense are NAN, shown as '-'. */
#ifndef BN_CTL_VIEW_H
#define BN_CTL_VIEW_H

#include <stdbool.h>
#include <stdint.h>

struct json_object;

#define BN_VIEW_VMS_MAX 64u
#define BN_VIEW_RECENT_MAX 60u
#define BN_VIEW_NAME_MAX 64u

/* Frame times by how they lie to the period; the last BN_VIEW_BINS_MISSED are misses. */
#define BN_VIEW_BINS 7u
#define BN_VIEW_BINS_MISSED 2u
/* Upper end of each bin in periods; the last has none. */
extern const double bn_view_bin_end[BN_VIEW_BINS - 1];

enum bn_column {
	BN_COL_NAME,
	BN_COL_CLASS,
	BN_COL_STATE,
	BN_COL_FPS,
	BN_COL_TIMES,
	BN_COL_P50,
	BN_COL_P99,
	BN_COL_MAX,
	BN_COL_BUDGET,
	BN_COL_GPU,
	BN_COL_WAIT,
	BN_COL_MISSES,
	BN_COL_FAULTS,
	BN_COLUMNS,
};

/* One VM between two answers. */
struct bn_view_past {
	char name[BN_VIEW_NAME_MAX + 1];
	bool known;
	double time_ms, gpu_ms, frames, misses;
	uint64_t bins[BN_VIEW_BINS], binned; /* frame times since top looks */
};

struct bn_view_vm {
	struct json_object *vm, *scheduler, *frame; /* borrowed from the answer; may be NULL */
	char name[BN_VIEW_NAME_MAX + 1];
	const char *class_name; /* borrowed */
	const char *state;      /* what matters most: quarantined, held, demoted, else the VM's */
	bool bad;               /* … and it is one that asks for a person */
	double number[BN_COLUMNS]; /* by which rows are sorted; NAN for names */
	double period_ms, budget_ms;
	double used; /* GPU time a period as part of the budget; NAN without one */
	double longest_run;
	double quarantines;
	double fresh_misses; /* since the answer before; NAN for the first */
	double recent_ms[BN_VIEW_RECENT_MAX];
	unsigned recent;
	const struct bn_view_past *past;
};

struct bn_view {
	struct bn_view_vm vm[BN_VIEW_VMS_MAX];
	unsigned count;
	struct bn_view_past past[BN_VIEW_VMS_MAX];
};

/* Reads the status, which must stay as long as the view is used. *view is all zero before the first
 * one. */
void bn_view_read(struct bn_view *view, struct json_object *status);
/* The histograms begin anew. */
void bn_view_forget(struct bn_view *view);
/* Puts the VMs' numbers into order[view->count], sorted by that column: names upwards, numbers
 * downwards, missing ones last; reverse turns that round (but for missing ones). Equal rows stay as
 * they are in the configuration. */
void bn_view_sort(
	const struct bn_view *view, enum bn_column column, bool reverse, unsigned char *order);

#endif
