#include "common/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1023

static const struct {
	const char *name;
	const char *journal; /* sd-daemon(3) priority */
} levels[] = {
	[BN_LOG_ERROR] = {"error", "<3>"},
	[BN_LOG_WARN] = {"warn", "<4>"},
	[BN_LOG_INFO] = {"info", "<6>"},
	[BN_LOG_DEBUG] = {"debug", "<7>"},
};
#define N_LEVELS (sizeof(levels) / sizeof(levels[0]))

static atomic_int max_level = BN_LOG_INFO;
static atomic_bool to_journal;
static char log_prefix[64];

/* The journal names the stream that it reads in $JOURNAL_STREAM; stderr may have been redirected
 * since. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	if (!stream || fstat(STDERR_FILENO, &st) < 0)
		return false;
	char mine[64];
	snprintf(mine, sizeof(mine), "%llu:%llu", (unsigned long long)st.st_dev,
		(unsigned long long)st.st_ino);
	return strcmp(stream, mine) == 0;
}

void bn_log_init(enum bn_log_level max, const char *prefix)
{
	atomic_store(&max_level, (int)max);
	atomic_store(&to_journal, stderr_is_journal());
	snprintf(log_prefix, sizeof(log_prefix), "%s", prefix ? prefix : "");
}

bool bn_log_level_parse(const char *text, enum bn_log_level *level)
{
	for (unsigned i = 0; i < N_LEVELS; i++) {
		if (strcmp(text, levels[i].name) == 0) {
			*level = (enum bn_log_level)i;
			return true;
		}
	}
	return false;
}

bool bn_log_enabled(enum bn_log_level level)
{
	return (int)level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

/* Replaces what a terminal could act on: C0, DEL, and C1 in its UTF-8 form (C2 80 … C2 9F). */
static void blank_controls(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		unsigned char next = i + 1 < len ? (unsigned char)text[i + 1] : 0;
		if (c < 0x20 || c == 0x7f)
			text[i] = '?';
		else if (c == 0xc2 && next >= 0x80 && next <= 0x9f)
			text[i] = text[i + 1] = '?';
	}
}

static size_t clamp_printed(int printed, size_t room)
{
	if (printed < 0)
		return 0;
	return (size_t)printed < room ? (size_t)printed : room - 1;
}

void bn_vlog(enum bn_log_level level, const char *fmt, va_list args)
{
	if ((unsigned)level >= N_LEVELS || !bn_log_enabled(level))
		return;
	int saved = errno;
	bool journal = atomic_load_explicit(&to_journal, memory_order_relaxed);
	char line[LINE_MAX_BYTES + 1];
	int head = snprintf(line, sizeof(line), "%s%s%s%s",
		journal ? levels[level].journal : levels[level].name,
		journal || !log_prefix[0] ? "" : " ", log_prefix,
		journal && !log_prefix[0] ? "" : ": ");
	size_t len = clamp_printed(head, sizeof(line));
	errno = saved; /* for %m */
	len += clamp_printed(
		vsnprintf(line + len, sizeof(line) - len, fmt, args), sizeof(line) - len);
	blank_controls(line, len);
	line[len++] = '\n';
	while (write(STDERR_FILENO, line, len) < 0 && errno == EINTR)
		;
	errno = saved;
}

void bn_log(enum bn_log_level level, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	bn_vlog(level, fmt, args);
	va_end(args);
}

bool bn_log_gate(unsigned long *count)
{
	unsigned long n = ++*count;
	while (n >= 10 && n % 10 == 0)
		n /= 10;
	return n == 1;
}
