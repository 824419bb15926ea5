#include "kms_card.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIGFS "/sys/kernel/config"
#define CARD CONFIGFS "/vkms/binnacle"

static bool put(const char *text, const char *format, unsigned a, unsigned b)
{
	char path[256];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), format, a, b);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = write(fd, text, strlen(text));
	close(fd);
	return n > 0;
}

static bool folder(const char *format, unsigned a, unsigned b)
{
	char path[256];

	snprintf(path, sizeof(path), format, a, b);
	return mkdir(path, 0755) == 0 || errno == EEXIST;
}

static bool tie(const char *from, const char *to, unsigned a, unsigned b)
{
	char link[256], target[256];

	snprintf(link, sizeof(link), from, a, b, a);
	snprintf(target, sizeof(target), to, a);
	return symlink(target, link) == 0;
}

/* Types: 0 overlay, 1 primary, 2 cursor. */
static bool make_plane(unsigned crtc, unsigned plane, const char *type)
{
	return folder(CARD "/planes/p%u%u", crtc, plane) &&
	       put(type, CARD "/planes/p%u%u/type", crtc, plane) &&
	       tie(CARD "/planes/p%u%u/possible_crtcs/c%u", CARD "/crtcs/c%u", crtc, plane);
}

static bool make_display(unsigned i)
{
	return folder(CARD "/crtcs/c%u", i, 0) && put("1", CARD "/crtcs/c%u/writeback", i, 0) &&
	       make_plane(i, 0, "1") && make_plane(i, 1, "0") && make_plane(i, 2, "2") &&
	       folder(CARD "/encoders/e%u", i, 0) &&
	       tie(CARD "/encoders/e%u/possible_crtcs/c%u", CARD "/crtcs/c%u", i, i) &&
	       folder(CARD "/connectors/k%u", i, 0) &&
	       tie(CARD "/connectors/k%u/possible_encoders/e%u", CARD "/encoders/e%u", i, i);
}

bool kms_card_make(unsigned crtcs)
{
	if (access(CONFIGFS "/vkms", F_OK) < 0 &&
		mount("configfs", CONFIGFS, "configfs", 0, NULL) < 0 && errno != EBUSY)
		return false;
	if (!folder(CARD, 0, 0))
		return false;
	for (unsigned i = 0; i < crtcs; i++) {
		if (!make_display(i)) {
			fprintf(stderr, "configfs: display %u: %s\n", i, strerror(errno));
			return false;
		}
	}
	return put("1", CARD "/enabled", 0, 0);
}

bool kms_card_plug(unsigned connector, bool plugged)
{
	return put(plugged ? "1" : "2", CARD "/connectors/k%u/status", connector, 0);
}

void kms_card_remove(void)
{
	put("0", CARD "/enabled", 0, 0);
}
