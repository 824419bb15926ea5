#include "other_session.h"

#include <libseat.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xf86drm.h>

#include "unit.h"

static bool in_front;

static void handle_enable(struct libseat *seat, void *data)
{
	in_front = true;
}

static void handle_disable(struct libseat *seat, void *data)
{
	in_front = false;
	libseat_disable_seat(seat);
}

static const struct libseat_seat_listener listener = {handle_enable, handle_disable};

static bool is_master(struct libseat *seat)
{
	int fd;

	return libseat_open_device(seat, "/dev/dri/card0", &fd) >= 0 && drmIsMaster(fd);
}

static void session(int told, int says)
{
	struct libseat *seat;
	char byte;

	if (read(told, &byte, 1) != 1)
		_exit(1);
	seat = libseat_open_seat(&listener, NULL);
	if (!seat || write(says, "w", 1) != 1)
		_exit(2);
	while (!in_front) {
		if (libseat_dispatch(seat, 10000) < 0)
			_exit(3);
	}
	if (!is_master(seat))
		_exit(4);
	if (write(says, "f", 1) != 1 || read(told, &byte, 1) != 1)
		_exit(5);
	libseat_close_seat(seat);
	_exit(0);
}

void other_session_start(struct other_session *other)
{
	int to[2], from[2];

	CU_ASSERT_EQUAL_FATAL(pipe(to), 0);
	CU_ASSERT_EQUAL_FATAL(pipe(from), 0);
	other->pid = fork();
	CU_ASSERT_FATAL(other->pid >= 0);
	if (other->pid == 0) {
		close(to[1]);
		close(from[0]);
		session(to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	other->to = to[1];
	other->from = from[0];
}

void other_session_enter(struct other_session *other)
{
	CU_ASSERT_EQUAL(write(other->to, "g", 1), 1);
}

void other_session_expect(struct other_session *other, char what)
{
	char byte = 0;

	CU_ASSERT_EQUAL_FATAL(read(other->from, &byte, 1), 1);
	CU_ASSERT_EQUAL(byte, what);
}

void other_session_leave(struct other_session *other)
{
	int status;

	CU_ASSERT_EQUAL(write(other->to, "e", 1), 1);
	CU_ASSERT_EQUAL(waitpid(other->pid, &status, 0), other->pid);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	close(other->to);
	close(other->from);
}
