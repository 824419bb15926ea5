/* seeds FOLDER: writes FOLDER/link/ok-* and FOLDER/vhost_user/ok-*, one legal message of each
 * kind. Run it on corpus/ after a change of the formats. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "protocol/link.h"
#include "protocol/vhost_user.h"

static const char *folder;
static int failures;

static void write_seed(const char *target, const char *name, uint8_t first, const void *header,
	size_t header_size, const void *payload, size_t size)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s/ok-%s", folder, target, name);
	FILE *file = fopen(path, "wb");
	if (!file) {
		perror(path);
		failures++;
		return;
	}
	fputc(first, file);
	fwrite(header, header_size, 1, file);
	if (size > 0)
		fwrite(payload, size, 1, file);
	failures += fclose(file) != 0;
}

static void link_seed(uint32_t type, const void *payload, size_t size, uint8_t nfds)
{
	const struct bn_link_header header = {.type = type, .size = (uint32_t)size, .seq = 7};
	uint8_t side = type >= BN_LINK_READY ? 0x80 : 0;
	write_seed("link", bn_link_name(type), side | nfds, &header, sizeof(header), payload, size);
}
#define LINK(type, nfds, kind, ...) link_seed(type, &(const kind){__VA_ARGS__}, sizeof(kind), nfds)

static void link_seeds(void)
{
	LINK(BN_LINK_HELLO, BN_LINK_HELLO_FDS, struct bn_link_hello, .version = BN_LINK_VERSION,
		.gpu = BN_LINK_GPU_SURFACELESS, .num_scanouts = 2, .journal_size = 4096,
		.host_memory_max = 1 << 30, .vm = "cluster");
	LINK(BN_LINK_DISPLAYS, 0, struct bn_link_displays,
		.display[0] = {.enabled = 1,
			.width = 1280,
			.height = 480,
			.refresh_mhz = 60000,
			.name = "cluster"});
	LINK(BN_LINK_FEATURES, 0, struct bn_link_u64, .value = 1ull << 32);
	LINK(BN_LINK_MEM_ADD, 1, struct bn_link_region, .size = 1 << 30,
		.user_addr = 0x7f0000000000);
	LINK(BN_LINK_MEM_REMOVE, 0, struct bn_link_region, .size = 1 << 30,
		.user_addr = 0x7f0000000000);
	link_seed(BN_LINK_MEM_CLEAR, NULL, 0, 0);
	LINK(BN_LINK_VRING_START, 1, struct bn_link_vring, .index = 1, .num = 256,
		.desc_user = 0x7f0000001000, .avail_user = 0x7f0000002000,
		.used_user = 0x7f0000003000, .base = 65535, .fresh = 1);
	LINK(BN_LINK_VRING_CALL, 1, struct bn_link_u64, .value = 1);
	LINK(BN_LINK_VRING_STOP, 0, struct bn_link_u64, .value = 0);
	LINK(BN_LINK_PRESENTED, 0, struct bn_link_presented, .seq = 9, .time_ns = 123456789,
		.scanout = 15);
	LINK(BN_LINK_RELEASE, 0, struct bn_link_release, .buffer = 3, .seq = 2);
	LINK(BN_LINK_READY, 0, struct bn_link_ready, .num_capsets = 2,
		.sandbox = BN_LINK_SANDBOX_SECCOMP,
		.capset = {{.id = 1, .max_version = 1, .max_size = 308},
			{.id = 2, .max_version = 2, .max_size = 1380}},
		.gl_renderer = "llvmpipe", .gl_version = "4.5");
	LINK(BN_LINK_ACK, 0, struct bn_link_ack, .seq = 4, .error = -22);
	LINK(BN_LINK_BUFFER_NEW, 2, struct bn_link_buffer, .id = 5, .kind = BN_LINK_BUFFER_DMABUF,
		.width = 1280, .height = 480, .fourcc = 0x34325258, .planes = 2,
		.stride = {5120, 1280}, .offset = {0, 4096});
	LINK(BN_LINK_BUFFER_GONE, 0, struct bn_link_u64, .value = 5);
	LINK(BN_LINK_FRAME, 0, struct bn_link_frame, .seq = 11, .buffer = 5, .flush_ns = 1,
		.scanout = 1, .src_width = 1280, .src_height = 480, .damage_width = 8192,
		.damage_height = 8192);
	static const struct bn_link_cursor_image cursor = {
		.visible = 1, .hot_x = 63, .x = -3, .pixels = {[9] = ~0u}};
	link_seed(BN_LINK_CURSOR_IMAGE, &cursor, sizeof(cursor), 0);
	LINK(BN_LINK_CURSOR_MOVE, 0, struct bn_link_cursor_move, .scanout = 1, .x = 10, .y = -10);
	LINK(BN_LINK_FAULT, 0, struct bn_link_fault, .fatal = 1, .text = "GL context lost");
}

static void vu_seed(uint32_t request, const void *payload, size_t size, uint8_t nfds)
{
	const struct bn_vu_header header = {
		request, BN_VU_VERSION | BN_VU_FLAG_NEED_REPLY, (uint32_t)size};
	write_seed("vhost_user", bn_vu_name(request), nfds, &header, sizeof(header), payload, size);
}

static void vu_seeds(void)
{
	static const uint8_t empty[] = {BN_VU_GET_FEATURES, BN_VU_SET_OWNER, BN_VU_RESET_OWNER,
		BN_VU_GET_PROTOCOL_FEATURES, BN_VU_GET_QUEUE_NUM, BN_VU_RESET_DEVICE,
		BN_VU_GET_MAX_MEM_SLOTS};
	for (size_t i = 0; i < sizeof(empty); i++)
		vu_seed(empty[i], NULL, 0, 0);
	vu_seed(BN_VU_SET_BACKEND_REQ_FD, NULL, 0, 1);
	vu_seed(BN_VU_GPU_SET_SOCKET, NULL, 0, 1);
	const uint64_t features = 1ull << BN_VU_F_PROTOCOL_FEATURES | 1ull << 32,
		       no_fd = BN_VU_VRING_NOFD | 1, queue = 1;
	vu_seed(BN_VU_SET_FEATURES, &features, 8, 0);
	vu_seed(BN_VU_SET_PROTOCOL_FEATURES, &(const uint64_t){BN_VU_PROTOCOL_FEATURES}, 8, 0);
	vu_seed(BN_VU_SET_VRING_KICK, &queue, 8, 1);
	vu_seed(BN_VU_SET_VRING_CALL, &no_fd, 8, 0);
	vu_seed(BN_VU_SET_VRING_ERR, &queue, 8, 1);
	const struct bn_vu_vring_state state = {1, 256};
	static const uint8_t states[] = {BN_VU_SET_VRING_NUM, BN_VU_SET_VRING_BASE,
		BN_VU_GET_VRING_BASE, BN_VU_SET_VRING_ENABLE};
	for (size_t i = 0; i < sizeof(states); i++)
		vu_seed(states[i], &state, sizeof(state), 0);
	const struct bn_vu_vring_addr addr = {.index = 1,
		.desc_user = 0x7f0000001000,
		.used_user = 0x7f0000003000,
		.avail_user = 0x7f0000002000};
	vu_seed(BN_VU_SET_VRING_ADDR, &addr, sizeof(addr), 0);
	/* User-Mode Linux: one region, the size of two. */
	const struct bn_vu_mem_table table = {
		.nregions = 1, .region[0] = {.size = 1 << 30, .user_addr = 0x60000000}};
	vu_seed(BN_VU_SET_MEM_TABLE, &table, 8 + 2 * sizeof(struct bn_vu_region), 1);
	const struct bn_vu_mem_reg reg = {.region = {.guest_addr = 1ull << 32, .size = 1 << 27}};
	vu_seed(BN_VU_ADD_MEM_REG, &reg, sizeof(reg), 1);
	vu_seed(BN_VU_REM_MEM_REG, &reg, sizeof(reg), 0);
	const struct bn_vu_config config = {.size = 16};
	vu_seed(BN_VU_GET_CONFIG, &config, 12 + 16, 0);
	vu_seed(BN_VU_SET_CONFIG, &config, 12 + 16, 0);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: seeds FOLDER\n");
		return 2;
	}
	folder = argv[1];
	link_seeds();
	vu_seeds();
	return failures ? 1 : 0;
}
