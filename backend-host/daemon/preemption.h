/* How soon the host's kernel lets a real-time thread in: what the bound's dispatch time rests on. */
#ifndef BN_DAEMON_PREEMPTION_H
#define BN_DAEMON_PREEMPTION_H

#include <stdbool.h>
#include <stddef.h>

/* From debugfs' sched/preempt ("none voluntary (full) lazy"; NULL when it cannot be read) and uname's version ("#1 SMP
 * PREEMPT_DYNAMIC …"). True when system calls of other processes are interrupted for a real-time thread. text says what was
 * found, for a person. */
bool bn_preemption_parse(const char *model, const char *version, char *text, size_t size);
/* The same of this host. */
bool bn_preemption(char *text, size_t size);

#endif
