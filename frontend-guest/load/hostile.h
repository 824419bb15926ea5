/* SPDX-License-Identifier: MIT */
/* What a guest can do to its neighbours with nothing but OpenGL ES 2. */
#ifndef BN_GUEST_HOSTILE_H
#define BN_GUEST_HOSTILE_H

#include "gl.h"
#include "load.h"

struct bn_hostile {
	struct bn_gl gl;
	struct bn_gl_target target;
	struct bn_load load;
	int strength; /* 1–100: size of each blow */
	unsigned number;
	unsigned long failures; /* what the driver refused */
};

struct bn_hostile_mode {
	const char *name, *what;
	/* One blow. It never waits for the GPU. */
	void (*strike)(struct bn_hostile *h);
};

extern const struct bn_hostile_mode bn_hostile_modes[];
extern const int bn_hostile_mode_count;

/* 0 or a negative errno; the reason is printed. */
int bn_hostile_init(struct bn_hostile *h, int strength);
void bn_hostile_finish(struct bn_hostile *h);

#endif
