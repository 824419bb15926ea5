#include "zero-copy/guest_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/fd.h"
#include "unit.h"

#define PAGE 4096ull
#define FILE_SIZE (64 * PAGE)
#define USER 0x7f0000000000ull

/* A memfd whose every 8 bytes hold their own offset. */
static int pattern_fd(void)
{
	static uint64_t words[FILE_SIZE / 8];
	int fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	for (size_t i = 0; i < FILE_SIZE / 8; i++)
		words[i] = i * 8;
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(write(fd, words, sizeof(words)), (ssize_t)sizeof(words));
	return fd;
}

static struct bn_guest_region region_at(uint64_t guest_addr, uint64_t size, uint64_t offset)
{
	return (struct bn_guest_region){guest_addr, size, USER + guest_addr, offset};
}

static int add(struct bn_guest_memory *mem, uint64_t guest_addr, uint64_t size, uint64_t offset)
{
	struct bn_guest_region region = region_at(guest_addr, size, offset);

	return bn_guest_memory_add(mem, &region, pattern_fd());
}

static struct bn_guest_memory *create(void)
{
	struct bn_guest_memory *mem = bn_guest_memory_create();

	CU_ASSERT_PTR_NOT_NULL_FATAL(mem);
	return mem;
}

static uint64_t word(const void *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static void test_translate(void)
{
	struct bn_guest_memory *mem = create();
	struct bn_guest_region region = region_at(0x10000, PAGE, 8 * PAGE);
	uint64_t generation = bn_guest_memory_generation(mem);
	uint8_t *p;

	CU_ASSERT_EQUAL(add(mem, 0x10000, PAGE, 8 * PAGE), 0);
	CU_ASSERT(bn_guest_memory_generation(mem) > generation);
	CU_ASSERT_EQUAL(bn_guest_memory_size(mem), PAGE);
	p = bn_guest_memory_at(mem, 0x10000, PAGE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(word(p), 8 * PAGE);
	CU_ASSERT_EQUAL(word(p + PAGE - 8), 9 * PAGE - 8);
	CU_ASSERT_PTR_EQUAL(bn_guest_memory_at_user(mem, USER + 0x10008, 8), p + 8);
	p[0] = 0xaa; /* mapped for writing */
	CU_ASSERT_PTR_NULL(bn_guest_memory_at(mem, 0xffff, 1));
	CU_ASSERT_PTR_NULL(bn_guest_memory_at(mem, 0x11000, 0));
	CU_ASSERT_PTR_NULL(bn_guest_memory_at(mem, 0x10000, PAGE + 1));
	CU_ASSERT_PTR_NULL(bn_guest_memory_at_user(mem, USER + 0x10fff, 2));
	CU_ASSERT_PTR_NULL(bn_guest_memory_at_user(mem, USER + 0xffff, 1));
	CU_ASSERT_PTR_NULL(bn_guest_memory_at_user(mem, USER + 0x11000, 0));
	generation = bn_guest_memory_generation(mem);
	CU_ASSERT_EQUAL(bn_guest_memory_remove(mem, &region), 0);
	CU_ASSERT(bn_guest_memory_generation(mem) > generation);
	CU_ASSERT_EQUAL(bn_guest_memory_size(mem), 0);
	CU_ASSERT_PTR_NULL(bn_guest_memory_at(mem, 0x10000, 1));
	bn_guest_memory_destroy(mem);
	bn_guest_memory_destroy(NULL);
}

static void test_unaligned_offset(void)
{
	struct bn_guest_memory *mem = create();
	uint8_t *p;

	CU_ASSERT_EQUAL(add(mem, 0x10000, 3 * PAGE, PAGE + 520), 0);
	p = bn_guest_memory_at(mem, 0x10000, 3 * PAGE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(word(p), PAGE + 520);
	CU_ASSERT_EQUAL(word(p + 3 * PAGE - 8), 4 * PAGE + 512);
	/* Up to the last byte, but not past it. */
	CU_ASSERT_EQUAL(add(mem, 0x20000, FILE_SIZE - 8, 8), 0);
	CU_ASSERT_EQUAL(word(bn_guest_memory_at(mem, 0x20000 + FILE_SIZE - 16, 8)), FILE_SIZE - 8);
	CU_ASSERT_EQUAL(add(mem, 0x90000, FILE_SIZE - 7, 8), -EINVAL);
	bn_guest_memory_destroy(mem);
}

static void test_hostile_regions(void)
{
	struct bn_guest_memory *mem = create();
	struct bn_guest_region region = region_at(0, PAGE, 0);
	uint64_t generation = bn_guest_memory_generation(mem);

	CU_ASSERT_EQUAL(add(mem, 0, 0, 0), -EINVAL);
	CU_ASSERT_EQUAL(add(mem, 0, UINT64_MAX, 0), -EINVAL);
	CU_ASSERT_EQUAL(add(mem, 0, 1ull << 63, 0), -EINVAL);
	CU_ASSERT_EQUAL(add(mem, UINT64_MAX, PAGE, 0), -EINVAL);
	CU_ASSERT_EQUAL(add(mem, UINT64_MAX - PAGE + 1, PAGE, 0), -EINVAL);
	CU_ASSERT_EQUAL(add(mem, 0, PAGE, UINT64_MAX), -EINVAL);
	CU_ASSERT_EQUAL(add(mem, 0, PAGE, UINT64_MAX - PAGE + 1), -EINVAL);
	CU_ASSERT_EQUAL(add(mem, 0, PAGE, INT64_MAX), -EINVAL);
	CU_ASSERT_EQUAL(add(mem, 0, PAGE, FILE_SIZE - PAGE + 1), -EINVAL);
	CU_ASSERT_EQUAL(add(mem, 0, FILE_SIZE + 1, 0), -EINVAL);
	region.user_addr = UINT64_MAX - 1;
	CU_ASSERT_EQUAL(bn_guest_memory_add(mem, &region, pattern_fd()), -EINVAL);
	CU_ASSERT_EQUAL(bn_guest_memory_generation(mem), generation);
	CU_ASSERT_EQUAL(bn_guest_memory_size(mem), 0);
	bn_guest_memory_destroy(mem);
}

static void test_hostile_fds(void)
{
	struct bn_guest_memory *mem = create();
	struct bn_guest_region region = region_at(0, PAGE, 0);
	int pipes[2], fd = pattern_fd();

	CU_ASSERT_EQUAL(bn_guest_memory_add(mem, &region, -1), -EBADF);
	CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
	CU_ASSERT(bn_guest_memory_add(mem, &region, pipes[0]) < 0);
	CU_ASSERT_EQUAL(fcntl(pipes[0], F_GETFD), -1); /* taken, though refused */
	close(pipes[1]);
	CU_ASSERT_EQUAL(ftruncate(fd, PAGE - 1), 0);
	CU_ASSERT_EQUAL(bn_guest_memory_add(mem, &region, fd), -EINVAL);
	fd = pattern_fd();
	CU_ASSERT_EQUAL(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	CU_ASSERT_EQUAL(bn_guest_memory_add(mem, &region, fd), -EPERM);
	CU_ASSERT(bn_guest_memory_add(mem, &region, open("/", O_RDONLY | O_CLOEXEC)) < 0);
	CU_ASSERT(bn_guest_memory_add(mem, &region, open("/dev/null", O_RDWR | O_CLOEXEC)) < 0);
	CU_ASSERT_EQUAL(bn_guest_memory_size(mem), 0);
	bn_guest_memory_destroy(mem);
}

static void test_far_addresses(void)
{
	struct bn_guest_memory *mem = create();
	uint64_t top = UINT64_MAX - PAGE;
	struct iovec iov[4];

	struct bn_guest_region region = {top, PAGE, 0, 0};

	CU_ASSERT_EQUAL(add(mem, 0, PAGE, 0), 0);
	CU_ASSERT_EQUAL(bn_guest_memory_add(mem, &region, pattern_fd()), 0);
	CU_ASSERT_PTR_NOT_NULL(bn_guest_memory_at(mem, UINT64_MAX - 1, 1));
	CU_ASSERT_PTR_NULL(bn_guest_memory_at(mem, UINT64_MAX, 1));
	CU_ASSERT_PTR_NULL(bn_guest_memory_at(mem, UINT64_MAX, UINT64_MAX));
	CU_ASSERT_PTR_NULL(bn_guest_memory_at(mem, top, UINT64_MAX));
	CU_ASSERT_PTR_NULL(bn_guest_memory_at(mem, 8, UINT64_MAX));
	CU_ASSERT_PTR_NULL(bn_guest_memory_at(mem, 8, UINT64_MAX - 7)); /* addr + len wraps to 0 */
	CU_ASSERT_PTR_NULL(bn_guest_memory_at_user(mem, 8, UINT64_MAX - 7));
	CU_ASSERT_PTR_NULL(bn_guest_memory_at_user(mem, UINT64_MAX, UINT64_MAX));
	/* Must not go on at address 0. */
	CU_ASSERT_EQUAL(bn_guest_memory_iov(mem, top, PAGE + 1, iov, 4), -EFAULT);
	CU_ASSERT_EQUAL(bn_guest_memory_iov(mem, top, UINT64_MAX, iov, 4), -EFAULT);
	CU_ASSERT_EQUAL(bn_guest_memory_iov(mem, UINT64_MAX, 1, iov, 4), -EFAULT);
	CU_ASSERT_EQUAL(bn_guest_memory_iov(mem, UINT64_MAX, 0, iov, 4), 0);
	CU_ASSERT_EQUAL(bn_guest_memory_iov(mem, 0, PAGE, iov, 0), -E2BIG);
	CU_ASSERT_EQUAL(bn_guest_memory_iov(mem, 0, PAGE, iov, 1), 1);
	bn_guest_memory_destroy(mem);
}

static void test_overlap_and_remove(void)
{
	struct bn_guest_memory *mem = create();
	struct bn_guest_region region = region_at(0x20000, 2 * PAGE, 0);

	CU_ASSERT_EQUAL(add(mem, 0x20000, 2 * PAGE, 0), 0);
	CU_ASSERT_EQUAL(add(mem, 0x20000, 2 * PAGE, 0), -EEXIST);
	CU_ASSERT_EQUAL(add(mem, 0x21fff, 1, 0), -EEXIST);
	CU_ASSERT_EQUAL(add(mem, 0x1ffff, 2, 0), -EEXIST);
	CU_ASSERT_EQUAL(add(mem, 0x1f000, 16 * PAGE, 0), -EEXIST);
	CU_ASSERT_EQUAL(add(mem, 0x22000, PAGE, 0), 0);
	CU_ASSERT_EQUAL(add(mem, 0x1f000, PAGE, 0), 0);
	region.size--;
	CU_ASSERT_EQUAL(bn_guest_memory_remove(mem, &region), -ENOENT);
	region.size++;
	region.user_addr++;
	CU_ASSERT_EQUAL(bn_guest_memory_remove(mem, &region), -ENOENT);
	region.user_addr--;
	region.guest_addr++;
	CU_ASSERT_EQUAL(bn_guest_memory_remove(mem, &region), -ENOENT);
	region.guest_addr--;
	region.mmap_offset = 77; /* not part of the identity */
	CU_ASSERT_EQUAL(bn_guest_memory_remove(mem, &region), 0);
	CU_ASSERT_EQUAL(bn_guest_memory_remove(mem, &region), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(bn_guest_memory_at(mem, 0x22000, PAGE));
	CU_ASSERT_PTR_NOT_NULL(bn_guest_memory_at(mem, 0x1f000, PAGE));
	bn_guest_memory_clear(mem);
	CU_ASSERT_EQUAL(bn_guest_memory_size(mem), 0);
	CU_ASSERT_PTR_NULL(bn_guest_memory_at(mem, 0x22000, 1));
	CU_ASSERT_EQUAL(add(mem, 0x20000, 2 * PAGE, 0), 0);
	bn_guest_memory_destroy(mem);
}

static void test_slots(void)
{
	struct bn_guest_memory *mem = create();
	int fd = pattern_fd();
	struct iovec iov[BN_GUEST_MEMORY_SLOTS];
	unsigned failed = 0;

	/* From above downwards, so that every insertion moves all others. */
	for (unsigned i = BN_GUEST_MEMORY_SLOTS; i-- > 0;) {
		struct bn_guest_region region = region_at(i * PAGE, PAGE, i % 64 * PAGE);

		failed += bn_guest_memory_add(mem, &region, bn_fd_dup(fd)) != 0;
	}
	CU_ASSERT_EQUAL(failed, 0);
	CU_ASSERT_EQUAL(add(mem, 1ull << 40, PAGE, 0), -ENOSPC);
	CU_ASSERT_EQUAL(bn_guest_memory_size(mem), BN_GUEST_MEMORY_SLOTS * PAGE);
	CU_ASSERT_EQUAL(bn_guest_memory_iov(
				mem, 0, BN_GUEST_MEMORY_SLOTS * PAGE, iov, BN_GUEST_MEMORY_SLOTS),
		BN_GUEST_MEMORY_SLOTS);
	for (unsigned i = 0; i < BN_GUEST_MEMORY_SLOTS; i++)
		failed += word(iov[i].iov_base) != i % 64 * PAGE || iov[i].iov_len != PAGE;
	CU_ASSERT_EQUAL(failed, 0);
	CU_ASSERT_EQUAL(bn_guest_memory_iov(mem, 0, BN_GUEST_MEMORY_SLOTS * PAGE, iov,
				BN_GUEST_MEMORY_SLOTS - 1),
		-E2BIG);
	CU_ASSERT_EQUAL(bn_guest_memory_iov(mem, 0, BN_GUEST_MEMORY_SLOTS * PAGE + 1, iov,
				BN_GUEST_MEMORY_SLOTS),
		-EFAULT);
	close(fd);
	bn_guest_memory_destroy(mem);
}

/* ---- random operations against a model that knows each 8 bytes of a small address space ---- */

#define CELLS 4096u
#define REGIONS 24u

struct model {
	struct bn_guest_memory *mem;
	int fd;
	uint64_t base, random;
	uint64_t size;
	struct {
		unsigned owner; /* 0: no memory; else index of the region + 1 */
		uint64_t offset;
	} cells[CELLS];
	struct bn_guest_region regions[REGIONS]; /* size 0: unused */
	unsigned mistakes;
};

static uint32_t roll(struct model *m, uint32_t below)
{
	/* xorshift64*: the same run for the same seed everywhere */
	m->random ^= m->random >> 12;
	m->random ^= m->random << 25;
	m->random ^= m->random >> 27;
	return (m->random * 2685821657736338717ull >> 32) % below;
}

static void expect(struct model *m, bool right, const char *what)
{
	if (!right && m->mistakes++ < 5)
		fprintf(stderr, "model: %s\n", what);
}

static unsigned owner(const struct model *m, uint64_t addr)
{
	uint64_t cell = (addr - m->base) / 8;

	return addr >= m->base && cell < CELLS ? m->cells[cell].owner : 0;
}

static void step_add(struct model *m)
{
	uint32_t first = roll(m, CELLS), n = 1 + roll(m, roll(m, 4) ? 64 : 1024), slot = 0;
	struct bn_guest_region region = {m->base + first * 8ull, n * 8ull, 0, roll(m, 1024) * 8};
	bool overlap = false;
	int err;

	while (slot < REGIONS && m->regions[slot].size)
		slot++;
	if (slot == REGIONS || first + n > CELLS)
		return;
	region.user_addr = first * 8ull + USER;
	for (uint32_t i = first; i < first + n; i++)
		overlap |= m->cells[i].owner != 0;
	err = bn_guest_memory_add(m->mem, &region, bn_fd_dup(m->fd));
	expect(m, err == (overlap ? -EEXIST : 0), "add");
	if (err < 0)
		return;
	m->regions[slot] = region;
	m->size += region.size;
	for (uint32_t i = 0; i < n; i++) {
		m->cells[first + i].owner = slot + 1;
		m->cells[first + i].offset = region.mmap_offset + i * 8ull;
	}
}

static void step_remove(struct model *m)
{
	uint32_t slot = roll(m, REGIONS);
	struct bn_guest_region wrong = m->regions[slot];

	wrong.size += 8;
	expect(m, bn_guest_memory_remove(m->mem, &wrong) == -ENOENT, "remove of what is not there");
	if (m->regions[slot].size == 0)
		return;
	expect(m, bn_guest_memory_remove(m->mem, &m->regions[slot]) == 0, "remove");
	m->size -= m->regions[slot].size;
	m->regions[slot].size = 0;
	for (uint32_t i = 0; i < CELLS; i++) {
		if (m->cells[i].owner == slot + 1)
			m->cells[i].owner = 0;
	}
}

static bool points_to(const struct model *m, const void *host, uint64_t addr)
{
	uint64_t aligned = addr & ~7ull;

	return word((const uint8_t *)host - (addr - aligned)) ==
	       m->cells[(aligned - m->base) / 8].offset;
}

static void step_at(struct model *m)
{
	uint64_t addr = m->base + roll(m, (CELLS + 8) * 8), len = roll(m, roll(m, 2) ? 16 : 4096);
	bool held = owner(m, addr) != 0;
	const uint8_t *host = bn_guest_memory_at(m->mem, addr, len), *user;

	for (uint64_t i = 1; i < len; i++)
		held &= owner(m, addr + i) == owner(m, addr);
	expect(m, (host != NULL) == held, "at: held or not");
	expect(m, !host || points_to(m, host, addr), "at: the right bytes");
	user = bn_guest_memory_at_user(m->mem, addr - m->base + USER, len);
	expect(m, user == host, "at_user");
}

static int model_iov(const struct model *m, uint64_t addr, uint64_t len, size_t max)
{
	size_t n = 0;

	for (uint64_t i = 0; i < len; i++) {
		if (!owner(m, addr + i))
			return -EFAULT;
		if (i > 0 && owner(m, addr + i) == owner(m, addr + i - 1))
			continue;
		if (n++ == max)
			return -E2BIG;
	}
	return n;
}

static void step_iov(struct model *m)
{
	uint64_t addr = m->base + roll(m, CELLS * 8), len = roll(m, 8192);
	size_t max = roll(m, 4);
	struct iovec iov[4];
	int n = bn_guest_memory_iov(m->mem, addr, len, iov, max);

	expect(m, n == model_iov(m, addr, len, max), "iov: result");
	for (int i = 0; i < n; i++) {
		expect(m, points_to(m, iov[i].iov_base, addr), "iov: the right bytes");
		addr += iov[i].iov_len;
		len -= iov[i].iov_len;
	}
	expect(m, n < 0 || len == 0, "iov: all bytes");
}

static void step(struct model *m)
{
	static void (*const steps[])(struct model *m) = {step_add, step_add, step_remove, step_at,
		step_at, step_at, step_iov, step_iov, step_iov, step_iov};
	uint64_t generation = bn_guest_memory_generation(m->mem), size = m->size;

	steps[roll(m, sizeof(steps) / sizeof(steps[0]))](m);
	expect(m, bn_guest_memory_size(m->mem) == m->size, "size");
	expect(m, (bn_guest_memory_generation(m->mem) != generation) == (m->size != size),
		"generation");
}

static void test_model(void)
{
	static const uint64_t bases[] = {0, 1ull << 40, UINT64_MAX - CELLS * 8};
	const char *text = getenv("BINNACLE_TEST_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : 20261121;
	static struct model m;

	for (size_t i = 0; i < 3; i++) {
		/* The address space ends at its very top: one byte less than a multiple of 8. */
		m = (struct model){.mem = create(), .fd = pattern_fd(), .base = bases[i] & ~7ull};
		if (i == 2)
			m.base -= 8;
		m.random = seed + i ? seed + i : 1;
		for (unsigned n = 0; n < 4000; n++)
			step(&m);
		CU_ASSERT_EQUAL(m.mistakes, 0);
		bn_guest_memory_destroy(m.mem);
		close(m.fd);
	}
	if (m.mistakes)
		fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"translate", test_translate},
		{"unaligned offset in the file", test_unaligned_offset},
		{"hostile regions", test_hostile_regions},
		{"hostile fds", test_hostile_fds},
		{"far addresses", test_far_addresses},
		{"overlap and remove", test_overlap_and_remove},
		{"all slots", test_slots},
		{"random operations against a model", test_model},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("guest memory", tests);
}
