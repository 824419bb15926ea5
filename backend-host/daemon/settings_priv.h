/* What settings.c and the settings_*.c beside it have in common. */
#ifndef BN_DAEMON_SETTINGS_PRIV_H
#define BN_DAEMON_SETTINGS_PRIV_H

#include "settings.h"

/* Readers for bn_config_key tables; object is the struct bn_settings, or the struct
 * bn_settings_vm. */
bool bn_settings_read_policy(
	void *object, const char *key, const char *value, const char **expected);
bool bn_settings_read_realtime(
	void *object, const char *key, const char *value, const char **expected);
bool bn_settings_read_cpus(void *object, const char *key, const char *value, const char **expected);
bool bn_settings_read_queue_depth(
	void *object, const char *key, const char *value, const char **expected);
/* compositor-lead, dispatch, batch-overhead. */
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

#endif
