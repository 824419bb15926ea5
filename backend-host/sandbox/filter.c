/* The system-call filter: seccomp/ARCH.list as a table, and the three calls whose arguments matter.
 */
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/log.h"

#include "sandbox_priv.h"

#ifdef BN_HAVE_SECCOMP
#include <seccomp.h>

enum rule {
	BN_RULE_ALLOW,
	BN_RULE_THREAD,
	BN_RULE_SELF,
	BN_RULE_PRCTL,
	BN_RULE_EPERM,
	BN_RULE_KILL,
};

static const struct {
	const char *name;
	enum rule rule;
} rules[] = {
#include "syscalls.inc"
};

/* Newer than some C libraries' headers. */
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

static const int prctl_options[] = {
	PR_SET_NAME,
	PR_GET_NAME,
	PR_SET_VMA,
	PR_GET_DUMPABLE,
	PR_GET_PDEATHSIG,
	PR_CAPBSET_READ,
	PR_GET_NO_NEW_PRIVS,
	PR_GET_SECCOMP,
	PR_SET_TIMERSLACK,
};

static int add_prctl(scmp_filter_ctx filter, int call)
{
	for (unsigned i = 0; i < sizeof(prctl_options) / sizeof(prctl_options[0]); i++) {
		int ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)prctl_options[i]));
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int add_thread(scmp_filter_ctx filter, int call)
{
	const uint64_t flags = CLONE_VM | CLONE_THREAD;
	/* The flags are the first argument on both architectures. */
	int ret = seccomp_rule_add(
		filter, SCMP_ACT_ALLOW, call, 1, SCMP_A0(SCMP_CMP_MASKED_EQ, flags, flags));
	if (ret < 0)
		return ret;
	ret = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 1,
		SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
	return ret;
}

static int add_self(scmp_filter_ctx filter, int call)
{
	scmp_datum_t self = (scmp_datum_t)getpid();
	int ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1, SCMP_A0(SCMP_CMP_EQ, self));
	if (ret < 0)
		return ret;
	return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 1, SCMP_A0(SCMP_CMP_NE, self));
}

static int add_rule(scmp_filter_ctx filter, int call, enum rule rule)
{
	switch (rule) {
	case BN_RULE_ALLOW:
		return seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
	case BN_RULE_THREAD:
		return add_thread(filter, call);
	case BN_RULE_SELF:
		return add_self(filter, call);
	case BN_RULE_PRCTL:
		return add_prctl(filter, call);
	case BN_RULE_EPERM:
		return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 0);
	case BN_RULE_KILL:
		return seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, call, 0);
	}
	return -EINVAL;
}

static int add_rules(scmp_filter_ctx filter)
{
	for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		int call = seccomp_syscall_resolve_name(rules[i].name);
		/* Negative: unknown to this libseccomp, or of another architecture. */
		if (call < 0)
			continue;
		int ret = add_rule(filter, call, rules[i].rule);
		if (ret < 0) {
			bn_error("sandbox: rule for %s: %s", rules[i].name, strerror(-ret));
			return ret;
		}
	}
	return 0;
}

int bn_sandbox_filter(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	if (!filter)
		return -ENOMEM;
	int ret = add_rules(filter);
	if (ret == 0) {
		/* Threads that a library may have started already are caught, too. */
		seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
#if SCMP_VER_MAJOR > 2 || (SCMP_VER_MAJOR == 2 && SCMP_VER_MINOR >= 5)
		/* A tree instead of a long chain of comparisons: every system call pays for this.
		 */
		seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
#endif
		ret = seccomp_load(filter);
	}
	seccomp_release(filter);
	if (ret == -EINVAL || ret == -ENOSYS || ret == -EOPNOTSUPP)
		return -ENOTSUP;
	return ret;
}

#else

int bn_sandbox_filter(void)
{
	return -ENOTSUP;
}

#endif
