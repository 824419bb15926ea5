/* The one log of every Binnacle program: lines on stderr, "<level> prefix: text".
 * Levels carry sd-daemon(3) priorities when stderr is the journal. Safe from any thread. */
#ifndef BN_COMMON_LOG_H
#define BN_COMMON_LOG_H

#include <stdarg.h>
#include <stdbool.h>

enum bn_log_level {
	BN_LOG_ERROR,
	BN_LOG_WARN,
	BN_LOG_INFO,
	BN_LOG_DEBUG,
};

/* Sets the highest level printed and the prefix ("binnacled", "renderer cluster"). The prefix is
 * copied and cut at 63 bytes. */
void bn_log_init(enum bn_log_level max, const char *prefix);

/* Reads "error", "warn", "info" or "debug" into *level; false (level untouched) for anything
 * else. */
bool bn_log_level_parse(const char *text, enum bn_log_level *level);

/* True when lines of this level are printed: guard for costly arguments. */
bool bn_log_enabled(enum bn_log_level level);

/* Writes one line with one write(2), cut at 1023 bytes; control characters are shown as '?', so
 * a guest-supplied string cannot forge lines. errno is preserved. */
void bn_log(enum bn_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void bn_vlog(enum bn_log_level level, const char *fmt, va_list args)
	__attribute__((format(printf, 2, 0)));

#define bn_error(...) bn_log(BN_LOG_ERROR, __VA_ARGS__)
#define bn_warn(...) bn_log(BN_LOG_WARN, __VA_ARGS__)
#define bn_info(...) bn_log(BN_LOG_INFO, __VA_ARGS__)
#define bn_debug(...) bn_log(BN_LOG_DEBUG, __VA_ARGS__)

/* A fault that a guest can repeat at will is logged at its 1st, 10th, 100th … time: true when
 * this time is to be printed. *count is the caller's counter, raised by one. Not atomic: one
 * thread per counter. */
bool bn_log_gate(unsigned long *count);

#endif
