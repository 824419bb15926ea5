/* A GL library that does nothing, remembers, and finishes its fences when told: for tests of the
 * device. */
#ifndef BN_TESTS_FAKE_GL_H
#define BN_TESTS_FAKE_GL_H

#include <stdint.h>

#include "gl.h"

#define FAKE_GL_MAX 256u

struct bn_gl {
	unsigned contexts, resources, attached, iovs; /* alive */
	unsigned contexts_max; /* that the driver gives; 0: any number */
	unsigned submits, transfers, read_backs;
	struct {
		uint32_t ctx_id;
		uint64_t id;
	} fence[FAKE_GL_MAX]; /* made and not finished */
	unsigned fences;
	void (*poll)(void); /* what bn_gl_poll() does; NULL: nothing */
	int submit_result;
	unsigned metered; /* submits that were */
	uint64_t meter_id, meter_ended;
	uint64_t meter_ns; /* what each takes; 0: nothing is known */
	bool can_export;
	uint32_t width, height; /* of every scanout */
	uint32_t last_submit[16];
};

#endif
