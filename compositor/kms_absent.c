/* Built without outputs on display controllers. */
#include <errno.h>

#include "common/log.h"
#include "output_impl.h"

static int kms_start(struct bn_output *output)
{
	bn_error("output %s: backend=kms is not built in (meson option kms)", output->config.name);
	return -ENOTSUP;
}

const struct bn_output_impl bn_kms_impl = {.start = kms_start};
