#include "fake_service.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>

#include "common/fd.h"
#include "protocol/control.h"

#define CLIENTS 8

static struct fake_state *state;
static unsigned answers_sent;

static const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *value = NULL;
	json_object_object_get_ex(o, key, &value);
	return value ? json_object_get_string(value) : "";
}

/* ---- answers ---- */

static size_t vm_text(char *out, size_t size, unsigned i)
{
	static const char *const names[] = {"cluster", "hostile\\u001b[2J"};
	char name[32];
	snprintf(name, sizeof(name), "vm%u", i);
	return (size_t)snprintf(out, size,
		"%s{\"name\":\"%s\",\"state\":\"running\",\"fps\":60,\"faults\":%u,"
		"\"scheduler\":{\"class\":\"%s\",\"period_ms\":16,\"budget_ms\":5,"
		"\"gpu_percent\":25,\"wait_p99_ms\":0.1,\"quarantined\":%s},"
		"\"frame\":{\"count\":%u,\"p50_ms\":16,\"p99_ms\":16.1,\"max_ms\":33,"
		"\"misses\":%u,\"longest_miss_run\":1,\"period_ms\":16,"
		"\"recent_ms\":[16,16,33,16]}}",
		i ? "," : "", i < 2 ? names[i] : name, i * 3, i ? "background" : "safety",
		i == 1 ? "true" : "false", 1000 + answers_sent, i ? 0 : state->misses);
}

static char *status_text(void)
{
	size_t size = 4096 + (size_t)state->vms * 4096, len;
	char *text = malloc(size);
	len = (size_t)snprintf(text, size,
		"{\"ok\":true,\"version\":\"9.9\",\"uptime_ms\":%u,\"gpu\":\"none\","
		"\"gpu_path\":\"\",\"scheduler\":{\"policy\":\"reserve\",\"realtime\":true,"
		"\"decision_p99_us\":3,\"decision_max_us\":9,\"late\":0,\"admitted\":%s,"
		"\"utilisation\":0.5},\"outputs\":[],\"vms\":[",
		1000 + 100 * ++answers_sent, state->admitted ? "true" : "false");
	for (unsigned i = 0; i < state->vms; i++)
		len += vm_text(text + len, size - len, i);
	snprintf(text + len, size - len, "]}");
	return text;
}

static char *admit_text(bool ok)
{
	char *text = NULL;
	const char *yes = state->admitted ? "true" : "false";
	if (asprintf(&text,
		    "{\"ok\":%s,%s\"text\":\"cluster: R = 12.25 ms\\n\",\"admission\":"
		    "{\"admitted\":%s,\"vms\":[{\"name\":\"cluster\",\"class\":\"safety\","
		    "\"admitted\":%s,\"remedy\":\"%s\",\"gaps\":2,\"in_flight\":1,\"batches\":4,"
		    "\"batch_max_ms\":2,\"dispatch_ms\":0.05,\"cost_ms\":5,\"overhead_ms\":0.15,"
		    "\"compositor_ms\":0.5,\"others_ms\":0,\"bound_ms\":12.25,"
		    "\"deadline_ms\":14}]}}",
		    ok ? "true" : "false",
		    ok ? "" : "\"error\":\"budget of vm cluster: at most 4.2 ms\",", yes, yes,
		    state->admitted ? "" : "less") < 0)
		return NULL;
	return text;
}

static const char map_text[] =
	"{\"name\":\"map\\u001b[2J\",\"output\":\"left\",\"vm\":\"cockpit\",\"scanout\":1,\"x\":-20,"
	"\"y\":30,\"width\":200,\"height\":100,"
	"\"crop\":{\"x\":1,\"y\":2,\"width\":300,\"height\":400},\"rotate\":90,\"reflect\":\"xy\","
	"\"alpha\":49.6,\"blend\":true,\"z\":-7,\"role\":\"normal\",\"hidden\":true,\"openings\":[],"
	"\"shown\":\"composed\",\"plane\":0,\"why\":\"no plane scales\","
	"\"at\":{\"x\":-20,\"y\":30,\"width\":200,\"height\":100}}";
static const char gauges_text[] =
	"{\"name\":\"gauges\",\"output\":\"left\",\"vm\":\"cluster\",\"scanout\":0,\"x\":0,\"y\":0,"
	"\"width\":0,\"height\":0,\"rotate\":0,\"reflect\":\"none\",\"alpha\":100,\"blend\":false,"
	"\"z\":-9,\"role\":\"safety\",\"hidden\":false,\"openings\":[{\"x\":9,\"y\":8,\"width\":7,"
	"\"height\":6}],\"shown\":\"plane\",\"plane\":42,\"why\":\"\"}";
static const char outputs_text[] =
	"{\"ok\":true,\"outputs\":[{\"name\":\"left\",\"kind\":\"kms\",\"connector\":\"HDMI-A-1\","
	"\"width\":1920,\"height\":720,\"refresh_hz\":59.94,\"enabled\":true,\"connected\":true,"
	"\"active\":true,\"planes\":10,\"planes_used\":3,\"flips\":123456789,\"late\":2,"
	"\"composed\":77,\"composed_bytes\":3145728,\"latency_p50_ms\":7.25,"
	"\"latency_p99_ms\":15.5},{\"name\":\"right\\u0007\",\"kind\":\"kms\","
	"\"connector\":\"DP-1\",\"enabled\":true,\"connected\":false},"
	"{\"name\":\"rear\",\"kind\":\"kms\",\"connector\":\"\",\"enabled\":true,"
	"\"connected\":false,\"waiting\":true}]}";

static char *scene_text(void)
{
	char *text = NULL;
	if (state->refuses)
		return strdup(
			"{\"ok\":false,\"error\":\"layer a: wrong; nothing is changed\","
			"\"faults\":[{\"line\":3,\"layer\":\"a\",\"text\":\"layer a: wrong\"},"
			"{\"line\":0,\"layer\":\"\",\"text\":\"too\\u001b many\"}]}");
	return asprintf(&text, "{\"ok\":true,\"layers\":[%s,%s]}", gauges_text, map_text) < 0 ? NULL
											     : text;
}

static char *planes_text(void)
{
	char *text = NULL;
	int n = asprintf(&text,
		"{\"ok\":true,\"outputs\":[{\"name\":\"left\",\"kind\":\"kms\",\"planes\":["
		"{\"id\":31,\"type\":\"primary\",\"layer\":\"(composed)\"},"
		"{\"id\":42,\"type\":\"overlay\",\"layer\":\"gauges\"},"
		"{\"id\":43,\"type\":\"overlay\",\"layer\":\"\"}],\"layers\":[%s,%s]}]}",
		gauges_text, map_text);
	return n < 0 ? NULL : text;
}

static size_t event_text(char *out, size_t size, unsigned number)
{
	return (size_t)snprintf(out, size,
		"{\"number\":%u,\"wall\":\"2026-05-01T12:00:00.123Z\",\"vm\":\"hostile\","
		"\"kind\":\"tripped\",\"text\":\"event %u\\u001b[31m\"}",
		number, number);
}

static char *events_text(unsigned since)
{
	char *text = malloc(512 + state->events * 256u);
	size_t len =
		(size_t)sprintf(text, "{\"ok\":true,\"next\":%u,\"events\":[", state->events + 1);
	for (unsigned i = since > 1 ? since : 1; i <= state->events; i++) {
		if (text[len - 1] == '}')
			text[len++] = ',';
		len += event_text(text + len, 256, i);
	}
	strcpy(text + len, "]}");
	return text;
}

/* ---- sending ---- */

static void send_memfd(int sock, const char *announcement, const char *text, size_t size)
{
	void *map;
	int fd = bn_memfd_create_published("fake", size, &map);
	if (fd < 0)
		return;
	memcpy(map, text, size);
	munmap(map, size);
	bn_sendmsg(sock, announcement, strlen(announcement), &fd, 1);
	close(fd);
}

static void send_text(int sock, char *text)
{
	char announcement[128];
	size_t len = strlen(text);
	snprintf(announcement, sizeof(announcement),
		"{\"ok\":true,\"answer\":\"memfd\",\"size\":%zu}", len);
	if (len > BN_CONTROL_ANSWER_MAX)
		send_memfd(sock, announcement, text, len);
	else
		bn_sendmsg(sock, text, len, NULL, 0);
	free(text);
}

/* Three more events, one by one, then the end of the connection. */
static void follow(int sock)
{
	for (unsigned i = 0; i < 3; i++) {
		char text[512] = "{\"event\":";
		size_t len = strlen(text);
		len += event_text(text + len, sizeof(text) - len, ++state->events);
		strcpy(text + len, "}");
		bn_sendmsg(sock, text, len + 1, NULL, 0);
	}
}

static void answer_trace(int sock, struct json_object *request)
{
	struct json_object *last = NULL;
	json_object_object_get_ex(request, "last", &last);
	if (!json_object_get_boolean(last)) {
		struct timespec t = {.tv_nsec = 700000000};
		nanosleep(&t, NULL);
	}
	send_memfd(sock,
		"{\"ok\":true,\"format\":\"chrome-json\",\"size\":18,\"events\":7,\"truncated\":"
		"true}",
		"{\"traceEvents\":[]}", 18);
}

/* false: the connection is over. */
static bool answer(int sock, struct json_object *request)
{
	const char *command = text_of(request, "command");
	if (strcmp(command, "status") == 0) {
		send_text(sock, status_text());
	} else if (strcmp(command, "admit") == 0) {
		send_text(sock, admit_text(true));
	} else if (strcmp(command, "vm") == 0) {
		send_text(sock, admit_text(state->admitted));
	} else if (strcmp(command, "events") == 0) {
		send_text(sock, events_text((unsigned)atoi(text_of(request, "since"))));
		if (strcmp(text_of(request, "follow"), "true") != 0)
			return true;
		follow(sock);
		return false;
	} else if (strcmp(command, "metrics") == 0) {
		send_memfd(sock, "{\"ok\":true,\"format\":\"prometheus\",\"size\":12}",
			"binnacle 1\n#", 12);
	} else if (strcmp(command, "trace") == 0) {
		answer_trace(sock, request);
	} else if (strcmp(command, "reset") == 0) {
		state->resets++;
		send_text(sock, strdup("{\"ok\":true}"));
	} else if (strcmp(command, "scene") == 0) {
		send_text(sock, scene_text());
	} else if (strcmp(command, "planes") == 0) {
		send_text(sock, planes_text());
	} else if (strcmp(command, "outputs") == 0) {
		send_text(sock, strdup(outputs_text));
	} else {
		send_text(sock, strdup("{\"ok\":false,\"error\":\"no command\\u001b[2J\"}"));
	}
	return true;
}

static bool handle(int sock)
{
	char text[BN_CONTROL_REQUEST_MAX + 1];
	ssize_t n = recv(sock, text, BN_CONTROL_REQUEST_MAX, 0);
	if (n <= 0)
		return false;
	text[n] = '\0';
	state->requests++;
	if (!strstr(text, "\"status\""))
		strcpy(state->last, text);
	if (state->mute)
		return true;
	if (state->junk) {
		bn_sendmsg(sock, "\"ok\" {", 6, NULL, 0);
		return true;
	}
	if (state->hangs_up)
		return false;
	struct json_object *request = json_tokener_parse(text);
	bool on = answer(sock, request);
	json_object_put(request);
	return on;
}

static void serve(int listener)
{
	struct pollfd p[CLIENTS + 1] = {{.fd = listener, .events = POLLIN}};
	for (unsigned i = 1; i <= CLIENTS; i++)
		p[i] = (struct pollfd){.fd = -1, .events = POLLIN};
	while (poll(p, CLIENTS + 1, -1) >= 0) {
		for (unsigned i = 1; i <= CLIENTS; i++) {
			if (p[i].revents && !handle(p[i].fd))
				bn_fd_close(&p[i].fd);
		}
		for (unsigned i = 1; p[0].revents && i <= CLIENTS; i++) {
			if (p[i].fd >= 0)
				continue;
			p[i].fd = accept(listener, NULL, NULL);
			p[i].revents = 0;
			break;
		}
	}
}

/* ---- its life ---- */

bool fake_start(struct fake_service *f)
{
	int listener = bn_unix_listen(f->path, SOCK_SEQPACKET, 0600);
	if (listener < 0)
		return false;
	f->pid = fork();
	if (f->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		state = f->state;
		serve(listener);
		_exit(0);
	}
	close(listener);
	return f->pid > 0;
}

bool fake_open(struct fake_service *f)
{
	memset(f, 0, sizeof(*f));
	strcpy(f->dir, "/tmp/binnacle-fake-XXXXXX");
	if (!mkdtemp(f->dir))
		return false;
	snprintf(f->path, sizeof(f->path), "%s/control", f->dir);
	f->state = mmap(
		NULL, sizeof(*f->state), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (f->state == MAP_FAILED)
		return false;
	f->state->vms = 2;
	f->state->admitted = true;
	f->state->events = 2;
	return fake_start(f);
}

void fake_stop(struct fake_service *f)
{
	if (f->pid > 0) {
		kill(f->pid, SIGKILL);
		waitpid(f->pid, NULL, 0);
	}
	f->pid = 0;
	unlink(f->path);
}

void fake_close(struct fake_service *f)
{
	fake_stop(f);
	rmdir(f->dir);
	munmap(f->state, sizeof(*f->state));
}
