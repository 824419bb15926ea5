#include "park_fixture.h"

#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "common/fd.h"
#include "virgl_stream.h"

#define MEMORY (1u << 20)
#define GUEST 0x40000000ull
#define NUM 64u
#define AVAIL 0x1000u
#define USED 0x2000u
#define COMMANDS 0x10000u /* SLOT bytes each: the request, and at its end the response */
#define SLOT 0x2000u
#define RESPONSE (SLOT - 64u)

struct fake_arbiter a;
struct bn_gl gl;
struct bn_renderer r;
struct bn_stats stats;
static struct bn_inflight inflight;
struct bn_link_frame frame;
static uint8_t *ram;
int peer;
static int kick;
static unsigned sent;
static struct wl_event_source *timer;

/* ---- the renderer ---- */

static void handle_answer(void *data, struct bn_vq_request *request, uint32_t written)
{
	EQ(written, sizeof(struct virtio_gpu_ctrl_hdr));
	bn_vq_complete(request, written);
}

static void handle_send(
	void *data, uint32_t type, const void *payload, size_t size, const int *fds, size_t nfds)
{
	if (type == BN_LINK_FRAME)
		memcpy(&frame, payload, size);
}

static const struct bn_device_ops ops = {.answer = handle_answer, .send = handle_send};

static void handle_lost(void *data, uint32_t ctx_id)
{
	bn_device_gate_listener.context_lost(r.dev, ctx_id);
}

static void handle_quarantine(void *data, bool on)
{
	bn_device_gate_listener.quarantine(r.dev, on);
}

static const struct bn_gate_listener listener = {
	.context_lost = handle_lost,
	.quarantine = handle_quarantine,
};

static int handle_timer(void *data)
{
	r.quit = true;
	return 0;
}

void run(void)
{
	for (unsigned i = 0; i < 3; i++) {
		r.quit = false;
		wl_event_source_timer_update(timer, 1);
		bn_ring_run(&r);
	}
}

void run_once(void)
{
	r.quit = false;
	wl_event_source_timer_update(timer, 200);
	bn_ring_run(&r);
}

static void memory_open(void)
{
	struct bn_guest_region region = {GUEST, MEMORY, GUEST, 0};
	int fd = bn_memfd_create("guest", MEMORY);

	ram = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CU_ASSERT_EQUAL_FATAL(bn_guest_memory_add(r.mem, &region, fd), 0);
}

void setup(void)
{
	struct bn_device_config config = {
		.mem = r.mem = bn_guest_memory_create(),
		.stats = &stats,
		.ops = &ops,
		.num_scanouts = 1,
	};
	struct bn_link_vring vring = {.num = NUM,
		.desc_user = GUEST,
		.avail_user = GUEST + AVAIL,
		.used_user = GUEST + USED};
	int fds[2];

	memory_open();
	memset(&stats, 0, sizeof(stats));
	memset(&inflight, 0, sizeof(inflight));
	gl = (struct bn_gl){.width = 64, .height = 64};
	sent = 0;
	EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	r.link_fd = fds[0];
	peer = fds[1];
	r.stats = &stats;
	r.loop = wl_event_loop_create();
	EQ(bn_link_init(&r), 0);
	CU_ASSERT_EQUAL_FATAL(bn_device_create(&r.dev, &config), 0);
	fake_arbiter_init(&a, &listener);
	r.gate = a.gate;
	bn_device_set_gate(r.dev, r.gate);
	bn_device_set_gl(r.dev, &gl);
	for (unsigned i = 0; i < BN_LINK_QUEUES; i++)
		r.vq[i] = bn_vq_create(r.mem, &inflight.queue[i], i);
	EQ(bn_cursor_create(&r.cursor, r.dev, r.vq[1], r.link_fd), 0);
	EQ(bn_ring_init(&r), 0);
	timer = wl_event_loop_add_timer(r.loop, handle_timer, NULL);
	kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	EQ(bn_vq_start(r.vq[0], &vring, 0, bn_fd_dup(kick)), 0);
	EQ(bn_ring_start(&r), 0);
}

void teardown(void)
{
	wl_event_source_remove(timer);
	bn_ring_stop(&r);
	bn_cursor_destroy(r.cursor);
	wl_event_source_remove(r.cursor_source);
	wl_event_source_remove(r.gate_source);
	wl_event_source_remove(r.stop.timer);
	wl_event_source_remove(r.display.timer);
	bn_device_destroy(r.dev);
	EQ(gl.contexts, 0);
	EQ(bn_vq_inflight(r.vq[0]), 0);
	fake_arbiter_finish(&a);
	for (unsigned i = 0; i < BN_LINK_QUEUES; i++)
		bn_vq_destroy(r.vq[i]);
	bn_guest_memory_destroy(r.mem);
	bn_link_finish(&r);
	wl_event_loop_destroy(r.loop);
	bn_fd_close(&r.link_fd);
	bn_fd_close(&peer);
	bn_fd_close(&kick);
	munmap(ram, MEMORY);
	memset(&r, 0, sizeof(r));
}

/* ---- the guest ---- */

unsigned send_parts(const void *cmd, size_t size, const void *more, size_t more_size)
{
	struct vring_desc *desc = (void *)ram;
	struct vring_avail *avail = (void *)(ram + AVAIL);
	uint32_t at = COMMANDS + sent * SLOT;
	uint16_t head = (uint16_t)(2 * sent);

	CU_ASSERT_FATAL(sent < NUM / 2 && size + more_size <= RESPONSE);
	memcpy(ram + at, cmd, size);
	if (more_size)
		memcpy(ram + at + size, more, more_size);
	desc[head] = (struct vring_desc){
		GUEST + at, (uint32_t)(size + more_size), VRING_DESC_F_NEXT, head + 1};
	desc[head + 1] = (struct vring_desc){GUEST + at + RESPONSE, 64, VRING_DESC_F_WRITE, 0};
	avail->ring[avail->idx % NUM] = head;
	__atomic_store_n(&avail->idx, avail->idx + 1, __ATOMIC_RELEASE);
	bn_event_signal(kick);
	return sent++;
}

unsigned answers(void)
{
	return ((struct vring_used *)(void *)(ram + USED))->idx;
}

unsigned answered(unsigned i)
{
	return ((struct vring_used *)(void *)(ram + USED))->ring[i % NUM].id / 2;
}

uint32_t type_of(unsigned command)
{
	struct virtio_gpu_ctrl_hdr hdr;

	memcpy(&hdr, ram + COMMANDS + command * SLOT + RESPONSE, sizeof(hdr));
	return hdr.type;
}

unsigned ctx_create(uint32_t ctx)
{
	struct virtio_gpu_ctx_create c = {
		{.type = VIRTIO_GPU_CMD_CTX_CREATE, .ctx_id = ctx}, 4, 0, "test"};

	return SEND(c);
}

unsigned create_3d(uint32_t id)
{
	struct virtio_gpu_resource_create_3d c = {{.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_3D},
		.resource_id = id, .target = 2, .format = 2, .bind = 2, .width = 64, .height = 64,
		.depth = 1, .array_size = 1};

	return SEND(c);
}

unsigned create_2d(uint32_t id)
{
	struct virtio_gpu_resource_create_2d c = {
		{.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D}, id, 2, 16, 16};

	return SEND(c);
}

unsigned transfer(uint32_t id)
{
	struct virtio_gpu_transfer_host_3d c = {{.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D},
		.resource_id = id, .box = {.w = 64, .h = 64, .d = 1}};

	return SEND(c);
}

unsigned backing(uint32_t id)
{
	struct virtio_gpu_resource_attach_backing c = {
		{.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING}, id, 1};
	struct virtio_gpu_mem_entry entry = {GUEST + MEMORY / 2, 64 * 64 * 4, 0};

	return send_parts(&c, sizeof(c), &entry, sizeof(entry));
}

unsigned submit_words(uint32_t ctx, const uint32_t *words, uint32_t count)
{
	static uint64_t fence;
	struct virtio_gpu_cmd_submit c = {{.type = VIRTIO_GPU_CMD_SUBMIT_3D,
						  .flags = VIRTIO_GPU_FLAG_FENCE,
						  .fence_id = ++fence,
						  .ctx_id = ctx},
		count * 4, 0};

	return send_parts(&c, sizeof(c), words, count * 4);
}

unsigned submit(uint32_t ctx, unsigned clears)
{
	static uint32_t words[2000];
	const float colour[4] = {0};
	struct bn_virgl_stream s;

	bn_virgl_init(&s, words, 2000);
	while (clears-- > 0)
		bn_virgl_clear(&s, colour);
	NO(s.overflow);
	return submit_words(ctx, words, s.count);
}

void gpu_end(void)
{
	unsigned n = gl.fences;

	a.now += MS;
	for (unsigned i = 0; i < n; i++)
		bn_fences_gpu_done(r.dev->fences, gl.fence[i].ctx_id, gl.fence[i].id);
	gl.fences -= n;
	memmove(gl.fence, gl.fence + n, gl.fences * sizeof(gl.fence[0]));
}

void gpu_finish(void)
{
	gpu_end();
	run();
}

void grant(uint32_t kind)
{
	fake_arbiter_grant(&a, kind, 0, UINT64_MAX);
	run();
}

void prepare(void)
{
	fake_arbiter_lease(&a);
	ctx_create(1);
	create_3d(1);
	backing(1);
	run();
	gpu_finish();
	EQ(answers(), 3);
	for (unsigned i = 0; i < 3; i++)
		IS(i, OK);
	fake_arbiter_revoke(&a);
	EQ(a.request->returned, 1);
}
