#include "json_add.h"

#include <math.h>
#include <stdio.h>

#include <json-c/json.h>

void bn_json_add_uint(struct json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

void bn_json_add_text(struct json_object *object, const char *key, const char *value)
{
	json_object_object_add(object, key, json_object_new_string(value));
}

void bn_json_add_bool(struct json_object *object, const char *key, bool value)
{
	json_object_object_add(object, key, json_object_new_boolean(value));
}

static struct json_object *new_number(double value)
{
	char text[64];
	if (!isfinite(value))
		value = 0.0;
	value = round(value * 1000.0) / 1000.0;
	snprintf(text, sizeof(text), "%.3f", value);
	return json_object_new_double_s(value, text);
}

void bn_json_add_number(struct json_object *object, const char *key, double value)
{
	json_object_object_add(object, key, new_number(value));
}

void bn_json_add_ms(struct json_object *object, const char *key, uint64_t ns)
{
	bn_json_add_number(object, key, (double)ns / 1e6);
}

void bn_json_add_us(struct json_object *object, const char *key, uint64_t ns)
{
	bn_json_add_number(object, key, (double)ns / 1e3);
}

struct json_object *bn_json_new_ms(uint64_t ns)
{
	return new_number((double)ns / 1e6);
}
