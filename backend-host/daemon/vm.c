#include "vm_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <wayland-server-core.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "sockets.h"

/* ---- the front end ---- */

static int connection_to_renderer(void *data, enum bn_link_type type, const void *payload,
	size_t size, const int *fds, size_t nfds, uint32_t *seq)
{
	return bn_vm_renderer_send(data, type, payload, size, fds, nfds, seq);
}

static void connection_draining(void *data, bool draining)
{
	struct bn_vm *vm = data;
	bn_frames_set_draining(vm->frames, draining);
}

static void connection_reset(void *data)
{
	struct bn_vm *vm = data;
	bn_debug("%s: device reset: the renderer is replaced", vm->name);
	bn_vu_session_detach(bn_vu_connection_session(vm->connection));
	bn_vm_renderer_replace(vm);
	/* Whatever ran too long went with the old driver. */
	bn_arbiter_pardon(vm->context->arbiter, vm->index);
}

static void disconnect(struct bn_vm *vm)
{
	bn_vu_connection_destroy(vm->connection);
	vm->connection = NULL;
	bn_frames_clear(vm->frames);
	if (vm->used || vm->restarting)
		bn_vm_renderer_replace(vm);
}

static void connection_closed(void *data)
{
	struct bn_vm *vm = data;
	bn_info("%s: the front end is gone", vm->name);
	disconnect(vm);
}

static const struct bn_vu_connection_listener connection_listener = {
	.to_renderer = connection_to_renderer,
	.draining = connection_draining,
	.reset = connection_reset,
	.closed = connection_closed,
};

static uint32_t num_scanouts(const struct bn_vm *vm)
{
	return vm->settings->num_scanouts > 0 ? vm->settings->num_scanouts : 1;
}

static void accept_front_end(struct bn_vm *vm, int fd)
{
	/* One that was killed may have its successor connect before the loop tells us of its
	 * end. */
	if (vm->connection && bn_vu_connection_is_dead(vm->connection))
		connection_closed(vm);
	if (vm->connection) {
		if (bn_log_gate(&vm->refused))
			bn_warn("%s: a second front end is refused: one is connected to %s already",
				vm->name, vm->settings->socket);
		bn_fd_close(&fd);
		return;
	}
	int ret = bn_vu_connection_create(&vm->connection, vm->context->loop, fd, vm->name,
		num_scanouts(vm), &connection_listener, vm);
	if (ret < 0) {
		bn_error("%s: a front end is refused: %s", vm->name, strerror(-ret));
		return;
	}
	bn_info("%s: a front end connected", vm->name);
	bn_vm_renderer_offer(vm);
}

static int handle_listen(int fd, uint32_t mask, void *data)
{
	struct bn_vm *vm = data;
	int client = bn_unix_accept(fd, &vm->spare_fd);
	if (client >= 0)
		accept_front_end(vm, client);
	else if ((client == -EMFILE || client == -ENFILE) && bn_log_gate(&vm->refused))
		bn_warn("%s: a front end is refused: %s", vm->name, strerror(-client));
	return 0;
}

/* ---- life ---- */

static void frames_send(void *data, enum bn_link_type type, const void *payload, size_t size)
{
	bn_vm_renderer_send(data, type, payload, size, NULL, 0, NULL);
}

static const struct bn_frames_listener frames_listener = {
	.send = frames_send,
};

static int init_frames(struct bn_vm *vm)
{
	struct bn_output *outputs[BN_LINK_SCANOUTS] = {0};
	for (unsigned i = 0; i < vm->settings->num_scanouts; i++) {
		const struct bn_display *d =
			bn_displays_find(vm->context->displays, vm->settings->scanout[i]);
		outputs[i] = d ? d->output : NULL;
	}
	vm->frames =
		bn_frames_create(outputs, num_scanouts(vm), &vm->monitor, &frames_listener, vm);
	if (!vm->frames)
		return -ENOMEM;
	bn_frames_set_scheduler(vm->frames, vm->context->arbiter, vm->index, vm->context->trace,
		vm->context->events);
	return 0;
}

static int init_socket(struct bn_vm *vm)
{
	/* 0660: QEMU often runs as another user; who may connect is settled by the socket's
	 * group and its folder. */
	vm->listen_fd = bn_listen(vm->settings->socket, SOCK_STREAM, 0660, "socket");
	if (vm->listen_fd < 0)
		return vm->listen_fd;
	vm->listen_source = wl_event_loop_add_fd(
		vm->context->loop, vm->listen_fd, WL_EVENT_READABLE, handle_listen, vm);
	return vm->listen_source ? 0 : -ENOMEM;
}

/* A VM without its cache is slower, not broken. */
static void init_shader_cache(struct bn_vm *vm)
{
	const char *dir = vm->context->shader_cache;
	if (!dir[0] || !vm->settings->gl)
		return;
	int ret = bn_shader_cache_make(vm->shader_cache, dir, vm->name);
	if (ret == 0)
		return;
	bn_warn("%s: compiled shaders are not kept: %s/%s: %s; name another folder with "
		"shader-cache=",
		vm->name, dir, vm->name, strerror(-ret));
	vm->shader_cache[0] = '\0';
}

int bn_vm_create(struct bn_vm **out, const struct bn_vm_context *context,
	const struct bn_settings_vm *settings, unsigned index)
{
	struct bn_vm *vm = calloc(1, sizeof(*vm));
	if (!vm)
		return -ENOMEM;
	vm->context = context;
	vm->settings = settings;
	vm->name = settings->name;
	vm->index = index;
	vm->listen_fd = vm->spare_fd = vm->journal_fd = vm->inflight_fd = vm->stats_fd = -1;
	vm->link_fd = -1;
	vm->guest_memory_limit = UINT64_MAX;
	bn_monitor_init(&vm->monitor);
	int ret = init_frames(vm);
	if (ret == 0)
		ret = init_socket(vm);
	if (ret < 0) {
		bn_vm_destroy(vm);
		return ret;
	}
	vm->cgroup = bn_cgroup_create(context->cgroups, vm->name);
	bn_arbiter_cgroup(context->arbiter, index, vm->cgroup);
	init_shader_cache(vm);
	*out = vm;
	return 0;
}

void bn_vm_start(struct bn_vm *vm)
{
	bn_vm_renderer_start(vm);
}

void bn_vm_stop(struct bn_vm *vm)
{
	vm->stopping = true;
	if (vm->process)
		bn_renderer_process_kill(vm->process);
}

void bn_vm_stuck(struct bn_vm *vm)
{
	bn_vm_renderer_fault(vm, "it does not go on");
}

void bn_vm_destroy(struct bn_vm *vm)
{
	if (!vm)
		return;
	if (vm->listen_source)
		wl_event_source_remove(vm->listen_source);
	if (vm->listen_fd >= 0)
		unlink(vm->settings->socket);
	bn_fd_close(&vm->listen_fd);
	bn_fd_close(&vm->spare_fd);
	bn_vu_connection_destroy(vm->connection);
	bn_vm_renderer_finish(vm);
	bn_frames_destroy(vm->frames);
	free(vm);
}

void bn_vm_display_changed(struct bn_vm *vm, const struct bn_display *display)
{
	if (!bn_frames_uses_output(vm->frames, display->output))
		return;
	if (vm->renderer_state == BN_VM_RENDERER_STARTING ||
		vm->renderer_state == BN_VM_RENDERER_READY)
		bn_vm_renderer_send_displays(vm);
	if (vm->connection)
		bn_vu_session_display_changed(bn_vu_connection_session(vm->connection));
}

/* ---- for people ---- */

static const char *state_name(const struct bn_vm *vm)
{
	if (!vm->connection)
		return "waiting";
	if (vm->restarting)
		return "restarting";
	return bn_vu_session_running(bn_vu_connection_session(vm->connection)) ? "running"
									       : "connected";
}

/* Field by field: the renderer writes while we read. */
static void copy_stats(struct bn_stats *to, const struct bn_stats *from)
{
	_Static_assert(sizeof(*to) % sizeof(uint64_t) == 0, "bn_stats is all uint64_t");
	const uint64_t *source = (const uint64_t *)from;
	uint64_t *target = (uint64_t *)to;
	for (size_t i = 0; i < sizeof(*to) / sizeof(uint64_t); i++)
		target[i] = __atomic_load_n(&source[i], __ATOMIC_RELAXED);
}

static double busy_percent(struct bn_vm *vm, uint64_t busy_ns)
{
	uint64_t now = bn_now_ns();
	uint64_t elapsed = now - vm->busy_at_ns;
	uint64_t busy = busy_ns > vm->busy_seen_ns ? busy_ns - vm->busy_seen_ns : 0;
	double percent = elapsed > 0 ? 100.0 * (double)busy / (double)elapsed : 0.0;
	/* Two questions in a row share their stretch of time: a short one says nothing. */
	if (elapsed >= 200 * BN_NS_PER_MS) {
		vm->busy_seen_ns = busy_ns;
		vm->busy_at_ns = now;
	}
	return percent > 100.0 ? 100.0 : percent;
}

void bn_vm_describe(struct bn_vm *vm, struct bn_vm_info *info)
{
	*info = (struct bn_vm_info){
		.settings = vm->settings,
		.state = state_name(vm),
		.front_end = "",
		.renderer = vm->process ? bn_renderer_process_pid(vm->process) : 0,
		.ready = vm->renderer_state == BN_VM_RENDERER_READY,
		.monitor = &vm->monitor,
		.buffers = bn_frames_buffers(vm->frames),
	};
	if (vm->connection) {
		const struct bn_vu_session *s = bn_vu_connection_session(vm->connection);
		info->front_end = bn_vu_session_front_end(s);
		info->features = s->features;
		info->guest_memory = bn_vu_session_memory_size(s);
	}
	if (info->ready)
		info->about = vm->about;
	if (vm->stats)
		copy_stats(&info->stats, vm->stats);
	info->gpu_busy_percent = busy_percent(vm, info->stats.gpu_busy_ns);
}

struct bn_frames *bn_vm_frames(struct bn_vm *vm)
{
	return vm->frames;
}
