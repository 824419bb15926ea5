/* Members of a JSON object, as status and control answers have them. */
#ifndef BN_DAEMON_JSON_ADD_H
#define BN_DAEMON_JSON_ADD_H

#include <stdbool.h>
#include <stdint.h>

struct json_object;

void bn_json_add_uint(struct json_object *object, const char *key, uint64_t value);
void bn_json_add_text(struct json_object *object, const char *key, const char *value);
void bn_json_add_bool(struct json_object *object, const char *key, bool value);
/* Three decimals: a microsecond where the unit is a millisecond. What is no number becomes 0. */
void bn_json_add_number(struct json_object *object, const char *key, double value);
void bn_json_add_ms(struct json_object *object, const char *key, uint64_t ns);
void bn_json_add_us(struct json_object *object, const char *key, uint64_t ns);
/* The number that bn_json_add_ms() adds, as an object of its own (the caller's): for arrays. */
struct json_object *bn_json_new_ms(uint64_t ns);

#endif
