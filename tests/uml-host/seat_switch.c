/* Preloaded into a service whose seat has no VTs: stands for the key that switches to another one, which only the session
 * in front may ask for. A byte on the FIFO that BN_TEST_SEAT_SWITCH names switches to the session of that number. */
#include <dlfcn.h>
#include <fcntl.h>
#include <libseat.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static struct libseat *the_seat;
static int fifo = -1, both = -1;

static void *real(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

EXPORT struct libseat *libseat_open_seat(const struct libseat_seat_listener *listener, void *data)
{
	struct libseat *(*open_seat)(const struct libseat_seat_listener *listener, void *data);
	const char *path = getenv("BN_TEST_SEAT_SWITCH");

	*(void **)&open_seat = real("libseat_open_seat");
	the_seat = open_seat(listener, data);
	if (the_seat && path)
		fifo = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return the_seat;
}

static void watch(int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	if (epoll_ctl(both, EPOLL_CTL_ADD, fd, &event) < 0)
		abort();
}

EXPORT int libseat_get_fd(struct libseat *seat)
{
	int (*get_fd)(struct libseat *seat);

	*(void **)&get_fd = real("libseat_get_fd");
	if (fifo < 0)
		return get_fd(seat);
	if (both < 0) {
		both = epoll_create1(EPOLL_CLOEXEC);
		watch(fifo);
		watch(get_fd(seat));
	}
	return both;
}

EXPORT int libseat_dispatch(struct libseat *seat, int timeout)
{
	int (*dispatch)(struct libseat *seat, int timeout);
	char session;

	*(void **)&dispatch = real("libseat_dispatch");
	if (fifo >= 0 && read(fifo, &session, 1) == 1)
		libseat_switch_session(the_seat, session);
	return dispatch(seat, timeout);
}
