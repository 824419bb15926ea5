/* Scenes with guests behind them: part of one VM's picture inside another's, the same picture on several outputs, changes
 * while frames are shown, and changes that are refused. Every picture is compared pixel by pixel with one painted here.
 *
 * With E2E_SCENE_KMS in the environment the cluster is a display of that card (tests/uml-host). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

#define W 640u /* of the cluster: a mode that every display has */
#define H 480u
#define W2 256u /* of the cockpit */
#define H2 160u

static struct e2e e;
static struct tg_vm cluster, cockpit;
static struct tg_image cluster_image, cockpit_image;
static uint32_t gauges[W * H], nav[W2 * H2], want[W * H], want2[W2 * H2];
static char out[65536];

/* The first line may become that of a display (see main). */
static char config[1024] = "[output cluster]\nmode=640x480@60\n           \n"
			     "[output cockpit]\nmode=256x160@75\n"
			     "[output slow]\nmode=64x48@1\n"
			     "[vm cluster]\nscanout.0=cluster\ngl=no\nplanes=1\n"
			     "[vm cockpit]\nscanout.0=cockpit\ngl=no\n"
			     "[layer gauges]\nvm=cluster\noutput=cluster\nrole=safety\n"
			     "opening.0=200,20,100,80\n"
			     "[layer map]\nvm=cockpit\noutput=cluster\ncrop=30,40,100,80\n"
			     "at=200,20\nz=1\n";

/* ---- tools ---- */

static int ctl(const char *words)
{
	char copy[1024], *argv[40] = {(char *)e2e_program("BINNACLECTL"), (char *)"--socket", e.control};
	unsigned n = 3;
	snprintf(copy, sizeof(copy), "%s", words);
	for (char *w = strtok(copy, " "); w && n < 39; w = strtok(NULL, " "))
		argv[n++] = w;
	argv[n] = NULL;
	return e2e_run(argv, out, sizeof(out));
}

static void ctl_ok(const char *words)
{
	int status = ctl(words);
	if (status)
		fprintf(stderr, "\n'%s' ends with %d: %s\n", words, status, out);
	CU_ASSERT_EQUAL(status, 0);
}

static void says(const char *text)
{
	if (!strstr(out, text))
		fprintf(stderr, "\n\"%s\" is not in: %s\n", text, out);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, text));
}

static bool is_shown(const char *output, const uint32_t *pixels, uint32_t w, uint32_t h)
{
	uint32_t got_w, got_h, *got = e2e_screenshot(&e, output, &got_w, &got_h);
	bool same = got && got_w == w && got_h == h;
	for (uint32_t i = 0; same && i < w * h; i++)
		same = got[i] == (pixels[i] & 0xffffff);
	free(got);
	return same;
}

/* Until the output shows that: its own refresh may come after the guest's. */
static void wait_shown(const char *output, const uint32_t *pixels, uint32_t w, uint32_t h)
{
	for (unsigned i = 0; i < 300 && !is_shown(output, pixels, w, h); i++)
		e2e_sleep_ms(10);
	CU_ASSERT_EQUAL(e2e_differences(&e, output, pixels, 0, 0, w, h), 0);
}

static void paint(uint32_t *to, uint32_t to_width, uint32_t x, uint32_t y, const uint32_t *from,
	uint32_t from_width, uint32_t from_x, uint32_t from_y, uint32_t w, uint32_t h)
{
	for (uint32_t j = 0; j < h; j++)
		memcpy(&to[(y + j) * to_width + x], &from[(from_y + j) * from_width + from_x],
			w * 4);
}

/* The cluster as the configuration says, the map lying at x, y. */
static void paint_cluster(uint32_t x, uint32_t y)
{
	memcpy(want, gauges, sizeof(want));
	paint(want, W, x, y, nav, W2, 30, 40, 100, 80);
}

static bool guest_open(struct tg_vm *vm, const char *name)
{
	int err = tg_vm_open(vm, e2e_socket(&e, name), NULL);
	CU_ASSERT_EQUAL(err, 0);
	if (err)
		tg_vm_close(vm);
	return !err;
}

static void flush(struct tg_vm *vm, struct tg_image *image, const uint32_t *pixels)
{
	tg_image_write(image, pixels);
	E2E_OK(tg_transfer_2d(vm, 1, tg_rect(0, 0, image->width, image->height), 0));
	E2E_OK(tg_finish(tg_flush_async(vm, 1, tg_rect(0, 0, image->width, image->height)), NULL, 0));
}

static void show(struct tg_vm *vm, struct tg_image *image, uint32_t w, uint32_t h, uint32_t seed,
	uint32_t *pixels)
{
	CU_ASSERT_EQUAL_FATAL(tg_image_init(image, vm, -1, w, h), 0);
	tg_pattern(pixels, w, h, seed);
	E2E_OK(tg_image_resource(image, 1));
	E2E_OK(tg_set_scanout(vm, 0, 1, tg_rect(0, 0, w, h)));
	flush(vm, image, pixels);
}

static char *scene_now(void)
{
	struct json_object *answer = e2e_control(&e, "{\"command\":\"scene\"}", NULL);
	char *text = strdup(answer ? json_object_to_json_string(answer) : "");
	json_object_put(answer);
	return text;
}

static int64_t output_figure(const char *output, const char *key)
{
	struct json_object *answer = e2e_control(&e, "{\"command\":\"outputs\"}", NULL), *list, *name,
			   *value;
	int64_t figure = -1;
	CU_ASSERT_TRUE_FATAL(answer && json_object_object_get_ex(answer, "outputs", &list));
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		if (json_object_object_get_ex(o, "name", &name) &&
			strcmp(json_object_get_string(name), output) == 0 &&
			json_object_object_get_ex(o, key, &value))
			figure = json_object_get_int64(value);
	}
	json_object_put(answer);
	return figure;
}

/* ---- tests ---- */

static void test_start(void)
{
	if (!e2e_open(&e, config) || !guest_open(&cluster, "cluster") ||
		!guest_open(&cockpit, "cockpit"))
		CU_FAIL_FATAL("no service, no guests");
	show(&cluster, &cluster_image, W, H, 1, gauges);
	show(&cockpit, &cockpit_image, W2, H2, 2, nav);
}

static void test_map_in_cluster(void)
{
	paint_cluster(200, 20);
	wait_shown("cluster", want, W, H);
	wait_shown("cockpit", nav, W2, H2);
	/* It follows the cockpit's picture, and the cluster's around it. */
	tg_pattern(nav, W2, H2, 3);
	flush(&cockpit, &cockpit_image, nav);
	tg_pattern(gauges, W, H, 4);
	flush(&cluster, &cluster_image, gauges);
	paint_cluster(200, 20);
	wait_shown("cluster", want, W, H);
	wait_shown("cockpit", nav, W2, H2);
}

static void test_move(void)
{
	ctl_ok("scene set map at=10,110 gauges opening.0=10,110,100,80");
	paint_cluster(10, 110);
	wait_shown("cluster", want, W, H);
	ctl_ok("scene set map hidden=yes");
	wait_shown("cluster", gauges, W, H);
	ctl_ok("scene set map hidden=no z=-1");
	wait_shown("cluster", gauges, W, H);
	ctl_ok("scene set gauges opening.0=none -- map z=3 at=0,0 + set gauges opening.3=0,0,100,80");
	paint_cluster(0, 0);
	wait_shown("cluster", want, W, H);
	ctl_ok("scene reset");
	paint_cluster(200, 20);
	wait_shown("cluster", want, W, H);
}

/* One screen three times on an output, turned and mirrored, and on its own. */
static void test_twice(void)
{
	ctl_ok("scene remove map + add turned vm=cockpit output=cluster crop=0,0,60,40 at=0,0 "
	       "rotate=90 z=2 + add flipped vm=cockpit output=cluster crop=60,0,60,40 at=100,0 "
	       "reflect=x z=2 + set gauges role=normal opening.0=none "
	       "+ add both vm=cockpit output=cluster crop=1,2,30,20 at=200,100 rotate=270 reflect=y");
	memcpy(want, gauges, sizeof(want));
	for (uint32_t y = 0; y < 60; y++) {
		for (uint32_t x = 0; x < 40; x++)
			want[y * W + x] = nav[x * W2 + 59 - y]; /* counter-clockwise */
	}
	for (uint32_t y = 0; y < 40; y++) {
		for (uint32_t x = 0; x < 60; x++)
			want[y * W + 100 + x] = nav[y * W2 + 60 + 59 - x];
	}
	for (uint32_t y = 0; y < 30; y++) {
		/* Mirrored first: what lies at row r comes from row 19 - r. */
		for (uint32_t x = 0; x < 20; x++)
			want[(100 + y) * W + 200 + x] = nav[(2 + 19 - (19 - x)) * W2 + 1 + y];
	}
	wait_shown("cluster", want, W, H);
	wait_shown("cockpit", nav, W2, H2);
	ctl_ok("scene reset");
	paint_cluster(200, 20);
	wait_shown("cluster", want, W, H);
}

static void test_alpha_and_scale(void)
{
	/* A plain colour stays what it is when it is scaled; half of white on it is known, too. */
	for (uint32_t i = 0; i < W2 * H2; i++)
		nav[i] = 0xff204060;
	flush(&cockpit, &cockpit_image, nav);
	ctl_ok("scene set map crop=0,0,20,20 at=210,30 size=80x40");
	memcpy(want, gauges, sizeof(want));
	for (uint32_t y = 0; y < 40; y++) {
		for (uint32_t x = 0; x < 80; x++)
			want[(30 + y) * W + 210 + x] = 0x204060;
	}
	wait_shown("cluster", want, W, H);
	ctl_ok("scene set map alpha=0");
	wait_shown("cluster", gauges, W, H);
	ctl_ok("scene reset");
	tg_pattern(nav, W2, H2, 5);
	flush(&cockpit, &cockpit_image, nav);
	paint_cluster(200, 20);
	wait_shown("cluster", want, W, H);
}

/* Each with what it says. */
static const struct {
	const char *words, *says;
} refused[] = {
	{"scene set nothing z=1", "there is no layer 'nothing'; layers are: cockpit, gauges, map"},
	{"scene set map output=rear", "there is no output 'rear'; outputs are: cluster, cockpit, slow"},
	{"scene set map vm=radio", "there is no vm 'radio'"},
	{"scene set map scanout=1", "vm cockpit has no scanout 1; scanout.1=OUTPUT in [vm cockpit]"},
	{"scene set map at=5000,0", "it lies outside of output cluster: 100x80 at 5000,0 of 640x480"},
	{"scene set map at=640,0", "it lies outside of output cluster"},
	{"scene set map size=10000x2 at=0,0", "at most 16 times larger or smaller"},
	{"scene set map size=2x2 at=210,30", "at most 16 times larger or smaller"},
	{"scene set map crop=-1,0,5,5", "is no part of a screen"},
	{"scene set map crop=0,0,0,5", "X,Y,WIDTH,HEIGHT"},
	{"scene set map rotate=45", "0, 90, 180 or 270"},
	{"scene set map colour=red", "one of output, vm, scanout"},
	{"scene set map at=201,20", "covers safety layer gauges on output cluster"},
	{"scene set map crop=none", "covers safety layer gauges"},
	{"scene set map role=safety at=190,20", "overlaps safety layer gauges"},
	{"scene set gauges at=1,0", "wholly on its output"},
	{"scene set gauges hidden=yes", "never hidden"},
	{"scene set gauges alpha=50", "is opaque"},
	{"scene add map vm=cockpit output=slow", "there is a layer map already"},
	{"scene add a/b vm=cockpit output=slow", "is no layer's name"},
	{"scene add more vm=cockpit", "it is on no output"},
	{"scene add more output=slow", "vm= is expected"},
	/* The last of many is wrong: none of them is done. */
	{"scene set map hidden=yes + add more vm=cockpit output=slow + remove cockpit + set gauges "
	 "z=9 at=1,1",
		"wholly on its output"},
	{"scene remove map + remove map", "there is no layer 'map'"},
	{"output cluster mode 280x480", "opening.0=200,20,100,80 lies outside of the layer"},
};

static void test_refused(void)
{
	char *before = scene_now(), *after;
	paint_cluster(200, 20);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		int status = ctl(refused[i].words);
		if (status != 1)
			fprintf(stderr, "\n'%s' ends with %d\n", refused[i].words, status);
		CU_ASSERT_EQUAL(status, 1);
		says(refused[i].says);
		after = scene_now();
		if (strcmp(before, after) != 0)
			fprintf(stderr, "\nafter '%s' it is %s\n", refused[i].words, after);
		CU_ASSERT_STRING_EQUAL(before, after);
		free(after);
	}
	CU_ASSERT_EQUAL(e2e_differences(&e, "cluster", want, 0, 0, W, H), 0);
	free(before);
}

/* What a client of another kind may send. */
static void test_bad_requests(void)
{
	static const char *const requests[] = {
		"{\"command\":\"scene\",\"changes\":{}}",
		"{\"command\":\"scene\",\"changes\":[]}",
		"{\"command\":\"scene\",\"changes\":[4]}",
		"{\"command\":\"scene\",\"changes\":[{\"do\":\"set\"}]}",
		"{\"command\":\"scene\",\"changes\":[{\"do\":\"burn\",\"layer\":\"map\"}]}",
		"{\"command\":\"scene\",\"changes\":[{\"do\":\"set\",\"layer\":\"map\",\"set\":3}]}",
		("{\"command\":\"scene\",\"changes\":[{\"do\":\"set\",\"layer\":\"map\","
		"\"set\":{\"z\":null}}]}"),
		"{\"command\":\"scene\",\"reset\":false}",
		"{\"command\":\"planes\",\"output\":7}",
		"{\"command\":\"screenshot\",\"layer\":\"nothing\"}",
		"{\"command\":\"screenshot\",\"name\":\"nothing\"}",
		"{\"command\":\"screenshot\"}",
	};
	char *before = scene_now(), *after;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		struct json_object *ok = NULL, *answer = e2e_control(&e, requests[i], NULL);
		json_object_object_get_ex(answer, "ok", &ok);
		if (!answer || json_object_get_boolean(ok))
			fprintf(stderr, "\nnot refused: %s\n", requests[i]);
		CU_ASSERT_TRUE(answer && !json_object_get_boolean(ok));
		json_object_put(answer);
	}
	after = scene_now();
	CU_ASSERT_STRING_EQUAL(before, after);
	free(after);
	free(before);
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

static void test_load(void)
{
	char path[E2E_PATH + 16], words[E2E_PATH + 64], where[E2E_PATH + 96];
	snprintf(path, sizeof(path), "%s/scene.ini", e.dir);
	snprintf(words, sizeof(words), "scene load %s", path);
	/* What scanout.N= implies comes back where no section stands for it. */
	write_file(path, "; another scene\n[layer wide]\nvm=cluster\noutput=cockpit\ncrop=0,0,256,160\n");
	ctl_ok(words);
	CU_ASSERT_EQUAL(ctl("scene"), 0);
	says("wide");
	CU_ASSERT_PTR_NULL(strstr(out, "map"));
	for (uint32_t y = 0; y < H2; y++)
		memcpy(&want2[y * W2], &gauges[y * W], W2 * 4);
	wait_shown("cockpit", want2, W2, H2);
	wait_shown("cluster", gauges, W, H);
	char *before = scene_now(), *after;
	write_file(path, "[layer a]\nvm=cluster\nz=top\n[layer b]\nvm=cluster\nshape=round\n[core]\n");
	CU_ASSERT_EQUAL(ctl(words), 1);
	for (int line = 3; line <= 7; line += line == 3 ? 3 : 1) {
		snprintf(where, sizeof(where), "%s:%d: ", path, line);
		says(where);
	}
	write_file(path, "[layer a]\nvm=cluster\noutput=rear\n[layer b]\nvm=tv\noutput=slow\n");
	CU_ASSERT_EQUAL(ctl(words), 1);
	snprintf(where, sizeof(where), "%s:1: layer a: there is no output 'rear'", path);
	says(where);
	snprintf(where, sizeof(where), "%s:4: layer b: there is no vm 'tv'", path);
	says(where);
	says("the scene stays as it is");
	unlink(path);
	CU_ASSERT_EQUAL(ctl(words), 1);
	says("No such file");
	after = scene_now();
	CU_ASSERT_STRING_EQUAL(before, after);
	free(after);
	free(before);
	ctl_ok("scene reset");
	paint_cluster(200, 20);
	wait_shown("cluster", want, W, H);
	wait_shown("cockpit", nav, W2, H2);
}

/* While frames are on their way everything about the scene changes: each flush is answered all the same. */
static void test_changes_under_frames(void)
{
	static const char *const changes[] = {
		"scene set map hidden=yes",
		"scene add copy vm=cluster output=cockpit z=1 crop=0,0,50,50 at=10,10",
		"scene remove cockpit", /* its own layer: the pace stays */
		"scene set map hidden=no",
		"scene add extra vm=cockpit output=slow + add again vm=cockpit output=cockpit at=1,1",
		"scene remove copy extra + set again at=0,0",
		"scene reset",
	};
	static uint32_t frame[W2 * H2];
	for (unsigned i = 0; i < 42; i++) {
		struct tg_request *flushes[2];
		tg_pattern(frame, W2, H2, 100 + i);
		tg_image_write(&cockpit_image, frame);
		E2E_OK(tg_transfer_2d(&cockpit, 1, tg_rect(0, 0, W2, H2), 0));
		flushes[0] = tg_flush_async(&cockpit, 1, tg_rect(0, 0, W2, H2));
		flushes[1] = tg_flush_async(&cluster, 1, tg_rect(0, 0, W, H));
		ctl_ok(changes[i % 7]);
		E2E_OK(tg_finish(flushes[0], NULL, 0));
		E2E_OK(tg_finish(flushes[1], NULL, 0));
	}
	memcpy(nav, frame, sizeof(nav));
	paint_cluster(200, 20);
	wait_shown("cluster", want, W, H);
	wait_shown("cockpit", nav, W2, H2);
}

/* An output that refreshes once a second shows the same picture and holds nobody up. */
static void test_slow_mirror(void)
{
	ctl_ok("scene add mirror vm=cockpit output=slow crop=5,6,64,48");
	int64_t before = output_figure("slow", "flips");
	for (unsigned i = 0; i < 40; i++) {
		tg_pattern(nav, W2, H2, 200 + i);
		flush(&cockpit, &cockpit_image, nav);
	}
	int64_t flips = output_figure("slow", "flips") - before;
	CU_ASSERT_TRUE(before >= 0 && flips < 40);
	static uint32_t part[64 * 48];
	paint(part, 64, 0, 0, nav, W2, 5, 6, 64, 48);
	wait_shown("slow", part, 64, 48);
	/* No more pictures of it are kept than what waits, what is shown, and what is drawn into. */
	CU_ASSERT_TRUE(e2e_vm_int(&e, "cockpit", "buffers") <= 5);
	ctl_ok("scene reset");
}

/* A layer that comes late shows what its guest showed before. */
static void test_late_layer(void)
{
	static uint32_t part[64 * 48];
	ctl_ok("scene add late vm=cluster output=slow crop=100,100,64,48");
	paint(part, 64, 0, 0, gauges, W, 100, 100, 64, 48);
	wait_shown("slow", part, 64, 48);
	ctl_ok("scene set late crop=0,0,64,48");
	paint(part, 64, 0, 0, gauges, W, 0, 0, 64, 48);
	wait_shown("slow", part, 64, 48);
	ctl_ok("scene reset");
	memset(part, 0, sizeof(part));
	wait_shown("slow", part, 64, 48);
}

static void test_room(void)
{
	char request[4096] = "{\"command\":\"scene\",\"changes\":[";
	size_t len = strlen(request);
	for (unsigned i = 0; i < 25; i++)
		len += (size_t)snprintf(request + len, sizeof(request) - len,
			"%s{\"do\":\"add\",\"layer\":\"l%u\",\"set\":{\"vm\":\"cluster\",\"output\":"
			"\"slow\"}}",
			i ? "," : "", i);
	snprintf(request + len, sizeof(request) - len, "]}");
	struct json_object *answer = e2e_control(&e, request, NULL), *error = NULL;
	CU_ASSERT_TRUE(json_object_object_get_ex(answer, "error", &error));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(json_object_get_string(error), "output slow has 24 layers already"));
	json_object_put(answer);
	CU_ASSERT_EQUAL(ctl("scene"), 0);
	CU_ASSERT_PTR_NULL(strstr(out, "l23"));
}

static void test_screenshot(void)
{
	uint32_t w = 0, h = 0;
	int fd = -1;
	struct json_object *answer = e2e_control(
		&e, "{\"command\":\"screenshot\",\"layer\":\"map\"}", &fd), *value;
	CU_ASSERT_TRUE_FATAL(fd >= 0 && json_object_object_get_ex(answer, "width", &value));
	w = (uint32_t)json_object_get_int(value);
	CU_ASSERT_TRUE(json_object_object_get_ex(answer, "height", &value));
	h = (uint32_t)json_object_get_int(value);
	/* All of the screen, whatever part of it the layer shows. */
	CU_ASSERT_EQUAL_FATAL(w, W2);
	CU_ASSERT_EQUAL_FATAL(h, H2);
	static uint32_t got[W2 * H2];
	CU_ASSERT_EQUAL(pread(fd, got, sizeof(got), 0), (ssize_t)sizeof(got));
	uint32_t differ = 0;
	for (uint32_t i = 0; i < W2 * H2; i++)
		differ += (got[i] & 0xffffff) != (nav[i] & 0xffffff);
	CU_ASSERT_EQUAL(differ, 0);
	close(fd);
	json_object_put(answer);
	char words[E2E_PATH + 64];
	const char *const names[] = {"map", "cockpit", "--layer cockpit"};
	for (unsigned i = 0; i < 3; i++) {
		snprintf(words, sizeof(words), "screenshot %s %s/shot.png", names[i], e.dir);
		ctl_ok(words);
		snprintf(words, sizeof(words), "%s/shot.png", e.dir);
		CU_ASSERT_EQUAL(unlink(words), 0);
	}
	CU_ASSERT_EQUAL(ctl("screenshot nothing /dev/null"), 1);
	says("there is no output or layer 'nothing'");
	CU_ASSERT_EQUAL(ctl("screenshot --layer slow /dev/null"), 1);
	says("there is no layer 'slow'");
}

static void test_tables(void)
{
	CU_ASSERT_EQUAL(ctl("scene"), 0);
	says("cluster         map                  cockpit              200,20       100x80");
	says("crop 30,40,100,80");
	says("safety  opening 200,20,100,80");
	CU_ASSERT_TRUE(strstr(out, " map ") < strstr(out, " gauges "));
	CU_ASSERT_EQUAL(ctl("outputs"), 0);
	says("cockpit      headless     256x160@75");
	CU_ASSERT_EQUAL(ctl("planes"), 0);
	says(getenv("E2E_SCENE_KMS") ? "cluster (kms): " : "cluster (headless): no planes");
	says("layer map");
	CU_ASSERT_EQUAL(ctl("planes slow"), 0);
	CU_ASSERT_PTR_NULL(strstr(out, "cluster"));
	CU_ASSERT_EQUAL(ctl("planes rear"), 1);
	says("there is no output 'rear'");
	static const char *const json[] = {"scene --json", "outputs --json", "planes --json"};
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(ctl(json[i]), 0);
		struct json_object *o = json_tokener_parse(out);
		CU_ASSERT_PTR_NOT_NULL(o);
		json_object_put(o);
	}
	CU_ASSERT_EQUAL(ctl("events"), 0);
	says("scene: as in the configuration");
	CU_ASSERT_EQUAL(ctl("metrics"), 0);
	says("# TYPE binnacle_output_planes_used gauge\nbinnacle_output_planes_used{output=\"cluster\"} ");
	says("binnacle_output_composed_bytes_total{output=\"slow\"} ");
}

/* A guest that goes leaves its places empty; one that comes finds them. */
static void test_detach(void)
{
	char *before, *after;
	ctl_ok("scene set map at=198,18 + set gauges opening.0=190,10,110,90");
	before = scene_now();
	tg_image_finish(&cockpit_image);
	tg_vm_close(&cockpit);
	memset(want2, 0, sizeof(want2));
	wait_shown("cockpit", want2, W2, H2);
	wait_shown("cluster", gauges, W, H);
	CU_ASSERT_EQUAL(ctl("screenshot map /dev/null"), 1);
	says("layer map shows nothing");
	if (!guest_open(&cockpit, "cockpit"))
		return;
	show(&cockpit, &cockpit_image, W2, H2, 77, nav);
	paint_cluster(198, 18);
	wait_shown("cluster", want, W, H);
	wait_shown("cockpit", nav, W2, H2);
	after = scene_now();
	CU_ASSERT_STRING_EQUAL(before, after);
	free(after);
	free(before);
	ctl_ok("scene reset");
}

static void test_stop(void)
{
	tg_image_finish(&cluster_image);
	tg_image_finish(&cockpit_image);
	tg_vm_close(&cluster);
	tg_vm_close(&cockpit);
	e2e_close(&e);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"service and guests start", test_start},
		{"a map in the cluster", test_map_in_cluster},
		{"layers move, hide and restack", test_move},
		{"one screen several times, turned", test_twice},
		{"scaled and transparent", test_alpha_and_scale},
		{"what is refused changes nothing", test_refused},
		{"requests of other clients", test_bad_requests},
		{"scenes from files", test_load},
		{"changes while frames are shown", test_changes_under_frames},
		{"a slow mirror holds nobody up", test_slow_mirror},
		{"a layer that comes late", test_late_layer},
		{"no room", test_room},
		{"pictures of layers", test_screenshot},
		{"tables", test_tables},
		{"guests go and come", test_detach},
		{"service stops", test_stop},
		CU_TEST_INFO_NULL,
	};
	const char *card = getenv("E2E_SCENE_KMS");
	if (card) {
		char *rest = strstr(config, "           \n");
		char more[sizeof(config)];
		snprintf(more, sizeof(more), "backend=kms\ncard=%.40s\n%s", card, rest + 12);
		strcpy(rest, more);
	}
	return bn_unit_main("scene", tests);
}
