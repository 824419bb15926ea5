#include "table.h"

#include <stdint.h>
#include <string.h>

#include <json-c/json.h>

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;
	json_object_object_get_ex(object, key, &value);
	return value;
}

static const char *text(struct json_object *object, const char *key)
{
	struct json_object *value = member(object, key);
	return value ? json_object_get_string(value) : "";
}

static double number(struct json_object *object, const char *key)
{
	return json_object_get_double(member(object, key));
}

static uint64_t count(struct json_object *object, const char *key)
{
	return json_object_get_uint64(member(object, key));
}

static double mib(struct json_object *object, const char *key)
{
	return (double)count(object, key) / (1 << 20);
}

/* "a, b" of a list of strings; "-" for an empty one. */
static const char *list(struct json_object *object, const char *key, const char *separator,
	char *buffer, size_t size)
{
	struct json_object *values = member(object, key);
	size_t len = 0, n = values ? json_object_array_length(values) : 0;
	snprintf(buffer, size, "-");
	for (size_t i = 0; i < n && len < size; i++)
		len += (size_t)snprintf(buffer + len, size - len, "%s%s", i ? separator : "",
			json_object_get_string(json_object_array_get_idx(values, i)));
	return buffer;
}

static void print_outputs(FILE *out, struct json_object *outputs)
{
	char layers[128], mode[32];
	fprintf(out, "%-20s %-9s %-18s %-8s %10s  %s\n", "OUTPUT", "KIND", "MODE", "PACING",
		"FRAMES", "SHOWS");
	for (size_t i = 0; i < json_object_array_length(outputs); i++) {
		struct json_object *o = json_object_array_get_idx(outputs, i);
		snprintf(mode, sizeof(mode), "%ux%u@%.4g", (unsigned)count(o, "width"),
			(unsigned)count(o, "height"), number(o, "refresh_hz"));
		fprintf(out, "%-20.20s %-9s %-18s %-8s %10llu  %.24s\n", text(o, "name"),
			text(o, "kind"), mode,
			json_object_get_boolean(member(o, "enabled")) ? text(o, "pacing") : "off",
			(unsigned long long)count(o, "frames"),
			list(o, "layers", ", ", layers, sizeof(layers)));
	}
}

static void print_frames(FILE *out, struct json_object *vms)
{
	fprintf(out, "%-16s %-10s %9s %6s %8s %8s %6s %7s %7s\n", "VM", "STATE", "FRAMES", "FPS",
		"p50 ms", "p99 ms", "GPU %", "FAULTS", "RESTARTS");
	for (size_t i = 0; i < json_object_array_length(vms); i++) {
		struct json_object *vm = json_object_array_get_idx(vms, i);
		fprintf(out, "%-16.16s %-10s %9llu %6.1f %8.2f %8.2f %6.1f %7llu %7llu\n",
			text(vm, "name"), text(vm, "state"),
			(unsigned long long)count(vm, "frames_presented"), number(vm, "fps"),
			number(vm, "latency_p50_ms"), number(vm, "latency_p99_ms"),
			number(vm, "gpu_busy_percent"), (unsigned long long)count(vm, "faults"),
			(unsigned long long)count(vm, "restarts"));
	}
}

static void print_vm(FILE *out, struct json_object *vm)
{
	char buffer[256];
	const char *gl = text(vm, "gl_renderer");
	fprintf(out, "\n%s\n", text(vm, "name"));
	fprintf(out, "  socket     %.85s\n", text(vm, "socket"));
	fprintf(out, "  front end  %s\n", text(vm, "front_end")[0] ? text(vm, "front_end") : "-");
	fprintf(out, "  driver     %s\n", list(vm, "features", " ", buffer, sizeof(buffer)));
	fprintf(out, "  renderer   %.70s\n",
		!json_object_get_boolean(member(vm, "renderer_ready")) ? "not ready"
		: gl[0]                                                ? gl
								       : "2D only");
	fprintf(out, "  sandbox    %s\n", list(vm, "sandbox", " ", buffer, sizeof(buffer)));
	fprintf(out, "  memory     guest %.0f MiB, resources %.1f of %.0f MiB\n",
		mib(vm, "guest_memory_bytes"), mib(vm, "resource_bytes"), mib(vm, "memory_max"));
	fprintf(out, "  objects    %llu contexts, %llu resources, %llu buffers shown\n",
		(unsigned long long)count(vm, "contexts"),
		(unsigned long long)count(vm, "resources"),
		(unsigned long long)count(vm, "buffers"));
	fprintf(out,
		"  work       %llu commands (%llu errors), %llu submits, %llu fences, "
		"GPU %.0f ms\n",
		(unsigned long long)count(vm, "commands"), (unsigned long long)count(vm, "errors"),
		(unsigned long long)count(vm, "submits"), (unsigned long long)count(vm, "fences"),
		number(vm, "gpu_busy_ms"));
	fprintf(out, "  copies     %.1f MiB in, %.1f MiB out, %llu frames without a copy\n",
		mib(vm, "copy_bytes_in"), mib(vm, "copy_bytes_out"),
		(unsigned long long)count(vm, "zero_copy_frames"));
}

void bn_ctl_print_status(FILE *out, struct json_object *status)
{
	struct json_object *vms = member(status, "vms"), *outputs = member(status, "outputs");
	fprintf(out, "binnacled %s, up %.0f s, GPU %s%s%s\n\n", text(status, "version"),
		number(status, "uptime_ms") / 1000.0, text(status, "gpu"),
		text(status, "gpu_path")[0] ? " " : "", text(status, "gpu_path"));
	if (!json_object_is_type(vms, json_type_array) ||
		!json_object_is_type(outputs, json_type_array))
		return;
	print_outputs(out, outputs);
	fputc('\n', out);
	print_frames(out, vms);
	for (size_t i = 0; i < json_object_array_length(vms); i++)
		print_vm(out, json_object_array_get_idx(vms, i));
}
