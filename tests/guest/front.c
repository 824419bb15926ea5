#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/fd.h"
#include "front.h"

int tg_front_connect(struct tg_front *f, const char *path)
{
	*f = (struct tg_front){.sock = -1, .backend_req = -1};
	int sock = bn_unix_connect(path, SOCK_STREAM);
	if (sock < 0)
		return sock;
	struct timeval limit = {.tv_sec = TG_DEADLINE_S};
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	bn_fd_set_nonblock(sock, false);
	f->sock = sock;
	return 0;
}

void tg_front_close(struct tg_front *f)
{
	bn_fd_close(&f->sock);
	bn_fd_close(&f->backend_req);
}

int tg_front_send_bytes(
	struct tg_front *f, const void *bytes, size_t len, const int *fds, size_t nfds)
{
	struct iovec iov = {(void *)bytes, len};
	/* More than any back end takes: too many fds is one of the mistakes to make. */
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(64 * sizeof(int))];
	} control = {0};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	if (nfds) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	ssize_t n = sendmsg(f->sock, &msg, MSG_NOSIGNAL);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

int tg_front_send(struct tg_front *f, uint32_t request, uint32_t flags, const void *payload,
	uint32_t size, const int *fds, size_t nfds)
{
	struct {
		struct bn_vu_header header;
		uint8_t payload[sizeof(union bn_vu_payload)];
	} message = {.header = {request, BN_VU_VERSION | flags, size}};
	if (size > sizeof(message.payload))
		return -EMSGSIZE;
	if (size)
		memcpy(message.payload, payload, size);
	return tg_front_send_bytes(f, &message, sizeof(message.header) + size, fds, nfds);
}

static int receive_all(int sock, void *out, size_t len)
{
	ssize_t n = len ? recv(sock, out, len, MSG_WAITALL) : 0;
	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return (size_t)n == len ? 0 : -ECONNRESET;
}

int tg_front_reply(struct tg_front *f, uint32_t request, void *payload, uint32_t max)
{
	struct bn_vu_header header;
	int err = receive_all(f->sock, &header, sizeof(header));
	if (err < 0)
		return err;
	if (header.request != request || header.flags != (BN_VU_VERSION | BN_VU_FLAG_REPLY) ||
		header.size > max)
		return -EPROTO;
	err = receive_all(f->sock, payload, header.size);
	return err < 0 ? err : (int)header.size;
}

int tg_front_wait_hangup(struct tg_front *f)
{
	for (;;) {
		char skipped[512];
		ssize_t n = recv(f->sock, skipped, sizeof(skipped), 0);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return 0;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
	}
}

int tg_front_get_u64(struct tg_front *f, uint32_t request, uint64_t *out)
{
	int err = tg_front_send(f, request, 0, NULL, 0, NULL, 0);
	if (err < 0)
		return err;
	err = tg_front_reply(f, request, out, sizeof(*out));
	return err < 0 ? err : err == sizeof(*out) ? 0 : -EPROTO;
}

int tg_front_set(struct tg_front *f, uint32_t request, const void *payload, uint32_t size,
	const int *fds, size_t nfds)
{
	bool ack = f->protocol & (1ull << BN_VU_PROTOCOL_F_REPLY_ACK);
	uint64_t result = 0;
	int err = tg_front_send(
		f, request, ack ? BN_VU_FLAG_NEED_REPLY : 0, payload, size, fds, nfds);
	if (err < 0)
		return err;
	if (!ack)
		return tg_front_get_u64(f, BN_VU_GET_FEATURES, &result);
	err = tg_front_reply(f, request, &result, sizeof(result));
	if (err < 0)
		return err;
	return err == sizeof(result) && !result ? 0 : -EREMOTEIO;
}

int tg_front_set_u64(struct tg_front *f, uint32_t request, uint64_t value)
{
	return tg_front_set(f, request, &value, sizeof(value), NULL, 0);
}

int tg_front_set_ring_fd(struct tg_front *f, uint32_t request, unsigned index, int fd)
{
	uint64_t value = index | (fd < 0 ? BN_VU_VRING_NOFD : 0);
	return tg_front_set(f, request, &value, sizeof(value), &fd, fd < 0 ? 0 : 1);
}

int tg_front_set_ring(struct tg_front *f, uint32_t request, unsigned index, unsigned num)
{
	struct bn_vu_vring_state state = {index, num};
	return tg_front_set(f, request, &state, sizeof(state), NULL, 0);
}

int tg_front_stop_ring(struct tg_front *f, unsigned index)
{
	struct bn_vu_vring_state state = {index, 0};
	int err = tg_front_send(f, BN_VU_GET_VRING_BASE, 0, &state, sizeof(state), NULL, 0);
	if (err < 0)
		return err;
	err = tg_front_reply(f, BN_VU_GET_VRING_BASE, &state, sizeof(state));
	if (err < 0)
		return err;
	return err == sizeof(state) && state.index == index ? (int)state.num : -EPROTO;
}

#define CONFIG_HEAD offsetof(struct bn_vu_config, bytes)

int tg_front_get_config(struct tg_front *f, uint32_t offset, void *out, uint32_t size)
{
	struct bn_vu_config config = {.offset = offset, .size = size};
	if (size > sizeof(config.bytes))
		return -EMSGSIZE;
	uint32_t wire = CONFIG_HEAD + size;
	int err = tg_front_send(f, BN_VU_GET_CONFIG, 0, &config, wire, NULL, 0);
	if (err < 0)
		return err;
	err = tg_front_reply(f, BN_VU_GET_CONFIG, &config, sizeof(config));
	if (err < 0)
		return err;
	if ((uint32_t)err != wire)
		return -EREMOTEIO;
	memcpy(out, config.bytes, size);
	return 0;
}

int tg_front_set_config(struct tg_front *f, uint32_t offset, const void *bytes, uint32_t size)
{
	struct bn_vu_config config = {.offset = offset, .size = size};
	if (size > sizeof(config.bytes))
		return -EMSGSIZE;
	memcpy(config.bytes, bytes, size);
	return tg_front_set(f, BN_VU_SET_CONFIG, &config, CONFIG_HEAD + size, NULL, 0);
}

static int open_backend_channel(struct tg_front *f)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	int err = tg_front_set(f, BN_VU_SET_BACKEND_REQ_FD, NULL, 0, &pair[1], 1);
	close(pair[1]);
	if (err < 0)
		close(pair[0]);
	else
		f->backend_req = pair[0];
	return err;
}

static bool has(const struct tg_front *f, unsigned protocol_feature)
{
	return f->protocol & (1ull << protocol_feature);
}

int tg_front_handshake(struct tg_front *f, uint64_t feature_mask, uint64_t protocol_mask)
{
	uint64_t value;
	int err = tg_front_get_u64(f, BN_VU_GET_FEATURES, &f->offered);
	if (err < 0)
		return err;
	if (!(f->offered & (1ull << BN_VU_F_PROTOCOL_FEATURES)))
		return -EPROTO;
	f->features = f->offered & (feature_mask | 1ull << BN_VU_F_PROTOCOL_FEATURES);
	err = tg_front_get_u64(f, BN_VU_GET_PROTOCOL_FEATURES, &value);
	if (err < 0)
		return err;
	value &= protocol_mask;
	/* The answer to this one is not asked for: whether it may be depends on the message itself.
	 */
	err = tg_front_send(f, BN_VU_SET_PROTOCOL_FEATURES, 0, &value, sizeof(value), NULL, 0);
	f->protocol = value;
	if (!err && has(f, BN_VU_PROTOCOL_F_MQ))
		err = tg_front_get_u64(f, BN_VU_GET_QUEUE_NUM, &value);
	if (!err && has(f, BN_VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS))
		err = tg_front_get_u64(f, BN_VU_GET_MAX_MEM_SLOTS, &value);
	if (!err)
		err = tg_front_set(f, BN_VU_SET_OWNER, NULL, 0, NULL, 0);
	if (!err && has(f, BN_VU_PROTOCOL_F_BACKEND_REQ))
		err = open_backend_channel(f);
	return err;
}

int tg_front_backend_request(struct tg_front *f, int timeout_ms)
{
	struct pollfd p = {.fd = f->backend_req, .events = POLLIN};
	if (poll(&p, 1, timeout_ms) != 1)
		return -ETIMEDOUT;
	struct bn_vu_header header;
	uint8_t payload[256];
	int err = receive_all(f->backend_req, &header, sizeof(header));
	if (err < 0)
		return err;
	if (header.size > sizeof(payload))
		return -EPROTO;
	err = receive_all(f->backend_req, payload, header.size);
	if (err < 0)
		return err;
	if (header.flags & BN_VU_FLAG_NEED_REPLY) {
		struct {
			struct bn_vu_header header;
			uint64_t value;
		} __attribute__((packed)) answer = {
			{header.request, BN_VU_VERSION | BN_VU_FLAG_REPLY, 8}, 0};
		if (send(f->backend_req, &answer, sizeof(answer), MSG_NOSIGNAL) < 0)
			return -errno;
	}
	return (int)header.request;
}
