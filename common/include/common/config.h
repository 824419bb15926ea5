/* INI files by key tables. The reader (inih) finds sections and keys; a table says which are
 * known and how each is read. Every mistake is reported as "FILE:LINE: what is wrong; what is
 * expected" and reading goes on, so that a person sees all of them at once. */
#ifndef BN_COMMON_CONFIG_H
#define BN_COMMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

struct bn_config_error {
	int line; /* 0: the file as a whole */
	char text[256];
};

struct bn_config_errors {
	struct bn_config_error *list; /* owned; free with bn_config_errors_finish */
	size_t count; /* at most BN_CONFIG_MAX_ERRORS; the last then says that more were left out */
};
#define BN_CONFIG_MAX_ERRORS 100

struct bn_config_key {
	const char *name; /* "mode", or "scanout." followed by a number when prefix is set */
	bool prefix;
	/* Reads value into object (the section's). key is the whole key as written. On false,
	 * *expected says what would have been right ("WIDTHxHEIGHT[@HZ], for example
	 * 1280x480@60"); it must be a constant string. */
	bool (*read)(void *object, const char *key, const char *value, const char **expected);
};

struct bn_config_section {
	const char *name; /* "core" for [core]; "vm" for [vm NAME] */
	bool named;       /* takes a NAME: 1–31 of a–z A–Z 0–9 '-' '_' */
	/* Several different NAMEs may occur (needs named). The same header twice is always an
	 * error. */
	bool repeated;
	/* Called once for each header, before its keys. name is "" for unnamed sections. Returns
	 * the object that the keys' read functions get, or NULL with *why set (constant string). */
	void *(*begin)(void *data, const char *name, int line, const char **why);
	const struct bn_config_key *keys; /* ends with a NULL name */
};

/* Reads path with the given sections (ending with a NULL name). data goes to begin(). Returns 0,
 * -EINVAL when errors were recorded (errors->count > 0), or -errno when the file cannot be read
 * (also recorded). errors must be zeroed. */
int bn_config_read(const char *path, const struct bn_config_section *sections, void *data,
	struct bn_config_errors *errors);
/* The same with text that is in memory already; text may hold any bytes. Returns 0 or -EINVAL. */
int bn_config_read_text(const char *text, size_t len, const struct bn_config_section *sections,
	void *data, struct bn_config_errors *errors);
/* Adds an error found after reading (line 0 for the file as a whole). */
void bn_config_error_add(struct bn_config_errors *errors, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void bn_config_errors_finish(struct bn_config_errors *errors);

/* Readers for common kinds of value. */
bool bn_config_bool(const char *value, bool *out); /* yes/no, true/false, on/off, 1/0 in any case */
/* Decimal digits only, min ≤ value ≤ max. */
bool bn_config_uint(const char *value, unsigned min, unsigned max, unsigned *out);
/* "1280x480", "1280x480@60", "1280x480@59.94" → pixels and mHz (refresh stays untouched when not
 * given). Sizes 1–65535, up to 1000 Hz with at most three decimals. *width, *height and
 * *refresh_mhz stay untouched when the result is false. */
bool bn_config_mode(const char *value, unsigned *width, unsigned *height, unsigned *refresh_mhz);

#endif
