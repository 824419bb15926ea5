/* Random scenes on an output whose vblanks the test makes: pictures of noise in every format, placed in every way. The
 * same seed gives the same scene. */
#ifndef BN_TEST_SCENE_FIXTURE_H
#define BN_TEST_SCENE_FIXTURE_H

#include "output_impl.h"

struct scene_random {
	uint64_t state;
};

uint64_t scene_random_next(struct scene_random *random);
/* 0 … limit - 1. */
uint32_t scene_random_below(struct scene_random *random, uint32_t limit);
/* low … high. */
int32_t scene_random_between(struct scene_random *random, int32_t low, int32_t high);

enum scene_kind {
	SCENE_PLAIN = 0,
	SCENE_TURNED = 1, /* all transforms */
	SCENE_SCALED = 2,
	SCENE_MIXED = 4, /* layers' alpha and blending */
	SCENE_CURSORS = 8,
	SCENE_YUV = 16,
};

struct scene_fixture {
	uint64_t now;
	struct wl_event_loop *loop;
	struct bn_output *output;
	struct bn_layer *layers[BN_OUTPUT_LAYERS_MAX];
	unsigned count;
};

/* Pictures begin with their buffer's first byte: for hardware that takes no others. Default: anywhere. */
extern bool scene_buffers_begin;

/* A buffer of noise of that format and size in a memfd (with BN_TEST_DMABUF: dma-bufs); its planes lie anywhere. */
struct bn_buffer *scene_buffer(
	struct scene_random *random, uint32_t fourcc, uint32_t width, uint32_t height);
/* A memfd of one colour with an edge of another around it, not as wide on each side; four bytes a pixel. */
struct bn_buffer *scene_plain_buffer(
	uint32_t fourcc, uint32_t width, uint32_t height, uint32_t colour, uint32_t edge);
/* All of the buffer as the layer's next frame, all of it changed. */
void scene_submit(struct bn_layer *layer, struct bn_buffer *buffer, uint64_t flush_ns);
/* An output without layers. */
void scene_fixture_init_output(struct scene_fixture *scene, const struct bn_output_config *config);
/* A headless one of the size. */
void scene_fixture_init(struct scene_fixture *scene, uint32_t width, uint32_t height);
/* A layer with a frame; kinds: of enum scene_kind. Shown from the next scene_fixture_show() on. */
void scene_fixture_add(struct scene_fixture *scene, struct scene_random *random, unsigned kinds);
void scene_fixture_show(struct scene_fixture *scene);
void scene_fixture_finish(struct scene_fixture *scene);

#endif
