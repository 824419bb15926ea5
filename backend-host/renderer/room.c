#include "room.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"

/* Bytes, as the kernel counts them for the limits of that name, less what malloc() can give out again. */
struct usage {
	uint64_t address_space, data;
};

/* What contexts that are gone have left behind stays in the heap, for the next one. */
static uint64_t heap_free(void)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
	return mallinfo2().fordblks;
#else
	return 0;
#endif
}

static uint64_t less(uint64_t bytes, uint64_t by)
{
	return bytes > by ? bytes - by : 0;
}

void bn_room_init(struct bn_room *room, uint64_t reserve)
{
	*room = (struct bn_room){.reserve = reserve};
	room->statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	if (room->statm_fd < 0)
		bn_warn("/proc/self/statm: %s: a guest that makes too many GL contexts ends this "
			"renderer; mount /proc for the service",
			strerror(errno));
}

void bn_room_finish(struct bn_room *room)
{
	bn_fd_close(&room->statm_fd);
}

static bool usage_read(const struct bn_room *room, struct usage *usage)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), unused = heap_free();
	unsigned long size, data;
	char text[128];
	ssize_t n = room->statm_fd < 0 ? -1 : pread(room->statm_fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return false;
	text[n] = '\0';
	/* size resident shared text lib data, in pages */
	if (sscanf(text, "%lu %*u %*u %*u %*u %lu", &size, &data) != 2)
		return false;
	usage->address_space = less(size * page, unused);
	usage->data = less(data * page, unused);
	return true;
}

static bool fits(int resource, uint64_t used, uint64_t need)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return true;
	return used <= limit.rlim_cur && need <= limit.rlim_cur - used;
}

bool bn_room_for_contexts(struct bn_room *room, uint64_t count, uint64_t promised)
{
	struct usage usage;
	uint64_t need;

	if (!usage_read(room, &usage))
		return true;
	if (__builtin_mul_overflow(count, room->context_cost, &need) ||
		__builtin_add_overflow(need, room->reserve, &need) ||
		__builtin_add_overflow(need, promised, &need))
		return false;
	return fits(RLIMIT_DATA, usage.data, need) && fits(RLIMIT_AS, usage.address_space, need);
}

void bn_room_context_begin(struct bn_room *room)
{
	struct usage usage;

	room->before = usage_read(room, &usage) ? usage.data : UINT64_MAX;
}

void bn_room_context_end(struct bn_room *room)
{
	struct usage usage;

	if (usage_read(room, &usage) && usage.data > room->before &&
		usage.data - room->before > room->context_cost)
		room->context_cost = usage.data - room->before;
}
