/* What the watchdog's parts share:
 *
 *   watchdog.c         life, and what people are told
 *   watchdog_look.c    what is to be seen at each watch, and when to look
 *   watchdog_settle.c  what follows from the judge's word: covers, boot pictures, events, hooks
 *   watchdog_follow.c  outputs that show nothing, and layers that go to another output */
#ifndef BN_DAEMON_WATCHDOG_PRIV_H
#define BN_DAEMON_WATCHDOG_PRIV_H

#include "common/log.h"
#include "watchdog.h"
#include "watchdog_cover.h"
#include "watchdog_hook.h"

/* What the loop may take to tell of a picture, as a part of a refresh. */
#define BN_WATCH_GRACE_PARTS 4

struct bn_watch_screen;

struct bn_watch {
	struct bn_watchdogs *all;
	struct bn_watch_screen *screen; /* of the output that its layer is on, or was last */
	struct bn_watch_screen *next;   /* that a scene which is being taken over has it on; or NULL */
	struct bn_layer *spare;         /* of its cover there */
	const struct bn_settings_watch *settings;
	struct bn_cover cover; /* of its own, if it has a picture */
	struct bn_watch_hook hook;
	struct bn_rect at;
	const char *source;
	bool covered;
	bool paused;    /* the output shows nothing */
	bool was_off;   /* … meanwhile, because somebody wanted it so */
	bool retry;     /* the last picture could not be read: once more, at retry_ns */
	bool new_state; /* and nobody has been told */
	enum bn_watch_state told; /* LIVE or FALLBACK, once it has been one of them */
	uint64_t retry_ns, failed_ns, shown_ns;
	uint64_t frame_ns;    /* of the frame that was seen last, when the guest flushed it */
	uint64_t arriving_ns; /* until then its layer, new on this output, may lack its first frame */
	uint32_t refresh_mhz;
	struct bn_histogram reaction;
	unsigned long complaints;
};

struct bn_watch_screen {
	struct bn_watchdogs *all;
	const struct bn_settings_output *settings;
	struct bn_display *display;
	struct bn_cover boot, fallback;
	bool watched;  /* has an observer */
	bool released; /* what is shown is good: no boot picture */
	uint64_t first_ns, times;
};

struct bn_watchdogs {
	struct wl_event_loop *loop;
	const struct bn_settings *settings;
	struct bn_displays *displays;
	struct bn_events *events;
	struct bn_watchdog *judge;
	struct wl_event_source *timer, *idle;
	bool poked; /* outputs may have come or gone: to be looked at soon */
	struct bn_watch watch[BN_WATCH_REGIONS_MAX];
	unsigned num_watches;
	struct bn_watch_screen screen[BN_SETTINGS_OUTPUTS_MAX];
	unsigned num_screens;
	uint32_t *pixels; /* room for the largest region */
};

unsigned bn_watch_index(const struct bn_watch *watch);
const struct bn_watch_status *bn_watch_status(const struct bn_watch *watch);
const char *bn_watch_output(const struct bn_watch *watch);
uint64_t bn_watch_refresh(const struct bn_watch_screen *screen);
struct bn_watch_screen *bn_watch_screen_of(struct bn_watchdogs *all, const char *output);

/* ---- watchdog_look.c ---- */

/* The layer that the watch is about; NULL: it is not on its output. */
struct bn_layer *bn_watch_layer(const struct bn_watch *watch);
/* Whether something of it can be seen. */
bool bn_watch_is_shown(const struct bn_layer *layer);
/* The observer of a screen's output; and the timer. */
void bn_watch_handle_vblank(void *data, uint64_t when_ns);
int bn_watch_handle_timer(void *data);
/* Forgets what the timer has asked for. */
void bn_watch_forget_idle(struct bn_watchdogs *all);
/* For what is due next. */
void bn_watch_arm(struct bn_watchdogs *all);

/* ---- watchdog_settle.c ---- */

/* All that follows from what is known by now. */
void bn_watch_settle(struct bn_watchdogs *all);
/* The judge's word; what follows from it is for bn_watch_settle(). */
void bn_watch_handle_changed(void *data, unsigned region);
/* A cover is on the screen: of a watch, and a screen's boot picture and fallback. */
void bn_watch_cover_shown(void *data, uint64_t when_ns);
void bn_watch_boot_shown(void *data, uint64_t when_ns);
void bn_watch_fallback_shown(void *data, uint64_t when_ns);

/* ---- watchdog_follow.c ---- */

/* Watches of outputs that show nothing by now are paused, and others go on. */
void bn_watch_follow_outputs(struct bn_watchdogs *all, uint64_t now_ns);
/* Looks at all vblanks of the output from now on, and hears of it when it comes and goes. */
void bn_watch_observe(struct bn_watch_screen *screen);
void bn_watch_unobserve(struct bn_watch_screen *screen);

#endif
