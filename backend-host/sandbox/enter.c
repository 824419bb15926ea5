/* The renderer's half: what it gives up, in the order in which it can still be given up: the file
 * system, then identity and capabilities, then resources, and at last system calls. */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"
#include "protocol/link.h"

#include "sandbox_priv.h"

#define CAP_PROBE_MAX 63

static bool env_is(const char *value)
{
	const char *env = getenv(BN_SANDBOX_ENV);
	return env && strcmp(env, value) == 0;
}

/* The root may only be turned over in a mount namespace that was made for us: the variable says
 * so, and being the first process of a pid namespace confirms it. */
static bool in_namespaces(void)
{
	return (env_is(BN_SANDBOX_ENV_USER) || env_is(BN_SANDBOX_ENV_ROOT)) && getpid() == 1;
}

static void set_cache(const struct bn_sandbox_config *config, bool namespaces)
{
	const char *folder = namespaces ? BN_SANDBOX_CACHE : config->shader_cache;
	if (folder) {
		setenv("MESA_SHADER_CACHE_DIR", folder, 1);
		/* Otherwise looked up by name service, which has no files to read here. */
		setenv("HOME", folder, 1);
		setenv("XDG_CACHE_HOME", folder, 1);
	} else {
		setenv("MESA_SHADER_CACHE_DISABLE", "true", 1);
	}
}

/* Real root that was not given a user namespace must not stay root. */
static int drop_ids(void)
{
	if (env_is(BN_SANDBOX_ENV_USER) || geteuid() != 0)
		return 0;
	if (setgroups(0, NULL) < 0 ||
		setresgid(BN_SANDBOX_NOBODY, BN_SANDBOX_NOBODY, BN_SANDBOX_NOBODY) < 0 ||
		setresuid(BN_SANDBOX_NOBODY, BN_SANDBOX_NOBODY, BN_SANDBOX_NOBODY) < 0) {
		bn_error("sandbox: giving up root: %s", strerror(errno));
		return -errno;
	}
	return 0;
}

static void drop_bounding_set(void)
{
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	/* Only who has CAP_SETPCAP can lower the bounding set; who has not can gain nothing either,
	 * with PR_SET_NO_NEW_PRIVS. */
	for (int cap = 0; cap <= CAP_PROBE_MAX; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			break;
	}
	prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
					 SECBIT_NO_CAP_AMBIENT_RAISE |
					 SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED);
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};
	if (syscall(SYS_capset, &header, none) < 0) {
		bn_error("sandbox: dropping capabilities: %s", strerror(errno));
		return -errno;
	}
	return 0;
}

static int lock_process(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	/* No core file with guest memory in it, no ptrace by others of this id. */
	prctl(PR_SET_DUMPABLE, 0);
	/* A change of ids has cleared it. Should the daemon have died just now, its end of the
	 * link is closed, and the renderer ends by that. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return 0;
}

static bool limit(int resource, const char *name, rlim_t value)
{
	struct rlimit now;
	if (getrlimit(resource, &now) == 0 && now.rlim_max < value)
		value = now.rlim_max;
	struct rlimit set = {value, value};
	if (setrlimit(resource, &set) == 0)
		return true;
	bn_warn("sandbox: limit on %s: %s", name, strerror(errno));
	return false;
}

static bool set_limits(const struct bn_sandbox_config *config)
{
	bool ok = limit(RLIMIT_CORE, "core files", 0);
	if (config->fds_max)
		ok &= limit(RLIMIT_NOFILE, "open files", config->fds_max);
	/* Private writable memory. Not RLIMIT_AS: guest memory, mapped shared, may be any size. Not
	 * RLIMIT_NPROC: it counts the threads of every renderer of this id together. */
	if (config->memory_max)
		ok &= limit(RLIMIT_DATA, "memory", config->memory_max);
	return ok;
}

int bn_sandbox_enter(const struct bn_sandbox_config *config)
{
	int bits = 0;
	if (in_namespaces()) {
		int ret = bn_sandbox_root(config);
		if (ret == 0)
			bits |= BN_LINK_SANDBOX_NAMESPACES;
		else if (ret == -EPERM)
			bn_warn("sandbox: the kernel lets this process mount nothing (AppArmor? "
				"kernel.apparmor_restrict_unprivileged_userns=0 allows it): "
				"the host's files stay in sight");
		else
			return ret;
	}
	set_cache(config, bits & BN_LINK_SANDBOX_NAMESPACES);
	drop_bounding_set();
	int ret = drop_ids();
	if (ret == 0)
		ret = drop_capabilities();
	if (ret == 0)
		ret = lock_process();
	if (ret < 0)
		return ret;
	if (set_limits(config))
		bits |= BN_LINK_SANDBOX_RLIMITS;
	ret = bn_sandbox_filter();
	if (ret == 0)
		bits |= BN_LINK_SANDBOX_SECCOMP;
	else if (ret == -ENOTSUP)
		bn_warn("sandbox: no system-call filter (kernel or build without seccomp)");
	else
		return ret;
	return bits;
}
