#include "common/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 16

union fd_control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(sizeof(int) * BN_MAX_FDS)];
};

long bn_sendmsg(int sock, const void *data, size_t len, const int *fds, size_t nfds)
{
	if (nfds > BN_MAX_FDS)
		return -EINVAL;
	struct iovec iov = {.iov_base = (void *)data, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	union fd_control control;
	if (nfds > 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	ssize_t n;
	do {
		n = sendmsg(sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Takes all fds of a message into fds (room for BN_MAX_FDS, which is all that the control buffer
 * holds). */
static size_t take_fds(struct msghdr *msg, int *fds)
{
	size_t count = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds + count, CMSG_DATA(c), n * sizeof(int));
		count += n;
	}
	return count;
}

long bn_recvmsg(int sock, void *data, size_t len, int *fds, size_t *nfds, int flags)
{
	size_t room = nfds ? *nfds : 0;
	if (nfds)
		*nfds = 0;
	struct iovec iov = {.iov_base = data, .iov_len = len};
	union fd_control control;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	ssize_t n;
	do {
		n = recvmsg(sock, &msg, flags | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	int got[BN_MAX_FDS];
	size_t count = take_fds(&msg, got);
	if (count > room || (msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC))) {
		bn_fds_close(got, count);
		return -EMSGSIZE;
	}
	if (count > 0) {
		memcpy(fds, got, count * sizeof(int));
		*nfds = count;
	}
	return n;
}

static int unix_address(const char *path, struct sockaddr_un *addr)
{
	size_t len = strlen(path);
	if (len == 0)
		return -EINVAL;
	if (len >= sizeof(addr->sun_path))
		return -ENAMETOOLONG;
	*addr = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(addr->sun_path, path, len + 1);
	return 0;
}

static int connect_address(const struct sockaddr_un *addr, int type)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int ret;
	do {
		ret = connect(fd, (const struct sockaddr *)addr, sizeof(*addr));
	} while (ret < 0 && errno == EINTR);
	if (ret < 0) {
		ret = -errno;
		bn_fd_close(&fd);
		return ret;
	}
	return fd;
}

int bn_unix_connect(const char *path, int type)
{
	struct sockaddr_un addr;
	int ret = unix_address(path, &addr);
	return ret < 0 ? ret : connect_address(&addr, type);
}

/* Removes what an earlier run left at the address. 0 when the path is free. */
static int remove_leftover(const struct sockaddr_un *addr, int type)
{
	struct stat st;
	if (lstat(addr->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	/* Non-blocking: a live server with a full backlog answers EAGAIN instead of making us
	 * wait. */
	int fd = connect_address(addr, type | SOCK_NONBLOCK);
	if (fd >= 0) {
		bn_fd_close(&fd);
		return -EADDRINUSE;
	}
	if (fd == -EAGAIN || fd == -EPROTOTYPE) /* it lives; EPROTOTYPE: with another socket type */
		return -EADDRINUSE;
	if (fd == -ENOENT)
		return 0;
	if (fd != -ECONNREFUSED)
		return fd;
	return unlink(addr->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

int bn_unix_listen(const char *path, int type, unsigned mode)
{
	struct sockaddr_un addr;
	int ret = unix_address(path, &addr);
	if (ret == 0)
		ret = remove_leftover(&addr, type);
	if (ret < 0)
		return ret;
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* bind() takes the mode of the socket's inode less the umask, so the socket is never
	 * more open than asked for; chmod() then adds what the umask took. */
	if (fchmod(fd, mode) < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		ret = -errno;
		goto fail;
	}
	if (chmod(path, mode) < 0 || listen(fd, BACKLOG) < 0) {
		ret = -errno;
		unlink(path);
		goto fail;
	}
	return fd;
fail:
	bn_fd_close(&fd);
	return ret;
}

static int take_connection(int sock)
{
	int fd;
	do {
		fd = accept4(sock, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	} while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

int bn_unix_accept(int sock, int *spare)
{
	if (*spare < 0)
		*spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int fd = take_connection(sock);
	if (fd != -EMFILE && fd != -ENFILE)
		return fd;
	bn_fd_close(spare);
	int refused = take_connection(sock);
	if (refused >= 0)
		bn_fd_close(&refused);
	*spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return fd;
}
