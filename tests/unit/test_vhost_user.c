#include "protocol/vhost_user.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

static int check(uint32_t request, uint32_t size, size_t nfds, const union bn_vu_payload *payload)
{
	struct bn_vu_header header = {request, BN_VU_VERSION | BN_VU_FLAG_NEED_REPLY, size};

	return bn_vu_check(&header, payload, nfds);
}

static int check_empty(uint32_t request, uint32_t size, size_t nfds)
{
	static const union bn_vu_payload zero;

	return check(request, size, nfds, &zero);
}

/* Requests whose bounds do not depend on the payload. */
static const struct {
	uint32_t request;
	uint32_t size;
	size_t min_fds, max_fds;
} plain[] = {
	{BN_VU_GET_FEATURES, 0, 0, 0},
	{BN_VU_SET_FEATURES, 8, 0, 0},
	{BN_VU_SET_OWNER, 0, 0, 0},
	{BN_VU_RESET_OWNER, 0, 0, 0},
	{BN_VU_SET_VRING_NUM, 8, 0, 0},
	{BN_VU_SET_VRING_ADDR, 40, 0, 0},
	{BN_VU_SET_VRING_BASE, 8, 0, 0},
	{BN_VU_GET_VRING_BASE, 8, 0, 0},
	{BN_VU_GET_PROTOCOL_FEATURES, 0, 0, 0},
	{BN_VU_SET_PROTOCOL_FEATURES, 8, 0, 0},
	{BN_VU_GET_QUEUE_NUM, 0, 0, 0},
	{BN_VU_SET_VRING_ENABLE, 8, 0, 0},
	{BN_VU_SET_BACKEND_REQ_FD, 0, 1, 1},
	{BN_VU_GPU_SET_SOCKET, 0, 1, 1},
	{BN_VU_RESET_DEVICE, 0, 0, 0},
	{BN_VU_GET_MAX_MEM_SLOTS, 0, 0, 0},
	{BN_VU_ADD_MEM_REG, 40, 1, 1},
	{BN_VU_REM_MEM_REG, 40, 0, 1},
};

static void test_exact_sizes(void)
{
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		uint32_t request = plain[i].request, size = plain[i].size;
		size_t fds = plain[i].min_fds;

		for (size_t n = 0; n <= 9; n++) {
			int want = n < plain[i].min_fds || n > plain[i].max_fds ? -EPROTO : 0;

			CU_ASSERT_EQUAL(check_empty(request, size, n), want);
		}
		CU_ASSERT_EQUAL(check_empty(request, size + 1, fds), -EPROTO);
		CU_ASSERT_EQUAL(check_empty(request, 512, fds), -EPROTO);
		CU_ASSERT_EQUAL(check_empty(request, UINT32_MAX, fds), -EPROTO);
		if (size > 0) {
			CU_ASSERT_EQUAL(check_empty(request, size - 1, fds), -EPROTO);
			CU_ASSERT_EQUAL(check_empty(request, 0, fds), -EPROTO);
		} else {
			CU_ASSERT_EQUAL(check(request, 0, fds, NULL), 0);
		}
	}
}

static void test_header(void)
{
	struct bn_vu_header header = {BN_VU_GET_FEATURES, BN_VU_VERSION, 0};

	CU_ASSERT_EQUAL(bn_vu_check(&header, NULL, 0), 0);
	header.flags = 0;
	CU_ASSERT_EQUAL(bn_vu_check(&header, NULL, 0), -EPROTO);
	header.flags = 2;
	CU_ASSERT_EQUAL(bn_vu_check(&header, NULL, 0), -EPROTO);
	header.flags = 3;
	CU_ASSERT_EQUAL(bn_vu_check(&header, NULL, 0), -EPROTO);
	header.flags = BN_VU_VERSION | BN_VU_FLAG_REPLY;
	CU_ASSERT_EQUAL(bn_vu_check(&header, NULL, 0), -EPROTO);
	/* A broken header is broken also when the request is unknown. */
	header.request = 4711;
	CU_ASSERT_EQUAL(bn_vu_check(&header, NULL, 0), -EPROTO);
}

static void test_mem_table(void)
{
	union bn_vu_payload p = {0};

	for (uint32_t n = 0; n <= BN_VU_REGIONS_MAX; n++) {
		p.mem_table.nregions = n;
		CU_ASSERT_EQUAL(check(BN_VU_SET_MEM_TABLE, 8 + 32 * n, n, &p), 0);
		CU_ASSERT_EQUAL(check(BN_VU_SET_MEM_TABLE, 8 + 32 * n, n + 1, &p), -EPROTO);
		CU_ASSERT_EQUAL(check(BN_VU_SET_MEM_TABLE, 8 + 32 * n - 1, n, &p), -EPROTO);
		if (n > 0)
			CU_ASSERT_EQUAL(check(BN_VU_SET_MEM_TABLE, 8 + 32 * n, n - 1, &p), -EPROTO);
	}
	/* User-Mode Linux 6.1 and 6.12 */
	p.mem_table.nregions = 1;
	CU_ASSERT_EQUAL(check(BN_VU_SET_MEM_TABLE, 72, 1, &p), 0);
	CU_ASSERT_EQUAL(check(BN_VU_SET_MEM_TABLE, sizeof(p.mem_table), 1, &p), 0);
	CU_ASSERT_EQUAL(check(BN_VU_SET_MEM_TABLE, sizeof(p.mem_table) + 1, 1, &p), -EPROTO);
	p.mem_table.nregions = 9;
	CU_ASSERT_EQUAL(check(BN_VU_SET_MEM_TABLE, sizeof(p.mem_table), 8, &p), -EPROTO);
	CU_ASSERT_EQUAL(check(BN_VU_SET_MEM_TABLE, 8 + 32 * 9, 9, &p), -EPROTO);
	/* A count whose size would wrap to that of one region. */
	p.mem_table.nregions = 0x08000001;
	CU_ASSERT_EQUAL(check(BN_VU_SET_MEM_TABLE, 40, 1, &p), -EPROTO);
	p.mem_table.nregions = UINT32_MAX;
	CU_ASSERT_EQUAL(check(BN_VU_SET_MEM_TABLE, 40, 1, &p), -EPROTO);
	CU_ASSERT_EQUAL(check(BN_VU_SET_MEM_TABLE, 0, 0, &p), -EPROTO);
}

static void test_vring_fds(void)
{
	static const uint32_t requests[] = {
		BN_VU_SET_VRING_KICK, BN_VU_SET_VRING_CALL, BN_VU_SET_VRING_ERR};
	union bn_vu_payload with = {.u64 = 1}, without = {.u64 = 1 | BN_VU_VRING_NOFD};

	for (size_t i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(check(requests[i], 8, 1, &with), 0);
		CU_ASSERT_EQUAL(check(requests[i], 8, 0, &with), -EPROTO);
		CU_ASSERT_EQUAL(check(requests[i], 8, 2, &with), -EPROTO);
		CU_ASSERT_EQUAL(check(requests[i], 8, 0, &without), 0);
		CU_ASSERT_EQUAL(check(requests[i], 8, 1, &without), -EPROTO);
		CU_ASSERT_EQUAL(check(requests[i], 4, 1, &with), -EPROTO);
		CU_ASSERT_EQUAL(check(requests[i], 16, 1, &with), -EPROTO);
	}
}

static void test_config(void)
{
	static const uint32_t requests[] = {BN_VU_GET_CONFIG, BN_VU_SET_CONFIG};
	union bn_vu_payload p = {0};

	for (size_t i = 0; i < 2; i++) {
		for (uint32_t size = 0; size <= BN_VU_CONFIG_MAX; size++) {
			p.config.size = size;
			CU_ASSERT_EQUAL(check(requests[i], 12 + size, 0, &p), 0);
			CU_ASSERT_EQUAL(check(requests[i], 12 + size + 1, 0, &p), -EPROTO);
			CU_ASSERT_EQUAL(check(requests[i], 11 + size, 0, &p), -EPROTO);
		}
		p.config.size = BN_VU_CONFIG_MAX + 1;
		CU_ASSERT_EQUAL(check(requests[i], 12 + BN_VU_CONFIG_MAX + 1, 0, &p), -EPROTO);
		p.config.size = UINT32_MAX; /* 12 + size wraps to 11 */
		CU_ASSERT_EQUAL(check(requests[i], 11, 0, &p), -EPROTO);
		CU_ASSERT_EQUAL(check(requests[i], 12, 0, &p), -EPROTO);
		p.config.size = 16;
		CU_ASSERT_EQUAL(check(requests[i], 28, 1, &p), -EPROTO);
	}
}

static void test_not_offered(void)
{
	static const uint32_t requests[] = {BN_VU_SET_LOG_BASE, BN_VU_SET_LOG_FD,
		BN_VU_GET_INFLIGHT_FD, BN_VU_SET_INFLIGHT_FD, BN_VU_VRING_KICK, BN_VU_SET_STATUS,
		BN_VU_GET_STATUS, 0, 19, 20, 22, 23, 26, 30, 41, 44, 45, 1000, 0x80000000,
		UINT32_MAX};

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		CU_ASSERT_EQUAL(check_empty(requests[i], 0, 0), -ENOTSUP);
		CU_ASSERT_EQUAL(check_empty(requests[i], 8, 1), -ENOTSUP);
		CU_ASSERT_EQUAL(check_empty(requests[i], sizeof(union bn_vu_payload), 0), -ENOTSUP);
		CU_ASSERT_EQUAL(
			check_empty(requests[i], sizeof(union bn_vu_payload) + 1, 0), -EPROTO);
		CU_ASSERT_EQUAL(check_empty(requests[i], UINT32_MAX, 0), -EPROTO);
	}
}

static void test_replies_and_names(void)
{
	CU_ASSERT(bn_vu_has_reply(BN_VU_GET_FEATURES));
	CU_ASSERT(bn_vu_has_reply(BN_VU_GET_PROTOCOL_FEATURES));
	CU_ASSERT(bn_vu_has_reply(BN_VU_GET_QUEUE_NUM));
	CU_ASSERT(bn_vu_has_reply(BN_VU_GET_VRING_BASE));
	CU_ASSERT(bn_vu_has_reply(BN_VU_GET_CONFIG));
	CU_ASSERT(bn_vu_has_reply(BN_VU_GET_MAX_MEM_SLOTS));
	CU_ASSERT(bn_vu_has_reply(BN_VU_GET_INFLIGHT_FD));
	CU_ASSERT(bn_vu_has_reply(BN_VU_GET_STATUS));
	CU_ASSERT(!bn_vu_has_reply(BN_VU_SET_CONFIG));
	CU_ASSERT(!bn_vu_has_reply(BN_VU_SET_MEM_TABLE));
	CU_ASSERT(!bn_vu_has_reply(BN_VU_ADD_MEM_REG));
	CU_ASSERT(!bn_vu_has_reply(0));
	CU_ASSERT(!bn_vu_has_reply(UINT32_MAX));
	CU_ASSERT_STRING_EQUAL(bn_vu_name(BN_VU_SET_MEM_TABLE), "SET_MEM_TABLE");
	CU_ASSERT_STRING_EQUAL(bn_vu_name(BN_VU_GET_STATUS), "GET_STATUS");
	CU_ASSERT_STRING_EQUAL(bn_vu_name(0), "?");
	CU_ASSERT_STRING_EQUAL(bn_vu_name(41), "?");
	CU_ASSERT_STRING_EQUAL(bn_vu_name(UINT32_MAX), "?");
}

/* A payload buffer of exactly the announced size: reading past it is found by AddressSanitizer. */
static void test_reads_only_the_payload(void)
{
	unsigned odd = 0;

	for (uint32_t request = 0; request < 50; request++) {
		for (uint32_t size = 0; size <= sizeof(union bn_vu_payload); size++) {
			union bn_vu_payload *p = malloc(size ? size : 1);

			CU_ASSERT_FATAL(p != NULL);
			memset(p, 0x01, size ? size : 1);
			int err = check(request, size, 1, p);

			odd += err != 0 && err != -EPROTO && err != -ENOTSUP;
			free(p);
		}
	}
	CU_ASSERT_EQUAL(odd, 0);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"exact sizes and fds", test_exact_sizes},
		{"headers", test_header},
		{"SET_MEM_TABLE", test_mem_table},
		{"KICK, CALL, ERR", test_vring_fds},
		{"GET_CONFIG, SET_CONFIG", test_config},
		{"not offered", test_not_offered},
		{"replies and names", test_replies_and_names},
		{"reads only the payload", test_reads_only_the_payload},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("vhost-user", tests);
}
