#include "zero-copy/guest_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"

#define ALIGN_MAX (1ull << 30) /* the largest huge page */

struct mapping {
	struct bn_guest_region region;
	uint8_t *host; /* the region's first byte */
	void *map;     /* what mmap gave: starts at or before host */
	size_t map_size;
};

/* Sorted by guest address, without overlap. */
struct bn_guest_memory {
	size_t count;
	uint64_t size, generation;
	struct mapping mappings[BN_GUEST_MEMORY_SLOTS];
};

struct bn_guest_memory *bn_guest_memory_create(void)
{
	return calloc(1, sizeof(struct bn_guest_memory));
}

static void unmap_all(struct bn_guest_memory *mem)
{
	for (size_t i = 0; i < mem->count; i++)
		munmap(mem->mappings[i].map, mem->mappings[i].map_size);
	mem->count = 0;
	mem->size = 0;
}

void bn_guest_memory_destroy(struct bn_guest_memory *mem)
{
	if (!mem)
		return;
	unmap_all(mem);
	free(mem);
}

void bn_guest_memory_clear(struct bn_guest_memory *mem)
{
	unmap_all(mem);
	mem->generation++;
}

/* The number of regions that start at or below addr: the last of them is the only one that can hold
 * addr. */
static size_t count_up_to(const struct bn_guest_memory *mem, uint64_t addr)
{
	size_t low = 0, high = mem->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (mem->mappings[middle].region.guest_addr <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Ends are exclusive and must be representable, so that nothing here ever wraps. */
static bool region_valid(const struct bn_guest_region *region)
{
	return region->size > 0 && region->guest_addr <= UINT64_MAX - region->size &&
	       region->user_addr <= UINT64_MAX - region->size && region->mmap_offset <= INT64_MAX &&
	       region->size <= INT64_MAX - region->mmap_offset;
}

static bool overlaps(const struct bn_guest_memory *mem, const struct bn_guest_region *region)
{
	size_t below = count_up_to(mem, region->guest_addr + region->size - 1);
	const struct bn_guest_region *last;

	if (below == 0)
		return false;
	last = &mem->mappings[below - 1].region;
	return last->guest_addr + last->size > region->guest_addr;
}

/* Offsets and lengths of mappings of huge page files must be multiples of the huge page, which
 * st_blksize tells. */
static uint64_t alignment(const struct stat *st)
{
	uint64_t page = sysconf(_SC_PAGESIZE), block = st->st_blksize > 0 ? st->st_blksize : 0;

	if (block <= page || block > ALIGN_MAX || (block & (block - 1)))
		return page;
	return block;
}

static int map_region(struct mapping *m, int fd)
{
	const struct bn_guest_region *region = &m->region;
	uint64_t align, start, size;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	/* Devices report no size; for them mmap itself decides. */
	if (S_ISREG(st.st_mode) && region->mmap_offset + region->size > (uint64_t)st.st_size)
		return -EINVAL;
	align = alignment(&st);
	start = region->mmap_offset & ~(align - 1);
	size = (region->mmap_offset + region->size - start + align - 1) & ~(align - 1);
	if (size > SIZE_MAX)
		return -EINVAL;
	m->map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, start);
	if (m->map == MAP_FAILED)
		return -errno;
	m->map_size = size;
	m->host = (uint8_t *)m->map + (region->mmap_offset - start);
	/* A crash of ours must not write the guest's memory to disk. Best effort. */
	madvise(m->map, size, MADV_DONTDUMP);
	return 0;
}

static int add(struct bn_guest_memory *mem, const struct bn_guest_region *region, int fd)
{
	struct mapping m = {.region = *region};
	size_t at;
	int err;

	if (!region_valid(region))
		return -EINVAL;
	if (overlaps(mem, region))
		return -EEXIST;
	if (mem->count == BN_GUEST_MEMORY_SLOTS)
		return -ENOSPC;
	err = map_region(&m, fd);
	if (err < 0)
		return err;
	at = count_up_to(mem, region->guest_addr);
	memmove(&mem->mappings[at + 1], &mem->mappings[at], (mem->count - at) * sizeof(m));
	mem->mappings[at] = m;
	mem->count++;
	mem->size += region->size;
	mem->generation++;
	return 0;
}

int bn_guest_memory_add(struct bn_guest_memory *mem, const struct bn_guest_region *region, int fd)
{
	int err = add(mem, region, fd);

	bn_fd_close(&fd);
	return err;
}

int bn_guest_memory_remove(struct bn_guest_memory *mem, const struct bn_guest_region *region)
{
	size_t below = count_up_to(mem, region->guest_addr);
	struct mapping *m;

	if (below == 0)
		return -ENOENT;
	m = &mem->mappings[below - 1];
	if (m->region.guest_addr != region->guest_addr || m->region.size != region->size ||
		m->region.user_addr != region->user_addr)
		return -ENOENT;
	munmap(m->map, m->map_size);
	mem->size -= m->region.size;
	mem->count--;
	memmove(m, m + 1, (mem->count - (below - 1)) * sizeof(*m));
	mem->generation++;
	return 0;
}

uint64_t bn_guest_memory_generation(const struct bn_guest_memory *mem)
{
	return mem->generation;
}

uint64_t bn_guest_memory_size(const struct bn_guest_memory *mem)
{
	return mem->size;
}

/* The mapping that holds addr and how many bytes of it follow from there; NULL if none. */
static const struct mapping *find(const struct bn_guest_memory *mem, uint64_t addr, uint64_t *left)
{
	size_t below = count_up_to(mem, addr);
	const struct mapping *m;

	if (below == 0)
		return NULL;
	m = &mem->mappings[below - 1];
	if (addr - m->region.guest_addr >= m->region.size)
		return NULL;
	*left = m->region.size - (addr - m->region.guest_addr);
	return m;
}

void *bn_guest_memory_at(const struct bn_guest_memory *mem, uint64_t addr, uint64_t len)
{
	uint64_t left;
	const struct mapping *m = find(mem, addr, &left);

	return m && len <= left ? m->host + (addr - m->region.guest_addr) : NULL;
}

/* Only rings are found this way, when they start: a linear search will do. */
void *bn_guest_memory_at_user(const struct bn_guest_memory *mem, uint64_t user_addr, uint64_t len)
{
	for (size_t i = 0; i < mem->count; i++) {
		const struct mapping *m = &mem->mappings[i];
		uint64_t offset = user_addr - m->region.user_addr;

		if (user_addr >= m->region.user_addr && offset < m->region.size &&
			len <= m->region.size - offset)
			return m->host + offset;
	}
	return NULL;
}

int bn_guest_memory_iov(const struct bn_guest_memory *mem, uint64_t addr, uint64_t len,
	struct iovec *iov, size_t max)
{
	size_t n = 0;

	while (len > 0) {
		uint64_t left;
		const struct mapping *m = find(mem, addr, &left);

		if (!m)
			return -EFAULT;
		if (n == max)
			return -E2BIG;
		if (left > len)
			left = len;
		iov[n].iov_base = m->host + (addr - m->region.guest_addr);
		iov[n].iov_len = left;
		n++;
		/* Cannot wrap: regions end below 2^64. */
		addr += left;
		len -= left;
	}
	return n;
}
