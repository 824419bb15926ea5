#include "common/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

void bn_fd_close(int *fd)
{
	if (*fd < 0)
		return;
	int saved = errno;
	close(*fd);
	errno = saved;
	*fd = -1;
}

void bn_fds_close(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bn_fd_close(&fds[i]);
}

static int memfd_open(const char *name)
{
	const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL) /* Linux before 6.3 */
		fd = memfd_create(name, flags);
	return fd;
}

int bn_memfd_create(const char *name, uint64_t size)
{
	if (size > INT64_MAX)
		return -EINVAL;
	int fd = memfd_open(name);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) < 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0) {
		int err = -errno;
		bn_fd_close(&fd);
		return err;
	}
	return fd;
}

int bn_memfd_create_pages(const char *name, uint64_t size)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	return size > INT64_MAX - page ? -EINVAL
				       : bn_memfd_create(name, (size + page - 1) / page * page);
}

int bn_memfd_create_published(const char *name, uint64_t size, void **map)
{
	int fd = memfd_open(name);
	if (fd < 0)
		return -errno;
	void *p = MAP_FAILED;
	if (ftruncate(fd, (off_t)size) == 0)
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED || fcntl(fd, F_ADD_SEALS,
				       F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE |
					       F_SEAL_SEAL) < 0) {
		int err = -errno;
		if (p != MAP_FAILED)
			munmap(p, size);
		bn_fd_close(&fd);
		return err;
	}
	*map = p;
	return fd;
}

int bn_memfd_check(int fd, uint64_t min_size)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	if (seals < 0 || fstat(fd, &st) < 0)
		return -EINVAL;
	if (!(seals & F_SEAL_SHRINK))
		return -EPERM;
	return st.st_size >= 0 && (uint64_t)st.st_size >= min_size ? 0 : -EINVAL;
}

int bn_fd_dup(int fd)
{
	/* From 3 on: a program started with stdin closed must not get guest memory as its stdin. */
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return copy < 0 ? -errno : copy;
}

int bn_fd_set_nonblock(int fd, bool nonblock)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0)
		return -errno;
	int wanted = nonblock ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	if (wanted != flags && fcntl(fd, F_SETFL, wanted) < 0)
		return -errno;
	return 0;
}

static int signal_polled(int fd)
{
	/* The peer may have filled the counter of a blocking eventfd; write() would then wait
	 * for it. */
	const uint64_t one = 1;
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int ready = poll(&p, 1, 0);
	if (ready <= 0)
		return ready < 0 && errno != EINTR ? -errno : 0;
	if (p.revents & POLLNVAL)
		return -EBADF;
	if (p.revents & POLLERR) /* a pipe that nobody reads: no SIGPIPE */
		return -EPIPE;
	if (write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		return -errno;
	return 0;
}

int bn_event_signal_own(int fd)
{
	const uint64_t one = 1;
	if (write(fd, &one, sizeof(one)) >= 0)
		return 0;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

static int signal_socket(int fd)
{
	const uint64_t one = 1;
	if (send(fd, &one, sizeof(one), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return 0;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

int bn_event_signal(int fd)
{
	int ret = signal_socket(fd);
	return ret == -ENOTSOCK ? signal_polled(fd) : ret;
}

void bn_notifier_init(struct bn_notifier *n, int fd)
{
	struct stat st;
	*n = (struct bn_notifier){.fd = fd, .kind = BN_NOTIFIER_POLLED};
	/* Only sockets and what has no type, as eventfds do, can be told in one call: a pipe would
	 * raise SIGPIPE, and of a file nobody learns anything. */
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	if (S_ISSOCK(st.st_mode)) {
		n->kind = BN_NOTIFIER_SOCKET;
		return;
	}
	int flags = fcntl(fd, F_GETFL);
	if ((st.st_mode & S_IFMT) == 0 && flags >= 0 && (flags & O_NONBLOCK))
		n->kind = BN_NOTIFIER_EVENTFD;
}

int bn_notifier_signal(const struct bn_notifier *n)
{
	if (n->fd < 0)
		return -EBADF;
	switch (n->kind) {
	case BN_NOTIFIER_EVENTFD:
		return bn_event_signal_own(n->fd);
	case BN_NOTIFIER_SOCKET:
		return signal_socket(n->fd);
	case BN_NOTIFIER_POLLED:
		break;
	}
	return signal_polled(n->fd);
}

void bn_notifier_finish(struct bn_notifier *n)
{
	bn_fd_close(&n->fd);
	*n = (struct bn_notifier){.fd = -1};
}

bool bn_event_drain(int fd)
{
	/* An eventfd gives 8 bytes, a socket all that it has. Bounded: a peer that writes
	 * without end must not hold the loop. */
	char buf[4096];
	bool any = false;
	for (int i = 0; i < 16; i++) {
		ssize_t n = read(fd, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return any;
		any = true;
		if ((size_t)n < sizeof(buf))
			return true;
	}
	return any;
}

int bn_fd_count(void)
{
	DIR *dir = opendir("/proc/self/fd");
	if (!dir)
		return -errno;
	int count = 0;
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count - 1; /* less the directory itself */
}
