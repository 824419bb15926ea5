#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "events.h"
#include "metrics_http.h"

static struct bn_settings settings;
static unsigned followed;
static char last[BN_EVENTS_TEXT_MAX];

static void handle_added(void *data, const struct bn_event *event)
{
	followed++;
	strcpy(last, event->text);
}

static struct bn_events *begin(struct bn_trace *trace)
{
	settings.num_vms = 2;
	strcpy(settings.vms[0].name, "cluster");
	strcpy(settings.vms[1].name, "cockpit");
	followed = 0;
	struct bn_events *e = bn_events_create(&settings, trace);
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	return e;
}

static void test_list(void)
{
	struct bn_events *e = begin(NULL);
	CU_ASSERT_EQUAL(bn_events_next(e), 1);
	CU_ASSERT_PTR_NULL(bn_events_from(e, 0));
	bn_events_follow(e, handle_added, NULL);
	bn_events_add(e, 1, BN_EVENT_FAULT, "a\n%s", "\x1b[31mfault");
	bn_events_add(e, BN_EVENTS_NO_VM, BN_EVENT_LATE, "late");
	bn_events_add(e, 0, BN_EVENT_KINDS, "no such kind");
	bn_events_add(NULL, 0, BN_EVENT_FAULT, "nobody");
	CU_ASSERT_EQUAL(followed, 2);
	const struct bn_event *first = bn_events_from(e, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(first);
	CU_ASSERT_EQUAL(first->number, 1);
	CU_ASSERT_EQUAL(first->vm, 1);
	CU_ASSERT_STRING_EQUAL(first->text, "a??[31mfault");
	CU_ASSERT_STRING_EQUAL(bn_event_vm_name(e, first->vm), "cockpit");
	CU_ASSERT_STRING_EQUAL(bn_event_kind_name(first->kind), "fault");
	CU_ASSERT_TRUE(first->time_ns > 0 && first->wall.tv_sec > 0);
	const struct bn_event *second = bn_events_from(e, 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(second);
	CU_ASSERT_STRING_EQUAL(bn_event_vm_name(e, second->vm), "");
	CU_ASSERT_PTR_NULL(bn_events_from(e, 3));
	for (unsigned i = 0; i < BN_EVENT_KINDS; i++)
		CU_ASSERT_PTR_NOT_NULL(bn_event_kind_name(i));
	bn_events_destroy(e);
	bn_events_destroy(NULL);
}

/* A VM that has thousands of them leaves the others' in the list, and the count is right. */
static void test_flood(void)
{
	struct bn_events *e = begin(NULL);
	bn_events_add(e, 0, BN_EVENT_OVERRUN, "mine");
	for (unsigned i = 0; i < 10000; i++)
		bn_events_add(e, 1, BN_EVENT_FAULT, "flood %u", i);
	/* Of a second; the loop may have taken two. */
	CU_ASSERT_TRUE(bn_events_next(e) <= 2 + 3 * 32);
	const struct bn_event *first = bn_events_from(e, 0);
	CU_ASSERT_STRING_EQUAL(first ? first->text : "", "mine");
	bn_events_destroy(e);
}

/* Numbers go on while the oldest are forgotten. */
static void test_wrap(void)
{
	struct bn_events *e = begin(NULL);
	for (unsigned i = 0; i < 20; i++) {
		for (unsigned vm = 0; vm < BN_POLICY_VMS_MAX; vm++)
			bn_events_add(e, vm, BN_EVENT_FAULT, "%u of %u", i, vm);
	}
	uint64_t next = bn_events_next(e);
	CU_ASSERT_EQUAL(next, 20 * BN_POLICY_VMS_MAX + 1);
	uint64_t from = 0;
	unsigned count = 0;
	for (const struct bn_event *v; (v = bn_events_from(e, from)); from = v->number + 1) {
		CU_ASSERT_EQUAL(v->number, next - BN_EVENTS_KEPT + count);
		count++;
	}
	CU_ASSERT_EQUAL(count, BN_EVENTS_KEPT);
	bn_events_destroy(e);
}

static const char *no_vm(void *data, unsigned vm)
{
	return NULL;
}

static const char *no_event(void *data, uint64_t number)
{
	return NULL;
}

static void test_arbiter(void)
{
	struct bn_trace *trace = bn_trace_create(16);
	struct bn_events *e = begin(trace);
	bn_events_follow(e, handle_added, NULL);
	for (unsigned kind = 0; kind <= BN_ARBITER_LATE; kind++) {
		const struct bn_arbiter_event event = {
			.kind = kind,
			.vm = kind == BN_ARBITER_LATE ? BN_POLICY_VMS_MAX : 1,
			.value_ns = 12300000,
			.limit_ns = 4000000,
		};
		bn_events_arbiter(e, &event);
		CU_ASSERT_EQUAL(followed, kind + 1);
		if (kind == BN_ARBITER_TRIPPED || kind == BN_ARBITER_OVERRUN)
			CU_ASSERT_PTR_NOT_NULL(strstr(last, "12.3"));
	}
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	CU_ASSERT_EQUAL(bn_trace_write(trace, f, 0, no_vm, no_event, NULL), 8);
	fclose(f);
	free(text);
	bn_events_destroy(e);
	bn_trace_destroy(trace);
}

static void test_addresses(void)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
		{"127.0.0.1:9273", true},
		{"127.8.0.1:1", true},
		{"[::1]:65535", true},
		{"0.0.0.0:9273", false},
		{"192.168.0.1:9273", false},
		{"[::]:9273", false},
		{"[fe80::1]:9273", false},
		{"[::ffff:10.0.0.1]:9273", false},
		{"::1:9273", false},
		{"127.0.0.1", false},
		{"127.0.0.1:", false},
		{"127.0.0.1:0", false},
		{"127.0.0.1:65536", false},
		{"127.0.0.1:9273 ", false},
		{"localhost:9273", false},
		{":9273", false},
		{"[::1:9273", false},
		{"[]:1", false},
		{"[:1", false},
		{"", false},
		{"9999999999999999999999999999999999999999999999999999.0.0.1:1", false},
	};
	struct sockaddr_storage address;
	socklen_t size;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool good = bn_metrics_address(cases[i].text, &address, &size);
		if (good != cases[i].good)
			printf("%s: %d\n", cases[i].text, good);
		CU_ASSERT_EQUAL(good, cases[i].good);
	}
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"the list", test_list},
		{"a flood", test_flood},
		{"the oldest are forgotten", test_wrap},
		{"what the arbiter says", test_arbiter},
		{"addresses for the metrics", test_addresses},
		CU_TEST_INFO_NULL,
	};
	bn_log_init(BN_LOG_ERROR, "test");
	return bn_unit_main("events", tests);
}
