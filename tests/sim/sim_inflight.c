/* In-flight tracking under crashes. A model driver and the real virtqueue share a ring; the device
 * is killed at any point between two stores that others can see, restarted on the in-flight table,
 * killed again, also in the middle of its restart. Every request is answered exactly once, whatever
 * happens, and nobody sleeps through a kick or a call.
 *
 * How a kill falls between two stores: the used ring's index, its entries, the head of the
 * in-flight table and the table itself lie in four pages. While a kill is armed, only the page
 * written last is writable, so each store to another one faults. The n-th fault is the kill
 * (siglongjmp out of the device); at the others the driver gets a turn. */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "sim.h"
#include "virtqueue.h"

#define NUM_MAX 64u
#define PAGE 4096u
#define GUEST 0x40000000ull
#define USER 0x7f0012340000ull
#define DESC 0u
#define AVAIL PAGE
#define USED (3 * PAGE - 4) /* index at the end of a page, entries in the next */
#define DATA (8 * PAGE)     /* per head: request, answer, indirect table */
#define DATA_SIZE 256u
#define RAM_SIZE (8 * PAGE + NUM_MAX * DATA_SIZE)
#define LIVES 8u
#define ANSWER 0x5555555555555555ull
#define ANSWER_REPLAYED 0x3333333333333333ull

static struct sim_random dice;
static unsigned num; /* of the ring */
static uint64_t features;
static unsigned long kills, answers, replays, wraps;

/* ---- shared by driver, device and the next device ---- */

static uint8_t *ram; /* the driver's mapping */
static struct bn_guest_memory *mem;
static struct bn_inflight_queue *inflight;
static int call_fd;

static struct vring_avail *avail(void)
{
	return (void *)(ram + AVAIL);
}

static struct vring_used *used(void)
{
	return (void *)(ram + USED);
}

static bool event_idx(void)
{
	return features & 1ull << VIRTIO_RING_F_EVENT_IDX;
}

/* ---- the driver ---- */

static struct {
	uint16_t next_avail, seen_used;
	uint64_t offered;          /* requests so far */
	bool busy[NUM_MAX];        /* descriptors in use */
	uint64_t request[NUM_MAX]; /* by head: its number, 0: not outstanding */
	unsigned outstanding;
	bool kick;
} driver;

struct data {
	uint64_t request, answer;
	struct vring_desc table[3];
};

static struct data *data_of(unsigned head)
{
	return (void *)(ram + DATA + head * DATA_SIZE);
}

static int free_desc(void)
{
	unsigned start = (unsigned)sim_below(&dice, num);

	for (unsigned i = 0; i < num; i++) {
		if (!driver.busy[(start + i) % num])
			return (int)((start + i) % num);
	}
	return -1;
}

static void put_desc(struct vring_desc *d, uint64_t offset, uint32_t len, unsigned flags, int next)
{
	*d = (struct vring_desc){GUEST + offset, len, (uint16_t)flags, (uint16_t)next};
}

/* One request in one descriptor (indirect) or two; -1 when the ring is full. */
static int chain_make(uint64_t number)
{
	struct vring_desc *desc = (void *)(ram + DESC);
	int head = free_desc(), second;
	uint64_t at = DATA + (uint64_t)head * DATA_SIZE;

	if (head < 0)
		return -1;
	driver.busy[head] = true;
	if (features & 1ull << VIRTIO_RING_F_INDIRECT_DESC && sim_one_in(&dice, 2)) {
		struct vring_desc *table = data_of((unsigned)head)->table;

		put_desc(&table[0], at, 4, VRING_DESC_F_NEXT, 1);
		put_desc(&table[1], at + 4, 4, VRING_DESC_F_NEXT, 2);
		put_desc(&table[2], at + 8, 8, VRING_DESC_F_WRITE, 0);
		put_desc(&desc[head], at + offsetof(struct data, table), 48, VRING_DESC_F_INDIRECT,
			0);
	} else {
		second = free_desc();
		if (second < 0) {
			driver.busy[head] = false;
			return -1;
		}
		driver.busy[second] = true;
		put_desc(&desc[head], at, 8, VRING_DESC_F_NEXT, second);
		put_desc(&desc[second], at + 8, 8, VRING_DESC_F_WRITE, 0);
	}
	*data_of((unsigned)head) = (struct data){
		.request = number,
		.table = {data_of((unsigned)head)->table[0], data_of((unsigned)head)->table[1],
			data_of((unsigned)head)->table[2]},
	};
	return head;
}

static bool driver_kicks(uint16_t old)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (event_idx()) {
		uint16_t event = *(volatile uint16_t *)(void *)&used()->ring[num];

		return vring_need_event(event, driver.next_avail, old);
	}
	return !(*(volatile uint16_t *)&used()->flags & VRING_USED_F_NO_NOTIFY);
}

static void driver_offer(unsigned n)
{
	uint16_t old = driver.next_avail;

	while (n-- > 0) {
		int head = chain_make(driver.offered + 1);

		if (head < 0)
			break;
		driver.offered++;
		driver.request[head] = driver.offered;
		driver.outstanding++;
		avail()->ring[driver.next_avail++ % num] = (uint16_t)head;
		__atomic_store_n(&avail()->idx, driver.next_avail, __ATOMIC_RELEASE);
	}
	if (driver.next_avail != old && driver_kicks(old))
		driver.kick = true;
}

static void driver_take(const struct vring_used_elem *elem)
{
	struct vring_desc *desc = (void *)(ram + DESC);
	uint32_t head = elem->id;
	uint64_t answer;

	SIM_CHECK(head < num && driver.request[head] != 0, "answer for head %u that nobody asked",
		head);
	if (head >= num || driver.request[head] == 0)
		return;
	answer = data_of(head)->answer;
	SIM_CHECK(elem->len == 8, "%u bytes", elem->len);
	SIM_CHECK(answer == (driver.request[head] ^ ANSWER) ||
			  answer == (driver.request[head] ^ ANSWER_REPLAYED),
		"answer of another request");
	driver.request[head] = 0;
	driver.outstanding--;
	driver.busy[head] = false;
	if (desc[head].flags & VRING_DESC_F_NEXT)
		driver.busy[desc[head].next] = false;
	answers++;
}

/* As Linux does: takes all, asks to be called for the next, looks again. */
static void driver_take_all(void)
{
	do {
		while (__atomic_load_n(&used()->idx, __ATOMIC_ACQUIRE) != driver.seen_used)
			driver_take(&used()->ring[driver.seen_used++ % num]);
		/* virtqueue_enable_cb_delayed(): called after three quarters of what is out. */
		*(volatile uint16_t *)&avail()->ring[num] =
			(uint16_t)(driver.seen_used +
				   (sim_one_in(&dice, 4) ? driver.outstanding * 3 / 4 : 0));
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	} while (*(volatile uint16_t *)&used()->idx != driver.seen_used &&
		 (!event_idx() || driver.outstanding < 2));
}

/* Acts on calls only, so that a lost one is seen. */
static void driver_turn(void)
{
	if (bn_event_drain(call_fd))
		driver_take_all();
	if (sim_one_in(&dice, 2))
		driver_offer((unsigned)sim_below(&dice, 4));
}

/* ---- kills ---- */

static uint8_t *pages[4];
static sigjmp_buf killed;
static volatile unsigned kill_in; /* faults */
static volatile bool armed;

static void protect(int writable)
{
	for (int i = 0; i < 4; i++)
		mprotect(pages[i], PAGE,
			i == writable || writable < 0 ? PROT_READ | PROT_WRITE : PROT_READ);
}

static void disarm(void)
{
	armed = false;
	protect(-1);
}

static void arm(unsigned faults)
{
	kill_in = faults;
	armed = true;
	protect(4);
}

static void handle_fault(int sig, siginfo_t *info, void *context)
{
	int page = 0;

	while (page < 4 && ((uint8_t *)info->si_addr < pages[page] ||
				   (uint8_t *)info->si_addr >= pages[page] + PAGE))
		page++;
	if (page == 4 || !armed) {
		signal(SIGSEGV, SIG_DFL);
		return;
	}
	if (kill_in-- == 0) {
		disarm();
		siglongjmp(killed, 1);
	}
	driver_turn();
	protect(page);
}

/* ---- the device ---- */

static struct bn_vq *vq;
static struct bn_vq_request *held[NUM_MAX];
static unsigned nheld;
static bool awake, dirty;
/* Of the device that runs: requests offered when its start began and ended, the last that it
 * handed out again, and whether the available ring still showed that one. */
static uint64_t offered_before, offered_after, last_replayed;
static bool window;

/* False: killed meanwhile. */
static bool device_start(bool restore, uint16_t base, bool may_die)
{
	const struct bn_link_vring vring = {
		.num = num,
		.desc_user = USER + DESC,
		.avail_user = USER + AVAIL,
		.used_user = USER + USED,
		.base = base,
		.restore = restore,
	};
	int r;

	vq = bn_vq_create(mem, inflight, 0);
	bn_vq_set_call(vq, bn_fd_dup(call_fd)); /* the daemon's order: calls, then start */
	if (sigsetjmp(killed, 1))
		return false;
	offered_before = driver.offered;
	if (may_die)
		arm((unsigned)sim_below(&dice, 6));
	r = bn_vq_start(vq, &vring, features, -1);
	disarm();
	CU_ASSERT_EQUAL_FATAL(r, 0);
	offered_after = driver.offered;
	awake = true;
	dirty = false;
	last_replayed = 0;
	window = false;
	return true;
}

static void device_drop(void)
{
	while (nheld > 0)
		free(held[--nheld]);
	bn_vq_destroy(vq);
}

static void device_kill_and_restart(void)
{
	do {
		kills++;
		device_drop();
		if (sim_one_in(&dice, 4))
			driver_turn();
	} while (!device_start(true, 0, sim_one_in(&dice, 4)));
}

/* Replays come in the order in which they were offered, as far as the available ring still
 * showed it when the device started; what it did not show any more is older and comes first. */
static void check_replay(uint64_t number)
{
	bool shown = number + num > offered_after;

	SIM_CHECK(!window || number + num > offered_before,
		"a request that was overtaken comes late");
	if (shown) {
		SIM_CHECK(number > last_replayed, "%llu replayed after %llu",
			(unsigned long long)number, (unsigned long long)last_replayed);
		last_replayed = number;
		window = true;
	}
	replays++;
}

static bool device_pop(void)
{
	struct bn_vq_request *req;
	uint64_t number = 0, answer;
	bool replayed;
	int r = bn_vq_pop(vq, &req, &replayed);

	SIM_CHECK(r >= 0, "the ring is taken for broken");
	if (r <= 0)
		return false;
	SIM_CHECK(!req->chain_error, "a sound chain is taken for broken");
	bn_iov_read(req->out, req->nout, 0, &number, sizeof(number));
	SIM_CHECK(number == driver.request[req->head], "request %llu again",
		(unsigned long long)number);
	if (replayed)
		check_replay(number);
	answer = number ^ (replayed ? ANSWER_REPLAYED : ANSWER);
	bn_iov_write(req->in, req->nin, 0, &answer, sizeof(answer));
	held[nheld++] = req;
	return true;
}

/* False: killed in the middle of it. */
static bool device_complete(bool may_die)
{
	unsigned i = (unsigned)sim_below(&dice, nheld);

	if (sigsetjmp(killed, 1))
		return false;
	if (may_die)
		arm((unsigned)sim_below(&dice, 6));
	bn_vq_complete(held[i], 8);
	disarm();
	held[i] = held[--nheld];
	dirty = true;
	return true;
}

static void device_notify(void)
{
	if (dirty)
		bn_vq_notify(vq);
	dirty = false;
}

/* As ring.c does it: takes all, tells the driver, sleeps unless something came in the last
 * moment. */
static void device_turn(void)
{
	if (driver.kick)
		awake = true;
	driver.kick = false;
	while (awake) {
		bn_vq_suppress_kicks(vq, true);
		while (device_pop()) {
			if (sim_one_in(&dice, 4))
				driver_turn();
			if (sim_one_in(&dice, 3))
				device_complete(false);
		}
		device_notify();
		if (sim_one_in(&dice, 4))
			driver_turn(); /* the last moment */
		awake = bn_vq_suppress_kicks(vq, false);
	}
}

/* ---- runs ---- */

static void settle(void)
{
	for (unsigned i = 0; i < 4 * NUM_MAX; i++) {
		device_turn();
		while (nheld > 0)
			device_complete(false);
		device_notify();
		if (bn_event_drain(call_fd))
			driver_take_all();
	}
	SIM_CHECK(driver.outstanding == 0, "%u requests without an answer (used %u, seen %u)",
		driver.outstanding, used()->idx, driver.seen_used);
	for (unsigned i = 0; i < num; i++)
		SIM_CHECK(inflight->inflight[i] == 0, "head %u still marked", i);
	SIM_CHECK(inflight->used_idx == used()->idx, "index in the table %u, in the ring %u",
		inflight->used_idx, used()->idx);
}

static void round_of_life(void)
{
	for (uint64_t n = sim_below(&dice, 6); n > 0; n--) {
		driver_turn();
		if (sim_one_in(&dice, 2))
			device_turn();
		for (uint64_t k = sim_below(&dice, 1 + nheld); k > 0; k--)
			device_complete(false);
		if (sim_one_in(&dice, 2))
			device_notify();
	}
	/* In the middle of an answer, between taking and answering, or before the call. */
	if (nheld > 0 && !sim_one_in(&dice, 4) && device_complete(true) && sim_one_in(&dice, 2))
		return;
	device_kill_and_restart();
}

/* A regular stop, for a suspend: with nothing in flight, and a start from the base it gave. */
static void stop_and_go_on(void)
{
	uint16_t base;

	settle();
	base = bn_vq_stop(vq);
	SIM_CHECK(base == driver.next_avail, "base %u, offered %u", base, driver.next_avail);
	device_drop();
	driver_offer((unsigned)sim_below(&dice, 3));
	device_start(false, base, false);
}

static void setup(void)
{
	struct bn_guest_region region = {GUEST, RAM_SIZE, USER, 0};
	struct sigaction action = {
		.sa_sigaction = handle_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
	int fd = bn_memfd_create("guest", RAM_SIZE);
	uint8_t *device_used;

	_Static_assert(offsetof(struct bn_inflight_queue, inflight) == 8, "the table's own page");
	ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	mem = bn_guest_memory_create();
	CU_ASSERT_EQUAL_FATAL(bn_guest_memory_add(mem, &region, fd), 0);
	device_used = bn_guest_memory_at_user(mem, USER + USED, 8);
	pages[0] = device_used + 4 - PAGE;
	pages[1] = device_used + 4;
	pages[2] = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pages[3] = pages[2] + PAGE;
	inflight = (void *)(pages[3] - 8);
	call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sigaction(SIGSEGV, &action, NULL);
	memset(&driver, 0, sizeof(driver));
	nheld = 0;
}

static void teardown(void)
{
	device_drop();
	signal(SIGSEGV, SIG_DFL);
	bn_fd_close(&call_fd);
	bn_guest_memory_destroy(mem);
	munmap(ram, RAM_SIZE);
	munmap(pages[2], 2 * PAGE);
}

static void one_life(unsigned entries, uint64_t bits, unsigned rounds)
{
	uint16_t start = (uint16_t)(UINT16_MAX - sim_below(&dice, 150));

	setup();
	num = entries;
	features = bits;
	/* As a driver leaves it that was here before: the indices soon wrap around. */
	driver.next_avail = driver.seen_used = avail()->idx = used()->idx = start;
	*(volatile uint16_t *)&avail()->ring[num] = start;
	device_start(false, start, false);
	for (unsigned i = 0; i < rounds; i++) {
		round_of_life();
		if (i % 16 == 0)
			settle();
		if (i % 200 == 199)
			stop_and_go_on();
	}
	settle();
	SIM_CHECK(driver.next_avail == used()->idx, "offered %u, answered %u", driver.next_avail,
		used()->idx);
	wraps += used()->idx < start;
	teardown();
	sim_settle();
}

static void live(unsigned entries, uint64_t bits, unsigned rounds)
{
	for (unsigned i = 0; i < LIVES; i++)
		one_life(entries, bits, rounds / LIVES);
}

#define EVENT (1ull << VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT (1ull << VIRTIO_RING_F_INDIRECT_DESC)
#define ROUNDS 6500u

static void test_plain(void)
{
	for (unsigned entries = 2; entries <= NUM_MAX; entries *= 2)
		live(entries, 0, ROUNDS / 2);
}

static void test_event_idx(void)
{
	for (unsigned entries = 2; entries <= NUM_MAX; entries *= 2)
		live(entries, EVENT, ROUNDS / 2);
}

static void test_indirect(void)
{
	for (unsigned entries = 1; entries <= NUM_MAX; entries *= 2)
		live(entries, INDIRECT, ROUNDS / 2);
}

static void test_both(void)
{
	for (unsigned entries = 1; entries <= NUM_MAX; entries *= 2)
		live(entries, EVENT | INDIRECT, ROUNDS);
}

static void test_enough(void)
{
	printf("%lu kills, %lu requests, %lu of them replayed, %lu wraps ", kills, answers, replays,
		wraps);
	CU_ASSERT_TRUE(kills >= 100000);
	CU_ASSERT_TRUE(answers >= 200000);
	CU_ASSERT_TRUE(wraps >= 150);
	CU_ASSERT_TRUE(replays >= 20000);
}

int main(void)
{
	const CU_TestInfo tests[] = {
		{"plain", test_plain},
		{"EVENT_IDX", test_event_idx},
		{"indirect", test_indirect},
		{"EVENT_IDX and indirect", test_both},
		{"enough", test_enough},
		CU_TEST_INFO_NULL,
	};

	dice = sim_random(2);
	bn_log_init(BN_LOG_ERROR, "sim");
	return bn_unit_main("sim_inflight", tests);
}
