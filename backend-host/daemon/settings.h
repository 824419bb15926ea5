/* What binnacled was told to do: the INI file as a struct, checked as a whole. The file's manner
 * is weston.ini's; binnacle.ini(5) describes every key. */
#ifndef BN_DAEMON_SETTINGS_H
#define BN_DAEMON_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "common/log.h"
#include "compositor/output.h"
#include "protocol/link.h"

#define BN_SETTINGS_VMS_MAX 32
#define BN_SETTINGS_OUTPUTS_MAX 32
#define BN_SETTINGS_NAME_MAX 32  /* of a VM, with its NUL: what bn_link_hello holds */
#define BN_SETTINGS_PATH_MAX 108 /* of a socket, with its NUL: sockaddr_un.sun_path */

enum bn_settings_gpu {
	BN_SETTINGS_GPU_AUTO, /* the first render node that opens, else the software rasteriser */
	BN_SETTINGS_GPU_SURFACELESS,
	BN_SETTINGS_GPU_NONE,
	BN_SETTINGS_GPU_NODE, /* gpu_path */
};

struct bn_settings_output {
	struct bn_output_config config;
	int line; /* of its header */
};

struct bn_settings_vm {
	char name[BN_SETTINGS_NAME_MAX];
	int line;
	char socket[BN_SETTINGS_PATH_MAX]; /* filled with RUNTIME/NAME.sock when not given */
	char scanout[BN_LINK_SCANOUTS][BN_OUTPUT_NAME_MAX]; /* "": no display behind it */
	unsigned num_scanouts; /* highest one named + 1; 0 when none is */
	uint64_t memory_max;   /* bytes */
	bool gl;
};

struct bn_settings {
	char runtime_dir[BN_SETTINGS_PATH_MAX];
	char control_socket[BN_SETTINGS_PATH_MAX];
	enum bn_settings_gpu gpu;
	char gpu_path[BN_SETTINGS_PATH_MAX];
	enum bn_log_level log;
	char shader_cache[BN_SETTINGS_PATH_MAX]; /* "": none is kept */
	struct bn_settings_output outputs[BN_SETTINGS_OUTPUTS_MAX];
	size_t num_outputs;
	struct bn_settings_vm vms[BN_SETTINGS_VMS_MAX];
	size_t num_vms;
};

/* Reads and checks path into *settings, which needs no clean-up. Returns 0, or -errno with every
 * mistake found recorded in errors (zeroed by the caller, freed with bn_config_errors_finish). */
int bn_settings_read(
	struct bn_settings *settings, const char *path, struct bn_config_errors *errors);

/* The folder for sockets when nobody names one: $XDG_RUNTIME_DIR/binnacle, or /run/binnacle
 * without that variable. false when the path does not fit. */
bool bn_settings_default_runtime_dir(char out[BN_SETTINGS_PATH_MAX]);

#endif
