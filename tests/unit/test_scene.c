/* Scenes as values: every fault, and random scenes against a painter that knows nothing of rectangles. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include <drm_mode.h>

#include "compositor/scene.h"

static const struct bn_output_config left = {.name = "left", .width = 64, .height = 48};
static const struct bn_output_config right = {.name = "right", .width = 48, .height = 64};
static const struct bn_output_config *const outputs[] = {&left, &right};

static bool vm_scanouts(void *data, const char *vm, unsigned *scanouts)
{
	*scanouts = 2;
	return strcmp(vm, "a") == 0 || strcmp(vm, "b") == 0;
}

static const struct bn_scene_world world = {
	.outputs = outputs, .num_outputs = 2, .vm_scanouts = vm_scanouts};

static struct bn_scene scene;
static char said[8192];
static unsigned lines_said;

static void report(void *data, const struct bn_scene_layer *layer, const char *fault)
{
	size_t len = strlen(said);
	CU_ASSERT_TRUE(layer >= scene.layers && layer < scene.layers + scene.num_layers);
	CU_ASSERT_PTR_NULL(strchr(fault, '\n'));
	snprintf(said + len, sizeof(said) - len, "%s\n", fault);
	lines_said++;
}

static unsigned check(void)
{
	said[0] = '\0';
	lines_said = 0;
	unsigned faults = bn_scene_check(&scene, &world, report, NULL);
	CU_ASSERT_EQUAL(faults, lines_said);
	CU_ASSERT_EQUAL(bn_scene_check(&scene, &world, NULL, NULL), faults);
	return faults;
}

static struct bn_scene_layer *add(const char *name, const char *output)
{
	struct bn_scene_layer *l = &scene.layers[scene.num_layers++];
	*l = (struct bn_scene_layer){.vm = "a", .place = bn_place_default};
	snprintf(l->name, sizeof(l->name), "%s", name);
	snprintf(l->output, sizeof(l->output), "%s", output);
	return l;
}

/* A layer that is in order, in a scene of its own. */
static struct bn_scene_layer *one(void)
{
	scene.num_layers = 0;
	return add("one", "left");
}

/* That exactly one fault is found, which names the layer and says so. */
static void refused(const char *name, const char *part)
{
	char prefix[64];
	unsigned faults = check();
	snprintf(prefix, sizeof(prefix), "layer %s: ", name);
	if (faults != 1 || !strstr(said, part) || strncmp(said, prefix, strlen(prefix)) != 0)
		printf("\n%s: \"%s\" expected, got %u: %s\n", name, part, faults, said);
	CU_ASSERT_EQUAL(faults, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, part));
	CU_ASSERT_EQUAL(strncmp(said, prefix, strlen(prefix)), 0);
}

static void accepted(void)
{
	unsigned faults = check();
	if (faults)
		printf("\nnothing expected, got: %s\n", said);
	CU_ASSERT_EQUAL(faults, 0);
}

static void test_empty(void)
{
	scene.num_layers = 0;
	accepted();
	one();
	accepted();
	CU_ASSERT_PTR_EQUAL(bn_scene_find(&scene, "one"), &scene.layers[0]);
	CU_ASSERT_PTR_NULL(bn_scene_find(&scene, "two"));
}

static void test_names(void)
{
	strcpy(one()->output, "centre");
	refused("one", "there is no output 'centre'; outputs are: left, right");
	one()->output[0] = '\0';
	refused("one", "output= is expected");
	strcpy(one()->vm, "c");
	refused("one", "there is no vm 'c'; the name of a [vm NAME] section is expected");
	one()->vm[0] = '\0';
	refused("one", "vm= is expected");
	one()->scanout = 2;
	refused("one", "vm a has no scanout 2; scanout.2=OUTPUT in [vm a] is expected");
	one();
	add("one", "right");
	refused("one", "another layer has that name");
	one()->name[0] = '\0';
	refused("", "no name");
}

static void test_room(void)
{
	scene.num_layers = 0;
	for (unsigned i = 0; i < BN_OUTPUT_LAYERS_MAX + 2; i++) {
		char name[16];
		snprintf(name, sizeof(name), "l%u", i);
		add(name, "left");
		if (i + 1 == BN_OUTPUT_LAYERS_MAX)
			accepted();
	}
	refused("l24", "output left has 24 layers already");
}

static void test_rectangles(void)
{
	one()->place.crop = (struct bn_rect){0, 0, 10, 0};
	refused("one", "crop=0,0,10,0");
	one()->place.crop = (struct bn_rect){-1, 0, 10, 10};
	refused("one", "crop=-1,0,10,10");
	one()->place.crop = (struct bn_rect){INT32_MAX, 0, UINT32_MAX, 10};
	refused("one", "is no part of a screen");
	one()->place.at = (struct bn_rect){0, 0, 10, 0};
	refused("one", "size=10x0");
	one()->place.at = (struct bn_rect){0, 0, UINT32_MAX, 10};
	refused("one", "size=4294967295x10");
	one()->place.at = (struct bn_rect){INT32_MIN, 0, 10, 10};
	refused("one", "too far away");
	one()->place.at = (struct bn_rect){.x = 64};
	refused("one", "outside of output left: 64x48 at 64,0 of 64x48");
	one()->place.at = (struct bn_rect){.y = -48};
	refused("one", "outside of output left");
	one()->place.at = (struct bn_rect){.x = 63, .y = -47};
	accepted();
	one()->place.crop = (struct bn_rect){0, 0, 20, 10};
	scene.layers[0].place.at.y = -20;
	scene.layers[0].place.transform = DRM_MODE_ROTATE_90;
	refused("one", "outside of output left: 10x20 at 0,-20");
	scene.layers[0].place.at.y = -19;
	accepted();
}

static void test_transforms(void)
{
	static const uint32_t good[] = {0, DRM_MODE_ROTATE_0, DRM_MODE_ROTATE_180,
		DRM_MODE_ROTATE_90 | DRM_MODE_REFLECT_X,
		DRM_MODE_ROTATE_270 | DRM_MODE_REFLECT_X | DRM_MODE_REFLECT_Y};
	static const uint32_t bad[] = {
		DRM_MODE_ROTATE_90 | DRM_MODE_ROTATE_180, 0x40, 0x80000001, UINT32_MAX};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		one()->place.transform = good[i];
		accepted();
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		one()->place.transform = bad[i];
		refused("one", "rotate= 0, 90, 180 or 270 is expected");
	}
	one()->place.role = BN_ROLE_FALLBACK;
	refused("one", "role=normal or role=safety");
}

static void scale(uint32_t w, uint32_t h, uint32_t to_w, uint32_t to_h, uint32_t transform)
{
	struct bn_place *p = &one()->place;
	p->crop = (struct bn_rect){0, 0, w, h};
	p->at = (struct bn_rect){0, 0, to_w, to_h};
	p->transform = transform;
}

static void test_scaling(void)
{
	scale(10, 10, 160, 160, 0);
	accepted();
	scale(10, 10, 161, 10, 0);
	refused("one", "10x10 of the screen as 161x10: at most 16 times");
	scale(160, 160, 10, 10, 0);
	accepted();
	scale(160, 161, 10, 10, 0);
	refused("one", "16 times");
	scale(2, 100, 100, 32, DRM_MODE_ROTATE_90);
	accepted();
	scale(2, 100, 100, 33, DRM_MODE_ROTATE_90);
	refused("one", "100x2 of the screen as 100x33");
	one()->place.at = (struct bn_rect){0, 0, 1, 16384}; /* of a picture of unknown size */
	accepted();
}

static struct bn_scene_layer *safety(int32_t x, int32_t y, uint32_t w, uint32_t h)
{
	struct bn_scene_layer *l = add("safe", "left");
	l->place.role = BN_ROLE_SAFETY;
	l->place.at = (struct bn_rect){x, y, w, h};
	return l;
}

static void test_safety_alone(void)
{
	scene.num_layers = 0;
	safety(0, 0, 0, 0);
	accepted();
	scene.layers[0].place.hidden = true;
	refused("safe", "never hidden");
	scene.layers[0].place.hidden = false;
	scene.layers[0].place.alpha = 0xfffe;
	refused("safe", "alpha=100 and blend=no");
	scene.layers[0].place.alpha = BN_ALPHA_OPAQUE;
	scene.layers[0].place.blend = true;
	refused("safe", "alpha=100 and blend=no");
	scene.layers[0].place.blend = false;
	scene.layers[0].place.at.x = 1;
	refused("safe", "64x48 at 1,0 does not fit into 64x48");
	scene.layers[0].place.at = (struct bn_rect){1, 1, 63, 47};
	accepted();
	scene.layers[0].place.at.y = -1;
	refused("safe", "does not fit");
	scene.layers[0].place.at = (struct bn_rect){0};
	scene.layers[0].place.transform = DRM_MODE_ROTATE_270;
	refused("safe", "48x64 at 0,0 does not fit");
	scene.layers[0].place.crop = (struct bn_rect){8, 8, 48, 64};
	accepted();
}

static void test_openings(void)
{
	struct bn_scene_layer *l = one();
	l->openings[l->num_openings++] = (struct bn_rect){1, 1, 2, 2};
	refused("one", "opening.0= is for layers with role=safety");
	l->place.role = BN_ROLE_SAFETY;
	accepted();
	l->num_openings = 3; /* two that are not given */
	accepted();
	l->openings[2] = (struct bn_rect){60, 40, 5, 2};
	refused("one", "opening.2=60,40,5,2 lies outside of the layer, which is at 0,0 and 64x48");
	l->openings[2] = (struct bn_rect){60, 40, 0, 2};
	refused("one", "opening.2=60,40,0,2 is no part");
	l->num_openings = 5;
	refused("one", "5 openings; at most 4");
}

static void test_cover(void)
{
	scene.num_layers = 0;
	struct bn_scene_layer *s = safety(10, 10, 20, 20), *n = add("map", "left");
	n->place.at = (struct bn_rect){29, 29, 10, 10};
	refused("map", "it covers safety layer safe on output left at 29,29 1x1; another place, a "
		       "lower z=, or an opening.N= of safe");
	n->place.at.x = 30;
	accepted();
	n->place.at.x = 29;
	n->place.hidden = true;
	accepted();
	n->place.hidden = false;
	n->place.z = -1;
	accepted();
	n->place.z = 0;
	s->place.z = 1;
	accepted();
	s->place.z = INT32_MIN;
	n->place.z = INT32_MAX;
	CU_ASSERT_EQUAL(check(), 1);
	strcpy(n->output, "right");
	accepted();
	strcpy(n->output, "left");
	s->openings[s->num_openings++] = (struct bn_rect){29, 29, 1, 1};
	accepted();
	n->place.alpha = 0; /* may be changed any time */
	n->place.at.x = 28;
	CU_ASSERT_EQUAL(check(), 1);
	/* Its size is the guest's to choose: all that lies to the right and below. */
	n->place.at = (struct bn_rect){-63, -47, 0, 0};
	CU_ASSERT_EQUAL(check(), 1);
	n->place.at = (struct bn_rect){30, 0, 0, 0};
	accepted();
	/* The later one of the same height is above. */
	scene.layers[2] = scene.layers[0];
	scene.layers[0] = scene.layers[1];
	scene.layers[1] = scene.layers[2];
	scene.layers[0].place.at = (struct bn_rect){10, 10, 20, 20};
	scene.layers[0].place.z = scene.layers[1].place.z = 5;
	accepted();
}

static void test_overlap(void)
{
	scene.num_layers = 0;
	safety(0, 0, 20, 20);
	struct bn_scene_layer *camera = safety(19, 19, 10, 10);
	strcpy(camera->name, "camera");
	refused("camera", "it overlaps safety layer safe on output left at 19,19 1x1");
	scene.layers[0].openings[scene.layers[0].num_openings++] = (struct bn_rect){18, 18, 2, 2};
	accepted();
	camera->place.z = -1;
	refused("safe", "it overlaps safety layer camera");
}

/* ---- random scenes ---- */

static uint32_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % n;
}

static void random_rect(struct bn_rect *r)
{
	*r = (struct bn_rect){(int32_t)random_below(40), (int32_t)random_below(30),
		1 + random_below(24), 1 + random_below(18)};
}

static void random_layer(unsigned i)
{
	char name[16];
	snprintf(name, sizeof(name), "l%u", i);
	struct bn_scene_layer *l = add(name, random_below(8) ? "left" : "right");
	random_rect(&l->place.at);
	if (random_below(5) == 0)
		l->place.at.width = l->place.at.height = 0;
	else if (random_below(4) == 0)
		l->place.at.x -= 24;
	if (random_below(3) == 0)
		random_rect(&l->place.crop);
	l->place.z = (int32_t)random_below(4) - 2;
	l->place.transform = 1u << random_below(4);
	l->place.role = random_below(3) == 0 ? BN_ROLE_SAFETY : BN_ROLE_NORMAL;
	if (l->place.role == BN_ROLE_NORMAL) {
		l->place.hidden = random_below(8) == 0;
		l->place.alpha = random_below(2) ? 100 : BN_ALPHA_OPAQUE;
		return;
	}
	for (; l->num_openings < BN_SCENE_OPENINGS_MAX && random_below(3); l->num_openings++)
		random_rect(&l->openings[l->num_openings]);
	/* Otherwise hardly any would lie inside. */
	for (unsigned k = 0; l->place.at.width && k < l->num_openings; k++) {
		struct bn_rect *o = &l->openings[k];
		o->width = 1 + o->width % l->place.at.width;
		o->height = 1 + o->height % l->place.at.height;
		o->x = l->place.at.x + o->x % (int32_t)(l->place.at.width - o->width + 1);
		o->y = l->place.at.y + o->y % (int32_t)(l->place.at.height - o->height + 1);
	}
}

static bool inside(const struct bn_rect *r, int32_t x, int32_t y)
{
	return x >= r->x && y >= r->y && x < r->x + (int32_t)r->width &&
	       y < r->y + (int32_t)r->height;
}

static bool in_opening(const struct bn_scene_layer *l, int32_t x, int32_t y)
{
	for (unsigned i = 0; i < l->num_openings; i++) {
		if (inside(&l->openings[i], x, y))
			return true;
	}
	return false;
}

static bool above(unsigned a, unsigned b)
{
	int32_t za = scene.layers[a].place.z, zb = scene.layers[b].place.z;
	return za > zb || (za == zb && a > b);
}

/* Whether any layer, with guests' pictures of w × h, lies on a pixel of a safety layer below. */
static bool painted_over(const struct bn_output_config *o, uint32_t w, uint32_t h)
{
	struct bn_rect at[16];
	for (unsigned i = 0; i < scene.num_layers; i++)
		at[i] = bn_place_rect(&scene.layers[i].place, w, h);
	for (unsigned s = 0; s < scene.num_layers; s++) {
		const struct bn_scene_layer *safe = &scene.layers[s];
		if (safe->place.role != BN_ROLE_SAFETY || strcmp(safe->output, o->name) != 0)
			continue;
		for (int32_t y = 0; y < (int32_t)o->height; y++) {
			for (int32_t x = 0; x < (int32_t)o->width; x++) {
				if (!inside(&at[s], x, y) || in_opening(safe, x, y))
					continue;
				for (unsigned i = 0; i < scene.num_layers; i++) {
					const struct bn_scene_layer *l = &scene.layers[i];
					if (i != s && strcmp(l->output, o->name) == 0 &&
						!l->place.hidden && above(i, s) &&
						inside(&at[i], x, y))
						return true;
				}
			}
		}
	}
	return false;
}

/* Only of covering and overlapping, of nothing else. */
static bool complains_of_cover_alone(void)
{
	for (const char *line = said; *line; line = strchr(line, '\n') + 1) {
		const char *end = strchr(line, '\n'), *a = strstr(line, ": it covers safety"),
			   *b = strstr(line, ": it overlaps safety");
		if (!(a && a < end) && !(b && b < end))
			return false;
	}
	return true;
}

static void test_random(void)
{
	unsigned good = 0, covered = 0, safe = 0;
	for (unsigned round = 0; round < 40000; round++) {
		bool over = false;
		scene.num_layers = 0;
		for (unsigned i = 1 + random_below(5); i > 0; i--)
			random_layer(i);
		unsigned faults = check();
		if (faults && !complains_of_cover_alone())
			continue;
		/* What a guest may show: little, the output's size, and far too much. */
		static const uint32_t sizes[3][2] = {{7, 5}, {64, 48}, {8192, 8192}};
		for (unsigned i = 0; i < 3; i++)
			over |= painted_over(&left, sizes[i][0], sizes[i][1]) ||
				painted_over(&right, sizes[i][0], sizes[i][1]);
		if (over != (faults > 0))
			printf("\nround %u: %u faults, painted over: %d\n%s", round, faults, over,
				said);
		CU_ASSERT_EQUAL_FATAL(over, faults > 0);
		good += !faults;
		covered += faults > 0;
		for (unsigned i = 0; !faults && i < scene.num_layers; i++)
			safe += scene.layers[i].place.role == BN_ROLE_SAFETY;
	}
	/* It was not all refused for another reason. */
	printf("(%u accepted with %u safety layers, %u covered) ", good, safe, covered);
	CU_ASSERT_TRUE(good > 3000 && covered > 1000 && safe > 500);
}

/* Bytes of any kind: nothing is computed that overflows (a sanitizer watches). */
static void test_rubbish(void)
{
	for (unsigned round = 0; round < 20000; round++) {
		one();
		add("two", "left");
		uint8_t *bytes[2] = {(uint8_t *)&scene.layers[0].place.crop,
			(uint8_t *)&scene.layers[1].openings};
		for (unsigned i = 0; i < sizeof(struct bn_rect) * 2; i++)
			bytes[0][i] = (uint8_t)random_below(256);
		for (unsigned i = 0; i < sizeof(scene.layers[1].openings); i++)
			bytes[1][i] = (uint8_t)random_below(256);
		scene.layers[1].num_openings = random_below(UINT32_MAX);
		scene.layers[1].place.role = (enum bn_role)random_below(4);
		scene.layers[0].place.transform = random_below(UINT32_MAX);
		CU_ASSERT_TRUE_FATAL(check() > 0);
	}
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"nothing wrong", test_empty},
		{"unknown names, and one used twice", test_names},
		{"too many layers", test_room},
		{"rectangles", test_rectangles},
		{"turns and roles", test_transforms},
		{"scaling", test_scaling},
		{"a safety layer by itself", test_safety_alone},
		{"openings", test_openings},
		{"covering a safety layer", test_cover},
		{"overlapping safety layers", test_overlap},
		{"random scenes never cover a safety layer", test_random},
		{"numbers of any kind", test_rubbish},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("scene", tests);
}
