/* The renderer of a VM: started, told who it is, watched, replaced.
 *
 *     NONE ──start──▶ STARTING ──READY──▶ READY ──fault, replace──▶ ENDING ──▶ (gone)
 *      ▲                 └────────────────┴─────── dies by itself ───────────────▶│
 *      └──────────────────────────── at once, or a second later ◀─────────────────┘
 *
 * The next one starts only when the last is gone: both would write the same journal and
 * in-flight table. */
#include "vm_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <wayland-server-core.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "events.h"

/* Sparse: only what is written takes memory. Room for every resource with the longest backing
 * list, twice (the journal has two halves). */
#define JOURNAL_SIZE (16u << 20)

/* Mesa, its compiler and the GPU library themselves, on top of what a VM's resources may take. */
#define OVERHEAD_BYTES (1ull << 30)

/* A renderer that is stuck, in a driver or on purpose, would keep its VMM waiting for ever: that
 * waits for memory and rings with all of its virtual processors stopped. Far above what either
 * takes: a stop waits for the GPU, and a driver may have much to compile. */
#define ANSWER_MS 15000
#define START_MS 60000

/* From one start to the next. */
#define LIFE_MIN_MS 50

/* Renderers with a past that die before they have taken it over. */
#define FAILED_RESTORES_MAX 3

/* After a start that failed. */
#define START_AGAIN_MS 1000

/* ---- shared memfds ---- */

static void forget_memfds(struct bn_vm *vm)
{
	if (vm->stats)
		munmap((void *)vm->stats, sizeof(*vm->stats));
	vm->stats = NULL;
	bn_fd_close(&vm->journal_fd);
	bn_fd_close(&vm->inflight_fd);
	bn_fd_close(&vm->stats_fd);
}

static int replace_journal(struct bn_vm *vm)
{
	bn_fd_close(&vm->journal_fd);
	vm->journal_fd = bn_memfd_create("binnacle-journal", JOURNAL_SIZE);
	return vm->journal_fd < 0 ? vm->journal_fd : 0;
}

static int make_memfds(struct bn_vm *vm)
{
	forget_memfds(vm);
	int ret = replace_journal(vm);
	if (ret < 0)
		return ret;
	vm->inflight_fd = bn_memfd_create("binnacle-inflight", sizeof(struct bn_inflight));
	if (vm->inflight_fd < 0)
		return vm->inflight_fd;
	vm->stats_fd = bn_memfd_create("binnacle-stats", sizeof(struct bn_stats));
	if (vm->stats_fd < 0)
		return vm->stats_fd;
	void *map = mmap(NULL, sizeof(struct bn_stats), PROT_READ, MAP_SHARED, vm->stats_fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	vm->stats = map;
	vm->busy_seen_ns = 0;
	vm->busy_at_ns = bn_now_ns();
	return 0;
}

/* ---- deadlines ---- */

static void set_deadline(struct bn_vm *vm, int ms)
{
	if (vm->deadline)
		wl_event_source_timer_update(vm->deadline, ms);
}

/* ---- messages ---- */

int bn_vm_renderer_send(struct bn_vm *vm, enum bn_link_type type, const void *payload, size_t size,
	const int *fds, size_t nfds, uint32_t *seq)
{
	if (!vm->link || vm->renderer_state == BN_VM_RENDERER_ENDING)
		return -EPIPE;
	if (seq) /* an answer is due */
		set_deadline(vm, ANSWER_MS);
	return bn_renderer_link_send(vm->link, type, payload, size, fds, nfds, seq);
}

static uint32_t priority_of(const struct bn_vm *vm)
{
	static const uint32_t priorities[] = {
		[BN_CLASS_BACKGROUND] = BN_LINK_PRIORITY_LOW,
		[BN_CLASS_INTERACTIVE] = BN_LINK_PRIORITY_MEDIUM,
		[BN_CLASS_SAFETY] = BN_LINK_PRIORITY_HIGH,
	};
	const struct bn_arbiter *arbiter = vm->context->arbiter;
	struct bn_arbiter_vm params;
	bn_arbiter_vm_params(vm->context->arbiter, vm->index, &params);
	if (bn_arbiter_config(arbiter)->policy == BN_POLICY_NONE)
		return BN_LINK_PRIORITY_MEDIUM;
	return priorities[params.policy.vm_class];
}

static int send_hello(struct bn_vm *vm)
{
	const struct bn_gpu *gpu = &vm->context->gpu;
	struct bn_link_hello hello = {
		.version = BN_LINK_VERSION,
		.gpu = vm->settings->gl ? gpu->kind : BN_LINK_GPU_NONE,
		.num_scanouts = vm->settings->num_scanouts > 0 ? vm->settings->num_scanouts : 1,
		.restore = vm->restored,
		.journal_size = JOURNAL_SIZE,
		.host_memory_max = vm->settings->memory_max,
		.priority = priority_of(vm),
	};
	vm->priority = hello.priority;
	snprintf(hello.vm, sizeof(hello.vm), "%s", vm->name);
	int fds[BN_LINK_HELLO_FDS + 1] = {vm->journal_fd, vm->inflight_fd, vm->stats_fd,
		vm->arbiter_fds.request, vm->arbiter_fds.grant, vm->arbiter_fds.arbiter_bell,
		vm->arbiter_fds.renderer_bell, -1};
	int *node = &fds[BN_LINK_HELLO_FDS];
	if (hello.gpu == BN_LINK_GPU_RENDER_NODE) {
		*node = bn_gpu_open(gpu);
		if (*node < 0) {
			bn_warn("%s: %s: %s; it gets the software rasteriser", vm->name, gpu->path,
				strerror(-*node));
			hello.gpu = BN_LINK_GPU_SURFACELESS;
		}
	}
	int ret = bn_vm_renderer_send(vm, BN_LINK_HELLO, &hello, sizeof(hello), fds,
		BN_LINK_HELLO_FDS + (*node >= 0), NULL);
	bn_fd_close(node);
	return ret;
}

void bn_vm_renderer_send_displays(struct bn_vm *vm)
{
	struct bn_link_displays displays;
	bn_displays_describe(vm->context->displays, vm->settings, &displays);
	bn_vm_renderer_send(vm, BN_LINK_DISPLAYS, &displays, sizeof(displays), NULL, 0, NULL);
}

/* Kills it; handle_exited() does the rest. What it says from now on is not heard. */
static void end_renderer(struct bn_vm *vm)
{
	if (!vm->process || vm->renderer_state == BN_VM_RENDERER_ENDING)
		return;
	vm->renderer_state = BN_VM_RENDERER_ENDING;
	set_deadline(vm, 0);
	if (vm->link)
		bn_renderer_link_close(vm->link);
	bn_renderer_process_kill(vm->process);
}

void bn_vm_renderer_fault(struct bn_vm *vm, const char *what)
{
	vm->monitor.faults++;
	bn_events_add(vm->context->events, vm->index, BN_EVENT_FAULT,
		"FAULT: the renderer is replaced: %s", what);
	end_renderer(vm);
}

static int handle_deadline(void *data)
{
	struct bn_vm *vm = data;
	bn_vm_renderer_fault(vm, vm->renderer_state == BN_VM_RENDERER_STARTING
				   ? "it does not get ready"
				   : "it does not answer");
	return 0;
}

static void log_priority(const struct bn_vm *vm, const struct bn_link_ready *ready)
{
	static const char *const names[] = {"low", "medium", "high"};
	if (ready->software || !ready->gl_renderer[0] || ready->priority > BN_LINK_PRIORITY_HIGH ||
		ready->priority == vm->priority)
		return;
	bn_info("%s: its GPU contexts asked for %s priority, the driver granted %s", vm->name,
		names[vm->priority], names[ready->priority]);
}

static void handle_ready(struct bn_vm *vm, const struct bn_link_ready *ready)
{
	if (vm->renderer_state != BN_VM_RENDERER_STARTING) {
		bn_vm_renderer_fault(vm, "it was ready twice");
		return;
	}
	vm->about = *ready;
	bn_link_text_clean(vm->about.gl_renderer);
	bn_link_text_clean(vm->about.gl_version);
	vm->renderer_state = BN_VM_RENDERER_READY;
	set_deadline(vm, 0);
	bn_info("%s: renderer ready: %s; sandbox:%s%s%s%s", vm->name,
		ready->gl_renderer[0] ? ready->gl_renderer : "2D only",
		ready->sandbox & BN_LINK_SANDBOX_NAMESPACES ? " namespaces" : "",
		ready->sandbox & BN_LINK_SANDBOX_SECCOMP ? " seccomp" : "",
		ready->sandbox & BN_LINK_SANDBOX_RLIMITS ? " rlimits" : "",
		ready->sandbox == 0 ? " NONE" : "");
	log_priority(vm, ready);
	bn_vm_renderer_offer(vm);
}

static void handle_fault(struct bn_vm *vm, const struct bn_link_fault *fault)
{
	vm->monitor.faults++;
	bn_events_add(vm->context->events, vm->index, BN_EVENT_FAULT, "FAULT%s: %s",
		fault->fatal ? ", the renderer ends" : "", fault->text);
}

static bool handle_ack(struct bn_vm *vm, const struct bn_link_ack *ack, const char **why)
{
	*why = "it acknowledged what it was not asked for";
	if (!vm->connection || bn_vu_session_ack(bn_vu_connection_session(vm->connection), ack) < 0)
		return false;
	if (bn_vu_session_busy(bn_vu_connection_session(vm->connection))) {
		set_deadline(vm, ANSWER_MS); /* for the next one */
	} else {
		set_deadline(vm, 0);
		/* All that the last one had is with this one. */
		vm->failed_restores = 0;
		vm->restarting = false;
		bn_vm_renderer_update_limits(vm);
	}
	return true;
}

static bool handle_work(struct bn_vm *vm, uint32_t type, const void *payload, int *fds, size_t nfds,
	const char **why)
{
	switch (type) {
	case BN_LINK_ACK:
		return handle_ack(vm, payload, why);
	case BN_LINK_BUFFER_NEW:
		return bn_frames_buffer_new(vm->frames, payload, fds, nfds, why);
	case BN_LINK_BUFFER_GONE:
		return bn_frames_buffer_gone(
			vm->frames, ((const struct bn_link_u64 *)payload)->value, why);
	case BN_LINK_FRAME:
		return bn_frames_frame(vm->frames, payload, why);
	case BN_LINK_CURSOR_IMAGE:
		return bn_frames_cursor_image(vm->frames, payload, why);
	case BN_LINK_CURSOR_MOVE:
		return bn_frames_cursor_move(vm->frames, payload, why);
	default:
		*why = "it sent a message that the daemon does not know";
		return false;
	}
}

static void handle_message(
	void *data, const struct bn_link_header *header, const void *payload, int *fds, size_t nfds)
{
	struct bn_vm *vm = data;
	const char *why = "";
	if (header->type == BN_LINK_READY)
		handle_ready(vm, payload);
	else if (header->type == BN_LINK_FAULT)
		handle_fault(vm, payload);
	else if (!handle_work(vm, header->type, payload, fds, nfds, &why))
		bn_vm_renderer_fault(vm, why);
}

static void handle_closed(void *data, const char *why)
{
	struct bn_vm *vm = data;
	/* It closes the link by dying, as a rule: then its end says more than this. */
	bn_debug("%s: renderer link: %s", vm->name, why);
	end_renderer(vm);
}

static const struct bn_renderer_link_listener link_listener = {
	.message = handle_message,
	.closed = handle_closed,
};

/* ---- start and end ---- */

static int handle_retry(void *data)
{
	bn_vm_renderer_start(data);
	return 0;
}

static void start_later(struct bn_vm *vm, unsigned ms)
{
	if (ms == 0) {
		bn_vm_renderer_start(vm);
		return;
	}
	if (!vm->retry)
		vm->retry = wl_event_loop_add_timer(vm->context->loop, handle_retry, vm);
	if (vm->retry)
		wl_event_source_timer_update(vm->retry, (int)ms);
}

/* Milliseconds to wait before the next start, at least `wait`: a front end that resets its device,
 * or comes and goes, again and again must not keep the loop busy with starting renderers. */
static unsigned restart_wait(const struct bn_vm *vm, unsigned wait)
{
	uint64_t lived_ms = (bn_now_ns() - vm->started_ns) / BN_NS_PER_MS;
	unsigned rest = lived_ms < LIFE_MIN_MS ? LIFE_MIN_MS - (unsigned)lived_ms : 0;
	return wait > rest ? wait : rest;
}

static void forget_renderer(struct bn_vm *vm)
{
	bn_fd_close(&vm->link_fd);
	bn_renderer_link_destroy(vm->link);
	bn_arbiter_detach(vm->context->arbiter, vm->index);
	bn_renderer_process_destroy(vm->process);
	vm->link = NULL;
	vm->process = NULL;
	vm->renderer_state = BN_VM_RENDERER_NONE;
	set_deadline(vm, 0);
	bn_frames_renderer_gone(vm->frames);
	if (vm->connection)
		bn_vu_session_detach(bn_vu_connection_session(vm->connection));
}

/* It died under us. Whoever is connected gets its successor with all that this one had. */
static unsigned note_death(struct bn_vm *vm, const struct bn_renderer_exit *how)
{
	unsigned wait = bn_backoff_death(&vm->backoff, bn_now_ns());
	bn_warn("%s: the renderer %s %d; %s", vm->name,
		how->signalled ? "was ended by signal" : "ended with status", how->code,
		wait > 0 ? "it dies again and again: the next one starts in a second"
			 : "the next one takes over");
	bn_events_note(vm->context->events, vm->index, BN_EVENT_RESTART,
		"the renderer %s %d and is started anew",
		how->signalled ? "was ended by signal" : "ended with status", how->code);
	vm->monitor.restarts++;
	if (!vm->connection || !vm->used) {
		vm->want_fresh = true;
		return wait;
	}
	vm->restarting = true;
	if (vm->restored && ++vm->failed_restores >= FAILED_RESTORES_MAX) {
		bn_error("%s: %u renderers died over the state of their predecessor; the next one "
			 "starts "
			 "without the guest's resources",
			vm->name, vm->failed_restores);
		vm->failed_restores = 0;
		if (replace_journal(vm) < 0)
			vm->want_fresh = true;
	}
	return wait;
}

static void handle_exited(void *data, const struct bn_renderer_exit *how)
{
	struct bn_vm *vm = data;
	unsigned wait = 0;
	if (vm->link && vm->renderer_state != BN_VM_RENDERER_ENDING)
		bn_renderer_link_drain(vm->link);
	if (!vm->replacing)
		wait = note_death(vm, how);
	forget_renderer(vm);
	if (!vm->stopping)
		start_later(vm, restart_wait(vm, wait));
}

static void close_arbiter_fds(struct bn_vm *vm)
{
	bn_fd_close(&vm->arbiter_fds.request);
	bn_fd_close(&vm->arbiter_fds.grant);
	bn_fd_close(&vm->arbiter_fds.arbiter_bell);
	bn_fd_close(&vm->arbiter_fds.renderer_bell);
}

/* It runs, and waits for its greeting. */
static int greet(struct bn_vm *vm, pid_t pid)
{
	int link_fd = vm->link_fd;
	vm->link_fd = -1;
	int ret = bn_renderer_link_create(
		&vm->link, vm->context->loop, link_fd, &link_listener, vm);
	if (ret < 0)
		return ret;
	ret = bn_arbiter_attach(vm->context->arbiter, vm->index, &vm->arbiter_fds);
	if (ret < 0)
		return ret;
	bn_arbiter_process(vm->context->arbiter, vm->index, pid);
	ret = send_hello(vm);
	close_arbiter_fds(vm);
	if (ret == 0)
		bn_vm_renderer_send_displays(vm);
	return ret;
}

static void handle_started(void *data, pid_t pid)
{
	struct bn_vm *vm = data;
	int ret = greet(vm, pid);
	if (ret == 0)
		return;
	bn_error("%s: no renderer: %s; starting another one", vm->name, strerror(-ret));
	vm->want_fresh = vm->want_fresh || !vm->restored;
	end_renderer(vm); /* its end starts the next one */
}

static void handle_failed(void *data, int error)
{
	struct bn_vm *vm = data;
	bn_error("%s: no renderer: %s; trying again in a second", vm->name, strerror(-error));
	vm->want_fresh = vm->want_fresh || !vm->restored;
	forget_renderer(vm);
	if (!vm->stopping)
		start_later(vm, START_AGAIN_MS);
}

static const struct bn_renderer_listener renderer_listener = {
	.started = handle_started,
	.failed = handle_failed,
	.exited = handle_exited,
};

static int launch(struct bn_vm *vm)
{
	int pair[2];
	vm->started_ns = bn_now_ns();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	vm->link_fd = pair[0];
	bn_vm_renderer_update_limits(vm);
	int ret = bn_renderer_process_create(&vm->process, vm->context->loop, &vm->context->program,
		vm->name, vm->shader_cache[0] ? vm->shader_cache : NULL, pair[1],
		bn_cgroup_open_procs(vm->cgroup), &renderer_listener, vm);
	bn_fd_close(&pair[1]);
	if (ret < 0)
		return ret;
	vm->renderer_state = BN_VM_RENDERER_STARTING;
	if (!vm->deadline)
		vm->deadline = wl_event_loop_add_timer(vm->context->loop, handle_deadline, vm);
	set_deadline(vm, START_MS);
	return 0;
}

void bn_vm_renderer_start(struct bn_vm *vm)
{
	int ret = 0;
	vm->restored = !vm->want_fresh && vm->journal_fd >= 0;
	vm->want_fresh = vm->replacing = false;
	vm->used = vm->used && vm->restored;
	if (!vm->restored)
		ret = make_memfds(vm);
	if (ret == 0)
		ret = launch(vm);
	if (ret < 0)
		handle_failed(vm, ret);
}

void bn_vm_renderer_replace(struct bn_vm *vm)
{
	vm->want_fresh = true;
	vm->replacing = vm->process != NULL;
	vm->restarting = false;
	vm->failed_restores = 0;
	end_renderer(vm);
}

void bn_vm_renderer_offer(struct bn_vm *vm)
{
	if (!vm->connection || vm->renderer_state != BN_VM_RENDERER_READY)
		return;
	vm->used = true;
	struct bn_vu_session *s = bn_vu_connection_session(vm->connection);
	bn_vu_session_attach(s, &vm->about, vm->restored);
	if (!bn_vu_session_busy(s))
		vm->restarting = false;
}

void bn_vm_renderer_update_limits(struct bn_vm *vm)
{
	/* Guest memory is the VM's, but pages that a renderer is the first to touch are counted
	 * as its own. */
	uint64_t guest =
		vm->connection ? bn_vu_session_memory_size(bn_vu_connection_session(vm->connection))
			       : 0;
	if (guest == vm->guest_memory_limit)
		return;
	vm->guest_memory_limit = guest;
	bn_cgroup_set_memory_max(vm->cgroup, vm->settings->memory_max + OVERHEAD_BYTES + guest);
}

void bn_vm_renderer_finish(struct bn_vm *vm)
{
	vm->stopping = true;
	if (vm->retry)
		wl_event_source_remove(vm->retry);
	vm->retry = NULL;
	if (vm->deadline)
		wl_event_source_remove(vm->deadline);
	vm->deadline = NULL;
	bn_renderer_link_destroy(vm->link);
	vm->link = NULL;
	bn_arbiter_detach(vm->context->arbiter, vm->index);
	bn_renderer_process_destroy(vm->process);
	vm->process = NULL;
	bn_fd_close(&vm->link_fd);
	bn_arbiter_cgroup(vm->context->arbiter, vm->index, NULL);
	bn_cgroup_destroy(vm->cgroup);
	forget_memfds(vm);
}
