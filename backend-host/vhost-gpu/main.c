/* SPDX-License-Identifier: MIT */
/*
 * binnacle-vhost-gpu: joins a vhost-user connection that somebody else opened to binnacled.
 *
 * libvirt starts one back-end program for each VM and hands it one end of a socket pair
 * (--fd, QEMU docs/interop/vhost-user.rst "Backend program conventions"). Binnacle's back end is
 * a service that runs before and after the VM, so this program passes the messages on to the
 * service's socket, and ends when one side does. Rings and guest memory do not go through it:
 * they travel as file descriptors, once.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/fd.h"
#include "common/log.h"

#define DEFAULT_SOCKET "/run/binnacle/libvirt.sock"
/* The largest vhost-user message is GET_SHMEM_CONFIG's reply, of 2056 bytes. */
#define MAX_PAYLOAD 65536

struct header {
	uint32_t request, flags, size;
};

struct message {
	struct header header;
	unsigned char payload[MAX_PAYLOAD];
};

/* Receives exactly n bytes. Returns 0, -EPIPE at the end of the stream, or a negative errno. */
static int receive(int from, void *data, size_t n, int *fds, size_t *nfds)
{
	size_t done = 0;

	while (done < n) {
		size_t room = done ? 0 : *nfds;
		long got = bn_recvmsg(from, (char *)data + done, n - done, fds, &room, 0);

		if (got == -EINTR)
			continue;
		if (got <= 0)
			return got ? (int)got : -EPIPE;
		if (!done)
			*nfds = room;
		done += (size_t)got;
	}
	return 0;
}

static int wait_writable(int to)
{
	struct pollfd pfd = {.fd = to, .events = POLLOUT};

	return poll(&pfd, 1, -1) < 0 && errno != EINTR ? -errno : 0;
}

/* Sends n bytes; the fds go with the first of them. */
static int deliver(int to, const void *data, size_t n, const int *fds, size_t nfds)
{
	size_t done = 0;

	while (done < n) {
		long sent =
			bn_sendmsg(to, (const char *)data + done, n - done, fds, done ? 0 : nfds);
		int err = sent == -EAGAIN              ? wait_writable(to)
			  : sent < 0 && sent != -EINTR ? (int)sent
						       : 0;

		if (err)
			return err;
		if (sent > 0)
			done += (size_t)sent;
	}
	return 0;
}

/*
 * Passes one message on. The header is read alone: a read may join two messages, and then it
 * could not be told whose the file descriptors are.
 */
static int pass_message(int from, int to)
{
	static struct message message;
	int fds[BN_MAX_FDS];
	size_t nfds = BN_MAX_FDS, none = 0;
	int err = receive(from, &message.header, sizeof(message.header), fds, &nfds);

	if (err)
		return err;
	if (message.header.size > MAX_PAYLOAD) {
		bn_error("a message of %u bytes is no vhost-user message", message.header.size);
		err = -EPROTO;
	}
	if (!err)
		err = receive(from, message.payload, message.header.size, NULL, &none);
	if (!err)
		err = deliver(
			to, &message, sizeof(message.header) + message.header.size, fds, nfds);
	bn_fds_close(fds, nfds);
	return err;
}

/* Until one side ends. Returns 0 for that and a negative errno for everything else. */
static int relay(int front, int back)
{
	struct pollfd ends[2] = {{.fd = front, .events = POLLIN}, {.fd = back, .events = POLLIN}};

	for (;;) {
		if (poll(ends, 2, -1) < 0) {
			if (errno != EINTR)
				return -errno;
			continue;
		}
		for (int i = 0; i < 2; i++) {
			int err = ends[i].revents ? pass_message(ends[i].fd, ends[1 - i].fd) : 0;

			if (err)
				return err == -EPIPE || err == -ECONNRESET ? 0 : err;
		}
	}
}

static int usage(FILE *out)
{
	fprintf(out,
		"usage: binnacle-vhost-gpu --fd N [--socket-path PATH] [--virgl] [--render-node "
		"PATH]\n"
		"       binnacle-vhost-gpu --print-capabilities\n"
		"  --fd N              the front end's vhost-user connection\n"
		"  --socket-path PATH  binnacled's socket (default " DEFAULT_SOCKET ")\n"
		"  --virgl, --render-node PATH\n"
		"                      accepted and ignored: binnacle.ini says what a VM gets\n");
	return out == stdout ? 0 : 2;
}

static bool parse_fd(const char *text, int *fd)
{
	char *end;
	long n = strtol(text, &end, 10);
	struct stat st;

	if (end == text || *end || n < 0 || n > 65535 || fstat((int)n, &st) ||
		!S_ISSOCK(st.st_mode))
		return false;
	*fd = (int)n;
	return true;
}

static int connect_and_relay(int front, const char *path)
{
	int back = bn_unix_connect(path, SOCK_STREAM), err;

	if (back < 0) {
		bn_error("%s: %s (is binnacled running, with this VM in its configuration?)", path,
			strerror(-back));
		return 1;
	}
	err = relay(front, back);
	bn_fd_close(&back);
	if (err)
		bn_error("the connection broke: %s", strerror(-err));
	return err ? 1 : 0;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"fd", required_argument, NULL, 'f'},
		{"socket-path", required_argument, NULL, 's'},
		{"print-capabilities", no_argument, NULL, 'c'},
		{"virgl", no_argument, NULL, 'v'},
		{"render-node", required_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *path = DEFAULT_SOCKET;
	int c, front = -1;

	bn_log_init(BN_LOG_INFO, "binnacle-vhost-gpu");
	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 'h')
			return usage(stdout);
		if (c == 'c') {
			printf("{\"type\": \"gpu\", \"features\": [\"virgl\", \"render-node\"]}\n");
			return 0;
		}
		if (c == 's')
			path = optarg;
		else if (c == 'f' ? !parse_fd(optarg, &front) : c == '?')
			return usage(stderr);
	}
	if (optind != argc || front < 0)
		return usage(stderr);
	return connect_and_relay(front, path);
}
