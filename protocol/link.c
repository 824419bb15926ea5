#include "protocol/link.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define PIXELS_MAX 8192u
#define REFRESH_MHZ_MIN 1000u
#define REFRESH_MHZ_MAX 1000000u
#define CURSOR_SIZE 64u
#define ERRNO_MAX 4095
#define CAPSET_ID_MAX 63u

#define SANDBOX_BITS \
	(BN_LINK_SANDBOX_NAMESPACES | BN_LINK_SANDBOX_SECCOMP | BN_LINK_SANDBOX_RLIMITS)

/* The layouts are memory images of both sides: no implicit padding anywhere. */
static_assert(sizeof(struct bn_link_header) == 16, "header");
static_assert(sizeof(struct bn_link_hello) == 72, "hello");
static_assert(sizeof(struct bn_link_display) == 40, "display");
static_assert(sizeof(struct bn_link_region) == 32, "region");
static_assert(sizeof(struct bn_link_vring) == 48, "vring");
static_assert(sizeof(struct bn_link_release) == 16, "release");
static_assert(sizeof(struct bn_link_presented) == 40, "presented");
static_assert(
	sizeof(struct bn_link_ready) == 32 + 16 * BN_LINK_CAPSETS + 2 * BN_LINK_TEXT, "ready");
static_assert(sizeof(struct bn_link_ack) == 16, "ack");
static_assert(sizeof(struct bn_link_buffer) == 72, "buffer");
static_assert(sizeof(struct bn_link_frame) == 112, "frame");
static_assert(sizeof(struct bn_link_cursor_image) == 24 + 4 * 64 * 64, "cursor image");
static_assert(sizeof(struct bn_link_cursor_move) == 16, "cursor move");
static_assert(sizeof(struct bn_link_fault) == 8 + BN_LINK_TEXT, "fault");
static_assert(sizeof(struct bn_inflight_queue) == 8 + BN_LINK_QUEUE_SIZE_MAX, "inflight");

/* A cursor image without its pixels: any pixel value is legal, so they are not worth copying. */
struct cursor_head {
	uint32_t scanout, visible, hot_x, hot_y;
	int32_t x, y;
};
static_assert(
	sizeof(struct cursor_head) == offsetof(struct bn_link_cursor_image, pixels), "cursor head");

union payload {
	struct bn_link_hello hello;
	struct bn_link_displays displays;
	struct bn_link_u64 u64;
	struct bn_link_region region;
	struct bn_link_vring vring;
	struct bn_link_presented presented;
	struct bn_link_release release;
	struct bn_link_ready ready;
	struct bn_link_ack ack;
	struct bn_link_buffer buffer;
	struct bn_link_frame frame;
	struct cursor_head cursor;
	struct bn_link_cursor_move move;
	struct bn_link_fault fault;
};

static bool terminated(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static bool pixels_ok(uint32_t n)
{
	return n >= 1 && n <= PIXELS_MAX;
}

/* Empty rectangles are legal here (a frame without damage); callers say where they are not. */
static bool rect_ok(uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
	return x <= PIXELS_MAX && y <= PIXELS_MAX && width <= PIXELS_MAX - x &&
	       height <= PIXELS_MAX - y;
}

static bool hello_ok(const union payload *p, size_t nfds)
{
	const struct bn_link_hello *m = &p->hello;

	return m->version == BN_LINK_VERSION && m->gpu <= BN_LINK_GPU_RENDER_NODE &&
	       m->num_scanouts >= 1 && m->num_scanouts <= BN_LINK_SCANOUTS && m->restore <= 1 &&
	       m->journal_size > 0 && terminated(m->vm, sizeof(m->vm)) &&
	       m->priority <= BN_LINK_PRIORITY_HIGH &&
	       nfds == BN_LINK_HELLO_FDS + (m->gpu == BN_LINK_GPU_RENDER_NODE);
}

static bool display_ok(const struct bn_link_display *d)
{
	if (!terminated(d->name, sizeof(d->name)))
		return false;
	if (d->enabled == 0)
		return true;
	return d->enabled == 1 && pixels_ok(d->width) && pixels_ok(d->height) &&
	       d->refresh_mhz >= REFRESH_MHZ_MIN && d->refresh_mhz <= REFRESH_MHZ_MAX;
}

static bool displays_ok(const union payload *p, size_t nfds)
{
	for (size_t i = 0; i < BN_LINK_SCANOUTS; i++) {
		if (!display_ok(&p->displays.display[i]))
			return false;
	}
	return true;
}

static bool region_ok(const union payload *p, size_t nfds)
{
	const struct bn_link_region *m = &p->region;

	return m->size > 0 && m->guest_addr <= UINT64_MAX - m->size &&
	       m->user_addr <= UINT64_MAX - m->size && m->mmap_offset <= UINT64_MAX - m->size;
}

static bool vring_ok(const union payload *p, size_t nfds)
{
	const struct bn_link_vring *m = &p->vring;

	return m->index < BN_LINK_QUEUES && m->num >= 1 && m->num <= BN_LINK_QUEUE_SIZE_MAX &&
	       (m->num & (m->num - 1)) == 0 && m->base <= UINT16_MAX && m->restore <= 1 &&
	       m->fresh <= 1;
}

static bool queue_ok(const union payload *p, size_t nfds)
{
	return p->u64.value < BN_LINK_QUEUES;
}

static bool release_ok(const union payload *p, size_t nfds)
{
	return p->release.buffer != 0;
}

static bool presented_ok(const union payload *p, size_t nfds)
{
	return p->presented.scanout < BN_LINK_SCANOUTS;
}

static bool id_ok(const union payload *p, size_t nfds)
{
	return p->u64.value != 0;
}

static bool ready_ok(const union payload *p, size_t nfds)
{
	const struct bn_link_ready *m = &p->ready;

	if (m->num_capsets > BN_LINK_CAPSETS || (m->sandbox & ~SANDBOX_BITS) || m->software > 1 ||
		m->timestamps > 1 || !terminated(m->gl_renderer, sizeof(m->gl_renderer)) ||
		!terminated(m->gl_version, sizeof(m->gl_version)))
		return false;
	for (size_t i = 0; i < m->num_capsets; i++) {
		if (m->capset[i].id == 0 || m->capset[i].id > CAPSET_ID_MAX)
			return false;
	}
	return true;
}

static bool ack_ok(const union payload *p, size_t nfds)
{
	return p->ack.error <= 0 && p->ack.error >= -ERRNO_MAX && p->ack.value <= UINT16_MAX;
}

static bool buffer_ok(const union payload *p, size_t nfds)
{
	const struct bn_link_buffer *m = &p->buffer;

	if (m->id == 0 || m->kind > BN_LINK_BUFFER_DMABUF || !pixels_ok(m->width) ||
		!pixels_ok(m->height) || m->y_invert > 1 || m->planes < 1 || m->planes > 4 ||
		nfds != m->planes)
		return false;
	if (m->kind == BN_LINK_BUFFER_MEMFD && m->planes != 1)
		return false;
	for (size_t i = 0; i < m->planes; i++) {
		if (m->stride[i] == 0)
			return false;
	}
	return true;
}

static bool frame_ok(const union payload *p, size_t nfds)
{
	const struct bn_link_frame *m = &p->frame;

	if (m->seq == 0 || m->scanout >= BN_LINK_SCANOUTS ||
		!rect_ok(m->src_x, m->src_y, m->src_width, m->src_height) ||
		!rect_ok(m->damage_x, m->damage_y, m->damage_width, m->damage_height))
		return false;
	return m->buffer == 0 || (m->src_width > 0 && m->src_height > 0);
}

static bool cursor_ok(const union payload *p, size_t nfds)
{
	const struct cursor_head *m = &p->cursor;

	return m->scanout < BN_LINK_SCANOUTS && m->visible <= 1 &&
	       (m->visible == 0 || (m->hot_x < CURSOR_SIZE && m->hot_y < CURSOR_SIZE));
}

static bool move_ok(const union payload *p, size_t nfds)
{
	return p->move.scanout < BN_LINK_SCANOUTS;
}

static bool fault_ok(const union payload *p, size_t nfds)
{
	return p->fault.fatal <= 1 && terminated(p->fault.text, sizeof(p->fault.text));
}

struct kind {
	const char *name;
	bool from_renderer;
	uint8_t min_fds, max_fds;
	uint16_t size;
	bool (*ok)(const union payload *p, size_t nfds); /* NULL: every value is legal */
};

static const struct kind kinds[] = {
	[BN_LINK_HELLO] = {"HELLO", false, BN_LINK_HELLO_FDS, BN_LINK_HELLO_FDS + 1, sizeof(struct bn_link_hello), hello_ok},
	[BN_LINK_DISPLAYS] = {"DISPLAYS", false, 0, 0, sizeof(struct bn_link_displays),
		displays_ok},
	[BN_LINK_FEATURES] = {"FEATURES", false, 0, 0, sizeof(struct bn_link_u64), NULL},
	[BN_LINK_MEM_ADD] = {"MEM_ADD", false, 1, 1, sizeof(struct bn_link_region), region_ok},
	[BN_LINK_MEM_REMOVE] = {"MEM_REMOVE", false, 0, 0, sizeof(struct bn_link_region),
		region_ok},
	[BN_LINK_MEM_CLEAR] = {"MEM_CLEAR", false, 0, 0, 0, NULL},
	[BN_LINK_VRING_START] = {"VRING_START", false, 1, 1, sizeof(struct bn_link_vring),
		vring_ok},
	[BN_LINK_VRING_CALL] = {"VRING_CALL", false, 0, 1, sizeof(struct bn_link_u64), queue_ok},
	[BN_LINK_VRING_STOP] = {"VRING_STOP", false, 0, 0, sizeof(struct bn_link_u64), queue_ok},
	[BN_LINK_PRESENTED] = {"PRESENTED", false, 0, 0, sizeof(struct bn_link_presented),
		presented_ok},
	[BN_LINK_RELEASE] = {"RELEASE", false, 0, 0, sizeof(struct bn_link_release), release_ok},
	[BN_LINK_READY] = {"READY", true, 0, 0, sizeof(struct bn_link_ready), ready_ok},
	[BN_LINK_ACK] = {"ACK", true, 0, 0, sizeof(struct bn_link_ack), ack_ok},
	[BN_LINK_BUFFER_NEW] = {"BUFFER_NEW", true, 1, 4, sizeof(struct bn_link_buffer), buffer_ok},
	[BN_LINK_BUFFER_GONE] = {"BUFFER_GONE", true, 0, 0, sizeof(struct bn_link_u64), id_ok},
	[BN_LINK_FRAME] = {"FRAME", true, 0, 0, sizeof(struct bn_link_frame), frame_ok},
	[BN_LINK_CURSOR_IMAGE] = {"CURSOR_IMAGE", true, 0, 0, sizeof(struct bn_link_cursor_image),
		cursor_ok},
	[BN_LINK_CURSOR_MOVE] = {"CURSOR_MOVE", true, 0, 0, sizeof(struct bn_link_cursor_move),
		move_ok},
	[BN_LINK_FAULT] = {"FAULT", true, 0, 0, sizeof(struct bn_link_fault), fault_ok},
};

static const struct kind *find_kind(uint32_t type)
{
	if (type >= sizeof(kinds) / sizeof(kinds[0]) || !kinds[type].name)
		return NULL;
	return &kinds[type];
}

int bn_link_check(const struct bn_link_header *header, const void *payload, size_t size,
	size_t nfds, bool from_renderer)
{
	const struct kind *kind = find_kind(header->type);
	union payload copy;

	if (!kind || kind->from_renderer != from_renderer || header->size != size ||
		kind->size != size || nfds < kind->min_fds || nfds > kind->max_fds)
		return -EPROTO;
	if (!kind->ok)
		return 0;
	/* A copy, because payload need not be aligned. */
	memcpy(&copy, payload, size < sizeof(copy) ? size : sizeof(copy));
	return kind->ok(&copy, nfds) ? 0 : -EPROTO;
}

void bn_link_text_clean(char text[BN_LINK_TEXT])
{
	for (size_t i = 0; i < BN_LINK_TEXT && text[i]; i++) {
		if (text[i] < 0x20 || text[i] > 0x7e)
			text[i] = '?';
	}
}

const char *bn_link_name(uint32_t type)
{
	const struct kind *kind = find_kind(type);

	return kind ? kind->name : "?";
}
