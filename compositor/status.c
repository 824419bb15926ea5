/* How an output and its layers are shown, for people and for the watchdog. */
#include <stdio.h>
#include <string.h>

#include "output_impl.h"

static const char *not_shown(const struct bn_layer *layer)
{
	struct bn_geometry geometry;

	if (layer->place.hidden)
		return "hidden";
	if (layer->place.alpha == 0)
		return "its alpha is 0";
	if (!layer->current.buffer)
		return "no frame yet, or its scanout is off";
	return bn_layer_geometry(layer, &geometry) ? NULL : "outside of the output";
}

void bn_layer_shown(const struct bn_layer *layer, struct bn_layer_shown *out)
{
	const struct bn_output *output = layer->output;
	const char *why = not_shown(layer);

	*out = (struct bn_layer_shown){.how = why ? BN_SHOWN_NOT : BN_SHOWN_COMPOSED};
	snprintf(out->why, sizeof(out->why), "%s", why ? why : "this output has no planes");
	if (!why && output->impl->shown)
		output->impl->shown(layer, out);
}

unsigned bn_output_planes(const struct bn_output *output, struct bn_plane_status *out, unsigned max)
{
	return output->impl->planes ? output->impl->planes(output, out, max) : 0;
}

void bn_output_status(const struct bn_output *output, struct bn_output_status *out)
{
	*out = output->counters;
	out->connected = true;
	out->active = bn_output_active(output);
	if (output->impl->status)
		output->impl->status(output, out);
}

bool bn_output_active(const struct bn_output *output)
{
	return !output->impl->active || output->impl->active(output);
}

void bn_output_note_active(struct bn_output *output)
{
	bool active = bn_output_active(output);

	if (active == output->told_active)
		return;
	output->told_active = active;
	if (output->active_handler)
		output->active_handler(output->active_data);
}

void bn_output_set_active_handler(struct bn_output *output, void (*handler)(void *data), void *data)
{
	output->active_handler = handler;
	output->active_data = data;
	output->told_active = bn_output_active(output);
}

void bn_output_note_mode(struct bn_output *output)
{
	if (output->mode_handler)
		output->mode_handler(output->mode_data);
}

void bn_output_set_mode_handler(struct bn_output *output, void (*handler)(void *data), void *data)
{
	output->mode_handler = handler;
	output->mode_data = data;
}

void bn_output_set_observer(
	struct bn_output *output, void (*handler)(void *data, uint64_t when_ns), void *data)
{
	output->observer = handler;
	output->observer_data = data;
	if (output->impl->observe)
		output->impl->observe(output);
}

void bn_output_set_input_listener(struct bn_output *output,
	void (*handler)(void *data, const struct bn_input_event *event), void *data)
{
	output->input = handler;
	output->input_data = data;
}
