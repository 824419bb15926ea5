#include "scheduler/trace.h"

#include <errno.h>
#include <stdlib.h>

#include "trace_priv.h"

/* The ring. A writer takes the next number, and with it a slot, whose `seq` tells how far it is:
 * 2n + 1 while event n is being written, 2n + 2 when it is there. A slot is only taken from a
 * finished, older event, so two writers are never in one slot: who was overtaken by a whole lap
 * drops his event. A reader copies a slot and believes the copy when seq was, before and after,
 * that of the event it came for. */

#define EVENTS_MIN 16u
#define EVENTS_MAX (1u << 24)

struct slot {
	uint64_t seq;
	uint64_t start_ns, end_ns, value;
	uint64_t what; /* kind | vm << 8 | detail << 32 */
};
_Static_assert(sizeof(struct slot) == 40, "as trace.h says");

struct bn_trace {
	uint64_t next;        /* number of the next event */
	uint64_t lost_end_ns; /* greatest end of an event that was overwritten */
	uint64_t mask;
	struct slot slot[];
};

static uint64_t load(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void store(uint64_t *p, uint64_t value)
{
	__atomic_store_n(p, value, __ATOMIC_RELEASE);
}

struct bn_trace *bn_trace_create(uint32_t events)
{
	uint64_t size = EVENTS_MIN;
	while (size < events && size < EVENTS_MAX)
		size *= 2;
	struct bn_trace *t = calloc(1, sizeof(*t) + size * sizeof(t->slot[0]));
	if (!t)
		return NULL;
	t->mask = size - 1;
	/* Whoever adds an event shall not wait for its page. */
	for (uint64_t n = 0; n < size; n++)
		store(&t->slot[n].seq, 0);
	return t;
}

void bn_trace_destroy(struct bn_trace *trace)
{
	free(trace);
}

static void raise_to(uint64_t *p, uint64_t value)
{
	uint64_t was = load(p);
	while (was < value && !__atomic_compare_exchange_n(
				      p, &was, value, true, __ATOMIC_RELEASE, __ATOMIC_ACQUIRE))
		;
}

void bn_trace_add(struct bn_trace *t, enum bn_trace_kind kind, unsigned vm, uint64_t start_ns,
	uint64_t end_ns, uint64_t value, unsigned detail)
{
	if (!t)
		return;
	uint64_t n = __atomic_fetch_add(&t->next, 1, __ATOMIC_RELAXED);
	struct slot *s = &t->slot[n & t->mask];
	uint64_t seq = load(&s->seq);
	if ((seq & 1) || seq > 2 * n ||
		!__atomic_compare_exchange_n(
			&s->seq, &seq, 2 * n + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
		raise_to(&t->lost_end_ns, end_ns);
		return;
	}
	if (seq)
		raise_to(&t->lost_end_ns, load(&s->end_ns));
	store(&s->start_ns, start_ns);
	store(&s->end_ns, end_ns > start_ns ? end_ns : start_ns);
	store(&s->value, value);
	store(&s->what, (uint64_t)kind | (uint64_t)(vm & 255) << 8 | (uint64_t)detail << 32);
	store(&s->seq, 2 * n + 2);
}

bool bn_trace_covers(const struct bn_trace *t, uint64_t from_ns)
{
	uint64_t lost = load(&t->lost_end_ns);
	return lost == 0 || lost < from_ns;
}

static bool copy_slot(const struct slot *s, uint64_t n, struct bn_trace_event *out)
{
	if (load(&s->seq) != 2 * n + 2)
		return false;
	uint64_t what = load(&s->what);
	*out = (struct bn_trace_event){
		.number = n,
		.start_ns = load(&s->start_ns),
		.end_ns = load(&s->end_ns),
		.value = load(&s->value),
		.kind = (uint8_t)what,
		.vm = (uint8_t)(what >> 8),
		.detail = (uint32_t)(what >> 32),
	};
	return load(&s->seq) == 2 * n + 2 && out->kind < BN_TRACE_KINDS;
}

/* By start; of two that start together the longer one is around the other. */
static int compare(const void *a, const void *b)
{
	const struct bn_trace_event *x = a, *y = b;
	if (x->start_ns != y->start_ns)
		return x->start_ns < y->start_ns ? -1 : 1;
	if (x->end_ns != y->end_ns)
		return x->end_ns > y->end_ns ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

long bn_trace_write(struct bn_trace *t, FILE *out, uint64_t from_ns,
	const char *(*vm_name)(void *data, unsigned vm),
	const char *(*event_text)(void *data, uint64_t number), void *data)
{
	uint64_t end = load(&t->next), size = t->mask + 1;
	struct bn_trace_event *events = calloc(size, sizeof(*events));
	if (!events)
		return -ENOMEM;
	size_t count = 0;
	for (uint64_t n = end > size ? end - size : 0; n < end; n++) {
		if (copy_slot(&t->slot[n & t->mask], n, &events[count]) &&
			events[count].end_ns >= from_ns)
			count++;
	}
	qsort(events, count, sizeof(*events), compare);
	const struct bn_trace_names names = {vm_name, event_text, data};
	long ret = bn_trace_write_json(out, events, count, &names);
	free(events);
	return ret;
}
