/* vhost-user on the wire, as far as a GPU back end meets it (QEMU docs/interop/vhost-user.rst; ids
 * and layouts checked against QEMU 7.2–11.1 and Linux' arch/um/drivers/vhost_user.h). Host byte
 * order. No I/O here. */
#ifndef BN_PROTOCOL_VHOST_USER_H
#define BN_PROTOCOL_VHOST_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bn_vu_request {
	BN_VU_GET_FEATURES = 1,
	BN_VU_SET_FEATURES = 2,
	BN_VU_SET_OWNER = 3,
	BN_VU_RESET_OWNER = 4,
	BN_VU_SET_MEM_TABLE = 5,
	BN_VU_SET_LOG_BASE = 6,
	BN_VU_SET_LOG_FD = 7,
	BN_VU_SET_VRING_NUM = 8,
	BN_VU_SET_VRING_ADDR = 9,
	BN_VU_SET_VRING_BASE = 10,
	BN_VU_GET_VRING_BASE = 11,
	BN_VU_SET_VRING_KICK = 12,
	BN_VU_SET_VRING_CALL = 13,
	BN_VU_SET_VRING_ERR = 14,
	BN_VU_GET_PROTOCOL_FEATURES = 15,
	BN_VU_SET_PROTOCOL_FEATURES = 16,
	BN_VU_GET_QUEUE_NUM = 17,
	BN_VU_SET_VRING_ENABLE = 18,
	BN_VU_SET_BACKEND_REQ_FD = 21,
	BN_VU_GET_CONFIG = 24,
	BN_VU_SET_CONFIG = 25,
	BN_VU_GET_INFLIGHT_FD = 31,
	BN_VU_SET_INFLIGHT_FD = 32,
	BN_VU_GPU_SET_SOCKET = 33,
	BN_VU_RESET_DEVICE = 34,
	BN_VU_VRING_KICK = 35,
	BN_VU_GET_MAX_MEM_SLOTS = 36,
	BN_VU_ADD_MEM_REG = 37,
	BN_VU_REM_MEM_REG = 38,
	BN_VU_SET_STATUS = 39,
	BN_VU_GET_STATUS = 40,
};

/* Requests that the back end sends on the SET_BACKEND_REQ_FD channel. */
enum bn_vu_backend_request {
	BN_VU_BACKEND_CONFIG_CHANGE = 2,
};

#define BN_VU_VERSION 0x1u	/* bits 0–1 of flags */
#define BN_VU_VERSION_MASK 0x3u
#define BN_VU_FLAG_REPLY 0x4u
#define BN_VU_FLAG_NEED_REPLY 0x8u

/* Device feature bit that turns on protocol features and SET_VRING_ENABLE. */
#define BN_VU_F_PROTOCOL_FEATURES 30

enum bn_vu_protocol_feature {
	BN_VU_PROTOCOL_F_MQ = 0,
	BN_VU_PROTOCOL_F_REPLY_ACK = 3,
	BN_VU_PROTOCOL_F_BACKEND_REQ = 5,
	BN_VU_PROTOCOL_F_CONFIG = 9,
	BN_VU_PROTOCOL_F_BACKEND_SEND_FD = 10,
	BN_VU_PROTOCOL_F_RESET_DEVICE = 13,
	BN_VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
};

/* What we offer, exactly: QEMU acknowledges every bit offered below its maximum, also ones that it
 * does not implement. */
#define BN_VU_PROTOCOL_FEATURES \
	((1ull << BN_VU_PROTOCOL_F_MQ) | (1ull << BN_VU_PROTOCOL_F_REPLY_ACK) | \
		(1ull << BN_VU_PROTOCOL_F_BACKEND_REQ) | (1ull << BN_VU_PROTOCOL_F_CONFIG) | \
		(1ull << BN_VU_PROTOCOL_F_BACKEND_SEND_FD) | \
		(1ull << BN_VU_PROTOCOL_F_RESET_DEVICE) | \
		(1ull << BN_VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS))

struct bn_vu_header {
	uint32_t request, flags, size;
};

#define BN_VU_REGIONS_MAX 8 /* of SET_MEM_TABLE */
#define BN_VU_CONFIG_MAX 256 /* bytes of device configuration in one message */

struct bn_vu_region {
	uint64_t guest_addr, size, user_addr, mmap_offset;
};
struct bn_vu_mem_table {
	uint32_t nregions, padding;
	struct bn_vu_region region[BN_VU_REGIONS_MAX];
};
struct bn_vu_mem_reg { /* ADD_MEM_REG, REM_MEM_REG */
	uint64_t padding;
	struct bn_vu_region region;
};
struct bn_vu_vring_state { /* NUM, BASE, ENABLE */
	uint32_t index, num;
};
struct bn_vu_vring_addr {
	uint32_t index, flags;
	uint64_t desc_user, used_user, avail_user, log_guest;
};
#define BN_VU_VRING_INDEX_MASK 0xffull
#define BN_VU_VRING_NOFD 0x100ull /* KICK, CALL, ERR: no fd comes with it */
struct bn_vu_config {
	uint32_t offset, size, flags;
	uint8_t bytes[BN_VU_CONFIG_MAX];
};

union bn_vu_payload {
	uint64_t u64;
	struct bn_vu_mem_table mem_table;
	struct bn_vu_mem_reg mem_reg;
	struct bn_vu_vring_state vring_state;
	struct bn_vu_vring_addr vring_addr;
	struct bn_vu_config config;
	uint8_t raw[512];
};

/* Whether a request of this kind is answered by itself (GET_*), or only when REPLY_ACK is
 * negotiated and NEED_REPLY set. */
bool bn_vu_has_reply(uint32_t request);
/* 0 when the header is one that may come (version 1, no REPLY flag, known request, size within that
 * request's bounds — User-Mode Linux' SET_MEM_TABLE has trailing bytes — and nfds what the request
 * may carry given its payload); -EPROTO for a broken header or wrong number of fds or size (the
 * stream cannot be trusted: end the connection), -ENOTSUP for a well-formed request that we do not
 * know or never offered (skip its payload, answer an error where one is due). payload holds
 * header->size bytes when that is at most sizeof(union bn_vu_payload), which is checked too; it may
 * be NULL when header->size is 0. The fds of a refused request are the caller's to close. */
int bn_vu_check(const struct bn_vu_header *header, const union bn_vu_payload *payload, size_t nfds);
/* For logs; "?" for unknown ones. */
const char *bn_vu_name(uint32_t request);

#endif
