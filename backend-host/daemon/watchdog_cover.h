/* A picture that stands in for others: on top of everything, from memory of the service's own that
 * is filled before anything runs. Showing it takes no guest, no renderer and no GPU. */
#ifndef BN_DAEMON_WATCHDOG_COVER_H
#define BN_DAEMON_WATCHDOG_COVER_H

#include <stdbool.h>
#include <stdint.h>

#include "compositor/output.h"

struct bn_buffer;

struct bn_cover {
	struct bn_layer *layer; /* NULL: there is none */
	struct bn_buffer *buffer;
	uint32_t width, height;
	bool shown; /* or will be with the next vblank */
	/* Tells of the vblank that first shows it, each time that it is shown. */
	void (*presented)(void *data, uint64_t when_ns);
	void *data;
};

/* Reads the picture at path onto a layer of that name; those of a higher z are on top. 0 or -errno,
 * logged; bn_cover_finish() is right in both cases, and for one that is all zero. */
int bn_cover_init(struct bn_cover *cover, struct bn_output *output, const char *name,
	const char *path, int32_t z);
void bn_cover_finish(struct bn_cover *cover);
/* A layer for it on another output, that shows nothing yet; NULL: there is no room. */
struct bn_layer *bn_cover_layer(struct bn_cover *cover, struct bn_output *output);
/* Goes there, hidden. Takes the layer over; its place is to be set. */
void bn_cover_take(struct bn_cover *cover, struct bn_layer *layer);
/* Where it lies on the output; scaled when the size is not its own. */
void bn_cover_place(struct bn_cover *cover, const struct bn_rect *at);
/* With the next vblank. Nothing happens without a layer, or when it is so already. */
void bn_cover_show(struct bn_cover *cover, bool show);

#endif
