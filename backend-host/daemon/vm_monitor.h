/* A VM's monitor, for those who set what it measures by. */
#ifndef BN_DAEMON_VM_MONITOR_H
#define BN_DAEMON_VM_MONITOR_H

#include "vm.h"

void bn_vm_set_target(struct bn_vm *vm, const struct bn_monitor_target *target);
/* Histograms and misses begin anew, the arbiter's histogram of waits too. */
void bn_vm_reset_figures(struct bn_vm *vm);

#endif
