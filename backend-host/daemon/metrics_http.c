#include "metrics_http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <microhttpd.h>
#include <wayland-server-core.h>

#include "common/fd.h"
#include "common/log.h"
#include "metrics.h"
#include "service.h"

/* Prometheus needs one connection; who opens many is not it. */
#define CONNECTIONS_MAX 8
#define TIMEOUT_S 10

struct bn_metrics_http {
	struct bn_service *service;
	struct MHD_Daemon *daemon;
	struct wl_event_source *source, *timer;
};

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status,
	const char *type, char *text, size_t size)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(size, text, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	enum MHD_Result ret = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return ret;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *why)
{
	char *text = strdup(why);
	return text ? answer_text(connection, status, "text/plain", text, strlen(text)) : MHD_NO;
}

static enum MHD_Result handle_request(void *data, struct MHD_Connection *connection,
	const char *url, const char *method, const char *version, const char *upload,
	size_t *upload_size, void **state)
{
	struct bn_metrics_http *http = data;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0)
		return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET only\n");
	if (strcmp(url, "/metrics") != 0)
		return refuse(connection, MHD_HTTP_NOT_FOUND, "/metrics is here\n");
	size_t size = 0;
	char *text = bn_metrics_text(http->service, &size);
	return text ? answer_text(connection, MHD_HTTP_OK, BN_METRICS_TYPE, text, size) : MHD_NO;
}

/* The library has no threads of its own: it is run when its epoll says so, and when a connection is
 * due to time out. */
static void run(struct bn_metrics_http *http)
{
	MHD_UNSIGNED_LONG_LONG ms = 0;
	MHD_run(http->daemon);
	if (MHD_get_timeout(http->daemon, &ms) != MHD_YES)
		ms = 0; /* nothing is connected: no timer */
	else if (ms == 0)
		ms = 1;
	wl_event_source_timer_update(
		http->timer, ms > 1000 * TIMEOUT_S ? 1000 * TIMEOUT_S : (int)ms);
}

static int handle_ready(int fd, uint32_t mask, void *data)
{
	run(data);
	return 0;
}

static int handle_timer(void *data)
{
	run(data);
	return 0;
}

static int listen_on(const char *where)
{
	struct sockaddr_storage address;
	socklen_t size;
	const int yes = 1;
	if (!bn_metrics_address(where, &address, &size))
		return -EINVAL;
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, CONNECTIONS_MAX) < 0) {
		int err = -errno;
		bn_fd_close(&fd);
		return err;
	}
	return fd;
}

/* The library owns the socket once it runs. */
static int start(struct bn_metrics_http *http, int fd)
{
	http->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, handle_request, http,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S,
		MHD_OPTION_END);
	if (!http->daemon) {
		bn_fd_close(&fd);
		return -EIO;
	}
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info)
		return -ENOTSUP;
	http->source = wl_event_loop_add_fd(
		http->service->loop, info->epoll_fd, WL_EVENT_READABLE, handle_ready, http);
	http->timer = wl_event_loop_add_timer(http->service->loop, handle_timer, http);
	return http->source && http->timer ? 0 : -ENOMEM;
}

int bn_metrics_http_create(struct bn_metrics_http **out, struct bn_service *service)
{
	const char *where = service->settings->metrics_listen;
	*out = NULL;
	if (!where[0])
		return 0;
	struct bn_metrics_http *http = calloc(1, sizeof(*http));
	if (!http)
		return -ENOMEM;
	http->service = service;
	int fd = listen_on(where);
	int ret = fd < 0 ? fd : start(http, fd);
	if (ret < 0) {
		bn_error("metrics-listen=%s: %s; another port, or none, is needed", where,
			strerror(-ret));
		bn_metrics_http_destroy(http);
		return ret;
	}
	bn_info("metrics on http://%s/metrics", where);
	*out = http;
	return 0;
}

void bn_metrics_http_destroy(struct bn_metrics_http *http)
{
	if (!http)
		return;
	if (http->source)
		wl_event_source_remove(http->source);
	if (http->timer)
		wl_event_source_remove(http->timer);
	if (http->daemon)
		MHD_stop_daemon(http->daemon);
	free(http);
}
