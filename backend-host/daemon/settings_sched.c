/* The keys of the scheduler: how each is read, what is taken when it is not given, and what of
 * them does not go together. */
#include "settings_priv.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arbiter.h"
#include "common/clock.h"

#define PERIOD_DEFAULT (BN_NS_PER_S / 60)
#define PERIOD_MIN BN_NS_PER_MS
#define PERIOD_MAX (10 * BN_NS_PER_S)
#define SHARE_DEFAULT 100
#define BATCH_MAX_DEFAULT (2 * BN_NS_PER_MS)
#define LEAD_DEFAULT (2 * BN_NS_PER_MS)
#define DISPATCH_DEFAULT (100 * BN_NS_PER_US)
#define OVERHEAD_DEFAULT (20 * BN_NS_PER_US)
#define GAP_DEFAULT BN_NS_PER_MS
#define BATCHES_DEFAULT 4
#define TRIPS_DEFAULT 3

/* ---- values ---- */

/* "4", "4.25" → millionths. At most six decimals; *rest is what follows. */
static bool parse_decimal(const char *value, uint64_t *millionths, const char **rest)
{
	uint64_t n = 0, scale = 1000000;
	const char *c = value;
	for (; *c >= '0' && *c <= '9'; c++) {
		if (n > 100000)
			return false;
		n = n * 10 + (uint64_t)(*c - '0');
	}
	if (c == value)
		return false;
	n *= scale;
	if (*c == '.') {
		const char *first = ++c;
		for (; *c >= '0' && *c <= '9'; c++) {
			scale /= 10;
			if (scale == 0)
				return false;
			n += scale * (uint64_t)(*c - '0');
		}
		if (c == first)
			return false;
	}
	while (*c == ' ')
		c++;
	*millionths = n;
	*rest = c;
	return true;
}

bool bn_settings_parse_time(const char *value, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t n;
	const char *unit;
	if (!parse_decimal(value, &n, &unit))
		return false;
	if (strcmp(unit, "us") == 0)
		n /= 1000;
	else if (*unit != '\0' && strcmp(unit, "ms") != 0)
		return false;
	if (n < min || n > max)
		return false;
	*out = n;
	return true;
}

static bool parse_word(const char *value, const char *const *words, unsigned count, unsigned *out)
{
	for (unsigned i = 0; i < count; i++) {
		if (strcmp(value, words[i]) == 0) {
			*out = i;
			return true;
		}
	}
	return false;
}

/* ---- [core] ---- */

bool bn_settings_read_policy(void *object, const char *key, const char *value, const char **expected)
{
	static const char *const words[] = {"auto", "none", "fifo", "priority", "reserve"};
	struct bn_settings *s = object;
	unsigned n;
	*expected = "auto, none, fifo, priority or reserve";
	if (!parse_word(value, words, 5, &n))
		return false;
	s->policy = (enum bn_settings_policy)n;
	return true;
}

bool bn_settings_read_realtime(
	void *object, const char *key, const char *value, const char **expected)
{
	static const char *const words[] = {"auto", "yes", "no"};
	struct bn_settings *s = object;
	unsigned n;
	*expected = "auto, yes or no";
	if (!parse_word(value, words, 3, &n))
		return false;
	s->realtime = (enum bn_settings_realtime)n;
	return true;
}

/* One "2" or "0-3" of the list. */
static const char *parse_cpu_range(const char *text, cpu_set_t *set)
{
	char *end;
	if (*text < '0' || *text > '9')
		return NULL;
	unsigned long first = strtoul(text, &end, 10), last = first;
	if (*end == '-') {
		text = end + 1;
		if (*text < '0' || *text > '9')
			return NULL;
		last = strtoul(text, &end, 10);
	}
	if (first > last || last >= CPU_SETSIZE)
		return NULL;
	for (; first <= last; first++)
		CPU_SET(first, set);
	return end;
}

bool bn_settings_read_cpus(void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings *s = object;
	cpu_set_t set, present;
	const char *c = value;
	*expected = "processors that are there, for example 1 or 0-3,6";
	CPU_ZERO(&set);
	while ((c = parse_cpu_range(c, &set)) && *c == ',')
		c++;
	if (!c || *c != '\0')
		return false;
	/* Of the machine, not those that this process may use: renderers are put there all the same. */
	CPU_ZERO(&present);
	for (long i = 0; i < sysconf(_SC_NPROCESSORS_CONF) && i < CPU_SETSIZE; i++)
		CPU_SET((size_t)i, &present);
	CPU_AND(&present, &present, &set);
	if (!CPU_EQUAL(&present, &set))
		return false;
	s->gpu_cpus = set;
	return true;
}

bool bn_settings_read_queue_depth(
	void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings *s = object;
	*expected = "a number of batches from 1 to 4";
	return bn_config_uint(value, 1, 4, &s->queue_depth);
}

bool bn_settings_read_core_time(
	void *object, const char *key, const char *value, const char **expected)
{
	struct bn_settings *s = object;
	*expected = "milliseconds from 0 to 100, for example 2 or 0.15";
	uint64_t *out = strcmp(key, "compositor-lead") == 0   ? &s->lead_ns
			: strcmp(key, "compositor-time") == 0 ? &s->compositor_ns
			: strcmp(key, "dispatch") == 0	      ? &s->dispatch_ns
							      : &s->batch_overhead_ns;
	return bn_settings_parse_time(value, 0, 100 * BN_NS_PER_MS, out);
}

void bn_settings_sched_defaults(struct bn_settings *s)
{
	s->lead_ns = LEAD_DEFAULT;
	s->dispatch_ns = DISPATCH_DEFAULT;
	s->batch_overhead_ns = OVERHEAD_DEFAULT;
}

/* ---- [vm NAME] ---- */

static bool read_class(struct bn_settings_vm *vm, const char *value, const char **expected)
{
	static const char *const words[] = {"background", "interactive", "safety"};
	unsigned n;
	*expected = "safety, interactive or background";
	if (!parse_word(value, words, 3, &n))
		return false;
	vm->vm_class = (enum bn_vm_class)n;
	vm->scheduled = true;
	return true;
}

static bool read_period(struct bn_settings_vm *vm, const char *value, const char **expected)
{
	*expected = "milliseconds from 1 to 10000, or a rate such as 60Hz";
	uint64_t n, period;
	const char *unit;
	if (parse_decimal(value, &n, &unit) && (strcmp(unit, "Hz") == 0 || strcmp(unit, "hz") == 0))
		period = n > 0 ? BN_NS_PER_S * 1000000 / n : 0;
	else if (!bn_settings_parse_time(value, 0, PERIOD_MAX, &period))
		return false;
	if (period < PERIOD_MIN || period > PERIOD_MAX)
		return false;
	vm->period_ns = period;
	vm->scheduled = true;
	return true;
}

static bool read_budget(struct bn_settings_vm *vm, const char *value, const char **expected)
{
	*expected = "milliseconds of GPU time in a period, for example 4.5, or 1% to 100% of it";
	uint64_t n, ns = 0;
	const char *unit;
	if (parse_decimal(value, &n, &unit) && strcmp(unit, "%") == 0) {
		if (n < 1000000 || n > 100000000 || n % 1000000 != 0)
			return false;
		vm->budget_percent = (unsigned)(n / 1000000);
	} else {
		if (!bn_settings_parse_time(value, 10 * BN_NS_PER_US, PERIOD_MAX, &ns))
			return false;
		vm->budget_percent = 0;
	}
	vm->budget_ns = ns;
	vm->scheduled = true;
	return true;
}

static bool read_share(struct bn_settings_vm *vm, const char *value, const char **expected)
{
	*expected = "a weight from 1 to 1000";
	unsigned n;
	if (!bn_config_uint(value, 1, 1000, &n))
		return false;
	vm->share = n;
	vm->scheduled = true;
	return true;
}

static bool read_batch_max(struct bn_settings_vm *vm, const char *value, const char **expected)
{
	*expected = "milliseconds from 0.1 to 1000, for example 2";
	return bn_settings_parse_time(value, 100 * BN_NS_PER_US, BN_NS_PER_S, &vm->batch_max_ns);
}

static bool read_ahead(struct bn_settings_vm *vm, const char *value, const char **expected)
{
	*expected = "milliseconds from 0.1 to 1000, for example 4";
	return bn_settings_parse_time(value, 100 * BN_NS_PER_US, BN_NS_PER_S, &vm->ahead_max_ns);
}

static bool read_gap(struct bn_settings_vm *vm, const char *value, const char **expected)
{
	*expected = "milliseconds from 0.01 to 1000, for example 1";
	return bn_settings_parse_time(value, 10 * BN_NS_PER_US, BN_NS_PER_S, &vm->gap_ns);
}

static bool read_watchdog(struct bn_settings_vm *vm, const char *value, const char **expected)
{
	*expected = "milliseconds from 1 to 60000, for example 100";
	return bn_settings_parse_time(value, BN_NS_PER_MS, 60 * BN_NS_PER_S, &vm->watchdog_ns);
}

static bool read_gaps(struct bn_settings_vm *vm, const char *value, const char **expected)
{
	*expected = "a number from 0 to 100";
	return bn_config_uint(value, 0, 100, &vm->gaps);
}

static bool read_batches(struct bn_settings_vm *vm, const char *value, const char **expected)
{
	*expected = "a number from 1 to 10000";
	return bn_config_uint(value, 1, 10000, &vm->batches);
}

static bool read_trips(struct bn_settings_vm *vm, const char *value, const char **expected)
{
	*expected = "a number from 1 to 1000";
	return bn_config_uint(value, 1, 1000, &vm->trips);
}

static const struct {
	const char *name;
	bool (*read)(struct bn_settings_vm *vm, const char *value, const char **expected);
} vm_keys[] = {
	{"class", read_class},
	{"period", read_period},
	{"budget", read_budget},
	{"share", read_share},
	{"batch-max", read_batch_max},
	{"queue-ahead", read_ahead},
	{"gap", read_gap},
	{"gaps", read_gaps},
	{"batches", read_batches},
	{"watchdog", read_watchdog},
	{"trips", read_trips},
};

bool bn_settings_vm_key(
	struct bn_settings_vm *vm, const char *key, const char *value, const char **expected)
{
	for (size_t i = 0; i < sizeof(vm_keys) / sizeof(vm_keys[0]); i++) {
		if (strcmp(key, vm_keys[i].name) == 0)
			return vm_keys[i].read(vm, value, expected);
	}
	*expected = "one of class, period, budget, share, batch-max, queue-ahead, gap, gaps, "
		    "batches, watchdog and trips";
	return false;
}

bool bn_settings_read_vm_sched(
	void *object, const char *key, const char *value, const char **expected)
{
	return bn_settings_vm_key(object, key, value, expected);
}

/* ---- what becomes of them ---- */

static uint64_t period_of_output(const struct bn_settings *s, const char *output)
{
	for (size_t i = 0; i < s->num_outputs; i++) {
		const struct bn_output_config *o = &s->outputs[i].config;
		if (strcmp(o->name, output) == 0 && o->refresh_mhz > 0)
			return BN_NS_PER_S * 1000 / o->refresh_mhz;
	}
	return PERIOD_DEFAULT;
}

static uint64_t or_default(uint64_t given, uint64_t otherwise)
{
	return given != 0 ? given : otherwise;
}

void bn_settings_vm_policy(
	const struct bn_settings *s, const struct bn_settings_vm *vm, struct bn_arbiter_vm *out)
{
	uint64_t period = or_default(vm->period_ns, period_of_output(s, vm->scanout[0]));
	uint64_t batch_max = or_default(vm->batch_max_ns, BATCH_MAX_DEFAULT);
	*out = (struct bn_arbiter_vm){
		.policy = {
			.vm_class = vm->vm_class,
			.period_ns = period,
			.budget_ns = vm->budget_percent > 0 ? period / 100 * vm->budget_percent
							    : vm->budget_ns,
			.share = (uint32_t)or_default(vm->share, SHARE_DEFAULT),
			.batch_max_ns = batch_max,
			.ahead_max_ns = or_default(vm->ahead_max_ns, 2 * batch_max),
			.gap_ns = or_default(vm->gap_ns, GAP_DEFAULT),
			.gaps = vm->gaps,
			.batches = (unsigned)or_default(vm->batches, BATCHES_DEFAULT),
		},
		.watchdog_ns = vm->watchdog_ns,
		.trips_max = (unsigned)or_default(vm->trips, TRIPS_DEFAULT),
	};
}

bool bn_settings_vm_check(
	const struct bn_settings *s, const struct bn_settings_vm *vm, const char **why)
{
	struct bn_arbiter_vm params;
	bn_settings_vm_policy(s, vm, &params);
	*why = NULL;
	if (vm->vm_class == BN_CLASS_SAFETY && params.policy.budget_ns == 0)
		*why = "is of class safety and has no budget; budget= is expected, the GPU time "
		       "that its frame takes at most";
	else if (params.policy.budget_ns > params.policy.period_ns)
		*why = "has a budget longer than its period; a smaller budget= or a longer period= "
		       "is expected";
	else if (vm->ahead_max_ns != 0 && vm->ahead_max_ns < params.policy.batch_max_ns)
		*why = "has a queue-ahead shorter than its batch-max; a longer queue-ahead= or a "
		       "shorter batch-max= is expected";
	else if (vm->watchdog_ns != 0 && vm->watchdog_ns < params.policy.batch_max_ns)
		*why = "has a watchdog shorter than its batch-max; a longer watchdog= or a shorter "
		       "batch-max= is expected";
	return !*why;
}

void bn_settings_check_sched(const struct bn_settings *s, struct bn_config_errors *errors)
{
	for (size_t i = 0; i < s->num_vms; i++) {
		const char *why;
		if (!bn_settings_vm_check(s, &s->vms[i], &why))
			bn_config_error_add(
				errors, s->vms[i].line, "vm %s %s", s->vms[i].name, why);
	}
}

enum bn_policy_kind bn_settings_policy_kind(const struct bn_settings *s)
{
	if (s->policy != BN_SETTINGS_POLICY_AUTO)
		return (enum bn_policy_kind)(s->policy - BN_SETTINGS_POLICY_NONE);
	for (size_t i = 0; i < s->num_vms; i++) {
		if (s->vms[i].scheduled)
			return BN_POLICY_RESERVE;
	}
	return BN_POLICY_NONE;
}
