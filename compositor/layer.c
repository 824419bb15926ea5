#include <assert.h>
#include <drm_mode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "output_impl.h"

void bn_output_enter(struct bn_output *output)
{
	output->depth++;
}

void bn_output_leave(struct bn_output *output)
{
	struct bn_layer *layer, *next;

	assert(output->depth > 0);
	if (--output->depth > 0 || !output->has_dead)
		return;
	output->has_dead = false;
	wl_list_for_each_safe(layer, next, &output->layers, link)
	{
		if (!layer->dead)
			continue;
		wl_list_remove(&layer->link);
		free(layer);
	}
}

/* Roles that z orders among each other share a rank. */
static int rank(const struct bn_layer *layer)
{
	return layer->place.role == BN_ROLE_FALLBACK;
}

static bool is_above(const struct bn_layer *a, const struct bn_layer *b)
{
	if (rank(a) != rank(b))
		return rank(a) > rank(b);
	if (a->place.z != b->place.z)
		return a->place.z > b->place.z;
	return a->age > b->age;
}

static void insert_by_height(struct bn_layer *layer)
{
	struct wl_list *after = layer->output->layers.prev;

	while (after != &layer->output->layers) {
		struct bn_layer *below = wl_container_of(after, below, link);

		if (is_above(layer, below))
			break;
		after = after->prev;
	}
	wl_list_insert(after, &layer->link);
}

struct bn_layer *bn_layer_create(
	struct bn_output *output, const struct bn_layer_listener *listener, void *data)
{
	struct bn_layer *layer;

	assert(listener->presented);
	if (output->layer_count >= BN_OUTPUT_LAYERS_MAX)
		return NULL;
	layer = calloc(1, sizeof(*layer));
	if (!layer)
		return NULL;
	layer->output = output;
	layer->listener = listener;
	layer->data = data;
	layer->place = bn_place_default;
	layer->vm = UINT32_MAX;
	layer->age = output->layers_made++;
	insert_by_height(layer);
	output->layer_count++;
	return layer;
}

void bn_layer_destroy(struct bn_layer *layer)
{
	struct bn_output *output;
	bool seen;

	if (!layer)
		return;
	output = layer->output;
	seen = layer->current.buffer;
	assert(!layer->dead);
	bn_output_enter(output);
	layer->dead = true;
	output->has_dead = true;
	output->layer_count--;
	while (layer->queued > 0)
		bn_layer_report_oldest(layer, BN_PRESENTED_DISCARDED, bn_pacer_now(&output->pacer));
	if (output->impl->layer_finish)
		output->impl->layer_finish(layer);
	bn_buffer_unlock(layer->current.buffer);
	layer->current.buffer = NULL;
	bn_output_leave(output);
	output->places += seen;
	if (seen)
		bn_output_touch(output, NULL);
	else
		output->impl->schedule(output);
}

void bn_layer_set_position(struct bn_layer *layer, int32_t x, int32_t y)
{
	struct bn_place place = layer->place;

	place.at.x = x;
	place.at.y = y;
	bn_layer_set_place(layer, &place);
}

static void limit_size(struct bn_rect *rect)
{
	if (rect->width > BN_PLACE_MAX)
		rect->width = BN_PLACE_MAX;
	if (rect->height > BN_PLACE_MAX)
		rect->height = BN_PLACE_MAX;
}

/* Of several turns the first counts. */
static uint32_t valid_transform(uint32_t transform)
{
	uint32_t turn = transform & DRM_MODE_ROTATE_MASK;

	return (turn & (~turn + 1)) | (transform & DRM_MODE_REFLECT_MASK);
}

static struct bn_place valid_place(const struct bn_place *place)
{
	struct bn_place valid = *place;

	limit_size(&valid.crop);
	limit_size(&valid.at);
	valid.transform = valid_transform(place->transform);
	if (place->role != BN_ROLE_SAFETY && place->role != BN_ROLE_FALLBACK)
		valid.role = BN_ROLE_NORMAL;
	return valid;
}

static bool same_rect(const struct bn_rect *a, const struct bn_rect *b)
{
	return a->x == b->x && a->y == b->y && a->width == b->width && a->height == b->height;
}

static bool same_place(const struct bn_place *a, const struct bn_place *b)
{
	return same_rect(&a->crop, &b->crop) && same_rect(&a->at, &b->at) &&
	       a->transform == b->transform && a->alpha == b->alpha && a->blend == b->blend &&
	       a->hidden == b->hidden && a->z == b->z && a->role == b->role;
}

void bn_layer_set_place(struct bn_layer *layer, const struct bn_place *place)
{
	struct bn_place valid = valid_place(place);

	if (same_place(&layer->place, &valid))
		return;
	layer->place = valid;
	layer->output->places += layer->current.buffer != NULL;
	wl_list_remove(&layer->link);
	insert_by_height(layer);
	bn_output_touch(layer->output, layer);
}

const struct bn_place *bn_layer_place(const struct bn_layer *layer)
{
	return &layer->place;
}

void bn_layer_set_owner(struct bn_layer *layer, const char *name, uint32_t vm, unsigned planes)
{
	snprintf(layer->name, sizeof(layer->name), "%s", name);
	layer->vm = vm;
	layer->planes = planes;
}

const char *bn_layer_name(const struct bn_layer *layer)
{
	return layer->name;
}

const struct bn_frame *bn_layer_current(const struct bn_layer *layer)
{
	return &layer->current;
}

/* Cuts [*start, *start + *length) at limit; both may come from a guest. */
static void cut(uint32_t *start, uint32_t *length, uint32_t limit)
{
	if (*start > limit)
		*start = limit;
	if (*length > limit - *start)
		*length = limit - *start;
}

/* Nothing past here looks outside the buffer. */
static void cut_frame(struct bn_frame *frame)
{
	const struct bn_buffer_attrs *attrs;

	if (!frame->buffer)
		return;
	attrs = bn_buffer_attrs(frame->buffer);
	cut(&frame->src_x, &frame->src_width, attrs->width);
	cut(&frame->src_y, &frame->src_height, attrs->height);
	cut(&frame->damage_x, &frame->damage_width, attrs->width);
	cut(&frame->damage_y, &frame->damage_height, attrs->height);
}

static enum bn_presented queued_how(const struct bn_queued *queued)
{
	return queued->commit ? queued->how : BN_PRESENTED_SUPERSEDED;
}

void bn_layer_submit(struct bn_layer *layer, const struct bn_frame *frame)
{
	struct bn_output *output = layer->output;
	struct bn_queued queued = {
		.frame = *frame,
		.submit_ns = bn_pacer_now(&output->pacer),
	};

	assert(!layer->dead);
	cut_frame(&queued.frame);
	if (frame->buffer)
		bn_buffer_lock(frame->buffer);
	bn_output_enter(output);
	/* A loop, because the listener may submit from inside the report. */
	while (layer->queued == BN_LAYER_QUEUE)
		bn_layer_report_oldest(
			layer, queued_how(bn_layer_queued(layer, 0)), queued.submit_ns);
	if (layer->newest_only)
		bn_layer_drop_pending(layer, &queued);
	if (layer->dead)
		bn_buffer_unlock(queued.frame.buffer);
	else
		*bn_layer_queued(layer, layer->queued++) = queued;
	bn_output_leave(output);
	output->impl->schedule(output);
}

void bn_layer_set_newest_only(struct bn_layer *layer, bool newest_only)
{
	layer->newest_only = newest_only;
}

void bn_layer_set_cursor(
	struct bn_layer *layer, const uint32_t *pixels, uint32_t hot_x, uint32_t hot_y)
{
	struct bn_cursor *cursor = &layer->cursor;

	if (!pixels && !cursor->visible)
		return;
	cursor->visible = pixels != NULL;
	cursor->hot_x = hot_x < BN_CURSOR_SIZE ? hot_x : BN_CURSOR_SIZE - 1;
	cursor->hot_y = hot_y < BN_CURSOR_SIZE ? hot_y : BN_CURSOR_SIZE - 1;
	if (pixels)
		memcpy(cursor->pixels, pixels, sizeof(cursor->pixels));
	cursor->fresh = true;
	bn_output_touch(layer->output, layer);
}

void bn_layer_move_cursor(struct bn_layer *layer, int32_t x, int32_t y)
{
	if (layer->cursor.x == x && layer->cursor.y == y)
		return;
	layer->cursor.x = x;
	layer->cursor.y = y;
	if (layer->cursor.visible)
		bn_output_touch(layer->output, layer);
}
