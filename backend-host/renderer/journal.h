/* An append-only record of device state in a memfd that outlives this process, so that a
 * successor can take over. Two halves: records go into the active one; when it is full, the live
 * state is written into the other and that one becomes active. Killed at any point, the memfd
 * holds either the state before or after the record being written. Contents are hostile when
 * read: a predecessor may have been under a guest's control. */
#ifndef BN_RENDERER_JOURNAL_H
#define BN_RENDERER_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BN_JOURNAL_SIZE_MIN 4096u

struct bn_journal;

struct bn_journal_ops {
	/* Appends everything that is alive, each in as many records as it needs. Called from
	 * bn_journal_append() and bn_journal_compact(). */
	void (*live)(void *data, struct bn_journal *journal);
};

/* Takes ownership of fd whatever the result; size is the memfd's. restore: keep what it holds (a
 * foreign or broken content counts as empty), else start empty. -EINVAL (size), -errno. */
int bn_journal_create(struct bn_journal **out, int fd, uint64_t size, bool restore,
	const struct bn_journal_ops *ops, void *data);
/* NULL is allowed. */
void bn_journal_destroy(struct bn_journal *journal);

/* Hands over each record, oldest first. payload is 8-byte aligned. */
void bn_journal_replay(struct bn_journal *journal,
	void (*record)(void *data, uint32_t type, const void *payload, uint32_t size), void *data);

/* Adds one record: `fixed` followed by `more` (may be NULL with a size of 0). Call it after the
 * state changed: when the half is full, the live state replaces all records and this one is part
 * of it. -ENOSPC when even the live state does not fit (three quarters of a half are for it): then
 * a successor will not know what was left out. journal NULL: 0, nothing. */
int bn_journal_append(struct bn_journal *journal, uint32_t type, const void *fixed,
	size_t fixed_size, const void *more, size_t more_size);
/* Rewrites the live state into the other half. -ENOSPC as above. */
int bn_journal_compact(struct bn_journal *journal);
/* Bytes used in the active half. */
uint64_t bn_journal_used(const struct bn_journal *journal);

#endif
