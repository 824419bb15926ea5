/* A VM's memory as its vhost-user front end hands it over: regions of fds, mapped once, addressed
 * by guest-physical address (descriptors, resource backing) or by the front end's own address
 * (rings). Used by the renderer only: the daemon never maps guest memory. Not thread-safe by
 * itself; the renderer changes it only while its rings are parked. */
#ifndef BN_ZERO_COPY_GUEST_MEMORY_H
#define BN_ZERO_COPY_GUEST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* What GET_MAX_MEM_SLOTS answers (QEMU asks once and wants it not to fall later; >= 509 for
 * shared-memory regions). */
#define BN_GUEST_MEMORY_SLOTS 509

struct bn_guest_region {
	uint64_t guest_addr; /* guest-physical */
	uint64_t size;	     /* bytes */
	uint64_t user_addr;  /* the front end's own address of the region */
	uint64_t mmap_offset; /* where in fd the region starts */
};

struct bn_guest_memory; /* opaque */

/* Empty; NULL when out of memory. */
struct bn_guest_memory *bn_guest_memory_create(void);
/* Unmaps everything. NULL is allowed. */
void bn_guest_memory_destroy(struct bn_guest_memory *mem);

/* Maps a region read-write. Takes ownership of fd whatever the result. -EINVAL for a size of 0, a
 * size or offset that overflows, a file that is too small (where it has a size), -EEXIST when it
 * overlaps a region in guest addresses, -ENOSPC past BN_GUEST_MEMORY_SLOTS, -errno of fstat and
 * mmap. mmap_offset need not be page-aligned. */
int bn_guest_memory_add(struct bn_guest_memory *mem, const struct bn_guest_region *region, int fd);
/* Unmaps the region with that guest address, user address and size (the spec's matching rule for
 * REM_MEM_REG); -ENOENT if none. */
int bn_guest_memory_remove(struct bn_guest_memory *mem, const struct bn_guest_region *region);
void bn_guest_memory_clear(struct bn_guest_memory *mem);
/* Raised by every change: who keeps pointers compares it. */
uint64_t bn_guest_memory_generation(const struct bn_guest_memory *mem);
/* Bytes mapped. */
uint64_t bn_guest_memory_size(const struct bn_guest_memory *mem);

/* Host pointer of [addr, addr+len) when one region holds all of it, else NULL. With len 0, addr
 * itself must lie in a region. */
void *bn_guest_memory_at(const struct bn_guest_memory *mem, uint64_t addr, uint64_t len);
/* The same by front-end address. */
void *bn_guest_memory_at_user(const struct bn_guest_memory *mem, uint64_t user_addr, uint64_t len);
/* Host iovecs of [addr, addr+len), which may cross regions that touch. Writes at most max entries,
 * returns their number (0 for len 0) or -EFAULT (part is not guest memory), -E2BIG (more than
 * max). */
int bn_guest_memory_iov(const struct bn_guest_memory *mem, uint64_t addr, uint64_t len,
	struct iovec *iov, size_t max);

#endif
