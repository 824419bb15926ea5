#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "output_impl.h"

static bool mode_is_valid(uint32_t width, uint32_t height, uint32_t refresh_mhz)
{
	return width >= 1 && width <= 8192 && height >= 1 && height <= 8192 &&
	       refresh_mhz >= 1000 && refresh_mhz <= 1000000;
}

static bool config_is_valid(const struct bn_output_config *config)
{
	return memchr(config->name, '\0', sizeof(config->name)) &&
	       mode_is_valid(config->width, config->height, config->refresh_mhz) &&
	       (config->kind == BN_OUTPUT_HEADLESS || config->kind == BN_OUTPUT_WAYLAND ||
		       config->kind == BN_OUTPUT_KMS) &&
	       memchr(config->card, '\0', sizeof(config->card)) &&
	       memchr(config->connector, '\0', sizeof(config->connector));
}

static const struct bn_output_impl *kind_impl(enum bn_output_kind kind)
{
	return kind == BN_OUTPUT_KMS	     ? &bn_kms_impl
	       : kind == BN_OUTPUT_WAYLAND ? &bn_wayland_impl
					   : &bn_headless_impl;
}

static void handle_tick(void *data, uint64_t now_ns)
{
	struct bn_output *output = data;

	output->impl->tick(output, now_ns);
}

static int start(struct bn_output *output, const struct bn_clock *clock)
{
	int r = bn_pacer_init(&output->pacer, output->loop, clock, output->config.refresh_mhz,
		handle_tick, output);

	if (r < 0)
		return r;
	r = output->impl->start ? output->impl->start(output) : 0;
	if (r < 0)
		bn_pacer_finish(&output->pacer);
	return r;
}

int bn_output_create_clocked(struct bn_output **out, struct wl_event_loop *loop,
	const struct bn_output_config *config, const struct bn_clock *clock)
{
	struct bn_output *output;
	int r;

	*out = NULL;
	if (!config_is_valid(config))
		return -EINVAL;
	output = calloc(1, sizeof(*output));
	if (!output)
		return -ENOMEM;
	output->impl = kind_impl(config->kind);
	output->config = *config;
	output->loop = loop;
	wl_list_init(&output->layers);
	bn_histogram_init(&output->counters.commit);
	bn_histogram_init(&output->counters.latency);
	r = start(output, clock);
	if (r < 0) {
		free(output);
		return r;
	}
	*out = output;
	return 0;
}

int bn_output_create(
	struct bn_output **out, struct wl_event_loop *loop, const struct bn_output_config *config)
{
	return bn_output_create_clocked(out, loop, config, NULL);
}

void bn_output_destroy(struct bn_output *output)
{
	if (!output)
		return;
	assert(wl_list_empty(&output->layers));
	assert(output->depth == 0);
	output->impl->stop(output);
	if (output->idle)
		wl_event_source_remove(output->idle);
	bn_pacer_finish(&output->pacer);
	free(output);
}

const struct bn_output_config *bn_output_config(const struct bn_output *output)
{
	return &output->config;
}

int bn_output_set_mode(
	struct bn_output *output, uint32_t width, uint32_t height, uint32_t refresh_mhz)
{
	if (!mode_is_valid(width, height, refresh_mhz))
		return -EINVAL;
	output->config.width = width;
	output->config.height = height;
	output->config.refresh_mhz = refresh_mhz;
	bn_pacer_set_refresh(&output->pacer, refresh_mhz);
	output->places++;
	if (output->impl->resize)
		output->impl->resize(output);
	bn_output_touch(output, NULL);
	return 0;
}

void bn_output_set_closed_handler(struct bn_output *output, void (*handler)(void *data), void *data)
{
	output->closed = handler;
	output->closed_data = data;
}

uint64_t bn_output_frames(const struct bn_output *output)
{
	return output->frames;
}

static void handle_idle(void *data)
{
	struct bn_output *output = data;

	output->idle = NULL;
	output->impl->soon(output);
}

void bn_output_soon(struct bn_output *output)
{
	if (output->idle)
		return;
	if (output->depth == 0)
		output->idle = wl_event_loop_add_idle(output->loop, handle_idle, output);
	if (!output->idle)
		bn_pacer_arm(&output->pacer, bn_pacer_now(&output->pacer));
}
