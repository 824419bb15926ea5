#include "json.h"

#include <math.h>

#include <json-c/json.h>

struct json_object *bn_json_member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;
	if (json_object_is_type(object, json_type_object))
		json_object_object_get_ex(object, key, &value);
	return value;
}

const char *bn_json_text(struct json_object *object, const char *key)
{
	struct json_object *value = bn_json_member(object, key);
	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

static bool is_number(struct json_object *value)
{
	return json_object_is_type(value, json_type_int) ||
	       json_object_is_type(value, json_type_double);
}

double bn_json_number(struct json_object *object, const char *key)
{
	struct json_object *value = bn_json_member(object, key);
	double n = is_number(value) ? json_object_get_double(value) : NAN;
	return isfinite(n) ? n : NAN;
}

uint64_t bn_json_count(struct json_object *object, const char *key)
{
	struct json_object *value = bn_json_member(object, key);
	return is_number(value) && json_object_get_double(value) > 0 ? json_object_get_uint64(value)
								     : 0;
}

bool bn_json_bool(struct json_object *object, const char *key)
{
	struct json_object *value = bn_json_member(object, key);
	return json_object_is_type(value, json_type_boolean) && json_object_get_boolean(value);
}

struct json_object *bn_json_array(struct json_object *object, const char *key, unsigned *length)
{
	struct json_object *value = bn_json_member(object, key);
	*length = 0;
	if (!json_object_is_type(value, json_type_array))
		return NULL;
	*length = (unsigned)json_object_array_length(value);
	return value;
}

struct json_object *bn_json_request(const char *command)
{
	struct json_object *request = json_object_new_object();
	bn_json_add_text(request, "command", command);
	return request;
}

void bn_json_add_text(struct json_object *object, const char *key, const char *value)
{
	json_object_object_add(object, key, json_object_new_string(value));
}
