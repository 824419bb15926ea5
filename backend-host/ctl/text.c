#include "text.h"

#include <math.h>
#include <string.h>

/* Latin, Greek and Cyrillic without combining marks, and what we draw with: one column each on
 * every terminal. The rest of Unicode is not worth a picture out of line. */
static bool one_column(uint32_t c)
{
	return (c >= 0x20 && c < 0x7f) || (c >= 0xa1 && c <= 0x2ff && c != 0xad) ||
	       (c >= 0x370 && c <= 0x482) || (c >= 0x48a && c <= 0x52f) || c == 0x2026 ||
	       c == 0x2014 || c == 0x2013 || c == 0x2192 || (c >= 0x2264 && c <= 0x2265) ||
	       c == 0x2191 || c == 0x2193 || (c >= 0x2580 && c <= 0x2593);
}

/* The next code point, whatever it is; '?' for what is no UTF-8. */
static uint32_t decode(const char **text)
{
	const unsigned char *s = (const unsigned char *)*text;
	unsigned more = s[0] < 0x80   ? 0
			: s[0] < 0xc2 ? 4
			: s[0] < 0xe0 ? 1
			: s[0] < 0xf0 ? 2
			: s[0] < 0xf5 ? 3
				      : 4;
	if (!s[0])
		return 0;
	*text += 1;
	if (more == 4)
		return '?';
	uint32_t c = more == 0 ? s[0] : s[0] & (0x3fu >> more);
	for (unsigned i = 1; i <= more; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return '?';
		c = c << 6 | (s[i] & 0x3f);
	}
	*text += more;
	return c;
}

uint32_t bn_text_next(const char **text)
{
	uint32_t c = decode(text);
	return c == 0 || one_column(c) ? c : '?';
}

/* Neither a control character nor one that hides or turns round what stands beside it. */
static bool harmless(uint32_t c)
{
	return c == '\n' || c == '\t' || (c >= 0x20 && c < 0x7f) || (c >= 0xa0 && c < 0x200b) ||
	       (c > 0x200f && c < 0x2028) || (c > 0x202e && c < 0x2060) ||
	       (c > 0x206f && c < 0xd800) || (c > 0xdfff && c < 0xfe00) ||
	       (c > 0xfeff && c < 0xfff0);
}

unsigned bn_text_encode(uint32_t c, char *out)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	unsigned more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
	static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
	for (unsigned i = more; i > 0; i--, c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)(lead[more] | c);
	return more + 1;
}

void bn_text_print(FILE *out, const char *text)
{
	while (*text) {
		char bytes[4];
		uint32_t c = decode(&text);
		fwrite(bytes, 1, bn_text_encode(harmless(c) ? c : '?', bytes), out);
	}
}

const char *bn_text_number(
	char buffer[BN_TEXT_NUMBER], double value, unsigned width, unsigned decimals)
{
	static const char suffix[] = {'k', 'M', 'G', 'T', 'P', 'E'};
	if (!isfinite(value)) {
		strcpy(buffer, "-");
		return buffer;
	}
	for (unsigned d = decimals + 1; d-- > 0;) {
		int n = snprintf(buffer, BN_TEXT_NUMBER, "%.*f", (int)d, value);
		if (n > 0 && n <= (int)width && n < BN_TEXT_NUMBER)
			return buffer;
	}
	for (unsigned i = 0; i < sizeof(suffix); i++) {
		value /= 1000.0;
		int n = snprintf(buffer, BN_TEXT_NUMBER, "%.0f%c", value, suffix[i]);
		if (n > 0 && n <= (int)width && n < BN_TEXT_NUMBER)
			return buffer;
	}
	strcpy(buffer, "?");
	return buffer;
}

const char *bn_text_duration(char buffer[BN_TEXT_NUMBER], double seconds)
{
	if (!isfinite(seconds) || seconds < 0 || seconds > 1e12) {
		strcpy(buffer, "-");
		return buffer;
	}
	unsigned long s = (unsigned long)seconds;
	if (s < 60)
		snprintf(buffer, BN_TEXT_NUMBER, "%lu s", s);
	else if (s < 3600)
		snprintf(buffer, BN_TEXT_NUMBER, "%lu min %02lu s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buffer, BN_TEXT_NUMBER, "%lu h %02lu min", s / 3600, s / 60 % 60);
	else
		snprintf(buffer, BN_TEXT_NUMBER, "%lu d %02lu h", s / 86400, s / 3600 % 24);
	return buffer;
}

uint32_t bn_text_bar(double part, unsigned i, unsigned width, bool ascii)
{
	double full = isfinite(part) && part > 0 ? (part < 1.0 ? part : 1.0) * width : 0;
	double here = full - i;
	if (ascii)
		return here >= 0.5 ? '#' : '.';
	if (here >= 1.0 - 1.0 / 16)
		return 0x2588;
	/* from ▏ to ▉, in eighths */
	unsigned eighths = here > 0 ? (unsigned)(here * 8 + 0.5) : 0;
	return eighths ? 0x2590 - eighths : 0x2591;
}

bool bn_text_missed(double ms, double period_ms)
{
	return period_ms > 0 && ms >= 1.5 * period_ms;
}

uint32_t bn_text_spark(double ms, double period_ms, bool ascii)
{
	static const char letters[] = " _.-:=+*#";
	if (!(ms > 0))
		return ' ';
	unsigned level = 8;
	if (!bn_text_missed(ms, period_ms)) {
		double seventh = period_ms > 0 ? 7.0 * ms / period_ms : 7.0;
		level = seventh < 1.0 ? 1 : seventh >= 6.5 ? 7 : (unsigned)(seventh + 0.5);
	}
	return ascii ? (uint32_t)letters[level] : 0x2580 + level;
}
