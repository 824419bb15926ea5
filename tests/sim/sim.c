#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"

/* ---- random numbers ---- */

static uint64_t seed(void)
{
	static uint64_t value;
	const char *text = getenv("BINNACLE_TEST_SEED");

	if (value == 0) {
		value = text ? strtoull(text, NULL, 0) : 20261121;
		printf("\nBINNACLE_TEST_SEED=%llu\n", (unsigned long long)value);
	}
	return value;
}

struct sim_random sim_random(uint64_t stream)
{
	struct sim_random r = {.state = seed() + stream * 0x9e3779b97f4a7c15ull};

	return r;
}

uint64_t sim_next(struct sim_random *r) /* splitmix64 */
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint64_t sim_below(struct sim_random *r, uint64_t n)
{
	return sim_next(r) % n;
}

uint64_t sim_within(struct sim_random *r, struct sim_range range)
{
	return range.min + sim_below(r, range.max - range.min + 1);
}

/* ---- checks ---- */

static unsigned failures;

void sim_failed(const char *file, int line, const char *condition, const char *format, ...)
{
	va_list args;

	if (++failures > 10)
		return;
	printf("%s:%d: %.9f s, seed %llu: %s: ", file, line, (double)sim_now() / 1e9,
		(unsigned long long)seed(), condition);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

void sim_settle(void)
{
	if (failures > 10)
		printf("%u checks failed\n", failures);
	CU_ASSERT_EQUAL(failures, 0);
	failures = 0;
}

/* ---- time ---- */

struct event {
	uint64_t at, order;
	sim_event *run;
	void *data;
	uint64_t arg;
};

static struct event *heap; /* a binary heap, the first is next */
static size_t count, room;
static uint64_t now = 1000 * S, next_order;

uint64_t bn_now_ns(void)
{
	return now;
}

static uint64_t now_simulated(void *data)
{
	return now;
}

const struct bn_clock bn_clock_monotonic = {.now = now_simulated};

uint64_t sim_now(void)
{
	return now;
}

static bool before(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void sim_at(uint64_t at, sim_event *run, void *data, uint64_t arg)
{
	struct event event = {at < now ? now : at, next_order++, run, data, arg};
	size_t i = count++;

	if (count > room) {
		room = room ? room * 2 : 256;
		heap = realloc(heap, room * sizeof(*heap));
		if (!heap)
			abort();
	}
	for (; i > 0 && before(&event, &heap[(i - 1) / 2]); i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = event;
}

static struct event take_first(void)
{
	struct event first = heap[0], last = heap[--count];
	size_t i = 0, child;

	for (; (child = 2 * i + 1) < count; i = child) {
		if (child + 1 < count && before(&heap[child + 1], &heap[child]))
			child++;
		if (!before(&heap[child], &last))
			break;
		heap[i] = heap[child];
	}
	heap[i] = last;
	return first;
}

bool sim_step(uint64_t until)
{
	struct event event;

	if (count == 0 || heap[0].at > until) {
		now = until;
		return false;
	}
	event = take_first();
	now = event.at;
	event.run(event.data, event.arg);
	return true;
}

void sim_clear(void)
{
	count = 0;
	free(heap);
	heap = NULL;
	room = 0;
}

void sim_rewind(uint64_t to)
{
	sim_clear();
	now = to;
}
