/* What binnacled was told to do: the INI file as a struct, checked as a whole. The file's manner
 * is weston.ini's; binnacle.ini(5) describes every key. */
#ifndef BN_DAEMON_SETTINGS_H
#define BN_DAEMON_SETTINGS_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "common/log.h"
#include "compositor/output.h"
#include "compositor/scene.h"
#include "compositor/watchdog.h"
#include "protocol/link.h"
#include "scheduler/policy.h"

struct bn_arbiter_vm;

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

#define BN_SETTINGS_FILE_MAX 512  /* of a picture, with its NUL */
#define BN_SETTINGS_VALUE_MAX 181 /* of what stands behind a key, with its NUL */
#define BN_SETTINGS_CRCS_MAX 8192

struct bn_settings_output {
	struct bn_output_config config;
	int line;      /* of its header */
	bool has_mode; /* mode= was given */
	/* Pictures of the whole output, "": none; boot is `fallback` when it is not given. */
	char boot[BN_SETTINGS_FILE_MAX], fallback[BN_SETTINGS_FILE_MAX];
};

/* [watch NAME]: what a part of a layer must look like. */
struct bn_settings_watch {
	char name[BN_SETTINGS_NAME_MAX];
	int line;
	char layer[BN_SCENE_NAME_MAX], output[BN_OUTPUT_NAME_MAX];
	struct bn_rect region; /* pixels of the output from the layer's top left corner there */
	char expect[BN_SETTINGS_VALUE_MAX], absent[BN_SETTINGS_VALUE_MAX]; /* as given */
	/* Their checksums, in bn_settings.crcs. */
	unsigned first_expect, num_expect, first_absent, num_absent;
	uint64_t change_ns, age_ns, start_ns; /* 0: no such rule */
	unsigned bad_frames, good_frames;
	bool event_only;                     /* on-fault=event */
	char fallback[BN_SETTINGS_FILE_MAX]; /* "": that of the output */
	struct bn_rect cover; /* where that lies, counted as the region is; its size is the file's */
	bool has_at;
	char hook[BN_SETTINGS_VALUE_MAX]; /* "": none */
};

struct bn_settings_vm {
	char name[BN_SETTINGS_NAME_MAX];
	int line;
	char socket[BN_SETTINGS_PATH_MAX]; /* filled with RUNTIME/NAME.sock when not given */
	char scanout[BN_LINK_SCANOUTS][BN_OUTPUT_NAME_MAX]; /* "": no display behind it */
	unsigned num_scanouts; /* highest one named + 1; 0 when none is */
	uint64_t memory_max;   /* bytes */
	bool gl;
	unsigned planes; /* of each output, that are for this VM alone */

	/* Of the scheduler. 0: not given, see bn_settings_vm_policy(). */
	enum bn_vm_class vm_class;
	uint64_t period_ns, budget_ns;
	unsigned budget_percent; /* of the period, instead of budget_ns */
	uint32_t share;
	uint64_t batch_max_ns, ahead_max_ns, gap_ns, watchdog_ns;
	unsigned gaps, batches, trips;
	bool scheduled; /* class, period, budget or share was given */
};

enum bn_settings_policy {
	BN_SETTINGS_POLICY_AUTO, /* reserve when any VM is `scheduled`, else none */
	BN_SETTINGS_POLICY_NONE,
	BN_SETTINGS_POLICY_FIFO,
	BN_SETTINGS_POLICY_PRIORITY,
	BN_SETTINGS_POLICY_RESERVE,
};
enum bn_settings_realtime {
	BN_SETTINGS_REALTIME_AUTO, /* asked for when a policy other than none is at work */
	BN_SETTINGS_REALTIME_YES,
	BN_SETTINGS_REALTIME_NO,
};

struct bn_settings {
	char file[BN_SETTINGS_FILE_MAX]; /* that they were read from, for messages */
	char runtime_dir[BN_SETTINGS_PATH_MAX];
	char control_socket[BN_SETTINGS_PATH_MAX];
	enum bn_settings_gpu gpu;
	char gpu_path[BN_SETTINGS_PATH_MAX];
	enum bn_log_level log;
	char shader_cache[BN_SETTINGS_PATH_MAX]; /* "": none is kept */
	char metrics_listen[64]; /* loopback address and port of the metrics; "": none */
	enum bn_settings_policy policy;
	enum bn_settings_realtime realtime;
	cpu_set_t gpu_cpus;   /* where renderers run; empty: anywhere */
	unsigned queue_depth; /* 0: 1 with a software rasteriser, 2 with a GPU */
	uint64_t lead_ns, dispatch_ns, batch_overhead_ns, compositor_ns;
	struct bn_settings_output outputs[BN_SETTINGS_OUTPUTS_MAX];
	size_t num_outputs;
	struct bn_settings_vm vms[BN_SETTINGS_VMS_MAX];
	size_t num_vms;
	/* The layers that scanout.N= imply, in the order of the VMs, then those of [layer]
	 * sections. */
	struct bn_scene scene;
	struct bn_settings_watch watches[BN_WATCH_REGIONS_MAX];
	size_t num_watches;
	uint32_t crcs[BN_SETTINGS_CRCS_MAX];
	unsigned num_crcs;
	uint64_t begun_ns; /* CLOCK_MONOTONIC when reading began */
};

/* Reads and checks path into *settings, which needs no clean-up. Returns 0, or -errno with every
 * mistake found recorded in errors (zeroed by the caller, freed with bn_config_errors_finish). */
int bn_settings_read(
	struct bn_settings *settings, const char *path, struct bn_config_errors *errors);

/* Reads one key of a VM that the scheduler knows (class, period, budget, share, batch-max,
 * queue-ahead, gap, gaps, batches, watchdog, trips) into *vm. On false *expected says what would
 * have been right (a constant string), and *vm is as before. */
bool bn_settings_vm_key(
	struct bn_settings_vm *vm, const char *key, const char *value, const char **expected);
/* What the arbiter is told of a VM, with defaults for what was not given: the period of the output
 * of scanout.0 (60 Hz without one). watchdog_ns stays 0 for the arbiter's own default. */
void bn_settings_vm_policy(const struct bn_settings *settings, const struct bn_settings_vm *vm,
	struct bn_arbiter_vm *out);

/* Whether the VM's keys go together; else *why says what does not and what is expected, to be put
 * behind the VM's name (a constant string). */
bool bn_settings_vm_check(const struct bn_settings *settings, const struct bn_settings_vm *vm,
	const char **why);
/* The policy, auto decided. */
enum bn_policy_kind bn_settings_policy_kind(const struct bn_settings *settings);

/* ---- scenes ---- */

/* Reads one key of [layer NAME] (output, vm, scanout, crop, at, size, rotate, reflect, alpha, blend,
 * z, role, hidden, opening, opening.N) into *layer. On false *expected says what would have been
 * right (a constant string), and *layer is as before. */
bool bn_settings_layer_key(struct bn_scene_layer *layer, const char *key, const char *value,
	const char **expected);
/* Reads a text of [layer NAME] sections alone into *scene, with what scanout.N= imply beside them, as
 * if they stood in the configuration. It is not checked as a whole yet. 0, or -EINVAL with every
 * mistake recorded in errors (as for bn_settings_read). */
int bn_settings_scene_text(const struct bn_settings *settings, struct bn_scene *scene,
	const char *text, size_t len, struct bn_config_errors *errors);
/* bn_scene_check() against the VMs of the settings and the given outputs. */
unsigned bn_settings_scene_check(const struct bn_settings *settings, const struct bn_scene *scene,
	const struct bn_output_config *const *outputs, size_t num_outputs,
	void (*report)(void *data, const struct bn_scene_layer *layer, const char *fault),
	void *data);

/* The folder for sockets when nobody names one: $XDG_RUNTIME_DIR/binnacle, or /run/binnacle
 * without that variable. false when the path does not fit. */
bool bn_settings_default_runtime_dir(char out[BN_SETTINGS_PATH_MAX]);

#endif
