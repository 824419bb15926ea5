/* inih splits lines into keys and values. It tells its handler no line numbers, shows no empty
 * sections and names only the first of several mistakes, so its lines come from a reader here
 * that counts them, looks at section headers itself and reports what is neither header nor key. */
#include "common/config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ini.h>

#include "common/fd.h"
#include "config_private.h"

#define MAX_FILE (1u << 20)
#define MAX_LINE_BYTES 180 /* below inih's INI_MAX_LINE of 200 */
#define MAX_NAME 31

struct seen {
	struct seen *next;
	int line;
	char text[]; /* a header ("vm cluster"), or a key of the current section */
};

struct reader {
	const char *text;
	size_t len, at;
	int line;
	const struct bn_config_section *sections;
	void *data;
	struct bn_config_errors *errors;
	bool failed;
	/* The section that keys go to now; NULL before the first header and after a wrong one. */
	const struct bn_config_section *section;
	void *object;
	bool any_header;
	struct seen *headers, *keys;
};

#define fail(r, ...) ((r)->failed = true, bn_config_error_add((r)->errors, (r)->line, __VA_ARGS__))

/* The line where text was seen before, or 0, in which case it is remembered. */
static int seen_before(struct reader *r, struct seen **list, const char *text)
{
	for (const struct seen *s = *list; s; s = s->next) {
		if (strcmp(s->text, text) == 0)
			return s->line;
	}
	size_t size = strlen(text) + 1;
	struct seen *s = malloc(sizeof(*s) + size);
	if (!s) {
		fail(r, "out of memory");
		return 0;
	}
	s->line = r->line;
	memcpy(s->text, text, size);
	s->next = *list;
	*list = s;
	return 0;
}

static void seen_finish(struct seen **list)
{
	while (*list) {
		struct seen *s = *list;
		*list = s->next;
		free(s);
	}
}

/* Where the number at the end of a key begins. */
static const char *number_of(const char *key)
{
	const char *end = key + strlen(key);
	while (end > key && isdigit((unsigned char)end[-1]))
		end--;
	return end;
}

static bool key_matches(const struct bn_config_key *key, const char *name)
{
	if (!key->prefix)
		return strcmp(key->name, name) == 0;
	size_t len = strlen(key->name);
	return strncmp(key->name, name, len) == 0 && name[len] && number_of(name) == name + len;
}

static void report_unknown_key(struct reader *r, const char *name)
{
	const struct bn_config_key *nearest = NULL;
	unsigned best = BN_SUGGEST_DISTANCE + 1;
	char stem[64];
	snprintf(stem, sizeof(stem), "%.*s", (int)(number_of(name) - name), name);
	for (const struct bn_config_key *key = r->section->keys; key->name; key++) {
		unsigned d = bn_edit_distance(key->prefix ? stem : name, key->name);
		if (d < best) {
			best = d;
			nearest = key;
		}
	}
	if (nearest) {
		const char *number = nearest->prefix ? number_of(name) : "";
		fail(r, "unknown key '%s' in [%s]; did you mean '%s%s'?", name, r->section->name,
			nearest->name, nearest->prefix && !*number ? "0" : number);
		return;
	}
	char known[160] = "";
	size_t at = 0;
	for (const struct bn_config_key *key = r->section->keys; key->name && at < sizeof(known);
		key++)
		at += (size_t)snprintf(known + at, sizeof(known) - at, "%s%s%s", at ? ", " : "",
			key->name, key->prefix ? "N" : "");
	fail(r, "unknown key '%.40s' in [%s]; known keys: %s", name, r->section->name, known);
}

/* inih's handler: 1 goes on. The section comes from our own look at the headers. */
static int handle_key(void *user, const char *section, const char *name, const char *value)
{
	struct reader *r = user;
	if (!r->any_header) {
		fail(r, "'%s' stands before the first [section]; put it below one", name);
		return 1;
	}
	if (!r->section)
		return 1; /* its header was reported */
	const struct bn_config_key *key = r->section->keys;
	while (key->name && !key_matches(key, name))
		key++;
	if (!key->name) {
		report_unknown_key(r, name);
		return 1;
	}
	int before = seen_before(r, &r->keys, name);
	if (before > 0) {
		fail(r, "'%s' is given already in line %d; expected once in a section", name,
			before);
		return 1;
	}
	const char *expected = NULL;
	if (!key->read(r->object, name, value, &expected))
		fail(r, "%s: '%.80s' is not valid; expected %s", name, value,
			expected ? expected : "another value");
	return 1;
}

static bool name_valid(const char *name)
{
	size_t len =
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
	return len >= 1 && len <= MAX_NAME && name[len] == '\0';
}

static void report_unknown_section(struct reader *r, const char *name)
{
	char known[160] = "";
	size_t at = 0;
	for (const struct bn_config_section *s = r->sections; s->name && at < sizeof(known); s++) {
		if (bn_edit_distance(name, s->name) <= BN_SUGGEST_DISTANCE) {
			fail(r, "unknown section [%s]; did you mean [%s%s]?", name, s->name,
				s->named ? " NAME" : "");
			return;
		}
		at += (size_t)snprintf(known + at, sizeof(known) - at, "%s[%s%s]", at ? ", " : "",
			s->name, s->named ? " NAME" : "");
	}
	fail(r, "unknown section [%.40s]; known sections: %s", name, known);
}

/* The line of an earlier header of this kind of section, or 0. */
static int same_kind_before(const struct reader *r, const char *kind)
{
	size_t len = strlen(kind);
	for (const struct seen *s = r->headers; s; s = s->next) {
		if (strncmp(s->text, kind, len) == 0 &&
			(s->text[len] == ' ' || s->text[len] == '\0'))
			return s->line;
	}
	return 0;
}

static bool header_is_new(struct reader *r, const struct bn_config_section *s, const char *name)
{
	int other = s->named && !s->repeated ? same_kind_before(r, s->name) : 0;
	char header[96];
	snprintf(header, sizeof(header), "%s%s%s", s->name, s->named ? " " : "", name);
	int before = seen_before(r, &r->headers, header);
	if (before > 0)
		fail(r, "[%s] is given already in line %d; expected once", header, before);
	else if (other > 0)
		fail(r, "only one [%s NAME] is allowed, and there is one in line %d", s->name,
			other);
	return before == 0 && other == 0;
}

static void begin_section(struct reader *r, char *header)
{
	char *name = header + strcspn(header, " \t");
	if (*name)
		*name++ = '\0';
	name += strspn(name, " \t");
	const struct bn_config_section *s = r->sections;
	while (s->name && strcmp(s->name, header) != 0)
		s++;
	if (!s->name) {
		report_unknown_section(r, header);
	} else if (!s->named && *name) {
		fail(r, "[%s] takes no name; expected [%s]", s->name, s->name);
	} else if (s->named && !name_valid(name)) {
		fail(r,
			"[%s%s%.60s]: expected [%s NAME] with a NAME of 1 to %d characters a-z A-Z "
			"0-9 - _",
			s->name, *name ? " " : "", name, s->name, MAX_NAME);
	} else if (header_is_new(r, s, name)) {
		const char *why = NULL;
		r->object = s->begin(r->data, name, r->line, &why);
		if (r->object)
			r->section = s;
		else
			fail(r, "[%s%s%s]: %s", s->name, *name ? " " : "", name,
				why ? why : "not possible");
	}
}

static void read_header(struct reader *r, const char *line, size_t len)
{
	r->any_header = true;
	r->section = NULL;
	r->object = NULL;
	seen_finish(&r->keys);
	const char *end = memchr(line, ']', len);
	if (!end) {
		fail(r, "a section's ']' is missing; expected [SECTION]");
		return;
	}
	const char *rest = end + 1;
	while (rest < line + len && isspace((unsigned char)*rest))
		rest++;
	if (rest < line + len && *rest != ';' && *rest != '#')
		fail(r, "text after ']'; expected nothing more in a section's line");
	const char *start = line + 1;
	while (start < end && isspace((unsigned char)*start))
		start++;
	while (end > start && isspace((unsigned char)end[-1]))
		end--;
	char header[MAX_LINE_BYTES];
	snprintf(header, sizeof(header), "%.*s", (int)(end - start), start);
	begin_section(r, header);
}

/* inih takes ';' after a blank as the start of a comment. */
static bool is_comment(const char *line, const char *at)
{
	return *at == ';' && at > line && isspace((unsigned char)at[-1]);
}

/* True when the line is a key for inih; everything else has been dealt with. */
static bool is_key_line(struct reader *r, const char *line, size_t len)
{
	if (len == 0 || line[0] == ';' || line[0] == '#')
		return false;
	if (len > MAX_LINE_BYTES) {
		fail(r, "the line is too long; expected at most %d bytes", MAX_LINE_BYTES);
		return false;
	}
	if (memchr(line, '\0', len)) {
		fail(r, "the line holds a zero byte; expected text");
		return false;
	}
	if (line[0] == '[') {
		read_header(r, line, len);
		return false;
	}
	const char *sign = line;
	while (sign < line + len && *sign != '=' && *sign != ':' && !is_comment(line, sign))
		sign++;
	if (sign == line + len || sign == line || *sign == ';') {
		fail(r, "'%.*s' is no key; expected KEY=VALUE or [SECTION]",
			(int)(len < 60 ? len : 60), line);
		return false;
	}
	return true;
}

/* inih's fgets: one line for each line of the text, blank where we have nothing for it.
 * Indentation goes, so that inih sees no continuation lines. */
static char *next_line(char *out, int size, void *stream)
{
	struct reader *r = stream;
	if (r->at >= r->len)
		return NULL;
	const char *line = r->text + r->at;
	const char *newline = memchr(line, '\n', r->len - r->at);
	size_t len = newline ? (size_t)(newline - line) : r->len - r->at;
	r->at += len + (newline != NULL);
	r->line++;
	if (r->line == 1 && len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
		line += 3;
		len -= 3;
	}
	while (len > 0 && isspace((unsigned char)*line)) {
		line++;
		len--;
	}
	while (len > 0 && isspace((unsigned char)line[len - 1]))
		len--;
	if (!is_key_line(r, line, len))
		len = 0;
	snprintf(out, (size_t)size, "%.*s\n", (int)len, len ? line : "");
	return out;
}

int bn_config_read_text(const char *text, size_t len, const struct bn_config_section *sections,
	void *data, struct bn_config_errors *errors)
{
	struct reader r = {
		.text = text, .len = len, .sections = sections, .data = data, .errors = errors};
	int ret = ini_parse_stream(next_line, &r, handle_key, &r);
	/* Not expected, because each line was looked at before; but inih has the last word on
	 * what it understood. */
	if (ret > 0 && !r.failed) {
		r.line = ret;
		fail(&r, "not understood; expected KEY=VALUE or [SECTION]");
	} else if (ret < 0) {
		r.line = 0;
		fail(&r, "out of memory");
	}
	seen_finish(&r.headers);
	seen_finish(&r.keys);
	return r.failed ? -EINVAL : 0;
}

/* Reads the whole of fd; *text is the caller's to free. */
static int read_all(int fd, char **text, size_t *len)
{
	char *buf = malloc(MAX_FILE + 1);
	if (!buf)
		return -ENOMEM;
	size_t at = 0;
	while (at <= MAX_FILE) {
		ssize_t n = read(fd, buf + at, MAX_FILE + 1 - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int err = -errno;
			free(buf);
			return err;
		}
		if (n == 0)
			break;
		at += (size_t)n;
	}
	if (at > MAX_FILE) {
		free(buf);
		return -EFBIG;
	}
	*text = buf;
	*len = at;
	return 0;
}

int bn_config_read(const char *path, const struct bn_config_section *sections, void *data,
	struct bn_config_errors *errors)
{
	char *text = NULL;
	size_t len = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int ret = fd < 0 ? -errno : read_all(fd, &text, &len);
	bn_fd_close(&fd);
	if (ret < 0) {
		bn_config_error_add(errors, 0, "cannot be read: %s", strerror(-ret));
		return ret;
	}
	ret = bn_config_read_text(text, len, sections, data, errors);
	free(text);
	return ret;
}
