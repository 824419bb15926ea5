/* vhost-user requests. Input: one byte (bits 0–3: number of fds), header, payload; a payload
 * shorter than the header says is filled up with zeros. */
#include "fuzz.h"

#include <errno.h>
#include <string.h>

#include "protocol/vhost_user.h"

bool bn_fuzz_accepted;

static void require_safe(
	const struct bn_vu_header *header, const union bn_vu_payload *payload, size_t nfds)
{
	BN_FUZZ_REQUIRE((header->flags & BN_VU_VERSION_MASK) == BN_VU_VERSION);
	BN_FUZZ_REQUIRE(!(header->flags & BN_VU_FLAG_REPLY));
	BN_FUZZ_REQUIRE(header->size <= sizeof(*payload) && nfds <= BN_VU_REGIONS_MAX);
	BN_FUZZ_REQUIRE(strcmp(bn_vu_name(header->request), "?") != 0);
	switch (header->request) {
	case BN_VU_SET_MEM_TABLE:
		BN_FUZZ_REQUIRE(payload->mem_table.nregions <= BN_VU_REGIONS_MAX &&
				payload->mem_table.nregions == nfds);
		BN_FUZZ_REQUIRE(header->size >= 8 + nfds * sizeof(struct bn_vu_region));
		break;
	case BN_VU_GET_CONFIG:
	case BN_VU_SET_CONFIG:
		BN_FUZZ_REQUIRE(payload->config.size <= BN_VU_CONFIG_MAX &&
				payload->config.size + 12 <= header->size);
		break;
	case BN_VU_ADD_MEM_REG:
	case BN_VU_SET_BACKEND_REQ_FD:
	case BN_VU_GPU_SET_SOCKET:
		BN_FUZZ_REQUIRE(nfds == 1);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bn_vu_header header;
	bn_fuzz_accepted = false;
	if (size < 1 + sizeof(header))
		return 0;
	size_t nfds = data[0] & 0xf;
	memcpy(&header, data + 1, sizeof(header));
	data += 1 + sizeof(header);
	size -= 1 + sizeof(header);
	/* Exactly what the header announces, so that a sanitizer sees a check that reads
	 * further. */
	size_t announced = header.size <= sizeof(union bn_vu_payload) ? header.size : 0;
	union bn_vu_payload *payload = announced ? calloc(1, announced) : NULL;
	if (announced && !payload)
		return 0;
	if (payload)
		memcpy(payload, data, size < announced ? size : announced);
	int ret = bn_vu_check(&header, payload, nfds);
	BN_FUZZ_REQUIRE(ret == 0 || ret == -EPROTO || ret == -ENOTSUP);
	bn_fuzz_accepted = ret == 0;
	if (ret == 0)
		require_safe(&header, payload, nfds);
	bn_vu_has_reply(header.request);
	free(payload);
	return 0;
}
