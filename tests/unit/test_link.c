#include "protocol/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

/* The payload goes through a heap copy of exactly its size, one byte off any alignment:
 * AddressSanitizer and UBSan see a check that reads too far or assumes alignment. */
static int check(uint32_t type, const void *payload, size_t size, size_t nfds, bool from_renderer)
{
	struct bn_link_header header = {.type = type, .size = size};
	/* Sizes that no payload has are checked without a payload. */
	bool real = size < SIZE_MAX / 2;
	uint8_t *copy = malloc(real ? size + 1 : 1);
	int err;

	CU_ASSERT_FATAL(copy != NULL);
	if (real && size > 0)
		memcpy(copy + 1, payload, size);
	err = bn_link_check(&header, copy + 1, size, nfds, from_renderer);
	free(copy);
	return err;
}

#define TO_RENDERER(type, m, nfds) check(type, &(m), sizeof(m), nfds, false)
#define TO_DAEMON(type, m, nfds) check(type, &(m), sizeof(m), nfds, true)

#define REFUSES(call) CU_ASSERT_EQUAL(call, -EPROTO)
#define ACCEPTS(call) CU_ASSERT_EQUAL(call, 0)

static const struct bn_link_hello hello = {
	.version = BN_LINK_VERSION,
	.gpu = BN_LINK_GPU_SURFACELESS,
	.num_scanouts = 1,
	.journal_size = 4096,
	.vm = "cluster",
};
static const struct bn_link_buffer memfd = {
	.id = 1,
	.kind = BN_LINK_BUFFER_MEMFD,
	.width = 1280,
	.height = 480,
	.planes = 1,
	.stride = {5120},
};
static const struct bn_link_frame frame = {
	.seq = 1,
	.buffer = 1,
	.src_width = 1280,
	.src_height = 480,
	.damage_width = 1280,
	.damage_height = 480,
};
static const struct bn_link_vring vring = {.index = 1, .num = 256, .base = 65535};

/* One legal message of each type. */
static const struct {
	uint32_t type;
	size_t size, fds;
	bool from_renderer;
	const void *payload; /* NULL: zeroes */
} legal[] = {
	{BN_LINK_HELLO, sizeof(struct bn_link_hello), BN_LINK_HELLO_FDS, false, &hello},
	{BN_LINK_DISPLAYS, sizeof(struct bn_link_displays), 0, false, NULL},
	{BN_LINK_FEATURES, 8, 0, false, NULL},
	{BN_LINK_MEM_ADD, 32, 1, false, &(struct bn_link_region){.size = 1}},
	{BN_LINK_MEM_REMOVE, 32, 0, false, &(struct bn_link_region){.size = 1}},
	{BN_LINK_MEM_CLEAR, 0, 0, false, NULL},
	{BN_LINK_VRING_START, sizeof(struct bn_link_vring), 1, false, &vring},
	{BN_LINK_VRING_CALL, 8, 1, false, NULL},
	{BN_LINK_VRING_STOP, 8, 0, false, NULL},
	{BN_LINK_PRESENTED, sizeof(struct bn_link_presented), 0, false, NULL},
	{BN_LINK_RELEASE, 8, 0, false, &(struct bn_link_u64){1}},
	{BN_LINK_READY, sizeof(struct bn_link_ready), 0, true, NULL},
	{BN_LINK_ACK, sizeof(struct bn_link_ack), 0, true, NULL},
	{BN_LINK_BUFFER_NEW, sizeof(struct bn_link_buffer), 1, true, &memfd},
	{BN_LINK_BUFFER_GONE, 8, 0, true, &(struct bn_link_u64){1}},
	{BN_LINK_FRAME, sizeof(struct bn_link_frame), 0, true, &frame},
	{BN_LINK_CURSOR_IMAGE, sizeof(struct bn_link_cursor_image), 0, true, NULL},
	{BN_LINK_CURSOR_MOVE, sizeof(struct bn_link_cursor_move), 0, true, NULL},
	{BN_LINK_FAULT, sizeof(struct bn_link_fault), 0, true, NULL},
};

static void test_envelope(void)
{
	static uint8_t bytes[BN_LINK_PAYLOAD_MAX + 1];

	for (size_t i = 0; i < sizeof(legal) / sizeof(legal[0]); i++) {
		uint32_t type = legal[i].type;
		size_t size = legal[i].size, fds = legal[i].fds;
		bool from = legal[i].from_renderer;
		struct bn_link_header lies = {.type = type, .size = size + 1};

		memset(bytes, 0, sizeof(bytes));
		if (legal[i].payload)
			memcpy(bytes, legal[i].payload, size);
		ACCEPTS(check(type, bytes, size, fds, from));
		REFUSES(check(type, bytes, size, fds, !from));
		REFUSES(check(type, bytes, size + 1, fds, from));
		if (size > 0)
			REFUSES(check(type, bytes, size - 1, fds, from));
		REFUSES(check(type, bytes, size, fds + 1, from));
		REFUSES(check(type, bytes, size, SIZE_MAX, from));
		REFUSES(bn_link_check(&lies, bytes, size, fds, from));
		CU_ASSERT_STRING_NOT_EQUAL(bn_link_name(type), "?");
	}
}

static void test_unknown_types(void)
{
	static const uint32_t types[] = {0, 12, 13, 63, 72, 73, 1000, UINT32_MAX};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		REFUSES(check(types[i], NULL, 0, 0, false));
		REFUSES(check(types[i], NULL, 0, 0, true));
		CU_ASSERT_STRING_EQUAL(bn_link_name(types[i]), "?");
	}
	CU_ASSERT_STRING_EQUAL(bn_link_name(BN_LINK_FRAME), "FRAME");
}

static void test_hello(void)
{
	struct bn_link_hello m = hello;

	m.gpu = BN_LINK_GPU_RENDER_NODE;
	ACCEPTS(TO_RENDERER(BN_LINK_HELLO, m, BN_LINK_HELLO_FDS + 1));
	REFUSES(TO_RENDERER(BN_LINK_HELLO, m, BN_LINK_HELLO_FDS));
	m.gpu = 3;
	REFUSES(TO_RENDERER(BN_LINK_HELLO, m, BN_LINK_HELLO_FDS));
	m = hello;
	m.version++;
	REFUSES(TO_RENDERER(BN_LINK_HELLO, m, BN_LINK_HELLO_FDS));
	m = hello;
	m.priority = BN_LINK_PRIORITY_HIGH + 1;
	REFUSES(TO_RENDERER(BN_LINK_HELLO, m, BN_LINK_HELLO_FDS));
	m = hello;
	m.num_scanouts = 0;
	REFUSES(TO_RENDERER(BN_LINK_HELLO, m, BN_LINK_HELLO_FDS));
	m.num_scanouts = 16;
	ACCEPTS(TO_RENDERER(BN_LINK_HELLO, m, BN_LINK_HELLO_FDS));
	m.num_scanouts = 17;
	REFUSES(TO_RENDERER(BN_LINK_HELLO, m, BN_LINK_HELLO_FDS));
	m = hello;
	m.journal_size = 0;
	REFUSES(TO_RENDERER(BN_LINK_HELLO, m, BN_LINK_HELLO_FDS));
	m = hello;
	memset(m.vm, 'x', sizeof(m.vm));
	REFUSES(TO_RENDERER(BN_LINK_HELLO, m, BN_LINK_HELLO_FDS));
}

static void test_displays(void)
{
	struct bn_link_displays m = {.display[15] = {1, 1280, 480, 60000, 0, 0, "Cluster"}};
	struct bn_link_display *d = &m.display[15];

	ACCEPTS(TO_RENDERER(BN_LINK_DISPLAYS, m, 0));
	d->enabled = 2;
	REFUSES(TO_RENDERER(BN_LINK_DISPLAYS, m, 0));
	d->enabled = 1;
	d->width = 8193;
	REFUSES(TO_RENDERER(BN_LINK_DISPLAYS, m, 0));
	d->width = 0;
	REFUSES(TO_RENDERER(BN_LINK_DISPLAYS, m, 0));
	d->width = 8192;
	d->refresh_mhz = 999;
	REFUSES(TO_RENDERER(BN_LINK_DISPLAYS, m, 0));
	d->refresh_mhz = 1000000;
	ACCEPTS(TO_RENDERER(BN_LINK_DISPLAYS, m, 0));
	memset(d->name, 'x', sizeof(d->name));
	REFUSES(TO_RENDERER(BN_LINK_DISPLAYS, m, 0));
}

static void test_regions_and_rings(void)
{
	struct bn_link_region r = {.guest_addr = UINT64_MAX - 4096, .size = 4096};
	struct bn_link_vring v = vring;
	struct bn_link_u64 u = {BN_LINK_QUEUES};

	ACCEPTS(TO_RENDERER(BN_LINK_MEM_ADD, r, 1));
	r.guest_addr++;
	REFUSES(TO_RENDERER(BN_LINK_MEM_ADD, r, 1));
	REFUSES(TO_RENDERER(BN_LINK_MEM_REMOVE, r, 0));
	r = (struct bn_link_region){.size = 4096, .user_addr = UINT64_MAX};
	REFUSES(TO_RENDERER(BN_LINK_MEM_ADD, r, 1));
	r = (struct bn_link_region){.size = UINT64_MAX, .mmap_offset = 1};
	REFUSES(TO_RENDERER(BN_LINK_MEM_ADD, r, 1));
	r = (struct bn_link_region){.size = 0};
	REFUSES(TO_RENDERER(BN_LINK_MEM_ADD, r, 1));
	v.num = 1024;
	ACCEPTS(TO_RENDERER(BN_LINK_VRING_START, v, 1));
	v.num = 2048;
	REFUSES(TO_RENDERER(BN_LINK_VRING_START, v, 1));
	v.num = 0;
	REFUSES(TO_RENDERER(BN_LINK_VRING_START, v, 1));
	v.num = 3;
	REFUSES(TO_RENDERER(BN_LINK_VRING_START, v, 1));
	v = vring;
	v.index = 2;
	REFUSES(TO_RENDERER(BN_LINK_VRING_START, v, 1));
	v = vring;
	v.base = 65536;
	REFUSES(TO_RENDERER(BN_LINK_VRING_START, v, 1));
	v = vring;
	v.restore = 2;
	REFUSES(TO_RENDERER(BN_LINK_VRING_START, v, 1));
	v = vring;
	v.fresh = 2;
	REFUSES(TO_RENDERER(BN_LINK_VRING_START, v, 1));
	REFUSES(TO_RENDERER(BN_LINK_VRING_CALL, u, 1));
	REFUSES(TO_RENDERER(BN_LINK_VRING_STOP, u, 0));
	u.value = 1;
	ACCEPTS(TO_RENDERER(BN_LINK_VRING_CALL, u, 0));
	u.value = 1ull << 32;
	REFUSES(TO_RENDERER(BN_LINK_VRING_STOP, u, 0));
}

static void test_presented_and_ids(void)
{
	struct bn_link_presented p = {.scanout = 16};
	struct bn_link_u64 u = {0};

	REFUSES(TO_RENDERER(BN_LINK_PRESENTED, p, 0));
	REFUSES(TO_RENDERER(BN_LINK_RELEASE, u, 0));
	REFUSES(TO_DAEMON(BN_LINK_BUFFER_GONE, u, 0));
}

static void test_ready_and_ack(void)
{
	struct bn_link_ready m = {.num_capsets = 2, .capset = {{1, 1, 308, 0}, {2, 2, 1408, 0}}};
	struct bn_link_ack a = {.error = -EINVAL, .value = 65535};

	ACCEPTS(TO_DAEMON(BN_LINK_READY, m, 0));
	m.capset[1].id = 0;
	REFUSES(TO_DAEMON(BN_LINK_READY, m, 0));
	m.capset[1].id = 64;
	REFUSES(TO_DAEMON(BN_LINK_READY, m, 0));
	m.capset[1].id = 2;
	m.num_capsets = 9;
	REFUSES(TO_DAEMON(BN_LINK_READY, m, 0));
	m.num_capsets = UINT32_MAX;
	REFUSES(TO_DAEMON(BN_LINK_READY, m, 0));
	m.num_capsets = 0;
	m.sandbox = 8;
	REFUSES(TO_DAEMON(BN_LINK_READY, m, 0));
	m.sandbox = 7;
	m.software = 2;
	REFUSES(TO_DAEMON(BN_LINK_READY, m, 0));
	m.software = 1;
	m.timestamps = UINT32_MAX;
	REFUSES(TO_DAEMON(BN_LINK_READY, m, 0));
	m.timestamps = 1;
	memset(m.gl_renderer, 'x', sizeof(m.gl_renderer));
	REFUSES(TO_DAEMON(BN_LINK_READY, m, 0));
	m.gl_renderer[BN_LINK_TEXT - 1] = '\0';
	ACCEPTS(TO_DAEMON(BN_LINK_READY, m, 0));
	memset(m.gl_version, 'x', sizeof(m.gl_version));
	REFUSES(TO_DAEMON(BN_LINK_READY, m, 0));
	ACCEPTS(TO_DAEMON(BN_LINK_ACK, a, 0));
	a.value = 65536;
	REFUSES(TO_DAEMON(BN_LINK_ACK, a, 0));
	a = (struct bn_link_ack){.error = 1};
	REFUSES(TO_DAEMON(BN_LINK_ACK, a, 0));
	a.error = INT32_MIN;
	REFUSES(TO_DAEMON(BN_LINK_ACK, a, 0));
}

static void test_buffers(void)
{
	struct bn_link_buffer m = memfd;

	m.id = 0;
	REFUSES(TO_DAEMON(BN_LINK_BUFFER_NEW, m, 1));
	m = memfd;
	m.planes = 2;
	m.stride[1] = 4;
	REFUSES(TO_DAEMON(BN_LINK_BUFFER_NEW, m, 2));
	m.kind = BN_LINK_BUFFER_DMABUF;
	ACCEPTS(TO_DAEMON(BN_LINK_BUFFER_NEW, m, 2));
	REFUSES(TO_DAEMON(BN_LINK_BUFFER_NEW, m, 1));
	m.stride[1] = 0;
	REFUSES(TO_DAEMON(BN_LINK_BUFFER_NEW, m, 2));
	m.planes = 0;
	REFUSES(TO_DAEMON(BN_LINK_BUFFER_NEW, m, 0));
	m.planes = 5;
	REFUSES(TO_DAEMON(BN_LINK_BUFFER_NEW, m, 4));
	m.planes = UINT32_MAX;
	REFUSES(TO_DAEMON(BN_LINK_BUFFER_NEW, m, 4));
	m = memfd;
	m.kind = 2;
	REFUSES(TO_DAEMON(BN_LINK_BUFFER_NEW, m, 1));
	m = memfd;
	m.width = 0;
	REFUSES(TO_DAEMON(BN_LINK_BUFFER_NEW, m, 1));
	m = memfd;
	m.height = 8193;
	REFUSES(TO_DAEMON(BN_LINK_BUFFER_NEW, m, 1));
	m = memfd;
	m.y_invert = 2;
	REFUSES(TO_DAEMON(BN_LINK_BUFFER_NEW, m, 1));
}

static void test_frames(void)
{
	struct bn_link_frame m = frame;

	m.seq = 0;
	REFUSES(TO_DAEMON(BN_LINK_FRAME, m, 0));
	m = frame;
	m.scanout = 16;
	REFUSES(TO_DAEMON(BN_LINK_FRAME, m, 0));
	m = frame;
	m.src_x = 8192 - 1280;
	ACCEPTS(TO_DAEMON(BN_LINK_FRAME, m, 0));
	m.src_x++;
	REFUSES(TO_DAEMON(BN_LINK_FRAME, m, 0));
	m.src_x = UINT32_MAX - 1279; /* x + width wraps to 0 */
	REFUSES(TO_DAEMON(BN_LINK_FRAME, m, 0));
	m = frame;
	m.damage_y = UINT32_MAX;
	REFUSES(TO_DAEMON(BN_LINK_FRAME, m, 0));
	m = frame;
	m.damage_height = 8193;
	REFUSES(TO_DAEMON(BN_LINK_FRAME, m, 0));
	m = frame;
	m.damage_width = m.damage_height = 0;
	ACCEPTS(TO_DAEMON(BN_LINK_FRAME, m, 0));
	m.src_width = 0;
	REFUSES(TO_DAEMON(BN_LINK_FRAME, m, 0));
	m.buffer = 0; /* off: no picture, no size */
	ACCEPTS(TO_DAEMON(BN_LINK_FRAME, m, 0));
}

static void test_cursor_and_fault(void)
{
	static struct bn_link_cursor_image c = {
		.visible = 1, .hot_x = 63, .hot_y = 63, .x = INT32_MIN};
	struct bn_link_cursor_move v = {.scanout = 15, .x = INT32_MAX};
	struct bn_link_fault f = {.fatal = 1};

	ACCEPTS(TO_DAEMON(BN_LINK_CURSOR_IMAGE, c, 0));
	c.hot_x = 64;
	REFUSES(TO_DAEMON(BN_LINK_CURSOR_IMAGE, c, 0));
	c.visible = 0;
	ACCEPTS(TO_DAEMON(BN_LINK_CURSOR_IMAGE, c, 0));
	c.visible = 2;
	REFUSES(TO_DAEMON(BN_LINK_CURSOR_IMAGE, c, 0));
	c.visible = 0;
	c.scanout = 16;
	REFUSES(TO_DAEMON(BN_LINK_CURSOR_IMAGE, c, 0));
	ACCEPTS(TO_DAEMON(BN_LINK_CURSOR_MOVE, v, 0));
	v.scanout = 16;
	REFUSES(TO_DAEMON(BN_LINK_CURSOR_MOVE, v, 0));
	ACCEPTS(TO_DAEMON(BN_LINK_FAULT, f, 0));
	f.fatal = 2;
	REFUSES(TO_DAEMON(BN_LINK_FAULT, f, 0));
	f.fatal = 0;
	memset(f.text, 'x', sizeof(f.text));
	REFUSES(TO_DAEMON(BN_LINK_FAULT, f, 0));
}

static void test_text(void)
{
	char text[BN_LINK_TEXT] = "GL \xff\xc3 \x1b[2J\x7f\n~ ok";

	bn_link_text_clean(text);
	CU_ASSERT_STRING_EQUAL(text, "GL ?? ?[2J??~ ok");
	memset(text, 0xff, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	bn_link_text_clean(text);
	CU_ASSERT_EQUAL(strspn(text, "?"), sizeof(text) - 1);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"envelope of every type", test_envelope},
		{"unknown types", test_unknown_types},
		{"HELLO", test_hello},
		{"DISPLAYS", test_displays},
		{"regions and rings", test_regions_and_rings},
		{"PRESENTED and ids", test_presented_and_ids},
		{"READY and ACK", test_ready_and_ack},
		{"BUFFER_NEW", test_buffers},
		{"FRAME", test_frames},
		{"cursor and FAULT", test_cursor_and_fault},
		{"text to be shown", test_text},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("link", tests);
}
