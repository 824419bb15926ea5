/* Whether every safety VM's frame is done in time whatever the others do: the bound, term by term.
 *
 *	R = (g + 1) · (k · L + σ) + C + n · δ + I + others   ≤   D = T − S
 *
 * g gaps in which the VM's queue runs dry inside a frame, k best-effort batches in flight, L the
 * longest of them, σ from a batch's end to the next one's start, C the frame's GPU time (the
 * budget), n batches of overhead δ, I the compositor; `others` are frames of other safety VMs, each
 * as often as its period lets it come within D. On a preemptive GPU (a CPU rasteriser) k · L is 0.
 * For best-effort reservations: periods ascending, for each i, Σ_{j ≤ i} Q_j/T_j + B_i/T_i ≤ 1 with
 * B_i = max_{j > i}(k · L_j + σ) (Baker's test for EDF with non-preemptive sections). */
#ifndef BN_SCHEDULER_ADMISSION_H
#define BN_SCHEDULER_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scheduler/policy.h"

struct bn_admission_vm {
	bool present, admitted;
	enum bn_vm_class vm_class;
	/* Safety: the terms, in nanoseconds but for the counts. */
	unsigned g, k, n;
	uint64_t l_ns, sigma_ns, c_ns, delta_ns, i_ns, others_ns, t_ns, s_ns;
	uint64_t r_ns, d_ns; /* R and D */
	/* Others with a budget: the left side of the sum, and the blocking in it. */
	double load;
	uint64_t blocking_ns;
	/* Not admitted: the one number that has to change, as a sentence ("budget of vm cluster: at
	 * most 4.2 ms"); "" otherwise. */
	char remedy[160];
};

struct bn_admission {
	bool admitted; /* all are */
	double utilisation;
	struct bn_admission_vm vm[BN_POLICY_VMS_MAX];
};

/* vms[i] NULL: there is no such VM. names may be NULL (then numbers are used). */
void bn_admission_test(struct bn_admission *out, const struct bn_policy_machine *machine,
	const struct bn_policy_vm *const vms[BN_POLICY_VMS_MAX],
	const char *const names[BN_POLICY_VMS_MAX]);

/* The result for people: every term of every VM, "admitted" or the remedy, and what a single draw
 * that cannot be cut means for it (gpu: "software", or the driver's name). malloced; NULL without
 * memory. */
char *bn_admission_text(const struct bn_admission *a, const struct bn_policy_machine *machine,
	const char *const names[BN_POLICY_VMS_MAX], const char *gpu);

#endif
