/* A whole service with two displays of one vkms card, each with a guest: an instrument cluster with its watches (output
 * dash, VM cluster; watchdog_rig.h) and another one with the watch "far" (output other, VM cockpit). What fails is asserted. */
#ifndef BN_TEST_SERVICE_RIG_H
#define BN_TEST_SERVICE_RIG_H

#include "kms_card.h"
#include "watchdog_rig.h"

extern struct tg_cluster cockpit;

/* Makes the card, writes the configuration and starts the service and the guests: all is live. */
void service_open(void);
/* The same in steps. */
void service_make(void);
void service_start(void);
void service_await(void);
void service_close(void);

/* A figure of an output; a flag is 0 or 1. */
int64_t output_int(const char *output, const char *key);
/* Waits until that figure has this value. */
bool output_becomes(const char *output, const char *key, int64_t value);
/* Each of the guests draws and has shown so many frames. */
void draw_both(unsigned frames);
/* What the hardware writes back of output other is its guest's last picture. */
bool other_is_right(void);

/* Of what happens to displays: nothing may be found wrong meanwhile, and the watches pause. Longer than every limit. */
void stay_paused(int64_t failures);
/* … and after it: the watches are live again, both pictures are right. */
void come_back(int64_t failures);

#endif
