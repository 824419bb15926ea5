/* Faults of a neighbour that shares the GPU with the instrument cluster: whatever it does, the
 * cluster shows frames on, the service says who it was, and the trace holds it. How long the
 * cluster went without a frame is printed, not asserted: bench/run faults makes a table of it.
 * E2E_TRACES=FOLDER in the environment keeps a trace of each fault there. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app.h"
#include "dash.h"

#define W 128u
#define H 64u
#define REFRESH_NS (1000000000ull / 60)

static struct e2e e;
static struct dash *dash;
static int64_t marked; /* number of the event that came next when the fault began */

static const char config[] = "[output dash]\nmode=128x64@60\n"
			     "[output centre]\nmode=128x64@60\n"
			     "[vm cluster]\nscanout.0=dash\nclass=safety\nbudget=8ms\n"
			     "[vm evil]\nscanout.0=centre\nclass=background\ntrips=3\n";

static void test_start(void)
{
	e2e_open(&e, config);
	dash = dash_start(&e, "cluster", "dash", W, H);
}

static void test_stop(void)
{
	dash_stop(dash);
	e2e_close(&e);
}

/* The answer to events from that number on. */
static struct json_object *events_since(int64_t number, int64_t *next)
{
	char request[64];
	struct json_object *answer, *field;

	snprintf(request, sizeof(request), "{\"command\":\"events\",\"since\":%lld}",
		(long long)number);
	answer = e2e_control(&e, request, NULL);
	if (next && answer && json_object_object_get_ex(answer, "next", &field))
		*next = json_object_get_int64(field);
	return answer;
}

/* The fault begins. */
static void mark(void)
{
	json_object_put(events_since(INT64_MAX, &marked));
	dash_mark(dash);
}

static void keep_trace(const char *fault)
{
	const char *dir = getenv("E2E_TRACES");
	char path[256], out[256];
	char *argv[] = {(char *)e2e_program("BINNACLECTL"), (char *)"--socket", e.control, (char *)"trace",
		(char *)"--last", (char *)"--seconds", (char *)"30", path, NULL};

	if (!dir)
		return;
	snprintf(path, sizeof(path), "%s/%s.json", dir, fault);
	CU_ASSERT_EQUAL(e2e_run(argv, out, sizeof(out)), 0);
}

/* A fault's figures: name, longest time without a frame in refreshes, frames seen. */
static void report(const char *fault)
{
	unsigned frames;
	uint64_t worst = dash_worst_ns(dash, &frames);

	printf("\nFAULT %s %.2f %u\n", fault, (double)worst / (double)REFRESH_NS, frames);
	keep_trace(fault);
}

/* True when the event log holds that kind for that VM since the fault began. */
static bool event_seen(const char *vm, const char *kind)
{
	struct json_object *answer = events_since(marked, NULL);
	struct json_object *events, *field;
	bool seen = false;

	if (!answer || !json_object_object_get_ex(answer, "events", &events)) {
		json_object_put(answer);
		return false;
	}
	for (size_t i = 0; i < json_object_array_length(events) && !seen; i++) {
		struct json_object *event = json_object_array_get_idx(events, i);

		seen = json_object_object_get_ex(event, "vm", &field) &&
		       strcmp(json_object_get_string(field), vm) == 0 &&
		       json_object_object_get_ex(event, "kind", &field) &&
		       strcmp(json_object_get_string(field), kind) == 0;
	}
	json_object_put(answer);
	return seen;
}

static bool event_wait(const char *vm, const char *kind)
{
	for (unsigned i = 0; i < 3000; i++) {
		if (event_seen(vm, kind))
			return true;
		e2e_sleep_ms(20);
	}
	fprintf(stderr, "\nno event '%s' of vm %s\n", kind, vm);
	return false;
}

static void pardon(void)
{
	json_object_put(e2e_control(&e, "{\"command\":\"vm\",\"vm\":\"evil\",\"pardon\":true}", NULL));
}

static bool evil_open(struct tg_vm *vm, struct tg_app *app)
{
	CU_ASSERT_TRUE(e2e_vm_wait_is(&e, "evil", "renderer_ready", 1));
	bool ok = tg_vm_open(vm, e2e_socket(&e, "evil"), NULL) == 0 &&
		  tg_app_init(app, vm, 1, 10, W, H) == 0;
	CU_ASSERT_TRUE(ok);
	if (!ok)
		tg_vm_close(vm);
	return ok;
}

static void evil_close(struct tg_vm *vm, struct tg_app *app)
{
	tg_app_finish(app);
	tg_vm_close(vm);
	dash_check(dash);
}

/* The first program is made: on a machine that stands still meanwhile that may take longer than a batch may, and cost
 * the context. Then with another one. */
static bool evil_open_with_loop(struct tg_vm *vm, struct tg_app *app)
{
	for (unsigned i = 0; i < 5; i++) {
		if (!evil_open(vm, app))
			return false;
		mark();
		tg_app_begin(app);
		tg_app_loop(app, 60000, 30);
		tg_app_submit(app);
		if (!event_seen("evil", "tripped"))
			return true;
		evil_close(vm, app);
		pardon();
	}
	CU_FAIL("each context was lost before it did any harm");
	return false;
}

static void test_giant_draw(void)
{
	struct tg_vm vm;
	struct tg_app app;

	if (!evil_open_with_loop(&vm, &app))
		return;
	mark();
	tg_app_begin(&app);
	tg_app_fill(&app, 1, 1);
	tg_finish(tg_app_submit_async(&app), NULL, 0);
	CU_ASSERT_TRUE(event_wait("evil", "tripped"));
	CU_ASSERT_TRUE(dash_wait(dash, 30));
	report("giant-draw");
	evil_close(&vm, &app);
}

static void test_endless_shader(void)
{
	struct tg_vm vm;
	struct tg_app app;
	int64_t restarts = e2e_vm_int(&e, "evil", "restarts");

	if (!evil_open(&vm, &app))
		return;
	mark();
	tg_app_begin(&app);
	tg_app_loop(&app, 60000, 0);
	tg_app_fill(&app, 1, TG_APP_QUADS);
	tg_finish(tg_app_submit_async(&app), NULL, 0);
	CU_ASSERT_TRUE(event_wait("evil", "stuck"));
	CU_ASSERT_TRUE(e2e_vm_wait(&e, "evil", "restarts", restarts + 1));
	CU_ASSERT_TRUE(dash_wait(dash, 30));
	report("endless-shader");
	evil_close(&vm, &app);
}

/* Its requests, until one is not answered in time. */
static void keep_busy(struct tg_app *app, unsigned frames)
{
	for (unsigned i = 0; i < frames; i++) {
		tg_app_begin(app);
		tg_app_fill(app, 8, 8);
		tg_app_submit(app);
	}
}

/* Its renderer, which is well known by now and has long work under way. */
static pid_t in_the_middle(struct tg_app *app, struct tg_request **request)
{
	keep_busy(app, 20);
	pid_t pid = (pid_t)e2e_vm_int(&e, "evil", "renderer_pid");
	CU_ASSERT_FATAL(pid > 1);
	tg_app_begin(app);
	tg_app_fill(app, 200, TG_APP_QUADS);
	*request = tg_app_submit_async(app);
	mark();
	return pid;
}

static void test_stopped(void)
{
	struct tg_vm vm;
	struct tg_app app;
	struct tg_request *request;

	if (!evil_open(&vm, &app))
		return;
	pid_t pid = in_the_middle(&app, &request);
	kill(pid, SIGSTOP);
	CU_ASSERT_TRUE(dash_wait(dash, 60));
	report("stopped-renderer");
	kill(pid, SIGCONT);
	tg_finish(request, NULL, 0);
	evil_close(&vm, &app);
}

static void test_killed(void)
{
	struct tg_vm vm;
	struct tg_app app;
	struct tg_request *request;

	if (!evil_open(&vm, &app))
		return;
	int64_t restarts = e2e_vm_int(&e, "evil", "restarts");
	pid_t pid = in_the_middle(&app, &request);
	kill(pid, SIGKILL);
	CU_ASSERT_TRUE(e2e_vm_wait(&e, "evil", "restarts", restarts + 1));
	CU_ASSERT_TRUE(dash_wait(dash, 60));
	report("killed-renderer");
	tg_finish(request, NULL, 0);
	evil_close(&vm, &app);
}

static void test_contexts(void)
{
	struct tg_vm vm;
	struct tg_app app;
	unsigned refused = 0;

	if (!evil_open(&vm, &app))
		return;
	int64_t restarts = e2e_vm_int(&e, "evil", "restarts");
	pardon(); /* of what the faults before have brought it */
	mark();
	for (uint32_t ctx = 100; ctx < 10100; ctx++)
		refused += tg_ctx_create(&vm, ctx, 2, "one of many") ==
			   VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	/* For want of memory, or BN_CONTEXTS_MAX; unless it took so long to make them that it lost the GPU for it. */
	CU_ASSERT_TRUE(refused > 0 || event_seen("evil", "quarantined"));
	CU_ASSERT_EQUAL(e2e_vm_int(&e, "evil", "restarts"), restarts);
	report("10000-contexts");
	evil_close(&vm, &app);
}

/* The thread of that name. */
static pid_t thread_named(pid_t pid, const char *name)
{
	char path[64], comm[32];

	for (pid_t tid = pid; tid < pid + 1000; tid++) {
		snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", (int)pid, (int)tid);
		FILE *f = fopen(path, "re");
		bool found = f && fgets(comm, sizeof(comm), f) &&
			     strncmp(comm, name, strlen(name)) == 0;

		if (f)
			fclose(f);
		if (found)
			return tid;
	}
	return 0;
}

/* How often the service says that its arbiter was not run in time. */
static int64_t times_late(void)
{
	struct json_object *answer = e2e_control(&e, "{\"command\":\"status\"}", NULL);
	struct json_object *scheduler, *late;
	int64_t n = -1;

	if (answer && json_object_object_get_ex(answer, "scheduler", &scheduler) &&
		json_object_object_get_ex(scheduler, "late", &late))
		n = json_object_get_int64(late);
	CU_ASSERT_TRUE(n >= 0);
	json_object_put(answer);
	return n;
}

static void test_arbiter_delayed(void)
{
	pid_t tid = thread_named(e.daemon, "arbiter");
	int64_t late = times_late();
	int status;

	CU_ASSERT_FATAL(tid > 0);
	mark();
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0) {
		printf("\nskipped: the arbiter's thread cannot be traced here\n");
		return;
	}
	CU_ASSERT_EQUAL(ptrace(PTRACE_INTERRUPT, tid, NULL, NULL), 0);
	waitpid(tid, &status, __WALL);
	e2e_sleep_ms(50);
	CU_ASSERT_EQUAL(ptrace(PTRACE_DETACH, tid, NULL, NULL), 0);
	CU_ASSERT_TRUE(dash_wait(dash, 60));
	report("arbiter-delayed-50ms");
	CU_ASSERT_TRUE(times_late() > late);
	dash_check(dash);
}

/* What came before may have brought it there already: a person lets it out first. */
static void test_quarantine(void)
{
	struct tg_vm vm;
	struct tg_app app;

	pardon();
	if (!evil_open(&vm, &app))
		return;
	mark();
	for (unsigned i = 0; i < 4; i++) {
		uint32_t ctx = 2 + i;
		struct tg_app other;

		if (tg_app_init(&other, &vm, ctx, 20 + 2 * i, W, H) == 0) {
			tg_app_begin(&other);
			tg_app_loop(&other, 60000, 30);
			tg_app_fill(&other, 1, 8);
			tg_app_submit(&other);
		}
		tg_app_finish(&other);
	}
	CU_ASSERT_TRUE(event_wait("evil", "quarantined"));
	CU_ASSERT_NOT_EQUAL(tg_ctx_create(&vm, 50, 2, "no more"), VIRTIO_GPU_RESP_OK_NODATA);
	report("quarantine");
	evil_close(&vm, &app);
}

/* The endless shader takes the watchdog longer than a test may last here: bench/run faults only. */
static void test_endless_if_asked(void)
{
	if (getenv("E2E_FAULTS_ALL"))
		test_endless_shader();
}

static const CU_TestInfo tests[] = {
	{"start", test_start},
	{"a draw that takes seconds", test_giant_draw},
	{"a shader without an end", test_endless_if_asked},
	{"renderer stopped", test_stopped},
	{"renderer killed", test_killed},
	{"10,000 contexts", test_contexts},
	{"the arbiter comes 50 ms late", test_arbiter_delayed},
	{"quarantine", test_quarantine},
	{"stop", test_stop},
	CU_TEST_INFO_NULL,
};

int main(void)
{
	return bn_unit_main("faults", tests);
}
