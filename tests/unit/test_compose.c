/* Composition against the reference renderer, on random scenes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference.h"
#include "scene_fixture.h"
#include "unit.h"

#define WIDTH_MAX 72
#define HEIGHT_MAX 56
#define PIXELS_MAX (WIDTH_MAX * HEIGHT_MAX)

/* pixman interpolates with weights of seven bits: four of 255 of an edge from black to white, for each layer that
 * is drawn through. */
#define SCALED_DISTANCE 9
/* Per channel, on average. */
#define SCALED_AVERAGE 2

struct difference {
	unsigned max;
	uint64_t total, channels;
};

static void random_scene(struct scene_fixture *scene, struct scene_random *random, unsigned kinds)
{
	unsigned layers = 1 + scene_random_below(random, 5);

	scene_fixture_init(scene, 1 + scene_random_below(random, WIDTH_MAX),
		1 + scene_random_below(random, HEIGHT_MAX));
	for (unsigned i = 0; i < layers; i++)
		scene_fixture_add(scene, random, kinds);
	scene_fixture_show(scene);
}

static void compare(struct scene_fixture *scene, struct difference *difference)
{
	static uint32_t want[PIXELS_MAX];
	uint32_t *seen = NULL, width, height;
	uint64_t total;
	unsigned max;

	CU_ASSERT_FATAL(reference_render_output(scene->output, want));
	CU_ASSERT_EQUAL_FATAL(bn_output_capture(scene->output, &seen, &width, &height), 0);
	max = reference_distance(seen, want, (size_t)width * height, &total);
	if (max > difference->max)
		difference->max = max;
	difference->total += total;
	difference->channels += 3ull * width * height;
	free(seen);
}

static void run_scenes(uint64_t seed, unsigned count, unsigned kinds, struct difference *difference)
{
	*difference = (struct difference){0};
	for (unsigned i = 0; i < count; i++) {
		struct scene_random random = {seed + i};
		struct scene_fixture scene;
		unsigned before = difference->max;

		random_scene(&scene, &random, kinds);
		compare(&scene, difference);
		if (difference->max > before && difference->max > SCALED_DISTANCE)
			printf("[seed %llu: %u] ", (unsigned long long)(seed + i), difference->max);
		scene_fixture_finish(&scene);
	}
}

static void assert_exact(uint64_t seed, unsigned count, unsigned kinds)
{
	struct difference difference;

	run_scenes(seed, count, kinds, &difference);
	CU_ASSERT_EQUAL(difference.max, 0);
}

static void test_plain(void)
{
	assert_exact(1000, 1000, SCENE_PLAIN);
}

static void test_turned(void)
{
	assert_exact(20000, 1500, SCENE_TURNED);
}

static void test_mixed(void)
{
	assert_exact(40000, 1500, SCENE_TURNED | SCENE_MIXED | SCENE_CURSORS);
}

/* The last bit hangs on which way a value is rounded that is in the middle, of 16 bits and then of eight. */
static void test_yuv(void)
{
	struct difference difference;

	run_scenes(60000, 1500, SCENE_YUV | SCENE_TURNED | SCENE_MIXED, &difference);
	CU_ASSERT(difference.max <= 1);
	CU_ASSERT(difference.total <= difference.channels / 100000);
}

static void test_scaled(void)
{
	struct difference difference;

	run_scenes(80000, 1500,
		SCENE_SCALED | SCENE_TURNED | SCENE_MIXED | SCENE_CURSORS | SCENE_YUV, &difference);
	printf("(at most %u, %.2f on average) ", difference.max,
		(double)difference.total / (double)difference.channels);
	CU_ASSERT(difference.max <= SCALED_DISTANCE);
	CU_ASSERT(difference.total <= SCALED_AVERAGE * difference.channels);
}

/* ---- parts ---- */

#define GROUND 0x00345678u

struct image {
	uint32_t pixels[PIXELS_MAX];
	pixman_image_t *image;
	int width, height;
};

static void image_init(struct image *image, int width, int height)
{
	image->width = width;
	image->height = height;
	for (int i = 0; i < width * height; i++)
		image->pixels[i] = GROUND;
	image->image = pixman_image_create_bits_no_clear(
		PIXMAN_x8r8g8b8, width, height, image->pixels, width * 4);
}

static unsigned list(struct bn_output *output, struct bn_layer **layers)
{
	struct bn_layer *layer;
	unsigned count = 0;

	wl_list_for_each(layer, &output->layers, link) layers[count++] = layer;
	return count;
}

static bool is_in(pixman_region32_t *region, int x, int y)
{
	return pixman_region32_contains_point(region, x, y, NULL);
}

static void random_region(
	struct scene_random *random, pixman_region32_t *region, int width, int height)
{
	unsigned boxes = scene_random_below(random, 4);

	pixman_region32_init(region);
	for (unsigned i = 0; i < boxes; i++)
		pixman_region32_union_rect(region, region, scene_random_between(random, -10, width),
			scene_random_between(random, -10, height),
			1 + scene_random_below(random, (uint32_t)width),
			1 + scene_random_below(random, (uint32_t)height));
}

/* Drawn within a region: inside of it as without, outside of it untouched. */
static void check_region(struct scene_fixture *scene, struct scene_random *random)
{
	static struct image whole, part;
	int width = (int)scene->output->config.width, height = (int)scene->output->config.height;
	struct bn_layer *layers[BN_OUTPUT_LAYERS_MAX];
	unsigned count = list(scene->output, layers), wrong = 0;
	bool cursors = scene_random_below(random, 2);
	pixman_region32_t region;

	image_init(&whole, width, height);
	image_init(&part, width, height);
	random_region(random, &region, width, height);
	CU_ASSERT_EQUAL(bn_compose_layers(whole.image, layers, count, cursors, NULL), 0);
	CU_ASSERT_EQUAL(bn_compose_layers(part.image, layers, count, cursors, &region), 0);
	for (int i = 0; i < width * height; i++) {
		uint32_t want = is_in(&region, i % width, i / width) ? whole.pixels[i] : GROUND;

		wrong += ((part.pixels[i] ^ want) & 0xffffff) != 0;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	pixman_region32_fini(&region);
	pixman_image_unref(whole.image);
	pixman_image_unref(part.image);
}

/* Read in parts: the same as read as a whole. */
static void check_read(struct scene_fixture *scene, struct scene_random *random)
{
	static uint32_t part[PIXELS_MAX];
	uint32_t width, height, *whole = NULL;
	struct bn_rect rect;
	struct bn_read_info info;
	unsigned wrong = 0;

	CU_ASSERT_EQUAL_FATAL(bn_output_capture(scene->output, &whole, &width, &height), 0);
	rect.x = (int32_t)scene_random_below(random, width);
	rect.y = (int32_t)scene_random_below(random, height);
	rect.width = 1 + scene_random_below(random, width - (uint32_t)rect.x);
	rect.height = 1 + scene_random_below(random, height - (uint32_t)rect.y);
	CU_ASSERT_EQUAL(bn_output_read(scene->output, &rect, part, &info), 0);
	CU_ASSERT_EQUAL(info.source, BN_READ_LAYER);
	CU_ASSERT_EQUAL(info.seq, scene->output->shown_seq);
	for (uint32_t i = 0; i < rect.width * rect.height; i++) {
		uint32_t x = (uint32_t)rect.x + i % rect.width;
		uint32_t y = (uint32_t)rect.y + i / rect.width;

		wrong += part[i] != whole[y * width + x];
	}
	CU_ASSERT_EQUAL(wrong, 0);
	free(whole);
}

static void test_parts(void)
{
	for (unsigned i = 0; i < 1500; i++) {
		struct scene_random random = {100000 + i};
		struct scene_fixture scene;

		random_scene(&scene, &random,
			SCENE_SCALED | SCENE_TURNED | SCENE_MIXED | SCENE_CURSORS | SCENE_YUV);
		check_region(&scene, &random);
		check_read(&scene, &random);
		scene_fixture_finish(&scene);
	}
}

static void test_read_limits(void)
{
	static const struct bn_rect bad[] = {{0, 0, 0, 1}, {0, 0, 1, 0}, {-1, 0, 1, 1},
		{0, -1, 2, 2}, {40, 0, 1, 1}, {39, 0, 2, 1}, {0, 30, 1, 1}, {0, 29, 1, 2},
		{0, 0, UINT32_MAX, UINT32_MAX}, {INT32_MAX, INT32_MAX, UINT32_MAX, UINT32_MAX}};
	struct bn_rect corner = {39, 29, 1, 1};
	struct scene_fixture scene;
	struct bn_read_info info;
	uint32_t pixel = UINT32_MAX;

	scene_fixture_init(&scene, 40, 30);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(bn_output_read(scene.output, &bad[i], &pixel, &info), -EINVAL);
	CU_ASSERT_EQUAL(pixel, UINT32_MAX);
	CU_ASSERT_EQUAL(bn_output_read(scene.output, &corner, &pixel, &info), 0);
	CU_ASSERT_EQUAL(pixel, 0);
	scene_fixture_finish(&scene);
}

/* A layer by itself, whatever its place: every pixel of its scanout. */
static void test_layer_capture(void)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < 500; i++) {
		struct scene_random random = {200000 + i};
		struct scene_fixture scene;
		uint32_t *pixels = NULL, width, height;
		struct bn_layer *layer;
		struct reference_layer reference;

		scene_fixture_init(&scene, 10, 10);
		scene_fixture_add(&scene, &random, SCENE_SCALED | SCENE_TURNED | SCENE_YUV);
		layer = scene.layers[0];
		CU_ASSERT_EQUAL(bn_layer_capture(layer, &pixels, &width, &height), -ENOENT);
		scene_fixture_show(&scene);
		CU_ASSERT_EQUAL_FATAL(bn_layer_capture(layer, &pixels, &width, &height), 0);
		CU_ASSERT_EQUAL(width, layer->current.src_width);
		CU_ASSERT_EQUAL(height, layer->current.src_height);
		CU_ASSERT_FATAL(reference_layer_init(&reference, layer));
		for (uint32_t j = 0; j < width * height; j++) {
			uint32_t want =
				reference_pixel(&reference, (int)(layer->current.src_x + j % width),
					(int)(layer->current.src_y + j / width), false);

			wrong += pixels[j] != (want & 0xffffff);
			CU_ASSERT_FATAL(reference_distance(&pixels[j], &want, 1, NULL) <= 1);
		}
		reference_layer_finish(&reference);
		free(pixels);
		scene_fixture_finish(&scene);
	}
	CU_ASSERT(wrong <= 20); /* of half a million, see test_yuv */
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"as they are", test_plain},
		{"turned", test_turned},
		{"with alpha and cursors", test_mixed},
		{"YUV", test_yuv},
		{"scaled", test_scaled},
		{"parts are as the whole", test_parts},
		{"reading outside is refused", test_read_limits},
		{"a layer by itself", test_layer_capture},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("compose", tests);
}
