/* The judge of safety content, on times made up here. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "compositor/watchdog.h"

#define MS BN_NS_PER_MS
#define T0 (1000 * MS)
#define REFRESH (16 * MS)
#define GRACE (4 * MS)
#define GOOD 0x11u
#define GOOD2 0x22u
#define BAD 0x33u

static struct bn_watchdog *dog;
static unsigned calls, last_region;

static void handle_changed(void *data, unsigned region)
{
	CU_ASSERT_PTR_EQUAL(data, &calls);
	calls++;
	last_region = region;
}

static void make(const struct bn_watch_rule *rules, unsigned count)
{
	calls = 0;
	CU_ASSERT_EQUAL_FATAL(
		bn_watchdog_create(&dog, rules, count, T0, handle_changed, &calls), 0);
}

static void one(struct bn_watch_rule rule)
{
	if (rule.refresh_ns == 0)
		rule.refresh_ns = REFRESH;
	make(&rule, 1);
}

static void done(void)
{
	bn_watchdog_destroy(dog);
	dog = NULL;
}

static const struct bn_watch_status *status(void)
{
	return bn_watchdog_status(dog, 0);
}

static void see_frame(uint64_t ms, uint32_t crc, uint64_t frame_ms)
{
	const struct bn_watch_sample sample = {
		.what = BN_WATCH_SEEN, .crc = crc, .when_ns = ms * MS, .frame_ns = frame_ms * MS};
	bn_watchdog_sample(dog, 0, &sample);
}

static void see(uint64_t ms, uint32_t crc)
{
	see_frame(ms, crc, ms);
}

static void see_not(uint64_t ms, int what)
{
	struct bn_watch_sample sample = {.when_ns = ms * MS};
	sample.what = what;
	bn_watchdog_sample(dog, 0, &sample);
}

static void is(enum bn_watch_state state, enum bn_watch_fault fault)
{
	if (status()->state != state || status()->fault != fault)
		fprintf(stderr, "\nstate %d, fault %s\n", status()->state,
			bn_watch_fault_name(status()->fault));
	CU_ASSERT_EQUAL(status()->state, state);
	CU_ASSERT_EQUAL(status()->fault, fault);
}

static const uint32_t good[] = {GOOD, GOOD2}, bad[] = {BAD};

/* ---- each rule ---- */

static void test_expect(void)
{
	one((struct bn_watch_rule){.expect = good, .num_expect = 2});
	is(BN_WATCH_WAITING, BN_WATCH_MISSING);
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), UINT64_MAX);
	CU_ASSERT_TRUE(bn_watchdog_wants_pixels(dog, 0));
	see(1010, BAD); /* a guest that boots: nothing was live yet */
	is(BN_WATCH_WAITING, BN_WATCH_WRONG);
	see(1020, GOOD);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	see(1030, GOOD2);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), UINT64_MAX); /* may stay for ever */
	bn_watchdog_tick(dog, 100000 * MS);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	see(200000, GOOD ^ 1);
	is(BN_WATCH_FALLBACK, BN_WATCH_WRONG);
	CU_ASSERT_EQUAL(status()->since_ns, 200000 * MS);
	CU_ASSERT_EQUAL(status()->failed_ns, 200000 * MS);
	CU_ASSERT_EQUAL(status()->count[BN_WATCH_WRONG], 1);
	CU_ASSERT_EQUAL(status()->crc, GOOD ^ 1);
	CU_ASSERT_EQUAL(status()->pictures, 4);
	CU_ASSERT_EQUAL(status()->bad, 2);
	see(200016, GOOD);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	CU_ASSERT_EQUAL(status()->last, BN_WATCH_WRONG);
	CU_ASSERT_EQUAL(calls, 3);
	done();
}

static void test_missing(void)
{
	one((struct bn_watch_rule){.expect = good, .num_expect = 2});
	see(1010, GOOD);
	see_not(1020, BN_WATCH_NOTHING);
	is(BN_WATCH_FALLBACK, BN_WATCH_MISSING);
	see(1030, GOOD);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	done();
	one((struct bn_watch_rule){.age_ns = 50 * MS});
	CU_ASSERT_FALSE(bn_watchdog_wants_pixels(dog, 0));
	see(1010, 0);
	see_not(1020, BN_WATCH_NOTHING);
	is(BN_WATCH_FALLBACK, BN_WATCH_MISSING);
	CU_ASSERT_EQUAL(status()->count[BN_WATCH_MISSING], 1);
	done();
}

static void test_absent(void)
{
	one((struct bn_watch_rule){.absent = bad, .num_absent = 1});
	see_not(1010, BN_WATCH_NOTHING); /* as good as anything else */
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	see(1020, GOOD);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	see(1030, BAD);
	is(BN_WATCH_FALLBACK, BN_WATCH_PRESENT);
	see_not(1040, BN_WATCH_NOTHING);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	see_not(1050, BN_WATCH_UNKNOWN); /* it may be there by now */
	bn_watchdog_tick(dog, 1050 * MS + 8 * REFRESH);
	is(BN_WATCH_FALLBACK, BN_WATCH_UNREADABLE);
	done();
}

static void test_frozen(void)
{
	one((struct bn_watch_rule){.change_ns = 100 * MS, .grace_ns = GRACE});
	see(1010, 1);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), 1114 * MS);
	see(1060, 2);
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), 1164 * MS);
	see(1160, 2); /* the same picture at the last moment: still in time */
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	bn_watchdog_tick(dog, 1164 * MS - 1);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	bn_watchdog_tick(dog, 1164 * MS);
	is(BN_WATCH_FALLBACK, BN_WATCH_FROZEN);
	CU_ASSERT_EQUAL(status()->failed_ns, 1160 * MS);
	CU_ASSERT_EQUAL(status()->since_ns, 1164 * MS);
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), UINT64_MAX);
	see(1200, 2);
	is(BN_WATCH_FALLBACK, BN_WATCH_FROZEN);
	see(1210, 3);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	/* A picture tells of it without the grace. */
	see(1310, 3);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	see(1311, 3);
	is(BN_WATCH_FALLBACK, BN_WATCH_FROZEN);
	CU_ASSERT_EQUAL(status()->failed_ns, 1310 * MS);
	done();
}

/* A change in the very last moment, told of within the grace, is none; later it is, although
 * nobody ticked. */
static void test_grace(void)
{
	one((struct bn_watch_rule){.change_ns = 100 * MS, .grace_ns = GRACE});
	see(1010, 1);
	bn_watchdog_tick(dog, 1113 * MS);
	see(1110, 2); /* the picture of before that tick */
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	see(1218, 3); /* 1113 + 105: nobody ticked in between */
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	CU_ASSERT_EQUAL(status()->count[BN_WATCH_FROZEN], 1);
	CU_ASSERT_EQUAL(calls, 3);
	done();
}

static void test_stale(void)
{
	one((struct bn_watch_rule){.age_ns = 50 * MS, .grace_ns = GRACE});
	see_frame(1010, 0, 1000);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), 1054 * MS);
	see_frame(1030, 0, 1000); /* another layer's picture: this one is no younger */
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), 1054 * MS);
	see_frame(1050, 0, 1020);
	bn_watchdog_tick(dog, 1073 * MS);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	bn_watchdog_tick(dog, 1074 * MS);
	is(BN_WATCH_FALLBACK, BN_WATCH_STALE);
	CU_ASSERT_EQUAL(status()->failed_ns, 1070 * MS);
	see_frame(1100, 0, 1049); /* new, and old already */
	is(BN_WATCH_FALLBACK, BN_WATCH_STALE);
	see_frame(1110, 0, 1060);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	done();
}

/* Renderers stamp frames: a stamp from the future keeps no frame young. */
static void test_stale_future(void)
{
	one((struct bn_watch_rule){.age_ns = 50 * MS});
	see_frame(1010, 0, 900000);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	see_frame(1040, 0, 900000);
	see_frame(1059, 0, 900000);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	see_frame(1060, 0, 900000);
	is(BN_WATCH_FALLBACK, BN_WATCH_STALE);
	done();
}

static void test_unreadable(void)
{
	one((struct bn_watch_rule){.expect = good, .num_expect = 2, .blind_ns = 40 * MS});
	see(1000, GOOD);
	see_not(1010, BN_WATCH_UNKNOWN);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), 1050 * MS);
	see_not(1030, BN_WATCH_UNKNOWN); /* does not begin anew */
	see(1040, GOOD);
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), UINT64_MAX);
	see_not(1050, BN_WATCH_UNKNOWN);
	bn_watchdog_tick(dog, 1090 * MS);
	is(BN_WATCH_FALLBACK, BN_WATCH_UNREADABLE);
	see_not(1100, BN_WATCH_UNKNOWN);
	bn_watchdog_tick(dog, 2000 * MS);
	is(BN_WATCH_FALLBACK, BN_WATCH_UNREADABLE);
	see(2010, GOOD);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	see_not(2020, BN_WATCH_NEVER); /* at once */
	is(BN_WATCH_FALLBACK, BN_WATCH_UNREADABLE);
	done();
	/* Rules about time alone read nothing. */
	one((struct bn_watch_rule){.age_ns = 50 * MS});
	see_not(1010, BN_WATCH_NEVER);
	CU_ASSERT_EQUAL(status()->pictures, 1);
	CU_ASSERT_EQUAL(status()->count[BN_WATCH_UNREADABLE], 0);
	done();
}

/* All rules of a region hold together; the worst fault is named. */
static void test_together(void)
{
	one((struct bn_watch_rule){
		.expect = good, .num_expect = 2, .change_ns = 100 * MS, .age_ns = 50 * MS});
	see(1000, GOOD);
	see(1040, GOOD);
	see(1080, GOOD);
	bn_watchdog_tick(dog, 1100 * MS);
	is(BN_WATCH_FALLBACK, BN_WATCH_FROZEN);
	see(1110, GOOD2);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	bn_watchdog_tick(dog, 1160 * MS);
	is(BN_WATCH_FALLBACK, BN_WATCH_STALE);
	see(1170, BAD);
	is(BN_WATCH_FALLBACK, BN_WATCH_WRONG);
	CU_ASSERT_EQUAL(status()->count[BN_WATCH_FROZEN], 1);
	CU_ASSERT_EQUAL(status()->count[BN_WATCH_STALE], 1);
	CU_ASSERT_EQUAL(status()->count[BN_WATCH_WRONG], 0); /* it had failed already */
	done();
}

/* ---- tolerance ---- */

static void test_bad_frames(void)
{
	one((struct bn_watch_rule){.expect = good, .num_expect = 2, .bad_frames = 3});
	see(1000, GOOD);
	see(1010, BAD);
	see(1020, BAD);
	see(1030, GOOD); /* not in a row */
	see(1040, BAD);
	is(BN_WATCH_LIVE, BN_WATCH_WRONG);
	see(1050, BAD);
	see(1060, BAD);
	is(BN_WATCH_FALLBACK, BN_WATCH_WRONG);
	CU_ASSERT_EQUAL(status()->failed_ns, 1060 * MS);
	done();
	/* One bad picture that stays is as many. */
	one((struct bn_watch_rule){.expect = good, .num_expect = 2, .bad_frames = 3});
	see(1000, GOOD);
	see(1010, BAD);
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), 1034 * MS);
	bn_watchdog_tick(dog, 1034 * MS);
	is(BN_WATCH_LIVE, BN_WATCH_WRONG);
	bn_watchdog_tick(dog, 1058 * MS);
	is(BN_WATCH_FALLBACK, BN_WATCH_WRONG);
	CU_ASSERT_EQUAL(status()->since_ns, 1058 * MS);
	done();
}

static void test_good_frames(void)
{
	one((struct bn_watch_rule){.expect = good, .num_expect = 2, .good_frames = 3});
	see(1000, GOOD);
	see(1016, GOOD);
	is(BN_WATCH_WAITING, BN_WATCH_OK);
	see(1032, GOOD);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	see(1048, BAD);
	is(BN_WATCH_FALLBACK, BN_WATCH_WRONG);
	see(1064, GOOD);
	see(1080, GOOD);
	see(1096, BAD);
	see(1112, GOOD);
	is(BN_WATCH_FALLBACK, BN_WATCH_OK);
	/* A good picture that stays is as many. */
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), 1136 * MS);
	bn_watchdog_tick(dog, 1136 * MS);
	is(BN_WATCH_FALLBACK, BN_WATCH_OK);
	bn_watchdog_tick(dog, 1160 * MS);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), UINT64_MAX);
	done();
}

/* What is good but cannot be seen any more does not count as good. */
static void test_good_unknown(void)
{
	one((struct bn_watch_rule){
		.expect = good, .num_expect = 2, .good_frames = 3, .blind_ns = 1000 * MS});
	see(1000, GOOD);
	see_not(1010, BN_WATCH_UNKNOWN);
	bn_watchdog_tick(dog, 1900 * MS);
	is(BN_WATCH_WAITING, BN_WATCH_OK);
	bn_watchdog_tick(dog, 2010 * MS);
	is(BN_WATCH_WAITING, BN_WATCH_UNREADABLE);
	done();
}

/* ---- the start ---- */

static void test_start(void)
{
	one((struct bn_watch_rule){.expect = good, .num_expect = 2, .start_ns = 500 * MS});
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), 1500 * MS);
	see(1100, BAD);
	bn_watchdog_tick(dog, 1499 * MS);
	is(BN_WATCH_WAITING, BN_WATCH_WRONG);
	bn_watchdog_tick(dog, 1500 * MS);
	is(BN_WATCH_FALLBACK, BN_WATCH_WRONG);
	CU_ASSERT_EQUAL(status()->count[BN_WATCH_WRONG], 1);
	see(1600, GOOD);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	done();
	/* Nobody came. */
	one((struct bn_watch_rule){.age_ns = 50 * MS, .start_ns = 500 * MS});
	bn_watchdog_tick(dog, 9000 * MS);
	is(BN_WATCH_FALLBACK, BN_WATCH_MISSING);
	CU_ASSERT_EQUAL(status()->since_ns, 1500 * MS);
	done();
	/* Good at the end of that time, and bad before it is live. */
	one((struct bn_watch_rule){
		.expect = good, .num_expect = 2, .start_ns = 500 * MS, .good_frames = 3});
	see(1490, GOOD);
	bn_watchdog_tick(dog, 1510 * MS);
	is(BN_WATCH_WAITING, BN_WATCH_OK);
	see(1512, BAD);
	is(BN_WATCH_FALLBACK, BN_WATCH_WRONG);
	done();
}

static void test_reset(void)
{
	one((struct bn_watch_rule){.expect = good, .num_expect = 2, .start_ns = 500 * MS});
	see(1000, GOOD);
	see(1010, BAD);
	bn_watchdog_reset(dog, 0, 2000 * MS);
	is(BN_WATCH_WAITING, BN_WATCH_WRONG);
	CU_ASSERT_EQUAL(status()->count[BN_WATCH_WRONG], 0);
	CU_ASSERT_EQUAL(status()->pictures, 0);
	CU_ASSERT_EQUAL(status()->last, BN_WATCH_OK);
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), 2500 * MS);
	see(2100, GOOD);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	bn_watchdog_reset(dog, 0, 2200 * MS); /* what is live stays so */
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	CU_ASSERT_EQUAL(status()->pictures, 0);
	done();
}

/* ---- clocks ---- */

static void test_backwards(void)
{
	one((struct bn_watch_rule){.change_ns = 100 * MS});
	see(1500, 1);
	see(1200, 2); /* counts as 1500 */
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	bn_watchdog_tick(dog, 0);
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), 1600 * MS);
	bn_watchdog_tick(dog, 1599 * MS);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	bn_watchdog_tick(dog, 1600 * MS);
	is(BN_WATCH_FALLBACK, BN_WATCH_FROZEN);
	done();
}

/* What is written back of a picture may come after a newer one was judged by its layers. */
static void test_late(void)
{
	one((struct bn_watch_rule){
		.change_ns = 100 * MS, .absent = bad, .num_absent = 1, .good_frames = 2});
	see(1500, 1);
	see(1516, 2);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	see(1532, 3);
	see(1516, 2);
	bn_watchdog_tick(dog, 1600 * MS);
	see(1532, 3); /* seen again is no change, nor is one of before */
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), 1632 * MS);
	see(1516, 2);
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), 1632 * MS);
	see(1531, BAD); /* but wrong is wrong */
	is(BN_WATCH_FALLBACK, BN_WATCH_PRESENT);
	done();
}

static const struct bn_watch_rule timed = {
	.change_ns = 100 * MS, .age_ns = 50 * MS, .start_ns = 300 * MS, .good_frames = 2};

static void test_pause(void)
{
	one(timed);
	see(1010, 1);
	see(1020, 2);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	bn_watchdog_pause(dog, 0, 1030 * MS);
	CU_ASSERT_TRUE(status()->paused);
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), UINT64_MAX);
	bn_watchdog_tick(dog, 5000 * MS);
	see_not(5000, BN_WATCH_NOTHING);
	see_not(5000, BN_WATCH_UNKNOWN);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	CU_ASSERT_EQUAL(status()->pictures, 2);
	bn_watchdog_resume(dog, 0, true, 6000 * MS);
	CU_ASSERT_FALSE(status()->paused);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), 6050 * MS); /* of what was seen then */
	/* A frame of the pause is as old as its end; the same picture counts from there. */
	see_frame(6016, 2, 3000);
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), 6050 * MS);
	see_frame(6040, 2, 6040);
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), 6090 * MS);
	see_frame(6085, 2, 6085);
	bn_watchdog_tick(dog, 6100 * MS);
	is(BN_WATCH_FALLBACK, BN_WATCH_FROZEN);
	CU_ASSERT_EQUAL(status()->failed_ns, 6100 * MS);
	done();
}

static void test_pause_states(void)
{
	/* What is due before the pause is judged. */
	one(timed);
	see(1010, 1);
	see(1020, 2);
	bn_watchdog_pause(dog, 0, 1080 * MS);
	is(BN_WATCH_FALLBACK, BN_WATCH_STALE);
	calls = 0;
	bn_watchdog_pause(dog, 0, 1090 * MS);
	bn_watchdog_resume(dog, 0, true, 2000 * MS);
	is(BN_WATCH_FALLBACK, BN_WATCH_OK); /* nothing is wrong yet, but it has to show so */
	see(2010, 3);
	see(2020, 4);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	CU_ASSERT_EQUAL(calls, 1);
	/* As at the start. */
	bn_watchdog_pause(dog, 0, 2030 * MS);
	bn_watchdog_resume(dog, 0, false, 3000 * MS);
	is(BN_WATCH_WAITING, BN_WATCH_MISSING);
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), 3300 * MS);
	/* Its start waits during another one, too. */
	bn_watchdog_pause(dog, 0, 3200 * MS);
	bn_watchdog_resume(dog, 0, true, 4000 * MS);
	is(BN_WATCH_WAITING, BN_WATCH_MISSING);
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), 4300 * MS);
	bn_watchdog_resume(dog, 0, false, 4100 * MS); /* not paused */
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), 4300 * MS);
	bn_watchdog_tick(dog, 4300 * MS);
	is(BN_WATCH_FALLBACK, BN_WATCH_MISSING);
	done();
}

static void test_end_of_time(void)
{
	one((struct bn_watch_rule){.change_ns = UINT64_MAX - 1,
		.age_ns = UINT64_MAX,
		.start_ns = UINT64_MAX,
		.grace_ns = UINT64_MAX,
		.refresh_ns = UINT64_MAX,
		.good_frames = 2});
	see(1500, 1);
	bn_watchdog_tick(dog, UINT64_MAX);
	see_frame(UINT64_MAX / MS, 2, UINT64_MAX / MS);
	bn_watchdog_tick(dog, UINT64_MAX);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	done();
	one((struct bn_watch_rule){.change_ns = 1, .age_ns = 1});
	see_frame(0, 1, 5000);
	is(BN_WATCH_LIVE, BN_WATCH_OK);
	see(UINT64_MAX / MS, 1);
	is(BN_WATCH_FALLBACK, BN_WATCH_FROZEN);
	bn_watchdog_tick(dog, UINT64_MAX);
	is(BN_WATCH_FALLBACK, BN_WATCH_FROZEN);
	done();
}

/* A clock that leaps over years is done with in a moment, and a leap fails what may not stand
 * still. */
static void test_leap(void)
{
	one((struct bn_watch_rule){.change_ns = 100 * MS,
		.bad_frames = BN_WATCH_FRAMES_MAX,
		.good_frames = BN_WATCH_FRAMES_MAX,
		.refresh_ns = 1});
	see(1000, 1);
	bn_watchdog_tick(dog, 1050 * MS);
	is(BN_WATCH_LIVE, BN_WATCH_OK); /* 10,000 refreshes of a nanosecond */
	bn_watchdog_tick(dog, UINT64_MAX - 1);
	is(BN_WATCH_FALLBACK, BN_WATCH_FROZEN);
	CU_ASSERT_TRUE(status()->since_ns < 1101 * MS);
	done();
}

static void test_refresh(void)
{
	one((struct bn_watch_rule){.expect = good, .num_expect = 2, .bad_frames = 2});
	see(1000, GOOD);
	see(1010, BAD);
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), 1034 * MS);
	bn_watchdog_set_refresh(dog, 0, 8 * MS, 0);
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), 1022 * MS);
	done();
}

/* ---- several ---- */

static void test_several(void)
{
	const struct bn_watch_rule rules[3] = {
		{.expect = good, .num_expect = 1, .refresh_ns = REFRESH},
		{.change_ns = 100 * MS, .refresh_ns = REFRESH},
		{.expect = bad,
			.num_expect = 1,
			.absent = good,
			.num_absent = 2,
			.refresh_ns = REFRESH},
	};
	struct bn_watch_sample s = {.what = BN_WATCH_SEEN, .crc = GOOD, .when_ns = 1000 * MS};
	make(rules, 3);
	bn_watchdog_sample(dog, 0, &s);
	bn_watchdog_sample(dog, 1, &s);
	s.crc = BAD;
	bn_watchdog_sample(dog, 2, &s);
	CU_ASSERT_EQUAL(calls, 3);
	CU_ASSERT_EQUAL(last_region, 2);
	CU_ASSERT_EQUAL(bn_watchdog_deadline(dog), 1100 * MS);
	bn_watchdog_tick(dog, 5000 * MS);
	CU_ASSERT_EQUAL(calls, 4);
	CU_ASSERT_EQUAL(last_region, 1);
	CU_ASSERT_EQUAL(bn_watchdog_status(dog, 0)->state, BN_WATCH_LIVE);
	CU_ASSERT_EQUAL(bn_watchdog_status(dog, 1)->state, BN_WATCH_FALLBACK);
	s.when_ns = 5000 * MS;
	s.crc = GOOD2; /* the first has a set of its own: GOOD alone */
	bn_watchdog_sample(dog, 0, &s);
	CU_ASSERT_EQUAL(bn_watchdog_status(dog, 0)->fault, BN_WATCH_WRONG);
	CU_ASSERT_EQUAL(bn_watchdog_status(dog, 2)->state, BN_WATCH_LIVE);
	done();
}

static void test_limits(void)
{
	struct bn_watch_rule rules[BN_WATCH_REGIONS_MAX + 1] = {0};
	struct bn_watchdog *d;
	CU_ASSERT_EQUAL(
		bn_watchdog_create(&d, rules, BN_WATCH_REGIONS_MAX + 1, 0, NULL, NULL), -EINVAL);
	CU_ASSERT_PTR_NULL(d);
	CU_ASSERT_EQUAL(bn_watchdog_create(&d, rules, BN_WATCH_REGIONS_MAX, 0, NULL, NULL), 0);
	CU_ASSERT_EQUAL(bn_watchdog_deadline(d), UINT64_MAX);
	bn_watchdog_destroy(d);
	CU_ASSERT_EQUAL(bn_watchdog_create(&d, rules, 0, 0, NULL, NULL), 0);
	bn_watchdog_tick(d, 1);
	bn_watchdog_destroy(d);
	rules[0].bad_frames = BN_WATCH_FRAMES_MAX + 1;
	CU_ASSERT_EQUAL(bn_watchdog_create(&d, rules, 1, 0, NULL, NULL), -EINVAL);
	rules[0] = (struct bn_watch_rule){.num_expect = BN_WATCH_SET_MAX + 1};
	CU_ASSERT_EQUAL(bn_watchdog_create(&d, rules, 1, 0, NULL, NULL), -EINVAL);
	bn_watchdog_destroy(NULL);
	CU_ASSERT_STRING_EQUAL(bn_watch_fault_name(BN_WATCH_STALE), "stale");
	CU_ASSERT_STRING_EQUAL(bn_watch_fault_name(BN_WATCH_FAULTS), "?");
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"expected pictures", test_expect},
		{"nothing there", test_missing},
		{"pictures that must be absent", test_absent},
		{"a change that does not come", test_frozen},
		{"a change told of late", test_grace},
		{"frames that grow old", test_stale},
		{"frames from the future", test_stale_future},
		{"what cannot be read", test_unreadable},
		{"several rules", test_together},
		{"bad pictures in a row", test_bad_frames},
		{"good pictures in a row", test_good_frames},
		{"good, but out of sight", test_good_unknown},
		{"a start that takes too long", test_start},
		{"reset", test_reset},
		{"time going back", test_backwards},
		{"pictures told of late", test_late},
		{"paused", test_pause},
		{"paused in every state", test_pause_states},
		{"the end of time", test_end_of_time},
		{"a leap in time", test_leap},
		{"another refresh rate", test_refresh},
		{"several regions", test_several},
		{"limits", test_limits},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("watchdog", tests);
}
