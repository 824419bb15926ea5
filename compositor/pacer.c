#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "output_impl.h"

/* Nanoseconds times mHz in one second: k vblanks take k × this / refresh_mhz. */
#define MHZ_NS 1000000000000ull

uint64_t bn_pacer_now(const struct bn_pacer *pacer)
{
	return bn_clock_now(&pacer->clock);
}

uint64_t bn_pacer_period(const struct bn_pacer *pacer)
{
	return MHZ_NS / pacer->refresh_mhz;
}

/* Split so that no product passes 10^18 (refresh_mhz ≤ 10^6). */
static uint64_t vblank_time(const struct bn_pacer *pacer, uint64_t k)
{
	uint64_t mhz = pacer->refresh_mhz;

	return pacer->origin_ns + k / mhz * MHZ_NS + k % mhz * MHZ_NS / mhz;
}

static uint64_t vblank_index(const struct bn_pacer *pacer, uint64_t ns)
{
	uint64_t mhz = pacer->refresh_mhz;
	uint64_t since = ns > pacer->origin_ns ? ns - pacer->origin_ns : 0;
	uint64_t k = since / MHZ_NS * mhz + since % MHZ_NS * mhz / MHZ_NS;

	/* Both divisions round down: the next vblank may already be within reach. */
	while (vblank_time(pacer, k + 1) <= pacer->origin_ns + since)
		k++;
	return k;
}

uint64_t bn_pacer_vblank_at(const struct bn_pacer *pacer, uint64_t ns)
{
	return vblank_time(pacer, vblank_index(pacer, ns));
}

uint64_t bn_pacer_vblank_after(const struct bn_pacer *pacer, uint64_t ns)
{
	return vblank_time(pacer, vblank_index(pacer, ns) + 1);
}

static void arm_timer(struct bn_pacer *pacer)
{
	struct itimerspec spec = {
		.it_value =
			{
				.tv_sec = (time_t)(pacer->deadline_ns / BN_NS_PER_S),
				.tv_nsec = (long)(pacer->deadline_ns % BN_NS_PER_S),
			},
	};

	pacer->armed_ns = pacer->deadline_ns;
	if (pacer->timer_fd < 0 ||
		timerfd_settime(pacer->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0)
		return;
	bn_error("output timer: timerfd_settime: %m");
	pacer->armed_ns = 0;
}

/* Without a deadline the timer is left as it is: most come back as they were with the next frame, and one that
 * does not costs a wake-up that finds nothing to do, once. */
static void set_timer(struct bn_pacer *pacer, uint64_t deadline_ns)
{
	pacer->deadline_ns = deadline_ns;
	if (deadline_ns != 0 && deadline_ns != pacer->armed_ns)
		arm_timer(pacer);
}

void bn_pacer_arm(struct bn_pacer *pacer, uint64_t deadline_ns)
{
	if (deadline_ns == 0)
		deadline_ns = 1;
	if (pacer->deadline_ns == 0 || deadline_ns < pacer->deadline_ns)
		set_timer(pacer, deadline_ns);
}

void bn_pacer_disarm(struct bn_pacer *pacer)
{
	if (pacer->deadline_ns != 0)
		set_timer(pacer, 0);
}

void bn_pacer_set(struct bn_pacer *pacer, uint64_t deadline_ns)
{
	if (pacer->deadline_ns != deadline_ns)
		set_timer(pacer, deadline_ns);
}

void bn_pacer_run(struct bn_pacer *pacer)
{
	uint64_t now = bn_pacer_now(pacer);

	if (pacer->deadline_ns == 0 || now < pacer->deadline_ns)
		return;
	/* The timer has one shot and needs no system call to be off. */
	pacer->deadline_ns = 0;
	pacer->fire(pacer->data, now);
}

void bn_pacer_expired(struct bn_pacer *pacer)
{
	pacer->armed_ns = 0;
	bn_pacer_run(pacer);
}

static int handle_timer(int fd, uint32_t mask, void *data)
{
	uint64_t expirations;

	/* Armed anew since it expired: nothing to read, the next wake-up is on its way. */
	if (read(fd, &expirations, sizeof(expirations)) < 0)
		return 0;
	bn_pacer_expired(data);
	return 0;
}

static int add_timer(struct bn_pacer *pacer, struct wl_event_loop *loop)
{
	pacer->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (pacer->timer_fd < 0)
		return -errno;
	pacer->source =
		wl_event_loop_add_fd(loop, pacer->timer_fd, WL_EVENT_READABLE, handle_timer, pacer);
	if (!pacer->source) {
		bn_fd_close(&pacer->timer_fd);
		return -ENOMEM;
	}
	return 0;
}

int bn_pacer_init(struct bn_pacer *pacer, struct wl_event_loop *loop, const struct bn_clock *clock,
	uint32_t refresh_mhz, void (*fire)(void *data, uint64_t now_ns), void *data)
{
	*pacer = (struct bn_pacer){
		.clock = clock ? *clock : bn_clock_monotonic,
		.refresh_mhz = refresh_mhz,
		.timer_fd = -1,
		.fire = fire,
		.data = data,
	};
	pacer->origin_ns = bn_pacer_now(pacer);
	return clock ? 0 : add_timer(pacer, loop);
}

void bn_pacer_finish(struct bn_pacer *pacer)
{
	if (pacer->source)
		wl_event_source_remove(pacer->source);
	pacer->source = NULL;
	bn_fd_close(&pacer->timer_fd);
}

void bn_pacer_set_refresh(struct bn_pacer *pacer, uint32_t refresh_mhz)
{
	if (pacer->refresh_mhz == refresh_mhz)
		return;
	pacer->refresh_mhz = refresh_mhz;
	pacer->origin_ns = bn_pacer_now(pacer);
}
