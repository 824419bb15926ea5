#include "protocol/link.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
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
static const struct bn_link_displays displays = {
	.display[15] = {1, 1280, 480, 60000, 0, 0, "Cluster"}};
static const struct bn_link_ready ready = {
	.num_capsets = 2, .capset = {{1, 1, 308, 0}, {2, 2, 1408, 0}}};
static const struct bn_link_cursor_image cursor = {
	.visible = 1, .hot_x = 63, .hot_y = 63, .x = INT32_MIN};
static const struct bn_link_cursor_move move = {.scanout = 15, .x = INT32_MAX};
static const struct bn_link_presented presented = {.seq = 1};
static const struct bn_link_u64 one = {1};
static const struct bn_link_release release = {.buffer = 1};
static const struct bn_link_fault fault = {.fatal = 1};

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
	{BN_LINK_RELEASE, 16, 0, false, &(struct bn_link_release){.buffer = 1}},
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

/* Of a legal message of that type one field is changed. */
#define OF(type, from_renderer, fds, message, field)                                 \
	type, from_renderer, fds, &(message), sizeof(message),                       \
		(size_t)((const char *)&(message).field - (const char *)&(message)), \
		sizeof((message).field)
#define HELLO(field) OF(BN_LINK_HELLO, false, BN_LINK_HELLO_FDS, hello, field)
#define DISPLAY(field) OF(BN_LINK_DISPLAYS, false, 0, displays, display[15].field)
#define VRING(field) OF(BN_LINK_VRING_START, false, 1, vring, field)
#define READY(field) OF(BN_LINK_READY, true, 0, ready, field)
#define BUFFER(field) OF(BN_LINK_BUFFER_NEW, true, 1, memfd, field)
#define FRAME(field) OF(BN_LINK_FRAME, true, 0, frame, field)
#define CURSOR(field) OF(BN_LINK_CURSOR_IMAGE, true, 0, cursor, field)

static const struct {
	uint32_t type;
	bool from_renderer;
	size_t fds;
	const void *message;
	size_t size, at, width;
	uint64_t value;
	bool legal;
} changes[] = {
	{HELLO(version), BN_LINK_VERSION + 1, false},
	{HELLO(gpu), 3, false},
	{HELLO(priority), BN_LINK_PRIORITY_HIGH + 1, false},
	{HELLO(num_scanouts), 0, false},
	{HELLO(num_scanouts), 16, true},
	{HELLO(num_scanouts), 17, false},
	{HELLO(journal_size), 0, false},
	{DISPLAY(enabled), 2, false},
	{DISPLAY(width), 0, false},
	{DISPLAY(width), 8192, true},
	{DISPLAY(width), 8193, false},
	{DISPLAY(refresh_mhz), 999, false},
	{DISPLAY(refresh_mhz), 1000000, true},
	{VRING(num), 0, false},
	{VRING(num), 3, false},
	{VRING(num), 1024, true},
	{VRING(num), 2048, false},
	{VRING(index), 2, false},
	{VRING(base), 65536, false},
	{VRING(restore), 2, false},
	{VRING(fresh), 2, false},
	{OF(BN_LINK_VRING_CALL, false, 1, one, value), BN_LINK_QUEUES, false},
	{OF(BN_LINK_VRING_CALL, false, 0, one, value), 1, true},
	{OF(BN_LINK_VRING_STOP, false, 0, one, value), BN_LINK_QUEUES, false},
	{OF(BN_LINK_VRING_STOP, false, 0, one, value), 1ull << 32, false},
	{OF(BN_LINK_PRESENTED, false, 0, presented, scanout), 16, false},
	{OF(BN_LINK_RELEASE, false, 0, release, buffer), 0, false},
	{OF(BN_LINK_RELEASE, false, 0, release, seq), 0, true},
	{OF(BN_LINK_BUFFER_GONE, true, 0, one, value), 0, false},
	{READY(capset[1].id), 0, false},
	{READY(capset[1].id), 64, false},
	{READY(num_capsets), 0, true},
	{READY(num_capsets), 9, false},
	{READY(num_capsets), UINT32_MAX, false},
	{READY(sandbox), 7, true},
	{READY(sandbox), 8, false},
	{READY(software), 1, true},
	{READY(software), 2, false},
	{READY(timestamps), 1, true},
	{READY(timestamps), UINT32_MAX, false},
	{BUFFER(id), 0, false},
	{BUFFER(kind), 2, false},
	{BUFFER(width), 0, false},
	{BUFFER(height), 8193, false},
	{BUFFER(y_invert), 2, false},
	{FRAME(seq), 0, false},
	{FRAME(scanout), 16, false},
	{FRAME(src_x), 8192 - 1280, true},
	{FRAME(src_x), 8192 - 1280 + 1, false},
	{FRAME(src_x), UINT32_MAX - 1279, false}, /* x + width wraps to 0 */
	{FRAME(damage_y), UINT32_MAX, false},
	{FRAME(damage_height), 8193, false},
	{CURSOR(hot_x), 64, false},
	{CURSOR(visible), 2, false},
	{CURSOR(scanout), 16, false},
	{OF(BN_LINK_CURSOR_MOVE, true, 0, move, scanout), 15, true},
	{OF(BN_LINK_CURSOR_MOVE, true, 0, move, scanout), 16, false},
	{OF(BN_LINK_FAULT, true, 0, fault, fatal), 1, true},
	{OF(BN_LINK_FAULT, true, 0, fault, fatal), 2, false},
};

static void test_fields(void)
{
	static uint8_t bytes[BN_LINK_PAYLOAD_MAX];

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		uint32_t narrow = (uint32_t)changes[i].value;
		int err;

		memcpy(bytes, changes[i].message, changes[i].size);
		if (changes[i].width == sizeof(narrow))
			memcpy(bytes + changes[i].at, &narrow, sizeof(narrow));
		else
			memcpy(bytes + changes[i].at, &changes[i].value, sizeof(uint64_t));
		CU_ASSERT_TRUE(changes[i].width == 4 || changes[i].width == 8);
		err = check(changes[i].type, bytes, changes[i].size, changes[i].fds,
			changes[i].from_renderer);
		CU_ASSERT_EQUAL(err, changes[i].legal ? 0 : -EPROTO);
		if (err != (changes[i].legal ? 0 : -EPROTO))
			fprintf(stderr, "\n%s, byte %zu: %llu gives %d\n",
				bn_link_name(changes[i].type), changes[i].at,
				(unsigned long long)changes[i].value, err);
	}
}

static void test_hello(void)
{
	struct bn_link_hello m = hello;

	m.gpu = BN_LINK_GPU_RENDER_NODE;
	ACCEPTS(TO_RENDERER(BN_LINK_HELLO, m, BN_LINK_HELLO_FDS + 1));
	REFUSES(TO_RENDERER(BN_LINK_HELLO, m, BN_LINK_HELLO_FDS));
	m = hello;
	memset(m.vm, 'x', sizeof(m.vm));
	REFUSES(TO_RENDERER(BN_LINK_HELLO, m, BN_LINK_HELLO_FDS));
}

static void test_displays(void)
{
	struct bn_link_displays m = displays;

	ACCEPTS(TO_RENDERER(BN_LINK_DISPLAYS, m, 0));
	memset(m.display[15].name, 'x', sizeof(m.display[15].name));
	REFUSES(TO_RENDERER(BN_LINK_DISPLAYS, m, 0));
}

static void test_regions(void)
{
	struct bn_link_region r = {.guest_addr = UINT64_MAX - 4096, .size = 4096};

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
}

static void test_ready_and_ack(void)
{
	struct bn_link_ready m = ready;
	struct bn_link_ack a = {.error = -EINVAL, .value = 65535};

	ACCEPTS(TO_DAEMON(BN_LINK_READY, m, 0));
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
}

static void test_frames(void)
{
	struct bn_link_frame m = frame;

	m.damage_width = m.damage_height = 0;
	ACCEPTS(TO_DAEMON(BN_LINK_FRAME, m, 0));
	m.src_width = 0;
	REFUSES(TO_DAEMON(BN_LINK_FRAME, m, 0));
	m.buffer = 0; /* off: no picture, no size */
	ACCEPTS(TO_DAEMON(BN_LINK_FRAME, m, 0));
}

static void test_cursor_and_fault(void)
{
	struct bn_link_cursor_image c = cursor;
	struct bn_link_fault f = {.fatal = 0};

	ACCEPTS(TO_DAEMON(BN_LINK_CURSOR_IMAGE, c, 0));
	c.visible = 0; /* where it points to matters no more, where it is does */
	c.hot_x = 64;
	ACCEPTS(TO_DAEMON(BN_LINK_CURSOR_IMAGE, c, 0));
	c.scanout = 16;
	REFUSES(TO_DAEMON(BN_LINK_CURSOR_IMAGE, c, 0));
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
		{"fields of every type", test_fields},
		{"HELLO", test_hello},
		{"DISPLAYS", test_displays},
		{"regions", test_regions},
		{"READY and ACK", test_ready_and_ack},
		{"BUFFER_NEW", test_buffers},
		{"FRAME", test_frames},
		{"cursor and FAULT", test_cursor_and_fault},
		{"text to be shown", test_text},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("link", tests);
}
