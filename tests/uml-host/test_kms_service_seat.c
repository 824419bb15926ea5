/* A whole service in a session of a seat (kms_seat.sh): another session comes to the front, as with a VT switch, takes
 * the card and goes again. Argument: the library that switches (seat_switch.c); without it another session is in front when
 * the service starts. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "other_session.h"
#include "service_rig.h"

#define FIFO "/tmp/binnacle-seat-switch"
#define ROUNDS 2

static struct other_session others[ROUNDS];
static char *preload;
static int fifo;

static void test_start(void)
{
	CU_ASSERT_EQUAL_FATAL(mkfifo(FIFO, 0600), 0);
	fifo = open(FIFO, O_RDWR | O_CLOEXEC);
	CU_ASSERT_FATAL(fifo >= 0);
	for (unsigned i = 0; i < ROUNDS; i++)
		other_session_start(&others[i]);
	setenv("BN_TEST_SEAT_SWITCH", FIFO, 1);
	setenv("LD_PRELOAD", preload, 1);
	service_open();
	unsetenv("LD_PRELOAD");
}

/* Sessions are numbered from 0, which is the service's, in the order in which they come. */
static void switch_to(char session)
{
	CU_ASSERT_EQUAL(write(fifo, &session, 1), 1);
}

static void test_switch(void)
{
	int64_t failures = all_failures();

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct other_session *other = &others[i];

		other_session_enter(other);
		other_session_expect(other, 'w');
		CU_ASSERT_TRUE(output_int("dash", "active") == 1);
		switch_to((char)(1 + i));
		other_session_expect(other, 'f');
		CU_ASSERT_TRUE(output_becomes("dash", "active", 0));
		CU_ASSERT_TRUE(output_becomes("other", "active", 0));
		CU_ASSERT_TRUE(output_int("dash", "connected") == 1);
		stay_paused(failures);
		other_session_leave(other);
		CU_ASSERT_TRUE(output_becomes("dash", "active", 1));
		CU_ASSERT_TRUE(output_becomes("other", "active", 1));
		come_back(failures);
	}
	CU_ASSERT_EQUAL(output_int("dash", "unplugged"), 0);
}

static void test_stop(void)
{
	service_close();
	close(fifo);
	unlink(FIFO);
}

/* Nothing is lent to it: it runs all the same, and its displays are there when the other session goes. */
static void test_background(void)
{
	other_session_start(&others[0]);
	service_make();
	other_session_enter(&others[0]);
	other_session_expect(&others[0], 'w');
	other_session_expect(&others[0], 'f');
	service_start();
	CU_ASSERT_TRUE(output_int("dash", "active") == 0);
	CU_ASSERT_TRUE(output_int("dash", "connected") == 0);
	CU_ASSERT_TRUE(output_int("dash", "waiting") == 1);
	draw_both(10);
	stay_paused(0);
	other_session_leave(&others[0]);
	CU_ASSERT_TRUE(output_becomes("dash", "active", 1));
	CU_ASSERT_TRUE(output_becomes("other", "active", 1));
	CU_ASSERT_TRUE(output_int("dash", "waiting") == 0);
	service_await();
	service_close();
}

static int run_in_background(void)
{
	static const CU_TestInfo tests[] = {
		{"a service starts in the background", test_background},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("kms_service_background", tests);
}

int main(int argc, char **argv)
{
	static const CU_TestInfo tests[] = {
		{"service and guests start", test_start},
		{"another session comes and goes", test_switch},
		{"service stops", test_stop},
		CU_TEST_INFO_NULL,
	};

	if (argc == 1)
		return run_in_background();
	if (argc != 2) {
		fprintf(stderr, "usage: %s [LIBRARY]\n", argv[0]);
		return 2;
	}
	preload = realpath(argv[1], NULL);
	if (!preload) {
		perror(argv[1]);
		return 2;
	}
	int status = bn_unit_main("kms_service_seat", tests);
	free(preload);
	return status;
}
