#include "protocol/edid.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "edid_timing.h"

#define BLOCK 128u
#define PIXELS_MAX 8192u
#define REFRESH_MHZ_MIN 1000u
#define REFRESH_MHZ_MAX 1000000u
#define TEXT_MAX 13u

#define PRODUCT 1u
#define WEEK 1u
#define YEAR 2026u
#define GAMMA (220u - 100u) /* 2.2 */

static uint32_t size_mm(uint32_t given_mm, uint32_t pixels)
{
	return given_mm ? given_mm : (pixels * 254 + 480) / 960;
}

/* A descriptor has 12 bits for each; 0 × 0 says that the size is not known. */
static void timing_set_size(struct bn_timing *t, uint32_t width_mm, uint32_t height_mm)
{
	if (width_mm > 4095 || height_mm > 4095)
		width_mm = height_mm = 0;
	t->width_mm = width_mm;
	t->height_mm = height_mm;
}

static void put_le16(uint8_t *p, uint32_t value)
{
	p[0] = value & 0xff;
	p[1] = value >> 8 & 0xff;
}

/* E-EDID A.2 §3.10.2. Every value fits (bn_timing_fits_descriptor). */
static void put_timing(uint8_t *d, const struct bn_timing *t)
{
	put_le16(d, t->clock);
	d[2] = t->h_active & 0xff;
	d[3] = t->h_blank & 0xff;
	d[4] = t->h_active >> 8 << 4 | t->h_blank >> 8;
	d[5] = t->v_active & 0xff;
	d[6] = t->v_blank & 0xff;
	d[7] = t->v_active >> 8 << 4 | t->v_blank >> 8;
	d[8] = RB_H_FRONT;
	d[9] = RB_H_SYNC;
	d[10] = RB_V_FRONT << 4 | t->v_sync;
	d[11] = 0;
	d[12] = t->width_mm & 0xff;
	d[13] = t->height_mm & 0xff;
	d[14] = t->width_mm >> 8 << 4 | t->height_mm >> 8;
	/* Digital separate sync, horizontal positive, vertical negative: reduced blanking. */
	d[17] = 0x1a;
}

/* E-EDID A.2 §3.10.3: ended by a line feed and filled with spaces unless all 13 characters are
 * used. */
static void put_text(uint8_t *d, uint8_t tag, const char *text)
{
	size_t n = strnlen(text, TEXT_MAX);

	d[3] = tag;
	memset(d + 5, ' ', TEXT_MAX);
	for (size_t i = 0; i < n; i++)
		d[5 + i] = text[i] >= 0x20 && text[i] <= 0x7e ? text[i] : '?';
	if (n < TEXT_MAX)
		d[5 + n] = '\n';
}

static void put_descriptors(uint8_t *out, const struct bn_edid_mode *mode)
{
	char serial[TEXT_MAX];

	put_text(out + 72, 0xfc, mode->name && mode->name[0] ? mode->name : "Binnacle");
	out[90 + 3] = 0x10;
	out[108 + 3] = 0x10;
	if (mode->serial) {
		snprintf(serial, sizeof(serial), "%u", mode->serial);
		put_text(out + 90, 0xff, serial);
	}
}

static void put_size_cm(uint8_t *out, uint32_t width_mm, uint32_t height_mm)
{
	uint32_t width = (width_mm + 5) / 10, height = (height_mm + 5) / 10;

	if (width >= 1 && width <= 255 && height >= 1 && height <= 255) {
		out[21] = width;
		out[22] = height;
	}
}

static void put_checksum(uint8_t *bytes, size_t n)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += bytes[i];
	bytes[n] = 0x100 - sum;
}

/* E-EDID A.2 §3. No established or standard timings and no range limits: from those a guest would
 * derive modes that the output does not have. `native`: the timing is the output's own. */
static void put_base(
	uint8_t *out, const struct bn_edid_mode *mode, const struct bn_timing *t, bool native)
{
	static const uint8_t header[8] = {0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00};
	static const uint8_t srgb[10] = {
		0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54};

	memset(out, 0, BN_EDID_SIZE);
	memcpy(out, header, sizeof(header));
	out[8] = ('B' - '@') << 2 | ('N' - '@') >> 3;
	out[9] = (('N' - '@') & 7) << 5 | ('C' - '@');
	put_le16(out + 10, PRODUCT);
	put_le16(out + 12, mode->serial & 0xffff);
	put_le16(out + 14, mode->serial >> 16);
	out[16] = WEEK;
	out[17] = YEAR - 1990;
	out[18] = 1;
	out[19] = 4;
	out[20] = 0xa0; /* digital, 8 bits per colour, no particular connector */
	put_size_cm(
		out, size_mm(mode->width_mm, mode->width), size_mm(mode->height_mm, mode->height));
	out[23] = GAMMA;
	out[24] = 0x04 | native << 1; /* sRGB is the default colour space */
	memcpy(out + 25, srgb, sizeof(srgb));
	memset(out + 38, 0x01, 16);
	put_timing(out + 54, t);
	put_descriptors(out, mode);
}

/* DisplayID 1.3 table 4-18. */
static uint8_t displayid_aspect(uint32_t width, uint32_t height)
{
	static const uint16_t aspects[][2] = {
		{1, 1}, {5, 4}, {4, 3}, {15, 9}, {16, 9}, {16, 10}, {64, 27}, {256, 135}};

	for (uint8_t i = 0; i < sizeof(aspects) / sizeof(aspects[0]); i++) {
		if (bn_is_aspect(width, height, aspects[i][0], aspects[i][1]))
			return i;
	}
	return 8;
}

/* DisplayID 1.3 §4.1. */
static uint8_t *put_product(uint8_t *d, const struct bn_edid_mode *mode)
{
	d[0] = 0x00;
	d[2] = 12;
	memcpy(d + 3, "BNC", 3);
	put_le16(d + 6, PRODUCT);
	put_le16(d + 8, mode->serial & 0xffff);
	put_le16(d + 10, mode->serial >> 16);
	d[12] = WEEK;
	d[13] = YEAR - 2000;
	return d + 15;
}

static uint32_t tenths(uint32_t mm)
{
	return mm <= UINT16_MAX / 10 ? mm * 10 : 0;
}

/* DisplayID 1.3 §4.2; sizes in tenths of a millimetre, 0 when not known. */
static uint8_t *put_parameters(uint8_t *d, const struct bn_edid_mode *mode)
{
	uint32_t longer = mode->width > mode->height ? mode->width : mode->height;
	uint32_t shorter = mode->width > mode->height ? mode->height : mode->width;
	uint32_t aspect = (longer * 100 + shorter / 2) / shorter - 100;

	d[0] = 0x01;
	d[2] = 12;
	put_le16(d + 3, tenths(size_mm(mode->width_mm, mode->width)));
	put_le16(d + 5, tenths(size_mm(mode->height_mm, mode->height)));
	put_le16(d + 7, mode->width);
	put_le16(d + 9, mode->height);
	d[12] = GAMMA;
	d[13] = aspect < 255 ? aspect : 255;
	d[14] = (8 - 1) << 4 | (8 - 1); /* bits per colour: the picture's, the display's */
	return d + 15;
}

/* DisplayID 1.3 §4.14: some digital interface with one link and 8 bits per colour. */
static uint8_t *put_interface(uint8_t *d)
{
	d[0] = 0x0f;
	d[2] = 10;
	d[3] = 0xb1;
	d[4] = 0x10;
	d[5] = 0x02;
	return d + 13;
}

/* DisplayID 1.3 §4.4.1: every field is one less than the value. */
static void put_type1(uint8_t *d, const struct bn_timing *t)
{
	d[0] = 0x03;
	d[2] = 20;
	put_le16(d + 3, (t->clock - 1) & 0xffff);
	d[5] = (t->clock - 1) >> 16;
	d[6] = 0x80 | displayid_aspect(t->h_active, t->v_active); /* preferred */
	put_le16(d + 7, t->h_active - 1);
	put_le16(d + 9, t->h_blank - 1);
	put_le16(d + 11, (RB_H_FRONT - 1) | 0x8000); /* positive sync */
	put_le16(d + 13, RB_H_SYNC - 1);
	put_le16(d + 15, t->v_active - 1);
	put_le16(d + 17, t->v_blank - 1);
	put_le16(d + 19, RB_V_FRONT - 1);
	put_le16(d + 21, t->v_sync - 1);
}

/* An extension block that holds one DisplayID 1.3 section. */
static void put_displayid(uint8_t *out, const struct bn_edid_mode *mode, const struct bn_timing *t)
{
	uint8_t *d = out + 5;

	memset(out, 0, BLOCK);
	out[0] = 0x70;
	out[1] = 0x13;
	out[2] = BLOCK - 7; /* data bytes: all but tag, section header and two checksums */
	out[3] = 3;         /* stand-alone display */
	d = put_product(d, mode);
	d = put_parameters(d, mode);
	d = put_interface(d);
	put_type1(d, t);
	put_checksum(out + 1, BLOCK - 3);
	put_checksum(out, BLOCK - 1);
}

/* The base block must have a timing. Where the real one does not fit, it is the same picture scaled
 * down by whole numbers, which no guest prefers to the real one. */
static bool fallback_init(struct bn_timing *t, const struct bn_edid_mode *mode)
{
	for (uint32_t divisor = 2; divisor <= 16; divisor++) {
		uint32_t width = mode->width > divisor ? mode->width / divisor : 1;
		uint32_t height = mode->height > divisor ? mode->height / divisor : 1;

		if (bn_timing_init(t, width, height, mode->refresh_mhz) &&
			bn_timing_fits_descriptor(t))
			return true;
	}
	return false;
}

static bool in_range(const struct bn_edid_mode *mode)
{
	return mode->width >= 1 && mode->width <= PIXELS_MAX && mode->height >= 1 &&
	       mode->height <= PIXELS_MAX && mode->refresh_mhz >= REFRESH_MHZ_MIN &&
	       mode->refresh_mhz <= REFRESH_MHZ_MAX;
}

size_t bn_edid_generate(const struct bn_edid_mode *mode, uint8_t out[BN_EDID_SIZE])
{
	struct bn_timing real, base;
	bool extended;

	if (!in_range(mode) || !bn_timing_init(&real, mode->width, mode->height, mode->refresh_mhz))
		return 0;
	extended = !bn_timing_fits_descriptor(&real);
	base = real;
	if (extended && !fallback_init(&base, mode))
		return 0;
	timing_set_size(&base, size_mm(mode->width_mm, mode->width),
		size_mm(mode->height_mm, mode->height));
	put_base(out, mode, &base, !extended);
	if (extended) {
		out[126] = 1;
		put_displayid(out + BLOCK, mode, &real);
	}
	put_checksum(out, BLOCK - 1);
	return extended ? 2 * BLOCK : BLOCK;
}
