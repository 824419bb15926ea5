#include "unit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <json.h>

#include "scheduler/monitor.h"
#include "scheduler/trace.h"

#define US 1000u
#define MS 1000000u

static const char *vm_name(void *data, unsigned vm)
{
	static const char *const names[] = {"cluster", "cock\"pit\\\n"};
	return vm < 2 ? names[vm] : NULL;
}

static const char *event_text(void *data, uint64_t number)
{
	return number == 7 ? "a \"batch\" ran too long" : NULL;
}

/* The trace as JSON, NULL when it is none; *count: what bn_trace_write() returned. */
static struct json_object *written(struct bn_trace *t, uint64_t from_ns, long *count)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	*count = bn_trace_write(t, f, from_ns, vm_name, event_text, NULL);
	fclose(f);
	struct json_object *trace = json_tokener_parse(text);
	free(text);
	return trace;
}

static const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *value = NULL;
	json_object_object_get_ex(o, key, &value);
	const char *text = json_object_get_string(value);
	return text ? text : "";
}

static double number_of(struct json_object *o, const char *key)
{
	struct json_object *value = NULL;
	json_object_object_get_ex(o, key, &value);
	return json_object_get_double(value);
}

static struct json_object *arg_of(struct json_object *o, const char *key)
{
	struct json_object *args = NULL, *value = NULL;
	json_object_object_get_ex(o, "args", &args);
	json_object_object_get_ex(args, key, &value);
	return value;
}

static struct json_object *events_of(struct json_object *trace)
{
	struct json_object *list = NULL;
	CU_ASSERT_PTR_NOT_NULL_FATAL(trace);
	CU_ASSERT_TRUE_FATAL(json_object_object_get_ex(trace, "traceEvents", &list));
	return list;
}

/* The event of that name, or NULL. */
static struct json_object *find(struct json_object *list, const char *name)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *e = json_object_array_get_idx(list, i);
		if (strcmp(text_of(e, "name"), name) == 0)
			return e;
	}
	return NULL;
}

static bool track_is(struct json_object *list, const char *what, int pid, int tid, const char *name)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *e = json_object_array_get_idx(list, i);
		if (strcmp(text_of(e, "name"), what) == 0 && number_of(e, "pid") == pid &&
			(tid == 0 || number_of(e, "tid") == tid))
			return strcmp(json_object_get_string(arg_of(e, "name")), name) == 0;
	}
	return false;
}

static void test_kinds(void)
{
	long n;
	struct bn_trace *t = bn_trace_create(100);
	bn_trace_add(NULL, BN_TRACE_FRAME, 0, 1, 2, 0, 0);
	bn_trace_add(t, BN_TRACE_FRAME, 0, 10 * MS, 42 * MS + 7, 1, BN_MISS_SCHEDULER);
	bn_trace_add(t, BN_TRACE_GUEST, 0, 10 * MS, 12 * MS, 0, 0);
	bn_trace_add(t, BN_TRACE_GRANT, 1, 12 * MS, 15 * MS, 2 * MS, 3);
	bn_trace_add(t, BN_TRACE_BATCH, 1, 13 * MS, 15 * MS, 5 * MS, 0);
	bn_trace_add(t, BN_TRACE_WAIT, 0, 12 * MS, 15 * MS, 0, 0);
	bn_trace_add(t, BN_TRACE_MISS, 0, 26 * MS, 26 * MS, 1, BN_MISS_SCHEDULER);
	bn_trace_add(t, BN_TRACE_EVENT, 1, 30 * MS, 30 * MS, 7, 0);
	bn_trace_add(t, BN_TRACE_LATE, BN_TRACE_NO_VM, 31 * MS, 31 * MS, 3 * MS, 0);
	struct json_object *trace = written(t, 0, &n);
	struct json_object *list = events_of(trace);
	CU_ASSERT_EQUAL(n, 8);
	struct json_object *frame = find(list, "frame: 1 missed (scheduler)");
	CU_ASSERT_PTR_NOT_NULL_FATAL(frame);
	CU_ASSERT_STRING_EQUAL(text_of(frame, "ph"), "X");
	CU_ASSERT_DOUBLE_EQUAL(number_of(frame, "ts"), 10000.0, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(number_of(frame, "dur"), 32000.007, 1e-6);
	struct json_object *guest = find(list, "guest"), *batch = find(list, "batch");
	struct json_object *lease = find(list, "lease"), *wait = find(list, "wait");
	CU_ASSERT_PTR_NOT_NULL_FATAL(guest && batch && lease && wait ? list : NULL);
	/* Within the frame on its track; batches on another one, within their grant. */
	CU_ASSERT_EQUAL(number_of(guest, "tid"), number_of(frame, "tid"));
	CU_ASSERT_EQUAL(number_of(batch, "tid"), number_of(lease, "tid"));
	CU_ASSERT_NOT_EQUAL(number_of(batch, "tid"), number_of(frame, "tid"));
	CU_ASSERT_NOT_EQUAL(number_of(wait, "tid"), number_of(frame, "tid"));
	CU_ASSERT_NOT_EQUAL(number_of(batch, "pid"), number_of(frame, "pid"));
	CU_ASSERT_DOUBLE_EQUAL(json_object_get_double(arg_of(batch, "predicted_ms")), 5.0, 1e-9);
	struct json_object *event = find(list, "a \"batch\" ran too long");
	CU_ASSERT_PTR_NOT_NULL_FATAL(event);
	CU_ASSERT_STRING_EQUAL(text_of(event, "ph"), "i");
	CU_ASSERT_PTR_NOT_NULL(find(list, "miss: 1 missed (scheduler)"));
	CU_ASSERT_PTR_NOT_NULL(find(list, "arbiter late"));
	CU_ASSERT_TRUE(track_is(list, "process_name", 1, 0, "cluster"));
	CU_ASSERT_TRUE(track_is(list, "process_name", 2, 0, "cock\"pit\\\n"));
	CU_ASSERT_TRUE(track_is(list, "process_name", 256, 0, "binnacled"));
	CU_ASSERT_TRUE(track_is(list, "thread_name", 1, (int)number_of(frame, "tid"), "frames"));
	CU_ASSERT_TRUE(track_is(list, "thread_name", 2, (int)number_of(batch, "tid"), "GPU"));
	json_object_put(trace);
	bn_trace_destroy(t);
	bn_trace_destroy(NULL);
}

/* Every track: spans in order, apart or one within the other. */
static void check_nesting(struct json_object *list)
{
	enum { TRACKS = 512, OPEN = 64 };
	static double end[TRACKS][OPEN], last[TRACKS];
	static unsigned depth[TRACKS];
	memset(depth, 0, sizeof(depth));
	memset(last, 0, sizeof(last));
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *e = json_object_array_get_idx(list, i);
		if (strcmp(text_of(e, "ph"), "X") != 0)
			continue;
		unsigned track = (unsigned)number_of(e, "tid") % TRACKS;
		double start = number_of(e, "ts"), stop = start + number_of(e, "dur");
		CU_ASSERT_TRUE(start >= last[track]);
		last[track] = start;
		while (depth[track] > 0 && end[track][depth[track] - 1] <= start + 1e-6)
			depth[track]--;
		if (depth[track] > 0)
			CU_ASSERT_TRUE(stop <= end[track][depth[track] - 1] + 1e-6);
		CU_ASSERT_TRUE_FATAL(depth[track] < OPEN);
		end[track][depth[track]++] = stop;
	}
}

static void test_overlaps(void)
{
	long n;
	struct bn_trace *t = bn_trace_create(4096);
	uint32_t seed = 1;
	/* 16 displays whose frames overlap as they like, and instants in between. */
	for (unsigned i = 0; i < 1600; i++) {
		seed = seed * 1664525u + 1013904223u;
		uint64_t start = (i / 16) * 20 * MS + i % 16 * US;
		uint64_t end = start + 10 * MS + seed % (9 * MS);
		bn_trace_add(t, BN_TRACE_FRAME, 0, start, end, 0, 0);
		bn_trace_add(t, BN_TRACE_DISPLAY, 0, start + 5 * MS, end, 0, 0);
	}
	struct json_object *trace = written(t, 0, &n);
	CU_ASSERT_EQUAL(n, 3200);
	check_nesting(events_of(trace));
	json_object_put(trace);
	bn_trace_destroy(t);
}

static void test_wrap(void)
{
	long n;
	struct bn_trace *t = bn_trace_create(60); /* becomes 64 */
	for (unsigned i = 0; i < 64; i++)
		bn_trace_add(t, BN_TRACE_BATCH, 0, i * MS, i * MS + MS, i, 0);
	CU_ASSERT_TRUE(bn_trace_covers(t, 0));
	for (unsigned i = 64; i < 1000; i++)
		bn_trace_add(t, BN_TRACE_BATCH, 0, i * MS, i * MS + MS, i * MS, 0);
	CU_ASSERT_FALSE(bn_trace_covers(t, 936 * MS));
	CU_ASSERT_TRUE(bn_trace_covers(t, 936 * MS + 1));
	struct json_object *trace = written(t, 0, &n);
	struct json_object *list = events_of(trace);
	CU_ASSERT_EQUAL(n, 64);
	for (unsigned i = 0; i < 64; i++) {
		struct json_object *e = json_object_array_get_idx(list, i);
		CU_ASSERT_DOUBLE_EQUAL(number_of(e, "ts"), (936.0 + i) * 1000, 1e-9);
	}
	json_object_put(trace);
	/* Only what ended at 990 ms or later. */
	trace = written(t, 990 * (uint64_t)MS, &n);
	CU_ASSERT_EQUAL(n, 11);
	json_object_put(trace);
	bn_trace_destroy(t);
}

static void test_order(void)
{
	long n;
	struct bn_trace *t = bn_trace_create(64);
	for (unsigned i = 0; i < 50; i++)
		bn_trace_add(t, BN_TRACE_WAIT, 0, (i * 37 % 50) * MS, (i * 37 % 50) * MS + 1, 0, 0);
	/* Recorded when it ended, after what is within it. */
	bn_trace_add(t, BN_TRACE_BATCH, 0, 3 * MS, 4 * MS, 0, 0);
	bn_trace_add(t, BN_TRACE_GRANT, 0, 3 * MS, 4 * MS, 0, 3);
	/* An end before its start is taken as the start. */
	bn_trace_add(t, BN_TRACE_DISPLAY, 0, 60 * MS, 50 * MS, 0, 0);
	struct json_object *trace = written(t, 0, &n);
	struct json_object *list = events_of(trace);
	double last = -1;
	for (long i = 0; i < n; i++) {
		struct json_object *e = json_object_array_get_idx(list, (size_t)i);
		CU_ASSERT_TRUE(number_of(e, "ts") >= last);
		last = number_of(e, "ts");
	}
	CU_ASSERT_EQUAL(n, 53);
	CU_ASSERT_EQUAL(number_of(find(list, "display"), "dur"), 0.0);
	check_nesting(list);
	json_object_put(trace);
	bn_trace_destroy(t);
}

/* ---- many threads ---- */

#define WRITERS 4u

static bool stop;

struct writer {
	struct bn_trace *trace;
	unsigned vm;
	uint64_t written;
};

/* Each member of an event follows from its start, so that a torn one shows. */
static void *write_many(void *data)
{
	struct writer *w = data;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		uint64_t start = (w->written * WRITERS + w->vm + 1) * US;
		bn_trace_add(
			w->trace, BN_TRACE_BATCH, w->vm, start, start + 3 * start, 5 * start, 0);
		w->written++;
	}
	return NULL;
}

static void check_whole(struct json_object *e)
{
	double start = number_of(e, "ts"), length = number_of(e, "dur");
	double value = json_object_get_double(arg_of(e, "predicted_ms")) * 1000;
	CU_ASSERT_DOUBLE_EQUAL(length, 3 * start, 0.01);
	CU_ASSERT_DOUBLE_EQUAL(value, 5 * start, 0.01);
	unsigned vm = ((unsigned)(uint64_t)(start + 0.5) - 1) % WRITERS;
	CU_ASSERT_EQUAL((unsigned)number_of(e, "pid"), vm + 1);
}

static void test_writers(void)
{
	struct bn_trace *t = bn_trace_create(16);
	struct writer w[WRITERS];
	pthread_t thread[WRITERS];
	uint64_t seen = 0;
	stop = false;
	for (unsigned i = 0; i < WRITERS; i++) {
		w[i] = (struct writer){t, i, 0};
		CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, write_many, &w[i]), 0);
	}
	for (unsigned i = 0; i < 2000 || seen < 4000; i++) {
		long n;
		struct json_object *trace = written(t, 0, &n);
		struct json_object *list = events_of(trace);
		for (long j = 0; j < n; j++)
			check_whole(json_object_array_get_idx(list, (size_t)j));
		seen += (uint64_t)n;
		json_object_put(trace);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(thread[i], NULL);
	long n;
	/* At rest all that is in the ring is whole; who was overtaken left gaps at most. */
	struct json_object *trace = written(t, 0, &n);
	CU_ASSERT_TRUE(n > 0 && n <= 16);
	json_object_put(trace);
	bn_trace_destroy(t);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"every kind on its track", test_kinds},
		{"spans that overlap", test_overlaps},
		{"the oldest go", test_wrap},
		{"in order", test_order},
		{"many threads", test_writers},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("trace", tests);
}
