/* A control socket that answers as protocol/control.h says, without a service behind it: for tests
 * of binnaclectl that need figures of their choice, refusals, and a service that goes away. */
#ifndef BN_TESTS_FAKE_SERVICE_H
#define BN_TESTS_FAKE_SERVICE_H

#include <stdbool.h>
#include <sys/types.h>

#include "protocol/control.h"

/* Seen by both sides. */
struct fake_state {
	/* Set by the test: */
	unsigned vms;    /* how many there are: cluster, hostile, vm2, … */
	unsigned misses; /* of the cluster */
	bool admitted;
	bool mute;       /* takes requests and answers nothing */
	bool junk;       /* answers what is no JSON */
	bool hangs_up;   /* ends instead of answering */
	unsigned events; /* so many have happened */
	bool refuses;    /* scenes, with two faults */
	/* Told to the test: */
	unsigned requests, resets;
	char last[BN_CONTROL_REQUEST_MAX + 1]; /* the last request that was not "status" */
};

struct fake_service {
	struct fake_state *state; /* shared */
	char dir[64], path[80];
	pid_t pid; /* 0: not running */
};

/* false when it could not be made. */
bool fake_open(struct fake_service *f);
/* Starts it anew after fake_stop(). */
bool fake_start(struct fake_service *f);
void fake_stop(struct fake_service *f);
void fake_close(struct fake_service *f);

#endif
