#include "table.h"

#include <stdint.h>
#include <stdlib.h>

#include <json-c/json.h>

#include "json.h"
#include "text.h"

static double mib(struct json_object *object, const char *key)
{
	return (double)bn_json_count(object, key) / (1 << 20);
}

/* "a, b" of a list of strings; "-" for an empty one. */
static const char *list(struct json_object *object, const char *key, const char *separator,
	char *buffer, size_t size)
{
	struct json_object *values = bn_json_member(object, key);
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
		snprintf(mode, sizeof(mode), "%ux%u@%.4g", (unsigned)bn_json_count(o, "width"),
			(unsigned)bn_json_count(o, "height"), bn_json_number(o, "refresh_hz"));
		fprintf(out, "%-20.20s %-9s %-18s %-8s %10llu  %.24s\n", bn_json_text(o, "name"),
			bn_json_text(o, "kind"), mode,
			bn_json_bool(o, "enabled") ? bn_json_text(o, "pacing") : "off",
			(unsigned long long)bn_json_count(o, "frames"),
			list(o, "layers", ", ", layers, sizeof(layers)));
	}
}

/* One of the figures of frames from release to display, or, of a service without them, of the
 * latency from flush to display. */
static const char *frame_ms(
	struct json_object *vm, const char *key, const char *old, char buffer[BN_TEXT_NUMBER])
{
	struct json_object *frame = bn_json_member(vm, "frame");
	return bn_text_number(
		buffer, frame ? bn_json_number(frame, key) : bn_json_number(vm, old), 6, 2);
}

static void print_frames_of(FILE *out, struct json_object *vm)
{
	struct json_object *scheduler = bn_json_member(vm, "scheduler");
	struct json_object *frame = bn_json_member(vm, "frame");
	const char *class_name = bn_json_text(scheduler, "class");
	char p50[BN_TEXT_NUMBER], p99[BN_TEXT_NUMBER], misses[BN_TEXT_NUMBER], gpu[BN_TEXT_NUMBER];
	double percent = scheduler ? bn_json_number(scheduler, "gpu_percent")
				   : bn_json_number(vm, "gpu_busy_percent");
	fprintf(out, "%-15.15s %-11.11s %-11.11s %8llu %6.1f %6s %6s %6s %5s %6llu %8llu\n",
		bn_json_text(vm, "name"), class_name[0] ? class_name : "-",
		bn_json_bool(scheduler, "quarantined") ? "quarantined" : bn_json_text(vm, "state"),
		(unsigned long long)bn_json_count(vm, "frames_presented"),
		json_object_get_double(bn_json_member(vm, "fps")),
		frame_ms(vm, "p50_ms", "latency_p50_ms", p50),
		frame_ms(vm, "p99_ms", "latency_p99_ms", p99),
		bn_text_number(misses, bn_json_number(frame, "misses"), 6, 0),
		bn_text_number(gpu, percent, 5, 1), (unsigned long long)bn_json_count(vm, "faults"),
		(unsigned long long)bn_json_count(vm, "restarts"));
}

static void print_frames(FILE *out, struct json_object *vms)
{
	fprintf(out, "%-15s %-11s %-11s %8s %6s %6s %6s %6s %5s %6s %8s\n", "VM", "CLASS", "STATE",
		"FRAMES", "FPS", "p50 ms", "p99 ms", "MISSES", "GPU %", "FAULTS", "RESTARTS");
	for (size_t i = 0; i < json_object_array_length(vms); i++)
		print_frames_of(out, json_object_array_get_idx(vms, i));
}

static void print_vm(FILE *out, struct json_object *vm)
{
	char buffer[256];
	const char *gl = bn_json_text(vm, "gl_renderer");
	fprintf(out, "\n%s\n", bn_json_text(vm, "name"));
	fprintf(out, "  socket     %.85s\n", bn_json_text(vm, "socket"));
	fprintf(out, "  front end  %s\n",
		bn_json_text(vm, "front_end")[0] ? bn_json_text(vm, "front_end") : "-");
	fprintf(out, "  driver     %s\n", list(vm, "features", " ", buffer, sizeof(buffer)));
	fprintf(out, "  renderer   %.70s\n",
		!bn_json_bool(vm, "renderer_ready") ? "not ready"
		: gl[0]                             ? gl
						    : "2D only");
	fprintf(out, "  sandbox    %s\n", list(vm, "sandbox", " ", buffer, sizeof(buffer)));
	fprintf(out, "  memory     guest %.0f MiB, resources %.1f of %.0f MiB\n",
		mib(vm, "guest_memory_bytes"), mib(vm, "resource_bytes"), mib(vm, "memory_max"));
	fprintf(out, "  objects    %llu contexts, %llu resources, %llu buffers shown\n",
		(unsigned long long)bn_json_count(vm, "contexts"),
		(unsigned long long)bn_json_count(vm, "resources"),
		(unsigned long long)bn_json_count(vm, "buffers"));
	fprintf(out,
		"  work       %llu commands (%llu errors), %llu submits, %llu fences, "
		"GPU %.0f ms\n",
		(unsigned long long)bn_json_count(vm, "commands"),
		(unsigned long long)bn_json_count(vm, "errors"),
		(unsigned long long)bn_json_count(vm, "submits"),
		(unsigned long long)bn_json_count(vm, "fences"), bn_json_number(vm, "gpu_busy_ms"));
	fprintf(out, "  copies     %.1f MiB in, %.1f MiB out, %llu frames without a copy\n",
		mib(vm, "copy_bytes_in"), mib(vm, "copy_bytes_out"),
		(unsigned long long)bn_json_count(vm, "zero_copy_frames"));
}

static void print_scheduler(FILE *out, struct json_object *s)
{
	char load[BN_TEXT_NUMBER], p99[BN_TEXT_NUMBER];
	if (!s)
		return;
	fprintf(out, "policy %s, %s, %s %% reserved, decision p99 %s us%s\n",
		bn_json_text(s, "policy"),
		bn_json_bool(s, "admitted") ? "admitted" : "NOT ADMITTED (binnaclectl admit)",
		bn_text_number(load, bn_json_number(s, "utilisation") * 100, 5, 1),
		bn_text_number(p99, bn_json_number(s, "decision_p99_us"), 7, 1),
		bn_json_bool(s, "realtime") ? "" : ", not realtime");
}

static void print_all(FILE *out, struct json_object *status)
{
	struct json_object *vms = bn_json_member(status, "vms");
	struct json_object *outputs = bn_json_member(status, "outputs");
	fprintf(out, "binnacled %s, up %.0f s, GPU %s%s%s\n", bn_json_text(status, "version"),
		(double)bn_json_count(status, "uptime_ms") / 1000.0, bn_json_text(status, "gpu"),
		bn_json_text(status, "gpu_path")[0] ? " " : "", bn_json_text(status, "gpu_path"));
	print_scheduler(out, bn_json_member(status, "scheduler"));
	if (!json_object_is_type(vms, json_type_array) ||
		!json_object_is_type(outputs, json_type_array))
		return;
	fputc('\n', out);
	print_outputs(out, outputs);
	fputc('\n', out);
	print_frames(out, vms);
	for (size_t i = 0; i < json_object_array_length(vms); i++)
		print_vm(out, json_object_array_get_idx(vms, i));
}

void bn_ctl_print_status(FILE *out, struct json_object *status)
{
	char *text = NULL;
	size_t size;
	FILE *memory = open_memstream(&text, &size);
	if (!memory)
		return;
	print_all(memory, status);
	/* Much of it are the words of guests and renderers. */
	if (fclose(memory) == 0 && text)
		bn_text_print(out, text);
	free(text);
}
