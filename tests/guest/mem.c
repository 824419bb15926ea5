#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mem.h"

void tg_mem_init(struct tg_mem *mem)
{
	memset(mem, 0, sizeof(*mem));
}

void tg_mem_finish(struct tg_mem *mem)
{
	for (int i = 0; i < TG_REGIONS_MAX; i++)
		tg_mem_drop(mem, i);
}

static int region_map(struct tg_region *r)
{
	r->fd = memfd_create("guest-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (r->fd < 0)
		return -errno;
	if (ftruncate(r->fd, (off_t)r->size) < 0)
		goto error;
	r->host = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (r->host == MAP_FAILED)
		goto error;
	r->used = calloc(r->size / TG_PAGE, 1);
	if (r->used)
		return 0;
	munmap(r->host, r->size);
	errno = ENOMEM;
error:;
	int err = -errno;
	close(r->fd);
	return err;
}

int tg_mem_add(struct tg_mem *mem, uint64_t guest_addr, uint64_t size)
{
	for (int i = 0; i < TG_REGIONS_MAX; i++) {
		struct tg_region *r = &mem->region[i];
		if (r->size)
			continue;
		*r = (struct tg_region){.guest_addr = guest_addr, .size = size, .fd = -1};
		int err = region_map(r);
		if (err < 0)
			r->size = 0;
		return err < 0 ? err : i;
	}
	return -ENOSPC;
}

void tg_mem_drop(struct tg_mem *mem, int slot)
{
	struct tg_region *r = &mem->region[slot];
	if (!r->size)
		return;
	munmap(r->host, r->size);
	close(r->fd);
	free(r->used);
	memset(r, 0, sizeof(*r));
}

static uint64_t region_alloc(struct tg_region *r, size_t pages)
{
	size_t total = r->size / TG_PAGE, run = 0;
	/* Two sweeps: from the cursor to the end, then from the start. */
	for (size_t step = 0, i = r->next; step < 2 * total; step++, i++) {
		if (i >= total) {
			i = 0;
			run = 0;
		}
		run = r->used[i] ? 0 : run + 1;
		if (run < pages)
			continue;
		size_t first = i + 1 - pages;
		memset(r->used + first, 1, pages);
		memset(r->host + first * TG_PAGE, 0, pages * TG_PAGE);
		r->next = i + 1;
		return r->guest_addr + first * TG_PAGE;
	}
	return 0;
}

uint64_t tg_mem_alloc(struct tg_mem *mem, int slot, size_t bytes)
{
	size_t pages = (bytes + TG_PAGE - 1) / TG_PAGE;
	if (!pages)
		pages = 1;
	if (slot >= 0)
		return mem->region[slot].size ? region_alloc(&mem->region[slot], pages) : 0;
	for (int i = 0; i < TG_REGIONS_MAX; i++) {
		uint64_t addr = mem->region[i].size ? region_alloc(&mem->region[i], pages) : 0;
		if (addr)
			return addr;
	}
	return 0;
}

static struct tg_region *region_of(struct tg_mem *mem, uint64_t addr, size_t len)
{
	for (int i = 0; i < TG_REGIONS_MAX; i++) {
		struct tg_region *r = &mem->region[i];
		if (r->size && addr >= r->guest_addr && addr - r->guest_addr < r->size &&
			len <= r->size - (addr - r->guest_addr))
			return r;
	}
	return NULL;
}

void tg_mem_free(struct tg_mem *mem, uint64_t addr, size_t bytes)
{
	size_t pages = bytes ? (bytes + TG_PAGE - 1) / TG_PAGE : 1;
	struct tg_region *r = addr ? region_of(mem, addr, pages * TG_PAGE) : NULL;
	if (r)
		memset(r->used + (addr - r->guest_addr) / TG_PAGE, 0, pages);
}

void *tg_mem_host(struct tg_mem *mem, uint64_t addr, size_t len)
{
	struct tg_region *r = region_of(mem, addr, len);
	return r ? r->host + (addr - r->guest_addr) : NULL;
}

struct bn_vu_region tg_mem_describe(const struct tg_mem *mem, int slot)
{
	const struct tg_region *r = &mem->region[slot];
	return (struct bn_vu_region){
		.guest_addr = r->guest_addr,
		.size = r->size,
		.user_addr = r->guest_addr + TG_USER_OFFSET,
		.mmap_offset = 0,
	};
}
