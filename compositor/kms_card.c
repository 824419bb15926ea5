/* Cards: one object each, shared by the outputs on it. */
#include <drm_fourcc.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xf86drm.h>

#include "common/fd.h"
#include "common/log.h"
#include "kms_impl.h"

#define CARDS_MAX 64
/* How often a lost master is asked for. */
#define MASTER_MS 1000

static int sys_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

static void sys_close(int fd)
{
	close(fd);
}

static void *sys_map(int fd, size_t size, uint64_t offset)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);

	return map == MAP_FAILED ? NULL : map;
}

static void sys_unmap(void *map, size_t size)
{
	munmap(map, size);
}

static int sys_share(int udmabuf, struct udmabuf_create *create)
{
	int fd;

	if (udmabuf < 0)
		return -ENOENT;
	fd = ioctl(udmabuf, UDMABUF_CREATE, create);
	return fd < 0 ? -errno : fd;
}

struct bn_kms_sys bn_kms_sys = {
	.open = sys_open,
	.close = sys_close,
	.map = sys_map,
	.unmap = sys_unmap,
	.share = sys_share,
	.threads = true,
	.uevents = true,
};

/* Of this process. */
static struct wl_list cards = {&cards, &cards};

/* ---- events ---- */

static void handle_flip(
	int fd, unsigned sequence, unsigned sec, unsigned usec, unsigned crtc, void *data)
{
	uint64_t when = sec * BN_NS_PER_S + usec * BN_NS_PER_US;
	struct bn_kms_card *card;
	struct bn_kms_output *ko;

	wl_list_for_each(card, &cards, link)
	{
		if (card->fd != fd)
			continue;
		wl_list_for_each(ko, &card->outputs, link)
		{
			if (ko->crtc != crtc)
				continue;
			bn_kms_flip(ko, (uint64_t)(uintptr_t)data, when);
			return;
		}
	}
}

static int handle_events(int fd, uint32_t mask, void *data)
{
	drmEventContext context = {.version = 3, .page_flip_handler2 = handle_flip};
	struct bn_kms_card *card = data;

	if (mask & (WL_EVENT_HANGUP | WL_EVENT_ERROR)) {
		bn_error("%s is gone: its displays are without picture", card->path);
		wl_event_source_remove(card->events);
		card->events = NULL;
		bn_kms_card_set_active(card, false);
		return 0;
	}
	drmHandleEvent(fd, &context);
	return 0;
}

/* ---- who may use the card ---- */

void bn_kms_card_set_active(struct bn_kms_card *card, bool active)
{
	struct bn_kms_output *ko;

	if (card->active == active)
		return;
	card->active = active;
	wl_list_for_each(ko, &card->outputs, link) bn_kms_output_card_changed(ko);
	if (active)
		bn_kms_probe_all(card);
}

static int handle_master_timer(void *data)
{
	struct bn_kms_card *card = data;

	if (card->active)
		return 0;
	if (drmSetMaster(card->fd) < 0) {
		wl_event_source_timer_update(card->master_timer, MASTER_MS);
		return 0;
	}
	bn_info("%s: it is ours again", card->path);
	bn_kms_card_set_active(card, true);
	return 0;
}

void bn_kms_card_lost(struct bn_kms_card *card)
{
	if (!card->active)
		return;
	if (card->seat_device >= 0)
		return; /* the seat says when it is over */
	bn_error("%s: another program has become its DRM master: its displays are out of our hands "
		 "until that program ends",
		card->path);
	bn_kms_card_set_active(card, false);
	wl_event_source_timer_update(card->master_timer, MASTER_MS);
}

void bn_kms_cards_begin(void)
{
	struct bn_kms_card *card, *next_card;
	struct bn_kms_output *ko, *next;

	wl_list_for_each_safe(card, next_card, &cards, link)
	{
		if (!card->waiting)
			continue;
		card->refs++; /* the last output takes its own along */
		wl_list_for_each_safe(ko, next, &card->outputs, link) bn_kms_output_begin(ko);
		bn_kms_card_put(card);
		return;
	}
}

void bn_kms_cards_seat_changed(bool active)
{
	struct bn_kms_card *card;

	wl_list_for_each(card, &cards, link)
	{
		if (card->seat_device >= 0)
			bn_kms_card_set_active(card, active);
	}
}

/* ---- opening ---- */

static int open_node(struct bn_kms_card *card)
{
	if (bn_kms_seat_get(card->loop)) {
		int r = bn_kms_seat_open(card, card->path, &card->fd, &card->seat_device);

		card->active = bn_kms_seat_active();
		if (r < 0)
			bn_kms_seat_put();
		return r;
	}
	card->seat_device = -1;
	card->active = true;
	card->fd = bn_kms_sys.open(card->path);
	return card->fd < 0 ? card->fd : 0;
}

static void close_node(struct bn_kms_card *card)
{
	if (card->waiting)
		bn_kms_seat_put();
	if (card->fd < 0)
		return;
	if (card->seat_device >= 0) {
		bn_kms_seat_close(card, card->seat_device);
		bn_kms_seat_put();
	} else {
		bn_kms_sys.close(card->fd);
	}
	card->fd = -1;
}

/* The first to open a card is its master; a later one has to ask. */
static int become_master(struct bn_kms_card *card)
{
	if (card->seat_device >= 0 || drmIsMaster(card->fd) || drmSetMaster(card->fd) == 0)
		return 0;
	bn_error("%s is in use by another program (a display server, or a second binnacled): stop "
		 "that "
		 "one, or name another card= ('fuser -v %s' tells who it is)",
		card->path, card->path);
	return -EBUSY;
}

static uint64_t capability(int fd, uint64_t name, uint64_t otherwise)
{
	uint64_t value;

	return drmGetCap(fd, name, &value) == 0 ? value : otherwise;
}

static int set_up(struct bn_kms_card *card)
{
	uint64_t none = 0;

	if (drmSetClientCap(card->fd, DRM_CLIENT_CAP_UNIVERSAL_PLANES, 1) < 0 ||
		drmSetClientCap(card->fd, DRM_CLIENT_CAP_ATOMIC, 1) < 0) {
		bn_error("%s (%s) has no atomic mode setting, which is needed: name another card=, "
			 "or "
			 "use backend=wayland under a compositor",
			card->path, card->driver);
		return -ENOTSUP;
	}
	drmSetClientCap(card->fd, DRM_CLIENT_CAP_WRITEBACK_CONNECTORS, 1);
	if (capability(card->fd, DRM_CAP_DUMB_BUFFER, none) == 0) {
		bn_error(
			"%s (%s) has no memory that a CPU can draw into", card->path, card->driver);
		return -ENOTSUP;
	}
	card->quirks = strcmp(card->driver, "vkms") == 0;
	card->modifiers = capability(card->fd, DRM_CAP_ADDFB2_MODIFIERS, none) != 0;
	card->prefer_shadow = capability(card->fd, DRM_CAP_DUMB_PREFER_SHADOW, none) != 0;
	card->cursor_width = (uint32_t)capability(card->fd, DRM_CAP_CURSOR_WIDTH, BN_CURSOR_SIZE);
	card->cursor_height = (uint32_t)capability(card->fd, DRM_CAP_CURSOR_HEIGHT, BN_CURSOR_SIZE);
	return 0;
}

static int copy_ids(uint32_t **out, unsigned *count, const uint32_t *from, int n)
{
	*out = calloc((size_t)(n > 0 ? n : 1), sizeof(**out));
	if (!*out)
		return -ENOMEM;
	*count = n > 0 ? (unsigned)n : 0;
	if (*count)
		memcpy(*out, from, *count * sizeof(**out));
	return 0;
}

static int read_resources(struct bn_kms_card *card)
{
	drmModeRes *res = drmModeGetResources(card->fd);
	int r;

	if (!res)
		return -errno;
	r = copy_ids(&card->crtcs, &card->crtc_count, res->crtcs, res->count_crtcs);
	if (r == 0)
		r = copy_ids(&card->connectors, &card->connector_count, res->connectors,
			res->count_connectors);
	drmModeFreeResources(res);
	return r < 0 ? r : bn_kms_planes_read(card);
}

static int start_listening(struct bn_kms_card *card)
{
	card->events =
		wl_event_loop_add_fd(card->loop, card->fd, WL_EVENT_READABLE, handle_events, card);
	card->master_timer = wl_event_loop_add_timer(card->loop, handle_master_timer, card);
	card->probe = bn_kms_probe_create(card);
	if (!card->events || !card->master_timer || !card->probe)
		return -ENOMEM;
	if (bn_kms_hotplug_start(card) < 0)
		bn_warn("%s: the kernel's events cannot be heard: displays that are plugged in "
			"later "
			"are not noticed",
			card->path);
	return 0;
}

static void card_destroy(struct bn_kms_card *card)
{
	bn_compose_gl_destroy(card->gl);
	bn_kms_hotplug_stop(card);
	bn_kms_probe_destroy(card->probe);
	if (card->events)
		wl_event_source_remove(card->events);
	if (card->master_timer)
		wl_event_source_remove(card->master_timer);
	bn_kms_fbs_finish(card);
	bn_kms_planes_finish(card);
	close_node(card);
	bn_fd_close(&card->udmabuf_fd);
	free(card->crtcs);
	free(card->connectors);
	wl_list_remove(&card->link);
	free(card);
}

static void read_driver(struct bn_kms_card *card)
{
	drmVersion *version = drmGetVersion(card->fd);

	snprintf(card->driver, sizeof(card->driver), "%s", version ? version->name : "");
	drmFreeVersion(version);
}

/* driver: "" for any. -ENODEV: the card is another one, or no display controller. */
static int finish_opening(struct bn_kms_card *card, const char *driver)
{
	int r;

	read_driver(card);
	if (driver[0] != '\0' && strcmp(driver, card->driver) != 0)
		return -ENODEV;
	r = become_master(card);
	if (r == 0)
		r = set_up(card);
	if (r == 0)
		r = read_resources(card);
	if (r < 0)
		return r;
	if (card->crtc_count == 0 || card->connector_count == 0) {
		bn_debug("%s (%s) drives no display", card->path, card->driver);
		return -ENODEV;
	}
	r = start_listening(card);
	if (r == 0)
		bn_info("%s (%s): %u CRTCs, %u connectors, %u planes", card->path, card->driver,
			card->crtc_count, card->connector_count, card->plane_count);
	return r;
}

/* Without its node. NULL: no memory. */
static struct bn_kms_card *card_new(struct wl_event_loop *loop, const char *path)
{
	struct bn_kms_card *card = calloc(1, sizeof(*card));

	if (!card)
		return NULL;
	card->loop = loop;
	card->fd = card->hotplug_fd = card->seat_device = card->udmabuf_fd = -1;
	snprintf(card->path, sizeof(card->path), "%s", path);
	wl_list_init(&card->outputs);
	wl_list_init(&card->fbs);
	wl_list_insert(cards.prev, &card->link);
	return card;
}

static int card_open(
	struct bn_kms_card **out, struct wl_event_loop *loop, const char *path, const char *driver)
{
	struct bn_kms_card *card = card_new(loop, path);
	int r;

	if (!card)
		return -ENOMEM;
	card->udmabuf_fd = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	r = open_node(card);
	if (r == 0)
		r = finish_opening(card, driver);
	if (r < 0) {
		card_destroy(card);
		return r;
	}
	*out = card;
	return 0;
}

/* ---- choosing ---- */

static bool connector_is_taken(const struct bn_kms_card *card, uint32_t id)
{
	const struct bn_kms_output *ko;

	wl_list_for_each(ko, &card->outputs, link)
	{
		if (ko->connector == id)
			return true;
	}
	return false;
}

/* Whether an output that asks for this connector ("": any) could get it. */
static bool has_free(struct bn_kms_card *card, const char *connector)
{
	bool found = false;

	for (unsigned i = 0; i < card->connector_count && !found; i++) {
		struct bn_kms_connector c;

		if (connector_is_taken(card, card->connectors[i]) ||
			bn_kms_connector_read(card->fd, card->connectors[i], false, &c) < 0)
			continue;
		found = !c.writeback && (connector[0] == '\0' || strcmp(c.name, connector) == 0);
		bn_kms_connector_finish(&c);
	}
	return found;
}

static bool matches(const struct bn_kms_card *card, const char *name)
{
	return name[0] == '\0' || strcmp(card->path, name) == 0 || strcmp(card->driver, name) == 0;
}

static struct bn_kms_card *find_open(
	struct wl_event_loop *loop, const char *name, const char *connector)
{
	struct bn_kms_card *card, *any = NULL;

	wl_list_for_each(card, &cards, link)
	{
		if (card->loop != loop || card->waiting || !matches(card, name))
			continue;
		if (has_free(card, connector))
			return card;
		any = card;
	}
	/* The one named is the one meant, with or without a free connector. */
	return name[0] != '\0' ? any : NULL;
}

static bool is_open(const char *path)
{
	struct bn_kms_card *card;

	wl_list_for_each(card, &cards, link)
	{
		if (strcmp(card->path, path) == 0)
			return true;
	}
	return false;
}

static int open_first(struct bn_kms_card **out, struct wl_event_loop *loop, const char *driver,
	const char *connector)
{
	int error = -ENOENT;

	for (unsigned i = 0; i < CARDS_MAX; i++) {
		char path[64];
		int r;

		snprintf(path, sizeof(path), "/dev/dri/card%u", i);
		if (is_open(path))
			continue;
		r = card_open(out, loop, path, driver);
		if (r == 0 && (driver[0] != '\0' || has_free(*out, connector)))
			return 0;
		if (r == 0)
			card_destroy(*out);
		if (r == 0 || (r != -ENOENT && r != -ENODEV && error == -ENOENT))
			error = r == 0 ? -ENXIO : r;
	}
	return error;
}

static void say_none(const char *name, const char *card, int error)
{
	if (error == -EBUSY || error == -ENOTSUP)
		return; /* said where it was found */
	if (card[0] == '/')
		bn_error("output %s: %s cannot be opened: %s%s", name, card, strerror(-error),
			error == -EACCES || error == -EPERM
				? " (the service's user belongs in the group 'video', or in a seat)"
				: "");
	else if (card[0] != '\0')
		bn_error("output %s: no card of the driver '%s' here: %s (card= takes a path such "
			 "as "
			 "/dev/dri/card0, or a driver's name)",
			name, card, strerror(-error));
	else
		bn_error("output %s: no card in /dev/dri with a free connector: %s "
			 "(backend=headless "
			 "and backend=wayland need none)",
			name, strerror(-error));
}

/* Where outputs wait for the seat, of which it has a reference. */
static int find_waiting(struct bn_kms_card **out, struct wl_event_loop *loop)
{
	struct bn_kms_card *card;

	wl_list_for_each(card, &cards, link)
	{
		*out = card;
		if (card->waiting && card->loop == loop)
			return 0;
	}
	*out = card_new(loop, "");
	if (!*out)
		return -ENOMEM;
	(*out)->waiting = bn_kms_seat_get(loop);
	return 0;
}

static int open_or_wait(struct bn_kms_card **out, struct wl_event_loop *loop, const char *card,
	const char *connector)
{
	bool seat = bn_kms_seat_get(loop);
	int r;

	/* Nothing is lent to a session in the background, so there is nothing to choose from. */
	if (seat && !bn_kms_seat_active())
		r = find_waiting(out, loop);
	else
		r = card[0] == '/' ? card_open(out, loop, card, "")
				   : open_first(out, loop, card, connector);
	if (seat)
		bn_kms_seat_put();
	return r;
}

int bn_kms_card_get(struct bn_kms_card **out, struct wl_event_loop *loop, const char *card,
	const char *connector, const char *name)
{
	int r = 0;

	*out = find_open(loop, card, connector);
	if (!*out)
		r = open_or_wait(out, loop, card, connector);
	if (r < 0) {
		say_none(name, card, r);
		return r;
	}
	(*out)->refs++;
	return 0;
}

void bn_kms_card_put(struct bn_kms_card *card)
{
	if (card && --card->refs == 0)
		card_destroy(card);
}
