/* Room for GL contexts, under limits of the test's own. */
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "room.h"

#define MIB (1ull << 20)
#define COST (32 * MIB)
#define RESERVE (16 * MIB)
#define SLACK (4 * MIB) /* what the test itself may take in between */

static struct bn_room room;

/* A field of /proc/self/statm, in bytes. */
static uint64_t used(unsigned field)
{
	unsigned long value[6] = {0};
	FILE *f = fopen("/proc/self/statm", "re");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	for (unsigned i = 0; i < 6; i++)
		CU_ASSERT_EQUAL(fscanf(f, "%lu", &value[i]), 1);
	fclose(f);
	return (uint64_t)value[field] * (uint64_t)sysconf(_SC_PAGESIZE);
}

#define ADDRESS_SPACE 0
#define DATA 5

static void *take(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_PTR_NOT_EQUAL_FATAL(p, MAP_FAILED);
	return p;
}

static void set_limit(int resource, uint64_t bytes, rlim_t *before)
{
	struct rlimit limit;
	CU_ASSERT_EQUAL_FATAL(getrlimit(resource, &limit), 0);
	*before = limit.rlim_cur;
	limit.rlim_cur = bytes;
	CU_ASSERT_EQUAL_FATAL(setrlimit(resource, &limit), 0);
}

static void test_cost(void)
{
	bn_room_init(&room, RESERVE);
	CU_ASSERT_TRUE(room.statm_fd >= 0);
	CU_ASSERT_EQUAL(room.context_cost, 0);
	bn_room_context_begin(&room);
	void *first = take(COST);
	bn_room_context_end(&room);
	CU_ASSERT_TRUE(room.context_cost >= COST && room.context_cost < COST + SLACK);
	/* One that takes less, or gives back, does not make the next one cheaper. */
	uint64_t cost = room.context_cost;
	bn_room_context_begin(&room);
	void *second = take(MIB);
	munmap(first, COST);
	bn_room_context_end(&room);
	CU_ASSERT_EQUAL(room.context_cost, cost);
	munmap(second, MIB);
}

static void check_limit(int resource, unsigned field)
{
	rlim_t before, ignored;
	set_limit(resource, used(field) + RESERVE + 2 * room.context_cost + SLACK, &before);
	CU_ASSERT_TRUE(bn_room_for_contexts(&room, 1, 0));
	CU_ASSERT_TRUE(bn_room_for_contexts(&room, 2, 0));
	CU_ASSERT_FALSE(bn_room_for_contexts(&room, 3, 0));
	/* What is promised to others. */
	CU_ASSERT_TRUE(bn_room_for_contexts(&room, 1, COST));
	CU_ASSERT_FALSE(bn_room_for_contexts(&room, 2, COST));
	CU_ASSERT_FALSE(bn_room_for_contexts(&room, 1, UINT64_MAX));
	CU_ASSERT_FALSE(bn_room_for_contexts(&room, UINT64_MAX, 0));
	/* What others have taken. */
	void *taken = take(COST + 2 * SLACK);
	CU_ASSERT_FALSE(bn_room_for_contexts(&room, 2, 0));
	munmap(taken, COST + 2 * SLACK);
	CU_ASSERT_TRUE(bn_room_for_contexts(&room, 2, 0));
	/* Past the limit already. */
	set_limit(resource, MIB, &ignored);
	CU_ASSERT_FALSE(bn_room_for_contexts(&room, 1, 0));
	set_limit(resource, before, &ignored);
}

static void test_limits(void)
{
	check_limit(RLIMIT_DATA, DATA);
	check_limit(RLIMIT_AS, ADDRESS_SPACE);
}

/* Nothing can be told without /proc: then nobody is refused. */
static void test_blind(void)
{
	struct bn_room blind = {.statm_fd = -1, .reserve = UINT64_MAX};
	bn_room_context_begin(&blind);
	bn_room_context_end(&blind);
	CU_ASSERT_EQUAL(blind.context_cost, 0);
	CU_ASSERT_TRUE(bn_room_for_contexts(&blind, 1, UINT64_MAX));
	bn_room_finish(&blind);
	bn_room_finish(&room);
	CU_ASSERT_EQUAL(room.statm_fd, -1);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"what a context takes", test_cost},
		{"limits", test_limits},
		{"without /proc", test_blind},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("room", tests);
}
