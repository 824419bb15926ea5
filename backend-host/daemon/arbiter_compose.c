/* What the compositor does on the GPU: nobody waits for a grant there, but VMs are kept out for it. A
 * picture is drawn (begun), then it is at the GPU until its fence is readable. From the first to the
 * last of those that overlap, the policy has the compositor asking or granted.
 *
 * The thread is woken for it only when a VM has or wants the GPU. What nobody waits for is looked at when
 * somebody asks, or when the next picture begins. */
#include "arbiter_priv.h"

#include <linux/sync_file.h>
#include <poll.h>
#include <sys/ioctl.h>

#include "common/fd.h"

/* ---- pictures ---- */

/* When the GPU was through, as the kernel says; otherwise that is now. */
static uint64_t signalled_at(int fence, uint64_t since, uint64_t now)
{
	struct sync_fence_info fence_info = {0};
	struct sync_file_info info = {
		.num_fences = 1, .sync_fence_info = (uint64_t)(uintptr_t)&fence_info};
	if (ioctl(fence, SYNC_IOC_FILE_INFO, &info) < 0 || info.num_fences != 1)
		return now;
	uint64_t at = fence_info.timestamp_ns;
	return at < since || at > now ? now : at;
}

static void trace(struct bn_arbiter *a, const struct bn_arbiter_picture *p, uint64_t end)
{
	/* The thread may have looked at the clock before it was begun. */
	bn_trace_add(a->config.trace, BN_TRACE_BATCH, BN_POLICY_COMPOSITOR, p->since_ns,
		end > p->since_ns ? end : p->since_ns, p->predicted_ns, 0);
}

static void drop(struct bn_arbiter_composing *c, unsigned i)
{
	bn_fd_close(&c->picture[i].fence);
	c->pictures--;
	for (; i < c->pictures; i++)
		c->picture[i] = c->picture[i + 1];
}

static void drop_all(struct bn_arbiter_composing *c)
{
	while (c->pictures > 0)
		drop(c, c->pictures - 1);
	c->begun = false;
}

static void find_done(struct bn_arbiter *a, uint64_t now)
{
	struct bn_arbiter_composing *c = &a->composing;
	struct pollfd fds[BN_ARBITER_PICTURES];
	for (unsigned i = 0; i < c->pictures; i++)
		fds[i] = (struct pollfd){.fd = c->picture[i].fence, .events = POLLIN};
	if (c->pictures == 0 || poll(fds, c->pictures, 0) <= 0)
		return;
	for (unsigned i = c->pictures; i-- > 0;) {
		struct bn_arbiter_picture *p = &c->picture[i];
		if (!fds[i].revents)
			continue;
		trace(a, p, signalled_at(p->fence, p->since_ns, now));
		drop(c, i);
		c->unreliable = false;
	}
}

/* ---- the policy ---- */

static uint64_t expires_at(const struct bn_arbiter *a)
{
	const struct bn_arbiter_composing *c = &a->composing;
	return c->asking || c->holding ? c->asked_ns + a->config.composing_max_ns : UINT64_MAX;
}

/* It asks while there is something; a grant that is not needed any more goes back. */
static void settle(struct bn_arbiter *a, uint64_t now)
{
	struct bn_arbiter_composing *c = &a->composing;
	if (c->begun || c->pictures > 0)
		return;
	if (c->asking)
		bn_policy_withdraw(a->policy, BN_POLICY_COMPOSITOR, now);
	if (c->holding)
		bn_policy_return(a->policy, BN_POLICY_COMPOSITOR, now);
	c->asking = c->holding = false;
}

void bn_arbiter_compose_look(struct bn_arbiter *a, uint64_t now)
{
	struct bn_arbiter_composing *c = &a->composing;
	find_done(a, now);
	if ((c->begun || c->pictures > 0) && now >= expires_at(a)) {
		drop_all(c);
		c->unreliable = true;
		a->totals.composing_expired++;
	}
	settle(a, now);
}

void bn_arbiter_compose_granted(struct bn_arbiter *a)
{
	a->composing.asking = false;
	a->composing.holding = true;
}

bool bn_arbiter_compose_recent(struct bn_arbiter *a, uint64_t now)
{
	struct bn_arbiter_composing *c = &a->composing;
	bool before = c->recent;
	c->recent = c->begun_ns != 0 && now < c->begun_ns + BN_ARBITER_ACTIVE_NS;
	return c->recent != before;
}

uint64_t bn_arbiter_compose_wake(const struct bn_arbiter *a)
{
	return bn_arbiter_others_ask(a, BN_POLICY_COMPOSITOR) ? expires_at(a) : UINT64_MAX;
}

unsigned bn_arbiter_compose_fds(const struct bn_arbiter *a, struct pollfd fds[BN_ARBITER_PICTURES])
{
	const struct bn_arbiter_composing *c = &a->composing;
	if (!bn_arbiter_others_ask(a, BN_POLICY_COMPOSITOR))
		return 0;
	for (unsigned i = 0; i < c->pictures; i++)
		fds[i] = (struct pollfd){.fd = c->picture[i].fence, .events = POLLIN};
	return c->pictures;
}

void bn_arbiter_compose_finish(struct bn_arbiter *a)
{
	drop_all(&a->composing);
}

/* ---- what the main thread says ---- */

static bool somebody_uses_the_gpu(const struct bn_arbiter *a)
{
	for (uint64_t m = a->attached; m; m &= m - 1) {
		const struct bn_arbiter_vm_state *v = &a->vm[bn_arbiter_first(m)];
		if (v->asking || v->holding)
			return true;
	}
	return false;
}

/* Lets go of the lock, and wakes the thread if there is something to decide. */
static void end(struct bn_arbiter *a)
{
	bool news = a->config.policy != BN_POLICY_NONE && somebody_uses_the_gpu(a);
	pthread_mutex_unlock(&a->lock);
	if (news)
		bn_event_signal_own(a->control);
}

bool bn_arbiter_compose_begin(struct bn_arbiter *a, uint64_t predicted_ns)
{
	struct bn_arbiter_composing *c = &a->composing;
	pthread_mutex_lock(&a->lock);
	uint64_t now = bn_now_ns();
	bn_arbiter_compose_look(a, now);
	c->begun = true;
	c->begun_ns = now;
	c->predicted_ns = predicted_ns;
	bool reserve = a->config.policy != BN_POLICY_NONE && !c->unreliable;
	if (reserve && !c->asking && !c->holding) {
		c->asking = true;
		c->asked_ns = now;
		bn_policy_request(a->policy, BN_POLICY_COMPOSITOR, predicted_ns, now);
	}
	bool reliable = !c->unreliable;
	end(a);
	return reliable;
}

void bn_arbiter_compose_queued(struct bn_arbiter *a, int fence)
{
	struct bn_arbiter_composing *c = &a->composing;
	int kept = fence >= 0 ? bn_fd_dup(fence) : -1;
	pthread_mutex_lock(&a->lock);
	uint64_t now = bn_now_ns();
	const struct bn_arbiter_picture p = {kept, c->begun_ns, c->predicted_ns};
	bool begun = c->begun;
	c->begun = false;
	if (fence < 0)
		c->unreliable = false;
	if (!begun) { /* its time was over */
		bn_fd_close(&kept);
	} else if (kept < 0) { /* without an fd for it, as if it was through */
		trace(a, &p, now);
	} else {
		if (c->pictures == BN_ARBITER_PICTURES)
			drop(c, 0);
		c->picture[c->pictures++] = p;
	}
	settle(a, now);
	end(a);
}

void bn_arbiter_compose_failed(struct bn_arbiter *a)
{
	pthread_mutex_lock(&a->lock);
	a->composing.begun = false;
	settle(a, bn_now_ns());
	end(a);
}

void bn_arbiter_compose_charge(struct bn_arbiter *a, uint64_t gpu_ns)
{
	pthread_mutex_lock(&a->lock);
	bn_policy_charge(a->policy, BN_POLICY_COMPOSITOR, gpu_ns, gpu_ns, bn_now_ns());
	pthread_mutex_unlock(&a->lock);
}
