/* From the guest's 32-bit ids to our objects. Open addressing; id 0 is not an id. One thread. */
#ifndef BN_RENDERER_IDMAP_H
#define BN_RENDERER_IDMAP_H

#include <stdint.h>

struct bn_idmap_slot {
	uint32_t id; /* 0: free */
	void *object;
};

struct bn_idmap {
	struct bn_idmap_slot *slots; /* a power of two of them, NULL when nothing was ever put in */
	uint32_t capacity, count;
};

void bn_idmap_init(struct bn_idmap *map);
/* Frees the table, not the objects. */
void bn_idmap_finish(struct bn_idmap *map);
/* NULL when there is none (id 0 included). */
void *bn_idmap_get(const struct bn_idmap *map, uint32_t id);
/* The id must be neither 0 nor present. -ENOMEM. */
int bn_idmap_put(struct bn_idmap *map, uint32_t id, void *object);
/* Returns the object that was removed, NULL if there was none. */
void *bn_idmap_remove(struct bn_idmap *map, uint32_t id);
/* Walks the objects: *position starts at 0; NULL at the end. Removing the object just returned
 * ends the walk's validity: start again from 0. */
void *bn_idmap_next(const struct bn_idmap *map, uint32_t *position);

#endif
