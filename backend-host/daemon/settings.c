#include "settings_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "metrics_http.h"
#include "protocol/control.h"

#define MEMORY_MIN (16ull << 20)
#define MEMORY_MAX (1ull << 40)
#define MEMORY_DEFAULT (512ull << 20)

static bool copy_path(char out[BN_SETTINGS_PATH_MAX], const char *value, const char **expected)
{
	*expected = "an absolute path of at most 107 bytes";
	if (value[0] != '/' || strlen(value) >= BN_SETTINGS_PATH_MAX)
		return false;
	strcpy(out, value);
	return true;
}

/* ---- [core] ---- */

static bool read_control_socket(
	void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings *s = object;
	return copy_path(s->control_socket, value, expected);
}

static bool read_runtime_dir(
	void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings *s = object;
	return copy_path(s->runtime_dir, value, expected);
}

static bool read_gpu(void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings *s = object;
	*expected = "auto, surfaceless, none, or a render node such as /dev/dri/renderD128";
	if (strcmp(value, "auto") == 0) {
		s->gpu = BN_SETTINGS_GPU_AUTO;
	} else if (strcmp(value, "surfaceless") == 0) {
		s->gpu = BN_SETTINGS_GPU_SURFACELESS;
	} else if (strcmp(value, "none") == 0) {
		s->gpu = BN_SETTINGS_GPU_NONE;
	} else {
		const char *path_expected;
		if (!copy_path(s->gpu_path, value, &path_expected))
			return false;
		s->gpu = BN_SETTINGS_GPU_NODE;
	}
	return true;
}

static bool read_log(void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings *s = object;
	*expected = "error, warn, info or debug";
	return bn_log_level_parse(value, &s->log);
}

static bool read_shader_cache(
	void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings *s = object;
	return copy_path(s->shader_cache, value, expected);
}

static bool read_metrics_listen(
	void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings *s = object;
	struct sockaddr_storage address;
	socklen_t size;
	*expected = "an address of this machine alone, as there is no password: 127.0.0.1:PORT or "
		    "[::1]:PORT";
	if (strlen(value) >= sizeof(s->metrics_listen) ||
		!bn_metrics_address(value, &address, &size))
		return false;
	strcpy(s->metrics_listen, value);
	return true;
}

static const struct bn_config_key core_keys[] = {
	{.name = "control-socket", .read = read_control_socket},
	{.name = "runtime-dir", .read = read_runtime_dir},
	{.name = "gpu", .read = read_gpu},
	{.name = "log", .read = read_log},
	{.name = "shader-cache", .read = read_shader_cache},
	{.name = "metrics-listen", .read = read_metrics_listen},
	{.name = "policy", .read = bn_settings_read_policy},
	{.name = "realtime", .read = bn_settings_read_realtime},
	{.name = "gpu-cpus", .read = bn_settings_read_cpus},
	{.name = "queue-depth", .read = bn_settings_read_queue_depth},
	{.name = "compositor-lead", .read = bn_settings_read_core_time},
	{.name = "compositor-time", .read = bn_settings_read_core_time},
	{.name = "dispatch", .read = bn_settings_read_core_time},
	{.name = "batch-overhead", .read = bn_settings_read_core_time},
	{0},
};

static void *begin_core(void *data, const char *name, int line, const char **why)
{
	return data;
}

/* ---- [vm NAME] ---- */

static bool read_socket(void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings_vm *vm = object;
	return copy_path(vm->socket, value, expected);
}

static bool read_scanout(void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings_vm *vm = object;
	unsigned index;
	*expected = "scanout.N with N from 0 to 15, and the name of an output";
	if (!bn_config_uint(key + strlen("scanout."), 0, BN_LINK_SCANOUTS - 1, &index) ||
		value[0] == '\0' || strlen(value) >= BN_OUTPUT_NAME_MAX)
		return false;
	if (vm->scanout[index][0] != '\0') {
		*expected = "each scanout named once";
		return false;
	}
	strcpy(vm->scanout[index], value);
	if (vm->num_scanouts <= index)
		vm->num_scanouts = index + 1;
	return true;
}

static bool read_memory_max(void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings_vm *vm = object;
	*expected = "a size from 16M to 1024G, for example 512M or 2G";
	char *end;
	if (value[0] < '0' || value[0] > '9')
		return false;
	unsigned long long n = strtoull(value, &end, 10);
	unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
	if (shift != 0)
		end++;
	if (*end != '\0' || n > (MEMORY_MAX >> shift) || (n << shift) < MEMORY_MIN)
		return false;
	vm->memory_max = n << shift;
	return true;
}

static bool read_gl(void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings_vm *vm = object;
	*expected = "yes or no";
	return bn_config_bool(value, &vm->gl);
}

static bool read_planes(void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings_vm *vm = object;
	*expected = "a number of planes from 0 to 32";
	return bn_config_uint(value, 0, BN_OUTPUT_PLANES_MAX, &vm->planes);
}

static const struct bn_config_key vm_keys[] = {
	{.name = "socket", .read = read_socket},
	{.name = "scanout.", .prefix = true, .read = read_scanout},
	{.name = "memory-max", .read = read_memory_max},
	{.name = "gl", .read = read_gl},
	{.name = "planes", .read = read_planes},
	{.name = "class", .read = bn_settings_read_vm_sched},
	{.name = "period", .read = bn_settings_read_vm_sched},
	{.name = "budget", .read = bn_settings_read_vm_sched},
	{.name = "share", .read = bn_settings_read_vm_sched},
	{.name = "batch-max", .read = bn_settings_read_vm_sched},
	{.name = "queue-ahead", .read = bn_settings_read_vm_sched},
	{.name = "gap", .read = bn_settings_read_vm_sched},
	{.name = "gaps", .read = bn_settings_read_vm_sched},
	{.name = "batches", .read = bn_settings_read_vm_sched},
	{.name = "watchdog", .read = bn_settings_read_vm_sched},
	{.name = "trips", .read = bn_settings_read_vm_sched},
	{0},
};

static void *begin_vm(void *data, const char *name, int line, const char **why)
{
	struct bn_settings *s = data;
	if (s->num_vms == BN_SETTINGS_VMS_MAX) {
		*why = "at most 32 VMs";
		return NULL;
	}
	struct bn_settings_vm *vm = &s->vms[s->num_vms++];
	*vm = (struct bn_settings_vm){
		.line = line,
		.memory_max = MEMORY_DEFAULT,
		.gl = true,
		.vm_class = BN_CLASS_INTERACTIVE,
	};
	snprintf(vm->name, sizeof(vm->name), "%s", name);
	return vm;
}

static const struct bn_config_section sections[] = {
	{.name = "core", .begin = begin_core, .keys = core_keys},
	{.name = "output",
		.named = true,
		.repeated = true,
		.begin = bn_settings_begin_output,
		.keys = bn_settings_output_keys},
	{.name = "vm", .named = true, .repeated = true, .begin = begin_vm, .keys = vm_keys},
	{.name = "layer",
		.named = true,
		.repeated = true,
		.begin = bn_settings_begin_layer,
		.keys = bn_settings_layer_keys},
	{.name = "watch",
		.named = true,
		.repeated = true,
		.begin = bn_settings_begin_watch,
		.keys = bn_settings_watch_keys},
	{0},
};

/* ---- the file as a whole ---- */

bool bn_settings_default_runtime_dir(char out[BN_SETTINGS_PATH_MAX])
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	int n;
	if (dir && dir[0] == '/')
		n = snprintf(out, BN_SETTINGS_PATH_MAX, "%s/binnacle", dir);
	else
		n = snprintf(out, BN_SETTINGS_PATH_MAX, "/run/binnacle");
	return n > 0 && n < BN_SETTINGS_PATH_MAX;
}

static void fill_path(char out[BN_SETTINGS_PATH_MAX], const char *dir, const char *name,
	const char *suffix, int line, struct bn_config_errors *errors)
{
	if (out[0] != '\0')
		return;
	int n = snprintf(out, BN_SETTINGS_PATH_MAX, "%s/%s%s", dir, name, suffix);
	if (n < 0 || n >= BN_SETTINGS_PATH_MAX)
		bn_config_error_add(errors, line,
			"the socket path %s/%s%s is longer than 107 bytes; "
			"a shorter runtime-dir is expected",
			dir, name, suffix);
}

static bool output_exists(const struct bn_settings *s, const char *name)
{
	for (size_t i = 0; i < s->num_outputs; i++) {
		if (strcmp(s->outputs[i].config.name, name) == 0)
			return true;
	}
	return false;
}

static void check_scanouts(const struct bn_settings *s, const struct bn_settings_vm *vm,
	struct bn_config_errors *errors)
{
	for (unsigned i = 0; i < vm->num_scanouts; i++) {
		const char *name = vm->scanout[i];
		if (name[0] != '\0' && !output_exists(s, name))
			bn_config_error_add(errors, vm->line,
				"scanout.%u of vm %s names the output '%s', which is not there; "
				"an [output %s] section is expected",
				i, vm->name, name, name);
	}
}

static void check_sockets(const struct bn_settings *s, size_t vm, struct bn_config_errors *errors)
{
	const struct bn_settings_vm *v = &s->vms[vm];
	if (strcmp(v->socket, s->control_socket) == 0)
		bn_config_error_add(errors, v->line,
			"vm %s uses the control socket %s; a path of its own is expected", v->name,
			v->socket);
	for (size_t i = 0; i < vm; i++) {
		if (strcmp(s->vms[i].socket, v->socket) == 0)
			bn_config_error_add(errors, v->line,
				"vm %s has the same socket as vm %s (%s); a path of its own is "
				"expected",
				v->name, s->vms[i].name, v->socket);
	}
}

static void check_whole(struct bn_settings *s, struct bn_config_errors *errors)
{
	if (s->runtime_dir[0] == '\0' && !bn_settings_default_runtime_dir(s->runtime_dir))
		bn_config_error_add(errors, 0,
			"$XDG_RUNTIME_DIR is too long for a socket path; runtime-dir= is expected");
	fill_path(s->control_socket, s->runtime_dir, BN_CONTROL_NAME, "", 0, errors);
	if (s->num_vms == 0)
		bn_config_error_add(errors, 0,
			"no virtual machine is named; at least one [vm NAME] section is expected");
	for (size_t i = 0; i < s->num_vms; i++) {
		struct bn_settings_vm *vm = &s->vms[i];
		fill_path(vm->socket, s->runtime_dir, vm->name, ".sock", vm->line, errors);
		check_scanouts(s, vm, errors);
		check_sockets(s, i, errors);
	}
	bn_settings_check_outputs(s, errors);
	bn_settings_check_sched(s, errors);
	bn_settings_check_scene(s, errors);
}

int bn_settings_read(struct bn_settings *s, const char *path, struct bn_config_errors *errors)
{
	*s = (struct bn_settings){.log = BN_LOG_INFO, .begun_ns = bn_now_ns()};
	snprintf(s->file, sizeof(s->file), "%s", path);
	bn_settings_sched_defaults(s);
	int ret = bn_config_read(path, sections, s, errors);
	if (ret < 0 && ret != -EINVAL)
		return ret;
	check_whole(s, errors);
	bn_settings_check_watches(s, path, errors);
	return errors->count > 0 ? -EINVAL : 0;
}
