#include "kms_rig.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define SETTLE_MS 15000

unsigned kms_rig_presented[3];

static void handle_presented(
	void *data, const struct bn_frame *frame, enum bn_presented how, uint64_t when_ns)
{
	kms_rig_presented[how]++;
}

static const struct bn_layer_listener listener = {.presented = handle_presented};

static void handle_shown(void *data, uint64_t when_ns)
{
}

int kms_rig_open(struct kms_rig *rig, struct wl_event_loop *loop, const char *card,
	const char *connector, uint32_t width, uint32_t height, uint32_t refresh_mhz)
{
	int r;

	*rig = (struct kms_rig){
		.scene.loop = loop,
		.config =
			{
				.name = "test",
				.kind = BN_OUTPUT_KMS,
				.width = width,
				.height = height,
				.refresh_mhz = refresh_mhz,
			},
	};
	snprintf(rig->config.card, sizeof(rig->config.card), "%s", card);
	snprintf(rig->config.connector, sizeof(rig->config.connector), "%s", connector);
	scene_buffers_begin = true;
	r = bn_output_create(&rig->scene.output, loop, &rig->config);
	if (r == 0)
		bn_output_set_observer(rig->scene.output, handle_shown, rig);
	return r;
}

void kms_rig_clear(struct kms_rig *rig)
{
	for (unsigned i = 0; i < rig->scene.count; i++)
		bn_layer_destroy(rig->scene.layers[i]);
	rig->scene.count = 0;
}

void kms_rig_close(struct kms_rig *rig)
{
	kms_rig_clear(rig);
	bn_output_destroy(rig->scene.output);
}

void kms_rig_run(struct wl_event_loop *loop, unsigned ms)
{
	uint64_t end = bn_now_ns() + ms * BN_NS_PER_MS;

	do
		wl_event_loop_dispatch(loop, 1);
	while (bn_now_ns() < end);
}

bool kms_rig_settle(struct kms_rig *rig)
{
	const struct bn_kms_output *ko = bn_kms_output_of(rig->scene.output);
	uint64_t end = bn_now_ns() + SETTLE_MS * BN_NS_PER_MS;

	while (bn_now_ns() < end) {
		wl_event_loop_dispatch(rig->scene.loop, 5);
		if (!bn_output_unlatched(rig->scene.output) && ko->serial == 0 && !ko->dirty &&
			!ko->modeset)
			return true;
	}
	return false;
}

unsigned kms_rig_distance(struct kms_rig *rig)
{
	struct bn_output *output = rig->scene.output;
	const struct bn_output_config *config = bn_output_config(output);
	struct bn_rect all = {0, 0, config->width, config->height};
	size_t count = (size_t)all.width * all.height;
	uint32_t *seen = malloc(count * 4), *want = malloc(count * 4);
	struct bn_read_info info = {0};
	unsigned distance = 1000;
	int r = -EAGAIN;

	CU_ASSERT_FATAL(seen && want);
	CU_ASSERT(kms_rig_settle(rig));
	for (unsigned i = 0; i < 500 && r == -EAGAIN; i++) {
		r = bn_output_read(output, &all, seen, &info);
		if (r == -EAGAIN)
			kms_rig_run(rig->scene.loop, 10);
	}
	CU_ASSERT_EQUAL(r, 0);
	CU_ASSERT_EQUAL(info.source, BN_READ_WRITEBACK);
	if (r == 0 && info.source == BN_READ_WRITEBACK && reference_render_output(output, want))
		distance = reference_distance(seen, want, count, NULL);
	free(seen);
	free(want);
	return distance;
}

struct bn_buffer *kms_rig_buffer(uint32_t colour, uint32_t width, uint32_t height)
{
	return scene_plain_buffer(DRM_FORMAT_ARGB8888, width, height, colour, 0xff204060);
}

void kms_rig_submit(struct bn_layer *layer, struct bn_buffer *buffer)
{
	scene_submit(layer, buffer, bn_now_ns());
}

struct bn_layer *kms_rig_layer(
	struct kms_rig *rig, uint32_t colour, int32_t x, int32_t y, uint32_t width, uint32_t height)
{
	struct bn_layer *layer = bn_layer_create(rig->scene.output, &listener, NULL);
	struct bn_buffer *buffer = kms_rig_buffer(colour, width, height);
	char name[16];

	CU_ASSERT_PTR_NOT_NULL_FATAL(layer);
	snprintf(name, sizeof(name), "layer %u", rig->scene.count);
	bn_layer_set_owner(layer, name, UINT32_MAX, 0);
	rig->scene.layers[rig->scene.count++] = layer;
	bn_layer_set_position(layer, x, y);
	kms_rig_submit(layer, buffer);
	bn_buffer_drop(buffer);
	return layer;
}

struct bn_output_status kms_rig_status(const struct kms_rig *rig)
{
	static struct bn_output_status status;

	bn_output_status(rig->scene.output, &status);
	return status;
}
