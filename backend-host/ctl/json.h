/* Reading answers: whatever a field is, or whether it is there at all, these cope with it. */
#ifndef BN_CTL_JSON_H
#define BN_CTL_JSON_H

#include <stdbool.h>
#include <stdint.h>

struct json_object;

/* The member, borrowed; NULL when object is none, or has none of that name. */
struct json_object *bn_json_member(struct json_object *object, const char *key);
/* "" when it is missing or no string. Borrowed. */
const char *bn_json_text(struct json_object *object, const char *key);
/* NAN when it is missing, no number, or not finite. */
double bn_json_number(struct json_object *object, const char *key);
/* 0 when it is missing, no number or negative. */
uint64_t bn_json_count(struct json_object *object, const char *key);
bool bn_json_bool(struct json_object *object, const char *key);
/* The array behind key and its length; NULL and 0 when it is none. Borrowed. */
struct json_object *bn_json_array(struct json_object *object, const char *key, unsigned *length);

/* A new request for that command; the caller's to put. */
struct json_object *bn_json_request(const char *command);
void bn_json_add_text(struct json_object *object, const char *key, const char *value);

#endif
