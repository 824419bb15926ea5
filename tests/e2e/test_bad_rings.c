/* A guest whose rings are broken: descriptor chains that loop, leave the ring or leave memory,
 * indices that cannot be. */
#include <string.h>

#include "bad.h"

static char token;

/* Offers head 0 of hand-made descriptors and waits for it to come back; false when the device
 * stopped the ring instead. */
static bool raw_answered(struct tg_vm *vm, uint16_t head)
{
	struct tg_ring *ring = &vm->ring[TG_CONTROL];
	uint32_t written;
	tg_ring_raw_offer(ring, head, &token);
	tg_ring_kick_always(ring);
	for (unsigned i = 0; i < 100; i++) {
		if (tg_ring_take(ring, &written) == &token)
			return true;
		tg_ring_wait(ring, 20);
	}
	return false;
}

struct chain {
	const char *name;
	struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags, next;
	} desc[4];
};

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT
#define AT(page) (TG_MEM_BASE + (40ull << 20) + (page) * TG_PAGE)

static const struct chain chains[] = {
	{"loop onto itself", {{AT(0), 24, NEXT, 0}}},
	{"loop of three",
		{{AT(0), 24, NEXT, 1}, {AT(0), 24, NEXT, 2}, {AT(1), 24, NEXT | WRITE, 0}}},
	{"next outside the ring", {{AT(0), 24, NEXT, 256}}},
	{"next far outside the ring", {{AT(0), 24, NEXT, 65535}}},
	{"address outside", {{0, 24, NEXT, 1}, {AT(1), 24, WRITE, 0}}},
	{"answer outside", {{AT(0), 24, NEXT, 1}, {~0ull - 8, 24, WRITE, 0}}},
	{"length of 4 GiB", {{AT(0), 0xffffffff, NEXT, 1}, {AT(1), 24, WRITE, 0}}},
	{"length 0", {{AT(0), 0, NEXT, 1}, {AT(1), 24, WRITE, 0}}},
	{"answer of length 0", {{AT(0), 24, NEXT, 1}, {AT(1), 0, WRITE, 0}}},
	{"writable first", {{AT(1), 24, WRITE | NEXT, 1}, {AT(0), 24, 0, 0}}},
	{"nothing readable", {{AT(1), 24, WRITE, 0}}},
	{"nothing writable", {{AT(0), 24, 0, 0}}},
	{"indirect of length 0", {{AT(2), 0, INDIRECT, 0}}},
	{"indirect of odd length", {{AT(2), 33, INDIRECT, 0}}},
	{"indirect of 4 GiB", {{AT(2), 0xfffffff0, INDIRECT, 0}}},
	{"indirect outside", {{~0ull - 31, 32, INDIRECT, 0}}},
	{"indirect with next", {{AT(2), 32, INDIRECT | NEXT, 1}, {AT(1), 24, WRITE, 0}}},
	{"indirect that is writable", {{AT(2), 32, INDIRECT | WRITE, 0}}},
	{"indirect within indirect", {{AT(3), 32, INDIRECT, 0}}},
	{"indirect that loops", {{AT(4), 32, INDIRECT, 0}}},
	{"indirect with next outside", {{AT(5), 32, INDIRECT, 0}}},
	{"all flags", {{AT(0), 24, 0xffff, 1}}},
};

static void write_tables(struct tg_vm *vm)
{
	struct virtio_gpu_ctrl_hdr hdr = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
	memcpy(tg_mem_host(&vm->mem, AT(0), sizeof(hdr)), &hdr, sizeof(hdr));
	struct vring_desc *t = tg_mem_host(&vm->mem, AT(2), TG_PAGE);
	t[0] = (struct vring_desc){AT(0), 24, NEXT, 1};
	t[1] = (struct vring_desc){AT(1), 24, WRITE, 0};
	t = tg_mem_host(&vm->mem, AT(3), TG_PAGE);
	t[0] = (struct vring_desc){AT(2), 32, INDIRECT, 0};
	t = tg_mem_host(&vm->mem, AT(4), TG_PAGE);
	t[0] = (struct vring_desc){AT(0), 24, NEXT, 1};
	t[1] = (struct vring_desc){AT(0), 24, NEXT, 0};
	t = tg_mem_host(&vm->mem, AT(5), TG_PAGE);
	t[0] = (struct vring_desc){AT(0), 24, NEXT, 200};
}

static void test_descriptors(void)
{
	struct tg_vm vm;
	if (!bad_open(&vm))
		return;
	write_tables(&vm);
	for (unsigned i = 0; i < sizeof(chains) / sizeof(chains[0]); i++) {
		/* Descriptors are written by hand into an idle ring; its books are made anew
		 * afterwards. */
		for (uint16_t k = 0; k < 4; k++)
			tg_ring_raw_desc(&vm.ring[TG_CONTROL], k, chains[i].desc[k].addr,
				chains[i].desc[k].len, chains[i].desc[k].flags,
				chains[i].desc[k].next);
		bool answered = raw_answered(&vm, 0);
		if (!answered)
			fprintf(stderr, "\nchain \"%s\" is not answered\n", chains[i].name);
		CU_ASSERT_TRUE(answered);
		for (uint16_t k = 0; k < vm.ring[TG_CONTROL].size; k++)
			vm.ring[TG_CONTROL].desc[k].next = k + 1;
		E2E_ANSWER(tg_edid(&vm, 0, &(struct virtio_gpu_resp_edid){0}),
			VIRTIO_GPU_RESP_OK_EDID);
	}
	bad_close(&vm);
}

/* Indices that cannot be: the ring is stopped, and works again after a reset. */
static void test_indices(void)
{
	struct tg_vm vm;
	if (!bad_open(&vm))
		return;
	for (unsigned i = 0; i < 5; i++) {
		struct tg_ring *ring = &vm.ring[i % 2];
		switch (i) {
		case 0:
			tg_ring_raw_offer(ring, 60000, NULL);
			break;
		case 1:
			tg_ring_raw_offer(ring, 16, NULL);
			break;
		case 2:
			tg_ring_raw_skip(ring, 257);
			break;
		case 3:
			tg_ring_raw_skip(ring, 0x8000);
			break;
		default:
			tg_ring_raw_skip(ring, 0xffff);
			break;
		}
		tg_ring_kick_always(ring);
		e2e_sleep_ms(20);
		bystander_check(cluster);
		bad_reset(&vm);
		bad_serves_on(&vm);
	}
	bad_close(&vm);
}

/* A head that is offered again while the device has it. */
static void test_head_twice(void)
{
	struct tg_vm vm;
	if (!bad_open(&vm))
		return;
	struct tg_ring *ring = &vm.ring[TG_CONTROL];
	write_tables(&vm);
	for (unsigned i = 0; i < 8; i++) {
		tg_ring_raw_desc(ring, 0, AT(0), 24, NEXT, 1);
		tg_ring_raw_desc(ring, 1, AT(1), 24, WRITE, 0);
		for (unsigned k = 0; k < 50; k++)
			tg_ring_raw_offer(ring, 0, &token);
		tg_ring_kick_always(ring);
		e2e_sleep_ms(5);
		bad_reset(&vm);
	}
	bad_close(&vm);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"service starts", bad_start},
		{"descriptor chains", test_descriptors},
		{"ring indices", test_indices},
		{"one head twice", test_head_twice},
		{"no fd lost, service stops", bad_stop},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("bad rings", tests);
}
