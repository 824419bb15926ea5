/* The admission test for people, and VMs changed at run time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "common/clock.h"
#include "control_priv.h"
#include "events.h"
#include "json_add.h"
#include "service.h"
#include "status_scheduler.h"
#include "vm_monitor.h"

/* ---- admission ---- */

static void add_safety(struct json_object *o, const struct bn_admission_vm *v)
{
	bn_json_add_uint(o, "gaps", v->g);
	bn_json_add_uint(o, "in_flight", v->k);
	bn_json_add_uint(o, "batches", v->n);
	bn_json_add_ms(o, "batch_max_ms", v->l_ns);
	bn_json_add_ms(o, "dispatch_ms", v->sigma_ns);
	bn_json_add_ms(o, "cost_ms", v->c_ns);
	bn_json_add_ms(o, "overhead_ms", v->delta_ns);
	bn_json_add_ms(o, "compositor_ms", v->i_ns);
	bn_json_add_ms(o, "others_ms", v->others_ns);
	bn_json_add_ms(o, "period_ms", v->t_ns);
	bn_json_add_ms(o, "lead_ms", v->s_ns);
	bn_json_add_ms(o, "bound_ms", v->r_ns);
	bn_json_add_ms(o, "deadline_ms", v->d_ns);
}

static struct json_object *vm_json(const struct bn_admission_vm *v, const char *name)
{
	struct json_object *o = json_object_new_object();
	bn_json_add_text(o, "name", name);
	bn_json_add_text(o, "class", bn_vm_class_name(v->vm_class));
	bn_json_add_bool(o, "admitted", v->admitted);
	bn_json_add_text(o, "remedy", v->remedy);
	if (v->vm_class == BN_CLASS_SAFETY) {
		add_safety(o, v);
	} else {
		bn_json_add_number(o, "load", v->load);
		bn_json_add_ms(o, "blocking_ms", v->blocking_ns);
	}
	return o;
}

static void add_text(
	struct json_object *answer, const struct bn_service *service, const struct bn_admission *a)
{
	const struct bn_arbiter_config *config = bn_arbiter_config(service->context.arbiter);
	const char *names[BN_POLICY_VMS_MAX] = {0};
	for (size_t i = 0; i < service->num_vms; i++)
		names[i] = service->settings->vms[i].name;
	char *text = bn_admission_text(a, &config->machine, names,
		config->software ? "software" : service->context.gpu.path);
	bn_json_add_text(answer, "text", text ? text : "");
	free(text);
}

static void add_admission(
	struct json_object *answer, const struct bn_service *service, const struct bn_admission *a)
{
	struct json_object *o = json_object_new_object();
	struct json_object *vms = json_object_new_array();
	for (size_t i = 0; i < service->num_vms; i++) {
		if (a->vm[i].present)
			json_object_array_add(
				vms, vm_json(&a->vm[i], service->settings->vms[i].name));
	}
	bn_json_add_bool(o, "admitted", a->admitted);
	bn_json_add_number(o, "utilisation", a->utilisation);
	json_object_object_add(o, "vms", vms);
	json_object_object_add(answer, "admission", o);
	add_text(answer, service, a);
}

/* ---- targets of the monitors ---- */

void bn_control_update_targets(struct bn_control *control)
{
	struct bn_service *service = control->service;
	struct bn_arbiter *arbiter = service->context.arbiter;
	const struct bn_arbiter_config *config = bn_arbiter_config(arbiter);
	struct bn_admission a;
	bn_arbiter_admit(arbiter, BN_POLICY_VMS_MAX, NULL, &a);
	for (unsigned i = 0; i < service->num_vms; i++) {
		struct bn_arbiter_vm params;
		struct bn_monitor_target target = {.lead_ns = config->machine.lead_ns};
		bn_arbiter_vm_params(arbiter, i, &params);
		/* Only of a safety VM are period and budget those of a frame, and only the
		 * reserving policy promises anything. */
		if (params.policy.vm_class == BN_CLASS_SAFETY) {
			target.period_ns = params.policy.period_ns;
			target.budget_ns = params.policy.budget_ns;
			if (config->policy == BN_POLICY_RESERVE && a.vm[i].admitted)
				target.bound_ns = a.vm[i].r_ns;
		}
		bn_vm_set_target(service->vm[i], &target);
	}
}

/* Period of the display behind scanout.0 as it is now, which may not be as the file says; 0: none. */
static uint64_t display_period(struct bn_service *service, const struct bn_settings_vm *vm)
{
	const struct bn_display *d =
		vm->num_scanouts > 0 ? bn_displays_find(&service->displays, vm->scanout[0]) : NULL;
	return d ? 1000 * BN_NS_PER_S / bn_output_config(d->output)->refresh_mhz : 0;
}

static void params_of(
	struct bn_control *control, const struct bn_settings_vm *vm, struct bn_arbiter_vm *out)
{
	struct bn_settings_vm now = *vm;
	if (!now.period_ns)
		now.period_ns = display_period(control->service, vm);
	bn_settings_vm_policy(control->service->settings, &now, out);
}

void bn_control_follow_display(struct bn_control *control, const char *output)
{
	struct bn_service *service = control->service;
	for (unsigned i = 0; i < service->num_vms; i++) {
		const struct bn_settings_vm *vm = &control->vm[i];
		struct bn_arbiter_vm params;
		if (vm->period_ns || vm->num_scanouts == 0 || strcmp(vm->scanout[0], output) != 0)
			continue;
		params_of(control, vm, &params);
		/* The display is as it is now: what does not fit any more is said, not refused. */
		bn_arbiter_vm_set(service->context.arbiter, i, vm->name, &params, true, NULL);
	}
	bn_control_update_targets(control);
}

/* ---- commands ---- */

/* Takes "set" over into *vm; what = "budget=4, class=safety". NULL or the error. */
static struct json_object *read_set(const struct bn_control *control, struct json_object *request,
	struct bn_settings_vm *vm, char *what, size_t size)
{
	struct json_object *set = NULL;
	const char *why = NULL;
	size_t len = 0;
	json_object_object_get_ex(request, "set", &set);
	if (!json_object_is_type(set, json_type_object) || json_object_object_length(set) == 0)
		return bn_control_failure("\"set\" takes an object of keys and values");
	what[0] = '\0';
	json_object_object_foreach(set, key, value)
	{
		const char *text = json_object_get_string(value), *expected = NULL;
		if (!bn_settings_vm_key(vm, key, text ? text : "", &expected))
			return bn_control_failure("%s=%s: %s is expected", key, text ? text : "",
				expected ? expected : "another value");
		if (len < size)
			len += (size_t)snprintf(what + len, size - len, "%s%s=%s", len ? ", " : "",
				key, text ? text : "");
	}
	if (!bn_settings_vm_check(control->service->settings, vm, &why))
		return bn_control_failure("%s: %s %s", what, vm->name, why);
	return NULL;
}

struct json_object *bn_control_admit(
	struct bn_control_client *client, struct json_object *request, int *fd)
{
	struct bn_control *control = client->control;
	struct bn_service *service = control->service;
	struct json_object *error = NULL;
	struct bn_arbiter_vm params;
	struct bn_admission a;
	char what[192];
	if (json_object_object_get_ex(request, "set", NULL)) {
		int vm = bn_control_vm(control, request, &error);
		if (vm < 0)
			return error;
		struct bn_settings_vm changed = control->vm[vm];
		error = read_set(control, request, &changed, what, sizeof(what));
		if (error)
			return error;
		params_of(control, &changed, &params);
		bn_arbiter_admit(service->context.arbiter, (unsigned)vm, &params, &a);
	} else {
		bn_arbiter_admit(service->context.arbiter, BN_POLICY_VMS_MAX, NULL, &a);
	}
	struct json_object *answer = bn_control_success();
	add_admission(answer, service, &a);
	return answer;
}

static const char *remedy_of(const struct bn_admission *a)
{
	for (unsigned i = 0; i < BN_POLICY_VMS_MAX; i++) {
		if (a->vm[i].present && !a->vm[i].admitted && a->vm[i].remedy[0])
			return a->vm[i].remedy;
	}
	return "a guarantee would be broken";
}

static struct json_object *set_vm(
	struct bn_control *control, unsigned vm, struct json_object *request)
{
	struct bn_service *service = control->service;
	struct bn_settings_vm changed = control->vm[vm];
	struct bn_arbiter_vm params;
	struct bn_admission a;
	char what[192];
	struct json_object *answer = read_set(control, request, &changed, what, sizeof(what));
	if (answer)
		return answer;
	params_of(control, &changed, &params);
	int ret = bn_arbiter_vm_set(service->context.arbiter, vm, changed.name, &params, false, &a);
	if (ret < 0 && ret != -EPERM)
		return bn_control_failure("%s: %s: %s", changed.name, what, strerror(-ret));
	if (ret < 0) {
		answer = bn_control_failure(
			"%s: %s is refused: %s", changed.name, what, remedy_of(&a));
		add_admission(answer, service, &a);
		return answer;
	}
	control->vm[vm] = changed;
	bn_control_update_targets(control);
	bn_events_add(service->context.events, vm, BN_EVENT_CHANGED, "changed: %s", what);
	bn_arbiter_admit(service->context.arbiter, BN_POLICY_VMS_MAX, NULL, &a);
	answer = bn_control_success();
	add_admission(answer, service, &a);
	return answer;
}

struct json_object *bn_control_change(
	struct bn_control_client *client, struct json_object *request, int *fd)
{
	struct bn_control *control = client->control;
	struct json_object *error = NULL, *pardon = NULL;
	int vm = bn_control_vm(control, request, &error);
	if (vm < 0)
		return error;
	if (!json_object_object_get_ex(request, "pardon", &pardon))
		return set_vm(control, (unsigned)vm, request);
	if (!json_object_get_boolean(pardon))
		return bn_control_failure("\"pardon\" takes true");
	bn_arbiter_pardon(control->service->context.arbiter, (unsigned)vm);
	bn_events_add(control->service->context.events, (unsigned)vm, BN_EVENT_PARDONED,
		"pardoned: it may use the GPU again");
	return bn_control_success();
}
