/* What opaque layers hide is not drawn, and everything else is, as the reference renderer has it. */
#include <drm_fourcc.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference.h"
#include "scene_fixture.h"
#include "unit.h"

#define WIDTH 72
#define HEIGHT 56
#define PIXELS (WIDTH * HEIGHT)

static bool contains(const struct bn_rect *r, int x, int y)
{
	return x >= r->x && y >= r->y && x - r->x < (int)r->width && y - r->y < (int)r->height;
}

/* One layer at a time, on each of its pixels. */
static bool is_opaque(const struct bn_layer *layer)
{
	uint32_t fourcc = bn_buffer_attrs(layer->current.buffer)->fourcc;
	bool alpha = fourcc == DRM_FORMAT_ARGB8888 || fourcc == DRM_FORMAT_ABGR8888 ||
		     fourcc == DRM_FORMAT_RGBA8888 || fourcc == DRM_FORMAT_BGRA8888;

	return layer->place.alpha == BN_ALPHA_OPAQUE && !(layer->place.blend && alpha);
}

struct count {
	uint64_t needed; /* pixels that have something to do with what is seen */
	uint64_t all;    /* without culling */
};

static void count_pixel(const struct bn_output *output, int x, int y, struct count *count)
{
	const struct bn_layer *layer;
	uint64_t needed = 0;

	wl_list_for_each(layer, &output->layers, link)
	{
		struct bn_geometry g;

		if (bn_layer_geometry(layer, &g) && contains(&g.at, x, y)) {
			needed = is_opaque(layer) ? 1 : needed + 1;
			count->all++;
		}
		if (bn_cursor_geometry(layer, &g) && contains(&g.at, x, y)) {
			needed++;
			count->all++;
		}
	}
	count->needed += needed;
}

static void check_scene(
	struct scene_random *random, unsigned kinds, struct count *sum, unsigned *distance)
{
	static uint32_t want[PIXELS];
	unsigned layers = 1 + scene_random_below(random, 12), d;
	uint32_t *seen = NULL, width, height;
	struct count count = {0};
	struct scene_fixture scene;

	scene_fixture_init(&scene, 1 + scene_random_below(random, WIDTH),
		1 + scene_random_below(random, HEIGHT));
	for (unsigned i = 0; i < layers; i++)
		scene_fixture_add(&scene, random, kinds);
	scene_fixture_show(&scene);
	CU_ASSERT_FATAL(reference_render_output(scene.output, want));
	scene.output->drawn_pixels = 0;
	CU_ASSERT_EQUAL_FATAL(bn_output_capture(scene.output, &seen, &width, &height), 0);
	for (uint32_t i = 0; i < width * height; i++)
		count_pixel(scene.output, (int)(i % width), (int)(i / width), &count);
	CU_ASSERT_EQUAL(scene.output->drawn_pixels, count.needed);
	d = reference_distance(seen, want, (size_t)width * height, NULL);
	*distance = d > *distance ? d : *distance;
	sum->needed += count.needed;
	sum->all += count.all;
	free(seen);
	scene_fixture_finish(&scene);
}

static unsigned run(uint64_t seed, unsigned kinds)
{
	struct count sum = {0};
	unsigned distance = 0;

	for (unsigned i = 0; i < 1000; i++) {
		struct scene_random random = {seed + i};

		check_scene(&random, kinds, &sum, &distance);
	}
	CU_ASSERT(sum.needed < sum.all);
	printf("(%.0f %% of the pixels are drawn) ", 100.0 * (double)sum.needed / (double)sum.all);
	return distance;
}

static void test_exact(void)
{
	CU_ASSERT_EQUAL(run(1000, SCENE_PLAIN), 0);
	CU_ASSERT_EQUAL(run(5000, SCENE_TURNED | SCENE_MIXED | SCENE_CURSORS), 0);
}

/* As far from the reference as pixman's filter is, see test_compose.c. */
static void test_scaled(void)
{
	CU_ASSERT(run(9000, SCENE_SCALED | SCENE_TURNED | SCENE_MIXED | SCENE_CURSORS |
				    SCENE_YUV) <= 9);
}

/* ---- layers that cannot be drawn ---- */

static void handle_presented(
	void *data, const struct bn_frame *frame, enum bn_presented how, uint64_t when_ns)
{
}

static const struct bn_layer_listener listener = {.presented = handle_presented};

/* On top of the others. */
static struct bn_layer *add(struct scene_fixture *scene, struct bn_buffer *buffer)
{
	struct bn_layer *layer = bn_layer_create(scene->output, &listener, NULL);
	struct bn_frame frame = {
		.buffer = buffer, .src_width = UINT32_MAX, .src_height = UINT32_MAX};

	CU_ASSERT_PTR_NOT_NULL_FATAL(layer);
	scene->layers[scene->count++] = layer;
	bn_layer_submit(layer, &frame);
	bn_buffer_drop(buffer);
	return layer;
}

/* No CPU can read it: it is as if it were a dma-buf in tiles, of which this machine may have none. */
static struct bn_buffer *tiled_buffer(struct scene_random *random)
{
	struct bn_buffer *buffer = scene_buffer(random, DRM_FORMAT_XRGB8888, WIDTH, HEIGHT);

	((struct bn_buffer_attrs *)(uintptr_t)bn_buffer_attrs(buffer))->modifier =
		I915_FORMAT_MOD_X_TILED;
	return buffer;
}

static void compose(struct scene_fixture *scene, uint32_t *pixels, int expected)
{
	struct bn_layer *layers[BN_OUTPUT_LAYERS_MAX], *layer;
	pixman_image_t *image = pixman_image_create_bits_no_clear(
		PIXMAN_x8r8g8b8, WIDTH, HEIGHT, pixels, WIDTH * 4);
	unsigned count = 0;

	wl_list_for_each(layer, &scene->output->layers, link) layers[count++] = layer;
	memset(pixels, 0x11, PIXELS * 4);
	CU_ASSERT_EQUAL(bn_compose_layers(image, layers, count, true, NULL), expected);
	pixman_image_unref(image);
}

/* What it would hide is drawn, and drawn once: blended twice it would be another colour. */
static void test_unreadable(void)
{
	static uint32_t without[PIXELS], with[PIXELS];
	struct scene_random random = {77};
	struct scene_fixture scene;
	struct bn_place place = bn_place_default;

	scene_fixture_init(&scene, WIDTH, HEIGHT);
	add(&scene, scene_buffer(&random, DRM_FORMAT_XRGB8888, WIDTH, HEIGHT));
	place.blend = true;
	place.alpha = 0x8000;
	bn_layer_set_place(
		add(&scene, scene_buffer(&random, DRM_FORMAT_ARGB8888, WIDTH, HEIGHT)), &place);
	scene_fixture_show(&scene);
	compose(&scene, without, 0);
	place = bn_place_default;
	place.at.x = 10;
	for (unsigned i = 0; i < 3; i++)
		bn_layer_set_place(add(&scene, tiled_buffer(&random)), &place);
	scene_fixture_show(&scene);
	compose(&scene, with, -ENOTSUP);
	CU_ASSERT_EQUAL(memcmp(with, without, sizeof(with)), 0);
	/* Hidden, it does no harm. */
	add(&scene, scene_buffer(&random, DRM_FORMAT_XRGB8888, WIDTH, HEIGHT));
	scene_fixture_show(&scene);
	scene.output->drawn_pixels = 0;
	compose(&scene, with, 0);
	CU_ASSERT_EQUAL(scene.output->drawn_pixels, PIXELS);
	scene_fixture_finish(&scene);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"hidden pixels are not drawn", test_exact},
		{"nor are scaled ones", test_scaled},
		{"what cannot be read hides nothing", test_unreadable},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("compose_cull", tests);
}
