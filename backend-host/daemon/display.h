/* The displays of the service: its outputs, whether each is switched on, and what a VM's
 * renderer is told about them. */
#ifndef BN_DAEMON_DISPLAY_H
#define BN_DAEMON_DISPLAY_H

#include <stdbool.h>
#include <stddef.h>

#include "compositor/output.h"
#include "protocol/link.h"
#include "settings.h"

struct bn_displays;

struct bn_display {
	struct bn_displays *all;
	struct bn_output *output;
	bool enabled;
};

struct bn_displays {
	struct bn_display display[BN_SETTINGS_OUTPUTS_MAX];
	size_t count;
	/* A mode changed, here or by itself, or a display was switched on or off. NULL: nobody cares yet. */
	void (*changed)(void *data, struct bn_display *display);
	void *data;
};

/* Opens every output of the settings. 0 or -errno, logged; then none is open. */
int bn_displays_init(struct bn_displays *displays, struct wl_event_loop *loop,
	const struct bn_settings *settings);
/* No layer may be left on them. */
void bn_displays_finish(struct bn_displays *displays);
/* NULL when there is none of that name. */
struct bn_display *bn_displays_find(struct bn_displays *displays, const char *name);
const char *bn_display_name(const struct bn_display *display);

/* Each of the two reports through changed(). set_mode: 0 or -errno of bn_output_set_mode(). */
int bn_display_set_mode(
	struct bn_display *display, unsigned width, unsigned height, unsigned refresh_mhz);
void bn_display_set_enabled(struct bn_display *display, bool enabled);

/* What the guest of that VM sees on its scanouts. */
void bn_displays_describe(struct bn_displays *displays, const struct bn_settings_vm *vm,
	struct bn_link_displays *out);

#endif
