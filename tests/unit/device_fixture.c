#include "device_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/fd.h"

struct bn_guest_memory *mem;
uint8_t *ram;
struct bn_device *dev;
struct bn_gl gl;
struct bn_stats stats;
int journal_fd;

struct virtio_gpu_ctrl_hdr resp;
uint8_t resp_bytes[2048];
uint32_t resp_size;
unsigned answers;

struct bn_link_frame frame;
struct bn_link_buffer buffer;
uint64_t gone;
unsigned frames, buffers, gones;

struct test_request {
	struct bn_vq_request req;
	struct iovec iov[2];
	uint8_t in[2048];
};

static void handle_answer(void *data, struct bn_vq_request *request, uint32_t written)
{
	struct test_request *t = (struct test_request *)(void *)request;

	memset(&resp, 0, sizeof(resp));
	memcpy(&resp, t->in, written < sizeof(resp) ? written : sizeof(resp));
	memcpy(resp_bytes, t->in, sizeof(resp_bytes));
	resp_size = written;
	answers++;
	free(t);
}

static void handle_send(
	void *data, uint32_t type, const void *payload, size_t size, const int *fds, size_t nfds)
{
	struct bn_link_header header = {.type = type, .size = (uint32_t)size};

	CU_ASSERT_EQUAL(bn_link_check(&header, payload, size, nfds, true), 0);
	if (type == BN_LINK_FRAME) {
		CU_ASSERT_TRUE(((const struct bn_link_frame *)payload)->seq > frame.seq);
		memcpy(&frame, payload, size);
		frames++;
	} else if (type == BN_LINK_BUFFER_NEW) {
		memcpy(&buffer, payload, size);
		buffers++;
	} else if (type == BN_LINK_BUFFER_GONE) {
		gone = ((const struct bn_link_u64 *)payload)->value;
		gones++;
	}
}

static const struct bn_device_ops ops = {.answer = handle_answer, .send = handle_send};

void device_open(bool with_gl, bool restore)
{
	struct bn_device_config config = {
		.mem = mem,
		.stats = &stats,
		.ops = &ops,
		.num_scanouts = 2,
		.host_memory_max = 64u << 20,
	};

	memset(&stats, 0, sizeof(stats));
	memset(&frame, 0, sizeof(frame));
	frames = buffers = gones = 0;
	gl = (struct bn_gl){.width = 64, .height = 64};
	CU_ASSERT_EQUAL_FATAL(bn_device_create(&dev, &config), 0);
	if (with_gl)
		bn_device_set_gl(dev, &gl);
	CU_ASSERT_EQUAL_FATAL(bn_state_open(dev, bn_fd_dup(journal_fd), JOURNAL, restore), 0);
	dev->features = bn_device_features(dev);
	for (unsigned i = 0; i < 2; i++)
		dev->displays.display[i] = (struct bn_link_display){.enabled = 1,
			.width = 640,
			.height = 480,
			.refresh_mhz = 60000,
			.name = "test"};
}

void memory_add(void)
{
	struct bn_guest_region region = {GUEST, MEMORY, GUEST, 0};
	int fd = bn_memfd_create("guest", MEMORY);

	if (ram)
		munmap(ram, MEMORY);
	ram = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CU_ASSERT_EQUAL_FATAL(bn_guest_memory_add(mem, &region, fd), 0);
}

void setup(bool with_gl)
{
	mem = bn_guest_memory_create();
	journal_fd = bn_memfd_create("journal", JOURNAL);
	memory_add();
	device_open(with_gl, false);
}

void teardown(void)
{
	bn_device_destroy(dev);
	CU_ASSERT_EQUAL(gl.resources, 0);
	CU_ASSERT_EQUAL(gl.contexts, 0);
	CU_ASSERT_EQUAL(gl.attached, 0);
	CU_ASSERT_EQUAL(gl.iovs, 0);
	bn_guest_memory_destroy(mem);
	munmap(ram, MEMORY);
	ram = NULL;
	bn_fd_close(&journal_fd);
}

uint32_t send_parts(const void *cmd, size_t size, const void *more, size_t more_size,
	size_t in_size, bool replayed, bool broken)
{
	struct test_request *t = calloc(1, sizeof(*t));
	uint8_t *bytes = malloc(size + more_size);
	unsigned before = answers;

	memcpy(bytes, cmd, size);
	if (more_size)
		memcpy(bytes + size, more, more_size);
	t->iov[0] = (struct iovec){bytes, size + more_size};
	t->iov[1] = (struct iovec){t->in, in_size};
	t->req = (struct bn_vq_request){.nout = 1,
		.nin = 1,
		.out = &t->iov[0],
		.in = &t->iov[1],
		.out_len = size + more_size,
		.in_len = in_size,
		.chain_error = broken};
	bn_device_execute(dev, &t->req, replayed);
	free(bytes);
	return answers > before ? resp.type : 0;
}

uint32_t create_2d(uint32_t id, uint32_t format, uint32_t w, uint32_t h)
{
	struct virtio_gpu_resource_create_2d c = {
		{.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D}, id, format, w, h};

	return SEND(c);
}

uint32_t create_3d(uint32_t id, uint32_t w, uint32_t h)
{
	struct virtio_gpu_resource_create_3d c = {{.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_3D},
		.resource_id = id, .target = 2, .format = 2, .bind = 2, .width = w, .height = h,
		.depth = 1, .array_size = 1};

	return SEND(c);
}

uint32_t unref(uint32_t id)
{
	struct virtio_gpu_resource_unref c = {{.type = VIRTIO_GPU_CMD_RESOURCE_UNREF}, id, 0};

	return SEND(c);
}

uint32_t attach(uint32_t id, uint64_t addr, uint32_t len, uint32_t count)
{
	struct virtio_gpu_resource_attach_backing c = {
		{.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING}, id, count};
	struct virtio_gpu_mem_entry entry = {addr, len, 0};

	return send_parts(&c, sizeof(c), &entry, sizeof(entry), sizeof(resp), false, false);
}

uint32_t detach(uint32_t id)
{
	struct virtio_gpu_resource_detach_backing c = {
		{.type = VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING}, id, 0};

	return SEND(c);
}

uint32_t transfer(
	uint32_t id, uint32_t x, uint32_t y, uint32_t w, uint32_t h, uint64_t offset)
{
	struct virtio_gpu_transfer_to_host_2d c = {
		{.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D}, {x, y, w, h}, offset, id, 0};

	return SEND(c);
}

uint32_t scanout(uint32_t index, uint32_t id, uint32_t x, uint32_t y, uint32_t w, uint32_t h)
{
	struct virtio_gpu_set_scanout c = {
		{.type = VIRTIO_GPU_CMD_SET_SCANOUT}, {x, y, w, h}, index, id};

	return SEND(c);
}

uint32_t flush(uint32_t id, uint32_t w, uint32_t h)
{
	struct virtio_gpu_resource_flush c = {
		{.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH}, {0, 0, w, h}, id, 0};

	return SEND(c);
}

uint32_t ctx_command(uint32_t type, uint32_t ctx, uint32_t res)
{
	struct virtio_gpu_ctx_resource c = {{.type = type, .ctx_id = ctx}, res, 0};

	return SEND(c);
}

uint32_t ctx_create(uint32_t ctx, uint32_t init)
{
	struct virtio_gpu_ctx_create c = {
		{.type = VIRTIO_GPU_CMD_CTX_CREATE, .ctx_id = ctx}, 4, init, "test"};

	return SEND(c);
}

uint32_t submit(uint32_t ctx, uint64_t fence, uint32_t words)
{
	static const uint32_t stream[64] = {1, 2, 3};
	struct virtio_gpu_cmd_submit c = {{.type = VIRTIO_GPU_CMD_SUBMIT_3D,
						  .flags = fence ? VIRTIO_GPU_FLAG_FENCE : 0,
						  .fence_id = fence,
						  .ctx_id = ctx},
		words * 4, 0};

	return send_parts(&c, sizeof(c), stream, words * 4, sizeof(resp), false, false);
}

void presented(uint32_t index, uint64_t seq)
{
	struct bn_link_presented p = {.seq = seq, .scanout = index};

	bn_scanout_presented(dev, &p);
}

void released(uint64_t id)
{
	struct bn_link_release r = {.buffer = id, .seq = frame.seq};

	bn_scanout_released(dev, &r);
}

void gpu_finish(void)
{
	unsigned n = gl.fences;

	for (unsigned i = 0; i < n; i++)
		bn_fences_gpu_done(dev->fences, gl.fence[i].ctx_id, gl.fence[i].id);
	gl.fences -= n;
	memmove(gl.fence, gl.fence + n, gl.fences * sizeof(gl.fence[0]));
}
