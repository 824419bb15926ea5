/* What the two halves of the virtqueue share: virtqueue.c runs the ring, virtqueue_chain.c reads
 * descriptor chains. */
#ifndef BN_RENDERER_VIRTQUEUE_PRIVATE_H
#define BN_RENDERER_VIRTQUEUE_PRIVATE_H

#include <linux/virtio_ring.h>

#include "virtqueue.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	"rings and commands are little-endian and used as they are");

struct bn_chain {
	const struct bn_guest_memory *mem;
	struct iovec *iov; /* room for BN_VQ_CHAIN_MAX entries, the caller's */
	uint32_t nout, nin;
	uint64_t out_len, in_len;
	bool indirect; /* the driver negotiated INDIRECT_DESC */
};

/* Follows the chain that starts at table[head], table having `entries` descriptors. What was
 * sound is in *chain also after an error. 0, -EPROTO (a chain that the specification forbids),
 * -ELOOP, -E2BIG, -EFAULT (not guest memory). */
int bn_chain_read(
	struct bn_chain *chain, const struct vring_desc *table, uint32_t entries, uint32_t head);

#endif
