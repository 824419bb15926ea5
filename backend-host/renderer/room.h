/* Whether this process has memory left for another GL context. Drivers do not survive an allocation that
 * fails while they make one (Mesa's software rasteriser takes 28 MiB for each, and ends in a NULL
 * pointer), so who asks must be refused before. Ring thread only. */
#ifndef BN_RENDERER_ROOM_H
#define BN_RENDERER_ROOM_H

#include <stdbool.h>
#include <stdint.h>

struct bn_room {
	int statm_fd;	       /* /proc/self/statm, which is not to be had inside the sandbox; -1 */
	uint64_t reserve;      /* bytes that are kept for the contexts that are there already */
	uint64_t context_cost; /* bytes, the most that one has taken; 0: none was made yet */
	uint64_t before;       /* bytes in use before the one that is being made */
};

/* Before the sandbox is entered. Without /proc there is room for everything; logged. */
void bn_room_init(struct bn_room *room, uint64_t reserve);
void bn_room_finish(struct bn_room *room);
/* Room for that many contexts more within the limits (RLIMIT_DATA, RLIMIT_AS) that are in force now, with
 * the reserve and `promised` bytes left over. */
bool bn_room_for_contexts(struct bn_room *room, uint64_t count, uint64_t promised);
/* Around the making of one: how much it takes. */
void bn_room_context_begin(struct bn_room *room);
void bn_room_context_end(struct bn_room *room);

#endif
