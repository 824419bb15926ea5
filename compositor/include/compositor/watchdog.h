/* The judge of what safety content must look like: regions of the screen with rules, told of each
 * picture that is shown and of the time that goes by, and it says which of them have failed. It
 * reads no pixels, knows no layers and no clock: times come as arguments, pictures as checksums.
 * All memory is taken at creation. One thread. */
#ifndef BN_COMPOSITOR_WATCHDOG_H
#define BN_COMPOSITOR_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#include "compositor/output.h"

#define BN_WATCH_REGIONS_MAX 64
#define BN_WATCH_SET_MAX 1024     /* pictures of one set */
#define BN_WATCH_FRAMES_MAX 10000 /* of bad_frames and good_frames */

enum bn_watch_fault {
	BN_WATCH_OK,
	BN_WATCH_MISSING,    /* nothing is shown there */
	BN_WATCH_WRONG,      /* none of the expected pictures */
	BN_WATCH_PRESENT,    /* a picture that must be absent */
	BN_WATCH_FROZEN,     /* has not changed in time */
	BN_WATCH_STALE,      /* the newest frame is too old */
	BN_WATCH_UNREADABLE, /* what is shown cannot be told, by now for too long */
	BN_WATCH_FAULTS,
};

enum bn_watch_state {
	/* Not live yet since the start: what stands in for it is to be shown, nothing is wrong. */
	BN_WATCH_WAITING,
	BN_WATCH_LIVE,
	BN_WATCH_FALLBACK, /* failed: what stands in for it is to be shown */
};

/* What is asked of a region; every rule that is given must hold. Checksums are CRC-32 (as in
 * zlib) of its pixels as bn_output_read() gives them. */
struct bn_watch_rule {
	const uint32_t *expect; /* one of these; copied */
	unsigned num_expect;    /* 0: no such rule; at most BN_WATCH_SET_MAX */
	const uint32_t *absent; /* none of these; copied */
	unsigned num_absent;
	uint64_t change_ns; /* changes at least this often; 0: no such rule */
	uint64_t age_ns;    /* the newest frame is no older; 0: no such rule */
	uint64_t start_ns;  /* is live so long after the start; 0: may take for ever */
	/* So many pictures in a row make it fail, or live again; 0 counts as 1. A picture that
	 * stays counts again after one and a half refreshes. */
	unsigned bad_frames, good_frames;
	uint64_t refresh_ns;
	/* Told of a picture so much later than it was shown at most: a rule about time waits for
	 * that long. */
	uint64_t grace_ns;
	uint64_t blind_ns; /* pictures may stay unknown for so long; 0: 8 refreshes */
};

/* What a picture that was shown has there. */
struct bn_watch_sample {
	enum {
		BN_WATCH_SEEN,
		BN_WATCH_NOTHING, /* no layer there: of the rules only `absent` allows it */
		BN_WATCH_UNKNOWN, /* cannot be told now */
		BN_WATCH_NEVER,   /* cannot be told at all */
	} what;
	uint32_t crc;      /* of SEEN, when bn_watchdog_wants_pixels() */
	uint64_t when_ns;  /* the vblank that showed it */
	uint64_t frame_ns; /* when its newest frame was flushed; at most when_ns counts */
};

struct bn_watch_status {
	enum bn_watch_state state;
	bool paused;
	uint64_t since_ns;               /* of the state */
	enum bn_watch_fault fault;       /* as it is now; in LIVE one that is tolerated still */
	enum bn_watch_fault last;        /* that made it fail last; OK: none did */
	uint64_t failed_ns;              /* when that could be known at the earliest */
	uint64_t count[BN_WATCH_FAULTS]; /* times that it failed so */
	uint64_t pictures, bad;          /* judged; of them with a fault */
	uint32_t crc;                    /* of what is there */
};

struct bn_watchdog; /* opaque */

/* changed is called at each change of a region's state, from sample, tick and reset. now_ns is
 * the start. 0, -EINVAL (numbers out of range), -ENOMEM. */
int bn_watchdog_create(struct bn_watchdog **out, const struct bn_watch_rule *rules, unsigned count,
	uint64_t now_ns, void (*changed)(void *data, unsigned region), void *data);
/* NULL is allowed. */
void bn_watchdog_destroy(struct bn_watchdog *watchdog);

/* Times that go back count as the latest before. A picture may be told of after a newer one (what is
 * written back takes its time): it is judged like others, but does not count as a change. */
void bn_watchdog_sample(
	struct bn_watchdog *watchdog, unsigned region, const struct bn_watch_sample *sample);
/* Time has gone by without a picture: what is due by then is judged. */
void bn_watchdog_tick(struct bn_watchdog *watchdog, uint64_t now_ns);
/* When the next tick is due; UINT64_MAX: none is. */
uint64_t bn_watchdog_deadline(const struct bn_watchdog *watchdog);
/* Nothing is shown there, and that is meant: until bn_watchdog_resume() samples and time count for
 * nothing. What was due before is judged. */
void bn_watchdog_pause(struct bn_watchdog *watchdog, unsigned region, uint64_t now_ns);
/* The rules begin afresh: what was seen before is as old as now, and what counted frames begins at 0.
 * keep: the state stays; otherwise it waits as at the start. */
void bn_watchdog_resume(struct bn_watchdog *watchdog, unsigned region, bool keep, uint64_t now_ns);
/* Counters begin anew; one that has failed waits as at the start. */
void bn_watchdog_reset(struct bn_watchdog *watchdog, unsigned region, uint64_t now_ns);
/* Another refresh rate. */
void bn_watchdog_set_refresh(
	struct bn_watchdog *watchdog, unsigned region, uint64_t refresh_ns, uint64_t grace_ns);

const struct bn_watch_status *bn_watchdog_status(
	const struct bn_watchdog *watchdog, unsigned region);
/* Whether its rules are about pixels; otherwise samples need no checksum. */
bool bn_watchdog_wants_pixels(const struct bn_watchdog *watchdog, unsigned region);
/* "ok", "missing" and so on. */
const char *bn_watch_fault_name(enum bn_watch_fault fault);

/* As bn_output_read(), but what would be shown if no layer were of BN_ROLE_FALLBACK. Always put
 * together by the CPU from the layers' own buffers. 0, -EINVAL, -ENOMEM, -EAGAIN, -ENOTSUP. */
int bn_output_read_below(struct bn_output *output, const struct bn_rect *rect, uint32_t *pixels);
/* Whether a layer of BN_ROLE_FALLBACK shows something there. */
bool bn_output_is_covered(const struct bn_output *output, const struct bn_rect *rect);
/* The output's layers, lowest first, at most max; their number. Valid until one is made or
 * destroyed. */
unsigned bn_output_layers(const struct bn_output *output, struct bn_layer **out, unsigned max);

#endif
