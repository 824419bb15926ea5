/* Renderer link messages. Input: one byte (bit 7: from the renderer; bits 0–3: number of fds),
 * header, payload. */
#include "fuzz.h"

#include <string.h>

#include "protocol/link.h"

bool bn_fuzz_accepted;

/* What the daemon relies on after a message was accepted: array indices and strings. */
static void require_safe(uint32_t type, const uint8_t *payload, size_t nfds)
{
	struct bn_link_hello hello;
	struct bn_link_ready ready;
	struct bn_link_buffer buffer;
	struct bn_link_frame frame;
	struct bn_link_fault fault;
	uint32_t scanout;
	switch (type) {
	case BN_LINK_HELLO:
		memcpy(&hello, payload, sizeof(hello));
		BN_FUZZ_REQUIRE(memchr(hello.vm, '\0', sizeof(hello.vm)) &&
				hello.num_scanouts <= BN_LINK_SCANOUTS);
		break;
	case BN_LINK_READY:
		memcpy(&ready, payload, sizeof(ready));
		BN_FUZZ_REQUIRE(ready.num_capsets <= BN_LINK_CAPSETS);
		BN_FUZZ_REQUIRE(memchr(ready.gl_renderer, '\0', sizeof(ready.gl_renderer)));
		BN_FUZZ_REQUIRE(memchr(ready.gl_version, '\0', sizeof(ready.gl_version)));
		break;
	case BN_LINK_BUFFER_NEW:
		memcpy(&buffer, payload, sizeof(buffer));
		BN_FUZZ_REQUIRE(buffer.planes == nfds && nfds <= 4 && buffer.id != 0);
		BN_FUZZ_REQUIRE(buffer.width > 0 && buffer.height > 0);
		break;
	case BN_LINK_FRAME:
		memcpy(&frame, payload, sizeof(frame));
		BN_FUZZ_REQUIRE(frame.scanout < BN_LINK_SCANOUTS);
		BN_FUZZ_REQUIRE((uint64_t)frame.src_x + frame.src_width <= 8192);
		BN_FUZZ_REQUIRE((uint64_t)frame.damage_y + frame.damage_height <= 8192);
		break;
	case BN_LINK_CURSOR_IMAGE:
	case BN_LINK_CURSOR_MOVE:
		memcpy(&scanout, payload, sizeof(scanout));
		BN_FUZZ_REQUIRE(scanout < BN_LINK_SCANOUTS);
		break;
	case BN_LINK_FAULT:
		memcpy(&fault, payload, sizeof(fault));
		BN_FUZZ_REQUIRE(memchr(fault.text, '\0', sizeof(fault.text)));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bn_link_header header;
	bn_fuzz_accepted = false;
	if (size < 1 + sizeof(header))
		return 0;
	bool from_renderer = data[0] & 0x80;
	size_t nfds = data[0] & 0xf;
	memcpy(&header, data + 1, sizeof(header));
	/* Unaligned on purpose: it lies where the caller's receive buffer has it. */
	const uint8_t *payload = data + 1 + sizeof(header);
	size -= 1 + sizeof(header);
	if (bn_link_check(&header, size ? payload : NULL, size, nfds, from_renderer) != 0)
		return 0;
	bn_fuzz_accepted = true;
	BN_FUZZ_REQUIRE(header.size == size && size <= BN_LINK_PAYLOAD_MAX);
	BN_FUZZ_REQUIRE(strcmp(bn_link_name(header.type), "?") != 0);
	BN_FUZZ_REQUIRE(
		bn_link_check(&header, size ? payload : NULL, size, nfds, !from_renderer) != 0);
	require_safe(header.type, payload, nfds);
	return 0;
}
