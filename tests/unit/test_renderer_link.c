/* What the daemon's end of a renderer link makes of several messages in one turn of its loop. */
#include "unit.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <wayland-server-core.h>

#include "common/fd.h"
#include "renderer_link.h"

static struct wl_event_loop *loop;
static struct bn_renderer_link *link_;
static int peer;
static unsigned frames, others;

static void handle_message(
	void *data, const struct bn_link_header *header, const void *payload, int *fds, size_t nfds)
{
	frames += header->type == BN_LINK_FRAME;
	others += header->type != BN_LINK_FRAME;
}

static void handle_closed(void *data, const char *why)
{
}

static const struct bn_renderer_link_listener listener = {handle_message, handle_closed};

static void begin(void)
{
	int pair[2];
	frames = others = 0;
	loop = wl_event_loop_create();
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	CU_ASSERT_EQUAL_FATAL(bn_renderer_link_create(&link_, loop, pair[0], &listener, NULL), 0);
	peer = pair[1];
}

static void end(void)
{
	bn_renderer_link_destroy(link_);
	bn_fd_close(&peer);
	wl_event_loop_destroy(loop);
}

struct message {
	struct bn_link_header header;
	union {
		struct bn_link_release release;
		struct bn_link_presented presented;
		struct bn_link_displays displays;
	};
};

/* The next that has come; type 0: none. */
static struct message next(void)
{
	struct message m = {0};
	if (read(peer, &m, sizeof(m)) < (ssize_t)sizeof(m.header))
		m.header.type = 0;
	return m;
}

static void release(uint64_t id)
{
	const struct bn_link_release m = {.buffer = id, .seq = 100 + id};
	CU_ASSERT_EQUAL(bn_renderer_link_send(link_, BN_LINK_RELEASE, &m, sizeof(m), NULL, 0, NULL), 0);
}

static void presented(uint64_t seq)
{
	const struct bn_link_presented m = {.seq = seq};
	CU_ASSERT_EQUAL(
		bn_renderer_link_send(link_, BN_LINK_PRESENTED, &m, sizeof(m), NULL, 0, NULL), 0);
}

static void turn(void)
{
	wl_event_loop_dispatch(loop, 0);
}

static void test_together(void)
{
	begin();
	release(7);
	presented(3);
	struct message m = next();
	CU_ASSERT_EQUAL(m.header.type, BN_LINK_PRESENTED);
	CU_ASSERT_EQUAL(m.presented.seq, 3);
	CU_ASSERT_EQUAL(m.presented.released.buffer, 7);
	CU_ASSERT_EQUAL(m.presented.released.seq, 107);
	presented(4);
	m = next();
	CU_ASSERT_EQUAL(m.presented.seq, 4);
	CU_ASSERT_EQUAL(m.presented.released.buffer, 0);
	turn();
	CU_ASSERT_EQUAL(next().header.type, 0);
	end();
}

static void test_alone(void)
{
	begin();
	release(1);
	turn();
	struct message m = next();
	CU_ASSERT_EQUAL(m.header.type, BN_LINK_RELEASE);
	CU_ASSERT_EQUAL(m.release.buffer, 1);
	CU_ASSERT_EQUAL(m.release.seq, 101);
	turn();
	CU_ASSERT_EQUAL(next().header.type, 0);
	end();
}

static void test_many(void)
{
	begin();
	for (uint64_t id = 1; id <= 3; id++)
		release(id);
	presented(1);
	for (uint64_t id = 1; id <= 2; id++) {
		struct message m = next();
		CU_ASSERT_EQUAL(m.header.type, BN_LINK_RELEASE);
		CU_ASSERT_EQUAL(m.release.buffer, id);
	}
	CU_ASSERT_EQUAL(next().presented.released.buffer, 3);
	end();
}

/* A renderer that is told to stop may need the buffer for that, and reads nothing behind it. */
static void test_order(void)
{
	const struct bn_link_u64 queue = {.value = 0};
	begin();
	release(5);
	CU_ASSERT_EQUAL(bn_renderer_link_send(link_, BN_LINK_VRING_STOP, &queue, sizeof(queue), NULL, 0, NULL), 0);
	CU_ASSERT_EQUAL(next().header.type, BN_LINK_RELEASE);
	CU_ASSERT_EQUAL(next().header.type, BN_LINK_VRING_STOP);
	end();
}

static void test_closed(void)
{
	begin();
	release(5);
	bn_renderer_link_close(link_);
	turn();
	CU_ASSERT_EQUAL(next().header.type, 0);
	end();
}

static void say(uint32_t type, const void *payload, uint32_t size)
{
	uint8_t bytes[sizeof(struct bn_link_header) + sizeof(struct bn_link_frame)];
	const struct bn_link_header header = {.type = type, .size = size};
	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + sizeof(header), payload, size);
	CU_ASSERT(write(peer, bytes, sizeof(header) + size) > 0);
}

/* The look for more behind a frame is left out; what is there comes with the next turn. */
static void test_frames(void)
{
	const struct bn_link_frame frame = {.seq = 1};
	const struct bn_link_cursor_move move = {0};
	begin();
	say(BN_LINK_CURSOR_MOVE, &move, sizeof(move));
	say(BN_LINK_CURSOR_MOVE, &move, sizeof(move));
	say(BN_LINK_FRAME, &frame, sizeof(frame));
	say(BN_LINK_FRAME, &frame, sizeof(frame));
	turn();
	CU_ASSERT_EQUAL(others, 2);
	CU_ASSERT_EQUAL(frames, 1);
	turn();
	CU_ASSERT_EQUAL(frames, 2);
	say(BN_LINK_FRAME, &frame, sizeof(frame));
	say(BN_LINK_FRAME, &frame, sizeof(frame));
	bn_fd_close(&peer);
	bn_renderer_link_drain(link_);
	CU_ASSERT_EQUAL(frames, 4);
	end();
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"a buffer goes back with the answer to a frame", test_together},
		{"a buffer goes back alone", test_alone},
		{"several buffers", test_many},
		{"nothing overtakes a buffer that goes back", test_order},
		{"a closed link holds nothing", test_closed},
		{"frames", test_frames},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("renderer_link", tests);
}
