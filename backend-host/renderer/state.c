/* What the journal holds, and how a device is made of it again. Records name guest addresses and
 * sizes, never host pointers, and pass through the same checks as a guest's commands when they
 * are read: the process that wrote them may not have been itself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "device.h"

enum record_type {
	RECORD_2D = 1,   /* struct record_2d */
	RECORD_3D,       /* struct bn_gl_resource_args */
	RECORD_UNREF,    /* struct record_id */
	RECORD_BACKING,  /* struct record_backing + entries; count 0: detached */
	RECORD_SCANOUT,  /* struct record_scanout */
	RECORD_CTX,      /* struct record_ctx */
	RECORD_CTX_GONE, /* struct record_id */
};

struct record_2d {
	uint32_t id, format, width, height;
};
struct record_id {
	uint32_t id, reserved;
};
struct record_backing {
	uint32_t id, count;
};
struct record_scanout {
	uint32_t index, res_id;
	struct virtio_gpu_rect src;
};
struct record_ctx {
	uint32_t id, capset_id;
	char name[64];
};

/* ---- writing ---- */

static void resource_write(struct bn_journal *journal, const struct bn_resource *res)
{
	struct record_2d record = {res->id, res->format, res->width, res->height};

	if (res->is_3d)
		bn_journal_append(journal, RECORD_3D, &res->args, sizeof(res->args), NULL, 0);
	else
		bn_journal_append(journal, RECORD_2D, &record, sizeof(record), NULL, 0);
}

static void backing_write(struct bn_journal *journal, const struct bn_resource *res)
{
	const struct bn_backing *b = &res->backing;
	struct record_backing record = {res->id, b->count};

	bn_journal_append(journal, RECORD_BACKING, &record, sizeof(record), b->entries,
		b->count * sizeof(*b->entries));
}

static void scanout_write(struct bn_journal *journal, const struct bn_device *dev, unsigned index)
{
	struct record_scanout record = {index, dev->scanout[index].res_id, dev->scanout[index].src};

	bn_journal_append(journal, RECORD_SCANOUT, &record, sizeof(record), NULL, 0);
}

static void context_write(struct bn_journal *journal, const struct bn_context *ctx)
{
	struct record_ctx record = {ctx->id, ctx->capset_id, {0}};

	memcpy(record.name, ctx->name, sizeof(record.name));
	bn_journal_append(journal, RECORD_CTX, &record, sizeof(record), NULL, 0);
}

static void backings_write(struct bn_journal *journal, const struct bn_device *dev, bool is_3d)
{
	const struct bn_resource *res;
	uint32_t at = 0;

	while ((res = bn_idmap_next(&dev->resources, &at))) {
		if (res->backing.entries && res->is_3d == is_3d)
			backing_write(journal, res);
	}
}

/* What is large comes last: if there is no room for all, that is what a successor lacks. */
static void handle_live(void *data, struct bn_journal *journal)
{
	struct bn_device *dev = data;
	void *object;
	uint32_t at = 0;

	while ((object = bn_idmap_next(&dev->resources, &at)))
		resource_write(journal, object);
	at = 0;
	while ((object = bn_idmap_next(&dev->contexts, &at)))
		context_write(journal, object);
	for (unsigned i = 0; i < dev->config.num_scanouts; i++) {
		if (dev->scanout[i].res_id != 0)
			scanout_write(journal, dev, i);
	}
	backings_write(journal, dev, false);
	backings_write(journal, dev, true);
}

static const struct bn_journal_ops journal_ops = {.live = handle_live};

void bn_state_resource(struct bn_device *dev, const struct bn_resource *res)
{
	resource_write(dev->journal, res);
}

void bn_state_unref(struct bn_device *dev, uint32_t id)
{
	struct record_id record = {.id = id};

	bn_journal_append(dev->journal, RECORD_UNREF, &record, sizeof(record), NULL, 0);
}

void bn_state_backing(struct bn_device *dev, const struct bn_resource *res)
{
	backing_write(dev->journal, res);
}

void bn_state_scanout(struct bn_device *dev, unsigned index)
{
	scanout_write(dev->journal, dev, index);
}

void bn_state_context(struct bn_device *dev, const struct bn_context *ctx)
{
	context_write(dev->journal, ctx);
}

void bn_state_context_gone(struct bn_device *dev, uint32_t id)
{
	struct record_id record = {.id = id};

	bn_journal_append(dev->journal, RECORD_CTX_GONE, &record, sizeof(record), NULL, 0);
}

void bn_state_reset(struct bn_device *dev)
{
	if (dev->journal)
		bn_journal_compact(dev->journal);
}

/* ---- reading ---- */

/* The last word on each object; the pointers lead into the journal, which nobody writes
 * meanwhile. */
struct past_resource {
	const struct record_2d *two; /* one of these two */
	const struct bn_gl_resource_args *three;
	const struct record_backing *backing;
};
struct past {
	struct bn_idmap resources; /* struct past_resource */
	struct bn_idmap contexts;  /* const struct record_ctx, not owned */
	struct record_scanout scanout[BN_LINK_SCANOUTS];
};

static void past_forget(struct past *past, uint32_t id)
{
	free(bn_idmap_remove(&past->resources, id));
}

static void past_resource(struct past *past, uint32_t id, const struct record_2d *two,
	const struct bn_gl_resource_args *three)
{
	struct past_resource *res;

	past_forget(past, id);
	if (id == 0 || past->resources.count >= BN_RESOURCES_MAX)
		return;
	res = calloc(1, sizeof(*res));
	if (!res)
		return;
	res->two = two;
	res->three = three;
	if (bn_idmap_put(&past->resources, id, res) < 0)
		free(res);
}

static void past_backing(struct past *past, const struct record_backing *record, uint32_t size)
{
	struct past_resource *res = bn_idmap_get(&past->resources, record->id);

	if (res && record->count <= BN_BACKING_ENTRIES_MAX &&
		size == sizeof(*record) + record->count * sizeof(struct bn_backing_entry))
		res->backing = record->count > 0 ? record : NULL;
}

static void past_context(struct past *past, const struct record_ctx *record)
{
	bn_idmap_remove(&past->contexts, record->id);
	if (record->id != 0 && past->contexts.count < BN_CONTEXTS_MAX)
		bn_idmap_put(&past->contexts, record->id, (void *)record);
}

static void handle_record(void *data, uint32_t type, const void *payload, uint32_t size)
{
	struct past *past = data;
	const struct record_id *id = payload;
	const struct record_scanout *so = payload;
	const struct bn_gl_resource_args *args = payload;

	if (type == RECORD_2D && size == sizeof(struct record_2d))
		past_resource(past, id->id, payload, NULL);
	else if (type == RECORD_3D && size == sizeof(*args))
		past_resource(past, args->id, NULL, args);
	else if (type == RECORD_UNREF && size == sizeof(*id))
		past_forget(past, id->id);
	else if (type == RECORD_BACKING && size >= sizeof(struct record_backing))
		past_backing(past, payload, size);
	else if (type == RECORD_SCANOUT && size == sizeof(*so) && so->index < BN_LINK_SCANOUTS)
		past->scanout[so->index] = *so;
	else if (type == RECORD_CTX && size == sizeof(struct record_ctx))
		past_context(past, payload);
	else if (type == RECORD_CTX_GONE && size == sizeof(*id))
		bn_idmap_remove(&past->contexts, id->id);
}

static void rebuild_backing(
	struct bn_device *dev, struct bn_resource *res, const struct record_backing *record)
{
	size_t size = record->count * sizeof(struct bn_backing_entry);
	struct bn_backing_entry *entries = malloc(size);

	if (!entries)
		return;
	memcpy(entries, record + 1, size);
	bn_backing_attach(dev, res, entries, record->count, true);
}

static void rebuild_resource(struct bn_device *dev, const struct past_resource *past)
{
	struct bn_gl_resource_args args;
	struct bn_resource *res;
	uint32_t id, r;

	if (past->two) {
		struct virtio_gpu_resource_create_2d c = {
			.resource_id = past->two->id,
			.format = past->two->format,
			.width = past->two->width,
			.height = past->two->height,
		};

		id = c.resource_id;
		r = bn_resource_create_2d(dev, &c);
	} else {
		args = *past->three;
		id = args.id;
		r = bn_resource_create_3d(dev, &args);
	}
	if (r != VIRTIO_GPU_RESP_OK_NODATA) {
		bn_warn("resource %u of the renderer before this one cannot be made again (0x%04x)",
			id, r);
		return;
	}
	res = bn_resource_get(dev, id);
	res->refill = !res->is_3d;
	if (past->backing)
		rebuild_backing(dev, res, past->backing);
}

static void rebuild_scanout(struct bn_device *dev, const struct record_scanout *past)
{
	struct bn_resource *res = bn_resource_get(dev, past->res_id);
	const struct virtio_gpu_rect *r = &past->src;

	if (!res || past->index >= dev->config.num_scanouts || r->width == 0 || r->height == 0 ||
		r->x >= res->width || r->width > res->width - r->x || r->y >= res->height ||
		r->height > res->height - r->y || res->width > BN_2D_SIZE_MAX ||
		res->height > BN_2D_SIZE_MAX)
		return;
	bn_scanout_set(dev, past->index, res, r);
}

static void rebuild(struct bn_device *dev, const struct past *past)
{
	const void *object;
	uint32_t at = 0;

	while ((object = bn_idmap_next(&past->resources, &at)))
		rebuild_resource(dev, object);
	at = 0;
	while ((object = bn_idmap_next(&past->contexts, &at))) {
		const struct record_ctx *ctx = object;
		char name[65] = {0};

		memcpy(name, ctx->name, sizeof(ctx->name));
		bn_context_create(dev, ctx->id, ctx->capset_id, name, true);
	}
	for (unsigned i = 0; i < BN_LINK_SCANOUTS; i++)
		rebuild_scanout(dev, &past->scanout[i]);
	bn_stat_add(&dev->stats->context_losses, dev->contexts.count);
	bn_info("took over %u resources of the renderer before this one; %u GL contexts are lost",
		dev->resources.count, dev->contexts.count);
}

static void past_finish(struct past *past)
{
	void *object;
	uint32_t at = 0;

	while ((object = bn_idmap_next(&past->resources, &at)))
		free(object);
	bn_idmap_finish(&past->resources);
	bn_idmap_finish(&past->contexts);
}

int bn_state_open(struct bn_device *dev, int fd, uint64_t size, bool restore)
{
	struct bn_journal *journal;
	struct past past = {0};
	int r = bn_journal_create(&journal, fd, size, restore, &journal_ops, dev);

	if (r < 0)
		return r;
	if (restore) {
		bn_journal_replay(journal, handle_record, &past);
		rebuild(dev, &past);
		past_finish(&past);
	}
	dev->journal = journal;
	bn_journal_compact(journal);
	return 0;
}
