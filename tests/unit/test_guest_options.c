/* The command line of guest programs. */
#include "options.h"

#include <stdint.h>
#include <unistd.h>

#include "unit.h"

static struct {
	bool flag;
	const char *text;
	int number, size[2];
	double real;
} got;

static const struct bn_option table[] = {
	{"flag", bn_option_flag, &got.flag},
	{"text", bn_option_text, &got.text},
	{"number", bn_option_number, &got.number, -3, 100},
	{"real", bn_option_real, &got.real, 0, 1e7},
	{"size", bn_option_size, got.size, 1, 640},
	{0},
};

static FILE *used; /* where usage was last printed */

static void usage(FILE *out)
{
	used = out;
}

/* getopt's own words go nowhere. */
static int read_words(const char *const *words)
{
	FILE *real = stderr, *null = fopen("/dev/null", "w");
	int argc = 0, status;

	while (words[argc])
		argc++;
	CU_ASSERT_PTR_NOT_NULL_FATAL(null);
	used = NULL;
	optind = 0; /* getopt begins anew */
	stderr = null;
	status = bn_options_read(argc, (char **)(uintptr_t)words, table, usage);
	CU_ASSERT_PTR_EQUAL(used, status < 0 ? NULL : status ? null : stdout);
	stderr = real;
	fclose(null);
	return status;
}

#define READ(...) read_words((const char *[5]){"test", __VA_ARGS__})

static void test_values(void)
{
	CU_ASSERT_EQUAL(READ(NULL), -1);
	CU_ASSERT_FALSE(got.flag);
	CU_ASSERT_EQUAL(READ("--flag", "--number=-3"), -1);
	CU_ASSERT_TRUE(got.flag);
	CU_ASSERT_EQUAL(got.number, -3);
	CU_ASSERT_EQUAL(READ("--text", "a b"), -1);
	CU_ASSERT_STRING_EQUAL(got.text, "a b");
	CU_ASSERT_EQUAL(READ("--real=2.5", "--size", "640x1"), -1);
	CU_ASSERT_EQUAL(got.real, 2.5);
	CU_ASSERT_EQUAL(got.size[0], 640);
	CU_ASSERT_EQUAL(got.size[1], 1);
}

static void test_help(void)
{
	CU_ASSERT_EQUAL(READ("--help"), 0);
	CU_ASSERT_EQUAL(READ("-h", "--nonsense"), 0);
}

/* Each is refused, and what was there stays. */
static void test_mistakes(void)
{
	static const char *const words[][2] = {
		{"--nonsense"},
		{"word"},
		{"--flag=1"},
		{"--number"},
		{"--number", ""},
		{"--number", "7x"},
		{"--number", "101"},
		{"--number", "-4"},
		{"--number", "99999999999999999999"},
		{"--real", "nan"},
		{"--real", "-0.1"},
		{"--real", "1e8"},
		{"--real", "1s"},
		{"--size", "640"},
		{"--size", "0x4"},
		{"--size", "641x4"},
		{"--size", "4x4x"},
	};

	got.number = 5;
	got.real = 1.5;
	got.size[0] = got.size[1] = 7;
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		CU_ASSERT_EQUAL(READ(words[i][0], words[i][1]), 2);
	CU_ASSERT_EQUAL(got.number, 5);
	CU_ASSERT_EQUAL(got.real, 1.5);
	CU_ASSERT_EQUAL(got.size[0] + got.size[1], 14);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"values", test_values},
		{"help", test_help},
		{"mistakes", test_mistakes},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("guest options", tests);
}
