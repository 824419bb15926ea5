/* 2D as a stock guest without GL uses it: pictures in scattered guest pages come out of the outputs
 * exactly. */
#include <stdlib.h>
#include <string.h>
#include <linux/virtio_config.h>

#include "harness.h"

#define W 320u
#define H 200u
#define W2 256u
#define H2 160u

static struct e2e e;

static const char config[] = "[output left]\nmode=320x200@60\n"
			     "[output right]\nmode=256x160@75\n"
			     "[output slow]\nmode=128x128@1\n"
			     "[vm plain]\nscanout.0=left\nscanout.1=right\nscanout.2=slow\ngl=no\n";

static void test_start(void)
{
	e2e_open(&e, config);
}

static void test_stop(void)
{
	e2e_close(&e);
}

static bool guest_open(struct tg_vm *vm)
{
	int err = tg_vm_open(vm, e2e_socket(&e, "plain"), NULL);
	CU_ASSERT_EQUAL(err, 0);
	if (err)
		tg_vm_close(vm);
	return !err;
}

/* A picture of its own on a scanout: resource `res` with pattern `seed`, shown. */
static void show(struct tg_vm *vm, struct tg_image *image, uint32_t res, uint32_t scanout,
	uint32_t w, uint32_t h, uint32_t seed, uint32_t *pixels)
{
	CU_ASSERT_EQUAL_FATAL(tg_image_init(image, vm, -1, w, h), 0);
	tg_pattern(pixels, w, h, seed);
	tg_image_write(image, pixels);
	E2E_OK(tg_image_resource(image, res));
	E2E_OK(tg_transfer_2d(vm, res, tg_rect(0, 0, w, h), 0));
	E2E_OK(tg_set_scanout(vm, scanout, res, tg_rect(0, 0, w, h)));
	E2E_OK(tg_finish(tg_flush_async(vm, res, tg_rect(0, 0, w, h)), NULL, 0));
}

static void test_features(void)
{
	struct tg_vm vm;
	struct virtio_gpu_config c;
	if (!guest_open(&vm))
		return;
	uint64_t offered = vm.front.offered;
	CU_ASSERT_TRUE((offered & (1ull << VIRTIO_F_VERSION_1)) != 0);
	CU_ASSERT_TRUE((offered & (1ull << VIRTIO_RING_F_INDIRECT_DESC)) != 0);
	CU_ASSERT_TRUE((offered & (1ull << VIRTIO_RING_F_EVENT_IDX)) != 0);
	CU_ASSERT_TRUE((offered & (1ull << VIRTIO_GPU_F_EDID)) != 0);
	CU_ASSERT_FALSE((offered & (1ull << VIRTIO_GPU_F_VIRGL)) != 0);
	CU_ASSERT_FALSE((offered & (1ull << VIRTIO_GPU_F_RESOURCE_BLOB)) != 0);
	CU_ASSERT_FALSE((offered & (1ull << VIRTIO_GPU_F_CONTEXT_INIT)) != 0);
	CU_ASSERT_EQUAL(tg_front_get_config(&vm.front, 0, &c, sizeof(c)), 0);
	CU_ASSERT_EQUAL(c.num_scanouts, 3);
	CU_ASSERT_EQUAL(c.num_capsets, 0);
	CU_ASSERT_EQUAL(c.events_read, 0);
	tg_vm_close(&vm);
}

static void test_display_info(void)
{
	struct tg_vm vm;
	struct virtio_gpu_resp_display_info info;
	static const uint32_t want[3][2] = {{W, H}, {W2, H2}, {128, 128}};
	if (!guest_open(&vm))
		return;
	E2E_ANSWER(tg_display_info(&vm, &info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	for (unsigned i = 0; i < VIRTIO_GPU_MAX_SCANOUTS; i++) {
		CU_ASSERT_EQUAL(info.pmodes[i].enabled, i < 3);
		if (i >= 3)
			continue;
		CU_ASSERT_EQUAL(info.pmodes[i].r.width, want[i][0]);
		CU_ASSERT_EQUAL(info.pmodes[i].r.height, want[i][1]);
	}
	tg_vm_close(&vm);
}

/* The preferred detailed timing of an EDID: what a driver takes for the mode. */
static void check_edid(const uint8_t *edid, uint32_t size, uint32_t w, uint32_t h, double hz)
{
	static const uint8_t magic[8] = {0, 255, 255, 255, 255, 255, 255, 0};
	CU_ASSERT_TRUE_FATAL(size == 128 || size == 256);
	CU_ASSERT_EQUAL(memcmp(edid, magic, 8), 0);
	for (uint32_t block = 0; block < size; block += 128) {
		uint8_t sum = 0;
		for (uint32_t i = 0; i < 128; i++)
			sum = (uint8_t)(sum + edid[block + i]);
		CU_ASSERT_EQUAL(sum, 0);
	}
	CU_ASSERT_EQUAL(edid[126], size / 128 - 1);
	const uint8_t *d = edid + 54;
	uint32_t hactive = d[2] | (d[4] & 0xf0u) << 4, vactive = d[5] | (d[7] & 0xf0u) << 4;
	uint32_t hblank = d[3] | (d[4] & 0xfu) << 8, vblank = d[6] | (d[7] & 0xfu) << 8;
	double clock = (d[0] | d[1] << 8) * 10000.0;
	double rate = clock / ((hactive + hblank) * (double)(vactive + vblank));
	CU_ASSERT_EQUAL(hactive, w);
	CU_ASSERT_EQUAL(vactive, h);
	CU_ASSERT_DOUBLE_EQUAL(rate, hz, hz / 100);
}

static void test_edid(void)
{
	struct tg_vm vm;
	struct virtio_gpu_resp_edid answer;
	if (!guest_open(&vm))
		return;
	E2E_ANSWER(tg_edid(&vm, 0, &answer), VIRTIO_GPU_RESP_OK_EDID);
	check_edid(answer.edid, answer.size, W, H, 60);
	E2E_ANSWER(tg_edid(&vm, 1, &answer), VIRTIO_GPU_RESP_OK_EDID);
	check_edid(answer.edid, answer.size, W2, H2, 75);
	CU_ASSERT_TRUE(tg_edid(&vm, 3, &answer) >= VIRTIO_GPU_RESP_ERR_UNSPEC);
	CU_ASSERT_TRUE(tg_edid(&vm, 0xffffffff, &answer) >= VIRTIO_GPU_RESP_ERR_UNSPEC);
	tg_vm_close(&vm);
}

static void test_frame(void)
{
	struct tg_vm vm;
	struct tg_image image;
	static uint32_t pixels[W * H];
	if (!guest_open(&vm))
		return;
	show(&vm, &image, 7, 0, W, H, 1, pixels);
	CU_ASSERT_EQUAL(e2e_differences(&e, "left", pixels, 0, 0, W, H), 0);
	/* What is not transferred does not show, what is not flushed may wait, what is both does.
	 */
	tg_pattern(pixels, W, H, 2);
	tg_image_write(&image, pixels);
	E2E_OK(tg_transfer_2d(&vm, 7, tg_rect(0, 0, W, H), 0));
	E2E_OK(tg_flush(&vm, 7, tg_rect(0, 0, W, H)));
	E2E_OK(tg_finish(tg_flush_async(&vm, 7, tg_rect(0, 0, W, H)), NULL, 0));
	CU_ASSERT_EQUAL(e2e_differences(&e, "left", pixels, 0, 0, W, H), 0);
	E2E_OK(tg_detach(&vm, 7));
	E2E_OK(tg_unref(&vm, 7));
	tg_image_finish(&image);
	tg_vm_close(&vm);
}

static void test_partial(void)
{
	struct tg_vm vm;
	struct tg_image image;
	static uint32_t pixels[W * H], other[W * H];
	if (!guest_open(&vm))
		return;
	show(&vm, &image, 1, 0, W, H, 3, pixels);
	tg_pattern(other, W, H, 4);
	tg_image_write(&image, other);
	static const struct virtio_gpu_rect parts[] = {
		{13, 17, 101, 57}, {0, 199, 320, 1}, {319, 0, 1, 200}, {300, 100, 20, 1}};
	for (unsigned i = 0; i < 4; i++) {
		struct virtio_gpu_rect r = parts[i];
		uint64_t offset = r.y * image.stride + r.x * 4;
		E2E_OK(tg_transfer_2d(&vm, 1, r, offset));
		E2E_OK(tg_finish(tg_flush_async(&vm, 1, r), NULL, 0));
		for (uint32_t y = r.y; y < r.y + r.height; y++)
			memcpy(&pixels[y * W + r.x], &other[y * W + r.x], r.width * 4);
		CU_ASSERT_EQUAL(e2e_differences(&e, "left", pixels, 0, 0, W, H), 0);
	}
	tg_image_finish(&image);
	tg_vm_close(&vm);
}

/* A scanout may be a part of a bigger resource (two displays on one framebuffer). */
static void test_crop(void)
{
	struct tg_vm vm;
	struct tg_image image;
	static uint32_t pixels[600 * 400], want[W * H], want2[W2 * H2];
	if (!guest_open(&vm))
		return;
	show(&vm, &image, 1, 0, 600, 400, 5, pixels);
	E2E_OK(tg_set_scanout(&vm, 0, 1, tg_rect(37, 21, W, H)));
	E2E_OK(tg_set_scanout(&vm, 1, 1, tg_rect(344, 240, W2, H2)));
	E2E_OK(tg_finish(tg_flush_async(&vm, 1, tg_rect(0, 0, 600, 400)), NULL, 0));
	for (uint32_t y = 0; y < H; y++)
		memcpy(&want[y * W], &pixels[(y + 21) * 600 + 37], W * 4);
	for (uint32_t y = 0; y < H2; y++)
		memcpy(&want2[y * W2], &pixels[(y + 240) * 600 + 344], W2 * 4);
	CU_ASSERT_EQUAL(e2e_differences(&e, "left", want, 0, 0, W, H), 0);
	CU_ASSERT_EQUAL(e2e_differences(&e, "right", want2, 0, 0, W2, H2), 0);
	tg_image_finish(&image);
	tg_vm_close(&vm);
}

static void wait_black(const char *output, uint32_t w, uint32_t h)
{
	uint32_t *black = calloc(w * h, 4);
	uint32_t left = w * h;
	for (unsigned i = 0; i < 200 && left; i++) {
		uint32_t sw, sh, *shot = e2e_screenshot(&e, output, &sw, &sh);
		left = shot && sw == w && sh == h ? 0 : w * h;
		for (uint32_t k = 0; !left && k < w * h; k++)
			left += shot[k] != 0;
		free(shot);
		if (left)
			e2e_sleep_ms(10);
	}
	CU_ASSERT_EQUAL(left, 0);
	free(black);
}

static void test_scanouts(void)
{
	struct tg_vm vm;
	struct tg_image a, b;
	static uint32_t one[W * H], two[W2 * H2];
	if (!guest_open(&vm))
		return;
	show(&vm, &a, 1, 0, W, H, 6, one);
	show(&vm, &b, 2, 1, W2, H2, 7, two);
	CU_ASSERT_EQUAL(e2e_differences(&e, "left", one, 0, 0, W, H), 0);
	CU_ASSERT_EQUAL(e2e_differences(&e, "right", two, 0, 0, W2, H2), 0);
	E2E_OK(tg_set_scanout(&vm, 1, 0, tg_rect(0, 0, 0, 0)));
	wait_black("right", W2, H2);
	CU_ASSERT_EQUAL(e2e_differences(&e, "left", one, 0, 0, W, H), 0);
	/* A resource that goes takes its scanout with it. */
	E2E_OK(tg_unref(&vm, 1));
	wait_black("left", W, H);
	tg_image_finish(&a);
	tg_image_finish(&b);
	tg_vm_close(&vm);
}

static const struct {
	uint32_t format;
	unsigned r, g, b; /* byte of each in memory */
} formats[] = {
	{VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 2, 1, 0},
	{VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 2, 1, 0},
	{VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, 1, 2, 3},
	{VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, 1, 2, 3},
	{VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, 0, 1, 2},
	{VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM, 3, 2, 1},
	{VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, 3, 2, 1},
	{VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, 0, 1, 2},
};

static void test_formats(void)
{
	struct tg_vm vm;
	struct tg_image image;
	static uint32_t pixels[W2 * H2], stored[W2 * H2];
	if (!guest_open(&vm))
		return;
	CU_ASSERT_EQUAL_FATAL(tg_image_init(&image, &vm, -1, W2, H2), 0);
	for (unsigned i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		tg_pattern(pixels, W2, H2, 100 + i);
		for (uint32_t k = 0; k < W2 * H2; k++) {
			uint8_t bytes[4] = {255, 255, 255, 255};
			bytes[formats[i].r] = (uint8_t)(pixels[k] >> 16);
			bytes[formats[i].g] = (uint8_t)(pixels[k] >> 8);
			bytes[formats[i].b] = (uint8_t)pixels[k];
			memcpy(&stored[k], bytes, 4);
		}
		tg_image_write(&image, stored);
		E2E_OK(tg_create_2d(&vm, 9, formats[i].format, W2, H2));
		E2E_OK(tg_attach(&vm, 9, image.entries, image.pages));
		E2E_OK(tg_transfer_2d(&vm, 9, tg_rect(0, 0, W2, H2), 0));
		E2E_OK(tg_set_scanout(&vm, 1, 9, tg_rect(0, 0, W2, H2)));
		E2E_OK(tg_finish(tg_flush_async(&vm, 9, tg_rect(0, 0, W2, H2)), NULL, 0));
		CU_ASSERT_EQUAL(e2e_differences(&e, "right", pixels, 0, 0, W2, H2), 0);
		E2E_OK(tg_unref(&vm, 9));
	}
	tg_image_finish(&image);
	tg_vm_close(&vm);
}

/* Draws the cursor into what is expected, its top left corner at x, y: where Linux' driver puts it
 * (the plane's crtc_x and crtc_y). */
static void draw_cursor(uint32_t *pixels, const uint32_t *cursor, int x, int y)
{
	for (int j = 0; j < 64; j++) {
		for (int i = 0; i < 64; i++) {
			int px = x + i, py = y + j;
			if (px < 0 || py < 0 || px >= (int)W || py >= (int)H)
				continue;
			if (cursor[j * 64 + i] >> 24 == 255)
				pixels[py * (int)W + px] = cursor[j * 64 + i];
		}
	}
}

static void wait_shown(const uint32_t *want)
{
	uint32_t w, h, left = 1;
	for (unsigned i = 0; i < 100 && left; i++) {
		uint32_t *shot = e2e_screenshot(&e, "left", &w, &h);
		left = shot && w == W && h == H ? 0 : 1;
		for (uint32_t k = 0; !left && k < W * H; k++)
			left = shot[k] != (want[k] & 0xffffffu);
		free(shot);
		if (left)
			e2e_sleep_ms(20);
	}
	CU_ASSERT_EQUAL(e2e_differences(&e, "left", want, 0, 0, W, H), 0);
}

static void test_cursor(void)
{
	struct tg_vm vm;
	struct tg_image image, arrow;
	static uint32_t pixels[W * H], want[W * H], cursor[64 * 64];
	if (!guest_open(&vm))
		return;
	show(&vm, &image, 1, 0, W, H, 8, pixels);
	tg_pattern(cursor, 64, 64, 9);
	for (uint32_t i = 0; i < 64 * 64; i++)
		cursor[i] = i % 64 > i / 64 ? 0 : cursor[i]; /* a triangle, transparent elsewhere */
	CU_ASSERT_EQUAL_FATAL(tg_image_init(&arrow, &vm, -1, 64, 64), 0);
	tg_image_write(&arrow, cursor);
	E2E_OK(tg_create_2d(&vm, 2, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 64, 64));
	E2E_OK(tg_attach(&vm, 2, arrow.entries, arrow.pages));
	E2E_OK(tg_transfer_2d(&vm, 2, tg_rect(0, 0, 64, 64), 0));
	static const int places[][2] = {{50, 60}, {0, 0}, {W - 20, H - 10}};
	for (unsigned i = 0; i < 3; i++) {
		E2E_OK(i == 0 ? tg_cursor_update(&vm, 0, 50, 60, 2, 5, 7)
			      : tg_cursor_move(
					&vm, 0, (uint32_t)places[i][0], (uint32_t)places[i][1]));
		memcpy(want, pixels, sizeof(want));
		draw_cursor(want, cursor, places[i][0], places[i][1]);
		wait_shown(want);
	}
	E2E_OK(tg_cursor_update(&vm, 0, 10, 10, 0, 0, 0));
	wait_shown(pixels);
	tg_image_finish(&arrow);
	tg_image_finish(&image);
	tg_vm_close(&vm);
}

/* The cursor has a pace of its own: an output that refreshes once a second holds a flush, and the
 * cursor is answered meanwhile. */
static void test_cursor_pace(void)
{
	struct tg_vm vm;
	struct tg_image image;
	static uint32_t pixels[128 * 128];
	if (!guest_open(&vm))
		return;
	show(&vm, &image, 1, 2, 128, 128, 10, pixels);
	struct tg_request *flush = tg_flush_async(&vm, 1, tg_rect(0, 0, 128, 128));
	uint64_t start = tg_now_ns();
	for (uint32_t i = 0; i < 20; i++)
		E2E_OK(tg_cursor_move(&vm, 2, i, i));
	/* The flush before was answered at a vblank, so this one takes a whole period; a machine
	 * that was too slow to tell proves nothing. */
	if (tg_now_ns() - start < 500000000ull)
		CU_ASSERT_FALSE(tg_done(flush));
	E2E_OK(tg_finish(flush, NULL, 0));
	tg_image_finish(&image);
	tg_vm_close(&vm);
}

static void control_ok(const char *request)
{
	struct json_object *ok, *answer = e2e_control(&e, request, NULL);
	CU_ASSERT_TRUE(answer && json_object_object_get_ex(answer, "ok", &ok) &&
		       json_object_get_boolean(ok));
	json_object_put(answer);
}

/* A display that changes at run time: the guest is told, asks again and shows a frame of the new
 * size. */
static void test_mode_change(void)
{
	struct tg_vm vm;
	struct tg_image image;
	struct virtio_gpu_resp_display_info info;
	struct virtio_gpu_resp_edid edid;
	struct virtio_gpu_config c;
	static uint32_t pixels[400 * 300];
	if (!guest_open(&vm))
		return;
	control_ok("{\"command\":\"output\",\"output\":\"left\",\"mode\":\"400x300@50\"}");
	CU_ASSERT_EQUAL(tg_front_backend_request(&vm.front, TG_DEADLINE_S * 1000),
		BN_VU_BACKEND_CONFIG_CHANGE);
	CU_ASSERT_EQUAL(tg_front_get_config(&vm.front, 0, &c, sizeof(c)), 0);
	CU_ASSERT_EQUAL(c.events_read, VIRTIO_GPU_EVENT_DISPLAY);
	uint32_t clear = VIRTIO_GPU_EVENT_DISPLAY;
	CU_ASSERT_EQUAL(tg_front_set_config(&vm.front, 4, &clear, 4), 0);
	CU_ASSERT_EQUAL(tg_front_get_config(&vm.front, 0, &c, sizeof(c)), 0);
	CU_ASSERT_EQUAL(c.events_read, 0);
	E2E_ANSWER(tg_display_info(&vm, &info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	CU_ASSERT_EQUAL(info.pmodes[0].r.width, 400);
	CU_ASSERT_EQUAL(info.pmodes[0].r.height, 300);
	E2E_ANSWER(tg_edid(&vm, 0, &edid), VIRTIO_GPU_RESP_OK_EDID);
	check_edid(edid.edid, edid.size, 400, 300, 50);
	show(&vm, &image, 1, 0, 400, 300, 11, pixels);
	CU_ASSERT_EQUAL(e2e_differences(&e, "left", pixels, 0, 0, 400, 300), 0);
	control_ok("{\"command\":\"output\",\"output\":\"right\",\"enabled\":false}");
	CU_ASSERT_EQUAL(tg_front_backend_request(&vm.front, TG_DEADLINE_S * 1000),
		BN_VU_BACKEND_CONFIG_CHANGE);
	E2E_ANSWER(tg_display_info(&vm, &info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	CU_ASSERT_EQUAL(info.pmodes[1].enabled, 0);
	CU_ASSERT_EQUAL(info.pmodes[0].enabled, 1);
	control_ok("{\"command\":\"output\",\"output\":\"right\",\"enabled\":true}");
	control_ok("{\"command\":\"output\",\"output\":\"left\",\"mode\":\"320x200@60\"}");
	tg_image_finish(&image);
	tg_vm_close(&vm);
}

static void test_uuid(void)
{
	struct tg_vm vm;
	uint8_t a[16], b[16], again[16];
	if (!guest_open(&vm))
		return;
	if (vm.front.features & (1ull << VIRTIO_GPU_F_RESOURCE_UUID)) {
		E2E_OK(tg_create_2d(&vm, 1, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 16, 16));
		E2E_OK(tg_create_2d(&vm, 2, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 16, 16));
		E2E_ANSWER(tg_assign_uuid(&vm, 1, a), VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
		E2E_ANSWER(tg_assign_uuid(&vm, 2, b), VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
		E2E_ANSWER(tg_assign_uuid(&vm, 1, again), VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
		CU_ASSERT_NOT_EQUAL(memcmp(a, b, 16), 0);
		CU_ASSERT_EQUAL(memcmp(a, again, 16), 0);
		E2E_ANSWER(tg_assign_uuid(&vm, 3, a), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	}
	tg_vm_close(&vm);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"service starts", test_start},
		{"features and configuration", test_features},
		{"display info matches the outputs", test_display_info},
		{"EDID matches the outputs", test_edid},
		{"frame from scattered pages", test_frame},
		{"sub-rectangles", test_partial},
		{"scanouts that are parts of a resource", test_crop},
		{"several scanouts, off and gone", test_scanouts},
		{"all pixel formats", test_formats},
		{"cursor in the picture", test_cursor},
		{"cursor while a flush is pending", test_cursor_pace},
		{"display changes at run time", test_mode_change},
		{"resource UUIDs", test_uuid},
		{"service stops", test_stop},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("2d", tests);
}
