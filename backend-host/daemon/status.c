#include "status.h"

#include <string.h>
#include <unistd.h>

#include <json-c/json.h>
#include <linux/virtio_config.h>
#include <linux/virtio_gpu.h>
#include <linux/virtio_ring.h>

#include "common/clock.h"
#include "json_add.h"
#include "scene.h"
#include "service.h"
#include "status_scheduler.h"

/* ---- a VM ---- */

static struct json_object *feature_names(uint64_t features)
{
	static const struct {
		unsigned bit;
		const char *name;
	} known[] = {
		{VIRTIO_GPU_F_VIRGL, "VIRGL"},
		{VIRTIO_GPU_F_EDID, "EDID"},
		{VIRTIO_GPU_F_RESOURCE_UUID, "RESOURCE_UUID"},
		{VIRTIO_GPU_F_RESOURCE_BLOB, "RESOURCE_BLOB"},
		{VIRTIO_GPU_F_CONTEXT_INIT, "CONTEXT_INIT"},
		{VIRTIO_RING_F_INDIRECT_DESC, "INDIRECT_DESC"},
		{VIRTIO_RING_F_EVENT_IDX, "EVENT_IDX"},
		{VIRTIO_F_VERSION_1, "VERSION_1"},
	};
	struct json_object *names = json_object_new_array();
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (features & UINT64_C(1) << known[i].bit)
			json_object_array_add(names, json_object_new_string(known[i].name));
	}
	return names;
}

/* Where GPU time of this VM's batches is taken from, when it can be. */
static const char *gpu_time_source(const struct bn_link_ready *about)
{
	if (!about->gl_renderer[0])
		return "none";
	if (about->timestamps)
		return "timestamps";
	return about->software ? "processor" : "fences";
}

static void add_renderer(struct json_object *vm, const struct bn_vm_info *info)
{
	static const char *const sandbox_names[] = {"namespaces", "seccomp", "rlimits"};
	struct json_object *sandbox = json_object_new_array();
	struct json_object *capsets = json_object_new_array();
	for (unsigned i = 0; i < 3; i++) {
		if (info->about.sandbox & 1u << i)
			json_object_array_add(sandbox, json_object_new_string(sandbox_names[i]));
	}
	for (unsigned i = 0; i < info->about.num_capsets && i < BN_LINK_CAPSETS; i++)
		json_object_array_add(capsets, json_object_new_int64(info->about.capset[i].id));
	json_object_object_add(vm, "renderer_pid", json_object_new_int64(info->renderer));
	bn_json_add_bool(vm, "renderer_ready", info->ready);
	bn_json_add_text(vm, "gl_renderer", info->about.gl_renderer);
	bn_json_add_text(vm, "gl_version", info->about.gl_version);
	bn_json_add_text(vm, "gpu_time_source", gpu_time_source(&info->about));
	json_object_object_add(vm, "capsets", capsets);
	json_object_object_add(vm, "sandbox", sandbox);
}

static void add_stats(struct json_object *vm, const struct bn_stats *s)
{
	const struct {
		const char *key;
		uint64_t value;
	} fields[] = {
		{"contexts", s->contexts},
		{"resources", s->resources},
		{"resource_bytes", s->resource_bytes},
		{"commands", s->commands},
		{"errors", s->errors},
		{"cursor_commands", s->cursor_commands},
		{"submits", s->submits},
		{"submit_bytes", s->submit_bytes},
		{"fences", s->fences},
		{"fences_pending", s->fences_pending},
		{"flushes", s->flushes},
		{"copy_bytes_in", s->copy_bytes_in},
		{"copy_bytes_out", s->copy_bytes_out},
		{"zero_copy_frames", s->zero_copy_frames},
		{"release_waits", s->release_waits},
		{"release_timeouts", s->release_timeouts},
		{"wakeups", s->wakeups},
		{"context_losses", s->context_losses},
	};
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		bn_json_add_uint(vm, fields[i].key, fields[i].value);
	bn_json_add_ms(vm, "gpu_busy_ms", s->gpu_busy_ns);
}

static void add_monitor(struct json_object *vm, const struct bn_monitor *m)
{
	bn_json_add_uint(vm, "frames_flushed", m->frames_flushed);
	bn_json_add_uint(vm, "frames_presented", m->frames_presented);
	bn_json_add_uint(vm, "frames_superseded", m->frames_superseded);
	bn_json_add_number(vm, "fps", bn_monitor_fps(m, bn_now_ns()));
	bn_json_add_ms(vm, "latency_p50_ms", bn_histogram_quantile(&m->latency, 0.50));
	bn_json_add_ms(vm, "latency_p99_ms", bn_histogram_quantile(&m->latency, 0.99));
	bn_json_add_ms(vm, "latency_mean_ms", bn_histogram_mean(&m->latency));
	bn_json_add_ms(vm, "latency_max_ms", m->latency.max_ns);
	bn_json_add_ms(vm, "interval_p50_ms", bn_histogram_quantile(&m->interval, 0.50));
	bn_json_add_ms(vm, "interval_p99_ms", bn_histogram_quantile(&m->interval, 0.99));
	bn_json_add_uint(vm, "faults", m->faults);
	bn_json_add_uint(vm, "restarts", m->restarts);
}

static struct json_object *vm_json(
	struct bn_status_scheduler *scheduler, struct bn_vm *v, unsigned index)
{
	struct bn_vm_info info;
	bn_vm_describe(v, &info);
	struct json_object *vm = json_object_new_object();
	bn_json_add_text(vm, "name", info.settings->name);
	bn_json_add_text(vm, "state", info.state);
	bn_json_add_text(vm, "front_end", info.front_end);
	bn_json_add_text(vm, "socket", info.settings->socket);
	struct json_object *scanouts = json_object_new_array();
	for (unsigned i = 0; i < info.settings->num_scanouts; i++)
		json_object_array_add(scanouts, json_object_new_string(info.settings->scanout[i]));
	json_object_object_add(vm, "scanouts", scanouts);
	json_object_object_add(vm, "features", feature_names(info.features));
	bn_json_add_uint(vm, "guest_memory_bytes", info.guest_memory);
	bn_json_add_uint(vm, "memory_max", info.settings->memory_max);
	bn_json_add_uint(vm, "buffers", info.buffers);
	add_renderer(vm, &info);
	add_stats(vm, &info.stats);
	bn_json_add_number(vm, "gpu_busy_percent", info.gpu_busy_percent);
	add_monitor(vm, info.monitor);
	bn_status_add_frames(vm, info.monitor);
	bn_status_add_vm(vm, scheduler, index, info.monitor);
	return vm;
}

/* ---- an output ---- */

static bool shows_vm(struct bn_service *service, const struct bn_display *d, const char *vm)
{
	const struct bn_scene *scene = bn_stage_scene(service->stage);
	for (size_t i = 0; i < scene->num_layers; i++) {
		if (bn_stage_display(service->stage, i) == d &&
			!scene->layers[i].place.hidden && strcmp(scene->layers[i].vm, vm) == 0)
			return true;
	}
	return false;
}

const char *bn_status_output_kind(const struct bn_display *d)
{
	static const char *const kinds[] = {"headless", "wayland", "kms"};
	return kinds[bn_output_config(d->output)->kind];
}

static void add_output_figures(struct json_object *output, const struct bn_display *d)
{
	struct bn_output_status s;
	bn_output_status(d->output, &s);
	bn_json_add_bool(output, "connected", s.connected);
	bn_json_add_bool(output, "waiting", s.waiting);
	bn_json_add_bool(output, "active", s.active);
	bn_json_add_text(output, "card", s.card);
	bn_json_add_text(output, "driver", s.driver);
	bn_json_add_text(output, "connector", s.connector);
	bn_json_add_text(output, "model", s.model);
	bn_json_add_uint(output, "planes", s.planes);
	bn_json_add_uint(output, "planes_used", s.planes_used);
	bn_json_add_uint(output, "flips", s.flips);
	bn_json_add_uint(output, "late", s.late);
	bn_json_add_uint(output, "commits", s.commits);
	bn_json_add_uint(output, "tests", s.tests);
	bn_json_add_uint(output, "failed", s.failed);
	bn_json_add_uint(output, "composed", s.composed);
	bn_json_add_uint(output, "composed_bytes", s.composed_bytes);
	bn_json_add_uint(output, "unplugged", s.unplugged);
	bn_json_add_us(output, "commit_p50_us", bn_histogram_quantile(&s.commit, 0.50));
	bn_json_add_us(output, "commit_p99_us", bn_histogram_quantile(&s.commit, 0.99));
	bn_json_add_ms(output, "latency_p50_ms", bn_histogram_quantile(&s.latency, 0.50));
	bn_json_add_ms(output, "latency_p99_ms", bn_histogram_quantile(&s.latency, 0.99));
	bn_json_add_ms(output, "latency_max_ms", s.latency.max_ns);
}

struct json_object *bn_status_output_json(struct bn_service *service, const struct bn_display *d)
{
	const struct bn_output_config *config = bn_output_config(d->output);
	struct json_object *output = json_object_new_object();
	struct json_object *layers = json_object_new_array();
	bn_json_add_text(output, "name", config->name);
	bn_json_add_text(output, "kind", bn_status_output_kind(d));
	bn_json_add_uint(output, "width", config->width);
	bn_json_add_uint(output, "height", config->height);
	bn_json_add_number(output, "refresh_hz", config->refresh_mhz / 1000.0);
	bn_json_add_text(output, "pacing", config->free_running ? "free" : "display");
	bn_json_add_bool(output, "enabled", d->enabled);
	bn_json_add_uint(output, "frames", bn_output_frames(d->output));
	for (size_t i = 0; i < service->num_vms; i++) {
		if (shows_vm(service, d, service->settings->vms[i].name))
			json_object_array_add(
				layers, json_object_new_string(service->settings->vms[i].name));
	}
	json_object_object_add(output, "layers", layers);
	add_output_figures(output, d);
	return output;
}

struct json_object *bn_status_json(struct bn_service *service)
{
	static const char *const gpu_kinds[] = {"none", "surfaceless", "render-node"};
	struct json_object *status = json_object_new_object();
	struct json_object *vms = json_object_new_array();
	struct json_object *outputs = json_object_new_array();
	const struct bn_gpu *gpu = &service->context.gpu;
	struct bn_status_scheduler scheduler;
	bn_status_scheduler_init(&scheduler, service);
	bn_json_add_text(status, "version", BN_VERSION);
	bn_json_add_uint(status, "pid", (uint64_t)getpid());
	bn_json_add_ms(status, "uptime_ms", bn_now_ns() - service->started_ns);
	bn_json_add_text(status, "gpu", gpu_kinds[gpu->kind]);
	bn_json_add_text(status, "gpu_path", gpu->path);
	bn_json_add_text(status, "gpu_reason", gpu->reason);
	bn_status_add_scheduler(status, &scheduler);
	for (size_t i = 0; i < service->num_vms; i++)
		json_object_array_add(vms, vm_json(&scheduler, service->vm[i], (unsigned)i));
	for (size_t i = 0; i < service->displays.count; i++)
		json_object_array_add(
			outputs, bn_status_output_json(service, &service->displays.display[i]));
	json_object_object_add(status, "vms", vms);
	json_object_object_add(status, "outputs", outputs);
	return status;
}
