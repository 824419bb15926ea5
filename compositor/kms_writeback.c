/* What the display hardware writes back of the picture that it scans out, for whoever looks at it. Driven only while
 * there is an observer. */
#include <drm_fourcc.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <xf86drm.h>

#include "common/fd.h"
#include "common/log.h"
#include "kms_impl.h"

#define BUFFERS 2
/* A job that takes longer is not waited for, and there is no other: the next ones would be told of in its stead. Something
 * else is looked at from then on. */
#define JOB_MS 500
/* A picture that nothing was written back of is committed again after so long, if none has followed it. */
#define CAPTURE_REFRESHES 2
/* For vkms (Linux 7.2), which tidies up after a job at its leisure and by that stops the next if it has begun: flips between
 * jobs, so that its worker has had its turn. */
#define QUIRK_REST_FLIPS 2
#define QUIRK_REST_MS 10
/* And a commit that comes before a job is done may take it away. It may be an emulated machine, and a busy one. */
#define QUIRK_HOLD_MS 1000
#define QUIRK_JOB_MS 3000
/* At the end; a CRTC that is switched off under a job may leave the driver in confusion. */
#define LAST_JOB_MS 100

struct bn_kms_writeback {
	struct bn_kms_output *ko;
	uint32_t connector;
	struct bn_kms_prop props[BN_KMS_CONNECTOR_PROPS];
	struct bn_kms_dumb dumb[BUFFERS];
	struct wl_event_source *source;
	int32_t fence;   /* written by the kernel; -1: no job is under way */
	int job;         /* the buffer that it writes to */
	int ready;       /* that holds a picture; -1: none */
	bool asked;      /* the request at hand has a job */
	bool behind;     /* the last commit had none, because another was under way */
	bool dead;       /* a job did not end */
	unsigned rest;   /* flips without a job, before the next may have one */
	uint64_t serial; /* of the job's commit */
	bool stale;      /* that was given up: what was written is not what is shown */
	bool flipped;    /* the job's commit has */
	bool telling;  /* of the picture that has just been written, though there may be a newer one */
	uint64_t job_ns, done_ns, job_when, job_seq, job_places, when, seq, places;
};

static bool has_format(int fd, const struct bn_kms_prop *prop, uint32_t fourcc)
{
	drmModePropertyBlobRes *blob = NULL;
	bool found = false;

	if (prop->id && prop->value)
		blob = drmModeGetPropertyBlob(fd, (uint32_t)prop->value);
	for (uint32_t i = 0; blob && i < blob->length / sizeof(uint32_t); i++)
		found |= ((const uint32_t *)blob->data)[i] == fourcc;
	drmModeFreePropertyBlob(blob);
	return found;
}

static bool is_taken(const struct bn_kms_card *card, uint32_t id)
{
	const struct bn_kms_output *ko;

	wl_list_for_each(ko, &card->outputs, link)
	{
		if (ko->writeback && ko->writeback->connector == id)
			return true;
	}
	return false;
}

static bool suits(struct bn_kms_output *ko, uint32_t id, struct bn_kms_prop *props)
{
	int fd = ko->card->fd;
	struct bn_kms_connector c;
	bool fits;

	if (is_taken(ko->card, id) || bn_kms_connector_read(fd, id, false, &c) < 0)
		return false;
	fits = c.writeback && (c.crtc_mask & (1u << ko->crtc_index));
	bn_kms_connector_finish(&c);
	return fits &&
	       bn_kms_props_read(fd, id, DRM_MODE_OBJECT_CONNECTOR, bn_kms_connector_props,
		       BN_KMS_CONNECTOR_PROPS, props) == 0 &&
	       props[BN_KMS_WRITEBACK_FB_ID].id && props[BN_KMS_WRITEBACK_FENCE].id &&
	       has_format(fd, &props[BN_KMS_WRITEBACK_FORMATS], DRM_FORMAT_XRGB8888);
}

static struct bn_kms_writeback *find(struct bn_kms_output *ko)
{
	struct bn_kms_writeback *wb = calloc(1, sizeof(*wb));

	for (unsigned i = 0; wb && i < ko->card->connector_count; i++) {
		if (!suits(ko, ko->card->connectors[i], wb->props))
			continue;
		wb->ko = ko;
		wb->connector = ko->card->connectors[i];
		wb->fence = wb->job = wb->ready = -1;
		return wb;
	}
	free(wb);
	return NULL;
}

void bn_kms_writeback_observe(struct bn_output *output)
{
	struct bn_kms_output *ko = bn_kms_output_of(output);

	if (!output->observer || ko->writeback)
		return;
	ko->writeback = find(ko);
	if (!ko->writeback)
		return;
	/* A connector joins: the CRTC is set up again. */
	ko->modeset = true;
	ko->dirty = true;
	bn_kms_planner_forget(&ko->planner);
	if (bn_kms_output_on(ko))
		bn_kms_output_go_on(ko);
}

int bn_kms_writeback_modeset(struct bn_kms_output *ko, drmModeAtomicReq *request)
{
	struct bn_kms_writeback *wb = ko->writeback;

	if (!wb)
		return 0;
	return drmModeAtomicAddProperty(
		       request, wb->connector, wb->props[BN_KMS_CONNECTOR_CRTC_ID].id, ko->crtc) < 0
		       ? -ENOMEM
		       : 0;
}

/* A buffer of the right size that holds nothing wanted. */
static int pick(struct bn_kms_output *ko)
{
	const struct bn_output_config *config = &ko->output->config;
	struct bn_kms_writeback *wb = ko->writeback;
	int i = wb->ready == 0 ? 1 : 0;
	struct bn_kms_dumb *dumb = &wb->dumb[i];

	if (dumb->map && (dumb->width != config->width || dumb->height != config->height))
		bn_kms_dumb_finish(dumb, ko->card);
	if (!dumb->map && bn_kms_dumb_init(dumb, ko->card, config->width, config->height) < 0)
		return -1;
	return dumb->fb_opaque ? i : -1;
}

static void end_job(struct bn_kms_writeback *wb)
{
	if (wb->source)
		wl_event_source_remove(wb->source);
	wb->source = NULL;
	bn_fd_close(&wb->fence);
}

static bool is_written(const struct bn_kms_writeback *wb)
{
	struct pollfd p = {.fd = wb->fence, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

/* The picture counts when it is written and its flip has been told of. */
static bool finish_job(struct bn_kms_writeback *wb)
{
	if (wb->fence < 0 || !wb->flipped || !is_written(wb))
		return false;
	wb->ready = wb->stale ? -1 : wb->job;
	wb->rest = QUIRK_REST_FLIPS;
	wb->done_ns = bn_now_ns();
	wb->when = wb->job_when;
	wb->seq = wb->job_seq;
	wb->places = wb->job_places;
	end_job(wb);
	return true;
}

int bn_kms_writeback_add(struct bn_kms_output *ko, drmModeAtomicReq *request)
{
	struct bn_kms_writeback *wb = ko->writeback;
	int buffer, r;

	if (!wb || wb->dead || !ko->output->observer)
		return 0;
	finish_job(wb);
	wb->behind = wb->fence >= 0 ||
		     (ko->card->quirks && (wb->rest > 0 || bn_now_ns() - wb->done_ns <
								   QUIRK_REST_MS * BN_NS_PER_MS));
	buffer = wb->behind ? -1 : pick(ko);
	if (buffer < 0)
		return 0;
	r = drmModeAtomicAddProperty(request, wb->connector, wb->props[BN_KMS_WRITEBACK_FB_ID].id,
		wb->dumb[buffer].fb_opaque);
	if (r >= 0)
		r = drmModeAtomicAddProperty(request, wb->connector,
			wb->props[BN_KMS_WRITEBACK_FENCE].id, (uint64_t)(uintptr_t)&wb->fence);
	wb->job = buffer;
	wb->asked = true;
	return r < 0 ? -ENOMEM : 0;
}

static bool is_overdue(const struct bn_kms_writeback *wb)
{
	uint64_t limit = wb->ko->card->quirks ? QUIRK_JOB_MS : JOB_MS;

	return wb->fence >= 0 && bn_now_ns() - wb->job_ns >= limit * BN_NS_PER_MS;
}

static void give_up_slow(struct bn_kms_writeback *wb)
{
	if (!is_overdue(wb))
		return;
	bn_warn("output %s: the display hardware writes nothing back any more: what is shown is "
		"judged by "
		"what it is given",
		wb->ko->output->config.name);
	wb->dead = true;
	end_job(wb);
}

static int handle_fence(int fd, uint32_t mask, void *data)
{
	struct bn_kms_writeback *wb = data;
	struct bn_output *output = wb->ko->output;

	if (!wb->flipped) {
		/* The flip's event is yet to be read; it looks here. */
		wl_event_source_remove(wb->source);
		wb->source = NULL;
		return 0;
	}
	if (!finish_job(wb) || !output->observer)
		return 0;
	bn_output_enter(output);
	wb->telling = true;
	output->observer(output->observer_data, wb->when);
	wb->telling = false;
	bn_output_leave(output);
	return 0;
}

void bn_kms_writeback_committed(struct bn_kms_output *ko, bool done)
{
	struct bn_kms_writeback *wb = ko->writeback;

	if (!wb || !wb->asked)
		return;
	wb->asked = false;
	if (!done) {
		bn_fd_close(&wb->fence);
		return;
	}
	wb->flipped = false;
	wb->job_ns = bn_now_ns();
	wb->job_places = ko->output->places_latched;
	wb->serial = ko->card->serial;
	if (wb->fence >= 0)
		wb->source = wl_event_loop_add_fd(
			ko->output->loop, wb->fence, WL_EVENT_READABLE, handle_fence, wb);
}

void bn_kms_writeback_flipped(struct bn_kms_output *ko, uint64_t serial, uint64_t when_ns)
{
	struct bn_kms_writeback *wb = ko->writeback;

	if (wb && wb->rest > 0 && wb->behind)
		wb->rest--;
	if (wb && wb->behind)
		ko->capture_ns = bn_pacer_now(&ko->output->pacer) +
				 CAPTURE_REFRESHES * bn_pacer_period(&ko->output->pacer);
	if (!wb || wb->fence < 0 || wb->flipped)
		return;
	wb->flipped = true;
	wb->stale = serial != wb->serial;
	wb->job_when = when_ns;
	/* As bn_output_report() is about to count. */
	wb->job_seq = ko->output->shown_seq + (ko->latched > ko->output->reported);
	if (finish_job(wb) || wb->source)
		return;
	wb->source = wl_event_loop_add_fd(
		ko->output->loop, wb->fence, WL_EVENT_READABLE, handle_fence, wb);
}

int bn_kms_writeback_read(struct bn_kms_output *ko, const struct bn_rect *rect, uint32_t *pixels,
	struct bn_read_info *info)
{
	struct bn_kms_writeback *wb = ko->writeback;
	const struct bn_kms_dumb *dumb;

	if (!wb || !ko->output->observer)
		return -ENOTSUP;
	finish_job(wb);
	give_up_slow(wb);
	if (wb->ready < 0 || (!wb->telling && wb->seq != ko->output->shown_seq))
		return wb->fence >= 0 || (wb->behind && !wb->dead) ? -EAGAIN : -ENOTSUP;
	/* Of another scene than that which whoever asks knows. */
	if (wb->places != ko->output->places)
		return -ENOTSUP;
	dumb = &wb->dumb[wb->ready];
	if ((uint64_t)rect->x + rect->width > dumb->width ||
		(uint64_t)rect->y + rect->height > dumb->height)
		return -EAGAIN;
	for (uint32_t y = 0; y < rect->height; y++) {
		const uint32_t *row =
			(const void *)(dumb->map + (size_t)((uint32_t)rect->y + y) * dumb->stride);

		for (uint32_t x = 0; x < rect->width; x++)
			*pixels++ = row[(uint32_t)rect->x + x] & 0xffffff;
	}
	*info = (struct bn_read_info){BN_READ_WRITEBACK, wb->when, wb->seq};
	return 0;
}

bool bn_kms_writeback_hold(const struct bn_kms_output *ko)
{
	return ko->card->quirks && bn_kms_writeback_busy(ko) &&
	       bn_now_ns() - ko->writeback->job_ns < QUIRK_HOLD_MS * BN_NS_PER_MS;
}

bool bn_kms_writeback_busy(const struct bn_kms_output *ko)
{
	return ko->writeback && ko->writeback->fence >= 0 && !is_written(ko->writeback) &&
	       !is_overdue(ko->writeback);
}

void bn_kms_writeback_finish(struct bn_kms_output *ko)
{
	struct bn_kms_writeback *wb = ko->writeback;
	struct pollfd p = {.fd = wb ? wb->fence : -1, .events = POLLIN};

	if (!wb)
		return;
	if (bn_kms_writeback_busy(ko))
		poll(&p, 1, LAST_JOB_MS);
	end_job(wb);
	for (unsigned i = 0; i < BUFFERS; i++) {
		if (wb->dumb[i].handle)
			bn_kms_dumb_finish(&wb->dumb[i], ko->card);
	}
	free(wb);
	ko->writeback = NULL;
}
