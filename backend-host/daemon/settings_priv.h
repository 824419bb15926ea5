/* What settings.c and the settings_*.c beside it have in common. */
#ifndef BN_DAEMON_SETTINGS_PRIV_H
#define BN_DAEMON_SETTINGS_PRIV_H

#include "settings.h"

/* Milliseconds, with or without "ms", or microseconds with "us"; to nanoseconds. */
bool bn_settings_parse_time(const char *value, uint64_t min, uint64_t max, uint64_t *out);
/* "10,-20": exactly that many numbers. */
bool bn_settings_parse_numbers(const char *value, long *out, unsigned count);
/* X,Y,WIDTH,HEIGHT; "none": all zero. */
bool bn_settings_parse_rect(const char *value, struct bn_rect *out);

/* Readers for bn_config_key tables; object is the struct bn_settings, or the struct
 * bn_settings_vm. */
bool bn_settings_read_policy(
	void *object, const char *key, const char *value, const char **expected);
bool bn_settings_read_realtime(
	void *object, const char *key, const char *value, const char **expected);
bool bn_settings_read_cpus(void *object, const char *key, const char *value, const char **expected);
bool bn_settings_read_queue_depth(
	void *object, const char *key, const char *value, const char **expected);
/* compositor-lead, compositor-time, dispatch, batch-overhead. */
bool bn_settings_read_core_time(
	void *object, const char *key, const char *value, const char **expected);
bool bn_settings_read_vm_sched(
	void *object, const char *key, const char *value, const char **expected);

void bn_settings_sched_defaults(struct bn_settings *settings);
/* Records what does not go together. */
void bn_settings_check_sched(const struct bn_settings *settings, struct bn_config_errors *errors);

/* settings_output.c */
extern const struct bn_config_key bn_settings_output_keys[];
void *bn_settings_begin_output(void *data, const char *name, int line, const char **why);
void bn_settings_check_outputs(struct bn_settings *settings, struct bn_config_errors *errors);

/* settings_scene.c */
extern const struct bn_config_key bn_settings_layer_keys[];
void *bn_settings_begin_layer(void *data, const char *name, int line, const char **why);
/* Adds what scanout.N= implies, and records what is wrong with the whole. */
void bn_settings_check_scene(struct bn_settings *settings, struct bn_config_errors *errors);

/* settings_watch.c */
extern const struct bn_config_key bn_settings_watch_keys[];
void *bn_settings_begin_watch(void *data, const char *name, int line, const char **why);
/* boot= and fallback= of an output. */
bool bn_settings_read_output_picture(
	void *object, const char *key, const char *value, const char **expected);
/* settings_watch_check.c: after the scene. Reads the pictures, whose names count from the folder
 * of the configuration at path, and records what is wrong. */
void bn_settings_check_watches(
	struct bn_settings *settings, const char *path, struct bn_config_errors *errors);

#endif
