/* Takes the place of the Wayland output in a build without it. */
#include <errno.h>

#include "common/log.h"
#include "output_impl.h"

static int wayland_start(struct bn_output *output)
{
	bn_error("output %s: this build has no Wayland output (meson option 'wayland')",
		output->config.name);
	return -ENOTSUP;
}

const struct bn_output_impl bn_wayland_impl = {.start = wayland_start};
