/* Another session of the seat: a process that waits in the background, comes to the front and goes. Needs a seat manager
 * (kms_seat.sh). Failures are CUnit assertions. */
#ifndef BN_TEST_OTHER_SESSION_H
#define BN_TEST_OTHER_SESSION_H

#include <sys/types.h>

struct other_session {
	pid_t pid;
	int to, from;
};

/* Before threads are started. */
void other_session_start(struct other_session *other);
/* Has it open the seat. */
void other_session_enter(struct other_session *other);
/* Told through a byte that is readable at `from`: 'w' when it waits, 'f' when it is in front and master of the first
 * card. */
void other_session_expect(struct other_session *other, char what);
/* Has it close the seat and waits for its end. */
void other_session_leave(struct other_session *other);

#endif
