/* A session of a seat manager (seatd, logind), by libseat: it opens cards for us and takes them away while another
 * session is in front. */
#include <errno.h>
#include <libseat.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "kms_impl.h"

/* How long the seat may take to say that it is ours; later than that outputs are set up when it does. */
#define ENABLE_MS 500

static struct {
	struct libseat *seat;
	struct wl_event_loop *loop;
	struct wl_event_source *source, *idle;
	unsigned refs;
	bool active;
} the;

/* Cards are opened outside of the seat's own calls. */
static void handle_idle(void *data)
{
	the.idle = NULL;
	if (the.active)
		bn_kms_cards_begin();
}

static void handle_enable(struct libseat *seat, void *data)
{
	if (the.active)
		return;
	the.active = true;
	bn_info("the session is in front");
	bn_kms_cards_seat_changed(true);
	if (!the.idle)
		the.idle = wl_event_loop_add_idle(the.loop, handle_idle, NULL);
}

static void handle_disable(struct libseat *seat, void *data)
{
	the.active = false;
	bn_info("the session is in the background: the displays belong to another one");
	bn_kms_cards_seat_changed(false);
	libseat_disable_seat(seat);
}

static const struct libseat_seat_listener listener = {handle_enable, handle_disable};

static int handle_readable(int fd, uint32_t mask, void *data)
{
	if (libseat_dispatch(the.seat, 0) < 0)
		bn_warn("the seat manager is gone: the displays stay as they are");
	return 0;
}

static void forward_log(enum libseat_log_level level, const char *format, va_list args)
{
	bn_vlog(level == LIBSEAT_LOG_LEVEL_ERROR ? BN_LOG_INFO : BN_LOG_DEBUG, format, args);
}

/* Without one of these, libseat would make itself a manager and take the terminal. */
static bool is_in_session(void)
{
	return getenv("LIBSEAT_BACKEND") || getenv("SEATD_SOCK") || getenv("XDG_SESSION_ID") ||
	       access("/run/seatd.sock", W_OK) == 0;
}

static bool open_seat(struct wl_event_loop *loop)
{
	the.loop = loop;
	libseat_set_log_handler(forward_log);
	libseat_set_log_level(LIBSEAT_LOG_LEVEL_ERROR);
	the.seat = libseat_open_seat(&listener, NULL);
	if (!the.seat)
		return false;
	for (int i = 0; i < ENABLE_MS / 100 && !the.active; i++) {
		if (libseat_dispatch(the.seat, 100) < 0)
			break;
	}
	the.source = wl_event_loop_add_fd(
		loop, libseat_get_fd(the.seat), WL_EVENT_READABLE, handle_readable, NULL);
	if (!the.source) {
		if (the.idle)
			wl_event_source_remove(the.idle);
		libseat_close_seat(the.seat);
		the.seat = NULL;
		the.idle = NULL;
		the.active = false;
		return false;
	}
	bn_info("cards are opened through seat %s", libseat_seat_name(the.seat));
	return true;
}

bool bn_kms_seat_get(struct wl_event_loop *loop)
{
	if (!the.seat && (!is_in_session() || !open_seat(loop)))
		return false;
	the.refs++;
	return true;
}

void bn_kms_seat_put(void)
{
	if (--the.refs > 0)
		return;
	wl_event_source_remove(the.source);
	if (the.idle)
		wl_event_source_remove(the.idle);
	libseat_close_seat(the.seat);
	the.seat = NULL;
	the.source = the.idle = NULL;
	the.active = false;
}

bool bn_kms_seat_active(void)
{
	return the.active;
}

int bn_kms_seat_open(struct bn_kms_card *card, const char *path, int *fd, int *device)
{
	*device = libseat_open_device(the.seat, path, fd);
	if (*device >= 0)
		return 0;
	*fd = -1;
	return -errno;
}

void bn_kms_seat_close(struct bn_kms_card *card, int device)
{
	libseat_close_device(the.seat, device);
	close(card->fd);
}
