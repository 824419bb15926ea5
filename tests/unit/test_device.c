/* What the device makes of commands, and how it comes back from its journal. */
#include <drm_fourcc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "common/fd.h"
#include "cursor.h"
#include "device_fixture.h"

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

/* The driver gives two: who asks for one more hears so, and the others go on. */
static void test_contexts_that_do_not_fit(void)
{
	struct virtio_gpu_cmd_submit c = {
		{.type = VIRTIO_GPU_CMD_SUBMIT_3D, .ctx_id = 1}, .size = 8};
	static const uint32_t create_sub_ctx[2] = {29 | 1u << 16, 7};

	setup(true);
	gl.contexts_max = 2;
	IS(ctx_create(1, 2), OK);
	IS(ctx_create(2, 2), OK);
	IS(ctx_create(3, 2), VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	CU_ASSERT_EQUAL(gl.contexts, 2);
	IS(submit(3, 0, 4), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	IS(send_parts(&c, sizeof(c), create_sub_ctx, 8, 24, false, false),
		VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	CU_ASSERT_EQUAL(gl.submits, 0);
	IS(submit(1, 0, 4), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER); /* half of it is missing */
	CU_ASSERT_EQUAL(stats.context_losses, 1);
	IS(submit(2, 0, 4), OK);
	IS(ctx_command(VIRTIO_GPU_CMD_CTX_DESTROY, 1, 0), OK);
	IS(ctx_create(3, 2), OK);
	IS(submit(3, 0, 4), OK);
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
		{"contexts", test_contexts},
		{"contexts that do not fit", test_contexts_that_do_not_fit},
		{"submit sizes", test_submit_sizes},
		{"open files left", test_fds_left},
		{"wide formats", test_wide_formats},
		{"backing lists", test_backing_total},
		{"restored", test_restore},
		{"restored from garbage", test_restore_hostile},
		{"cursor formats", test_cursor_formats},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("device", tests);
}
