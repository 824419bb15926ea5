/* The trace: recorded as ever, written as JSON by a thread of its own, for a long one would keep the
 * displays waiting. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <json-c/json.h>
#include <wayland-server-core.h>

#include "common/clock.h"
#include "common/fd.h"
#include "control_priv.h"
#include "events.h"
#include "json_add.h"
#include "service.h"

#define TRACES_MAX 4
#define SECONDS_MIN 0.1
#define SECONDS_MAX 600.0

struct bn_control_trace {
	struct wl_list link; /* bn_control.traces */
	struct bn_control *control;
	struct bn_control_client *client; /* NULL: it hung up in the meantime */
	uint64_t from_ns;
	struct wl_event_source *timer, *source;
	int done_fd; /* eventfd: the writer is done; -1: it has not begun */
	pthread_t thread;
	/* The writer's: */
	struct bn_trace *trace;
	const struct bn_settings *settings;
	FILE *file;                            /* a memfd */
	long events;                           /* written, or -errno */
	struct bn_event event[BN_EVENTS_KEPT]; /* copies; event n is at n % BN_EVENTS_KEPT */
};

static void trace_destroy(struct bn_control_trace *t)
{
	if (t->done_fd >= 0)
		pthread_join(t->thread, NULL);
	if (t->timer)
		wl_event_source_remove(t->timer);
	if (t->source)
		wl_event_source_remove(t->source);
	bn_fd_close(&t->done_fd);
	if (t->file)
		fclose(t->file);
	wl_list_remove(&t->link);
	t->control->num_traces--;
	if (t->client)
		t->client->trace = NULL;
	free(t);
}

void bn_control_trace_abandon(struct bn_control_trace *t)
{
	if (!t)
		return;
	t->client->trace = NULL;
	t->client = NULL;
	/* The loop does not wait for the writer: handle_done() frees it. */
	if (t->done_fd < 0)
		trace_destroy(t);
}

void bn_control_traces_finish(struct bn_control *control)
{
	struct bn_control_trace *t, *tmp;
	wl_list_for_each_safe(t, tmp, &control->traces, link) trace_destroy(t);
}

/* ---- the writer ---- */

static const char *vm_name(void *data, unsigned vm)
{
	const struct bn_control_trace *t = data;
	if (vm == BN_POLICY_COMPOSITOR)
		return "compositor";
	return vm < t->settings->num_vms ? t->settings->vms[vm].name : NULL;
}

static const char *event_text(void *data, uint64_t number)
{
	const struct bn_control_trace *t = data;
	const struct bn_event *e = &t->event[number % BN_EVENTS_KEPT];
	return number > 0 && e->number == number ? e->text : NULL;
}

static void *write_trace(void *data)
{
	struct bn_control_trace *t = data;
	/* Nobody's frame waits for it, and the main loop may be a real-time thread. */
	const struct sched_param none = {0};
	pthread_setschedparam(pthread_self(), SCHED_OTHER, &none);
	setpriority(PRIO_PROCESS, (id_t)gettid(), 10);
	t->events = bn_trace_write(t->trace, t->file, t->from_ns, vm_name, event_text, t);
	bn_event_signal(t->done_fd);
	return NULL;
}

/* ---- around it ---- */

static struct json_object *answer_of(struct bn_control_trace *t, int *fd)
{
	int file = fileno(t->file);
	off_t size = lseek(file, 0, SEEK_CUR);
	int ret = t->events < 0 ? (int)t->events : bn_control_seal(file);
	if (ret == 0)
		ret = *fd = bn_fd_dup(file);
	if (ret < 0)
		return bn_control_failure("writing the trace: %s", strerror(-ret));
	struct json_object *answer = bn_control_success();
	bn_json_add_text(answer, "format", "chrome-json");
	bn_json_add_uint(answer, "size", (uint64_t)size);
	bn_json_add_uint(answer, "events", (uint64_t)t->events);
	bn_json_add_bool(answer, "truncated", !bn_trace_covers(t->trace, t->from_ns));
	return answer;
}

static int handle_done(int fd, uint32_t mask, void *data)
{
	struct bn_control_trace *t = data;
	struct bn_control_client *client = t->client;
	int memfd = -1;
	if (!client) {
		trace_destroy(t);
		return 0;
	}
	struct json_object *answer = answer_of(t, &memfd);
	trace_destroy(t);
	bn_control_client_pause(client, false);
	if (!bn_control_send(client, answer, memfd))
		bn_control_client_destroy(client);
	return 0;
}

static void copy_events(struct bn_control_trace *t, const struct bn_events *events)
{
	uint64_t from = 0;
	for (const struct bn_event *e; (e = bn_events_from(events, from)); from = e->number + 1)
		t->event[e->number % BN_EVENTS_KEPT] = *e;
}

static int begin_writing(struct bn_control_trace *t)
{
	struct bn_service *service = t->control->service;
	copy_events(t, service->context.events);
	int fd = memfd_create("binnacle-trace", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	t->file = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (!t->file) {
		int err = -errno;
		bn_fd_close(&fd);
		return err;
	}
	int done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (done < 0)
		return -errno;
	t->source = wl_event_loop_add_fd(service->loop, done, WL_EVENT_READABLE, handle_done, t);
	t->done_fd = done;
	int ret = t->source ? -pthread_create(&t->thread, NULL, write_trace, t) : -ENOMEM;
	if (ret < 0) {
		if (t->source)
			wl_event_source_remove(t->source);
		t->source = NULL;
		bn_fd_close(&t->done_fd); /* there is no thread to wait for */
	}
	return ret;
}

static int handle_timer(void *data)
{
	struct bn_control_trace *t = data;
	struct bn_control_client *client = t->client;
	int ret = begin_writing(t);
	if (ret == 0)
		return 0;
	trace_destroy(t);
	bn_control_client_pause(client, false);
	if (!bn_control_send(client, bn_control_failure("a trace: %s", strerror(-ret)), -1))
		bn_control_client_destroy(client);
	return 0;
}

static int begin(struct bn_control_trace *t, double seconds, bool last)
{
	struct bn_service *service = t->control->service;
	uint64_t now = bn_now_ns(), length = (uint64_t)(seconds * 1e9);
	t->from_ns = !last ? now : now > length ? now - length : 1;
	if (last)
		return begin_writing(t);
	t->timer = wl_event_loop_add_timer(service->loop, handle_timer, t);
	if (!t->timer)
		return -ENOMEM;
	return wl_event_source_timer_update(t->timer, (int)(seconds * 1000)) < 0 ? -errno : 0;
}

struct json_object *bn_control_record(
	struct bn_control_client *client, struct json_object *request, int *fd)
{
	struct bn_control *control = client->control;
	struct json_object *value = NULL, *last = NULL;
	json_object_object_get_ex(request, "last", &last);
	double seconds = json_object_object_get_ex(request, "seconds", &value)
				 ? json_object_get_double(value)
				 : 0.0;
	if (!(seconds >= SECONDS_MIN && seconds <= SECONDS_MAX))
		return bn_control_failure(
			"\"seconds\" takes %.1f to %.0f", SECONDS_MIN, SECONDS_MAX);
	if (control->num_traces == TRACES_MAX)
		return bn_control_failure(
			"%d traces are being recorded; one more after them", TRACES_MAX);
	struct bn_control_trace *t = calloc(1, sizeof(*t));
	if (!t)
		return bn_control_failure("out of memory");
	t->control = control;
	t->client = client;
	wl_list_insert(&control->traces, &t->link);
	t->done_fd = -1;
	t->trace = control->service->context.trace;
	t->settings = control->service->settings;
	control->num_traces++;
	int ret = begin(t, seconds, json_object_get_boolean(last));
	if (ret < 0) {
		trace_destroy(t);
		return bn_control_failure("a trace: %s", strerror(-ret));
	}
	client->trace = t;
	bn_control_client_pause(client, true);
	return NULL;
}
