/* The watchdog of safety content: looks at what is really scanned out, has it judged
 * (compositor/watchdog.h), and puts the fallback pictures on top of what has failed. Also the
 * pictures that outputs show before anything else does. Main loop only. */
#ifndef BN_DAEMON_WATCHDOG_H
#define BN_DAEMON_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/histogram.h"
#include "compositor/watchdog.h"
#include "display.h"
#include "settings.h"

struct bn_events;
struct wl_event_loop;

struct bn_watchdogs; /* opaque */
struct bn_stage;

/* Makes the fallback and boot pictures, and shows the latter: with the next vblank. Everything must
 * outlive it. 0 or -errno, logged. */
int bn_watchdogs_create(struct bn_watchdogs **out, struct wl_event_loop *loop,
	const struct bn_settings *settings, struct bn_displays *displays);
/* Before the displays go. NULL is allowed. */
void bn_watchdogs_destroy(struct bn_watchdogs *watchdogs);
/* Where faults are told of from now on, to outlive it or to be set to NULL. */
void bn_watchdogs_set_events(struct bn_watchdogs *watchdogs, struct bn_events *events);

/* From now on what is watched is followed to other outputs, and scenes in which it could not be watched
 * are refused. No scene may be set any more when it is gone. */
void bn_watchdogs_guard(struct bn_watchdogs *watchdogs, struct bn_stage *stage);
/* An output was switched on or off. NULL is allowed. */
void bn_watchdogs_display_changed(struct bn_watchdogs *watchdogs);

/* ---- for people ---- */

struct bn_watch_info {
	const struct bn_settings_watch *settings;
	const struct bn_watch_status *status;
	const char *state;  /* waiting, live, fallback, fault when nothing is shown instead, or paused */
	const char *reason; /* of paused: "output inactive", "output off"; else "" */
	const char *output; /* that its layer is on */
	const char *source; /* of the pixels: writeback, composed, layer; "" before the first */
	struct bn_rect at;  /* on the output, when it was looked at last */
	bool covered;       /* something stands in for it, so what lies below is judged */
	uint64_t shown_ns;  /* vblank at which the fallback was first shown for the last fault; 0 */
	/* From the moment in which the fault could be known at the earliest to that vblank. */
	struct bn_histogram reaction;
	uint64_t refresh_ns;
	uint64_t hook_runs;
};
/* index counts as in the settings. Pointers are valid until the loop runs again. */
void bn_watchdogs_describe(
	const struct bn_watchdogs *watchdogs, unsigned index, struct bn_watch_info *out);
void bn_watchdogs_reset(struct bn_watchdogs *watchdogs, unsigned index);

struct bn_boot_info {
	const char *output;
	bool exists, shown;
	uint64_t first_ns; /* vblank that first showed it; 0: none yet */
	uint64_t after_ns; /* from the start of the service until then */
	uint64_t times;    /* that it was shown */
};
/* index counts the outputs of the settings. */
void bn_watchdogs_boot(
	const struct bn_watchdogs *watchdogs, unsigned index, struct bn_boot_info *out);

#endif
