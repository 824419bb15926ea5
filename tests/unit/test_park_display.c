/* Commands that wait for a display, in the ring: what is behind them, grants, time-outs. */
#include "park_fixture.h"
#include "virgl_stream.h"

#define TARGET(res) (100 + (res))

static unsigned scanout_to(uint32_t id)
{
	struct virtio_gpu_set_scanout c = {
		{.type = VIRTIO_GPU_CMD_SET_SCANOUT}, {0, 0, 64, 64}, 0, id};

	return SEND(c);
}

static void attach(uint32_t id)
{
	struct virtio_gpu_ctx_resource c = {
		{.type = VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, .ctx_id = 1}, id, 0};

	SEND(c);
}

static unsigned flush(uint32_t id)
{
	struct virtio_gpu_resource_flush c = {
		{.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH}, {0, 0, 64, 64}, id, 0};

	return SEND(c);
}

/* Draws into these resources of context 1, one after the other. */
static unsigned draw(uint32_t first, uint32_t second)
{
	uint32_t words[64];
	const float colour[4] = {0};
	struct bn_virgl_stream s;

	bn_virgl_init(&s, words, 64);
	for (uint32_t res = first; res; res = res == first ? second : 0) {
		bn_virgl_create_surface(&s, TARGET(res), res, BN_VIRGL_FORMAT_B8G8R8X8);
		bn_virgl_set_framebuffer(&s, TARGET(res));
		bn_virgl_clear(&s, colour);
	}
	NO(s.overflow);
	return submit_words(1, words, s.count);
}

static void presented(void)
{
	bn_scanout_presented(r.dev, &(struct bn_link_presented){.seq = frame.seq});
}

static void released(uint64_t buffer)
{
	bn_scanout_released(
		r.dev, &(struct bn_link_release){.buffer = buffer, .seq = frame.seq});
}

/* Resource 1 is on display, 2 on its way there, 3 is neither. Returns the buffer of 1. */
static uint64_t show(void)
{
	uint64_t buffer;

	setup();
	gl.can_export = true;
	prepare();
	fake_arbiter_lease(&a);
	create_3d(2);
	create_3d(3);
	attach(1);
	attach(2);
	scanout_to(1);
	flush(1);
	run();
	gpu_finish();
	buffer = frame.buffer;
	YES(buffer != 0);
	presented();
	scanout_to(2);
	flush(2);
	run();
	gpu_finish();
	YES(frame.buffer != buffer);
	EQ(gl.submits, 0);
	return buffer;
}

static void test_order(void)
{
	unsigned s, c, before;
	uint64_t buffer = show();

	before = answers();
	s = draw(1, 0);
	c = create_2d(9);
	run();
	YES(bn_device_parked(r.dev));
	EQ(gl.submits, 0);
	EQ(answers(), before);
	EQ(a.request->busy, 0);
	presented();
	run();
	YES(bn_device_parked(r.dev));
	before = answers();
	released(buffer);
	run();
	NO(bn_device_parked(r.dev));
	EQ(gl.submits, 1);
	EQ(answers(), before + 1);
	EQ(answered(before), c);
	gpu_finish();
	EQ(answered(before + 1), s);
	IS(s, OK);
	EQ(stats.release_timeouts, 0);
	teardown();
}

/* The loop finds out by itself, and does not spin meanwhile. */
static void test_link(void)
{
	const struct bn_link_header header = {.type = BN_LINK_PRESENTED};
	uint64_t buffer = show(), wakeups;
	struct bn_link_presented p = {.seq = frame.seq, .released = {buffer, frame.seq}};

	draw(1, 0);
	run();
	wakeups = stats.wakeups;
	fake_arbiter_ring(&a); /* nothing that it waits for */
	run();
	YES(bn_device_parked(r.dev));
	YES(stats.wakeups - wakeups < 10);
	bn_link_handle(&r, &header, &p, NULL, 0);
	run();
	EQ(gl.submits, 1);
	gpu_finish();
	teardown();
}

/* The grant under which the first part was drawn goes back; for the rest another one is asked for,
 * once it can be used. */
static void test_grant(uint32_t kind)
{
	uint64_t buffer = show(), wait_ns;
	unsigned s;

	fake_arbiter_revoke(&a);
	EQ(a.request->returned, 2);
	s = draw(3, 1);
	run();
	EQ(a.request->want, 3);
	fake_arbiter_grant(&a, kind, 100 * MS, UINT64_MAX);
	run();
	EQ(gl.submits, 1);
	YES(bn_release_waiting(r.dev) != 0);
	gpu_finish();
	EQ(a.request->returned, 3);
	EQ(a.request->want, 3);
	EQ(a.request->busy, 0);
	wait_ns = a.request->wait_ns;
	a.now += 50 * MS;
	presented();
	released(buffer);
	run();
	YES(bn_device_parked(r.dev));
	NO(bn_release_waiting(r.dev) != 0);
	EQ(a.request->want, 4);
	a.now += MS;
	grant(kind);
	NO(bn_device_parked(r.dev));
	EQ(gl.submits, 2);
	/* The display's time is not the scheduler's. */
	EQ(a.request->wait_ns - wait_ns, MS);
	gpu_finish();
	IS(s, OK);
	teardown();
}

static void test_grants(void)
{
	test_grant(BN_GRANT_BATCH);
	test_grant(BN_GRANT_FRAME);
}

/* What a frame took has no such wait in it. */
static void test_frame(void)
{
	uint64_t buffer = show();

	draw(3, 1);
	run();
	gpu_finish();
	a.now += 50 * MS;
	presented();
	released(buffer);
	run();
	scanout_to(1);
	flush(1);
	run();
	gpu_finish();
	EQ(frame.buffer, buffer);
	EQ(frame.wait_ns, 0);
	EQ(frame.response_ns, 2 * MS);
	EQ(frame.done_ns - frame.queued_ns, 52 * MS);
	teardown();
}

/* Only the timer ends it; then the next ones do not wait. */
static void test_timeout(void)
{
	unsigned s;

	show();
	s = draw(1, 0);
	run();
	YES(bn_device_parked(r.dev));
	while (bn_device_parked(r.dev)) /* the test's own deadline is meson's */
		run();
	EQ(gl.submits, 1);
	EQ(stats.release_timeouts, 1);
	draw(1, 0);
	run();
	EQ(gl.submits, 2);
	gpu_finish();
	presented();
	run();
	IS(s, OK);
	teardown();
}

/* The timer was set for a wait that is over: it is not the next one's. */
static void test_timer(void)
{
	uint64_t buffer = show();

	draw(1, 0);
	run();
	presented();
	released(buffer);
	run();
	EQ(gl.submits, 1);
	gpu_finish();
	scanout_to(1);
	flush(1);
	draw(2, 0);
	run();
	gpu_finish();
	YES(bn_device_parked(r.dev));
	EQ(r.display.number, 2);
	while (bn_device_parked(r.dev))
		run();
	EQ(stats.release_timeouts, 1);
	gpu_finish();
	presented();
	teardown();
}

/* The queue is to stop: the display is not waited for. */
static void test_stop(void)
{
	const struct bn_link_header header = {.type = BN_LINK_VRING_STOP, .seq = 77};
	const struct bn_link_u64 index = {0};

	show();
	draw(1, 0);
	run();
	bn_link_handle(&r, &header, &index, NULL, 0);
	run();
	NO(bn_device_parked(r.dev));
	EQ(gl.submits, 1);
	gpu_finish();
	teardown();
}

int main(void)
{
	const CU_TestInfo tests[] = {
		{"order", test_order},
		{"link", test_link},
		{"grants", test_grants},
		{"what a frame took", test_frame},
		{"time-out", test_timeout},
		{"timer", test_timer},
		{"stop", test_stop},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("park_display", tests);
}
