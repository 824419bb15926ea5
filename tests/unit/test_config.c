#include "unit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config.h"

/* What the sections below read into, and in which order begin() was called. */
struct box {
	char begun[256];
	bool flag;
	unsigned number, width, height, refresh;
	char text[64], scanouts[64];
};

static bool read_flag(void *object, const char *key, const char *value, const char **expected)
{
	*expected = "yes or no";
	return bn_config_bool(value, &((struct box *)object)->flag);
}

static bool read_number(void *object, const char *key, const char *value, const char **expected)
{
	*expected = "a number from 1 to 10";
	return bn_config_uint(value, 1, 10, &((struct box *)object)->number);
}

static bool read_mode(void *object, const char *key, const char *value, const char **expected)
{
	struct box *b = object;
	*expected = "WIDTHxHEIGHT[@HZ], for example 1280x480@60";
	return bn_config_mode(value, &b->width, &b->height, &b->refresh);
}

static bool read_text(void *object, const char *key, const char *value, const char **expected)
{
	struct box *b = object;
	snprintf(b->text, sizeof(b->text), "%s", value);
	return true;
}

static bool read_scanout(void *object, const char *key, const char *value, const char **expected)
{
	struct box *b = object;
	size_t at = strlen(b->scanouts);
	snprintf(b->scanouts + at, sizeof(b->scanouts) - at, "%s=%s;", key, value);
	return true;
}

static void *begin(void *data, const char *name, int line, const char **why)
{
	struct box *b = data;
	size_t at = strlen(b->begun);
	snprintf(b->begun + at, sizeof(b->begun) - at, "%s@%d;", name, line);
	*why = "not today";
	return strcmp(name, "refused") == 0 ? NULL : b;
}

static const struct bn_config_key core_keys[] = {
	{.name = "flag", .read = read_flag},
	{.name = "number", .read = read_number},
	{.name = "text", .read = read_text},
	{0},
};
static const struct bn_config_key vm_keys[] = {
	{.name = "mode", .read = read_mode},
	{.name = "scanout.", .prefix = true, .read = read_scanout},
	{0},
};
static const struct bn_config_section sections[] = {
	{.name = "core", .begin = begin, .keys = core_keys},
	{.name = "vm", .named = true, .repeated = true, .begin = begin, .keys = vm_keys},
	{.name = "only", .named = true, .begin = begin, .keys = vm_keys},
	{0},
};

static struct box box;
static struct bn_config_errors errors;

static int read_string(const char *text)
{
	memset(&box, 0, sizeof(box));
	bn_config_errors_finish(&errors);
	return bn_config_read_text(text, strlen(text), sections, &box, &errors);
}

/* Reads text and expects exactly one error, in this line and with this text in it. */
static bool one_error(const char *text, int line, const char *part)
{
	int ret = read_string(text);
	bool ok = ret == -EINVAL && errors.count == 1 && errors.list[0].line == line &&
		  strstr(errors.list[0].text, part) != NULL;
	for (size_t i = 0; !ok && i < errors.count; i++)
		fprintf(stderr, "got %d: %d: %s\n", ret, errors.list[i].line, errors.list[i].text);
	bn_config_errors_finish(&errors);
	return ok;
}

static void test_good(void)
{
	CU_ASSERT_EQUAL(read_string("# comment\n; comment\n\n[core]\nflag = yes\n number=7 ; "
				    "why\r\ntext: a = b\n"
				    "[vm cluster]\n[vm  cockpit "
				    "]\n\tmode=1280x480@59.94\nscanout.0=left\nscanout.12=right"),
		0);
	CU_ASSERT_EQUAL(errors.count, 0);
	CU_ASSERT_TRUE(box.flag);
	CU_ASSERT_EQUAL(box.number, 7);
	CU_ASSERT_STRING_EQUAL(box.text, "a = b");
	CU_ASSERT_STRING_EQUAL(box.begun, "@4;cluster@8;cockpit@9;");
	CU_ASSERT_EQUAL(box.width, 1280);
	CU_ASSERT_EQUAL(box.refresh, 59940);
	CU_ASSERT_STRING_EQUAL(box.scanouts, "scanout.0=left;scanout.12=right;");
	CU_ASSERT_EQUAL(read_string(""), 0);
	CU_ASSERT_EQUAL(read_string("\xef\xbb\xbf[core]\nflag=1"), 0);
	CU_ASSERT_TRUE(box.flag);
	CU_ASSERT_EQUAL(read_string("[core] # the core\ntext="), 0);
}

static void test_keys(void)
{
	CU_ASSERT_TRUE(one_error("[core]\n\nnumbr=3", 3, "did you mean 'number'?"));
	CU_ASSERT_TRUE(one_error("[core]\nwhatever=3", 2, "known keys: flag, number, text"));
	CU_ASSERT_TRUE(one_error("[vm a]\nscanot.3=x", 2, "did you mean 'scanout.3'?"));
	CU_ASSERT_TRUE(one_error("[vm a]\nscanout=x", 2, "did you mean 'scanout.0'?"));
	CU_ASSERT_TRUE(one_error("[vm a]\nscanout.x1=x", 2, "unknown key 'scanout.x1'"));
	CU_ASSERT_TRUE(one_error("[core]\nnumber=11", 2,
		"number: '11' is not valid; expected a number from 1 to 10"));
	CU_ASSERT_TRUE(one_error(
		"[vm a]\nmode=big", 2, "expected WIDTHxHEIGHT[@HZ], for example 1280x480@60"));
	CU_ASSERT_TRUE(one_error("[core]\nflag=1\nflag=0", 3, "'flag' is given already in line 2"));
	CU_ASSERT_TRUE(one_error("flag=1\n[core]", 1, "before the first [section]"));
	CU_ASSERT_EQUAL(read_string("[vm a]\nmode=1x1\n[vm b]\nmode=2x2"), 0);
}

static void test_headers(void)
{
	CU_ASSERT_TRUE(one_error("[coer]\nflag=1\nnonsense=2", 1, "did you mean [core]?"));
	CU_ASSERT_TRUE(
		one_error("[display x]", 1, "known sections: [core], [vm NAME], [only NAME]"));
	CU_ASSERT_TRUE(one_error("[core x]", 1, "takes no name"));
	CU_ASSERT_TRUE(one_error("[vm]", 1, "expected [vm NAME]"));
	CU_ASSERT_TRUE(one_error("[vm a b]", 1, "expected [vm NAME]"));
	CU_ASSERT_TRUE(one_error("[vm a/b]", 1, "a-z A-Z 0-9 - _"));
	CU_ASSERT_TRUE(one_error("[vm aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]", 1, "1 to 31 characters"));
	CU_ASSERT_EQUAL(read_string("[vm aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]"), 0);
	CU_ASSERT_TRUE(
		one_error("[core]\n[core]\nflag=what", 2, "[core] is given already in line 1"));
	CU_ASSERT_TRUE(one_error("[vm a]\n[core]\n[vm a]", 3, "[vm a] is given already in line 1"));
	CU_ASSERT_TRUE(one_error("[only a]\n[only b]", 2,
		"only one [only NAME] is allowed, and there is one in line 1"));
	CU_ASSERT_TRUE(one_error("[vm refused]\nmode=1", 1, "[vm refused]: not today"));
	CU_ASSERT_TRUE(one_error("[]", 1, "unknown section []"));
}

static void test_syntax(void)
{
	CU_ASSERT_TRUE(one_error("[core\nflag=1", 1, "']' is missing"));
	CU_ASSERT_TRUE(one_error("[core] flag=1", 1, "text after ']'"));
	CU_ASSERT_TRUE(
		one_error("[core]\nflag", 2, "'flag' is no key; expected KEY=VALUE or [SECTION]"));
	CU_ASSERT_TRUE(one_error("[core]\nflag ; = 1", 2, "is no key"));
	CU_ASSERT_TRUE(one_error("[core]\n= 1", 2, "is no key"));
	CU_ASSERT_TRUE(one_error("[core]\n\x1b[2J", 2, "'?[2J' is no key"));
	char lengthy[400] = "[core]\ntext=";
	memset(lengthy + 12, 'a', 300);
	CU_ASSERT_TRUE(one_error(lengthy, 2, "the line is too long"));
	bn_config_errors_finish(&errors);
	CU_ASSERT_EQUAL(
		bn_config_read_text("[core]\ntext=a\0b\n", 16, sections, &box, &errors), -EINVAL);
	CU_ASSERT_EQUAL(errors.count, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(errors.list[0].text, "zero byte"));
	bn_config_errors_finish(&errors);
}

/* All mistakes of a file are told at once, in the order of their lines. */
static void test_many(void)
{
	CU_ASSERT_EQUAL(
		read_string("x=1\n[core]\nflag=2\nfoo\nnumber=0\n[vm]\n[vm a]\nmode=1\nflag=1\n"),
		-EINVAL);
	const int lines[] = {1, 3, 4, 5, 6, 8, 9};
	CU_ASSERT_EQUAL_FATAL(errors.count, 7);
	for (int i = 0; i < 7; i++)
		CU_ASSERT_EQUAL(errors.list[i].line, lines[i]);
	bn_config_errors_finish(&errors);

	char text[1000];
	memset(text, '\n', sizeof(text));
	for (int i = 0; i < 999; i += 2)
		text[i] = 'x';
	CU_ASSERT_EQUAL(bn_config_read_text(text, sizeof(text), sections, &box, &errors), -EINVAL);
	CU_ASSERT_EQUAL(errors.count, BN_CONFIG_MAX_ERRORS);
	CU_ASSERT_PTR_NOT_NULL(strstr(errors.list[errors.count - 1].text, "too many"));
	bn_config_errors_finish(&errors);
	CU_ASSERT_EQUAL(errors.count, 0);
	bn_config_errors_finish(&errors);
}

static void test_files(void)
{
	char path[] = "/tmp/binnacle-test-config-XXXXXX";
	int fd = mkstemp(path);
	const char text[] = "[core]\nnumber=3\n";
	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	memset(&box, 0, sizeof(box));
	CU_ASSERT_EQUAL(bn_config_read(path, sections, &box, &errors), 0);
	CU_ASSERT_EQUAL(box.number, 3);
	CU_ASSERT_EQUAL(ftruncate(fd, 2 << 20), 0);
	CU_ASSERT_EQUAL(bn_config_read(path, sections, &box, &errors), -EFBIG);
	close(fd);
	unlink(path);
	CU_ASSERT_EQUAL(bn_config_read(path, sections, &box, &errors), -ENOENT);
	CU_ASSERT_EQUAL(bn_config_read("/tmp", sections, &box, &errors), -EISDIR);
	CU_ASSERT_EQUAL(errors.count, 3);
	CU_ASSERT_EQUAL(errors.list[1].line, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(errors.list[1].text, "cannot be read: No such file"));
	bn_config_errors_finish(&errors);
}

static void test_values(void)
{
	bool b = false;
	CU_ASSERT_TRUE(bn_config_bool("On", &b) && b);
	CU_ASSERT_TRUE(bn_config_bool("false", &b) && !b);
	CU_ASSERT_FALSE(
		bn_config_bool("", &b) || bn_config_bool("2", &b) || bn_config_bool("yess", &b));
	unsigned n = 5;
	CU_ASSERT_TRUE(bn_config_uint("0", 0, 9, &n) && n == 0);
	CU_ASSERT_TRUE(bn_config_uint("4294967295", 0, UINT32_MAX, &n) && n == UINT32_MAX);
	const char *bad_numbers[] = {
		"", "-1", "+1", " 1", "1 ", "0x1", "4294967296", "99999999999999999999999", "1.0"};
	for (size_t i = 0; i < sizeof(bad_numbers) / sizeof(bad_numbers[0]); i++)
		CU_ASSERT_FALSE(bn_config_uint(bad_numbers[i], 0, UINT32_MAX, &n));
	unsigned w = 0, h = 0, mhz = 7;
	CU_ASSERT_TRUE(bn_config_mode("1920x1080", &w, &h, &mhz));
	CU_ASSERT_TRUE(w == 1920 && h == 1080 && mhz == 7);
	CU_ASSERT_TRUE(bn_config_mode("640x480@60.5", &w, &h, &mhz) && mhz == 60500);
	CU_ASSERT_TRUE(bn_config_mode("640x480@144", &w, &h, &mhz) && mhz == 144000);
	const char *bad_modes[] = {"", "640", "640x", "x480", "0x480", "640x0", "640x480@",
		"640x480@0", "640x480@60.", "640x480@60.1234", "640X480", "640x480 ", "-640x480",
		"640x480@60Hz", "65536x1", "640x480@1001"};
	for (size_t i = 0; i < sizeof(bad_modes) / sizeof(bad_modes[0]); i++)
		CU_ASSERT_FALSE(bn_config_mode(bad_modes[i], &w, &h, &mhz));
	CU_ASSERT_TRUE(w == 640 && h == 480 && mhz == 144000);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"a good file", test_good},
		{"keys", test_keys},
		{"headers", test_headers},
		{"syntax", test_syntax},
		{"many mistakes", test_many},
		{"files", test_files},
		{"values", test_values},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("config", tests);
}
