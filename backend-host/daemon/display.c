#include "display.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"

static void handle_closed(void *data)
{
	struct bn_display *d = data;
	bn_info("output %s: its window was closed; guests see the display unplugged "
		"(binnaclectl output %s on brings it back)",
		bn_display_name(d), bn_display_name(d));
	bn_display_set_enabled(d, false);
}

static void report(struct bn_display *d)
{
	if (d->all->changed)
		d->all->changed(d->all->data, d);
}

static void handle_mode(void *data)
{
	report(data);
}

static int open_output(struct bn_displays *displays, struct wl_event_loop *loop,
	const struct bn_output_config *config)
{
	struct bn_display *d = &displays->display[displays->count];
	*d = (struct bn_display){.all = displays, .enabled = true};
	int ret = bn_output_create(&d->output, loop, config);
	if (ret < 0) {
		bn_error("output %s: %s", config->name,
			ret == -ENOTSUP ? "this kind of output is not part of this build"
					: strerror(-ret));
		return ret;
	}
	bn_output_set_closed_handler(d->output, handle_closed, d);
	bn_output_set_mode_handler(d->output, handle_mode, d);
	displays->count++;
	return 0;
}

int bn_displays_init(struct bn_displays *displays, struct wl_event_loop *loop,
	const struct bn_settings *settings)
{
	*displays = (struct bn_displays){0};
	for (size_t i = 0; i < settings->num_outputs; i++) {
		int ret = open_output(displays, loop, &settings->outputs[i].config);
		if (ret < 0) {
			bn_displays_finish(displays);
			return ret;
		}
	}
	return 0;
}

void bn_displays_finish(struct bn_displays *displays)
{
	while (displays->count > 0)
		bn_output_destroy(displays->display[--displays->count].output);
}

const char *bn_display_name(const struct bn_display *d)
{
	return bn_output_config(d->output)->name;
}

struct bn_display *bn_displays_find(struct bn_displays *displays, const char *name)
{
	for (size_t i = 0; i < displays->count; i++) {
		if (strcmp(bn_display_name(&displays->display[i]), name) == 0)
			return &displays->display[i];
	}
	return NULL;
}

int bn_display_set_mode(struct bn_display *d, unsigned width, unsigned height, unsigned refresh_mhz)
{
	int ret = bn_output_set_mode(d->output, width, height, refresh_mhz);
	if (ret == 0)
		report(d);
	return ret;
}

void bn_display_set_enabled(struct bn_display *d, bool enabled)
{
	if (d->enabled == enabled)
		return;
	d->enabled = enabled;
	report(d);
}

/* A display without a size gets one for 96 dots per inch, so that guests do not guess
 * differently. */
static uint32_t millimetres(uint32_t given, uint32_t pixels)
{
	return given != 0 ? given : (pixels * 254 + 480) / 960;
}

static void describe(const struct bn_display *d, struct bn_link_display *out)
{
	const struct bn_output_config *config = bn_output_config(d->output);
	*out = (struct bn_link_display){
		.enabled = d->enabled,
		.width = config->width,
		.height = config->height,
		.refresh_mhz = config->refresh_mhz,
		.width_mm = millimetres(config->width_mm, config->width),
		.height_mm = millimetres(config->height_mm, config->height),
	};
	snprintf(out->name, sizeof(out->name), "%.13s", config->name);
}

void bn_displays_describe(
	struct bn_displays *displays, const struct bn_settings_vm *vm, struct bn_link_displays *out)
{
	*out = (struct bn_link_displays){0};
	for (unsigned i = 0; i < vm->num_scanouts; i++) {
		const struct bn_display *d = bn_displays_find(displays, vm->scanout[i]);
		if (d)
			describe(d, &out->display[i]);
	}
}
