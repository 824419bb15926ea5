/* The pages of top. */
#include "top.h"

#include <stdio.h>
#include <string.h>

#include "detail.h"
#include "json.h"
#include "rows.h"
#include "text.h"

#define HEADER_ROWS 2u

static const char *const help[] = {
	"up/down, j/k      selects a VM (marked >); here and among events: scrolls",
	"Enter, d          shows all about the selected VM; again: back",
	"s                 sorts by the next column; after the last, as configured",
	"S                 turns the order round",
	"e                 shows the last events (faults, quarantines, changes)",
	"p                 stops the clock; again: goes on",
	"r                 lets histograms and misses begin anew (asks first)",
	"h, ?              this page",
	"Esc               back to the table",
	"q                 ends",
	"",
	"VM, CLASS, STATE  name, class of service, what it does; QUAR: in quarantine,",
	"                  held: kept off the GPU, demoted: its predictions are not believed",
	"FPS               frames shown in the last second",
	"FRAME TIMES       the last frames, release to display, newest at the right: a full",
	"                  block (#) missed a refresh; on time is at most 7/8 of it",
	"P50 P99 MAX       of that time, in ms, since the start or the last reset",
	"BUDGET            GPU time in a period as part of what is reserved for it",
	"GPU               per cent of the time since the last refresh of this screen",
	"WAIT              99 % of the waits for the GPU were shorter, in ms",
	"MISSES            refreshes missed / the longest run of them",
	"FAULTS            errors of the guest's, deaths of its renderer",
};

static uint8_t admission_style(struct json_object *scheduler)
{
	return bn_json_bool(scheduler, "admitted") ? BN_STYLE_GOOD : BN_STYLE_BAD;
}

static unsigned draw_admission(struct bn_grid *g, unsigned col, struct json_object *s)
{
	double load = bn_json_number(s, "utilisation");
	char text[BN_TEXT_NUMBER];
	const char *word = bn_json_bool(s, "admitted") ? "admitted" : "NOT ADMITTED";
	col = bn_grid_printf(g, 1, col, admission_style(s), "%s", word);
	return bn_grid_printf(g, 1, col, 0, " %s%%", bn_text_number(text, load * 100, 4, 0));
}

static void draw_policy(const struct bn_top *top, struct bn_grid *g)
{
	struct json_object *s = bn_json_member(top->status, "scheduler");
	const char *us = g->ascii ? "us" : "µs";
	char p99[BN_TEXT_NUMBER], max[BN_TEXT_NUMBER], late[BN_TEXT_NUMBER];
	if (!s) {
		bn_grid_printf(g, 1, 0, BN_STYLE_DIM, "%s",
			top->status ? "this service has no scheduler" : "");
		return;
	}
	unsigned col = bn_grid_printf(g, 1, 0, 0, "policy ");
	col = bn_grid_printf(g, 1, col, BN_STYLE_HEAD, "%s  ", bn_json_text(s, "policy"));
	col = draw_admission(g, col, s);
	col = bn_grid_printf(g, 1, col, 0, "  decision p99 %s max %s %s",
		bn_text_number(p99, bn_json_number(s, "decision_p99_us"), 5, 1),
		bn_text_number(max, bn_json_number(s, "decision_max_us"), 5, 1), us);
	double n = bn_json_number(s, "late");
	col = bn_grid_printf(
		g, 1, col, n > 0 ? BN_STYLE_WARN : 0, "  late %s", bn_text_number(late, n, 5, 0));
	if (!bn_json_bool(s, "realtime"))
		bn_grid_printf(g, 1, col, BN_STYLE_WARN, "  not realtime");
}

static void draw_header(const struct bn_top *top, struct bn_grid *g)
{
	char up[BN_TEXT_NUMBER];
	const char *gpu = bn_json_text(top->status, "gpu");
	const char *path = bn_json_text(top->status, "gpu_path");
	unsigned col = bn_grid_printf(
		g, 0, 0, BN_STYLE_HEAD, "binnacled %s", bn_json_text(top->status, "version"));
	if (top->host[0])
		col = bn_grid_printf(g, 0, col, 0, " on %s", top->host);
	if (top->status)
		col = bn_grid_printf(g, 0, col, 0, "  up %s  GPU %s%s%s",
			bn_text_duration(up, bn_json_number(top->status, "uptime_ms") / 1000.0),
			gpu[0] ? gpu : "-", path[0] ? " " : "", path);
	if (top->paused)
		bn_grid_printf(g, 0, col, BN_STYLE_WARN, "  PAUSED");
	draw_policy(top, g);
}

/* What has to be said, above the keys. */
static void draw_message(const struct bn_top *top, struct bn_grid *g, const char *otherwise)
{
	unsigned row = g->rows - 2;
	if (top->asking_reset)
		bn_grid_printf(g, row, 0, BN_STYLE_WARN,
			"Let histograms and misses of all VMs begin anew? y/n");
	else if (top->lost[0])
		bn_grid_printf(g, row, 0, BN_STYLE_BAD, "%s; %strying again", top->lost,
			top->status ? "figures are old; " : "");
	else
		bn_grid_printf(
			g, row, 0, BN_STYLE_DIM, "%s", top->message[0] ? top->message : otherwise);
}

static void draw_keys(const struct bn_top *top, struct bn_grid *g)
{
	static const char *const keys[] = {
		[BN_PAGE_VMS] =
			"q quit  s/S sort  Enter detail  e events  p pause  r reset  h help",
		[BN_PAGE_DETAIL] = "q quit  Esc back  up/down other VM  e events  p pause  r reset",
		[BN_PAGE_EVENTS] = "q quit  Esc back  up/down scroll  p pause",
		[BN_PAGE_HELP] = "q quit  Esc back  up/down scroll",
	};
	for (unsigned col = 0; col < g->cols; col++)
		bn_grid_cell(g, g->rows - 1, col, ' ', BN_STYLE_HEAD | BN_STYLE_SELECTED);
	bn_grid_text(
		g, g->rows - 1, 0, g->cols, BN_STYLE_HEAD | BN_STYLE_SELECTED, keys[top->page]);
}

/* Rows between header and message. */
static unsigned body_rows(const struct bn_grid *g)
{
	return g->rows > HEADER_ROWS + 2 ? g->rows - HEADER_ROWS - 2 : 0;
}

static void draw_table(const struct bn_top *top, struct bn_grid *g, unsigned first, unsigned rows,
	const struct bn_view_vm *selected)
{
	struct bn_rows layout;
	bn_rows_fit(&layout, g->cols, &top->view);
	bn_rows_head(&layout, g, HEADER_ROWS, top->sort);
	for (unsigned i = 0; i < rows && first + i < top->view.count; i++) {
		const struct bn_view_vm *vm = &top->view.vm[top->order[first + i]];
		bn_rows_vm(&layout, g, HEADER_ROWS + 1 + i, vm, vm == selected);
	}
}

static void draw_vms(struct bn_top *top, struct bn_grid *g)
{
	char where[96] = "";
	unsigned rows = body_rows(g) > 1 ? body_rows(g) - 1 : 0, count = top->view.count;
	unsigned at = bn_top_row(top);
	if (at < top->scroll)
		top->scroll = at;
	if (rows && at >= top->scroll + rows)
		top->scroll = at - rows + 1;
	if (top->scroll + rows > count)
		top->scroll = count > rows ? count - rows : 0;
	draw_table(top, g, top->scroll, rows, count ? &top->view.vm[top->order[at]] : NULL);
	if (rows && count > rows)
		snprintf(where, sizeof(where), "%u to %u of %u VMs", top->scroll + 1,
			top->scroll + rows, count);
	if (top->sort < BN_COLUMNS)
		snprintf(where + strlen(where), sizeof(where) - strlen(where), "%ssorted by %s%s",
			where[0] ? ", " : "", bn_rows_title(top->sort, 80),
			top->reverse ? ", reversed" : "");
	draw_message(top, g, where);
}

static void draw_detail(struct bn_top *top, struct bn_grid *g)
{
	if (top->view.count)
		bn_detail_draw(g, HEADER_ROWS, body_rows(g),
			&top->view.vm[top->order[bn_top_row(top)]], top->admission);
	draw_message(top, g, "");
}

/* "12:00:00.123" of "2026-05-01T12:00:00.123Z". */
static const char *clock_of(const char *wall)
{
	const char *t = strchr(wall, 'T');
	return t ? t + 1 : wall;
}

static void draw_events(struct bn_top *top, struct bn_grid *g)
{
	unsigned rows = body_rows(g) > 1 ? body_rows(g) - 1 : 0;
	unsigned most = top->events > rows ? top->events - rows : 0;
	top->scroll = top->scroll > most ? most : top->scroll;
	bn_grid_printf(g, HEADER_ROWS, 0, BN_STYLE_HEAD, "Events, newest first");
	for (unsigned i = 0; i < rows && top->scroll + i < top->events; i++) {
		struct json_object *event = top->event[top->events - 1 - top->scroll - i];
		unsigned row = HEADER_ROWS + 1 + i;
		bn_grid_printf(
			g, row, 0, BN_STYLE_DIM, "%.12s", clock_of(bn_json_text(event, "wall")));
		bn_grid_text(g, row, 13, 11, BN_STYLE_HEAD, bn_json_text(event, "kind"));
		bn_grid_text(g, row, 25, g->cols, 0, bn_json_text(event, "text"));
	}
	draw_message(top, g, top->events ? "" : "nothing has happened");
}

static void draw_help(struct bn_top *top, struct bn_grid *g)
{
	unsigned rows = body_rows(g), count = sizeof(help) / sizeof(help[0]);
	unsigned most = count > rows ? count - rows : 0;
	top->scroll = top->scroll > most ? most : top->scroll;
	for (unsigned i = 0; i < rows && top->scroll + i < count; i++)
		bn_grid_text(g, HEADER_ROWS + i, 0, g->cols, 0, help[top->scroll + i]);
	draw_message(top, g, top->scroll < most ? "more below" : "");
}

void bn_top_draw(struct bn_top *top, struct bn_grid *g)
{
	static void (*const draw[])(struct bn_top *, struct bn_grid *) = {
		[BN_PAGE_VMS] = draw_vms,
		[BN_PAGE_DETAIL] = draw_detail,
		[BN_PAGE_EVENTS] = draw_events,
		[BN_PAGE_HELP] = draw_help,
	};
	draw_header(top, g);
	if (g->rows < HEADER_ROWS + 3)
		return;
	draw[top->page](top, g);
	draw_keys(top, g);
}

unsigned bn_top_once_rows(const struct bn_top *top)
{
	return HEADER_ROWS + 1 + top->view.count;
}

void bn_top_draw_once(struct bn_top *top, struct bn_grid *g)
{
	draw_header(top, g);
	draw_table(top, g, 0, top->view.count, NULL);
}
