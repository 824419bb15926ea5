#include "vm_monitor.h"

#include "vm_priv.h"

void bn_vm_set_target(struct bn_vm *vm, const struct bn_monitor_target *target)
{
	bn_monitor_set_target(&vm->monitor, target);
}

void bn_vm_reset_figures(struct bn_vm *vm)
{
	bn_monitor_reset(&vm->monitor);
	bn_arbiter_reset_figures(vm->context->arbiter, vm->index);
}
