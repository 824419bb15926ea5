/* Outputs on the mock of mock_kms.h, with a clock that the test moves. */
#ifndef BN_TEST_KMS_FIXTURE_H
#define BN_TEST_KMS_FIXTURE_H

#include "kms_impl.h"
#include "mock_kms.h"
#include "scene_fixture.h"
#include "unit.h"

#define WIDTH 640u
#define HEIGHT 480u
#define PERIOD (BN_NS_PER_S / 60)

struct kms_shown {
	struct bn_layer *layer;
	unsigned submitted, answered, presented;
	uint64_t last_ns;
};

struct kms_rig {
	uint64_t now;
	struct wl_event_loop *loop;
	struct bn_output *output[2];
	unsigned outputs;
	struct kms_shown layers[BN_OUTPUT_LAYERS_MAX];
	unsigned count;
};
extern struct kms_rig kms_rig;

/* The i-th output's private part. */
struct bn_kms_output *kms_output(unsigned i);
void kms_open_rig(const struct mock_hw *hw, unsigned outputs);
void kms_close_rig(void);
/* Layers go; each frame has been answered once. */
void kms_remove_layers(void);
/* Everything that the loop, and the timers, have to do. */
void kms_run_loop(void);
void kms_run_timers(void);
/* To the next vblank, which comes; settle: four of them. */
void kms_pass_refresh(void);
void kms_settle(void);
/* One colour. */
struct bn_buffer *kms_make_buffer(uint32_t colour, uint32_t width, uint32_t height);
void kms_submit_buffer(struct kms_shown *shown, struct bn_buffer *buffer);
void kms_submit(struct kms_shown *shown, uint32_t colour, uint32_t width, uint32_t height);
struct kms_shown *kms_add_layer(unsigned output, uint32_t colour, const struct bn_place *place,
	uint32_t width, uint32_t height);
/* Frames that wait for their answer. */
unsigned kms_unanswered(const struct kms_shown *shown);
enum bn_shown_how kms_shown_how(const struct kms_shown *shown);
/* What is scanned out is what is to be shown, and one plane at most is composed. */
void kms_check_invariants(unsigned output, uint64_t seed);
struct bn_place kms_random_place(
	struct scene_random *random, uint32_t *width, uint32_t *height, bool scale);
/* Up to twelve layers of one colour each. */
void kms_build_scene(struct scene_random *random, unsigned output, bool scale);

#endif
