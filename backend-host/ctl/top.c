#include "top.h"

#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "json.h"
#include "rows.h"

void bn_top_init(struct bn_top *top, const char *host)
{
	*top = (struct bn_top){.sort = BN_COLUMNS};
	snprintf(top->host, sizeof(top->host), "%s", host);
}

void bn_top_finish(struct bn_top *top)
{
	json_object_put(top->status);
	json_object_put(top->admission);
	for (unsigned i = 0; i < top->events; i++)
		json_object_put(top->event[i]);
	*top = (struct bn_top){0};
}

/* ---- answers ---- */

static void sort_rows(struct bn_top *top)
{
	if (top->sort < BN_COLUMNS) {
		bn_view_sort(&top->view, top->sort, top->reverse, top->order);
		return;
	}
	for (unsigned i = 0; i < top->view.count; i++)
		top->order[i] = (unsigned char)(top->reverse ? top->view.count - 1 - i : i);
}

static void forget_events(struct bn_top *top)
{
	for (unsigned i = 0; i < top->events; i++)
		json_object_put(top->event[i]);
	top->events = 0;
	top->next_event = 0;
}

void bn_top_status(struct bn_top *top, struct json_object *answer)
{
	/* Another service than before: its events count from 1 again. */
	if (bn_json_number(answer, "uptime_ms") < bn_json_number(top->status, "uptime_ms"))
		forget_events(top);
	bn_view_read(&top->view, answer);
	json_object_put(top->status);
	top->status = answer;
	top->lost[0] = '\0';
	sort_rows(top);
}

void bn_top_admission(struct bn_top *top, struct json_object *answer)
{
	json_object_put(top->admission);
	top->admission = json_object_get(bn_json_member(answer, "admission"));
	json_object_put(answer);
}

void bn_top_events(struct bn_top *top, struct json_object *answer)
{
	unsigned n;
	struct json_object *events = bn_json_array(answer, "events", &n);
	for (unsigned i = 0; i < n; i++) {
		if (top->events == BN_TOP_EVENTS) {
			json_object_put(top->event[0]);
			memmove(top->event, top->event + 1,
				(BN_TOP_EVENTS - 1) * sizeof(top->event[0]));
			top->events--;
		}
		top->event[top->events++] = json_object_get(json_object_array_get_idx(events, i));
	}
	if (bn_json_count(answer, "next") > top->next_event)
		top->next_event = bn_json_count(answer, "next");
	json_object_put(answer);
}

void bn_top_was_reset(struct bn_top *top, const char *error)
{
	if (!error)
		bn_view_forget(&top->view);
	snprintf(top->message, sizeof(top->message), "%s%s",
		error ? "not reset: " : "statistics begin anew", error ? error : "");
}

void bn_top_lost(struct bn_top *top, const char *why)
{
	snprintf(top->lost, sizeof(top->lost), "%s", why);
}

/* ---- keys ---- */

unsigned bn_top_row(const struct bn_top *top)
{
	for (unsigned i = 0; top->selected[0] && i < top->view.count; i++) {
		if (strcmp(top->view.vm[top->order[i]].name, top->selected) == 0)
			return i;
	}
	return 0;
}

static void select_row(struct bn_top *top, long row)
{
	long last = (long)top->view.count - 1;
	row = row > last ? last : row;
	if (last >= 0)
		strcpy(top->selected, top->view.vm[top->order[row < 0 ? 0 : row]].name);
}

/* Where the key leads from that row, or line, in steps of a page. */
static long moved(long from, uint32_t key)
{
	switch (key) {
	case BN_KEY_UP:
	case 'k':
		return from - 1;
	case BN_KEY_DOWN:
	case 'j':
		return from + 1;
	case BN_KEY_PAGE_UP:
		return from - 10;
	case BN_KEY_PAGE_DOWN:
	case ' ':
		return from + 10;
	case BN_KEY_HOME:
		return 0;
	case BN_KEY_END:
		return 1000;
	default:
		return -1;
	}
}

static bool is_move(uint32_t key)
{
	return key == 'k' || key == 'j' || key == ' ' || (key >= BN_KEY_UP && key <= BN_KEY_END);
}

static void move(struct bn_top *top, uint32_t key)
{
	if (top->page == BN_PAGE_VMS || top->page == BN_PAGE_DETAIL) {
		select_row(top, moved(bn_top_row(top), key));
		return;
	}
	long line = moved(top->scroll, key);
	top->scroll = line < 0 ? 0 : (unsigned)line;
}

static enum bn_top_action show(struct bn_top *top, enum bn_top_page page)
{
	top->page = top->page == page ? BN_PAGE_VMS : page;
	top->scroll = 0;
	return BN_TOP_REFRESH;
}

/* The next column, and after the last one the order of the configuration. */
static void next_sort(struct bn_top *top)
{
	top->sort = top->sort >= BN_COLUMNS ? 0 : top->sort + 1;
	top->reverse = false;
}

enum bn_top_action bn_top_key(struct bn_top *top, uint32_t key)
{
	bool asked = top->asking_reset;
	top->asking_reset = false;
	top->message[0] = '\0';
	if (asked)
		return key == 'y' || key == 'Y' ? BN_TOP_RESET : BN_TOP_NOTHING;
	if (is_move(key)) {
		move(top, key);
		return BN_TOP_NOTHING;
	}
	switch (key) {
	case 'q':
	case 'Q':
		return BN_TOP_QUIT;
	case BN_KEY_ESCAPE:
		return show(top, BN_PAGE_VMS);
	case 'd':
	case BN_KEY_ENTER:
		return show(top, BN_PAGE_DETAIL);
	case 'e':
		return show(top, BN_PAGE_EVENTS);
	case 'h':
	case '?':
		return show(top, BN_PAGE_HELP);
	case 'p':
		top->paused = !top->paused;
		return BN_TOP_REFRESH;
	case 'r':
		top->asking_reset = true;
		return BN_TOP_NOTHING;
	case 's':
		next_sort(top);
		break;
	case 'S':
		top->reverse = !top->reverse;
		break;
	}
	sort_rows(top);
	return BN_TOP_NOTHING;
}
