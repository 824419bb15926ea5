/* Drawing into pictures that a display still shows. */
#include "device_fixture.h"
#include "virgl_words.h"

/* Context 1 with resources 1 to n, which leave as dma-bufs. */
static void screen(uint32_t n)
{
	setup(true);
	gl.can_export = true;
	IS(ctx_create(1, 2), OK);
	for (uint32_t id = 1; id <= n; id++) {
		IS(create_3d(id, 64, 64), OK);
		IS(ctx_command(VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1, id), OK);
	}
}

static uint32_t submit_stream(uint64_t fence)
{
	struct virtio_gpu_cmd_submit c = {{.type = VIRTIO_GPU_CMD_SUBMIT_3D,
						  .flags = fence ? VIRTIO_GPU_FLAG_FENCE : 0,
						  .fence_id = fence,
						  .ctx_id = 1},
		bn_walk_stream.count * 4, 0};

	return send_parts(&c, sizeof(c), bn_walk_words, bn_walk_stream.count * 4, sizeof(resp),
		false, false);
}

static void put_draw(uint32_t res)
{
	bn_walk_put_target(100 + res, res);
	bn_walk_put_draw(3);
}

/* Whether it was drawn at once; the submit has a fence. */
static bool draw(uint32_t res)
{
	static uint64_t fence = 1000;
	unsigned before = gl.submits;

	bn_virgl_init(&bn_walk_stream, bn_walk_words, BN_WALK_WORDS);
	put_draw(res);
	submit_stream(++fence);
	return gl.submits == before + 1;
}

static void flip(uint32_t index, uint32_t id)
{
	IS(scanout(index, id, 0, 0, 64, 64), OK);
	flush(id, 64, 64);
}

/* Flushed and drawn; returns the number of its buffer, once it has been sent. */
static uint64_t show(uint32_t id)
{
	flip(0, id);
	gpu_finish();
	return frame.buffer;
}

static bool waits(void)
{
	return bn_release_waiting(dev) != 0;
}

/* What the ring thread does in each turn. Whether the command still waits. */
static bool turn(void)
{
	if (waits() && bn_release_over(dev))
		bn_device_resume(dev);
	return waits();
}

static void test_two_buffers(void)
{
	uint64_t a, b;
	unsigned before;

	screen(2);
	CU_ASSERT_TRUE(draw(1));
	a = show(1);
	presented(0, frame.seq);
	CU_ASSERT_TRUE(draw(2));
	b = show(2);
	CU_ASSERT_NOT_EQUAL(a, b);
	/* The guest thinks that 1 is free: it is on display until 2 is. */
	before = answers;
	CU_ASSERT_FALSE(draw(1));
	CU_ASSERT_TRUE(turn());
	presented(0, frame.seq);
	CU_ASSERT_TRUE(turn());
	before = answers; /* the fence of 2 was held for the display */
	released(a);
	CU_ASSERT_FALSE(turn());
	CU_ASSERT_EQUAL(gl.submits, 3);
	CU_ASSERT_EQUAL(answers, before);
	gpu_finish();
	CU_ASSERT_EQUAL(answers, before + 1);
	CU_ASSERT_EQUAL(resp.type, OK);
	/* And so on. */
	CU_ASSERT_EQUAL(show(1), a);
	CU_ASSERT_FALSE(draw(2));
	presented(0, frame.seq);
	released(b);
	CU_ASSERT_FALSE(turn());
	CU_ASSERT_EQUAL(gl.submits, 4);
	CU_ASSERT_EQUAL(stats.release_waits, 2);
	CU_ASSERT_EQUAL(stats.release_timeouts, 0);
	teardown();
}

/* One that draws into what it shows is not kept from it, whether that is shown yet or not. */
static void test_single(void)
{
	screen(1);
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_TRUE(draw(1));
		flip(0, 1);
		CU_ASSERT_TRUE(draw(1));
		gpu_finish();
		CU_ASSERT_TRUE(draw(1));
		presented(0, frame.seq);
	}
	CU_ASSERT_EQUAL(stats.release_waits, 0);
	teardown();
}

static void test_triple(void)
{
	uint64_t before = 0, now;

	screen(3);
	for (uint32_t i = 0; i < 9; i++) {
		CU_ASSERT_TRUE(draw(1 + i % 3));
		now = show(1 + i % 3);
		presented(0, frame.seq);
		if (before)
			released(before);
		before = now;
	}
	CU_ASSERT_EQUAL(stats.release_waits, 0);
	teardown();
}

/* The guest is a frame ahead: the one before its last is not even shown. */
static void test_ahead(void)
{
	uint64_t a, b;

	screen(2);
	a = show(1);
	CU_ASSERT_EQUAL(show(2), a); /* waits for 1 to be shown */
	CU_ASSERT_FALSE(draw(1));
	presented(0, frame.seq);
	b = frame.buffer;
	CU_ASSERT_NOT_EQUAL(a, b);
	CU_ASSERT_TRUE(turn());
	presented(0, frame.seq);
	released(a);
	CU_ASSERT_FALSE(turn());
	CU_ASSERT_EQUAL(gl.submits, 1);
	teardown();
}

/* … or not drawn: it will be sent when it is. */
static void test_not_drawn(void)
{
	uint64_t a;

	screen(2);
	flip(0, 1);
	flip(0, 2);
	CU_ASSERT_FALSE(draw(1));
	gpu_finish();
	CU_ASSERT_TRUE(turn());
	a = frame.buffer;
	presented(0, frame.seq);
	CU_ASSERT_NOT_EQUAL(frame.buffer, a);
	CU_ASSERT_TRUE(turn());
	presented(0, frame.seq);
	released(a);
	CU_ASSERT_FALSE(turn());
	teardown();
}

/* What is copied is free. */
static void test_read_back(void)
{
	screen(2);
	gl.can_export = false;
	show(1);
	CU_ASSERT_EQUAL(gl.read_backs, 1);
	CU_ASSERT_TRUE(draw(2));
	show(2);
	CU_ASSERT_TRUE(draw(1));
	presented(0, frame.seq);
	CU_ASSERT_EQUAL(gl.read_backs, 2);
	CU_ASSERT_TRUE(draw(2));
	CU_ASSERT_EQUAL(stats.release_waits, 0);
	teardown();
}

/* The flush of 2 comes to nothing: 1 stays on display, and nobody would ever let go of it. */
static void test_no_successor(void)
{
	screen(2);
	show(1);
	presented(0, frame.seq);
	flip(0, 2);
	IS(scanout(0, 1, 0, 0, 64, 64), OK);
	IS(unref(2), OK);
	CU_ASSERT_TRUE(draw(1));
	gpu_finish();
	CU_ASSERT_EQUAL(stats.release_waits, 0);
	teardown();
}

/* A slow display does not slow a fast one. */
static void test_rates(void)
{
	screen(3);
	dev->displays.display[1].refresh_mhz = 90000;
	show(1);
	presented(0, frame.seq);
	show(2);
	IS(scanout(1, 3, 0, 0, 64, 64), OK);
	CU_ASSERT_TRUE(draw(1));
	dev->displays.display[1].refresh_mhz = 75000;
	CU_ASSERT_FALSE(draw(1));
	teardown();
}

/* A release that was sent before the daemon saw the newest frame says nothing about that. */
static void test_crossing(void)
{
	struct bn_link_release early;
	uint64_t a;

	screen(2);
	a = show(1);
	presented(0, frame.seq);
	show(2);
	early = (struct bn_link_release){.buffer = a, .seq = frame.seq};
	presented(0, frame.seq);
	show(1); /* once more, as it is */
	CU_ASSERT_EQUAL(frame.buffer, a);
	bn_scanout_released(dev, &early);
	presented(0, frame.seq);
	show(2);
	CU_ASSERT_FALSE(draw(1));
	presented(0, frame.seq);
	CU_ASSERT_TRUE(turn());
	released(a);
	CU_ASSERT_FALSE(turn());
	teardown();
}

static void test_two_displays(void)
{
	uint64_t a;

	screen(2);
	IS(scanout(1, 1, 0, 0, 64, 64), OK);
	a = show(1);
	presented(0, frame.seq);
	presented(1, frame.seq);
	show(2);
	CU_ASSERT_TRUE(draw(1)); /* the guest shows it on the other one, and knows */
	flip(1, 2);
	gpu_finish();
	CU_ASSERT_FALSE(draw(1));
	presented(0, frame.seq);
	presented(1, frame.seq);
	CU_ASSERT_TRUE(turn());
	released(a); /* the last one let go */
	CU_ASSERT_FALSE(turn());
	teardown();
}

/* Until the display is off. */
static void test_off(void)
{
	uint64_t a;

	screen(2);
	a = show(1);
	presented(0, frame.seq);
	IS(scanout(0, 0, 0, 0, 0, 0), OK);
	CU_ASSERT_FALSE(draw(1));
	presented(0, frame.seq);
	released(a);
	CU_ASSERT_FALSE(turn());
	teardown();
}

/* What comes before in the stream is drawn. */
static void test_cut(void)
{
	uint64_t a;

	screen(3);
	a = show(1);
	presented(0, frame.seq);
	show(2);
	bn_virgl_init(&bn_walk_stream, bn_walk_words, BN_WALK_WORDS);
	put_draw(3);
	put_draw(1);
	put_draw(3);
	IS(submit_stream(5), 0);
	CU_ASSERT_EQUAL(gl.submits, 1);
	CU_ASSERT_TRUE(turn());
	presented(0, frame.seq);
	released(a);
	CU_ASSERT_FALSE(turn());
	CU_ASSERT_EQUAL(gl.submits, 2);
	CU_ASSERT_EQUAL(stats.submits, 1);
	teardown();
}

static uint32_t transfer_3d(uint32_t type, uint32_t res)
{
	struct virtio_gpu_transfer_host_3d c = {
		{.type = type}, .resource_id = res, .box = {.w = 64, .h = 64, .d = 1}};

	return SEND(c);
}

static void test_transfers(void)
{
	uint64_t a;

	screen(2);
	IS(attach(1, GUEST, 64 * 64 * 4, 1), OK);
	IS(transfer_3d(VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 1), OK);
	a = show(1);
	presented(0, frame.seq);
	show(2);
	IS(transfer_3d(VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, 1), OK);
	IS(transfer_3d(VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 1), 0);
	CU_ASSERT_EQUAL(gl.transfers, 2);
	CU_ASSERT_TRUE(turn());
	presented(0, frame.seq);
	released(a);
	CU_ASSERT_FALSE(turn());
	CU_ASSERT_EQUAL(gl.transfers, 3);
	CU_ASSERT_EQUAL(resp.type, OK);
	teardown();
}

/* ---- what does not come ---- */

/* Flips to the other one, which is sent, and draws into that which is on display. */
static bool draw_ahead(uint32_t i)
{
	show(1 + i % 2);
	CU_ASSERT_EQUAL(dev->scanout[0].nsent, 1);
	return draw(1 + (i + 1) % 2);
}

static void test_timeout(void)
{
	uint32_t i = 0;

	screen(2);
	show(2);
	presented(0, frame.seq);
	CU_ASSERT_FALSE(draw_ahead(i));
	CU_ASSERT_FALSE(bn_release_overdue(dev));
	CU_ASSERT_FALSE(turn());
	CU_ASSERT_EQUAL(gl.submits, 1);
	CU_ASSERT_EQUAL(stats.release_timeouts, 1);
	/* A display that never lets go costs little: it is asked rarely, and more rarely. */
	unsigned waited = 0;
	for (i = 1; i < 4096; i++) {
		presented(0, frame.seq);
		if (draw_ahead(i))
			continue;
		waited++;
		CU_ASSERT_FALSE(bn_release_overdue(dev));
		CU_ASSERT_FALSE(turn());
	}
	CU_ASSERT_TRUE(waited >= 4 && waited <= 8);
	CU_ASSERT_EQUAL(stats.release_timeouts, 1 + waited);
	/* One that is quick again is waited for as before. */
	for (; draw_ahead(i); i++)
		presented(0, frame.seq);
	presented(0, frame.seq);
	released(bn_resource_get(dev, 1 + (i + 1) % 2)->buffer_id);
	CU_ASSERT_FALSE(turn());
	CU_ASSERT_FALSE(draw_ahead(i + 1));
	teardown();
}

/* The GPU is not through with what is to be shown instead: that is not the display's fault. */
static void test_slow_gpu(void)
{
	uint64_t a;

	screen(2);
	a = show(1);
	presented(0, frame.seq);
	flip(0, 2);
	CU_ASSERT_FALSE(draw(1));
	for (unsigned i = 0; i < 5; i++)
		CU_ASSERT_TRUE(bn_release_overdue(dev));
	gpu_finish();
	CU_ASSERT_TRUE(bn_release_overdue(dev)); /* it has just gone there */
	presented(0, frame.seq);
	released(a);
	CU_ASSERT_FALSE(turn());
	CU_ASSERT_EQUAL(stats.release_timeouts, 0);
	/* Not without end. */
	CU_ASSERT_TRUE(draw(1));
	show(1);
	presented(0, frame.seq);
	unsigned looks = 0;
	flip(0, 2);
	CU_ASSERT_FALSE(draw(1));
	while (bn_release_overdue(dev))
		CU_ASSERT_TRUE_FATAL(++looks < 100);
	CU_ASSERT_FALSE(turn());
	CU_ASSERT_EQUAL(stats.release_timeouts, 1);
	teardown();
}

/* 1 is on display, 2 on its way, and something waits to be drawn into 1. */
static void parked(void)
{
	screen(2);
	show(1);
	presented(0, frame.seq);
	show(2);
	CU_ASSERT_FALSE(draw(1));
	CU_ASSERT_TRUE(waits());
}

static void test_reset(void)
{
	unsigned before;

	parked();
	before = answers;
	bn_device_reset(dev);
	CU_ASSERT_TRUE(answers > before);
	CU_ASSERT_FALSE(waits());
	CU_ASSERT_EQUAL(gl.submits, 0);
	gl.fences = 0;
	IS(ctx_create(1, 2), OK);
	IS(create_3d(1, 64, 64), OK);
	CU_ASSERT_TRUE(draw(1));
	teardown();
	parked();
	teardown(); /* sees that it is answered */
}

static void test_gone(void)
{
	parked();
	bn_resource_destroy(dev, bn_resource_get(dev, 1));
	CU_ASSERT_FALSE(turn());
	CU_ASSERT_EQUAL(gl.submits, 1);
	teardown();
	/* Its context is lost meanwhile: it is not drawn. */
	parked();
	bn_device_gate_listener.context_lost(dev, 1);
	bn_fences_ignore_displays(dev->fences, true);
	CU_ASSERT_FALSE(turn());
	CU_ASSERT_EQUAL(gl.submits, 0);
	CU_ASSERT_FALSE(bn_device_parked(dev));
	teardown();
}

/* The rings are to stop: nothing waits for displays. */
static void test_draining(void)
{
	parked();
	bn_fences_ignore_displays(dev->fences, true);
	CU_ASSERT_FALSE(turn());
	CU_ASSERT_EQUAL(gl.submits, 1);
	show(1);
	CU_ASSERT_TRUE(draw(2));
	CU_ASSERT_EQUAL(stats.release_waits, 1);
	teardown();
}

int main(void)
{
	const CU_TestInfo tests[] = {
		{"two buffers", test_two_buffers},
		{"one buffer", test_single},
		{"three buffers", test_triple},
		{"a frame ahead", test_ahead},
		{"two frames ahead", test_not_drawn},
		{"read back", test_read_back},
		{"no successor", test_no_successor},
		{"two rates", test_rates},
		{"releases that cross frames", test_crossing},
		{"two displays", test_two_displays},
		{"a display that is off", test_off},
		{"part of a stream", test_cut},
		{"transfers", test_transfers},
		{"time-out", test_timeout},
		{"slow GPU", test_slow_gpu},
		{"reset and end", test_reset},
		{"resource and context gone", test_gone},
		{"draining", test_draining},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("release", tests);
}
