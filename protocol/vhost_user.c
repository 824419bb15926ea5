#include "protocol/vhost_user.h"

#include <assert.h>
#include <errno.h>

static_assert(sizeof(struct bn_vu_header) == 12, "header");
static_assert(sizeof(struct bn_vu_region) == 32, "region");
static_assert(sizeof(struct bn_vu_mem_table) == 8 + 32 * BN_VU_REGIONS_MAX, "memory table");
static_assert(sizeof(struct bn_vu_mem_reg) == 40, "memory region");
static_assert(sizeof(struct bn_vu_vring_state) == 8, "vring state");
static_assert(sizeof(struct bn_vu_vring_addr) == 40, "vring address");
static_assert(offsetof(struct bn_vu_config, bytes) == 12, "config");

#define CONFIG_HEADER offsetof(struct bn_vu_config, bytes)

struct kind {
	const char *name;
	bool offered; /* false: belongs to a protocol feature that we do not offer */
	bool reply;
	uint8_t min_fds, max_fds;
	uint16_t min_size, max_size;
	/* What the table cannot say, or NULL. Called with at least min_size bytes of payload. */
	bool (*ok)(
		const struct bn_vu_header *header, const union bn_vu_payload *payload, size_t nfds);
};

/* One fd for each region. User-Mode Linux up to 6.12 sends the size of two regions with a count of
 * one: trailing bytes are legal. */
static bool mem_table_ok(
	const struct bn_vu_header *header, const union bn_vu_payload *payload, size_t nfds)
{
	uint32_t n = payload->mem_table.nregions;

	return n <= BN_VU_REGIONS_MAX && nfds == n &&
	       header->size >=
		       offsetof(struct bn_vu_mem_table, region) + n * sizeof(struct bn_vu_region);
}

static bool vring_fd_ok(
	const struct bn_vu_header *header, const union bn_vu_payload *payload, size_t nfds)
{
	return nfds == (payload->u64 & BN_VU_VRING_NOFD ? 0 : 1);
}

/* Both directions carry the bytes, also the question. */
static bool config_ok(
	const struct bn_vu_header *header, const union bn_vu_payload *payload, size_t nfds)
{
	return payload->config.size <= BN_VU_CONFIG_MAX &&
	       header->size == CONFIG_HEADER + payload->config.size;
}

#define NONE 0, 0
#define EXACT(type) sizeof(type), sizeof(type)
#define CONFIG CONFIG_HEADER, CONFIG_HEADER + BN_VU_CONFIG_MAX
#define NOT_OFFERED(text, replies) {.name = text, .reply = replies}

static const struct kind kinds[] = {
	[BN_VU_GET_FEATURES] = {"GET_FEATURES", true, true, 0, 0, NONE, NULL},
	[BN_VU_SET_FEATURES] = {"SET_FEATURES", true, false, 0, 0, EXACT(uint64_t), NULL},
	[BN_VU_SET_OWNER] = {"SET_OWNER", true, false, 0, 0, NONE, NULL},
	[BN_VU_RESET_OWNER] = {"RESET_OWNER", true, false, 0, 0, NONE, NULL},
	[BN_VU_SET_MEM_TABLE] = {"SET_MEM_TABLE", true, false, 0, BN_VU_REGIONS_MAX,
		offsetof(struct bn_vu_mem_table, region), sizeof(struct bn_vu_mem_table),
		mem_table_ok},
	[BN_VU_SET_LOG_BASE] = NOT_OFFERED("SET_LOG_BASE", false),
	[BN_VU_SET_LOG_FD] = NOT_OFFERED("SET_LOG_FD", false),
	[BN_VU_SET_VRING_NUM] = {"SET_VRING_NUM", true, false, 0, 0,
		EXACT(struct bn_vu_vring_state), NULL},
	[BN_VU_SET_VRING_ADDR] = {"SET_VRING_ADDR", true, false, 0, 0,
		EXACT(struct bn_vu_vring_addr), NULL},
	[BN_VU_SET_VRING_BASE] = {"SET_VRING_BASE", true, false, 0, 0,
		EXACT(struct bn_vu_vring_state), NULL},
	[BN_VU_GET_VRING_BASE] = {"GET_VRING_BASE", true, true, 0, 0,
		EXACT(struct bn_vu_vring_state), NULL},
	[BN_VU_SET_VRING_KICK] = {"SET_VRING_KICK", true, false, 0, 1, EXACT(uint64_t),
		vring_fd_ok},
	[BN_VU_SET_VRING_CALL] = {"SET_VRING_CALL", true, false, 0, 1, EXACT(uint64_t),
		vring_fd_ok},
	[BN_VU_SET_VRING_ERR] = {"SET_VRING_ERR", true, false, 0, 1, EXACT(uint64_t), vring_fd_ok},
	[BN_VU_GET_PROTOCOL_FEATURES] = {"GET_PROTOCOL_FEATURES", true, true, 0, 0, NONE, NULL},
	[BN_VU_SET_PROTOCOL_FEATURES] = {"SET_PROTOCOL_FEATURES", true, false, 0, 0,
		EXACT(uint64_t), NULL},
	[BN_VU_GET_QUEUE_NUM] = {"GET_QUEUE_NUM", true, true, 0, 0, NONE, NULL},
	[BN_VU_SET_VRING_ENABLE] = {"SET_VRING_ENABLE", true, false, 0, 0,
		EXACT(struct bn_vu_vring_state), NULL},
	[BN_VU_SET_BACKEND_REQ_FD] = {"SET_BACKEND_REQ_FD", true, false, 1, 1, NONE, NULL},
	[BN_VU_GET_CONFIG] = {"GET_CONFIG", true, true, 0, 0, CONFIG, config_ok},
	[BN_VU_SET_CONFIG] = {"SET_CONFIG", true, false, 0, 0, CONFIG, config_ok},
	[BN_VU_GET_INFLIGHT_FD] = NOT_OFFERED("GET_INFLIGHT_FD", true),
	[BN_VU_SET_INFLIGHT_FD] = NOT_OFFERED("SET_INFLIGHT_FD", false),
	[BN_VU_GPU_SET_SOCKET] = {"GPU_SET_SOCKET", true, false, 1, 1, NONE, NULL},
	[BN_VU_RESET_DEVICE] = {"RESET_DEVICE", true, false, 0, 0, NONE, NULL},
	[BN_VU_VRING_KICK] = NOT_OFFERED("VRING_KICK", false),
	[BN_VU_GET_MAX_MEM_SLOTS] = {"GET_MAX_MEM_SLOTS", true, true, 0, 0, NONE, NULL},
	[BN_VU_ADD_MEM_REG] = {"ADD_MEM_REG", true, false, 1, 1, EXACT(struct bn_vu_mem_reg), NULL},
	/* The specification lets a front end send a useless fd here, which the back end closes. */
	[BN_VU_REM_MEM_REG] = {"REM_MEM_REG", true, false, 0, 1, EXACT(struct bn_vu_mem_reg), NULL},
	[BN_VU_SET_STATUS] = NOT_OFFERED("SET_STATUS", false),
	[BN_VU_GET_STATUS] = NOT_OFFERED("GET_STATUS", true),
};

static const struct kind *find_kind(uint32_t request)
{
	if (request >= sizeof(kinds) / sizeof(kinds[0]) || !kinds[request].name)
		return NULL;
	return &kinds[request];
}

bool bn_vu_has_reply(uint32_t request)
{
	const struct kind *kind = find_kind(request);

	return kind && kind->reply;
}

int bn_vu_check(const struct bn_vu_header *header, const union bn_vu_payload *payload, size_t nfds)
{
	const struct kind *kind = find_kind(header->request);

	if ((header->flags & BN_VU_VERSION_MASK) != BN_VU_VERSION ||
		(header->flags & BN_VU_FLAG_REPLY) || header->size > sizeof(*payload))
		return -EPROTO;
	if (!kind || !kind->offered)
		return -ENOTSUP;
	if (header->size < kind->min_size || header->size > kind->max_size ||
		nfds < kind->min_fds || nfds > kind->max_fds)
		return -EPROTO;
	return kind->ok && !kind->ok(header, payload, nfds) ? -EPROTO : 0;
}

const char *bn_vu_name(uint32_t request)
{
	const struct kind *kind = find_kind(request);

	return kind ? kind->name : "?";
}
