#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <linux/virtio_config.h>

#include "vm.h"

#define RING_FEATURES                                                           \
	((1ull << VIRTIO_F_VERSION_1) | (1ull << VIRTIO_RING_F_INDIRECT_DESC) | \
		(1ull << VIRTIO_RING_F_EVENT_IDX))
#define GPU_FEATURES                                                  \
	((1ull << VIRTIO_GPU_F_VIRGL) | (1ull << VIRTIO_GPU_F_EDID) | \
		(1ull << VIRTIO_GPU_F_RESOURCE_UUID) | (1ull << VIRTIO_GPU_F_CONTEXT_INIT))

uint64_t tg_now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

int tg_vm_prepare(struct tg_vm *vm, const struct tg_options *options)
{
	memset(vm, 0, sizeof(*vm));
	vm->front.sock = vm->front.backend_req = -1;
	if (options)
		vm->options = *options;
	struct tg_options *o = &vm->options;
	o->memory = o->memory ? o->memory : 64ull << 20;
	o->regions = o->regions ? o->regions : 1;
	o->control_size = o->control_size ? o->control_size : 256;
	o->cursor_size = o->cursor_size ? o->cursor_size : 16;
	vm->chunk = TG_PAGE;
	vm->next_fence = 1;
	tg_mem_init(&vm->mem);
	uint64_t each = o->memory / o->regions / TG_PAGE * TG_PAGE, addr = TG_MEM_BASE;
	for (unsigned i = 0; i < o->regions; i++, addr += each + (16u << 20)) {
		int slot = tg_mem_add(&vm->mem, addr, each);
		if (slot < 0)
			return slot;
	}
	int err = tg_ring_init(&vm->ring[TG_CONTROL], &vm->mem, 0, o->control_size, false);
	if (err < 0)
		return err;
	return tg_ring_init(&vm->ring[TG_CURSOR], &vm->mem, 0, o->cursor_size, false);
}

int tg_vm_connect(struct tg_vm *vm, const char *socket)
{
	tg_front_close(&vm->front);
	int err = tg_front_connect(&vm->front, socket);
	if (!err)
		err = tg_front_handshake(&vm->front,
			(RING_FEATURES | GPU_FEATURES) & ~vm->options.features_off,
			BN_VU_PROTOCOL_FEATURES & ~vm->options.protocol_off);
	if (err < 0)
		return err;
	for (unsigned i = 0; i < TG_QUEUES; i++)
		vm->ring[i].event_idx = vm->front.features & (1ull << VIRTIO_RING_F_EVENT_IDX);
	vm->indirect = vm->front.features & (1ull << VIRTIO_RING_F_INDIRECT_DESC);
	return 0;
}

static int region_message(struct tg_vm *vm, uint32_t request, int slot)
{
	struct bn_vu_mem_reg payload = {.region = tg_mem_describe(&vm->mem, slot)};
	bool add = request == BN_VU_ADD_MEM_REG;
	int err = tg_front_set(&vm->front, request, &payload, sizeof(payload),
		&vm->mem.region[slot].fd, add ? 1 : 0);
	if (!err)
		vm->mem.region[slot].announced = add;
	return err;
}

int tg_vm_add_region(struct tg_vm *vm, int slot)
{
	return region_message(vm, BN_VU_ADD_MEM_REG, slot);
}

int tg_vm_remove_region(struct tg_vm *vm, int slot)
{
	return region_message(vm, BN_VU_REM_MEM_REG, slot);
}

static int announce_table(struct tg_vm *vm)
{
	struct bn_vu_mem_table table = {0};
	int fds[BN_VU_REGIONS_MAX];
	for (int i = 0; i < TG_REGIONS_MAX && table.nregions < BN_VU_REGIONS_MAX; i++) {
		if (!vm->mem.region[i].size)
			continue;
		fds[table.nregions] = vm->mem.region[i].fd;
		table.region[table.nregions++] = tg_mem_describe(&vm->mem, i);
	}
	uint32_t size = (uint32_t)(offsetof(struct bn_vu_mem_table, region) +
				   table.nregions * sizeof(table.region[0]));
	return tg_front_set(&vm->front, BN_VU_SET_MEM_TABLE, &table, size, fds, table.nregions);
}

int tg_vm_announce(struct tg_vm *vm)
{
	uint64_t slots = 1ull << BN_VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS;
	if (vm->options.mem_table || !(vm->front.protocol & slots))
		return announce_table(vm);
	for (int i = 0; i < TG_REGIONS_MAX; i++) {
		int err = vm->mem.region[i].size ? tg_vm_add_region(vm, i) : 0;
		if (err < 0)
			return err;
	}
	return 0;
}

int tg_vm_start_ring(struct tg_vm *vm, unsigned queue, uint16_t base)
{
	struct tg_ring *ring = &vm->ring[queue];
	struct bn_vu_vring_addr addr = {
		.index = queue,
		.desc_user = ring->desc_addr + TG_USER_OFFSET,
		.used_user = ring->used_addr + TG_USER_OFFSET,
		.avail_user = ring->avail_addr + TG_USER_OFFSET,
	};
	struct tg_front *f = &vm->front;
	int err = tg_front_set_ring(f, BN_VU_SET_VRING_NUM, queue, ring->size);
	if (!err)
		err = tg_front_set_ring(f, BN_VU_SET_VRING_BASE, queue, base);
	if (!err)
		err = tg_front_set(f, BN_VU_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
	if (!err)
		err = tg_front_set_ring_fd(f, BN_VU_SET_VRING_KICK, queue, ring->kick);
	if (!err)
		err = tg_front_set_ring_fd(f, BN_VU_SET_VRING_CALL, queue, ring->call);
	if (!err)
		err = tg_front_set_ring(f, BN_VU_SET_VRING_ENABLE, queue, 1);
	vm->running[queue] = !err;
	return err;
}

int tg_vm_stop_ring(struct tg_vm *vm, unsigned queue)
{
	vm->running[queue] = false;
	return tg_front_stop_ring(&vm->front, queue);
}

int tg_vm_start(struct tg_vm *vm)
{
	int err = tg_front_set_u64(&vm->front, BN_VU_SET_FEATURES, vm->front.features);
	for (unsigned i = 0; i < TG_QUEUES && !err; i++)
		err = tg_vm_start_ring(vm, i, 0);
	return err;
}

int tg_vm_open(struct tg_vm *vm, const char *socket, const struct tg_options *options)
{
	const char *step = "memory";
	int err = tg_vm_prepare(vm, options);
	if (!err) {
		step = "handshake";
		err = tg_vm_connect(vm, socket);
	}
	if (!err) {
		step = "memory table";
		err = tg_vm_announce(vm);
	}
	if (!err) {
		step = "rings";
		err = tg_vm_start(vm);
	}
	if (err < 0)
		fprintf(stderr, "test guest: %s on %s: %s\n", step, socket, strerror(-err));
	return err;
}

/* Requests only: after a hang-up the device may still look at the rings, and is not to see them
 * change. */
static void free_outstanding(struct tg_vm *vm, struct tg_ring *ring)
{
	for (uint16_t head = 0; ring->mem && head < ring->size; head++) {
		struct tg_request *request = ring->token[head];
		if (!request || !ring->chain[head]) /* raw tokens are not requests */
			continue;
		tg_mem_free(&vm->mem, request->addr, request->bytes);
		free(request);
		ring->token[head] = NULL;
	}
}

void tg_vm_forget(struct tg_vm *vm)
{
	for (unsigned i = 0; i < TG_QUEUES; i++) {
		free_outstanding(vm, &vm->ring[i]);
		if (vm->ring[i].mem)
			tg_ring_reset(&vm->ring[i]);
	}
	vm->outstanding = 0;
}

void tg_vm_close(struct tg_vm *vm)
{
	tg_front_close(&vm->front);
	for (unsigned i = 0; i < TG_QUEUES; i++) {
		free_outstanding(vm, &vm->ring[i]);
		tg_ring_finish(&vm->ring[i]);
	}
	tg_mem_finish(&vm->mem);
}

static unsigned cut(struct tg_buf *bufs, uint64_t addr, uint32_t len, uint32_t chunk, bool in)
{
	unsigned n = 0;
	for (uint32_t at = 0; at < len; at += chunk, n++) {
		uint32_t part = len - at < chunk ? len - at : chunk;
		bufs[n] = (struct tg_buf){addr + at, part, in};
	}
	return n;
}

static struct tg_request *request_create(
	struct tg_vm *vm, unsigned queue, const struct iovec *out, unsigned n, uint32_t in_len)
{
	struct tg_request *request = calloc(1, sizeof(*request));
	if (!request)
		return NULL;
	request->vm = vm;
	request->queue = queue;
	for (unsigned i = 0; i < n; i++)
		request->out_len += (uint32_t)out[i].iov_len;
	request->in_len = in_len;
	uint32_t in_at = (request->out_len + 63) / 64 * 64;
	request->bytes = in_at + (in_len ? in_len : 1);
	request->addr = tg_mem_alloc(&vm->mem, -1, request->bytes);
	request->in_addr = request->addr + in_at;
	uint8_t *to = tg_mem_host(&vm->mem, request->addr, request->bytes);
	if (!to) {
		free(request);
		return NULL;
	}
	memset(to + in_at, 0xa5, in_len);
	if (n && out[0].iov_len >= sizeof(request->sent))
		memcpy(&request->sent, out[0].iov_base, sizeof(request->sent));
	for (unsigned i = 0; i < n; i++) {
		if (out[i].iov_len)
			memcpy(to, out[i].iov_base, out[i].iov_len);
		to += out[i].iov_len;
	}
	return request;
}

struct tg_request *tg_queue_up(
	struct tg_vm *vm, unsigned queue, const struct iovec *out, unsigned n, uint32_t in_len)
{
	struct tg_request *request = request_create(vm, queue, out, n, in_len);
	if (!request)
		return NULL;
	size_t most = request->out_len / vm->chunk + in_len / TG_PAGE + 4;
	struct tg_buf *bufs = calloc(most, sizeof(*bufs));
	int err = -ENOMEM;
	if (bufs) {
		unsigned count = cut(bufs, request->addr, request->out_len, vm->chunk, false);
		count += cut(bufs + count, request->in_addr, in_len, TG_PAGE, true);
		err = tg_ring_add(&vm->ring[queue], bufs, count, vm->indirect, request);
	}
	free(bufs);
	if (err < 0) {
		tg_mem_free(&vm->mem, request->addr, request->bytes);
		free(request);
		return NULL;
	}
	vm->outstanding++;
	return request;
}

struct tg_request *tg_submit(
	struct tg_vm *vm, unsigned queue, const struct iovec *out, unsigned n, uint32_t in_len)
{
	struct tg_request *request = tg_queue_up(vm, queue, out, n, in_len);
	if (request)
		tg_ring_kick(&vm->ring[queue]);
	return request;
}

void tg_collect(struct tg_vm *vm, unsigned queue)
{
	struct tg_request *request;
	uint32_t written;
	while ((request = tg_ring_take(&vm->ring[queue], &written))) {
		request->done = true;
		request->answers++;
		request->written = written;
		vm->outstanding--;
	}
}

bool tg_done(struct tg_request *request)
{
	tg_collect(request->vm, request->queue);
	return request->done;
}

bool tg_wait_ms(struct tg_request *request, int timeout_ms)
{
	uint64_t end = tg_now_ns() + (uint64_t)timeout_ms * 1000000ull;
	while (!tg_done(request)) {
		uint64_t now = tg_now_ns();
		if (now >= end)
			return false;
		tg_ring_wait(&request->vm->ring[request->queue], (int)((end - now) / 1000000 + 1));
	}
	return true;
}

bool tg_wait(struct tg_request *request)
{
	if (tg_wait_ms(request, TG_DEADLINE_S * 1000))
		return true;
	fprintf(stderr, "test guest: no answer to command 0x%x (fence %llu) in %d s\n",
		request->sent.type, (unsigned long long)request->sent.fence_id, TG_DEADLINE_S);
	return false;
}

static uint32_t check_answer(
	const struct tg_request *request, const struct virtio_gpu_ctrl_hdr *hdr)
{
	if (request->written < sizeof(*hdr) || request->written > request->in_len)
		return TG_BAD_ANSWER;
	const struct virtio_gpu_ctrl_hdr *sent = &request->sent;
	if (!(sent->flags & VIRTIO_GPU_FLAG_FENCE))
		return hdr->flags & VIRTIO_GPU_FLAG_FENCE ? TG_BAD_ANSWER : hdr->type;
	if (!(hdr->flags & VIRTIO_GPU_FLAG_FENCE) || hdr->fence_id != sent->fence_id ||
		hdr->ctx_id != sent->ctx_id)
		return TG_BAD_ANSWER;
	uint32_t ring = sent->flags & VIRTIO_GPU_FLAG_INFO_RING_IDX;
	if (ring != (hdr->flags & VIRTIO_GPU_FLAG_INFO_RING_IDX) ||
		(ring && hdr->ring_idx != sent->ring_idx))
		return TG_BAD_ANSWER;
	return hdr->type;
}

uint32_t tg_finish(struct tg_request *request, void *answer, size_t size)
{
	if (!request)
		return TG_NO_ANSWER;
	if (!tg_wait(request)) {
		/* It stays in the ring's books, and so must stay allocated. */
		return TG_NO_ANSWER;
	}
	struct tg_vm *vm = request->vm;
	const void *in = tg_mem_host(&vm->mem, request->in_addr, request->in_len);
	struct virtio_gpu_ctrl_hdr hdr = {0};
	memcpy(&hdr, in, request->in_len < sizeof(hdr) ? request->in_len : sizeof(hdr));
	uint32_t type = check_answer(request, &hdr);
	if (answer) {
		memset(answer, 0, size);
		size_t len =
			request->written < request->in_len ? request->written : request->in_len;
		memcpy(answer, in, len < size ? len : size);
	}
	tg_mem_free(&vm->mem, request->addr, request->bytes);
	free(request);
	return type;
}

uint32_t tg_command(struct tg_vm *vm, const void *command, size_t len, void *answer, size_t size)
{
	struct iovec out = {(void *)command, len};
	uint32_t in_len = size > sizeof(struct virtio_gpu_ctrl_hdr)
				  ? (uint32_t)size
				  : sizeof(struct virtio_gpu_ctrl_hdr);
	return tg_finish(tg_submit(vm, TG_CONTROL, &out, 1, in_len), answer, size);
}

uint64_t tg_fence(struct tg_vm *vm, struct virtio_gpu_ctrl_hdr *hdr)
{
	hdr->flags |= VIRTIO_GPU_FLAG_FENCE;
	hdr->fence_id = vm->next_fence++;
	return hdr->fence_id;
}

bool tg_wait_fence(struct tg_request **requests, unsigned n, uint64_t fence_id)
{
	for (unsigned i = 0; i < n; i++) {
		if (requests[i] && requests[i]->sent.fence_id == fence_id)
			return tg_wait(requests[i]);
	}
	return false;
}
