/* A renderer without its program: a control ring in guest memory, the ring thread's loop, the device
 * on a GL library that only remembers, and an arbiter by hand. */
#ifndef BN_TESTS_PARK_FIXTURE_H
#define BN_TESTS_PARK_FIXTURE_H

#include "fake_arbiter.h"
#include "fake_gl.h"
#include "renderer.h"
#include "unit.h"

#define MS 1000000ull
#define EQ CU_ASSERT_EQUAL
#define YES CU_ASSERT_TRUE
#define NO CU_ASSERT_FALSE

extern struct fake_arbiter a;
extern struct bn_gl gl;
extern struct bn_renderer r;
extern struct bn_stats stats;
extern struct bn_link_frame frame; /* the last one */
extern int peer;                   /* the daemon's end of the link */

void setup(void);
void teardown(void);
/* A turn of the ring thread: what can be done is done, then it sleeps until a timer. */
void run(void);
/* The loop once, until a timer: it has to find by itself what can be done. */
void run_once(void);

/* These put a command into the ring and return its number, from 0. */
unsigned send_parts(const void *cmd, size_t size, const void *more, size_t more_size);
#define SEND(cmd) send_parts(&(cmd), sizeof(cmd), NULL, 0)
unsigned ctx_create(uint32_t ctx);
unsigned create_3d(uint32_t id);
unsigned create_2d(uint32_t id);
unsigned transfer(uint32_t id);
unsigned backing(uint32_t id);
unsigned submit_words(uint32_t ctx, const uint32_t *words, uint32_t count);
/* A stream of so many clears. */
unsigned submit(uint32_t ctx, unsigned clears);

/* How many were answered, and the number of the i-th of them. */
unsigned answers(void);
unsigned answered(unsigned i);
/* The answer to a command as far as it is written, 0: nothing yet. */
uint32_t type_of(unsigned command);
#define OK VIRTIO_GPU_RESP_OK_NODATA
#define IS(command, code) CU_ASSERT_EQUAL(type_of(command), code)

/* All GPU work ends, and a millisecond passes. */
void gpu_end(void);
/* … and the ring thread goes on. */
void gpu_finish(void);
/* A grant for one batch comes, and the ring thread goes on. */
void grant(uint32_t kind);
/* Context 1 and resource 1 with a backing, made under a lease that is then over: three commands. */
void prepare(void);

#endif
