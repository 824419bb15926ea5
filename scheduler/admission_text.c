#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scheduler/admission.h"

/* What stops a draw that does not end, on that kind of GPU. */
static const struct {
	const char *gpu, *text;
} limits[] = {
	{"software",
		"The renderer's threads are ordinary ones: a VM of a higher class takes their\n"
		"  processor away within the dispatch time, in the middle of a draw. Its length\n"
		"  delays nobody above it.\n"},
	{"i915", "The kernel's preempt timeout ends it, 640 ms unless set (sysfs of the engine:\n"
		 "  preempt_timeout_ms), then the context is reset.\n"},
	{"xe", "The kernel's preempt timeout ends it, 640 ms unless set (sysfs of the engine "
	       "class:\n"
	       "  preempt_timeout_us), then the context is reset.\n"},
	{"amdgpu", "The kernel's job timeout ends it, 2 to 10 s by kernel (module parameter\n"
		   "  lockup_timeout), with a reset of the ring or of the GPU.\n"},
	{"msm", "The kernel's hang check ends it, after 0.5 s or a few times that while it makes\n"
		"  progress, with a reset of the GPU.\n"},
	{"panthor", "The kernel's job timeout of 5 s ends it, with the loss of the VM's queues.\n"},
	{"panfrost", "The kernel's job timeout of 0.5 s ends it, with a reset of the GPU.\n"},
};

static const char *name_of(const char *const *names, unsigned vm, char number[static 16])
{
	if (names && names[vm])
		return names[vm];
	snprintf(number, 16, "%u", vm);
	return number;
}

static double ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

static void print_safety(FILE *f, const struct bn_admission_vm *a)
{
	fprintf(f, "  R = (g + 1)(k L + sigma) + C + n delta + I + others\n");
	fprintf(f, "    = (%u + 1)(%u * %.2f + %.2f) + %.2f + %u * %.2f + %.2f + %.2f = %.2f ms\n",
		a->g, a->k, ms(a->l_ns), ms(a->sigma_ns), ms(a->c_ns), a->n, ms(a->delta_ns),
		ms(a->i_ns), ms(a->others_ns), ms(a->r_ns));
	fprintf(f, "  D = T - S = %.2f - %.2f = %.2f ms: ", ms(a->t_ns), ms(a->s_ns), ms(a->d_ns));
	if (a->r_ns <= a->d_ns)
		fprintf(f, "R <= D, %.2f ms to spare\n", ms(a->d_ns - a->r_ns));
	else
		fprintf(f, "R > D by %.2f ms\n", ms(a->r_ns - a->d_ns));
}

static void print_server(FILE *f, const struct bn_admission_vm *a)
{
	if (a->t_ns == 0) {
		fprintf(f, "  no reservation: it shares what others leave\n");
		return;
	}
	double blocked = (double)a->blocking_ns / (double)a->t_ns;
	fprintf(f,
		"  budget %.2f ms every %.2f ms\n"
		"  sum Q/T + B/T = %.3f + %.2f / %.2f = %.3f %s 1\n",
		ms(a->c_ns), ms(a->t_ns), a->load - blocked, ms(a->blocking_ns), ms(a->t_ns),
		a->load, a->admitted ? "<=" : ">");
}

static const char *const class_names[] = {
	[BN_CLASS_BACKGROUND] = "background",
	[BN_CLASS_INTERACTIVE] = "interactive",
	[BN_CLASS_SAFETY] = "safety",
};

static void print_vm(FILE *f, const struct bn_admission_vm *a, const char *name)
{
	fprintf(f, "\nvm %s (%s): %s\n", name, class_names[a->vm_class],
		a->admitted ? "admitted" : "not admitted");
	if (a->vm_class == BN_CLASS_SAFETY)
		print_safety(f, a);
	else
		print_server(f, a);
	if (!a->admitted)
		fprintf(f, "  to be admitted, %s\n", a->remedy);
}

static void print_legend(FILE *f)
{
	fprintf(f, "\ng: gaps in a frame, k: batches in flight, L: longest batch of the others,\n"
		   "sigma: from a batch's end to the next one's start, C: the frame's budget,\n"
		   "n: its batches, delta: overhead of each, I: the compositor, T: period,\n"
		   "S: lead before the vblank, others: frames of other safety VMs.\n");
}

static void print_limit(FILE *f, const struct bn_policy_machine *machine, const char *gpu)
{
	fprintf(f, "\nLimit: a single draw cannot be cut in user space, so one that takes longer "
		   "than L\n"
		   "is beyond this bound. Its VM's watchdog takes the context away, and:\n");
	const char *text = "The kernel's job timeout or reset ends it.\n";
	for (size_t i = 0; gpu && i < sizeof(limits) / sizeof(limits[0]); i++)
		if (!strcmp(gpu, limits[i].gpu))
			text = limits[i].text;
	fprintf(f, "  GPU %.32s: %s", gpu ? gpu : "unknown", text);
	if (!machine->preemptive)
		fprintf(f, "  That is no frame bound: frames can be missed until then. Only a "
			   "hardware\n"
			   "  partition of the GPU or a shorter timeout makes it one.\n");
}

char *bn_admission_text(const struct bn_admission *a, const struct bn_policy_machine *machine,
	const char *const names[BN_POLICY_VMS_MAX], const char *gpu)
{
	char *text = NULL, number[16];
	size_t size = 0;
	bool safety = false;
	FILE *f = open_memstream(&text, &size);
	if (!f)
		return NULL;
	fprintf(f, "Admission: %s, %.0f %% of the GPU is reserved\n",
		a->admitted ? "admitted" : "NOT ADMITTED", a->utilisation * 100);
	if (machine->preemptive)
		fprintf(f,
			"The GPU is preemptive: batches of lower classes block nobody, k = 0.\n");
	for (unsigned i = 0; i < BN_POLICY_COMPOSITOR; i++) {
		if (!a->vm[i].present)
			continue;
		print_vm(f, &a->vm[i], name_of(names, i, number));
		safety |= a->vm[i].vm_class == BN_CLASS_SAFETY;
	}
	if (safety)
		print_legend(f);
	print_limit(f, machine, gpu);
	bool failed = ferror(f);
	if (fclose(f) || failed) {
		free(text);
		return NULL;
	}
	return text;
}
