#include "fake_arbiter.h"

#include <sys/eventfd.h>
#include <sys/mman.h>

#include "common/fd.h"
#include "unit.h"

static uint64_t fake_now(void *data)
{
	return ((struct fake_arbiter *)data)->now;
}

static uint64_t fake_cpu(void *data)
{
	return ((struct fake_arbiter *)data)->cpu;
}

void fake_arbiter_init(struct fake_arbiter *a, const struct bn_gate_listener *listener)
{
	struct bn_gate_config config = {
		.listener = listener, .data = a, .now = fake_now, .cpu = fake_cpu};
	void *map;

	*a = (struct fake_arbiter){.now = 1000000, .cpu = 1000};
	a->arbiter_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	a->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	config.arbiter_bell = bn_fd_dup(a->arbiter_bell);
	config.bell = bn_fd_dup(a->bell);
	config.request_fd = bn_memfd_create("request", BN_GRANT_PAGE_SIZE);
	config.grant_fd = bn_memfd_create_published("grant", BN_GRANT_PAGE_SIZE, &map);
	a->grant = map;
	a->request = mmap(
		NULL, BN_GRANT_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, config.request_fd, 0);
	CU_ASSERT_EQUAL_FATAL(bn_gate_create(&a->gate, &config), 0);
}

void fake_arbiter_finish(struct fake_arbiter *a)
{
	bn_gate_destroy(a->gate);
	munmap(a->request, BN_GRANT_PAGE_SIZE);
	munmap(a->grant, BN_GRANT_PAGE_SIZE);
	bn_fd_close(&a->arbiter_bell);
	bn_fd_close(&a->bell);
}

void fake_arbiter_ring(struct fake_arbiter *a)
{
	bn_event_signal(a->bell);
	bn_gate_dispatch(a->gate);
	CU_ASSERT_FALSE(bn_event_drain(a->bell));
}

void fake_arbiter_grant(struct fake_arbiter *a, uint32_t kind, uint64_t allow_ns, uint64_t until_ns)
{
	a->grant->kind = kind;
	a->grant->allow_ns = allow_ns;
	a->grant->until_ns = until_ns;
	__atomic_store_n(&a->grant->grant, a->grant->grant + 1, __ATOMIC_SEQ_CST);
	fake_arbiter_ring(a);
}

void fake_arbiter_lease(struct fake_arbiter *a)
{
	fake_arbiter_grant(a, BN_GRANT_LEASE, 0, UINT64_MAX);
}

void fake_arbiter_revoke(struct fake_arbiter *a)
{
	__atomic_store_n(&a->grant->revoked, a->grant->grant, __ATOMIC_SEQ_CST);
	fake_arbiter_ring(a);
}

bool fake_arbiter_rung(struct fake_arbiter *a)
{
	return bn_event_drain(a->arbiter_bell);
}
