/* The monitor of a service with two guests that draw: figures in status and metrics, the trace, the
 * events, and parameters that are changed while everything runs. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app.h"
#include "common/fd.h"
#include "harness.h"
#include "protocol/control.h"

#define W 160u
#define H 120u
#define VMS 2u

static const char *const names[VMS] = {"cluster", "cockpit"};
static struct e2e e;
static uint16_t port;
static struct tg_vm vms[VMS];
static struct tg_app apps[VMS];

/* ---- helpers ---- */

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
	CU_ASSERT_TRUE(json_object_object_get_ex(o, key, &value));
	return json_object_get_double(value);
}

static struct json_object *member(struct json_object *o, const char *key)
{
	struct json_object *value = NULL;
	if (!json_object_object_get_ex(o, key, &value))
		fprintf(stderr, "\n\"%s\" is not there\n", key);
	CU_ASSERT_PTR_NOT_NULL_FATAL(value);
	return value;
}

static bool ok(struct json_object *answer)
{
	return json_object_get_boolean(member(answer, "ok"));
}

static struct json_object *ask(const char *request)
{
	struct json_object *answer = e2e_control(&e, request, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
	return answer;
}

/* Whether the request is refused with these words. */
static void refused(const char *request, const char *words)
{
	struct json_object *answer = ask(request);
	CU_ASSERT_FALSE(ok(answer));
	if (!strstr(text_of(answer, "error"), words))
		fprintf(stderr, "\n%s: %s\n", request, text_of(answer, "error"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text_of(answer, "error"), words));
	json_object_put(answer);
}

static struct json_object *vm_of(struct json_object *status, const char *name)
{
	struct json_object *list = member(status, "vms");
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *vm = json_object_array_get_idx(list, i);
		if (strcmp(text_of(vm, "name"), name) == 0)
			return vm;
	}
	CU_FAIL_FATAL("the VM is not in the status");
	return NULL;
}

/* The text in a memfd that came with an answer, malloced. */
static char *memfd_text(struct json_object *answer, int fd)
{
	size_t size = (size_t)number_of(answer, "size");
	char *text = calloc(1, size + 1);
	CU_ASSERT_TRUE_FATAL(text && fd >= 0);
	CU_ASSERT_EQUAL(pread(fd, text, size, 0), (ssize_t)size);
	CU_ASSERT_EQUAL(strlen(text), size);
	/* Sealed: mapping it cannot be made to fault. */
	CU_ASSERT_EQUAL(bn_memfd_check(fd, size), 0);
	close(fd);
	return text;
}

/* Each guest draws a frame and waits until it is shown. */
static void draw(unsigned frames)
{
	for (unsigned f = 0; f < frames; f++) {
		struct tg_request *submit[VMS], *flush[VMS];
		for (unsigned i = 0; i < VMS; i++) {
			tg_app_begin(&apps[i]);
			tg_app_clear(&apps[i], f * 0x010203);
			tg_app_fill(&apps[i], 2, 4);
			submit[i] = tg_app_submit_async(&apps[i]);
			flush[i] = tg_app_flush_async(&apps[i]);
		}
		for (unsigned i = 0; i < VMS; i++) {
			E2E_OK(tg_finish(submit[i], NULL, 0));
			E2E_OK(tg_finish(flush[i], NULL, 0));
		}
	}
}

/* ---- tests ---- */

static uint16_t free_port(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, size), 0);
	getsockname(fd, (struct sockaddr *)&address, &size);
	close(fd);
	return ntohs(address.sin_port);
}

static void test_start(void)
{
	char ini[1024];
	port = free_port();
	snprintf(ini, sizeof(ini),
		"policy=reserve\nrealtime=no\nmetrics-listen=127.0.0.1:%u\n"
		"[output left]\nmode=%ux%u@60\n[output right]\nmode=%ux%u@60\n"
		"[vm cluster]\nscanout.0=left\nclass=safety\nbudget=6\nbatches=2\n"
		"[vm cockpit]\nscanout.0=right\nclass=interactive\nshare=100\n",
		port, W, H, W, H);
	e2e_open(&e, ini);
	for (unsigned i = 0; i < VMS; i++) {
		CU_ASSERT_EQUAL_FATAL(tg_vm_open(&vms[i], e2e_socket(&e, names[i]), NULL), 0);
		CU_ASSERT_EQUAL_FATAL(tg_app_init(&apps[i], &vms[i], 1, 10, W, H), 0);
		tg_app_begin(&apps[i]);
		tg_app_clear(&apps[i], 0);
		E2E_OK(tg_app_submit(&apps[i]));
		E2E_OK(tg_app_show(&apps[i], 0));
	}
	draw(100);
}

static void test_stop(void)
{
	for (unsigned i = 0; i < VMS; i++) {
		tg_app_finish(&apps[i]);
		tg_vm_close(&vms[i]);
	}
	e2e_close(&e);
}

static void check_frames(struct json_object *vm)
{
	struct json_object *f = member(vm, "frame"), *causes = member(f, "miss_causes");
	double sum = 0;
	json_object_object_foreach(causes, cause, count)
	{
		CU_ASSERT_PTR_NOT_NULL(cause);
		sum += json_object_get_double(count);
	}
	CU_ASSERT_EQUAL(json_object_object_length(causes), 5);
	CU_ASSERT_EQUAL(number_of(f, "misses"), sum);
	CU_ASSERT_TRUE(number_of(f, "missed_frames") <= number_of(f, "misses"));
	CU_ASSERT_TRUE(number_of(f, "longest_miss_run") <= number_of(f, "misses"));
	/* The first frame has no release, nor has one that the guest began late. */
	CU_ASSERT_TRUE(number_of(f, "count") >= 60);
	CU_ASSERT_TRUE(number_of(f, "count") < number_of(vm, "frames_presented"));
	/* Paced by a display of 60 Hz: never faster. */
	CU_ASSERT_TRUE(number_of(f, "p50_ms") > 15.0);
	CU_ASSERT_TRUE(number_of(f, "mean_ms") > 15.0);
	CU_ASSERT_TRUE(number_of(f, "p50_ms") <= number_of(f, "p99_ms"));
	CU_ASSERT_TRUE(number_of(f, "p99_ms") <= number_of(f, "p999_ms"));
	CU_ASSERT_TRUE(number_of(f, "p999_ms") <= number_of(f, "max_ms"));
	CU_ASSERT_TRUE(number_of(f, "response_p50_ms") > 0);
	CU_ASSERT_TRUE(number_of(f, "response_p50_ms") <= number_of(f, "response_max_ms"));
	CU_ASSERT_TRUE(number_of(f, "gpu_p50_ms") > 0);
	CU_ASSERT_TRUE(number_of(f, "guest_p50_ms") <= number_of(f, "guest_p99_ms"));
	CU_ASSERT_EQUAL(json_object_array_length(member(f, "recent_ms")), 60);
}

static void test_status(void)
{
	struct json_object *status = ask("{\"command\":\"status\"}");
	struct json_object *s = member(status, "scheduler");
	CU_ASSERT_STRING_EQUAL(text_of(s, "policy"), "reserve");
	CU_ASSERT_FALSE(json_object_get_boolean(member(s, "realtime")));
	CU_ASSERT_TRUE(json_object_get_boolean(member(s, "admitted")));
	CU_ASSERT_TRUE(number_of(s, "decision_p99_us") > 0);
	CU_ASSERT_TRUE(number_of(s, "decision_max_us") >= number_of(s, "decision_p50_us"));
	CU_ASSERT_TRUE(number_of(s, "wakeups") > 0);
	CU_ASSERT_TRUE(number_of(s, "utilisation") > 0.3);
	for (unsigned i = 0; i < VMS; i++) {
		struct json_object *vm = vm_of(status, names[i]);
		struct json_object *p = member(vm, "scheduler");
		check_frames(vm);
		/* Software rasterisers have timestamps, too, but others may have run in between. */
		CU_ASSERT_EQUAL(strcmp(text_of(vm, "gpu_time_source"), "processor") == 0,
			strstr(text_of(vm, "gl_renderer"), "llvmpipe") != NULL);
		CU_ASSERT_TRUE(number_of(p, "gpu_ms") > 0);
		CU_ASSERT_TRUE(number_of(p, "batches") >= 100);
		CU_ASSERT_TRUE(number_of(p, "grants") + number_of(p, "leases") > 0);
		CU_ASSERT_TRUE(number_of(p, "cpu_ms") > 0);
		CU_ASSERT_TRUE(number_of(p, "wait_p50_ms") <= number_of(p, "wait_max_ms"));
		CU_ASSERT_TRUE(number_of(p, "coverage_percent") <= 100);
		CU_ASSERT_TRUE(json_object_get_boolean(member(p, "attached")));
		CU_ASSERT_FALSE(json_object_get_boolean(member(p, "quarantined")));
		CU_ASSERT_DOUBLE_EQUAL(number_of(p, "period_ms"), 16.667, 0.001);
	}
	struct json_object *p = member(vm_of(status, "cluster"), "scheduler");
	CU_ASSERT_STRING_EQUAL(text_of(p, "class"), "safety");
	CU_ASSERT_EQUAL(number_of(p, "budget_ms"), 6);
	CU_ASSERT_TRUE(number_of(p, "bound_ms") > 6);
	CU_ASSERT_TRUE(json_object_get_boolean(member(p, "admitted")));
	p = member(vm_of(status, "cockpit"), "scheduler");
	CU_ASSERT_STRING_EQUAL(text_of(p, "class"), "interactive");
	CU_ASSERT_EQUAL(number_of(p, "share"), 100);
	CU_ASSERT_EQUAL(number_of(p, "bound_ms"), 0);
	json_object_put(status);
}

/* Each line: a comment, or NAME{LABELS} VALUE of a family whose TYPE came before. */
static unsigned check_metrics(char *text)
{
	char family[128] = "", type[32] = "", *rest = NULL;
	unsigned samples = 0;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char name[128], *end;
		if (strncmp(line, "# HELP ", 7) == 0)
			continue;
		if (line[0] == '#') {
			CU_ASSERT_EQUAL(sscanf(line, "# TYPE %127s %31s", family, type), 2);
			bool total = strlen(family) > 6 &&
				     strcmp(family + strlen(family) - 6, "_total") == 0;
			CU_ASSERT_EQUAL(total, strcmp(type, "counter") == 0);
			continue;
		}
		size_t len = strcspn(line, "{ ");
		snprintf(name, sizeof(name), "%.*s", (int)len, line);
		bool part = strcmp(type, "summary") == 0 &&
			    strncmp(name, family, strlen(family)) == 0 &&
			    (strcmp(name + strlen(family), "_sum") == 0 ||
				    strcmp(name + strlen(family), "_count") == 0);
		if (strcmp(name, family) != 0 && !part)
			fprintf(stderr, "\nnot of the family %s: %s\n", family, line);
		CU_ASSERT_TRUE(strcmp(name, family) == 0 || part);
		const char *value = strrchr(line, ' ');
		CU_ASSERT_PTR_NOT_NULL_FATAL(value);
		double number = strtod(value + 1, &end);
		CU_ASSERT_TRUE(end > value + 1 && *end == '\0');
		if (strcmp(type, "counter") == 0)
			CU_ASSERT_TRUE(number >= 0);
		if (line[len] == '{')
			CU_ASSERT_EQUAL(value[-1], '}');
		samples++;
	}
	return samples;
}

/* The value of a sample, by its name with labels; -1: not there. */
static double sample(const char *text, const char *name)
{
	const char *at = strstr(text, name);
	return at ? strtod(at + strlen(name), NULL) : -1;
}

static void check_values(const char *text)
{
	CU_ASSERT_EQUAL(sample(text, "binnacle_vm_frames_presented_total{vm=\"cluster\"}"),
		(double)e2e_vm_int(&e, "cluster", "frames_presented"));
	CU_ASSERT_TRUE(sample(text, "binnacle_vm_gpu_seconds_total{vm=\"cockpit\"}") > 0);
	CU_ASSERT_EQUAL(sample(text, "binnacle_vm_share{vm=\"cockpit\"}"), 100);
	CU_ASSERT_DOUBLE_EQUAL(
		sample(text, "binnacle_vm_budget_seconds{vm=\"cluster\"}"), 0.006, 1e-9);
	CU_ASSERT_TRUE(
		sample(text, "binnacle_vm_frame_time_seconds{vm=\"cluster\",quantile=\"0.5\"}") >
		0.015);
	CU_ASSERT_TRUE(sample(text, "binnacle_vm_frame_time_seconds_count{vm=\"cluster\"}") >= 60);
	CU_ASSERT_TRUE(sample(text, "binnacle_vm_refreshes_missed_total{vm=\"cluster\","
				    "cause=\"scheduler\"}") >= 0);
	CU_ASSERT_TRUE(sample(text, "binnacle_scheduler_decision_seconds_count") > 0);
	CU_ASSERT_EQUAL(sample(text, "binnacle_scheduler_admitted"), 1);
}

static void test_metrics(void)
{
	int fd = -1;
	struct json_object *answer = e2e_control(&e, "{\"command\":\"metrics\"}", &fd);
	CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
	CU_ASSERT_TRUE(ok(answer));
	CU_ASSERT_STRING_EQUAL(text_of(answer, "format"), "prometheus");
	char *text = memfd_text(answer, fd);
	check_values(text);
	CU_ASSERT_TRUE(check_metrics(text) > 100);
	free(text);
	json_object_put(answer);
}

/* Sends a request line; the whole answer, malloced. */
static char *http(const char *request)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval limit = {.tv_sec = TG_DEADLINE_S};
	char message[256];
	size_t room = 1 << 20, at = 0;
	char *text = calloc(1, room + 1);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	int len = snprintf(message, sizeof(message),
		"%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", request);
	CU_ASSERT_EQUAL(write(fd, message, (size_t)len), len);
	ssize_t n;
	while (at < room && (n = read(fd, text + at, room - at)) > 0)
		at += (size_t)n;
	close(fd);
	return text;
}

static void test_http(void)
{
	char *text = http("GET /metrics");
	CU_ASSERT_EQUAL(strncmp(text, "HTTP/1.1 200 ", 13), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "text/plain; version=0.0.4"));
	char *body = strstr(text, "\r\n\r\n");
	CU_ASSERT_PTR_NOT_NULL_FATAL(body);
	check_values(body);
	CU_ASSERT_TRUE(check_metrics(body + 4) > 100);
	free(text);
	text = http("GET /");
	CU_ASSERT_EQUAL(strncmp(text, "HTTP/1.1 404 ", 13), 0);
	free(text);
	text = http("DELETE /metrics");
	CU_ASSERT_EQUAL(strncmp(text, "HTTP/1.1 405 ", 13), 0);
	free(text);
	text = http("nonsense");
	CU_ASSERT_NOT_EQUAL(strncmp(text, "HTTP/1.1 200 ", 13), 0);
	free(text);
}

/* ---- the trace ---- */

/* The process that a VM is in the trace; 0: it is not there. */
static int process_of(struct json_object *events, const char *vm)
{
	for (size_t i = 0; i < json_object_array_length(events); i++) {
		struct json_object *v = json_object_array_get_idx(events, i);
		if (strcmp(text_of(v, "name"), "process_name") == 0 &&
			strcmp(text_of(member(v, "args"), "name"), vm) == 0)
			return (int)number_of(v, "pid");
	}
	return 0;
}

/* How many spans of a category a process has; each is checked. */
static unsigned spans(struct json_object *events, int pid, const char *category)
{
	unsigned n = 0;
	double last = 0;
	for (size_t i = 0; i < json_object_array_length(events); i++) {
		struct json_object *v = json_object_array_get_idx(events, i);
		if (number_of(v, "pid") != pid || strcmp(text_of(v, "ph"), "X") != 0 ||
			strcmp(text_of(v, "cat"), category) != 0)
			continue;
		CU_ASSERT_TRUE(number_of(v, "ts") >= last);
		CU_ASSERT_TRUE(number_of(v, "dur") >= 0);
		last = number_of(v, "ts");
		n++;
	}
	return n;
}

static struct json_object *trace_of(struct json_object *answer, int fd)
{
	CU_ASSERT_TRUE_FATAL(ok(answer));
	CU_ASSERT_STRING_EQUAL(text_of(answer, "format"), "chrome-json");
	CU_ASSERT_FALSE(json_object_get_boolean(member(answer, "truncated")));
	char *text = memfd_text(answer, fd);
	struct json_object *trace = json_tokener_parse(text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(trace);
	free(text);
	return trace;
}

static void test_trace_past(void)
{
	int fd = -1;
	draw(20);
	struct json_object *answer =
		e2e_control(&e, "{\"command\":\"trace\",\"seconds\":600,\"last\":true}", &fd);
	CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
	struct json_object *trace = trace_of(answer, fd), *events = member(trace, "traceEvents");
	for (unsigned i = 0; i < VMS; i++) {
		int pid = process_of(events, names[i]);
		CU_ASSERT_TRUE(pid > 0);
		CU_ASSERT_TRUE(spans(events, pid, "frame") >= 120);
		CU_ASSERT_TRUE(spans(events, pid, "display") > 0);
		CU_ASSERT_TRUE(spans(events, pid, "grant") > 0);
	}
	json_object_put(trace);
	json_object_put(answer);
}

/* Of what is to come: meanwhile the service goes on, and answers others. */
static void test_trace_ahead(void)
{
	static const char request[] = "{\"command\":\"trace\",\"seconds\":0.3}";
	static char text[BN_CONTROL_ANSWER_MAX + 1];
	struct timeval limit = {.tv_sec = TG_DEADLINE_S};
	int fd[BN_MAX_FDS];
	size_t nfds = BN_MAX_FDS;
	int sock = bn_unix_connect(e.control, SOCK_SEQPACKET);
	CU_ASSERT_TRUE_FATAL(sock >= 0);
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	bn_fd_set_nonblock(sock, false);
	CU_ASSERT_TRUE(bn_sendmsg(sock, request, strlen(request), NULL, 0) > 0);
	/* One more request on that connection waits for its turn. */
	CU_ASSERT_TRUE(bn_sendmsg(sock, "{\"command\":\"events\"}", 20, NULL, 0) > 0);
	CU_ASSERT_TRUE(e2e_vm_int(&e, "cluster", "frames_presented") > 0);
	draw(10);
	long n = bn_recvmsg(sock, text, BN_CONTROL_ANSWER_MAX, fd, &nfds, 0);
	CU_ASSERT_TRUE_FATAL(n > 0 && nfds == 1);
	text[n] = '\0';
	struct json_object *answer = json_tokener_parse(text);
	struct json_object *trace = trace_of(answer, fd[0]), *events = member(trace, "traceEvents");
	for (unsigned i = 0; i < VMS; i++) {
		int pid = process_of(events, names[i]);
		CU_ASSERT_TRUE(pid > 0);
		unsigned frames = spans(events, pid, "frame");
		CU_ASSERT_TRUE(frames > 0 && frames < 100);
	}
	json_object_put(trace);
	json_object_put(answer);
	nfds = BN_MAX_FDS;
	n = bn_recvmsg(sock, text, BN_CONTROL_ANSWER_MAX, fd, &nfds, 0);
	CU_ASSERT_TRUE_FATAL(n > 0 && nfds == 0);
	text[n] = '\0';
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"next\""));
	close(sock);
}

/* Who hangs up before the end leaves nothing behind (the last test counts), nor does a flood of
 * traces. */
static void test_trace_hangup(void)
{
	int socks[5], before = e2e_fd_count(e.daemon);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 5; i++) {
			const char *request = i % 2 ? "{\"command\":\"trace\",\"seconds\":600}"
						    : "{\"command\":\"trace\",\"seconds\":600,"
						      "\"last\":true}";
			socks[i] = bn_unix_connect(e.control, SOCK_SEQPACKET);
			CU_ASSERT_TRUE_FATAL(socks[i] >= 0);
			bn_sendmsg(socks[i], request, strlen(request), NULL, 0);
		}
		for (unsigned i = 0; i < 5; i++)
			close(socks[i]);
	}
	for (unsigned i = 0; i < TG_DEADLINE_S * 100 && e2e_fd_count(e.daemon) > before; i++)
		e2e_sleep_ms(10);
	CU_ASSERT_EQUAL(e2e_fd_count(e.daemon), before);
	refused("{\"command\":\"trace\"}", "seconds");
	refused("{\"command\":\"trace\",\"seconds\":1e9}", "seconds");
	refused("{\"command\":\"trace\",\"seconds\":-1}", "seconds");
	draw(5);
}

/* ---- changes and events ---- */

static struct json_object *event_of(struct json_object *answer, size_t from_end)
{
	struct json_object *list = member(answer, "events");
	size_t n = json_object_array_length(list);
	CU_ASSERT_TRUE_FATAL(n > from_end);
	return json_object_array_get_idx(list, n - 1 - from_end);
}

static void test_change(void)
{
	struct json_object *answer = ask("{\"command\":\"vm\",\"vm\":\"cockpit\","
					 "\"set\":{\"share\":\"50\",\"batch-max\":\"3\"}}");
	CU_ASSERT_TRUE(ok(answer));
	CU_ASSERT_TRUE(json_object_get_boolean(member(member(answer, "admission"), "admitted")));
	json_object_put(answer);
	CU_ASSERT_EQUAL(e2e_vm_int(&e, "cockpit", "scheduler.share"), 50);
	CU_ASSERT_EQUAL(e2e_vm_int(&e, "cockpit", "scheduler.batch_max_ms"), 3);
	answer = ask("{\"command\":\"events\"}");
	struct json_object *event = event_of(answer, 0);
	CU_ASSERT_STRING_EQUAL(text_of(event, "kind"), "changed");
	CU_ASSERT_STRING_EQUAL(text_of(event, "vm"), "cockpit");
	CU_ASSERT_PTR_NOT_NULL(strstr(text_of(event, "text"), "share=50"));
	CU_ASSERT_EQUAL(number_of(answer, "next"), number_of(event, "number") + 1);
	json_object_put(answer);
	draw(5);
}

static void test_refusal(void)
{
	static const char set[] = "\"vm\":\"cluster\",\"set\":{\"budget\":\"95%\"}}";
	char request[256];
	struct json_object *before = ask("{\"command\":\"events\"}");
	snprintf(request, sizeof(request), "{\"command\":\"vm\",%s", set);
	struct json_object *answer = ask(request);
	CU_ASSERT_FALSE(ok(answer));
	CU_ASSERT_PTR_NOT_NULL(strstr(text_of(answer, "error"), "cluster"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text_of(answer, "text"), "cluster"));
	struct json_object *admission = member(answer, "admission");
	CU_ASSERT_FALSE(json_object_get_boolean(member(admission, "admitted")));
	struct json_object *vm = json_object_array_get_idx(member(admission, "vms"), 0);
	CU_ASSERT_TRUE(number_of(vm, "bound_ms") > number_of(vm, "deadline_ms"));
	CU_ASSERT_TRUE(strlen(text_of(vm, "remedy")) > 0);
	json_object_put(answer);
	/* Nothing has changed, and nothing has happened. */
	CU_ASSERT_EQUAL(e2e_vm_int(&e, "cluster", "scheduler.budget_ms"), 6);
	answer = ask("{\"command\":\"events\"}");
	CU_ASSERT_EQUAL(number_of(answer, "next"), number_of(before, "next"));
	json_object_put(answer);
	json_object_put(before);
	/* The question alone is answered. */
	snprintf(request, sizeof(request), "{\"command\":\"admit\",%s", set);
	answer = ask(request);
	CU_ASSERT_TRUE(ok(answer));
	CU_ASSERT_FALSE(json_object_get_boolean(member(member(answer, "admission"), "admitted")));
	json_object_put(answer);
	answer = ask("{\"command\":\"admit\"}");
	CU_ASSERT_TRUE(json_object_get_boolean(member(member(answer, "admission"), "admitted")));
	CU_ASSERT_PTR_NOT_NULL(strstr(text_of(answer, "text"), "admitted"));
	json_object_put(answer);
	CU_ASSERT_EQUAL(e2e_vm_int(&e, "cluster", "scheduler.budget_ms"), 6);
}

static void test_mistakes(void)
{
	refused("{\"command\":\"vm\",\"vm\":\"x\",\"set\":{\"share\":\"1\"}}", "cluster, cockpit");
	refused("{\"command\":\"vm\",\"set\":{\"share\":\"1\"}}", "no vm");
	refused("{\"command\":\"vm\",\"vm\":\"cluster\"}", "set");
	refused("{\"command\":\"vm\",\"vm\":\"cluster\",\"set\":{}}", "set");
	refused("{\"command\":\"vm\",\"vm\":\"cluster\",\"set\":[1]}", "set");
	refused("{\"command\":\"vm\",\"vm\":\"cluster\",\"set\":{\"share\":\"0\"}}", "1 to 1000");
	refused("{\"command\":\"vm\",\"vm\":\"cluster\",\"set\":{\"share\":null}}", "1 to 1000");
	refused("{\"command\":\"vm\",\"vm\":\"cluster\",\"set\":{\"gl\":\"no\"}}", "class");
	refused("{\"command\":\"vm\",\"vm\":\"cluster\",\"set\":{\"budget\":\"99\"}}", "budget");
	refused("{\"command\":\"admit\",\"set\":{\"share\":\"1\"}}", "no vm");
	refused("{\"command\":\"reset\",\"vm\":\"x\"}", "no vm");
	refused("{\"command\":\"dance\"}", "trace");
	struct json_object *answer = ask("{\"command\":\"vm\",\"vm\":\"cockpit\",\"pardon\":true}");
	CU_ASSERT_TRUE(ok(answer));
	json_object_put(answer);
}

/* One message, NULL at the deadline. */
static struct json_object *message(int sock)
{
	static char text[BN_CONTROL_ANSWER_MAX + 1];
	long n = bn_recvmsg(sock, text, BN_CONTROL_ANSWER_MAX, NULL, NULL, 0);
	if (n <= 0)
		return NULL;
	text[n] = '\0';
	return json_tokener_parse(text);
}

static void test_follow(void)
{
	static const char request[] = "{\"command\":\"events\",\"since\":1000000,\"follow\":true}";
	struct timeval limit = {.tv_sec = TG_DEADLINE_S};
	int sock = bn_unix_connect(e.control, SOCK_SEQPACKET);
	CU_ASSERT_TRUE_FATAL(sock >= 0);
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	bn_fd_set_nonblock(sock, false);
	bn_sendmsg(sock, request, strlen(request), NULL, 0);
	struct json_object *first = message(sock);
	CU_ASSERT_PTR_NOT_NULL_FATAL(first);
	CU_ASSERT_EQUAL(json_object_array_length(member(first, "events")), 0);
	for (unsigned i = 0; i < 3; i++) {
		json_object_put(ask("{\"command\":\"vm\",\"vm\":\"cockpit\",\"set\":{"
				    "\"share\":\"70\"}}"));
		struct json_object *next = message(sock);
		CU_ASSERT_PTR_NOT_NULL_FATAL(next);
		struct json_object *event = member(next, "event");
		CU_ASSERT_EQUAL(number_of(event, "number"), number_of(first, "next") + i);
		CU_ASSERT_STRING_EQUAL(text_of(event, "text"), "changed: share=70");
		json_object_put(next);
	}
	json_object_put(first);
	close(sock);
	json_object_put(ask("{\"command\":\"vm\",\"vm\":\"cockpit\",\"set\":{\"share\":\"100\"}}"));
}

static void test_reset(void)
{
	int64_t presented = e2e_vm_int(&e, "cluster", "frames_presented");
	struct json_object *answer = ask("{\"command\":\"reset\",\"vm\":\"cluster\"}");
	CU_ASSERT_TRUE(ok(answer));
	json_object_put(answer);
	CU_ASSERT_EQUAL(e2e_vm_int(&e, "cluster", "frame.count"), 0);
	CU_ASSERT_EQUAL(e2e_vm_int(&e, "cluster", "frame.misses"), 0);
	CU_ASSERT_EQUAL(e2e_vm_int(&e, "cluster", "scheduler.wait_max_ms"), 0);
	CU_ASSERT_TRUE(e2e_vm_int(&e, "cockpit", "frame.count") > 0);
	CU_ASSERT_EQUAL(e2e_vm_int(&e, "cluster", "frames_presented"), presented);
	json_object_put(ask("{\"command\":\"reset\"}"));
	CU_ASSERT_EQUAL(e2e_vm_int(&e, "cockpit", "frame.count"), 0);
	draw(10);
	CU_ASSERT_TRUE(e2e_vm_int(&e, "cluster", "frame.count") >= 5);
	CU_ASSERT_TRUE(e2e_vm_int(&e, "cluster", "frame.count") <= 10);
}

/* A renderer that dies is an event, and the figures go on with its successor. */
static void test_death(void)
{
	int64_t pid = e2e_vm_int(&e, "cockpit", "renderer_pid");
	CU_ASSERT_TRUE_FATAL(pid > 0);
	kill((pid_t)pid, SIGKILL);
	CU_ASSERT_TRUE(e2e_vm_wait(&e, "cockpit", "restarts", 1));
	struct json_object *answer = ask("{\"command\":\"events\"}");
	struct json_object *event = event_of(answer, 0);
	CU_ASSERT_STRING_EQUAL(text_of(event, "kind"), "restart");
	CU_ASSERT_STRING_EQUAL(text_of(event, "vm"), "cockpit");
	CU_ASSERT_PTR_NOT_NULL(strstr(text_of(event, "text"), "signal 9"));
	json_object_put(answer);
}

/* The list of events, made long: longer than a message may be. */
static void test_long_answer(void)
{
	static const char *const sets[VMS] = {"\"class\":\"safety\",\"budget\":\"6.125\"",
		"\"class\":\"interactive\",\"budget\":\"1.125\""};
	char request[512];
	double next = 0;
	for (unsigned i = 0; next < 257 && i < 100000; i++) {
		snprintf(request, sizeof(request),
			"{\"command\":\"vm\",\"vm\":\"%s\",\"set\":{\"share\":\"%u\",%s,"
			"\"period\":\"16.667\",\"batch-max\":\"3.125\",\"queue-ahead\":\"6.25\","
			"\"gap\":\"1.125\",\"gaps\":\"0\",\"batches\":\"2\",\"watchdog\":\"1000\","
			"\"trips\":\"10\"}}",
			names[i % VMS], 100 + i % 100, sets[i % VMS]);
		struct json_object *answer = ask(request);
		if (!ok(answer))
			fprintf(stderr, "\n%s\n", text_of(answer, "error"));
		CU_ASSERT_TRUE_FATAL(ok(answer));
		json_object_put(answer);
		/* Each VM may have so many in a second. */
		if (i % 64 == 63)
			e2e_sleep_ms(1010);
		if (i % 64 == 63 || i > 250) {
			answer = ask("{\"command\":\"events\",\"since\":1000000}");
			next = number_of(answer, "next");
			json_object_put(answer);
		}
	}
	int fd = -1;
	struct json_object *answer = e2e_control(&e, "{\"command\":\"events\"}", &fd);
	CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
	CU_ASSERT_TRUE(ok(answer));
	CU_ASSERT_EQUAL(json_object_array_length(member(answer, "events")), 256);
	CU_ASSERT_TRUE(fd >= 0); /* it came so */
	bn_fd_close(&fd);
	json_object_put(answer);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"two guests draw", test_start},
		{"status", test_status},
		{"metrics", test_metrics},
		{"metrics over HTTP", test_http},
		{"trace of the past", test_trace_past},
		{"trace of what is to come", test_trace_ahead},
		{"traces that nobody waits for", test_trace_hangup},
		{"a change", test_change},
		{"a change that is refused", test_refusal},
		{"mistakes", test_mistakes},
		{"following events", test_follow},
		{"reset", test_reset},
		{"a long answer", test_long_answer},
		{"a renderer dies", test_death},
		{"service stops", test_stop},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("monitor", tests);
}
