/* The test guest's memory: memfd regions as a VMM would hand them to a back end, with a page
 * allocator. Guest-physical and front-end ("user") addresses differ on purpose, so that a back end
 * that mixes the two up is caught. One thread. */
#ifndef TG_MEM_H
#define TG_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/vhost_user.h"

#define TG_PAGE 4096u
#define TG_REGIONS_MAX 512
/* Guest-physical address of the first region. */
#define TG_MEM_BASE 0x40000000ull
/* user address = guest address + this. */
#define TG_USER_OFFSET 0x7a0000000000ull

struct tg_region {
	uint64_t guest_addr, size; /* size 0: free slot */
	int fd;                    /* memfd, owned */
	uint8_t *host;             /* our mapping of it, owned */
	uint8_t *used;             /* one byte a page */
	size_t next;               /* where the next search starts */
	bool announced;            /* the back end knows it */
};

struct tg_mem {
	struct tg_region region[TG_REGIONS_MAX];
};

void tg_mem_init(struct tg_mem *mem);
void tg_mem_finish(struct tg_mem *mem);
/* A new region of whole pages; returns its slot or -errno. The back end is not told. */
int tg_mem_add(struct tg_mem *mem, uint64_t guest_addr, uint64_t size);
/* Unmaps and closes it; what was allocated in it is gone. */
void tg_mem_drop(struct tg_mem *mem, int slot);
/* Zeroed pages that are contiguous in guest memory, in the given region or in any when slot is -1.
 * Returns the guest address, 0 when there is no room. */
uint64_t tg_mem_alloc(struct tg_mem *mem, int slot, size_t bytes);
/* addr 0 is allowed. */
void tg_mem_free(struct tg_mem *mem, uint64_t addr, size_t bytes);
/* Our pointer to guest memory that lies in one region, else NULL. */
void *tg_mem_host(struct tg_mem *mem, uint64_t addr, size_t len);
/* The region as vhost-user describes it. */
struct bn_vu_region tg_mem_describe(const struct tg_mem *mem, int slot);

#endif
