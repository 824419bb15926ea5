#include "edid_timing.h"

/* What a detailed timing descriptor can hold. */
#define DTD_PIXELS_MAX 4095u
#define DTD_CLOCK_MIN 1000u /* below 10 MHz a descriptor counts as damaged */
#define DTD_CLOCK_MAX 65535u
/* What a DisplayID type I timing can hold; its clock has 24 bits, which no mode in range comes
 * near. */
#define TYPE1_LINES_MAX 65536u

#define RB_H_BLANK 160u
#define RB_V_BACK_MIN 6u
#define RB_V_BLANK_NS 460000ull

/* Lines that find_clock may add. */
#define SEARCH 1024u

bool bn_is_aspect(uint32_t width, uint32_t height, uint32_t a, uint32_t b)
{
	return width * b == height * a;
}

/* CVT tells the aspect ratio by the width of the vertical sync. */
static uint32_t vertical_sync(uint32_t width, uint32_t height)
{
	if (bn_is_aspect(width, height, 4, 3))
		return 4;
	if (bn_is_aspect(width, height, 16, 9))
		return 5;
	if (bn_is_aspect(width, height, 16, 10))
		return 6;
	if (bn_is_aspect(width, height, 5, 4) || bn_is_aspect(width, height, 15, 9))
		return 7;
	return 10;
}

/* How far clock is from refresh_mhz with that many pixels in a frame, in millionths. */
static uint64_t refresh_error_ppm(uint64_t clock, uint64_t total, uint64_t refresh_mhz)
{
	uint64_t want = refresh_mhz * total, is = clock * 10000000;

	return (want > is ? want - is : is - want) * 1000000 / want;
}

/* CVT rounds the clock down to 250 kHz and lets the refresh rate drift. Guests are paced by the
 * real output, so here the rate is what has to come out: lines are added to the blanking until a
 * clock in whole 10 kHz gives it. */
static void find_clock(struct bn_timing *t, uint32_t refresh_mhz)
{
	uint64_t best = UINT64_MAX;
	uint32_t first = t->v_blank;

	for (uint32_t blank = first; blank <= first + SEARCH && blank <= TYPE1_LINES_MAX; blank++) {
		uint64_t total = (uint64_t)(t->h_active + t->h_blank) * (t->v_active + blank);
		uint64_t clock = (refresh_mhz * total + 5000000) / 10000000;
		uint64_t error = refresh_error_ppm(clock, total, refresh_mhz);

		if (clock == 0 || error >= best)
			continue;
		best = error;
		t->clock = clock;
		t->v_blank = blank;
		if (best <= 50)
			break;
	}
}

/* Small or slow modes get more blanking, lines first, until the clock reaches 10 MHz. */
static void stretch_blanking(struct bn_timing *t, uint32_t refresh_mhz)
{
	uint64_t pixels = (DTD_CLOCK_MIN * 10000000ull + refresh_mhz - 1) / refresh_mhz;
	uint32_t lines_max = t->v_active + DTD_PIXELS_MAX - SEARCH;
	uint32_t h_total = t->h_active + t->h_blank;
	uint32_t lines;

	if ((uint64_t)h_total * lines_max < pixels)
		h_total = (pixels + lines_max - 1) / lines_max;
	lines = (pixels + h_total - 1) / h_total;
	t->h_blank = h_total - t->h_active;
	if (t->v_active + t->v_blank < lines)
		t->v_blank = lines - t->v_active;
}

bool bn_timing_init(struct bn_timing *t, uint32_t width, uint32_t height, uint32_t refresh_mhz)
{
	uint64_t active_ns = 1000000000000ull / refresh_mhz - RB_V_BLANK_NS;
	uint32_t v_sync = vertical_sync(width, height);
	uint32_t v_blank = RB_V_BLANK_NS * height / active_ns + 1;
	uint32_t v_blank_min = RB_V_FRONT + v_sync + RB_V_BACK_MIN;

	*t = (struct bn_timing){
		.h_active = width,
		.h_blank = RB_H_BLANK,
		.v_active = height,
		.v_sync = v_sync,
		.v_blank = v_blank > v_blank_min ? v_blank : v_blank_min,
	};
	stretch_blanking(t, refresh_mhz);
	find_clock(t, refresh_mhz);
	return t->clock > 0;
}

bool bn_timing_fits_descriptor(const struct bn_timing *t)
{
	return t->h_active <= DTD_PIXELS_MAX && t->v_active <= DTD_PIXELS_MAX &&
	       t->v_blank <= DTD_PIXELS_MAX && t->clock <= DTD_CLOCK_MAX;
}
