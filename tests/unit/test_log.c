#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"

static int saved_stderr, log_read;

/* From here on stderr is a pipe of packets that the test reads: one read is one write(2). */
static void capture_begin(void)
{
	int ends[2];
	CU_ASSERT_EQUAL_FATAL(pipe2(ends, O_DIRECT | O_CLOEXEC), 0);
	saved_stderr = bn_fd_dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	log_read = ends[0];
	bn_fd_set_nonblock(log_read, true);
}

static void capture_end(void)
{
	dup2(saved_stderr, STDERR_FILENO);
	bn_fd_close(&saved_stderr);
	bn_fd_close(&log_read);
}

/* The next line written, without its newline; "" when there is none. */
static const char *captured(void)
{
	static char line[4096];
	ssize_t n = read(log_read, line, sizeof(line) - 1);
	line[n > 0 ? n : 0] = '\0';
	if (n > 0 && line[n - 1] == '\n')
		line[n - 1] = '\0';
	return line;
}

static void test_line(void)
{
	capture_begin();
	bn_log_init(BN_LOG_INFO, "renderer cluster");
	bn_info("frame %d", 7);
	CU_ASSERT_STRING_EQUAL(captured(), "info renderer cluster: frame 7");
	bn_error("bad");
	CU_ASSERT_STRING_EQUAL(captured(), "error renderer cluster: bad");
	bn_debug("not shown");
	CU_ASSERT_STRING_EQUAL(captured(), "");
	bn_log_init(BN_LOG_DEBUG, "");
	bn_debug("shown");
	CU_ASSERT_STRING_EQUAL(captured(), "debug: shown");
	capture_end();
}

static void test_levels(void)
{
	enum bn_log_level level = BN_LOG_DEBUG;
	CU_ASSERT_TRUE(bn_log_level_parse("warn", &level));
	CU_ASSERT_EQUAL(level, BN_LOG_WARN);
	CU_ASSERT_FALSE(bn_log_level_parse("Warn", &level));
	CU_ASSERT_FALSE(bn_log_level_parse("", &level));
	CU_ASSERT_EQUAL(level, BN_LOG_WARN);
	bn_log_init(BN_LOG_WARN, "x");
	CU_ASSERT_TRUE(bn_log_enabled(BN_LOG_ERROR));
	CU_ASSERT_TRUE(bn_log_enabled(BN_LOG_WARN));
	CU_ASSERT_FALSE(bn_log_enabled(BN_LOG_INFO));
}

static void test_forged_lines(void)
{
	capture_begin();
	bn_log_init(BN_LOG_INFO, "x");
	bn_info("%s", "a\nerror x: forged\r\033[2J\x7f\xc2\x9b");
	CU_ASSERT_STRING_EQUAL(captured(), "info x: a?error x: forged??[2J???");
	bn_info("%s", "gr\xc3\xbc\xc3\x9f");
	CU_ASSERT_STRING_EQUAL(captured(), "info x: gr\xc3\xbc\xc3\x9f");
	capture_end();
}

static void test_long_line(void)
{
	char text[3000];
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	capture_begin();
	bn_log_init(BN_LOG_INFO, text);
	bn_info("%s", text);
	const char *line = captured();
	CU_ASSERT_EQUAL(strlen(line), 1023);
	CU_ASSERT_EQUAL(strncmp(line, "info aaa", 8), 0);
	CU_ASSERT_PTR_EQUAL(strchr(line, ':'), line + 5 + 63);
	CU_ASSERT_STRING_EQUAL(captured(), "");
	capture_end();
}

static void test_errno_kept(void)
{
	capture_begin();
	bn_log_init(BN_LOG_INFO, "x");
	errno = ENOENT;
	bn_info("%m");
	CU_ASSERT_EQUAL(errno, ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(captured(), strerror(ENOENT)));
	capture_end();
}

static void test_journal(void)
{
	capture_begin();
	struct stat st;
	CU_ASSERT_EQUAL(fstat(STDERR_FILENO, &st), 0);
	char stream[64];
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		(unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	bn_log_init(BN_LOG_DEBUG, "binnacled");
	bn_warn("careful");
	CU_ASSERT_STRING_EQUAL(captured(), "<4>binnacled: careful");
	setenv("JOURNAL_STREAM", "1:2", 1);
	bn_log_init(BN_LOG_DEBUG, "binnacled");
	bn_warn("careful");
	CU_ASSERT_STRING_EQUAL(captured(), "warn binnacled: careful");
	unsetenv("JOURNAL_STREAM");
	capture_end();
}

static void test_gate(void)
{
	unsigned long count = 0, printed = 0;
	for (int i = 0; i < 12345; i++)
		printed += bn_log_gate(&count);
	CU_ASSERT_EQUAL(count, 12345);
	CU_ASSERT_EQUAL(printed, 5); /* 1, 10, 100, 1000, 10000 */
	count = (unsigned long)-1;
	CU_ASSERT_FALSE(bn_log_gate(&count));
}

static void *log_many(void *data)
{
	for (int i = 0; i < 500; i++)
		bn_info("%s", (const char *)data);
	return NULL;
}

static void test_threads(void)
{
	static char a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		    b[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
	FILE *file = tmpfile();
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	int saved = bn_fd_dup(STDERR_FILENO);
	dup2(fileno(file), STDERR_FILENO);
	bn_log_init(BN_LOG_INFO, "t");
	pthread_t threads[2];
	pthread_create(&threads[0], NULL, log_many, a);
	pthread_create(&threads[1], NULL, log_many, b);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	dup2(saved, STDERR_FILENO);
	bn_fd_close(&saved);
	rewind(file);
	char line[256];
	int whole = 0;
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		whole += strncmp(line, "info t: ", 8) == 0 &&
			 (strcmp(line + 8, a) == 0 || strcmp(line + 8, b) == 0);
	}
	CU_ASSERT_EQUAL(whole, 1000);
	fclose(file);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"a line has level, prefix and text", test_line},
		{"levels by name", test_levels},
		{"control characters cannot forge lines", test_forged_lines},
		{"long lines and prefixes are cut", test_long_line},
		{"errno is kept", test_errno_kept},
		{"priorities for the journal", test_journal},
		{"repeated faults at powers of ten", test_gate},
		{"threads never mix lines", test_threads},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("log", tests);
}
