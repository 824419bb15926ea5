/* binnaclectl's text: hostile strings, numbers in few columns, bars, sparklines, the grid. */
#include "unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "grid.h"
#include "text.h"

static void cleans_to(const char *text, const char *expected)
{
	char out[256] = "";
	size_t len = 0;
	uint32_t c;
	while ((c = bn_text_next(&text)) && len + 5 < sizeof(out))
		len += bn_text_encode(c, out + len);
	out[len] = '\0';
	if (strcmp(out, expected) != 0)
		fprintf(stderr, "\n'%s', not '%s'\n", out, expected);
	CU_ASSERT_STRING_EQUAL(out, expected);
}

static void test_hostile(void)
{
	cleans_to("plain", "plain");
	cleans_to("Größe µs σ", "Größe µs σ");
	cleans_to("\033[2J\a\n\t\x7f", "?[2J????");
	cleans_to("\xc2\x9b"
		  "31m",
		"?31m"); /* CSI as one character */
	cleans_to("\xe2\x80\xae"
		  "evil",
		"?evil");                      /* right to left from here */
	cleans_to("\xc0\xaf\xff\xfe", "????"); /* no UTF-8 */
	cleans_to("\xe2\x82", "??");           /* ends too early */
	cleans_to("\xf0\x9f\x98\x80", "?");    /* two columns wide */
	cleans_to("e\xcc\x81", "e?");          /* none wide */
	cleans_to("\xf4\x90\x80\x80", "?");    /* beyond Unicode */
}

static void prints(const char *text, const char *expected)
{
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);
	bn_text_print(f, text);
	fclose(f);
	CU_ASSERT_STRING_EQUAL(out, expected);
	free(out);
}

static void test_print(void)
{
	prints("a\tb\nR ≤ D − 1\n", "a\tb\nR ≤ D − 1\n");
	prints("\033]0;title\a\r", "?]0;title??");
	prints("\xe2\x80\xae\xef\xbb\xbf", "??");
}

static void is(double value, unsigned width, unsigned decimals, const char *expected)
{
	char out[BN_TEXT_NUMBER];
	bn_text_number(out, value, width, decimals);
	if (strcmp(out, expected) != 0)
		fprintf(stderr, "\n%g in %u: '%s', not '%s'\n", value, width, out, expected);
	CU_ASSERT_STRING_EQUAL(out, expected);
}

static void test_numbers(void)
{
	is(16.667, 5, 2, "16.67");
	is(116.667, 5, 2, "116.7");
	is(11616.667, 5, 2, "11617");
	is(116167, 5, 2, "116k");
	is(1161670000, 4, 0, "1G");
	is(9999999, 4, 0, "10M");
	is(0, 3, 1, "0.0");
	is(100, 3, 1, "100");
	is(99.96, 4, 1, "100");
	is(NAN, 5, 2, "-");
	is(INFINITY, 5, 2, "-");
	is(1e300, 5, 2, "?");
	is(-1.5, 4, 1, "-1.5");
	is(1e300, 500, 9, "?");
}

static void test_durations(void)
{
	static const struct {
		double seconds;
		const char *text;
	} cases[] = {{0, "0 s"}, {59.9, "59 s"}, {65, "1 min 05 s"}, {3725, "1 h 02 min"},
		{90000, "1 d 01 h"}, {-1, "-"}, {NAN, "-"}, {1e30, "-"}};
	char out[BN_TEXT_NUMBER];
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CU_ASSERT_STRING_EQUAL(bn_text_duration(out, cases[i].seconds), cases[i].text);
}

static void bar_is(double part, unsigned width, bool ascii, const char *expected)
{
	char out[256];
	size_t len = 0;
	for (unsigned i = 0; i < width; i++)
		len += bn_text_encode(bn_text_bar(part, i, width, ascii), out + len);
	out[len] = '\0';
	if (strcmp(out, expected) != 0)
		fprintf(stderr, "\n%g: '%s', not '%s'\n", part, out, expected);
	CU_ASSERT_STRING_EQUAL(out, expected);
}

static void test_bars(void)
{
	bar_is(0, 4, false, "░░░░");
	bar_is(1, 4, false, "████");
	bar_is(7, 4, false, "████");
	bar_is(-1, 4, false, "░░░░");
	bar_is(NAN, 4, false, "░░░░");
	bar_is(0.5, 4, false, "██░░");
	bar_is(0.625, 4, false, "██▌░");
	bar_is(0.53, 4, false, "██▏░");
	bar_is(0.5, 4, true, "##..");
	bar_is(1.5, 4, true, "####");
}

static void spark_is(bool ascii, const char *expected)
{
	/* of a period of 16 */
	static const double ms[] = {0, NAN, -1, 0.1, 4.6, 9.2, 16, 18, 23.9, 24, 33, INFINITY};
	char out[256];
	size_t len = 0;
	for (unsigned i = 0; i < sizeof(ms) / sizeof(ms[0]); i++)
		len += bn_text_encode(bn_text_spark(ms[i], 16, ascii), out + len);
	out[len] = '\0';
	CU_ASSERT_STRING_EQUAL(out, expected);
}

static void test_sparks(void)
{
	spark_is(false, "   ▁▂▄▇▇▇███");
	spark_is(true, "   _.:***###");
	/* Without a period there is nothing to miss. */
	CU_ASSERT_FALSE(bn_text_missed(1000, 0));
	CU_ASSERT_FALSE(bn_text_missed(1000, NAN));
	CU_ASSERT_EQUAL(bn_text_spark(1000, NAN, false), 0x2587);
}

static void row_is(const struct bn_grid *g, unsigned row, const char *expected)
{
	char out[256];
	bn_grid_row(g, row, out, sizeof(out));
	CU_ASSERT_STRING_EQUAL(out, expected);
}

static void test_grid(void)
{
	struct bn_grid g;
	CU_ASSERT_EQUAL_FATAL(bn_grid_init(&g, 3, 10, false), 0);
	CU_ASSERT_EQUAL(bn_grid_text(&g, 0, 2, 4, 0, "abcdefg"), 4);
	row_is(&g, 0, "  abc…");
	CU_ASSERT_EQUAL(bn_grid_text(&g, 0, 8, 40, 0, "xyz"), 2);
	row_is(&g, 0, "  abc…  x…");
	bn_grid_right(&g, 1, 2, 6, 0, "12");
	row_is(&g, 1, "      12");
	CU_ASSERT_EQUAL(bn_grid_text(&g, 1, 10, 4, 0, "out"), 0);
	CU_ASSERT_EQUAL(bn_grid_text(&g, 1, UINT32_MAX, 4, 0, "out"), 0);
	bn_grid_cell(&g, 3, 0, 'x', 0); /* below */
	CU_ASSERT_EQUAL(bn_grid_printf(&g, 2, 1, 0, "%s\n", "\033[m"), 5);
	row_is(&g, 2, " ?[m?");
	row_is(&g, 7, "");
	char small[4];
	bn_grid_row(&g, 0, small, sizeof(small));
	CU_ASSERT_TRUE(strlen(small) < sizeof(small));
	bn_grid_finish(&g);
	bn_grid_finish(&g);
	CU_ASSERT_EQUAL_FATAL(bn_grid_init(&g, 0, UINT32_MAX, true), 0);
	CU_ASSERT_EQUAL(g.rows, 1);
	CU_ASSERT_EQUAL(g.cols, 1000);
	bn_grid_text(&g, 0, 0, 3, 0, "µabc");
	row_is(&g, 0, "?a~");
	bn_grid_finish(&g);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"hostile text", test_hostile},
		{"printing it", test_print},
		{"numbers", test_numbers},
		{"durations", test_durations},
		{"bars", test_bars},
		{"sparklines", test_sparks},
		{"grid", test_grid},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("ctl_text", tests);
}
