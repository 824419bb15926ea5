#include "unit.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scheduler/admission.h"

#define MS(x) ((uint64_t)((x) * 1e6 + 0.5))
#define T60 UINT64_C(16670000)

static struct bn_policy_machine machine;
static struct bn_policy_vm params[BN_POLICY_VMS_MAX];
static const struct bn_policy_vm *vms[BN_POLICY_VMS_MAX];
static const char *names[BN_POLICY_VMS_MAX];
static struct bn_admission a;

/* The worked example: L = 2, k = 2, C = 5, n = 4, δ = 0.15, S = 2, T = 16.67. */
static void set_up(unsigned gaps, unsigned in_flight)
{
	memset(vms, 0, sizeof(vms));
	memset(names, 0, sizeof(names));
	machine = (struct bn_policy_machine){
		.in_flight = in_flight, .batch_overhead_ns = MS(0.15), .lead_ns = MS(2)};
	params[0] = (struct bn_policy_vm){.vm_class = BN_CLASS_SAFETY,
		.period_ns = T60,
		.budget_ns = MS(5),
		.share = 100,
		.batch_max_ns = MS(2),
		.gap_ns = MS(0.5),
		.gaps = gaps,
		.batches = 4};
	params[1] = (struct bn_policy_vm){
		.vm_class = BN_CLASS_INTERACTIVE, .share = 100, .batch_max_ns = MS(2)};
	vms[0] = &params[0];
	vms[1] = &params[1];
	names[0] = "cluster";
	names[1] = "cockpit";
}

static void test(void)
{
	bn_admission_test(&a, &machine, vms, names);
}

static void test_worked_example(void)
{
	set_up(0, 2);
	test();
	CU_ASSERT_EQUAL(a.vm[0].r_ns, MS(9.6));
	CU_ASSERT_EQUAL(a.vm[0].d_ns, MS(14.67));
	CU_ASSERT_TRUE(a.vm[0].admitted);
	CU_ASSERT_TRUE(a.admitted);
	CU_ASSERT_STRING_EQUAL(a.vm[0].remedy, "");
	set_up(2, 2);
	test();
	CU_ASSERT_EQUAL(a.vm[0].r_ns, MS(17.6));
	CU_ASSERT_FALSE(a.vm[0].admitted);
	CU_ASSERT_FALSE(a.admitted);
	set_up(2, 1);
	test();
	CU_ASSERT_EQUAL(a.vm[0].r_ns, MS(11.6));
	CU_ASSERT_TRUE(a.vm[0].admitted);
}

/* Each term counts, once per what it stands for. */
static void test_terms(void)
{
	set_up(1, 2);
	machine.dispatch_ns = MS(0.1);
	machine.compositor_ns = MS(0.7);
	test();
	CU_ASSERT_EQUAL(a.vm[0].r_ns, MS(2 * (2 * 2 + 0.1) + 5 + 4 * 0.15 + 0.7));
	CU_ASSERT_EQUAL(a.vm[0].g, 1);
	CU_ASSERT_EQUAL(a.vm[0].k, 2);
	CU_ASSERT_EQUAL(a.vm[0].n, 4);
	/* The longest of all others counts, also a VM without budget; its own does not. */
	params[2] = params[1];
	params[2].batch_max_ns = MS(3);
	vms[2] = &params[2];
	params[0].batch_max_ns = MS(9);
	test();
	CU_ASSERT_EQUAL(a.vm[0].l_ns, MS(3));
	/* Not cut at all: nothing can be promised. */
	params[2].batch_max_ns = 0;
	test();
	CU_ASSERT_FALSE(a.admitted);
	/* On a preemptive GPU its length does not matter. */
	machine.preemptive = true;
	test();
	CU_ASSERT_TRUE(a.admitted);
	CU_ASSERT_EQUAL(a.vm[0].k, 0);
	CU_ASSERT_EQUAL(a.vm[0].r_ns, MS(2 * 0.1 + 5 + 4 * 0.15 + 0.7));
}

/* Alone, nothing is in the way. */
static void test_alone(void)
{
	set_up(5, 4);
	vms[1] = NULL;
	test();
	CU_ASSERT_EQUAL(a.vm[0].l_ns, 0);
	CU_ASSERT_TRUE(a.admitted);
	CU_ASSERT_FALSE(a.vm[1].present);
}

static void test_other_safety(void)
{
	set_up(0, 1);
	params[2] = (struct bn_policy_vm){.vm_class = BN_CLASS_SAFETY,
		.period_ns = T60 / 2,
		.budget_ns = MS(1),
		.share = 1,
		.batch_max_ns = MS(1),
		.gap_ns = MS(0.2),
		.batches = 3};
	vms[2] = &params[2];
	test();
	/* Twice within D: its budget, which a batch may exceed, and three overheads and gaps for
	 * which the GPU is kept. */
	CU_ASSERT_EQUAL(a.vm[0].others_ns, 2 * MS(1 + 1 + 3 * 0.15 + 3 * 0.2));
	CU_ASSERT_EQUAL(a.vm[0].r_ns, MS(2 + 5 + 0.6) + a.vm[0].others_ns);
	CU_ASSERT_TRUE(a.vm[0].admitted);
	/* In a gap one more frame can begin; three fit in. */
	params[0].gaps = 1;
	test();
	CU_ASSERT_EQUAL(a.vm[0].others_ns, 3 * MS(1 + 1 + 3 * 0.15 + 3 * 0.2));
	params[0].gaps = 9;
	test();
	CU_ASSERT_EQUAL(a.vm[0].others_ns, 3 * MS(1 + 1 + 3 * 0.15 + 3 * 0.2));
	params[0].gaps = 0;
	test();
	/* A frame of the cluster in front of it: 2 + 1.45 + 5 + 2 + 0.6 + 2 > 6.335. */
	CU_ASSERT_EQUAL(a.vm[2].others_ns, MS(5 + 2 + 0.6 + 2));
	/* Each of its grants has to be dispatched. */
	machine.dispatch_ns = MS(0.05);
	params[2].gaps = 2;
	test();
	CU_ASSERT_EQUAL(a.vm[0].others_ns, 2 * MS(1 + 1 + 3 * 0.15 + 3 * 0.2 + 3 * 0.05));
	machine.dispatch_ns = 0;
	params[2].gaps = 0;
	test();
	CU_ASSERT_FALSE(a.vm[2].admitted);
	/* The sound one is not blamed for the other. */
	CU_ASSERT_STRING_EQUAL(a.vm[0].remedy, "");
}

static double number_of(const char *remedy)
{
	const char *at = strstr(remedy, "at most ");
	if (!at)
		at = strstr(remedy, "at least ");
	return at ? atof(strpbrk(at, "0123456789")) : -1;
}

/* What the remedy says makes it pass, and a little more than that does not. */
static void check_limit(uint64_t *value)
{
	uint64_t most = (uint64_t)llround(number_of(a.vm[0].remedy) * 1e6);
	*value = most;
	test();
	CU_ASSERT_TRUE(a.vm[0].admitted);
	*value = most + MS(0.01);
	test();
	CU_ASSERT_FALSE(a.vm[0].admitted);
}

static void test_remedy_batch(void)
{
	set_up(2, 2);
	machine.dispatch_ns = MS(0.07);
	test();
	CU_ASSERT_PTR_NOT_NULL(strstr(a.vm[0].remedy, "batch-max of vm cockpit: at most 1.4"));
	check_limit(&params[1].batch_max_ns);
}

static void test_remedy_budget(void)
{
	/* Two VMs are too long: no batch-max alone helps. */
	set_up(0, 2);
	params[2] = params[1];
	vms[2] = &params[2];
	params[0].budget_ns = MS(11);
	test();
	CU_ASSERT_STRING_EQUAL(a.vm[0].remedy, "budget of vm cluster: at most 10.07 ms");
	check_limit(&params[0].budget_ns);
}

static void test_remedy_gaps(void)
{
	set_up(5, 2);
	params[2] = params[1];
	vms[2] = &params[2];
	test();
	CU_ASSERT_STRING_EQUAL(a.vm[0].remedy, "gaps of vm cluster: at most 1");
	params[0].gaps = 1;
	test();
	CU_ASSERT_TRUE(a.admitted);
	params[0].gaps = 2;
	test();
	CU_ASSERT_FALSE(a.admitted);
}

static void test_remedy_others(void)
{
	/* No gaps to save, two VMs too long, half the budget is not enough. */
	set_up(0, 4);
	params[0].budget_ns = MS(3);
	params[1].batch_max_ns = MS(3.2);
	params[2] = params[1];
	vms[2] = &params[2];
	test();
	CU_ASSERT_STRING_EQUAL(a.vm[0].remedy, "batches in flight: at most 3");
	machine.in_flight = 3;
	test();
	CU_ASSERT_TRUE(a.admitted);
	/* Nothing of all that helps: the period. */
	set_up(0, 1);
	params[0].batches = 100;
	test();
	CU_ASSERT_PTR_NOT_NULL(strstr(a.vm[0].remedy, "period of vm cluster: at least "));
	params[0].period_ns = (uint64_t)llround(number_of(a.vm[0].remedy) * 1e6);
	test();
	CU_ASSERT_TRUE(a.admitted);
	/* No names: numbers. No budget, no promise. */
	set_up(0, 1);
	params[0].budget_ns = 0;
	bn_admission_test(&a, &machine, vms, NULL);
	CU_ASSERT_STRING_EQUAL(
		a.vm[0].remedy, "budget of vm 0: it has to be set, to at most 12.07 ms");
	params[0].period_ns = 0;
	test();
	CU_ASSERT_STRING_EQUAL(a.vm[0].remedy, "period of vm cluster: it has to be set");
}

/* Baker's test: three servers by period, each against the longest batch behind it. */
static void set_up_servers(void)
{
	set_up(0, 1);
	vms[0] = NULL;
	machine.dispatch_ns = MS(0.5);
	params[1] = (struct bn_policy_vm){.vm_class = BN_CLASS_INTERACTIVE,
		.period_ns = MS(20),
		.budget_ns = MS(8),
		.share = 1,
		.batch_max_ns = MS(1)};
	params[2] = params[3] = params[1];
	params[2].period_ns = MS(10);
	params[2].budget_ns = MS(2);
	params[2].batch_max_ns = MS(4);
	params[3].period_ns = MS(40);
	params[3].batch_max_ns = MS(3);
	vms[2] = &params[2];
	vms[3] = &params[3];
	names[2] = "maps";
	names[3] = "rear";
}

static void test_servers(void)
{
	set_up_servers();
	test();
	CU_ASSERT_DOUBLE_EQUAL(a.vm[2].load, 0.2 + 3.5 / 10, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(a.vm[1].load, 0.2 + 0.4 + 3.5 / 20, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(a.vm[3].load, 0.2 + 0.4 + 0.2, 1e-9);
	CU_ASSERT_EQUAL(a.vm[2].blocking_ns, MS(3.5));
	CU_ASSERT_EQUAL(a.vm[3].blocking_ns, 0);
	CU_ASSERT_TRUE(a.admitted);
	CU_ASSERT_DOUBLE_EQUAL(a.utilisation, 0.8, 1e-9);
	/* A VM without a deadline is behind all, so its batch blocks all. */
	params[4] = (struct bn_policy_vm){.share = 1, .batch_max_ns = MS(7)};
	vms[4] = &params[4];
	test();
	CU_ASSERT_EQUAL(a.vm[3].blocking_ns, MS(7.5));
	CU_ASSERT_TRUE(a.vm[4].admitted);
	CU_ASSERT_TRUE(a.vm[2].admitted);
	/* The cluster comes before all of them, and its frame blocks those with shorter periods. */
	params[0].period_ns = MS(16);
	params[0].budget_ns = MS(5.0);
	params[0].batches = 0;
	vms[0] = &params[0];
	vms[4] = NULL;
	test();
	CU_ASSERT_EQUAL(a.vm[2].blocking_ns, MS(5));
	CU_ASSERT_DOUBLE_EQUAL(a.vm[2].load, 0.2 + 5.0 / 16 + 0.5, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(a.vm[1].load, 0.6 + 5.0 / 16 + 3.5 / 20, 1e-9);
	CU_ASSERT_FALSE(a.vm[1].admitted);
}

static void test_servers_remedies(void)
{
	set_up_servers();
	params[3].batch_max_ns = MS(9);
	test();
	CU_ASSERT_STRING_EQUAL(a.vm[2].remedy, "batch-max of vm rear: at most 7.50 ms");
	CU_ASSERT_STRING_EQUAL(a.vm[1].remedy, "batch-max of vm rear: at most 7.50 ms");
	params[3].batch_max_ns = MS(7.5);
	test();
	CU_ASSERT_TRUE(a.admitted);
	params[3].budget_ns = MS(20);
	test();
	CU_ASSERT_STRING_EQUAL(a.vm[3].remedy, "budget of vm rear: at most 16.00 ms");
	params[3].budget_ns = MS(16);
	test();
	CU_ASSERT_TRUE(a.admitted);
	params[1].budget_ns = MS(20);
	test();
	CU_ASSERT_STRING_EQUAL(
		a.vm[3].remedy, "budget of vm rear: none, others have reserved too much");
	params[1].period_ns = 0;
	test();
	CU_ASSERT_STRING_EQUAL(
		a.vm[1].remedy, "period of vm cockpit: it has to be set for a budget");
}

/* Lines that fit, all that is promised is in it. */
static void check_text(const char *gpu, const char *const *words)
{
	char *text = bn_admission_text(&a, &machine, names, gpu);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	for (; *words; words++) {
		CU_ASSERT_PTR_NOT_NULL(strstr(text, *words));
		if (!strstr(text, *words))
			fprintf(stderr, "no '%s' in:\n%s", *words, text);
	}
	for (const char *line = text; *line; line = strchr(line, '\n') + 1)
		CU_ASSERT(strcspn(line, "\n") <= 100);
	free(text);
}

static void test_text(void)
{
	set_up(2, 2);
	test();
	check_text(
		"xe", (const char *const[]){"NOT ADMITTED", "vm cluster (safety): not admitted",
			      "(2 + 1)(2 * 2.00 + 0.00) + 5.00 + 4 * 0.15 + 0.00 + 0.00 = 17.60 ms",
			      "16.67 - 2.00 = 14.67 ms", "R > D by 2.93 ms",
			      "batch-max of vm cockpit: at most 1.51 ms", "no reservation",
			      "a single draw cannot be cut in user space", "640 ms",
			      "no frame bound", NULL});
	set_up_servers();
	test();
	check_text("panthor",
		(const char *const[]){"sum Q/T + B/T = 0.200 + 3.50 / 10.00 = 0.550 <= 1",
			"vm maps (interactive): admitted", "5 s", "no frame bound", NULL});
	set_up(0, 2);
	machine.preemptive = true;
	test();
	check_text("software", (const char *const[]){"preemptive", "0 * 2.00",
				       "R <= D, 9.07 ms to spare", "processor", NULL});
	const char *const gpus[] = {"i915", "amdgpu", "msm", "panfrost", "other", NULL};
	const char *const limits[] = {"640 ms", "lockup_timeout", "hang check", "0.5 s", "reset"};
	for (unsigned i = 0; i < 6; i++)
		check_text(gpus[i], (const char *const[]){limits[i < 5 ? i : 4], NULL});
}

/* Whatever is asked, the answer is one: no overflow, no division by zero, remedies that end. */
static void test_nonsense(void)
{
	static const uint64_t values[] = {0, 1, MS(1), MS(16), UINT64_MAX / 2, UINT64_MAX};
	unsigned seed = 1;
	for (unsigned round = 0; round < 20000; round++) {
		uint64_t *all = (uint64_t *)params;
		for (size_t i = 0; i < 5 * sizeof(params[0]) / sizeof(*all); i++)
			all[i] = values[(unsigned)rand_r(&seed) % 6];
		memset(vms, 0, sizeof(vms));
		for (unsigned i = 0; i < 5; i++) {
			params[i].vm_class = (enum bn_vm_class)(rand_r(&seed) % 3);
			vms[i] = rand_r(&seed) % 4 ? &params[i] : NULL;
		}
		machine.in_flight = (unsigned)rand_r(&seed) % 6;
		machine.dispatch_ns = values[(unsigned)rand_r(&seed) % 6];
		machine.lead_ns = values[(unsigned)rand_r(&seed) % 6];
		machine.preemptive = rand_r(&seed) % 2;
		test();
		for (unsigned i = 0; i < 5; i++) {
			CU_ASSERT_EQUAL(a.vm[i].present, vms[i] != NULL);
			CU_ASSERT_EQUAL(a.vm[i].remedy[0] != '\0', vms[i] && !a.vm[i].admitted);
			CU_ASSERT_FALSE(isnan(a.vm[i].load));
		}
	}
}

int main(void)
{
	const CU_TestInfo tests[] = {
		{"the worked example", test_worked_example},
		{"each term counts", test_terms},
		{"alone, nothing is in the way", test_alone},
		{"frames of other safety VMs", test_other_safety},
		{"remedy: the longest batch", test_remedy_batch},
		{"remedy: the budget", test_remedy_budget},
		{"remedy: the gaps", test_remedy_gaps},
		{"remedies: what else", test_remedy_others},
		{"Baker's test for servers", test_servers},
		{"remedies of servers", test_servers_remedies},
		{"the text", test_text},
		{"nonsense has an answer", test_nonsense},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("admission", tests);
}
