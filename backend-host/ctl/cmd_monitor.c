/* What the monitor has seen: metrics, traces, events. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "client.h"
#include "command.h"
#include "common/clock.h"
#include "common/fd.h"
#include "json.h"
#include "text.h"
#include "whole_file.h"

/* ---- texts that come as a memfd ---- */

static int copy_out(int fd, uint64_t size, FILE *out)
{
	char block[65536];
	for (uint64_t done = 0; done < size;) {
		size_t want = size - done < sizeof(block) ? (size_t)(size - done) : sizeof(block);
		ssize_t n = pread(fd, block, want, (off_t)done);
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		if (fwrite(block, 1, (size_t)n, out) != (size_t)n)
			return -EIO;
		done += (uint64_t)n;
	}
	return fflush(out) == 0 ? 0 : -errno;
}

/* The memfd that the answer announces, to out. */
static int copy_memfd(struct json_object *answer, int fd, FILE *out)
{
	uint64_t size = bn_json_count(answer, "size");
	if (fd < 0 || bn_memfd_check(fd, size) < 0)
		return -EBADMSG;
	return copy_out(fd, size, out);
}

int bn_cmd_metrics(const struct bn_ctl_options *o, int argc, char **argv)
{
	struct json_object *answer, *request = bn_json_request("metrics");
	int fd = -1;
	int ret = bn_ctl_ask(o->socket, request, &answer, &fd);
	if (ret == 0) {
		ret = copy_memfd(answer, fd, stdout);
		if (ret < 0)
			bn_ctl_complain(ret);
	}
	bn_fd_close(&fd);
	json_object_put(answer);
	json_object_put(request);
	return ret == 0 ? 0 : 1;
}

/* ---- traces ---- */

struct trace {
	struct json_object *answer;
	int fd;
};

static int fill_trace(FILE *file, void *data)
{
	const struct trace *trace = data;
	return copy_memfd(trace->answer, trace->fd, file);
}

static int write_trace(const char *path, struct json_object *answer, int fd)
{
	struct trace trace = {answer, fd};
	if (strcmp(path, "-") == 0)
		return fill_trace(stdout, &trace);
	return bn_ctl_write_whole(path, fill_trace, &trace);
}

/* Waits for the end of the recording, which the answer is, and tells a person at a terminal how it
 * goes. */
static int await_trace(
	int sock, const struct bn_ctl_options *o, struct json_object **answer, int *fd)
{
	double wait = o->given & BN_OPTION_LAST ? 0 : o->seconds;
	uint64_t start = bn_now_ns();
	int ret = -ETIMEDOUT;
	double elapsed = 0;
	bool tty = isatty(STDERR_FILENO), counted = false;
	while (ret == -ETIMEDOUT && elapsed < wait + BN_CTL_ANSWER_MS / 1000.0) {
		ret = bn_ctl_receive(sock, 500, answer, fd);
		elapsed = (double)(bn_now_ns() - start) / BN_NS_PER_S;
		if (tty && ret == -ETIMEDOUT && wait > 0) {
			fprintf(stderr, "\rrecording: %.0f of %.0f s ",
				elapsed < wait ? elapsed : wait, wait);
			counted = true;
		}
	}
	if (counted)
		fputc('\n', stderr);
	return ret;
}

static int keep_trace(const char *path, struct json_object *answer, int fd)
{
	int ret = write_trace(path, answer, fd);
	if (ret < 0) {
		fprintf(stderr, "binnaclectl: writing %s: %s\n", path,
			ret == -EBADMSG ? "the service sent no trace" : strerror(-ret));
		return 1;
	}
	fprintf(stderr, "%s: %llu events%s; https://ui.perfetto.dev opens it\n", path,
		(unsigned long long)bn_json_count(answer, "events"),
		bn_json_bool(answer, "truncated") ? " (the oldest were forgotten)" : "");
	return 0;
}

int bn_cmd_trace(const struct bn_ctl_options *o, int argc, char **argv)
{
	struct json_object *answer = NULL, *request = bn_json_request("trace");
	int fd = -1, sock = bn_ctl_open(o->socket);
	json_object_object_add(request, "seconds", json_object_new_double(o->seconds));
	json_object_object_add(
		request, "last", json_object_new_boolean((o->given & BN_OPTION_LAST) != 0));
	int ret = sock < 0 ? sock : bn_ctl_send(sock, request);
	json_object_put(request);
	if (sock < 0)
		return 1;
	if (ret == 0)
		ret = await_trace(sock, o, &answer, &fd);
	bn_fd_close(&sock);
	if (ret < 0)
		bn_ctl_complain(ret);
	else
		ret = bn_ctl_check(answer);
	if (ret == 0)
		ret = keep_trace(argv[1], answer, fd);
	bn_fd_close(&fd);
	json_object_put(answer);
	return ret == 0 ? 0 : 1;
}

/* ---- events ---- */

static void print_event(const struct bn_ctl_options *o, struct json_object *event)
{
	const char *vm = bn_json_text(event, "vm");
	char line[1200];
	if (o->given & BN_OPTION_JSON) {
		puts(json_object_to_json_string_ext(event, JSON_C_TO_STRING_PLAIN));
		return;
	}
	snprintf(line, sizeof(line), "%-24.64s %-11.32s %-16.64s %.1000s",
		bn_json_text(event, "wall"), bn_json_text(event, "kind"), vm[0] ? vm : "-",
		bn_json_text(event, "text"));
	for (char *c = line; *c; c++)
		*c = *c == '\n' ? ' ' : *c;
	bn_text_print(stdout, line);
	putchar('\n');
}

static int print_events(const struct bn_ctl_options *o, struct json_object *answer)
{
	unsigned n;
	struct json_object *events = bn_json_array(answer, "events", &n);
	for (unsigned i = 0; i < n; i++)
		print_event(o, json_object_array_get_idx(events, i));
	return fflush(stdout) == 0 ? 0 : -EIO;
}

/* Until somebody ends it, or the service ends. */
static int follow(const struct bn_ctl_options *o, int sock)
{
	int ret = 0;
	while (ret == 0) {
		struct json_object *message;
		ret = bn_ctl_receive(sock, -1, &message, NULL);
		if (ret == 0) {
			struct json_object *event = bn_json_member(message, "event");
			if (event)
				print_event(o, event);
			ret = fflush(stdout) == 0 ? 0 : -EIO;
		}
		json_object_put(message);
	}
	return ret;
}

int bn_cmd_events(const struct bn_ctl_options *o, int argc, char **argv)
{
	bool follows = o->given & BN_OPTION_FOLLOW;
	struct json_object *answer = NULL, *request = bn_json_request("events");
	int sock = bn_ctl_open(o->socket);
	json_object_object_add(request, "follow", json_object_new_boolean(follows));
	int ret = sock < 0 ? sock : bn_ctl_send(sock, request);
	json_object_put(request);
	if (sock < 0)
		return 1;
	if (ret == 0)
		ret = bn_ctl_receive(sock, BN_CTL_ANSWER_MS, &answer, NULL);
	if (ret == 0)
		ret = bn_ctl_check(answer);
	if (ret == 0)
		ret = print_events(o, answer);
	if (ret == 0 && follows)
		ret = follow(o, sock);
	if (ret == -ECONNRESET && follows)
		fputs("binnaclectl: the service closed the connection\n", stderr);
	else if (ret < 0)
		bn_ctl_complain(ret);
	bn_fd_close(&sock);
	json_object_put(answer);
	return ret == 0 ? 0 : 1;
}

int bn_cmd_reset(const struct bn_ctl_options *o, int argc, char **argv)
{
	struct json_object *request = bn_json_request("reset");
	if (argc == 2)
		bn_json_add_text(request, "vm", argv[1]);
	return bn_ctl_order(o, request);
}
