#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arbiter.h"
#include "settings.h"

static struct bn_settings settings;
static struct bn_config_errors errors;
static char path[64];

static int read_text(const char *text)
{
	snprintf(path, sizeof(path), "/tmp/binnacle-settings-%d.ini", (int)getpid());
	FILE *file = fopen(path, "we");
	fputs(text, file);
	fclose(file);
	bn_config_errors_finish(&errors);
	errors = (struct bn_config_errors){0};
	int ret = bn_settings_read(&settings, path, &errors);
	unlink(path);
	return ret;
}

/* Whether exactly one mistake is reported, at that line, with that text in it. */
static bool one_error(const char *text, int line, const char *part)
{
	int ret = read_text(text);
	bool ok = ret == -EINVAL && errors.count == 1 && errors.list[0].line == line &&
		  strstr(errors.list[0].text, part) != NULL;
	for (size_t i = 0; !ok && i < errors.count; i++)
		printf("got %d: %s\n", errors.list[i].line, errors.list[i].text);
	return ok;
}

static void test_whole(void)
{
	CU_ASSERT_EQUAL_FATAL(read_text("[core]\n"
					"runtime-dir=/tmp/b\n"
					"control-socket=/tmp/c\n"
					"gpu=/dev/dri/renderD129\n"
					"log=debug\n"
					"shader-cache=/tmp/s\n"
					"[output left]\n"
					"mode=1280x480@59.94\n"
					"size-mm=292x109\n"
					"pacing=free\n"
					"[output right]\n"
					"backend=wayland\n"
					"fullscreen=yes\n"
					"[vm cluster]\n"
					"scanout.0=left\n"
					"scanout.2=right\n"
					"memory-max=2G\n"
					"[vm cockpit]\n"
					"socket=/tmp/x.sock\n"
					"scanout.0=right\n"
					"gl=no\n"),
		0);
	CU_ASSERT_EQUAL(errors.count, 0);
	CU_ASSERT_STRING_EQUAL(settings.control_socket, "/tmp/c");
	CU_ASSERT_EQUAL(settings.gpu, BN_SETTINGS_GPU_NODE);
	CU_ASSERT_STRING_EQUAL(settings.gpu_path, "/dev/dri/renderD129");
	CU_ASSERT_EQUAL(settings.log, BN_LOG_DEBUG);
	CU_ASSERT_STRING_EQUAL(settings.shader_cache, "/tmp/s");
	CU_ASSERT_EQUAL_FATAL(settings.num_outputs, 2);
	const struct bn_output_config *left = &settings.outputs[0].config;
	CU_ASSERT_EQUAL(left->width, 1280);
	CU_ASSERT_EQUAL(left->height, 480);
	CU_ASSERT_EQUAL(left->refresh_mhz, 59940);
	CU_ASSERT_EQUAL(left->width_mm, 292);
	CU_ASSERT_EQUAL(left->height_mm, 109);
	CU_ASSERT_TRUE(left->free_running);
	CU_ASSERT_EQUAL(settings.outputs[1].config.kind, BN_OUTPUT_WAYLAND);
	CU_ASSERT_TRUE(settings.outputs[1].config.fullscreen);
	CU_ASSERT_EQUAL(settings.outputs[1].config.refresh_mhz, 60000);
	CU_ASSERT_EQUAL_FATAL(settings.num_vms, 2);
	CU_ASSERT_EQUAL(settings.vms[0].num_scanouts, 3);
	CU_ASSERT_STRING_EQUAL(settings.vms[0].scanout[1], "");
	CU_ASSERT_STRING_EQUAL(settings.vms[0].scanout[2], "right");
	CU_ASSERT_STRING_EQUAL(settings.vms[0].socket, "/tmp/b/cluster.sock");
	CU_ASSERT_EQUAL(settings.vms[0].memory_max, 2ull << 30);
	CU_ASSERT_TRUE(settings.vms[0].gl);
	CU_ASSERT_STRING_EQUAL(settings.vms[1].socket, "/tmp/x.sock");
	CU_ASSERT_FALSE(settings.vms[1].gl);
}

static void test_defaults(void)
{
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	CU_ASSERT_EQUAL_FATAL(read_text("[output o]\n[vm a]\n"), 0);
	CU_ASSERT_STRING_EQUAL(settings.runtime_dir, "/run/user/7/binnacle");
	CU_ASSERT_STRING_EQUAL(settings.control_socket, "/run/user/7/binnacle/control");
	CU_ASSERT_STRING_EQUAL(settings.vms[0].socket, "/run/user/7/binnacle/a.sock");
	CU_ASSERT_EQUAL(settings.vms[0].num_scanouts, 0);
	CU_ASSERT_EQUAL(settings.vms[0].memory_max, 512ull << 20);
	CU_ASSERT_EQUAL(settings.gpu, BN_SETTINGS_GPU_AUTO);
	CU_ASSERT_EQUAL(settings.log, BN_LOG_INFO);
	CU_ASSERT_EQUAL(settings.outputs[0].config.width, 1280);
	unsetenv("XDG_RUNTIME_DIR");
	CU_ASSERT_EQUAL_FATAL(read_text("[vm a]\n"), 0);
	CU_ASSERT_STRING_EQUAL(settings.runtime_dir, "/run/binnacle");
}

static void test_values(void)
{
	CU_ASSERT_TRUE(one_error("[vm a]\n[core]\ngpu=fast\n", 3, "surfaceless"));
	CU_ASSERT_TRUE(one_error("[vm a]\n[core]\nlog=loud\n", 3, "warn"));
	CU_ASSERT_TRUE(one_error("[vm a]\n[core]\nruntime-dir=here\n", 3, "absolute"));
	CU_ASSERT_TRUE(one_error("[vm a]\n[core]\ncolour=red\n", 3, "colour"));
	CU_ASSERT_TRUE(one_error("[vm a]\n[output o]\nmode=big\n", 3, "1280x480@60"));
	CU_ASSERT_TRUE(one_error("[vm a]\n[output o]\nmode=8193x1\n", 3, "8192"));
	CU_ASSERT_TRUE(one_error("[vm a]\n[output o]\nmode=1x1@1001\n", 3, "1000 Hz"));
	CU_ASSERT_TRUE(one_error("[vm a]\n[output o]\nbackend=tv\n", 3, "headless, wayland or kms"));
	CU_ASSERT_TRUE(one_error("[vm a]\n[output o]\npacing=slow\n", 3, "display"));
	CU_ASSERT_TRUE(one_error("[vm a]\n[output o]\nsize-mm=1x1@60\n", 3, "millimetres"));
	CU_ASSERT_TRUE(one_error("[vm a]\nmemory-max=1M\n", 2, "16M"));
	CU_ASSERT_TRUE(one_error("[vm a]\nmemory-max=-512M\n", 2, "16M"));
	CU_ASSERT_TRUE(one_error("[vm a]\nmemory-max=99999999999999999999G\n", 2, "16M"));
	CU_ASSERT_TRUE(one_error("[vm a]\nmemory-max=512MB\n", 2, "16M"));
	CU_ASSERT_TRUE(one_error("[output o]\n[vm a]\nscanout.16=o\n", 3, "0 to 15"));
	CU_ASSERT_TRUE(one_error("[output o]\n[vm a]\nscanout.x=o\n", 3, "scanout.0"));
	CU_ASSERT_TRUE(one_error("[vm a]\ngl=perhaps\n", 2, "yes or no"));
	CU_ASSERT_TRUE(one_error("[vm a]\n[screen s]\n", 2, "screen"));
}

static void test_whole_file(void)
{
	CU_ASSERT_TRUE(one_error("[core]\n", 0, "[vm NAME]"));
	CU_ASSERT_TRUE(one_error("[vm a]\nscanout.0=nowhere\n", 1, "[output nowhere]"));
	CU_ASSERT_TRUE(one_error(
		"[vm a]\nsocket=/tmp/s\n[vm b]\nsocket=/tmp/s\n", 3, "same socket as vm a"));
	CU_ASSERT_TRUE(one_error(
		"[core]\ncontrol-socket=/tmp/s\n[vm b]\nsocket=/tmp/s\n", 3, "control socket"));
	CU_ASSERT_TRUE(one_error("[vm a]\n[vm a]\n", 2, "a"));
	CU_ASSERT_TRUE(one_error("[output o]\n[vm a]\n[output o]\n", 3, "o"));
	char text[256];
	snprintf(text, sizeof(text), "[core]\nruntime-dir=/%090d\n[vm %031d]\n", 0, 0);
	CU_ASSERT_TRUE(one_error(text, 3, "runtime-dir"));
	CU_ASSERT_EQUAL(bn_settings_read(&settings, "/nonexistent/x.ini", &errors), -ENOENT);
	bn_config_errors_finish(&errors);
}

static void test_many(void)
{
	/* Every mistake is found, not just the first. */
	CU_ASSERT_EQUAL(
		read_text("[output o]\nmode=x\npacing=y\n[vm a]\nscanout.0=p\ngl=z\n"), -EINVAL);
	CU_ASSERT_EQUAL(errors.count, 4);
	char text[8192];
	size_t len = 0;
	for (int i = 0; i < BN_SETTINGS_VMS_MAX + 1; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "[vm v%d]\n", i);
	CU_ASSERT_EQUAL(read_text(text), -EINVAL);
	CU_ASSERT_EQUAL(errors.count, 1);
	CU_ASSERT_EQUAL(settings.num_vms, BN_SETTINGS_VMS_MAX);
	/* More scanouts on an output than it has layers. */
	len = (size_t)snprintf(text, sizeof(text), "[output o]\n");
	for (int i = 0; i < BN_OUTPUT_LAYERS_MAX + 1; i++)
		len += (size_t)snprintf(
			text + len, sizeof(text) - len, "[vm v%d]\nscanout.0=o\n", i);
	CU_ASSERT_TRUE(one_error(text, 50, "output o has 24 layers already"));
	bn_config_errors_finish(&errors);
}

static void test_scheduler_keys(void)
{
	CU_ASSERT_EQUAL_FATAL(read_text("[core]\n"
					"policy=priority\n"
					"realtime=no\n"
					"gpu-cpus=0\n"
					"queue-depth=3\n"
					"compositor-lead=1.5\n"
					"compositor-time=0.7\n"
					"dispatch=50us\n"
					"batch-overhead=0\n"
					"[output o]\n"
					"mode=640x480@50\n"
					"[vm a]\n"
					"scanout.0=o\n"
					"class=safety\n"
					"budget=4.5ms\n"
					"share=7\n"
					"batch-max=1\n"
					"queue-ahead=3\n"
					"gap=250us\n"
					"gaps=2\n"
					"batches=9\n"
					"watchdog=40\n"
					"trips=5\n"
					"[vm b]\n"
					"class=background\n"
					"period=25Hz\n"
					"budget=30%\n"),
		0);
	CU_ASSERT_EQUAL(bn_settings_policy_kind(&settings), BN_POLICY_PRIORITY);
	CU_ASSERT_EQUAL(settings.realtime, BN_SETTINGS_REALTIME_NO);
	CU_ASSERT_EQUAL(CPU_COUNT(&settings.gpu_cpus), 1);
	CU_ASSERT_TRUE(CPU_ISSET(0, &settings.gpu_cpus));
	CU_ASSERT_EQUAL(settings.queue_depth, 3);
	CU_ASSERT_EQUAL(settings.lead_ns, 1500000);
	CU_ASSERT_EQUAL(settings.compositor_ns, 700000);
	CU_ASSERT_EQUAL(settings.dispatch_ns, 50000);
	CU_ASSERT_EQUAL(settings.batch_overhead_ns, 0);
	struct bn_arbiter_vm a, b;
	bn_settings_vm_policy(&settings, &settings.vms[0], &a);
	bn_settings_vm_policy(&settings, &settings.vms[1], &b);
	CU_ASSERT_EQUAL(a.policy.vm_class, BN_CLASS_SAFETY);
	CU_ASSERT_EQUAL(a.policy.period_ns, 20000000); /* of its output */
	CU_ASSERT_EQUAL(a.policy.budget_ns, 4500000);
	CU_ASSERT_EQUAL(a.policy.share, 7);
	CU_ASSERT_EQUAL(a.policy.batch_max_ns, 1000000);
	CU_ASSERT_EQUAL(a.policy.ahead_max_ns, 3000000);
	CU_ASSERT_EQUAL(a.policy.gap_ns, 250000);
	CU_ASSERT_EQUAL(a.policy.gaps, 2);
	CU_ASSERT_EQUAL(a.policy.batches, 9);
	CU_ASSERT_EQUAL(a.watchdog_ns, 40000000);
	CU_ASSERT_EQUAL(a.trips_max, 5);
	CU_ASSERT_EQUAL(b.policy.vm_class, BN_CLASS_BACKGROUND);
	CU_ASSERT_EQUAL(b.policy.period_ns, 40000000);
	CU_ASSERT_EQUAL(b.policy.budget_ns, 12000000);
}

static void test_scheduler_defaults(void)
{
	CU_ASSERT_EQUAL_FATAL(read_text("[vm a]\n"), 0);
	CU_ASSERT_EQUAL(bn_settings_policy_kind(&settings), BN_POLICY_NONE);
	CU_ASSERT_EQUAL(CPU_COUNT(&settings.gpu_cpus), 0);
	struct bn_arbiter_vm a;
	bn_settings_vm_policy(&settings, &settings.vms[0], &a);
	CU_ASSERT_EQUAL(a.policy.vm_class, BN_CLASS_INTERACTIVE);
	CU_ASSERT_EQUAL(a.policy.period_ns, 16666666);
	CU_ASSERT_EQUAL(a.policy.budget_ns, 0);
	CU_ASSERT_EQUAL(a.policy.share, 100);
	CU_ASSERT_EQUAL(a.policy.batch_max_ns, 2000000);
	CU_ASSERT_EQUAL(a.watchdog_ns, 0);
	CU_ASSERT_EQUAL(a.trips_max, 3);
	/* One key is enough for the scheduler to be at work. */
	CU_ASSERT_EQUAL_FATAL(read_text("[vm a]\n[vm b]\nshare=100\n"), 0);
	CU_ASSERT_EQUAL(bn_settings_policy_kind(&settings), BN_POLICY_RESERVE);
	/* Two safety machines may share a display. */
	CU_ASSERT_EQUAL(read_text("[output o]\n"
				  "[vm a]\nscanout.0=o\nclass=safety\nbudget=2\n"
				  "[vm b]\nscanout.0=o\nclass=safety\nbudget=10%\n"),
		0);
}

static void test_scheduler_mistakes(void)
{
	CU_ASSERT_TRUE(one_error("[vm a]\n[core]\npolicy=fair\n", 3, "reserve"));
	CU_ASSERT_TRUE(one_error("[vm a]\n[core]\nrealtime=1\n", 3, "auto, yes or no"));
	CU_ASSERT_TRUE(one_error("[vm a]\n[core]\ngpu-cpus=3-1\n", 3, "0-3,6"));
	CU_ASSERT_TRUE(one_error("[vm a]\n[core]\ngpu-cpus=0,\n", 3, "0-3,6"));
	CU_ASSERT_TRUE(one_error("[vm a]\n[core]\ngpu-cpus=1023\n", 3, "that are there"));
	CU_ASSERT_TRUE(one_error("[vm a]\n[core]\nqueue-depth=5\n", 3, "1 to 4"));
	CU_ASSERT_TRUE(one_error("[vm a]\n[core]\ncompositor-lead=101\n", 3, "0 to 100"));
	CU_ASSERT_TRUE(one_error("[vm a]\nclass=fast\n", 2, "safety, interactive"));
	CU_ASSERT_TRUE(one_error("[vm a]\nperiod=0Hz\n", 2, "60Hz"));
	CU_ASSERT_TRUE(one_error("[vm a]\nperiod=2000Hz\n", 2, "60Hz"));
	CU_ASSERT_TRUE(one_error("[vm a]\nbudget=4s\n", 2, "for example 4.5"));
	CU_ASSERT_TRUE(one_error("[vm a]\nbudget=-4\n", 2, "for example 4.5"));
	CU_ASSERT_TRUE(one_error("[vm a]\nbudget=101%\n", 2, "1% to 100%"));
	CU_ASSERT_TRUE(one_error("[vm a]\nbudget=4.1234567\n", 2, "for example 4.5"));
	CU_ASSERT_TRUE(one_error("[vm a]\nbudget=99999999999999999999\n", 2, "for example 4.5"));
	CU_ASSERT_TRUE(one_error("[vm a]\nshare=0\n", 2, "1 to 1000"));
	CU_ASSERT_TRUE(one_error("[vm a]\nshare=1001\n", 2, "1 to 1000"));
	CU_ASSERT_TRUE(one_error("[vm a]\nbatch-max=0\n", 2, "0.1 to 1000"));
	CU_ASSERT_TRUE(one_error("[vm a]\nqueue-ahead=x\n", 2, "0.1 to 1000"));
	CU_ASSERT_TRUE(one_error("[vm a]\ngap=0\n", 2, "0.01 to 1000"));
	CU_ASSERT_TRUE(one_error("[vm a]\ngaps=many\n", 2, "0 to 100"));
	CU_ASSERT_TRUE(one_error("[vm a]\nbatches=0\n", 2, "1 to 10000"));
	CU_ASSERT_TRUE(one_error("[vm a]\nwatchdog=0.5\n", 2, "1 to 60000"));
	CU_ASSERT_TRUE(one_error("[vm a]\ntrips=0\n", 2, "1 to 1000"));
	CU_ASSERT_TRUE(one_error("[vm a]\nclass=safety\n", 1, "budget= is expected"));
	CU_ASSERT_TRUE(one_error("[vm a]\nbudget=17\n", 1, "longer than its period"));
	CU_ASSERT_TRUE(one_error("[vm a]\nqueue-ahead=1\n", 1, "longer queue-ahead="));
	CU_ASSERT_TRUE(one_error("[vm a]\nwatchdog=1\n", 1, "longer watchdog="));
}

/* As binnaclectl changes them. */
static void test_live_keys(void)
{
	const char *expected = NULL;
	struct bn_settings_vm vm = {.vm_class = BN_CLASS_INTERACTIVE};
	CU_ASSERT_TRUE(bn_settings_vm_key(&vm, "budget", "4ms", &expected));
	CU_ASSERT_EQUAL(vm.budget_ns, 4000000);
	CU_ASSERT_FALSE(bn_settings_vm_key(&vm, "budget", "much", &expected));
	CU_ASSERT_EQUAL(vm.budget_ns, 4000000);
	CU_ASSERT_TRUE(bn_settings_vm_key(&vm, "budget", "25%", &expected));
	CU_ASSERT_EQUAL(vm.budget_ns, 0);
	CU_ASSERT_EQUAL(vm.budget_percent, 25);
	CU_ASSERT_FALSE(bn_settings_vm_key(&vm, "socket", "/tmp/x", &expected));
	CU_ASSERT_PTR_NOT_NULL(strstr(expected, "queue-ahead"));
}

/* ---- scenes ---- */

static const struct bn_scene_layer *layer(const char *name)
{
	const struct bn_scene_layer *l = bn_scene_find(&settings.scene, name);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	return l;
}

#define TWO "[output left]\nmode=1280x480\n[output right]\nmode=800x600\n"

static void test_layer_keys(void)
{
	CU_ASSERT_EQUAL_FATAL(read_text(TWO "[vm a]\nscanout.0=left\nscanout.3=right\nplanes=2\n"
					    "[vm b]\nscanout.0=right\n"
					    "[layer gauges]\nvm=a\noutput=left\nrole=safety\n"
					    "opening.1=10,20,300,200\nopening=0,0,5,5\n"
					    "[layer map]\nvm=b\noutput=left\ncrop=0,0,600,400\n"
					    "at=10, 20\nsize=300x200\nrotate=180\nreflect=xy\n"
					    "alpha=50%\nblend=yes\nz=-3\n"
					    "[layer mirror]\nvm=a\nscanout=3\noutput=left\n"
					    "hidden=yes\nz=-7\ncrop=none\nsize=\n"),
		0);
	CU_ASSERT_EQUAL(settings.vms[0].planes, 2);
	/* Implied ones first; a's own place on left is that of "gauges". */
	CU_ASSERT_EQUAL_FATAL(settings.scene.num_layers, 5);
	CU_ASSERT_STRING_EQUAL(settings.scene.layers[0].name, "a.3");
	CU_ASSERT_STRING_EQUAL(settings.scene.layers[0].output, "right");
	CU_ASSERT_EQUAL(settings.scene.layers[0].scanout, 3);
	CU_ASSERT_EQUAL(settings.scene.layers[0].line, 0);
	CU_ASSERT_STRING_EQUAL(settings.scene.layers[1].name, "b");
	CU_ASSERT_EQUAL(settings.scene.layers[1].place.alpha, BN_ALPHA_OPAQUE);
	const struct bn_scene_layer *l = layer("gauges");
	CU_ASSERT_EQUAL(l->line, 11);
	CU_ASSERT_EQUAL(l->place.role, BN_ROLE_SAFETY);
	CU_ASSERT_EQUAL_FATAL(l->num_openings, 2);
	CU_ASSERT_EQUAL(l->openings[0].width, 5);
	CU_ASSERT_EQUAL(l->openings[1].x, 10);
	CU_ASSERT_EQUAL(l->openings[1].height, 200);
	l = layer("map");
	CU_ASSERT_EQUAL(l->place.crop.width, 600);
	CU_ASSERT_EQUAL(l->place.at.x, 10);
	CU_ASSERT_EQUAL(l->place.at.y, 20);
	CU_ASSERT_EQUAL(l->place.at.width, 300);
	CU_ASSERT_EQUAL(l->place.at.height, 200);
	CU_ASSERT_EQUAL(l->place.transform, 4 | 16 | 32); /* of drm_mode.h */
	CU_ASSERT_EQUAL(l->place.alpha, 0x8000);
	CU_ASSERT_TRUE(l->place.blend);
	CU_ASSERT_EQUAL(l->place.z, -3);
	l = layer("mirror");
	CU_ASSERT_EQUAL(l->scanout, 3);
	CU_ASSERT_TRUE(l->place.hidden);
	CU_ASSERT_EQUAL(l->place.crop.width + l->place.at.width, 0);
}

/* That one key is refused, in line 9 of the text. */
static bool bad_key(const char *key, const char *part)
{
	char text[256];
	snprintf(text, sizeof(text),
		TWO "[vm a]\nscanout.0=left\n[layer m]\nvm=a\n%s\noutput=right\n", key);
	return one_error(text, 9, part);
}

static void test_layer_mistakes(void)
{
	CU_ASSERT_TRUE(bad_key("crop=1,2,3", "X,Y,WIDTH,HEIGHT"));
	CU_ASSERT_TRUE(bad_key("crop=1,2,3,0", "X,Y,WIDTH,HEIGHT"));
	CU_ASSERT_TRUE(bad_key("crop=1,2,3,4,5", "X,Y,WIDTH,HEIGHT"));
	CU_ASSERT_TRUE(bad_key("crop=1,2,3,99999999999999999999", "X,Y,WIDTH,HEIGHT"));
	CU_ASSERT_TRUE(bad_key("at=1", "X,Y"));
	CU_ASSERT_TRUE(bad_key("at=1,two", "X,Y"));
	CU_ASSERT_TRUE(bad_key("at=", "X,Y"));
	CU_ASSERT_TRUE(bad_key("size=10", "WIDTHxHEIGHT"));
	CU_ASSERT_TRUE(bad_key("size=10x10@60", "WIDTHxHEIGHT"));
	CU_ASSERT_TRUE(bad_key("size=0x10", "WIDTHxHEIGHT"));
	CU_ASSERT_TRUE(bad_key("rotate=45", "0, 90, 180 or 270"));
	CU_ASSERT_TRUE(bad_key("reflect=left", "x (left becomes right)"));
	CU_ASSERT_TRUE(bad_key("alpha=101", "0 (not to be seen) to 100"));
	CU_ASSERT_TRUE(bad_key("alpha=0.5", "0 (not to be seen) to 100"));
	CU_ASSERT_TRUE(bad_key("alpha=", "0 (not to be seen) to 100"));
	CU_ASSERT_TRUE(bad_key("alpha=100000000000%", "0 (not to be seen) to 100"));
	CU_ASSERT_TRUE(bad_key("blend=some", "yes"));
	CU_ASSERT_TRUE(bad_key("hidden=perhaps", "yes or no"));
	CU_ASSERT_TRUE(bad_key("z=top", "-10000"));
	CU_ASSERT_TRUE(bad_key("z=10001", "-10000"));
	CU_ASSERT_TRUE(bad_key("role=fallback", "normal or safety"));
	CU_ASSERT_TRUE(bad_key("scanout=16", "0 to 15"));
	CU_ASSERT_TRUE(bad_key("opening.4=0,0,1,1", "0 to 3"));
	CU_ASSERT_TRUE(bad_key("opening.0=0,0", "X,Y,WIDTH,HEIGHT"));
	CU_ASSERT_TRUE(bad_key("zorder=3", "unknown key 'zorder' in [layer]"));
	CU_ASSERT_TRUE(one_error("[vm a]\nplanes=33\n", 2, "0 to 32"));
}

/* A layer of the text below, in line 7. */
static bool bad_layer(const char *keys, const char *part)
{
	char text[512];
	snprintf(text, sizeof(text), TWO "[vm a]\nscanout.0=left\n[layer m]\n%s", keys);
	return one_error(text, 7, part);
}

static void test_scene_mistakes(void)
{
	CU_ASSERT_TRUE(bad_layer("vm=a\n", "layer m: it is on no output"));
	CU_ASSERT_TRUE(bad_layer("vm=a\noutput=top\n", "no output 'top'; outputs are: left, right"));
	CU_ASSERT_TRUE(bad_layer("output=left\n", "vm= is expected"));
	CU_ASSERT_TRUE(bad_layer("vm=b\noutput=left\n", "[vm NAME]"));
	CU_ASSERT_TRUE(bad_layer("vm=a\nscanout=1\noutput=left\n", "scanout.1=OUTPUT in [vm a]"));
	CU_ASSERT_TRUE(bad_layer("vm=a\noutput=right\nat=800,0\n", "outside of output right"));
	CU_ASSERT_TRUE(bad_layer("vm=a\noutput=right\ncrop=0,0,10,10\nsize=161x10\n", "16 times"));
	CU_ASSERT_TRUE(
		bad_layer("vm=a\noutput=right\nrole=safety\nat=1,1\n", "wholly on its output"));
	CU_ASSERT_TRUE(bad_layer("vm=a\noutput=right\nrole=safety\n[layer n]\nvm=a\noutput=right\n"
				 "role=safety\nz=-1\n",
		"it overlaps safety layer n"));
	/* An implied layer's mistake is its VM's. */
	CU_ASSERT_TRUE(one_error(TWO "[layer s]\nvm=a\noutput=right\nrole=safety\nz=-1\n"
				     "[vm a]\nscanout.0=left\n[vm b]\nscanout.0=right\n",
		12, "layer b: it covers safety layer s on output right"));
	CU_ASSERT_TRUE(one_error(TWO "[vm a]\nscanout.0=left\n[layer a]\nvm=a\noutput=right\n", 7,
		"has that name"));
	/* A gap between scanouts is a screen without a display. */
	CU_ASSERT_TRUE(one_error(TWO "[vm a]\nscanout.2=left\n[layer m]\nvm=a\noutput=left\n", 7,
		"vm a has no scanout 0"));
	/* All of them, each once; a layer that was not understood is not looked at further. */
	CU_ASSERT_EQUAL(read_text(TWO "[vm a]\n[layer m]\nvm=x\nat=3\n[layer n]\nvm=a\n"), -EINVAL);
	CU_ASSERT_EQUAL(errors.count, 3);
}

static void test_kms_output(void)
{
	CU_ASSERT_EQUAL_FATAL(read_text("[output o]\nbackend=kms\ncard=vkms\nconnector=HDMI-A-1\n"
					"[output p]\nmode=640x480\nbackend=kms\n"
					"[vm a]\nscanout.0=o\nscanout.1=p\n"
					"[layer m]\nvm=a\nscanout=1\noutput=o\nat=4000,4000\n"),
		0);
	CU_ASSERT_EQUAL(settings.outputs[0].config.kind, BN_OUTPUT_KMS);
	CU_ASSERT_TRUE(settings.outputs[0].config.preferred_mode);
	CU_ASSERT_STRING_EQUAL(settings.outputs[0].config.card, "vkms");
	CU_ASSERT_STRING_EQUAL(settings.outputs[0].config.connector, "HDMI-A-1");
	CU_ASSERT_FALSE(settings.outputs[1].config.preferred_mode);
	CU_ASSERT_TRUE(one_error("[vm a]\n[output o]\nmode=preferred\n", 2, "backend=kms"));
	CU_ASSERT_TRUE(one_error("[vm a]\n[output o]\ncard=vkms\n", 2, "backend=kms"));
	CU_ASSERT_TRUE(one_error("[vm a]\n[output o]\nbackend=kms\nconnector=\n", 4, "HDMI-A-1"));
}

/* As binnaclectl loads it. */
static void test_scene_text(void)
{
	static struct bn_scene scene;
	static const char text[] = "; a scene\n[layer m]\nvm=a\noutput=left\nz=4\n";
	static const char bad[] = "[layer m]\nz=x\n[core]\n";
	CU_ASSERT_EQUAL_FATAL(read_text(TWO "[vm a]\nscanout.0=left\n[vm b]\nscanout.0=left\n"
					    "[layer n]\nvm=b\noutput=right\n"),
		0);
	bn_config_errors_finish(&errors);
	errors = (struct bn_config_errors){0};
	CU_ASSERT_EQUAL_FATAL(
		bn_settings_scene_text(&settings, &scene, text, strlen(text), &errors), 0);
	CU_ASSERT_EQUAL_FATAL(scene.num_layers, 2);
	CU_ASSERT_STRING_EQUAL(scene.layers[0].name, "b");
	CU_ASSERT_STRING_EQUAL(scene.layers[1].name, "m");
	CU_ASSERT_EQUAL(scene.layers[1].line, 2);
	CU_ASSERT_EQUAL(bn_settings_scene_text(&settings, &scene, bad, strlen(bad), &errors), -EINVAL);
	CU_ASSERT_EQUAL_FATAL(errors.count, 2);
	CU_ASSERT_EQUAL(errors.list[1].line, 3);
	bn_config_errors_finish(&errors);
	errors = (struct bn_config_errors){0};
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"every key", test_whole},
		{"defaults", test_defaults},
		{"bad values name what is expected", test_values},
		{"mistakes of the whole file", test_whole_file},
		{"many mistakes at once", test_many},
		{"keys of the scheduler", test_scheduler_keys},
		{"what the scheduler is told by default", test_scheduler_defaults},
		{"mistakes in keys of the scheduler", test_scheduler_mistakes},
		{"keys that are changed live", test_live_keys},
		{"keys of layers", test_layer_keys},
		{"mistakes in keys of layers", test_layer_mistakes},
		{"mistakes of the whole scene", test_scene_mistakes},
		{"outputs of backend=kms", test_kms_output},
		{"a scene as a text of its own", test_scene_text},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("settings", tests);
}
