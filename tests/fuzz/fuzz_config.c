/* Configuration files. Input: the text. */
#include "fuzz.h"

#include <errno.h>
#include <string.h>

#include "common/config.h"

bool bn_fuzz_accepted;

struct values {
	bool flag;
	unsigned number, width, height, refresh_mhz;
	size_t length;
};

static bool read_flag(void *object, const char *key, const char *value, const char **expected)
{
	*expected = "yes or no";
	return bn_config_bool(value, &((struct values *)object)->flag);
}

static bool read_number(void *object, const char *key, const char *value, const char **expected)
{
	struct values *v = object;
	*expected = "a number from 1 to 16";
	bool ok = bn_config_uint(value, 1, 16, &v->number);
	BN_FUZZ_REQUIRE(!ok || (v->number >= 1 && v->number <= 16));
	return ok;
}

static bool read_mode(void *object, const char *key, const char *value, const char **expected)
{
	struct values *v = object;
	*expected = "WIDTHxHEIGHT[@HZ]";
	bool ok = bn_config_mode(value, &v->width, &v->height, &v->refresh_mhz);
	BN_FUZZ_REQUIRE(!ok || (v->width >= 1 && v->width <= 65535 && v->height >= 1 &&
				       v->refresh_mhz <= 1000999));
	return ok;
}

static bool read_scanout(void *object, const char *key, const char *value, const char **expected)
{
	BN_FUZZ_REQUIRE(strncmp(key, "scanout.", 8) == 0 && key[8] >= '0' && key[8] <= '9');
	((struct values *)object)->length += strlen(value);
	return true;
}

static void *begin(void *data, const char *name, int line, const char **why)
{
	BN_FUZZ_REQUIRE(strlen(name) <= 31 && line >= 1);
	*why = "refused";
	return strcmp(name, "refused") == 0 ? NULL : data;
}

static const struct bn_config_key keys[] = {
	{.name = "flag", .read = read_flag},
	{.name = "number", .read = read_number},
	{.name = "mode", .read = read_mode},
	{.name = "scanout.", .prefix = true, .read = read_scanout},
	{0},
};
static const struct bn_config_section sections[] = {
	{.name = "core", .begin = begin, .keys = keys},
	{.name = "vm", .named = true, .repeated = true, .begin = begin, .keys = keys},
	{.name = "only", .named = true, .begin = begin, .keys = keys},
	{0},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct values values = {0};
	struct bn_config_errors errors = {0};
	int lines = 1;
	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	int ret = bn_config_read_text((const char *)data, size, sections, &values, &errors);
	BN_FUZZ_REQUIRE(ret == 0 || ret == -EINVAL);
	BN_FUZZ_REQUIRE((ret == 0) == (errors.count == 0) && errors.count <= BN_CONFIG_MAX_ERRORS);
	for (size_t i = 0; i < errors.count; i++) {
		const struct bn_config_error *e = &errors.list[i];
		BN_FUZZ_REQUIRE(e->line >= 1 && e->line <= lines);
		BN_FUZZ_REQUIRE(i == 0 || e->line >= errors.list[i - 1].line);
		BN_FUZZ_REQUIRE(e->text[0] && memchr(e->text, '\0', sizeof(e->text)) &&
				!strpbrk(e->text, "\n\r\033"));
	}
	bn_config_errors_finish(&errors);
	bn_fuzz_accepted = ret == 0;
	return 0;
}
