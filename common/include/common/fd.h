/* File descriptors: closing, memfds with seals, eventfds, SCM_RIGHTS. Every fd made here is
 * close-on-exec. */
#ifndef BN_COMMON_FD_H
#define BN_COMMON_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most fds that one message of ours or of vhost-user carries (vhost-user:
 * VHOST_MEMORY_BASELINE_NREGIONS 8). */
#define BN_MAX_FDS 8

/* Closes *fd if it is >= 0 and sets it to -1. errno is preserved. */
void bn_fd_close(int *fd);
void bn_fds_close(int *fds, size_t n);

/* A memfd of `size` bytes (zeroed), sealed against growing and shrinking (so that no holder can
 * make another one fault by truncating it) and against further seals (F_SEAL_WRITE would keep it
 * from the next holder, and from udmabuf, for good).
 * Returns the fd or -errno. */
int bn_memfd_create(const char *name, uint64_t size);

/* The same in whole pages, as udmabuf wants memory that a display is to read in place. */
int bn_memfd_create_pages(const char *name, uint64_t size);

/* The same, mapped here for writing (*map, to be unmapped by the caller), and sealed so that
 * nobody else can ever map or write it so. Returns the fd or -errno. */
int bn_memfd_create_published(const char *name, uint64_t size, void **map);

/* 0 when fd is a memfd of at least min_size bytes that carries F_SEAL_SHRINK, i.e. one that can
 * be mapped without fear of SIGBUS; -EPERM without the seal, -EINVAL when it is too small or no
 * memfd at all. */
int bn_memfd_check(int fd, uint64_t min_size);

/* Duplicates fd close-on-exec; -errno on failure. */
int bn_fd_dup(int fd);
int bn_fd_set_nonblock(int fd, bool nonblock);

/* Adds 1 to an eventfd, or writes the same 8 bytes to a stream socket (User-Mode Linux' call fds
 * are sockets). Never blocks: a full counter or socket already says what we wanted to say.
 * Returns 0 or -errno. */
int bn_event_signal(int fd);
/* The same in one system call, for an eventfd that nobody else has and that does not block. */
int bn_event_signal_own(int fd);

/* A call fd that somebody else gave us, and what it was found to be: so that telling it takes one
 * system call. All zero with fd -1 is "none". */
struct bn_notifier {
	int fd; /* owned; -1: none */
	enum {
		BN_NOTIFIER_POLLED, /* a blocking eventfd or a pipe: asked first */
		BN_NOTIFIER_EVENTFD, /* its description does not block */
		BN_NOTIFIER_SOCKET,
	} kind;
};
/* Takes ownership of fd; -1: none. The description is shared with the giver, so its flags are
 * looked at and not changed: who makes it blocking later and fills it stops whoever tells it. */
void bn_notifier_init(struct bn_notifier *n, int fd);
/* As bn_event_signal(); -EBADF for none. */
int bn_notifier_signal(const struct bn_notifier *n);
/* Closes the fd; none is left. */
void bn_notifier_finish(struct bn_notifier *n);

/* Takes whatever an eventfd counts, or drains a stream socket; true if there was something.
 * Never blocks, provided that fd is non-blocking. */
bool bn_event_drain(int fd);

/* Sends one message with up to BN_MAX_FDS fds (not closed) without blocking and without SIGPIPE.
 * Returns the bytes sent or -errno (-EAGAIN when the socket is full). */
long bn_sendmsg(int sock, const void *data, size_t len, const int *fds, size_t nfds);

/* Receives up to len bytes and at most *nfds fds (close-on-exec, owned by the caller from here
 * on). flags: MSG_PEEK and MSG_WAITALL are allowed, MSG_DONTWAIT is the caller's choice. On
 * return *nfds is the number received. More fds than fit, or truncated data on a packet socket:
 * everything received is closed and -EMSGSIZE returned. 0 = end of file. */
long bn_recvmsg(int sock, void *data, size_t len, int *fds, size_t *nfds, int flags);

/* A listening AF_UNIX socket at path with the given mode. A leftover socket that nobody answers
 * on is replaced; a live one gives -EADDRINUSE, anything that is no socket -EEXIST. type:
 * SOCK_STREAM or SOCK_SEQPACKET. */
int bn_unix_listen(const char *path, int type, unsigned mode);
/* Takes one connection, close-on-exec and non-blocking; fd or -errno (-EAGAIN: none waits). *spare
 * (-1 at first, closed by the caller at the end) is an fd kept for the day when none is left: it
 * makes room to take the connection and close it (-EMFILE). Left waiting, it would wake a
 * level-triggered loop without end. */
int bn_unix_accept(int sock, int *spare);
/* Connects to such a socket; fd or -errno. */
int bn_unix_connect(const char *path, int type);

/* The number of open fds of this process, for leak checks; -errno when /proc is not there. */
int bn_fd_count(void);

#endif
