/* The kernel says that a connector changed (its uevents, without udev); what changed is asked beside the loop, because a
 * display may take its time to answer and other displays go on meanwhile. */
#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "kms_impl.h"

/* A loose plug brings events by the hundred. */
#define SETTLE_MS 20
#define PROBES_MAX 32

struct result {
	struct bn_kms_connector connector;
	bool valid;
};

struct bn_kms_probe {
	struct bn_kms_card *card;
	struct wl_event_source *timer, *source;
	int fd; /* eventfd: the thread is through; -1: asked in the loop */
	pthread_t thread;
	bool running, again;
	unsigned count;
	uint32_t ids[PROBES_MAX];
	struct result results[PROBES_MAX];
};

static void ask(struct bn_kms_probe *probe)
{
	for (unsigned i = 0; i < probe->count; i++)
		probe->results[i].valid = bn_kms_connector_read(probe->card->fd, probe->ids[i],
						  true, &probe->results[i].connector) == 0;
}

static void deliver(struct bn_kms_probe *probe)
{
	struct bn_kms_output *ko, *next;

	for (unsigned i = 0; i < probe->count; i++) {
		struct result *result = &probe->results[i];

		if (!result->valid)
			continue;
		wl_list_for_each_safe(ko, next, &probe->card->outputs, link)
		{
			if (ko->connector == result->connector.id)
				bn_kms_output_probed(ko, &result->connector);
		}
		bn_kms_connector_finish(&result->connector);
	}
	probe->count = 0;
}

static void *thread_main(void *data)
{
	struct bn_kms_probe *probe = data;

	ask(probe);
	bn_event_signal(probe->fd);
	return NULL;
}

static void collect(struct bn_kms_probe *probe)
{
	struct bn_kms_output *ko;

	wl_list_for_each(ko, &probe->card->outputs, link)
	{
		if (probe->count < PROBES_MAX)
			probe->ids[probe->count++] = ko->connector;
	}
}

static int handle_timer(void *data)
{
	struct bn_kms_probe *probe = data;

	if (probe->running) {
		probe->again = true;
		return 0;
	}
	collect(probe);
	probe->running =
		probe->fd >= 0 && pthread_create(&probe->thread, NULL, thread_main, probe) == 0;
	if (!probe->running) {
		ask(probe);
		deliver(probe);
	}
	return 0;
}

static int handle_done(int fd, uint32_t mask, void *data)
{
	struct bn_kms_probe *probe = data;

	if (!bn_event_drain(fd) || !probe->running)
		return 0;
	pthread_join(probe->thread, NULL);
	probe->running = false;
	deliver(probe);
	if (probe->again)
		wl_event_source_timer_update(probe->timer, SETTLE_MS);
	probe->again = false;
	return 0;
}

struct bn_kms_probe *bn_kms_probe_create(struct bn_kms_card *card)
{
	struct bn_kms_probe *probe = calloc(1, sizeof(*probe));

	if (!probe)
		return NULL;
	probe->card = card;
	probe->fd = bn_kms_sys.threads ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
	probe->timer = wl_event_loop_add_timer(card->loop, handle_timer, probe);
	if (probe->fd >= 0)
		probe->source = wl_event_loop_add_fd(
			card->loop, probe->fd, WL_EVENT_READABLE, handle_done, probe);
	if (probe->timer && (probe->fd < 0 || probe->source))
		return probe;
	bn_kms_probe_destroy(probe);
	return NULL;
}

void bn_kms_probe_destroy(struct bn_kms_probe *probe)
{
	if (!probe)
		return;
	if (probe->running) {
		pthread_join(probe->thread, NULL);
		for (unsigned i = 0; i < probe->count; i++) {
			if (probe->results[i].valid)
				bn_kms_connector_finish(&probe->results[i].connector);
		}
	}
	if (probe->timer)
		wl_event_source_remove(probe->timer);
	if (probe->source)
		wl_event_source_remove(probe->source);
	bn_fd_close(&probe->fd);
	free(probe);
}

void bn_kms_probe_all(struct bn_kms_card *card)
{
	if (card->probe)
		wl_event_source_timer_update(card->probe->timer, SETTLE_MS);
}

/* ---- uevents ---- */

/* "change@/devices/…" and then KEY=VALUE, each ended by a zero. */
static bool is_about(const char *text, size_t length, const struct bn_kms_card *card)
{
	const char *node = strrchr(card->path, '/');
	bool drm = false, this_card = false;

	for (size_t i = 0; i < length; i += strnlen(text + i, length - i) + 1) {
		const char *word = text + i;

		if (strcmp(word, "SUBSYSTEM=drm") == 0)
			drm = true;
		if (strncmp(word, "DEVNAME=dri/", 12) == 0)
			this_card = node && strcmp(word + 12, node + 1) == 0;
	}
	return drm && this_card;
}

static int handle_uevent(int fd, uint32_t mask, void *data)
{
	struct bn_kms_card *card = data;
	char text[4096];

	for (;;) {
		struct sockaddr_nl from;
		socklen_t from_size = sizeof(from);
		ssize_t n = recvfrom(fd, text, sizeof(text) - 1, MSG_DONTWAIT,
			(struct sockaddr *)&from, &from_size);

		if (n < 0 && errno == ENOBUFS) {
			bn_kms_probe_all(card); /* some were lost */
			continue;
		}
		if (n <= 0)
			return 0;
		text[n] = '\0';
		/* Others than the kernel (0) may send too. */
		if (from.nl_pid == 0 && is_about(text, (size_t)n, card))
			bn_kms_probe_all(card);
	}
}

int bn_kms_hotplug_start(struct bn_kms_card *card)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};

	if (!bn_kms_sys.uevents)
		return 0;
	card->hotplug_fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	if (card->hotplug_fd < 0)
		return -errno;
	if (bind(card->hotplug_fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int error = errno;

		bn_fd_close(&card->hotplug_fd);
		return -error;
	}
	card->hotplug = wl_event_loop_add_fd(
		card->loop, card->hotplug_fd, WL_EVENT_READABLE, handle_uevent, card);
	return card->hotplug ? 0 : -ENOMEM;
}

void bn_kms_hotplug_stop(struct bn_kms_card *card)
{
	if (card->hotplug)
		wl_event_source_remove(card->hotplug);
	card->hotplug = NULL;
	bn_fd_close(&card->hotplug_fd);
}
