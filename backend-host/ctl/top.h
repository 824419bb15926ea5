/* What "binnaclectl top" knows and shows: the newest status, the page, the selected VM, how rows are
 * sorted. Pure: answers and keys come in, a picture comes out; cmd_top.c does the rest. */
#ifndef BN_CTL_TOP_H
#define BN_CTL_TOP_H

#include <stdbool.h>
#include <stdint.h>

#include "grid.h"
#include "view.h"

struct json_object;

/* Keys that are no characters. */
enum {
	BN_KEY_UP = 0x110000,
	BN_KEY_DOWN,
	BN_KEY_PAGE_UP,
	BN_KEY_PAGE_DOWN,
	BN_KEY_HOME,
	BN_KEY_END,
	BN_KEY_ENTER,
	BN_KEY_ESCAPE,
};

enum bn_top_page { BN_PAGE_VMS, BN_PAGE_DETAIL, BN_PAGE_EVENTS, BN_PAGE_HELP };

/* What a key asks of the one who brought it. */
enum bn_top_action {
	BN_TOP_NOTHING, /* but drawing anew */
	BN_TOP_REFRESH, /* ask now */
	BN_TOP_RESET,   /* send "reset" */
	BN_TOP_QUIT,
};

#define BN_TOP_EVENTS 256u

struct bn_top {
	bool paused, asking_reset, reverse;
	enum bn_top_page page;
	enum bn_column sort;
	unsigned scroll;                          /* first row shown, or line of a page */
	char selected[BN_VIEW_NAME_MAX + 1];      /* "": the first row */
	char host[65], lost[128], message[128];   /* "" where there is nothing to say */
	struct json_object *status, *admission;   /* owned; NULL until they are there */
	struct json_object *event[BN_TOP_EVENTS]; /* owned; oldest first */
	unsigned events;
	uint64_t next_event; /* number of the first one that is missing */
	struct bn_view view;
	unsigned char order[BN_VIEW_VMS_MAX]; /* of view.vm */
};

void bn_top_init(struct bn_top *top, const char *host);
void bn_top_finish(struct bn_top *top);

/* The answers to "status", "admit" and "events" (since next_event); taken over. */
void bn_top_status(struct bn_top *top, struct json_object *answer);
void bn_top_admission(struct bn_top *top, struct json_object *answer);
void bn_top_events(struct bn_top *top, struct json_object *answer);
/* "reset" was carried out; error NULL, or why not. */
void bn_top_was_reset(struct bn_top *top, const char *error);
/* The service is gone, does not answer, … The figures shown are old until the next status. */
void bn_top_lost(struct bn_top *top, const char *why);

enum bn_top_action bn_top_key(struct bn_top *top, uint32_t key);
/* The row of the selected VM; 0 when there is none, or it is gone. */
unsigned bn_top_row(const struct bn_top *top);
/* Draws into a blank grid. */
void bn_top_draw(struct bn_top *top, struct bn_grid *g);
/* Header and all rows, for a print: no keys, nothing selected. rows: how many lines that takes. */
unsigned bn_top_once_rows(const struct bn_top *top);
void bn_top_draw_once(struct bn_top *top, struct bn_grid *g);

#endif
