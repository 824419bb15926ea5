/* The virtio-gpu device by its commands, without rings, on a GL library that only remembers. */
#ifndef BN_TESTS_DEVICE_FIXTURE_H
#define BN_TESTS_DEVICE_FIXTURE_H

#include "device.h"
#include "fake_gl.h"
#include "unit.h"

#define MEMORY (4u << 20)
#define GUEST 0x100000ull
#define JOURNAL (1u << 16)

extern struct bn_guest_memory *mem;
extern uint8_t *ram; /* MEMORY bytes, the guest's at GUEST */
extern struct bn_device *dev;
extern struct bn_gl gl;
extern struct bn_stats stats;
extern int journal_fd;

/* The last answer. */
extern struct virtio_gpu_ctrl_hdr resp;
extern uint8_t resp_bytes[2048];
extern uint32_t resp_size;
extern unsigned answers;

/* Link messages: the last of each kind and their number. */
extern struct bn_link_frame frame;
extern struct bn_link_buffer buffer;
extern uint64_t gone;
extern unsigned frames, buffers, gones;

void setup(bool with_gl);
void teardown(void);
/* A device on the memory and the journal that are there; restore: from what the journal says. */
void device_open(bool with_gl, bool restore);
/* New guest memory, all zero. */
void memory_add(void);

/* Sends a command of two parts; returns the answer's type, 0 when there is none yet. */
uint32_t send_parts(const void *cmd, size_t size, const void *more, size_t more_size,
	size_t in_size, bool replayed, bool broken);
#define SEND(cmd) send_parts(&(cmd), sizeof(cmd), NULL, 0, sizeof(resp_bytes), false, false)
#define OK VIRTIO_GPU_RESP_OK_NODATA
#define IS(call, code) CU_ASSERT_EQUAL(call, code)

/* The same of one command each. */
uint32_t create_2d(uint32_t id, uint32_t format, uint32_t w, uint32_t h);
uint32_t create_3d(uint32_t id, uint32_t w, uint32_t h);
uint32_t unref(uint32_t id);
/* One entry of backing; count: how many the command says there are. */
uint32_t attach(uint32_t id, uint64_t addr, uint32_t len, uint32_t count);
uint32_t detach(uint32_t id);
uint32_t transfer(uint32_t id, uint32_t x, uint32_t y, uint32_t w, uint32_t h, uint64_t offset);
uint32_t scanout(uint32_t index, uint32_t id, uint32_t x, uint32_t y, uint32_t w, uint32_t h);
uint32_t flush(uint32_t id, uint32_t w, uint32_t h);
uint32_t ctx_command(uint32_t type, uint32_t ctx, uint32_t res);
uint32_t ctx_create(uint32_t ctx, uint32_t init);
/* fence 0: without a fence. */
uint32_t submit(uint32_t ctx, uint64_t fence, uint32_t words);

/* The display showed that frame. */
void presented(uint32_t index, uint64_t seq);
/* No display uses the buffer any more, after all frames so far. */
void released(uint64_t id);
/* All GPU work ends. */
void gpu_finish(void);

#endif
