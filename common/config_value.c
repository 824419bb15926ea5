#include "common/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool bn_config_bool(const char *value, bool *out)
{
	static const struct {
		const char *text;
		bool value;
	} words[] = {
		{"yes", true},
		{"true", true},
		{"on", true},
		{"1", true},
		{"no", false},
		{"false", false},
		{"off", false},
		{"0", false},
	};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(value, words[i].text) == 0) {
			*out = words[i].value;
			return true;
		}
	}
	return false;
}

/* Decimal digits from *text, at most max; leaves *text behind them. strtoul alone would take
 * signs and blanks. */
static bool read_number(const char **text, unsigned max, unsigned *out)
{
	if (!isdigit((unsigned char)**text))
		return false;
	char *end;
	errno = 0;
	unsigned long value = strtoul(*text, &end, 10);
	if (errno != 0 || value > max)
		return false;
	*text = end;
	*out = (unsigned)value;
	return true;
}

bool bn_config_uint(const char *value, unsigned min, unsigned max, unsigned *out)
{
	unsigned n;
	if (!read_number(&value, max, &n) || *value != '\0' || n < min)
		return false;
	*out = n;
	return true;
}

/* Hertz with up to three decimals, as millihertz. */
static bool read_hertz(const char **text, unsigned *mhz)
{
	unsigned whole, fraction = 0;
	if (!read_number(text, 1000, &whole))
		return false;
	if (**text == '.') {
		unsigned digits = 0;
		for ((*text)++; isdigit((unsigned char)**text) && digits < 3; (*text)++, digits++)
			fraction = fraction * 10 + (unsigned)(**text - '0');
		if (digits == 0)
			return false;
		for (; digits < 3; digits++)
			fraction *= 10;
	}
	*mhz = whole * 1000 + fraction;
	return *mhz > 0;
}

bool bn_config_mode(const char *value, unsigned *width, unsigned *height, unsigned *refresh_mhz)
{
	unsigned w, h, mhz = 0;
	if (!read_number(&value, 65535, &w) || *value++ != 'x' || !read_number(&value, 65535, &h))
		return false;
	bool refresh = *value == '@';
	if (refresh) {
		value++;
		if (!read_hertz(&value, &mhz))
			return false;
	}
	if (*value != '\0' || w == 0 || h == 0)
		return false;
	*width = w;
	*height = h;
	if (refresh)
		*refresh_mhz = mhz;
	return true;
}
