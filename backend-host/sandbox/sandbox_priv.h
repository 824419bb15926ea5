/* What the parts of the sandbox share. Not for others. */
#ifndef BN_SANDBOX_PRIV_H
#define BN_SANDBOX_PRIV_H

#include "sandbox.h"

/* Set by bn_sandbox_spawn() in the child's environment: which namespaces it lives in.
 * bn_sandbox_enter() must never turn the root of the machine itself over, so it acts on nothing but
 * this. */
#define BN_SANDBOX_ENV "BINNACLE_SANDBOX"
#define BN_SANDBOX_ENV_USER \
	"user" /* all, the user namespace included: we are its root, an unprivileged id outside */
#define BN_SANDBOX_ENV_ROOT "root" /* all but a user namespace: we are real root */
#define BN_SANDBOX_ENV_NONE "none"

/* Outside id of a renderer that root started, when there is no account "nobody". */
#define BN_SANDBOX_NOBODY 65534u

/* Where the shader cache is inside. */
#define BN_SANDBOX_CACHE "/cache"

/* Builds the small root and moves into it. 0; -EPERM when the kernel lets us mount nothing (nothing
 * has changed then); other -errno half-way. */
int bn_sandbox_root(const struct bn_sandbox_config *config);

/* Loads the system-call filter. 0, -ENOTSUP (built without, or no filter in this kernel), -errno.
 */
int bn_sandbox_filter(void);

#endif
