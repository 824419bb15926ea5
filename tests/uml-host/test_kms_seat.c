/* A card that a seat manager lends: another session comes to the front, as with a VT switch, and goes again. */
#include <dlfcn.h>
#include <libseat.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kms_rig.h"

static struct libseat *our_seat;

/* The output's own seat is known by this. */
__attribute__((visibility("default"))) struct libseat *libseat_open_seat(
	const struct libseat_seat_listener *listener, void *data)
{
	struct libseat *(*real)(const struct libseat_seat_listener *listener, void *data);

	*(void **)&real = dlsym(RTLD_NEXT, "libseat_open_seat");
	our_seat = real(listener, data);
	return our_seat;
}

/* ---- the other session ---- */

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

/* Says when it waits and when it is in front, and ends when it is told. */
static void other_session(int told, int says)
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
	if (write(says, "f", 1) != 1 || read(told, &byte, 1) != 1)
		_exit(4);
	libseat_close_seat(seat);
	_exit(0);
}

/* ---- ours ---- */

static struct kms_rig rig;
static struct wl_event_loop *loop;

static bool is_active(bool active)
{
	for (unsigned i = 0; i < 1000 && kms_rig_status(&rig).active != active; i++)
		kms_rig_run(loop, 10);
	return kms_rig_status(&rig).active == active;
}

static void wait_for(int fd, char what)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char byte = 0;

	for (unsigned i = 0; i < 1000 && poll(&p, 1, 0) == 0; i++)
		kms_rig_run(loop, 10);
	CU_ASSERT_EQUAL_FATAL(read(fd, &byte, 1), 1);
	CU_ASSERT_EQUAL(byte, what);
}

static void submit_some(void)
{
	for (unsigned i = 0; i < 5; i++) {
		struct bn_buffer *buffer = kms_rig_buffer(0xff2050a0 + i, 100, 80);
		unsigned before = kms_rig_presented[BN_PRESENTED_SHOWN];

		kms_rig_submit(rig.scene.layers[0], buffer);
		bn_buffer_drop(buffer);
		for (unsigned k = 0; k < 1000 && kms_rig_presented[BN_PRESENTED_SHOWN] == before;
			k++)
			kms_rig_run(loop, 5);
		CU_ASSERT_EQUAL(kms_rig_presented[BN_PRESENTED_SHOWN], before + 1);
	}
}

static void test_switch(void)
{
	int to[2], from[2], status;
	pid_t child;

	CU_ASSERT_EQUAL_FATAL(pipe(to), 0);
	CU_ASSERT_EQUAL_FATAL(pipe(from), 0);
	child = fork();
	if (child == 0)
		other_session(to[0], from[1]);
	loop = wl_event_loop_create();
	CU_ASSERT_EQUAL_FATAL(kms_rig_open(&rig, loop, "/dev/dri/card0", "", 640, 480, 60000), 0);
	CU_ASSERT(bn_kms_output_of(rig.scene.output)->card->seat_device >= 0);
	kms_rig_layer(&rig, 0xff103050, 40, 30, 100, 80);
	CU_ASSERT_EQUAL(kms_rig_distance(&rig), 0);

	CU_ASSERT_EQUAL(write(to[1], "g", 1), 1);
	wait_for(from[0], 'w');
	/* They are numbered from 0 in the order in which they came. */
	CU_ASSERT_EQUAL(libseat_switch_session(our_seat, 1), 0);
	wait_for(from[0], 'f');
	CU_ASSERT(is_active(false));
	submit_some();

	CU_ASSERT_EQUAL(write(to[1], "e", 1), 1);
	CU_ASSERT(is_active(true));
	submit_some();
	CU_ASSERT_EQUAL(kms_rig_distance(&rig), 0);
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	kms_rig_close(&rig);
	wl_event_loop_destroy(loop);
	for (unsigned i = 0; i < 2; i++) {
		close(to[i]);
		close(from[i]);
	}
}

static const CU_TestInfo tests[] = {
	{"another session comes and goes", test_switch},
	CU_TEST_INFO_NULL,
};

int main(void)
{
	return bn_unit_main("kms_seat", tests);
}
