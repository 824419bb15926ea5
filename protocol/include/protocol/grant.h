/* The page pair between the scheduler's arbiter (in binnacled) and one renderer. Each side writes
 * one page and reads the other's; nothing here is shared between two VMs. The arbiter's page is
 * sealed against writing by the renderer (F_SEAL_FUTURE_WRITE), the renderer's is read by the
 * arbiter as what it is: a guest's word, perhaps. All members are naturally aligned and accessed
 * with __atomic builtins; counters only rise.
 *
 *	renderer                                         arbiter
 *	wants to start a batch, holds no grant:
 *	  predicted_ns, flags, then want = n + 1
 *	  rings the arbiter's doorbell      ───────────▶  decides
 *	                                    ◀───────────  allow_ns, until_ns, kind, then grant = n + 1
 *	  runs batches                                    rings the renderer's doorbell
 *	  nothing left, allowance used up, or
 *	  revoked ≥ grant: waits until the GPU
 *	  has finished; then returned = grant
 *	  rings the doorbell                ───────────▶  charges gpu_ns, decides anew
 *
 * A lease is a grant without an end: while it lasts the renderer starts batches without a word,
 * only `busy` says that it has something on the GPU. To take it back the arbiter writes `revoked`
 * and looks at `busy`; the renderer writes `busy` and looks at `revoked` (both sequentially
 * consistent, as in Dekker's algorithm), so one of the two sees the other. With busy == 0 the lease
 * is over at once and the renderer learns it at its next batch; otherwise the arbiter waits for
 * `returned`. */
#ifndef BN_PROTOCOL_GRANT_H
#define BN_PROTOCOL_GRANT_H

#include <stdint.h>

enum bn_grant_kind {
	BN_GRANT_NONE = 0,
	BN_GRANT_BATCH = 1, /* batches of allow_ns predicted cost in sum; at least one */
	/* all of a safety VM's frame: until its flush, or allow_ns is used up */
	BN_GRANT_FRAME = 2,
	BN_GRANT_LEASE = 3, /* until revoked */
};

/* bn_request_page.flags */
#define BN_REQUEST_FRAME_OPEN 1u /* batches since the last flush: the frame has begun */
/* The batch at the GPU brings shaders never drawn with, or is one of its context's first. */
#define BN_REQUEST_COMPILES 2u

/* Written by the renderer. */
struct bn_request_page {
	uint64_t want;         /* number of the grant asked for; asking while want > grant */
	uint64_t predicted_ns; /* of the batch at the head of the queue */
	uint64_t returned;     /* number of the last grant given back */
	uint32_t flags, busy;  /* busy: batches started whose work the GPU may not have finished */
	uint64_t batch;        /* number of the batch that the GPU is at, or was at last */
	/* CLOCK_MONOTONIC when the GPU came to it, 0 when busy is 0 and while these four change */
	uint64_t batch_start_ns;
	uint64_t batch_predicted_ns;
	uint64_t batch_ctx;          /* virtio-gpu context it belongs to */
	/* Counters. */
	uint64_t batches, cuts;      /* batches finished; submits that were cut */
	uint64_t gpu_ns;             /* cost of all batches finished */
	uint64_t predicted_total_ns; /* what had been predicted for `predictions` of them */
	uint64_t covered;            /* … of those, actual ≤ predicted */
	uint64_t wait_ns;            /* time spent with work queued and no grant */
	uint64_t frames;             /* flushes of a scanout: frames ended */
	uint64_t frame_queued_ns;    /* CLOCK_MONOTONIC of the current frame's first batch; 0: none yet */
	uint64_t contexts_lost;      /* because of lose_batch */
	/* batches that had one: all, but under an uncontended lease one in 8, and one in a ms, at most */
	uint64_t predictions;
};

/* Written by the arbiter. */
struct bn_grant_page {
	uint64_t grant;   /* number of the newest grant */
	uint32_t kind;    /* enum bn_grant_kind */
	uint32_t quarantine; /* 1: every GL context is lost and no new one can be made */
	uint64_t allow_ns;
	/* CLOCK_MONOTONIC: no batch is started that would, as predicted, end later. UINT64_MAX: none */
	uint64_t until_ns;
	uint64_t revoked; /* grants up to this number are over */
	/* The context of this batch (and of none later) has run too long: it is lost when it ends. */
	uint64_t lose_batch;
	/* Streams are cut into batches of about that predicted cost; 0: they are not cut. */
	uint64_t batch_max_ns;
	/* Under a lease: no batch is started while more than this is on the GPU already; 0: no
	 * bound. */
	uint64_t ahead_max_ns;
	/* Rises with each frame that a display of this VM has shown; the frame's release. */
	uint64_t release_ns;
};

#define BN_GRANT_PAGE_SIZE 4096u

#endif
