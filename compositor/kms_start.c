/* Where an output is shown: which connector, fed by which CRTC. At the start, or when its session is in front for the
 * first time. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <xf86drm.h>

#include "common/log.h"
#include "kms_impl.h"

static bool connector_is_free(const struct bn_kms_card *card, uint32_t id)
{
	const struct bn_kms_output *other;

	wl_list_for_each(other, &card->outputs, link)
	{
		if (other->connector == id)
			return false;
	}
	return true;
}

static bool wants(const struct bn_kms_output *ko, const struct bn_kms_connector *c, bool connected)
{
	const char *name = ko->output->config.connector;

	return !c->writeback && connector_is_free(ko->card, c->id) &&
	       (name[0] != '\0' ? strcmp(name, c->name) == 0 : !connected || c->connected);
}

static bool find_connector(
	struct bn_kms_output *ko, bool probe, bool connected, struct bn_kms_connector *out)
{
	for (unsigned i = 0; i < ko->card->connector_count; i++) {
		if (bn_kms_connector_read(ko->card->fd, ko->card->connectors[i], probe, out) < 0)
			continue;
		if (wants(ko, out, connected))
			return true;
		bn_kms_connector_finish(out);
	}
	return false;
}

static void list_connectors(const struct bn_kms_card *card, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < card->connector_count && used < size; i++) {
		struct bn_kms_connector c;

		if (bn_kms_connector_read(card->fd, card->connectors[i], false, &c) < 0)
			continue;
		if (!c.writeback)
			used += (size_t)snprintf(text + used, size - used, "%s%s%s",
				used ? ", " : "", c.name,
				!connector_is_free(card, c.id) ? " (taken)"
				: c.connected                  ? ""
							       : " (nothing plugged in)");
		bn_kms_connector_finish(&c);
	}
}

/* What the kernel knows is asked first: that takes no time. The display itself only when nothing is known. */
static int choose_connector(struct bn_kms_output *ko, struct bn_kms_connector *c)
{
	const struct bn_output_config *config = &ko->output->config;
	char text[256];

	if (find_connector(ko, false, true, c)) {
		if (c->connected)
			return 0;
		bn_kms_connector_finish(c);
	}
	if (find_connector(ko, true, true, c) || find_connector(ko, false, false, c))
		return 0;
	list_connectors(ko->card, text, sizeof(text));
	bn_error("output %s: %s (%s) has no free connector%s%s; there are: %s", config->name,
		ko->card->path, ko->card->driver, config->connector[0] ? " named " : "",
		config->connector, text[0] ? text : "none");
	return -ENXIO;
}

static int crtc_index(const struct bn_kms_card *card, uint32_t id)
{
	for (unsigned i = 0; i < card->crtc_count; i++) {
		if (card->crtcs[i] == id)
			return (int)i;
	}
	return -1;
}

static bool crtc_is_free(const struct bn_kms_card *card, uint32_t id)
{
	const struct bn_kms_output *other;

	wl_list_for_each(other, &card->outputs, link)
	{
		if (other->crtc == id)
			return false;
	}
	return true;
}

static int primary_of(const struct bn_kms_card *card, unsigned crtc)
{
	int found = -1;

	for (unsigned p = 0; p < card->plane_count; p++) {
		const struct bn_kms_plane *plane = &card->planes[p];

		if (plane->type != DRM_PLANE_TYPE_PRIMARY || plane->owner ||
			!(plane->possible_crtcs & (1u << crtc)))
			continue;
		/* One that goes with this CRTC alone is its own. */
		if (found < 0 || plane->possible_crtcs == 1u << crtc)
			found = (int)p;
	}
	return found;
}

static bool take_crtc(struct bn_kms_output *ko, unsigned index)
{
	int primary = primary_of(ko->card, index);

	if (primary < 0 || !crtc_is_free(ko->card, ko->card->crtcs[index]))
		return false;
	ko->crtc = ko->card->crtcs[index];
	ko->crtc_index = index;
	ko->primary = primary;
	return true;
}

/* The one that feeds the connector already, so that nothing has to be switched. */
static int choose_crtc(struct bn_kms_output *ko, const struct bn_kms_connector *c)
{
	int current = c->current_crtc ? crtc_index(ko->card, c->current_crtc) : -1;

	if (current >= 0 && take_crtc(ko, (unsigned)current))
		return 0;
	for (unsigned i = 0; i < ko->card->crtc_count && i < 32; i++) {
		if ((c->crtc_mask & (1u << i)) && take_crtc(ko, i))
			return 0;
	}
	bn_error("output %s: %s drives no more displays at a time: no CRTC is left for %s",
		ko->output->config.name, ko->card->path, c->name);
	return -EBUSY;
}

static int read_props(struct bn_kms_output *ko)
{
	int r = bn_kms_props_read(ko->card->fd, ko->connector, DRM_MODE_OBJECT_CONNECTOR,
		bn_kms_connector_props, BN_KMS_CONNECTOR_PROPS, ko->connector_props);

	if (r == 0)
		r = bn_kms_props_read(ko->card->fd, ko->crtc, DRM_MODE_OBJECT_CRTC,
			bn_kms_crtc_props, BN_KMS_CRTC_PROPS, ko->crtc_props);
	if (r == 0 &&
		(!ko->connector_props[BN_KMS_CONNECTOR_CRTC_ID].id ||
			!ko->crtc_props[BN_KMS_ACTIVE].id || !ko->crtc_props[BN_KMS_MODE_ID].id))
		r = -ENOTSUP;
	return r;
}

/* drm_crtc_get_sequence_ioctl() says so before it looks for the CRTC (drivers/gpu/drm/drm_vblank.c). It is asked for none: one
 * that is on would have its vblanks switched on, and on vkms the mode set after that takes three refreshes longer. */
static bool has_no_vblank(const struct bn_kms_card *card)
{
	uint64_t sequence, ns;

	return drmCrtcGetSequence(card->fd, 0, &sequence, &ns) < 0 && errno == EOPNOTSUPP;
}

static int set_up(struct bn_kms_output *ko, struct bn_kms_connector *c)
{
	int r = choose_crtc(ko, c);

	if (r < 0)
		return r;
	ko->connector = c->id;
	snprintf(ko->name, sizeof(ko->name), "%s", c->name);
	r = read_props(ko);
	if (r < 0)
		return r;
	ko->request = drmModeAtomicAlloc();
	if (!ko->request)
		return -ENOMEM;
	ko->unpaced = has_no_vblank(ko->card);
	if (ko->unpaced)
		bn_info("output %s: %s has no vblank: its refreshes go by the clock",
			ko->output->config.name, ko->card->driver);
	ko->card->planes[ko->primary].owner = ko->output;
	wl_list_insert(ko->card->outputs.prev, &ko->link);
	if (c->connected)
		bn_kms_output_probed(ko, c);
	else
		bn_warn("output %s: nothing is plugged in at %s of %s yet", ko->output->config.name,
			ko->name, ko->card->path);
	return 0;
}

int bn_kms_output_find_place(struct bn_kms_output *ko)
{
	struct bn_kms_connector c = {0};
	int r = choose_connector(ko, &c);

	if (r == 0)
		r = set_up(ko, &c);
	bn_kms_connector_finish(&c);
	return r;
}

void bn_kms_output_wait(struct bn_kms_output *ko, struct bn_kms_card *waiting)
{
	ko->card = waiting;
	ko->connector = ko->crtc = 0;
	wl_list_insert(waiting->outputs.prev, &ko->link);
}

/* False: it waits on. */
static bool leave_waiting(struct bn_kms_output *ko)
{
	const struct bn_output_config *config = &ko->output->config;
	struct bn_kms_card *waiting = ko->card;

	if (bn_kms_card_get(&ko->card, ko->output->loop, config->card, config->connector,
		    config->name) < 0) {
		ko->card = waiting;
		return false;
	}
	wl_list_remove(&ko->link);
	wl_list_init(&ko->link);
	if (ko->card->waiting || bn_kms_output_find_place(ko) < 0) {
		bn_kms_card_put(ko->card);
		wl_list_remove(&ko->link);
		bn_kms_output_wait(ko, waiting);
		return false;
	}
	bn_kms_card_put(waiting);
	return true;
}

void bn_kms_output_begin(struct bn_kms_output *ko)
{
	const struct bn_output_config *config = &ko->output->config;
	const struct bn_output_config before = *config;

	if (!leave_waiting(ko)) {
		bn_warn("output %s: it stays dark until the session comes to the front again",
			config->name);
		return;
	}
	bn_kms_writeback_observe(ko->output);
	/* The mode may be as it was thought to be, but what the display can do is known from now on. */
	if (memcmp(&before, config, sizeof(before)) == 0)
		bn_output_note_mode(ko->output);
	bn_kms_output_arm(ko);
}
