/* vtest_record LISTEN-SOCKET SERVER-SOCKET OUTPUT SUBMITS: stands between a Mesa client
 * (GALLIUM_DRIVER=virpipe, VTEST_SOCKET_NAME) and virgl_test_server and writes down what the client
 * sends, up to that many command streams, to OUTPUT.1 for the first connection, OUTPUT.2 for the next.
 * How it is used: tests/data/virgl-streams/README.md. Protocol: virglrenderer 1.1.0,
 * vtest/vtest_protocol.h; versions 2 and 3, where resources' memory is shared by fd. */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "virgl_record.h"

/* vtest_protocol.h */
enum {
	VCMD_RESOURCE_UNREF = 3,
	VCMD_SUBMIT_CMD = 6,
	VCMD_CREATE_RENDERER = 8,
	VCMD_PROTOCOL_VERSION = 11,
	VCMD_RESOURCE_CREATE2 = 12,
	VCMD_TRANSFER_GET2 = 13,
	VCMD_TRANSFER_PUT2 = 14,
};
#define CREATE2_WORDS 11u
#define TRANSFER2_WORDS 10u
#define MESSAGE_MAX (64u << 20)

struct resource {
	uint32_t id, bytes;
	uint8_t *memory, *seen; /* the client's, and a copy of what has been written down */
	bool fetched;           /* the server writes to it: that is not the client's doing */
	struct resource *next;
};

static struct resource *resources;
static FILE *out;
static long submits_left;
static uint32_t version;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "vtest_record: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- what is written down ---- */

static void put(const void *data, size_t size)
{
	if (out && size && fwrite(data, size, 1, out) != 1)
		die("output");
}

static void record(uint32_t type, const uint32_t *words, uint32_t count)
{
	put(&type, 4);
	put(&count, 4);
	put(words, (size_t)count * 4);
}

static void record_bytes(const struct resource *r, uint32_t offset, uint32_t bytes)
{
	uint32_t head[5] = {BN_RECORD_MEMORY, 3 + (bytes + 3) / 4, r->id, offset, bytes};
	static const uint8_t zeros[4];
	put(head, sizeof(head));
	put(r->memory + offset, bytes);
	put(zeros, -bytes & 3);
}

/* What the client wrote since the last time, from the first to the last difference of each page. */
static void record_memory(void)
{
	for (struct resource *r = resources; out && r; r = r->next) {
		if (r->fetched)
			memcpy(r->seen, r->memory, r->bytes);
		r->fetched = false;
		for (uint32_t at = 0; at < r->bytes; at += 4096) {
			uint32_t size = r->bytes - at < 4096 ? r->bytes - at : 4096, first = 0;
			const uint8_t *now = r->memory + at;
			uint8_t *seen = r->seen + at;
			while (first < size && now[first] == seen[first])
				first++;
			while (size > first && now[size - 1] == seen[size - 1])
				size--;
			if (first == size)
				continue;
			record_bytes(r, at + first, size - first);
			memcpy(seen + first, now + first, size - first);
		}
	}
}

static void finish(void)
{
	if (out && fclose(out))
		die("output");
	out = NULL;
}

/* ---- resources ---- */

static void resource_add(const uint32_t *args, uint32_t id, int fd)
{
	struct resource *r = calloc(1, sizeof(*r));
	if (!r)
		die("memory");
	r->id = id;
	r->bytes = fd >= 0 ? args[10] : 0;
	if (r->bytes) {
		r->memory = mmap(NULL, r->bytes, PROT_READ, MAP_SHARED, fd, 0);
		r->seen = calloc(1, r->bytes);
		if (r->memory == MAP_FAILED || !r->seen)
			die("memory");
		close(fd);
	}
	r->next = resources;
	resources = r;
	uint32_t words[BN_RECORD_CREATE_WORDS];
	memcpy(words, args, sizeof(words));
	words[0] = id;
	record(BN_RECORD_CREATE, words, BN_RECORD_CREATE_WORDS);
}

static void resource_remove(uint32_t id)
{
	for (struct resource **p = &resources; *p; p = &(*p)->next) {
		struct resource *r = *p;
		if (r->id != id)
			continue;
		*p = r->next;
		if (r->bytes)
			munmap(r->memory, r->bytes);
		free(r->seen);
		free(r);
		break;
	}
	record(BN_RECORD_UNREF, &id, 1);
}

/* ---- the two sockets ---- */

static void read_all(int fd, void *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = read(fd, (uint8_t *)data + done, size - done);
		if (n <= 0) {
			finish();
			exit(0);
		}
		done += (size_t)n;
	}
}

static void write_all(int fd, const void *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = write(fd, (const uint8_t *)data + done, size - done);
		if (n <= 0)
			die("write");
		done += (size_t)n;
	}
}

/* One byte with an fd, as the server sends it behind its answer; passed on. */
static int pass_fd(int server, int client)
{
	char byte;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	if (recvmsg(server, &msg, MSG_CMSG_CLOEXEC) != 1)
		die("no fd from the server");
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_type != SCM_RIGHTS)
		die("no fd from the server");
	int fd;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	if (sendmsg(client, &msg, 0) != 1)
		die("the client does not take the fd");
	return fd;
}

static void create(const uint32_t *args, int client, int server)
{
	uint32_t answer[3] = {0, 0, args[0]};
	if (version >= 3) {
		read_all(server, answer, sizeof(answer));
		write_all(client, answer, sizeof(answer));
	}
	resource_add(args, answer[2], args[10] ? pass_fd(server, client) : -1);
}

static void before(uint32_t command, const uint32_t *words, uint32_t count)
{
	static const unsigned upload[BN_RECORD_UPLOAD_WORDS] = {0, 1, 2, 3, 4, 5, 6, 7, 9};
	uint32_t out_words[BN_RECORD_UPLOAD_WORDS];
	switch (command) {
	case VCMD_RESOURCE_UNREF:
		resource_remove(words[0]);
		break;
	case VCMD_SUBMIT_CMD:
		record_memory();
		record(BN_RECORD_SUBMIT, words, count);
		if (--submits_left == 0)
			finish();
		break;
	case VCMD_TRANSFER_PUT2:
		record_memory();
		for (unsigned i = 0; i < BN_RECORD_UPLOAD_WORDS; i++)
			out_words[i] = words[upload[i]];
		record(BN_RECORD_UPLOAD, out_words, BN_RECORD_UPLOAD_WORDS);
		break;
	case VCMD_TRANSFER_GET2:
		record_memory();
		for (struct resource *r = resources; r; r = r->next)
			r->fetched = r->fetched || r->id == words[0];
		record(BN_RECORD_SHOWN, words, 1);
		break;
	}
}

static uint32_t least(uint32_t command)
{
	switch (command) {
	case VCMD_RESOURCE_CREATE2:
		return CREATE2_WORDS;
	case VCMD_TRANSFER_GET2:
	case VCMD_TRANSFER_PUT2:
		return TRANSFER2_WORDS;
	case VCMD_RESOURCE_UNREF:
	case VCMD_PROTOCOL_VERSION:
		return 1;
	default:
		return 0;
	}
}

/* One message of the client, to the server and into the record. */
static void from_client(int client, int server)
{
	uint32_t head[2];
	read_all(client, head, sizeof(head));
	size_t bytes = head[1] == VCMD_CREATE_RENDERER ? head[0] : (size_t)head[0] * 4;
	if (bytes > MESSAGE_MAX || bytes / 4 < least(head[1])) {
		errno = EPROTO;
		die("client");
	}
	uint32_t *words = calloc(1, bytes + 4);
	if (!words)
		die("memory");
	read_all(client, words, bytes);
	before(head[1], words, head[0]);
	write_all(server, head, sizeof(head));
	write_all(server, words, bytes);
	if (head[1] == VCMD_PROTOCOL_VERSION) {
		uint32_t answer[3];
		read_all(server, answer, sizeof(answer));
		version = answer[2];
		write_all(client, answer, sizeof(answer));
	}
	if (head[1] == VCMD_RESOURCE_CREATE2)
		create(words, client, server);
	free(words);
}

static void serve(int client, int server)
{
	for (;;) {
		struct pollfd fds[2] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
		if (poll(fds, 2, -1) < 0)
			die("poll");
		/* Answers to what needs no look; the client waits for each of them. */
		if (fds[1].revents) {
			char answer[65536];
			ssize_t n = read(server, answer, sizeof(answer));
			if (n <= 0)
				break;
			write_all(client, answer, (size_t)n);
		} else if (fds[0].revents) {
			from_client(client, server);
		}
	}
	finish();
}

static int unix_socket(const char *path, bool listening)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || strlen(path) >= sizeof(address.sun_path))
		die(path);
	strcpy(address.sun_path, path);
	if (listening) {
		unlink(path);
		if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 8))
			die(path);
	} else if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		die(path);
	}
	return fd;
}

int main(int argc, char **argv)
{
	if (argc != 5 || (submits_left = atol(argv[4])) <= 0) {
		fprintf(stderr, "usage: vtest_record LISTEN-SOCKET SERVER-SOCKET OUTPUT SUBMITS\n");
		return 2;
	}
	int listener = unix_socket(argv[1], true);
	for (unsigned n = 1;; n++) {
		int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (client < 0)
			die("accept");
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		pid_t pid = fork();
		if (pid < 0)
			die("fork");
		if (pid == 0) {
			char path[4096];
			uint32_t magic = BN_RECORD_MAGIC;
			snprintf(path, sizeof(path), "%s.%u", argv[3], n);
			out = fopen(path, "wb");
			if (!out)
				die(path);
			put(&magic, sizeof(magic));
			serve(client, unix_socket(argv[2], false));
			return 0;
		}
		close(client);
	}
}
