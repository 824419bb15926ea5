/* The device side of a split ring, against rings that the test builds in a memfd as a driver
 * would. */
#include "virtqueue.h"

#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/fd.h"
#include "unit.h"

#define MEMORY (1u << 20)
#define GUEST 0x40000000ull
#define USER 0x7f0012340000ull
#define NUM 8u
#define DESC 0x0000u
#define AVAIL 0x1000u
#define USED 0x2000u
#define INDIRECT 0x10000u /* tables */
#define DATA 0x80000u
#define FEATURES ((1ull << VIRTIO_RING_F_INDIRECT_DESC) | (1ull << VIRTIO_RING_F_EVENT_IDX))

static struct bn_guest_memory *mem;
static uint8_t *ram;
static struct vring_desc *desc;
static struct vring_avail *avail;
static struct vring_used *used;
static struct bn_inflight_queue inflight;
static struct bn_vq *vq;
static int call_fd, kick_fd;
static uint64_t features;

static uint16_t *avail_event(void)
{
	return (uint16_t *)(void *)&used->ring[NUM];
}

static uint16_t *used_event(void)
{
	return &avail->ring[NUM];
}

static int start(uint16_t base, bool restore)
{
	struct bn_link_vring vring = {
		.num = NUM,
		.desc_user = USER + DESC,
		.avail_user = USER + AVAIL,
		.used_user = USER + USED,
		.base = base,
		.restore = restore,
	};

	kick_fd = eventfd(0, EFD_CLOEXEC);
	vq = bn_vq_create(mem, &inflight, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(vq);
	call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	bn_vq_set_call(vq, bn_fd_dup(call_fd));
	return bn_vq_start(vq, &vring, features, kick_fd);
}

static void setup(void)
{
	struct bn_guest_region region = {GUEST, MEMORY, USER, 0};
	int fd = bn_memfd_create("guest", MEMORY);

	ram = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CU_ASSERT_PTR_NOT_EQUAL_FATAL(ram, MAP_FAILED);
	mem = bn_guest_memory_create();
	CU_ASSERT_EQUAL_FATAL(bn_guest_memory_add(mem, &region, fd), 0);
	desc = (void *)(ram + DESC);
	avail = (void *)(ram + AVAIL);
	used = (void *)(ram + USED);
	memset(&inflight, 0, sizeof(inflight));
	features = FEATURES;
}

static void drop_vq(void)
{
	bn_vq_destroy(vq);
	bn_fd_close(&call_fd);
}

static void teardown(void)
{
	drop_vq();
	bn_guest_memory_destroy(mem);
	munmap(ram, MEMORY);
}

static void set_desc(
	struct vring_desc *d, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	*d = (struct vring_desc){addr, len, flags, next};
}

static void offer(uint16_t head)
{
	avail->ring[avail->idx % NUM] = head;
	avail->idx++;
}

/* Request and response of 16 bytes each in descriptors head and head + 1. */
static void offer_pair(uint16_t head)
{
	set_desc(&desc[head], GUEST + DATA + head * 64u, 16, VRING_DESC_F_NEXT,
		(uint16_t)(head + 1));
	set_desc(&desc[head + 1], GUEST + DATA + head * 64u + 32, 16, VRING_DESC_F_WRITE, 0);
	offer(head);
}

static struct bn_vq_request *pop(void)
{
	struct bn_vq_request *req = NULL;

	CU_ASSERT_EQUAL_FATAL(bn_vq_pop(vq, &req, NULL), 1);
	return req;
}

static void test_simple(void)
{
	struct bn_vq_request *req;
	char text[16];
	uint64_t n;

	setup();
	CU_ASSERT_EQUAL(start(0, false), 0);
	CU_ASSERT_FALSE(bn_vq_pending(vq));
	CU_ASSERT_EQUAL(bn_vq_pop(vq, &req, NULL), 0);
	offer_pair(2);
	memcpy(ram + DATA + 128, "0123456789abcdef", 16);
	CU_ASSERT_TRUE(bn_vq_pending(vq));
	req = pop();
	CU_ASSERT_EQUAL(inflight.inflight[2], 1);
	CU_ASSERT_FALSE(req->chain_error);
	CU_ASSERT_EQUAL(req->out_len, 16);
	CU_ASSERT_EQUAL(req->in_len, 16);
	CU_ASSERT_EQUAL(bn_iov_read(req->out, req->nout, 10, text, 16), 6);
	CU_ASSERT_EQUAL(memcmp(text, "abcdef", 6), 0);
	CU_ASSERT_EQUAL(bn_iov_write(req->in, req->nin, 0, "answer", 6), 6);
	bn_vq_complete(req, 6);
	bn_vq_notify(vq);
	CU_ASSERT_EQUAL(read(call_fd, &n, 8), 8);
	CU_ASSERT_EQUAL(used->idx, 1);
	CU_ASSERT_EQUAL(used->ring[0].id, 2);
	CU_ASSERT_EQUAL(used->ring[0].len, 6);
	CU_ASSERT_EQUAL(memcmp(ram + DATA + 160, "answer", 6), 0);
	CU_ASSERT_EQUAL(inflight.inflight[2], 0);
	CU_ASSERT_EQUAL(inflight.used_idx, 1);
	teardown();
}

static void test_wrap(void)
{
	setup();
	used->idx = 65530;
	avail->idx = 65530;
	CU_ASSERT_EQUAL(start(65530, false), 0);
	for (unsigned i = 0; i < 70000; i++) {
		struct bn_vq_request *req;

		offer_pair((uint16_t)(i % 4 * 2));
		req = pop();
		if (req->head != i % 4 * 2 || used->idx != (uint16_t)(65530 + i))
			CU_FAIL_FATAL("wrong head or index");
		bn_vq_complete(req, i);
	}
	CU_ASSERT_EQUAL(used->idx, (uint16_t)(65530 + 70000));
	CU_ASSERT_EQUAL(bn_vq_stop(vq), (uint16_t)(65530 + 70000));
	teardown();
}

static void test_indirect(void)
{
	struct vring_desc *table;
	struct bn_vq_request *req;

	setup();
	table = (void *)(ram + INDIRECT);
	CU_ASSERT_EQUAL(start(0, false), 0);
	for (uint16_t i = 0; i < 600; i++) /* far more than the ring has */
		set_desc(&table[i], GUEST + DATA + i, 1,
			(uint16_t)(VRING_DESC_F_NEXT | (i >= 500 ? VRING_DESC_F_WRITE : 0)),
			(uint16_t)(i + 1));
	set_desc(&table[600], GUEST + DATA + 600, 100, VRING_DESC_F_WRITE, 0);
	set_desc(&desc[0], GUEST + INDIRECT, 601 * 16, VRING_DESC_F_INDIRECT, 0);
	offer(0);
	req = pop();
	CU_ASSERT_FALSE(req->chain_error);
	CU_ASSERT_EQUAL(req->out_len, 500);
	CU_ASSERT_EQUAL(req->in_len, 200);
	bn_vq_complete(req, 0);
	/* A table after a direct descriptor. */
	set_desc(&table[0], GUEST + DATA, 8, VRING_DESC_F_WRITE, 0);
	set_desc(&desc[0], GUEST + DATA + 64, 8, VRING_DESC_F_NEXT, 1);
	set_desc(&desc[1], GUEST + INDIRECT, 16, VRING_DESC_F_INDIRECT, 0);
	offer(0);
	req = pop();
	CU_ASSERT_FALSE(req->chain_error);
	CU_ASSERT_EQUAL(req->out_len + req->in_len, 16);
	bn_vq_complete(req, 0);
	teardown();
}

/* Offers head 0 and expects a broken chain that is still answerable. */
static void broken(uint64_t out_len)
{
	struct bn_vq_request *req;
	uint16_t before = used->idx;

	offer(0);
	req = pop();
	CU_ASSERT_TRUE(req->chain_error);
	CU_ASSERT_EQUAL(req->out_len, out_len);
	bn_vq_complete(req, 0);
	CU_ASSERT_EQUAL(used->idx, (uint16_t)(before + 1));
}

static void test_broken_chains(void)
{
	struct vring_desc *table;

	setup();
	table = (void *)(ram + INDIRECT);
	CU_ASSERT_EQUAL(start(0, false), 0);
	set_desc(&desc[0], GUEST + DATA, 4, VRING_DESC_F_NEXT, 1);
	set_desc(&desc[1], GUEST + DATA, 4, VRING_DESC_F_NEXT, 0);
	broken(NUM * 4); /* loop */
	desc[1].next = NUM;
	broken(8); /* next outside */
	set_desc(&desc[1], GUEST + MEMORY - 2, 4, 0, 0);
	broken(4); /* half outside memory */
	set_desc(&desc[1], UINT64_MAX - 1, 4, 0, 0);
	broken(4); /* wraps */
	set_desc(&desc[1], GUEST + DATA, UINT32_MAX, 0, 0);
	broken(4);
	set_desc(&desc[0], GUEST + DATA, 4, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
	set_desc(&desc[1], GUEST + DATA, 4, 0, 0);
	broken(0); /* writable before readable */
	set_desc(&desc[0], GUEST + INDIRECT, 0, VRING_DESC_F_INDIRECT, 0);
	broken(0);
	set_desc(&desc[0], GUEST + INDIRECT, 17, VRING_DESC_F_INDIRECT, 0);
	broken(0);
	set_desc(&desc[0], GUEST + INDIRECT, 16 * (BN_VQ_CHAIN_MAX + 1), VRING_DESC_F_INDIRECT, 0);
	broken(0);
	set_desc(&desc[0], GUEST + MEMORY, 16, VRING_DESC_F_INDIRECT, 0);
	broken(0);
	set_desc(&desc[0], GUEST + INDIRECT, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1);
	broken(0);
	set_desc(&desc[0], GUEST + INDIRECT, 16, VRING_DESC_F_INDIRECT, 0);
	set_desc(&table[0], GUEST + INDIRECT, 16, VRING_DESC_F_INDIRECT, 0);
	broken(0); /* table in a table */
	set_desc(&table[0], GUEST + DATA, 4, VRING_DESC_F_NEXT, 0);
	broken(4); /* loop in a table */
	teardown();
	setup();
	features = 1ull << VIRTIO_RING_F_EVENT_IDX;
	table = (void *)(ram + INDIRECT);
	CU_ASSERT_EQUAL(start(0, false), 0);
	set_desc(&table[0], GUEST + DATA, 4, 0, 0);
	set_desc(&desc[0], GUEST + INDIRECT, 16, VRING_DESC_F_INDIRECT, 0);
	broken(0); /* not negotiated */
	teardown();
}

static void expect_stopped(void)
{
	struct bn_vq_request *req;

	CU_ASSERT_TRUE(bn_vq_pop(vq, &req, NULL) < 0);
	CU_ASSERT_FALSE(bn_vq_running(vq));
	CU_ASSERT_EQUAL(bn_vq_pop(vq, &req, NULL), 0);
}

static void test_broken_indices(void)
{
	struct bn_vq_request *req;

	setup();
	CU_ASSERT_EQUAL(start(0, false), 0);
	avail->idx = NUM + 1;
	expect_stopped();
	teardown();
	setup();
	CU_ASSERT_EQUAL(start(0, false), 0);
	offer(NUM);
	expect_stopped();
	teardown();
	setup();
	CU_ASSERT_EQUAL(start(0, false), 0);
	offer_pair(0);
	offer(0);
	req = pop();
	expect_stopped(); /* the same head twice */
	bn_vq_complete(req, 0);
	CU_ASSERT_EQUAL(used->idx, 1);
	teardown();
}

static void test_start_checks(void)
{
	struct bn_link_vring good = {.num = NUM,
		.desc_user = USER + DESC,
		.avail_user = USER + AVAIL,
		.used_user = USER + USED};
	struct bn_link_vring bad;

	setup();
	vq = bn_vq_create(mem, NULL, 0);
	call_fd = -1;
	bad = good, bad.num = 3;
	CU_ASSERT_TRUE(bn_vq_start(vq, &bad, 0, eventfd(0, 0)) < 0);
	bad = good, bad.num = 2048;
	CU_ASSERT_TRUE(bn_vq_start(vq, &bad, 0, eventfd(0, 0)) < 0);
	bad = good, bad.used_user = USER + MEMORY - 8;
	CU_ASSERT_TRUE(bn_vq_start(vq, &bad, 0, eventfd(0, 0)) < 0);
	bad = good, bad.desc_user = USER + 8;
	CU_ASSERT_TRUE(bn_vq_start(vq, &bad, 0, eventfd(0, 0)) < 0);
	bad = good, bad.avail_user = 0;
	CU_ASSERT_TRUE(bn_vq_start(vq, &bad, 0, eventfd(0, 0)) < 0);
	CU_ASSERT_EQUAL(bn_vq_start(vq, &good, 0, eventfd(0, 0)), 0);
	CU_ASSERT_TRUE(bn_vq_start(vq, &good, 0, eventfd(0, 0)) < 0); /* runs already */
	teardown();
	bn_vq_destroy(NULL);
}

static bool called(void)
{
	uint64_t n;

	bn_vq_notify(vq);
	return read(call_fd, &n, 8) == 8;
}

static void test_calls(void)
{
	setup();
	CU_ASSERT_EQUAL(start(0, false), 0);
	offer_pair(0), offer_pair(2), offer_pair(4);
	*used_event() = 1; /* wants to hear of the second */
	bn_vq_complete(pop(), 0);
	CU_ASSERT_TRUE(called()); /* first time: always */
	bn_vq_complete(pop(), 0);
	CU_ASSERT_TRUE(called());
	bn_vq_complete(pop(), 0);
	CU_ASSERT_FALSE(called());
	CU_ASSERT_FALSE(called());
	teardown();
	setup();
	features = 0;
	CU_ASSERT_EQUAL(start(0, false), 0);
	offer_pair(0), offer_pair(2);
	avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	bn_vq_complete(pop(), 0);
	CU_ASSERT_FALSE(called());
	avail->flags = 0;
	bn_vq_complete(pop(), 0);
	CU_ASSERT_TRUE(called());
	teardown();
}

static void test_kicks(void)
{
	setup();
	CU_ASSERT_EQUAL(start(0, false), 0);
	CU_ASSERT_EQUAL(*avail_event(), 0);
	bn_vq_suppress_kicks(vq, true);
	offer_pair(0), offer_pair(2);
	bn_vq_complete(pop(), 0);
	/* The driver passed the event index with its first entry: it does not kick for the
	 * second. */
	CU_ASSERT_FALSE(vring_need_event(*avail_event(), 2, 1));
	CU_ASSERT_TRUE(bn_vq_suppress_kicks(vq, false)); /* one is there */
	CU_ASSERT_EQUAL(*avail_event(), 1);
	bn_vq_complete(pop(), 0);
	CU_ASSERT_FALSE(bn_vq_suppress_kicks(vq, false));
	CU_ASSERT_TRUE(vring_need_event(*avail_event(), 3, 2));
	teardown();
	setup();
	features = 0;
	CU_ASSERT_EQUAL(start(0, false), 0);
	bn_vq_suppress_kicks(vq, true);
	CU_ASSERT_EQUAL(used->flags, VRING_USED_F_NO_NOTIFY);
	offer_pair(0);
	CU_ASSERT_TRUE(bn_vq_suppress_kicks(vq, false));
	CU_ASSERT_EQUAL(used->flags, 0);
	teardown();
}

static void test_stop_resume(void)
{
	uint16_t base;

	setup();
	CU_ASSERT_EQUAL(start(0, false), 0);
	offer_pair(0), offer_pair(2), offer_pair(4);
	bn_vq_complete(pop(), 0);
	base = bn_vq_stop(vq);
	CU_ASSERT_EQUAL(base, 1);
	drop_vq();
	CU_ASSERT_EQUAL(start(base, false), 0);
	struct bn_vq_request *req = pop();
	CU_ASSERT_EQUAL(req->head, 2);
	bn_vq_complete(req, 0);
	req = pop();
	CU_ASSERT_EQUAL(req->head, 4);
	bn_vq_complete(req, 0);
	CU_ASSERT_EQUAL(used->idx, 3);
	teardown();
}

static void test_park(void)
{
	struct bn_guest_region region = {GUEST, MEMORY, USER, 0};
	struct bn_vq_request *req, *none;

	setup();
	CU_ASSERT_EQUAL(start(0, false), 0);
	offer_pair(0), offer_pair(2);
	req = pop();
	bn_vq_park(vq);
	bn_guest_memory_clear(mem);
	CU_ASSERT_FALSE(bn_vq_unpark(vq));
	CU_ASSERT_FALSE(bn_vq_pending(vq));
	CU_ASSERT_EQUAL(bn_vq_pop(vq, &none, NULL), 0);
	bn_vq_complete(req, 5); /* waits */
	CU_ASSERT_EQUAL(used->idx, 0);
	teardown();
	setup();
	CU_ASSERT_EQUAL(start(0, false), 0);
	offer_pair(0), offer_pair(2);
	req = pop();
	bn_vq_park(vq);
	bn_vq_complete(req, 5);
	CU_ASSERT_EQUAL(used->idx, 0);
	CU_ASSERT_TRUE(bn_vq_unpark(vq));
	CU_ASSERT_EQUAL(used->idx, 1);
	CU_ASSERT_EQUAL(used->ring[0].len, 5);
	CU_ASSERT_EQUAL(bn_vq_remap(vq), 0);
	CU_ASSERT_EQUAL(bn_guest_memory_remove(mem, &region), 0);
	CU_ASSERT_TRUE(bn_vq_remap(vq) < 0);
	CU_ASSERT_FALSE(bn_vq_running(vq));
	teardown();
}

/* ---- a predecessor that was killed ---- */

/* The stores of a completion up to where the process died. 0: request taken only. */
static void die_at(unsigned position, uint16_t head)
{
	if (position >= 1)
		inflight.last_head = head;
	if (position >= 2)
		used->ring[used->idx % NUM] = (struct vring_used_elem){head, 99};
	if (position >= 3)
		used->idx++;
	if (position >= 4)
		inflight.inflight[head] = 0;
	if (position >= 5)
		inflight.used_idx = used->idx;
}

static void check_restored(unsigned position)
{
	unsigned answered[NUM] = {0};
	struct bn_vq_request *req;
	bool replayed;

	CU_ASSERT_EQUAL_FATAL(start(0, true), 0);
	while (bn_vq_pop(vq, &req, &replayed) > 0) {
		/* Only what had not been taken is new. */
		CU_ASSERT_EQUAL(replayed, req->head != 6);
		bn_vq_complete(req, 1);
	}
	CU_ASSERT_EQUAL(used->idx, 4);
	for (unsigned i = 0; i < 4; i++)
		answered[used->ring[i].id]++;
	for (unsigned head = 0; head < NUM; head += 2)
		CU_ASSERT_EQUAL(answered[head], 1);
	for (unsigned i = 0; i < NUM; i++)
		CU_ASSERT_EQUAL(inflight.inflight[i], 0);
	CU_ASSERT_EQUAL(inflight.used_idx, 4);
	CU_ASSERT_EQUAL(bn_vq_stop(vq), 4);
}

static void test_crash(void)
{
	/* Three taken, the second or third being answered when it dies; one not taken yet. */
	for (unsigned position = 0; position <= 5; position++) {
		for (unsigned which = 0; which < 3; which++) {
			struct bn_vq_request *req[3];

			setup();
			CU_ASSERT_EQUAL(start(0, false), 0);
			for (uint16_t i = 0; i < 3; i++) {
				offer_pair((uint16_t)(i * 2));
				req[i] = pop();
			}
			offer_pair(6);
			if (which > 0)
				bn_vq_complete(req[0], 0);
			else
				free(req[0]);
			free(req[1]);
			free(req[2]);
			die_at(position, (uint16_t)(which * 2));
			drop_vq();
			check_restored(position);
			teardown();
		}
	}
}

/* Heads that a whole ring's worth of others overtook are older than these. */
static void test_replay_order(void)
{
	struct bn_vq_request *old, *req;
	bool replayed;
	unsigned n = 0;
	static const uint16_t order[] = {6, 4, 0};

	setup();
	CU_ASSERT_EQUAL(start(0, false), 0);
	offer_pair(6);
	old = pop();
	for (unsigned i = 0; i < 2 * NUM; i++) {
		offer_pair(2);
		bn_vq_complete(pop(), 0);
	}
	offer_pair(4), offer_pair(0);
	free(pop());
	free(pop());
	free(old);
	drop_vq();
	CU_ASSERT_EQUAL(start(0, true), 0);
	while (bn_vq_pop(vq, &req, &replayed) > 0) {
		CU_ASSERT_TRUE(replayed);
		if (n < 3)
			CU_ASSERT_EQUAL(req->head, order[n]);
		n++;
		bn_vq_complete(req, 0);
	}
	CU_ASSERT_EQUAL(n, 3);
	CU_ASSERT_EQUAL(used->idx, 2 * NUM + 3);
	teardown();
}

/* A table that a hostile predecessor filled costs nothing but errors. */
static void test_hostile_inflight(void)
{
	struct bn_vq_request *req;
	unsigned n = 0;

	setup();
	memset(&inflight, 0xff, sizeof(inflight));
	for (unsigned i = 0; i < NUM; i++)
		inflight.inflight[i] = i % 3 == 0 ? 1 : 7;
	CU_ASSERT_EQUAL(start(0, true), 0);
	avail->idx = 3;
	while (bn_vq_pop(vq, &req, NULL) > 0 && n < 100) {
		bn_vq_complete(req, 0);
		n++;
	}
	CU_ASSERT_EQUAL(n, 3);
	teardown();
}

int main(void)
{
	const CU_TestInfo tests[] = {
		{"one request", test_simple},
		{"indices wrap", test_wrap},
		{"indirect, longer than the ring", test_indirect},
		{"broken chains", test_broken_chains},
		{"broken indices", test_broken_indices},
		{"start checks", test_start_checks},
		{"calls", test_calls},
		{"kicks", test_kicks},
		{"stop and resume", test_stop_resume},
		{"parked while memory changes", test_park},
		{"killed anywhere", test_crash},
		{"replay in ring order", test_replay_order},
		{"hostile table", test_hostile_inflight},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("virtqueue", tests);
}
