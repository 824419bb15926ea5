/* What binnaclectl top shows, character by character, and what its keys do. */
#include "unit.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "top.h"

/* A status with what %s puts in its place of VMs. */
static const char header[] =
	"{\"ok\":true,\"version\":\"1.2\",\"uptime_ms\":%u,\"gpu\":\"render-node\","
	"\"gpu_path\":\"/dev/dri/"
	"renderD128\",\"scheduler\":{\"policy\":\"reserve\",\"realtime\":true,"
	"\"decision_p99_us\":3.24,\"decision_max_us\":41,\"late\":0,\"admitted\":%s,"
	"\"utilisation\":0.484},\"vms\":[%s]}";

#define CLUSTER                                                                                   \
	"{\"name\":\"cluster\",\"state\":\"running\",\"fps\":60.02,\"faults\":0,\"restarts\":0,"  \
	"\"gl_renderer\":\"virgl\",\"resource_bytes\":1048576,\"memory_max\":536870912,"          \
	"\"contexts\":2,\"resources\":9,\"scheduler\":{\"class\":\"safety\",\"period_ms\":16,"    \
	"\"budget_ms\":5,\"gpu_ms\":%u,\"gpu_percent\":25,\"wait_p99_ms\":0.113,"                 \
	"\"batches\":40,\"cuts\":3,\"coverage_percent\":99.5,\"share\":100,\"debt_ms\":0},"       \
	"\"frame\":{\"count\":%u,\"p50_ms\":16.01,\"p99_ms\":16.2,\"max_ms\":33.4,\"misses\":%u," \
	"\"missed_frames\":2,\"longest_miss_run\":2,\"period_ms\":16,"                            \
	"\"miss_causes\":{\"guest\":1,\"scheduler\":0,\"gpu\":2,\"compositor\":0,\"host\":4},"    \
	"\"recent_ms\":[16,16,33,16,8,4,2,16]}}"
#define HOSTILE                                                                                \
	"{\"name\":\"hostile\",\"state\":\"running\",\"fps\":9,\"faults\":12,\"scheduler\":"   \
	"{\"class\":\"background\",\"quarantined\":true,\"gpu_percent\":3.25,\"budget_ms\":0," \
	"\"wait_p99_ms\":812.5},\"frame\":{\"p50_ms\":100,\"p99_ms\":1234.5,\"max_ms\":98765," \
	"\"misses\":123456,\"longest_miss_run\":77,\"recent_ms\":[]}}"

static struct bn_top top;
static struct bn_grid g;

__attribute__((format(printf, 1, 2))) static struct json_object *json(const char *fmt, ...)
{
	static char text[65536];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	struct json_object *object = json_tokener_parse(text);
	if (!object)
		fprintf(stderr, "\nno JSON: %s\n", text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(object);
	return object;
}

static void give(unsigned uptime_ms, const char *vms)
{
	bn_top_status(&top, json(header, uptime_ms, "true", vms));
}

static const char *cluster(unsigned gpu_ms, unsigned frames, unsigned misses)
{
	static char text[4096];
	snprintf(text, sizeof(text), CLUSTER, gpu_ms, frames, misses);
	return text;
}

static void two(unsigned uptime_ms, unsigned gpu_ms, unsigned frames, unsigned misses)
{
	char text[8192];
	snprintf(text, sizeof(text), "%s,%s", cluster(gpu_ms, frames, misses), HOSTILE);
	give(uptime_ms, text);
}

static void draw(unsigned rows, unsigned cols, bool ascii)
{
	bn_grid_finish(&g);
	CU_ASSERT_EQUAL_FATAL(bn_grid_init(&g, rows, cols, ascii), 0);
	bn_top_draw(&top, &g);
}

static void row_is(unsigned row, const char *expected)
{
	char text[4096];
	bn_grid_row(&g, row, text, sizeof(text));
	if (strcmp(text, expected) != 0)
		fprintf(stderr, "\nrow %u is\n%s\nnot\n%s\n", row, text, expected);
	CU_ASSERT_STRING_EQUAL(text, expected);
}

static bool shows(const char *what)
{
	char text[4096];
	for (unsigned row = 0; row < g.rows; row++) {
		bn_grid_row(&g, row, text, sizeof(text));
		if (strstr(text, what))
			return true;
	}
	return false;
}

#define SHOWS(what) CU_ASSERT_TRUE(shows(what))
#define SHOWS_NOT(what) CU_ASSERT_FALSE(shows(what))

static uint8_t style_at(unsigned row, unsigned col)
{
	return g.cells[(size_t)row * g.cols + col].style;
}

static void begin(void)
{
	bn_top_init(&top, "car");
}

static void end(void)
{
	bn_top_finish(&top);
	bn_grid_finish(&g);
}

/* ---- the table ---- */

static void test_80(void)
{
	begin();
	two(3725000, 100, 8, 3);
	draw(24, 80, false);
	row_is(0, "binnacled 1.2 on car  up 1 h 02 min  GPU render-node /dev/dri/renderD128");
	row_is(1, "policy reserve  admitted 48%  decision p99 3.2 max 41.0 µs  late 0");
	row_is(2,
		" VM         CLAS STAT  FPS FRAMES     P50   P99   MAX BUDGET GPU WAIT MISSES FLT");
	row_is(3,
		">cluster    safe run  60.0 ▇▇█▇▄▂▁▇ 16.01 16.20 33.40 ████▊░  25 0.11    3/2   0");
	row_is(4,
		" hostile    back QUAR  9.0          100.0  1234 98765 -      3.2  812   123k  12");
	row_is(23, "q quit  s/S sort  Enter detail  e events  p pause  r reset  h help");
	CU_ASSERT_EQUAL(style_at(3, 29), BN_STYLE_BAD | BN_STYLE_SELECTED); /* the missed frame */
	CU_ASSERT_EQUAL(style_at(3, 28), BN_STYLE_SELECTED);
	CU_ASSERT_EQUAL(style_at(4, 18), BN_STYLE_BAD); /* quarantine */
	draw(24, 80, true);
	row_is(1, "policy reserve  admitted 48%  decision p99 3.2 max 41.0 us  late 0");
	row_is(3,
		">cluster    safe run  60.0 **#*:._* 16.01 16.20 33.40 #####.  25 0.11    3/2   0");
	end();
}

static void test_120(void)
{
	begin();
	two(1000, 100, 8, 3);
	draw(24, 120, false);
	row_is(2, " VM         CLASS       STATE         FPS FRAME TIMES                P50 P99 ms "
		  "  MAX "
		  "BUDGET       GPU % WAIT MISSES FLT");
	row_is(3, ">cluster    safety      running      60.0                 ▇▇█▇▄▂▁▇ 16.01  16.20 "
		  "33.40 "
		  "█████▋░  80%  25.0 0.11    3/2   0");
	end();
}

static void test_40(void)
{
	begin();
	two(1000, 100, 8, 3);
	draw(10, 40, false);
	row_is(0, "binnacled 1.2 on car  up 1 s  GPU rende…");
	row_is(2, " VM         STAT  FPS   P99 GPU % MISSES");
	row_is(3, ">cluster    run  60.0 16.20  25.0    3/2");
	row_is(4, " hostile    QUAR  9.0  1234   3.2   123k");
	end();
}

/* No size is too small, or too large. */
static void test_sizes(void)
{
	begin();
	for (unsigned page = 0; page < 4; page++) {
		top.page = page;
		for (unsigned rows = 1; rows < 60; rows += rows < 12 ? 1 : 9) {
			for (unsigned cols = 1; cols < 300; cols += cols < 90 ? 1 : 41) {
				if (rows == 5)
					two(1000 + cols, 100, 8, 3);
				draw(rows, cols, cols & 1);
			}
		}
	}
	draw(1000, 1000, false);
	SHOWS("Esc");
	end();
}

static void test_names(void)
{
	begin();
	give(1000, "{\"name\":\"a-virtual-machine-with-a-very-long-name-indeed\",\"state\":"
		   "\"\\u001b[2Jgone\"},"
		   "{\"name\":\"\\u001b]0;x\\u0007\\n\",\"state\":\"waiting\"},"
		   "{\"name\":\"größe\",\"state\":\"connected\"},{},7,null,[],\"x\"");
	draw(24, 80, false);
	row_is(3,
		">a-virtual… -    ?[2…    -              -     -     - -        -    -      -   -");
	row_is(4,
		" ?]0;x??    -    wait    -              -     -     - -        -    -      -   -");
	row_is(5,
		" größe      -    conn    -              -     -     - -        -    -      -   -");
	row_is(6,
		" -          -    -       -              -     -     - -        -    -      -   -");
	row_is(10,
		" -          -    -       -              -     -     - -        -    -      -   -");
	draw(24, 200, false);
	SHOWS("a-virtual-machine-with-a-very-l…");
	end();
}

static void test_nothing(void)
{
	static const char *const junk[] = {"{}", "[]", "7", "{\"vms\":7,\"scheduler\":[]}",
		"{\"vms\":[{\"frame\":7,\"scheduler\":\"x\",\"fps\":\"many\"}]}",
		("{\"vms\":[{\"name\":7,\"frame\":{\"recent_ms\":[null,\"x\",-1,1e999,{}],"
		 "\"period_ms\":-1,\"count\":-5,\"misses\":1e300}}],\"uptime_ms\":-1}")};
	begin();
	draw(24, 80, false);
	row_is(0, "binnacled  on car");
	for (size_t i = 0; i < sizeof(junk) / sizeof(junk[0]); i++) {
		for (unsigned page = 0; page < 4; page++) {
			bn_top_status(&top, json("%s", junk[i]));
			bn_top_admission(&top, json("%s", junk[i]));
			bn_top_events(&top, json("%s", junk[i]));
			top.page = page;
			draw(24, 80, false);
		}
	}
	end();
}

/* Before the first frame. */
static void test_no_frame(void)
{
	begin();
	give(1000, "{\"name\":\"a\",\"fps\":0,\"frame\":{\"count\":0,\"p50_ms\":0,\"p99_ms\":0,"
		   "\"max_ms\":0,\"misses\":0,\"recent_ms\":[]}}");
	draw(24, 80, false);
	row_is(3,
		">a          -    -     0.0              -     -     - -        -    -      0   -");
	end();
}

static void test_not_admitted(void)
{
	begin();
	bn_top_status(&top, json(header, 1000, "false", ""));
	draw(24, 80, false);
	row_is(1, "policy reserve  NOT ADMITTED 48%  decision p99 3.2 max 41.0 µs  late 0");
	CU_ASSERT_EQUAL(style_at(1, 16), BN_STYLE_BAD);
	end();
}

/* 32 rows on a screen that has fewer: the selected one is always there. */
static void test_many(void)
{
	static char vms[16384];
	size_t len = 0;
	for (unsigned i = 0; i < 32; i++)
		len += (size_t)snprintf(
			vms + len, sizeof(vms) - len, "%s{\"name\":\"vm%02u\"}", i ? "," : "", i);
	begin();
	give(1000, vms);
	draw(24, 80, false);
	SHOWS(">vm00");
	SHOWS(" vm18");
	SHOWS_NOT("vm19");
	SHOWS("1 to 19 of 32 VMs");
	for (unsigned i = 0; i < 31; i++) {
		CU_ASSERT_EQUAL(bn_top_key(&top, BN_KEY_DOWN), BN_TOP_NOTHING);
		draw(24, 80, false);
		char name[8];
		snprintf(name, sizeof(name), ">vm%02u", i + 1);
		SHOWS(name);
	}
	SHOWS("14 to 32 of 32 VMs");
	bn_top_key(&top, BN_KEY_DOWN);
	draw(24, 80, false);
	SHOWS(">vm31");
	bn_top_key(&top, BN_KEY_HOME);
	draw(24, 80, false);
	SHOWS(">vm00");
	bn_top_key(&top, BN_KEY_END);
	draw(60, 80, false); /* a taller one has room for all */
	SHOWS("vm00");
	SHOWS(">vm31");
	SHOWS_NOT("of 32 VMs");
	end();
}

/* ---- between two answers ---- */

static void test_rates(void)
{
	begin();
	two(10000, 1000, 100, 3);
	CU_ASSERT_EQUAL(top.view.vm[0].number[BN_COL_GPU], 25); /* the service's word at first */
	CU_ASSERT_TRUE(isnan(top.view.vm[0].fresh_misses));
	CU_ASSERT_EQUAL(top.view.past[0].binned, 8);
	two(12000, 1200, 103, 5); /* 200 ms in 2 s, 3 frames, 2 misses */
	CU_ASSERT_DOUBLE_EQUAL(top.view.vm[0].number[BN_COL_GPU], 10, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(top.view.vm[0].used, 0.1 * 16 / 5, 1e-9);
	CU_ASSERT_EQUAL(top.view.vm[0].fresh_misses, 2);
	CU_ASSERT_EQUAL(top.view.past[0].binned, 11);
	CU_ASSERT_EQUAL(top.view.past[0].bins[5], 1); /* 33 ms was not among the newest 3 */
	draw(24, 80, false);
	CU_ASSERT_EQUAL(style_at(3, 75), BN_STYLE_BAD | BN_STYLE_SELECTED);
	two(13000, 1200, 103, 5); /* nothing new */
	CU_ASSERT_EQUAL(top.view.past[0].binned, 11);
	draw(24, 80, false);
	CU_ASSERT_EQUAL(style_at(3, 75), BN_STYLE_WARN | BN_STYLE_SELECTED);
	two(14000, 1200, 2, 0); /* reset by somebody: 2 frames since */
	CU_ASSERT_EQUAL(top.view.past[0].binned, 13);
	two(500, 20, 1, 0); /* another service */
	CU_ASSERT_EQUAL(top.view.vm[0].number[BN_COL_GPU], 25);
	bn_top_was_reset(&top, NULL);
	CU_ASSERT_EQUAL(top.view.past[0].binned, 0);
	end();
}

static void order_is(const char *expected)
{
	char text[512] = "";
	for (unsigned i = 0; i < top.view.count; i++)
		strcat(text, top.view.vm[top.order[i]].name);
	CU_ASSERT_STRING_EQUAL(text, expected);
}

static void test_sort(void)
{
	begin();
	give(1000, "{\"name\":\"c\",\"fps\":30},{\"name\":\"a\",\"fps\":60},{\"name\":\"d\"},"
		   "{\"name\":\"b\",\"fps\":30}");
	order_is("cadb");
	bn_top_key(&top, BN_KEY_DOWN); /* a */
	bn_top_key(&top, 's');
	order_is("abcd");
	draw(24, 80, false);
	SHOWS("sorted by VM");
	SHOWS(">a"); /* stays selected wherever it goes */
	bn_top_key(&top, 'S');
	order_is("dcba");
	draw(24, 80, false);
	SHOWS("sorted by VM, reversed");
	SHOWS(">a");
	while (top.sort != BN_COL_FPS)
		bn_top_key(&top, 's');
	order_is("acbd"); /* fast ones first, unknown ones last, equal ones as they were */
	bn_top_key(&top, 'S');
	order_is("cbad");
	while (top.sort != BN_COLUMNS)
		bn_top_key(&top, 's');
	order_is("cadb");
	end();
}

/* ---- pages and keys ---- */

static void test_detail(void)
{
	begin();
	two(1000, 100, 100, 3);
	CU_ASSERT_EQUAL(bn_top_key(&top, BN_KEY_ENTER), BN_TOP_REFRESH);
	draw(24, 80, false);
	row_is(2, "VM       cluster   class safety   running   virgl");
	SHOWS("misses   3 in 2 frames, run 2  guest 1 scheduler 0 GPU 2 compositor 0 host 4");
	SHOWS("bound    not known");
	SHOWS("batches  40 in 100 ms, 3 cut (at - ms), as predicted or cheaper: 99.50 %");
	SHOWS("memory   1.0 of 512 MiB in 9 resources; copied 0.0 MiB in, 0.0 out");
	SHOWS("     < 8.00 ms ██");
	SHOWS(" from 40.00 ms");
	bn_top_admission(&top, json("{\"ok\":true,\"admission\":{\"vms\":[{\"name\":\"cluster\","
				    "\"admitted\":true,\"gaps\":2,\"in_flight\":1,\"batches\":4,"
				    "\"batch_max_ms\":2,"
				    "\"dispatch_ms\":0.05,\"cost_ms\":5,\"overhead_ms\":0.15,"
				    "\"compositor_ms\":0.5,"
				    "\"others_ms\":0,\"bound_ms\":12.25,\"deadline_ms\":14}]}}"));
	draw(24, 80, false);
	SHOWS("(2+1)·(1·2.00 + 0.05) + 5.00 + 4·0.15 + 0.50 + 0.00 = 12.25 ≤ 14.00");
	SHOWS("admitted; measured: response p50 -");
	SHOWS_NOT("grants");
	SHOWS(" from 40.00 ms"); /* all of it is seen at 80×24 */
	draw(40, 80, false);
	SHOWS("grants");
	bn_top_key(&top, BN_KEY_DOWN);
	bn_top_admission(&top, json("{\"ok\":true,\"admission\":{\"vms\":[{\"name\":\"hostile\","
				    "\"admitted\":false,\"load\":1.25,\"blocking_ms\":4,"
				    "\"remedy\":\"budget of vm hostile: at most 1 ms\"}]}}"));
	draw(24, 80, true);
	row_is(2, "VM       hostile   class background   quarantined   2D only");
	SHOWS("load 1.25, blocking 4.00 ms: budget of vm hostile: at most 1 ms");
	CU_ASSERT_EQUAL(bn_top_key(&top, BN_KEY_ESCAPE), BN_TOP_REFRESH);
	draw(24, 80, true);
	SHOWS(">hostile");
	end();
}

static void test_events(void)
{
	begin();
	two(1000, 100, 100, 3);
	bn_top_key(&top, 'e');
	draw(24, 80, false);
	SHOWS("nothing has happened");
	for (unsigned i = 1; i <= 300; i++)
		bn_top_events(
			&top, json("{\"ok\":true,\"next\":%u,\"events\":[{\"number\":%u,\"wall\":"
				   "\"2026-05-01T12:00:00.123Z\",\"kind\":\"tripped\",\"vm\":\"a\","
				   "\"text\":\"event %u\\u001b[2J\"}]}",
				      i + 1, i, i));
	CU_ASSERT_EQUAL(top.next_event, 301);
	draw(24, 80, false);
	row_is(3, "12:00:00.123 tripped     event 300?[2J");
	row_is(4, "12:00:00.123 tripped     event 299?[2J");
	bn_top_key(&top, BN_KEY_END);
	draw(24, 80, false);
	SHOWS("event 45?");
	SHOWS_NOT("event 44?");
	give(10, ""); /* a new service: its events are others */
	CU_ASSERT_EQUAL(top.next_event, 0);
	draw(24, 80, false);
	SHOWS("nothing has happened");
	end();
}

static void test_keys(void)
{
	begin();
	two(1000, 100, 100, 3);
	CU_ASSERT_EQUAL(bn_top_key(&top, 'r'), BN_TOP_NOTHING);
	draw(24, 80, false);
	SHOWS("begin anew? y/n");
	CU_ASSERT_EQUAL(bn_top_key(&top, 'q'), BN_TOP_NOTHING); /* no is meant */
	draw(24, 80, false);
	SHOWS_NOT("begin anew? y/n");
	bn_top_key(&top, 'r');
	CU_ASSERT_EQUAL(bn_top_key(&top, 'y'), BN_TOP_RESET);
	bn_top_was_reset(&top, "not now");
	draw(24, 80, false);
	SHOWS("not reset: not now");
	CU_ASSERT_EQUAL(bn_top_key(&top, 'p'), BN_TOP_REFRESH);
	draw(24, 80, false);
	SHOWS("PAUSED");
	bn_top_key(&top, 'p');
	bn_top_key(&top, '?');
	draw(24, 80, false);
	SHOWS("selects a VM");
	SHOWS("more below");
	bn_top_key(&top, BN_KEY_PAGE_DOWN);
	draw(24, 80, false);
	SHOWS("deaths of its renderer");
	SHOWS_NOT("PAUSED");
	CU_ASSERT_EQUAL(bn_top_key(&top, 0x1f600), BN_TOP_NOTHING);
	CU_ASSERT_EQUAL(bn_top_key(&top, UINT32_MAX), BN_TOP_NOTHING);
	CU_ASSERT_EQUAL(bn_top_key(&top, 'q'), BN_TOP_QUIT);
	end();
}

static void test_lost(void)
{
	begin();
	bn_top_lost(&top, "the service is gone");
	draw(24, 80, false);
	SHOWS("the service is gone; trying again");
	two(1000, 100, 100, 3);
	draw(24, 80, false);
	SHOWS_NOT("gone");
	bn_top_lost(&top, "the service is gone");
	draw(24, 80, false);
	SHOWS("the service is gone; figures are old; trying again");
	SHOWS(">cluster");
	end();
}

static void test_once(void)
{
	begin();
	two(1000, 100, 100, 3);
	CU_ASSERT_EQUAL(bn_top_once_rows(&top), 5);
	CU_ASSERT_EQUAL_FATAL(bn_grid_init(&g, 5, 80, false), 0);
	bn_top_draw_once(&top, &g);
	row_is(3,
		" cluster    safe run  60.0 ▇▇█▇▄▂▁▇ 16.01 16.20 33.40 ████▊░  25 0.11    3/2   0");
	end();
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"80 columns", test_80},
		{"120 columns", test_120},
		{"40 columns", test_40},
		{"every size", test_sizes},
		{"long and hostile names", test_names},
		{"missing fields and junk", test_nothing},
		{"no frame yet", test_no_frame},
		{"not admitted", test_not_admitted},
		{"32 VMs", test_many},
		{"between two answers", test_rates},
		{"sorting", test_sort},
		{"detail", test_detail},
		{"events", test_events},
		{"keys", test_keys},
		{"service lost", test_lost},
		{"--once", test_once},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("ctl_top", tests);
}
