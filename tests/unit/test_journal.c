/* The journal: what comes back after any kind of end. */
#include "journal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/fd.h"
#include "unit.h"

#define SIZE 4096u
#define ITEMS 64u

/* The "device": numbered values; a record sets one, the live state is all that are not 0. */
static uint32_t live[ITEMS];
static uint32_t read_back[ITEMS];
static unsigned records;
static unsigned lives, filler; /* compactions; more that is alive */

struct set {
	uint32_t index, value;
};

static void handle_live(void *data, struct bn_journal *journal)
{
	for (uint32_t i = 0; i < ITEMS; i++) {
		struct set set = {i, live[i]};

		if (live[i])
			bn_journal_append(journal, 1, &set, sizeof(set), NULL, 0);
	}
	for (unsigned i = 0; i < filler; i++)
		bn_journal_append(journal, 2, "filler", 6, NULL, 0);
	lives++;
}

static const struct bn_journal_ops ops = {.live = handle_live};

static void handle_record(void *data, uint32_t type, const void *payload, uint32_t size)
{
	const struct set *set = payload;

	records++;
	CU_ASSERT_EQUAL((uintptr_t)payload % 8, 0);
	if (type == 1 && size == sizeof(*set) && set->index < ITEMS)
		read_back[set->index] = set->value;
}

static struct bn_journal *open_fd(int fd, bool restore)
{
	struct bn_journal *journal = NULL;

	CU_ASSERT_EQUAL_FATAL(
		bn_journal_create(&journal, bn_fd_dup(fd), SIZE, restore, &ops, NULL), 0);
	memset(read_back, 0, sizeof(read_back));
	records = 0;
	bn_journal_replay(journal, handle_record, NULL);
	return journal;
}

static int put(struct bn_journal *journal, uint32_t index, uint32_t value)
{
	struct set set = {index, value};

	live[index] = value;
	return bn_journal_append(journal, 1, &set, sizeof(set), NULL, 0);
}

static void test_append(void)
{
	int fd = bn_memfd_create("journal", SIZE);
	struct bn_journal *journal = open_fd(fd, false);

	memset(live, 0, sizeof(live));
	CU_ASSERT_EQUAL(put(journal, 3, 30), 0);
	CU_ASSERT_EQUAL(put(journal, 4, 40), 0);
	CU_ASSERT_EQUAL(put(journal, 3, 31), 0);
	CU_ASSERT_EQUAL(bn_journal_append(journal, 2, "odd", 3, "payload", 7), 0);
	bn_journal_destroy(journal);
	journal = open_fd(fd, true);
	CU_ASSERT_EQUAL(records, 4);
	CU_ASSERT_EQUAL(memcmp(live, read_back, sizeof(live)), 0);
	bn_journal_destroy(journal);
	journal = open_fd(fd, false);
	CU_ASSERT_EQUAL(records, 0);
	bn_journal_destroy(journal);
	bn_journal_destroy(NULL);
	CU_ASSERT_EQUAL(bn_journal_append(NULL, 1, NULL, 0, NULL, 0), 0);
	bn_fd_close(&fd);
}

static void test_compaction(void)
{
	int fd = bn_memfd_create("journal", SIZE);
	struct bn_journal *journal = open_fd(fd, false);

	memset(live, 0, sizeof(live));
	for (uint32_t i = 0; i < 5000; i++) {
		CU_ASSERT_EQUAL(put(journal, i * 7 % ITEMS, i % 5 ? i : 0), 0);
		if (i % 500 == 499) {
			struct bn_journal *other = open_fd(fd, true);

			CU_ASSERT_EQUAL(memcmp(live, read_back, sizeof(live)), 0);
			bn_journal_destroy(other);
		}
	}
	bn_journal_destroy(journal);
	bn_fd_close(&fd);
}

static void test_overflow(void)
{
	static const char big[3000];
	int fd = bn_memfd_create("journal", SIZE);
	struct bn_journal *journal = open_fd(fd, false);

	memset(live, 0, sizeof(live));
	CU_ASSERT_EQUAL(put(journal, 1, 10), 0);
	/* Too long for any half: the rest is kept. What was not live any more is gone. */
	CU_ASSERT_EQUAL(bn_journal_append(journal, 9, big, sizeof(big), NULL, 0), 0);
	CU_ASSERT_EQUAL(put(journal, 2, 20), 0);
	bn_journal_destroy(journal);
	bn_journal_destroy(open_fd(fd, true));
	CU_ASSERT_EQUAL(memcmp(live, read_back, sizeof(live)), 0);
	bn_fd_close(&fd);
}

/* More is alive than fits: what fits is kept, and not all of it is written for each record. */
static void test_too_much(void)
{
	int fd = bn_memfd_create("journal", SIZE);
	struct bn_journal *journal = open_fd(fd, false);

	memset(live, 0, sizeof(live));
	filler = SIZE / 16;
	lives = 0;
	for (uint32_t i = 0; i < 300; i++)
		put(journal, i % 16, i + 1);
	CU_ASSERT_TRUE(lives > 1 && lives < 15);
	bn_journal_destroy(journal);
	bn_journal_destroy(open_fd(fd, true));
	CU_ASSERT_EQUAL(memcmp(live, read_back, sizeof(live)), 0);
	filler = 0;
	bn_fd_close(&fd);
}

/* ---- killed at any byte ---- */

static int copy_of(const uint8_t *bytes)
{
	int fd = bn_memfd_create("copy", SIZE);

	CU_ASSERT_EQUAL_FATAL(pwrite(fd, bytes, SIZE, 0), SIZE);
	return fd;
}

/* Between two states of the file: all bytes that differ written up to some point, in rising
 * order except the header's words, which come last, each whole: that is the order of the code. */
static void check_between(const uint8_t *before, const uint8_t *after, const uint32_t *old_values,
	const uint32_t *new_values)
{
	enum { HEADER = 64 };
	uint8_t torn[SIZE];

	memcpy(torn, before, SIZE);
	for (unsigned i = HEADER; i < SIZE; i++) {
		int fd;

		if (torn[i] == after[i])
			continue;
		torn[i] = after[i];
		fd = copy_of(torn);
		bn_journal_destroy(open_fd(fd, true));
		CU_ASSERT_EQUAL(memcmp(old_values, read_back, sizeof(read_back)), 0);
		bn_fd_close(&fd);
	}
	/* The inactive half's length first, the switch last. */
	for (unsigned i = HEADER; i > 0; i -= 8) {
		int fd;
		bool is_old, is_new;

		memcpy(torn + i - 8, after + i - 8, 8);
		fd = copy_of(torn);
		bn_journal_destroy(open_fd(fd, true));
		is_old = memcmp(old_values, read_back, sizeof(read_back)) == 0;
		is_new = memcmp(new_values, read_back, sizeof(read_back)) == 0;
		CU_ASSERT_TRUE(is_old || is_new);
		bn_fd_close(&fd);
	}
}

static void test_killed(void)
{
	int fd = bn_memfd_create("journal", SIZE);
	struct bn_journal *journal = open_fd(fd, false);
	uint8_t before[SIZE], after[SIZE];
	uint32_t old_values[ITEMS];

	memset(live, 0, sizeof(live));
	for (uint32_t i = 1; i < 300; i++) { /* some of these compact */
		CU_ASSERT_EQUAL(pread(fd, before, SIZE, 0), SIZE);
		memcpy(old_values, live, sizeof(live));
		put(journal, i % 16, i * 0x01010101u);
		CU_ASSERT_EQUAL(pread(fd, after, SIZE, 0), SIZE);
		check_between(before, after, old_values, live);
	}
	bn_journal_destroy(journal);
	bn_fd_close(&fd);
}

static void test_hostile(void)
{
	uint8_t bytes[SIZE];
	int fd = bn_memfd_create("journal", SIZE);
	struct bn_journal *journal = open_fd(fd, false);

	memset(live, 0, sizeof(live));
	for (uint32_t i = 0; i < 20; i++)
		put(journal, i, i + 1);
	bn_journal_destroy(journal);
	CU_ASSERT_EQUAL(pread(fd, bytes, SIZE, 0), SIZE);
	bn_fd_close(&fd);
	srand(1);
	for (unsigned i = 0; i < 3000; i++) {
		uint8_t bad[SIZE];

		memcpy(bad, bytes, SIZE);
		for (int k = 0; k < 8; k++)
			bad[8 + rand() % (i % 2 ? 400 : 56)] = (uint8_t)rand();
		fd = copy_of(bad);
		bn_journal_destroy(open_fd(fd, true));
		bn_fd_close(&fd);
	}
}

static void test_create_checks(void)
{
	struct bn_journal *journal;
	int fd = bn_memfd_create("journal", SIZE);

	CU_ASSERT_TRUE(bn_journal_create(&journal, bn_fd_dup(fd), 100, false, &ops, NULL) < 0);
	CU_ASSERT_TRUE(bn_journal_create(&journal, bn_fd_dup(fd), 2 * SIZE, false, &ops, NULL) < 0);
	bn_fd_close(&fd);
	fd = memfd_create("unsealed", MFD_CLOEXEC);
	CU_ASSERT_EQUAL(ftruncate(fd, SIZE), 0);
	CU_ASSERT_TRUE(bn_journal_create(&journal, fd, SIZE, false, &ops, NULL) < 0);
}

int main(void)
{
	const CU_TestInfo tests[] = {
		{"append and replay", test_append},
		{"compaction", test_compaction},
		{"too long", test_overflow},
		{"more than fits", test_too_much},
		{"killed at any byte", test_killed},
		{"hostile contents", test_hostile},
		{"creation", test_create_checks},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("journal", tests);
}
