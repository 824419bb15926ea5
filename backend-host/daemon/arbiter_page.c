/* The page pair of one renderer. What it writes is copied before it is looked at, and every number
 * is bounded in the copy: a page that lies can hurt its own VM only. */
#include "arbiter_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "common/fd.h"

/* No prediction is taken to be longer. */
#define PREDICTED_MAX (10 * BN_NS_PER_S)
/* Batches and frames that come in one look, and unfinished ones, at most. */
#define COUNT_MAX 65536u
/* A batch that began earlier than that is taken to have begun then. */
#define AGE_MAX (120 * BN_NS_PER_S)

static int make_fds(struct bn_arbiter_vm_state *v, struct bn_arbiter_fds *out)
{
	void *map = NULL;
	out->request = bn_memfd_create("binnacle-request", BN_GRANT_PAGE_SIZE);
	if (out->request < 0)
		return out->request;
	out->grant = bn_memfd_create_published("binnacle-grant", BN_GRANT_PAGE_SIZE, &map);
	if (out->grant < 0)
		return out->grant;
	v->grant = map;
	out->arbiter_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	out->renderer_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (out->arbiter_bell < 0 || out->renderer_bell < 0)
		return -errno;
	v->bell = bn_fd_dup(out->arbiter_bell);
	v->renderer_bell = bn_fd_dup(out->renderer_bell);
	if (v->bell < 0 || v->renderer_bell < 0)
		return v->bell < 0 ? v->bell : v->renderer_bell;
	map = mmap(NULL, BN_GRANT_PAGE_SIZE, PROT_READ, MAP_SHARED, out->request, 0);
	if (map == MAP_FAILED)
		return -errno;
	v->request = map;
	return 0;
}

int bn_arbiter_pages_make(struct bn_arbiter_vm_state *v, struct bn_arbiter_fds *out)
{
	*out = (struct bn_arbiter_fds){-1, -1, -1, -1};
	int ret = make_fds(v, out);
	if (ret == 0)
		return 0;
	bn_arbiter_pages_forget(v);
	bn_fd_close(&out->request);
	bn_fd_close(&out->grant);
	bn_fd_close(&out->arbiter_bell);
	bn_fd_close(&out->renderer_bell);
	return ret;
}

void bn_arbiter_pages_forget(struct bn_arbiter_vm_state *v)
{
	if (v->request)
		munmap((void *)(uintptr_t)v->request, BN_GRANT_PAGE_SIZE);
	if (v->grant)
		munmap(v->grant, BN_GRANT_PAGE_SIZE);
	v->request = NULL;
	v->grant = NULL;
	bn_fd_close(&v->bell);
	bn_fd_close(&v->renderer_bell);
}

/* A counter, which only rises, and by no more than `most` since it was read last. */
static uint64_t risen(uint64_t before, uint64_t now, uint64_t most)
{
	if (now < before)
		return before;
	return now - before > most ? before + most : now;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The four members that belong together; unchanged when the renderer is just writing them. */
static void read_batch(
	const struct bn_arbiter_vm_state *v, struct bn_request_page *p, uint64_t now)
{
	uint64_t start = BN_PAGE_GET_SEQ(v, batch_start_ns);
	uint64_t batch = BN_PAGE_GET_SEQ(v, batch), ctx = BN_PAGE_GET_SEQ(v, batch_ctx);
	uint64_t predicted = BN_PAGE_GET_SEQ(v, batch_predicted_ns);
	if (p->busy == 0) {
		p->batch_start_ns = 0;
		return;
	}
	if (start == 0 || start != BN_PAGE_GET_SEQ(v, batch_start_ns))
		return;
	start = least(start, now);
	p->batch_start_ns = now - start > AGE_MAX ? now - AGE_MAX : start;
	p->batch = batch;
	p->batch_ctx = ctx;
	p->batch_predicted_ns = least(predicted, PREDICTED_MAX);
}

static void read_counters(
	const struct bn_arbiter_vm_state *v, struct bn_request_page *p, uint64_t now)
{
	const struct bn_request_page *old = &v->page;
	/* A batch may have begun before the counter moved last; one GPU cannot have taken longer
	 * than since then. */
	uint64_t most = now - v->gpu_seen_at_ns + BN_ARBITER_TICK_NS;
	p->gpu_ns = risen(old->gpu_ns, BN_PAGE_GET_SEQ(v, gpu_ns), most);
	p->predicted_total_ns = risen(old->predicted_total_ns,
		BN_PAGE_GET_SEQ(v, predicted_total_ns), PREDICTED_MAX);
	p->predictions = risen(old->predictions, BN_PAGE_GET(v, predictions), COUNT_MAX);
	p->covered = risen(old->covered, BN_PAGE_GET(v, covered), COUNT_MAX);
	p->cuts = risen(old->cuts, BN_PAGE_GET(v, cuts), COUNT_MAX);
	p->wait_ns = risen(old->wait_ns, BN_PAGE_GET(v, wait_ns), now - v->attached_ns);
	p->frames = risen(old->frames, BN_PAGE_GET(v, frames), COUNT_MAX);
	p->contexts_lost = risen(old->contexts_lost, BN_PAGE_GET(v, contexts_lost), COUNT_MAX);
	p->frame_queued_ns = least(BN_PAGE_GET(v, frame_queued_ns), now);
}

bool bn_arbiter_page_read(struct bn_arbiter_vm_state *v, uint64_t now)
{
	struct bn_request_page p = v->page;
	/* In the order in which nothing is missed: what is given back was busy before, and what was
	 * finished counts before busy falls. */
	uint64_t returned = BN_PAGE_GET_SEQ(v, returned);
	p.returned = returned <= v->number ? returned : v->page.returned;
	p.busy = (uint32_t)least(BN_PAGE_GET_SEQ(v, busy), COUNT_MAX);
	p.batches = risen(p.batches, BN_PAGE_GET_SEQ(v, batches), UINT64_MAX / 4);
	read_batch(v, &p, now);
	p.flags = BN_PAGE_GET(v, flags) & (BN_REQUEST_FRAME_OPEN | BN_REQUEST_COMPILES);
	read_counters(v, &p, now);
	p.want = least(BN_PAGE_GET_SEQ(v, want), v->number + 1);
	p.predicted_ns = least(BN_PAGE_GET(v, predicted_ns), PREDICTED_MAX);
	if (p.gpu_ns != v->page.gpu_ns)
		v->gpu_seen_at_ns = now;
	if (memcmp(&p, &v->page, sizeof(p)) == 0)
		return false;
	v->page = p;
	v->active_ns = now;
	return true;
}

uint64_t bn_arbiter_page_started(const struct bn_arbiter_vm_state *v)
{
	return v->page.batches + v->page.busy;
}
