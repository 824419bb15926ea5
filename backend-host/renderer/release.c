/* Pictures that a guest thinks are free, and a display still shows.
 *
 * Stock Linux tells its programs that a flip is over at once (6.12) or at the tick of a clock of
 * its own (7.2), and with it that the buffer before is theirs again. That is before the display of
 * the host has gone on to the new picture: it shows the old one until then, without a copy. With
 * the usual two buffers the next frame is drawn right there:
 *
 *	guest    flush A │ draw B, flush B │ draw A …   A is free, the kernel says
 *	display     B   │        A         │ A           B is shown from the next vblank on
 *	                                     └ parked ─▶ RELEASE of A: now it is drawn into
 *
 * So a command that writes to such a resource waits (park.c), and all behind it. Nothing overtakes:
 * guests rely on the order of the control queue between their contexts too, whose buffers no fence
 * guards (a client's drawing, and the compositor's that shows it); and stock Linux has one timeline
 * for all contexts, on which nothing could be answered before it anyway. It waits
 *
 *  - for resources that are on their way to a display: flushed, and not drawn yet, or waiting for
 *    the frame before, or with the daemon, until that has let go of it on all outputs;
 *  - if another one was flushed to every scanout since. A guest that draws into what it shows knows
 *    what it does, and is not kept from it;
 *  - not for a display that keeps buffers (a host compositor may): after BN_RELEASE_MS since the
 *    newest frame went there it is not waited for, for some frames, and more of them each time;
 *  - not for a display that is much slower than another one that the guest draws for with GL: it
 *    would slow that one down. There the picture may tear.
 *
 * It has no grant meanwhile and asks for none: the wait is the display's, not the scheduler's.
 *
 * What is copied for its display does not wait for that: a picture of it may wait for the frame
 * before, and be copied when the next one is begun, but then it is that of a guest that runs ahead.
 *
 * 2D resources are not looked at. Their flush is answered when the display shows it, and Linux
 * fences and awaits it before it copies the next picture: the guest knows. */
#include "common/log.h"
#include "device.h"

/* Looks at a wait, BN_RELEASE_MS apart, while the GPU is still at what is to take the place. */
#define LOOKS_MAX 10u
/* Frames without patience, first and at most. */
#define IMPATIENCE_MIN 4u
#define IMPATIENCE_MAX 1024u

static bool on_its_way(const struct bn_device *dev, const struct bn_resource *res)
{
	if (res->buffer_id == 0 && res->export_tried)
		return false; /* it is copied */
	if (res->shown.seq != 0 || res->shown.drawing > 0)
		return true;
	for (unsigned i = 0; i < dev->config.num_scanouts; i++) {
		const struct bn_ready *ready = &dev->scanout[i].ready;

		if (ready->valid && ready->serial == res->serial)
			return true;
	}
	return false;
}

/* The guest has gone on, everywhere. */
static bool superseded(const struct bn_device *dev, const struct bn_resource *res)
{
	for (unsigned i = 0; i < dev->config.num_scanouts; i++) {
		if (dev->scanout[i].newest_serial == res->serial)
			return false;
	}
	return true;
}

static bool in_use(const struct bn_device *dev, unsigned index)
{
	const struct bn_resource *res = bn_resource_get(dev, dev->scanout[index].res_id);

	return res && res->is_3d;
}

/* Whether the guest draws for another display that is much faster. */
static bool slows(const struct bn_device *dev, unsigned index)
{
	uint64_t mhz = dev->displays.display[index].refresh_mhz;

	for (unsigned i = 0; i < dev->config.num_scanouts; i++) {
		if (dev->displays.display[i].refresh_mhz * 3ull > mhz * 4 && in_use(dev, i))
			return true;
	}
	return false;
}

static bool patient(const struct bn_device *dev, const struct bn_resource *res)
{
	for (unsigned i = 0; i < dev->config.num_scanouts; i++) {
		const struct bn_scanout *so = &dev->scanout[i];

		if ((res->shown.scanouts & 1u << i) &&
			(so->number < so->patience_number || slows(dev, i)))
			return false;
	}
	return !res->shown.given_up;
}

static bool must_wait(const struct bn_device *dev, const struct bn_resource *res)
{
	return on_its_way(dev, res) && superseded(dev, res) && patient(dev, res);
}

/* ---- what is on display ---- */

void bn_release_flushed(struct bn_device *dev, struct bn_resource *res, unsigned index)
{
	dev->scanout[index].newest_serial = res->serial;
	if (!res->is_3d)
		return;
	res->shown.scanouts |= (uint16_t)(1u << index);
	res->shown.given_up = false;
	if (!res->shown.listed)
		wl_list_insert(&dev->shown, &res->shown.link);
	res->shown.listed = true;
}

void bn_release_forget(struct bn_resource *res)
{
	res->shown.seq = 0;
	if (res->shown.listed)
		wl_list_remove(&res->shown.link);
	res->shown.listed = res->shown.given_up = false;
	res->shown.scanouts = 0;
}

void bn_release_got(struct bn_device *dev, const struct bn_link_release *r)
{
	struct bn_resource *res;

	wl_list_for_each(res, &dev->shown, shown.link)
	{
		if (res->buffer_id == r->buffer && res->shown.seq <= r->seq)
			res->shown.seq = 0;
	}
}

bool bn_release_watch(struct bn_device *dev)
{
	struct bn_releases *rel = &dev->releases;
	struct bn_resource *res, *next;

	rel->count = 0;
	if (wl_list_empty(&dev->shown) || bn_fences_ignoring_displays(dev->fences))
		return false;
	wl_list_for_each_safe(res, next, &dev->shown, shown.link)
	{
		if (!on_its_way(dev, res)) {
			bn_release_forget(res);
		} else if (rel->count < BN_WATCHED_MAX && must_wait(dev, res)) {
			rel->watched[rel->count].id = res->id;
			rel->watched[rel->count++].serial = res->serial;
		}
	}
	return rel->count > 0;
}

uint32_t bn_release_bits(void *data, uint32_t res_id)
{
	const struct bn_device *dev = data;

	for (unsigned i = 0; i < dev->releases.count; i++) {
		if (dev->releases.watched[i].id == res_id)
			return 1u << i;
	}
	return 0;
}

/* ---- waiting ---- */

static struct bn_resource *watched(const struct bn_device *dev, unsigned i)
{
	return bn_resource_get_serial(
		dev, dev->releases.watched[i].id, dev->releases.watched[i].serial);
}

/* Those bits whose resources are not free yet; *scanouts: where they are shown. */
static uint32_t not_free(const struct bn_device *dev, uint32_t bits, uint16_t *scanouts)
{
	uint32_t left = 0;

	*scanouts = 0;
	for (unsigned i = 0; i < dev->releases.count; i++) {
		const struct bn_resource *res = bits & 1u << i ? watched(dev, i) : NULL;

		if (!res || !must_wait(dev, res))
			continue;
		left |= 1u << i;
		*scanouts |= res->shown.scanouts;
	}
	return left;
}

static uint64_t frames_sent(const struct bn_device *dev, uint16_t scanouts)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < dev->config.num_scanouts; i++) {
		if (scanouts & 1u << i)
			sum += dev->scanout[i].sent_number;
	}
	return sum;
}

static void wait_begins(struct bn_device *dev, uint32_t bits, uint16_t scanouts)
{
	struct bn_releases *rel = &dev->releases;

	bn_stat_add(&dev->stats->release_waits, 1);
	rel->number++;
	rel->waits = bits;
	rel->scanouts = scanouts;
	rel->sent = frames_sent(dev, scanouts);
	rel->looks = 0;
	rel->late = false;
	if (dev->gate)
		bn_gate_pause(dev->gate);
}

static void wait_ends(struct bn_device *dev)
{
	struct bn_releases *rel = &dev->releases;

	for (unsigned i = 0; !rel->late && i < dev->config.num_scanouts; i++) {
		if (rel->scanouts & 1u << i)
			dev->scanout[i].impatience = 0;
	}
	rel->waits = 0;
}

bool bn_release_wait(struct bn_device *dev, uint32_t bits)
{
	struct bn_releases *rel = &dev->releases;
	uint16_t scanouts;
	uint32_t left;

	if (bits == 0)
		return false;
	left = bn_fences_ignoring_displays(dev->fences) ? 0 : not_free(dev, bits, &scanouts);
	if (left == 0) {
		if (rel->waits)
			wait_ends(dev);
		return false;
	}
	if (rel->waits)
		rel->waits = left;
	else
		wait_begins(dev, left, scanouts);
	return true;
}

bool bn_release_wait_for(struct bn_device *dev, const struct bn_resource *res)
{
	if (dev->releases.waits == 0 && !bn_release_watch(dev))
		return false;
	return bn_release_wait(dev, bn_release_bits(dev, res->id));
}

bool bn_release_over(const struct bn_device *dev)
{
	uint16_t scanouts;

	return bn_fences_ignoring_displays(dev->fences) ||
	       not_free(dev, dev->releases.waits, &scanouts) == 0;
}

/* Whether a picture that is to take the place is still being drawn, or has just gone there. */
static bool moves(struct bn_device *dev)
{
	struct bn_releases *rel = &dev->releases;
	uint64_t sent = frames_sent(dev, rel->scanouts);
	bool moved = sent != rel->sent;

	rel->sent = sent;
	for (unsigned i = 0; i < dev->config.num_scanouts; i++) {
		const struct bn_scanout *so = &dev->scanout[i];

		if ((rel->scanouts & 1u << i) && so->number > so->sent_number)
			moved = true;
	}
	return moved;
}

static void lose_patience(struct bn_scanout *so)
{
	uint32_t n = so->impatience * 4;

	so->impatience = n < IMPATIENCE_MIN ? IMPATIENCE_MIN : n;
	if (so->impatience > IMPATIENCE_MAX)
		so->impatience = IMPATIENCE_MAX;
	so->patience_number = so->number + so->impatience;
}

bool bn_release_overdue(struct bn_device *dev)
{
	struct bn_releases *rel = &dev->releases;

	if (!bn_release_waiting(dev) || bn_release_over(dev))
		return false;
	if (++rel->looks < LOOKS_MAX && moves(dev))
		return true;
	rel->late = true;
	bn_stat_add(&dev->stats->release_timeouts, 1);
	for (unsigned i = 0; i < rel->count; i++) {
		struct bn_resource *res = rel->waits & 1u << i ? watched(dev, i) : NULL;

		if (res)
			res->shown.given_up = true;
	}
	for (unsigned i = 0; i < dev->config.num_scanouts; i++) {
		if (rel->scanouts & 1u << i)
			lose_patience(&dev->scanout[i]);
	}
	if (bn_log_gate(&rel->errors))
		bn_warn("a display keeps a picture that the guest draws into again: it is not "
			"waited for, and the picture may tear (%lu so far)",
			rel->errors);
	return false;
}
