#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"

static char dir[64];

static const char *in_dir(const char *name)
{
	static char path[128];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void pair(int type, int fds[2])
{
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds), 0);
}

static void test_close(void)
{
	int fds[3] = {bn_fd_dup(1), -1, bn_fd_dup(1)};
	CU_ASSERT_TRUE(fds[0] >= 3);
	CU_ASSERT_TRUE(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	errno = E2BIG;
	bn_fds_close(fds, 3);
	CU_ASSERT_EQUAL(errno, E2BIG);
	CU_ASSERT_EQUAL(fds[0], -1);
	CU_ASSERT_EQUAL(fds[2], -1);
	CU_ASSERT_EQUAL(bn_fd_dup(-1), -EBADF);
}

static void test_count(void)
{
	int before = bn_fd_count();
	int fd = bn_fd_dup(1);
	CU_ASSERT_TRUE(before > 0);
	CU_ASSERT_EQUAL(bn_fd_count(), before + 1);
	bn_fd_close(&fd);
	CU_ASSERT_EQUAL(bn_fd_count(), before);
}

static void test_memfd(void)
{
	int fd = bn_memfd_create("test", 8192);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	CU_ASSERT_EQUAL(ftruncate(fd, 4096), -1);
	CU_ASSERT_EQUAL(ftruncate(fd, 16384), -1);
	CU_ASSERT_FALSE(fcntl(fd, F_GET_SEALS) & F_SEAL_WRITE);
	/* A renderer that was taken over must not spoil the journal for its successors. */
	CU_ASSERT_EQUAL(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	CU_ASSERT_EQUAL(bn_memfd_check(fd, 8192), 0);
	CU_ASSERT_EQUAL(bn_memfd_check(fd, 8193), -EINVAL);
	bn_fd_close(&fd);
	CU_ASSERT_EQUAL(bn_memfd_create("test", UINT64_MAX), -EINVAL);
	CU_ASSERT_EQUAL(bn_memfd_create_pages("test", UINT64_MAX), -EINVAL);
	fd = bn_memfd_create_pages("test", 100);
	CU_ASSERT_EQUAL(bn_memfd_check(fd, (uint64_t)sysconf(_SC_PAGESIZE)), 0);
	CU_ASSERT_EQUAL(bn_memfd_check(fd, (uint64_t)sysconf(_SC_PAGESIZE) + 1), -EINVAL);
	bn_fd_close(&fd);
}

static void test_memfd_check(void)
{
	int fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	CU_ASSERT_EQUAL(ftruncate(fd, 4096), 0);
	CU_ASSERT_EQUAL(bn_memfd_check(fd, 4096), -EPERM);
	bn_fd_close(&fd);
	int ends[2];
	CU_ASSERT_EQUAL(pipe2(ends, O_CLOEXEC), 0);
	CU_ASSERT_EQUAL(bn_memfd_check(ends[0], 0), -EINVAL);
	bn_fds_close(ends, 2);
	CU_ASSERT_EQUAL(bn_memfd_check(-1, 0), -EINVAL);
}

static void test_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CU_ASSERT_FALSE(bn_event_drain(fd));
	CU_ASSERT_EQUAL(bn_event_signal(fd), 0);
	CU_ASSERT_EQUAL(bn_event_signal(fd), 0);
	uint64_t value = 0;
	CU_ASSERT_EQUAL(read(fd, &value, sizeof(value)), 8);
	CU_ASSERT_EQUAL(value, 2);
	bn_event_signal(fd);
	CU_ASSERT_TRUE(bn_event_drain(fd));
	CU_ASSERT_FALSE(bn_event_drain(fd));
	uint64_t full = UINT64_MAX - 1;
	CU_ASSERT_EQUAL(bn_event_signal_own(fd), 0);
	CU_ASSERT_TRUE(bn_event_drain(fd));
	CU_ASSERT_EQUAL(write(fd, &full, sizeof(full)), 8);
	CU_ASSERT_EQUAL(bn_event_signal_own(fd), 0);
	bn_fd_close(&fd);
	CU_ASSERT_EQUAL(bn_event_signal(-1), -EBADF);
	CU_ASSERT_EQUAL(bn_event_signal_own(-1), -EBADF);
}

/* A VMM may hand over a blocking eventfd whose counter it has filled. */
static void test_eventfd_full(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	uint64_t full = UINT64_MAX - 1;
	CU_ASSERT_EQUAL(write(fd, &full, sizeof(full)), 8);
	CU_ASSERT_EQUAL(bn_event_signal(fd), 0);
	bn_fd_close(&fd);
}

static void test_notifier_eventfd(void)
{
	struct bn_notifier n;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	bn_notifier_init(&n, fd);
	CU_ASSERT_EQUAL(n.kind, BN_NOTIFIER_EVENTFD);
	CU_ASSERT_EQUAL(bn_notifier_signal(&n), 0);
	uint64_t value = UINT64_MAX - 2;
	CU_ASSERT_EQUAL(write(fd, &value, sizeof(value)), 8);
	CU_ASSERT_EQUAL(bn_notifier_signal(&n), 0); /* full */
	bn_notifier_finish(&n);
	CU_ASSERT_EQUAL(n.fd, -1);
	CU_ASSERT_EQUAL(fcntl(fd, F_GETFD), -1);
	CU_ASSERT_EQUAL(bn_notifier_signal(&n), -EBADF);
	bn_notifier_finish(&n);
}

/* A blocking eventfd that its giver has filled, then one that has room. Its flags stay. */
static void test_notifier_blocking(void)
{
	struct bn_notifier n;
	int fd = eventfd(0, EFD_CLOEXEC);
	uint64_t value = UINT64_MAX - 1;
	bn_notifier_init(&n, fd);
	CU_ASSERT_EQUAL(n.kind, BN_NOTIFIER_POLLED);
	CU_ASSERT_FALSE(fcntl(fd, F_GETFL) & O_NONBLOCK);
	CU_ASSERT_EQUAL(write(fd, &value, sizeof(value)), 8);
	CU_ASSERT_EQUAL(bn_notifier_signal(&n), 0);
	CU_ASSERT_EQUAL(read(fd, &value, sizeof(value)), 8);
	CU_ASSERT_EQUAL(bn_notifier_signal(&n), 0);
	CU_ASSERT_EQUAL(read(fd, &value, sizeof(value)), 8);
	CU_ASSERT_EQUAL(value, 1);
	bn_notifier_finish(&n);
}

/* What a hostile VMM may hand over instead: no SIGPIPE, no waiting. */
static void test_notifier_others(void)
{
	struct bn_notifier n;
	int fds[2];
	pair(SOCK_STREAM, fds);
	bn_notifier_init(&n, fds[0]);
	CU_ASSERT_EQUAL(n.kind, BN_NOTIFIER_SOCKET);
	for (int i = 0; i < 100000; i++)
		if (bn_notifier_signal(&n) != 0)
			CU_FAIL("signal on a full socket");
	bn_fd_close(&fds[1]);
	CU_ASSERT_EQUAL(bn_notifier_signal(&n), -EPIPE);
	bn_notifier_finish(&n);
	CU_ASSERT_EQUAL(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	bn_notifier_init(&n, fds[1]);
	bn_fd_close(&fds[0]);
	CU_ASSERT_EQUAL(bn_notifier_signal(&n), -EPIPE);
	bn_notifier_finish(&n);
}

static void test_event_socket(void)
{
	int fds[2];
	pair(SOCK_STREAM, fds);
	bn_fd_set_nonblock(fds[1], true);
	CU_ASSERT_FALSE(bn_event_drain(fds[1]));
	for (int i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(bn_event_signal(fds[0]), 0);
	while (bn_event_drain(fds[1]))
		;
	/* Full: the peer never reads. */
	for (int i = 0; i < 100000; i++)
		if (bn_event_signal(fds[0]) != 0)
			CU_FAIL("signal on a full socket");
	/* Gone: an error, no SIGPIPE. */
	bn_fd_close(&fds[1]);
	CU_ASSERT_EQUAL(bn_event_signal(fds[0]), -EPIPE);
	bn_fd_close(&fds[0]);
}

static void test_messages(void)
{
	int fds[2], pass[BN_MAX_FDS], got[BN_MAX_FDS];
	pair(SOCK_STREAM, fds);
	for (int i = 0; i < BN_MAX_FDS; i++)
		pass[i] = 1;
	CU_ASSERT_EQUAL(bn_sendmsg(fds[0], "hello", 5, pass, BN_MAX_FDS), 5);
	char buf[16];
	size_t n = BN_MAX_FDS;
	CU_ASSERT_EQUAL(bn_recvmsg(fds[1], buf, sizeof(buf), got, &n, 0), 5);
	CU_ASSERT_EQUAL(n, BN_MAX_FDS);
	CU_ASSERT_EQUAL(memcmp(buf, "hello", 5), 0);
	CU_ASSERT_TRUE(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
	bn_fds_close(got, n);
	CU_ASSERT_EQUAL(bn_sendmsg(fds[0], "x", 1, pass, BN_MAX_FDS + 1), -EINVAL);
	n = 1;
	CU_ASSERT_EQUAL(bn_recvmsg(fds[1], buf, sizeof(buf), got, &n, MSG_DONTWAIT), -EAGAIN);
	CU_ASSERT_EQUAL(n, 0);
	bn_fd_close(&fds[0]);
	CU_ASSERT_EQUAL(bn_recvmsg(fds[1], buf, sizeof(buf), NULL, NULL, 0), 0);
	CU_ASSERT_EQUAL(bn_sendmsg(fds[1], "x", 1, NULL, 0), -EPIPE);
	bn_fd_close(&fds[1]);
}

static void test_too_many_fds(void)
{
	int fds[2], pass[3] = {1, 1, 1}, got[2];
	pair(SOCK_STREAM, fds);
	int before = bn_fd_count();
	char buf[4];
	size_t n = 2;
	CU_ASSERT_EQUAL(bn_sendmsg(fds[0], "x", 1, pass, 3), 1);
	CU_ASSERT_EQUAL(bn_recvmsg(fds[1], buf, sizeof(buf), got, &n, 0), -EMSGSIZE);
	CU_ASSERT_EQUAL(n, 0);
	CU_ASSERT_EQUAL(bn_fd_count(), before);
	CU_ASSERT_EQUAL(bn_sendmsg(fds[0], "x", 1, pass, 1), 1);
	CU_ASSERT_EQUAL(bn_recvmsg(fds[1], buf, sizeof(buf), NULL, NULL, 0), -EMSGSIZE);
	CU_ASSERT_EQUAL(bn_fd_count(), before);
	bn_fds_close(fds, 2);
}

/* More fds than any message of ours has: the kernel cuts the list, everything that came through
 * is closed. */
static void test_hostile_fds(void)
{
	int fds[2], pass[20];
	pair(SOCK_STREAM, fds);
	for (int i = 0; i < 20; i++)
		pass[i] = 1;
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(pass))];
	} control = {0};
	struct iovec iov = {.iov_base = "x", .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	*c = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
		.cmsg_len = CMSG_LEN(sizeof(pass))};
	memcpy(CMSG_DATA(c), pass, sizeof(pass));
	CU_ASSERT_EQUAL(sendmsg(fds[0], &msg, 0), 1);
	int before = bn_fd_count(), got[BN_MAX_FDS];
	size_t n = BN_MAX_FDS;
	char buf[4];
	CU_ASSERT_EQUAL(bn_recvmsg(fds[1], buf, sizeof(buf), got, &n, 0), -EMSGSIZE);
	CU_ASSERT_EQUAL(bn_fd_count(), before);
	bn_fds_close(fds, 2);
}

static void test_packets(void)
{
	int fds[2], one = 1, got[1];
	pair(SOCK_SEQPACKET, fds);
	char buf[4];
	size_t n = 1;
	int before = bn_fd_count();
	CU_ASSERT_EQUAL(bn_sendmsg(fds[0], "too long", 8, &one, 1), 8);
	CU_ASSERT_EQUAL(bn_recvmsg(fds[1], buf, sizeof(buf), got, &n, 0), -EMSGSIZE);
	CU_ASSERT_EQUAL(bn_fd_count(), before);
	while (bn_sendmsg(fds[0], "full", 4, NULL, 0) > 0)
		;
	CU_ASSERT_EQUAL(bn_sendmsg(fds[0], "full", 4, NULL, 0), -EAGAIN);
	bn_fds_close(fds, 2);
}

static void test_listen(void)
{
	const char *path = in_dir("socket");
	mode_t old = umask(077);
	int fd = bn_unix_listen(path, SOCK_STREAM, 0660);
	umask(old);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	struct stat st;
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0660);
	CU_ASSERT_EQUAL(bn_unix_listen(path, SOCK_STREAM, 0600), -EADDRINUSE);
	CU_ASSERT_EQUAL(bn_unix_listen(path, SOCK_SEQPACKET, 0600), -EADDRINUSE);
	int client = bn_unix_connect(path, SOCK_STREAM);
	CU_ASSERT_TRUE(client >= 0);
	bn_fd_close(&client);
	bn_fd_close(&fd);
	/* Nobody answers any more: the path may be taken over. */
	CU_ASSERT_EQUAL(bn_unix_connect(path, SOCK_STREAM), -ECONNREFUSED);
	fd = bn_unix_listen(path, SOCK_SEQPACKET, 0600);
	CU_ASSERT_TRUE(fd >= 0);
	bn_fd_close(&fd);
	unlink(path);
	CU_ASSERT_EQUAL(bn_unix_connect(path, SOCK_STREAM), -ENOENT);
}

static void test_listen_wrong(void)
{
	const char *path = in_dir("file");
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	bn_fd_close(&fd);
	CU_ASSERT_EQUAL(bn_unix_listen(path, SOCK_STREAM, 0600), -EEXIST);
	CU_ASSERT_EQUAL(access(path, F_OK), 0);
	unlink(path);
	CU_ASSERT_EQUAL(bn_unix_listen(in_dir("none/socket"), SOCK_STREAM, 0600), -ENOENT);
	CU_ASSERT_EQUAL(bn_unix_listen("", SOCK_STREAM, 0600), -EINVAL);
	char lengthy[200];
	memset(lengthy, 'a', sizeof(lengthy) - 1);
	lengthy[sizeof(lengthy) - 1] = '\0';
	CU_ASSERT_EQUAL(bn_unix_listen(lengthy, SOCK_STREAM, 0600), -ENAMETOOLONG);
}

/* With no fd left a connection is refused, not left to wake the loop again and again. */
static void test_accept_without_fds(void)
{
	char path[64];
	struct rlimit limit, low;
	int spare = -1;
	snprintf(path, sizeof(path), "/tmp/binnacle-accept-%d", (int)getpid());
	int sock = bn_unix_listen(path, SOCK_STREAM, 0600);
	CU_ASSERT_FATAL(sock >= 0);
	CU_ASSERT_EQUAL(bn_unix_accept(sock, &spare), -EAGAIN);
	int client = bn_unix_connect(path, SOCK_STREAM);
	int peer = bn_unix_accept(sock, &spare);
	CU_ASSERT_TRUE(peer >= 0 && (fcntl(peer, F_GETFL) & O_NONBLOCK));
	bn_fd_close(&peer);
	bn_fd_close(&client);
	client = bn_unix_connect(path, SOCK_STREAM);
	getrlimit(RLIMIT_NOFILE, &limit);
	low = limit;
	low.rlim_cur = 40;
	setrlimit(RLIMIT_NOFILE, &low);
	int filler[40];
	size_t n = 0;
	while (n < 40 && (filler[n] = bn_fd_dup(client)) >= 0)
		n++;
	CU_ASSERT_EQUAL(bn_unix_accept(sock, &spare), -EMFILE);
	CU_ASSERT_TRUE(spare >= 0);
	struct pollfd waits = {.fd = sock, .events = POLLIN};
	CU_ASSERT_EQUAL(poll(&waits, 1, 0), 0);
	setrlimit(RLIMIT_NOFILE, &limit);
	bn_fds_close(filler, n);
	char byte;
	CU_ASSERT_EQUAL(read(client, &byte, 1), 0);
	bn_fd_close(&client);
	bn_fd_close(&spare);
	bn_fd_close(&sock);
	unlink(path);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"close and dup", test_close},
		{"count", test_count},
		{"memfd and its seals", test_memfd},
		{"memfds of others", test_memfd_check},
		{"eventfd", test_eventfd},
		{"full blocking eventfd", test_eventfd_full},
		{"socket as event", test_event_socket},
		{"notifier: eventfd", test_notifier_eventfd},
		{"notifier: blocking eventfd", test_notifier_blocking},
		{"notifier: sockets and pipes", test_notifier_others},
		{"messages with fds", test_messages},
		{"more fds than expected", test_too_many_fds},
		{"more fds than fit", test_hostile_fds},
		{"packets", test_packets},
		{"listen and connect", test_listen},
		{"accept without fds", test_accept_without_fds},
		{"paths that cannot be listened on", test_listen_wrong},
		CU_TEST_INFO_NULL,
	};
	snprintf(dir, sizeof(dir), "/tmp/binnacle-test-fd-XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	int ret = bn_unit_main("fd", tests);
	rmdir(dir);
	return ret;
}
