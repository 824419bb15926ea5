#include "rows.h"

#include <math.h>
#include <string.h>

#include "text.h"

/* Sizes: at least, at most. importance: which go first when the terminal is narrow (1 stays). With
 * the mark of the selected row the smallest sizes make 80 columns. */
static const struct {
	const char *title, *wide; /* wide where it fits */
	unsigned min, max, importance;
	bool right;
} columns[BN_COLUMNS] = {
	[BN_COL_NAME] = {"VM", "VM", 10, 32, 1, false},
	[BN_COL_CLASS] = {"CLAS", "CLASS", 4, 11, 9, false},
	[BN_COL_STATE] = {"STAT", "STATE", 4, 11, 4, false},
	[BN_COL_FPS] = {"FPS", "FPS", 4, 5, 3, true},
	[BN_COL_TIMES] = {"FRAMES", "FRAME TIMES", 8, BN_VIEW_RECENT_MAX, 6, false},
	[BN_COL_P50] = {"P50", "P50 ms", 5, 6, 10, true},
	[BN_COL_P99] = {"P99", "P99 ms", 5, 6, 2, true},
	[BN_COL_MAX] = {"MAX", "MAX ms", 5, 6, 11, true},
	[BN_COL_BUDGET] = {"BUDGET", "BUDGET", 6, 16, 7, false},
	[BN_COL_GPU] = {"GPU", "GPU %", 3, 5, 5, true},
	[BN_COL_WAIT] = {"WAIT", "WAIT ms", 4, 7, 8, true},
	[BN_COL_MISSES] = {"MISSES", "MISSES", 6, 9, 2, true},
	[BN_COL_FAULTS] = {"FLT", "FAULTS", 3, 6, 12, true},
};

#define IMPORTANCE_LAST 12u

const char *bn_rows_title(enum bn_column column, unsigned width)
{
	return strlen(columns[column].wide) <= width ? columns[column].wide : columns[column].title;
}

static unsigned length_of(const char *text)
{
	unsigned n = 0;
	while (bn_text_next(&text))
		n++;
	return n;
}

/* More than the longest name is of no use to the first column. */
static unsigned longest_name(const struct bn_view *view)
{
	unsigned longest = columns[BN_COL_NAME].min;
	for (unsigned i = 0; i < view->count; i++) {
		unsigned n = length_of(view->vm[i].name);
		longest = n > longest ? n : longest;
	}
	return longest < columns[BN_COL_NAME].max ? longest : columns[BN_COL_NAME].max;
}

/* Half a longer word is no use; half a longer sparkline or name is. */
static unsigned grow(struct bn_rows *rows, enum bn_column column, unsigned to, unsigned left)
{
	unsigned *width = &rows->width[column];
	if (*width == 0 || *width >= to)
		return left;
	unsigned more = to - *width;
	if (more > left)
		more = column == BN_COL_NAME || column == BN_COL_TIMES ? left : 0;
	*width += more;
	return left - more;
}

void bn_rows_fit(struct bn_rows *rows, unsigned cols, const struct bn_view *view)
{
	/* Words first, then the pictures. */
	static const struct {
		enum bn_column column;
		unsigned to;
	} stages[] = {
		{BN_COL_GPU, 5},
		{BN_COL_FPS, 5},
		{BN_COL_STATE, 8},
		{BN_COL_CLASS, 6},
		{BN_COL_TIMES, 24},
		{BN_COL_BUDGET, 12},
		{BN_COL_STATE, 11},
		{BN_COL_CLASS, 11},
		{BN_COL_WAIT, 7},
		{BN_COL_MISSES, 9},
		{BN_COL_FAULTS, 6},
		{BN_COL_P99, 6},
		{BN_COL_P50, 6},
		{BN_COL_MAX, 6},
		{BN_COL_TIMES, BN_VIEW_RECENT_MAX},
		{BN_COL_BUDGET, 16},
	};
	unsigned left = cols;
	*rows = (struct bn_rows){0};
	for (unsigned importance = 1; importance <= IMPORTANCE_LAST; importance++) {
		for (unsigned i = 0; i < BN_COLUMNS; i++) {
			if (columns[i].importance != importance || columns[i].min + 1 > left)
				continue;
			rows->width[i] = columns[i].min;
			left -= columns[i].min + 1;
		}
	}
	left = grow(rows, BN_COL_NAME, longest_name(view), left);
	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++)
		left = grow(rows, stages[i].column, stages[i].to, left);
}

/* Where a value goes. */
struct place {
	struct bn_grid *g;
	unsigned row, col, width;
	bool right;
};

static void put(const struct place *p, uint8_t style, const char *text)
{
	if (p->right)
		bn_grid_right(p->g, p->row, p->col, p->width, style, text);
	else
		bn_grid_text(p->g, p->row, p->col, p->width, style, text);
}

void bn_rows_head(
	const struct bn_rows *rows, struct bn_grid *g, unsigned row, enum bn_column sorted)
{
	struct place p = {.g = g, .row = row, .col = 1};
	for (unsigned i = 0; i < BN_COLUMNS; i++) {
		p.width = rows->width[i];
		p.right = columns[i].right;
		if (!p.width)
			continue;
		put(&p, BN_STYLE_HEAD | (i == (unsigned)sorted ? BN_STYLE_SELECTED : 0),
			bn_rows_title(i, p.width));
		p.col += p.width + 1;
	}
}

/* Four letters for the words that we know. */
static const char *word(const char *text, unsigned width)
{
	static const char *const words[][2] = {{"safety", "safe"}, {"interactive", "intr"},
		{"background", "back"}, {"running", "run"}, {"waiting", "wait"},
		{"connected", "conn"}, {"restarting", "rest"}, {"quarantined", "QUAR"},
		{"demoted", "demo"}};
	if (!text[0])
		return "-";
	for (size_t i = 0; length_of(text) > width && i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(text, words[i][0]) == 0)
			return words[i][1];
	}
	return text;
}

/* The newest frames, the last of them at the right. */
static void put_times(const struct place *p, const struct bn_view_vm *vm, uint8_t selected)
{
	unsigned n = vm->recent < p->width ? vm->recent : p->width;
	for (unsigned i = 0; i < n; i++) {
		double ms = vm->recent_ms[vm->recent - n + i];
		bool missed = bn_text_missed(ms, vm->period_ms);
		bn_grid_cell(p->g, p->row, p->col + p->width - n + i,
			bn_text_spark(ms, vm->period_ms, p->g->ascii),
			selected | (missed ? BN_STYLE_BAD : BN_STYLE_PLAIN));
	}
}

static uint8_t budget_style(const struct bn_view_vm *vm)
{
	/* Time that nobody else wants is free to take, but not what a safety VM relies on. */
	if (strcmp(vm->class_name, "safety") != 0)
		return BN_STYLE_PLAIN;
	return vm->used > 1.0 ? BN_STYLE_BAD : vm->used > 0.9 ? BN_STYLE_WARN : BN_STYLE_GOOD;
}

static void put_budget(const struct place *p, const struct bn_view_vm *vm, uint8_t selected)
{
	char text[BN_TEXT_NUMBER + 1];
	uint8_t style = selected | budget_style(vm);
	unsigned bar = p->width >= 11 ? p->width - 5 : p->width;
	if (isnan(vm->used)) {
		put(p, selected, "-");
		return;
	}
	for (unsigned i = 0; i < bar; i++)
		bn_grid_cell(p->g, p->row, p->col + i, bn_text_bar(vm->used, i, bar, p->g->ascii),
			style);
	if (bar == p->width)
		return;
	strcat(strcpy(text, bn_text_number((char[BN_TEXT_NUMBER]){0}, vm->used * 100, 3, 0)), "%");
	bn_grid_right(p->g, p->row, p->col + bar + 1, 4, style, text);
}

/* "misses/longest run"; the run where there is room for it. */
static void put_misses(const struct place *p, const struct bn_view_vm *vm, uint8_t selected)
{
	char text[2 * BN_TEXT_NUMBER], run[BN_TEXT_NUMBER];
	double misses = vm->number[BN_COL_MISSES];
	bn_text_number(text, misses, p->width > 7 ? 5 : 4, 0);
	bn_text_number(run, vm->longest_run, 4, 0);
	if (misses > 0 && vm->longest_run > 0 && strlen(text) + 1 + strlen(run) <= p->width)
		strcat(strcat(text, "/"), run);
	put(p,
		selected | (vm->fresh_misses > 0 ? BN_STYLE_BAD
				   : misses > 0  ? BN_STYLE_WARN
						 : BN_STYLE_PLAIN),
		text);
}

static void put_number(const struct place *p, double value, unsigned decimals, uint8_t style)
{
	char text[BN_TEXT_NUMBER];
	put(p, style, bn_text_number(text, value, p->width, decimals));
}

static void put_value(
	const struct place *p, enum bn_column column, const struct bn_view_vm *vm, uint8_t selected)
{
	double n = vm->number[column];
	switch (column) {
	case BN_COL_NAME:
		put(p, selected, vm->name[0] ? vm->name : "-");
		break;
	case BN_COL_CLASS:
		put(p, selected, word(vm->class_name, p->width));
		break;
	case BN_COL_STATE:
		put(p, selected | (vm->bad ? BN_STYLE_BAD : BN_STYLE_PLAIN),
			word(vm->state, p->width));
		break;
	case BN_COL_TIMES:
		put_times(p, vm, selected);
		break;
	case BN_COL_BUDGET:
		put_budget(p, vm, selected);
		break;
	case BN_COL_MISSES:
		put_misses(p, vm, selected);
		break;
	case BN_COL_FAULTS:
		put_number(p, n, 0, selected | (n > 0 ? BN_STYLE_WARN : BN_STYLE_PLAIN));
		break;
	case BN_COL_FPS:
	case BN_COL_GPU:
		put_number(p, n, 1, selected);
		break;
	default:
		put_number(p, n, 2, selected);
		break;
	}
}

void bn_rows_vm(const struct bn_rows *rows, struct bn_grid *g, unsigned row,
	const struct bn_view_vm *vm, bool selected)
{
	struct place p = {.g = g, .row = row, .col = 1};
	uint8_t style = selected ? BN_STYLE_SELECTED : 0;
	/* The mark says it where the terminal has but one brightness. */
	bn_grid_cell(g, row, 0, selected ? '>' : ' ', style);
	for (unsigned i = 0; i < BN_COLUMNS; i++) {
		p.width = rows->width[i];
		p.right = columns[i].right;
		if (!p.width)
			continue;
		put_value(&p, i, vm, style);
		p.col += p.width + 1;
	}
}
