/* EDID 1.4 generated from an output's one real mode (VESA E-EDID A.2; CVT 1.2 reduced blanking v1
 * for the timing). Only that mode is listed: stock guests pick the largest mode they see. A mode
 * that a detailed timing cannot hold (over 4095 pixels or 655.35 MHz) goes into a DisplayID 1.3
 * extension; the base block then holds the same picture scaled down, because it must have some
 * timing. */
#ifndef BN_PROTOCOL_EDID_H
#define BN_PROTOCOL_EDID_H

#include <stddef.h>
#include <stdint.h>

#define BN_EDID_SIZE 256 /* base block + one extension */

struct bn_edid_mode {
	uint32_t width, height; /* pixels, 1–8192 */
	uint32_t refresh_mhz;	/* 1000–1000000; met within 0.01 % */
	uint32_t width_mm, height_mm; /* 0: 96 dpi */
	const char *name;	/* first 13 characters are used; NULL or "": "Binnacle" */
	uint32_t serial; /* 0: none */
};

/* Writes an EDID of 128 or 256 bytes; returns its size, or 0 when the mode is out of range or
 * cannot be expressed. */
size_t bn_edid_generate(const struct bn_edid_mode *mode, uint8_t out[BN_EDID_SIZE]);

#endif
