/* The watchdog's judge on simulated displays: 10^6 refreshes of guests that do all within their
 * limits, at the last moment if chance will have it so, without a false alarm; and every kind of
 * fault at random moments, after which the stand-in is on the screen within two refreshes of the
 * moment in which the rule was broken. */
#include <stdio.h>

#include "compositor/watchdog.h"
#include "sim.h"

#define PICTURES 4u
#define REFRESHES 1000000u
#define RUN 250u
#define FAULTS_EACH 1000u
#define CLEARED_AFTER 3u /* refreshes until the layer of a guest that went is cleared */
#define LATE_MAX MS      /* a timer's */

enum fault {
	NONE,
	WRONG,
	SWAPPED,   /* what another region expects */
	ONE_PIXEL, /* another checksum for a single picture */
	MISSING,   /* the scanout goes off */
	PRESENT,   /* what must be absent */
	FROZEN,    /* new frames, always the same */
	STALE,     /* no frames any more; others' go on */
	SILENT,    /* nobody's go on: no picture comes at all */
	GONE,      /* the guest goes, and its layer is cleared a while later */
	BLIND,     /* nobody can read what is shown */
	FAULTS,
};
static const char *const names[FAULTS] = {"none", "wrong", "swapped", "one pixel", "missing",
	"present", "frozen", "stale", "silent", "gone", "blind"};

/* A display, a layer on it and its watch. */
struct model {
	struct sim_random dice;
	struct bn_watchdog *dog;
	uint64_t refresh, grace, change, age, now;
	unsigned bad_frames;
	uint32_t expect[PICTURES], absent;
	/* What is shown. */
	uint32_t crc;
	int what;
	uint64_t changed_ns, frame_ns;
	/* What was found. */
	enum bn_watch_state state;
	uint64_t found_ns; /* when the state changed, by the clock */
	unsigned alarms;
};

static void handle_changed(void *data, unsigned region)
{
	struct model *m = data;
	m->state = bn_watchdog_status(m->dog, region)->state;
	m->found_ns = m->now;
	m->alarms += m->state == BN_WATCH_FALLBACK;
}

static uint32_t random_crc(struct model *m)
{
	return (uint32_t)sim_next(&m->dice);
}

static void model_init(struct model *m, unsigned run, unsigned bad_frames)
{
	static const uint64_t rates[] = {24, 30, 50, 60, 90, 120, 144};
	*m = (struct model){.dice = sim_random(1000 + run), .now = sim_now()};
	m->refresh = S / rates[sim_below(&m->dice, 7)];
	m->grace = m->refresh / 4;
	m->change = m->refresh * (2 + sim_below(&m->dice, 20));
	m->age = m->refresh * (2 + sim_below(&m->dice, 10));
	m->bad_frames = bad_frames;
	for (unsigned i = 0; i < PICTURES; i++)
		m->expect[i] = random_crc(m);
	m->absent = random_crc(m);
	const struct bn_watch_rule rule = {.expect = m->expect,
		.num_expect = PICTURES,
		.absent = &m->absent,
		.num_absent = 1,
		.change_ns = m->change,
		.age_ns = m->age,
		.bad_frames = bad_frames,
		.good_frames = 1 + (unsigned)sim_below(&m->dice, 5),
		.refresh_ns = m->refresh,
		.grace_ns = m->grace};
	CU_ASSERT_EQUAL_FATAL(bn_watchdog_create(&m->dog, &rule, 1, m->now, handle_changed, m), 0);
}

/* The timer runs up to a time, late as timers are. */
static void run_until(struct model *m, uint64_t until)
{
	for (;;) {
		uint64_t due = bn_watchdog_deadline(m->dog);
		if (due == UINT64_MAX || due >= until)
			break;
		uint64_t at = due + sim_below(&m->dice, LATE_MAX);
		m->now = at < until ? at : until;
		bn_watchdog_tick(m->dog, m->now);
	}
	m->now = until;
}

/* A vblank that shows something new of this layer or of another; told of within the grace. */
static void show(struct model *m, uint64_t vblank)
{
	struct bn_watch_sample sample = {.crc = m->crc, .when_ns = vblank, .frame_ns = m->frame_ns};
	sample.what = m->what;
	run_until(m, vblank + sim_below(&m->dice, m->grace));
	bn_watchdog_sample(m->dog, 0, &sample);
}

/* A guest that is well: changes at least every `change` and flushes so that no frame gets older
 * than `age`, often at the last moment. True when there is something new at this vblank. */
static bool live(struct model *m, uint64_t vblank)
{
	uint64_t after = vblank + m->refresh;
	bool must_change = m->crc == 0 || after > m->changed_ns + m->change;
	bool must_flush = must_change || after > m->frame_ns + m->age;
	if (must_change || sim_one_in(&m->dice, 3)) {
		uint32_t other = m->expect[sim_below(&m->dice, PICTURES)];
		if (must_change && other == m->crc)
			other = m->crc == m->expect[0] ? m->expect[1] : m->expect[0];
		if (other != m->crc)
			m->changed_ns = vblank;
		must_flush = must_flush || other != m->crc;
		m->crc = other;
	}
	m->what = BN_WATCH_SEEN;
	if (must_flush || sim_one_in(&m->dice, 4)) {
		/* Flushed since the vblank before. */
		m->frame_ns = vblank - 1 - sim_below(&m->dice, m->refresh - 1);
		return true;
	}
	return sim_one_in(&m->dice, 5); /* somebody else's */
}

/* ---- no false alarm ---- */

static void test_quiet(void)
{
	unsigned refreshes = 0;
	for (unsigned run = 0; refreshes < REFRESHES; run++) {
		struct model m;
		model_init(&m, run, 1);
		uint64_t start = m.now + m.refresh;
		for (unsigned k = 0; k < RUN; k++, refreshes++) {
			if (live(&m, start + k * m.refresh))
				show(&m, start + k * m.refresh);
		}
		SIM_CHECK(m.state == BN_WATCH_LIVE, "run %u is not live", run);
		SIM_CHECK(m.alarms == 0, "run %u: %u false alarms, %s", run, m.alarms,
			bn_watch_fault_name(bn_watchdog_status(m.dog, 0)->last));
		bn_watchdog_destroy(m.dog);
	}
	printf("%u refreshes ", refreshes);
	sim_settle();
}

/* ---- every fault ---- */

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* What is shown from now on; returns when the rule is broken. */
static uint64_t inject(struct model *m, enum fault fault, uint64_t vblank)
{
	uint64_t stale = m->frame_ns + m->age, frozen = m->changed_ns + m->change;
	switch (fault) {
	case WRONG:
	case SWAPPED:
		m->crc = random_crc(m);
		return vblank;
	case ONE_PIXEL:
		m->crc ^= 1u << sim_below(&m->dice, 32);
		return vblank;
	case MISSING:
		m->what = BN_WATCH_NOTHING;
		return vblank;
	case PRESENT:
		m->crc = m->absent;
		return vblank;
	case FROZEN:
		return frozen;
	case STALE:
	case SILENT:
		return min(stale, frozen);
	case GONE:
		return min(min(stale, frozen), vblank + CLEARED_AFTER * m->refresh);
	case BLIND:
		m->what = BN_WATCH_NEVER;
		return vblank;
	default:
		return vblank;
	}
}

static bool goes_on(struct model *m, enum fault fault, unsigned k, uint64_t vblank)
{
	switch (fault) {
	case STALE:
		return sim_one_in(&m->dice, 2);
	case SILENT:
		return false;
	case GONE:
		if (k == CLEARED_AFTER)
			m->what = BN_WATCH_NOTHING;
		return k == CLEARED_AFTER;
	default:
		m->frame_ns = vblank - m->refresh / 2;
		return true;
	}
}

/* Refreshes, in thousandths, from the broken rule to the stand-in on the screen. */
static uint64_t fault_run(enum fault fault, unsigned run, unsigned bad_frames)
{
	struct model m;
	model_init(&m, run, bad_frames);
	uint64_t start = m.now + m.refresh;
	unsigned well = 40 + (unsigned)sim_below(&m.dice, 100), k;
	for (k = 0; k < well; k++) {
		if (live(&m, start + k * m.refresh))
			show(&m, start + k * m.refresh);
	}
	SIM_CHECK(m.alarms == 0 && m.state == BN_WATCH_LIVE, "%s, run %u: not well before",
		names[fault], run);
	uint64_t broken = inject(&m, fault, start + k * m.refresh);
	for (unsigned i = 0; i < 60 && m.alarms == 0; i++) {
		uint64_t vblank = start + (k + i) * m.refresh;
		if (goes_on(&m, fault, i, vblank))
			show(&m, vblank);
		else
			run_until(&m, vblank + m.refresh - 1);
	}
	SIM_CHECK(m.alarms == 1, "%s, run %u: not found", names[fault], run);
	SIM_CHECK(m.found_ns >= broken || bad_frames > 1, "%s, run %u: found before it was",
		names[fault], run);
	uint64_t shown = start + ((m.found_ns - start) / m.refresh + 1) * m.refresh;
	uint64_t extra = (bad_frames - 1) * (m.refresh + m.refresh / 2 + LATE_MAX);
	SIM_CHECK(shown <= broken + 2 * m.refresh + extra,
		"%s, run %u: %llu ns after the rule was broken, refresh %llu ns", names[fault], run,
		(unsigned long long)(shown - broken), (unsigned long long)m.refresh);
	bn_watchdog_destroy(m.dog);
	return (shown - broken) * 1000 / m.refresh;
}

static void all_faults(unsigned bad_frames)
{
	printf("\n");
	for (enum fault fault = WRONG; fault < FAULTS; fault++) {
		uint64_t worst = 0, sum = 0;
		for (unsigned i = 0; i < FAULTS_EACH; i++) {
			uint64_t r = fault_run(fault, (unsigned)fault * 100000 + i, bad_frames);
			worst = r > worst ? r : worst;
			sum += r;
		}
		printf("  %-9s refreshes until the stand-in is shown: mean %.2f, max %.2f\n",
			names[fault], (double)sum / FAULTS_EACH / 1000, (double)worst / 1000);
	}
	sim_settle();
}

static void test_faults(void)
{
	all_faults(1);
}

static void test_tolerant(void)
{
	all_faults(3);
}

/* Faults come and go at random: what is shown live in the end has been good for as long as it
 * must, and the counters add up. */
static void test_flapping(void)
{
	for (unsigned run = 0; run < 200; run++) {
		struct model m;
		model_init(&m, 9000000 + run, 1 + run % 3);
		uint64_t start = m.now + m.refresh, v = start;
		for (unsigned k = 0; k < 1000; k++) {
			bool faulty = (k / 50) % 2 == 1;
			v = start + k * m.refresh;
			bool new = live(&m, v);
			if (faulty && sim_one_in(&m.dice, 3)) {
				m.crc ^= 1;
				new = true;
			}
			if (new)
				show(&m, v);
		}
		const struct bn_watch_status *s = bn_watchdog_status(m.dog, 0);
		uint64_t sum = 0;
		for (unsigned f = 0; f < BN_WATCH_FAULTS; f++)
			sum += s->count[f];
		SIM_CHECK(sum == m.alarms && m.alarms > 0, "run %u: %u alarms, %llu counted", run,
			m.alarms, (unsigned long long)sum);
		SIM_CHECK(s->pictures >= s->bad, "run %u", run);
		bn_watchdog_destroy(m.dog);
	}
	sim_settle();
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"no false alarm", test_quiet},
		{"every fault", test_faults},
		{"every fault, three bad pictures allowed", test_tolerant},
		{"faults that come and go", test_flapping},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("watchdog on simulated displays", tests);
}
