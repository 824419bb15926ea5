/* What the device shows: frames, their buffers, and the answers that wait for them. */
#include <drm_fourcc.h>

#include "device_fixture.h"

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
	released(ids[1]);
	CU_ASSERT_EQUAL(frames, 4);
	CU_ASSERT_EQUAL(frame.buffer, ids[1]);
	CU_ASSERT_EQUAL(answers, before);
	/* The next one waits until this one was shown. */
	released(ids[2]);
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
	released(ids[2]);
	uint64_t bytes = stats.copy_bytes_out;
	IS(flush(1, 64, 8), 0);
	gpu_finish();
	CU_ASSERT_EQUAL(stats.copy_bytes_out - bytes, 64 * 8 * 4);
	presented(0, frame.seq);
	/* Another resource: all of it, and its picture is shown although the guest has gone on. */
	released(ids[0]);
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
	released(first);
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

int main(void)
{
	const CU_TestInfo tests[] = {
		{"2D scanout", test_scanout_2d},
		{"many buffers", test_many_buffers},
		{"GL scanout, exported", test_scanout_export},
		{"GL scanout, read back", test_scanout_read_back},
		{"sizes of read-back", test_read_back_sizes},
		{"memory for read-back", test_read_back_memory},
		{"flushes out of order", test_flush_order},
		{"resource gone while drawn", test_unref_in_flight},
		{"reset", test_reset},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("device scanouts", tests);
}
