/* What the policy's tests share: one policy at a time, with a clock that is moved by hand. */
#ifndef BN_POLICY_FIXTURE_H
#define BN_POLICY_FIXTURE_H

#include "unit.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "protocol/grant.h"
#include "scheduler/policy.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define T60 UINT64_C(16670000)
#define NEVER UINT64_MAX
/* The GPU is kept for a frame of add_safety() that long at most, on start()'s machine. */
#define KEPT_MAX (5 * MS + 2 * MS + 4 * (150 * US + 500 * US) + 50 * US)

enum { CLUSTER, REAR, COCKPIT, MAPS, RADIO, NAVI };

extern struct bn_policy *p;
extern struct bn_policy_decision d; /* the last one */
extern uint64_t now;

/* A new policy in place of the last. */
void start_on(enum bn_policy_kind kind, const struct bn_policy_machine *machine);
void start(enum bn_policy_kind kind, unsigned in_flight);

void add_safety(unsigned vm);
void add_server(unsigned vm, uint64_t budget_ns, uint64_t period_ns);
void add_vm(unsigned vm, enum bn_vm_class class, uint32_t share);
void add_plain(unsigned vm, uint32_t share);

void ask(unsigned vm, uint64_t predicted_ns);
/* Whether the next decision is that. */
bool next(enum bn_decision what, unsigned vm);
bool granted(unsigned vm, uint32_t kind);
bool some_grant(void);
bool waits(uint64_t wake_ns);
void give_back(unsigned vm, uint64_t used_ns);
struct bn_policy_stats stats(unsigned vm);
/* From here on nobody is alone, so there are no leases. */
void contend(unsigned a, unsigned b);
/* The cluster has a frame grant, MAPS asks. */
void open_frame(void);

#endif
