/* From queued to latched to reported: which frame of a layer is its picture, and who is told. */
#include "output_impl.h"

struct bn_queued *bn_layer_queued(struct bn_layer *layer, unsigned i)
{
	return &layer->queue[(layer->first + i) % BN_LAYER_QUEUE];
}

void bn_layer_report_oldest(struct bn_layer *layer, enum bn_presented how, uint64_t when_ns)
{
	struct bn_queued oldest = *bn_layer_queued(layer, 0);

	layer->first = (layer->first + 1) % BN_LAYER_QUEUE;
	layer->queued--;
	/* A host compositor's clock is its own: never before the frame existed. */
	if (when_ns < oldest.submit_ns)
		when_ns = oldest.submit_ns;
	if (how == BN_PRESENTED_SHOWN && oldest.frame.flush_ns != 0 &&
		oldest.frame.flush_ns <= when_ns)
		bn_histogram_add(&layer->output->counters.latency, when_ns - oldest.frame.flush_ns);
	layer->listener->presented(layer->data, &oldest.frame, how, when_ns);
	bn_buffer_unlock(oldest.frame.buffer);
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* Frames that were never shown changed something too: what they damaged is still to be shown. */
static void add_damage(struct bn_frame *to, const struct bn_frame *from)
{
	uint32_t right, bottom;

	if (from->damage_width == 0 || from->damage_height == 0)
		return;
	if (to->damage_width == 0 || to->damage_height == 0) {
		to->damage_x = from->damage_x;
		to->damage_y = from->damage_y;
		to->damage_width = from->damage_width;
		to->damage_height = from->damage_height;
		return;
	}
	right = max_u32(to->damage_x + to->damage_width, from->damage_x + from->damage_width);
	bottom = max_u32(to->damage_y + to->damage_height, from->damage_y + from->damage_height);
	to->damage_x = min_u32(to->damage_x, from->damage_x);
	to->damage_y = min_u32(to->damage_y, from->damage_y);
	to->damage_width = right - to->damage_x;
	to->damage_height = bottom - to->damage_y;
}

static bool same_source(const struct bn_frame *a, const struct bn_frame *b)
{
	return a->buffer == b->buffer && a->src_x == b->src_x && a->src_y == b->src_y &&
	       a->src_width == b->src_width && a->src_height == b->src_height;
}

/* What a guest calls damage is relative to that buffer: after another one everything is new. */
static void carry_damage(struct bn_frame *frame, const struct bn_frame *before)
{
	if (same_source(before, frame)) {
		add_damage(frame, before);
		return;
	}
	frame->damage_x = frame->damage_y = 0;
	frame->damage_width = frame->buffer ? bn_buffer_attrs(frame->buffer)->width : 0;
	frame->damage_height = frame->buffer ? bn_buffer_attrs(frame->buffer)->height : 0;
}

void bn_layer_drop_pending(struct bn_layer *layer, struct bn_queued *newer)
{
	while (layer->queued > 0) {
		struct bn_queued dropped = *bn_layer_queued(layer, layer->queued - 1);

		if (dropped.commit != 0)
			return;
		layer->queued--;
		carry_damage(&newer->frame, &dropped.frame);
		layer->listener->presented(layer->data, &dropped.frame, BN_PRESENTED_SUPERSEDED,
			newer->submit_ns);
		bn_buffer_unlock(dropped.frame.buffer);
		/* It takes the place in time as well: a layer that gets frames without end is to be
		 * latched nevertheless. */
		newer->submit_ns = dropped.submit_ns;
	}
}

static void set_current(struct bn_layer *layer, const struct bn_frame *frame)
{
	struct bn_frame old = layer->current;

	layer->current = *frame;
	if (frame->buffer)
		bn_buffer_lock(frame->buffer);
	if (layer->fresh || !same_source(&old, frame))
		carry_damage(&layer->current, &old);
	layer->fresh = true;
	bn_buffer_unlock(old.buffer);
}

static bool latch_layer(struct bn_layer *layer, uint64_t commit, uint64_t before_ns)
{
	struct bn_queued *newest = NULL;

	for (unsigned i = 0; i < layer->queued; i++) {
		struct bn_queued *queued = bn_layer_queued(layer, i);

		if (queued->commit != 0 || queued->submit_ns >= before_ns)
			continue;
		if (newest) {
			newest->how = BN_PRESENTED_SUPERSEDED;
			carry_damage(&queued->frame, &newest->frame);
		}
		queued->commit = commit;
		queued->how = BN_PRESENTED_SHOWN;
		newest = queued;
	}
	if (newest)
		set_current(layer, &newest->frame);
	if (newest && layer->place.role == BN_ROLE_FALLBACK)
		layer->output->places++;
	return newest != NULL;
}

void bn_output_touch(struct bn_output *output, const struct bn_layer *layer)
{
	/* What shows nothing changes nothing: its first frame does. */
	if (!layer || layer->current.buffer) {
		output->changed = true;
		if (output->changed_ns == 0)
			output->changed_ns = bn_pacer_now(&output->pacer);
	}
	output->impl->schedule(output);
}

static bool latch_change(struct bn_output *output, uint64_t commit, uint64_t before_ns)
{
	if (!output->changed || output->changed_ns >= before_ns)
		return false;
	output->changed = false;
	output->changed_commit = commit;
	return true;
}

uint64_t bn_output_latch(struct bn_output *output, uint64_t before_ns)
{
	uint64_t commit = output->commit + 1;
	struct bn_layer *layer;
	bool any = latch_change(output, commit, before_ns);

	bn_output_enter(output); /* buffers may be released */
	wl_list_for_each(layer, &output->layers, link) any |= latch_layer(layer, commit, before_ns);
	if (any) {
		output->commit = commit;
		output->frames++;
	}
	if (!output->changed)
		output->places_latched = output->places;
	bn_output_leave(output);
	return output->commit;
}

static void report_layer(struct bn_layer *layer, uint64_t commit, uint64_t when_ns)
{
	/* Frames that a listener submits meanwhile are not latched and end the loop. */
	while (layer->queued > 0) {
		const struct bn_queued *oldest = bn_layer_queued(layer, 0);

		if (oldest->commit == 0 || oldest->commit > commit)
			break;
		bn_layer_report_oldest(layer, oldest->how, when_ns);
	}
}

static void report_shown(struct bn_output *output, uint64_t commit, uint64_t when_ns)
{
	output->reported = commit;
	if (output->changed_commit <= commit)
		output->changed_ns = output->changed ? bn_pacer_now(&output->pacer) : 0;
	output->shown_seq++;
	output->shown_ns = when_ns;
	output->counters.flips++;
	if (output->observer)
		output->observer(output->observer_data, when_ns);
}

void bn_output_report(struct bn_output *output, uint64_t commit, uint64_t when_ns)
{
	struct bn_layer *layers[BN_OUTPUT_LAYERS_MAX], *layer;
	unsigned count = 0;

	bn_output_enter(output);
	/* Listed first: a listener may give its layer another height. */
	wl_list_for_each(layer, &output->layers, link)
	{
		if (!layer->dead && count < BN_OUTPUT_LAYERS_MAX)
			layers[count++] = layer;
	}
	for (unsigned i = 0; i < count; i++)
		report_layer(layers[i], commit, when_ns);
	if (commit > output->reported)
		report_shown(output, commit, when_ns);
	bn_output_leave(output);
}

bool bn_output_unlatched(const struct bn_output *output)
{
	struct bn_layer *layer;

	if (output->changed)
		return true;
	wl_list_for_each(layer, &output->layers, link)
	{
		/* The newest is the last to be latched. */
		if (layer->queued > 0 && bn_layer_queued(layer, layer->queued - 1)->commit == 0)
			return true;
	}
	return false;
}

bool bn_output_oldest(const struct bn_output *output, uint64_t *submit_ns)
{
	struct bn_layer *layer;
	bool found = output->changed_ns != 0;

	*submit_ns = output->changed_ns;
	wl_list_for_each(layer, &output->layers, link)
	{
		if (layer->queued == 0)
			continue;
		if (!found || bn_layer_queued(layer, 0)->submit_ns < *submit_ns)
			*submit_ns = bn_layer_queued(layer, 0)->submit_ns;
		found = true;
	}
	return found;
}
