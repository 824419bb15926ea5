#include <drm_fourcc.h>
#include <stdio.h>
#include <string.h>

#include "kms_fixture.h"
#include "reference.h"

struct kms_rig kms_rig;

static uint64_t clock_now(void *data)
{
	return kms_rig.now;
}

static void handle_presented(
	void *data, const struct bn_frame *frame, enum bn_presented how, uint64_t when_ns)
{
	struct kms_shown *shown = data;

	shown->answered++;
	shown->presented += how == BN_PRESENTED_SHOWN;
	if (how == BN_PRESENTED_SHOWN)
		shown->last_ns = when_ns;
}

static const struct bn_layer_listener listener = {.presented = handle_presented};

struct bn_kms_output *kms_output(unsigned i)
{
	return bn_kms_output_of(kms_rig.output[i]);
}

/* Everything that the loop has to do. */
void kms_run_loop(void)
{
	for (unsigned i = 0; i < 2; i++)
		wl_event_loop_dispatch(kms_rig.loop, 0);
}

void kms_open_rig(const struct mock_hw *hw, unsigned outputs)
{
	struct bn_output_config config = {.name = "test",
		.kind = BN_OUTPUT_KMS,
		.width = WIDTH,
		.height = HEIGHT,
		.refresh_mhz = 60000,
		.card = "/dev/dri/card0"};
	struct bn_clock clock = {clock_now, NULL};

	memset(&kms_rig, 0, sizeof(kms_rig));
	kms_rig.now = BN_NS_PER_S;
	kms_rig.loop = wl_event_loop_create();
	mock_kms_start(hw);
	for (; kms_rig.outputs < outputs; kms_rig.outputs++)
		CU_ASSERT_EQUAL_FATAL(bn_output_create_clocked(&kms_rig.output[kms_rig.outputs],
					      kms_rig.loop, &config, &clock),
			0);
}

void kms_remove_layers(void)
{
	for (unsigned i = 0; i < kms_rig.count; i++) {
		bn_layer_destroy(kms_rig.layers[i].layer);
		CU_ASSERT_EQUAL(kms_rig.layers[i].answered, kms_rig.layers[i].submitted);
	}
	kms_rig.count = 0;
}

void kms_close_rig(void)
{
	kms_remove_layers();
	for (unsigned i = 0; i < kms_rig.outputs; i++)
		bn_output_destroy(kms_rig.output[i]);
	mock_kms_stop();
	wl_event_loop_destroy(kms_rig.loop);
}

struct bn_buffer *kms_make_buffer(uint32_t colour, uint32_t width, uint32_t height)
{
	return scene_plain_buffer(DRM_FORMAT_XRGB8888, width, height, colour, colour);
}

void kms_submit_buffer(struct kms_shown *shown, struct bn_buffer *buffer)
{
	shown->submitted++;
	scene_submit(shown->layer, buffer, kms_rig.now);
}

void kms_submit(struct kms_shown *shown, uint32_t colour, uint32_t width, uint32_t height)
{
	struct bn_buffer *buffer = kms_make_buffer(colour, width, height);

	kms_submit_buffer(shown, buffer);
	bn_buffer_drop(buffer);
}

struct kms_shown *kms_add_layer(unsigned output, uint32_t colour, const struct bn_place *place,
	uint32_t width, uint32_t height)
{
	struct kms_shown *shown = &kms_rig.layers[kms_rig.count++];

	*shown = (struct kms_shown){
		.layer = bn_layer_create(kms_rig.output[output], &listener, shown)};
	CU_ASSERT_PTR_NOT_NULL_FATAL(shown->layer);
	bn_layer_set_place(shown->layer, place);
	kms_submit(shown, colour, width, height);
	return shown;
}

void kms_run_timers(void)
{
	kms_run_loop();
	for (unsigned i = 0; i < kms_rig.outputs; i++)
		bn_pacer_run(&kms_rig.output[i]->pacer);
	kms_run_loop();
}

/* A millisecond at a time to the next vblank, which comes. */
void kms_pass_refresh(void)
{
	uint64_t end = kms_rig.now + PERIOD;

	for (; kms_rig.now + BN_NS_PER_MS < end; kms_rig.now += BN_NS_PER_MS)
		kms_run_timers();
	kms_rig.now = end;
	mock_kms_vblank(kms_rig.now);
	kms_run_timers();
}

void kms_settle(void)
{
	for (unsigned i = 0; i < 4; i++)
		kms_pass_refresh();
}

enum bn_shown_how kms_shown_how(const struct kms_shown *shown)
{
	struct bn_layer_shown out;

	bn_layer_shown(shown->layer, &out);
	return out.how;
}

/* What is scanned out is what is to be shown. */
static bool picture_is_right(unsigned output)
{
	static uint32_t seen[WIDTH * HEIGHT], want[WIDTH * HEIGHT];

	mock_kms_render(kms_output(output)->crtc_index, seen);
	CU_ASSERT(reference_render_output(kms_rig.output[output], want));
	return memcmp(seen, want, sizeof(seen)) == 0;
}

void kms_check_invariants(unsigned output, uint64_t seed)
{
	bool right = picture_is_right(output);

	CU_ASSERT(right);
	if (!right)
		printf("[%s seed %llu] ", mock.hw->name, (unsigned long long)seed);
	CU_ASSERT(mock_kms_composed_on(kms_output(output)->crtc_index) <= 1);
}

struct bn_place kms_random_place(
	struct scene_random *random, uint32_t *width, uint32_t *height, bool scale)
{
	struct bn_place place = bn_place_default;

	*width = 8 + scene_random_below(random, 200);
	*height = 8 + scene_random_below(random, 150);
	place.at.x = scene_random_between(random, -20, WIDTH - 10);
	place.at.y = scene_random_between(random, -20, HEIGHT - 10);
	if (scale && scene_random_below(random, 3) == 0) {
		place.at.width = *width / 2 + scene_random_below(random, 3 * *width);
		place.at.height = *height / 2 + scene_random_below(random, 3 * *height);
	}
	if (scene_random_below(random, 6) == 0) {
		*width = WIDTH;
		*height = HEIGHT;
		place.at = (struct bn_rect){0};
	}
	place.z = scene_random_between(random, -2, 2);
	return place;
}

void kms_build_scene(struct scene_random *random, unsigned output, bool scale)
{
	unsigned layers = 1 + scene_random_below(random, 12);

	for (unsigned i = 0; i < layers && kms_rig.count < BN_OUTPUT_LAYERS_MAX; i++) {
		uint32_t width, height;
		struct bn_place place = kms_random_place(random, &width, &height, scale);

		kms_add_layer(output, (uint32_t)scene_random_next(random) & 0xffffff, &place, width,
			height);
	}
}

unsigned kms_unanswered(const struct kms_shown *shown)
{
	return shown->submitted - shown->answered;
}
