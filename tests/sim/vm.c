#include "vm.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/fd.h"

enum way { TO_DEVICE, TO_GUEST, TO_DAEMON, TO_RENDERER };

#define PAGE 4096u

/* ---- outputs ---- */

static void handle_timer(void *data, uint64_t arg)
{
	struct sim_output *o = data;

	if (!o->output || o->armed_for != arg)
		return;
	o->armed_for = 0;
	bn_pacer_run(&o->output->pacer);
	sim_output_tend(o);
}

void sim_output_tend(struct sim_output *o)
{
	uint64_t deadline;

	wl_event_loop_dispatch_idle(o->loop);
	deadline = o->output->pacer.deadline_ns;
	if (deadline == 0 || deadline == o->armed_for)
		return;
	o->armed_for = deadline;
	sim_at((deadline > sim_now() ? deadline : sim_now()) + sim_within(&o->random, o->late),
		handle_timer, o, deadline);
}

static uint64_t clock_now(void *data)
{
	return sim_now();
}

void sim_output_init(
	struct sim_output *o, struct wl_event_loop *loop, uint32_t refresh_mhz, bool free_running)
{
	const struct bn_clock clock = {.now = clock_now};
	struct bn_output_config config = {
		.name = "sim",
		.kind = BN_OUTPUT_HEADLESS,
		.width = 16,
		.height = 16,
		.refresh_mhz = refresh_mhz,
		.free_running = free_running,
	};

	*o = (struct sim_output){.loop = loop, .random = sim_random(refresh_mhz)};
	CU_ASSERT_EQUAL_FATAL(bn_output_create_clocked(&o->output, loop, &config, &clock), 0);
}

void sim_output_finish(struct sim_output *o)
{
	bn_output_destroy(o->output);
	o->output = NULL;
}

/* ---- ways ---- */

static uint64_t arrival(struct sim_vm *vm, enum way way)
{
	uint64_t at = sim_now() + sim_within(&vm->random, vm->config.hop);

	if (at < vm->pipe[way])
		at = vm->pipe[way];
	vm->pipe[way] = at;
	return at;
}

static void go_on(struct sim_vm *vm);

static void tend(struct sim_vm *vm)
{
	go_on(vm);
	for (unsigned i = 0; i < VM_SCANOUTS; i++) {
		const struct bn_scanout *so = &vm->dev->scanout[i];
		uint64_t backlog = so->number - so->presented;

		if (backlog > vm->seen[i].backlog_max)
			vm->seen[i].backlog_max = (unsigned)backlog;
		if (vm->config.outputs[i])
			sim_output_tend(vm->config.outputs[i]);
	}
}

/* ---- requests ---- */

struct sim_request {
	struct bn_vq_request request; /* first: it is what the device hands back */
	struct wl_list link;          /* sim_vm.backlog, if it waits there */
	struct sim_vm *vm;
	unsigned epoch;
	struct iovec out, in;
	bool fenced, waiting;
	unsigned timeline;
	uint64_t number, fence_id;
	struct virtio_gpu_resp_display_info resp; /* the longest */
	size_t size;
	unsigned char cmd[];
};

static void note_flush(struct sim_vm *vm, const struct virtio_gpu_resource_flush *c)
{
	if (c->hdr.type != VIRTIO_GPU_CMD_RESOURCE_FLUSH || c->resource_id >= SIM_PICTURES)
		return;
	vm->pictures[c->resource_id].spoilt = false;
	for (unsigned i = 0; i < VM_SCANOUTS; i++) {
		if (vm->dev->scanout[i].res_id == c->resource_id)
			vm->newest[i] = c->resource_id;
	}
}

static void note_unref(struct sim_vm *vm, const struct virtio_gpu_resource_unref *c)
{
	if (c->hdr.type != VIRTIO_GPU_CMD_RESOURCE_UNREF || c->resource_id >= SIM_PICTURES)
		return;
	vm->pictures[c->resource_id] = (struct sim_picture){0};
	for (unsigned i = 0; i < VM_SCANOUTS; i++) {
		bool sent = vm->sent_res[i] == c->resource_id;

		if (sent)
			vm->sent_res[i] = UINT32_MAX; /* no other one has that number */
		if (vm->newest[i] == c->resource_id)
			vm->newest[i] = vm->sent_res[i];
	}
}

static void execute(struct sim_vm *vm, struct sim_request *req)
{
	req->waiting = true;
	vm->sent++;
	note_flush(vm, (const void *)req->cmd);
	note_unref(vm, (const void *)req->cmd);
	bn_device_execute(vm->dev, &req->request, false);
}

static void handle_execute(void *data, uint64_t arg)
{
	struct sim_request *req = data;
	struct sim_vm *vm = req->vm;

	if (req->epoch != vm->epoch) {
		free(req);
		return;
	}
	wl_list_insert(vm->backlog.prev, &req->link);
	tend(vm);
}

static void handle_overdue(void *data, uint64_t number)
{
	struct sim_vm *vm = data;

	if (vm->dev && number == bn_release_waiting(vm->dev) && bn_release_overdue(vm->dev))
		sim_at(sim_now() + BN_RELEASE_MS * MS, handle_overdue, vm, number);
	if (vm->dev)
		tend(vm);
}

/* What the ring thread does. */
static void go_on(struct sim_vm *vm)
{
	struct sim_request *req, *next;
	uint64_t number;

	if (bn_device_parked(vm->dev) && bn_release_over(vm->dev))
		bn_device_resume(vm->dev);
	wl_list_for_each_safe(req, next, &vm->backlog, link)
	{
		if (bn_device_parked(vm->dev))
			break;
		wl_list_remove(&req->link);
		execute(vm, req);
	}
	number = bn_release_waiting(vm->dev);
	if (number == 0 || number == vm->wait)
		return;
	vm->wait = number;
	sim_at(sim_now() + BN_RELEASE_MS * MS, handle_overdue, vm, number);
}

/* ---- what displays show ---- */

static void handle_draws(void *data, uint32_t id)
{
	struct sim_vm *vm = data;

	if (id == 0 || id >= SIM_PICTURES || id == vm->newest[0] || id == vm->newest[1])
		return;
	SIM_CHECK(vm->pictures[id].seq == 0 || vm->draining ||
			  (vm->tears & 1u << vm->pictures[id].scanout),
		"resource %u drawn into while shown", id);
	vm->pictures[id].spoilt = !vm->tears && !vm->draining;
}

static void note_frame(struct sim_vm *vm, const struct bn_link_frame *frame)
{
	for (uint32_t id = 1; id < SIM_PICTURES && frame->buffer; id++) {
		const struct bn_resource *res = bn_resource_get(vm->dev, id);

		if (!res || res->buffer_id != frame->buffer)
			continue;
		SIM_CHECK(!vm->pictures[id].spoilt || vm->draining, "resource %u shown half drawn", id);
		vm->pictures[id].buffer = frame->buffer;
		vm->pictures[id].seq = frame->seq;
		vm->pictures[id].scanout = frame->scanout;
		vm->sent_res[frame->scanout] = id;
	}
}

static void note_release(struct sim_vm *vm, uint64_t buffer, uint64_t seq)
{
	for (uint32_t id = 1; id < SIM_PICTURES; id++) {
		if (vm->pictures[id].buffer == buffer && vm->pictures[id].seq <= seq)
			vm->pictures[id].seq = 0;
	}
}

static void handle_signal(void *data, uint64_t arg)
{
	struct sim_request *req = data;
	struct sim_vm *vm = req->vm;

	if (req->epoch == vm->epoch) {
		vm->timeline[req->timeline].seen = req->number;
		vm->signalled(vm->data);
	}
	free(req);
}

static void see_lag(struct sim_vm *vm, uint32_t ctx_id)
{
	uint64_t lag = sim_now() - vm->gpu.done_ns[ctx_id];

	if (lag > vm->lag_max[ctx_id])
		vm->lag_max[ctx_id] = lag;
}

static void handle_answer(void *data, struct bn_vq_request *request, uint32_t written)
{
	struct sim_vm *vm = data;
	struct sim_request *req = (struct sim_request *)request;

	SIM_CHECK(req->waiting, "answered without a question");
	req->waiting = false;
	vm->answered++;
	/* What waits for a display is not executed any more when the device is reset. */
	SIM_CHECK(req->resp.hdr.type == VIRTIO_GPU_RESP_OK_NODATA ||
			  (vm->resetting && req->resp.hdr.type == VIRTIO_GPU_RESP_ERR_UNSPEC),
		"answer 0x%x", req->resp.hdr.type);
	if (!req->fenced) {
		SIM_CHECK(
			!(req->resp.hdr.flags & VIRTIO_GPU_FLAG_FENCE), "a fence nobody asked for");
		free(req);
		return;
	}
	SIM_CHECK(req->resp.hdr.fence_id == req->fence_id, "fence %llu",
		(unsigned long long)req->resp.hdr.fence_id);
	SIM_CHECK(vm->timeline[req->timeline].answered + 1 == req->number,
		"timeline %u: %llu after %llu", req->timeline, (unsigned long long)req->number,
		(unsigned long long)vm->timeline[req->timeline].answered);
	vm->timeline[req->timeline].answered = req->number;
	see_lag(vm, req->resp.hdr.ctx_id);
	sim_at(arrival(vm, TO_GUEST), handle_signal, req, 0);
}

static unsigned timeline_of(const struct sim_vm *vm, uint32_t ctx_id)
{
	return vm->config.rings ? ctx_id : 0;
}

bool sim_vm_signalled(const struct sim_vm *vm, uint32_t ctx_id, uint64_t number)
{
	return vm->timeline[timeline_of(vm, ctx_id)].seen >= number;
}

uint64_t sim_vm_send(
	struct sim_vm *vm, void *cmd, size_t size, const void *more, size_t more_size, bool fenced)
{
	struct sim_request *req = calloc(1, sizeof(*req) + size + more_size);
	struct virtio_gpu_ctrl_hdr *hdr = cmd;

	if (!req)
		abort();
	req->vm = vm;
	req->epoch = vm->epoch;
	req->fenced = fenced;
	if (fenced) {
		req->timeline = timeline_of(vm, hdr->ctx_id);
		req->number = ++vm->timeline[req->timeline].made;
		req->fence_id = ++vm->next_fence_id;
		hdr->flags |= VIRTIO_GPU_FLAG_FENCE;
		hdr->fence_id = req->fence_id;
		if (vm->config.rings && hdr->ctx_id)
			hdr->flags |= VIRTIO_GPU_FLAG_INFO_RING_IDX;
	}
	memcpy(req->cmd, cmd, size);
	if (more_size > 0)
		memcpy(req->cmd + size, more, more_size);
	req->out = (struct iovec){req->cmd, size + more_size};
	req->in = (struct iovec){&req->resp, sizeof(req->resp)};
	req->request = (struct bn_vq_request){
		.nout = 1,
		.nin = 1,
		.out = &req->out,
		.in = &req->in,
		.out_len = size + more_size,
		.in_len = sizeof(req->resp),
	};
	sim_at(arrival(vm, TO_DEVICE), handle_execute, req, 0);
	return req->number;
}

/* ---- the link ---- */

struct message {
	struct sim_vm *vm;
	uint32_t type;
	int fd;
	union {
		struct bn_link_buffer buffer;
		struct bn_link_frame frame;
		struct bn_link_presented presented;
		struct bn_link_release release;
		struct bn_link_u64 u64;
	} payload;
};

static struct message *message_create(
	struct sim_vm *vm, uint32_t type, const void *payload, size_t size)
{
	struct message *msg = calloc(1, sizeof(*msg));

	if (!msg || size > sizeof(msg->payload))
		abort();
	msg->vm = vm;
	msg->type = type;
	msg->fd = -1;
	memcpy(&msg->payload, payload, size);
	return msg;
}

static void handle_to_daemon(void *data, uint64_t arg)
{
	struct message *msg = data;
	struct sim_vm *vm = msg->vm;
	const char *why = "";
	bool ok = true;

	if (msg->type == BN_LINK_BUFFER_NEW)
		ok = bn_frames_buffer_new(vm->frames, &msg->payload.buffer, &msg->fd, 1, &why);
	else if (msg->type == BN_LINK_BUFFER_GONE)
		ok = bn_frames_buffer_gone(vm->frames, msg->payload.u64.value, &why);
	else if (msg->type == BN_LINK_FRAME)
		ok = bn_frames_frame(vm->frames, &msg->payload.frame, &why);
	SIM_CHECK(ok, "message %s: %s", bn_link_name(msg->type), why);
	bn_fd_close(&msg->fd);
	free(msg);
	tend(vm);
}

static void handle_device_send(
	void *data, uint32_t type, const void *payload, size_t size, const int *fds, size_t nfds)
{
	struct sim_vm *vm = data;
	struct message *msg = message_create(vm, type, payload, size);

	vm->frames_sent += type == BN_LINK_FRAME && msg->payload.frame.buffer != 0;
	if (type == BN_LINK_FRAME)
		note_frame(vm, &msg->payload.frame);
	else if (type == BN_LINK_BUFFER_GONE)
		note_release(vm, msg->payload.u64.value, UINT64_MAX);
	if (nfds > 0)
		msg->fd = bn_fd_dup(fds[0]);
	if (type == BN_LINK_BUFFER_NEW) {
		/* No dma-buf can be had here: what the GPU exports is a memfd. */
		msg->payload.buffer.kind = BN_LINK_BUFFER_MEMFD;
		msg->payload.buffer.modifier = 0;
	}
	sim_at(arrival(vm, TO_DAEMON), handle_to_daemon, msg, 0);
}

static void handle_to_renderer(void *data, uint64_t arg)
{
	struct message *msg = data;
	struct sim_vm *vm = msg->vm;

	if (msg->type == BN_LINK_PRESENTED)
		bn_scanout_presented(vm->dev, &msg->payload.presented);
	else
		bn_scanout_released(vm->dev, &msg->payload.release);
	free(msg);
	tend(vm);
}

/* The k-th vblank of the grid that has `when`; checks that there is one. */
static uint64_t grid_index(const struct bn_pacer *pacer, uint64_t when)
{
	unsigned __int128 since = when - pacer->origin_ns;
	uint64_t k = (uint64_t)((since * pacer->refresh_mhz + 999999999999ull) / 1000000000000ull);
	uint64_t at = (uint64_t)((unsigned __int128)k * 1000000000000ull / pacer->refresh_mhz);

	SIM_CHECK(at == since, "present %lld ns beside the grid", (long long)(since - at));
	return k;
}

static void see(struct sim_vm *vm, const struct bn_link_presented *p)
{
	const struct sim_output *o = vm->config.outputs[p->scanout];
	struct sim_seen *seen = &vm->seen[p->scanout];
	const struct bn_pacer *pacer = &o->output->pacer;
	uint64_t index, step;

	SIM_CHECK(p->time_ns <= sim_now(), "shown in the future");
	SIM_CHECK(p->time_ns >= seen->last_ns, "shown before the one before");
	seen->presents++;
	vm->digest = (vm->digest ^ p->time_ns ^ p->scanout) * 0x100000001b3ull;
	seen->last_ns = p->time_ns;
	if (o->output->config.free_running || vm->draining)
		return;
	index = grid_index(pacer, p->time_ns);
	step = index - seen->index;
	if (seen->origin_ns == pacer->origin_ns)
		SIM_CHECK(step > 0, "two presents at one vblank");
	if (seen->origin_ns == pacer->origin_ns)
		seen->steps[step < 4 ? step : 0]++;
	seen->origin_ns = pacer->origin_ns;
	seen->index = index;
}

static void handle_frames_send(void *data, enum bn_link_type type, const void *payload, size_t size)
{
	struct sim_vm *vm = data;

	const struct bn_link_release *released = payload;

	if (type == BN_LINK_PRESENTED)
		see(vm, payload);
	else
		note_release(vm, released->buffer, released->seq);
	sim_at(arrival(vm, TO_RENDERER), handle_to_renderer,
		message_create(vm, type, payload, size), 0);
}

/* ---- life ---- */

static void handle_fence(void *data, uint32_t ctx_id, uint32_t ring_idx, uint64_t fence_id)
{
	struct sim_vm *vm = data;

	bn_fences_gpu_done(vm->dev->fences, ctx_id, fence_id);
	tend(vm);
}

static const struct bn_device_ops device_ops = {
	.answer = handle_answer,
	.send = handle_device_send,
};
static const struct bn_frames_listener frames_listener = {.send = handle_frames_send};

static void memory_init(struct sim_vm *vm)
{
	struct bn_guest_region region = {SIM_GUEST_RAM, PAGE, SIM_GUEST_RAM, 0};
	int fd = bn_memfd_create("sim-ram", PAGE);

	vm->mem = bn_guest_memory_create();
	CU_ASSERT_EQUAL_FATAL(bn_guest_memory_add(vm->mem, &region, fd), 0);
}

void sim_vm_init(struct sim_vm *vm, const struct sim_vm_config *config, uint64_t stream)
{
	struct bn_device_config device = {
		.stats = &vm->stats,
		.ops = &device_ops,
		.data = vm,
		.num_scanouts = VM_SCANOUTS,
	};
	struct bn_output *outputs[VM_SCANOUTS] = {0};

	memset(vm, 0, sizeof(*vm));
	vm->config = *config;
	vm->random = sim_random(stream);
	wl_list_init(&vm->backlog);
	vm->gpu = (struct bn_gl){
		.engine = config->engine,
		.can_export = config->export,
		.listener = {.fence = handle_fence},
		.draws = handle_draws,
		.data = vm,
	};
	memory_init(vm);
	device.mem = vm->mem;
	CU_ASSERT_EQUAL_FATAL(bn_device_create(&vm->dev, &device), 0);
	bn_device_set_gl(vm->dev, &vm->gpu);
	for (unsigned i = 0; i < VM_SCANOUTS; i++)
		vm->dev->displays.display[i].refresh_mhz =
			config->outputs[i] ? config->outputs[i]->output->config.refresh_mhz : 0;
	vm->dev->features = config->rings ? 1ull << VIRTIO_GPU_F_CONTEXT_INIT : 0;
	bn_monitor_init(&vm->monitor);
	for (unsigned i = 0; i < VM_SCANOUTS; i++)
		outputs[i] = config->outputs[i] ? config->outputs[i]->output : NULL;
	vm->frames = bn_frames_create(outputs, VM_SCANOUTS, &vm->monitor, &frames_listener, vm);
	CU_ASSERT_PTR_NOT_NULL_FATAL(vm->frames);
}

void sim_vm_drain(struct sim_vm *vm, bool on)
{
	vm->draining = on;
	bn_frames_set_draining(vm->frames, on);
	bn_fences_ignore_displays(vm->dev->fences, on);
	tend(vm);
}

static void backlog_drop(struct sim_vm *vm)
{
	struct sim_request *req, *next;

	wl_list_for_each_safe(req, next, &vm->backlog, link) free(req);
	wl_list_init(&vm->backlog);
}

void sim_vm_reset(struct sim_vm *vm)
{
	vm->resetting = true;
	bn_device_reset(vm->dev);
	vm->resetting = false;
	SIM_CHECK(vm->sent == vm->answered, "%llu of %llu answered after a reset",
		(unsigned long long)vm->answered, (unsigned long long)vm->sent);
	SIM_CHECK(vm->stats.fences_pending == 0, "fences at the GPU after a reset");
	vm->epoch++;
	backlog_drop(vm);
	memset(vm->newest, 0, sizeof(vm->newest));
	memset(vm->pictures, 0, sizeof(vm->pictures));
	memset(vm->timeline, 0, sizeof(vm->timeline));
	tend(vm);
}

void sim_vm_finish(struct sim_vm *vm)
{
	sim_vm_reset(vm);
	while (sim_step(sim_now() + S)) /* what is under way arrives */
		;
	SIM_CHECK(vm->gpu.contexts == 0 && vm->gpu.resources == 0, "objects left in the GPU");
	SIM_CHECK(bn_frames_buffers(vm->frames) == 0, "buffers left at the daemon");
	bn_frames_destroy(vm->frames);
	bn_device_destroy(vm->dev);
	vm->dev = NULL; /* a time-out may be under way */
	bn_guest_memory_destroy(vm->mem);
}
