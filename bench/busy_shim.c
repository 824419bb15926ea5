/* LD_PRELOAD shim: how long a program's main thread works between two waits of its event loop (libwayland-server's: binnacled, weston).
 *
 * It is for kernels that count a task's processor time in ticks, as User-Mode Linux does (10 ms, its sched_clock() being jiffies): a thread that wakes for 0.3 ms
 * at each vblank is counted wrongly there, however long one looks. Time between epoll_wait's return and the next call is exact for a thread that nobody
 * preempts (SCHED_FIFO); what is not in it is the kernel's part of falling asleep and waking up, what is too much are the two clock readings themselves.
 *
 *   BUSY_PROGRAM  name of the program that is meant; its children inherit the shim
 *   BUSY_FILE     two 64-bit numbers, mapped: nanoseconds of work, waits */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { WORK_NS, WAITS, NUMBERS };

static uint64_t *number;
static uint64_t began; /* of the work since the last wait; 0: no wait yet */
static __thread bool is_main;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

__attribute__((constructor)) static void open_file(void)
{
	const char *program = getenv("BUSY_PROGRAM"), *path = getenv("BUSY_FILE");
	size_t size = NUMBERS * sizeof(*number);
	void *map;
	int fd;

	if (!program || !path || strcmp(program, program_invocation_short_name) != 0)
		return;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	map = ftruncate(fd, (off_t)size) < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return;
	number = map;
	is_main = true;
}

__attribute__((visibility("default"))) int epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
	static int (*real)(int, struct epoll_event *, int, int);
	uint64_t start;
	int n, error;

	if (!real)
		real = (int (*)(int, struct epoll_event *, int, int))dlsym(RTLD_NEXT, "epoll_wait");
	/* Not the main thread, or a look without a wait: part of the work. */
	if (!is_main || timeout == 0)
		return real(fd, events, max, timeout);
	start = now_ns();
	if (began)
		number[WORK_NS] += start - began;
	n = real(fd, events, max, timeout);
	error = errno;
	began = now_ns();
	number[WAITS]++;
	errno = error;
	return n;
}
