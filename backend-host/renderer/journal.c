#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/fd.h"
#include "common/log.h"
#include "journal.h"

#define JOURNAL_MAGIC 0x314c4e4a4e49424eull

/* Both commit points are single aligned 64-bit stores: `active` for a switch of halves, `used`
 * for a record. A process that is killed leaves its stores in program order. */
struct journal_file {
	uint64_t magic;
	uint64_t active; /* 0 or 1 */
	struct {
		uint64_t used; /* bytes of whole records */
	} half[2];
	uint64_t reserved[4];
	unsigned char bytes[];
};

struct journal_record {
	uint32_t type, size; /* of the payload, which is padded to 8 bytes */
};

struct bn_journal {
	const struct bn_journal_ops *ops;
	void *data;
	struct journal_file *file;
	uint64_t file_size, half_size;
	unsigned active; /* our own copy: the mapped one is only written */
	uint64_t used;
	bool compacting, overflow;
	unsigned long overflows;
};

#define store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

static unsigned char *half_bytes(const struct bn_journal *journal, unsigned half)
{
	return journal->file->bytes + half * journal->half_size;
}

static uint64_t record_bytes(uint64_t payload)
{
	return sizeof(struct journal_record) + ((payload + 7) & ~7ull);
}

static void journal_load(struct bn_journal *journal, bool restore)
{
	struct journal_file *file = journal->file;

	if (restore && file->magic == JOURNAL_MAGIC && file->active <= 1) {
		journal->active = (unsigned)file->active;
		journal->used = file->half[journal->active].used;
		if (journal->used <= journal->half_size)
			return;
		bn_warn("journal: broken, starting without it");
	}
	journal->active = 0;
	journal->used = 0;
	file->half[0].used = 0;
	file->active = 0;
	store_release(&file->magic, JOURNAL_MAGIC);
}

int bn_journal_create(struct bn_journal **out, int fd, uint64_t size, bool restore,
	const struct bn_journal_ops *ops, void *data)
{
	struct bn_journal *journal = NULL;
	int r = -EINVAL;

	if (size < BN_JOURNAL_SIZE_MIN || size > SIZE_MAX)
		goto done;
	r = bn_memfd_check(fd, size);
	if (r < 0)
		goto done;
	r = -ENOMEM;
	journal = calloc(1, sizeof(*journal));
	if (!journal)
		goto done;
	journal->ops = ops;
	journal->data = data;
	journal->file_size = size;
	journal->half_size = (size - sizeof(struct journal_file)) / 2 & ~7ull;
	journal->file = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (journal->file == MAP_FAILED) {
		r = -errno;
		free(journal);
		goto done;
	}
	journal_load(journal, restore);
	*out = journal;
	r = 0;
done:
	bn_fd_close(&fd);
	return r;
}

void bn_journal_destroy(struct bn_journal *journal)
{
	if (!journal)
		return;
	munmap(journal->file, journal->file_size);
	free(journal);
}

void bn_journal_replay(struct bn_journal *journal,
	void (*record)(void *data, uint32_t type, const void *payload, uint32_t size), void *data)
{
	const unsigned char *bytes = half_bytes(journal, journal->active);
	uint64_t at = 0;

	while (journal->used - at >= sizeof(struct journal_record)) {
		struct journal_record head;

		memcpy(&head, bytes + at, sizeof(head));
		if (record_bytes(head.size) > journal->used - at) {
			bn_warn("journal: a record is longer than what is left, the rest is "
				"ignored");
			return;
		}
		record(data, head.type, bytes + at + sizeof(head), head.size);
		at += record_bytes(head.size);
	}
}

static void journal_write(struct bn_journal *journal, uint32_t type, const void *fixed,
	size_t fixed_size, const void *more, size_t more_size)
{
	struct journal_record head = {.type = type, .size = (uint32_t)(fixed_size + more_size)};
	unsigned char *at = half_bytes(journal, journal->active) + journal->used;

	memcpy(at, &head, sizeof(head));
	if (fixed_size > 0)
		memcpy(at + sizeof(head), fixed, fixed_size);
	if (more_size > 0)
		memcpy(at + sizeof(head) + fixed_size, more, more_size);
	journal->used += record_bytes(head.size);
	store_release(&journal->file->half[journal->active].used, journal->used);
}

int bn_journal_append(struct bn_journal *journal, uint32_t type, const void *fixed,
	size_t fixed_size, const void *more, size_t more_size)
{
	uint64_t size = (uint64_t)fixed_size + more_size, room;

	if (!journal)
		return 0;
	room = journal->half_size - journal->used;
	/* Live state never fills a half: or, once it is that large, each further record would have
	 * all of it written anew. */
	if (journal->compacting)
		room = room > journal->half_size / 4 ? room - journal->half_size / 4 : 0;
	if (size <= UINT32_MAX && record_bytes(size) <= room) {
		journal_write(journal, type, fixed, fixed_size, more, more_size);
		return 0;
	}
	if (journal->compacting) {
		journal->overflow = true;
		return -ENOSPC;
	}
	return bn_journal_compact(journal);
}

int bn_journal_compact(struct bn_journal *journal)
{
	unsigned other = 1 - journal->active;

	journal->compacting = true;
	journal->overflow = false;
	journal->active = other;
	journal->used = 0;
	store_release(&journal->file->half[other].used, 0);
	journal->ops->live(journal->data, journal);
	store_release(&journal->file->active, (uint64_t)other);
	journal->compacting = false;
	if (!journal->overflow)
		return 0;
	if (bn_log_gate(&journal->overflows))
		bn_warn("journal: the live state needs more than %llu bytes; a restart would "
			"lose part of it",
			(unsigned long long)(journal->half_size / 4 * 3));
	return -ENOSPC;
}

uint64_t bn_journal_used(const struct bn_journal *journal)
{
	return journal->used;
}
