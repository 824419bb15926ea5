/* binnacled --probe: what this host can do, and what guests will therefore be offered. */
#ifndef BN_DAEMON_PROBE_H
#define BN_DAEMON_PROBE_H

#include <stdbool.h>

/* Runs `renderer --probe`, adds what the daemon sees itself (sandbox, device nodes), prints a
 * table or, with json, all of it as JSON. Returns the exit status. */
int bn_probe(const char *renderer, bool json);

#endif
