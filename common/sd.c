#include "common/sd.h"

#ifdef BN_HAVE_SYSTEMD
#include <string.h>

#include <systemd/sd-daemon.h>

#include "common/log.h"

void bn_sd_notify(const char *state)
{
	int ret = sd_notify(0, state);
	if (ret < 0)
		bn_debug("sd_notify %s: %s", state, strerror(-ret));
}
#else
void bn_sd_notify(const char *state)
{
}
#endif
