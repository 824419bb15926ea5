/* The other VM: shows frames on its own output in a thread of its own, all the time, while
 * something bad is done to the service. */
#ifndef BN_E2E_BYSTANDER_H
#define BN_E2E_BYSTANDER_H

#include "harness.h"

struct bystander;

/* Connects as the given VM (its scanout 0 must be w × h) and starts flushing. NULL at a failure,
 * asserted. */
struct bystander *bystander_start(struct e2e *e, const char *vm, uint32_t w, uint32_t h);
/* Asserts that frames go on reaching the display, from now on, and that none was refused since the
 * start. */
void bystander_check(struct bystander *b);
void bystander_stop(struct bystander *b);

#endif
