/* Displays to which only damaged pixels are copied show what all the others show. */
#include <drm_fourcc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "common/fd.h"
#include "kms_fixture.h"

#define LAYERS 8

/* A guest that draws into one buffer, part by part. */
struct painter {
	struct kms_shown *shown;
	struct bn_buffer *buffer;
	uint32_t *pixels, width, height;
	bool y_invert;
};

static void painter_init(struct painter *p, const struct bn_place *place, uint32_t width,
	uint32_t height, bool y_invert)
{
	size_t size = (size_t)width * height * 4;
	struct bn_buffer_attrs attrs = {
		.kind = BN_BUFFER_MEMFD,
		.width = width,
		.height = height,
		.fourcc = DRM_FORMAT_XRGB8888,
		.modifier = DRM_FORMAT_MOD_LINEAR,
		.planes = 1,
		.stride = {width * 4},
		.fd = {bn_memfd_create_pages("test", size), -1, -1, -1},
		.y_invert = y_invert,
	};

	*p = (struct painter){.width = width, .height = height, .y_invert = y_invert};
	p->pixels = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, attrs.fd[0], 0);
	CU_ASSERT_FATAL(p->pixels != MAP_FAILED);
	CU_ASSERT_EQUAL_FATAL(bn_buffer_create(&p->buffer, &attrs, NULL, NULL), 0);
	p->shown = kms_add_layer(0, 0, place, width, height);
	kms_submit_buffer(p->shown, p->buffer);
}

static void painter_finish(struct painter *p)
{
	munmap(p->pixels, (size_t)p->width * p->height * 4);
	bn_buffer_drop(p->buffer);
}

/* In pixels of the picture seen upright, as guests count. */
static void paint(struct painter *p, const struct bn_rect *rect, uint32_t colour)
{
	struct bn_frame frame = {
		.buffer = p->buffer,
		.src_width = p->width,
		.src_height = p->height,
		.damage_x = (uint32_t)rect->x,
		.damage_y = (uint32_t)rect->y,
		.damage_width = rect->width,
		.damage_height = rect->height,
		.flush_ns = kms_rig.now,
	};

	for (uint32_t y = (uint32_t)rect->y; y < (uint32_t)rect->y + rect->height; y++) {
		uint32_t row = p->y_invert ? p->height - 1 - y : y;

		for (uint32_t x = 0; x < rect->width; x++)
			p->pixels[row * p->width + (uint32_t)rect->x + x] = colour + x + y;
	}
	p->shown->submitted++;
	bn_layer_submit(p->shown->layer, &frame);
}

static void paint_somewhere(struct painter *p, struct scene_random *random)
{
	struct bn_rect rect;

	rect.x = (int32_t)scene_random_below(random, p->width);
	rect.y = (int32_t)scene_random_below(random, p->height);
	rect.width = 1 + scene_random_below(random, p->width - (uint32_t)rect.x);
	rect.height = 1 + scene_random_below(random, p->height - (uint32_t)rect.y);
	paint(p, &rect, (uint32_t)scene_random_next(random) & 0xffffff);
}

static bool copy_is_right(unsigned crtc)
{
	static uint32_t pixels[WIDTH * HEIGHT];

	mock_kms_render(crtc, pixels);
	return memcmp(pixels, mock_kms_copy(crtc), sizeof(pixels)) == 0;
}

static void step(struct painter *painters, struct scene_random *random)
{
	unsigned changes = 1 + scene_random_below(random, 4);

	for (unsigned i = 0; i < changes; i++) {
		struct painter *p = &painters[scene_random_below(random, LAYERS)];
		struct bn_place place = *bn_layer_place(p->shown->layer);

		switch (scene_random_below(random, 8)) {
		case 0:
			place.hidden = !place.hidden;
			break;
		case 1:
			place.at.x = scene_random_between(random, -20, WIDTH - 10);
			break;
		case 2:
			place.z = scene_random_between(random, -2, 2);
			break;
		case 3:
			/* Another buffer, whose picture is another. */
			kms_submit(p->shown, (uint32_t)scene_random_next(random) & 0xffffff,
				p->width, p->height);
			paint_somewhere(p, random);
			break;
		default:
			paint_somewhere(p, random);
			break;
		}
		bn_layer_set_place(p->shown->layer, &place);
	}
}

static void run(const struct mock_hw *hw, uint64_t seed, struct mock_faults faults)
{
	struct scene_random random = {seed};
	struct painter painters[LAYERS];
	unsigned wrong = 0;

	kms_open_rig(hw, 1);
	mock.copies = true;
	for (unsigned i = 0; i < LAYERS; i++) {
		uint32_t width, height;
		struct bn_place place = kms_random_place(&random, &width, &height, true);

		painter_init(&painters[i], &place, width, height, scene_random_below(&random, 2));
	}
	kms_settle();
	mock.faults = faults;
	for (unsigned i = 0; i < 40; i++) {
		step(painters, &random);
		kms_pass_refresh();
		kms_pass_refresh();
		wrong += !copy_is_right(0);
	}
	/* While commits fail, guests draw into what is scanned out. */
	CU_ASSERT(wrong == 0 || faults.refuse_commits || faults.busy);
	mock.faults = (struct mock_faults){0};
	for (unsigned i = 0; i < 90; i++)
		kms_pass_refresh();
	CU_ASSERT(copy_is_right(0));
	kms_remove_layers();
	for (unsigned i = 0; i < LAYERS; i++)
		painter_finish(&painters[i]);
	kms_close_rig();
}

static void test_random(void)
{
	for (unsigned i = 0; i < 4; i++) {
		run(&mock_dpu, 100 + i, (struct mock_faults){0});
		run(&mock_imx8, 200 + i, (struct mock_faults){0});
	}
	run(&mock_rk3588, 300, (struct mock_faults){0}); /* has no such property */
}

static void test_faults(void)
{
	for (unsigned i = 0; i < 3; i++) {
		run(&mock_dpu, 400 + i,
			(struct mock_faults){.refuse_tests = 20, .refuse_commits = 20, .busy = 20});
		run(&mock_imx8, 500 + i, (struct mock_faults){.refuse_commits = 30, .busy = 30});
	}
}

/* How much is copied, and what that costs. */
static void small_steps(const struct mock_hw *hw, unsigned layers, enum bn_shown_how how)
{
	const struct bn_rect rect = {20, 30, 10, 10};
	struct bn_place place = bn_place_default;
	struct painter painters[LAYERS];
	struct mock_kms before;
	unsigned painted = 0;

	kms_open_rig(hw, 1);
	mock.copies = true;
	for (unsigned i = 0; i < layers; i++) {
		painter_init(&painters[i], &place, i ? 60 : WIDTH, i ? 60 : HEIGHT, i & 1);
		place.at.x = place.at.y = (int32_t)i * 50 + 50;
		place.z++;
	}
	kms_settle();
	while (painted < layers && kms_shown_how(painters[painted].shown) != how)
		painted++;
	CU_ASSERT_FATAL(painted < layers);
	before = mock;
	for (unsigned i = 0; i < 100; i++) {
		paint(&painters[painted], &rect, i);
		kms_pass_refresh();
		CU_ASSERT(copy_is_right(0));
	}
	CU_ASSERT_EQUAL(mock.commits, before.commits + 100);
	CU_ASSERT_EQUAL(mock.tests, before.tests);
	/* One for the square, and one for the planes that stay as they are. */
	CU_ASSERT(mock.blobs_made <= before.blobs_made + 2);
	CU_ASSERT(mock.copied >= before.copied + 100 * 100);
	CU_ASSERT(mock.copied <= before.copied + 100 * (100 + layers));
	printf("(%.0f pixels of %u a frame) ", (double)(mock.copied - before.copied) / 100,
		WIDTH * HEIGHT);
	kms_remove_layers();
	for (unsigned i = 0; i < layers; i++)
		painter_finish(&painters[i]);
	kms_close_rig();
}

static void test_small_steps(void)
{
	small_steps(&mock_dpu, 1, BN_SHOWN_PLANE);
	small_steps(&mock_dpu, 4, BN_SHOWN_PLANE);
	small_steps(&mock_imx8, 6, BN_SHOWN_COMPOSED);
}

/* Whoever had the card meanwhile has left what we know nothing of. */
static void test_master(void)
{
	const struct bn_rect rect = {20, 30, 10, 10};
	struct bn_place place = bn_place_default;
	struct painter painter;

	kms_open_rig(&mock_dpu, 1);
	mock.copies = true;
	painter_init(&painter, &place, WIDTH, HEIGHT, false);
	kms_settle();
	CU_ASSERT(copy_is_right(0));
	mock.faults.no_master = true;
	for (unsigned i = 0; i < 3; i++) {
		paint(&painter, &rect, i);
		kms_pass_refresh();
	}
	CU_ASSERT(!bn_kms_output_on(kms_output(0)));
	mock_kms_scribble(0);
	CU_ASSERT(!copy_is_right(0));
	mock.faults.no_master = false;
	bn_kms_card_set_active(kms_output(0)->card, true);
	paint(&painter, &rect, 7);
	kms_settle();
	CU_ASSERT(copy_is_right(0));
	kms_remove_layers();
	painter_finish(&painter);
	kms_close_rig();
}

static const CU_TestInfo tests[] = {
	{"random changes", test_random},
	{"commits that fail", test_faults},
	{"small changes copy little", test_small_steps},
	{"all is copied after another master", test_master},
	CU_TEST_INFO_NULL,
};

int main(void)
{
	return bn_unit_main("kms_damage", tests);
}
