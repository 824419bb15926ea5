/* binnaclectl's commands against a fake service: what they send, what they print, how they end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_service.h"
#include "harness.h"
#include "unit.h"

static struct fake_service fake;
static char out[262144];

/* Runs binnaclectl with these words; both of its outputs are in `out` afterwards. */
static int ctl(const char *words)
{
	char copy[512],
		*argv[24] = {(char *)e2e_program("BINNACLECTL"), (char *)"--socket", fake.path};
	unsigned n = 3;
	snprintf(copy, sizeof(copy), "%s", words);
	for (char *w = strtok(copy, " "); w && n < 23; w = strtok(NULL, " "))
		argv[n++] = w;
	argv[n] = NULL;
	return e2e_run(argv, out, sizeof(out));
}

static void says(const char *text)
{
	if (!strstr(out, text))
		fprintf(stderr, "\n\"%s\" is not in: %s\n", text, out);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, text));
}

static void sent(const char *text)
{
	if (strcmp(fake.state->last, text) != 0)
		fprintf(stderr, "\nsent: %s\nnot:  %s\n", fake.state->last, text);
	CU_ASSERT_STRING_EQUAL(fake.state->last, text);
}

static void test_admit(void)
{
	CU_ASSERT_EQUAL(ctl("admit"), 0);
	CU_ASSERT_STRING_EQUAL(out, "cluster: R = 12.25 ms\n");
	sent("{\"command\":\"admit\"}");
	CU_ASSERT_EQUAL(ctl("admit cluster budget=5ms batch-max=2ms"), 0);
	sent("{\"command\":\"admit\",\"vm\":\"cluster\",\"set\":"
	     "{\"budget\":\"5ms\",\"batch-max\":\"2ms\"}}");
	CU_ASSERT_EQUAL(ctl("admit --json"), 0);
	says("\"bound_ms\":12.25");
	CU_ASSERT_PTR_NULL(strstr(out, "\"text\""));
	fake.state->admitted = false;
	CU_ASSERT_EQUAL(ctl("admit cluster budget=5ms"), 1);
	CU_ASSERT_STRING_EQUAL(out, "cluster: R = 12.25 ms\n");
	CU_ASSERT_EQUAL(ctl("admit --json"), 1);
	fake.state->admitted = true;
}

static void test_vm(void)
{
	CU_ASSERT_EQUAL(ctl("vm cluster set share=200 class=safety x=a=b"), 0);
	sent("{\"command\":\"vm\",\"vm\":\"cluster\",\"set\":"
	     "{\"share\":\"200\",\"class\":\"safety\",\"x\":\"a=b\"}}");
	says("R = 12.25");
	CU_ASSERT_EQUAL(ctl("vm cluster pardon"), 0);
	sent("{\"command\":\"vm\",\"vm\":\"cluster\",\"pardon\":true}");
	fake.state->admitted = false;
	CU_ASSERT_EQUAL(ctl("vm cluster set budget=9ms"), 1);
	says("binnaclectl: budget of vm cluster: at most 4.2 ms\n");
	says("cluster: R = 12.25 ms\n"); /* and why */
	fake.state->admitted = true;
}

static void test_metrics(void)
{
	CU_ASSERT_EQUAL(ctl("metrics"), 0);
	CU_ASSERT_STRING_EQUAL(out, "binnacle 1\n#");
}

static void read_file(const char *path)
{
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(out, 1, sizeof(out) - 1, f) : 0;
	out[n] = '\0';
	if (f)
		fclose(f);
}

static void test_trace(void)
{
	char words[256], path[160];
	snprintf(path, sizeof(path), "%s/trace", fake.dir);
	snprintf(words, sizeof(words), "trace --seconds 0.5 %s", path);
	CU_ASSERT_EQUAL(ctl(words), 0);
	says("7 events (the oldest were forgotten)");
	says("ui.perfetto.dev");
	read_file(path);
	CU_ASSERT_STRING_EQUAL(out, "{\"traceEvents\":[]}");
	CU_ASSERT_EQUAL(unlink(path), 0);
	sent("{\"command\":\"trace\",\"seconds\":0.5,\"last\":false}");
	snprintf(words, sizeof(words), "trace --last %s", path);
	CU_ASSERT_EQUAL(ctl(words), 0);
	sent("{\"command\":\"trace\",\"seconds\":10.0,\"last\":true}");
	CU_ASSERT_EQUAL(unlink(path), 0);
	CU_ASSERT_EQUAL(ctl("trace --last -"), 0);
	says("{\"traceEvents\":[]}");
	CU_ASSERT_EQUAL(ctl("trace --last /nowhere/at/all"), 1);
	says("/nowhere/at/all: No such file or directory");
}

static unsigned lines(void)
{
	unsigned n = 0;
	for (const char *c = out; *c; c++)
		n += *c == '\n';
	return n;
}

static void test_events(void)
{
	fake.state->events = 2;
	CU_ASSERT_EQUAL(ctl("events"), 0);
	says("2026-05-01T12:00:00.123Z tripped     hostile          event 1?[31m\n");
	CU_ASSERT_EQUAL(lines(), 2);
	CU_ASSERT_EQUAL(ctl("events --json"), 0);
	says("\"number\":2");
	CU_ASSERT_EQUAL(lines(), 2);
	/* The two that were, three more, and the end of the service. */
	CU_ASSERT_EQUAL(ctl("events --follow"), 1);
	says("event 5?[31m\n");
	says("closed the connection");
	CU_ASSERT_EQUAL(lines(), 6);
	fake.state->events = 1000; /* too many for a message */
	CU_ASSERT_EQUAL(ctl("events"), 0);
	CU_ASSERT_EQUAL(lines(), 1000);
	fake.state->events = 2;
}

static void test_status(void)
{
	CU_ASSERT_EQUAL(ctl("status"), 0);
	says("policy reserve, admitted, 50.0 % reserved, decision p99 3.0 us\n");
	says("cluster         safety      running            0   60.0  16.00  16.10      0  25.0");
	says("hostile?[2J     background  quarantined");
	for (const char *line = out; *line; line = strchr(line, '\n') + 1)
		CU_ASSERT_TRUE(strchr(line, '\n') - line <= 100);
	CU_ASSERT_EQUAL(ctl("status --json"), 0);
	says("\"version\":\"9.9\"");
	fake.state->vms = 400;
	CU_ASSERT_EQUAL(ctl("status"), 0);
	says("vm399");
	fake.state->vms = 2;
	CU_ASSERT_EQUAL(ctl("top --once"), 0);
	says("policy reserve  admitted 50%");
	CU_ASSERT_EQUAL(ctl("reset"), 0);
	sent("{\"command\":\"reset\"}");
	CU_ASSERT_EQUAL(ctl("reset cluster"), 0);
	sent("{\"command\":\"reset\",\"vm\":\"cluster\"}");
}

static void write_file(const char *path, const char *text, size_t size)
{
	FILE *f = fopen(path, "we");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fwrite(text, 1, size, f);
	fclose(f);
}

static void test_scene(void)
{
	CU_ASSERT_EQUAL(ctl("scene"), 0);
	sent("{\"command\":\"scene\"}");
	says("left            map?[2J              cockpit.1            -20,30       200x100        -7  "
	     "composed\n");
	says("crop 1,2,300,400  scaled  rotate 90  reflect xy  alpha 50  blend  hidden\n");
	says("left            gauges               cluster              0,0          -              -9  "
	     "plane 42\n");
	says("safety  opening 9,8,7,6\n");
	CU_ASSERT_TRUE(strstr(out, "map") < strstr(out, "gauges"));
	CU_ASSERT_EQUAL(ctl("scene --json"), 0);
	says("no plane scales");
	CU_ASSERT_EQUAL(ctl("scene set map at=-1,2 z=-3"), 0);
	CU_ASSERT_STRING_EQUAL(out, "");
	sent("{\"command\":\"scene\",\"changes\":[{\"do\":\"set\",\"layer\":\"map\",\"set\":"
	     "{\"at\":\"-1,2\",\"z\":\"-3\"}}]}");
	CU_ASSERT_EQUAL(ctl("scene set a z=1 -- b z=2 + add c vm=x=y + remove d e"), 0);
	sent("{\"command\":\"scene\",\"changes\":["
	     "{\"do\":\"set\",\"layer\":\"a\",\"set\":{\"z\":\"1\"}},"
	     "{\"do\":\"set\",\"layer\":\"b\",\"set\":{\"z\":\"2\"}},"
	     "{\"do\":\"add\",\"layer\":\"c\",\"set\":{\"vm\":\"x=y\"}},"
	     "{\"do\":\"remove\",\"layer\":\"d\",\"set\":{}},"
	     "{\"do\":\"remove\",\"layer\":\"e\",\"set\":{}}]}");
	CU_ASSERT_EQUAL(ctl("scene reset"), 0);
	sent("{\"command\":\"scene\",\"reset\":true}");
}

static void test_scene_load(void)
{
	static char comments[60010];
	char path[100], words[256];
	snprintf(path, sizeof(path), "%s/scene.ini", fake.dir);
	snprintf(words, sizeof(words), "scene load %s", path);
	write_file(path, "[layer a]\nz=1\n", 14);
	CU_ASSERT_EQUAL(ctl(words), 0);
	sent("{\"command\":\"scene\",\"load\":\"[layer a]\\nz=1\\n\"}");
	fake.state->refuses = true;
	CU_ASSERT_EQUAL(ctl(words), 1);
	snprintf(comments, sizeof(comments), "%s:3: layer a: wrong\n%s: too? many\n", path, path);
	says(comments);
	says("the scene stays as it is");
	CU_ASSERT_EQUAL(ctl("scene set a z=1"), 1);
	says("binnaclectl: layer a: wrong\nbinnaclectl: too? many\n");
	CU_ASSERT_EQUAL(ctl("scene set a z=1 --json"), 1);
	says("\"faults\":[");
	fake.state->refuses = false;
	/* Just short enough, too long, and no text. */
	memset(comments, ';', sizeof(comments));
	write_file(path, comments, 60000);
	CU_ASSERT_EQUAL(ctl(words), 0);
	write_file(path, comments, 60001);
	CU_ASSERT_EQUAL(ctl(words), 1);
	says("at most 60000 bytes");
	memset(comments, '\n', sizeof(comments));
	write_file(path, comments, 60000);
	CU_ASSERT_EQUAL(ctl(words), 1);
	says("the request is too long");
	write_file(path, "[lay\0er]", 8);
	CU_ASSERT_EQUAL(ctl(words), 1);
	says("an INI file is expected");
	CU_ASSERT_EQUAL(unlink(path), 0);
	CU_ASSERT_EQUAL(ctl(words), 1);
	says("No such file");
}

static void test_outputs(void)
{
	CU_ASSERT_EQUAL(ctl("outputs"), 0);
	says("left         HDMI-A-1     1920x720@59.94 active      3/10   123M     2       77    3.0   7.25  "
	     "15.50\n");
	says("right?       DP-1         -              unplugged      -      -     -        -      -      -  "
	     "    -\n");
	says("rear         kms          -              waiting        -      -     -        -      -      -  "
	     "    -\n");
	for (const char *line = out; *line; line = strchr(line, '\n') + 1)
		CU_ASSERT_TRUE(strchr(line, '\n') - line <= 100);
	CU_ASSERT_EQUAL(ctl("outputs --json"), 0);
	says("\"planes_used\":3");
	CU_ASSERT_EQUAL(ctl("planes"), 0);
	sent("{\"command\":\"planes\"}");
	says("left (kms): 2 of 3 planes used\n");
	says("  plane 31     primary   (composed)\n");
	says("  plane 43     overlay   -\n");
	says("  layer map?[2J                  composed    no plane scales\n");
	says("  layer gauges                   plane 42\n");
	CU_ASSERT_EQUAL(ctl("planes left --json"), 0);
	sent("{\"command\":\"planes\",\"output\":\"left\"}");
	CU_ASSERT_EQUAL(ctl("screenshot --layer map x.png"), 1);
	sent("{\"command\":\"screenshot\",\"layer\":\"map\"}");
	CU_ASSERT_EQUAL(ctl("screenshot left"), 1);
	sent("{\"command\":\"screenshot\",\"name\":\"left\"}");
}

static void test_refusals(void)
{
	CU_ASSERT_EQUAL(ctl("output HDMI-A-1 on"), 1);
	CU_ASSERT_STRING_EQUAL(out, "binnaclectl: no command?[2J\n");
	fake.state->junk = true;
	CU_ASSERT_EQUAL(ctl("status"), 1);
	says("the answer is not understood");
	CU_ASSERT_EQUAL(ctl("metrics"), 1);
	fake.state->junk = false;
	fake.state->hangs_up = true;
	CU_ASSERT_EQUAL(ctl("top --once"), 1);
	says("the service closed the connection");
	CU_ASSERT_EQUAL(ctl("trace --last /tmp/none"), 1);
	fake.state->hangs_up = false;
}

static void test_usage(void)
{
	static const char *const wrong[] = {"", "nothing", "status more", "status --follow",
		"admit cluster", "admit cluster budget", "admit cluster =5", "vm", "vm cluster",
		"vm cluster set", "vm cluster set budget", "vm cluster pardon now",
		"vm cluster fly", "metrics --json", "trace", "trace --seconds 0 /tmp/x",
		"trace --seconds ten /tmp/x", "trace --seconds 601 /tmp/x", "events 5", "reset a b",
		"top --interval 0", "top now", "top --interval nan", "screenshot",
		"screenshot a b c", "screenshot --json a", "outputs now", "planes a b",
		"scene --layer", "scene set", "scene set map", "scene set z=1", "scene set map =1",
		"scene set map z=1 nav", "scene add", "scene remove", "scene remove map z=1",
		"scene load", "scene load a b", "scene reset now", "scene show",
		"scene set map z=1 +", "scene + set map z=1", "scene set map z=1 + move map",
		"output x",
		"output x upside-down", "quit now", "--unknown"};
	unsigned requests = fake.state->requests;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		int status = ctl(wrong[i]);
		if (status != 2)
			fprintf(stderr, "\n'%s' ends with %d\n", wrong[i], status);
		CU_ASSERT_EQUAL(status, 2);
		says("--help");
	}
	CU_ASSERT_EQUAL(fake.state->requests, requests);
	CU_ASSERT_EQUAL(ctl("--help"), 0);
	says("ui.perfetto.dev");
	fake_stop(&fake);
	CU_ASSERT_EQUAL(ctl("admit"), 1);
	says("is binnacled running?");
	CU_ASSERT_EQUAL(ctl("trace --last /tmp/none"), 1);
	says("is binnacled running?");
	CU_ASSERT_EQUAL(ctl("events --follow"), 1);
	says("is binnacled running?");
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"admit", test_admit},
		{"vm", test_vm},
		{"metrics", test_metrics},
		{"trace", test_trace},
		{"events", test_events},
		{"status, top --once, reset", test_status},
		{"scene", test_scene},
		{"scenes from files", test_scene_load},
		{"outputs and planes", test_outputs},
		{"refusals", test_refusals},
		{"usage", test_usage},
		CU_TEST_INFO_NULL,
	};
	if (!fake_open(&fake))
		return 1;
	int ret = bn_unit_main("ctl", tests);
	fake_close(&fake);
	return ret;
}
