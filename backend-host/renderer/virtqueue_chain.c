#include <errno.h>
#include <string.h>

#include "virtqueue_private.h"

/* The copy must be the only read: a compiler that knows the source could read a checked value
 * again after the guest changed it. */
static struct vring_desc desc_fetch(const struct vring_desc *table, uint32_t i)
{
	struct vring_desc desc;

	memcpy(&desc, (const char *)table + (size_t)i * sizeof(desc), sizeof(desc));
	__asm__ volatile("" : "+m"(desc) : : "memory");
	return desc;
}

static int chain_add(struct bn_chain *chain, const struct vring_desc *desc)
{
	bool in = desc->flags & VRING_DESC_F_WRITE;
	uint64_t *total = in ? &chain->in_len : &chain->out_len;
	uint32_t used = chain->nout + chain->nin;
	int n;

	if (!in && chain->nin > 0)
		return -EPROTO;
	if (*total + desc->len > UINT32_MAX)
		return -E2BIG;
	n = bn_guest_memory_iov(
		chain->mem, desc->addr, desc->len, chain->iov + used, BN_VQ_CHAIN_MAX - used);
	if (n < 0)
		return n;
	if (in)
		chain->nin += (uint32_t)n;
	else
		chain->nout += (uint32_t)n;
	*total += desc->len;
	return 0;
}

static int chain_walk(struct bn_chain *chain, const struct vring_desc *table, uint32_t entries,
	uint32_t i, struct vring_desc *indirect)
{
	for (uint32_t step = 0; step < entries; step++) {
		struct vring_desc desc = desc_fetch(table, i);
		int r;

		if (desc.flags & VRING_DESC_F_INDIRECT) {
			if (!indirect || !chain->indirect || (desc.flags & VRING_DESC_F_NEXT))
				return -EPROTO;
			*indirect = desc;
			return 1;
		}
		r = chain_add(chain, &desc);
		if (r < 0)
			return r;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return 0;
		i = desc.next;
		if (i >= entries)
			return -EPROTO;
	}
	return -ELOOP;
}

int bn_chain_read(
	struct bn_chain *chain, const struct vring_desc *table, uint32_t entries, uint32_t head)
{
	struct vring_desc indirect;
	int r = chain_walk(chain, table, entries, head, &indirect);

	if (r != 1)
		return r;
	if (indirect.len == 0 || indirect.len % sizeof(struct vring_desc) != 0)
		return -EPROTO;
	if (indirect.len / sizeof(struct vring_desc) > BN_VQ_CHAIN_MAX)
		return -E2BIG;
	table = bn_guest_memory_at(chain->mem, indirect.addr, indirect.len);
	if (!table)
		return -EFAULT;
	return chain_walk(chain, table, indirect.len / sizeof(struct vring_desc), 0, NULL);
}

static uint64_t iov_copy(const struct iovec *iov, uint32_t n, uint64_t offset, void *to_buf,
	const void *from_buf, uint64_t len)
{
	uint64_t done = 0;

	for (uint32_t i = 0; i < n && done < len; i++) {
		uint64_t part;

		if (offset >= iov[i].iov_len) {
			offset -= iov[i].iov_len;
			continue;
		}
		part = iov[i].iov_len - offset;
		if (part > len - done)
			part = len - done;
		if (to_buf)
			memcpy((char *)to_buf + done, (char *)iov[i].iov_base + offset, part);
		else
			memcpy((char *)iov[i].iov_base + offset, (const char *)from_buf + done,
				part);
		done += part;
		offset = 0;
	}
	return done;
}

uint64_t bn_iov_read(const struct iovec *iov, uint32_t n, uint64_t offset, void *buf, uint64_t len)
{
	uint64_t done = iov_copy(iov, n, offset, buf, NULL, len);

	/* Whoever checks what was copied must not see the compiler go back to guest memory. */
	__asm__ volatile("" : : "r"(buf) : "memory");
	return done;
}

uint64_t bn_iov_write(
	const struct iovec *iov, uint32_t n, uint64_t offset, const void *buf, uint64_t len)
{
	return iov_copy(iov, n, offset, NULL, buf, len);
}
