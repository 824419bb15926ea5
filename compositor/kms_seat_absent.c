/* Built without libseat: cards are opened directly. */
#include <errno.h>

#include "kms_impl.h"

bool bn_kms_seat_get(struct wl_event_loop *loop)
{
	return false;
}

void bn_kms_seat_put(void)
{
}

bool bn_kms_seat_active(void)
{
	return true;
}

int bn_kms_seat_open(struct bn_kms_card *card, const char *path, int *fd, int *device)
{
	return -ENOTSUP;
}

void bn_kms_seat_close(struct bn_kms_card *card, int device)
{
}
