#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "idmap.h"

#define CAPACITY_MIN 64u

void bn_idmap_init(struct bn_idmap *map)
{
	memset(map, 0, sizeof(*map));
}

void bn_idmap_finish(struct bn_idmap *map)
{
	free(map->slots);
	memset(map, 0, sizeof(*map));
}

/* A multiplication spreads ids that a hostile guest chose; the walk stays bounded by the table,
 * which is at most 3/4 full. */
static uint32_t place(const struct bn_idmap *map, uint32_t id)
{
	return (uint32_t)((id * 0x9e3779b97f4a7c15ull) >> 32) & (map->capacity - 1);
}

static struct bn_idmap_slot *find(const struct bn_idmap *map, uint32_t id)
{
	uint32_t i = place(map, id);

	while (map->slots[i].id != 0 && map->slots[i].id != id)
		i = (i + 1) & (map->capacity - 1);
	return &map->slots[i];
}

void *bn_idmap_get(const struct bn_idmap *map, uint32_t id)
{
	if (id == 0 || map->count == 0)
		return NULL;
	return find(map, id)->object;
}

static int grow(struct bn_idmap *map)
{
	struct bn_idmap bigger = {.capacity = map->capacity ? map->capacity * 2 : CAPACITY_MIN};

	bigger.slots = calloc(bigger.capacity, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < map->capacity; i++) {
		if (map->slots[i].id != 0)
			*find(&bigger, map->slots[i].id) = map->slots[i];
	}
	free(map->slots);
	map->slots = bigger.slots;
	map->capacity = bigger.capacity;
	return 0;
}

int bn_idmap_put(struct bn_idmap *map, uint32_t id, void *object)
{
	if (map->count + 1 > map->capacity / 4 * 3) {
		int r = grow(map);

		if (r < 0)
			return r;
	}
	*find(map, id) = (struct bn_idmap_slot){.id = id, .object = object};
	map->count++;
	return 0;
}

void *bn_idmap_remove(struct bn_idmap *map, uint32_t id)
{
	struct bn_idmap_slot *slot;
	void *object;
	uint32_t hole, i;

	if (!bn_idmap_get(map, id))
		return NULL;
	slot = find(map, id);
	object = slot->object;
	hole = (uint32_t)(slot - map->slots);
	/* Entries behind the hole move up when their own place is not between the hole and them:
	 * no tombstones. */
	for (i = (hole + 1) & (map->capacity - 1); map->slots[i].id != 0;
		i = (i + 1) & (map->capacity - 1)) {
		uint32_t home = place(map, map->slots[i].id);

		if (((i - home) & (map->capacity - 1)) >= ((i - hole) & (map->capacity - 1))) {
			map->slots[hole] = map->slots[i];
			hole = i;
		}
	}
	map->slots[hole] = (struct bn_idmap_slot){0};
	map->count--;
	return object;
}

void *bn_idmap_next(const struct bn_idmap *map, uint32_t *position)
{
	while (*position < map->capacity) {
		struct bn_idmap_slot *slot = &map->slots[(*position)++];

		if (slot->id != 0)
			return slot->object;
	}
	return NULL;
}
