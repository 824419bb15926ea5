/* Timings for EDIDs: CVT 1.2 reduced blanking v1, with the refresh rate met exactly. Private to
 * protocol/. */
#ifndef BN_PROTOCOL_EDID_TIMING_H
#define BN_PROTOCOL_EDID_TIMING_H

#include <stdbool.h>
#include <stdint.h>

/* CVT 1.2 §3.2.2, reduced blanking version 1: the same for every mode. */
#define RB_H_FRONT 48u
#define RB_H_SYNC 32u
#define RB_V_FRONT 3u

struct bn_timing {
	uint32_t clock; /* in 10 kHz */
	uint32_t h_active, h_blank, v_active, v_blank, v_sync;
	uint32_t width_mm, height_mm; /* for the descriptor; left 0 here */
};

/* width and height 1–8192, refresh_mhz 1000–1000000. False when no clock fits. */
bool bn_timing_init(struct bn_timing *t, uint32_t width, uint32_t height, uint32_t refresh_mhz);
/* Whether an EDID's detailed timing descriptor can hold it. */
bool bn_timing_fits_descriptor(const struct bn_timing *t);
bool bn_is_aspect(uint32_t width, uint32_t height, uint32_t a, uint32_t b);

#endif
