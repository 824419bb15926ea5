/* Commands that wait for the scheduler. */
#include <string.h>
#include <sys/socket.h>

#include "common/fd.h"
#include "park_fixture.h"
#include "virgl_words.h"

/* One waits, and all behind it, those that need no grant too. */
static void test_order(void)
{
	unsigned s, c2;

	setup();
	prepare();
	s = submit(1, 1);
	c2 = create_2d(2);
	run();
	YES(bn_device_parked(r.dev));
	EQ(gl.submits, 0);
	EQ(answers(), 3);
	EQ(a.request->want, 2);
	EQ(stats.commands, 4);
	grant(BN_GRANT_BATCH);
	NO(bn_device_parked(r.dev));
	EQ(gl.submits, 1);
	EQ(answers(), 4); /* its answer waits for the GPU, the other's does not */
	EQ(answered(3), c2);
	IS(c2, OK);
	EQ(a.request->returned, 1);
	gpu_finish();
	EQ(answers(), 5);
	EQ(answered(4), s);
	IS(s, OK);
	EQ(a.request->returned, 2);
	EQ(a.request->busy, 0);
	EQ(stats.submits, 1);
	teardown();
}

/* One batch goes to the GPU and ends; whether the arbiter hears that it may take longer. */
static bool is_cold(void)
{
	bool cold;

	run();
	grant(BN_GRANT_BATCH);
	EQ(a.request->busy, 1);
	cold = a.request->flags & BN_REQUEST_COMPILES;
	gpu_finish();
	NO(a.request->flags & BN_REQUEST_COMPILES);
	return cold;
}

/* The first batches of a context, and from one on that makes another GL context in it. */
static void test_cold(void)
{
	static const uint32_t sub_context[] = {CREATE_SUB_CTX | 1u << 16, 7};

	setup();
	prepare();
	ctx_create(2);
	run();
	grant(BN_GRANT_BATCH);
	gpu_finish();
	for (unsigned i = 0; i < 12; i++) {
		submit(1 + i % 2, 1);
		EQ(is_cold(), i < 2 * BN_COLD_BATCHES);
	}
	submit_words(1, sub_context, 2);
	YES(is_cold());
	for (unsigned i = 1; i < BN_COLD_BATCHES + 2; i++) {
		submit(1, 1);
		EQ(is_cold(), i < BN_COLD_BATCHES);
	}
	submit(2, 1);
	NO(is_cold());
	teardown();
}

/* The loop hears the doorbell by itself. */
static void test_doorbell(void)
{
	setup();
	prepare();
	submit(1, 1);
	run();
	a.grant->kind = BN_GRANT_BATCH;
	a.grant->until_ns = UINT64_MAX;
	__atomic_store_n(&a.grant->grant, 2, __ATOMIC_SEQ_CST);
	bn_event_signal(a.bell);
	run();
	EQ(gl.submits, 1);
	gpu_finish();
	teardown();
}

/* Everything that the GPU has to do with waits. */
static void test_kinds(void)
{
	unsigned n;

	setup();
	prepare();
	ctx_create(2);
	create_3d(2);
	transfer(1);
	submit(1, 1);
	for (n = 0; n < 4; n++) {
		run();
		YES(bn_device_parked(r.dev));
		EQ(answers(), 3 + n);
		EQ(a.request->want, 2 + n);
		grant(BN_GRANT_BATCH);
		gpu_finish();
		EQ(a.request->returned, 2 + n);
	}
	EQ(gl.contexts, 2);
	EQ(gl.resources, 2);
	EQ(gl.transfers, 1);
	EQ(gl.submits, 1);
	EQ(answers(), 7);
	for (n = 3; n < 7; n++)
		IS(n, OK);
	EQ(a.request->batches, 6);
	teardown();
}

/* A stream in pieces: each asks, the answer comes behind the last. */
static void test_pieces(void)
{
	unsigned s, pieces = 0;

	setup();
	prepare();
	a.grant->batch_max_ns = 100000;
	s = submit(1, 60);
	run();
	while (bn_device_parked(r.dev) && pieces < 61) {
		EQ(gl.submits, pieces);
		EQ(answers(), 3);
		grant(BN_GRANT_BATCH);
		pieces++;
		EQ(gl.submits, pieces);
		EQ(gl.fences, 1);
		gpu_finish();
	}
	YES(pieces >= 4 && pieces <= 60);
	EQ(answers(), 4);
	IS(s, OK);
	EQ(a.request->cuts, 1);
	EQ(a.request->batches, 2 + pieces);
	EQ(a.request->returned, 1 + pieces);
	EQ(stats.submits, 1);
	EQ(stats.fences, 1);
	teardown();
}

static bool read_meter(void *data, uint64_t id, uint64_t *ns)
{
	return bn_gl_meter_read(data, id, ns);
}

/* Each piece has its own stamps. */
static void test_metered(void)
{
	struct bn_gate_meter meter = {.read = read_meter, .data = &gl};
	unsigned pieces = 0;
	uint64_t before;

	setup();
	bn_gate_set_meter(a.gate, &meter);
	prepare();
	a.grant->batch_max_ns = 100000;
	before = a.request->gpu_ns;
	EQ(gl.metered, 0); /* no streams so far */
	submit(1, 60);
	run();
	gl.meter_ns = MS / 4;
	while (bn_device_parked(r.dev) && pieces < 61) {
		gl.meter_id = 100 + pieces;
		grant(BN_GRANT_BATCH);
		EQ(gl.meter_ended, 100 + pieces);
		pieces++;
		gpu_finish();
	}
	EQ(gl.metered, pieces);
	EQ(gl.submits, pieces);
	EQ(a.request->gpu_ns - before, pieces * (MS / 4));
	teardown();
}

/* A piece waits for the one before it, under a lease. That is done when the loop looks for fences before
 * it sleeps: no bell rings. */
static void test_fence_seen_in_passing(void)
{
	unsigned s;

	setup();
	prepare();
	a.grant->batch_max_ns = 100000;
	a.grant->ahead_max_ns = 1;
	gl.poll = gpu_end;
	r.gl = &gl;
	s = submit(1, 60);
	fake_arbiter_lease(&a);
	run_once();
	NO(bn_device_parked(r.dev));
	YES(gl.submits >= 4);
	EQ(answers(), 4);
	IS(s, OK);
	teardown();
}

static void test_piece_refused(void)
{
	unsigned s;

	setup();
	prepare();
	a.grant->batch_max_ns = 100000;
	s = submit(1, 60);
	run();
	grant(BN_GRANT_BATCH);
	gpu_finish();
	gl.submit_result = -22;
	grant(BN_GRANT_BATCH);
	EQ(gl.submits, 2);
	NO(bn_device_parked(r.dev));
	IS(s, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	EQ(stats.context_losses, 1);
	EQ(a.request->busy, 1); /* what it did before it was refused */
	gpu_finish();
	EQ(a.request->busy, 0);
	EQ(a.request->returned, 3);
	gl.submit_result = 0;
	teardown();
}

static void test_reset(void)
{
	unsigned s;

	setup();
	prepare();
	s = submit(1, 1);
	run();
	bn_ring_stop(&r);
	bn_device_reset(r.dev);
	NO(bn_device_parked(r.dev));
	EQ(answers(), 4);
	IS(s, VIRTIO_GPU_RESP_ERR_UNSPEC);
	EQ(gl.submits, 0);
	grant(BN_GRANT_BATCH); /* it was on its way */
	EQ(a.request->returned, 2);
	teardown();
}

static void test_destroy(void)
{
	setup();
	prepare();
	submit(1, 1);
	run();
	YES(bn_device_parked(r.dev));
	teardown(); /* sees that nothing is in flight any more */
}

/* The renderer's answer to VRING_STOP, if there is one. */
static bool stopped(uint64_t *base)
{
	struct {
		struct bn_link_header header;
		struct bn_link_ack ack;
	} msg;

	if (recv(peer, &msg, sizeof(msg), MSG_DONTWAIT) != sizeof(msg))
		return false;
	EQ(msg.header.type, BN_LINK_ACK);
	EQ(msg.ack.seq, 77);
	EQ(msg.ack.error, 0);
	*base = msg.ack.value;
	return true;
}

static void stop(void)
{
	struct bn_link_header header = {.type = BN_LINK_VRING_STOP, .seq = 77};
	struct bn_link_u64 index = {0};

	bn_link_handle(&r, &header, &index, NULL, 0);
	run();
}

static void test_stop(void)
{
	uint64_t base;
	unsigned s;

	setup();
	prepare();
	s = submit(1, 1);
	run();
	create_2d(2);
	stop();
	NO(stopped(&base));
	grant(BN_GRANT_BATCH);
	NO(stopped(&base));
	gpu_finish();
	YES(stopped(&base));
	EQ(base, 4); /* the other one was not taken */
	EQ(answers(), 4);
	IS(s, OK);
	EQ(a.request->returned, 2);
	teardown();
}

/* No grant comes: the VMM is not kept waiting for ever. */
static void test_stop_without_grant(void)
{
	uint64_t base = 0;
	unsigned s;

	setup();
	prepare();
	s = submit(1, 1);
	run();
	stop();
	YES(bn_device_parked(r.dev));
	while (bn_device_parked(r.dev)) /* the test's own deadline is meson's */
		run();
	run();
	YES(stopped(&base));
	EQ(base, 4);
	IS(s, VIRTIO_GPU_RESP_ERR_UNSPEC);
	teardown();
}

/* The response is in guest memory before that may go, and is not written again. */
static void test_memory_gone(void)
{
	unsigned s;

	setup();
	prepare();
	s = submit(1, 1);
	run();
	IS(s, 0);
	bn_device_memory_changes(r.dev);
	IS(s, OK);
	r.dev->parked.cmd.request->in[0].iov_base = NULL;
	gl.submit_result = -22;
	grant(BN_GRANT_BATCH);
	NO(bn_device_parked(r.dev));
	EQ(answers(), 4);
	IS(s, OK);
	EQ(stats.errors, 1);
	gl.submit_result = 0;
	gpu_finish();
	s = submit(1, 1); /* the next one's is written as ever */
	run();
	grant(BN_GRANT_BATCH);
	gpu_finish();
	IS(s, OK);
	teardown();
}

static void test_memory_removed(void)
{
	struct bn_link_header header = {.type = BN_LINK_MEM_CLEAR, .seq = 1};
	unsigned s;

	setup();
	prepare();
	s = submit(1, 1);
	run();
	bn_link_handle(&r, &header, NULL, NULL, 0);
	IS(s, OK);
	grant(BN_GRANT_BATCH); /* the stream was copied, the response is written, the ring is gone */
	EQ(gl.submits, 1);
	gpu_finish();
	EQ(bn_vq_inflight(r.vq[0]), 0);
	teardown();
}

static void test_quarantine(void)
{
	unsigned s, again, c2, ctx, c3, t;

	setup();
	prepare();
	s = submit(1, 1);
	run();
	a.grant->quarantine = 1;
	fake_arbiter_ring(&a);
	run();
	NO(bn_device_parked(r.dev));
	IS(s, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	EQ(stats.context_losses, 1);
	again = submit(1, 1);
	ctx = ctx_create(2);
	c3 = create_3d(3);
	t = transfer(1);
	c2 = create_2d(2);
	run();
	NO(bn_device_parked(r.dev));
	IS(again, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	IS(ctx, VIRTIO_GPU_RESP_ERR_UNSPEC);
	IS(c3, VIRTIO_GPU_RESP_ERR_UNSPEC);
	IS(t, VIRTIO_GPU_RESP_ERR_UNSPEC);
	IS(c2, OK);
	EQ(gl.submits, 0);
	a.grant->quarantine = 0;
	fake_arbiter_lease(&a);
	again = submit(1, 1);
	ctx = ctx_create(2);
	s = submit(2, 1);
	run();
	gpu_finish();
	IS(again, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	IS(ctx, OK);
	IS(s, OK);
	EQ(gl.submits, 1);
	teardown();
}

/* The watchdog strikes in the middle of a stream. */
static void test_context_lost(void)
{
	unsigned s, next;

	setup();
	prepare();
	a.grant->batch_max_ns = 100000;
	s = submit(1, 60);
	run();
	grant(BN_GRANT_BATCH);
	EQ(gl.submits, 1);
	a.grant->lose_batch = a.request->batch;
	fake_arbiter_ring(&a);
	run();
	YES(bn_device_parked(r.dev));
	gpu_finish();
	NO(bn_device_parked(r.dev));
	IS(s, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	next = submit(1, 1);
	run();
	IS(next, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	EQ(gl.submits, 1);
	EQ(stats.context_losses, 1);
	EQ(a.request->contexts_lost, 1);
	teardown();
}

/* RESOURCE_INLINE_WRITE with a stride and a box whose sum wraps in 32 bits. */
static void test_hostile_transfer(void)
{
	uint32_t words[13] = {
		12 << 16 | 9, 1, 0, 0, 0x80000000u, 0x80000000u, 0, 0, 0, 64, 64, 64, 0};
	unsigned s, next;

	setup();
	prepare();
	fake_arbiter_lease(&a);
	s = submit_words(1, words, 13);
	next = submit(1, 1);
	run();
	IS(s, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	IS(next, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	EQ(gl.submits, 0);
	EQ(stats.context_losses, 1);
	teardown();
}

/* A flushed frame tells what it took. */
static void test_frame(void)
{
	struct virtio_gpu_set_scanout so = {
		{.type = VIRTIO_GPU_CMD_SET_SCANOUT}, {0, 0, 64, 64}, 0, 1};
	struct virtio_gpu_resource_flush flush = {
		{.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH}, {0, 0, 64, 64}, 1, 0};
	struct virtio_gpu_ctx_resource attach = {
		{.type = VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, .ctx_id = 1}, 1, 0};
	uint64_t t, made;

	setup();
	prepare();
	memset(&frame, 0, sizeof(frame));
	made = a.request->batches;
	SEND(so);
	SEND(attach);
	SEND(flush); /* ends the frame that prepare() began */
	run();
	gpu_finish();
	t = a.now;
	submit(1, 1);
	SEND(flush);
	run();
	a.now += 2 * MS;
	grant(BN_GRANT_FRAME);
	CU_ASSERT_NOT_EQUAL(frame.queued_ns, t); /* on its way */
	EQ(a.request->frames, 2);
	NO(a.request->flags & BN_REQUEST_FRAME_OPEN);
	EQ(a.request->returned, 1);
	gpu_finish();
	EQ(a.request->returned, 2);
	EQ(a.request->batches, made + 1);
	bn_scanout_presented(r.dev, &(struct bn_link_presented){.seq = frame.seq});
	EQ(frame.queued_ns, t);
	EQ(frame.wait_ns, 2 * MS);
	EQ(frame.gpu_ns, MS);
	EQ(frame.done_ns, t + 3 * MS);
	EQ(frame.response_ns, 3 * MS);
	EQ(frame.batches, 1);
	EQ(frame.cuts, 0);
	YES(gl.read_backs > 0);
	teardown();
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"order", test_order},
		{"first batches of a context", test_cold},
		{"doorbell", test_doorbell},
		{"kinds of work", test_kinds},
		{"pieces", test_pieces},
		{"pieces that are metered", test_metered},
		{"a fence seen in passing", test_fence_seen_in_passing},
		{"a piece is refused", test_piece_refused},
		{"reset", test_reset},
		{"the end", test_destroy},
		{"stop", test_stop},
		{"stop without a grant", test_stop_without_grant},
		{"memory gone", test_memory_gone},
		{"memory removed", test_memory_removed},
		{"quarantine", test_quarantine},
		{"context lost", test_context_lost},
		{"hostile transfer", test_hostile_transfer},
		{"frame", test_frame},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("park", tests);
}
