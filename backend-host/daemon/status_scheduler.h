/* What status and metrics say of the scheduler, and of the frames that it is there for. */
#ifndef BN_DAEMON_STATUS_SCHEDULER_H
#define BN_DAEMON_STATUS_SCHEDULER_H

#include "arbiter.h"
#include "scheduler/monitor.h"

struct bn_service;
struct json_object;

/* Asked of the arbiter once for a whole answer. */
struct bn_status_scheduler {
	struct bn_service *service;
	struct bn_admission admission;
	struct bn_arbiter_totals totals;
};
void bn_status_scheduler_init(struct bn_status_scheduler *scheduler, struct bn_service *service);

/* "scheduler" of the whole service. */
void bn_status_add_scheduler(
	struct json_object *status, const struct bn_status_scheduler *scheduler);
/* "scheduler" of VM number `index`. */
void bn_status_add_vm(struct json_object *vm, const struct bn_status_scheduler *scheduler,
	unsigned index, const struct bn_monitor *monitor);
/* "frame" of a VM. */
void bn_status_add_frames(struct json_object *vm, const struct bn_monitor *monitor);

const char *bn_policy_name(enum bn_policy_kind kind);
const char *bn_vm_class_name(enum bn_vm_class vm_class);

#endif
