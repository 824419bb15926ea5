/* The journal under kills and under a hostile predecessor.
 *
 * The code under test is included here with its two ways of storing into the shared file
 * replaced: a copy happens byte by byte, in rising, falling or rotated order, and after each
 * byte, as after each word that commits something, the file is looked at as a successor would
 * find it. It must be the state before the operation or the one after it, and never go back. Now
 * and then the process really ends at such a point (longjmp) and a successor goes on. */
#include <errno.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "sim.h"

static void *watched_copy(void *to, const void *from, size_t n);
static void watched_store(uint64_t *to, uint64_t value);

#define memcpy(to, from, n) watched_copy(to, from, n)
#define __atomic_store_n(p, v, order) watched_store(p, v)
#include "../../backend-host/renderer/journal.c"
#undef memcpy
#undef __atomic_store_n

#define OBJECTS 16u
#define SIZE_MAX_HERE (3u * 4096)

static struct sim_random dice;

/* ---- the device: numbered objects, each with the serial number of its contents (0: none) ---- */

struct state {
	uint32_t serial[OBJECTS];
};

struct record {
	uint32_t object, serial;
};

enum { SET = 1, GONE };

static struct state live;
static uint32_t last_serial;
static uint32_t payload_max; /* bytes of an object's contents */

static size_t payload_size(uint32_t serial)
{
	return serial * 2654435761u % (payload_max + 1);
}

static void payload_fill(uint32_t serial, uint8_t *bytes)
{
	for (size_t i = 0; i < payload_size(serial); i++)
		bytes[i] = (uint8_t)(serial * 31 + i);
}

static int object_write(struct bn_journal *journal, uint32_t object)
{
	struct record record = {object, live.serial[object]};
	uint8_t bytes[1024];

	if (record.serial == 0)
		return bn_journal_append(journal, GONE, &record, sizeof(record), NULL, 0);
	payload_fill(record.serial, bytes);
	return bn_journal_append(
		journal, SET, &record, sizeof(record), bytes, payload_size(record.serial));
}

static void handle_live(void *data, struct bn_journal *journal)
{
	for (uint32_t i = 0; i < OBJECTS; i++) {
		if (live.serial[i] != 0)
			object_write(journal, i);
	}
}

static const struct bn_journal_ops ops = {.live = handle_live};

/* ---- the successor ---- */

struct reader {
	const uint8_t *from, *to; /* all that it may be given */
	bool hostile;             /* contents may be anything */
	struct state state;
};

static void handle_record(void *data, uint32_t type, const void *payload, uint32_t size)
{
	struct reader *reader = data;
	const struct record *record = payload;
	const uint8_t *bytes = payload;
	uint8_t wanted[1024];

	SIM_CHECK(bytes >= reader->from && size <= (size_t)(reader->to - bytes),
		"a record beyond the file");
	SIM_CHECK((uintptr_t)payload % 8 == 0, "a record that is not aligned");
	if (reader->hostile) {
		volatile uint8_t sum = 0;

		for (uint32_t i = 0; i < size; i++)
			sum ^= bytes[i];
		return;
	}
	SIM_CHECK(size >= sizeof(*record) && record->object < OBJECTS, "a broken record");
	payload_fill(record->serial, wanted);
	if (type == SET)
		SIM_CHECK(size == sizeof(*record) + payload_size(record->serial) &&
				  memcmp(record + 1, wanted, size - sizeof(*record)) == 0,
			"a torn record");
	reader->state.serial[record->object] = type == SET ? record->serial : 0;
}

/* Whatever lies outside of it faults. */
static uint8_t *guarded;

static void guarded_init(void)
{
	guarded =
		mmap(NULL, SIZE_MAX_HERE + 2 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	guarded += 4096;
	mprotect(guarded, SIZE_MAX_HERE, PROT_READ | PROT_WRITE);
}

/* What a successor makes of these bytes. They end where the guard begins (but for the alignment
 * that a mapping has). */
static struct state look(const void *bytes, uint64_t size, bool hostile)
{
	uint8_t *copy = guarded + SIZE_MAX_HERE - (size + 7) / 8 * 8;
	struct bn_journal journal = {
		.file = (void *)copy,
		.file_size = size,
		.half_size = (size - sizeof(struct journal_file)) / 2 & ~7ull,
	};
	struct reader reader = {.from = copy, .to = copy + size, .hostile = hostile};

	memcpy(copy, bytes, size);
	journal_load(&journal, true);
	bn_journal_replay(&journal, handle_record, &reader);
	return reader.state;
}

/* ---- the file being written ---- */

static struct {
	uint8_t *file; /* NULL: nobody watches */
	uint64_t size;
	struct state before, after;
	bool passed; /* the state after the operation was seen */
	bool lossy;  /* the operation may leave things out */
	uint64_t die_in;
	jmp_buf dead;
} watch;
static uint64_t looks, deaths;

static bool same(const struct state *a, const struct state *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* Nothing in it that is not in the other. */
static bool part_of(const struct state *a, const struct state *b)
{
	for (unsigned i = 0; i < OBJECTS; i++) {
		if (a->serial[i] != 0 && a->serial[i] != b->serial[i])
			return false;
	}
	return true;
}

static void stored(void)
{
	struct state seen = look(watch.file, watch.size, false);
	bool before = watch.lossy ? part_of(&seen, &watch.before) : same(&seen, &watch.before);
	bool after = watch.lossy ? part_of(&seen, &watch.after) : same(&seen, &watch.after);

	looks++;
	SIM_CHECK(before || after, "neither the state before nor the one after");
	SIM_CHECK(!watch.passed || after, "back to the state before");
	watch.passed = watch.passed || (after && !before);
	if (watch.die_in-- == 0)
		longjmp(watch.dead, 1);
}

static bool is_watched(const void *to)
{
	return watch.file && (const uint8_t *)to >= watch.file &&
	       (const uint8_t *)to < watch.file + watch.size;
}

static void *watched_copy(void *to, const void *from, size_t n)
{
	uint64_t way = sim_below(&dice, 3), start;

	if (!is_watched(to))
		return memcpy(to, from, n);
	SIM_CHECK(n <= (size_t)(watch.file + watch.size - (uint8_t *)to), "a copy beyond the file");
	/* n bytes from a random one on, round and round, in steps that meet each once. */
	start = way == 2 ? sim_below(&dice, n) : 0;
	for (size_t i = 0; i < n; i++) {
		size_t at = way == 1 ? n - 1 - i : (start + i) % n;

		((uint8_t *)to)[at] = ((const uint8_t *)from)[at];
		stored();
	}
	return to;
}

static void watched_store(uint64_t *to, uint64_t value)
{
	__atomic_store_n(to, value, __ATOMIC_RELEASE);
	if (is_watched(to))
		stored();
}

/* ---- lives ---- */

static struct bn_journal *open_journal(int fd, uint64_t size, bool restore, struct state *state)
{
	struct bn_journal *journal = NULL;
	struct reader reader = {0};
	int r = bn_journal_create(&journal, bn_fd_dup(fd), size, restore, &ops, NULL);

	CU_ASSERT_EQUAL_FATAL(r, 0);
	reader.from = (const uint8_t *)journal->file;
	reader.to = reader.from + size;
	bn_journal_replay(journal, handle_record, &reader);
	*state = reader.state;
	return journal;
}

static void watch_begin(struct bn_journal *journal, const struct state *before)
{
	watch.file = (uint8_t *)journal->file;
	watch.size = journal->file_size;
	watch.before = *before;
	watch.after = live;
	watch.passed = false;
	watch.die_in = sim_one_in(&dice, 4) ? sim_below(&dice, 80) : UINT64_MAX;
}

enum operation { CHANGE, RESET };

/* One operation of the device; -ENOSPC is legal only when things may be left out. False: it
 * died. */
static bool operate(struct bn_journal *journal, enum operation operation, uint32_t object,
	const struct state *before)
{
	int r;

	if (setjmp(watch.dead)) {
		watch.file = NULL;
		deaths++;
		return false;
	}
	watch_begin(journal, before);
	r = operation == RESET ? bn_journal_compact(journal) : object_write(journal, object);
	watch.file = NULL;
	SIM_CHECK(r == 0 || (r == -ENOSPC && watch.lossy), "error %d", r);
	return true;
}

/* What a renderer does that takes over: reads, makes everything again, writes it down. It may
 * die over that, too. */
static struct bn_journal *take_over(int fd, uint64_t size)
{
	struct bn_journal *journal;
	struct state was = live, found;

	do {
		journal = open_journal(fd, size, true, &found);
		if (watch.lossy)
			SIM_CHECK(part_of(&found, &was) || part_of(&found, &watch.before),
				"neither state, in the file");
		else
			SIM_CHECK(same(&found, &was) || same(&found, &watch.before),
				"neither state, in the file");
		live = found;
		was = found;
		if (operate(journal, RESET, 0, &found))
			return journal;
		bn_journal_destroy(journal);
	} while (true);
}

static void change(struct bn_journal **journal, int fd, uint64_t size)
{
	struct state before = live;
	uint32_t object = (uint32_t)sim_below(&dice, OBJECTS);
	enum operation operation = sim_one_in(&dice, 100) ? RESET : CHANGE;

	if (operation == RESET)
		memset(&live, 0, sizeof(live));
	else
		live.serial[object] = sim_one_in(&dice, 4) ? 0 : ++last_serial;
	if (operate(*journal, operation, object, &before))
		return;
	bn_journal_destroy(*journal);
	*journal = take_over(fd, size);
}

static void lives(uint64_t size, uint32_t payload, bool lossy, unsigned operations)
{
	int fd = bn_memfd_create("journal", size);
	struct state state;
	struct bn_journal *journal;

	memset(&live, 0, sizeof(live));
	payload_max = payload;
	watch.lossy = lossy;
	journal = open_journal(fd, size, false, &state);
	for (unsigned i = 0; i < operations; i++)
		change(&journal, fd, size);
	bn_journal_destroy(journal);
	bn_fd_close(&fd);
}

static const uint64_t sizes[] = {4096, 4104, 6001, 8192, 12288};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void test_killed(void)
{
	for (unsigned i = 0; i < SIZES; i++)
		lives(sizes[i], 40, false, 4000);
	printf("%llu points, %llu deaths ", (unsigned long long)looks, (unsigned long long)deaths);
	CU_ASSERT_TRUE(looks > 500000);
	CU_ASSERT_TRUE(deaths > 1000);
	sim_settle();
}

/* More than the journal holds: what it has is right, some is missing; nothing old comes back. */
static void test_overflow(void)
{
	for (unsigned i = 0; i < SIZES; i++)
		lives(sizes[i], 900, true, 300);
	sim_settle();
}

/* ---- hostile contents ---- */

static void corrupt(uint8_t *bytes, uint64_t size)
{
	static const uint64_t words[] = {0, 1, 2, 7, 8, 9, 0xffffffff, 0xfffffff8, 0x100000000ull,
		UINT64_MAX, UINT64_MAX - 7, INT64_MAX};
	uint64_t at = sim_one_in(&dice, 2) ? sim_below(&dice, 64) : sim_below(&dice, size);
	uint64_t word;

	switch (sim_below(&dice, 4)) {
	case 0:
		bytes[at] ^= (uint8_t)(1u << sim_below(&dice, 8));
		break;
	case 1:
		word = words[sim_below(&dice, sizeof(words) / sizeof(words[0]))];
		memcpy(bytes + at / 8 * 8 - (at / 8 * 8 + 8 > size ? 8 : 0), &word, 8);
		break;
	case 2: /* near the size of a half */
		word = (size - 64) / 2 + sim_below(&dice, 64) - 32;
		memcpy(bytes + 8 + 8 * sim_below(&dice, 3), &word, 8);
		break;
	default:
		for (uint64_t n = sim_below(&dice, 64); n > 0 && at < size; n--)
			bytes[at++] = (uint8_t)sim_next(&dice);
		break;
	}
}

/* The successor of a hostile process reads nothing outside, and what it writes itself is whole. */
static void hostile(uint64_t size, const uint8_t *sound)
{
	static uint8_t bytes[SIZE_MAX_HERE];
	int fd = bn_memfd_create("journal", size);
	struct bn_journal *journal;
	struct reader reader = {.hostile = true};
	struct state found;

	memcpy(bytes, sound, size);
	for (uint64_t n = 1 + sim_below(&dice, 4); n > 0; n--)
		corrupt(bytes, size);
	look(bytes, size, true);
	CU_ASSERT_EQUAL_FATAL(pwrite(fd, bytes, size, 0), (ssize_t)size);
	CU_ASSERT_EQUAL_FATAL(
		bn_journal_create(&journal, bn_fd_dup(fd), size, true, &ops, NULL), 0);
	reader.from = (const uint8_t *)journal->file;
	reader.to = reader.from + size;
	bn_journal_replay(journal, handle_record, &reader);
	SIM_CHECK(bn_journal_used(journal) <= journal->half_size, "%llu bytes in a half",
		(unsigned long long)bn_journal_used(journal));
	if (sim_one_in(&dice, 2)) {
		watch.file = NULL;
		object_write(journal, 0); /* wherever it lands, within the file */
	}
	bn_journal_compact(journal);
	bn_journal_destroy(journal);
	bn_journal_destroy(open_journal(fd, size, true, &found));
	SIM_CHECK(same(&found, &live), "the new state is not what was written");
	bn_fd_close(&fd);
}

static void test_hostile(void)
{
	static uint8_t sound[SIZE_MAX_HERE];

	for (unsigned i = 0; i < SIZES; i++) {
		int fd = bn_memfd_create("journal", sizes[i]);
		struct state state;
		struct bn_journal *journal = open_journal(fd, sizes[i], false, &state);

		payload_max = 40;
		memset(&live, 0, sizeof(live));
		for (unsigned k = 0; k < 100; k++) {
			uint32_t object = k % OBJECTS;

			live.serial[object] = ++last_serial;
			object_write(journal, object);
		}
		CU_ASSERT_EQUAL_FATAL(pread(fd, sound, sizes[i], 0), (ssize_t)sizes[i]);
		bn_journal_destroy(journal);
		bn_fd_close(&fd);
		for (unsigned k = 0; k < 6000; k++)
			hostile(sizes[i], sound);
	}
	sim_settle();
}

int main(void)
{
	const CU_TestInfo tests[] = {
		{"killed at any byte", test_killed},
		{"more than fits", test_overflow},
		{"hostile contents", test_hostile},
		CU_TEST_INFO_NULL,
	};

	dice = sim_random(3);
	guarded_init();
	bn_log_init(BN_LOG_ERROR, "sim");
	return bn_unit_main("sim_journal", tests);
}
