#include "arbiter.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "common/fd.h"

struct vm {
	struct bn_grant_page *grant;
};

struct bn_arbiter {
	struct bn_arbiter_config config;
	struct vm vm[BN_POLICY_VMS_MAX];
};

int bn_arbiter_create(
	struct bn_arbiter **out, struct wl_event_loop *loop, const struct bn_arbiter_config *config)
{
	struct bn_arbiter *a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->config = *config;
	*out = a;
	return 0;
}

void bn_arbiter_destroy(struct bn_arbiter *a)
{
	free(a);
}

int bn_arbiter_attach(struct bn_arbiter *a, unsigned vm, struct bn_arbiter_fds *out)
{
	void *map;
	out->request = bn_memfd_create("binnacle-request", BN_GRANT_PAGE_SIZE);
	out->grant = bn_memfd_create_published("binnacle-grant", BN_GRANT_PAGE_SIZE, &map);
	out->arbiter_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	out->renderer_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (out->request < 0 || out->grant < 0 || out->arbiter_bell < 0 || out->renderer_bell < 0)
		return -ENOMEM;
	a->vm[vm].grant = map;
	a->vm[vm].grant->kind = BN_GRANT_LEASE;
	a->vm[vm].grant->until_ns = UINT64_MAX;
	a->vm[vm].grant->grant = 1;
	return 0;
}

void bn_arbiter_process(struct bn_arbiter *a, unsigned vm, pid_t pid) {}

void bn_arbiter_detach(struct bn_arbiter *a, unsigned vm)
{
	if (a->vm[vm].grant)
		munmap(a->vm[vm].grant, BN_GRANT_PAGE_SIZE);
	a->vm[vm].grant = NULL;
}
