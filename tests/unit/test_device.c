/* The virtio-gpu device by its commands, without rings, on a GL library that only remembers. */
#include "device.h"

#include <drm_fourcc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "common/fd.h"
#include "cursor.h"
#include "fake_gl.h"
#include "unit.h"

#define MEMORY (4u << 20)
#define GUEST 0x100000ull
#define JOURNAL (1u << 16)

static struct bn_guest_memory *mem;
static uint8_t *ram;
static struct bn_device *dev;
static struct bn_gl gl;
static struct bn_stats stats;
static int journal_fd;

/* The last answer. */
static struct virtio_gpu_ctrl_hdr resp;
static uint8_t resp_bytes[2048];
static uint32_t resp_size;
static unsigned answers;

/* Link messages. */
static struct bn_link_frame frame;
static struct bn_link_buffer buffer;
static uint64_t gone;
static unsigned frames, buffers, gones;

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

static void device_open(bool with_gl, bool restore)
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

static void memory_add(void)
{
	struct bn_guest_region region = {GUEST, MEMORY, GUEST, 0};
	int fd = bn_memfd_create("guest", MEMORY);

	if (ram)
		munmap(ram, MEMORY);
	ram = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CU_ASSERT_EQUAL_FATAL(bn_guest_memory_add(mem, &region, fd), 0);
}

static void setup(bool with_gl)
{
	mem = bn_guest_memory_create();
	journal_fd = bn_memfd_create("journal", JOURNAL);
	memory_add();
	device_open(with_gl, false);
}

static void teardown(void)
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

/* Sends a command of two parts; returns the answer's type, 0 when there is none yet. */
static uint32_t send_parts(const void *cmd, size_t size, const void *more, size_t more_size,
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

#define SEND(cmd) send_parts(&(cmd), sizeof(cmd), NULL, 0, sizeof(resp_bytes), false, false)
#define OK VIRTIO_GPU_RESP_OK_NODATA
#define IS(call, code) CU_ASSERT_EQUAL(call, code)

static uint32_t create_2d(uint32_t id, uint32_t format, uint32_t w, uint32_t h)
{
	struct virtio_gpu_resource_create_2d c = {
		{.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D}, id, format, w, h};

	return SEND(c);
}

static uint32_t create_3d(uint32_t id, uint32_t w, uint32_t h)
{
	struct virtio_gpu_resource_create_3d c = {{.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_3D},
		.resource_id = id, .target = 2, .format = 2, .bind = 2, .width = w, .height = h,
		.depth = 1, .array_size = 1};

	return SEND(c);
}

static uint32_t unref(uint32_t id)
{
	struct virtio_gpu_resource_unref c = {{.type = VIRTIO_GPU_CMD_RESOURCE_UNREF}, id, 0};

	return SEND(c);
}

static uint32_t attach(uint32_t id, uint64_t addr, uint32_t len, uint32_t count)
{
	struct virtio_gpu_resource_attach_backing c = {
		{.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING}, id, count};
	struct virtio_gpu_mem_entry entry = {addr, len, 0};

	return send_parts(&c, sizeof(c), &entry, sizeof(entry), sizeof(resp), false, false);
}

static uint32_t detach(uint32_t id)
{
	struct virtio_gpu_resource_detach_backing c = {
		{.type = VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING}, id, 0};

	return SEND(c);
}

static uint32_t transfer(
	uint32_t id, uint32_t x, uint32_t y, uint32_t w, uint32_t h, uint64_t offset)
{
	struct virtio_gpu_transfer_to_host_2d c = {
		{.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D}, {x, y, w, h}, offset, id, 0};

	return SEND(c);
}

static uint32_t scanout(uint32_t index, uint32_t id, uint32_t x, uint32_t y, uint32_t w, uint32_t h)
{
	struct virtio_gpu_set_scanout c = {
		{.type = VIRTIO_GPU_CMD_SET_SCANOUT}, {x, y, w, h}, index, id};

	return SEND(c);
}

static uint32_t flush(uint32_t id, uint32_t w, uint32_t h)
{
	struct virtio_gpu_resource_flush c = {
		{.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH}, {0, 0, w, h}, id, 0};

	return SEND(c);
}

static uint32_t ctx_command(uint32_t type, uint32_t ctx, uint32_t res)
{
	struct virtio_gpu_ctx_resource c = {{.type = type, .ctx_id = ctx}, res, 0};

	return SEND(c);
}

static uint32_t ctx_create(uint32_t ctx, uint32_t init)
{
	struct virtio_gpu_ctx_create c = {
		{.type = VIRTIO_GPU_CMD_CTX_CREATE, .ctx_id = ctx}, 4, init, "test"};

	return SEND(c);
}

static uint32_t submit(uint32_t ctx, uint64_t fence, uint32_t words)
{
	static const uint32_t stream[64] = {1, 2, 3};
	struct virtio_gpu_cmd_submit c = {{.type = VIRTIO_GPU_CMD_SUBMIT_3D,
						  .flags = fence ? VIRTIO_GPU_FLAG_FENCE : 0,
						  .fence_id = fence,
						  .ctx_id = ctx},
		words * 4, 0};

	return send_parts(&c, sizeof(c), stream, words * 4, sizeof(resp), false, false);
}

static void presented(uint32_t index, uint64_t seq)
{
	struct bn_link_presented p = {.seq = seq, .scanout = index};

	bn_scanout_presented(dev, &p);
}

/* All GPU work ends. */
static void gpu_finish(void)
{
	unsigned n = gl.fences;

	for (unsigned i = 0; i < n; i++)
		bn_fences_gpu_done(dev->fences, gl.fence[i].ctx_id, gl.fence[i].id);
	gl.fences -= n;
	memmove(gl.fence, gl.fence + n, gl.fences * sizeof(gl.fence[0]));
}

/* ---- */

static void test_envelope(void)
{
	struct virtio_gpu_ctrl_hdr hdr = {.type = 0x1ff,
		.flags = VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX,
		.fence_id = 77,
		.ctx_id = 5,
		.ring_idx = 3};

	setup(false);
	IS(SEND(hdr), VIRTIO_GPU_RESP_ERR_UNSPEC);
	CU_ASSERT_EQUAL(resp.flags, hdr.flags);
	CU_ASSERT_EQUAL(resp.fence_id, 77);
	CU_ASSERT_EQUAL(resp.ctx_id, 5);
	CU_ASSERT_EQUAL(resp.ring_idx, 3);
	CU_ASSERT_EQUAL(resp_size, 24);
	/* No room, little room, nothing to read, a broken chain, a replay: always one answer. */
	hdr.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO;
	send_parts(&hdr, sizeof(hdr), NULL, 0, 0, false, false);
	CU_ASSERT_EQUAL(resp_size, 0);
	IS(send_parts(&hdr, sizeof(hdr), NULL, 0, 30, false, false),
		VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	CU_ASSERT_EQUAL(resp_size, 30);
	IS(send_parts(&hdr, 10, NULL, 0, 24, false, false), VIRTIO_GPU_RESP_ERR_UNSPEC);
	IS(send_parts(&hdr, sizeof(hdr), NULL, 0, 24, false, true), VIRTIO_GPU_RESP_ERR_UNSPEC);
	IS(send_parts(&hdr, sizeof(hdr), NULL, 0, 24, true, false), VIRTIO_GPU_RESP_ERR_UNSPEC);
	CU_ASSERT_EQUAL(resp.fence_id, 77);
	hdr.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH;
	IS(SEND(hdr), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER); /* too short */
	hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB;
	IS(SEND(hdr), VIRTIO_GPU_RESP_ERR_UNSPEC);
	CU_ASSERT_EQUAL(stats.commands, answers);
	teardown();
}

static void test_info(void)
{
	struct virtio_gpu_ctrl_hdr get = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
	struct virtio_gpu_cmd_get_edid edid = {{.type = VIRTIO_GPU_CMD_GET_EDID}, 0, 0};
	struct virtio_gpu_get_capset_info index = {{.type = VIRTIO_GPU_CMD_GET_CAPSET_INFO}, 1, 0};
	struct virtio_gpu_get_capset capset = {{.type = VIRTIO_GPU_CMD_GET_CAPSET}, 2, 2};
	const struct virtio_gpu_resp_display_info *info = (const void *)resp_bytes;
	const struct virtio_gpu_resp_edid *e = (const void *)resp_bytes;
	const struct virtio_gpu_resp_capset_info *c = (const void *)resp_bytes;

	setup(true);
	IS(SEND(get), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	CU_ASSERT_EQUAL(info->pmodes[1].r.width, 640);
	CU_ASSERT_EQUAL(info->pmodes[2].enabled, 0);
	IS(SEND(edid), VIRTIO_GPU_RESP_OK_EDID);
	CU_ASSERT_TRUE(e->size >= 128 && e->edid[1] == 0xff);
	edid.scanout = 2;
	IS(SEND(edid), VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID);
	IS(SEND(index), VIRTIO_GPU_RESP_OK_CAPSET_INFO);
	CU_ASSERT_EQUAL(c->capset_id, 2);
	CU_ASSERT_EQUAL(c->capset_max_size, 200);
	index.capset_index = 2;
	IS(SEND(index), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	IS(SEND(capset), VIRTIO_GPU_RESP_OK_CAPSET);
	CU_ASSERT_EQUAL(resp_size, 224);
	CU_ASSERT_EQUAL(resp_bytes[223], 2);
	capset.capset_version = 9;
	IS(SEND(capset), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	teardown();
}

static void test_resources(void)
{
	setup(false);
	IS(create_2d(1, 2, 64, 32), OK);
	IS(create_2d(1, 2, 64, 32), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	IS(create_2d(0, 2, 64, 32), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	IS(create_2d(2, 5, 64, 32), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	IS(create_2d(2, 2, 0, 32), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	IS(create_2d(2, 2, 8193, 1), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	IS(create_2d(2, 2, 0xffffffff, 0xffffffff), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	IS(create_2d(2, 2, 8192, 8192), VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	CU_ASSERT_EQUAL(stats.resource_bytes, 64 * 32 * 4);
	IS(create_3d(9, 8, 8), VIRTIO_GPU_RESP_ERR_UNSPEC); /* no GL */
	IS(unref(2), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	IS(unref(1), OK);
	IS(unref(1), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	CU_ASSERT_EQUAL(stats.resource_bytes, 0);
	for (uint32_t id = 1; id < 300; id++)
		IS(create_2d(id * 7919, 1, 4, 4), OK);
	for (uint32_t id = 1; id < 300; id++)
		IS(unref(id * 7919), OK);
	CU_ASSERT_EQUAL(stats.resources, 0);
	teardown();
}

static void test_transfers(void)
{
	struct bn_resource *res;

	setup(false);
	IS(create_2d(1, 2, 64, 32), OK);
	IS(transfer(1, 0, 0, 64, 32, 0), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	IS(attach(1, GUEST + MEMORY - 100, 64 * 32 * 4, 1), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	IS(attach(1, GUEST, 64 * 32 * 4, 0), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	IS(attach(1, GUEST, 64 * 32 * 4, 0xffffffff), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	IS(attach(2, GUEST, 64 * 32 * 4, 1), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	IS(attach(1, GUEST, 64 * 32 * 4, 1), OK);
	IS(attach(1, GUEST, 64 * 32 * 4, 1), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	for (unsigned i = 0; i < 64 * 32; i++)
		((uint32_t *)(void *)ram)[i] = i;
	IS(transfer(1, 0, 0, 64, 32, 0), OK);
	res = bn_resource_get(dev, 1);
	CU_ASSERT_EQUAL(memcmp(res->pixels, ram, 64 * 32 * 4), 0);
	memset(ram, 0xaa, 64 * 32 * 4);
	IS(transfer(1, 10, 5, 3, 2, (5 * 64 + 10) * 4), OK);
	CU_ASSERT_EQUAL(((uint32_t *)(void *)res->pixels)[5 * 64 + 9], 5 * 64 + 9);
	CU_ASSERT_EQUAL(((uint32_t *)(void *)res->pixels)[6 * 64 + 12], 0xaaaaaaaa);
	CU_ASSERT_EQUAL(((uint32_t *)(void *)res->pixels)[6 * 64 + 13], 6 * 64 + 13);
	CU_ASSERT_EQUAL(stats.copy_bytes_in, 64 * 32 * 4 + 3 * 2 * 4);
	IS(transfer(1, 60, 0, 5, 1, 0), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	IS(transfer(1, 0xffffffff, 0, 2, 1, 0), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	IS(transfer(1, 0, 0, 64, 32, 4), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	IS(transfer(1, 0, 0, 1, 1, UINT64_MAX), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	IS(detach(1), OK);
	IS(detach(1), VIRTIO_GPU_RESP_ERR_UNSPEC);
	IS(transfer(1, 0, 0, 1, 1, 0), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	teardown();
}

static void test_memory_changes(void)
{
	setup(true);
	IS(create_2d(1, 2, 64, 32), OK);
	IS(attach(1, GUEST, 64 * 32 * 4, 1), OK);
	IS(create_3d(2, 64, 32), OK);
	IS(attach(2, GUEST, 64 * 32 * 4, 1), OK);
	CU_ASSERT_EQUAL(gl.iovs, 1);
	bn_backing_suspend_all(dev);
	CU_ASSERT_EQUAL(gl.iovs, 0);
	bn_guest_memory_clear(mem);
	bn_backing_resume_all(dev);
	CU_ASSERT_EQUAL(gl.iovs, 0);
	IS(transfer(1, 0, 0, 64, 32, 0), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	memory_add();
	bn_backing_resume_all(dev);
	CU_ASSERT_EQUAL(gl.iovs, 1);
	ram[0] = 0x5a;
	IS(transfer(1, 0, 0, 64, 32, 0), OK);
	CU_ASSERT_EQUAL(bn_resource_get(dev, 1)->pixels[0], 0x5a);
	teardown();
}

static void test_scanout_2d(void)
{
	setup(false);
	IS(create_2d(1, 2, 64, 32), OK);
	IS(scanout(2, 1, 0, 0, 64, 32), VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID);
	IS(scanout(0, 5, 0, 0, 64, 32), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	IS(scanout(0, 1, 1, 0, 64, 32), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	IS(scanout(0, 1, 0, 0, 0, 0), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	IS(flush(1, 64, 32), OK); /* shown nowhere: at once */
	IS(scanout(0, 1, 0, 0, 64, 32), OK);
	IS(flush(1, 65, 32), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	IS(flush(1, 64, 16), 0);
	CU_ASSERT_EQUAL(buffers, 1);
	CU_ASSERT_EQUAL(buffer.fourcc, DRM_FORMAT_XRGB8888);
	CU_ASSERT_EQUAL(frame.buffer, buffer.id);
	CU_ASSERT_EQUAL(frame.damage_height, 16);
	CU_ASSERT_EQUAL(frame.src_height, 32);
	presented(1, frame.seq);
	presented(0, frame.seq - 1);
	CU_ASSERT_NOT_EQUAL(resp.type, OK);
	presented(0, frame.seq);
	CU_ASSERT_EQUAL(resp.type, OK);
	/* Both displays: answered when both showed it. */
	IS(scanout(1, 1, 0, 0, 64, 32), OK);
	unsigned before = answers;
	IS(flush(1, 64, 32), 0);
	CU_ASSERT_EQUAL(buffers, 1);
	presented(1, frame.seq);
	CU_ASSERT_EQUAL(answers, before);
	presented(0, frame.seq);
	CU_ASSERT_EQUAL(answers, before + 1);
	/* Off, or the resource gone: nothing waits. */
	IS(flush(1, 64, 32), 0);
	before = answers;
	IS(scanout(0, 0, 0, 0, 0, 0), OK);
	CU_ASSERT_EQUAL(frame.buffer, 0);
	IS(unref(1), OK);
	CU_ASSERT_EQUAL(answers, before + 3);
	CU_ASSERT_EQUAL(gone, buffer.id);
	CU_ASSERT_EQUAL(stats.zero_copy_frames, 1 + 2 + 2);
	teardown();
}

/* More resources shown one after the other than buffers may be announced. */
static void test_many_buffers(void)
{
	setup(false);
	for (uint32_t id = 1; id <= 600; id++) {
		IS(create_2d(id, 2, 8, 8), OK);
		IS(scanout(0, id, 0, 0, 8, 8), OK);
		flush(id, 8, 8);
		CU_ASSERT_TRUE(buffers - gones <= BN_LINK_BUFFERS_MAX - 48);
	}
	teardown();
}

static void test_contexts(void)
{
	setup(true);
	IS(create_3d(1, 64, 64), OK);
	IS(ctx_create(0, 0), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	IS(ctx_create(1, 2), OK);
	IS(ctx_create(1, 2), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	IS(ctx_command(VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1, 9),
		VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	/* Linux does this to contexts that it has not made yet. */
	IS(ctx_command(VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 7, 1), OK);
	dev->features &= ~(1ull << VIRTIO_GPU_F_CONTEXT_INIT);
	IS(ctx_command(VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 7, 1),
		VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	IS(ctx_command(VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1, 1), OK);
	IS(ctx_command(VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1, 1), OK);
	CU_ASSERT_EQUAL(gl.attached, 1);
	IS(submit(2, 0, 4), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	IS(submit(1, 0, 4), OK);
	CU_ASSERT_EQUAL(gl.last_submit[2], 3);
	IS(submit(1, 5, 4), 0);
	gpu_finish();
	CU_ASSERT_EQUAL(resp.fence_id, 5);
	gl.submit_result = -22;
	IS(submit(1, 6, 4), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	IS(submit(1, 7, 4), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	CU_ASSERT_EQUAL(resp.fence_id, 7);
	CU_ASSERT_EQUAL(stats.context_losses, 1);
	IS(unref(1), OK);
	CU_ASSERT_EQUAL(gl.attached, 0);
	IS(ctx_command(VIRTIO_GPU_CMD_CTX_DESTROY, 1, 0), OK);
	IS(ctx_command(VIRTIO_GPU_CMD_CTX_DESTROY, 1, 0), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	CU_ASSERT_EQUAL(stats.contexts, 0);
	teardown();
}

static void test_submit_sizes(void)
{
	struct virtio_gpu_cmd_submit c = {{.type = VIRTIO_GPU_CMD_SUBMIT_3D, .ctx_id = 1}, 0, 0};
	static const uint32_t sizes[] = {3, 20, 0xfffffffc, BN_SUBMIT_MAX + 4};

	setup(true);
	IS(ctx_create(1, 0), OK);
	for (unsigned i = 0; i < 4; i++) {
		c.size = sizes[i];
		IS(send_parts(&c, sizeof(c), "0123456789abcdef", 16, 24, false, false),
			VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	}
	CU_ASSERT_EQUAL(gl.submits, 0);
	c.size = 0;
	IS(SEND(c), OK);
	teardown();
}

/* A guest that swaps two GL pictures, on a display. */
static void gl_screen(void)
{
	IS(ctx_create(1, 2), OK);
	for (uint32_t id = 1; id <= 2; id++) {
		IS(create_3d(id, 64, 64), OK);
		IS(ctx_command(VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1, id), OK);
	}
	IS(scanout(0, 1, 0, 0, 64, 64), OK);
}

static void test_scanout_export(void)
{
	setup(true);
	gl.can_export = true;
	gl_screen();
	IS(submit(1, 10, 4), 0);
	IS(flush(1, 64, 64), 0);
	CU_ASSERT_EQUAL(frames, 0); /* not before the GPU is done */
	unsigned before = answers;
	gpu_finish();
	CU_ASSERT_EQUAL(frames, 1);
	CU_ASSERT_EQUAL(buffer.kind, BN_LINK_BUFFER_DMABUF);
	CU_ASSERT_EQUAL(answers, before); /* both held until the display shows it */
	presented(0, frame.seq);
	CU_ASSERT_EQUAL(answers, before + 2);
	CU_ASSERT_EQUAL(stats.zero_copy_frames, 1);
	CU_ASSERT_EQUAL(stats.copy_bytes_out, 0);
	teardown();
}

static void test_scanout_read_back(void)
{
	uint64_t ids[3];
	unsigned before;

	setup(true);
	gl_screen();
	for (unsigned i = 0; i < 3; i++) {
		IS(flush(1, 64, 64), 0);
		gpu_finish();
		CU_ASSERT_EQUAL(frames, i + 1);
		ids[i] = frame.buffer;
		presented(0, frame.seq);
	}
	CU_ASSERT_EQUAL(buffers, 3);
	CU_ASSERT_EQUAL(stats.copy_bytes_out, 3 * 64 * 64 * 4);
	/* All three slots are out: the newest waits for one, and speaks for the older. */
	before = answers;
	IS(flush(1, 64, 64), 0);
	gpu_finish();
	IS(flush(1, 64, 64), 0);
	gpu_finish();
	CU_ASSERT_EQUAL(frames, 3);
	bn_scanout_released(dev, ids[1]);
	CU_ASSERT_EQUAL(frames, 4);
	CU_ASSERT_EQUAL(frame.buffer, ids[1]);
	CU_ASSERT_EQUAL(answers, before);
	/* The next one waits until this one was shown. */
	bn_scanout_released(dev, ids[2]);
	IS(flush(1, 64, 64), 0);
	gpu_finish();
	CU_ASSERT_EQUAL(frames, 4);
	presented(0, frame.seq);
	CU_ASSERT_EQUAL(answers, before + 2);
	CU_ASSERT_EQUAL(frames, 5);
	CU_ASSERT_EQUAL(frame.buffer, ids[2]);
	presented(0, frame.seq);
	CU_ASSERT_EQUAL(answers, before + 3);
	/* Only what changed is read again. */
	bn_scanout_released(dev, ids[2]);
	uint64_t bytes = stats.copy_bytes_out;
	IS(flush(1, 64, 8), 0);
	gpu_finish();
	CU_ASSERT_EQUAL(stats.copy_bytes_out - bytes, 64 * 8 * 4);
	presented(0, frame.seq);
	/* Another resource: all of it, and its picture is shown although the guest has gone on. */
	bn_scanout_released(dev, ids[0]);
	bytes = stats.copy_bytes_out;
	IS(scanout(0, 2, 0, 0, 64, 64), OK);
	IS(flush(2, 64, 8), 0);
	IS(scanout(0, 1, 0, 0, 64, 64), OK);
	unsigned n = frames;
	gpu_finish();
	CU_ASSERT_EQUAL(frames, n + 1);
	CU_ASSERT_EQUAL(stats.copy_bytes_out - bytes, 64 * 64 * 4);
	presented(0, frame.seq);
	/* Off while the GPU works and while a picture waits. */
	IS(flush(1, 64, 64), 0);
	IS(scanout(0, 0, 0, 0, 0, 0), OK);
	gpu_finish();
	CU_ASSERT_EQUAL(frames, n + 2);
	CU_ASSERT_EQUAL(frame.buffer, 0);
	CU_ASSERT_EQUAL(buffers - gones, 0);
	teardown();
}

/* A drawing larger than the slots, shown by nobody in the end, must not leave them unusable. */
static void test_read_back_sizes(void)
{
	setup(true);
	gl_screen();
	IS(create_3d(3, 128, 128), OK);
	IS(ctx_command(VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1, 3), OK);
	IS(flush(1, 64, 64), 0);
	gpu_finish();
	uint64_t first = frame.buffer;
	presented(0, frame.seq);
	IS(flush(1, 64, 64), 0);
	gpu_finish();
	CU_ASSERT_EQUAL(frames, 2);
	bn_scanout_released(dev, first);
	IS(scanout(0, 3, 0, 0, 128, 128), OK);
	IS(flush(3, 128, 128), 0);
	gpu_finish();
	IS(scanout(0, 1, 0, 0, 64, 64), OK);
	IS(flush(1, 64, 64), 0);
	gpu_finish();
	presented(0, frame.seq);
	CU_ASSERT_EQUAL(frames, 3);
	CU_ASSERT_EQUAL(frame.buffer, first);
	teardown();
}

/* The contexts of two pictures finish in the wrong order, because one of them is destroyed. */
static void test_flush_order(void)
{
	unsigned before;

	setup(true);
	IS(ctx_create(1, 2), OK);
	IS(ctx_create(2, 2), OK);
	for (uint32_t id = 1; id <= 2; id++) {
		IS(create_3d(id, 64, 64), OK);
		IS(ctx_command(VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, id, id), OK);
	}
	IS(scanout(0, 1, 0, 0, 64, 64), OK);
	before = answers;
	IS(flush(1, 64, 64), 0);
	gpu_finish();
	IS(flush(1, 64, 64), 0);
	IS(scanout(0, 2, 0, 0, 64, 64), OK);
	IS(flush(2, 64, 64), 0);
	IS(ctx_command(VIRTIO_GPU_CMD_CTX_DESTROY, 2, 0), OK);
	gpu_finish();
	CU_ASSERT_EQUAL(answers, before + 2);
	presented(0, frame.seq);
	CU_ASSERT_EQUAL(answers, before + 3);
	presented(0, frame.seq);
	CU_ASSERT_EQUAL(answers, before + 5); /* nothing waits for a frame that never comes */
	CU_ASSERT_EQUAL(frames, 2);
	teardown();
}

/* Pictures for read-back count, too. */
static void test_read_back_memory(void)
{
	setup(true);
	gl.width = gl.height = 2048; /* 16 MiB a picture, of 64 */
	IS(ctx_create(1, 2), OK);
	IS(create_3d(1, 2048, 2048), OK);
	IS(ctx_command(VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1, 1), OK);
	IS(scanout(0, 1, 0, 0, 2048, 2048), OK);
	IS(scanout(1, 1, 0, 0, 2048, 2048), OK);
	for (unsigned i = 0; i < 4; i++) {
		flush(1, 64, 64);
		gpu_finish();
		presented(0, frame.seq);
		presented(1, frame.seq);
	}
	CU_ASSERT_EQUAL(buffers - gones, 4);
	IS(scanout(0, 0, 0, 0, 0, 0), OK);
	IS(scanout(1, 0, 0, 0, 0, 0), OK);
	CU_ASSERT_EQUAL(buffers - gones, 0);
	CU_ASSERT_EQUAL(dev->pool_bytes, 0);
	teardown();
}

/* Resources hold an fd each; the last ones stay free for what the daemon sends. */
static void test_fds_left(void)
{
	struct rlimit old, few;
	uint32_t id = 1, r;
	int fd;

	setup(false);
	getrlimit(RLIMIT_NOFILE, &old);
	few = old;
	few.rlim_cur = 128;
	setrlimit(RLIMIT_NOFILE, &few);
	while ((r = create_2d(id, 2, 8, 8)) == OK)
		id++;
	CU_ASSERT_EQUAL(r, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	CU_ASSERT_TRUE(id > 64);
	fd = bn_fd_dup(journal_fd);
	CU_ASSERT_TRUE(fd >= 0);
	bn_fd_close(&fd);
	IS(unref(1), OK);
	IS(create_2d(id, 2, 8, 8), OK);
	setrlimit(RLIMIT_NOFILE, &old);
	teardown();
}

/* The bound on host memory knows wide pixels. */
static void test_wide_formats(void)
{
	struct virtio_gpu_resource_create_3d c = {{.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_3D},
		.resource_id = 1, .target = 2, .format = 31, .bind = 2, .width = 1024,
		.height = 1024, .depth = 1, .array_size = 1};

	setup(true);
	IS(SEND(c), OK);
	CU_ASSERT_EQUAL(stats.resource_bytes, 16u << 20);
	c.resource_id = 2;
	c.array_size = 4;
	IS(SEND(c), VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	teardown();
}

/* Lists of backing entries are host memory. */
static void test_backing_total(void)
{
	setup(false);
	IS(create_2d(1, 2, 8, 8), OK);
	dev->backing_entries = BN_BACKING_TOTAL_MAX;
	IS(attach(1, GUEST, 256, 1), VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	dev->backing_entries = 0;
	IS(attach(1, GUEST, 256, 1), OK);
	CU_ASSERT_EQUAL(dev->backing_entries, 1);
	IS(detach(1), OK);
	CU_ASSERT_EQUAL(dev->backing_entries, 0);
	teardown();
}

static void test_unref_in_flight(void)
{
	unsigned before;

	setup(true);
	gl_screen();
	IS(flush(1, 64, 64), 0);
	IS(scanout(0, 2, 0, 0, 64, 64), OK);
	before = answers;
	IS(unref(1), OK); /* the picture is not there any more when the GPU is done */
	gpu_finish();
	CU_ASSERT_EQUAL(frames, 0);
	CU_ASSERT_EQUAL(answers, before + 2);
	teardown();
}

static void test_reset(void)
{
	unsigned before;

	setup(true);
	gl_screen();
	IS(submit(1, 10, 4), 0);
	IS(flush(1, 64, 64), 0);
	before = answers;
	bn_device_reset(dev);
	CU_ASSERT_EQUAL(answers, before + 2);
	CU_ASSERT_EQUAL(gl.resources + gl.contexts, 0);
	CU_ASSERT_EQUAL(frame.buffer, 0);
	gl.fences = 0;
	gl_screen();
	teardown();
}

/* ---- after a crash ---- */

static void test_restore(void)
{
	struct bn_resource *res;

	setup(true);
	IS(create_2d(1, 2, 64, 32), OK);
	IS(attach(1, GUEST, 64 * 32 * 4, 1), OK);
	IS(create_2d(2, 2, 8, 8), OK);
	IS(unref(2), OK);
	IS(create_2d(2, 1, 16, 16), OK);
	IS(create_3d(3, 64, 64), OK);
	IS(attach(3, GUEST, 4096, 1), OK);
	IS(ctx_create(1, 2), OK);
	IS(ctx_create(2, 2), OK);
	IS(ctx_command(VIRTIO_GPU_CMD_CTX_DESTROY, 2, 0), OK);
	IS(scanout(0, 1, 0, 0, 64, 32), OK);
	IS(scanout(1, 3, 0, 0, 64, 64), OK);
	/* The end of a process is no end of the journal. */
	bn_device_destroy(dev);
	bn_guest_memory_clear(mem);
	device_open(true, true);
	memory_add();
	memset(ram, 0x77, MEMORY);
	bn_backing_resume_all(dev);
	CU_ASSERT_EQUAL(dev->resources.count, 3);
	CU_ASSERT_EQUAL(bn_resource_get(dev, 2)->width, 16);
	CU_ASSERT_EQUAL(gl.resources, 1);
	CU_ASSERT_EQUAL(gl.iovs, 1);
	CU_ASSERT_EQUAL(stats.context_losses, 1);
	CU_ASSERT_EQUAL(frames, 0);
	bn_device_refill(dev);
	res = bn_resource_get(dev, 1);
	CU_ASSERT_EQUAL(res->pixels[100], 0x77);
	CU_ASSERT_EQUAL(frames, 1);
	CU_ASSERT_EQUAL(frame.buffer, res->buffer_id);
	IS(submit(1, 3, 4), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	CU_ASSERT_EQUAL(resp.fence_id, 3);
	IS(ctx_command(VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1, 3),
		VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	IS(ctx_command(VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, 1, 3), OK);
	IS(ctx_command(VIRTIO_GPU_CMD_CTX_DESTROY, 1, 0), OK);
	IS(ctx_create(1, 2), OK);
	IS(unref(1), OK);
	/* Once more, from the journal that the second one wrote. */
	bn_device_destroy(dev);
	device_open(true, true);
	CU_ASSERT_EQUAL(dev->resources.count, 2);
	CU_ASSERT_EQUAL(dev->scanout[0].res_id, 0);
	CU_ASSERT_EQUAL(dev->scanout[1].res_id, 3);
	/* Without GL this time: what needs it is dropped, contexts can still be destroyed. */
	bn_device_destroy(dev);
	device_open(false, true);
	CU_ASSERT_EQUAL(dev->resources.count, 1);
	IS(ctx_command(VIRTIO_GPU_CMD_CTX_DESTROY, 1, 0), OK);
	teardown();
}

/* A journal that a hostile renderer left: nothing but losses. */
static void test_restore_hostile(void)
{
	uint8_t *map;

	setup(true);
	for (uint32_t id = 1; id < 30; id++) {
		create_2d(id, 2, 16, 16);
		attach(id, GUEST, 1024, 1);
		create_3d(id + 100, 16, 16);
		ctx_create(id, 2);
	}
	scanout(0, 1, 0, 0, 16, 16);
	bn_device_destroy(dev);
	map = mmap(NULL, JOURNAL, PROT_READ | PROT_WRITE, MAP_SHARED, journal_fd, 0);
	srand(7);
	for (unsigned i = 0; i < 200; i++) {
		for (unsigned k = 0; k < 20; k++)
			map[64 + rand() % 4000] = (uint8_t)rand();
		for (unsigned k = 0; k < 20; k++)
			map[64 + JOURNAL / 2 + rand() % 4000] = (uint8_t)rand();
		device_open(true, true);
		bn_backing_resume_all(dev);
		bn_device_refill(dev);
		bn_device_destroy(dev);
	}
	munmap(map, JOURNAL);
	device_open(true, false);
	teardown();
}

static void test_cursor_formats(void)
{
	/* Bytes in memory: 10 20 30 40. */
	const uint32_t in = 0x40302010;
	uint32_t pixel;

	CU_ASSERT_TRUE(bn_cursor_convert(DRM_FORMAT_ARGB8888, &in, &pixel, 1));
	CU_ASSERT_EQUAL(pixel, 0x40302010);
	CU_ASSERT_TRUE(bn_cursor_convert(DRM_FORMAT_XRGB8888, &in, &pixel, 1));
	CU_ASSERT_EQUAL(pixel, 0xff302010);
	CU_ASSERT_TRUE(bn_cursor_convert(DRM_FORMAT_ABGR8888, &in, &pixel, 1));
	CU_ASSERT_EQUAL(pixel, 0x40102030);
	CU_ASSERT_TRUE(bn_cursor_convert(DRM_FORMAT_BGRA8888, &in, &pixel, 1));
	CU_ASSERT_EQUAL(pixel, 0x10203040);
	CU_ASSERT_TRUE(bn_cursor_convert(DRM_FORMAT_RGBX8888, &in, &pixel, 1));
	CU_ASSERT_EQUAL(pixel, 0xff403020);
	CU_ASSERT_FALSE(bn_cursor_convert(DRM_FORMAT_RGB565, &in, &pixel, 1));
}

int main(void)
{
	const CU_TestInfo tests[] = {
		{"requests and answers", test_envelope},
		{"displays and capability sets", test_info},
		{"resources", test_resources},
		{"transfers", test_transfers},
		{"guest memory changes", test_memory_changes},
		{"2D scanout", test_scanout_2d},
		{"many buffers", test_many_buffers},
		{"contexts", test_contexts},
		{"submit sizes", test_submit_sizes},
		{"GL scanout, exported", test_scanout_export},
		{"GL scanout, read back", test_scanout_read_back},
		{"sizes of read-back", test_read_back_sizes},
		{"memory for read-back", test_read_back_memory},
		{"flushes out of order", test_flush_order},
		{"open files left", test_fds_left},
		{"wide formats", test_wide_formats},
		{"backing lists", test_backing_total},
		{"resource gone while drawn", test_unref_in_flight},
		{"reset", test_reset},
		{"restored", test_restore},
		{"restored from garbage", test_restore_hostile},
		{"cursor formats", test_cursor_formats},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("device", tests);
}
