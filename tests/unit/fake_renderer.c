#include "fake_renderer.h"

#include <poll.h>
#include <sys/mman.h>

#include "common/clock.h"
#include "common/fd.h"

bool fake_init(struct fake_renderer *f, struct bn_arbiter *arbiter, unsigned vm)
{
	struct bn_arbiter_fds fds;
	*f = (struct fake_renderer){.arbiter = arbiter, .vm = vm};
	if (bn_arbiter_attach(arbiter, vm, &fds) < 0)
		return false;
	f->arbiter_bell = fds.arbiter_bell;
	f->bell = fds.renderer_bell;
	f->page = mmap(NULL, BN_GRANT_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fds.request, 0);
	f->grant = mmap(NULL, BN_GRANT_PAGE_SIZE, PROT_READ, MAP_SHARED, fds.grant, 0);
	bn_fd_close(&fds.request);
	bn_fd_close(&fds.grant);
	return f->page != MAP_FAILED && f->grant != MAP_FAILED;
}

void fake_finish(struct fake_renderer *f)
{
	bn_arbiter_detach(f->arbiter, f->vm);
	munmap(f->page, BN_GRANT_PAGE_SIZE);
	munmap((void *)(uintptr_t)f->grant, BN_GRANT_PAGE_SIZE);
	bn_fd_close(&f->arbiter_bell);
	bn_fd_close(&f->bell);
}

void fake_ring(struct fake_renderer *f)
{
	bn_event_signal(f->arbiter_bell);
}

void fake_ask(struct fake_renderer *f, uint64_t predicted_ns)
{
	FAKE_PUT(f, predicted_ns, predicted_ns);
	FAKE_PUT(f, want, FAKE_GET(f, grant) + 1);
	fake_ring(f);
}

bool fake_granted(struct fake_renderer *f, int timeout_ms)
{
	uint64_t end = bn_now_ns() + (uint64_t)timeout_ms * BN_NS_PER_MS;
	for (;;) {
		uint64_t number = FAKE_GET(f, grant);
		if (number > f->held && number == f->page->want) {
			f->held = number;
			return true;
		}
		uint64_t now = bn_now_ns();
		if (now >= end)
			return false;
		struct pollfd fd = {.fd = f->bell, .events = POLLIN};
		poll(&fd, 1, (int)((end - now) / BN_NS_PER_MS) + 1);
		bn_event_drain(f->bell);
	}
}

bool fake_begin(struct fake_renderer *f)
{
	FAKE_PUT(f, busy, 1);
	if (FAKE_GET(f, revoked) >= f->held) {
		FAKE_PUT(f, busy, 0);
		return false;
	}
	FAKE_PUT(f, batch, ++f->batch);
	FAKE_PUT(f, batch_start_ns, bn_now_ns());
	return true;
}

void fake_end(struct fake_renderer *f, uint64_t cost_ns)
{
	FAKE_PUT(f, batches, f->batch);
	FAKE_PUT(f, gpu_ns, f->page->gpu_ns + cost_ns);
	FAKE_PUT(f, predicted_total_ns, f->page->predicted_total_ns + cost_ns);
	FAKE_PUT(f, batch_start_ns, 0);
	FAKE_PUT(f, busy, 0);
}

void fake_return(struct fake_renderer *f)
{
	FAKE_PUT(f, returned, f->held);
	f->held = FAKE_GET(f, grant);
	fake_ring(f);
}
