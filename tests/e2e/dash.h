/* The instrument cluster of the tests: a safety VM that draws with GL and shows a frame for every
 * refresh of its display, in a thread of its own, while something happens to the others. It keeps
 * the longest time between two frames that were shown. */
#ifndef BN_E2E_DASH_H
#define BN_E2E_DASH_H

#include "harness.h"

struct dash;

/* Connects as the given VM, whose scanout 0 must be w × h. NULL at a failure, asserted. */
struct dash *dash_start(struct e2e *e, const char *vm, const char *output, uint32_t w, uint32_t h);
/* Forgets how long frames took so far. */
void dash_mark(struct dash *d);
/* Waits for n more frames; false when they do not come (the tests' deadline). */
bool dash_wait(struct dash *d, unsigned n);
/* The longest time between two frames since dash_mark(), nanoseconds, and the number of frames. */
uint64_t dash_worst_ns(const struct dash *d, unsigned *frames);
/* Asserts that frames go on, none was refused, and that what is on the display is one of them. */
void dash_check(struct dash *d);
void dash_stop(struct dash *d);

#endif
