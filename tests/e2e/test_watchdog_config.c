/* What the service says of mistakes in the configuration of watches and their pictures. */
#include <stdio.h>

#include "watchdog_rig.h"

static int check_config(void)
{
	char *argv[] = {(char *)e2e_program("BINNACLED"), (char *)"-c", e.ini,
		(char *)"--check-config", NULL};

	return e2e_run(argv, out, sizeof(out));
}

/* The first two lines are those of e2e_prepare(), and the next four the same for all. */
#define HEAD "[output dash]\nmode=320x120\n[vm cluster]\nscanout.0=dash\n"

static const struct {
	const char *ini;
	int line;
	const char *word;
} mistakes[] = {
	{HEAD "[watch a]\nlayer=cluster\nexpect=none.png\non-fault=event\n", 7,
		"none.png cannot be read"},
	{HEAD "[watch a]\nlayer=cluster\nregion=0,0,16,16\nexpect=belt.png\non-fault=event\n", 7,
		"belt.png has 32x32 pixels; 16x16 are expected"},
	{HEAD "[watch a]\nlayer=cluster\nregion=0,0,32,32\nabsent=text.png\non-fault=event\n", 7,
		"is no PNG file"},
	{HEAD "[watch a]\nlayer=cluster\nexpect=empty\non-fault=event\n", 7, "has no .png files"},
	{HEAD "[watch a]\nlayer=radio\nmax-age=100\non-fault=event\n", 7,
		"there is no layer 'radio'; one of these is expected: cluster"},
	{HEAD "[watch a]\nmax-age=100\non-fault=event\n", 7, "layer= is missing"},
	{HEAD "[watch a]\nlayer=cluster\non-fault=event\n", 7, "it has no rule"},
	{HEAD "[watch a]\nlayer=cluster\nregion=300,0,32,32\nmax-age=100\non-fault=event\n", 7,
		"is not within layer cluster"},
	{HEAD "[watch a]\nlayer=cluster\nregion=1,2,3\nmax-age=100\non-fault=event\n", 9,
		"X,Y,WIDTH,HEIGHT"},
	{HEAD "[watch a]\nlayer=cluster\nmax-age=100\n", 7, "fallback=FILE.png"},
	{HEAD "[watch a]\nlayer=cluster\nmax-age=100\nfallback=belt.png\n", 7,
		"do not cover the region"},
	{HEAD "[watch a]\nlayer=cluster\nmax-age=never\non-fault=event\n", 9, "milliseconds"},
	{HEAD "[watch a]\nlayer=cluster\nmax-age=100\nbad-frames=0\non-fault=event\n", 10,
		"1 to 10000"},
	{HEAD "[watch a]\nlayer=cluster\nmax-age=100\non-fault=panic\n", 10, "fallback"},
	{HEAD "[watch a]\nlayer=cluster\nmax-age=100\non-fault=event\nat=1,2\n", 7,
		"on-fault=event shows nothing"},
	{HEAD "[watch a]\nlayer=cluster\nmax-age=100\non-fault=event\nhook=reboot\n", 7,
		"absolute path"},
	{HEAD "[watch a]\nlayer=cluster\nmax-age=100\non-fault=event\nhook=/no/such\n", 7,
		"no such program"},
	{"[output dash]\nmode=320x120\nboot=belt.png\n[vm cluster]\nscanout.0=dash\n", 3,
		"boot=belt.png has 32x32 pixels; 320x120 are expected"},
	{"[output dash]\nmode=320x120\nfallback=none.png\n[vm cluster]\nscanout.0=dash\n", 3,
		"fallback=none.png cannot be read"},
};

static void test_mistakes(void)
{
	for (unsigned i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		char where[E2E_PATH + 32];

		CU_ASSERT_TRUE_FATAL(e2e_prepare(&e, mistakes[i].ini));
		write_pictures();
		FILE *f = fopen(file("text.png"), "w");
		fputs("\x89PNG\r\n\x1a\nhello", f);
		fclose(f);
		CU_ASSERT_TRUE(e2e_run((char *[]){(char *)"/bin/mkdir",
					       (char *)(uintptr_t)file("empty"), NULL},
				       out, sizeof(out)) == 0);
		CU_ASSERT_EQUAL(check_config(), 1);
		snprintf(where, sizeof(where), "%s:%d: ", e.ini, mistakes[i].line);
		says(where);
		says(mistakes[i].word);
		e2e_close(&e);
	}
}

/* A folder stands for its pictures. */
static void test_folder(void)
{
	CU_ASSERT_TRUE_FATAL(e2e_prepare(&e,
		HEAD "[watch a]\nlayer=cluster\nregion=0,0,32,32\nexpect=set\non-fault=event\n"));
	CU_ASSERT_TRUE(
		e2e_run((char *[]){(char *)"/bin/mkdir", (char *)(uintptr_t)file("set"), NULL}, out,
			sizeof(out)) == 0);
	CU_ASSERT_TRUE(tg_png_write_plain(file("set/a.png"), 1, 32, 32));
	CU_ASSERT_TRUE(tg_png_write_plain(file("set/b.png"), 2, 32, 32));
	CU_ASSERT_EQUAL(check_config(), 0);
	CU_ASSERT_TRUE(tg_png_write_plain(file("set/c.png"), 3, 31, 32));
	CU_ASSERT_EQUAL(check_config(), 1);
	says("set/c.png has 31x32 pixels");
	e2e_close(&e);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"mistakes", test_mistakes},
		{"a folder of pictures", test_folder},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("watchdog configuration", tests);
}
